//! What a request asks: the body against the parameters of its action, types and ranges first, then the application and the
//! tickets. Every number is one that TRTC.md sections 1 and 4 name. Does not know tasks, headers and clocks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Map, Value};

use crate::trtc::room::{is_user_id, outside_alphabet};
use crate::trtc::start_options::{BadValue, START_PARAMETERS};
use crate::trtc::{Action, Repeat, Room, StartOptions, StartParams, StreamUrl, usersig};

use super::SandboxApp;
use super::exchange::ErrorReply;

/// What an anchor needs: create, enter, send audio, send video (TRTC.md section 4.2; by reason, the vendor names no minimum).
const PRIVILEGES_NEEDED: u32 = 1 | 2 | 4 | 16;

/// A request whose parameters are good.
#[derive(Debug, PartialEq)]
pub(super) struct CheckedRequest {
    /// `SdkAppId`, of a known application.
    pub(super) sdk_app_id: u64,
    /// The rest.
    pub(super) what: CheckedAction,
}

/// What is asked of the application.
#[derive(Debug, PartialEq)]
pub(super) enum CheckedAction {
    /// A task.
    Start(Box<StartParams>),
    /// The end of a task.
    Stop(String),
    /// The status of a task.
    Describe(String),
}

/// The body as a JSON object. Also a fault plan looks into it, before anything is known to be good.
pub(super) fn object(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

/// Checks the body of `action`, the application and its tickets; with `strict_rooms` also whether the vendor's client SDKs could enter
/// a string room.
pub(super) fn check(
    action: Action,
    body: &[u8],
    (apps, strict_rooms): (&BTreeMap<u64, SandboxApp>, bool),
    now: Timestamp,
) -> Result<CheckedRequest, ErrorReply> {
    let fields =
        object(body).ok_or_else(|| ErrorReply::new("InvalidParameter.BodyParamsError", "the body is not a JSON object"))?;
    let mut fields = BodyFields(fields);
    fields.refuse_unknown(action)?;
    let sdk_app_id = fields.unsigned("SdkAppId")?.ok_or_else(|| missing("SdkAppId"))?;
    if action != Action::Start {
        let task_id = fields.text("TaskId")?.ok_or_else(|| missing("TaskId"))?;
        if task_id.is_empty() {
            return Err(ErrorReply::new("InvalidParameter.TaskId", "the parameter `TaskId` is empty"));
        }
        app(apps, sdk_app_id)?;
        let what = if action == Action::Stop { CheckedAction::Stop(task_id) } else { CheckedAction::Describe(task_id) };
        return Ok(CheckedRequest { sdk_app_id, what });
    }
    let room = fields.room()?;
    if let Room::Text(name) = &room
        && strict_rooms
    {
        enterable(name)?;
    }
    let user_id = fields.text("UserId")?.ok_or_else(|| missing("UserId"))?;
    if !is_user_id(&user_id) {
        return Err(out_of_range("UserId", "1 to 32 of `[A-Za-z0-9_-]`"));
    }
    let user_sig = fields.text("UserSig")?.ok_or_else(|| missing("UserSig"))?;
    let private_map_key = fields.text("PrivateMapKey")?;
    let params = fields.start(room, user_id)?;
    let app = app(apps, sdk_app_id)?;
    let ticket = Ticket { app, sdk_app_id, user_id: &params.user_id, now };
    ticket
        .user_sig(&user_sig)
        .map_err(|why| ErrorReply::new("InvalidParameter.UserSig", format!("the UserSig is not valid: {why}")))?;
    if app.private_map_key {
        let bad = |why: String| ErrorReply::new("InvalidParameter.UserSig", format!("the PrivateMapKey is not valid: {why}"));
        let ticket_of_room = private_map_key.ok_or_else(|| bad("this application demands one".to_owned()))?;
        ticket.private_map_key(&ticket_of_room, &params.room).map_err(bad)?;
    }
    Ok(CheckedRequest { sdk_app_id, what: CheckedAction::Start(Box::new(params)) })
}

/// Refuses a string room that viewers could not enter.
fn enterable(room: &str) -> Result<(), ErrorReply> {
    let refused = |why: String| ErrorReply::new("InvalidParameter.StrRoomId", why);
    if room.starts_with(' ') || room.ends_with(' ') {
        return Err(refused("the string room begins or ends with a space (strict rooms)".to_owned()));
    }
    outside_alphabet(room).map_or(Ok(()), |letter| {
        let shown = letter.escape_default();
        Err(refused(format!("the string room has the character `{shown}`, which the client SDKs do not take (strict rooms)")))
    })
}

fn app(apps: &BTreeMap<u64, SandboxApp>, sdk_app_id: u64) -> Result<&SandboxApp, ErrorReply> {
    apps.get(&sdk_app_id).ok_or_else(|| ErrorReply::new("InvalidParameter.SdkAppId", "the sandbox has no such application"))
}

fn missing(name: &str) -> ErrorReply {
    let message = format!("the request misses the required parameter `{name}`");
    match name {
        "RoomIdType" => ErrorReply::new("MissingParameter", message),
        name => ErrorReply::new(format!("MissingParameter.{name}"), message),
    }
}

fn out_of_range(name: &str, range: &str) -> ErrorReply {
    ErrorReply::new("InvalidParameterValue", format!("the parameter `{name}` must be {range}"))
}

/// The fields of a body.
struct BodyFields(Map<String, Value>);

impl BodyFields {
    fn refuse_unknown(&self, action: Action) -> Result<(), ErrorReply> {
        const START: [&str; 10] = [
            "SdkAppId",
            "RoomId",
            "RoomIdType",
            "UserId",
            "UserSig",
            "StreamUrl",
            "PrivateMapKey",
            "SeekSecond",
            "RepeatNum",
            "MaxDuration",
        ];
        let is_known = |name: &str| match action {
            Action::Start => START.contains(&name) || START_PARAMETERS.iter().any(|parameter| parameter.name == name),
            Action::Stop | Action::Describe => ["SdkAppId", "TaskId"].contains(&name),
        };
        for name in self.0.keys() {
            if action == Action::Start && ["SourceUrl", "VideoEncodeParams", "AudioEncodeParams"].contains(&name.as_str()) {
                let message = format!("the parameter `{name}` is deprecated, and the sandbox does not play it");
                return Err(ErrorReply::new("UnsupportedOperation", message));
            }
            if !is_known(name) {
                return Err(ErrorReply::new("UnknownParameter", format!("the parameter `{name}` is not known")));
            }
        }
        Ok(())
    }

    fn room(&mut self) -> Result<Room, ErrorReply> {
        let id = self.text("RoomId")?.ok_or_else(|| missing("RoomId"))?;
        match self.unsigned("RoomIdType")?.ok_or_else(|| missing("RoomIdType"))? {
            0 => Room::text(&id).map_err(|why| ErrorReply::new("InvalidParameter.StrRoomId", why)),
            1 => {
                let digits = id.bytes().all(|byte| byte.is_ascii_digit());
                let id = if digits { id.parse().ok() } else { None };
                Room::integer(id.unwrap_or(0)).map_err(|why| ErrorReply::new("InvalidParameter.RoomId", why))
            }
            _ => Err(out_of_range("RoomIdType", "0 (a string room) or 1 (an integer room)")),
        }
    }

    fn start(&mut self, room: Room, user_id: String) -> Result<StartParams, ErrorReply> {
        let stream_url = self.text("StreamUrl")?.unwrap_or_default();
        if !is_stream_url(&stream_url) {
            let message = "the parameter `StreamUrl` must be a URL with http, https, rtmp or rtmps and a host";
            return Err(ErrorReply::new("InvalidParameter.StreamUrl", message));
        }
        let seek_second = self.ranged("SeekSecond", 0, i64::MAX)?;
        let repeat = match self.ranged("RepeatNum", -1, 1000)? {
            None => None,
            Some(-1) => Some(Repeat::Forever),
            Some(0) => return Err(out_of_range("RepeatNum", "-1, or 1 to 1000")),
            Some(times) => Some(Repeat::Times(in_range(times))),
        };
        let max_duration = self.ranged("MaxDuration", 1, 10_080)?.map(in_range);
        let options = StartOptions::from_body(&self.0).map_err(|(name, bad)| match bad {
            BadValue::Type(wanted) => wrong_type(name, wanted),
            BadValue::Range(range) => out_of_range(name, &range),
        })?;
        let stream_url = StreamUrl::new(&stream_url);
        Ok(StartParams { room, user_id, stream_url, seek_second: seek_second.map(in_range), repeat, max_duration, options })
    }

    fn ranged(&mut self, name: &str, least: i64, most: i64) -> Result<Option<i64>, ErrorReply> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        // A whole number beyond i64 is out of every range, and not of another type.
        let number = value.as_i64().or(value.is_u64().then_some(i64::MAX)).ok_or_else(|| wrong_type(name, "an integer"))?;
        let beyond = value.is_u64() && value.as_i64().is_none();
        if beyond || !(least..=most).contains(&number) {
            return Err(out_of_range(name, &format!("{least} to {most}")));
        }
        Ok(Some(number))
    }

    fn unsigned(&mut self, name: &str) -> Result<Option<u64>, ErrorReply> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        value.as_u64().map(Some).ok_or_else(|| wrong_type(name, "an unsigned integer"))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, ErrorReply> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }
}

fn wrong_type(name: &str, wanted: &str) -> ErrorReply {
    ErrorReply::new("InvalidParameter", format!("the parameter `{name}` must be {wanted}"))
}

/// A number that was checked to be in a range of the narrower type.
fn in_range<T: TryFrom<i64>>(number: i64) -> T {
    T::try_from(number).ok().expect("its range was checked, and is inside the type's")
}

/// The relay fetches over these four protocols (TRTC.md section 7.1; HLS comes over HTTP).
fn is_stream_url(text: &str) -> bool {
    let clean = !text.chars().any(|character| character.is_whitespace() || character.is_control());
    clean
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https" | "rtmp" | "rtmps") && url.host_str().is_some_and(|host| !host.is_empty())
        })
}

/// Against what a ticket is verified.
struct Ticket<'a> {
    app: &'a SandboxApp,
    sdk_app_id: u64,
    user_id: &'a str,
    now: Timestamp,
}

impl Ticket<'_> {
    fn user_sig(&self, ticket: &str) -> Result<usersig::Decoded, String> {
        let decoded = usersig::decode(ticket)?;
        if decoded.sdk_app_id != self.sdk_app_id {
            return Err("it is for another application".to_owned());
        }
        if decoded.user_id != self.user_id {
            return Err("it is for another user".to_owned());
        }
        decoded.verify(&self.app.key, self.now)?;
        Ok(decoded)
    }

    fn private_map_key(&self, ticket: &str, room: &Room) -> Result<(), String> {
        let decoded = self.user_sig(ticket)?;
        let buffer = decoded.user_buffer_bytes().ok_or("it has no user buffer")?;
        let pass = Pass::read(&buffer).ok_or("its user buffer has another layout")?;
        if pass.account != self.user_id.as_bytes() || u64::from(pass.sdk_app_id) != self.sdk_app_id {
            return Err("its user buffer is for another user or application".to_owned());
        }
        let same_room = match room {
            Room::Integer(id) => pass.room_name.is_none() && pass.room_id == *id,
            Room::Text(name) => pass.room_name == Some(name.as_bytes()) && pass.room_id == 0,
        };
        if !same_room {
            return Err("it is for another room, or for a room of the other type".to_owned());
        }
        if i64::from(pass.expires_at_s) < self.now.as_second() {
            return Err("it has expired".to_owned());
        }
        if pass.privileges & PRIVILEGES_NEEDED != PRIVILEGES_NEEDED {
            return Err(format!("its privileges are {}; an anchor needs {PRIVILEGES_NEEDED}", pass.privileges));
        }
        Ok(())
    }
}

/// The user buffer of a PrivateMapKey, big-endian (TRTC.md section 4.2).
struct Pass<'a> {
    account: &'a [u8],
    sdk_app_id: u32,
    room_id: u32,
    expires_at_s: u32,
    privileges: u32,
    room_name: Option<&'a [u8]>,
}

impl<'a> Pass<'a> {
    fn read(buffer: &'a [u8]) -> Option<Pass<'a>> {
        let (version, rest) = buffer.split_first()?;
        let (account, rest) = counted(rest)?;
        let (sdk_app_id, rest) = number(rest)?;
        let (room_id, rest) = number(rest)?;
        let (expires_at_s, rest) = number(rest)?;
        let (privileges, rest) = number(rest)?;
        let (account_type, rest) = number(rest)?;
        let (room_name, rest) = match version {
            0 => (None, rest),
            1 => counted(rest).map(|(name, rest)| (Some(name), rest))?,
            _ => return None,
        };
        let whole = rest.is_empty() && account_type == 0;
        whole.then_some(Pass { account, sdk_app_id, room_id, expires_at_s, privileges, room_name })
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_be_bytes(*number), rest))
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
