//! Alerts reach those who are to be told: five receivers that answer as the real ones do, an outage, and a crash.

mod killed;
mod outage;
mod receivers;
mod sending;
mod signing;
