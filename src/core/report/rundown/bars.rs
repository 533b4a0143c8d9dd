//! The bars of one occurrence: what it was by the ledger, and what it will be by the plan. Pauses of one that yields, and the cut by one
//! that preempts, are drawn as they will be. It does not know where a bar stands on a screen.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::{Bar, Language, Look, RowInRange, Shown};
use crate::occurrence::{Kind, LATE_AFTER, Occurrence, Outcome, State, WaitReason};
use crate::plan::End;
use crate::plan::interruptions::{Interrupted, Pause};
use crate::report::history::fallback_words;
use crate::report::plan::{content_note, cut_note, end, held_note};
use crate::schedule::Conflict;

/// A start that left so late is told to be late.
const LATE_TOLD: SignedDuration = SignedDuration::from_secs(1);
/// What has no end, and did not begin, is as long as this.
const UNKNOWN: SignedDuration = SignedDuration::from_mins(1);
/// Between two tasks of one that yields, a shorter time is no pause.
const PAUSE_MIN: SignedDuration = SignedDuration::from_secs(5);

/// The bars of a row of the ledger. `listed`: what the schedule in force has of it.
pub(super) fn of_row(row: &RowInRange, listed: Option<&Interrupted>, shown: &Shown<'_>) -> Vec<Bar> {
    let occurrence = &row.occurrence;
    let look = look(occurrence);
    let late = occurrence.first_sent_at.map(|sent| sent.duration_since(occurrence.key.start)).filter(|late| *late > LATE_AFTER);
    // What was joined in progress begins where it was put on air.
    let from = late.and(occurrence.on_air_at).unwrap_or(occurrence.key.start);
    let (to, is_open, is_cut) = ends(occurrence, listed, shown);
    let yields = occurrence.policy.conflict == Conflict::Yield;
    let restarts = row.tasks.iter().skip(1).map(|(started, _)| *started);
    let whole = Bar {
        job: occurrence.key.job.to_string(),
        start: occurrence.key.start,
        look,
        from,
        to: to.max(from),
        is_open,
        is_cut,
        is_late: late.is_some(),
        healed: if yields { Vec::new() } else { restarts.collect() },
        text: text_of_row(occurrence, listed, shown),
        count: usize::try_from(occurrence.count).unwrap_or(usize::MAX),
        is_mixed: false,
        lane: 0,
    };
    if yields { parts(row, listed, whole, shown) } else { vec![whole] }
}

/// How a row looks.
fn look(row: &Occurrence) -> Look {
    match &row.state {
        State::Armed => Look::Armed,
        State::Calling => Look::Trying,
        State::Waiting { .. } => Look::Waiting,
        State::OnAir if row.plays_fallback() => Look::Fallback,
        State::OnAir => Look::OnAir,
        State::Stopping { .. } => Look::Stopping,
        State::Done { outcome } => match outcome {
            Outcome::EndedPlanned | Outcome::EndedMedia | Outcome::EndedUnverified => Look::Ended,
            Outcome::CutOperator | Outcome::CutPreempted | Outcome::CutRemoved | Outcome::CutEdited => Look::Cut,
            Outcome::Failed(_) => Look::Failed,
            Outcome::Missed(_) => Look::Missed,
            Outcome::Skipped(_) => Look::Skipped,
        },
    }
}

/// Where a row ends, whether that is open, and whether another cuts it there.
fn ends(row: &Occurrence, listed: Option<&Interrupted>, shown: &Shown<'_>) -> (Timestamp, bool, bool) {
    let never = (shown.range.end.max(shown.now), true, false);
    let window = row.end.at();
    match &row.state {
        State::Done { outcome } => {
            let was_on_air = matches!(look(row), Look::Ended | Look::Cut);
            let unknown =
                || row.ended_at.unwrap_or(row.key.start).max(row.key.start.saturating_add(UNKNOWN).unwrap_or(row.key.start));
            let to = if was_on_air { row.ended_at.or(window) } else { window };
            let is_cut = matches!(outcome, Outcome::CutOperator | Outcome::CutPreempted | Outcome::CutRemoved | Outcome::CutEdited);
            (to.unwrap_or_else(unknown), false, is_cut)
        }
        // It goes on until somebody sees it gone.
        _ => match (listed.and_then(|listed| listed.cut.as_ref()), window) {
            (Some(cut), _) => (cut.at.max(shown.now), false, true),
            (None, Some(end)) => (end.max(shown.now), false, false),
            (None, None) => never,
        },
    }
}

/// The parts of one that yields: its tasks, what it is now, and what it will be.
fn parts(row: &RowInRange, listed: Option<&Interrupted>, whole: Bar, shown: &Shown<'_>) -> Vec<Bar> {
    let mut past: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
    for (started, gone) in &row.tasks {
        match past.last_mut() {
            Some((_, Some(end))) if started.duration_since(*end) < PAUSE_MIN => past.last_mut().expect("there is one").1 = *gone,
            _ => past.push((*started, *gone)),
        }
    }
    let is_done = row.occurrence.is_done();
    let pauses = listed.and_then(|listed| listed.pauses.as_deref()).unwrap_or_default();
    let rest = without(whole.from..whole.to, pauses);
    if past.is_empty() {
        if is_done || pauses.is_empty() {
            return vec![whole];
        }
    } else if is_done {
        let last = past.len() - 1;
        let of_task = |(number, (from, to)): (usize, (Timestamp, Option<Timestamp>))| Bar {
            from,
            to: if number == last { whole.to.max(from) } else { to.unwrap_or(whole.to) },
            is_cut: number == last && whole.is_cut,
            ..whole.clone()
        };
        return past.into_iter().enumerate().map(of_task).collect();
    }
    let mut bars = Vec::new();
    // What is over, by its tasks.
    for (from, to) in &past {
        if let Some(to) = to {
            let text = shown.language.pick("yielded", "已让出").to_owned();
            bars.push(Bar { from: *from, to: *to, look: Look::Ended, is_open: false, is_cut: false, text, ..whole.clone() });
        }
    }
    let begun = past.last().filter(|(_, to)| to.is_none()).map_or(whole.from, |(from, _)| *from);
    for part in rest.iter().filter(|part| part.end > shown.now) {
        let is_now = part.start <= shown.now;
        let is_last = part.end == whole.to;
        let from = if is_now && past.is_empty() {
            part.start
        } else if is_now {
            begun
        } else {
            part.start
        };
        let look = if is_now { whole.look } else { Look::Returns };
        let back = || format!("{} {}", shown.language.look(Look::Returns), shown.clock(part.start));
        bars.push(Bar {
            from,
            to: part.end,
            look,
            is_open: is_last && whole.is_open,
            is_cut: is_last && whole.is_cut,
            is_late: is_now && whole.is_late,
            text: if is_now { whole.text.clone() } else { back() },
            ..whole.clone()
        });
    }
    bars
}

/// A stretch of time without the pauses in it.
fn without(whole: Range<Timestamp>, pauses: &[Pause]) -> Vec<Range<Timestamp>> {
    let mut parts = Vec::new();
    let mut from = whole.start;
    for pause in pauses {
        if pause.start > from {
            parts.push(from..pause.start.min(whole.end));
        }
        // Nobody knows when a pause without an end is over.
        from = from.max(pause.end.unwrap_or(whole.end));
    }
    if from < whole.end {
        parts.push(from..whole.end);
    }
    parts.retain(|part| part.start < part.end);
    parts
}

/// The bars of what is to come.
pub(super) fn of_plan(listed: &Interrupted, shown: &Shown<'_>) -> Vec<Bar> {
    let occurrence = &listed.occurrence;
    let start = occurrence.start.at;
    let held = listed.held.is_some();
    let (to, is_open, is_cut) = match (&listed.cut, occurrence.end) {
        (Some(cut), _) => (cut.at, false, true),
        (None, End::Planned(at) | End::Media(at)) => (at, false, false),
        (None, End::Open) if held => (start.saturating_add(UNKNOWN).unwrap_or(start), true, false),
        (None, End::Open | End::Never) => (shown.range.end.max(start), true, false),
    };
    let whole = Bar {
        job: occurrence.job.id.to_string(),
        start,
        look: if held { Look::Skipped } else { Look::Planned },
        from: start,
        to,
        is_open,
        is_cut,
        is_late: false,
        healed: Vec::new(),
        text: text_of_plan(listed, shown),
        count: 1,
        is_mixed: false,
        lane: 0,
    };
    let pauses = listed.pauses.as_deref().unwrap_or_default();
    if pauses.is_empty() || held {
        return vec![whole];
    }
    let parts = without(start..to, pauses);
    let part = |part: Range<Timestamp>| {
        let is_first = part.start == start;
        let is_last = part.end == to;
        Bar {
            look: if is_first { Look::Planned } else { Look::Returns },
            text: if is_first {
                whole.text.clone()
            } else {
                format!("{} {}", shown.language.look(Look::Returns), shown.clock(part.start))
            },
            is_open: is_open && is_last,
            is_cut: is_cut && is_last,
            from: part.start,
            to: part.end,
            ..whole.clone()
        }
    };
    parts.into_iter().map(part).collect()
}

fn text_of_plan(listed: &Interrupted, shown: &Shown<'_>) -> String {
    let language = shown.language;
    if let Some(held) = &listed.held {
        let by = language.by(&held.source.who, held.source.note.as_deref());
        return match language {
            Language::English => held_note(listed, shown.zone).unwrap_or(by),
            Language::Chinese => format!("{} · {by}", language.look(Look::Skipped)),
        };
    }
    let occurrence = &listed.occurrence;
    let start = occurrence.start.at;
    let until = match occurrence.end {
        End::Open => language.pick("open", "未定").to_owned(),
        End::Never => language.pick("no end", "无结束").to_owned(),
        End::Planned(_) | End::Media(_) => end(occurrence, shown.zone),
    };
    let mut parts = vec![format!("{}–{until}", shown.clock(start))];
    parts.extend(interruption(listed, shown));
    parts.extend(occurrence.job.after.as_ref().map(|after| format!("{} {after}", language.pick("after", "接在其后："))));
    parts.join(" · ")
}

/// What interrupts it from now on: the cut, or the next pause; and whether its media is over before.
fn interruption(listed: &Interrupted, shown: &Shown<'_>) -> Option<String> {
    let language = shown.language;
    if let Some(cut) = &listed.cut {
        return match language {
            Language::English => cut_note(listed, shown.zone),
            Language::Chinese => Some(format!("{} 被 {} 切断", shown.clock(cut.at), cut.job)),
        };
    }
    let next = listed.pauses.iter().flatten().find(|pause| pause.end.is_none_or(|end| end > shown.now));
    if let Some(pause) = next {
        let at = shown.clock(pause.start);
        return Some(match language {
            Language::English => format!("yields at {at} to {}", pause.job),
            Language::Chinese => format!("{at} 让给 {}", pause.job),
        });
    }
    match (language, listed.content_end()) {
        (_, None) => None,
        (Language::English, Some(_)) => content_note(listed, shown.zone),
        (Language::Chinese, Some(at)) => Some(format!("媒体 {} 播完", shown.clock(at))),
    }
}

/// What is said of a row beside its job.
pub(super) fn text_of_row(row: &Occurrence, listed: Option<&Interrupted>, shown: &Shown<'_>) -> String {
    let language = shown.language;
    let mut parts = vec![language.look(look(row)).to_owned()];
    let late = row.first_sent_at.map(|sent| sent.duration_since(row.key.start));
    match &row.state {
        State::Armed => parts.push(shown.second(row.key.start)),
        State::Calling => parts.push(language.attempts(row.attempts)),
        State::Waiting { until, why } => {
            parts.push(match why {
                WaitReason::Retry => format!("{} {}", language.pick("tries again", "重试"), shown.second(*until)),
                WaitReason::Restart => format!("{} {}", language.pick("restarts", "重新播出"), shown.second(*until)),
                WaitReason::Yield => language.pick("another has the room", "房间由另一节目占用").to_owned(),
            });
            parts.extend((row.attempts > 1).then(|| language.attempts(row.attempts)));
        }
        State::OnAir | State::Stopping { .. } => {
            // Milliseconds are no news beside a show: the plot has them.
            parts.extend(late.filter(|late| *late >= LATE_TOLD).map(|late| language.late(late)));
            parts.extend(healed(row, language));
            parts.extend(played_fallback(row, language));
            parts.extend(listed.and_then(|listed| interruption(listed, shown)).or_else(|| Some(until(row, shown))));
        }
        State::Done { outcome } => {
            let is_plain = matches!(outcome, Outcome::EndedPlanned | Outcome::EndedMedia);
            parts.extend(row.ended_at.filter(|_| row.on_air_at.is_some()).map(|at| shown.clock(at)));
            parts.extend((!is_plain).then(|| language.reason(outcome)));
            parts.extend(language.order(row));
            parts.extend(late.filter(|late| *late > LATE_AFTER).map(|late| language.late(late)));
            parts.extend(healed(row, language));
            parts.extend(played_fallback(row, language));
            parts.extend((row.kind == Kind::Summary).then(|| format!("×{}", row.count)));
        }
    }
    parts.join(" · ")
}

/// How often it was put on air again. One that yields comes back after each pause, which is no healing.
fn healed(row: &Occurrence, language: Language) -> Option<String> {
    let heals = row.restarts > 0 && row.policy.conflict != Conflict::Yield;
    heals.then(|| language.healed(row.restarts))
}

/// That it played its fallback for a time, and does not now: what plays now is a look of its own.
fn played_fallback(row: &Occurrence, language: Language) -> Option<String> {
    let words = fallback_words(row).filter(|_| !row.plays_fallback())?;
    Some(language.pick(&words, "曾播备用流").to_owned())
}

/// When a row on air ends, in words.
fn until(row: &Occurrence, shown: &Shown<'_>) -> String {
    let language = shown.language;
    match row.end {
        End::Planned(at) | End::Media(at) => match language {
            Language::English => format!("to {}", shown.clock(at)),
            Language::Chinese => format!("至 {}", shown.clock(at)),
        },
        End::Open => language.pick("until its media ends", "到媒体播完").to_owned(),
        End::Never => language.pick("no end", "无结束").to_owned(),
    }
}
