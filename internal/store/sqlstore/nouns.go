package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Collections implements store.Resources.
func (s *Store) Collections() []any {
	return []any{
		s.Profiles(), s.IPConnections(), s.CredentialConnections(), s.FQDNConnections(), s.IPs(), s.FQDNs(),
		s.Gateways(), s.NumberingOverrides(), s.BillingGroups(), s.LedgerReports(), s.WebhookEndpoints(),
		s.VerifiedNumbers(), s.Keys(),
	}
}

// withTimes adds the fields that every resource can be filtered and sorted by.
func withTimes(fields map[string]listing.Field) map[string]listing.Field {
	fields["created_at"] = listing.Field{Column: "created_at", Kind: column.Time}
	fields["updated_at"] = listing.Field{Column: "updated_at", Kind: column.Time}
	return fields
}

func profileNoun() *noun[profile.Profile, id.ID] {
	return &noun[profile.Profile, id.ID]{
		name: "outbound voice profile", table: "profiles", touched: touchedOfProfile,
		complete: func(p *profile.Profile) {
			if p.AfterLimit == "" {
				p.AfterLimit = profile.ResumeAtReset
			}
		},
		fields: withTimes(map[string]listing.Field{
			"id":                   {Column: "id", Kind: column.ID},
			"name":                 {Column: "name", Fold: "name_fold"},
			"enabled":              {Column: "enabled", Kind: column.Bool},
			"service_plan":         {Column: "service_plan"},
			"traffic_type":         {Column: "traffic_type"},
			"usage_payment_method": {Column: "usage_payment_method"},
			"billing_group_id":     {Column: "billing_group_id", Kind: column.UUID},
			"rate_deck_id":         {Column: "rate_deck_id", Kind: column.ID},
		}),
		columns: []searched[profile.Profile]{
			{"name", func(p *profile.Profile) any { return p.Name }},
			{"name_fold", func(p *profile.Profile) any { return listing.Fold(p.Name) }},
			{"enabled", func(p *profile.Profile) any { return p.Enabled }},
			{"service_plan", func(p *profile.Profile) any { return p.ServicePlan }},
			{"traffic_type", func(p *profile.Profile) any { return p.TrafficType }},
			{"usage_payment_method", func(p *profile.Profile) any { return p.UsagePaymentMethod }},
			{"billing_group_id", func(p *profile.Profile) any { return table.UUIDOrNull(p.BillingGroupID) }},
			{"rate_deck_id", func(p *profile.Profile) any { return int64(p.RateDeckID) }},
		},
		check: func(ctx context.Context, tx *txn, p *profile.Profile) error {
			if p.BillingGroupID != nil {
				err := refer(ctx, tx, "billing_groups", p.AccountID, p.BillingGroupID[:], "/billing_group_id",
					p.BillingGroupID.String())
				if err != nil {
					return err
				}
			}
			err := referID(ctx, tx, "rate_decks", p.AccountID, p.RateDeckID, "/rate_deck_id")
			if err != nil {
				return err
			}
			return saveTags(ctx, tx, p)
		},
		removable: func(ctx context.Context, tx *txn, p *profile.Profile) error {
			for _, user := range []struct{ table, name string }{
				{"ip_connections", "an IP connection"}, {"credential_connections", "a credential connection"},
				{"fqdn_connections", "an FQDN connection"},
			} {
				err := unused(ctx, tx, user.name, "SELECT 1 FROM "+user.table+" WHERE account_id = $1 AND profile_id = $2",
					int64(p.AccountID), int64(p.ID))
				if err != nil {
					return err
				}
			}
			return nil
		},
		put: func(p *profile.Profile) []policy.Change { return []policy.Change{policy.PutProfile(p)} },
		drop: func(ctx context.Context, tx *txn, p *profile.Profile) ([]policy.Change, error) {
			return []policy.Change{policy.DropProfile(p.ID)}, dropTags(ctx, tx, p)
		},
	}
}

// connectionFields are those of every kind of connection.
func connectionFields(more map[string]listing.Field) map[string]listing.Field {
	fields := withTimes(map[string]listing.Field{
		"id":                        {Column: "id", Kind: column.ID},
		"connection_name":           {Column: "connection_name", Fold: "connection_name_fold"},
		"active":                    {Column: "active", Kind: column.Bool},
		"outbound_voice_profile_id": {Column: "profile_id", Kind: column.ID},
		// Only FQDN connections have any.
		"fqdn": {Within: "id IN (SELECT f.connection_id FROM fqdns AS f WHERE f.account_id = $1 AND f.fqdn = $%d)"},
	})
	for name, f := range more {
		fields[name] = f
	}
	return fields
}

const profileField = "/outbound/outbound_voice_profile_id"

func ipConnectionNoun(v *secret.Vault) *noun[connection.IPConnection, id.ID] {
	type T = connection.IPConnection
	return &noun[T, id.ID]{
		name: "IP connection", table: "ip_connections", secrets: ipSecrets, vault: v,
		complete: func(c *T) { c.Complete() },
		fields:   connectionFields(nil),
		columns: []searched[T]{
			{"connection_name", func(c *T) any { return c.ConnectionName }},
			{"connection_name_fold", func(c *T) any { return listing.Fold(c.ConnectionName) }},
			{"active", func(c *T) any { return c.Active }},
			{"profile_id", func(c *T) any { return int64(c.Outbound.OutboundVoiceProfileID) }},
			{"discriminator", func(c *T) any { return discriminator(v, c) }},
		},
		check: func(ctx context.Context, tx *txn, c *T) error {
			err := referID(ctx, tx, "profiles", c.AccountID, c.Outbound.OutboundVoiceProfileID, profileField)
			if err != nil {
				return err
			}
			pointer := "/outbound/tech_prefix"
			if c.Outbound.IPAuthenticationMethod == "token" {
				pointer = "/outbound/ip_authentication_token"
			}
			return checkConnectionAddresses(ctx, tx, "ip_connections", &claimant{c.AccountID, c.ID,
				c.Outbound.OutboundVoiceProfileID, discriminator(v, c), pointer})
		},
		put: func(c *T) []policy.Change { return []policy.Change{policy.PutIPConn(c)} },
		drop: func(ctx context.Context, tx *txn, c *T) ([]policy.Change, error) {
			return dropConnection(ctx, tx, &c.Base)
		},
	}
}

// dropConnection deletes what belongs to a connection with it: an address that belongs to
// no connection would keep another account from using it.
func dropConnection(ctx context.Context, tx *txn, c *connection.Base) (changes []policy.Change, err error) {
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		ip, err := ipNoun().scan(rows.Scan)
		if err == nil {
			changes = append(changes, policy.DropIP(ip.ID))
			tx.note(ipNoun().change("delete", &ip, nil), ip)
		}
		return err
	}, "SELECT "+docColumns+" FROM ips WHERE account_id = $1 AND connection_id = $2 ORDER BY id", int64(c.AccountID),
		int64(c.ID))
	if err != nil {
		return nil, err
	}
	err = tx.exec(ctx, "DELETE FROM ips WHERE account_id = $1 AND connection_id = $2", int64(c.AccountID), int64(c.ID))
	if err != nil {
		return nil, err
	}
	webhooks, err := dropWebhooksOf(ctx, tx, c.AccountID, c.ID)
	return append(append(changes, webhooks...), policy.DropConnection(c.ID)), err
}

func credentialConnectionNoun(v *secret.Vault) *noun[connection.CredentialConnection, id.ID] {
	type T = connection.CredentialConnection
	return &noun[T, id.ID]{
		name: "credential connection", table: "credential_connections", secrets: credentialSecrets, vault: v,
		complete: func(c *T) { c.Complete() },
		fields: connectionFields(map[string]listing.Field{
			"user_name": {Column: "user_name", Fold: "user_name_fold"},
		}),
		columns: []searched[T]{
			{"connection_name", func(c *T) any { return c.ConnectionName }},
			{"connection_name_fold", func(c *T) any { return listing.Fold(c.ConnectionName) }},
			{"active", func(c *T) any { return c.Active }},
			{"profile_id", func(c *T) any { return int64(c.Outbound.OutboundVoiceProfileID) }},
			{"user_name", func(c *T) any { return c.UserName }},
			{"user_name_fold", func(c *T) any { return listing.Fold(c.UserName) }},
		},
		check: func(ctx context.Context, tx *txn, c *T) error {
			if tx.store.config.ForgetPasswords && !connection.IsHashed(c.Password) {
				c.Password = connection.HashPassword(c.UserName, c.Password)
			}
			err := referID(ctx, tx, "profiles", c.AccountID, c.Outbound.OutboundVoiceProfileID, profileField)
			if err != nil {
				return err
			}
			return checkUserName(ctx, tx, c.UserName, c.ID)
		},
		put: func(c *T) []policy.Change { return []policy.Change{policy.PutCredential(c)} },
		drop: func(ctx context.Context, tx *txn, c *T) ([]policy.Change, error) {
			return dropConnection(ctx, tx, &c.Base)
		},
	}
}

func ipNoun() *noun[connection.IP, id.ID] {
	type T = connection.IP
	return &noun[T, id.ID]{
		name: "IP", table: "ips",
		fields: withTimes(map[string]listing.Field{
			"id":            {Column: "id", Kind: column.ID},
			"connection_id": {Column: "connection_id", Kind: column.ID},
			"ip_address":    {Column: "ip_address", Kind: column.Address},
			"port":          {Column: "port", Kind: column.Int},
		}),
		columns: []searched[T]{
			{"connection_id", func(ip *T) any { return int64(ip.ConnectionID) }},
			{"ip_address", func(ip *T) any { return ip.IPAddress.String() }},
			{"first_address", func(ip *T) any { return addressKey(ip.IPAddress.Prefix().Addr()) }},
			{"port", func(ip *T) any { return int64(ip.Port) }},
		},
		check: checkAddress,
		put:   func(ip *T) []policy.Change { return []policy.Change{policy.PutIP(ip)} },
		drop: func(_ context.Context, _ *txn, ip *T) ([]policy.Change, error) {
			return []policy.Change{policy.DropIP(ip.ID)}, nil
		},
	}
}

func gatewayNoun(v *secret.Vault) *noun[routing.Gateway, id.ID] {
	type T = routing.Gateway
	return &noun[T, id.ID]{
		name: "gateway", table: "gateways", touched: touchedOfGateway, secrets: gatewaySecrets, vault: v,
		complete: func(g *T) { g.Complete() },
		fields: withTimes(map[string]listing.Field{
			"id":       {Column: "id", Kind: column.ID},
			"name":     {Column: "name", Fold: "name_fold"},
			"enabled":  {Column: "enabled", Kind: column.Bool},
			"priority": {Column: "priority", Kind: column.Int},
		}),
		columns: []searched[T]{
			{"name", func(g *T) any { return g.Name }},
			{"name_fold", func(g *T) any { return listing.Fold(g.Name) }},
			{"enabled", func(g *T) any { return g.Enabled }},
			{"priority", func(g *T) any { return int64(g.Priority) }},
		},
		check: func(context.Context, *txn, *T) error { return nil },
		put:   func(g *T) []policy.Change { return []policy.Change{policy.PutGateway(g)} },
		drop: func(_ context.Context, _ *txn, g *T) ([]policy.Change, error) {
			return []policy.Change{policy.DropGateway(g)}, nil
		},
	}
}

func billingGroupNoun() *noun[store.BillingGroup, uuid.UUID] {
	type T = store.BillingGroup
	return &noun[T, uuid.UUID]{
		name: "billing group", table: "billing_groups", touched: touchedOfGroup,
		assign: assignBillingGroup,
		fields: withTimes(map[string]listing.Field{
			"id":   {Column: "id", Kind: column.UUID},
			"name": {Column: "name", Fold: "name_fold"},
		}),
		columns: []searched[T]{
			{"name", func(g *T) any { return g.Name }},
			{"name_fold", func(g *T) any { return listing.Fold(g.Name) }},
		},
		complete: func(g *T) { g.SpendLimit.Complete() },
		check: func(ctx context.Context, tx *txn, g *T) error {
			return countGroup(ctx, tx, g, g.Limits())
		},
		removable: func(ctx context.Context, tx *txn, g *T) error {
			return unused(ctx, tx, "an outbound voice profile",
				"SELECT 1 FROM profiles WHERE account_id = $1 AND billing_group_id = $2", int64(g.AccountID), g.ID[:])
		},
		put: func(g *T) []policy.Change {
			if !g.Limits() {
				return nil
			}
			return []policy.Change{policy.PutGroup(&policy.Group{ID: g.ID, Account: g.AccountID, Spending: policy.CompileSpendLimit(&g.SpendLimit)})}
		},
		drop: func(ctx context.Context, tx *txn, g *T) ([]policy.Change, error) {
			return nil, countGroup(ctx, tx, g, false)
		},
		removed: func(g *T, at time.Time) { g.DeletedAt = &at },
	}
}

// countGroup has a billing group counted while it has a limit, and only then known to
// the policy.
func countGroup(ctx context.Context, tx *txn, g *store.BillingGroup, on bool) error {
	err := tx.countSpend(ctx, g.AccountID, admission.GroupScope(g.ID), on)
	if err == nil && !on && tx.Snapshot.Group(g.ID) != nil {
		err = tx.Apply(policy.DropGroup(g.ID))
	}
	return err
}

// assignBillingGroup keeps the organisation of a group that was made elsewhere.
func assignBillingGroup(ctx context.Context, tx *txn, g *store.BillingGroup) error {
	if g.OrganizationID == uuid.Nil {
		account, err := readAccount(ctx, tx, g.AccountID)
		if err != nil {
			return err
		}
		g.OrganizationID = account.OrganizationID
	}
	return nil
}
