//! The manual, by the program itself: the pages that `man` writes, and the same as text by `help`. Whether roff is good is asked of
//! mandoc, and not known here.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ingestd::{config, schedule::reference};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ingestd")).args(arguments).env_clear().output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// What a verb prints that ends well.
fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    text(&output.stdout)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

const PAGES: [&str; 3] = ["ingestd.8", "ingestd-schedule.5", "ingestd.yaml.5"];

/// The pages, in a folder that was not there.
fn pages() -> (tempfile::TempDir, Vec<String>) {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("new/pages");
    let names = printed(&["man", path(&folder)]);
    let expected: Vec<String> = PAGES.iter().map(|page| folder.join(page).display().to_string()).collect();
    assert_eq!(names.lines().collect::<Vec<_>>(), expected);
    assert_eq!(fs::read_dir(&folder).expect("the folder").count(), PAGES.len(), "nothing else is left there");
    let texts = expected.iter().map(|page| fs::read_to_string(page).expect("readable")).collect();
    (home, texts)
}

/// Whether a page has this as a term of a list.
fn has_term(page: &str, term: &str) -> bool {
    let term = format!(".TP\n\\fB{}\\fR\n", term.replace('-', "\\-"));
    page.contains(&term)
}

#[test]
fn every_field_and_every_key_has_its_entry() {
    let (_home, pages) = pages();
    let [_, schedule, settings] = &pages[..] else { panic!("three pages") };
    let keys = reference::fields().into_iter().chain(reference::retry_keys()).map(|key| key.name);
    let mut missing: Vec<&str> = keys.chain(reference::top_level().map(|(name, _)| name)).collect();
    missing.retain(|name| !has_term(schedule, name));
    assert!(missing.is_empty(), "ingestd-schedule(5) lacks {missing:?}");
    for (prefix, keys) in config::reference() {
        for key in keys {
            assert!(has_term(settings, key.name), "ingestd.yaml(5) lacks `{}` of `{prefix}`", key.name);
            assert!(key.doc.ends_with('.') && !key.doc.contains(". "), "{}: {}", key.name, key.doc);
            let shown = key.example.is_empty() || settings.replace('\n', " ").contains(&format!("Example: \\fB{}: ", key.name));
            assert!(shown, "{}: no example", key.name);
        }
    }
}

#[test]
fn every_verb_and_every_option_has_its_entry() {
    let (_home, pages) = pages();
    let page = pages[0].replace("\\-", "-");
    let help = printed(&["-h"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> =
        listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() >= 14, "{verbs:?}");
    for verb in verbs {
        let begins =
            |line: &&str| line.strip_prefix("\\fBingestd ").is_some_and(|rest| rest.split([' ', '\\']).next() == Some(verb));
        assert!(page.lines().any(|line| begins(&line)), "ingestd(8) lacks the verb `{verb}`");
        let help = printed(&[verb, "-h"]);
        let options = help.lines().filter_map(|line| line.trim_start().trim_start_matches("-h, ").strip_prefix("--"));
        for option in options.filter_map(|rest| rest.split([' ', ',']).next()).filter(|option| *option != "help") {
            assert!(page.contains(&format!(".TP\n\\fB--{option}")), "ingestd(8) lacks `--{option}` of `{verb}`");
        }
    }
    assert!(page.contains("\\fBingestd clock confirm"), "a verb below another verb");
}

/// The example of a page, as `help` shows it.
fn example(topic: &str) -> String {
    let page = printed(&["help", topic]);
    let lines = page.lines().skip_while(|line| *line != "EXAMPLE").skip(1).take_while(|line| *line != "SEE ALSO");
    let mut example = String::new();
    for line in lines {
        let line = line.strip_prefix("        ").unwrap_or_default();
        writeln!(example, "{line}").expect("a string takes everything");
    }
    assert!(example.lines().count() > 5, "{topic}: {example}");
    example
}

#[test]
fn the_examples_of_the_manual_are_accepted_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("schedules")).expect("a folder");
    fs::write(folder.path().join("schedules/example.yaml"), example("schedule")).expect("writable");
    let settings = folder.path().join("ingestd.yaml");
    fs::write(&settings, example("config")).expect("writable");
    let output = run(&["check", "--config", path(&settings)]);
    let said = [text(&output.stdout), text(&output.stderr)].concat();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no errors, no warnings"), "{said}");
}

#[test]
fn help_is_that_of_clap_but_for_two_pages() {
    for (words, flag) in [(&["help"][..], &["--help"][..]), (&["help", "plan"], &["plan", "--help"])] {
        assert_eq!(printed(words), printed(flag), "{words:?}");
    }
    assert_eq!(printed(&["help", "clock", "confirm"]), printed(&["clock", "confirm", "--help"]));
    assert!(printed(&["help", "schedule"]).starts_with("ingestd-schedule(5): "));
    assert!(printed(&["help", "config"]).starts_with("ingestd.yaml(5): "));
    for page in ["schedule", "config"] {
        let text = printed(&["help", page]);
        assert!(text.lines().all(|line| line.chars().count() <= 100 && !line.contains("\\f")), "{text}");
    }
    let unknown = run(&["help", "nothing"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("unrecognized subcommand 'nothing'"), "{}", text(&unknown.stderr));
}

#[test]
fn a_page_that_cannot_be_written_is_a_failure_and_leaves_nothing_half_written() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("file"), "").expect("writable");
    let pages = home.path().join("pages");
    // A folder with the name of the second page.
    fs::create_dir_all(pages.join("ingestd-schedule.5/inside")).expect("a folder");
    for (folder, named) in [(home.path().join("file"), "file"), (pages.clone(), "ingestd-schedule.5")] {
        let output = run(&["man", path(&folder)]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.starts_with("error: cannot write `") && said.contains(named), "{said}");
    }
    let mut left: Vec<_> = fs::read_dir(&pages).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["ingestd-schedule.5", "ingestd.8"]);
}

#[test]
fn the_pages_are_good_roff() {
    let (home, _) = pages();
    let folder = home.path().join("new/pages");
    let judge = |program: &str, arguments: &[&str]| {
        let ran = Command::new(program).args(arguments).args(PAGES).current_dir(&folder).output();
        match ran {
            Ok(output) => {
                let said = [text(&output.stderr), if program == "mandoc" { text(&output.stdout) } else { String::new() }].concat();
                assert!(output.status.success() && said.is_empty(), "{program}: {said}");
            }
            Err(_) => println!("left out: what {program} says of the pages; it is not installed"),
        }
    };
    judge("mandoc", &["-T", "lint", "-W", "warning"]);
    judge("groff", &["-man", "-ww", "-z"]);
}
