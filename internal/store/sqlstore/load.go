package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/secret"
)

// loadPolicy builds the snapshot of all that is configured. Decks that the last
// snapshot has compiled are taken from it: their rows never change.
func loadPolicy(ctx context.Context, q querier, last *policy.Snapshot, v *secret.Vault,
	now time.Time) (*policy.Snapshot, error) {
	var changes []policy.Change
	err := query(ctx, q, func(rows *sql.Rows) error {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		a, err := decodeAccount(doc)
		if err == nil {
			changes = append(changes, policy.PutAccount(compileAccount(&a)))
		}
		return err
	}, "SELECT doc FROM accounts")
	if err != nil {
		return nil, fmt.Errorf("load accounts: %w", err)
	}
	for _, load := range []func(context.Context, querier, []policy.Change) ([]policy.Change, error){
		profileNoun().load, ipConnectionNoun(v).load, credentialConnectionNoun(v).load, fqdnConnectionNoun(v).load,
		ipNoun().load, gatewayNoun(v).load, webhookEndpointNoun().load, billingGroupNoun().load, numberingNoun().load,
		verifiedNoun().load,
	} {
		if changes, err = load(ctx, q, changes); err != nil {
			return nil, err
		}
	}
	decks, err := loadDecks(ctx, q, last, now)
	if err != nil {
		return nil, err
	}
	for i := range decks {
		changes = append(changes, policy.PutDeck(&decks[i]))
	}
	return new(policy.Snapshot).With(changes...)
}

// load appends the changes that put all objects of a kind into the policy.
func (n *noun[T, K]) load(ctx context.Context, q querier, changes []policy.Change) ([]policy.Change, error) {
	err := query(ctx, q, func(rows *sql.Rows) error {
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

func loadDecks(ctx context.Context, q querier, last *policy.Snapshot, now time.Time) (decks []policy.Deck, err error) {
	err = query(ctx, q, func(rows *sql.Rows) error {
		var d policy.Deck
		err := rows.Scan(&d.Account, &d.ID)
		decks = append(decks, d)
		return err
	}, "SELECT account_id, id FROM rate_decks")
	if err != nil {
		return nil, fmt.Errorf("load rate decks: %w", err)
	}
	for i := range decks {
		d := &decks[i]
		if known := last.Deck(d.ID); known != nil && known.Account == d.Account {
			d.Rates = known.Rates
			continue
		}
		if d.Rates, err = compileStored(ctx, q, d.Account, d.ID, now); err != nil {
			return nil, fmt.Errorf("load rate decks: %w", err)
		}
	}
	return decks, nil
}

// outdated returns the decks of a snapshot in which a price has taken effect since
// they were compiled.
func (s *Store) outdated(ctx context.Context, now time.Time) ([]policy.Deck, error) {
	snapshot := s.live.Snapshot()
	var due []policy.Deck
	err := s.db.reading(ctx, everyAccount, func(tx querier) error {
		return query(ctx, tx, func(rows *sql.Rows) error {
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
