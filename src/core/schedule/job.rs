//! What a job is once it is valid: types that cannot be wrong. Refuses to know YAML and files.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;

use crate::calendar::When;
use crate::diagnostic::Place;
use crate::trtc::{Repeat, Room, Tempo};
use crate::words::words;

/// The name of a job: `[a-z0-9][a-z0-9_-]{0,31}`. Fit for a file name, a label and a `UserId`. Renaming a job makes a new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Reads a job id, or answers nothing.
    ///
    /// ```
    /// use ingestd_core::schedule::JobId;
    /// assert!(JobId::parse("evening-promo").is_some());
    /// assert!(JobId::parse("Evening promo").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<JobId> {
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let starts_well = first.is_ascii_lowercase() || first.is_ascii_digit();
        let goes_on_well = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
        (starts_well && goes_on_well && text.len() <= 32).then(|| JobId(Arc::from(text)))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The application a job plays in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name in `apps` of the daemon's settings.
    pub name: Arc<str>,
    /// Its `SdkAppId`; unknown when no settings were at hand.
    pub sdk_app_id: Option<u64>,
}

/// Where media is fetched from: http, https, rtmp or rtmps. Shown only through [`StreamUrl::redacted`].
#[derive(Clone, PartialEq, Eq)]
pub struct StreamUrl(Arc<str>);

impl StreamUrl {
    /// Wraps a URL that was checked by the reader or comes from the ledger.
    pub fn new(url: &str) -> StreamUrl {
        StreamUrl(Arc::from(url))
    }

    /// The same, sharing the text.
    pub fn shared(url: &Arc<str>) -> StreamUrl {
        StreamUrl(Arc::clone(url))
    }

    /// The whole URL, for the request and for `plan --reveal` only: it may hold a user's password or a stream key.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// As every output shows it: without user info and query (and fragment), and rtmp(s) without the last path segment,
    /// where the stream key stands.
    ///
    /// ```
    /// use ingestd_core::schedule::StreamUrl;
    /// assert_eq!(StreamUrl::new("https://a:b@cdn.example.com/x.mp4?sig=1").redacted(), "https://cdn.example.com/x.mp4");
    /// assert_eq!(StreamUrl::new("rtmp://live.example.com/app/key").redacted(), "rtmp://live.example.com/app/");
    /// ```
    pub fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return String::new() };
        let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let secret_tail = scheme.eq_ignore_ascii_case("rtmp") || scheme.eq_ignore_ascii_case("rtmps");
        let path = if secret_tail { &path[..path.rfind('/').map_or(0, |at| at + 1)] } else { path };
        format!("{scheme}://{host}{path}")
    }

    /// Whether the scheme is rtmp or rtmps.
    pub fn is_rtmp(&self) -> bool {
        self.0.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rtmp"))
    }
}

/// A stream URL may hold a secret, so debugging shows it as every output does.
impl fmt::Debug for StreamUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StreamUrl({})", self.redacted())
    }
}

/// The template of a robot's `UserId`: literal text with `{job}`, `{room}` and `{start}`. Checked when the job is read, so that
/// every expansion is a `UserId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotTemplate(Arc<str>);

impl RobotTemplate {
    /// Wraps a template that the reader checked.
    pub fn new(template: &str) -> RobotTemplate {
        RobotTemplate(Arc::from(template))
    }

    /// The same, sharing the text.
    pub fn shared(template: &Arc<str>) -> RobotTemplate {
        RobotTemplate(Arc::clone(template))
    }

    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The robot of one occurrence. `{start}` becomes `20261122T180000Z`.
    pub fn expand(&self, job: &str, room: &Room, start: Timestamp) -> String {
        let filled = self.fill(job, room);
        if filled.contains("{start}") { filled.replace("{start}", &start.strftime("%Y%m%dT%H%M%SZ").to_string()) } else { filled }
    }

    /// The template after `{job}` and `{room}`: jobs of one application that share this text share a robot.
    pub fn fill(&self, job: &str, room: &Room) -> String {
        self.0.replace("{job}", job).replace("{room}", &room.to_string())
    }
}

/// The rule that gives an occurrence its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndRule {
    /// `for`: start + this, elapsed.
    For(Duration),
    /// `to`: the first such wall-clock time after the written start.
    To(Time),
    /// `to: never`.
    Never,
    /// Neither: the end follows from `length`, or is open.
    Media,
}

/// What a start after its instant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Seeks to where the show is by now.
    Join,
    /// Plays from the beginning.
    Restart,
    /// Does not start.
    Skip,
}

words!(Late { Join = "join", Restart = "restart", Skip = "skip" });

/// What becomes of a start whose target another occurrence has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Two windows on one target are an error of the schedule.
    Reject,
    /// It takes the room; the one that runs is cut.
    Preempt,
    /// It is off the air while another has the room: the 24/7 filler.
    Yield,
    /// Both run, if both say so.
    Allow,
}

words!(Conflict { Reject = "reject", Preempt = "preempt", Yield = "yield", Allow = "allow" });

/// What becomes of an occurrence on air whose job left the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRemove {
    /// It plays to its end.
    Finish,
    /// It is taken off the air.
    Stop,
}

words!(OnRemove { Finish = "finish", Stop = "stop" });

/// How often and how fast a start is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The ceiling of the first delay; at least 1 ms.
    pub first: Duration,
    /// The ceiling of every delay; at least `first`.
    pub cap: Duration,
    /// Attempts for each start or restart; 0: as long as the window allows.
    pub attempts: u32,
    /// Codes that are retried beside the transient ones.
    pub also: Vec<String>,
}

/// One named entry of a schedule: what to play, where, when, until when. Made by the reader only. Two are equal when they also stand
/// at the same place; [`Job::says_the_same`] passes over that.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Where its name stands.
    pub place: Place,
    /// When it starts.
    pub when: When,
    /// The job at whose planned ends it starts.
    pub after: Option<JobId>,
    /// When an occurrence ends.
    pub end: EndRule,
    /// The application; `None` when none was named and no settings were at hand.
    pub app: Option<App>,
    /// The room.
    pub room: Room,
    /// The robot.
    pub robot: RobotTemplate,
    /// The media.
    pub stream: StreamUrl,
    /// Whether the media is a live source, which is never sought into.
    pub live: bool,
    /// The media's length once through, at least 1 s.
    pub length: Option<Duration>,
    /// `SeekSecond` of an on-time start, whole seconds, less than `length`.
    pub seek: Duration,
    /// How often the media plays.
    pub repeat: Repeat,
    /// `Volume`, 0..=200.
    pub volume: Option<u8>,
    /// `Tempo`.
    pub tempo: Option<Tempo>,
    /// `EnableProgress`.
    pub progress: Option<bool>,
    /// `AutoPush`.
    pub auto_push: Option<bool>,
    /// `IdleTimeout` in whole seconds, 0..=600.
    pub idle_timeout: Option<u16>,
    /// The region; `None` when none was named and no settings were at hand.
    pub region: Option<Arc<str>>,
    /// What a late start does.
    pub late: Late,
    /// The bound of the attempts until it is first on air; `None`: the rule's default.
    pub start_within: Option<Duration>,
    /// What it does about another occurrence on its target.
    pub conflict: Conflict,
    /// How it is retried.
    pub retry: Arc<RetryPolicy>,
    /// Whether it is put on air again when its task vanishes.
    pub heal: bool,
    /// What becomes of it when it leaves the schedule while on air.
    pub on_remove: OnRemove,
    /// Who passes the limiter first when starts queue: 9 before 0.
    pub priority: u8,
    /// False: it plans nothing.
    pub enabled: bool,
    /// Shown in status and plan.
    pub note: Option<Arc<str>>,
}

impl Job {
    /// How long an on-time showing of media of known length lasts, rounded up to the millisecond: (n x length - seek) / tempo.
    /// `None` when it is live, has no known length, or is repeated for ever.
    pub fn media_length(&self) -> Option<Duration> {
        let (Some(length), Repeat::Times(times), false) = (self.length, self.repeat, self.live) else { return None };
        let content = (length * u32::from(times)).saturating_sub(self.seek);
        let percent = u128::from(self.tempo.unwrap_or(Tempo::NORMAL).percent());
        let milliseconds = (content.as_nanos() * 100).div_ceil(percent * 1_000_000);
        Some(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX)))
    }
}
