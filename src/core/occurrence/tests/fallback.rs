//! Which of the two a show plays, by what is known of its media; and what it remembers of that.

use super::*;
use crate::trtc::Request;

fn real() -> StreamUrl {
    StreamUrl::new("https://cdn.example.com/promo.mp4")
}

fn still() -> StreamUrl {
    StreamUrl::new("https://cdn.example.com/still.mp4?sign=hush")
}

/// The example, with a fallback.
fn show() -> Occurrence {
    let playout = Playout { fallback: Some(still()), ..example().playout };
    Occurrence { playout, ..example() }
}

fn on_air(occurrence: &Occurrence, seconds: i64) -> Occurrence {
    answer(occurrence, &accepted(), at(seconds))
}

fn media(looks: &[(StreamUrl, i64, bool)]) -> KnownMedia {
    let mut media = KnownMedia::default();
    for (url, began, is_there) in looks {
        media.learn(url.clone(), at(*began), *is_there);
    }
    media
}

#[test]
fn what_plays_follows_from_what_is_known() {
    let troubled = |since, returns| {
        let mut show = on_air(&show(), 0);
        show.stream_is_missing(FallbackReason::Unpulled, at(since));
        show.fallback.returns = returns;
        show
    };
    let refused = Occurrence { fallback: FallbackRecord { is_refused: true, ..FallbackRecord::default() }, ..show() };
    let (missing, found) = ((real(), 0, false), (real(), 100, true));
    for (name, show, looks, now, expected) in [
        ("nothing is known", show(), vec![], 0, Source::Stream),
        ("it is missing", show(), vec![missing.clone()], 179, Source::Fallback),
        ("that was long ago", show(), vec![missing.clone()], 180, Source::Stream),
        ("it was there later", show(), vec![missing.clone(), (real(), 1, true)], 2, Source::Stream),
        ("an older word comes later", show(), vec![(real(), 1, true), missing.clone()], 2, Source::Stream),
        ("both are missing", show(), vec![missing.clone(), (still(), 0, false)], 1, Source::Stream),
        ("it has no fallback", example(), vec![missing.clone()], 1, Source::Stream),
        ("it plays", on_air(&show(), 0), vec![missing.clone()], 1, Source::Stream),
        ("the fallback was refused", refused, vec![missing.clone()], 1, Source::Stream),
        ("the vendor says so", troubled(90, 0), vec![], 100, Source::Fallback),
        ("a later look finds it", troubled(90, 0), vec![found.clone()], 101, Source::Stream),
        ("the look began before", troubled(101, 0), vec![found.clone()], 102, Source::Fallback),
        ("it went back in vain a moment ago", troubled(90, 1), vec![found.clone()], 101, Source::Fallback),
        ("it went back in vain, and waited", troubled(40, 1), vec![found.clone()], 101, Source::Stream),
        ("the third wait is four minutes", troubled(-139, 3), vec![found.clone()], 101, Source::Fallback),
        ("no wait is longer than ten", troubled(-500, 90), vec![found], 101, Source::Stream),
    ] {
        assert_eq!(plays(&show, &media(&looks), at(now)), expected, "{name}");
    }
}

#[test]
fn media_that_would_be_over_is_not_gone_back_to() {
    let single = Playout { repeat: Repeat::Times(1), ..show().playout };
    let mut show = on_air(&Occurrence { playout: single, ..show() }, 0);
    show.stream_is_missing(FallbackReason::Unpulled, at(60));
    show.change_source(at(60));
    assert_eq!(plays(&show, &media(&[(real(), 500, true)]), at(500)), Source::Stream);
    assert_eq!(plays(&show, &media(&[(real(), 700, true)]), at(700)), Source::Fallback, "it was ten minutes long");
}

#[test]
fn a_fallback_is_sent_from_its_beginning_in_a_loop_and_what_is_live_as_it_comes() {
    let mut late = show();
    late.decide_source(Source::Fallback, at(0));
    late.change_source(at(0));
    let sent = |occurrence: &Occurrence, seconds| {
        let Ok(Request { body: Body::Start { params, .. }, .. }) = start_request(occurrence, at(seconds)) else {
            panic!("a start");
        };
        (params.stream_url.reveal().to_owned(), params.seek_second, params.repeat, params.max_duration)
    };
    let url = still().reveal().to_owned();
    assert_eq!(sent(&late, 100), (url.clone(), None, Some(Repeat::Forever), Some(60)));
    // With an open end it is bounded by the time in which a start may be tried.
    let open = Occurrence { end: End::Open, ..late.clone() };
    assert_eq!((open.stops_at(), sent(&open, 0)), (Some(at(600)), (url, None, Some(Repeat::Forever), Some(11))));
    assert_eq!(Occurrence { end: End::Never, ..late.clone() }.stops_at(), None);
    let live = Playout { fallback: Some(StreamUrl::new("rtmp://h/app/key")), ..show().playout }.of_fallback().expect("it has one");
    assert_eq!((live.live, live.repeat), (true, Repeat::Times(1)));
    assert_eq!(late.playout.mask("no hush, and no sign=hush"), "no hush, and no [...]");
}

#[test]
fn what_played_is_remembered_from_the_first_change_on() {
    let mut show = on_air(&show(), 0);
    assert_eq!(show.fallback, FallbackRecord::default(), "its row says when it was on air");
    show.stream_is_missing(FallbackReason::Unpulled, at(60));
    let mut waiting = decide(&show, Event::Switch, at(60)).expect("legal");
    waiting.change_source(at(60));
    assert!(waiting.plays_fallback() && !waiting.wants_other_source());
    let playing = on_air(&decide(&waiting, Event::Due, at(61)).expect("legal"), 62);
    let ended = decide(&playing, Event::Gone { at: at(3599), was_seen: true }, at(3600)).expect("legal");
    let spans: Vec<_> = ended.fallback.played.iter().map(|span| (span.url.clone(), span.from, span.to)).collect();
    assert_eq!(spans, [(real(), at(0), Some(at(60))), (still(), at(62), Some(at(3599)))]);
    assert_eq!(ended.state, State::Done { outcome: Outcome::EndedPlanned });
    // Whoever starts it again by hand begins with its stream.
    let again = ended.returned(at(3600));
    assert!(!again.plays_fallback() && again.fallback.trouble.is_none() && again.fallback.played.len() == 2);
}

#[test]
fn an_edit_of_another_stream_ends_the_trouble_and_one_of_something_else_does_not() {
    let mut show = show();
    show.decide_source(Source::Fallback, at(0));
    show.change_source(at(0));
    let scheduled = show.playout.scheduled().clone();
    let mut louder = show.clone();
    louder.take_edit(Playout { seek: Duration::from_secs(9), ..scheduled.clone() }, 2);
    assert!(louder.plays_fallback() && louder.playout.scheduled().seek == Duration::from_secs(9));
    let mut other = show.clone();
    other.take_edit(Playout { stream: StreamUrl::new("https://h/other.mp4"), ..scheduled.clone() }, 2);
    assert!(!other.plays_fallback() && other.fallback.trouble.is_none());
    let mut without = show;
    without.take_edit(Playout { fallback: None, ..scheduled }, 2);
    assert!(!without.plays_fallback() && without.fallback.trouble.is_none());
}

#[test]
fn a_show_with_an_open_end_is_not_over_while_its_own_task_is_told_to_exist() {
    let open = Occurrence { end: End::Open, ..show() };
    let mut changing = decide(&on_air(&open, 0), Event::Switch, at(60)).expect("legal");
    changing.stream_is_missing(FallbackReason::Unpulled, at(60));
    changing.change_source(at(60));
    let calling = decide(&changing, Event::Due, at(75)).expect("legal");
    let waiting = answer_while(&calling, &rejected("FailedOperation.TaskExist"), at(75), true);
    let calling = decide(&waiting, Event::Due, at(100)).expect("legal");
    // Its stop has no effect, and the time in which it may come back is over.
    let last = answer_while(&calling, &rejected("FailedOperation.TaskExist"), at(700), true);
    assert_eq!(last.state, State::Stopping { outcome: Outcome::EndedMedia });
    let without = decide(&answer_while(&calling, &rejected("InternalError"), at(101), false), Event::Due, at(702)).expect("legal");
    assert_eq!(outcome(&without), ("ended", "media"), "without it, it is over");
}
