//! Cases that the vendor's official SDK made up at random, against ours. `tests/oracles/sdk.py` makes them and runs this.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingestd::trtc::Room;
use ingestd::trtc::tc3::Covered;
use ingestd::trtc::usersig::{self, Holder};
use serde::Deserialize;

use super::at;

/// Names the file of cases.
const VARIABLE: &str = "INGESTD_SDK_CASES";

#[derive(Deserialize)]
struct Cases {
    /// Requests as the SDK signed them.
    requests: Vec<SignedBySdk>,
    /// Tickets as the SDK minted them.
    tickets: Vec<MintedBySdk>,
}

#[derive(Deserialize)]
struct SignedBySdk {
    secret_id: String,
    secret_key: String,
    host: String,
    content_type: String,
    second: i64,
    body: String,
    authorization: String,
}

#[derive(Deserialize)]
struct MintedBySdk {
    sdk_app_id: u64,
    key: String,
    user_id: String,
    second: i64,
    valid_s: u32,
    /// What a PrivateMapKey is for; without it the ticket is a UserSig.
    room: Option<RoomOfCase>,
    user_buffer: Option<String>,
    ticket: String,
}

#[derive(Deserialize)]
struct RoomOfCase {
    id: String,
    string: bool,
    privileges: u32,
}

#[test]
fn random_cases_of_the_official_sdk_come_out_the_same() {
    let Some(file) = std::env::var_os(VARIABLE) else {
        println!("left out: the comparison with the official SDK; `tests/oracles/sdk.py` runs it");
        return;
    };
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("reading {}: {error}", file.display()));
    let cases: Cases = serde_json::from_slice(&text).expect("the script writes what is read here");
    assert!(!cases.requests.is_empty() && !cases.tickets.is_empty(), "a comparison of nothing proves nothing");
    for case in &cases.requests {
        let headers = [("content-type", case.content_type.as_str()), ("host", case.host.as_str())];
        let covered = Covered { service: "trtc", headers: &headers, body: case.body.as_bytes(), signed_at: at(case.second) };
        assert_eq!(covered.authorization(&case.secret_id, &case.secret_key), case.authorization, "{}", case.body);
    }
    for case in &cases.tickets {
        check_ticket(case);
    }
    println!("compared {} requests and {} tickets", cases.requests.len(), cases.tickets.len());
}

fn check_ticket(case: &MintedBySdk) {
    let MintedBySdk { sdk_app_id, key, user_id, second, valid_s, room, user_buffer, ticket } = case;
    let holder = Holder { sdk_app_id: *sdk_app_id, user_id, issued_at: at(*second), valid_s: *valid_s };
    let ours = match room {
        None => holder.user_sig(key),
        Some(RoomOfCase { id, string, privileges }) => {
            let kind = if *string { "string" } else { "integer" };
            let room = Room::from_parts(id, kind).expect("the script makes good rooms");
            let buffer = holder.user_buffer(&room, *privileges).expect("it fits");
            assert_eq!(Some(STANDARD.encode(buffer)), *user_buffer, "{user_id}");
            holder.private_map_key(key, &room, *privileges).expect("it fits")
        }
    };
    let theirs = usersig::decode(ticket).unwrap_or_else(|error| panic!("{ticket}: {error}"));
    assert_eq!(theirs.verify(key, at(*second)), Ok(()), "{user_id}");
    assert!(usersig::decode(&ours) == Ok(theirs), "the fields of `{user_id}`'s tickets differ");
}
