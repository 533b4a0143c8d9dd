//! Threads for work beside the air: the scheduler of the host lets every other thread go first, and a processor is left to the others. Does
//! not know what is done on them.

use std::cell::Cell;
use std::thread::available_parallelism;

use tokio::runtime::Handle;

/// The priority of such work, as in nice(1): the least. Work that gave way by half made starts some milliseconds late.
const NICENESS: i32 = 19;

thread_local! {
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

/// How many processors the work of this thread may keep busy. Beside the air one is left out: where all are busy, a thread that wakes at
/// its instant may wait some milliseconds, whatever the priorities are.
pub(crate) fn processors() -> usize {
    let all = available_parallelism().map_or(1, usize::from);
    if GIVES_WAY.get() { all.saturating_sub(1).max(1) } else { all }
}

/// Lets every other thread go before this one, from now on.
pub(crate) fn give_way() {
    GIVES_WAY.set(true);
    lower_priority();
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // Without it the work is done all the same.
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
        tracing::warn!("the priority of work beside the air cannot be lowered ({error}); let the unit allow `setpriority`");
    }
}

/// There is no thread of its own priority.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

/// Does the work on a thread that may block and gives way. Who does not wait for it does not end it.
///
/// Errors: there is no thread to be had; or the work panicked, which is a bug.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let runtime = Handle::current();
    let body = move || {
        // The work may look at the runtime's clock.
        let _inside = runtime.enter();
        give_way();
        work()
    };
    // What gave way once cannot come back, so that it is not a thread of the runtime's: one of those waits for it.
    let wait = || std::thread::Builder::new().name("loading".to_owned()).spawn(body).map(std::thread::JoinHandle::join);
    match tokio::task::spawn_blocking(wait).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Err(error)) => Err(format!("no thread is to be had: {error}")),
        Ok(Ok(Err(_))) | Err(_) => Err("this is a bug of ingestd: see the log".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_gives_way_and_its_caller_does_not() {
        let niceness = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("our own");
        let before = niceness();
        assert_eq!(run(niceness).await, Ok(NICENESS));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn it_leaves_a_processor_to_the_others() {
        let all = available_parallelism().expect("it is known").get();
        assert_eq!(run(processors).await, Ok(if all == 1 { 1 } else { all - 1 }));
        assert_eq!(processors(), all);
    }

    #[tokio::test]
    async fn work_that_panics_is_told_to_whoever_waits() {
        let answer: Result<(), String> = run(|| panic!("planned")).await;
        assert_eq!(answer, Err("this is a bug of ingestd: see the log".to_owned()));
    }
}
