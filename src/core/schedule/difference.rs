//! What an edit changes: which jobs it adds, changes and removes, and which fields of a job it changes. It does not know when
//! anything plays, and what happens to what is on air.

use std::sync::Arc;

use super::{Job, JobId, Schedule};

/// An edit that removes this many jobs may still be intended.
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

    /// Whether it removes so many of that many jobs that it looks like an accident.
    pub fn drops_too_much(&self, jobs_before: usize) -> bool {
        is_too_much(self.removed.len(), jobs_before)
    }

    /// A line for each job: `added lobby-news`.
    pub fn lines(&self) -> Vec<String> {
        let kinds = [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)];
        kinds.into_iter().flat_map(|(verb, ids)| ids.iter().map(move |id| format!("{verb} {id}"))).collect()
    }
}

/// The jobs that the schedule before plays, and the one after has not, or has switched off.
pub fn dropped<'a>(before: &'a Schedule, after: &'a Schedule) -> impl Iterator<Item = &'a Arc<Job>> {
    let plays_on = |job: &Job| after.job(job.id.as_str()).is_some_and(|job| job.enabled);
    before.jobs().filter(move |job| job.enabled && !plays_on(job))
}

/// What a field of a job decides. It says what an edit of the field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// When occurrences start and end.
    When,
    /// What is sent: what plays, where, and by which robot. An occurrence keeps it (as its `Playout`) while it is on air.
    Sent,
    /// The rules that go with an occurrence: its `Policy`.
    Rule,
    /// What no occurrence keeps: what people read, and whether its media is looked at.
    Note,
}

impl Job {
    /// Returns the fields in which the two differ, each with what it decides. Here alone stands which field decides what. A job's
    /// name and its place in the files are not compared.
    pub fn differing(&self, other: &Job) -> Vec<(Part, &'static str)> {
        // Every field is named, so that a new one cannot be forgotten.
        let Job { id: _, place: _, when, after, end, app, room, robot, stream, live, length, seek, repeat, .. } = self;
        let Job { fallback, options, region, policy, preflight, enabled, note, .. } = self;
        let fields = [
            (Part::When, "when", *when == other.when),
            (Part::When, "after", *after == other.after),
            (Part::When, "end", *end == other.end),
            (Part::When, "enabled", *enabled == other.enabled),
            (Part::Sent, "app", *app == other.app),
            (Part::Sent, "room", *room == other.room),
            (Part::Sent, "robot", *robot == other.robot),
            (Part::Sent, "stream", *stream == other.stream),
            (Part::Sent, "fallback", *fallback == other.fallback),
            (Part::Sent, "region", *region == other.region),
            (Part::Sent, "live", *live == other.live),
            (Part::Sent, "length", *length == other.length),
            (Part::Sent, "seek", *seek == other.seek),
            (Part::Sent, "repeat", *repeat == other.repeat),
            (Part::Note, "preflight", *preflight == other.preflight),
            (Part::Note, "note", *note == other.note),
        ];
        let fields = fields.into_iter().filter(|(.., same)| !same).map(|(part, name, _)| (part, name));
        let options = options.differing(&other.options).map(|key| (Part::Sent, key));
        fields.chain(options).chain(policy.differing(&other.policy).map(|name| (Part::Rule, name))).collect()
    }

    /// Whether it says what the other one says, wherever in the files the two stand.
    pub fn says_the_same(&self, other: &Job) -> bool {
        self.id == other.id && self.differing(other).is_empty()
    }

    /// Returns the fields of what is sent in which the two differ.
    pub fn sent_differing(&self, other: &Job) -> impl Iterator<Item = &'static str> + use<> {
        self.differing(other).into_iter().filter(|(part, _)| *part == Part::Sent).map(|(_, name)| name)
    }
}

/// Whether to remove so many of that many jobs looks like an accident: a folder that was not mounted, a file that was saved half. That is
/// more than half of the jobs, and more than five.
pub fn is_too_much(removed: usize, jobs_before: usize) -> bool {
    removed > DROPS_UNASKED_MAX && removed * 2 > jobs_before
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use jiff::Timestamp;
    use jiff::tz::TimeZoneDatabase;

    use super::*;
    use crate::schedule::{Settings, Source, read};

    fn schedule(jobs: &str) -> Schedule {
        let text = format!("timezone: UTC\ndefaults: {{app: main, region: ap-singapore, at: '18:00', for: 1h}}\njobs:\n{jobs}");
        let source = Source { name: Arc::from("a.yaml"), text };
        let apps = Some([(Arc::from("main"), 1)].into());
        let settings = Settings { apps, region: None, ..Settings::default() };
        let reading = read(&[source], &settings, &TimeZoneDatabase::bundled(), Timestamp::UNIX_EPOCH);
        reading.schedule.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics))
    }

    fn job(id: &str, more: &str) -> String {
        format!("  {id}: {{room: {id}, stream: 'https://cdn.example.com/{id}.mp4'{more}}}\n")
    }

    #[test]
    fn jobs_are_added_changed_and_removed_and_their_place_is_not_a_change() {
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
            ", length: 10m, fallback: 'https://cdn.example.com/still.mp4'",
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
