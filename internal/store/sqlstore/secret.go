package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// secretText is a field of an object that is sealed where it is stored.
type secretText struct {
	field string
	value *string // nil when the object has none
}

func credentialSecrets(c *connection.CredentialConnection) []secretText {
	return []secretText{{"password", &c.Password}}
}

func ipSecrets(c *connection.IPConnection) []secretText {
	return []secretText{{"outbound.ip_authentication_token", c.Outbound.IPAuthenticationToken}}
}

func fqdnSecrets(c *connection.FQDNConnection) []secretText {
	return []secretText{{"password", c.Password}, {"outbound.ip_authentication_token", c.Outbound.IPAuthenticationToken}}
}

func gatewaySecrets(g *routing.Gateway) []secretText {
	return []secretText{{"password", g.Password}}
}

// place is where a secret belongs; it opens nowhere else.
func (n *noun[T, K]) place(h *collection.Head[K], field string) string {
	return fmt.Sprintf("%s/%d/%v/%s", n.table, int64(h.AccountID), h.ID, field)
}

// sealed is an object as its document is stored.
func (n *noun[T, K]) sealed(object *T) (*T, error) {
	if n.secrets == nil {
		return object, nil
	}
	mine, err := n.copy(object)
	if err != nil {
		return nil, err
	}
	h, _ := collection.HeadOf[K](&mine)
	for _, s := range n.secrets(&mine) {
		if s.value != nil && *s.value != "" {
			*s.value = n.vault.Seal(n.place(h, s.field), *s.value)
		}
	}
	return &mine, nil
}

// unseal opens the secrets of an object that was read.
func (n *noun[T, K]) unseal(object *T) error {
	if n.secrets == nil {
		return nil
	}
	h, _ := collection.HeadOf[K](object)
	for _, s := range n.secrets(object) {
		if s.value == nil {
			continue
		}
		text, err := n.vault.Unseal(n.place(h, s.field), *s.value)
		if err != nil {
			return fmt.Errorf("%s %v: %s: %w: %w", n.name, h.ID, s.field, table.ErrCorrupt, err)
		}
		*s.value = text
	}
	return nil
}

// WrongKeyError means that a database was sealed under keys that the vault does not
// have.
type WrongKeyError struct {
	Missing []string // the ids of the keys
	Mine    string   // the id of the key that the vault seals with
}

func (e *WrongKeyError) Error() string {
	return fmt.Sprintf("the secrets of this database are sealed under the key %s, which the secrets key file does not "+
		"have (it has %s)",
		strings.Join(e.Missing, ", "), e.Mine)
}

// claim notes under which keys the database is sealed, and fails with a WrongKeyError
// when the vault has not all of them. stale says that something may be sealed under
// another key than the vault's first, or not at all.
func claim(ctx context.Context, pool *sql.DB, vault *secret.Vault, lock string) (stale bool, err error) {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if lock != "" {
		if _, err = tx.ExecContext(ctx, lock); err != nil {
			return false, err
		}
	}
	var known []string
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		var key string
		err := rows.Scan(&key)
		known = append(known, key)
		return err
	}, "SELECT id FROM secret_keys ORDER BY id")
	if err != nil {
		return false, err
	}
	wrong := &WrongKeyError{Mine: vault.ID()}
	for _, key := range known {
		if !vault.Has(key) {
			wrong.Missing = append(wrong.Missing, key)
		}
	}
	if len(wrong.Missing) > 0 {
		return false, wrong
	}
	if !slices.Contains(known, vault.ID()) {
		if _, err = tx.ExecContext(ctx, "INSERT INTO secret_keys (id) VALUES ($1)", vault.ID()); err != nil {
			return false, err
		}
	}
	return len(known) != 1 || known[0] != vault.ID(), tx.Commit()
}

// reseal writes again what is not sealed under the vault's first key, and forgets the
// keys under which nothing is sealed any more.
func (s *Store) reseal(ctx context.Context) error {
	vault := s.config.Vault
	count := 0
	err := s.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		count = 0
		for _, one := range []func(context.Context, *database.Tx) (int, error){
			credentialConnectionNoun(&s.config).resealAll, ipConnectionNoun(&s.config).resealAll,
			fqdnConnectionNoun(&s.config).resealAll, gatewayNoun(&s.config).resealAll,
		} {
			n, err := one(ctx, tx)
			if err != nil {
				return err
			}
			count += n
		}
		return tx.Exec(ctx, "DELETE FROM secret_keys WHERE id <> $1", vault.ID())
	})
	if err != nil {
		return fmt.Errorf("seal the secrets under the key %s: %w", vault.ID(), err)
	}
	if count > 0 {
		s.log.Info("secrets were sealed under the first key of the secrets key file", "key", vault.ID(), "objects", count)
	}
	return nil
}

func (n *noun[T, K]) resealAll(ctx context.Context, tx *database.Tx) (int, error) {
	var stale []T
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		var account id.ID
		var version int64
		var doc []byte
		if err := rows.Scan(&account, &version, &doc); err != nil {
			return err
		}
		stored, err := n.decode(account, version, doc)
		if err != nil {
			return err
		}
		for _, s := range n.secrets(&stored) {
			if s.value != nil && *s.value != "" && !n.vault.Current(*s.value) {
				if err := n.unseal(&stored); err != nil {
					return err
				}
				stale = append(stale, stored)
				return nil
			}
		}
		return nil
	}, "SELECT "+docColumns+" FROM "+n.table+" ORDER BY id")
	if err != nil {
		return 0, err
	}
	for i := range stale {
		if err := n.keep(ctx, tx, &stale[i], false); err != nil {
			return 0, err
		}
	}
	return len(stale), nil
}
