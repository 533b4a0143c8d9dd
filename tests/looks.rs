//! What people see at night: `plan`, `history`, `status` and `why` on terminals of 80, 120 and 200 columns and where there is no
//! terminal, as golden texts. The schedule and the ledger have what is hard to lay out: long and wide names, a cut, a pause, a doubt,
//! a failure with a long message, two applications, two zones.

#[path = "ledger/filling.rs"]
mod filling;
#[path = "ledger/rows.rs"]
mod rows;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ingestd::engine::LoopStatus;
use ingestd::ledger::Ledger;
use ingestd::occurrence::{End, Evidence, Failure, MissedReason, Occurrence, Outcome, State, WaitReason};
use ingestd::plan::Upcoming;
use ingestd::plan::holds::Holds;
use ingestd::plan::interruptions::Interruptions;
use ingestd::report::status::{DaemonView, LedgerView, StatusInput, text};
use ingestd::schedule::{Schedule, Settings, Source, read};
use ingestd::trtc::advice::SecretPlaces;
use ingestd::trtc::{Repeat, Room};
use jiff::{SignedDuration, Timestamp};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr as _;

use rows::{armed, ended, fault, missed, on_air, task};

const SCHEDULE: &str = include_str!("fixtures/looks/schedule.yaml");

/// The widths of the golden texts; `None`: no terminal.
const WIDTHS: [Option<u16>; 4] = [Some(80), Some(120), Some(200), None];

const LONG_ID: &str = "a-very-long-id-of-32-characters-";

fn instant(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// Compares a text with its golden one; `UPDATE_GOLDEN=1` writes that. Returns what differs.
fn golden(name: &str, width: Option<u16>, actual: &str) -> Option<String> {
    let width = width.map_or_else(|| "no-terminal".to_owned(), |width| width.to_string());
    let path = format!("tests/fixtures/looks/{name}-{width}.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).expect("the golden text is written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    (actual != expected).then(|| format!("{path}:\n{actual}"))
}

fn all_as_golden(wrong: Vec<Option<String>>) {
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "these differ from their golden texts (UPDATE_GOLDEN=1 writes them):\n{}", wrong.join("\n"));
}

/// Rows of 27 November 2025, the newest first.
fn rows() -> Vec<Occurrence> {
    let at = |time: &str| instant(&format!("2025-11-27T{time}:00+08:00"));
    let of = |occurrence: Occurrence, app: &str, room: Room| {
        let mut occurrence = occurrence;
        app.clone_into(&mut occurrence.playout.destination.app);
        occurrence.playout.room = room;
        occurrence
    };
    let text = |room: &str| Room::Text(room.to_owned());
    let hall = "the-hall-on-the-second-floor-of-the-east-wing";
    let message = "the media https://cdn.example.com/archive/2025/evening/promo-of-the-week-1080p-final-version.mp4 cannot be read: 404 Not Found";
    let failed = Occurrence {
        state: State::Done { outcome: Outcome::Failed(Failure::Code("InvalidParameter.StreamUrl".to_owned())) },
        attempts: 61,
        first_sent_at: Some(at("21:00") + SignedDuration::from_millis(5)),
        fault: Some(fault(Some("InvalidParameter.StreamUrl"), message)),
        end: End::Planned(at("22:00")),
        ..armed(LONG_ID, at("21:00"))
    };
    let waiting = Occurrence {
        state: State::Waiting { until: at("22:31"), why: WaitReason::Retry },
        attempts: 3,
        in_doubt: true,
        was_in_doubt: true,
        first_sent_at: Some(at("22:30") + SignedDuration::from_millis(1_250)),
        fault: Some(fault(None, "no answer in time")),
        end: End::Planned(at("23:30")),
        ..armed("wan-hui", at("22:30"))
    };
    let cut = Occurrence {
        state: State::Done { outcome: Outcome::CutPreempted },
        evidence: Some(Evidence::Confirmed),
        ended_at: Some(at("19:00")),
        ..on_air("evening-promo", at("18:00"))
    };
    // Its first start was not answered; the task that it had made was taken over.
    let adopted = Occurrence {
        state: State::Done { outcome: Outcome::EndedPlanned },
        evidence: Some(Evidence::Seen),
        was_in_doubt: true,
        restarts: 1,
        attempts: 3,
        end: End::Planned(at("19:30")),
        ended_at: Some(at("19:30")),
        on_air_at: Some(at("19:00") + SignedDuration::from_secs(12)),
        ..on_air("breaking-news", at("19:00"))
    };
    // The filler, paused twice, over the night.
    let filler = Occurrence {
        evidence: Some(Evidence::Seen),
        restarts: 2,
        end: End::Planned(at("04:00") + SignedDuration::from_hours(24)),
        ..on_air("filler", at("04:00"))
    };
    vec![
        of(waiting, "main", text("5")),
        of(failed, "overseas", text(hall)),
        of(adopted, "main", text("lobby")),
        of(cut, "main", text("lobby")),
        of(Occurrence { evidence: Some(Evidence::Unseen), ..ended("relay", at("14:00")) }, "main", Room::Integer(42)),
        of(missed("trailer", at("12:00"), Outcome::Missed(MissedReason::Down)), "main", text("foyer")),
        of(filler, "main", text("lobby")),
    ]
}

/// A folder with settings, this schedule, and a ledger with these rows.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "account: {region: ap-singapore}\nlisten: none\nstate: state\napps:\n  \
        main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}\n  overseas: {sdk_app_id: 1400000002, secret_key: {env: KEY}}\n";
    for sub in ["schedules", "state"] {
        fs::create_dir(folder.path().join(sub)).expect("writable");
    }
    fs::write(folder.path().join("ingestd.yaml"), settings).expect("writable");
    fs::write(folder.path().join("schedules/test.yaml"), SCHEDULE).expect("writable");
    let mut ledger = Ledger::open(&folder.path().join("state")).expect("a ledger");
    for row in rows() {
        filling::write(&mut ledger, &row);
    }
    folder
}

/// What the program prints to stdout, on a terminal of that width or on none.
fn printed(folder: &TempDir, arguments: &[&str], width: Option<u16>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    // TZ: the zone of this host is not to matter.
    command.env_clear().env("TZ", "America/New_York").current_dir(folder.path());
    command.args(["--config", "ingestd.yaml"]).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let Some(width) = width else {
        return String::from_utf8(command.output().expect("the program starts").stdout).expect("UTF-8");
    };
    let (mut near, far) = terminal(width);
    let mut child = command.stdout(far).spawn().expect("the program starts");
    // It holds the far end of the terminal, which must be closed before ours has an end.
    drop(command);
    let mut bytes = Vec::new();
    // A terminal whose far end is closed says that with an error.
    let _ = near.read_to_end(&mut bytes);
    assert!(child.wait().expect("it ends").success());
    String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n")
}

/// Our end of a terminal of that width, and the end of a program.
fn terminal(width: u16) -> (File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&near).and_then(|()| unlockpt(&near)).expect("ours");
    tcsetwinsize(&near, Winsize { ws_row: 24, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }).expect("it takes a size");
    let name = ptsname(&near, Vec::new()).expect("it has a name").into_string().expect("UTF-8");
    let far = File::options().read(true).write(true).open(name).expect("its other end");
    (near.into(), far.into())
}

/// No line is wider than the terminal, no id is broken, and nothing secret is shown.
fn fits(text: &str, width: Option<u16>) {
    for line in text.lines() {
        let url_or_id = line.split(' ').map(str::len).max().unwrap_or_default();
        let width = width.map_or(usize::MAX, usize::from).max(url_or_id + 20);
        assert!(line.width() <= width, "{line}");
        assert_eq!(line, line.trim_end(), "{line:?}");
    }
    assert!(!text.contains("hush"), "{text}");
}

fn golden_at_each_width(name: &str, arguments: &[&str]) -> Vec<Option<String>> {
    let folder = folder();
    let at = |width: Option<u16>| {
        let text = printed(&folder, arguments, width);
        fits(&text, width);
        golden(name, width, &text)
    };
    WIDTHS.into_iter().map(at).collect()
}

#[test]
fn the_plan_shows_what_will_happen_at_each_width() {
    let range = ["plan", "--from", "2025-11-27", "--to", "2025-11-28"];
    let mut wrong = golden_at_each_width("plan", &range);
    // Without the longest id there is room for more.
    wrong.extend(golden_at_each_width("plan-one-job", &[&range[..], &["--job", "evening-promo"]].concat()));
    all_as_golden(wrong);
}

#[test]
fn an_id_is_whole_on_the_narrowest_terminal() {
    let folder = folder();
    for verb in [&["plan", "--from", "2025-11-27", "--to", "2025-11-28"][..], &["history"]] {
        for width in [20, 54, 80] {
            let text = printed(&folder, verb, Some(width));
            assert!(text.lines().any(|line| line.contains(&format!(" 2025-11-27 21:00:00  {LONG_ID}"))), "{width}: {text}");
        }
    }
}

#[test]
fn a_bare_date_and_a_shown_time_are_of_one_zone_in_every_verb() {
    let folder = folder();
    let day = ["--from", "2025-11-27", "--to", "2025-11-28"];
    fs::create_dir(folder.path().join("edited")).expect("writable");
    fs::write(folder.path().join("edited/test.yaml"), SCHEDULE.replace("22:30", "22:45")).expect("writable");
    for (verb, of_most_jobs, of_new_york) in [
        (&["plan"][..], " 2025-11-27 22:30:00  23:30", " 2025-11-27 09:30:00  10:30"),
        (&["plan", "--against", "edited"], "~ 2025-11-27 22:30:00 +08:00  23:30", "~ 2025-11-27 09:30:00 -05:00  10:30"),
        (&["plan", "--forecast"], "", ""),
        (&["history", "--since", "2025-11-27 22:30"], " 2025-11-27 22:30:00  wan-hui", ""),
        (&["history", "--since", "2025-11-27 09:30"], " 2025-11-27 22:30:00  wan-hui", " 2025-11-27 09:30:00  wan-hui"),
        (&["why", "wan-hui", "--at", "2025-11-27 22:30"], "yes: `wan-hui` was to start at Thu 2025-11-27 22:30 +08:00", "no: "),
        (&["why", "wan-hui", "--at", "2025-11-27 09:30"], "no: ", "yes: `wan-hui` was to start at Thu 2025-11-27 09:30 -05:00"),
        (&["why", "wan-hui", "--at", "2025-11-27"], "yes: `wan-hui` starts once on Thu 2025-11-27, in `Asia/Shanghai`", "yes: "),
        (&["status"], "on air (+08:00):\n  filler  main/lobby  since ", "on air (-05:00):\n  filler  main/lobby  since "),
    ] {
        let range = if verb[0] == "plan" { &day[..] } else { &[] };
        for (zone, expected) in [(&[][..], of_most_jobs), (&["--timezone", "America/New_York"], of_new_york)] {
            let arguments = [verb, range, zone].concat();
            let text = any_exit(&folder, &arguments);
            assert!(text.contains(expected), "{arguments:?}: {text}");
        }
    }
}

/// What the program prints, however it ends: without a daemon `status` ends with 69. The zone of the host is another.
fn any_exit(folder: &TempDir, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.env_clear().env("TZ", "America/New_York").current_dir(folder.path());
    let output =
        command.args(["--config", "ingestd.yaml"]).args(arguments).stdin(Stdio::null()).output().expect("the program starts");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_plan_over_a_clock_change_has_the_offset_in_each_row() {
    let berlin = ["plan", "--from", "2025-10-25 12:00", "--count", "4", "--job", "filler", "--timezone", "Europe/Berlin"];
    all_as_golden(golden_at_each_width("plan-clock-change", &berlin));
}

#[test]
fn the_history_shows_what_happened_at_each_width() {
    let mut wrong = golden_at_each_width("history", &["history"]);
    wrong.extend(golden_at_each_width("history-one-job", &["history", "--job", "breaking-news"]));
    all_as_golden(wrong);
}

#[test]
fn an_answer_to_why_is_read_at_each_width() {
    let mut wrong = Vec::new();
    for (name, arguments) in [
        ("why-failed", &["why", LONG_ID, "--at", "2025-11-27 21:00"][..]),
        ("why-cut", &["why", "evening-promo", "--at", "2025-11-27 18:00"]),
        ("why-paused", &["why", "filler", "--at", "2025-11-27 19:10"]),
        ("why-other-zone", &["why", "morning-in-berlin", "--at", "2025-11-27"]),
    ] {
        wrong.extend(golden_at_each_width(name, arguments));
    }
    all_as_golden(wrong);
}

fn schedule(now: Timestamp) -> Schedule {
    let source = Source { name: Arc::from("test.yaml"), text: SCHEDULE.to_owned() };
    let apps = [("main", 1), ("overseas", 2)].map(|(name, id)| (Arc::from(name), id));
    let settings = Settings { apps: Some(apps.into()), region: Some(Arc::from("ap-singapore")), ..Settings::default() };
    let reading = read(&[source], &settings, &jiff::tz::TimeZoneDatabase::bundled(), now);
    reading.schedule.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics))
}

#[test]
fn a_status_is_read_at_each_width() {
    let now = instant("2025-11-27T22:30:40+08:00");
    let schedule = schedule(now);
    let (running, trouble): (Vec<_>, Vec<_>) = rows().into_iter().partition(|row| row.state == State::OnAir);
    let relay = on_air("relay", now - SignedDuration::from_hours(30));
    let mut relay = Occurrence { end: End::Open, ..relay };
    (relay.playout.live, relay.playout.repeat, relay.playout.room) = (true, Repeat::Times(1), Room::Integer(42));
    let tasks = running.iter().map(task).collect();
    let input = StatusInput {
        not_listening: Vec::new(),
        not_told: Vec::new(),
        failed_chores: Vec::new(),
        all_off: false,
        now,
        generation: 12,
        accepted_at: Some(now - SignedDuration::from_hours(40)),
        daemon: DaemonView::Running {
            jobs: schedule.len(),
            rejected: Vec::new(),
            next: {
                let interruptions = Interruptions::new(&schedule);
                Upcoming::new(&schedule, now).take(10).map(|occurrence| interruptions.of(occurrence)).collect()
            },
            state: LoopStatus { watch_period_s: 30, ..LoopStatus::default() },
        },
        ledger: Ok(LedgerView {
            committed_at: Some(now),
            on_air: running.into_iter().chain([relay]).collect(),
            trouble: trouble
                .into_iter()
                .filter(|row| !matches!(row.state, State::Done { outcome: Outcome::EndedPlanned }))
                .collect(),
            tasks,
            orphans: Vec::new(),
            doubts: Vec::new(),
            holds: Holds::default(),
        }),
        secrets: SecretPlaces::default(),
        zone_source: "bundled".to_owned(),
        zone_version: "2026b".to_owned(),
        zone: schedule.zone(),
    };
    let at = |width: Option<u16>| {
        let text = text(&input, width.map(usize::from)).replace(concat!("ingestd ", env!("CARGO_PKG_VERSION")), "ingestd VERSION");
        fits(&text, width);
        golden("status", width, &text)
    };
    all_as_golden(WIDTHS.into_iter().map(at).collect());
}
