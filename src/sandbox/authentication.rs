//! Who sent a request: the headers of version 3 of the vendor's signature, verified against the bytes that arrived. Shares
//! with our client only the chain of keys; the canonical request is rebuilt here, in its own way, so that the two cannot
//! share one mistake. Does not know parameters and tasks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::HeaderMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::Sha256;

use crate::trtc::tc3::{ALGORITHM, Covered, SERVICE, sha256_hex};

use super::exchange::{ErrorReply, Received};

/// How far a request's timestamp may be from the server's clock (TRTC.md section 3.1).
const SKEW_S_MAX: u64 = 300;

/// The credentials that are good.
pub(super) struct KnownCredentials {
    /// The only `SecretId`.
    pub(super) secret_id: String,
    /// Its key.
    pub(super) secret_key: String,
    /// The token that must be sent; with `None` a request must have no token.
    pub(super) token: Option<String>,
}

/// The headers that say what is asked, all required.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// `X-TC-Action`
    pub(super) action: String,
    /// `X-TC-Version`
    pub(super) version: String,
    /// `X-TC-Region`
    pub(super) region: String,
    /// `X-TC-Timestamp`
    pub(super) timestamp_s: i64,
}

/// Reads the shape of a request: protocol, content type and required headers.
pub(super) fn head(received: &Received) -> Result<Head, ErrorReply> {
    if received.method != hyper::Method::POST {
        let message = format!("the method is `{}`; the sandbox takes POST only", received.method);
        return Err(ErrorReply::new("UnsupportedProtocol", message));
    }
    if received.path != "/" {
        return Err(ErrorReply::new("InvalidRequest", "the path and the query must be `/` alone"));
    }
    let content_type = text(&received.headers, "content-type").unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(ErrorReply::new("UnsupportedProtocol", "the sandbox takes the content type `application/json` only"));
    }
    let required = |header: &str, name: &str| {
        let missing = || ErrorReply::new("MissingParameter", format!("the request misses the required parameter `{name}`"));
        text(&received.headers, header).filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(missing)
    };
    let timestamp = required("x-tc-timestamp", "Timestamp")?;
    let timestamp_s = timestamp
        .parse()
        .map_err(|_| ErrorReply::new("InvalidParameter", "the parameter `Timestamp` must be seconds since 1970"))?;
    Ok(Head {
        action: required("x-tc-action", "Action")?,
        version: required("x-tc-version", "Version")?,
        region: required("x-tc-region", "Region")?,
        timestamp_s,
    })
}

/// Verifies the signature of a request, or says which check it fails first.
pub(super) fn verify(received: &Received, head: &Head, good: &KnownCredentials, now: Timestamp) -> Result<(), ErrorReply> {
    let header = text(&received.headers, "authorization").unwrap_or("");
    let claim = Claim::parse(header).map_err(|why| ErrorReply::new("AuthFailure.InvalidAuthorization", why))?;
    let skew_s = head.timestamp_s.abs_diff(now.as_second());
    if skew_s > SKEW_S_MAX {
        let message = format!("the timestamp is {skew_s} s from the server's clock; at most {SKEW_S_MAX} s are allowed");
        return Err(ErrorReply::new("AuthFailure.SignatureExpire", message));
    }
    if claim.secret_id != good.secret_id {
        return Err(ErrorReply::new("AuthFailure.SecretIdNotFound", "the SecretId is not known"));
    }
    let failed = |why: &str| ErrorReply::new("AuthFailure.SignatureFailure", why.to_owned());
    let signed_at = Timestamp::from_second(head.timestamp_s).map_err(|_| failed("the timestamp is not an instant"))?;
    let date = TimeZone::UTC.to_datetime(signed_at).date().to_string();
    if claim.scope != [date.as_str(), SERVICE, "tc3_request"] {
        return Err(failed(&format!("the credential scope must be `{date}/{SERVICE}/tc3_request`, the date in UTC")));
    }
    let canonical = canonical_request(received, &claim.signed_headers).map_err(|why| failed(&why))?;
    let scope = claim.scope.join("/");
    let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{}", head.timestamp_s, sha256_hex(canonical.as_bytes()));
    let keys = Covered { service: SERVICE, headers: &[], body: b"", signed_at }.derive(&good.secret_key);
    let mut mac = Hmac::<Sha256>::new_from_slice(&keys.signing).expect("HMAC takes a key of any length");
    mac.update(to_sign.as_bytes());
    // `verify_slice` compares in constant time.
    mac.verify_slice(&claim.signature).map_err(|_| failed("the signature is not the one of these headers and this body"))?;
    if text(&received.headers, "x-tc-token") != good.token.as_deref() {
        return Err(ErrorReply::new("AuthFailure.TokenFailure", "the token is not the one that belongs to the SecretId"));
    }
    Ok(())
}

/// What an `Authorization` header claims.
#[derive(Debug)]
struct Claim<'a> {
    secret_id: &'a str,
    /// Date, service and `tc3_request`.
    scope: [&'a str; 3],
    /// As written: lower case is the client's duty, and so is their order.
    signed_headers: Vec<&'a str>,
    signature: [u8; 32],
}

impl<'a> Claim<'a> {
    fn parse(header: &'a str) -> Result<Claim<'a>, String> {
        let rest = header.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let rest = rest.ok_or_else(|| format!("the header `Authorization` must begin with `{ALGORITHM} `"))?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once('=').ok_or("a part of `Authorization` has no `=`")?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err("`Authorization` has a part that is unknown".to_owned()),
            };
            if slot.replace(value).is_some() {
                return Err(format!("`Authorization` names `{name}` twice"));
            }
        }
        let credential: Vec<&str> = credential.ok_or("`Authorization` has no `Credential`")?.split('/').collect();
        let [secret_id, date, service, end] = credential[..] else {
            return Err("`Credential` must be `SecretId/date/service/tc3_request`".to_owned());
        };
        let signed_headers: Vec<&str> = signed_headers.ok_or("`Authorization` has no `SignedHeaders`")?.split(';').collect();
        for mandatory in ["content-type", "host"] {
            if !signed_headers.contains(&mandatory) {
                return Err(format!("`SignedHeaders` must contain `{mandatory}`"));
            }
        }
        let signature = signature.ok_or("`Authorization` has no `Signature`")?;
        let signature = unhex(signature).ok_or("`Signature` must be 64 lower-case hexadecimal digits")?;
        Ok(Claim { secret_id, scope: [date, service, end], signed_headers, signature })
    }
}

/// The canonical request as the server sees it: the headers named, in the order of their names, and the bytes of the body.
fn canonical_request(received: &Received, signed_headers: &[&str]) -> Result<String, String> {
    let mut names = signed_headers.to_vec();
    names.sort_unstable();
    let mut lines = Vec::with_capacity(names.len());
    for name in &names {
        let mut values = received.headers.get_all(*name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(format!("the signed header `{name}` must be there exactly once"));
        };
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| format!("the signed header `{name}` is not UTF-8"))?;
        lines.push(format!("{name}:{}\n", value.trim().to_lowercase()));
    }
    let (lines, listed) = (lines.concat(), signed_headers.join(";"));
    Ok(format!("{}\n/\n\n{lines}\n{listed}\n{}", received.method, sha256_hex(&received.body)))
}

/// A header's text, when it is there once and is text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 || digits.iter().any(|digit| !matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
