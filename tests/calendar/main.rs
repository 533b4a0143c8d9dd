//! The calendar's promises: what each trigger does at each kind of clock change, as tables that can be checked by hand; what must
//! hold for every trigger, as properties. The zone data is the bundled one, so that the
//! tables hold on every host. `tests/oracles/plan.py` compares the program with other people's calendars.

mod chains;
mod from_afar;
mod properties;
mod refusals;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use ingestd::calendar::{CronPattern, Dates, Days, Dst, Trigger, When};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

const WEEK: [Weekday; 7] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday, Weekday::Saturday, Weekday::Sunday];

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).expect(name)
}

fn instant(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// A trigger in a zone, without bounds.
fn when(name: &str, trigger: Trigger) -> When {
    When { trigger, zone: zone(name), from: None, until: None, except: Arc::new(Dates::default()) }
}

/// A trigger as the tables write it: `at 02:30 14:00`, `once 2026-03-08T02:30`, `cron 30 2 * * *`, `every 1800`,
/// `every 1800 22:00 02:00`.
fn trigger(text: &str) -> Trigger {
    let (kind, rest) = text.split_once(' ').expect(text);
    let mut words = rest.split(' ');
    let time = |word: &str| word.parse::<Time>().expect(word);
    match kind {
        "at" => Trigger::At { times: words.map(time).collect(), days: Days::DAILY },
        "once" => Trigger::Once(words.map(|word| word.parse::<DateTime>().expect(word)).collect()),
        "cron" => Trigger::Cron(Arc::new(CronPattern::parse(rest).expect(rest))),
        "every" => {
            let step = Duration::from_secs(words.next().and_then(|word| word.parse().ok()).expect(text));
            let between = words.next().map(|first| (time(first), time(words.next().expect(text))));
            Trigger::Every { step, between, days: Days::DAILY }
        }
        _ => panic!("no trigger: {text}"),
    }
}

fn on_days(trigger: Trigger, days: impl Into<Days>) -> Trigger {
    let days = days.into();
    match trigger {
        Trigger::At { times, .. } => Trigger::At { times, days },
        Trigger::Every { step, between, .. } => Trigger::Every { step, between, days },
        other => other,
    }
}

fn dates(ranges: &[(Date, Date)]) -> Arc<Dates> {
    Arc::new(Dates::new(ranges.iter().copied()))
}

/// An instant as the tables write it, with the mark of a clock change.
fn shown(at: Timestamp, dst: Option<Dst>) -> String {
    let mark = dst.map(|dst| format!(" {}", dst.name())).unwrap_or_default();
    format!("{}{mark}", at.strftime("%d %H:%M"))
}

/// The starts of a range, joined.
fn starts(when: &When, from: &str, to: &str) -> String {
    let starts: Vec<_> = when.between(instant(from), instant(to)).map(|start| shown(start.at, start.dst)).collect();
    starts.join(", ")
}
