//! What is odd about the media of a job against its window: how long each is, and how it may be played. Does not know where media is
//! fetched from.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::Trigger;
use crate::diagnostic::Span;
use crate::schedule::job::{EndRule, Job};
use crate::schedule::problem::Problem;
use crate::schedule::raw::RawJob;
use crate::schedule::values::format_duration;
use crate::trtc::Repeat;

/// The longest that the API plays a loop: `MaxDuration` is at most 10,080 minutes.
const LOOP_MAX: Duration = Duration::from_hours(7 * 24);

/// Less dead air than this at the end of a window is nothing to tell: media is rarely cut to the second.
const DEAD_AIR_MIN: SignedDuration = SignedDuration::from_secs(60);

/// How far ahead a start is looked for, to see how long its window is, and how many starts of a pattern are looked at: a day of them, each
/// half hour.
const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);
const STARTS_LOOKED_AT: usize = 48;

/// Endings of the paths of what is live more often than not: playlists and HTTP-FLV.
const MAY_BE_LIVE: [&str; 2] = [".m3u8", ".flv"];

/// All of it.
pub(super) fn problems(job: &Job, raw: &RawJob, now: Timestamp) -> Vec<Problem> {
    let key = job.place.span;
    let mut problems = Vec::new();
    problems.extend(may_be_live(job, raw, key));
    problems.extend(no_cloud_bound(job, key));
    problems.extend(no_length(job, raw, key));
    // Of a job that follows another it is not known yet when it starts.
    if job.after.is_none() {
        problems.extend(dead_air(job, if raw.length.written { raw.length.span } else { key }, now));
    }
    problems.extend(unknown_length(job, raw));
    problems.extend(long_loop(job, raw, key));
    problems
}

fn may_be_live(job: &Job, raw: &RawJob, key: Span) -> Option<Problem> {
    let form = live_form(job)?;
    if raw.live.written || job.live {
        return None;
    }
    let span = if raw.stream.written { raw.stream.span } else { key };
    let message = format!("`stream`: an `{form}` address may be live or a recording, and `live` does not say which");
    Some(Problem::at(span, "playlist", message).hint("write `live: true` or `live: false`"))
}

/// The ending by which a stream may be live.
fn live_form(job: &Job) -> Option<&'static str> {
    let written = job.stream.written();
    let ending = super::ending(written.reveal());
    MAY_BE_LIVE.into_iter().find(|form| form[1..].eq_ignore_ascii_case(ending))
}

fn no_cloud_bound(job: &Job, key: Span) -> Option<Problem> {
    if !job.live || job.repeat == Repeat::Forever {
        return None;
    }
    let message = "a live source has no bound in the cloud: if this host is gone at its end, it stays on air";
    Some(Problem::at(key, "no-cloud-bound", message).hint("someone must then stop it by hand; `status` lists such streams"))
}

fn no_length(job: &Job, raw: &RawJob, key: Span) -> Option<Problem> {
    if job.live || job.repeat == Repeat::Times(1) || job.length.is_some() {
        return None;
    }
    let span = if raw.repeat.written { raw.repeat.span } else { key };
    let message = "`repeat` without `length`: a late start or a restart cannot tell where the show is, so it begins anew";
    Some(Problem::at(span, "no-length", message).hint("add `length`, how long the media is once through"))
}

/// Media that is over long before its window: nothing is seen until the end. `span`: where that is told.
pub(super) fn dead_air(job: &Job, span: Span, now: Timestamp) -> Option<Problem> {
    let looked_at = match (&job.end, &job.when.trigger) {
        (EndRule::Never | EndRule::Media, _) => return None,
        (EndRule::For(_), _) => 1,
        // The window of `to` is as long as the time of its start says: each time is looked at once.
        (EndRule::To(_), Trigger::At { times, .. }) => times.len(),
        (EndRule::To(_), _) => STARTS_LOOKED_AT,
    };
    let media = job.media_length()?;
    let last = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let (over, end) = job.when.between(now, last).take(looked_at).find_map(|start| {
        let end = super::window_end(job, &start)?;
        let over = start.at.checked_add(media).ok()?;
        (end.duration_since(over) >= DEAD_AIR_MIN).then_some((over, end))
    })?;
    let [over, end] = [over, end].map(|at| job.when.zone.to_datetime(at));
    let form = if over.date() == end.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let plays = if job.repeat == Repeat::Times(1) { "" } else { ", `repeat` included" };
    let message = format!(
        "`length`: the media is over at {}{plays}, and the window lasts until {}: nothing is seen between them",
        over.strftime(form),
        end.strftime(form)
    );
    Some(
        Problem::at(span, "dead-air", message)
            .hint("`repeat: forever` fills the window; without `for` and `to` the show ends with its media"),
    )
}

/// Media of which nobody knows whether it fills its window.
fn unknown_length(job: &Job, raw: &RawJob) -> Option<Problem> {
    let (name, span) = match job.end {
        EndRule::For(_) => ("for", raw.end.duration.span),
        EndRule::To(_) => ("to", raw.end.to.span),
        EndRule::Never | EndRule::Media => return None,
    };
    // Whether these may be live is asked already.
    let is_asked = live_form(job).is_some();
    if job.live || job.length.is_some() || job.repeat != Repeat::Times(1) || raw.repeat.written || (is_asked && !raw.live.written) {
        return None;
    }
    let span = if span == Span::default() { job.place.span } else { span };
    let message = format!("`{name}` without `length` or `repeat`: if the media is shorter, nothing is seen from its end on");
    Some(
        Problem::at(span, "unknown-length", message)
            .hint("add `length`, how long the media is once through; or `repeat: forever`; or `live: true` if it has no end"),
    )
}

/// A loop that outlives the longest that the cloud plays.
fn long_loop(job: &Job, raw: &RawJob, key: Span) -> Option<Problem> {
    let (field, value, slot) = match job.end {
        EndRule::For(length) if length > LOOP_MAX => ("for", format_duration(length), raw.end.duration.span),
        EndRule::Never => ("to", "never".to_owned(), raw.end.to.span),
        _ => return None,
    };
    if job.repeat != Repeat::Forever {
        return None;
    }
    let message = format!(
        "`{field}`: `{value}` with `repeat: forever`: the API plays a loop for 7 days at most, so ten minutes before that it is \
         handed over to itself, with a short break"
    );
    let span = if slot == Span::default() { key } else { slot };
    Some(
        Problem::at(span, "loop-too-long", message)
            .hint("this is fine if you mean it; windows of a day each break when you want it"),
    )
}
