//! The fault plan as an operator writes it. Knows YAML nodes and our words; refuses to know requests, sockets and where the text
//! came from.
//!
//! ```yaml
//! media:                                # how long a medium plays once; 10m for all others, rtmp without end
//!   https://cdn.example.com/promo.mp4: 1m30s
//! faults:                               # tried in order
//!   - { action: start, room: lobby, times: 2, error: ResourceInsufficient.RequestRejection }
//!   - { action: start, after: 5, times: 1, cut: after }
//!   - { action: describe, every: 10, delay: 2s }
//!   - { probability: 0.05, seed: 7, status: 502 }
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `action` | `start`, `stop` or `describe`; without it all three, and requests for other actions |
//! | `room`, `robot` | of the request; for stops and describes those of the task |
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
//! | `body: "..."` | HTTP 200 with this text, which is no envelope |
//! | `hang: true` | no answer, the connection stays open (10 minutes at most) |
//! | `cut: before`, `cut: after` | the connection is closed without a byte: before or after the action took effect |
//! | `delay: 2s` | the answer leaves later; the action takes effect at once |
//! | `cold_delay: 150ms` | the request arrives later, if it is the first on its connection |
//! | `vanish: 20s` | the task that a start makes ends by itself after that time |
//!
//! `done: true` beside `error`, `status`, `body` or `hang` says that the action takes effect all the same: what a start in
//! doubt is made of. Which rules meet a request, and in what order, is told at [`FaultPlan`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, LineIndex, Span};
use crate::trtc::Action;
use crate::yaml::{self, Entry, Kind, Node};

use super::MediaLengths;
use super::faults::{Effect, FaultPlan, Instead, Rule};

/// Rules a file may hold: each is tried for each request.
const RULES_MAX: usize = 1000;
/// The longest delay; a hang is what waits longer.
const DELAY_MAX: Duration = Duration::from_mins(10);
/// The longest medium, and the latest vanishing: beyond the seven days that a task may run.
const LENGTH_MAX: Duration = Duration::from_hours(24 * 30);
/// The most requests that a rule counts to.
const COUNT_MAX: u64 = 1_000_000_000;

/// The keys that choose requests.
const CHOICE_KEYS: [&str; 7] = ["action", "room", "robot", "after", "every", "times", "probability"];
/// The keys that are an effect: exactly one in a rule.
const EFFECT_KEYS: [&str; 8] = ["error", "status", "body", "hang", "cut", "delay", "cold_delay", "vanish"];
/// The keys that belong to another one.
const COMPANION_KEYS: [&str; 3] = ["seed", "done", "retry_after"];

/// What a file of faults holds.
#[derive(Clone, Debug, Default)]
pub struct FaultFile {
    /// `faults`
    pub faults: FaultPlan,
    /// `media`, beside the defaults.
    pub media: MediaLengths,
}

/// Reads a file of faults, called `file` in every problem; or answers every problem it has.
pub fn read(file: &Arc<str>, text: &str) -> Result<FaultFile, Vec<Diagnostic>> {
    let index = LineIndex::new(text);
    let document = yaml::parse(file, text, &index);
    let mut reader = Reader { file, index: &index, problems: document.problems };
    let read = document.root.as_ref().map(|root| reader.file(root)).unwrap_or_default();
    if reader.problems.is_empty() { Ok(read) } else { Err(reader.problems) }
}

/// What is wrong so far. Every reading function records its problem and answers nothing.
struct Reader<'f> {
    file: &'f Arc<str>,
    index: &'f LineIndex<'f>,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn file(&mut self, root: &Node<'_>) -> FaultFile {
        let mut read = FaultFile::default();
        if root.is_null() {
            return read;
        }
        for entry in self.entries(root, "the file") {
            match entry.key.as_ref() {
                "media" => read.media.by_url = self.media(&entry.value),
                "faults" => read.faults = self.faults(&entry.value),
                _ => self.unknown(entry, "the file holds `media` and `faults`"),
            }
        }
        read
    }

    fn media(&mut self, node: &Node<'_>) -> BTreeMap<String, Duration> {
        let mut lengths = BTreeMap::new();
        for entry in self.entries(node, "`media`") {
            if let Some(length) = self.duration(&entry.value, "a length", LENGTH_MAX) {
                lengths.insert(entry.key.to_string(), length);
            }
        }
        lengths
    }

    fn faults(&mut self, node: &Node<'_>) -> FaultPlan {
        let Kind::List(rules) = &node.kind else {
            self.error(node.span, "wrong-type", format!("`faults` must be a list of rules, not {}", node.describe()));
            return FaultPlan::default();
        };
        if rules.len() > RULES_MAX {
            self.error(node.span, "too-many", format!("{} rules; at most {RULES_MAX} are read", rules.len()));
            return FaultPlan::default();
        }
        FaultPlan::new(rules.iter().filter_map(|rule| self.rule(rule)).collect())
    }

    fn rule(&mut self, node: &Node<'_>) -> Option<Rule> {
        let entries = self.entries(node, "a rule");
        for entry in entries {
            let key = entry.key.as_ref();
            if key == "user" {
                self.unknown(entry, "a robot's user id is matched by `robot`");
            } else if ![&CHOICE_KEYS[..], &EFFECT_KEYS, &COMPANION_KEYS].concat().contains(&key) {
                let hint = format!("a rule chooses with {}, and does one of {}", CHOICE_KEYS.join(", "), EFFECT_KEYS.join(", "));
                self.unknown(entry, &hint);
            }
        }
        let mut effects = entries.iter().filter(|entry| EFFECT_KEYS.contains(&entry.key.as_ref()));
        let Some(effect) = effects.next() else {
            node.entries()?;
            self.error(node.span, "no-effect", "this rule does nothing");
            return self.hint(&format!("give it one of {}", EFFECT_KEYS.join(", ")));
        };
        for second in effects {
            self.error(second.key_span, "two-effects", format!("this rule has `{}` already", effect.key));
            self.hint::<()>("a rule has one effect: write another rule");
        }
        self.companions(entries, effect.key.as_ref());
        let rule = Rule::new(self.effect(entries, effect)?);
        Some(self.choices(entries, rule))
    }

    /// Refuses what has no meaning beside the effect.
    fn companions(&mut self, entries: &[Entry<'_>], effect: &str) {
        for entry in entries {
            let wants = match entry.key.as_ref() {
                "done" if !["error", "status", "body", "hang"].contains(&effect) => "`error`, `status`, `body` or `hang`",
                "retry_after" if effect != "status" => "`status`",
                "seed" if get(entries, "probability").is_none() => "`probability`",
                "action" if effect == "vanish" && entry.value.text() != Some("start") => "an effect other than `vanish`",
                _ => continue,
            };
            self.error(entry.key_span, "out-of-place", format!("`{}` only goes with {wants}", entry.key));
        }
    }

    fn effect(&mut self, entries: &[Entry<'_>], effect: &Entry<'_>) -> Option<Effect> {
        let value = &effect.value;
        let done = match get(entries, "done") {
            None => false,
            Some(node) => self.flag(node, "done")?,
        };
        let replace = |with| Some(Effect::Replace { with, done });
        match effect.key.as_ref() {
            "error" => replace(Instead::Error(self.code(value)?)),
            "status" => {
                let status = self.number(value, "status", 300, 599)?;
                let retry_after = get(entries, "retry_after");
                let retry_after = retry_after.map(|node| self.seconds(node)).transpose().ok()?;
                replace(Instead::Status { status: u16::try_from(status).ok()?, retry_after })
            }
            "body" => replace(Instead::Body(self.text(value, "body")?)),
            "hang" => match self.flag(value, "hang")? {
                true => replace(Instead::Hang),
                false => self.fail(value.span, "bad-value", "`hang` can only be `true`"),
            },
            "cut" => match value.text() {
                Some("before") => Some(Effect::Replace { with: Instead::Cut, done: false }),
                Some("after") => Some(Effect::Replace { with: Instead::Cut, done: true }),
                _ => self.fail(value.span, "bad-value", "`cut` must be `before` or `after`: before or after the effect"),
            },
            "delay" => self.duration(value, "`delay`", DELAY_MAX).map(Effect::Delay),
            "cold_delay" => self.duration(value, "`cold_delay`", DELAY_MAX).map(Effect::ColdDelay),
            _ => self.duration(value, "`vanish`", LENGTH_MAX).map(Effect::Vanish),
        }
    }

    fn choices(&mut self, entries: &[Entry<'_>], mut rule: Rule) -> Rule {
        for entry in entries {
            let value = &entry.value;
            let chosen = match entry.key.as_ref() {
                "action" => self.action(value).map(|action| rule.clone().action(action)),
                "room" => self.text(value, "room").map(|room| rule.clone().room(&room)),
                "robot" => self.text(value, "robot").map(|robot| rule.clone().robot(&robot)),
                "after" => self.number(value, "after", 0, COUNT_MAX).map(|count| rule.clone().after(count)),
                "every" => self.number(value, "every", 1, COUNT_MAX).map(|count| rule.clone().every(count)),
                "times" => self.number(value, "times", 1, COUNT_MAX).map(|count| rule.clone().times(count)),
                "probability" => self.probability(value, entries).map(|(chance, seed)| rule.clone().probability(chance, seed)),
                _ => None,
            };
            rule = chosen.unwrap_or(rule);
        }
        rule
    }

    fn action(&mut self, node: &Node<'_>) -> Option<Action> {
        match node.text() {
            Some("start") => Some(Action::Start),
            Some("stop") => Some(Action::Stop),
            Some("describe") => Some(Action::Describe),
            _ => self.fail(node.span, "bad-value", "`action` must be `start`, `stop` or `describe`"),
        }
    }

    fn probability(&mut self, node: &Node<'_>, entries: &[Entry<'_>]) -> Option<(f64, u64)> {
        let chance = node.text().and_then(|text| text.parse::<f64>().ok()).filter(|chance| (0.0..=1.0).contains(chance));
        let Some(chance) = chance else {
            return self.fail(node.span, "bad-value", "`probability` must be a number from 0 to 1");
        };
        let Some(seed) = get(entries, "seed") else {
            self.error(node.span, "missing-key", "`probability` needs a `seed`");
            return self.hint("write `seed: 1`: the same seed gives the same row of draws, so that a rehearsal can be repeated");
        };
        Some((chance, self.number(seed, "seed", 0, u64::MAX)?))
    }

    /// An error code as the vendor writes them: words of letters and digits, joined by dots.
    fn code(&mut self, node: &Node<'_>) -> Option<String> {
        let text = self.text(node, "error")?;
        let good = text.len() <= 128
            && text.split('.').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if good {
            Some(text)
        } else {
            self.fail(node.span, "bad-value", "`error` must be a code, such as `InternalError.InternalError`")
        }
    }

    /// A `Retry-After`: whole seconds, because the header has no others.
    fn seconds(&mut self, node: &Node<'_>) -> Result<Duration, ()> {
        let delay = self.duration(node, "`retry_after`", DELAY_MAX).ok_or(())?;
        if delay.subsec_nanos() == 0 {
            return Ok(delay);
        }
        self.error(node.span, "bad-value", "`retry_after` must be whole seconds");
        Err(())
    }

    fn duration(&mut self, node: &Node<'_>, what: &str, most: Duration) -> Option<Duration> {
        let read = node.text().and_then(duration).filter(|read| !read.is_zero() && *read <= most);
        if read.is_none() {
            self.error(node.span, "bad-value", format!("{what} must be a duration above 0 and at most {} s", most.as_secs()));
            return self.hint("durations are written `200ms`, `90s`, `1m30s`, `2h`, `1d`");
        }
        read
    }

    fn number(&mut self, node: &Node<'_>, key: &str, least: u64, most: u64) -> Option<u64> {
        let number = match &node.kind {
            Kind::Scalar { text, plain: true } if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => self.fail(node.span, "bad-value", format!("`{key}` must be a whole number from {least} to {most}")),
        }
    }

    fn flag(&mut self, node: &Node<'_>, key: &str) -> Option<bool> {
        match &node.kind {
            Kind::Scalar { text, plain: true } if text == "true" => Some(true),
            Kind::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => self.fail(node.span, "bad-value", format!("`{key}` must be `true` or `false`")),
        }
    }

    fn text(&mut self, node: &Node<'_>, key: &str) -> Option<String> {
        match node.text() {
            Some(text) if !node.is_null() => Some(text.to_owned()),
            _ => self.fail(node.span, "wrong-type", format!("`{key}` must be a text, not {}", node.describe())),
        }
    }

    fn entries<'n, 'a>(&mut self, node: &'n Node<'a>, what: &str) -> &'n [Entry<'a>] {
        node.entries().unwrap_or_else(|| {
            self.error(node.span, "wrong-type", format!("{what} must be a mapping, not {}", node.describe()));
            &[]
        })
    }

    fn unknown(&mut self, entry: &Entry<'_>, hint: &str) {
        self.error(entry.key_span, "unknown-key", format!("unknown key `{}`", entry.key));
        self.hint::<()>(hint);
    }

    fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        self.problems.push(Diagnostic::error(code, message).at(self.index.place(self.file, span)));
    }

    fn fail<T>(&mut self, span: Span, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.error(span, code, message);
        None
    }

    /// Says how to mend the last problem.
    fn hint<T>(&mut self, hint: &str) -> Option<T> {
        if let Some(problem) = self.problems.last_mut() {
            problem.hint = Some(hint.to_owned());
        }
        None
    }
}

fn get<'n, 'a>(entries: &'n [Entry<'a>], key: &str) -> Option<&'n Node<'a>> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

/// `1m30s`: whole numbers with units, the larger first, each unit once.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut smaller = &UNITS[..];
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|character: char| character.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let at = smaller.iter().position(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(smaller[at].1)?)?;
        smaller = &smaller[at + 1..];
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests;
