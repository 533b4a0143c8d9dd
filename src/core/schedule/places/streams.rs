//! Stream URLs from YAML nodes: the schemes there are, and how to have what is written with another. Does not know what an address leads to.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use crate::diagnostic::needs_escape;
use crate::schedule::problem::{Problem, quote};
use crate::schedule::stream_template::StreamTemplate;
use crate::schedule::value_kind::text_like;
use crate::schedule::values::scalar;
use crate::yaml::Node;

/// Longest stream URL. The API's limit is not documented; this is what common servers take for a request line.
const URL_BYTES_MAX: usize = 8_192;

/// The schemes of stream URLs, in any case.
const SCHEMES_KNOWN: [&str; 4] = ["http", "https", "rtmp", "rtmps"];

/// What JSON Schema says of a stream: a scheme, a host, no white space. Whether it is a URL altogether is left to the reader.
pub(in crate::schedule) fn stream_schema() -> Value {
    let any_case =
        |scheme: &str| scheme.chars().flat_map(|letter| ['[', letter.to_ascii_uppercase(), letter, ']']).collect::<String>();
    let rest = StreamTemplate::schema_pattern();
    let pattern = format!("^({})://(?=[^/]){rest}$", SCHEMES_KNOWN.map(any_case).join("|"));
    let form = "write an `http`, `https`, `rtmp` or `rtmps` URL with a host and without spaces";
    let mut schema = text_like(&pattern, form, &["https://cdn.example.com/promo.mp4"]);
    schema["maxLength"] = URL_BYTES_MAX.into();
    schema
}

/// A stream URL, with what stands between its braces. Messages never repeat it: it may hold a password or a stream key.
pub(in crate::schedule) fn stream(node: &Node<'_>, intern: impl FnOnce(&str) -> Arc<str>) -> Result<StreamTemplate, Problem> {
    const SCHEMES: &str = "expected an `http`, `https`, `rtmp` or `rtmps` URL";
    let (text, _) = scalar(node, "a URL")?;
    let wrong = |message: String| Problem::of(node, "bad-stream", message);
    if text.len() > URL_BYTES_MAX {
        return Err(wrong(format!("the URL is longer than {URL_BYTES_MAX} bytes")));
    }
    if text.chars().any(|character| character.is_whitespace() || needs_escape(character)) {
        let message = "the URL holds a space or a character that is not seen".to_owned();
        let hint = if StreamTemplate::has_space_in_braces(text) {
            "write no space between braces: `{date}`, `{start:%Y-%m-%d_%H}`, `{secret:NAME}`"
        } else {
            "write a space as `%20`, and remove what is not seen"
        };
        return Err(wrong(message).hint(hint));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let hint = if text.starts_with('/') {
            OF_THIS_HOST
        } else if text.contains(":\\/") {
            "remove each `\\`: JSON writes `/` in that way"
        } else if text.contains('：') {
            "write the colon of the keyboard `:` for the wide `：`"
        } else {
            "it begins with `https://` or the like"
        };
        return Err(wrong(SCHEMES.to_owned()).hint(hint));
    };
    if !SCHEMES_KNOWN.contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(wrong(format!("{SCHEMES}, found the scheme {}", quote(scheme))).maybe_hint(hint_at_scheme(scheme)));
    }
    let template = StreamTemplate::parse(&intern(text)).map_err(|(message, hint)| wrong(message).hint(hint))?;
    match Url::parse(template.example().reveal()) {
        Ok(url) if url.has_host() && url.host_str().is_some_and(|host| !host.is_empty()) && !rest.starts_with('/') => Ok(template),
        Ok(_) => Err(wrong("the URL names no host".to_owned())),
        Err(error) => Err(wrong(format!("not a URL: {error}"))),
    }
}

const OF_THIS_HOST: &str = "the media is fetched by the vendor's cloud, which cannot read files of this host";

/// How to have what is written with another scheme.
fn hint_at_scheme(scheme: &str) -> Option<String> {
    let hint = match scheme.to_ascii_lowercase().as_str() {
        "rtsp" | "rtsps" | "srt" | "rtp" | "udp" | "webrtc" => {
            "a media server can turn it into RTMP, HLS or HTTP-FLV: write the address that it then has"
        }
        "file" => OF_THIS_HOST,
        "s3" | "gs" | "cos" | "oss" | "azblob" => "write the `https` address of the object, signed if it is not public",
        "ftp" | "ftps" | "sftp" => "put the file on a web server, and write its `https` address",
        other if other.starts_with(['“', '”', '‘', '’', '<', '(', '[', '\'', '"', '`']) => {
            "remove what stands around the address; YAML knows the quotes `\"` and `'`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
