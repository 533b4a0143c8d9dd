//! The page and the command line say the same of one daemon: what its rundown has, `status`, `plan` and `history` have, and the other way
//! round. It needs no browser.

use std::collections::{BTreeMap, BTreeSet};

use ingestd::sandbox::FaultRule;
use ingestd::trtc::Action;
use serde_json::Value;

use super::jobs;
use super::rig::{Process, Rig, get, soon, wait_until};

/// A job and a start.
type Named = (String, String);

fn named(item: &Value) -> Named {
    let text = |name: &str| item[name].as_str().unwrap_or_else(|| panic!("{name}: {item}")).to_owned();
    (text("job"), text("start"))
}

fn lines(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    let (code, stdout, stderr) = rig.verb(arguments);
    // Of a status that is not good, the code is 1.
    assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {stderr}");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The bars of a rundown by what they are of, each with its row.
fn bars(value: &Value) -> BTreeMap<Named, Vec<(Value, String)>> {
    let mut bars: BTreeMap<Named, Vec<(Value, String)>> = BTreeMap::new();
    for row in value["rooms"].as_array().expect("rooms") {
        for bar in row["bars"].as_array().expect("bars") {
            assert_eq!(bar["count"], 1, "nothing is merged here: {bar}");
            bars.entry(named(bar)).or_default().push((bar.clone(), row["room"].as_str().expect("a room").to_owned()));
        }
    }
    bars
}

/// The calendar that programs subscribe to is what `plan --format ics` prints, byte for byte, but for when it was made; and it has what is on
/// air besides, which `plan` has no more.
fn calendar(rig: &Rig, daemon: &Process) {
    let events = |text: &str| -> Vec<String> {
        let inner = text.split_once("BEGIN:VEVENT").map_or("", |(_, inner)| inner);
        let inner = inner.trim_end().strip_suffix("END:VCALENDAR").expect("an end");
        inner.split("BEGIN:VEVENT").map(str::to_owned).collect()
    };
    let value = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {event}"));
        line.to_owned()
    };
    let answer = get(daemon.page(), "/calendar.ics");
    let made = value(&answer, "DTSTAMP:");
    let at: jiff::Timestamp = jiff::fmt::strtime::parse("%Y%m%dT%H%M%S%z", made.replace('Z', "+0000"))
        .and_then(|time| time.to_timestamp())
        .expect("an instant");
    // The second in which it was made may be on either side.
    let (from, to) = (at + jiff::SignedDuration::from_secs(1), at + jiff::SignedDuration::from_hours(31 * 24));
    let text = |at: jiff::Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let (code, printed, stderr) = rig.verb(&["plan", "--from", &from.to_string(), "--to", &to.to_string(), "--format", "ics"]);
    assert_eq!(code, Some(0), "{stderr}");
    let stamp = format!("DTSTAMP:{}", value(&printed, "DTSTAMP:"));
    let printed = printed.replace(&stamp, &format!("DTSTAMP:{made}"));
    let head = |text: &str| text.split_once("BEGIN:VEVENT").map(|(head, _)| head.to_owned());
    assert_eq!(head(&answer), head(&printed));
    let is_in = |event: &String| (text(from)..text(to)).contains(&value(event, "DTSTART:"));
    let (later, begun): (Vec<String>, Vec<String>) = events(&answer).into_iter().partition(is_in);
    assert!(later.len() > 60 && later.iter().any(|event| event.contains("STATUS:CANCELLED")), "{}", later.len());
    assert_eq!(later, events(&printed));
    assert!(begun.iter().any(|event| event.contains("SUMMARY:evening-promo")), "what is on air is in it: {begun:?}");
    assert!(begun.iter().all(|event| value(event, "DTSTART:") < text(from) && value(event, "DTEND:") > made), "{begun:?}");
}

#[test]
fn the_page_and_the_command_line_say_the_same() {
    let rig = Rig::new(vec![FaultRule::error("InvalidParameter.StreamUrl").action(Action::Start).robot("bad-url")]);
    rig.listen("127.0.0.1:0");
    let start = soon(4);
    rig.schedule(&jobs(start));
    let daemon = rig.started();
    for job in ["evening-promo", "training", "foyer-filler", "warm-up"] {
        rig.wait_on_air(job);
    }
    let night = (start + jiff::SignedDuration::from_hours(2)).to_string();
    for verb in [&["skip", "night-league", "--at", &night, "--note", "rain"][..], &["stop", "training"]] {
        assert_eq!(rig.verb(verb).0, Some(0), "{verb:?}");
    }
    rig.wait_done("training");
    rig.wait_done("quick");
    wait_until("bad-url was refused", || rig.row("bad-url").filter(|row| row.attempts > 0 && row.fault.is_some()));
    let answer = get(daemon.page(), "/api/v1/rundown");
    let value: Value = serde_json::from_str(&answer).expect("JSON");
    let (from, now, to) = ["from", "now", "to"].map(|name| value[name].as_str().expect("an instant")).into();
    let bars = bars(&value);

    let status = &lines(&rig, &["status", "--format", "json"])[0];
    assert_eq!(value["health"], status["health"]);
    let all = |items: &Value| items.as_array().expect("a list").iter().map(named).collect::<Vec<_>>();
    assert_eq!(all(&value["on_air"]), all(&status["on_air"]));
    assert_eq!(all(&value["next"]), all(&status["next"]));
    for (item, other) in value["on_air"].as_array().expect("a list").iter().zip(status["on_air"].as_array().expect("a list")) {
        assert_eq!((&item["task"], &item["robot"], &item["since"]), (&other["task_id"], &other["robot"], &other["on_air_at"]));
    }
    assert_eq!(all(&value["lately"]), all(&status["recent_trouble"]));

    calendar(&rig, &daemon);
    // What is to come: each start of the plan has its bars, as long as the plan says, and there is no other.
    let planned = lines(&rig, &["plan", "--from", now, "--to", to, "--format", "json"]);
    assert!(planned.len() >= 7, "{planned:?}");
    for item in &planned {
        let own = &bars.get(&named(item)).unwrap_or_else(|| panic!("{item} has no bar"))[..];
        let (first, last) = (&own[0].0, &own[own.len() - 1].0);
        assert_eq!(first["from"], item["start"], "{item}");
        let end = if item["cut_at"].is_null() { &item["end"] } else { &item["cut_at"] };
        assert_eq!((&last["to"], &last["is_cut"]), (end, &Value::from(item["cut_at"].is_string())), "{item}");
        assert_eq!(own.len(), 1 + item["pauses"].as_array().map_or(0, Vec::len), "{item}");
        assert!(own.iter().all(|(_, row)| row.trim_matches('"') == item["room"]), "{item}: {own:?}");
        assert_eq!(first["look"] == "skipped", item["held"].is_object(), "{item}");
    }
    let to_come: BTreeSet<Named> = bars.keys().filter(|(_, at)| &at[..] > now).cloned().collect();
    assert_eq!(to_come, planned.iter().map(named).filter(|(_, at)| &at[..] > now).collect::<BTreeSet<_>>());

    // What was, or is: each row of the history has its bar, and the word of its outcome.
    let recorded = lines(&rig, &["history", "--since", from, "--format", "json"]);
    let begun: BTreeSet<Named> = bars.keys().filter(|(_, at)| &at[..] <= now).cloned().collect();
    assert_eq!(begun, recorded.iter().map(named).filter(|(_, at)| &at[..] <= now).collect::<BTreeSet<_>>());
    for row in recorded.iter().filter(|row| begun.contains(&named(row))) {
        // It is tried again and again: between the two questions it may have become another.
        if row["job"] == "bad-url" {
            continue;
        }
        let look = bars[&named(row)].iter().map(|(bar, _)| bar["look"].as_str().expect("a look")).next().expect("a bar");
        let state = row["outcome"].as_str().or(row["state"].as_str()).expect("a word");
        assert_eq!(look, if state == "calling" { "trying" } else { state }, "{row}");
    }
    assert!(recorded.iter().any(|row| row["outcome"] == "missed") && recorded.iter().any(|row| row["outcome"] == "cut"));
}
