-- +goose Up

-- What a billing group or an account has posted and holds on a day, from when on it
-- has a daily limit; the rows go when the limit does. billing_group_id is empty for
-- the account itself. The columns are those of profile_days.
CREATE TABLE scope_days (
	account_id       BIGINT NOT NULL,
	billing_group_id BYTEA  NOT NULL,
	day              BIGINT NOT NULL,
	posted           BIGINT NOT NULL,
	held             BIGINT NOT NULL,
	overrun          BIGINT NOT NULL,
	told             BIGINT NOT NULL,
	told_limit       BIGINT NOT NULL,
	PRIMARY KEY (account_id, billing_group_id, day)
) WITH (fillfactor = 50);

-- Scopes whose calls are refused until somebody releases them, or until until_day
-- when that is not 0. profile_id is 0 and billing_group_id is empty when the scope
-- is another; both for the account itself.
CREATE TABLE spend_holds (
	account_id       BIGINT NOT NULL,
	profile_id       BIGINT NOT NULL,
	billing_group_id BYTEA  NOT NULL,
	cause            BIGINT NOT NULL,
	since            BIGINT NOT NULL,
	until_day        BIGINT NOT NULL,
	PRIMARY KEY (account_id, profile_id, billing_group_id)
);
CREATE INDEX spend_holds_profile ON spend_holds (profile_id);

-- The row is put in by whoever restores a copy, and goes when a node is started.
CREATE TABLE copied (
	one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	at  BIGINT NOT NULL
);

-- +goose StatementBegin
DO $$
DECLARE
	guarded TEXT;
BEGIN
	FOREACH guarded IN ARRAY ARRAY['scope_days', 'spend_holds']
	LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
		EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
		EXECUTE format('CREATE POLICY account ON %I USING (
			(SELECT current_setting(''tollgate.account'', true)) = ''*''
			OR account_id::TEXT = (SELECT current_setting(''tollgate.account'', true)))', guarded);
	END LOOP;
END
$$;
-- +goose StatementEnd
