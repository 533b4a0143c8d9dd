//! What stands between a host's daemon and the world: a process that can be stopped, a clock that is a little off, and a network that can be
//! cut. Does not know who owns.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingestd::clock::Clock;
use ingestd::engine::SecretsRead;
use ingestd::lease::LeaseDeadline;
use ingestd::trtc::{Action, Answer, Api, Fault, Request};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::api::SimApi;
use crate::clock::SimClock;

/// How long a connection is tried.
const CONNECT: Duration = Duration::from_secs(3);

/// The state of a host's process and network.
pub(crate) struct Wire {
    pub(crate) is_frozen: watch::Sender<bool>,
    is_cut: AtomicBool,
    term: AtomicI64,
    deadline: Mutex<LeaseDeadline>,
}

impl Wire {
    pub(crate) fn new() -> Arc<Wire> {
        let deadline = Mutex::new(LeaseDeadline::never());
        Arc::new(Wire { is_frozen: watch::Sender::new(false), is_cut: AtomicBool::new(false), term: AtomicI64::new(0), deadline })
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }

    pub(crate) fn term(&self) -> i64 {
        self.term.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_term(&self, term: i64) {
        self.term.store(term, Ordering::Relaxed);
    }

    pub(crate) fn deadline(&self) -> LeaseDeadline {
        self.deadline.lock().expect("no panic under the lock").clone()
    }

    pub(crate) fn set_deadline(&self, deadline: LeaseDeadline) {
        *self.deadline.lock().expect("no panic under the lock") = deadline;
    }

    /// Waits while the process is stopped. Returns whether it was.
    pub(crate) async fn runs(&self) -> bool {
        let mut frozen = self.is_frozen.subscribe();
        let was_frozen = *frozen.borrow();
        let _ = frozen.wait_for(|is_frozen| !is_frozen).await;
        was_frozen
    }
}

/// Polls `future` only while the process is not stopped.
pub(crate) async fn freezable<T>(wire: &Wire, future: impl Future<Output = T>) -> T {
    tokio::pin!(future);
    let mut frozen = wire.is_frozen.subscribe();
    loop {
        let is_frozen = *frozen.borrow_and_update();
        let polled =
            std::future::poll_fn(|context| if is_frozen { std::task::Poll::Pending } else { future.as_mut().poll(context) });
        tokio::select! {
            biased;
            changed = frozen.changed() => changed.expect("the host is there"),
            out = polled => return out,
        }
    }
}

/// The clock of one host.
#[derive(Clone)]
pub(crate) struct HostClock {
    pub(crate) inner: SimClock,
    pub(crate) skew: SignedDuration,
    pub(crate) wire: Arc<Wire>,
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        self.inner.now() + self.skew
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }

    fn since_boot(&self) -> Duration {
        self.inner.since_boot()
    }

    fn synchronised(&self) -> Option<bool> {
        self.inner.synchronised()
    }

    fn synchronised_at(&self) -> Option<Timestamp> {
        self.inner.synchronised_at()
    }

    async fn wake_at(&self, at: Timestamp) {
        self.inner.wake_at(at.saturating_sub(self.skew).unwrap_or(at)).await;
        self.wire.runs().await;
    }
}

/// The endpoint as one host has it.
pub(crate) struct HostApi {
    pub(crate) inner: SimApi,
    pub(crate) wire: Arc<Wire>,
    /// Of the daemon that sends.
    pub(crate) term: i64,
    pub(crate) deadline: LeaseDeadline,
}

impl Api for HostApi {
    async fn call(&self, request: Request, wall: Timestamp) -> Answer {
        // A call that was woken while the process was stopped did not run: what it asks just before it sends, it asks when that goes on.
        let was_frozen = self.wire.runs().await;
        let is_start = request.body.action() == Action::Start;
        if was_frozen && is_start && !self.deadline.allows(self.inner.clock.since_boot()) {
            return Answer::bare(Err(Fault::Connect("the lease was over".into())));
        }
        if self.wire.is_cut.load(Ordering::Relaxed) {
            self.inner.state().term = self.term;
            let answer = self.inner.call_in_vain(&request, wall, CONNECT).await;
            self.wire.runs().await;
            return answer;
        }
        self.inner.state().term = self.term;
        let answer = self.inner.call(request, wall).await;
        self.wire.runs().await;
        answer
    }

    async fn warm(&self, count: usize) {
        self.inner.warm(count).await;
    }

    fn set_clock_offset(&self, offset_ms: i64) {
        self.inner.set_clock_offset(offset_ms);
    }

    async fn reread_secrets(&self) -> SecretsRead {
        self.inner.reread_secrets().await
    }
}
