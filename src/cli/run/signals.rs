//! The signals of a daemon, from the first moment of the process: SIGTERM and SIGINT stop, SIGHUP reloads, SIGUSR1 and SIGUSR2 do nothing. Does
//! not know how it stops and reloads.

use std::task::{Context, Poll, Waker};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Failure;

/// From now on none of them ends the process. What came before somebody asks is kept.
pub(in crate::cli) struct Signals {
    pub(super) stopping: StopSignals,
    pub(super) hang_up: Signal,
    pub(super) others: OtherSignals,
}

/// Those that stop.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// Those that mean nothing here. Without a handler they would end the process.
pub(super) struct OtherSignals {
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

    /// Whether one of those that stop has come.
    pub(super) fn stop_came(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let StopSignals { terminate, interrupt } = &mut self.stopping;
        [terminate, interrupt].into_iter().any(|signal| matches!(signal.poll_recv(&mut context), Poll::Ready(Some(()))))
    }
}

impl StopSignals {
    /// The next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl OtherSignals {
    /// Says of each that nothing is done.
    pub(super) async fn ignore(self) {
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
