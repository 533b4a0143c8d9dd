//! Reload: the schedule files and the secrets are read again. The schedule is checked, compared with what is in force, kept, and then
//! given to the daemon. SIGHUP and the control socket do the same. If anything is wrong with it, the last good schedule stays in force
//! and the status says so. Refuses to know what happens to what is on air: the daemon decides that.

mod assess;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex as Plain, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZoneDatabase;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use super::folder_snapshot::{FolderSnapshot, stamp};
use super::rest::{REST, Rests, Unrested};
use super::shrinkage::smaller;
use crate::background;
use crate::cli::load::{self, Loaded};
use crate::cli::{CONFIG_DEFAULT, Context};
use crate::clock;
use crate::config::Settings;
use crate::daemon::Handle;
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::{Command, Order, Prepared, Reply, SecretsRead};
use crate::ledger::Reader;
use crate::ledger::sources::Sources;
use crate::schedule::difference::Difference;
use crate::schedule::{Schedule, Source};
use crate::systemd::{Manager, log_failure};
use crate::trtc::Api;
use crate::web::InForce;
use crate::web::control::Reloader;
use assess::{Assessment, assess, settings_digest};
pub(super) use assess::{CHANGES_SHOWN_MAX, first_lines, held, not_taken, resting, summary};

/// The most changes that the ledger keeps one by one.
const CHANGES_KEPT_MAX: usize = 1_000;
/// The most problems that the answer names; the log has all.
const PROBLEMS_SHOWN_MAX: usize = 20;
/// How long an order waits for files that rest, and change again and again.
const ORDER_WAITS: Duration = Duration::from_mins(1);

/// What is done about a file that became smaller and has not rested: whoever copies it may have paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Nothing now. Who asks comes back when it has rested, and says nothing before that.
    Elsewhere,
    /// It is waited for. What is wrong with the schedule is told at once.
    Waits,
    /// It is believed, and so is a schedule that looks like an accident.
    Forced,
}

/// What came of reading the files.
enum Taken {
    /// It is done: lines for whoever asked.
    Done(Vec<String>),
    /// A file must rest first.
    Rests(Unrested),
}

/// Everything a reload needs, for as long as the daemon runs.
pub(super) struct Reload {
    context: Context,
    settings: Settings,
    /// Of the settings file when it was read; nothing if it could not be read a second time.
    settings_digest: Option<[u8; 32]>,
    zones: TimeZoneDatabase,
    kept_in: Sources,
    handle: Handle,
    manager: Arc<Manager>,
    in_force: watch::Sender<InForce>,
    /// The sources in force. Held over a whole reload: one at a time.
    sources: Mutex<Arc<[Source]>>,
    rests: Plain<Rests>,
    /// The smaller files that were found not to have rested last, and since when there are some.
    unrested: Plain<Option<(Unrested, Instant)>>,
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
    /// The schedule, if it can be played.
    schedule: Option<Schedule>,
    diagnostics: Vec<Diagnostic>,
    /// How many warnings there are: more than are told, perhaps.
    warnings: usize,
    sources: Arc<[Source]>,
    settings_differ: bool,
    /// The files that are smaller than what is in force, and have not rested.
    unrested: Option<Unrested>,
}

impl Reload {
    /// For a daemon that is about to run on `first`, made of `sources`. `kept_in` is where accepted sources are kept.
    pub(super) fn new(
        context: &Context,
        settings: &Settings,
        zones: &TimeZoneDatabase,
        kept_in: Sources,
        (handle, manager): (Handle, Arc<Manager>),
        (first, sources): (InForce, Vec<Source>),
        reread: Reread,
    ) -> Reload {
        Reload {
            settings_digest: settings_digest(context).ok(),
            context: context.clone(),
            settings: settings.clone(),
            zones: zones.clone(),
            kept_in,
            handle,
            manager,
            in_force: watch::Sender::new(first),
            sources: Mutex::new(sources.into()),
            rests: Plain::new(Rests::new(&settings.schedules, settings.watch)),
            unrested: Plain::new(None),
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
            let patience = if force { Patience::Forced } else { Patience::Waits };
            let done = tokio::spawn(async move { reload.run(who, patience).await });
            Box::pin(async move { done.await.unwrap_or_else(|_| Err("this is a bug of ingestd: see the log".to_owned())) })
        })
    }

    /// The folder looks like this now.
    pub(super) fn note(&self, snapshot: &FolderSnapshot) {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner).note(snapshot);
    }

    /// How long until the files that did not rest at the last reload have rested; `None`: it found none.
    pub(super) fn rests_for(&self) -> Option<Duration> {
        self.unrested.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(unrested, _)| unrested.left)
    }

    /// Reads the files again. `who` asked.
    pub(super) async fn run(self: Arc<Reload>, who: String, patience: Patience) -> Reply {
        log_failure(self.manager.reloading(clock::monotonic_us()));
        let begin = Instant::now();
        let mut waited = None;
        let reply = loop {
            let taken = {
                let mut sources = self.sources.lock().await;
                self.take(&mut sources, &who, patience).await
            };
            match taken {
                Ok(Taken::Done(lines)) => break Ok(waited.into_iter().chain(lines).collect()),
                Ok(Taken::Rests(Unrested { left, .. })) if patience == Patience::Waits && begin.elapsed() < ORDER_WAITS => {
                    sleep(left).await;
                    waited = Some(format!(
                        "waited {} s: a file was smaller than what is in force, and is read when it has not changed for {} s; \
                         `ingestd reload --force` does not wait",
                        begin.elapsed().as_secs_f64().round(),
                        REST.as_secs()
                    ));
                }
                Ok(Taken::Rests(unrested)) if patience == Patience::Waits => break Err(self.tell_restless(&who, &unrested)),
                Ok(Taken::Rests(unrested)) => break Err(resting(&unrested)),
                Err(why) => break Err(why),
            }
        };
        let reply = self.reread_secrets(&who, reply).await;
        log_failure(self.manager.ready());
        reply
    }

    /// Reads the secrets again, whatever came of the schedule, and adds what came of that. The schedule comes first: what is tried with
    /// other secrets should be what was edited.
    async fn reread_secrets(&self, who: &str, reply: Reply) -> Reply {
        let read = (self.reread)().await;
        let told = self.handle.order(Order { who: who.to_owned(), note: None, command: Command::TakeSecrets(read) }).await;
        let told = told.unwrap_or_else(|why| vec![why]);
        match reply {
            Ok(lines) => Ok(lines.into_iter().chain(told).collect()),
            Err(why) => Err([vec![why], told].concat().join("\n")),
        }
    }

    async fn take(self: &Arc<Reload>, sources: &mut Arc<[Source]>, who: &str, patience: Patience) -> Result<Taken, String> {
        let before = self.in_force.borrow().generation.clone();
        let (accepted, schedule) = (Arc::clone(sources), Arc::clone(&before.schedule));
        let files = self.blocking(move |reload| reload.read((&accepted, &schedule))).await?;
        let ReadFiles { schedule, diagnostics, warnings, sources: new, settings_differ, unrested } = files;
        let mut lines = Vec::new();
        if settings_differ {
            let path = self.context.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
            lines.push(format!("`{}` differs from what was read at start: restart the daemon to use it", path.display()));
            tracing::warn!("{}", lines[0]);
        }
        let resting_for = self.keep_unrested(unrested.clone());
        if let Some(unrested) = unrested.clone().filter(|_| patience == Patience::Elsewhere) {
            self.tell_resting(who, &unrested, resting_for);
            return Ok(Taken::Rests(unrested));
        }
        let Some(schedule) = schedule else { return Err(self.reject(who, diagnostics, &new)) };
        let (is_forced, generation) = (patience == Patience::Forced, before.number);
        let (accepted, read) = (Arc::clone(sources), Arc::clone(&new));
        let assess = move |reload: &Reload| {
            let number = reload.kept_in.next_number(generation);
            assess(&before, schedule, (&accepted, &read), (number, is_forced))
        };
        let assessment = self.blocking(assess).await?;
        match assessment {
            Assessment::Same => {
                self.set_rejected(Vec::new(), &[]);
                tracing::info!(who, generation, "reload: nothing changed");
                lines.push(format!("nothing changed: generation {generation} stays in force"));
                Ok(Taken::Done(lines))
            }
            Assessment::Accident(why) => Err(self.hold_back(who, &why)),
            Assessment::Good(difference, prepared) => {
                if let Some(unrested) = unrested.filter(|_| !is_forced) {
                    if resting_for.is_none() {
                        tracing::info!(who, "{}", resting(&unrested));
                    }
                    return Ok(Taken::Rests(unrested));
                }
                lines.extend(self.accept(sources, new, who, &difference, prepared).await?);
                // No error is left in a good schedule.
                load::log_problems(&diagnostics);
                if warnings > 0 {
                    lines.push(format!("{warnings} warnings: `ingestd check` shows them"));
                }
                Ok(Taken::Done(lines))
            }
        }
    }

    /// Keeps a schedule and hands it over to the daemon. Returns what changed, for whoever asked.
    async fn accept(
        self: &Arc<Reload>,
        sources: &mut Arc<[Source]>,
        new: Arc<[Source]>,
        who: &str,
        difference: &Difference,
        prepared: Box<Prepared>,
    ) -> Reply {
        let generation = prepared.generation().clone();
        let number = generation.number;
        // Kept before it is accepted: whatever the ledger says was in force, a restart finds.
        let to_keep = Arc::clone(&new);
        let saved = self.blocking(move |reload| reload.kept_in.save(number, &to_keep)).await?;
        saved.map_err(|error| self.fail(who, format!("cannot keep the schedule's sources: {error}")))?;
        let changes = difference.lines();
        let kept = first_lines(&changes, CHANGES_KEPT_MAX);
        let count = kept.len();
        let order = Order { who: who.to_owned(), note: None, command: Command::Accept { prepared, changes: kept } };
        // After the changes come warnings: what is dropped that is on air, or due soon. The log has them from the daemon.
        let told = self.handle.order(order).await.map_err(|why| self.fail(who, why))?;
        let dropped: Vec<String> = told.into_iter().skip(count).collect();
        let old_sources = std::mem::replace(sources, new);
        let accepted_at = self.blocking(move |reload| reload.prune(number)).await?;
        let summary = summary(&generation, difference);
        let replaced = self.in_force.send_replace(InForce::good(generation, accepted_at));
        // Even to forget 100,000 jobs takes a while.
        self.blocking(move |_| drop((old_sources, replaced))).await?;
        tracing::info!(who, "{summary}");
        let shown = first_lines(&changes, CHANGES_SHOWN_MAX);
        for change in &shown {
            tracing::info!(generation = number, "{change}");
        }
        let dropped = first_lines(&dropped, CHANGES_SHOWN_MAX).into_iter().map(|line| format!("warning: {line}"));
        Ok([summary].into_iter().chain(shown).chain(dropped).collect())
    }

    /// Reads and checks everything, beside what was accepted. It may take seconds, and a disk may not answer.
    fn read(&self, accepted: (&[Source], &Schedule)) -> ReadFiles {
        let loaded = load::read_playable(&self.settings, &self.zones, clock::now());
        let settings_differ = settings_digest(&self.context).ok() != self.settings_digest;
        let Loaded { value: schedule, diagnostics, counts, texts } = loaded;
        let sources: Arc<[Source]> = texts.into_iter().map(|(name, text)| Source { name, text }).collect();
        let smaller = smaller(accepted, (&sources, schedule.as_ref()));
        let unrested = (!smaller.is_empty()).then(|| {
            // Looked at after they were read: what was read is as old as this says, or older.
            self.note(&FolderSnapshot::at(&self.settings.schedules));
            let folder = stamp(&self.settings.schedules);
            self.rests.lock().unwrap_or_else(PoisonError::into_inner).unrested(&smaller, folder)
        });
        let warnings = counts.get(Severity::Warning);
        ReadFiles { schedule, diagnostics, warnings, sources, settings_differ, unrested: unrested.flatten() }
    }

    /// Returns for how long some were found already; `None`: none were found last.
    fn keep_unrested(&self, unrested: Option<Unrested>) -> Option<Duration> {
        let mut kept = self.unrested.lock().unwrap_or_else(PoisonError::into_inner);
        let since = kept.as_ref().map(|(_, since)| *since);
        *kept = unrested.map(|unrested| (unrested, since.unwrap_or_else(Instant::now)));
        since.map(|since| since.elapsed())
    }

    /// Says once that smaller files must rest. Those that change again and again are never read: then the status says so.
    fn tell_resting(&self, who: &str, unrested: &Unrested, resting_for: Option<Duration>) {
        match resting_for {
            None => tracing::info!(who, "{}", resting(unrested)),
            Some(time) if time >= ORDER_WAITS && self.in_force.borrow().rejected.is_empty() => {
                drop(self.tell_restless(who, unrested));
            }
            Some(_) => {}
        }
    }

    /// Smaller files change again and again, and are not read: the log and the status say so. Returns that.
    fn tell_restless(&self, who: &str, unrested: &Unrested) -> String {
        let why = format!("{}, and changes again and again", resting(unrested));
        tracing::warn!(who, "{why}");
        self.set_rejected(vec![held(&self.settings.schedules, &why)], &[]);
        why
    }

    /// What is wrong with the files that were read is this from now on.
    fn set_rejected(&self, problems: Vec<Diagnostic>, read: &[Source]) {
        let drawn = load::drawn(&problems, read);
        self.in_force.send_modify(|in_force| (in_force.rejected, in_force.drawn) = (problems.into(), drawn));
    }

    /// Removes the sources that no restart needs any more, and returns when the newest were accepted. If the ledger cannot be read now,
    /// all stay: they do no harm.
    fn prune(&self, number: i64) -> Option<jiff::Timestamp> {
        let meta = Reader::open_at(self.kept_in.place()).and_then(|reader| reader.meta()).ok()?;
        self.kept_in.prune(&[meta.cursor_generation, meta.generation, number]);
        if meta.generation == number { meta.accepted_at } else { Some(clock::now()) }
    }

    /// Does the work on a thread that may block, and that no start waits for.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Reload>,
        work: impl FnOnce(&Reload) -> T + Send + 'static,
    ) -> Result<T, String> {
        let reload = Arc::clone(self);
        background::run(move || work(&reload)).await
    }

    /// The last good schedule stays in force. The log and the status get the problems, the answer the first of them. Those that the log
    /// has already, because the same files were read before, it does not get again.
    fn reject(&self, who: &str, problems: Vec<Diagnostic>, read: &[Source]) -> String {
        let stays = "the schedule was rejected; the last good one stays in force";
        let generation = self.in_force.borrow().generation.number;
        if *self.in_force.borrow().rejected == *problems {
            tracing::info!(who, generation, "the schedule is still rejected: the problems are the same as before");
        } else {
            load::log_problems(&problems);
            tracing::error!(who, generation, "{stays}");
        }
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string);
        let lines: Vec<String> = errors.collect();
        self.set_rejected(problems, read);
        format!("{stays}:\n{}", first_lines(&lines, PROBLEMS_SHOWN_MAX).join("\n"))
    }

    /// It may be an accident, so nothing happens before an operator confirms it.
    fn hold_back(&self, who: &str, why: &str) -> String {
        let (text, problems) = (format!("{why}: held until `ingestd reload --force`"), [held(&self.settings.schedules, why)]);
        if *self.in_force.borrow().rejected == problems {
            tracing::info!(who, "still held: {why}");
        } else {
            tracing::error!(who, "{text}");
        }
        self.set_rejected(problems.into(), &[]);
        text
    }

    /// Whether good files were not accepted, for another reason than their content.
    pub(super) fn has_failed(&self) -> bool {
        self.in_force.borrow().rejected.iter().any(|problem| problem.code == assess::NOT_TAKEN)
    }

    /// It failed for another reason than the schedule.
    fn fail(&self, who: &str, why: String) -> String {
        self.set_rejected(vec![not_taken(&self.settings.schedules, &why)], &[]);
        tracing::error!(who, generation = self.in_force.borrow().generation.number, "the reload failed: {why}");
        why
    }
}

#[cfg(test)]
mod tests;
