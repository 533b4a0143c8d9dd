//! A daemon with everything wrong that its status knows, as it is served. It does not know who looks.

use std::sync::Arc;

use ingestd::alerts::sender::AlertStatus;
use ingestd::chores::Chore;
use ingestd::engine::{Write, Writes};
use ingestd::finding::{Finding, FindingKind};
use ingestd::occurrence::{Occurrence, State, Task, WaitReason};
use ingestd::web::Access;
use jiff::SignedDuration;
use tokio::sync::watch;

use super::filling::write;
use super::rows::{armed, fault, on_air, task};
use super::served::{Served, now};

/// As `check` draws it.
pub(crate) const DRAWN: &str =
    "error[unknown-key]: unknown key `reapet`\n --> live.yaml:3:5\n  |\n3 |     reapet: <2>\n  |     ^^^^^^";

/// A daemon with everything wrong that its status knows.
pub(crate) async fn troubled() -> Served {
    let change = |(app, in_force): &mut (ingestd::web::AppState, ingestd::web::InForce)| {
        in_force.rejected = [ingestd::diagnostic::Diagnostic::error("unknown-key", "unknown key `reapet`")].into();
        in_force.drawn = Arc::from(DRAWN);
        let not_told = vec!["the receiver webhook has taken no alert for 5 minutes: no answer".to_owned()];
        app.alerts = watch::Sender::new(AlertStatus { reasons: not_told, ..AlertStatus::default() }).subscribe();
        let place = "the daemon does not listen on 127.0.0.1:8622 (`callbacks`): it is taken".to_owned();
        app.not_listening = watch::Sender::new([("callbacks".to_owned(), place)].into()).subscribe();
        app.failed_chores = watch::Sender::new([(Chore::Backup, "the chore `backup` failed: full".to_owned())].into()).subscribe();
        let usersig = Finding::problem(FindingKind::Usersig, "main", "the key of `main` does not sign", "see the console");
        app.findings = watch::Sender::new([usersig].into()).subscribe();
    };
    let served = Served::at("127.0.0.1:0", Access::default(), change, true).await;
    served.status.send_modify(|status| {
        status.held = Some("the clock went back by 3 s".to_owned());
        status.offset_ms = Some(4_000);
        status.synchronised = Some(false);
        status.disk = Some("no space is left".to_owned());
    });
    let mut ledger = served.ledger();
    let start = now() - SignedDuration::from_mins(10);
    let row = on_air("evening", start);
    let number = write(&mut ledger, &row).expect("it has a task");
    let unseen = Task { row: number, seen_at: start, is_unseen: true, ..task(&row) };
    let mut writes = Writes::default();
    writes.push(Write::UpdateTask(Box::new(unseen)));
    ledger.commit(writes, now()).expect("committed");
    let waiting = State::Waiting { until: now() + SignedDuration::from_secs(9), why: WaitReason::Retry };
    let fault = Some(fault(Some("InvalidParameter.StreamUrl"), "<b>bad</b>"));
    let film = armed("film", now() - SignedDuration::from_mins(1));
    write(&mut ledger, &Occurrence { state: waiting, attempts: 4, fault, ..film });
    served
}
