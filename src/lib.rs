//! `ingestd` puts media on air in Tencent RTC rooms by the clock: a pure core decides, and a shell around it does.

pub mod calendar;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod diagnostic;
pub mod ledger;
mod listener;
pub mod occurrence;
pub mod plan;
pub mod report;
pub mod sandbox;
pub mod schedule;
pub mod secret;
pub mod systemd;
pub mod trtc;
pub mod web;
pub mod yaml;
pub mod zones;
