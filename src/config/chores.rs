//! `chores:` of the settings: what the daemon does for its ledger now and then, and when. Does not do it.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::keys::{self, Key, key, needed, path};
use super::settings_reader::{Fields, SettingsReader};
use crate::calendar::{CronPattern, Trigger, When};
use crate::ledger::{KEPT_ALWAYS, Retention};
use crate::schedule::value_kind::{text_like, whole};
use crate::schedule::values;
use crate::yaml::Node;

/// So many copies are kept when nothing is said.
pub(crate) const KEEP_DEFAULT: u32 = 7;

/// The most copies that can be asked for.
const KEEP_MAX: u32 = 10_000;

/// When a chore is done: a cron expression of five fields, in UTC.
#[derive(Clone, Debug)]
pub struct ChoreTime {
    fields: String,
    when: Arc<When>,
}

impl ChoreTime {
    /// Reads the five fields.
    ///
    /// Errors: they are not five, or not what both cron readers here take for the same times; the message says what to write.
    pub fn parse(text: &str) -> Result<ChoreTime, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [_, _, day, _, weekday] = fields[..] else {
            return Err(format!("expected five fields such as `30 4 * * *`, in UTC, found {}", fields.len()));
        };
        let pattern = CronPattern::parse(text)?;
        let is_plain = |field: &&str| field.bytes().all(|byte| byte.is_ascii_digit() || b"*,-/".contains(&byte)) || is_names(field);
        if !fields.iter().all(is_plain) {
            return Err("a chore's time has numbers, names of months and weekdays, `*`, `,`, `-` and `/` only".to_owned());
        }
        if !day.starts_with('*') && !weekday.starts_with('*') {
            return Err("expected `*` as day of the month or as weekday, found both restricted".to_owned());
        }
        let trigger = Trigger::Cron(Arc::new(pattern));
        let when = When { trigger, zone: TimeZone::UTC, from: None, until: None, except: Arc::default() };
        Ok(ChoreTime { fields: fields.join(" "), when: Arc::new(when) })
    }

    /// The expression with a field for the seconds before it, as the scheduler of the chores wants it.
    pub fn with_seconds(&self) -> String {
        format!("0 {}", self.fields)
    }

    /// The last time at or before an instant.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let after = now.checked_add(SignedDuration::from_millis(1)).unwrap_or(now);
        self.when.latest_before(after).map(|start| start.at)
    }

    /// The next time after an instant.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.when.next_after(now).map(|start| start.at)
    }
}

/// Whether a field is made of names.
fn is_names(field: &str) -> bool {
    let names = "jan feb mar apr may jun jul aug sep oct nov dec sun mon tue wed thu fri sat";
    field.to_ascii_lowercase().split([',', '-']).all(|name| name.len() == 3 && names.split(' ').any(|known| known == name))
}

/// What is done for the ledger, and when. Nothing, if nothing is written.
#[derive(Clone, Debug, Default)]
pub struct Chores {
    /// Old rows are deleted.
    pub prune: Option<(Retention, ChoreTime)>,
    /// The ledger is looked through.
    pub integrity: Option<ChoreTime>,
    /// The ledger is copied.
    pub backup: Option<(BackupPlace, ChoreTime)>,
}

/// Where copies go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupPlace {
    /// The folder.
    pub to: PathBuf,
    /// How many are kept.
    pub keep: u32,
}

/// `chores`.
pub(super) static CHORES: [Key; 3] = [
    key(
        "prune",
        "Deletes old rows of the ledger, never what is open or owed.",
        "nothing is deleted",
        "{keep: 400d, most: 1000000, cron: \"30 4 * * *\"}",
        || keys::keys(&PRUNE),
    ),
    key("integrity", "Looks through the whole ledger.", "never", "{cron: \"0 5 * * 0\"}", || keys::keys(&INTEGRITY)),
    key("backup", "Copies the ledger.", "never", "{to: /var/lib/ingestd/backups, keep: 7, cron: \"0 4 * * *\"}", || {
        keys::keys(&BACKUP)
    }),
];

/// `chores.prune`.
pub(super) static PRUNE: [Key; 3] = [
    key("keep", "For how long rows are kept, at least 2d.", "whatever their age", "400d", || {
        values::whole_seconds_schema(KEPT_ALWAYS.as_secs().unsigned_abs())
    }),
    key("most", "How many occurrences are kept, at least 1000.", "whatever their number", "1000000", || {
        whole(1_000, u64::MAX >> 1)
    }),
    needed("cron", "When: five fields of cron, in UTC.", "30 4 * * *", time),
];

/// `chores.integrity`.
pub(super) static INTEGRITY: [Key; 1] = [needed("cron", "When: five fields of cron, in UTC.", "0 5 * * 0", time)];

/// `chores.backup`.
pub(super) static BACKUP: [Key; 3] = [
    needed(
        "to",
        "The folder of the copies, relative to this file; the daemon must be able to write there.",
        "/var/lib/ingestd/backups",
        path,
    ),
    key("keep", "How many copies are kept, the newest.", "7", "7", || whole(1, u64::from(KEEP_MAX))),
    needed("cron", "When: five fields of cron, in UTC.", "0 4 * * *", time),
];

fn time() -> Value {
    let form = "write five fields of cron such as `30 4 * * *`, in UTC";
    text_like("^\\s*\\S+(\\s+\\S+){4}\\s*$", form, &["30 4 * * *", "0 5 * * 0"])
}

/// Reads the chores.
pub(super) fn chores(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<Chores> {
    let fields = reader.fields(node, "`chores`", &CHORES)?;
    let prune = match fields.get("prune") {
        Some(node) => prune(reader, node).map(Some),
        None => Some(None),
    };
    let integrity = match fields.get("integrity") {
        Some(node) => reader.fields(node, "`integrity`", &INTEGRITY).and_then(|fields| cron(reader, &fields)).map(Some),
        None => Some(None),
    };
    let backup = match fields.get("backup") {
        Some(node) => backup(reader, node).map(Some),
        None => Some(None),
    };
    Some(Chores { prune: prune?, integrity: integrity?, backup: backup? })
}

fn prune(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<(Retention, ChoreTime)> {
    let fields = reader.fields(node, "`prune`", &PRUNE)?;
    let (keep, most) = (fields.get("keep"), fields.get("most"));
    if keep.is_none() && most.is_none() {
        reader
            .error(node.span, "missing-key", "`prune`: expected `keep`, `most` or both, found neither: nothing would be deleted")
            .hint("write for how long rows are kept, such as `keep: 400d`");
        return None;
    }
    let keep = match keep {
        Some(node) => {
            let range = KEPT_ALWAYS.as_secs().unsigned_abs()..=u64::MAX;
            let keep = reader.take(node, "keep", values::whole_seconds(node, range));
            keep.map(|keep| Some(SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX)))
        }
        None => Some(None),
    };
    let most = match most {
        Some(node) => reader.integer(node, "most", 1_000..=u64::MAX >> 1).map(Some),
        None => Some(None),
    };
    let time = cron(reader, &fields);
    Some((Retention { keep: keep?, most: most? }, time?))
}

fn backup(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<(BackupPlace, ChoreTime)> {
    let fields = reader.fields(node, "`backup`", &BACKUP)?;
    let to = fields.get("to").and_then(|node| reader.path(node, "to"));
    let keep = match fields.get("keep") {
        Some(node) => reader.integer(node, "keep", 1..=u64::from(KEEP_MAX)),
        None => Some(KEEP_DEFAULT),
    };
    let time = cron(reader, &fields);
    Some((BackupPlace { to: to?, keep: keep? }, time?))
}

fn cron(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>) -> Option<ChoreTime> {
    let node = fields.get("cron")?;
    let text = reader.text(node, "cron", "five fields of cron")?;
    match ChoreTime::parse(text) {
        Ok(time) if time.next(Timestamp::UNIX_EPOCH).is_some() => Some(time),
        Ok(_) => {
            reader.error(node.span, "bad-cron", "`cron`: it never comes: no month has such a day");
            None
        }
        Err(why) => {
            reader.error(node.span, "bad-cron", format!("`cron`: {why}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_a_chore_is_five_plain_fields_in_utc() {
        for (text, error) in [
            ("30 4 * * *", None),
            ("0 5 * * 0", None),
            ("*/15 0-6,22 1 jan-mar *", None),
            ("0 4 * * MON-fri", None),
            ("0 0 4 * * *", Some("expected five fields")),
            ("@daily", Some("expected five fields")),
            ("61 4 * * *", Some("minute")),
            ("0 4 L * *", Some("numbers, names")),
            ("0 4 * * 5#2", Some("numbers, names")),
            ("0 4 1 * mon", Some("both restricted")),
        ] {
            match (ChoreTime::parse(text), error) {
                (Ok(_), None) => {}
                (Err(why), Some(part)) => assert!(why.contains(part), "{text}: {why}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
    }

    #[test]
    fn the_last_time_and_the_next_are_those_around_an_instant() {
        let time = ChoreTime::parse("30 4 * * *").expect("a time");
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let now = at("2026-11-28T04:30:00Z");
        assert_eq!((time.last(now), time.next(now)), (Some(now), Some(at("2026-11-29T04:30:00Z"))));
        assert_eq!(time.last(at("2026-11-28T04:29:59Z")), Some(at("2026-11-27T04:30:00Z")));
        assert_eq!(time.with_seconds(), "0 30 4 * * *");
    }
}
