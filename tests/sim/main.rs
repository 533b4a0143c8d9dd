//! The real loop, on a simulated clock and a simulated API, with real SQLite: short scenarios with faults, crashes and edits by the
//! thousand. After each run the checkers hold the ledger against the plan and against what the simulated cloud saw.
//!
//! A failing seed is printed; add it to `REGRESSIONS` with the fix. `INGESTD_SEED=k` runs exactly one, and prints what happens in it;
//! `INGESTD_SEEDS=n` runs so many, from `INGESTD_FIRST=k` on; `INGESTD_SHOW=n` prints so many of those that fail.
//!
//! Each range has worlds of its own, and `cargo test` plays some of each: 2,000 from 1 on, and 200 of those with chains (1,000,000), with jobs
//! that come back (2,000,000), with orders of operators (3,000,000), with orders of every kind (3,500,000), and with these and media that
//! dies (4,000,000).
//!
//! Checkers that were seen to fail, each against a fault planted in the code:
//!
//! | planted | caught by |
//! |---|---|
//! | the last stretch is 5 s and not 30 | nothing leaves too early or too late |
//! | tries are not counted over a crash | attempts keep their limits |
//! | a doubt is not recorded | every doubt is recorded (and the ledger's own CHECK) |
//! | a call that was under way at a crash is sent again without a doubt | every doubt is recorded |
//! | a stop that failed is not tried again | every end is kept, nothing is left on air |
//! | an attempt is handed out twice | no room is taken twice, attempts keep their limits, nothing leaves without a row |
//! | the cursor moves before the rows | one outcome for everything planned |
//! | the clock hold is ignored | nothing starts while the clock is held |
//! | a yielder does not return; a loss is not healed | what is to be on air is on air |
//! | a hand-over starts before the stop | no room is taken twice |
//! | one `NotExist` is believed | no room is taken twice, nothing is left on air |
//! | the limiter counts for half a second | everything is within the rate |
//! | a callback is given to the occurrence that is in doubt now | the outcome fits what is known |
//! | `TaskExist` after a doubt is another's | what exists after a doubt is its own |
//! | no task is renewed | what outlives its bound is renewed |
//! | a position that ignores the tempo, the length, the plays, the instant of the request, or what was on air | every start seeks to where its show is |
//! | starts between preparing a schedule and taking it up are lost; so are open windows | what is open when a schedule is accepted is taken up |
//! | the first start of a schedule that is taken up is lost | one outcome for everything planned |
//! | secrets are not read again | a key that was replaced is read again |
//! | one `Date` is believed | the clock that is taken is right |
//! | what the vendor cannot pull is not told | media that cannot be pulled is told |
//! | a refused stop counts as done, a refused describe as gone | nothing is left on air, no room is taken twice |
//! | an accepted stop is not verified | an end is verified |
//! | ends follow a clock that is not believed, or none; five minutes are too much | no end comes early, every end is kept |
//! | a task that began while the clock was ahead does not move with it | an undisturbed start is on time |
//! | no last attempt before the window closes | a show is tried until its window closes |
//! | slow tries are two minutes apart | no wait is too long |
//! | a stop without effect ended its show when it was answered | no show ends before it was last seen |
//! | nobody asks whether a robot is busy | a robot that is busy elsewhere is waited for |
//! | an edit fixes nothing | an edit fixes a show that failed |
//! | a task without a name is not followed by another | what ran into its bound is put on air again |
//! | pauses are forgotten at a restart | what is paused is not started |
//! | skips hold nothing back | what is skipped is not started |
//! | the pause of one job holds back every job | nothing is held back that nobody ordered |
//! | a fallback plays although nothing is wrong | a fallback has a reason |
//! | nobody goes back to the stream | a show is back soon |
//! | media that dies on air changes nothing | a fallback is soon on its way |
//! | what played is not kept | a row says what played when |
//! | pauses end a minute early; the pause of a job lets open windows in that an edit brings; a pause takes back nothing that is armed | what is paused is not started |
//! | a resume is ignored | nothing is held back that nobody ordered |
//! | a skip that is taken back stays in force | a skip that was taken back skips nothing |
//! | a start by hand begins two shows | what was started by hand has its row |
//! | a start by hand of what waits does nothing | what is tried again by hand leaves |
//! | a show changes to its fallback without a stop | every end is kept, no room is taken twice, nothing is left on air |
//! | nobody goes back to a stream whose fallback is refused | attempts keep their limits, what failed had a reason |
//! | a start by hand is recorded as planned | what was started by hand has its row, one outcome for everything planned |
//!
//! What DESIGN leaves open is excused where it is checked, with the reason.

mod api;
mod belief;
mod checks;
mod clock;
mod cloud;
mod delivery;
mod endless;
mod endpoint;
mod faults;
mod host_events;
mod hosts;
mod ledger_rows;
mod long;
mod media;
mod orders;
mod random;
mod run;
mod scenario;
mod told;
mod trace;
mod troubles;
mod variety;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;

use random::Random;
use run::Run;
use scenario::ScenarioOptions;

/// What a `cargo test` runs.
const SEEDS: u64 = 2_000;

/// Seeds that failed once: rows that cannot be read back, two windows with one robot, an edit while no daemon ran, a reload after a
/// suspend, a reload while a start waits for its room, callbacks given to the wrong doubt (also where the clock was set, and while
/// calls were under way), a bound that a step of the clock had moved, a show that starts beside the start of one that gives way, and
/// what the checkers had to learn of stalls, strangers, a death right after a reload, and a task that vanishes while nobody knows its
/// TaskId.
const REGRESSIONS: [u64; 24] = [
    9, 47, 74, 114, 1_159, 1_698, 3_447, 10_363, 10_635, 13_474, 13_978, 14_074, 16_549, 17_076, 19_257, 21_761, 27_079, 37_374,
    42_811, 47_659, 65_896, 71_342, 72_556, 73_767,
];

/// How many worlds in a hundred last longer than a task may.
const ENDLESS: u64 = 4;

/// The same for the whole world: a task that began while the clock was ahead, a start that waited for its room while the clock was set
/// back, a stop without effect while nobody answered or while the clock was set, a loop without an end whose task had no name, and what
/// the checkers had to learn of clocks that are set.
const REGRESSIONS_OF_WHOLE: [u64; 12] = [63, 125, 409, 473, 1_106, 2_065, 3_000, 38_726, 51_333, 53_537, 79_485, 98_716];

/// The same of those with orders and fallbacks: a stream that was not refused while its fallback was, a task that plays on although its show
/// with an open end was over, and what the checkers had to learn of starts that are held back before an edit moves them, of media that is
/// over before a window that was ordered, and of hosts that stand still.
const REGRESSIONS_WITH_ORDERS: [u64; 12] = [
    3_000_527, 3_001_917, 3_500_324, 3_500_880, 3_501_526, 4_000_049, 4_000_697, 4_000_749, 4_001_030, 4_001_616, 4_001_862,
    4_001_893,
];

/// From this seed on some jobs follow others; before it seeds stay what they were.
const CHAINED: u64 = 1_000_000;

/// From this seed on jobs leave the schedule and come back, and none follows another.
const RETURNING: u64 = 2_000_000;

/// From this seed on operators hold starts back, let them go, and start by hand.
const ORDERED: u64 = 3_000_000;

/// From this seed on they also skip later starts, take skips back, pause twice at once, and start again what failed.
const ORDERED_OTHERWISE: u64 = 3_500_000;
/// From this seed on jobs have fallbacks, and media dies and heals.
const FALLBACKS: u64 = 4_000_000;

/// How much of what goes wrong is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum World {
    /// What the first worlds had: seeds that failed once stay what they were.
    First,
    Whole,
}

/// The scenario of a seed.
fn simulate(seed: u64, world: World) -> Run {
    let mut random = Random::for_purpose(seed, 1);
    let (conflicts, crowd, minutes) = (random.percent(50), random.percent(8), random.within(16, 40));
    let options = ScenarioOptions { conflicts, crowd, minutes, varied: world == World::Whole };
    let mut jobs = scenario::jobs(&mut random, options);
    if (CHAINED..RETURNING).contains(&seed) {
        scenario::chain(&mut Random::for_purpose(seed, 5), &mut jobs);
    }
    let mut plan = faults::plan(&mut random, minutes);
    let mut length = SignedDuration::from_mins(minutes);
    if world == World::Whole {
        let mut random = Random::for_purpose(seed, 6);
        troubles::add(&mut random, minutes, &mut plan);
        variety::add(&mut random, minutes, &mut jobs, &mut plan);
        if variety::has_returns(seed) {
            variety::add_returns(&mut Random::for_purpose(seed, 10), minutes, &mut plan);
        }
        if orders::has_orders(seed) {
            orders::add(&mut Random::for_purpose(seed, 11), minutes, &mut plan);
        }
        if orders::has_every_order(seed) {
            orders::add_others(&mut Random::for_purpose(seed, 13), minutes, &mut plan);
        }
        if media::has_fallbacks(seed) {
            media::add(&mut Random::for_purpose(seed, 14), minutes, &mut jobs, &mut plan);
        }
        if seed >= hosts::HOSTS {
            hosts::add(&mut Random::for_purpose(seed, 15), minutes, &mut plan);
        }
        if seed < CHAINED && random.percent(ENDLESS) {
            jobs = endless::jobs(&mut random, options);
            endless::stretch(&mut plan);
            length = endless::LENGTH;
        }
    }
    let is_traced = std::env::var_os("INGESTD_SEED").is_some();
    if is_traced {
        println!("{}{plan:#?}", scenario::text(&jobs));
    }
    let run = run::run(seed, jobs, plan, options, length);
    if is_traced {
        run.api.state().sends.iter().for_each(|send| println!("{}", send.traced()));
    }
    run
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

/// Runs and checks seeds on several threads. Returns those that failed, with what was wrong.
fn failures(seeds: &[u64], world: World) -> Vec<(u64, String)> {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("an index")) {
                    let judged = catch_unwind(AssertUnwindSafe(|| checks::all(&simulate(*seed, world))));
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

/// `INGESTD_FIRST_WORLD=1` runs a seed as those run that failed once.
fn world() -> World {
    if number("INGESTD_FIRST_WORLD").is_some() { World::First } else { World::Whole }
}

fn report(failed: &[(u64, String)], of: usize) {
    for (seed, text) in failed.iter().take(number("INGESTD_SHOW").map_or(10, |count| usize::try_from(count).expect("small"))) {
        println!("seed {seed} (INGESTD_SEED={seed} cargo test --test sim seeds -- --nocapture):\n{text}\n");
    }
    println!("{of} seeds were played");
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
    report(&failures(&seeds, world()), seeds.len());
}

#[test]
fn seeds_with_chains_leave_one_outcome_for_each() {
    let seeds: Vec<u64> = (CHAINED..).take(200).collect();
    report(&failures(&seeds, world()), seeds.len());
}

#[test]
fn seeds_with_jobs_that_come_back_leave_one_outcome_for_each() {
    let seeds: Vec<u64> = (RETURNING + 3_000..).take(200).collect();
    report(&failures(&seeds, world()), seeds.len());
}

#[test]
fn seeds_with_orders_of_operators_leave_one_outcome_for_each() {
    let seeds: Vec<u64> = (ORDERED..).take(200).collect();
    report(&failures(&seeds, world()), seeds.len());
}

#[test]
fn seeds_with_orders_of_every_kind_leave_one_outcome_for_each() {
    let seeds: Vec<u64> = (ORDERED_OTHERWISE..).take(200).collect();
    report(&failures(&seeds, world()), seeds.len());
}

#[test]
fn seeds_with_media_that_dies_and_heals_leave_one_outcome_for_each() {
    let seeds: Vec<u64> = (FALLBACKS..).take(200).collect();
    report(&failures(&seeds, world()), seeds.len());
}

#[test]
fn seeds_with_two_hosts_leave_one_outcome_for_each() {
    let seeds: Vec<u64> = (hosts::HOSTS..).take(100).collect();
    report(&failures(&seeds, world()), seeds.len());
}

#[test]
fn seeds_that_failed_once_pass() {
    report(&failures(&REGRESSIONS, World::First), REGRESSIONS.len());
    report(&failures(&REGRESSIONS_OF_WHOLE, World::Whole), REGRESSIONS_OF_WHOLE.len());
    report(&failures(&REGRESSIONS_WITH_ORDERS, World::Whole), REGRESSIONS_WITH_ORDERS.len());
}
