//! The StartStreamIngest of an occurrence for one instant: where the show is by now, and how long the cloud may let it run.
//! It does not know whether it may be sent.

use jiff::{SignedDuration, Timestamp, Unit};

use super::{Occurrence, signed};
use crate::schedule::Late;
use crate::trtc::{Body, Repeat, Request, StartParams, Tempo};

/// A start later than this after its instant seeks to where the show is; it is also when a start counts as late.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// Longest `MaxDuration`, in minutes: 7 days (TRTC.md section 1.1).
pub const MAX_DURATION_MINUTES: i64 = 10_080;

/// How long the UserSig outlives the window: what the cloud does when it expires on air is unknown (TRTC.md section 7.2).
const SIGNATURE_OUTLIVES: SignedDuration = SignedDuration::from_hours(1);

/// How long the UserSig holds where the end is open: a day more than any task can run by itself. No task is taken to play longer.
pub const LONGEST_TASK: SignedDuration = SignedDuration::from_hours(8 * 24);

/// There is nothing left to play: a single play past its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentOver;

/// Builds the request that starts `occurrence` at `now`, sought to where the show is.
pub fn start_request(occurrence: &Occurrence, now: Timestamp) -> Result<Request, ContentOver> {
    let playout = &occurrence.playout;
    let (seek, repeat) = position(occurrence, now)?;
    let is_loop = repeat == Repeat::Forever;
    let params = StartParams {
        room: playout.room.clone(),
        user_id: playout.robot.clone(),
        stream_url: playout.stream.clone(),
        seek_second: (seek > 0).then_some(seek),
        repeat: (repeat != Repeat::Times(1)).then_some(repeat),
        max_duration: is_loop.then(|| max_duration(occurrence.stops_at(), now)),
        options: playout.options,
    };
    let valid_until = match occurrence.end.at() {
        Some(end) => later(end.max(now), SIGNATURE_OUTLIVES),
        // In whole seconds, as tickets are: what is signed shortly before a start is what it needs when it leaves.
        None => later(now, LONGEST_TASK).round(Unit::Second).unwrap_or(Timestamp::MAX),
    };
    Ok(Request { destination: playout.destination.clone(), body: Body::Start { params: Box::new(params), valid_until } })
}

impl Occurrence {
    /// When the cloud ends a task of it by itself that was started at `at`; `None`: it has no bound there.
    pub fn bound_if_sent_at(&self, at: Timestamp) -> Option<Timestamp> {
        let is_loop = self.playout.repeat == Repeat::Forever;
        is_loop.then(|| later(at, SignedDuration::from_mins(max_duration(self.stops_at(), at).into())))
    }
}

/// An end may be the calendar's last instant; nothing is later than that.
fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The second to seek to, and the plays that remain.
fn position(occurrence: &Occurrence, now: Timestamp) -> Result<(u64, Repeat), ContentOver> {
    let playout = &occurrence.playout;
    let elapsed = now.duration_since(occurrence.key.start);
    let from_the_beginning = occurrence.policy.late == Late::Restart && occurrence.on_air_at.is_none();
    if playout.live {
        return Ok((0, playout.repeat));
    }
    if elapsed < LATE_AFTER || from_the_beginning {
        return Ok((playout.seek.as_secs(), playout.repeat));
    }
    let percent = i128::from(playout.options.tempo.unwrap_or(Tempo::NORMAL).percent());
    let played_ms = signed(playout.seek).as_millis() + elapsed.as_millis() * percent / 100;
    let length_ms = playout.length.map(|length| signed(length).as_millis());
    let (position_ms, repeat) = match (playout.repeat, length_ms) {
        (Repeat::Forever, Some(length)) => (played_ms % length, Repeat::Forever),
        (Repeat::Times(plays), Some(length)) => {
            let remaining = i128::from(plays) - played_ms / length;
            match u16::try_from(remaining) {
                Ok(remaining) if remaining > 0 => (played_ms % length, Repeat::Times(remaining)),
                _ => return Err(ContentOver),
            }
        }
        (Repeat::Times(1), None) => (played_ms, Repeat::Times(1)),
        // Where a repetition begins is unknown without the length, so it starts over; `check` warns of it.
        (repeat, None) => (signed(playout.seek).as_millis(), repeat),
    };
    Ok((u64::try_from(position_ms / 1000).unwrap_or(0), repeat))
}

/// Minutes to the end, rounded up, plus one: the cloud's own bound, in case this host dies.
fn max_duration(end: Option<Timestamp>, now: Timestamp) -> u16 {
    let minutes = end.map_or(MAX_DURATION_MINUTES, |end| {
        let milliseconds = i64::try_from(end.duration_since(now).as_millis().max(0)).unwrap_or(i64::MAX - 60_000);
        (milliseconds + 59_999) / 60_000 + 1
    });
    u16::try_from(minutes.clamp(1, MAX_DURATION_MINUTES)).expect("clamped to 10080, which a u16 holds")
}
