-- +goose Up

-- The user of an FQDN connection authenticates as that of a credential connection does, so
-- its name belongs to one connection of either kind. '' is none. A name that a second
-- connection had kept so far, without use, is taken off it.
ALTER TABLE fqdn_connections ADD COLUMN user_name TEXT NOT NULL DEFAULT '';
UPDATE fqdn_connections SET user_name = COALESCE(json_extract(doc, '$.user_name'), '');
UPDATE fqdn_connections SET user_name = '', doc = json_set(doc, '$.user_name', NULL, '$.password', NULL)
	WHERE user_name <> '' AND (user_name IN (SELECT user_name FROM credential_connections)
		OR EXISTS (SELECT 1 FROM fqdn_connections AS older
			WHERE older.user_name = fqdn_connections.user_name AND older.id < fqdn_connections.id));
CREATE UNIQUE INDEX fqdn_connections_user ON fqdn_connections (user_name) WHERE user_name <> '';
