//! Reads the body of an answer. The vendor's envelope counts at every status and Content-Type; anything else is not an answer of the
//! service. Pure; it does not know sockets and headers.

use serde_json::{Map, Value};

use super::action::{Action, Fault, Success};
use super::stream_url::mask;

/// How much is kept of a body that is not an envelope, and of an error's message. Anybody may have written it, at any length.
const QUOTE_CHARS_MAX: usize = 200;

/// Longest `Error.Code` and `RequestId` that are kept; the vendor's have at most about 50 characters.
const NAME_CHARS_MAX: usize = 128;

/// Reads an answer to `action`: the result, and the `RequestId` when there is one. `secrets` are masked in every text
/// that is kept.
pub fn read(action: Action, status: u16, body: &[u8], secrets: &[String]) -> (Result<Success, Fault>, Option<String>) {
    let foreign = || match status {
        200 => Fault::NotAnEnvelope(quote(&String::from_utf8_lossy(body), secrets)),
        _ => Fault::Status(status),
    };
    let Some(response) = response(body) else { return (Err(foreign()), None) };
    let text = |name: &str| response.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let request_id = text("RequestId").map(|id| printable(id, NAME_CHARS_MAX));
    if let Some(error) = response.get("Error").filter(|error| !error.is_null()) {
        // An empty code names no fault: it could not be the reason of an outcome.
        let code = error.get("Code").and_then(Value::as_str).map(|code| printable(code, NAME_CHARS_MAX));
        let result = match code.filter(|code| !code.is_empty()) {
            Some(code) => {
                Fault::Rejected { code, message: quote(error.get("Message").and_then(Value::as_str).unwrap_or_default(), secrets) }
            }
            None => foreign(),
        };
        return (Err(result), request_id);
    }
    (action.success(&response).ok_or_else(foreign), request_id)
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

/// The beginning of a text, for people: secrets masked, unprintable characters as a dot.
fn quote(text: &str, secrets: &[String]) -> String {
    printable(&mask(text, secrets), QUOTE_CHARS_MAX)
}

fn printable(text: &str, chars_max: usize) -> String {
    let shown = |character: char| if character.is_control() || character == char::REPLACEMENT_CHARACTER { '.' } else { character };
    text.trim().chars().take(chars_max).map(shown).collect()
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
            assert_eq!(read(action, status, body.as_bytes(), &[]).0, expected, "{action:?} {status} {body}");
        }
    }

    #[test]
    fn the_request_id_comes_with_success_and_error_alike() {
        for body in [r#"{"Response":{"TaskId":"t","RequestId":"r"}}"#, r#"{"Response":{"Error":{"Code":"A"},"RequestId":"r"}}"#] {
            assert_eq!(read(Action::Start, 200, body.as_bytes(), &[]).1.as_deref(), Some("r"));
        }
    }

    #[test]
    fn what_is_kept_is_short_printable_and_without_secrets() {
        let secrets = ["hush-hush".to_owned(), String::new()];
        let long = format!("hush-hush {}", "x".repeat(10_000));
        let (result, _) = read(Action::Start, 200, long.as_bytes(), &secrets);
        assert_eq!(result, foreign(&format!("[...] {}", "x".repeat(194))));
        let body = r#"{"Response":{"Error":{"Code":"A","Message":"bad hush-hush"}}}"#;
        assert_eq!(read(Action::Start, 200, body.as_bytes(), &secrets).0, rejected("A", "bad [...]"));
        assert_eq!(read(Action::Start, 200, b"\xff\xfe{", &secrets).0, foreign("..{"));
    }
}
