//! Tasks that no occurrence has: those of which callbacks told and that nobody could place yet, and orphans, which nobody here
//! started as far as is known. An orphan is stopped only when an operator wants it, or when all that it can be of are over; it is asked
//! for now and then, so that it ends here when it ends there. State only: whose task it is, is decided in `adoption`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::airings::Airings;
use super::candidates::Candidates;
use super::doubts::Doubts;
use super::notice::Level;
use super::orphan_state::{Look, OrphanState, StopEnd};
use super::step::{Receipt, Step};
use super::task_notices;
use super::write::Write;
use crate::occurrence::{Key, Orphan, TaskStep};
use crate::schedule::Schedule;
use crate::trtc::callback::{Callback, TaskNews};
use crate::trtc::{Answer, Destination};

/// Tasks of which the vendor told the end and that are not open here: the callback of their start may still come. Callbacks come
/// out of order, but not by so many.
const ENDED_MAX: usize = 1_000;

/// How long after the end of a task the callback of its start may come.
const ENDED_KEPT: SignedDuration = SignedDuration::from_mins(15);

/// Unknown tasks that may wait for an answer. More than an account can start in the time an answer takes.
const UNKNOWN_MAX: usize = 10_000;

/// Callbacks about one unknown task that are kept until it is known.
const CALLBACKS_MAX: usize = 8;

/// Orphans that are listed. Beyond that the oldest that nobody wants stopped is forgotten.
const ORPHANS_MAX: usize = 1_000;

/// How often an orphan is asked for.
const LOOK_PERIOD: SignedDuration = SignedDuration::from_mins(5);

/// The least time between two such questions: what is on air is asked for through the same queue.
const LOOK_APART: SignedDuration = SignedDuration::from_secs(5);

/// Where the tasks of each application are, by its `SdkAppId`.
pub(super) type Homes = BTreeMap<u64, Destination>;

/// In which region a schedule has the tasks of each application: that of the first job that says so, else that of the settings.
pub(super) fn homes(schedule: &Schedule) -> Homes {
    let mut homes = Homes::new();
    for job in schedule.jobs() {
        let Some((app, region)) = job.app.as_ref().zip(job.region.as_ref()) else { continue };
        let Some(sdk_app_id) = app.sdk_app_id else { continue };
        homes.entry(sdk_app_id).or_insert_with(|| Destination {
            app: app.name.as_ref().to_owned(),
            sdk_app_id,
            region: region.as_ref().to_owned(),
        });
    }
    for (app, sdk_app_id, region) in schedule.apps() {
        let home = || Destination { app: app.to_owned(), sdk_app_id, region: region.to_owned() };
        homes.entry(sdk_app_id).or_insert_with(home);
    }
    homes
}

/// What was told of a task that nobody here knows.
#[derive(Default)]
pub(super) struct Unknown {
    pub(super) callbacks: Vec<Callback>,
    /// The rows of the calls that had left and were not answered when it was told first: one of them may have begun it.
    pub(super) awaited: BTreeSet<i64>,
}

/// All of it.
#[derive(Default)]
pub(super) struct Orphans {
    pub(super) doubts: Doubts,
    pub(super) candidates: Candidates,
    /// Starts of tasks that nobody here knows, by TaskId.
    unknown: BTreeMap<String, Unknown>,
    /// Their ends: of which task, and when.
    ended: VecDeque<(String, Timestamp)>,
    known: BTreeMap<String, OrphanState>,
    /// When the next orphan may be asked for.
    next_look: Timestamp,
    /// Where tasks of an application are, as the schedule says.
    homes: Homes,
    /// How many replies to orders were put off.
    replies: u64,
    /// Whether something was learned since that may show which tasks and starts in doubt belong together.
    pub(super) may_group: bool,
}

impl Orphans {
    pub(super) fn recover(&mut self, orphans: Vec<Orphan>, callbacks: Vec<Callback>, now: Timestamp) {
        for orphan in orphans {
            self.known.insert(orphan.task_id.clone(), OrphanState::new(orphan, now));
        }
        for callback in callbacks {
            match callback.news {
                TaskNews::Stopped => self.ended.push_back((callback.task_id, now)),
                _ => self.unknown.entry(callback.task_id.clone()).or_default().callbacks.push(callback),
            }
        }
    }

    /// Learns where the tasks of applications are.
    pub(super) fn learn(&mut self, homes: &Homes) {
        for (sdk_app_id, home) in homes {
            self.homes.entry(*sdk_app_id).or_insert_with(|| home.clone());
        }
    }

    pub(super) fn home(&self, sdk_app_id: u64) -> Option<&Destination> {
        self.homes.get(&sdk_app_id)
    }

    /// By their names.
    pub(super) fn homes(&self) -> impl Iterator<Item = &Destination> {
        self.homes.values()
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        self.known.values_mut().for_each(|state| state.clock_went_back(now));
        self.next_look = self.next_look.min(now);
        self.candidates.clock_went_back(now);
    }

    // Tasks that nobody here knows.

    /// Keeps what a callback says of an unknown task until it is known whose that is. `awaited`: the calls that had left by now.
    pub(super) fn keep(&mut self, step: &mut Step, callback: Callback, awaited: impl FnOnce() -> BTreeSet<i64>) -> Receipt {
        let task_id = &callback.task_id;
        // One that a broken answer named is a show's own as soon as it is seen to run.
        let is_orphan = self.known.contains_key(task_id) && !self.candidates.contains(task_id);
        if self.has_ended(task_id) || is_orphan {
            return Receipt::Taken;
        }
        let is_full = self.unknown.len() >= UNKNOWN_MAX;
        if is_full && !self.unknown.contains_key(task_id) {
            return Receipt::Refused;
        }
        let first = || Unknown { awaited: awaited(), ..Unknown::default() };
        let unknown = self.unknown.entry(task_id.clone()).or_insert_with(first);
        if unknown.callbacks.len() < CALLBACKS_MAX && !unknown.callbacks.contains(&callback) {
            step.write(Write::AddCallback(callback.clone()));
            unknown.callbacks.push(callback);
        }
        Receipt::Taken
    }

    /// A task that nobody here has is over. `is_needed`: a start may have begun it, so that even the next daemon must know.
    pub(super) fn ended(&mut self, step: &mut Step, callback: Callback, is_needed: bool) {
        let Callback { task_id, at, .. } = &callback;
        if self.unknown.remove(task_id).is_some() {
            step.write(Write::CallbacksPlaced { task_id: task_id.clone() });
        }
        if self.known.remove(task_id).is_some() {
            step.write(Write::OrphanGone { task_id: task_id.clone(), at: *at });
            return;
        }
        if self.has_ended(task_id) {
            return;
        }
        self.ended.push_back((task_id.clone(), step.now));
        if is_needed {
            step.write(Write::AddCallback(callback));
        }
        if self.ended.len() > ENDED_MAX {
            self.forget_first_end(step);
        }
    }

    /// Whether the vendor told that this task is over.
    pub(super) fn has_ended(&self, task_id: &str) -> bool {
        self.ended.iter().any(|(known, _)| known == task_id)
    }

    fn forget_first_end(&mut self, step: &mut Step) {
        if let Some((task_id, _)) = self.ended.pop_front() {
            step.write(Write::CallbacksPlaced { task_id });
        }
    }

    /// The unknown tasks for which nothing is awaited any more, each with the first that was told of it, in the order in which they
    /// began.
    pub(super) fn placeable(&self, is_awaited: impl Fn(&Unknown) -> bool) -> Vec<Callback> {
        let placeable = self.unknown.values().filter(|unknown| !is_awaited(unknown));
        let mut first: Vec<Callback> =
            placeable.filter_map(|unknown| unknown.callbacks.iter().min_by_key(|callback| callback.at).cloned()).collect();
        first.sort_by_key(|callback| callback.at);
        first
    }

    /// Each other task of that application of which only callbacks told, with when it began.
    pub(super) fn others(&self, sdk_app_id: u64, task_id: &str) -> Vec<(String, Timestamp)> {
        let unknown = self.unknown.values().filter_map(|unknown| unknown.callbacks.iter().min_by_key(|callback| callback.at));
        let unknown = unknown.filter(|first| first.sdk_app_id == sdk_app_id).map(|first| (&first.task_id, first.at));
        let listed = self.listed(sdk_app_id).map(|orphan| (&orphan.task_id, orphan.seen_at));
        let both: BTreeMap<&String, Timestamp> = unknown.chain(listed).filter(|(id, _)| *id != task_id).collect();
        both.into_iter().map(|(id, at)| (id.clone(), at)).collect()
    }

    /// It is known now whose that task is.
    pub(super) fn placed(&mut self, step: &mut Step, task_id: &str) -> Vec<Callback> {
        step.write(Write::CallbacksPlaced { task_id: task_id.to_owned() });
        self.unknown.remove(task_id).unwrap_or_default().callbacks
    }

    // Orphans.

    /// The orphans of an application that nobody stops.
    pub(super) fn listed(&self, sdk_app_id: u64) -> impl Iterator<Item = &Orphan> {
        let orphans = self.known.values().map(|state| &state.orphan);
        orphans.filter(move |orphan| orphan.destination.sdk_app_id == sdk_app_id && orphan.stop_wanted.is_none())
    }

    /// Whether a task of this occurrence is among the orphans.
    pub(super) fn has_task_of(&self, key: &Key) -> bool {
        self.known.values().any(|state| state.orphan.of.contains(key))
    }

    /// The application and the beginning of each orphan that nobody stops, and that is not known to be one of several.
    pub(super) fn ungrouped(&self) -> Vec<(u64, Timestamp)> {
        let orphans = self.known.values().map(|state| &state.orphan);
        let ungrouped = orphans.filter(|orphan| orphan.stop_wanted.is_none() && orphan.of.is_empty());
        ungrouped.map(|orphan| (orphan.destination.sdk_app_id, orphan.seen_at)).collect()
    }

    pub(super) fn get(&self, task_id: &str) -> Option<&Orphan> {
        self.known.get(task_id).map(|state| &state.orphan)
    }

    /// Nobody here started that task.
    pub(super) fn add(&mut self, step: &mut Step, orphan: Orphan) {
        step.write(Write::AddOrphan(orphan.clone()));
        self.known.insert(orphan.task_id.clone(), OrphanState::new(orphan, step.now));
        if self.known.len() > ORPHANS_MAX {
            let unwanted = self.known.values().filter(|state| state.orphan.stop_wanted.is_none());
            let oldest = unwanted.min_by_key(|state| state.orphan.seen_at).map(|state| state.orphan.task_id.clone());
            if let Some(oldest) = oldest {
                self.gone(step, &oldest);
            }
        }
    }

    /// As many tasks as these occurrences are unknown, and nobody can say which is whose.
    pub(super) fn set_group(&mut self, step: &mut Step, task_id: &str, of: &BTreeSet<Key>) {
        let Some(state) = self.known.get_mut(task_id) else { return };
        state.orphan.of = of.iter().cloned().collect();
        step.write(Write::UpdateOrphan(state.orphan.clone()));
    }

    /// The task is not an orphan any more: an answer names it, or it is over.
    pub(super) fn gone(&mut self, step: &mut Step, task_id: &str) {
        if self.known.remove(task_id).is_some() {
            step.write(Write::OrphanGone { task_id: task_id.to_owned(), at: step.now });
        }
    }

    /// An orphan is to be stopped. False: no orphan has that id.
    pub(super) fn want_stop(&mut self, step: &mut Step, task_id: &str) -> bool {
        let Some(state) = self.known.get_mut(task_id) else { return false };
        state.want_stop(step.now);
        step.write(Write::UpdateOrphan(state.orphan.clone()));
        true
    }

    /// An operator wants a task stopped that nobody here knows. Returns the number of the reply, which comes with the answer.
    pub(super) fn stop_unknown(&mut self, step: &mut Step, task_id: &str, destination: Destination, who: &str) -> u64 {
        self.replies += 1;
        if self.unknown.contains_key(task_id) {
            self.placed(step, task_id);
        }
        let (task_id, now) = (task_id.to_owned(), step.now);
        self.add(
            step,
            Orphan {
                task_id: task_id.clone(),
                destination,
                seen_at: now,
                likely_job: None,
                stop_wanted: Some(now),
                of: Vec::new(),
            },
        );
        if let Some(state) = self.known.get_mut(&task_id) {
            state.asked_by = Some((self.replies, who.to_owned()));
        }
        self.replies
    }

    /// Decides what is to be sent now, hands it out, and forgets what is over.
    pub(super) fn act_on_time(&mut self, step: &mut Step, airings: &Airings) {
        while self.ended.front().is_some_and(|(_, at)| step.now.duration_since(*at) > ENDED_KEPT) {
            self.forget_first_end(step);
        }
        let is_over = |orphan: &Orphan| {
            orphan.stop_wanted.is_none() && !orphan.of.is_empty() && orphan.of.iter().all(|key| airings.get(key).is_none())
        };
        let over: Vec<_> =
            self.known.values().filter(|state| is_over(&state.orphan)).map(|state| state.orphan.task_id.clone()).collect();
        for task_id in over {
            step.notify(Level::Warning, format!("task {task_id}: stopping, since every show that it can be of is over"));
            self.want_stop(step, &task_id);
        }
        self.doubts.tell(step, airings);
        self.candidates.send(step);
        for state in self.known.values_mut().filter(|state| state.stop_at().is_some_and(|at| at <= step.now)) {
            step.calls.push(state.take_stop());
        }
        let looks = self.known.values_mut().filter(|state| state.look_at().is_some_and(|at| at <= step.now));
        if self.next_look <= step.now
            && let Some(state) = looks.min_by_key(|state| state.look_at())
        {
            self.next_look = step.now + LOOK_APART;
            step.calls.push(state.take_look());
        }
    }

    /// Takes in the answer to an orphan's stop or describe.
    pub(super) fn answered(&mut self, step: &mut Step, airings: &Airings, task_id: &str, action: TaskStep, answer: &Answer) {
        let Some(state) = self.known.get_mut(task_id) else { return };
        if action == TaskStep::Describe {
            match state.looked(answer, LOOK_PERIOD, step.now) {
                Look::Plays => {}
                Look::Gone => {
                    self.gone(step, task_id);
                    step.notify(Level::Info, format!("the orphan {task_id} is over"));
                }
                Look::TooOld => {
                    self.gone(step, task_id);
                    step.notify(Level::Warning, format!("the orphan {task_id} was not seen for 8 days and is listed no more"));
                }
            }
            return;
        }
        let end = state.stopped(answer, step.now);
        let asked_by = state.asked_by.take();
        let app = state.orphan.destination.clone();
        let (text, is_done) = match &end {
            StopEnd::Stopped => (format!("task {task_id} of `{}`: stopped", app.app), true),
            StopEnd::WasOver => (format!("task {task_id} of `{}`: it is over already", app.app), true),
            StopEnd::Refused(why) => (format!("task {task_id} of `{}` cannot be stopped: {why}", app.app), false),
            StopEnd::Again(why) => {
                (format!("task {task_id} of `{}`: not stopped yet ({why}); ingestd keeps trying", app.app), true)
            }
        };
        match &end {
            StopEnd::Stopped | StopEnd::WasOver => {
                self.gone(step, task_id);
                step.notify(Level::Info, format!("the orphan {task_id} is off the air"));
            }
            // Only an operator named it, and TRTC does not know it.
            StopEnd::Refused(_) if asked_by.is_some() => self.gone(step, task_id),
            StopEnd::Refused(_) | StopEnd::Again(_) => {
                if let Some(fault) = state.new_stop_fault(answer, step.now) {
                    task_notices::orphan_stop_failed(step, task_id, &fault, airings.tasks.secrets);
                }
            }
        }
        let Some((number, who)) = asked_by else { return };
        let mut lines = vec![text.clone()];
        if end == StopEnd::Stopped {
            let settled = self.doubts.settle_only(step, airings, app.sdk_app_id);
            lines
                .extend(settled.map(|doubt| format!("{}: this was the task of its start sent at {:.0}", doubt.key, doubt.sent_at)));
        }
        step.record_action(who, "stop", lines.join("\n"));
        step.late_replies.push((number, if is_done { Ok(lines) } else { Err(text) }));
    }

    /// When the next one is to be stopped, or asked for.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let stops = self.known.values().filter_map(OrphanState::stop_at);
        let look = self.known.values().filter_map(OrphanState::look_at).min().map(|at| at.max(self.next_look));
        stops.chain(look).chain(self.candidates.next_wake()).min()
    }
}

#[cfg(test)]
mod tests;
