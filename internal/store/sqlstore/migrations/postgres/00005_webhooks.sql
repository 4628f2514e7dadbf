-- +goose Up
SET LOCAL tollgate.account = '*';

-- What was told of a profile's daily limit: a bit for each threshold, and the
-- limit whose reaching was told last.
ALTER TABLE profile_days ADD COLUMN told BIGINT NOT NULL DEFAULT 0;
ALTER TABLE profile_days ADD COLUMN told_limit BIGINT NOT NULL DEFAULT 0;

-- connection_id is 0 for the whole account.
CREATE TABLE webhook_endpoints (
	account_id    BIGINT NOT NULL REFERENCES accounts (id),
	id            BIGINT NOT NULL,
	version       BIGINT NOT NULL,
	created_at    BIGINT NOT NULL,
	updated_at    BIGINT NOT NULL,
	connection_id BIGINT NOT NULL,
	enabled       BOOLEAN NOT NULL,
	url           TEXT COLLATE "C" NOT NULL,
	doc           TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX webhook_endpoints_id ON webhook_endpoints (id);
CREATE INDEX webhook_endpoints_connection ON webhook_endpoints (account_id, connection_id);

CREATE TABLE webhook_events (
	id            BYTEA NOT NULL PRIMARY KEY,
	account_id    BIGINT NOT NULL,
	connection_id BIGINT NOT NULL,
	type          TEXT COLLATE "C" NOT NULL,
	occurred_at   BIGINT NOT NULL,
	made_at       BIGINT NOT NULL,
	payload       TEXT COLLATE "C" NOT NULL
);
CREATE INDEX webhook_events_made ON webhook_events (made_at);

-- The endpoint may be gone, or be that of a connection; its deliveries are then
-- deleted some time later. ready_at is when a pending delivery can be claimed:
-- at its next attempt or, while it is leased, at the end of its lease.
CREATE TABLE webhook_deliveries (
	id          BYTEA NOT NULL PRIMARY KEY,
	account_id  BIGINT NOT NULL,
	endpoint_id BIGINT NOT NULL,
	event_id    BYTEA NOT NULL,
	event_type  TEXT COLLATE "C" NOT NULL,
	state       TEXT COLLATE "C" NOT NULL,
	created_at  BIGINT NOT NULL,
	next_at     BIGINT NOT NULL,
	ready_at    BIGINT NOT NULL,
	leased      BIGINT NOT NULL,
	claim       BIGINT NOT NULL,
	attempts    BIGINT NOT NULL
);
CREATE INDEX webhook_deliveries_account ON webhook_deliveries (account_id, created_at);
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, created_at);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint_id, ready_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (endpoint_id, ready_at) WHERE state = 'pending' AND leased = 1;

CREATE TABLE webhook_attempts (
	delivery_id BYTEA NOT NULL,
	number      BIGINT NOT NULL,
	started_at  BIGINT NOT NULL,
	duration_ms BIGINT NOT NULL,
	status_code BIGINT NOT NULL,
	url         TEXT COLLATE "C" NOT NULL,
	error       TEXT COLLATE "C" NOT NULL,
	response    TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (delivery_id, number)
);

CREATE TABLE webhook_queues (
	account_id BIGINT NOT NULL PRIMARY KEY,
	pending    BIGINT NOT NULL,
	refused    BIGINT NOT NULL
);

-- +goose StatementBegin
DO $$
DECLARE
	guarded TEXT;
BEGIN
	FOREACH guarded IN ARRAY ARRAY['webhook_endpoints', 'webhook_events', 'webhook_deliveries', 'webhook_queues']
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

-- An attempt has no account of its own: it is in sight when its delivery is.
ALTER TABLE webhook_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_attempts FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON webhook_attempts USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.id = delivery_id));
