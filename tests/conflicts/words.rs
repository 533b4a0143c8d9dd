//! How clashes are reported: how serious they are and for whom, how many, and how far the check looked.

use std::fmt::Write as _;

use ingestd::diagnostic::Severity;
use ingestd::plan::conflicts::{Strictness, check_conflicts};

use super::{NOW, instant, jobs};

const SHANGHAI: &str = "Asia/Shanghai";

#[test]
fn far_ahead_a_clash_is_an_error_for_who_writes_and_a_warning_for_who_plays() {
    let promo = ("promo", r#"at: "18:00", for: 2h"#);
    for (gala, check, run) in [
        ("once: 2026-12-26 19:00, for: 2h", Severity::Error, Severity::Error),
        // Ten seconds before 35 days are over.
        ("once: 2026-12-27 19:59:50, for: 2h", Severity::Error, Severity::Error),
        ("once: 2026-12-28 19:00, for: 2h", Severity::Error, Severity::Warning),
    ] {
        let conflicts = check_conflicts(&jobs(SHANGHAI, &[promo, ("gala", gala)]), instant(NOW));
        for (strictness, expected) in [(Strictness::Check, check), (Strictness::Run, run)] {
            let reported = conflicts.diagnostics(strictness);
            assert_eq!(reported.iter().map(|problem| problem.severity).collect::<Vec<_>>(), [expected], "{gala} {strictness:?}");
        }
    }
    let night = [("night", r#"at: "23:00", for: 8h"#), ("morning", r#"at: "07:00", for: 1h"#)];
    // Clocks change in eight days.
    let conflicts = check_conflicts(&jobs("America/New_York", &night), instant("2027-03-06T00:00Z"));
    for strictness in [Strictness::Check, Strictness::Run] {
        assert_eq!(conflicts.diagnostics(strictness)[0].severity, Severity::Warning);
    }
}

#[test]
fn each_pair_is_reported_once_at_the_job_that_begins_later() {
    let schedule = jobs(
        SHANGHAI,
        &[("a", r#"at: "18:00", for: 3h"#), ("b", r#"at: "19:00", for: 3h"#), ("c", r#"at: ["20:00", "20:10"], length: 5m"#)],
    );
    let reported = check_conflicts(&schedule, instant(NOW)).diagnostics(Strictness::Check);
    let lines: Vec<_> = reported
        .iter()
        .map(|problem| {
            let place = problem.place.as_ref().expect("a place");
            let (other, role) = &problem.related[0];
            format!(
                "{} {}:{} {}:{} {role}",
                problem.code,
                problem.job.as_deref().expect("a job"),
                place.line,
                other.line,
                other.column
            )
        })
        .collect();
    assert_eq!(lines, ["conflict b:5 4:3 the other job", "conflict c:6 4:3 the other job", "conflict c:6 5:3 the other job"]);
}

#[test]
fn a_message_says_who_meets_whom_where_when_and_for_how_long() {
    for (written, expected) in [
        (
            [r#"at: "18:00", for: 2h"#, r#"at: "19:15:30", for: 10m, room: lobby"#],
            "`b` begins in the room `lobby` at 2026-11-23 19:15:30 +08:00, while `a` has it from 2026-11-23 18:00 +08:00 on: they overlap \
             for 10m",
        ),
        (
            [r#"at: "18:00", for: 2h"#, r#"at: "19:30""#],
            "`b` begins in the room `lobby` at 2026-11-23 19:30 +08:00, while `a` has it from 2026-11-23 18:00 +08:00 on, and for 30m more",
        ),
        (
            ["once: 2026-12-01 00:00, to: never", "once: 2026-12-02 00:00, to: never"],
            "`b` begins in the room `lobby` at 2026-12-02 00:00 +08:00, while `a` has it from 2026-12-01 00:00 +08:00 on: they overlap for ever",
        ),
        (
            [r#"at: "18:00", for: 2h, conflict: allow, robot: x"#, r#"at: "18:00", for: 1h, conflict: allow, robot: x"#],
            "`a` and `b` begin in the room `lobby` at the same instant, 2026-11-23 18:00 +08:00, with the same robot `x`",
        ),
        // In New York the clock is thirteen hours behind.
        (
            [r#"at: "18:00", for: 2h"#, r#"at: "05:30", for: 1h, timezone: America/New_York"#],
            "`b` begins in the room `lobby` at 2026-11-23 05:30 -05:00, while `a` has it from 2026-11-23 18:00 +08:00 on: they overlap for 1h",
        ),
    ] {
        let schedule = jobs(SHANGHAI, &[("a", written[0]), ("b", written[1])]);
        let reported = check_conflicts(&schedule, instant(NOW)).diagnostics(Strictness::Check);
        assert_eq!(reported.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn a_job_of_very_many_windows_is_judged_as_far_as_20000_of_them_reach() {
    let tick = ("tick", "every: 10s, for: 5s");
    let conflicts =
        check_conflicts(&jobs(SHANGHAI, &[tick, ("odd", r#"every: 1h, between: "09:00:05..21:00:05", for: 5s"#)]), instant(NOW));
    assert!(conflicts.clashes.is_empty());
    let expected =
        "conflicts in the room `lobby` are looked for until 2026-11-25 03:33:20 +08:00 only: `tick` has 20000 windows by then";
    assert_eq!(conflicts.shortfall().as_deref(), Some(expected));
    // Alone it needs no walk: its windows are shorter than its steps.
    let alone = check_conflicts(&jobs(SHANGHAI, &[tick]), instant(NOW));
    assert_eq!((alone.clashes.len(), alone.shortfall()), (0, None));
    // Nor beside one that yields.
    let filler = ("filler", "once: 2026-11-01 00:00, to: never, conflict: yield");
    let beside = check_conflicts(&jobs(SHANGHAI, &[tick, filler]), instant(NOW));
    assert_eq!((beside.clashes.len(), beside.shortfall()), (0, None));
    // What is dense and clashes is found before that.
    let clash = check_conflicts(&jobs(SHANGHAI, &[tick, ("show", r#"at: "18:00", for: 1h"#)]), instant(NOW));
    assert_eq!((clash.clashes.len(), clash.shortfall()), (1, None));
}

#[test]
fn a_wrong_default_is_not_reported_a_million_times() {
    let mut text =
        "timezone: Asia/Shanghai\ndefaults: {at: \"18:00\", for: 1h, room: lobby, stream: \"https://h/a.mp4\"}\njobs:\n".to_owned();
    for job in 0..1_000 {
        writeln!(text, "  job-{job}: {{app: main}}").expect("text grows");
    }
    let conflicts = check_conflicts(&super::schedule(&text), instant(NOW));
    let reported = conflicts.diagnostics(Strictness::Run);
    assert_eq!((reported.len(), conflicts.more), (157, true), "as many as 64 kB hold");
    let last = reported.last().expect("some");
    assert_eq!(last.message, "more than 200 pairs of jobs conflict, and the others were not looked for");
    assert_eq!(last.severity, Severity::Error);
}
