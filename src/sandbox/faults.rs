//! The fault plan: which requests and callbacks go wrong, and how. Counts what it sees; does not know sockets, clocks and files.

use std::time::Duration;

use crate::trtc::Action;
use crate::trtc::callback::TaskNews;

/// Rules in order.
///
/// A `cold_delay` rule sees only requests that are the first on their connection, before they arrive. Every other rule is
/// tried in order: `delay` and `vanish` take part and pass the request on; the first rule that fires with any other effect
/// ends the walk, and the rules behind it do not see (or count) the request. Of several delays the first that fires holds.
///
/// A rule that disturbs callbacks sees only those; of several the first that fires holds.
///
/// A rule that replaces the answer replaces whatever the answer would have been. Its request counts towards the rate like
/// every other; its effect happens only if the rule says that it is done, and then after every check of the sandbox.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    rules: Vec<FaultRule>,
}

/// What a rule does to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultEffect {
    /// The answer leaves this much later. The effect happens on arrival.
    Delay(Duration),
    /// The request arrives this much later, if it is the first on its connection: what a handshake far away costs.
    ColdDelay(Duration),
    /// The task that the request starts ends by itself this long after its start.
    Vanish(Duration),
    /// The answer says that it worked, and nothing happens: a start gives the id of a task that never runs, a stop leaves its task
    /// on air, a describe says `InProgress`. Every check of the sandbox is made before that.
    Accept,
    /// A callback goes another way than it should.
    Disturb(Disturbance),
    /// Something else in place of the answer.
    Replace {
        /// What.
        with: Replacement,
        /// Whether the action takes effect although its answer is replaced.
        done: bool,
    },
}

/// What happens to a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// It leaves this much later.
    Late(Duration),
    /// It is delivered so many times more.
    Repeat(u32),
    /// It is delivered behind the next one, or a minute later when none comes.
    Swap,
    /// It never leaves.
    Drop,
}

/// What comes in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// An error in the vendor's envelope, HTTP 200.
    Error(String),
    /// A status with an HTML page, as a proxy in between writes it.
    Status {
        /// The status, 300..=599.
        status: u16,
        /// `Retry-After`, whole seconds.
        retry_after: Option<Duration>,
    },
    /// HTTP 200 with this text.
    Body(String),
    /// Nothing: the connection stays open, for at most ten minutes.
    Hang,
    /// The connection is closed without a byte.
    Cut,
}

/// One rule: which requests, how often, what happens.
#[derive(Clone, Debug)]
pub struct FaultRule {
    effect: FaultEffect,
    action: Option<Action>,
    event: Option<TaskNews>,
    room: Option<String>,
    robot: Option<String>,
    stream: Option<String>,
    after: u64,
    every: u64,
    times: Option<u64>,
    chance: Option<Chance>,
    seen: u64,
    fired: u64,
}

/// What a rule can look at. For stops, describes and callbacks the room and the robot are those of the task.
#[derive(Clone, Copy, Default)]
pub(super) struct RequestView<'a> {
    /// The action, if it is one of the three.
    pub(super) action: Option<Action>,
    /// The event of a callback.
    pub(super) event: Option<TaskNews>,
    /// `RoomId`.
    pub(super) room: Option<&'a str>,
    /// `UserId`.
    pub(super) robot: Option<&'a str>,
    /// `StreamUrl`.
    pub(super) stream: Option<&'a str>,
}

/// What the plan does to one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Injected {
    /// How much later the answer leaves.
    pub(super) delay: Duration,
    /// How long after its start the task ends.
    pub(super) vanish: Option<Duration>,
    /// Whether the action only seems to take effect.
    pub(super) accept: bool,
    /// What replaces the answer, and whether the action takes effect.
    pub(super) replace: Option<(Replacement, bool)>,
}

impl FaultPlan {
    /// These rules, in this order.
    pub fn new(rules: Vec<FaultRule>) -> FaultPlan {
        FaultPlan { rules }
    }

    /// How many rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether nothing goes wrong on purpose.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Puts `plan` in front.
    pub(super) fn prepend(&mut self, plan: FaultPlan) {
        self.rules.splice(0..0, plan.rules);
    }

    /// What a request that is the first on its connection waits before it arrives.
    pub(super) fn cold_delay(&mut self, view: &RequestView<'_>) -> Duration {
        let mut found = None;
        for rule in &mut self.rules {
            if let FaultEffect::ColdDelay(delay) = rule.effect
                && found.is_none()
                && rule.fires(view)
            {
                found = Some(delay);
            }
        }
        found.unwrap_or_default()
    }

    /// What happens to a callback that should leave.
    pub(super) fn disturb(&mut self, view: &RequestView<'_>) -> Option<Disturbance> {
        self.rules.iter_mut().find_map(|rule| {
            let FaultEffect::Disturb(disturbance) = rule.effect else { return None };
            rule.fires(view).then_some(disturbance)
        })
    }

    /// What happens to a request that has arrived.
    pub(super) fn apply(&mut self, view: &RequestView<'_>) -> Injected {
        let mut injected = Injected::default();
        for rule in &mut self.rules {
            match &rule.effect {
                FaultEffect::ColdDelay(_) | FaultEffect::Disturb(_) => {}
                FaultEffect::Delay(delay) => {
                    let delay = *delay;
                    if injected.delay.is_zero() && rule.fires(view) {
                        injected.delay = delay;
                    }
                }
                FaultEffect::Vanish(after) => {
                    let after = *after;
                    if view.action == Some(Action::Start) && injected.vanish.is_none() && rule.fires(view) {
                        injected.vanish = Some(after);
                    }
                }
                FaultEffect::Accept => {
                    if rule.fires(view) {
                        injected.accept = true;
                        return injected;
                    }
                }
                FaultEffect::Replace { with, done } => {
                    let replace = (with.clone(), *done);
                    if rule.fires(view) {
                        injected.replace = Some(replace);
                        return injected;
                    }
                }
            }
        }
        injected
    }
}

impl FaultRule {
    /// A rule that fires for every request.
    pub fn new(effect: FaultEffect) -> FaultRule {
        let (action, event, room, robot, stream) = (None, None, None, None, None);
        FaultRule { effect, action, event, room, robot, stream, after: 0, every: 1, times: None, chance: None, seen: 0, fired: 0 }
    }

    /// Shorthand: an error in the envelope, without effect.
    pub fn error(code: &str) -> FaultRule {
        FaultRule::new(FaultEffect::Replace { with: Replacement::Error(code.to_owned()), done: false })
    }

    /// Only requests of this action.
    #[must_use]
    pub fn action(mut self, action: Action) -> FaultRule {
        self.action = Some(action);
        self
    }

    /// Only callbacks of this event.
    #[must_use]
    pub fn event(mut self, event: TaskNews) -> FaultRule {
        self.event = Some(event);
        self
    }

    /// Only requests of this room, integer or string.
    #[must_use]
    pub fn room(mut self, room: &str) -> FaultRule {
        self.room = Some(room.to_owned());
        self
    }

    /// Only requests of this robot.
    #[must_use]
    pub fn robot(mut self, robot: &str) -> FaultRule {
        self.robot = Some(robot.to_owned());
        self
    }

    /// Only requests with this stream URL.
    #[must_use]
    pub fn stream(mut self, stream: &str) -> FaultRule {
        self.stream = Some(stream.to_owned());
        self
    }

    /// The first `count` requests that match are let through, and not counted by `every`.
    #[must_use]
    pub fn after(mut self, count: u64) -> FaultRule {
        self.after = count;
        self
    }

    /// Fires for every `count`th request that matches, the `count`th first; 0 is taken as 1.
    #[must_use]
    pub fn every(mut self, count: u64) -> FaultRule {
        self.every = count.max(1);
        self
    }

    /// Fires at most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> FaultRule {
        self.times = Some(count);
        self
    }

    /// Fires with this probability, 0 to 1. The same seed draws the same row.
    #[must_use]
    pub fn probability(mut self, probability: f64, seed: u64) -> FaultRule {
        self.chance = Some(Chance { probability, state: seed });
        self
    }

    /// Whether the rule fires for a request; counts it if it matches.
    fn fires(&mut self, view: &RequestView<'_>) -> bool {
        let matches = self.action.is_none_or(|action| view.action == Some(action))
            && self.event.is_none_or(|event| view.event == Some(event))
            && self.room.as_deref().is_none_or(|room| view.room == Some(room))
            && self.robot.as_deref().is_none_or(|robot| view.robot == Some(robot))
            && self.stream.as_deref().is_none_or(|stream| view.stream == Some(stream));
        if !matches {
            return false;
        }
        self.seen += 1;
        let fires = self.seen > self.after
            && (self.seen - self.after).is_multiple_of(self.every)
            && self.times.is_none_or(|times| self.fired < times)
            && self.chance.as_mut().is_none_or(Chance::draw);
        self.fired += u64::from(fires);
        fires
    }
}

/// A seeded row of draws (`SplitMix64`: eight lines, and nothing here is a secret).
#[derive(Clone, Debug)]
struct Chance {
    probability: f64,
    state: u64,
}

impl Chance {
    fn draw(&mut self) -> bool {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper 32 bits as a fraction: exact in an f64.
        f64::from((mixed >> 32) as u32) / 4_294_967_296.0 < self.probability
    }
}

#[cfg(test)]
mod tests;
