package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
)

// firstAccountName is the name of the account that a new installation begins with.
const firstAccountName = "default"

func readAccount(ctx context.Context, q querier, account id.ID) (a store.Account, version int64, err error) {
	var doc []byte
	err = q.QueryRowContext(ctx, "SELECT version, doc FROM accounts WHERE id = $1", int64(account)).Scan(&version, &doc)
	if err != nil {
		return store.Account{}, 0, err
	}
	a, err = decodeAccount(doc)
	return a, version, err
}

func decodeAccount(doc []byte) (a store.Account, err error) {
	if err := json.Unmarshal(doc, &a); err != nil {
		return store.Account{}, fmt.Errorf("decode account: %w: %w", errCorrupt, err)
	}
	return a, nil
}

// compileAccount is what the policy knows of an account.
func compileAccount(a *store.Account) *policy.Account {
	compiled := &policy.Account{
		ID: a.ID, Active: a.Active, ChannelLimit: policy.NoLimit,
		DefaultDeck: a.DefaultDeck, EmergencyNumbers: append([]string(nil), a.EmergencyNumbers...),
	}
	if a.ChannelLimit != nil {
		compiled.ChannelLimit = *a.ChannelLimit
	}
	return compiled
}

// saveAccount inserts an account at version 1 or updates it to a later one.
func saveAccount(ctx context.Context, tx *txn, a *store.Account, version int64) error {
	if err := referID(ctx, tx, "rate_decks", a.ID, a.DefaultDeck, "/default_deck"); err != nil {
		return err
	}
	doc, err := encodeDoc(a)
	if err != nil {
		return fmt.Errorf("encode account: %w", err)
	}
	text := "UPDATE accounts SET version = $2, default_deck = $3, created_at = $4, doc = $5 WHERE id = $1"
	if version == 1 {
		text = "INSERT INTO accounts (id, version, default_deck, created_at, doc) VALUES ($1, $2, $3, $4, $5)"
	}
	if err := tx.exec(ctx, text, int64(a.ID), version, int64(a.DefaultDeck), a.CreatedAt.UnixMicro(), doc); err != nil {
		return err
	}
	return tx.apply(policy.Change{PutAccount: compileAccount(a)})
}

func (s *Store) makeAccount(ctx context.Context, tx *txn, a store.Account) (store.Account, error) {
	a.ID, a.CreatedAt = s.config.IDs.Next(), s.now()
	if a.OrganizationID == uuid.Nil {
		made, err := uuid.NewV7()
		if err != nil {
			return store.Account{}, err
		}
		a.OrganizationID = made
	}
	if err := saveAccount(ctx, tx, &a, 1); err != nil {
		return store.Account{}, err
	}
	kept, _, err := readAccount(ctx, tx, a.ID)
	return kept, err
}

// EnsureFirst implements store.Accounts.
func (s *Store) EnsureFirst(ctx context.Context) (store.Account, bool, error) {
	var first store.Account
	var created bool
	err := s.write(ctx, func(tx *txn) error {
		var oldest id.ID
		err := tx.QueryRowContext(ctx, "SELECT id FROM accounts ORDER BY created_at, id LIMIT 1").Scan(&oldest)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			created = true
			first, err = s.makeAccount(ctx, tx, store.Account{Name: firstAccountName, Active: true})
		case err == nil:
			first, _, err = readAccount(ctx, tx, oldest)
		}
		return err
	})
	if err != nil {
		return store.Account{}, false, fmt.Errorf("ensure first account: %w", err)
	}
	return first, created, nil
}

func (s *Store) account(ctx context.Context, account id.ID) (a store.Account, version int64, err error) {
	err = s.db.reading(ctx, account, func(tx querier) error {
		a, version, err = readAccount(ctx, tx, account)
		return err
	})
	return a, version, err
}

// Account implements store.Accounts.
func (s *Store) Account(ctx context.Context, account id.ID) (store.Account, error) {
	a, _, err := s.account(ctx, account)
	if err != nil {
		return store.Account{}, readError("account", account.String(), err)
	}
	return a, nil
}

// CreateAccount implements store.Accounts.
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
// the change outside the writer, and again when somebody else was faster.
func (s *Store) UpdateAccount(ctx context.Context, account id.ID, change func(store.Account) (store.Account, error)) (store.Account, error) {
	for {
		current, version, err := s.account(ctx, account)
		if err != nil {
			return store.Account{}, readError("account", account.String(), err)
		}
		created := current.CreatedAt
		next, err := change(current)
		if err != nil {
			return store.Account{}, err
		}
		next.ID, next.CreatedAt = account, created
		saved, err := s.replaceAccount(ctx, next, version)
		switch {
		case err == nil:
			return saved, nil
		case !errors.Is(err, errStale):
			return store.Account{}, fmt.Errorf("update account %s: %w", account, err)
		}
	}
}

func (s *Store) replaceAccount(ctx context.Context, next store.Account, version int64) (store.Account, error) {
	var saved store.Account
	err := s.writeIn(ctx, next.ID, func(tx *txn) error {
		_, current, err := readAccount(ctx, tx, next.ID)
		if err != nil {
			return err
		}
		if current != version {
			return errStale
		}
		if err := saveAccount(ctx, tx, &next, version+1); err != nil {
			return err
		}
		saved, _, err = readAccount(ctx, tx, next.ID)
		return err
	})
	if err != nil {
		return store.Account{}, err
	}
	return saved, nil
}

func scanKey(scan func(...any) error) (k store.Key, err error) {
	var doc []byte
	if err := scan(&doc); err != nil {
		return store.Key{}, err
	}
	if err := json.Unmarshal(doc, &k); err != nil {
		return store.Key{}, fmt.Errorf("decode API key: %w: %w", errCorrupt, err)
	}
	return k, nil
}

// PutKey implements store.Accounts. Since a key is looked up by its hash alone, a
// hash that another account has is store.ErrDuplicate.
func (s *Store) PutKey(ctx context.Context, k store.Key) (store.Key, error) {
	var kept store.Key
	err := s.write(ctx, func(tx *txn) error {
		existing, err := scanKey(tx.QueryRowContext(ctx, "SELECT doc FROM api_keys WHERE hash = $1", k.Hash[:]).Scan)
		switch {
		case err == nil && existing.AccountID == k.AccountID:
			kept = existing
			return nil
		case err == nil:
			return &store.ReferenceError{Err: store.ErrDuplicate, Field: "/", Other: "another key"}
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := accountExists(ctx, tx, k.AccountID); err != nil {
			return err
		}
		kept = k
		kept.ID, kept.CreatedAt = s.config.IDs.Next(), s.now()
		doc, err := encodeDoc(&kept)
		if err != nil {
			return fmt.Errorf("encode API key: %w", err)
		}
		return tx.exec(ctx, "INSERT INTO api_keys (account_id, id, hash, created_at, doc) VALUES ($1, $2, $3, $4, $5)",
			int64(kept.AccountID), int64(kept.ID), kept.Hash[:], kept.CreatedAt.UnixMicro(), doc)
	})
	if err != nil {
		return store.Key{}, fmt.Errorf("put API key: %w", err)
	}
	return kept, nil
}

// KeyByHash implements store.Accounts.
func (s *Store) KeyByHash(ctx context.Context, hash [32]byte) (store.Key, error) {
	var k store.Key
	err := s.db.reading(ctx, everyAccount, func(tx querier) (err error) {
		k, err = scanKey(tx.QueryRowContext(ctx, "SELECT doc FROM api_keys WHERE hash = $1", hash[:]).Scan)
		return err
	})
	if err != nil {
		return store.Key{}, readError("API key", "by hash", err)
	}
	return k, nil
}

// CountKeys implements store.Accounts.
func (s *Store) CountKeys(ctx context.Context) (int, error) {
	var n int
	err := s.db.reading(ctx, everyAccount, func(tx querier) error {
		return tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM api_keys").Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count API keys: %w", unavailable(err))
	}
	return n, nil
}
