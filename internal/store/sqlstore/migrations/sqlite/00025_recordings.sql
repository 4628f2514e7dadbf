-- +goose Up

-- Finished recordings of calls. removed_at is 0; otherwise the recording is deleted
-- for everybody, and the row is there until its file is gone too. volume is which
-- disk or bucket the file is on. Calls and profiles may be gone, so nothing is
-- referred to.
CREATE TABLE recordings (
	account_id    INTEGER NOT NULL,
	id            BLOB NOT NULL UNIQUE,
	profile_id    INTEGER NOT NULL,
	connection_id INTEGER NOT NULL,
	call_id       BLOB NOT NULL,
	sip_call_id   TEXT NOT NULL,
	from_number   TEXT NOT NULL,
	to_number     TEXT NOT NULL,
	channels      INTEGER NOT NULL,
	format        TEXT NOT NULL,
	started_at    INTEGER NOT NULL,
	ended_at      INTEGER NOT NULL,
	duration_ms   INTEGER NOT NULL,
	interrupted   INTEGER NOT NULL,
	bytes         INTEGER NOT NULL,
	sha256        BLOB NOT NULL,
	place         TEXT NOT NULL,
	volume        TEXT NOT NULL,
	name          TEXT NOT NULL,
	sealed        INTEGER NOT NULL,
	created_at    INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL,
	removed_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX recordings_started ON recordings (account_id, started_at);
CREATE INDEX recordings_created ON recordings (account_id, created_at);
CREATE INDEX recordings_call ON recordings (account_id, call_id);
CREATE INDEX recordings_removed ON recordings (removed_at) WHERE removed_at > 0;
CREATE INDEX recordings_place ON recordings (place, volume) WHERE removed_at = 0;
