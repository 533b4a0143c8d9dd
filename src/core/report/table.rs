//! A table as a value: columns, rows, and what becomes of a column where there is too little room. Does not know how wide a
//! terminal is: whoever prints it decides that.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::diagnostic::{escape, needs_escape};

/// What stands between two columns.
const GAP: usize = 2;

/// What becomes of a column where there is too little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// It stays whole: a row without it says nothing.
    Stays,
    /// It stays whole, or is left out.
    WholeOrNone,
    /// Its cells are cut at their ends, down to so many characters; then it is left out.
    CutEnd(usize),
    /// The same, cut in the middle: of a URL both ends say something.
    CutMiddle(usize),
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, in the header.
    pub name: String,
    /// What becomes of it where there is too little room.
    pub narrow: Narrow,
    /// Its importance: the column with the highest rank is cut or left out first.
    pub rank: u8,
    /// As wide at least. Without it a column in which no row has anything is left out.
    pub width: usize,
}

impl Column {
    /// A column that is as wide as its cells.
    pub fn new(name: impl Into<String>, rank: u8, narrow: Narrow) -> Column {
        Column { name: name.into(), narrow, rank, width: 0 }
    }
}

/// Rows of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// Whether their names are shown.
    pub has_header: bool,
    /// The rows, each with a cell for each column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Its lines, one for each row, without the columns in which no row has anything. Without a width nothing is cut: for what is not a
    /// terminal. With one they are at most that wide, unless what stays whole is wider: cells are cut with an ellipsis, and a column is left
    /// out where the more important ones leave less than its least. What is left goes to the most important ones.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let header = self.has_header.then(|| self.columns.iter().map(|column| ShownCell::new(&column.name)).collect());
        let rows: Vec<Vec<_>> = self.rows.iter().map(|row| row.iter().map(|cell| ShownCell::new(cell)).collect()).collect();
        let natural = self.natural_widths(header.as_ref(), &rows);
        let widths = match width {
            Some(width) => self.fitted_widths(&natural, width),
            None => natural,
        };
        header.iter().chain(&rows).map(|cells| self.line(cells, &widths)).collect()
    }

    /// What each column needs; 0: it is left out.
    fn natural_widths(&self, header: Option<&Vec<ShownCell<'_>>>, rows: &[Vec<ShownCell<'_>>]) -> Vec<usize> {
        let column_width = |(index, column): (usize, &Column)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| cell.width).max().unwrap_or_default().max(column.width);
            let header = header.and_then(|header| header.get(index)).map_or(0, |name| name.width);
            if widest == 0 { 0 } else { widest.max(header) }
        };
        self.columns.iter().enumerate().map(column_width).collect()
    }

    fn fitted_widths(&self, natural: &[usize], width: usize) -> Vec<usize> {
        let least = |index: usize| match self.columns[index].narrow {
            Narrow::Stays | Narrow::WholeOrNone => natural[index],
            Narrow::CutEnd(least) | Narrow::CutMiddle(least) => {
                let header = if self.has_header { self.columns[index].name.width() } else { 0 };
                natural[index].min(least.max(header))
            }
        };
        let mut shown: Vec<usize> = (0..natural.len()).filter(|index| natural[*index] > 0).collect();
        shown.sort_by_key(|index| self.columns[*index].rank);
        let need = |index: usize| least(index) + GAP;
        let stays = |index: &usize| self.columns[*index].narrow == Narrow::Stays;
        // A line has a space before its first cell, and none after its last.
        let mut left =
            width.saturating_add(1).saturating_sub(shown.iter().filter(|index| stays(index)).map(|index| need(*index)).sum());
        shown.retain(|index| {
            let fits = stays(index) || need(*index) <= left;
            left -= if fits && !stays(index) { need(*index) } else { 0 };
            fits
        });
        let mut widths = vec![0; natural.len()];
        for index in shown {
            let more = left.min(natural[index] - least(index));
            widths[index] = least(index) + more;
            left -= more;
        }
        widths
    }

    /// A line, with columns of these widths; a column of width 0 is left out.
    fn line(&self, cells: &[ShownCell<'_>], widths: &[usize]) -> String {
        let mut line = String::with_capacity(widths.iter().map(|width| width + GAP).sum());
        for ((cell, room), column) in cells.iter().zip(widths).zip(&self.columns).filter(|((_, room), _)| **room > 0) {
            line.push(' ');
            let width = if cell.width <= *room {
                line.push_str(&cell.text);
                cell.width
            } else {
                let tail = if matches!(column.narrow, Narrow::CutMiddle(_)) { (room - 1) * 2 / 3 } else { 0 };
                let cut = cut(&cell.text, *room, tail);
                line.push_str(&cut);
                cut.width()
            };
            line.extend(std::iter::repeat_n(' ', room.saturating_sub(width) + 1));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A cell as it is shown, on one line: nothing in it acts on the terminal.
struct ShownCell<'a> {
    text: Cow<'a, str>,
    width: usize,
}

impl<'a> ShownCell<'a> {
    fn new(cell: &'a str) -> ShownCell<'a> {
        // Nearly every cell is plain.
        if cell.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return ShownCell { text: Cow::Borrowed(cell), width: cell.len() };
        }
        let text = if cell.contains(needs_escape) {
            Cow::Owned(escape(&cell.replace('\n', ", ")).into_owned())
        } else {
            Cow::Borrowed(cell)
        };
        ShownCell { width: text.width(), text }
    }
}

/// The text, which is wider, cut to that width with an ellipsis; after it at most `tail` of what was at the end.
fn cut(text: &str, width: usize, tail: usize) -> String {
    let head = fitting(text.chars(), width.saturating_sub(1 + tail));
    let tail = fitting(text.chars().rev(), tail).chars().rev().collect::<String>();
    format!("{head}\u{2026}{tail}")
}

/// The first of the characters that fit.
fn fitting(characters: impl Iterator<Item = char>, mut room: usize) -> String {
    let fits = |character: &char| {
        let width = character.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    };
    characters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, Narrow)], rows: &[&[&str]]) -> Table {
        let column = |(rank, (name, narrow)): (u8, &(&str, Narrow))| Column::new(*name, rank, *narrow);
        Table {
            columns: (0..).zip(columns).map(column).collect(),
            has_header: true,
            rows: rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect(),
        }
    }

    fn shows() -> Table {
        table(
            &[
                ("START", Narrow::Stays),
                ("JOB", Narrow::Stays),
                ("NONE", Narrow::CutEnd(8)),
                ("RESULT", Narrow::CutEnd(12)),
                ("STREAM", Narrow::CutMiddle(16)),
                ("LATE", Narrow::WholeOrNone),
            ],
            &[
                &[
                    "2026-11-28 18:00:00",
                    "evening-promo",
                    "",
                    "failed (InternalError)",
                    "https://cdn.example.com/a-long-name.mp4",
                    "3 ms",
                ],
                &["2026-11-28 19:00:00", "晚会", "", "on air", "https://h/节目节目节目.mp4", ""],
            ],
        )
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let table = table(&[("A", Narrow::Stays), ("B", Narrow::Stays)], &[&["晚会", "x"], &["c", ""]]);
        assert_eq!(table.lines(None), [" A     B", " 晚会  x", " c"]);
        assert_eq!(Table::default().lines(None), Vec::<String>::new());
    }

    #[test]
    fn without_a_width_nothing_is_cut_and_empty_columns_go() {
        assert_eq!(
            shows().lines(None),
            [
                " START                JOB            RESULT                  STREAM                                   LATE",
                " 2026-11-28 18:00:00  evening-promo  failed (InternalError)  https://cdn.example.com/a-long-name.mp4  3 ms",
                " 2026-11-28 19:00:00  晚会           on air                  https://h/节目节目节目.mp4",
            ]
        );
    }

    #[test]
    fn each_column_keeps_its_least_and_the_most_important_ones_have_the_rest() {
        assert_eq!(
            shows().lines(Some(80)),
            [
                " START                JOB            RESULT               STREAM            LATE",
                " 2026-11-28 18:00:00  evening-promo  failed (InternalEr\u{2026}  https\u{2026}g-name.mp4  3 ms",
                " 2026-11-28 19:00:00  晚会           on air               https\u{2026}目节目.mp4",
            ]
        );
        assert_eq!(shows().lines(Some(60))[1], " 2026-11-28 18:00:00  evening-promo  failed (Internal\u{2026}  3 ms");
        assert_eq!(shows().lines(Some(50))[1], " 2026-11-28 18:00:00  evening-promo  failed (Inte\u{2026}");
    }

    #[test]
    fn no_line_is_wider_than_it_may_be_and_what_stays_is_never_cut() {
        for width in 0..140 {
            for line in shows().lines(Some(width)) {
                assert!(line.width() <= width.max(" 2026-11-28 18:00:00  evening-promo".len()), "{width}: {line}");
            }
            assert!(shows().lines(Some(width))[1].starts_with(" 2026-11-28 18:00:00  evening-promo"), "{width}");
        }
        assert_eq!(shows().lines(Some(140)), shows().lines(None));
    }

    #[test]
    fn a_cell_is_one_line_and_does_nothing_to_a_terminal() {
        let table = table(&[("A", Narrow::Stays)], &[&["one\ntwo\u{1b}[2J\u{202e}x"]]);
        assert_eq!(table.lines(None)[1], r" one, two\u{1b}[2J\u{202e}x");
    }
}
