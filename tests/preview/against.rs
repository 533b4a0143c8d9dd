//! `plan --against`: what an edit does to the plan, and to what is on air.

use ingestd::ledger::Ledger;
use ingestd::occurrence::{Kind, Occurrence};
use ingestd::plan::changes::{ChangeKind, PlanChanges};
use ingestd::plan::{End, Planned, Upcoming};
use ingestd::schedule::{OnRemove, Schedule};
use jiff::{SignedDuration, Timestamp};

use super::filling::write;
use super::rows::on_air;
use super::{folder, instant, plan, schedule, text, yaml};

/// Every difference of two schedules in March 2026, as `kind start` and where it goes.
fn changes(before: &Schedule, after: &Schedule) -> Vec<String> {
    let plan = |schedule: &Schedule| -> Vec<Planned> {
        let upcoming = Upcoming::new(schedule, instant("2026-03-01T00:00+08:00"));
        upcoming.take_while(|next| next.start.at < instant("2026-04-01T00:00+08:00")).collect()
    };
    let changes = PlanChanges::new(plan(before).into_iter(), plan(after).into_iter());
    let local = |one: &Planned| one.job.when.zone.to_datetime(one.start.at).strftime("%d %H:%M").to_string();
    let told = changes.map(|change| {
        let sides: Vec<_> = [&change.before, &change.after].into_iter().flatten().map(local).collect();
        format!("{} {} {}", change.kind.name(), sides.join(" > "), change.fields.join(" ")).trim_end().to_owned()
    });
    told.collect()
}

fn one(fields: &str) -> Schedule {
    schedule(yaml([("job", fields)]))
}

#[test]
fn an_edit_adds_removes_changes_and_moves() {
    for (before, after, expected) in [
        ("once: 2026-03-02 18:00", "once: 2026-03-02 18:00", &[][..]),
        ("once: 2026-03-02 18:00", "once: 2026-03-03 18:00", &["removed 02 18:00", "added 03 18:00"]),
        ("once: 2026-03-02 18:00, for: 1h", "once: 2026-03-02 19:00, for: 1h", &["moved 02 18:00 > 02 19:00"]),
        ("once: 2026-03-02 18:00, for: 1h", "once: 2026-03-02 17:00, to: \"18:30\"", &["moved 02 18:00 > 02 17:00 end"]),
        ("once: 2026-03-02 18:00, for: 1h", "once: 2026-03-02 18:00, to: \"19:00\"", &[]),
        ("once: 2026-03-02 18:00, for: 1h", "once: 2026-03-02 18:00, for: 2h", &["changed 02 18:00 > 02 18:00 end"]),
        (
            "once: 2026-03-02 18:00",
            "once: 2026-03-02 18:00, to: never, repeat: forever",
            &["changed 02 18:00 > 02 18:00 end repeat"],
        ),
        ("once: 2026-03-02 18:00", "once: 2026-03-02 18:00, room: foyer, volume: 5", &["changed 02 18:00 > 02 18:00 room volume"]),
        ("once: 2026-03-02 18:00", "once: 2026-03-02 18:00, robot: \"{room}\"", &[]),
        ("once: 2026-03-02 18:00", "once: 2026-03-02 18:00, robot: other", &["changed 02 18:00 > 02 18:00 robot"]),
        // The nearest first; the earlier of equals; what is left over is left over.
        (
            "once: [2026-03-02 09:00, 2026-03-02 10:00, 2026-03-02 12:00]",
            "once: [2026-03-02 09:50, 2026-03-02 11:55]",
            &["removed 02 09:00", "moved 02 10:00 > 02 09:50", "moved 02 12:00 > 02 11:55"],
        ),
        (
            "once: [2026-03-02 09:00, 2026-03-02 10:00]",
            "once: [2026-03-02 09:30, 2026-03-02 10:30]",
            &["moved 02 09:00 > 02 09:30", "moved 02 10:00 > 02 10:30"],
        ),
        (
            "once: [2026-03-02 09:00, 2026-03-02 13:00]",
            "once: [2026-03-02 10:00, 2026-03-02 10:30]",
            &["moved 02 09:00 > 02 10:00", "moved 02 13:00 > 02 10:30"],
        ),
        // What stood round a pair are neighbours then.
        (
            "once: [2026-03-02 09:00, 2026-03-02 10:00]",
            "once: [2026-03-02 10:10, 2026-03-02 11:30]",
            &["moved 02 09:00 > 02 11:30", "moved 02 10:00 > 02 10:10"],
        ),
        // The same instant is another date elsewhere, and the same start all the same.
        ("once: 2026-03-02 07:00", "once: 2026-03-01 18:00, timezone: America/New_York", &[]),
    ] {
        assert_eq!(changes(&one(before), &one(after)), expected, "{before} -> {after}");
    }
}

#[test]
fn differences_come_by_start_in_all_zones() {
    let before = schedule(yaml([
        ("a", "at: \"18:00\", for: 1h, days: mon"),
        ("b", "at: \"18:00\", for: 1h, days: mon, timezone: Pacific/Kiritimati"),
        ("c", "at: \"18:00\", for: 1h, days: mon, timezone: Pacific/Pago_Pago"),
    ]));
    let after = schedule(yaml([
        ("a", "at: \"18:30\", for: 1h, days: mon"),
        ("b", "at: \"18:30\", for: 1h, days: mon, timezone: Pacific/Kiritimati"),
        ("c", "at: \"18:30\", for: 1h, days: mon, timezone: Pacific/Pago_Pago"),
    ]));
    let range = |schedule: &Schedule| {
        let upcoming = Upcoming::new(schedule, instant("2026-03-01T00:00Z"));
        upcoming.take_while(|next| next.start.at < instant("2026-03-20T00:00Z")).collect::<Vec<_>>()
    };
    let changes: Vec<_> = PlanChanges::new(range(&before).into_iter(), range(&after).into_iter()).collect();
    assert_eq!(changes.len(), 9);
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Moved));
    let starts: Vec<Timestamp> = changes.iter().filter_map(|change| change.before.as_ref().map(|before| before.start.at)).collect();
    assert!(starts.is_sorted(), "{starts:?}");
}

#[test]
fn the_verb_prints_a_diff() {
    let before = yaml([
        ("film", "at: \"18:00\", to: \"20:00\""),
        ("news", "at: \"18:00\", for: 30m"),
        ("old", "at: \"09:00\", for: 1h"),
        ("same", "at: \"10:00\", for: 1h"),
    ]);
    let after = yaml([
        ("film", "at: \"18:00\", to: \"21:00\", room: foyer, stream: \"https://a:b@cdn.example.com/b.mp4?key=hush\""),
        ("fresh", "at: \"12:00\", for: 1h"),
        ("news", "at: \"18:15\", for: 30m"),
        ("same", "at: \"10:00\", for: 1h"),
    ]);
    let folder = folder(&[("schedules/a.yaml", before), ("edited/a.yaml", after)]);
    let range = ["--against", "edited", "--from", "2026-03-02", "--to", "2026-03-03"];
    let table = plan(&folder, &range);
    let expected = "
- 2026-03-02 09:00:00 +08:00  10:00     old    main/old
+ 2026-03-02 12:00:00 +08:00  13:00     fresh  main/fresh
~ 2026-03-02 18:00:00 +08:00  20:00     film   end -> 21:00, room -> main/foyer, stream -> https://cdn.example.com/b.mp4
~ 2026-03-02 18:00:00 +08:00  18:30     news   start -> 18:15
";
    assert_eq!(text(&table.stdout), expected.trim_start_matches('\n'), "{}", text(&table.stderr));
    let stderr = text(&table.stderr);
    assert!(stderr.contains("warning: what is on air is not looked at: "), "{stderr}");
    assert!(
        stderr.ends_with("1 added, 1 removed, 1 changed, 1 moved\n") && stderr.contains("what is on air is not looked at"),
        "{stderr}"
    );
    let json = plan(&folder, &[&range[..], &["--format", "json", "--job", "fresh"]].concat());
    let row: serde_json::Value = serde_json::from_str(text(&json.stdout)).expect("one object");
    assert_eq!(
        (&row["change"], &row["before"], &row["fields"]),
        (&"added".into(), &serde_json::Value::Null, &serde_json::json!([]))
    );
    assert_eq!((&row["after"]["job"], &row["after"]["start"]), (&"fresh".into(), &"2026-03-02T04:00:00.000Z".into()));
    let json = plan(&folder, &[&range[..], &["--format", "json", "--job", "film"]].concat());
    let row: serde_json::Value = serde_json::from_str(text(&json.stdout)).expect("one object");
    assert_eq!(row["fields"], serde_json::json!(["end", "room", "stream"]));
    assert_eq!((&row["before"]["room"], &row["after"]["room"]), (&"film".into(), &"foyer".into()));
    assert!(!text(&json.stdout).contains("hush"));
    let nobody = plan(&folder, &[&range[..], &["--job", "nobody"]].concat());
    assert_eq!(nobody.status.code(), Some(1), "{}", text(&nobody.stderr));
    let nowhere = plan(&folder, &["--against", "nowhere"]);
    assert_eq!((nowhere.status.code(), text(&nowhere.stdout)), (Some(78), ""), "{}", text(&nowhere.stderr));
}

#[test]
fn what_is_on_air_is_named_with_what_becomes_of_it() {
    // Shows that began a few hours ago and end tomorrow; the program reads the real clock.
    let now = ingestd::clock::now();
    let start = Timestamp::from_second(now.as_second() - 7_200).expect("in range");
    let wall = start.strftime("%Y-%m-%d %H:%M:%S");
    let ids = ["cut", "finishes", "fired", "longer", "same", "stops"];
    let job = |length: &str| format!("once: \"{wall}\", timezone: UTC, for: {length}");
    let day = job("24h");
    let before = yaml(ids.map(|id| (id, day.as_str())));
    let (hour, longer) = (job("1h"), job("26h"));
    let after = yaml([("cut", hour.as_str()), ("longer", longer.as_str()), ("same", day.as_str())]);
    let folder = folder(&[("schedules/a.yaml", before), ("edited/a.yaml", after)]);
    std::fs::create_dir(folder.path().join("state")).expect("writable");
    let mut ledger = Ledger::open(&folder.path().join("state")).expect("a ledger");
    let end = End::Planned(start + SignedDuration::from_hours(24));
    for id in ids {
        let mut row = Occurrence { end, ..on_air(id, start) };
        row.policy.on_remove = if id == "stops" { OnRemove::Stop } else { OnRemove::Finish };
        row.kind = if id == "fired" { Kind::Fired } else { Kind::Planned };
        write(&mut ledger, &row);
    }
    let output = plan(&folder, &["--against", "edited", "--format", "json"]);
    let rows = text(&output.stdout).lines().map(|row| serde_json::from_str(row).expect("an object"));
    let told: Vec<String> =
        rows.map(|row: serde_json::Value| format!("{} {} {}", row["change"], row["job"], row["effect"])).collect();
    let expected = [
        "\"on_air\" \"cut\" \"cut\"",
        "\"on_air\" \"finishes\" \"finishes\"",
        "\"on_air\" \"longer\" \"ends\"",
        "\"on_air\" \"stops\" \"stops\"",
    ];
    assert_eq!(told, expected, "{}", text(&output.stderr));
    let table = plan(&folder, &["--against", "edited", "--job", "stops"]);
    let expected = format!("! stops {wall} +00:00 is on air: it leaves the schedule and is stopped (`on_remove: stop`)\n");
    assert_eq!(text(&table.stdout), expected);
    assert!(text(&table.stderr).ends_with("of what is on air 1 touched\n"), "{}", text(&table.stderr));
}
