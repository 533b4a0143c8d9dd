//! The table of a job's fields: name, group, reader. Unknown keys, defaults and suggestions all come from it, so that a field
//! is added in one place. Refuses to know how fields go together.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Conflict, EndRule, Late, OnRemove};
use super::problem::{Problem, did_you_mean, shown};
use super::raw::{RawEnd, RawJob, RawRetry, RawTrigger};
use super::shared::Shared;
use super::{moments, places, values};
use crate::yaml::{Entry, Node};

/// Which defaults a field drops when a job writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// All triggers, with `days` and `between`.
    Trigger,
    /// `for` and `to`.
    End,
    /// Only its own.
    Alone,
}

/// One field of a job.
pub(super) struct Field {
    /// Its key.
    pub(super) name: &'static str,
    /// Its group.
    pub(super) group: Group,
    read: fn(&Entry<'_>, &mut RawJob, &mut Shared<'_>) -> Vec<Problem>,
}

const SECOND: Duration = Duration::from_secs(1);
const DAY_SECONDS: u64 = 86_400;

/// Every field, in the order of the manual.
pub(super) static FIELDS: [Field; 37] = [
    trigger("at", |entry, raw, _| raw.trigger.at.put(entry, moments::one_or_many(&entry.value, moments::time))),
    trigger("once", |entry, raw, _| raw.trigger.once.put(entry, moments::one_or_many(&entry.value, moments::date_time))),
    trigger("cron", |entry, raw, shared| raw.trigger.cron.put(entry, shared.cron(&entry.value))),
    trigger("every", |entry, raw, _| raw.trigger.every.put(entry, values::whole_seconds(&entry.value, 1..=DAY_SECONDS))),
    trigger("after", |entry, raw, _| {
        let problem = Problem::at(entry.key_span, "not-supported", "this trigger is not supported yet")
            .hint("give the job its own `at`, at the planned end of the other");
        raw.trigger.after.put(entry, Err(problem))
    }),
    trigger("days", |entry, raw, _| raw.trigger.days.put(entry, moments::days(&entry.value))),
    trigger("between", |entry, raw, _| raw.trigger.between.put(entry, moments::between(&entry.value))),
    alone("timezone", |entry, raw, shared| raw.timezone.put(entry, shared.zone(&entry.value))),
    alone("from", |entry, raw, _| raw.from.put(entry, moments::bound(&entry.value))),
    alone("until", |entry, raw, _| raw.until.put(entry, moments::bound(&entry.value))),
    alone("except", |entry, raw, shared| raw.except.put(entry, shared.except(&entry.value))),
    alone("app", |entry, raw, shared| {
        raw.app.put(entry, values::text(&entry.value, "an application's name").map(|text| shared.intern(text)))
    }),
    alone("room", |entry, raw, _| raw.room.put(entry, places::room(&entry.value))),
    alone("robot", |entry, raw, shared| raw.robot.put(entry, places::robot(&entry.value).map(|text| shared.intern(text)))),
    alone("stream", |entry, raw, shared| raw.stream.put(entry, places::stream(&entry.value).map(|text| shared.intern(text)))),
    alone("live", |entry, raw, _| raw.live.put(entry, values::boolean(&entry.value))),
    alone("length", |entry, raw, _| raw.length.put(entry, values::duration_from(&entry.value, SECOND))),
    alone("seek", |entry, raw, _| raw.seek.put(entry, values::whole_seconds(&entry.value, 0..=u64::MAX))),
    alone("repeat", |entry, raw, _| raw.repeat.put(entry, places::repeat(&entry.value))),
    alone("volume", |entry, raw, _| raw.volume.put(entry, values::integer(&entry.value, 0..=200))),
    alone("tempo", |entry, raw, _| raw.tempo.put(entry, places::tempo(&entry.value))),
    alone("progress", |entry, raw, _| raw.progress.put(entry, values::boolean(&entry.value))),
    alone("auto_push", |entry, raw, _| raw.auto_push.put(entry, values::boolean(&entry.value))),
    alone("idle_timeout", |entry, raw, _| {
        let seconds = values::whole_seconds(&entry.value, 0..=600);
        raw.idle_timeout.put(entry, seconds.map(|value| u16::try_from(value.as_secs()).expect("the range ends at 600")))
    }),
    alone("region", |entry, raw, shared| raw.region.put(entry, places::region(&entry.value).map(|text| shared.intern(text)))),
    Field {
        name: "for",
        group: Group::End,
        read: |entry, raw, _| raw.end.duration.put(entry, values::duration_from(&entry.value, SECOND)),
    },
    Field { name: "to", group: Group::End, read: |entry, raw, _| raw.end.to.put(entry, to(&entry.value)) },
    alone("late", |entry, raw, _| {
        let words = [("join", Late::Join), ("restart", Late::Restart), ("skip", Late::Skip)];
        raw.late.put(entry, values::choice(&entry.value, &words))
    }),
    alone("start_within", |entry, raw, _| raw.start_within.put(entry, values::duration_from(&entry.value, SECOND))),
    alone("conflict", |entry, raw, _| {
        let words =
            [("reject", Conflict::Reject), ("preempt", Conflict::Preempt), ("yield", Conflict::Yield), ("allow", Conflict::Allow)];
        raw.conflict.put(entry, values::choice(&entry.value, &words))
    }),
    alone("retry", |entry, raw, _| retry(entry, &mut raw.retry)),
    alone("heal", |entry, raw, _| raw.heal.put(entry, values::boolean(&entry.value))),
    alone("on_remove", |entry, raw, _| {
        let words = [("finish", OnRemove::Finish), ("stop", OnRemove::Stop)];
        raw.on_remove.put(entry, values::choice(&entry.value, &words))
    }),
    alone("priority", |entry, raw, _| raw.priority.put(entry, values::integer(&entry.value, 0..=9))),
    alone("preflight", |entry, _, _| only_default(&entry.value, values::boolean(&entry.value), "true")),
    alone("enabled", |entry, raw, _| raw.enabled.put(entry, values::boolean(&entry.value))),
    alone("note", |entry, raw, shared| raw.note.put(entry, places::note(&entry.value).map(|text| shared.intern(text)))),
];

const fn trigger(name: &'static str, read: fn(&Entry<'_>, &mut RawJob, &mut Shared<'_>) -> Vec<Problem>) -> Field {
    Field { name, group: Group::Trigger, read }
}

const fn alone(name: &'static str, read: fn(&Entry<'_>, &mut RawJob, &mut Shared<'_>) -> Vec<Problem>) -> Field {
    Field { name, group: Group::Alone, read }
}

/// Reads the entries of a job, or of `defaults`, over what `raw` already holds; answers what is wrong with them.
pub(super) fn read(entries: &[Entry<'_>], raw: &mut RawJob, shared: &mut Shared<'_>) -> Vec<Problem> {
    let writes = |group| entries.iter().any(|entry| FIELDS.iter().any(|field| field.group == group && field.name == entry.key));
    if writes(Group::Trigger) {
        raw.trigger = RawTrigger::default();
    }
    if writes(Group::End) {
        raw.end = RawEnd::default();
    }
    let mut problems = Vec::new();
    for entry in entries {
        match FIELDS.iter().find(|field| field.name == entry.key) {
            Some(field) => {
                let mut found = (field.read)(entry, raw, shared);
                for problem in &mut found {
                    problem.point_at_key(entry);
                }
                problems.extend(found.into_iter().map(|problem| problem.in_field(field.name)));
            }
            None => problems.push(unknown_key(entry)),
        }
    }
    problems
}

/// Words that people write for a field of another name.
const HABITS: [(&str, &str); 12] = [
    ("url", "stream"),
    ("source", "stream"),
    ("media", "stream"),
    ("duration", "for"),
    ("loop", "repeat"),
    ("start", "at"),
    ("time", "at"),
    ("end", "to"),
    ("stop", "to"),
    ("tz", "timezone"),
    ("user", "robot"),
    ("user_id", "robot"),
];

fn unknown_key(entry: &Entry<'_>) -> Problem {
    let key = entry.key.as_ref();
    let habit = HABITS.iter().find(|(word, _)| word.eq_ignore_ascii_case(key));
    let habit = habit.map(|(_, field)| format!("did you mean `{field}`?"));
    let hint = habit.or_else(|| did_you_mean(key, FIELDS.iter().map(|field| field.name)));
    Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", shown(key))).maybe_hint(hint)
}

/// A value of which only the default exists yet: no field may parse and do nothing.
fn only_default(node: &Node<'_>, read: Result<bool, Problem>, default: &str) -> Vec<Problem> {
    match read {
        Ok(true) => Vec::new(),
        Ok(false) => {
            let problem = Problem::not_supported(node.span, &shown(node.text().unwrap_or_default()));
            vec![problem.hint(format!("`{default}`, the default, is all there is; leave it out"))]
        }
        Err(problem) => vec![problem],
    }
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

fn retry(entry: &Entry<'_>, raw: &mut RawRetry) -> Vec<Problem> {
    const KEYS: [&str; 4] = ["first", "cap", "attempts", "also"];
    const ATTEMPTS_MAX: u64 = 10_000;
    let Some(entries) = entry.value.entries() else {
        raw.refused = true;
        return vec![
            Problem::of(&entry.value, "wrong-type", format!("a mapping is due, not {}", entry.value.describe()))
                .hint("write `{first: 1s, cap: 30s, attempts: 0, also: []}`, or some of these keys"),
        ];
    };
    let mut problems = Vec::new();
    for entry in entries {
        let node = &entry.value;
        let found = match entry.key.as_ref() {
            "first" => raw.first.put(entry, values::duration_from(node, Duration::from_millis(1))),
            "cap" => raw.cap.put(entry, values::duration_from(node, Duration::from_millis(1))),
            "attempts" => raw.attempts.put(entry, values::integer(node, 0..=ATTEMPTS_MAX)),
            "also" => raw.also.put(entry, places::codes(node).map(Arc::from)),
            key => {
                raw.refused = true;
                vec![
                    Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", shown(key)))
                        .maybe_hint(did_you_mean(key, KEYS)),
                ]
            }
        };
        problems.extend(
            found
                .into_iter()
                .map(|problem| if problem.code == "unknown-key" { problem } else { problem.in_field(&format!(".{}", entry.key)) }),
        );
    }
    problems
}
