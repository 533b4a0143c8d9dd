//! The ledger as the loop has it: what is decided is handed over, and the loop goes on when the disk does not answer within a moment. What
//! is decided meanwhile waits here. Does not decide what a disk that stands means.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::busy::BusySince;
use crate::engine::{Known, Writes};
use crate::ledger::thread::{Committed, LedgerThread, Report};
use crate::ledger::{Attempt, Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::occurrence::Key;

/// How long a turn waits for its commit. An ordinary commit takes a few milliseconds, and nothing else happens meanwhile, so that the
/// ordinary case has one order: written, sent, told. Stops on the other side of a disk that stands are late by no more than this, once.
const COMMIT_WAIT: Duration = Duration::from_millis(100);

/// The ledger, with what waits for it.
pub(super) struct Disk {
    place: Place,
    /// Decided while a commit was not answered.
    waiting: Writes,
    /// A commit was handed over and is not answered.
    is_outstanding: bool,
    /// The ledger keeps what it could not write.
    is_kept: bool,
    /// Why nothing that is written can be found again.
    trouble: Option<String>,
}

/// What the ledger does in simulated time, where nothing makes it so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SimulatedDisk {
    /// It answers at once.
    #[default]
    Answers,
    /// It does not answer.
    Stands,
    /// It answers that another host owns it.
    Deposes,
}

/// Where commits are made.
enum Place {
    /// In the loop, for simulated time: a commit takes none, but while the disk stands.
    Here { ledger: Box<Ledger>, request: Option<(Writes, Timestamp)>, gate: watch::Receiver<SimulatedDisk> },
    /// On a thread, which may stand without the loop.
    Thread(LedgerThread),
}

impl Disk {
    /// Commits in the loop itself, as `gate` says.
    pub(super) fn here(ledger: Ledger, gate: watch::Receiver<SimulatedDisk>) -> Disk {
        Disk::of(Place::Here { ledger: Box::new(ledger), request: None, gate })
    }

    fn of(place: Place) -> Disk {
        Disk { place, waiting: Writes::default(), is_outstanding: false, is_kept: false, trouble: None }
    }

    /// Commits on a thread from now on. Errors: there is none to be had.
    pub(super) fn on_thread(self, busy: BusySince, metrics: Arc<Metrics>) -> Result<Disk, LedgerError> {
        let place = match self.place {
            Place::Here { ledger, .. } => Place::Thread(LedgerThread::start(*ledger, busy, metrics)?),
            place @ Place::Thread(_) => place,
        };
        Ok(Disk { place, ..self })
    }

    /// Commits at once, before anything else happens.
    pub(super) fn commit_first(&mut self, writes: Writes, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        let Place::Here { ledger, .. } = &mut self.place else { return Ok(Vec::new()) };
        let result = ledger.commit(writes, now);
        self.is_kept = ledger.is_behind();
        result
    }

    /// Hands over what was decided, with what waits; while a commit is not answered it waits too. Returns what came of it within a moment;
    /// `None`: nobody knows yet, and a report follows. Other reports are put into `others`.
    pub(super) async fn commit(
        &mut self,
        writes: Writes,
        now: Timestamp,
        others: &mut Vec<Report>,
    ) -> Option<Result<Vec<Attempt>, LedgerError>> {
        self.waiting.extend(writes);
        if self.is_outstanding {
            return None;
        }
        if self.waiting.is_empty() && !self.is_kept {
            return Some(Ok(Vec::new()));
        }
        let writes = std::mem::take(&mut self.waiting);
        self.is_outstanding = true;
        match &mut self.place {
            Place::Here { request, .. } => *request = Some((writes, now)),
            Place::Thread(thread) => thread.commit(writes, now),
        }
        let answer = async {
            loop {
                match self.report().await {
                    Report::Committed(committed) => return committed,
                    other @ Report::Inspected(_) => others.push(other),
                }
            }
        };
        let committed = timeout(COMMIT_WAIT, answer).await.ok()?;
        Some(self.committed(committed))
    }

    /// The next report. Nothing is lost when it is dropped before it is ready.
    pub(super) async fn report(&mut self) -> Report {
        match &mut self.place {
            Place::Thread(thread) => thread.report().await,
            Place::Here { ledger, request, gate } => {
                // Whoever makes it stand may be gone: then it stands no more.
                while *gate.borrow_and_update() == SimulatedDisk::Stands && gate.changed().await.is_ok() {}
                let Some((writes, now)) = request.take() else { return std::future::pending().await };
                let deposes = *gate.borrow() == SimulatedDisk::Deposes;
                let result = if deposes { Err(LedgerError::deposed()) } else { ledger.commit(writes, now) };
                Report::Committed(Committed { result, is_behind: ledger.is_behind() })
            }
        }
    }

    /// Takes in what came of a commit: what may be sent, but what was taken back since.
    pub(super) fn committed(&mut self, committed: Committed) -> Result<Vec<Attempt>, LedgerError> {
        self.is_outstanding = false;
        self.is_kept = committed.is_behind;
        let mut attempts = committed.result?;
        attempts.retain(|attempt| !attempt.is_taken_back_by(&self.waiting));
        Ok(attempts)
    }

    /// What a look at the file found.
    pub(super) fn set_trouble(&mut self, trouble: Option<String>) {
        self.trouble = trouble;
    }

    /// Why nothing that is written can be found again, if so.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether a commit or a question is not answered.
    pub(super) fn stands(&self) -> bool {
        self.is_outstanding || matches!(&self.place, Place::Thread(thread) if thread.is_overdue())
    }

    /// Whether a commit was handed over and is not answered.
    pub(super) fn is_outstanding(&self) -> bool {
        self.is_outstanding
    }

    /// Whether something was decided that is not written, or the disk does not answer, so that nothing may be claimed.
    pub(super) fn is_behind(&self) -> bool {
        self.stands() || self.is_kept || !self.waiting.is_empty() || self.trouble.is_some()
    }

    /// As [`Ledger::has`].
    pub(super) fn has(&self, key: &Key, missed_counts: bool) -> Result<bool, LedgerError> {
        match self.waiting.knows(key, missed_counts) {
            Known::Yes => Ok(true),
            Known::No => Ok(false),
            Known::Unknown => self.ask(|place| place.has(key, missed_counts)),
            Known::UnlessMissed => self.ask(|place| place.has(key, false)),
        }
    }

    /// As [`Ledger::knows_task`].
    pub(super) fn knows_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        if self.waiting.knows_task(task_id) { Ok(true) } else { self.ask(|place| place.knows_task(task_id)) }
    }

    /// Nobody is asked while a commit is not answered: the answer would come no sooner.
    fn ask(&self, question: impl Fn(&Place) -> Result<bool, LedgerError>) -> Result<bool, LedgerError> {
        if self.is_outstanding { Err(LedgerError::stands()) } else { question(&self.place) }
    }
}

impl Place {
    fn has(&self, key: &Key, missed_counts: bool) -> Result<bool, LedgerError> {
        match self {
            Place::Here { ledger, gate, .. } => gated(gate, || ledger.has(key, missed_counts)),
            Place::Thread(thread) => thread.has(key, missed_counts),
        }
    }

    fn knows_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        match self {
            Place::Here { ledger, gate, .. } => gated(gate, || ledger.knows_task(task_id)),
            Place::Thread(thread) => thread.knows_task(task_id),
        }
    }
}

fn gated(gate: &watch::Receiver<SimulatedDisk>, answer: impl Fn() -> Result<bool, LedgerError>) -> Result<bool, LedgerError> {
    match *gate.borrow() {
        SimulatedDisk::Answers => answer(),
        SimulatedDisk::Stands => Err(LedgerError::stands()),
        SimulatedDisk::Deposes => Err(LedgerError::deposed()),
    }
}
