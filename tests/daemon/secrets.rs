//! An endpoint that plays back what was sent to it: nothing that the daemon writes, says or shows has a secret in it.

use std::collections::BTreeSet;

use ingestd::occurrence::Occurrence;

use super::disguise::{DISGUISES, STREAM, STREAM_PARTS, Sent, leaks, play_back};
use super::rig::{Rig, get, once, soon, wait_until};

#[test]
fn nothing_of_a_secret_that_an_answer_plays_back_is_seen() {
    let server = play_back();
    let rig = Rig::new(Vec::new());
    rig.settings(server.address, "listen: 127.0.0.1:0");
    let start = once(soon(2));
    let jobs = DISGUISES.map(|(name, _)| format!("  {name}: {{ once: {start}, for: 6s, room: {name}, stream: '{STREAM}' }}\n"));
    rig.jobs(&jobs.concat());
    let daemon = rig.started();
    wait_until("everything is over", || {
        let rows = rig.rows();
        (rows.len() == DISGUISES.len() && rows.iter().all(Occurrence::is_done)).then_some(())
    });
    let mut traces: Vec<(String, String)> = Vec::new();
    for page in ["status", "plan", "history", "status?format=table"] {
        traces.push((page.to_owned(), get(daemon.page(), &format!("/api/v1/{page}"))));
    }
    let verbs = [&["status"][..], &["history"], &["plan"], &["check"]];
    let json = verbs.map(|verb| [verb, &["--format", "json"]].concat());
    for verb in verbs.into_iter().chain(json.iter().map(Vec::as_slice)) {
        let (_, output, error) = rig.verb(verb);
        traces.push((verb.join(" "), output + &error));
    }
    for (name, _) in DISGUISES {
        for arguments in [&["why", name][..], &["why", name, "--format", "json"]] {
            let (_, output, error) = rig.verb(arguments);
            traces.push((arguments.join(" "), output + &error));
        }
        let calls = rig.calls(name);
        assert!(!calls.is_empty(), "{name} was sent");
        traces.push((format!("the calls of {name}"), format!("{calls:?}")));
        traces.push((format!("the row of {name}"), format!("{:?}", rig.row(name))));
    }
    daemon.stop();
    let of_files = rig.traces().into_iter();
    traces.extend(of_files.map(|(path, bytes)| (path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned())));

    let sent = server.arrived().iter().filter_map(Sent::read).flat_map(|sent| sent.secrets()).collect::<BTreeSet<_>>();
    let sent: Vec<String> = sent.into_iter().collect();
    let tickets: Vec<String> = sent.iter().filter(|secret| !STREAM_PARTS.contains(&secret.as_str())).cloned().collect();
    let mut leaking = Vec::new();
    for (name, text) in &traces {
        // The ledger and the kept sources must be able to start it again.
        let keeps_urls = name.contains("ingestd.db") || name.contains("accepted-");
        let found = leaks(text, if keeps_urls { &tickets } else { &sent });
        if let Some(first) = found.first() {
            leaking.push(format!("{name}: {} times, first `{first}`", found.len()));
        }
    }
    assert!(leaking.is_empty(), "{}", leaking.join("\n"));
}
