//! The JSON Schema of schedule files, for editors: made from the table that the reader goes by, and the rules between fields that
//! a schema can say. Refuses to know how a value is read.
//!
//! It is draft-07, which is what `yaml-language-server` reads best, and takes the types of YAML 1.2: `18:00` and `2027-01-16` are
//! texts, quoted or not. It is never stricter than the reader in what people write; what it cannot say (sums of units, dates of
//! the calendar, everything between jobs) is left to `check`.

use jiff::tz::TimeZoneDatabase;
use serde_json::{Value, json};

use super::fields::{FIELDS, Group};
use super::moments::dates_schema;
use super::shared::zone_names;
use super::value_kind::{mapping, one_of, one_or_many, text_like};

/// A key of a file.
pub(super) struct Top {
    /// Its name.
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    schema: fn() -> Value,
}

/// The keys of a file.
pub(super) static TOP_LEVEL: [Top; 4] = [
    Top { name: "timezone", doc: "The IANA name of the zone of all times in this file. A job may have its own.", schema: zone },
    Top { name: "calendars", doc: "Named dates and ranges of dates a..b, for except. All files share them.", schema: calendars },
    Top {
        name: "defaults",
        doc: "Fields for every job of this file that does not write them.",
        schema: || json!({"allOf": [{"$ref": "#/definitions/fields"}]}),
    },
    Top { name: "jobs", doc: "What plays where and when, by name. Names are unique over all files.", schema: jobs },
];

/// A key of a file that begins with this is passed over.
pub(super) const PASSED_OVER: &str = "x-";

/// A name of a job or a calendar, but for its first character.
const NAME_REST: &str = "[a-z0-9_-]{0,31}";

/// The name of another job. Digits alone are a number to a schema.
pub(super) fn job_name() -> Value {
    json!({"type": ["string", "integer"], "pattern": format!("^[a-z0-9]{NAME_REST}$")})
}

/// The schema of a schedule file, where `zones` are the zones that it may name.
///
/// Every zone is listed rather than a pattern given: an editor then completes `Asia/Sh` and underlines `Asia/Beijing`.
pub fn schema(zones: &TimeZoneDatabase) -> Value {
    let mut schema = mapping(TOP_LEVEL.iter().map(|top| (top.name, top.doc, (top.schema)())), &[]);
    // An empty file is a warning only.
    schema["type"] = json!(["object", "null"]);
    schema["patternProperties"] = json!({format!("^{PASSED_OVER}"): {}});
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "A schedule file of ingestd".into();
    schema["description"] = "What goes on air where, when, and until when.".into();
    schema["definitions"] = json!({
        "timezone": {"enum": zone_names(zones), "errorMessage": "write an IANA name that is known here, such as `Asia/Shanghai`"},
        "fields": fields(),
    });
    schema["allOf"] = json!(completed());
    schema
}

/// What a job and the defaults have in common.
fn fields() -> Value {
    let known = FIELDS.iter().filter_map(|field| Some((field.name, field.description(), field.reader.schema()?)));
    let mut schema = mapping(known, &[]);
    one_of(&mut schema, &of(Group::Trigger));
    one_of(&mut schema, &of(Group::End));
    for field in &FIELDS {
        if let Group::Modifier(carriers) = field.group {
            schema["dependencies"][field.name] = any_of(carriers);
        }
    }
    schema
}

/// The fields of a group that can be written.
fn of(group: Group) -> Vec<&'static str> {
    FIELDS.iter().filter(|field| field.group == group && field.reader.schema().is_some()).map(|field| field.name).collect()
}

/// What every job must have, unless its file's defaults have it.
fn completed() -> Vec<Value> {
    let (triggers, ends) = (of(Group::Trigger), of(Group::End));
    let forever = json!({"required": ["repeat"], "properties": {"repeat": {"const": "forever"}}});
    let mut rules = vec![
        unless(&default(&any_of(&["room"])), &any_of(&["room"])),
        unless(&default(&any_of(&["stream"])), &any_of(&["stream"])),
        unless(&default(&any_of(&triggers)), &any_of(&triggers)),
        unless(&json!({"anyOf": [{"required": ["timezone"]}, default(&any_of(&["timezone"]))]}), &any_of(&["timezone"])),
    ];
    // `repeat: forever` needs an end, wherever each of the two comes from.
    rules.push(unless(&default(&any_of(&ends)), &json!({"if": forever, "then": any_of(&ends)})));
    let endless_default = default(&json!({"allOf": [forever, {"not": any_of(&ends)}]}));
    rules.push(unless(&json!({"not": endless_default}), &any_of(&[&ends[..], &["repeat"]].concat())));
    rules
}

/// Unless the file is like `file`, each of its jobs is like `job`.
fn unless(file: &Value, job: &Value) -> Value {
    json!({"if": file, "else": {"properties": {"jobs": {"additionalProperties": job}}}})
}

/// The file has defaults like these.
fn default(like: &Value) -> Value {
    json!({"required": ["defaults"], "properties": {"defaults": like}})
}

/// At least one of these keys is written.
fn any_of(keys: &[&str]) -> Value {
    match keys {
        [key] => json!({"required": [key]}),
        keys => json!({"anyOf": keys.iter().map(|key| json!({"required": [key]})).collect::<Vec<_>>()}),
    }
}

/// A zone, wherever one is named.
pub(super) fn zone() -> Value {
    json!({"allOf": [{"$ref": "#/definitions/timezone"}]})
}

/// A cron expression, by the number of its fields.
pub(super) fn cron() -> Value {
    text_like(
        "^\\s*(@[A-Za-z]+|\\S+(\\s+\\S+){4,5})\\s*$",
        "a cron expression has 5 fields, or 6 with leading seconds",
        &["0 18 * * mon-fri", "*/30 * * * *"],
    )
}

/// `except`: dates, ranges, names of calendars, or a list of these.
pub(super) fn except() -> Value {
    one_or_many(&dates_schema(Some((&format!("[a-z]{NAME_REST}"), "a calendar's name"))))
}

fn calendars() -> Value {
    let dates = dates_schema(None);
    json!({
        "type": "object",
        "propertyNames": {"pattern": format!("^[a-z]{NAME_REST}$"), "patternErrorMessage": super::names::NAME_SYNTAX},
        "additionalProperties": {"anyOf": [dates, {"type": "array", "items": dates}]},
    })
}

fn jobs() -> Value {
    json!({
        "type": "object",
        "propertyNames": name_schema(),
        "additionalProperties": {"$ref": "#/definitions/fields"},
    })
}

/// What JSON Schema says of the name of a job or an application.
pub fn name_schema() -> Value {
    json!({
        "pattern": format!("^[a-z0-9]{NAME_REST}$"),
        "patternErrorMessage": "a name is up to 32 of `a-z`, `0-9`, `_` and `-`, and begins with a letter or a digit",
    })
}

#[cfg(test)]
mod tests {
    use super::super::combine::triggers;
    use super::super::raw::RawJob;
    use super::*;

    #[test]
    fn every_field_that_takes_a_value_is_in_the_schema_and_no_other() {
        let schema = schema(&TimeZoneDatabase::bundled());
        let names = |place: &Value| place["properties"].as_object().expect("properties").keys().cloned().collect::<Vec<_>>();
        let sorted = |mut names: Vec<&'static str>| {
            names.sort_unstable();
            names
        };
        let taken = FIELDS.iter().filter(|field| field.reader.schema().is_some()).map(|field| field.name);
        assert_eq!(names(&schema["definitions"]["fields"]), sorted(taken.collect()));
        assert_eq!(names(&schema), sorted(TOP_LEVEL.iter().map(|top| top.name).collect()));
        assert!(FIELDS.iter().all(|field| field.doc.ends_with('.')), "every field says what it is");
    }

    #[test]
    fn the_triggers_of_the_table_are_those_that_are_judged() {
        let mut raw = RawJob::default();
        let trigger = &mut raw.trigger;
        trigger.at.written = true;
        trigger.once.written = true;
        trigger.cron.written = true;
        trigger.every.written = true;
        trigger.after.written = true;
        let judged: Vec<&str> = triggers(&raw).into_iter().map(|(name, _)| name).collect();
        let known: Vec<&str> = FIELDS.iter().filter(|field| field.group == Group::Trigger).map(|field| field.name).collect();
        assert_eq!(judged, known);
        for field in &FIELDS {
            if let Group::Modifier(carriers) = field.group {
                assert!(carriers.iter().all(|carrier| known.contains(carrier)), "{}", field.name);
            }
        }
    }
}
