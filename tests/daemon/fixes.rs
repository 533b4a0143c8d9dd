//! What people mend while a show is due: a wrong URL, wrong keys. The show is tried at once, and it is one row.

use std::fs;

use ingestd::occurrence::{Occurrence, State};
use ingestd::sandbox::{Answered, FaultRule};
use ingestd::trtc::Action;
use rustix::process::Signal;

use super::rig::{Rig, SECRETS, contains, get, looping, soon, wait_until};

fn secret(wanted: &str) -> &'static str {
    SECRETS.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value).expect("listed")
}

fn waits(row: &Occurrence) -> bool {
    matches!(row.state, State::Waiting { .. })
}

/// The one task of a show, and the media that it plays.
fn played(rig: &Rig, robot: &str) -> String {
    let [task] = &rig.tasks(robot)[..] else { panic!("it was begun once: {:?}", rig.tasks(robot)) };
    task.params.stream_url.reveal().to_owned()
}

#[test]
fn a_wrong_url_that_is_corrected_during_the_show_is_tried_at_once() {
    for code in ["InvalidParameter.StreamUrl", "InternalError"] {
        let rig = Rig::new(vec![FaultRule::error(code).action(Action::Start).robot("show").times(1)]);
        let job = looping("show", soon(2), "3m").replace("repeat: forever", "repeat: forever, retry: { first: 10m, cap: 10m }");
        rig.jobs(&job.replace("show.mp4", "wrong.mp4"));
        rig.listen("127.0.0.1:0");
        let daemon = rig.started();
        rig.wait_row("show", "refused", waits);
        let status = get(daemon.page(), "/api/v1/status");
        assert!(status.contains("\"health\":\"failing\"") && status.contains(code), "{status}");
        rig.jobs(&job);
        let (exit, done, error) = rig.verb(&["reload"]);
        assert_eq!(exit, Some(0), "{done}{error}");
        let row = rig.wait_on_air("show");
        assert_eq!((row.attempts, row.generation, rig.rows().len()), (2, 2, 1));
        assert_eq!(played(&rig, "show"), "https://cdn.example.com/show.mp4", "{code}");
        let (_, why, _) = rig.verb(&["why", "show"]);
        assert!(why.contains("tried again at ") && why.contains("an edit changed `stream`"), "{why}");
        daemon.stop();
    }
}

#[test]
fn a_show_that_is_refused_fails_when_its_window_closes() {
    let rig = Rig::new(vec![FaultRule::error("InvalidParameter.StreamUrl").action(Action::Start).robot("show")]);
    rig.jobs(&looping("show", soon(2), "12s"));
    let daemon = rig.started();
    rig.wait_row("show", "refused", waits);
    let advice = "somebody must fix this; it is tried slowly from now on, until its window closes, and at once after an edit";
    let is_told = |line: &str| line.contains("ERROR") && line.contains(advice) && line.contains("then `ingestd reload`");
    wait_until("it is told", || daemon.log().lines().any(is_told).then_some(()));
    let row = rig.wait_done("show");
    let late = row.ended_at.expect("over").duration_since(row.key.start).as_millis();
    assert!((8_800..11_000).contains(&late) && row.attempts >= 2, "{row:#?}");
    daemon.stop();
}

#[test]
fn a_wrong_key_that_is_corrected_is_read_again_by_itself_and_by_a_reload() {
    for (file, by_reload) in [("secret-key", false), ("app-key", true), ("secret-id", true)] {
        let rig = Rig::new(Vec::new());
        rig.write(file, "hush-wrong-key-44e1");
        rig.jobs(&looping("show", soon(2), "3m"));
        rig.listen("127.0.0.1:0");
        let daemon = rig.started();
        rig.wait_row("show", "refused", |row| waits(row) && row.fault.is_some());
        fs::write(rig.path(file), secret(file)).expect("writable");
        if by_reload {
            daemon.signal(Signal::HUP);
        }
        let row = rig.wait_on_air("show");
        assert!(row.attempts <= 4, "{file}: {} attempts", row.attempts);
        wait_until("it is told", || daemon.log().contains("the secrets were read again; `").then_some(()));
        // Whoever stops it uses the same secrets.
        assert_eq!(rig.verb(&["stop", "show"]).0, Some(0));
        rig.wait_done("show");
        daemon.stop();
        for (name, bytes) in rig.traces() {
            let is_seen = SECRETS.iter().any(|(_, secret)| contains(&bytes, secret)) || contains(&bytes, "hush-wrong");
            assert!(!is_seen, "{} holds a secret", name.display());
        }
    }
}

#[test]
fn a_key_that_is_rotated_while_a_show_is_on_air_stops_it_on_time() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(2), "10s"));
    let daemon = rig.started();
    rig.wait_on_air("show");
    // The endpoint takes the former key no more, and the file has the next one; nobody says so.
    rig.sandbox.set_secret_key("hush-next-key-0b7d");
    rig.write("secret-key", "hush-next-key-0b7d");
    let row = rig.wait_done("show");
    let [task] = &rig.tasks("show")[..] else { panic!("one task") };
    let (ended, _) = task.ended.expect("it was stopped");
    let late = ended.duration_since(row.end.at().expect("an end")).as_millis();
    assert!(late < 4_000, "{late} ms after its end: {}", daemon.log());
    let refused = |arrival: &&ingestd::sandbox::Arrival| arrival.action != "StartStreamIngest" && arrival.answered != Answered::Ok;
    wait_until("a look or the stop was refused once", || {
        (rig.sandbox.arrivals().iter().filter(refused).count() >= 1).then_some(())
    });
    daemon.stop();
}
