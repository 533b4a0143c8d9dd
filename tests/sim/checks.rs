//! What must be true after every run, whatever went wrong in it. Each checker works out the rules for itself, from DESIGN: it knows
//! of the code under test only the ledger, the plan of a schedule, and what it sent.

mod accepted;
mod air;
mod answers;
mod coverage;
mod exists;
mod fallback;
mod hosts;
mod orders;
mod position;
mod rows;
mod sends;
mod told;

use std::collections::BTreeMap;

use ingestd::occurrence::{Occurrence, Outcome, State};
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use crate::endpoint::Send;
use crate::orders::Given;
use crate::run::{Impairment, Run};

/// Whether an answer with this code lets the secrets be read again.
fn rereads(code: &str) -> bool {
    code.starts_with("AuthFailure.") || code == "InvalidParameter.UserSig"
}

/// What was found wrong.
#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, checker: &str, text: String) {
        self.0.push(format!("[{checker}] {text}"));
    }
}

/// The outcome's name, or the state's when there is no outcome yet.
pub(crate) fn outcome(row: &Occurrence) -> &'static str {
    match &row.state {
        State::Done { outcome } => outcome.name(),
        other => other.name(),
    }
}

fn reason(row: &Occurrence) -> &str {
    match &row.state {
        State::Done { outcome } => Outcome::reason(outcome),
        _ => "",
    }
}

/// A row in a line.
fn line(row: &Occurrence) -> String {
    let Occurrence { key, end, attempts, tries, restarts, was_in_doubt, joined, first_sent_at, on_air_at, ended_at, fault, .. } =
        row;
    let fault = fault.as_ref().map(|fault| fault.message.clone());
    let instant_text = |at: &Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    format!(
        "{key} {end:?} {} ({}): attempts {attempts} tries {tries} restarts {restarts} doubt {was_in_doubt} joined {joined} \
        sent {} on air {} ended {} in {} task {:?} {fault:?}",
        outcome(row),
        reason(row),
        instant_text(first_sent_at),
        instant_text(on_air_at),
        instant_text(ended_at),
        row.playout.room,
        row.task_id,
    )
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

impl Run {
    /// Whether a daemon could not see or do everything at some time between two.
    fn is_impaired(&self, from: Timestamp, to: Timestamp) -> bool {
        self.impairments.iter().any(|(_, begin, end)| *begin <= to && from <= *end)
    }

    /// The same, where the clock is judged by what is to be believed of it.
    fn is_blind(&self, from: Timestamp, to: Timestamp) -> bool {
        let is_other = |why: &Impairment| *why != Impairment::Clock || !self.belief.is_clear;
        self.impairments.iter().any(|(why, begin, end)| is_other(why) && *begin <= to && from <= *end)
    }

    /// Whether a start of this job was ordered between two times.
    fn was_fired(&self, job: &str, from: Timestamp, to: Timestamp) -> bool {
        self.orders
            .iter()
            .any(|order| matches!(&order.command, Given::Fire(of) if of == job) && from <= order.replied && order.sent <= to)
    }

    fn is_impaired_by(&self, why: Impairment, from: Timestamp, to: Timestamp) -> bool {
        self.impairments.iter().any(|(reason, begin, end)| *reason == why && *begin <= to && from <= *end)
    }

    /// The end of the stalls that a moment lies in: what was to happen then happens after them.
    fn stalled_until(&self, at: Timestamp) -> Timestamp {
        let mut stalls: Vec<_> =
            self.impairments.iter().filter(|(why, ..)| *why == Impairment::Stalled).map(|(_, from, to)| (*from, *to)).collect();
        stalls.sort_unstable();
        stalls.into_iter().fold(at, |at, (from, to)| if from <= at { at.max(to) } else { at })
    }

    fn row(&self, job: &str, start: Timestamp) -> Option<&Occurrence> {
        self.rows.iter().find(|row| row.key.job.as_str() == job && row.key.start == start)
    }

    /// The rows that share its target, itself not.
    fn others_in_room<'a>(&'a self, row: &'a Occurrence) -> impl Iterator<Item = &'a Occurrence> {
        self.rows.iter().filter(move |other| other.playout.room == row.playout.room && other.key != row.key)
    }

    /// Whether an edit ever took a job to another room than a row's: it may have waited for that one.
    fn was_moved(&self, row: &Occurrence) -> bool {
        let room = row.playout.room.to_string();
        let mut jobs = self.generations.iter().flat_map(|span| &span.jobs);
        jobs.any(|job| job.id == row.key.job.as_str() && job.room != room)
    }

    /// Every conflict rule that a job ever had.
    fn conflicts(&self, job: &str) -> Vec<&'static str> {
        let jobs = self.generations.iter().flat_map(|span| &span.jobs);
        jobs.filter(|other| other.id == job).map(|job| job.conflict).collect()
    }

    fn may_both_play(&self, one: &str, other: &str) -> bool {
        // One robot cannot play twice.
        one != other && [one, other].iter().all(|job| self.conflicts(job).contains(&"allow"))
    }

    /// The row a start was sent for, if that is certain.
    fn row_of_send(&self, send: usize) -> Option<&Occurrence> {
        let state = self.api.state();
        let send = state.sends.get(send)?;
        let [claim] = send.claims.as_slice() else { return None };
        self.row(&send.subject, claim.start)
    }

    /// How many starts come at once: those of an instant, or nearly, and all that a clock passed over when it was set. Of these many are
    /// sent twice, because the time by which they are signed was wrong, and starts that come meanwhile go before them.
    fn crowd_at(&self, start: Timestamp, by: Timestamp) -> usize {
        let Some(due) = self.belief.start_due(start, by).filter(|due| *due != start) else { return self.crowd(start) };
        let is_near = |other: &&Occurrence| {
            let other = self.belief.start_due(other.key.start, by + seconds(1));
            other.is_some_and(|other| other <= due + seconds(1) && due - seconds(6) <= other)
        };
        let is_before = |send: &&Send| send.action == Action::Start && due <= send.at && send.at <= by;
        let sent = self.api.state().sends.iter().filter(is_before).count();
        sent.max(self.rows.iter().filter(is_near).count())
    }

    /// How many starts share an instant, or nearly.
    fn crowd(&self, start: Timestamp) -> usize {
        self.rows.iter().filter(|row| row.key.start <= start + seconds(1) && start - seconds(6) <= row.key.start).count()
    }
}

pub(crate) fn all(run: &Run) -> Vec<String> {
    let mut faults = Faults::default();
    rows::check(run, &mut faults);
    sends::check(run, &mut faults);
    air::check(run, &mut faults);
    coverage::check(run, &mut faults);
    fallback::check(run, &mut faults);
    position::check(run, &mut faults);
    accepted::check(run, &mut faults);
    answers::check(run, &mut faults);
    exists::check(run, &mut faults);
    told::check(run, &mut faults);
    orders::check(run, &mut faults);
    hosts::check(run, &mut faults);
    // Each checker reports three faults at most, not hundreds.
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    faults.0.retain(|text| {
        let checker = text.split(']').next().unwrap_or("").to_owned();
        let count = counts.entry(checker).or_default();
        *count += 1;
        *count <= 3
    });
    faults.0
}
