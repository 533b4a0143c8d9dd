//! What callbacks told and nobody could place yet: tasks that nobody here knows, starts in doubt that one of them may be of, and
//! orphans, which only an operator stops. State only: whose task it is, is decided in `adoption`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::notice::Level;
use super::step::{Call, Step};
use super::write::Write;
use crate::occurrence::{Key, Occurrence, Orphan, TaskEvent, TaskStep};
use crate::schedule::Schedule;
use crate::trtc::callback::Callback;
use crate::trtc::{Answer, Destination};

/// A task that a callback names was started by a request sent at most so long before.
const STARTED_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// How far the vendor's clock may be behind ours for the same.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(2);

/// Tasks of which the vendor told the end and that are not open here: the callback of their start may still come. Callbacks come
/// out of order, but not by so many.
const ENDED_MAX: usize = 1_000;

/// Callbacks that may wait for an answer. More than an account can start in the time an answer takes.
const UNKNOWN_MAX: usize = 10_000;

/// Callbacks about one unknown task that are kept until it is known.
const CALLBACKS_MAX: usize = 8;

/// Starts in doubt that are remembered, whatever became of their occurrences. Far more than may fit one callback.
const DOUBTS_MAX: usize = 1_000;

/// How long between two tries to stop an orphan.
const ORPHAN_RETRY: SignedDuration = SignedDuration::from_secs(5);

/// Where the tasks of each application are, by its `SdkAppId`.
pub(super) type Homes = BTreeMap<u64, Destination>;

/// In which region a schedule has the tasks of each application: that of the first job that says so.
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
    homes
}

/// Whether a task that a callback says began `at` may be of a request that left then.
pub(super) fn fits(sent: Timestamp, at: Timestamp) -> bool {
    sent <= at + CLOCKS_APART && at.duration_since(sent) <= STARTED_WITHIN
}

/// What was told of a task that nobody here knows.
#[derive(Default)]
pub(super) struct Unknown {
    pub(super) callbacks: Vec<Callback>,
    /// The rows of the calls that had left and were not answered when it was told first: one of them may have begun it.
    pub(super) awaited: BTreeSet<i64>,
}

struct Doubt {
    key: Key,
    sdk_app_id: u64,
    sent_at: Timestamp,
}

struct OrphanState {
    orphan: Orphan,
    /// When to try to stop it; `None`: nobody asked, or a stop is under way.
    next_at: Option<Timestamp>,
}

/// All of it.
#[derive(Default)]
pub(super) struct Orphans {
    /// Starts of tasks that nobody here knows, by TaskId.
    unknown: BTreeMap<String, Unknown>,
    ended: VecDeque<String>,
    /// Starts that were in doubt, oldest first. A later attempt may have put their occurrence on air; their tasks may run all the
    /// same.
    doubts: VecDeque<Doubt>,
    known: BTreeMap<String, OrphanState>,
    /// Where tasks of an application are, as the schedule says.
    homes: Homes,
}

impl Orphans {
    pub(super) fn recover(&mut self, orphans: Vec<Orphan>, now: Timestamp) {
        for orphan in orphans {
            let next_at = orphan.stop_wanted.map(|_| now);
            self.known.insert(orphan.task_id.clone(), OrphanState { orphan, next_at });
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

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        for state in self.known.values_mut() {
            state.next_at = state.next_at.map(|at| at.min(now));
        }
    }

    /// The clock was set: when starts left is told by it from now on.
    pub(super) fn clock_moved(&mut self, by: SignedDuration) {
        for doubt in &mut self.doubts {
            doubt.sent_at = doubt.sent_at.checked_add(by).unwrap_or(doubt.sent_at);
        }
    }

    // Starts in doubt.

    /// A start of this occurrence that was sent then is in doubt.
    pub(super) fn note_doubt(&mut self, occurrence: &Occurrence, sent_at: Timestamp) {
        let sdk_app_id = occurrence.playout.destination.sdk_app_id;
        self.doubts.push_back(Doubt { key: occurrence.key.clone(), sdk_app_id, sent_at });
        if self.doubts.len() > DOUBTS_MAX {
            self.doubts.pop_front();
        }
    }

    /// The occurrences of which a start in doubt may have begun a task of that application `at`.
    pub(super) fn doubts_of(&self, sdk_app_id: u64, at: Timestamp) -> impl Iterator<Item = &Key> {
        let fitting = self.doubts.iter().filter(move |doubt| doubt.sdk_app_id == sdk_app_id && fits(doubt.sent_at, at));
        fitting.map(|doubt| &doubt.key)
    }

    /// The task that began `at` was found to be of this occurrence.
    pub(super) fn settle_doubt(&mut self, key: &Key, at: Timestamp) {
        self.doubts.retain(|doubt| &doubt.key != key || !fits(doubt.sent_at, at));
    }

    // Tasks that nobody here knows.

    /// Keeps what a callback says of an unknown task until it is known whose that is. `awaited`: the calls that had left by now.
    pub(super) fn keep(&mut self, callback: Callback, awaited: impl FnOnce() -> BTreeSet<i64>) {
        let task_id = &callback.task_id;
        if self.ended.contains(task_id) || self.known.contains_key(task_id) || self.unknown.len() >= UNKNOWN_MAX {
            return;
        }
        let first = || Unknown { awaited: awaited(), ..Unknown::default() };
        let unknown = self.unknown.entry(task_id.clone()).or_insert_with(first);
        if unknown.callbacks.len() < CALLBACKS_MAX && !unknown.callbacks.contains(&callback) {
            unknown.callbacks.push(callback);
        }
    }

    /// A task that nobody here knows is over.
    pub(super) fn ended(&mut self, step: &mut Step, task_id: &str, at: Timestamp) {
        self.unknown.remove(task_id);
        if self.known.remove(task_id).is_some() {
            step.write(Write::OrphanGone { task_id: task_id.to_owned(), at });
            return;
        }
        if self.ended.iter().any(|known| known == task_id) {
            return;
        }
        self.ended.push_back(task_id.to_owned());
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// The unknown tasks for which nothing is awaited any more.
    pub(super) fn placeable(&self, is_awaited: impl Fn(&Unknown) -> bool) -> Vec<String> {
        self.unknown.iter().filter(|(_, unknown)| !is_awaited(unknown)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn callbacks_of(&self, task_id: &str) -> &[Callback] {
        self.unknown.get(task_id).map_or(&[], |unknown| &unknown.callbacks)
    }

    /// It is known now whose that task is.
    pub(super) fn placed(&mut self, task_id: &str) -> Vec<Callback> {
        self.unknown.remove(task_id).unwrap_or_default().callbacks
    }

    // Orphans.

    /// Nobody here started that task.
    pub(super) fn add(&mut self, step: &mut Step, orphan: Orphan) {
        step.write(Write::AddOrphan(orphan.clone()));
        self.known.insert(orphan.task_id.clone(), OrphanState { orphan, next_at: None });
    }

    /// The task is not an orphan any more: an answer names it, or it was stopped.
    pub(super) fn gone(&mut self, step: &mut Step, task_id: &str) {
        if self.known.remove(task_id).is_some() {
            step.write(Write::OrphanGone { task_id: task_id.to_owned(), at: step.now });
        }
    }

    /// An operator wants an orphan stopped. False: there is none of that id.
    pub(super) fn want_stop(&mut self, step: &mut Step, task_id: &str) -> bool {
        let Some(state) = self.known.get_mut(task_id) else { return false };
        state.orphan.stop_wanted.get_or_insert(step.now);
        state.next_at = Some(step.now);
        step.write(Write::UpdateOrphan(state.orphan.clone()));
        true
    }

    /// Hands out the stops that are to be sent now.
    pub(super) fn send(&mut self, step: &mut Step) {
        let now = step.now;
        for state in self.known.values_mut().filter(|state| state.next_at.is_some_and(|at| at <= now)) {
            state.next_at = None;
            let (destination, task_id) = (state.orphan.destination.clone(), state.orphan.task_id.clone());
            step.calls.push(Call::StopOrphan { destination, task_id });
        }
    }

    /// Takes in the answer to an orphan's stop.
    pub(super) fn stop_answered(&mut self, step: &mut Step, task_id: &str, answer: &Answer) {
        let Some(state) = self.known.get_mut(task_id) else { return };
        if TaskStep::Stop.answered(answer) != TaskEvent::Stopped {
            state.next_at = Some(step.now + ORPHAN_RETRY);
            return;
        }
        self.gone(step, task_id);
        step.notify(Level::Info, format!("the orphan {task_id} is off the air"));
    }

    /// When the next stop is to be sent.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.known.values().filter_map(|state| state.next_at).min()
    }
}
