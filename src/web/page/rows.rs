//! A row of the rundown as a part of the page, and what of it became another: a row may have a thousand bars, of which one changes. It does not
//! know what a bar shows.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Serialize;

use super::timeline::ROW_END;
use crate::report::rundown::RoomRow;

/// A row of a picture.
pub(super) struct RowPart {
    pub(super) id: String,
    /// What stands before the bars.
    head: String,
    bars: Vec<String>,
    /// The version in which it last became another.
    pub(super) version: u64,
    /// What leads from the version before to this one, where that is less than the whole row.
    pub(super) splice: Option<Splice>,
}

/// Bars that take the place of others.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Splice {
    id: String,
    /// How many bars stay before them.
    at: usize,
    /// How many bars go.
    removed: usize,
    /// The new ones.
    html: String,
}

impl RowPart {
    /// A row as it is drawn in a version, after the row of the version before.
    pub(super) fn new(id: String, (head, bars): (String, Vec<String>), version: u64, former: Option<&RowPart>) -> RowPart {
        let Some(former) = former.filter(|former| former.head == head) else {
            return RowPart { id, head, bars, version, splice: None };
        };
        if former.bars == bars {
            return RowPart { id, head, bars, version: former.version, splice: None };
        }
        let same = |pairs: &mut dyn Iterator<Item = (&String, &String)>| pairs.take_while(|(old, new)| old == new).count();
        let before = same(&mut former.bars.iter().zip(&bars));
        let after = same(&mut former.bars[before..].iter().rev().zip(bars[before..].iter().rev()));
        let splice = Splice {
            id: id.clone(),
            at: before,
            removed: former.bars.len() - before - after,
            html: bars[before..bars.len() - after].concat(),
        };
        RowPart { id, head, bars, version, splice: Some(splice) }
    }

    /// The whole element.
    pub(super) fn html(&self) -> String {
        let bars: usize = self.bars.iter().map(String::len).sum();
        let mut html = String::with_capacity(self.head.len() + bars + ROW_END.len());
        html.push_str(&self.head);
        self.bars.iter().for_each(|bar| html.push_str(bar));
        html.push_str(ROW_END);
        html
    }
}

/// The name of a room's element: the same for as long as the room is there.
pub(super) fn row_id(room: &RoomRow) -> String {
    let mut hasher = DefaultHasher::new();
    (&room.app, &room.room).hash(&mut hasher);
    format!("r{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(head: &str, bars: &str, version: u64, former: Option<&RowPart>) -> RowPart {
        let bars = bars.split_terminator(',').map(str::to_owned).collect();
        RowPart::new("r1".to_owned(), (head.to_owned(), bars), version, former)
    }

    #[test]
    fn of_a_row_only_the_bars_are_told_that_became_others() {
        let first = row("<", "a,b,c,d", 1, None);
        assert_eq!((first.html().as_str(), &first.splice), ("<abcd</svg></div>", &None));
        for (bars, expected) in [
            ("a,b,X,d", (2, 1, "X")),
            ("a,b,c,d,e", (4, 0, "e")),
            ("b,c,d", (0, 1, "")),
            ("a,X,Y,d", (1, 2, "XY")),
            ("a,b,b,c,d", (2, 0, "b")),
            ("a,d", (1, 2, "")),
            ("", (0, 4, "")),
        ] {
            let next = row("<", bars, 2, Some(&first));
            let splice = next.splice.as_ref().expect("less than the row");
            assert_eq!((splice.at, splice.removed, splice.html.as_str()), expected, "{bars}");
            let mut patched = first.bars.clone();
            patched.splice(splice.at..splice.at + splice.removed, [splice.html.clone()]);
            assert_eq!(patched.concat(), next.bars.concat(), "{bars}");
        }
        let same = row("<", "a,b,c,d", 2, Some(&first));
        assert_eq!((same.version, same.splice), (1, None));
        let higher = row("<<", "a,b,c,d", 2, Some(&first));
        assert_eq!((higher.version, higher.splice), (2, None), "what stands before the bars is another: the whole row is told");
    }
}
