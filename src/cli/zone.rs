//! The zone of the verbs that look at a plan or back: of times without an offset in their arguments, and of the times that they
//! show. Never this host's, which nobody chose for the shows. Does not know what is shown.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Failure;
use super::load::{self, warn};
use crate::config::Settings;
use crate::report::time::wall;
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

    /// The same for verbs that need no schedule: the files are read for it alone. Where they tell no zone it is UTC, and a warning says so.
    pub(super) fn of_files(&self, settings: &Settings, zones: &Zones, now: Timestamp) -> Result<TimeZone, Failure> {
        if let Some(named) = self.named(zones)? {
            return Ok(named);
        }
        let schedule = load::read_schedule(std::slice::from_ref(&settings.schedules), Some(settings), &zones.database, now).value;
        let why = match &schedule {
            Some(schedule) if !schedule.is_empty() => return Ok(schedule.zone()),
            Some(_) => "has no job",
            None => "cannot be read",
        };
        warn(&format!(
            "the schedule {why}, so times are in UTC, where it is {}; `--timezone ZONE` names another zone",
            wall(now, &TimeZone::UTC)
        ));
        Ok(TimeZone::UTC)
    }

    /// The zone that was named.
    pub(super) fn named(&self, zones: &Zones) -> Result<Option<TimeZone>, Failure> {
        let read = |name: &String| zone_named(&zones.database, name).map_err(|why| Failure::usage(format!("`--timezone`: {why}")));
        self.timezone.as_ref().map(read).transpose()
    }
}
