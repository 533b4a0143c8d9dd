//! The line in `systemctl status`: the health, the worst reason for it, and what is in force. Does not know how the health is judged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::diagnostic::escape;
use crate::report::status::Health;
use crate::systemd::{Manager, log_failure};
use crate::web::{self, AppState};

/// How often the health is looked at.
const PERIOD: Duration = Duration::from_secs(5);

/// The longest reason, in characters: it is one line of a terminal or two.
const REASON_MAX: usize = 160;

/// Tells the manager the health again and again. Without a manager it does nothing.
pub(super) async fn tell(app_state: AppState, manager: Arc<Manager>) {
    if !manager.is_there() {
        return;
    }
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        ticks.tick().await;
        let seen = app_state.clone();
        // While a disk does not answer, the next look waits for it, and the loop tells of the disk.
        let Ok((health, reasons)) = tokio::task::spawn_blocking(move || web::health(&seen, clock::now())).await else { continue };
        let in_force = app_state.in_force.borrow().clone();
        let line = line(health, &reasons, in_force.generation.schedule.len(), in_force.generation.number);
        if line != told {
            log_failure(manager.status(&line));
            told = line;
        }
    }
}

fn line(health: Health, reasons: &[String], jobs: usize, generation: i64) -> String {
    let in_force = format!("{jobs} job{}, generation {generation}", if jobs == 1 { "" } else { "s" });
    let Some(worst) = reasons.first() else { return format!("{}: {in_force}", health.name()) };
    let worst = escape(worst);
    let cut = worst.char_indices().nth(REASON_MAX).map_or(worst.to_string(), |(end, _)| format!("{}…", &worst[..end]));
    let more = if reasons.len() > 1 { format!(" (and {} more)", reasons.len() - 1) } else { String::new() };
    format!("{}: {cut}{more}; {in_force}", health.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_the_health_and_the_worst_reason_in_few_words() {
        assert_eq!(line(Health::Ok, &[], 1, 3), "ok: 1 job, generation 3");
        let reasons = ["`show` is off the air".to_owned(), "an orphan".to_owned()];
        let told = "failing: `show` is off the air (and 1 more); 12 jobs, generation 3";
        assert_eq!(line(Health::Failing, &reasons, 12, 3), told);
        let hostile = line(Health::Degraded, &["`z\u{1b}[31m\u{202e}.yaml`".to_owned()], 1, 1);
        assert!(!hostile.contains(['\u{1b}', '\u{202e}']), "{hostile}");
        let long = line(Health::Degraded, &["直".repeat(4_000)], 12, 3);
        assert!(long.ends_with("…; 12 jobs, generation 3") && long.chars().count() < 200, "{long}");
    }
}
