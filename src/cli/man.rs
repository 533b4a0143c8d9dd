//! The verb `man`: writes the pages of the manual. What stands in them is taken from the tables and from clap's definition of the
//! arguments. Where `man` looks for pages is not known here.

mod page;
mod program;
mod roff;
mod schedule;
mod settings;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;

use super::{Context, Exit, Failure, print};

/// The day on which the words of the pages last changed. A page made twice from one program is the same.
const DATE: &str = "2026-11-28";

/// Writes the manual pages ingestd(8), ingestd-schedule(5) and ingestd.yaml(5)
///
/// The folder is made if it is missing. `man -l DIR/ingestd-schedule.5` shows a page from there; to install them, move the pages of
/// section 8 to /usr/local/share/man/man8 and those of section 5 to /usr/local/share/man/man5.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the pages
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(_: &Context, args: Args) -> Result<Exit, Failure> {
    let cannot = |path: &Path, error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
    fs::create_dir_all(&args.folder).map_err(|error| cannot(&args.folder, error))?;
    for page in [program::page(super::command()), schedule::page(), settings::page()] {
        let path = args.folder.join(page.file());
        let source = roff::render(&page, DATE, concat!("ingestd ", env!("CARGO_PKG_VERSION")));
        write(&path, &source).map_err(|error| cannot(&path, error))?;
        print(&format!("{}\n", path.display()))?;
    }
    Ok(Exit::Good)
}

/// Writes a file whole or not at all: under another name first, which is then changed.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_added_extension("partial");
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// The page ingestd-schedule(5), as text.
pub(super) fn schedule_text() -> String {
    text::render(&schedule::page())
}

/// The page ingestd.yaml(5), as text.
pub(super) fn settings_text() -> String {
    text::render(&settings::page())
}

/// Whether an argument or a verb is clap's own.
fn is_of_clap(name: &str) -> bool {
    matches!(name, "help" | "version")
}

/// The verbs below a command.
fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !(is_of_clap(verb.get_name()) && verb.get_arguments().next().is_none()))
}
