package decks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// LoadDecks puts all decks into the policy. Those that the last snapshot has compiled are taken
// from it: their rows never change.
func (k *Decks) LoadDecks(ctx context.Context, q table.Querier, last *policy.Snapshot) ([]policy.Change, error) {
	var decks []policy.Deck
	err := table.Query(ctx, q, func(rows *sql.Rows) error {
		var d policy.Deck
		err := rows.Scan(&d.Account, &d.ID)
		decks = append(decks, d)
		return err
	}, "SELECT account_id, id FROM rate_decks")
	if err != nil {
		return nil, fmt.Errorf("load rate decks: %w", err)
	}
	var changes []policy.Change
	for i := range decks {
		d := &decks[i]
		if known := last.Deck(d.ID); known != nil && known.Account == d.Account {
			d.Rates = known.Rates
		} else if d.Rates, err = compileStored(ctx, q, d.Account, d.ID, k.db.Clock()); err != nil {
			return nil, fmt.Errorf("load rate decks: %w", err)
		}
		changes = append(changes, policy.PutDeck(d))
	}
	return changes, nil
}

// outdated returns the decks of a snapshot in which a price has taken effect since
// they were compiled.
func (k *Decks) outdated(ctx context.Context, now time.Time) ([]policy.Deck, error) {
	snapshot := k.live.Snapshot()
	var due []policy.Deck
	err := k.db.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		return table.Query(ctx, tx, func(rows *sql.Rows) error {
			var deck id.ID
			if err := rows.Scan(&deck); err != nil {
				return err
			}
			if d := snapshot.Deck(deck); d != nil && changed(d.Rates, now) {
				due = append(due, *d)
			}
			return nil
		}, "SELECT id FROM rate_decks")
	})
	return due, err
}

func changed(rates *rating.Deck, now time.Time) bool {
	next, dated := rates.NextChange()
	return dated && !next.After(now)
}

// ReloadDeck compiles a deck that is new to this node. One that it has is left as
// it is, since rows never change.
func (k *Decks) ReloadDeck(ctx context.Context, q table.Querier, last *policy.Snapshot,
	key id.ID) ([]policy.Change, error) {
	d := policy.Deck{ID: key}
	err := q.QueryRowContext(ctx, "SELECT account_id FROM rate_decks WHERE id = $1", int64(key)).Scan(&d.Account)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return []policy.Change{policy.DropDeck(key)}, nil
	case err != nil:
		return nil, err
	case last.Deck(key) != nil:
		return nil, nil
	}
	if d.Rates = k.compiled.take(key); d.Rates == nil {
		d.Rates, err = compileStored(ctx, q, d.Account, key, k.db.Clock())
	}
	return []policy.Change{policy.PutDeck(&d)}, err
}

// cache holds decks that were compiled ahead of their use.
type cache struct {
	mu    sync.Mutex // guards decks
	decks map[id.ID]*rating.Deck
}

func (c *cache) put(deck id.ID, rates *rating.Deck) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decks == nil {
		c.decks = make(map[id.ID]*rating.Deck)
	}
	c.decks[deck] = rates
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decks = nil
}

// take returns a deck and forgets it, or returns nil.
func (c *cache) take(deck id.ID) *rating.Deck {
	c.mu.Lock()
	defer c.mu.Unlock()
	rates := c.decks[deck]
	delete(c.decks, deck)
	return rates
}

// PrepareDecks compiles the decks that the policy does not have yet.
func (k *Decks) PrepareDecks(ctx context.Context) error {
	type deck struct{ account, id id.ID }
	var missing []deck
	k.compiled.clear()
	snapshot := k.live.Snapshot()
	err := k.db.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		return table.Query(ctx, tx, func(rows *sql.Rows) error {
			var d deck
			err := rows.Scan(&d.account, &d.id)
			if snapshot.Deck(d.id) == nil {
				missing = append(missing, d)
			}
			return err
		}, "SELECT account_id, id FROM rate_decks")
	})
	if err != nil {
		return err
	}
	for _, d := range missing {
		var rates *rating.Deck
		err := k.db.Read(ctx, d.account, func(tx table.Querier) (err error) {
			rates, err = compileStored(ctx, tx, d.account, d.id, k.db.Clock())
			return err
		})
		if err != nil {
			return err
		}
		k.compiled.put(d.id, rates)
	}
	return nil
}

// RefreshDecks compiles the decks anew in which a price has taken effect. It is
// done outside the writer; only the swap of the pointer is the writer's.
func (k *Decks) RefreshDecks(ctx context.Context) error {
	now := k.db.Clock()
	due, err := k.outdated(ctx, now)
	if err != nil {
		return err
	}
	for _, d := range due {
		var rates *rating.Deck
		err := k.db.Read(ctx, d.Account, func(tx table.Querier) (err error) {
			rates, err = compileStored(ctx, tx, d.Account, d.ID, now)
			return err
		})
		if err != nil {
			return err
		}
		err = k.db.Write(ctx, d.Account, func(tx *database.Tx) error {
			if _, err := readDeck(ctx, tx, d.Account, d.ID); err != nil {
				return table.ReadError("rate deck", d.ID.String(), err)
			}
			return tx.ApplyHere(policy.PutDeck(&policy.Deck{ID: d.ID, Account: d.Account, Rates: rates}))
		})
		if err != nil && !errors.Is(err, collection.ErrNotFound) { // deleted meanwhile
			return err
		}
	}
	return nil
}
