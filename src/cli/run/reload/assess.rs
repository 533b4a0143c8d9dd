//! What is done with a schedule that was read, and the words for it: the same at boot as at a reload. Does not read and keep anything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::rest::{REST, Unrested};
use super::super::shrinkage::accident;
use crate::cli::{CONFIG_DEFAULT, Context, load};
use crate::clock;
use crate::diagnostic::{Diagnostic, Place};
use crate::engine::{Generation, Prepared};
use crate::ledger::sources;
use crate::schedule::difference::Difference;
use crate::schedule::{Schedule, Source};

/// The most changes that are named one by one, in the log and in the answer.
pub(in crate::cli::run) const CHANGES_SHOWN_MAX: usize = 50;

/// The code of a reload that failed, whatever the files say.
pub(super) const NOT_TAKEN: &str = "not-taken";

/// What is done with a good schedule.
pub(super) enum Assessment {
    /// Its text is what is in force.
    Same,
    /// It looks like an accident, for this reason.
    Accident(String),
    /// It can be accepted.
    Good(Difference, Box<Prepared>),
}

/// Compares a schedule with the one in force, and prepares it under `number`. With `force` it may drop whatever it drops.
pub(super) fn assess(
    before: &Generation,
    schedule: Schedule,
    (old, new): (&[Source], &[Source]),
    (number, force): (i64, bool),
) -> Assessment {
    if sources::same(new, old) {
        return Assessment::Same;
    }
    let difference = Difference::between(&before.schedule, &schedule);
    if !force && let Some(why) = accident(&before.schedule, &schedule, new, &difference) {
        return Assessment::Accident(why);
    }
    let generation = Generation { number, schedule: Arc::new(schedule) };
    Assessment::Good(difference, Box::new(Prepared::new(generation, &before.schedule, clock::now())))
}

/// What a new generation comes to.
pub(in crate::cli::run) fn summary(generation: &Generation, difference: &Difference) -> String {
    format!(
        "generation {} is in force: {} jobs; {} added, {} changed, {} removed",
        generation.number,
        generation.schedule.len(),
        difference.added.len(),
        difference.changed.len(),
        difference.removed.len(),
    )
}

/// For the status: a good schedule is held, because it looks like an accident.
pub(in crate::cli::run) fn held(folder: &Path, why: &str) -> Diagnostic {
    about(folder, "held", why).hint("if you want this: `ingestd reload --force`")
}

/// For the status: a good schedule could not be taken, for a reason that is not in it.
pub(in crate::cli::run) fn not_taken(folder: &Path, why: &str) -> Diagnostic {
    about(folder, NOT_TAKEN, why).hint("fix this, then run `ingestd reload`")
}

fn about(folder: &Path, code: &'static str, why: &str) -> Diagnostic {
    Diagnostic::error(code, why).at(Place::file(folder.to_string_lossy().into_owned()))
}

/// Why smaller files are not read yet.
pub(in crate::cli::run) fn resting(unrested: &Unrested) -> String {
    let (why, rest) = (unrested.why(), REST.as_secs());
    format!("{why}: it is read when it has not changed for {rest} s; `ingestd reload --force` does not wait")
}

/// The first of them, and how many more there are.
pub(in crate::cli::run) fn first_lines(lines: &[String], most: usize) -> Vec<String> {
    let mut shown: Vec<String> = lines.iter().take(most).cloned().collect();
    if lines.len() > most {
        shown.push(format!("and {} more", lines.len() - most));
    }
    shown
}

/// The settings file in 32 bytes: to see whether it differs, without keeping a text that may hold what should not be there.
pub(super) fn settings_digest(context: &Context) -> io::Result<[u8; 32]> {
    let path = context.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    load::read_file(&path).map(|bytes| Sha256::digest(bytes).into())
}
