//! Worlds in which shows without an end outlive what the cloud lets a task run, which is seven days: the host sleeps through most of
//! them, and what goes wrong does so before that and around the renewals. Does not check anything.

use jiff::SignedDuration;

use crate::faults::{HostEvent, Plan};
use crate::random::Random;
use crate::scenario::{Play, ScenarioOptions, SimJob, begin};
use crate::variety::seek;

/// The longest `MaxDuration`.
const WEEK: SignedDuration = SignedDuration::from_hours(24 * 7);

/// When the host goes to sleep.
const SLEEPS_AT: SignedDuration = SignedDuration::from_mins(13);

/// What was drawn for a time after that happens so much later. The first renewals come about then.
const LATER: SignedDuration = SignedDuration::from_mins(7 * 24 * 60 - 40);

/// How long such a run is planned.
pub(crate) const LENGTH: SignedDuration = SignedDuration::from_mins(7 * 24 * 60 + 25);

/// Shows without an end, and others that take their rooms for a while about a week later.
pub(crate) fn jobs(random: &mut Random, options: ScenarioOptions) -> Vec<SimJob> {
    let once = |seconds: i64| {
        let at = begin() + SignedDuration::from_secs(seconds);
        format!("once: \"{}\"", at.strftime("%Y-%m-%d %H:%M:%S"))
    };
    let mut jobs = Vec::new();
    for index in 0..random.within(1, 3) {
        let yields = options.conflicts && random.percent(35);
        let mut job = SimJob {
            id: format!("endless-{index}"),
            room: format!("room-{index}"),
            trigger: once(random.within(30, 600)),
            shares_robot: random.percent(30),
            ..SimJob::new(if yields { "yield" } else { "reject" })
        };
        seek(random, &mut job);
        // Without a length it would be a live source, which has no bound in the cloud.
        job.length.get_or_insert(60);
        job.seek = job.seek.min(job.length.unwrap_or(60) - 1);
        if random.percent(30) {
            job.fields.push("on_remove: stop".into());
        }
        let guests = if yields { random.within(0, 3) } else { 0 };
        jobs.push(job);
        for guest in 0..guests {
            let minutes = random.within(1, 4);
            jobs.push(SimJob {
                id: format!("guest-{index}-{guest}"),
                room: format!("room-{index}"),
                // Ten minutes apart, some of them in the midst of the renewals.
                trigger: once(WEEK.as_secs() - 400 + guest * 600 + random.within(0, 400)),
                play: Play::Loop { minutes, seconds: 0 },
                ..SimJob::new("reject")
            });
        }
    }
    jobs
}

/// Moves what goes wrong to the times that matter.
pub(crate) fn stretch(plan: &mut Plan) {
    let sleeps_at = begin() + SLEEPS_AT;
    // Nobody adds a job that would be missed hundreds of times while the host sleeps.
    plan.host_events.retain(|(at, host_event)| *at >= sleeps_at || !matches!(host_event, HostEvent::Reload));
    for daemon_run in &mut plan.daemon_runs {
        daemon_run.edited = false;
    }
    for (at, _) in plan.host_events.iter_mut().filter(|(at, _)| *at >= sleeps_at) {
        *at += LATER;
    }
    for (from, to) in plan.outages.iter_mut().filter(|(from, _)| *from >= sleeps_at) {
        *from += LATER;
        *to += LATER;
    }
    plan.host_events.push((sleeps_at, HostEvent::Suspend(LATER)));
    plan.host_events.sort_by_key(|(at, _)| *at);
}
