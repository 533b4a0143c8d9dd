//! Starts that were sent and not proved either way, and whose task nobody can name: kept until a task is found to be of them, or
//! until no such task can play any more. Does not know callbacks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::airings::Airings;
use super::notice::Level;
use super::step::Step;
use super::write::Write;
use crate::alerts::{AlertEvent, Signal};
use crate::occurrence::{DOUBTS_KEPT, Key, Occurrence, OpenDoubt, Outcome, State};

/// Doubts that are remembered. Far more than may fit one callback.
const DOUBTS_MAX: usize = 1_000;

/// A task that a callback names was started by a request sent at most so long before.
const STARTED_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// How far the vendor's clock may be behind ours for the same.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(2);

/// Whether a task that a callback says began `at` may be of a request that left then.
pub(super) fn fits(sent: Timestamp, at: Timestamp) -> bool {
    sent <= at + CLOCKS_APART && at.duration_since(sent) <= STARTED_WITHIN
}

struct DoubtState {
    doubt: OpenDoubt,
    /// Whether it was told that its task may play beside another, or on.
    is_told: bool,
}

/// All of them, oldest first.
#[derive(Default)]
pub(super) struct Doubts {
    open: VecDeque<DoubtState>,
}

impl Doubts {
    /// Takes over what the daemon before left open. What it told is not told again.
    pub(super) fn recover(&mut self, doubts: Vec<OpenDoubt>) {
        self.open.extend(doubts.into_iter().map(|doubt| DoubtState { doubt, is_told: true }));
    }

    /// What was taken over of an occurrence is told only if it is not on air by a task with a name.
    pub(super) fn tell_if_uncovered(&mut self, occurrence: &Occurrence) {
        for state in self.open.iter_mut().filter(|state| state.doubt.key == occurrence.key) {
            state.is_told = is_covered(occurrence);
        }
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.open.iter().any(|state| &state.doubt.key == key)
    }

    /// A start of this occurrence that was sent then is in doubt.
    pub(super) fn add(&mut self, step: &mut Step, occurrence: &Occurrence, sent_at: Timestamp) {
        if self.open.iter().any(|DoubtState { doubt, .. }| doubt.key == occurrence.key && doubt.sent_at == sent_at) {
            return;
        }
        let doubt = OpenDoubt::new(occurrence, sent_at);
        step.write(Write::AddDoubt(Box::new(doubt.clone())));
        self.open.push_back(DoubtState { doubt, is_told: false });
        let is_its = |state: &DoubtState| state.doubt.key == occurrence.key;
        let is_full = self.open.len() > DOUBTS_MAX || self.open.iter().filter(|state| is_its(state)).count() > DOUBTS_KEPT;
        let oldest = self.open.iter().position(|state| is_its(state) || self.open.len() > DOUBTS_MAX).filter(|_| is_full);
        if let Some(oldest) = oldest.and_then(|oldest| self.open.remove(oldest)) {
            close(step, &oldest.doubt);
            if !self.has(&oldest.doubt.key) {
                told_over(step, &oldest.doubt.key);
            }
        }
    }

    /// Every start of this occurrence that was in doubt lately is so again: the task that it was given is another's.
    pub(super) fn reopen(&mut self, step: &mut Step, occurrence: &Occurrence) {
        for sent_at in &occurrence.doubts {
            self.add(step, occurrence, *sent_at);
        }
    }

    /// A start of this occurrence was told that its task runs.
    pub(super) fn found(&mut self, step: &mut Step, key: &Key) {
        for state in self.open.iter_mut().filter(|state| &state.doubt.key == key && !state.doubt.was_found) {
            state.doubt.was_found = true;
            step.write(Write::AddDoubt(Box::new(state.doubt.clone())));
        }
    }

    /// The occurrences of which a start in doubt may have begun a task of that application `at`.
    pub(super) fn of(&self, sdk_app_id: u64, at: Timestamp) -> impl Iterator<Item = &OpenDoubt> {
        let doubts = self.open.iter().map(|state| &state.doubt);
        doubts.filter(move |doubt| doubt.destination.sdk_app_id == sdk_app_id && fits(doubt.sent_at, at))
    }

    /// The task that began `at` was found to be of this occurrence.
    pub(super) fn settle(&mut self, step: &mut Step, key: &Key, at: Timestamp) {
        self.close_where(step, |doubt| &doubt.key == key && fits(doubt.sent_at, at));
    }

    /// The tasks of all these occurrences have names now, although nobody can say which is whose.
    pub(super) fn settle_all(&mut self, step: &mut Step, keys: &BTreeSet<Key>) {
        self.close_where(step, |doubt| keys.contains(&doubt.key));
    }

    /// Whether each start of these occurrences that is in doubt was told that its task runs.
    pub(super) fn all_found(&self, keys: &BTreeSet<Key>) -> bool {
        self.open.iter().map(|state| &state.doubt).filter(|doubt| keys.contains(&doubt.key)).all(|doubt| doubt.was_found)
    }

    /// An operator stopped a task of that application that nobody knew: it settles a doubt that is the only one.
    pub(super) fn settle_only(&mut self, step: &mut Step, airings: &Airings, sdk_app_id: u64) -> Option<OpenDoubt> {
        let beside = |doubt: &&OpenDoubt| doubt.destination.sdk_app_id == sdk_app_id && is_beside(airings, &doubt.key);
        let mut beside = self.open.iter().map(|state| &state.doubt).filter(beside);
        let only = beside.next()?.clone();
        if beside.next().is_some() {
            return None;
        }
        self.close_where(step, |doubt| *doubt == only);
        Some(only)
    }

    /// The clock was set: when starts left is told by it from now on.
    pub(super) fn clock_moved(&mut self, step: &mut Step, by: SignedDuration) {
        for state in &mut self.open {
            close(step, &state.doubt);
            state.doubt = state.doubt.clone().moved(by);
            step.write(Write::AddDoubt(Box::new(state.doubt.clone())));
        }
    }

    /// Tells of the doubts of each occurrence, once, that a task may play on although it is over or has another; and forgets those whose
    /// tasks cannot play any more.
    pub(super) fn tell(&mut self, step: &mut Step, airings: &Airings) {
        let now = step.now;
        self.close_where(step, |doubt| doubt.until <= now && is_beside(airings, &doubt.key));
        let mut untold: BTreeMap<Key, Vec<&OpenDoubt>> = BTreeMap::new();
        for state in self.open.iter_mut().filter(|state| !state.is_told && is_beside(airings, &state.doubt.key)) {
            state.is_told = true;
            untold.entry(state.doubt.key.clone()).or_default().push(&state.doubt);
        }
        for (key, doubts) in untold {
            let app = doubts.first().map(|doubt| doubt.destination.app.as_str()).unwrap_or_default();
            let advice = format!("`ingestd stop --task ID --app {app}` stops it once its TaskId is known");
            if let Some(text) = OpenDoubt::describe(&doubts, |at| format!("{at:.0}")) {
                let newest = doubts.iter().map(|doubt| doubt.sent_at).max().unwrap_or(now);
                // That the show failed is told in these words.
                if !fails(step, &key) {
                    let told = format!("`{}` of {}: {text}; {advice}", key.job, key.start);
                    step.signals.push(Signal::raise(AlertEvent::StopUnverified, &key.to_string(), told, newest));
                }
                step.notify_of(&key, Level::Error, format!("{text}; {advice}"));
            }
        }
    }

    /// When the next one of which it was told cannot play any more.
    pub(super) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.open.iter().filter(|state| state.is_told && state.doubt.until > now).map(|state| state.doubt.until).min()
    }

    fn close_where(&mut self, step: &mut Step, is_over: impl Fn(&OpenDoubt) -> bool) {
        let mut closed = BTreeSet::new();
        self.open.retain(|state| {
            let is_over = is_over(&state.doubt);
            if is_over {
                close(step, &state.doubt);
                closed.insert(state.doubt.key.clone());
            }
            !is_over
        });
        for key in closed.into_iter().filter(|key| !self.has(key)) {
            told_over(step, &key);
        }
    }
}

fn close(step: &mut Step, doubt: &OpenDoubt) {
    step.write(Write::DoubtSettled { key: doubt.key.clone(), sent_at: doubt.sent_at });
}

/// Whether an occurrence fails in this step.
fn fails(step: &Step, key: &Key) -> bool {
    let is_failed = |row: &Occurrence| row.key == *key && matches!(row.state, State::Done { outcome: Outcome::Failed(_) });
    step.writes.list().iter().any(|write| matches!(write, Write::Update(row) | Write::Record(row) if is_failed(row)))
}

/// No start of this occurrence is in doubt any more.
fn told_over(step: &mut Step, key: &Key) {
    let text = format!("`{}` of {}: the task of its start in doubt was found, or cannot play any more", key.job, key.start);
    step.signals.push(Signal::clear(AlertEvent::StopUnverified, &key.to_string(), text));
}

/// Whether the task of a doubt, if there is one, plays on after its occurrence, or beside another task of it.
fn is_beside(airings: &Airings, key: &Key) -> bool {
    airings.get(key).is_none_or(|airing| is_covered(&airing.occurrence))
}

/// Whether an occurrence is on air by a task with a name.
fn is_covered(occurrence: &Occurrence) -> bool {
    matches!(occurrence.state, State::OnAir | State::Stopping { .. }) && occurrence.task_id.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RowNumbers;
    use crate::occurrence::tests::example;

    #[test]
    fn a_show_keeps_its_last_doubts_and_pushes_no_other_out() {
        let (mut doubts, now) = (Doubts::default(), example().key.start);
        let mut step = Step::new(now, RowNumbers::default());
        let mut other = example();
        other.key.start = now - SignedDuration::from_hours(1);
        doubts.add(&mut step, &other, now);
        let kept = i64::try_from(DOUBTS_KEPT).expect("few");
        for second in 0..kept + 5 {
            doubts.add(&mut step, &example(), now + SignedDuration::from_secs(second));
            doubts.add(&mut step, &example(), now + SignedDuration::from_secs(second));
        }
        let sent = |key: &Key| -> Vec<i64> {
            let its = doubts.open.iter().filter(|state| &state.doubt.key == key);
            its.map(|state| state.doubt.sent_at.duration_since(now).as_secs()).collect()
        };
        assert_eq!(sent(&example().key), (5..kept + 5).collect::<Vec<_>>());
        assert_eq!(sent(&other.key), [0]);
        let closed = step.writes.list().iter().filter(|write| matches!(write, Write::DoubtSettled { .. })).count();
        assert_eq!(closed, 5);
    }
}
