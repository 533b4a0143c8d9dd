//! Reload: the schedule files are read again, judged, compared with what is in force, kept, and then handed to the daemon; on SIGHUP
//! and over the control socket alike. Whatever is wrong, the last good schedule stays and the status says so. Refuses to know what
//! becomes of what is on air: that is the daemon's.

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
use crate::daemon::{Generation, Handle, Order, Prepared, Reply, What};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::ledger::{Reader, sources};
use crate::schedule::difference::Difference;
use crate::schedule::{Schedule, Source};
use crate::systemd::Manager;
use crate::web::InForce;
use crate::web::control::Reloader;

/// Changes that are named one by one, in the log and to whoever asked.
const CHANGES_TOLD_MAX: usize = 50;
/// Changes that the ledger keeps one by one.
const CHANGES_KEPT_MAX: usize = 1_000;
/// Problems that are named to whoever asked; the log has all.
const PROBLEMS_TOLD_MAX: usize = 20;

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
}

/// What was read.
struct Read {
    loaded: Loaded<Schedule>,
    settings_differ: bool,
}

impl Reload {
    /// Of a daemon that is about to run on `first`, made of `sources`. `folder` is where accepted sources are kept.
    pub(super) fn new(
        context: &Context,
        settings: &Settings,
        zones: &TimeZoneDatabase,
        folder: PathBuf,
        (handle, manager): (Handle, Arc<Manager>),
        (first, sources): (InForce, Vec<Source>),
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
        }
    }

    /// What is in force, and what will be.
    pub(super) fn in_force(&self) -> watch::Receiver<InForce> {
        self.in_force.subscribe()
    }

    /// As the control socket takes it. A client that hangs up does not end a reload halfway.
    pub(super) fn reloader(self: &Arc<Reload>) -> Reloader {
        let reload = Arc::clone(self);
        Arc::new(move |who, force| -> Pin<Box<dyn Future<Output = Reply> + Send>> {
            let reload = Arc::clone(&reload);
            let done = tokio::spawn(async move { reload.run(who, force).await });
            Box::pin(async move { done.await.unwrap_or_else(|_| Err("a bug of ingestd: the log says more".to_owned())) })
        })
    }

    /// Takes the files again. `who` asked; with `force` also what drops most of the schedule.
    pub(super) async fn run(self: Arc<Reload>, who: String, force: bool) -> Reply {
        let mut sources = self.sources.lock().await;
        told(self.manager.reloading(clock::monotonic_us()));
        let reply = self.take(&mut sources, &who, force).await;
        told(self.manager.ready());
        let in_force = self.in_force.borrow().clone();
        let (jobs, number) = (in_force.generation.schedule.len(), in_force.generation.number);
        let rejected = if in_force.rejected.is_empty() { "" } else { "; the schedule files are not in force" };
        told(self.manager.status(&format!("{jobs} jobs, generation {number}{rejected}")));
        reply
    }

    async fn take(self: &Arc<Reload>, sources: &mut Vec<Source>, who: &str, force: bool) -> Reply {
        let Read { loaded, settings_differ } = self.blocking(Reload::read).await?;
        let mut lines = Vec::new();
        if settings_differ {
            let path = self.context.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
            let line = format!("`{}` differs from what was read at start: restart the daemon to take it up", path.display());
            tracing::warn!("{line}");
            lines.push(line);
        }
        let Some(schedule) = loaded.value else { return Err(self.reject(who, loaded.diagnostics)) };
        let new: Vec<Source> = loaded.texts.into_iter().map(|(name, text)| Source { name, text }).collect();
        let before = self.in_force.borrow().generation.clone();
        let number = before.number + 1;
        let former = std::mem::take(sources);
        let (weighed, former) = self.blocking(move |_| (weigh(&before, schedule, (&former, &new), force), (former, new))).await?;
        let (former, new) = former;
        *sources = former;
        let (difference, prepared) = match weighed {
            Weighed::Same => {
                self.in_force.send_modify(|in_force| in_force.rejected = Arc::from([]));
                tracing::info!(who, generation = number - 1, "reload: nothing changed");
                lines.push(format!("nothing changed: generation {} stays in force", number - 1));
                return Ok(lines);
            }
            Weighed::DropsTooMuch { removed, of } => return Err(self.hold(who, removed, of)),
            Weighed::Good(difference, prepared) => (difference, prepared),
        };
        let generation = prepared.generation().clone();
        // Kept before it is accepted: whatever the ledger says was in force, a restart finds.
        let (saved, new) = self.blocking(move |reload| (sources::save(&reload.folder, number, &new), new)).await?;
        saved.map_err(|error| self.complain(who, format!("cannot keep the schedule's sources: {error}")))?;
        let changes = difference.lines();
        let what = What::Accept { prepared, changes: told_of(&changes, CHANGES_KEPT_MAX) };
        self.handle.order(Order { who: who.to_owned(), what }).await.map_err(|why| self.complain(who, why))?;
        let former = std::mem::replace(sources, new);
        let accepted_at = self.blocking(move |reload| reload.prune(number)).await?;
        let in_force = InForce { generation: generation.clone(), accepted_at, rejected: Arc::from([]) };
        let replaced = self.in_force.send_replace(in_force);
        // Even to forget 100,000 jobs takes a while.
        self.blocking(move |_| drop((former, replaced))).await?;
        let summary = format!(
            "generation {number} is in force: {} jobs; {} added, {} changed, {} removed",
            generation.schedule.len(),
            difference.added.len(),
            difference.changed.len(),
            difference.removed.len(),
        );
        tracing::info!(who, "{summary}");
        lines.push(summary);
        let told = told_of(&changes, CHANGES_TOLD_MAX);
        for change in &told {
            tracing::info!(generation = number, "{change}");
        }
        lines.extend(told);
        // Only warnings are left of what was found in a good schedule.
        for warning in &loaded.diagnostics {
            tracing::warn!("{warning}");
        }
        if !loaded.diagnostics.is_empty() {
            lines.push(format!("{} warnings: `ingestd check` shows them", loaded.diagnostics.len()));
        }
        Ok(lines)
    }

    /// Reads and judges everything. It may take seconds, and disks may not answer.
    fn read(&self) -> Read {
        let loaded = load::read_playable(&self.settings, &self.zones, clock::now());
        let settings_differ = settings_digest(&self.context).ok() != self.settings_digest;
        Read { loaded, settings_differ }
    }

    /// Removes the sources that no restart can ask for any more, and answers when the newest were accepted. A ledger that cannot be
    /// read now leaves them all: they do no harm.
    fn prune(&self, number: i64) -> Option<jiff::Timestamp> {
        let meta = Reader::open(&self.folder).and_then(|reader| reader.meta()).ok()?;
        sources::prune(&self.folder, &[meta.cursor_generation, meta.generation, number]);
        if meta.generation == number { meta.accepted_at } else { Some(clock::now()) }
    }

    /// Does it on a thread that may wait.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Reload>,
        work: impl FnOnce(&Reload) -> T + Send + 'static,
    ) -> Result<T, String> {
        let reload = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&reload)).await;
        done.map_err(|_| "a bug of ingestd: the log says more".to_owned())
    }

    /// The last good schedule stays; the log gets every problem, the status too, and whoever asked the first of them.
    fn reject(&self, who: &str, problems: Vec<Diagnostic>) -> String {
        for problem in &problems {
            match problem.severity {
                Severity::Error => tracing::error!("{problem}"),
                Severity::Warning => tracing::warn!("{problem}"),
            }
        }
        let stays = "the schedule was rejected; the last good one stays in force";
        tracing::error!(who, generation = self.in_force.borrow().generation.number, "{stays}");
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let lines: Vec<String> = errors.map(ToString::to_string).collect();
        self.in_force.send_modify(|in_force| in_force.rejected = problems.into());
        format!("{stays}:\n{}", told_of(&lines, PROBLEMS_TOLD_MAX).join("\n"))
    }

    /// It may be an accident, so nothing happens before somebody says that it is none.
    fn hold(&self, who: &str, removed: usize, jobs_before: usize) -> String {
        let why = format!("this schedule would drop {removed} of {jobs_before} jobs");
        let folder = Place::file(self.settings.schedules.to_string_lossy().into_owned());
        let held = Diagnostic::error("held", why.clone()).at(folder).hint("if it is meant so: `ingestd reload --force`");
        tracing::error!(who, "{why}: held until `ingestd reload --force`");
        self.in_force.send_modify(|in_force| in_force.rejected = Arc::from([held]));
        format!("{why}: held until `ingestd reload --force`")
    }

    /// Whether the files were not taken up for another reason than what they say.
    pub(super) fn has_failed(&self) -> bool {
        self.in_force.borrow().rejected.iter().any(|problem| problem.code == NOT_TAKEN)
    }

    /// What went wrong for another reason than the schedule.
    fn complain(&self, who: &str, why: String) -> String {
        let folder = Place::file(self.settings.schedules.to_string_lossy().into_owned());
        let failed = Diagnostic::error(NOT_TAKEN, why.clone()).at(folder).hint("mend that, and say `ingestd reload`");
        self.in_force.send_modify(|in_force| in_force.rejected = Arc::from([failed]));
        tracing::error!(who, generation = self.in_force.borrow().generation.number, "the reload failed: {why}");
        why
    }
}

/// What is to become of a good schedule.
enum Weighed {
    /// Its text is what is in force.
    Same,
    /// It drops so many of so many jobs.
    DropsTooMuch { removed: usize, of: usize },
    /// It can be taken up.
    Good(Difference, Box<Prepared>),
}

/// Weighs a schedule against the one in force, and prepares it. With `force` it may drop as much as it will.
fn weigh(before: &Generation, schedule: Schedule, (former, new): (&[Source], &[Source]), force: bool) -> Weighed {
    if sources::same(new, former) {
        return Weighed::Same;
    }
    let difference = Difference::between(&before.schedule, &schedule);
    if difference.drops_too_much(before.schedule.len()) && !force {
        return Weighed::DropsTooMuch { removed: difference.removed.len(), of: before.schedule.len() };
    }
    let generation = Generation { number: before.number + 1, schedule: Arc::new(schedule) };
    Weighed::Good(difference, Box::new(Prepared::new(generation, &before.schedule, clock::now())))
}

/// The first of them, and how many more there are.
fn told_of(lines: &[String], most: usize) -> Vec<String> {
    let mut told: Vec<String> = lines.iter().take(most).cloned().collect();
    if lines.len() > most {
        told.push(format!("and {} more", lines.len() - most));
    }
    told
}

/// The settings file in 32 bytes: to see whether it differs, without keeping a text that may hold what should not be there.
fn settings_digest(context: &Context) -> io::Result<[u8; 32]> {
    let path = context.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    load::read_file(&path).map(|bytes| Sha256::digest(bytes).into())
}

/// systemd is told as a courtesy; a daemon that cannot reach it goes on.
pub(super) fn told(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("cannot tell systemd: {error}");
    }
}

#[cfg(test)]
mod tests;
