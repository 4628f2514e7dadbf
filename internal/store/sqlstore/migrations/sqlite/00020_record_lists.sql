-- +goose Up

-- Lists of records are paged, counted and filtered by an index alone: the first of
-- these decides every filter that is no text of a caller's. They end in the id,
-- which makes the order of a list total.
DROP INDEX call_records_started;
CREATE INDEX call_records_started ON call_records (account_id, started_at, id,
	outcome, country, number_type, sip_status, gateway_id, emergency, caller, callee, reason);
DROP INDEX call_records_profile;
CREATE INDEX call_records_profile ON call_records (account_id, profile_id, started_at, id);
CREATE INDEX call_records_connection ON call_records (account_id, connection_id, started_at, id);

-- How often records of an account were deleted, since a count of before does not hold
-- any more, and the UTC day before which all calls ended whose records were.
CREATE TABLE record_sweeps (
	account_id INTEGER NOT NULL PRIMARY KEY,
	sweeps     INTEGER NOT NULL,
	before_day INTEGER NOT NULL
) STRICT;
