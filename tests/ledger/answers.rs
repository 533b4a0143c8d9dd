//! The answers of a ledger to every question, as texts that can be compared. Does not know of what ledger.

use std::collections::BTreeMap;

use ingestd::ledger::{ExcerptQuery, HistoryQuery, Ledger, Reader, RoomQuery};
use ingestd::occurrence::Occurrence;
use jiff::{SignedDuration, Timestamp};

/// Shows the first line that is not the same.
pub(crate) fn same(what: &str, file: &str, station: &str) {
    let differs = file.lines().zip(station.lines()).find(|(file, station)| file != station);
    assert!(file == station, "{what}: {differs:?}");
}

/// What a new daemon takes over, as a text.
pub(crate) fn recovered(ledger: &Ledger) -> String {
    let mut recovered = ledger.recover(Timestamp::MIN).expect("readable");
    recovered.left.sort();
    assert_eq!(recovered.may_still_leave, []);
    format!("{recovered:#?}")
}

/// The answers of a reader to every question, as texts.
pub(crate) fn answers(reader: &Reader, now: Timestamp) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    let mut add = |question: String, answer: String| drop(answers.insert(question, answer));
    let every = HistoryQuery { limit: 10_000, ..HistoryQuery::default() };
    let rows = reader.history(&every).expect("readable");
    add("all".to_owned(), format!("{rows:#?}"));
    let first = |of: fn(&Occurrence) -> String| [None, rows.first().map(of)];
    for outcome in [None, Some("ended"), Some("cut"), Some("failed"), Some("missed"), Some("skipped")] {
        for job in first(|row| row.key.job.to_string()) {
            for room in first(|row| format!("{}/{}", row.playout.destination.app, row.playout.room)) {
                for since_ms in [None, Some(now.as_millisecond())] {
                    let (job, outcome) = (job.clone(), outcome.map(str::to_owned));
                    let room = room.as_deref().map(|room| RoomQuery::parse(room).expect("a room"));
                    let asked = HistoryQuery { job, room, since_ms, until_ms: None, outcome, limit: 20 };
                    add(format!("{asked:?}"), format!("{:#?}", reader.history(&asked).expect("readable")));
                    let before = HistoryQuery { until_ms: since_ms, since_ms: None, ..asked };
                    add(format!("{before:?}"), format!("{:#?}", reader.history(&before).expect("readable")));
                }
            }
        }
    }
    for at in [Timestamp::MIN, now, now - SignedDuration::from_hours(24)] {
        add(format!("trouble {at}"), format!("{:#?}", reader.trouble(at, 50).expect("readable")));
        add(format!("doubts {at}"), format!("{:#?}", reader.doubts(at).expect("readable")));
        add(format!("rows {at}"), format!("{:#?}", reader.rows_in(&(at..now), 60).expect("readable")));
        add(format!("sent {at}"), format!("{:#?}", reader.newest_sent(at, 30).expect("readable")));
    }
    add("on air".to_owned(), format!("{:#?}", reader.on_air().expect("readable")));
    add("tasks".to_owned(), format!("{:#?}", reader.tasks().expect("readable")));
    add("orphans".to_owned(), format!("{:#?}", reader.orphans().expect("readable")));
    add("holds".to_owned(), format!("{:#?}", reader.holds().expect("readable")));
    add("meta".to_owned(), format!("{:#?}", reader.meta().expect("readable")));
    add("first seen".to_owned(), format!("{:#?}", reader.first_seen(None).expect("readable")));
    for row in &rows {
        let (key, name) = (&row.key, row.key.job.as_str());
        add(format!("row {key}"), format!("{:#?}", reader.occurrence(name, key.start).expect("readable")));
        add(format!("latest {key}"), format!("{:#?}", reader.latest(name, key.start).expect("readable")));
        add(format!("first seen {name}"), format!("{:#?}", reader.first_seen(Some(name)).expect("readable")));
        add(format!("retries {key}"), format!("{:#?}", reader.retries(key).expect("readable")));
        add(format!("tasks {key}"), format!("{:#?}", reader.tasks_of(key).expect("readable")));
        add(format!("calls {key}"), format!("{:#?}", reader.calls_of(key).expect("readable")));
    }
    let first = rows.first().expect("there are rows");
    let wanted = [
        ExcerptQuery::History(HistoryQuery { limit: 50, ..HistoryQuery::default() }),
        ExcerptQuery::Holds {},
        ExcerptQuery::OnAir {},
        ExcerptQuery::Job { job: first.key.job.to_string(), starts_ms: vec![first.key.start.as_millisecond()] },
    ];
    for query in wanted {
        let excerpt = reader.excerpt(&query).expect("readable");
        let again = Reader::of_excerpt(&excerpt).expect("a ledger of its rows");
        let all = again.history(&every).expect("readable");
        add(
            format!("excerpt {query:?}"),
            format!("{all:?} {:?} {:?}", again.holds().expect("readable"), again.meta().expect("readable")),
        );
    }
    answers
}
