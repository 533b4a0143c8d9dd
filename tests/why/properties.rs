//! Random questions about random jobs: the answer is yes exactly where the plan has an occurrence, and a no names its
//! rule.

use std::sync::Arc;

use ingestd::calendar::day;
use ingestd::plan::why::{Question, why};
use ingestd::plan::{Upcoming, find};
use ingestd::schedule::{Schedule, Settings, Source, read};
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::instant;

fn time() -> impl Strategy<Value = String> {
    (prop_oneof![0..4_u8, Just(23_u8), 0..24_u8], prop::sample::select(vec![0_u8, 15, 30]))
        .prop_map(|(hour, minute)| format!("\"{hour:02}:{minute:02}\""))
}

fn date() -> impl Strategy<Value = String> {
    prop_oneof![(25..32_u8).prop_map(|day| format!("2026-03-{day:02}")), (22..30_u8).prop_map(|day| format!("2026-10-{day:02}"))]
}

fn trigger() -> impl Strategy<Value = String> {
    let days = prop::sample::select(vec!["", "", ", days: mon..fri", ", days: [sat, sun]", ", days: sun"]);
    let days = days.boxed();
    prop_oneof![
        3 => (time(), time(), days.clone()).prop_map(|(one, other, days)| {
            if one == other { format!("at: {one}{days}") } else { format!("at: [{one}, {other}]{days}") }
        }),
        1 => (date(), time()).prop_map(|(date, time)| format!("once: \"{date} {}\"", time.trim_matches('"'))),
        2 => (0..60_u8, prop::sample::select(vec!["*", "2", "0-4", "*/3"]), prop::sample::select(vec!["* * *", "* * SUN", "29 * *", "1-7 * MON"]))
            .prop_map(|(minute, hour, days)| format!("cron: \"{minute} {hour} {days}\"")),
        2 => (1..20_u8, days.clone()).prop_map(|(step, days)| format!("every: {}m{days}", u32::from(step) * 15)),
        2 => (1..20_u8, time(), time(), days).prop_map(|(step, begin, end, days)| {
            format!("every: {}m, between: \"{}..{}\"{days}", u32::from(step) * 15, begin.trim_matches('"'), end.trim_matches('"'))
        }),
    ]
}

fn job() -> impl Strategy<Value = String> {
    let bounds = prop_oneof![
        3 => Just(String::new()),
        1 => date().prop_map(|date| format!(", from: {date}")),
        1 => (date(), time()).prop_map(|(date, time)| format!(", until: \"{date} {}\"", time.trim_matches('"'))),
        1 => date().prop_map(|date| format!(", except: [{date}, holidays]")),
    ];
    let end = prop::sample::select(vec!["for: 10m", "for: 3h", "to: \"02:30\"", "to: never", "live: false"]);
    let conflict = prop::sample::select(vec!["reject", "preempt", "yield"]);
    let enabled = prop::sample::select(vec![true, true, true, false]);
    (trigger(), bounds, end, conflict, enabled).prop_map(|(trigger, bounds, end, conflict, enabled)| {
        format!("{trigger}{bounds}, {end}, conflict: {conflict}, enabled: {enabled}")
    })
}

fn schedule(jobs: &[String]) -> Schedule {
    let jobs = jobs.iter().enumerate().map(|(index, fields)| format!("  job-{index}: {{{fields}}}\n"));
    let text = format!(
        "timezone: Europe/Berlin\ncalendars: {{holidays: [2026-03-28..2026-03-30, 2026-10-26]}}\n\
         defaults: {{room: lobby, robot: \"{{job}}\", stream: \"https://h/a.mp4\"}}\njobs:\n{}",
        jobs.collect::<String>()
    );
    let source = Source { name: Arc::from("test.yaml"), text: text.clone() };
    let reading = read(&[source], &Settings::default(), &TimeZoneDatabase::bundled(), instant("2026-01-01T00:00Z"));
    reading.schedule.unwrap_or_else(|| panic!("{:?}\n{text}", reading.diagnostics))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn the_answer_is_yes_exactly_where_the_plan_has_an_occurrence(
        jobs in prop::collection::vec(job(), 1..4),
        spring in any::<bool>(),
        others in prop::collection::vec(0..14_400_i64, 10),
    ) {
        let schedule = schedule(&jobs);
        let from = instant(if spring { "2026-03-25T00:00Z" } else { "2026-10-22T00:00Z" });
        // Half minutes of five days: some on a start, most beside one.
        let mut asked: Vec<_> = others.into_iter().map(|half| from + SignedDuration::from_secs(half * 30)).collect();
        let to = from + SignedDuration::from_hours(5 * 24);
        asked.extend(Upcoming::new(&schedule, from).take_while(|next| next.start.at < to).take(60).map(|next| next.start.at));
        for at in asked {
            for job in schedule.jobs() {
                let id = job.id.as_str();
                let answer = why(&schedule, job, Question::At(at), &job.when.zone).expect("in range");
                let planned = find(&schedule, id, at);
                prop_assert_eq!(!answer.starts.is_empty(), planned.is_some(), "{} at {}: {:?}", id, at, answer.refusals);
                prop_assert_eq!(answer.refusals.is_empty(), planned.is_some(), "{} at {}: {:?}", id, at, answer.refusals);
                let mut around = Upcoming::of([job], at);
                let next = around.find(|next| next.start.at > at).map(|next| next.start.at);
                prop_assert_eq!(answer.next.first().map(|next| next.start.at), next, "{} at {}", id, at);
                prop_assert!(answer.previous.is_none_or(|previous| previous.start.at < at));
            }
        }
    }

    #[test]
    fn a_date_has_its_starts_or_a_rule(jobs in prop::collection::vec(job(), 1..3), spring in any::<bool>()) {
        let schedule = schedule(&jobs);
        let mut date: Date = if spring { "2026-03-25" } else { "2026-10-22" }.parse().expect("a date");
        for _ in 0..7 {
            for job in schedule.jobs() {
                let answer = why(&schedule, job, Question::Date(date), &job.when.zone).expect("in range");
                let (from, to) = day(&job.when.zone, date).expect("in range");
                let planned = Upcoming::of([job], from).take_while(|next| next.start.at < to).count();
                prop_assert_eq!(answer.count, planned, "{} on {}", &job.id, date);
                prop_assert_eq!(answer.refusals.is_empty(), planned > 0, "{} on {}: {:?}", &job.id, date, answer.refusals);
            }
            date = date.tomorrow().expect("in range");
        }
    }
}
