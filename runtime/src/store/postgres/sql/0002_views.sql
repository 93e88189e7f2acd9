-- For people and tools: times are timestamps, numbers of states are words, bytes are text where they are text.

-- Bytes that are not UTF-8, or hold a NUL, are shown escaped: one record of a stranger must not end a query over all.
CREATE FUNCTION shown(bytes bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN encode(bytes, 'escape');
END
$$;

-- The timestamp of a number of milliseconds; NULL beyond what a calendar holds.
CREATE FUNCTION shown_time(ms bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN ms BETWEEN -62135596800000 AND 253402300799999 THEN to_timestamp(ms / 1000.0) END
$$;

CREATE VIEW v_meta AS
SELECT group_name, instance, shown_time(created_at) AS created_at,
       CASE WHEN inbox_horizon >= 0 THEN shown_time(inbox_horizon) END AS inbox_horizon
FROM meta;

CREATE VIEW v_lanes AS
SELECT lane, epoch, turn, next_out_seq, published_seq, next_out_seq - 1 - published_seq AS unpublished
FROM lanes;

CREATE VIEW v_progress AS
SELECT topic, partition, start_offset, next_offset, applied, duplicate, dead, skipped
FROM progress;

CREATE VIEW v_inbox AS
SELECT id AS event_id, CASE status WHEN 0 THEN 'applied' ELSE 'dead' END AS status,
       shown_time(event_time) AS event_time, shown_time(handled_at) AS handled_at, encode(hash, 'hex') AS hash
FROM inbox;

CREATE VIEW v_state AS
SELECT entity, key, version, body::json AS body
FROM state;

CREATE VIEW v_outbox AS
SELECT o.lane, o.sequence, o.sequence <= l.published_seq AS published, o.event_id, o.topic, o.partition,
       shown(o.key) AS key, shown_time(o.timestamp) AS timestamp, o.reason, length(o.value) AS bytes
FROM outbox AS o JOIN lanes AS l USING (lane);

CREATE VIEW v_dead_letters AS
SELECT lane, sequence, published, event_id, topic, partition, key, timestamp, reason, bytes
FROM v_outbox
WHERE reason IS NOT NULL;

CREATE VIEW v_effects AS
SELECT id AS effect_id, lane, kind, subject, idempotency_key,
       CASE state WHEN 0 THEN 'pending' WHEN 1 THEN 'unknown' ELSE 'answered' END AS state,
       attempts, shown_time(created_at) AS created_at, shown_time(due) AS due, shown_time(answered_at) AS answered_at,
       error, shown(request) AS request, shown(answer) AS answer
FROM effects;

CREATE VIEW v_timers AS
SELECT id AS timer_id, lane, kind, subject, shown_time(due) AS due
FROM timers;
