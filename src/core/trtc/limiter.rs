//! Who may send next, and when: at most `rate` requests in any second *as the server sees them* (DESIGN.md section 5,
//! Limiter). One limiter for each action. Pure: time comes in as a [`Duration`] since an origin of the caller's choice.
//! Does not know clocks, requests and answers; `queue.rs` does the waiting.
//!
//! Why it does not count sent requests: the vendor counts arrivals. Twenty requests that took a quarter of a second and
//! twenty quick ones sent a second later arrive together. A request has arrived when its answer is here, and we assume
//! after 250 ms without one; its slot is free a second after that.
//!
//! What the vendor allows may be less than `rate`, because somebody else uses the account too. A rejection first doubles the margin
//! for a minute: requests may have crowded on their way. If a request is rejected that left after that, the rate is halved, at most
//! down to 1. It rises by one request a second in each 10 s without a rejection, until it is `rate` again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

/// The time over which the vendor counts.
const WINDOW: Duration = Duration::from_secs(1);

/// By when a request has arrived, counted from its sending, answered or not.
const MARGIN: Duration = Duration::from_millis(250);

/// How long a rejection keeps the margin doubled.
const CAUTION: Duration = Duration::from_mins(1);

/// How long without a rejection until one more request a second is tried, where the rate was lowered.
const RISE: Duration = Duration::from_secs(10);

/// How long the first of the starts of an instant waits for the others, when they are more than there are slots.
const GATHER: Duration = Duration::from_millis(4);

/// The place of a request in the order of the queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority {
    class: QueueClass,
    level: Reverse<u8>,
    start: Timestamp,
    job: String,
}

/// The classes of all three queues. The order of the variants is the order of leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum QueueClass {
    Start(StartClass),
    Stop(StopClass),
    Describe,
    Doctor,
}

/// The class of a start. On-time first attempts leave first. The other two wait for the on-time starts of the next
/// second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartClass {
    /// A first attempt at its instant.
    OnTime,
    /// A first attempt after its instant.
    Late,
    /// A retry, a heal or a return.
    Again,
}

/// The class of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopClass {
    /// Another occurrence waits for the room.
    HandOver,
    /// The end of a window.
    Planned,
    /// A stop that failed before.
    Again,
}

impl Priority {
    /// A start: by class, then priority (9 first), start instant, job id.
    pub fn start(class: StartClass, priority: u8, start: Timestamp, job: impl Into<String>) -> Priority {
        Priority { class: QueueClass::Start(class), level: Reverse(priority), start, job: job.into() }
    }

    /// A stop: by class, then first come, first served.
    pub fn stop(class: StopClass) -> Priority {
        Priority::plain(QueueClass::Stop(class))
    }

    /// A describe: first come, first served.
    pub fn describe() -> Priority {
        Priority::plain(QueueClass::Describe)
    }

    /// A describe of the doctor, for which nothing waits: after all others.
    pub fn doctor() -> Priority {
        Priority::plain(QueueClass::Doctor)
    }

    fn plain(class: QueueClass) -> Priority {
        Priority { class, level: Reverse(0), start: Timestamp::UNIX_EPOCH, job: String::new() }
    }

    /// Whether it leaves only while every start of the next second still finds a slot.
    fn gives_way(&self) -> bool {
        matches!(self.class, QueueClass::Start(StartClass::Late | StartClass::Again))
    }
}

/// A request in the queue: its order, and what takes it out again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queued {
    priority: Priority,
    arrival: u64,
}

/// Names a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(u64);

/// Names a start that is known to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReservationId(u64);

/// A slot that is taken.
#[derive(Clone, Copy, Debug)]
enum Held {
    /// Given to a request, nothing sent yet.
    Granted,
    /// Sent then; free at that instant, or sooner when the answer comes.
    Sent { at: Duration, free_at: Duration },
}

impl Held {
    /// Whether it is still taken at an instant.
    fn at(self, instant: Duration) -> bool {
        match self {
            Held::Granted => true,
            Held::Sent { at: _, free_at } => free_at > instant,
        }
    }
}

/// One action's queue, slots and reservations.
#[derive(Debug)]
pub struct Limiter {
    /// As it is written.
    rate: usize,
    /// What is allowed since then; it rises from there.
    lowered: (usize, Duration),
    margin: Duration,
    /// Since when the margin is doubled, if it is, and until when.
    doubled: Option<(Duration, Duration)>,
    queue: BTreeSet<Queued>,
    held: BTreeMap<SlotId, Held>,
    reserved: BTreeMap<ReservationId, Duration>,
    last_id: u64,
}

impl Limiter {
    /// An empty limiter of so many requests a second.
    pub fn new(rate: NonZeroU32) -> Limiter {
        Limiter::with_margin(rate, MARGIN)
    }

    fn with_margin(rate: NonZeroU32, margin: Duration) -> Limiter {
        Limiter {
            rate: rate.get() as usize,
            lowered: (rate.get() as usize, Duration::ZERO),
            margin,
            doubled: None,
            queue: BTreeSet::new(),
            held: BTreeMap::new(),
            reserved: BTreeMap::new(),
            last_id: 0,
        }
    }

    /// Puts a request into the queue.
    pub fn enqueue(&mut self, priority: Priority) -> Queued {
        let queued = Queued { priority, arrival: self.id() };
        self.queue.insert(queued.clone());
        queued
    }

    /// Takes a request out of the queue; says whether it was there.
    pub fn withdraw(&mut self, queued: &Queued) -> bool {
        self.queue.remove(queued)
    }

    /// How many requests may leave in a second now: `rate`, or less while the endpoint rejects that many.
    pub fn rate_at(&self, now: Duration) -> usize {
        let (rate, since) = self.lowered;
        let risen = now.saturating_sub(since).as_millis() / RISE.as_millis();
        rate.saturating_add(usize::try_from(risen).unwrap_or(usize::MAX)).min(self.rate)
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The request that leaves next.
    pub fn head(&self) -> Option<&Queued> {
        self.queue.first()
    }

    /// Reserves a slot for an on-time start that will ask for one at `due`. It holds until [`Limiter::unreserve`], also
    /// after `due`: a start that waits for a hand-over comes late.
    pub fn reserve(&mut self, due: Duration) -> ReservationId {
        let id = ReservationId(self.id());
        self.reserved.insert(id, due);
        id
    }

    /// Ends a reservation: the start has its slot, or will not come.
    pub fn unreserve(&mut self, id: ReservationId) {
        self.reserved.remove(&id);
    }

    /// Gives a slot to the head of the queue, if it may leave at `now`. Call until it gives none.
    pub fn grant(&mut self, now: Duration) -> Option<(Queued, SlotId)> {
        self.held.retain(|_, held| held.at(now));
        if self.held.len() >= self.rate_at(now) {
            return None;
        }
        let head = self.queue.first()?;
        if head.priority.gives_way() && !self.leaves_room(now) || self.gathers_until(now).is_some() {
            return None;
        }
        let head = self.queue.pop_first()?;
        let slot = SlotId(self.id());
        self.held.insert(slot, Held::Granted);
        Some((head, slot))
    }

    /// When to try [`Limiter::grant`] again if nothing else happens: the next instant at which a slot comes free.
    /// `None` when no request waits, or when only an answer or a change can free a slot.
    pub fn wake_at(&self, now: Duration) -> Option<Duration> {
        self.queue.first()?;
        let free_at = |held: &Held| match held {
            Held::Granted => None,
            Held::Sent { at: _, free_at } => Some(*free_at),
        };
        let free_at = self.held.values().filter_map(free_at).filter(|free_at| *free_at > now).min();
        self.gathers_until(now).into_iter().chain(free_at).min()
    }

    /// Starts that share an instant wake one after another, in no order. When there are more of them than slots, the
    /// first to wake must not take the slots before the first in order is here. Returns until when the limiter waits
    /// for the others, if it does. A start that finds a slot at its own instant is not waited for, even if that slot is
    /// not free yet.
    fn gathers_until(&self, now: Duration) -> Option<Duration> {
        let is_near = |due: &Duration| *due <= now + GATHER && now < *due + GATHER;
        let mut dues: Vec<Duration> = self.reserved.values().copied().filter(is_near).collect();
        dues.sort_unstable();
        let class = QueueClass::Start(StartClass::OnTime);
        let here = self.queue.iter().take_while(|queued| queued.priority.class == class).count();
        let granted = self.held.values().filter(|held| matches!(held, Held::Granted)).count();
        if dues.len() <= here + granted {
            return None;
        }
        // A start keeps its reservation until its request is sent, so what is granted is among the reserved.
        let sent_at = |instant| self.held.values().filter(|held| matches!(held, Held::Sent { .. }) && held.at(instant)).count();
        let rate = self.rate_at(now);
        let is_contested = dues.iter().zip(1..).any(|(due, wanted)| wanted + sent_at((*due).max(now)) > rate);
        if is_contested { dues.first().map(|due| *due + GATHER) } else { None }
    }

    /// The slot's request is being sent.
    pub fn sent(&mut self, slot: SlotId, now: Duration) {
        let free_at = now + self.margin_at(now) + WINDOW;
        if let Some(held) = self.held.get_mut(&slot) {
            *held = Held::Sent { at: now, free_at };
        }
    }

    /// The slot's request will not be sent: the slot is free at once.
    pub fn unsent(&mut self, slot: SlotId) {
        self.held.remove(&slot);
    }

    /// The slot's request was answered. `rejected`: by the server's own limit, which doubles the margin for a minute,
    /// also of the requests under way. One that was rejected although it left with the doubled margin halves the rate.
    pub fn answered(&mut self, slot: SlotId, rejected: bool, now: Duration) {
        if rejected {
            let left_at = match self.held.get(&slot) {
                Some(Held::Sent { at, .. }) => *at,
                // Its slot is free already: the answer was slow.
                Some(Held::Granted) | None => Duration::ZERO,
            };
            self.lower(left_at, now);
            for held in self.held.values_mut() {
                if let Held::Sent { at, free_at } = held {
                    // One that was answered has arrived: it stays as it is.
                    if *free_at == *at + self.margin + WINDOW && *free_at > now {
                        *free_at += self.margin;
                    }
                }
            }
        }
        if let Some(Held::Sent { at: _, free_at }) = self.held.get_mut(&slot) {
            *free_at = (*free_at).min(now + WINDOW);
        }
    }

    /// A request that left then was rejected.
    fn lower(&mut self, left_at: Duration, now: Duration) {
        let since = self.doubled.filter(|(_, until)| now < *until).map(|(since, _)| since);
        let (_, lowered_at) = self.lowered;
        // The rejections of one second are one: those that had left before are no news.
        if since.is_some_and(|since| since < left_at) && lowered_at < left_at {
            self.lowered = ((self.rate_at(now) / 2).max(1), now);
        } else if since.is_some() && self.rate_at(now) < self.rate {
            // It rises after 10 s without a rejection, and not before.
            self.lowered = (self.rate_at(now), now.max(lowered_at));
        }
        self.doubled = Some((since.unwrap_or(now), now + CAUTION));
    }

    /// Counts so many slots as used just now: what a daemon sent shortly before it was restarted.
    pub fn count_as_used(&mut self, count: usize, now: Duration) {
        for _ in 0..count {
            let slot = SlotId(self.id());
            self.held.insert(slot, Held::Granted);
            self.sent(slot, now);
        }
    }

    /// Whether every reserved start finds a slot at its instant if one more is taken now. Looks as far ahead as that
    /// slot would be held.
    fn leaves_room(&self, now: Duration) -> bool {
        let horizon = now + self.margin_at(now) + WINDOW;
        let mut dues: Vec<Duration> = self.reserved.values().map(|due| (*due).max(now)).filter(|due| *due < horizon).collect();
        dues.sort_unstable();
        // For each start: the slots that are held then, ours, and those of the starts before it leave one free.
        dues.iter().enumerate().all(|(before, due)| {
            let held = self.held.values().filter(|held| held.at(*due)).count();
            held + 1 + before < self.rate_at(now)
        })
    }

    fn margin_at(&self, now: Duration) -> Duration {
        if self.doubled.is_some_and(|(_, until)| now < until) { self.margin * 2 } else { self.margin }
    }

    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

#[cfg(test)]
mod tests;
