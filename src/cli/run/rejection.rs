//! Whether the schedule files are in force, as an alert: it begins when they are rejected or held back, and ends when they are accepted.
//! Does not know why they are.

use tokio::sync::watch;

use crate::alerts::AlertEvent;
use crate::daemon::Handle;
use crate::diagnostic::Severity;
use crate::web::InForce;

/// All schedule files together are one subject.
const SUBJECT: &str = "schedules";

/// Tells at the start, and at each change.
pub(super) async fn watch(mut in_force: watch::Receiver<InForce>, handle: Handle) {
    loop {
        let (rejected, number) = {
            let in_force = in_force.borrow_and_update();
            let mut errors = in_force.rejected.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
            let first = errors.next().map(|first| (first.to_string(), errors.count()));
            (first, in_force.generation.number)
        };
        if let Some((first, more)) = rejected {
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            let text = format!("the schedule files are not in force, and generation {number} stays: {first}{more}");
            handle.raise(AlertEvent::ReloadRejected, SUBJECT, text).await;
        } else {
            let text = format!("the schedule files are in force, as generation {number}");
            handle.clear(AlertEvent::ReloadRejected, SUBJECT, text).await;
        }
        if in_force.changed().await.is_err() {
            return;
        }
    }
}
