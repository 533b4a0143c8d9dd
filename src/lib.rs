//! `ingestd` puts media on air in Tencent RTC rooms by the clock.

pub mod calendar;
pub mod diagnostic;
pub mod schedule;
pub mod trtc;
pub mod yaml;
