//! Media that dies and heals in a run, the fallbacks of the jobs that play it, and the looks that a doctor would make. Drawn from numbers
//! of its own. Does not know what a daemon makes of it.

use std::time::Duration;

use ingestd::engine::MediaWord;
use ingestd::trtc::StreamUrl;
use ingestd::trtc::callback::TaskNews;
use jiff::{SignedDuration, Timestamp};

use crate::api::SimApi;
use crate::faults::Plan;
use crate::random::Random;
use crate::scenario::{SimJob, begin};

/// How often the doctor looks.
const LOOKS_EVERY: Duration = Duration::from_secs(25);

/// A time in which the stream of a job, or its fallback, cannot be had.
#[derive(Clone, Debug)]
pub(crate) struct DeadMedia {
    pub(crate) job: String,
    is_fallback: bool,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Whether starts are refused; else a callback says that it cannot be pulled.
    refuses: bool,
}

/// What a look found, when a daemon was told of it.
#[derive(Clone, Debug)]
pub(crate) struct ToldLook {
    pub(crate) at: Timestamp,
    pub(crate) url: String,
    pub(crate) is_there: bool,
}

/// Whether jobs have fallbacks in the world of this seed.
pub(crate) fn has_fallbacks(seed: u64) -> bool {
    (crate::FALLBACKS..crate::hosts::HOSTS).contains(&seed)
}

/// The name of a fallback, in the place of the name of media.
pub(crate) const FALLBACK: &str = "fallback";

/// Gives jobs fallbacks, and lets media die.
pub(crate) fn add(random: &mut Random, minutes: i64, jobs: &mut [SimJob], plan: &mut Plan) {
    plan.callbacks |= random.percent(70);
    // In half of the worlds nothing else goes wrong: there it is known when what must play.
    if random.percent(50) {
        *plan = Plan { rate: plan.rate, callbacks: true, ..Plan::without_faults(plan.exist) };
    }
    let spell = |random: &mut Random| {
        let from = begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000));
        (from, from + SignedDuration::from_secs(random.within(5, 500)))
    };
    for job in jobs {
        job.fallback = random.percent(75);
        for is_fallback in [false, true] {
            let often = if is_fallback { 15 } else { 70 };
            let count = if random.percent(often) { random.within(1, 3) } else { 0 };
            for _ in 0..count {
                let ((from, to), refuses) = (spell(random), random.percent(40));
                plan.troubles.dead.push(DeadMedia { job: job.id.clone(), is_fallback, from, to, refuses });
            }
        }
    }
}

impl DeadMedia {
    fn holds(&self, url: &str, at: Timestamp) -> bool {
        let is_it = crate::cloud::job_of(url) == self.job && url.contains(FALLBACK) == self.is_fallback;
        is_it && self.from <= at && at < self.to
    }
}

/// Whether media cannot be had now.
pub(crate) fn is_dead(dead: &[DeadMedia], url: &str, at: Timestamp) -> bool {
    dead.iter().any(|dead| dead.holds(url, at))
}

/// Whether a start of it is refused now.
pub(crate) fn is_refused(dead: &[DeadMedia], url: &str, at: Timestamp) -> bool {
    dead.iter().any(|dead| dead.refuses && dead.holds(url, at))
}

/// Lets media die and heal, and has somebody look at it, for as long as the run lasts.
pub(crate) fn begin_dying(api: &SimApi, plan: &Plan) {
    for dead in plan.troubles.dead.clone() {
        let api = api.clone();
        tokio::spawn(async move {
            for (at, news) in [(dead.from, TaskNews::StartFailed), (dead.to, TaskNews::Started)] {
                api.clock.until(at).await;
                tell_tasks(&api, &dead, news);
            }
        });
    }
    if plan.troubles.dead.is_empty() {
        return;
    }
    let api = api.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOKS_EVERY).await;
            look(&api).await;
        }
    });
}

/// The vendor tells of the tasks that play what died or healed.
fn tell_tasks(api: &SimApi, dead: &DeadMedia, news: TaskNews) {
    let now = api.clock.truth();
    let tasks: Vec<_> = {
        let state = api.state();
        let plays = |task: &&crate::cloud::SimTask| {
            let media = state.sends.get(task.send).map_or("", |send| send.media.as_str());
            task.is_live(now) && task.job == dead.job && media.contains(FALLBACK) == dead.is_fallback
        };
        state.cloud.tasks.iter().filter(plays).cloned().collect()
    };
    for task in tasks {
        api.send_callback(task.id, task.job, news, now);
    }
}

/// The doctor looks at what may be played, and at what is waited for.
async fn look(api: &SimApi) {
    let now = api.clock.truth();
    let (handle, words) = {
        let mut state = api.state();
        let Some(handle) = state.handle.clone() else { return };
        let waited = state.status.as_ref().map(|status| status.borrow().on_fallback.clone()).unwrap_or_default();
        let mut urls: Vec<String> = waited.iter().map(|show| show.stream.reveal().to_owned()).collect();
        let with_fallback = state.jobs.iter().filter(|job| job.fallback);
        urls.extend(with_fallback.flat_map(|job| [job.url(), job.fallback_url()]));
        urls.sort();
        urls.dedup();
        let mut words = Vec::new();
        for url in urls {
            let is_there = !is_dead(&state.troubles.dead, &url, now);
            state.looks.push(ToldLook { at: now, url: url.clone(), is_there });
            words.push(MediaWord { url: StreamUrl::new(&url), is_there, ago: SignedDuration::from_millis(200) });
        }
        (handle, words)
    };
    for word in words {
        handle.tell_media(word).await;
    }
}
