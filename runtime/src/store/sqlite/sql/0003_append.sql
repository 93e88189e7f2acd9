-- Facts are put at the end of the table, in whatever order lanes write them, and found by an index whose entries are small:
-- a tree of whole rows in the order of lanes has rows moved from page to page with every unit.

-- Views that name the table are left as they are; else SQLite would follow the old one with them.
PRAGMA legacy_alter_table = ON;
ALTER TABLE outbox RENAME TO ordered_outbox;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE outbox (
    lane           INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    event_id       BLOB NOT NULL UNIQUE,
    topic          TEXT NOT NULL,
    partition      INTEGER NOT NULL,
    timestamp      INTEGER NOT NULL,
    key            BLOB,
    value          BLOB,
    packed_headers BLOB NOT NULL,
    reason         TEXT,
    written_at     INTEGER NOT NULL,
    UNIQUE (lane, sequence)
) STRICT;

INSERT INTO outbox SELECT * FROM ordered_outbox ORDER BY lane, sequence;
DROP TABLE ordered_outbox;
