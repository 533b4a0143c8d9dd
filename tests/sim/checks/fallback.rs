//! Fallbacks: one is asked for only when the stream cannot be had, soon after the vendor said so; a show is back on its stream soon after a
//! look that finds it; and the row says what played when.

use ingestd::occurrence::{Occurrence, Played};
use ingestd::trtc::Action;
use ingestd::trtc::callback::TaskNews;
use jiff::Timestamp;

use super::{Faults, line, seconds};
use crate::endpoint::{AnswerKind, Send};
use crate::media::FALLBACK;
use crate::run::Run;

pub(super) fn check(run: &Run, faults: &mut Faults) {
    if run.plan.troubles.dead.is_empty() {
        return;
    }
    a_fallback_has_a_reason(run, faults);
    a_fallback_is_soon_on_its_way(run, faults);
    a_show_is_back_soon(run, faults);
    rows_say_what_played(run, faults);
}

fn is_fallback(send: &Send) -> bool {
    send.media.contains(FALLBACK)
}

/// The starts of a show, in their order.
fn starts<'a>(sends: &'a [Send], row: &'a Occurrence) -> impl Iterator<Item = &'a Send> {
    // Where two shows of a job may have sent it, nobody can say which did.
    let is_its = |send: &&Send| matches!(send.claims.as_slice(), [claim] if claim.start == row.key.start);
    sends.iter().filter(move |send| send.action == Action::Start && send.subject == row.key.job.as_str()).filter(is_its)
}

fn was_refused(run: &Run, row: &Occurrence, of_fallback: bool) -> bool {
    let state = run.api.state();
    starts(&state.sends, row).any(|send| send.code == "InvalidParameter.StreamUrl" && is_fallback(send) == of_fallback)
}

/// Whether the vendor refused what a show plays when nothing else is left: its fallback, or its stream if it has none.
pub(super) fn last_was_refused(run: &Run, row: &Occurrence) -> bool {
    was_refused(run, row, row.playout.scheduled().fallback.is_some())
}

/// Whether the vendor refused the stream of a show, and its fallback if it has one.
pub(super) fn both_were_refused(run: &Run, row: &Occurrence) -> bool {
    was_refused(run, row, false) && last_was_refused(run, row)
}

/// A look did not find its stream, the vendor refused that, or said that it cannot pull it: lately, or since it was asked for.
fn a_fallback_has_a_reason(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for row in &run.rows {
        let (mut asked, mut goes_on) = (Timestamp::MIN, false);
        for send in starts(&state.sends, row) {
            // It keeps its reason while it plays.
            if !is_fallback(send) || std::mem::replace(&mut goes_on, true) {
                (asked, goes_on) = if is_fallback(send) { (asked, true) } else { (send.at, false) };
                continue;
            }
            let is_before = |at: Timestamp| at <= send.at;
            let stream = row.playout.scheduled().stream.reveal();
            let is_missed = state.looks.iter().any(|look| {
                !look.is_there
                    && !look.url.contains(FALLBACK)
                    && same_job(&look.url, stream)
                    && is_before(look.at)
                    // What stands still between the two is told of no other look.
                    && (send.at.duration_since(look.at) <= seconds(200) || run.is_impaired(look.at, send.at))
            });
            let was_refused =
                |other: &Send| !is_fallback(other) && is_before(other.at) && other.code == "InvalidParameter.StreamUrl";
            let is_refused = starts(&state.sends, row).any(was_refused);
            let is_unpulled = state.callbacks_received.iter().any(|callback| {
                callback.job == row.key.job.as_str() && callback.news == TaskNews::StartFailed && is_before(callback.at)
            });
            let was_asked = asked > Timestamp::MIN;
            if !is_missed && !(was_asked && (is_refused || is_unpulled)) {
                faults.add("a fallback has a reason", format!("{send:?}: {}", line(row)));
            }
        }
    }
}

fn same_job(one: &str, other: &str) -> bool {
    crate::cloud::job_of(one) == crate::cloud::job_of(other)
}

/// Whether nothing but media went wrong between two times.
fn is_calm(run: &Run, from: Timestamp, to: Timestamp) -> bool {
    let is_quiet = run.plan.is_fault_free() && !run.plan.has_steps() && !run.plan.has_reloads() && !run.plan.has_orders();
    let rates = run.plan.fault_rates.vanish == 0 && run.plan.troubles.never_plays == 0;
    is_quiet && rates && !run.is_impaired(from, to)
}

/// Whether a show is alone in its room, and its window is open for another minute and a half.
fn may_change(run: &Run, row: &Occurrence, at: Timestamp) -> bool {
    let is_alone = run.others_in_room(row).next().is_none();
    is_alone && row.end.at().is_none_or(|end| at + seconds(90) < end) && row.ended_at.is_none_or(|ended| at + seconds(30) < ended)
}

fn a_fallback_is_soon_on_its_way(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for callback in state.callbacks_received.iter().filter(|callback| callback.news == TaskNews::StartFailed) {
        let Some(task) = state.cloud.tasks.iter().find(|task| task.id == callback.task_id) else { continue };
        let Some(known) = run.tasks.iter().find(|known| known.task_id == task.id) else { continue };
        let Some(row) = run.row(&known.job, known.start) else { continue };
        let has_fallback = row.playout.scheduled().fallback.is_some();
        // It may be news of something that was over when it came, or of a task that was not known yet.
        let was_answered = matches!(&state.sends[task.send].answered, Some((at, AnswerKind::Started(_))) if *at < callback.at);
        let is_first = !state.callbacks_received.iter().any(|other| other.task_id == task.id && other.news == TaskNews::Started);
        let (at, by) = (callback.at, callback.at + seconds(5));
        let is_on_air = task.is_live(at) && !is_fallback(&state.sends[task.send]) && was_answered && is_first;
        if !has_fallback || !is_on_air || !is_calm(run, task.started_at, by) || !may_change(run, row, at) {
            continue;
        }
        let is_asked = starts(&state.sends, row).any(|send| is_fallback(send) && at - seconds(1) <= send.at && send.at <= by);
        let busy = state.sends.iter().filter(|send| at - seconds(1) <= send.at && send.at <= by).count() >= run.plan.rate as usize;
        if !is_asked && !busy {
            faults.add("a fallback is soon on its way", format!("{callback:?}: {}", line(row)));
        }
    }
}

/// Of the first return of a show: later ones wait longer.
fn a_show_is_back_soon(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for row in &run.rows {
        let mut sends = starts(&state.sends, row);
        let Some(first) = sends.find(|send| is_fallback(send)) else { continue };
        let Some((on_air, AnswerKind::Started(_))) = &first.answered else { continue };
        let url = row.playout.scheduled().stream.reveal();
        let Some(look) = state.looks.iter().find(|look| look.url == url && look.is_there && *on_air + seconds(1) < look.at) else {
            continue;
        };
        // With an open end the fallback plays ten minutes, and media that would be over by now is not gone back to.
        let ends = row.end.at().is_some() && matches!(row.end, ingestd::occurrence::End::Planned(_));
        let is_loop = row.playout.scheduled().live || row.playout.scheduled().repeat == ingestd::trtc::Repeat::Forever;
        let by = look.at + seconds(20);
        if !ends || !is_loop || !is_calm(run, first.at, by) || !may_change(run, row, look.at) {
            continue;
        }
        if !sends.any(|send| !is_fallback(send) && send.at <= by) {
            faults.add("a show is back soon", format!("{look:?}, on its fallback since {on_air}: {}", line(row)));
        }
    }
}

fn rows_say_what_played(run: &Run, faults: &mut Faults) {
    let name = "a row says what played when";
    let state = run.api.state();
    for row in &run.rows {
        let spans = &row.fallback.played;
        let is_ordered = |pair: &[Played]| pair[0].to.is_some_and(|to| pair[0].from <= to && to <= pair[1].from);
        if !run.plan.has_steps() && !spans.windows(2).all(is_ordered) {
            faults.add(name, format!("out of order: {spans:?}: {}", line(row)));
        }
        if row.is_done() && spans.iter().any(|span| span.to.is_none()) {
            faults.add(name, format!("it is over, and plays: {spans:?}: {}", line(row)));
        }
        let played = |send: &Send| is_fallback(send) && matches!(&send.answered, Some((_, AnswerKind::Started(_))));
        let was_played = starts(&state.sends, row).any(played);
        let may_be_its = |send: &&Send| send.claims.iter().any(|claim| claim.start == row.key.start);
        let of_job = state.sends.iter().filter(|send| send.subject == row.key.job.as_str());
        let was_asked = of_job.filter(may_be_its).any(is_fallback);
        let says = spans.iter().any(|span| span.url.reveal().contains(FALLBACK));
        // What was answered to a daemon that died before it was written is not known.
        let is_known = !run.is_impaired(row.key.start, row.ended_at.unwrap_or(run.over)) && !row.was_in_doubt;
        if (was_played && !says && is_known) || (says && !was_asked) {
            faults.add(name, format!("{was_played} {was_asked}: {spans:?}: {}", line(row)));
        }
    }
}
