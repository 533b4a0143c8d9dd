//! The vendor's callbacks 701 and 702 (TRTC.md section 7.5): whether the vendor sent one, and what it says. Pure; it does not know
//! sockets. The signature covers exactly the bytes that came, so it is verified before anything is parsed.
//!
//! A callback names only a task. The header `SdkAppId` says of which application; only that application's key can have signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::Value;
use sha2::Sha256;

use crate::words::words;

/// The group of stream ingest. (The vendor's field table says 4, and means 7: its own example does.)
const GROUP: u64 = 7;
/// A start.
const START: u64 = 701;
/// A stop.
const STOP: u64 = 702;
/// Longest `TaskId` that is kept. The vendor's have fewer than 100 bytes.
pub(super) const TASK_ID_BYTES_MAX: usize = 256;
/// The earliest and the latest `EventMsTs` that can be meant: 2020 and 2100, in milliseconds. What is beyond is another unit.
const EVENT_MS: std::ops::Range<i64> = 1_577_836_800_000..4_102_444_800_000;

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskNews {
    /// 701, status 0: it plays.
    Started,
    /// 701, status 1: its media could not be pulled.
    StartFailed,
    /// 701, status 2: it is being tried again.
    StartAgain,
    /// 702: it is over. The reason is not known.
    Stopped,
}

words!(TaskNews { Started = "started", StartFailed = "start_failed", StartAgain = "start_again", Stopped = "stopped" });

/// A callback, its signature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The application whose key signed it.
    pub sdk_app_id: u64,
    /// The task, all that a callback names.
    pub task_id: String,
    /// What happened.
    pub news: TaskNews,
    /// When, by the vendor's clock: `EventMsTs`.
    pub at: Timestamp,
}

/// Whether a text can be a `TaskId`.
pub fn is_task_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= TASK_ID_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `sign`, the header of that name, is the signature of these very bytes under this key. Takes as long for a signature that
/// is nearly right as for one that is not.
pub fn verify(key: &str, raw_body: &[u8], sign: &str) -> bool {
    let Ok(signature) = STANDARD.decode(sign) else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(raw_body);
    mac.verify_slice(&signature).is_ok()
}

impl Callback {
    /// Reads a body whose signature was verified with the key of `sdk_app_id`. `None`: it is not about a task's start or stop, which
    /// is not a fault: an application has one address for all its callbacks, and the vendor may add kinds and states.
    ///
    /// Errors: why it is not a callback, in words that repeat nothing of it.
    pub fn parse(sdk_app_id: u64, raw_body: &[u8]) -> Result<Option<Callback>, &'static str> {
        // Into values, not into a struct: what a struct skips may be nested as deep as it likes.
        let body: Value = serde_json::from_slice(raw_body).map_err(|_| "it is not JSON")?;
        if !body.is_object() {
            return Err("it is not an object");
        }
        // The group is judged before anything else: other groups have other fields, and may lack `EventType` (TRTC.md section 10).
        let group = body["EventGroupId"].as_u64().ok_or("`EventGroupId` is not a number")?;
        if group != GROUP {
            return Ok(None);
        }
        let kind = body["EventType"].as_u64().ok_or("`EventType` is not a number")?;
        if !matches!(kind, START | STOP) {
            return Ok(None);
        }
        let info = &body["EventInfo"];
        let news = match (kind, info["Status"].as_u64().ok_or("`Status` is not a number")?) {
            (START, 0) => TaskNews::Started,
            (START, 1) => TaskNews::StartFailed,
            (START, 2) => TaskNews::StartAgain,
            (STOP, 0) => TaskNews::Stopped,
            _ => return Ok(None),
        };
        let task_id = info["TaskId"].as_str().ok_or("`TaskId` is not a text")?;
        if !is_task_id(task_id) {
            return Err("`TaskId` is empty, longer than 256 bytes, or not visible ASCII");
        }
        Ok(Some(Callback { sdk_app_id, task_id: task_id.to_owned(), news, at: instant(&info["EventMsTs"])? }))
    }
}

/// `EventMsTs`: documented as a text, and a number in the example.
fn instant(value: &Value) -> Result<Timestamp, &'static str> {
    let ms = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let ms = ms.ok_or("`EventMsTs` is not a whole number")?;
    if !EVENT_MS.contains(&ms) {
        return Err("`EventMsTs` is not milliseconds of this century");
    }
    Timestamp::from_millisecond(ms).map_err(|_| "`EventMsTs` is not an instant")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's example of the documentation, with its line ends and tabs.
    const DOCUMENTED: &str = "{\n\t\"EventGroupId\":\t2,\n\t\"EventType\":\t204,\n\t\"CallbackTs\":\t1664209748188,\n\t\"EventInfo\":\t{\n\t\t\
        \"RoomId\":\t8489,\n\t\t\"EventTs\":\t1664209748,\n\t\t\"EventMsTs\":\t1664209748180,\n\t\t\"UserId\":\t\"user_85034614\",\n\t\t\
        \"Reason\":\t0\n\t}\n}";
    const DOCUMENTED_SIGN: &str = "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA=";
    const INGEST: &str = "{\"EventGroupId\":7,\"EventType\":701,\"CallbackMsTs\":1701937900012,\
        \"EventInfo\":{\"EventMsTs\":1701937900013,\"TaskId\":\"xx\",\"Status\":0}}";
    const INGEST_SIGN: &str = "Y2v6Is94qZztTzuALzMnYS2+mYbuhafkVBWxIBtyOeA=";
    const KEY: &str = "123654";

    fn read(body: &str) -> Result<Option<Callback>, &'static str> {
        Callback::parse(1_400_000_001, body.as_bytes())
    }

    #[test]
    fn the_vendors_signatures_are_verified_over_exactly_the_bytes() {
        for (body, sign) in [(DOCUMENTED, DOCUMENTED_SIGN), (INGEST, INGEST_SIGN)] {
            assert!(verify(KEY, body.as_bytes(), sign));
            let reformatted = serde_json::from_str::<Value>(body).expect("JSON").to_string().replace("204", "204 ");
            let changed = if body == INGEST { body.replace("\"Status\":0", "\"Status\":1") } else { reformatted };
            assert!(!verify(KEY, changed.as_bytes(), sign), "another body");
            assert!(!verify("123655", body.as_bytes(), sign), "another key");
            assert!(!verify("", body.as_bytes(), sign), "no key");
            for wrong in
                ["", "=", "not base64!", &sign[..43], &format!("{sign} "), &sign.replacen('k', "K", 1).replacen("Y2", "y2", 1)]
            {
                assert!(!verify(KEY, body.as_bytes(), wrong), "{wrong:?}");
            }
            // A signature that is only the beginning of the right one.
            assert!(!verify(KEY, body.as_bytes(), &STANDARD.encode(&STANDARD.decode(sign).expect("base64")[..16])));
        }
    }

    #[test]
    fn starts_and_stops_are_read_and_everything_else_is_ignored() {
        let at = Timestamp::from_millisecond(1_701_937_900_013).expect("an instant");
        let callback = |news| Callback { sdk_app_id: 1_400_000_001, task_id: "xx".to_owned(), news, at };
        assert_eq!(read(INGEST), Ok(Some(callback(TaskNews::Started))));
        let status = |status: &str| INGEST.replace("\"Status\":0", &format!("\"Status\":{status}"));
        let stop = |body: &str| body.replace("701,", "702,");
        for (body, expected) in [
            (status("1"), Some(callback(TaskNews::StartFailed))),
            (status("2"), Some(callback(TaskNews::StartAgain))),
            (status("3"), None),
            (stop(INGEST), Some(callback(TaskNews::Stopped))),
            (stop(&status("1")), None),
            (INGEST.replace("1701937900013", "\"1701937900013\""), Some(callback(TaskNews::Started))),
            (INGEST.replace(":7,", ":4,"), None),
            (INGEST.replace(":701,", ":703,"), None),
            // Another group may lack `EventType`, and have its `Status` elsewhere.
            ("{\"EventGroupId\":9,\"CallbackTs\":1,\"Payload\":{\"Status\":0}}".to_owned(), None),
            (INGEST.replace(":7,", ":4,").replace(":701,", ":\"701\",").replace("\"xx\"", "7"), None),
            (DOCUMENTED.to_owned(), None),
            (INGEST.replace("{\"EventGroupId", "{\"Later\":[{}],\"EventGroupId"), Some(callback(TaskNews::Started))),
        ] {
            assert_eq!(read(&body), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_is_not_a_callback_is_refused_without_repeating_it() {
        let deep = format!("{{\"EventGroupId\":7,\"EventType\":701,\"x\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        let unit = |ms: &str| INGEST.replace("1701937900013", ms);
        let task = |id: &str| INGEST.replace("\"xx\"", id);
        for (body, why) in [
            (String::new(), "it is not JSON"),
            ("hush".to_owned(), "it is not JSON"),
            (format!("{INGEST} {INGEST}"), "it is not JSON"),
            (INGEST[..INGEST.len() - 1].to_owned(), "it is not JSON"),
            (deep, "it is not JSON"),
            ("[]".to_owned(), "it is not an object"),
            ("\"hush\"".to_owned(), "it is not an object"),
            ("{}".to_owned(), "`EventGroupId` is not a number"),
            (INGEST.replace(":7,", ":\"7\","), "`EventGroupId` is not a number"),
            (INGEST.replace(":7,", ":-7,"), "`EventGroupId` is not a number"),
            (INGEST.replace(":701,", ":701.5,"), "`EventType` is not a number"),
            (INGEST.replace("\"Status\":0", "\"Status\":null"), "`Status` is not a number"),
            (INGEST.replace(",\"Status\":0", ""), "`Status` is not a number"),
            (INGEST.replace("\"EventInfo\":{", "\"Else\":{"), "`Status` is not a number"),
            (task("7"), "`TaskId` is not a text"),
            (task("\"\""), "`TaskId` is empty, longer than 256 bytes, or not visible ASCII"),
            (task("\"a b\""), "`TaskId` is empty, longer than 256 bytes, or not visible ASCII"),
            (task("\"a\\u0007\""), "`TaskId` is empty, longer than 256 bytes, or not visible ASCII"),
            (task(&format!("\"{}\"", "x".repeat(257))), "`TaskId` is empty, longer than 256 bytes, or not visible ASCII"),
            (unit("null"), "`EventMsTs` is not a whole number"),
            (unit("1701937900013.5"), "`EventMsTs` is not a whole number"),
            (unit("\"+1701937900013\""), "`EventMsTs` is not a whole number"),
            (unit("\"\""), "`EventMsTs` is not a whole number"),
            (unit("99999999999999999999"), "`EventMsTs` is not a whole number"),
            (unit("1701937900"), "`EventMsTs` is not milliseconds of this century"),
            (unit("-1"), "`EventMsTs` is not milliseconds of this century"),
            (unit("9223372036854775807"), "`EventMsTs` is not milliseconds of this century"),
        ] {
            assert_eq!(read(&body), Err(why), "{}", &body[..body.len().min(200)]);
        }
        assert_eq!(Callback::parse(1, b"{\"EventGroupId\":\xff}"), Err("it is not JSON"));
    }
}
