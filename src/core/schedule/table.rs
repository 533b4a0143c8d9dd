//! The table of a job's fields: name, group, one sentence, default, kind of value with its range. A new field is a row here. How
//! fields go together is not known here.

use std::time::Duration;

use serde_json::json;

use super::fields::{Field, FieldDefault, Group};
use super::options::Passed;
use super::policy::{Conflict, Late, OnRemove};
use super::raw::RawJob;
use super::retry::Retry;
use super::value_kind::{
    Choice, Custom, Flag, Hinted, IntRange, MinDuration, Seconds, into_slot, one_or_many, one_or_many_distinct,
};
use super::{moments, names, places, schema, values};
use crate::trtc::start_options;

const SECOND: Duration = Duration::from_secs(1);
const DAY_SECONDS: u64 = 86_400;

/// Shorthand: a row of the table below.
macro_rules! field {
    ($name:literal, $group:expr, $doc:literal, $reader:expr $(,)?) => {
        field!($name, $group, $doc, FieldDefault::None, $reader)
    };
    ($name:literal, $group:expr, $doc:literal, $default:expr, $reader:expr $(,)?) => {
        Field { name: $name, group: $group, doc: $doc, default: $default, reader: &$reader }
    };
}

/// Every field, in the order of the manual. The reader, the JSON Schema and the manual go by this table.
pub(super) static FIELDS: [Field; 39] = [
    field!(
        "at",
        Group::Trigger,
        "Starts every day at these wall-clock times; with days only on those.",
        into_slot!(
            RawJob,
            Custom(
                "`HH:MM` or `HH:MM:SS`, or a list of these",
                |node, _| moments::one_or_many(node, moments::time),
                || one_or_many_distinct(&moments::time_schema())
            ),
            trigger.at
        )
    ),
    field!(
        "once",
        Group::Trigger,
        "Starts once at each of these local dates and times.",
        into_slot!(
            RawJob,
            Custom(
                "`YYYY-MM-DD HH:MM`, with or without `:SS`, or a list of these",
                |node, _| moments::one_or_many(node, moments::date_time),
                || one_or_many_distinct(&moments::date_time_schema())
            ),
            trigger.once
        )
    ),
    field!(
        "cron",
        Group::Trigger,
        "Starts as Debian's cron would.",
        into_slot!(
            RawJob,
            Custom(
                "a cron expression in quotes: 5 fields, or 6 with leading seconds",
                |node, shared| Ok(shared.cron(node)?),
                schema::cron
            ),
            trigger.cron
        )
    ),
    field!(
        "every",
        Group::Trigger,
        "Starts in elapsed steps from local midnight, or from the start of between.",
        into_slot!(RawJob, Hinted(Seconds(1, DAY_SECONDS), values::hint_at_long_steps), trigger.every)
    ),
    field!(
        "after",
        Group::Trigger,
        "Starts at the planned ends of another job.",
        into_slot!(RawJob, Custom("the name of a job", |node, _| Ok(names::of_job(node)?), schema::job_name), trigger.after)
    ),
    field!(
        "days",
        Group::Modifier(&["at", "every"]),
        "The days of the week on which at or every starts.",
        FieldDefault::Value("daily"),
        into_slot!(
            RawJob,
            Custom(
                "`mon` to `sun`, `daily`, a range such as `mon..fri`, or a list of these",
                |node, _| moments::days(node),
                || one_or_many(&moments::days_schema())
            ),
            trigger.days
        )
    ),
    field!(
        "weeks",
        Group::Modifier(&["at", "every"]),
        "Starts in every n-th ISO week only, counted from the week of from; needs days and from.",
        FieldDefault::Value("1"),
        into_slot!(RawJob, Hinted(IntRange::new(1, 52), |_| Some("every other week is `weeks: 2`")), trigger.weeks)
    ),
    field!(
        "between",
        Group::Modifier(&["every"]),
        "The hours of every, from the first time to before the second; they may cross midnight.",
        FieldDefault::Rule("the whole day"),
        into_slot!(
            RawJob,
            Custom(
                "two times with two dots between them: `09:00..21:00`",
                |node, _| Ok(moments::between(node)?),
                moments::between_schema
            ),
            trigger.between
        )
    ),
    field!(
        "timezone",
        Group::Alone,
        "The zone of all times of the job.",
        FieldDefault::Rule("the timezone of the file"),
        into_slot!(
            RawJob,
            Custom("an IANA name such as `Asia/Shanghai`", |node, shared| Ok(shared.zone(node)?), schema::zone),
            timezone
        )
    ),
    field!(
        "from",
        Group::Alone,
        "No start comes before this local date, or date and time.",
        into_slot!(
            RawJob,
            Custom("`YYYY-MM-DD`, or `YYYY-MM-DD HH:MM`", |node, _| Ok(moments::bound(node)?), moments::bound_schema),
            from
        )
    ),
    field!(
        "until",
        Group::Alone,
        "No start comes after this local date, which is included, or from this date and time on.",
        into_slot!(
            RawJob,
            Custom("`YYYY-MM-DD`, or `YYYY-MM-DD HH:MM`", |node, _| Ok(moments::bound(node)?), moments::bound_schema),
            until
        )
    ),
    field!(
        "except",
        Group::Alone,
        "Local dates on which it does not start.",
        into_slot!(
            RawJob,
            Custom(
                "a date, a range `2026-10-01..2026-10-07`, the name of a calendar, or a list of these",
                |node, shared| shared.except(node),
                schema::except
            ),
            except
        )
    ),
    field!(
        "app",
        Group::Alone,
        "The application in which it plays.",
        FieldDefault::Rule("the only application of the settings"),
        into_slot!(
            RawJob,
            Custom(
                "a name under `apps` in the settings",
                |node, shared| Ok(shared.intern(values::text(node, "an application's name")?)),
                || json!({"type": ["string", "integer"]})
            ),
            app
        )
    ),
    field!(
        "room",
        Group::Alone,
        "The room in which it plays; every job needs one.",
        into_slot!(
            RawJob,
            Custom(
                "`42` for an integer room, `lobby` for a string room, `{id: \"42\", type: string}` for a string room of digits",
                |node, _| places::room(node),
                places::room_schema
            ),
            room
        )
    ),
    field!(
        "robot",
        Group::Alone,
        "The UserId that enters the room; the text may hold {job}, {room} and {start}.",
        FieldDefault::Value("{job}"),
        into_slot!(
            RawJob,
            Custom(
                "at most 32 of `A-Z`, `a-z`, `0-9`, `_` and `-`",
                |node, shared| Ok(shared.intern(places::robot(node)?)),
                places::robot_schema
            ),
            robot
        )
    ),
    field!(
        "stream",
        Group::Alone,
        "The media, which the vendor's cloud fetches; the URL may hold {date}, {start:%Y-%m-%d_%H}, {job}, {room} and {secret:NAME}; every job \
         needs one.",
        into_slot!(
            RawJob,
            Custom(
                "an `http`, `https`, `rtmp` or `rtmps` URL",
                |node, shared| Ok(places::stream(node, |text| shared.intern(text))?),
                places::stream_schema
            ),
            stream
        )
    ),
    field!(
        "fallback",
        Group::Alone,
        "Plays instead of stream, from its beginning and in a loop, while that cannot be had; the URL may hold what that of stream may, and \
         where the end is open it plays for start_within at most.",
        into_slot!(
            RawJob,
            Custom(
                "an `http`, `https`, `rtmp` or `rtmps` URL",
                |node, shared| Ok(places::stream(node, |text| shared.intern(text))?),
                places::stream_schema
            ),
            fallback
        )
    ),
    field!(
        "live",
        Group::Alone,
        "Whether the stream is a live source, in which a start cannot seek.",
        FieldDefault::Rule("true for rtmp and rtmps, else false"),
        into_slot!(RawJob, Flag, live)
    ),
    field!(
        "length",
        Group::Alone,
        "How long the media is once through; late starts then join it, and ends can be computed.",
        into_slot!(RawJob, MinDuration(SECOND), length)
    ),
    field!(
        "seek",
        Group::Alone,
        "Where in the media an on-time start begins; less than length, and a loop goes on from 0.",
        FieldDefault::Value("0s"),
        into_slot!(RawJob, Seconds(0, u64::MAX), seek)
    ),
    field!(
        "repeat",
        Group::Alone,
        "How often the media plays; forever needs for or to.",
        FieldDefault::Value("1"),
        into_slot!(
            RawJob,
            Custom("`forever`, or a whole number from 1 to 1000", |node, _| Ok(places::repeat(node)?), places::repeat_schema),
            repeat
        )
    ),
    field!("volume", Group::Alone, "Volume of the API; sent only when written.", Passed(&start_options::VOLUME)),
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
        "IdleTimeout of the API, how long the cloud keeps an idle task; sent only when written.",
        Passed(&start_options::IDLE_TIMEOUT)
    ),
    field!(
        "region",
        Group::Alone,
        "The region that requests name, X-TC-Region.",
        FieldDefault::Rule("the region of the account"),
        into_slot!(
            RawJob,
            Custom(
                "a region such as `ap-singapore`",
                |node, shared| Ok(shared.intern(places::region(node)?)),
                places::region_schema
            ),
            region
        )
    ),
    field!(
        "for",
        Group::End,
        "Ends this long after its start, in elapsed time.",
        into_slot!(RawJob, MinDuration(SECOND), end.duration)
    ),
    field!(
        "to",
        Group::End,
        "Ends at the first such wall-clock time after its start, or never.",
        into_slot!(
            RawJob,
            Custom(
                "`HH:MM` or `HH:MM:SS`, or `never`",
                |node, _| Ok(moments::end(node)?),
                || json!({"anyOf": [{"const": "never"}, moments::time_schema()]})
            ),
            end.to
        )
    ),
    field!(
        "late",
        Group::Alone,
        "What a start after its instant does: join in progress, restart from the beginning, or skip.",
        FieldDefault::Value("join"),
        into_slot!(RawJob, Choice(Late::WORDS), late)
    ),
    field!(
        "start_within",
        Group::Alone,
        "How long attempts go on until it is first on air.",
        FieldDefault::Rule("the window; 10m when its end is open"),
        into_slot!(RawJob, MinDuration(SECOND), start_within)
    ),
    field!(
        "conflict",
        Group::Alone,
        "Another show in the same room: reject is an error, preempt takes the room, yield gives way and returns, allow plays both if \
         both say so.",
        FieldDefault::Value("reject"),
        into_slot!(RawJob, Choice(Conflict::WORDS), conflict)
    ),
    field!("retry", Group::Alone, "How a start is tried again; it merges with the defaults key by key.", Retry),
    field!(
        "heal",
        Group::Alone,
        "Whether it is put on air again when it vanishes before its end.",
        FieldDefault::Value("true"),
        into_slot!(RawJob, Flag, heal)
    ),
    field!(
        "on_remove",
        Group::Alone,
        "When the job leaves the schedule while on air: finish plays to its end, stop ends it at once.",
        FieldDefault::Value("finish"),
        into_slot!(RawJob, Choice(OnRemove::WORDS), on_remove)
    ),
    field!(
        "priority",
        Group::Alone,
        "Which start leaves first when starts queue for the rate: 9 before 0.",
        FieldDefault::Value("5"),
        into_slot!(RawJob, IntRange::new(0, 9), priority)
    ),
    field!(
        "preflight",
        Group::Alone,
        "Whether its media is looked at ten minutes before each start, and once in the day before.",
        FieldDefault::Value("true"),
        into_slot!(RawJob, Flag, preflight)
    ),
    field!(
        "enabled",
        Group::Alone,
        "With false the job is checked and plans nothing.",
        FieldDefault::Value("true"),
        into_slot!(RawJob, Flag, enabled)
    ),
    field!(
        "note",
        Group::Alone,
        "A text that status and plan show.",
        into_slot!(
            RawJob,
            Custom("a text of at most 500 characters", |node, shared| Ok(shared.intern(places::note(node)?)), places::note_schema),
            note
        )
    ),
];
