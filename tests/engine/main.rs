//! The promise about the engine: what happened goes in, and writes, calls, notices and replies come out, as plain values. `steps.txt`
//! is the table: scenarios of jobs, then steps with what goes in and what comes out, a line each.

mod bench;
mod once;
mod rig;
#[path = "../ledger/rows.rs"]
#[expect(dead_code, reason = "the tests of the ledger need more of it")]
mod rows;
mod shared;
mod taken_over;
mod told;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bench::Bench;

const STEPS: &str = include_str!("steps.txt");

/// The fewest steps that the table may have.
const STEPS_MIN: usize = 30;

/// Plays a table: keeps its inputs, and puts in what comes out. Returns it with the number of its steps.
///
/// `# title` begins a scenario, `begin TIME` and its jobs (indented by two) take over; `TIME input` is a step, and `TIME accept` one
/// whose jobs follow. What comes out is indented by four.
fn play(table: &str) -> (String, usize) {
    let (mut out, mut steps, mut bench) = (String::new(), 0, None);
    let mut lines = table.lines().filter(|line| !line.starts_with("    ")).peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut jobs = String::new();
        while let Some(job) = lines.next_if(|next| next.starts_with("  ")) {
            jobs.push_str(job);
            jobs.push('\n');
        }
        out.push_str(&jobs);
        let (time, input) = line.split_once(' ').expect("a time and an input");
        let told = match (time, input) {
            ("begin", time) => {
                bench = Some(Bench::begin(time, &jobs));
                continue;
            }
            (time, "shut down") => bench.as_mut().expect("it began").shut_down(time),
            (time, "accept") => bench.as_mut().expect("it began").accept(time, &jobs),
            (time, input) => bench.as_mut().expect("it began").step(time, input),
        };
        steps += 1;
        for line in told {
            writeln!(out, "    {line}").expect("a text");
        }
    }
    (out, steps)
}

#[test]
fn each_step_has_the_outcome_of_the_table() {
    let (played, steps) = play(STEPS);
    if played != STEPS {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steps.txt");
        fs::write(&path, &played).expect("writable");
        let differs = STEPS.lines().zip(played.lines()).enumerate().find(|(_, (expected, found))| expected != found);
        panic!("first difference at line {differs:#?}; the whole table as it was played is `{}`", path.display());
    }
    assert!(steps >= STEPS_MIN, "the table has {steps} steps, fewer than {STEPS_MIN}");
}
