//! What is odd about the address of a stream: what nobody fills in, hosts that the vendor's cloud cannot reach, containers that it does
//! not read, signatures that end too early. Messages never repeat the address. Does not fetch anything.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use url::{Host, Url};

use crate::diagnostic::Span;
use crate::schedule::job::Job;
use crate::schedule::problem::Problem;
use crate::schedule::stream_template::StreamTemplate;

/// Endings that say a form of media, or no media, that the relay does not read. It reads FLV, MP3, MP4, MPEG-TS, MOV, MKV, M4A and HLS
/// (TRTC.md section 7.1).
const UNREAD: [&str; 26] = [
    "avi", "wmv", "webm", "ogg", "ogv", "oga", "opus", "wav", "flac", "aac", "mpg", "mpeg", "rm", "rmvb", "3gp", "mpd", "m3u",
    "pls", "html", "htm", "php", "jpg", "jpeg", "png", "gif", "pdf",
];

/// All of it, of the stream and of its fallback. `spans`: where each stands.
pub(super) fn problems(job: &Job, spans: [Span; 2], now: Timestamp) -> Vec<Problem> {
    let [stream, fallback] = spans;
    let of_field = |field, url, span| of_url(job, url, span, now).into_iter().map(move |problem: Problem| problem.in_field(field));
    let mut problems: Vec<Problem> = of_field("stream", &job.stream, stream).collect();
    if let Some(url) = &job.fallback {
        problems.extend(of_field("fallback", url, fallback));
        problems.extend((*url == job.stream).then(|| same(fallback)));
    }
    problems
}

/// A fallback that is the stream.
fn same(span: Span) -> Problem {
    let message = "`fallback`: it is the stream itself, and cannot be had when that cannot";
    Problem::at(span, "same-fallback", message).hint("write another URL, best on another server; or leave it out")
}

fn of_url(job: &Job, template: &StreamTemplate, span: Span, now: Timestamp) -> Vec<Problem> {
    let written = template.written();
    let text = written.reveal();
    let mut problems = Vec::new();
    problems.extend(unfilled(text, span));
    problems.extend(copied(text, span));
    // The address as an occurrence has it: without braces.
    let example = template.example();
    let Ok(url) = Url::parse(example.reveal()) else { return problems };
    problems.extend(unreachable(&url, span));
    if written.is_rtmp() {
        problems.extend(no_stream_name(&url, span));
    } else {
        problems.extend(unread(text, span).or_else(|| page(&url, span)));
    }
    problems.extend(expiring(job, &url, span, now));
    problems
}

/// What looks like a place that somebody forgot to fill in.
fn unfilled(text: &str, span: Span) -> Option<Problem> {
    let outside = without_braces(text);
    let path = outside.split_once("://").map_or(outside.as_str(), |(_, rest)| rest);
    let is_hex = |at: usize| path.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let bad_percent = path.match_indices('%').find(|(at, _)| !(is_hex(at + 1) && is_hex(at + 2)));
    let (what, hint) = match bad_percent {
        Some((at, _)) if path[at + 1..].starts_with(|letter: char| letter.is_ascii_alphabetic()) => (
            "a `%` that no two hexadecimal digits follow",
            "for a part of the date write `{start:%Y-%m-%d}`; a `%` of its own is written `%25`",
        ),
        Some(_) => ("a `%` that no two hexadecimal digits follow", "a `%` of its own is written `%25`"),
        None if path.contains(['<', '>']) => ("`<` or `>`, as a place to be filled in", "put the real name there"),
        None if path.contains('*') => ("a `*`, and the vendor fetches one address", "name one file"),
        None if has_shell_variable(path) => (
            "a `$` before a name in capitals, as a variable of a shell",
            "variables are not filled in: write the value, or `{secret:NAME}` for what is secret",
        ),
        None if path.contains("YOUR_") || path.contains("YOUR-") => {
            ("`YOUR`, as a place to be filled in", "put the real name there, or `{secret:NAME}` for what is secret")
        }
        None => return None,
    };
    Some(Problem::at(span, "unfilled", format!("the address holds {what}")).hint(hint))
}

fn has_shell_variable(path: &str) -> bool {
    path.match_indices('$').any(|(at, _)| path[at + 1..].starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_'))
}

/// What another kind of text writes for a character of an address.
fn copied(text: &str, span: Span) -> Option<Problem> {
    const FORMS: [(&str, &str, &str); 4] =
        [("&amp;", "a web page", "&"), ("&#38;", "a web page", "&"), ("\\u0026", "JSON", "&"), ("\\/", "JSON", "/")];
    let (form, writer, meant) = FORMS.into_iter().find(|(form, ..)| text.contains(form))?;
    let message = format!("the address holds `{form}`, which is how {writer} writes `{meant}`");
    Some(Problem::at(span, "copied", message).hint(format!("write `{meant}`")))
}

/// Hosts whose addresses are those of pages on which people watch.
const PAGES: [&str; 6] = ["youtube.com", "youtu.be", "bilibili.com", "twitch.tv", "vimeo.com", "drive.google.com"];

/// A page that shows the media, and not the media.
fn page(url: &Url, span: Span) -> Option<Problem> {
    let host = url.host_str()?.to_ascii_lowercase();
    let host = ["www.", "m."].iter().find_map(|prefix| host.strip_prefix(prefix)).unwrap_or(&host);
    PAGES.contains(&host).then(|| {
        let message = "the address is that of a web page that shows the media, and not of the media";
        Problem::at(span, "container", message).hint("write the address of the file, or of the live stream, itself")
    })
}

/// The text without what stands between braces, and without the braces.
fn without_braces(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.split_once('}').map_or(part, |(_, rest)| rest))
}

/// A host that only this network knows. The vendor's sister service bans accounts that name such hosts (TRTC.md section 10, number 8).
fn unreachable(url: &Url, span: Span) -> Option<Problem> {
    let is_private = match url.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost")
                || [".localhost", ".local", ".lan", ".internal", ".home.arpa"].iter().any(|end| name.to_ascii_lowercase().ends_with(end))
                || !name.contains('.')
                // Of a scheme that is not the web's, the parser leaves an address as a name.
                || name.parse::<Ipv4Addr>().is_ok_and(is_private_v4)
        }
        Host::Ipv4(address) => is_private_v4(address),
        Host::Ipv6(address) => is_private_v6(address),
    };
    is_private.then(|| {
        let message = "the host is of a private network, and the vendor's cloud fetches the media from outside";
        Problem::at(span, "private-host", message)
            .hint("name a host that the internet knows; a sister service of the vendor bans accounts that ask for private hosts")
    })
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified() || is_shared
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_private_v4(inner);
    }
    address.is_loopback() || address.is_unspecified() || address.is_unique_local() || address.is_unicast_link_local()
}

/// `rtmp://host/app/stream`: an application and a stream.
fn no_stream_name(url: &Url, span: Span) -> Option<Problem> {
    let segments = url.path().split('/').filter(|segment| !segment.is_empty()).count();
    (segments < 2).then(|| {
        let message = format!("expected an application and a stream in the path of an rtmp URL, found {segments} of the two");
        Problem::at(span, "no-stream-name", message).hint("write `rtmp://HOST/APPLICATION/STREAM`")
    })
}

fn unread(text: &str, span: Span) -> Option<Problem> {
    let ending = super::ending(text).to_ascii_lowercase();
    UNREAD.contains(&ending.as_str()).then(|| {
        let message = format!("the vendor does not read `.{ending}`");
        Problem::at(span, "container", message).hint("it reads FLV, MP3, MP4, MPEG-TS, MOV, MKV, M4A and HLS (`.m3u8`)")
    })
}

/// A signature in the query that is over before the show is.
fn expiring(job: &Job, url: &Url, span: Span, now: Timestamp) -> Option<Problem> {
    let (name, expires) = expiry(url)?;
    let zone = &job.when.zone;
    let shown = expires.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    let start = job.when.next_after(now);
    let end = start.as_ref().and_then(|start| super::window_end(job, start));
    let when = match (start, end) {
        _ if expires <= now => "has ended",
        (Some(start), _) if expires <= start.at => "ends before the next start",
        (Some(_), Some(end)) if expires < end => "ends while the next show plays",
        _ => return None,
    };
    let message = format!("the signature in the query ({name}) {when}: {shown}");
    Some(
        Problem::at(span, "expired-signature", message)
            .hint("have the address signed for longer than the show, or write one without a signature"),
    )
}

/// When an address was signed, and for how many seconds: of Amazon, of Google and of Alibaba's object storage, each in its version 4.
const SIGNED_AND_LASTS: [(&str, &str); 3] =
    [("X-Amz-Date", "X-Amz-Expires"), ("X-Goog-Date", "X-Goog-Expires"), ("x-oss-date", "x-oss-expires")];

/// When the signature in a query ends, by the parameter that says so: of the clouds and networks that sign addresses.
fn expiry(url: &Url) -> Option<(&'static str, Timestamp)> {
    let value = |name: &str| url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned());
    let instant = |seconds: i64| Timestamp::from_second(seconds).ok().filter(|at| at.as_second() > 1_000_000_000);
    let decimal = |text: &str| text.parse().ok().and_then(instant);
    let hexadecimal = |text: &str| i64::from_str_radix(text, 16).ok().and_then(instant);
    let either = |text: &str| decimal(text).or_else(|| hexadecimal(text));
    for (signed, lasts) in SIGNED_AND_LASTS {
        let Some((signed, seconds)) = value(signed).zip(value(lasts)) else { continue };
        let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", signed).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        return Some((lasts, signed.checked_add(SignedDuration::from_secs(seconds.parse().ok()?)).ok()?));
    }
    // A shared access signature of Azure.
    if let Some((_, end)) = value("sig").zip(value("se")) {
        return Some(("se", end.parse().ok()?));
    }
    // `start;end` of Tencent's object storage.
    if let Some(end) = value("q-sign-time").and_then(|text| decimal(text.split(';').nth(1)?)) {
        return Some(("q-sign-time", end));
    }
    if let Some(end) = value("Expires").and_then(|text| decimal(&text)) {
        return Some(("Expires", end));
    }
    if let Some(end) = value("txTime").and_then(|text| hexadecimal(&text)) {
        return Some(("txTime", end));
    }
    if let Some(end) = value("wsTime").and_then(|text| either(&text)) {
        return Some(("wsTime", end));
    }
    if let Some(end) = value("auth_key").and_then(|text| decimal(text.split('-').next()?)) {
        return Some(("auth_key", end));
    }
    // `t` says many things; beside `sign` it is that of Tencent's video on demand.
    value("sign")?;
    value("t").and_then(|text| hexadecimal(&text)).map(|end| ("t", end))
}
