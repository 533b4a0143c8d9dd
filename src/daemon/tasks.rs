//! The tasks that TRTC runs for us: which are described or stopped next, and how often. Refuses to decide what becomes of an
//! occurrence.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

use super::live_task::{HandOver, LiveTask};
use super::voice::{Happening, Weight};
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{End, Key, Occurrence, Target, Task, TaskEvent, TaskPhase, TaskStep};
use crate::trtc::callback::TaskNews;
use crate::trtc::limiter::{Priority, StopClass};
use crate::trtc::{Action, Answer, Destination};

/// Each task on air is described this often, unless there are very many.
const WATCH_PERIOD: SignedDuration = SignedDuration::from_secs(30);

/// How long the vendor may try to pull the media after it said that it could not.
const PULL_PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What stands between a start and its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Nothing.
    Free,
    /// A task whose stop is not answered yet.
    Occupied,
    /// A task of the same robot whose stop has not succeeded yet.
    RobotBusy,
}

pub(super) struct Tasks {
    rows: BTreeMap<i64, LiveTask>,
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
        turn: &mut Turn<'_>,
        occurrence: &Occurrence,
        task_id: String,
        bound: Option<Timestamp>,
        media_end: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let mut task = Task {
            row: 0,
            task_id,
            destination: occurrence.playout.destination.clone(),
            room: occurrence.playout.room.clone(),
            key: occurrence.key.clone(),
            robot: occurrence.playout.robot.clone(),
            started_at: now,
            bound,
            media_end,
            phase: TaskPhase::Watched { missing_since: None },
            next_at: now,
            alerted: false,
            was_stopped: false,
        };
        task.row = turn.add_task(&task)?;
        task.next_at = task.first_watch(self.watch_period());
        self.insert(task);
        Ok(())
    }

    /// Takes over the tasks of a former daemon. A stop that is owed is due at once; describes of what is on air are spread over a
    /// period, so that stops and their verification do not queue behind them.
    pub(super) fn recover(&mut self, tasks: Vec<Task>, now: Timestamp) {
        let count = i32::try_from(tasks.len().max(1)).unwrap_or(i32::MAX);
        for task in tasks {
            self.insert(task);
        }
        let step = self.watch_period() / count;
        let mut at = now;
        for live in self.rows.values_mut() {
            live.task.next_at = now;
            if matches!(live.task.phase, TaskPhase::Watched { .. }) {
                live.task.next_at = at;
                at += step;
            }
        }
    }

    fn insert(&mut self, task: Task) {
        self.of_key.entry(task.key.clone()).or_default().push(task.row);
        self.of_target.entry(target(&task)).or_default().push(task.row);
        self.rows.insert(task.row, LiveTask::new(task));
    }

    fn remove(&mut self, row: i64) -> Option<LiveTask> {
        let live = self.rows.remove(&row)?;
        forget(&mut self.of_key, &live.task.key, row);
        forget(&mut self.of_target, &target(&live.task), row);
        Some(live)
    }

    /// The clock was set, and the cloud counts on.
    pub(super) fn clock_moved(&mut self, turn: &mut Turn<'_>, by: SignedDuration) -> Result<(), LedgerError> {
        for live in self.rows.values_mut() {
            let Some(bound) = live.task.bound else { continue };
            live.task.bound = bound.checked_add(by).ok();
            turn.update_task(&live.task)?;
        }
        Ok(())
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        for live in self.rows.values_mut() {
            live.task.clock_went_back(now);
        }
    }

    /// A start of `occurrence` found its robot taken by a task of ours whose media should be over: it is stopped now, and not
    /// half a minute later.
    pub(super) fn make_way(&mut self, turn: &mut Turn<'_>, occurrence: &Occurrence, now: Timestamp) -> Result<(), LedgerError> {
        let is_over = |task: &Task| task.media_end.is_some_and(|end| end <= now) && task.key != occurrence.key;
        let watched = |task: &Task| matches!(task.phase, TaskPhase::Watched { .. }) && task.robot == occurrence.playout.robot;
        self.stop_where(turn, |task| is_over(task) && watched(task), true, now)
    }

    /// Whether an earlier task of the same robot is not verified gone.
    pub(super) fn robot_is_busy(&self, occurrence: &Occurrence) -> bool {
        let app = occurrence.playout.destination.sdk_app_id;
        let same_robot = |task: &Task| task.robot == occurrence.playout.robot && task.destination.sdk_app_id == app;
        let is_earlier = |task: &Task| task.key != occurrence.key || !matches!(task.phase, TaskPhase::Watched { .. });
        self.rows.values().any(|live| is_earlier(&live.task) && same_robot(&live.task))
    }

    /// What stands between a start of `occurrence` and its room. `is_welcome`: whether an occurrence may play beside it.
    pub(super) fn way(&self, occurrence: &Occurrence, is_welcome: impl Fn(&Key) -> bool) -> Way {
        let in_way = |live: &&LiveTask| {
            // Its own task is in the way only while it hands over to itself.
            let is_own = live.task.key == occurrence.key && !live.task.is_stop_wanted();
            live.task.may_play() && !is_own && !is_welcome(&live.task.key)
        };
        let rows = self.of_target.get(&occurrence.playout.target()).into_iter().flatten();
        let ways = rows.filter_map(|row| self.rows.get(row)).filter(in_way).map(|live| {
            match live.task.robot == occurrence.playout.robot {
                true => Way::RobotBusy,
                false if live.task.is_stop_wanted() && live.hand_over == HandOver::Answered => Way::Free,
                false => Way::Occupied,
            }
        });
        ways.max().unwrap_or(Way::Free)
    }

    /// The stop of every task of an occurrence is owed.
    pub(super) fn want_stop(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        hands_over: bool,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let rows = self.of_key.get(key).cloned().unwrap_or_default();
        self.stop_rows(turn, rows, hands_over, now)
    }

    /// The stop of the tasks of that id is owed. False: there is none.
    pub(super) fn want_stop_of(&mut self, turn: &mut Turn<'_>, task_id: &str, now: Timestamp) -> Result<bool, LedgerError> {
        let is_there = self.rows.values().any(|live| live.task.task_id == task_id);
        self.stop_where(turn, |task| task.task_id == task_id, false, now)?;
        Ok(is_there)
    }

    fn stop_where(
        &mut self,
        turn: &mut Turn<'_>,
        which: impl Fn(&Task) -> bool,
        hands_over: bool,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let rows = self.rows.iter().filter(|(_, live)| which(&live.task)).map(|(row, _)| *row).collect();
        self.stop_rows(turn, rows, hands_over, now)
    }

    fn stop_rows(&mut self, turn: &mut Turn<'_>, rows: Vec<i64>, hands_over: bool, now: Timestamp) -> Result<(), LedgerError> {
        let period = self.watch_period();
        for row in rows {
            let Some(live) = self.rows.get_mut(&row) else { continue };
            live.task.take(TaskEvent::StopWanted, period, now);
            if hands_over && live.hand_over == HandOver::None {
                live.hand_over = HandOver::Awaited;
            }
            // A describe that is still to be sent is overtaken by the stop.
            live.owed = None;
            turn.update_task(&live.task)?;
        }
        Ok(())
    }

    /// An edit gave an occurrence another end: its tasks end with their media only where the end still follows from that.
    pub(super) fn end_with(&mut self, turn: &mut Turn<'_>, occurrence: &Occurrence) -> Result<(), LedgerError> {
        let media_end = match occurrence.end {
            End::Media(end) => Some(end),
            End::Planned(_) | End::Open | End::Never => None,
        };
        for live in self.rows.values_mut().filter(|live| live.task.key == occurrence.key) {
            live.task.media_end = media_end;
            turn.update_task(&live.task)?;
        }
        Ok(())
    }

    /// The occurrence of a task that is not gone, by what a callback says of it.
    pub(super) fn owner(&self, sdk_app_id: u64, task_id: &str) -> Option<&Task> {
        let is_it = |task: &Task| task.task_id == task_id && task.destination.sdk_app_id == sdk_app_id;
        self.rows.values().map(|live| &live.task).find(|task| is_it(task))
    }

    /// A task was never its occurrence's: it is forgotten here, and its row is closed.
    pub(super) fn disown(&mut self, turn: &mut Turn<'_>, key: &Key, task_id: &str, now: Timestamp) -> Result<(), LedgerError> {
        let row = self.rows.iter().find(|(_, live)| &live.task.key == key && live.task.task_id == task_id).map(|(row, _)| *row);
        let Some(mut live) = row.and_then(|row| self.remove(row)) else { return Ok(()) };
        live.task.phase = TaskPhase::Gone { at: now, verified: false };
        turn.update_task(&live.task)
    }

    /// A callback tells something of a task: it is described now, and not half a minute later.
    pub(super) fn hear(&mut self, sdk_app_id: u64, task_id: &str, news: TaskNews, now: Timestamp) {
        let is_it = |task: &Task| task.task_id == task_id && task.destination.sdk_app_id == sdk_app_id;
        for live in self.rows.values_mut().filter(|live| is_it(&live.task)) {
            live.unpulled = match news {
                TaskNews::Started => None,
                TaskNews::StartFailed => live.unpulled.or(Some(now)),
                TaskNews::StartAgain | TaskNews::Stopped => live.unpulled,
            };
            if matches!(live.task.phase, TaskPhase::Watched { .. } | TaskPhase::Verifying { .. }) {
                live.task.next_at = live.task.next_at.min(now);
            }
        }
    }

    /// Takes in an answer. Answers the task when something became of it that its occurrence must know.
    pub(super) fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        row: i64,
        step: TaskStep,
        (sent_at, answered_at): (Timestamp, Timestamp),
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Option<Task>, LedgerError> {
        let period = self.watch_period();
        let Some(live) = self.rows.get_mut(&row) else { return Ok(None) };
        match step {
            TaskStep::Stop => {
                live.stopping = false;
                live.hand_over = HandOver::Answered;
            }
            TaskStep::Describe => live.describing = false,
        }
        let before = live.task.phase;
        live.task.take(step.answered(answer), period, now);
        let action = match step {
            TaskStep::Stop => Action::Stop,
            TaskStep::Describe => Action::Describe,
        };
        // A describe that changed nothing is not worth a row.
        if step == TaskStep::Describe && live.task.phase == before {
            return Ok(None);
        }
        let attempt = match before {
            TaskPhase::StopWanted { tries, .. } | TaskPhase::Verifying { tries, .. } => tries.max(1),
            TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => 1,
        };
        turn.called(&live.task, (action, attempt), (sent_at, answered_at), answer)?;
        turn.update_task(&live.task)?;
        let task = live.task.clone();
        if task.is_gone() {
            self.remove(row);
        }
        Ok(Some(task))
    }

    /// Decides what is due. Answers the tasks that their bound settled, and alerts.
    pub(super) fn act_on_time(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<(Vec<Task>, Vec<Happening>), LedgerError> {
        let mut settled = Vec::new();
        let mut alerts = Vec::new();
        let mut alert = |task: &Task, text: String| {
            alerts.push(Happening { at: now, key: Some(task.key.clone()), weight: Weight::Error, text });
        };
        for live in self.rows.values_mut() {
            if live.unpulled.take_if(|since| now.duration_since(*since) >= PULL_PATIENCE).is_some() {
                alert(
                    &live.task,
                    format!("TRTC cannot pull the media of task {}: is its URL reachable from there?", live.task.task_id),
                );
            }
            if live.is_busy() || live.owed.is_some() || live.task.next_at > now {
                continue;
            }
            live.owed = live.task.due(now);
            let alert_due = live.task.alert_due(now);
            if alert_due {
                let id = &live.task.task_id;
                alert(&live.task, format!("task {id} is not verified off the air a minute after its end; it is tried on"));
            }
            if alert_due || live.task.is_gone() {
                turn.update_task(&live.task)?;
            }
            if live.task.is_gone() {
                settled.push(live.task.clone());
            }
        }
        for task in &settled {
            self.remove(task.row);
        }
        Ok((settled, alerts))
    }

    /// What is to be sent now.
    pub(super) fn calls(&mut self) -> Vec<(i64, TaskStep, (Destination, String), Priority)> {
        let owed = self.rows.iter_mut().filter_map(|(row, live)| Some((*row, live.owed.take()?, live)));
        let calls = owed.map(|(row, step, live)| {
            match step {
                TaskStep::Stop => live.stopping = true,
                TaskStep::Describe => live.describing = true,
            }
            let priority = match (step, live.task.phase) {
                (TaskStep::Describe, _) => Priority::describe(),
                (TaskStep::Stop, TaskPhase::StopWanted { tries: 0 | 1, .. }) if live.hand_over == HandOver::Awaited => {
                    Priority::stop(StopClass::HandOver)
                }
                (TaskStep::Stop, TaskPhase::StopWanted { tries: 0 | 1, .. }) => Priority::stop(StopClass::Planned),
                (TaskStep::Stop, _) => Priority::stop(StopClass::Again),
            };
            (row, step, (live.task.destination.clone(), live.task.task_id.clone()), priority)
        });
        calls.collect()
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let described = self.rows.values().filter(|live| !live.is_busy()).map(|live| live.task.next_at);
        let unpulled = self.rows.values().filter_map(|live| Some(live.unpulled? + PULL_PATIENCE));
        described.chain(unpulled).min()
    }
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
