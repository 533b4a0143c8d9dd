//! From bytes to the plan, whatever the bytes are: files that were spoilt at random are read, drawn, planned and asked about. Nothing
//! panics, nothing runs without end, and every problem names a place that is there.
//!
//! ```console
//! $ INGESTD_FUZZ=100000 cargo test --test fuzz             # more than the usual number of files
//! $ INGESTD_FUZZ=100000 INGESTD_FUZZ_FROM=100001 cargo test --test fuzz
//! $ INGESTD_FUZZ_SEED=4711 cargo test --test fuzz          # the one of that seed, printed
//! ```
//!
//! What once failed is kept in `tests/fixtures/fuzz` and judged each time.

mod judge;
mod mutate;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use mutate::Corpus;

/// Files of a usual run.
const FILES: u64 = 1_000;
/// Far longer than the longest file takes: the work on each is bounded by counts, and this ends a test that shows otherwise.
const PATIENCE: Duration = Duration::from_mins(2);
/// Largest file that mutations start from, in bytes: larger ones make slow cases and no new ones.
const SEED_BYTES_MAX: usize = 4_096;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("${variable} is a number, not `{text}`")))
}

/// Every file of a folder and of its folders, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort_unstable();
    found
}

/// The files that mutations start from: the examples, the bad ones, and what once failed.
fn corpus() -> Corpus {
    let folders = ["schedules", "tests/fixtures/bad", "tests/fixtures/why", "tests/fixtures/fuzz"];
    let paths = folders.iter().flat_map(|folder| files(Path::new(folder)));
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let texts = paths.map(|path| std::fs::read(path).expect("readable")).filter(|bytes| bytes.len() <= SEED_BYTES_MAX);
    Corpus::new(texts.collect(), |bytes| judged(bytes) == Ok(true))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// The judgement of one file; a panic is one too.
fn judged(bytes: &[u8]) -> Result<bool, String> {
    catch_unwind(AssertUnwindSafe(|| judge::judge(bytes))).unwrap_or_else(|panic| Err(words(&*panic)))
}

/// Judges each of these on a thread of its own, so that one without an end is reported too. Returns how many led to a schedule.
fn judge_all(inputs: impl Iterator<Item = (String, Vec<u8>)> + Send + 'static) -> u64 {
    enum Word {
        Begun(String, Vec<u8>),
        Ended(Result<bool, String>),
    }
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        for (name, bytes) in inputs {
            let copy = bytes.clone();
            let _ = sender.send(Word::Begun(name, copy));
            let _ = sender.send(Word::Ended(judged(&bytes)));
        }
    });
    let (mut current, mut planned) = ((String::new(), Vec::new()), 0);
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(Word::Begun(name, bytes)) => current = (name, bytes),
            Ok(Word::Ended(Ok(has_schedule))) => planned += u64::from(has_schedule),
            Ok(Word::Ended(Err(why))) => failed(&current, &why),
            Err(mpsc::RecvTimeoutError::Timeout) => failed(&current, "it does not end"),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    worker.join().expect("what it judges is caught");
    planned
}

/// Keeps the file where it can be looked at, and ends the test.
fn failed((name, bytes): &(String, Vec<u8>), why: &str) -> ! {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failed.yaml");
    std::fs::write(&kept, bytes).expect("writable");
    panic!(
        "{name}: {why}\nthe file is {} (once fixed, keep it in tests/fixtures/fuzz):\n{}",
        kept.display(),
        bytes.escape_ascii().to_string().replace("\\n", "\n")
    );
}

#[test]
fn spoilt_files_are_read_and_planned_to_an_end() {
    let corpus = corpus();
    if let Some(seed) = number("INGESTD_FUZZ_SEED") {
        let bytes = corpus.spoilt(seed);
        println!("{}", String::from_utf8_lossy(&bytes));
        judge_all(std::iter::once((format!("seed {seed}"), bytes)));
        return;
    }
    let count = number("INGESTD_FUZZ").unwrap_or(FILES);
    let first = number("INGESTD_FUZZ_FROM").unwrap_or(1);
    let seeds = first..first + count;
    let planned = judge_all(seeds.map(move |seed| (format!("seed {seed}"), corpus.spoilt(seed))));
    println!("{count} files, {planned} of them schedules");
    // Files that are all refused would show nothing about the plan.
    assert!(count < 1_000 || planned * 8 > count, "only {planned} of {count} files led to a schedule");
}

#[test]
fn what_once_failed_is_read_and_planned_to_an_end() {
    let kept = files(Path::new("tests/fixtures/fuzz"));
    let whole = files(Path::new("tests/fixtures/bad")).into_iter().chain(files(Path::new("schedules")));
    let inputs: Vec<_> = kept.into_iter().chain(whole).collect();
    judge_all(inputs.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).expect("readable"))));
}
