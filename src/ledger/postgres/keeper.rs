//! Who owns the air, kept up to date: waits for a turn, takes it, renews the lease, gives it back. It has a connection of its own, so that
//! no long transaction of the ledger delays a renewal. Does not know what an owner does.

use std::sync::Arc;
use std::time::Duration;

use ingestd_core::lease::{Claim, LeaseDeadline, LeaseLength, Tenure, Term};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;

use super::address::Address;
use super::connection::Connection;
use super::owner::{self, Durability, Look, Node, Process, Taken};
use super::{DatabaseError, ErrorClass};

/// How often a standby looks whether the air is free.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// So long after the end of a lease it is over by the clock of the database too, whose microseconds are cut off here.
const AFTER_END: Duration = Duration::from_millis(2);

/// How often a standby says that it is there.
const SEEN_EVERY: Duration = Duration::from_secs(5);

/// A process that has said nothing for so long is not there.
pub const SEEN_WITHIN: Duration = Duration::from_secs(20);

/// How far the clock of an owner may be from the database's, in milliseconds.
const CLOCK_OFF_MAX_MS: i64 = 500;

/// How long a renewal that failed waits for the next.
const AGAIN: Duration = Duration::from_millis(500);

/// The time of this process, read where the keeper needs it: the wall clock, and the time since boot.
pub type ReadClock = Arc<dyn Fn() -> (Timestamp, Duration) + Send + Sync>;

/// What others learn of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Our term, while we own.
    pub term: Option<Term>,
    /// What the database said last.
    pub look: Option<Look>,
    /// Since when it does not answer, and why.
    pub failing: Option<(Timestamp, String)>,
    /// Why this process may not own.
    pub refusals: Vec<String>,
}

/// Keeps a station.
pub struct Keeper {
    address: Arc<Address>,
    /// By which tables are made.
    migrate: Arc<Address>,
    station: Arc<str>,
    lease: LeaseLength,
    process: Process,
    /// The version of the station's tables that this program knows.
    schema: i32,
    clock: ReadClock,
    connection: Option<Connection>,
    is_prepared: bool,
    standing: watch::Sender<Standing>,
    /// What it says of its folder, and why it may not own beside what is seen here.
    told: watch::Receiver<Told>,
    seen_at: Option<Duration>,
    /// What was seen first of who owns, and whether the air was free then; and whether this process owned already.
    first: (Option<(Tenure, bool)>, bool),
}

/// What others say of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The files of its folder that differ from the accepted sources, for the other nodes.
    pub folder: String,
    /// Why it may not own.
    pub refusals: Vec<String>,
}

/// What a keeper begins with.
pub struct KeeperSetup {
    /// Where the database is.
    pub address: Arc<Address>,
    /// By which its tables are made.
    pub migrate: Arc<Address>,
    /// The station's name.
    pub station: Arc<str>,
    /// How long its lease is.
    pub lease: LeaseLength,
    /// Who this is.
    pub process: Process,
    /// The version of the station's tables that this program knows.
    pub schema: i32,
    /// What time it is.
    pub clock: ReadClock,
    /// What others say of this process.
    pub told: watch::Receiver<Told>,
}

impl Keeper {
    /// Makes one. Nothing is asked yet.
    pub fn new(setup: KeeperSetup) -> Keeper {
        let KeeperSetup { address, migrate, station, lease, process, schema, clock, told } = setup;
        let (connection, standing) = (None, watch::Sender::new(Standing::default()));
        let (is_prepared, seen_at, first) = (false, None, (None, false));
        Keeper { address, migrate, station, lease, process, schema, clock, connection, is_prepared, standing, told, seen_at, first }
    }

    /// How it stands, kept up to date.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Waits until the air is ours, however long the database does not answer. Returns until when starts may leave, too.
    pub async fn wait_for_turn(&mut self) -> (Taken, LeaseDeadline) {
        loop {
            let tried = self.try_to_take().await;
            let wait = match tried {
                Ok(Ok(owned)) => return owned,
                Ok(Err(wait)) => wait,
                Err(error) => {
                    self.fail(&error);
                    LOOK_EVERY
                }
            };
            sleep(wait).await;
        }
    }

    /// Takes the air, or says when to look again: where a lease is about to end, at its end.
    async fn try_to_take(&mut self) -> Result<Result<(Taken, LeaseDeadline), Duration>, DatabaseError> {
        let look = self.look().await?;
        if let Claim::Wait { until } = look.tenure.claim(look.now) {
            let left = until.duration_since(look.now).unsigned_abs() + AFTER_END;
            return Ok(Err(left.min(LOOK_EVERY)));
        }
        if !self.standing.borrow().refusals.is_empty() {
            return Ok(Err(LOOK_EVERY));
        }
        // Before it is sent: however long the answer takes, we are silent first.
        let asked_at = (self.clock)().1;
        let (station, process, lease) = (Arc::clone(&self.station), self.process.clone(), self.lease);
        let taken = owner::take(self.connection().await?, &station, &process, lease).await?;
        let Some(taken) = taken else { return Ok(Err(LOOK_EVERY)) };
        let taken = Taken { is_alone: self.is_alone(&look), ..taken };
        self.first.1 = true;
        self.standing.send_modify(|standing| standing.term = Some(taken.term));
        Ok(Ok((taken, LeaseDeadline::until(lease.deadline(asked_at)))))
    }

    /// Whether this process has just begun and no other is there, nor was: the air was free when we looked first, and nobody had it since. An
    /// owner that died just before may have accepted another schedule than our folder's.
    fn is_alone(&self, look: &Look) -> bool {
        let (first, owned_before) = self.first;
        let owner = look.owner.as_ref().map(|owner| owner.id.as_str());
        let is_other = |id: &str| id != self.process.id && Some(id) != owner;
        let mut recent = look.nodes.iter().filter(|node| look.now.duration_since(node.seen_at).unsigned_abs() <= SEEN_WITHIN);
        !owned_before && first == Some((look.tenure, true)) && !recent.any(|node| is_other(&node.process.id))
    }

    /// Renews the lease of this term, until it is another's. Then nothing more may be sent, and this returns.
    pub async fn keep(&mut self, term: Term, deadline: &LeaseDeadline) {
        let every = self.lease.renewed_every();
        let mut last = (self.clock)().1;
        self.look_beside().await;
        loop {
            let due = last.saturating_add(every).saturating_sub((self.clock)().1);
            sleep(due).await;
            let asked_at = (self.clock)().1;
            let (station, process, lease) = (Arc::clone(&self.station), self.process.clone(), self.lease);
            let renewed = match self.connection().await {
                Ok(connection) => owner::renew(connection, &station, (&process, term), lease).await,
                Err(error) => Err(error),
            };
            match renewed {
                Ok(true) => {
                    deadline.renew(lease.deadline(asked_at));
                    last = asked_at;
                    self.look_beside().await;
                }
                Ok(false) => {
                    deadline.depose();
                    self.standing.send_modify(|standing| (standing.term, standing.look) = (None, None));
                    self.look_beside().await;
                    return;
                }
                Err(error) => {
                    self.fail(&error);
                    sleep(AGAIN).await;
                    last = (self.clock)().1.saturating_sub(every);
                }
            }
        }
    }

    /// What is seen beside a renewal may fail, and is asked again with the next one.
    async fn look_beside(&mut self) {
        if let Err(error) = self.look().await {
            self.fail(&error);
        }
    }

    /// Gives the air back, if we have it. Only to be called when nothing more is sent. `is_recorded`: everything that was sent is in the
    /// ledger, so that whoever follows waits for nothing.
    pub async fn release(&mut self, is_recorded: bool) -> Result<(), DatabaseError> {
        let (station, process) = (Arc::clone(&self.station), self.process.clone());
        let connection = self.connection().await?;
        let released = if is_recorded {
            owner::release(connection, &station, &process).await
        } else {
            owner::give_up(connection, &station, &process).await
        };
        self.standing.send_modify(|standing| standing.term = None);
        released
    }

    /// Looks, and says now and then that we are there.
    async fn look(&mut self) -> Result<Look, DatabaseError> {
        self.make_ready().await?;
        let station = Arc::clone(&self.station);
        let (before, _) = (self.clock)();
        let look = owner::look(self.connection().await?, &station).await?;
        let (after, now) = (self.clock)();
        self.first.0.get_or_insert((look.tenure, matches!(look.tenure.claim(look.now), Claim::Take { .. })));
        let offset = clock_offset(before, look.now, after);
        let refusals = self.refusals(&look, offset);
        let term = self.standing.borrow().term;
        let is_due = self.seen_at.is_none_or(|seen| now.saturating_sub(seen) >= SEEN_EVERY);
        if is_due {
            let state = match (term, refusals.is_empty()) {
                (Some(_), _) => "owner".to_owned(),
                (None, true) => "standby".to_owned(),
                (None, false) => refusals.join("; "),
            };
            let folder = self.told.borrow().folder.clone();
            let process = self.process.clone();
            let node = Node { process, seen_at: look.now, clock_offset_ms: offset.map(|(ms, _)| ms), folder, state };
            owner::be_seen(self.connection().await?, &station, &node).await?;
            self.seen_at = Some(now);
        }
        self.standing.send_if_modified(|standing| {
            let new = Standing { term, look: Some(look.clone()), failing: None, refusals };
            let changed = *standing != new;
            *standing = new;
            changed
        });
        Ok(look)
    }

    /// Why this process may not own, as far as it is seen here.
    fn refusals(&self, look: &Look, offset: Option<(i64, i64)>) -> Vec<String> {
        let mut refusals = self.told.borrow().refusals.clone();
        let least = offset.map_or(0, |(offset, margin)| offset.saturating_abs().saturating_sub(margin));
        if least > CLOCK_OFF_MAX_MS {
            refusals.push(format!(
                "its clock is {least} ms off the database's, and {CLOCK_OFF_MAX_MS} ms at most are allowed: set the clocks of both hosts by NTP"
            ));
        }
        let (version, needed) = look.schema;
        if needed > self.schema {
            refusals.push(format!(
                "a newer ingestd changed the tables (version {version}; this one knows {}): upgrade this host",
                self.schema
            ));
        }
        if look.durability == Durability::None {
            let fix = "set it to `on` for the role of ingestd";
            refusals.push(format!("`synchronous_commit` of the database is `off`, so a crash of it loses rows: {fix}"));
        }
        refusals
    }

    /// Makes the tables, once.
    async fn make_ready(&mut self) -> Result<(), DatabaseError> {
        if !self.is_prepared {
            let mut connection = Connection::open(&self.migrate).await?;
            owner::prepare(&mut connection, &self.station).await?;
            self.is_prepared = true;
        }
        Ok(())
    }

    async fn connection(&mut self) -> Result<&mut Connection, DatabaseError> {
        let open = match self.connection.take().filter(Connection::is_open) {
            Some(open) => open,
            None => Connection::open(&self.address).await?,
        };
        Ok(self.connection.insert(open))
    }

    /// What is wrong, since when. It is told once.
    fn fail(&mut self, error: &DatabaseError) {
        match error.class() {
            ErrorClass::Repeat => {}
            // The tables may be gone.
            ErrorClass::Lasting => (self.connection, self.is_prepared) = (None, false),
            ErrorClass::Passing | ErrorClass::Uncertain | ErrorClass::LocalOnly => self.connection = None,
        }
        let now = (self.clock)().0;
        self.standing.send_if_modified(|standing| {
            let before = standing.failing.take();
            let is_new = before.as_ref().is_none_or(|(_, why)| *why != error.to_string());
            if before.is_none() {
                tracing::error!("the database does not do what it is asked: {error}");
            }
            standing.failing = Some((before.map_or(now, |(since, _)| since), error.to_string()));
            is_new
        });
    }
}

/// How far our clock is from the database's, in milliseconds, and by how much that may be wrong: its answer was made at some time between.
/// Nothing: the clock was set back meanwhile.
fn clock_offset(before: Timestamp, theirs: Timestamp, after: Timestamp) -> Option<(i64, i64)> {
    let took = after.as_millisecond() - before.as_millisecond();
    (took >= 0).then(|| (before.as_millisecond() + took / 2 - theirs.as_millisecond(), took / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_question() {
        let at = |ms| Timestamp::from_millisecond(ms).expect("an instant");
        assert_eq!(clock_offset(at(1_000), at(1_050), at(1_100)), Some((0, 51)));
        assert_eq!(clock_offset(at(3_000), at(1_050), at(3_100)), Some((2_000, 51)));
        assert_eq!(clock_offset(at(1_000), at(1_050), at(900)), None);
    }
}
