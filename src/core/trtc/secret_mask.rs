//! Hides secrets in texts that come from outside: an answer may repeat what was sent, in another case, percent-encoded or shortened.
//! Pure; it does not know which texts there are. What is secret of a URL, [`StreamUrl`] says.

mod recent;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::stream_url::StreamUrl;
use crate::diagnostic::needs_escape;
pub use recent::RecentSecrets;

/// So many characters in a row of a secret are masked, whatever is around them. Fewer would hide common words; and who knows seven
/// characters of a signature knows nothing.
const RUN_BYTES: usize = 8;

/// A secret that is shorter than this is not masked: it is not a secret, and the text would become unreadable.
const SECRET_BYTES_MIN: usize = 6;

/// What stands in a text where a secret was.
const MASK: &str = "[...]";

/// So many bytes of a text are looked at. Of all texts at most a few hundred characters are kept, and whoever writes a longer one must
/// not take our time.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// How often percent-encoding is undone: a proxy encodes what a client has encoded, and a third time is not seen in the field.
const DECODINGS: usize = 3;

/// So many characters in a row of an earlier secret make a handle unusable. There are many earlier secrets, and a handle that holds
/// eight characters of one by chance is a good one.
const HANDLE_RUN_BYTES: usize = 16;

/// The secrets of a request, to be hidden in the answer to it. It is a secret as a whole and has no `Debug`.
///
/// It is made before a request leaves, when each microsecond counts, and used after its answer came: what to look for is worked out when
/// the first text is looked at.
#[derive(Clone, Default)]
pub struct SecretMask {
    hidden: Vec<Hidden>,
    looked_for: OnceLock<LookedFor>,
    /// The secrets of earlier requests: an answer may be that to another request.
    earlier: Vec<Arc<SecretMask>>,
}

/// Something to hide.
#[derive(Clone)]
enum Hidden {
    /// A secret, and each part of it that has 8 characters or more.
    Secret(String),
    /// A text where all of it stands.
    Whole(String),
    /// The secret parts of a URL.
    Url(StreamUrl),
}

/// What is looked for in a text, in plain form.
#[derive(Clone, Default)]
struct LookedFor {
    /// Every [`RUN_BYTES`] in a row of a secret.
    runs: HashSet<[u8; RUN_BYTES]>,
    /// What is masked only as a whole, with what stands there instead.
    wholes: Vec<(Vec<u8>, String)>,
}

impl LookedFor {
    fn new(hidden: &[Hidden]) -> LookedFor {
        let mut looked_for = LookedFor::default();
        for hidden in hidden {
            match hidden {
                Hidden::Secret(secret) => looked_for.add(secret),
                Hidden::Whole(text) => looked_for.add_whole(text, MASK),
                Hidden::Url(url) => looked_for.add_url(url),
            }
        }
        // What is shown instead of a URL may hold a secret of its own: a folder of the path.
        let short = looked_for.wholes.iter().filter(|(_, instead)| instead == MASK).cloned().collect();
        let shown = LookedFor { runs: looked_for.runs.clone(), wholes: short };
        for (_, instead) in &mut looked_for.wholes {
            *instead = replaced(instead, shown.spans(&plain(instead))).into_owned();
        }
        looked_for
    }

    fn add(&mut self, secret: &str) {
        let plain = plain_bytes(secret);
        if plain.len() < RUN_BYTES {
            self.add_whole(secret, MASK);
        }
        self.runs.extend(runs(&plain));
    }

    fn add_whole(&mut self, text: &str, instead: &str) {
        let plain = plain_bytes(text);
        if plain.len() >= SECRET_BYTES_MIN {
            self.wholes.push((plain, instead.to_owned()));
        }
    }

    fn add_url(&mut self, url: &StreamUrl) {
        let redacted = url.redacted();
        if redacted != url.reveal() {
            self.add_whole(url.reveal(), &redacted);
        }
        let secrets = url.secrets();
        for secret in secrets.values {
            self.add(&secret);
        }
        for text in secrets.with_names {
            self.add_whole(&text, MASK);
        }
    }

    /// Where its secrets stand in a text, and what is shown there, in no order. Spans that touch or overlap by runs alone are one.
    fn spans(&self, plain: &[PlainByte]) -> Vec<(Range<usize>, &str)> {
        let bytes: Vec<u8> = plain.iter().map(|byte| byte.value).collect();
        let place = |found: Range<usize>| plain[found.start].place.start..plain[found.end - 1].place.end;
        let mut spans: Vec<(Range<usize>, &str)> = Vec::new();
        for (whole, instead) in &self.wholes {
            let windows = bytes.windows(whole.len()).enumerate().filter(|(_, window)| window == whole);
            spans.extend(windows.map(|(at, _)| (place(at..at + whole.len()), instead.as_str())));
        }
        let mut run: Option<Range<usize>> = None;
        for (at, _) in runs(&bytes).enumerate().filter(|(_, window)| self.runs.contains(window)) {
            match &mut run {
                Some(run) if at <= run.end => run.end = at + RUN_BYTES,
                _ => spans.extend(run.replace(at..at + RUN_BYTES).map(|run| (place(run), MASK))),
            }
        }
        spans.extend(run.map(|run| (place(run), MASK)));
        spans
    }
}

impl SecretMask {
    /// Returns the mask of a URL: its secret parts, and where the whole URL stands its redacted form.
    pub fn of_url(url: &StreamUrl) -> SecretMask {
        let mut mask = SecretMask::default();
        mask.add_url(url);
        mask
    }

    /// Hides a secret, and each part of it that has 8 characters or more.
    pub fn add(&mut self, secret: &str) {
        self.hide(Hidden::Secret(secret.to_owned()));
    }

    /// Hides a text where all of it stands: some of its words are no secret.
    pub fn add_whole(&mut self, text: &str) {
        self.hide(Hidden::Whole(text.to_owned()));
    }

    /// Hides the secret parts of a URL.
    pub fn add_url(&mut self, url: &StreamUrl) {
        self.hide(Hidden::Url(url.clone()));
    }

    fn looked_for(&self) -> &LookedFor {
        self.looked_for.get_or_init(|| LookedFor::new(&self.hidden))
    }

    fn hide(&mut self, hidden: Hidden) {
        self.hidden.push(hidden);
        self.looked_for = OnceLock::new();
    }

    /// The same, with the secrets of earlier requests.
    #[must_use]
    pub fn with_earlier(self, recent: &RecentSecrets) -> SecretMask {
        SecretMask { earlier: recent.all(), ..self }
    }

    /// Whether a text shows a secret; of earlier requests, a long part of one.
    pub fn finds(&self, text: &str) -> bool {
        let plain = plain(text);
        let is_long = |(span, _): &(Range<usize>, &str)| span.len() >= HANDLE_RUN_BYTES;
        let in_earlier = |mask: &Arc<SecretMask>| mask.looked_for().spans(&plain).iter().any(is_long);
        !self.looked_for().spans(&plain).is_empty() || self.earlier.iter().any(in_earlier)
    }

    /// Returns the beginning of `text` without the secrets.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        let plain = plain(text);
        let mut spans = self.looked_for().spans(&plain);
        for mask in &self.earlier {
            spans.extend(mask.looked_for().spans(&plain));
        }
        replaced(text, spans)
    }

    /// Returns the beginning of a text for people: secrets masked, at most `chars_max` characters, those that cannot be printed as a dot.
    pub fn quote(&self, text: &str, chars_max: usize) -> String {
        let shown =
            |character: char| if needs_escape(character) || character == char::REPLACEMENT_CHARACTER { '.' } else { character };
        self.mask(text).trim().chars().take(chars_max).map(shown).collect()
    }
}

/// The text with something else in these places. Of two that begin at one place the longer counts.
fn replaced<'t>(text: &'t str, mut spans: Vec<(Range<usize>, &str)>) -> Cow<'t, str> {
    spans.sort_by(|(one, _), (other, _)| one.start.cmp(&other.start).then(other.end.cmp(&one.end)));
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut masked, mut shown) = (String::with_capacity(text.len()), 0);
    for (span, instead) in spans {
        // Half a character is not left over.
        let (start, end) = (text.floor_char_boundary(span.start), text.ceil_char_boundary(span.end));
        if start >= shown {
            masked.push_str(&text[shown..start]);
            masked.push_str(instead);
        }
        shown = shown.max(end);
    }
    masked.push_str(&text[shown..]);
    Cow::Owned(masked)
}

/// A byte of a text in plain form, and where it stands in the text.
struct PlainByte {
    value: u8,
    place: Range<usize>,
}

/// The plain form of a text: percent-encoding and the escapes of JSON undone, lower case, `+` as the space that it means in a query. Two
/// texts that differ only in how they are written have the same.
fn plain(text: &str) -> Vec<PlainByte> {
    let mut bytes: Vec<PlainByte> = text.bytes().enumerate().map(|(at, value)| PlainByte { value, place: at..at + 1 }).collect();
    for _ in 0..DECODINGS {
        let before = bytes.len();
        bytes = decode(&bytes);
        if bytes.len() == before {
            break;
        }
    }
    for byte in &mut bytes {
        byte.value = if byte.value == b'+' { b' ' } else { byte.value.to_ascii_lowercase() };
    }
    bytes
}

fn plain_bytes(text: &str) -> Vec<u8> {
    plain(text).into_iter().map(|byte| byte.value).collect()
}

/// Every [`RUN_BYTES`] in a row.
fn runs(bytes: &[u8]) -> impl Iterator<Item = [u8; RUN_BYTES]> {
    bytes.windows(RUN_BYTES).filter_map(|window| window.try_into().ok())
}

/// Undoes one layer of `%XX`, `\u00XX` and `\/`.
fn decode(bytes: &[PlainByte]) -> Vec<PlainByte> {
    let value = |at: usize| bytes.get(at).map(|byte| byte.value);
    let digit = |at: usize| value(at).and_then(|value| char::from(value).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
    let pair = |at: usize| Some(digit(at)? << 4 | digit(at + 1)?);
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (found, length) = match (byte.value, value(at + 1)) {
            (b'%', _) => (pair(at + 1), 3),
            (b'\\', Some(b'/')) => (Some(b'/'), 2),
            (b'\\', Some(b'u' | b'U')) if (value(at + 2), value(at + 3)) == (Some(b'0'), Some(b'0')) => (pair(at + 4), 6),
            _ => (None, 1),
        };
        let (found, length) = found.map_or((byte.value, 1), |found| (found, length));
        decoded.push(PlainByte { value: found, place: byte.place.start..bytes[at + length - 1].place.end });
        at += length;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(secret: &str) -> SecretMask {
        let mut mask = SecretMask::default();
        mask.add(secret);
        mask
    }

    #[test]
    fn a_secret_is_masked_in_every_way_to_write_it() {
        for (secret, text, masked) in [
            ("eJxVjMEKg", "bad eJxVjMEKg, no", "bad [...], no"),
            ("eJxVjMEKg", "bad EJXVJMEKG, ejxvjmekg", "bad [...], [...]"),
            ("eJxVjMEKgkAURf", "bad eJxVjMEK...", "bad [...]..."),
            ("eJxVjMEKgkAURf", "bad eJxVjME...", "bad eJxVjME..."),
            ("eJxVjMEKgkAURf", "...kgkAURf", "...kgkAURf"),
            ("eJxVjMEKgkAURf", "...EKgkAURf", "...[...]"),
            ("a/b+c=d&e", "a%2Fb%2Bc%3Dd%26e a%2fb%2bc%3dd%26e a%252Fb%252Bc%253Dd%2526e", "[...] [...] [...]"),
            ("a/b+c=d&e", r#"{"echo": "a\/b\u002bc\u003Dd\u0026e"}"#, r#"{"echo": "[...]"}"#),
            ("a%2Fb%2Bc%3Dd%26e", "a/b+c=d&e, a/b c=d&e", "[...], [...]"),
            ("\u{8282}\u{76ee}\u{8868}", "\u{8282}\u{76ee}\u{8868}! %E8%8A%82%E7%9B%AE%E8%A1%A8", "[...]! [...]"),
            ("secret", "SECRET secre%74 secre", "[...] [...] secre"),
            ("short", "short", "short"),
            ("", "", ""),
            ("hush-hush", "100% of %4 and \\u00 and \\", "100% of %4 and \\u00 and \\"),
        ] {
            let mask = of(secret);
            assert_eq!(mask.mask(text), masked, "{secret}");
            assert_eq!(mask.finds(text), masked != text, "{secret}");
        }
    }

    #[test]
    fn what_is_only_secret_as_a_whole_leaves_its_words() {
        let mut mask = of("0123456789");
        mask.add_whole("signature=0123456789");
        assert_eq!(mask.mask("the signature is wrong: SIGNATURE=0123456789; 0123456789"), "the signature is wrong: [...]; [...]");
    }

    #[test]
    fn what_is_quoted_is_short_and_printable() {
        let mask = of("hush-hush");
        assert_eq!(mask.quote(&format!(" hush-hush\u{7}{}", "x".repeat(1 << 20)), 9), "[...].xxx");
        assert_eq!(mask.quote("a\u{202e}b\u{200b}c\u{9b}31m", 20), "a.b.c.31m");
        assert_eq!(mask.mask(&"\u{8282}".repeat(1 << 20)).len(), TEXT_BYTES_MAX / 3 * 3);
    }
}
