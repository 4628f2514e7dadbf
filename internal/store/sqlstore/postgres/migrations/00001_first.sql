-- Times are Unix microseconds in UTC. Money is nano-dollars. doc is the JSON of
-- the resource; the columns beside it are what is referred to, filtered or sorted by.
-- The tables are those of the SQLite schema, but for the ledger and for what several
-- nodes need. Texts sort by their bytes, as there. A later migration that changes
-- rows has to begin with SET LOCAL tollgate.account = '*'; see the end of this file.

-- What wrote the database: see form.go, which adds the row.
CREATE TABLE stored_form (
	one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	form TEXT COLLATE "C" NOT NULL
);

-- A resource as others are: see sqlstore/account.go. Each is its own account.
CREATE TABLE accounts (
	account_id   BIGINT NOT NULL CHECK (account_id = id),
	id           BIGINT NOT NULL PRIMARY KEY,
	version      BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	updated_at   BIGINT NOT NULL,
	default_deck BIGINT NOT NULL,
	doc          TEXT COLLATE "C" NOT NULL
);

-- The tables of resources.

CREATE TABLE key_uses (
	account_id BIGINT NOT NULL,
	key_id     BIGINT NOT NULL,
	used_at    BIGINT NOT NULL,
	PRIMARY KEY (account_id, key_id)
);

CREATE TABLE rate_decks (
	account_id BIGINT NOT NULL REFERENCES accounts (id),
	id         BIGINT NOT NULL,
	version    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	name       TEXT COLLATE "C" NOT NULL,
	name_fold  TEXT COLLATE "C" NOT NULL,
	row_count  BIGINT NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX rate_decks_id ON rate_decks (id);

-- The rows of a deck in prefix order, some thousands in each chunk.
CREATE TABLE deck_chunks (
	account_id BIGINT NOT NULL,
	deck_id    BIGINT NOT NULL,
	first_row  BIGINT NOT NULL,
	row_count  BIGINT NOT NULL,
	body       BYTEA NOT NULL,
	PRIMARY KEY (account_id, deck_id, first_row),
	FOREIGN KEY (account_id, deck_id) REFERENCES rate_decks (account_id, id)
);

-- How a tag was written when the account first used it. fold is its lower case.
CREATE TABLE tags (
	account_id BIGINT NOT NULL,
	fold       TEXT COLLATE "C" NOT NULL,
	tag        TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, fold)
);

-- The tags that profiles have now.
CREATE TABLE profile_tags (
	account_id BIGINT NOT NULL,
	profile_id BIGINT NOT NULL,
	fold       TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, profile_id, fold)
);

-- The calls of the last day in which a code was said, which are bounded. They outlast the
-- numbers, and the accounts, that they were for.
CREATE TABLE verification_calls (
	account_id   BIGINT  NOT NULL,
	id           BIGINT  NOT NULL,
	phone_number BIGINT  NOT NULL,
	started_at   BIGINT  NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE INDEX verification_calls_started ON verification_calls (started_at);
CREATE INDEX verification_calls_number ON verification_calls (phone_number, started_at);

-- The ledger. Its rows name profiles and connections that may have been deleted
-- since, so they refer to nothing. What a group of commands changes is kept from
-- others by the lock of the rows in ledger_scopes.

-- A row for every profile, and for every account and connection that has a limit,
-- from its first call on; it is there to be locked. at is when the present
-- accounting day of the profile was opened: the day never goes back.
CREATE TABLE ledger_scopes (
	id BIGINT NOT NULL PRIMARY KEY,
	at BIGINT NOT NULL DEFAULT 0
);

-- The columns beside body are what live calls are counted and found by.
CREATE TABLE leases (
	-- The columns of leases.
);
CREATE INDEX leases_account ON leases (account_id, id);
CREATE INDEX leases_profile ON leases (profile_id) WHERE NOT emergency;
CREATE INDEX leases_connection ON leases (connection_id) WHERE NOT emergency;
CREATE INDEX leases_expiry ON leases (expires_at);
CREATE INDEX leases_hung_up ON leases (owner) WHERE hung_up;

-- What a scope has posted and holds on a day: each profile, and what else has a daily
-- limit, from when on it has one. scope_kind and scope_id are an admission.Scope. told has
-- a bit for each threshold of the limit that was told of, told_limit is the limit whose
-- reaching was told last.
CREATE TABLE spend_days (
	-- The columns of spend_days.
) WITH (fillfactor = 50); -- each group of calls rewrites its rows

-- Scopes whose calls are refused until somebody releases them, or until until_day
-- when that is not 0.
CREATE TABLE spend_holds (
	-- The columns of spend_holds.
);

-- The emergency calls of a connection that started on a day, how many of them have
-- ended, and what emergency calls were billed and charged on it. No limit counts it.
CREATE TABLE emergency_days (
	-- The columns of emergency_days.
);

CREATE TABLE callee_counts (
	-- The columns of callee_counts.
);
CREATE INDEX callee_counts_period ON callee_counts (period);

CREATE TABLE call_records (
	-- The columns of call_records.
	written XID8 DEFAULT pg_current_xact_id(), -- the transaction that wrote a record
	UNIQUE (id)
);
-- Events of calls are looked for by the time of their end, which is never before
-- any of them. Calls end about in this order, so the index grows at its end.
CREATE INDEX call_records_ended ON call_records (account_id, ended_at);
CREATE INDEX call_records_started ON call_records (account_id, started_at, id)
	INCLUDE (outcome, country, number_type, sip_status, gateway_id, emergency, caller, callee, reason);
CREATE INDEX call_records_profile ON call_records (account_id, profile_id, started_at, id);
CREATE INDEX call_records_connection ON call_records (account_id, connection_id, started_at, id);
CREATE INDEX call_records_written ON call_records (account_id, written);

-- What each call was charged on each day. The sum by profile and day is what
-- spend_days has posted of the profile, once the calls have ended.
CREATE TABLE call_slices (
	-- The columns of call_slices.
);

-- How often records of an account were deleted, since a count of before does not hold
-- any more, and the UTC day before which all calls ended whose records were.
CREATE TABLE record_sweeps (
	account_id BIGINT NOT NULL PRIMARY KEY,
	sweeps     BIGINT NOT NULL,
	before_day BIGINT NOT NULL
);

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
	hash       BYTEA NOT NULL,
	-- The key under which the hash of an event was made.
	key        TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX audit_events_account ON audit_events (account_id, created_at);
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'audit events are never changed or deleted';
END
$$;
CREATE TRIGGER audit_events_kept BEFORE UPDATE OR DELETE ON audit_events
	FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_events_not_emptied BEFORE TRUNCATE ON audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- The end of the chain. Whoever appends to the chain locks this row first.
CREATE TABLE audit_head (
	one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	last BIGINT NOT NULL,
	hash BYTEA NOT NULL
);
INSERT INTO audit_head (one, last, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- The keys of the secrets key file under which something here may be sealed, by their
-- ids. The keys themselves are never in the database.
CREATE TABLE secret_keys (
	id TEXT COLLATE "C" PRIMARY KEY
);

-- Every API key that TOLLGATE_API_KEY has ever named, by its hash. key_id is the key
-- that was made for it, 0 when there was one already.
CREATE TABLE variable_keys (
	hash   BYTEA PRIMARY KEY,
	key_id BIGINT NOT NULL
);

-- Sources that the SIP gateway does not listen to. prefix is an address or a network
-- in its canonical text. expires_at is 0 for never. They belong to no account.
CREATE TABLE bans (
	prefix     TEXT COLLATE "C" PRIMARY KEY,
	reason     TEXT COLLATE "C" NOT NULL,
	automatic  BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);

-- The contacts that telephones have registered, until some time after they have ended.
-- owner is the run of the node that has written the row, and changed when: a number that
-- rises, by which other nodes find it.
CREATE TABLE registrations (
	account_id    BIGINT NOT NULL,
	connection_id BIGINT NOT NULL,
	contact       TEXT COLLATE "C" NOT NULL,
	call_id       TEXT COLLATE "C" NOT NULL,
	seq           BIGINT NOT NULL,
	at            BIGINT NOT NULL,
	registered_at BIGINT NOT NULL,
	until         BIGINT NOT NULL,
	removed       BOOLEAN NOT NULL,
	source        TEXT COLLATE "C" NOT NULL,
	transport     TEXT COLLATE "C" NOT NULL,
	user_agent    TEXT COLLATE "C" NOT NULL,
	owner         BYTEA   NOT NULL,
	changed       BIGINT NOT NULL,
	PRIMARY KEY (account_id, connection_id, contact)
);
CREATE INDEX registrations_changed ON registrations (changed);

-- The row is put in by whoever restores a copy, and goes when a node is started.
CREATE TABLE copied (
	one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	at  BIGINT NOT NULL
);

-- The one row is written to find out whether the database can commit.
CREATE TABLE pings (
	one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	at  BIGINT NOT NULL
);

-- Nodes. An owner is one run of a node; expired says that others have given it up,
-- and that it may not admit under this owner any more.
CREATE TABLE nodes (
	owner        BYTEA NOT NULL PRIMARY KEY,
	name         TEXT COLLATE "C" NOT NULL,
	heartbeat_at BIGINT NOT NULL,
	expired      BOOLEAN NOT NULL
);
CREATE INDEX nodes_name ON nodes (name);

-- How many changes of the configuration there have been, and which.
CREATE TABLE config_state (
	one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	seq BIGINT NOT NULL
);
INSERT INTO config_state (one, seq) VALUES (1, 0);

CREATE TABLE config_changes (
	seq        BIGINT NOT NULL PRIMARY KEY,
	kind       TEXT COLLATE "C" NOT NULL,
	account_id BIGINT NOT NULL,
	object_id  BIGINT NOT NULL
);

-- The second wall between accounts, behind the conditions of every query: a
-- transaction sees and writes the rows of the account that it has set, those of all
-- accounts with '*', and none when it has set nothing. It holds for the owner of
-- the tables as well, but not for superusers.
DO $$
DECLARE
	guarded TEXT;
BEGIN
	FOREACH guarded IN ARRAY ARRAY[
		/* resources */ 'accounts', 'key_uses', 'rate_decks', 'deck_chunks', 'tags', 'profile_tags',
		'verification_calls', 'leases', 'spend_days', 'spend_holds', 'emergency_days', 'callee_counts',
		'call_records', 'call_slices', 'record_sweeps', 'recordings', 'webhook_events', 'webhook_deliveries',
		'webhook_queues', 'idempotency_keys', 'audit_events', 'registrations']
	LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
		EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
		EXECUTE format('CREATE POLICY account ON %I USING (
			(SELECT current_setting(''tollgate.account'', true)) = ''*''
			OR account_id::TEXT = (SELECT current_setting(''tollgate.account'', true)))', guarded);
	END LOOP;
END
$$;

-- An attempt has no account of its own: it is in sight when its delivery is.
ALTER TABLE webhook_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_attempts FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON webhook_attempts USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.id = delivery_id));
