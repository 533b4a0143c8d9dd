//! Telling people: the rules are those of the core ([`ingestd_core::alerts`]); here messages leave, by HTTP or by a program, and what comes
//! back is judged. Does not decide what is told, and when.

pub mod deliver;
mod exec;
mod heartbeat;
mod said;
pub mod sender;
pub mod testing;

pub use ingestd_core::alerts::*;

use crate::config::{AlertReceiver, AlertTo};

/// Those of the settings who are told; a heartbeat is not.
pub fn receivers(settings: &[AlertReceiver]) -> Vec<Receiver> {
    let told = settings.iter().filter(|receiver| !matches!(receiver.to, AlertTo::Heartbeat { .. }));
    let receiver = |AlertReceiver { name, to, on }: &AlertReceiver| {
        let spreads = matches!(to, AlertTo::Webhook { format, .. } if format.spreads());
        Receiver { name: name.clone(), on: on.clone(), spreads }
    };
    told.map(receiver).collect()
}
