//! The promise that what we sign is what the vendor's own tools would sign: the published examples and the vectors of
//! TRTC.md sections 3 and 4, each intermediate value asserted, and cases that the official SDK makes up at random.

use ingestd::trtc::tc3::{Covered, hex, sha256_hex};
use jiff::Timestamp;

#[path = "signing/sdk.rs"]
mod sdk;
#[path = "signing/tickets.rs"]
mod tickets;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time of our days")
}

/// One row of TRTC.md section 3.3 or 3.4. The keys come as hexadecimal: date, service, signing.
struct Vector {
    id: &'static str,
    secret_id: &'static str,
    secret_key: &'static str,
    service: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    body_hash: &'static str,
    second: i64,
    date: &'static str,
    keys: Option<[&'static str; 3]>,
    canonical_hash: Option<&'static str>,
    signature: &'static str,
}

impl Vector {
    fn check(&self) {
        let id = self.id;
        let covered =
            Covered { service: self.service, headers: self.headers, body: self.body.as_bytes(), signed_at: at(self.second) };
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let lines: Vec<String> = self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.to_lowercase())).collect();
        let canonical = format!("POST\n/\n\n{}\n{}\n{}", lines.concat(), names.join(";"), self.body_hash);

        assert_eq!(sha256_hex(self.body.as_bytes()), self.body_hash, "{id}: hash of the body");
        assert_eq!(covered.canonical_request(), canonical, "{id}: canonical request");
        if let Some(hash) = self.canonical_hash {
            assert_eq!(sha256_hex(canonical.as_bytes()), hash, "{id}: hash of the canonical request");
        }
        let to_sign = format!(
            "TC3-HMAC-SHA256\n{}\n{}/{}/tc3_request\n{}",
            self.second,
            self.date,
            self.service,
            sha256_hex(canonical.as_bytes())
        );
        assert_eq!(covered.string_to_sign(), to_sign, "{id}: string to sign");
        let derived = covered.derive(self.secret_key);
        if let Some(keys) = self.keys {
            assert_eq!([hex(&derived.date), hex(&derived.service), hex(&derived.signing)], keys, "{id}: derived keys");
        }
        assert_eq!(covered.signature(self.secret_key), self.signature, "{id}: signature");
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{}/{}/tc3_request, SignedHeaders={}, Signature={}",
            self.secret_id,
            self.date,
            self.service,
            names.join(";"),
            self.signature
        );
        assert_eq!(covered.authorization(self.secret_id, self.secret_key), authorization, "{id}: authorization");
    }
}

#[test]
fn the_vendors_worked_examples_are_reproduced_step_by_step() {
    const BODY: &str = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
    const TWO: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8"), ("host", "cvm.tencentcloudapi.com")];
    const THREE: &[(&str, &str)] = &[
        ("content-type", "application/json; charset=utf-8"),
        ("host", "cvm.tencentcloudapi.com"),
        ("x-tc-action", "DescribeInstances"),
    ];
    const EXAMPLE: Vector = Vector {
        id: "A",
        secret_id: "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
        secret_key: "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
        service: "cvm",
        headers: TWO,
        body: BODY,
        body_hash: "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064",
        second: 1_551_113_065,
        date: "2019-02-25",
        keys: Some([
            "d1308c81fe71cfd4e06437bbc067b2b8a3d2d8c0e375d547f15c41d5214b395a",
            "3c7cb7c7795393edc14fd2e0e6434a518564b4504b88e94f5d11bf59ba3e7050",
            "ac658d5dde49e9bfdd14e04e062f66b05d9f637d44b8a8d845327d4a77f666b1",
        ]),
        canonical_hash: Some("5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031"),
        signature: "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
    };
    EXAMPLE.check();
    Vector {
        id: "B",
        secret_key: "Gu5t9xGARNpq86cd98joQYCN3*******",
        keys: None,
        signature: "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c",
        ..EXAMPLE
    }
    .check();
    Vector {
        id: "C",
        secret_id: "AKID********************************",
        secret_key: "********************************",
        headers: THREE,
        keys: Some([
            "da98fb70dcf6b112dc21038d1eeeb3a95c74b4dcb12c1131f864f6066bd02be0",
            "8d70cbefb03939f929db64d32dc2ba89b1095620119fe3e050e2b18c5bd2752f",
            "b596b923aad85185e2d1f6659d2a062e0a86731226e021e61bfe06f7ed05f5af",
        ]),
        canonical_hash: Some("7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84"),
        signature: "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
        ..EXAMPLE
    }
    .check();
}

const B1: &str = r#"{"SdkAppId": 1400000000, "RoomId": "10000", "RoomIdType": 1, "UserId": "robot_1", "UserSig": "eJwexample_", "StreamUrl": "https://media.example.com/show.mp4", "RepeatNum": -1, "MaxDuration": 60}"#;
const B2: &str = r#"{"SdkAppId":1400000000,"RoomId":"10000","RoomIdType":1,"UserId":"robot_1","UserSig":"eJwexample_","StreamUrl":"https://media.example.com/show.mp4","RepeatNum":-1,"MaxDuration":60}"#;
const B3A: &str = r#"{"SdkAppId": 1400000000, "RoomId": "\u76f4\u64ad\u95f4-1", "RoomIdType": 0, "UserId": "robot_1", "UserSig": "eJwexample_", "StreamUrl": "https://media.example.com/\u8282\u76ee/show.mp4"}"#;
const B3B: &str = r#"{"SdkAppId":1400000000,"RoomId":"直播间-1","RoomIdType":0,"UserId":"robot_1","UserSig":"eJwexample_","StreamUrl":"https://media.example.com/节目/show.mp4"}"#;
const B6: &str = r#"{"SdkAppId":1400000000,"TaskId":"-gCTF+WtU7t7.."}"#;

const HASH_B2: &str = "fe6a940dd686dbf015fde19dacdff7453077accfcb3e055d9bff9d978816130a";
const HASH_B6: &str = "d6b8357286422088bdda026b10aef61f14bf567c62f030bb03fa64161d33f519";

const MAINLAND: &[(&str, &str)] = &[("content-type", "application/json"), ("host", "trtc.tencentcloudapi.com")];
const MAINLAND_START: &[(&str, &str)] =
    &[("content-type", "application/json"), ("host", "trtc.tencentcloudapi.com"), ("x-tc-action", "StartStreamIngest")];
const MAINLAND_DESCRIBE: &[(&str, &str)] =
    &[("content-type", "application/json"), ("host", "trtc.tencentcloudapi.com"), ("x-tc-action", "DescribeStreamIngest")];
const INTERNATIONAL: &[(&str, &str)] = &[("content-type", "application/json"), ("host", "trtc.intl.tencentcloudapi.com")];
const INTERNATIONAL_START: &[(&str, &str)] =
    &[("content-type", "application/json"), ("host", "trtc.intl.tencentcloudapi.com"), ("x-tc-action", "StartStreamIngest")];

const KEYS_OF_NOVEMBER_14: Option<[&str; 3]> = Some([
    "963fc66c80dbcf1264824a9301669ad57bc57fe9ddd573999c0aa458654bac79",
    "804e6a4f57d3cd119819e3da1e2d7dc9e9690c0b250ddb0b7baa8a0f24727eb9",
    "1913148964cb49e3ef411d771d8c924e9b33520c66f0630aff29deca2bcfa1d0",
]);

#[test]
fn the_vectors_of_the_official_sdk_are_reproduced_step_by_step() {
    for (plain, signing_the_action) in sdk_vectors() {
        plain.check();
        signing_the_action.check();
    }
}

/// V1 to V7, each twice: as the SDK signs, and with `x-tc-action` among the signed headers. V4 is V2 with a token, which no
/// signature covers, so it has no row of its own.
#[expect(clippy::too_many_lines, reason = "a table")]
fn sdk_vectors() -> [(Vector, Vector); 7] {
    let start = |id, body, body_hash, canonical_hash, signature, also_signed| {
        let vector = |headers, canonical_hash, signature| Vector {
            id,
            secret_id: "AKIDEXAMPLE00000000000000000000000000",
            secret_key: "EXAMPLESECRETKEY0000000000000000",
            service: "trtc",
            headers,
            body,
            body_hash,
            second: 1_700_000_000,
            date: "2023-11-14",
            keys: KEYS_OF_NOVEMBER_14,
            canonical_hash,
            signature,
        };
        (vector(MAINLAND, Some(canonical_hash), signature), vector(MAINLAND_START, None, also_signed))
    };
    let with = |(plain, also): (Vector, Vector), change: &dyn Fn(Vector) -> Vector, headers: [&'static [(&str, &str)]; 2]| {
        (Vector { headers: headers[0], ..change(plain) }, Vector { headers: headers[1], ..change(also) })
    };
    let v5 = start(
        "V5",
        B2,
        HASH_B2,
        "0f9dc3b71b5976afdc63e2c6fbe54f129d4d9451de41724749def2559cf4296c",
        "0668beb9043e9b7a3e4f5e4c5487c60c75474e510a4f4c36b23ab8f3db73852d",
        "eeb24bd900226bc276ec22d046fb031a22c36df5f4d6fa00596253aae2b12fe3",
    );
    let canonical_hash_of_v6 = "1842a90b78bc1a3830d1340b254aec937561db06ce51110299da0918a41b0023";
    let v6 = start(
        "V6",
        B6,
        HASH_B6,
        canonical_hash_of_v6,
        "f6f6ea74b20ca89dc610080732d5059263e38acd47c2a918820d8da6e805cbb8",
        "66d15961891b7f480b98a553c6589527462c2d211a95c42e0eaf95075a14848f",
    );
    let v7 = start(
        "V7",
        B6,
        HASH_B6,
        canonical_hash_of_v6,
        "293b1a99e0d3e4e2ba6a1d412a35aa08e78e8b4f6c963f2fe1cd09e7b53fae68",
        "06a127ace2a256a6ae7deaea57bfaf54893372f9b2fd4e566b85dec0c36bcef8",
    );
    [
        start(
            "V1",
            B1,
            "3a117887b4b6dc5119a7d76c372a4e42b16cf540d68dee4d9b47dc39c132e802",
            "908d40de532b5c089024bd0a97303e80ac6ff66e67ca8e42677de2c39e297179",
            "13a686c67fe9a9fcbdc568cd09cc25a4054457374bf39b577fd5d68d59f34ab6",
            "fced519d10b6d2240454ce028fffa324d697ef42a75301ddca70d5efed25c22e",
        ),
        start(
            "V2",
            B2,
            HASH_B2,
            "21f33f2809c43677092c05cde162fcf910f24c7b1c684a1551f1b472a93ae4d3",
            "9605ee2910eb55c7c36a7aceaf73db663a4a05f24dfcf9f02ba5141ba9704e06",
            "d9ec6bf6844f070ae9c589c21281ea93d63fba875cfe31243fba7772186fbf08",
        ),
        start(
            "V3a",
            B3A,
            "8a1a4fceae7593d1e0ecbb79cef4016c1c456ecccc258ba2f859510f32d8680b",
            "06ee6179dbfd456f80b7d2e1d0044e5d0e11604c0e522d76aded86cf8a90fa6f",
            "e2a7f4938fb9e5d7cc5ca82b6d8b90d211e55d02b765f0a8dafcde8447eda89a",
            "46490180c102e8b1c8a691c68028afd72d414a9cadc3885c4ab453bf241a975c",
        ),
        start(
            "V3b",
            B3B,
            "076621096c82659c54b7bb7605c2239cd62699a53c3899a6c7610dad623b9664",
            "e0cfacb9989f3cdb4f27d689c27c3083b32c6703e96371cd2b8d6d99fa2b1483",
            "5831d3371e9771ac77ab9ebe06b9bb24a84b71715d83af5bd601d59e54b40592",
            "2d417d9fa1921943e78a2435686c8cf7733ce9aa9e3fe676c7dd4a211a22523c",
        ),
        with(v5, &|vector| vector, [INTERNATIONAL, INTERNATIONAL_START]),
        with(v6, &|vector| Vector { second: 1_700_006_399, ..vector }, [MAINLAND, MAINLAND_DESCRIBE]),
        with(
            v7,
            &|vector| Vector { second: 1_700_006_400, date: "2023-11-15", keys: None, ..vector },
            [MAINLAND, MAINLAND_DESCRIBE],
        ),
    ]
}

#[test]
fn headers_are_sorted_trimmed_and_lower_cased_before_they_are_signed() {
    let tidy = Covered { service: "trtc", headers: MAINLAND_START, body: B2.as_bytes(), signed_at: at(1_700_000_000) };
    let untidy = Covered {
        headers: &[
            ("X-TC-Action", " startstreamingest\t"),
            ("Host", "TRTC.tencentcloudapi.com"),
            ("Content-Type", "application/JSON "),
        ],
        ..tidy
    };
    assert_eq!(untidy.canonical_request(), tidy.canonical_request());
}
