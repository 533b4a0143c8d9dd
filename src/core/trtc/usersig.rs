//! UserSig and PrivateMapKey (TRTC.md section 4): the tickets with which a robot enters a room, minted and read back. Pure: the
//! time is an argument. It does not know where keys come from.

use std::fmt;
use std::io::{Read, Write};

use base64::Engine;
use base64::alphabet::{Alphabet, Symbol};
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{PAD, STANDARD};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::room::Room;
use super::tc3::hmac_sha256;

/// The privileges a PrivateMapKey of ours carries: all of them (TRTC.md section 4.2).
///
/// Why not the 23 (create, enter, send audio, send video) that an anchor should need: the vendor documents no minimum for an
/// ingest robot, a missing bit would keep the robot out of its room, and only the vendor ever holds the ticket.
pub const PRIVILEGES: u32 = 255;

/// The longest ticket that [`decode`] looks at. Ours have about 300 characters; the most generous implementation (Go, which
/// does not compress) stays under 1,000.
pub const TICKET_BYTES_MAX: usize = 4096;

/// The most that [`decode`] inflates: 4096 characters could unpack to three megabytes.
const INFLATED_BYTES_MAX: u64 = 4096;

/// Whom a ticket is for, and from when to when.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// `TLS.sdkappid`.
    pub sdk_app_id: u64,
    /// `TLS.identifier`: the robot.
    pub user_id: &'a str,
    /// `TLS.time`, in whole seconds.
    pub issued_at: Timestamp,
    /// `TLS.expire`: seconds of validity, counted from `issued_at`.
    pub valid_s: u32,
}

impl Holder<'_> {
    /// The text that is signed. The time comes before the validity here, and after it in the JSON.
    pub fn to_sign(&self, user_buffer: Option<&[u8]>) -> String {
        to_sign(
            self.user_id,
            self.sdk_app_id,
            self.issued_at.as_second(),
            self.valid_s.into(),
            user_buffer.map(|bytes| STANDARD.encode(bytes)).as_deref(),
        )
    }

    /// The UserSig.
    pub fn user_sig(&self, key: &str) -> String {
        self.ticket(key, None)
    }

    /// Returns the PrivateMapKey for a room, or why it cannot be made.
    pub fn private_map_key(&self, key: &str, room: &Room, privileges: u32) -> Result<String, String> {
        Ok(self.ticket(key, Some(&self.user_buffer(room, privileges)?)))
    }

    /// The binary part of a PrivateMapKey: big-endian, with the *absolute* end of its validity, although `TLS.expire` is
    /// relative. Fails when a number does not fit its 32 bits (the end of validity: in 2106).
    pub fn user_buffer(&self, room: &Room, privileges: u32) -> Result<Vec<u8>, String> {
        let length_of =
            |text: &str| u16::try_from(text.len()).map_err(|_| format!("{} bytes are too many for a ticket", text.len()));
        let sdk_app_id = u32::try_from(self.sdk_app_id)
            .map_err(|_| format!("a private map key cannot carry the sdk_app_id `{}`", self.sdk_app_id))?;
        let expires_at = u32::try_from(self.issued_at.as_second() + i64::from(self.valid_s))
            .map_err(|_| "a private map key cannot be valid that far from 1970".to_owned())?;
        let (version, room_id, room_name) = match room {
            Room::Integer(id) => (0_u8, *id, None),
            // An empty name would silently make a ticket for the integer room 0.
            Room::Text(name) if name.is_empty() => return Err("a room needs a name".to_owned()),
            Room::Text(name) => (1, 0, Some(name)),
        };
        let mut buffer = vec![version];
        buffer.extend_from_slice(&length_of(self.user_id)?.to_be_bytes());
        buffer.extend_from_slice(self.user_id.as_bytes());
        let account_type = 0_u32;
        for number in [sdk_app_id, room_id, expires_at, privileges, account_type] {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        if let Some(name) = room_name {
            buffer.extend_from_slice(&length_of(name)?.to_be_bytes());
            buffer.extend_from_slice(name.as_bytes());
        }
        Ok(buffer)
    }

    fn ticket(&self, key: &str, user_buffer: Option<&[u8]>) -> String {
        let decoded = Decoded {
            version: "2.0".to_owned(),
            user_id: self.user_id.to_owned(),
            sdk_app_id: self.sdk_app_id,
            valid_s: self.valid_s.into(),
            issued_at_s: self.issued_at.as_second(),
            user_buffer: user_buffer.map(|bytes| STANDARD.encode(bytes)),
            signature: tls_sig(key, &self.to_sign(user_buffer)),
        };
        let json = serde_json::to_vec(&decoded).expect("strings and numbers are JSON");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&json).expect("a Vec takes every byte");
        TICKET.encode(encoder.finish().expect("a Vec takes every byte"))
    }
}

/// A ticket, read back. It says nothing of whether the ticket is genuine: see [`Decoded::verify`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoded {
    /// `TLS.ver`
    #[serde(rename = "TLS.ver")]
    pub version: String,
    /// `TLS.identifier`
    #[serde(rename = "TLS.identifier")]
    pub user_id: String,
    /// `TLS.sdkappid`
    #[serde(rename = "TLS.sdkappid")]
    pub sdk_app_id: u64,
    /// `TLS.expire`: seconds of validity.
    #[serde(rename = "TLS.expire")]
    pub valid_s: u64,
    /// `TLS.time`: seconds since 1970.
    #[serde(rename = "TLS.time")]
    pub issued_at_s: i64,
    /// `TLS.userbuf`, in standard base64: there in a PrivateMapKey.
    #[serde(rename = "TLS.userbuf", default, skip_serializing_if = "Option::is_none")]
    pub user_buffer: Option<String>,
    /// `TLS.sig`
    #[serde(rename = "TLS.sig")]
    pub signature: String,
}

impl Decoded {
    /// The bytes of the user buffer, when it has one and that is base64.
    pub fn user_buffer_bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.user_buffer.as_ref()?).ok()
    }

    /// Whether `key` made this ticket and it holds at `now`; else why not. As the vendor's verifier: it holds up to and
    /// including the last second.
    pub fn verify(&self, key: &str, now: Timestamp) -> Result<(), String> {
        let text = to_sign(&self.user_id, self.sdk_app_id, self.issued_at_s, self.valid_s, self.user_buffer.as_deref());
        if self.version != "2.0" {
            return Err(format!("its version is `{}`, not `2.0`", self.version));
        }
        if tls_sig(key, &text) != self.signature {
            return Err("its signature is not made with this application's key".to_owned());
        }
        let expires_at_s = i128::from(self.issued_at_s) + i128::from(self.valid_s);
        if i128::from(now.as_second()) > expires_at_s {
            return Err(format!("it expired {} s ago", i128::from(now.as_second()) - expires_at_s));
        }
        Ok(())
    }
}

/// Without what makes the ticket a secret.
impl fmt::Debug for Decoded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoded")
            .field("user_id", &self.user_id)
            .field("sdk_app_id", &self.sdk_app_id)
            .field("issued_at_s", &self.issued_at_s)
            .field("valid_s", &self.valid_s)
            .field("user_buffer", &self.user_buffer.is_some())
            .finish_non_exhaustive()
    }
}

/// Reads a ticket of any implementation: they differ in key order, spacing and compression. What it reads is untrusted, so
/// both its size and the size of what it unpacks to are bounded.
pub fn decode(ticket: &str) -> Result<Decoded, String> {
    if ticket.len() > TICKET_BYTES_MAX {
        return Err(format!("it has {} characters; at most {TICKET_BYTES_MAX} are read", ticket.len()));
    }
    let packed = TICKET.decode(ticket).map_err(|error| format!("it is not base64 of the ticket alphabet: {error}"))?;
    let mut json = Vec::new();
    ZlibDecoder::new(packed.as_slice())
        .take(INFLATED_BYTES_MAX + 1)
        .read_to_end(&mut json)
        .map_err(|error| format!("it is not a zlib stream: {error}"))?;
    if json.len() as u64 > INFLATED_BYTES_MAX {
        return Err(format!("it unpacks to more than {INFLATED_BYTES_MAX} bytes"));
    }
    serde_json::from_slice(&json).map_err(|error| {
        // Only the place: the parser's own words may quote what it read.
        format!("it does not hold the fields of a ticket (column {} of its JSON)", error.column())
    })
}

/// `TLS.sig`: the key is used as the ASCII text it is written in, although it looks like hexadecimal.
pub fn tls_sig(key: &str, to_sign: &str) -> String {
    STANDARD.encode(hmac_sha256(key.as_bytes(), to_sign.as_bytes()))
}

fn to_sign(user_id: &str, sdk_app_id: u64, issued_at_s: i64, valid_s: u64, user_buffer: Option<&str>) -> String {
    let mut text = format!("TLS.identifier:{user_id}\nTLS.sdkappid:{sdk_app_id}\nTLS.time:{issued_at_s}\nTLS.expire:{valid_s}\n");
    if let Some(user_buffer) = user_buffer {
        text.push_str("TLS.userbuf:");
        text.push_str(user_buffer);
        text.push('\n');
    }
    text
}

/// Base64 with the three characters that mean something in a URL replaced: `+` by `*`, `/` by `-`, `=` by `_`.
static TICKET: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new_with_padding(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-",
        Symbol::new(b'_').expect("an underscore is printable"),
    ) {
        Ok(alphabet) => alphabet,
        Err(_) => panic!("64 different printable characters are an alphabet"),
    },
    PAD,
);
