//! Shape and authentication: each way of being wrong has its code, and a right request passes in every form the vendor's
//! libraries give it. Leaves the body to `parameters`.

use super::client::Ask;
use super::{BEGIN_MS, Rig};

/// Changes a good start before it is signed.
type Change = fn(&mut Ask);

#[tokio::test]
async fn each_check_of_shape_and_authentication_has_its_code() {
    let rig = Rig::with(|config| config.rate = 1000).await;
    let cases: [(&str, Change, &str); 34] = [
        ("good", |_| {}, "ok"),
        ("the action signed as well", |ask| ask.sign_action = true, "ok"),
        ("a charset, signed as sent", |ask| ask.content_type = "application/json; charset=UTF-8".to_owned(), "ok"),
        ("another method", |ask| ask.method = "PUT", "UnsupportedProtocol"),
        ("another path", |ask| ask.path = "/v3", "InvalidRequest"),
        ("a query", |ask| ask.path = "/?Action=StartStreamIngest", "InvalidRequest"),
        ("another content type", |ask| ask.content_type = "text/plain".to_owned(), "UnsupportedProtocol"),
        ("no action", |ask| ask.forge = |headers, _| drop_header(headers, "X-TC-Action"), "MissingParameter"),
        ("no version", |ask| ask.forge = |headers, _| drop_header(headers, "X-TC-Version"), "MissingParameter"),
        ("no region", |ask| ask.forge = |headers, _| drop_header(headers, "X-TC-Region"), "MissingParameter"),
        ("no timestamp", |ask| ask.forge = |headers, _| drop_header(headers, "X-TC-Timestamp"), "MissingParameter"),
        ("a timestamp that is none", |ask| ask.forge = |headers, _| set(headers, "X-TC-Timestamp", "now"), "InvalidParameter"),
        (
            "no authorization",
            |ask| ask.forge = |headers, _| drop_header(headers, "Authorization"),
            "AuthFailure.InvalidAuthorization",
        ),
        ("another scheme", |ask| ask.forge = |headers, _| edit(headers, "TC3-", "TC2-"), "AuthFailure.InvalidAuthorization"),
        ("no signature", |ask| ask.forge = |headers, _| edit(headers, "Signature=", "Sign="), "AuthFailure.InvalidAuthorization"),
        ("half a credential", |ask| ask.forge = |headers, _| edit(headers, "/trtc/", "/"), "AuthFailure.InvalidAuthorization"),
        (
            "a signature in capitals",
            |ask| ask.forge = |headers, _| upper_case_signature(headers),
            "AuthFailure.InvalidAuthorization",
        ),
        ("host not signed", |ask| ask.forge = |headers, _| edit(headers, ";host", ""), "AuthFailure.InvalidAuthorization"),
        ("5 minutes early", |ask| ask.timestamp_s -= 300, "ok"),
        ("more than 5 minutes early", |ask| ask.timestamp_s -= 301, "AuthFailure.SignatureExpire"),
        ("more than 5 minutes late", |ask| ask.timestamp_s += 301, "AuthFailure.SignatureExpire"),
        (
            "an instant that cannot be",
            |ask| ask.forge = |headers, _| set(headers, "X-TC-Timestamp", "-9223372036854775808"),
            "AuthFailure.SignatureExpire",
        ),
        ("another secret id", |ask| ask.secret_id = "AKIDother".to_owned(), "AuthFailure.SecretIdNotFound"),
        ("another secret key", |ask| ask.secret_key.push('x'), "AuthFailure.SignatureFailure"),
        // At this hour the date in Shanghai is the next one.
        ("the local date", |ask| ask.date = Some("2023-11-15".to_owned()), "AuthFailure.SignatureFailure"),
        ("another service", |ask| ask.service = "cvm".to_owned(), "AuthFailure.SignatureFailure"),
        ("another body", |ask| ask.forge = |_, body| body.push(b' '), "AuthFailure.SignatureFailure"),
        (
            "another content type than signed",
            |ask| ask.forge = |headers, _| set(headers, "Content-Type", "application/json; charset=utf-8"),
            "AuthFailure.SignatureFailure",
        ),
        (
            "another action than signed",
            |ask| {
                ask.sign_action = true;
                ask.forge = |headers, _| set(headers, "X-TC-Action", "StopStreamIngest");
            },
            "AuthFailure.SignatureFailure",
        ),
        ("a token that nobody gave", |ask| ask.token = Some("t".to_owned()), "AuthFailure.TokenFailure"),
        ("an action of another product", |ask| ask.action = "RunInstances".to_owned(), "InvalidAction"),
        ("an action that it does not play", |ask| ask.action = "UpdateStreamIngest".to_owned(), "UnsupportedOperation"),
        ("another version", |ask| ask.version = "2017-03-12".to_owned(), "NoSuchVersion"),
        ("another region", |ask| ask.region = "na-siliconvalley".to_owned(), "UnsupportedRegion"),
    ];
    for (at, (name, change, expected)) in cases.into_iter().enumerate() {
        // A robot each, so that `TaskExist` is not what answers.
        let mut ask = Ask::start().robot(&format!("robot_{at}"));
        change(&mut ask);
        let reply = rig.wire().await.ask(&ask).await;
        assert_eq!(reply.code(), expected, "{name}: {}", reply.message());
    }
}

#[tokio::test]
async fn a_local_date_has_an_error_of_its_own() {
    let rig = Rig::new().await;
    let mut ask = Ask::start();
    ask.date = Some("2023-11-15".to_owned());
    let reply = rig.wire().await.ask(&ask).await;
    assert!(reply.message().contains("`2023-11-14/trtc/tc3_request`, the date in UTC"), "{}", reply.message());
}

#[tokio::test]
async fn a_temporary_token_must_be_the_one_that_was_given() {
    let rig = Rig::with(|config| config.token = Some("TOKEN".to_owned())).await;
    for (token, expected) in
        [(Some("TOKEN"), "ok"), (Some("STALE"), "AuthFailure.TokenFailure"), (None, "AuthFailure.TokenFailure")]
    {
        let mut ask = Ask::start();
        ask.token = token.map(str::to_owned);
        assert_eq!(rig.code(&ask).await, expected, "{token:?}");
    }
}

#[tokio::test]
async fn regions_are_those_of_the_action() {
    let rig = Rig::new().await;
    let mut start = Ask::start();
    start.region = "ap-tokyo".to_owned();
    let task_id = rig.start(&start).await;
    for mut follow_up in [Ask::stop(&task_id), Ask::describe(&task_id)] {
        follow_up.region = "ap-tokyo".to_owned();
        assert_eq!(rig.code(&follow_up).await, "UnsupportedRegion");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_shows_in_the_date_and_in_every_check() {
    let rig = Rig::with(|config| config.clock_offset_ms = 400_000).await;
    let refused = rig.wire().await.ask(&Ask::start()).await;
    assert_eq!(refused.code(), "AuthFailure.SignatureExpire");
    assert_eq!(refused.header("date"), Some("Tue, 14 Nov 2023 22:20:00 GMT"));
    assert_eq!(rig.code(&Ask::start_at(BEGIN_MS / 1000 + 400)).await, "ok");
    assert_eq!(rig.sandbox.arrivals()[0].at.as_millisecond(), BEGIN_MS + 400_000);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let rig = Rig::new().await;
    let mut ask = Ask::start();
    ask.raw_body = Some(vec![b' '; 64 * 1024 + 1]);
    assert_eq!(rig.code(&ask).await, "RequestSizeLimitExceeded");
}

fn drop_header(headers: &mut Vec<(String, String)>, name: &str) {
    headers.retain(|(key, _)| key != name);
}

fn set(headers: &mut [(String, String)], name: &str, value: &str) {
    for (key, held) in headers {
        if key == name {
            value.clone_into(held);
        }
    }
}

/// Changes a part of `Authorization`.
fn edit(headers: &mut [(String, String)], from: &str, to: &str) {
    for (key, held) in headers {
        if key == "Authorization" {
            assert!(held.contains(from), "{held}");
            *held = held.replace(from, to);
        }
    }
}

/// Writes the signature in capitals.
fn upper_case_signature(headers: &mut [(String, String)]) {
    for (key, held) in headers {
        if key == "Authorization" {
            let at = held.len() - 64;
            *held = format!("{}{}", &held[..at], held[at..].to_uppercase());
        }
    }
}
