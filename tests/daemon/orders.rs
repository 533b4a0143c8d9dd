//! The listeners, with the real program: a signal, a verb and a callback reach the daemon, and nothing wrong affects what is on air.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::Value;

use super::rig::{PATIENCE, Process, Rig, contains, get, looping, soon, wait_until};

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON")
}

#[test]
fn a_broken_edit_leaves_the_schedule_in_force_until_it_is_fixed() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let jobs = looping("show", soon(3600), "1h");
    rig.jobs(&jobs);
    let daemon = rig.started();
    rig.jobs(&format!("{jobs}  bad: {{at: noon, colour: red}}\n"));
    daemon.signal(Signal::HUP);
    wait_until("the edit is rejected", || {
        daemon.log().contains("the schedule was rejected; the last good one stays").then_some(())
    });
    assert!(daemon.log().contains("rig.yaml:4:") && daemon.log().contains("who=\"SIGHUP\""), "{}", daemon.log());
    let degraded = wait_until("the status says so", || Some(status(&daemon)).filter(|status| status["health"] == "degraded"));
    assert_eq!((&degraded["generation"], &degraded["schedule"]["jobs"]), (&1.into(), &1.into()), "{degraded}");

    // The answer over the socket says what is wrong.
    let (code, stdout, stderr) = rig.verb(&["reload"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.starts_with("error: the schedule was rejected; the last good one stays in force:\n"), "{stderr}");
    assert!(stderr.contains("rig.yaml:4:"), "{stderr}");

    rig.jobs(&jobs);
    let (code, stdout, stderr) = rig.verb(&["reload"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(stdout, "nothing changed: generation 1 stays in force\n");
    let fixed = status(&daemon);
    assert_eq!((&fixed["health"], &fixed["schedule"]["rejected"]), (&"ok".into(), &Value::Null), "{fixed}");
    rig.more_settings("rate: 5");
    let (_, stdout, _) = rig.verb(&["reload"]);
    assert!(stdout.contains("ingestd.yaml` differs from what was read at start"), "{stdout}");
    daemon.stop();
}

#[test]
fn the_control_socket_is_there_while_the_daemon_is() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    let socket = rig.path("state/control.sock");
    let (code, _, stderr) = rig.verb(&["stop", "--all"]);
    assert_eq!(code, Some(69), "{stderr}");
    let daemon = rig.started();
    let mode = std::fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    daemon.stop();
    assert!(!socket.exists());
    // One that a crash leaves behind is replaced.
    rig.started().kill();
    assert!(socket.exists());
    let daemon = rig.started();
    let (code, stdout, _) = rig.verb(&["reload"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "nothing changed: generation 1 stays in force\n"));
    daemon.stop();
}

#[test]
fn a_control_socket_whose_path_is_too_long_is_a_wrong_setting() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    rig.more_settings(&format!("control: {}/control.sock", "x".repeat(120)));
    let mut daemon = rig.start();
    // Whoever starts it again changes nothing: the setting is wrong.
    assert_eq!(daemon.exit_code(), Some(78));
    let said = daemon.log();
    assert!(said.contains("error: cannot make the control socket `") && said.contains("help: name another place"), "{said}");
}

/// The status of the answer to a callback with this signature.
fn call_back(address: SocketAddr, sign: &str) -> String {
    let body = "{\"EventGroupId\":7,\"EventType\":701,\"CallbackMsTs\":1701937900012,\
        \"EventInfo\":{\"EventMsTs\":1701937900013,\"TaskId\":\"xx\",\"Status\":0}}";
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let app = ingestd::sandbox::WELL_KNOWN_SDK_APP_ID;
    let head =
        format!("POST /trtc/callback HTTP/1.1\r\nHost: x\r\nSdkAppId: {app}\r\nSign: {sign}\r\nContent-Length: {}", body.len());
    write!(stream, "{head}\r\n\r\n{body}").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn callbacks_are_taken_where_the_settings_say_and_their_key_is_nowhere_to_be_seen() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    let settings = std::fs::read_to_string(rig.path("ingestd.yaml")).expect("it was written");
    let keyed = settings.replace("private_map_key: true", "private_map_key: true, callback_key: {file: callback-key}");
    rig.write("ingestd.yaml", &format!("{keyed}callbacks: 127.0.0.1:0\n"));
    let mut refused = rig.start();
    assert_eq!(refused.exit_code(), Some(78));
    assert!(refused.log().contains("`apps.main.callback_key`: cannot read the secret file"), "{}", refused.log());
    // The vendor's own example key, and the signature of its example.
    rig.write("callback-key", "123654\n");
    let daemon = rig.started();
    assert!(daemon.log().contains("callback-key` can be read by every user of this host"), "{}", daemon.log());
    let address = daemon.place("callbacks=");
    assert_eq!(call_back(address, "Y2v6Is94qZztTzuALzMnYS2+mYbuhafkVBWxIBtyOeA="), "200");
    assert_eq!(call_back(address, "Y2v6Is94qZztTzuALzMnYS2+mYbuhafkVBWxIBtyOeB="), "401");
    wait_until("it is logged", || daemon.log().contains("callback refused: its signature is wrong").then_some(()));
    daemon.stop();
    assert!(rig.traces().iter().all(|(path, bytes)| !contains(bytes, "123654") || path.ends_with("callback-key")));
}

#[test]
fn operators_look_back_over_the_control_socket_and_see_who_gave_an_order() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(2), "1h"));
    let daemon = rig.started();
    rig.wait_on_air("show");
    let (code, _, stderr) = rig.verb(&["stop", "show"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    rig.wait_done("show");
    let who = format!("uid {}", rustix::process::geteuid().as_raw());
    assert!(daemon.log().contains(&format!("stop, by {who}")), "{}", daemon.log());
    // Settings of somebody who may use the socket and cannot read the ledger: there is none where they look.
    let socket = rig.path("state/control.sock");
    let settings = std::fs::read_to_string(rig.path("ingestd.yaml")).expect("readable");
    let elsewhere = settings.replace("state: state", &format!("state: elsewhere\ncontrol: {}", socket.display()));
    rig.write("ingestd.yaml", &elsewhere);
    let (code, stdout, stderr) = rig.verb(&["history", "--format", "json"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let row: Value = serde_json::from_str(&stdout).expect("one row");
    assert_eq!((&row["outcome"], &row["reason"]), (&"cut".into(), &"operator".into()));
    assert!(row["by"].as_str().is_some_and(|by| by.starts_with(&who)), "{row}");
    let (_, stdout, _) = rig.verb(&["history"]);
    assert!(stdout.contains(&format!("by {who}")), "{stdout}");
    let (code, stdout, stderr) = rig.verb(&["why", "show"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains(&format!("an operator took it off the air, by the order of {who}")), "{stdout}");
    daemon.stop();
    let (code, _, stderr) = rig.verb(&["history"]);
    assert_eq!(code, Some(1), "{stderr}");
}
