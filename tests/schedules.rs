//! The schedule language as its users meet it: the examples are good, and every bad file is told what is wrong with it, where,
//! and how to mend it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingestd::diagnostic::{Diagnostic, any_error, render};
use ingestd::schedule::{Reading, Settings, Source, source};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

/// The instant at which every file here is read.
fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a constant")
}

fn settings() -> Settings {
    Settings { apps: Some(BTreeMap::from([(Arc::from("main"), 1_400_000_001)])), region: Some(Arc::from("ap-singapore")) }
}

/// Loads and reads paths below the repository, named as they would be from its root.
fn read_paths(paths: &[PathBuf]) -> (Vec<Source>, Reading) {
    source::read(paths, &settings(), &TimeZoneDatabase::bundled(), now())
}

fn drawn(diagnostics: &[Diagnostic], sources: &[Source]) -> String {
    let texts = sources.iter().map(|source| (Arc::clone(&source.name), source.text.as_str())).collect();
    render(diagnostics, &texts, false)
}

#[test]
fn every_bad_file_is_told_what_its_golden_text_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let folder = Path::new("tests/fixtures/bad");
    let mut fixtures: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the fixtures").map(|entry| entry.expect("an entry").path()).collect();
    fixtures.retain(|path| path.extension().is_none_or(|extension| extension != "txt"));
    fixtures.sort_unstable();
    let mut wrong = Vec::new();
    for fixture in &fixtures {
        let (sources, reading) = read_paths(std::slice::from_ref(fixture));
        let told = drawn(&reading.diagnostics, &sources);
        let golden = fixture.with_extension("txt");
        if update {
            std::fs::write(&golden, &told).expect("the golden text is written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if told != expected || reading.diagnostics.is_empty() {
            wrong.push(format!("{}:\n{told}", fixture.display()));
        }
        assert_eq!(reading.schedule.is_none(), any_error(&reading.diagnostics), "{}", fixture.display());
    }
    assert!(wrong.is_empty(), "these differ from their golden texts (UPDATE_GOLDEN=1 writes them):\n{}", wrong.join("\n"));
    assert!(fixtures.len() >= 45, "only {} fixtures", fixtures.len());
}

#[test]
fn the_examples_are_good_together() {
    let (sources, reading) = read_paths(&[PathBuf::from("schedules")]);
    assert!(!any_error(&reading.diagnostics), "{}", drawn(&reading.diagnostics, &sources));
    assert!(sources.len() >= 5);
}
