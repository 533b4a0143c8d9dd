//! What later worlds have beside the first ones: media that is sought in, starts around a reload, and edits that fix what failed, or
//! take a job and its robot to another room. Drawn from numbers of its own. Does not know what goes wrong.

use jiff::{SignedDuration, Timestamp};

use crate::faults::{HostEvent, Plan};
use crate::random::Random;
use crate::scenario::{Play, SimJob, begin};

/// Gives jobs a position or a bad URL, and the plan more edits.
pub(crate) fn add(random: &mut Random, minutes: i64, jobs: &mut [SimJob], plan: &mut Plan) {
    let many_bad = random.percent(20);
    for job in jobs.iter_mut() {
        let is_loop = matches!(job.play, Play::Loop { .. });
        if is_loop && random.percent(40) {
            seek(random, job);
        }
        job.bad |= many_bad && random.percent(25);
    }
    if many_bad || random.percent(35) {
        for _ in 0..random.within(1, 4) {
            let at = begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000 - 60_000));
            plan.host_events.push((at, HostEvent::Reload));
        }
        plan.host_events.sort_by_key(|(at, _)| *at);
    }
}

/// Whether jobs leave and come back in the world of this seed.
pub(crate) fn has_returns(seed: u64) -> bool {
    (crate::RETURNING..crate::ORDERED).contains(&seed)
}

/// Gives the plan pairs of edits: in the first a job may leave, in the second it may come back.
pub(crate) fn add_returns(random: &mut Random, minutes: i64, plan: &mut Plan) {
    for _ in 0..random.within(1, 4) {
        let first = begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000 - 60_000));
        let away = SignedDuration::from_secs(if random.percent(70) { random.within(1, 240) } else { random.within(240, 800) });
        plan.host_events.extend([first, first + away].map(|at| (at, HostEvent::Reload)));
    }
    plan.host_events.sort_by_key(|(at, _)| *at);
}

/// A job leaves, or those that left earlier come back as they were.
pub(crate) fn take_away_and_bring_back<S>(random: &mut Random, before: &[(S, Vec<SimJob>)], jobs: &mut Vec<SimJob>) {
    let mut back: Vec<&SimJob> = Vec::new();
    for job in before.iter().rev().flat_map(|(_, jobs)| jobs) {
        if !jobs.iter().chain(back.iter().copied()).any(|other| other.id == job.id) {
            back.push(job);
        }
    }
    let back: Vec<SimJob> = back.into_iter().filter(|_| random.percent(80)).cloned().collect();
    if back.is_empty() && jobs.len() > 1 {
        jobs.remove(usize::try_from(random.below(jobs.len() as u64)).expect("an index"));
    }
    jobs.extend(back);
}

/// Media of a known length, which plays faster and begins later than others.
pub(crate) fn seek(random: &mut Random, job: &mut SimJob) {
    let length = random.within(20, 400);
    job.length = random.percent(85).then_some(length);
    job.seek = if random.percent(30) { random.within(1, length - 1) } else { 0 };
    job.tempo = if random.percent(30) { *random.pick(&[50, 75, 125, 150, 175, 200]) } else { 100 };
}

/// How long before a schedule is taken up it was prepared: a disk may be slow, and a clock may be set back meanwhile.
pub(crate) fn prepared_ago(random: &mut Random) -> SignedDuration {
    match random.below(10) {
        0 => SignedDuration::from_millis(-500),
        1..4 => SignedDuration::from_millis(random.within(0, 6_000)),
        4..9 => SignedDuration::from_millis(random.within(6_000, 240_000)),
        _ => SignedDuration::from_millis(random.within(590_000, 700_000)),
    }
}

/// Edits again what was edited: starts around the reload at `now`, which was prepared `ago`; and bad URLs that are bad no more.
pub(crate) fn edit(random: &mut Random, jobs: &mut Vec<SimJob>, number: u32, now: Timestamp, ago: SignedDuration) {
    for job in jobs.iter_mut().filter(|job| job.bad) {
        if random.percent(60) {
            (job.bad, job.version) = (false, number);
        }
    }
    // What is on air stays in its room, and its robot is wanted in another by the next start.
    if random.percent(30) {
        let moved = usize::try_from(random.below(jobs.len() as u64)).expect("an index");
        jobs[moved].room = format!("moved-{number}");
    }
    let lead = ago.as_secs().clamp(5, 250);
    for index in 0..random.below(3) {
        let start = now + SignedDuration::from_secs(random.within(-lead - 5, 15));
        let trigger = format!("once: \"{}\"", start.strftime("%Y-%m-%d %H:%M:%S"));
        if random.percent(40) {
            let moved = usize::try_from(random.below(jobs.len() as u64)).expect("an index");
            jobs[moved].trigger = trigger;
            continue;
        }
        let (id, room) = (format!("soon-{number}-{index}"), format!("soon-{number}-{index}"));
        let mut job = SimJob { id, trigger, room, ..SimJob::new("reject") };
        let minutes = random.within(1, 8);
        job.play = if random.percent(70) {
            Play::Loop { minutes, seconds: 0 }
        } else {
            Play::Single { length: minutes * 60, really: minutes * 60, repeat: 1, seek: 0 }
        };
        if matches!(job.play, Play::Loop { .. }) && random.percent(50) {
            seek(random, &mut job);
        }
        if random.percent(30) {
            job.fields.push(format!("late: {}", random.pick(&["restart", "skip"])));
        }
        jobs.push(job);
    }
}
