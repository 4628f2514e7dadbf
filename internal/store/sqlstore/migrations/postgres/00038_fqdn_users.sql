-- +goose Up
SET LOCAL tollgate.account = '*';

-- The user of an FQDN connection authenticates as that of a credential connection does, so
-- its name belongs to one connection of either kind. '' is none. A name that a second
-- connection had kept so far, without use, is taken off it.
ALTER TABLE fqdn_connections ADD COLUMN user_name TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE fqdn_connections SET user_name = COALESCE(doc::jsonb->>'user_name', '');
UPDATE fqdn_connections AS mine SET user_name = '',
		doc = (doc::jsonb || '{"user_name": null, "password": null}'::jsonb)::text
	WHERE user_name <> '' AND (user_name IN (SELECT user_name FROM credential_connections)
		OR EXISTS (SELECT 1 FROM fqdn_connections AS older
			WHERE older.user_name = mine.user_name AND older.id < mine.id));
CREATE UNIQUE INDEX fqdn_connections_user ON fqdn_connections (user_name) WHERE user_name <> '';
