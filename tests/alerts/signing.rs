//! The signatures, compared with what nobody here wrote: values that others publish, and Python's `hmac` with the words of each guide.

use std::process::Command;

use ingestd::alerts::{Format, test_message, wire};
use jiff::Timestamp;
use serde_json::Value;

/// The three ways, as the guides' own samples in Python do it: base64 of HMAC-SHA256 for Feishu (the key is the text) and `DingTalk`, and the
/// HMAC of the raw body for our own form.
const PYTHON: &str = "
import base64, hashlib, hmac, sys, urllib.parse
key, seconds, millis, body = sys.argv[1:5]
print(base64.b64encode(hmac.new(f'{seconds}\\n{key}'.encode(), digestmod=hashlib.sha256).digest()).decode())
print(urllib.parse.quote_plus(base64.b64encode(hmac.new(key.encode(), f'{millis}\\n{key}'.encode(), digestmod=hashlib.sha256).digest())))
print('sha256=' + hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest())
";

fn feishu(key: &str, now: Timestamp) -> String {
    let request = wire(Format::Feishu, &test_message("a", now), "tv1", Some(key), now);
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    body["sign"].as_str().expect("a signature").to_owned()
}

#[test]
fn the_signature_for_feishu_is_that_of_the_example_of_its_guide() {
    // Guide of custom robots, security settings: timestamp 1599360473, secret `demo`. Its value stands in the tests of several public
    // clients, of which none is ours.
    let now = Timestamp::from_second(1_599_360_473).expect("an instant");
    assert_eq!(feishu("demo", now), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
}

#[test]
fn the_signatures_are_those_of_python() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("left out: there is no python3 here");
        return;
    }
    let mut compared = 0;
    for key in ["demo", "SEC175ff0376a2551f1", "this is secret", "\u{5bc6}\u{94a5}+/=&"] {
        for second in [1_599_360_473, 1_795_975_200] {
            let now = Timestamp::from_millisecond(second * 1_000 + 7).expect("an instant");
            let message = test_message("a", now);
            let ours = wire(Format::Json, &message, "tv1", Some(key), now);
            let body = String::from_utf8(ours.body).expect("text");
            let times = [second.to_string(), (second * 1_000 + 7).to_string()];
            let output = Command::new("python3").args(["-c", PYTHON, key, &times[0], &times[1], &body]).output().expect("python");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).expect("text");
            let expected: Vec<&str> = text.lines().collect();
            let dingtalk = wire(Format::Dingtalk, &message, "tv1", Some(key), now).query;
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&dingtalk).finish();
            assert_eq!(feishu(key, now), expected[0]);
            assert_eq!(query, format!("timestamp={}&sign={}", times[1], expected[1]));
            assert_eq!(ours.headers[0].1, expected[2]);
            compared += 3;
        }
    }
    println!("{compared} signatures are those of Python's hmac");
}
