//! From what a probe saw to findings: what a relay would trip over, in plain words, with what to do. What TRTC takes is in TRTC.md
//! section 7.1; what relays trip over is known of its sister service (section 10, 8). It does not know how the media was fetched.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::hls::Encryption;
use super::mp4::{Movie, TrackKind};
use crate::finding::{Finding, FindingKind, FindingSeverity};
use crate::schedule::values::format_duration;

/// A relay gives up when a source takes longer to open.
pub const SLOW_OPEN: Duration = Duration::from_secs(15);

/// A source that takes this long may be in cold storage.
const SLOW_FIRST_BYTE: Duration = Duration::from_secs(5);

/// Codecs of video that TRTC lists (H.264, VP8), by their codes in MP4.
const VIDEO: [&str; 4] = ["avc1", "avc3", "vp08", "VP80"];

/// Codecs of audio that TRTC lists (AAC, Opus), and MP3, which it lists as a container.
const AUDIO: [&str; 4] = ["mp4a", "Opus", "opus", ".mp3"];

/// The largest picture: 1080p, lying or standing.
const SIDES_MAX: (u16, u16) = (1920, 1088);

/// The most pictures a second, times 100: 30, and a little for rates such as 30000/1001 that are written in whole units.
const RATE_PERCENT_MAX: u64 = 3_050;

/// What the media should be, as far as its job says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// `length` of the job.
    pub length: Option<Duration>,
    /// Whether it is a live source.
    pub live: bool,
}

/// What a probe saw of media. What it did not see is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MediaFacts {
    /// The container, by the first bytes; of RTMP `rtmp`.
    pub container: Option<&'static str>,
    /// Whether the server answers a request for a part with that part.
    pub ranges: Option<bool>,
    /// How many bytes it has.
    pub bytes: Option<u64>,
    /// How long it plays, in milliseconds.
    pub length_ms: Option<u64>,
    /// The code of the codec of its first video.
    pub video: Option<String>,
    /// The same of its first audio.
    pub audio: Option<String>,
    /// Width and height of the pictures.
    pub width: Option<u16>,
    /// See `width`.
    pub height: Option<u16>,
    /// Pictures a second, times 100; in JSON `fps`, a number with two decimals.
    #[serde(rename = "fps", serialize_with = "hundredths")]
    pub fps_percent: Option<u64>,
    /// Whether the index of an MP4 stands before its media.
    pub index_first: Option<bool>,
    /// How many redirects led to it.
    pub redirects: usize,
    /// How long its first byte took, in milliseconds, from the first connection on.
    pub first_byte_ms: Option<u64>,
    /// How many bytes a second came.
    pub bytes_per_s: Option<u64>,
    /// The bytes that this was measured by.
    pub measured_bytes: u64,
    /// The most that its tracks differ in length, in milliseconds.
    pub tracks_differ_ms: Option<u64>,
    /// How it is encrypted, if it is.
    #[serde(rename = "encrypted", serialize_with = "Encryption::as_bool")]
    pub encryption: Option<Encryption>,
}

/// Why there is no media to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaFault {
    /// It is not a URL that can be fetched: why.
    Url(String),
    /// A secret that belongs into the URL cannot be read: why.
    Secret(String),
    /// No probe connects there: why.
    Address(String),
    /// No connection came about: why.
    Connect(String),
    /// The connection was cut.
    Cut(String),
    /// It took too long: what.
    Slow(&'static str),
    /// The server answers with this status.
    Status(u16),
    /// A redirect leads nowhere, or there are too many: which.
    Redirect(String),
    /// There is not a byte.
    Empty,
    /// A page is served in place of media.
    Page,
    /// The media is there and broken: how.
    Broken(String),
    /// The server of a live source does not answer as one: how.
    Handshake(String),
    /// This host has no way to it: the network is behind a proxy, which the vendor's relay does not use.
    OnlyByProxy,
}

impl MediaFacts {
    /// Takes over what an index says.
    pub fn take_movie(&mut self, movie: &Movie) {
        self.index_first = Some(movie.is_first);
        self.length_ms = movie.length.map(milliseconds);
        let first = |kind| movie.tracks.iter().find(|track| track.kind == kind);
        if let Some(video) = first(TrackKind::Video) {
            self.video = Some(video.codec.clone());
            (self.width, self.height) = video.size.unzip();
            self.fps_percent = video.rate_percent;
        }
        self.audio = first(TrackKind::Audio).map(|track| track.codec.clone());
        let lengths = || movie.tracks.iter().filter_map(|track| track.length);
        self.tracks_differ_ms = lengths().max().zip(lengths().min()).map(|(most, least)| milliseconds(most.saturating_sub(least)));
        self.encryption = self.encryption.max(Encryption::of_codecs(movie.tracks.iter().map(|track| track.codec.as_str())));
    }

    /// The bits a second that it needs and those that come, where the ones are hardly fewer than the others. A few bytes tell nothing of a
    /// connection.
    pub fn slow(&self) -> Option<(u64, u64)> {
        let (needs, comes) = self.bits_per_s().zip(self.bytes_per_s).filter(|_| self.measured_bytes >= 128 << 10)?;
        let comes = comes.saturating_mul(8);
        (comes < needs.saturating_mul(3) / 2).then_some((needs, comes))
    }

    /// Bits a second that it needs, on average.
    pub fn bits_per_s(&self) -> Option<u64> {
        let length = self.length_ms.filter(|length| *length >= 1_000)?;
        self.bytes?.checked_mul(8_000).map(|bits| bits / length)
    }
}

/// Judges media that is there. `about`: what it is called, without a secret.
pub fn judge(facts: &MediaFacts, expected: Expected, about: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A thing may have several faults: each is called by what it is of.
    let mut add = |aspect: &str, severity, what: String, advice: &str| {
        let named = format!("{about} {aspect}");
        findings.push(Finding { severity, ..Finding::problem(FindingKind::Media, named, format!("`{about}` {what}"), advice) });
    };
    let (problem, note) = (FindingSeverity::Problem, FindingSeverity::Note);
    if facts.container == Some("unknown") {
        add(
            "container",
            note,
            "begins with bytes that are of no known container".into(),
            "TRTC takes FLV, MP3, MP4, MOV, M4A, MKV, MPEG-TS and HLS",
        );
    }
    match (facts.index_first, facts.ranges) {
        (Some(false), Some(false)) => add(
            "index",
            problem,
            "has its index (`moov`) behind the media, and its server does not serve parts: all of it must be fetched before it plays"
                .into(),
            "write it with `ffmpeg -i IN -c copy -movflags +faststart OUT`",
        ),
        (Some(false), _) => add(
            "index",
            note,
            "has its index (`moov`) behind the media, so that it opens slowly".into(),
            "write it with `ffmpeg -i IN -c copy -movflags +faststart OUT`",
        ),
        (_, Some(false)) if !expected.live => add(
            "ranges",
            note,
            "is on a server that does not serve parts (`Range`): a late start may not be able to seek".into(),
            "put it on a server that does, such as object storage or a CDN",
        ),
        _ => {}
    }
    for (codec, known, listed) in [(&facts.video, &VIDEO[..], "H.264 and VP8"), (&facts.audio, &AUDIO[..], "AAC and Opus")] {
        if let Some(codec) = codec.as_deref().filter(|codec| !known.contains(codec) && facts.encryption.is_none()) {
            add("codec", problem, format!("has the codec `{codec}`; TRTC lists {listed}"), "convert it, for example with ffmpeg");
        }
    }
    if let Some((severity, what, advice)) = facts.encryption.map(Encryption::words) {
        add("encryption", severity, what.to_owned(), advice);
    }
    if let Some((width, height)) = facts.width.zip(facts.height)
        && (width.max(height) > SIDES_MAX.0 || width.min(height) > SIDES_MAX.1)
    {
        add(
            "size",
            problem,
            format!("has pictures of {width}x{height}; TRTC takes at most 1080p"),
            "convert it, for example with ffmpeg",
        );
    }
    if let Some(rate) = facts.fps_percent.filter(|rate| *rate > RATE_PERCENT_MAX) {
        let rate = format!("{}.{:02}", rate / 100, rate % 100);
        add("rate", problem, format!("has {rate} pictures a second; TRTC takes at most 30"), "convert it, for example with ffmpeg");
    }
    if let Some(differ) = facts.tracks_differ_ms.filter(|differ| *differ > tolerance(facts.length_ms.unwrap_or_default()))
        && facts.video.is_some()
    {
        let differ = format_duration(Duration::from_millis(differ));
        add(
            "tracks",
            note,
            format!("has tracks whose lengths differ by {differ}: a loop may stutter"),
            "write it anew with tracks of one length",
        );
    }
    of_length(facts, expected, &mut add);
    of_speed(facts, &mut add);
    findings
}

/// The length against the job's.
fn of_length(facts: &MediaFacts, expected: Expected, add: &mut impl FnMut(&str, FindingSeverity, String, &str)) {
    let Some((is, written)) = facts.length_ms.zip(expected.length.map(milliseconds)).filter(|_| !expected.live) else { return };
    if is.abs_diff(written) > tolerance(written) {
        let shown = |length| format_duration(Duration::from_millis(length));
        add(
            "length",
            FindingSeverity::Problem,
            format!("plays for {}, and the job says `length: {}`", shown(is), shown(written)),
            "correct `length` of the job: ends and late starts are computed from it",
        );
    }
}

/// How fast it comes, and how fast it must.
fn of_speed(facts: &MediaFacts, add: &mut impl FnMut(&str, FindingSeverity, String, &str)) {
    if let Some(first) = facts.first_byte_ms.filter(|first| *first >= milliseconds(SLOW_FIRST_BYTE)) {
        let first = format_duration(Duration::from_millis(first));
        add(
            "first byte",
            FindingSeverity::Note,
            format!("took {first} until its first byte"),
            "a relay gives up after 15 s: keep it out of cold storage, and near",
        );
    }
    if let Some((needs, comes)) = facts.slow() {
        let severity = if comes < needs { FindingSeverity::Problem } else { FindingSeverity::Note };
        let kbit = |bits: u64| bits.div_ceil(1_000);
        let what = format!("comes with {} kbit/s to this host, and needs {} kbit/s", kbit(comes), kbit(needs));
        add("speed", severity, what, "put it on a faster server, or encode it with fewer bits");
    }
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn hundredths<S: Serializer>(percent: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    // A rate is far below what an f64 holds exactly.
    percent.map(|percent| f64::from(u32::try_from(percent).unwrap_or(u32::MAX)) / 100.0).serialize(serializer)
}

/// How much a length may differ: 2 s, or 2%.
fn tolerance(length_ms: u64) -> u64 {
    (length_ms / 50).max(2_000)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Returns what a fault comes to, as what follows the name of the media.
pub fn fault_words(fault: &MediaFault) -> String {
    match fault {
        MediaFault::Url(why) => format!("cannot be fetched: {why}"),
        MediaFault::Secret(why) => format!("needs a secret that cannot be read: {why}"),
        MediaFault::Address(why) => format!("is not fetched: {why}"),
        MediaFault::Connect(why) => format!("cannot be reached: {why}"),
        MediaFault::Cut(why) => format!("was cut off while it was read: {why}"),
        MediaFault::Slow(what) => format!("takes too long: {what}"),
        MediaFault::Status(status) => format!("is not there: the server answers with HTTP status {status}"),
        MediaFault::Redirect(why) => format!("is behind a redirect that leads nowhere: {why}"),
        MediaFault::Empty => "is empty".to_owned(),
        MediaFault::Page => "is a page or a message, and no media: a login page, perhaps".to_owned(),
        MediaFault::Broken(why) => format!("is broken: {why}"),
        MediaFault::Handshake(why) => format!("is not served by RTMP: {why}"),
        MediaFault::OnlyByProxy => "cannot be reached from this host without its proxy, and the relay has another way".to_owned(),
    }
}

/// Returns what to do about a fault.
fn advice_of(fault: &MediaFault) -> &'static str {
    match fault {
        MediaFault::Url(_) => "correct `stream` of the job",
        MediaFault::Secret(_) => "put the secret where the settings say, readable by the daemon's user",
        MediaFault::Address(_) => {
            "the vendor's relay cannot fetch from there; if this host may probe it all the same, name it in `media_hosts` of the settings"
        }
        MediaFault::Connect(_) => "check that its server runs and can be reached from the internet",
        MediaFault::Cut(_) => "check its server, and what is between",
        MediaFault::Slow(_) => "check its server; a relay gives up after 15 s, so keep it out of cold storage",
        MediaFault::Status(401 | 403) => {
            "check that the URL's signature has not expired, and that the server lets hosts of other regions in"
        }
        MediaFault::Status(404 | 410) => "put it there before the show, or correct `stream` of the job",
        MediaFault::Status(_) => "check its server",
        MediaFault::Redirect(_) => "write the URL at which it is into `stream` of the job",
        MediaFault::Empty => "put the media there anew",
        MediaFault::Page => "check the URL in a browser without a login",
        MediaFault::Broken(_) => "write it anew, and put it there whole",
        MediaFault::Handshake(_) => "check the address and the port, and that an RTMP server runs there",
        MediaFault::OnlyByProxy => "look at it from a host that has no proxy: `ingestd probe URL`",
    }
}

/// Returns the finding of a fault. `about`: what the media is called, without a secret.
pub fn needs_media(fault: &MediaFault, about: &str) -> Finding {
    let finding = Finding::problem(FindingKind::Media, about, format!("`{about}` {}", fault_words(fault)), advice_of(fault));
    let severity = if *fault == MediaFault::OnlyByProxy { FindingSeverity::Note } else { FindingSeverity::Problem };
    Finding { severity, ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> MediaFacts {
        MediaFacts {
            container: Some("mp4"),
            ranges: Some(true),
            bytes: Some(7_500_000),
            length_ms: Some(60_000),
            video: Some("avc1".to_owned()),
            audio: Some("mp4a".to_owned()),
            width: Some(1_920),
            height: Some(1_080),
            fps_percent: Some(3_000),
            index_first: Some(true),
            first_byte_ms: Some(120),
            bytes_per_s: Some(4_000_000),
            measured_bytes: 512 << 10,
            tracks_differ_ms: Some(40),
            ..MediaFacts::default()
        }
    }

    fn found(facts: &MediaFacts, length_s: u64) -> Vec<(FindingSeverity, String)> {
        let expected = Expected { length: Some(Duration::from_secs(length_s)), live: false };
        judge(facts, expected, "u").into_iter().map(|finding| (finding.severity, finding.what)).collect()
    }

    #[test]
    fn good_media_has_no_finding() {
        assert_eq!(found(&good(), 60), []);
        assert_eq!(found(&good(), 61), []);
        let standing = MediaFacts { width: Some(1_080), height: Some(1_920), ..good() };
        assert_eq!(found(&standing, 60), []);
        assert_eq!(judge(&MediaFacts::default(), Expected::default(), "u"), []);
    }

    #[test]
    fn what_a_relay_trips_over_is_told() {
        use FindingSeverity::{Note, Problem};
        for (facts, severity, words) in [
            (MediaFacts { index_first: Some(false), ..good() }, Note, "behind the media, so that it opens slowly"),
            (MediaFacts { index_first: Some(false), ranges: Some(false), ..good() }, Problem, "does not serve parts: all of it"),
            (MediaFacts { ranges: Some(false), ..good() }, Note, "may not be able to seek"),
            (MediaFacts { video: Some("hvc1".into()), ..good() }, Problem, "`hvc1`; TRTC lists H.264 and VP8"),
            (MediaFacts { audio: Some("ac-3".into()), ..good() }, Problem, "`ac-3`; TRTC lists AAC and Opus"),
            (MediaFacts { encryption: Some(Encryption::Licensed), video: Some("encv".into()), ..good() }, Problem, "no key"),
            (MediaFacts { encryption: Some(Encryption::Fetched), ..good() }, Note, "(AES-128): the relay must fetch its key"),
            (MediaFacts { width: Some(3_840), height: Some(2_160), ..good() }, Problem, "3840x2160; TRTC takes at most 1080p"),
            (MediaFacts { fps_percent: Some(5_994), ..good() }, Problem, "59.94 pictures a second"),
            (MediaFacts { tracks_differ_ms: Some(5_000), ..good() }, Note, "differ by 5s"),
            (MediaFacts { length_ms: Some(90_000), ..good() }, Problem, "plays for 1m30s, and the job says `length: 1m`"),
            (MediaFacts { first_byte_ms: Some(6_000), ..good() }, Note, "took 6s until its first byte"),
            (
                MediaFacts { bytes_per_s: Some(100_000), ..good() },
                Problem,
                "comes with 800 kbit/s to this host, and needs 1000 kbit/s",
            ),
            (MediaFacts { bytes_per_s: Some(150_000), ..good() }, Note, "comes with 1200 kbit/s"),
            (MediaFacts { container: Some("unknown"), ..good() }, Note, "no known container"),
        ] {
            let [(is, what)] = &found(&facts, 60)[..] else { panic!("{words}: {:?}", found(&facts, 60)) };
            assert!(*is == severity && what.starts_with("`u` ") && what.contains(words), "{words}: {is:?} {what}");
        }
        let few_bytes = MediaFacts { bytes_per_s: Some(100_000), measured_bytes: 1_000, ..good() };
        assert_eq!(found(&few_bytes, 60), [], "a few bytes tell nothing of a connection");
    }

    #[test]
    fn a_fault_is_a_problem_with_what_to_do_and_a_proxy_only_a_note() {
        for (fault, words, advice) in [
            (MediaFault::Status(404), "HTTP status 404", "put it there before the show"),
            (MediaFault::Status(403), "HTTP status 403", "signature has not expired"),
            (MediaFault::Address("it is private".into()), "is not fetched: it is private", "`media_hosts`"),
            (MediaFault::Page, "a login page", "without a login"),
        ] {
            let finding = needs_media(&fault, "u");
            assert!(finding.is_problem() && finding.what.contains(words) && finding.advice.contains(advice), "{finding:?}");
        }
        assert!(!needs_media(&MediaFault::OnlyByProxy, "u").is_problem());
    }
}
