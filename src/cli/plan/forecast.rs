//! `plan --forecast`: where the rate delays starts and stops. Does not work out the delays.

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Context, Exit, Failure};
use crate::plan::Upcoming;
use crate::plan::forecast::forecast;
use crate::report::forecast::{PeakObject, summary, table};
use crate::report::plan::next_start;
use crate::schedule::Job;

pub(super) fn run(
    context: &Context,
    jobs: &[&Arc<Job>],
    range: Range<Timestamp>,
    rate: NonZeroU32,
    zone: &TimeZone,
    is_json: bool,
) -> Result<Exit, Failure> {
    // What began before the range may have its end in it.
    let forecast = forecast(Upcoming::open_at(jobs.iter().copied(), range.start), &range, rate);
    let mut out = context.stdout();
    let print = |mut out: &mut dyn Write| -> io::Result<()> {
        if is_json {
            for peak in &forecast.peaks {
                writeln!(out, "{}", serde_json::to_string(&PeakObject::new(peak, rate))?)?;
            }
        } else if !forecast.peaks.is_empty() {
            crate::cli::table::print(&mut out, &table(&forecast.peaks, zone))?;
        }
        out.flush()
    };
    print(&mut out).map_err(Failure::Output)?;
    // If stderr is closed there is no other place to write it to.
    let next = || next_start(Upcoming::of(jobs.iter().copied(), range.end).next().as_ref(), zone);
    let next = if forecast.largest.is_none() { format!("; {}", next()) } else { String::new() };
    let _ = writeln!(io::stderr(), "{}{next}", summary(&forecast, rate, zone));
    Ok(Exit::Good)
}
