//! Reload: the schedule files and the secrets are read again. The schedule is checked, compared with what is in force, kept, and then
//! given to the daemon. SIGHUP and the control socket do the same. If anything is wrong with it, the last good schedule stays in force
//! and the status says so. Refuses to know what happens to what is on air: the daemon decides that.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use jiff::tz::TimeZoneDatabase;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, watch};

use crate::cli::load::{self, Loaded};
use crate::cli::{CONFIG_DEFAULT, Context};
use crate::clock;
use crate::config::Settings;
use crate::daemon::Handle;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::engine::{Command, Generation, Order, Prepared, Reply, SecretsRead};
use crate::ledger::Reader;
use crate::ledger::sources;
use crate::schedule::difference::Difference;
use crate::schedule::{Schedule, Source};
use crate::systemd::Manager;
use crate::trtc::Api;
use crate::web::InForce;
use crate::web::control::Reloader;

/// The most changes that are named one by one, in the log and in the answer.
const CHANGES_SHOWN_MAX: usize = 50;
/// The most changes that the ledger keeps one by one.
const CHANGES_KEPT_MAX: usize = 1_000;
/// The most problems that the answer names; the log has all.
const PROBLEMS_SHOWN_MAX: usize = 20;

/// The code of a reload that failed, whatever the files say.
const NOT_TAKEN: &str = "not-taken";

/// Everything a reload needs, for as long as the daemon runs.
pub(super) struct Reload {
    context: Context,
    settings: Settings,
    /// Of the settings file when it was read; nothing if it could not be read a second time.
    settings_digest: Option<[u8; 32]>,
    zones: TimeZoneDatabase,
    folder: PathBuf,
    handle: Handle,
    manager: Arc<Manager>,
    in_force: watch::Sender<InForce>,
    /// The sources in force. Held over a whole reload: one at a time.
    sources: Mutex<Vec<Source>>,
    reread: Reread,
}

/// Reads the secrets again.
pub(super) type Reread = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = SecretsRead> + Send>> + Send + Sync>;

/// The secrets of this API.
pub(super) fn reread<A: Api>(api: Arc<A>) -> Reread {
    Arc::new(move || -> Pin<Box<dyn Future<Output = SecretsRead> + Send>> {
        let api = Arc::clone(&api);
        Box::pin(async move { api.reread_secrets().await })
    })
}

/// What was read.
struct ReadFiles {
    loaded: Loaded<Schedule>,
    settings_differ: bool,
}

impl Reload {
    /// For a daemon that is about to run on `first`, made of `sources`. `folder` is where accepted sources are kept.
    pub(super) fn new(
        context: &Context,
        settings: &Settings,
        zones: &TimeZoneDatabase,
        folder: PathBuf,
        (handle, manager): (Handle, Arc<Manager>),
        (first, sources): (InForce, Vec<Source>),
        reread: Reread,
    ) -> Reload {
        Reload {
            settings_digest: settings_digest(context).ok(),
            context: context.clone(),
            settings: settings.clone(),
            zones: zones.clone(),
            folder,
            handle,
            manager,
            in_force: watch::Sender::new(first),
            sources: Mutex::new(sources),
            reread,
        }
    }

    /// What is in force, and what will be.
    pub(super) fn in_force(&self) -> watch::Receiver<InForce> {
        self.in_force.subscribe()
    }

    /// The form that the control socket needs. A client that closes its connection does not end a reload halfway.
    pub(super) fn reloader(self: &Arc<Reload>) -> Reloader {
        let reload = Arc::clone(self);
        Arc::new(move |who, force| -> Pin<Box<dyn Future<Output = Reply> + Send>> {
            let reload = Arc::clone(&reload);
            let done = tokio::spawn(async move { reload.run(who, force).await });
            Box::pin(async move { done.await.unwrap_or_else(|_| Err("this is a bug of ingestd: see the log".to_owned())) })
        })
    }

    /// Reads the files again. `who` asked; with `force` also a schedule that drops most jobs is accepted.
    pub(super) async fn run(self: Arc<Reload>, who: String, force: bool) -> Reply {
        let mut sources = self.sources.lock().await;
        log_failure(self.manager.reloading(clock::monotonic_us()));
        let reply = self.take(&mut sources, &who, force).await;
        let reply = self.reread_secrets(&who, reply).await;
        log_failure(self.manager.ready());
        reply
    }

    /// Reads the secrets again, whatever came of the schedule, and adds what came of that. The schedule comes first: what is tried with
    /// other secrets should be what was edited.
    async fn reread_secrets(&self, who: &str, reply: Reply) -> Reply {
        let read = (self.reread)().await;
        let told = self.handle.order(Order { who: who.to_owned(), command: Command::TakeSecrets(read) }).await;
        let told = told.unwrap_or_else(|why| vec![why]);
        match reply {
            Ok(lines) => Ok(lines.into_iter().chain(told).collect()),
            Err(why) => Err([vec![why], told].concat().join("\n")),
        }
    }

    async fn take(self: &Arc<Reload>, sources: &mut Vec<Source>, who: &str, force: bool) -> Reply {
        let ReadFiles { loaded, settings_differ } = self.blocking(Reload::read).await?;
        let mut lines = Vec::new();
        if settings_differ {
            let path = self.context.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
            let line = format!("`{}` differs from what was read at start: restart the daemon to use it", path.display());
            tracing::warn!("{line}");
            lines.push(line);
        }
        let Some(schedule) = loaded.value else { return Err(self.reject(who, loaded.diagnostics)) };
        let new: Vec<Source> = loaded.texts.into_iter().map(|(name, text)| Source { name, text }).collect();
        let before = self.in_force.borrow().generation.clone();
        let number = before.number + 1;
        let old_sources = std::mem::take(sources);
        let (assessment, old_sources) =
            self.blocking(move |_| (assess(&before, schedule, (&old_sources, &new), force), (old_sources, new))).await?;
        let (old_sources, new) = old_sources;
        *sources = old_sources;
        let (difference, prepared) = match assessment {
            Assessment::Same => {
                self.in_force.send_modify(|in_force| in_force.rejected = Arc::from([]));
                tracing::info!(who, generation = number - 1, "reload: nothing changed");
                lines.push(format!("nothing changed: generation {} stays in force", number - 1));
                return Ok(lines);
            }
            Assessment::DropsTooMuch { removed, of } => return Err(self.hold_back(who, removed, of)),
            Assessment::Good(difference, prepared) => (difference, prepared),
        };
        let generation = prepared.generation().clone();
        // Kept before it is accepted: whatever the ledger says was in force, a restart finds.
        let (saved, new) = self.blocking(move |reload| (sources::save(&reload.folder, number, &new), new)).await?;
        saved.map_err(|error| self.fail(who, format!("cannot keep the schedule's sources: {error}")))?;
        let changes = difference.lines();
        let command = Command::Accept { prepared, changes: first_lines(&changes, CHANGES_KEPT_MAX) };
        self.handle.order(Order { who: who.to_owned(), command }).await.map_err(|why| self.fail(who, why))?;
        let old_sources = std::mem::replace(sources, new);
        let accepted_at = self.blocking(move |reload| reload.prune(number)).await?;
        let in_force = InForce { generation: generation.clone(), accepted_at, rejected: Arc::from([]) };
        let replaced = self.in_force.send_replace(in_force);
        // Even to forget 100,000 jobs takes a while.
        self.blocking(move |_| drop((old_sources, replaced))).await?;
        let summary = format!(
            "generation {number} is in force: {} jobs; {} added, {} changed, {} removed",
            generation.schedule.len(),
            difference.added.len(),
            difference.changed.len(),
            difference.removed.len(),
        );
        tracing::info!(who, "{summary}");
        lines.push(summary);
        let shown = first_lines(&changes, CHANGES_SHOWN_MAX);
        for change in &shown {
            tracing::info!(generation = number, "{change}");
        }
        lines.extend(shown);
        // No error is left in a good schedule.
        load::log_problems(&loaded.diagnostics);
        let warnings = loaded.counts.get(Severity::Warning);
        if warnings > 0 {
            lines.push(format!("{warnings} warnings: `ingestd check` shows them"));
        }
        Ok(lines)
    }

    /// Reads and checks everything. It may take seconds, and a disk may not answer.
    fn read(&self) -> ReadFiles {
        let loaded = load::read_playable(&self.settings, &self.zones, clock::now());
        let settings_differ = settings_digest(&self.context).ok() != self.settings_digest;
        ReadFiles { loaded, settings_differ }
    }

    /// Removes the sources that no restart needs any more, and returns when the newest were accepted. If the ledger cannot be read now,
    /// all stay: they do no harm.
    fn prune(&self, number: i64) -> Option<jiff::Timestamp> {
        let meta = Reader::open(&self.folder).and_then(|reader| reader.meta()).ok()?;
        sources::prune(&self.folder, &[meta.cursor_generation, meta.generation, number]);
        if meta.generation == number { meta.accepted_at } else { Some(clock::now()) }
    }

    /// Does the work on a thread that may block.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Reload>,
        work: impl FnOnce(&Reload) -> T + Send + 'static,
    ) -> Result<T, String> {
        let reload = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&reload)).await;
        done.map_err(|_| "this is a bug of ingestd: see the log".to_owned())
    }

    /// The last good schedule stays in force. The log and the status get the problems, the answer the first of them. Those that the log
    /// has already, because the same files were read before, it does not get again.
    fn reject(&self, who: &str, problems: Vec<Diagnostic>) -> String {
        let stays = "the schedule was rejected; the last good one stays in force";
        let generation = self.in_force.borrow().generation.number;
        if *self.in_force.borrow().rejected == *problems {
            tracing::info!(who, generation, "the schedule is still rejected: the problems are the same as before");
        } else {
            load::log_problems(&problems);
            tracing::error!(who, generation, "{stays}");
        }
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let lines: Vec<String> = errors.map(ToString::to_string).collect();
        self.in_force.send_modify(|in_force| in_force.rejected = problems.into());
        format!("{stays}:\n{}", first_lines(&lines, PROBLEMS_SHOWN_MAX).join("\n"))
    }

    /// It may be an accident, so nothing happens before an operator confirms it.
    fn hold_back(&self, who: &str, removed: usize, jobs_before: usize) -> String {
        let why = format!("this schedule would drop {removed} of {jobs_before} jobs");
        let folder = Place::file(self.settings.schedules.to_string_lossy().into_owned());
        let held = Diagnostic::error("held", why.clone()).at(folder).hint("if you want this: `ingestd reload --force`");
        tracing::error!(who, "{why}: held until `ingestd reload --force`");
        self.in_force.send_modify(|in_force| in_force.rejected = Arc::from([held]));
        format!("{why}: held until `ingestd reload --force`")
    }

    /// Whether good files were not accepted, for another reason than their content.
    pub(super) fn has_failed(&self) -> bool {
        self.in_force.borrow().rejected.iter().any(|problem| problem.code == NOT_TAKEN)
    }

    /// The reload failed for another reason than the schedule.
    fn fail(&self, who: &str, why: String) -> String {
        let folder = Place::file(self.settings.schedules.to_string_lossy().into_owned());
        let failed = Diagnostic::error(NOT_TAKEN, why.clone()).at(folder).hint("fix this, then run `ingestd reload`");
        self.in_force.send_modify(|in_force| in_force.rejected = Arc::from([failed]));
        tracing::error!(who, generation = self.in_force.borrow().generation.number, "the reload failed: {why}");
        why
    }
}

/// What is done with a good schedule.
enum Assessment {
    /// Its text is what is in force.
    Same,
    /// It drops so many of so many jobs.
    DropsTooMuch { removed: usize, of: usize },
    /// It can be accepted.
    Good(Difference, Box<Prepared>),
}

/// Compares a schedule with the one in force, and prepares it. With `force` it may drop any number of jobs.
fn assess(before: &Generation, schedule: Schedule, (old_sources, new): (&[Source], &[Source]), force: bool) -> Assessment {
    if sources::same(new, old_sources) {
        return Assessment::Same;
    }
    let difference = Difference::between(&before.schedule, &schedule);
    if difference.drops_too_much(before.schedule.len()) && !force {
        return Assessment::DropsTooMuch { removed: difference.removed.len(), of: before.schedule.len() };
    }
    let generation = Generation { number: before.number + 1, schedule: Arc::new(schedule) };
    Assessment::Good(difference, Box::new(Prepared::new(generation, &before.schedule, clock::now())))
}

/// The first of them, and how many more there are.
fn first_lines(lines: &[String], most: usize) -> Vec<String> {
    let mut shown: Vec<String> = lines.iter().take(most).cloned().collect();
    if lines.len() > most {
        shown.push(format!("and {} more", lines.len() - most));
    }
    shown
}

/// The settings file in 32 bytes: to see whether it differs, without keeping a text that may hold what should not be there.
fn settings_digest(context: &Context) -> io::Result<[u8; 32]> {
    let path = context.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    load::read_file(&path).map(|bytes| Sha256::digest(bytes).into())
}

/// Logs a failed notification of systemd. The daemon goes on without it.
pub(super) fn log_failure(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("cannot notify systemd: {error}");
    }
}

#[cfg(test)]
mod tests;
