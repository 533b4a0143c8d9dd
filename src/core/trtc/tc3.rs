//! The TC3-HMAC-SHA256 signature (TRTC.md section 3): pure, every step a value of its own, the time an argument. It does not
//! know what it signs, HTTP clients and where secrets come from.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};

/// The name of the algorithm, as it opens the string to sign and the `Authorization` header.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// The service our actions belong to, as the credential scope names it.
pub const SERVICE: &str = "trtc";

/// The `Content-Type` we send and sign. If an HTTP library appends a charset, the signature is refused.
pub const CONTENT_TYPE: &str = "application/json";

/// The end of every credential scope.
const SCOPE_END: &str = "tc3_request";

/// What a signature covers. A POST to `/` without a query: the only kind we send.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    /// The service of the credential scope; [`SERVICE`] but for the vendor's worked examples.
    pub service: &'a str,
    /// The signed headers, in any order and case. `content-type` and `host` must be there; like the official SDKs we sign
    /// those two and no others.
    pub headers: &'a [(&'a str, &'a str)],
    /// Exactly the bytes that are sent.
    pub body: &'a [u8],
    /// What `X-TC-Timestamp` says. Seconds count; the fraction is dropped.
    pub signed_at: Timestamp,
}

impl Covered<'_> {
    /// The names of the signed headers, in order, joined by semicolons.
    pub fn signed_headers(&self) -> String {
        self.canonical_headers().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(";")
    }

    /// The canonical request. The canonical headers end in a newline of their own, hence the empty line before the names.
    pub fn canonical_request(&self) -> String {
        let mut request = "POST\n/\n\n".to_owned();
        for (name, value) in self.canonical_headers() {
            request.extend([&name, ":", &value, "\n"]);
        }
        request.extend(["\n", &self.signed_headers(), "\n", &sha256_hex(self.body)]);
        request
    }

    /// The credential scope, `2023-11-14/trtc/tc3_request`.
    pub fn scope(&self) -> String {
        format!("{}/{}/{SCOPE_END}", self.date(), self.service)
    }

    /// The string to sign.
    pub fn string_to_sign(&self) -> String {
        let hashed = sha256_hex(self.canonical_request().as_bytes());
        format!("{ALGORITHM}\n{}\n{}\n{hashed}", self.signed_at.as_second(), self.scope())
    }

    /// The keys derived for this day and service.
    pub fn derive(&self, secret_key: &str) -> DerivedKeys {
        let date = hmac_sha256(format!("TC3{secret_key}").as_bytes(), self.date().as_bytes());
        let service = hmac_sha256(&date, self.service.as_bytes());
        let signing = hmac_sha256(&service, SCOPE_END.as_bytes());
        DerivedKeys { date, service, signing }
    }

    /// The signature, in lower-case hexadecimal.
    pub fn signature(&self, secret_key: &str) -> String {
        hex(&hmac_sha256(&self.derive(secret_key).signing, self.string_to_sign().as_bytes()))
    }

    /// The `Authorization` header.
    pub fn authorization(&self, secret_id: &str, secret_key: &str) -> String {
        format!(
            "{ALGORITHM} Credential={secret_id}/{}, SignedHeaders={}, Signature={}",
            self.scope(),
            self.signed_headers(),
            self.signature(secret_key)
        )
    }

    /// The day of the signature in UTC. A local date fails in the small hours, and only then.
    fn date(&self) -> String {
        TimeZone::UTC.to_datetime(self.signed_at).date().to_string()
    }

    /// Names and values lower-cased and trimmed, in the order of the names.
    fn canonical_headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> =
            self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.trim().to_lowercase())).collect();
        headers.sort();
        headers
    }
}

/// The three keys that come between the secret key and the signature. Secrets of a day: they have no `Debug`.
pub struct DerivedKeys {
    /// Keyed by the secret key, over the date.
    pub date: [u8; 32],
    /// Keyed by `date`, over the service.
    pub service: [u8; 32],
    /// Keyed by `service`, over `tc3_request`; it signs.
    pub signing: [u8; 32],
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// HMAC-SHA256.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
