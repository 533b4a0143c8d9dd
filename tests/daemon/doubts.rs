//! What a start without an answer leaves on air, with the real program: it is told, it can be stopped by hand, and a callback that was
//! answered is not lost by a kill.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ingestd::occurrence::{Adopted, Outcome, State};
use ingestd::sandbox::{EndReason, ExistReading, FaultEffect, FaultRule, Replacement, WELL_KNOWN_SDK_APP_ID};
use ingestd::trtc::Action;
use jiff::Timestamp;
use sha2::Sha256;

use super::rig::{PATIENCE, Rig, looping, soon, wait_until};

const KEY: &str = "rigcallbackkey";

fn unanswered(with: Replacement) -> FaultRule {
    FaultRule::new(FaultEffect::Replace { with, done: true }).action(Action::Start).times(1)
}

/// Tells the daemon that this task began now. Returns the status of the answer.
fn call_back(address: SocketAddr, task_id: &str) -> String {
    let ms = Timestamp::now().as_millisecond();
    let info = format!("{{\"EventMsTs\":{ms},\"TaskId\":\"{task_id}\",\"Status\":0}}");
    let body = format!("{{\"EventGroupId\":7,\"EventType\":701,\"CallbackMsTs\":{ms},\"EventInfo\":{info}}}");
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    let sign = STANDARD.encode(mac.finalize().into_bytes());
    let length = body.len();
    let head = format!("SdkAppId: {WELL_KNOWN_SDK_APP_ID}\r\nSign: {sign}\r\nContent-Length: {length}");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "POST /trtc/callback HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_callback_that_was_answered_200_is_on_the_disk_when_the_daemon_is_killed() {
    let rig = Rig::new(vec![unanswered(Replacement::Hang)]);
    rig.write("callback-key", KEY);
    let settings = std::fs::read_to_string(rig.path("ingestd.yaml")).expect("it was written");
    let keyed = settings.replace("private_map_key: true", "private_map_key: true, callback_key: {file: callback-key}");
    rig.write("ingestd.yaml", &format!("{keyed}callbacks: 127.0.0.1:0\n"));
    rig.jobs(&looping("show", soon(2), "12s"));
    let daemon = rig.started();
    let address = daemon.place("callbacks=");
    let task = wait_until("it began, and nobody said so", || rig.tasks("show").first().cloned());
    assert_eq!(call_back(address, &task.task_id), "200");
    daemon.kill();
    assert_eq!(rig.row("show").expect("claimed").state, State::Armed);

    let daemon = rig.started();
    let row = rig.wait_done("show");
    // The next attempt found that it is there; the callback, which came before the crash, says under which name.
    assert_eq!((row.task_id.as_ref(), row.adopted), (Some(&task.task_id), Some(Adopted::FromOnAir)));
    assert_eq!(row.state, State::Done { outcome: Outcome::EndedUnverified });
    let ends: Vec<_> = rig.tasks("show").iter().filter_map(|task| task.ended).map(|(_, why)| why).collect();
    assert_eq!(ends, [EndReason::Stopped]);
    daemon.stop();
}

#[test]
fn a_first_request_that_was_cut_and_a_second_that_was_accepted_are_told_and_the_first_is_stopped_by_hand() {
    let rig = Rig::with(vec![unanswered(Replacement::Cut)], |sandbox| sandbox.exist = ExistReading::Both);
    rig.jobs(&looping("show", soon(2), "1h"));
    let daemon = rig.started();
    let row = rig.wait_on_air("show");
    let other = rig.tasks("show").into_iter().find(|task| Some(&task.task_id) != row.task_id.as_ref()).expect("two play");
    let status = || rig.verb(&["status"]).1;
    let told = status();
    assert!(told.starts_with("degraded\n") && told.contains("`show`: no answer proves whether a start sent at "), "{told}");
    assert!(told.contains("in room show as robot show; the cloud ends it by "), "{told}");
    let log = daemon.log();
    let lines =
        log.lines().filter(|line| line.contains("ERROR") && line.contains("a task that nobody can name may play in room show"));
    assert_eq!(lines.count(), 1, "{log}");

    let (code, stdout, stderr) = rig.verb(&["stop", "--task", &other.task_id]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("is known to run; if it runs all the same, name its application"), "{stderr}");
    let (code, stdout, stderr) = rig.verb(&["stop", "--task", &other.task_id, "--app", "main"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with(&format!("task {} of `main`: stopped\n", other.task_id)), "{stdout}");
    assert!(stdout.contains("this was the task of its start sent at"), "{stdout}");
    let ended = rig.tasks("show").into_iter().find(|task| task.task_id == other.task_id).and_then(|task| task.ended);
    assert!(ended.is_some_and(|(_, why)| why == EndReason::Stopped));
    assert!(!status().contains("a start sent at "), "{}", status());
    assert_eq!(rig.row("show").expect("on air").state, State::OnAir);
    daemon.stop();
}
