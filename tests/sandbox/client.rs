//! A client of the test's own: signature, UserSig and PrivateMapKey written from the vendor's documents with nothing but HMAC,
//! and HTTP written by hand. It uses nothing of `ingestd::trtc`, on purpose.

use std::io::Write as _;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ingestd::sandbox::{WELL_KNOWN_APP_KEY, WELL_KNOWN_SDK_APP_ID, WELL_KNOWN_SECRET_ID, WELL_KNOWN_SECRET_KEY};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{BEGIN_MS, PATIENCE};

/// One request, with every part open to be changed before it is signed, and after.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) action: String,
    pub(crate) version: String,
    pub(crate) region: String,
    pub(crate) timestamp_s: i64,
    pub(crate) secret_id: String,
    pub(crate) secret_key: String,
    pub(crate) token: Option<String>,
    pub(crate) content_type: String,
    /// The credential scope's date; the timestamp's in UTC when `None`.
    pub(crate) date: Option<String>,
    pub(crate) service: String,
    /// Signed beside `content-type` and `host`: `x-tc-action`.
    pub(crate) sign_action: bool,
    pub(crate) fields: Value,
    /// In place of the fields.
    pub(crate) raw_body: Option<Vec<u8>>,
    /// Changes the head and the body after they were signed.
    pub(crate) forge: fn(&mut Vec<(String, String)>, &mut Vec<u8>),
}

impl Ask {
    pub(crate) fn new(action: &str, fields: Value) -> Ask {
        Ask {
            method: "POST",
            path: "/",
            action: action.to_owned(),
            version: "2019-07-22".to_owned(),
            region: "ap-singapore".to_owned(),
            timestamp_s: BEGIN_MS / 1000,
            secret_id: WELL_KNOWN_SECRET_ID.to_owned(),
            secret_key: WELL_KNOWN_SECRET_KEY.to_owned(),
            token: None,
            content_type: "application/json".to_owned(),
            date: None,
            service: "trtc".to_owned(),
            sign_action: false,
            fields,
            raw_body: None,
            forge: |_, _| {},
        }
    }

    /// A good start of robot `robot_1` in the integer room 10000.
    pub(crate) fn start() -> Ask {
        Ask::start_at(BEGIN_MS / 1000)
    }

    /// The same, signed for another instant.
    pub(crate) fn start_at(now_s: i64) -> Ask {
        let user_sig = Ticket::new("robot_1", WELL_KNOWN_SDK_APP_ID, now_s).mint(WELL_KNOWN_APP_KEY);
        let fields = json!({
            "SdkAppId": WELL_KNOWN_SDK_APP_ID, "RoomId": "10000", "RoomIdType": 1, "UserId": "robot_1",
            "UserSig": user_sig, "StreamUrl": "https://media.example.com/show.mp4",
        });
        Ask::new("StartStreamIngest", fields).at(now_s)
    }

    pub(crate) fn stop(task_id: &str) -> Ask {
        Ask::new("StopStreamIngest", json!({ "SdkAppId": WELL_KNOWN_SDK_APP_ID, "TaskId": task_id }))
    }

    pub(crate) fn describe(task_id: &str) -> Ask {
        Ask::new("DescribeStreamIngest", json!({ "SdkAppId": WELL_KNOWN_SDK_APP_ID, "TaskId": task_id }))
    }

    /// Signed for that instant.
    pub(crate) fn at(mut self, now_s: i64) -> Ask {
        self.timestamp_s = now_s;
        self
    }

    /// With one field more, or another value of it.
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Ask {
        self.fields[name] = value.into();
        self
    }

    /// Without a field.
    pub(crate) fn without(mut self, name: &str) -> Ask {
        self.fields.as_object_mut().expect("fields").remove(name);
        self
    }

    /// Of another robot, with a UserSig of its own.
    pub(crate) fn robot(self, robot: &str) -> Ask {
        let ticket = Ticket::new(robot, WELL_KNOWN_SDK_APP_ID, self.timestamp_s).mint(WELL_KNOWN_APP_KEY);
        self.field("UserId", robot).field("UserSig", ticket)
    }

    /// The bytes of the request.
    pub(crate) fn bytes(&self, host: &str) -> Vec<u8> {
        let mut body = self.raw_body.clone().unwrap_or_else(|| self.fields.to_string().into_bytes());
        let mut signed = vec![("content-type", self.content_type.to_lowercase()), ("host", host.to_lowercase())];
        if self.sign_action {
            signed.push(("x-tc-action", self.action.to_lowercase()));
        }
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let lines: Vec<String> = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("{}\n{}\n\n{}\n{}\n{}", self.method, self.path, lines.concat(), names.join(";"), sha256(&body));
        let utc = jiff::Timestamp::from_second(self.timestamp_s).expect("an instant").strftime("%Y-%m-%d").to_string();
        let date = self.date.clone().unwrap_or(utc);
        let scope = format!("{date}/{}/tc3_request", self.service);
        let to_sign = format!("TC3-HMAC-SHA256\n{}\n{scope}\n{}", self.timestamp_s, sha256(canonical.as_bytes()));
        let key = hmac(format!("TC3{}", self.secret_key).as_bytes(), date.as_bytes());
        let key = hmac(&hmac(&key, self.service.as_bytes()), b"tc3_request");
        let signature = hex(&hmac(&key, to_sign.as_bytes()));
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.secret_id,
            names.join(";")
        );
        let mut headers = vec![
            ("Host".to_owned(), host.to_owned()),
            ("Content-Type".to_owned(), self.content_type.clone()),
            ("X-TC-Action".to_owned(), self.action.clone()),
            ("X-TC-Version".to_owned(), self.version.clone()),
            ("X-TC-Region".to_owned(), self.region.clone()),
            ("X-TC-Timestamp".to_owned(), self.timestamp_s.to_string()),
            ("Authorization".to_owned(), authorization),
        ];
        headers.extend(self.token.iter().map(|token| ("X-TC-Token".to_owned(), token.clone())));
        (self.forge)(&mut headers, &mut body);
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        bytes.extend(body);
        bytes
    }
}

/// A UserSig, or with a buffer a PrivateMapKey.
pub(crate) struct Ticket<'a> {
    pub(crate) user: &'a str,
    pub(crate) sdk_app_id: u64,
    pub(crate) issued_at_s: i64,
    pub(crate) valid_s: i64,
    pub(crate) buffer: Option<Vec<u8>>,
}

impl<'a> Ticket<'a> {
    /// Valid for two hours.
    pub(crate) fn new(user: &'a str, sdk_app_id: u64, issued_at_s: i64) -> Ticket<'a> {
        Ticket { user, sdk_app_id, issued_at_s, valid_s: 7200, buffer: None }
    }

    /// A PrivateMapKey of an integer room, or of a string room when it has a name.
    pub(crate) fn pass(mut self, room_id: u32, room_name: Option<&str>, expires_at_s: i64, privileges: u32) -> Ticket<'a> {
        let length = |text: &str| u16::try_from(text.len()).expect("short").to_be_bytes();
        let mut buffer = vec![u8::from(room_name.is_some())];
        buffer.extend(length(self.user));
        buffer.extend(self.user.as_bytes());
        let numbers = [self.sdk_app_id, room_id.into(), expires_at_s.cast_unsigned(), privileges.into(), 0];
        buffer.extend(numbers.iter().flat_map(|number| u32::try_from(*number).expect("32 bits").to_be_bytes()));
        if let Some(name) = room_name {
            buffer.extend(length(name));
            buffer.extend(name.as_bytes());
        }
        self.buffer = Some(buffer);
        self
    }

    pub(crate) fn mint(&self, key: &str) -> String {
        let Ticket { user, sdk_app_id, issued_at_s, valid_s, buffer } = self;
        let buffer = buffer.as_ref().map(|buffer| STANDARD.encode(buffer));
        let mut text = format!("TLS.identifier:{user}\nTLS.sdkappid:{sdk_app_id}\nTLS.time:{issued_at_s}\nTLS.expire:{valid_s}\n");
        let mut json = json!({
            "TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": sdk_app_id, "TLS.expire": valid_s, "TLS.time": issued_at_s,
        });
        if let Some(buffer) = buffer {
            text = format!("{text}TLS.userbuf:{buffer}\n");
            json["TLS.userbuf"] = buffer.into();
        }
        json["TLS.sig"] = STANDARD.encode(hmac(key.as_bytes(), text.as_bytes())).into();
        // Not compressed, as the vendor's Go library does it: a reader must not depend on the compression.
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::none());
        zlib.write_all(json.to_string().as_bytes()).expect("memory");
        STANDARD.encode(zlib.finish().expect("memory")).replace('+', "*").replace('/', "-").replace('=', "_")
    }
}

/// A connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    host: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    /// `Response` of the envelope.
    pub(crate) fn response(&self) -> Value {
        let envelope: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        envelope["Response"].clone()
    }

    /// `ok`, or the error's code. Every answer in the envelope is HTTP 200 with a `RequestId` and a date.
    pub(crate) fn code(&self) -> String {
        let response = self.response();
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(response["RequestId"].as_str().map(str::len), Some(36), "{self:?}");
        assert!(self.header("date").is_some_and(|date| date.ends_with(" GMT")), "{self:?}");
        response["Error"]["Code"].as_str().unwrap_or("ok").to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.response()["Error"]["Message"].as_str().unwrap_or("").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().find(|found| line(found)).and_then(|found| found.split_once(": ")).map(|(_, value)| value)
    }
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Wire { stream, host: address.to_string() }
    }

    /// Sends, and waits for the answer.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Reply {
        self.send(ask).await;
        self.reply().await.expect("an answer, and not the end of the connection")
    }

    pub(crate) async fn send(&mut self, ask: &Ask) {
        let bytes = ask.bytes(&self.host);
        self.stream.write_all(&bytes).await.expect("the connection is open");
    }

    /// The next answer; `None` when the connection ends without a byte.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        timeout(PATIENCE, self.read()).await.expect("an answer in time")
    }

    async fn read(&mut self) -> Option<Reply> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            // A reset is an end too: the other side closed with our bytes unread.
            if self.stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                assert!(bytes.is_empty(), "half an answer: {bytes:?}");
                return None;
            }
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut reply = Reply { status, head, body: String::new() };
        let length: usize = reply.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
        while bytes.len() < head_end + length {
            assert_ne!(self.stream.read_buf(&mut bytes).await.expect("the connection is open"), 0, "half a body");
        }
        reply.body = String::from_utf8(bytes[head_end..].to_vec()).expect("a body is text");
        Some(reply)
    }

    /// Whether the connection is open with nothing to read.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// The header `Sign` of a callback's body.
pub(crate) fn callback_sign(key: &str, body: &str) -> String {
    STANDARD.encode(hmac(key.as_bytes(), body.as_bytes()))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
