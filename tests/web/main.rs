//! The promise about the read-only listener: it answers what the command line prints, in exactly the promised shape, to those who
//! mean it and to nobody else, and it cannot be worn out. Real HTTP over real sockets.

mod admission;
mod answers;
mod asking;
#[path = "../ledger/filling.rs"]
mod filling;
#[path = "../ledger/rows.rs"]
mod rows;
mod served;
