//! Tasks: who may start, how long they live, and what is remembered of them. Knows instants; does not know requests,
//! secrets and clocks. Nothing runs here: what has ended is found out when somebody asks.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::trtc::{Repeat, StartParams, Tempo};

use super::callback_queue::{CallbackEvent, CallbackQueue};
use super::exchange::ErrorReply;
use super::{ExistReading, MediaLengths};

/// How long a task that has played everything lives on without `IdleTimeout`. The vendor says "adaptively" and no number.
const IDLE: Duration = Duration::from_secs(5);
/// Tasks that may run at once. The vendor publishes no number (TRTC.md section 6); this one only bounds the memory.
const RUNNING_MAX: usize = 10_000;
/// Ended tasks that are remembered, so that their stop is answered `TaskFinished`.
const ENDED_MAX: usize = 10_000;

/// Why a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// StopStreamIngest.
    Stopped,
    /// Everything was played, and the idle time after it had passed.
    Media,
    /// `MaxDuration` had passed.
    MaxDuration,
    /// A later start of the same robot displaced it ([`ExistReading::Displace`]).
    Displaced,
    /// It vanished: by the fault plan, or by [`super::Sandbox::kill_task`].
    Vanished,
}

/// A task, running or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SandboxTask {
    /// Its id: opaque, with `+`, `-` and `.` in it as the real ones have.
    pub task_id: String,
    /// The application it was started in.
    pub sdk_app_id: u64,
    /// The region it was started in.
    pub region: String,
    /// What the start asked for.
    pub params: StartParams,
    /// When the start arrived.
    pub started_at: Timestamp,
    /// When it will end by itself and why, or would have; `None` when only a stop ends it.
    pub bound: Option<(Timestamp, EndReason)>,
    /// When it ended and why; `None` while it runs.
    pub ended: Option<(Timestamp, EndReason)>,
}

impl SandboxTask {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.ended.is_none()
    }
}

/// Who asks about a task: a task is known only to the application and the region that started it.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    /// `SdkAppId`.
    pub(super) sdk_app_id: u64,
    /// `X-TC-Region`.
    pub(super) region: &'a str,
}

/// All tasks.
pub(super) struct TaskBook {
    exist: ExistReading,
    media: MediaLengths,
    running: Vec<SandboxTask>,
    ended: VecDeque<SandboxTask>,
    /// Makes the ids of this sandbox others than those of an earlier one: a ledger outlives a sandbox.
    born: Timestamp,
    minted: u64,
    news: CallbackQueue,
    /// When media dies or heals, in this order.
    changes: VecDeque<MediaChange>,
}

/// Media dies or heals.
struct MediaChange {
    at: Timestamp,
    url: String,
    is_there: bool,
}

impl TaskBook {
    /// No tasks yet.
    pub(super) fn new(exist: ExistReading, media: MediaLengths, born: Timestamp, news: CallbackQueue) -> TaskBook {
        let change = |url: &String, after, is_there| MediaChange { at: later(born, after), url: url.clone(), is_there };
        let changes = media.outages.iter().flat_map(|(url, outage)| {
            let heals = outage.heals.map(|after| change(url, after, true));
            [Some(change(url, outage.dies, false)), heals]
        });
        let mut changes: Vec<MediaChange> = changes.flatten().collect();
        changes.sort_by_key(|change| change.at);
        let (running, ended, changes) = (Vec::new(), VecDeque::new(), changes.into());
        TaskBook { exist, media, running, ended, born, minted: 0, news, changes }
    }

    /// From `at` on media can be pulled, or cannot.
    pub(super) fn set_media(&mut self, url: &str, is_there: bool, at: Timestamp) {
        let is_change = if is_there { self.media.unreachable.remove(url) } else { self.media.unreachable.insert(url.to_owned()) };
        let plays = |task: &&SandboxTask| task.params.stream_url.reveal() == url && task.bound.is_none_or(|(end, _)| at < end);
        for task in self.running.iter().filter(plays).filter(|_| is_change) {
            self.news.media_changed(task, is_there, at);
        }
    }

    fn change_media(&mut self, now: Timestamp) {
        while self.changes.front().is_some_and(|change| change.at <= now)
            && let Some(MediaChange { at, url, is_there }) = self.changes.pop_front()
        {
            self.set_media(&url, is_there, at);
        }
    }

    /// The events up to `now` that were not returned before, and when the next one follows if no request comes first.
    pub(super) fn news(&mut self, now: Timestamp) -> (Vec<CallbackEvent>, Option<Timestamp>) {
        self.end_those_that_are_over(now);
        let due = self.news.due(now);
        let ends = self.running.iter().filter_map(|task| task.bound.map(|(at, _)| at));
        let changes = self.changes.front().map(|change| change.at);
        (due, ends.chain(self.news.next()).chain(changes).min())
    }

    /// Running ones by start, then ended ones by end.
    pub(super) fn all(&mut self, now: Timestamp) -> Vec<SandboxTask> {
        self.end_those_that_are_over(now);
        self.running.iter().chain(&self.ended).cloned().collect()
    }

    /// A task by its id, of any application.
    pub(super) fn find(&self, task_id: &str) -> Option<&SandboxTask> {
        self.running.iter().chain(&self.ended).find(|task| task.task_id == task_id)
    }

    /// Starts a task and answers its id. `vanish`: it ends by itself that long after its start.
    pub(super) fn start(
        &mut self,
        asker: Asker<'_>,
        params: StartParams,
        vanish: Option<Duration>,
        now: Timestamp,
    ) -> Result<String, ErrorReply> {
        self.end_those_that_are_over(now);
        let same_robot = |task: &SandboxTask| {
            task.sdk_app_id == asker.sdk_app_id && task.params.user_id == params.user_id && task.ended.is_none()
        };
        let exists = match self.exist {
            ExistReading::RoomUser => self.running.iter().any(|task| same_robot(task) && task.params.room == params.room),
            ExistReading::User => self.running.iter().any(same_robot),
            ExistReading::Displace | ExistReading::Both => false,
        };
        if exists {
            return Err(ErrorReply::new("FailedOperation.TaskExist", "the task already exists"));
        }
        if self.exist == ExistReading::Displace {
            let older: Vec<String> = self.running.iter().filter(|task| same_robot(task)).map(|task| task.task_id.clone()).collect();
            for task_id in older {
                self.end(&task_id, EndReason::Displaced, now);
            }
        }
        if self.running.len() >= RUNNING_MAX {
            return Err(ErrorReply::new("FailedOperation.RestrictedConcurrency", format!("{RUNNING_MAX} tasks run already")));
        }
        let task_id = self.mint();
        let vanish = vanish.map(|after| (later(now, after), EndReason::Vanished));
        let bound = [bound(&params, &self.media, now), vanish].into_iter().flatten().min_by_key(|(at, _)| *at);
        let pulled = !self.media.unreachable.contains(params.stream_url.reveal());
        let task = SandboxTask {
            task_id: task_id.clone(),
            sdk_app_id: asker.sdk_app_id,
            region: asker.region.to_owned(),
            params,
            started_at: now,
            bound,
            ended: None,
        };
        self.news.started(&task, pulled);
        self.running.push(task);
        Ok(task_id)
    }

    /// Answers the id of a task that has ended already, and that no callback tells of.
    pub(super) fn start_nothing(&mut self, asker: Asker<'_>, params: StartParams, now: Timestamp) -> String {
        self.end_those_that_are_over(now);
        let task_id = self.mint();
        let (sdk_app_id, region) = (asker.sdk_app_id, asker.region.to_owned());
        let (bound, ended) = (None, Some((now, EndReason::Vanished)));
        self.keep_ended(SandboxTask { task_id: task_id.clone(), sdk_app_id, region, params, started_at: now, bound, ended });
        task_id
    }

    /// Stops a running task.
    pub(super) fn stop(&mut self, asker: Asker<'_>, task_id: &str, now: Timestamp) -> Result<(), ErrorReply> {
        match self.runs(asker, task_id, now) {
            Some(true) => {
                self.end(task_id, EndReason::Stopped, now);
                Ok(())
            }
            Some(false) => Err(ErrorReply::new("FailedOperation.TaskFinished", "the task has already ended")),
            None => {
                Err(ErrorReply::new("InvalidParameter.TaskId", "no task of this id was started in this application and region"))
            }
        }
    }

    /// Whether a task runs; `None` when it never ran, or is forgotten, or belongs to another application or region.
    pub(super) fn runs(&mut self, asker: Asker<'_>, task_id: &str, now: Timestamp) -> Option<bool> {
        self.end_those_that_are_over(now);
        let task = self.find(task_id)?;
        (task.sdk_app_id == asker.sdk_app_id && task.region == asker.region).then(|| task.runs())
    }

    /// Ends a running task without a stop. Returns false when no task of that id runs.
    pub(super) fn kill(&mut self, task_id: &str, now: Timestamp) -> bool {
        self.end_those_that_are_over(now);
        self.end(task_id, EndReason::Vanished, now)
    }

    /// Moves what has ended by `now` to the ended ones, in the order of their ends.
    fn end_those_that_are_over(&mut self, now: Timestamp) {
        self.change_media(now);
        let over = |task: &SandboxTask| task.bound.is_some_and(|(at, _)| at <= now);
        let mut over: Vec<SandboxTask> = self.running.extract_if(.., |task| over(task)).collect();
        over.sort_by_key(|task| task.bound.map(|(at, _)| at));
        for mut task in over {
            task.ended = task.bound;
            self.remember(task);
        }
    }

    fn end(&mut self, task_id: &str, reason: EndReason, now: Timestamp) -> bool {
        let Some(at) = self.running.iter().position(|task| task.task_id == task_id) else { return false };
        let mut task = self.running.remove(at);
        task.ended = Some((now, reason));
        self.remember(task);
        true
    }

    fn remember(&mut self, task: SandboxTask) {
        if let Some((at, _)) = task.ended {
            self.news.ended(&task, at);
        }
        self.keep_ended(task);
    }

    fn keep_ended(&mut self, task: SandboxTask) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(task);
    }

    fn mint(&mut self) -> String {
        self.minted += 1;
        let digest = Sha256::digest(format!("{} {}", self.born.as_nanosecond(), self.minted));
        let text = STANDARD.encode(&digest[..24]).replace('/', "-");
        let (head, tail) = text.split_at(12);
        format!("-{head}+{tail}..")
    }
}

/// When and why a task ends by itself.
fn bound(params: &StartParams, media: &MediaLengths, started_at: Timestamp) -> Option<(Timestamp, EndReason)> {
    let plays = match params.repeat {
        // Only an endless loop has MaxDuration: with any other RepeatNum the vendor ignores it.
        Some(Repeat::Forever) => {
            let minutes = params.max_duration?;
            return Some((later(started_at, Duration::from_mins(u64::from(minutes))), EndReason::MaxDuration));
        }
        Some(Repeat::Times(plays)) => u32::from(plays),
        None => 1,
    };
    let listed = media.by_url.get(params.stream_url.reveal()).copied();
    let length = match listed {
        Some(length) => length,
        None if params.stream_url.is_rtmp() => return None,
        None => media.default,
    };
    let content = length.saturating_mul(plays).saturating_sub(Duration::from_secs(params.seek_second.unwrap_or(0)));
    let percent = params.options.tempo.unwrap_or(Tempo::NORMAL).percent();
    let playing = content.saturating_mul(100) / u32::from(percent);
    let idle = params.options.idle_timeout.map_or(IDLE, |seconds| Duration::from_secs(u64::from(seconds)));
    Some((later(started_at, playing.saturating_add(idle)), EndReason::Media))
}

/// An instant later by `after`, or the last instant there is.
fn later(at: Timestamp, after: Duration) -> Timestamp {
    at.checked_add(SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
