//! A playlist of HLS, as far as a probe needs it (RFC 8216): of a list of variants the first, of a list of segments one of them, the
//! length, and whether and how it is encrypted. It does not know who fetches them.

use std::time::Duration;

use serde::Serializer;

use crate::finding::FindingSeverity;

/// What a playlist holds. Its URLs are as written: relative to the playlist's, most of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Playlist {
    /// Variants, each with a playlist of its own.
    Variants {
        /// The URL of the first one.
        first: String,
    },
    /// Segments.
    Segments {
        /// The URL of one of them: the first, and of a live list the last, since the first may go while it is asked for.
        one: String,
        /// How long all of them are together.
        length: Duration,
        /// Whether the list is complete: then it is not live.
        ended: bool,
        /// Whether the segments are encrypted, and how.
        encryption: Option<Encryption>,
    },
}

/// How media is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encryption {
    /// By a key that whoever plays it fetches: AES-128 of HLS.
    Fetched,
    /// By a key that only licensed players have.
    Licensed,
}

impl Encryption {
    /// Of the attributes of `#EXT-X-KEY` (RFC 8216, section 4.3.2.4). Without `KEYFORMAT` the key is what its URL serves.
    fn of_key(attributes: &str) -> Option<Encryption> {
        let is_plain = !attributes.contains("KEYFORMAT=") || attributes.contains("KEYFORMAT=\"identity\"");
        match attributes {
            none if none.contains("METHOD=NONE") => None,
            plain if plain.contains("METHOD=AES-128") && is_plain => Some(Encryption::Fetched),
            _ => Some(Encryption::Licensed),
        }
    }

    /// Of the codecs of an MP4: its key is nowhere in it.
    pub(super) fn of_codecs<'a>(mut codecs: impl Iterator<Item = &'a str>) -> Option<Encryption> {
        codecs.any(|codec| matches!(codec, "encv" | "enca")).then_some(Encryption::Licensed)
    }

    /// How bad it is, what follows the name of the media, and what to do. No document of the vendor's says whether its relay fetches keys.
    pub(super) fn words(self) -> (FindingSeverity, &'static str, &'static str) {
        match self {
            Encryption::Fetched => (
                FindingSeverity::Note,
                "is encrypted (AES-128): the relay must fetch its key, and TRTC's documents do not say that it does",
                "let the URL of the key answer without a login, and try it once before the show, or serve it without encryption",
            ),
            Encryption::Licensed => {
                (FindingSeverity::Problem, "is encrypted, and the relay has no key", "serve it without encryption")
            }
        }
    }

    /// As the JSON has it: whether.
    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn as_bool<S: Serializer>(encryption: &Option<Encryption>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(encryption.is_some())
    }
}

impl Playlist {
    /// Reads a playlist. Errors: what is wrong with it.
    pub fn parse(text: &str) -> Result<Playlist, String> {
        let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty());
        if !lines.next().is_some_and(|line| line.starts_with("#EXTM3U")) {
            return Err("it does not begin with `#EXTM3U`".to_owned());
        }
        let (mut is_variant, mut encryption, mut ended) = (false, None, false);
        let mut seconds = 0.0_f64;
        let (mut first, mut last): (Option<&str>, Option<&str>) = (None, None);
        for line in lines {
            if line.starts_with("#EXT-X-STREAM-INF:") {
                is_variant = true;
            } else if let Some(key) = line.strip_prefix("#EXT-X-KEY:") {
                encryption = encryption.max(Encryption::of_key(key));
            } else if line.starts_with("#EXT-X-ENDLIST") {
                ended = true;
            } else if let Some(length) = line.strip_prefix("#EXTINF:") {
                let length = length.split(',').next().and_then(|length| length.trim().parse().ok());
                seconds += length.filter(|length: &f64| length.is_finite() && *length >= 0.0).unwrap_or_default();
            } else if !line.starts_with('#') {
                if is_variant {
                    return Ok(Playlist::Variants { first: line.to_owned() });
                }
                first = first.or(Some(line));
                last = Some(line);
            }
        }
        let one = if ended { first } else { last }.ok_or("it names no segment")?;
        let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Ok(Playlist::Segments { one: one.to_owned(), length, ended, encryption })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playlist_gives_its_first_variant_or_a_segment() {
        let variants = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/a.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh/a.m3u8\n";
        assert_eq!(Playlist::parse(variants), Ok(Playlist::Variants { first: "low/a.m3u8".to_owned() }));
        let segments = "\u{feff}#EXTM3U\r\n#EXT-X-TARGETDURATION:6\r\n#EXTINF:6.0,\r\n1.ts\r\n#EXTINF:3.5,\r\n2.ts\r\n";
        let of = |one: &str, ended, encryption| {
            let length = Duration::from_millis(9_500);
            Ok(Playlist::Segments { one: one.to_owned(), length, ended, encryption })
        };
        assert_eq!(Playlist::parse(segments), of("2.ts", false, None));
        assert_eq!(Playlist::parse(&format!("{segments}#EXT-X-ENDLIST\n")), of("1.ts", true, None));
        for (key, encryption) in [
            ("METHOD=NONE", None),
            ("METHOD=AES-128,URI=\"k\"", Some(Encryption::Fetched)),
            ("METHOD=AES-128,URI=\"k\",KEYFORMAT=\"identity\"", Some(Encryption::Fetched)),
            ("METHOD=AES-128,URI=\"k\",KEYFORMAT=\"com.apple.streamingkeydelivery\"", Some(Encryption::Licensed)),
            ("METHOD=SAMPLE-AES,URI=\"k\"", Some(Encryption::Licensed)),
        ] {
            let encrypted = segments.replace("#EXTINF:6.0,", &format!("#EXT-X-KEY:{key}\n#EXTINF:6.0,"));
            assert_eq!(Playlist::parse(&encrypted), of("2.ts", false, encryption), "{key}");
        }
    }

    #[test]
    fn what_is_not_a_playlist_is_told() {
        for (text, words) in [
            ("", "#EXTM3U"),
            ("<html>", "#EXTM3U"),
            ("#EXTM3U\n#EXTINF:1,\n", "no segment"),
            ("#EXTM3U\n#EXTINF:nan,\n", "no segment"),
        ] {
            assert!(Playlist::parse(text).is_err_and(|why| why.contains(words)), "{text}");
        }
        let hostile = "#EXTM3U\n#EXTINF:1e308,\n1.ts\n#EXTINF:1e308,\n2.ts\n#EXTINF:-5,\n3.ts\n";
        assert!(matches!(Playlist::parse(hostile), Ok(Playlist::Segments { length: Duration::ZERO, .. })));
    }
}
