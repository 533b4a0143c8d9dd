//! Clock changes by hand. Every row names a zone and what its clock does, so that it can be checked against `zdump`.

use std::time::Instant;

use ingestd::calendar::{CronPattern, Trigger, Weekdays};
use jiff::civil::{Weekday, date};

use super::{dates, instant, on_days, shown, starts, trigger, when};

/// Checks rows of (zone, trigger, from, to, starts). Instants are UTC: day, hour, minute.
fn check(rows: &[(&str, &str, &str, &str, &str)]) {
    for (zone, text, from, to, expected) in rows {
        assert_eq!(starts(&when(zone, trigger(text)), from, to), *expected, "{zone}: {text}");
    }
}

const NEW_YORK: &str = "America/New_York";
const LONDON: &str = "Europe/London";
const DUBLIN: &str = "Europe/Dublin";
const LORD_HOWE: &str = "Australia/Lord_Howe";
const SAO_PAULO: &str = "America/Sao_Paulo";
const APIA: &str = "Pacific/Apia";
const CASABLANCA: &str = "Africa/Casablanca";
const TROLL: &str = "Antarctica/Troll";
const SCORESBYSUND: &str = "America/Scoresbysund";
const ST_JOHNS: &str = "America/St_Johns";
const HAVANA: &str = "America/Havana";

#[test]
fn a_written_time_in_a_gap_is_shifted_by_the_gap() {
    check(&[
        // 02:00 -05 becomes 03:00 -04 on 8 March. 02:30 is shifted to 03:30; order and spacing are kept.
        (NEW_YORK, "at 02:30", "2026-03-07T12:00Z", "2026-03-10T00:00Z", "08 07:30 gap, 09 06:30"),
        (NEW_YORK, "at 02:00 02:59:59", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:00 gap, 08 07:59 gap"),
        (NEW_YORK, "at 01:59:59 03:00", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 06:59, 08 07:00"),
        (NEW_YORK, "once 2026-03-08T02:30 2026-03-08T03:15", "2026-03-01T00:00Z", "2026-04-01T00:00Z", "08 07:15, 08 07:30 gap"),
        // A shifted start that falls onto another one of the job is one start.
        (NEW_YORK, "at 02:30 03:30", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:30 gap"),
        (NEW_YORK, "once 2026-03-08T02:30 2026-03-08T03:30", "2026-03-01T00:00Z", "2026-04-01T00:00Z", "08 07:30 gap"),
        (LONDON, "at 01:30", "2026-03-28T12:00Z", "2026-03-30T12:00Z", "29 01:30 gap, 30 00:30"),
        // Dublin calls winter the exception; its clock does what London's does.
        (DUBLIN, "at 01:30", "2026-03-28T12:00Z", "2026-03-30T12:00Z", "29 01:30 gap, 30 00:30"),
        // Half an hour: 02:00 +10:30 becomes 02:30 +11.
        (LORD_HOWE, "at 02:15 02:30 02:45", "2026-10-03T12:00Z", "2026-10-04T12:00Z", "03 15:30, 03 15:45 gap"),
        // Two hours: 01:00 +00 becomes 03:00 +02.
        (TROLL, "at 01:30 02:30 03:15", "2026-03-29T00:00Z", "2026-03-29T12:00Z", "29 01:15, 29 01:30 gap, 29 02:30 gap"),
        // Midnight: 00:00 -03 becomes 01:00 -02.
        (SAO_PAULO, "at 00:00", "2018-11-03T12:00Z", "2018-11-05T12:00Z", "04 03:00 gap, 05 02:00"),
        (SAO_PAULO, "at 00:30", "2018-11-03T12:00Z", "2018-11-05T12:00Z", "04 03:30 gap, 05 02:30"),
        // The last hour before midnight: 23:00 -02 becomes 00:00 -01 of the next date; 23:30 is shifted over it.
        (SCORESBYSUND, "at 00:00 23:30", "2026-03-28T12:00Z", "2026-03-30T12:00Z", "29 01:00, 29 01:30 gap, 30 00:30, 30 01:00"),
        // A whole day: after 29 December 24:00 -10 comes 31 December 00:00 +14. Its noon is the next day's noon.
        (APIA, "at 12:00", "2011-12-29T00:00Z", "2012-01-01T00:00Z", "29 22:00, 30 22:00 gap, 31 22:00"),
        (APIA, "once 2011-12-30T18:00", "2011-12-01T00:00Z", "2012-02-01T00:00Z", "31 04:00 gap"),
        // Ramadan is standard time: 02:00 +00 becomes 03:00 +01 when it ends.
        (CASABLANCA, "at 02:30", "2026-03-21T12:00Z", "2026-03-23T12:00Z", "22 02:30 gap, 23 01:30"),
    ]);
}

#[test]
fn a_written_time_that_comes_twice_is_the_first() {
    check(&[
        // 02:00 -04 becomes 01:00 -05 on 1 November.
        (NEW_YORK, "at 01:30", "2026-10-31T12:00Z", "2026-11-02T12:00Z", "01 05:30 repeat, 02 06:30"),
        (NEW_YORK, "at 01:00 02:00", "2026-11-01T00:00Z", "2026-11-02T00:00Z", "01 05:00 repeat, 01 07:00"),
        (NEW_YORK, "once 2026-11-01T01:30", "2026-11-01T05:30Z", "2026-12-01T00:00Z", "01 05:30 repeat"),
        (NEW_YORK, "once 2026-11-01T01:30", "2026-11-01T05:31Z", "2026-12-01T00:00Z", ""),
        (DUBLIN, "at 01:30", "2026-10-24T12:00Z", "2026-10-26T12:00Z", "25 00:30 repeat, 26 01:30"),
        // 02:00 +11 becomes 01:30 +10:30: only half an hour comes twice.
        (LORD_HOWE, "at 01:15 01:45", "2026-04-04T12:00Z", "2026-04-05T12:00Z", "04 14:15, 04 14:45 repeat"),
        // 00:00 -02 becomes 23:00 -03 of the day before.
        (SAO_PAULO, "at 00:00 23:30", "2018-02-17T12:00Z", "2018-02-18T12:00Z", "18 01:30 repeat, 18 03:00"),
        // 00:01 becomes 23:01: midnight itself comes twice, and so does most of the last hour of the day before.
        (ST_JOHNS, "at 00:00 23:30", "2010-11-06T12:00Z", "2010-11-07T12:00Z", "07 02:00 repeat, 07 02:30 repeat"),
        (CASABLANCA, "at 02:30", "2026-02-14T12:00Z", "2026-02-16T12:00Z", "15 01:30 repeat, 16 02:30"),
    ]);
}

#[test]
fn cron_of_a_fixed_time_runs_once_right_after_a_gap_and_once_in_a_repeat() {
    check(&[
        (NEW_YORK, "cron 30 2 * * *", "2026-03-07T12:00Z", "2026-03-10T00:00Z", "08 07:00 gap, 09 06:30"),
        // croner itself loses these, because they are lists and ranges.
        (NEW_YORK, "cron 0 1,2 * * *", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 06:00, 08 07:00 gap"),
        (NEW_YORK, "cron 15-45/15 2 * * *", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:00 gap"),
        (NEW_YORK, "cron 30 1-3 * * *", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 06:30, 08 07:00 gap, 08 07:30"),
        // Carried onto a start of its own: one start.
        (NEW_YORK, "cron 0 2,3 * * *", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:00 gap"),
        (NEW_YORK, "cron 30 1 * * *", "2026-10-31T12:00Z", "2026-11-02T12:00Z", "01 05:30 repeat, 02 06:30"),
        (
            NEW_YORK,
            "cron 0,30 1,2 * * *",
            "2026-11-01T00:00Z",
            "2026-11-02T00:00Z",
            "01 05:00 repeat, 01 05:30 repeat, 01 07:00, 01 07:30",
        ),
        // With seconds too: whoever adds a leading 0 does not ask for another rule.
        (NEW_YORK, "cron 0 30 2 * * *", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:00 gap"),
        (NEW_YORK, "cron 0 30 1 * * *", "2026-11-01T00:00Z", "2026-11-02T00:00Z", "01 05:30 repeat"),
        (LONDON, "cron 0 0 * * *", "2026-03-28T12:00Z", "2026-03-30T12:00Z", "29 00:00, 29 23:00"),
        (LORD_HOWE, "cron 15 2 * * *", "2026-10-03T12:00Z", "2026-10-04T12:00Z", "03 15:30 gap"),
        (LORD_HOWE, "cron 45 1 * * *", "2026-04-04T12:00Z", "2026-04-05T12:00Z", "04 14:45 repeat"),
        (SAO_PAULO, "cron 0 0 * * *", "2018-11-03T12:00Z", "2018-11-05T12:00Z", "04 03:00 gap, 05 02:00"),
        (SCORESBYSUND, "cron 30 23 * * *", "2026-03-28T12:00Z", "2026-03-30T12:00Z", "29 01:00 gap, 30 00:30"),
        // The day fields are those of the date that was lost.
        (APIA, "cron 0 12 30 * *", "2011-12-01T00:00Z", "2012-02-01T00:00Z", "30 10:00 gap, 29 22:00"),
        (APIA, "cron 0 12 * * FRI", "2011-12-29T00:00Z", "2012-01-01T00:00Z", "30 10:00 gap"),
        // A step is no star.
        (NEW_YORK, "cron 0 0-23/2 * * *", "2026-03-08T04:00Z", "2026-03-08T10:00Z", "08 05:00, 08 07:00 gap, 08 08:00"),
    ]);
}

#[test]
fn cron_with_a_wildcard_minute_or_hour_follows_elapsed_time() {
    check(&[
        (NEW_YORK, "cron */30 * * * *", "2026-03-08T06:00Z", "2026-03-08T08:00Z", "08 06:00, 08 06:30, 08 07:00, 08 07:30"),
        // Nothing is carried out of the gap, and both passes of the repeat are had.
        (NEW_YORK, "cron 30 */2 * * *", "2026-03-08T05:00Z", "2026-03-08T10:00Z", "08 05:30, 08 08:30"),
        (
            NEW_YORK,
            "cron */30 1 * * *",
            "2026-11-01T00:00Z",
            "2026-11-02T00:00Z",
            "01 05:00 repeat, 01 05:30 repeat, 01 06:00 repeat, 01 06:30 repeat",
        ),
        (NEW_YORK, "cron * 2 8 3 *", "2026-01-01T00:00Z", "2026-12-01T00:00Z", ""),
        (
            NEW_YORK,
            "cron 0 * * * *",
            "2026-11-01T04:00Z",
            "2026-11-01T08:00Z",
            "01 04:00, 01 05:00 repeat, 01 06:00 repeat, 01 07:00",
        ),
        // cronsim steps over hours that exist only in part. The hour of 02:00 has only its second half here.
        (LORD_HOWE, "cron */20 2 * * *", "2026-10-03T12:00Z", "2026-10-04T12:00Z", "03 15:40"),
        (LORD_HOWE, "cron 45 * * * *", "2026-10-03T14:00Z", "2026-10-03T17:00Z", "03 14:15, 03 15:15, 03 15:45, 03 16:45"),
        (
            LORD_HOWE,
            "cron */30 * * * *",
            "2026-04-04T14:00Z",
            "2026-04-04T16:00Z",
            "04 14:00, 04 14:30 repeat, 04 15:00 repeat, 04 15:30",
        ),
        // Midnight does not exist, and the day begins at 01:00.
        (SAO_PAULO, "cron 0 */1 4 11 *", "2018-11-01T00:00Z", "2018-11-04T05:30Z", "04 03:00, 04 04:00, 04 05:00"),
        (SAO_PAULO, "cron */30 0 4 11 *", "2018-01-01T00:00Z", "2018-12-01T00:00Z", ""),
        // 23:01 to 00:01 comes twice; the two passes of one date are not next to each other.
        (ST_JOHNS, "cron */30 23 6 11 *", "2010-11-07T00:00Z", "2010-11-08T00:00Z", "07 01:30, 07 02:00 repeat, 07 03:00 repeat"),
        (
            ST_JOHNS,
            "cron 0 * * * *",
            "2010-11-07T01:00Z",
            "2010-11-07T05:00Z",
            "07 01:30, 07 02:30 repeat, 07 03:30 repeat, 07 04:30",
        ),
        (APIA, "cron 0 */12 * * *", "2011-12-29T09:00Z", "2011-12-31T00:00Z", "29 10:00, 29 22:00, 30 10:00, 30 22:00"),
    ]);
}

#[test]
fn cron_reads_a_range_of_one_value_with_a_step_as_that_value() {
    check(&[
        ("UTC", "cron 20-20/7 9 * * *", "2026-11-22T00:00Z", "2026-11-24T00:00Z", "22 09:20, 23 09:20"),
        ("UTC", "cron 0 9 * * MON-MON/2", "2026-11-22T00:00Z", "2026-12-01T00:00Z", "23 09:00, 30 09:00"),
    ]);
}

#[test]
fn every_counts_elapsed_time_from_the_first_instant_of_the_date() {
    check(&[
        ("UTC", "every 28800", "2026-11-22T00:00Z", "2026-11-23T01:00Z", "22 00:00, 22 08:00, 22 16:00, 23 00:00"),
        // A step that does not divide the day begins anew at midnight.
        ("UTC", "every 36000", "2026-11-22T00:00Z", "2026-11-23T11:00Z", "22 00:00, 22 10:00, 22 20:00, 23 00:00, 23 10:00"),
        ("UTC", "every 86400", "2026-11-22T00:00Z", "2026-11-24T00:00Z", "22 00:00, 23 00:00"),
        // 23 hours, then 25: the grid is elapsed, so local times move.
        (NEW_YORK, "every 21600", "2026-03-08T05:00Z", "2026-03-09T05:00Z", "08 05:00, 08 11:00, 08 17:00, 08 23:00, 09 04:00"),
        (
            NEW_YORK,
            "every 21600",
            "2026-11-01T04:00Z",
            "2026-11-02T06:00Z",
            "01 04:00, 01 10:00, 01 16:00, 01 22:00, 02 04:00, 02 05:00",
        ),
        (NEW_YORK, "every 3600", "2026-11-01T04:00Z", "2026-11-01T08:00Z", "01 04:00, 01 05:00 repeat, 01 06:00 repeat, 01 07:00"),
        // The day begins at 01:00.
        (SAO_PAULO, "every 43200", "2018-11-04T00:00Z", "2018-11-05T12:00Z", "04 03:00, 04 15:00, 05 02:00"),
        // Midnight comes twice: the day begins at the first.
        (HAVANA, "every 43200", "2024-11-03T00:00Z", "2024-11-04T12:00Z", "03 04:00 repeat, 03 16:00, 04 04:00, 04 05:00"),
        // The lost day has no instant.
        (APIA, "every 43200", "2011-12-29T00:00Z", "2011-12-31T12:00Z", "29 10:00, 29 22:00, 30 10:00, 30 22:00, 31 10:00"),
        // The gap ends the day before: 29 March begins at its end, as on any day.
        (SCORESBYSUND, "every 43200", "2026-03-28T00:00Z", "2026-03-30T00:00Z", "28 02:00, 28 14:00, 29 01:00, 29 13:00"),
    ]);
}

#[test]
fn every_between_two_times_goes_by_the_date_on_which_it_began() {
    check(&[
        (
            "UTC",
            "every 1800 09:00 10:30",
            "2026-11-22T00:00Z",
            "2026-11-23T10:00Z",
            "22 09:00, 22 09:30, 22 10:00, 23 09:00, 23 09:30",
        ),
        ("UTC", "every 7200 22:00 02:00", "2026-11-22T00:00Z", "2026-11-23T12:00Z", "22 00:00, 22 22:00, 23 00:00"),
        ("UTC", "every 43200 09:00 09:00", "2026-11-22T00:00Z", "2026-11-23T00:00Z", "22 09:00, 22 21:00"),
        // The window has one hour less and one hour more than it says.
        (NEW_YORK, "every 3600 00:00 04:00", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 05:00, 08 06:00, 08 07:00"),
        (
            NEW_YORK,
            "every 3600 00:00 03:00",
            "2026-11-01T00:00Z",
            "2026-11-02T00:00Z",
            "01 04:00, 01 05:00 repeat, 01 06:00 repeat, 01 07:00",
        ),
        // A window whose start is in the gap is shifted, and marked as a whole.
        (NEW_YORK, "every 1800 02:30 05:00", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:30 gap, 08 08:00 gap, 08 08:30 gap"),
        // And one that would end before it begins keeps its length.
        (NEW_YORK, "every 900 02:30 03:00", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:30 gap, 08 07:45 gap"),
        (NEW_YORK, "every 900 02:45 03:15", "2026-03-08T00:00Z", "2026-03-09T00:00Z", "08 07:45 gap, 08 08:00 gap"),
    ]);
    let mondays = on_days(trigger("every 7200 22:00 02:00"), Weekdays::NONE.with(Weekday::Monday));
    let mut monday_nights = when("UTC", mondays);
    assert_eq!(
        starts(&monday_nights, "2026-11-22T00:00Z", "2026-12-08T00:00Z"),
        "23 22:00, 24 00:00, 30 22:00, 01 00:00, 07 22:00"
    );
    monday_nights.except = dates(&[(date(2026, 11, 24), date(2026, 11, 24)), (date(2026, 11, 30), date(2026, 11, 30))]);
    assert_eq!(starts(&monday_nights, "2026-11-22T00:00Z", "2026-12-08T00:00Z"), "23 22:00, 24 00:00, 07 22:00");
}

#[test]
fn bounds_and_exceptions_hold_for_the_start() {
    let mut daily = when("Asia/Shanghai", trigger("at 00:30"));
    daily.from = Some(instant("2026-10-01T16:30Z"));
    daily.until = Some(instant("2026-10-08T16:30Z"));
    daily.except = dates(&[(date(2026, 10, 3), date(2026, 10, 7))]);
    assert_eq!(starts(&daily, "2026-01-01T00:00Z", "2027-01-01T00:00Z"), "01 16:30, 07 16:30");
    daily.from = Some(instant("2026-10-01T16:30:00.001Z"));
    assert_eq!(starts(&daily, "2026-01-01T00:00Z", "2027-01-01T00:00Z"), "07 16:30");
    daily.until = Some(instant("2026-10-07T16:30:00.001Z"));
    assert_eq!(starts(&daily, "2026-01-01T00:00Z", "2027-01-01T00:00Z"), "07 16:30");

    // A date that is excepted is that of the start as it comes, not as it was written.
    let mut carried = when(SCORESBYSUND, trigger("cron 30 23 * * *"));
    carried.except = dates(&[(date(2026, 3, 29), date(2026, 3, 29))]);
    assert_eq!(starts(&carried, "2026-03-27T12:00Z", "2026-03-31T12:00Z"), "28 01:30, 31 00:30");

    // 7 November begins, is interrupted by the last hour of the 6th once more, and goes on.
    let mut interrupted = when(ST_JOHNS, trigger("cron */30 * * * *"));
    interrupted.except = dates(&[(date(2010, 11, 7), date(2010, 11, 7))]);
    let expected = "07 02:00 repeat, 07 03:00 repeat";
    assert_eq!(starts(&interrupted, "2010-11-07T01:45Z", "2010-11-08T03:30Z"), expected);

    let mut seconds = when("UTC", trigger("every 1"));
    seconds.except = dates(&[(date(2026, 1, 1), date(2056, 12, 31))]);
    assert_eq!(seconds.next_after(instant("2026-01-01T00:00Z")).expect("it comes").at, instant("2057-01-01T00:00Z"));
}

#[test]
fn days_go_by_the_written_date() {
    let saturdays = |text: &str| on_days(trigger(text), Weekdays::NONE.with(Weekday::Saturday));
    // 23:30 on Saturday 28 March does not exist and is shifted into Sunday.
    let late = when(SCORESBYSUND, saturdays("at 23:30"));
    assert_eq!(starts(&late, "2026-03-23T00:00Z", "2026-04-06T00:00Z"), "29 01:30 gap, 05 00:30");
    // Saturday's grid of `every` begins with the Saturday.
    let noon = when(SAO_PAULO, saturdays("every 43200"));
    assert_eq!(starts(&noon, "2018-02-12T00:00Z", "2018-02-19T00:00Z"), "17 02:00, 17 14:00, 18 02:00 repeat");
}

#[test]
fn an_end_is_the_first_such_time_after_the_written_start() {
    // Zone, trigger, from where the first start is taken, `to`, start, end.
    for (zone, text, from, to, expected) in [
        ("Asia/Shanghai", "at 18:00", "2026-11-22T00:00Z", "20:00", "22 10:00 to 22 12:00"),
        ("UTC", "at 22:00", "2026-11-22T00:00Z", "02:00", "22 22:00 to 23 02:00"),
        ("UTC", "at 00:00", "2026-11-22T00:00Z", "00:00", "22 00:00 to 23 00:00"),
        ("UTC", "at 23:59:59", "2026-11-22T00:00Z", "00:00", "22 23:59 to 23 00:00"),
        // 23 and 25 hours from midnight to midnight.
        (NEW_YORK, "at 00:00", "2026-03-08T00:00Z", "00:00", "08 05:00 to 09 04:00"),
        (NEW_YORK, "at 00:00", "2026-11-01T00:00Z", "00:00", "01 04:00 to 02 05:00"),
        // An end in a gap is shifted by it, an end that comes twice is the first.
        (NEW_YORK, "at 01:00", "2026-03-08T00:00Z", "02:30", "08 06:00 to 08 07:30 gap"),
        (NEW_YORK, "at 00:30", "2026-11-01T00:00Z", "01:30", "01 04:30 to 01 05:30 repeat"),
        // Start and end in the gap: both are shifted, the length is kept.
        (NEW_YORK, "at 02:15", "2026-03-08T00:00Z", "02:45", "08 07:15 gap to 08 07:45 gap"),
        // A start shifted onto or over its end: the written difference. The end is counted from what was written, never a day on.
        (NEW_YORK, "at 02:30", "2026-03-08T00:00Z", "03:30", "08 07:30 gap to 08 08:30"),
        (NEW_YORK, "at 02:45", "2026-03-08T00:00Z", "03:15", "08 07:45 gap to 08 08:15"),
        (APIA, "at 12:00", "2011-12-29T23:00Z", "18:00", "30 22:00 gap to 31 04:00"),
        // `cron` and `every` write no time: their local time counts, also that of a start carried out of a gap.
        (NEW_YORK, "cron 30 2 * * *", "2026-03-08T00:00Z", "02:45", "08 07:00 gap to 09 06:45"),
        (NEW_YORK, "cron 30 2 * * *", "2026-03-08T00:00Z", "03:15", "08 07:00 gap to 08 07:15"),
        // The second pass of a repeat: the first 01:45 is behind it.
        (NEW_YORK, "cron */30 * * * *", "2026-11-01T06:30Z", "01:45", "01 06:30 repeat to 01 06:45 repeat"),
        (NEW_YORK, "every 1800", "2026-11-01T06:00Z", "01:15", "01 06:00 repeat to 01 06:15 repeat"),
        (NEW_YORK, "every 1800", "2026-11-01T06:30Z", "02:00", "01 06:30 repeat to 01 07:00"),
    ] {
        let when = when(zone, trigger(text));
        let start = when.not_before(instant(from)).expect("it comes");
        let (end, dst) = when.end_at(&start, to.parse().expect("a time")).expect("it comes");
        assert_eq!(format!("{} to {}", shown(start.at, start.dst), shown(end, dst)), expected, "{zone}: {text} to {to}");
    }
}

#[test]
fn what_never_comes_ends_and_what_is_rare_is_found() {
    let began = Instant::now();
    for text in ["cron 0 12 30 2 *", "cron 0 0 31 4,6,9,11 *", "cron * * * 31 2 *", "cron 0 0 1-7 * +1#2"] {
        assert_eq!(when(NEW_YORK, trigger(text)).next_after(instant("2026-01-01T00:00Z")), None, "{text}");
    }
    // 29 February on a Monday: 2072, and then, over 2100 which is no leap year, 2112.
    let rare = when("UTC", trigger("cron 0 0 29 2 +MON"));
    assert_eq!(rare.next_after(instant("2060-03-01T00:00Z")).expect("it comes").at, instant("2072-02-29T00:00Z"));
    assert_eq!(rare.next_after(instant("2072-02-29T00:00Z")).expect("it comes").at, instant("2112-02-29T00:00Z"));
    let mut excepted = when(NEW_YORK, trigger("every 1"));
    excepted.except = dates(&[(date(1900, 1, 1), date(2900, 1, 1))]);
    assert_eq!(excepted.next_after(instant("2026-01-01T00:00Z")), None);
    let mut over = when(NEW_YORK, trigger("at 12:00"));
    over.until = Some(instant("2020-01-01T00:00Z"));
    assert_eq!(over.next_after(instant("2026-01-01T00:00Z")), None);
    // Not a measurement: an unbounded search would not come back at all.
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn the_edges_of_time_are_no_panic() {
    for text in ["at 12:00", "cron * * * * *", "every 1", "every 60 22:00 02:00", "once 2026-01-01T00:00", "cron 0 0 29 2 *"] {
        for name in [NEW_YORK, "UTC", APIA] {
            let when = when(name, trigger(text));
            for at in [jiff::Timestamp::MIN, jiff::Timestamp::MAX, instant("9999-12-29T00:00Z"), instant("-009998-01-01T00:00Z")] {
                let start = when.next_after(at);
                assert!(start.is_none_or(|start| start.at > at), "{name}: {text}");
            }
        }
    }
}

#[test]
fn a_fraction_of_a_second_neither_hides_nor_repeats_a_start() {
    for text in
        ["1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00Z"]
    {
        let at = instant(text);
        let every_second = when("UTC", Trigger::Cron(CronPattern::parse("* * * * * *").expect("good").into()));
        let next = every_second.next_after(at).expect("it comes").at;
        assert!(next > at && next.as_nanosecond() - at.as_nanosecond() <= 1_000_000_000, "{text}: {next}");
        let here = every_second.not_before(at).expect("it comes").at;
        assert!(here >= at && here.as_nanosecond() - at.as_nanosecond() < 1_000_000_000, "{text}: {here}");
    }
}
