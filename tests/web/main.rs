//! The promises about the listeners. The read-only one answers what the command line prints, in exactly the promised shape, to those
//! who mean it and to nobody else; orders and callbacks reach the daemon from those who may give them; and none can be worn out.
//! Real HTTP over real sockets.

mod admission;
mod answers;
mod asking;
mod callbacks;
mod control;
#[path = "../ledger/filling.rs"]
mod filling;
#[path = "../ledger/rows.rs"]
mod rows;
mod served;
