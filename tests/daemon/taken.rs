//! Places that others have: a port, the path of the control socket. The daemon plays without them, says so, and takes them when they are
//! free.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use serde_json::Value;

use super::rig::{Process, Rig, get, looping, soon, wait_until};

fn reasons(daemon: &Process) -> Vec<String> {
    let status: Value = serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON");
    status["reasons"].as_array().expect("a list").iter().map(|reason| reason.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_page_whose_port_is_taken_keeps_no_show_off_the_air_and_is_there_when_the_port_is_free() {
    let rig = Rig::new(Vec::new());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    rig.listen(&address.to_string());
    rig.jobs(&looping("show", soon(2), "1h"));
    let mut daemon = rig.started();
    let told = format!("the page does not listen on {address}: Address already in use");
    assert!(daemon.log().lines().any(|line| line.contains("ERROR") && line.contains(&told)), "{}", daemon.log());
    rig.wait_on_air("show");
    assert!(daemon.runs());
    drop(taken);
    wait_until("it has the port", || daemon.log().contains(&format!("the page listens on {address} now")).then_some(()));
    assert!(get(address, "/api/v1/status").contains("\"health\":\"ok\""));
    daemon.stop();
}

#[test]
fn what_is_taken_is_in_the_status_until_it_is_free() {
    let rig = Rig::new(Vec::new());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    rig.listen("127.0.0.1:0");
    let settings = fs::read_to_string(rig.path("ingestd.yaml")).expect("it was written");
    let settings = settings.replace("private_map_key: true", "private_map_key: true, callback_key: { file: app-key }");
    rig.write("ingestd.yaml", &format!("{settings}callbacks: {address}\ncontrol: control.sock\n"));
    rig.jobs(&looping("show", soon(86_400), "1h"));
    // Something of another user is in its way: a file, and later a socket on which another daemon listens.
    rig.write("control.sock", "mine");
    let daemon = rig.started();
    let told = reasons(&daemon);
    assert!(told.len() == 2 && told[0].starts_with("the control socket does not listen on "), "{told:?}");
    assert!(told[1].starts_with(&format!("the port of the callbacks does not listen on {address}: ")), "{told:?}");
    assert_eq!(fs::read_to_string(rig.path("control.sock")).expect("it is there"), "mine");
    fs::remove_file(rig.path("control.sock")).expect("ours");
    let other = UnixListener::bind(rig.path("control.sock")).expect("a free path");
    wait_until("it sees the other", || daemon.log().contains("another daemon listens there").then_some(()));
    drop((taken, other));
    wait_until("it has both", || reasons(&daemon).is_empty().then_some(()));
    let (code, stdout, stderr) = rig.verb(&["reload"]);
    assert!(code == Some(0) && stdout.contains("nothing changed"), "{stderr}");
    daemon.stop();
    assert!(!rig.path("control.sock").exists(), "it goes with the daemon");
}

#[test]
fn a_socket_of_another_daemon_stays_when_this_one_ends() {
    let rig = Rig::new(Vec::new());
    rig.more_settings("control: control.sock");
    rig.jobs(&looping("show", soon(86_400), "1h"));
    let other = UnixListener::bind(rig.path("control.sock")).expect("a free path");
    rig.started().stop();
    assert!(rig.path("control.sock").exists());
    drop(other);
}
