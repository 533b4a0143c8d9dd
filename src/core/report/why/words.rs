//! Windows and instants in words: when an occurrence ends, what another does to it in its room, how an instant is written.
//! Does not know rules and the ledger.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Reason, Says};
use crate::plan::encounters::{Encounter, EncounterEffect};
use crate::plan::{End, Planned};

/// What another occurrence in the room does to one.
pub(super) fn encounter_reason(own: &Planned, encounter: &Encounter, zone: &TimeZone) -> Reason {
    let Encounter { other, leaves, effect } = encounter;
    let from = other.start.at.max(own.start.at);
    let (id, at) = (&other.job.id, moment(from, zone));
    let theirs = format!("the window from {}, {}", moment(other.start.at, zone), until(other, other.start.at, zone));
    let text = match effect {
        EncounterEffect::Yields => {
            let back = leaves.at().map_or_else(|| "until that one is over".to_owned(), |end| format!("to {}", moment(end, zone)));
            format!("`conflict: yield`: paused from {at} {back}, while `{id}` has the room")
        }
        EncounterEffect::IsYieldedTo => format!("`{id}` yields: it leaves the room while this one plays ({theirs})"),
        EncounterEffect::PlaysBeside => format!("`conflict: allow`: `{id}` plays in the same room too ({theirs})"),
        EncounterEffect::Takes => format!("`conflict: preempt`: at {at} it takes the room from `{id}`, which is cut"),
        EncounterEffect::IsCut => format!("cut at {at} by `{id}`, which takes the room (`conflict: preempt` there)"),
        EncounterEffect::IsCutIfOnAir => format!("cut at {at} by `{id}`, which takes the room, if its media is not over by then"),
        EncounterEffect::Clashes { wins, .. } => {
            let who = if *wins { "this one has the room" } else { "the other has the room" };
            format!("conflict with `{id}` at {at} ({theirs}): `check` refuses that; if they meet, {who}")
        }
    };
    Reason::new("conflict", Says::Note, text)
}

/// When it ends: `on until 20:00`, with a date where it is not that of `since`.
pub(super) fn until(occurrence: &Planned, since: Timestamp, zone: &TimeZone) -> String {
    match occurrence.end {
        End::Planned(at) | End::Media(at) => {
            let local = zone.to_datetime(at);
            let is_same_day = local.date() == zone.to_datetime(since).date();
            // With a clock change in between, a bare time would be unclear.
            let is_same_offset = zone.to_offset(at) == zone.to_offset(since);
            if is_same_day && is_same_offset {
                format!("on until {}", clock(local))
            } else {
                format!("on until {}", moment(at, zone))
            }
        }
        End::Open => "with an open end: until its media ends".to_owned(),
        End::Never => "on for good (`to: never`)".to_owned(),
    }
}

/// An instant on the wall clock of a zone, with its day and offset: `Sat 2026-11-28 18:00 +08:00`.
pub(super) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone());
    local.strftime(if local.second() == 0 { "%a %Y-%m-%d %H:%M %:z" } else { "%a %Y-%m-%d %H:%M:%S %:z" }).to_string()
}

/// A time of day, with seconds where there are some.
pub(super) fn clock(wall: DateTime) -> String {
    wall.strftime(if wall.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string()
}
