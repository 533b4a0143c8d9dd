//! The chores of a running daemon: it prunes the ledger, looks through it and copies it, each at its time, one at a time, on a thread of
//! low priority. The loop waits for none of them. Does not know what a chore does to the file.
//!
//! `tokio-cron-scheduler` says when a chore is to run. It may be half a second late, and it can lose a run. A chore that missed its last
//! time runs after the next boot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::alerts::AlertEvent;
use crate::background::give_way;
use crate::clock;
use crate::config::{ChoreTime, Chores};
use crate::daemon::Handle;
use crate::ledger::{self, Place};

/// How long after boot a chore begins that missed its time: the starts and stops of the boot come first.
const BEGINS_AFTER: Duration = Duration::from_mins(1);

/// How long the first waits for others of the same time: the scheduler says so of one after the other, half a second late
/// at most.
const GATHER: Duration = Duration::from_secs(2);

/// Who does them, in the ledger.
const WHO: &str = "ingestd";

/// One of them. Chores of the same time run in this order: a copy is made before anything is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chore {
    /// Copies the ledger.
    Backup,
    /// Deletes old rows.
    Prune,
    /// Looks through the ledger.
    Integrity,
}

impl Chore {
    const ALL: [Chore; 3] = [Chore::Backup, Chore::Prune, Chore::Integrity];

    /// Its name in the settings, the ledger and the log.
    pub fn name(self) -> &'static str {
        match self {
            Chore::Backup => "backup",
            Chore::Prune => "prune",
            Chore::Integrity => "integrity",
        }
    }

    fn time(self, chores: &Chores) -> Option<&ChoreTime> {
        match self {
            Chore::Backup => chores.backup.as_ref().map(|(_, time)| time),
            Chore::Prune => chores.prune.as_ref().map(|(_, time)| time),
            Chore::Integrity => chores.integrity.as_ref(),
        }
    }

    /// Does it for the ledger at a place. Returns what came of it, in words.
    ///
    /// Errors: it could not be done, or the ledger is damaged.
    fn run(self, chores: &Chores, place: &Place, now: Timestamp) -> Result<String, String> {
        let text = |error: ledger::LedgerError| error.to_string();
        match self {
            Chore::Backup => {
                let Some((folder, _)) = &chores.backup else { return Err("the settings name no folder".to_owned()) };
                ledger::backup(place, &folder.to, Some(folder.keep), now).map_err(text).map(|made| made.to_string())
            }
            Chore::Prune => {
                let Some((retention, _)) = &chores.prune else { return Err("the settings do not say what is kept".to_owned()) };
                ledger::prune(place, *retention, now).map_err(text).map(|pruned| pruned.to_string())
            }
            Chore::Integrity => {
                let problems = ledger::integrity(place).map_err(text)?;
                if problems.is_empty() { Ok("the ledger is whole".to_owned()) } else { Err(damaged(&problems)) }
            }
        }
    }
}

fn damaged(problems: &[String]) -> String {
    format!(
        "the ledger is damaged: {}; stop the daemon, keep a copy of the file, and put the newest good backup in its place, begun with \
         `ingestd run --as-of now`",
        problems.join("; ")
    )
}

/// The chores that failed when they were last done, each with the reason.
pub type FailedChores = BTreeMap<Chore, String>;

/// What they work with.
struct Keeper {
    chores: Arc<Chores>,
    place: Place,
    handle: Handle,
    failed: watch::Sender<FailedChores>,
}

/// Begins to do the chores at their times, until the task is aborted. Returns which of them fail, and the task.
pub fn begin(chores: Chores, place: Place, handle: Handle) -> (watch::Receiver<FailedChores>, JoinHandle<()>) {
    begin_after(BEGINS_AFTER, chores, place, handle)
}

fn begin_after(
    looks_back_after: Duration,
    chores: Chores,
    place: Place,
    handle: Handle,
) -> (watch::Receiver<FailedChores>, JoinHandle<()>) {
    let (failed, failing) = watch::channel(FailedChores::new());
    let keeper = Keeper { chores: Arc::new(chores), place, handle, failed };
    (failing, tokio::spawn(keeper.keep(looks_back_after)))
}

impl Keeper {
    async fn keep(self, looks_back_after: Duration) {
        if Chore::ALL.iter().all(|chore| chore.time(&self.chores).is_none()) {
            return;
        }
        let (sender, mut due) = mpsc::unbounded_channel();
        // It runs until it is dropped.
        let _scheduler = match schedule(&self.chores, &sender).await {
            Ok(scheduler) => scheduler,
            Err(error) => {
                tracing::error!("no chore is done: the scheduler of the chores does not begin: {error}");
                return;
            }
        };
        let boot = sleep(looks_back_after);
        tokio::pin!(boot);
        let mut looked_back = false;
        loop {
            let mut all = tokio::select! {
                Some(first) = due.recv() => {
                    sleep(GATHER).await;
                    vec![first]
                }
                () = &mut boot, if !looked_back => {
                    looked_back = true;
                    self.missed(clock::now()).await
                }
            };
            // What came again meanwhile is done once.
            while let Ok(more) = due.try_recv() {
                all.push(more);
            }
            all.sort_unstable();
            all.dedup();
            for chore in all {
                self.run(chore).await;
            }
        }
    }

    /// Returns the chores that missed their last time. One that was never done waits for its next time.
    async fn missed(&self, now: Timestamp) -> Vec<Chore> {
        let (chores, place) = (Arc::clone(&self.chores), self.place.clone());
        let look = move || Chore::ALL.into_iter().filter(|chore| was_missed(*chore, &chores, &place, now)).collect();
        on_a_thread("chores", look).await.unwrap_or_default()
    }

    async fn run(&self, chore: Chore) {
        let (name, now) = (chore.name(), clock::now());
        tracing::info!("the chore `{name}` begins");
        let (chores, place) = (Arc::clone(&self.chores), self.place.clone());
        let run = move || {
            let result = chore.run(&chores, &place, now);
            record(chore, &place, now, result.as_deref().map_err(String::as_str));
            result
        };
        let result = on_a_thread(name, run).await.and_then(|result| result);
        let key = format!("chore {name}");
        match result {
            Ok(text) => {
                tracing::info!("the chore `{name}` is done: {text}");
                self.failed.send_if_modified(|failed| failed.remove(&chore).is_some());
                self.handle.clear(AlertEvent::Disk, &key, format!("the chore `{name}` is done: {text}")).await;
            }
            Err(why) => {
                let text = format!("the chore `{name}` failed: {why}");
                tracing::error!("{text}");
                self.failed.send_modify(|failed| drop(failed.insert(chore, text.clone())));
                self.handle.raise(AlertEvent::Disk, &key, text).await;
            }
        }
    }
}

fn was_missed(chore: Chore, chores: &Chores, place: &Place, now: Timestamp) -> bool {
    let Some(time) = chore.time(chores) else { return false };
    match ledger::chore_done_at(place, chore.name()) {
        Ok(Some(done)) => time.last(now).is_some_and(|last| done < last),
        Ok(None) => {
            record(chore, place, now, Ok("its time is in the settings now"));
            false
        }
        Err(error) => {
            tracing::error!("whether the chore `{}` was missed cannot be told: {error}", chore.name());
            false
        }
    }
}

fn record(chore: Chore, place: &Place, at: Timestamp, result: Result<&str, &str>) {
    if let Err(error) = ledger::record_chore(place, chore.name(), WHO, at, result) {
        tracing::error!("what came of the chore `{}` cannot be recorded: {error}", chore.name());
    }
}

/// Runs something that reads or writes files, on a thread that lets every other go first.
async fn on_a_thread<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (sender, result) = oneshot::channel();
    let run = move || {
        give_way();
        // Who waits may be ending.
        let _ = sender.send(run());
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| format!("there is no thread for it: {error}"))?;
    // A panic is a bug of ours, and in the log.
    result.await.map_err(|_| "it ended early".to_owned())
}

async fn schedule(chores: &Chores, due: &UnboundedSender<Chore>) -> Result<JobScheduler, String> {
    let failed = |error: tokio_cron_scheduler::JobSchedulerError| error.to_string();
    let scheduler = JobScheduler::new().await.map_err(failed)?;
    for chore in Chore::ALL {
        let Some(time) = chore.time(chores) else { continue };
        let due = due.clone();
        let job = Job::new(time.with_seconds(), move |_, _| {
            let _ = due.send(chore);
        })
        .map_err(failed)?;
        scheduler.add(job).await.map_err(failed)?;
    }
    scheduler.start().await.map_err(failed)?;
    Ok(scheduler)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;
    use crate::config::BackupPlace;
    use crate::daemon::{AlertMessage, Message, Messages};
    use crate::ledger::Ledger;
    use std::path::Path;

    /// A backup each night, into a folder beside the ledger.
    fn nightly(state: &Path) -> Chores {
        let place = BackupPlace { to: state.join("copies"), keep: 2 };
        Chores { backup: Some((place, ChoreTime::parse("0 4 * * *").expect("a time"))), ..Chores::default() }
    }

    fn ledger() -> (TempDir, Ledger) {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        (folder, ledger)
    }

    async fn told(messages: &mut Messages) -> AlertMessage {
        let message = timeout(Duration::from_secs(45), messages.recv()).await.expect("in time").expect("a message");
        let Message::Alert(message) = message else { panic!("another message") };
        message
    }

    #[tokio::test]
    async fn a_chore_whose_time_passed_while_nobody_was_there_is_done_after_boot() {
        let (folder, _ledger) = ledger();
        let before = clock::now() - SignedDuration::from_hours(25);
        ledger::record_chore(&Place::from(folder.path()), "backup", WHO, before, Ok("good")).expect("written");
        let (handle, mut messages) = Handle::new();
        let (failed, task) = begin_after(Duration::ZERO, nightly(folder.path()), Place::from(folder.path()), handle);
        let message = told(&mut messages).await;
        assert!(
            matches!(&message, AlertMessage::Clear { event: AlertEvent::Disk, key, .. } if key == "chore backup"),
            "{message:?}"
        );
        assert!(failed.borrow().is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("copies")).expect("a folder").count(), 1);
        assert!(ledger::chore_done_at(&Place::from(folder.path()), "backup").expect("readable").is_some_and(|done| done > before));
        task.abort();
    }

    #[tokio::test]
    async fn a_chore_that_fails_is_told_and_is_due_again_after_the_next_boot() {
        let (folder, _ledger) = ledger();
        let before = clock::now() - SignedDuration::from_hours(25);
        ledger::record_chore(&Place::from(folder.path()), "backup", WHO, before, Ok("good")).expect("written");
        std::fs::write(folder.path().join("copies"), "no folder").expect("written");
        for _ in 0..2 {
            let (handle, mut messages) = Handle::new();
            let (failed, task) = begin_after(Duration::ZERO, nightly(folder.path()), Place::from(folder.path()), handle);
            let AlertMessage::Raise { event: AlertEvent::Disk, key, text } = told(&mut messages).await else { panic!("another") };
            assert_eq!(key, "chore backup");
            assert!(text.starts_with("the chore `backup` failed: cannot make the folder of backups"), "{text}");
            assert_eq!(failed.borrow().values().next(), Some(&text));
            task.abort();
        }
        assert_eq!(
            ledger::chore_done_at(&Place::from(folder.path()), "backup").expect("readable").map(Timestamp::as_millisecond),
            Some(before.as_millisecond())
        );
    }

    #[test]
    fn a_chore_that_is_new_in_the_settings_waits_for_its_time_and_one_in_time_is_not_missed() {
        let (folder, _ledger) = ledger();
        let chores = nightly(folder.path());
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let place = Place::from(folder.path());
        let missed = |now: &str| was_missed(Chore::Backup, &chores, &place, at(now));
        assert!(!missed("2026-11-28T05:00:00Z"), "it was never done");
        assert!(!missed("2026-11-29T03:59:59Z"), "its next time is to come");
        assert!(missed("2026-11-29T04:00:00Z") && missed("2026-12-24T18:00:00Z"));
        record(Chore::Backup, &place, at("2026-12-24T04:00:03Z"), Ok("good"));
        assert!(!missed("2026-12-24T18:00:00Z"));
        assert!(!was_missed(Chore::Prune, &chores, &place, at("2026-12-24T18:00:00Z")), "the settings do not have it");
    }
}
