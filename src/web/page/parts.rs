//! A picture of a view in parts: each is an element of the page with a name, and the version in which it last became another. Who has an older
//! version is told the parts that are newer. It does not know who is told, and how.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::data::{Made, days_beside};
use super::rows::{RowPart, Splice, row_id};
use super::view::View;
use super::{document, panels, plots, timeline};
use crate::clock;
use crate::report::rundown::Anchor;

/// Tells the versions of this process from those of another.
static PROCESS: LazyLock<i64> = LazyLock::new(|| clock::now().as_millisecond());

/// An element of the page.
pub(super) struct Part {
    pub(super) id: String,
    pub(super) html: Arc<str>,
    version: u64,
}

/// A picture.
pub(super) struct Rendered {
    pub(super) version: u64,
    pub(super) now: Timestamp,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) title: String,
    /// The time of day, to the minute.
    pub(super) clock: String,
    pub(super) before: Option<Anchor>,
    pub(super) after: Option<Anchor>,
    pub(super) yesterday: Option<Anchor>,
    pub(super) tomorrow: Option<Anchor>,
    /// Everything but the rows of rooms.
    pub(super) parts: Vec<Part>,
    pub(super) rows: Vec<RowPart>,
    /// When which rows there are became another.
    rows_version: u64,
    /// What is told to those who have a version: made once, and not for each of them.
    frames: Mutex<HashMap<u64, Bytes>>,
}

/// Versions whose viewers share what they are told.
const FRAMES_MAX: usize = 8;

/// What is told of a picture.
#[derive(Serialize)]
struct Changes<'a> {
    version: String,
    /// From which version they lead there; nothing: from any.
    since: Option<&'a str>,
    now: i64,
    from: i64,
    to: i64,
    title: &'a str,
    parts: Vec<(&'a str, Cow<'a, str>)>,
    splices: Vec<&'a Splice>,
}

impl Rendered {
    /// Of a rundown, after another picture of the same view.
    pub(super) fn new(made: &Made, view: &View, former: Option<&Rendered>) -> Rendered {
        let rundown = &made.rundown;
        let (yesterday, tomorrow) = days_beside(&made.day, rundown.now);
        let range = rundown.from..rundown.to;
        let zone = view.shown_zone(&made.day);
        let mut drawn = vec![
            ("p-head", document::head(made, view)),
            ("p-axis", timeline::axis(made, view)),
            ("p-lines", timeline::lines(made)),
            ("p-needs", panels::needs(rundown, view)),
            ("p-air", panels::on_air(rundown, view, &zone)),
            ("p-next", panels::next(rundown, view, &zone)),
            ("p-lately", panels::lately(rundown, view)),
        ];
        drawn.extend(plots::plots(made, view));
        let version = former.map_or(0, |former| former.version) + 1;
        let known: HashMap<&str, &Part> =
            former.iter().flat_map(|former| &former.parts).map(|part| (part.id.as_str(), part)).collect();
        let known_rows: HashMap<&str, &RowPart> =
            former.iter().flat_map(|former| &former.rows).map(|row| (row.id.as_str(), row)).collect();
        let part = |id: String, html: String| match known.get(id.as_str()) {
            Some(part) if *part.html == *html => Part { id, html: Arc::clone(&part.html), version: part.version },
            _ => Part { id, html: html.into(), version },
        };
        let parts: Vec<Part> = drawn.into_iter().map(|(id, html)| part(id.to_owned(), html)).collect();
        let row = |room| {
            let id = row_id(room);
            let (former, drawn) = (known_rows.get(id.as_str()).copied(), timeline::row(room, &id, made, view));
            RowPart::new(id, drawn, version, former)
        };
        let rows: Vec<RowPart> = rundown.rooms.iter().map(row).collect();
        let same_rows = former.is_some_and(|former| former.rows.iter().map(|part| &part.id).eq(rows.iter().map(|part| &part.id)));
        let rows_version = if same_rows { former.map_or(version, |former| former.rows_version) } else { version };
        let is_other = rows_version == version
            || parts.iter().any(|part| part.version == version)
            || rows.iter().any(|row| row.version == version);
        Rendered {
            version: if is_other { version } else { version - 1 },
            now: rundown.now,
            from: rundown.from,
            to: rundown.to,
            title: panels::title(rundown, view),
            clock: rundown.now.to_zoned(zone).strftime("%H:%M").to_string(),
            before: view.zoom.neighbour(&range, &made.day, false),
            after: view.zoom.neighbour(&range, &made.day, true),
            yesterday,
            tomorrow,
            parts,
            rows,
            rows_version,
            frames: Mutex::default(),
        }
    }

    /// The name of this version.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", *PROCESS, self.version)
    }

    /// The version of a name; 0, if it is not one of this process.
    fn known(&self, name: Option<&str>) -> u64 {
        let process = PROCESS.to_string();
        let since = name.and_then(|name| name.split_once('-')).filter(|(of, _)| *of == process);
        since.and_then(|(_, version)| version.parse().ok()).filter(|since| *since <= self.version).unwrap_or(0)
    }

    /// The event that tells whoever has the version of that name what is newer.
    pub(super) fn event_since(&self, name: Option<&str>) -> Bytes {
        let since = self.known(name);
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = frames.get(&since) {
            return frame.clone();
        }
        let frame = Bytes::from(format!("id: {}\ndata: {}\n\n", self.name(), self.changes_since(name)));
        if frames.len() < FRAMES_MAX {
            frames.insert(since, frame.clone());
        }
        frame
    }

    /// The parts that are newer than the version of that name, as JSON; all, if it is not one of this process.
    pub(super) fn changes_since(&self, name: Option<&str>) -> String {
        let since = self.known(name);
        let newer = self.parts.iter().filter(|part| part.version > since);
        let mut parts: Vec<(&str, Cow<'_, str>)> = newer.map(|part| (part.id.as_str(), Cow::Borrowed(&*part.html))).collect();
        let mut splices = Vec::new();
        if self.rows_version > since {
            parts.push(("p-rows", Cow::Owned(self.rows_html())));
        } else {
            for row in self.rows.iter().filter(|row| row.version > since) {
                // It leads from the version before this one, and from no other.
                match row.splice.as_ref().filter(|_| row.version == self.version && since + 1 == self.version) {
                    Some(splice) => splices.push(splice),
                    None => parts.push((&row.id, Cow::Owned(row.html()))),
                }
            }
        }
        let changes = Changes {
            version: self.name(),
            since: name.filter(|_| since > 0),
            now: self.now.as_millisecond(),
            from: self.from.as_millisecond(),
            to: self.to.as_millisecond(),
            title: &self.title,
            parts,
            splices,
        };
        serde_json::to_string(&changes).expect("plain values are JSON")
    }

    /// The element of all rows.
    pub(super) fn rows_html(&self) -> String {
        let rows: String = self.rows.iter().map(RowPart::html).collect();
        format!("<div id=\"p-rows\" class=\"rows\">{rows}</div>")
    }

    /// The element of a name.
    pub(super) fn part(&self, id: &str) -> &str {
        self.parts.iter().find(|part| part.id == id).map_or("", |part| &part.html)
    }
}
