package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// NumberingOverrides is one of Collections.
func (s *Store) NumberingOverrides() store.Collection[numbering.Override, id.ID] {
	return &serverCollection[numbering.Override, id.ID]{
		collection[numbering.Override, id.ID]{store: s, noun: numberingNoun(), everywhere: true}}
}

// serverCollection keeps what belongs to the server and to no account. Its rows are
// those of the first account, which cannot be deleted, for any caller.
type serverCollection[T any, K comparable] struct {
	inner collection[T, K]
}

// owner is the first account.
func (c *serverCollection[T, K]) owner(ctx context.Context) (first id.ID, err error) {
	err = c.inner.store.engine.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		return tx.QueryRowContext(ctx, "SELECT id FROM accounts ORDER BY created_at, id LIMIT 1").Scan(&first)
	})
	if err != nil {
		return 0, table.ReadError("account", "first", err)
	}
	return first, nil
}

// Create implements store.Collection.
func (c *serverCollection[T, K]) Create(ctx context.Context, _ id.ID, object T) (made T, err error) {
	owner, err := c.owner(ctx)
	if err != nil {
		return made, err
	}
	return c.inner.Create(ctx, owner, object)
}

// Get implements store.Collection.
func (c *serverCollection[T, K]) Get(ctx context.Context, _ id.ID, key K) (object T, err error) {
	owner, err := c.owner(ctx)
	if err != nil {
		return object, err
	}
	return c.inner.Get(ctx, owner, key)
}

// Update implements store.Collection.
func (c *serverCollection[T, K]) Update(ctx context.Context, _ id.ID, key K,
	change func(T) (T, error)) (saved T, err error) {
	owner, err := c.owner(ctx)
	if err != nil {
		return saved, err
	}
	return c.inner.Update(ctx, owner, key, change)
}

// Delete implements store.Collection.
func (c *serverCollection[T, K]) Delete(ctx context.Context, _ id.ID, key K) (gone T, err error) {
	owner, err := c.owner(ctx)
	if err != nil {
		return gone, err
	}
	return c.inner.Delete(ctx, owner, key)
}

// List implements store.Collection.
func (c *serverCollection[T, K]) List(ctx context.Context, _ id.ID, q store.Query) (store.Page[T], error) {
	owner, err := c.owner(ctx)
	if err != nil {
		return store.Page[T]{}, err
	}
	return c.inner.List(ctx, owner, q)
}

func numberingNoun() *noun[numbering.Override, id.ID] {
	type T = numbering.Override
	return &noun[T, id.ID]{
		name: "numbering plan override", table: "numbering_plan_overrides",
		columns: column.List[T]{column.Words("prefix", func(o *T) *string { return &o.Prefix })},
		indexes: []table.Index{{On: "prefix"}},
		check:   checkOverride,
		put:     func(o *T) []policy.Change { return []policy.Change{policy.PutOverride(o)} },
		drop: func(_ context.Context, _ *txn, o *T) ([]policy.Change, error) {
			return []policy.Change{policy.DropOverride(o.ID)}, nil
		},
	}
}

// checkOverride wants one override of a prefix at a time, and not too many.
func checkOverride(ctx context.Context, tx *txn, o *numbering.Override) error {
	var others int
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM numbering_plan_overrides WHERE id <> $1",
		int64(o.ID)).Scan(&others); err != nil {
		return err
	}
	if others >= store.MaxNumberingOverrides {
		return &store.ReferenceError{Err: store.ErrTooMany, Field: "/",
			Other: fmt.Sprintf("%d numbering plan overrides", others)}
	}
	var clash *numbering.Override
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		other, err := numberingNoun().scan(rows.Scan)
		if err == nil && clash == nil && o.Overlaps(&other) {
			clash = &other
		}
		return err
	}, "SELECT "+docColumns+" FROM numbering_plan_overrides WHERE prefix = $1 AND id <> $2", o.Prefix, int64(o.ID))
	if err != nil || clash == nil {
		return err
	}
	return &store.ReferenceError{Err: store.ErrDuplicate, Field: "/prefix",
		Other: fmt.Sprintf("numbering plan override %s of %s, which holds at the same time", clash.ID, clash.Prefix)}
}
