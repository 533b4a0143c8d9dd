//! An occurrence to come as programs read it: the JSON object of the contract, and a line of CSV. A year has millions of them, so what is
//! the same in each row of a job is made once, and a time is written where it goes. Does not know how they were found.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};

use super::csv::{CsvLine, OrNothing};
use crate::plan::End;
use crate::plan::holds::Held;
use crate::plan::interruptions::{Interrupted, Pause};
use crate::report::time::{InstantText, LocalText, zone_name};
use crate::schedule::{Job, JobId};

/// Jobs whose texts are kept. Then they are made anew: a schedule may have a million.
const JOBS_KEPT: usize = 20_000;

/// The first line of CSV: the keys of [`PlanObject`], but for `fallback`.
pub const CSV_NAMES: &str = "job,start,end,local_start,timezone,app,sdk_app_id,room,room_type,robot,stream,region,dst,pauses,\
    cut_at,cut_by,content_end,after,held";

/// One occurrence as programs read it. The keys and their order are the contract:
///
/// - `job`: the job's id.
/// - `start`, `end`: of the window; `end` is null when it is open.
/// - `local_start`, `timezone`: the start in the job's zone, with its offset, and that zone.
/// - `app`, `sdk_app_id`, `region`: null when no settings were at hand and the job does not say it.
/// - `room`, `room_type`: the room's id, and `integer` or `string`.
/// - `robot`, `stream`: the robot, and the media, without what may be secret in it unless it is to be revealed.
/// - `dst`: null, `gap` or `repeat`.
/// - `pauses`: when others have the room of a yielding occurrence, by the plan, as `{job, start, end}`; null for every other.
/// - `cut_at`, `cut_by`: when another takes the room, by the plan, and this one is cut: at `start` if it is not started; null when nobody
///   does. Where `end` is open: if it still plays then.
/// - `content_end`: when its media is over, if that is before `end` and before `cut_at`: nothing is seen from then on. Else null.
/// - `after`: the job whose end it follows; null when it follows none.
/// - `held`: what operators hold it back for, as `{why, until, by, note}`; null when nothing does, or when that is not known.
/// - `fallback`: what plays instead while its media cannot be had, shown as `stream` is; null when the job has none. Not in CSV.
#[derive(Clone, Debug)]
pub struct PlanObject<'a> {
    listed: Cow<'a, Interrupted>,
    texts: Arc<JobTexts>,
    /// What the start is part of.
    own: OwnTexts,
}

/// What is shown of a job, where it is the same in each of its occurrences.
#[derive(Clone, Debug)]
struct JobTexts {
    room: String,
    robot: Option<String>,
    stream: Option<String>,
    fallback: Option<String>,
}

/// The same where the start is part of it.
#[derive(Clone, Debug)]
struct OwnTexts {
    robot: Option<String>,
    stream: Option<String>,
    fallback: Option<String>,
}

/// Makes the objects of one output.
#[derive(Debug)]
pub struct PlanObjects {
    reveal: bool,
    known: HashMap<JobId, Arc<JobTexts>>,
}

impl PlanObjects {
    /// `reveal` shows whole stream URLs.
    pub fn new(reveal: bool) -> PlanObjects {
        PlanObjects { reveal, known: HashMap::new() }
    }

    /// The stream of an occurrence as it is shown.
    pub(super) fn stream(&mut self, job: &Job, start: Timestamp) -> String {
        let texts = self.texts(job);
        texts.stream.clone().unwrap_or_else(|| job.stream_at(start).shown(self.reveal))
    }

    /// Of an occurrence.
    pub fn of<'a>(&mut self, listed: Cow<'a, Interrupted>) -> PlanObject<'a> {
        let (job, start) = (&listed.occurrence.job, listed.occurrence.start.at);
        let texts = self.texts(job);
        let own = OwnTexts {
            robot: texts.robot.is_none().then(|| job.robot.expand(job.id.as_str(), &job.room, start)),
            stream: texts.stream.is_none().then(|| job.stream_at(start).shown(self.reveal)),
            fallback: if texts.fallback.is_none() { job.fallback_at(start).map(|url| url.shown(self.reveal)) } else { None },
        };
        PlanObject { listed, texts, own }
    }

    fn texts(&mut self, job: &Job) -> Arc<JobTexts> {
        if let Some(texts) = self.known.get(&job.id) {
            return Arc::clone(texts);
        }
        let fixed = |template: &crate::schedule::StreamTemplate| {
            let url = template.of_every_start(&job.id, &job.room)?;
            Some(url.shown(self.reveal))
        };
        let texts = Arc::new(JobTexts {
            room: job.room.to_string(),
            robot: job.robot.of_every_start(job.id.as_str(), &job.room),
            stream: fixed(&job.stream),
            fallback: job.fallback.as_ref().and_then(fixed),
        });
        if self.known.len() >= JOBS_KEPT {
            self.known.clear();
        }
        self.known.insert(job.id.clone(), Arc::clone(&texts));
        texts
    }
}

impl<'a> PlanObject<'a> {
    /// Of an occurrence alone. `reveal` shows the whole stream URL. For many there is [`PlanObjects`].
    pub fn new(listed: Cow<'a, Interrupted>, reveal: bool) -> PlanObject<'a> {
        PlanObjects::new(reveal).of(listed)
    }

    fn robot(&self) -> &str {
        self.texts.robot.as_ref().or(self.own.robot.as_ref()).map_or("", String::as_str)
    }

    fn stream(&self) -> &str {
        self.texts.stream.as_ref().or(self.own.stream.as_ref()).map_or("", String::as_str)
    }

    fn fallback(&self) -> Option<&str> {
        self.texts.fallback.as_deref().or(self.own.fallback.as_deref())
    }

    /// Adds the object to a line, as JSON. It is here because this crate is compiled for speed, and what prints is compiled for size: made
    /// there, a year took 7.2 s and not 5.0 s.
    pub fn write_json(&self, line: &mut Vec<u8>) {
        serde_json::to_writer(line, self).expect("a list takes what is written into it, and plain values are JSON");
    }

    /// Adds the values under [`CSV_NAMES`] to a line; what is null is empty. A pause is `START/END JOB`, an unknown end is `..`, as in
    /// ISO 8601; between two stands a semicolon. What holds it back is `skip by WHO: NOTE`, or `pause until END by WHO: NOTE`.
    pub fn write_csv(&self, line: &mut CsvLine) {
        let Interrupted { occurrence, pauses, cut, held } = &*self.listed;
        let job = &occurrence.job;
        let start = occurrence.start.at;
        line.push(&job.id);
        line.push(InstantText(start));
        line.push(OrNothing(end(occurrence.end)));
        line.push(LocalText { at: start, zone: &job.when.zone });
        line.push(zone_name(&job.when.zone));
        line.push(OrNothing(job.app.as_ref().map(|app| &app.name)));
        line.push(OrNothing(job.app.as_ref().and_then(|app| app.sdk_app_id)));
        line.push(&self.texts.room);
        line.push(job.room.type_name());
        line.push(self.robot());
        line.push(self.stream());
        line.push(OrNothing(job.region.as_ref()));
        line.push(OrNothing(occurrence.dst.map(crate::calendar::Dst::name)));
        line.push(PausesText(pauses.as_deref().unwrap_or_default()));
        line.push(OrNothing(cut.as_ref().map(|cut| InstantText(cut.at))));
        line.push(OrNothing(cut.as_ref().map(|cut| &cut.job)));
        line.push(OrNothing(self.listed.content_end().map(InstantText)));
        line.push(OrNothing(job.after.as_ref()));
        line.push(OrNothing(held.as_ref().map(HeldText)));
    }
}

fn end(end: End) -> Option<InstantText> {
    end.at().map(InstantText)
}

impl Serialize for PlanObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Interrupted { occurrence, pauses, cut, held } = &*self.listed;
        let job = &occurrence.job;
        let start = occurrence.start.at;
        let mut object = serializer.serialize_struct("PlanObject", 20)?;
        object.serialize_field("job", job.id.as_str())?;
        object.serialize_field("start", &InstantText(start))?;
        object.serialize_field("end", &end(occurrence.end))?;
        object.serialize_field("local_start", &LocalText { at: start, zone: &job.when.zone })?;
        object.serialize_field("timezone", zone_name(&job.when.zone))?;
        object.serialize_field("app", &job.app.as_ref().map(|app| &*app.name))?;
        object.serialize_field("sdk_app_id", &job.app.as_ref().and_then(|app| app.sdk_app_id))?;
        object.serialize_field("room", &self.texts.room)?;
        object.serialize_field("room_type", job.room.type_name())?;
        object.serialize_field("robot", self.robot())?;
        object.serialize_field("stream", self.stream())?;
        object.serialize_field("region", &job.region.as_deref())?;
        object.serialize_field("dst", &occurrence.dst.map(crate::calendar::Dst::name))?;
        object.serialize_field("pauses", &pauses.as_deref().map(PausesText))?;
        object.serialize_field("cut_at", &cut.as_ref().map(|cut| InstantText(cut.at)))?;
        object.serialize_field("cut_by", &cut.as_ref().map(|cut| cut.job.as_str()))?;
        object.serialize_field("content_end", &self.listed.content_end().map(InstantText))?;
        object.serialize_field("after", &job.after.as_ref().map(JobId::as_str))?;
        object.serialize_field("held", &held.as_ref().map(HeldText))?;
        object.serialize_field("fallback", &self.fallback())?;
        object.end()
    }
}

/// `pauses` of [`PlanObject`].
struct PausesText<'a>(&'a [Pause]);

impl Serialize for PausesText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pauses = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|pause| pauses.serialize_element(&PauseText(pause)))?;
        pauses.end()
    }
}

impl fmt::Display for PausesText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pause) in self.0.iter().enumerate() {
            formatter.write_str(if index == 0 { "" } else { "; " })?;
            write!(formatter, "{}/", InstantText(pause.start))?;
            match pause.end {
                Some(end) => write!(formatter, "{}", InstantText(end))?,
                None => formatter.write_str("..")?,
            }
            write!(formatter, " {}", pause.job)?;
        }
        Ok(())
    }
}

/// One of them: the job whose occurrence has the room, from when on, and until when; null when that is unknown, or when it has no end.
struct PauseText<'a>(&'a Pause);

impl Serialize for PauseText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Pause { job, start, end } = self.0;
        let mut pause = serializer.serialize_struct("Pause", 3)?;
        pause.serialize_field("job", job.as_str())?;
        pause.serialize_field("start", &InstantText(*start))?;
        pause.serialize_field("end", &end.map(InstantText))?;
        pause.end()
    }
}

/// `held` of [`PlanObject`], an operator's order: `skip` or `pause`; when the pause is over, null for a skip, and for a pause that somebody
/// must end; who ordered it, and the note that they gave with it.
struct HeldText<'a>(&'a Held);

impl Serialize for HeldText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Held { why, until, source } = self.0;
        let mut held = serializer.serialize_struct("Held", 4)?;
        held.serialize_field("why", why.name())?;
        held.serialize_field("until", &until.map(InstantText))?;
        held.serialize_field("by", &source.who)?;
        held.serialize_field("note", &source.note)?;
        held.end()
    }
}

impl fmt::Display for HeldText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { why, until, source } = self.0;
        formatter.write_str(why.name())?;
        if let Some(until) = until {
            write!(formatter, " until {}", InstantText(*until))?;
        }
        write!(formatter, " by {}", source.who)?;
        source.note.as_ref().map_or(Ok(()), |note| write!(formatter, ": {note}"))
    }
}
