//! Reads the body of an answer. The vendor's envelope counts at every status and Content-Type; anything else is not an answer of the
//! service. What something on the way broke is still looked through for a `TaskId`. Pure; it does not know sockets and headers.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use serde_json::{Map, Value};

use super::action::{Action, Fault, Success};
use super::callback::is_task_id;
use super::error;
use super::secret_mask::SecretMask;

/// How much is kept of a body that is not an envelope, and of an error's message. Anybody may have written it, at any length.
const QUOTE_CHARS_MAX: usize = 200;

/// Longest `Error.Code` and `RequestId` that are kept; the vendor's have at most about 50 characters.
const NAME_CHARS_MAX: usize = 128;

/// How much of a packed body is unpacked: far more than an answer of the vendor has.
const UNPACKED_BYTES_MAX: u64 = 64 << 10;

/// Reads an answer to `action`: the result, and the `RequestId` when there is one. `mask` hides secrets in every
/// text that is kept.
pub fn read(action: Action, status: u16, body: &[u8], mask: &SecretMask) -> (Result<Success, Fault>, Option<String>) {
    let foreign = || match status {
        200 => Fault::NotAnEnvelope(mask.quote(&String::from_utf8_lossy(body), QUOTE_CHARS_MAX)),
        _ => Fault::Status(status),
    };
    // A start proves something only as the service wrote it. What a stop or a describe says may be read behind what was added on the way.
    let body = if action == Action::Start { Cow::Borrowed(body) } else { cleaned(body) };
    let Some(response) = response(&body) else { return (Err(foreign()), None) };
    let text = |name: &str| response.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let request_id = text("RequestId").map(|id| mask.quote(id, NAME_CHARS_MAX));
    if let Some(error) = response.get("Error").filter(|error| !error.is_null()) {
        // An empty code names no fault: it could not be the reason of an outcome.
        let code = error.get("Code").and_then(Value::as_str).map(|code| masked_code(code, mask));
        let result = match code.filter(|code| !code.is_empty()) {
            Some(code) => {
                let message = error.get("Message").and_then(Value::as_str).unwrap_or_default();
                Fault::Rejected { code, message: mask.quote(message, QUOTE_CHARS_MAX) }
            }
            None => foreign(),
        };
        return (Err(result), request_id);
    }
    let success = action.success(&response).filter(|success| match success {
        Success::Started { task_id } => is_usable(task_id, mask),
        Success::Stopped | Success::Described(_) => true,
    });
    (success.ok_or_else(foreign), request_id)
}

/// Returns the `TaskId` that the body of an answer to a start names, if it names one; the answer may be an error, or broken or cut in any
/// way. It proves nothing.
pub fn candidate(body: &[u8], mask: &SecretMask) -> Option<String> {
    const NAME: &str = "\"TaskId\"";
    let body = cleaned(body);
    let text = String::from_utf8_lossy(&body);
    let value = |at: usize| {
        let value = text[at + NAME.len()..].trim_start().strip_prefix(':')?.trim_start();
        // A text that does not end is cut, and not an id.
        serde_json::Deserializer::from_str(value).into_iter::<Value>().next()?.ok()?.as_str().map(str::to_owned)
    };
    let mut ids: Vec<String> = text.match_indices(NAME).filter_map(|(at, _)| value(at)).filter(|id| is_usable(id, mask)).collect();
    ids.dedup();
    // Of two it is not known which.
    if ids.len() == 1 { ids.pop() } else { None }
}

/// A body without what something on the way did to it: packed it, or put a mark before it or zeros behind it.
fn cleaned(body: &[u8]) -> Cow<'_, [u8]> {
    let mut unpacked = Vec::new();
    // What comes before the fault in a body that is cut is enough to look through.
    let _ = match body {
        [0x1f, 0x8b, ..] => MultiGzDecoder::new(body).take(UNPACKED_BYTES_MAX).read_to_end(&mut unpacked),
        [0x78, second, ..] if (0x7800 + u16::from(*second)).is_multiple_of(31) => {
            ZlibDecoder::new(body).take(UNPACKED_BYTES_MAX).read_to_end(&mut unpacked)
        }
        _ => Ok(0),
    };
    let trimmed = |bytes: &[u8]| {
        let from = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let to = bytes.iter().rposition(|byte| *byte != 0).map_or(from, |last| last + 1);
        from..to.max(from)
    };
    if unpacked.is_empty() { Cow::Borrowed(&body[trimmed(body)]) } else { Cow::Owned(unpacked[trimmed(&unpacked)].to_vec()) }
}

/// The inside of `{"Response": {...}}`. The older `{"code": ..}` of the same vendor is not an envelope of this API.
fn response(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body).ok()? {
        Value::Object(mut outer) => match outer.remove("Response")? {
            Value::Object(response) => Some(response),
            _ => None,
        },
        _ => None,
    }
}

/// An `Error.Code` to be kept. What the table of codes knows stays as it is, so that a stream key that happens to be a common word
/// does not change what a fault means.
fn masked_code(code: &str, mask: &SecretMask) -> String {
    match code.split_once('.') {
        _ if error::is_known(code) => code.to_owned(),
        Some((family, suffix)) if error::is_known(family) => format!("{family}.{}", mask.quote(suffix, NAME_CHARS_MAX)),
        _ => mask.quote(code, NAME_CHARS_MAX),
    }
}

/// Whether a `TaskId` can be kept and shown. One that repeats a secret would show it for as long as the ledger is kept, and the service
/// did not make it.
fn is_usable(task_id: &str, mask: &SecretMask) -> bool {
    is_task_id(task_id) && !mask.finds(task_id)
}

#[cfg(test)]
mod tests {
    use super::super::action::TaskStatus;
    use super::*;

    fn rejected(code: &str, message: &str) -> Result<Success, Fault> {
        Err(Fault::Rejected { code: code.to_owned(), message: message.to_owned() })
    }

    fn foreign(text: &str) -> Result<Success, Fault> {
        Err(Fault::NotAnEnvelope(text.to_owned()))
    }

    #[test]
    #[rustfmt::skip]
    fn an_envelope_is_read_at_every_status_and_nothing_else_is_one() {
        let started = |id: &str| Ok(Success::Started { task_id: id.to_owned() });
        for (action, status, body, expected) in [
            (Action::Start, 200, r#"{"Response":{"TaskId":"-gC+W.","RequestId":"r"}}"#, started("-gC+W.")),
            (Action::Start, 200, r#"{"Response":{"TaskId":"t"}}"#, started("t")),
            (Action::Start, 201, r#"{"Response":{"TaskId":"t","Error":null}}"#, started("t")),
            (Action::Stop, 200, r#"{"Response":{"RequestId":"r"}}"#, Ok(Success::Stopped)),
            (Action::Describe, 200, r#"{"Response":{"Status":"InProgress","RequestId":"r"}}"#, Ok(Success::Described(TaskStatus::InProgress))),
            (Action::Describe, 200, r#"{"Response":{"Status":"NotExist","RequestId":"r"}}"#, Ok(Success::Described(TaskStatus::NotExist))),
            // An error counts more than everything else in the envelope, at any status.
            (Action::Start, 200, r#"{"Response":{"Error":{"Code":"A.B","Message":"why"},"RequestId":"r"}}"#, rejected("A.B", "why")),
            (Action::Start, 200, r#"{"Response":{"TaskId":"t","Error":{"Code":"A.B"}}}"#, rejected("A.B", "")),
            (Action::Stop, 503, r#"{"Response":{"Error":{"Code":"A.B","Message":"why"}}}"#, rejected("A.B", "why")),
            // What the action promises is not there.
            (Action::Start, 200, r#"{"Response":{"RequestId":"r"}}"#, foreign(r#"{"Response":{"RequestId":"r"}}"#)),
            (Action::Start, 200, r#"{"Response":{"TaskId":""}}"#, foreign(r#"{"Response":{"TaskId":""}}"#)),
            (Action::Start, 200, r#"{"Response":{"TaskId":7}}"#, foreign(r#"{"Response":{"TaskId":7}}"#)),
            (Action::Stop, 200, r#"{"Response":{}}"#, foreign(r#"{"Response":{}}"#)),
            (Action::Describe, 200, r#"{"Response":{"Status":"Odd"}}"#, foreign(r#"{"Response":{"Status":"Odd"}}"#)),
            (Action::Start, 200, r#"{"Response":{"Error":"no"}}"#, foreign(r#"{"Response":{"Error":"no"}}"#)),
            (Action::Start, 200, r#"{"Response":{"Error":{"Code":" "}}}"#, foreign(r#"{"Response":{"Error":{"Code":" "}}}"#)),
            // Something else altogether.
            (Action::Start, 200, r#"{"code":4000,"message":"m","codeDesc":"d"}"#, foreign(r#"{"code":4000,"message":"m","codeDesc":"d"}"#)),
            (Action::Start, 200, "", foreign("")),
            (Action::Start, 200, "null", foreign("null")),
            (Action::Start, 200, "[1]", foreign("[1]")),
            (Action::Start, 200, "<html>\n", foreign("<html>")),
            (Action::Start, 200, "<a>\x07<b>", foreign("<a>.<b>")),
            (Action::Start, 502, "<html>", Err(Fault::Status(502))),
            (Action::Start, 204, "", Err(Fault::Status(204))),
            (Action::Start, 429, r#"{"code":1}"#, Err(Fault::Status(429))),
        ] {
            assert_eq!(read(action, status, body.as_bytes(), &SecretMask::default()).0, expected, "{action:?} {status} {body}");
        }
    }

    #[test]
    fn the_request_id_comes_with_success_and_error_alike() {
        for body in [r#"{"Response":{"TaskId":"t","RequestId":"r"}}"#, r#"{"Response":{"Error":{"Code":"A"},"RequestId":"r"}}"#] {
            assert_eq!(read(Action::Start, 200, body.as_bytes(), &SecretMask::default()).1.as_deref(), Some("r"));
        }
    }

    #[test]
    fn what_is_kept_is_short_printable_and_without_secrets() {
        let mut mask = SecretMask::default();
        mask.add("hush-hush");
        let long = format!("hush-hush {}", "x".repeat(10_000));
        let (result, _) = read(Action::Start, 200, long.as_bytes(), &mask);
        assert_eq!(result, foreign(&format!("[...] {}", "x".repeat(194))));
        let body = r#"{"Response":{"Error":{"Code":"A","Message":"bad hush-hush"}}}"#;
        assert_eq!(read(Action::Start, 200, body.as_bytes(), &mask).0, rejected("A", "bad [...]"));
        assert_eq!(read(Action::Start, 200, b"\xff\xfe{", &mask).0, foreign("..{"));
        let code = format!("{}hush-hush", "X".repeat(1 << 20));
        let body = format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"{code}"}},"RequestId":"{code}"}}}}"#);
        let (result, request_id) = read(Action::Start, 200, body.as_bytes(), &mask);
        assert_eq!(result, rejected(&"X".repeat(128), &"X".repeat(200)));
        assert_eq!(request_id, Some("X".repeat(128)));
    }

    #[test]
    fn a_task_id_that_is_too_long_or_holds_a_secret_is_not_a_handle() {
        let mut mask = SecretMask::default();
        mask.add("hush-hush");
        let result = |id: &str| read(Action::Start, 200, format!(r#"{{"Response":{{"TaskId":"{id}"}}}}"#).as_bytes(), &mask).0;
        let longest = "x".repeat(256);
        assert_eq!(result(&longest), Ok(Success::Started { task_id: longest.clone() }));
        for unusable in [format!("{longest}x"), "x".repeat(900 << 10), "-g+HUSH%2DHUSH..".to_owned()] {
            let result = result(&unusable);
            assert!(matches!(&result, Err(Fault::NotAnEnvelope(text)) if text.len() <= 200 && !mask.finds(text)), "{result:?}");
        }
    }

    fn packed(body: &str, is_gzip: bool) -> Vec<u8> {
        let mut packed = Vec::new();
        let level = flate2::Compression::default();
        if is_gzip {
            flate2::read::GzEncoder::new(body.as_bytes(), level).read_to_end(&mut packed).expect("memory");
        } else {
            flate2::read::ZlibEncoder::new(body.as_bytes(), level).read_to_end(&mut packed).expect("memory");
        }
        packed
    }

    #[test]
    fn a_task_id_in_a_broken_answer_is_a_candidate_and_never_a_success() {
        let good = r#"{"Response":{"TaskId":"-gC+W.","RequestId":"r"}}"#;
        let (gzip, zlib) = (packed(good, true), packed(good, false));
        for body in [
            br#"{"Response":{"TaskId":"-gC+W.","Error":{"Code":"A.B"}}}"#.to_vec(),
            format!("\u{feff}{good}").into_bytes(),
            format!("{good}\0").into_bytes(),
            good.as_bytes()[..good.len() - 4].to_vec(),
            good.as_bytes()[..good.find(',').expect("a comma")].to_vec(),
            gzip.clone(),
            gzip[..gzip.len() - 6].to_vec(),
            zlib,
            format!("<html>{good}</html>").into_bytes(),
            br#"{ "TaskId" : "-gC+W." }"#.to_vec(),
        ] {
            let shown = String::from_utf8_lossy(&body).into_owned();
            assert!(read(Action::Start, 200, &body, &SecretMask::default()).0.is_err(), "{shown}");
            assert_eq!(candidate(&body, &SecretMask::default()).as_deref(), Some("-gC+W."), "{shown}");
        }
    }

    #[test]
    fn what_is_cut_in_an_id_or_names_two_or_no_usable_one_is_no_candidate() {
        let mut mask = SecretMask::default();
        mask.add("hush-hush");
        for body in [
            r#"{"Response":{"TaskId":"-gC+"#,
            r#"{"Response":{"TaskId":"#,
            r#"{"Response":{"TaskId":7}}"#,
            r#"{"Response":{"TaskId":""}}"#,
            r#"{"Response":{"TaskId":"a b"}}"#,
            r#"{"Response":{"TaskId":"hush-hush"}}"#,
            r#"{"TaskId":"a"} {"TaskId":"b"}"#,
            r#"{"Response":{"RequestId":"r"}}"#,
            "",
        ] {
            assert_eq!(candidate(body.as_bytes(), &mask), None, "{body}");
        }
    }

    #[test]
    fn a_stop_and_a_describe_are_read_behind_what_was_added_on_the_way() {
        let body = r#"{"Response":{"Status":"NotExist","RequestId":"r"}}"#;
        for body in
            [format!("\u{feff}{body}").into_bytes(), format!("{body}\0\0").into_bytes(), packed(body, true), packed(body, false)]
        {
            let described = Ok(Success::Described(TaskStatus::NotExist));
            assert_eq!(read(Action::Describe, 200, &body, &SecretMask::default()).0, described);
            assert_eq!(read(Action::Stop, 200, &body, &SecretMask::default()).0, Ok(Success::Stopped));
        }
        // A small body that unpacks to very much is not unpacked.
        let bomb = packed(&" ".repeat(50 << 20), true);
        assert!(cleaned(&bomb).len() <= 64 << 10);
    }

    #[test]
    fn a_stream_key_that_is_a_common_word_does_not_change_what_a_code_means() {
        let mut mask = SecretMask::default();
        for word in ["internal", "parameter", "hush-hush"] {
            mask.add(word);
        }
        for (code, kept) in [
            ("InternalError", "InternalError"),
            ("InvalidParameter.UserSig", "InvalidParameter.UserSig"),
            ("InvalidParameter.StreamUrl", "InvalidParameter.StreamUrl"),
            ("InvalidParameter.HUSH-HUSH", "InvalidParameter.[...]"),
            ("hush-hush.InternalError", "[...].[...]Error"),
        ] {
            let body = format!(r#"{{"Response":{{"Error":{{"Code":"{code}"}}}}}}"#);
            assert_eq!(read(Action::Start, 200, body.as_bytes(), &mask).0, rejected(kept, ""));
        }
    }
}
