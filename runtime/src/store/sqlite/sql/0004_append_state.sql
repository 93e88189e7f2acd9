-- The rows of the service, as facts since 0003: put at the end of the table and found by an index. Rows that lanes share are
-- written over where they stand; in a tree of whole rows SQLite took each out and put it in again.

PRAGMA legacy_alter_table = ON;
ALTER TABLE state RENAME TO ordered_state;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE state (
    entity  TEXT NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    UNIQUE (entity, key)
) STRICT;

INSERT INTO state SELECT * FROM ordered_state ORDER BY entity, key;
DROP TABLE ordered_state;
