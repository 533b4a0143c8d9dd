//! Whether a request is meant for this listener: that of a page whose foreign name was made to resolve to this host (DNS rebinding)
//! is not. Does not know what is asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hyper::header::HOST;
use hyper::{Request, Version};

/// Whether every name that the request gives its server is one of this listener's. The port is free: a tunnel or a container may have
/// changed it. `hosts` are always ours, and so is `localhost`. At a loopback address also the bound address, `127.0.0.1` and `[::1]`
/// are; at another one every address is, because what it is called from elsewhere is not known here. A foreign page cannot make a
/// browser send one of these: it sends the page's own name.
pub(super) fn is_ours<B>(request: &Request<B>, bound: IpAddr, hosts: &[Arc<str>]) -> bool {
    let mut named = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    let written = request.uri().authority().is_none_or(|authority| names_us(authority.as_str(), bound, hosts));
    written && host.to_str().is_ok_and(|host| names_us(host, bound, hosts))
}

/// Whether the request does not say at all whom it is for, as HTTP/1.0 allows.
pub(super) fn names_nobody<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_10 && !request.headers().contains_key(HOST) && request.uri().authority().is_none()
}

fn names_us(authority: &str, bound: IpAddr, hosts: &[Arc<str>]) -> bool {
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = bracketed.unwrap_or_else(|| authority.split_at(authority.find(':').unwrap_or(authority.len())));
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let is_named = |name: &str| host.eq_ignore_ascii_case(name);
    if bracketed.is_none() && (is_named("localhost") || hosts.iter().any(|name| is_named(name))) {
        return is_port;
    }
    let address =
        if bracketed.is_some() { host.parse::<Ipv6Addr>().map(IpAddr::V6) } else { host.parse::<Ipv4Addr>().map(IpAddr::V4) };
    let ours = [bound, IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    is_port && address.is_ok_and(|address| !bound.is_loopback() || ours.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_listener_are_ours() {
        let bound = "127.0.0.2".parse().unwrap();
        for (host, ours) in [
            ("localhost", true),
            ("LocalHost:8620", true),
            ("127.0.0.1", true),
            ("127.0.0.1:9000", true),
            ("127.0.0.2:8620", true),
            ("[::1]", true),
            ("[::1]:8620", true),
            ("127.0.0.3", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("localhost.", false),
            ("evil.example:8620", false),
            ("127.0.0.1.evil.example", false),
            ("127.1", false),
            ("0x7f000001", false),
            ("::1", false),
            ("[::1]evil", false),
            ("[::1%lo]", false),
            ("[::ffff:127.0.0.1]", false),
            ("localhost:evil", false),
            ("localhost:1:2", false),
            ("user@localhost", false),
            ("localhost:99999", false),
            ("", false),
        ] {
            let request = Request::get("/").header(HOST, host).body(()).unwrap();
            assert_eq!(is_ours(&request, bound, &[]), ours, "{host}");
        }
    }

    #[test]
    fn a_request_without_a_host_or_with_two_or_with_another_in_its_line_is_not_ours() {
        let bound = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let none = Request::get("/").body(()).unwrap();
        let two = Request::get("/").header(HOST, "localhost").header(HOST, "localhost").body(()).unwrap();
        let other = Request::get("http://evil.example/").header(HOST, "localhost").body(()).unwrap();
        let absolute = Request::get("http://localhost/").header(HOST, "localhost").body(()).unwrap();
        assert!(
            !is_ours(&none, bound, &[])
                && !is_ours(&two, bound, &[])
                && !is_ours(&other, bound, &[])
                && is_ours(&absolute, bound, &[])
        );
    }

    #[test]
    fn an_address_that_others_reach_has_every_address_and_the_names_of_the_settings() {
        let hosts = [Arc::from("ingestd.example.com")];
        let named = |host: &str, bound: &str, hosts: &[Arc<str>]| {
            let request = Request::get("/").header(HOST, host).body(()).unwrap();
            is_ours(&request, bound.parse().unwrap(), hosts)
        };
        for host in ["192.0.2.10", "10.0.0.5:8620", "[2001:db8::5]:8620", "localhost"] {
            assert!(named(host, "0.0.0.0", &hosts), "{host}");
        }
        for bound in ["127.0.0.1", "0.0.0.0", "::"] {
            for host in ["ingestd.example.com", "Ingestd.Example.com:443"] {
                assert!(named(host, bound, &hosts), "{host} at {bound}");
                assert!(!named(host, bound, &[]), "{host} at {bound}");
            }
            for host in ["evil.example", "ingestd.example.com.evil.example", "[ingestd.example.com]", "1.2.3.4.evil.example", ""] {
                assert!(!named(host, bound, &hosts), "{host} at {bound}");
            }
        }
        assert!(!named("192.0.2.10", "127.0.0.1", &hosts), "nobody reaches this host by that name");
    }
}
