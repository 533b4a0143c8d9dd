//! What operators hold back: every start of a job, or of all jobs, for a time (a pause), and single starts (a skip); and which planned
//! start that is. Pure. Does not know who may order it, the ledger, and what is on air: a pause takes nothing off the air.

use jiff::Timestamp;

use crate::schedule::JobId;
use crate::words::words;

/// Who gave an order, and the note that they gave with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSource {
    /// Such as `uid 1000 (anna)`.
    pub who: String,
    /// Why, in their words.
    pub note: Option<String>,
}

/// Starts are held back from an instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPause {
    /// The job; `None`: every job.
    pub job: Option<JobId>,
    /// When it was ordered.
    pub since: Timestamp,
    /// The first instant at which a start is not held back; `None`: until somebody ends it.
    pub until: Option<Timestamp>,
    /// Who ordered it.
    pub source: OrderSource,
}

/// One start is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSkip {
    /// The job.
    pub job: JobId,
    /// Its start.
    pub start: Timestamp,
    /// Who ordered it.
    pub source: OrderSource,
}

/// One order that holds something back: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A pause.
    Pause(JobPause),
    /// A skip.
    Skip(JobSkip),
}

/// Why a start is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// It was skipped.
    Skip,
    /// Its job is paused.
    Pause,
}

words!(HoldReason { Skip = "skip", Pause = "pause" });

/// What holds a start back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub why: HoldReason,
    /// Until when its job is paused; `None` for a skip, and for a pause that somebody must end.
    pub until: Option<Timestamp>,
    /// Who ordered it.
    pub source: OrderSource,
}

/// Every order that holds something back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    pauses: Vec<JobPause>,
    skips: Vec<JobSkip>,
}

impl JobPause {
    /// Whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it is a pause of this job, or of every job.
    pub fn is_of(&self, job: &JobId) -> bool {
        self.job.as_ref().is_none_or(|own| own == job)
    }

    /// Whether it holds back a start. One that is to come is held back although the clock was set back since the order.
    fn holds(&self, start: Timestamp, now: Timestamp) -> bool {
        let begins = self.since <= start || (now <= start && !self.is_over(now));
        begins && self.until.is_none_or(|until| start < until)
    }
}

impl Holds {
    /// Of these orders.
    pub fn new(orders: impl IntoIterator<Item = Hold>) -> Holds {
        let mut holds = Holds::default();
        orders.into_iter().for_each(|order| holds.add(order));
        holds
    }

    /// Adds an order. It takes the place of another with its key, as in the ledger: a pause of the same job from the same instant on, a skip
    /// of the same start. Two orders may come within a millisecond.
    pub fn add(&mut self, order: Hold) {
        match order {
            Hold::Pause(pause) => {
                self.pauses.retain(|other| (&other.job, other.since) != (&pause.job, pause.since));
                self.pauses.push(pause);
            }
            Hold::Skip(skip) => {
                self.skips.retain(|other| (&other.job, other.start) != (&skip.job, skip.start));
                self.skips.push(skip);
            }
        }
    }

    /// The pauses that are not over, by the time of their orders.
    pub fn pauses(&self, now: Timestamp) -> impl Iterator<Item = &JobPause> {
        self.pauses.iter().filter(move |pause| !pause.is_over(now))
    }

    /// The skips.
    pub fn skips(&self) -> impl Iterator<Item = &JobSkip> {
        self.skips.iter()
    }

    /// The skip of a start, if it is skipped.
    pub fn skip_of(&self, job: &JobId, start: Timestamp) -> Option<&JobSkip> {
        self.skips.iter().find(|skip| (&skip.job, skip.start) == (job, start))
    }

    /// Takes a skip back.
    pub fn take_skip(&mut self, job: &JobId, start: Timestamp) -> Option<JobSkip> {
        let at = self.skips.iter().position(|skip| (&skip.job, skip.start) == (job, start))?;
        Some(self.skips.remove(at))
    }

    /// Ends the pause of this job alone, or that of every job. Returns those that ended: one, or none.
    pub fn end_pauses(&mut self, job: Option<&JobId>, now: Timestamp) -> Vec<JobPause> {
        let running = self.pauses.iter_mut().filter(|pause| pause.job.as_ref() == job && !pause.is_over(now));
        running
            .map(|pause| {
                pause.until = Some(now);
                pause.clone()
            })
            .collect()
    }

    /// What holds a planned start back. A skip is named before a pause, and the pause of the job before that of every job.
    pub fn of(&self, job: &JobId, start: Timestamp, now: Timestamp) -> Option<Held> {
        if let Some(skip) = self.skip_of(job, start) {
            return Some(Held { why: HoldReason::Skip, until: None, source: skip.source.clone() });
        }
        let pauses = self.pauses.iter().filter(|pause| pause.is_of(job) && pause.holds(start, now));
        let pause = pauses.max_by_key(|pause| (pause.job.is_some(), pause.since))?;
        Some(Held { why: HoldReason::Pause, until: pause.until, source: pause.source.clone() })
    }

    /// What holds back a start that would be made now, for a window that began before.
    pub fn of_late(&self, job: &JobId, start: Timestamp, now: Timestamp) -> Option<Held> {
        self.of(job, start, now).or_else(|| self.of(job, now, now))
    }

    /// Takes out what holds back nothing any more: every start before `settled` has its row.
    pub fn take_over(&mut self, settled: Timestamp) -> Vec<Hold> {
        let pauses = self.pauses.extract_if(.., |pause| pause.is_over(settled)).map(Hold::Pause);
        let skips = self.skips.extract_if(.., |skip| skip.start < settled).map(Hold::Skip);
        pauses.chain(skips).collect()
    }

    /// The next instant at which a pause is over.
    pub fn next_over(&self, now: Timestamp) -> Option<Timestamp> {
        self.pauses(now).filter_map(|pause| pause.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-12-01T{time}:00Z").parse().expect("an instant")
    }

    fn job(id: &str) -> JobId {
        JobId::parse(id).expect("a job id")
    }

    fn source(who: &str) -> OrderSource {
        OrderSource { who: who.to_owned(), note: None }
    }

    fn pause(id: Option<&str>, since: &str, until: Option<&str>) -> Hold {
        let who = id.unwrap_or("all");
        Hold::Pause(JobPause { job: id.map(job), since: at(since), until: until.map(at), source: source(who) })
    }

    fn skip(id: &str, start: &str) -> Hold {
        Hold::Skip(JobSkip { job: job(id), start: at(start), source: source("skip") })
    }

    fn who(holds: &Holds, id: &str, start: &str, now: &str) -> Option<String> {
        holds.of(&job(id), at(start), at(now)).map(|held| held.source.who)
    }

    #[test]
    fn a_pause_holds_back_what_starts_before_its_end_and_nothing_that_started_before_it() {
        let holds = Holds::new([pause(Some("a"), "10:00", Some("11:00"))]);
        for (start, is_held) in [("09:59", false), ("10:00", true), ("10:59", true), ("11:00", false)] {
            // Settled in time, or after the pause.
            assert_eq!(who(&holds, "a", start, start.max("10:00")).is_some(), is_held, "{start}");
            assert_eq!(who(&holds, "a", start, "12:00").is_some(), is_held, "{start}");
            assert_eq!(who(&holds, "b", start, start), None);
        }
        // The window is open, and its start would be made now.
        assert!(holds.of_late(&job("a"), at("09:30"), at("10:30")).is_some());
        assert!(holds.of_late(&job("a"), at("09:30"), at("11:30")).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_behind_the_order_ends_no_pause() {
        let holds = Holds::new([pause(None, "10:00", None)]);
        assert!(who(&holds, "a", "09:30", "09:20").is_some());
        assert_eq!(who(&holds, "a", "09:30", "10:20"), None, "it started before the order");
    }

    #[test]
    fn the_nearest_order_is_named() {
        let all = pause(None, "10:10", None);
        let mut holds = Holds::new([all, pause(Some("a"), "10:00", None), skip("a", "10:30")]);
        assert_eq!(who(&holds, "a", "10:30", "10:20").as_deref(), Some("skip"));
        assert_eq!(who(&holds, "a", "10:31", "10:20").as_deref(), Some("a"));
        assert_eq!(who(&holds, "b", "10:31", "10:20").as_deref(), Some("all"));
        assert!(holds.take_skip(&job("a"), at("10:30")).is_some() && holds.take_skip(&job("a"), at("10:30")).is_none());
        assert_eq!(holds.end_pauses(Some(&job("a")), at("10:20")).len(), 1);
        assert_eq!(who(&holds, "a", "10:31", "10:20").as_deref(), Some("all"));
        assert_eq!(holds.end_pauses(None, at("10:20")).len(), 1);
        assert_eq!(who(&holds, "a", "10:31", "10:20"), None);
    }

    #[test]
    fn a_second_pause_from_the_same_instant_on_takes_the_place_of_the_first() {
        let mut holds = Holds::new([pause(Some("a"), "10:00", None), pause(None, "10:00", None)]);
        assert_eq!(holds.end_pauses(Some(&job("a")), at("10:00")).len(), 1);
        holds.add(pause(Some("a"), "10:00", Some("11:00")));
        assert_eq!(holds.take_over(at("10:01")), [], "the row of the first is the row of the second");
        assert_eq!(holds, Holds::new([pause(None, "10:00", None), pause(Some("a"), "10:00", Some("11:00"))]));
        let mut holds = Holds::new([skip("a", "10:30"), skip("a", "10:30")]);
        assert!(holds.take_skip(&job("a"), at("10:30")).is_some() && holds.skip_of(&job("a"), at("10:30")).is_none());
    }

    #[test]
    fn an_order_is_kept_until_all_that_it_holds_back_is_settled() {
        let mut holds = Holds::new([pause(Some("a"), "10:00", Some("11:00")), pause(None, "10:00", None), skip("a", "10:30")]);
        assert_eq!(holds.next_over(at("10:20")), Some(at("11:00")));
        assert_eq!(holds.take_over(at("10:30")), []);
        assert_eq!(holds.take_over(at("10:31")), [skip("a", "10:30")]);
        assert_eq!(holds.take_over(at("11:00")), [pause(Some("a"), "10:00", Some("11:00"))]);
        assert_eq!(holds.next_over(at("11:00")), None);
        assert_eq!(holds, Holds::new([pause(None, "10:00", None)]));
    }
}
