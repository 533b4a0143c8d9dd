//! Real requests in simulated time: an hour without the receivers, and a crash in the middle. The ledger is a real one.

use std::collections::BTreeMap;

use ingestd::alerts::deliver::Deliverer;
use ingestd::alerts::{Alert, AlertEvent, AlertWrite, Outbox, Signal, Troubles, receivers};
use ingestd::config::AlertReceiver;
use ingestd::engine::{Write, Writes};
use ingestd::ledger::Ledger;
use jiff::{SignedDuration, Timestamp};

use super::receivers::{ERRORS, KEY, Mood, Receivers, TOKEN, text_of};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_975_200 + second).expect("an instant")
}

/// A daemon as far as alerts go.
pub(crate) struct Daemon {
    pub(crate) ledger: Ledger,
    troubles: Troubles,
    outbox: Outbox,
    /// Where it says what second it is.
    pub(crate) clock: Option<std::path::PathBuf>,
}

impl Daemon {
    pub(crate) fn start(folder: &std::path::Path, settings: &[AlertReceiver]) -> Daemon {
        let ledger = Ledger::open(folder).expect("a ledger");
        let kept = ledger.alerts().expect("readable");
        let wanted = settings.iter().map(|receiver| (receiver.name.clone(), receiver.on.clone())).collect();
        Daemon { troubles: Troubles::new(wanted, &kept), outbox: Outbox::new(receivers(settings), kept), ledger, clock: None }
    }

    fn write(&mut self, writes: Vec<AlertWrite>, now: Timestamp) {
        let mut all = Writes::default();
        for write in writes {
            all.push(Write::Alert(write));
        }
        self.ledger.commit(all, now).expect("writable");
    }

    pub(crate) fn signal(&mut self, signal: Signal, now: Timestamp) {
        let writes = self.troubles.take(vec![signal], now);
        let put = |write: &AlertWrite| if let AlertWrite::Put(alert) = write { Some((**alert).clone()) } else { None };
        let alerts: Vec<Alert> = writes.iter().filter_map(put).collect();
        self.write(writes, now);
        for alert in alerts {
            self.outbox.put(alert);
        }
    }

    /// Sends what is due until `until`. The answers of `lost` are taken and not recorded, and then it is as after a crash.
    pub(crate) async fn play(
        &mut self,
        deliverer: &Deliverer,
        settings: &[AlertReceiver],
        from: i64,
        until: i64,
        lost: Option<&str>,
    ) {
        let mut now = at(from);
        loop {
            if let Some(clock) = &self.clock {
                // Whole or not at all: the process may be killed while it writes.
                let new = clock.with_extension("new");
                std::fs::write(&new, (now.as_second() - at(0).as_second()).to_string()).expect("writable");
                std::fs::rename(&new, clock).expect("writable");
            }
            for message in self.outbox.due(now) {
                let receiver = settings.iter().find(|receiver| receiver.name == message.receiver).expect("of the settings");
                let answer = deliverer.send(receiver, &message, now).await;
                if lost == Some(&message.receiver) && answer.is_ok() {
                    return;
                }
                let told = self.outbox.answered(&message.receiver, answer, now);
                self.write(told, now);
            }
            match self.outbox.next_wake() {
                Some(wake) if wake <= at(until) => now = wake.max(now + SignedDuration::from_millis(1)),
                _ => return,
            }
        }
    }
}

/// Where the ids stand in what a receiver took.
pub(crate) fn words(kind: &str, object: &serde_json::Value) -> String {
    if kind == "json" { object["alerts"].to_string() } else { text_of(kind, object) }
}

/// How often each id stands in what a receiver took.
pub(crate) fn ids(receivers: &Receivers, kind: &str, all: &[String]) -> BTreeMap<String, usize> {
    let texts: Vec<String> = receivers.taken(kind).iter().map(|object| words(kind, object)).collect();
    all.iter().map(|id| (id.clone(), texts.iter().filter(|text| text.contains(id.as_str())).count())).collect()
}

pub(crate) const KINDS: [&str; 5] = ["json", "slack", "feishu", "dingtalk", "wecom"];

#[tokio::test]
async fn each_alert_arrives_once_at_five_receivers_also_after_an_outage_of_an_hour_and_a_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, KEY).expect("writable");
    let receivers = Receivers::start().await;
    let settings = receivers.settings(&key);
    let deliverer = Deliverer::new("tv1".to_owned()).expect("certificates");
    let mut daemon = Daemon::start(folder.path(), &settings);
    let mut all = Vec::new();
    let mut raise = |daemon: &mut Daemon, job: &str, second: i64| {
        daemon.signal(Signal::raise(AlertEvent::Failed, job, format!("`{job}` is off the air"), at(second)), at(second));
        all.push(daemon.ledger.alerts().expect("readable").last().expect("a row").alert.id.clone());
    };
    // One is told in peace, others in an outage of an hour, with a crash in its middle.
    raise(&mut daemon, "one", 0);
    daemon.play(&deliverer, &settings, 0, 60, None).await;
    receivers.set(Mood::Down);
    raise(&mut daemon, "two", 100);
    daemon.play(&deliverer, &settings, 100, 1_800, None).await;
    raise(&mut daemon, "three", 1_800);
    assert_eq!(daemon.outbox.reasons(at(1_800)).len(), 5, "each is told to be failing");
    for reason in daemon.outbox.reasons(at(1_800)) {
        assert!(!reason.contains(TOKEN) && !reason.contains(KEY), "{reason}");
    }
    drop(daemon);
    let mut daemon = Daemon::start(folder.path(), &settings);
    daemon.play(&deliverer, &settings, 1_801, 3_700, None).await;
    assert!(receivers.refused() > 5 * 20);
    for (kind, errors) in ERRORS {
        let given: Vec<usize> = errors.iter().map(|error| receivers.errors()[&(kind.to_owned(), *error)]).collect();
        println!("{kind}: refused with {errors:?} so often: {given:?}");
    }
    receivers.set(Mood::Good);
    daemon.play(&deliverer, &settings, 3_700, 4_400, None).await;
    for kind in KINDS {
        let found = ids(&receivers, kind, &all);
        println!("{kind}: {} messages, each id so often: {:?}", receivers.taken(kind).len(), found.values().collect::<Vec<_>>());
        assert!(found.values().all(|count| *count == 1), "{kind}: {found:?}");
        let texts: Vec<String> = receivers.taken(kind).iter().map(|object| text_of(kind, object)).collect();
        for job in ["one", "two", "three"] {
            assert_eq!(
                texts.iter().filter(|text| text.contains(&format!("`{job}` is off the air"))).count(),
                1,
                "{kind}: {texts:?}"
            );
        }
    }
    assert_eq!(daemon.outbox.waiting(at(4_400)), 0);
    // The end is told once, and only once, too.
    daemon.signal(Signal::clear(AlertEvent::Failed, "one", "`one` is on air"), at(5_000));
    daemon.play(&deliverer, &settings, 5_000, 5_100, None).await;
    for kind in KINDS {
        let text = text_of(kind, receivers.taken(kind).last().expect("taken"));
        assert!(text.contains("recovered (failed for 1h 23m): `one` is on air"), "{kind}: {text}");
    }
    let rows = std::fs::read(daemon.ledger.path()).expect("readable");
    assert!(!rows.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()), "the ledger knows no URL");
}

#[tokio::test]
async fn what_was_taken_and_not_recorded_before_a_crash_comes_again_with_the_same_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, KEY).expect("writable");
    let receivers = Receivers::start().await;
    let settings = receivers.settings(&key);
    let deliverer = Deliverer::new("tv1".to_owned()).expect("certificates");
    let mut daemon = Daemon::start(folder.path(), &settings);
    daemon.signal(Signal::raise(AlertEvent::Disk, "ledger", "full", at(0)), at(0));
    daemon.play(&deliverer, &settings, 0, 9, None).await;
    // Slack took it, and its answer was not recorded; whoever stands after it was not asked.
    daemon.play(&deliverer, &settings, 10, 60, Some("slack")).await;
    drop(daemon);
    let mut daemon = Daemon::start(folder.path(), &settings);
    daemon.play(&deliverer, &settings, 20, 300, None).await;
    let id = daemon.ledger.alerts().expect("readable")[0].alert.id.clone();
    for kind in KINDS {
        let taken = receivers.taken(kind);
        assert_eq!(taken.len(), if kind == "slack" { 2 } else { 1 }, "{kind}: {taken:?}");
        assert!(taken.iter().all(|object| text_of(kind, object).ends_with(&format!("[{id}]"))), "{kind}: {taken:?}");
    }
}
