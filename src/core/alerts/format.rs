//! The forms of receivers: the body of a request for each, how it is signed, and what an answer means. Pure; a signature is made for
//! `now`, so each try is signed anew. Does not send anything.
//!
//! Facts, from the vendors' guides of custom robots as of 2026-11: Feishu and Lark sign with `timestamp` (seconds) and `sign` in the
//! body, where the secret is part of the *key* and the message is empty; DingTalk signs in the query, in milliseconds, where it is part
//! of the message. All three answer HTTP 200 to a message that they refuse: the verdict is in `code` or `errcode`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use super::text::BYTES_MAX;
use super::{Message, hex};
use crate::words::words;

/// How a receiver wants a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Our own object.
    #[default]
    Json,
    /// An incoming webhook of Slack.
    Slack,
    /// A custom robot of Feishu or Lark.
    Feishu,
    /// A custom robot of DingTalk.
    Dingtalk,
    /// A robot of a WeCom group.
    Wecom,
}

words!(Format { Json = "json", Slack = "slack", Feishu = "feishu", Dingtalk = "dingtalk", Wecom = "wecom" });

/// The longest text that a robot of WeCom takes.
const WECOM_BYTES_MAX: usize = 2_048;

/// The header of our own signature.
const SIGNATURE: &str = "x-ingestd-signature";

/// So many characters of an answer are repeated.
const QUOTED_MAX: usize = 200;

/// What is to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireRequest {
    /// Added to the query of the URL.
    pub query: Vec<(&'static str, String)>,
    /// Beside `content-type: application/json`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Format {
    /// Whether the receiver's key signs: a robot of WeCom and a webhook of Slack have no key beside their URL.
    pub fn signs(self) -> bool {
        matches!(self, Format::Json | Format::Feishu | Format::Dingtalk)
    }

    /// Whether its guide asks not to send on the full and the half hour, when everybody does (Feishu, error 11232).
    pub fn spreads(self) -> bool {
        self == Format::Feishu
    }

    /// The format of a well-known host.
    pub fn of_host(host: &str) -> Option<Format> {
        match host {
            "hooks.slack.com" => Some(Format::Slack),
            "open.feishu.cn" | "open.larksuite.com" => Some(Format::Feishu),
            "oapi.dingtalk.com" | "api.dingtalk.com" => Some(Format::Dingtalk),
            "qyapi.weixin.qq.com" => Some(Format::Wecom),
            _ => None,
        }
    }
}

/// Returns what to post for a message, signed for `now` if there is a key.
pub fn wire(format: Format, message: &Message, host: &str, key: Option<&str>, now: Timestamp) -> WireRequest {
    match format {
        Format::Json => json_request(message, host, key, now),
        Format::Slack => slack(message, host),
        Format::Feishu => feishu(message, host, key, now),
        Format::Dingtalk => dingtalk(message, host, key, now),
        Format::Wecom => wecom(message, host),
    }
}

fn json_request(message: &Message, host: &str, key: Option<&str>, now: Timestamp) -> WireRequest {
    let body = bytes(&message.json(host, now));
    let signature = key.map(|key| (SIGNATURE, format!("sha256={}", hex(&hmac(key.as_bytes(), &body)))));
    WireRequest { query: Vec::new(), headers: signature.into_iter().collect(), body }
}

/// Slack takes `&`, `<` and `>` for its own markup, a mention of everybody included.
fn slack(message: &Message, host: &str) -> WireRequest {
    let text = message.text(host, BYTES_MAX).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    plain(&json!({"text": text}))
}

/// Feishu takes `<at ...>` for a mention, so that sign is not sent.
fn feishu(message: &Message, host: &str, key: Option<&str>, now: Timestamp) -> WireRequest {
    let text = message.text(host, BYTES_MAX).replace('<', "(").replace('>', ")");
    let mut body = json!({"msg_type": "text", "content": {"text": text}});
    if let Some(key) = key {
        let timestamp = now.as_second().to_string();
        body["sign"] = STANDARD.encode(hmac(format!("{timestamp}\n{key}").as_bytes(), b"")).into();
        body["timestamp"] = timestamp.into();
    }
    plain(&body)
}

fn dingtalk(message: &Message, host: &str, key: Option<&str>, now: Timestamp) -> WireRequest {
    let mut request = plain(&json!({"msgtype": "text", "text": {"content": message.text(host, BYTES_MAX)}}));
    if let Some(key) = key {
        let timestamp = now.as_millisecond().to_string();
        let sign = STANDARD.encode(hmac(key.as_bytes(), format!("{timestamp}\n{key}").as_bytes()));
        request.query = vec![("timestamp", timestamp), ("sign", sign)];
    }
    request
}

fn wecom(message: &Message, host: &str) -> WireRequest {
    plain(&json!({"msgtype": "text", "text": {"content": message.text(host, WECOM_BYTES_MAX)}}))
}

fn plain(body: &Value) -> WireRequest {
    WireRequest { query: Vec::new(), headers: Vec::new(), body: bytes(body) }
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In words. It may repeat what was sent: whoever shows it masks it.
    pub why: String,
    /// Whether another message may be taken: it is not the receiver as a whole, its key or its limits, as far as the answer says.
    pub of_content: bool,
}

/// What an answer means. The verdict of robots is in the body, whatever the status is.
///
/// Errors: it was not taken, and why.
pub fn judge(format: Format, status: u16, body: &[u8]) -> Result<(), Refusal> {
    // Of the others, 401 to 410 concern the place, 429 the pace.
    let of_content = match code_of(format, body) {
        Some(code) => advice(code).is_none(),
        None => matches!(status, 400 | 403 | 406 | 411..=418 | 422 | 431 | 451),
    };
    in_words(format, status, body).map_err(|why| Refusal { why, of_content })
}

/// The code of a robot that refuses.
fn code_of(format: Format, body: &[u8]) -> Option<i64> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let code = match format {
        Format::Json | Format::Slack => return None,
        Format::Feishu => answer["code"].as_i64(),
        Format::Dingtalk | Format::Wecom => answer["errcode"].as_i64(),
    };
    code.filter(|code| *code != 0)
}

fn in_words(format: Format, status: u16, body: &[u8]) -> Result<(), String> {
    let is_good = (200..300).contains(&status);
    let text = String::from_utf8_lossy(body);
    let quoted: String = text.trim().chars().take(QUOTED_MAX).collect();
    let said = if quoted.is_empty() { String::new() } else { format!(": {quoted}") };
    match format {
        Format::Json if is_good => Ok(()),
        Format::Slack if is_good && text.trim() == "ok" => Ok(()),
        Format::Json | Format::Slack if is_good => Err(format!("expected the answer `ok`, found{said}")),
        Format::Json | Format::Slack => Err(format!("HTTP status {status}{said}")),
        Format::Feishu => verdict(status, body, "code", "msg", &said),
        Format::Dingtalk | Format::Wecom => verdict(status, body, "errcode", "errmsg", &said),
    }
}

fn verdict(status: u16, body: &[u8], code: &str, message: &str, said: &str) -> Result<(), String> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer[code].as_i64() {
        Some(0) if (200..300).contains(&status) => Ok(()),
        Some(number) => {
            let words: String = answer[message].as_str().unwrap_or_default().chars().take(QUOTED_MAX).collect();
            let advice = advice(number).map_or(String::new(), |advice| format!("; {advice}"));
            Err(format!("HTTP status {status}, `{code}` {number} ({words}){advice}"))
        }
        None => Err(format!("HTTP status {status}, and no `{code}` in the answer{said}")),
    }
}

/// What to do about the codes of the guides that concern the receiver as a whole. Any other code may concern what was sent.
fn advice(code: i64) -> Option<&'static str> {
    Some(match code {
        19_021 | 310_000 => {
            "check `key`, the robot's keyword (`ingestd` is in every message) and its list of addresses, and this host's clock"
        }
        19_024 => "the robot asks for a keyword: `ingestd` is in every message",
        19_022 => "the robot's list of addresses does not have this host",
        11_232 | 130_101 | 45_009 => "too many messages: others may use the same robot",
        300_001 | 93_000 => "the robot or its URL is not there any more",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::text::test_message;
    use super::*;

    const KEY: &str = "SECc0ffee0123456789";

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_975_200).expect("an instant")
    }

    fn request(format: Format, key: Option<&str>) -> (WireRequest, Value) {
        let request = wire(format, &test_message("a", now()), "tv<1>&", key, now());
        let body = serde_json::from_slice(&request.body).expect("JSON");
        (request, body)
    }

    // The expected signatures were made with Python's `hmac`, from the words of each guide.

    #[test]
    fn feishu_signs_in_its_body_with_the_secret_in_the_key() {
        let (request, body) = request(Format::Feishu, Some(KEY));
        assert_eq!((body["timestamp"].as_str(), body["msg_type"].as_str()), (Some("1795975200"), Some("text")));
        assert_eq!(body["sign"], "qEjEVvj+0DhF1Q0ixOk0GQEtLnLuaLp3Fh7MBXuQ+8c=");
        assert!(body["content"]["text"].as_str().expect("a text").starts_with("ingestd on tv(1)&: a test"), "{body}");
        assert_eq!((request.query.len(), request.headers.len()), (0, 0));
        assert_eq!(self::request(Format::Feishu, None).1.get("sign"), None);
    }

    #[test]
    fn dingtalk_signs_in_its_query_in_milliseconds() {
        let (request, body) = request(Format::Dingtalk, Some(KEY));
        let sign = "cnfduF1s+LWRq/BHzaOvALlKANtgVrdKAXHYPoZA4Zw=".to_owned();
        assert_eq!(request.query, [("timestamp", "1795975200000".to_owned()), ("sign", sign)]);
        assert_eq!(body["msgtype"], "text");
        assert_eq!(self::request(Format::Dingtalk, None).0.query, []);
    }

    #[test]
    fn our_own_form_signs_the_raw_body() {
        assert_eq!(
            hex(&hmac(KEY.as_bytes(), br#"{"id":"a"}"#)),
            "af0a688f83f50a676b2efae9aee38c0133e63a005ce4e7f026038eab5d844bdd"
        );
        let (request, body) = request(Format::Json, Some(KEY));
        let signature = format!("sha256={}", hex(&hmac(KEY.as_bytes(), &request.body)));
        assert_eq!(request.headers, [("x-ingestd-signature", signature)]);
        assert_eq!(body["alerts"][0]["id"], body["id"]);
        assert_eq!(self::request(Format::Json, None).0.headers, []);
    }

    #[test]
    fn slack_and_wecom_get_a_text_that_mentions_nobody_by_accident() {
        let (_, body) = request(Format::Slack, None);
        assert!(body["text"].as_str().expect("a text").starts_with("ingestd on tv&lt;1&gt;&amp;: a test"), "{body}");
        let (_, body) = request(Format::Wecom, None);
        assert_eq!(body["msgtype"], "text");
        assert!(body["text"]["content"].as_str().expect("a text").len() <= WECOM_BYTES_MAX);
    }

    #[test]
    fn the_verdict_of_an_answer_is_in_its_body() {
        use Format::{Dingtalk, Feishu, Json, Slack, Wecom};
        for (format, status, body, expected) in [
            (Json, 200, "", Ok(())),
            (Json, 204, "anything", Ok(())),
            (Json, 500, "oops", Err("HTTP status 500: oops")),
            (Json, 301, "", Err("HTTP status 301")),
            (Slack, 200, "ok", Ok(())),
            (Slack, 200, "<html>login", Err("expected the answer `ok`, found: <html>login")),
            (Slack, 429, "", Err("HTTP status 429")),
            (Feishu, 200, r#"{"StatusCode":0,"code":0,"msg":"success"}"#, Ok(())),
            (
                Feishu,
                200,
                r#"{"code":11232,"msg":"frequency limited"}"#,
                Err("HTTP status 200, `code` 11232 (frequency limited); too many messages: others may use the same robot"),
            ),
            (Feishu, 400, r#"{"code":9499,"msg":"Bad Request"}"#, Err("HTTP status 400, `code` 9499 (Bad Request)")),
            (Feishu, 500, r#"{"code":0}"#, Err("HTTP status 500, `code` 0 ()")),
            (Feishu, 200, "{}", Err("HTTP status 200, and no `code` in the answer: {}")),
            (Dingtalk, 200, r#"{"errcode":0,"errmsg":"ok"}"#, Ok(())),
            (Dingtalk, 200, r#"{"errcode":460101,"errmsg":"too long"}"#, Err("HTTP status 200, `errcode` 460101 (too long)")),
            (Wecom, 200, r#"{"errcode":0,"errmsg":"ok"}"#, Ok(())),
            (
                Wecom,
                200,
                r#"{"errcode":45009,"errmsg":"freq"}"#,
                Err("HTTP status 200, `errcode` 45009 (freq); too many messages: others may use the same robot"),
            ),
            (Wecom, 200, "", Err("HTTP status 200, and no `errcode` in the answer")),
        ] {
            assert_eq!(
                judge(format, status, body.as_bytes()).map_err(|refusal| refusal.why),
                expected.map_err(str::to_owned),
                "{format:?} {status} {body}"
            );
        }
        let sign = judge(Feishu, 200, br#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}"#);
        assert!(sign.as_ref().is_err_and(|refusal| refusal.why.contains("check `key`") && !refusal.of_content), "{sign:?}");
    }

    #[test]
    fn an_answer_says_whether_another_message_may_be_taken() {
        use Format::{Dingtalk, Feishu, Json, Slack, Wecom};
        for (format, status, body, expected) in [
            (Json, 413, "", true),
            (Json, 400, "a forbidden word", true),
            (Json, 403, "blocked by the firewall", true),
            (Json, 401, "", false),
            (Json, 404, "", false),
            (Json, 429, "", false),
            (Json, 500, "", false),
            (Slack, 400, "too_many_attachments", true),
            (Slack, 429, "rate_limited", false),
            (Feishu, 400, r#"{"code":9499,"msg":"Bad Request"}"#, true),
            (Feishu, 200, r#"{"code":19021,"msg":"sign match fail"}"#, false),
            (Feishu, 200, r#"{"code":11232,"msg":"frequency limited"}"#, false),
            (Dingtalk, 200, r#"{"errcode":460101,"errmsg":"too long"}"#, true),
            (Dingtalk, 200, r#"{"errcode":310000,"errmsg":"sign not match"}"#, false),
            (Dingtalk, 200, r#"{"errcode":130101,"errmsg":"too fast"}"#, false),
            (Wecom, 200, r#"{"errcode":45009,"errmsg":"freq"}"#, false),
            (Wecom, 413, "<html>", true),
        ] {
            let refusal = judge(format, status, body.as_bytes()).expect_err("it was not taken");
            assert_eq!(refusal.of_content, expected, "{format:?} {status} {body}: {refusal:?}");
        }
    }
}
