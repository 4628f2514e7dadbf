-- +goose Up

-- The numbers that an account has verified, or began to. A number may be verified by
-- several accounts.
CREATE TABLE verified_numbers (
	account_id   BIGINT  NOT NULL REFERENCES accounts (id),
	id           BIGINT  NOT NULL,
	version      BIGINT  NOT NULL,
	created_at   BIGINT  NOT NULL,
	updated_at   BIGINT  NOT NULL,
	phone_number BIGINT  NOT NULL,
	verified     BOOLEAN NOT NULL,
	doc          TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX verified_numbers_id ON verified_numbers (id);
CREATE UNIQUE INDEX verified_numbers_number ON verified_numbers (account_id, phone_number);

-- The calls of the last day in which a code was said, which are bounded. They outlast the
-- numbers, and the accounts, that they were for.
CREATE TABLE verification_calls (
	account_id   BIGINT  NOT NULL,
	id           BIGINT  NOT NULL,
	phone_number BIGINT  NOT NULL,
	started_at   BIGINT  NOT NULL,
	PRIMARY KEY (account_id, id)
);
CREATE INDEX verification_calls_started ON verification_calls (started_at);
CREATE INDEX verification_calls_number ON verification_calls (phone_number, started_at);

ALTER TABLE verified_numbers ENABLE ROW LEVEL SECURITY;
ALTER TABLE verified_numbers FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON verified_numbers USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR account_id::TEXT = (SELECT current_setting('tollgate.account', true)));

ALTER TABLE verification_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE verification_calls FORCE ROW LEVEL SECURITY;
CREATE POLICY account ON verification_calls USING (
	(SELECT current_setting('tollgate.account', true)) = '*'
	OR account_id::TEXT = (SELECT current_setting('tollgate.account', true)));
