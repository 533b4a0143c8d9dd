//! What jobs share while they are read: zones, cron patterns, calendars and texts, each kept once by a reader however many jobs name it.
//! Refuses to know jobs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::moments::{dates, each};
use super::problem::{Looks, Problem, did_you_mean, nearest, quote};
use super::values::text;
use crate::calendar::{CronPattern, DateRange, Dates, Trigger, When};
use crate::diagnostic::Place;
use crate::yaml::{Kind, Node};

/// A named set of dates.
pub(super) struct Calendar {
    /// Its dates, as written; empty when they were refused.
    pub(super) ranges: Vec<DateRange>,
    /// The same, merged.
    pub(super) dates: Arc<Dates>,
    /// Where its name stands.
    pub(super) place: Place,
}

/// The calendars of all files.
#[derive(Default)]
pub(super) struct Calendars {
    /// By their names.
    pub(super) by_name: BTreeMap<String, Calendar>,
    /// Whether a file could not be read, so that a calendar that is not here may well exist.
    pub(super) may_lack: bool,
}

/// See the module.
pub(super) struct Shared<'r> {
    zone_data: &'r TimeZoneDatabase,
    now: Timestamp,
    zones: HashMap<String, Option<TimeZone>>,
    crons: HashMap<String, Result<Arc<CronPattern>, String>>,
    texts: HashSet<Arc<str>>,
    exceptions: HashMap<Vec<DateRange>, Arc<Dates>>,
    calendars: &'r Calendars,
    looks: Looks,
}

impl<'r> Shared<'r> {
    /// Nothing yet.
    pub(super) fn new(zone_data: &'r TimeZoneDatabase, now: Timestamp, calendars: &'r Calendars) -> Shared<'r> {
        Shared {
            zone_data,
            now,
            zones: HashMap::new(),
            crons: HashMap::new(),
            texts: HashSet::new(),
            exceptions: HashMap::new(),
            calendars,
            looks: Looks::default(),
        }
    }

    /// A text, kept once.
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// A zone by its IANA name.
    pub(super) fn zone(&mut self, node: &Node<'_>) -> Result<TimeZone, Problem> {
        let name = text(node, "a time zone such as `Asia/Shanghai`")?;
        let zone_data = self.zone_data;
        let known = match self.zones.get(name) {
            Some(known) => known,
            None => self.zones.entry(name.to_owned()).or_insert_with(|| find_zone(zone_data, name)),
        };
        known.clone().ok_or_else(|| {
            let hint = self.looks.find(|| Some(zone_hint(zone_data, name))).unwrap_or_else(|| ZONE_SYNTAX.to_owned());
            Problem::of(node, "unknown-timezone", format!("unknown time zone {}", quote(name))).hint(hint)
        })
    }

    /// A cron expression.
    pub(super) fn cron(&mut self, node: &Node<'_>) -> Result<Arc<CronPattern>, Problem> {
        let text = text(node, "a cron expression such as `0 18 * * mon-fri`")?;
        let now = self.now;
        let parsed = match self.crons.get(text) {
            Some(parsed) => parsed,
            None => self.crons.entry(text.to_owned()).or_insert_with(|| parse_cron(text, now)),
        };
        parsed.clone().map_err(|why| Problem::of(node, "bad-cron", why))
    }

    /// `except`: dates, ranges, names of calendars, or a list of these.
    pub(super) fn except(&mut self, node: &Node<'_>) -> Result<Arc<Dates>, Vec<Problem>> {
        let ranges = match &node.kind {
            Kind::List(nodes) => each(node, nodes, |node| self.exception(node))?.concat(),
            Kind::Scalar { .. } | Kind::Map(_) => {
                if let Some(calendar) = node.text().and_then(|name| self.calendars.by_name.get(name)) {
                    return Ok(Arc::clone(&calendar.dates));
                }
                self.exception(node)?
            }
        };
        if let Some(known) = self.exceptions.get(&ranges) {
            return Ok(Arc::clone(known));
        }
        let dates = Arc::new(Dates::new(ranges.iter().cloned()));
        self.exceptions.insert(ranges, Arc::clone(&dates));
        Ok(dates)
    }

    fn exception(&self, node: &Node<'_>) -> Result<Vec<DateRange>, Problem> {
        let name = text(node, "a date, a range of dates or a calendar's name")?;
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(vec![dates(node)?.into()]);
        }
        match self.calendars.by_name.get(name) {
            Some(calendar) => Ok(calendar.ranges.clone()),
            None if self.calendars.may_lack => Ok(Vec::new()),
            None => {
                let hint = self.looks.find(|| did_you_mean(name, self.calendars.by_name.keys().map(String::as_str)));
                let hint = hint.unwrap_or_else(|| "name it under `calendars`, in any file, or write dates".to_owned());
                Err(Problem::of(node, "unknown-calendar", format!("no file has a calendar {}", quote(name))).hint(hint))
            }
        }
    }
}

/// An expression that has a start somewhere.
fn parse_cron(text: &str, now: Timestamp) -> Result<Arc<CronPattern>, String> {
    let pattern = Arc::new(CronPattern::parse(text)?);
    let trigger = Trigger::Cron(Arc::clone(&pattern));
    let anywhere = When { trigger, zone: TimeZone::UTC, from: None, until: None, except: Arc::default() };
    match anywhere.next_after(now) {
        Some(_) => Ok(pattern),
        None => Err(format!("{} never comes: no month has such a day", quote(text))),
    }
}

/// The names of all zones that are taken, sorted.
pub(super) fn zone_names(zone_data: &TimeZoneDatabase) -> Vec<String> {
    let all = zone_data.available().map(|name| name.to_string());
    let mut names: Vec<String> = all.filter(|name| find_zone(zone_data, name).is_some()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The zone of that name, as a schedule file takes it.
///
/// Error: there is none; the message says which one may be meant.
pub fn zone_named(zone_data: &TimeZoneDatabase, name: &str) -> Result<TimeZone, String> {
    find_zone(zone_data, name).ok_or_else(|| format!("unknown time zone {}: {}", quote(name), zone_hint(zone_data, name)))
}

fn find_zone(zone_data: &TimeZoneDatabase, name: &str) -> Option<TimeZone> {
    let zone = zone_data.get(name).ok()?;
    // The folder of the system's zone data also holds files that are no zones of IANA, of which two depend on the host.
    let foreign =
        name.starts_with("posix/") || name.starts_with("right/") || matches!(name, "localtime" | "posixrules" | "Factory");
    // The database answers to any case; one spelling keeps files alike and searchable.
    (!foreign && !zone.is_unknown() && (zone.iana_name() == Some(name) || name == "UTC")).then_some(zone)
}

/// Cities that people write, and the city that gave their zone its name.
const CITIES: [(&str, &str); 8] = [
    ("beijing", "Asia/Shanghai"),
    ("shenzhen", "Asia/Shanghai"),
    ("guangzhou", "Asia/Shanghai"),
    ("mumbai", "Asia/Kolkata"),
    ("delhi", "Asia/Kolkata"),
    ("bangalore", "Asia/Kolkata"),
    ("hanoi", "Asia/Ho_Chi_Minh"),
    ("san_francisco", "America/Los_Angeles"),
];

/// How a zone is written.
const ZONE_SYNTAX: &str = "write an IANA name such as `Asia/Shanghai`";

fn zone_hint(zone_data: &TimeZoneDatabase, name: &str) -> String {
    if name.contains(['+', ':']) || name.bytes().any(|byte| byte.is_ascii_digit()) {
        return format!("{ZONE_SYNTAX}: a bare offset does not know when clocks change");
    }
    let city = name.rsplit('/').next().unwrap_or(name).to_lowercase().replace(' ', "_");
    if let Some((_, zone)) = CITIES.iter().find(|(known, _)| *known == city) {
        return format!("the zone of that place is `{zone}`");
    }
    let names: Vec<String> = zone_data.available().map(|name| name.to_string()).collect();
    let names = || names.iter().map(String::as_str);
    let by_city = || names().find(|zone| zone.rsplit_once('/').is_some_and(|(_, last)| last.eq_ignore_ascii_case(&city)));
    let cities = || names().filter_map(|zone| zone.rsplit_once('/').map(|(_, last)| last));
    let by_close_city = || {
        let close = nearest(&city, cities())?;
        names().find(|zone| zone.rsplit_once('/').is_some_and(|(_, last)| last == close))
    };
    match nearest(name, names()).filter(|_| name.contains('/')).or_else(by_city).or_else(by_close_city) {
        Some(zone) => format!("did you mean `{zone}`?"),
        None => ZONE_SYNTAX.to_owned(),
    }
}
