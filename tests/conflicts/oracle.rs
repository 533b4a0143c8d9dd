//! The oracle: every window of 400 days, every pair of windows, the rule in its own words. Slow, and shares only the
//! calendar with the code that it tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingestd::plan::{End, Planned, planned};
use ingestd::schedule::{Conflict, EndRule, Job, Schedule};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// More windows than these would take the oracle too long.
const WINDOWS_MAX: usize = 2_000;

/// What the oracle says of a pair of jobs, the ids in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The first clash of all.
    pub(crate) first: Timestamp,
    /// The first that is no clock change's doing; without `one_clock` the first of all.
    pub(crate) real: Option<Timestamp>,
}

/// The clashes of a schedule whose jobs share a room, or nothing when it has more windows than the oracle can take.
/// `one_clock`: all jobs have one zone, and it is known of each what was written.
pub(crate) fn clashes(schedule: &Schedule, now: Timestamp, one_clock: bool) -> Option<BTreeMap<(String, String), Found>> {
    let horizon = now + SignedDuration::from_hours(400 * 24);
    // No window of the schedules here is longer than 30 days, but those that never end; of these only the newest counts.
    let windows = |job: &Arc<Job>| {
        let days = if job.end == EndRule::Never { 5_000 } else { 30 };
        let begun: Vec<_> = job.when.between(now - SignedDuration::from_hours(days * 24), now).collect();
        let begun = if job.end == EndRule::Never { begun[begun.len().saturating_sub(1)..].to_vec() } else { begun };
        let starts = begun.into_iter().chain(job.when.between(now, horizon)).take(WINDOWS_MAX + 1);
        starts.map(|start| planned(job, start)).collect::<Vec<_>>()
    };
    let mut all: Vec<Planned> = schedule.jobs().filter(|job| job.enabled).flat_map(windows).collect();
    if all.len() > WINDOWS_MAX {
        return None;
    }
    all.sort_by_key(|window| window.start.at);
    let mut found: BTreeMap<(String, String), Found> = BTreeMap::new();
    for (index, later) in all.iter().enumerate().filter(|(_, later)| later.start.at >= now) {
        for earlier in &all[..index] {
            let is_over = earlier.end.at().is_some_and(|end| end <= later.start.at);
            if is_over || !clash(span(earlier), span(later), earlier, later) {
                continue;
            }
            let at = later.start.at;
            let real = (!one_clock || clash(written(earlier), written(later), earlier, later)).then_some(at);
            let mut ids = [earlier.job.id.to_string(), later.job.id.to_string()];
            ids.sort_unstable();
            let [one, other] = ids;
            let known = found.entry((one, other)).or_insert(Found { first: at, real });
            known.real = known.real.or(real);
        }
    }
    Some(found)
}

/// Milliseconds at which a window begins, and at which it ends: nothing if it has none or an open one.
type Span = (i64, Option<i64>);

fn span(window: &Planned) -> Span {
    (window.start.at.as_millisecond(), window.end.at().map(Timestamp::as_millisecond))
}

/// The same on a clock that is never changed, by what was written.
fn written(window: &Planned) -> Span {
    let job = &window.job;
    let wall = |local: DateTime| Offset::UTC.to_timestamp(local).expect("in range").as_millisecond();
    let start = wall(window.start.written);
    let end = match job.end {
        EndRule::To(to) => {
            let date = window.start.written.date();
            let date = if to > window.start.written.time() { date } else { date.tomorrow().expect("in range") };
            Some(wall(date.to_datetime(to)))
        }
        EndRule::For(_) | EndRule::Media | EndRule::Never => {
            window.end.at().map(|end| start + end.as_millisecond() - window.start.at.as_millisecond())
        }
    };
    (start, end)
}

fn clash(one: Span, other: Span, of_one: &Planned, of_other: &Planned) -> bool {
    let ((earlier, first), (later, second)) =
        if one.0 <= other.0 { ((one, of_one), (other, of_other)) } else { ((other, of_other), (one, of_one)) };
    let equal = earlier.0 == later.0;
    let ends = |span: Span, window: &Planned| match window.end {
        End::Never => i64::MAX,
        // A moment is enough to take a room, and holds it no longer.
        End::Open => span.0,
        End::Planned(_) | End::Media(_) => span.1.expect("an end"),
    };
    // Whoever begins has the room then, for however short a time; what is open ended is not known to last longer than its start.
    let meet = equal || ends(earlier, first).saturating_sub(later.0) >= 2_000;
    let says = |mode| [first.job.policy.conflict == mode, second.job.policy.conflict == mode];
    let robot = |window: &Planned| window.job.robot.expand(window.job.id.as_str(), &window.job.room, window.start.at);
    let permitted = match (says(Conflict::Yield), equal) {
        ([true, false] | [false, true], _) => true,
        ([true, true], equal) => !equal,
        _ if says(Conflict::Allow) == [true, true] => robot(first) != robot(second),
        (_, true) => false,
        (_, false) => second.job.policy.conflict == Conflict::Preempt,
    };
    meet && !permitted
}
