-- From here on rows bear packed headers, in which a program of before would find none: it has to be refused.

COMMENT ON COLUMN outbox.headers IS 'packed: ids as bytes, usual names and values as numbers, nothing that other columns say';
