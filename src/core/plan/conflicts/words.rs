//! Clashes in words: what is wrong, and how to fix it. Does not decide how serious it is.

use std::sync::Arc;

use jiff::Timestamp;

use super::clash::{Clash, robot};
use super::sweep::WINDOWS_MAX;
use crate::diagnostic::{Diagnostic, Severity, quote};
use crate::plan::precedence::ConflictKind;
use crate::plan::{End, Planned};
use crate::schedule::values::format_duration;
use crate::schedule::{EndRule, Job};

/// The code of every problem here.
const CODE: &str = "conflict";

/// A clash as a problem: it stands at the job whose window begins later.
pub(super) fn diagnostic(clash: &Clash, is_warning: bool) -> Diagnostic {
    let (earlier, later) = (&clash.earlier.job, &clash.later.job);
    let severity = if is_warning { Severity::Warning } else { Severity::Error };
    let change = if clash.by_clock_change { "; only a clock change moves them onto each other" } else { "" };
    let problem = Diagnostic { severity, ..Diagnostic::error(CODE, format!("{}{change}", message(clash))) };
    let problem = problem.at(later.place.clone()).job(later.id.as_str()).hint(hint(clash));
    if Arc::ptr_eq(earlier, later) { problem } else { problem.related(earlier.place.clone(), "the other job") }
}

/// The problem that there are more clashes than are reported.
pub(super) fn more(most: usize) -> Diagnostic {
    Diagnostic::error(CODE, format!("more than {most} pairs of jobs conflict, and the others were not looked for"))
        .hint("perhaps one default puts all of these jobs into one room")
}

/// A sentence that says how far ahead the check looked, where that is not far enough.
pub(super) fn shortfall(job: &Job, at: Timestamp) -> String {
    format!(
        "conflicts in the room {} are looked for until {} only: `{}` has {WINDOWS_MAX} windows by then",
        room(job),
        local(job, at),
        job.id
    )
}

fn message(clash: &Clash) -> String {
    let (earlier, later) = (&clash.earlier, &clash.later);
    let (first, second) = (&earlier.job.id, &later.job.id);
    let room = room(&later.job);
    let is_one_job = Arc::ptr_eq(&earlier.job, &later.job);
    let at = local(&later.job, later.start.at);
    if earlier.job.room != later.job.room {
        return in_two_rooms(clash);
    }
    if earlier.start.at == later.start.at {
        let meet = format!("`{first}` and `{second}` begin in the room {room} at the same instant, {at}");
        return match (clash.kind, clash.overlap()) {
            (ConflictKind::TwoYielders, _) => format!("{meet}, and both yield: neither has the room"),
            (ConflictKind::OneRobot, _) => format!("{meet}, with the same robot {}", quote(&robot(later))),
            (_, Some(overlap)) => format!("{meet}, and overlap for {}", format_duration(overlap)),
            (_, None) => meet,
        };
    }
    let since = local(&earlier.job, earlier.start.at);
    let meet = if is_one_job {
        format!("`{second}` begins in the room {room} at {at}, while its window from {since} on is still open")
    } else {
        format!("`{second}` begins in the room {room} at {at}, while `{first}` has it from {since} on")
    };
    let overlap = match (clash.overlap(), earlier.end, later.end) {
        (Some(overlap), _, _) => format!(": they overlap for {}", format_duration(overlap)),
        (None, End::Never, End::Never) => ": they overlap for ever".to_owned(),
        (None, _, _) => left(earlier, later.start.at).map(|left| format!(", and for {left} more")).unwrap_or_default(),
    };
    let robot = match clash.kind {
        ConflictKind::OneRobot => format!(", with the same robot {}", quote(&robot(later))),
        ConflictKind::Overlap | ConflictKind::EqualStarts | ConflictKind::TwoYielders => String::new(),
    };
    format!("{meet}{overlap}{robot}")
}

/// One robot in two rooms.
fn in_two_rooms(Clash { earlier, later, .. }: &Clash) -> String {
    let (first, second) = (&earlier.job.id, &later.job.id);
    let (other_room, room, robot) = (room(&earlier.job), room(&later.job), quote(&robot(later)));
    let at = local(&later.job, later.start.at);
    if earlier.start.at == later.start.at {
        return format!(
            "`{first}` in the room {other_room} and `{second}` in the room {room} begin at the same instant, {at}, with the same robot {robot}"
        );
    }
    let since = local(&earlier.job, earlier.start.at);
    format!(
        "`{second}` begins in the room {room} at {at} with the robot {robot}, while `{first}` has the same robot in the room \
         {other_room} from {since} on"
    )
}

/// Returns how long a window goes on after an instant; `None` if it has no end.
fn left(window: &Planned, at: Timestamp) -> Option<String> {
    match window.end {
        End::Planned(end) | End::Media(end) => end.duration_since(at).try_into().ok().map(format_duration),
        End::Open | End::Never => None,
    }
}

fn hint(clash: &Clash) -> String {
    let (first, second) = (&clash.earlier.job.id, &clash.later.job.id);
    let is_one_job = Arc::ptr_eq(&clash.earlier.job, &clash.later.job);
    match clash.kind {
        ConflictKind::OneRobot if is_one_job => {
            "a user is in a room once: put `{start}` into the template of its `robot`".to_owned()
        }
        ConflictKind::OneRobot if clash.earlier.job.room != clash.later.job.room => {
            "a user is in one room at a time: give each job a robot of its own, with `{job}` in its template".to_owned()
        }
        ConflictKind::OneRobot => "a user is in a room once: put `{job}` into the template of each `robot`".to_owned(),
        ConflictKind::TwoYielders => {
            "let only one of them yield, or let one begin earlier: it leaves the room to the other".to_owned()
        }
        ConflictKind::Overlap if is_one_job => {
            "shorten the window, or write `conflict: preempt`: each window then ends where the next begins".to_owned()
        }
        ConflictKind::Overlap if clash.by_clock_change => {
            let elapsed = matches!(clash.earlier.job.end, EndRule::For(_));
            let to = if elapsed { "; `to` instead of `for` ends by the wall clock" } else { "" };
            format!("if this is intended, change nothing: `{second}` takes the room then, and `{first}` is cut{to}")
        }
        ConflictKind::EqualStarts if clash.by_clock_change => {
            "if this is intended, change nothing: the one of higher `priority` plays then, else the first by name, and the other is skipped"
                .to_owned()
        }
        ConflictKind::Overlap => format!(
            "move one of them, or say what is meant: `conflict: preempt` on `{second}` takes the room, `conflict: yield` on the \
             filler leaves it for the time being, and `conflict: allow` on both, with robots that differ, plays both"
        ),
        ConflictKind::EqualStarts => format!(
            "move one of them, or say what is meant: `conflict: yield` on `{first}` or on `{second}` leaves the room to the other, and \
             `conflict: allow` on both, with robots that differ, plays both"
        ),
    }
}

/// The room, so that a string room of digits is not taken for an integer room.
fn room(job: &Job) -> String {
    match &job.room {
        crate::trtc::Room::Text(room) if room.bytes().all(|byte| byte.is_ascii_digit()) => quote(&format!("\"{room}\"")),
        room => quote(&room.to_string()),
    }
}

/// An instant on the wall clock of a job, with its offset: at a clock change nothing less is clear.
fn local(job: &Job, at: Timestamp) -> String {
    let local = at.to_zoned(job.when.zone.clone());
    local.strftime(if local.second() == 0 { "%Y-%m-%d %H:%M %:z" } else { "%Y-%m-%d %H:%M:%S %:z" }).to_string()
}
