//! A probe against real servers on loopback addresses: what it sees, what it refuses to reach, and what it never sends.

mod server;
mod verb;

use std::net::TcpListener;
use std::time::Duration;

use ingestd::probe::{Expected, Look, MediaHost, MediaHosts, Prober, hello};
use ingestd::trtc::StreamUrl;

use server::{MediaServer, Thing, mp4, rtmp_server};

fn hosts(entries: &[&str]) -> MediaHosts {
    MediaHosts::new(entries.iter().map(|entry| MediaHost::parse(entry).expect("an entry")).collect())
}

fn of_length(seconds: u64) -> Expected {
    Expected { length: Some(Duration::from_secs(seconds)), live: false }
}

async fn look_with(hosts: MediaHosts, url: &str, expected: Expected) -> Look {
    let url = StreamUrl::new(url);
    Prober::new(hosts).expect("certificates").look(&url, &url, expected).await
}

/// The same where the first loopback address may be reached.
async fn look(url: &str, expected: Expected) -> Look {
    look_with(hosts(&["127.0.0.1"]), url, expected).await
}

fn told(look: &Look) -> Vec<String> {
    look.findings.iter().map(|finding| format!("{} {}", finding.severity.name(), finding.what)).collect()
}

#[tokio::test]
async fn good_media_is_seen_with_one_request_for_a_part() {
    let server = MediaServer::at("127.0.0.1");
    server.put("/a.mp4", Thing::File(mp4(60, 2_000_000, true)));
    let seen = look(&server.url("/a.mp4"), of_length(60)).await;
    assert_eq!(told(&seen), [""; 0], "{seen:?}");
    let facts = &seen.facts;
    assert_eq!((facts.container, facts.ranges, facts.length_ms), (Some("mp4"), Some(true), Some(60_000)));
    assert_eq!(
        (facts.video.as_deref(), facts.width, facts.height, facts.fps_percent),
        (Some("avc1"), Some(1_280), Some(720), Some(2_500))
    );
    assert_eq!((facts.index_first, facts.measured_bytes), (Some(true), 262_144));
    assert_eq!(server.requests(), ["GET /a.mp4 bytes=0-262143"]);
}

#[tokio::test]
async fn an_index_behind_the_media_is_fetched_by_its_place_and_not_the_media() {
    let server = MediaServer::at("127.0.0.1");
    server.put("/a.mp4", Thing::File(mp4(60, 3_000_000, false)));
    let seen = look(&server.url("/a.mp4"), of_length(90)).await;
    let [index, length] = &told(&seen)[..] else { panic!("{seen:?}") };
    assert!(index.starts_with("note ") && index.contains("behind the media"), "{index}");
    assert!(length.starts_with("problem ") && length.contains("plays for 1m, and the job says `length: 1m30s`"), "{length}");
    assert_eq!(server.requests().len(), 2, "{:?}", server.requests());
    server.put("/b.mp4", Thing::Whole(mp4(60, 3_000_000, false)));
    let seen = look(&server.url("/b.mp4"), of_length(60)).await;
    assert!(told(&seen).len() == 1 && told(&seen)[0].contains("does not serve parts: all of it must be fetched"), "{seen:?}");
}

#[tokio::test]
async fn what_is_not_there_or_not_media_is_a_problem() {
    let server = MediaServer::at("127.0.0.1");
    server.put("/gone", Thing::Status(410));
    server.put("/secret", Thing::Status(403));
    server.put("/empty", Thing::File(Vec::new()));
    server.put("/page", Thing::Whole(b"<!DOCTYPE html><title>Log in</title>".to_vec()));
    server.put("/cut.mp4", Thing::File(mp4(60, 5_000, true)[..300].to_vec()));
    server.put("/loop", Thing::Redirect("/loop".to_owned()));
    server.put("/ftp", Thing::Redirect("ftp://example.com/a.mp4".to_owned()));
    for (path, words, advice) in [
        ("/none", "HTTP status 404", "put it there before the show"),
        ("/gone", "HTTP status 410", "put it there before the show"),
        ("/secret", "HTTP status 403", "signature has not expired"),
        ("/empty", "is empty", "anew"),
        ("/page", "a login page", "without a login"),
        ("/cut.mp4", "was cut off", "whole"),
        ("/loop", "more than 5", "`stream` of the job"),
        ("/ftp", "something else than HTTP", "`stream` of the job"),
    ] {
        let seen = look(&server.url(path), Expected::default()).await;
        let [finding] = &seen.findings[..] else { panic!("{path}: {seen:?}") };
        assert!(finding.is_problem() && finding.what.contains(words) && finding.advice.contains(advice), "{path}: {finding:?}");
    }
    assert!(server.requests().iter().all(|request| request.starts_with("GET ") && request.contains("bytes=")), "no HEAD is sent");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let seen = look(&format!("http://{free}/a.mp4"), Expected::default()).await;
    assert!(told(&seen)[0].contains("cannot be reached: nothing listens there"), "{seen:?}");
}

#[tokio::test]
async fn no_loopback_address_is_reached_unless_it_is_named_redirected_or_not() {
    let (named, other) = (MediaServer::at("127.0.0.1"), MediaServer::at("127.0.0.2"));
    for server in [&named, &other] {
        server.put("/a.mp4", Thing::File(mp4(60, 5_000, true)));
    }
    named.put("/away", Thing::Redirect(other.url("/a.mp4")));
    named.put("/near", Thing::Redirect("/a.mp4".to_owned()));
    let seen = look_with(MediaHosts::default(), &named.url("/a.mp4"), of_length(60)).await;
    assert!(told(&seen)[0].contains("is not fetched: `127.0.0.1` is a loopback address"), "{seen:?}");
    assert_eq!(named.requests(), [""; 0], "no connection was made");
    let seen = look(&named.url("/away"), of_length(60)).await;
    assert!(told(&seen)[0].contains("`127.0.0.2` is a loopback address"), "{seen:?}");
    assert_eq!(other.requests(), [""; 0], "no redirect is followed there");
    let seen = look(&named.url("/near"), of_length(60)).await;
    assert_eq!((told(&seen).len(), seen.facts.redirects), (0, 1), "{seen:?}");

    // A name is judged by what it resolves to.
    let by_name = format!("http://localhost:{}/a.mp4", named.address.port());
    let seen = look_with(MediaHosts::default(), &by_name, of_length(60)).await;
    assert!(told(&seen)[0].contains("`localhost` resolves to") && told(&seen)[0].contains("loopback"), "{seen:?}");
    let seen = look_with(hosts(&["localhost"]), &by_name, of_length(60)).await;
    assert_eq!(told(&seen), [""; 0], "{seen:?}");
    let in_disguise = format!("http://0x7f.1:{}/a.mp4", named.address.port());
    let seen = look_with(MediaHosts::default(), &in_disguise, of_length(60)).await;
    assert!(told(&seen)[0].contains("loopback address"), "{seen:?}");
    let rtmp = rtmp_server(hello());
    let seen = look_with(MediaHosts::default(), &format!("rtmp://{rtmp}/app/key"), Expected::default()).await;
    assert!(told(&seen)[0].contains("loopback address"), "{seen:?}");
}

#[tokio::test]
async fn media_that_comes_more_slowly_than_it_plays_is_told_and_a_slow_begin_is_not() {
    let server = MediaServer::at("127.0.0.1");
    // It needs 800 kB a second; a slow part has 320.
    let media = mp4(10, 8_000_000, true);
    server.put("/begin.mp4", Thing::Slow(media.clone(), 1));
    let seen = look(&server.url("/begin.mp4"), of_length(10)).await;
    assert_eq!((told(&seen), server.requests().len()), (Vec::new(), 2), "{seen:?}");
    server.put("/slow.mp4", Thing::Slow(media, 9));
    let seen = look(&server.url("/slow.mp4"), of_length(10)).await;
    assert!(told(&seen).len() == 1 && told(&seen)[0].contains("kbit/s to this host, and needs 6401 kbit/s"), "{seen:?}");
}

#[tokio::test]
async fn a_playlist_is_followed_to_a_segment() {
    let server = MediaServer::at("127.0.0.1");
    let list = |text: &str| Thing::Whole(text.as_bytes().to_vec());
    server.put("/all.m3u8", list("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/list.m3u8\n"));
    server.put("/low/list.m3u8", list("#EXTM3U\n#EXTINF:6,\n1.ts\n#EXTINF:4,\n2.ts\n#EXT-X-ENDLIST\n"));
    let seen = look(&server.url("/all.m3u8"), of_length(10)).await;
    assert!(told(&seen)[0].contains("a segment of it is not there: the server answers with HTTP status 404"), "{seen:?}");
    let mut segment = vec![0; 1_000];
    (segment[0], segment[188]) = (0x47, 0x47);
    server.put("/low/1.ts", Thing::Whole(segment));
    let seen = look(&server.url("/all.m3u8"), of_length(10)).await;
    assert_eq!((told(&seen), seen.facts.length_ms), (Vec::new(), Some(10_000)), "{seen:?}");
    let away = MediaServer::at("127.0.0.2");
    server.put("/away.m3u8", list(&format!("#EXTM3U\n#EXTINF:6,\n{}\n", away.url("/1.ts"))));
    let seen = look(&server.url("/away.m3u8"), Expected::default()).await;
    assert!(told(&seen)[0].contains("a segment of it: `127.0.0.2` is a loopback address"), "{seen:?}");
    assert_eq!(away.requests(), [""; 0]);
}

#[tokio::test]
async fn a_long_playlist_is_read_to_its_end_and_a_segment_that_is_a_page_is_told() {
    let server = MediaServer::at("127.0.0.1");
    let signature = "s".repeat(200);
    // The longer one is not read to its end: no line of it that was cut is taken for a segment.
    for (count, length_ms, segment) in [(2_000, Some(12_000_000), "/00000.ts"), (40_000, None, "/")] {
        let segments = (0..count).map(|number| format!("#EXTINF:6,\n{number:05}.ts?sign={signature}\n"));
        let text = format!("#EXTM3U\n{}#EXT-X-ENDLIST\n", segments.collect::<String>());
        server.put("/long.m3u8", Thing::Whole(text.into_bytes()));
        let all = (0..count).map(|number| format!("/{number:05}.ts"));
        all.for_each(|path| server.put(&path, Thing::Whole([&[0x47; 189][..], &[0; 99]].concat())));
        let seen = look(&server.url("/long.m3u8"), Expected::default()).await;
        assert_eq!((told(&seen), seen.facts.length_ms), (Vec::new(), length_ms), "{seen:?}");
        let last = server.requests().pop().expect("a segment was asked for");
        assert!(last.contains(segment) && last.contains(&format!("?sign={signature} ")), "{last}");
    }
    server.put("/a.m3u8", Thing::Whole(b"#EXTM3U\n#EXTINF:6,\npage\n#EXT-X-ENDLIST\n".to_vec()));
    server.put("/page", Thing::Whole(b"<html>log in</html>".to_vec()));
    let seen = look(&server.url("/a.m3u8"), Expected::default()).await;
    assert!(told(&seen).iter().any(|told| told.contains("a segment of it is a page")), "{seen:?}");
}

#[tokio::test]
async fn a_live_source_is_asked_for_its_handshake_alone() {
    let live = Expected { length: None, live: true };
    let server = rtmp_server(hello());
    let seen = look(&format!("rtmp://{server}/app/hush-key"), live).await;
    assert_eq!((told(&seen), seen.facts.container), (Vec::new(), Some("rtmp")), "{seen:?}");
    let web = rtmp_server(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let seen = look(&format!("rtmp://{web}/app/hush-key"), live).await;
    assert!(told(&seen)[0].contains("does not speak RTMP") && !told(&seen)[0].contains("hush"), "{seen:?}");
    let seen = look(&format!("rtmps://{server}/app/hush-key"), live).await;
    assert!(told(&seen)[0].starts_with("problem ") && !told(&seen)[0].contains("hush"), "{seen:?}");
}

#[tokio::test]
async fn secrets_of_a_url_are_sent_and_never_told() {
    let server = MediaServer::at("127.0.0.1");
    let shown = StreamUrl::new(&server.url("/{secret:folder}/a.mp4?sign={secret:sign}"));
    let filled = StreamUrl::new(&server.url("/hush-folder/a.mp4?sign=hush-sign"));
    server.put("/hush-folder/a.mp4", Thing::Redirect("/elsewhere/a.mp4?sign=hush-sign".to_owned()));
    let seen = Prober::new(hosts(&["127.0.0.1"])).expect("certificates").look(&filled, &shown, Expected::default()).await;
    assert!(server.requests()[0].contains("/hush-folder/a.mp4?sign=hush-sign"), "{:?}", server.requests());
    assert!(told(&seen)[0].contains("/{secret:folder}/a.mp4`") && !format!("{seen:?}").contains("hush"), "{seen:?}");
}
