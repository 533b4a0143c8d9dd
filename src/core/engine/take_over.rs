//! Taking over from the ledger: what the daemon before left under way, what was planned while nobody was there, and the schedule
//! that is in force from now on. Does not know why the daemon before ended: a crash and an upgrade are one code path.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::agenda::Agenda;
use super::airings::Airings;
use super::clock_hold::{ClockHold, ClockReading};
use super::contention;
use super::departures::{COMES_BACK, Departures};
use super::edits::{self, Edition};
use super::notice::Level;
use super::order::Shared;
use super::orphans::{Orphans, homes};
use super::prepare::{Generation, PastGeneration, find_dropped};
use super::reopen;
use super::secrets;
use super::step::{Records, RowNumbers, Step};
use super::write::Write;
use crate::lease::{ARM_AHEAD, CLOCKS_APART, LeaseLength, MAY_ARRIVE_WITHIN};
use crate::occurrence::{Event, Key, MissedReason, Occurrence, OpenDoubt, Orphan, State, Task};
use crate::plan::holds::{Hold, Holds};
use crate::schedule::{JobId, Schedule};
use crate::trtc::callback::Callback;

/// How long callbacks about a start may be on their way: what they tell of a time before that is too old to be told now.
pub const DOUBTS_SINCE: SignedDuration = SignedDuration::from_mins(15);

/// What the ledger remembers beside its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Every occurrence that starts before it is settled; none in a new ledger.
    pub cursor: Option<Timestamp>,
    /// The generation under which the time from the cursor on was planned; 0 before the first.
    pub cursor_generation: i64,
    /// The generation of the schedule that was accepted last; 0 before the first.
    pub generation: i64,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// When the newest step was committed.
    pub committed_at: Option<Timestamp>,
    /// Until when it does not know what was on air, because it is a backup that was put in the place of a lost ledger.
    pub restored_at: Option<Timestamp>,
}

/// What the ledger gives to whoever takes it over.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What it remembers beside its rows.
    pub meta: Meta,
    /// Every occurrence that is not over, by start.
    pub occurrences: Vec<Occurrence>,
    /// Every task that is not known to be gone.
    pub tasks: Vec<Task>,
    /// Every orphan that is not known to be gone.
    pub orphans: Vec<Orphan>,
    /// Every start in doubt whose task may play still.
    pub doubts: Vec<OpenDoubt>,
    /// Shows that were cut because their job left the schedule, and whose windows may be open.
    pub removed: Vec<Occurrence>,
    /// What operators hold back.
    pub holds: Vec<Hold>,
    /// Shows that failed, and whose windows may be open.
    pub failed: Vec<Occurrence>,
    /// When jobs left the schedule that are not back, or are back and have not all their rows from that time.
    pub left: Vec<(JobId, Timestamp)>,
    /// Callbacks about tasks that nobody could place yet.
    pub callbacks: Vec<Callback>,
    /// The newest rows.
    pub numbers: RowNumbers,
    /// Starts without an answer that the owner before may have sent, and until when each may still arrive: 13 s after the end of the lease
    /// under which it could be sent. None after a lease that was given back, and none where no other host has the ledger.
    pub may_still_leave: Vec<(Key, Timestamp)>,
}

impl Recovered {
    /// Every start without an answer may arrive until then, if nothing is known of it that says otherwise.
    pub fn all_may_arrive(&mut self, until: Option<Timestamp>) {
        let Some(until) = until else { return };
        let known: HashSet<&Key> = self.may_still_leave.iter().map(|(key, _)| key).collect();
        let is_open = |occurrence: &&Occurrence| matches!(occurrence.state, State::Armed | State::Calling);
        let open = self.occurrences.iter().filter(is_open).map(|occurrence| &occurrence.key);
        let open: Vec<_> = open.filter(|key| !known.contains(key)).map(|key| (key.clone(), until)).collect();
        self.may_still_leave.extend(open);
    }
}

/// What a row says of the daemon before.
struct PastDaemon {
    /// What becomes of armed rows whose start is ahead.
    armed: Armed,
    /// By how much its clock may have been ahead of ours.
    apart: SignedDuration,
    /// How long before its start it armed at most.
    arm_ahead: SignedDuration,
    /// Until when its starts may still arrive.
    may_arrive: HashMap<Key, Timestamp>,
}

/// What was taken over with a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Its start is still to leave.
    Ahead,
    /// Its start may have left just now.
    UnderWay,
    /// Anything else.
    Settled,
}

/// What becomes of armed rows whose start is ahead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Armed {
    /// They are armed again.
    Again,
    /// Nothing was sent, and nothing is to be for now.
    TakenBack,
    /// The clock cannot say whether they were sent.
    InDoubt,
}

/// A start that left within this time may count in the second by which the endpoint judges the next: that second, and what a request
/// may take to arrive, as the limiter has it.
const SENT_LATELY: SignedDuration = SignedDuration::from_millis(1_250);

/// Takes over. Returns where the agenda begins, and how many starts the daemon before has sent just now, or may have.
pub(super) fn take_over(
    airings: &mut Airings,
    orphans: &mut Orphans,
    step: &mut Step,
    records: &dyn Records,
    recovered: Recovered,
    (accepted, past): (Generation, Vec<PastGeneration>),
    (hold, reading, shared): (&ClockHold, ClockReading, Option<Shared>),
) -> (Agenda, Departures, usize) {
    let Recovered { meta, occurrences, tasks, orphans: known, doubts, removed, failed, left, .. } = recovered;
    let now = step.now;
    // The newest commit may be of another host, whose clock differs a little.
    let apart = if shared.is_some() { CLOCKS_APART } else { SignedDuration::ZERO };
    // A clock behind the newest commit cannot say that an armed start is still to come: it may have been sent.
    let clock_is_plausible = meta.committed_at.is_none_or(|committed| committed <= reading.wall + apart);
    let armed = match (clock_is_plausible, hold.reason()) {
        (false, _) => Armed::InDoubt,
        (true, Some(_)) => Armed::TakenBack,
        (true, None) => Armed::Again,
    };
    let cursor = meta.cursor.unwrap_or(now);
    // The owner before may have had another lease.
    let arm_ahead = if shared.is_some() { LeaseLength::MAX.arm_ahead() + apart } else { ARM_AHEAD };
    let may_arrive = recovered.may_still_leave.into_iter().collect();
    let former = PastDaemon { armed, apart, arm_ahead, may_arrive };
    orphans.recover(known, recovered.callbacks, now);
    orphans.doubts.recover(doubts);
    orphans.learn(&homes(&accepted.schedule));
    let was_sent = |occurrence: &Occurrence| was_sent_lately(occurrence, now, shared.map(|_| apart));
    // Another host may follow within the second in which a start failed.
    let mut maybe_sent = if shared.is_some() { failed.iter().filter(|failed| was_sent(failed)).count() } else { 0 };
    for occurrence in occurrences {
        let was_sent = was_sent(&occurrence);
        let found = recover(airings, orphans, step, occurrence, &former);
        maybe_sent += usize::from(found == Found::UnderWay || was_sent && (found == Found::Settled || shared.is_none()));
    }
    airings.recover_tasks(tasks, now);
    airings.settle_all(step);
    for occurrence in failed {
        airings.keep_failed(occurrence, now);
    }
    let before = past.last().map(|past| Arc::clone(&past.generation.schedule));
    if meta.generation == accepted.number {
        edits::apply_settings(airings, step, &accepted.schedule, accepted.number);
    } else {
        // An edit while nobody was there is a reload like any other.
        if meta.generation > 0 {
            let edition =
                Edition { schedule: &accepted.schedule, former: before.as_deref(), generation: accepted.number, who: RESTART };
            edits::apply(airings, step, edition);
        }
        step.write(Write::Generation { number: accepted.number, accepted_at: now });
    }
    try_with_new_secrets(airings, step);
    let is_edited = meta.generation != accepted.number;
    let mut agenda = Agenda::new(accepted, past, (cursor, meta.restored_at), now);
    agenda.holds = Holds::new(recovered.holds);
    agenda.arm_ahead = airings.arm_ahead;
    let mut departures = departures(&mut agenda, step, before.as_deref(), left, removed);
    departures.take_up(airings, step, agenda.generation(), RESTART);
    reopen::by_edit(airings, &agenda, step, before.as_deref().filter(|_| is_edited), RESTART);
    if airings.held.is_none() {
        agenda.queue_open(&airings.jobs(now), cursor, now);
        // What was open before nobody was there has its row. What began since may have had one that was lost.
        agenda.rows_lost_since = shared.filter(|shared| shared.rows_may_be_lost).and(meta.cursor);
        // What cannot be read now stays queued; the daemon that takes over gives up then.
        let _ = agenda.start_open_windows(airings, step, records);
        if agenda.rows_lost_since.take().is_some() {
            note_doubts(airings, orphans, step);
        }
        // Before anything leaves it is settled who has which room.
        contention::resolve(airings, step);
    } else if meta.cursor.is_none() {
        agenda.begins_when_released();
    }
    step.write(Write::Cursor { at: agenda.cursor() });
    step.write(Write::CursorGeneration(agenda.cursor_generation()));
    (agenda, departures, maybe_sent)
}

/// Whether a start of it may count in the second by which the endpoint judges the next. `apart`: by how much the clock of another host may
/// have been ahead.
fn was_sent_lately(occurrence: &Occurrence, now: Timestamp, apart: Option<SignedDuration>) -> bool {
    // A start may have arrived as late as its answer came. Where another host follows, that may be just now.
    let answered = occurrence.on_air_at.max(occurrence.ended_at).filter(|_| apart.is_some());
    let (latest, apart) = (occurrence.tried_at.max(answered), apart.unwrap_or_default());
    latest.is_some_and(|at| at <= now + apart && now.duration_since(at) < SENT_LATELY + apart)
}

/// What left the schedule, and is back or may come back. `before`: the last schedule that was in force.
fn departures(
    agenda: &mut Agenda,
    step: &mut Step,
    before: Option<&Schedule>,
    mut left: Vec<(JobId, Timestamp)>,
    removed: Vec<Occurrence>,
) -> Departures {
    // One that was back before the daemon ended is owed its rows, however long ago that is.
    let was_back = |id: &JobId| before.is_some_and(|before| before.job(id.as_str()).is_some());
    left.retain(|(id, at)| was_back(id) || step.now.duration_since(*at) <= COMES_BACK);
    let mut departures = Departures::recover(left, removed);
    let accepted = Arc::clone(&agenda.generation().schedule);
    let present: Vec<JobId> = accepted.jobs().map(|job| job.id.clone()).collect();
    departures.owe(agenda, step, &present);
    if let Some(before) = before {
        departures.accept(agenda, step, &[], &find_dropped(before, &accepted, step.now));
    }
    departures
}

/// Who did what is done because the daemon began.
const RESTART: &str = "restart";

/// The secrets were read when the daemon began: what failed for the former ones is tried at once.
fn try_with_new_secrets(airings: &mut Airings, step: &mut Step) {
    for key in secrets::waiting(airings) {
        step.record_retry(&key, RESTART, "the secrets were read when the daemon began");
        airings.try_fixed(step, &key);
    }
}

/// What was claimed for a window without a row may be on air already.
fn note_doubts(airings: &Airings, orphans: &mut Orphans, step: &mut Step) {
    let is_its = |occurrence: &&Occurrence| occurrence.joined && occurrence.in_doubt && occurrence.state == State::Armed;
    for occurrence in airings.iter().map(|airing| &airing.occurrence).filter(is_its) {
        let text = "it is open and has no row, which the database may have lost: it may be on air already";
        step.notify_of(&occurrence.key, Level::Warning, text.to_owned());
        orphans.doubts.add(step, occurrence, occurrence.key.start);
    }
}

/// Takes over one row.
fn recover(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, occurrence: Occurrence, former: &PastDaemon) -> Found {
    let key = occurrence.key.clone();
    let may_arrive = former.may_arrive.get(&key).copied();
    let is_armed = occurrence.state == State::Armed && occurrence.wanted.is_none();
    // The owner before was silent by then, whatever its clock showed.
    let was_silent = |until: Timestamp| until.saturating_sub(MAY_ARRIVE_WITHIN).is_ok_and(|ended| ended <= key.start);
    let never_left = former.armed == Armed::Again && may_arrive.is_some_and(was_silent);
    let is_ahead = is_armed && (never_left || key.start > step.now + former.apart);
    // By the clock of now it could not be armed yet: by the clock of then it may have been sent.
    let armed = if key.start.duration_since(step.now) > former.arm_ahead { Armed::InDoubt } else { former.armed };
    if is_ahead && armed == Armed::TakenBack && !occurrence.joined {
        step.write(Write::Remove(key));
        return Found::Ahead;
    }
    airings.add(occurrence.clone());
    orphans.doubts.tell_if_uncovered(&occurrence);
    if is_ahead && armed == Armed::Again {
        if occurrence.closes().is_some_and(|closes| closes < step.now) {
            // It never had a chance, since nobody was there.
            airings.hold_back(&key, MissedReason::Down);
        }
        step.write(Write::Rearm { key, attempt: occurrence.attempts });
        return Found::Ahead;
    }
    if let Some(until) = may_arrive.filter(|until| *until > step.now) {
        airings.former.add(&occurrence, until);
        airings.wait_for_former(&key, until);
    }
    let was_under_way = matches!(occurrence.state, State::Armed | State::Calling);
    if was_under_way {
        orphans.doubts.add(step, &occurrence, occurrence.tried_at.unwrap_or(key.start));
    } else if occurrence.in_doubt && !orphans.doubts.has(&key) {
        // A version that kept no doubts wrote it.
        orphans.doubts.reopen(step, &occurrence);
    }
    airings.transition(step, &key, Event::Recovered);
    if was_under_way { Found::UnderWay } else { Found::Settled }
}
