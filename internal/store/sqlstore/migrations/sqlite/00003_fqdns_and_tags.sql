-- +goose Up
-- profile_id is 0 for none. discriminator tells connections with one name apart,
-- as that of ip_connections does.
CREATE TABLE fqdn_connections (
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
CREATE UNIQUE INDEX fqdn_connections_id ON fqdn_connections (id);
CREATE INDEX fqdn_connections_profile ON fqdn_connections (account_id, profile_id);

-- fqdn is in lower case and without the dot of the root. port is 0 for none.
CREATE TABLE fqdns (
	account_id      INTEGER NOT NULL REFERENCES accounts (id),
	id              INTEGER NOT NULL,
	version         INTEGER NOT NULL,
	created_at      INTEGER NOT NULL,
	updated_at      INTEGER NOT NULL,
	connection_id   INTEGER NOT NULL,
	fqdn            TEXT    NOT NULL,
	dns_record_type TEXT    NOT NULL,
	port            INTEGER NOT NULL,
	doc             TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX fqdns_id ON fqdns (id);
CREATE INDEX fqdns_connection ON fqdns (account_id, connection_id);
CREATE INDEX fqdns_name ON fqdns (fqdn);

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

INSERT OR IGNORE INTO tags (account_id, fold, tag)
	SELECT p.account_id, lower(t.value), t.value FROM profiles AS p, json_each(p.doc, '$.tags') AS t ORDER BY p.created_at, p.id;
INSERT OR IGNORE INTO profile_tags (account_id, profile_id, fold)
	SELECT p.account_id, p.id, lower(t.value) FROM profiles AS p, json_each(p.doc, '$.tags') AS t;

-- Events of calls are looked for by the time of their end, which is never before
-- any of them. Calls end about in this order, so the index grows at its end.
CREATE INDEX call_records_ended ON call_records (account_id, ended_at);
