-- Times are Unix microseconds in UTC. Money is nano-dollars. doc is the JSON of
-- the resource; the columns beside it are what is referred to, filtered or sorted by.

-- What wrote the database: see form.go, which adds the row.
CREATE TABLE stored_form (
	one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	form TEXT NOT NULL
) STRICT;

-- A resource as others are: see sqlstore/account.go. Each is its own account.
CREATE TABLE accounts (
	account_id   INTEGER NOT NULL CHECK (account_id = id),
	id           INTEGER NOT NULL PRIMARY KEY,
	version      INTEGER NOT NULL,
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL,
	default_deck INTEGER NOT NULL,
	doc          TEXT    NOT NULL
) STRICT;

-- The tables of resources.

CREATE TABLE key_uses (
	account_id INTEGER NOT NULL,
	key_id     INTEGER NOT NULL,
	used_at    INTEGER NOT NULL,
	PRIMARY KEY (account_id, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE rate_decks (
	account_id INTEGER NOT NULL REFERENCES accounts (id),
	id         INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	name       TEXT    NOT NULL,
	name_fold  TEXT    NOT NULL,
	row_count  INTEGER NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX rate_decks_id ON rate_decks (id);

-- The rows of a deck in prefix order, some thousands in each chunk.
CREATE TABLE deck_chunks (
	account_id INTEGER NOT NULL,
	deck_id    INTEGER NOT NULL,
	first_row  INTEGER NOT NULL,
	row_count  INTEGER NOT NULL,
	body       BLOB    NOT NULL,
	PRIMARY KEY (account_id, deck_id, first_row),
	FOREIGN KEY (account_id, deck_id) REFERENCES rate_decks (account_id, id)
) STRICT;

-- How a tag was written when the account first used it. fold is its lower case.
CREATE TABLE tags (
	account_id INTEGER NOT NULL,
	fold       TEXT    NOT NULL,
	tag        TEXT    NOT NULL,
	PRIMARY KEY (account_id, fold)
) STRICT, WITHOUT ROWID;

-- The tags that profiles have now.
CREATE TABLE profile_tags (
	account_id INTEGER NOT NULL,
	profile_id INTEGER NOT NULL,
	fold       TEXT    NOT NULL,
	PRIMARY KEY (account_id, profile_id, fold)
) STRICT, WITHOUT ROWID;

-- The calls of the last day in which a code was said, which are bounded. They outlast the
-- numbers, and the accounts, that they were for.
CREATE TABLE verification_calls (
	account_id   INTEGER NOT NULL,
	id           INTEGER NOT NULL,
	phone_number INTEGER NOT NULL,
	started_at   INTEGER NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE INDEX verification_calls_started ON verification_calls (started_at);
CREATE INDEX verification_calls_number ON verification_calls (phone_number, started_at);

-- The ledger. Its rows name profiles and connections that may have been deleted
-- since, so they refer to nothing.

-- What groups of commands have changed and the tables of the ledger do not have yet,
-- in the order of the groups: see journal.go.
CREATE TABLE ledger_journal (
	seq  INTEGER NOT NULL PRIMARY KEY,
	body BLOB    NOT NULL
) STRICT;

-- Leases are kept in the order in which calls began. The ledger in memory knows the
-- place of each, so that none is looked for: rows that are new lie together, where by
-- their ids, which are random, each would be on a page of its own.
CREATE TABLE leases (
	-- The columns of leases.
) STRICT;

-- What a scope has posted and holds on a day: each profile, and what else has a daily
-- limit, from when on it has one. scope_kind and scope_id are an admission.Scope. told has
-- a bit for each threshold of the limit that was told of, told_limit is the limit whose
-- reaching was told last.
CREATE TABLE spend_days (
	-- The columns of spend_days.
) STRICT, WITHOUT ROWID;
CREATE INDEX spend_days_day ON spend_days (day);

-- Scopes whose calls are refused until somebody releases them, or until until_day
-- when that is not 0.
CREATE TABLE spend_holds (
	-- The columns of spend_holds.
) STRICT, WITHOUT ROWID;

-- The emergency calls of a connection that started on a day, how many of them have
-- ended, and what emergency calls were billed and charged on it. No limit counts it.
CREATE TABLE emergency_days (
	-- The columns of emergency_days.
) STRICT, WITHOUT ROWID;

CREATE TABLE callee_counts (
	-- The columns of callee_counts.
) STRICT, WITHOUT ROWID;
CREATE INDEX callee_counts_period ON callee_counts (period);

CREATE TABLE call_records (
	-- The columns of call_records.
	UNIQUE (id)
) STRICT;
-- Events of calls are looked for by the time of their end, which is never before
-- any of them. Calls end about in this order, so the index grows at its end.
CREATE INDEX call_records_ended ON call_records (account_id, ended_at);
CREATE INDEX call_records_started ON call_records (account_id, started_at, id,
	outcome, country, number_type, sip_status, gateway_id, emergency, caller, callee, reason);
CREATE INDEX call_records_profile ON call_records (account_id, profile_id, started_at, id);
CREATE INDEX call_records_connection ON call_records (account_id, connection_id, started_at, id);

-- What each call was charged on each day. The sum by profile and day is what
-- spend_days has posted of the profile, once the calls have ended.
CREATE TABLE call_slices (
	-- The columns of call_slices.
) STRICT, WITHOUT ROWID;

-- How often records of an account were deleted, since a count of before does not hold
-- any more, and the UTC day before which all calls ended whose records were.
CREATE TABLE record_sweeps (
	account_id INTEGER NOT NULL PRIMARY KEY,
	sweeps     INTEGER NOT NULL,
	before_day INTEGER NOT NULL
) STRICT;

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
	hash       BLOB    NOT NULL,
	-- The key under which the hash of an event was made.
	key        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_events_account ON audit_events (account_id, created_at);
CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
BEGIN
	SELECT RAISE(ABORT, 'audit events are never changed');
END;
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
BEGIN
	SELECT RAISE(ABORT, 'audit events are never deleted');
END;

-- The end of the chain.
CREATE TABLE audit_head (
	one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	last INTEGER NOT NULL,
	hash BLOB    NOT NULL
) STRICT;
INSERT INTO audit_head (one, last, hash) VALUES (1, 0, zeroblob(32));

-- The keys of the secrets key file under which something here may be sealed, by their
-- ids. The keys themselves are never in the database.
CREATE TABLE secret_keys (
	id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Every API key that TOLLGATE_API_KEY has ever named, by its hash. key_id is the key
-- that was made for it, 0 when there was one already.
CREATE TABLE variable_keys (
	hash   BLOB    NOT NULL PRIMARY KEY,
	key_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sources that the SIP gateway does not listen to. prefix is an address or a network
-- in its canonical text. expires_at is 0 for never. They belong to no account.
CREATE TABLE bans (
	prefix     TEXT PRIMARY KEY,
	reason     TEXT NOT NULL,
	automatic  INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The contacts that telephones have registered, until some time after they have ended.
-- owner is the run of the node that has written the row. changed is 0: no other node looks
-- for it.
CREATE TABLE registrations (
	account_id    INTEGER NOT NULL,
	connection_id INTEGER NOT NULL,
	contact       TEXT    NOT NULL,
	call_id       TEXT    NOT NULL,
	seq           INTEGER NOT NULL,
	at            INTEGER NOT NULL,
	registered_at INTEGER NOT NULL,
	until         INTEGER NOT NULL,
	removed       INTEGER NOT NULL,
	source        TEXT    NOT NULL,
	transport     TEXT    NOT NULL,
	user_agent    TEXT    NOT NULL,
	owner         BLOB    NOT NULL,
	changed       INTEGER NOT NULL,
	PRIMARY KEY (account_id, connection_id, contact)
) STRICT, WITHOUT ROWID;

-- The row is there in a copy that was made for safekeeping, until it is opened.
CREATE TABLE copied (
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	at  INTEGER NOT NULL
) STRICT;

-- The one row is written to find out whether the database can commit.
CREATE TABLE pings (
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	at  INTEGER NOT NULL
) STRICT;
