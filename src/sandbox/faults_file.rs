//! The fault plan as an operator writes it. Knows YAML nodes and our keys; does not know requests, sockets, or where the text came
//! from.
//!
//! ```yaml
//! media:                                # how long a medium plays once; 10m for all others, rtmp without end
//!   https://cdn.example.com/promo.mp4: 1m30s
//!   https://cdn.example.com/gone.mp4: unreachable   # starts, and callbacks say that it cannot be pulled
//!   https://cdn.example.com/cam.mp4: { dies: 30s, heals: 2m }   # the same, from and until so long after the sandbox began; `length` too
//! faults:                               # tried in order
//!   - { action: start, room: lobby, times: 2, error: ResourceInsufficient.RequestRejection }
//!   - { action: start, after: 5, times: 1, cut: after }
//!   - { action: describe, every: 10, delay: 2s }
//!   - { probability: 0.05, seed: 7, status: 502 }
//!   - { event: stopped, every: 3, late: 20s }
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `action` | `start`, `stop` or `describe`; without it all three, and requests that name another action |
//! | `event` | of callbacks: `started`, `failed`, `again` or `stopped` |
//! | `room`, `robot` | of the request; for stops, describes and callbacks those of the task |
//! | `stream` | the stream URL of the request, for stops and describes that of the task; never a callback |
//! | `after: n` | the first n requests that match are let through |
//! | `every: n` | then only every nth that matches |
//! | `times: n` | at most n times |
//! | `probability: p`, `seed: n` | only with this probability; the same seed gives the same row of draws |
//!
//! and exactly one effect:
//!
//! | effect | what happens |
//! |---|---|
//! | `error: CODE` | this error in the vendor's envelope, HTTP 200 |
//! | `status: 502` | 300 to 599 with an HTML page; with `retry_after: 3s` the header of that name |
//! | `body: "..."` | HTTP 200 with this text, which is not an envelope |
//! | `hang: true` | no answer, the connection stays open (10 minutes at most) |
//! | `cut: before`, `cut: after` | the connection is closed without a byte: before or after the action took effect |
//! | `delay: 2s` | the answer leaves later; the action takes effect at once |
//! | `cold_delay: 150ms` | the request arrives later, if it is the first on its connection |
//! | `vanish: 20s` | the task that a start makes ends by itself after that time |
//! | `accept: true` | the answer says that it worked, and nothing happens: a start gives the id of a task that never runs, a stop leaves its task on air, a describe says `InProgress` |
//! | `late: 20s` | a callback leaves later |
//! | `repeat: 2` | a callback is delivered so many times more |
//! | `swap: true` | a callback is delivered behind the next one |
//! | `drop: true` | a callback never leaves |
//!
//! `done: true` beside `error`, `status`, `body` or `hang` says that the action takes effect although its answer is lost: this
//! makes a start in doubt. [`FaultPlan`] says which rules see a request, and in what order.

use std::sync::Arc;
use std::time::Duration;

use super::faults::{Disturbance, FaultEffect, FaultPlan, FaultRule, Replacement};
use super::{MediaLengths, MediaOutage};
use crate::diagnostic::{Diagnostic, LineIndex};
use crate::schedule::problem::{Problem, did_you_mean, quote};
use crate::schedule::values;
use crate::trtc::Action;
use crate::trtc::callback::TaskNews;
use crate::yaml::{self, Entry, Kind, Node};

/// Rules a file may hold: each is tried for each request.
const RULES_MAX: usize = 1000;
/// The longest delay; a hang is what waits longer.
const DELAY_MAX: Duration = Duration::from_mins(10);
/// The longest medium, and the latest vanishing: beyond the seven days that a task may run.
const LENGTH_MAX: Duration = Duration::from_hours(24 * 30);
/// The shortest of both: nothing is finer than the clock of the API.
const SHORTEST: Duration = Duration::from_millis(1);
/// The most repeats of a callback.
const REPEATS_MAX: u64 = 100;
/// The most requests that a rule counts to.
const COUNT_MAX: u64 = 1_000_000_000;

/// The keys that choose requests.
const CHOICES: [&str; 9] = ["action", "event", "room", "robot", "stream", "after", "every", "times", "probability"];
/// The keys that are an effect: exactly one in a rule.
const EFFECTS: [&str; 13] =
    ["error", "status", "body", "hang", "cut", "delay", "cold_delay", "vanish", "accept", "late", "repeat", "swap", "drop"];
/// Those of them that concern callbacks; the others concern requests.
const DISTURBANCES: [&str; 4] = ["late", "repeat", "swap", "drop"];
/// The keys that only go with certain others.
const COMPANIONS: [&str; 3] = ["seed", "done", "retry_after"];

/// What a file of faults holds.
#[derive(Clone, Debug, Default)]
pub struct FaultFile {
    /// `faults`
    pub faults: FaultPlan,
    /// `media`, beside the defaults.
    pub media: MediaLengths,
}

/// Reads a file of faults, called `file` in every problem. Errors: every problem that it has.
pub fn read(file: &Arc<str>, text: &str) -> Result<FaultFile, Vec<Diagnostic>> {
    let index = LineIndex::new(text);
    let document = yaml::parse(file, text, &index);
    let mut reader = FaultFileReader { problems: Vec::new() };
    let read = document.root.as_ref().map(|root| reader.file(root)).unwrap_or_default();
    let found = reader.problems.into_iter().map(|Problem { code, message, hint, span, related, more: _ }| {
        let related = related.into_iter().map(|(span, role)| (index.place(file, span), role.to_owned())).collect();
        Diagnostic { hint, related, ..Diagnostic::error(code, message).at(index.place(file, span)) }
    });
    let mut problems: Vec<Diagnostic> = document.problems.into_iter().chain(found).collect();
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

/// Continues after a problem, so that the operator sees all of them at once.
struct FaultFileReader {
    problems: Vec<Problem>,
}

impl FaultFileReader {
    fn file(&mut self, root: &Node<'_>) -> FaultFile {
        let mut read = FaultFile::default();
        if root.is_null() {
            return read;
        }
        for entry in self.entries(root, "the file") {
            match entry.key.as_ref() {
                "media" => self.media(&entry.value, &mut read.media),
                "faults" => read.faults = self.faults(&entry.value),
                _ => self.problems.push(unknown(entry, &["media", "faults"])),
            }
        }
        read
    }

    fn media(&mut self, node: &Node<'_>, media: &mut MediaLengths) {
        for entry in self.entries(node, "`media`") {
            if entry.value.text() == Some("unreachable") {
                media.unreachable.insert(entry.key.to_string());
                continue;
            }
            if entry.value.entries().is_some() {
                self.outage(&entry.key, &entry.value, media);
                continue;
            }
            // The key is a URL and may hold a secret, so that the message does not name it.
            let length = values::duration(&entry.value, SHORTEST..=LENGTH_MAX);
            if let Some(length) = self.note(length.map_err(|problem| problem.in_field("media"))) {
                media.by_url.insert(entry.key.to_string(), length);
            }
        }
    }

    /// When media dies and heals, and how long it is.
    fn outage(&mut self, url: &str, node: &Node<'_>, media: &mut MediaLengths) {
        let known = ["dies", "heals", "length"];
        let entries = self.entries(node, "`media`");
        let strangers = entries.iter().filter(|entry| !known.contains(&entry.key.as_ref()));
        self.problems.extend(strangers.map(|entry| unknown(entry, &known)));
        let mut read = |key: &str, shortest| {
            let length = values::duration(get(entries, key)?, shortest..=LENGTH_MAX);
            self.note(length.map_err(|problem| problem.in_field(key)))
        };
        let (dies, heals, length) = (read("dies", Duration::ZERO), read("heals", SHORTEST), read("length", SHORTEST));
        media.by_url.extend(length.map(|length| (url.to_owned(), length)));
        match dies {
            Some(dies) if heals.is_some_and(|heals| heals <= dies) => {
                let problem = Problem::of(node, "bad-order", "expected `heals` after `dies`");
                self.problems.push(problem.hint("both are counted from when the sandbox began"));
            }
            Some(dies) => drop(media.outages.insert(url.to_owned(), MediaOutage { dies, heals })),
            None if get(entries, "heals").is_some() && get(entries, "dies").is_none() => {
                self.problems.push(Problem::of(node, "missing-key", "a `dies` is needed beside `heals`"));
            }
            None => {}
        }
    }

    fn faults(&mut self, node: &Node<'_>) -> FaultPlan {
        let rules = match &node.kind {
            Kind::List(rules) if rules.len() <= RULES_MAX => rules.as_slice(),
            Kind::List(rules) => {
                let message = format!("`faults` has {} rules; at most {RULES_MAX} are read", rules.len());
                self.problems.push(Problem::of(node, "too-many", message));
                &[]
            }
            _ => {
                let message = format!("`faults` must be a list of rules, not {}", node.describe());
                self.problems.push(Problem::of(node, "wrong-type", message));
                &[]
            }
        };
        FaultPlan::new(rules.iter().filter_map(|rule| self.rule(rule)).collect())
    }

    fn rule(&mut self, node: &Node<'_>) -> Option<FaultRule> {
        let entries = self.entries(node, "a rule");
        node.entries()?;
        let known = [&CHOICES[..], &EFFECTS, &COMPANIONS].concat();
        let strangers = entries.iter().filter(|entry| !known.contains(&entry.key.as_ref()));
        self.problems.extend(strangers.map(|entry| unknown(entry, &known)));
        let mut effects = entries.iter().filter(|entry| EFFECTS.contains(&entry.key.as_ref()));
        let Some(effect) = effects.next() else {
            let hint = format!("give it one of {}", EFFECTS.join(", "));
            self.problems.push(Problem::of(node, "no-effect", "this rule has no effect").hint(hint));
            return None;
        };
        for second in effects {
            let problem = Problem::at(second.key_span, "two-effects", format!("this rule has `{}` already", effect.key));
            self.problems.push(problem.hint("a rule has one effect: write another rule"));
        }
        self.companions(entries, effect.key.as_ref());
        let rule = self.note(read_effect(entries, effect)).map(FaultRule::new);
        let mut chosen = rule.clone().unwrap_or_else(|| FaultRule::error("InternalError"));
        for entry in entries.iter().filter(|entry| CHOICES.contains(&entry.key.as_ref())) {
            let read = choose(chosen.clone(), entries, entry).map_err(|problem| problem.in_field(&entry.key));
            chosen = self.note(read).unwrap_or(chosen);
        }
        rule.map(|_| chosen)
    }

    /// Reports each key that has no meaning beside the effect.
    fn companions(&mut self, entries: &[Entry<'_>], effect: &str) {
        for entry in entries {
            let wants = match entry.key.as_ref() {
                "done" if !["error", "status", "body", "hang"].contains(&effect) => "`error`, `status`, `body` or `hang`",
                "retry_after" if effect != "status" => "`status`",
                "seed" if get(entries, "probability").is_none() => "`probability`",
                "action" if DISTURBANCES.contains(&effect) => "an effect on requests",
                "event" if !DISTURBANCES.contains(&effect) => "`late`, `repeat`, `swap` or `drop`",
                "action" if effect == "vanish" && entry.value.text() != Some("start") => "an effect other than `vanish`",
                _ => continue,
            };
            self.problems.push(Problem::at(entry.key_span, "out-of-place", format!("`{}` only goes with {wants}", entry.key)));
        }
    }

    fn entries<'n, 'a>(&mut self, node: &'n Node<'a>, what: &str) -> &'n [Entry<'a>] {
        node.entries().unwrap_or_else(|| {
            let message = format!("{what} must be a mapping, not {}", node.describe());
            self.problems.push(Problem::of(node, "wrong-type", message));
            &[]
        })
    }

    fn note<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.problems.push(problem)).ok()
    }
}

fn read_effect(entries: &[Entry<'_>], effect: &Entry<'_>) -> Result<FaultEffect, Problem> {
    let value = &effect.value;
    let in_field = |problem: Problem| problem.in_field(&effect.key);
    let done = get(entries, "done").map_or(Ok(false), values::boolean).map_err(|problem| problem.in_field("done"))?;
    let replace = |with| FaultEffect::Replace { with, done };
    match effect.key.as_ref() {
        "error" => code(value).map(|code| replace(Replacement::Error(code))),
        "status" => {
            let whole_seconds = |node| values::whole_seconds(node, 1..=DELAY_MAX.as_secs());
            let retry_after = get(entries, "retry_after").map(whole_seconds).transpose();
            let retry_after = retry_after.map_err(|problem| problem.in_field("retry_after"))?;
            values::integer(value, 300..=599).map(|status| replace(Replacement::Status { status, retry_after }))
        }
        "body" => values::text(value, "a text").map(|text| replace(Replacement::Body(text.to_owned()))),
        "hang" => values::choice(value, &[("true", ())]).map(|()| replace(Replacement::Hang)),
        "cut" => {
            let done = values::choice(value, &[("before", false), ("after", true)]);
            done.map(|done| FaultEffect::Replace { with: Replacement::Cut, done })
        }
        "delay" => values::duration(value, SHORTEST..=DELAY_MAX).map(FaultEffect::Delay),
        "cold_delay" => values::duration(value, SHORTEST..=DELAY_MAX).map(FaultEffect::ColdDelay),
        "accept" => values::choice(value, &[("true", ())]).map(|()| FaultEffect::Accept),
        "late" => values::duration(value, SHORTEST..=DELAY_MAX).map(|late| FaultEffect::Disturb(Disturbance::Late(late))),
        "repeat" => values::integer(value, 1..=REPEATS_MAX).map(|more| FaultEffect::Disturb(Disturbance::Repeat(more))),
        "swap" => values::choice(value, &[("true", ())]).map(|()| FaultEffect::Disturb(Disturbance::Swap)),
        "drop" => values::choice(value, &[("true", ())]).map(|()| FaultEffect::Disturb(Disturbance::Drop)),
        _ => values::duration(value, SHORTEST..=LENGTH_MAX).map(FaultEffect::Vanish),
    }
    .map_err(in_field)
}

fn choose(rule: FaultRule, entries: &[Entry<'_>], entry: &Entry<'_>) -> Result<FaultRule, Problem> {
    let value = &entry.value;
    Ok(match entry.key.as_ref() {
        "action" => {
            let actions = Action::ALL.map(|action| (action.word(), action));
            rule.action(values::choice(value, &actions)?)
        }
        "event" => {
            let events = [
                ("started", TaskNews::Started),
                ("failed", TaskNews::StartFailed),
                ("again", TaskNews::StartAgain),
                ("stopped", TaskNews::Stopped),
            ];
            rule.event(values::choice(value, &events)?)
        }
        "room" => rule.room(values::text(value, "a room")?),
        "stream" => rule.stream(values::text(value, "a stream URL")?),
        "robot" => rule.robot(values::text(value, "a robot's user id")?),
        "after" => rule.after(values::integer(value, 0..=COUNT_MAX)?),
        "every" => rule.every(values::integer(value, 1..=COUNT_MAX)?),
        "times" => rule.times(values::integer(value, 1..=COUNT_MAX)?),
        _ => {
            let due = "a number from 0 to 1";
            let text = values::text(value, due)?;
            let probability = text.parse::<f64>().ok().filter(|probability| (0.0..=1.0).contains(probability));
            let wrong = || Problem::of(value, "bad-number", format!("expected {due}, found {}", quote(text)));
            let missing = || {
                let hint = "write `seed: 1`: the same seed gives the same row of draws, so that a rehearsal can be repeated";
                Problem::of(value, "missing-key", "a `seed` is needed").hint(hint)
            };
            let seed = get(entries, "seed").ok_or_else(missing)?;
            rule.probability(probability.ok_or_else(wrong)?, values::integer(seed, 0..=u64::MAX)?)
        }
    })
}

/// An error code as the vendor writes them: words of letters and digits, joined by dots.
fn code(node: &Node<'_>) -> Result<String, Problem> {
    let due = "a code such as `InternalError.InternalError`";
    let text = values::text(node, due)?;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if text.len() <= 128 && text.split('.').all(is_word) {
        Ok(text.to_owned())
    } else {
        Err(Problem::of(node, "bad-word", format!("expected {due}, found {}", quote(text))))
    }
}

fn unknown(entry: &Entry<'_>, known: &[&str]) -> Problem {
    let meant = if entry.key == "user" {
        Some("did you mean `robot`?".to_owned())
    } else {
        did_you_mean(&entry.key, known.iter().copied())
    };
    let hint = meant.unwrap_or_else(|| format!("the keys here are {}", known.join(", ")));
    Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", quote(&entry.key))).hint(hint)
}

fn get<'n, 'a>(entries: &'n [Entry<'a>], key: &str) -> Option<&'n Node<'a>> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

#[cfg(test)]
mod tests;
