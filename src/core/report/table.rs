//! A table as a value: a header, rows, and how narrow its columns may become. Does not know how wide a terminal is: whoever
//! prints it decides that.

use unicode_width::UnicodeWidthStr as _;

/// Rows of text, all of the same number of cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns; empty: none are shown.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// Characters that a column keeps even on a narrow terminal, by its number. Columns beyond the end of it may be
    /// broken anywhere.
    pub min_widths: Vec<usize>,
}

impl Table {
    /// Its lines, with columns as wide as they need to be, two spaces between them, and one before the first.
    pub fn lines(&self) -> Vec<String> {
        let rows = || std::iter::once(&self.header).chain(&self.rows).filter(|row| !row.is_empty());
        let mut widths: Vec<usize> = Vec::new();
        for row in rows() {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell}{} ", " ".repeat(width - cell.width())));
            cells.collect::<String>().trim_end().to_owned()
        };
        rows().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = Table { header: row(["A", "B"]), rows: vec![row(["晚会", "x"]), row(["c", ""])], min_widths: Vec::new() };
        assert_eq!(table.lines(), [" A     B", " 晚会  x", " c"]);
        assert_eq!(Table::default().lines(), Vec::<String>::new());
    }
}
