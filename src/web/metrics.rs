//! The answer of `/metrics`: what was counted and how things are now, as OpenMetrics or in Prometheus' older text format. Counts nothing
//! itself, and knows no job and no room: a name of either would make a series of its own.

mod process;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::{AppState, PageState, views};
use crate::alerts::sender::AlertStatus;
use crate::busy::BusySince;
use crate::finding::{Finding, FindingKind};
use crate::host::{HostStanding, Role};
use crate::metrics::HistogramCounts;
use crate::report::status::{DaemonView, Health, LedgerView, assess_health, off_air};
use crate::trtc::{Action, PerAction};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0, for those who say that they read it.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which everybody reads.
    Prometheus,
}

impl Format {
    /// Of an `Accept` header.
    pub(super) fn accepted(accept: &str) -> Format {
        if accept.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// Its `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

type Labels = Vec<(&'static str, String)>;

/// A metric with its values.
#[derive(Debug)]
struct Family {
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Counter(Vec<(Labels, u64)>),
    /// A counter of time, in its unit.
    Time(f64),
    Gauge(Vec<(Labels, f64)>),
    Histogram(Vec<(Labels, HistogramCounts)>),
    Info(Labels),
}

/// What one scrape shows.
#[derive(Debug, Default)]
struct Scrape(Vec<Family>);

/// Returns the answer. What the ledger knows is left out if it cannot be read.
pub(super) fn text(shared: &PageState, now: Timestamp, ledger: Result<LedgerView, String>, format: Format) -> String {
    let mut scrape = Scrape::default();
    scrape.counted(&shared.app_state);
    scrape.present(shared, now, ledger);
    scrape.process(&shared.app_state);
    let mut registry = Registry::with_prefix("ingestd");
    registry.register_collector(Box::new(scrape));
    let mut body = String::new();
    let written = match format {
        Format::OpenMetrics => text::encode(&mut body, &registry),
        Format::Prometheus => prometheus_text::encode(&mut body, &registry),
    };
    written.expect("a string takes everything");
    body
}

impl Scrape {
    fn gauges(&mut self, name: &'static str, unit: Option<Unit>, help: &'static str, values: Vec<(Labels, f64)>) {
        if !values.is_empty() {
            self.0.push(Family { name, unit, help, values: Values::Gauge(values) });
        }
    }

    /// A number without a unit, if it is known.
    fn number(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<usize>>) {
        self.gauges(name, None, help, value.into().map(|value| (Vec::new(), number(value))).into_iter().collect());
    }

    /// Seconds, if they are known.
    fn seconds(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<f64>>) {
        self.gauges(name, Some(Unit::Seconds), help, value.into().map(|value| (Vec::new(), value)).into_iter().collect());
    }

    /// When something was or will be, if that is known.
    fn instant(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<Timestamp>>) {
        self.seconds(name, help, value.into().map(|at| at.as_duration().as_secs_f64()));
    }

    fn per_action(&mut self, name: &'static str, help: &'static str, values: &PerAction<usize>) {
        self.gauges(name, None, help, values.iter().map(|(action, value)| (of(action), number(*value))).collect());
    }

    fn times(&mut self, name: &'static str, help: &'static str, values: Vec<(Labels, HistogramCounts)>) {
        self.0.push(Family { name, unit: Some(Unit::Seconds), help, values: Values::Histogram(values) });
    }

    fn counter(&mut self, name: &'static str, help: &'static str, values: Vec<(Labels, u64)>) {
        self.0.push(Family { name, unit: None, help, values: Values::Counter(values) });
    }

    /// What the daemon counted.
    fn counted(&mut self, app_state: &AppState) {
        let metrics = &app_state.metrics;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        self.0.push(Family { name: "build", unit: None, help: "The version of ingestd.", values: Values::Info(version) });
        let lateness = vec![(Vec::new(), metrics.start_lateness.counts())];
        self.times("start_lateness", "From the planned start of a show to its first request.", lateness);
        let requests = metrics.requests().into_iter().map(|(kind, count)| {
            let labels = vec![("action", kind.action.word().to_owned()), ("app", kind.app), ("code", kind.code.into_owned())];
            (labels, count)
        });
        self.counter("requests", "Requests to TRTC by what came back: ok, the code of TRTC, or a word.", requests.collect());
        let waits = metrics.queue_wait.iter().map(|(action, histogram)| (of(action), histogram.counts())).collect();
        self.times("queue_wait", "How long requests waited for the limiter.", waits);
        let commits = vec![(Vec::new(), metrics.commit_time.counts())];
        self.times("commit", "How long commits of the ledger took.", commits);
        let dropped = vec![(Vec::new(), (app_state.log_lines_dropped)())];
        self.counter("log_lines_dropped", "Log lines that were dropped, because nobody read the log.", dropped);
        let seen = metrics.endpoint();
        let offset = seen.offset.map(|offset| offset.as_secs_f64());
        let help = "The clock of the endpoint minus this one, the smallest difference that its two newest answers allow.";
        self.seconds("clock_offset", help, offset);
        let help = "Requests in a row, the newest among them, that the service did not answer.";
        self.number("endpoint_failures", help, seen.last_at.map(|_| seen.failures as usize));
        self.instant("endpoint_asked_timestamp", "When the newest request was answered or given up.", seen.last_at);
    }

    /// How things are now.
    fn present(&mut self, shared: &PageState, now: Timestamp, ledger: Result<LedgerView, String>) {
        let app_state = &shared.app_state;
        let input = views::status_input(app_state, now, ledger, Vec::new(), None);
        let (health, _) = assess_health(&input);
        let states = [Health::Ok, Health::Degraded, Health::Failing];
        let states = states.map(|state| (vec![("state", state.name().to_owned())], number(usize::from(state == health))));
        self.gauges("health", None, "The health: 1 for the state that it is in.", states.to_vec());
        if let DaemonView::Running { jobs, rejected, state, .. } = &input.daemon {
            self.number("schedule_jobs", "Jobs of the schedule in force.", *jobs);
            let is_rejected = usize::from(!rejected.is_empty());
            self.number(
                "schedule_rejected",
                "Whether the schedule files are rejected, and an older schedule is in force.",
                is_rejected,
            );
            self.per_action("limiter_waiting", "Requests that wait for the limiter.", &state.queue);
            self.per_action("limiter_rate", "Requests a second that the limiter lets leave now.", &state.rate);
            self.number("limiter_rate_configured", "Requests a second for each action, as the settings say.", state.written_rate);
            let help = "Whether the clock is synchronised; absent if nobody says.";
            self.number("clock_synchronised", help, state.synchronised.map(usize::from));
            self.number("starts_held", "Whether starts are held because of the clock.", usize::from(state.held.is_some()));
            let is_writable = state.disk.is_none() && state.disk_stands_s.is_none();
            self.number("ledger_writable", "Whether the ledger can be written.", usize::from(is_writable));
            self.host(state.host.as_deref());
            self.told(&state.findings, &app_state.alerts.borrow());
        }
        self.number("generation", "The number of the schedule in force.", usize::try_from(input.generation).ok());
        self.instant("generation_accepted_timestamp", "When the schedule in force was accepted.", input.accepted_at);
        self.instant(
            "next_start_timestamp",
            "The next planned start that no operator holds back; absent if there is none.",
            next_start(shared, now),
        );
        let stands = |busy: &BusySince| busy.stands().map_or(0.0, |time| time.as_secs_f64());
        self.seconds(
            "loop_standing",
            "How long the loop has needed for one turn, from 2 s on; else 0.",
            stands(&app_state.busy.turn),
        );
        let help = "How long the ledger has needed for one commit or query, from 2 s on; else 0.";
        self.seconds("ledger_standing", help, stands(&app_state.busy.disk));
        self.number("ledger_readable", "Whether the ledger could be read for this scrape.", usize::from(input.ledger.is_ok()));
        if let Ok(ledger) = &input.ledger {
            self.number("shows_on_air", "Shows on air or stopping.", ledger.on_air.len());
            let help = "Shows that should be on air now and are not; 100 at most are looked at.";
            self.number("shows_off_air", help, off_air(ledger, now));
            let unseen = ledger.tasks.iter().filter(|task| task.is_watched() && task.is_unseen).count();
            self.number("unseen_tasks", "Tasks on air that have not been seen there for too long.", unseen);
            self.number("orphan_tasks", "Tasks on air that no show has.", ledger.orphans.len());
            let doubts = ledger.doubts.iter().filter(|doubt| now < doubt.until).count();
            self.number("open_doubts", "Starts without an answer whose task may play unknown.", doubts);
            self.instant("ledger_committed_timestamp", "When the ledger was written last.", ledger.committed_at);
        }
    }

    /// How this host stands among those that share the ledger.
    fn host(&mut self, host: Option<&HostStanding>) {
        let Some(host) = host else { return };
        let roles = [Role::Owner, Role::Standby];
        let roles = roles.map(|role| (vec![("role", role.name().to_owned())], number(usize::from(role == host.role))));
        self.gauges("role", None, "What this host does: 1 for its role.", roles.to_vec());
        let term = host.term.and_then(|term| usize::try_from(term.0).ok());
        self.number("term", "The newest term of the station: it grows with each take-over.", term);
        let left = host.lease_left_ms.map(|left| Duration::from_millis(left.unsigned_abs()).as_secs_f64());
        self.seconds("lease", "How long the owner's lease lasts if it is not renewed; 0 when it has ended.", left);
        self.number("database_failing", "Whether the database does not do what it is asked.", usize::from(host.failing.is_some()));
    }

    /// What the doctor and the preflight find, and how it stands with those who are told of trouble.
    fn told(&mut self, findings: &[Finding], alerts: &AlertStatus) {
        let count = |kind| findings.iter().filter(|finding| finding.kind == kind && finding.is_problem()).count();
        let of_kind = |(word, kind): &(&str, FindingKind)| (vec![("kind", (*word).to_owned())], number(count(*kind)));
        let help = "Problems that the doctor and the preflight find before a show; notes are not counted.";
        self.gauges("findings", None, help, FindingKind::WORDS.iter().map(of_kind).collect());
        let help = "Alerts that wait until a receiver takes them, each counted for each receiver.";
        self.number("alerts_waiting", help, alerts.waiting);
        self.number("alert_receivers_failing", "Receivers that do not take alerts.", alerts.reasons.len());
        self.number("heartbeats_failing", "Heartbeats that are not taken.", alerts.heartbeats.len());
    }

    /// The figures of this process, as far as the system tells them.
    fn process(&mut self, app_state: &AppState) {
        let bytes = |values: Option<u64>| values.map(|value| (Vec::new(), float(value))).into_iter().collect();
        let help = "Memory that is in use by this process.";
        self.gauges("process_resident_memory", Some(Unit::Bytes), help, bytes(process::resident_memory()));
        if let Some(time) = crate::clock::of_process() {
            let (help, values) = ("Time that the processors worked for this process.", Values::Time(time.as_secs_f64()));
            self.0.push(Family { name: "process_cpu", unit: Some(Unit::Seconds), help, values });
        }
        self.number("process_open_fds", "Descriptors that are open.", process::open_descriptors());
        self.number("process_max_fds", "Descriptors that may be open.", crate::listener::descriptors());
        self.instant("process_start_time", "When the daemon was started.", app_state.started_at);
    }
}

/// When the next start is that no operator holds back.
fn next_start(shared: &PageState, now: Timestamp) -> Option<Timestamp> {
    let mut known = shared.next_start.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    known.of(&shared.app_state, now).map(|key| key.start)
}

fn of(action: Action) -> Labels {
    vec![("action", action.word().to_owned())]
}

fn number(value: usize) -> f64 {
    float(value as u64)
}

#[expect(clippy::cast_precision_loss, reason = "what is counted here has less than 52 bits, and a gauge is a float")]
fn float(value: u64) -> f64 {
    value as f64
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match self.values {
            Values::Counter(_) | Values::Time(_) => MetricType::Counter,
            Values::Gauge(_) => MetricType::Gauge,
            Values::Histogram(_) => MetricType::Histogram,
            Values::Info(_) => MetricType::Info,
        };
        let mut encoder = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), kind)?;
        match &self.values {
            Values::Counter(values) => {
                each(values, &mut encoder, |mut encoder, value| encoder.encode_counter::<NoLabelSet, u64, f64>(value, None))
            }
            Values::Time(value) => encoder.encode_counter::<NoLabelSet, f64, f64>(value, None),
            Values::Gauge(values) => each(values, &mut encoder, |mut encoder, value| encoder.encode_gauge(value)),
            Values::Histogram(values) => each(values, &mut encoder, |mut encoder, value| {
                encoder.encode_histogram::<NoLabelSet>(value.sum, value.count, &value.buckets, None)
            }),
            Values::Info(labels) => encoder.encode_info(labels),
        }
    }
}

fn each<T>(
    values: &[(Labels, T)],
    encoder: &mut MetricEncoder<'_>,
    encode: impl Fn(MetricEncoder<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    values.iter().try_for_each(|(labels, value)| encode(encoder.encode_family(labels)?, value))
}
