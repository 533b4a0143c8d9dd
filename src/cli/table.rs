//! Tables on a terminal, which are cut to its width, and elsewhere, where nothing is cut. Does not know what the rows say.

use std::io::{self, IsTerminal, Write};

use terminal_size::{Width, terminal_size_of};

use crate::report::table::Table;

/// The width of a terminal that does not say how wide it is.
const WIDTH_DEFAULT: usize = 80;

/// How wide the terminal of stdout is; `None` where stdout is no terminal: then nothing is cut or broken.
pub(super) fn width() -> Option<usize> {
    let told = || terminal_size_of(io::stdout()).map(|(Width(width), _)| usize::from(width));
    let named = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|width| *width > 0);
    io::stdout().is_terminal().then(|| told().or_else(named).unwrap_or(WIDTH_DEFAULT))
}

/// Prints a table, one line a row: as wide as the terminal, or as wide as it needs to be where there is no terminal.
pub(super) fn print(out: &mut impl Write, table: &Table) -> io::Result<()> {
    table.lines(width()).iter().try_for_each(|line| writeln!(out, "{line}"))
}
