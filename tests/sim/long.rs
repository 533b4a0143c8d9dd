//! Two long runs in which nothing goes wrong: a busy day, and a loop that outlives what the cloud lets a task run. Draws
//! nothing.

use jiff::SignedDuration;

use crate::checks;
use crate::faults::{Exist, Plan};
use crate::run::{Run, run};
use crate::scenario::{Play, ScenarioOptions, SimJob};

fn job(id: String, trigger: &str, play: Play) -> SimJob {
    let (room, trigger) = (format!("room-{id}"), trigger.to_owned());
    SimJob { id, trigger, play, room, ..SimJob::new("reject") }
}

fn calm(jobs: Vec<SimJob>, length: SignedDuration) -> Run {
    let options = ScenarioOptions { conflicts: false, crowd: false, minutes: length.as_mins(), varied: false };
    let run = run(0, jobs, Plan::without_faults(Exist::RoomUser), options, length);
    let faults = checks::all(&run);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    run
}

#[test]
fn a_busy_day_goes_as_planned() {
    let mut jobs = Vec::new();
    for index in 0..24 {
        jobs.push(job(format!("hourly-{index}"), "every: 1h", Play::Loop { minutes: 20, seconds: 0 }));
    }
    for index in 0..6 {
        let play = Play::Single { length: 600, really: 600, repeat: 1, seek: 0 };
        jobs.push(job(format!("jingle-{index}"), "cron: \"*/15 * * * *\"", play));
    }
    jobs.push(job("relay".into(), "at: \"09:00\"", Play::Live { minutes: Some(180) }));
    // Windows of one job that touch: its robot is still in the room when the next begins.
    jobs.push(job("race".into(), "every: 30m", Play::Loop { minutes: 30, seconds: 0 }));
    let run = calm(jobs, SignedDuration::from_hours(24));
    assert!(run.rows.len() >= 1_000, "{} occurrences", run.rows.len());
    let failed: Vec<_> = run.rows.iter().filter(|row| checks::outcome(row) != "ended").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(run.api.state().cloud.rejections, 0);
}

#[test]
fn a_loop_outlives_the_bound_of_its_task() {
    let days = SignedDuration::from_hours(24 * 8);
    let run =
        calm(vec![job("marathon".into(), "once: \"2026-11-22 10:01\"", Play::Loop { minutes: days.as_mins(), seconds: 0 })], days);
    let tasks = &run.api.state().cloud.tasks;
    assert_eq!(tasks.len(), 2, "{tasks:#?}");
    assert_eq!(run.rows[0].restarts, 1);
}
