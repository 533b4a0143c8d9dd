//! Shows that have a fallback: which of the two plays, and how a show on air changes to the other. Which one it is, `occurrence::plays`
//! says. Does not know who looks at media.

use super::airing::Edit;
use super::airings::Airings;
use super::notice::{Level, TRIES_USED_UP};
use super::step::Step;
use crate::occurrence::{Event, FallbackReason, FallbackRecord, HAND_OVER_MAX, Key, Occurrence, State, WaitReason, plays};
use crate::trtc::error::STREAM_URL;
use crate::trtc::{Answer, Fault, StreamUrl};

/// A show that plays its fallback: its stream is looked at until it is there again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnFallback {
    /// The show.
    pub key: Key,
    /// Its stream, with the names of secrets in it.
    pub stream: StreamUrl,
    /// Whether that is a live source.
    pub live: bool,
}

/// Every show that plays its fallback, or is to.
pub(super) fn on_fallback(airings: &Airings) -> Vec<OnFallback> {
    let shows = airings.iter().map(|airing| &airing.occurrence);
    let with_trouble = shows.filter(|show| show.fallback.trouble.is_some() && !matches!(show.state, State::Stopping { .. }));
    let of = |show: &Occurrence| {
        let scheduled = show.playout.scheduled();
        OnFallback { key: show.key.clone(), stream: scheduled.stream.clone(), live: scheduled.live }
    };
    with_trouble.map(of).collect()
}

/// A start was answered: the vendor may refuse what it was to play.
pub(super) fn on_answer(airings: &mut Airings, step: &mut Step, key: &Key, answer: &Answer) {
    let is_refused = matches!(&answer.result, Err(Fault::Rejected { code, .. }) if code == STREAM_URL);
    let Some(airing) = airings.get(key).filter(|_| is_refused) else { return };
    if !matches!(airing.occurrence.state, State::Waiting { .. }) {
        return;
    }
    let mut next = airing.occurrence.clone();
    let is_unasked = next.goes_back_unrefused() == Some(FallbackReason::Preflight);
    if next.plays_fallback() {
        next.fallback_is_refused();
    } else {
        next.stream_is_missing(FallbackReason::Refused, step.now);
    }
    if next != airing.occurrence {
        airings.update(step, next);
        // Before its next attempt, which may be made at once.
        change(airings, step, key, is_unasked);
    }
}

/// Decides for every show that has a fallback which of the two plays, and changes what plays the other. What was claimed stays as it is
/// until it is answered.
pub(super) fn review(airings: &mut Airings, step: &mut Step) {
    let may_change = |show: &Occurrence| matches!(show.state, State::OnAir | State::Waiting { .. });
    let has_fallback = |show: &Occurrence| show.playout.scheduled().fallback.is_some();
    let shows = airings.iter().map(|airing| &airing.occurrence).filter(|show| may_change(show) && has_fallback(show));
    let keys: Vec<Key> = shows.map(|show| show.key.clone()).collect();
    for key in keys {
        let is_found = decide(airings, step, &key);
        hand_over(airings, step, &key);
        change(airings, step, &key, is_found);
    }
}

/// Decides what it is to play. Returns whether its stream is there again.
fn decide(airings: &mut Airings, step: &mut Step, key: &Key) -> bool {
    let Some(airing) = airings.get(key) else { return false };
    let before = &airing.occurrence;
    let mut next = before.clone();
    next.decide_source(plays(before, &airings.media, step.now), step.now);
    if next == *before {
        return false;
    }
    let is_found = next.fallback.trouble.is_none();
    airings.update(step, next);
    is_found
}

/// Takes a show off the air that is to play something else: a stop, and then a start of the other. Not where the stop may last until no
/// start is made any more, and not while none may leave.
fn hand_over(airings: &mut Airings, step: &mut Step, key: &Key) {
    let Some(airing) = airings.get(key) else { return };
    let show = &airing.occurrence;
    // Whoever edits the stream of a show that plays its fallback wants it tried.
    let is_fix = |edit: &Edit| show.fallback.trouble.is_some() && edit.playout.stream != show.playout.scheduled().stream;
    let is_wanted = show.wants_other_source() || airing.edit.as_ref().is_some_and(is_fix);
    let is_too_late = show.window_closes().is_some_and(|closes| closes <= step.now + HAND_OVER_MAX);
    if show.state != State::OnAir || !is_wanted || is_too_late || show.task_id.is_none() || airings.held.is_some() {
        return;
    }
    let edit = airing.edit.clone();
    if edit.as_ref().is_some_and(is_fix) {
        let next = Occurrence { fallback: FallbackRecord { trouble: None, ..show.fallback.clone() }, ..show.clone() };
        airings.update(step, next);
        step.notify_of(key, Level::Info, "an edit changed `stream`, which could not be had: it is tried at once".to_owned());
    }
    airings.transition(step, key, Event::Switch);
    if let (Some(edit), Some(airing)) = (edit, airings.get(key)) {
        let mut next = airing.occurrence.clone();
        next.close_played(step.now);
        next.take_edit(edit.playout, edit.generation);
        airings.set_edit(key, None);
        airings.update(step, next);
    }
}

/// Gives a show that is off the air what it is to play, and has it try that at once, unless the vendor refused both. `is_hopeful`: it goes
/// back to its stream, which is there again, or of which the vendor said nothing yet.
fn change(airings: &mut Airings, step: &mut Step, key: &Key, is_hopeful: bool) {
    let Some(airing) = airings.get(key) else { return };
    let State::Waiting { why, .. } = airing.occurrence.state else { return };
    let mut next = airing.occurrence.clone();
    next.change_source(step.now);
    if next == airing.occurrence {
        return;
    }
    let (plays_fallback, is_refused) = (next.plays_fallback(), next.fallback.is_refused);
    // What hands over waits for its own stop.
    let hands_over = why == WaitReason::Restart && next.lost_at.is_none();
    let may_be_tried = next.attempts > 0 && why != WaitReason::Yield && !hands_over;
    let is_tried = may_be_tried && (is_hopeful || (plays_fallback && !is_refused));
    let is_stuck = !is_tried && next.has_no_tries_left();
    let level = match (is_stuck, plays_fallback) {
        (true, _) => Level::Error,
        (false, true) => Level::Warning,
        (false, false) => Level::Info,
    };
    step.notify_of(key, level, words(&next, is_stuck));
    airings.update(step, next);
    if is_tried {
        airings.try_fixed(step, key);
    }
}

/// What a change of the source says. `is_stuck`: nothing is tried.
fn words(next: &Occurrence, is_stuck: bool) -> String {
    let url = next.playout.stream.redacted();
    match (&next.fallback.trouble, next.fallback.is_refused) {
        (Some(trouble), _) if is_stuck => {
            format!("its stream cannot be had: {}; its fallback {url} is not tried: {TRIES_USED_UP}", trouble.why.words())
        }
        (Some(trouble), _) => format!("its stream cannot be had: {}; its fallback {url} is to play", trouble.why.words()),
        (None, true) if is_stuck => format!("TRTC refuses its fallback too, and its stream {url} is not tried: {TRIES_USED_UP}"),
        (None, true) => format!("TRTC refuses its fallback too: its stream {url} is tried again"),
        (None, false) => format!("its stream {url} is there again, and is to play where it would be by now"),
    }
}
