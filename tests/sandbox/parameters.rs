//! The body: each parameter that is missing, of another type or out of its range has its code, and so have a UserSig and a
//! PrivateMapKey that are not good. Leaves the headers to `authentication`.

use ingestd::sandbox::{WELL_KNOWN_APP_KEY, WELL_KNOWN_SDK_APP_ID};
use serde_json::json;

use super::client::{Ask, Ticket};
use super::{BEGIN_MS, Rig, STRICT_APP, STRICT_APP_KEY};

const NOW_S: i64 = BEGIN_MS / 1000;

#[tokio::test]
async fn each_parameter_of_a_start_has_its_range_and_its_code() {
    let start = || Ask::start().robot("robot_1");
    let long_room = "x".repeat(65);
    let cases = vec![
        ("no application", start().without("SdkAppId"), "MissingParameter.SdkAppId"),
        ("no room", start().without("RoomId"), "MissingParameter.RoomId"),
        ("no room type", start().without("RoomIdType"), "MissingParameter"),
        ("no user", start().without("UserId"), "MissingParameter.UserId"),
        ("no UserSig", start().without("UserSig"), "MissingParameter.UserSig"),
        ("no stream", start().without("StreamUrl"), "InvalidParameter.StreamUrl"),
        ("an unknown parameter", start().field("Loop", true), "UnknownParameter"),
        ("a parameter of another action", start().field("TaskId", "x"), "UnknownParameter"),
        ("a deprecated parameter", start().field("SourceUrl", json!(["https://a.example/x"])), "UnsupportedOperation"),
        ("an application that is text", start().field("SdkAppId", "1400000001"), "InvalidParameter"),
        ("an application that is not there", start().field("SdkAppId", 1), "InvalidParameter.SdkAppId"),
        ("a room that is a number", start().field("RoomId", 10000), "InvalidParameter"),
        ("an integer room with letters", start().field("RoomId", "room123"), "InvalidParameter.RoomId"),
        ("an integer room with a sign", start().field("RoomId", "+10000"), "InvalidParameter.RoomId"),
        ("integer room 0", start().field("RoomId", "0"), "InvalidParameter.RoomId"),
        ("an integer room beyond 32 bits", start().field("RoomId", "4294967296"), "InvalidParameter.RoomId"),
        ("the last integer room", start().field("RoomId", "4294967294"), "ok"),
        ("a string room", start().field("RoomIdType", 0).field("RoomId", "lobby"), "ok"),
        ("a string room without a name", start().field("RoomIdType", 0).field("RoomId", ""), "InvalidParameter.StrRoomId"),
        ("a string room of 65 bytes", start().field("RoomIdType", 0).field("RoomId", long_room), "InvalidParameter.StrRoomId"),
        ("a room type that is none", start().field("RoomIdType", 2), "InvalidParameterValue"),
        ("a user with a space", start().robot("robot 1"), "InvalidParameterValue"),
        ("a user of 33 bytes", start().robot(&"r".repeat(33)), "InvalidParameterValue"),
        ("a stream without a scheme", start().field("StreamUrl", "media.example.com/show.mp4"), "InvalidParameter.StreamUrl"),
        ("a stream over ftp", start().field("StreamUrl", "ftp://a.example/x.mp4"), "InvalidParameter.StreamUrl"),
        ("a stream without a host", start().field("StreamUrl", "rtmp:///live/key"), "InvalidParameter.StreamUrl"),
        ("a stream with a space", start().field("StreamUrl", "https://a.example/a b.mp4"), "InvalidParameter.StreamUrl"),
        ("a stream over rtmp", start().field("StreamUrl", "rtmp://a.example/live/key"), "ok"),
        ("no repetition", start().field("RepeatNum", 0), "InvalidParameterValue"),
        ("less than endless", start().field("RepeatNum", -2), "InvalidParameterValue"),
        ("1000 plays", start().field("RepeatNum", 1000), "ok"),
        ("1001 plays", start().field("RepeatNum", 1001), "InvalidParameterValue"),
        ("plays beyond 64 bits", start().field("RepeatNum", u64::MAX), "InvalidParameterValue"),
        ("half a play", start().field("RepeatNum", 1.5), "InvalidParameter"),
        ("no duration", start().field("MaxDuration", 0), "InvalidParameterValue"),
        ("seven days", start().field("MaxDuration", 10_080), "ok"),
        ("more than seven days", start().field("MaxDuration", 10_081), "InvalidParameterValue"),
        ("silence", start().field("Volume", 0), "ok"),
        ("double volume", start().field("Volume", 200), "ok"),
        ("more volume", start().field("Volume", 201), "InvalidParameterValue"),
        ("less than silence", start().field("Volume", -1), "InvalidParameterValue"),
        ("a tempo of the seven", start().field("Tempo", 1.75), "ok"),
        ("a tempo that is an integer", start().field("Tempo", 2), "ok"),
        ("another tempo", start().field("Tempo", 1.1), "InvalidParameterValue"),
        ("a tempo that is text", start().field("Tempo", "1.0"), "InvalidParameter"),
        ("no idle time", start().field("IdleTimeout", 0), "ok"),
        ("ten minutes of idle time", start().field("IdleTimeout", 600), "ok"),
        ("more idle time", start().field("IdleTimeout", 601), "InvalidParameterValue"),
        ("a seek", start().field("SeekSecond", 10), "ok"),
        ("a seek before the beginning", start().field("SeekSecond", -1), "InvalidParameterValue"),
        ("progress", start().field("EnableProgress", true), "ok"),
        ("progress that is a number", start().field("EnableProgress", 1), "InvalidParameter"),
        ("a relay", start().field("AutoPush", false), "ok"),
        ("a relay that is text", start().field("AutoPush", "true"), "InvalidParameter"),
    ];
    let rig = Rig::with(|config| (config.rate, config.exist) = (1000, ingestd::sandbox::ExistReading::Both)).await;
    for (name, ask, expected) in cases {
        let reply = rig.wire().await.ask(&ask).await;
        assert_eq!(reply.code(), expected, "{name}: {}", reply.message());
    }
}

#[tokio::test]
async fn a_body_is_one_json_object() {
    let rig = Rig::new().await;
    for body in ["", "{", "[]", "null", "\u{fffd}", "{\"SdkAppId\": 1} x"] {
        let mut ask = Ask::start();
        ask.raw_body = Some(body.as_bytes().to_vec());
        assert_eq!(rig.code(&ask).await, "InvalidParameter.BodyParamsError", "{body:?}");
    }
}

#[tokio::test]
async fn follow_ups_name_a_task_and_nothing_else() {
    let rig = Rig::new().await;
    for follow_up in [Ask::stop("x"), Ask::describe("x")] {
        for (name, ask, expected) in [
            ("no task", follow_up.clone().without("TaskId"), "MissingParameter.TaskId"),
            ("an empty task", follow_up.clone().field("TaskId", ""), "InvalidParameter.TaskId"),
            ("a task that is a number", follow_up.clone().field("TaskId", 7), "InvalidParameter"),
            ("no application", follow_up.clone().without("SdkAppId"), "MissingParameter.SdkAppId"),
            ("an application that is not there", follow_up.clone().field("SdkAppId", 7), "InvalidParameter.SdkAppId"),
            ("a parameter of a start", follow_up.clone().field("RoomId", "10000"), "UnknownParameter"),
        ] {
            assert_eq!(rig.code(&ask).await, expected, "{}: {name}", ask.action);
        }
    }
}

#[tokio::test]
async fn a_user_sig_is_for_one_user_one_application_and_a_time() {
    let rig = Rig::with(|config| config.exist = ingestd::sandbox::ExistReading::Both).await;
    let ticket = |user, app, issued_at_s| Ticket::new(user, app, issued_at_s);
    let app = WELL_KNOWN_SDK_APP_ID;
    for (name, user_sig, expected) in [
        ("good", ticket("robot_1", app, NOW_S).mint(WELL_KNOWN_APP_KEY), "ok"),
        ("in its last second", ticket("robot_1", app, NOW_S - 7200).mint(WELL_KNOWN_APP_KEY), "ok"),
        ("expired", ticket("robot_1", app, NOW_S - 7201).mint(WELL_KNOWN_APP_KEY), "InvalidParameter.UserSig"),
        ("another user's", ticket("robot_2", app, NOW_S).mint(WELL_KNOWN_APP_KEY), "InvalidParameter.UserSig"),
        ("another application's", ticket("robot_1", STRICT_APP, NOW_S).mint(WELL_KNOWN_APP_KEY), "InvalidParameter.UserSig"),
        ("another key's", ticket("robot_1", app, NOW_S).mint(STRICT_APP_KEY), "InvalidParameter.UserSig"),
        ("no ticket at all", "eJwexample_".to_owned(), "InvalidParameter.UserSig"),
        ("nothing", String::new(), "InvalidParameter.UserSig"),
    ] {
        let reply = rig.wire().await.ask(&Ask::start().field("UserSig", user_sig)).await;
        assert_eq!(reply.code(), expected, "{name}: {}", reply.message());
    }
}

#[tokio::test]
async fn a_private_map_key_is_demanded_where_the_application_demands_it() {
    let rig = Rig::with(|config| config.exist = ingestd::sandbox::ExistReading::Both).await;
    let base = || Ticket::new("robot_1", STRICT_APP, NOW_S);
    let start = Ask::start().field("SdkAppId", STRICT_APP).field("UserSig", base().mint(STRICT_APP_KEY));
    let text_room = start.clone().field("RoomIdType", 0).field("RoomId", "lobby");
    let end = NOW_S + 7200;
    let bad = "InvalidParameter.UserSig";
    let mint = |ticket: Ticket<'_>| ticket.mint(STRICT_APP_KEY);
    let with = |ask: &Ask, ticket| ask.clone().field("PrivateMapKey", mint(ticket));
    for (name, ask, expected) in [
        ("none", start.clone(), bad),
        ("good for an integer room", with(&start, base().pass(10000, None, end, 255)), "ok"),
        ("good for a string room", with(&text_room, base().pass(0, Some("lobby"), end, 255)), "ok"),
        ("the least privileges", with(&start, base().pass(10000, None, end, 23)), "ok"),
        ("too few privileges", with(&start, base().pass(10000, None, end, 42)), bad),
        ("another room", with(&start, base().pass(10001, None, end, 255)), bad),
        ("the string room of the same digits", with(&start, base().pass(0, Some("10000"), end, 255)), bad),
        ("a string room beside the right integer", with(&start, base().pass(10000, Some("10000"), end, 255)), bad),
        ("another string room", with(&text_room, base().pass(0, Some("hall"), end, 255)), bad),
        ("the integer room in place of the string room", with(&text_room, base().pass(10000, None, end, 255)), bad),
        ("a pass that has expired", with(&start, base().pass(10000, None, NOW_S - 1, 255)), bad),
        ("a UserSig in its place", with(&start, base()), bad),
        ("a buffer cut short", with(&start, Ticket { buffer: Some(vec![0, 0, 7]), ..base() }), bad),
        ("another user's", with(&start, Ticket::new("robot_2", STRICT_APP, NOW_S).pass(10000, None, end, 255)), bad),
        ("of another key", start.clone().field("PrivateMapKey", base().pass(10000, None, end, 255).mint("k")), bad),
        ("not asked for, and not read", Ask::start().field("PrivateMapKey", "x"), "ok"),
    ] {
        let reply = rig.wire().await.ask(&ask).await;
        assert_eq!(reply.code(), expected, "{name}: {}", reply.message());
    }
}

#[tokio::test]
async fn authentication_comes_before_parameters() {
    let rig = Rig::new().await;
    let mut ask = Ask::start().without("RoomId");
    ask.secret_key.push('x');
    assert_eq!(rig.code(&ask).await, "AuthFailure.SignatureFailure");
}

#[tokio::test]
async fn a_room_that_no_viewer_could_enter_is_refused_where_rooms_are_strict() {
    for (strict, refused) in [(false, "ok"), (true, "InvalidParameter.StrRoomId")] {
        let rig = Rig::with(|config| config.strict_rooms = strict).await;
        let code = async |id: &str| {
            rig.code(&Ask::start().robot(&format!("r{}", id.len())).field("RoomIdType", 0).field("RoomId", id)).await
        };
        for room in ["大厅", "１２３", "studio/a", "42 ", " hall", "a\u{202e}b"] {
            assert_eq!(code(room).await, refused, "{room:?}, strict: {strict}");
        }
        for room in ["lobby of the house", "!#$%&()+-:;<=.>?@[]^_{}|~,", "42"] {
            assert_eq!(code(room).await, "ok", "{room:?}, strict: {strict}");
        }
    }
}
