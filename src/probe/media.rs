//! What is behind an HTTP URL: the first bytes, then the index of an MP4 or the segments of a playlist. Does not judge what it sees.

use std::time::Duration;

use ingestd_core::probe::{Container, Expected, MediaFacts, MediaFault, Playlist, SLOW_OPEN, Step, Walk, flv_streams};
use reqwest::Url;
use tokio::time::Instant;

use super::fetch::{Fetcher, Part, parse};
use crate::trtc::StreamUrl;

/// The first part. Enough to measure by, and little for those who pay for it.
const FIRST_BYTES: u64 = 256 << 10;

/// A longer part, to measure by.
const LONGER_BYTES: u64 = 4 << 20;

/// The fewest bytes of a further part: a header asks for 16, and what comes behind it is wanted next.
const NEXT_BYTES_MIN: u64 = 16 << 10;

/// The most requests for the index of an MP4.
const PARTS_MAX: usize = 8;

/// The most of a playlist: that of a day with long URLs is shorter.
const PLAYLIST_BYTES_MAX: u64 = 8 << 20;

/// The most lists behind one another: of variants, then of segments.
const PLAYLISTS_MAX: usize = 3;

/// Sees what is there.
pub(super) async fn see(
    fetcher: &Fetcher<'_>,
    url: &StreamUrl,
    expected: Expected,
    facts: &mut MediaFacts,
) -> Result<(), MediaFault> {
    let url = parse(url)?;
    let part = fetcher.part(&url, 0, FIRST_BYTES).await?;
    take_part(&part, facts);
    if part.bytes.is_empty() {
        return Err(MediaFault::Empty);
    }
    let container = Container::of(&part.bytes);
    facts.container = Some(container.name());
    match container {
        Container::Page => Err(MediaFault::Page),
        Container::Mp4 => {
            mp4(fetcher, &url, part, facts).await?;
            measure_again(fetcher, &url, facts).await;
            Ok(())
        }
        Container::Hls => hls(fetcher, url, part, facts).await,
        Container::Flv => flv(&part.bytes, expected),
        Container::MpegTs | Container::Matroska | Container::Mp3 | Container::Unknown => Ok(()),
    }
}

fn take_part(part: &Part, facts: &mut MediaFacts) {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    facts.ranges = Some(part.is_range);
    facts.bytes = part.total;
    facts.redirects = part.redirects;
    facts.first_byte_ms = Some(milliseconds(part.first_byte));
    take_speed(part, facts);
}

fn take_speed(part: &Part, facts: &mut MediaFacts) {
    facts.measured_bytes = part.bytes.len() as u64;
    // What comes at once is as fast as can be measured.
    let microseconds = u64::try_from(part.reading.as_micros()).unwrap_or(u64::MAX).max(1_000);
    facts.bytes_per_s = Some(facts.measured_bytes.saturating_mul(1_000_000) / microseconds);
}

/// A connection begins slowly: where the first part came too slowly for what plays, a longer one tells how fast it becomes.
async fn measure_again(fetcher: &Fetcher<'_>, url: &Url, facts: &mut MediaFacts) {
    if facts.slow().is_none() || facts.ranges != Some(true) || facts.bytes.is_none_or(|bytes| bytes <= FIRST_BYTES) {
        return;
    }
    // What goes wrong now did not go wrong before: the first part counts.
    let Ok(part) = fetcher.part(url, FIRST_BYTES, LONGER_BYTES).await else { return };
    let before = facts.bytes_per_s;
    take_speed(&part, facts);
    facts.bytes_per_s = facts.bytes_per_s.max(before);
}

/// The index, wherever it stands.
async fn mp4(fetcher: &Fetcher<'_>, url: &Url, first: Part, facts: &mut MediaFacts) -> Result<(), MediaFault> {
    let (mut walk, until) = (Walk::new(first.total), Instant::now() + SLOW_OPEN);
    let mut part = first;
    for _ in 0..PARTS_MAX {
        match walk.step(part.from, &part.bytes) {
            Step::Found(movie) => {
                facts.take_movie(&movie);
                return Ok(());
            }
            Step::Failed(why) => return Err(MediaFault::Broken(why)),
            // All that such a server gives is the beginning.
            Step::Needs { .. } if facts.ranges == Some(false) => {
                if walk.is_behind_media() {
                    facts.index_first = Some(false);
                }
                return Ok(());
            }
            Step::Needs { at, count } => {
                let left = part.total.or(facts.bytes).map_or(u64::MAX, |total| total.saturating_sub(at));
                // The redirects are followed anew: a signed URL at their end may hold for one request.
                let time = until.saturating_duration_since(Instant::now());
                let next = fetcher.part_within(url, at, count.max(NEXT_BYTES_MIN).min(left), time).await?;
                if next.from != at {
                    return Err(MediaFault::Broken("its server serves another part than it is asked for".to_owned()));
                }
                if (next.bytes.len() as u64) < count {
                    return Err(MediaFault::Slow("its index (`moov`) did not come in 15 s"));
                }
                part = next;
            }
        }
    }
    Err(MediaFault::Broken(format!("its index (`moov`) was not found with {PARTS_MAX} requests")))
}

fn flv(bytes: &[u8], expected: Expected) -> Result<(), MediaFault> {
    match flv_streams(bytes) {
        None => Err(MediaFault::Broken("its header was cut off".to_owned())),
        // A live source may say so only later.
        Some((false, false)) if !expected.live => Err(MediaFault::Broken("it says that it has no audio and no video".to_owned())),
        Some(_) => Ok(()),
    }
}

/// The playlist, that of its first variant, and one segment.
async fn hls(fetcher: &Fetcher<'_>, url: Url, first: Part, facts: &mut MediaFacts) -> Result<(), MediaFault> {
    let (mut url, mut list) = (url, first);
    // What was measured is a list; and the length is that of its segments.
    (facts.bytes, facts.bytes_per_s, facts.ranges) = (None, None, None);
    for _ in 0..PLAYLISTS_MAX {
        list = whole_list(fetcher, &url, list).await?;
        let playlist = Playlist::parse(&String::from_utf8_lossy(&list.bytes));
        let playlist = playlist.map_err(|why| MediaFault::Broken(format!("of its playlist: {why}")))?;
        let next =
            |text: &str| list.url.join(text).map_err(|_| MediaFault::Broken("its playlist names what is not a URL".to_owned()));
        match playlist {
            Playlist::Variants { first } => {
                url = next(&first)?;
                list =
                    fetcher.part(&url, 0, FIRST_BYTES).await.map_err(|fault| within("the playlist of its first variant", fault))?;
            }
            Playlist::Segments { one, length, ended, encryption } => {
                if ended {
                    facts.length_ms = u64::try_from(length.as_millis()).ok();
                }
                facts.encryption = encryption;
                let segment = fetcher.part(&next(&one)?, 0, NEXT_BYTES_MIN).await;
                let segment = segment.map_err(|fault| within("a segment of it", fault))?;
                return match Container::of(&segment.bytes) {
                    _ if segment.bytes.is_empty() => Err(MediaFault::Broken("a segment of it is empty".to_owned())),
                    // Encrypted bytes may look like anything.
                    Container::Page if encryption.is_none() => Err(within("a segment of it", MediaFault::Page)),
                    _ => Ok(()),
                };
            }
        }
    }
    Err(MediaFault::Broken(format!("it has more than {PLAYLISTS_MAX} playlists, one behind the other")))
}

/// The playlist whose beginning is there: all of it, or else as many whole lines as come.
async fn whole_list(fetcher: &Fetcher<'_>, url: &Url, begin: Part) -> Result<Part, MediaFault> {
    let is_cut = |part: &Part, asked: u64| {
        let count = part.bytes.len() as u64;
        part.total.map_or(count >= asked, |total| count < total)
    };
    if !is_cut(&begin, FIRST_BYTES) {
        return Ok(begin);
    }
    let mut list = fetcher.part(url, 0, PLAYLIST_BYTES_MAX).await?;
    if is_cut(&list, PLAYLIST_BYTES_MAX) {
        let end = list.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        list.bytes.truncate(end);
    }
    Ok(list)
}

/// A fault of what a playlist names.
fn within(what: &str, fault: MediaFault) -> MediaFault {
    match fault {
        // What to do is the same as for the list itself.
        MediaFault::Address(why) => MediaFault::Address(format!("{what}: {why}")),
        fault => MediaFault::Broken(format!("{what} {}", ingestd_core::probe::fault_words(&fault))),
    }
}
