//! Jobs that follow other jobs: each `after` is linked once all files are read. Cycles, open ends and names that nobody has are
//! refused. Refuses to know how a link is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::job::{EndRule, Job, JobId};
use super::linter::{Linter, WarningSpans, severity};
use super::problem::{Looks, did_you_mean, quote};
use crate::calendar::{Chain, Link, Trigger, When};
use crate::diagnostic::{Diagnostic, Place};

/// Most jobs that follow one another. A day of clips of five minutes is 288.
const CHAIN_MAX: usize = 1_000;

/// Most of them that end at a wall-clock time: the search for their starts reaches back two days for each.
const WALL_ENDS_MAX: usize = 10;

/// A job that follows another, and is good but for that.
pub(super) struct Chained {
    /// It never starts as it is here.
    job: Job,
    /// The job that it follows.
    after: JobId,
    /// Where that is written.
    trigger: Place,
    /// Where its end is, or its name.
    to: Place,
}

impl Chained {
    /// Of a job whose trigger stands at `trigger`, and its end at `to`; gives it back when it follows no other.
    pub(super) fn new(job: Job, trigger: Place, to: impl FnOnce() -> Place) -> Result<Chained, Box<Job>> {
        match job.after.clone() {
            Some(after) => Ok(Chained { job, after, trigger, to: to() }),
            None => Err(Box::new(job)),
        }
    }

    /// The name of the job, and where it stands.
    pub(super) fn name(&self) -> (&JobId, &Place) {
        (&self.job.id, &self.job.place)
    }
}

/// Links all that can be linked into `jobs`, which has all jobs that are good and follow no other. `bad` has the names of those that are not
/// good. `some_lack`: of some files it is not known which jobs they name.
pub(super) fn link(
    chained: BTreeMap<JobId, Chained>,
    jobs: &mut BTreeMap<JobId, Arc<Job>>,
    bad: &BTreeMap<JobId, Place>,
    some_lack: bool,
    linter: &mut Linter,
) -> Vec<Diagnostic> {
    let looks = Looks::default();
    let unlinked: BTreeSet<JobId> = chained.keys().chain(bad.keys()).cloned().collect();
    let mut chain = Linker { chained, depths: HashMap::new(), diagnostics: Vec::new() };
    while let Some((id, first)) = chain.chained.pop_first() {
        let mut path = vec![(id, first)];
        // Up to a job that is known, by way of those that are not linked yet.
        let before = loop {
            let (_, last) = path.last().expect("it begins with one");
            match chain.chained.remove_entry(&last.after) {
                Some(next) => path.push(next),
                None => break last.after.clone(),
            }
        };
        if let Some(at) = path.iter().position(|(id, _)| *id == before) {
            chain.diagnostics.push(circle(&path[at..]));
        } else if let Some(job) = jobs.get(&before) {
            let mut before = Arc::clone(job);
            while let Some((id, next)) = path.pop() {
                let Some(job) = chain.link(&before, next, linter) else { break };
                before = Arc::new(job);
                jobs.insert(id, Arc::clone(&before));
            }
        } else if !unlinked.contains(&before) && !some_lack {
            let (id, last) = path.last().expect("it begins with one");
            let others = || unlinked.iter().chain(jobs.keys()).filter(|name| *name != id).map(JobId::as_str);
            let hint = looks.find(|| did_you_mean(before.as_str(), others()));
            let message = format!("`after`: no file has a job {}", quote(before.as_str()));
            let problem = Diagnostic::error("unknown-job", message).at(last.trigger.clone()).job(id.as_str());
            chain
                .diagnostics
                .push(problem.hint(hint.unwrap_or_else(|| "write the name of a job, as it stands under `jobs`".to_owned())));
        }
        // Else there is an error about the job before, and nothing to add.
    }
    chain.diagnostics
}

struct Linker {
    chained: BTreeMap<JobId, Chained>,
    /// How many jobs those that are linked follow.
    depths: HashMap<JobId, usize>,
    diagnostics: Vec<Diagnostic>,
}

impl Linker {
    fn link(&mut self, before: &Arc<Job>, next: Chained, linter: &mut Linter) -> Option<Job> {
        let Chained { mut job, after, trigger, to } = next;
        let mut refuse = |code, message: String, hint: &str| {
            let problem = Diagnostic::error(code, message).at(trigger.clone()).job(job.id.as_str());
            self.diagnostics.push(problem.related(before.place.clone(), "the job that it follows").hint(hint));
        };
        let depth = self.depths.get(&after).copied().unwrap_or(1) + 1;
        if depth > CHAIN_MAX {
            refuse(
                "chain-too-long",
                format!("`after`: more than {CHAIN_MAX} jobs follow one another"),
                "give this job its own `at`",
            );
            return None;
        }
        let link = match before.end {
            EndRule::For(length) => Link::Lasts(length),
            EndRule::To(time) => Link::To(time, before.when.zone.clone()),
            EndRule::Never => {
                refuse("open-end", format!("`after`: `{after}` never ends"), "give that job an end: `for: 2h`, or `to: 20:00`");
                return None;
            }
            EndRule::Media => {
                let Some(length) = before.media_length() else {
                    let message = format!("`after`: nobody knows beforehand when `{after}` ends");
                    refuse("open-end", message, "give that job its `length`, or an end: `for: 2h`, or `to: 20:00`");
                    return None;
                };
                Link::Lasts(length)
            }
        };
        // What is switched off plans nothing, and nothing follows it.
        let none = When { trigger: Trigger::Once(Vec::new()), ..before.when.clone() };
        let chain = Chain::following(if before.enabled { &before.when } else { &none }, link);
        if chain.wall_ends() > WALL_ENDS_MAX {
            let message = format!("`after`: more than {WALL_ENDS_MAX} jobs that end by `to` follow one another");
            refuse("chain-too-long", message, "give this job its own `at`");
            return None;
        }
        self.depths.insert(job.id.clone(), depth);
        job.when.trigger = Trigger::After(Arc::new(chain));
        if job.enabled && !before.enabled {
            let message = format!("`after`: `{after}` is switched off, so this job never starts");
            let problem = Diagnostic::warning("never-starts", message).at(trigger).job(job.id.as_str());
            self.diagnostics
                .push(problem.related(before.place.clone(), "the job that it follows").hint("switch on that job, or this one off"));
            return Some(job);
        }
        let spans = WarningSpans { trigger: trigger.span, to: to.span };
        for problem in linter.time_warnings(&job, spans) {
            let place = if problem.span == to.span { &to } else { &trigger };
            self.diagnostics.push(Diagnostic {
                severity: severity(problem.code),
                code: problem.code,
                message: problem.message,
                place: Some(place.clone()),
                job: Some(job.id.to_string()),
                hint: problem.hint,
                related: Vec::new(),
            });
        }
        Some(job)
    }
}

/// Jobs each of which follows the next, and the last of which follows the first.
fn circle(path: &[(JobId, Chained)]) -> Diagnostic {
    const NAMED_MAX: usize = 8;
    let ((id, first), others) = path.split_first().expect("a circle has a job");
    let mut names: Vec<String> = path.iter().map(|(id, _)| format!("`{id}`")).take(NAMED_MAX).collect();
    if path.len() > NAMED_MAX {
        names.push("...".to_owned());
    }
    names.push(format!("`{id}`"));
    let message = format!("`after`: a circle of jobs, none of which ever starts: {}", names.join(" after "));
    let problem = Diagnostic::error("circle", message).at(first.trigger.clone()).job(id.as_str());
    let others = others.iter().take(NAMED_MAX - 1);
    let problem = others.fold(problem, |problem, (_, other)| problem.related(other.trigger.clone(), "and so on"));
    problem.hint("give one of them its own `at`, `once`, `cron` or `every`")
}
