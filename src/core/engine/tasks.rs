//! The tasks that TRTC runs for us: which is described or stopped next, and how often. Does not decide what becomes of an
//! occurrence.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

use super::call_report::Blocker;
use super::notice::Level;
use super::step::{Call, Step};
use super::task_state::{HandOver, TaskState};
use super::write::Write;
use crate::occurrence::{End, Key, Occurrence, Target, Task, TaskEvent, TaskPhase, TaskStep};
use crate::trtc::Answer;
use crate::trtc::callback::TaskNews;
use crate::trtc::limiter::{Priority, StopClass};

/// Each task on air is described this often, unless there are very many.
const WATCH_PERIOD: SignedDuration = SignedDuration::from_secs(30);

/// How long the vendor may try to pull the media after it said that it could not.
const PULL_PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// All of them that are not known to be gone.
pub(super) struct Tasks {
    rows: BTreeMap<i64, TaskState>,
    /// The rows of an occurrence's tasks, and of a room's: thousands may start or end at one instant.
    of_key: HashMap<Key, Vec<i64>>,
    of_target: HashMap<Target, Vec<i64>>,
    rate: u32,
}

impl Tasks {
    pub(super) fn new(rate: u32) -> Tasks {
        Tasks { rows: BTreeMap::new(), of_key: HashMap::new(), of_target: HashMap::new(), rate }
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
            was_stopped: false,
        };
        step.write(Write::AddTask(Box::new(task.clone())));
        task.next_at = task.first_watch(self.watch_period());
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
            state.task.next_at = now;
            if matches!(state.task.phase, TaskPhase::Watched { .. }) {
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
        Some(state)
    }

    /// The clock was set, and the cloud counts on.
    pub(super) fn clock_moved(&mut self, step: &mut Step, by: SignedDuration) {
        for state in self.rows.values_mut() {
            state.task.clock_moved(by);
            write(step, state);
        }
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
        let watched = |task: &Task| matches!(task.phase, TaskPhase::Watched { .. }) && task.robot == occurrence.playout.robot;
        self.stop_where(step, |task| is_over(task) && watched(task), true);
    }

    /// Whether an earlier task of the same robot is not verified gone.
    pub(super) fn robot_is_busy(&self, occurrence: &Occurrence) -> bool {
        let app = occurrence.playout.destination.sdk_app_id;
        let same_robot = |task: &Task| task.robot == occurrence.playout.robot && task.destination.sdk_app_id == app;
        let is_earlier = |task: &Task| task.key != occurrence.key || !matches!(task.phase, TaskPhase::Watched { .. });
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

    /// The stop of the tasks of that id is owed. False: there is none.
    pub(super) fn want_stop_of(&mut self, step: &mut Step, task_id: &str) -> bool {
        let is_there = self.rows.values().any(|state| state.task.task_id == task_id);
        self.stop_where(step, |task| task.task_id == task_id, false);
        is_there
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

    /// An edit gave an occurrence another end: its tasks end with their media only where the end still follows from that.
    pub(super) fn end_with(&mut self, step: &mut Step, occurrence: &Occurrence) {
        let media_end = match occurrence.end {
            End::Media(end) => Some(end),
            End::Planned(_) | End::Open | End::Never => None,
        };
        for state in self.rows.values_mut().filter(|state| state.task.key == occurrence.key) {
            state.task.media_end = media_end;
            write(step, state);
        }
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

    /// A callback says something about a task: it is described now, and not half a minute later.
    pub(super) fn on_callback(&mut self, sdk_app_id: u64, task_id: &str, news: TaskNews, now: Timestamp) {
        for state in self.rows.values_mut().filter(|state| is_task(&state.task, sdk_app_id, task_id)) {
            state.unpulled = match news {
                TaskNews::Started => None,
                TaskNews::StartFailed => state.unpulled.or(Some(now)),
                TaskNews::StartAgain | TaskNews::Stopped => state.unpulled,
            };
            if matches!(state.task.phase, TaskPhase::Watched { .. } | TaskPhase::Verifying { .. }) {
                state.task.next_at = state.task.next_at.min(now);
            }
        }
    }

    /// Takes in an answer. Returns the task when something became of it that its occurrence must know.
    pub(super) fn answered(
        &mut self,
        step: &mut Step,
        row: i64,
        action: TaskStep,
        times: (Timestamp, Timestamp),
        answer: &Answer,
    ) -> Option<Task> {
        let period = self.watch_period();
        let state = self.rows.get_mut(&row)?;
        match action {
            TaskStep::Stop => {
                state.stopping = false;
                state.hand_over = HandOver::Answered;
            }
            TaskStep::Describe => state.describing = false,
        }
        let before = state.task.phase;
        state.task.take(action.answered(answer), period, step.now);
        // A describe that changed nothing is not worth a row.
        if action == TaskStep::Describe && state.task.phase == before {
            return None;
        }
        let attempt = match before {
            TaskPhase::StopWanted { tries, .. } | TaskPhase::Verifying { tries, .. } => tries.max(1),
            TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => 1,
        };
        let (call, task) = (step.numbers.next_call(), Box::new(state.task.clone()));
        step.write(Write::Called { call, task, action: action.action(), attempt, times, answer: answer.clone() });
        write(step, state);
        let task = state.task.clone();
        if task.is_gone() {
            self.remove(row);
        }
        Some(task)
    }

    /// Decides what is to be sent now. Returns the tasks that their bound settled.
    pub(super) fn act_on_time(&mut self, step: &mut Step) -> Vec<Task> {
        let now = step.now;
        let mut settled = Vec::new();
        for state in self.rows.values_mut() {
            let (id, key) = (&state.task.task_id, &state.task.key);
            if state.unpulled.take_if(|since| now.duration_since(*since) >= PULL_PATIENCE).is_some() {
                let text = format!("TRTC cannot pull the media of task {id}: can its URL be reached from there?");
                step.notify_of(key, Level::Error, text);
            }
            if state.is_busy() || state.owed.is_some() || state.task.next_at > now {
                continue;
            }
            state.owed = state.task.due(now);
            let alerts = state.task.alert_due(now);
            if alerts {
                let text =
                    format!("task {} is not verified off the air a minute after its end; ingestd keeps trying", state.task.task_id);
                step.notify_of(&state.task.key, Level::Error, text);
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
            let priority = match (owed, state.task.phase) {
                (TaskStep::Describe, _) => Priority::describe(),
                (TaskStep::Stop, TaskPhase::StopWanted { tries: 0 | 1, .. }) if state.hand_over == HandOver::Awaited => {
                    Priority::stop(StopClass::HandOver)
                }
                (TaskStep::Stop, TaskPhase::StopWanted { tries: 0 | 1, .. }) => Priority::stop(StopClass::Planned),
                (TaskStep::Stop, _) => Priority::stop(StopClass::Again),
            };
            let (destination, task_id) = (state.task.destination.clone(), state.task.task_id.clone());
            step.calls.push(Call::Task { row: *row, step: owed, destination, task_id, priority });
        }
    }

    /// When the next one is to be described, stopped or told of.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let described = self.rows.values().filter(|state| !state.is_busy()).map(|state| state.task.next_at);
        let unpulled = self.rows.values().filter_map(|state| Some(state.unpulled? + PULL_PATIENCE));
        described.chain(unpulled).min()
    }
}

fn write(step: &mut Step, state: &TaskState) {
    step.write(Write::UpdateTask(Box::new(state.task.clone())));
}

fn is_task(task: &Task, sdk_app_id: u64, task_id: &str) -> bool {
    task.task_id == task_id && task.destination.sdk_app_id == sdk_app_id
}

fn target(task: &Task) -> Target {
    Target { sdk_app_id: task.destination.sdk_app_id, room: task.room.clone() }
}

fn forget<K: Eq + Hash>(index: &mut HashMap<K, Vec<i64>>, key: &K, row: i64) {
    if let Some(rows) = index.get_mut(key) {
        rows.retain(|known| *known != row);
        if rows.is_empty() {
            index.remove(key);
        }
    }
}
