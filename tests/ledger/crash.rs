//! The crash table: for each write of a turn, what recovery sees when the power fails before the commit, and what it sees when the
//! power fails after the commit. A crash is a copy of the files while they are open; no process is killed here.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use ingestd::ledger::{HistoryQuery, Ledger, LedgerError, Reader};
use ingestd::occurrence::{Kind, MissedReason, Occurrence, Outcome, State, TaskPhase, WaitReason};
use ingestd::trtc::{Action, Answer, Fault, Success};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::filling::write;
use super::rows::{armed, missed, on_air, task};
use super::{at, ledger, raw};
use crate::turn::{BeginTurn as _, Turn};

/// One method of a turn.
struct Method {
    name: &'static str,
    /// What is there before.
    before: fn(&mut Ledger),
    /// What the turn does.
    act: fn(&mut Turn<'_>) -> Result<(), LedgerError>,
    /// What recovery sees once it is committed. Before, it sees what was there.
    after: &'static str,
}

fn start() -> Timestamp {
    at("2026-11-22T10:00:00Z")
}

fn promo() -> Occurrence {
    armed("promo", start())
}

fn calling() -> Occurrence {
    Occurrence { state: State::Calling, attempts: 2, tries: 2, ..promo() }
}

fn waiting() -> Occurrence {
    Occurrence { state: State::Waiting { until: start() + SignedDuration::from_secs(3), why: WaitReason::Retry }, ..promo() }
}

fn nothing(_: &mut Ledger) {}

fn an_armed_row(ledger: &mut Ledger) {
    write(ledger, &promo());
}

fn a_waiting_row(ledger: &mut Ledger) {
    write(ledger, &waiting());
}

fn a_calling_row(ledger: &mut Ledger) {
    write(ledger, &calling());
}

fn a_row_on_air(ledger: &mut Ledger) {
    write(ledger, &on_air("promo", start()));
}

fn a_row_on_air_without_its_task(ledger: &mut Ledger) {
    write(ledger, &Occurrence { state: State::Calling, ..on_air("promo", start()) });
}

fn stop_wanted() -> TaskPhase {
    TaskPhase::StopWanted { since: start() + SignedDuration::from_hours(2), tries: 1 }
}

const METHODS: [Method; 16] = [
    Method {
        name: "claim",
        before: nothing,
        act: |turn| turn.claim(&promo()).map(|claimed| assert!(claimed)),
        after: "promo armed 1/1 | call 1 start 1 unsent",
    },
    Method {
        name: "record",
        before: nothing,
        act: |turn| {
            let down = missed("promo", start(), Outcome::Missed(MissedReason::Down));
            turn.record(&down).map(|recorded| assert!(recorded))
        },
        after: "promo missed (down) x1",
    },
    Method {
        name: "summarise, the first",
        before: nothing,
        act: |turn| {
            let down = missed("promo", start(), Outcome::Missed(MissedReason::Down));
            turn.summarise(&Occurrence { kind: Kind::Summary, count: 1, ..down })
        },
        after: "promo missed (down) x1",
    },
    Method {
        name: "summarise, another",
        before: |ledger| {
            let down = missed("promo", start(), Outcome::Missed(MissedReason::Down));
            write(ledger, &Occurrence { kind: Kind::Summary, count: 1, ..down });
        },
        act: |turn| {
            let down = missed("promo", start(), Outcome::Missed(MissedReason::Down));
            turn.summarise(&Occurrence { kind: Kind::Summary, count: 2, ..down })
        },
        after: "promo missed (down) x2",
    },
    Method {
        name: "attempt",
        before: a_waiting_row,
        act: |turn| turn.update(&calling()).and_then(|()| turn.attempt(&calling())),
        after: "promo calling 2/2 | call 1 start 1 unsent | call 2 start 2 unsent",
    },
    Method {
        name: "update",
        before: an_armed_row,
        act: |turn| turn.update(&waiting()),
        after: "promo waiting 1/1 | call 1 start 1 unsent",
    },
    Method {
        name: "update to an outcome",
        before: a_calling_row,
        act: |turn| {
            let outcome = Outcome::Failed(ingestd::occurrence::Failure::Unreachable);
            turn.update(&Occurrence { state: State::Done { outcome }, ..calling() })
        },
        after: "promo failed (unreachable) x1 | call 1 start 1 unsent",
    },
    Method { name: "remove", before: an_armed_row, act: |turn| turn.remove(&promo().key), after: "" },
    Method {
        name: "answered",
        before: an_armed_row,
        act: |turn| {
            let answer = Answer { http_status: Some(200), ..Answer::bare(Ok(Success::Started { task_id: "t".to_owned() })) };
            turn.answered(1, start(), start() + SignedDuration::from_millis(40), &answer)
        },
        after: "promo armed 1/1 | call 1 start 1 answered in 40 ms, 200",
    },
    Method {
        name: "answered with a fault",
        before: an_armed_row,
        act: |turn| {
            let fault = Fault::Rejected { code: "InternalError".to_owned(), message: "try again".to_owned() };
            turn.answered(1, start(), start() + SignedDuration::from_millis(7), &Answer::bare(Err(fault)))
        },
        after: "promo armed 1/1 | call 1 start 1 answered in 7 ms, InternalError: try again",
    },
    Method { name: "unsent", before: an_armed_row, act: |turn| turn.unsent(1), after: "promo armed 1/1" },
    Method {
        name: "add_task",
        before: a_row_on_air_without_its_task,
        act: |turn| turn.add_task(&task(&on_air("promo", start()))).map(|row| assert_eq!(row, 1)),
        after: "promo calling 1/1 | call 1 start 1 unsent | task 1 watched",
    },
    Method {
        name: "update_task and called",
        before: a_row_on_air,
        act: |turn| {
            let task = ingestd::occurrence::Task { row: 1, phase: stop_wanted(), ..task(&on_air("promo", start())) };
            turn.update_task(&task)?;
            let times = (start(), start() + SignedDuration::from_millis(9));
            turn.called(&task, (Action::Stop, 1), times, &Answer::bare(Err(Fault::Timeout)))
        },
        after: "promo on_air 1/1 | call 1 start 1 unsent | call 2 stop 1 answered in 9 ms, no answer in time | task 1 stop wanted, 1 tries",
    },
    Method {
        name: "set_cursor and set_generation",
        before: nothing,
        act: |turn| turn.set_cursor(start()).and_then(|()| turn.set_generation(3, start())),
        after: "cursor 2026-11-22T10:00:00Z | generation 3 of 2026-11-22T10:00:00Z",
    },
    Method {
        name: "record_job_seen",
        before: nothing,
        act: |turn| {
            turn.record_job_seen("promo", start())
                .and_then(|()| turn.record_job_seen("promo", start() + SignedDuration::from_secs(1)))
        },
        after: "job promo seen 0 s after the start",
    },
    Method {
        name: "act",
        before: nothing,
        act: |turn| {
            turn.act(start(), "alice", "reload", "generation 3");
            Ok(())
        },
        after: "act of alice: reload, generation 3",
    },
];

/// The files as the disk has them while the daemon runs.
fn crash(ledger: &Ledger) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    let folder = ledger.path().parent().expect("a folder");
    for name in ["ingestd.db", "ingestd.db-wal"] {
        fs::copy(folder.join(name), copy.path().join(name)).expect("a copy");
    }
    copy
}

/// What a new daemon finds.
fn recovered(folder: &Path) -> String {
    let ledger = Ledger::open(folder).expect("it opens after a crash");
    let mut seen = Vec::new();
    for row in ledger.recover(Timestamp::MIN).expect("readable").occurrences {
        seen.push(format!("{} {} {}/{}", row.key.job, row.state.name(), row.attempts, row.tries));
    }
    let reader = Reader::open(folder).expect("readable");
    for row in reader.history(&HistoryQuery { limit: 100, ..HistoryQuery::default() }).expect("readable") {
        if let State::Done { outcome } = &row.state {
            seen.push(format!("{} {} ({}) x{}", row.key.job, outcome.name(), outcome.reason(), row.count));
        }
    }
    let connection = raw(&ledger);
    let texts = [
        "SELECT 'call ' || id || iif(action LIKE 'Start%', ' start ', ' stop ') || attempt || iif(sent_ms IS NULL, ' unsent', \
            ' answered in ' || (answered_ms - sent_ms) || ' ms, ' || \
            concat_ws(': ', http_status, code, message)) FROM call ORDER BY id",
        "SELECT 'job ' || id || ' seen ' || ((first_seen_ms - 1795341600000) / 1000) || ' s after the start' FROM job",
        "SELECT 'act of ' || who || ': ' || what || ', ' || detail FROM act",
    ];
    for sql in texts {
        let mut statement = connection.prepare(sql).expect("a statement");
        seen.extend(statement.query_map([], |row| row.get::<_, String>(0)).expect("rows").map(|text| text.expect("a text")));
    }
    for task in ledger.recover(Timestamp::MIN).expect("readable").tasks {
        seen.push(match task.phase {
            TaskPhase::StopWanted { tries, .. } => format!("task {} stop wanted, {tries} tries", task.row),
            TaskPhase::Watched { .. } => format!("task {} watched", task.row),
            phase => format!("task {} {phase:?}", task.row),
        });
    }
    let meta = ledger.meta().expect("readable");
    seen.extend(meta.cursor.map(|cursor| format!("cursor {cursor}")));
    seen.extend(meta.accepted_at.map(|at| format!("generation {} of {at}", meta.generation)));
    seen.join(" | ")
}

#[test]
fn a_crash_before_the_commit_changes_nothing_and_a_crash_after_it_loses_nothing() {
    let mut faults = String::new();
    for Method { name, before, act, after } in METHODS {
        let (_folder, mut ledger) = ledger();
        before(&mut ledger);
        let there = recovered(crash(&ledger).path());
        let mut turn = ledger.turn();
        act(&mut turn).unwrap_or_else(|error| panic!("{name}: {error}"));
        // A turn that is dropped and one whose power fails are the same.
        drop(turn);
        let undone = recovered(crash(&ledger).path());
        let (database, log) = (ledger.path().to_owned(), ledger.path().with_extension("db-wal"));
        let mut turn = ledger.turn();
        act(&mut turn).unwrap_or_else(|error| panic!("{name}: {error}"));
        let failing = tempfile::tempdir().expect("a folder");
        for file in [&database, &log] {
            fs::copy(file, failing.path().join(file.file_name().expect("a name"))).expect("a copy");
        }
        let failed = recovered(failing.path());
        turn.commit(start()).expect("committed");
        let kept = recovered(crash(&ledger).path());
        for (when, seen, expected) in
            [("undone", &undone, &there), ("before", &failed, &there), ("after", &kept, &after.to_owned())]
        {
            if seen != expected {
                writeln!(faults, "{name}, {when}:\n  seen     {seen}\n  expected {expected}").expect("a text");
            }
        }
        assert_ne!(there, after, "{name} would show nothing");
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn a_log_that_was_cut_during_a_write_loses_the_last_turn_only() {
    let (_folder, mut ledger) = ledger();
    write(&mut ledger, &promo());
    let whole = fs::read(ledger.path().with_extension("db-wal")).expect("the log").len();
    let there = recovered(crash(&ledger).path());
    let mut turn = ledger.turn();
    turn.update(&waiting()).expect("updated");
    turn.commit(start()).expect("committed");
    let copy = crash(&ledger);
    let log = copy.path().join("ingestd.db-wal");
    let bytes = fs::read(&log).expect("the log");
    assert!(bytes.len() > whole + 100, "the turn has a page of its own");
    for length in [whole, whole + 1, whole + 24, usize::midpoint(whole, bytes.len()), bytes.len() - 1] {
        let copy = crash(&ledger);
        fs::write(copy.path().join("ingestd.db-wal"), &bytes[..length]).expect("writable");
        assert_eq!(recovered(copy.path()), there, "cut to {length} of {} bytes", bytes.len());
    }
}
