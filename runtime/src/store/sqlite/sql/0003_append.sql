-- Facts are put at the end of the table, in whatever order lanes write them, and found by an index whose entries are small:
-- a tree of whole rows in the order of lanes has rows moved from page to page with every unit.

DROP VIEW v_dead_letters;
DROP VIEW v_outbox;
ALTER TABLE outbox RENAME TO ordered_outbox;

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
    UNIQUE (lane, sequence)
) STRICT;

INSERT INTO outbox SELECT * FROM ordered_outbox ORDER BY lane, sequence;
DROP TABLE ordered_outbox;

-- As in 0002.
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
