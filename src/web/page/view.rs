//! What a viewer asks for: how much time, from when on, in which zone and in which language; and the addresses that ask for something else
//! beside it. A parameter that is not known is refused. It does not know what is shown.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::report::instant;
use crate::report::rundown::{Anchor, Language, StationDay, Zoom};
use crate::report::time::{TimeArgument, parse_argument, zone_name};
use crate::schedule::zone_named;
use crate::web::PageState;
use crate::web::query::{Query, clip};

/// The parameters of a view.
const PARAMETERS: [&str; 4] = ["zoom", "at", "timezone", "lang"];

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) zoom: Zoom,
    pub(super) anchor: Anchor,
    /// The zone that was asked for; none: the station's.
    pub(super) zone: Option<TimeZone>,
    pub(super) language: Language,
    /// Whether the language was asked for, and is not only the browser's.
    is_language_asked: bool,
}

impl View {
    /// Of the part of an address behind the `?`, which may have more parameters.
    pub(super) fn parse(text: &str, headers: &HeaderMap, shared: &PageState, more: &[&str]) -> Result<(View, Query), String> {
        let known: Vec<&str> = PARAMETERS.iter().chain(more).copied().collect();
        let query = Query::parse(text, &known)?;
        let zooms: Vec<&str> = Zoom::WORDS.iter().map(|(word, _)| *word).collect();
        let zoom = query.word("zoom", &zooms)?.and_then(Zoom::from_name).unwrap_or_default();
        let zone = match query.text("timezone") {
            None => None,
            Some(name) => {
                let zones = &shared.app_state.zones.database;
                Some(zone_named(zones, clip(name).as_str()).map_err(|why| format!("`timezone`: {why}"))?)
            }
        };
        let anchor = match query.text("at") {
            None => Anchor::Now,
            Some(text) => anchor(text, &station_day(shared).zone)?,
        };
        let asked = query.word("lang", &["en", "zh"])?;
        let language = match asked {
            Some("zh") => Language::Chinese,
            Some(_) => Language::English,
            None => accepted(headers),
        };
        Ok((View { zoom, anchor, zone, language, is_language_asked: asked.is_some() }, query))
    }

    /// The zone of the times that are shown.
    pub(super) fn shown_zone(&self, day: &StationDay) -> TimeZone {
        self.zone.clone().unwrap_or_else(|| day.zone.clone())
    }

    /// What is shown.
    pub(super) fn range(&self, now: Timestamp, day: &StationDay) -> Result<Range<Timestamp>, String> {
        self.zoom.range(self.anchor, now, day).ok_or_else(|| "`at` is outside the years that can be planned".to_owned())
    }

    /// The parameters, the language among them: what two viewers share who have the same.
    pub(super) fn key(&self) -> String {
        let mut key = self.query(self.zoom, self.anchor);
        if !self.is_language_asked {
            let _ = write!(key, "&lang={}", self.language.pick("en", "zh"));
        }
        key
    }

    /// The parameters of the same view at another place.
    pub(super) fn query(&self, zoom: Zoom, anchor: Anchor) -> String {
        let mut query = format!("zoom={}", zoom.name());
        match anchor {
            Anchor::Now => {}
            Anchor::Date(date) => {
                let _ = write!(query, "&at={date}");
            }
            Anchor::At(at) => {
                let _ = write!(query, "&at={}", instant(at));
            }
        }
        self.rest(&mut query);
        query
    }

    /// The parameters that stay whatever is asked for.
    pub(super) fn rest(&self, query: &mut String) {
        if let Some(zone) = &self.zone {
            let _ = write!(query, "&timezone={}", encoded(zone_name(zone)));
        }
        if self.is_language_asked {
            let _ = write!(query, "&lang={}", self.language.pick("en", "zh"));
        }
    }

    /// The same view in another zone; none: the station's.
    pub(super) fn in_zone(&self, zone: Option<TimeZone>) -> String {
        View { zone, ..self.clone() }.query(self.zoom, self.anchor)
    }

    /// The same view in another language.
    pub(super) fn in_language(&self, language: Language) -> String {
        View { language, is_language_asked: true, ..self.clone() }.query(self.zoom, self.anchor)
    }

    /// The address of the story of an occurrence.
    pub(super) fn story(&self, job: &str, start: Timestamp) -> String {
        let mut query = format!("/occurrence?job={}&start={start}", encoded(job));
        self.rest(&mut query);
        query
    }
}

/// A value as a parameter has it.
fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// A date, or an instant with its offset. A local time would be another in each zone.
fn anchor(text: &str, zone: &TimeZone) -> Result<Anchor, String> {
    match parse_argument(text, Timestamp::UNIX_EPOCH)? {
        TimeArgument::Date(date) => Ok(Anchor::Date(date)),
        TimeArgument::At(at) if !text.trim_start().starts_with("now") => Ok(Anchor::At(at)),
        TimeArgument::Local(local) => {
            let at = zone.to_timestamp(local).map_err(|_| format!("`at`: `{}` is not a time", clip(text)))?;
            Ok(Anchor::At(at))
        }
        TimeArgument::At(_) => Err("`at`: expected a date or a time; without it, what is shown follows now".to_owned()),
    }
}

/// The language that a browser asks for first, of those that there are.
fn accepted(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut best = (Language::English, 0.0_f32);
    for part in accepted.split(',').take(20) {
        let mut fields = part.split(';').map(str::trim);
        let tag = fields.next().unwrap_or_default().to_ascii_lowercase();
        let weight = fields.find_map(|field| field.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        let language = match tag.split('-').next() {
            Some("zh") => Language::Chinese,
            Some("en") => Language::English,
            _ => continue,
        };
        if weight > best.1 {
            best = (language, weight);
        }
    }
    best.0
}

/// When the station's day begins: as the settings say, else at midnight in the zone of most jobs.
pub(super) fn station_day(shared: &PageState) -> StationDay {
    let settings = &shared.app_state.page;
    let zone = || Arc::clone(&shared.app_state.in_force.borrow().generation.schedule).zone();
    StationDay { begins: settings.day, zone: settings.zone.clone().unwrap_or_else(zone) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_first_language_of_ours_is_taken() {
        for (accept, expected) in [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-US,en;q=0.9,zh;q=0.8", Language::English),
            ("de,zh;q=0.7,en;q=0.3", Language::Chinese),
            ("de", Language::English),
            ("zh;q=0", Language::English),
            ("zh;q=nonsense", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().expect("a value"));
            assert_eq!(accepted(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn a_place_is_a_date_or_a_time() {
        let anchor = |text| anchor(text, &TimeZone::UTC);
        assert_eq!(anchor("2026-11-29"), Ok(Anchor::Date(jiff::civil::date(2026, 11, 29))));
        let at = "2026-11-29T10:00:00Z".parse().expect("an instant");
        assert_eq!(anchor("2026-11-29T18:00:00+08:00"), Ok(Anchor::At(at)));
        assert_eq!(anchor("2026-11-29 10:00"), Ok(Anchor::At(at)));
        assert!(anchor("now").is_err() && anchor("now+2h").is_err() && anchor("soon").is_err());
    }
}
