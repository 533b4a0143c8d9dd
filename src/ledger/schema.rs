//! The tables, and the way from every released version to the newest. Refuses to know what the rows mean to the daemon, but the
//! CHECKs say again what its state machine says, so that a row it could not have written cannot be there.

use rusqlite::{Connection, TransactionBehavior};

use super::LedgerError;

/// One entry a version; `user_version` counts them. Append only: a released entry is never edited, and every released schema
/// stays as a fixture under `tests/fixtures/ledger`.
const MIGRATIONS: [&str; 2] = [V1, V2];

const V1: &str = "
CREATE TABLE occurrence (
    id              INTEGER PRIMARY KEY,
    job             TEXT    NOT NULL CHECK (length(job) BETWEEN 1 AND 32),
    start_ms        INTEGER NOT NULL,
    end_ms          INTEGER,
    kind            TEXT    NOT NULL CHECK (kind IN ('planned', 'fired', 'summary')),
    count           INTEGER NOT NULL CHECK (count >= 1 AND (count = 1 OR kind = 'summary')),
    generation      INTEGER NOT NULL CHECK (generation >= 0),
    spec            TEXT    NOT NULL CHECK (json_valid(spec)),
    state           TEXT    NOT NULL CHECK (state IN ('armed', 'calling', 'waiting', 'on_air', 'stopping', 'done')),
    wait_until_ms   INTEGER CHECK ((wait_until_ms IS NOT NULL) = (state = 'waiting')),
    wait_why        TEXT    CHECK ((wait_why IS NOT NULL) = (state = 'waiting')),
    outcome         TEXT    CHECK ((outcome IS NOT NULL) = (state IN ('stopping', 'done'))),
    reason          TEXT    CHECK ((reason IS NOT NULL) = (outcome IS NOT NULL)),
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    tries           INTEGER NOT NULL CHECK (tries BETWEEN 0 AND attempts),
    restarts        INTEGER NOT NULL CHECK (restarts >= 0),
    was_in_doubt    INTEGER NOT NULL CHECK (was_in_doubt IN (0, 1)),
    in_doubt        INTEGER NOT NULL CHECK (in_doubt IN (0, 1) AND in_doubt <= was_in_doubt),
    joined          INTEGER NOT NULL CHECK (joined IN (0, 1)),
    exists_since_ms INTEGER,
    first_sent_ms   INTEGER,
    on_air_ms       INTEGER,
    ended_ms        INTEGER,
    confirmed_ms    INTEGER,
    task_id         TEXT,
    error_code      TEXT,
    error_message   TEXT,
    error_in_a_row  INTEGER NOT NULL CHECK (error_in_a_row >= 0),
    request_id      TEXT,
    UNIQUE (job, start_ms),
    CHECK (wait_why IS NULL OR wait_why IN ('retry', 'yield', 'restart')),
    CHECK (state NOT IN ('armed', 'calling') OR attempts >= 1),
    CHECK (state NOT IN ('on_air', 'stopping') OR on_air_ms IS NOT NULL),
    CHECK (state <> 'stopping' OR outcome IN ('ended', 'cut')),
    CHECK (outcome IS NULL
        OR (outcome = 'ended'   AND reason IN ('planned', 'media', 'unverified'))
        OR (outcome = 'cut'     AND reason IN ('operator', 'preempted', 'removed', 'edited'))
        OR (outcome = 'failed'  AND length(reason) > 0)
        OR (outcome = 'missed'  AND reason IN ('down', 'late', 'limit', 'clock', 'disk', 'content_over', 'restored'))
        OR (outcome = 'skipped' AND reason IN ('paused', 'operator', 'conflict'))),
    CHECK (state <> 'done' OR outcome <> 'ended' OR (on_air_ms IS NOT NULL AND ended_ms IS NOT NULL)),
    CHECK (outcome <> 'missed' OR on_air_ms IS NULL)
) STRICT;
CREATE INDEX occurrence_open ON occurrence (start_ms) WHERE state <> 'done';
CREATE INDEX occurrence_start ON occurrence (start_ms);
CREATE INDEX occurrence_outcome ON occurrence (outcome, start_ms) WHERE outcome <> 'ended';
CREATE INDEX occurrence_trouble ON occurrence (coalesce(ended_ms, start_ms))
    WHERE (outcome IN ('failed', 'missed') OR reason = 'unverified');

CREATE TABLE task (
    id             INTEGER PRIMARY KEY,
    occurrence     INTEGER NOT NULL REFERENCES occurrence (id) ON DELETE CASCADE,
    task_id        TEXT    NOT NULL CHECK (length(task_id) > 0),
    app            TEXT    NOT NULL,
    sdk_app_id     INTEGER NOT NULL,
    region         TEXT    NOT NULL,
    started_ms     INTEGER NOT NULL,
    bound_ms       INTEGER,
    media_end_ms   INTEGER,
    stop_wanted_ms INTEGER,
    stop_tries     INTEGER NOT NULL CHECK (stop_tries >= 0),
    stopped_ms     INTEGER CHECK (stopped_ms IS NULL OR stop_wanted_ms IS NOT NULL),
    gone_ms        INTEGER,
    verified       INTEGER CHECK ((verified IS NULL) = (gone_ms IS NULL)),
    alerted        INTEGER NOT NULL CHECK (alerted IN (0, 1))
) STRICT;
CREATE INDEX task_open ON task (id) WHERE gone_ms IS NULL;
CREATE INDEX task_of_occurrence ON task (occurrence);

CREATE TABLE call (
    id          INTEGER PRIMARY KEY,
    occurrence  INTEGER NOT NULL REFERENCES occurrence (id) ON DELETE CASCADE,
    task        INTEGER REFERENCES task (id) ON DELETE CASCADE,
    action      TEXT    NOT NULL CHECK (action IN ('StartStreamIngest', 'StopStreamIngest', 'DescribeStreamIngest')),
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
    sent_ms     INTEGER,
    answered_ms INTEGER CHECK (answered_ms IS NULL OR sent_ms IS NOT NULL),
    http_status INTEGER,
    code        TEXT,
    message     TEXT,
    request_id  TEXT
) STRICT;
CREATE INDEX call_of_occurrence ON call (occurrence);

CREATE TABLE job (
    id              TEXT PRIMARY KEY,
    first_seen_ms   INTEGER NOT NULL,
    paused_until_ms INTEGER,
    paused_by       TEXT,
    note            TEXT
) STRICT;

CREATE TABLE act (
    id     INTEGER PRIMARY KEY,
    at_ms  INTEGER NOT NULL,
    who    TEXT    NOT NULL,
    what   TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT;

CREATE TABLE alert (
    id         INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    occurrence INTEGER REFERENCES occurrence (id) ON DELETE CASCADE,
    text       TEXT    NOT NULL,
    told_ms    INTEGER
) STRICT;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT;
";

/// What nothing that plays, or is to play, may lose over a crash: what is wanted of an attempt under way, losses and heals, what a
/// callback told; and tasks that nobody claims.
const V2: &str = "
ALTER TABLE occurrence ADD COLUMN wanted_outcome TEXT
    CHECK (wanted_outcome IS NULL OR (wanted_outcome IN ('ended', 'cut') AND state IN ('armed', 'calling')));
ALTER TABLE occurrence ADD COLUMN wanted_reason TEXT CHECK ((wanted_reason IS NULL) = (wanted_outcome IS NULL));
ALTER TABLE occurrence ADD COLUMN tried_ms INTEGER;
ALTER TABLE occurrence ADD COLUMN lost_ms INTEGER CHECK (lost_ms IS NULL OR on_air_ms IS NOT NULL);
ALTER TABLE occurrence ADD COLUMN heals TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(heals));
ALTER TABLE occurrence ADD COLUMN doubts TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(doubts));
ALTER TABLE occurrence ADD COLUMN adopted TEXT CHECK (adopted IS NULL OR adopted IN ('waiting', 'restart', 'on_air'));
CREATE INDEX task_of_id ON task (task_id);
CREATE INDEX occurrence_doubt ON occurrence (tried_ms) WHERE was_in_doubt = 1;

CREATE TABLE orphan (
    task_id        TEXT PRIMARY KEY CHECK (length(task_id) > 0),
    app            TEXT    NOT NULL,
    sdk_app_id     INTEGER NOT NULL,
    region         TEXT    NOT NULL,
    seen_ms        INTEGER NOT NULL,
    likely_job     TEXT,
    stop_wanted_ms INTEGER,
    gone_ms        INTEGER
) STRICT;
CREATE INDEX orphan_open ON orphan (seen_ms) WHERE gone_ms IS NULL;
";

/// The newest version this program knows.
pub const VERSION: u32 = 2;
const _: () = assert!(VERSION as usize == MIGRATIONS.len());

/// Brings the file to [`VERSION`], each step in a transaction of its own.
///
/// Errors: the file is from a newer program, or SQLite fails. A crash leaves the last whole version, and the next start goes on.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), LedgerError> {
    let version = version(connection)?;
    known(version)?;
    for (number, script) in (1_u32..).zip(MIGRATIONS).skip(version as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version of the file; 0 for one without a schema.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Whether this program knows that version, or an older one.
pub(super) fn known(version: u32) -> Result<(), LedgerError> {
    if version > VERSION { Err(LedgerError::newer(version)) } else { Ok(()) }
}
