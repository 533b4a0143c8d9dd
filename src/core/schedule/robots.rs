//! Robots: whether a template always gives a `UserId`, and whether two jobs would send one user into two rooms. Refuses to know
//! how a template is written.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::job::{Job, JobId, RobotTemplate};
use super::problem::{Problem, quote};
use crate::diagnostic::{Diagnostic, Span};
use crate::trtc::Room;
use crate::trtc::room::{USER_ID_BYTES_MAX, is_user_id};

/// How long `{start}` gets: `20261122T180000Z`.
const START_EXAMPLE: &str = "20261122T180000Z";

/// Checks the longest expansion of a template whose placeholders and literal text are good.
pub(super) fn check(template: &RobotTemplate, job: &JobId, room: &Room, span: Span, room_span: Span) -> Result<(), Problem> {
    if template.as_str() == "{job}" {
        return Ok(());
    }
    let longest = template.fill(job.as_str(), room).replace("{start}", START_EXAMPLE);
    if is_user_id(&longest) {
        return Ok(());
    }
    let room_name = room.to_string();
    if template.as_str().contains("{room}") && !is_user_id(&room_name) && room_name.len() <= USER_ID_BYTES_MAX {
        let message =
            format!("`robot`: `{{room}}` becomes {}, which holds more than `A-Z`, `a-z`, `0-9`, `_` and `-`", quote(&room_name));
        return Err(Problem::at(span, "bad-robot", message)
            .related(room_span, "the room")
            .hint("leave `{room}` out: `{job}` names the job instead"));
    }
    let message = format!(
        "`robot`: it becomes {}, which is {} bytes long; a robot has at most {USER_ID_BYTES_MAX}",
        quote(&longest),
        longest.len()
    );
    Err(Problem::at(span, "bad-robot", message).hint("shorten the template, or the job's name"))
}

/// Jobs of one application that share a robot must share a target: a user is in one room at a time.
pub(super) fn shared_over_targets<'a>(jobs: impl Iterator<Item = &'a Arc<Job>>) -> Vec<Diagnostic> {
    // Nearly all robots are other ones, and there may be a million jobs: only those that look alike are compared.
    let hashes = BuildHasherDefault::<DefaultHasher>::default();
    let mut all: Vec<(u64, &Job)> = jobs.map(|job| (hashes.hash_one(owned_robot(job)), job.as_ref())).collect();
    // Those that look alike stay in their order.
    all.sort_by_key(|(hash, _)| *hash);
    let alike = all.chunk_by(|one, other| one.0 == other.0).filter(|alike| alike.len() > 1);
    let mut diagnostics: Vec<Diagnostic> = alike.flat_map(|alike| in_two_rooms(alike.iter().map(|(_, job)| *job))).collect();
    diagnostics.sort_by(|one, other| one.job.cmp(&other.job));
    diagnostics
}

/// Whose robot a job plays as: its application, and the robot.
fn owned_robot(job: &Job) -> (Option<u64>, Option<&str>, String) {
    let id = job.app.as_ref().and_then(|app| app.sdk_app_id);
    let name = if id.is_some() { None } else { job.app.as_ref().map(|app| app.name.as_ref()) };
    (id, name, job.robot.fill(job.id.as_str(), &job.room))
}

fn in_two_rooms<'a>(jobs: impl Iterator<Item = &'a Job>) -> Vec<Diagnostic> {
    let mut first_of: HashMap<_, &Job> = HashMap::new();
    let mut diagnostics = Vec::new();
    for job in jobs {
        let first = *first_of.entry(owned_robot(job)).or_insert(job);
        if first.room != job.room {
            let message = format!(
                "the jobs `{}` and `{}` share the robot {} in two rooms, and a user is in one room at a time",
                first.id,
                job.id,
                quote(&job.robot.fill(job.id.as_str(), &job.room))
            );
            let diagnostic = Diagnostic::error("shared-robot", message).at(job.place.clone()).job(job.id.as_str());
            diagnostics.push(diagnostic.related(first.place.clone(), "the other job").hint("put `{job}` into the template"));
        }
    }
    diagnostics
}
