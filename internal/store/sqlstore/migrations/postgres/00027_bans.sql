-- +goose Up

-- Sources that the SIP gateway does not listen to. prefix is an address or a network
-- in its canonical text. expires_at is 0 for never. They belong to no account.
CREATE TABLE bans (
	prefix     TEXT COLLATE "C" PRIMARY KEY,
	reason     TEXT COLLATE "C" NOT NULL,
	automatic  BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
