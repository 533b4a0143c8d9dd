//! The table of a job's fields: name, group, words for editors, kind of value. Refuses to know how fields go together.

use std::time::Duration;

use serde_json::json;

use super::fields::{Field, Group};
use super::job::EndRule;
use super::options::Passed;
use super::policy::{Conflict, Late, OnRemove};
use super::problem::{Problem, quote};
use super::raw::RawJob;
use super::retry::Retry;
use super::value_kind::{Choice, Custom, Flag, IntRange, IntoSlot, MinDuration, Seconds, one_or_many, one_or_many_distinct};
use super::{moments, names, places, schema, values};
use crate::trtc::{StreamUrl, start_options};
use crate::yaml::Node;

const SECOND: Duration = Duration::from_secs(1);
const DAY_SECONDS: u64 = 86_400;

/// Shorthand: a row of the table below.
macro_rules! field {
    ($name:literal, $group:expr, $doc:literal, $reader:expr $(,)?) => {
        Field { name: $name, doc: $doc, group: $group, reader: &$reader }
    };
}

/// Every field, in the order of the manual.
pub(super) static FIELDS: [Field; 37] = [
    field!(
        "at",
        Group::Trigger,
        "Starts every day at these wall-clock times, HH:MM or HH:MM:SS; with days only on those.",
        IntoSlot(
            Custom(|node, _| moments::one_or_many(node, moments::time), || one_or_many_distinct(&moments::time_schema()),),
            |raw: &mut RawJob| &mut raw.trigger.at
        )
    ),
    field!(
        "once",
        Group::Trigger,
        "Starts once at each of these local dates and times, YYYY-MM-DD HH:MM.",
        IntoSlot(
            Custom(|node, _| moments::one_or_many(node, moments::date_time), || one_or_many_distinct(&moments::date_time_schema()),),
            |raw: &mut RawJob| &mut raw.trigger.once
        )
    ),
    field!(
        "cron",
        Group::Trigger,
        "A cron expression in quotes: 5 fields, or 6 with leading seconds; as Debian cron.",
        IntoSlot(Custom(|node, shared| Ok(shared.cron(node)?), schema::cron), |raw: &mut RawJob| &mut raw.trigger.cron)
    ),
    field!(
        "every",
        Group::Trigger,
        "Elapsed steps, 1s to 24h, from local midnight or from the start of between.",
        IntoSlot(Seconds(1, DAY_SECONDS), |raw: &mut RawJob| &mut raw.trigger.every)
    ),
    field!(
        "after",
        Group::Trigger,
        "The name of the job at whose planned ends this one starts.",
        IntoSlot(Custom(|node, _| Ok(names::of_job(node)?), schema::job_name), |raw: &mut RawJob| &mut raw.trigger.after)
    ),
    field!(
        "days",
        Group::Modifier(&["at", "every"]),
        "The days of the week on which at or every starts: mon..fri, [sat, sun], daily.",
        IntoSlot(Custom(|node, _| moments::days(node), || one_or_many(&moments::days_schema())), |raw: &mut RawJob| &mut raw
            .trigger
            .days)
    ),
    field!(
        "between",
        Group::Modifier(&["every"]),
        "The hours of every, from the first time to before the second: 09:00..21:00. It may cross midnight.",
        IntoSlot(Custom(|node, _| Ok(moments::between(node)?), moments::between_schema), |raw: &mut RawJob| &mut raw
            .trigger
            .between)
    ),
    field!(
        "timezone",
        Group::Alone,
        "The IANA name of the zone of all its times; overrides the file's.",
        IntoSlot(Custom(|node, shared| Ok(shared.zone(node)?), schema::zone), |raw: &mut RawJob| &mut raw.timezone)
    ),
    field!(
        "from",
        Group::Alone,
        "No start before this local date, or date and time.",
        IntoSlot(Custom(|node, _| Ok(moments::bound(node)?), moments::bound_schema), |raw: &mut RawJob| &mut raw.from)
    ),
    field!(
        "until",
        Group::Alone,
        "No start after this local date, which is included, or from this date and time on.",
        IntoSlot(Custom(|node, _| Ok(moments::bound(node)?), moments::bound_schema), |raw: &mut RawJob| &mut raw.until)
    ),
    field!(
        "except",
        Group::Alone,
        "Local dates on which it does not start: dates, ranges a..b, and names of calendars.",
        IntoSlot(Custom(|node, shared| shared.except(node), schema::except), |raw: &mut RawJob| &mut raw.except)
    ),
    field!(
        "app",
        Group::Alone,
        "The application, by its name under apps in the daemon's settings; the only one is the default.",
        IntoSlot(
            Custom(
                |node, shared| Ok(shared.intern(values::text(node, "an application's name")?)),
                || json!({"type": ["string", "integer"]}),
            ),
            |raw: &mut RawJob| &mut raw.app
        )
    ),
    field!(
        "room",
        Group::Alone,
        "Where it plays: 42 is an integer room, lobby a string room, {id: \"42\", type: string} a string room of digits.",
        IntoSlot(Custom(|node, _| places::room(node), places::room_schema), |raw: &mut RawJob| &mut raw.room)
    ),
    field!(
        "robot",
        Group::Alone,
        "The UserId that enters the room, at most 32 of A-Z a-z 0-9 _ -; may hold {job}, {room} and {start}. Default: {job}.",
        IntoSlot(Custom(|node, shared| Ok(shared.intern(places::robot(node)?)), places::robot_schema), |raw: &mut RawJob| &mut raw
            .robot)
    ),
    field!(
        "stream",
        Group::Alone,
        "The URL of the media: http, https, rtmp or rtmps. The vendor's cloud fetches it.",
        IntoSlot(
            Custom(|node, shared| Ok(StreamUrl::shared(&shared.intern(places::stream(node)?))), places::stream_schema),
            |raw: &mut RawJob| &mut raw.stream
        )
    ),
    field!(
        "live",
        Group::Alone,
        "Whether the stream is a live source, which is never sought into. Default: true for rtmp and rtmps.",
        IntoSlot(Flag, |raw: &mut RawJob| &mut raw.live)
    ),
    field!(
        "length",
        Group::Alone,
        "How long the media is once through; lets late starts join, and ends be computed.",
        IntoSlot(MinDuration(SECOND), |raw: &mut RawJob| &mut raw.length)
    ),
    field!(
        "seek",
        Group::Alone,
        "Where in the media an on-time start begins; less than length. Loops go on from 0.",
        IntoSlot(Seconds(0, u64::MAX), |raw: &mut RawJob| &mut raw.seek)
    ),
    field!(
        "repeat",
        Group::Alone,
        "How often the media plays, 1 to 1000, or forever, which needs for or to. Default: 1.",
        IntoSlot(Custom(|node, _| Ok(places::repeat(node)?), places::repeat_schema), |raw: &mut RawJob| &mut raw.repeat)
    ),
    field!("volume", Group::Alone, "Volume of the API, 0 to 200; sent only when written.", Passed(&start_options::VOLUME)),
    field!(
        "tempo",
        Group::Alone,
        "Tempo of the API, the speed of playback; sent only when written.",
        Passed(&start_options::TEMPO)
    ),
    field!("progress", Group::Alone, "EnableProgress of the API; sent only when written.", Passed(&start_options::PROGRESS)),
    field!("auto_push", Group::Alone, "AutoPush of the API; sent only when written.", Passed(&start_options::AUTO_PUSH)),
    field!(
        "idle_timeout",
        Group::Alone,
        "IdleTimeout of the API, 0s to 600s: how long the cloud keeps an idle task; sent only when written.",
        Passed(&start_options::IDLE_TIMEOUT)
    ),
    field!(
        "region",
        Group::Alone,
        "The region that is asked, X-TC-Region. Default: the account's.",
        IntoSlot(Custom(|node, shared| Ok(shared.intern(places::region(node)?)), places::region_schema), |raw: &mut RawJob| {
            &mut raw.region
        })
    ),
    field!(
        "for",
        Group::End,
        "Ends this long after its start, in elapsed time.",
        IntoSlot(MinDuration(SECOND), |raw: &mut RawJob| &mut raw.end.duration)
    ),
    field!(
        "to",
        Group::End,
        "Ends at the first such wall-clock time after its start, or never.",
        IntoSlot(
            Custom(|node, _| Ok(to(node)?), || json!({"anyOf": [{"const": "never"}, moments::time_schema()]})),
            |raw: &mut RawJob| { &mut raw.end.to }
        )
    ),
    field!(
        "late",
        Group::Alone,
        "What a start after its instant does: join in progress (the default), restart from the beginning, or skip.",
        IntoSlot(Choice(Late::WORDS), |raw: &mut RawJob| &mut raw.late)
    ),
    field!(
        "start_within",
        Group::Alone,
        "How long it is tried until it is first on air. Default: the window; 10m when its end is open.",
        IntoSlot(MinDuration(SECOND), |raw: &mut RawJob| &mut raw.start_within)
    ),
    field!(
        "conflict",
        Group::Alone,
        "Another show in the same room: reject is an error (the default), preempt takes the room, yield gives way and returns, \
         allow plays both if both say so.",
        IntoSlot(Choice(Conflict::WORDS), |raw: &mut RawJob| &mut raw.conflict)
    ),
    field!("retry", Group::Alone, "How a start is tried again. Merges with the defaults key by key.", Retry),
    field!(
        "heal",
        Group::Alone,
        "Whether it is put on air again when it vanishes before its end. Default: true.",
        IntoSlot(Flag, |raw: &mut RawJob| &mut raw.heal)
    ),
    field!(
        "on_remove",
        Group::Alone,
        "When the job leaves the schedule while on air: finish plays to its end (the default), stop takes it off.",
        IntoSlot(Choice(OnRemove::WORDS), |raw: &mut RawJob| &mut raw.on_remove)
    ),
    field!(
        "priority",
        Group::Alone,
        "Who leaves first when starts queue for the rate: 9 before 0. Default: 5.",
        IntoSlot(IntRange::new(0, 9), |raw: &mut RawJob| &mut raw.priority)
    ),
    field!(
        "preflight",
        Group::Alone,
        "Only its default, true, is taken yet.",
        IntoSlot(Custom(|node, _| Ok(only_default(node)?), || json!({"const": true})), |raw: &mut RawJob| &mut raw.preflight)
    ),
    field!(
        "enabled",
        Group::Alone,
        "False: the job is checked and plans nothing. Default: true.",
        IntoSlot(Flag, |raw: &mut RawJob| &mut raw.enabled)
    ),
    field!(
        "note",
        Group::Alone,
        "A text that is shown in status and plan, at most 500 characters.",
        IntoSlot(Custom(|node, shared| Ok(shared.intern(places::note(node)?)), places::note_schema), |raw: &mut RawJob| &mut raw
            .note)
    ),
];

/// A value of which only the default exists yet: no field may parse and do nothing.
fn only_default(node: &Node<'_>) -> Result<(), Problem> {
    if values::boolean(node)? {
        return Ok(());
    }
    let problem = Problem::not_supported(node.span, &quote(node.text().unwrap_or_default()));
    Err(problem.hint("`true`, the default, is all there is; leave it out"))
}

/// `HH:MM[:SS]` or `never`.
fn to(node: &Node<'_>) -> Result<EndRule, Problem> {
    if node.text() == Some("never") {
        return Ok(EndRule::Never);
    }
    moments::time(node).map(EndRule::To).map_err(|problem| match node.text() {
        Some(text) if problem.code == "bad-time" && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            let digits = text.bytes().any(|byte| byte.is_ascii_digit());
            problem.hint(if digits {
                "a duration goes under `for`; `to` takes a time or `never`"
            } else {
                "`to` takes a time or `never`"
            })
        }
        _ => problem,
    })
}
