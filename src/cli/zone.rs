//! The zone of the verbs that look at a plan or back: of times without an offset in their arguments, and of the times that they
//! show. Never this host's, which nobody chose for the shows. Does not know what is shown.

use std::cell::OnceCell;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Failure;
use super::load::{self, warn};
use crate::config::Settings;
use crate::schedule::{Schedule, zone_named};
use crate::zones::Zones;

/// `--timezone`, for the verbs that take or show times.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ZoneArgs {
    /// The zone of times without an offset, here and in what is printed; JSON and CSV stay in UTC [default: that of most jobs]
    #[arg(long, value_name = "ZONE")]
    pub(super) timezone: Option<String>,
}

impl ZoneArgs {
    /// The zone that was named, or else that of most jobs.
    pub(super) fn of_schedule(&self, schedule: &Schedule, zones: &Zones) -> Result<TimeZone, Failure> {
        self.named(zones).map(|named| named.unwrap_or_else(|| schedule.zone()))
    }

    /// The same for verbs that need no schedule: the files are read for it alone, when it is asked for.
    pub(super) fn of_files<'a>(
        &self,
        settings: &'a Settings,
        zones: &'a Zones,
        now: Timestamp,
    ) -> Result<ZoneOfFiles<'a>, Failure> {
        let found = self.named(zones)?.map_or_else(OnceCell::new, OnceCell::from);
        Ok(ZoneOfFiles { settings, zones, now, found })
    }

    /// The zone that was named.
    pub(super) fn named(&self, zones: &Zones) -> Result<Option<TimeZone>, Failure> {
        let read = |name: &String| zone_named(&zones.database, name).map_err(|why| Failure::usage(format!("`--timezone`: {why}")));
        self.timezone.as_ref().map(read).transpose()
    }
}

/// The zone of a verb that needs no schedule.
pub(super) struct ZoneOfFiles<'a> {
    settings: &'a Settings,
    zones: &'a Zones,
    now: Timestamp,
    found: OnceCell<TimeZone>,
}

impl ZoneOfFiles<'_> {
    /// The zone that was named, or else that of most jobs. Where the files tell no zone it is UTC, and a warning says so, once.
    pub(super) fn get(&self) -> &TimeZone {
        self.found.get_or_init(|| self.read())
    }

    fn read(&self) -> TimeZone {
        let Settings { schedules, .. } = self.settings;
        let read = load::read_schedule(std::slice::from_ref(schedules), Some(self.settings), &self.zones.database, self.now);
        let why = match read.value {
            Some(schedule) if !schedule.is_empty() => return schedule.zone(),
            Some(_) => "has no job",
            None => "cannot be read",
        };
        warn(&format!("the schedule {why}, so times are in UTC; `--timezone ZONE` names another zone"));
        TimeZone::UTC
    }
}
