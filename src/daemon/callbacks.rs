//! What the vendor's callbacks tell (DESIGN section 5, Callbacks): a task that is known is described at once; one that is not is
//! adopted by the only start it can be of, or listed as an orphan until an operator stops it. Refuses to know how callbacks
//! arrive, and to change anything else by them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::desk::Desk;
use super::live::Live;
use super::voice::{Happening, Weight};
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{Event, Key, Occurrence, Orphan, State, TaskEvent, TaskStep};
use crate::schedule::Schedule;
use crate::trtc::callback::{Callback, TaskNews};
use crate::trtc::{Answer, Destination};

/// A task that a callback names was started by a request sent at most so long before.
const STARTED_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// How far the vendor's clock may be behind ours for the same.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(2);

/// Tasks of which only the end was told so far. Callbacks come out of order, but not by so many.
const ENDED_MAX: usize = 1_000;

/// Callbacks that may wait for an answer. More than an account can start in the time an answer takes.
const UNKNOWN_MAX: usize = 10_000;

/// Callbacks about one unknown task that are kept until it is known.
const NEWS_MAX: usize = 8;

/// Starts in doubt that are remembered, whatever became of their occurrences. Far more than may fit one callback.
const DOUBTS_MAX: usize = 1_000;

/// How long between two tries to stop an orphan.
const ORPHAN_RETRY: SignedDuration = SignedDuration::from_secs(5);

/// What was heard and not settled.
#[derive(Default)]
pub(super) struct Callbacks {
    /// Starts of tasks that nobody here knows, by TaskId.
    unknown: BTreeMap<String, Unknown>,
    ended: VecDeque<String>,
    /// Starts that were in doubt, oldest first. A later attempt may have put their occurrence on air; their tasks may run all the
    /// same.
    doubts: VecDeque<Doubt>,
    orphans: BTreeMap<String, LiveOrphan>,
    /// Where tasks of an application are, by its `SdkAppId`, as the schedule says.
    homes: Homes,
}

/// What was told of a task that nobody here knows.
#[derive(Default)]
struct Unknown {
    news: Vec<Callback>,
    /// The rows of the calls that had left and were not answered when it was told first: one of them may have begun it.
    awaited: BTreeSet<i64>,
}

struct Doubt {
    key: Key,
    sdk_app_id: u64,
    sent_at: Timestamp,
}

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

struct LiveOrphan {
    orphan: Orphan,
    /// When to try to stop it; `None`: nobody asked, or a stop is under way.
    next_at: Option<Timestamp>,
}

impl Callbacks {
    pub(super) fn recover(&mut self, orphans: Vec<Orphan>, now: Timestamp) {
        for orphan in orphans {
            let next_at = orphan.stop_wanted.map(|_| now);
            self.orphans.insert(orphan.task_id.clone(), LiveOrphan { orphan, next_at });
        }
    }

    /// Learns where the tasks of applications are.
    pub(super) fn learn(&mut self, homes: &Homes) {
        for (sdk_app_id, home) in homes {
            self.homes.entry(*sdk_app_id).or_insert_with(|| home.clone());
        }
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        for live in self.orphans.values_mut() {
            live.next_at = live.next_at.map(|at| at.min(now));
        }
    }

    /// A start of this occurrence that was sent then is in doubt.
    pub(super) fn note_doubt(&mut self, occurrence: &Occurrence, sent_at: Timestamp) {
        let sdk_app_id = occurrence.playout.destination.sdk_app_id;
        self.doubts.push_back(Doubt { key: occurrence.key.clone(), sdk_app_id, sent_at });
        if self.doubts.len() > DOUBTS_MAX {
            self.doubts.pop_front();
        }
    }

    /// The clock was set: when starts left is told by it from now on.
    pub(super) fn clock_moved(&mut self, by: SignedDuration) {
        for doubt in &mut self.doubts {
            doubt.sent_at = doubt.sent_at.checked_add(by).unwrap_or(doubt.sent_at);
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.orphans.values().filter_map(|live| live.next_at).min()
    }

    /// Orphans whose stop is to be sent now.
    pub(super) fn calls(&mut self, now: Timestamp) -> Vec<(Destination, String)> {
        let due = self.orphans.values_mut().filter(|live| live.next_at.is_some_and(|at| at <= now));
        let calls = due.map(|live| {
            live.next_at = None;
            (live.orphan.destination.clone(), live.orphan.task_id.clone())
        });
        calls.collect()
    }
}

impl Desk {
    /// Takes in a callback.
    pub(super) fn take_callback(&mut self, turn: &mut Turn<'_>, callback: Callback, now: Timestamp) -> Result<(), LedgerError> {
        let Callback { sdk_app_id, task_id, news, at } = &callback;
        if self.tasks.owner(*sdk_app_id, task_id).is_some() {
            return self.confirm(turn, &callback, now);
        }
        if *news == TaskNews::Stopped {
            self.callbacks.unknown.remove(task_id);
            if self.callbacks.orphans.remove(task_id).is_some() {
                turn.orphan_gone(task_id, *at);
            } else if !turn.knows_task(task_id)? {
                self.callbacks.ended.push_back(task_id.clone());
                if self.callbacks.ended.len() > ENDED_MAX {
                    self.callbacks.ended.pop_front();
                }
            }
            return Ok(());
        }
        let is_old = self.callbacks.ended.contains(task_id) || turn.knows_task(task_id)?;
        if !is_old && !self.callbacks.orphans.contains_key(task_id) && self.callbacks.unknown.len() < UNKNOWN_MAX {
            let app = *sdk_app_id;
            let under_way = self.live.values().filter(|live| live.occurrence.playout.destination.sdk_app_id == app);
            let awaited = under_way.filter(|live| live.awaits_answer()).filter_map(Live::call_row);
            let unknown = self
                .callbacks
                .unknown
                .entry(task_id.clone())
                .or_insert_with(|| Unknown { awaited: awaited.collect(), ..Unknown::default() });
            if unknown.news.len() < NEWS_MAX && !unknown.news.contains(&callback) {
                unknown.news.push(callback);
            }
        }
        Ok(())
    }

    /// What a callback says of a task that is known.
    fn confirm(&mut self, turn: &mut Turn<'_>, callback: &Callback, now: Timestamp) -> Result<(), LedgerError> {
        let Callback { sdk_app_id, task_id, news, at } = callback;
        self.tasks.hear(*sdk_app_id, task_id, *news, now);
        let Some(key) = self.tasks.owner(*sdk_app_id, task_id).map(|task| task.key.clone()) else { return Ok(()) };
        let Some(live) = self.live.get_mut(&key) else { return Ok(()) };
        let is_current = live.occurrence.task_id.as_ref() == Some(task_id);
        if *news == TaskNews::Started && is_current && live.occurrence.confirmed_at.is_none() {
            live.occurrence.confirmed_at = Some(*at);
            turn.update(&live.occurrence)?;
        }
        Ok(())
    }

    /// Settles the callbacks about unknown tasks for which no answer is awaited any more.
    pub(super) fn settle_callbacks(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<(), LedgerError> {
        // Whoever is in doubt and tries again is asked first what it finds.
        let asks = |live: &Live, callback: &Callback| {
            live.is_claimed()
                && live.occurrence.in_doubt
                && is_of(callback.sdk_app_id, &live.occurrence)
                && was_sent_for(callback.at, &live.occurrence)
        };
        let is_awaited = |unknown: &Unknown| {
            let mut lives = self.live.values();
            lives.any(|live| {
                live.call_row().is_some_and(|row| unknown.awaited.contains(&row))
                    || unknown.news.iter().any(|callback| asks(live, callback))
            })
        };
        let ready: Vec<String> =
            self.callbacks.unknown.iter().filter(|(_, unknown)| !is_awaited(unknown)).map(|(id, _)| id.clone()).collect();
        for task_id in ready {
            let news = self.callbacks.unknown.remove(&task_id).unwrap_or_default().news;
            let Some(earliest) = news.iter().min_by_key(|callback| callback.at).cloned() else { continue };
            if self.tasks.owner(earliest.sdk_app_id, &task_id).is_none() && !turn.knows_task(&task_id)? {
                self.adopt(turn, earliest, now)?;
            }
            for callback in news {
                self.confirm(turn, &callback, now)?;
            }
        }
        Ok(())
    }

    /// Gives a task to the one start it can be of; without exactly one, it is an orphan.
    fn adopt(&mut self, turn: &mut Turn<'_>, callback: Callback, now: Timestamp) -> Result<(), LedgerError> {
        let Callback { sdk_app_id, task_id, news: _, at } = callback;
        let sent_before = |occurrence: &&Occurrence| was_sent_for(at, occurrence);
        let in_app = || self.live.values().map(|live| &live.occurrence).filter(|occurrence| is_of(sdk_app_id, occurrence));
        let open = in_app().filter(|occurrence| is_doubt(occurrence)).filter(sent_before).map(|occurrence| &occurrence.key);
        let sent = self.callbacks.doubts.iter().filter(|doubt| doubt.sdk_app_id == sdk_app_id && fits(doubt.sent_at, at));
        let keys: BTreeSet<&Key> = open.chain(sent.map(|doubt| &doubt.key)).collect();
        let only = keys.first().filter(|_| keys.len() == 1).and_then(|key| self.live.get(key));
        if let Some(live) = only.filter(|live| is_doubt(&live.occurrence)) {
            let (key, occurrence) = (live.occurrence.key.clone(), live.occurrence.clone());
            let bound = occurrence.bound_if_sent_at(at);
            let media_end = live.media_end(at);
            self.callbacks.doubts.retain(|doubt| doubt.key != key || !fits(doubt.sent_at, at));
            self.tasks.add(turn, &occurrence, task_id.clone(), bound, media_end, now)?;
            self.happen(turn, &key, Event::Adopted { task_id }, now)?;
            if let Some(live) = self.live.get_mut(&key) {
                live.bound = bound;
            }
            return Ok(());
        }
        let likely = in_app().filter(sent_before).max_by_key(|occurrence| occurrence.tried_at);
        let likely_job = likely.map(|occurrence| occurrence.key.job.to_string());
        let home = likely.map(|occurrence| occurrence.playout.destination.clone());
        let Some(destination) = home.or_else(|| self.callbacks.homes.get(&sdk_app_id).cloned()) else { return Ok(()) };
        let likely =
            likely_job.as_ref().map_or("no job it could be of is known".to_owned(), |job| format!("most likely of `{job}`"));
        let text = format!("an orphan: task {task_id} runs and nobody here started it, {likely}; `ingestd stop --task` stops it");
        self.heard.push(Happening::general(now, Weight::Error, text));
        let orphan = Orphan { task_id: task_id.clone(), destination, seen_at: at, likely_job, stop_wanted: None };
        turn.add_orphan(&orphan);
        self.callbacks.orphans.insert(task_id, LiveOrphan { orphan, next_at: None });
        Ok(())
    }

    /// An answer to a start of `key` names a task: whoever was given it by a callback gives it back.
    pub(super) fn heed_answer(&mut self, turn: &mut Turn<'_>, key: &Key, task_id: &str, now: Timestamp) -> Result<(), LedgerError> {
        if self.callbacks.orphans.remove(task_id).is_some() {
            turn.orphan_gone(task_id, now);
        }
        let was_given = |occurrence: &Occurrence| occurrence.adopted.is_some() && occurrence.task_id.as_deref() == Some(task_id);
        let given =
            self.live.values().map(|live| &live.occurrence).find(|occurrence| &occurrence.key != key && was_given(occurrence));
        let Some(given) = given.map(|occurrence| occurrence.key.clone()) else { return Ok(()) };
        self.tasks.disown(turn, &given, task_id, now)?;
        self.happen(turn, &given, Event::TakenBack, now)
    }

    /// An operator wants an orphan stopped. False: there is none of that id.
    pub(super) fn stop_orphan(&mut self, turn: &mut Turn<'_>, task_id: &str, now: Timestamp) -> bool {
        let Some(live) = self.callbacks.orphans.get_mut(task_id) else { return false };
        live.orphan.stop_wanted.get_or_insert(now);
        live.next_at = Some(now);
        turn.update_orphan(&live.orphan);
        true
    }

    /// Takes in the answer to an orphan's stop.
    pub(super) fn orphan_answered(&mut self, turn: &mut Turn<'_>, task_id: &str, answer: &Answer, now: Timestamp) {
        let Some(live) = self.callbacks.orphans.get_mut(task_id) else { return };
        if TaskStep::Stop.answered(answer) != TaskEvent::Stopped {
            live.next_at = Some(now + ORPHAN_RETRY);
            return;
        }
        self.callbacks.orphans.remove(task_id);
        turn.orphan_gone(task_id, now);
        self.heard.push(Happening::general(now, Weight::Info, format!("the orphan {task_id} is off the air")));
    }
}

fn is_of(sdk_app_id: u64, occurrence: &Occurrence) -> bool {
    occurrence.playout.destination.sdk_app_id == sdk_app_id
}

/// Whether a task that a callback says began `at` may be of a request that left then.
fn fits(sent: Timestamp, at: Timestamp) -> bool {
    sent <= at + CLOCKS_APART && at.duration_since(sent) <= STARTED_WITHIN
}

/// Whether it may be of a start of this occurrence.
fn was_sent_for(at: Timestamp, occurrence: &Occurrence) -> bool {
    occurrence.doubts.iter().copied().chain(occurrence.tried_at).any(|sent| fits(sent, at))
}

/// Whether a task of this occurrence may run that nobody knows.
fn is_doubt(occurrence: &Occurrence) -> bool {
    match occurrence.state {
        State::Waiting { .. } => occurrence.in_doubt,
        State::OnAir => occurrence.task_id.is_none(),
        _ => false,
    }
}
