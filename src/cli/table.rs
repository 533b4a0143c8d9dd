//! Tables on a terminal, which are cut to its width, and elsewhere, where nothing is cut. Does not know what the rows say.

use std::io::{self, Write};

use terminal_size::{Width, terminal_size_of};

use crate::report::table::Table;

/// How wide the terminal of stdout is; `None` where stdout is no terminal, or does not say: then nothing is cut or broken.
pub(super) fn width() -> Option<usize> {
    terminal_size_of(io::stdout()).map(|(Width(width), _)| width.into()).filter(|width| *width > 0)
}

/// Prints a table, one line a row: as wide as the terminal, or as wide as it needs to be where there is no terminal.
pub(super) fn print(out: &mut impl Write, table: &Table) -> io::Result<()> {
    table.lines(width()).iter().try_for_each(|line| writeln!(out, "{line}"))
}
