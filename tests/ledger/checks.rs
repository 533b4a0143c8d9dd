//! Nobody can write a row that the state machine cannot write. Each rule of the schema refuses a row that breaks it, and no other
//! row. This knows SQL and the tables, and not the daemon.

use rusqlite::Connection;

use super::{ledger, raw};

/// An ordinary row on air. Each case changes some of its columns.
const OCCURRENCE: [(&str, &str); 21] = [
    ("job", "'promo'"),
    ("start_ms", "1000"),
    ("end_ms", "9000"),
    ("kind", "'planned'"),
    ("count", "1"),
    ("generation", "7"),
    ("spec", "'{}'"),
    ("state", "'on_air'"),
    ("wait_until_ms", "NULL"),
    ("wait_why", "NULL"),
    ("outcome", "NULL"),
    ("reason", "NULL"),
    ("attempts", "2"),
    ("tries", "1"),
    ("restarts", "0"),
    ("was_in_doubt", "1"),
    ("in_doubt", "0"),
    ("joined", "0"),
    ("error_in_a_row", "0"),
    ("heals", "'[]'"),
    ("doubts", "'[]'"),
];

/// An ordinary task, the same way.
const TASK: [(&str, &str); 13] = [
    ("occurrence", "1"),
    ("task_id", "'t'"),
    ("app", "'main'"),
    ("sdk_app_id", "1400000001"),
    ("region", "'ap-singapore'"),
    ("started_ms", "1040"),
    ("bound_ms", "9999"),
    ("stop_wanted_ms", "NULL"),
    ("stop_tries", "0"),
    ("stopped_ms", "NULL"),
    ("gone_ms", "NULL"),
    ("verified", "NULL"),
    ("alerted", "0"),
];

/// An ordinary call.
const CALL: [(&str, &str); 5] =
    [("occurrence", "1"), ("action", "'StartStreamIngest'"), ("attempt", "1"), ("sent_ms", "1005"), ("answered_ms", "1040")];

/// The rule, the columns that are changed, and the words of the refusal; `None`: the row is legal.
type Case = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);

fn insert(connection: &Connection, table: &str, ordinary: &[(&str, &str)], changes: &[(&str, &str)]) -> Result<(), String> {
    let mut columns: Vec<(&str, &str)> =
        ordinary.iter().filter(|(name, _)| changes.iter().all(|(other, _)| other != name)).copied().collect();
    columns.extend(changes);
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = columns.iter().map(|(_, value)| *value).collect();
    let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
    connection.execute(&sql, []).map(|_| ()).map_err(|error| error.to_string())
}

fn check(table: &str, ordinary: &[(&str, &str)], cases: &[Case]) {
    let (_folder, ledger) = ledger();
    let connection = raw(&ledger);
    for (rule, changes, refusal) in cases {
        // It is rolled back when it is dropped, so that each case begins with an empty ledger.
        let _undone = connection.unchecked_transaction().expect("a transaction");
        if table != "occurrence" {
            let on_air = [("on_air_ms", "1040")];
            insert(&connection, "occurrence", &OCCURRENCE, &on_air).expect("something to refer to");
        }
        let result = insert(&connection, table, ordinary, changes);
        match (refusal, result) {
            (None, Ok(())) => {}
            (Some(words), Err(error)) => assert!(error.contains(words), "{rule}: {error}"),
            (refusal, result) => panic!("{rule}: expected {refusal:?}, got {result:?}"),
        }
    }
}

const DONE: &str = "'done'";

/// What the triggers say.
const NOT_ALLOWED: &str = "outcome_reason does not allow this outcome with this reason";

#[test]
#[rustfmt::skip]
fn an_impossible_occurrence_is_refused() {
    check("occurrence", &OCCURRENCE, &[
        ("the ordinary row", &[("on_air_ms", "1040")], None),
        ("a job has a name", &[("on_air_ms", "1040"), ("job", "''")], Some("length(job) BETWEEN 1 AND 32")),
        ("a job's name is at most 32 bytes", &[("on_air_ms", "1040"), ("job", "'123456789012345678901234567890123'")], Some("length(job) BETWEEN 1 AND 32")),
        ("an occurrence has a start", &[("on_air_ms", "1040"), ("start_ms", "NULL")], Some("NOT NULL constraint failed: occurrence.start_ms")),
        ("a start is an instant", &[("on_air_ms", "1040"), ("start_ms", "'soon'")], Some("cannot store TEXT value in INTEGER column occurrence.start_ms")),
        ("a kind is known", &[("on_air_ms", "1040"), ("kind", "'odd'")], Some("kind IN ('planned', 'fired', 'summary')")),
        ("a count is at least 1", &[("on_air_ms", "1040"), ("count", "0")], Some("count >= 1 AND (count = 1 OR kind = 'summary')")),
        ("only a summary counts", &[("on_air_ms", "1040"), ("count", "2")], Some("count >= 1 AND (count = 1 OR kind = 'summary')")),
        ("a summary counts", &[("on_air_ms", "1040"), ("count", "2"), ("kind", "'summary'")], None),
        ("a generation is not negative", &[("on_air_ms", "1040"), ("generation", "-1")], Some("generation >= 0")),
        ("what is played is JSON", &[("on_air_ms", "1040"), ("spec", "'{'")], Some("json_valid(spec)")),
        ("a state is known", &[("on_air_ms", "1040"), ("state", "'paused'")], Some("state IN ('armed', 'calling', 'waiting', 'on_air', 'stopping', 'done')")),
        ("what waits has a time", &[("state", "'waiting'"), ("wait_why", "'retry'")], Some("(wait_until_ms IS NOT NULL) = (state = 'waiting')")),
        ("what waits has a reason", &[("state", "'waiting'"), ("wait_until_ms", "1")], Some("(wait_why IS NOT NULL) = (state = 'waiting')")),
        ("what waits waits for something known", &[("state", "'waiting'"), ("wait_until_ms", "1"), ("wait_why", "'odd'")], Some("wait_why IS NULL OR wait_why IN ('retry', 'yield', 'restart')")),
        ("what waits has both", &[("state", "'waiting'"), ("wait_until_ms", "1"), ("wait_why", "'restart'")], None),
        ("what does not wait has no time", &[("on_air_ms", "1040"), ("wait_until_ms", "1")], Some("(wait_until_ms IS NOT NULL) = (state = 'waiting')")),
        ("what does not wait has no reason for it", &[("on_air_ms", "1040"), ("wait_why", "'retry'")], Some("(wait_why IS NOT NULL) = (state = 'waiting')")),
        ("what is done has an outcome", &[("state", DONE)], Some("(outcome IS NOT NULL) = (state IN ('stopping', 'done'))")),
        ("what is on air has none", &[("on_air_ms", "1040"), ("outcome", "'ended'"), ("reason", "'media'")], Some("(outcome IS NOT NULL) = (state IN ('stopping', 'done'))")),
        ("an outcome has a reason", &[("state", DONE), ("outcome", "'failed'")], Some("(reason IS NOT NULL) = (outcome IS NOT NULL)")),
        ("a reason belongs to an outcome", &[("on_air_ms", "1040"), ("reason", "'media'")], Some("(reason IS NOT NULL) = (outcome IS NOT NULL)")),
        ("an outcome is known", &[("state", DONE), ("outcome", "'lost'"), ("reason", "'x'")], Some(NOT_ALLOWED)),
        ("ended for a known reason", &[("on_air_ms", "1"), ("ended_ms", "2"), ("state", DONE), ("outcome", "'ended'"), ("reason", "'operator'")], Some(NOT_ALLOWED)),
        ("ended was on air", &[("ended_ms", "2"), ("state", DONE), ("outcome", "'ended'"), ("reason", "'media'")], Some("state <> 'done' OR outcome <> 'ended' OR (on_air_ms IS NOT NULL AND ended_ms IS NOT NULL)")),
        ("ended has an end", &[("on_air_ms", "1"), ("state", DONE), ("outcome", "'ended'"), ("reason", "'media'")], Some("state <> 'done' OR outcome <> 'ended' OR (on_air_ms IS NOT NULL AND ended_ms IS NOT NULL)")),
        ("ended", &[("on_air_ms", "1"), ("ended_ms", "2"), ("state", DONE), ("outcome", "'ended'"), ("reason", "'unverified'")], None),
        ("cut for a known reason", &[("state", DONE), ("outcome", "'cut'"), ("reason", "'down'")], Some(NOT_ALLOWED)),
        ("cut", &[("state", DONE), ("outcome", "'cut'"), ("reason", "'preempted'")], None),
        ("failed for a reason", &[("state", DONE), ("outcome", "'failed'"), ("reason", "''")], Some("outcome IS NULL OR length(reason) > 0")),
        ("failed for any code", &[("state", DONE), ("outcome", "'failed'"), ("reason", "'New.Code'")], None),
        ("missed for a known reason", &[("state", DONE), ("outcome", "'missed'"), ("reason", "'operator'")], Some(NOT_ALLOWED)),
        ("missed was not on air", &[("on_air_ms", "1"), ("state", DONE), ("outcome", "'missed'"), ("reason", "'down'")], Some("outcome <> 'missed' OR on_air_ms IS NULL")),
        ("missed", &[("state", DONE), ("outcome", "'missed'"), ("reason", "'content_over'")], None),
        ("skipped for a known reason", &[("state", DONE), ("outcome", "'skipped'"), ("reason", "'late'")], Some(NOT_ALLOWED)),
        ("skipped", &[("state", DONE), ("outcome", "'skipped'"), ("reason", "'paused'")], None),
        ("what is armed has an attempt", &[("state", "'armed'"), ("attempts", "0"), ("tries", "0")], Some("state NOT IN ('armed', 'calling') OR attempts >= 1")),
        ("what is called has an attempt", &[("state", "'calling'"), ("attempts", "0"), ("tries", "0")], Some("state NOT IN ('armed', 'calling') OR attempts >= 1")),
        ("attempts are not negative", &[("on_air_ms", "1040"), ("attempts", "-1"), ("tries", "-1")], Some("attempts >= 0")),
        ("tries are not negative", &[("on_air_ms", "1040"), ("tries", "-1")], Some("tries BETWEEN 0 AND attempts")),
        ("tries are some of the attempts", &[("on_air_ms", "1040"), ("tries", "3")], Some("tries BETWEEN 0 AND attempts")),
        ("restarts are not negative", &[("on_air_ms", "1040"), ("restarts", "-1")], Some("restarts >= 0")),
        ("a doubt is yes or no", &[("on_air_ms", "1040"), ("was_in_doubt", "2")], Some("was_in_doubt IN (0, 1)")),
        ("a doubt now is a doubt ever", &[("on_air_ms", "1040"), ("was_in_doubt", "0"), ("in_doubt", "1")], Some("in_doubt IN (0, 1) AND in_doubt <= was_in_doubt")),
        ("joined is yes or no", &[("on_air_ms", "1040"), ("joined", "2")], Some("joined IN (0, 1)")),
        ("faults in a row are not negative", &[("on_air_ms", "1040"), ("error_in_a_row", "-1")], Some("error_in_a_row >= 0")),
        ("what is on air was put there", &[], Some("state NOT IN ('on_air', 'stopping') OR on_air_ms IS NOT NULL")),
        ("what is stopped was put on air", &[("state", "'stopping'"), ("outcome", "'ended'"), ("reason", "'planned'")], Some("state NOT IN ('on_air', 'stopping') OR on_air_ms IS NOT NULL")),
        ("what is stopped ends or is cut", &[("on_air_ms", "1"), ("state", "'stopping'"), ("outcome", "'failed'"), ("reason", "'lost'")], Some("state <> 'stopping' OR outcome IN ('ended', 'cut')")),
        ("a wanted outcome has a known reason", &[("state", "'calling'"), ("wanted_outcome", "'cut'"), ("wanted_reason", "'planned'")], Some(NOT_ALLOWED)),
        ("only an attempt under way has a wanted outcome", &[("on_air_ms", "1"), ("wanted_outcome", "'cut'"), ("wanted_reason", "'edited'")], Some("state IN ('armed', 'calling')")),
        ("wanted", &[("state", "'calling'"), ("wanted_outcome", "'cut'"), ("wanted_reason", "'edited'")], None),
        ("evidence is known", &[("on_air_ms", "1"), ("evidence", "'odd'")], Some("evidence IN ('confirmed', 'seen', 'unpulled', 'unseen')")),
        ("evidence is of what was on air", &[("state", "'armed'"), ("evidence", "'seen'")], Some("on_air_ms IS NOT NULL")),
        ("losses are counted from 1", &[("on_air_ms", "1"), ("unseen_losses", "0")], Some("unseen_losses >= 1")),
        ("a fault of its task is JSON", &[("on_air_ms", "1"), ("task_fault", "'{'")], Some("json_valid(task_fault)")),
        ("seen", &[("on_air_ms", "1"), ("evidence", "'seen'"), ("unseen_losses", "1"), ("task_fault", "'{}'")], None),
        ("stopping", &[("on_air_ms", "1"), ("state", "'stopping'"), ("outcome", "'cut'"), ("reason", "'edited'")], None),
    ]);
}

#[test]
#[rustfmt::skip]
fn an_impossible_task_or_call_is_refused() {
    check("task", &TASK, &[
        ("the ordinary task", &[], None),
        ("a task belongs to an occurrence", &[("occurrence", "2")], Some("FOREIGN KEY constraint failed")),
        ("a task has an id", &[("task_id", "''")], Some("length(task_id) > 0")),
        ("tries are not negative", &[("stop_tries", "-1")], Some("stop_tries >= 0")),
        ("what was stopped was wanted stopped", &[("stopped_ms", "5")], Some("stopped_ms IS NULL OR stop_wanted_ms IS NOT NULL")),
        ("stopped", &[("stop_wanted_ms", "4"), ("stopped_ms", "5")], None),
        ("what is gone is verified or not", &[("gone_ms", "5")], Some("(verified IS NULL) = (gone_ms IS NULL)")),
        ("what is verified is gone", &[("verified", "1")], Some("(verified IS NULL) = (gone_ms IS NULL)")),
        ("gone", &[("gone_ms", "5"), ("verified", "0")], None),
        ("an alert was raised or not", &[("alerted", "2")], Some("alerted IN (0, 1)")),
        ("it was seen or not", &[("was_seen", "2")], Some("was_seen IN (0, 1)")),
        ("it is unseen or not", &[("is_unseen", "2")], Some("is_unseen IN (0, 1)")),
        ("what its stops fail with is JSON", &[("stop_fault", "'{'")], Some("json_valid(stop_fault)")),
        ("what its describes fail with is JSON", &[("describe_fault", "'{'")], Some("json_valid(describe_fault)")),
    ]);
    check("call", &CALL, &[
        ("the ordinary call", &[], None),
        ("a call belongs to an occurrence", &[("occurrence", "2")], Some("FOREIGN KEY constraint failed")),
        ("a call's task exists", &[("task", "7")], Some("FOREIGN KEY constraint failed")),
        ("an action has a name", &[("action", "''")], Some("length(action) > 0")),
        ("a new action of the API needs no new table", &[("action", "'UpdateStreamIngest'")], None),
        ("attempts count from 1", &[("attempt", "0")], Some("attempt >= 1")),
        ("what was answered was sent", &[("sent_ms", "NULL")], Some("answered_ms IS NULL OR sent_ms IS NOT NULL")),
        ("claimed and not sent", &[("sent_ms", "NULL"), ("answered_ms", "NULL")], None),
    ]);
}

#[test]
fn a_job_and_a_start_have_one_row() {
    let (_folder, ledger) = ledger();
    let connection = raw(&ledger);
    let on_air = [("on_air_ms", "1040")];
    insert(&connection, "occurrence", &OCCURRENCE, &on_air).expect("the first");
    let error = insert(&connection, "occurrence", &OCCURRENCE, &on_air).expect_err("the second");
    assert!(error.contains("UNIQUE constraint failed: occurrence.job, occurrence.start_ms"), "{error}");
    insert(&connection, "occurrence", &OCCURRENCE, &[on_air[0], ("start_ms", "1001")]).expect("another start");
    insert(&connection, "occurrence", &OCCURRENCE, &[on_air[0], ("job", "'film'")]).expect("another job");
}

#[test]
fn a_row_that_no_version_wrote_is_an_error_that_names_the_column() {
    let good = r#"{"app":"main","sdk_app_id":1,"region":"r","room":"x","room_type":"string","robot":"u","stream":"https://h/","live":false,
        "length_ms":null,"seek_ms":0,"repeat":1,"volume":null,"tempo":null,"progress":null,"auto_push":null,"idle_timeout":null,
        "end":"planned","late":"join","start_within_ms":null,"retry_first_ms":1,"retry_cap_ms":1,"retry_attempts":0,"retry_also":[],
        "priority":5}"#;
    for (from, to, words) in [
        ("", "", ""),
        (r#""repeat":1"#, r#""repeat":-2"#, "holds `-2` as repeat"),
        (r#""repeat":1"#, r#""repeat":70000"#, "holds `70000` as repeat"),
        (r#""tempo":null"#, r#""tempo":110"#, "`110` is not a `tempo`"),
        (r#""room_type":"string""#, r#""room_type":"integer""#, "holds `x` as room"),
        (r#""end":"planned""#, r#""end":"open""#, "holds `open` as end"),
        (r#""late":"join""#, r#""late":"maybe""#, "`maybe` is not a word of `late`"),
        (r#""priority":5"#, r#""prio":5"#, "holds a spec that no version of ingestd writes: missing field `priority`"),
    ] {
        let (folder, ledger) = ledger();
        let spec = format!("'{}'", good.replacen(from, to, 1));
        insert(&raw(&ledger), "occurrence", &OCCURRENCE, &[("on_air_ms", "1040"), ("spec", &spec)]).expect("possible for SQLite");
        let recovered =
            ledger.recover(jiff::Timestamp::MIN).map(|recovered| recovered.occurrences.len()).map_err(|error| error.to_string());
        let read = ingestd::ledger::Reader::open(folder.path()).and_then(|reader| reader.on_air()).map(|rows| rows.len());
        assert_eq!(recovered, read.map_err(|error| error.to_string()), "{to}");
        match recovered {
            Ok(count) => assert_eq!((count, words), (1, ""), "{to}"),
            Err(error) => assert!(!words.is_empty() && error.contains(words), "{to}: {error}"),
        }
    }
}
