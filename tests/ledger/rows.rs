//! Rows to fill a ledger with: one ordinary showing, which a test changes where it needs to. It does not know which tests there are.

use std::time::Duration;

use ingestd::occurrence::{End, Key, LastFault, Look, Occurrence, Outcome, Playout, Policy, State, Task, TaskPhase};
use ingestd::schedule::JobId;
use ingestd::trtc::{Destination, Repeat, Room, StartOptions, StreamUrl};
use jiff::{SignedDuration, Timestamp};

/// A URL with secrets. They must never be seen outside the ledger and the request.
pub(crate) const STREAM: &str = "https://user:hush-password@cdn.example.com/promo.mp4?sign=hush-token";

pub(crate) fn key(job: &str, start: Timestamp) -> Key {
    Key { start, job: JobId::parse(job).unwrap_or_else(|| panic!("{job} is not a job id")) }
}

/// A loop of two hours into `lobby`, armed.
pub(crate) fn armed(job: &str, start: Timestamp) -> Occurrence {
    let playout = Playout {
        destination: Destination { app: "main".to_owned(), sdk_app_id: 1_400_000_001, region: "ap-singapore".to_owned() },
        room: Room::Text("lobby".to_owned()),
        robot: job.to_owned(),
        stream: StreamUrl::new(STREAM),
        fallback: None,
        instead_of: None,
        live: false,
        length: Some(Duration::from_secs(90)),
        seek: Duration::ZERO,
        repeat: Repeat::Forever,
        options: StartOptions::default(),
    };
    let end = End::Planned(start + SignedDuration::from_hours(2));
    Occurrence::armed(key(job, start), end, playout, Policy::default(), 7)
}

/// The same, on air since 40 ms after its start, first sent 5 ms after it.
pub(crate) fn on_air(job: &str, start: Timestamp) -> Occurrence {
    Occurrence {
        state: State::OnAir,
        first_sent_at: Some(start + SignedDuration::from_millis(5)),
        on_air_at: Some(start + SignedDuration::from_millis(40)),
        task_id: Some(format!("-task+of.{job}")),
        request_id: Some("6b8b4567-0000".to_owned()),
        ..armed(job, start)
    }
}

/// The same, over as planned.
pub(crate) fn ended(job: &str, start: Timestamp) -> Occurrence {
    let on_air = on_air(job, start);
    Occurrence { state: State::Done { outcome: Outcome::EndedPlanned }, ended_at: on_air.end.at(), ..on_air }
}

/// Missed, without an attempt.
pub(crate) fn missed(job: &str, start: Timestamp, outcome: Outcome) -> Occurrence {
    Occurrence { state: State::Done { outcome }, attempts: 0, tries: 0, ..armed(job, start) }
}

/// A fault that came once.
pub(crate) fn fault(code: Option<&str>, message: &str) -> LastFault {
    LastFault { code: code.map(str::to_owned), message: message.to_owned(), in_a_row: 1 }
}

/// The task of an occurrence that is on air, bounded a minute after its end.
pub(crate) fn task(occurrence: &Occurrence) -> Task {
    let started_at = occurrence.on_air_at.expect("it is on air");
    Task {
        row: 0,
        task_id: occurrence.task_id.clone().expect("it has a task"),
        destination: occurrence.playout.destination.clone(),
        room: occurrence.playout.room.clone(),
        key: occurrence.key.clone(),
        robot: occurrence.playout.robot.clone(),
        started_at,
        bound: occurrence.end.at().map(|end| end + SignedDuration::from_mins(1)),
        media_end: None,
        phase: TaskPhase::Watched { missing_since: None },
        next_at: started_at,
        alerted: false,
        stop_wanted_at: None,
        seen_at: started_at,
        watched_from: started_at,
        taken_at: started_at,
        was_seen: false,
        is_unseen: false,
        unpulled_at: None,
        stop_fault: None,
        describe_fault: None,
        look: Look::NotNext,
    }
}
