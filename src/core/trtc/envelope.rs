//! Reads the body of an answer. The vendor's envelope counts at every status and Content-Type; anything else is not an answer of the
//! service. Pure; it does not know sockets and headers.

use serde_json::{Map, Value};

use super::action::{Action, Fault, Success};
use super::callback::TASK_ID_BYTES_MAX;
use super::error;
use super::secret_mask::SecretMask;

/// How much is kept of a body that is not an envelope, and of an error's message. Anybody may have written it, at any length.
const QUOTE_CHARS_MAX: usize = 200;

/// Longest `Error.Code` and `RequestId` that are kept; the vendor's have at most about 50 characters.
const NAME_CHARS_MAX: usize = 128;

/// Reads an answer to `action`: the result, and the `RequestId` when there is one. `mask` hides secrets in every
/// text that is kept.
pub fn read(action: Action, status: u16, body: &[u8], mask: &SecretMask) -> (Result<Success, Fault>, Option<String>) {
    let foreign = || match status {
        200 => Fault::NotAnEnvelope(mask.quote(&String::from_utf8_lossy(body), QUOTE_CHARS_MAX)),
        _ => Fault::Status(status),
    };
    let Some(response) = response(body) else { return (Err(foreign()), None) };
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
    task_id.len() <= TASK_ID_BYTES_MAX && !mask.finds(task_id)
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
