//! Which addresses a probe may connect to: those of the public internet, and what `media_hosts` of the settings names. It does not
//! resolve names. Why: a URL of a schedule must not reach what only this host can reach, and the vendor's relay could not fetch it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One entry of `media_hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaHost {
    /// A name, in small letters: whatever it resolves to is allowed.
    Name(String),
    /// An address, or all that begin with the same bits.
    Network {
        /// The first address.
        base: IpAddr,
        /// How many bits count.
        bits: u8,
    },
}

/// `media_hosts` of the settings: what probes may reach although it is not public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaHosts(Vec<MediaHost>);

impl MediaHost {
    /// Reads an entry: `media.example.lan`, `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`. `None`: it is something else.
    pub fn parse(text: &str) -> Option<MediaHost> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
        if let Ok(base) = address.parse::<IpAddr>() {
            let all = if base.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(all);
            return match (plain(base), bits) {
                // Addresses are compared as what they are in truth.
                (four @ IpAddr::V4(_), 96..=128) if base.is_ipv6() => Some(MediaHost::Network { base: four, bits: bits - 96 }),
                _ => (bits <= all).then_some(MediaHost::Network { base, bits }),
            };
        }
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_name = bits.is_none() && (1..=253).contains(&text.len()) && text.bytes().all(is_of_name);
        // What looks like an address, and is not one, would never be a host.
        let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        (is_name && has_letter).then(|| MediaHost::Name(text.trim_end_matches('.').to_ascii_lowercase()))
    }

    fn names(&self, host: &str, address: IpAddr) -> bool {
        match self {
            MediaHost::Name(name) => host.trim_end_matches('.').eq_ignore_ascii_case(name),
            MediaHost::Network { base, bits } => match (base, plain(address)) {
                (IpAddr::V4(base), IpAddr::V4(address)) => {
                    same_bits(u128::from(base.to_bits()) << 96, u128::from(address.to_bits()) << 96, *bits)
                }
                (IpAddr::V6(base), IpAddr::V6(address)) => same_bits(base.to_bits(), address.to_bits(), *bits),
                _ => false,
            },
        }
    }
}

impl fmt::Display for MediaHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MediaHost::Name(name) => formatter.write_str(name),
            MediaHost::Network { base, bits } => write!(formatter, "{base}/{bits}"),
        }
    }
}

impl MediaHosts {
    /// Of these entries.
    pub fn new(hosts: Vec<MediaHost>) -> MediaHosts {
        MediaHosts(hosts)
    }

    /// Whether an entry names this host, by its name or by its address.
    pub fn names(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if let Ok(address) = address {
            return self.0.iter().any(|entry| entry.names(host, address));
        }
        // A name has no address yet.
        let host = host.trim_end_matches('.');
        self.0.iter().any(|entry| matches!(entry, MediaHost::Name(name) if host.eq_ignore_ascii_case(name)))
    }

    /// Judges an address to which `host` resolves. Errors: why no probe connects to it.
    pub fn judge(&self, host: &str, address: IpAddr) -> Result<(), String> {
        let Some(kind) = not_public(address) else { return Ok(()) };
        if self.0.iter().any(|entry| entry.names(host, address)) {
            return Ok(());
        }
        let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        let it = if is_address { format!("`{address}` is") } else { format!("`{host}` resolves to `{address}`,") };
        Err(format!("{it} {kind}"))
    }
}

fn same_bits(one: u128, other: u128, bits: u8) -> bool {
    bits == 0 || (one ^ other) >> (128 - u32::from(bits)) == 0
}

/// An IPv4 address in the clothes of IPv6 is that IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Says what an address is that is not one of the public internet (the registries of RFC 6890); `None`: it is public.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match plain(address) {
        IpAddr::V4(four) => not_public_four(four),
        IpAddr::V6(six) => not_public_six(six),
    }
}

fn not_public_four(address: Ipv4Addr) -> Option<&'static str> {
    let [first, second, third, _] = address.octets();
    match (first, second, third) {
        (127, ..) => Some("a loopback address"),
        (0, ..) => Some("an address of this host"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Some("a private address"),
        (100, 64..=127, _) => Some("an address shared by a provider's customers"),
        (169, 254, _) => Some("a link-local address"),
        (224..=239, ..) => Some("a multicast address"),
        // 192.88.99.0/24 was of the relays of 6to4 (RFC 7526).
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) | (240..=255, ..) => {
            Some("a reserved address")
        }
        _ => None,
    }
}

fn not_public_six(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        not_public_four(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an address of this host"),
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // What translates to IPv4 reaches that address: RFC 6052, and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // The public internet is 2000::/3; of it Teredo, documentation and the like are left out.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a reserved address"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("an address that is not of the public internet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn hosts(entries: &[&str]) -> MediaHosts {
        MediaHosts::new(entries.iter().map(|entry| MediaHost::parse(entry).expect(entry)).collect())
    }

    #[test]
    fn only_public_addresses_are_reached() {
        let nowhere = MediaHosts::default();
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "64:ff9b::101:101",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(nowhere.judge("h", ip(public)), Ok(()), "{public}");
        }
        for (address, kind) in [
            ("127.0.0.1", "loopback"),
            ("127.9.9.9", "loopback"),
            ("0.0.0.0", "this host"),
            ("10.1.2.3", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("100.64.0.1", "shared"),
            ("169.254.169.254", "link-local"),
            ("192.0.2.1", "reserved"),
            ("192.88.99.1", "reserved"),
            ("198.18.0.1", "reserved"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::1", "loopback"),
            ("::", "this host"),
            ("fd00::1", "private"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::127.0.0.1", "not of the public"),
            ("64:ff9b::7f00:1", "loopback"),
            ("64:ff9b::a9fe:a9fe", "link-local"),
            ("2002:7f00:1::", "loopback"),
            ("2001::1", "reserved"),
            ("2001:db8::1", "reserved"),
            ("100::1", "not of the public"),
        ] {
            let why = nowhere.judge("cdn.example.com", ip(address)).expect_err(address);
            assert!(why.contains(kind) && why.starts_with("`cdn.example.com` resolves to `"), "{address}: {why}");
        }
        assert_eq!(nowhere.judge("127.0.0.1", ip("127.0.0.1")), Err("`127.0.0.1` is a loopback address".to_owned()));
    }

    #[test]
    fn media_hosts_name_what_may_be_reached_all_the_same() {
        for (entries, host, address, is_allowed) in [
            (&["media.lan"][..], "media.lan", "10.1.2.3", true),
            (&["Media.LAN"], "media.lan.", "10.1.2.3", true),
            (&["media.lan"], "other.lan", "10.1.2.3", false),
            (&["10.1.2.3"], "other.lan", "10.1.2.3", true),
            (&["10.1.2.3"], "other.lan", "10.1.2.4", false),
            (&["10.0.0.0/8"], "other.lan", "10.200.0.1", true),
            (&["10.0.0.0/8"], "other.lan", "11.0.0.1", true),
            (&["10.0.0.0/8"], "other.lan", "192.168.0.1", false),
            (&["10.0.0.0/8"], "other.lan", "::ffff:10.0.0.1", true),
            (&["::ffff:10.1.2.3"], "other.lan", "10.1.2.3", true),
            (&["::ffff:10.0.0.0/104"], "other.lan", "10.200.0.1", true),
            (&["::ffff:10.0.0.0/104"], "other.lan", "192.168.0.1", false),
            (&["fd00::/8"], "other.lan", "fd12::1", true),
            (&["fd00::/8"], "other.lan", "fe80::1", false),
            (&["127.0.0.1"], "localhost", "127.0.0.1", true),
            (&["localhost"], "127.0.0.1", "127.0.0.1", false),
            (&["0.0.0.0/0"], "x", "127.0.0.1", true),
        ] {
            assert_eq!(hosts(entries).judge(host, ip(address)).is_ok(), is_allowed, "{entries:?} {host} {address}");
        }
        assert!(hosts(&["127.0.0.1"]).names("127.0.0.1") && hosts(&["::1"]).names("[::1]") && hosts(&["a.lan"]).names("A.lan"));
        assert!(!hosts(&["127.0.0.1"]).names("cdn.example.com"));
        assert!(hosts(&["media.lan"]).names("media.lan."), "the dot at the end says that the name is whole");
    }

    #[test]
    fn an_entry_is_a_name_an_address_or_a_network() {
        for (text, shown) in [
            ("media.lan", Some("media.lan")),
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("::1", Some("::1/128")),
            ("[::1]", Some("::1/128")),
            ("10.0.0.0/33", None),
            ("10.0.0.0.0", None),
            ("media.lan/8", None),
            ("http://media.lan", None),
            ("media.lan:80", None),
            ("", None),
        ] {
            assert_eq!(MediaHost::parse(text).map(|host| host.to_string()).as_deref(), shown, "{text}");
        }
    }
}
