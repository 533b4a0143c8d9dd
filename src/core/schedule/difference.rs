//! What an edit changes: the jobs that came, that say something else, and that went. Refuses to know when anything plays, and what
//! becomes of what is on air.

use super::{Job, JobId, Schedule};

/// A schedule that drops this many jobs may still be meant so.
const DROPS_UNASKED_MAX: usize = 5;

/// The jobs in which two schedules differ, each list by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the new one only.
    pub added: Vec<JobId>,
    /// In both, and not the same.
    pub changed: Vec<JobId>,
    /// In the old one only.
    pub removed: Vec<JobId>,
}

impl Difference {
    /// From one schedule to the next.
    pub fn between(before: &Schedule, after: &Schedule) -> Difference {
        let mut difference = Difference::default();
        for job in after.jobs() {
            match before.job(job.id.as_str()) {
                None => difference.added.push(job.id.clone()),
                Some(former) if !former.says_the_same(job) => difference.changed.push(job.id.clone()),
                Some(_) => {}
            }
        }
        let gone = before.jobs().filter(|job| after.job(job.id.as_str()).is_none());
        difference.removed.extend(gone.map(|job| job.id.clone()));
        difference
    }

    /// Whether it drops so much of a schedule of that many jobs that it looks like an accident: a folder that was not mounted, a file
    /// that was saved half. More than half of the jobs, and more than five.
    pub fn drops_too_much(&self, jobs_before: usize) -> bool {
        self.removed.len() > DROPS_UNASKED_MAX && self.removed.len() * 2 > jobs_before
    }

    /// A line for each job: `added lobby-news`.
    pub fn lines(&self) -> Vec<String> {
        let kinds = [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)];
        kinds.into_iter().flat_map(|(verb, ids)| ids.iter().map(move |id| format!("{verb} {id}"))).collect()
    }
}

impl Job {
    /// Whether it says what the other one says, wherever in the files the two stand.
    pub fn says_the_same(&self, other: &Job) -> bool {
        Job { place: other.place.clone(), ..self.clone() } == *other
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use jiff::Timestamp;
    use jiff::tz::TimeZoneDatabase;

    use super::*;
    use crate::schedule::{Settings, Source, read};

    fn schedule(jobs: &str) -> Schedule {
        let text = format!("timezone: UTC\ndefaults: {{app: main, region: ap-singapore, at: '18:00', for: 1h}}\njobs:\n{jobs}");
        let source = Source { name: Arc::from("a.yaml"), text };
        let apps = Some([(Arc::from("main"), 1)].into());
        let settings = Settings { apps, region: None };
        let reading = read(&[source], &settings, &TimeZoneDatabase::bundled(), Timestamp::UNIX_EPOCH);
        reading.schedule.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics))
    }

    fn job(id: &str, more: &str) -> String {
        format!("  {id}: {{room: {id}, stream: 'https://cdn.example.com/{id}.mp4'{more}}}\n")
    }

    #[test]
    fn jobs_come_change_and_go_and_where_they_stand_is_no_change() {
        let before = schedule(&[job("a", ""), job("b", ""), job("c", ""), job("d", "")].concat());
        let after =
            schedule(&["\n# moved\n".to_owned(), job("e", ""), job("c", ", volume: 5"), job("b", ""), job("a", "")].concat());
        assert_eq!(Difference::between(&before, &after).lines(), ["added e", "changed c", "removed d"]);
        assert_eq!(Difference::between(&before, &before), Difference::default());
    }

    #[test]
    fn every_field_that_plays_or_decides_counts() {
        let plain = schedule(&job("a", ", length: 10m"));
        for more in [
            ", length: 11m",
            ", length: 10m, at: '18:01'",
            ", length: 10m, at: '18:00', days: sat",
            ", length: 10m, timezone: Asia/Tokyo",
            ", length: 10m, until: 2030-01-01",
            ", length: 10m, except: 2026-10-01",
            ", length: 10m, to: '19:00'",
            ", length: 10m, robot: other",
            ", length: 10m, seek: 5s",
            ", length: 10m, repeat: 2",
            ", length: 10m, tempo: 1.5",
            ", length: 10m, region: ap-jakarta",
            ", length: 10m, late: skip",
            ", length: 10m, start_within: 5m",
            ", length: 10m, retry: {attempts: 3}",
            ", length: 10m, heal: false",
            ", length: 10m, on_remove: stop",
            ", length: 10m, priority: 6",
            ", length: 10m, enabled: false",
            ", length: 10m, note: hello",
        ] {
            assert_eq!(Difference::between(&plain, &schedule(&job("a", more))).lines(), ["changed a"], "{more}");
        }
    }

    #[test]
    fn a_folder_that_lost_most_of_its_jobs_looks_like_an_accident() {
        let of = |count: usize| {
            let mut jobs = String::new();
            for number in 0..count {
                write!(jobs, "{}", job(&format!("j{number}"), "")).expect("a string takes everything");
            }
            schedule(&jobs)
        };
        for (before, after, too_much) in [(12, 6, false), (12, 5, true), (13, 6, true), (8, 3, false), (9, 3, true), (1, 1, false)]
        {
            let difference = Difference::between(&of(before), &of(after));
            assert_eq!(difference.drops_too_much(before), too_much, "from {before} to {after}");
        }
    }
}
