//! A show whose medium dies plays its fallback, and is back on its stream after that passes a look: the real program, the callbacks of a
//! sandbox, and a server of media that a probe can fetch.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use ingestd::occurrence::State;
use ingestd::sandbox::{CallbackTarget, FaultRule, SandboxTask};
use ingestd::trtc::Action;
use serde_json::Value;

use super::media_server::{MediaServer, Thing, mp4};
use super::rig::{Process, Rig, get, once, soon, wait_until};

const CALLBACK_KEY: &str = "fallbackkey0000000000";

/// How soon after the vendor's word the fallback is asked for.
const PLAYS_WITHIN: Duration = Duration::from_secs(5);

/// A rig with callbacks that come, and with media on this host.
fn rig(faults: Vec<FaultRule>) -> (Rig, MediaServer) {
    // The daemon must know its port before the sandbox can send callbacks.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let url = format!("http://{port}/trtc/callback");
    let rig = Rig::with(faults, |sandbox| {
        sandbox.callbacks = Some(CallbackTarget { url, key: CALLBACK_KEY.to_owned().into() });
    });
    rig.write("callback-key", CALLBACK_KEY);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(rig.path("callback-key"), private).expect("our own file");
    rig.listen("127.0.0.1:0");
    let settings = std::fs::read_to_string(rig.path("ingestd.yaml")).expect("it was written");
    let settings = settings.replace("private_map_key: true", "private_map_key: true, callback_key: { file: callback-key }");
    rig.write("ingestd.yaml", &format!("{settings}callbacks: {port}\nmedia_hosts: [127.0.0.1]\n"));
    let media = MediaServer::at("127.0.0.1");
    for path in ["/show.mp4", "/still.mp4"] {
        media.put(path, Thing::File(mp4(60, 100_000, true)));
    }
    (rig, media)
}

fn job(media: &MediaServer, seconds: i64) -> String {
    let (stream, fallback) = (media.url("/show.mp4?sign=hush-1"), media.url("/still.mp4?sign=hush-2"));
    let start = once(soon(seconds));
    format!(
        "  show: {{ once: {start}, for: 10m, room: show, repeat: forever, length: 1m, stream: '{stream}', fallback: '{fallback}' }}\n"
    )
}

/// What runs in the room: never two at once.
fn playing(rig: &Rig) -> Option<SandboxTask> {
    let running: Vec<_> = rig.tasks("show").into_iter().filter(SandboxTask::runs).collect();
    assert!(running.len() <= 1, "{running:?}");
    running.into_iter().next()
}

fn wait_playing(rig: &Rig, path: &str) -> SandboxTask {
    wait_until(&format!("{path} plays"), || playing(rig).filter(|task| task.params.stream_url.reveal().contains(path)))
}

fn on_air(daemon: &Process) -> Value {
    let status: Value = serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON");
    status["on_air"][0].clone()
}

#[test]
fn a_show_whose_medium_dies_plays_its_fallback_and_is_back_after_it_passes() {
    let (rig, media) = rig(Vec::new());
    rig.jobs(&job(&media, 2));
    let daemon = rig.started();
    wait_playing(&rig, "/show.mp4");
    rig.wait_row("show", "confirmed", |row| row.confirmed_at.is_some());
    media.put("/show.mp4", Thing::Status(404));
    let died = Instant::now();
    rig.sandbox.set_media(&media.url("/show.mp4?sign=hush-1"), false);
    let fallback = wait_playing(&rig, "/still.mp4");
    let took = died.elapsed();
    assert!(took < PLAYS_WITHIN, "{took:?}");
    println!("the fallback played {} ms after the medium died", took.as_millis());
    assert_eq!((fallback.params.seek_second, fallback.params.repeat), (None, Some(ingestd::trtc::Repeat::Forever)));
    rig.wait_row("show", "on its fallback", |row| row.state == State::OnAir && row.plays_fallback());
    let row = on_air(&daemon);
    assert_eq!(row["fallback"]["why"], "unpulled", "{row}");
    assert!(row["fallback"]["stream"].as_str().is_some_and(|url| url.ends_with("/still.mp4")), "{row}");
    assert_eq!(row["streams"].as_array().map(Vec::len), Some(2), "{row}");
    let text = get(daemon.page(), "/api/v1/status?format=table");
    assert!(text.contains("its fallback plays"), "{text}");
    let (_, why, _) = rig.verb(&["why", "show"]);
    assert!(why.contains("plays its fallback; its stream cannot be had: TRTC cannot pull it"), "{why}");
    // Nobody takes it back before it is there.
    wait_until("the stream is looked at", || {
        let looks = media.requests().iter().filter(|request| request.contains("/show.mp4")).count();
        (looks >= 1).then_some(())
    });
    media.put("/show.mp4", Thing::File(mp4(60, 100_000, true)));
    rig.sandbox.set_media(&media.url("/show.mp4?sign=hush-1"), true);
    let healed = Instant::now();
    let back = wait_playing(&rig, "/show.mp4");
    println!("the stream was back {} ms after it could be had", healed.elapsed().as_millis());
    assert!(back.params.seek_second.is_some() || back.started_at.as_second() % 60 == 0, "in progress: {back:?}");
    rig.wait_row("show", "on its stream", |row| row.state == State::OnAir && !row.plays_fallback());
    assert_eq!(on_air(&daemon)["fallback"], Value::Null);
    assert_eq!(rig.verb(&["stop", "show"]).0, Some(0));
    rig.wait_done("show");
    let (_, out, _) = rig.verb(&["history", "--format", "json"]);
    let row: Value = serde_json::from_str(&out).expect("JSON");
    let streams: Vec<&str> =
        row["streams"].as_array().into_iter().flatten().filter_map(|span| span["stream"].as_str()?.rsplit('/').next()).collect();
    assert_eq!(streams, ["show.mp4", "still.mp4", "show.mp4"], "{row}");
    assert!(row["streams"].as_array().into_iter().flatten().all(|span| span["to"].is_string()), "{row}");
    let (_, table, _) = rig.verb(&["history"]);
    assert!(table.contains("played its fallback for "), "{table}");
    let log = daemon.log();
    assert!(log.contains("its stream cannot be had: TRTC cannot pull it; its fallback http://127.0.0.1"), "{log}");
    for text in [&log, &out, &table, &why, &text] {
        assert!(!text.contains("hush"), "{text}");
    }
    daemon.stop();
}

#[test]
fn a_stream_that_is_refused_or_missing_at_the_start_is_replaced_at_once() {
    let (rig, media) = rig(Vec::new());
    let url = media.url("/show.mp4?sign=hush-1");
    rig.sandbox.inject(ingestd::sandbox::FaultPlan::new(vec![
        FaultRule::error("InvalidParameter.StreamUrl").action(Action::Start).stream(&url),
    ]));
    rig.jobs(&job(&media, 2));
    let daemon = rig.started();
    wait_playing(&rig, "/still.mp4");
    let row = rig.wait_row("show", "on its fallback", |row| row.state == State::OnAir);
    let sent = row.first_sent_at.expect("it was sent");
    let late = row.on_air_at.expect("it is on air").duration_since(sent);
    println!("the fallback was on air {} ms after the refused start was sent", late.as_millis());
    assert!(late < jiff::SignedDuration::from_secs(5), "{late}");
    // A daemon that was killed plays it on, and the next one finds the stream.
    daemon.kill();
    let daemon = rig.started();
    assert_eq!(playing(&rig).map(|task| task.params.stream_url.reveal().contains("/still.mp4")), Some(true));
    rig.sandbox.clear_faults();
    wait_playing(&rig, "/show.mp4");
    assert_eq!(rig.arrived("show").len(), 3, "refused, the fallback, the stream");
    daemon.stop();
    // The next show's stream is missing before it starts.
    media.put("/show.mp4", Thing::Status(404));
    rig.jobs(&job(&media, 20).replace("  show:", "  next:").replace("room: show", "room: next"));
    let daemon = rig.started();
    let row = rig.wait_on_air("next");
    assert!(row.plays_fallback() && row.attempts == 1, "{row:?}");
    daemon.stop();
}
