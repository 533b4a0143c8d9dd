//! Is the media there, as the vendor's relay would fetch it? The rules of a probe: which addresses it may reach, what the first bytes
//! are, what a relay would trip over, and when which URL is looked at again. It fetches nothing: the shell does, and brings facts.

mod address;
mod agenda;
mod container;
mod hls;
mod judge;
mod mp4;
mod rtmp;

pub use address::{MediaHost, MediaHosts};
pub use agenda::{AHEAD, Agenda, LOOK_AHEAD, MediaState, Show, show_on_fallback, shows};
pub use container::{Container, flv_streams};
pub use hls::{Encryption, Playlist};
pub use judge::{Expected, MediaFacts, MediaFault, SLOW_OPEN, fault_words, judge, needs_media};
pub use mp4::{INDEX_BYTES_MAX, Movie, Step, Track, TrackKind, Walk};
pub use rtmp::{HELLO_BYTES, hello, judge_answer};
