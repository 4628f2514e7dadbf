-- +goose Up

-- What was told of a profile's daily limit: a bit for each threshold, and the
-- limit whose reaching was told last.
ALTER TABLE profile_days ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE profile_days ADD COLUMN told_limit INTEGER NOT NULL DEFAULT 0;

-- connection_id is 0 for the whole account.
CREATE TABLE webhook_endpoints (
	account_id    INTEGER NOT NULL REFERENCES accounts (id),
	id            INTEGER NOT NULL,
	version       INTEGER NOT NULL,
	created_at    INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL,
	connection_id INTEGER NOT NULL,
	enabled       INTEGER NOT NULL,
	url           TEXT    NOT NULL,
	doc           TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX webhook_endpoints_id ON webhook_endpoints (id);
CREATE INDEX webhook_endpoints_connection ON webhook_endpoints (account_id, connection_id);

CREATE TABLE webhook_events (
	id            BLOB    NOT NULL PRIMARY KEY,
	account_id    INTEGER NOT NULL,
	connection_id INTEGER NOT NULL,
	type          TEXT    NOT NULL,
	occurred_at   INTEGER NOT NULL,
	made_at       INTEGER NOT NULL,
	payload       TEXT    NOT NULL
) STRICT;
CREATE INDEX webhook_events_made ON webhook_events (made_at);

-- The endpoint may be gone, or be that of a connection; its deliveries are then
-- deleted some time later. ready_at is when a pending delivery can be claimed:
-- at its next attempt or, while it is leased, at the end of its lease.
CREATE TABLE webhook_deliveries (
	id          BLOB    NOT NULL PRIMARY KEY,
	account_id  INTEGER NOT NULL,
	endpoint_id INTEGER NOT NULL,
	event_id    BLOB    NOT NULL,
	event_type  TEXT    NOT NULL,
	state       TEXT    NOT NULL,
	created_at  INTEGER NOT NULL,
	next_at     INTEGER NOT NULL,
	ready_at    INTEGER NOT NULL,
	leased      INTEGER NOT NULL,
	claim       INTEGER NOT NULL,
	attempts    INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_deliveries_account ON webhook_deliveries (account_id, created_at);
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, created_at);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint_id, ready_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (endpoint_id, ready_at) WHERE state = 'pending' AND leased = 1;

CREATE TABLE webhook_attempts (
	delivery_id BLOB    NOT NULL,
	number      INTEGER NOT NULL,
	started_at  INTEGER NOT NULL,
	duration_ms INTEGER NOT NULL,
	status_code INTEGER NOT NULL,
	url         TEXT    NOT NULL,
	error       TEXT    NOT NULL,
	response    TEXT    NOT NULL,
	PRIMARY KEY (delivery_id, number)
) STRICT;

CREATE TABLE webhook_queues (
	account_id INTEGER NOT NULL PRIMARY KEY,
	pending    INTEGER NOT NULL,
	refused    INTEGER NOT NULL
) STRICT;
