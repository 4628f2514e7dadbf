-- +goose Up

-- Sources that the SIP gateway does not listen to. prefix is an address or a network
-- in its canonical text. expires_at is 0 for never. They belong to no account.
CREATE TABLE bans (
	prefix     TEXT PRIMARY KEY,
	reason     TEXT NOT NULL,
	automatic  INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
