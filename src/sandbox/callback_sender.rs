//! Sends callbacks to the configured URL, as the vendor does: signed, in no promised order, and again when they were not accepted. The
//! fault plan may delay, repeat, reorder or drop them. This is the one part of the sandbox that runs by itself, because a task may end
//! between two requests. Does not know what happened to a task, or why.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Sandbox;
use super::callback_queue::{CallbackEvent, CallbackTarget, sign};
use super::faults::Disturbance;

/// How long an answer may take (TRTC.md section 7.5), and all that follows.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// The pause between the attempts behind the second, which follows the first at once.
const RETRY_EVERY: Duration = Duration::from_secs(10);
/// How old a callback may get.
const AGE_MAX: Duration = Duration::from_mins(1);
/// How long one that is to come after another waits for it.
const HELD_MAX: Duration = Duration::from_mins(1);
/// The longest sleep: the clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Callbacks on their way at once.
const POSTS_MAX: usize = 64;

/// One attempt to deliver a callback, and what came of it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When it was over.
    pub at: Timestamp,
    /// What the callback says.
    pub news: CallbackEvent,
    /// From 1.
    pub attempt: u32,
    /// The status that came back; nothing without an answer.
    pub status: Option<u16>,
}

#[derive(Clone)]
struct CallbackSender {
    sandbox: Sandbox,
    target: Arc<CallbackTarget>,
    client: reqwest::Client,
    posts: Arc<Semaphore>,
}

/// Sends until it is dropped.
pub(super) async fn run(sandbox: Sandbox, target: CallbackTarget) {
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(ANSWER_TIME);
    if !target.url.starts_with("https:") {
        // A rehearsal needs no certificates, so it must not fail for the lack of any.
        builder = builder.tls_certs_only([]);
    }
    let Ok(client) = builder.build() else {
        tracing::error!("cannot make ready for HTTPS: no callback is sent");
        return std::future::pending().await;
    };
    let sender = CallbackSender { sandbox, target: Arc::new(target), client, posts: Arc::new(Semaphore::new(POSTS_MAX)) };
    let mut held: Option<(CallbackEvent, Instant)> = None;
    let mut deliveries = JoinSet::new();
    loop {
        // Before it looks, so that nothing is missed in between.
        let woken = sender.sandbox.shared.wake.notified();
        let (due, next) = sender.sandbox.due_callbacks();
        for (news, disturbance) in due {
            let (late, times) = match disturbance {
                Some(Disturbance::Drop) => continue,
                Some(Disturbance::Swap) if held.is_none() => {
                    held = Some((news, Instant::now()));
                    continue;
                }
                Some(Disturbance::Late(late)) => (late, 1),
                Some(Disturbance::Repeat(more)) => (Duration::ZERO, 1 + more),
                // Of two in a row that should wait for the next one, each is the other's.
                Some(Disturbance::Swap) | None => (Duration::ZERO, 1),
            };
            let behind = held.take().map(|(news, _)| news);
            deliveries.spawn(sender.clone().deliver_in_order(news, late, times, behind));
        }
        if let Some((overdue, _)) = held.take_if(|(_, since)| since.elapsed() >= HELD_MAX) {
            deliveries.spawn(sender.clone().deliver_in_order(overdue, Duration::ZERO, 1, None));
        }
        let now = sender.sandbox.now();
        let until_next = next.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        let until_release = held.as_ref().map(|(_, since)| HELD_MAX.saturating_sub(since.elapsed()));
        let wait = [until_next, until_release].into_iter().flatten().fold(SLEEP_MAX, Duration::min);
        tokio::select! {
            () = woken => {}
            () = sleep(wait) => {}
            Some(_) = deliveries.join_next() => {}
        }
    }
}

impl CallbackSender {
    /// Delivers one so late and so many times, and then the one that was held back for it.
    async fn deliver_in_order(self, news: CallbackEvent, late: Duration, times: u32, behind: Option<CallbackEvent>) {
        sleep(late).await;
        for _ in 0..times {
            self.deliver(&news).await;
        }
        if let Some(behind) = behind {
            self.deliver(&behind).await;
        }
    }

    /// Sends one until it is accepted, or too old.
    async fn deliver(&self, news: &CallbackEvent) {
        let begin = Instant::now();
        for attempt in 1.. {
            let status = self.post(news).await;
            let at = self.sandbox.now();
            // It is not an error when nobody listens.
            let _ = self.sandbox.shared.deliveries.send(Delivery { at, news: news.clone(), attempt, status });
            if status == Some(200) {
                return;
            }
            if attempt > 1 {
                sleep(RETRY_EVERY).await;
            }
            if begin.elapsed() >= AGE_MAX {
                return;
            }
        }
    }

    async fn post(&self, news: &CallbackEvent) -> Option<u16> {
        let _one_of_few = self.posts.acquire().await.ok()?;
        let body = news.body(self.sandbox.now());
        let request = self.client.post(&self.target.url).header(CONTENT_TYPE, "application/json");
        let request = request.header("Sign", sign(&self.target.key, &body)).header("SdkAppId", news.sdk_app_id);
        Some(request.body(body).send().await.ok()?.status().as_u16())
    }
}
