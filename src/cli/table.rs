//! Tables on a terminal: as wide as it is, with cells broken over lines where they must be. Does not know what the rows say.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Width, presets::NOTHING};

use crate::report::table::Table;

/// Prints a table as wide as the terminal, or as wide as it needs to be where there is no terminal.
pub(super) fn print(out: &mut impl Write, table: Table) -> io::Result<()> {
    let Table { header, rows, min_widths } = table;
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        drawn.set_header(header);
    }
    drawn.add_rows(rows);
    for (column, width) in drawn.column_iter_mut().zip(min_widths) {
        // The padding of a cell counts as its width.
        let width = Width::Fixed(u16::try_from(width + 2).unwrap_or(u16::MAX));
        column.set_constraint(ColumnConstraint::LowerBoundary(width));
    }
    drawn.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}
