//! Tells on stdout what happens, on a thread of its own, so that a slow terminal delays no start. Refuses to know why it happens.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cli::{Failure, print};
use crate::daemon::{Happening, Weight};

/// What happens within this time of each other may be told in one line.
const BREATH: Duration = Duration::from_millis(20);
/// The most that is gathered before it is told.
const GATHERED_MAX: usize = 500;
/// From so many of a kind on, one line tells them all.
const ALIKE_MIN: usize = 6;

/// The thread, and the way to it.
pub(super) struct Teller {
    thread: JoinHandle<Result<(), Failure>>,
}

impl Teller {
    /// Begins. What is sent is told; the receiver is ready when nobody listens any more.
    pub(super) fn begin(colour: bool) -> (Teller, Sender<Happening>, oneshot::Receiver<()>) {
        let (sender, happenings) = mpsc::channel();
        let (listening, gone) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let told = tell(&happenings, colour);
            drop(listening);
            told
        });
        (Teller { thread }, sender, gone)
    }

    /// Waits until everything is told, which takes that every sender is dropped.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn tell(happenings: &Receiver<Happening>, colour: bool) -> Result<(), Failure> {
    while let Ok(first) = happenings.recv() {
        let mut gathered = vec![first];
        while gathered.len() < GATHERED_MAX
            && let Ok(next) = happenings.recv_timeout(BREATH)
        {
            gathered.push(next);
        }
        print(&lines(&gathered, colour))?;
    }
    Ok(())
}

/// One line each, but many of a kind in one.
fn lines(happenings: &[Happening], colour: bool) -> String {
    let alike = |one: &Happening, other: &Happening| kind(one) == kind(other) && one.weight == other.weight;
    let mut out = String::new();
    for group in happenings.chunk_by(alike) {
        match group {
            [first, .., last] if group.len() >= ALIKE_MIN => {
                let text = format!("{} ({} to {})", kind(first), job(first), job(last));
                out.push_str(&line(first, &format!("{} jobs", group.len()), &text, colour));
            }
            _ => group.iter().for_each(|one| out.push_str(&line(one, job(one), &one.text, colour))),
        }
    }
    out
}

/// What it is, without whom it concerns.
fn kind(happening: &Happening) -> &str {
    happening.text.split(':').next().unwrap_or_default()
}

fn job(happening: &Happening) -> &str {
    happening.key.as_ref().map_or("-", |key| key.job.as_str())
}

fn line(happening: &Happening, who: &str, text: &str, colour: bool) -> String {
    let at = happening.at.strftime("%H:%M:%S%.3fZ");
    let painted = match happening.weight {
        Weight::Warning if colour => format!("\x1b[33m{text}\x1b[0m"),
        Weight::Error if colour => format!("\x1b[31m{text}\x1b[0m"),
        _ => text.to_owned(),
    };
    format!("{at}  {who:<10}  {painted}\n")
}
