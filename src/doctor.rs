//! Looks before a show what would go wrong at air time: secrets, the endpoint, the keys, the clock, the media of the next day. It sends
//! DescribeStreamIngest and fetches media, and starts and stops nothing. What an answer means it does not know:
//! `ingestd_core::doctor` does.

mod credentials;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock;
use crate::config::Settings;
use crate::finding::{Finding, FindingKind};
use crate::metrics::Metrics;
use crate::probe::{Agenda, LOOKS_AT_ONCE, Look, MediaFault, Prober, Show, fill_secrets, needs_media, shows};
use crate::schedule::Schedule;
use crate::secret::SecretSource;
use crate::trtc::advice::SecretPlaces;
use crate::trtc::error::rejected_by_rate;
use crate::trtc::limiter::Priority;
use crate::trtc::queue::Queues;
use crate::trtc::{Action, Api, Body, Destination, Fault, Request, StreamUrl};
use credentials::{Units, where_loaded};
pub use ingestd_core::doctor::*;
pub use watch::{Daemon, Findings, Watch, begin};

/// How long a question waits for its turn behind the requests of the daemon.
const SLOT_TIME_MAX: Duration = Duration::from_secs(30);

/// What the doctor needs.
pub struct Doctor<A> {
    /// The way to the endpoint; `None`: the account's secrets cannot be read here.
    pub api: Option<Arc<A>>,
    /// What the requests of a running daemon wait for; `None`: no daemon is in this process.
    pub queues: Option<Queues>,
    /// Where it is kept what answers say of the endpoint, if a daemon is in this process.
    pub metrics: Option<Arc<Metrics>>,
    /// The settings.
    pub settings: Settings,
    /// Where the secrets are kept, for advice.
    pub secrets: SecretPlaces,
    /// What looks at media.
    pub prober: Prober,
}

impl<A: Api> Doctor<A> {
    /// Asks the endpoint for a task that cannot be, once for each application and region that the schedule uses, and judges the answers
    /// and the secrets. `synchronised`: what is known of the clock. `None`: so many requests of the daemon wait that nothing could be asked,
    /// and what was found before holds.
    pub async fn examine(&self, schedule: Option<&Schedule>, synchronised: Option<bool>) -> Option<Vec<Finding>> {
        let settings = self.settings.clone();
        // They are files, and a disk may not answer.
        let read = tokio::task::spawn_blocking(move || secrets(&settings)).await;
        let mut findings = read.unwrap_or_default();
        let asked = self.ask(schedule).await?;
        findings.extend(judge_answers(&asked, &self.settings.account.endpoint.to_string(), self.secrets));
        findings.extend(untold(&asked, synchronised));
        findings.sort();
        Some(findings)
    }

    /// `None`: no slot came in time.
    async fn ask(&self, schedule: Option<&Schedule>) -> Option<Vec<Asked>> {
        let Some(api) = &self.api else { return Some(Vec::new()) };
        let account = &self.settings.account;
        let of_settings = self.settings.apps.iter().map(|(name, app)| Destination {
            app: name.to_string(),
            sdk_app_id: app.sdk_app_id,
            region: account.region.to_string(),
        });
        let mut asked = Vec::new();
        // One after the other: they are few, and nothing waits for them.
        for destination in destinations(schedule, &of_settings.collect::<Vec<_>>()) {
            let slot = match &self.queues {
                Some(queues) => Some(timeout(SLOT_TIME_MAX, queues.of(Action::Describe).acquire(Priority::doctor())).await.ok()?),
                None => None,
            };
            let body = Body::Describe { task_id: NO_TASK.to_owned() };
            let sent_at = clock::now();
            let answer = api.call(Request { destination: destination.clone(), body }, sent_at).await;
            if let Some(slot) = slot {
                match &answer.result {
                    Err(Fault::Connect(_) | Fault::Unsendable(_)) => slot.unsent(),
                    Err(fault) => slot.answered(rejected_by_rate(fault)),
                    Ok(_) => slot.answered(false),
                }
            }
            let is_reached = !matches!(answer.result, Err(Fault::Connect(_) | Fault::Timeout));
            let answered_at = clock::now();
            if let Some(metrics) = &self.metrics {
                metrics.see((sent_at, answered_at), &answer);
            }
            asked.push(Asked { destination, sent_at, answered_at, answer });
            // An endpoint that does not answer one does not answer the next.
            if !is_reached {
                break;
            }
        }
        Some(asked)
    }

    /// Looks at the media of a show.
    pub async fn look(&self, show: &Show) -> Look {
        look(&self.prober, &self.settings, &show.stream, show).await
    }

    /// Looks at the media of all these shows, some at once, each URL once. Returns what is wrong.
    pub async fn look_at_all(self: &Arc<Doctor<A>>, shows: &[Show]) -> Vec<Finding> {
        let mut agenda = Agenda::default();
        let now = clock::now();
        let mut due: Vec<Show> = agenda.due(shows, now).into_iter().cloned().collect();
        due.reverse();
        let mut looks = JoinSet::new();
        loop {
            while looks.len() < LOOKS_AT_ONCE
                && let Some(show) = due.pop()
            {
                let doctor = Arc::clone(self);
                looks.spawn(async move { (doctor.look(&show).await, show) });
            }
            match looks.join_next().await {
                Some(Ok((look, show))) => agenda.looked(&show, now, look.findings),
                Some(Err(_)) => {}
                None => return agenda.findings(shows, now),
            }
        }
    }

    /// Whether the media of a show is looked at. Against the sandbox nothing fetches media, and a rehearsal needs no network: there only
    /// what `media_hosts` names is.
    pub fn wants(&self, show: &Show) -> bool {
        let host = url::Url::parse(show.stream.reveal()).ok().and_then(|url| url.host_str().map(str::to_owned));
        !self.settings.account.endpoint.is_loopback() || host.is_some_and(|host| self.settings.media_hosts.names(&host))
    }
}

/// Fills in the secrets of a URL and looks at it.
async fn look(prober: &Prober, settings: &Settings, stream: &StreamUrl, show: &Show) -> Look {
    let (sources, named) = (settings.secrets.clone(), stream.clone());
    let filled = tokio::task::spawn_blocking(move || fill_secrets(&sources, &named)).await;
    match filled.unwrap_or_else(|_| Err("this is a bug of ingestd: see the log".to_owned())) {
        Ok(filled) => prober.look(&filled, stream, show.expected).await,
        Err(why) => {
            let findings = vec![needs_media(&MediaFault::Secret(why), &stream.redacted())];
            Look { findings, is_there: Some(false), ..Look::default() }
        }
    }
}

/// Returns every secret that is to be there: how the settings call it, and where it is kept.
pub fn sources(settings: &Settings) -> Vec<(String, &SecretSource)> {
    let needed = settings.secret_list().into_iter().filter(|secret| !secret.is_optional || secret.source.is_present());
    needed.map(|secret| (secret.name, secret.source)).collect()
}

/// Reads each secret, forgets it, and says which cannot be read, and why.
fn secrets(settings: &Settings) -> Vec<Finding> {
    let units = Units::of_host(&settings.folder);
    sources(settings).into_iter().filter_map(|(name, source)| of_secret(&name, source, &units)).collect()
}

/// What is wrong with the credentials of the service whose settings these are, where this host has its unit. No secret is read.
pub fn unit_problems(settings: &Settings) -> Vec<Finding> {
    let units = Units::of_host(&settings.folder);
    if !units.go_by(&settings.folder) {
        return Vec::new();
    }
    let mut problems = units.missing();
    for (name, source) in sources(settings) {
        let SecretSource::Credential(credential) = source else { continue };
        let is_told = problems.iter().any(|problem| problem.about == *credential);
        problems.extend(Some(where_loaded(&name, credential, &units)).filter(|finding| finding.is_problem() && !is_told));
    }
    problems
}

fn of_secret(name: &str, source: &SecretSource, units: &Units) -> Option<Finding> {
    let Err(why) = source.read() else {
        let what = format!("`{name}`: {}", source.exposure()?);
        return Some(Finding::note(FindingKind::Secret, name, what, "make it readable by its user alone"));
    };
    match source {
        // Outside the service there are no credentials.
        SecretSource::Credential(credential) if std::env::var_os("CREDENTIALS_DIRECTORY").is_none() => {
            Some(where_loaded(name, credential, units))
        }
        _ => {
            let advice = "put the secret there, readable by the daemon's user";
            Some(Finding::problem(FindingKind::Secret, name, format!("`{name}`: {why}"), advice))
        }
    }
}

/// Returns the shows of the next day whose media is looked at.
pub fn shows_of<A: Api>(doctor: &Doctor<A>, schedule: &Schedule, now: Timestamp) -> Vec<Show> {
    let mut shows = shows(schedule, now);
    shows.retain(|show| doctor.wants(show));
    shows
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::path::Path;

    use super::*;
    use crate::schedule::Source;
    use crate::trtc::{Answer, Body, Fault, Request};

    /// Answers nothing.
    struct Nobody;

    impl Api for Nobody {
        async fn call(&self, request: Request, _: Timestamp) -> Answer {
            assert!(matches!(request.body, Body::Describe { .. }), "it starts and stops nothing");
            Answer::bare(Err(Fault::Timeout))
        }

        async fn warm(&self, _: usize) {}

        fn set_clock_offset(&self, _: i64) {}

        async fn reread_secrets(&self) -> crate::engine::SecretsRead {
            crate::engine::SecretsRead::Same
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_has_no_turn_in_time_is_not_asked() {
        let text = "account: {secret_id: {file: i}, secret_key: {file: k}, region: ap-singapore}\n\
                    apps: {main: {sdk_app_id: 1, secret_key: {file: a}}}\n";
        let source = Source { name: Arc::from("s.yaml"), text: text.to_owned() };
        let settings = crate::config::read(&source, Path::new("")).settings.expect("good settings");
        let queues = Queues::new(NonZeroU32::new(1).expect("not zero"));
        let prober = Prober::new(settings.media_hosts.clone()).expect("it can connect");
        let secrets = SecretPlaces::default();
        let doctor = Doctor { api: Some(Arc::new(Nobody)), queues: Some(queues.clone()), metrics: None, settings, secrets, prober };
        let found = doctor.examine(None, None).await.expect("there is a slot");
        assert!(found.iter().any(Finding::is_problem), "nobody answers: {found:?}");
        // The tasks on air are looked at all the time.
        let watching: Vec<_> = (0..3)
            .map(|_| {
                let queue = queues.of(Action::Describe).clone();
                tokio::spawn(async move {
                    loop {
                        queue.acquire(Priority::describe()).await.answered(false);
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(doctor.examine(None, None).await, None);
        watching.iter().for_each(tokio::task::JoinHandle::abort);
        assert!(doctor.examine(None, None).await.is_some());
    }
}
