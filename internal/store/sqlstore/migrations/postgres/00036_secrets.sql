-- +goose Up

-- The keys of the secrets key file under which something here may be sealed, by their
-- ids. The keys themselves are never in the database.
CREATE TABLE secret_keys (
	id TEXT COLLATE "C" PRIMARY KEY
);

-- The key under which the hash of an event was made; '' in events of before it.
ALTER TABLE audit_events ADD COLUMN key TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Every API key that TOLLGATE_API_KEY has ever named, by its hash. key_id is the key
-- that was made for it, 0 when there was one already.
CREATE TABLE variable_keys (
	hash   BYTEA PRIMARY KEY,
	key_id BIGINT NOT NULL
);
