package sqlstore

import (
	"context"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// refer fails when the account has no such object.
func refer(ctx context.Context, tx *txn, name string, account id.ID, key any, pointer, text string) error {
	found, err := table.Exists(ctx, tx, "SELECT 1 FROM "+name+" WHERE account_id = $1 AND id = $2", int64(account), key)
	if err == nil && !found {
		err = &collection.ReferenceError{Err: collection.ErrNoReference, Field: pointer, Other: text}
	}
	return err
}

// referID is refer for an optional resource id.
func referID(ctx context.Context, tx *txn, name string, account, key id.ID, pointer string) error {
	if key == 0 {
		return nil
	}
	return refer(ctx, tx, name, account, int64(key), pointer, key.String())
}

// unused fails when the query finds something that uses an object.
func unused(ctx context.Context, tx *txn, user, text string, args ...any) error {
	used, err := table.Exists(ctx, tx, text, args...)
	if err == nil && used {
		err = &collection.ReferenceError{Err: collection.ErrInUse, Field: "/", Other: user}
	}
	return err
}

// discriminator is what tells requests for this connection from those for others
// behind the same address: a token, a tech prefix, or nothing. It is what
// policy.Snapshot.BySource goes by.
func discriminator(v *secret.Vault, c *connection.IPConnection) string {
	o := &c.Outbound
	switch {
	case o.IPAuthenticationMethod == "token" && o.IPAuthenticationToken != nil && *o.IPAuthenticationToken != "":
		return "token " + v.Mark(*o.IPAuthenticationToken)
	case o.TechPrefix != "":
		return "prefix " + o.TechPrefix
	}
	return ""
}
