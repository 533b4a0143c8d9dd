//! Every rule of what a conflict is, on schedules as small as can be.

use ingestd::plan::conflicts::{ConflictKind, Conflicts, check_conflicts};

use super::{NOW, instant, jobs};

fn checked(zone: &str, written: &[(&str, &str)]) -> Conflicts {
    check_conflicts(&jobs(zone, written), instant(NOW))
}

/// `earlier later kind`, a clash each; `(clock)` where only a clock change makes it.
fn clashes(zone: &str, written: &[(&str, &str)]) -> String {
    let conflicts = checked(zone, written);
    assert!(!conflicts.more);
    let clash = |clash: &ingestd::plan::conflicts::Clash| {
        let kind = match clash.kind {
            ConflictKind::Overlap => "overlap",
            ConflictKind::EqualStarts => "equal",
            ConflictKind::TwoYielders => "yielders",
            ConflictKind::OneRobot => "robot",
        };
        let by_clock = if clash.by_clock_change { " (clock)" } else { "" };
        format!("{} {} {kind}{by_clock}", clash.earlier.job.id, clash.later.job.id)
    };
    conflicts.clashes.iter().map(clash).collect::<Vec<_>>().join(", ")
}

const SHANGHAI: &str = "Asia/Shanghai";
const NEW_YORK: &str = "America/New_York";

#[test]
fn two_windows_meet_when_one_begins_two_seconds_or_more_before_the_end_of_the_other() {
    for (first, second, expected) in [
        (r#"at: "18:00", for: 2h"#, r#"at: "20:00", for: 1h"#, ""),
        (r#"at: "18:00", for: 2h"#, r#"at: "19:59:59", for: 1h"#, ""),
        (r#"at: "18:00", for: 2h"#, r#"at: "19:59:58", for: 1h"#, "a b overlap"),
        (r#"at: "18:00", for: 2h"#, r#"at: "19:00", for: 2s"#, "a b overlap"),
        // A window of a second inside another takes the room too: the daemon cuts the longer one for it.
        (r#"at: "18:00", for: 2h"#, r#"at: "19:00", for: 1s"#, "a b overlap"),
        (r#"at: "18:00", for: 2h"#, r#"at: "19:59:58", for: 1s"#, "a b overlap"),
        (r#"at: "18:00", for: 2h"#, r#"at: "19:59:59", for: 1s"#, ""),
        (r#"at: "18:00", for: 2h"#, r#"at: "18:00", length: 1500ms"#, "a b equal"),
        (r#"at: "18:00", for: 1s"#, r#"at: "18:00", for: 1s"#, "a b equal"),
        (r#"at: "18:00", for: 1s"#, r#"at: "18:00:01", for: 1s"#, ""),
        (r#"at: "18:00", for: 2h"#, r#"at: "19:00", for: 1s, conflict: preempt"#, ""),
        (r#"at: "18:00", length: 1h, repeat: 2, seek: 30m"#, r#"at: "19:30", for: 1h"#, ""),
        (r#"at: "18:00", length: 1h, repeat: 2, seek: 30m"#, r#"at: "19:29", for: 1h"#, "a b overlap"),
        (r#"at: "22:00", to: "02:00""#, r#"at: "01:00", to: "01:30""#, "a b overlap"),
        (r#"at: "22:00", to: "02:00", days: sat"#, r#"at: "01:00", to: "01:30", days: mon..sat"#, ""),
        (r#"at: "18:00", for: 2h, except: 2027-01-01..2027-12-31"#, "once: 2027-01-01 19:00, for: 1h", ""),
        (r#"at: "18:00", for: 2h, until: 2026-12-31"#, r#"at: "18:00", for: 2h, from: 2027-01-01"#, ""),
        (r#"at: "18:00", for: 2h, until: 2027-01-01"#, r#"at: "18:00", for: 2h, from: 2027-01-01"#, "a b equal"),
        (r#"at: "18:00", for: 2h"#, r#"cron: "0 19 1 * *", for: 1h"#, "a b overlap"),
        // The week's last day, seen from now.
        (r#"at: "18:00", for: 2h, days: sun"#, r#"at: "19:00", for: 2h, days: sun"#, "a b overlap"),
        // Two that share no date but one.
        (r#"cron: "0 18 13 * *", for: 2h"#, r#"cron: "0 19 * * 5L", for: 2h"#, ""),
        (r#"cron: "0 18 26 * *", for: 2h"#, r#"cron: "0 19 * * 5L", for: 2h"#, "a b overlap"),
    ] {
        assert_eq!(clashes(SHANGHAI, &[("a", first), ("b", second)]), expected, "{first} and {second}");
        assert_eq!(clashes(SHANGHAI, &[("b", second), ("a", first)]), expected, "{second} and {first}");
    }
}

#[test]
fn an_open_end_counts_only_when_it_begins_and_never_counts_for_ever() {
    for (first, second, expected) in [
        (r#"at: "18:00""#, r#"at: "18:00:01", for: 1h"#, ""),
        (r#"at: "18:00""#, r#"at: "18:00", for: 1h"#, "a b equal"),
        (r#"at: "18:00""#, r#"at: "18:00""#, "a b equal"),
        (r#"at: "18:00", for: 1h"#, r#"at: "18:30""#, "a b overlap"),
        (r#"at: "18:00", for: 1h"#, r#"at: "18:59:59""#, ""),
        ("once: 2026-11-30 18:00, to: never", "once: 2027-12-01 10:00", "a b overlap"),
        ("once: 2026-11-30 18:00, to: never", "once: 2026-11-30 17:00, for: 1h", ""),
        // It began months ago, and has no end.
        ("once: 2026-02-01 18:00, to: never", "once: 2026-12-01 10:00, for: 1s", "a b overlap"),
        ("once: 2026-02-01 18:00, to: never", "once: 2026-12-01 10:00, for: 1m", "a b overlap"),
    ] {
        assert_eq!(clashes(SHANGHAI, &[("a", first), ("b", second)]), expected, "{first} and {second}");
    }
}

#[test]
fn of_unequal_starts_the_later_may_preempt_either_may_yield_and_both_may_allow() {
    let modes = ["reject", "preempt", "yield", "allow"];
    let permitted = ["reject preempt", "preempt preempt", "allow preempt", "allow allow"];
    for first in modes {
        for second in modes {
            let says = format!("{first} {second}");
            let expected = if permitted.contains(&says.as_str()) || says.contains("yield") { "" } else { "a b overlap" };
            let (a, b) =
                (format!(r#"at: "18:00", for: 2h, conflict: {first}"#), format!(r#"at: "19:00", for: 2h, conflict: {second}"#));
            assert_eq!(clashes(SHANGHAI, &[("a", &a), ("b", &b)]), expected, "{says}");
        }
    }
}

#[test]
fn of_equal_starts_exactly_one_may_yield_or_both_may_allow() {
    let modes = ["reject", "preempt", "yield", "allow"];
    for first in modes {
        for second in modes {
            let expected = match (first, second) {
                ("yield", "yield") => "a b yielders",
                ("yield", _) | (_, "yield") | ("allow", "allow") => "",
                _ => "a b equal",
            };
            let job = |mode: &str, length: &str| format!(r#"at: "18:00", for: {length}, conflict: {mode}"#);
            let found = clashes(SHANGHAI, &[("a", &job(first, "2h")), ("b", &job(second, "1h"))]);
            assert_eq!(found, expected, "{first} and {second}");
        }
    }
}

#[test]
fn who_allows_another_needs_a_robot_of_its_own() {
    for (first, second, expected) in [
        ("{job}", "{job}", ""),
        ("announcer", "announcer", "a b robot"),
        ("announcer", "{job}", ""),
        ("x-{start}", "x-{start}", ""),
        ("{job}-{start}", "{job}-{start}", ""),
        // The first of them, at 18:00 in Shanghai, is called so.
        ("x-20261201T100000Z", "x-{start}", ""),
        ("x-{start}", "x-20261201T100000Z", "a b robot"),
    ] {
        let job = |at: &str, robot: &str| format!(r#"at: "{at}", for: 2h, conflict: allow, robot: "{robot}""#);
        assert_eq!(
            clashes(SHANGHAI, &[("a", &job("18:00", first)), ("b", &job("19:00", second))]),
            expected,
            "{first} and {second}"
        );
    }
    let equal = r#"at: "18:00", for: 2h, conflict: allow, robot: "x-{start}""#;
    assert_eq!(clashes(SHANGHAI, &[("a", equal), ("b", equal)]), "a b robot");
}

#[test]
fn a_robot_that_is_the_start_of_a_job_in_another_room_is_a_conflict() {
    for (first, second, expected) in [
        // The first of them, at 18:00 in Shanghai, is called so.
        ("x-{start}", "x-20261201T100000Z", "a b robot"),
        ("{start}", "20261201T100000Z", "a b robot"),
        ("{job}-{start}", "a-20261201T100000Z", "a b robot"),
        ("{start}20261201T110000Z", "20261201T100000Z{start}", "a b robot"),
        // No show begins then, or it is over when the other begins.
        ("x-{start}", "x-20261201T100001Z", ""),
        ("x-{start}", "x-20261331T100000Z", ""),
        ("x-{start}", "x-20261130T100000Z", ""),
        // It is past.
        ("x-{start}", "x-20261101T100000Z", ""),
        // Robots of their own.
        ("x-{start}", "y-20261201T100000Z", ""),
        ("x-{start}", "y-{start}", ""),
        ("{start}20261201T110000Z", "20261201T100001Z{start}", ""),
    ] {
        let b = "once: 2026-12-01 19:00, for: 2h";
        let job = |when: &str, room: &str, robot: &str| format!(r#"{when}, room: {room}, robot: "{robot}""#);
        let a = job(r#"at: "18:00", for: 2h"#, "one", first);
        assert_eq!(clashes(SHANGHAI, &[("a", &a), ("b", &job(b, "two", second))]), expected, "{first} and {second}");
        assert_eq!(
            clashes(SHANGHAI, &[("a", &a), ("b", &format!("{}, app: other", job(b, "two", second)))]),
            "",
            "other applications"
        );
        assert_eq!(
            clashes(SHANGHAI, &[("a", &a), ("b", &format!("{}, enabled: false", job(b, "two", second)))]),
            "",
            "not enabled"
        );
    }
    // Whatever they say about others in their rooms; whichever begins first; and what is open already.
    for (when, expected) in [
        ("once: 2026-12-01 17:00, for: 90m, conflict: preempt", "b a robot"),
        ("once: 2026-12-01 18:00, for: 1s", "a b robot"),
        ("once: 2026-11-21 18:00, to: never", "b a robot"),
        ("once: 2026-12-01 17:00, for: 1h", ""),
        ("once: 2026-12-01 20:00, for: 1h", ""),
        ("once: 2026-12-01 17:00", ""),
    ] {
        let b = format!("{when}, room: two, robot: x-20261201T100000Z");
        let a = r#"at: "18:00", for: 2h, room: one, robot: "x-{start}""#;
        assert_eq!(clashes(SHANGHAI, &[("a", a), ("b", &b)]), expected, "{when}");
    }
    let conflicts = checked(
        SHANGHAI,
        &[
            ("a", r#"at: "18:00", for: 2h, room: one, robot: "x-{start}""#),
            ("b", "once: 2026-12-01 19:00, for: 2h, room: two, robot: x-20261201T100000Z"),
        ],
    );
    let text = conflicts.diagnostics(ingestd::plan::conflicts::Strictness::Check)[0].to_string();
    let expected = "`b` begins in the room `two` at 2026-12-01 19:00 +08:00 with the robot `x-20261201T100000Z`, while `a` has the same \
                    robot in the room `one` from 2026-12-01 18:00 +08:00 on";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_jobs_own_windows_count_too() {
    for (fields, expected) in [
        (r#"at: "18:00", for: 1d"#, ""),
        (r#"at: "18:00", for: 30h"#, "a a overlap"),
        (r#"at: "18:00", for: 30h, days: sat"#, ""),
        (r#"at: ["18:00", "20:00"], to: "21:00""#, "a a overlap"),
        ("every: 30m, for: 30m", ""),
        ("every: 30m, for: 30m1s", ""),
        ("every: 30m, for: 30m2s", "a a overlap"),
        ("every: 30m, for: 2h, conflict: preempt", ""),
        ("every: 30m, for: 2h, conflict: yield", ""),
        ("every: 30m, for: 2h, conflict: allow", "a a robot"),
        (r#"every: 30m, for: 2h, conflict: allow, robot: "{job}-{start}""#, ""),
        ("every: 7h, for: 3h", ""),
        ("every: 7h, for: 4h", "a a overlap"),
        (r#"at: "18:00", to: never"#, "a a overlap"),
        ("once: 2026-12-01 18:00, to: never", ""),
        ("every: 30m", ""),
        (r#"cron: "0 0 1,2 * *", for: 25h"#, "a a overlap"),
    ] {
        assert_eq!(clashes(SHANGHAI, &[("a", fields)]), expected, "{fields}");
    }
}

#[test]
fn only_enabled_jobs_on_one_target_are_checked() {
    let show = r#"at: "18:00", for: 2h"#;
    for (other, expected) in [
        ("", "a b equal"),
        (", enabled: false", ""),
        (", room: hall", ""),
        (", room: 42", ""),
        (", app: other", ""),
        // Another name of the same application.
        (", app: alias", "a b equal"),
    ] {
        assert_eq!(clashes(SHANGHAI, &[("a", show), ("b", &format!("{show}{other}"))]), expected, "{other}");
    }
    assert_eq!(
        clashes(
            SHANGHAI,
            &[("a", r#"at: "18:00", for: 2h, room: 42"#), ("b", r#"at: "18:00", for: 2h, room: {id: "42", type: string}"#)]
        ),
        ""
    );
}

#[test]
fn what_has_begun_counts_and_of_two_that_have_begun_nothing_is_said() {
    // It is 20:00 in Shanghai.
    for (first, second, expected) in [
        ("once: 2026-11-22 19:00, for: 3h", "once: 2026-11-22 21:00, for: 1h", "a b overlap"),
        ("once: 2026-11-22 19:00, for: 3h", "once: 2026-11-22 20:00, for: 1h", "a b overlap"),
        ("once: 2026-11-22 19:00, for: 3h", "once: 2026-11-22 19:30, for: 3h", ""),
        ("once: 2026-11-22 19:00, for: 1h", "once: 2026-11-22 20:00, for: 1h", ""),
        (r#"at: "19:00", to: "23:00", until: 2026-11-22"#, "once: 2026-11-22 21:00, for: 1h", "a b overlap"),
        // 400 days, and a minute more.
        (r#"at: "19:50", for: 1h"#, "once: 2027-12-27 19:59, for: 1h", "a b overlap"),
        (r#"at: "19:50", for: 1h"#, "once: 2027-12-27 20:00, for: 1h", ""),
    ] {
        assert_eq!(clashes(SHANGHAI, &[("a", first), ("b", second)]), expected, "{first} and {second}");
    }
}

#[test]
fn what_only_a_clock_change_makes_is_marked() {
    assert_eq!(clashes(NEW_YORK, &[("a", r#"at: ["01:30", "03:15"], for: 100m"#)]), "a a overlap (clock)");
    for (first, second, expected) in [
        // The night of 14 March has an hour less: what is measured by elapsed time ends an hour later on the clock.
        (r#"at: "23:00", for: 8h"#, r#"at: "07:00", for: 1h"#, "a b overlap (clock)"),
        (r#"at: "23:00", to: "07:00""#, r#"at: "07:00", for: 1h"#, ""),
        (r#"at: "23:00", for: 9h"#, r#"at: "07:00", for: 1h"#, "a b overlap"),
        (r#"at: "02:30", for: 10m"#, r#"at: "03:30", for: 5m"#, "a b equal (clock)"),
        (r#"at: "02:30", for: 10m"#, r#"at: "03:35", for: 5m"#, "a b overlap (clock)"),
        (r#"cron: "30 2 * * *", for: 10m"#, r#"at: "03:05", for: 5m"#, "a b overlap (clock)"),
        (r#"at: "00:30", for: 90m"#, r#"at: "02:00", for: 1h"#, ""),
        (r#"at: "00:30", for: 2h"#, r#"cron: "30 2 * * *", for: 1h"#, "a b overlap (clock)"),
        (r#"at: "00:00", for: 1d"#, "once: 2027-03-20 12:00, for: 1h", "a a overlap (clock), a b overlap"),
        // Steps count from midnight, and the last is an hour nearer to the next one.
        ("every: 6h, for: 5h30m", r#"at: "00:00", for: 1h, conflict: yield"#, "a a overlap (clock)"),
        ("every: 1h, for: 50m", "once: 2027-03-14 12:55, for: 5m", ""),
        // Clocks change in one zone only: the two meet every day of the summer.
        (r#"at: "08:00", for: 1h"#, r#"at: "20:00", for: 1h, timezone: Asia/Shanghai"#, "a b equal"),
        (r#"at: "08:30", for: 1h"#, r#"at: "20:00", for: 1h, timezone: Asia/Shanghai"#, "b a overlap"),
    ] {
        assert_eq!(clashes(NEW_YORK, &[("a", first), ("b", second)]), expected, "{first} and {second}");
    }
}

#[test]
fn a_clash_without_a_clock_change_is_reported_before_one_with() {
    // Every night of the clock change, and one night in summer.
    let night = r#"at: "23:00", for: 8h"#;
    let conflicts = checked(NEW_YORK, &[("a", night), ("b", r#"at: "07:00", for: 1h"#), ("c", "once: 2027-07-01 06:30, for: 10m")]);
    let clashes: Vec<_> = conflicts.clashes.iter().map(|clash| (clash.starts_at(), clash.by_clock_change)).collect();
    assert_eq!(clashes, [(instant("2027-03-14T11:00Z"), true), (instant("2027-07-01T10:30Z"), false)]);
    let twice = checked(NEW_YORK, &[("a", night), ("b", "once: [2027-03-14 07:00, 2027-06-01 06:00], for: 1h")]);
    let clashes: Vec<_> = twice.clashes.iter().map(|clash| (clash.starts_at(), clash.by_clock_change)).collect();
    assert_eq!(clashes, [(instant("2027-06-01T10:00Z"), false)]);
}
