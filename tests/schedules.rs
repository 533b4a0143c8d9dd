//! The schedule language as its users meet it: the examples are good, and every bad file is told what is wrong with it, where,
//! and how to fix it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingestd::diagnostic::{Diagnostic, Severity, any_error, render};
use ingestd::plan::conflicts::{Strictness, check_conflicts};
use ingestd::schedule::{Reading, Settings, Source, read};
use ingestd::schedule_files;
use ingestd::trtc::Site;
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

/// The instant at which every file here is read.
fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a constant")
}

fn settings() -> Settings {
    Settings {
        apps: Some(BTreeMap::from([(Arc::from("main"), 1_400_000_001)])),
        region: Some(Arc::from("ap-singapore")),
        secrets: Some(BTreeSet::new()),
        site: None,
    }
}

/// Loads and reads paths below the repository, named as they would be from its root.
fn read_paths(paths: &[PathBuf]) -> (Vec<Source>, Reading) {
    schedule_files::read(paths, &settings(), &TimeZoneDatabase::bundled(), now())
}

/// What `check` says of conflicts, once everything else is right.
fn conflicts(reading: &Reading) -> Vec<Diagnostic> {
    let judged = reading.schedule.as_ref().map(|schedule| check_conflicts(schedule, now()));
    judged.map_or_else(Vec::new, |conflicts| conflicts.diagnostics(Strictness::Check))
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
        // Where the vendor's sites differ, the name says which one it is.
        let name = fixture.file_name().unwrap_or_default().to_string_lossy();
        let site = if name.starts_with("international-") {
            Some(Site::International)
        } else {
            name.starts_with("mainland-").then_some(Site::Mainland)
        };
        let settings = Settings { site, ..settings() };
        let (sources, reading) =
            schedule_files::read(std::slice::from_ref(fixture), &settings, &TimeZoneDatabase::bundled(), now());
        let problems = [reading.diagnostics.clone(), conflicts(&reading)].concat();
        let told = drawn(&problems, &sources);
        let golden = fixture.with_extension("txt");
        if update {
            std::fs::write(&golden, &told).expect("the golden text is written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if told != expected || problems.is_empty() {
            wrong.push(format!("{}:\n{told}", fixture.display()));
        }
        assert_eq!(reading.schedule.is_none(), any_error(&reading.diagnostics), "{}", fixture.display());
    }
    assert!(wrong.is_empty(), "these differ from their golden texts (UPDATE_GOLDEN=1 writes them):\n{}", wrong.join("\n"));
    assert!(fixtures.len() >= 229, "only {} fixtures", fixtures.len());
}

#[test]
fn a_show_whose_window_is_open_now_may_still_start() {
    let text =
        |job: &str| format!("timezone: UTC\njobs:\n  a: {{room: lobby, stream: \"https://cdn.example.com/a.mp4\", {job}}}\n");
    let past = |job: &str| {
        let source = Source { name: Arc::from("a.yaml"), text: text(job) };
        let reading = read(&[source], &settings(), &TimeZoneDatabase::bundled(), now());
        assert!(reading.schedule.is_some(), "{job}: {:?}", reading.diagnostics);
        reading.diagnostics.iter().any(|problem| problem.code == "past")
    };
    for (job, expected) in [
        ("once: 2026-11-22 12:00, length: 1m", false),
        ("once: 2026-11-22 11:59:30, length: 1m", false),
        ("once: 2026-11-22 11:58, length: 1m", true),
        ("once: 2026-11-22 11:58, length: 1m, repeat: 3", false),
        ("once: 2026-11-22 11:00, for: 2h", false),
        ("once: 2026-11-22 11:00, for: 30m", true),
        ("once: 2026-11-01 11:00, to: never, repeat: forever", false),
        ("once: 2026-11-22 11:55, live: true", false),
        ("once: 2026-11-22 11:45, live: true", true),
        ("once: 2026-11-22 11:45, live: true, start_within: 30m", false),
    ] {
        assert_eq!(past(job), expected, "{job}");
    }
}

/// Files of one kind of problem, so many times.
fn many_problems(count: usize) -> Vec<(&'static str, String)> {
    let lines = |line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let head = "timezone: UTC\n";
    let job = "{room: lobby, stream: \"https://cdn.example.com/a.mp4\", length: 1m";
    vec![
        ("keys", format!("{head}{}", lines(&|at| format!("bad-key-number-{at}: 1\n")))),
        ("fields of one job", format!("{head}jobs:\n  a:\n{}", lines(&|at| format!("    field-{at}: 1\n")))),
        ("jobs without fields", format!("{head}jobs:\n{}", lines(&|at| format!("  job{at}:\n")))),
        ("jobs on one line", format!("{head}jobs: {{{}}}\n", lines(&|at| format!("B{at}: , ")))),
        (
            "values of one list",
            format!("{head}jobs:\n  a: {job}, at: \"18:00\", except: [{}]}}\n", lines(&|at| format!("day{at}, "))),
        ),
        ("names of jobs to follow", format!("{head}jobs:\n{}", lines(&|at| format!("  j{at}: {job}, after: k{at}}}\n")))),
        ("zones", format!("jobs:\n{}", lines(&|at| format!("  j{at}: {job}, at: \"18:00\", timezone: Asia/Nowhere{at}}}\n")))),
        ("long keys", format!("{head}{}", lines(&|at| format!("{}{at}: 1\n", "直".repeat(500))))),
    ]
}

#[test]
fn very_many_problems_are_counted_and_the_first_are_told_in_bounds() {
    const COUNT: usize = 3_000;
    for (what, text) in many_problems(COUNT) {
        let source = Source { name: Arc::from("a.yaml"), text };
        let reading = read(std::slice::from_ref(&source), &settings(), &TimeZoneDatabase::bundled(), now());
        let counted = reading.counts.get(Severity::Error);
        assert!((COUNT..=2 * COUNT + 2).contains(&counted), "{what}: {counted}");
        let kept = reading.diagnostics.len();
        assert!((50..=402).contains(&kept), "{what}: {kept}");
        let more = &reading.diagnostics.last().expect("some").message;
        assert!(more.starts_with(&format!("{} more errors", counted - (kept - 1))) || more.contains("warning"), "{what}: {more}");
        let json: usize = reading.diagnostics.iter().map(|problem| problem.json().to_string().len()).sum();
        let drawn = drawn(&reading.diagnostics, &[source]);
        assert!(json < 200_000 && drawn.len() < 200_000, "{what}: {json} and {} bytes", drawn.len());
    }
}

#[test]
fn the_examples_are_good_together() {
    let (sources, reading) = read_paths(&[PathBuf::from("schedules")]);
    let problems = [reading.diagnostics.clone(), conflicts(&reading)].concat();
    let shown: Vec<Diagnostic> = problems.into_iter().filter(|problem| problem.severity != Severity::Note).collect();
    assert!(shown.is_empty(), "an example has an error or a warning: {}", drawn(&shown, &sources));
    assert!(sources.len() >= 5);
}

#[test]
fn an_ordinary_schedule_has_no_warning() {
    let mut settings = settings();
    settings.secrets = Some(BTreeSet::from([Arc::from("cam-1")]));
    let files: Vec<PathBuf> =
        std::fs::read_dir("tests/fixtures/ordinary").expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    for site in [None, Some(Site::Mainland), Some(Site::International)] {
        settings.site = site;
        for file in &files {
            let (sources, reading) =
                schedule_files::read(std::slice::from_ref(file), &settings, &TimeZoneDatabase::bundled(), now());
            let mut problems = [reading.diagnostics.clone(), conflicts(&reading)].concat();
            problems.retain(|problem| problem.severity != Severity::Note);
            assert!(problems.is_empty() && reading.schedule.is_some(), "{site:?}: {}", drawn(&problems, &sources));
        }
    }
    assert!(files.len() >= 46, "only {}", files.len());
}

#[test]
fn files_that_are_read_side_by_side_are_told_of_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..60 {
        // Long and short ones, so that those that begin later end before.
        let job = |job: usize| format!("  j{number}-{job}: {{at: 18:00}}\n");
        let jobs: String = (0..(number * 37) % 50).map(job).collect();
        let text = format!("timezone: UTC\njobs:\n{jobs}  wrong-{number}: {{at: 25:00, room: r, stream: s}}\n");
        std::fs::write(folder.path().join(format!("{number:02}.yaml")), text).expect("writable");
    }
    let (sources, reading) = read_paths(&[folder.path().to_owned()]);
    let one_by_one = read(&sources, &settings(), &TimeZoneDatabase::bundled(), now());
    assert!(reading.diagnostics.len() > 60, "{:?}", reading.diagnostics.len());
    assert_eq!(reading.diagnostics, one_by_one.diagnostics);
}

/// A folder with these files, and what `schedule_files::load` makes of it: names within the folder, and messages.
fn load_folder(make: impl FnOnce(&Path)) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    make(folder.path());
    let loaded = schedule_files::load(&[folder.path().to_owned()]);
    let base = format!("{}/", folder.path().display());
    let names = loaded.sources.iter().map(|source| source.name.replace(&base, "")).collect();
    (names, loaded.problems.iter().map(|problem| problem.to_string().replace(&base, "")).collect())
}

#[test]
fn of_a_folder_only_its_schedule_files_are_read_sorted_by_name() {
    let (names, problems) = load_folder(|folder| {
        for name in
            ["b.yaml", "a.yml", ".hidden.yaml", "#a.yaml#", "#a.yaml", "a.yaml~", "a.yaml.bak", ".a.yaml.swp", "README", "c.YAML"]
        {
            std::fs::write(folder.join(name), "jobs: {}\n").expect("writable");
        }
        std::fs::create_dir(folder.join("deeper")).expect("a folder");
        for name in ["d.yaml", "e.yaml"] {
            std::fs::write(folder.join("deeper").join(name), "jobs: {}\n").expect("writable");
        }
        std::os::unix::fs::symlink(folder.join("deeper/d.yaml"), folder.join("link.yaml")).expect("a link");
    });
    assert_eq!(names, ["a.yml", "b.yaml", "link.yaml"]);
    assert_eq!(
        problems,
        [
            "c.YAML: this file is not read: its name does not end in `.yaml` or `.yml` (write the ending in lower case)",
            "deeper/e.yaml: this file is not read: it stands in a folder within the folder of schedules (move it up, or link to it; a folder \
             whose name begins with a dot is passed over)"
        ]
    );
}

/// How to fix what is not a file.
const RENAME: &str = "(remove it, or give it a name that does not end in `.yaml` or `.yml`)";

#[test]
fn what_is_not_a_readable_file_is_reported_and_the_others_are_read() {
    let (names, problems) = load_folder(|folder| {
        std::fs::write(folder.join("good.yaml"), "jobs: {}\n").expect("writable");
        std::fs::create_dir(folder.join("folder.yaml")).expect("a folder");
        std::os::unix::fs::symlink("nowhere", folder.join("dangling.yaml")).expect("a link");
        std::os::unix::fs::symlink("/dev/zero", folder.join("device.yaml")).expect("a link");
        std::os::unix::net::UnixListener::bind(folder.join("socket.yaml")).expect("a socket");
        // A sparse file: 100 MB that take no room.
        std::fs::File::create(folder.join("huge.yaml")).and_then(|file| file.set_len(100_000_000)).expect("writable");
        std::fs::write(folder.join("latin.yaml"), b"jobs:\n  a: caf\xe9\n").expect("writable");
    });
    assert_eq!(names, ["good.yaml"]);
    assert_eq!(
        problems,
        [
            "dangling.yaml: this symbolic link points to nothing (fix it or remove it)",
            &format!("device.yaml: this is a pipe, a socket or a device, not a file {RENAME}"),
            &format!("folder.yaml: this is a folder with the name of a schedule file {RENAME}"),
            "huge.yaml: the file has 95 MiB; a schedule file has not more than 64 MiB (is it a schedule? 100,000 jobs are about 20 MB)",
            "latin.yaml:2:9: byte 14 of the file, 0xe9, is not UTF-8 (save it as UTF-8)",
            &format!("socket.yaml: this is a pipe, a socket or a device, not a file {RENAME}"),
        ]
    );
}

#[test]
fn paths_that_are_not_there_or_given_twice_are_told_or_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.schedule");
    std::fs::write(&file, "\u{feff}jobs: {}\n").expect("writable");
    let loaded = schedule_files::load(&[
        file.clone(),
        folder.path().join("../").join(folder.path().file_name().expect("a name")).join("a.schedule"),
        folder.path().join("absent.yaml"),
    ]);
    assert_eq!(loaded.sources.len(), 1, "a file that is named may have any ending, and is read once");
    assert_eq!(loaded.sources[0].text, "jobs: {}\n", "a byte order mark is not text");
    assert_eq!(loaded.problems.len(), 1);
    assert!(loaded.problems[0].message.contains("no such file"), "{:?}", loaded.problems);
}

#[test]
fn a_file_that_cannot_be_loaded_leaves_no_schedule_and_no_false_alarm() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("calendars.yaml"), b"calendars: {holidays: 2026-10-01} # \xff\n").expect("writable");
    let good = "timezone: UTC\njobs: {a: {at: '18:00', room: r, stream: 'https://h.example/a.mp4', except: holidays}}\n";
    std::fs::write(folder.path().join("jobs.yaml"), good).expect("writable");
    let (_, reading) = read_paths(&[folder.path().to_owned()]);
    assert!(reading.schedule.is_none(), "jobs might be missing");
    let codes: Vec<_> = reading.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["not-utf8"], "the calendar may well be in the file that was not read");
    assert_eq!(reading.jobs, 1);
}

/// The good files that mutations start from: the examples.
fn examples() -> Vec<String> {
    let mut paths: Vec<_> =
        std::fs::read_dir("schedules").expect("the examples").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("readable")).collect()
}

/// One way to spoil a file.
#[derive(Clone, Debug)]
enum Spoil {
    Flip(prop::sample::Index, u8),
    Swap(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
    Insert(prop::sample::Index, String),
    Indent(prop::sample::Index),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let index = any::<prop::sample::Index>;
    let inserted = prop::sample::select(vec![
        "\t", ": ", "&a ", "*a", "<<: *a\n", "{", "[", "\"", "|\n", "? ", "- ", "\r", "\0", "é", "---\n", "!!x ", "0", "..", "~",
    ]);
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Spoil::Flip(at, byte)),
        (index(), index()).prop_map(|(one, other)| Spoil::Swap(one, other)),
        index().prop_map(Spoil::Truncate),
        (index(), inserted).prop_map(|(at, text)| Spoil::Insert(at, text.to_owned())),
        index().prop_map(Spoil::Indent),
    ]
}

fn spoiled(text: &str, spoil: &Spoil) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match spoil {
        _ if bytes.is_empty() || lines.is_empty() => return text.to_owned(),
        Spoil::Flip(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        Spoil::Truncate(at) => return String::from_utf8_lossy(&bytes[..at.index(bytes.len())]).into_owned(),
        Spoil::Insert(at, inserted) => {
            let at = text.floor_char_boundary(at.index(text.len()));
            return format!("{}{inserted}{}", &text[..at], &text[at..]);
        }
        Spoil::Swap(one, other) => {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
        }
        Spoil::Indent(at) => {
            let at = at.index(lines.len());
            lines[at].insert_str(0, "  ");
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    /// Whatever becomes of a file, reading it never panics, every problem stands in the file, and there is a schedule exactly
    /// when there is no error.
    #[test]
    fn a_spoiled_file_is_told_within_itself(which in any::<prop::sample::Index>(), spoils in prop::collection::vec(spoil(), 1..4)) {
        let examples = examples();
        let text = spoils.iter().fold(which.get(&examples).clone(), |text, spoil| spoiled(&text, spoil));
        let sources = [Source { name: Arc::from("spoiled.yaml"), text }];
        let reading = read(&sources, &settings(), &TimeZoneDatabase::bundled(), now());
        prop_assert_eq!(reading.schedule.is_none(), any_error(&reading.diagnostics));
        let text = &sources[0].text;
        let lines = u32::try_from(text.matches('\n').count() + 1).expect("short");
        for diagnostic in &reading.diagnostics {
            let places = diagnostic.place.iter().chain(diagnostic.related.iter().map(|(place, _)| place));
            for place in places {
                prop_assert!(place.line <= lines, "{}", diagnostic);
                prop_assert!(place.span.start as usize <= text.len() && place.span.end as usize <= text.len(), "{}", diagnostic);
                let line = text.split('\n').nth(place.line.saturating_sub(1) as usize).expect("the line is there");
                prop_assert!(place.column as usize <= line.chars().count() + 1, "{}", diagnostic);
            }
            prop_assert!(!diagnostic.message.contains(['\n', '\u{1b}']), "{}", diagnostic);
        }
        prop_assert!(drawn(&reading.diagnostics, &sources).len() >= reading.diagnostics.len());
    }
}
