//! What the simulated endpoint knows of a run: the cloud, every request from when it left, what callbacks told, and what its daemon signs
//! with. Does not bring anything anywhere. Knows of the daemon only its ledger: no start may leave without a durable row, so the row is
//! looked up at that moment, on a connection of our own.

use ingestd::daemon::Handle;
use ingestd::trtc::callback::TaskNews;
use ingestd::trtc::{Action, Body, Repeat, Request};
use jiff::{SignedDuration, Timestamp};

use crate::cloud::{Cloud, job_of};
use crate::delivery::{Delivery, EXPIRED};
use crate::faults::{Plan, RequestStep};
use crate::media::{self, ToldLook};
use crate::random::Random;
use crate::scenario::SimJob;
use crate::troubles::Troubles;

/// A signature for a time farther off than this is refused (TRTC.md section 3).
const SIGNATURE_SLACK: SignedDuration = SignedDuration::from_mins(5);

/// What an answer said to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    Started(String),
    Exists,
    Stopped,
    /// Of a describe: whether it runs.
    Runs(bool),
    /// A fault that proves that nothing began.
    Nothing,
    /// One that does not.
    Doubt,
}

/// An armed or calling row of a start's job, when the start left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) start: Timestamp,
    pub(crate) end: Option<Timestamp>,
    pub(crate) attempts: u32,
    pub(crate) has_call: bool,
    /// It was on air before.
    pub(crate) was_on_air: bool,
}

/// One request, from when it left. Times are true ones, but for `wall`.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    /// Of several hosts: the term of the one that sent it.
    pub(crate) term: i64,
    pub(crate) at: Timestamp,
    /// What the daemon's clock showed.
    pub(crate) wall: Timestamp,
    pub(crate) action: Action,
    /// The job of a start, the task of a stop or describe.
    pub(crate) subject: String,
    pub(crate) room: String,
    /// Of a start.
    pub(crate) claims: Vec<Claim>,
    pub(crate) max_duration: Option<u16>,
    pub(crate) is_loop: bool,
    /// Of a start: the last part of its URL, and what it seeks to and plays.
    pub(crate) media: String,
    pub(crate) position: (u64, Option<Repeat>),
    /// Which key it was signed with: 0 is the first.
    pub(crate) key: u32,
    /// The time that it was signed for.
    pub(crate) signed_for: Timestamp,
    /// Of a stop: it was accepted, and the task went on.
    pub(crate) was_idle: bool,
    pub(crate) answered: Option<(Timestamp, AnswerKind)>,
    /// The code of its answer.
    pub(crate) code: String,
    pub(crate) is_slow: bool,
}

impl Send {
    /// One line of what happened, in the form of the other lines.
    pub(crate) fn traced(&self) -> String {
        let Send { term, at, action, subject, room, answered, code, .. } = self;
        format!("{at} >> {term} {action:?} {subject} {room}: {answered:?} {code}")
    }
}

/// A callback that a daemon took.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) at: Timestamp,
    pub(crate) task_id: String,
    pub(crate) job: String,
    pub(crate) news: TaskNews,
}

pub(crate) struct State {
    /// Of the host that sends now.
    pub(crate) term: i64,
    pub(crate) cloud: Cloud,
    pub(crate) sends: Vec<Send>,
    /// The daemon of now, for callbacks.
    pub(crate) handle: Option<Handle>,
    /// What the daemon of now says of itself.
    pub(crate) status: Option<tokio::sync::watch::Receiver<ingestd::engine::LoopStatus>>,
    /// The jobs of the newest schedule.
    pub(crate) jobs: Vec<SimJob>,
    pub(crate) looks: Vec<ToldLook>,
    pub(crate) callbacks_received: Vec<Received>,
    pub(crate) troubles: Troubles,
    /// The key and the offset of the daemon of now.
    key: u32,
    offset_ms: i64,
    /// Every offset that was taken: when, by how much, and how wrong the wall clock was, in milliseconds.
    pub(crate) offsets: Vec<(Timestamp, i64, i64)>,
    /// How many answers came from nodes whose clocks are wrong.
    wrong_nodes: i64,
    pub(crate) extra: Random,
    /// At which of the daemon's requests it dies.
    pub(crate) dies_at: Option<(RequestStep, u32)>,
    ledger: rusqlite::Connection,
    pub(crate) random: Random,
}

impl State {
    pub(crate) fn new(seed: u64, plan: &Plan, cloud: Cloud, ledger: rusqlite::Connection) -> State {
        State {
            term: 0,
            cloud,
            sends: Vec::new(),
            handle: None,
            status: None,
            jobs: Vec::new(),
            looks: Vec::new(),
            callbacks_received: Vec::new(),
            troubles: plan.troubles.clone(),
            key: 0,
            offset_ms: 0,
            offsets: Vec::new(),
            wrong_nodes: 0,
            extra: Random::for_purpose(seed, 7),
            dies_at: None,
            ledger,
            random: Random::for_purpose(seed, 3),
        }
    }

    /// The daemon signs for another time from now on; the wall clock is wrong by `error_ms`.
    pub(crate) fn take_offset(&mut self, now: Timestamp, offset_ms: i64, error_ms: i64) {
        self.offset_ms = offset_ms;
        self.offsets.push((now, offset_ms, error_ms));
    }

    /// Records a request that leaves.
    pub(crate) fn leaves(&mut self, request: &Request, at: Timestamp, wall: Timestamp, is_slow: bool) -> usize {
        let mut send = Send {
            term: self.term,
            at,
            wall,
            action: request.body.action(),
            subject: request.body.task_id().unwrap_or_default().to_owned(),
            room: String::new(),
            claims: Vec::new(),
            max_duration: None,
            is_loop: false,
            media: String::new(),
            position: (0, None),
            key: self.key,
            signed_for: wall + SignedDuration::from_millis(self.offset_ms),
            was_idle: false,
            answered: None,
            code: String::new(),
            is_slow,
        };
        if let Body::Start { params, .. } = &request.body {
            send.subject = job_of(params.stream_url.reveal());
            send.room = params.room.to_string();
            send.claims = self.claims(&send.subject);
            send.max_duration = params.max_duration;
            send.is_loop = params.repeat == Some(Repeat::Forever);
            params.stream_url.reveal().rsplit('/').next().unwrap_or("").clone_into(&mut send.media);
            send.position = (params.seek_second.unwrap_or(0), params.repeat);
        }
        self.sends.push(send);
        self.sends.len() - 1
    }

    pub(crate) fn draw(&mut self, action: Action, at: Timestamp, is_out: bool) -> Delivery {
        let State { random, extra, cloud, troubles, .. } = self;
        Delivery::draw(random, extra, (cloud.fault_rates, troubles), (action, at, is_out))
    }

    pub(crate) fn is_live(&self, task_id: &str, now: Timestamp) -> bool {
        self.cloud.tasks.iter().any(|task| task.id == task_id && task.is_live(now))
    }

    /// A task that was accepted does not play after all.
    pub(crate) fn spoil(&mut self, task_id: &str) {
        let Some(task) = self.cloud.tasks.iter_mut().find(|task| task.id == task_id) else { return };
        if self.extra.percent(self.troubles.never_plays) {
            (task.ends_at, task.vanishes) = (task.started_at, true);
        }
        task.is_unpulled = self.extra.percent(self.troubles.unpulled);
        let send = &self.sends[task.send];
        let url = format!("https://h/{}/{}", task.job, send.media);
        task.is_unpulled |= media::is_dead(&self.troubles.dead, &url, task.started_at);
    }

    /// Why the cloud does not take what a request was signed with.
    pub(crate) fn refuses_signature(&self, send: usize, now: Timestamp) -> Option<&'static str> {
        let request = &self.sends[send];
        let is_far = request.signed_for.duration_since(now).abs() > SIGNATURE_SLACK;
        let is_expired = self.troubles.judges_clock && is_far;
        let old_key = if request.key == 0 { self.troubles.refuses_old_key(request.action, now) } else { None };
        old_key.or(is_expired.then_some(EXPIRED))
    }

    /// The `Date` of an answer. No two nodes are wrong alike: two that agree are believed.
    pub(crate) fn date(&mut self, now: Timestamp, is_wrong: bool) -> Timestamp {
        let date = if is_wrong {
            self.wrong_nodes += 1;
            let apart = SignedDuration::from_secs(97 * self.wrong_nodes);
            match self.wrong_nodes % 3 {
                0 => Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 9) - apart,
                1 => now + SignedDuration::from_hours(1) + apart,
                _ => now - SignedDuration::from_hours(1) - apart,
            }
        } else {
            now
        };
        Timestamp::from_second(date.as_second()).expect("an instant")
    }

    /// A daemon begins: it reads its secrets, and knows nothing of the endpoint's clock.
    pub(crate) fn begin_daemon(&mut self, now: Timestamp) {
        self.offset_ms = 0;
        self.read_key(now);
    }

    /// Returns whether it is another now.
    pub(crate) fn read_key(&mut self, now: Timestamp) -> bool {
        let is_new = self.troubles.rotation.is_some_and(|rotation| rotation.in_file_at <= now);
        std::mem::replace(&mut self.key, u32::from(is_new)) != u32::from(is_new)
    }

    /// The rows by which a start of `job` may leave now.
    fn claims(&self, job: &str) -> Vec<Claim> {
        let sql = "SELECT start_ms, end_ms, attempts, on_air_ms IS NOT NULL, (SELECT count(*) FROM call WHERE call.occurrence = occurrence.id \
            AND action = 'StartStreamIngest' AND call.attempt = occurrence.attempts AND sent_ms IS NULL) \
            FROM occurrence WHERE job = ?1 AND state IN ('armed', 'calling')";
        let instant = |value: i64| Timestamp::from_millisecond(value).expect("an instant");
        let mut statement = self.ledger.prepare_cached(sql).expect("it prepares");
        let rows = statement.query_map([job], |row| {
            let end: Option<i64> = row.get(1)?;
            let calls: i64 = row.get(4)?;
            let (attempts, was_on_air) = (row.get(2)?, row.get(3)?);
            Ok(Claim { start: instant(row.get(0)?), end: end.map(instant), attempts, has_call: calls >= 1, was_on_air })
        });
        rows.expect("it runs").map(|row| row.expect("it reads")).collect()
    }
}
