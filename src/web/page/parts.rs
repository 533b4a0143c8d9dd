//! A picture of a view in parts: each is an element of the page with a name, and the version in which it last became another. Who has an older
//! version is told the parts that are newer. It does not know who is told, and how.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::assets::EDITION;
use super::data::Made;
use super::rows::{RowPart, Splice, row_id};
use super::view::View;
use super::{document, panels, plots, timeline};
use crate::clock;

/// Tells the versions of this process from those of another.
static PROCESS: LazyLock<i64> = LazyLock::new(|| clock::now().as_millisecond());

/// Tells the versions of one series of pictures from those of another: of another view, or of the same view after it was given up for a time.
static SERIES: AtomicU64 = AtomicU64::new(0);

/// An element of the page.
pub(super) struct Part {
    pub(super) id: String,
    pub(super) html: Arc<str>,
    version: u64,
}

/// A picture.
pub(super) struct Rendered {
    series: u64,
    pub(super) version: u64,
    /// The parameters of its view.
    view: String,
    pub(super) now: Timestamp,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) title: String,
    /// The time of day, to the minute.
    pub(super) clock: String,
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
    view: &'a str,
    /// The name of the style and the script that go with it.
    edition: &'a str,
    /// When it is told.
    now: i64,
    from: i64,
    to: i64,
    title: &'a str,
    parts: Vec<(&'a str, &'a str)>,
    /// The names of all rows, where there are others than before.
    order: Option<Vec<&'a str>>,
    rows: Vec<(&'a str, String)>,
    splices: Vec<&'a Splice>,
}

impl Rendered {
    /// Of a rundown, after another picture of the same view.
    pub(super) fn new(made: &Made, view: &View, former: Option<&Rendered>) -> Rendered {
        let rundown = &made.rundown;
        let zone = view.shown_zone(&made.day);
        let mut drawn = vec![
            ("p-head", document::head(made, view)),
            ("p-health", document::health(made, view)),
            ("p-ways", document::ways(made, view)),
            ("p-foot", document::footer(view)),
            ("p-clip", timeline::clipped(made, view)),
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
            series: former.map_or_else(|| SERIES.fetch_add(1, Ordering::Relaxed), |former| former.series),
            version: if is_other { version } else { version - 1 },
            view: view.key(),
            now: rundown.now,
            from: rundown.from,
            to: rundown.to,
            title: panels::title(rundown, view),
            clock: rundown.now.to_zoned(zone).strftime("%H:%M").to_string(),
            parts,
            rows,
            rows_version,
            frames: Mutex::default(),
        }
    }

    /// The name of this version.
    pub(super) fn name(&self) -> String {
        format!("{}.{}-{}", *PROCESS, self.series, self.version)
    }

    /// The version of a name; 0, if it is not one of this series.
    fn known(&self, name: Option<&str>) -> u64 {
        let series = format!("{}.{}", *PROCESS, self.series);
        let since = name.and_then(|name| name.split_once('-')).filter(|(of, _)| *of == series);
        since.and_then(|(_, version)| version.parse().ok()).filter(|since| *since <= self.version).unwrap_or(0)
    }

    /// The event that tells whoever has the version of that name what is newer, if somebody was told it before.
    pub(super) fn known_event(&self, name: Option<&str>) -> Option<Bytes> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).get(&self.known(name)).cloned()
    }

    /// The same event, made where it is not known. Of a large picture that takes some milliseconds.
    pub(super) fn event_since(&self, name: Option<&str>) -> Bytes {
        if let Some(frame) = self.known_event(name) {
            return frame;
        }
        let frame = Bytes::from(format!("id: {}\ndata: {}\n\n", self.name(), self.changes_since(name)));
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.len() < FRAMES_MAX {
            frames.insert(self.known(name), frame.clone());
        }
        frame
    }

    /// The parts that are newer than the version of that name, as JSON; all, if it is not one of this series.
    pub(super) fn changes_since(&self, name: Option<&str>) -> String {
        let since = self.known(name);
        let newer = self.parts.iter().filter(|part| part.version > since);
        let parts = newer.map(|part| (part.id.as_str(), &*part.html)).collect();
        let (mut rows, mut splices) = (Vec::new(), Vec::new());
        for row in self.rows.iter().filter(|row| row.version > since) {
            // It leads from the version before this one, and from no other.
            match row.splice.as_ref().filter(|_| row.version == self.version && since + 1 == self.version) {
                Some(splice) => splices.push(splice),
                None => rows.push((row.id.as_str(), row.html())),
            }
        }
        let order = (self.rows_version > since).then(|| self.rows.iter().map(|row| row.id.as_str()).collect());
        let changes = Changes {
            version: self.name(),
            since: name.filter(|_| since > 0),
            view: &self.view,
            edition: &EDITION,
            now: clock::now().as_millisecond(),
            from: self.from.as_millisecond(),
            to: self.to.as_millisecond(),
            title: &self.title,
            parts,
            order,
            rows,
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
