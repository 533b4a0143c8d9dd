//! The search for a start from far before it, and from the first days that can be written: what it looks at first must not change what it
//! finds. Does not say which starts there should be (`tables.rs`).

use ingestd::calendar::{Days, Weekdays, Weeks};
use jiff::SignedDuration;
use jiff::civil::{Weekday, date};

use super::{instant, on_days, trigger, when};

const NEW_YORK: &str = "America/New_York";
const APIA: &str = "Pacific/Apia";
const SCORESBYSUND: &str = "America/Scoresbysund";

#[test]
fn a_start_is_the_same_from_wherever_it_is_looked_for() {
    // Every third week, or on dates of one month: from the start before it, a clock change is too far ahead to be seen at once. Apia lost its
    // Friday, whose 06:00 falls onto Saturday's.
    let weekend = Weekdays::NONE.with(Weekday::Friday).with(Weekday::Saturday).with(Weekday::Sunday);
    let mut moved = 0;
    for (zone, text, change) in [
        (APIA, "at 06:00 18:00", date(2011, 12, 30)),
        (SCORESBYSUND, "at 00:00 23:30", date(2026, 3, 28)),
        (NEW_YORK, "at 02:30 03:30", date(2026, 3, 8)),
        (NEW_YORK, "at 01:30", date(2026, 11, 1)),
        (APIA, "cron 0 6,18 30,31 12 *", date(2011, 12, 30)),
        (NEW_YORK, "cron 30 2,3 8,9 3 *", date(2026, 3, 8)),
        (NEW_YORK, "cron */30 1,2 1,2 11 *", date(2026, 11, 1)),
        (SCORESBYSUND, "every 3600 22:00 02:00", date(2026, 3, 28)),
        (APIA, "every 21600", date(2011, 12, 30)),
    ] {
        let days = Days { weeks: Weeks::new(3, change), ..weekend.into() };
        let when = when(zone, on_days(trigger(text), days));
        let far = when.zone.to_timestamp(change.at(0, 0, 0, 0)).expect("a time of our days") - SignedDuration::from_hours(15 * 24);
        let mut at = far;
        for start in when.after(far).take(12).collect::<Vec<_>>() {
            moved += usize::from(start.dst.is_some());
            for hours in (0..=18 * 24).rev() {
                let nearer = start.at - SignedDuration::from_hours(hours);
                if nearer > at {
                    assert_eq!(when.not_before(nearer), Some(start), "{zone} {text} from {nearer}");
                }
            }
            at = start.at;
        }
    }
    assert!(moved >= 9, "too few are near a clock change: {moved}");
}

#[test]
fn the_first_days_that_can_be_written_are_days_like_others() {
    let at_midnight = when("UTC", trigger("at 00:00"));
    let mornings = when("America/New_York", trigger("at 06:00"));
    for (when, from, expected) in [
        (&at_midnight, "-009999-01-03T00:00:00Z", "-009999-01-03T00:00:00Z"),
        (&at_midnight, "-009999-01-03T00:00:01Z", "-009999-01-04T00:00:00Z"),
        (&mornings, "-009999-01-02T12:00:00Z", "-009999-01-03T10:56:02Z"),
    ] {
        assert_eq!(when.not_before(instant(from)).map(|start| start.at), Some(instant(expected)), "{from}");
    }
}
