//! What every start seeks to and plays, against the job as it was written and the instant of the request (DESIGN section 5, Position).
//! Worked out here from the values of the file: the daemon's own rule is what is checked.

use ingestd::trtc::{Action, Repeat};
use jiff::{SignedDuration, Timestamp};

use super::Faults;
use crate::endpoint::Claim;
use crate::media::FALLBACK;
use crate::run::Run;
use crate::scenario::{Play, SimJob};

pub(super) fn check(run: &Run, faults: &mut Faults) {
    let name = "every start seeks to where its show is";
    for send in run.api.state().sends.iter().filter(|send| send.action == Action::Start) {
        let [claim] = send.claims.as_slice() else { continue };
        if send.media.contains(FALLBACK) {
            if send.position != (0, Some(Repeat::Forever)) {
                faults.add("a fallback plays from its beginning, in a loop", format!("{send:?}"));
            }
            continue;
        }
        let mut jobs = run.generations.iter().flat_map(|span| &span.jobs);
        let is_it = |job: &&SimJob| job.id == send.subject && job.url().ends_with(&format!("/{}", send.media));
        let Some(job) = jobs.find(is_it) else {
            faults.add(name, format!("no schedule has what it plays: {send:?}"));
            continue;
        };
        match expected(job, claim, send.wall) {
            Some(expected) if expected == send.position => {}
            expected => faults.add(name, format!("expected {expected:?}: {send:?}")),
        }
    }
}

/// The second and the plays; `None`: there is nothing left to play.
fn expected(job: &SimJob, claim: &Claim, sent: Timestamp) -> Option<(u64, Option<Repeat>)> {
    let elapsed = sent.duration_since(claim.start);
    let is_on_time = elapsed < SignedDuration::from_secs(2);
    let starts_over = job.fields.iter().any(|field| field == "late: restart") && !claim.was_on_air;
    let from_seek = is_on_time || starts_over;
    let shown_ms = if from_seek { 0 } else { i64::try_from(elapsed.as_millis()).expect("days") * job.tempo / 100 };
    let second = |ms: i64| u64::try_from(ms / 1_000).expect("not negative");
    let times = |plays: i64| (plays != 1).then(|| Repeat::Times(u16::try_from(plays).expect("few")));
    Some(match job.play {
        Play::Live { .. } => (0, None),
        Play::Never if job.length.is_none() => (0, None),
        Play::Loop { .. } | Play::Never => {
            let at = job.seek * 1_000 + shown_ms;
            let position = match job.length {
                // The first play begins at its seek, and every later one at the beginning.
                Some(length) => at % (length * 1_000),
                None => job.seek * 1_000,
            };
            (second(if from_seek { job.seek * 1_000 } else { position }), Some(Repeat::Forever))
        }
        Play::Single { length, repeat, seek, .. } => {
            let at = seek * 1_000 + shown_ms;
            let played = at / (length * 1_000);
            if from_seek {
                (second(seek * 1_000), times(repeat))
            } else if played >= repeat {
                return None;
            } else {
                (second(at % (length * 1_000)), times(repeat - played))
            }
        }
        Play::Open { .. } => (second(shown_ms), None),
    })
}
