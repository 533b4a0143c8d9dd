//! The sandbox stands in for TRTC's endpoint: each check has its code, the rate slides, faults happen, tasks end. Driven over real
//! sockets with a signer of this test's own, so that our client and the sandbox cannot share one mistake. Does not test our
//! client.

mod agreement;
mod authentication;
mod callbacks;
mod client;
mod faults;
mod parameters;
mod rate;
mod tasks;
#[cfg(target_os = "linux")]
mod verb;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ingestd::sandbox::{Sandbox, SandboxApp, SandboxConfig};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use client::{Ask, Wire};

/// An application that demands a PrivateMapKey, beside the well-known one that does not.
const STRICT_APP: u64 = 1_400_000_002;
/// Its key.
const STRICT_APP_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Where the clock of every test begins: 2023-11-14T22:13:20Z, when it is the next day already in Shanghai.
const BEGIN_MS: i64 = 1_700_000_000_000;
/// Longer than anything here takes: a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sandbox that serves, with a clock moved by hand.
struct Rig {
    sandbox: Sandbox,
    address: std::net::SocketAddr,
    clock_ms: Arc<AtomicI64>,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Rig {
    async fn new() -> Rig {
        Rig::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SandboxConfig)) -> Rig {
        let mut config = SandboxConfig::well_known();
        config.apps.insert(STRICT_APP, SandboxApp { key: STRICT_APP_KEY.to_owned(), private_map_key: true });
        change(&mut config);
        let clock_ms = Arc::new(AtomicI64::new(BEGIN_MS));
        let clock = Arc::clone(&clock_ms);
        let now = Arc::new(move || Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).expect("an instant of this age"));
        let sandbox = Sandbox::new(config, now);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (shutdown, ended) = oneshot::channel();
        let serving = {
            let sandbox = sandbox.clone();
            tokio::spawn(async move { sandbox.serve(listener, async { drop(ended.await) }).await })
        };
        Rig { sandbox, address, clock_ms, shutdown: Some(shutdown), serving }
    }

    /// Moves the clock to that many milliseconds after its beginning.
    fn at_ms(&self, ms: i64) {
        self.clock_ms.store(BEGIN_MS + ms, Ordering::SeqCst);
    }

    async fn wire(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// Sends on a connection of its own, and returns the code: `ok`, or the error's.
    async fn code(&self, ask: &Ask) -> String {
        self.wire().await.ask(ask).await.code()
    }

    /// Starts a task, and answers its id.
    async fn start(&self, ask: &Ask) -> String {
        let answer = self.wire().await.ask(ask).await;
        answer.response()["TaskId"].as_str().unwrap_or_else(|| panic!("no task: {}", answer.body)).to_owned()
    }

    async fn status(&self, task_id: &str) -> String {
        let answer = self.wire().await.ask(&Ask::describe(task_id).at(self.now_s())).await;
        answer.response()["Status"].as_str().unwrap_or_else(|| panic!("no status: {}", answer.body)).to_owned()
    }

    /// The clock in seconds, for what is signed.
    fn now_s(&self) -> i64 {
        self.clock_ms.load(Ordering::SeqCst) / 1000
    }

    async fn shut_down(mut self) {
        drop(self.shutdown.take());
        timeout(PATIENCE, self.serving).await.expect("it ends").expect("it does not panic");
    }
}
