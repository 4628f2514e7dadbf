-- +goose Up

-- What the operator knows better than the built-in numbering plan. The rows belong to
-- the server; account_id is the first account.
CREATE TABLE numbering_plan_overrides (
	account_id BIGINT NOT NULL REFERENCES accounts (id),
	id         BIGINT NOT NULL,
	version    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	prefix     TEXT COLLATE "C" NOT NULL,
	doc        TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX numbering_plan_overrides_id ON numbering_plan_overrides (id);
CREATE INDEX numbering_plan_overrides_prefix ON numbering_plan_overrides (prefix);

ALTER TABLE numbering_plan_overrides ENABLE ROW LEVEL SECURITY;
ALTER TABLE numbering_plan_overrides FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON numbering_plan_overrides USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR account_id::TEXT = (SELECT current_setting('tollgate.account', true)));
