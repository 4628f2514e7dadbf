// Package decks keeps rate decks: their rows, in chunks, and what the policy has compiled
// of them. A deck never changes after it was imported; but prices in it take effect later.
package decks

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Accounts is what decks need of the accounts that they belong to.
type Accounts interface {
	// Permit fails with a store.LockedError when any of these locks forbids the write.
	Permit(ctx context.Context, tx *database.Tx, account id.ID, locks ...string) error
	// UseDeck makes a deck the default of an account.
	UseDeck(ctx context.Context, tx *database.Tx, account, deck id.ID) error
}

// Decks implements store.Decks.
type Decks struct {
	db       *database.DB
	live     *policy.Live
	ids      *id.Source
	accounts Accounts
	compiled cache
}

// New makes the decks of a database.
func New(db *database.DB, live *policy.Live, ids *id.Source, accounts Accounts) *Decks {
	return &Decks{db: db, live: live, ids: ids, accounts: accounts}
}

// decks joins the account, which reports whether the deck is its default.
var decks = listing.Table{
	Name: `(SELECT d.*, d.id = a.default_deck AS active FROM rate_decks AS d
		JOIN accounts AS a ON a.id = d.account_id) AS decks`,
	Columns: "account_id, id, version, name, row_count, active, created_at, updated_at",
	Fields: map[string]listing.Field{
		"id":         {Column: "id", Kind: column.ID},
		"name":       {Column: "name", Fold: "name_fold"},
		"rows":       {Column: "row_count", Kind: column.Int},
		"active":     {Column: "active", Kind: column.Bool},
		"created_at": {Column: "created_at", Kind: column.Time},
		"updated_at": {Column: "updated_at", Kind: column.Time},
	},
}

func change(action string, before, after *store.RateDeck) trail.Change {
	c := trail.Change{Kind: "rate_deck", Action: action}
	for _, d := range []*store.RateDeck{before, after} {
		if d != nil {
			c.Account, c.Resource = d.AccountID, d.ID.String()
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

func scanDeck(scan func(...any) error) (d store.RateDeck, err error) {
	var created, updated int64
	err = scan(&d.AccountID, &d.ID, &d.Version, &d.Name, &d.Rows, &d.Active, &created, &updated)
	d.CreatedAt = time.UnixMicro(created).UTC()
	d.UpdatedAt = time.UnixMicro(updated).UTC()
	return d, err
}

func readDeck(ctx context.Context, q table.Querier, account, deck id.ID) (store.RateDeck, error) {
	return scanDeck(q.QueryRowContext(ctx, "SELECT "+decks.Columns+" FROM "+decks.Name+
		" WHERE account_id = $1 AND id = $2", int64(account), int64(deck)).Scan)
}

// ImportDeck implements store.Decks. The rows are compiled and encoded before the
// writer sees them, so calls wait only for the chunks to be written.
func (k *Decks) ImportDeck(ctx context.Context, account id.ID, name string, rows []rating.Row) (store.RateDeck, error) {
	ordered := orderRows(rows)
	compiled, err := rating.NewDeck(ordered, k.db.Clock())
	if err != nil {
		return store.RateDeck{}, fmt.Errorf("import rate deck: %w", err)
	}
	chunks := encodeRows(ordered)
	var deck store.RateDeck
	err = k.db.Write(ctx, account, func(tx *database.Tx) error {
		if err := database.AccountExists(ctx, tx, account); err != nil {
			return err
		}
		if err := k.accounts.Permit(ctx, tx, account, store.LockDecks); err != nil {
			return err
		}
		key, now := k.ids.Next(), k.db.Now()
		err := tx.Exec(ctx, `INSERT INTO rate_decks (account_id, id, version, created_at, updated_at, name, name_fold, row_count)
			VALUES ($1, $2, 1, $3, $3, $4, $5, $6)`, int64(account), int64(key), now.UnixMicro(), name, listing.Fold(name), len(ordered))
		if err != nil {
			return err
		}
		for i, body := range chunks {
			first := i * chunkRows
			err := tx.Exec(ctx,
				"INSERT INTO deck_chunks (account_id, deck_id, first_row, row_count, body) VALUES ($1, $2, $3, $4, $5)",
				int64(account), int64(key), first, min(chunkRows, len(ordered)-first), body)
			if err != nil {
				return err
			}
		}
		if deck, err = readDeck(ctx, tx, account, key); err != nil {
			return err
		}
		tx.Note(change("create", nil, &deck), deck)
		if err := tx.Apply(policy.PutDeck(&policy.Deck{ID: key, Account: account, Rates: compiled})); err != nil {
			return err
		}
		return announce(ctx, tx, &deck, webhook.Created)
	})
	if err != nil {
		return store.RateDeck{}, fmt.Errorf("import rate deck: %w", err)
	}
	return deck, nil
}

// Deck implements store.Decks.
func (k *Decks) Deck(ctx context.Context, account, deck id.ID) (store.RateDeck, error) {
	var d store.RateDeck
	err := k.db.Read(ctx, account, func(tx table.Querier) (err error) {
		d, err = readDeck(ctx, tx, account, deck)
		return err
	})
	if err != nil {
		return store.RateDeck{}, table.ReadError("rate deck", deck.String(), err)
	}
	return d, nil
}

// ListDecks implements store.Decks.
func (k *Decks) ListDecks(ctx context.Context, account id.ID,
	q collection.Query) (collection.Page[store.RateDeck], error) {
	page := collection.Page[store.RateDeck]{Items: []store.RateDeck{}}
	err := k.db.Read(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = decks.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			d, err := scanDeck(rows.Scan)
			page.Items = append(page.Items, d)
			return err
		})
		return err
	})
	if err != nil {
		return collection.Page[store.RateDeck]{}, fmt.Errorf("list rate decks: %w", table.Unavailable(err))
	}
	return page, nil
}

// DeckRows implements store.Decks. Rows can be filtered by prefix and description,
// with Equal and Contains; their order is that of their prefixes.
func (k *Decks) DeckRows(ctx context.Context, account, deck id.ID,
	q collection.Query) (collection.Page[rating.Row], error) {
	page := collection.Page[rating.Row]{Items: []rating.Row{}}
	err := k.db.Read(ctx, account, func(tx table.Querier) error {
		d, err := readDeck(ctx, tx, account, deck)
		if err != nil {
			return table.ReadError("rate deck", deck.String(), err)
		}
		if q.Size < 1 || q.Size > listing.MaxPageSize {
			return fmt.Errorf("%w: page size %d is not between 1 and %d", collection.ErrBadValue, q.Size, listing.MaxPageSize)
		}
		if len(q.Sort) > 0 {
			return fmt.Errorf("sort by %.40q: %w", q.Sort[0].Field, collection.ErrUnknownField)
		}
		first := int64(max(1, q.Number)-1) * int64(q.Size)
		if len(q.Filters) == 0 {
			page.Total = d.Rows
			page.Items, err = rowsBetween(ctx, tx, account, deck, first, first+int64(q.Size))
			return err
		}
		wanted, err := rowFilter(q.Filters)
		if err != nil {
			return err
		}
		return eachChunk(ctx, tx, account, deck, func(rows []rating.Row) {
			for _, row := range rows {
				if !wanted(&row) {
					continue
				}
				if at := int64(page.Total); at >= first && at < first+int64(q.Size) {
					page.Items = append(page.Items, row)
				}
				page.Total++
			}
		})
	})
	if err != nil {
		return collection.Page[rating.Row]{}, fmt.Errorf("list rows of rate deck %s: %w", deck, table.Unavailable(err))
	}
	return page, nil
}

// DeckPart implements store.Decks.
func (k *Decks) DeckPart(ctx context.Context, account, deck id.ID, from int) ([]rating.Row, error) {
	var rows []rating.Row
	err := k.db.Read(ctx, account, func(tx table.Querier) (err error) {
		first := int64(from)
		rows, err = rowsBetween(ctx, tx, account, deck, first, first+chunkRows-first%chunkRows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rows of rate deck %s: %w", deck, table.Unavailable(err))
	}
	return rows, nil
}

func rowFilter(filters []collection.Filter) (func(*rating.Row) bool, error) {
	for _, f := range filters {
		if f.Field != "prefix" && f.Field != "description" {
			return nil, fmt.Errorf("filter by %.40q: %w", f.Field, collection.ErrUnknownField)
		}
		if _, ok := f.Value.(string); !ok || (f.Op != collection.Equal && f.Op != collection.Contains) {
			return nil, fmt.Errorf("filter by %s: %w: not a text to equal or contain", f.Field, collection.ErrBadValue)
		}
	}
	return func(row *rating.Row) bool {
		for _, f := range filters {
			have, want := row.Prefix, f.Value.(string)
			if f.Field == "description" {
				have = row.Description
			}
			if f.Op == collection.Equal && have != want {
				return false
			}
			if f.Op == collection.Contains && !strings.Contains(listing.Fold(have), listing.Fold(want)) {
				return false
			}
		}
		return true
	}, nil
}

// rowsBetween reads the chunks that hold rows from one number up to another.
func rowsBetween(ctx context.Context, q table.Querier, account, deck id.ID, from, to int64) ([]rating.Row, error) {
	found := []rating.Row{}
	err := table.Query(ctx, q, func(rows *sql.Rows) error {
		var first int64
		var body []byte
		if err := rows.Scan(&first, &body); err != nil {
			return err
		}
		chunk, err := decodeChunk(body)
		if err != nil {
			return err
		}
		low := min(max(from-first, 0), int64(len(chunk)))
		high := min(max(to-first, low), int64(len(chunk)))
		found = append(found, chunk[low:high]...)
		return nil
	}, `SELECT first_row, body FROM deck_chunks
		WHERE account_id = $1 AND deck_id = $2 AND first_row < $3 AND first_row + row_count > $4 ORDER BY first_row`,
		int64(account), int64(deck), to, from)
	return found, err
}

func eachChunk(ctx context.Context, q table.Querier, account, deck id.ID, use func([]rating.Row)) error {
	return table.Query(ctx, q, func(rows *sql.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		chunk, err := decodeChunk(body)
		if err == nil {
			use(chunk)
		}
		return err
	}, "SELECT body FROM deck_chunks WHERE account_id = $1 AND deck_id = $2 ORDER BY first_row", int64(account),
		int64(deck))
}

// compileStored compiles a deck from its stored rows.
func compileStored(ctx context.Context, q table.Querier, account, deck id.ID, at time.Time) (*rating.Deck, error) {
	var all []rating.Row
	err := eachChunk(ctx, q, account, deck, func(rows []rating.Row) { all = append(all, rows...) })
	if err != nil {
		return nil, fmt.Errorf("read rows of rate deck %s: %w", deck, err)
	}
	compiled, err := rating.NewDeck(all, at)
	if err != nil {
		return nil, fmt.Errorf("compile rate deck %s: %w", deck, err)
	}
	return compiled, nil
}

// ActivateDeck implements store.Decks.
func (k *Decks) ActivateDeck(ctx context.Context, account, deck id.ID) (store.RateDeck, error) {
	var d store.RateDeck
	err := k.db.Write(ctx, account, func(tx *database.Tx) error {
		before, err := readDeck(ctx, tx, account, deck)
		if err != nil {
			return table.ReadError("rate deck", deck.String(), err)
		}
		if !collection.OriginOf(ctx).Allows(before.Version) {
			return &collection.VersionError{Current: before}
		}
		if err := k.accounts.Permit(ctx, tx, account, store.LockDecks, store.LockDefaultDeck); err != nil {
			return err
		}
		if err := k.accounts.UseDeck(ctx, tx, account, deck); err != nil {
			return err
		}
		err = tx.Exec(ctx, "UPDATE rate_decks SET version = version + 1, updated_at = $3 WHERE account_id = $1 AND id = $2",
			int64(account), int64(deck), k.db.Now().UnixMicro())
		if err != nil {
			return err
		}
		if d, err = readDeck(ctx, tx, account, deck); err != nil {
			return err
		}
		tx.Note(change("update", &before, &d), d)
		return announce(ctx, tx, &d, webhook.Activated)
	})
	if err != nil {
		return store.RateDeck{}, fmt.Errorf("activate rate deck: %w", err)
	}
	return d, nil
}

// DeleteDeck implements store.Decks.
func (k *Decks) DeleteDeck(ctx context.Context, account, deck id.ID) (store.RateDeck, error) {
	var d store.RateDeck
	err := k.db.Write(ctx, account, func(tx *database.Tx) (err error) {
		if d, err = readDeck(ctx, tx, account, deck); err != nil {
			return table.ReadError("rate deck", deck.String(), err)
		}
		if !collection.OriginOf(ctx).Allows(d.Version) {
			return &collection.VersionError{Current: d}
		}
		if err := k.accounts.Permit(ctx, tx, account, store.LockDecks); err != nil {
			return err
		}
		if d.Active {
			return &collection.ReferenceError{Err: collection.ErrInUse, Field: "/",
				Other: "the account, as its default rate deck"}
		}
		err = database.Unused(ctx, tx, "an outbound voice profile",
			"SELECT 1 FROM profiles WHERE account_id = $1 AND rate_deck_id = $2", int64(account), int64(deck))
		if err != nil {
			return err
		}
		for _, text := range []string{
			"DELETE FROM deck_chunks WHERE account_id = $1 AND deck_id = $2",
			"DELETE FROM rate_decks WHERE account_id = $1 AND id = $2",
		} {
			if err := tx.Exec(ctx, text, int64(account), int64(deck)); err != nil {
				return err
			}
		}
		tx.Note(change("delete", &d, nil), d)
		if err := tx.Apply(policy.DropDeck(deck)); err != nil {
			return err
		}
		return announce(ctx, tx, &d, webhook.Deleted)
	})
	if err != nil {
		return store.RateDeck{}, fmt.Errorf("delete rate deck: %w", err)
	}
	return d, nil
}

// announce publishes the event of a changed rate deck.
func announce(ctx context.Context, tx *database.Tx, d *store.RateDeck, action string) error {
	return tx.Announce(ctx, webhook.Change{
		Account: d.AccountID, ResourceType: "rate_deck", ResourceID: d.ID.String(), Action: action, Version: d.Version,
	})
}
