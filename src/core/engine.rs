//! What is decided between occurrences: what is owed and armed, who has a room, whose a task is, what an edit, an order or a clock
//! that was set means. One step takes what happened since the last one, and returns what is to be written, called and told, as plain
//! values. Does not know a clock, the ledger's tables, HTTP, and how calls are run.
//!
//! ```text
//! write, notice, call_report   the values that come out and in       step        one step, with what only the ledger knows
//! airing, task_state           one occurrence, one task              airings     all of them, with their tasks
//! task_notices                 what is said of requests for tasks    evidence    what shows that a show was on air
//! fallbacks                    stream or fallback
//! occupancy, former            who is in which room, or may yet be   contention  who gets it
//! doubts                       starts whose task has no name         candidates  TaskIds out of broken answers
//! orphans, orphan_state        tasks that no occurrence has          adoption    whose task it is
//! claim, prepare               from the plan to an occurrence        backlog     what was missed
//! server_clock                 how the endpoint's clock differs      secrets     when they are read again
//! endpoint                     whether it works                      answers     what calls brought back
//! stops                        orders to stop                        edits       another schedule
//! away                         the way back after a stall            clock_hold  whether the clock can be believed
//! agenda                       what is owed                          order       what the engine is told
//! holding                      orders to hold starts back            reopen      shows that failed, again
//! fire                         a start by hand                       obey        every order
//! take_over                    the first step
//! looking                      what others may know of it
//! alert_signals                what its writes mean to operators    alerting    alerts, written with it
//! ```
//!
//! A file knows files of its own line and of the lines above, and none below.

mod adoption;
mod agenda;
mod airing;
mod airings;
mod alert_signals;
mod alerting;
mod answers;
mod away;
mod backlog;
mod call_report;
mod candidates;
mod claim;
mod clock_hold;
mod contention;
mod departures;
mod doubts;
mod edits;
mod endpoint;
mod evidence;
mod fallbacks;
mod fire;
mod former;
mod holding;
mod looking;
mod loop_status;
mod notice;
mod obey;
mod occupancy;
mod order;
mod orphan_state;
mod orphans;
mod prepare;
mod reopen;
mod secrets;
mod send_flag;
mod server_clock;
mod step;
mod stops;
mod take_over;
mod task_notices;
mod task_state;
mod tasks;
mod write;

use jiff::{SignedDuration, Timestamp};

use crate::lease::ARM_AHEAD;
use crate::occurrence::{Key, MissedReason, State};
use agenda::Agenda;
use airing::Airing;
use airings::Airings;
pub use alert_signals::alert_signals;
pub use alerting::{AlertMessage, Alerting, States};
pub use call_report::{Blocker, CallReport, StartCall};
use clock_hold::{ClockHold, HoldChange};
pub use clock_hold::{ClockReading, TOO_MUCH};
pub use departures::COMES_BACK;
use departures::Departures;
use endpoint::Endpoint;
pub use fallbacks::OnFallback;
pub use fire::FireOrder;
pub use loop_status::LoopStatus;
pub use notice::{Level, Notice};
pub use order::{Command, DaemonOptions, Incoming, Input, MediaWord, Order, Shared};
use orphans::Orphans;
pub use prepare::{Generation, PastGeneration, Prepared};
pub use secrets::SecretsRead;
pub use send_flag::SendFlag;
pub use server_clock::{OFFSET_MAX, describe_offset};
pub use step::{Call, OrderReply, Receipt, Records, Reply, RowNumbers, Step};
pub use stops::StopTarget;
pub use take_over::{DOUBTS_SINCE, Meta, Recovered};
pub use write::{Known, RecordedRetry, Write, Writes};

/// How long before the first of a group of starts its connections are opened.
const WARM_AHEAD: SignedDuration = SignedDuration::from_millis(1_500);

/// Starts within this of each other count as one group whose connections are opened together.
const WARM_GROUP: SignedDuration = SignedDuration::from_secs(1);

/// All state between steps.
pub struct Engine {
    airings: Airings,
    orphans: Orphans,
    agenda: Agenda,
    departures: Departures,
    hold: ClockHold,
    endpoint: Endpoint,
    numbers: RowNumbers,
    rate: u32,
    warmed_until: Timestamp,
}

/// What taking over comes to.
pub struct TakenOver {
    /// The engine.
    pub engine: Engine,
    /// What it decided first.
    pub step: Step,
    /// How many starts the daemon before has sent just now, or may have: they count against the rate.
    pub maybe_sent: usize,
}

impl Engine {
    /// Takes over from a ledger with the schedule that was just accepted. `past` are those that were in force since the ledger's
    /// cursor, in their order; time that none of them covers is settled under the accepted one.
    pub fn take_over(
        options: DaemonOptions,
        reading: ClockReading,
        recovered: Recovered,
        accepted: Generation,
        past: Vec<PastGeneration>,
        records: &dyn Records,
    ) -> TakenOver {
        let floor = recovered.meta.committed_at.map_or(options.past, |committed| committed.max(options.past));
        let hold = ClockHold::new(reading, floor, options.require_sync);
        let rate = options.rate.get();
        let mut airings = Airings::new(rate);
        airings.arm_ahead = options.shared.map_or(ARM_AHEAD, |shared| shared.lease.arm_ahead());
        airings.held = hold.reason().map(|_| MissedReason::Clock);
        airings.tasks.secrets = options.secrets;
        let mut orphans = Orphans::default();
        let mut step = Step::new(hold.now(reading), recovered.numbers);
        let (agenda, departures, maybe_sent) = take_over::take_over(
            &mut airings,
            &mut orphans,
            &mut step,
            records,
            recovered,
            (accepted, past),
            (&hold, reading, options.shared),
        );
        if let Some(reason) = hold.reason() {
            step.notify(Level::Error, format!("starts are held: {reason}"));
        }
        let (numbers, endpoint) = (step.numbers, Endpoint::default());
        let engine = Engine { airings, orphans, agenda, departures, hold, endpoint, numbers, rate, warmed_until: Timestamp::MIN };
        TakenOver { engine, step, maybe_sent }
    }

    /// One step. `disk_is_behind`: what was decided before could not be written yet, so that nothing may be started.
    pub fn step(&mut self, incoming: Incoming, reading: ClockReading, disk_is_behind: bool, records: &dyn Records) -> Step {
        let Incoming { reports, inputs } = incoming;
        let change = self.judge_clock(&inputs, reading);
        let mut step = Step::new(self.hold.now(reading), self.numbers);
        let clock = self.hold.reason().map(|_| MissedReason::Clock);
        self.airings.held = clock.or((disk_is_behind || self.airings.lease_is_over).then_some(MissedReason::Disk));
        // First of all what nobody would say again; none of it asks the ledger.
        if let Some(by) = self.hold.take_moved() {
            self.airings.clock_moved(&mut step, by);
            self.orphans.doubts.clock_moved(&mut step, by);
            self.endpoint.clock_moved();
        }
        if let Some(HoldChange::Held(reason)) = &change {
            self.begin_hold(&mut step, reason);
        }
        self.take_reports(&mut step, reports, reading);
        edits::apply_kept(&mut self.airings, &mut step);
        if step.now < self.airings.last_step() {
            self.orphans.clock_went_back(step.now);
            self.endpoint.secrets.clock_went_back(step.now);
        }
        self.airings.act_on_time(&mut step);
        if change == Some(HoldChange::Released) {
            self.end_hold(&mut step);
        }
        for input in inputs {
            match input {
                Input::Callback(callback) => {
                    let is_old = clock.is_none() && self.is_old(callback.at, step.now);
                    let receipt = adoption::on_callback(&mut self.airings, &mut self.orphans, &mut step, callback, is_old);
                    step.receipts.push(receipt);
                }
                Input::Media(MediaWord { url, is_there, ago }) => {
                    let began = step.now.checked_sub(ago).unwrap_or(step.now);
                    self.airings.media.learn(url, began, is_there);
                }
                Input::Order(order) => {
                    let reply = self.obey(&mut step, records, order);
                    step.replies.push(reply);
                }
            }
        }
        adoption::place_unknown(&mut self.airings, &mut self.orphans, &mut step, records);
        edits::apply_kept(&mut self.airings, &mut step);
        fallbacks::review(&mut self.airings, &mut step);
        self.departures.take_up(&mut self.airings, &mut step, self.agenda.generation(), "ingestd");
        self.settle(&mut step, records);
        contention::resolve(&mut self.airings, &mut step);
        fire::free_robots(&mut self.airings, &mut step);
        // What was decided since the time was looked at leaves in the same step.
        self.airings.act_on_tasks(&mut step);
        self.airings.tasks.send(&mut step);
        self.endpoint.secrets.send(&mut step);
        self.orphans.act_on_time(&mut step, &self.airings);
        self.warm(&mut step);
        self.end(step)
    }

    /// What a call needs to send the start that was permitted in this row; `None`: it is not wanted any more.
    pub fn begin_start(&mut self, key: &Key, call: i64) -> Option<StartCall> {
        contention::begin_start(&mut self.airings, key, call)
    }

    /// The ledger could not be read or written in the last step. What is owed is not looked at again before a moment has passed.
    /// Where the step could not be written, nothing that was claimed leaves until it can be.
    pub fn ledger_failed(&mut self, is_written: bool) {
        self.agenda.pause(MissedReason::Disk);
        self.airings.held.get_or_insert(MissedReason::Disk);
        if !is_written {
            self.airings.hold_back_claims(MissedReason::Disk);
        }
    }

    /// Whether the lease of this host is over, as the next step is to know.
    pub fn set_lease_over(&mut self, is_over: bool) {
        self.airings.lease_is_over = is_over;
    }

    /// The daemon ends: every start that was not sent is taken back. Streams on air stay on air.
    pub fn shut_down(&mut self, reading: ClockReading) -> Step {
        let mut step = Step::new(self.hold.now(reading), self.numbers);
        answers::give_up_candidates(&mut self.airings, &mut self.orphans, &mut step);
        let earliest = self.airings.take_back_unsent(&mut step);
        let cursor = self.agenda.cursor().min(earliest.unwrap_or(Timestamp::MAX));
        step.write(Write::Cursor { at: cursor });
        self.end(step)
    }

    /// Takes in the last reports of a daemon that ends.
    pub fn take_last(&mut self, reports: Vec<CallReport>, reading: ClockReading) -> Step {
        let mut step = Step::new(self.hold.now(reading), self.numbers);
        self.take_reports(&mut step, reports, reading);
        answers::give_up_candidates(&mut self.airings, &mut self.orphans, &mut step);
        self.end(step)
    }

    /// Names what stays on air when the daemon ends, and how long it runs.
    pub fn staying_on_air(&self, reading: ClockReading) -> Vec<Notice> {
        let at = self.hold.now(reading);
        let is_on_air = |airing: &&Airing| matches!(airing.occurrence.state, State::OnAir | State::Stopping { .. });
        self.airings.iter().filter(is_on_air).map(|airing| Notice::of_staying(&airing.occurrence, airing.bound, at)).collect()
    }

    /// Whether a start was sent whose answer has not come.
    pub fn awaits_answers(&self) -> bool {
        self.airings.awaits_answers()
    }

    /// The time by which streams end: the wall clock, or what it would show had it not been set.
    pub fn now(&self, reading: ClockReading) -> Timestamp {
        self.hold.now(reading)
    }

    /// Whether no start may leave for now.
    pub fn is_held(&self) -> bool {
        self.airings.held.is_some()
    }

    /// When the next step is to be taken, by the time that is believed; `None`: not before something comes in.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let agenda = if self.is_held() { None } else { self.agenda.next_wake(now, &self.airings) };
        let warm = self.airings.next_armed(self.warmed_until.max(now)).map(|first| first - WARM_AHEAD);
        let contention = contention::next_start(&self.airings);
        let (secrets, doubts) = (self.endpoint.secrets.next_wake(), self.orphans.doubts.next_end(now));
        [self.airings.next_wake(), contention, self.orphans.next_wake(), secrets, doubts, agenda, warm].into_iter().flatten().min()
    }

    /// Whether what happened then, by the endpoint's clock, is too long ago to matter: the vendor sends a callback for a minute.
    fn is_old(&self, at: Timestamp, now: Timestamp) -> bool {
        let offset = SignedDuration::from_millis(self.endpoint.clock.offset_ms().unwrap_or(0));
        now.saturating_add(offset).unwrap_or(now).duration_since(at) > DOUBTS_SINCE
    }

    fn end(&mut self, step: Step) -> Step {
        self.numbers = step.numbers;
        step
    }

    fn judge_clock(&mut self, inputs: &[Input], reading: ClockReading) -> Option<HoldChange> {
        let change = self.hold.compare(reading);
        let is_confirm = |input: &Input| matches!(input, Input::Order(Order { command: Command::ConfirmClock, .. }));
        if self.hold.reason().is_none() || !inputs.iter().any(is_confirm) {
            return change;
        }
        self.hold.confirm(reading);
        Some(HoldChange::Released)
    }

    fn take_reports(&mut self, step: &mut Step, reports: Vec<CallReport>, reading: ClockReading) {
        for mut report in reports {
            report.correct_times(step.now, reading.boot);
            answers::on_report(&mut self.airings, &mut self.orphans, &mut self.endpoint, step, report);
        }
    }

    /// Starts are held from now on.
    fn begin_hold(&mut self, step: &mut Step, reason: &str) {
        step.notify(Level::Error, format!("starts are held: {reason}"));
        self.agenda.forget_open();
        if let Some(earliest) = self.airings.take_back_unsent(step) {
            self.agenda.restart_at(earliest);
            step.write(Write::Cursor { at: self.agenda.cursor() });
        }
    }

    /// The clock is believed again.
    fn end_hold(&mut self, step: &mut Step) {
        step.notify(Level::Info, format!("the clock is believed again, and starts go on; it shows {}", step.now));
        if self.agenda.released(step.now) {
            step.write(Write::DeleteMissedSince { from: step.now });
            step.write(Write::Cursor { at: self.agenda.cursor() });
        }
        self.agenda.ask_all(&self.airings.jobs(step.now), self.agenda.cursor());
    }

    /// What is owed.
    fn settle(&mut self, step: &mut Step, records: &dyn Records) {
        self.start_open_windows(step, records);
        if let Some(reason) = self.airings.held {
            self.agenda.pause(reason);
            return;
        }
        self.agenda.advance(&mut self.airings, step, records);
        self.agenda.drop_holds(step);
    }

    /// What nobody can say now is asked again in the next step.
    fn start_open_windows(&mut self, step: &mut Step, records: &dyn Records) {
        if self.airings.held != Some(MissedReason::Clock) {
            let _ = self.agenda.start_open_windows(&mut self.airings, step, records);
        }
    }

    /// Opens connections for the next group of starts, once.
    fn warm(&mut self, step: &mut Step) {
        if self.warmed_until > step.now + WARM_AHEAD + WARM_GROUP {
            // The clock was set back.
            self.warmed_until = step.now;
        }
        let next = self.airings.next_armed(self.warmed_until.max(step.now));
        let Some(first) = next.filter(|first| *first - WARM_AHEAD <= step.now) else { return };
        self.warmed_until = first + WARM_GROUP;
        let connections = self.airings.armed_between(first, self.warmed_until).min(self.rate as usize);
        step.calls.push(Call::Warm { connections });
    }
}
