//! The tasks that TRTC runs for us: which is described or stopped next, and how often. Does not decide what becomes of an
//! occurrence.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::call_report::Blocker;
use super::notice::Level;
use super::step::{Call, Step};
use super::task_notices::{self, ToldFaults};
use super::task_state::{HandOver, TaskState, fault_kind, forget, is_task, is_worth_a_write, target, write};
use super::write::Write;
use crate::occurrence::{End, Key, Look, Occurrence, Target, Task, TaskEvent, TaskPhase, TaskStep};
use crate::trtc::Answer;
use crate::trtc::advice::SecretPlaces;
use crate::trtc::callback::{Callback, TaskNews};

/// Each task on air is described this often, unless there are very many.
const WATCH_PERIOD: SignedDuration = SignedDuration::from_secs(30);

/// All of them that are not known to be gone.
pub(super) struct Tasks {
    rows: BTreeMap<i64, TaskState>,
    /// The rows of an occurrence's tasks, and of a room's: thousands may start or end at one instant.
    of_key: HashMap<Key, Vec<i64>>,
    of_target: HashMap<Target, Vec<i64>>,
    rate: u32,
    told: ToldFaults,
    /// Where the secrets are kept, for advice.
    pub(super) secrets: SecretPlaces,
}

impl Tasks {
    pub(super) fn new(rate: u32) -> Tasks {
        Tasks {
            rows: BTreeMap::new(),
            of_key: HashMap::new(),
            of_target: HashMap::new(),
            rate,
            told: ToldFaults::default(),
            secrets: SecretPlaces::default(),
        }
    }

    /// 30 s, stretched so that all describes together take at most half of the limit.
    pub(super) fn watch_period(&self) -> SignedDuration {
        let stretched = SignedDuration::from_secs(i64::try_from(self.rows.len() * 2).unwrap_or(i64::MAX) / i64::from(self.rate));
        WATCH_PERIOD.max(stretched)
    }

    /// Adds the task of a start that was accepted, or that a callback named.
    pub(super) fn add(
        &mut self,
        step: &mut Step,
        occurrence: &Occurrence,
        task_id: String,
        bound: Option<Timestamp>,
        media_end: Option<Timestamp>,
    ) {
        let mut task = Task {
            row: step.numbers.next_task(),
            task_id,
            destination: occurrence.playout.destination.clone(),
            room: occurrence.playout.room.clone(),
            key: occurrence.key.clone(),
            robot: occurrence.playout.robot.clone(),
            started_at: step.now,
            bound,
            media_end,
            phase: TaskPhase::Watched { missing_since: None },
            next_at: step.now,
            alerted: false,
            stop_wanted_at: None,
            seen_at: step.now,
            watched_from: step.now,
            taken_at: step.now,
            was_seen: false,
            is_unseen: false,
            unpulled_at: None,
            stop_fault: None,
            describe_fault: None,
            look: Look::NotNext,
        };
        step.write(Write::AddTask(Box::new(task.clone())));
        task.next_at = task.first_watch(occurrence.end.at());
        self.insert(task);
    }

    /// Takes over the tasks of the daemon before. A stop that is owed is sent at once; describes of what is on air are spread over
    /// a period, so that stops and their verification do not queue behind them.
    pub(super) fn recover(&mut self, tasks: Vec<Task>, now: Timestamp) {
        let count = i32::try_from(tasks.len().max(1)).unwrap_or(i32::MAX);
        for task in tasks {
            // One that began while the clock was ahead is no younger than now.
            self.insert(Task { started_at: task.started_at.min(now), ..task });
        }
        let interval = self.watch_period() / count;
        let mut at = now;
        for state in self.rows.values_mut() {
            state.task.take_over(now);
            if state.task.is_watched() {
                state.task.next_at = at;
                at += interval;
            }
        }
    }

    fn insert(&mut self, task: Task) {
        self.of_key.entry(task.key.clone()).or_default().push(task.row);
        self.of_target.entry(target(&task)).or_default().push(task.row);
        self.rows.insert(task.row, TaskState::new(task));
    }

    fn remove(&mut self, row: i64) -> Option<TaskState> {
        let state = self.rows.remove(&row)?;
        forget(&mut self.of_key, &state.task.key, row);
        forget(&mut self.of_target, &target(&state.task), row);
        let kinds = || self.rows.values().map(|state| fault_kind(&state.task));
        self.told.keep(|kind| kinds().any(|other| other == Some(kind)));
        Some(state)
    }

    /// The clock was set, and the cloud counts on.
    pub(super) fn clock_moved(&mut self, step: &mut Step, by: SignedDuration) {
        self.watch_anew(step.now);
        for state in self.rows.values_mut() {
            state.task.clock_moved(by);
            write(step, state);
        }
    }

    /// That a task was not seen before now says nothing.
    pub(super) fn watch_anew(&mut self, now: Timestamp) {
        self.rows.values_mut().for_each(|state| state.task.watched_from = now);
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        for state in self.rows.values_mut() {
            state.task.clock_went_back(now);
        }
    }

    /// A start of `occurrence` found its robot taken by a task of ours whose media should be over: it is stopped now, and not
    /// half a minute later.
    pub(super) fn stop_overrunning(&mut self, step: &mut Step, occurrence: &Occurrence) {
        let now = step.now;
        let is_over = |task: &Task| task.media_end.is_some_and(|end| end <= now) && task.key != occurrence.key;
        let watched = |task: &Task| task.is_watched() && task.robot == occurrence.playout.robot;
        self.stop_where(step, |task| is_over(task) && watched(task), true);
    }

    /// Whether an earlier task of the same robot is not verified gone.
    pub(super) fn robot_is_busy(&self, occurrence: &Occurrence) -> bool {
        let app = occurrence.playout.destination.sdk_app_id;
        let same_robot = |task: &Task| task.robot == occurrence.playout.robot && task.destination.sdk_app_id == app;
        let is_earlier = |task: &Task| task.key != occurrence.key || !task.is_watched();
        self.rows.values().any(|state| is_earlier(&state.task) && same_robot(&state.task))
    }

    /// What stands between a start of `occurrence` and its room. `may_stay`: whether an occurrence may play beside it.
    pub(super) fn blocker(&self, occurrence: &Occurrence, may_stay: impl Fn(&Key) -> bool) -> Blocker {
        let blocks = |state: &&TaskState| {
            // Its own task blocks it only while it hands over to itself.
            let is_own = state.task.key == occurrence.key && !state.task.is_stop_wanted();
            state.task.may_play() && !is_own && !may_stay(&state.task.key)
        };
        let rows = self.of_target.get(&occurrence.playout.target()).into_iter().flatten();
        let blockers = rows.filter_map(|row| self.rows.get(row)).filter(blocks).map(|state| {
            match state.task.robot == occurrence.playout.robot {
                true => Blocker::SameRobot,
                false if state.task.is_stop_wanted() && state.hand_over == HandOver::Answered => Blocker::Nothing,
                false => Blocker::Task,
            }
        });
        blockers.max().unwrap_or(Blocker::Nothing)
    }

    /// The stop of every task of an occurrence is owed.
    pub(super) fn want_stop(&mut self, step: &mut Step, key: &Key, hands_over: bool) {
        let rows = self.of_key.get(key).cloned().unwrap_or_default();
        self.stop_rows(step, rows, hands_over);
    }

    /// The tasks of that id are to be stopped. False: no task has that id.
    pub(super) fn want_stop_of(&mut self, step: &mut Step, task_id: &str) -> bool {
        let is_there = self.rows.values().any(|state| state.task.task_id == task_id);
        self.stop_where(step, |task| task.task_id == task_id, false);
        is_there
    }

    /// The application of the task of that id, if it is not gone.
    pub(super) fn app_of(&self, task_id: &str) -> Option<&str> {
        self.rows.values().map(|state| &state.task).find(|task| task.task_id == task_id).map(|task| task.destination.app.as_str())
    }

    fn stop_where(&mut self, step: &mut Step, which: impl Fn(&Task) -> bool, hands_over: bool) {
        let rows = self.rows.iter().filter(|(_, state)| which(&state.task)).map(|(row, _)| *row).collect();
        self.stop_rows(step, rows, hands_over);
    }

    fn stop_rows(&mut self, step: &mut Step, rows: Vec<i64>, hands_over: bool) {
        let period = self.watch_period();
        for row in rows {
            let Some(state) = self.rows.get_mut(&row) else { continue };
            state.task.take(TaskEvent::StopWanted, period, step.now);
            if hands_over && state.hand_over == HandOver::None {
                state.hand_over = HandOver::Awaited;
            }
            // A describe that is still to be sent is overtaken by the stop.
            state.owed = None;
            write(step, state);
        }
    }

    /// Stops that failed may succeed now: each is sent at once, and not after its wait.
    pub(super) fn hurry_stops(&mut self, now: Timestamp) {
        let stops = self.rows.values_mut().filter(|state| matches!(state.task.phase, TaskPhase::StopWanted { .. }));
        for state in stops {
            state.task.hurry_stop(now);
        }
    }

    /// An edit gave an occurrence another end: its tasks end with their media only where the end still follows from that.
    pub(super) fn end_with(&mut self, step: &mut Step, occurrence: &Occurrence) {
        let media_end = match occurrence.end {
            End::Media(end) if !occurrence.plays_fallback() => Some(end),
            End::Media(_) | End::Planned(_) | End::Open | End::Never => None,
        };
        for state in self.rows.values_mut().filter(|state| state.task.key == occurrence.key) {
            state.task.media_end = media_end;
            write(step, state);
        }
    }

    /// The task of that row, if it is not gone.
    pub(super) fn get(&self, row: i64) -> Option<&Task> {
        self.rows.get(&row).map(|state| &state.task)
    }

    /// The task of that id and application, if it is not gone.
    pub(super) fn find(&self, sdk_app_id: u64, task_id: &str) -> Option<&Task> {
        self.rows.values().map(|state| &state.task).find(|task| is_task(task, sdk_app_id, task_id))
    }

    /// A task was never its occurrence's: it is forgotten here, and its row is closed.
    pub(super) fn disown(&mut self, step: &mut Step, key: &Key, task_id: &str) {
        let is_it = |task: &Task| &task.key == key && task.task_id == task_id;
        let row = self.rows.iter().find(|(_, state)| is_it(&state.task)).map(|(row, _)| *row);
        let Some(mut state) = row.and_then(|row| self.remove(row)) else { return };
        state.task.phase = TaskPhase::Gone { at: step.now, verified: false };
        write(step, &state);
    }

    /// Whether an occurrence has a task that is not seen gone.
    pub(super) fn has_task_of(&self, key: &Key) -> bool {
        self.of_key.contains_key(key)
    }

    /// How far the stops of an occurrence's tasks have come, in words.
    pub(super) fn stop_states(&self, key: &Key) -> Vec<String> {
        let rows = self.of_key.get(key).into_iter().flatten().filter_map(|row| self.rows.get(row));
        rows.filter_map(|state| task_notices::stop_state(&state.task, self.secrets)).collect()
    }

    /// A callback says something about a task: it is described now, and not half a minute later. Returns whether it is newer than
    /// what is known of its media.
    pub(super) fn on_callback(&mut self, step: &mut Step, callback: &Callback) -> bool {
        let Callback { sdk_app_id, task_id, news, at } = callback;
        let mut is_news = false;
        for state in self.rows.values_mut().filter(|state| is_task(&state.task, *sdk_app_id, task_id)) {
            let before = (state.task.unpulled_at, state.task.was_seen);
            match news {
                TaskNews::Started => state.media_is_pulled(step, *at),
                TaskNews::StartFailed => is_news |= state.media_is_not_pulled(step, *at),
                TaskNews::StartAgain | TaskNews::Stopped => {}
            }
            if (state.task.unpulled_at, state.task.was_seen) != before {
                write(step, state);
            }
            if matches!(state.task.phase, TaskPhase::Watched { .. } | TaskPhase::Verifying { .. }) {
                state.task.next_at = state.task.next_at.min(step.now);
            }
        }
        is_news
    }

    /// Takes in an answer. Returns the task, and whether something became of it that its occurrence must know.
    pub(super) fn answered(
        &mut self,
        step: &mut Step,
        row: i64,
        action: TaskStep,
        times: (Timestamp, Timestamp),
        answer: &Answer,
    ) -> Option<(Task, bool)> {
        let period = self.watch_period();
        let state = self.rows.get_mut(&row)?;
        match action {
            TaskStep::Stop => {
                state.stopping = false;
                state.hand_over = HandOver::Answered;
            }
            TaskStep::Describe => state.describing = false,
        }
        let before = state.task.clone();
        state.task.answered(action, answer, period, step.now);
        let task = state.task.clone();
        // A describe that changed nothing is not worth a row.
        let has_changed = action == TaskStep::Stop || task.phase != before.phase;
        if has_changed {
            let attempt = match before.phase {
                TaskPhase::StopWanted { tries, .. } | TaskPhase::Verifying { tries, .. } => tries.max(1),
                TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => 1,
            };
            let (call, row) = (step.numbers.next_call(), Box::new(task.clone()));
            step.write(Write::Called { call, task: row, action: action.action(), attempt, times, answer: answer.clone() });
        }
        if has_changed || is_worth_a_write(&before, &task) {
            write(step, state);
        }
        self.tell_answer(step, action, &before, &task, answer);
        if task.is_gone() {
            self.remove(row);
        }
        Some((task, has_changed))
    }

    /// Says what is new in an answer.
    fn tell_answer(&mut self, step: &mut Step, action: TaskStep, before: &Task, task: &Task, answer: &Answer) {
        match (action, action.answered(answer)) {
            (TaskStep::Stop, TaskEvent::Failed(_)) => task_notices::stop_failed(step, (before, task), answer, self.secrets),
            (TaskStep::Stop, _) => task_notices::stop_accepted(step, before),
            (TaskStep::Describe, TaskEvent::Failed(_)) => self.told.look_failed(step, task, self.secrets),
            (TaskStep::Describe, _) if before.describe_fault.is_some() || before.is_unseen => {
                let kind = fault_kind(before);
                let is_last = !self.rows.values().any(|state| fault_kind(&state.task) == kind && kind.is_some());
                self.told.seen_again(step, before, is_last);
            }
            (TaskStep::Describe, _) => {}
        }
    }

    /// Decides what is to be sent now. Returns the tasks that their bound settled.
    pub(super) fn act_on_time(&mut self, step: &mut Step) -> Vec<Task> {
        let now = step.now;
        let mut settled = Vec::new();
        let period = self.watch_period();
        for state in self.rows.values_mut() {
            if state.pull_alert_at.take_if(|at| *at <= now).is_some() {
                task_notices::unpulled(step, &state.task, Level::Error);
            }
            if state.task.unseen_due(period, now) {
                self.told.unseen(step, &state.task, self.secrets);
                write(step, state);
            }
            if state.is_busy() || state.owed.is_some() || state.task.next_at > now {
                continue;
            }
            state.owed = state.task.due(now);
            let alerts = state.task.alert_due(now);
            if alerts {
                task_notices::not_stopped(step, &state.task, self.secrets);
            }
            if alerts || state.task.is_gone() {
                write(step, state);
            }
            if state.task.is_gone() {
                settled.push(state.task.clone());
            }
        }
        for task in &settled {
            self.remove(task.row);
        }
        settled
    }

    /// Hands out what was decided to be sent.
    pub(super) fn send(&mut self, step: &mut Step) {
        for (row, state) in &mut self.rows {
            let Some(owed) = state.owed.take() else { continue };
            match owed {
                TaskStep::Stop => state.stopping = true,
                TaskStep::Describe => state.describing = true,
            }
            let priority = state.priority(owed);
            let (destination, task_id) = (state.task.destination.clone(), state.task.task_id.clone());
            step.calls.push(Call::Task { row: *row, step: owed, destination, task_id, priority });
        }
    }

    /// When the next one is to be described, stopped or told of.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let described = self.rows.values().filter(|state| !state.is_busy()).map(|state| state.task.next_at);
        let period = self.watch_period();
        let told = self.rows.values().flat_map(|state| [state.pull_alert_at, state.task.unseen_at(period)]).flatten();
        described.chain(told).min()
    }
}
