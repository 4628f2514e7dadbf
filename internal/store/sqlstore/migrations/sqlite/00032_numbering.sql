-- +goose Up

-- What the operator knows better than the built-in numbering plan. The rows belong to
-- the server; account_id is the first account.
CREATE TABLE numbering_plan_overrides (
	account_id INTEGER NOT NULL REFERENCES accounts (id),
	id         INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	prefix     TEXT    NOT NULL,
	doc        TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX numbering_plan_overrides_id ON numbering_plan_overrides (id);
CREATE INDEX numbering_plan_overrides_prefix ON numbering_plan_overrides (prefix);
