//! A table as a value: a header, rows, and how narrow its columns may become. Does not know how wide a terminal is: whoever
//! prints it decides that.

use std::borrow::Cow;

use crate::diagnostic::{escape, needs_escape};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What stands between two columns, and before the first.
const GAP: usize = 2;

/// What a column keeps that says nothing of it: a word and the sign that something was cut.
const KEEPS: usize = 8;

/// Rows of text, all of the same number of cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns; empty: none are shown.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// Characters that a column keeps even on a narrow terminal, by its number. Columns beyond the end of it may be cut down to a word.
    pub min_widths: Vec<usize>,
}

impl Table {
    /// Its lines, one for each row, with columns as wide as they need to be and nothing cut: for what is no terminal.
    pub fn lines(&self) -> Vec<String> {
        self.drawn(&self.widths())
    }

    /// Its lines, one for each row, at most `width` characters wide where that can be: columns that keep nothing and in which no row has
    /// anything are left out, and the cells of others are cut, those at the right first, with an ellipsis. What a column keeps is never cut.
    pub fn fitted(&self, width: usize) -> Vec<String> {
        let mut widths = self.widths();
        for (column, column_width) in widths.iter_mut().enumerate() {
            let is_empty = self.rows.iter().all(|row| row.get(column).is_none_or(String::is_empty));
            if is_empty && !self.rows.is_empty() && column >= self.min_widths.len() {
                *column_width = 0;
            }
        }
        let shown = widths.iter().filter(|width| **width > 0).count();
        let mut over = (widths.iter().sum::<usize>() + GAP * shown).saturating_sub(width.max(1) + 1);
        for (column, column_width) in widths.iter_mut().enumerate().rev().filter(|(_, width)| **width > 0) {
            let named = self.header.get(column).map_or(0, |name| name.width());
            let least = self.min_widths.get(column).copied().unwrap_or(KEEPS).max(named);
            let cut = over.min(column_width.saturating_sub(least));
            *column_width -= cut;
            over -= cut;
        }
        self.drawn(&widths)
    }

    fn all(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows).filter(|row| !row.is_empty())
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = Vec::new();
        for row in self.all() {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(one_line(cell).width());
            }
        }
        // What is printed in parts has the same columns in each.
        for (width, least) in widths.iter_mut().zip(&self.min_widths) {
            *width = (*width).max(*least);
        }
        widths
    }

    /// The lines, with columns of these widths; a column of width 0 is left out.
    fn drawn(&self, widths: &[usize]) -> Vec<String> {
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(widths).filter(|(_, width)| **width > 0).map(|(cell, width)| {
                let whole = one_line(cell);
                let cell = cut(&whole, *width);
                format!(" {cell}{} ", " ".repeat(width.saturating_sub(cell.width())))
            });
            cells.collect::<String>().trim_end().to_owned()
        };
        self.all().map(line).collect()
    }
}

/// A row is one line, and nothing in it acts on the terminal.
fn one_line(cell: &str) -> Cow<'_, str> {
    if !cell.contains(needs_escape) {
        return Cow::Borrowed(cell);
    }
    Cow::Owned(escape(&cell.replace('\n', ", ")).into_owned())
}

/// The text, at most so wide, with an ellipsis where something was cut.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut left = width.saturating_sub(1);
    let fits = |character: &char| {
        let width = character.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    Cow::Owned(format!("{}\u{2026}", text.chars().take_while(fits).collect::<String>()))
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

    #[test]
    fn a_narrow_terminal_cuts_at_the_right_and_leaves_empty_columns_out() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let table = Table {
            header: row(["START", "JOB", "NONE", "STREAM"]),
            rows: vec![
                row(["2026-11-28 18:00:00", "evening-promo", "", "https://cdn.example.com/a-very-long-name.mp4"]),
                row(["2026-11-28 19:00:00", "晚会", "", "https://h/节目节目节目.mp4"]),
            ],
            min_widths: vec![19, 13],
        };
        assert_eq!(
            table.fitted(50),
            [
                " START                JOB            STREAM",
                " 2026-11-28 18:00:00  evening-promo  https://cdn.\u{2026}",
                " 2026-11-28 19:00:00  晚会           https://h/节\u{2026}",
            ]
        );
        assert!(table.fitted(80).iter().all(|line| line.width() <= 80));
        assert_eq!(table.fitted(200)[1], " 2026-11-28 18:00:00  evening-promo  https://cdn.example.com/a-very-long-name.mp4");
        // What may not be cut is wider than the terminal.
        assert_eq!(table.fitted(10)[1], " 2026-11-28 18:00:00  evening-promo  https:/\u{2026}");
        assert_eq!(table.lines()[1], " 2026-11-28 18:00:00  evening-promo        https://cdn.example.com/a-very-long-name.mp4");
    }
}
