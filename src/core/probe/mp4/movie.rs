//! What the index of an MP4 says. Of a broken part nothing is told, and the rest is read. It does not know where the index stands.

use std::time::Duration;

use super::{be16, be32, be64, child, children};

/// What the index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movie {
    /// Whether it stands before the media, so that playing can begin without a second request.
    pub is_first: bool,
    /// How long it plays; `None`: it does not say, as where fragments follow.
    pub length: Option<Duration>,
    /// Its tracks of video and audio.
    pub tracks: Vec<Track>,
}

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// A track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// What it holds.
    pub kind: TrackKind,
    /// The code of its codec: `avc1`, `hvc1`, `mp4a`.
    pub codec: String,
    /// How long it plays.
    pub length: Option<Duration>,
    /// Width and height of its pictures.
    pub size: Option<(u16, u16)>,
    /// Pictures a second, times 100.
    pub rate_percent: Option<u64>,
}

impl Movie {
    /// Reads a whole `moov` box. `None`: it has no header.
    pub(super) fn read(index: &[u8], is_first: bool) -> Option<Movie> {
        let moov = child(index, *b"moov")?;
        let mvhd = child(moov, *b"mvhd")?;
        let is_fragmented = child(moov, *b"mvex").is_some();
        let boxes = || children(moov).filter(|(name, _)| name == b"trak").map(|(_, trak)| trak);
        // Players leave out what is switched off: pictures of chapters stand in such a track. Where all are, they take them all the same.
        let all_are_off = boxes().all(|trak| !is_on(trak));
        let tracks = boxes().filter(|trak| all_are_off || is_on(trak)).filter_map(track).collect();
        let length = times(mvhd).filter(|length| !(is_fragmented && length.is_zero()));
        Some(Movie { is_first, length, tracks })
    }
}

/// Whether a track is to be played (`track_enabled` of its header). One without a header is.
fn is_on(trak: &[u8]) -> bool {
    child(trak, *b"tkhd").and_then(|header| header.get(3)).is_none_or(|flags| flags & 1 == 1)
}

fn track(trak: &[u8]) -> Option<Track> {
    let mdia = child(trak, *b"mdia")?;
    let kind = match child(mdia, *b"hdlr")?.get(8..12)? {
        b"vide" => TrackKind::Video,
        b"soun" => TrackKind::Audio,
        _ => return None,
    };
    let mdhd = child(mdia, *b"mdhd")?;
    let table = child(child(mdia, *b"minf")?, *b"stbl")?;
    // Version and flags, the number of entries, then the first: its size, its code, 6 bytes, an index; of video then 16 bytes
    // before the size of its pictures.
    let entry = child(table, *b"stsd")?.get(8..)?;
    let code = entry.get(4..8)?;
    let codec = code.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
    let size = (kind == TrackKind::Video).then(|| Some((be16(entry, 32)?, be16(entry, 34)?))).flatten();
    let rate = child(table, *b"stts").filter(|_| kind == TrackKind::Video);
    let rate_percent = rate.and_then(|stts| rate_percent(stts, timescale(mdhd)?));
    Some(Track { kind, codec, length: times(mdhd).filter(|length| !length.is_zero()), size, rate_percent })
}

/// The units of a second, in a header of the movie or of a track.
fn timescale(header: &[u8]) -> Option<u32> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    be32(header, at).filter(|scale| *scale > 0)
}

/// The length in such a header. All bits set: it is not known.
fn times(header: &[u8]) -> Option<Duration> {
    let scale = u64::from(timescale(header)?);
    let units = if header.first()? == &1 {
        be64(header, 24).filter(|units| *units != u64::MAX)?
    } else {
        u64::from(be32(header, 16).filter(|units| *units != u32::MAX)?)
    };
    let milliseconds = u128::from(units) * 1_000 / u128::from(scale);
    Some(Duration::from_millis(u64::try_from(milliseconds).ok()?))
}

/// Pictures a second, times 100, from the table of their durations.
fn rate_percent(stts: &[u8], scale: u32) -> Option<u64> {
    let count = usize::try_from(be32(stts, 4)?).ok()?;
    let entries = stts.get(8..)?.chunks_exact(8).take(count);
    let (mut pictures, mut units) = (0_u128, 0_u128);
    for entry in entries {
        let (number, delta) = (u128::from(be32(entry, 0)?), u128::from(be32(entry, 4)?));
        pictures += number;
        units += number * delta;
    }
    // One picture alone has no rate.
    if units == 0 || pictures < 2 {
        return None;
    }
    u64::try_from(pictures * u128::from(scale) * 100 / units).ok()
}
