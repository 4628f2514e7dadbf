-- +goose Up
SET LOCAL tollgate.account = '*';

-- Finished recordings of calls. removed_at is 0; otherwise the recording is deleted
-- for everybody, and the row is there until its file is gone too. volume is which
-- disk or bucket the file is on. Calls and profiles may be gone, so nothing is
-- referred to.
CREATE TABLE recordings (
	account_id    BIGINT NOT NULL,
	id            BYTEA NOT NULL UNIQUE,
	profile_id    BIGINT NOT NULL,
	connection_id BIGINT NOT NULL,
	call_id       BYTEA NOT NULL,
	sip_call_id   TEXT COLLATE "C" NOT NULL,
	from_number   TEXT COLLATE "C" NOT NULL,
	to_number     TEXT COLLATE "C" NOT NULL,
	channels      BIGINT NOT NULL,
	format        TEXT COLLATE "C" NOT NULL,
	started_at    BIGINT NOT NULL,
	ended_at      BIGINT NOT NULL,
	duration_ms   BIGINT NOT NULL,
	interrupted   BOOLEAN NOT NULL,
	bytes         BIGINT NOT NULL,
	sha256        BYTEA NOT NULL,
	place         TEXT COLLATE "C" NOT NULL,
	volume        TEXT COLLATE "C" NOT NULL,
	name          TEXT COLLATE "C" NOT NULL,
	sealed        BOOLEAN NOT NULL,
	created_at    BIGINT NOT NULL,
	updated_at    BIGINT NOT NULL,
	removed_at    BIGINT NOT NULL
);
CREATE INDEX recordings_started ON recordings (account_id, started_at);
CREATE INDEX recordings_created ON recordings (account_id, created_at);
CREATE INDEX recordings_call ON recordings (account_id, call_id);
CREATE INDEX recordings_removed ON recordings (removed_at) WHERE removed_at > 0;
CREATE INDEX recordings_place ON recordings (place, volume) WHERE removed_at = 0;

ALTER TABLE recordings ENABLE ROW LEVEL SECURITY;
ALTER TABLE recordings FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON recordings USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR account_id::TEXT = (SELECT current_setting('tollgate.account', true)));
