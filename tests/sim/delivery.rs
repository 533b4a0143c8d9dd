//! What happens to a request on its way, drawn when it leaves: how long it takes, whether it takes effect, and what is wrong with its
//! answer. Does not know the request's content, and does not bring it anywhere.

use std::time::Duration;

use ingestd::trtc::{Action, Fault};
use jiff::Timestamp;

use crate::cloud::rejected;
use crate::faults::FaultRates;
use crate::random::Random;
use crate::troubles::Troubles;

/// What will happen to a request.
pub(crate) struct Delivery {
    pub(crate) to_server: Duration,
    pub(crate) back: Duration,
    pub(crate) refused: bool,
    pub(crate) effect: bool,
    pub(crate) fault: Option<Fault>,
    /// The answer never comes: a cut after so long, or else the limit.
    pub(crate) lost: Option<Duration>,
    pub(crate) retry_after: Option<Duration>,
    /// Its node's clock is wrong.
    pub(crate) is_wrong_node: bool,
}

const CALL_LIMIT: Duration = Duration::from_secs(10);

/// What only tells that the clock is wrong.
pub(crate) const EXPIRED: &str = "AuthFailure.SignatureExpire";

impl Delivery {
    /// Draws it. `random` is that of all deliveries, `extra` that of what was added later.
    pub(crate) fn draw(
        random: &mut Random,
        extra: &mut Random,
        (fault_rates, troubles): (FaultRates, &Troubles),
        (action, at, is_out): (Action, Timestamp, bool),
    ) -> Delivery {
        let mut delivery = Delivery::of_wire(random, fault_rates, action, is_out);
        if delivery.lost.is_some() || delivery.refused {
            return delivery;
        }
        if let Some(fault) = troubles.refuses(action, at) {
            (delivery.fault, delivery.effect) = (Some(fault), false);
        }
        if extra.percent(troubles.wrong_dates) {
            delivery.is_wrong_node = true;
            // Most nodes whose clock is wrong refuse what was signed by one that is right.
            if delivery.fault.is_none() && extra.percent(70) {
                (delivery.fault, delivery.effect) = (Some(rejected(EXPIRED)), false);
            }
        }
        if delivery.fault.is_some() && extra.percent(troubles.hints) {
            let hint = if extra.percent(50) { 3_600 } else { 1 + extra.below(20) };
            delivery.retry_after = Some(Duration::from_secs(hint));
        }
        delivery
    }

    fn of_wire(random: &mut Random, fault_rates: FaultRates, action: Action, is_out: bool) -> Delivery {
        let mut delivery = Delivery {
            to_server: Duration::from_millis(1 + random.below(120)),
            back: Duration::from_millis(1 + random.below(80)),
            refused: random.percent(fault_rates.refused) || (is_out && random.percent(50)),
            effect: true,
            fault: None,
            lost: None,
            retry_after: None,
            is_wrong_node: false,
        };
        let half = random.percent(50);
        let gateway = Fault::Status(if half { 502 } else { 503 });
        if random.percent(fault_rates.internal) {
            delivery.fault = Some(rejected("InternalError.InternalError"));
        } else if random.percent(fault_rates.unknown) {
            delivery.fault = Some(rejected("FailedOperation.Whatever"));
        } else if random.percent(fault_rates.gateway) {
            delivery.fault = Some(gateway);
            delivery.retry_after = random.percent(30).then(|| Duration::from_secs(1 + random.below(20)));
        } else if random.percent(fault_rates.insufficient) {
            delivery.effect = false;
            delivery.fault = Some(rejected("ResourceInsufficient.RequestRejection"));
            return delivery;
        } else if random.percent(fault_rates.lost) || is_out || (action == Action::Describe && random.percent(fault_rates.hang)) {
            let cut = random.percent(50).then(|| Duration::from_millis(random.below(9_000)));
            delivery.fault = Some(if cut.is_some() { Fault::Cut("planned".into()) } else { Fault::Timeout });
            delivery.lost = Some(cut.unwrap_or(CALL_LIMIT));
        } else if random.percent(fault_rates.slow) {
            delivery.to_server += Duration::from_millis(random.below(1_500));
            delivery.back += Duration::from_millis(random.below(7_500));
        }
        delivery.effect = delivery.fault.is_none() || (half && !is_out);
        delivery
    }
}
