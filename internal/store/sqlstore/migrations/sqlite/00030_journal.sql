-- +goose Up

-- What groups of commands have changed and the tables of the ledger do not have yet,
-- in the order of the groups: see journal.go.
CREATE TABLE ledger_journal (
	seq  INTEGER NOT NULL PRIMARY KEY,
	body BLOB    NOT NULL
) STRICT;

-- Leases are kept in the order in which calls began. The ledger in memory knows the
-- place of each, so that none is looked for: rows that are new lie together, where by
-- their ids, which are random, each would be on a page of its own.
ALTER TABLE leases RENAME TO leases_by_id;
CREATE TABLE leases (
	place      INTEGER NOT NULL PRIMARY KEY,
	account_id INTEGER NOT NULL,
	id         BLOB    NOT NULL,
	body       BLOB    NOT NULL
) STRICT;
INSERT INTO leases (account_id, id, body) SELECT account_id, id, body FROM leases_by_id;
DROP TABLE leases_by_id;
