//! What came out of a step of the engine, a line each. Does not know what went in.

use ingestd::engine::{Blocker, Call, Level, Notice, OrderReply, Receipt, Reply, Step, Write};
use ingestd::occurrence::{Key, Occurrence, State, Task, TaskPhase};
use ingestd::plan::holds::Hold;
use ingestd::schedule::JobId;
use jiff::Timestamp;

/// What came out of a step. Times are those of the day; rows of calls and tasks are written as their numbers.
pub(crate) fn told(step: &Step) -> Vec<String> {
    let writes = step.writes.list().iter().map(write);
    let calls = step.calls.iter().map(call);
    let notices = step.notices.iter().map(notice);
    let words = |reply: &Reply| match reply {
        Ok(lines) => format!("reply: {}", lines.join(" / ")),
        Err(why) => format!("refused: {why}"),
    };
    let replies = step.replies.iter().map(|reply| match reply {
        OrderReply::Now(reply) => words(reply),
        OrderReply::Later(number) => format!("reply {number} comes later"),
    });
    let late = step.late_replies.iter().map(|(number, reply)| format!("{number}: {}", words(reply)));
    let receipts =
        step.receipts.iter().filter(|receipt| **receipt != Receipt::Taken).map(|receipt| format!("callback: {receipt:?}"));
    writes.chain(calls).chain(notices).chain(replies).chain(late).chain(receipts).collect()
}

fn time(at: Timestamp) -> String {
    let text = at.strftime("%H:%M:%S%.f").to_string();
    text.strip_suffix(":00").map_or(text.clone(), str::to_owned)
}

fn name(key: &Key) -> String {
    format!("{} {}", key.job, time(key.start))
}

fn row(occurrence: &Occurrence) -> String {
    let state = match &occurrence.state {
        State::Waiting { why, .. } => format!("waiting ({})", why.name()),
        State::Stopping { outcome } => format!("stopping ({}, {})", outcome.name(), outcome.reason()),
        State::Done { outcome } => format!("{} ({})", outcome.name(), outcome.reason()),
        state => state.name().to_owned(),
    };
    let doubt = if occurrence.in_doubt { ", in doubt" } else { "" };
    let wanted = if occurrence.wanted.is_some() { ", its stop is wanted" } else { "" };
    let unseen = occurrence.evidence_note().map(|note| format!(", {note}")).unwrap_or_default();
    format!("{} {state}{doubt}{wanted}{unseen}", name(&occurrence.key))
}

fn write(write: &Write) -> String {
    match write {
        Write::Record(occurrence) => format!("record {}", row(occurrence)),
        Write::Summarise(occurrence) => format!("summary of {}: {}", occurrence.count, row(occurrence)),
        Write::Update(occurrence) => format!("update {}", row(occurrence)),
        Write::Reopen(occurrence) => format!("reopen {}", row(occurrence)),
        Write::Remove(key) => format!("remove {}", name(key)),
        Write::Alert(write) => format!("alert: {write:?}"),
        Write::Attempt { key, call, attempt } => format!("permit call {call}: attempt {attempt} of {}", name(key)),
        Write::Rearm { key, .. } => format!("permit again: {}", name(key)),
        Write::Answered { call, .. } => format!("call {call} answered"),
        Write::Unsent { call } => format!("call {call} unsent"),
        Write::Called { call, task, action, .. } => format!("call {call}: {} of task {}", action.name(), task.row),
        Write::AddTask(task) => format!("task {}: {} of {}", task.row, task.task_id, name(&task.key)),
        Write::UpdateTask(task) => format!("task {}: {}{}", task.row, phase(task.phase), trouble(task)),
        Write::AddOrphan(orphan) => format!("orphan {}", orphan.task_id),
        Write::UpdateOrphan(orphan) if orphan.stop_wanted.is_some() => format!("orphan {}: its stop is wanted", orphan.task_id),
        Write::UpdateOrphan(orphan) => {
            format!("orphan {}: of {}", orphan.task_id, orphan.of.iter().map(name).collect::<Vec<_>>().join(" or "))
        }
        Write::OrphanGone { task_id, .. } => format!("orphan {task_id} gone"),
        Write::AddCallback(callback) => format!("callback of {}: {}", callback.task_id, callback.news.name()),
        Write::CallbacksPlaced { task_id } => format!("callbacks of {task_id} placed"),
        Write::AddDoubt(doubt) if doubt.was_found => {
            format!("doubt of {} at {}: its task runs", name(&doubt.key), time(doubt.sent_at))
        }
        Write::AddDoubt(doubt) => format!("doubt of {} at {}", name(&doubt.key), time(doubt.sent_at)),
        Write::DoubtSettled { key, sent_at } => format!("doubt of {} at {} settled", name(key), time(*sent_at)),
        Write::DeleteMissedSince { from } => format!("delete what is missed since {}", time(*from)),
        Write::Cursor { at } => format!("cursor {}", time(*at)),
        Write::CursorGeneration(number) => format!("cursor generation {number}"),
        Write::Generation { number, .. } => format!("generation {number}"),
        Write::RecordJobSeen { job, .. } => format!("job {job} seen"),
        Write::RecordJobLeft { job, .. } => format!("job {job} left"),
        Write::Hold(hold) => format!("hold {}", held(hold)),
        Write::HoldOver(hold) => format!("hold over: {}", held(hold)),
        Write::RecordAction { who, what, .. } => format!("action: {what} by {who}"),
    }
}

fn held(hold: &Hold) -> String {
    match hold {
        Hold::Pause(pause) => {
            let job = pause.job.as_ref().map_or("all", JobId::as_str);
            let until = pause.until.map_or("..".to_owned(), time);
            format!("pause of {job} {} to {until}", time(pause.since))
        }
        Hold::Skip(skip) => format!("skip of {} {}", skip.job, time(skip.start)),
    }
}

fn phase(phase: TaskPhase) -> &'static str {
    match phase {
        TaskPhase::Watched { missing_since: None } => "watched",
        TaskPhase::Watched { .. } => "missing",
        TaskPhase::StopWanted { .. } => "its stop is wanted",
        TaskPhase::Verifying { .. } => "stopped, to be verified",
        TaskPhase::Gone { verified: true, .. } => "gone",
        TaskPhase::Gone { .. } => "gone, unverified",
    }
}

/// What is wrong with a task and with its requests.
fn trouble(task: &Task) -> String {
    let faults = [&task.stop_fault, &task.describe_fault].into_iter().flatten();
    let faults = faults.map(|fault| format!(", {} times {} ({})", fault.in_a_row, fault.kind(), fault.step.action().word()));
    let states = [(task.is_unseen, ", unseen"), (task.unpulled_at.is_some(), ", unpulled"), (task.outlives_stop(), ", runs on")];
    let states = states.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word.to_owned());
    faults.chain(states).collect()
}

fn call(call: &Call) -> String {
    match call {
        Call::Task { row, step, .. } => format!("send {} of task {row}", step.action().name()),
        Call::Orphan { step, task_id, .. } => format!("send {} of orphan {task_id}", step.action().name()),
        Call::Block { call, blocker: Blocker::Nothing } => format!("call {call} waits no longer"),
        Call::Block { call, blocker } => format!("call {call} waits for {blocker:?}"),
        Call::TakenBack { call } => format!("call {call} is taken back"),
        Call::Warm { connections } => format!("open {connections} connections"),
        Call::SetClockOffset { offset_ms } => format!("sign {offset_ms} ms ahead"),
        Call::RereadSecrets => "read the secrets again".to_owned(),
    }
}

pub(crate) fn notice(notice: &Notice) -> String {
    let who = notice.key.as_ref().map(|key| format!("{}: ", key.job)).unwrap_or_default();
    let level = match notice.level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    format!("{level}: {who}{}", notice.text)
}
