package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
)

// refer fails when the account has no such object.
func refer(ctx context.Context, tx *txn, table string, account id.ID, key any, pointer, text string) error {
	found, err := exists(ctx, tx, "SELECT 1 FROM "+table+" WHERE account_id = $1 AND id = $2", int64(account), key)
	if err == nil && !found {
		err = &store.ReferenceError{Err: store.ErrNoReference, Field: pointer, Other: text}
	}
	return err
}

// referID is refer for an optional resource id.
func referID(ctx context.Context, tx *txn, table string, account, key id.ID, pointer string) error {
	if key == 0 {
		return nil
	}
	return refer(ctx, tx, table, account, int64(key), pointer, key.String())
}

// unused fails when the query finds something that uses an object.
func unused(ctx context.Context, tx *txn, user, text string, args ...any) error {
	used, err := exists(ctx, tx, text, args...)
	if err == nil && used {
		err = &store.ReferenceError{Err: store.ErrInUse, Field: "/", Other: user}
	}
	return err
}

// discriminator is what tells requests for this connection from those for others
// behind the same address: a token, a tech prefix, or nothing. It is what
// policy.Snapshot.BySource goes by.
func discriminator(c *connection.IPConnection) string {
	o := &c.Outbound
	switch {
	case o.IPAuthenticationMethod == "token" && o.IPAuthenticationToken != nil && *o.IPAuthenticationToken != "":
		return "token " + *o.IPAuthenticationToken
	case o.TechPrefix != "":
		return "prefix " + o.TechPrefix
	}
	return ""
}

// checkSharedAddresses is the rule for a connection: of the connections behind
// one address that have a profile, no two may have the same discriminator. It
// holds across accounts, since a request shows no account; the other one is never
// told to the caller.
func checkSharedAddresses(ctx context.Context, tx *txn, c *connection.IPConnection) error {
	if c.Outbound.OutboundVoiceProfileID == 0 {
		return nil
	}
	var taken bool
	err := tx.acrossAccounts(ctx, func() (err error) {
		taken, err = exists(ctx, tx, `SELECT 1 FROM ips AS mine
			JOIN ips AS theirs ON theirs.ip_address = mine.ip_address AND theirs.connection_id <> mine.connection_id
			JOIN ip_connections AS c ON c.account_id = theirs.account_id AND c.id = theirs.connection_id
			WHERE mine.account_id = $1 AND mine.connection_id = $2 AND c.profile_id <> 0 AND c.discriminator = $3`,
			int64(c.AccountID), int64(c.ID), discriminator(c))
		return err
	})
	if err != nil || !taken {
		return err
	}
	pointer := "/outbound/tech_prefix"
	if c.Outbound.IPAuthenticationMethod == "token" {
		pointer = "/outbound/ip_authentication_token"
	}
	return &store.ReferenceError{Err: store.ErrDuplicate, Field: pointer, Other: "another connection with one of the same addresses, and no other tech_prefix or token"}
}

// checkSharedAddress is the same rule for an address that is added or moved.
func checkSharedAddress(ctx context.Context, tx *txn, ip *connection.IP) error {
	if ip.ConnectionID == 0 {
		return nil
	}
	var profile id.ID
	var mine string
	err := tx.QueryRowContext(ctx, "SELECT profile_id, discriminator FROM ip_connections WHERE account_id = $1 AND id = $2",
		int64(ip.AccountID), int64(ip.ConnectionID)).Scan(&profile, &mine)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &store.ReferenceError{Err: store.ErrNoReference, Field: "/connection_id", Other: ip.ConnectionID.String()}
	case err != nil:
		return err
	case profile == 0:
		return nil
	}
	var taken bool
	err = tx.acrossAccounts(ctx, func() (err error) {
		taken, err = exists(ctx, tx, `SELECT 1 FROM ips AS theirs
			JOIN ip_connections AS c ON c.account_id = theirs.account_id AND c.id = theirs.connection_id
			WHERE theirs.ip_address = $1 AND theirs.connection_id <> $2 AND c.profile_id <> 0 AND c.discriminator = $3`,
			ip.IPAddress.Unmap().String(), int64(ip.ConnectionID), mine)
		return err
	})
	if err == nil && taken {
		err = &store.ReferenceError{Err: store.ErrDuplicate, Field: "/ip_address", Other: "another connection with the same address, and no other tech_prefix or token"}
	}
	return err
}
