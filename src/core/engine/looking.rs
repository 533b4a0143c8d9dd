//! What others may know of the engine between two steps. Changes nothing.

use jiff::SignedDuration;

use super::Engine;
use super::fallbacks::{self, OnFallback};
use crate::plan::holds::Holds;
use crate::trtc::advice::SecretPlaces;

impl Engine {
    /// The endpoint's clock minus this one, in milliseconds, if they differ.
    pub fn server_offset_ms(&self) -> Option<i64> {
        self.endpoint.clock.offset_ms()
    }

    /// Where the secrets are kept.
    pub fn secret_places(&self) -> SecretPlaces {
        self.airings.tasks.secrets
    }

    /// Why the secrets cannot be read again, if they cannot.
    pub fn secrets_unread(&self) -> Option<&str> {
        self.endpoint.secrets.unread()
    }

    /// Why starts are held for the clock's sake, if they are.
    pub fn clock_hold(&self) -> Option<&str> {
        self.hold.reason()
    }

    /// What operators hold back.
    pub fn holds(&self) -> &Holds {
        &self.agenda.holds
    }

    /// The shows that play their fallback, or are to.
    pub fn on_fallback(&self) -> Vec<OnFallback> {
        fallbacks::on_fallback(&self.airings)
    }

    /// The time between two describes of a task on air.
    pub fn watch_period(&self) -> SignedDuration {
        self.airings.tasks.watch_period()
    }
}
