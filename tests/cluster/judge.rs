//! The judge: what must hold after each case, by the sandbox's request log, by what passed on the way to it, and by the ledger. Does not
//! know what a case did.

use std::collections::BTreeMap;

use ingestd::sandbox::SandboxTask;
use jiff::Timestamp;

use super::cluster::{Cluster, Row};
use super::requests::Sent;
use super::rig::wait_at_most;

/// Everything is over so long after the last end, whatever happened.
const SETTLE: std::time::Duration = std::time::Duration::from_mins(2);

impl Cluster {
    /// Waits until everything planned is over, and judges. Returns the rows.
    pub(crate) fn judge(&self, planned: &[(&str, Timestamp)]) -> Vec<Row> {
        let has = |rows: &[Row], (job, start): &(&str, Timestamp)| rows.iter().any(|row| row.job == *job && row.start() == *start);
        wait_at_most(SETTLE, "everything planned is over", || {
            let rows = self.rows();
            (rows.iter().all(Row::is_done) && planned.iter().all(|one| has(&rows, one))).then_some(())
        });
        self.judge_now(planned)
    }

    /// Judges what is there now: what is on air may be so.
    pub(crate) fn judge_now(&self, planned: &[(&str, Timestamp)]) -> Vec<Row> {
        let (rows, tasks) = (self.rows(), self.sandbox().tasks());
        for (job, start) in planned {
            let count = rows.iter().filter(|row| row.job == *job && row.start() == *start).count();
            assert_eq!(count, 1, "rows of {job} {start}: {rows:#?}");
        }
        if let Err(why) = once_at_a_time(&rows, &tasks) {
            panic!("{why}");
        }
        self.nothing_forgotten(&rows, &tasks);
        self.terms_follow();
        assert_eq!(self.sandbox().rejections(), 0, "more starts than the rate");
        for proxy in self.nodes.iter().flat_map(|node| &node.databases) {
            assert_eq!(proxy.named(), Vec::<String>::new(), "a pooler does not carry named statements");
            assert_eq!(proxy.cancels(), 0, "nothing is ever cancelled");
        }
        self.keeps_secrets();
        rows
    }

    /// What runs and is known belongs to a row that is on air.
    fn nothing_forgotten(&self, rows: &[Row], tasks: &[SandboxTask]) {
        let known = self.psql("SELECT task_id FROM task");
        for task in tasks.iter().filter(|task| task.runs() && known.lines().any(|id| id == task.task_id)) {
            let is_wanted = |row: &&Row| row.job == task.params.user_id && !row.is_done();
            assert!(rows.iter().any(|row| is_wanted(&row)), "known, and left on air: {task:?} {rows:#?}");
        }
    }

    /// After the first start of a newer owner no older one sends.
    fn terms_follow(&self) {
        let nodes = self.nodes.iter().enumerate();
        let sent = nodes.flat_map(|(index, node)| node.endpoint.sent().into_iter().map(move |one| ((index, one.life), one)));
        if let Err(why) = in_order(sent.collect(), |(node, life)| self.nodes[node].terms(life)) {
            panic!("{why}");
        }
    }
}

/// Which life of which node.
pub(crate) type Life = (usize, u64);

/// Each life sends in one stretch, and in one more for each further time that it took over.
pub(crate) fn in_order(mut sent: Vec<(Life, Sent)>, terms: impl Fn(Life) -> usize) -> Result<(), String> {
    sent.sort_by_key(|(_, one)| one.at);
    let mut stretches: BTreeMap<Life, usize> = BTreeMap::new();
    let mut former = None;
    for (life, one) in &sent {
        if former != Some(*life) {
            let stretch = stretches.entry(*life).or_default();
            *stretch += 1;
            if *stretch > terms(*life).max(1) {
                return Err(format!("{} at {} was sent by {life:?}, an older owner: {sent:#?}", one.robot, one.at));
            }
        }
        former = Some(*life);
    }
    Ok(())
}

/// Two tasks in one room at the same time: only where the ledger says that a start was in doubt.
pub(crate) fn once_at_a_time(rows: &[Row], tasks: &[SandboxTask]) -> Result<(), String> {
    let mut by_room: BTreeMap<String, Vec<&SandboxTask>> = BTreeMap::new();
    for task in tasks {
        by_room.entry(format!("{:?}", task.params.room)).or_default().push(task);
    }
    let show = |task: &SandboxTask| {
        let of = |row: &&Row| row.job == task.params.user_id && row.start() <= task.started_at;
        rows.iter().filter(of).max_by_key(|row| row.start_ms)
    };
    for tasks in by_room.values_mut() {
        tasks.sort_by_key(|task| task.started_at);
        for (index, earlier) in tasks.iter().enumerate() {
            let end = earlier.ended.map_or(Timestamp::MAX, |(at, _)| at);
            for later in tasks[index + 1..].iter().filter(|later| later.started_at < end) {
                let is_known = [earlier, later].iter().any(|task| show(task).is_some_and(Row::is_doubt));
                if !is_known {
                    return Err(format!("{earlier:?} and {later:?} at once, and no doubt: {:#?}", show(later)));
                }
            }
        }
    }
    Ok(())
}
