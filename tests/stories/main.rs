//! Stories: the real loop, on a clock that a test sets, with real SQLite and a cloud that does as the story says. What the
//! simulation finds by chance is played here on purpose, to the millisecond.

mod by_hand;
mod callbacks;
mod clock;
mod edits;
mod evidence;
mod fallback;
mod faults;
mod outages;
mod returns;
mod rooms;
mod standing;
mod story;
mod told;
