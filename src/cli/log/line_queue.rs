//! Log lines on their way out: a bounded queue, and a thread that writes. Whoever logs never waits for who reads. It does not know the
//! form of a line and where lines go.
//!
//! Why not `tracing-appender`: its bound is a count of lines, somebody must ask it how many were lost, and it does not say whether all was
//! written at the end. It would be a dependency more for what is left.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// So many bytes wait at most, some 5,000 lines: a hundred shows that are all retried once a second fill it in about a minute, and it is
/// little memory for a daemon. Bytes and not lines, because a line may repeat what a file says.
const BYTES_MAX: usize = 1 << 20;

/// How long the end of the process waits for a reader.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Lines that were dropped by all queues of this process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Returns how many lines were dropped since the process began.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The lines that are not written yet. Each `write` is one whole line; it never fails and never waits.
#[derive(Clone)]
pub(crate) struct LineQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Nothing is taken until half of the queue is free again, so that a slow reader gets one warning and not one for each line.
    is_full: bool,
    dropped: usize,
    is_closed: bool,
    is_done: bool,
}

/// What the thread does next.
enum Next {
    Write(Vec<u8>),
    Tell(usize),
}

impl LineQueue {
    /// Starts the thread that writes to `output`. `tell` logs how many lines were dropped, when there is room again.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        tell: impl Fn(&LineQueue, usize) + Send + 'static,
    ) -> io::Result<LineQueue> {
        let queue = LineQueue(Arc::default());
        let of_thread = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_until_closed(output, tell))?;
        Ok(queue)
    }

    /// Waits until everything is written, for a second at most. Returns whether it was.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state();
        state.is_closed = true;
        self.0.changed.notify_all();
        let waited = self.0.changed.wait_timeout_while(state, FLUSH_MAX, |state| !state.is_done);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.is_full || state.bytes + line.len() > BYTES_MAX {
            state.is_full = true;
            state.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
        } else {
            state.bytes += line.len();
            state.lines.push_back(line.to_vec());
        }
        self.0.changed.notify_all();
    }

    fn write_until_closed(&self, mut output: impl Write, tell: impl Fn(&LineQueue, usize)) {
        while let Some(next) = self.next() {
            match next {
                Next::Write(line) => {
                    // A stderr that cannot be written must not end the daemon.
                    let _ = output.write_all(&line);
                }
                Next::Tell(dropped) => tell(self, dropped),
            }
        }
        self.state().is_done = true;
        self.0.changed.notify_all();
    }

    /// Waits for something to do. `None`: the queue is closed, and everything is written.
    fn next(&self) -> Option<Next> {
        let is_idle = |state: &mut State| state.lines.is_empty() && !state.is_full && !state.is_closed;
        let mut state = self.0.changed.wait_while(self.state(), is_idle).unwrap_or_else(PoisonError::into_inner);
        if state.is_full && state.bytes <= BYTES_MAX / 2 {
            state.is_full = false;
            return Some(Next::Tell(std::mem::take(&mut state.dropped)));
        }
        let line = state.lines.pop_front()?;
        state.bytes -= line.len();
        Some(Next::Write(line))
    }
}

impl Write for LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that takes a line when it is told to, and all of them when nobody can tell it any more.
    struct Reader {
        told: Receiver<()>,
        read: Sender<String>,
    }

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.told.recv();
            self.read.send(String::from_utf8_lossy(line).into_owned()).expect("the test waits for it");
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (LineQueue, Sender<()>, Receiver<String>) {
        let ((tell, told), (read, lines)) = (channel(), channel());
        let count = |queue: &LineQueue, dropped: usize| queue.push(format!("dropped {dropped}").as_bytes());
        (LineQueue::start(Reader { told, read }, count).expect("a thread"), tell, lines)
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_once_when_there_is_room() {
        let (queue, tell, lines) = queue();
        queue.push(b"first");
        let large = vec![b'x'; BYTES_MAX / 4];
        // One is in the hands of the thread, or not yet: so many are too many in both cases.
        for _ in 0..5 {
            queue.push(&large);
        }
        for _ in 0..10 {
            queue.push(b"lost, small as it is");
        }
        drop(tell);
        assert!(queue.close(), "everything is written");
        let lines: Vec<String> = lines.try_iter().collect();
        let (last, before) = lines.split_last().expect("lines");
        assert_eq!(before[0], "first");
        assert!(before[1..].iter().all(|line| line.len() == large.len()), "nothing else is written");
        let total = before.len() + last.strip_prefix("dropped ").and_then(|count| count.parse::<usize>().ok()).expect("a count");
        assert_eq!(total, 16, "every line is written or counted");
        assert!(dropped() >= 10, "and counted for good");
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_that_does_not_read() {
        let (queue, tell, lines) = queue();
        queue.push(b"line");
        assert!(!queue.close());
        assert!(lines.try_recv().is_err());
        tell.send(()).expect("it waits");
        assert_eq!(lines.recv().as_deref(), Ok("line"));
        assert!(queue.close());
    }
}
