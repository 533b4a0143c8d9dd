//! Ends, readings of `TaskExist`, and what is remembered of a task; nothing of requests.

use std::collections::BTreeMap;

use crate::sandbox::MediaOutage;
use crate::trtc::callback::TaskNews;
use crate::trtc::{Room, StartOptions, StreamUrl};

use super::*;

const ASKER: Asker<'static> = Asker { sdk_app_id: 1, region: "ap-singapore" };

fn params(room: u32, robot: &str, url: &str) -> StartParams {
    StartParams {
        room: Room::Integer(room),
        user_id: robot.to_owned(),
        stream_url: StreamUrl::new(url),
        seek_second: None,
        repeat: None,
        max_duration: None,
        options: StartOptions::default(),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("an instant")
}

fn book(exist: ExistReading) -> TaskBook {
    let media = MediaLengths {
        default: Duration::from_mins(1),
        by_url: BTreeMap::from([("https://a.example/90.mp4".to_owned(), Duration::from_secs(90))]),
        unreachable: ["https://a.example/gone.mp4".to_owned()].into(),
        outages: BTreeMap::new(),
    };
    TaskBook::new(exist, media, at(0), CallbackQueue::new(true))
}

#[test]
fn a_task_ends_as_its_parameters_say() {
    let plain = || params(1, "r", "https://a.example/x.mp4");
    let tempo = |percent| StartOptions { tempo: Tempo::from_percent(percent), ..StartOptions::default() };
    for (name, params, expected) in [
        ("one play of the default length, then idle", plain(), Some((65, EndReason::Media))),
        ("a length of its own", params(1, "r", "https://a.example/90.mp4"), Some((95, EndReason::Media))),
        (
            "an idle timeout",
            StartParams { options: StartOptions { idle_timeout: Some(0), ..StartOptions::default() }, ..plain() },
            Some((60, EndReason::Media)),
        ),
        ("three plays", StartParams { repeat: Some(Repeat::Times(3)), ..plain() }, Some((185, EndReason::Media))),
        (
            "sought, repeated, at double speed",
            StartParams { repeat: Some(Repeat::Times(2)), seek_second: Some(20), options: tempo(200), ..plain() },
            Some((55, EndReason::Media)),
        ),
        ("at half speed", StartParams { options: tempo(50), ..plain() }, Some((125, EndReason::Media))),
        ("sought past its end", StartParams { seek_second: Some(600), ..plain() }, Some((5, EndReason::Media))),
        ("endless", StartParams { repeat: Some(Repeat::Forever), ..plain() }, None),
        (
            "endless with a bound, which is minutes",
            StartParams { repeat: Some(Repeat::Forever), max_duration: Some(2), ..plain() },
            Some((120, EndReason::MaxDuration)),
        ),
        (
            "a bound that does not count, because it is not endless",
            StartParams { repeat: Some(Repeat::Times(3)), max_duration: Some(1), ..plain() },
            Some((185, EndReason::Media)),
        ),
        ("a live source", params(1, "r", "rtmp://a.example/live/key"), None),
    ] {
        let mut book = book(ExistReading::RoomUser);
        let task_id = book.start(ASKER, params, None, at(0)).expect("a start");
        let expected = expected.map(|(seconds, reason)| (at(seconds), reason));
        assert_eq!(book.find(&task_id).expect("it is remembered").bound, expected, "{name}");
        let Some((end, _)) = expected else { continue };
        let before = end - SignedDuration::from_millis(1);
        assert_eq!(book.runs(ASKER, &task_id, before), Some(true), "{name}");
        assert_eq!(book.runs(ASKER, &task_id, end), Some(false), "{name}");
        assert_eq!(book.stop(ASKER, &task_id, end).expect_err("a error").code, "FailedOperation.TaskFinished", "{name}");
    }
}

#[test]
fn each_reading_of_task_exist_has_its_own_second_start() {
    let url = "https://a.example/x.mp4";
    for (reading, same_room, other_room, running) in [
        (ExistReading::RoomUser, Err("FailedOperation.TaskExist"), Ok(()), 2),
        (ExistReading::User, Err("FailedOperation.TaskExist"), Err("FailedOperation.TaskExist"), 1),
        (ExistReading::Displace, Ok(()), Ok(()), 1),
        (ExistReading::Both, Ok(()), Ok(()), 3),
    ] {
        let mut book = book(reading);
        book.start(ASKER, params(1, "r", url), None, at(0)).expect("a start");
        let mut second = |room| book.start(ASKER, params(room, "r", url), None, at(1)).map(|_| ()).map_err(|error| error.code);
        assert_eq!(second(1).map_err(|code| code.to_string()), same_room.map_err(str::to_owned), "{reading}");
        assert_eq!(second(2).map_err(|code| code.to_string()), other_room.map_err(str::to_owned), "{reading}");
        assert_eq!(book.all(at(1)).iter().filter(|task| task.runs()).count(), running, "{reading}");
        book.start(ASKER, params(1, "another", url), None, at(2)).expect("a start");
        book.start(Asker { sdk_app_id: 2, ..ASKER }, params(1, "r", url), None, at(2)).expect("a start");
    }
}

#[test]
fn a_task_is_known_only_where_it_was_started() {
    let mut book = book(ExistReading::RoomUser);
    let task_id = book.start(ASKER, params(1, "r", "https://a.example/x.mp4"), None, at(0)).expect("a start");
    for stranger in [Asker { sdk_app_id: 2, ..ASKER }, Asker { region: "ap-jakarta", ..ASKER }] {
        assert_eq!(book.runs(stranger, &task_id, at(1)), None);
        assert_eq!(book.stop(stranger, &task_id, at(1)).expect_err("a error").code, "InvalidParameter.TaskId");
    }
    assert!(book.stop(ASKER, &task_id, at(1)).is_ok());
    assert_eq!(book.find(&task_id).expect("it is remembered").ended, Some((at(1), EndReason::Stopped)));
}

#[test]
fn ids_are_opaque_and_never_the_same() {
    let mut first = book(ExistReading::Both);
    let mut ids: Vec<String> = (0..100).map(|_| first.mint()).collect();
    ids.push(TaskBook::new(ExistReading::Both, MediaLengths::default(), at(1), CallbackQueue::new(false)).mint());
    assert!(ids.iter().all(|id| id.contains('+') && id.contains('-') && id.contains('.')), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 101);
}

#[test]
fn only_the_last_ended_tasks_are_remembered() {
    let mut book = book(ExistReading::Both);
    let url = "https://a.example/x.mp4";
    let first = book.start(ASKER, params(1, "r", url), None, at(0)).expect("a start");
    assert!(book.kill(&first, at(1)));
    for _ in 0..ENDED_MAX {
        let task_id = book.start(ASKER, params(1, "r", url), None, at(1)).expect("a start");
        assert!(book.kill(&task_id, at(1)));
    }
    assert_eq!(book.stop(ASKER, &first, at(2)).expect_err("a error").code, "InvalidParameter.TaskId");
}

#[test]
fn news_comes_when_it_happens_and_an_end_takes_back_what_was_to_come() {
    use crate::trtc::callback::TaskNews::{StartAgain, StartFailed, Started, Stopped};
    let mut book = book(ExistReading::Displace);
    let events = |book: &mut TaskBook, now| {
        let (due, next) = book.news(at(now));
        let due: Vec<_> = due.into_iter().map(|news| (news.news, news.robot, news.at.duration_since(at(0)).as_secs())).collect();
        (due, next.map(|next| next.duration_since(at(0)).as_secs()))
    };
    let news = |what, robot: &str, seconds| (what, robot.to_owned(), seconds);
    book.start(ASKER, params(1, "a", "https://a.example/x.mp4"), None, at(0)).expect("a start");
    let gone = book.start(ASKER, params(2, "b", "https://a.example/gone.mp4"), None, at(1)).expect("a start");
    assert_eq!(events(&mut book, 1), (vec![news(Started, "a", 0), news(StartFailed, "b", 1)], Some(2)));
    assert_eq!(events(&mut book, 1), (vec![], Some(2)));
    assert_eq!(events(&mut book, 2), (vec![news(StartAgain, "b", 2)], Some(4)));
    book.stop(ASKER, &gone, at(3)).expect("a stop");
    assert_eq!(events(&mut book, 4), (vec![news(Stopped, "b", 3)], Some(65)));
    // Ends in the past come at their instants, whenever somebody looks.
    assert_eq!(events(&mut book, 500), (vec![news(Stopped, "a", 65)], None));
    for second in [501, 502] {
        book.start(ASKER, params(1, "a", "rtmp://a.example/live/key"), None, at(second)).expect("a start");
    }
    assert_eq!(events(&mut book, 502).0, [news(Started, "a", 501), news(Stopped, "a", 502), news(Started, "a", 502)]);
    let mut deaf = TaskBook::new(ExistReading::Both, MediaLengths::default(), at(0), CallbackQueue::new(false));
    deaf.start(ASKER, params(1, "a", "https://a.example/x.mp4"), None, at(0)).expect("a start");
    assert_eq!(deaf.news(at(9_999)).0, []);
}

#[test]
fn media_that_dies_is_told_of_tasks_that_play_it_and_so_is_its_return() {
    let url = "https://a.example/cam.mp4";
    let outage = MediaOutage { dies: Duration::from_secs(10), heals: Some(Duration::from_secs(40)) };
    let media =
        MediaLengths { default: Duration::from_mins(10), outages: [(url.to_owned(), outage)].into(), ..MediaLengths::default() };
    let mut book = TaskBook::new(ExistReading::RoomUser, media, at(0), CallbackQueue::new(true));
    book.start(ASKER, params(1, "before", url), None, at(1)).expect("a start");
    book.start(ASKER, params(2, "other", "https://a.example/x.mp4"), None, at(1)).expect("a start");
    assert_eq!(book.news(at(5)).1, Some(at(10)), "the next is when it dies");
    book.start(ASKER, params(3, "meanwhile", url), None, at(20)).expect("a start");
    let told = book.news(at(60)).0;
    let told: Vec<_> = told.iter().map(|news| (news.at.as_second() - at(0).as_second(), news.robot.as_str(), news.news)).collect();
    let (failed, again, started) = (TaskNews::StartFailed, TaskNews::StartAgain, TaskNews::Started);
    let expected = [
        (10, "before", failed),
        (11, "before", again),
        (13, "before", again),
        (20, "meanwhile", failed),
        (21, "meanwhile", again),
        (23, "meanwhile", again),
        (40, "before", started),
        (40, "meanwhile", started),
    ];
    assert_eq!(told, expected);
    // The same by hand, and nothing twice.
    book.set_media(url, true, at(61));
    book.set_media(url, false, at(62));
    assert_eq!(book.news(at(62)).0.len(), 2);
}
