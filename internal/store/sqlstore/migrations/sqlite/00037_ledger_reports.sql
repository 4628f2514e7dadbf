-- +goose Up

-- Reports over billing groups that were asked for. What they say is made of the call
-- records when they are downloaded; the rows are deleted some time later.
CREATE TABLE ledger_reports (
	account_id INTEGER NOT NULL,
	id         BLOB    NOT NULL,
	version    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	doc        TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE INDEX ledger_reports_created ON ledger_reports (created_at);
