//! Occurrences to come as `plan` shows them: the JSON object of the contract, a row of a table, a line of CSV. Refuses to know
//! how they were found.

use serde::Serialize;

use super::time::{instant, local};
use crate::plan::Occurrence;

/// One occurrence as programs read it. The keys and their order are the contract.
#[derive(Clone, Debug, Serialize)]
pub struct PlanObject {
    /// The job's id.
    pub job: String,
    /// The start.
    pub start: String,
    /// The end of the window; null when it is open.
    pub end: Option<String>,
    /// The start in the job's zone, with its offset.
    pub local_start: String,
    /// The job's zone.
    pub timezone: String,
    /// The name of the application; null when no settings were at hand and the job names none.
    pub app: Option<String>,
    /// Its `SdkAppId`; null when no settings were at hand.
    pub sdk_app_id: Option<u64>,
    /// The room's id.
    pub room: String,
    /// `integer` or `string`.
    pub room_type: &'static str,
    /// The robot.
    pub robot: String,
    /// The media, without what may be secret in it unless it is to be revealed.
    pub stream: String,
    /// The region; null when no settings were at hand and the job names none.
    pub region: Option<String>,
    /// Null, `gap` or `repeat`.
    pub dst: Option<&'static str>,
    /// When a yielding occurrence is off the air. Always null: `conflict: yield` is not supported yet.
    pub pauses: (),
    /// The job that a chained occurrence follows. Always null: the trigger `after` is not supported yet.
    pub after: (),
}

impl PlanObject {
    /// Of an occurrence. `reveal` shows the whole stream URL.
    pub fn new(occurrence: &Occurrence, reveal: bool) -> PlanObject {
        let job = &occurrence.job;
        let start = occurrence.start.at;
        PlanObject {
            job: job.id.to_string(),
            start: instant(start),
            end: occurrence.end_at().map(instant),
            local_start: local(start, &job.when.zone),
            timezone: job.when.zone.iana_name().unwrap_or("UTC").to_owned(),
            app: job.app.as_ref().map(|app| app.name.to_string()),
            sdk_app_id: job.app.as_ref().and_then(|app| app.sdk_app_id),
            room: job.room.to_string(),
            room_type: job.room.type_name(),
            robot: job.robot.expand(job.id.as_str(), &job.room, start),
            stream: if reveal { job.stream.reveal().to_owned() } else { job.stream.redacted() },
            region: job.region.as_ref().map(ToString::to_string),
            dst: occurrence.dst.map(crate::calendar::Dst::name),
            pauses: (),
            after: (),
        }
    }
}
