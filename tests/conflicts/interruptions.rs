//! The pauses of an occurrence that yields: who has the room meanwhile, and for how long.

use ingestd::plan::Upcoming;
use ingestd::plan::interruptions::Interruptions;

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
