//! What the plots show: how late recent starts left, how many requests a second leave beside the limit, and how many shows are on air over
//! the day. Counts what the ledger and the plan have. It does not know how it is drawn.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use serde::Serialize;

use super::{RundownInput, Shown, as_instant};
use crate::occurrence::{LATE_AFTER, Occurrence, State};
use crate::plan::End;
use crate::report::status::DaemonView;

/// Bars of the requests.
const BUCKETS: i64 = 96;

/// The three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plots {
    /// How late recent starts left.
    pub lateness: Lateness,
    /// The requests of the time that is plotted.
    pub requests: Vec<Bucket>,
    /// Requests that may leave in a second, for each action.
    pub limit: usize,
    /// The busiest second to come.
    pub peak: Option<Bucket>,
    /// How many are on air, from each instant on.
    pub on_air: Vec<AirStep>,
    /// The time that is plotted: the station's day, or what is shown where that is another.
    #[serde(serialize_with = "as_instant")]
    pub from: Timestamp,
    /// The first instant after it.
    #[serde(serialize_with = "as_instant")]
    pub to: Timestamp,
}

/// How late recent starts left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lateness {
    /// Milliseconds from each start to its first request, oldest first. What was joined in progress is not among them.
    pub milliseconds: Vec<i64>,
    /// Half of them are no later.
    pub p50: Option<i64>,
    /// Of a hundred, ninety-nine are no later.
    pub p99: Option<i64>,
}

/// The requests of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Where it begins; of the peak, its second.
    #[serde(serialize_with = "as_instant")]
    pub at: Timestamp,
    /// The most starts, or stops, of one second in it.
    pub most: usize,
    /// Whether the plan says so, and not the ledger.
    pub is_forecast: bool,
}

/// How many are on air from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AirStep {
    /// The instant.
    #[serde(serialize_with = "as_instant")]
    pub at: Timestamp,
    /// How many.
    pub count: usize,
}

impl Plots {
    pub(super) fn new(input: &RundownInput<'_>, shown: &Shown<'_>) -> Plots {
        let range = shown.plotted.clone();
        let limit = match &input.status.daemon {
            DaemonView::Running { state, .. } => state.written_rate,
            DaemonView::Silent { .. } => 0,
        };
        let requests = requests(input, &range, shown.now);
        let peak = requests.1.filter(|peak| peak.most > 0);
        Plots {
            lateness: lateness(input.recent),
            requests: requests.0,
            limit,
            peak,
            on_air: on_air(input, &range, shown.now),
            from: range.start,
            to: range.end,
        }
    }
}

fn lateness(recent: &[Occurrence]) -> Lateness {
    let late = |row: &Occurrence| {
        let late = row.first_sent_at?.duration_since(row.key.start);
        (late <= LATE_AFTER).then(|| i64::try_from(late.as_millis()).unwrap_or(i64::MAX))
    };
    let milliseconds: Vec<i64> = recent.iter().filter_map(late).collect();
    let mut sorted = milliseconds.clone();
    sorted.sort_unstable();
    let percentile = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Lateness { p50: percentile(50), p99: percentile(99), milliseconds }
}

/// The busiest second of each stretch, and the busiest one to come.
fn requests(input: &RundownInput<'_>, range: &Range<Timestamp>, now: Timestamp) -> (Vec<Bucket>, Option<Bucket>) {
    // By second and by whether it is a stop.
    let mut seconds: BTreeMap<(i64, bool), usize> = BTreeMap::new();
    let mut count = |at: Timestamp, is_stop: bool| {
        if range.contains(&at) {
            *seconds.entry((at.as_second(), is_stop)).or_default() += 1;
        }
    };
    for row in input.rows {
        let row = &row.occurrence;
        row.first_sent_at.into_iter().for_each(|at| count(at, false));
        if let (State::Done { .. }, Some(at), Some(_)) = (&row.state, row.ended_at, row.on_air_at) {
            count(at, true);
        }
    }
    for listed in input.planned.iter().filter(|listed| listed.held.is_none()) {
        let occurrence = &listed.occurrence;
        if occurrence.start.at >= now {
            count(occurrence.start.at, false);
        }
        if let End::Planned(at) = occurrence.end
            && at >= now
        {
            count(at, true);
        }
    }
    let length = range.end.as_second() - range.start.as_second();
    let width = (length / BUCKETS).max(1);
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut peak: Option<Bucket> = None;
    for ((second, _), most) in seconds {
        let number = (second - range.start.as_second()) / width;
        let begin = range.start.as_second() + number * width;
        let is_forecast = second >= now.as_second();
        let (Ok(at), Ok(exact)) = (Timestamp::from_second(begin), Timestamp::from_second(second)) else { continue };
        match buckets.last_mut() {
            Some(last) if last.at == at && last.is_forecast == is_forecast => last.most = last.most.max(most),
            _ => buckets.push(Bucket { at, most, is_forecast }),
        }
        if is_forecast && peak.is_none_or(|peak| most > peak.most) {
            peak = Some(Bucket { at: exact, most, is_forecast });
        }
    }
    (buckets, peak)
}

/// How many are on air over the time, by the ledger until now and by the plan from then on.
fn on_air(input: &RundownInput<'_>, range: &Range<Timestamp>, now: Timestamp) -> Vec<AirStep> {
    let mut changes: BTreeMap<Timestamp, i64> = BTreeMap::new();
    let mut add = |from: Timestamp, to: Option<Timestamp>| {
        let to = to.unwrap_or(range.end);
        let (from, to) = (from.max(range.start), to.min(range.end));
        if from < to {
            *changes.entry(from).or_default() += 1;
            *changes.entry(to).or_default() -= 1;
        }
    };
    for row in input.rows {
        let row = &row.occurrence;
        if let Some(from) = row.on_air_at {
            let open = || row.end.at().map(|end| end.max(now));
            add(from, if row.is_done() { row.ended_at } else { open() });
        }
    }
    for listed in input.planned.iter().filter(|listed| listed.held.is_none() && listed.occurrence.start.at >= now) {
        let cut = listed.cut.as_ref().map(|cut| cut.at);
        let end = listed.content_end().or(cut).or(listed.occurrence.end.at());
        // When media of unknown length is over is not known: it is not drawn as if it had no end.
        if listed.occurrence.end != End::Open || end.is_some() {
            add(listed.occurrence.start.at, end);
        }
    }
    let mut count = 0;
    let mut steps = vec![AirStep { at: range.start, count: 0 }];
    for (at, change) in changes {
        count += change;
        let count = usize::try_from(count).unwrap_or(0);
        match steps.last_mut() {
            Some(last) if last.at == at => last.count = count,
            Some(last) if last.count == count => {}
            _ => steps.push(AirStep { at, count }),
        }
    }
    steps
}
