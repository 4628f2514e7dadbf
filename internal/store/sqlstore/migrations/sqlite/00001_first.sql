-- +goose Up
-- Times are Unix microseconds in UTC. Money is nano-dollars. doc is the JSON of
-- the resource; the columns beside it are what is referred to, filtered or sorted by.

CREATE TABLE accounts (
	id           INTEGER NOT NULL PRIMARY KEY,
	version      INTEGER NOT NULL,
	default_deck INTEGER NOT NULL,
	created_at   INTEGER NOT NULL,
	doc          TEXT    NOT NULL
) STRICT;

CREATE TABLE api_keys (
	account_id INTEGER NOT NULL REFERENCES accounts (id),
	id         INTEGER NOT NULL,
	hash       BLOB    NOT NULL UNIQUE,
	created_at INTEGER NOT NULL,
	doc        TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;

CREATE TABLE billing_groups (
	account_id INTEGER NOT NULL REFERENCES accounts (id),
	id         BLOB    NOT NULL,
	version    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	name       TEXT    NOT NULL,
	name_fold  TEXT    NOT NULL,
	doc        TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
-- Calls are put down to a billing group by its id alone.
CREATE UNIQUE INDEX billing_groups_id ON billing_groups (id);

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

CREATE TABLE profiles (
	account_id           INTEGER NOT NULL REFERENCES accounts (id),
	id                   INTEGER NOT NULL,
	version              INTEGER NOT NULL,
	created_at           INTEGER NOT NULL,
	updated_at           INTEGER NOT NULL,
	name                 TEXT    NOT NULL,
	name_fold            TEXT    NOT NULL,
	enabled              INTEGER NOT NULL,
	service_plan         TEXT    NOT NULL,
	traffic_type         TEXT    NOT NULL,
	usage_payment_method TEXT    NOT NULL,
	billing_group_id     BLOB,
	rate_deck_id         INTEGER NOT NULL,
	doc                  TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX profiles_id ON profiles (id);
CREATE INDEX profiles_billing_group ON profiles (account_id, billing_group_id);
CREATE INDEX profiles_rate_deck ON profiles (account_id, rate_deck_id);

-- profile_id is 0 for none. discriminator is what tells connections behind one
-- address apart: a tech prefix, a token, or nothing.
CREATE TABLE ip_connections (
	account_id           INTEGER NOT NULL REFERENCES accounts (id),
	id                   INTEGER NOT NULL,
	version              INTEGER NOT NULL,
	created_at           INTEGER NOT NULL,
	updated_at           INTEGER NOT NULL,
	connection_name      TEXT    NOT NULL,
	connection_name_fold TEXT    NOT NULL,
	active               INTEGER NOT NULL,
	profile_id           INTEGER NOT NULL,
	discriminator        TEXT    NOT NULL,
	doc                  TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX ip_connections_id ON ip_connections (id);
CREATE INDEX ip_connections_profile ON ip_connections (account_id, profile_id);

CREATE TABLE credential_connections (
	account_id           INTEGER NOT NULL REFERENCES accounts (id),
	id                   INTEGER NOT NULL,
	version              INTEGER NOT NULL,
	created_at           INTEGER NOT NULL,
	updated_at           INTEGER NOT NULL,
	connection_name      TEXT    NOT NULL,
	connection_name_fold TEXT    NOT NULL,
	active               INTEGER NOT NULL,
	profile_id           INTEGER NOT NULL,
	user_name            TEXT    NOT NULL,
	user_name_fold       TEXT    NOT NULL,
	doc                  TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX credential_connections_id ON credential_connections (id);
-- A SIP request names no account, so a digest user is unique in the whole server.
CREATE UNIQUE INDEX credential_connections_user ON credential_connections (user_name);
CREATE INDEX credential_connections_profile ON credential_connections (account_id, profile_id);

-- connection_id is 0 for none.
CREATE TABLE ips (
	account_id      INTEGER NOT NULL REFERENCES accounts (id),
	id              INTEGER NOT NULL,
	version         INTEGER NOT NULL,
	created_at      INTEGER NOT NULL,
	updated_at      INTEGER NOT NULL,
	connection_id   INTEGER NOT NULL,
	ip_address      TEXT    NOT NULL,
	port            INTEGER NOT NULL,
	doc             TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX ips_id ON ips (id);
CREATE INDEX ips_connection ON ips (account_id, connection_id);
CREATE INDEX ips_address ON ips (ip_address);

CREATE TABLE gateways (
	account_id INTEGER NOT NULL REFERENCES accounts (id),
	id         INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	name       TEXT    NOT NULL,
	name_fold  TEXT    NOT NULL,
	enabled    INTEGER NOT NULL,
	priority   INTEGER NOT NULL,
	doc        TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX gateways_id ON gateways (id);

-- The ledger. Its rows name profiles and connections that may have been deleted
-- since, so they refer to nothing.

CREATE TABLE leases (
	account_id INTEGER NOT NULL,
	id         BLOB    NOT NULL,
	body       BLOB    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE profile_days (
	account_id INTEGER NOT NULL,
	profile_id INTEGER NOT NULL,
	day        INTEGER NOT NULL,
	posted     INTEGER NOT NULL,
	held       INTEGER NOT NULL,
	overrun    INTEGER NOT NULL,
	PRIMARY KEY (account_id, profile_id, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX profile_days_day ON profile_days (day);

CREATE TABLE callee_counts (
	account_id INTEGER NOT NULL,
	profile_id INTEGER NOT NULL,
	callee     INTEGER NOT NULL,
	period     INTEGER NOT NULL,
	calls      INTEGER NOT NULL,
	PRIMARY KEY (account_id, profile_id, callee, period)
) STRICT, WITHOUT ROWID;
CREATE INDEX callee_counts_period ON callee_counts (period);

CREATE TABLE call_records (
	account_id       INTEGER NOT NULL,
	id               BLOB    NOT NULL UNIQUE,
	profile_id       INTEGER NOT NULL,
	connection_id    INTEGER NOT NULL,
	gateway_id       INTEGER NOT NULL,
	billing_group_id BLOB,
	started_at       INTEGER NOT NULL,
	answered_at      INTEGER NOT NULL,
	ended_at         INTEGER NOT NULL,
	outcome          INTEGER NOT NULL,
	reason           TEXT    NOT NULL,
	sip_status       INTEGER NOT NULL,
	country          TEXT    NOT NULL,
	number_type      TEXT    NOT NULL,
	emergency        INTEGER NOT NULL,
	from_number      TEXT    NOT NULL,
	to_number        TEXT    NOT NULL,
	caller           INTEGER NOT NULL,
	callee           INTEGER NOT NULL,
	sip_call_id      TEXT    NOT NULL,
	duration         INTEGER NOT NULL,
	billed_secs      INTEGER NOT NULL,
	cost             INTEGER NOT NULL,
	overrun_cost     INTEGER NOT NULL,
	body             BLOB    NOT NULL
) STRICT;
CREATE INDEX call_records_started ON call_records (account_id, started_at);
CREATE INDEX call_records_profile ON call_records (account_id, profile_id, started_at);

-- What each call was charged on each day. The sum by profile and day is what
-- profile_days has posted, once the calls have ended.
CREATE TABLE call_slices (
	account_id INTEGER NOT NULL,
	call_id    BLOB    NOT NULL,
	day        INTEGER NOT NULL,
	profile_id INTEGER NOT NULL,
	secs       INTEGER NOT NULL,
	cost       INTEGER NOT NULL,
	PRIMARY KEY (account_id, call_id, day)
) STRICT, WITHOUT ROWID;

-- The one row is written to find out whether the database can commit.
CREATE TABLE pings (
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	at  INTEGER NOT NULL
) STRICT;
