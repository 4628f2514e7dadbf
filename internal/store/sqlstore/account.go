package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
	"github.com/tollgate/tollgate/internal/webhook"
)

// firstAccountName is the name of the account that a new installation begins with.
const firstAccountName = "default"

func readAccount(ctx context.Context, q table.Querier, account id.ID) (store.Account, error) {
	return scanAccount(q.QueryRowContext(ctx, "SELECT version, doc FROM accounts WHERE id = $1", int64(account)).Scan)
}

func scanAccount(scan func(...any) error) (store.Account, error) {
	var version int64
	var doc []byte
	if err := scan(&version, &doc); err != nil {
		return store.Account{}, err
	}
	a, err := decodeAccount(doc)
	a.Version = version
	return a, err
}

func decodeAccount(doc []byte) (a store.Account, err error) {
	if err := json.Unmarshal(doc, &a); err != nil {
		return store.Account{}, fmt.Errorf("decode account: %w: %w", table.ErrCorrupt, err)
	}
	if a.UpdatedAt.IsZero() { // of an older server
		a.UpdatedAt = a.CreatedAt
	}
	a.SpendLimit.Complete()
	return a, nil
}

func accountChange(action string, before, after *store.Account) trail.Change {
	c := trail.Change{Kind: "account", Action: action}
	for _, a := range []*store.Account{before, after} {
		if a != nil {
			c.Account, c.Resource = a.ID, a.ID.String()
		}
	}
	if before != nil {
		c.Before = before
	}
	if after != nil {
		c.After = after
	}
	return c
}

// compileAccount is what the policy knows of an account.
func compileAccount(a *store.Account) *policy.Account {
	compiled := &policy.Account{
		ID: a.ID, Active: a.Active, ChannelLimit: policy.NoLimit,
		DefaultDeck: a.DefaultDeck, EmergencyNumbers: append([]string(nil), a.EmergencyNumbers...),
		Spending: policy.CompileSpendLimit(&a.SpendLimit),
	}
	for _, text := range a.SharedSources {
		if n, err := connection.ParseNetwork(text); err == nil { // else it is a domain name
			compiled.Shared = append(compiled.Shared, n.Prefix())
		}
	}
	if a.ChannelLimit != nil {
		compiled.ChannelLimit = *a.ChannelLimit
	}
	return compiled
}

// saveAccount inserts an account at version 1 or updates it to a later one.
func saveAccount(ctx context.Context, tx *txn, a *store.Account) error {
	if err := referID(ctx, tx, "rate_decks", a.ID, a.DefaultDeck, "/default_rate_deck_id"); err != nil {
		return err
	}
	if err := tx.countSpend(ctx, a.ID, admission.AccountScope(a.ID), a.Limits()); err != nil {
		return err
	}
	doc, err := encodeDoc(a)
	if err != nil {
		return fmt.Errorf("encode account: %w", err)
	}
	text := "UPDATE accounts SET version = $2, default_deck = $3, created_at = $4, doc = $5 WHERE id = $1"
	if a.Version == 1 {
		text = "INSERT INTO accounts (id, version, default_deck, created_at, doc) VALUES ($1, $2, $3, $4, $5)"
	}
	if err := tx.exec(ctx, text, int64(a.ID), a.Version, int64(a.DefaultDeck), a.CreatedAt.UnixMicro(), doc); err != nil {
		return err
	}
	return tx.Apply(policy.PutAccount(compileAccount(a)))
}

func (s *Store) makeAccount(ctx context.Context, tx *txn, a store.Account) (store.Account, error) {
	a.ID, a.CreatedAt, a.Version = s.config.IDs.Next(), s.now(), 1
	a.UpdatedAt = a.CreatedAt
	a.SpendLimit.Complete()
	if a.OrganizationID == uuid.Nil {
		made, err := uuid.NewV7()
		if err != nil {
			return store.Account{}, err
		}
		a.OrganizationID = made
	}
	if err := saveAccount(ctx, tx, &a); err != nil {
		return store.Account{}, err
	}
	kept, err := readAccount(ctx, tx, a.ID)
	tx.note(accountChange("create", nil, &kept), kept)
	return kept, err
}

// EnsureFirst creates the first account if there is none, and returns it. created says whether it did.
func (s *Store) EnsureFirst(ctx context.Context) (first store.Account, created bool, err error) {
	err = s.write(ctx, func(tx *txn) error {
		var oldest id.ID
		err := tx.QueryRowContext(ctx, "SELECT id FROM accounts ORDER BY created_at, id LIMIT 1").Scan(&oldest)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			created = true
			first, err = s.makeAccount(ctx, tx, store.Account{Name: firstAccountName, Active: true})
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

func (s *Store) account(ctx context.Context, account id.ID) (a store.Account, err error) {
	err = s.engine.Read(ctx, account, func(tx table.Querier) (err error) {
		a, err = readAccount(ctx, tx, account)
		return err
	})
	return a, err
}

// Account implements store.Accounts.
func (s *Store) Account(ctx context.Context, account id.ID) (store.Account, error) {
	a, err := s.account(ctx, account)
	if err != nil {
		return store.Account{}, table.ReadError("account", account.String(), err)
	}
	return a, nil
}

// CreateAccount makes an account without a key.
func (s *Store) CreateAccount(ctx context.Context, a store.Account) (store.Account, error) {
	var made store.Account
	err := s.write(ctx, func(tx *txn) (err error) {
		made, err = s.makeAccount(ctx, tx, a)
		return err
	})
	if err != nil {
		return store.Account{}, fmt.Errorf("create account: %w", err)
	}
	return made, nil
}

// UpdateAccount implements store.Accounts. Like Update of a collection it makes
// the change outside the writer, and again if another change came first.
func (s *Store) UpdateAccount(ctx context.Context, account id.ID, change func(store.Account) (store.Account,
	error)) (store.Account, error) {
	for {
		current, err := s.account(ctx, account)
		if err != nil {
			return store.Account{}, table.ReadError("account", account.String(), err)
		}
		if !collection.OriginOf(ctx).Allows(current.Version) {
			return store.Account{}, &collection.VersionError{Current: current}
		}
		created, version := current.CreatedAt, current.Version
		next, err := change(current)
		if err != nil {
			return store.Account{}, err
		}
		next.ID, next.CreatedAt, next.UpdatedAt, next.Version = account, created, s.now(), version+1
		saved, err := s.replaceAccount(ctx, next)
		switch {
		case err == nil:
			return saved, nil
		case !errors.Is(err, errStale):
			return store.Account{}, fmt.Errorf("update account %s: %w", account, err)
		}
	}
}

func (s *Store) replaceAccount(ctx context.Context, next store.Account) (store.Account, error) {
	var saved store.Account
	err := s.writeIn(ctx, next.ID, func(tx *txn) error {
		current, err := readAccount(ctx, tx, next.ID)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return collection.ErrNotFound
		case err != nil:
			return err
		case current.Version != next.Version-1:
			return errStale
		}
		if err := tx.permit(ctx, next.ID, touchedOfAccount(&current, &next)...); err != nil {
			return err
		}
		if err := saveAccount(ctx, tx, &next); err != nil {
			return err
		}
		if saved, err = readAccount(ctx, tx, next.ID); err != nil {
			return err
		}
		tx.note(accountChange("update", &current, &saved), saved)
		return tx.announce(ctx, webhook.Change{Account: next.ID, ResourceType: "account", ResourceID: next.ID.String(),
			Action: webhook.Updated, Version: saved.Version})
	})
	if err != nil {
		return store.Account{}, err
	}
	return saved, nil
}
