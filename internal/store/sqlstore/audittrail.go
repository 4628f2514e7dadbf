package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/postgres"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// change is what a write did to one object of the kind.
func (n *noun[T, K]) change(action string, before, after *T) trail.Change {
	c := trail.Change{Kind: strings.ReplaceAll(strings.ToLower(n.name), " ", "_"), Action: action}
	for _, object := range []*T{before, after} {
		if object != nil {
			h, _ := collection.HeadOf[K](object)
			c.Account, c.Resource = h.AccountID, fmt.Sprint(h.ID)
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

// ListAudit implements store.Writes.
func (s *Store) ListAudit(ctx context.Context, account id.ID,
	q collection.Query) (collection.Page[store.AuditEvent], error) {
	page := collection.Page[store.AuditEvent]{Items: []store.AuditEvent{}}
	err := s.db.Read(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = trail.Listing.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			e, _, err := trail.Scan(rows.Scan)
			page.Items = append(page.Items, e)
			return err
		})
		return err
	})
	if err != nil {
		return collection.Page[store.AuditEvent]{}, fmt.Errorf("list audit events: %w", table.Unavailable(err))
	}
	return page, nil
}

// VerifyAuditChain recomputes the chain of audit events, which shows whether an
// event was changed, removed or inserted, and returns its head. The error is an
// *trail.Error when the chain does not hold.
//
// Write access to the database without the key is not enough to make an event that holds.
// The stored head shows that events were cut off the end, as long as it was not set
// back with them: against that, known are heads that were kept elsewhere, which must
// be in the chain.
func (s *Store) VerifyAuditChain(ctx context.Context, known ...trail.Head) (head trail.Head, err error) {
	err = s.db.Read(ctx, table.EveryAccount, func(tx table.Querier) (err error) {
		head, err = trail.Verify(ctx, tx, s.config.Vault, known)
		return err
	})
	return head, err
}

// VerifyAuditFile is VerifyAuditChain for a database file, which a running server
// may have open. It changes nothing in the file.
func VerifyAuditFile(ctx context.Context, path string, v *secret.Vault, known ...trail.Head) (trail.Head, error) {
	return verifyApart(ctx, v, known, func(f func(table.Querier) error) error {
		return sqlite.ReadFile(ctx, path, Tables(), f)
	})
}

// VerifyAuditServer is VerifyAuditChain for a PostgreSQL database whose nodes may be
// running. It changes nothing and locks nothing out.
func VerifyAuditServer(ctx context.Context, databaseURL string, v *secret.Vault,
	known ...trail.Head) (trail.Head, error) {
	return verifyApart(ctx, v, known, func(f func(table.Querier) error) error {
		return postgres.ReadServer(ctx, databaseURL, Tables(), f)
	})
}

// verifyApart verifies the chain of a database that is opened for that alone. What
// is wrong with the chain is told apart from what is wrong with the database.
func verifyApart(ctx context.Context, v *secret.Vault, known []trail.Head,
	read func(func(table.Querier) error) error) (head trail.Head, err error) {
	var broken error
	err = read(func(tx table.Querier) error {
		head, broken = trail.Verify(ctx, tx, v, known)
		return nil
	})
	if err != nil {
		return head, fmt.Errorf("verify audit: %w", err)
	}
	return head, broken
}

// AuditHead returns where the chain ends now.
func (s *Store) AuditHead(ctx context.Context) (head trail.Head, err error) {
	err = s.db.Read(ctx, table.EveryAccount, func(tx table.Querier) (err error) {
		head, err = trail.ReadHead(ctx, tx)
		return err
	})
	if err != nil {
		return head, fmt.Errorf("read the head of the audit: %w", table.Unavailable(err))
	}
	return head, nil
}

// HasAuditHead reports whether the chain goes through a head that was kept. It looks at
// that one event; VerifyAuditChain looks at all.
func (s *Store) HasAuditHead(ctx context.Context, head trail.Head) (has bool, err error) {
	err = s.db.Read(ctx, table.EveryAccount, func(tx table.Querier) (err error) {
		has, err = trail.HasHead(ctx, tx, head)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for a head of the audit: %w", table.Unavailable(err))
	}
	return has, nil
}
