//! What is printed of a run of one seed. Does not know what happens in it.

use crate::clock::SimClock;

pub(crate) fn is_traced() -> bool {
    std::env::var_os("INGESTD_SEED").is_some()
}

pub(crate) fn trace_line(clock: &SimClock, line: &str) {
    if is_traced() {
        println!("{} -- {line}", clock.truth());
    }
}
