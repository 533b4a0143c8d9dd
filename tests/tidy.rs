//! The house rules, as tests: one clock, no bare `unwrap`, prose on every file, and the like. Each rule
//! is a function from a file's text to its faults, and is itself shown a planted fault; it judges text, not meaning.

use std::fs;
use std::path::{Path, PathBuf};

/// Reading a clock.
const CLOCKS: [&str; 6] =
    ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "clock_gettime", "UNIX_EPOCH.elapsed"];
/// The one file that may.
const CLOCK_FILE: &str = "src/clock.rs";
/// Lines of one file.
const LINES_MAX: usize = 400;

// Reading Rust: as little of it as the rules need.

/// The code of a file: comments and the content of texts are blanked, line ends stay.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest);
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            if first.is_alphanumeric() || first == '_' {
                // A word in one go, so that the `r` in `for"` is no raw text and a digit's suffix no start of one.
                let word = rest.find(|next: char| !(next.is_alphanumeric() || next == '_')).unwrap_or(rest.len());
                out.push_str(&rest[..word]);
                rest = &rest[word..];
            }
        } else {
            out.extend(rest[..length].chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the comment, text or character at the beginning of `rest`; 0 when there is none.
fn skipped(rest: &str) -> usize {
    let until = |start: usize, end: &str| rest[start..].find(end).map_or(rest.len(), |at| start + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    let raw = rest.trim_start_matches('b').strip_prefix('r').map(|rest| rest.trim_start_matches('#'));
    if let Some(quoted) = raw.filter(|quoted| quoted.starts_with('"')) {
        let start = rest.len() - quoted.len();
        let hashes = rest[..start].bytes().filter(|byte| *byte == b'#').count();
        return until(start + 1, &format!("\"{}", "#".repeat(hashes)));
    }
    let plain = rest.strip_prefix('b').unwrap_or(rest);
    let prefix = rest.len() - plain.len();
    match plain.chars().next() {
        Some('"') => prefix + closed(plain, '"'),
        // A lifetime has no closing quote where a character has one.
        Some('\'') if plain[1..].starts_with('\\') || plain.chars().nth(2) == Some('\'') => prefix + closed(plain, '\''),
        _ => 0,
    }
}

fn closed(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Code in two: what ships, and what stands under `#[cfg(test)]`. Both keep their lines.
fn split_tests(path: &str, text: &str) -> (String, String) {
    let code = code(text);
    if path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/") {
        return (String::new(), code);
    }
    let (mut shipped, mut tests, mut at) = (String::new(), String::new(), 0);
    while let Some(found) = code[at..].find("#[cfg(test)]") {
        let start = at + found;
        let end = block_end(&code, start);
        shipped.push_str(&code[at..start]);
        let blank = |part: &str| "\n".repeat(part.matches('\n').count());
        tests.push_str(&blank(&code[at..start]));
        shipped.push_str(&blank(&code[start..end]));
        tests.push_str(&code[start..end]);
        at = end;
    }
    shipped.push_str(&code[at..]);
    (shipped, tests)
}

/// Where the item that begins at `start` ends: at its `;`, or at the brace that closes it.
fn block_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, character) in code[start..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return start + at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The lines on which `word` stands as a word of its own, from 1. `std::{fs, io}` names `std::fs`.
fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let part_of_word = |character: Option<char>| character.is_some_and(|one| one.is_alphanumeric() || one == '_');
    let mut lines = Vec::new();
    for (at, _) in code.match_indices(word) {
        if !part_of_word(code[..at].chars().next_back()) && !part_of_word(code[at + word.len()..].chars().next()) {
            lines.push(code[..at].matches('\n').count() + 1);
        }
    }
    for (head, tail) in word.match_indices("::").map(|(at, colons)| (&word[..at], &word[at + colons.len()..])) {
        for (at, opening) in code.match_indices(&format!("{head}::{{")) {
            let group = &code[at + opening.len()..block_end(code, at)];
            if !lines_with(group, tail).is_empty() {
                lines.push(code[..at].matches('\n').count() + 1);
            }
        }
    }
    lines
}

// The rules. Each takes a path from the root of the project and the file's text, and answers its faults.

fn one_file_reads_the_clock(path: &str, text: &str) -> Vec<String> {
    let (shipped, _) = split_tests(path, text);
    // The runtime's own monotonic clock is moved by simulated time: whoever measures with it says so where it is imported.
    let simulated = !lines_with(&shipped, "tokio::time::Instant").is_empty();
    let words = CLOCKS.iter().filter(|word| path != CLOCK_FILE && !(simulated && **word == "Instant::now"));
    words
        .flat_map(|word| lines_with(&shipped, word).into_iter().map(move |line| format!("{line}: reads a clock: `{word}`")))
        .collect()
}

fn nothing_that_ships_unwraps(path: &str, text: &str) -> Vec<String> {
    let (shipped, _) = split_tests(path, text);
    shipped
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(".unwrap()") || line.contains(".unwrap_err()"))
        .map(|(at, _)| format!("{}: `unwrap` says nothing: `expect` why it cannot be", at + 1))
        .collect()
}

fn every_file_says_what_it_is(path: &str, text: &str) -> Vec<String> {
    let prose: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let prose = prose.join(" ");
    let clauses = prose.split(['.', ',', ';', ':']).filter(|clause| clause.split_whitespace().count() >= 2).count();
    let ships = path.starts_with("src/") && !path.ends_with("tests.rs");
    match (prose.is_empty(), clauses) {
        (true, _) => vec!["1: does not begin with `//!`".to_owned()],
        (false, 0 | 1) if ships => vec!["1: `//!` does not say both what this is and what it leaves to others".to_owned()],
        _ => Vec::new(),
    }
}

fn nothing_is_left_for_later(_: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let macros = ["todo", "unimplemented"].into_iter().flat_map(|word| lines_with(&code, word));
    let notes = ["TODO", "FIXME", "XXX"].into_iter().flat_map(|word| lines_with(text, word));
    macros.chain(notes).map(|line| format!("{line}: left for later")).collect()
}

fn no_lint_is_silenced(_: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let lines = code.lines().enumerate();
    let silent = |line: &str| line.contains("[allow(") || line.contains(", allow(");
    lines.filter(|(_, line)| silent(line)).map(|(at, _)| format!("{}: `expect` the lint, with a reason", at + 1)).collect()
}

/// Simulated time may be slept through: it costs nothing and keeps its promises.
fn no_test_sleeps(path: &str, text: &str) -> Vec<String> {
    let (_, tests) = split_tests(path, text);
    let simulated = path.starts_with("tests/sim") || path.starts_with("tests/stories") || tests.contains("start_paused = true");
    let word = if simulated { "thread::sleep" } else { "sleep" };
    lines_with(&tests, word).into_iter().map(|line| format!("{line}: a test sleeps")).collect()
}

fn files_are_short(_: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines > LINES_MAX { vec![format!("{lines}: more than {LINES_MAX} lines: split it")] } else { Vec::new() }
}

fn every_dependency_has_its_reason(_: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut inside, mut before) = (false, "");
    for (at, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim_end().ends_with("dependencies]");
        } else if inside && line.contains('=') && !line.starts_with('#') && !before.starts_with('#') {
            faults.push(format!("{}: no comment above says why it is here", at + 1));
        }
        before = line;
    }
    faults
}

fn no_path_of_a_machine(_: &str, text: &str) -> Vec<String> {
    let homes = [["/ro", "ot/"].concat(), ["/ho", "me/"].concat(), ["/Us", "ers/"].concat(), ["/wo", "rk/"].concat()];
    let lines = text.lines().enumerate();
    let of_machine = |line: &str| homes.iter().any(|home| line.contains(home.as_str()));
    lines.filter(|(_, line)| of_machine(line)).map(|(at, _)| format!("{}: a path of somebody's machine", at + 1)).collect()
}

// Every file of the house, every rule.

type Rule = fn(&str, &str) -> Vec<String>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below `folder`, by its path from the root; build output and hidden folders other than `.ci` are left out.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of the project can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && name != "target" && (name == ".ci" || !name.starts_with('.')) {
            files(&path, found);
        } else if path.is_file()
            && name != ".git"
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            found.push((path, text));
        }
    }
}

fn judge(wanted: impl Fn(&str) -> bool, rules: &[Rule]) {
    let mut found = Vec::new();
    files(&root(), &mut found);
    found.retain(|(path, _)| wanted(path));
    assert!(!found.is_empty(), "no file to judge");
    let faults: Vec<String> = found
        .iter()
        .flat_map(|(path, text)| rules.iter().flat_map(move |rule| rule(path, text)).map(move |fault| format!("{path}:{fault}")))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

#[test]
fn only_one_file_reads_the_clock() {
    judge(|path| path.starts_with("src/") && is_rust(path), &[one_file_reads_the_clock]);
}

#[test]
fn what_ships_is_finished_and_says_what_it_is() {
    // This file plants faults, so it cannot be judged for those that are found in plain text.
    let rules: [Rule; 4] = [nothing_that_ships_unwraps, no_lint_is_silenced, files_are_short, every_file_says_what_it_is];
    judge(|path| is_rust(path) && !path.starts_with("fuzz/"), &rules);
    judge(|path| is_rust(path) && path != "tests/tidy.rs", &[nothing_is_left_for_later, no_test_sleeps]);
}

#[test]
fn manifests_and_paths_are_clean() {
    judge(|path| path.ends_with("Cargo.toml"), &[every_dependency_has_its_reason]);
    judge(|path| path != "Cargo.lock", &[no_path_of_a_machine]);
}

#[test]
fn each_rule_finds_the_fault_that_is_planted_for_it() {
    let home = ["/ro", "ot/x"].concat();
    let long = "x\n".repeat(401);
    let planted: [(Rule, &str, &str, &[&str]); 15] = [
        (one_file_reads_the_clock, "src/daemon/mod.rs", "let t = Instant::now();\n", &["1: reads a clock: `Instant::now`"]),
        (one_file_reads_the_clock, "src/a.rs", "use tokio::time::{Instant, sleep};\nlet t = Instant::now();\n", &[]),
        (one_file_reads_the_clock, "src/clock.rs", "let t = Timestamp::now();\n", &[]),
        (
            nothing_that_ships_unwraps,
            "src/a.rs",
            "fn f<'a>(x: &'a str) {}\n#[cfg(test)]\nmod t { fn g() { x.unwrap() } }\nfn h() { '\"'; x.unwrap() }\n",
            &["4: `unwrap` says nothing: `expect` why it cannot be"],
        ),
        (every_file_says_what_it_is, "src/a.rs", "use x;\n", &["1: does not begin with `//!`"]),
        (
            every_file_says_what_it_is,
            "src/a.rs",
            "//! The ledger.\n",
            &["1: `//!` does not say both what this is and what it leaves to others"],
        ),
        (nothing_is_left_for_later, "src/a.rs", "fn f() { todo!() } // FIXME\n", &["1: left for later", "1: left for later"]),
        (nothing_is_left_for_later, "src/a.rs", "let todo_list = 1;\n", &[]),
        (no_lint_is_silenced, "src/a.rs", "#[allow(dead_code)]\n", &["1: `expect` the lint, with a reason"]),
        (no_test_sleeps, "tests/a.rs", "std::thread::sleep(x);\n", &["1: a test sleeps"]),
        (no_test_sleeps, "src/a.rs", "fn f() { sleep(x) }\n#[cfg(test)]\nmod t { fn g() { sleep(y) } }\n", &["3: a test sleeps"]),
        (files_are_short, "src/a.rs", &long, &["401: more than 400 lines: split it"]),
        (
            every_dependency_has_its_reason,
            "Cargo.toml",
            "[dependencies]\n# Why.\na = 1\nb = 2\n",
            &["4: no comment above says why it is here"],
        ),
        (
            every_dependency_has_its_reason,
            "Cargo.toml",
            "[lints]\na = 1\n[dev-dependencies]\nb = 2\n",
            &["4: no comment above says why it is here"],
        ),
        (no_path_of_a_machine, "a.md", &home, &["1: a path of somebody's machine"]),
    ];
    for (rule, path, text, faults) in planted {
        assert_eq!(rule(path, text), faults, "{path}: {text}");
    }
}

#[test]
fn texts_and_comments_are_no_code() {
    for (text, expected) in [
        ("a \"b\\\"c\" d", "a        d"),
        ("a r#\"b\"c\"# d", "a          d"),
        ("a 'b' '\\'' d", "a          d"),
        ("a<'b>(c: &'b str)", "a<'b>(c: &'b str)"),
        ("a // b\nc /* d\ne */ f", "a     \nc     \n     f"),
        ("for\"x\" b\"y\" br\"z\"", "for    "),
    ] {
        assert_eq!(code(text).trim_end(), expected.trim_end(), "{text}");
    }
}
