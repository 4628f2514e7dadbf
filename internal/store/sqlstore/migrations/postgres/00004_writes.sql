-- +goose Up
SET LOCAL tollgate.account = '*';

-- The answer to a request with an idempotency key. The row is written in the
-- transaction of the request's own effect.
CREATE TABLE idempotency_keys (
	account_id BIGINT NOT NULL,
	key        TEXT COLLATE "C" NOT NULL,
	request    BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	status     BIGINT NOT NULL,
	etag       TEXT COLLATE "C" NOT NULL,
	body       BYTEA NOT NULL,
	PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Every change of configuration. id counts from 1 without gaps; doc is the event as
-- it was hashed, and the other columns repeat parts of it to be selected by. hash is
-- the SHA-256 of the hash before it and of doc. An account that is deleted leaves its
-- events behind, so account_id refers to nothing.
CREATE TABLE audit_events (
	id         BIGINT NOT NULL PRIMARY KEY,
	account_id BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	doc        TEXT COLLATE "C" NOT NULL,
	hash       BYTEA NOT NULL
);
CREATE INDEX audit_events_account ON audit_events (account_id, created_at);

-- The end of the chain. Whoever appends to the chain locks this row first.
CREATE TABLE audit_head (
	one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	last BIGINT NOT NULL,
	hash BYTEA NOT NULL
);
INSERT INTO audit_head (one, last, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- +goose StatementBegin
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'audit events are never changed or deleted';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_events_kept BEFORE UPDATE OR DELETE ON audit_events
	FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_events_not_emptied BEFORE TRUNCATE ON audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- A key that is being rotated is found by either hash.
ALTER TABLE api_keys ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE api_keys ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN name_fold TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN previous_hash BYTEA;
CREATE UNIQUE INDEX api_keys_previous ON api_keys (previous_hash);
UPDATE api_keys SET updated_at = created_at, name = COALESCE(doc::json ->> 'Name', ''),
	name_fold = lower(COALESCE(doc::json ->> 'Name', '') COLLATE "default");

CREATE TABLE key_uses (
	account_id BIGINT NOT NULL,
	key_id     BIGINT NOT NULL,
	used_at    BIGINT NOT NULL,
	PRIMARY KEY (account_id, key_id)
);

-- +goose StatementBegin
DO $$
DECLARE
	guarded TEXT;
BEGIN
	FOREACH guarded IN ARRAY ARRAY['idempotency_keys', 'audit_events', 'key_uses']
	LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
		EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
		EXECUTE format('CREATE POLICY account ON %I USING (
			(SELECT current_setting(''tollgate.account'', true)) = ''*''
			OR account_id::TEXT = (SELECT current_setting(''tollgate.account'', true)))', guarded);
	END LOOP;
END
$$;
-- +goose StatementEnd
