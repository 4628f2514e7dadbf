-- +goose Up

-- The answer to a request with an idempotency key. The row is written in the
-- transaction of the request's own effect.
CREATE TABLE idempotency_keys (
	account_id INTEGER NOT NULL,
	key        TEXT    NOT NULL,
	request    BLOB    NOT NULL,
	created_at INTEGER NOT NULL,
	status     INTEGER NOT NULL,
	etag       TEXT    NOT NULL,
	body       BLOB    NOT NULL,
	PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Every change of configuration. id counts from 1 without gaps; doc is the event as
-- it was hashed, and the other columns repeat parts of it to be selected by. hash is
-- the SHA-256 of the hash before it and of doc. An account that is deleted leaves its
-- events behind, so account_id refers to nothing.
CREATE TABLE audit_events (
	id         INTEGER NOT NULL PRIMARY KEY,
	account_id INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	doc        TEXT    NOT NULL,
	hash       BLOB    NOT NULL
) STRICT;
CREATE INDEX audit_events_account ON audit_events (account_id, created_at);

-- The end of the chain.
CREATE TABLE audit_head (
	one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	last INTEGER NOT NULL,
	hash BLOB    NOT NULL
) STRICT;
INSERT INTO audit_head (one, last, hash) VALUES (1, 0, zeroblob(32));

-- +goose StatementBegin
CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
BEGIN
	SELECT RAISE(ABORT, 'audit events are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
BEGIN
	SELECT RAISE(ABORT, 'audit events are never deleted');
END;
-- +goose StatementEnd

-- A key that is being rotated is found by either hash.
ALTER TABLE api_keys ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE api_keys ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN name_fold TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN previous_hash BLOB;
CREATE UNIQUE INDEX api_keys_previous ON api_keys (previous_hash);
UPDATE api_keys SET updated_at = created_at, name = json_extract(doc, '$.Name'), name_fold = lower(json_extract(doc, '$.Name'));

CREATE TABLE key_uses (
	account_id INTEGER NOT NULL,
	key_id     INTEGER NOT NULL,
	used_at    INTEGER NOT NULL,
	PRIMARY KEY (account_id, key_id)
) STRICT, WITHOUT ROWID;
