-- +goose Up
-- Times are Unix microseconds in UTC. Money is nano-dollars. doc is the JSON of
-- the resource; the columns beside it are what is referred to, filtered or sorted by.
-- The tables are those of the SQLite schema, but for the ledger and for what several
-- nodes need. Texts sort by their bytes, as there. A later migration that changes
-- rows has to begin with SET LOCAL tollgate.account = '*'; see the end of this file.

CREATE TABLE accounts (
	id           BIGINT NOT NULL PRIMARY KEY,
	version      BIGINT NOT NULL,
	default_deck BIGINT NOT NULL,
	created_at   BIGINT NOT NULL,
	doc          TEXT COLLATE "C" NOT NULL
);

CREATE TABLE api_keys (
	account_id BIGINT NOT NULL REFERENCES accounts (id),
	id         BIGINT NOT NULL,
	hash       BYTEA NOT NULL UNIQUE,
	created_at BIGINT NOT NULL,
	doc        TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);

CREATE TABLE billing_groups (
	account_id BIGINT NOT NULL REFERENCES accounts (id),
	id         BYTEA NOT NULL,
	version    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	name       TEXT COLLATE "C" NOT NULL,
	name_fold  TEXT COLLATE "C" NOT NULL,
	doc        TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
-- Calls are put down to a billing group by its id alone.
CREATE UNIQUE INDEX billing_groups_id ON billing_groups (id);

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

CREATE TABLE profiles (
	account_id           BIGINT NOT NULL REFERENCES accounts (id),
	id                   BIGINT NOT NULL,
	version              BIGINT NOT NULL,
	created_at           BIGINT NOT NULL,
	updated_at           BIGINT NOT NULL,
	name                 TEXT COLLATE "C" NOT NULL,
	name_fold            TEXT COLLATE "C" NOT NULL,
	enabled              BOOLEAN NOT NULL,
	service_plan         TEXT COLLATE "C" NOT NULL,
	traffic_type         TEXT COLLATE "C" NOT NULL,
	usage_payment_method TEXT COLLATE "C" NOT NULL,
	billing_group_id     BYTEA,
	rate_deck_id         BIGINT NOT NULL,
	doc                  TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX profiles_id ON profiles (id);
CREATE INDEX profiles_billing_group ON profiles (account_id, billing_group_id);
CREATE INDEX profiles_rate_deck ON profiles (account_id, rate_deck_id);

-- profile_id is 0 for none. discriminator is what tells connections behind one
-- address apart: a tech prefix, a token, or nothing.
CREATE TABLE ip_connections (
	account_id           BIGINT NOT NULL REFERENCES accounts (id),
	id                   BIGINT NOT NULL,
	version              BIGINT NOT NULL,
	created_at           BIGINT NOT NULL,
	updated_at           BIGINT NOT NULL,
	connection_name      TEXT COLLATE "C" NOT NULL,
	connection_name_fold TEXT COLLATE "C" NOT NULL,
	active               BOOLEAN NOT NULL,
	profile_id           BIGINT NOT NULL,
	discriminator        TEXT COLLATE "C" NOT NULL,
	doc                  TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX ip_connections_id ON ip_connections (id);
CREATE INDEX ip_connections_profile ON ip_connections (account_id, profile_id);

CREATE TABLE credential_connections (
	account_id           BIGINT NOT NULL REFERENCES accounts (id),
	id                   BIGINT NOT NULL,
	version              BIGINT NOT NULL,
	created_at           BIGINT NOT NULL,
	updated_at           BIGINT NOT NULL,
	connection_name      TEXT COLLATE "C" NOT NULL,
	connection_name_fold TEXT COLLATE "C" NOT NULL,
	active               BOOLEAN NOT NULL,
	profile_id           BIGINT NOT NULL,
	user_name            TEXT COLLATE "C" NOT NULL,
	user_name_fold       TEXT COLLATE "C" NOT NULL,
	doc                  TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX credential_connections_id ON credential_connections (id);
-- A SIP request names no account, so a digest user is unique in the whole server.
CREATE UNIQUE INDEX credential_connections_user ON credential_connections (user_name);
CREATE INDEX credential_connections_profile ON credential_connections (account_id, profile_id);

-- connection_id is 0 for none.
CREATE TABLE ips (
	account_id    BIGINT NOT NULL REFERENCES accounts (id),
	id            BIGINT NOT NULL,
	version       BIGINT NOT NULL,
	created_at    BIGINT NOT NULL,
	updated_at    BIGINT NOT NULL,
	connection_id BIGINT NOT NULL,
	ip_address    TEXT COLLATE "C" NOT NULL,
	port          BIGINT NOT NULL,
	doc           TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX ips_id ON ips (id);
CREATE INDEX ips_connection ON ips (account_id, connection_id);
CREATE INDEX ips_address ON ips (ip_address);

CREATE TABLE gateways (
	account_id BIGINT NOT NULL REFERENCES accounts (id),
	id         BIGINT NOT NULL,
	version    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	name       TEXT COLLATE "C" NOT NULL,
	name_fold  TEXT COLLATE "C" NOT NULL,
	enabled    BOOLEAN NOT NULL,
	priority   BIGINT NOT NULL,
	doc        TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX gateways_id ON gateways (id);

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
	id            BYTEA NOT NULL PRIMARY KEY,
	account_id    BIGINT NOT NULL,
	profile_id    BIGINT NOT NULL,
	connection_id BIGINT NOT NULL,
	owner         BYTEA NOT NULL,
	emergency     BOOLEAN NOT NULL,
	expires_at    BIGINT NOT NULL,
	body          BYTEA NOT NULL
);
CREATE INDEX leases_account ON leases (account_id, id);
CREATE INDEX leases_profile ON leases (profile_id) WHERE NOT emergency;
CREATE INDEX leases_connection ON leases (connection_id) WHERE NOT emergency;
CREATE INDEX leases_expiry ON leases (expires_at);

CREATE TABLE profile_days (
	account_id BIGINT NOT NULL,
	profile_id BIGINT NOT NULL,
	day        BIGINT NOT NULL,
	posted     BIGINT NOT NULL,
	held       BIGINT NOT NULL,
	overrun    BIGINT NOT NULL,
	PRIMARY KEY (profile_id, day)
) WITH (fillfactor = 50); -- each group of calls rewrites its row

CREATE TABLE callee_counts (
	account_id BIGINT NOT NULL,
	profile_id BIGINT NOT NULL,
	callee     BIGINT NOT NULL,
	period     BIGINT NOT NULL,
	calls      BIGINT NOT NULL,
	PRIMARY KEY (profile_id, callee, period)
);
CREATE INDEX callee_counts_period ON callee_counts (period);

CREATE TABLE call_records (
	account_id       BIGINT NOT NULL,
	id               BYTEA NOT NULL UNIQUE,
	profile_id       BIGINT NOT NULL,
	connection_id    BIGINT NOT NULL,
	gateway_id       BIGINT NOT NULL,
	billing_group_id BYTEA,
	started_at       BIGINT NOT NULL,
	answered_at      BIGINT NOT NULL,
	ended_at         BIGINT NOT NULL,
	outcome          BIGINT NOT NULL,
	reason           TEXT COLLATE "C" NOT NULL,
	sip_status       BIGINT NOT NULL,
	country          TEXT COLLATE "C" NOT NULL,
	number_type      TEXT COLLATE "C" NOT NULL,
	emergency        BOOLEAN NOT NULL,
	from_number      TEXT COLLATE "C" NOT NULL,
	to_number        TEXT COLLATE "C" NOT NULL,
	caller           BIGINT NOT NULL,
	callee           BIGINT NOT NULL,
	sip_call_id      TEXT COLLATE "C" NOT NULL,
	duration         BIGINT NOT NULL,
	billed_secs      BIGINT NOT NULL,
	cost             BIGINT NOT NULL,
	overrun_cost     BIGINT NOT NULL,
	body             BYTEA NOT NULL
);
CREATE INDEX call_records_started ON call_records (account_id, started_at);
CREATE INDEX call_records_profile ON call_records (account_id, profile_id, started_at);

-- What each call was charged on each day. The sum by profile and day is what
-- profile_days has posted, once the calls have ended.
CREATE TABLE call_slices (
	account_id BIGINT NOT NULL,
	call_id    BYTEA NOT NULL,
	day        BIGINT NOT NULL,
	profile_id BIGINT NOT NULL,
	secs       BIGINT NOT NULL,
	cost       BIGINT NOT NULL,
	PRIMARY KEY (account_id, call_id, day)
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
-- +goose StatementBegin
DO $$
DECLARE
	guarded TEXT;
	key     TEXT;
BEGIN
	FOREACH guarded IN ARRAY ARRAY['accounts', 'api_keys', 'billing_groups', 'rate_decks', 'deck_chunks', 'profiles',
		'ip_connections', 'credential_connections', 'ips', 'gateways',
		'leases', 'profile_days', 'callee_counts', 'call_records', 'call_slices']
	LOOP
		key := CASE guarded WHEN 'accounts' THEN 'id' ELSE 'account_id' END;
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
		EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
		EXECUTE format('CREATE POLICY account ON %I USING (
			(SELECT current_setting(''tollgate.account'', true)) = ''*''
			OR %I::TEXT = (SELECT current_setting(''tollgate.account'', true)))', guarded, key);
	END LOOP;
END
$$;
-- +goose StatementEnd
