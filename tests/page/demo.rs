//! The demo begins with the address of its page, and within its minute the page has shown each kind of thing. It needs no browser.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::rig::wait_at_most;

/// The minute, and what a busy machine needs beside it.
const PATIENCE: Duration = Duration::from_secs(75);

const KINDS: [&str; 19] = [
    "armed",
    "cut",
    "cut_by_another",
    "ended",
    "failed",
    "fallback",
    "healed",
    "held",
    "joined_late",
    "missed",
    "on_air",
    "planned",
    "returns",
    "skipped",
    "stopping",
    "trouble",
    "trying",
    "waiting",
    "yields",
];

#[test]
fn the_demo_begins_with_its_page_and_shows_each_kind_of_thing_within_its_minute() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.args(["demo", "--listen", "127.0.0.1:0"]).env_clear();
    let mut demo = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let first = lines.next().expect("a line");
    let address = first.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or_else(|| panic!("{first}"));
    let page = address.parse().expect("an address");
    let query = first.split_once("/?").map_or("", |(_, query)| query).to_owned();
    // It ends when nobody reads what it prints.
    let reading = std::thread::spawn(move || lines.for_each(drop));
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let missing = |seen: &BTreeSet<String>| KINDS.iter().filter(|kind| !seen.contains(**kind)).copied().collect::<Vec<_>>();
    wait_at_most(PATIENCE, "every kind is seen, or the demo ends", || {
        let ended = demo.try_wait().expect("it can be asked").is_some();
        if !ended {
            seen.extend(kinds(&answer(page, &format!("/api/v1/rundown?{query}"))));
        }
        (ended || missing(&seen).is_empty()).then_some(())
    });
    assert_eq!(missing(&seen), [] as [&str; 0], "of the kinds of things these were not seen");
    let _ = demo.kill();
    demo.wait().expect("it ends");
    reading.join().expect("it ends with the demo");
}

/// The body that the page answers; nothing, if it is going.
fn answer(page: SocketAddr, path: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(page)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().ok().and_then(|answer| answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())).unwrap_or_default()
}

/// The kinds of things that a rundown has.
fn kinds(answer: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(answer) else { return Vec::new() };
    let mut kinds = Vec::new();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    kinds.extend((!list(&value["needs"]).is_empty()).then(|| "trouble".to_owned()));
    for room in list(&value["rooms"]) {
        let bars = list(&room["bars"]);
        for bar in &bars {
            let look = bar["look"].as_str().unwrap_or_default();
            kinds.push(look.to_owned());
            let is_on_air = look == "on_air";
            kinds.extend((bar["is_late"] == true).then(|| "joined_late".to_owned()));
            kinds.extend((is_on_air && !list(&bar["healed"]).is_empty()).then(|| "healed".to_owned()));
            kinds.extend((is_on_air && bar["is_cut"] == true).then(|| "cut_by_another".to_owned()));
            let text = bar["text"].as_str().unwrap_or_default();
            kinds.extend((look == "skipped" && text.contains("paused")).then(|| "held".to_owned()));
        }
        // One that yields has a part before the pause and a part after it, and the other stands between.
        let own = bars.iter().filter(|bar| bar["job"] == "filler").count();
        kinds.extend((own == 2).then(|| "yields".to_owned()));
    }
    kinds
}
