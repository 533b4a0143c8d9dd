//! Files that nobody meant as schedules, or that somebody meant ill: what is not a file, too much of it, bombs of aliases, characters
//! that would act on a terminal. Reading ends soon, and says what is wrong.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ingestd::diagnostic::{Diagnostic, render};
use ingestd::schedule::{Reading, Settings, Source, read};
use ingestd::schedule_files::{LoadedFiles, load, text_of};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

/// Longer than any reading takes, and no more than a test that hangs should.
const PATIENCE: Duration = Duration::from_mins(1);

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a constant")
}

fn read_text(text: &str) -> Reading {
    let source = Source { name: Arc::from("f.yaml"), text: text.to_owned() };
    read(&[source], &Settings::default(), &TimeZoneDatabase::bundled(), now())
}

/// What is said of a text, one line each.
fn told(text: &str) -> Vec<String> {
    read_text(text).diagnostics.iter().map(ToString::to_string).collect()
}

/// Loads a folder on a thread of its own: whoever waits for a pipe does not keep the test.
fn load_folder(make: impl FnOnce(&Path)) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    make(folder.path());
    let (sender, receiver) = mpsc::channel();
    let path = folder.path().to_owned();
    std::thread::spawn(move || sender.send(load(&[path])));
    let LoadedFiles { sources, problems } = receiver.recv_timeout(PATIENCE).expect("loading ends");
    let base = format!("{}/", folder.path().display());
    let within = |text: String| text.replace(&base, "");
    (
        sources.iter().map(|source| within(source.name.to_string())).collect(),
        problems.iter().map(|problem| within(problem.to_string())).collect(),
    )
}

#[test]
fn nothing_but_a_file_is_opened_and_nothing_is_waited_for() {
    let (names, problems) = load_folder(|folder| {
        fs::write(folder.join("good.yaml"), "jobs: {}\n").expect("writable");
        let made = std::process::Command::new("mkfifo").arg(folder.join("pipe.yaml")).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo makes a pipe");
        symlink("pipe.yaml", folder.join("read-once-as-pipe.yaml")).expect("a link");
        symlink("loop.yaml", folder.join("loop.yaml")).expect("a link");
        symlink("/dev/tty", folder.join("terminal.yaml")).expect("a link");
        // A regular file by its mode, of which no byte at 0 can be read.
        symlink("/proc/self/mem", folder.join("memory.yaml")).expect("a link");
    });
    assert_eq!(names, ["good.yaml"]);
    let no_file = "this is a pipe, a socket or a device, not a file (remove it";
    for (file, words) in
        [("loop.yaml", "cannot be read: "), ("memory.yaml", "cannot be read: "), ("pipe.yaml", no_file), ("terminal.yaml", no_file)]
    {
        assert!(problems.iter().any(|problem| problem.starts_with(&format!("{file}: {words}"))), "{file}: {problems:?}");
    }
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn a_file_without_permission_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.yaml");
    fs::write(&path, "jobs: {}\n").expect("writable");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).expect("it is ours");
    let denied = File::open(&path).is_err();
    let loaded = load(&[path]);
    // Nothing is denied to root.
    assert_eq!(loaded.sources.len(), usize::from(!denied));
    if denied {
        let said = loaded.problems[0].to_string();
        assert!(
            said.ends_with("permission to read this was denied (the user that runs `ingestd` must be able to read it)"),
            "{said}"
        );
    }
}

#[test]
fn a_folder_has_a_limit_of_bytes_and_of_files() {
    // Sparse files, which take no room on the disk; a NUL is UTF-8.
    let (names, problems) = load_folder(|folder| {
        for name in ["a", "b", "c", "d", "e"] {
            let file = File::create(folder.join(format!("{name}.yaml")));
            file.and_then(|file| file.set_len(63 << 20)).expect("writable");
        }
    });
    assert_eq!(names, ["a.yaml", "b.yaml", "c.yaml", "d.yaml"]);
    assert!(problems[0].starts_with("e.yaml: all schedule files together have more than 256 MiB ("), "{problems:?}");
    let (names, problems) = load_folder(|folder| {
        for file in 0..10_002 {
            File::create(folder.join(format!("{file:05}.yaml"))).expect("writable");
        }
    });
    assert_eq!(names.len(), 10_000);
    assert_eq!(problems.len(), 1, "told once: {problems:?}");
    assert!(problems[0].starts_with("10000.yaml: more than 10000 schedule files"), "{problems:?}");
}

const GOOD: &str = "timezone: Asia/Shanghai\njobs:\n  promo:\n    at: 18:00\n    room: lobby\n    note: 直播间\n    stream: https://cdn.example.com/promo.mp4\n";

#[test]
fn marks_line_ends_and_starts_of_documents_change_nothing() {
    let starts = |text: &str| {
        let source = text_of(Path::new("f.yaml"), text.as_bytes().to_vec()).expect("it is UTF-8");
        let reading = read(&[source], &Settings::default(), &TimeZoneDatabase::bundled(), now());
        let schedule = reading.schedule.unwrap_or_else(|| panic!("{text:?}: {:?}", reading.diagnostics));
        let job = schedule.job("promo").expect("it is there");
        format!("{:?} {:?} {:?}", job.when.trigger, job.note, reading.diagnostics)
    };
    let expected = starts(GOOD);
    assert!(expected.contains("18:00:00"), "without quotes it is a time, and not 1080: {expected}");
    for text in [
        format!("\u{feff}{GOOD}"),
        GOOD.replace('\n', "\r\n"),
        format!("\u{feff}---\r\n{}", GOOD.replace('\n', "\r\n")),
        format!("%YAML 1.2\n---\n{GOOD}...\n"),
        GOOD.replace(": ", ":\t").replace("直播间", "直播间\t"),
        format!("# a comment\n\n{GOOD}\n\n# and one more\n"),
        GOOD.replace("18:00", "&a 18:00").replace("直播间", "!!str 直播间"),
    ] {
        assert_eq!(starts(&text), expected, "{text:?}");
    }
}

#[test]
fn columns_are_right_beside_marks_and_line_ends() {
    for (bytes, place) in [
        ("\u{feff}nope: 1\r\njobs: {}\r\n".as_bytes(), "f.yaml:1:1: unknown key `nope`"),
        ("\u{feff}jobs: {}\r\n直: 1\r\nno播pe: 2\r\n".as_bytes(), "f.yaml:3:1: unknown key `no播pe`"),
        (b"\xef\xbb\xbfa: \xe7\x9b\xb4\xff", "f.yaml:1:5: byte 9 of the file, 0xff"),
        (b"\xef\xbb\xbfa: 1\r\nb: \xe7\x9b", "f.yaml:2:4: byte 12 of the file, 0xe7"),
        (b"\xff", "f.yaml:1:1: byte 0 of the file, 0xff"),
    ] {
        let said = match text_of(Path::new("f.yaml"), bytes.to_vec()) {
            Ok(source) => told(&source.text),
            Err(problem) => vec![problem.to_string()],
        };
        assert!(said.iter().any(|line| line.starts_with(place)), "{place}: {said:?}");
    }
}

#[test]
fn bombs_of_aliases_anchors_and_merges_end_soon() {
    let deep = "[".repeat(30);
    let mut chain = format!("k0: &k0 {deep}x{}\n", "]".repeat(30));
    let mut merges = String::from("m0: &m0 {a: 1}\n");
    for level in 1..2_000 {
        let before = level - 1;
        let _ = writeln!(chain, "k{level}: &k{level} [*k{before}]");
        let _ = writeln!(merges, "m{level}: &m{level} {{<<: *m{before}, k{level}: 1}}");
    }
    let anchors: String = (0..28).fold(String::new(), |text, level| format!("{text}&a{level} ["));
    let kept = format!("a: {anchors}{}{}\n", "x,".repeat(300_000), "]".repeat(28));
    let laughs = (1..10).fold("l0: &l0 [x]\n".to_owned(), |text, level| {
        format!("{text}l{level}: &l{level} [{}]\n", format!("*l{},", level - 1).repeat(10))
    });
    for (text, words) in [
        (chain, "nested deeper than 32 levels"),
        (merges, "the aliases of this file expand to more than 1000000 nodes"),
        (kept, "the anchors of this file keep more than 8000000 nodes"),
        (laughs, "the aliases of this file expand to more than 1000000 nodes"),
        ("a: 1\n".repeat(100_000), "802 more errors: only the first 200 of a kind are told"),
        (format!("a: [{}]\n", "!x y,".repeat(100_000)), "802 more errors: only the first 200 of a kind are told"),
        ("[".repeat(100_000), "nested deeper than 32 levels"),
        ("- ".repeat(100_000), "nested deeper than 32 levels"),
        ("? ".repeat(100_000), "nested deeper than 32 levels"),
    ] {
        let said = told(&text);
        let last = said.last().cloned().unwrap_or_default();
        assert!(last.contains(words) && last.ends_with(')'), "{words}: {} problems, the last: {last}", said.len());
        assert!(said.len() <= 201, "{words}: {} problems", said.len());
    }
}

/// What a terminal would obey, and what hides or turns the text beside it.
fn acts(character: char) -> bool {
    let of_a_terminal = character.is_control() && character != '\n';
    of_a_terminal || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn drawn(diagnostics: &[Diagnostic], sources: &[Source]) -> String {
    let texts = sources.iter().map(|source| (Arc::clone(&source.name), source.text.as_str())).collect();
    render(diagnostics, &texts, false)
}

#[test]
fn what_is_drawn_is_short_and_obeyed_by_no_terminal() {
    let mut paths: Vec<PathBuf> =
        fs::read_dir("tests/fixtures/bad").expect("the fixtures").map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let folder = tempfile::tempdir().expect("a folder");
    for name in [&b"\x1b[31m\xc2\x9b\xe2\x80\xae.yaml"[..], b"\xff\n\r.yaml"] {
        let path = folder.path().join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, "jobs: [\n").expect("writable");
        paths.push(path);
    }
    for path in paths {
        let LoadedFiles { sources, mut problems } = load(std::slice::from_ref(&path));
        problems.extend(read(&sources, &Settings::default(), &TimeZoneDatabase::bundled(), now()).diagnostics);
        for problem in &problems {
            let text = drawn(std::slice::from_ref(problem), &sources);
            assert!(!text.contains(acts), "{}: {text:?}", path.display());
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(longest <= 400 && text.lines().count() <= 40, "{}: {text}", path.display());
        }
    }
}
