//! Kill -9 at random moments under load, while the endpoint cuts connections before and after the effect, answers with errors and
//! lets tasks vanish. `INGESTD_KILLS=200` kills so often; the usual run is shorter.

use std::collections::BTreeMap;
use std::time::Duration;

use ingestd::occurrence::Occurrence;
use ingestd::sandbox::{ExistReading, FaultEffect, FaultRule, Replacement, SandboxTask};
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use super::rig::{Rig, wait_at_most, wait_for};

/// How many shows begin at each instant.
const JOBS: usize = 12;
/// How far apart the instants are.
const EVERY_S: i64 = 6;
/// Kills of a usual run.
const KILLS: usize = 12;
/// How long a daemon lives at most.
const LIFE_MS: u64 = 1_600;
/// After the last kill everything ends within its window and its stop's patience.
const SETTLE: Duration = Duration::from_secs(150);

fn job(number: usize) -> String {
    format!(
        "  j{number:02}: {{ every: {EVERY_S}s, for: 4s, room: {}, stream: https://cdn.example.com/a.mp4, length: 1m, repeat: forever }}\n",
        number + 1
    )
}

fn faults() -> Vec<FaultRule> {
    let cut = |done| FaultRule::new(FaultEffect::Replace { with: Replacement::Cut, done });
    vec![
        cut(true).action(Action::Start).probability(0.08, 1),
        cut(false).action(Action::Start).probability(0.08, 2),
        FaultRule::error("InternalError.InternalError").probability(0.05, 3),
        cut(true).action(Action::Stop).probability(0.1, 4),
        cut(false).action(Action::Stop).probability(0.1, 5),
        FaultRule::new(FaultEffect::Vanish(Duration::from_secs(1))).action(Action::Start).probability(0.03, 6),
    ]
}

/// Splitmix64, from the clock: each run kills at other moments, and says at which.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

#[test]
fn killed_again_and_again_there_is_one_outcome_for_each() {
    let kills = std::env::var("INGESTD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let seed = Timestamp::now().as_microsecond().unsigned_abs();
    println!("moments from seed {seed}");
    let mut moments = Moments(seed);
    // Under this reading nothing but the daemon itself keeps a show from playing twice.
    let rig = Rig::with(faults(), |sandbox| sandbox.exist = ExistReading::Both);
    rig.jobs(&(0..JOBS).map(job).collect::<String>());
    let began = Timestamp::now() + SignedDuration::from_secs(EVERY_S);
    rig.started().kill();
    for _ in 0..kills {
        let daemon = rig.start();
        wait_for(Timestamp::now() + Duration::from_millis(moments.next(LIFE_MS)));
        daemon.kill();
    }
    let last = Timestamp::now();
    rig.sandbox.clear_faults();
    rig.jobs("  rest: { once: 2020-01-01 00:00:00, for: 1s, room: 99, stream: https://cdn.example.com/a.mp4 }\n");
    let daemon = rig.started();
    // It drops all of the twelve.
    let (code, _, stderr) = rig.verb(&["reload", "--force"]);
    assert_eq!(code, Some(0), "{stderr}");
    let rows = wait_at_most(SETTLE, "everything is over", || {
        let rows = rig.rows();
        let is_settled = rows.iter().all(Occurrence::is_done) && missing(&rows, began, last).is_empty();
        is_settled.then_some(rows)
    });
    assert_eq!(missing(&rows, began, last), Vec::<String>::new());
    let doubts = rows.iter().filter(|row| row.was_in_doubt).count();
    let tasks = rig.sandbox.tasks();
    println!("{kills} kills, {} occurrences, {doubts} in doubt, {} tasks", rows.len(), tasks.len());
    twice_at_once_only_in_doubt(&rows, &tasks);
    for task in tasks.iter().filter(|task| task.runs()) {
        assert!(!rows.iter().any(|row| row.task_id.as_ref() == Some(&task.task_id)), "still on air: {task:?}");
    }
    daemon.stop();
}

/// What was planned in that time and has no row. Two rows of one name cannot be: the name is unique in the ledger.
fn missing(rows: &[Occurrence], from: Timestamp, to: Timestamp) -> Vec<String> {
    let first = (from.as_second() + EVERY_S - 1).div_euclid(EVERY_S) * EVERY_S;
    let step = usize::try_from(EVERY_S).expect("a few seconds");
    let starts = (first..to.as_second()).step_by(step);
    let planned = starts.flat_map(|second| (0..JOBS).map(move |number| (format!("j{number:02}"), second)));
    let has = |job: &str, second: i64| rows.iter().any(|row| row.key.job.as_str() == job && row.key.start.as_second() == second);
    planned.filter(|(job, second)| !has(job, *second)).map(|(job, second)| format!("{job} {second}")).collect()
}

/// Two tasks of a robot at the same time: only where the ledger says that a start was in doubt, or that a stop was not verified.
fn twice_at_once_only_in_doubt(rows: &[Occurrence], tasks: &[SandboxTask]) {
    let mut by_robot: BTreeMap<&str, Vec<&SandboxTask>> = BTreeMap::new();
    for task in tasks {
        by_robot.entry(&task.params.user_id).or_default().push(task);
    }
    for (robot, mut tasks) in by_robot {
        tasks.sort_by_key(|task| task.started_at);
        for (index, earlier) in tasks.iter().enumerate() {
            let end = earlier.ended.map_or(Timestamp::MAX, |(at, _)| at);
            for later in tasks[index + 1..].iter().filter(|later| later.started_at < end) {
                let is_known = [earlier, later].iter().any(|task| show(rows, robot, task).is_some_and(|row| row.was_in_doubt));
                assert!(is_known, "{earlier:?} and {later:?} at once, and no doubt: {:#?}", show(rows, robot, later));
            }
        }
    }
}

/// The show that a task was started for.
fn show<'a>(rows: &'a [Occurrence], robot: &str, task: &SandboxTask) -> Option<&'a Occurrence> {
    let of = |row: &&Occurrence| row.key.job.as_str() == robot && row.key.start <= task.started_at;
    rows.iter().filter(of).max_by_key(|row| row.key.start)
}
