//! What a job is once it is valid: types that cannot be wrong. It does not know YAML and files.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;

use super::policy::Policy;
use super::stream_template::StreamTemplate;
use crate::calendar::When;
use crate::diagnostic::Place;
use crate::trtc::{Repeat, Room, StartOptions, StreamUrl, Tempo};

/// The name of a job: `[a-z0-9][a-z0-9_-]{0,31}`. Fit for a file name, a label and a `UserId`. Renaming a job makes a new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Reads a job id, or returns nothing.
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

/// The template of a robot's `UserId`: literal text with `{job}`, `{room}` and `{start}`. Checked when the job is read, so that
/// every expansion is a `UserId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotTemplate(Arc<str>);

impl RobotTemplate {
    /// Wraps a template that the reader checked.
    pub fn new(template: &str) -> RobotTemplate {
        RobotTemplate(Arc::from(template))
    }

    /// How `{start}` is written: `20261122T180000Z`.
    pub const START_FORMAT: &str = "%Y%m%dT%H%M%SZ";

    /// Wraps the same text without a copy.
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
        if filled.contains("{start}") { filled.replace("{start}", &start.strftime(Self::START_FORMAT).to_string()) } else { filled }
    }

    /// The robot of every occurrence; `None`: the start is part of it.
    pub fn of_every_start(&self, job: &str, room: &Room) -> Option<String> {
        Some(self.fill(job, room)).filter(|filled| !filled.contains("{start}"))
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

/// One named entry of a schedule: what to play, where, when, until when. Only the reader makes one. Two are equal if they also stand
/// at the same place; [`Job::says_the_same`] ignores the place.
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
    pub stream: StreamTemplate,
    /// What plays instead while that cannot be had.
    pub fallback: Option<StreamTemplate>,
    /// Whether the media is a live source; a start never seeks in one.
    pub live: bool,
    /// The media's length once through, at least 1 s.
    pub length: Option<Duration>,
    /// `SeekSecond` of an on-time start, whole seconds, less than `length`.
    pub seek: Duration,
    /// How often the media plays.
    pub repeat: Repeat,
    /// What is only passed through to the API.
    pub options: StartOptions,
    /// The region; `None` when none was named and no settings were at hand.
    pub region: Option<Arc<str>>,
    /// The rules that go with its occurrences.
    pub policy: Policy,
    /// Whether its media is looked at before its starts.
    pub preflight: bool,
    /// False: it plans nothing.
    pub enabled: bool,
    /// Shown in status and plan.
    pub note: Option<Arc<str>>,
}

impl Job {
    /// Returns the media of the occurrence that starts at `start`.
    pub fn stream_at(&self, start: Timestamp) -> StreamUrl {
        self.stream.expand(&self.id, &self.room, || start.to_zoned(self.when.zone.clone()))
    }

    /// Returns what plays instead in that occurrence while its media cannot be had.
    pub fn fallback_at(&self, start: Timestamp) -> Option<StreamUrl> {
        let zoned = || start.to_zoned(self.when.zone.clone());
        let expand = |fallback: &StreamTemplate| fallback.expand(&self.id, &self.room, zoned);
        self.fallback.as_ref().map(expand)
    }

    /// Returns how long an on-time showing of media of known length lasts, rounded up to the millisecond: (n x length - seek) / tempo.
    /// `None` when it is live, has no known length, or is repeated for ever.
    pub fn media_length(&self) -> Option<Duration> {
        let (Some(length), Repeat::Times(times), false) = (self.length, self.repeat, self.live) else { return None };
        let content = (length * u32::from(times)).saturating_sub(self.seek);
        let percent = u128::from(self.options.tempo.unwrap_or(Tempo::NORMAL).percent());
        let milliseconds = (content.as_nanos() * 100).div_ceil(percent * 1_000_000);
        Some(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX)))
    }
}
