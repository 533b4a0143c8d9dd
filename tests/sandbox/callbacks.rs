//! Callbacks, from the sandbox over real HTTP to our listener and to the daemon's end of it: each event is sent, signed and in time,
//! and each disturbance is seen as what it is.

use std::sync::Arc;
use std::time::Duration;

use ingestd::daemon::Message;
use ingestd::daemon::{Handle, Messages};
use ingestd::engine::Receipt;
use ingestd::sandbox::{
    CallbackTarget, Delivery, Disturbance, FaultEffect, FaultPlan, FaultRule, Sandbox, SandboxConfig, WELL_KNOWN_SDK_APP_ID,
};
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::web::callbacks::{self, KeyRing};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout};

use super::PATIENCE;
use super::client::{Ask, Wire};

const KEY: &str = "callbackkey0123456789";

/// A sandbox on the system's clock that calls back to our listener.
struct Rig {
    address: std::net::SocketAddr,
    inputs: Messages,
    deliveries: Receiver<Delivery>,
}

impl Rig {
    async fn new(rules: Vec<FaultRule>) -> Rig {
        Rig::with(rules, KEY).await
    }

    /// The sandbox signs with `key`.
    async fn with(rules: Vec<FaultRule>, key: &str) -> Rig {
        let (handle, inputs) = Handle::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = format!("http://{}{}", listener.local_addr().expect("it is bound"), callbacks::PATH);
        let read = || Ok([(WELL_KNOWN_SDK_APP_ID, SecretString::from(KEY))].into());
        let keys = KeyRing::new(read().expect("a key"), Arc::new(read));
        tokio::spawn(callbacks::serve(listener, keys, handle, std::future::pending()));
        let (address, deliveries) = serve(rules, target, key).await;
        Rig { address, inputs, deliveries }
    }

    /// Starts a task, and answers its id.
    async fn start(&self, robot: &str, change: impl FnOnce(Ask) -> Ask) -> String {
        let ask = change(Ask::start_at(Timestamp::now().as_second()).robot(robot));
        let answer = Wire::connect(self.address).await.ask(&ask).await;
        answer.response()["TaskId"].as_str().unwrap_or_else(|| panic!("no task: {}", answer.body)).to_owned()
    }

    async fn stop(&self, task_id: &str) {
        let ask = Ask::stop(task_id).at(Timestamp::now().as_second());
        assert_eq!(Wire::connect(self.address).await.ask(&ask).await.code(), "ok");
    }

    /// The next callback that reaches the daemon.
    async fn received(&mut self) -> Callback {
        match timeout(PATIENCE, self.inputs.recv()).await.expect("a callback in time") {
            Some(Message::Callback(callback, receipt)) => {
                receipt.send(Receipt::Taken).expect("the listener waits");
                callback
            }
            Some(Message::Order(..) | Message::Alert(_) | Message::Media(_)) | None => panic!("no callback"),
        }
    }

    async fn delivery(&mut self) -> Delivery {
        timeout(PATIENCE, self.deliveries.recv()).await.expect("a delivery in time").expect("none is lost")
    }
}

/// A sandbox that calls back there; where it listens, and what it delivers.
async fn serve(rules: Vec<FaultRule>, url: String, key: &str) -> (std::net::SocketAddr, Receiver<Delivery>) {
    let mut config = SandboxConfig::well_known();
    config.faults = FaultPlan::new(rules);
    config.media.by_url.insert("https://media.example.com/short.mp4".to_owned(), Duration::from_millis(50));
    config.media.unreachable.insert("https://media.example.com/gone.mp4".to_owned());
    config.callbacks = Some(CallbackTarget { url, key: SecretString::from(key) });
    let sandbox = Sandbox::new(config, Arc::new(Timestamp::now));
    let deliveries = sandbox.subscribe_deliveries();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { sandbox.serve(listener, std::future::pending()).await });
    (address, deliveries)
}

fn disturb(disturbance: Disturbance) -> FaultRule {
    FaultRule::new(FaultEffect::Disturb(disturbance))
}

#[tokio::test]
async fn a_start_and_its_end_are_sent_with_their_task_and_their_instants() {
    let mut rig = Rig::new(Vec::new()).await;
    let before = Timestamp::now();
    let stopped = rig.start("a", |ask| ask.field("RepeatNum", -1)).await;
    let started = rig.received().await;
    assert_eq!((started.sdk_app_id, &started.task_id, started.news), (WELL_KNOWN_SDK_APP_ID, &stopped, TaskNews::Started));
    assert!(started.at.as_millisecond() >= before.as_millisecond() && started.at <= Timestamp::now(), "{started:?}");
    rig.stop(&stopped).await;
    let ended = rig.received().await;
    assert_eq!((&ended.task_id, ended.news), (&stopped, TaskNews::Stopped));
    // No request comes any more: the task ends by itself.
    let short = |ask: Ask| ask.field("StreamUrl", "https://media.example.com/short.mp4").field("IdleTimeout", 0);
    let task_id = rig.start("b", short).await;
    let received = [rig.received().await, rig.received().await];
    let mut news = received.clone().map(|callback| (callback.at, callback.task_id, callback.news));
    news.sort_by_key(|(at, ..)| *at);
    assert_eq!(news.clone().map(|(_, of, what)| (of, what)), [(task_id.clone(), TaskNews::Started), (task_id, TaskNews::Stopped)]);
    assert_eq!(news[1].0.duration_since(news[0].0).as_millis(), 50);
    let deliveries = [rig.delivery().await, rig.delivery().await];
    assert!(deliveries.iter().all(|delivery| (delivery.attempt, delivery.status) == (1, Some(200))), "{deliveries:?}");
}

#[tokio::test]
async fn a_medium_that_cannot_be_pulled_is_reported_as_failed_and_tried_again() {
    let mut rig = Rig::new(Vec::new()).await;
    let task_id = rig.start("a", |ask| ask.field("StreamUrl", "https://media.example.com/gone.mp4")).await;
    let received = [rig.received().await, rig.received().await, rig.received().await];
    assert!(received.iter().all(|callback| callback.task_id == task_id));
    assert_eq!(received.clone().map(|callback| callback.news), [TaskNews::StartFailed, TaskNews::StartAgain, TaskNews::StartAgain]);
    let after = received.clone().map(|callback| callback.at.duration_since(received[0].at).as_secs());
    assert_eq!(after, [0, 1, 3]);
}

#[tokio::test]
async fn a_callback_that_is_late_is_seen_late_with_its_own_instant() {
    let late = Duration::from_secs(2);
    let mut rig = Rig::new(vec![disturb(Disturbance::Late(late)).event(TaskNews::Started)]).await;
    let begin = Instant::now();
    let task_id = rig.start("a", |ask| ask).await;
    rig.stop(&task_id).await;
    let (first, second) = (rig.received().await, rig.received().await);
    assert!(begin.elapsed() >= late);
    assert_eq!((first.news, second.news), (TaskNews::Stopped, TaskNews::Started));
    assert!(second.at <= first.at, "who sorts by the instants has them right");
}

#[tokio::test]
async fn a_callback_that_is_repeated_is_the_same_each_time() {
    let mut rig = Rig::new(vec![disturb(Disturbance::Repeat(2)).robot("a")]).await;
    rig.start("a", |ask| ask).await;
    let received = [rig.received().await, rig.received().await, rig.received().await];
    assert!(received.iter().all(|callback| *callback == received[0]), "{received:?}");
    rig.start("b", |ask| ask).await;
    assert_ne!(rig.received().await.task_id, received[0].task_id);
    for attempt in [1, 1, 1] {
        assert_eq!(rig.delivery().await.attempt, attempt);
    }
}

#[tokio::test]
async fn a_callback_changes_places_with_the_next_one() {
    let mut rig = Rig::new(vec![disturb(Disturbance::Swap).times(1)]).await;
    let first = rig.start("a", |ask| ask).await;
    let second = rig.start("b", |ask| ask).await;
    assert_eq!([rig.received().await.task_id, rig.received().await.task_id], [second, first]);
}

#[tokio::test]
async fn a_callback_that_is_dropped_never_comes() {
    let mut rig = Rig::new(vec![disturb(Disturbance::Drop).event(TaskNews::Started).times(1)]).await;
    let lost = rig.start("a", |ask| ask).await;
    let other = rig.start("b", |ask| ask).await;
    rig.stop(&lost).await;
    let mut received = [rig.received().await, rig.received().await].map(|callback| (callback.task_id, callback.news));
    received.sort_by_key(|(_, news)| *news == TaskNews::Stopped);
    assert_eq!(received, [(other, TaskNews::Started), (lost, TaskNews::Stopped)]);
}

#[tokio::test]
async fn what_is_signed_with_another_key_is_refused_and_sent_once_more_at_once() {
    let mut rig = Rig::with(Vec::new(), "anotherkey").await;
    rig.start("a", |ask| ask).await;
    let attempts = [rig.delivery().await, rig.delivery().await];
    assert_eq!(attempts.map(|delivery| (delivery.attempt, delivery.status)), [(1, Some(401)), (2, Some(401))]);
    assert!(rig.inputs.try_recv().is_err(), "nothing reaches the daemon");
}

/// Simulated time: where nothing but a timer is waited for, it is over at once.
#[tokio::test(start_paused = true)]
async fn what_is_not_accepted_is_sent_again_for_a_minute() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", deaf.local_addr().expect("it is bound"));
    let refusing = tokio::spawn(async move {
        loop {
            let (mut stream, _) = deaf.accept().await.expect("it listens");
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await.expect("a request");
            let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(busy).await.expect("it is taken");
        }
    });
    let (address, mut deliveries) = serve(Vec::new(), url, KEY).await;
    let rig = Rig { address, inputs: Handle::new().1, deliveries: deliveries.resubscribe() };
    rig.start("a", |ask| ask).await;
    let mut seconds = Vec::new();
    let mut first = None;
    while let Ok(Ok(delivery)) = timeout(Duration::from_mins(2), deliveries.recv()).await {
        // 503, or no answer where simulated time ran ahead of the real socket.
        assert_ne!(delivery.status, Some(200));
        assert_eq!(delivery.attempt as usize, seconds.len() + 1);
        let begin = *first.get_or_insert_with(Instant::now);
        seconds.push(begin.elapsed().as_secs());
    }
    refusing.abort();
    assert!(seconds.len() >= 4 && seconds[1] < 10 && seconds.last().is_some_and(|last| *last <= 70), "{seconds:?}");
    assert!(seconds[1..].windows(2).all(|pair| pair[1] - pair[0] >= 10), "{seconds:?}");
}
