//! What interrupts an occurrence: who has the room of one that yields, and for how long; who cuts one that does not.

use ingestd::plan::Upcoming;
use ingestd::plan::holds::{Hold, Holds, JobSkip, OrderSource};
use ingestd::plan::interruptions::{Interrupted, Interruptions};

use super::{NOW, instant, jobs};

/// The pauses of the first occurrence of `filler` from now on, `job start end` in days and hours of UTC; an unknown end
/// is `..`. Or `null`.
fn pauses(filler: &str, others: &[(&str, &str)]) -> String {
    let filler = [("filler", filler)];
    let schedule = jobs("UTC", &[&filler, others].concat());
    let mut upcoming = Upcoming::new(&schedule, instant(NOW));
    let occurrence = upcoming.find(|occurrence| occurrence.job.id.as_str() == "filler").expect("it starts");
    let Some(pauses) = Interruptions::new(&schedule).of(occurrence).pauses else { return "null".to_owned() };
    let shown = |at: jiff::Timestamp| at.strftime("%d %H:%M").to_string();
    let line = |pause: &ingestd::plan::interruptions::Pause| {
        format!("{} {} to {}", pause.job, shown(pause.start), pause.end.map_or("..".to_owned(), shown))
    };
    pauses.iter().map(line).collect::<Vec<_>>().join(", ")
}

#[test]
fn who_does_not_yield_has_the_room_within_the_window() {
    let filler = r#"once: 2026-12-01 04:00, to: "20:00", conflict: yield"#;
    for (other, expected) in [
        (r#"at: "18:00", for: 1h"#, "show 01 18:00 to 01 19:00"),
        (r#"at: ["18:00", "06:00"], for: 1h, conflict: preempt"#, "show 01 06:00 to 01 07:00, show 01 18:00 to 01 19:00"),
        // It began before, or goes on after.
        (r#"at: "03:00", for: 2h"#, "show 01 04:00 to 01 05:00"),
        (r#"at: "19:30", for: 2h"#, "show 01 19:30 to 01 20:00"),
        (r#"at: "04:00", for: 1d"#, "show 01 04:00 to 01 20:00"),
        (r#"at: "20:00", for: 8h"#, ""),
        (r#"at: "18:00", length: 30s"#, "show 01 18:00 to 01 18:00"),
        (r#"at: "18:00""#, "show 01 18:00 to .."),
        // It may still be there, and counts only when it began.
        (r#"at: "03:59""#, ""),
        ("once: 2026-03-01 00:00, to: never", "show 01 04:00 to 01 20:00"),
        (r#"at: "18:00", for: 1h, room: hall"#, ""),
        (r#"at: "18:00", for: 1h, enabled: false"#, ""),
    ] {
        assert_eq!(pauses(filler, &[("show", other)]), expected, "{other}");
    }
    assert_eq!(pauses(r#"at: "04:00", to: "20:00", conflict: preempt"#, &[("show", r#"at: "18:00", for: 1h"#)]), "null");
}

#[test]
fn of_two_that_yield_the_earlier_leaves_the_room() {
    let evening = ("evening", r#"at: "18:00", for: 4h, conflict: yield"#);
    assert_eq!(pauses(r#"at: "12:00", for: 8h, conflict: yield"#, &[evening]), "evening 22 18:00 to 22 20:00");
    assert_eq!(pauses(r#"at: "20:00", for: 8h, conflict: yield"#, &[evening]), "");
    // Its own next window too.
    assert_eq!(pauses(r#"at: ["12:00", "14:00"], for: 3h, conflict: yield"#, &[]), "filler 22 14:00 to 22 15:00");
}

#[test]
fn a_window_without_an_end_lists_pauses_of_400_days_and_an_open_one_those_of_its_start() {
    let never = "once: 2026-12-01 00:00, to: never, conflict: yield";
    let daily = pauses(never, &[("show", r#"at: "18:00", for: 1h"#)]);
    assert_eq!(daily.split(", ").count(), 400);
    assert!(daily.starts_with("show 01 18:00 to 01 19:00, show 02 18:00 to 02 19:00"), "{daily}");
    assert_eq!(pauses(never, &[("show", "every: 30m, for: 5m")]).split(", ").count(), 1_000);
    assert_eq!(pauses(never, &[("show", "once: 2026-12-24 18:00, to: never")]), "show 24 18:00 to ..");
    let live = "once: 2026-12-01 18:30, live: false, conflict: yield";
    assert_eq!(pauses(live, &[("show", r#"at: ["18:00", "20:00"], for: 1h"#)]), "show 01 18:30 to 01 19:00");
}

#[test]
fn a_pause_is_over_when_a_third_one_cuts_the_one_that_has_the_room() {
    let filler = r#"once: 2026-12-01 04:00, to: "23:00", conflict: yield"#;
    let show = ("show", r#"at: "18:00", for: 2h"#);
    let news = ("news", r#"at: "19:00", for: 30m, conflict: preempt"#);
    assert_eq!(pauses(filler, &[news, show]), "show 01 18:00 to 01 19:00, news 01 19:00 to 01 19:30");
}

/// Who cuts the first occurrence of `own` from now on, and when, in days and hours of UTC. Or nothing.
fn cut(own: &str, others: &[(&str, &str)]) -> String {
    let schedule = jobs("UTC", &[&[("own", own)], others].concat());
    let mut upcoming = Upcoming::new(&schedule, instant(NOW));
    let occurrence = upcoming.find(|occurrence| occurrence.job.id.as_str() == "own").expect("it starts");
    let interrupted = Interruptions::new(&schedule).of(occurrence);
    interrupted.cut.map(|cut| format!("{} {}", cut.job, cut.at.strftime("%d %H:%M"))).unwrap_or_default()
}

#[test]
fn who_takes_the_room_while_it_is_on_air_cuts_it() {
    let own = r#"once: 2026-12-01 18:00, to: "20:00""#;
    for (other, expected) in [
        (r#"at: "19:00", for: 1h, conflict: preempt"#, "other 01 19:00"),
        // The first of them.
        (r#"at: ["19:30", "18:30"], for: 5m, conflict: preempt"#, "other 01 18:30"),
        // It is over, or is about to be: a hand-over.
        (r#"at: "20:00", for: 1h, conflict: preempt"#, ""),
        (r#"at: "19:59:59", for: 1h, conflict: preempt"#, ""),
        // It began before: then this one takes its room.
        (r#"at: "17:00", for: 2h"#, ""),
        (r#"at: "19:00", for: 1h, conflict: yield"#, ""),
        (r#"at: "19:00", for: 1h, conflict: preempt, room: hall"#, ""),
        (r#"at: "19:00", for: 1h, conflict: preempt, enabled: false"#, ""),
        // Nothing says whose the room is, and somebody has it all the same.
        (r#"at: "19:00", for: 1h"#, "other 01 19:00"),
        (r#"at: "18:00", for: 1h, priority: 9"#, "other 01 18:00"),
        (r#"at: "18:00", for: 1h, priority: 1"#, ""),
    ] {
        assert_eq!(cut(own, &[("other", other)]), expected, "{other}");
    }
    assert_eq!(
        cut("once: 2026-12-01 18:00, to: never", &[("other", "once: 2027-02-01 10:00, for: 1h, conflict: preempt")]),
        "other 01 10:00"
    );
    assert_eq!(cut(r#"at: "18:00", for: 30h, conflict: preempt"#, &[]), "own 23 18:00", "its own next start");
    let both = "once: 2026-12-01 18:00, for: 2h, conflict: allow";
    assert_eq!(cut(both, &[("other", r#"at: "19:00", for: 1h, conflict: allow"#)]), "");
}

#[test]
fn an_open_end_is_cut_by_the_next_show_of_another_job() {
    let open = r#"at: "18:00", stream: "rtmp://live.example.com/app/key""#;
    assert_eq!(cut(open, &[]), "", "a show is over before its own job starts again");
    assert_eq!(cut(open, &[("other", r#"at: "21:00", for: 1h"#)]), "other 22 21:00");
    assert_eq!(cut(open, &[("other", r#"at: "17:00", for: 10m"#)]), "other 23 17:00");
    assert_eq!(cut(open, &[("other", r#"at: "21:00", for: 1h, conflict: yield"#)]), "");
}

#[test]
fn what_is_asked_for_in_any_order_has_the_same_answer() {
    let show = ("show", r#"at: ["06:00", "18:00"], for: 3h"#);
    let filler = ("filler", r#"at: "04:00", to: "04:00", conflict: yield"#);
    let news = ("news", "every: 7h, from: 2026-01-01, for: 10m, conflict: preempt");
    let schedule = jobs("UTC", &[show, filler, news]);
    let all: Vec<_> = Upcoming::new(&schedule, instant(NOW)).take(60).collect();
    let shared = Interruptions::new(&schedule);
    let order: Vec<usize> =
        (0..all.len()).chain((0..all.len()).rev()).chain((0..all.len()).map(|index| index * 37 % all.len())).collect();
    for index in order {
        let (once, again) = (Interruptions::new(&schedule).of(all[index].clone()), shared.of(all[index].clone()));
        assert_eq!((once.cut, once.pauses), (again.cut, again.pauses), "{:?}", all[index]);
    }
}

#[test]
fn the_next_start_of_a_job_saves_the_look_into_its_room_and_changes_no_answer() {
    let alone = [
        r#"at: ["06:00", "18:00"], for: 3h"#,
        "every: 1h, for: 1h",
        "every: 1h, for: 90m, conflict: preempt",
        r#"at: "18:00", to: never, conflict: preempt"#,
        r#"at: "01:30", to: "03:30""#,
        r#"at: "18:00""#,
        r#"at: "18:00", for: 1h, conflict: yield"#,
        // Of two windows of one day, only the second is over before the job starts again.
        r#"at: ["12:00", "14:00"], for: 3h, conflict: yield"#,
        "once: 2026-12-01 18:00, for: 1h",
    ];
    let show = ("show", r#"at: ["06:00", "18:00"], for: 3h"#);
    let news = ("news", "every: 7h, from: 2026-01-01, for: 10m, conflict: preempt");
    let rooms = alone.iter().map(|fields| vec![("own", *fields)]).chain([vec![show, news]]);
    let mut cuts = 0;
    for room in rooms {
        let schedule = jobs("Europe/Berlin", &room);
        let skips = Upcoming::new(&schedule, instant(NOW)).take(300).step_by(3).map(|skipped| {
            let source = OrderSource { who: "anna".to_owned(), note: None };
            Hold::Skip(JobSkip { job: skipped.job.id.clone(), start: skipped.start.at, source })
        });
        for holds in [Holds::default(), Holds::new(skips)] {
            let [asked, told] = [(); 2].map(|()| Interruptions::new(&schedule).with_holds(&holds, instant(NOW)));
            for (occurrence, next) in Upcoming::new(&schedule, instant(NOW)).followed().take(300) {
                let [asked, told] = [asked.of(occurrence.clone()), told.of_followed(occurrence, next)];
                let shown = |listed: &Interrupted| format!("{:?}", (&listed.cut, &listed.pauses, &listed.held));
                assert_eq!(shown(&asked), shown(&told), "{:?}", asked.occurrence);
                cuts += usize::from(told.cut.is_some_and(|cut| next == Some(cut.at)));
            }
        }
    }
    assert!(cuts > 300, "too few are cut by their own next start: {cuts}");
}

#[test]
fn media_that_is_over_before_its_window_is_known() {
    for (fields, expected) in [
        (r#"at: "18:00", to: "20:00", length: 90s, repeat: 10"#, Some("18:15")),
        (r#"at: "18:00", to: never, length: 90s"#, Some("18:01")),
        (r#"at: "18:00", for: 90s, length: 90s"#, None),
        (r#"at: "18:00", to: "20:00", length: 90s, repeat: forever"#, None),
        (r#"at: "18:00", to: "20:00""#, None),
        (r#"at: "18:00", length: 90s"#, None),
    ] {
        let schedule = jobs("UTC", &[("own", fields)]);
        let occurrence = Upcoming::new(&schedule, instant(NOW)).next().expect("it starts");
        let over = Interruptions::new(&schedule).of(occurrence).content_end();
        assert_eq!(over.map(|at| at.strftime("%H:%M").to_string()).as_deref(), expected, "{fields}");
    }
}
