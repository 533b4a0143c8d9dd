//! `ingestd` puts media on air in Tencent RTC rooms by the clock.

pub mod calendar;
pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod plan;
pub mod schedule;
pub mod secret;
pub mod trtc;
pub mod yaml;
