-- Times are milliseconds since 1970-01-01 UTC, hashes 16 bytes; the views of 0002 decode them. The group is in no key:
-- the schema is one group's.

CREATE TABLE meta (
    one           smallint PRIMARY KEY CHECK (one = 1),
    instance      uuid NOT NULL,
    group_name    text,
    created_at    bigint NOT NULL,
    inbox_horizon bigint NOT NULL
);

CREATE TABLE topics (
    topic           text COLLATE "C" PRIMARY KEY,
    partition_count integer NOT NULL CHECK (partition_count > 0)
);

-- Rewritten by every unit: pages with room keep the new row beside the old one, and no index learns of it.
CREATE TABLE lanes (
    lane          integer PRIMARY KEY,
    epoch         bigint NOT NULL,
    turn          bigint NOT NULL DEFAULT 0,
    next_out_seq  bigint NOT NULL DEFAULT 1,
    published_seq bigint NOT NULL DEFAULT 0,
    flood_run     bigint NOT NULL DEFAULT 0,
    flood_records bigint NOT NULL DEFAULT 0,
    flood_dead    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- A partition's number is its lane's, so a lane finds its rows side by side.
CREATE TABLE progress (
    partition    integer NOT NULL,
    topic        text COLLATE "C" NOT NULL,
    next_offset  bigint NOT NULL,
    start_offset bigint NOT NULL,
    applied      bigint NOT NULL DEFAULT 0,
    duplicate    bigint NOT NULL DEFAULT 0,
    dead         bigint NOT NULL DEFAULT 0,
    skipped      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (partition, topic)
) WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- status: 0 applied, 1 dead.
CREATE TABLE inbox (
    id         uuid PRIMARY KEY,
    event_time bigint NOT NULL,
    handled_at bigint NOT NULL,
    status     smallint NOT NULL CHECK (status IN (0, 1)),
    hash       bytea NOT NULL
);

-- Keys in byte order: the order of locks must be the same for every server, whatever its locale.
CREATE TABLE state (
    entity  text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body    text NOT NULL,
    PRIMARY KEY (entity, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE outbox (
    lane       integer NOT NULL,
    partition  integer NOT NULL,
    sequence   bigint NOT NULL,
    timestamp  bigint NOT NULL,
    written_at bigint NOT NULL,
    event_id   uuid NOT NULL UNIQUE,
    topic      text COLLATE "C" NOT NULL,
    reason     text,
    key        bytea,
    value      bytea,
    headers    bytea NOT NULL,
    PRIMARY KEY (lane, sequence)
);

-- state: 0 pending, 1 unknown, 2 answered.
CREATE TABLE effects (
    id              uuid PRIMARY KEY,
    lane            integer NOT NULL,
    attempts        integer NOT NULL,
    caused_at       bigint NOT NULL,
    created_at      bigint NOT NULL,
    due             bigint NOT NULL,
    answered_at     bigint,
    state           smallint NOT NULL CHECK (state IN (0, 1, 2)),
    kind            text NOT NULL,
    idempotency_key text NOT NULL,
    subject         text NOT NULL,
    traceparent     text,
    error           text,
    request         bytea NOT NULL,
    answer          bytea
);

-- What is answered leaves the index: it stays as small as what is open.
CREATE INDEX effects_open ON effects (lane, due, id) WHERE state <> 2;

CREATE TABLE timers (
    id      uuid PRIMARY KEY,
    lane    integer NOT NULL,
    due     bigint NOT NULL,
    kind    text NOT NULL,
    subject text NOT NULL
);

CREATE INDEX timers_due ON timers (lane, due, id);
