//! The line in `systemctl status`: the health, the worst reason for it, what is on air, what comes next, and what is in force. Does not
//! know how the health is judged.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::diagnostic::escape;
use crate::occurrence::Key;
use crate::report::local;
use crate::report::status::Health;
use crate::systemd::{Manager, log_failure};
use crate::web::{self, AppState, NextStart};

/// How often the health is looked at.
const PERIOD: Duration = Duration::from_secs(5);

/// The longest reason, in characters: it is one line of a terminal or two.
const REASON_MAX: usize = 160;

/// The most shows that are named.
const NAMES_MAX: usize = 3;

/// Tells the manager the health again and again. Without a manager it does nothing.
pub(super) async fn tell(app_state: AppState, manager: Arc<Manager>) {
    if !manager.is_there() {
        return;
    }
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    let mut next_start = NextStart::default();
    loop {
        ticks.tick().await;
        let seen = app_state.clone();
        let look = move || {
            let line = look(&seen, &mut next_start, clock::now());
            (line, next_start)
        };
        // While a disk does not answer, the next look waits for it, and the loop tells of the disk.
        let Ok((line, kept)) = tokio::task::spawn_blocking(look).await else { return };
        next_start = kept;
        if line != told {
            log_failure(manager.status(&line));
            told = line;
        }
    }
}

fn look(app_state: &AppState, next_start: &mut NextStart, now: Timestamp) -> String {
    let (health, reasons, on_air) = web::health(app_state, now);
    let generation = app_state.in_force.borrow().generation.clone();
    let on_air: Vec<&str> = on_air.iter().map(|occurrence| occurrence.key.job.as_str()).collect();
    let zone = generation.schedule.zone();
    let next = next_start.of(app_state, now).map(|key| (key, &zone));
    let line = line((health, &reasons), &on_air, next, (generation.schedule.len(), generation.number));
    match &app_state.host {
        Some(host) => format!("{}; {line}", host.borrow().line()),
        None => line,
    }
}

fn line(
    (health, reasons): (Health, &[String]),
    on_air: &[&str],
    next: Option<(&Key, &TimeZone)>,
    (jobs, generation): (usize, i64),
) -> String {
    let reason = reasons.first().map_or_else(String::new, |worst| {
        let worst = escape(worst);
        let cut = worst.char_indices().nth(REASON_MAX).map_or(worst.to_string(), |(end, _)| format!("{}…", &worst[..end]));
        let more = if reasons.len() > 1 { format!(" (and {} more)", reasons.len() - 1) } else { String::new() };
        format!(": {cut}{more}")
    });
    let more = on_air.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let on_air = if on_air.is_empty() { "nothing".to_owned() } else { on_air[..on_air.len().min(NAMES_MAX)].join(", ") };
    let next = next.map_or("nothing soon".to_owned(), |(key, zone)| format!("{} {}", key.job, local(key.start, zone)));
    let in_force = format!("{jobs} job{}, generation {generation}", if jobs == 1 { "" } else { "s" });
    format!("{}{reason}; on air: {on_air}{more}; next: {next}; {in_force}", health.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(health: Health, reasons: &[String], jobs: usize) -> String {
        line((health, reasons), &[], None, (jobs, 3))
    }

    #[test]
    fn the_line_says_the_health_and_the_worst_reason_in_few_words() {
        assert_eq!(told(Health::Ok, &[], 1), "ok; on air: nothing; next: nothing soon; 1 job, generation 3");
        let reasons = ["`show` is off the air".to_owned(), "an orphan".to_owned()];
        let expected = "failing: `show` is off the air (and 1 more); on air: nothing; next: nothing soon; 12 jobs, generation 3";
        assert_eq!(told(Health::Failing, &reasons, 12), expected);
        let hostile = told(Health::Degraded, &["`z\u{1b}[31m\u{202e}.yaml`".to_owned()], 1);
        assert!(!hostile.contains(['\u{1b}', '\u{202e}']), "{hostile}");
        let long = told(Health::Degraded, &["直".repeat(4_000)], 12);
        assert!(long.ends_with("; 12 jobs, generation 3") && long.contains("…; on air") && long.chars().count() < 250, "{long}");
    }

    #[test]
    fn the_line_names_what_is_on_air_and_what_comes_next() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let start = "2026-11-30T10:00:00Z".parse().expect("an instant");
        let key = Key { start, job: crate::schedule::JobId::parse("film").expect("a job") };
        let shows = ["a", "b", "c", "d", "e"];
        let of = |count| line((Health::Ok, &[]), &shows[..count], Some((&key, &zone)), (7, 3));
        assert_eq!(of(1), "ok; on air: a; next: film 2026-11-30T18:00:00+08:00; 7 jobs, generation 3");
        assert_eq!(of(5), "ok; on air: a, b, c and 2 more; next: film 2026-11-30T18:00:00+08:00; 7 jobs, generation 3");
    }
}
