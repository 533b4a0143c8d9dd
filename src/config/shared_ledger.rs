//! `ledger` of the settings: a ledger that several hosts share. Knows where the URL is kept, and never reads it; what it may ask for is
//! not known here.

use std::sync::Arc;

use serde_json::{Value, json};

use super::keys::{self, Key, key, needed, secret};
use super::settings_reader::SettingsReader;
use crate::lease::LeaseLength;
use crate::schedule::value_kind::text_like;
use crate::schedule::values;
use crate::secret::SecretSource;
use crate::yaml::Node;

/// The station's name when nothing is said.
const STATION_DEFAULT: &str = "main";

/// The longest name of a station: the schema of its tables has it behind `ingestd_`.
const STATION_MAX: usize = 32;

/// A ledger on PostgreSQL, which several hosts share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLedger {
    /// Where the connection URL is kept.
    pub postgres: SecretSource,
    /// Where the URL is kept by which its tables are changed; `None`: by the same.
    pub migrate: Option<SecretSource>,
    /// One account with its schedule: who shares it waits for the others.
    pub station: Arc<str>,
    /// How long its owner may be silent before another follows.
    pub lease: LeaseLength,
}

/// `ledger`.
pub(super) static LEDGER: [Key; 4] = [
    needed("postgres", "Where the connection URL of the database is kept.", "{credential: ingestd-postgres}", secret),
    key(
        "migrate",
        "Where a URL is kept that does not lead through PgBouncer: the tables are changed by it.",
        "the one of postgres",
        "{credential: ingestd-migrate}",
        secret,
    ),
    key(
        "station",
        "The name that the hosts of one schedule share: up to 32 of a-z, 0-9, _ and -.",
        STATION_DEFAULT,
        "main",
        || text_like("^[a-z0-9_-]{1,32}$", "write up to 32 of a-z, 0-9, _ and -", &["main"]),
    ),
    key(
        "lease",
        "How long the owner may be silent before another host takes over, 5s to 5m; longer than the database's own fail-over.",
        "15s",
        "15s",
        || values::whole_seconds_schema(LeaseLength::MIN.get().as_secs()),
    ),
];

/// What an editor takes for `ledger`.
pub(super) fn schema() -> Value {
    json!({"anyOf": [{"const": "none"}, keys::keys(&LEDGER)]})
}

/// Reads `ledger`, which is not `none`.
pub(super) fn ledger(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<SharedLedger> {
    let fields = reader.fields(node, "`ledger`", &LEDGER)?;
    if cfg!(not(feature = "postgres")) {
        reader
            .error(node.span, "no-postgres", "`ledger`: this ingestd was built without PostgreSQL")
            .hint("take `ledger` out, or build it with the feature `postgres`");
        return None;
    }
    let postgres = reader.secret(&fields, "postgres");
    let migrate = reader.secret(&fields, "migrate");
    let is_wrong = migrate.is_none() && fields.get("migrate").is_some();
    let station = match fields.get("station") {
        Some(node) => station(reader, node),
        None => Some(Arc::from(STATION_DEFAULT)),
    };
    let lease = match fields.get("lease") {
        Some(node) => {
            let [least, most] = [LeaseLength::MIN, LeaseLength::MAX].map(|length| length.get().as_secs());
            reader.take(node, "lease", values::whole_seconds(node, least..=most)).and_then(LeaseLength::new)
        }
        None => Some(LeaseLength::DEFAULT),
    };
    let shared = SharedLedger { postgres: postgres?, migrate, station: station?, lease: lease? };
    if is_wrong { None } else { Some(shared) }
}

fn station(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<Arc<str>> {
    let name = reader.text(node, "station", "the name of a station")?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if name.len() <= STATION_MAX && name.bytes().all(fits) {
        return Some(Arc::from(name));
    }
    reader
        .error(node.span, "bad-station", format!("`station`: expected up to {STATION_MAX} of a-z, 0-9, _ and -"))
        .hint("for example `station: main`; the hosts that share a schedule write the same name");
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Reading, read};
    use crate::schedule::Source;
    use std::path::Path;
    use std::time::Duration;

    fn reading(ledger: &str) -> Reading {
        let text = format!(
            "account: {{region: ap-singapore}}\napps: {{main: {{sdk_app_id: 1, secret_key: {{env: KEY}}}}}}\nledger: {ledger}\n"
        );
        read(&Source { name: "ingestd.yaml".into(), text }, Path::new("/etc/ingestd"))
    }

    #[test]
    fn without_it_and_with_none_the_ledger_is_a_file() {
        assert_eq!(reading("none").settings.map(|settings| settings.ledger), Some(None));
    }

    #[test]
    fn a_shared_ledger_has_a_url_a_station_and_a_lease() {
        let read = |text: &str| reading(text).settings.and_then(|settings| settings.ledger).expect(text);
        let shared = read("{postgres: {env: DB}}");
        assert_eq!((shared.station.as_ref(), shared.lease, shared.migrate), ("main", LeaseLength::DEFAULT, None));
        let shared = read("{postgres: {file: db}, migrate: {credential: m}, station: east_2, lease: 1m}");
        assert_eq!(
            (shared.station.as_ref(), shared.lease),
            ("east_2", LeaseLength::new(Duration::from_mins(1)).expect("within the bounds"))
        );
        assert_eq!(shared.postgres, SecretSource::File("/etc/ingestd/db".into()));
        assert_eq!(shared.migrate, SecretSource::credential("m"));
    }

    #[test]
    fn what_is_wrong_with_it_is_said_and_a_password_is_not() {
        for (text, code) in [
            ("{}", "missing-key"),
            ("{postgres: \"postgres://on:s3cret@db/x\"}", "plain-text-secret"),
            ("{postgres: {env: DB}, migrate: \"postgres://on:s3cret@db/x\"}", "plain-text-secret"),
            ("{postgres: {env: DB}, station: Main}", "bad-station"),
            ("{postgres: {env: DB}, lease: 4s}", "out-of-range"),
            ("{postgres: {env: DB}, lease: 6m}", "out-of-range"),
            ("{postgres: {env: DB}, leese: 15s}", "unknown-key"),
            ("true", "wrong-type"),
        ] {
            let Reading { settings, diagnostics, drawable, .. } = reading(text);
            assert!(settings.is_none(), "{text}");
            let codes: Vec<&str> = diagnostics.iter().map(|problem| problem.code).collect();
            assert_eq!(codes, [code], "{text}: {diagnostics:?}");
            assert!(!format!("{diagnostics:?}{drawable}").contains("s3cret"), "{text}");
        }
    }
}
