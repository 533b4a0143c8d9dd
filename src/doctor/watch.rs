//! The doctor of a running daemon: it examines at boot, each hour and after a reload, every 30 s while something is wrong, and looks at
//! the media of the next day in time. What it finds it publishes, logs once, and hands to whoever raises alerts. It stands beside the
//! loop, and neither waits for the other.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::{Doctor, ProblemAlerts, shows_of};
use crate::clock;
use crate::daemon::Handle;
use crate::engine::{AlertMessage, LoopStatus, MediaWord};
use crate::finding::Finding;
use crate::probe::{Agenda, LOOKS_AT_ONCE, Look, MediaState, Show, show_on_fallback};
use crate::trtc::Api;
use crate::web::InForce;

/// What is known now: problems first.
pub type Findings = Arc<[Finding]>;

/// How long after boot or a reload it begins: what is due then goes first.
const BEGINS_AFTER: Duration = Duration::from_secs(2);

/// How often it examines, and how often while it finds a problem.
const EXAMINES_EVERY: SignedDuration = SignedDuration::from_hours(1);
const EXAMINES_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// How often the shows to come are listed anew.
const LISTS_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// How often it looks whether something is due.
const TICK: Duration = Duration::from_secs(5);

/// What a task of it brings back.
enum Done {
    /// `None`: it came to nothing, and is begun anew.
    Examined(Option<Vec<Finding>>),
    Looked(Box<Show>, Box<Look>, Timestamp),
    Listed(Vec<Show>),
}

/// The doctor at work.
pub struct Watch {
    /// What is known.
    pub findings: watch::Receiver<Findings>,
    /// What is to be raised and cleared. None of it is skipped.
    pub alerts: UnboundedReceiver<AlertMessage>,
    /// It goes on until this is aborted.
    pub task: JoinHandle<()>,
}

/// Where it says what it finds.
struct Told {
    findings: watch::Sender<Findings>,
    open: ProblemAlerts,
    alerts: UnboundedSender<AlertMessage>,
}

/// What it remembers.
#[derive(Default)]
struct Memory {
    /// What the last examination found; `None`: none is over yet.
    examined: Option<Vec<Finding>>,
    examined_at: Option<Timestamp>,
    is_examining: bool,
    /// The shows to come; `None` before they were listed once.
    shows: Option<Vec<Show>>,
    listed_at: Option<Timestamp>,
    is_listing: bool,
    /// Those that play their fallback.
    on_fallback: Vec<Show>,
    agenda: Agenda,
    looking: Vec<Show>,
    /// Why the loop could not read the secrets again, as it was seen last.
    secrets_unread: Option<String>,
}

/// The daemon: what it says, and where it is told what looks at media saw.
pub struct Daemon {
    /// How its loop stands.
    pub status: watch::Receiver<LoopStatus>,
    /// Its handle.
    pub handle: Handle,
}

/// Begins to examine and to look. `open`: the alerts that the daemon before left open.
pub fn begin<A: Api>(doctor: Doctor<A>, in_force: watch::Receiver<InForce>, daemon: Daemon, open: ProblemAlerts) -> Watch {
    let (sender, findings) = watch::channel(Findings::default());
    let (raise, alerts) = unbounded_channel();
    let told = Told { findings: sender, open, alerts: raise };
    Watch { findings, alerts, task: tokio::spawn(keep_looking(Arc::new(doctor), in_force, daemon, told)) }
}

/// Examines and looks for as long as it is not dropped.
async fn keep_looking<A: Api>(doctor: Arc<Doctor<A>>, mut in_force: watch::Receiver<InForce>, daemon: Daemon, mut told: Told) {
    let (mut memory, mut tasks) = (Memory::default(), JoinSet::new());
    sleep(BEGINS_AFTER).await;
    loop {
        let LoopStatus { synchronised, secrets_unread, on_fallback, .. } = daemon.status.borrow().clone();
        memory.secrets_unread(secrets_unread);
        memory.on_fallback = on_fallback.iter().map(show_on_fallback).collect();
        memory.on_fallback.retain(|show| doctor.wants(show));
        memory.begin(&doctor, &in_force, &mut tasks, synchronised);
        tokio::select! {
            Some(done) = tasks.join_next() => {
                if let Ok(done) = done {
                    if let Some(word) = media_word(&done, clock::now()) {
                        daemon.handle.tell_media(word).await;
                    }
                    memory.take(done, clock::now());
                    told.publish(&memory, clock::now());
                } else {
                    // One that panicked is a bug of ours: it is in the log, and is not tried again at once.
                    sleep(TICK).await;
                    (memory.is_examining, memory.is_listing) = (false, false);
                    memory.looking.clear();
                }
            }
            changed = in_force.changed() => {
                if changed.is_err() {
                    return;
                }
                // The secrets are read after the schedule.
                sleep(BEGINS_AFTER).await;
                in_force.mark_unchanged();
                (memory.examined_at, memory.listed_at) = (None, None);
                memory.agenda.doubt_bad();
            }
            () = sleep(TICK) => told.publish(&memory, clock::now()),
        }
    }
}

impl Memory {
    /// What the loop could not read, or can read again, is examined now: it says which secret it is, and whether that is over.
    fn secrets_unread(&mut self, why: Option<String>) {
        if self.secrets_unread != why {
            (self.secrets_unread, self.examined_at) = (why, None);
        }
    }

    /// Begins what is due and not under way.
    fn begin<A: Api>(
        &mut self,
        doctor: &Arc<Doctor<A>>,
        in_force: &watch::Receiver<InForce>,
        tasks: &mut JoinSet<Done>,
        synchronised: Option<bool>,
    ) {
        let now = clock::now();
        let schedule = || Arc::clone(&in_force.borrow().generation.schedule);
        let is_wrong = self.examined.iter().flatten().any(Finding::is_problem);
        let every = if is_wrong { EXAMINES_AGAIN } else { EXAMINES_EVERY };
        if !self.is_examining && is_due(self.examined_at, every, now) {
            (self.is_examining, self.examined_at) = (true, Some(now));
            let (doctor, schedule) = (Arc::clone(doctor), schedule());
            tasks.spawn(async move { Done::Examined(doctor.examine(Some(&schedule), synchronised).await) });
        }
        if !self.is_listing && is_due(self.listed_at, LISTS_EVERY, now) {
            (self.is_listing, self.listed_at) = (true, Some(now));
            let (doctor, schedule) = (Arc::clone(doctor), schedule());
            // Of a large schedule it takes a while.
            tasks.spawn_blocking(move || Done::Listed(shows_of(&doctor, &schedule, now)));
        }
        let to_come = self.shows.as_deref().unwrap_or_default();
        let due = self.agenda.due_on_fallback(&self.on_fallback, now).into_iter().chain(self.agenda.due(to_come, now));
        let idle = due.into_iter().filter(|show| !self.looking.iter().any(|other| other.plays_the_same(show)));
        let begins: Vec<Show> = idle.take(LOOKS_AT_ONCE - self.looking.len()).cloned().collect();
        for show in begins {
            self.looking.push(show.clone());
            let doctor = Arc::clone(doctor);
            tasks.spawn(async move {
                let began = clock::now();
                let look = doctor.look(&show).await;
                Done::Looked(Box::new(show), Box::new(look), began)
            });
        }
    }

    fn take(&mut self, done: Done, now: Timestamp) {
        match done {
            Done::Examined(Some(findings)) => (self.examined, self.is_examining) = (Some(findings), false),
            Done::Examined(None) => (self.examined_at, self.is_examining) = (None, false),
            Done::Listed(shows) => {
                self.agenda.keep(shows.iter().chain(&self.on_fallback));
                (self.shows, self.is_listing) = (Some(shows), false);
            }
            Done::Looked(show, look, _) => {
                self.looking.retain(|other| !other.plays_the_same(&show));
                self.agenda.looked(&show, now, look.findings);
            }
        }
    }

    fn findings(&self, now: Timestamp) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.examined.iter().flatten().cloned().collect();
        findings.extend(self.agenda.findings(self.shows.as_deref().unwrap_or_default(), now));
        findings.sort();
        findings
    }
}

/// What a look tells the daemon.
fn media_word(done: &Done, now: Timestamp) -> Option<MediaWord> {
    let Done::Looked(show, look, began) = done else { return None };
    // A clock that was set meanwhile makes it no younger.
    let ago = now.duration_since(*began).max(SignedDuration::ZERO);
    Some(MediaWord { url: show.stream.clone(), is_there: look.is_there?, ago })
}

/// Whether something is due that was done then. A clock that was set back makes it due.
fn is_due(done_at: Option<Timestamp>, every: SignedDuration, now: Timestamp) -> bool {
    done_at.is_none_or(|at| now < at || now.duration_since(at) >= every)
}

impl Told {
    /// Publishes what is known now, logs what is new and what is over, and says which alerts these are.
    fn publish(&mut self, memory: &Memory, at: Timestamp) {
        let (now, before) = (memory.findings(at), Arc::clone(&self.findings.borrow()));
        let state_of = |about: &str| match &memory.shows {
            Some(shows) => memory.agenda.state_of(about, shows, at),
            None => MediaState::Open,
        };
        for message in self.open.compare(&now, memory.examined.is_some(), state_of) {
            // Whoever raises them may be ending.
            let _ = self.alerts.send(message);
        }
        if *before == *now {
            return;
        }
        let is_in = |list: &[Finding], one: &Finding| {
            list.iter().any(|other| (other.kind, &other.about) == (one.kind, &one.about) && other.is_problem())
        };
        for finding in now.iter().filter(|finding| finding.is_problem() && !is_in(&before, finding)) {
            tracing::error!(kind = finding.kind.name(), "{}", finding.line());
        }
        for finding in before.iter().filter(|finding| finding.is_problem() && !is_in(&now, finding)) {
            tracing::info!(kind = finding.kind.name(), "this is over: {}", finding.what);
        }
        self.findings.send_replace(Arc::from(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::FindingKind;

    #[test]
    fn a_clock_that_was_set_back_makes_it_due() {
        let at = |seconds: i64| Timestamp::from_second(1_795_000_000 + seconds).expect("an instant");
        for (done_at, now, due) in [(None, 0, true), (Some(0), 59, false), (Some(0), 60, true), (Some(0), -1, true)] {
            assert_eq!(is_due(done_at.map(at), SignedDuration::from_mins(1), at(now)), due, "{done_at:?} {now}");
        }
    }

    #[test]
    fn what_could_not_be_asked_is_begun_anew_and_what_was_found_holds() {
        let at = Timestamp::from_second(1_795_000_000).expect("an instant");
        let found = vec![Finding::problem(FindingKind::Key, "account", "refused".to_owned(), "correct it")];
        let mut memory = Memory { examined: Some(found.clone()), examined_at: Some(at), is_examining: true, ..Memory::default() };
        memory.take(Done::Examined(None), at);
        assert_eq!((memory.findings(at), memory.examined_at, memory.is_examining), (found, None, false));
    }

    #[test]
    fn secrets_that_cannot_be_read_again_and_then_can_are_examined_at_once() {
        let at = Timestamp::from_second(1_795_000_000).expect("an instant");
        let mut memory = Memory { examined_at: Some(at), ..Memory::default() };
        memory.secrets_unread(None);
        assert_eq!(memory.examined_at, Some(at));
        for unread in [Some("gone".to_owned()), None] {
            memory.secrets_unread(unread.clone());
            assert_eq!(memory.examined_at.take(), None, "{unread:?}");
            memory.examined_at = Some(at);
            memory.secrets_unread(unread);
            assert_eq!(memory.examined_at, Some(at), "once");
        }
    }
}
