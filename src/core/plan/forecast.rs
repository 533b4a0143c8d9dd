//! Where the plan asks for more in a second than may leave: the peaks of starts and stops, and how long the last of each waits.
//! Does not count what is not planned: retries, heals, hand-overs, and the time that answers take.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroU32;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::{End, Planned};

/// Most peaks that are listed.
pub const PEAKS_MAX: usize = 20;

/// The stretch of time over which the vendor counts.
const WINDOW: SignedDuration = SignedDuration::from_secs(1);

/// A kind of request to the vendor. Each has a queue and a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestKind {
    /// A start.
    Start,
    /// A stop at an end that `for` or `to` set.
    Stop,
}

impl RequestKind {
    /// As our outputs write it.
    pub fn name(self) -> &'static str {
        match self {
            RequestKind::Start => "start",
            RequestKind::Stop => "stop",
        }
    }
}

/// The requests that the plan wants in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Starts or stops.
    pub kind: RequestKind,
    /// The second.
    pub at: Timestamp,
    /// How many the plan wants in it; at least 1.
    pub due: u64,
    /// How long the rate delays the last of them; zero when it delays none.
    pub wait: SignedDuration,
}

impl Peak {
    /// The worst is the greatest: by wait, then by number, then the earlier one, then starts.
    fn severity(&self) -> (SignedDuration, u64, Reverse<(Timestamp, RequestKind)>) {
        (self.wait, self.due, Reverse((self.at, self.kind)))
    }
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The seconds in which a request must wait, the worst first, at most [`PEAKS_MAX`].
    pub peaks: Vec<Peak>,
    /// How many such seconds there are.
    pub over: u64,
    /// The second with the most starts or the most stops; `None` when there are none.
    pub largest: Option<Peak>,
    /// The second whose last start waits longest; `None` when no start waits.
    pub latest_start: Option<Peak>,
}

/// Looks through a plan, in the order of [`Upcoming::open_at`](super::Upcoming::open_at) the range's beginning. Starts
/// and ends outside `range` are ignored. `rate` requests of each kind leave in any second, first come, first served,
/// and a request that finds no slot waits behind the others. Holds the windows that are open at a time.
pub fn forecast(occurrences: impl Iterator<Item = Planned>, range: &Range<Timestamp>, rate: NonZeroU32) -> Forecast {
    let mut forecast = Forecast::default();
    let mut worst = WorstPeaks(BinaryHeap::new());
    let mut starts = QueueModel::new(RequestKind::Start, rate);
    let mut stops = QueueModel::new(RequestKind::Stop, rate);
    // Ends come in another order than starts, and none before its own start.
    let mut ends: BinaryHeap<Reverse<Timestamp>> = BinaryHeap::new();
    for occurrence in occurrences.take_while(|occurrence| occurrence.start.at < range.end) {
        let start = occurrence.start.at;
        while let Some(Reverse(end)) = ends.peek().copied().filter(|Reverse(end)| *end < start) {
            ends.pop();
            if let Some(peak) = stops.enqueue(end) {
                forecast.take(peak, &mut worst);
            }
        }
        // An end that follows from the media needs no stop.
        if let End::Planned(end) = occurrence.end
            && range.contains(&end)
        {
            ends.push(Reverse(end));
        }
        if range.contains(&start)
            && let Some(peak) = starts.enqueue(start)
        {
            forecast.take(peak, &mut worst);
        }
    }
    while let Some(Reverse(end)) = ends.pop() {
        if let Some(peak) = stops.enqueue(end) {
            forecast.take(peak, &mut worst);
        }
    }
    for peak in [starts.second, stops.second].into_iter().flatten() {
        forecast.take(peak, &mut worst);
    }
    forecast.peaks = worst.0.into_iter().map(|Reverse(BySeverity(peak))| peak).collect();
    forecast.peaks.sort_by_key(|peak| Reverse(peak.severity()));
    forecast
}

impl Forecast {
    /// A second is over.
    fn take(&mut self, peak: Peak, worst: &mut WorstPeaks) {
        let size = |peak: &Peak| (peak.due, peak.wait, Reverse((peak.at, peak.kind)));
        if self.largest.as_ref().is_none_or(|largest| size(&peak) > size(largest)) {
            self.largest = Some(peak);
        }
        if peak.wait <= SignedDuration::ZERO {
            return;
        }
        self.over += 1;
        worst.take(peak);
        let is_later = |latest: &Peak| peak.severity() > latest.severity();
        if peak.kind == RequestKind::Start && self.latest_start.as_ref().is_none_or(is_later) {
            self.latest_start = Some(peak);
        }
    }
}

/// The worst peaks so far.
struct WorstPeaks(BinaryHeap<Reverse<BySeverity>>);

impl WorstPeaks {
    fn take(&mut self, peak: Peak) {
        self.0.push(Reverse(BySeverity(peak)));
        if self.0.len() > PEAKS_MAX {
            self.0.pop();
        }
    }
}

#[derive(PartialEq, Eq)]
struct BySeverity(Peak);

impl Ord for BySeverity {
    fn cmp(&self, other: &BySeverity) -> std::cmp::Ordering {
        self.0.severity().cmp(&other.0.severity())
    }
}

impl PartialOrd for BySeverity {
    fn partial_cmp(&self, other: &BySeverity) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// One queue before the limiter.
struct QueueModel {
    kind: RequestKind,
    rate: usize,
    /// When the last requests left, at most `rate` of them.
    left: VecDeque<Timestamp>,
    /// The second that is not over.
    second: Option<Peak>,
}

impl QueueModel {
    fn new(kind: RequestKind, rate: NonZeroU32) -> QueueModel {
        QueueModel { kind, rate: usize::try_from(rate.get()).unwrap_or(usize::MAX), left: VecDeque::new(), second: None }
    }

    /// Adds a request that the plan wants at `due`, which is not before the earlier ones. Returns the second before, if
    /// that is over.
    fn enqueue(&mut self, due: Timestamp) -> Option<Peak> {
        // It may leave a second after the one that many places before it.
        let free = if self.left.len() == self.rate { self.left.pop_front() } else { None };
        let leaves = free.and_then(|left| left.checked_add(WINDOW).ok()).map_or(due, |free| free.max(due));
        self.left.push_back(leaves);
        let wait = leaves.duration_since(due);
        let second = due.as_millisecond().div_euclid(1000);
        let at = Timestamp::from_second(second).unwrap_or(due);
        match &mut self.second {
            Some(peak) if peak.at == at => {
                peak.due += 1;
                peak.wait = peak.wait.max(wait);
                None
            }
            peak => peak.replace(Peak { kind: self.kind, at, due: 1, wait }),
        }
    }
}
