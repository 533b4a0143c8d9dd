//! When somebody has to get up, and when not.

use ingestd::diagnostic::Diagnostic;
use ingestd::engine::LoopStatus;
use ingestd::finding::{Finding, FindingKind};
use ingestd::occurrence::{
    End, Evidence, Failure, MissedReason, Occurrence, OpenDoubt, Orphan, Outcome, SkippedReason, State, Task, TaskFault, TaskPhase,
    TaskStep, WaitReason,
};
use ingestd::report::status::{DaemonView, Health, LedgerView, StatusInput, assess_health, text, warnings};
use ingestd::trtc::advice::SecretPlaces;
use jiff::{SignedDuration, Timestamp};

use super::rows::{armed, ended, fault, missed, on_air, task};

pub(crate) fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().expect("an instant")
}

pub(crate) fn minutes(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

pub(crate) fn input(ledger: LedgerView) -> StatusInput {
    StatusInput {
        now: now(),
        generation: 12,
        accepted_at: Some(minutes(-120)),
        daemon: DaemonView::Running {
            jobs: 3,
            rejected: Vec::new(),
            next: Vec::new(),
            state: LoopStatus { watch_period_s: 30, ..LoopStatus::default() },
        },
        not_listening: Vec::new(),
        not_told: Vec::new(),
        failed_chores: Vec::new(),
        all_off: false,
        ledger: Ok(ledger),
        secrets: SecretPlaces::default(),
        zone_source: "bundled".to_owned(),
        zone_version: "2026b".to_owned(),
        zone: jiff::tz::TimeZone::UTC,
    }
}

fn of_trouble(row: Occurrence) -> StatusInput {
    input(LedgerView { trouble: vec![row], ..LedgerView::default() })
}

fn of_air(row: Occurrence, tasks: Vec<Task>) -> StatusInput {
    input(LedgerView { on_air: vec![row], tasks, ..LedgerView::default() })
}

fn lost(start: Timestamp, ended_at: Timestamp) -> Occurrence {
    Occurrence {
        state: State::Done { outcome: Outcome::Failed(Failure::Lost) },
        ended_at: Some(ended_at),
        ..on_air("promo", start)
    }
}

fn refused(start: Timestamp) -> Occurrence {
    let outcome = Outcome::Failed(Failure::Code("AuthFailure.SecretIdNotFound".to_owned()));
    let fault = Some(fault(Some("AuthFailure.SecretIdNotFound"), "no such key"));
    Occurrence { state: State::Done { outcome }, fault, ended_at: Some(start), ..armed("promo", start) }
}

fn waiting(why: WaitReason) -> Occurrence {
    let fault = Some(fault(None, "no answer in time"));
    Occurrence { state: State::Waiting { until: minutes(1), why }, fault, attempts: 3, ..armed("promo", minutes(-1)) }
}

fn stopping(since: Timestamp) -> StatusInput {
    let row = Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..on_air("promo", minutes(-120)) };
    let task = Task { phase: TaskPhase::StopWanted { since, tries: 4 }, ..task(&row) };
    of_air(row, vec![task])
}

fn missed_at(start: Timestamp, reason: MissedReason) -> Occurrence {
    missed("promo", start, Outcome::Missed(reason))
}

/// With an open end: it is unknown how long it would have lasted.
fn open(row: Occurrence, end: End) -> Occurrence {
    Occurrence { end, ..row }
}

fn task_fault(step: TaskStep, code: Option<&str>, message: &str) -> TaskFault {
    TaskFault { step, code: code.map(str::to_owned), message: message.to_owned(), since: minutes(-1), in_a_row: 3 }
}

fn seconds(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn stop_refused(since: i64) -> StatusInput {
    let row = Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..on_air("promo", minutes(-120)) };
    let phase = TaskPhase::StopWanted { since: seconds(-since), tries: 4 };
    let stop_fault = Some(task_fault(TaskStep::Stop, Some("UnauthorizedOperation"), "as told"));
    let task = Task { phase, stop_fault, ..task(&row) };
    of_air(row, vec![task])
}

/// Wanted and accepted so many seconds ago, and seen to run so many seconds after that.
fn stop_accepted(since: i64, seen_after: i64, describe_fault: Option<TaskFault>) -> StatusInput {
    let row = Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..on_air("promo", minutes(-120)) };
    let phase = TaskPhase::Verifying { stopped_at: seconds(-since), tries: 4 };
    let (stop_wanted_at, seen_at) = (Some(seconds(-since)), seconds(seen_after - since));
    let task = Task { phase, stop_wanted_at, seen_at, describe_fault, ..task(&row) };
    of_air(row, vec![task])
}

fn unseen(jobs: &[&str], is_unseen: bool, fault: TaskFault) -> StatusInput {
    let rows: Vec<_> = jobs.iter().map(|job| on_air(job, minutes(-10))).collect();
    let of = |row| Task { seen_at: minutes(-2), is_unseen, describe_fault: Some(fault.clone()), ..task(row) };
    let tasks = rows.iter().map(of).collect();
    input(LedgerView { on_air: rows, tasks, ..LedgerView::default() })
}

fn unpulled() -> StatusInput {
    let row = on_air("promo", minutes(-10));
    let task = Task { unpulled_at: Some(minutes(-2)), ..task(&row) };
    of_air(row, vec![task])
}

/// A filler that yields the room, while its task plays on.
fn earlier_task() -> StatusInput {
    let row = on_air("promo", minutes(-120));
    let stop_fault = Some(task_fault(TaskStep::Stop, Some("UnauthorizedOperation"), "as told"));
    let task = Task { phase: TaskPhase::StopWanted { since: minutes(-2), tries: 4 }, stop_fault, ..task(&row) };
    input(LedgerView { tasks: vec![task], ..LedgerView::default() })
}

#[test]
#[rustfmt::skip]
fn the_health_is_what_an_operator_would_say() {
    use Health::{Degraded, Failing, Ok};
    let nameless = Occurrence { task_id: None, ..on_air("promo", minutes(-5)) };
    let later = on_air("promo", minutes(-10));
    let unverified = Occurrence { state: State::Done { outcome: Outcome::EndedUnverified }, ..ended("promo", minutes(-130)) };
    let mut covered = of_trouble(open(refused(minutes(-60)), End::Never));
    covered.ledger = Result::Ok(LedgerView { on_air: vec![later.clone()], ..covered.ledger.expect("readable") });
    // A warning that stands before it is no reason.
    let rejected = vec![Diagnostic::warning("media", "a warning of another file"), Diagnostic::error("unknown-key", "unknown key `reapet`").hint("did you mean `repeat`?")];
    let mut reload = input(LedgerView::default());
    reload.daemon = DaemonView::Running { jobs: 3, rejected, next: Vec::new(), state: LoopStatus { watch_period_s: 30, ..LoopStatus::default() } };
    let silent = StatusInput { daemon: DaemonView::Silent { why: "no daemon answers at `127.0.0.1:8620`".to_owned() }, ..input(LedgerView::default()) };
    let unreadable = StatusInput { ledger: Err("disk I/O error".to_owned()), ..input(LedgerView::default()) };
    let mut jobless = input(LedgerView::default());
    jobless.daemon = DaemonView::Running { jobs: 0, rejected: Vec::new(), next: Vec::new(), state: LoopStatus::default() };
    let switched_off = StatusInput { all_off: true, ..input(LedgerView::default()) };
    let taken = StatusInput { not_listening: vec!["the page does not listen on 127.0.0.1:8620: taken".to_owned()], ..input(LedgerView::default()) };
    let untold = StatusInput { not_told: vec!["the receiver `pager` has taken no alert since 18:00, and 2 wait: HTTP status 404".to_owned()], ..input(LedgerView::default()) };
    let unsaved = StatusInput { failed_chores: vec!["the chore `backup` failed: no space".to_owned()], ..input(LedgerView::default()) };
    let cases = vec![
        ("a chore of the ledger failed", unsaved, Degraded, "the chore `backup` failed: no space"),
        ("a receiver takes no alert", untold, Degraded, "the receiver `pager` has taken no alert since 18:00, and 2 wait: HTTP status 404"),
        ("no job is in force", jobless, Degraded, "no job is in force: nothing is planned"),
        ("every job is off", switched_off, Degraded, "every job is switched off (`enabled: false`): nothing is planned"),
        ("somebody has the port of the page", taken, Degraded, "the page does not listen on 127.0.0.1:8620: taken"),
        ("nothing at all", input(LedgerView::default()), Ok, ""),
        ("on air as planned", of_air(later.clone(), vec![task(&later)]), Ok, ""),
        ("a start that is refused", of_trouble(waiting(WaitReason::Retry)), Failing, "`promo` is off the air after 3 attempts: no answer in time"),
        ("a start that may have begun", of_trouble(Occurrence { in_doubt: true, was_in_doubt: true, ..waiting(WaitReason::Retry) }), Failing, "`promo` may be off the air after 3 attempts"),
        ("a stream that vanished", of_trouble(Occurrence { fault: None, ..waiting(WaitReason::Restart) }), Failing, "`promo` is off the air after 3 attempts: waiting (restart)"),
        ("a filler that yields", of_trouble(waiting(WaitReason::Yield)), Ok, ""),
        ("failed, and its window is open", of_trouble(refused(minutes(-30))), Failing, "`promo` is off the air and is not tried again after 1 attempt: AuthFailure.SecretIdNotFound (no such key)"),
        ("failed, and its window closed just now", of_trouble(refused(minutes(-130))), Degraded, "less than an hour ago, `promo` of 2026-11-22 07:50:00 +00:00: failed (AuthFailure.SecretIdNotFound)"),
        ("failed, and its window closed long ago", of_trouble(refused(minutes(-190))), Ok, ""),
        ("failed yesterday", of_trouble(refused(minutes(-23 * 60))), Ok, ""),
        ("lost, and its window is open", of_trouble(lost(minutes(-30), minutes(-20))), Failing, "`promo` is off the air and is not tried again"),
        ("failed at an open end, a little ago", of_trouble(open(refused(minutes(-5)), End::Open)), Failing, "`promo` is off the air"),
        ("failed at an open end, a while ago", of_trouble(open(refused(minutes(-30)), End::Open)), Degraded, "less than an hour ago"),
        ("failed at an open end, long ago", of_trouble(open(refused(minutes(-90)), End::Open)), Ok, ""),
        ("failed, and should never end", of_trouble(open(refused(minutes(-600)), End::Never)), Failing, "`promo` is off the air"),
        ("failed, and a later one of the job is on air", covered, Ok, ""),
        ("missed, and its window is open", of_trouble(missed_at(minutes(-30), MissedReason::Late)), Degraded, "`promo` is off the air: missed (late)"),
        ("missed, and its media would be over", of_trouble(open(missed_at(minutes(-30), MissedReason::ContentOver), End::Planned(minutes(60)))), Ok, ""),
        ("missed, and its window closed just now", of_trouble(missed_at(minutes(-130), MissedReason::Down)), Degraded, "less than an hour ago"),
        ("missed long ago", of_trouble(missed_at(minutes(-600), MissedReason::Down)), Ok, ""),
        ("skipped", of_trouble(missed("promo", minutes(-5), Outcome::Skipped(SkippedReason::Conflict))), Ok, ""),
        ("ended, and nobody saw it leave", of_trouble(unverified), Degraded, "less than an hour ago, `promo` of 2026-11-22 07:50:00 +00:00: ended (unverified)"),
        ("a stop that was just sent", stopping(now() - SignedDuration::from_secs(20)), Ok, ""),
        ("a stop that does not come through", stopping(minutes(-1)), Failing, "`promo` should be off the air since 2026-11-22 09:59:00 +00:00 and is not known to be"),
        ("a stop that is refused", stop_refused(20), Degraded, "`promo` should be off the air, and its stop is refused: UnauthorizedOperation (as told); it may still play"),
        ("a stop that is refused for a minute", stop_refused(60), Failing, "`promo` should be off the air since 2026-11-22 09:59:00 +00:00 and is not known to be: its stop is refused: UnauthorizedOperation (as told)"),
        ("a stop that was accepted and has no effect", stop_accepted(20, 5, None), Ok, ""),
        ("the same for a minute", stop_accepted(60, 50, None), Failing, "`promo` should be off the air since 2026-11-22 09:59:00 +00:00 and is not known to be: its stop was accepted, and the endpoint says that it still plays"),
        ("a stop that was accepted and cannot be verified", stop_accepted(60, -600, Some(task_fault(TaskStep::Describe, None, "no answer in time"))), Failing, "`promo` should be off the air since 2026-11-22 09:59:00 +00:00 and is not known to be: its stop was accepted, and the look at it fails: no answer in time"),
        ("a look that failed", unseen(&["promo"], false, task_fault(TaskStep::Describe, Some("InternalError"), "as told")), Ok, ""),
        ("not seen for too long", unseen(&["promo"], true, task_fault(TaskStep::Describe, Some("InternalError"), "as told")), Degraded, "`promo` has not been seen on air since 2026-11-22 09:58:00 +00:00: InternalError (as told)"),
        ("a look that is refused for good", unseen(&["promo"], false, task_fault(TaskStep::Describe, Some("AuthFailure.SignatureFailure"), "as told")), Degraded, "`promo` cannot be looked at: AuthFailure.SignatureFailure (as told)"),
        ("the same for many shows", unseen(&["a", "b", "c", "d", "e", "f", "g"], true, task_fault(TaskStep::Describe, Some("AuthFailure.SignatureFailure"), "as told")), Degraded, "`a`, `b`, `c`, `d`, `e` and 2 more have not been seen on air since 2026-11-22 09:58:00 +00:00: AuthFailure.SignatureFailure (as told)"),
        ("media that cannot be pulled", unpulled(), Degraded, "TRTC cannot pull the media of `promo` since 2026-11-22 09:58:00 +00:00"),
        ("vanished once before it was seen", of_air(Occurrence { unseen_losses: 1, ..later.clone() }, vec![task(&later)]), Ok, ""),
        ("vanished twice before it was seen", of_air(Occurrence { unseen_losses: 2, ..later.clone() }, vec![task(&later)]), Degraded, "`promo` has vanished 2 times before it was seen on air"),
        ("ended a little ago, and was never pulled", of_trouble(Occurrence { evidence: Some(Evidence::Unpulled), ..ended("promo", minutes(-130)) }), Degraded, "less than an hour ago, `promo` of 2026-11-22 07:50:00 +00:00: ended (planned), its media could not be pulled"),
        ("an earlier task whose stop does not come through", earlier_task(), Failing, "an earlier task of `promo` should be off the air since 2026-11-22 09:58:00 +00:00 and is not known to be: its stop is refused: UnauthorizedOperation (as told)"),
        ("on air beyond its end", of_air(on_air("promo", minutes(-125)), vec![]), Failing, "`promo` should be off the air since 2026-11-22 09:55:00 +00:00"),
        ("media that runs a little over its length", of_air(open(later.clone(), End::Media(minutes(-5))), vec![]), Ok, ""),
        ("on air and not to be stopped", of_air(nameless, vec![]), Degraded, "`promo` is on air without a task id, so it cannot be stopped from here"),
        ("a schedule that was rejected", reload, Degraded, "the schedule files have 1 error, so generation 12 is in force, the last good one that is kept: unknown key `reapet` (did you mean `repeat`?)"),
        ("a daemon that is not there", silent, Failing, "no daemon answers at `127.0.0.1:8620`: nothing is started, and nothing is stopped"),
        ("a ledger that cannot be read", unreadable, Failing, "the ledger cannot be read: disk I/O error"),
    ];
    for (what, input, health, words) in cases {
        let (judged, reasons) = assess_health(&input);
        assert_eq!(judged, health, "{what}: {reasons:?}");
        assert_eq!(judged == Ok, reasons.is_empty(), "{what}: {reasons:?}");
        assert!(reasons.first().is_none_or(|reason| reason.starts_with(words)), "{what}: {reasons:?}");
    }
}

#[test]
fn a_clock_that_nobody_keeps_right_is_a_warning_and_no_trouble() {
    for (synchronised, expected) in [(Some(false), &["the clock is not synchronised"][..]), (Some(true), &[]), (None, &[])] {
        let mut input = input(LedgerView::default());
        let DaemonView::Running { state, .. } = &mut input.daemon else { panic!("it runs") };
        state.synchronised = synchronised;
        assert_eq!(assess_health(&input), (Health::Ok, Vec::new()), "{synchronised:?}");
        assert_eq!(warnings(&input), expected, "{synchronised:?}");
        let line = |warning: &&str| format!("  warning: {warning}\n");
        let lines: String = expected.iter().map(line).collect();
        assert!(ingestd::report::status::text(&input, None).starts_with(&format!("ok\n{lines}\n")), "{synchronised:?}");
        // `require_sync` holds starts for it: that is trouble.
        let DaemonView::Running { state, .. } = &mut input.daemon else { panic!("it runs") };
        state.held = Some("the clock was not synchronised".to_owned());
        assert_eq!(assess_health(&input).0, Health::Failing);
    }
}

#[test]
fn stops_that_are_refused_alike_are_one_reason() {
    let rows: Vec<_> = ["a", "b", "c"].iter().map(|job| on_air(job, minutes(-120))).collect();
    let fault = |code| Some(task_fault(TaskStep::Stop, code, "as told"));
    let of = |row, stop_fault| Task { phase: TaskPhase::StopWanted { since: seconds(-5), tries: 1 }, stop_fault, ..task(row) };
    let tasks = vec![
        of(&rows[0], fault(Some("UnsupportedRegion"))),
        of(&rows[1], fault(Some("UnsupportedRegion"))),
        of(&rows[2], fault(None)),
    ];
    let (health, reasons) = assess_health(&input(LedgerView { on_air: rows, tasks, ..LedgerView::default() }));
    assert_eq!(health, Health::Degraded);
    assert_eq!(
        reasons,
        [
            "`c` should be off the air, and its stop fails: as told; it may still play",
            "`a` and `b` should be off the air, and their stops are refused: UnsupportedRegion (as told); they may still play",
        ]
    );
}

#[test]
fn the_worst_is_told_first_and_many_alike_are_counted() {
    let row = |number: i64| Occurrence {
        key: super::rows::key(&format!("promo-{number}"), minutes(-number)),
        ..waiting(WaitReason::Retry)
    };
    let gone = missed_at(minutes(-30), MissedReason::Late);
    let trouble = (1..=8).map(row).chain([gone]).collect();
    let (health, reasons) = assess_health(&input(LedgerView { trouble, ..LedgerView::default() }));
    assert_eq!(health, Health::Failing);
    assert_eq!(reasons.len(), 7, "{reasons:#?}");
    assert!(reasons[0].starts_with("`promo-1` is off the air"), "{reasons:#?}");
    assert_eq!(reasons[5], "and 3 more like these");
    assert_eq!(reasons[6], "`promo` is off the air: missed (late)");
    let trouble = (0..4).map(|minute| refused(minutes(-130 - minute))).collect();
    let (_, reasons) = assess_health(&input(LedgerView { trouble, ..LedgerView::default() }));
    assert!(reasons[0].ends_with("failed (AuthFailure.SecretIdNotFound); and 3 more, see `ingestd history`"), "{reasons:#?}");
}

#[test]
fn a_clock_that_differs_from_the_endpoints_is_told_with_its_direction() {
    for (offset_ms, reason) in
        [(400_000, "this clock is 400 s behind the endpoint's"), (-3_600_000, "this clock is 3600 s ahead of the endpoint's")]
    {
        let mut input = input(LedgerView::default());
        let state = LoopStatus { offset_ms: Some(offset_ms), ..LoopStatus::default() };
        input.daemon = DaemonView::Running { jobs: 3, rejected: Vec::new(), next: Vec::new(), state };
        assert_eq!(assess_health(&input), (Health::Degraded, vec![reason.to_owned()]));
    }
}

#[test]
fn a_clock_that_is_not_synchronised_is_degraded_only_where_that_is_required() {
    for (synchronised, require_sync, health) in [
        (Some(false), true, Health::Degraded),
        (Some(false), false, Health::Ok),
        (Some(true), true, Health::Ok),
        (None, true, Health::Ok),
    ] {
        let mut input = input(LedgerView::default());
        let state = LoopStatus { synchronised, require_sync, ..LoopStatus::default() };
        input.daemon = DaemonView::Running { jobs: 3, rejected: Vec::new(), next: Vec::new(), state };
        let (found, reasons) = assess_health(&input);
        assert_eq!(found, health, "{synchronised:?} {require_sync}");
        let reason = "the clock is not synchronised, and `require_sync` is true";
        assert_eq!(reasons, if health == Health::Ok { vec![] } else { vec![reason] });
    }
}

#[test]
fn a_doubt_beside_a_good_end_degrades_until_its_task_can_play_no_more() {
    let row = Occurrence { was_in_doubt: true, ..on_air("promo", minutes(-10)) };
    let doubt = OpenDoubt::new(&row, minutes(-10));
    let view = |doubt: &OpenDoubt| {
        input(LedgerView {
            on_air: vec![row.clone()],
            tasks: vec![task(&row)],
            doubts: vec![doubt.clone()],
            ..LedgerView::default()
        })
    };
    let (health, reasons) = assess_health(&view(&doubt));
    assert_eq!(health, Health::Degraded);
    let [reason] = &reasons[..] else { panic!("one reason: {reasons:#?}") };
    for words in ["`promo`: no answer proves whether a start sent at 2026-11-22 09:50:00 +00:00 began", "room lobby", "robot promo"]
    {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    assert_eq!(assess_health(&view(&OpenDoubt { until: now(), ..doubt })).0, Health::Ok);
}

#[test]
fn an_orphan_says_who_stops_it() {
    let key = super::rows::key("promo", minutes(-10));
    let destination = on_air("promo", minutes(-10)).playout.destination;
    let orphan =
        Orphan { task_id: "t-1".to_owned(), destination, seen_at: now(), likely_job: None, stop_wanted: None, of: Vec::new() };
    for (orphan, reason) in [
        (orphan.clone(), "an orphan is on air, which this daemon did not start: `ingestd stop --task t-1` stops it"),
        (
            Orphan { of: vec![key], ..orphan.clone() },
            "task t-1 is on air for one of `promo`, and is stopped when all of them are over",
        ),
        (
            Orphan { stop_wanted: Some(now()), ..orphan },
            "task t-1, which no show has, is to be stopped since 2026-11-22 10:00:00 +00:00, and is not yet",
        ),
    ] {
        let view = input(LedgerView { orphans: vec![orphan], ..LedgerView::default() });
        assert_eq!(assess_health(&view), (Health::Degraded, vec![reason.to_owned()]));
    }
}

#[test]
fn a_problem_that_a_show_will_have_is_degraded_and_a_note_is_not() {
    let of = |findings: Vec<Finding>, offset_ms| {
        let mut input = input(LedgerView::default());
        let DaemonView::Running { state, .. } = &mut input.daemon else { unreachable!("it runs") };
        (state.findings, state.offset_ms) = (findings, offset_ms);
        (assess_health(&input), text(&input, None))
    };
    let note = Finding::note(FindingKind::Usersig, "main", "it is not known", "");
    let ((health, reasons), shown) = of(vec![note.clone()], None);
    assert_eq!((health, reasons.len()), (Health::Ok, 0));
    assert!(shown.contains("before the next shows:\n  no problem was found; 1 note: `ingestd doctor` shows them\n"), "{shown}");
    let key = Finding::problem(FindingKind::Key, "account", "the keys are refused", "correct them");
    let ((health, reasons), shown) = of(vec![key, note], None);
    assert_eq!((health, reasons), (Health::Degraded, vec!["the keys are refused: correct them".to_owned()]));
    assert!(shown.contains("before the next shows:\n  the keys are refused\n      correct them\n  1 note: "), "{shown}");
    let clock = Finding::problem(FindingKind::Clock, "clock", "the clock is off", "synchronise it");
    assert_eq!(of(vec![clock.clone()], None).0.1.len(), 1);
    assert_eq!(of(vec![clock], Some(600_000)).0.1.len(), 1, "that the clock is off is told once");
    let (_, shown) = of(Vec::new(), None);
    assert!(!shown.contains("before the next shows"), "{shown}");
}
