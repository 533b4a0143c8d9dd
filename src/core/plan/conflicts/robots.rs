//! One robot in two rooms: a robot that is written out in full can be the one that `{start}` gives to another job, at one of its
//! starts. A user is in one room at a time, so their windows must not overlap. Does not look at jobs of one room (the sweep does),
//! and not at jobs that write the same template: those are refused when a schedule is read.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::clash::{ANY_START, Clash, START, have_one_robot, may_be_one};
use super::sweep::WINDOWS_MAX;
use crate::plan::precedence::{ConflictKind, Contender};
use crate::plan::target::JobTarget;
use crate::plan::{Planned, Upcoming, last_encounter, planned};
use crate::schedule::{Job, RobotTemplate, Schedule};

/// The pairs of enabled jobs of one application that have one robot in two rooms in `range`: the first clash of each. A schedule in
/// which no robot has `{start}` takes no time.
pub(super) fn in_two_rooms(schedule: &Schedule, range: &Range<Timestamp>) -> Vec<Clash> {
    let jobs = || schedule.jobs().filter(|job| job.enabled);
    let mut starting: HashMap<_, Vec<(&Arc<Job>, String)>> = HashMap::new();
    for job in jobs().filter(|job| job.robot.as_str().contains(START)) {
        let text = text(job);
        starting.entry((JobTarget::of(job).app(), form(&text))).or_default().push((job, text));
    }
    if starting.is_empty() {
        return Vec::new();
    }
    let mut found: HashSet<[&str; 2]> = HashSet::new();
    let mut clashes = Vec::new();
    for job in jobs() {
        let own = text(job);
        let form = form(&own);
        if form == own {
            continue;
        }
        for (other, others) in starting.get(&(JobTarget::of(job).app(), form)).into_iter().flatten() {
            if other.room == job.room {
                continue;
            }
            let Some(clash) = start_that_gives(others, &own).and_then(|start| clash(other, start, job, range)) else { continue };
            let mut pair = [job.id.as_str(), other.id.as_str()];
            pair.sort_unstable();
            if found.insert(pair) {
                clashes.push(clash);
            }
        }
    }
    clashes
}

/// The robot of a job, with [`ANY_START`] for its start.
fn text(job: &Job) -> String {
    job.robot.fill(job.id.as_str(), &job.room).replace(START, ANY_START)
}

/// The same with [`ANY_START`] for all that could be a start. Robots that can be the same have the same form.
fn form(text: &str) -> String {
    let mut form = text.to_owned();
    for at in 0..text.len().saturating_sub(ANY_START.len() - 1) {
        // Two of them never overlap: the letters of one would stand where the other has digits.
        if text.get(at..at + ANY_START.len()).is_some_and(|part| instant(part).is_some()) {
            form.replace_range(at..at + ANY_START.len(), ANY_START);
        }
    }
    form
}

fn instant(stamp: &str) -> Option<Timestamp> {
    let is_stamp = stamp.len() == ANY_START.len() && stamp.as_bytes()[8] == b'T' && stamp.ends_with('Z');
    let time = is_stamp.then(|| DateTime::strptime(RobotTemplate::START_FORMAT, stamp).ok()).flatten()?;
    Offset::UTC.to_timestamp(time).ok()
}

/// The start at which `text` becomes `other`, where `other` has one written out.
fn start_that_gives(text: &str, other: &str) -> Option<Timestamp> {
    let is_written_out = |at: usize| {
        let part = text.as_bytes().get(at..at + ANY_START.len())?;
        (part == ANY_START.as_bytes()).then(|| other.get(at..at + ANY_START.len()).and_then(instant)).flatten()
    };
    let start = (0..text.len()).find_map(is_written_out)?;
    let filled = text.replace(ANY_START, &start.strftime(RobotTemplate::START_FORMAT).to_string());
    may_be_one(&filled, other).then_some(start)
}

/// The first window of `other` that meets one of `job` of this start, with the same robot.
fn clash(job: &Arc<Job>, start: Timestamp, other: &Arc<Job>, range: &Range<Timestamp>) -> Option<Clash> {
    // A robot has whole seconds, a start may have more.
    let next_second = start.checked_add(SignedDuration::from_secs(1)).ok()?;
    job.when.between(start, next_second).map(|start| planned(job, start)).find_map(|own| {
        let last = last_encounter(&own, own.start.at);
        let windows = Upcoming::open_at([other], own.start.at).take_while(|window| window.start.at < last);
        let mut meeting = windows.take(WINDOWS_MAX as usize).filter(|window| have_one_robot(&own, window) && meet(&own, window));
        let window = meeting.find(|window| range.contains(&own.start.at.max(window.start.at)))?;
        let is_later = (own.start.at, &job.id) > (window.start.at, &other.id);
        let (earlier, later) = if is_later { (window, own.clone()) } else { (own.clone(), window) };
        Some(Clash { earlier, later, kind: ConflictKind::OneRobot, by_clock_change: false })
    })
}

fn meet(one: &Planned, other: &Planned) -> bool {
    Contender::planned(one).overlaps(&Contender::planned(other))
}
