package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// firstAccountName is the name of the account that a new installation begins with.
const firstAccountName = "default"

// Accounts is one of Collections.
func (s *Store) Accounts() collection.Of[store.Account, id.ID] {
	return &documents[store.Account, id.ID]{store: s, noun: accountNoun()}
}

func accountNoun() *noun[store.Account, id.ID] {
	type T = store.Account
	return &noun[T, id.ID]{
		name: "account", table: "accounts", fresh: store.NewAccount, self: true, touched: touchedOfAccount,
		assign: func(_ context.Context, _ *database.Tx, a *T) (err error) {
			if a.OrganizationID == uuid.Nil {
				a.OrganizationID, err = uuid.NewV7()
			}
			return err
		},
		columns: column.List[T]{
			column.Integer("default_deck", column.ID, func(a *T) *id.ID { return &a.DefaultRateDeckID }),
		},
		check: func(ctx context.Context, tx *database.Tx, a *T) error {
			if err := database.ReferID(ctx, tx, "rate_decks", a.ID, a.DefaultRateDeckID, "/default_rate_deck_id"); err != nil {
				return err
			}
			return countSpend(ctx, tx, a.ID, admission.AccountScope(a.ID), a.Limits())
		},
		removable: emptyAccount,
		drop: func(ctx context.Context, tx *database.Tx, a *T) ([]policy.Change, error) {
			for _, table := range []string{"key_uses", "api_keys", "idempotency_keys", "ledger_reports", "registrations"} {
				if err := tx.Exec(ctx, "DELETE FROM "+table+" WHERE account_id = $1", int64(a.ID)); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		kind: policy.KindAccount, gone: byID(policy.DropAccount),
		put: once(func(a *T) policy.Change { return policy.PutAccount(compileAccount(a)) }),
	}
}

func readAccount(ctx context.Context, q table.Querier, account id.ID) (store.Account, error) {
	return accountNoun().get(ctx, q, account, account)
}

// compileAccount is what the policy knows of an account.
func compileAccount(a *store.Account) *policy.Account {
	compiled := &policy.Account{
		ID: a.ID, Active: a.Active, ChannelLimit: policy.NoLimit,
		DefaultDeck: a.DefaultRateDeckID, EmergencyNumbers: append([]string(nil), a.EmergencyNumbers...),
		Spending: policy.CompileSpendLimit(&a.SpendLimit),
	}
	for _, text := range a.SharedSources {
		if n, err := connection.ParseNetwork(text); err == nil { // else it is a domain name
			compiled.Shared = append(compiled.Shared, n.Prefix())
		}
	}
	if a.ConcurrentCallLimit != nil {
		compiled.ChannelLimit = *a.ConcurrentCallLimit
	}
	return compiled
}

// EnsureFirst creates the first account if there is none, and returns it. created reports whether it did.
func (s *Store) EnsureFirst(ctx context.Context) (first store.Account, created bool, err error) {
	err = s.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		var oldest id.ID
		err := tx.QueryRowContext(ctx, "SELECT id FROM accounts ORDER BY created_at, id LIMIT 1").Scan(&oldest)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			created = true
			first = store.NewAccount()
			first.Name = firstAccountName
			first, err = accountNoun().create(ctx, tx, s, 0, first)
		case err == nil:
			first, err = readAccount(ctx, tx, oldest)
		}
		return err
	})
	if err != nil {
		return store.Account{}, false, fmt.Errorf("ensure first account: %w", err)
	}
	return first, created, nil
}

// owners is what rooms need of the accounts that their rows belong to.
type owners struct{ db *database.DB }

// Permit fails with a store.LockedError when any of these locks forbids the write.
func (owners) Permit(ctx context.Context, tx *database.Tx, account id.ID, locks ...string) error {
	var touched []store.LockedField
	for _, lock := range locks {
		touched = append(touched, whole(lock))
	}
	return permit(ctx, tx, account, touched...)
}

// UseDeck makes a deck the default of an account.
func (owners) UseDeck(ctx context.Context, tx *database.Tx, account, deck id.ID) error {
	before, err := readAccount(ctx, tx, account)
	if err != nil {
		return err
	}
	after := before
	after.DefaultRateDeckID = deck
	after.Version++
	after.UpdatedAt = tx.Now()
	n := accountNoun()
	if err := n.write(ctx, tx, &after, false); err != nil {
		return err
	}
	tx.Note(n.change("update", &before, &after), after)
	return nil
}

// Each goes through all accounts.
func (o owners) Each(ctx context.Context, use func(*store.Account)) error {
	return o.db.List(ctx, table.EveryAccount, func(rows *sql.Rows) error {
		a, err := accountNoun().scan(rows.Scan)
		if err == nil {
			use(&a)
		}
		return err
	}, "SELECT "+docColumns+" FROM accounts ORDER BY id")
}

// CreateTenant implements store.Tenants.
func (s *Store) CreateTenant(ctx context.Context, a store.Account, first store.Key) (store.Tenant, error) {
	var made store.Tenant
	err := s.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) (err error) {
		if made.Account, err = accountNoun().create(ctx, tx, s, 0, a); err != nil {
			return err
		}
		if made.Key, err = keyNoun().create(ctx, tx, s, made.Account.ID, first); err != nil {
			return err
		}
		tx.Answer(made)
		return nil
	})
	if err != nil {
		return store.Tenant{}, fmt.Errorf("create account with key: %w", err)
	}
	return made, nil
}

// emptyAccount fails when an account is the first one, or has anything but keys.
func emptyAccount(ctx context.Context, tx *database.Tx, a *store.Account) error {
	var older bool
	err := tx.AcrossAccounts(ctx, func() (err error) {
		older, err = table.Exists(ctx, tx,
			"SELECT 1 FROM accounts AS a JOIN accounts AS b ON b.id = $1 WHERE (a.created_at, a.id) < (b.created_at, b.id)",
			int64(a.ID))
		return err
	})
	if err != nil {
		return err
	}
	if !older {
		return &collection.ReferenceError{Err: collection.ErrInUse, Field: "/", Other: "the server, as its first account"}
	}
	for _, user := range []struct{ table, name string }{
		{"profiles", "an outbound voice profile"}, {"ip_connections", "an IP connection"},
		{"credential_connections", "a credential connection"}, {"fqdn_connections", "an FQDN connection"},
		{"fqdns", "an FQDN"}, {"webhook_endpoints", "a webhook endpoint"}, {"ips", "an IP"}, {"gateways", "a gateway"},
		{"billing_groups", "a billing group"}, {"rate_decks", "a rate deck"}, {"verified_numbers", "a verified number"},
		{"leases", "a call"}, {"call_records", "a call record"},
	} {
		if err := database.Unused(ctx, tx, user.name, "SELECT 1 FROM "+user.table+" WHERE account_id = $1",
			int64(a.ID)); err != nil {
			return err
		}
	}
	return nil
}
