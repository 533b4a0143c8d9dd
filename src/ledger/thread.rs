//! The ledger on a thread of its own, so that a disk that stands holds up nobody: writes are handed over and reported back, and a question
//! is given up after a moment. The thread also looks now and then whether the file is still there. Does not decide what it means.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::{Attempt, Inspection, Ledger, LedgerError};
use crate::busy::BusySince;
use crate::engine::Writes;
use crate::metrics::Metrics;
use crate::occurrence::Key;

/// How long a question of the loop may take; without an answer nobody can say now. The loop stands for so long at most, and then asks
/// no more before the disk has answered.
const QUESTION_MAX: Duration = Duration::from_millis(50);

/// How often the file is looked at.
const INSPECT_EVERY: Duration = Duration::from_secs(20);

/// How often while something is wrong with it.
const INSPECT_AGAIN: Duration = Duration::from_secs(1);

/// How long an end waits for the disk.
const END_MAX: Duration = Duration::from_secs(1);

/// How long a commit waits for another process that writes. Nobody waits for the commit.
const BUSY: Duration = Duration::from_secs(5);

/// What came of what was handed over, and what was seen.
#[derive(Debug)]
pub enum Report {
    /// The commit that was handed over.
    Committed(Committed),
    /// The file is not as it was when it was looked at last.
    Inspected(Inspection),
}

/// What came of a commit.
#[derive(Debug)]
pub struct Committed {
    /// What may be sent, or why it could not be written.
    pub result: Result<Vec<Attempt>, LedgerError>,
    /// Whether the ledger keeps something that it could not write.
    pub is_behind: bool,
}

/// What the ledger is asked in the middle of a step.
enum Question {
    Has(Key, bool),
    KnowsTask(String),
}

enum Request {
    Commit(Writes, Timestamp),
    Ask(Question, Sender<Result<bool, LedgerError>>),
}

/// A ledger on its thread.
pub struct LedgerThread {
    requests: Option<Sender<Request>>,
    reports: UnboundedReceiver<Report>,
    /// Of a question that was given up. Nobody is asked before it is answered.
    overdue: RefCell<Option<Receiver<Result<bool, LedgerError>>>>,
    ended: Receiver<()>,
}

impl LedgerThread {
    /// Moves a ledger to its thread. `busy` tells how long one thing takes there, and `metrics` how long each commit took.
    ///
    /// Errors: there is no thread to be had, or the ledger does not take its settings.
    pub fn start(ledger: Ledger, busy: BusySince, metrics: Arc<Metrics>) -> Result<LedgerThread, LedgerError> {
        ledger.database.wait_for_others(BUSY)?;
        let (requests, taken) = mpsc::channel();
        let (sender, reports) = unbounded_channel();
        let (alive, ended) = mpsc::channel();
        let serve = move || {
            serve(ledger, &taken, &sender, (&busy, &metrics));
            drop::<Sender<()>>(alive);
        };
        thread::Builder::new().name("ledger".to_owned()).spawn(serve)?;
        Ok(LedgerThread { requests: Some(requests), reports, overdue: RefCell::default(), ended })
    }

    /// Hands over what is to be written. What comes of it is a [`Report`]; until then nothing more is handed over.
    pub fn commit(&self, writes: Writes, now: Timestamp) {
        self.send(Request::Commit(writes, now));
    }

    /// The next report. Nothing is lost when it is dropped before it is ready.
    pub async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            // The thread ends before this value only by a panic, which is a bug of ours: the service manager starts us again.
            None => panic!("the thread of the ledger is gone"),
        }
    }

    /// As [`Ledger::has`], and no answer in time is an error that passes.
    pub fn has(&self, key: &Key, missed_counts: bool) -> Result<bool, LedgerError> {
        self.ask(Question::Has(key.clone(), missed_counts))
    }

    /// As [`Ledger::knows_task`], and no answer in time is an error that passes.
    pub fn knows_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        self.ask(Question::KnowsTask(task_id.to_owned()))
    }

    /// Whether a question was given up and is not answered yet.
    pub fn is_overdue(&self) -> bool {
        let mut overdue = self.overdue.borrow_mut();
        let is_open = overdue.as_ref().is_some_and(|answer| matches!(answer.try_recv(), Err(mpsc::TryRecvError::Empty)));
        if !is_open {
            *overdue = None;
        }
        is_open
    }

    fn ask(&self, question: Question) -> Result<bool, LedgerError> {
        if self.is_overdue() {
            return Err(LedgerError::stands());
        }
        let (sender, answer) = mpsc::channel();
        self.send(Request::Ask(question, sender));
        answer.recv_timeout(QUESTION_MAX).unwrap_or_else(|_| {
            *self.overdue.borrow_mut() = Some(answer);
            Err(LedgerError::stands())
        })
    }

    fn send(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // The next report tells if nobody takes it.
            let _ = requests.send(request);
        }
    }
}

impl Drop for LedgerThread {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It closes the file in good order, unless the disk stands.
        let _ = self.ended.recv_timeout(END_MAX);
    }
}

fn serve(
    mut ledger: Ledger,
    requests: &Receiver<Request>,
    reports: &UnboundedSender<Report>,
    (busy, metrics): (&BusySince, &Metrics),
) {
    let mut last = Inspection::default();
    let mut inspect_at = Instant::now() + INSPECT_EVERY;
    loop {
        let request = match requests.recv_timeout(inspect_at.saturating_duration_since(Instant::now())) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        busy.begin();
        match request {
            Some(Request::Commit(writes, now)) => {
                let begun = Instant::now();
                let result = ledger.commit(writes, now);
                metrics.commit_time.observe(begun.elapsed());
                let is_behind = ledger.is_behind();
                // Who asked may be ending.
                let _ = reports.send(Report::Committed(Committed { result, is_behind }));
            }
            Some(Request::Ask(question, answer)) => {
                let found = match question {
                    Question::Has(key, missed_counts) => ledger.has(&key, missed_counts),
                    Question::KnowsTask(task_id) => ledger.knows_task(&task_id),
                };
                let _ = answer.send(found);
            }
            None => {
                let found = ledger.inspect();
                inspect_at = Instant::now() + if found.trouble.is_some() { INSPECT_AGAIN } else { INSPECT_EVERY };
                if found != last {
                    last = found.clone();
                    let _ = reports.send(Report::Inspected(found));
                }
            }
        }
        busy.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Write;
    use rusqlite::Connection;

    fn key(start: Timestamp) -> Key {
        Key { start, job: crate::schedule::JobId::parse("show").expect("a job id") }
    }

    #[tokio::test]
    async fn what_is_handed_over_is_written_and_questions_are_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        let busy = BusySince::default();
        let mut thread = LedgerThread::start(ledger, busy, Arc::default()).expect("a thread");
        let at = Timestamp::UNIX_EPOCH;
        let mut writes = Writes::default();
        writes.push(Write::Cursor { at });
        thread.commit(writes, at);
        let Report::Committed(Committed { result, is_behind }) = thread.report().await else { panic!("another report") };
        assert!(result.is_ok_and(|attempts| attempts.is_empty()) && !is_behind);
        assert!(matches!((thread.has(&key(at), true), thread.knows_task("t")), (Ok(false), Ok(false))));
        drop(thread);
        assert_eq!(Ledger::open(folder.path()).and_then(|ledger| ledger.meta()).expect("readable").cursor, Some(at));
    }

    #[tokio::test]
    async fn a_disk_that_stands_is_asked_once_and_not_again_before_it_has_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        let other = Connection::open(ledger.path()).expect("it opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
        let busy = BusySince::default();
        let mut thread = LedgerThread::start(ledger, busy.clone(), Arc::default()).expect("a thread");
        let at = Timestamp::UNIX_EPOCH;
        let mut writes = Writes::default();
        writes.push(Write::Cursor { at });
        thread.commit(writes, at);
        for _ in 0..100 {
            let error = thread.has(&key(at), true).expect_err("nobody answers");
            assert!(error.is_passing() && thread.is_overdue(), "{error}");
        }
        other.execute_batch("ROLLBACK").expect("it ends");
        assert!(matches!(thread.report().await, Report::Committed(Committed { result: Ok(_), is_behind: false })));
        let begin = Instant::now();
        while thread.is_overdue() {
            assert!(begin.elapsed() < Duration::from_secs(20), "it answers");
            thread::yield_now();
        }
        assert!(thread.has(&key(at), true).is_ok());
        assert_eq!(busy.stands(), None);
    }
}
