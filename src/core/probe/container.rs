//! Which container media has, by its first bytes. It knows the containers that TRTC lists (TRTC.md section 7.1) and what is served in
//! place of media; it does not read further into any of them.

use crate::words::words;

/// What the first bytes are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MP4, MOV or M4A.
    Mp4,
    /// FLV.
    Flv,
    /// A playlist of HLS.
    Hls,
    /// MPEG-TS.
    MpegTs,
    /// MKV, or `WebM`, which is a part of it.
    Matroska,
    /// MP3.
    Mp3,
    /// A page or an error message, and no media.
    Page,
    /// Something that is not known here.
    Unknown,
}

words!(Container {
    Mp4 = "mp4",
    Flv = "flv",
    Hls = "hls",
    MpegTs = "mpeg-ts",
    Matroska = "matroska",
    Mp3 = "mp3",
    Page = "page",
    Unknown = "unknown",
});

/// The length of a packet of MPEG-TS.
const TS_PACKET: usize = 188;

impl Container {
    /// Returns the container that begins with these bytes.
    pub fn of(bytes: &[u8]) -> Container {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = &text[text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()..];
        let is_box = |name: &[u8; 4]| bytes.get(4..8) == Some(name);
        if [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"].into_iter().any(is_box) {
            Container::Mp4
        } else if bytes.starts_with(b"FLV") {
            Container::Flv
        } else if text.starts_with(b"#EXTM3U") {
            Container::Hls
        } else if bytes.first() == Some(&0x47) && bytes.get(TS_PACKET).is_none_or(|next| *next == 0x47) {
            Container::MpegTs
        } else if bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
            Container::Matroska
        } else if bytes.starts_with(b"ID3") || matches!(bytes, [0xff, second, ..] if second & 0xe6 == 0xe2) {
            Container::Mp3
        } else if matches!(text.first(), Some(b'<' | b'{')) {
            Container::Page
        } else {
            Container::Unknown
        }
    }
}

/// What the header of FLV says: whether there is audio, and video. `None`: it is shorter than its 9 bytes.
pub fn flv_streams(bytes: &[u8]) -> Option<(bool, bool)> {
    let flags = *bytes.get(4).filter(|_| bytes.len() >= 9)?;
    Some((flags & 4 != 0, flags & 1 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_container() {
        let mut ts = vec![0; 400];
        (ts[0], ts[188]) = (0x47, 0x47);
        let mut text = vec![b'x'; 400];
        text[0] = 0x47;
        for (bytes, container) in [
            (&b"\0\0\0\x20ftypisom"[..], Container::Mp4),
            (b"\0\0\0\x08wide\0\0\0\0mdat", Container::Mp4),
            (b"FLV\x01\x05\0\0\0\x09", Container::Flv),
            (b"\xef\xbb\xbf#EXTM3U\n", Container::Hls),
            (&ts, Container::MpegTs),
            (&text, Container::Unknown),
            (&[0x1a, 0x45, 0xdf, 0xa3, 0x01], Container::Matroska),
            (b"ID3\x04", Container::Mp3),
            (&[0xff, 0xfb, 0x90], Container::Mp3),
            (b"\n<!DOCTYPE html>", Container::Page),
            (b"{\"error\": \"gone\"}", Container::Page),
            (b"", Container::Unknown),
            (b"hello", Container::Unknown),
        ] {
            assert_eq!(Container::of(bytes), container, "{bytes:?}");
        }
        assert_eq!(flv_streams(b"FLV\x01\x05\0\0\0\x09"), Some((true, true)));
        assert_eq!(flv_streams(b"FLV\x01\x04\0\0\0\x09"), Some((true, false)));
        assert_eq!(flv_streams(b"FLV\x01"), None);
    }
}
