-- +goose Up

-- The emergency calls of a connection that started on a day, how many of them have
-- ended, and what emergency calls were billed and charged on it. No limit counts it.
CREATE TABLE emergency_days (
	account_id    BIGINT NOT NULL,
	connection_id BIGINT NOT NULL,
	day           BIGINT NOT NULL,
	started       BIGINT NOT NULL,
	ended         BIGINT NOT NULL,
	billed_secs   BIGINT NOT NULL,
	posted        BIGINT NOT NULL,
	PRIMARY KEY (account_id, connection_id, day)
);

ALTER TABLE emergency_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE emergency_days FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON emergency_days USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR account_id::TEXT = (SELECT current_setting('tollgate.account', true)));
