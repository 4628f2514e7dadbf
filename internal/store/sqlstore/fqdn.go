package sqlstore

import (
	"context"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// FQDNConnections is one of Collections.
func (s *Store) FQDNConnections() collection.Of[connection.FQDNConnection, id.ID] {
	return &documents[connection.FQDNConnection, id.ID]{store: s, noun: fqdnConnectionNoun(&s.config)}
}

// FQDNs is one of Collections.
func (s *Store) FQDNs() collection.Of[connection.FQDN, id.ID] {
	return &documents[connection.FQDN, id.ID]{store: s, noun: fqdnNoun()}
}

func fqdnConnectionNoun(config *Config) *noun[connection.FQDNConnection, id.ID] {
	type T = connection.FQDNConnection
	return &noun[T, id.ID]{
		name: "FQDN connection", table: "fqdn_connections", fresh: connection.NewFQDNConnection,
		secrets: fqdnSecrets, vault: config.Vault, fields: connectionFields,
		columns: connectionColumns(func(c *T) *connection.Base { return &c.Base },
			func(c *T) *id.ID { return &c.Outbound.OutboundVoiceProfileID },
			computed("discriminator", column.Text, func(c *T) any { return fqdnDiscriminator(config.Vault, c) }),
			computed("user_name", column.Text, func(c *T) any { return userNameOf(c) }),
		),
		indexes: []table.Index{{On: "account_id, profile_id"}, {On: "user_name", Unique: true, Where: "user_name <> ''"}},
		check: func(ctx context.Context, tx *database.Tx, c *T) error {
			user, password := c.Credentials()
			if config.ForgetPasswords && user != "" && !connection.IsHashed(password) {
				c.Password = new(connection.HashPassword(user, password))
			}
			err := database.ReferID(ctx, tx, "profiles", c.AccountID, c.Outbound.OutboundVoiceProfileID, profileField)
			if err != nil {
				return err
			}
			if err = checkUserName(ctx, tx, userNameOf(c), c.ID); err != nil {
				return err
			}
			err = checkConnectionAddresses(ctx, tx, "fqdn_connections", &claimant{c.AccountID, c.ID,
				c.Outbound.OutboundVoiceProfileID, fqdnDiscriminator(config.Vault, c), "/outbound/tech_prefix"})
			if err != nil {
				return err
			}
			return checkConnectionNames(ctx, tx, config.Vault, c)
		},
		kind: policy.KindConnection, put: once(policy.PutFQDNConn), gone: byID(policy.DropConnection),
		// The names go with the connection, as its addresses do.
		drop: func(ctx context.Context, tx *database.Tx, c *T) ([]policy.Change, error) {
			err := tx.Exec(ctx, "DELETE FROM fqdns WHERE account_id = $1 AND connection_id = $2", int64(c.AccountID),
				int64(c.ID))
			if err != nil {
				return nil, err
			}
			return dropConnection(ctx, tx, &c.Base)
		},
	}
}

// userNameOf is the user name that a connection claims, "" for none. It does so without a
// password too, which may come later.
func userNameOf(c *connection.FQDNConnection) string {
	if c.UserName == nil {
		return ""
	}
	return *c.UserName
}

// checkUserName is the rule for user names: one belongs to one connection of any kind and
// of any account, since a SIP request names no account.
func checkUserName(ctx context.Context, tx *database.Tx, userName string, mine id.ID) error {
	if userName == "" {
		return nil
	}
	var taken bool
	err := tx.AcrossAccounts(ctx, func() (err error) {
		taken, err = table.Exists(ctx, tx, `SELECT 1 FROM credential_connections WHERE user_name = $1 AND id <> $2
			UNION ALL SELECT 1 FROM fqdn_connections WHERE user_name = $1 AND id <> $2`, userName, int64(mine))
		return err
	})
	if err == nil && taken {
		err = &collection.ReferenceError{Err: collection.ErrDuplicate, Field: "/user_name", Other: "another connection"}
	}
	return err
}

// fqdnDiscriminator is what tells requests of connections with one name or one address
// apart: the user of digest credentials, a token, a tech prefix, or nothing. A connection
// for which no address is enough is always told apart.
func fqdnDiscriminator(v *secret.Vault, c *connection.FQDNConnection) string {
	o := &c.Outbound
	token, _ := o.Token()
	switch user, _ := c.Credentials(); {
	case c.AuthenticationMethod() == connection.MethodCredential && user != "":
		return "user " + user
	case !c.ByAddress():
		return "none " + c.ID.String()
	case token != "":
		return "token " + v.Mark(token)
	case o.TechPrefix != "":
		return "prefix " + o.TechPrefix
	}
	return ""
}

func fqdnNoun() *noun[connection.FQDN, id.ID] {
	type T = connection.FQDN
	return &noun[T, id.ID]{
		name: "FQDN", table: "fqdns", fresh: connection.NewFQDN,
		columns: column.List[T]{
			column.Integer("connection_id", column.ID, func(f *T) *id.ID { return &f.ConnectionID }),
			// In lower case and without the dot of the root.
			computed("fqdn", column.Text, func(f *T) any { return f.Name() }),
			column.Words("dns_record_type", func(f *T) *string { return &f.DNSRecordType }),
			computed("port", column.Int, func(f *T) any {
				if port := f.PortInUse(); port != nil {
					return int64(*port)
				}
				return int64(0)
			}),
		},
		indexes: []table.Index{{On: "account_id, connection_id"}, {On: "fqdn"}},
		check:   checkName,
		// Nothing recognises requests by a domain name, so the policy has none.
	}
}
