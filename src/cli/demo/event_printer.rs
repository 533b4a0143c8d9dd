//! Prints on stdout what happens, on a thread of its own, so that a slow terminal delays no start. Does not know why it happens.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cli::{Failure, print};
use crate::engine::{Level, Notice};

/// What happens within this time of each other may be printed in one line.
const GATHER_TIME: Duration = Duration::from_millis(50);
/// The most that is gathered before it is printed.
const GATHERED_MAX: usize = 500;
/// From so many of a kind on, one line stands for all of them.
const ALIKE_MIN: usize = 6;

/// The thread, and the way to it.
pub(super) struct EventPrinter {
    thread: JoinHandle<Result<(), Failure>>,
}

impl EventPrinter {
    /// Begins. It prints what is sent; the receiver is ready when the thread has ended.
    pub(super) fn begin(colour: bool) -> (EventPrinter, Sender<Notice>, oneshot::Receiver<()>) {
        let (sender, happenings) = mpsc::channel();
        let (listening, gone) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let printed = print_all(&happenings, colour);
            drop(listening);
            printed
        });
        (EventPrinter { thread }, sender, gone)
    }

    /// Waits until everything is printed. Every sender must be dropped before.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn print_all(happenings: &Receiver<Notice>, colour: bool) -> Result<(), Failure> {
    while let Ok(first) = happenings.recv() {
        let mut gathered = vec![first];
        while gathered.len() < GATHERED_MAX
            && let Ok(next) = happenings.recv_timeout(GATHER_TIME)
        {
            gathered.push(next);
        }
        print(&lines(&gathered, colour))?;
    }
    Ok(())
}

/// One line each, but many of a kind in one.
fn lines(happenings: &[Notice], colour: bool) -> String {
    let alike = |one: &Notice, other: &Notice| kind(one) == kind(other) && one.level == other.level;
    let mut out = String::new();
    for group in happenings.chunk_by(alike) {
        match group {
            [first, second, .., last] if group.len() >= ALIKE_MIN => {
                let text = format!("{} ({}, {} ... {})", kind(first), job(first), job(second), job(last));
                out.push_str(&line(first, &format!("{} times", group.len()), &text, colour));
            }
            _ => group.iter().for_each(|one| out.push_str(&line(one, job(one), &one.text, colour))),
        }
    }
    out
}

/// What it is, without whom it concerns: the text up to its particulars.
fn kind(happening: &Notice) -> &str {
    let text = &happening.text;
    let end = [":", " in room "].into_iter().filter_map(|particulars| text.find(particulars)).min();
    &text[..end.unwrap_or(text.len())]
}

fn job(happening: &Notice) -> &str {
    happening.key.as_ref().map_or("-", |key| key.job.as_str())
}

/// When, who, what.
fn line(happening: &Notice, who: &str, text: &str, colour: bool) -> String {
    let at = happening.at.strftime("%H:%M:%S%.3fZ");
    let painted = match happening.level {
        Level::Warning if colour => format!("\x1b[33m{text}\x1b[0m"),
        Level::Error if colour => format!("\x1b[31m{text}\x1b[0m"),
        _ => text.to_owned(),
    };
    format!("{at}  {who:<10}  {painted}\n")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::occurrence::Key;
    use crate::schedule::JobId;

    fn happening(job: &str, text: &str) -> Notice {
        let start = Timestamp::from_second(1_700_000_000).expect("an instant");
        let key = Some(Key { start, job: JobId::parse(job).expect("an id") });
        Notice { key, ..Notice::new(start, Level::Info, text.to_owned()) }
    }

    #[test]
    fn each_has_a_line_and_many_of_a_kind_share_one() {
        let few: Vec<_> = (1..ALIKE_MIN).map(|number| happening(&format!("j{number}"), "armed: x")).collect();
        assert_eq!(lines(&few, false).lines().count(), few.len());
        let many = [few, vec![happening("j9", "armed: y"), happening("other", "on air in room a: z")]].concat();
        let printed = lines(&many, false);
        let expected = [
            format!("22:13:20.000Z  {ALIKE_MIN} times     armed (j1, j2 ... j9)"),
            "22:13:20.000Z  other       on air in room a: z".to_owned(),
        ];
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn colour_marks_what_is_not_as_planned_and_only_where_it_is_wanted() {
        let error = Notice { level: Level::Error, ..happening("a", "failed") };
        assert!(lines(std::slice::from_ref(&error), true).contains("\x1b[31mfailed\x1b[0m"));
        assert!(!lines(&[error], false).contains('\x1b'));
    }
}
