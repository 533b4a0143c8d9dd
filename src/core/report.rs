//! From the ledger and the plan to what people and programs read: JSON, tables, CSV. Pure. Does not know where it is
//! shown.

pub mod calendar;
pub mod changes;
pub mod forecast;
pub mod history;
pub mod plan;
pub mod range;
pub mod rundown;
pub mod status;
pub mod story;
pub mod table;
pub mod time;
pub mod why;
mod wrap;

pub use time::{instant, local, parse_time};
