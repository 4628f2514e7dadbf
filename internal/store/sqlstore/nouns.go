package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/numberlist"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Collections implements store.Resources.
func (s *Store) Collections() (collections []any) {
	for _, n := range nouns(&s.config) {
		collections = append(collections, n.collection(s))
	}
	return collections
}

// Tables are those of all resources, but for that of the accounts: other tables refer to
// it, so it is in the migrations.
func Tables() (tables []table.Resource) {
	for _, n := range nouns(&Config{}) {
		if r := n.resource(); r.Name != accountNoun().table {
			tables = append(tables, r)
		}
	}
	return tables
}

// described is a noun of any type.
type described interface {
	resource() table.Resource
	collection(*Store) any
	load(context.Context, table.Querier, []policy.Change) ([]policy.Change, error)
	reload(context.Context, table.Querier, policy.Object) (found []policy.Change, err error)
	dropped(policy.Object) (change policy.Change, known bool)
}

// nouns are all of them, as they are kept with a configuration.
func nouns(config *Config) []described {
	return []described{
		accountNoun(), profileNoun(), ipConnectionNoun(config), credentialConnectionNoun(config),
		fqdnConnectionNoun(config), ipNoun(), fqdnNoun(),
		gatewayNoun(config), numberingNoun(), billingGroupNoun(), ledgerReportNoun(), webhookEndpointNoun(), verifiedNoun(),
		keyNoun(), numberListNoun(), routeNoun(), spendLimitNoun(),
	}
}

// named are the columns of a name: as it is, and in lower case.
func named[T any](name string, at func(*T) *string) column.List[T] {
	return column.List[T]{column.Words(name, at), computed(name+"_fold", column.Text, func(object *T) any {
		return listing.Fold(*at(object))
	})}
}

// computed is a column for what is made of an object.
func computed[T any](name string, kind column.Kind, value func(*T) any) column.Column[T] {
	return column.Column[T]{Name: name, Kind: kind, Value: value}
}

func profileNoun() *noun[profile.Profile, id.ID] {
	return &noun[profile.Profile, id.ID]{
		name: "outbound voice profile", table: "profiles", fresh: profile.New, touched: touchedOfProfile,
		columns: append(named("name", func(p *profile.Profile) *string { return &p.Name }),
			column.Flag("enabled", func(p *profile.Profile) *bool { return &p.Enabled }),
			column.Words("service_plan", func(p *profile.Profile) *string { return &p.ServicePlan }),
			column.Words("traffic_type", func(p *profile.Profile) *string { return &p.TrafficType }),
			column.Words("usage_payment_method", func(p *profile.Profile) *string { return &p.UsagePaymentMethod }),
			column.OptionalKey("billing_group_id", func(p *profile.Profile) **uuid.UUID { return &p.BillingGroupID }),
			column.Integer("rate_deck_id", column.ID, func(p *profile.Profile) *id.ID { return &p.RateDeckID }),
		),
		indexes: []table.Index{{On: "account_id, billing_group_id"}, {On: "account_id, rate_deck_id"}},
		check: func(ctx context.Context, tx *database.Tx, p *profile.Profile) error {
			if p.BillingGroupID != nil {
				err := database.Refer(ctx, tx, "billing_groups", p.AccountID, p.BillingGroupID[:], "/billing_group_id",
					p.BillingGroupID.String())
				if err != nil {
					return err
				}
			}
			err := database.ReferID(ctx, tx, "rate_decks", p.AccountID, p.RateDeckID, "/rate_deck_id")
			if err != nil {
				return err
			}
			return saveTags(ctx, tx, p)
		},
		removable: func(ctx context.Context, tx *database.Tx, p *profile.Profile) error {
			if err := unrouted(ctx, tx, p.AccountID, "profile", p.ID); err != nil {
				return err
			}
			for _, user := range []struct{ table, name string }{
				{"ip_connections", "an IP connection"}, {"credential_connections", "a credential connection"},
				{"fqdn_connections", "an FQDN connection"}, {"number_lists", "a number list"},
			} {
				err := database.Unused(ctx, tx, user.name, "SELECT 1 FROM "+user.table+" WHERE account_id = $1 AND profile_id = $2",
					int64(p.AccountID), int64(p.ID))
				if err != nil {
					return err
				}
			}
			return nil
		},
		kind: policy.KindProfile, put: once(policy.PutProfile), gone: byID(policy.DropProfile),
		drop: func(ctx context.Context, tx *database.Tx, p *profile.Profile) ([]policy.Change, error) {
			return nil, dropTags(ctx, tx, p)
		},
	}
}

// connectionFields are those of every kind of connection that are called otherwise than
// their columns.
var connectionFields = map[string]listing.Field{
	"outbound_voice_profile_id": {Column: "profile_id", Kind: column.ID},
	// Only FQDN connections have any.
	"fqdn": {Within: "id IN (SELECT f.connection_id FROM fqdns AS f WHERE f.account_id = $1 AND f.fqdn = $%d)"},
}

// connectionColumns are those of every kind of connection, and more.
func connectionColumns[T any](base func(*T) *connection.Base, profile func(*T) *id.ID,
	more ...column.Column[T]) column.List[T] {
	return append(append(named("connection_name", func(c *T) *string { return &base(c).ConnectionName }),
		column.Flag("active", func(c *T) *bool { return &base(c).Active }),
		column.Integer("profile_id", column.ID, profile),
	), more...)
}

const profileField = "/outbound/outbound_voice_profile_id"

func ipConnectionNoun(config *Config) *noun[connection.IPConnection, id.ID] {
	type T = connection.IPConnection
	return &noun[T, id.ID]{
		name: "IP connection", table: "ip_connections", fresh: connection.NewIPConnection,
		secrets: ipSecrets, vault: config.Vault, fields: connectionFields,
		columns: connectionColumns(func(c *T) *connection.Base { return &c.Base },
			func(c *T) *id.ID { return &c.Outbound.OutboundVoiceProfileID },
			// What tells connections behind one address apart: a tech prefix, a token, or nothing.
			computed("discriminator", column.Text, func(c *T) any { return discriminator(config.Vault, c) }),
		),
		indexes: []table.Index{{On: "account_id, profile_id"}},
		check: func(ctx context.Context, tx *database.Tx, c *T) error {
			err := database.ReferID(ctx, tx, "profiles", c.AccountID, c.Outbound.OutboundVoiceProfileID, profileField)
			if err != nil {
				return err
			}
			pointer := "/outbound/tech_prefix"
			if c.Outbound.IPAuthenticationMethod == "token" {
				pointer = "/outbound/ip_authentication_token"
			}
			return checkConnectionAddresses(ctx, tx, "ip_connections", &claimant{c.AccountID, c.ID,
				c.Outbound.OutboundVoiceProfileID, discriminator(config.Vault, c), pointer})
		},
		kind: policy.KindConnection, put: once(policy.PutIPConn), gone: byID(policy.DropConnection),
		drop: func(ctx context.Context, tx *database.Tx, c *T) ([]policy.Change, error) {
			return dropConnection(ctx, tx, &c.Base)
		},
	}
}

// dropConnection deletes what belongs to a connection with it: an address that belongs to
// no connection would keep another account from using it.
func dropConnection(ctx context.Context, tx *database.Tx, c *connection.Base) (changes []policy.Change, err error) {
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		ip, err := ipNoun().scan(rows.Scan)
		if err == nil {
			changes = append(changes, policy.DropIP(ip.ID))
			tx.Note(ipNoun().change("delete", &ip, nil), ip)
		}
		return err
	}, "SELECT "+docColumns+" FROM ips WHERE account_id = $1 AND connection_id = $2 ORDER BY id", int64(c.AccountID),
		int64(c.ID))
	if err != nil {
		return nil, err
	}
	err = tx.Exec(ctx, "DELETE FROM ips WHERE account_id = $1 AND connection_id = $2", int64(c.AccountID), int64(c.ID))
	if err != nil {
		return nil, err
	}
	err = tx.Exec(ctx, "DELETE FROM registrations WHERE account_id = $1 AND connection_id = $2", int64(c.AccountID),
		int64(c.ID))
	if err != nil {
		return nil, err
	}
	webhooks, err := dropWebhooksOf(ctx, tx, c.AccountID, c.ID)
	return append(changes, webhooks...), err
}

func credentialConnectionNoun(config *Config) *noun[connection.CredentialConnection, id.ID] {
	type T = connection.CredentialConnection
	return &noun[T, id.ID]{
		name: "credential connection", table: "credential_connections", fresh: connection.NewCredentialConnection,
		secrets: credentialSecrets, vault: config.Vault, fields: connectionFields,
		columns: connectionColumns(func(c *T) *connection.Base { return &c.Base },
			func(c *T) *id.ID { return &c.Outbound.OutboundVoiceProfileID },
			named("user_name", func(c *T) *string { return &c.UserName })...),
		// A SIP request names no account, so a digest user is unique in the whole server.
		indexes: []table.Index{{On: "user_name", Unique: true}, {On: "account_id, profile_id"}},
		check: func(ctx context.Context, tx *database.Tx, c *T) error {
			if config.ForgetPasswords && !connection.IsHashed(c.Password) {
				c.Password = connection.HashPassword(c.UserName, c.Password)
			}
			err := database.ReferID(ctx, tx, "profiles", c.AccountID, c.Outbound.OutboundVoiceProfileID, profileField)
			if err != nil {
				return err
			}
			return checkUserName(ctx, tx, c.UserName, c.ID)
		},
		kind: policy.KindConnection, put: once(policy.PutCredential), gone: byID(policy.DropConnection),
		drop: func(ctx context.Context, tx *database.Tx, c *T) ([]policy.Change, error) {
			return dropConnection(ctx, tx, &c.Base)
		},
	}
}

func ipNoun() *noun[connection.IP, id.ID] {
	type T = connection.IP
	return &noun[T, id.ID]{
		name: "IP", table: "ips", fresh: connection.NewIP,
		columns: column.List[T]{
			column.Integer("connection_id", column.ID, func(ip *T) *id.ID { return &ip.ConnectionID }),
			computed("ip_address", column.Address, func(ip *T) any { return ip.IPAddress.String() }),
			column.Integer("port", column.Int, func(ip *T) *int32 { return &ip.Port }),
			// The address, or the first one of a network, as 32 hexadecimal digits of its IPv6 form, so
			// that what lies within a network is a range of an index.
			computed("first_address", column.Text, func(ip *T) any { return addressKey(ip.IPAddress.Prefix().Addr()) }),
		},
		indexes: []table.Index{{On: "account_id, connection_id"}, {On: "ip_address"}, {On: "first_address"}},
		check:   checkAddress,
		kind:    policy.KindIP, put: once(policy.PutIP), gone: byID(policy.DropIP),
	}
}

func gatewayNoun(config *Config) *noun[routing.Gateway, id.ID] {
	type T = routing.Gateway
	return &noun[T, id.ID]{
		name: "gateway", table: "gateways", fresh: routing.NewGateway, touched: touchedOfGateway,
		secrets: gatewaySecrets, vault: config.Vault,
		columns: append(named("name", func(g *T) *string { return &g.Name }),
			column.Flag("enabled", func(g *T) *bool { return &g.Enabled }),
			column.Integer("priority", column.Int, func(g *T) *int32 { return &g.Priority }),
		),
		removable: func(ctx context.Context, tx *database.Tx, g *T) error {
			return unrouted(ctx, tx, g.AccountID, "gateway", g.ID)
		},
		kind: policy.KindGateway, put: once(policy.PutGateway),
		gone: func(o policy.Object) policy.Change {
			return policy.DropGateway(&T{Head: collection.Head[id.ID]{ID: o.ID, AccountID: o.Account}})
		},
	}
}

func numberingNoun() *noun[numbering.Override, id.ID] {
	type T = numbering.Override
	return &noun[T, id.ID]{
		name: "numbering plan override", table: "numbering_plan_overrides", fresh: numbering.New, server: true,
		columns: column.List[T]{column.Words("prefix", func(o *T) *string { return &o.Prefix })},
		indexes: []table.Index{{On: "prefix"}},
		most:    store.MaxNumberingOverrides,
		apart:   &apart[T]{"prefix", (*T).Overlaps, "which holds at the same time"},
		kind:    policy.KindOverride, put: once(policy.PutOverride), gone: byID(policy.DropOverride),
	}
}

func numberListNoun() *noun[numberlist.List, id.ID] {
	type T = numberlist.List
	return &noun[T, id.ID]{
		name: "number list", table: "number_lists", fresh: numberlist.New,
		columns: append(named("name", func(l *T) *string { return &l.Name }),
			column.Integer("profile_id", column.ID, func(l *T) *id.ID { return &l.Profile })),
		indexes: []table.Index{{On: "account_id, profile_id"}},
		most:    numberlist.MaxLists,
		check: func(ctx context.Context, tx *database.Tx, l *T) error {
			return database.ReferID(ctx, tx, "profiles", l.AccountID, l.Profile, "/outbound_voice_profile_id")
		},
		removable: func(ctx context.Context, tx *database.Tx, l *T) error {
			return unrouted(ctx, tx, l.AccountID, "list", l.ID)
		},
		kind: policy.KindNumberList, put: once(policy.PutNumberList), gone: policy.DropNumberList,
	}
}

func billingGroupNoun() *noun[store.BillingGroup, uuid.UUID] {
	type T = store.BillingGroup
	return &noun[T, uuid.UUID]{
		name: "billing group", table: "billing_groups", fresh: store.NewBillingGroup, touched: touchedOfGroup,
		assign:  assignBillingGroup,
		columns: named("name", func(g *T) *string { return &g.Name }),
		check: func(ctx context.Context, tx *database.Tx, g *T) error {
			return countGroup(ctx, tx, g, g.Limits())
		},
		removable: func(ctx context.Context, tx *database.Tx, g *T) error {
			return database.Unused(ctx, tx, "an outbound voice profile",
				"SELECT 1 FROM profiles WHERE account_id = $1 AND billing_group_id = $2", int64(g.AccountID), g.ID[:])
		},
		put: func(g *T) []policy.Change {
			if !g.Limits() {
				return nil
			}
			return []policy.Change{policy.PutGroup(&policy.Group{ID: g.ID, Account: g.AccountID,
				Spending: policy.CompileSpendLimit(&g.SpendLimit)})}
		},
		drop: func(ctx context.Context, tx *database.Tx, g *T) ([]policy.Change, error) {
			return nil, countGroup(ctx, tx, g, false)
		},
		removed: func(g *T, at time.Time) { g.DeletedAt = &at },
	}
}

// countGroup has a billing group counted while it has a limit, and only then known to
// the policy.
func countGroup(ctx context.Context, tx *database.Tx, g *store.BillingGroup, on bool) error {
	err := countSpend(ctx, tx, g.AccountID, admission.GroupScope(g.ID), on)
	if err == nil && !on && tx.Snapshot.Group(g.ID) != nil {
		err = tx.Apply(policy.DropGroup(g.ID))
	}
	return err
}

// assignBillingGroup keeps the organisation of a group that was made elsewhere.
func assignBillingGroup(ctx context.Context, tx *database.Tx, g *store.BillingGroup) error {
	if g.OrganizationID == uuid.Nil {
		account, err := readAccount(ctx, tx, g.AccountID)
		if err != nil {
			return err
		}
		g.OrganizationID = account.OrganizationID
	}
	return nil
}
