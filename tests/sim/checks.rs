//! What must be true after every run, whatever went wrong in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ingestd::occurrence::{Occurrence, Outcome, State};
use ingestd::plan::Upcoming;
use ingestd::schedule::Schedule;
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use crate::api::SimApi;

/// A run that is over.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) rows: Vec<Occurrence>,
    pub(crate) api: SimApi,
    pub(crate) from: Timestamp,
    /// From then on nothing was planned.
    pub(crate) settled: Timestamp,
    /// When no daemon ran.
    pub(crate) down: Vec<(Timestamp, Timestamp)>,
}

/// The outcome's name, or the state's where there is none.
pub(crate) fn outcome(row: &Occurrence) -> &'static str {
    match &row.state {
        State::Done { outcome } => outcome.name(),
        other => other.name(),
    }
}

pub(crate) fn all(run: &Run) {
    one_outcome_for_everything_planned(run);
    the_outcome_fits_what_is_known(run);
    nothing_known_is_left_on_air(run);
    no_show_plays_twice_at_once_but_in_doubt(run);
    attempts_keep_their_limits(run);
    every_request_was_within_the_rate(run);
    an_undisturbed_start_is_on_time(run);
    what_was_missed_had_no_chance(run);
}

/// A show is missed or skipped only where no daemon was there at its start; and of those, what could still be started is.
fn what_was_missed_had_no_chance(run: &Run) {
    let moment = SignedDuration::from_secs(10);
    for row in &run.rows {
        let State::Done { outcome: Outcome::Missed(_) | Outcome::Skipped(_) } = &row.state else { continue };
        let seed = run.seed;
        let away = run.down.iter().find(|(from, to)| *from - moment <= row.key.start && row.key.start <= *to + moment);
        let Some((_, back)) = away else { panic!("seed {seed}: a daemon was there: {row:#?}") };
        let job = &row.key.job;
        let is_latest =
            !run.rows.iter().any(|other| &other.key.job == job && row.key.start < other.key.start && other.key.start < *back);
        let could_start = row.start_closes().is_none_or(|closes| *back + moment < closes);
        let wanted = row.terms.late != ingestd::schedule::Late::Skip;
        assert!(!(is_latest && could_start && wanted), "seed {seed}: it could still be started at {back}: {row:#?}");
    }
}

fn one_outcome_for_everything_planned(run: &Run) {
    let planned: BTreeSet<_> = Upcoming::new(&run.schedule, run.from)
        .take_while(|planned| planned.start.at < run.settled)
        .map(|planned| (planned.start.at, planned.job.id.clone()))
        .collect();
    let mut recorded = BTreeMap::new();
    for row in &run.rows {
        assert!(row.is_done(), "seed {}: {} never came to an end: {row:#?}", run.seed, row.key);
        let before = recorded.insert((row.key.start, row.key.job.clone()), row);
        assert!(before.is_none(), "seed {}: {} has two rows", run.seed, row.key);
    }
    for (start, job) in &planned {
        let known = recorded.contains_key(&(*start, job.clone()));
        assert!(known, "seed {}: {job} {start} was planned and has no outcome", run.seed);
    }
    for (start, job) in recorded.keys().filter(|(start, _)| *start < run.settled) {
        assert!(planned.contains(&(*start, job.clone())), "seed {}: {job} {start} has an outcome and was not planned", run.seed);
    }
}

fn the_outcome_fits_what_is_known(run: &Run) {
    let sent: BTreeSet<_> = run.api.state().arrivals.iter().map(|arrival| arrival.subject.clone()).collect();
    for row in &run.rows {
        let State::Done { outcome } = &row.state else { continue };
        let seed = run.seed;
        match outcome {
            Outcome::EndedPlanned | Outcome::EndedMedia => assert!(row.task_id.is_some(), "seed {seed}: {row:#?}"),
            Outcome::Missed(_) | Outcome::Skipped(_) => {
                assert!(row.first_sent_at.is_none() && row.attempts == 0, "seed {seed}: {row:#?}");
            }
            // A loop that could not be stopped is gone by its bound, and nobody saw it go.
            Outcome::EndedUnverified => {
                let is_loop = row.playout.repeat == ingestd::trtc::Repeat::Forever;
                assert!(row.was_in_doubt || row.joined || is_loop, "seed {seed}: {row:#?}");
            }
            _ => {}
        }
        if row.on_air_at.is_some() {
            assert!(sent.contains(&row.playout.robot), "seed {seed}: on air and never sent: {row:#?}");
        }
    }
}

fn nothing_known_is_left_on_air(run: &Run) {
    let state = run.api.state();
    let end = run.settled + SignedDuration::from_hours(16);
    for task in state.tasks.iter().filter(|task| task.is_live(end)) {
        let known = run.rows.iter().any(|row| row.task_id.as_deref() == Some(&task.id));
        assert!(!known, "seed {}: {task:?} is still on air, and its id is in the ledger", run.seed);
    }
    // A task that the ledger knows ends with its window, give or take the stop's retries and a daemon that is away.
    for row in &run.rows {
        let (Some(end), Some(id)) = (row.end.at(), &row.task_id) else { continue };
        let Some(task) = state.tasks.iter().find(|task| &task.id == id) else { continue };
        let excused = run
            .down
            .iter()
            .any(|(from, to)| *from <= end + SignedDuration::from_mins(3) && end <= *to + SignedDuration::from_mins(3));
        let slack = SignedDuration::from_mins(3);
        assert!(
            excused || task.end() <= end + slack,
            "seed {}: {task:?} outlived its window by more than {slack:?}: {row:#?}",
            run.seed
        );
    }
}

fn no_show_plays_twice_at_once_but_in_doubt(run: &Run) {
    let state = run.api.state();
    let mut by_robot: BTreeMap<(&str, &str), Vec<_>> = BTreeMap::new();
    for task in &state.tasks {
        by_robot.entry((&task.room, &task.robot)).or_default().push(task);
    }
    for tasks in by_robot.values() {
        for pair in tasks.windows(2) {
            assert!(pair[0].end() <= pair[1].started_at, "seed {}: {:?} and {:?} at once", run.seed, pair[0], pair[1]);
        }
    }
}

fn attempts_keep_their_limits(run: &Run) {
    for row in &run.rows {
        let cap = row.terms.retry.attempts;
        assert!(cap == 0 || row.restarts > 0 || row.attempts <= cap, "seed {}: more than {cap} attempts: {row:#?}", run.seed);
    }
    let state = run.api.state();
    for arrival in state.arrivals.iter().filter(|arrival| arrival.action == Action::Start) {
        let of = |row: &&Occurrence| row.playout.robot == arrival.subject && row.key.start <= arrival.sent_at;
        let Some(row) = run.rows.iter().filter(of).max_by_key(|row| row.key.start) else {
            panic!("seed {}: {arrival:?} was sent before anything was planned for it", run.seed)
        };
        // Worked out here and not asked of the row: the rule is what is checked.
        let last_stretch = |end: Timestamp| SignedDuration::from_secs(30).min(end.duration_since(row.key.start) / 4);
        let closes = row.end.at().map_or(Timestamp::MAX, |end| end - last_stretch(end));
        assert!(arrival.sent_at <= closes, "seed {}: {arrival:?} left after {closes}: {row:#?}", run.seed);
    }
}

fn every_request_was_within_the_rate(run: &Run) {
    // A crash forgets what was just sent, and counts only what may have been.
    if run.down.is_empty() {
        assert_eq!(run.api.state().rejections, 0, "seed {}: the limiter let too much through", run.seed);
    }
}

fn an_undisturbed_start_is_on_time(run: &Run) {
    for row in &run.rows {
        let Some(sent) = row.first_sent_at else { continue };
        let was_away = run.down.iter().any(|(from, to)| {
            *from <= row.key.start + SignedDuration::from_secs(30) && row.key.start <= *to + SignedDuration::from_secs(30)
        });
        let late = sent.duration_since(row.key.start);
        // Not more than a hundred starts share an instant, so the last leaves within six turns of the limiter.
        assert!(was_away || late <= SignedDuration::from_secs(7), "seed {}: {late:?} late: {row:#?}", run.seed);
        assert!(late >= SignedDuration::ZERO, "seed {}: early: {row:#?}", run.seed);
    }
}
