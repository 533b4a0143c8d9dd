//! Files made of boxes, whole, cut and broken.

use std::time::Duration;

use super::*;

fn boxed(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).expect("small");
    [&size.to_be_bytes()[..], &name, content].concat()
}

/// A header of version 0: version, created, changed, scale, length.
fn header_of(scale: u32, units: u32) -> Vec<u8> {
    [&[0; 12][..], &scale.to_be_bytes(), &units.to_be_bytes(), &[0; 80]].concat()
}

fn trak(handler: [u8; 4], codec: [u8; 4], seconds: u32, size: (u16, u16), fps: u32) -> Vec<u8> {
    let entry = [&[0, 0, 0, 100][..], &codec, &[0; 8], &[0; 16], &size.0.to_be_bytes(), &size.1.to_be_bytes(), &[0; 64]].concat();
    let stsd = boxed(*b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
    let stts = [0, 1, seconds * fps, 90_000 / fps].map(u32::to_be_bytes).concat();
    let stbl = boxed(*b"stbl", &[stsd, boxed(*b"stts", &stts)].concat());
    let hdlr = boxed(*b"hdlr", &[&[0; 8][..], &handler, &[0; 13]].concat());
    let mdia = [boxed(*b"mdhd", &header_of(90_000, seconds * 90_000)), hdlr, boxed(*b"minf", &stbl)].concat();
    boxed(*b"trak", &boxed(*b"mdia", &mdia))
}

fn moov() -> Vec<u8> {
    let tracks = [
        trak(*b"vide", *b"avc1", 60, (1280, 720), 25),
        trak(*b"soun", *b"mp4a", 59, (0, 0), 50),
        trak(*b"text", *b"tx3g", 1, (0, 0), 1),
    ];
    boxed(*b"moov", &[boxed(*b"mvhd", &header_of(1_000, 60_000)), tracks.concat()].concat())
}

fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    [vec![boxed(*b"ftyp", b"isom\0\0\0\0")], parts.to_vec()].concat().concat()
}

/// Walks as a server would serve it: at first these bytes, then what is asked for.
fn walk(file: &[u8], first: usize) -> (Step, usize) {
    let total = file.len() as u64;
    let mut walk = Walk::new(Some(total));
    let (mut from, mut window) = (0, &file[..first.min(file.len())]);
    for requests in 1.. {
        match walk.step(from, window) {
            Step::Needs { at, count } => {
                let start = usize::try_from(at).expect("small");
                assert!(at + count <= total, "nothing behind the end is asked for");
                (from, window) = (at, &file[start..start + usize::try_from(count).expect("small")]);
            }
            step => return (step, requests),
        }
    }
    unreachable!("it ends")
}

#[test]
fn an_index_before_the_media_is_read_from_the_first_bytes() {
    let file = file(&[moov(), boxed(*b"mdat", &[0; 5_000])]);
    let (Step::Found(movie), 1) = walk(&file, 4_096) else { panic!("{:?}", walk(&file, 4_096)) };
    assert_eq!((movie.is_first, movie.length), (true, Some(Duration::from_mins(1))));
    let [video, audio] = &movie.tracks[..] else { panic!("{movie:?}") };
    assert_eq!((video.kind, video.codec.as_str(), video.size), (TrackKind::Video, "avc1", Some((1280, 720))));
    assert_eq!((video.rate_percent, audio.rate_percent, audio.size), (Some(2_500), None, None));
    assert_eq!((audio.codec.as_str(), audio.length), ("mp4a", Some(Duration::from_secs(59))));
}

#[test]
fn an_index_behind_the_media_is_asked_for_by_its_place() {
    let file = file(&[boxed(*b"mdat", &[0; 5_000]), moov()]);
    let (Step::Found(movie), requests) = walk(&file, 64) else { panic!("{:?}", walk(&file, 64)) };
    assert_eq!((movie.is_first, movie.tracks.len(), requests), (false, 2, 3));
    let long = [&[0, 0, 0, 1][..], b"mdat", &5_016_u64.to_be_bytes(), &[0; 5_000]].concat();
    let file = [boxed(*b"ftyp", b"isom\0\0\0\0"), long, moov()].concat();
    assert!(matches!(walk(&file, 64), (Step::Found(Movie { is_first: false, .. }), _)));
}

#[test]
fn a_track_that_is_switched_off_is_left_out_unless_all_are() {
    let flagged = |flags: u8, track: Vec<u8>| {
        let header = boxed(*b"tkhd", &[&[0, 0, 0, flags][..], &[0; 80]].concat());
        boxed(*b"trak", &[&header, &track[8..]].concat())
    };
    let codecs = |pictures: u8, sound: u8| {
        let tracks = [
            flagged(pictures, trak(*b"vide", *b"jpeg", 60, (3000, 3000), 1)),
            flagged(sound, trak(*b"soun", *b"mp4a", 60, (0, 0), 50)),
        ];
        let index = boxed(*b"moov", &[boxed(*b"mvhd", &header_of(1_000, 60_000)), tracks.concat()].concat());
        let (Step::Found(movie), _) = walk(&file(&[index]), 4_096) else { panic!("it is whole") };
        movie.tracks.into_iter().map(|track| track.codec).collect::<Vec<_>>()
    };
    assert_eq!(codecs(0, 7), ["mp4a"]);
    assert_eq!(codecs(3, 7), ["jpeg", "mp4a"]);
    assert_eq!(codecs(0, 0), ["jpeg", "mp4a"]);
}

#[test]
fn a_file_without_a_whole_index_is_told() {
    let whole = file(&[moov(), boxed(*b"mdat", &[0; 100])]);
    let no_index = file(&[boxed(*b"mdat", &[0; 100])]);
    let open_end = file(&[[&[0, 0, 0, 0][..], b"mdat", &[0; 100]].concat()]);
    let many = file(&vec![boxed(*b"free", b""); 100]);
    let huge = file(&[[&[0x7f, 0, 0, 0][..], b"moov", &[0; 100]].concat()]);
    let broken = file(&[[&[0, 0, 0, 3][..], b"free"].concat()]);
    let not_boxes = file(&[vec![1; 100]]);
    let empty_index = file(&[boxed(*b"moov", b"")]);
    for (file, words) in [
        (&whole[..200], "was cut off"),
        (&no_index, "has no index"),
        (&open_end, "goes on to the end"),
        (&many, "first 64 boxes"),
        (&huge, "more than 8388608"),
        (&broken, "is broken"),
        (&not_boxes, "is broken"),
        (&empty_index, "is broken"),
    ] {
        let (step, _) = walk(file, 64);
        assert!(matches!(&step, Step::Failed(why) if why.contains(words)), "{words}: {step:?}");
    }
}

#[test]
fn no_bytes_break_it() {
    let whole = file(&[moov(), boxed(*b"mdat", &[0; 100])]);
    // Each byte in turn is each of some values: a walk ends, and nothing panics.
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut file = whole.clone();
            file[at] = value;
            walk(&file, 64);
        }
    }
    for length in 0..whole.len() {
        walk(&whole[..length], length);
    }
    // Sizes that sum up to more than there are numbers.
    let long = [&[0, 0, 0, 1][..], b"free", &u64::MAX.to_be_bytes(), &[0; 100]].concat();
    let mut hostile = Walk::new(None);
    assert!(matches!(hostile.step(0, &file(&[long])), Step::Failed(_) | Step::Needs { .. }));
}
