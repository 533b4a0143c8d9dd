//! Writes rows into a ledger as the daemon does. It does not know which tests there are.

use ingestd::ledger::Ledger;
use ingestd::occurrence::{Kind, Occurrence, State};

use crate::rows::task;

/// Writes a row as the daemon does: it claims it, then updates it. Returns the number of its task, if it has one.
pub(crate) fn write(ledger: &mut Ledger, row: &Occurrence) -> Option<i64> {
    let mut turn = ledger.turn();
    let is_missed = row.attempts == 0 || row.kind == Kind::Summary;
    if is_missed {
        assert!(turn.record(row).expect("recorded"), "{} was there", row.key);
    } else {
        let claimed =
            Occurrence { state: State::Armed, attempts: 1, tries: 1, was_in_doubt: false, in_doubt: false, ..row.clone() };
        assert!(turn.claim(&claimed).expect("claimed"), "{} was there", row.key);
        turn.update(row).expect("updated");
    }
    let is_running = matches!(row.state, State::OnAir | State::Stopping { .. }) && row.task_id.is_some();
    let task = is_running.then(|| turn.add_task(&task(row)).expect("a task"));
    turn.commit(row.key.start).expect("committed");
    task
}
