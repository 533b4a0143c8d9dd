//! The sources of accepted generations, kept as files in the state folder, or in the database of a ledger that several hosts share: whoever
//! takes over plays what was accepted. After a restart, the time since the cursor is settled by them, and the daemon starts with them when
//! the schedule folder has errors. It does not read YAML.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Place;
use super::file::require_plain;
#[cfg(feature = "postgres")]
use super::postgres::{Station, stored};
use crate::schedule::Source;

/// The content of a file. Its field names are a released format.
#[derive(Serialize, Deserialize)]
struct KeptGeneration {
    generation: i64,
    sources: Vec<KeptSource>,
}

#[derive(Serialize, Deserialize)]
struct KeptSource {
    name: String,
    text: String,
}

/// Where they are kept.
#[derive(Clone, Debug)]
pub struct Sources {
    place: Place,
    /// The term of the owner, who alone may keep some where several hosts may own.
    term: Option<i64>,
}

impl Sources {
    /// Those of the ledger at this place. In a database they can only be read.
    pub fn at(place: Place) -> Sources {
        Sources { place, term: None }
    }

    /// Those of a station, for its owner of this term.
    #[cfg(feature = "postgres")]
    pub fn of_owner(station: Station, term: ingestd_core::lease::Term) -> Sources {
        Sources { place: Place::Station(station), term: Some(term.0) }
    }

    /// The ledger's place.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the sources of a generation; `None` when none were kept.
    ///
    /// Errors: they are there and cannot be read.
    pub fn load(&self, generation: i64) -> io::Result<Option<Vec<Source>>> {
        match &self.place {
            Place::Folder(folder) => load(folder, generation),
            #[cfg(feature = "postgres")]
            Place::Station(station) => stored::load(station, generation),
        }
    }

    /// Keeps the sources of a generation. When it returns, they survive a crash. Sources hold stream URLs, so only the owner can read
    /// a file of them, from the first byte on.
    pub fn save(&self, generation: i64, sources: &[Source]) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => save(folder, generation, sources),
            #[cfg(feature = "postgres")]
            Place::Station(station) => stored::save((station, self.term), generation, &content(generation, sources)?),
        }
    }

    /// The generations of which something is kept, whether or not it can be read, newest first.
    pub fn numbers(&self) -> Vec<i64> {
        match &self.place {
            Place::Folder(folder) => numbers(folder),
            #[cfg(feature = "postgres")]
            Place::Station(station) => stored::numbers(station),
        }
    }

    /// The number of a generation after `newest` whose sources can be kept: somebody may have made a folder of that name.
    pub fn next_number(&self, newest: i64) -> i64 {
        match &self.place {
            Place::Folder(folder) => next_number(folder, newest),
            #[cfg(feature = "postgres")]
            Place::Station(_) => newest.saturating_add(1),
        }
    }

    /// Removes the sources of every generation that is not `wanted`, but for the newest of the others: it is used when those that are
    /// wanted cannot be read. What cannot be removed stays, and does no harm.
    pub fn prune(&self, wanted: &[i64]) {
        match &self.place {
            Place::Folder(folder) => prune(folder, wanted),
            #[cfg(feature = "postgres")]
            Place::Station(station) => {
                let spare = self.numbers().into_iter().find(|number| !wanted.contains(number));
                stored::keep((station, self.term), &wanted.iter().copied().chain(spare).collect::<Vec<_>>());
            }
        }
    }
}

fn content(generation: i64, sources: &[Source]) -> io::Result<String> {
    let kept = sources.iter().map(|source| KeptSource { name: source.name.to_string(), text: source.text.clone() }).collect();
    Ok(serde_json::to_string(&KeptGeneration { generation, sources: kept })?)
}

pub(super) fn read_content(text: &[u8]) -> serde_json::Result<Vec<Source>> {
    let kept: KeptGeneration = serde_json::from_slice(text)?;
    Ok(kept.sources.into_iter().map(|source| Source { name: source.name.into(), text: source.text }).collect())
}

fn file(folder: &Path, generation: i64) -> PathBuf {
    folder.join(format!("accepted-{generation}.json"))
}

fn load(folder: &Path, generation: i64) -> io::Result<Option<Vec<Source>>> {
    let path = file(folder, generation);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot read `{}`: {error}", path.display()));
    // A pipe would be waited for.
    require_plain(&path).map_err(|error| io::Error::other(error.to_string()))?;
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(error)),
    };
    read_content(&text).map(Some).map_err(|error| named(error.into()))
}

fn save(folder: &Path, generation: i64, sources: &[Source]) -> io::Result<()> {
    let text = content(generation, sources)?;
    let path = file(folder, generation);
    let draft = path.with_extension("draft");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&draft)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}

fn numbers(folder: &Path) -> Vec<i64> {
    let number = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("accepted-")?.strip_suffix(".json")?.parse().ok()
    };
    let mut numbers: Vec<i64> = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(number).collect();
    numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    numbers
}

fn next_number(folder: &Path, newest: i64) -> i64 {
    let next = newest.saturating_add(1);
    (next..=next.saturating_add(100)).find(|number| !file(folder, *number).is_dir()).unwrap_or(next)
}

fn prune(folder: &Path, wanted: &[i64]) {
    let spare = numbers(folder).into_iter().find(|number| !wanted.contains(number));
    let wanted: Vec<_> = wanted.iter().copied().chain(spare).map(|generation| file(folder, generation)).collect();
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.starts_with("accepted-") && !wanted.contains(&path) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether any are kept in a folder.
pub(super) fn any(folder: &Path) -> bool {
    let is_kept = |name: std::ffi::OsString| name.to_str().is_some_and(|name| name.starts_with("accepted-"));
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| is_kept(entry.file_name())))
}

/// Whether two sets of sources have the same names and texts.
pub fn same(left: &[Source], right: &[Source]) -> bool {
    let key = |source: &Source| -> (Arc<str>, String) { (Arc::clone(&source.name), source.text.clone()) };
    let (mut left, mut right): (Vec<_>, Vec<_>) = (left.iter().map(key).collect(), right.iter().map(key).collect());
    left.sort_unstable();
    right.sort_unstable();
    left == right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_sources_come_back_and_old_ones_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let sources = [Source { name: Arc::from("a.yaml"), text: "jobs: {}\n".to_owned() }];
        assert!(load(folder.path(), 1).expect("readable").is_none());
        for generation in [9, 10, 11] {
            save(folder.path(), generation, &[]).expect("writable");
        }
        save(folder.path(), 2, &sources).expect("writable");
        assert!(same(&load(folder.path(), 2).expect("readable").expect("kept"), &sources));
        prune(folder.path(), &[2, 11]);
        assert_eq!(numbers(folder.path()), [11, 10, 2], "one that is not wanted stays, to be used when the others cannot be read");
        assert!(load(folder.path(), 9).expect("readable").is_none());
        assert!(load(folder.path(), 2).expect("readable").is_some());
        fs::create_dir(folder.path().join("accepted-3.json")).expect("writable");
        assert!(load(folder.path(), 3).expect_err("no file").to_string().contains("found a folder"));
        fs::write(folder.path().join("accepted-2.json"), "{").expect("writable");
        assert!(load(folder.path(), 2).expect_err("broken").to_string().contains("accepted-2.json"));
    }
}
