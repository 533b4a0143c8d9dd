//! The URL of a stream, and which parts of it are secret: user info, query and fragment, and for rtmp(s) the last path segment,
//! which is the stream key. This file alone says so (DESIGN.md section 7). It does not know who fetches the media.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::Url;

/// A part that is shorter than this is not masked in other texts: it is not a secret, and the text would become unreadable.
const SECRET_BYTES_MIN: usize = 6;

/// What stands in a text where a secret was.
const MASK: &str = "[...]";

/// Where media is fetched from: http, https, rtmp or rtmps. Every output shows it through [`StreamUrl::redacted`]; it has no
/// `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamUrl(Arc<str>);

impl StreamUrl {
    /// Wraps a URL that was checked by the reader or comes from the ledger.
    pub fn new(url: &str) -> StreamUrl {
        StreamUrl(Arc::from(url))
    }

    /// Wraps the same text without a copy.
    pub fn shared(url: &Arc<str>) -> StreamUrl {
        StreamUrl(Arc::clone(url))
    }

    /// Returns the whole URL. It may hold a password or a stream key: only signing, the ledger and `plan --reveal` read it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the URL as every output shows it: without its secret parts.
    ///
    /// ```
    /// use ingestd_core::trtc::StreamUrl;
    /// assert_eq!(StreamUrl::new("https://a:b@cdn.example.com/x.mp4?sig=1").redacted(), "https://cdn.example.com/x.mp4");
    /// assert_eq!(StreamUrl::new("rtmp://live.example.com/app/key").redacted(), "rtmp://live.example.com/app/");
    /// ```
    pub fn redacted(&self) -> String {
        self.split().0
    }

    /// Returns everything that no other text may show, the longest first: the URL itself, and each secret part that is long enough
    /// to be one, as it is written, percent-encoded and decoded.
    pub fn secrets(&self) -> Vec<String> {
        let (_, parts) = self.split();
        let decoded = parts.iter().filter_map(|part| percent_decode_str(part).decode_utf8().ok()).map(Cow::into_owned);
        let decoded: Vec<String> = decoded.collect();
        let whole = std::iter::once(self.0.to_string());
        let mut secrets: Vec<String> = whole.chain(parts).chain(decoded).collect();
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        // A part must not be masked inside a longer one, which would then not be found any more.
        secrets.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        secrets.dedup();
        secrets
    }

    /// Returns `text`, written by somebody who may repeat the URL, with the URL redacted and its secret parts masked.
    pub fn mask(&self, text: &str) -> String {
        let long_enough = self.0.len() >= SECRET_BYTES_MIN;
        let text = if long_enough { text.replace(self.reveal(), &self.redacted()) } else { text.to_owned() };
        mask(&text, &self.secrets())
    }

    /// Whether the scheme is rtmp or rtmps.
    pub fn is_rtmp(&self) -> bool {
        is_rtmp(&self.0)
    }

    /// The text to show, and the secret parts.
    ///
    /// The parsed URL decides. The text as it is written is shown only if it parses to the same after the cut; else what the
    /// parser makes of it is shown. Of a text that is not such a URL, nothing behind the scheme is shown.
    fn split(&self) -> (String, Vec<String>) {
        let as_written = cut(&self.0);
        let parsed = Url::parse(&self.0).map(String::from).unwrap_or_default();
        let Some(by_parser) = cut(&parsed) else { return hide_all(&self.0) };
        let is_same = |cut: &&Cut<'_>| Url::parse(&cut.shown).ok() == Url::parse(&by_parser.shown).ok();
        let shown = as_written.as_ref().filter(is_same).unwrap_or(&by_parser).shown.clone();
        let parts = as_written.iter().chain([&by_parser]).flat_map(|cut| &cut.secrets);
        (shown, parts.map(|part| (*part).to_owned()).collect())
    }
}

/// A stream URL may hold a secret, so that debugging shows it as every output does.
impl fmt::Debug for StreamUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StreamUrl({})", self.redacted())
    }
}

/// Returns `text` without the secrets.
pub(super) fn mask(text: &str, secrets: &[String]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
}

/// A URL, cut into what is shown and what is secret.
struct Cut<'u> {
    shown: String,
    secrets: Vec<&'u str>,
}

/// Cuts a URL of the form `scheme://...`. What a URL parser writes has every separator in its place, so that nothing secret stays.
fn cut(url: &str) -> Option<Cut<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user_info, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (path, key) = if is_rtmp(scheme) { path.split_at(key_at(path)) } else { (path, "") };
    let values = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    let secrets = [user_info, key.trim_end_matches('/'), query, fragment].into_iter();
    let secrets = secrets.chain(user_info.split(':')).chain(query.split('&')).chain(values).collect();
    Some(Cut { shown: format!("{scheme}://{host}{path}"), secrets })
}

/// Where the stream key begins in the path of an rtmp URL: the last segment that is not empty.
fn key_at(path: &str) -> usize {
    let last_slash = path.trim_end_matches('/').rfind('/');
    last_slash.map_or(path.len().min(1), |at| at + 1)
}

/// What is shown of a text that is not a URL of the form `scheme://...`, and what is not: all that is behind the scheme.
fn hide_all(text: &str) -> (String, Vec<String>) {
    let is_scheme = |scheme: &str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some((scheme, rest)) => (format!("{scheme}://"), vec![rest.to_owned()]),
        None => (String::new(), vec![text.to_owned()]),
    }
}

/// Whether a URL or a scheme is rtmp or rtmps, in any case.
fn is_rtmp(url: &str) -> bool {
    url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rtmp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_hides_user_info_query_and_stream_key() {
        for (url, shown) in [
            ("https://cdn.example.com/x.mp4", "https://cdn.example.com/x.mp4"),
            ("https://cdn.example.com", "https://cdn.example.com"),
            ("https://CDN.example.com:443/\u{8282}\u{76ee}.mp4", "https://CDN.example.com:443/\u{8282}\u{76ee}.mp4"),
            ("https://cdn.example.com/a%20b.mp4?token=hush-hush#hush", "https://cdn.example.com/a%20b.mp4"),
            ("https://cdn.example.com?token=hush-hush", "https://cdn.example.com"),
            ("https://me:hush-hush@cdn.example.com/x.mp4", "https://cdn.example.com/x.mp4"),
            ("https://me:hu%40sh:hush@cdn.example.com/x.mp4", "https://cdn.example.com/x.mp4"),
            ("https://me:hush@hush@cdn.example.com/x.mp4", "https://cdn.example.com/x.mp4"),
            ("https://me:hush?hush@cdn.example.com/x.mp4", "https://"),
            ("https://cdn.example.com\\@hush/x.mp4", "https://cdn.example.com/@hush/x.mp4"),
            ("https:\\\\me:hush-hush@cdn.example.com\\x.mp4", "https://cdn.example.com/x.mp4"),
            ("https:me:hush-hush@cdn.example.com/x.mp4", "https://cdn.example.com/x.mp4"),
            ("rtmp://live.example.com/app/hush", "rtmp://live.example.com/app/"),
            ("RTMP://LIVE.example.com/app/hush", "RTMP://LIVE.example.com/app/"),
            ("rtmp://live.example.com/app/hush/", "rtmp://live.example.com/app/"),
            ("rtmp://live.example.com/app/hush//", "rtmp://live.example.com/app/"),
            ("rtmp://live.example.com/app/hush/.", "rtmp://live.example.com/app/"),
            ("rtmp://live.example.com/app/hush%2Fhush", "rtmp://live.example.com/app/"),
            ("rtmps://me:hush@live.example.com:1935/app/hush?sign=hush", "rtmps://live.example.com:1935/app/"),
            ("RtMpS://live.example.com/app/hush", "RtMpS://live.example.com/app/"),
            ("rtmp://live.example.com/hush", "rtmp://live.example.com/"),
            ("rtmp://live.example.com/", "rtmp://live.example.com/"),
            ("rtmp://live.example.com", "rtmp://live.example.com"),
            ("https://exa mple.com/hush", "https://"),
            ("rtmp://me:hush@[::1/app/hush", "rtmp://"),
            ("me:hush@cdn.example.com/x.mp4", ""),
            ("hush", ""),
            ("", ""),
        ] {
            let url = StreamUrl::new(url);
            assert_eq!(url.redacted(), shown, "{}", url.reveal());
            assert_eq!(format!("{url:?}"), format!("StreamUrl({shown})"));
        }
    }

    #[test]
    fn a_text_that_repeats_a_url_or_a_part_of_it_is_masked() {
        for (url, text, masked) in [
            ("https://h/x.mp4?sign=0123456", "cannot pull https://h/x.mp4?sign=0123456", "cannot pull https://h/x.mp4"),
            ("https://h/x.mp4?sign=0123456&t=1", "0123456, and t=1 stays", "[...], and t=1 stays"),
            (
                "https://h/x.mp4?sign=0123456",
                "the signature is wrong: {\"sign\": \"0123456\"}",
                "the signature is wrong: {\"sign\": \"[...]\"}",
            ),
            ("https://h/x.mp4?sign=ab%2Bcdef", "sign ab+cdef, ab%2Bcdef", "sign [...], [...]"),
            ("https://h/x.mp4?sign=\u{8282}\u{76ee}", "%E8%8A%82%E7%9B%AE \u{8282}\u{76ee}", "[...] [...]"),
            ("https://me:secret@h/x.mp4", "user me, password secret, me:secret", "user me, password [...], [...]"),
            ("https://h/x.mp4#0123456", "at 0123456", "at [...]"),
            ("rtmp://h/app/stream-key", "no stream `stream-key` in app", "no stream `[...]` in app"),
            ("RTMP://h/app/stream-key", "no stream `stream-key` in app", "no stream `[...]` in app"),
            ("rtmps://h/app/stream-key/", "no stream `stream-key` in app", "no stream `[...]` in app"),
            ("rtmp://h/app/stream%2Dkey", "no stream `stream-key` in app", "no stream `[...]` in app"),
            ("not a url", "this is not a url", "this is "),
            ("", "nothing", "nothing"),
        ] {
            assert_eq!(StreamUrl::new(url).mask(text), masked, "{url}");
        }
    }
}
