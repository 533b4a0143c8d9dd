//! What is played and where, from YAML nodes: rooms, robots' templates, stream URLs, tempo, regions, names. Refuses to know the
//! other fields of a job: what only holds between two fields is judged elsewhere.

mod streams;

use serde_json::{Value, json};

use super::moments::each;
use super::problem::{Problem, did_you_mean, quote};
use super::value_kind::{mapping, text_like, whole};
use super::values::{choice, number_habit, one_of, scalar, text};
use crate::diagnostic::{Span, needs_escape};
use crate::trtc::room::{REGIONS_OF_ALL_ACTIONS, ROOM_BYTES_MAX, ROOM_INTEGER_MAX};
use crate::trtc::{Repeat, Room, Site, Tempo};
use crate::yaml::{Kind, Node};
pub(super) use streams::{stream, stream_schema};

/// Longest note, in characters: it is shown in one cell of a table.
const NOTE_CHARACTERS_MAX: usize = 500;

/// A room: digits are an integer room, other text a string room, a mapping says which.
pub(super) fn room(node: &Node<'_>) -> Result<Room, Vec<Problem>> {
    const EXPECTED: &str = "a room (a number or a text)";
    if let Kind::Map(_) = &node.kind {
        return room_of_map(node);
    }
    let (text, plain) = match &node.kind {
        Kind::Scalar { plain: true, .. } => (self::text(node, EXPECTED)?, true),
        _ => scalar(node, EXPECTED)?,
    };
    if text.len() > ROOM_BYTES_MAX {
        return string_room(node, text).map_err(Vec::from);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && !plain {
        let message =
            format!("the room {} is quoted: the integer room and the string room of these digits are two rooms", quote(text));
        let hint =
            format!("write `room: {text}` for the integer room, or `room: {{id: \"{text}\", type: string}}` for the string room");
        return Err(Problem::of(node, "ambiguous-room", message).hint(hint).into());
    }
    if plain && (digits || number_habit(text).is_some()) {
        return integer_room(node, text).map_err(Vec::from);
    }
    string_room(node, text).map_err(Vec::from)
}

/// A string room of what an operator can see: two rooms must not look like one.
fn string_room(node: &Node<'_>, text: &str) -> Result<Room, Problem> {
    if let Some(unseen) = text.chars().find(|character| needs_escape(*character)) {
        let message = format!("a room's name cannot hold a character that is not seen, here U+{:04X}", u32::from(unseen));
        let hint = if text.ends_with('\n') {
            "write it on the line of its key: `room: lobby`"
        } else {
            "remove it, or type the name anew"
        };
        return Err(Problem::of(node, "bad-room", message).hint(hint));
    }
    let shorten = (text.len() > ROOM_BYTES_MAX).then(|| "shorten it; a letter outside ASCII has 2 to 4 bytes".to_owned());
    Room::text(text).map_err(|why| Problem::of(node, "bad-room", why).maybe_hint(shorten))
}

/// What JSON Schema says of a room. It sees no quotes, so that a plain word and a text are one to it, and counts characters
/// where the API counts bytes.
pub(super) fn room_schema() -> Value {
    let integer = whole(1, u64::from(ROOM_INTEGER_MAX));
    let mut string = text_like(
        "^(?![0-9]+$)[^\\u0000-\\u001f\\u007f]+$",
        "a room of digits is written without quotes, or as `{id: \"42\", type: string}`",
        &[],
    );
    string["maxLength"] = ROOM_BYTES_MAX.into();
    let keys = [
        ("id", "The room's id.", json!({"type": ["string", "integer"]})),
        (
            "type",
            "Whether it is a string room or an integer room: the two are different rooms.",
            json!({"enum": TYPES.map(|(name, _)| name)}),
        ),
    ];
    let mut long = mapping(keys, &["id", "type"]);
    long["if"] = json!({"properties": {"type": {"const": "integer"}}});
    long["then"] = json!({"properties": {"id": {"anyOf": [integer, {"type": "string", "pattern": "^[0-9]+$"}]}}});
    long["else"] = json!({"properties": {"id": {"minLength": 1, "maxLength": ROOM_BYTES_MAX}}});
    json!({"anyOf": [integer, string, long]})
}

/// The types of rooms, and whether each is that of a string room.
const TYPES: [(&str, bool); 2] = [("string", true), ("integer", false)];

fn integer_room(node: &Node<'_>, text: &str) -> Result<Room, Problem> {
    match number_habit(text) {
        Some(habit) => {
            Err(Problem::of(node, "bad-number", format!("expected a room in plain decimal digits, found {}", quote(text)))
                .hint(format!("{habit}; for a string room of that name write `\"{text}\"`")))
        }
        None => Room::integer(text.parse().unwrap_or(u64::MAX))
            .map_err(|why| Problem::of(node, "out-of-range", format!("{why}, not {}", quote(text)))),
    }
}

/// `{id: "42", type: string}`.
fn room_of_map(node: &Node<'_>) -> Result<Room, Vec<Problem>> {
    const KEYS: [&str; 2] = ["id", "type"];
    let mut problems = Vec::new();
    let (mut id, mut string) = (None, None);
    for entry in node.entries().unwrap_or_default() {
        let read = match entry.key.as_ref() {
            "id" => scalar(&entry.value, "the room's id").map(|(text, _)| id = Some((text, &entry.value))),
            "type" => choice(&entry.value, &TYPES).map(|is_string| string = Some(is_string)),
            key => Err(Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", quote(key)))
                .hint(did_you_mean(key, KEYS).unwrap_or_else(|| "this form of a room is `{id: \"42\", type: string}`".to_owned()))),
        };
        problems.extend(read.err());
    }
    if problems.is_empty() && (id.is_none() || string.is_none()) {
        problems.push(
            Problem::of(node, "missing", "expected both `id` and `type` in this form of a room")
                .hint("write `{id: \"42\", type: string}`"),
        );
    }
    match (id, string) {
        (Some((text, node)), Some(true)) if problems.is_empty() => string_room(node, text).map_err(Vec::from),
        (Some((text, node)), Some(false)) if problems.is_empty() => {
            if text.len() <= ROOM_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_digit()) {
                integer_room(node, text).map_err(Vec::from)
            } else {
                Err(Problem::of(node, "bad-room", format!("expected a number as an integer room, found {}", quote(text))).into())
            }
        }
        _ => Err(problems),
    }
}

/// What may stand in a template between braces.
const PLACEHOLDERS: [&str; 3] = ["job", "room", "start"];

/// A robot's template, of which every placeholder is known and the text between them fits a `UserId`. How long it gets
/// depends on the job and is judged there.
pub(super) fn robot<'n>(node: &'n Node<'_>) -> Result<&'n str, Problem> {
    const ALPHABET: &str = "a robot is of `A-Z`, `a-z`, `0-9`, `_` and `-`, beside `{job}`, `{room}` and `{start}`";
    if let Kind::Map(_) = node.kind {
        let problem = Problem::of(node, "wrong-type", "expected a robot's name, found a mapping");
        return Err(problem.hint("put the template in quotes: `\"{job}\"`"));
    }
    let text = text(node, "a robot's name")?;
    let wrong = |message: String| Problem::of(node, "bad-robot", message);
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        literal(&rest[..open]).map_err(|bad| wrong(format!("{} cannot be part of a robot", quote(&bad))).hint(ALPHABET))?;
        let Some((name, after)) = rest[open..].strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Err(wrong("a brace has no partner".to_owned()).hint(ALPHABET));
        };
        if !PLACEHOLDERS.contains(&name) {
            let hint = did_you_mean(name, PLACEHOLDERS).unwrap_or_else(|| ALPHABET.to_owned());
            return Err(wrong(format!("unknown placeholder {}", quote(name))).hint(hint));
        }
        rest = after;
    }
    literal(rest).map_err(|bad| wrong(format!("{} cannot be part of a robot", quote(&bad))).hint(ALPHABET))?;
    if text.is_empty() { Err(wrong("a robot needs a name".to_owned())) } else { Ok(text) }
}

/// What JSON Schema says of a robot's template.
pub(super) fn robot_schema() -> Value {
    let pattern = format!("^([A-Za-z0-9_-]|\\{{({})\\}})+$", PLACEHOLDERS.join("|"));
    let form = "a robot is of `A-Z`, `a-z`, `0-9`, `_` and `-`, beside `{job}`, `{room}` and `{start}`";
    let mut schema = text_like(&pattern, form, &["{job}", "{room}-{job}"]);
    schema["type"] = json!(["string", "integer"]);
    schema
}

/// The first character that no `UserId` has.
fn literal(text: &str) -> Result<(), String> {
    let bad = text.chars().find(|character| !(character.is_ascii_alphanumeric() || matches!(character, '_' | '-')));
    bad.map_or(Ok(()), |bad| Err(bad.to_string()))
}

/// What JSON Schema says of `repeat`.
pub(super) fn repeat_schema() -> Value {
    json!({"anyOf": [{"const": "forever"}, whole(1, REPEATS_MAX)]})
}

/// Most plays, as the API has it.
const REPEATS_MAX: u64 = 1000;

/// `forever` or 1..=1000.
pub(super) fn repeat(node: &Node<'_>) -> Result<Repeat, Problem> {
    const EXPECTED: &str = "`forever` or a whole number from 1 to 1000";
    let (text, plain) = scalar(node, EXPECTED)?;
    if text == "forever" {
        return Ok(Repeat::Forever);
    }
    if plain && text.parse::<u64>().is_ok_and(|times| text == times.to_string()) {
        return match text.parse() {
            Ok(times) if (1..=REPEATS_MAX).contains(&u64::from(times)) => Ok(Repeat::Times(times)),
            _ => Err(Problem::of(node, "out-of-range", format!("expected {EXPECTED}, found {}", quote(text)))),
        };
    }
    let problem = Problem::of(node, "bad-word", format!("expected {EXPECTED}, found {}", quote(text)));
    Err(match text {
        "-1" | "always" | "endless" | "infinite" | "loop" => problem.hint("write `forever`"),
        _ => problem.maybe_hint(number_habit(text).map(str::to_owned).or_else(|| did_you_mean(text, ["forever"]))),
    })
}

/// What JSON Schema says of a tempo. To it `1.0` and `1` are one number, as they are here.
pub(super) fn tempo_schema() -> Value {
    let speeds: Vec<f64> = (0..=200).filter_map(Tempo::from_percent).map(|tempo| f64::from(tempo.percent()) / 100.0).collect();
    json!({"enum": speeds})
}

/// One of the seven speeds of the API, however many zeros it is written with.
pub(super) fn tempo(node: &Node<'_>) -> Result<Tempo, Problem> {
    const EXPECTED: &str = "0.5, 0.75, 1.0, 1.25, 1.5, 1.75 or 2.0";
    let (text, plain) = scalar(node, EXPECTED)?;
    let percent = || {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let part = if part.len() > 2 { part.trim_end_matches('0') } else { part };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain
            || !digits(whole)
            || !(digits(part) || part.is_empty())
            || part.len() > 2
            || whole.len() > 1
            || text.ends_with('.')
        {
            return None;
        }
        format!("{whole}{part:0<2}").parse().ok()
    };
    percent().and_then(Tempo::from_percent).ok_or_else(|| {
        let problem = Problem::of(node, "out-of-range", format!("expected {EXPECTED}, found {}", quote(text)));
        if plain { problem } else { problem.hint("write the number without quotes") }
    })
}

/// What JSON Schema says of a region: its shape; the ones without a warning are offered.
pub fn region_schema() -> Value {
    let mut schema = text_like("^[a-z0-9]+(-[a-z0-9]+)+$", "write a region such as `ap-singapore`", &REGIONS_OF_ALL_ACTIONS);
    schema["maxLength"] = REGION_BYTES_MAX.into();
    schema
}

/// Longest region, in bytes.
const REGION_BYTES_MAX: usize = 64;

/// A region's name, by its shape.
pub fn region<'n>(node: &'n Node<'_>) -> Result<&'n str, Problem> {
    let text = text(node, "a region such as `ap-singapore`")?;
    let parts: Vec<&str> = text.split('-').collect();
    let shaped = parts.len() >= 2
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    if shaped && text.len() <= REGION_BYTES_MAX {
        return Ok(text);
    }
    Err(Problem::of(node, "bad-region", format!("expected a region such as `ap-singapore`, found {}", quote(text))))
}

/// A warning about a region that the vendor does not list for all that we do. `site`: where requests go, if that is known.
pub fn unlisted_region(region: &str, site: Option<Site>, span: Span) -> Option<Problem> {
    let (listed, whose) =
        site.map_or((&REGIONS_OF_ALL_ACTIONS[..], String::new()), |site| (site.regions(), format!(" on its {} site", site.name())));
    if listed.contains(&region) {
        return None;
    }
    let message = format!("`region`: the vendor does not list {} for start, stop and describe alike{whose}", quote(region));
    Some(Problem::at(span, "region", message).hint(format!(
        "a task started there may be one that cannot be stopped; listed are {}",
        one_of(listed).replace(" or ", " and ")
    )))
}

/// What JSON Schema says of error codes.
pub(super) fn codes_schema() -> Value {
    let mut code = text_like("^[A-Za-z0-9]+(\\.[A-Za-z0-9]+)*$", "write a code such as `FailedOperation.NotAllowed`", &[]);
    code["maxLength"] = CODE_BYTES_MAX.into();
    code["not"] = json!({"const": TASK_EXIST});
    json!({"type": "array", "items": code})
}

/// The code that is no failure: it says whose the room or the robot is.
const TASK_EXIST: &str = "FailedOperation.TaskExist";

/// Longest error code, in bytes.
const CODE_BYTES_MAX: usize = 128;

/// Error codes of the API, for `retry.also`.
pub(super) fn codes(node: &Node<'_>) -> Result<Vec<String>, Vec<Problem>> {
    let Kind::List(nodes) = &node.kind else {
        return Err(Problem::of(node, "wrong-type", format!("expected a list of error codes, found {}", node.describe()))
            .hint("write `[FailedOperation.NotAllowed]`")
            .into());
    };
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    each(node, nodes, |node| {
        let text = text(node, "an error code")?;
        let shaped = text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if text == TASK_EXIST {
            let message = format!("expected a code of a failure, found {}, which says that a task runs already", quote(text));
            return Err(Problem::of(node, "bad-word", message).hint("leave it out: such a start is always tried again"));
        }
        if shaped && text.len() <= CODE_BYTES_MAX {
            Ok(text.to_owned())
        } else {
            Err(Problem::of(
                node,
                "bad-word",
                format!("expected an error code such as `FailedOperation.NotAllowed`, found {}", quote(text)),
            ))
        }
    })
}

/// What JSON Schema says of a note: any scalar is taken as its text.
pub(super) fn note_schema() -> Value {
    json!({"type": ["string", "number", "boolean"], "maxLength": NOTE_CHARACTERS_MAX})
}

/// A note.
pub(super) fn note<'n>(node: &'n Node<'_>) -> Result<&'n str, Problem> {
    let (text, _) = scalar(node, "a text")?;
    let length = text.chars().count();
    if length > NOTE_CHARACTERS_MAX {
        return Err(Problem::of(
            node,
            "out-of-range",
            format!("expected at most {NOTE_CHARACTERS_MAX} characters, found {length}"),
        ));
    }
    Ok(text)
}
