//! Writes rows into a ledger as the daemon does. It does not know which tests there are.

use ingestd::engine::{Write, Writes};
use ingestd::ledger::Ledger;
use ingestd::occurrence::{Kind, Occurrence, State, Task};
use jiff::Timestamp;

use crate::rows::task;

/// Writes a row as the daemon does: it claims it, then updates it. Returns the number of its task, if it has one.
pub(crate) fn write(ledger: &mut Ledger, row: &Occurrence) -> Option<i64> {
    let numbers = ledger.recover(Timestamp::MAX).expect("readable").numbers;
    assert!(!ledger.has(&row.key, true).expect("readable"), "{} was there", row.key);
    let mut writes = Writes::default();
    if row.attempts == 0 || row.kind == Kind::Summary {
        writes.push(Write::Record(Box::new(row.clone())));
    } else {
        let claimed =
            Occurrence { state: State::Armed, attempts: 1, tries: 1, was_in_doubt: false, in_doubt: false, ..row.clone() };
        writes.push(Write::Record(Box::new(claimed)));
        writes.push(Write::Attempt { key: row.key.clone(), call: numbers.call + 1, attempt: 1 });
        writes.push(Write::Update(Box::new(row.clone())));
    }
    let is_running = matches!(row.state, State::OnAir | State::Stopping { .. }) && row.task_id.is_some();
    let task = is_running.then(|| Task { row: numbers.task + 1, ..task(row) });
    let number = task.as_ref().map(|task| task.row);
    if let Some(task) = task {
        writes.push(Write::AddTask(Box::new(task)));
    }
    ledger.commit(writes, row.key.start).expect("committed");
    number
}
