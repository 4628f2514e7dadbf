package sqlstore

import (
	"context"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
)

// FQDNConnections implements store.Store.
func (s *Store) FQDNConnections() store.Collection[connection.FQDNConnection, id.ID] {
	return &collection[connection.FQDNConnection, id.ID]{store: s, noun: fqdnConnectionNoun(s.config.Vault)}
}

// FQDNs implements store.Store.
func (s *Store) FQDNs() store.Collection[connection.FQDN, id.ID] {
	return &collection[connection.FQDN, id.ID]{store: s, noun: fqdnNoun()}
}

func fqdnConnectionNoun(v *secret.Vault) *noun[connection.FQDNConnection, id.ID] {
	type T = connection.FQDNConnection
	head := func(c *T) head[id.ID] {
		return head[id.ID]{&c.ID, &c.AccountID, &c.Version, &c.CreatedAt, &c.UpdatedAt}
	}
	return &noun[T, id.ID]{
		name: "FQDN connection", table: "fqdn_connections", secrets: fqdnSecrets, vault: v,
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
			{"discriminator", func(c *T) any { return fqdnDiscriminator(v, c) }},
		},
		check: func(ctx context.Context, tx *txn, c *T) error {
			err := referID(ctx, tx, "profiles", c.AccountID, c.Outbound.OutboundVoiceProfileID, profileField)
			if err != nil {
				return err
			}
			return checkConnectionNames(ctx, tx, c)
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
func fqdnDiscriminator(v *secret.Vault, c *connection.FQDNConnection) string {
	o := &c.Outbound
	switch {
	case o.IPAuthenticationMethod == "credential-authentication" && c.UserName != nil:
		return "user " + *c.UserName
	case o.IPAuthenticationToken != nil && *o.IPAuthenticationToken != "":
		return "token " + v.Mark(*o.IPAuthenticationToken)
	case o.TechPrefix != "":
		return "prefix " + o.TechPrefix
	}
	return ""
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
		check: checkName,
		// Nothing recognises requests by a domain name, so the policy has none.
		put:  func(*T) []policy.Change { return nil },
		drop: func(context.Context, *txn, *T) ([]policy.Change, error) { return nil, nil },
	}
}
