//! Starts that follow others: compared with a model that goes from every start of the root to its end, with any links,
//! and looks for no short cut.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ingestd::calendar::{Chain, Link, Start, Trigger, When};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::properties::{range, trigger};
use super::{dates, instant, when, zone};

/// What the schedules' `for`, `length` and `to` come to.
fn link() -> impl Strategy<Value = Link> {
    let zone_name = prop::sample::select(vec!["America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "Pacific/Apia"]);
    let time = (0..24_i8, prop::sample::select(vec![0_i8, 30])).prop_map(|(hour, minute)| Time::constant(hour, minute, 0, 0));
    prop_oneof![
        (1_000..200_000_000_u64).prop_map(|length| Link::Lasts(Duration::from_millis(length))),
        (1..40_u64).prop_map(|half_hours| Link::Lasts(Duration::from_secs(half_hours * 1_800))),
        (time, zone_name).prop_map(|(to, name)| Link::To(to, zone(name))),
    ]
}

fn following(root: &When, links: &[Link]) -> When {
    links.iter().fold(root.clone(), |before, link| {
        let chain = Chain::following(&before, link.clone());
        When { trigger: Trigger::After(Arc::new(chain)), zone: root.zone.clone(), from: None, until: None, except: Arc::default() }
    })
}

/// The end of a start, link by link, each with a pattern of its own zone.
fn end(start: Start, links: &[Link]) -> Timestamp {
    let mut start = start;
    for link in links {
        let at = match link {
            Link::Lasts(length) => start.at + *length,
            Link::To(to, zone) => {
                let of_zone = When {
                    trigger: Trigger::Once(Vec::new()),
                    zone: zone.clone(),
                    from: None,
                    until: None,
                    except: Arc::default(),
                };
                of_zone.end_at(&start, *to).expect("in range").0
            }
        };
        // Whoever follows has no written time but that on its clock, which is that of the next link.
        start = Start { at, written: at.to_zoned(TimeZone::UTC).datetime(), dst: None };
        if let Some(Link::To(_, zone)) = links.get(links.iter().position(|one| std::ptr::eq(one, link)).expect("its place") + 1) {
            start.written = zone.to_datetime(at);
        }
    }
    start.at
}

fn model(root: &When, links: &[Link], from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    let reach = SignedDuration::from_hours(24 * 3 * 5);
    let starts = root.between(from - reach, to);
    starts.map(|start| end(start, links)).filter(|end| (from..to).contains(end)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_follows_starts_at_each_end_and_never_else(
        (own_zone, _, from, to) in range(),
        trigger in trigger(),
        links in prop::collection::vec(link(), 1..5),
        lacks in any::<bool>(),
    ) {
        let first = own_zone.to_datetime(from).date();
        let except = if lacks { dates(&[(first, first)]) } else { dates(&[]) };
        let root = When { trigger, zone: own_zone, from: None, until: None, except };
        let to = to.min(from + SignedDuration::from_hours(24 * 4));
        let expected: Vec<_> = model(&root, &links, from, to).into_iter().take(300).collect();
        let when = following(&root, &links);
        let found: Vec<_> = when.between(from, to).map(|start| start.at).take(300).collect();
        prop_assert_eq!(&found, &expected);
        for pair in expected.windows(2).take(20) {
            prop_assert_eq!(when.latest_before(pair[1]).map(|start| start.at), Some(pair[0]));
            prop_assert_eq!(when.not_before(pair[1]).map(|start| start.at), Some(pair[1]));
            prop_assert_eq!(when.next_after(pair[0]).map(|start| start.at), Some(pair[1]));
            prop_assert_eq!(when.refusals(pair[1]), vec![]);
            prop_assert!(!when.refusals(pair[1] + SignedDuration::from_micros(500)).is_empty());
        }
    }
}

#[test]
fn a_chain_over_a_clock_change_keeps_to_elapsed_time_or_to_the_clock() {
    // Clocks go forward in New York at 07:00 UTC on the 14th.
    let root = when("America/New_York", super::trigger("at 23:00"));
    let hours = |hours: u64| Link::Lasts(Duration::from_secs(hours * 3600));
    let six = Time::constant(6, 0, 0, 0);
    let new_york = zone("America/New_York");
    let shown = |links: &[Link]| super::starts(&following(&root, links), "2027-03-13T13:00:00Z", "2027-03-15T12:00:00Z");
    assert_eq!(shown(&[hours(2), hours(2)]), "14 08:00, 15 07:00");
    assert_eq!(shown(&[hours(2), Link::To(six, new_york.clone())]), "14 10:00, 15 10:00");
    assert_eq!(shown(&[Link::To(six, new_york), hours(1)]), "14 11:00, 15 11:00");
    let last = following(&root, &[hours(2)]).latest_before(instant("2027-03-14T06:00:00Z")).expect("the day before");
    assert_eq!(last.at, instant("2027-03-13T06:00:00Z"));
}

#[test]
fn nothing_follows_what_never_starts() {
    let never = when("UTC", Trigger::Once(Vec::new()));
    for links in [vec![Link::Lasts(Duration::from_mins(1))], vec![Link::To(Time::midnight(), TimeZone::UTC)]] {
        let when = following(&never, &links);
        assert_eq!(when.not_before(Timestamp::MIN), None);
        assert_eq!(when.latest_before(Timestamp::MAX), None);
    }
}
