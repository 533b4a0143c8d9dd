//! The same writes into a file and into a station on a real PostgreSQL: the same permissions, the same refusals, and afterwards every query
//! answers the same. Without PostgreSQL each test prints `left out: ...`.

use std::sync::Arc;

use ingestd::engine::{Write, Writes};
use ingestd::ledger::postgres::owner;
use ingestd::ledger::postgres::{Address, Connection, Station, indexes};
use ingestd::ledger::sources::Sources;
use ingestd::ledger::{self, Attempt, Ledger, LedgerError, Lock, Place, Reader, Retention};
use ingestd::occurrence::{Key, Kind, MissedReason, Occurrence, OpenDoubt, Orphan, Outcome, State, Task, TaskPhase};
use ingestd::plan::holds::{Hold, JobPause, JobSkip, OrderSource};
use ingestd::schedule::{JobId, Source};
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::trtc::{Action, Answer, Success};
use ingestd_core::alerts::{Alert, AlertEnd, AlertEvent, AlertWrite, Told};
use ingestd_core::lease::{LeaseLength, Term};
use jiff::{SignedDuration, Timestamp};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use secrecy::SecretString;
use tempfile::TempDir;

use super::answers::{answers, recovered, same};
use super::at;
use super::postgres::Database;
use super::round_trip::occurrence;
use super::rows::{armed, key, missed, on_air, task};

/// So many rows of every kind.
const ROWS: usize = 150;

fn address(database: &Database) -> Arc<Address> {
    Arc::new(Address::parse(&SecretString::from(database.url())).expect("a URL"))
}

pub(crate) fn station(database: &Database) -> Station {
    Station::new("main", address(database), None).expect("a name")
}

pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// Takes the air of a station, whose owner before gave it back or did not.
pub(crate) fn take(database: &Database, gives_back: bool) -> Term {
    take_at(&address(database), gives_back)
}

pub(crate) fn take_at(address: &Address, gives_back: bool) -> Term {
    let process = owner::Process { id: "id".to_owned(), host: "one".to_owned(), version: "0.1.0".to_owned() };
    wait(async {
        let mut connection = Connection::open(address).await.expect("open");
        owner::prepare(&mut connection, "main").await.expect("made");
        if gives_back {
            owner::release(&mut connection, "main", &process).await.expect("given back");
        }
        let taken = owner::take(&mut connection, "main", &process, LeaseLength::DEFAULT).await.expect("an answer");
        taken.expect("nobody has it").term
    })
}

/// A station that nobody else uses, and its ledger.
pub(crate) fn shared() -> Option<(Database, Ledger)> {
    let database = Database::new()?;
    let term = take(&database, false);
    let ledger = Ledger::open_station(&station(&database), term).expect("a new ledger");
    Some((database, ledger))
}

struct Both {
    file: (TempDir, Ledger),
    station: (Database, Ledger),
    now: Timestamp,
    call: i64,
    task: i64,
}

fn told(result: Result<Vec<Attempt>, LedgerError>) -> String {
    match result {
        Ok(attempts) => {
            let one = |attempt: &Attempt| format!("{} {};", attempt.key(), attempt.call());
            attempts.iter().map(one).collect::<Vec<_>>().join(" ")
        }
        Err(error) => format!("{error}, passing: {}", error.is_passing()),
    }
}

impl Both {
    fn new() -> Option<Both> {
        let station = shared()?;
        Some(Both { file: super::ledger(), station, now: at("2026-11-22T10:00:00Z"), call: 0, task: 0 })
    }

    /// Commits the same to both. Returns what both say of it.
    fn commit(&mut self, writes: impl IntoIterator<Item = Write>) -> String {
        self.now += SignedDuration::from_secs(1);
        let (mut one, mut other) = (Writes::default(), Writes::default());
        for write in writes {
            one.push(write.clone());
            other.push(write);
        }
        let file = told(self.file.1.commit(one, self.now));
        let station = told(self.station.1.commit(other, self.now));
        // The words of a constraint are the database's.
        let is_refused = |text: &str| text.contains("constraint") || text.contains("does not allow");
        assert!(file == station || (is_refused(&file) && is_refused(&station)), "{file}\n{station}");
        file
    }

    fn claim(&mut self, row: &Occurrence) -> [Write; 2] {
        self.call += 1;
        let attempt = Write::Attempt { key: row.key.clone(), call: self.call, attempt: row.attempts };
        [Write::Record(Box::new(row.clone())), attempt]
    }

    fn add_task(&mut self, of: &Occurrence) -> Task {
        self.task += 1;
        Task { row: self.task, ..task(of) }
    }

    /// Asks both everything, and compares.
    fn compare(&self) {
        let (file, station) = (&self.file.1, &self.station.1);
        wait(indexes::build(&super::both::station(&self.station.0))).expect("built as by the owner");
        same("what a new daemon takes over", &recovered(file), &recovered(station));
        assert_eq!(file.alerts().expect("readable"), station.alerts().expect("readable"));
        let of_file = Reader::open(self.file.0.path()).expect("readable");
        let of_station = Reader::open_at(&Place::Station(super::both::station(&self.station.0))).expect("readable");
        let (one, other) = (answers(&of_file, self.now), answers(&of_station, self.now));
        assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (question, answer) in &one {
            same(question, answer, &other[question]);
        }
    }
}

/// Every row that the strategy of the round trip can make, claimed and then updated.
fn rows_of_every_kind(both: &mut Both) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..ROWS {
        let mut row = occurrence().new_tree(&mut runner).expect("a row").current();
        // That is one text in a file and another in a database: it has a test of its own.
        if let Some(fault) = &mut row.fault {
            fault.message = fault.message.replace('\0', "");
        }
        if row.attempts == 0 || row.kind == Kind::Summary {
            both.commit([Write::Record(Box::new(row))]);
            continue;
        }
        let first = Occurrence { state: State::Armed, attempts: 1, tries: 1, was_in_doubt: false, in_doubt: false, ..row.clone() };
        let [record, attempt] = both.claim(&first);
        both.commit([record, attempt, Write::Update(Box::new(row))]);
    }
}

/// One show from its claim to its end, with its task, its requests and what went wrong.
fn a_show(both: &mut Both, job: &str, start: Timestamp) {
    let row = armed(job, start);
    let claim = both.claim(&row);
    assert!(both.commit(claim).contains(job), "it may be sent");
    let call = both.call;
    let again = both.claim(&row);
    assert!(both.commit(again).contains("another process"), "it has a row");
    both.call -= 1;
    let playing = on_air(job, start);
    let task = both.add_task(&playing);
    let answer = Answer { http_status: Some(200), ..Answer::bare(Ok(Success::Started { task_id: task.task_id.clone() })) };
    both.commit([
        Write::Answered { call, times: (start, start + SignedDuration::from_millis(40)), answer },
        Write::Update(Box::new(playing.clone())),
        Write::AddTask(Box::new(task.clone())),
        Write::RecordJobSeen { job: job.to_owned(), at: start },
        Write::Cursor { at: start },
    ]);
    let wanted = Task { phase: TaskPhase::StopWanted { since: start, tries: 2 }, ..task.clone() };
    both.commit([Write::UpdateTask(Box::new(wanted))]);
    let stopping = Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..playing.clone() };
    both.call += 1;
    let answer = Answer { http_status: Some(200), request_id: Some("r\"1".to_owned()), ..Answer::bare(Ok(Success::Stopped)) };
    let stop = Write::Called {
        call: both.call,
        task: Box::new(task.clone()),
        action: Action::Stop,
        attempt: 1,
        times: (start, start + SignedDuration::from_millis(12)),
        answer,
    };
    both.commit([Write::Update(Box::new(stopping)), stop]);
    let gone = Task { phase: TaskPhase::Gone { at: start + SignedDuration::from_hours(2), verified: true }, ..task };
    let done = Occurrence { state: State::Done { outcome: Outcome::EndedPlanned }, ended_at: playing.end.at(), ..playing };
    both.commit([Write::UpdateTask(Box::new(gone)), Write::Update(Box::new(done.clone()))]);
    assert!(both.commit([Write::Update(Box::new(done))]).contains("done already"));
}

/// What nobody could place, what operators hold back, alerts, summaries, take-backs.
fn everything_else(both: &mut Both, start: Timestamp) {
    let row = armed("taken-back", start);
    let claim = both.claim(&row);
    both.commit(claim);
    both.commit([Write::Rearm { key: row.key.clone(), attempt: 1 }]);
    both.commit([Write::Unsent { call: both.call }, Write::Remove(row.key.clone())]);
    assert!(both.commit([Write::Remove(row.key)]).contains("0 rows"));
    let late = |count: u32| Occurrence { kind: Kind::Summary, count, ..missed("many", start, Outcome::Missed(MissedReason::Down)) };
    both.commit([Write::Summarise(Box::new(late(10)))]);
    both.commit([Write::Summarise(Box::new(late(20)))]);
    let doubted = Occurrence { was_in_doubt: true, in_doubt: true, ..on_air("doubted", start) };
    let claim = both.claim(&armed("doubted", start));
    both.commit(claim.into_iter().chain([Write::Update(Box::new(doubted.clone()))]));
    let doubt = OpenDoubt::new(&doubted, start);
    both.commit([Write::AddDoubt(Box::new(doubt.clone()))]);
    both.commit([Write::AddDoubt(Box::new(OpenDoubt { was_found: true, ..doubt.clone() }))]);
    assert!(both.commit([Write::AddDoubt(Box::new(OpenDoubt { key: key("nobody", start), ..doubt }))]).contains("there is no row"));
    for (number, job) in ["a", "b"].into_iter().enumerate() {
        let of = vec![key("many", start)];
        let orphan = Orphan {
            task_id: format!("t{number}"),
            destination: doubted.playout.destination.clone(),
            seen_at: start,
            likely_job: Some(job.to_owned()),
            stop_wanted: None,
            of,
        };
        both.commit([Write::AddOrphan(orphan.clone()), Write::UpdateOrphan(Orphan { stop_wanted: Some(start), ..orphan })]);
        let callback =
            Callback { sdk_app_id: 1_400_000_001, task_id: format!("c{number}"), news: TaskNews::StartFailed, at: start };
        both.commit([Write::AddCallback(callback)]);
    }
    both.commit([Write::OrphanGone { task_id: "t1".to_owned(), at: start }, Write::CallbacksPlaced { task_id: "c0".to_owned() }]);
    let source = OrderSource { who: "uid 1000 (anna)".to_owned(), note: Some("nul \u{1} and \u{2028}".to_owned()) };
    let pause = JobPause { job: None, since: start, until: None, source: source.clone() };
    let skip = JobSkip { job: JobId::parse("many").expect("an id"), start, source };
    both.commit([Write::Hold(Box::new(Hold::Pause(pause.clone()))), Write::Hold(Box::new(Hold::Skip(skip.clone())))]);
    both.commit([
        Write::Hold(Box::new(Hold::Pause(JobPause { until: Some(start), ..pause }))),
        Write::HoldOver(Box::new(Hold::Skip(skip))),
    ]);
    let act = |what: &str, detail: String| Write::RecordAction { at: start, who: "anna".to_owned(), what: what.to_owned(), detail };
    both.commit([act("retry", format!("{}: an edit", key("many", start))), act("reload", "generation 8".to_owned())]);
    both.commit([
        Write::RecordJobLeft { job: "film".to_owned(), at: start },
        Write::Generation { number: 8, accepted_at: start },
        Write::CursorGeneration(7),
    ]);
    both.commit([
        Write::RecordJobSeen { job: "film".to_owned(), at: start },
        Write::RecordJobSeen { job: "new".to_owned(), at: start },
    ]);
    alerts(both, start);
    both.commit([Write::DeleteMissedSince { from: start }]);
}

fn alerts(both: &mut Both, start: Timestamp) {
    let alert = |id: &str, end| Alert {
        id: id.to_owned(),
        event: AlertEvent::from_name("failed").expect("an event"),
        key: "film".to_owned(),
        begun: start,
        newest: start,
        count: 2,
        text: "film failed".to_owned(),
        tell_from: start,
        lasts: false,
        end,
        receivers: vec!["desk".to_owned()],
    };
    let end = AlertEnd { at: start, text: Some("it plays".to_owned()) };
    let put = |id: &str, end: Option<AlertEnd>| Write::Alert(AlertWrite::Put(Box::new(alert(id, end))));
    let told = |id: &str| {
        let told = Told { at: start, count: 1, recovered: false };
        Write::Alert(AlertWrite::Told { alert: id.to_owned(), receiver: "desk".to_owned(), told })
    };
    both.commit([put("aaaaaaaaaaaa", None), put("bbbbbbbbbbbb", None), told("aaaaaaaaaaaa"), told("nobody")]);
    both.commit([put("aaaaaaaaaaaa", Some(end)), told("aaaaaaaaaaaa")]);
}

#[test]
fn a_file_and_a_station_do_and_answer_the_same() {
    let Some(mut both) = Both::new() else { return };
    let start = at("2026-11-22T10:00:00Z");
    rows_of_every_kind(&mut both);
    both.compare();
    for day in 0..3 {
        a_show(&mut both, "film", start + SignedDuration::from_hours(24 * day));
    }
    everything_else(&mut both, start + SignedDuration::from_secs(7));
    both.compare();
    let known = [key("film", start), key("nobody", start)];
    for (key, missed_counts) in known.iter().flat_map(|key: &Key| [(key, true), (key, false)]) {
        let (file, station) = (both.file.1.has(key, missed_counts), both.station.1.has(key, missed_counts));
        assert_eq!(file.expect("an answer"), station.expect("an answer"));
    }
    for task in ["-task+of.film", "t0", "t1", "nobody"] {
        let (file, station) = (both.file.1.knows_task(task), both.station.1.knows_task(task));
        assert_eq!(file.expect("an answer"), station.expect("an answer"), "{task}");
    }
}

#[test]
fn a_ledger_is_copied_into_a_station_and_back_and_nothing_is_lost() {
    let Some(mut both) = Both::new() else { return };
    let start = at("2026-11-22T10:00:00Z");
    rows_of_every_kind(&mut both);
    a_show(&mut both, "film", start);
    everything_else(&mut both, start);
    let sources = [Source { name: Arc::from("a.yaml"), text: "jobs: {}\n".to_owned() }];
    // A copy of the file, which stays open: what is copied is what is on the disk.
    let (folder, database) = (tempfile::tempdir().expect("a folder"), Database::new().expect("a database"));
    let copy = folder.path().join(ledger::FILE);
    std::fs::copy(both.file.1.path(), &copy).expect("copied");
    std::fs::copy(format!("{}-wal", both.file.1.path().display()), format!("{}-wal", copy.display())).expect("copied");
    Sources::at(Place::from(folder.path())).save(3, &sources).expect("kept");
    let to = station(&database);
    let copied = ledger::copy_to_station(folder.path(), &to).expect("copied");
    assert!(copied.occurrences > 100 && copied.rows > copied.occurrences && copied.generations == 1, "{copied}");
    let refused = ledger::copy_to_station(folder.path(), &to).expect_err("it has rows").to_string();
    assert!(refused.contains("has rows already"), "{refused}");
    let term = take(&database, false);
    let refused = ledger::copy_to_station(folder.path(), &to).expect_err("somebody owns it").to_string();
    assert!(refused.contains("stop every daemon"), "{refused}");
    let mut both = Both { station: (database, Ledger::open_station(&to, term).expect("a ledger")), ..both };
    both.compare();
    // What the database numbers goes on behind what was copied.
    a_show(&mut both, "after", start);
    both.compare();
    let taken = take(&both.station.0, true);
    let lock = Lock::take(folder.path()).expect("nobody has it");
    let refused = ledger::copy_to_folder(&to, folder.path()).expect_err("a daemon runs").to_string();
    assert!(refused.contains("another ingestd runs"), "{refused}");
    drop((lock, taken));
    both.station.0.psql("UPDATE ingestd.station SET released = true");
    let back = tempfile::tempdir().expect("a folder");
    let copied = ledger::copy_to_folder(&to, back.path()).expect("copied back");
    assert_eq!(copied.generations, 1);
    let file = Ledger::open(back.path()).expect("a ledger");
    let term = take(&both.station.0, false);
    let station = (both.station.0, Ledger::open_station(&to, term).expect("a ledger"));
    Both { file: (back, file), station, ..both }.compare();
}

#[test]
fn a_file_and_a_station_forget_the_same() {
    let Some(mut both) = Both::new() else { return };
    let start = at("2026-09-01T10:00:00Z");
    for day in 0..20 {
        a_show(&mut both, "film", start + SignedDuration::from_hours(24 * day));
    }
    let now = start + SignedDuration::from_hours(24 * 60);
    both.commit([Write::Cursor { at: now }]);
    let place = Place::Station(station(&both.station.0));
    for retention in
        [Retention { keep: Some(SignedDuration::from_hours(24 * 50)), most: None }, Retention { keep: None, most: Some(4) }]
    {
        let file = ledger::prune(&Place::from(both.file.0.path()), retention, now).expect("pruned");
        assert_eq!(file, ledger::prune(&place, retention, now).expect("pruned"));
        assert!(file.occurrences > 0);
        both.compare();
    }
    for place in [&place, &Place::from(both.file.0.path())] {
        ledger::record_chore(place, "prune", "timer", now, Ok("done")).expect("written");
        ledger::record_chore(place, "backup", "timer", now, Err("no")).expect("written");
        assert_eq!(ledger::chore_done_at(place, "prune").expect("readable"), Some(now));
        assert_eq!(ledger::chore_done_at(place, "backup").expect("readable"), None);
    }
    both.compare();
    let refused = ledger::backup(&place, both.file.0.path(), None, now).expect_err("it is no file");
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
    assert!(ledger::integrity(&place).expect("an answer").is_empty());
}
