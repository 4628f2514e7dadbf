-- +goose Up

-- Lists of records are paged, counted and filtered by an index alone: the first of
-- these decides every filter that is no text of a caller's. They end in the id,
-- which makes the order of a list total.
DROP INDEX call_records_started;
CREATE INDEX call_records_started ON call_records (account_id, started_at, id)
	INCLUDE (outcome, country, number_type, sip_status, gateway_id, emergency, caller, callee, reason);
DROP INDEX call_records_profile;
CREATE INDEX call_records_profile ON call_records (account_id, profile_id, started_at, id);
CREATE INDEX call_records_connection ON call_records (account_id, connection_id, started_at, id);

-- The transaction that wrote a record; NULL for those of before this column. It is
-- set apart from its default so that the table is not written anew.
ALTER TABLE call_records ADD COLUMN written XID8;
ALTER TABLE call_records ALTER COLUMN written SET DEFAULT pg_current_xact_id();
CREATE INDEX call_records_written ON call_records (account_id, written);

-- How often records of an account were deleted, since a count of before does not hold
-- any more, and the UTC day before which all calls ended whose records were.
CREATE TABLE record_sweeps (
	account_id BIGINT NOT NULL PRIMARY KEY,
	sweeps     BIGINT NOT NULL,
	before_day BIGINT NOT NULL
);
ALTER TABLE record_sweeps ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_sweeps FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON record_sweeps USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR account_id::TEXT = (SELECT current_setting('tollgate.account', true)));
