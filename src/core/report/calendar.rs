//! Occurrences to come as iCalendar (RFC 5545), one event each, in UTC. Does not know how they were found and who reads
//! it.

use jiff::{SignedDuration, Timestamp};

use super::plan::place;
use crate::plan::End;
use crate::plan::interruptions::Interrupted;

/// Longest line in octets, its end not counted.
const LINE_MAX: usize = 75;

/// The line end of the format, on every host.
const END: &str = "\r\n";

/// What stands before the events.
pub fn head() -> String {
    ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//ingestd//plan//EN", "CALSCALE:GREGORIAN"].map(folded).concat()
}

/// What stands behind them.
pub fn foot() -> String {
    folded("END:VCALENDAR")
}

/// The event of an occurrence, made at `now`. It keeps its name for as long as job and start do. An end between two
/// seconds is the later one; without one there is no `DTEND`, and `X-INGESTD-END` says `OPEN` or `NEVER`. What another
/// occurrence cuts ends there, and the description says who cuts it. What operators hold back is `CANCELLED`. `reveal` shows the whole stream URL.
pub fn event(listed: &Interrupted, now: Timestamp, reveal: bool) -> String {
    let Interrupted { occurrence, cut, held, .. } = listed;
    let job = &occurrence.job;
    let start = occurrence.start.at;
    // When media of unknown length is over is not known.
    let end = match (occurrence.end, cut) {
        (End::Planned(_) | End::Media(_) | End::Never, Some(cut)) => End::Planned(cut.at),
        (end, _) => end,
    };
    let end = match end {
        // An event may not end as it begins.
        End::Planned(at) | End::Media(at) if at > start => Some(format!("DTEND:{}", time(up(at)))),
        End::Planned(_) | End::Media(_) => None,
        End::Open => Some("X-INGESTD-END:OPEN".to_owned()),
        End::Never => Some("X-INGESTD-END:NEVER".to_owned()),
    };
    let stream = job.stream_at(start);
    let stream = stream.shown(reveal);
    let cut = cut.as_ref().map(|cut| format!("cut by {} at {}", cut.job, cut.at));
    let description = job.note.iter().map(|note| note.trim_end()).chain([stream.as_str()]).chain(cut.as_deref());
    let description = description.collect::<Vec<_>>().join("\n");
    let room = place(job.app.as_ref().map(|app| app.name.as_ref()), &job.room);
    let lines = [
        Some("BEGIN:VEVENT".to_owned()),
        Some(format!("UID:{}/{}@ingestd", job.id, time(start))),
        Some(format!("DTSTAMP:{}", time(now))),
        Some(format!("DTSTART:{}", time(start))),
        end,
        Some(format!("SUMMARY:{}", escaped(&format!("{} ({room})", job.id)))),
        Some(format!("DESCRIPTION:{}", escaped(&description))),
        held.as_ref().map(|_| "STATUS:CANCELLED".to_owned()),
        Some("END:VEVENT".to_owned()),
    ];
    lines.iter().flatten().map(folded).collect()
}

/// `20261122T100000Z`.
fn time(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The second that an instant ends.
fn up(at: Timestamp) -> Timestamp {
    let begins = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if begins == at { at } else { begins.saturating_add(SignedDuration::from_secs(1)).unwrap_or(begins) }
}

/// A text as a value. Characters that a calendar does not allow are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | ';' | ',' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push('\t'),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

/// A line with its end, broken where it is too long: each further line begins with a space. No character is broken.
fn folded(line: impl AsRef<str>) -> String {
    let line = line.as_ref();
    let mut out = String::with_capacity(line.len() + END.len());
    let mut octets = 0;
    for character in line.chars() {
        if octets + character.len_utf8() > LINE_MAX {
            out.push_str(END);
            out.push(' ');
            octets = 1;
        }
        out.push(character);
        octets += character.len_utf8();
    }
    out.push_str(END);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_at_75_octets_between_characters() {
        for (length, lines) in [(75, 1), (76, 2), (75 + 74, 2), (75 + 75, 3)] {
            let folded = folded("x".repeat(length));
            assert_eq!(folded.matches(END).count(), lines, "{length}");
            assert_eq!(folded.replace("\r\n ", "").trim_end(), "x".repeat(length));
        }
        // Three octets each: the first line holds 25 of them, a further one 24 after its space.
        let folded = folded("播".repeat(50));
        assert_eq!(folded.split_terminator(END).map(str::len).collect::<Vec<_>>(), [75, 73, 4]);
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("a,b;c\\d\r\ne\u{7}\tf: \"g\""), "a\\,b\\;c\\\\d\\ne\tf: \"g\"");
    }
}
