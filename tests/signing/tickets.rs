//! UserSig and PrivateMapKey against the vectors of TRTC.md section 4.3.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingestd::trtc::Room;
use ingestd::trtc::tc3::hex;
use ingestd::trtc::usersig::{self, Holder};

use super::at;

const TICKET_KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

/// One vector of TRTC.md section 4.3. Without `python` there is no string to read.
struct Ticket {
    id: &'static str,
    sdk_app_id: u64,
    user_id: &'static str,
    valid_s: u32,
    to_sign: &'static str,
    room: Option<(Room, u32)>,
    user_buffer: Option<(&'static str, &'static str)>,
    signature: &'static str,
    python: Option<&'static str>,
}

const XIAOJUN: &str = "TLS.identifier:xiaojun\nTLS.sdkappid:1400000000\nTLS.time:1700000000\nTLS.expire:15552000\n";
const ROBOT: &str = "TLS.identifier:robot_1\nTLS.sdkappid:1600011111\nTLS.time:1700000000\nTLS.expire:7200\n";

fn tickets() -> [Ticket; 6] {
    let xiaojun = |id, room, user_buffer, signature, python| Ticket {
        id,
        sdk_app_id: 1_400_000_000,
        user_id: "xiaojun",
        valid_s: 15_552_000,
        to_sign: XIAOJUN,
        room,
        user_buffer,
        signature,
        python: Some(python),
    };
    let robot = |id, room, user_buffer, signature, python| Ticket {
        id,
        sdk_app_id: 1_600_011_111,
        user_id: "robot_1",
        valid_s: 7_200,
        to_sign: ROBOT,
        room,
        user_buffer,
        signature,
        python,
    };
    let text = |name: &str| Room::Text(name.to_owned());
    [
        xiaojun(
            "U1",
            None,
            None,
            "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=",
            "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__",
        ),
        robot(
            "U2",
            None,
            None,
            "wU9zOSiIfevapdJla7WauIKFVCAZO+1zON1lXrlbpfo=",
            Some(
                "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkivKT8kviDWGSxSnZiQUFmSlAKUMzAwMDQxCAyqVWFGQWpQJlzI0MDKBiJZm5IBFDcwMogJmTmQ4yvTzUsso-ONMzLbUssSDFKyfRPDyx1NPbLczZMcpf27DK388wJ6IoJ6kgLd9WqRYAXNAzKA__",
            ),
        ),
        xiaojun(
            "P1",
            Some((Room::Integer(10_000), 255)),
            Some(("0000077869616f6a756e53724e000000271066413f00000000ff00000000", "AAAHeGlhb2p1blNyTgAAACcQZkE/AAAAAP8AAAAA")),
            "y9Avb5xwHgIgoABbGakLaE0xs+v/dLcIPegbWfcbRLI=",
            "eJxdjl0LgjAUhv*K7Lbwi6QP6GKFqDDCSgi629xcS9PhV0r031Ozgt6bA89zDud9gAAd1ZrlYKUAU9XBVBmIoCwtRSTeohE4u1bpRxY0xlIK2iljpo8ZHWukyFlvLMsyf7wUt4HO--arguWkivovEEKXOcmFmNIgya4NeEe24f4c2xrs4y*G8a0heH-WLmFNrObuco9ncEMcHCNs600xqTWKQs9nnJyikByQtwbPF*BNRVk_",
        ),
        xiaojun(
            "P2",
            Some((text("adbjkl"), 255)),
            Some((
                "0100077869616f6a756e53724e000000000066413f00000000ff0000000000066164626a6b6c",
                "AQAHeGlhb2p1blNyTgAAAAAAZkE/AAAAAP8AAAAAAAZhZGJqa2w=",
            )),
            "3JrO3Pxr1r0w8ssGgqR3c1J+DJdHL0qe+iE9IUV0lTU=",
            "eJxdjlEPQmAUhv9K*241fchSmwtbRmalogt35MOJxIdorf9epNp6r86e5*yc945sc89eCUWLEeJZjMajnkBAsgpCeIsWvMupzj6yDBIvzyF4KW6KhwyOtDlQ0hlRFPkfr*Dc09nffl0S6tdh90XZKjrR0tjnc85P1zc7Uvq4iTrpB0tSBhK7mlF4fCN-K0HUnRAMuhGslnIUN1JZalGxE46cwSyNQDdxQRhQ5yvngFPbkdHjCRjgR94_",
        ),
        robot(
            "P3",
            Some((Room::Integer(4_294_967_295), 23)),
            Some(("000007726f626f745f315f5e3b67ffffffff65540d200000001700000000", "AAAHcm9ib3RfMV9eO2f/////ZVQNIAAAABcAAAAA")),
            "CCqz8ME7H/YnJO+lFla7h6YchQSblpX/oXzFad4dCOw=",
            None,
        ),
        robot(
            "P4",
            Some((text("channel-7"), 23)),
            Some((
                "010007726f626f745f315f5e3b670000000065540d20000000170000000000096368616e6e656c2d37",
                "AQAHcm9ib3RfMV9eO2cAAAAAZVQNIAAAABcAAAAAAAljaGFubmVsLTc=",
            )),
            "Yw16NSSXwv3L6C46o73+Zd3Sb2cqIdxhXrdkN2eE1Oc=",
            None,
        ),
    ]
}

#[test]
fn user_sigs_and_private_map_keys_are_reproduced_step_by_step() {
    for ticket in tickets() {
        let id = ticket.id;
        let holder = Holder {
            sdk_app_id: ticket.sdk_app_id,
            user_id: ticket.user_id,
            issued_at: at(1_700_000_000),
            valid_s: ticket.valid_s,
        };
        let user_buffer = ticket.room.as_ref().map(|(room, privileges)| holder.user_buffer(room, *privileges).expect("it fits"));
        let (buffer_hex, buffer_base64) = ticket.user_buffer.unzip();
        assert_eq!(user_buffer.as_deref().map(hex).as_deref(), buffer_hex, "{id}: user buffer");
        assert_eq!(user_buffer.as_deref().map(|bytes| STANDARD.encode(bytes)).as_deref(), buffer_base64, "{id}: user buffer");

        let to_sign = buffer_base64.map_or(ticket.to_sign.to_owned(), |base64| format!("{}TLS.userbuf:{base64}\n", ticket.to_sign));
        assert_eq!(holder.to_sign(user_buffer.as_deref()), to_sign, "{id}: text to sign");
        assert_eq!(usersig::tls_sig(TICKET_KEY, &to_sign), ticket.signature, "{id}: signature");

        let ours = match &ticket.room {
            None => holder.user_sig(TICKET_KEY),
            Some((room, privileges)) => holder.private_map_key(TICKET_KEY, room, *privileges).expect("it fits"),
        };
        for (whose, text) in [("ours", Some(ours.as_str())), ("python's", ticket.python)] {
            let Some(text) = text else { continue };
            let decoded = usersig::decode(text).unwrap_or_else(|error| panic!("{id}, {whose}: {error}"));
            assert_eq!(decoded.version, "2.0", "{id}, {whose}");
            assert_eq!(decoded.user_id, ticket.user_id, "{id}, {whose}");
            assert_eq!(decoded.sdk_app_id, ticket.sdk_app_id, "{id}, {whose}");
            assert_eq!(decoded.valid_s, u64::from(ticket.valid_s), "{id}, {whose}");
            assert_eq!(decoded.issued_at_s, 1_700_000_000, "{id}, {whose}");
            assert_eq!(decoded.user_buffer.as_deref(), buffer_base64, "{id}, {whose}");
            assert_eq!(decoded.user_buffer_bytes(), user_buffer, "{id}, {whose}");
            assert_eq!(decoded.signature, ticket.signature, "{id}, {whose}");
            assert_eq!(decoded.verify(TICKET_KEY, at(1_700_000_000)), Ok(()), "{id}, {whose}");
        }
    }
}

#[test]
fn a_ticket_holds_to_its_last_second_and_only_under_its_own_key() {
    let holder = Holder { sdk_app_id: 1_400_000_000, user_id: "robot", issued_at: at(1_700_000_000), valid_s: 60 };
    let decoded = usersig::decode(&holder.user_sig(TICKET_KEY)).expect("our own ticket");
    assert_eq!(decoded.verify(TICKET_KEY, at(1_700_000_060)), Ok(()));
    assert_eq!(decoded.verify(TICKET_KEY, at(1_700_000_061)), Err("it expired 1 s ago".to_owned()));
    assert!(decoded.verify("another key", at(1_700_000_000)).is_err());
    let mut altered = decoded.clone();
    altered.user_id = "somebody".to_owned();
    assert!(altered.verify(TICKET_KEY, at(1_700_000_000)).is_err());
}

#[test]
fn what_is_not_a_ticket_is_refused_without_being_unpacked_whole() {
    let pack = |bytes: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("a Vec takes every byte");
        STANDARD.encode(encoder.finish().expect("a Vec takes every byte")).replace('+', "*").replace('/', "-").replace('=', "_")
    };
    let bomb = pack(&vec![b' '; 2_000_000]);
    for (ticket, expected) in [
        (String::new(), "zlib"),
        ("not a ticket".to_owned(), "alphabet"),
        ("+/==".to_owned(), "alphabet"),
        ("AAAA".to_owned(), "zlib"),
        ("A".repeat(4097), "at most 4096 are read"),
        (bomb, "unpacks to more than 4096 bytes"),
        (pack(b"[]"), "fields of a ticket"),
        (pack(br#"{"TLS.ver":"2.0"}"#), "fields of a ticket"),
    ] {
        let error = usersig::decode(&ticket).expect_err("it is not a ticket");
        assert!(error.contains(expected), "`{error}` does not contain `{expected}`");
    }
}

#[test]
fn a_private_map_key_refuses_what_its_fields_cannot_carry() {
    let holder = Holder { sdk_app_id: 1_400_000_000, user_id: "robot", issued_at: at(1_700_000_000), valid_s: 60 };
    let room = Room::Integer(1);
    assert!(holder.user_buffer(&room, 255).is_ok());
    assert!(Holder { sdk_app_id: 1 << 32, ..holder }.user_buffer(&room, 255).is_err());
    assert!(Holder { issued_at: at(4_294_967_290), ..holder }.user_buffer(&room, 255).is_err());
    assert!(holder.user_buffer(&Room::Text(String::new()), 255).is_err());
}

#[test]
fn a_decoded_ticket_does_not_print_its_secrets() {
    let holder = Holder { sdk_app_id: 1_400_000_000, user_id: "robot", issued_at: at(1_700_000_000), valid_s: 60 };
    let decoded = usersig::decode(&holder.user_sig(TICKET_KEY)).expect("our own ticket");
    assert!(!format!("{decoded:?}").contains(&decoded.signature));
}
