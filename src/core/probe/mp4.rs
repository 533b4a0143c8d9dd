//! Finds the index of an MP4 (`moov`) and reads from it what a relay needs: the length, the tracks with their codecs, the size and the
//! pictures a second (ISO/IEC 14496-12). It asks for the bytes that it wants and does not fetch them, so that one walk works over any
//! transport. Why not a crate: `shiguredo_mp4` wants a newer Rust than ours, and the few boxes that count are read in 200 lines.

mod movie;

pub use movie::{Movie, Track, TrackKind};

/// The largest index that is read. One of a film of three hours has some 5 MB.
pub const INDEX_BYTES_MAX: u64 = 8 << 20;

/// The most boxes that are passed on the way to the index.
const BOXES_MAX: usize = 64;

/// The longest header of a box.
const HEADER_BYTES: u64 = 16;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes are wanted.
    Needs {
        /// The place of the first one in the file.
        at: u64,
        /// How many.
        count: u64,
    },
    /// The index was found and read.
    Found(Movie),
    /// It is not there, or cannot be read: why.
    Failed(String),
}

/// A walk over the boxes of a file, from its beginning to the index.
#[derive(Clone, Debug)]
pub struct Walk {
    at: u64,
    total: Option<u64>,
    boxes: usize,
    mdat_seen: bool,
}

/// The header of a box.
struct Header {
    name: [u8; 4],
    /// The whole box; `None`: to the end of the file.
    size: Option<u64>,
}

impl Walk {
    /// Begins at the beginning. `total`: how many bytes the file has, if that is known.
    pub fn new(total: Option<u64>) -> Walk {
        Walk { at: 0, total, boxes: 0, mdat_seen: false }
    }

    /// Whether media stands before the place where the walk is: the index is behind it.
    pub fn is_behind_media(&self) -> bool {
        self.mdat_seen
    }

    /// Goes on with these bytes, which begin at `from`.
    pub fn step(&mut self, from: u64, bytes: &[u8]) -> Step {
        loop {
            if self.total.is_some_and(|total| self.at >= total) {
                return Step::Failed("it has no index (`moov`): it was cut off, or is still being written".to_owned());
            }
            if self.boxes == BOXES_MAX {
                return Step::Failed(format!("there is no index (`moov`) among its first {BOXES_MAX} boxes"));
            }
            // The last box of a file may be shorter than the longest header.
            let wanted = self.total.map_or(HEADER_BYTES, |total| (total - self.at).min(HEADER_BYTES));
            let Some(head) = slice(from, bytes, self.at, wanted) else { return Step::Needs { at: self.at, count: wanted } };
            let Some(header) = header(head) else {
                return Step::Failed(format!("the box at byte {} is broken", self.at));
            };
            if header.name == *b"moov" {
                return self.index(&header, from, bytes);
            }
            self.boxes += 1;
            self.mdat_seen |= header.name == *b"mdat";
            let next = header.size.and_then(|size| self.at.checked_add(size));
            let Some(next) = next else {
                return Step::Failed("it has no index (`moov`): its last box goes on to the end".to_owned());
            };
            self.at = next;
        }
    }

    fn index(&self, header: &Header, from: u64, bytes: &[u8]) -> Step {
        let Some(size) = header.size.or(self.total.map(|total| total - self.at)) else {
            return Step::Failed("the length of its index (`moov`) is not known".to_owned());
        };
        if size > INDEX_BYTES_MAX {
            return Step::Failed(format!("its index (`moov`) has {size} bytes: more than {INDEX_BYTES_MAX}"));
        }
        match slice(from, bytes, self.at, size) {
            Some(index) => match Movie::read(index, !self.mdat_seen) {
                Some(movie) => Step::Found(movie),
                None => Step::Failed("its index (`moov`) is broken".to_owned()),
            },
            None if self.total.is_some_and(|total| self.at.saturating_add(size) > total) => {
                Step::Failed("its index (`moov`) was cut off".to_owned())
            }
            None => Step::Needs { at: self.at, count: size },
        }
    }
}

/// `count` bytes at `at`, of those that begin at `from`.
fn slice(from: u64, bytes: &[u8], at: u64, count: u64) -> Option<&[u8]> {
    let start = usize::try_from(at.checked_sub(from)?).ok()?;
    let end = start.checked_add(usize::try_from(count).ok()?)?;
    bytes.get(start..end)
}

/// Reads the header of a box. `None`: it is not one.
fn header(bytes: &[u8]) -> Option<Header> {
    let name: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let size = match be32(bytes, 0)? {
        0 => None,
        1 => Some(be64(bytes, 8).filter(|size| *size >= HEADER_BYTES)?),
        2..=7 => return None,
        size => Some(u64::from(size)),
    };
    // A name is four letters, as a rule; anything else is not MP4 any more.
    name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ' || *byte == 0xa9).then_some(Header { name, size })
}

/// The boxes in a box, each with its name and its content. A broken one ends them.
fn children(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let Header { name, size } = header(bytes)?;
        let start = if be32(bytes, 0) == Some(1) { 16 } else { 8 };
        let end = size.map_or(Some(bytes.len()), |size| usize::try_from(size).ok())?;
        let content = bytes.get(start..end)?;
        bytes = &bytes[end..];
        Some((name, content))
    })
}

/// The content of the first box of that name.
fn child(bytes: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    children(bytes).find(|(found, _)| *found == name).map(|(_, content)| content)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
