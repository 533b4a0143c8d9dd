//! The URL of a stream, and which parts of it are secret: user info, query and fragment, and for rtmp(s) the last path segment,
//! which is the stream key. This file alone says so (DESIGN.md section 7). It does not know who fetches the media.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::secret_mask::SecretMask;

/// Where media is fetched from: http, https, rtmp or rtmps. Every output shows it through [`StreamUrl::redacted`]; it has no
/// `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
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

    /// Returns the URL with its secret parts only where they are to be revealed.
    pub fn shown(&self, reveal: bool) -> String {
        if reveal { self.reveal().to_owned() } else { self.redacted() }
    }

    /// Returns `text`, written by somebody who may repeat the URL, with the URL redacted and its secret parts masked.
    pub fn mask(&self, text: &str) -> String {
        SecretMask::of_url(self).mask(text).into_owned()
    }

    /// The secret parts.
    pub(super) fn secrets(&self) -> UrlSecrets {
        self.split().1
    }

    /// Returns how a URL refers to a secret of the settings, which is filled in when a request is sent and not before.
    pub fn secret_reference(name: &str) -> String {
        format!("{REFERENCE}{name}}}")
    }

    /// The names of the secrets that it refers to.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.0.split(REFERENCE).skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
    }

    /// Returns the URL with its secrets in their places, each percent-encoded as one part of a URL.
    ///
    /// Errors: the name of a secret that `secret` does not have.
    pub fn filled(&self, secret: impl Fn(&str) -> Option<SecretString>) -> Result<StreamUrl, String> {
        let mut parts = self.0.split(REFERENCE);
        let mut url = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else { break };
            let secret = secret(name).ok_or_else(|| name.to_owned())?;
            url.push_str(&as_url_part(secret.expose_secret()));
            url.push_str(rest);
        }
        Ok(StreamUrl::new(&url))
    }

    /// Whether the scheme is rtmp or rtmps.
    pub fn is_rtmp(&self) -> bool {
        is_rtmp(&self.0)
    }

    /// The text to show, and the secret parts.
    ///
    /// The parsed URL decides. The text as it is written is shown only if it parses to the same after the cut; else what the
    /// parser makes of it is shown. Of a text that is not such a URL, nothing behind the scheme is shown.
    fn split(&self) -> (String, UrlSecrets) {
        let as_written = cut(&self.0);
        let parsed = Url::parse(&self.0).map(String::from).unwrap_or_default();
        let Some(by_parser) = cut(&parsed) else { return hide_all(&self.0) };
        let is_same = |cut: &&Cut| Url::parse(&cut.shown).ok() == Url::parse(&by_parser.shown).ok();
        let shown = as_written.as_ref().filter(is_same).unwrap_or(&by_parser).shown.clone();
        let mut secrets = by_parser.secrets;
        if let Some(cut) = as_written {
            secrets.values.extend(cut.secrets.values);
            secrets.with_names.extend(cut.secrets.with_names);
        }
        (shown, secrets)
    }
}

/// How a reference to a secret begins; it ends with a brace.
const REFERENCE: &str = "{secret:";

/// A stream URL may hold a secret, so that debugging shows it as every output does.
impl fmt::Debug for StreamUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StreamUrl({})", self.redacted())
    }
}

/// The secret parts of a URL.
pub(super) struct UrlSecrets {
    /// Of which no piece may be seen: user, password, stream key, fragment, the values of the query.
    pub(super) values: Vec<String>,
    /// Which hold names too, and may not be seen as a whole: the user info, the query and its pairs.
    pub(super) with_names: Vec<String>,
}

/// A URL, cut into what is shown and what is secret.
struct Cut {
    shown: String,
    secrets: UrlSecrets,
}

/// Cuts a URL of the form `scheme://...`. What a URL parser writes has every separator in its place, so that nothing secret stays.
fn cut(url: &str) -> Option<Cut> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user_info, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (path, key) = if is_rtmp(scheme) { path.split_at(key_at(path)) } else { (path, "") };
    let pairs = query.split('&');
    // What has no name is a value.
    let values = pairs.clone().map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let values = [key.trim_end_matches('/'), fragment].into_iter().chain(user_info.split(':')).chain(values);
    let with_names = [user_info, query].into_iter().chain(pairs);
    let owned = |part: &str| part.to_owned();
    let secrets = UrlSecrets { values: values.map(owned).collect(), with_names: with_names.map(owned).collect() };
    Some(Cut { shown: format!("{scheme}://{host}{path}"), secrets })
}

/// Where the stream key begins in the path of an rtmp URL: the last segment that is not empty.
fn key_at(path: &str) -> usize {
    let last_slash = path.trim_end_matches('/').rfind('/');
    last_slash.map_or(path.len().min(1), |at| at + 1)
}

/// What is shown of a text that is not a URL of the form `scheme://...`, and what is not: all that is behind the scheme.
fn hide_all(text: &str) -> (String, UrlSecrets) {
    let is_scheme = |scheme: &str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (shown, secret) = match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    (shown, UrlSecrets { values: Vec::new(), with_names: vec![secret.to_owned()] })
}

/// What is encoded in such a part: all but the unreserved characters (RFC 3986 section 2.3).
const NOT_PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a text as one part of a path or a query: what means something else there is percent-encoded.
pub(crate) fn as_url_part(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, NOT_PLAIN).into()
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
    fn secrets_of_the_settings_are_filled_in_encoded_and_a_missing_one_is_named() {
        let url = StreamUrl::new("rtmp://h/app/{secret:cam-1}?sign={secret:sign}&n=1");
        assert_eq!(url.secret_names().collect::<Vec<_>>(), ["cam-1", "sign"]);
        let secret = |name: &str| (name == "cam-1").then(|| SecretString::from("a/b?c".to_owned()));
        assert_eq!(url.filled(secret).map(|url| url.redacted()), Err("sign".to_owned()));
        let secret = |name: &str| Some(SecretString::from(if name == "sign" { "x&y" } else { "a-b" }.to_owned()));
        assert_eq!(url.filled(secret).expect("both are there").reveal(), "rtmp://h/app/a-b?sign=x%26y&n=1");
        assert_eq!(url.redacted(), "rtmp://h/app/");
        let in_path = StreamUrl::new("https://h/{secret:folder}/a.mp4");
        assert_eq!(in_path.redacted(), "https://h/{secret:folder}/a.mp4");
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
