//! What the writes of a step mean to whoever is to be told: which trouble begins, and which is over. The words are those of the notices of
//! the same step. Pure; does not know what is open, and who is told.

use jiff::SignedDuration;

use super::notice::{Level, Notice};
use super::write::Write;
use crate::alerts::{AlertEvent, Course, Signal};
use crate::occurrence::{End, Failure, Key, Occurrence, Outcome, State, Task, TaskPhase, UNSEEN_LOSSES_MAX, WaitReason, is_paced};

/// How long the vendor may try to pull the media before somebody must look.
const PULL_PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// A task that is on air for less after its end is no trouble.
const STOPPED_BY: SignedDuration = SignedDuration::from_mins(1);

/// A show that was on air for less was not looked at often enough to be missed there.
const SEEN_BY: SignedDuration = SignedDuration::from_secs(10);

/// Returns what these writes mean.
pub fn alert_signals(writes: &[Write], notices: &[Notice]) -> Vec<Signal> {
    let mut signals = Signals { writes, notices, list: Vec::new() };
    for write in writes {
        match write {
            Write::Record(row) | Write::Update(row) | Write::Summarise(row) => signals.occurrence(row),
            Write::Reopen(row) => signals.reopened(row),
            Write::AddTask(task) | Write::UpdateTask(task) => signals.task(task),
            Write::AddOrphan(orphan) => {
                let text = format!("task {} runs, and nobody here started it", orphan.task_id);
                let text = signals.said(None, &orphan.task_id).unwrap_or(text);
                signals.list.push(Signal::raise(AlertEvent::StopUnverified, &orphan.task_id, text, orphan.seen_at));
            }
            Write::OrphanGone { task_id, .. } => signals.gone(task_id),
            _ => {}
        }
    }
    signals.list
}

struct Signals<'a> {
    writes: &'a [Write],
    notices: &'a [Notice],
    list: Vec<Signal>,
}

impl Signals<'_> {
    fn occurrence(&mut self, row: &Occurrence) {
        match &row.state {
            State::Done { outcome } => self.done(row, outcome),
            State::OnAir => self.on_air(row),
            // What was refused did not vanish, and has its tries again.
            State::Waiting { why: WaitReason::Restart, .. }
                if row.tries == 0 && row.lost_at.is_some() && !row.was_refused_media() =>
            {
                self.vanished(row);
            }
            // A notice that is an error says that somebody must do something.
            State::Waiting { why: WaitReason::Retry | WaitReason::Restart, .. } if self.is_error(&row.key) => {
                self.raise(AlertEvent::Failed, row, Course::Lasts);
            }
            State::Waiting { .. } | State::Armed | State::Calling | State::Stopping { .. } => {}
        }
    }

    fn done(&mut self, row: &Occurrence, outcome: &Outcome) {
        self.clear(AlertEvent::Fallback, row, "is over");
        match outcome {
            Outcome::Failed(Failure::Lost) => self.raise(AlertEvent::Lost, row, Course::Past),
            Outcome::Failed(_) => self.raise(AlertEvent::Failed, row, Course::Past),
            Outcome::Missed(_) => self.raise(AlertEvent::Missed, row, Course::Past),
            Outcome::EndedUnverified => match &row.task_id {
                Some(task_id) => self.raise_as(AlertEvent::StopUnverified, task_id, row, Course::Past),
                None => self.raise_as(AlertEvent::StopUnverified, &row.key.to_string(), row, Course::Single),
            },
            Outcome::CutOperator | Outcome::CutPreempted | Outcome::CutRemoved | Outcome::CutEdited => {
                let course = if *outcome == Outcome::CutRemoved { Course::Past } else { Course::Single };
                self.raise_as(AlertEvent::Cut, &row.key.to_string(), row, course);
                self.over(row, "was cut");
            }
            Outcome::EndedPlanned | Outcome::EndedMedia => {
                let time = row.on_air_at.zip(row.ended_at).map(|(on_air, ended)| ended.duration_since(on_air));
                if row.evidence_note().is_some() && time.is_some_and(|time| time >= SEEN_BY) {
                    self.raise(AlertEvent::Unseen, row, Course::Past);
                } else {
                    self.over(row, "is over as planned");
                }
                self.outlasted(row);
            }
            Outcome::Skipped(_) => self.over(row, "was skipped"),
        }
    }

    /// What lasted as long as the show was wanted is over with it.
    fn over(&mut self, row: &Occurrence, how: &str) {
        for event in [AlertEvent::Failed, AlertEvent::Lost, AlertEvent::Unseen] {
            self.clear(event, row, how);
        }
    }

    /// It was on air long after its end, and nobody was there to say so: a task whose stop was looked after was told while it lasted.
    fn outlasted(&mut self, row: &Occurrence) {
        let (End::Planned(end), Some(ended), Some(task_id)) = (row.end, row.ended_at, &row.task_id) else { return };
        let late = ended.duration_since(end);
        let was_told = |write: &Write| matches!(write, Write::UpdateTask(task) if task.alerted && task.task_id == *task_id);
        if late < STOPPED_BY || self.writes.iter().any(was_told) {
            return;
        }
        let text = Some(words(&row.key, &format!("ended (planned), {} s after its planned end", late.as_secs())));
        let (event, key, newest, course) = (AlertEvent::StopUnverified, task_id.clone(), row.key.start, Course::Single);
        self.list.push(Signal::Raise { event, key, text, newest, count: 1, course, patience: SignedDuration::ZERO });
    }

    fn on_air(&mut self, row: &Occurrence) {
        if !row.plays_fallback() {
            self.clear(AlertEvent::Fallback, row, "plays its stream again");
        } else if let Some(trouble) = row.fallback.trouble {
            let text =
                format!("plays its fallback {}: its stream cannot be had: {}", row.playout.stream.redacted(), trouble.why.words());
            let (event, key, course) = (AlertEvent::Fallback, row.key.job.to_string(), Course::Lasts);
            let (text, newest) = (Some(words(&row.key, &text)), row.key.start);
            self.list.push(Signal::Raise { event, key, text, newest, count: 1, course, patience: SignedDuration::ZERO });
        }
        self.clear(AlertEvent::Failed, row, "is on air");
        self.clear(AlertEvent::Missed, row, "is on air");
        // One that keeps vanishing comes back each minute: that is not the end of it.
        let since = row.heals.last().copied().or(row.on_air_at).unwrap_or(row.key.start);
        if row.unseen_losses == 0 && !is_paced(row, since) {
            self.clear(AlertEvent::Lost, row, "is on air");
        }
    }

    fn vanished(&mut self, row: &Occurrence) {
        if self.is_error(&row.key) || row.unseen_losses >= UNSEEN_LOSSES_MAX {
            self.raise(AlertEvent::Lost, row, Course::Lasts);
        }
    }

    /// What was cut goes on.
    fn reopened(&mut self, row: &Occurrence) {
        let text = format!("`{}` goes on", row.key.job);
        self.list.push(Signal::clear(AlertEvent::Cut, &row.key.to_string(), text));
    }

    fn task(&mut self, task: &Task) {
        let Task { task_id, key, .. } = task;
        match task.phase {
            TaskPhase::Gone { verified: true, .. } => self.gone(task_id),
            TaskPhase::StopWanted { .. } | TaskPhase::Verifying { .. } if task.alerted => {
                let text = format!("task {task_id} is not verified off the air a minute after its end");
                let text = self.about(key).unwrap_or_else(|| words(key, &text));
                self.list.push(Signal::raise(AlertEvent::StopUnverified, task_id, text, task.started_at));
            }
            TaskPhase::Gone { verified: false, .. } | TaskPhase::StopWanted { .. } | TaskPhase::Verifying { .. } => {}
            TaskPhase::Watched { .. } => self.watched(task),
        }
    }

    fn watched(&mut self, task: &Task) {
        let (job, start) = (task.key.job.as_str(), task.key.start);
        let raise = |text: String, patience| Signal::Raise {
            event: AlertEvent::Unseen,
            key: job.to_owned(),
            text: Some(words(&task.key, &text)),
            newest: start,
            count: 1,
            course: Course::Lasts,
            patience,
        };
        let signal = if task.unpulled_at.is_some() {
            raise(format!("TRTC cannot pull the media of task {}: can its URL be reached from there?", task.task_id), PULL_PATIENCE)
        } else if task.is_unseen {
            raise(format!("task {} has not been seen on air since {:.0}", task.task_id, task.seen_at), SignedDuration::ZERO)
        } else if task.was_seen {
            cleared(AlertEvent::Unseen, &task.key, "is seen on air")
        } else {
            return;
        };
        self.list.push(signal);
    }

    fn gone(&mut self, task_id: &str) {
        self.list.push(Signal::clear(AlertEvent::StopUnverified, task_id, format!("task {task_id} is off the air")));
    }

    fn raise(&mut self, event: AlertEvent, row: &Occurrence, course: Course) {
        self.raise_as(event, row.key.job.as_str(), row, course);
    }

    fn raise_as(&mut self, event: AlertEvent, key: &str, row: &Occurrence, course: Course) {
        let text = self.about(&row.key);
        let (key, newest, count) = (key.to_owned(), row.key.start, row.count.max(1));
        self.list.push(Signal::Raise { event, key, text, newest, count, course, patience: SignedDuration::ZERO });
    }

    fn clear(&mut self, event: AlertEvent, row: &Occurrence, text: &str) {
        self.list.push(cleared(event, &row.key, text));
    }

    fn is_error(&self, key: &Key) -> bool {
        self.notices.iter().any(|notice| notice.level == Level::Error && notice.key.as_ref() == Some(key))
    }

    /// What the newest notice says of an occurrence, with its name.
    fn about(&self, key: &Key) -> Option<String> {
        let notice = self.notices.iter().rev().find(|notice| notice.key.as_ref() == Some(key) && notice.level > Level::Info);
        let notice = notice.or_else(|| self.notices.iter().rev().find(|notice| notice.key.as_ref() == Some(key)));
        notice.map(|notice| words(key, &notice.text))
    }

    /// What a notice says that has this in it.
    fn said(&self, key: Option<&Key>, part: &str) -> Option<String> {
        let mut notices = self.notices.iter().filter(|notice| notice.key.as_ref() == key && notice.text.contains(part));
        notices.next_back().map(|notice| notice.text.clone())
    }
}

/// The trouble of a job is over, as a show of it proves.
fn cleared(event: AlertEvent, key: &Key, text: &str) -> Signal {
    Signal::Clear { event, key: key.job.to_string(), text: words(key, text), by: Some(key.start) }
}

/// A sentence about an occurrence.
fn words(key: &Key, text: &str) -> String {
    format!("`{}` of {}: {text}", key.job, key.start)
}
