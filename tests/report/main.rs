//! The promise about what people and programs read: the health says what an operator would say, the text leads with it,
//! and a row of history is one line. Pure values in, text out.

mod health;
#[path = "../ledger/rows.rs"]
mod rows;
mod rundown;
mod texts;
