//! The tasks that TRTC runs for us: which are described or stopped next, and how often. Refuses to decide what becomes of an
//! occurrence.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::voice::{Happening, Weight};
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{Key, Occurrence, Task, TaskEvent, TaskPhase, TaskStep};
use crate::trtc::error::{Class, classify};
use crate::trtc::limiter::{StopClass, Ticket};
use crate::trtc::{Action, Answer, Destination, Success, TaskStatus};

/// Each task on air is described this often, unless there are very many.
const WATCH_PERIOD: SignedDuration = SignedDuration::from_secs(30);

struct LiveTask {
    task: Task,
    /// A step was decided and is to be sent.
    owed: Option<TaskStep>,
    /// What is under way: a describe must not hold a stop back.
    describing: bool,
    stopping: bool,
}

impl LiveTask {
    fn new(task: Task) -> LiveTask {
        LiveTask { task, owed: None, describing: false, stopping: false }
    }

    /// Whether the next step has to wait for an answer.
    fn is_busy(&self) -> bool {
        self.stopping || (self.describing && !self.task.is_stop_wanted())
    }
}

pub(super) struct Tasks {
    tasks: BTreeMap<i64, LiveTask>,
    rate: u32,
}

impl Tasks {
    pub(super) fn new(rate: u32) -> Tasks {
        Tasks { tasks: BTreeMap::new(), rate }
    }

    /// 30 s, stretched so that all describes together take at most half of the limit.
    pub(super) fn watch_period(&self) -> SignedDuration {
        let stretched = SignedDuration::from_secs(i64::try_from(self.tasks.len() * 2).unwrap_or(i64::MAX) / i64::from(self.rate));
        WATCH_PERIOD.max(stretched)
    }

    /// Adds the task of a start that was accepted.
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
        self.tasks.insert(task.row, LiveTask::new(task));
        Ok(())
    }

    /// Takes over the tasks of a former daemon. A stop that is owed is due at once; describes of what is on air are spread over a
    /// period, so that stops and their verification do not queue behind them.
    pub(super) fn recover(&mut self, tasks: Vec<Task>, now: Timestamp) {
        let count = i32::try_from(tasks.len().max(1)).unwrap_or(i32::MAX);
        for task in tasks {
            self.tasks.insert(task.row, LiveTask::new(task));
        }
        let step = self.watch_period() / count;
        let mut at = now;
        for live in self.tasks.values_mut() {
            live.task.next_at = now;
            if matches!(live.task.phase, TaskPhase::Watched { .. }) {
                live.task.next_at = at;
                at += step;
            }
        }
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        for live in self.tasks.values_mut() {
            live.task.clock_went_back(now);
        }
    }

    /// A start of `occurrence` found its robot taken by a task of ours whose media should be over: it is stopped now, and not
    /// half a minute later.
    pub(super) fn make_way(&mut self, turn: &mut Turn<'_>, occurrence: &Occurrence, now: Timestamp) -> Result<(), LedgerError> {
        let period = self.watch_period();
        let is_over = |task: &Task| task.media_end.is_some_and(|end| end <= now) && task.key != occurrence.key;
        let watched = |task: &Task| matches!(task.phase, TaskPhase::Watched { .. }) && task.robot == occurrence.playout.robot;
        for live in self.tasks.values_mut().filter(|live| is_over(&live.task) && watched(&live.task)) {
            live.task.take(TaskEvent::StopWanted, period, now);
            live.owed = None;
            turn.update_task(&live.task)?;
        }
        Ok(())
    }

    /// Whether an earlier task of the same robot is not verified gone.
    pub(super) fn robot_is_busy(&self, occurrence: &Occurrence) -> bool {
        let app = occurrence.playout.destination.sdk_app_id;
        let same_robot = |task: &Task| task.robot == occurrence.playout.robot && task.destination.sdk_app_id == app;
        self.tasks.values().any(|live| live.task.key != occurrence.key && same_robot(&live.task))
    }

    /// When the cloud ends the newest task of an occurrence.
    pub(super) fn bound_of(&self, key: &Key) -> Option<Timestamp> {
        self.tasks.values().rfind(|live| &live.task.key == key)?.task.bound
    }

    /// The stop of every task of an occurrence is owed.
    pub(super) fn want_stop(&mut self, turn: &mut Turn<'_>, key: &Key, now: Timestamp) -> Result<(), LedgerError> {
        let period = self.watch_period();
        for live in self.tasks.values_mut().filter(|live| &live.task.key == key) {
            live.task.take(TaskEvent::StopWanted, period, now);
            // A describe that is still to be sent is overtaken by the stop.
            live.owed = None;
            turn.update_task(&live.task)?;
        }
        Ok(())
    }

    /// Takes in an answer. Answers the task when something became of it that its occurrence must know.
    pub(super) fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        row: i64,
        step: TaskStep,
        (sent_at, answered_at): (Timestamp, Timestamp),
        answer: &Answer,
    ) -> Result<Option<Task>, LedgerError> {
        let period = self.watch_period();
        let Some(live) = self.tasks.get_mut(&row) else { return Ok(None) };
        match step {
            TaskStep::Stop => live.stopping = false,
            TaskStep::Describe => live.describing = false,
        }
        let before = live.task.phase;
        live.task.take(event(step, answer), period, answered_at);
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
            self.tasks.remove(&row);
        }
        Ok(Some(task))
    }

    /// Decides what is due. Answers the tasks that their bound settled, and alerts.
    pub(super) fn act_on_time(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<(Vec<Task>, Vec<Happening>), LedgerError> {
        let mut settled = Vec::new();
        let mut alerts = Vec::new();
        for live in self.tasks.values_mut().filter(|live| !live.is_busy() && live.owed.is_none() && live.task.next_at <= now) {
            live.owed = live.task.due(now);
            let alert_due = live.task.alert_due(now);
            if alert_due {
                let text = format!("task {} is not verified off the air a minute after its end; it is tried on", live.task.task_id);
                alerts.push(Happening { at: now, key: Some(live.task.key.clone()), weight: Weight::Error, text });
            }
            if alert_due || live.task.is_gone() {
                turn.update_task(&live.task)?;
            }
            if live.task.is_gone() {
                settled.push(live.task.clone());
            }
        }
        for task in &settled {
            self.tasks.remove(&task.row);
        }
        Ok((settled, alerts))
    }

    /// What is to be sent now.
    pub(super) fn calls(&mut self) -> Vec<(i64, TaskStep, (Destination, String), Ticket)> {
        let owed = self.tasks.iter_mut().filter_map(|(row, live)| Some((*row, live.owed.take()?, live)));
        let calls = owed.map(|(row, step, live)| {
            match step {
                TaskStep::Stop => live.stopping = true,
                TaskStep::Describe => live.describing = true,
            }
            let ticket = match (step, live.task.phase) {
                (TaskStep::Describe, _) => Ticket::describe(),
                (TaskStep::Stop, TaskPhase::StopWanted { tries: 0 | 1, .. }) => Ticket::stop(StopClass::Planned),
                (TaskStep::Stop, _) => Ticket::stop(StopClass::Again),
            };
            (row, step, (live.task.destination.clone(), live.task.task_id.clone()), ticket)
        });
        calls.collect()
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.tasks.values().filter(|live| !live.is_busy()).map(|live| live.task.next_at).min()
    }
}

fn event(step: TaskStep, answer: &Answer) -> TaskEvent {
    match (step, &answer.result) {
        (TaskStep::Stop, Ok(Success::Stopped)) => TaskEvent::Stopped,
        (TaskStep::Stop, Err(fault)) if classify(fault) == Class::TaskGone => TaskEvent::Stopped,
        (TaskStep::Describe, Ok(Success::Described(status))) => TaskEvent::Described(*status),
        // The service says it either way (TRTC.md section 2.2).
        (TaskStep::Describe, Err(fault)) if classify(fault) == Class::TaskGone => TaskEvent::Described(TaskStatus::NotExist),
        _ => TaskEvent::Failed,
    }
}
