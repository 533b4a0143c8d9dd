//! The verb `probe`, as its user runs it.

use std::process::Command;

use serde_json::Value;

use super::server::{MediaServer, Thing, mp4};

/// Runs the verb in a folder: exit code, stdout, stderr.
fn probe(folder: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    let output = command.arg("probe").args(arguments).current_dir(folder).env_clear().output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_job_or_a_url_is_probed_and_told_in_words_or_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = MediaServer::at("127.0.0.1");
    server.put("/promo.mp4", Thing::File(mp4(60, 1_000_000, true)));
    let settings = "account: {secret_id: {file: id}, secret_key: {file: key}, region: ap-singapore}\n\
                    apps: {main: {sdk_app_id: 1400000001, secret_key: {file: app}}}\nmedia_hosts: [127.0.0.1]\n";
    std::fs::write(folder.path().join("ingestd.yaml"), settings).expect("writable");
    std::fs::create_dir(folder.path().join("schedules")).expect("writable");
    let job = |length: &str| {
        let url = server.url("/promo.mp4?sign=hush-hush");
        let text = format!("timezone: UTC\njobs:\n  promo: {{at: '18:00', room: lobby, stream: '{url}', length: {length}}}\n");
        std::fs::write(folder.path().join("schedules/a.yaml"), text).expect("writable");
    };
    job("1m");
    let with = ["promo", "--config", "ingestd.yaml"];
    let (code, out, error) = probe(folder.path(), &with);
    assert_eq!((code, error.contains("error")), (Some(0), false), "{error}{out}");
    for words in
        ["media       http://127.0.0.1:", "/promo.mp4\n", "video       avc1 1280x720, 25.00 pictures", "nothing is wrong with it"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(!out.contains("hush"), "{out}");

    job("2m");
    let (code, out, _) = probe(folder.path(), &[&with[..], &["--format", "json"]].concat());
    let object: Value = serde_json::from_str(&out).expect("one object");
    assert_eq!((code, &object["job"], &object["facts"]["length_ms"]), (Some(1), &"promo".into(), &60_000.into()), "{out}");
    let [finding] = &object["findings"].as_array().expect("a list")[..] else { panic!("{out}") };
    assert_eq!((&finding["severity"], &finding["kind"]), (&"problem".into(), &"media".into()), "{out}");
    assert!(!out.contains("hush"), "{out}");

    // Without settings a URL can be looked at, and a loopback address cannot.
    let (code, out, _) = probe(folder.path(), &[&server.url("/promo.mp4?sign=hush-hush")]);
    assert!(code == Some(1) && out.contains("is a loopback address") && out.contains("`media_hosts`"), "{out}");
    assert!(!out.contains("hush"), "{out}");
    let (code, _, error) = probe(folder.path(), &["ftp://example.com/a.mp4"]);
    assert!(
        code == Some(2) && error.contains("expected a URL of `http`, `https`, `rtmp` or `rtmps`, found `ftp://example.com/a.mp4`"),
        "{error}"
    );
    let (code, _, error) = probe(folder.path(), &["promos", "--config", "ingestd.yaml"]);
    assert!(code == Some(1) && error.contains("did you mean `promo`"), "{error}");
}

#[test]
fn the_fallback_of_a_job_is_probed_too_and_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = MediaServer::at("127.0.0.1");
    server.put("/promo.mp4", Thing::File(mp4(60, 1_000_000, true)));
    let settings = "account: {secret_id: {file: id}, secret_key: {file: key}, region: ap-singapore}\n\
                    apps: {main: {sdk_app_id: 1400000001, secret_key: {file: app}}}\nmedia_hosts: [127.0.0.1]\n";
    std::fs::write(folder.path().join("ingestd.yaml"), settings).expect("writable");
    std::fs::create_dir(folder.path().join("schedules")).expect("writable");
    let (stream, fallback) = (server.url("/promo.mp4"), server.url("/still.mp4?sign=hush-hush"));
    let fields = format!("at: '18:00', room: lobby, stream: '{stream}', fallback: '{fallback}', length: 1m");
    let text = format!("timezone: UTC\njobs:\n  promo: {{{fields}}}\n");
    std::fs::write(folder.path().join("schedules/a.yaml"), text).expect("writable");
    let with = ["promo", "--config", "ingestd.yaml", "--format", "json"];
    let (code, out, error) = probe(folder.path(), &with);
    let object: Value = serde_json::from_str(&out).expect("one object");
    assert_eq!((code, &object["findings"]), (Some(1), &serde_json::json!([])), "{out}{error}");
    let finding = &object["fallback"]["findings"][0];
    assert!(finding["what"].as_str().is_some_and(|what| what.contains("/still.mp4` is not there")), "{out}");
    // What plays in a loop may have any length.
    server.put("/still.mp4", Thing::File(mp4(5, 100_000, true)));
    let (code, out, _) = probe(folder.path(), &with[..3]);
    assert!(code == Some(0) && out.contains("\n\nfallback    http://127.0.0.1:") && !out.contains("hush"), "{out}");
}
