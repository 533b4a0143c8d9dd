//! A server on a free port with a ledger of its own. Knows no test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingestd::busy::Busy;
use ingestd::daemon::Handle;
use ingestd::engine::{Generation, LoopStatus};
use ingestd::ledger::Ledger;
use ingestd::schedule::{Schedule, Settings, Source};
use ingestd::trtc::PerAction;
use ingestd::web::control::{self, Reloader};
use ingestd::web::{Access, AppState, InForce, Pages};
use ingestd::zones::Zones;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes: a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Jobs whose starts are as far apart as a test may want.
pub(crate) const SCHEDULE: &str = "\
timezone: Asia/Shanghai
defaults: {app: main, room: lobby, region: ap-singapore}
jobs:
  evening: {at: '18:00', stream: 'https://user:hush-password@cdn.example.com/promo.mp4?sign=hush-token', length: 90s, repeat: forever, for: 2h}
  film: {at: '21:00', room: 42, stream: 'rtmp://live.example.com/app/hush-key', note: 'the big one'}
  jingle: {every: 10s, between: '09:00..17:00', room: hall, stream: 'https://cdn.example.com/jingle.mp3', length: 5s}
  off: {at: '12:00', room: den, stream: 'https://cdn.example.com/off.mp4', length: 5s, enabled: false}
";

pub(crate) fn schedule(text: &str, zones: &Zones) -> Schedule {
    let source = Source { name: Arc::from("test.yaml"), text: text.to_owned() };
    let apps = [(Arc::from("main"), 1_400_000_001)].into();
    let settings = Settings { apps: Some(apps), region: Some(Arc::from("ap-singapore")), ..Settings::default() };
    let now = "2026-11-22T00:00:00Z".parse().expect("an instant");
    let reading = ingestd::schedule::read(&[source], &settings, &zones.database, now);
    reading.schedule.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics))
}

/// What is served of a daemon of which nothing is known.
pub(crate) fn idle(state_folder: PathBuf) -> AppState {
    let zones = Zones::newest();
    let generation = Generation { number: 1, schedule: Arc::new(Schedule::default()) };
    let in_force = InForce::good(generation, None);
    AppState {
        host: None,
        ledger: ingestd::ledger::Place::Folder(state_folder),
        in_force: watch::Sender::new(in_force).subscribe(),
        status: watch::Sender::new(LoopStatus::default()).subscribe(),
        busy: Busy::default(),
        not_listening: watch::Sender::new(ingestd::web::NotListening::new()).subscribe(),
        findings: watch::Sender::new(ingestd::doctor::Findings::default()).subscribe(),
        alerts: watch::Sender::new(ingestd::alerts::sender::AlertStatus::default()).subscribe(),
        alert_tester: None,
        failed_chores: watch::Sender::new(ingestd::chores::FailedChores::new()).subscribe(),
        zones,
        metrics: Arc::default(),
        log_lines_dropped: || 7,
        started_at: Timestamp::UNIX_EPOCH,
        require_sync: false,
        page: ingestd::config::PageSettings::default(),
    }
}

/// A server that is served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) status: watch::Sender<LoopStatus>,
    pub(crate) in_force: watch::Sender<InForce>,
    pub(crate) busy: Busy,
    pub(crate) app_state: AppState,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Served {
    /// With an empty ledger.
    pub(crate) async fn new() -> Served {
        Served::with(|_| {}, true).await
    }

    /// With what `change` makes of the schedule in force, and with a ledger or without one.
    pub(crate) async fn with(change: impl FnOnce(&mut InForce), ledger: bool) -> Served {
        Served::at("127.0.0.1:0", Access::default(), |state| change(&mut state.1), ledger).await
    }

    /// At an address, with what `change` makes of what is served.
    pub(crate) async fn at(address: &str, access: Access, change: impl FnOnce(&mut (AppState, InForce)), ledger: bool) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        if ledger {
            Ledger::open(folder.path()).expect("a ledger");
        }
        let zones = Zones::newest();
        let status = watch::Sender::new(LoopStatus {
            queue: PerAction::new(|action| action.word().len()),
            watch_period_s: 30,
            ..LoopStatus::default()
        });
        let generation = Generation { number: 12, schedule: Arc::new(schedule(SCHEDULE, &zones)) };
        let first = InForce::good(generation, Some("2026-11-22T08:00:00Z".parse().expect("an instant")));
        let mut state = (idle(folder.path().to_owned()), first);
        change(&mut state);
        let in_force = watch::Sender::new(state.1);
        let busy = Busy::default();
        let (given, status_seen) = (in_force.subscribe(), status.subscribe());
        let app_state = AppState { in_force: given, status: status_seen, busy: busy.clone(), ..state.0 };
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().expect("it is bound").port()));
        let (shutdown, ended) = oneshot::channel();
        let serving = tokio::spawn(Pages::new(app_state.clone(), access, 1).serve(listener, async { drop(ended.await) }));
        Served { address, folder, status, in_force, busy, app_state, shutdown: Some(shutdown), serving }
    }

    /// Answers over a control socket too, without a daemon that obeys, until the runtime ends.
    pub(crate) fn also_at(&self, socket: UnixListener) {
        let reloader: Reloader = Arc::new(|_, _| Box::pin(async { Err("nobody reloads here".to_owned()) }));
        tokio::spawn(control::serve(socket, Handle::new().0, (reloader, self.app_state.clone()), std::future::pending()));
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(self.folder.path()).expect("the ledger")
    }

    /// Tells it to shut down.
    pub(crate) fn close(&mut self) {
        drop(self.shutdown.take());
    }

    /// Waits until it has.
    pub(crate) async fn closed(mut self) {
        self.close();
        timeout(PATIENCE, self.serving).await.expect("it ends").expect("it does not panic");
    }
}

/// Instants of these tests are around now, since the server looks at the clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(ingestd::clock::now().as_second()).expect("a second of now")
}
