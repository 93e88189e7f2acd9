-- Ids and hashes are BLOBs of 16 bytes, times are milliseconds since 1970-01-01 UTC; the views of 0002 decode them.

CREATE TABLE meta (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    instance      TEXT NOT NULL,
    group_name    TEXT,
    created_at    INTEGER NOT NULL,
    inbox_horizon INTEGER NOT NULL
) STRICT;

CREATE TABLE topics (
    topic           TEXT PRIMARY KEY,
    partition_count INTEGER NOT NULL CHECK (partition_count > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    lane          INTEGER PRIMARY KEY,
    epoch         INTEGER NOT NULL,
    turn          INTEGER NOT NULL DEFAULT 0,
    next_out_seq  INTEGER NOT NULL DEFAULT 1,
    published_seq INTEGER NOT NULL DEFAULT 0,
    flood_run     INTEGER NOT NULL DEFAULT 0,
    flood_records INTEGER NOT NULL DEFAULT 0,
    flood_dead    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A partition's number is its lane's, so a lane finds its rows side by side.
CREATE TABLE progress (
    partition    INTEGER NOT NULL,
    topic        TEXT NOT NULL,
    next_offset  INTEGER NOT NULL,
    start_offset INTEGER NOT NULL,
    applied      INTEGER NOT NULL DEFAULT 0,
    duplicate    INTEGER NOT NULL DEFAULT 0,
    dead         INTEGER NOT NULL DEFAULT 0,
    skipped      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (partition, topic)
) STRICT, WITHOUT ROWID;

-- status: 0 applied, 1 dead.
CREATE TABLE inbox (
    id         BLOB PRIMARY KEY,
    hash       BLOB NOT NULL,
    status     INTEGER NOT NULL CHECK (status IN (0, 1)),
    event_time INTEGER NOT NULL,
    handled_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    entity  TEXT NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (entity, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    lane       INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    event_id   BLOB NOT NULL UNIQUE,
    topic      TEXT NOT NULL,
    partition  INTEGER NOT NULL,
    timestamp  INTEGER NOT NULL,
    key        BLOB,
    value      BLOB,
    headers    BLOB NOT NULL,
    reason     TEXT,
    written_at INTEGER NOT NULL,
    PRIMARY KEY (lane, sequence)
) STRICT, WITHOUT ROWID;

-- state: 0 pending, 1 unknown, 2 answered.
CREATE TABLE effects (
    id              BLOB PRIMARY KEY,
    lane            INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    subject         TEXT NOT NULL,
    request         BLOB NOT NULL,
    caused_at       INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    due             INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    state           INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    traceparent     TEXT,
    error           TEXT,
    answer          BLOB,
    answered_at     INTEGER
) STRICT, WITHOUT ROWID;

-- What is answered leaves the index: it stays as small as what is open.
CREATE INDEX effects_open ON effects (lane, due, id) WHERE state <> 2;

CREATE TABLE timers (
    id      BLOB PRIMARY KEY,
    lane    INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    due     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX timers_due ON timers (lane, due, id);
