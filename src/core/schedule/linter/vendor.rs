//! What the vendor does not document for what a job asks: rooms outside its alphabet, regions and fields of the other site. Does not
//! know an endpoint but by its site.

use crate::schedule::job::Job;
use crate::schedule::places::unlisted_region;
use crate::schedule::problem::Problem;
use crate::schedule::raw::RawJob;
use crate::trtc::room::{ROOM_SIGNS, outside_alphabet};
use crate::trtc::{Room, Site};

/// The highest volume of the international endpoint (TRTC.md section 1.1).
const INTERNATIONAL_VOLUME_MAX: u64 = 100;

/// All of it.
pub(super) fn problems(job: &Job, raw: &RawJob, site: Option<Site>) -> Vec<Problem> {
    let mut problems = Vec::new();
    // The account's region is the settings' matter: one warning there, not one for each job here.
    if let Some(region) = job.region.as_deref().filter(|_| raw.region.written) {
        problems.extend(unlisted_region(region, site, raw.region.span));
    }
    problems.extend(room(job, raw));
    if site == Some(Site::International) {
        problems.extend(not_international(job, raw));
    }
    problems
}

/// A string room that the client SDKs refuse.
fn room(job: &Job, raw: &RawJob) -> Option<Problem> {
    let Room::Text(name) = &job.room else { return None };
    let span = if raw.room.written { raw.room.span } else { job.place.span };
    if name.starts_with(' ') || name.ends_with(' ') {
        let message = "`room`: the name begins or ends with a space: viewers who type it without one are in another room";
        return Some(Problem::at(span, "room-space", message).hint("remove the space"));
    }
    if has_template(name) {
        let message = "`room`: nothing is filled in here: the room would have the braces in its name";
        return Some(
            Problem::at(span, "room-braces", message).hint("write the name itself; `robot` and `stream` know `{job}` and `{room}`"),
        );
    }
    let other = outside_alphabet(name)?;
    let message = format!(
        "`room`: the vendor's SDKs take letters and digits of ASCII, the space and `{ROOM_SIGNS}` in a string room, found {}",
        crate::diagnostic::quote(&other.to_string())
    );
    Some(Problem::at(span, "room-alphabet", message).hint("viewers could not enter such a room: give it another name"))
}

/// Whether a word stands between braces.
fn has_template(name: &str) -> bool {
    let after = name.split_once('{').and_then(|(_, after)| after.split_once('}'));
    after.is_some_and(|(word, _)| word.trim_start_matches('{').starts_with(|letter: char| letter.is_ascii_alphabetic()))
}

/// Parameters that the international endpoint does not know.
fn not_international(job: &Job, raw: &RawJob) -> Vec<Problem> {
    let options = &job.options;
    let span = |field: &str| raw.options.written(field).map_or(job.place.span, |written| written.span);
    let unknown = |is_sent: bool, field: &str| {
        is_sent.then(|| {
            let message =
                format!("`{field}`: the international endpoint does not document this parameter, and may refuse the start");
            Problem::at(span(field), "not-international", message).hint("leave it out, or use the mainland endpoint")
        })
    };
    let loud = options.volume.filter(|volume| u64::from(*volume) > INTERNATIONAL_VOLUME_MAX).map(|volume| {
        let message = format!("`volume`: the international endpoint takes 0 to {INTERNATIONAL_VOLUME_MAX}, found `{volume}`");
        Problem::at(span("volume"), "not-international", message).hint("write 100 or less")
    });
    let sent = [
        unknown(options.tempo.is_some(), "tempo"),
        unknown(options.idle_timeout.is_some(), "idle_timeout"),
        unknown(options.progress.is_some(), "progress"),
    ];
    sent.into_iter().flatten().chain(loud).collect()
}
