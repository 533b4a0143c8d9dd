//! Who has a place at a listener when there are more connections than places. Whoever has been there longest without asking anything
//! goes first: a request comes with its connection, and an attacker's does not. Does not know what a connection is.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a connection keeps its place without asking anything: a request comes with its connection.
const SILENT_MAX: Duration = Duration::from_millis(500);

/// How long one keeps it against another of the same address that has its share, whatever it asks.
const SHARED_MAX: Duration = Duration::from_secs(2);

/// Whether a connection has asked something.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    /// It has asked.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection in its place.
struct Place<H> {
    handle: H,
    origin: Option<IpAddr>,
    since: Instant,
    asked: Asked,
}

/// The places, in the order in which they were taken. `H` names a connection.
pub(super) struct Places<H> {
    taken: Vec<Place<H>>,
    most: usize,
    /// The most that one address has.
    share: usize,
}

/// Whether a new connection gets a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<H> {
    /// One is free.
    Free,
    /// This one loses its place.
    InsteadOf(H),
    /// All are needed.
    Refused,
}

impl<H> Places<H> {
    /// So many, and so many of them at most for one address.
    pub(super) fn new(most: usize, share: Option<usize>) -> Places<H> {
        Places { taken: Vec::new(), most, share: share.unwrap_or(most) }
    }

    /// When one may be had, if nobody leaves: before that a new connection waits, and is not even looked at.
    pub(super) fn free_at(&self, now: Instant) -> Option<Instant> {
        if self.taken.len() < self.most {
            return Some(now);
        }
        self.taken.iter().find(|place| !place.asked.is_set()).map(|place| place.since + SILENT_MAX)
    }

    /// Makes room for a connection from there.
    pub(super) fn make_room(&mut self, origin: Option<IpAddr>, now: Instant) -> Entry<H> {
        let origin = origin.map(network);
        let has_lasted = |place: &Place<H>, time: Duration| now.duration_since(place.since) >= time;
        let is_silent = |place: &Place<H>| !place.asked.is_set() && has_lasted(place, SILENT_MAX);
        let is_neighbour = |place: &Place<H>| origin.is_some() && place.origin == origin;
        let has_share = self.taken.iter().filter(|place| is_neighbour(place)).count() >= self.share;
        let oldest = if has_share {
            let silent = self.taken.iter().position(|place| is_neighbour(place) && is_silent(place));
            silent.or_else(|| self.taken.iter().position(|place| is_neighbour(place) && has_lasted(place, SHARED_MAX)))
        } else if self.taken.len() < self.most {
            return Entry::Free;
        } else {
            self.taken.iter().position(is_silent)
        };
        oldest.map_or(Entry::Refused, |oldest| Entry::InsteadOf(self.taken.remove(oldest).handle))
    }

    /// It has its place from now on.
    pub(super) fn enter(&mut self, handle: H, origin: Option<IpAddr>, asked: Asked, now: Instant) {
        self.taken.push(Place { handle, origin: origin.map(network), since: now, asked });
    }

    /// It is gone.
    pub(super) fn leave(&mut self, is_it: impl Fn(&H) -> bool) {
        self.taken.retain(|place| !is_it(&place.handle));
    }
}

/// What one host can easily choose its addresses from: all of an IPv6 network of 64 bits counts as one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a connection may have no address")]
    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    fn places(most: usize, share: Option<usize>, taken: &[(u32, &str, bool)], now: Instant) -> Places<u32> {
        let mut places = Places::new(most, share);
        for (handle, origin, has_asked) in taken {
            let asked = Asked::default();
            if *has_asked {
                asked.set();
            }
            places.enter(*handle, from(origin), asked, now);
        }
        places
    }

    #[test]
    fn whoever_has_waited_longest_without_asking_loses_the_place_and_not_at_once() {
        let begin = Instant::now();
        let three = [(1, "192.0.2.1", true), (2, "192.0.2.2", false), (3, "192.0.2.3", false)];
        let mut places = places(3, None, &three, begin);
        assert_eq!(places.free_at(begin), Some(begin + SILENT_MAX));
        assert_eq!(places.make_room(from("192.0.2.1"), begin), Entry::Refused, "its request may be on the way");
        assert_eq!(places.make_room(from("192.0.2.1"), begin + SILENT_MAX), Entry::InsteadOf(2));
        assert_eq!(places.make_room(from("192.0.2.1"), begin + SILENT_MAX), Entry::Free);
    }

    #[test]
    fn whoever_is_answered_keeps_the_place() {
        let begin = Instant::now();
        let late = begin + Duration::from_mins(1);
        let mut places = places(2, None, &[(1, "192.0.2.1", true), (2, "192.0.2.2", true)], begin);
        assert_eq!(places.free_at(late), None);
        assert_eq!(places.make_room(from("192.0.2.3"), late), Entry::Refused);
        places.leave(|handle| *handle == 1);
        assert_eq!(places.free_at(late), Some(late));
        assert_eq!(places.make_room(from("192.0.2.3"), late), Entry::Free);
    }

    #[test]
    fn an_address_that_has_its_share_takes_no_place_from_others() {
        let begin = Instant::now();
        let late = begin + SILENT_MAX;
        let taken = [(1, "198.51.100.1", false), (2, "192.0.2.1", true), (3, "192.0.2.1", false), (4, "192.0.2.1", false)];
        let full = || places(9, Some(3), &taken, begin);
        assert_eq!(full().make_room(from("192.0.2.1"), begin), Entry::Refused);
        assert_eq!(full().make_room(from("::ffff:192.0.2.1"), late), Entry::InsteadOf(3));
        assert_eq!(full().make_room(from("198.51.100.1"), begin), Entry::Free);
        let asked = [(1, "198.51.100.1", false), (2, "192.0.2.1", true), (3, "192.0.2.1", true)];
        assert_eq!(places(9, Some(2), &asked, begin).make_room(from("192.0.2.1"), late), Entry::Refused);
        assert_eq!(places(9, Some(2), &asked, begin).make_room(from("192.0.2.1"), begin + SHARED_MAX), Entry::InsteadOf(2));
    }

    #[test]
    fn the_addresses_of_one_network_share() {
        let begin = Instant::now();
        let taken = [(1, "2001:db8:1:1::1", false), (2, "2001:db8:1:2::1", false)];
        let places = |share| places(9, Some(share), &taken, begin);
        assert_eq!(places(1).make_room(from("2001:db8:1:1:ffff::9"), begin + SILENT_MAX), Entry::InsteadOf(1));
        assert_eq!(places(1).make_room(from("2001:db8:1:3::1"), begin), Entry::Free);
        let mut local: Places<u32> = Places::new(9, Some(1));
        local.enter(1, None, Asked::default(), begin);
        assert_eq!(local.make_room(None, begin), Entry::Free, "who has no address has no share");
    }
}
