-- +goose Up

-- The emergency calls of a connection that started on a day, how many of them have
-- ended, and what emergency calls were billed and charged on it. No limit counts it.
CREATE TABLE emergency_days (
	account_id    INTEGER NOT NULL,
	connection_id INTEGER NOT NULL,
	day           INTEGER NOT NULL,
	started       INTEGER NOT NULL,
	ended         INTEGER NOT NULL,
	billed_secs   INTEGER NOT NULL,
	posted        INTEGER NOT NULL,
	PRIMARY KEY (account_id, connection_id, day)
) STRICT, WITHOUT ROWID;
