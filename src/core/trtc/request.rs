//! Makes the bytes and headers that are sent from what is asked: mints tickets, builds the body, signs with TC3, all for one instant.
//! Pure: the instant and the secrets are arguments. It does not know sockets and where secrets come from.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::action::{Body, Destination, Repeat, Request, StartParams};
use super::secret_mask::SecretMask;
use super::start_options::AsSent;
use super::tc3::{CONTENT_TYPE, Covered, SERVICE};
use super::usersig::{Holder, PRIVILEGES};

/// The version of the API (TRTC.md section 1).
pub const VERSION: &str = "2019-07-22";

/// The account's key to the API.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Names the key; not a secret.
    pub secret_id: String,
    /// Signs.
    pub secret_key: SecretString,
    /// Comes with a temporary key.
    pub token: Option<SecretString>,
}

/// An application's key.
#[derive(Clone, Debug)]
pub struct AppKey {
    /// The `SDKSecretKey` that signs UserSig and PrivateMapKey.
    pub key: SecretString,
    /// Whether advanced permission control is on, so that a start needs a PrivateMapKey too.
    pub private_map_key: bool,
}

/// A request that is ready to be sent. Only signing makes one, for one instant; sending takes it by value. It is a secret as a
/// whole (UserSig, token, stream URL) and has no `Debug`.
///
/// It cannot be made without signing:
/// ```compile_fail
/// let request = ingestd_core::trtc::request::SignedRequest { headers: Vec::new(), body: Vec::new(), mask: Default::default() };
/// ```
/// nor be sent twice:
/// ```compile_fail
/// fn twice(request: ingestd_core::trtc::request::SignedRequest) { drop(request.into_parts()); drop(request.into_parts()); }
/// ```
/// ```
/// fn once(request: ingestd_core::trtc::request::SignedRequest) { drop(request.into_parts()); }
/// ```
pub struct SignedRequest {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    mask: SecretMask,
}

impl SignedRequest {
    /// The headers, `Host` among them, and the body.
    pub fn into_parts(self) -> (Vec<(&'static str, String)>, Vec<u8>) {
        (self.headers, self.body)
    }

    /// Hides one more secret that it holds.
    pub fn hide(&mut self, secret: &SecretString) {
        self.mask.add(secret.expose_secret());
    }

    /// Returns what hides its secrets in the answer, which may repeat what was sent.
    pub fn mask(&self) -> &SecretMask {
        &self.mask
    }
}

/// Mints, builds and signs for `now`. `app` is the key of the request's application; only a start needs it.
pub fn sign(
    request: &Request,
    host: &str,
    credentials: &Credentials,
    app: Option<&AppKey>,
    now: Timestamp,
) -> Result<SignedRequest, String> {
    let Request { destination, body } = request;
    let (body_bytes, mut mask) = match body {
        Body::Start { params, valid_until } => {
            let app = app.ok_or_else(|| format!("there is no key for the app `{}`", destination.app))?;
            start_body(destination, params, *valid_until, app, now)?
        }
        other => (
            serde_json::to_vec(&other.without_tickets(destination.sdk_app_id)).map_err(|error| error.to_string())?,
            SecretMask::default(),
        ),
    };
    let signed_headers = [("content-type", CONTENT_TYPE), ("host", host)];
    let covered = Covered { service: SERVICE, headers: &signed_headers, body: &body_bytes, signed_at: now };
    let secret_key = credentials.secret_key.expose_secret();
    let authorization = covered.authorization(&credentials.secret_id, secret_key);
    mask.add(&credentials.secret_id);
    mask.add(&covered.signature(secret_key));
    // Its other words are in many a message of the vendor's.
    mask.add_whole(&authorization);
    let mut headers = vec![
        ("authorization", authorization),
        ("content-type", CONTENT_TYPE.to_owned()),
        ("host", host.to_owned()),
        ("x-tc-action", body.action().name().to_owned()),
        ("x-tc-version", VERSION.to_owned()),
        ("x-tc-timestamp", now.as_second().to_string()),
        ("x-tc-region", destination.region.clone()),
        // Our operators read the messages of the answers; the default language is Chinese.
        ("x-tc-language", "en-US".to_owned()),
    ];
    if let Some(token) = &credentials.token {
        headers.push(("x-tc-token", token.expose_secret().to_owned()));
        mask.add(token.expose_secret());
    }
    Ok(SignedRequest { headers, body: body_bytes, mask })
}

fn start_body(
    destination: &Destination,
    params: &StartParams,
    valid_until: Timestamp,
    app: &AppKey,
    now: Timestamp,
) -> Result<(Vec<u8>, SecretMask), String> {
    let StartParams { room, user_id, stream_url, seek_second, repeat, max_duration, options } = params;
    let holder = Holder { sdk_app_id: destination.sdk_app_id, user_id, issued_at: now, valid_s: valid_s(now, valid_until)? };
    let key = app.key.expose_secret();
    let user_sig = holder.user_sig(key);
    let private_map_key = app.private_map_key.then(|| holder.private_map_key(key, room, PRIVILEGES)).transpose()?;
    let body = StartBody {
        sdk_app_id: destination.sdk_app_id,
        room_id: room.to_string(),
        room_id_type: room.type_id(),
        user_id,
        user_sig: &user_sig,
        private_map_key: private_map_key.as_deref(),
        stream_url: stream_url.reveal(),
        seek_second: *seek_second,
        repeat_num: repeat.map(|repeat| match repeat {
            Repeat::Forever => -1,
            Repeat::Times(times) => i64::from(times),
        }),
        max_duration: *max_duration,
        options: AsSent(options),
    };
    let bytes = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
    let mut mask = SecretMask::of_url(stream_url);
    for ticket in std::iter::once(user_sig).chain(private_map_key) {
        mask.add(&ticket);
    }
    Ok((bytes, mask))
}

/// `TLS.expire`: whole seconds from the whole second of `now`, rounded up.
fn valid_s(now: Timestamp, valid_until: Timestamp) -> Result<u32, String> {
    let left: SignedDuration = valid_until.duration_since(now);
    let whole = i64::from(left.subsec_nanos() > 0) + left.as_secs();
    u32::try_from(whole + 1).ok().filter(|seconds| *seconds > 1).ok_or_else(|| format!("a ticket cannot hold for {whole} s"))
}

/// The fields of StartStreamIngest, in the order of TRTC.md section 1.1.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StartBody<'a> {
    sdk_app_id: u64,
    room_id: String,
    room_id_type: u64,
    user_id: &'a str,
    user_sig: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_map_key: Option<&'a str>,
    stream_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seek_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_num: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration: Option<u16>,
    #[serde(flatten)]
    options: AsSent<'a>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::room::Room;
    use super::super::start_options::{StartOptions, Tempo};
    use super::super::stream_url::StreamUrl;
    use super::super::usersig::decode;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time of our days")
    }

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials {
            secret_id: "AKIDEXAMPLE00000000000000000000000000".to_owned(),
            secret_key: "EXAMPLESECRETKEY0000000000000000".into(),
            token: token.map(SecretString::from),
        }
    }

    fn app(private_map_key: bool) -> AppKey {
        AppKey { key: "the app's key".into(), private_map_key }
    }

    fn destination() -> Destination {
        Destination { app: "main".to_owned(), sdk_app_id: 1_400_000_000, region: "ap-guangzhou".to_owned() }
    }

    fn plain(room: Room) -> StartParams {
        StartParams {
            room,
            user_id: "robot_1".to_owned(),
            stream_url: StreamUrl::new("https://media.example.com/show.mp4"),
            seek_second: None,
            repeat: None,
            max_duration: None,
            options: StartOptions::default(),
        }
    }

    fn start(params: StartParams) -> Request {
        Request { destination: destination(), body: Body::Start { params: Box::new(params), valid_until: at(1_700_003_600) } }
    }

    /// The body of a start without its tickets, and the tickets.
    fn body_of(params: StartParams, private_map_key: bool) -> (Value, String, Option<String>) {
        let signed =
            sign(&start(params), "trtc.tencentcloudapi.com", &credentials(None), Some(&app(private_map_key)), at(1_700_000_000));
        let (_, bytes) = signed.unwrap_or_else(|error| panic!("{error}")).into_parts();
        let mut body: Value = serde_json::from_slice(&bytes).expect("it is JSON");
        let fields = body.as_object_mut().expect("an object");
        let mut take = |name: &str| fields.remove(name).and_then(|value| value.as_str().map(str::to_owned));
        let (user_sig, private_map_key) = (take("UserSig").expect("always there"), take("PrivateMapKey"));
        (body, user_sig, private_map_key)
    }

    #[test]
    fn a_start_sends_what_is_written_under_the_apis_names_and_nothing_else() {
        let common = json!({
            "SdkAppId": 1_400_000_000_u64, "RoomId": "42", "RoomIdType": 1, "UserId": "robot_1",
            "StreamUrl": "https://media.example.com/show.mp4"
        });
        assert_eq!(body_of(plain(Room::Integer(42)), false).0, common);

        let mut text = common.clone();
        text["RoomIdType"] = json!(0);
        assert_eq!(body_of(plain(Room::Text("42".to_owned())), false).0, text);

        let every = StartParams {
            seek_second: Some(30),
            repeat: Some(Repeat::Forever),
            max_duration: Some(121),
            options: StartOptions { volume: Some(200), tempo: Tempo::from_percent(125), ..StartOptions::default() },
            ..plain(Room::Integer(42))
        };
        let mut full = common.clone();
        for (name, value) in [
            ("SeekSecond", json!(30)),
            ("RepeatNum", json!(-1)),
            ("MaxDuration", json!(121)),
            ("Volume", json!(200)),
            ("Tempo", json!(1.25)),
        ] {
            full[name] = value;
        }
        assert_eq!(body_of(every, false).0, full);

        let normal = StartParams {
            options: StartOptions { tempo: Some(Tempo::NORMAL), ..StartOptions::default() },
            repeat: Some(Repeat::Times(3)),
            ..plain(Room::Integer(42))
        };
        let (body, ..) = body_of(normal, false);
        assert!(body["Tempo"].is_f64(), "a float also when it is a whole number");
        assert_eq!(body["RepeatNum"], json!(3));
    }

    #[test]
    fn a_start_carries_tickets_that_hold_until_asked() {
        let (_, user_sig, none) = body_of(plain(Room::Integer(42)), false);
        assert_eq!(none, None);
        let (_, _, key) = body_of(plain(Room::Integer(42)), true);
        for ticket in [user_sig, key.expect("asked for")] {
            let decoded = decode(&ticket).expect("our own");
            assert_eq!(decoded.verify("the app's key", at(1_700_003_600)), Ok(()));
            assert!(decoded.verify("the app's key", at(1_700_003_602)).is_err());
        }
    }

    #[test]
    fn a_ticket_for_the_past_or_an_app_without_a_key_cannot_be_sent() {
        let request = start(plain(Room::Integer(42)));
        let attempt = |app: Option<&AppKey>, now| sign(&request, "localhost", &credentials(None), app, at(now)).err();
        assert_eq!(attempt(Some(&app(false)), 1_700_000_000), None);
        assert_eq!(attempt(Some(&app(false)), 1_700_003_600), Some("a ticket cannot hold for 0 s".to_owned()));
        assert_eq!(attempt(None, 1_700_000_000), Some("there is no key for the app `main`".to_owned()));
    }

    #[test]
    fn validity_is_rounded_up_to_whole_seconds_from_a_whole_second() {
        let now = at(1_700_000_000) + SignedDuration::from_millis(900);
        assert_eq!(valid_s(now, at(1_700_000_002)), Ok(3));
        assert_eq!(valid_s(at(1_700_000_000), at(1_700_000_002)), Ok(3));
        assert!(valid_s(now, at(1_699_999_999)).is_err());
        assert!(valid_s(at(0), at(253_000_000_000)).is_err());
    }

    #[test]
    fn a_request_holds_every_secret_that_an_answer_may_repeat() {
        let stream_url = StreamUrl::new("RTMP://live.example.com/app/stream-key");
        let request = start(StartParams { stream_url: stream_url.clone(), ..plain(Room::Integer(42)) });
        let signed = sign(&request, "localhost", &credentials(Some("the token")), Some(&app(true)), at(1_700_000_000));
        let signed = signed.unwrap_or_else(|error| panic!("{error}"));
        let body: Value = serde_json::from_slice(&signed.body).expect("it is JSON");
        let sent = |name: &str| body[name].as_str().map(str::to_owned).expect("a text");
        let tickets = [sent("UserSig"), sent("PrivateMapKey"), "the token".to_owned()];
        let (_, authorization) = signed.headers.first().expect("it is signed");
        let (_, signature) = authorization.split_once("Signature=").expect("it holds the signature");
        let others = [authorization, signature, &credentials(None).secret_id, stream_url.reveal(), "stream-key"].map(str::to_owned);
        for secret in tickets.into_iter().chain(others) {
            assert!(signed.mask().finds(&secret), "{secret}");
            assert_eq!(signed.mask().mask(&secret).find(&secret[secret.len() - 8..]), None, "{secret}");
        }
        assert_eq!(signed.mask().mask(authorization), "[...]");
    }

    #[test]
    fn debugging_a_request_does_not_show_its_stream_url() {
        let stream_url = StreamUrl::new("rtmp://me:hush-hush@live.example.com/app/hush-hush?sign=hush-hush");
        let params = StartParams { stream_url, ..plain(Room::Integer(42)) };
        let request = start(params.clone());
        for shown in [format!("{params:#?}"), format!("{:?}", request.body), format!("{request:?}")] {
            assert!(shown.contains("rtmp://live.example.com/app/") && !shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn the_token_is_sent_and_not_signed_and_every_header_is_there() {
        let request = Request { destination: destination(), body: Body::Describe { task_id: "-gCTF+WtU7t7..".to_owned() } };
        let headers = |token| {
            let signed = sign(&request, "trtc.tencentcloudapi.com", &credentials(token), None, at(1_700_006_399));
            signed.unwrap_or_else(|error| panic!("{error}")).into_parts()
        };
        let (plain, body) = headers(None);
        // The vector V6 of TRTC.md section 3.4.
        assert_eq!(body, br#"{"SdkAppId":1400000000,"TaskId":"-gCTF+WtU7t7.."}"#);
        assert_eq!(
            plain,
            [
                (
                    "authorization",
                    "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE00000000000000000000000000/2023-11-14/trtc/tc3_request, \
                     SignedHeaders=content-type;host, \
                     Signature=f6f6ea74b20ca89dc610080732d5059263e38acd47c2a918820d8da6e805cbb8"
                ),
                ("content-type", "application/json"),
                ("host", "trtc.tencentcloudapi.com"),
                ("x-tc-action", "DescribeStreamIngest"),
                ("x-tc-version", "2019-07-22"),
                ("x-tc-timestamp", "1700006399"),
                ("x-tc-region", "ap-guangzhou"),
                ("x-tc-language", "en-US"),
            ]
            .map(|(name, value)| (name, value.to_owned()))
        );
        let (with_token, _) = headers(Some("TOKENEXAMPLE1234567890"));
        assert_eq!(with_token[..8], plain[..]);
        assert_eq!(with_token[8], ("x-tc-token", "TOKENEXAMPLE1234567890".to_owned()));
    }
}
