//! The real loop, on a simulated clock and a simulated API, with real SQLite: short scenarios with faults, crashes and edits by the
//! thousand. After each run the checkers hold the ledger against the plan and against what the simulated cloud saw.
//!
//! A failing seed is printed; add it to `REGRESSIONS` with the fix. `INGESTD_SEED=k` runs exactly one, and tells what happens in it;
//! `INGESTD_SEEDS=n` runs so many.

mod api;
mod blows;
mod checks;
mod clock;
mod cloud;
mod faults;
mod long;
mod random;
mod run;
mod scenario;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;

use random::Random;
use run::Run;
use scenario::Wishes;

/// What a `cargo test` runs.
const SEEDS: u64 = 2_000;

/// Seeds that failed once.
const REGRESSIONS: [u64; 6] = [3447, 10363, 13474, 13978, 16549, 19257];

/// The scenario of a seed.
fn simulate(seed: u64) -> Run {
    let mut random = Random::apart(seed, 1);
    let wishes = Wishes { conflicts: random.percent(50), crowd: random.percent(8), minutes: random.within(16, 40) };
    let jobs = scenario::jobs(&mut random, wishes);
    let plan = faults::plan(&mut random, wishes.minutes);
    if std::env::var_os("INGESTD_SEED").is_some() {
        println!("{}{plan:#?}", scenario::text(&jobs));
    }
    run::run(seed, jobs, plan, wishes, SignedDuration::from_mins(wishes.minutes))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

/// Judges seeds on several threads; answers those that failed, with what was wrong.
fn judge(seeds: &[u64]) -> Vec<(u64, String)> {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("an index")) {
                    let judged = catch_unwind(AssertUnwindSafe(|| checks::all(&simulate(*seed))));
                    let faults = judged.unwrap_or_else(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        vec![format!("panic: {}", text.unwrap_or_else(|| "see above".into()))]
                    });
                    if !faults.is_empty() {
                        let mut failed = failed.lock().expect("no panic under the lock");
                        failed.push((*seed, faults.join("\n")));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("no panic under the lock");
    failed.sort();
    failed
}

fn report(failed: &[(u64, String)], of: usize) {
    for (seed, text) in failed.iter().take(number("INGESTD_SHOW").map_or(10, |count| usize::try_from(count).expect("small"))) {
        println!("seed {seed} (INGESTD_SEED={seed} cargo test --test sim seeds -- --nocapture):\n{text}\n");
    }
    let seeds: Vec<_> = failed.iter().map(|(seed, _)| seed).collect();
    assert!(failed.is_empty(), "{} of {of} seeds failed: {seeds:?}", failed.len());
}

#[test]
fn seeds_leave_one_outcome_for_each_and_nothing_on_air() {
    let (first, count) = match number("INGESTD_SEED") {
        Some(seed) => (seed, 1),
        None => (number("INGESTD_FIRST").unwrap_or(1), number("INGESTD_SEEDS").unwrap_or(SEEDS)),
    };
    let seeds: Vec<u64> = (first..first + count).collect();
    report(&judge(&seeds), seeds.len());
}

#[test]
fn seeds_that_failed_once_pass() {
    report(&judge(&REGRESSIONS), REGRESSIONS.len());
}
