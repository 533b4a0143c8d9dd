//! Tables on a terminal, which are cut to its width, and elsewhere, where nothing is cut. Does not know what the rows say.

use std::io::{self, Write};

use terminal_size::{Width, terminal_size_of};

use crate::report::table::Table;

/// Prints a table, one line a row: as wide as the terminal, or as wide as it needs to be where there is no terminal.
pub(super) fn print(out: &mut impl Write, table: &Table) -> io::Result<()> {
    let lines = match terminal_size_of(io::stdout()) {
        Some((Width(width), _)) if width > 0 => table.fitted(width.into()),
        Some(_) | None => table.lines(),
    };
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}
