//! Answers that something on the way broke: none of them is a success, and the TaskId in them is a candidate.

use std::io::Write as _;

use ingestd::trtc::{Api, Success, TaskStatus};

use super::server::{Server, response};
use super::{STARTED, api, describe, now, start};

fn packed(body: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_task_id_in_a_broken_answer_is_a_candidate() {
    let error = br#"{"Response":{"TaskId":"-gC+W.","Error":{"Code":"InternalError"},"RequestId":"r"}}"#;
    let short = STARTED.len() - 10;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {short}\r\n\r\n{STARTED}");
    let chunk = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{STARTED}\r\n", STARTED.len());
    let whole = response("200 OK", "", STARTED.as_bytes());
    for (what, bytes, then_hold) in [
        ("an error that names a task", response("200 OK", "", error), false),
        ("an error of a gateway", response("502 Bad Gateway", "", STARTED.replace("Response", "response").as_bytes()), false),
        ("a mark before it", response("200 OK", "", format!("\u{feff}{STARTED}").as_bytes()), false),
        ("a zero behind it", response("200 OK", "", format!("{STARTED}\0").as_bytes()), false),
        ("a Content-Length that is too short", head.into_bytes(), false),
        ("packed", response("200 OK", "Content-Encoding: gzip\r\n", &packed(STARTED)), false),
        ("cut in the body", whole[..whole.len() - 5].to_vec(), false),
        ("cut in the chunks", chunk.into_bytes(), false),
        ("silent in the body", whole[..whole.len() - 5].to_vec(), true),
    ] {
        let server = Server::start(move |connection| {
            connection.read();
            connection.write(&bytes);
            if then_hold {
                connection.hold();
            }
        });
        let answer = api(&server.url()).call(start(), now()).await;
        assert!(answer.result.is_err(), "{what}: {answer:?}");
        assert_eq!(answer.candidate.as_deref(), Some("-gC+W."), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn a_good_answer_and_one_without_a_usable_task_id_have_no_candidate() {
    let cut = r#"{"Response":{"TaskId":"-gC+W"#;
    let secret = r#"{"Response":{"TaskId":"the app's key","Error":{"Code":"A"}}}"#;
    for body in [STARTED, cut, secret, "<html>", r#"{"Response":{"RequestId":"r"}}"#] {
        let bytes = response("200 OK", "", body.as_bytes());
        let server = Server::start(move |connection| {
            connection.read();
            connection.write(&bytes);
        });
        assert_eq!(api(&server.url()).call(start(), now()).await.candidate, None, "{body}");
    }
}

#[tokio::test]
async fn a_describe_is_read_behind_what_was_added_on_the_way() {
    let body = r#"{"Response":{"Status":"InProgress","RequestId":"r"}}"#;
    for bytes in [format!("\u{feff}{body}").into_bytes(), format!("{body}\0").into_bytes(), packed(body)] {
        let bytes = response("200 OK", "", &bytes);
        let server = Server::start(move |connection| {
            connection.read();
            connection.write(&bytes);
        });
        let answer = api(&server.url()).call(describe("t"), now()).await;
        assert_eq!((answer.result, answer.candidate), (Ok(Success::Described(TaskStatus::InProgress)), None));
    }
}
