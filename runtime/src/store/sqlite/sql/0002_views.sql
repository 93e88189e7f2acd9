-- For people and tools: ids as hyphenated text, times as RFC 3339, numbers of states as words.

CREATE VIEW v_meta AS
SELECT group_name, instance, strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at,
       CASE WHEN inbox_horizon >= 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', inbox_horizon / 1000.0, 'unixepoch') END AS inbox_horizon
FROM meta;

CREATE VIEW v_lanes AS
SELECT lane, epoch, turn, next_out_seq, published_seq, next_out_seq - 1 - published_seq AS unpublished
FROM lanes;

CREATE VIEW v_progress AS
SELECT topic, partition, start_offset, next_offset, applied, duplicate, dead, skipped
FROM progress;

CREATE VIEW v_inbox AS
SELECT lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS event_id,
       CASE status WHEN 0 THEN 'applied' ELSE 'dead' END AS status,
       strftime('%Y-%m-%dT%H:%M:%fZ', event_time / 1000.0, 'unixepoch') AS event_time,
       strftime('%Y-%m-%dT%H:%M:%fZ', handled_at / 1000.0, 'unixepoch') AS handled_at,
       lower(hex(hash)) AS hash
FROM inbox;

CREATE VIEW v_state AS
SELECT entity, key, version, body
FROM state;

CREATE VIEW v_outbox AS
SELECT o.lane, o.sequence, o.sequence <= l.published_seq AS published,
       lower(substr(hex(o.event_id), 1, 8) || '-' || substr(hex(o.event_id), 9, 4) || '-' || substr(hex(o.event_id), 13, 4) || '-' || substr(hex(o.event_id), 17, 4) || '-' || substr(hex(o.event_id), 21)) AS event_id,
       o.topic, o.partition, CAST(o.key AS TEXT) AS key,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.timestamp / 1000.0, 'unixepoch') AS timestamp,
       o.reason, length(o.value) AS bytes
FROM outbox AS o JOIN lanes AS l USING (lane);

CREATE VIEW v_dead_letters AS
SELECT lane, sequence, published, event_id, topic, partition, key, timestamp, reason, bytes
FROM v_outbox
WHERE reason IS NOT NULL;

CREATE VIEW v_effects AS
SELECT lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS effect_id,
       lane, kind, subject, idempotency_key,
       CASE state WHEN 0 THEN 'pending' WHEN 1 THEN 'unknown' ELSE 'answered' END AS state,
       attempts, strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at, strftime('%Y-%m-%dT%H:%M:%fZ', due / 1000.0, 'unixepoch') AS due,
       strftime('%Y-%m-%dT%H:%M:%fZ', answered_at / 1000.0, 'unixepoch') AS answered_at,
       error, CAST(request AS TEXT) AS request, CAST(answer AS TEXT) AS answer
FROM effects;

CREATE VIEW v_timers AS
SELECT lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS timer_id, lane, kind, subject, strftime('%Y-%m-%dT%H:%M:%fZ', due / 1000.0, 'unixepoch') AS due
FROM timers;
