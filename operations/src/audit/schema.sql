-- The audit's temporary database. Topics and groups are numbers, their places in the system; ids and hashes are BLOBs.

-- Partitions that a group reads, as its database has them. What lies below `due` must be settled.
CREATE TABLE progress (
    grp INTEGER, topic INTEGER, partition INTEGER, due INTEGER, start_offset INTEGER, next_offset INTEGER,
    applied INTEGER, duplicate INTEGER, dead INTEGER, skipped INTEGER,
    PRIMARY KEY (grp, topic, partition)
) WITHOUT ROWID;

-- Records that groups read, as the topics have them. kind: 0 other, 1 order, 2 received, 3 changed by, 4 counted.
-- subject: the order's id or the product. letter_id: the id its dead letter would bear; for redriven records only.
CREATE TABLE inputs (
    topic INTEGER, partition INTEGER, offset INTEGER, redriven INTEGER, timestamp INTEGER,
    event_id BLOB, hash BLOB, body BLOB, kind INTEGER, subject, amount INTEGER, currency TEXT, letter_id BLOB,
    PRIMARY KEY (topic, partition, offset)
) WITHOUT ROWID;

CREATE TABLE inbox (grp INTEGER, id BLOB, hash BLOB, dead INTEGER, PRIMARY KEY (grp, id)) WITHOUT ROWID;

-- Outbox rows. copies: how many records of a topic are the same. differing: how many bear its sequence and differ.
-- value: only of what is not known to be published.
CREATE TABLE facts (
    grp INTEGER, lane INTEGER, sequence INTEGER, event_id BLOB, topic INTEGER, partition INTEGER, body BLOB,
    headers BLOB, letter INTEGER, published INTEGER, value BLOB, copies INTEGER DEFAULT 0, differing INTEGER DEFAULT 0,
    PRIMARY KEY (grp, lane, sequence)
) WITHOUT ROWID;

-- Sequences that the outbox lacks, and those of them that are in a topic.
CREATE TABLE gaps (grp INTEGER, lane INTEGER, first INTEGER, last INTEGER);
CREATE TABLE found (grp INTEGER, lane INTEGER, sequence INTEGER, PRIMARY KEY (grp, lane, sequence)) WITHOUT ROWID;

-- Dead letters. origin_*: where their headers say the record stood. topic, partition, offset: the record refused.
CREATE TABLE letters (
    grp INTEGER, lane INTEGER, sequence INTEGER, event_id BLOB, origin_topic INTEGER, origin_partition INTEGER,
    origin_offset INTEGER, topic INTEGER, partition INTEGER, offset INTEGER, origin_body BLOB
);
CREATE INDEX letters_fact ON letters (grp, lane, sequence);
CREATE INDEX letters_place ON letters (grp, topic, partition, offset);

-- Ids under which the inbox may know a record that has a dead letter.
CREATE TABLE buried (grp INTEGER, id BLOB, PRIMARY KEY (grp, id)) WITHOUT ROWID;

-- What was announced of orders. kind: 1 reserved, 2 unavailable, 3 processed, 4 failed. known: the outbox has it so.
CREATE TABLE outcomes (
    grp INTEGER, order_id BLOB, event_id BLOB, kind INTEGER, known INTEGER, topic INTEGER, partition INTEGER,
    offset INTEGER, digest BLOB, amount INTEGER, currency TEXT, said TEXT,
    PRIMARY KEY (grp, order_id, event_id)
) WITHOUT ROWID;

-- What databases keep of orders; no digest where there is no outcome yet.
CREATE TABLE kept (grp INTEGER, order_id BLOB, digest BLOB, PRIMARY KEY (grp, order_id)) WITHOUT ROWID;

CREATE TABLE stock (
    product TEXT PRIMARY KEY, received INTEGER, adjusted INTEGER, available INTEGER, reserved INTEGER
) WITHOUT ROWID;
CREATE TABLE held (product TEXT PRIMARY KEY, quantity INTEGER) WITHOUT ROWID;
-- What the topics make of a product's stock, and its last event.
CREATE TABLE expected (
    product TEXT PRIMARY KEY, received INTEGER, adjusted INTEGER, partition INTEGER, offset INTEGER, event_id BLOB,
    topic INTEGER
) WITHOUT ROWID;

CREATE TABLE ledger (
    key TEXT PRIMARY KEY, order_id, charge_id TEXT, reason TEXT, amount INTEGER, currency TEXT
) WITHOUT ROWID;
-- Idempotency keys of calls without an answer.
CREATE TABLE asked (key TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE INDEX inputs_orders ON inputs (subject) WHERE kind = 1;
CREATE INDEX inputs_letters ON inputs (letter_id) WHERE letter_id IS NOT NULL;
CREATE INDEX ledger_orders ON ledger (order_id);

CREATE VIEW handled AS
SELECT p.grp, p.due, i.*
FROM progress AS p JOIN inputs AS i
    ON i.topic = p.topic AND i.partition = p.partition AND i.offset >= p.start_offset AND i.offset < p.next_offset;

-- A record the inbox does not know is reported as such, and taken for applied: else all that follows from it would be
-- reported as well.
CREATE VIEW applied AS
SELECT h.* FROM handled AS h LEFT JOIN inbox AS b ON b.grp = h.grp AND b.id = h.event_id
WHERE h.event_id IS NOT NULL AND (
    (b.dead = 0 AND b.hash = h.hash)
    OR (b.id IS NULL AND NOT h.redriven AND NOT EXISTS (
        SELECT 1 FROM letters AS l
        WHERE l.grp = h.grp AND l.topic = h.topic AND l.partition = h.partition AND l.offset = h.offset)));
