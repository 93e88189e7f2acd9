-- From here on rows bear packed headers. A program of before would take them for none and publish facts without; under
-- another name it does not find them, and stops.

ALTER TABLE outbox RENAME COLUMN headers TO packed_headers;
