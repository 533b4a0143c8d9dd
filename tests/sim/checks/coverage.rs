//! What is to be on air is on air: where requests are answered, a show that repeats is in its room from its start to its end, except
//! for the time that healing, yielding and taking over need.

use ingestd::occurrence::{End, Occurrence};
use ingestd::trtc::Repeat;
use jiff::{SignedDuration, Timestamp};

use super::air::found_at;
use super::{Faults, line, outcome, reason, seconds};
use crate::cloud::SimTask;
use crate::run::Run;

type Span = (Timestamp, Timestamp);

pub(super) fn check(run: &Run, faults: &mut Faults) {
    if !run.plan.is_fault_free() || run.plan.has_steps() || run.plan.has_reloads() || run.plan.has_orders() || run.plan.rate < 10 {
        return;
    }
    let tasks = run.api.state().cloud.tasks.clone();
    for row in &run.rows {
        covered(run, row, &tasks, faults);
    }
}

/// The parts of a span that others leave.
fn without(span: Span, mut others: Vec<Span>) -> Vec<Span> {
    others.sort_unstable();
    let mut left = Vec::new();
    let mut from = span.0;
    for (begin, end) in others {
        if end <= from {
            continue;
        }
        if begin > from {
            left.push((from, begin.min(span.1)));
        }
        from = from.max(end);
        if from >= span.1 {
            break;
        }
    }
    if from < span.1 {
        left.push((from, span.1));
    }
    left.retain(|(from, to)| from < to);
    left
}

fn covered(run: &Run, row: &Occurrence, tasks: &[SimTask], faults: &mut Faults) {
    // A show without an end is to be on air until nothing is planned any more, its renewals included.
    let has_no_end = row.end == End::Never && outcome(row) == "cut";
    let Some(end) = row.end.at().or(row.ended_at.filter(|_| has_no_end).map(|ended| ended.min(run.settled))) else { return };
    let is_endless = row.playout.live || row.playout.repeat == Repeat::Forever;
    let is_over = outcome(row) == "ended" || reason(row) == "lost" || has_no_end;
    // What the vendor refuses is tried once a minute.
    if super::fallback::last_was_refused(run, row) {
        return;
    }
    // With `heal: false` a loss is for good, and with few attempts it may be.
    // And what is there without a TaskId cannot be watched.
    if !is_endless
        || !is_over
        || row.task_id.is_none()
        || !row.policy.heal
        || row.policy.retry.attempts > 0
        || row.policy.start_within.is_some()
    {
        return;
    }
    let mine: Vec<&SimTask> =
        tasks.iter().filter(|task| run.row_of_send(task.send).is_some_and(|other| other.key == row.key)).collect();
    // From then on it is tried once a minute only.
    if mine.iter().filter(|task| task.vanishes).count() > 4 {
        return;
    }
    let start = row.key.start.max(run.generations[0].from);
    let stretch = seconds(31).min(end.duration_since(row.key.start) / 4 + seconds(1));
    let mut on_air: Vec<Span> = mine.iter().map(|task| (task.started_at, task.end())).collect();
    // A loss is seen within a period of describing, twice, and healed at once.
    let lost =
        mine.iter().filter(|task| task.vanishes && task.stopped_at.is_none()).map(|task| (task.end(), task.end() + seconds(46)));
    on_air.extend(lost);
    // A task whose TaskId was never told cannot be watched: that it vanished shows only when the show is started next.
    let is_unknown = |task: &&&SimTask| !run.tasks.iter().any(|known| known.task_id == task.id);
    on_air.extend(mine.iter().filter(is_unknown).filter(|task| !task.vanishes).filter_map(|task| {
        let later = found_at(run, row, task.end())?.duration_since(task.started_at);
        Some((task.end(), task.end() + later.max(SignedDuration::ZERO)))
    }));
    on_air.extend(mine.iter().filter(is_unknown).filter(|task| task.vanishes).map(|task| {
        let later = mine.iter().map(|other| other.started_at).filter(|started| *started > task.started_at);
        (task.end(), later.min().unwrap_or(end))
    }));
    // Another has the room from its start to its end, and a moment more. A doubt of another is over when that says so; a task that
    // vanishes at once is believed to be gone ten seconds after its start, seen twice.
    for other in run.others_in_room(row) {
        let over = other.ended_at.unwrap_or(other.key.start).max(other.key.start);
        on_air.push((other.key.start - seconds(1), over + seconds(13)));
    }
    // One whose TaskId was never told cannot be stopped: while it plays as this robot, a start is tried once a minute.
    let unnamed = |task: &&SimTask| {
        task.robot == row.playout.robot
            && !mine.iter().any(|own| own.id == task.id)
            && !run.tasks.iter().any(|known| known.task_id == task.id)
    };
    on_air.extend(tasks.iter().filter(unnamed).map(|task| (task.started_at, task.end() + seconds(61))));
    for (_, from, to) in &run.impairments {
        on_air.push((*from - seconds(1), *to + seconds(25)));
    }
    let gaps = without((start + seconds(4), end - stretch), on_air);
    let longest = gaps.iter().max_by_key(|(from, to)| to.duration_since(*from));
    if let Some((from, to)) = longest
        && to.duration_since(*from) > SignedDuration::from_secs(2)
    {
        faults.add("what is to be on air is on air", format!("nothing from {from} to {to}: {}", line(row)));
    }
}
