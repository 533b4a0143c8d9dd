//! Instants as our outputs show them, and as our arguments take them. Does not read the clock: `now` is an argument.

use std::fmt::{self, Write as _};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::{Serialize, Serializer};

use crate::calendar::resolve;

/// An instant as JSON and CSV show it: RFC 3339, UTC, milliseconds, `Z`.
///
/// ```
/// # use ingestd_core::report::instant;
/// assert_eq!(instant("2026-11-22T18:00+08:00".parse().expect("a time")), "2026-11-22T10:00:00.000Z");
/// ```
pub fn instant(at: Timestamp) -> String {
    InstantText(at).to_string()
}

/// An instant that is shown as [`instant`] shows it, written where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct InstantText(pub(super) Timestamp);

impl fmt::Display for InstantText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.3}", self.0)
    }
}

impl Serialize for InstantText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An instant as the clock on the wall shows it: RFC 3339 with the zone's offset, whole seconds. Starts are whole seconds, and
/// whoever needs more has [`instant`] beside it.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    LocalText { at, zone }.to_string()
}

/// An instant that is shown as [`local`] shows it, written where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalText<'a> {
    pub(super) at: Timestamp,
    pub(super) zone: &'a TimeZone,
}

impl fmt::Display for LocalText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, offset) = wall_clock(self.at, self.zone);
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        write!(formatter, "{local}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

impl Serialize for LocalText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An instant as tables and sentences show it: `2026-11-22 18:00:00 +08:00`, whole seconds.
pub fn wall(at: Timestamp, zone: &TimeZone) -> String {
    let (local, offset) = wall_clock(at, zone);
    format!("{} {} {}", local.date(), local.time(), OffsetText(offset))
}

/// What the clock on the wall shows, without fractions of a second, and its offset.
fn wall_clock(at: Timestamp, zone: &TimeZone) -> (DateTime, Offset) {
    let offset = zone.to_offset(at);
    let local = offset.to_datetime(at);
    (local.with().subsec_nanosecond(0).build().unwrap_or(local), offset)
}

/// `+08:00`; with seconds where it has some.
struct OffsetText(Offset);

impl fmt::Display for OffsetText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let seconds = seconds.abs();
        write!(formatter, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
        if seconds % 60 == 0 { Ok(()) } else { write!(formatter, ":{:02}", seconds % 60) }
    }
}

/// The same beside another instant: the time alone, with the day, the year and the offset only where they are not those
/// of `known`.
pub fn wall_beside(at: Timestamp, known: Timestamp, zone: &TimeZone) -> String {
    beside(at, known, zone, true)
}

/// The same without seconds where there are none: `18:00`.
pub fn brief_beside(at: Timestamp, known: Timestamp, zone: &TimeZone) -> String {
    beside(at, known, zone, false)
}

fn beside(at: Timestamp, known: Timestamp, zone: &TimeZone, with_seconds: bool) -> String {
    let [(at, offset), (known, known_offset)] = [at, known].map(|at| wall_clock(at, zone));
    let mut text = String::with_capacity("2026-11-22 18:00:00 +08:00".len());
    let written = match (at.year() == known.year(), at.date() == known.date()) {
        (true, true) => Ok(()),
        (true, false) => write!(text, "{:02}-{:02} ", at.month(), at.day()),
        (false, _) => write!(text, "{} ", at.date()),
    };
    let written = written.and_then(|()| write!(text, "{:02}:{:02}", at.hour(), at.minute()));
    let written =
        written.and_then(|()| if with_seconds || at.second() != 0 { write!(text, ":{:02}", at.second()) } else { Ok(()) });
    let written = written.and_then(|()| if offset == known_offset { Ok(()) } else { write!(text, " {}", OffsetText(offset)) });
    written.expect("a text takes what is written into it");
    text
}

/// How a column of times is shown: the offset stands in its heading if all of them have the same, and else in each cell.
#[derive(Clone, Debug)]
pub struct WallClock {
    zone: TimeZone,
    offset: Option<Offset>,
}

impl WallClock {
    /// For these instants, in a zone.
    pub fn new(zone: &TimeZone, instants: impl IntoIterator<Item = Timestamp>) -> WallClock {
        let mut offsets = instants.into_iter().map(|at| zone.to_offset(at));
        let first = offsets.next();
        WallClock { zone: zone.clone(), offset: first.filter(|first| offsets.all(|offset| offset == *first)) }
    }

    /// For instants that are not known yet: the offset stands in each cell.
    pub fn of_any(zone: &TimeZone) -> WallClock {
        WallClock { zone: zone.clone(), offset: None }
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The heading: `START (+08:00)`, or `START` where the cells have the offset.
    pub fn heading(&self, name: &str) -> String {
        self.offset.map_or_else(|| name.to_owned(), |known| format!("{name} ({})", OffsetText(known)))
    }

    /// The cell of an instant.
    pub fn cell(&self, at: Timestamp) -> String {
        match self.offset {
            Some(_) => {
                let (local, _) = wall_clock(at, &self.zone);
                format!("{} {}", local.date(), local.time())
            }
            None => wall(at, &self.zone),
        }
    }

    /// The widest that a cell may be.
    pub fn width(&self) -> usize {
        self.cell(Timestamp::UNIX_EPOCH).len()
    }
}

/// The name of a zone.
pub fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// What `--at`, `--from`, `--to` and `--since` take, for the hint of a message.
const FORMS: &str = "write RFC 3339 (`2026-11-22T18:00:00+08:00`), a local `2026-11-22` or `2026-11-22 18:00`, `now`, \
    or `now+2h` or `now-1d`";

/// A time as an argument writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeArgument {
    /// An instant, wherever it is read.
    At(Timestamp),
    /// What the clock on a wall shows.
    Local(DateTime),
    /// A date without a time.
    Date(Date),
}

/// Reads an argument that is a time, and leaves open in which zone a local one is.
pub fn parse_argument(text: &str, now: Timestamp) -> Result<TimeArgument, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not a time: {FORMS}");
    if let Some(shift) = text.strip_prefix("now") {
        let at = if shift.is_empty() { Some(now) } else { shifted(shift, now) };
        return at.map(TimeArgument::At).ok_or_else(wrong);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(TimeArgument::At(at));
    }
    // jiff reads an offset after a local time and drops it; whoever writes one means it.
    let date_ends = text.len().min("2026-11-22".len());
    let is_local = text.is_char_boundary(date_ends) && !text[date_ends..].contains(['+', '-', 'Z', 'z', '[']);
    let date = || text.parse().ok().filter(|_| text.len() == date_ends).map(TimeArgument::Date);
    let local = || text.parse().ok().map(TimeArgument::Local);
    if is_local { date().or_else(local).ok_or_else(wrong) } else { Err(wrong()) }
}

/// The same, with a local time in `zone`, where a clock change counts as for `at`: in a gap it is shifted forward, in a
/// repeat it is the first. A date is its midnight; a day is 24 hours.
pub fn parse_time(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let local = match parse_argument(text, now)? {
        TimeArgument::At(at) => return Ok(at),
        TimeArgument::Local(local) => local,
        TimeArgument::Date(date) => date.to_datetime(Time::midnight()),
    };
    resolve(zone, local).ok_or_else(|| format!("`{}` is not a time: {FORMS}", text.trim()))
}

/// `+2h` or `-1d` from an instant.
fn shifted(shift: &str, now: Timestamp) -> Option<Timestamp> {
    let (back, length) = shift.strip_prefix('-').map_or((false, shift.strip_prefix('+')), |length| (true, Some(length)));
    let length = length.filter(|length| length.starts_with(|first: char| first.is_ascii_digit()))?;
    let length = length.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    if back { now.checked_sub(length).ok() } else { now.checked_add(length).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_york() -> TimeZone {
        jiff::tz::TimeZoneDatabase::bundled().get("America/New_York").expect("bundled")
    }

    #[test]
    fn an_argument_is_read_in_every_form_it_may_have() {
        let now = "2026-11-22T12:00:00.250Z".parse().expect("a time");
        for (text, expected) in [
            ("now", Ok("2026-11-22T12:00:00.250Z")),
            ("now+2h", Ok("2026-11-22T14:00:00.250Z")),
            ("now-1d", Ok("2026-11-21T12:00:00.250Z")),
            ("now+1m30s", Ok("2026-11-22T12:01:30.250Z")),
            ("now+200ms", Ok("2026-11-22T12:00:00.450Z")),
            ("2026-11-22T18:00:00Z", Ok("2026-11-22T18:00:00.000Z")),
            ("2026-11-22T18:00:00.5+08:00", Ok("2026-11-22T10:00:00.500Z")),
            ("2026-11-22", Ok("2026-11-22T05:00:00.000Z")),
            ("2026-11-22 18:00", Ok("2026-11-22T23:00:00.000Z")),
            (" 2026-11-22 18:00:30 ", Ok("2026-11-22T23:00:30.000Z")),
            // A gap and a repeat in New York.
            ("2027-03-14 02:30", Ok("2027-03-14T07:30:00.000Z")),
            ("2026-11-01 01:30", Ok("2026-11-01T05:30:00.000Z")),
            ("now+", Err(())),
            ("now+-2h", Err(())),
            ("now 2h", Err(())),
            ("now+1mo", Err(())),
            ("now+999999999d", Err(())),
            ("18:00", Err(())),
            ("2026-02-30", Err(())),
            ("2026-11-22 25:00", Err(())),
            ("tomorrow", Err(())),
            ("直播直播直播直播", Err(())),
            ("", Err(())),
        ] {
            let read = parse_time(text, now, &new_york());
            assert_eq!(read.as_ref().map(|at| instant(*at)).map_err(|_| ()), expected.map(str::to_owned), "{text}: {read:?}");
        }
    }

    #[test]
    fn a_date_is_distinguished_from_a_time_and_from_an_instant() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let date = jiff::civil::date(2026, 11, 22);
        for (text, expected) in [
            ("2026-11-22", TimeArgument::Date(date)),
            ("2026-11-22 00:00", TimeArgument::Local(date.at(0, 0, 0, 0))),
            ("2026-11-22T12:00Z", TimeArgument::At(now)),
            ("now", TimeArgument::At(now)),
        ] {
            assert_eq!(parse_argument(text, now), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_offset_stands_in_the_heading_where_all_times_have_it_and_else_in_each_cell() {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").expect("bundled");
        let [summer, winter]: [Timestamp; 2] =
            ["2026-10-24T16:00:00Z", "2026-10-25T17:00:00Z"].map(|at| at.parse().expect("a time"));
        let one = WallClock::new(&zone, [winter]);
        assert_eq!((one.heading("START"), one.cell(winter)), ("START (+01:00)".to_owned(), "2026-10-25 18:00:00".to_owned()));
        let two = WallClock::new(&zone, [summer, winter]);
        assert_eq!((two.heading("START"), two.cell(summer)), ("START".to_owned(), "2026-10-24 18:00:00 +02:00".to_owned()));
        assert_eq!(wall(winter, &zone), "2026-10-25 18:00:00 +01:00");
        assert_eq!(wall_beside(winter, winter, &zone), "18:00:00");
        assert_eq!(wall_beside(winter, summer, &zone), "10-25 18:00:00 +01:00");
        let new_year = "2027-01-01T17:00:00Z".parse().expect("a time");
        assert_eq!(wall_beside(new_year, winter, &zone), "2027-01-01 18:00:00");
        assert_eq!(brief_beside(winter, winter, &zone), "18:00");
    }

    #[test]
    fn a_local_time_carries_its_offset() {
        let zones = jiff::tz::TimeZoneDatabase::bundled();
        for (at, zone, expected) in [
            ("2026-11-22T10:00:00Z", "Asia/Shanghai", "2026-11-22T18:00:00+08:00"),
            ("2026-11-22T10:00:00.750Z", "America/St_Johns", "2026-11-22T06:30:00-03:30"),
            ("2026-11-22T10:00:00Z", "UTC", "2026-11-22T10:00:00+00:00"),
        ] {
            assert_eq!(local(at.parse().expect("a time"), &zones.get(zone).expect(zone)), expected);
        }
    }
}
