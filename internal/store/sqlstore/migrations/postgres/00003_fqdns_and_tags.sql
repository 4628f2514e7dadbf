-- +goose Up
SET LOCAL tollgate.account = '*';

-- profile_id is 0 for none. discriminator tells connections with one name apart,
-- as that of ip_connections does.
CREATE TABLE fqdn_connections (
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
CREATE UNIQUE INDEX fqdn_connections_id ON fqdn_connections (id);
CREATE INDEX fqdn_connections_profile ON fqdn_connections (account_id, profile_id);

-- fqdn is in lower case and without the dot of the root. port is 0 for none.
CREATE TABLE fqdns (
	account_id      BIGINT NOT NULL REFERENCES accounts (id),
	id              BIGINT NOT NULL,
	version         BIGINT NOT NULL,
	created_at      BIGINT NOT NULL,
	updated_at      BIGINT NOT NULL,
	connection_id   BIGINT NOT NULL,
	fqdn            TEXT COLLATE "C" NOT NULL,
	dns_record_type TEXT COLLATE "C" NOT NULL,
	port            BIGINT NOT NULL,
	doc             TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX fqdns_id ON fqdns (id);
CREATE INDEX fqdns_connection ON fqdns (account_id, connection_id);
CREATE INDEX fqdns_name ON fqdns (fqdn);

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

-- The default collation knows the lower case of letters beyond ASCII.
INSERT INTO tags (account_id, fold, tag)
	SELECT p.account_id, lower(t.value COLLATE "default"), t.value
	FROM profiles AS p
	CROSS JOIN LATERAL json_array_elements_text(
		CASE json_typeof(p.doc::json -> 'tags') WHEN 'array' THEN p.doc::json -> 'tags' ELSE '[]'::json END) AS t (value)
	ORDER BY p.created_at, p.id
	ON CONFLICT DO NOTHING;
INSERT INTO profile_tags (account_id, profile_id, fold)
	SELECT p.account_id, p.id, lower(t.value COLLATE "default")
	FROM profiles AS p
	CROSS JOIN LATERAL json_array_elements_text(
		CASE json_typeof(p.doc::json -> 'tags') WHEN 'array' THEN p.doc::json -> 'tags' ELSE '[]'::json END) AS t (value)
	ON CONFLICT DO NOTHING;

-- Events of calls are looked for by the time of their end, which is never before
-- any of them. Calls end about in this order, so the index grows at its end.
CREATE INDEX call_records_ended ON call_records (account_id, ended_at);

-- +goose StatementBegin
DO $$
DECLARE
	guarded TEXT;
BEGIN
	FOREACH guarded IN ARRAY ARRAY['fqdn_connections', 'fqdns', 'tags', 'profile_tags']
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
