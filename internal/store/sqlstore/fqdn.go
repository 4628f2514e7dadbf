package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
)

// FQDNConnections implements store.Store.
func (s *Store) FQDNConnections() store.Collection[connection.FQDNConnection, id.ID] {
	return &collection[connection.FQDNConnection, id.ID]{s, fqdnConnectionNoun()}
}

// FQDNs implements store.Store.
func (s *Store) FQDNs() store.Collection[connection.FQDN, id.ID] {
	return &collection[connection.FQDN, id.ID]{s, fqdnNoun()}
}

func fqdnConnectionNoun() *noun[connection.FQDNConnection, id.ID] {
	type T = connection.FQDNConnection
	head := func(c *T) head[id.ID] {
		return head[id.ID]{&c.ID, &c.AccountID, &c.Version, &c.CreatedAt, &c.UpdatedAt}
	}
	return &noun[T, id.ID]{
		name: "FQDN connection", table: "fqdn_connections",
		head: head, keyValue: idValue, assign: assignID(head),
		complete: func(c *T) { c.Complete() },
		fields: connectionFields(map[string]field{
			"fqdn": {within: "id IN (SELECT f.connection_id FROM fqdns AS f WHERE f.account_id = $1 AND f.fqdn = $%d)"},
		}),
		columns: []column[T]{
			{"connection_name", func(c *T) any { return c.ConnectionName }},
			{"connection_name_fold", func(c *T) any { return foldText(c.ConnectionName) }},
			{"active", func(c *T) any { return c.Active }},
			{"profile_id", func(c *T) any { return int64(c.Outbound.OutboundVoiceProfileID) }},
			{"discriminator", func(c *T) any { return fqdnDiscriminator(c) }},
		},
		check: func(ctx context.Context, tx *txn, c *T) error {
			err := referID(ctx, tx, "profiles", c.AccountID, c.Outbound.OutboundVoiceProfileID, profileField)
			if err != nil {
				return err
			}
			return checkSharedNames(ctx, tx, c)
		},
		put: func(c *T) []policy.Change { return []policy.Change{{PutFQDNConn: c}} },
		// The names go with the connection: one that belongs to nobody would keep
		// another account from using it.
		drop: func(ctx context.Context, tx *txn, c *T) ([]policy.Change, error) {
			err := tx.exec(ctx, "DELETE FROM fqdns WHERE account_id = $1 AND connection_id = $2", int64(c.AccountID), int64(c.ID))
			if err != nil {
				return nil, err
			}
			changes, err := dropWebhooksOf(ctx, tx, c.AccountID, c.ID)
			return append(changes, policy.Change{DropConnection: c.ID}), err
		},
	}
}

// fqdnDiscriminator is what would tell requests of connections with one name
// apart: the user of digest credentials, a token, a tech prefix, or nothing.
func fqdnDiscriminator(c *connection.FQDNConnection) string {
	o := &c.Outbound
	switch {
	case o.IPAuthenticationMethod == "credential-authentication" && c.UserName != nil:
		return "user " + *c.UserName
	case o.IPAuthenticationToken != nil && *o.IPAuthenticationToken != "":
		return "token " + *o.IPAuthenticationToken
	case o.TechPrefix != "":
		return "prefix " + o.TechPrefix
	}
	return ""
}

// checkSharedNames is the rule of checkSharedAddresses for domain names.
func checkSharedNames(ctx context.Context, tx *txn, c *connection.FQDNConnection) error {
	if c.Outbound.OutboundVoiceProfileID == 0 {
		return nil
	}
	var taken bool
	err := tx.acrossAccounts(ctx, func() (err error) {
		taken, err = exists(ctx, tx, `SELECT 1 FROM fqdns AS mine
			JOIN fqdns AS theirs ON theirs.fqdn = mine.fqdn AND theirs.connection_id <> mine.connection_id
			JOIN fqdn_connections AS c ON c.account_id = theirs.account_id AND c.id = theirs.connection_id
			WHERE mine.account_id = $1 AND mine.connection_id = $2 AND c.profile_id <> 0 AND c.discriminator = $3`,
			int64(c.AccountID), int64(c.ID), fqdnDiscriminator(c))
		return err
	})
	if err != nil || !taken {
		return err
	}
	return &store.ReferenceError{Err: store.ErrDuplicate, Field: "/outbound/tech_prefix", Other: "another connection with one of the same domain names, and no other tech_prefix or token"}
}

func fqdnNoun() *noun[connection.FQDN, id.ID] {
	type T = connection.FQDN
	head := func(f *T) head[id.ID] {
		return head[id.ID]{&f.ID, &f.AccountID, &f.Version, &f.CreatedAt, &f.UpdatedAt}
	}
	return &noun[T, id.ID]{
		name: "FQDN", table: "fqdns",
		head: head, keyValue: idValue, assign: assignID(head),
		fields: withTimes(map[string]field{
			"id":              {column: "id", kind: kindID},
			"connection_id":   {column: "connection_id", kind: kindID},
			"fqdn":            {column: "fqdn", kind: kindText},
			"dns_record_type": {column: "dns_record_type", kind: kindText},
			"port":            {column: "port", kind: kindInt},
		}),
		columns: []column[T]{
			{"connection_id", func(f *T) any { return int64(f.ConnectionID) }},
			{"fqdn", func(f *T) any { return f.Name() }},
			{"dns_record_type", func(f *T) any { return f.DNSRecordType }},
			{"port", func(f *T) any {
				if port := f.PortInUse(); port != nil {
					return int64(*port)
				}
				return int64(0)
			}},
		},
		check: checkSharedName,
		// Nothing recognises requests by a domain name, so the policy has none.
		put:  func(*T) []policy.Change { return nil },
		drop: func(context.Context, *txn, *T) ([]policy.Change, error) { return nil, nil },
	}
}

// checkSharedName is the rule of checkSharedAddress for domain names.
func checkSharedName(ctx context.Context, tx *txn, f *connection.FQDN) error {
	var profile id.ID
	var mine string
	err := tx.QueryRowContext(ctx, "SELECT profile_id, discriminator FROM fqdn_connections WHERE account_id = $1 AND id = $2",
		int64(f.AccountID), int64(f.ConnectionID)).Scan(&profile, &mine)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &store.ReferenceError{Err: store.ErrNoReference, Field: "/connection_id", Other: f.ConnectionID.String()}
	case err != nil:
		return err
	case profile == 0:
		return nil
	}
	var taken bool
	err = tx.acrossAccounts(ctx, func() (err error) {
		taken, err = exists(ctx, tx, `SELECT 1 FROM fqdns AS theirs
			JOIN fqdn_connections AS c ON c.account_id = theirs.account_id AND c.id = theirs.connection_id
			WHERE theirs.fqdn = $1 AND theirs.connection_id <> $2 AND c.profile_id <> 0 AND c.discriminator = $3`,
			f.Name(), int64(f.ConnectionID), mine)
		return err
	})
	if err == nil && taken {
		err = &store.ReferenceError{Err: store.ErrDuplicate, Field: "/fqdn", Other: "another connection with the same domain name, and no other tech_prefix or token"}
	}
	return err
}
