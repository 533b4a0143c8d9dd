//! Waiting for the limiter: a queue for each action, in which a request waits until it may be sent. Knows futures and
//! the runtime's monotonic clock, which simulated time moves too. Does not know what is sent. The rule is in
//! `limiter.rs`.
//!
//! There is no timer that ticks. The request at the head of the queue sleeps until the next slot is free. The others
//! sleep until they get a slot or become the head: every change of the state wakes the requests that it concerns.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::action::{Action, PerAction};
use super::limiter::{Limiter, Priority, Queued, ReservationId, SlotId};

/// A queue for each action. A clone is the same queues.
#[derive(Clone)]
pub struct Queues(PerAction<Queue>);

impl Queues {
    /// Makes empty queues, each of so many requests a second.
    pub fn new(rate: NonZeroU32) -> Queues {
        Queues(PerAction::new(|_| Queue::new(rate)))
    }

    /// Returns an action's queue.
    pub fn of(&self, action: Action) -> &Queue {
        self.0.of(action)
    }

    /// Returns how many requests of each action may leave in a second now.
    pub fn rates(&self) -> PerAction<usize> {
        PerAction::new(|action| self.of(action).rate())
    }

    /// Returns how many requests wait in each queue.
    pub fn waiting(&self) -> PerAction<usize> {
        PerAction::new(|action| self.of(action).waiting())
    }
}

/// One action's queue. A clone is the same queue.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<SharedQueue>,
}

struct SharedQueue {
    origin: Instant,
    state: Mutex<QueueState>,
}

struct QueueState {
    limiter: Limiter,
    /// How to wake the requests that wait.
    waiting: BTreeMap<Queued, Arc<Notify>>,
    /// Slots given to those who have not woken yet.
    granted: BTreeMap<Queued, SlotId>,
}

impl Queue {
    /// An empty queue of so many requests a second.
    pub fn new(rate: NonZeroU32) -> Queue {
        let state = QueueState { limiter: Limiter::new(rate), waiting: BTreeMap::new(), granted: BTreeMap::new() };
        Queue { shared: Arc::new(SharedQueue { origin: Instant::now(), state: Mutex::new(state) }) }
    }

    /// Waits for a slot. Send at once when it comes: the slot counts from then. Dropping the future takes the request
    /// out of the queue, in every state.
    pub async fn acquire(&self, priority: Priority) -> Slot {
        let turn = Arc::new(Notify::new());
        let waiter = {
            let mut state = self.shared.lock();
            let queued = state.limiter.enqueue(priority);
            state.waiting.insert(queued.clone(), turn.clone());
            state.grant_slots(self.shared.now());
            Waiter { shared: &self.shared, queued }
        };
        loop {
            let head_until = {
                let mut state = self.shared.lock();
                let now = self.shared.now();
                state.grant_slots(now);
                if let Some(id) = state.granted.remove(&waiter.queued) {
                    state.limiter.sent(id, now);
                    break Slot { shared: self.shared.clone(), id };
                }
                if state.limiter.head() == Some(&waiter.queued) { state.limiter.wake_at(now) } else { None }
            };
            match head_until {
                Some(wake_at) => {
                    tokio::select! {
                        () = turn.notified() => {}
                        () = sleep_until(self.shared.origin + wake_at) => {}
                    }
                }
                None => turn.notified().await,
            }
        }
    }

    /// Reserves a slot for an on-time start that will ask for one after `ahead`: late starts and retries keep one free
    /// for it. Hold the reservation until the start has its slot, or is taken back.
    pub fn reserve(&self, ahead: Duration) -> Reservation {
        let due = self.shared.now() + ahead;
        Reservation { shared: self.shared.clone(), id: self.shared.lock().limiter.reserve(due) }
    }

    /// Counts so many requests as just sent: those that an earlier daemon may have sent.
    pub fn count_as_used(&self, count: usize) {
        self.shared.lock().limiter.count_as_used(count, self.shared.now());
    }

    /// How many requests may leave in a second now.
    pub fn rate(&self) -> usize {
        self.shared.lock().limiter.rate_at(self.shared.now())
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().limiter.waiting()
    }
}

impl SharedQueue {
    /// The state. A panic while it was locked leaves it valid: every change is one call.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

impl QueueState {
    /// Grants the slots that are free, and wakes the requests that get one.
    fn grant_slots(&mut self, now: Duration) {
        while let Some((queued, slot)) = self.limiter.grant(now) {
            if let Some(turn) = self.waiting.remove(&queued) {
                turn.notify_one();
            }
            self.granted.insert(queued, slot);
        }
    }

    /// The same after a change from outside. Also wakes the head, which may have to wake sooner.
    fn grant_slots_and_wake_head(&mut self, now: Duration) {
        self.grant_slots(now);
        if let Some(turn) = self.limiter.head().and_then(|head| self.waiting.get(head)) {
            turn.notify_one();
        }
    }
}

/// A request in the queue. Dropping it leaves nothing behind.
struct Waiter<'a> {
    shared: &'a Arc<SharedQueue>,
    queued: Queued,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.limiter.withdraw(&self.queued);
        state.waiting.remove(&self.queued);
        if let Some(slot) = state.granted.remove(&self.queued) {
            state.limiter.unsent(slot);
        }
        state.grant_slots_and_wake_head(self.shared.now());
    }
}

/// The permission to send one request now. If it is dropped without an answer, it stays taken for its margin and a
/// second.
#[must_use = "a slot that nobody uses keeps others waiting"]
pub struct Slot {
    shared: Arc<SharedQueue>,
    id: SlotId,
}

impl Slot {
    /// The answer is here. `rejected`: by the server's own limit (`error::rejected_by_rate`).
    pub fn answered(self, rejected: bool) {
        let mut state = self.shared.lock();
        let now = self.shared.now();
        state.limiter.answered(self.id, rejected, now);
        state.grant_slots_and_wake_head(now);
    }

    /// Nothing was sent: the slot is free at once.
    pub fn unsent(self) {
        let mut state = self.shared.lock();
        state.limiter.unsent(self.id);
        state.grant_slots_and_wake_head(self.shared.now());
    }
}

/// A slot kept free for a start to come. Dropping it gives it up.
#[must_use = "a reservation that is dropped keeps nothing free"]
pub struct Reservation {
    shared: Arc<SharedQueue>,
    id: ReservationId,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.limiter.unreserve(self.id);
        state.grant_slots_and_wake_head(self.shared.now());
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::limiter::StartClass;
    use super::*;

    fn queue(rate: u32) -> Queue {
        Queue::new(NonZeroU32::new(rate).expect("a rate"))
    }

    fn start(class: StartClass, priority: u8) -> Priority {
        Priority::start(class, priority, Timestamp::UNIX_EPOCH, "job")
    }

    /// Sends `count` describes at once, each answered after `answer_ms`, and returns when each left.
    async fn burst(queue: &Queue, count: usize, answer_ms: u64) -> Vec<Duration> {
        let begin = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..count {
            let queue = queue.clone();
            tasks.spawn(async move {
                let slot = queue.acquire(start(StartClass::OnTime, 5)).await;
                let left = begin.elapsed();
                tokio::time::sleep(Duration::from_millis(answer_ms)).await;
                slot.answered(false);
                left
            });
        }
        let mut left = tasks.join_all().await;
        left.sort_unstable();
        left
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_at_once_leave_in_five_bursts_without_a_tick() {
        let left = burst(&queue(20), 100, 150).await;
        let bursts: Vec<u128> = left.iter().step_by(20).map(Duration::as_millis).collect();
        assert_eq!(bursts.len(), 5);
        for (index, at) in (0_u128..).zip(bursts) {
            // The runtime's timers round up to the millisecond.
            assert!((index * 1_150..index * 1_155 + 1).contains(&at), "burst {index} left at {at} ms");
        }
        assert!(left.last().is_some_and(|last| *last < Duration::from_millis(4_700)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_answer_wakes_the_head_early() {
        let queue = queue(1);
        let slot = queue.acquire(Priority::describe()).await;
        let begin = Instant::now();
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.acquire(Priority::describe()).await.answered(false) }
        });
        tokio::task::yield_now().await;
        slot.answered(false);
        waiting.await.expect("it ends");
        assert!(begin.elapsed() < Duration::from_millis(1_010), "not the second and the margin of an unanswered one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_dropped_without_an_answer_is_free_after_its_margin() {
        let queue = queue(1);
        drop(queue.acquire(Priority::describe()).await);
        let begin = Instant::now();
        queue.acquire(Priority::describe()).await.unsent();
        assert!((1_250..1_255).contains(&begin.elapsed().as_millis()));
        let begin = Instant::now();
        queue.acquire(Priority::describe()).await.answered(false);
        assert_eq!(begin.elapsed(), Duration::ZERO, "what was not sent holds nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_dropped_leaves_the_queue_and_gives_back_its_slot() {
        let queue = queue(1);
        let slot = queue.acquire(Priority::describe()).await;
        let mut given_up = Box::pin(queue.acquire(Priority::describe()));
        let mut second = Box::pin(queue.acquire(Priority::describe()));
        poll_once(&mut given_up).await;
        poll_once(&mut second).await;
        assert_eq!(queue.waiting(), 2);
        // The head is given its slot by another request's call, and dropped before it wakes.
        slot.unsent();
        assert_eq!(queue.waiting(), 1);
        drop(given_up);
        second.await.answered(false);
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_head_gives_up_the_next_one_takes_over_its_alarm() {
        let queue = queue(1);
        drop(queue.acquire(Priority::describe()).await);
        let mut head = Box::pin(queue.acquire(Priority::describe()));
        let mut next = Box::pin(queue.acquire(Priority::describe()));
        poll_once(&mut head).await;
        poll_once(&mut next).await;
        drop(head);
        let begin = Instant::now();
        next.await.answered(false);
        assert!(begin.elapsed() < Duration::from_millis(1_255));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_of_a_better_class_goes_first() {
        let queue = queue(1);
        drop(queue.acquire(start(StartClass::OnTime, 5)).await);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for (name, class, priority) in
            [("retry", StartClass::Again, 9), ("plain", StartClass::OnTime, 5), ("news", StartClass::OnTime, 9)]
        {
            let (queue, order) = (queue.clone(), order.clone());
            tasks.spawn(async move {
                let slot = queue.acquire(start(class, priority)).await;
                order.lock().expect("nobody panicked").push(name);
                slot.answered(false);
            });
            tokio::task::yield_now().await;
        }
        tasks.join_all().await;
        assert_eq!(*order.lock().expect("nobody panicked"), ["news", "plain", "retry"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_leaves_when_the_reservation_it_waits_for_is_given_up() {
        let queue = queue(1);
        let reservation = queue.reserve(Duration::from_millis(500));
        let mut retry = Box::pin(queue.acquire(start(StartClass::Again, 5)));
        poll_once(&mut retry).await;
        assert_eq!(queue.waiting(), 1);
        let begin = Instant::now();
        drop(reservation);
        retry.await.answered(false);
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) {
        tokio::select! {
            biased;
            _ = future => panic!("it should wait"),
            () = std::future::ready(()) => {}
        }
    }
}
