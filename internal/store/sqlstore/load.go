package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// configuration is how the ledger reads the configuration, and what it tells the store.
type configuration struct{ *Store }

// Claim implements Configuration.
func (c configuration) Claim(ctx context.Context, pool *sql.DB, lock string) (err error) {
	c.stale, err = claim(ctx, pool, c.config.Vault, lock)
	return err
}

// Announce implements Configuration.
func (c configuration) Announce(ctx context.Context, tx *ledger.Tx, changes *admission.Changes) error {
	return c.outbox.AnnounceCalls(ctx, tx, changes)
}

// Committed implements Configuration.
func (c configuration) Committed(tx *ledger.Tx, configured bool) {
	if configured {
		c.unswept.Store(true)
	}
	if tx.Mailed || configured { // an endpoint may have been enabled
		c.config.Published()
	}
	if len(tx.Ending) > 0 {
		c.config.HungUp(tx.Ending)
	}
}

// Load builds the snapshot of all that is configured. Decks that the last
// snapshot has compiled are taken from it: their rows never change.
func (c configuration) Load(ctx context.Context, q table.Querier, last *policy.Snapshot) (*policy.Snapshot, error) {
	var changes []policy.Change
	var err error
	for _, n := range nouns(&c.config) {
		if changes, err = n.load(ctx, q, changes); err != nil {
			return nil, err
		}
	}
	decks, err := c.LoadDecks(ctx, q, last)
	if err != nil {
		return nil, err
	}
	return new(policy.Snapshot).With(append(changes, decks...)...)
}

// load appends the changes that put all objects of a kind into the policy.
func (n *noun[T, K]) load(ctx context.Context, q table.Querier, changes []policy.Change) ([]policy.Change, error) {
	if n.put == nil {
		return changes, nil
	}
	err := table.Query(ctx, q, func(rows *sql.Rows) error {
		object, err := n.scan(rows.Scan)
		if err == nil {
			changes = append(changes, n.put(&object)...)
		}
		return err
	}, "SELECT "+docColumns+" FROM "+n.table)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", n.table, err)
	}
	return changes, nil
}

// Reload reads the objects as they are now and puts them into the policy. Whether
// an object comes before what it names makes no difference there.
func (c configuration) Reload(ctx context.Context, q table.Querier, last *policy.Snapshot,
	objects []policy.Object) (*policy.Snapshot, error) {
	var changes []policy.Change
	for _, o := range objects {
		var found []policy.Change
		var err error
		switch o.Kind {
		case policy.KindDeck:
			found, err = c.ReloadDeck(ctx, q, last, o.ID)
		default:
			var known bool
			if found, known, err = c.reloadResource(ctx, q, o); !known {
				return c.Load(ctx, q, last) // a node of a later release has written it
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Kind, o.ID, err)
		}
		changes = append(changes, found...)
	}
	return last.With(changes...)
}

// reloadResource reads one resource of any account, which is dropped when it is gone.
// Resources of several kinds may be one to the policy, as connections are.
func (c configuration) reloadResource(ctx context.Context, q table.Querier,
	o policy.Object) (changes []policy.Change, known bool, err error) {
	var drop policy.Change
	for _, n := range nouns(&c.config) {
		dropped, ok := n.dropped(o)
		if !ok {
			continue
		}
		drop, known = dropped, true
		if changes, err = n.reload(ctx, q, o); err != nil || len(changes) > 0 {
			return changes, true, err
		}
	}
	return []policy.Change{drop}, known, nil
}

// dropped is the change that takes an object out of the policy, if it is of this kind.
func (n *noun[T, K]) dropped(o policy.Object) (policy.Change, bool) {
	if n.kind == "" || n.kind != o.Kind {
		return policy.Change{}, false
	}
	return n.gone(o), true
}

// reload is the change that puts one object of any account into the policy, or nothing
// when it is gone.
func (n *noun[T, K]) reload(ctx context.Context, q table.Querier, o policy.Object) ([]policy.Change, error) {
	object, err := n.scan(q.QueryRowContext(ctx, "SELECT "+docColumns+" FROM "+n.table+" WHERE id = $1", int64(o.ID)).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return n.changes(&object), nil
}

// Prepare compiles the decks that the policy does not have yet.
func (c configuration) Prepare(ctx context.Context) error { return c.PrepareDecks(ctx) }
