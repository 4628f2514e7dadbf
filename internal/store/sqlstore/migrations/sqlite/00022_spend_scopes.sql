-- +goose Up

-- What a billing group or an account has posted and holds on a day, from when on it
-- has a daily limit; the rows go when the limit does. billing_group_id is empty for
-- the account itself. The columns are those of profile_days.
CREATE TABLE scope_days (
	account_id       INTEGER NOT NULL,
	billing_group_id BLOB    NOT NULL,
	day              INTEGER NOT NULL,
	posted           INTEGER NOT NULL,
	held             INTEGER NOT NULL,
	overrun          INTEGER NOT NULL,
	told             INTEGER NOT NULL,
	told_limit       INTEGER NOT NULL,
	PRIMARY KEY (account_id, billing_group_id, day)
) STRICT, WITHOUT ROWID;

-- Scopes whose calls are refused until somebody releases them, or until until_day
-- when that is not 0. profile_id is 0 and billing_group_id is empty when the scope
-- is another; both for the account itself.
CREATE TABLE spend_holds (
	account_id       INTEGER NOT NULL,
	profile_id       INTEGER NOT NULL,
	billing_group_id BLOB    NOT NULL,
	cause            INTEGER NOT NULL,
	since            INTEGER NOT NULL,
	until_day        INTEGER NOT NULL,
	PRIMARY KEY (account_id, profile_id, billing_group_id)
) STRICT, WITHOUT ROWID;

-- The row is there in a copy that was made for safekeeping, until it is opened.
CREATE TABLE copied (
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	at  INTEGER NOT NULL
) STRICT;
