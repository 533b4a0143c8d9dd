//! Where an occurrence plays: one room of one application. Does not know who else plays there.

use crate::schedule::Job;
use crate::trtc::Room;

/// An application and a room of it. Two names of one `SdkAppId` are one application; without settings only the name is
/// known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct JobTarget<'a> {
    sdk_app_id: Option<u64>,
    name: Option<&'a str>,
    room: &'a Room,
}

impl<'a> JobTarget<'a> {
    /// Of a job.
    pub(super) fn of(job: &'a Job) -> JobTarget<'a> {
        let sdk_app_id = job.app.as_ref().and_then(|app| app.sdk_app_id);
        let name = if sdk_app_id.is_some() { None } else { job.app.as_ref().map(|app| app.name.as_ref()) };
        JobTarget { sdk_app_id, name, room: &job.room }
    }

    /// The application alone.
    pub(super) fn app(self) -> (Option<u64>, Option<&'a str>) {
        (self.sdk_app_id, self.name)
    }
}
