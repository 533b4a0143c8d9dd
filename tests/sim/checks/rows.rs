//! The ledger's rows against the plan, and against what was sent: exactly one outcome for each planned occurrence, every doubt
//! recorded, attempts within their limit, and nothing missed that had a chance.

use std::collections::{BTreeMap, BTreeSet};

use ingestd::engine::COMES_BACK;
use ingestd::occurrence::{Kind, MissedReason, Occurrence, Outcome, SkippedReason, State};
use ingestd::plan::{self, Upcoming};
use ingestd::schedule::{Conflict, Late};
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use super::{Faults, line, outcome, reason, seconds};
use crate::cloud::SimTask;
use crate::endpoint::{AnswerKind, Received, Send};
use crate::media::FALLBACK;
use crate::run::{GenerationSpan, Impairment, Run};
use crate::scenario::begin;

pub(super) fn check(run: &Run, faults: &mut Faults) {
    one_outcome_for_everything_planned(run, faults);
    every_doubt_is_recorded(run, faults);
    attempts_keep_their_limits(run, faults);
    what_was_missed_had_no_chance(run, faults);
    what_failed_had_a_reason(run, faults);
    outcomes_fit(run, faults);
    nothing_illegal_happened(run, faults);
    what_was_cut_goes_on_when_its_job_is_back(run, faults);
}

/// The time over which a span lasted, by the daemon's clock.
fn until(run: &Run, index: usize) -> Timestamp {
    run.generations.get(index + 1).map_or(run.settled, |next| next.from)
}

/// Whether an occurrence of that name could be owed under a span: it starts while it lasts, or its window was open when it began.
fn may_be_owed(run: &Run, index: usize, span: &GenerationSpan, row: &Occurrence) -> bool {
    let start = row.key.start;
    let Some(job) = span.schedule.job(row.key.job.as_str()).filter(|_| plans(span, row.key.job.as_str(), start)) else {
        return false;
    };
    let latest = if run.plan.has_steps() { run.latest + seconds(6) } else { until(run, index) };
    let next = job.when.not_before(start).expect("it was found");
    // A clock that was set back, and believed, plans from there.
    let from = if run.plan.has_steps() { span.from.min(run.earliest) } else { span.from };
    let is_open = plan::planned(job, next).end.at().is_none_or(|end| end > from);
    // A yielder that a reload finds waiting for its start is cut, and not forgotten; nor is what lost its room, or was held back, when it was
    // armed: that is settled up to 5 s before its start.
    let is_settled_ahead = matches!(reason(row), "removed" | "conflict") || outcome(row) == "skipped";
    let latest = if is_settled_ahead { latest + seconds(6) } else { latest };
    start <= latest && (start >= from || is_open)
}

/// Whether a job was away at a start that it has, and back before ten minutes were over, less so much.
fn was_away(run: &Run, job: &str, start: Timestamp, less: SignedDuration) -> bool {
    let has = |span: &GenerationSpan| span.schedule.job(job).is_some();
    let pairs = run.generations.iter().enumerate().filter(|(_, span)| plans(span, job, start));
    pairs.into_iter().any(|(back, span)| {
        let Some(before) = run.generations[..back].iter().rposition(has) else { return false };
        let left = until(run, before);
        before + 1 < back && left <= start && start < span.from && span.from.duration_since(left) <= COMES_BACK - less
    })
}

fn plans(span: &GenerationSpan, job: &str, start: Timestamp) -> bool {
    let job = span.schedule.job(job);
    job.and_then(|job| job.when.not_before(start)).is_some_and(|next| next.at == start)
}

/// Whether it was owed at its start, and not found open when a schedule was accepted.
pub(super) fn was_owed(run: &Run, row: &Occurrence) -> bool {
    let start = row.key.start;
    run.generations
        .iter()
        .enumerate()
        .any(|(index, span)| span.from <= start && start < until(run, index) && plans(span, row.key.job.as_str(), start))
}

fn one_outcome_for_everything_planned(run: &Run, faults: &mut Faults) {
    let name = "one outcome for everything planned";
    let mut recorded = BTreeSet::new();
    for row in &run.rows {
        if !row.is_done() {
            faults.add(name, format!("never came to an end: {}", line(row)));
        }
        if !recorded.insert((row.key.job.to_string(), row.key.start)) || row.count != 1 {
            faults.add(name, format!("twice: {}", line(row)));
        }
        if row.kind == Kind::Fired {
            continue;
        }
        let is_owed = run.generations.iter().enumerate().any(|(index, span)| may_be_owed(run, index, span, row));
        if !is_owed && !was_away(run, row.key.job.as_str(), row.key.start, -seconds(10)) {
            faults.add(name, format!("was never planned: {}", line(row)));
        }
    }
    for span in &run.generations {
        let from = span.from.checked_sub(COMES_BACK).expect("in range").max(begin());
        for planned in Upcoming::new(&span.schedule, from).take_while(|planned| planned.start.at < span.from) {
            let key = (planned.job.id.to_string(), planned.start.at);
            if !run.plan.has_steps() && was_away(run, &key.0, key.1, seconds(10)) && !recorded.contains(&key) {
                faults.add(name, format!("no row: {key:?}, which began while its job was away until {}", span.from));
            }
        }
    }
    for (index, span) in run.generations.iter().enumerate() {
        let to = until(run, index).min(run.settled);
        for planned in Upcoming::new(&span.schedule, span.from.max(begin())).take_while(|planned| planned.start.at < to) {
            let key = (planned.job.id.to_string(), planned.start.at);
            // Under a clock that goes back, a span begins again in the midst of another.
            let is_sure = !run.plan.has_steps() || run.generations.iter().all(|other| plans(other, &key.0, key.1));
            if is_sure && !recorded.contains(&key) {
                faults.add(name, format!("no row: {key:?}, planned by generation {} from {} to {to}", span.number, span.from));
            }
        }
    }
}

fn every_doubt_is_recorded(run: &Run, faults: &mut Faults) {
    let name = "every doubt is recorded";
    let known: BTreeSet<_> = run.tasks.iter().map(|task| task.task_id.as_str()).collect();
    let state = run.api.state();
    for send in state.sends.iter().filter(|send| send.action == Action::Start) {
        let [claim] = send.claims.as_slice() else { continue };
        let Some(row) = run.row(&send.subject, claim.start) else {
            faults.add(name, format!("its row is gone: {send:?}"));
            continue;
        };
        let is_certain = match send.answered.as_ref().map(|(_, kind)| kind) {
            Some(AnswerKind::Started(task_id)) => known.contains(task_id.as_str()),
            Some(AnswerKind::Nothing | AnswerKind::Exists) => true,
            _ => false,
        };
        if !is_certain && !row.was_in_doubt {
            faults.add(name, format!("{send:?}: {}", line(row)));
        }
    }
}

fn attempts_keep_their_limits(run: &Run, faults: &mut Faults) {
    let name = "attempts keep their limits";
    let state = run.api.state();
    let mut sent: BTreeMap<(&str, Timestamp), Vec<usize>> = BTreeMap::new();
    // Two windows of a job that are tried at once cannot be distinguished by what was sent.
    let mut unsure: BTreeSet<(&str, Timestamp)> = BTreeSet::new();
    for (index, send) in state.sends.iter().enumerate().filter(|(_, send)| send.action == Action::Start) {
        if let [claim] = send.claims.as_slice() {
            sent.entry((&send.subject, claim.start)).or_default().push(index);
        } else {
            unsure.extend(send.claims.iter().map(|claim| (send.subject.as_str(), claim.start)));
        }
    }
    for ((job, start), sends) in sent {
        let Some(row) = run.row(job, start) else { continue };
        if sends.len() > row.attempts as usize {
            faults.add(name, format!("{} starts were sent: {}", sends.len(), line(row)));
        }
        // An edit may have changed the limit.
        let cap = row.policy.retry.attempts;
        if cap == 0 || run.plan.has_reloads() || unsure.contains(&(job, start)) {
            continue;
        }
        let mut in_a_row = 0;
        let mut refused_with = "";
        let mut before: Option<&Send> = None;
        for index in sends {
            let left = &state.sends[index];
            let since = before.map_or(Timestamp::MIN, |before| before.at);
            let is_between = |received: &Received| received.job == job && since < received.at && received.at <= left.at;
            let callbacks_received = state.callbacks_received.iter().any(is_between);
            // Other secrets give new tries to what was refused for the former ones, and so does a daemon that begins and reads them.
            let was_read = before.is_some_and(|before| before.key != left.key)
                || run.boots.iter().any(|boot| since < *boot && *boot <= left.at);
            let other_secrets = super::rereads(refused_with) && was_read;
            let is_by_hand = before.is_some_and(|before| run.was_fired(job, before.wall, left.wall));
            // Its fallback, or its stream again, has tries of its own.
            let is_other = before.is_some_and(|before| before.media.contains(FALLBACK) != left.media.contains(FALLBACK));
            in_a_row = if callbacks_received || other_secrets || is_by_hand || is_other { 1 } else { in_a_row + 1 };
            if !left.code.is_empty() {
                refused_with = left.code.as_str();
            }
            if in_a_row > cap {
                faults.add(name, format!("more than {cap}, the last at {}: {}", left.at, line(row)));
                break;
            }
            if matches!(left.answered, Some((_, AnswerKind::Started(_) | AnswerKind::Exists))) {
                in_a_row = 0;
            }
            before = Some(left);
        }
    }
}

/// A show is missed only where no daemon was there at its start, or could not start it; and of those, what could still be started
/// is.
fn what_was_missed_had_no_chance(run: &Run, faults: &mut Faults) {
    let name = "what was missed had no chance";
    for row in &run.rows {
        let State::Done { outcome: Outcome::Missed(why) } = &row.state else { continue };
        let start = row.key.start;
        if row.attempts > 0 || row.first_sent_at.is_some() {
            faults.add(name, format!("it was tried: {}", line(row)));
        }
        // What was open when a schedule was accepted could not be started on time.
        let was_owed = was_owed(run, row);
        let dues: Vec<_> = run.belief.start_dues(start).chain([start]).collect();
        let near = |why: Impairment| dues.iter().any(|due| run.is_impaired_by(why, *due - seconds(6), *due + seconds(8)));
        let clock = !run.belief.is_clear || run.belief.passed_over(start - seconds(6), start + seconds(8));
        // One that is begun late may fall into a hold.
        let clock = clock || row.joined && run.belief.passed_over(start, row.end.at().unwrap_or(run.settled));
        let excused = match why {
            MissedReason::Limit => run.crowd(start) * 2 > run.plan.rate as usize,
            MissedReason::Clock => clock || near(Impairment::Down) || near(Impairment::Stalled),
            // A clock that is set while nothing can be written passes over starts.
            // So does a host that stands still: the lease is over when it goes on.
            MissedReason::Disk => near(Impairment::Disk) || clock || run.plan.hosts.is_some() && near(Impairment::Stalled),
            // It was the latest open window when the room's other show was over, or a reload took it back.
            _ => {
                near(Impairment::Down)
                    || near(Impairment::Stalled)
                    || near(Impairment::Disk)
                    || clock
                    || !was_owed
                    || took_back(run, start)
            }
        };
        // A short window closes while it waits for the room; and a yielder's first attempt may be late then, which `late: skip` is
        // about: DESIGN judges that when the attempt could first have been queued.
        let is_late_yielder = row.policy.late == Late::Skip && row.policy.conflict == Conflict::Yield;
        // An occurrence that waits for the room may get it just when the daemon cannot see.
        let closes = row.end.at().unwrap_or(run.settled);
        let is_blind_yielder = row.policy.conflict == Conflict::Yield && run.is_impaired(start, closes);
        let was_shared = run.others_in_room(row).count() > 0 || run.was_moved(row);
        let waited = was_shared && (*why == MissedReason::Limit || is_late_yielder || is_blind_yielder);
        if !excused && !waited {
            faults.add(name, format!("a daemon was there: {}", line(row)));
        }
    }
    if run.plan.has_steps() || run.plan.has_reloads() {
        return;
    }
    // A daemon that came back, and stayed a while, started the latest open window of each job.
    let backs = run.impairments.iter().filter(|(why, _, back)| {
        let stays = !run.is_impaired(*back + SignedDuration::from_millis(1), *back + seconds(15));
        *why == Impairment::Down && stays && *back < run.settled - seconds(15)
    });
    for (_, _, back) in backs {
        for row in run.rows.iter().filter(|row| row.key.start < *back && reason(row) == "down") {
            let is_latest = !run
                .rows
                .iter()
                .any(|other| other.key.job == row.key.job && row.key.start < other.key.start && other.key.start < *back);
            let end = row.end.at().unwrap_or(Timestamp::MAX);
            let stretch = seconds(30).min(end.duration_since(row.key.start) / 4);
            let within = row.policy.start_within.map(|within| row.key.start + within);
            let closes = (end - stretch).min(within.unwrap_or(Timestamp::MAX));
            if is_latest && *back + seconds(15) < closes && row.end.at().is_some() {
                faults.add(name, format!("it could still be started at {back}: {}", line(row)));
            }
        }
    }
}

/// Whether a schedule was accepted, or a daemon began, just at the time of a start, or while that may wait for its room.
fn took_back(run: &Run, start: Timestamp) -> bool {
    let accepted = run.generations.iter().map(|span| span.from);
    accepted.chain(run.boots.iter().copied()).any(|at| start - seconds(6) <= at && at <= start + seconds(20))
}

fn what_failed_had_a_reason(run: &Run, faults: &mut Faults) {
    let name = "what failed had a reason";
    if !run.plan.is_fault_free() || run.plan.has_steps() || run.plan.has_reloads() {
        return;
    }
    let tasks = run.api.state().cloud.tasks.clone();
    for row in run.rows.iter().filter(|row| outcome(row) == "failed") {
        let is_bad = row.playout.stream.reveal().contains("forbidden") || super::fallback::both_were_refused(run, row);
        let lifetime = (row.key.start - seconds(10), row.end.at().unwrap_or(run.settled) + seconds(10));
        // An unknown task is in its room.
        let unknown =
            |task: &SimTask| task.room == row.playout.room.to_string() && !run.tasks.iter().any(|known| known.task_id == task.id);
        let is_unknown = reason(row) == "FailedOperation.TaskExist" && run.api.state().cloud.tasks.iter().any(unknown);
        // Media that is shorter than it was said to be.
        let is_short = matches!(row.end, plan::End::Media(_)) && reason(row) == "lost";
        let vanished = |task: &SimTask| task.vanishes && run.row_of_send(task.send).is_some_and(|other| other.key == row.key);
        let is_lost = is_unknown || is_short || reason(row) == "lost" && tasks.iter().any(vanished);
        if !is_bad && !is_lost && !run.is_impaired(lifetime.0, lifetime.1) {
            faults.add(name, line(row));
        }
    }
}

fn outcomes_fit(run: &Run, faults: &mut Faults) {
    let name = "the outcome fits what is known";
    let state = run.api.state();
    for row in &run.rows {
        let State::Done { outcome } = &row.state else { continue };
        // Somebody else's task may look like ours (DESIGN section 5, Callbacks).
        if row.task_id.as_ref().is_some_and(|id| id.starts_with("foreign")) {
            continue;
        }
        let played =
            || state.cloud.tasks.iter().any(|task| task.job == row.key.job.as_str() && Some(&task.id) == row.task_id.as_ref());
        match outcome {
            Outcome::EndedPlanned | Outcome::EndedMedia if row.task_id.is_some() && !played() => {
                faults.add(name, format!("its task is another's: {}", line(row)));
            }
            Outcome::EndedUnverified if row.task_id.is_none() && !row.was_in_doubt && !row.joined && row.restarts == 0 => {
                faults.add(name, format!("nothing was in doubt: {}", line(row)));
            }
            Outcome::EndedUnverified if row.task_id.is_some() && run.plan.is_fault_free() && run.impairments.is_empty() => {
                faults.add(name, format!("every stop was answered: {}", line(row)));
            }
            // In the end everything is stopped.
            Outcome::CutOperator if row.ended_at.is_some_and(|at| at >= run.settled) => {}
            Outcome::CutOperator if run.plan.host_events.is_empty() && row.end.at().is_some() => {
                faults.add(name, format!("nobody did: {}", line(row)));
            }
            Outcome::Skipped(SkippedReason::Conflict) => {
                let own = |other: &Occurrence| other.key.job == row.key.job && other.key != row.key;
                // Windows that a set clock passes over are claimed together, and rows of a future that does not come are removed. What an
                // edit moved was wanted where it was.
                let is_set = run.belief.passed_over(row.key.start - seconds(6), row.key.start + seconds(8));
                if run.others_in_room(row).count() == 0
                    && !run.rows.iter().any(own)
                    && !is_set
                    && !run.rows.iter().any(|row| run.was_moved(row))
                {
                    faults.add(name, format!("nobody else wanted the room: {}", line(row)));
                }
            }
            _ => {}
        }
        let sent = row.first_sent_at.is_some();
        if row.on_air_at.is_some() && !sent && !row.was_in_doubt {
            faults.add(name, format!("on air and never sent: {}", line(row)));
        }
    }
    // What a callback gave to the wrong start for a while is closed, and was never its own to stop.
    let is_own = |task: &&crate::run::TaskRow| {
        !task.task_id.starts_with("foreign")
            && run.row(&task.job, task.start).is_some_and(|row| row.task_id.as_ref() == Some(&task.task_id))
    };
    for task in run.tasks.iter().filter(is_own) {
        let found = state.cloud.tasks.iter().find(|other| other.id == task.task_id);
        // A callback that tells late that media plays, or plays again, looks like that of a start that left then.
        let is_told_late = |found: &SimTask| found.is_unpulled || run.plan.troubles.dead.iter().any(|dead| dead.job == found.job);
        if found.is_none_or(|found| found.job != task.job && !is_told_late(found)) {
            faults.add(name, format!("{task:?} is {found:?}"));
        }
    }
}

fn nothing_illegal_happened(run: &Run, faults: &mut Faults) {
    for (at, happening) in &run.happenings {
        if happening.text.contains("cannot happen to an occurrence") {
            faults.add("nothing illegal happens", format!("{at} {:?} {}", happening.key, happening.text));
        }
    }
}

/// A show stays cut because its job left only where the job was not back while it could still go on.
fn what_was_cut_goes_on_when_its_job_is_back(run: &Run, faults: &mut Faults) {
    if run.plan.has_steps() {
        return;
    }
    for row in run.rows.iter().filter(|row| reason(row) == "removed" && outcome(row) == "cut") {
        let Some((cut, closes)) = row.ended_at.zip(row.closes()) else { continue };
        let back = run.generations.iter().enumerate().find(|(index, span)| {
            let is_back = cut < span.from && plans(span, row.key.job.as_str(), row.key.start);
            let stays = until(run, *index).duration_since(span.from) > seconds(30) && span.from + seconds(60) < closes;
            // Another show of the job is newer, or still on air.
            let newer = run.rows.iter().filter(|other| other.key.job == row.key.job && other.key != row.key).any(|other| {
                let is_newer = row.key.start < other.key.start && other.key.start <= span.from + seconds(10);
                is_newer || (other.key.start < row.key.start && other.ended_at.is_none_or(|ended| span.from < ended))
            });
            is_back && stays && !newer && !run.is_impaired(span.from - seconds(10), span.from + seconds(30))
        });
        if let Some((_, span)) = back {
            faults.add("what was cut goes on when its job is back", format!("back at {}: {}", span.from, line(row)));
        }
    }
}
