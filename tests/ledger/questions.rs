//! The queries of a reader, beside a daemon that writes and without one. What is done with the rows is not tested here.

use ingestd::ledger::{ExcerptQuery, HistoryQuery, Ledger, Reader, RoomQuery};
use ingestd::occurrence::{End, Evidence, Failure, MissedReason, Occurrence, Outcome, Playout, Policy, State, WaitReason};
use ingestd::schedule::Conflict;
use ingestd::trtc::Room;
use jiff::{SignedDuration, Timestamp};

use super::filling::write;
use super::rows::{armed, ended, fault, missed, on_air, task};
use super::{at, ledger};
use crate::turn::BeginTurn as _;

fn names(rows: &[Occurrence]) -> Vec<&str> {
    rows.iter().map(|row| row.key.job.as_str()).collect()
}

fn start() -> Timestamp {
    at("2026-11-22T10:00:00Z")
}

fn hours(hours: i64) -> Timestamp {
    start() + SignedDuration::from_hours(hours)
}

fn failed(job: &str, start: Timestamp, ended_at: Timestamp) -> Occurrence {
    let outcome = Outcome::Failed(Failure::Lost);
    Occurrence { state: State::Done { outcome }, ended_at: Some(ended_at), ..on_air(job, start) }
}

#[test]
fn history_is_newest_first_and_obeys_every_filter() {
    let (folder, mut ledger) = ledger();
    for hour in 0..4 {
        let room = |row: Occurrence, room: Room| {
            let playout = Playout { room: if hour == 2 { room } else { row.playout.room.clone() }, ..row.playout };
            Occurrence { playout, ..row }
        };
        write(&mut ledger, &room(ended("film", hours(hour)), Room::Integer(42)));
        let late = missed("promo", hours(hour), Outcome::Missed(MissedReason::Late));
        write(&mut ledger, &room(late, Room::Text("42".to_owned())));
    }
    write(&mut ledger, &on_air("live", hours(2)));
    let reader = Reader::open(folder.path()).expect("readable");
    let ask = |query: HistoryQuery| {
        let rows = reader.history(&query).expect("readable");
        rows.iter()
            .map(|row| format!("{}{}", row.key.job, row.key.start.duration_since(start()).as_hours()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let all = || HistoryQuery { limit: 100, ..HistoryQuery::default() };
    let job = |job: &str| HistoryQuery { job: Some(job.to_owned()), ..all() };
    let room = |room: &str| HistoryQuery { room: Some(RoomQuery::parse(room).expect("a room")), ..all() };
    let outcome = |outcome: &str| HistoryQuery { outcome: Some(outcome.to_owned()), ..all() };
    let since = |hour: i64| Some(hours(hour).as_millisecond());
    for (query, expected) in [
        (all(), "film3 promo3 film2 live2 promo2 film1 promo1 film0 promo0"),
        (HistoryQuery { limit: 3, ..all() }, "film3 promo3 film2"),
        (job("film"), "film3 film2 film1 film0"),
        (HistoryQuery { limit: 1, ..job("film") }, "film3"),
        (HistoryQuery { since_ms: since(2), ..all() }, "film3 promo3 film2 live2 promo2"),
        (HistoryQuery { until_ms: since(1), ..all() }, "film0 promo0"),
        (HistoryQuery { since_ms: since(1), until_ms: since(2), ..all() }, "film1 promo1"),
        (HistoryQuery { since_ms: since(3), ..job("promo") }, "promo3"),
        (HistoryQuery { until_ms: since(2), ..job("promo") }, "promo1 promo0"),
        (HistoryQuery { limit: 2, ..outcome("missed") }, "promo3 promo2"),
        (HistoryQuery { since_ms: since(1), outcome: Some("ended".to_owned()), ..job("film") }, "film3 film2 film1"),
        (HistoryQuery { since_ms: since(3), ..outcome("missed") }, "promo3"),
        (HistoryQuery { limit: 3, ..outcome("ended") }, "film3 film2 film1"),
        (outcome("cut"), ""),
        (HistoryQuery { outcome: Some("missed".to_owned()), ..job("film") }, ""),
        (HistoryQuery { outcome: Some("missed".to_owned()), ..job("promo") }, "promo3 promo2 promo1 promo0"),
        (job("nobody"), ""),
        (room("42"), "film2"),
        (room("\"42\""), "promo2"),
        (room("main/42"), "film2"),
        (room("other/42"), ""),
        (room("lobby"), "film3 promo3 live2 film1 promo1 film0 promo0"),
        (HistoryQuery { job: Some("film".to_owned()), ..room("lobby") }, "film3 film1 film0"),
        (HistoryQuery { outcome: Some("missed".to_owned()), ..room("\"42\"") }, "promo2"),
        (HistoryQuery { outcome: Some("ended".to_owned()), since_ms: since(1), ..room("lobby") }, "film3 film1"),
        (room("4"), ""),
        // A row that is being stopped has no outcome before the stop is done.
        (HistoryQuery { outcome: Some("ended".to_owned()), ..job("live") }, ""),
    ] {
        assert_eq!(ask(query.clone()), expected, "{query:?}");
    }
}

#[test]
fn what_is_being_stopped_has_no_outcome_yet() {
    let (folder, mut ledger) = ledger();
    write(&mut ledger, &Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..on_air("promo", start()) });
    let reader = Reader::open(folder.path()).expect("readable");
    let ended = HistoryQuery { outcome: Some("ended".to_owned()), limit: 10, ..HistoryQuery::default() };
    assert_eq!(reader.history(&ended).expect("readable"), []);
    assert_eq!(names(&reader.on_air().expect("readable")), ["promo"]);
}

#[test]
fn trouble_is_what_failed_lately_and_whatever_is_tried_again_now() {
    let (folder, mut ledger) = ledger();
    let waiting = |why| State::Waiting { until: start(), why };
    let rows = [
        ended("fine", hours(-1)),
        on_air("running", hours(-1)),
        armed("coming", hours(1)),
        failed("failed", hours(-2), hours(-1)),
        missed("missed", hours(-3), Outcome::Missed(MissedReason::Down)),
        missed("skipped", hours(-3), Outcome::Skipped(ingestd::occurrence::SkippedReason::Conflict)),
        Occurrence { state: State::Done { outcome: Outcome::EndedUnverified }, ..ended("unverified", hours(-4)) },
        // It began long ago, and is in trouble now.
        failed("long", hours(-100), hours(-5)),
        Occurrence { state: waiting(WaitReason::Restart), ..on_air("restarting", hours(-200)) },
        Occurrence {
            state: waiting(WaitReason::Retry),
            fault: Some(fault(None, "no answer in time")),
            ..armed("retrying", hours(-30))
        },
        Occurrence { state: State::Calling, attempts: 2, ..armed("calling", hours(-31)) },
        Occurrence { state: waiting(WaitReason::Yield), ..on_air("yielding", hours(-6)) },
        // It was over before the time that is asked for.
        failed("yesterday", hours(-26), hours(-25)),
        missed("missed-yesterday", hours(-25), Outcome::Missed(MissedReason::Down)),
    ];
    for row in &rows {
        write(&mut ledger, row);
    }
    let reader = Reader::open(folder.path()).expect("readable");
    let trouble = reader.trouble(hours(-24), 100).expect("readable");
    assert_eq!(names(&trouble), ["failed", "missed", "unverified", "retrying", "calling", "long", "restarting"]);
    assert_eq!(names(&reader.trouble(hours(-24), 2).expect("readable")), ["failed", "missed"]);
    let on_air = reader.on_air().expect("readable");
    assert_eq!(names(&on_air), ["running"]);
}

#[test]
fn a_show_that_nobody_saw_on_air_is_trouble_unless_there_was_no_time_to_look() {
    let (folder, mut ledger) = ledger();
    let row = |job: &str, evidence, seconds: i64| {
        let row = ended(job, hours(-1));
        let ended_at = row.on_air_at.map(|from| from + SignedDuration::from_secs(seconds));
        Occurrence { evidence, ended_at, ..row }
    };
    let rows = [
        row("a-unseen", Some(Evidence::Unseen), 600),
        row("b-short", Some(Evidence::Unseen), 8),
        Occurrence { state: State::Done { outcome: Outcome::EndedMedia }, ..row("b-vanished", Some(Evidence::Unseen), 5) },
        row("c-unpulled", Some(Evidence::Unpulled), 8),
        row("d-seen", Some(Evidence::Seen), 600),
        row("e-confirmed", Some(Evidence::Confirmed), 600),
        row("f-old", None, 600),
        Occurrence { evidence: Some(Evidence::Unseen), ..on_air("g-running", hours(-1)) },
        Occurrence { state: State::Done { outcome: Outcome::CutOperator }, ..row("h-cut", Some(Evidence::Unseen), 600) },
    ];
    for row in &rows {
        write(&mut ledger, row);
    }
    let reader = Reader::open(folder.path()).expect("readable");
    assert_eq!(names(&reader.trouble(hours(-24), 100).expect("readable")), ["a-unseen", "b-vanished", "c-unpulled", "h-cut"]);
}

#[test]
fn a_reader_sees_a_turn_when_it_is_committed_and_not_before() {
    let (folder, mut ledger) = ledger();
    let reader = Reader::open(folder.path()).expect("readable");
    let all = HistoryQuery { limit: 100, ..HistoryQuery::default() };
    let count = || reader.history(&all).expect("readable").len();
    for turns in 0..20_usize {
        assert_eq!(count(), turns);
        let mut turn = ledger.turn();
        assert!(turn.claim(&armed("promo", hours(i64::try_from(turns).expect("few")))).expect("claimed"));
        assert_eq!(count(), turns, "a turn that is under way is not seen");
        turn.commit(start()).expect("a reader does not keep the daemon from writing");
    }
}

#[test]
fn queries_at_one_moment_see_one_state_whatever_is_written_between_them() {
    let (folder, mut ledger) = ledger();
    write(&mut ledger, &on_air("promo", start()));
    let reader = Reader::open(folder.path()).expect("readable");
    let (first, second) = reader
        .at_one_moment(|reader| {
            let first = reader.on_air()?.len();
            let mut turn = ledger.turn();
            turn.update(&ended("promo", start()))?;
            turn.commit(start())?;
            Ok((first, reader.on_air()?.len()))
        })
        .expect("readable");
    assert_eq!((first, second), (1, 1));
    assert_eq!(reader.on_air().expect("readable"), []);
}

#[test]
fn a_reader_without_a_ledger_says_so_and_does_not_make_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Reader::open(folder.path()).map(drop).expect_err("there is none").to_string();
    let file = folder.path().join(ingestd::ledger::FILE);
    assert_eq!(error, format!("there is no ledger at `{}`: has the daemon ever run?", file.display()));
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn a_ledger_that_was_closed_cleanly_is_read_like_one_that_is_open() {
    let (folder, mut ledger) = ledger();
    write(&mut ledger, &ended("promo", start()));
    drop(ledger);
    let reader = Reader::open(folder.path()).expect("readable");
    let query = HistoryQuery { limit: 10, ..HistoryQuery::default() };
    assert_eq!(names(&reader.history(&query).expect("readable")), ["promo"]);
    drop(reader);
    Ledger::open(folder.path()).expect("and the daemon takes it over again");
}

#[test]
fn what_is_not_missed_any_more_can_be_claimed_in_the_same_turn() {
    let (_folder, mut ledger) = ledger();
    let start = at("2026-11-22T10:00:00Z");
    let row = missed("promo", start, Outcome::Missed(MissedReason::Clock));
    let mut turn = ledger.turn();
    assert!(turn.record(&row).expect("a turn"));
    turn.commit(start).expect("writable");
    let mut turn = ledger.turn();
    turn.delete_missed_since(start);
    assert!(turn.claim(&armed("promo", start)).expect("a turn"), "its row goes with this turn");
    assert_eq!(turn.commit(start).expect("writable").len(), 1);
    assert_eq!(ledger.recover(Timestamp::MIN).expect("readable").occurrences, [armed("promo", start)]);
}

#[test]
fn an_excerpt_answers_as_the_file_does_and_has_no_secret() {
    let (folder, mut ledger) = ledger();
    let by = Some("uid 1000 (anna)".to_owned());
    let cut = State::Done { outcome: Outcome::CutOperator };
    let quoted = format!("cannot open {}", super::rows::STREAM);
    write(&mut ledger, &Occurrence { state: cut, ordered_by: by.clone(), ..ended("film", hours(1)) });
    write(&mut ledger, &Occurrence { fault: Some(fault(Some("InternalError"), &quoted)), ..armed("film", hours(3)) });
    write(&mut ledger, &missed("promo", hours(2), Outcome::Missed(MissedReason::Late)));
    let reader = Reader::open(folder.path()).expect("readable");
    let all = || HistoryQuery { limit: 100, ..HistoryQuery::default() };
    let over = |query: &ExcerptQuery| {
        let excerpt = serde_json::to_string(&reader.excerpt(query).expect("readable")).expect("JSON");
        assert!(!excerpt.contains("hush"), "{excerpt}");
        Reader::of_excerpt(&serde_json::from_str(&excerpt).expect("an excerpt")).expect("rows")
    };
    let history = over(&ExcerptQuery::History(all()));
    let objects = |rows: &[Occurrence]| rows.iter().map(ingestd::report::history::HistoryObject::new).collect::<Vec<_>>();
    let (of_file, of_excerpt) = (reader.history(&all()).expect("readable"), history.history(&all()).expect("readable"));
    assert_eq!((of_file.len(), objects(&of_file)), (3, objects(&of_excerpt)));
    assert_eq!(of_excerpt[2].ordered_by, by);
    assert_eq!(history.meta().expect("readable"), reader.meta().expect("readable"));
    let starts_ms = vec![hours(1).as_millisecond(), hours(2).as_millisecond()];
    let of_job = over(&ExcerptQuery::Job { job: "film".to_owned(), starts_ms });
    assert_eq!(names(&of_job.history(&all()).expect("readable")), ["film"]);
    assert_eq!(of_job.latest("film", hours(2)).expect("readable").expect("a row").key.start, hours(1));
    assert_eq!(of_job.first_seen(Some("film")).expect("readable"), reader.first_seen(Some("film")).expect("readable"));
}

#[test]
fn what_began_before_a_stretch_of_time_is_in_it_until_it_is_over() {
    let (folder, mut ledger) = ledger();
    let open_ended = |row: Occurrence| Occurrence { end: End::Open, ..row };
    let long = |job, start, end| Occurrence { end: End::Planned(end), ended_at: Some(end), ..ended(job, start) };
    let day = SignedDuration::from_hours(24);
    let ms = SignedDuration::from_millis(1);
    let ended_at = |row: Occurrence, at: Timestamp| Occurrence { ended_at: Some(at), ..row };
    for row in vec![
        // Each window is two hours long.
        ended("over", hours(-3)),
        ended("until-after", hours(-1)),
        ended("older", hours(-3)),
        ended("older", hours(-2)),
        ended_at(ended("cut-before", hours(-1)), hours(0) - SignedDuration::from_mins(30)),
        ended_at(open_ended(ended("open-over", hours(-5))), hours(-1)),
        ended_at(open_ended(ended("open-after", hours(-5))), hours(1)),
        open_ended(missed("open-missed", hours(-5), Outcome::Missed(MissedReason::Late))),
        missed("missed", hours(-3), Outcome::Missed(MissedReason::Late)),
        on_air("on-air", hours(-9)),
        long("long-over", hours(-300), hours(0)),
        long("long", hours(-300), hours(1)),
        long("older-too", hours(-30), hours(1)),
        ended("older-too", hours(-1)),
        ended_at(open_ended(ended("long-open", hours(-26))), hours(1)),
        open_ended(missed("day-old-missed", hours(-25), Outcome::Missed(MissedReason::Late))),
        long("most-of-a-day", hours(-23), hours(1)),
        long("a-day", hours(-24) + ms, hours(0) + ms),
        long("more-than-a-day", hours(-24), hours(0) + ms),
        long("a-day-over", hours(0) - day, hours(0)),
        ended_at(long("overran", hours(-40), hours(-1)), hours(1)),
        ended_at(long("cut-early", hours(-39), hours(1)), hours(-1)),
        Occurrence { end: End::Planned(hours(1)), ..missed("long-missed", hours(-38), Outcome::Missed(MissedReason::Late)) },
        ended("within-b", hours(2)),
        ended("within-a", hours(2)),
        ended("within", hours(1)),
        long("later", hours(3), hours(50)),
        ended("last", hours(3)),
    ] {
        write(&mut ledger, &row);
        let mut turn = ledger.turn();
        turn.record_job_seen(row.key.job.as_str(), hours(-9)).expect("a job");
        turn.commit(hours(0)).expect("committed");
    }
    let reader = Reader::open(folder.path()).expect("readable");
    let seen = |most: u32| {
        let (rows, is_clipped) = reader.rows_in(&(hours(0)..hours(3)), most).expect("readable");
        (rows.iter().map(|row| row.occurrence.key.job.to_string()).collect::<Vec<_>>().join(" "), is_clipped)
    };
    let before = "long overran cut-early long-missed older-too long-open more-than-a-day a-day most-of-a-day on-air open-after \
        open-missed cut-before older-too until-after";
    assert_eq!(seen(20), (format!("{before} within within-a within-b"), false));
    assert_eq!(seen(15), (format!("{before} within within-a within-b"), true));
    assert_eq!(seen(2), ("long overran within within-b".to_owned(), true), "what was written first");
    let at_two = |most| reader.rows_in(&(hours(2)..hours(4)), most).expect("readable").1;
    assert_eq!((at_two(4), at_two(5)), (true, false), "four start in it, and three began before");
    assert_eq!(seen(1), ("long within".to_owned(), true));
}

#[test]
fn a_stretch_of_time_has_the_tasks_of_what_may_have_had_several() {
    let (folder, mut ledger) = ledger();
    let once = on_air("once", hours(1));
    let again = Occurrence { restarts: 1, ..on_air("again", hours(1)) };
    let yields = Occurrence { policy: Policy { conflict: Conflict::Yield, ..Policy::default() }, ..on_air("yields", hours(1)) };
    for row in [&once, &again, &yields] {
        write(&mut ledger, row);
    }
    let (rows, _) = Reader::open(folder.path()).expect("readable").rows_in(&(hours(0)..hours(3)), 10).expect("readable");
    let seen: Vec<_> = rows.iter().map(|row| (row.occurrence.key.job.as_str(), row.tasks.len())).collect();
    assert_eq!(seen, [("again", 1), ("once", 0), ("yields", 1)]);
    assert_eq!(rows[0].tasks, [(task(&again).started_at, None)]);
}
