//! What is known of the endpoint: its clock, whether it works, and whether it takes our secrets. Does not send anything.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::airings::Airings;
use super::secrets::Secrets;
use super::server_clock::ServerClock;
use super::step::Step;
use crate::occurrence::{Event, Key, Occurrence, State, WaitReason, is_paced};

/// How long no start must have been accepted before one that is means that the endpoint works again. Where every second start fails,
/// each keeps its own backoff.
const OUTAGE_MIN: SignedDuration = SignedDuration::from_secs(5);

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    pub(super) clock: ServerClock,
    pub(super) secrets: Secrets,
    /// What fails, for all regions or for one.
    outages: BTreeMap<Area, Outage>,
}

/// Where starts fail together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Area {
    /// No answer of the service came: the way to it is the same for all regions.
    All,
    /// The service itself failed in a region.
    Region(String),
}

#[derive(Clone, Copy, Debug, Default)]
struct Outage {
    /// When a start failed first since one was accepted.
    since: Option<Timestamp>,
    /// When it was over last: what had left before failed in it.
    over_at: Option<Timestamp>,
}

impl Endpoint {
    /// Takes in what became of a start that left at `sent_at`: a failure of the endpoint, or a start that was served. After an outage,
    /// whatever waits because of it is tried at once; the limiter spreads that.
    pub(super) fn start_answered(&mut self, airings: &mut Airings, step: &mut Step, key: &Key, sent_at: Timestamp) {
        let Some(occurrence) = airings.get(key).map(|airing| &airing.occurrence) else { return };
        if let Some(area) = area(occurrence) {
            let outage = self.outages.entry(area).or_default();
            if outage.over_at.is_some_and(|over_at| sent_at <= over_at) {
                airings.transition(step, key, Event::EndpointBack);
            } else {
                outage.since.get_or_insert(step.now);
            }
        } else if occurrence.state == State::OnAir {
            self.served(airings, step, &occurrence.playout.destination.region.clone());
        }
    }

    fn served(&mut self, airings: &mut Airings, step: &mut Step, region: &str) {
        let now = step.now;
        let mut over = Vec::new();
        for area in [Area::All, Area::Region(region.to_owned())] {
            let Some(outage) = self.outages.get_mut(&area) else { continue };
            if outage.since.take().is_some_and(|since| now.duration_since(since) >= OUTAGE_MIN) {
                outage.over_at = Some(now);
                over.push(area);
            }
        }
        if over.is_empty() {
            return;
        }
        let waits = |occurrence: &Occurrence| {
            area(occurrence).is_some_and(|area| over.contains(&area))
                && !occurrence.has_no_tries_left()
                && !is_paced(occurrence, now)
        };
        let waiting = airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| waits(occurrence));
        let keys: Vec<_> = waiting.map(|occurrence| occurrence.key.clone()).collect();
        for key in keys {
            airings.transition(step, &key, Event::EndpointBack);
        }
        airings.tasks.hurry_stops(now);
    }

    /// The clock was set: what was seen before was measured by another.
    pub(super) fn clock_moved(&mut self) {
        self.clock.clock_moved();
        self.outages.clear();
    }
}

/// Where the endpoint must work again for what waits to succeed; `None`: it waits for something else.
fn area(occurrence: &Occurrence) -> Option<Area> {
    if matches!(occurrence.state, State::Waiting { why: WaitReason::Yield, .. }) || !occurrence.awaits_endpoint() {
        return None;
    }
    let has_code = occurrence.fault.as_ref().is_some_and(|fault| fault.code.is_some());
    Some(if has_code { Area::Region(occurrence.playout.destination.region.clone()) } else { Area::All })
}
