//! The script of each version, from the one before. It does not know when and how they are run.

/// One entry for each version; `user_version` counts them. A released entry is never edited: new ones are added at the end. Every
/// released schema stays as a fixture under `tests/fixtures/ledger`.
pub(super) const MIGRATIONS: [&str; 10] = [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10];

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

/// What must survive a crash: the outcome wanted of an attempt under way, losses and heals, what a callback told, and tasks that
/// nobody claims.
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

/// An outcome's reason stood in a CHECK, and SQLite cannot alter a CHECK: each new reason needed a new table. Now the legal pairs are
/// rows of `outcome_reason`, and triggers refuse every other pair. A new reason is one row, which [`super::migrate`] adds. `failed` may
/// have any code for its reason.
///
/// Why not a foreign key: it would have to leave out `failed`, and it holds only on connections that ask for foreign keys.
///
/// The action of a call loses its CHECK for the same reason: a new action of the API needs no new table.
///
/// The tables are built anew as SQLite's documentation says: new table, copy, drop, rename. Nothing wrote `alert`, nor the columns of
/// `job` that are dropped.
const V3: &str = "
DROP TABLE alert;
ALTER TABLE job DROP COLUMN paused_until_ms;
ALTER TABLE job DROP COLUMN paused_by;
ALTER TABLE job DROP COLUMN note;

CREATE TABLE outcome_reason (
    outcome TEXT NOT NULL,
    reason  TEXT NOT NULL,
    PRIMARY KEY (outcome, reason)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER outcome_reason_update BEFORE UPDATE ON outcome_reason
BEGIN
    SELECT RAISE(ABORT, 'a reason is never changed: rows may have it');
END;
CREATE TRIGGER outcome_reason_delete BEFORE DELETE ON outcome_reason
BEGIN
    SELECT RAISE(ABORT, 'a reason is never deleted: rows may have it');
END;

CREATE TABLE new_occurrence (
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
    wanted_outcome  TEXT
        CHECK (wanted_outcome IS NULL OR (wanted_outcome IN ('ended', 'cut') AND state IN ('armed', 'calling'))),
    wanted_reason   TEXT    CHECK ((wanted_reason IS NULL) = (wanted_outcome IS NULL)),
    tried_ms        INTEGER,
    lost_ms         INTEGER CHECK (lost_ms IS NULL OR on_air_ms IS NOT NULL),
    heals           TEXT    NOT NULL CHECK (json_valid(heals)),
    doubts          TEXT    NOT NULL CHECK (json_valid(doubts)),
    adopted         TEXT    CHECK (adopted IS NULL OR adopted IN ('waiting', 'restart', 'on_air')),
    UNIQUE (job, start_ms),
    CHECK (wait_why IS NULL OR wait_why IN ('retry', 'yield', 'restart')),
    CHECK (state NOT IN ('armed', 'calling') OR attempts >= 1),
    CHECK (state NOT IN ('on_air', 'stopping') OR on_air_ms IS NOT NULL),
    CHECK (state <> 'stopping' OR outcome IN ('ended', 'cut')),
    CHECK (outcome IS NULL OR outcome IN ('ended', 'cut', 'failed', 'missed', 'skipped')),
    CHECK (outcome IS NULL OR length(reason) > 0),
    CHECK (state <> 'done' OR outcome <> 'ended' OR (on_air_ms IS NOT NULL AND ended_ms IS NOT NULL)),
    CHECK (outcome <> 'missed' OR on_air_ms IS NULL)
) STRICT;
INSERT INTO new_occurrence (id, job, start_ms, end_ms, kind, count, generation, spec, state, wait_until_ms, wait_why, outcome, reason,
        attempts, tries, restarts, was_in_doubt, in_doubt, joined, exists_since_ms, first_sent_ms, on_air_ms, ended_ms, confirmed_ms,
        task_id, error_code, error_message, error_in_a_row, request_id, wanted_outcome, wanted_reason, tried_ms, lost_ms, heals,
        doubts, adopted)
    SELECT id, job, start_ms, end_ms, kind, count, generation, spec, state, wait_until_ms, wait_why, outcome, reason,
        attempts, tries, restarts, was_in_doubt, in_doubt, joined, exists_since_ms, first_sent_ms, on_air_ms, ended_ms, confirmed_ms,
        task_id, error_code, error_message, error_in_a_row, request_id, wanted_outcome, wanted_reason, tried_ms, lost_ms, heals,
        doubts, adopted
    FROM occurrence;
DROP TABLE occurrence;
ALTER TABLE new_occurrence RENAME TO occurrence;
CREATE INDEX occurrence_open ON occurrence (start_ms) WHERE state <> 'done';
CREATE INDEX occurrence_start ON occurrence (start_ms);
CREATE INDEX occurrence_outcome ON occurrence (outcome, start_ms) WHERE outcome <> 'ended';
CREATE INDEX occurrence_trouble ON occurrence (coalesce(ended_ms, start_ms))
    WHERE (outcome IN ('failed', 'missed') OR reason = 'unverified');
CREATE INDEX occurrence_doubt ON occurrence (tried_ms) WHERE was_in_doubt = 1;

CREATE TABLE new_call (
    id          INTEGER PRIMARY KEY,
    occurrence  INTEGER NOT NULL REFERENCES occurrence (id) ON DELETE CASCADE,
    task        INTEGER REFERENCES task (id) ON DELETE CASCADE,
    action      TEXT    NOT NULL CHECK (length(action) > 0),
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
    sent_ms     INTEGER,
    answered_ms INTEGER CHECK (answered_ms IS NULL OR sent_ms IS NOT NULL),
    http_status INTEGER,
    code        TEXT,
    message     TEXT,
    request_id  TEXT
) STRICT;
INSERT INTO new_call SELECT id, occurrence, task, action, attempt, sent_ms, answered_ms, http_status, code, message, request_id FROM call;
DROP TABLE call;
ALTER TABLE new_call RENAME TO call;
CREATE INDEX call_of_occurrence ON call (occurrence);

CREATE TRIGGER occurrence_reason_insert BEFORE INSERT ON occurrence
WHEN (NEW.outcome IS NOT NULL AND NEW.outcome <> 'failed'
        AND NOT EXISTS (SELECT 1 FROM outcome_reason WHERE outcome = NEW.outcome AND reason = NEW.reason))
    OR (NEW.wanted_outcome IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM outcome_reason WHERE outcome = NEW.wanted_outcome AND reason = NEW.wanted_reason))
BEGIN
    SELECT RAISE(ABORT, 'outcome_reason does not allow this outcome with this reason');
END;
CREATE TRIGGER occurrence_reason_update BEFORE UPDATE OF outcome, reason, wanted_outcome, wanted_reason ON occurrence
WHEN (NEW.outcome IS NOT NULL AND NEW.outcome <> 'failed'
        AND NOT EXISTS (SELECT 1 FROM outcome_reason WHERE outcome = NEW.outcome AND reason = NEW.reason))
    OR (NEW.wanted_outcome IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM outcome_reason WHERE outcome = NEW.wanted_outcome AND reason = NEW.wanted_reason))
BEGIN
    SELECT RAISE(ABORT, 'outcome_reason does not allow this outcome with this reason');
END;
";

/// What must survive a crash of what nobody could place: callbacks that were answered, starts whose task has no name, and the shows that
/// an orphan is one of. And what shows that a show was on air, and what is wrong with the requests for its task: a row of an older program
/// does not say. The index of trouble gets what was on air by the first answer alone; that of doubts served no query.
const V4: &str = "
CREATE TABLE callback (
    id         INTEGER PRIMARY KEY,
    sdk_app_id INTEGER NOT NULL,
    task_id    TEXT    NOT NULL CHECK (length(task_id) > 0),
    news       TEXT    NOT NULL CHECK (length(news) > 0),
    at_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX callback_of_task ON callback (task_id);

CREATE TABLE doubt (
    occurrence INTEGER NOT NULL REFERENCES occurrence (id) ON DELETE CASCADE,
    sent_ms    INTEGER NOT NULL,
    bound_ms   INTEGER,
    until_ms   INTEGER NOT NULL,
    was_found  INTEGER NOT NULL CHECK (was_found IN (0, 1)),
    UNIQUE (occurrence, sent_ms)
) STRICT;

ALTER TABLE orphan ADD COLUMN of_shows TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(of_shows));

ALTER TABLE occurrence ADD COLUMN evidence TEXT
    CHECK (evidence IS NULL OR (evidence IN ('confirmed', 'seen', 'unpulled', 'unseen') AND on_air_ms IS NOT NULL));
ALTER TABLE occurrence ADD COLUMN unseen_losses INTEGER CHECK (unseen_losses IS NULL OR unseen_losses >= 1);
ALTER TABLE occurrence ADD COLUMN task_fault TEXT CHECK (task_fault IS NULL OR json_valid(task_fault));
ALTER TABLE task ADD COLUMN seen_ms INTEGER;
ALTER TABLE task ADD COLUMN was_seen INTEGER NOT NULL DEFAULT 0 CHECK (was_seen IN (0, 1));
ALTER TABLE task ADD COLUMN is_unseen INTEGER NOT NULL DEFAULT 0 CHECK (is_unseen IN (0, 1));
ALTER TABLE task ADD COLUMN unpulled_ms INTEGER;
ALTER TABLE task ADD COLUMN stop_fault TEXT CHECK (stop_fault IS NULL OR json_valid(stop_fault));
ALTER TABLE task ADD COLUMN describe_fault TEXT CHECK (describe_fault IS NULL OR json_valid(describe_fault));
DROP INDEX occurrence_doubt;
DROP INDEX occurrence_trouble;
CREATE INDEX occurrence_trouble ON occurrence (coalesce(ended_ms, start_ms))
    WHERE (outcome IN ('failed', 'missed') OR reason = 'unverified' OR evidence IN ('unpulled', 'unseen'));
";

/// When a job left the schedule: one that comes back soon owes rows for what it missed. Null while it is there. And who gave the order that
/// cut a show: rows of an older program do not say it.
const V5: &str = "
ALTER TABLE job ADD COLUMN left_ms INTEGER;
CREATE INDEX job_left ON job (left_ms) WHERE left_ms IS NOT NULL;
ALTER TABLE occurrence ADD COLUMN ordered_by TEXT;
";

/// Who is to be told what. Nothing here refuses a row that the program can make: an alert must never keep a show off the air.
const V6: &str = "
CREATE TABLE alert (
    id         TEXT    PRIMARY KEY CHECK (length(id) > 0),
    event      TEXT    NOT NULL CHECK (length(event) > 0),
    subject    TEXT    NOT NULL,
    begun_ms   INTEGER NOT NULL,
    newest_ms  INTEGER NOT NULL,
    count      INTEGER NOT NULL CHECK (count >= 1),
    text       TEXT    NOT NULL,
    tell_ms    INTEGER NOT NULL,
    lasts      INTEGER NOT NULL CHECK (lasts IN (0, 1)),
    ended_ms   INTEGER CHECK (ended_ms IS NULL OR lasts = 0),
    ended_text TEXT    CHECK (ended_text IS NULL OR ended_ms IS NOT NULL),
    receivers  TEXT    NOT NULL CHECK (json_valid(receivers))
) STRICT;
CREATE INDEX alert_begun ON alert (begun_ms);

CREATE TABLE alert_told (
    alert     TEXT    NOT NULL REFERENCES alert (id) ON DELETE CASCADE,
    receiver  TEXT    NOT NULL,
    at_ms     INTEGER NOT NULL,
    count     INTEGER NOT NULL CHECK (count >= 1),
    recovered INTEGER NOT NULL CHECK (recovered IN (0, 1)),
    PRIMARY KEY (alert, receiver)
) STRICT;
";

/// What operators hold back: a pause (of a job, or of every job, where `job` is empty) from `from_ms` on, or the skip of the start at
/// `from_ms`. A row goes when all that it holds back is settled. And the note of an order that started, cut or held back a show.
const V7: &str = "
CREATE TABLE hold (
    why      TEXT    NOT NULL CHECK (why IN ('pause', 'skip')),
    job      TEXT    NOT NULL CHECK (length(job) <= 32 AND (why = 'pause' OR length(job) > 0)),
    from_ms  INTEGER NOT NULL,
    until_ms INTEGER CHECK (until_ms IS NULL OR why = 'pause'),
    who      TEXT    NOT NULL,
    note     TEXT,
    PRIMARY KEY (why, job, from_ms)
) STRICT;
ALTER TABLE occurrence ADD COLUMN order_note TEXT;
";

/// What is remembered of a show that has a fallback: why that plays, and what played when. Null where there is nothing to remember.
const V8: &str = "
ALTER TABLE occurrence ADD COLUMN fallback TEXT CHECK (fallback IS NULL OR json_valid(fallback));
";

/// Looking back in years of rows: by room, and for a rare outcome by job and by room. And what a new daemon takes over without reading all
/// that ever failed or was cut.
const V9: &str = "
CREATE INDEX occurrence_room ON occurrence (spec ->> 'room', start_ms);
CREATE INDEX occurrence_outcome_job ON occurrence (outcome, job, start_ms) WHERE outcome <> 'ended';
CREATE INDEX occurrence_outcome_room ON occurrence (outcome, spec ->> 'room', start_ms) WHERE outcome <> 'ended';
CREATE INDEX occurrence_failed ON occurrence (coalesce(end_ms, ended_ms)) WHERE outcome = 'failed';
CREATE INDEX occurrence_removed ON occurrence (coalesce(end_ms, 9223372036854775807)) WHERE reason = 'removed';
";

/// When shows that took more than a day were over. A show that is not over at a time is in this index, or is open, or started in the day
/// before.
const V10: &str = "
CREATE INDEX occurrence_long ON occurrence (
    CASE WHEN CASE WHEN ended_ms > end_ms THEN ended_ms ELSE coalesce(end_ms, ended_ms) END - start_ms > 86400000
        THEN CASE WHEN ended_ms > end_ms THEN ended_ms ELSE coalesce(end_ms, ended_ms) END END, start_ms)
    WHERE CASE WHEN CASE WHEN ended_ms > end_ms THEN ended_ms ELSE coalesce(end_ms, ended_ms) END - start_ms > 86400000
        THEN CASE WHEN ended_ms > end_ms THEN ended_ms ELSE coalesce(end_ms, ended_ms) END END IS NOT NULL;
";
