//! Peaks of starts and stops as `plan --forecast` shows them: a row of a table, the JSON object, the summary. Does not
//! know how they were found.

use std::num::NonZeroU32;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::table::{Column, Narrow, Table};
use super::time::{WallClock, instant, wall};
use crate::plan::forecast::{Forecast, PEAKS_MAX, Peak, RequestKind};

/// One peak as programs read it. The keys and their order are the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeakObject {
    /// `start` or `stop`.
    pub action: &'static str,
    /// The second, by its first instant.
    pub at: String,
    /// How many the plan wants in it.
    pub due: u64,
    /// How many may leave in any second.
    pub rate: u32,
    /// Milliseconds that the last of them waits.
    pub wait_ms: i64,
}

impl PeakObject {
    /// Of a peak.
    pub fn new(peak: &Peak, rate: NonZeroU32) -> PeakObject {
        let wait_ms = i64::try_from(peak.wait.as_millis()).unwrap_or(i64::MAX);
        PeakObject { action: peak.kind.name(), at: instant(peak.at), due: peak.due, rate: rate.get(), wait_ms }
    }
}

/// Peaks for people, the wall clock being that of `zone`.
pub fn table(peaks: &[Peak], zone: &TimeZone) -> Table {
    let clock = WallClock::new(zone, peaks.iter().map(|peak| peak.at));
    let names = [clock.heading("AT"), "REQUESTS".to_owned(), "LAST ONE WAITS".to_owned()];
    Table {
        columns: names.into_iter().map(|name| Column::new(name, 0, Narrow::Stays)).collect(),
        has_header: true,
        rows: peaks.iter().map(|peak| vec![clock.cell(peak.at), counted(peak), seconds(peak.wait)]).collect(),
    }
}

/// The summary, in a line.
pub fn summary(forecast: &Forecast, rate: NonZeroU32, zone: &TimeZone) -> String {
    let Some(largest) = &forecast.largest else { return "nothing starts or is stopped in this range".to_owned() };
    let peak = format!("the largest peak is {} at {}", counted(largest), wall(largest.at, zone));
    let allowed = format!("{rate} a second may leave");
    if forecast.over == 0 {
        return format!("{peak}, and {allowed}: nothing waits");
    }
    let late = forecast.latest_start.as_ref().map_or_else(
        || "no start waits".to_owned(),
        |latest| format!("the latest start leaves {} late, at {}", seconds(latest.wait), wall(leaves(latest), zone)),
    );
    let limited =
        if forecast.over > PEAKS_MAX as u64 { format!(", of which these are the worst {PEAKS_MAX}") } else { String::new() };
    let over = if forecast.over == 1 { "in 1 second".to_owned() } else { format!("in {} seconds", forecast.over) };
    format!("{over} more requests are planned than may leave{limited}; {peak}, and {allowed}; {late}")
}

/// In which second its last one leaves.
fn leaves(peak: &Peak) -> Timestamp {
    peak.at.saturating_add(peak.wait).unwrap_or(peak.at)
}

fn counted(peak: &Peak) -> String {
    let noun = match peak.kind {
        RequestKind::Start => "start",
        RequestKind::Stop => "stop",
    };
    format!("{} {noun}{}", peak.due, if peak.due == 1 { "" } else { "s" })
}

/// `4 s`, `0.333 s`.
fn seconds(wait: SignedDuration) -> String {
    match wait.subsec_millis() {
        0 => format!("{} s", wait.as_secs()),
        milliseconds => format!("{}.{milliseconds:03} s", wait.as_secs()),
    }
}
