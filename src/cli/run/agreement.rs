//! Whether the schedule folder of this host agrees with the accepted sources of a ledger that it shares, and what a standby shows of them.
//! Files are compared by their names in the folder: each host has its own path. Does not know who owns.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::load;
use crate::clock;
use crate::config::Settings;
use crate::engine::Generation;
use crate::ledger::sources::Sources;
use crate::ledger::{Place, Reader};
use crate::schedule::{self, Schedule, Source};
use crate::web::InForce;
use crate::zones::Zones;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    /// The files that differ, by their names in the folder.
    pub(super) differing: Vec<String>,
    /// Why the accepted sources make no schedule under the settings of this host.
    pub(super) unplayable: Option<String>,
}

/// The accepted sources.
struct Accepted {
    generation: i64,
    at: Option<Timestamp>,
    sources: Vec<Source>,
}

/// The name of a file in its folder.
fn name(source: &Source) -> &str {
    source.name.rsplit('/').next().unwrap_or(&source.name)
}

/// Sources of another host, as this one would name them.
pub(super) fn of_this_host(sources: Vec<Source>, folder: &Path) -> Vec<Source> {
    let named = |source: Source| {
        let path = folder.join(name(&source));
        Source { name: Arc::from(path.display().to_string()), text: source.text }
    };
    sources.into_iter().map(named).collect()
}

/// The files that are not the same in both.
fn differing(accepted: &[Source], folder: &[Source]) -> Vec<String> {
    fn texts(sources: &[Source]) -> BTreeMap<&str, &str> {
        sources.iter().map(|source| (name(source), source.text.as_str())).collect()
    }
    let (accepted, folder) = (texts(accepted), texts(folder));
    let mut names: Vec<&str> = accepted.keys().chain(folder.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter(|name| accepted.get(name) != folder.get(name)).map(str::to_owned).collect()
}

/// A schedule without jobs: before anything was accepted.
fn nothing(settings: &Settings, zones: &Zones) -> Schedule {
    let read = schedule::read(&[], &settings.for_schedule(), &zones.database, clock::now());
    read.schedule.expect("no file has no problem")
}

/// What a standby shows before it has looked.
pub(super) fn unknown(settings: &Settings, zones: &Zones) -> InForce {
    InForce::good(Generation { number: 0, schedule: Arc::new(nothing(settings, zones)) }, None)
}

/// Looks again and again. What cannot be read is as it was.
pub(super) async fn watch(
    (settings, zones, place): (Settings, Zones, Place),
    found: watch::Sender<Agreement>,
    in_force: watch::Sender<InForce>,
) {
    let both = Arc::new((settings, zones, place));
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (inputs, known) = (Arc::clone(&both), in_force.borrow().generation.number);
        let look = move || {
            let (settings, zones, place) = &*inputs;
            look(settings, zones, (place, known))
        };
        // A disk, or a database, may not answer.
        let Ok(Some((agreement, new))) = tokio::task::spawn_blocking(look).await else { continue };
        found.send_if_modified(|last| std::mem::replace(last, agreement.clone()) != agreement);
        if let Some(new) = new {
            in_force.send_replace(new);
        }
    }
}

/// What is accepted, beside what is in the folder. The schedule only if it is another than the known one.
fn look(settings: &Settings, zones: &Zones, (place, known): (&Place, i64)) -> Option<(Agreement, Option<InForce>)> {
    let Accepted { generation, at, sources } = accepted(place, settings)?;
    let loaded = load::read_playable(settings, &zones.database, clock::now());
    let folder: Vec<Source> = loaded.texts.into_iter().map(|(name, text)| Source { name, text }).collect();
    let differing = differing(&sources, &folder);
    let read = schedule::read(&sources, &settings.for_schedule(), &zones.database, clock::now());
    let unplayable = read.schedule.is_none().then(|| {
        let first = read.diagnostics.iter().find(|problem| problem.severity == crate::diagnostic::Severity::Error);
        let first = first.map_or_else(String::new, |problem| format!(": {problem}"));
        format!("the accepted schedule (generation {generation}) cannot be played under the settings of this host{first}")
    });
    let schedule = read.schedule.filter(|_| generation != known);
    let new = schedule.map(|schedule| InForce::good(Generation { number: generation, schedule: Arc::new(schedule) }, at));
    Some((Agreement { differing, unplayable }, new))
}

fn accepted(place: &Place, settings: &Settings) -> Option<Accepted> {
    let meta = Reader::open_at(place).and_then(|reader| reader.meta()).ok()?;
    let sources = Sources::at(place.clone()).load(meta.generation).ok()??;
    let sources = of_this_host(sources, &settings.schedules);
    Some(Accepted { generation: meta.generation, at: meta.accepted_at, sources })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source { name: Arc::from(name), text: text.to_owned() }
    }

    #[test]
    fn files_are_compared_by_their_names_in_the_folder() {
        let accepted = [source("/one/a.yaml", "a"), source("/one/b.yaml", "b"), source("/one/gone.yaml", "")];
        let folder = [source("/two/a.yaml", "a"), source("/two/b.yaml", "other"), source("/two/new.yaml", "")];
        assert_eq!(differing(&accepted, &folder), ["b.yaml", "gone.yaml", "new.yaml"]);
        let here = of_this_host(accepted.to_vec(), Path::new("/two"));
        assert!(differing(&accepted, &here).is_empty());
        assert_eq!(here[0].name.as_ref(), "/two/a.yaml");
    }
}
