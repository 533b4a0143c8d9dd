//! The promises of the rundown page, in a real browser against a real daemon with a sandbox: `run.mjs` looks and clicks, this file sets the
//! stage. Without Node, Chromium or the packages it is left out, and says so. It does not know how the page is made.

mod agreement;
mod demo;
#[path = "../ledger/filling.rs"]
mod filling;
mod pictures;
#[expect(dead_code, reason = "the cases of the daemon use the rest")]
#[path = "../daemon/rig.rs"]
mod rig;
#[path = "../ledger/rows.rs"]
mod rows;
#[expect(dead_code, reason = "the cases of the listeners use the rest")]
#[path = "../web/served.rs"]
mod served;
#[path = "../web/troubled.rs"]
mod troubled;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use ingestd::occurrence::State;
use ingestd::sandbox::{FaultEffect, FaultRule, Replacement};
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};
use rig::{Rig, once, soon, wait_until};

/// What somebody might write into a note to reach whoever looks.
const HOSTILE: &str = "<img src=x onerror='window.reached=1'><script>window.reached=1</script> \u{202e}evil";

fn chromium() -> Option<&'static str> {
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].into_iter().find(|path| Path::new(path).exists())
}

/// Jobs of each kind around an instant.
fn jobs(start: Timestamp) -> String {
    let at = |seconds: i64| once(start + SignedDuration::from_secs(seconds));
    let daily = |seconds: i64| (start + SignedDuration::from_secs(seconds)).strftime("%H:%M:%S").to_string();
    let loops = "length: 10m, repeat: forever, stream: 'https://cdn.example.com/a.mp4?sign=hush-in-url'";
    let mut text = String::from("timezone: UTC\njobs:\n");
    for (job, rest) in [
        ("evening-promo", format!("once: {}, for: 2h, room: lobby", at(0))),
        ("late-spot", format!("once: {}, for: 45m, room: lobby", at(9_000))),
        ("foyer-filler", format!("at: '{}', for: 5h, room: 1001, conflict: yield", daily(-1_800))),
        ("foyer-news", format!("once: {}, for: 30m, room: 1001", at(2_700))),
        ("warm-up", format!("at: '{}', for: 2h, room: arena", daily(-900))),
        ("kick-off", format!("once: {}, for: 114m, room: arena, conflict: preempt", at(1_800))),
        ("bad-url", format!("once: {}, for: 20m, room: attic", at(1))),
        ("quick", format!("once: {}, for: 2s, room: den", at(0))),
        ("training", format!("once: {}, for: 1h, room: studio-3", at(0))),
        ("press-room", format!("at: '{}', for: 40m, room: studio-2, late: skip", daily(-1_200))),
        ("night-league", format!("once: {}, for: 90m, room: courtside", at(7_200))),
        ("bell", format!("once: [{}, {}, {}], for: 10m, room: market-hall", at(900), at(2_700), at(4_500))),
        ("noted", format!("once: {}, for: 1h, room: hall, note: {:?}", at(8_400), HOSTILE.replace('\u{202e}', "\\u202e"))),
    ] {
        let rest = rest.replace("\\\\u202e", "\\u202e");
        let _ = writeln!(text, "  {job}: {{ {rest}, {loops} }}");
    }
    text
}

/// More of them, which pass through states that do not last, or stay in those that nobody wants.
fn restless(start: Timestamp) -> String {
    let at = |seconds: i64| once(start + SignedDuration::from_secs(seconds));
    let loops = "length: 10m, repeat: forever, stream: 'https://cdn.example.com/a.mp4'";
    // One of them is always about to start.
    let pulses: Vec<String> = (1..40).map(|number| at(number * 9)).collect();
    let mut text = String::new();
    for (job, rest) in [
        ("doomed", format!("once: {}, for: 3s, room: depot", at(1))),
        ("slow", format!("once: {}, for: 2h, room: studio-4", at(1))),
        ("clinging", format!("once: {}, for: 2s, room: tower", at(1))),
        ("spare", format!("once: {}, for: 2h, room: library, fallback: 'https://cdn.example.com/b.mp4'", at(1))),
        ("pulse", format!("once: [{}], for: 5s, room: pulse", pulses.join(", "))),
        ("on-hold", format!("once: {}, for: 1h, room: gallery", at(7_200))),
    ] {
        let _ = writeln!(text, "  {job}: {{ {rest}, {loops} }}");
    }
    text
}

/// What the endpoint does to some of them.
fn faults() -> Vec<FaultRule> {
    let start = |rule: FaultRule, robot: &str| rule.action(Action::Start).robot(robot);
    let refused = || FaultRule::error("InvalidParameter.StreamUrl");
    let hangs = FaultEffect::Replace { with: Replacement::Hang, done: false };
    vec![
        start(refused(), "bad-url"),
        start(refused(), "doomed"),
        start(refused(), "spare").times(1),
        start(FaultRule::error("InternalError"), "slow").times(1),
        start(FaultRule::new(hangs), "slow"),
        FaultRule::error("InternalError").action(Action::Stop).robot("clinging"),
    ]
}

#[test]
fn the_page_shows_each_kind_of_thing_in_a_browser() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    let target = Path::new(env!("CARGO_BIN_EXE_ingestd")).parent().and_then(Path::parent).expect("target/debug");
    let modules = target.join("page/node_modules");
    let (Some(chromium), true, true) = (chromium(), has_node, modules.join("axe-core").is_dir()) else {
        println!(
            "left out: the page in a browser needs chromium, node, and the packages of tests/page in target/page (see .ci/run)"
        );
        return;
    };
    let rig = Rig::new(faults());
    rig.listen("127.0.0.1:0");
    rig.more_settings("page: { day: \"05:00\", timezone: Asia/Shanghai }");
    let start = soon(4);
    let schedule = jobs(start) + &restless(start);
    rig.schedule(&schedule);
    let daemon = rig.started();
    for job in ["evening-promo", "training", "foyer-filler", "warm-up"] {
        rig.wait_on_air(job);
    }
    let task = rig.wait_on_air("evening-promo").task_id.expect("an accepted start names it");
    assert!(rig.sandbox.kill_task(&task));
    wait_until("evening-promo is back", || rig.row("evening-promo").filter(|row| row.restarts == 1 && row.state == State::OnAir));
    wait_until("bad-url was refused", || rig.row("bad-url").filter(|row| row.attempts > 0 && row.fault.is_some()));
    let night = (start + SignedDuration::from_hours(2)).to_string();
    // A note of an order has visible characters only; one in a schedule file may have others.
    let hostile = HOSTILE.replace('\u{202e}', "");
    for verb in [
        &["skip", "night-league", "--at", &night, "--note", "rain"][..],
        &["pause", "on-hold", "--indefinite", "--note", "until the sponsor has paid"],
        &["stop", "training", "--note", &hostile],
    ] {
        let (code, stdout, stderr) = rig.verb(verb);
        assert_eq!(code, Some(0), "{verb:?}: {stdout}{stderr}");
    }
    rig.wait_done("training");
    rig.wait_done("doomed");
    rig.wait_row("clinging", "stopping", |row| matches!(row.state, State::Stopping { .. }));
    rig.wait_row("spare", "on its fallback", |row| row.state == State::OnAir && row.plays_fallback());
    rig.schedule(&schedule.replace("for: 45m, room: lobby", "fro: 45m, room: lobby"));
    assert_eq!(rig.verb(&["reload"]).0, Some(1), "it is rejected");
    let status = rig.verb(&["status", "--format", "json"]).1;
    let seen = rig.path("status.json");
    std::fs::write(&seen, status).expect("writable");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let scene = runtime.block_on(pictures::served());
    let troubled = runtime.block_on(troubled::troubled());
    // It stands as soon as that has lasted for two seconds, and the browser comes later. One that is full would be told instead.
    troubled.status.send_modify(|status| status.disk = None);
    troubled.busy.disk.begin();
    let mut browser = Command::new("node");
    browser.arg(folder.join("run.mjs")).arg(format!("http://{}", daemon.page())).arg(seen).arg(chromium).arg(modules);
    browser.arg(format!("http://{}", scene.address)).arg(target.join("page/shots"));
    browser.arg(format!("http://{}", troubled.address));
    let output = browser.output().expect("node starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{said}");
}
