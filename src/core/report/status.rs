//! How the daemon stands, as `status` shows it: the JSON object of the contract, and the text for people. Both are made
//! of the same plain values, from a running daemon or from the ledger alone. Does not know where the values come from.

mod health;
mod task_reasons;
mod text;

use std::borrow::Cow;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::history::HistoryObject;
use super::plan::PlanObject;
use super::time::instant;
use crate::diagnostic::Diagnostic;
use crate::engine::LoopStatus;
use crate::finding::Finding;
use crate::host::HostObject;
use crate::occurrence::{Occurrence, OpenDoubt, Orphan, Task, TaskPhase};
use crate::plan::holds::{Holds, JobPause};
use crate::plan::interruptions::Interrupted;
use crate::trtc::PerAction;
use crate::trtc::advice::SecretPlaces;
pub use health::{Health, assess_health, off_air, warnings};
pub(super) use health::{UNSYNCHRONISED, reasons};
pub use text::text;

/// How far back `recent_trouble` looks.
pub const TROUBLE_REACH: SignedDuration = SignedDuration::from_hours(24);

/// Most rows of `recent_trouble`, the newest first: more would bury what matters, and `history` has them all.
pub const TROUBLE_MAX: u32 = 100;

/// Occurrences in `next`.
pub const NEXT_COUNT: usize = 10;

/// What a status is made of.
#[derive(Clone, Debug)]
pub struct StatusInput {
    /// The instant at which it was asked for.
    pub now: Timestamp,
    /// The generation of the schedule that was accepted last; 0 before the first.
    pub generation: i64,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// What the daemon says.
    pub daemon: DaemonView,
    /// Why the daemon does not listen where the settings say, a line for each listener.
    pub not_listening: Vec<String>,
    /// Why alerts do not reach their receivers, a line for each.
    pub not_told: Vec<String>,
    /// The chores of the ledger that failed when they were last done, a line for each.
    pub failed_chores: Vec<String>,
    /// Whether the schedule has jobs, and all of them are switched off.
    pub all_off: bool,
    /// What the ledger says, or why it cannot be read.
    pub ledger: Result<LedgerView, String>,
    /// Where the secrets are kept.
    pub secrets: SecretPlaces,
    /// Where the zone data comes from: `bundled`, or a folder.
    pub zone_source: String,
    /// Its release, such as `2026f`.
    pub zone_version: String,
    /// The zone of the times in its texts.
    pub zone: TimeZone,
}

/// What is known of the daemon.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each status")]
pub enum DaemonView {
    /// It runs.
    Running {
        /// How many jobs its schedule has.
        jobs: usize,
        /// What is wrong with the schedule files, if they were rejected and the last good schedule stays in force.
        rejected: Vec<Diagnostic>,
        /// The occurrences to come, [`NEXT_COUNT`] at most.
        next: Vec<Interrupted>,
        /// How it is.
        state: LoopStatus,
    },
    /// It was asked, and did not answer correctly.
    Silent {
        /// Where it should listen, and what happened.
        why: String,
    },
}

/// What the ledger knows of now.
#[derive(Clone, Debug, Default)]
pub struct LedgerView {
    /// When its newest turn was committed.
    pub committed_at: Option<Timestamp>,
    /// What is on air or stopping, by start.
    pub on_air: Vec<Occurrence>,
    /// What went wrong in the last [`TROUBLE_REACH`], newest first, at most [`TROUBLE_MAX`].
    pub trouble: Vec<Occurrence>,
    /// Every task that is not known to be gone.
    pub tasks: Vec<Task>,
    /// Every orphan.
    pub orphans: Vec<Orphan>,
    /// Every start in doubt whose task may play now, after its occurrence or beside another task of it.
    pub doubts: Vec<OpenDoubt>,
    /// What operators hold back.
    pub holds: Holds,
}

impl StatusInput {
    /// What operators hold back, from the daemon or else from the ledger.
    fn holds(&self) -> Option<&Holds> {
        match &self.daemon {
            DaemonView::Running { state, .. } => Some(&state.holds),
            DaemonView::Silent { .. } => self.ledger.as_ref().ok().map(|ledger| &ledger.holds),
        }
    }
}

impl LedgerView {
    /// The newest task of a row.
    fn task_of(&self, row: &Occurrence) -> Option<&Task> {
        self.tasks.iter().rfind(|task| task.key == row.key)
    }
}

/// The status as programs read it. The keys and their order are the contract; every key is always there, and what only
/// a running daemon knows is null without one.
#[derive(Clone, Debug, Serialize)]
pub struct StatusObject {
    /// The worst of what is wrong.
    pub health: Health,
    /// Everything that is wrong, the worst first; empty when it is [`Health::Ok`].
    pub reasons: Vec<String>,
    /// What somebody should know, although the health does not depend on it.
    pub warnings: Vec<String>,
    /// The generation of the schedule in force.
    pub generation: i64,
    /// The schedule in force.
    pub schedule: ScheduleObject,
    /// The clock.
    pub clock: ClockObject,
    /// How this host stands among those that share the ledger; absent without a shared one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostObject>,
    /// What is on air; null when the ledger cannot be read.
    pub on_air: Option<Vec<OnAirObject>>,
    /// What comes next.
    pub next: Option<Vec<PlanObject<'static>>>,
    /// The pauses in force, of jobs and of every job; null when no daemon answers and the ledger cannot be read.
    pub pauses: Option<Vec<PauseObject>>,
    /// Tasks that no occurrence owns, known from callbacks. Null when the ledger cannot be read.
    pub orphans: Option<Vec<OrphanObject>>,
    /// What went wrong lately; null when the ledger cannot be read.
    pub recent_trouble: Option<Vec<HistoryObject>>,
    /// What may go wrong at air time, problems first, notes too.
    pub findings: Option<Vec<Finding>>,
    /// Seconds between two describes of a task on air.
    pub watch_period_s: Option<u64>,
    /// Requests that wait for the limiter.
    pub queue: PerAction<Option<usize>>,
    /// Requests that may leave in a second now, at most `rate` of the settings: less while the endpoint rejects that many.
    pub rate: PerAction<Option<usize>>,
}

/// One of `on_air` of [`StatusObject`]: what `history` prints, and what is known of its newest task.
#[derive(Clone, Debug, Serialize)]
pub struct OnAirObject {
    /// The row. Its `task_fault` says what is wrong with stops and describes.
    #[serde(flatten)]
    pub row: HistoryObject,
    /// How far its stop has come: null when none is wanted, `wanted` until one is accepted, `accepted` until it is seen gone.
    pub stop: Option<&'static str>,
    /// When it was last seen on air, if that is too long ago: 90 s, or three watch periods. Null while it is seen.
    pub unseen_since: Option<String>,
    /// Since when TRTC cannot pull its media; null when no callback says so.
    pub unpulled_since: Option<String>,
}

impl OnAirObject {
    fn new(row: &Occurrence, ledger: &LedgerView) -> OnAirObject {
        let task = ledger.task_of(row);
        OnAirObject {
            row: HistoryObject::new(row),
            stop: task.and_then(|task| match task.phase {
                TaskPhase::StopWanted { .. } => Some("wanted"),
                TaskPhase::Verifying { .. } => Some("accepted"),
                TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => None,
            }),
            unseen_since: task.filter(|task| task.is_unseen).map(|task| instant(task.seen_at)),
            unpulled_since: task.and_then(|task| task.unpulled_at).map(instant),
        }
    }
}

/// One of `pauses` of [`StatusObject`].
#[derive(Clone, Debug, Serialize)]
pub struct PauseObject {
    /// The job; null when every job is paused.
    pub job: Option<String>,
    /// Since when.
    pub since: String,
    /// Until when; null when somebody must end it.
    pub until: Option<String>,
    /// Who ordered it.
    pub by: String,
    /// The note that they gave with it.
    pub note: Option<String>,
}

impl PauseObject {
    fn new(pause: &JobPause) -> PauseObject {
        PauseObject {
            job: pause.job.as_ref().map(ToString::to_string),
            since: instant(pause.since),
            until: pause.until.map(instant),
            by: pause.source.who.clone(),
            note: pause.source.note.clone(),
        }
    }
}

/// `schedule` of [`StatusObject`].
#[derive(Clone, Debug, Serialize)]
pub struct ScheduleObject {
    /// How many jobs it has.
    pub jobs: Option<usize>,
    /// When it was accepted.
    pub accepted_at: Option<String>,
    /// Null, or what is wrong with the files that were not accepted, as `check` shows it.
    pub rejected: Option<Vec<crate::diagnostic::DiagnosticObject>>,
}

/// One of `orphans` of [`StatusObject`].
#[derive(Clone, Debug, Serialize)]
pub struct OrphanObject {
    /// The TaskId, for `stop --task`.
    pub task_id: String,
    /// The application.
    pub app: String,
    /// The region.
    pub region: String,
    /// When the vendor reported it.
    pub seen_at: String,
    /// The job it is most likely of.
    pub likely_job: Option<String>,
}

/// `clock` of [`StatusObject`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClockObject {
    /// Whether the clock is synchronised, by the kernel or else by systemd-timesyncd; null where neither says.
    pub synchronised: Option<bool>,
    /// The server's clock minus this one, while they differ by more than 2 s.
    pub offset_ms: Option<i64>,
    /// Why no start leaves, if the clock is held.
    pub held: Option<String>,
}

impl StatusObject {
    /// Of its input.
    pub fn new(input: &StatusInput) -> StatusObject {
        let (health, reasons) = assess_health(input);
        let objects = |rows: &[Occurrence]| rows.iter().map(HistoryObject::new).collect();
        let ledger = input.ledger.as_ref().ok();
        let (jobs, rejected, next, state) = match &input.daemon {
            DaemonView::Running { jobs, rejected, next, state } => {
                let rejected = (!rejected.is_empty()).then(|| rejected.iter().map(Diagnostic::json).collect());
                let next = next.iter().map(|occurrence| PlanObject::new(Cow::Owned(occurrence.clone()), false)).collect();
                (Some(*jobs), rejected, Some(next), Some(state.clone()))
            }
            DaemonView::Silent { .. } => (None, None, None, None),
        };
        let queue = PerAction::new(|action| state.as_ref().map(|state| *state.queue.of(action)));
        let rate = PerAction::new(|action| state.as_ref().map(|state| *state.rate.of(action)));
        let watch_period_s = state.as_ref().map(|state| state.watch_period_s);
        let host = state.as_ref().and_then(|state| state.host.as_ref()).map(|host| host.object());
        let findings = state.as_ref().map(|state| state.findings.clone());
        let clock = state.map_or_else(ClockObject::default, |state| ClockObject {
            synchronised: state.synchronised,
            offset_ms: state.offset_ms,
            held: state.held,
        });
        let orphan = |orphan: &Orphan| OrphanObject {
            task_id: orphan.task_id.clone(),
            app: orphan.destination.app.clone(),
            region: orphan.destination.region.clone(),
            seen_at: instant(orphan.seen_at),
            likely_job: orphan.likely_job.clone(),
        };
        StatusObject {
            health,
            reasons,
            warnings: warnings(input),
            generation: input.generation,
            schedule: ScheduleObject { jobs, accepted_at: input.accepted_at.map(instant), rejected },
            clock,
            host,
            on_air: ledger.map(|ledger| ledger.on_air.iter().map(|row| OnAirObject::new(row, ledger)).collect()),
            next,
            pauses: input.holds().map(|holds| holds.pauses(input.now).map(PauseObject::new).collect()),
            orphans: ledger.map(|ledger| ledger.orphans.iter().map(orphan).collect()),
            recent_trouble: ledger.map(|ledger| objects(&ledger.trouble)),
            findings,
            watch_period_s,
            queue,
            rate,
        }
    }
}
