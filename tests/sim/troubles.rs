//! What goes wrong for a while at the endpoint, with the account, and with single tasks, drawn from its own numbers: what a seed drew
//! before stays what it was. Does none of it, and does not know what a daemon makes of it.

use ingestd::trtc::{Action, Fault};
use jiff::{SignedDuration, Timestamp};

use crate::cloud::rejected;
use crate::faults::Plan;
use crate::media::DeadMedia;
use crate::random::Random;
use crate::scenario::begin;

/// A time in which something is wrong, by the true clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spell {
    from: Timestamp,
    to: Timestamp,
}

impl Spell {
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// Describes, stops or both are refused: an account may start and not stop (TRTC.md section 10).
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    spell: Spell,
    describes: bool,
    stops: bool,
    fault: Fault,
}

/// The account's key is replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    /// From then on the cloud refuses the old key.
    pub(crate) at: Timestamp,
    /// From then on the file has the new one.
    pub(crate) in_file_at: Timestamp,
    /// What the cloud says to the old key.
    pub(crate) code: &'static str,
}

/// All of it. The numbers are percents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles {
    refusals: Vec<Refusal>,
    /// Stops are accepted, and take effect later or never.
    idle_stops: Vec<Spell>,
    pub(crate) rotation: Option<Rotation>,
    /// Answers of a node whose clock is wrong.
    pub(crate) wrong_dates: u64,
    /// Whether a signature for a time that is far off is refused.
    pub(crate) judges_clock: bool,
    /// Faults that come with a `Retry-After`.
    pub(crate) hints: u64,
    /// Tasks that are accepted and never play.
    pub(crate) never_plays: u64,
    /// Tasks of which a callback says that their media cannot be pulled.
    pub(crate) unpulled: u64,
    /// When media cannot be had.
    pub(crate) dead: Vec<DeadMedia>,
}

impl Troubles {
    /// Whether every request is answered rightly. Tasks that do not play are no fault of a request.
    pub(crate) fn is_fault_free(&self) -> bool {
        let Troubles {
            refusals,
            idle_stops,
            rotation,
            wrong_dates,
            judges_clock: _,
            hints: _,
            never_plays: _,
            unpulled: _,
            dead: _,
        } = self;
        refusals.is_empty() && idle_stops.is_empty() && rotation.is_none() && *wrong_dates == 0
    }

    /// How a request is refused now, if it is.
    pub(crate) fn refuses(&self, action: Action, at: Timestamp) -> Option<Fault> {
        let is_meant = |refusal: &&Refusal| match action {
            Action::Start => false,
            Action::Stop => refusal.stops,
            Action::Describe => refusal.describes,
        };
        let mut refusals = self.refusals.iter().filter(is_meant);
        refusals.find(|refusal| refusal.spell.holds(at)).map(|refusal| refusal.fault.clone())
    }

    /// Whether a stop that is accepted now has no effect at once.
    pub(crate) fn stops_are_idle(&self, at: Timestamp) -> bool {
        self.idle_stops.iter().any(|spell| spell.holds(at))
    }

    /// What the cloud says to the old key, if it refuses it.
    pub(crate) fn refuses_old_key(&self, action: Action, at: Timestamp) -> Option<&'static str> {
        let rotation = self.rotation.filter(|rotation| rotation.at <= at)?;
        let is_meant = rotation.code != USER_SIG || action == Action::Start;
        is_meant.then_some(rotation.code)
    }
}

/// Of the tickets that only a start has.
const USER_SIG: &str = "InvalidParameter.UserSig";

/// How describes and stops are refused.
fn refused(random: &mut Random) -> Fault {
    match random.below(6) {
        0 => rejected("AuthFailure.UnauthorizedOperation"),
        1 => rejected("AuthFailure.SignatureFailure"),
        2 => rejected("UnsupportedRegion"),
        3 => rejected("InternalError.InternalError"),
        4 => Fault::Status(307),
        _ => Fault::Status(403),
    }
}

/// Adds troubles to the plan of a seed.
pub(crate) fn add(random: &mut Random, minutes: i64, plan: &mut Plan) {
    // Where the clock is set, half of the clouds look at it.
    plan.troubles.judges_clock = plan.has_steps() && random.percent(50);
    if random.percent(45) {
        return;
    }
    let at = |random: &mut Random| begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000));
    let spell = |random: &mut Random, longest: i64| {
        let from = at(random);
        Spell { from, to: from + SignedDuration::from_secs(random.within(5, longest)) }
    };
    let troubles = &mut plan.troubles;
    if random.percent(25) {
        for _ in 0..=random.below(2) {
            let (spell, which) = (spell(random, 600), random.below(3));
            troubles.refusals.push(Refusal { spell, describes: which != 0, stops: which != 1, fault: refused(random) });
        }
    }
    if random.percent(20) {
        troubles.idle_stops = (0..=random.below(2)).map(|_| spell(random, 600)).collect();
    }
    if random.percent(20) {
        let at = at(random);
        let in_file_at = at + SignedDuration::from_secs(random.within(-120, 240));
        let code = *random.pick(&[
            "AuthFailure.TokenFailure",
            "AuthFailure.TokenFailure",
            "AuthFailure.SecretIdNotFound",
            "AuthFailure.SignatureFailure",
            USER_SIG,
        ]);
        troubles.rotation = Some(Rotation { at, in_file_at, code });
    }
    if random.percent(20) {
        troubles.wrong_dates = 2 + random.below(14);
        troubles.judges_clock = true;
    }
    if random.percent(20) {
        troubles.hints = 20 + random.below(60);
        plan.fault_rates.internal = plan.fault_rates.internal.max(5);
    }
    if random.percent(20) {
        troubles.never_plays = 5 + random.below(36);
    }
    if random.percent(20) {
        troubles.unpulled = 10 + random.below(40);
        plan.callbacks = true;
    }
}
