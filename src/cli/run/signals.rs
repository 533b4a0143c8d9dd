//! The signals of a daemon, from the first moment of the process: SIGTERM and SIGINT stop, SIGHUP reloads, SIGUSR1 and SIGUSR2 do nothing. Does
//! not know how it stops and reloads.

use std::task::{Context, Poll, Waker};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::Failure;

/// From now on none of them ends the process. What came before somebody asks is kept.
pub(in crate::cli) struct Signals {
    stopping: StopSignals,
    hang_up: Signal,
    others: OtherSignals,
}

/// What was asked for by signals, from the first moment of the process to its last, whatever it does meanwhile.
pub(super) struct Asked {
    /// Whether it is to stop.
    pub(super) stop: watch::Receiver<bool>,
    /// Whether it is to stop without waiting.
    pub(super) hurry: watch::Receiver<bool>,
    /// How often the schedule files are to be read again.
    pub(super) reload: watch::Receiver<u64>,
    // They end with the set.
    _hearing: JoinSet<()>,
}

/// Those that stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// Those that mean nothing here. Without a handler they would end the process.
struct OtherSignals {
    user_1: Signal,
    user_2: Signal,
}

impl Signals {
    /// Handles them from now on, by this runtime.
    pub(in crate::cli) fn new(runtime: &Runtime) -> Result<Signals, Failure> {
        let _inside = runtime.enter();
        Signals::install().map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))
    }

    fn install() -> std::io::Result<Signals> {
        let of = |kind: SignalKind| signal(kind);
        Ok(Signals {
            stopping: StopSignals { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? },
            hang_up: of(SignalKind::hangup())?,
            others: OtherSignals { user_1: of(SignalKind::user_defined1())?, user_2: of(SignalKind::user_defined2())? },
        })
    }

    /// Hears them from now on. `end`: it stops then, too. `stopping` is called once, when it is to stop.
    pub(super) fn hear(self, end: impl Future<Output = ()> + Send + 'static, stopping: impl FnOnce() + Send + 'static) -> Asked {
        let Signals { stopping: mut signals, mut hang_up, others } = self;
        let ((stop, stopped), (hurry, hurried)) = (watch::channel(false), watch::channel(false));
        let (again, reload) = watch::channel(0);
        let mut hearing = JoinSet::new();
        hearing.spawn(others.ignore());
        hearing.spawn(async move {
            while hang_up.recv().await.is_some() {
                again.send_modify(|times| *times += 1);
            }
        });
        hearing.spawn(async move {
            tokio::select! {
                () = signals.next() => {}
                () = end => {}
            }
            stopping();
            stop.send_replace(true);
            signals.next().await;
            hurry.send_replace(true);
            // The values stay what they are.
            std::future::pending::<()>().await;
        });
        Asked { stop: stopped, hurry: hurried, reload, _hearing: hearing }
    }

    /// Whether one of those that stop has come.
    pub(super) fn stop_came(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let StopSignals { terminate, interrupt } = &mut self.stopping;
        [terminate, interrupt].into_iter().any(|signal| matches!(signal.poll_recv(&mut context), Poll::Ready(Some(()))))
    }
}

impl StopSignals {
    /// The next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl OtherSignals {
    /// Says of each that nothing is done.
    async fn ignore(self) {
        let OtherSignals { mut user_1, mut user_2 } = self;
        loop {
            let name = tokio::select! {
                _ = user_1.recv() => "SIGUSR1",
                _ = user_2.recv() => "SIGUSR2",
            };
            tracing::info!("{name} is ignored: it means nothing here (SIGHUP reads the schedule again, SIGTERM stops)");
        }
    }
}
