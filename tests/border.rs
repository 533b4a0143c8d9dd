//! The border of the core: each entry of `src/core/clippy.toml` is seen to fail once, no part of the core is excused from them, and
//! no library that does what the shell does is among the core's dependencies. Does not know what the core decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// What the core must not be able to name: runtime, sockets, database, log, terminal.
const SHELL_CRATES: [&str; 16] = [
    "axum",
    "clap",
    "comfy-table",
    "crossterm",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "socket2",
    "tokio",
    "tracing",
    "tracing-subscriber",
];

/// Uses of what cannot be named without its generic arguments. All other functions are named as they are.
const USES: [(&str, &str); 30] = [
    ("jiff::Zoned::strptime", "let _ = jiff::Zoned::strptime(\"\", \"\");"),
    ("jiff::tz::TimeZoneDatabase::from_dir", "let _ = jiff::tz::TimeZoneDatabase::from_dir::<&str>;"),
    ("jiff::tz::TimeZoneDatabase::from_concatenated_path", "let _ = jiff::tz::TimeZoneDatabase::from_concatenated_path::<&str>;"),
    ("jiff::fmt::temporal::DateTimeParser::parse_zoned", "let _ = jiff::fmt::temporal::DateTimeParser::parse_zoned::<&str>;"),
    ("std::env::var", "let _ = std::env::var::<&str>;"),
    ("std::env::var_os", "let _ = std::env::var_os::<&str>;"),
    ("std::env::set_current_dir", "let _ = std::env::set_current_dir::<&str>;"),
    ("std::fs::read", "let _ = std::fs::read::<&str>;"),
    ("std::fs::read_to_string", "let _ = std::fs::read_to_string::<&str>;"),
    ("std::fs::read_dir", "let _ = std::fs::read_dir::<&str>;"),
    ("std::fs::read_link", "let _ = std::fs::read_link::<&str>;"),
    ("std::fs::metadata", "let _ = std::fs::metadata::<&str>;"),
    ("std::fs::symlink_metadata", "let _ = std::fs::symlink_metadata::<&str>;"),
    ("std::fs::canonicalize", "let _ = std::fs::canonicalize::<&str>;"),
    ("std::fs::exists", "let _ = std::fs::exists::<&str>;"),
    ("std::fs::write", "let _ = std::fs::write::<&str, &str>;"),
    ("std::fs::copy", "let _ = std::fs::copy::<&str, &str>;"),
    ("std::fs::rename", "let _ = std::fs::rename::<&str, &str>;"),
    ("std::fs::hard_link", "let _ = std::fs::hard_link::<&str, &str>;"),
    ("std::fs::remove_file", "let _ = std::fs::remove_file::<&str>;"),
    ("std::fs::remove_dir", "let _ = std::fs::remove_dir::<&str>;"),
    ("std::fs::remove_dir_all", "let _ = std::fs::remove_dir_all::<&str>;"),
    ("std::fs::create_dir", "let _ = std::fs::create_dir::<&str>;"),
    ("std::fs::create_dir_all", "let _ = std::fs::create_dir_all::<&str>;"),
    ("std::fs::set_permissions", "let _ = std::fs::set_permissions::<&str>;"),
    ("std::os::unix::fs::symlink", "let _ = std::os::unix::fs::symlink::<&str, &str>;"),
    ("std::net::ToSocketAddrs::to_socket_addrs", "let _ = std::net::ToSocketAddrs::to_socket_addrs(\"localhost:1\");"),
    ("std::net::ToSocketAddrs", "fn planted(_: impl std::net::ToSocketAddrs) {}"),
    ("std::thread::spawn", "let _ = std::thread::spawn(|| ());"),
    ("std::thread::scope", "std::thread::scope(|_| ());"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The entries of a clippy configuration: the list they stand in (`method`, `type`, `macro`), and their path.
fn entries(configuration: &str) -> Vec<(&str, &str)> {
    let mut list = "";
    let mut entries = Vec::new();
    for line in configuration.lines() {
        if let Some(name) = line.strip_prefix("disallowed-").and_then(|rest| rest.strip_suffix("s = [")) {
            list = name;
        } else if let Some(path) = line.trim().strip_prefix("{ path = \"").and_then(|rest| rest.split('"').next()) {
            entries.push((list, path));
        }
    }
    entries
}

/// A statement that uses an entry.
fn planted(list: &str, path: &str) -> String {
    match USES.iter().find(|(known, _)| *known == path) {
        Some((_, statement)) => (*statement).to_owned(),
        None if list == "type" => format!("let _: Option<{path}> = None;"),
        None if list == "macro" => format!("{path}!(\"\");"),
        None => format!("let _ = {path};"),
    }
}

/// Runs clippy on a crate with these lines of code, under the core's configuration.
fn clippy(configuration: &str, code: &str) -> Output {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    let jiff = workspace.lines().find(|line| line.starts_with("jiff = { version")).expect("the workspace says which jiff");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("border");
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let manifest = format!("[package]\nname = \"border\"\nedition = \"2024\"\n[dependencies]\n{jiff}\n[workspace]\n");
    fs::write(folder.join("Cargo.toml"), manifest).expect("writable");
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("writable");
    fs::write(folder.join("clippy.toml"), configuration).expect("writable");
    fs::write(folder.join("src/lib.rs"), code).expect("writable");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["clippy", "--quiet", "--offline", "--lib"]).current_dir(&folder);
    cargo.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", folder.join("target")).env("CLIPPY_CONF_DIR", &folder);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").output().expect("cargo runs")
}

#[test]
fn clippy_finds_one_use_of_each_entry() {
    if !Command::new(env!("CARGO")).args(["clippy", "--version"]).output().is_ok_and(|output| output.status.success()) {
        println!("left out: clippy is not installed");
        return;
    }
    let configuration = fs::read_to_string(root().join("src/core/clippy.toml")).expect("it is there");
    let entries = entries(&configuration);
    let count = |list: &str| entries.iter().filter(|(of, _)| *of == list).count();
    assert!(count("method") >= 60 && count("type") >= 15 && count("macro") >= 5, "{entries:?}");
    let mut code = "#![allow(unused, deprecated, unreachable_code)]\n".to_owned();
    for (index, (list, path)) in entries.iter().enumerate() {
        writeln!(code, "pub fn entry_{index}() {{\n    {}\n}}", planted(list, path)).expect("a string takes everything");
    }
    let output = clippy(&configuration, &code);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the planted uses compile:\n{said}");
    let missing: Vec<_> =
        entries.iter().filter(|(list, path)| !said.contains(&format!("use of a disallowed {list} `{path}`"))).collect();
    assert!(missing.is_empty(), "clippy does not find {missing:#?}\n{said}");
    let unknown: Vec<_> =
        USES.iter().filter(|(path, _)| !entries.iter().any(|(_, entry)| entry == path)).map(|(path, _)| path).collect();
    assert!(unknown.is_empty(), "no entry has the path {unknown:?}");
}

/// The Rust files below a folder, with their text.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("it reads") {
        let path = entry.expect("it reads").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).expect("it reads")));
        }
    }
}

#[test]
fn no_part_of_the_core_is_excused() {
    let mut files = Vec::new();
    sources(&root().join("src/core"), &mut files);
    assert!(files.len() > 50, "{}", files.len());
    let excused: Vec<_> = files.iter().filter(|(_, text)| text.contains("clippy::disallowed")).map(|(path, _)| path).collect();
    assert!(excused.is_empty(), "{excused:?} take an exception from the border");
}

/// Every package that a package needs when it is built, itself too, from the answer of `cargo metadata`.
fn needed(metadata: &serde_json::Value, package: &str) -> BTreeSet<String> {
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let nodes = list(&metadata["resolve"]["nodes"]);
    let mut open: Vec<String> = names.iter().filter(|(_, name)| *name == package).map(|(id, _)| id.clone()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id.as_str()).expect("every package is resolved");
        // A kind of null is an ordinary dependency; the others are for tests and build scripts.
        let ordinary = |dependency: &&serde_json::Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        open.extend(list(&node["deps"]).iter().filter(ordinary).map(|dependency| text(&dependency["pkg"])));
    }
    seen.iter().map(|id| names[id].clone()).collect()
}

#[test]
fn no_library_of_the_shell_is_a_dependency_of_the_core() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = serde_json::from_slice(&output.stdout).expect("JSON");
    let shell = needed(&metadata, "ingestd");
    // What is looked for is found where it is.
    assert!(["tokio", "rusqlite", "terminal_size"].iter().all(|name| shell.contains(*name)), "{shell:?}");
    let core = needed(&metadata, "ingestd-core");
    assert!(core.contains("jiff"), "{core:?}");
    let forbidden: Vec<_> = SHELL_CRATES.iter().filter(|name| core.contains(**name)).collect();
    assert!(forbidden.is_empty(), "the core can name {forbidden:?}");
}
