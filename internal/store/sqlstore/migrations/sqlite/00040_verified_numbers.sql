-- +goose Up

-- The numbers that an account has verified, or began to. A number may be verified by
-- several accounts.
CREATE TABLE verified_numbers (
	account_id   INTEGER NOT NULL REFERENCES accounts (id),
	id           INTEGER NOT NULL,
	version      INTEGER NOT NULL,
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL,
	phone_number INTEGER NOT NULL,
	verified     INTEGER NOT NULL,
	doc          TEXT    NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX verified_numbers_id ON verified_numbers (id);
CREATE UNIQUE INDEX verified_numbers_number ON verified_numbers (account_id, phone_number);

-- The calls of the last day in which a code was said, which are bounded. They outlast the
-- numbers, and the accounts, that they were for.
CREATE TABLE verification_calls (
	account_id   INTEGER NOT NULL,
	id           INTEGER NOT NULL,
	phone_number INTEGER NOT NULL,
	started_at   INTEGER NOT NULL,
	PRIMARY KEY (account_id, id)
) STRICT;
CREATE INDEX verification_calls_started ON verification_calls (started_at);
CREATE INDEX verification_calls_number ON verification_calls (phone_number, started_at);
