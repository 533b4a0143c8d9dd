//! The verb `schema`, by the program itself: JSON that says something of every key. What its patterns take is compared with `check`
//! by an independent validator, outside.

use std::process::Command;

use serde_json::Value;

fn printed(of: &str) -> Value {
    let ran = Command::new(env!("CARGO_BIN_EXE_ingestd")).args(["schema", of]).output().expect("the program starts");
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).expect("valid JSON")
}

/// Every key below `schema` with its description.
fn described<'s>(schema: &'s Value, found: &mut Vec<(&'s str, &'s str)>) {
    if let Some(object) = schema.as_object() {
        let of_mapping = object.get("additionalProperties") == Some(&Value::Bool(false));
        if let Some(properties) = object.get("properties").and_then(Value::as_object).filter(|_| of_mapping) {
            found.extend(properties.iter().map(|(name, key)| (name.as_str(), key["description"].as_str().unwrap_or_default())));
        }
        for value in object.values() {
            described(value, found);
        }
    }
    if let Some(list) = schema.as_array() {
        for value in list {
            described(value, found);
        }
    }
}

#[test]
fn both_schemas_say_what_every_key_is() {
    for (of, keys) in [
        ("schedule", &["timezone", "jobs", "at", "every", "between", "room", "id", "retry", "attempts", "preflight", "note"][..]),
        ("config", &["account", "secret_id", "env", "credential", "apps", "sdk_app_id", "callbacks", "alerts", "rate"][..]),
    ] {
        let schema = printed(of);
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        let mut found = Vec::new();
        described(&schema, &mut found);
        for key in keys {
            assert!(found.iter().any(|(name, _)| name == key), "{of}: no `{key}` in {found:?}");
        }
        let silent: Vec<_> = found.iter().filter(|(_, about)| about.trim().is_empty()).collect();
        assert!(silent.is_empty(), "{of}: without a description: {silent:?}");
    }
    println!("left out: the comparison with `check` by an independent validator; `tests/oracles/schema.py` runs it");
}

#[test]
fn a_schema_of_something_else_is_a_mistake_of_usage() {
    let ran = Command::new(env!("CARGO_BIN_EXE_ingestd")).args(["schema", "ledger"]).output().expect("the program starts");
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.stdout.is_empty());
}
