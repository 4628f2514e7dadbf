-- +goose Up

-- Reports over billing groups that were asked for. What they say is made of the call
-- records when they are downloaded; the rows are deleted some time later.
CREATE TABLE ledger_reports (
	account_id BIGINT NOT NULL,
	id         BYTEA  NOT NULL,
	version    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	doc        TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE INDEX ledger_reports_created ON ledger_reports (created_at);

ALTER TABLE ledger_reports ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_reports FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON ledger_reports USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR account_id::TEXT = (SELECT current_setting('tollgate.account', true)));
