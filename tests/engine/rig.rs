//! An engine with a ledger of keys alone: every row that is recorded or removed is counted. Nothing is answered. For tests that count
//! rows and look at time, where `bench` would spell everything out.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingestd::engine::{
    Call, ClockReading, Command, DaemonOptions, Engine, Generation, Incoming, Input, Order, PastGeneration, Prepared, Records,
    Recovered, SendFlag, Step, TakenOver, Write,
};
use ingestd::occurrence::{Key, State};
use ingestd::schedule::Schedule;
use ingestd::trtc::advice::SecretPlaces;
use jiff::Timestamp;

/// How often each row was recorded, less how often it was removed; and the state in which it was recorded last.
#[derive(Default)]
pub(crate) struct Rows(RefCell<HashMap<Key, (i32, State)>>);

impl Records for Rows {
    fn has(&self, key: &Key, _missed_counts: bool) -> Option<bool> {
        Some(self.0.borrow().get(key).is_some_and(|(count, _)| *count > 0))
    }

    fn knows_task(&self, _task_id: &str) -> Option<bool> {
        Some(false)
    }
}

pub(crate) struct Rig {
    engine: Engine,
    pub(crate) rows: Rows,
    waiting: BTreeMap<i64, (Key, SendFlag)>,
    schedule: Arc<Schedule>,
    generation: i64,
    pub(crate) now: Timestamp,
    boot: Duration,
    /// The longest step so far.
    pub(crate) longest: Duration,
}

impl Rig {
    /// Takes over a new ledger.
    pub(crate) fn begin(schedule: Arc<Schedule>, now: Timestamp) -> Rig {
        let (rows, boot) = (Rows::default(), Duration::from_hours(1));
        let options = DaemonOptions {
            rate: NonZeroU32::new(20).expect("not zero"),
            require_sync: false,
            past: Timestamp::MIN,
            secrets: SecretPlaces::default(),
            shared: None,
        };
        let accepted = Generation { number: 1, schedule: Arc::clone(&schedule) };
        let past = Vec::<PastGeneration>::new();
        let reading = ClockReading { wall: now, boot, synchronised: None, synchronised_at: None };
        let TakenOver { engine, step, .. } = Engine::take_over(options, reading, Recovered::default(), accepted, past, &rows);
        let waiting = BTreeMap::new();
        let mut rig = Rig { engine, rows, waiting, schedule, generation: 1, now, boot, longest: Duration::ZERO };
        rig.commit(&step);
        rig
    }

    /// One step at `now`. Returns whether the next is wanted at once.
    pub(crate) fn step(&mut self, now: Timestamp, inputs: Vec<Input>) -> bool {
        self.boot += Duration::try_from(now.duration_since(self.now)).expect("time goes on");
        self.now = now;
        let reading = ClockReading { wall: now, boot: self.boot, synchronised: None, synchronised_at: None };
        self.waiting.retain(|_, (key, flag)| key.start > now || !flag.send());
        let begin = Instant::now();
        let step = self.engine.step(Incoming { reports: Vec::new(), inputs }, reading, false, &self.rows);
        self.longest = self.longest.max(begin.elapsed());
        self.commit(&step);
        self.engine.next_wake(now).is_some_and(|wake| wake <= now)
    }

    /// Steps without a pause until nothing is wanted at once. Returns how many.
    pub(crate) fn settle(&mut self) -> usize {
        let mut steps = 1;
        while self.step(self.now, Vec::new()) {
            steps += 1;
            assert!(steps < 100_000, "it comes to rest");
        }
        steps
    }

    /// Prepares another schedule for this time.
    pub(crate) fn prepare(&self, schedule: &Arc<Schedule>, at: Timestamp) -> Prepared {
        Prepared::new(Generation { number: self.generation + 1, schedule: Arc::clone(schedule) }, &self.schedule, at)
    }

    /// Takes it up.
    pub(crate) fn accept(&mut self, prepared: Prepared, now: Timestamp) {
        self.generation += 1;
        self.schedule = Arc::clone(&prepared.generation().schedule);
        let command = Command::Accept { prepared: Box::new(prepared), changes: vec!["changed".to_owned()] };
        self.step(now, vec![Input::Order(Order { who: "uid 1000".to_owned(), note: None, command })]);
    }

    /// How often the row of this name is there, and as what it was recorded.
    pub(crate) fn row(&self, job: &str, start: Timestamp) -> Option<(i32, State)> {
        let rows = self.rows.0.borrow();
        rows.iter().find(|(key, _)| key.job.as_str() == job && key.start == start).map(|(_, row)| row.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.0.borrow().values().filter(|(count, _)| *count > 0).count()
    }

    fn commit(&mut self, step: &Step) {
        for call in &step.calls {
            if let Call::TakenBack { call } = call {
                self.waiting.remove(call);
            }
        }
        let mut rows = self.rows.0.borrow_mut();
        for write in step.writes.list() {
            match write {
                Write::Record(occurrence) => {
                    let row = rows.entry(occurrence.key.clone()).or_insert((0, State::Armed));
                    *row = (row.0 + 1, occurrence.state.clone());
                    assert_eq!(row.0, 1, "{} is recorded twice", occurrence.key);
                }
                Write::Remove(key) => rows.get_mut(key).expect("a row that is removed is there").0 -= 1,
                _ => {}
            }
        }
        drop(rows);
        for write in step.writes.list() {
            if let Write::Attempt { key, call, .. } = write
                && let Some(start) = self.engine.begin_start(key, *call)
            {
                self.waiting.insert(*call, (key.clone(), start.flag));
            }
        }
    }
}
