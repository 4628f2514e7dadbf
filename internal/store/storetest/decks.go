package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
)

func testDecks(t *testing.T, open Opener) {
	b := newBed(t, open)
	const total = 25_000 // more than one stored piece
	rows := make([]rating.Row, total)
	for i := range rows {
		rows[i] = rating.Row{
			Prefix: fmt.Sprint(200_000 + total - i), // in falling order
			Rate: rating.Rate{PerMinute: money.Amount(i%50) * money.Micro, ConnectFee: money.Amount(i % 3),
				FirstIncrement: 60, Increment: 6},
			Description: fmt.Sprintf("Ört %d", i%7), Line: i + 2,
		}
		if i%2 == 0 {
			rows[i].EffectiveAt = noon.Add(-time.Duration(i) * time.Second)
		}
	}
	deck := value(b.ImportDeck(ctx, b.other.ID, "Large", rows))(t)
	if deck.Rows != total || deck.Active || deck.Version != 1 {
		t.Errorf("imported %+v", deck)
	}
	if got := b.options.Live.Snapshot().Deck(deck.ID); got == nil || got.Rates.Len() != total {
		t.Fatal("the deck is not in force when the import returns")
	}
	seen := 0
	for number := 1; ; number++ {
		page := value(b.DeckRows(ctx, b.other.ID, deck.ID, collection.Query{Number: number, Size: 3_000}))(t)
		if page.Total != total {
			t.Fatalf("total %d, want %d", page.Total, total)
		}
		for _, row := range page.Items {
			if want := rows[total-1-seen]; !cmp.Equal(row, want) {
				t.Fatalf("row %d:\n%s", seen, cmp.Diff(want, row))
			}
			seen++
		}
		if len(page.Items) == 0 {
			break
		}
	}
	if seen != total {
		t.Errorf("%d rows on all pages, want %d", seen, total)
	}
	found := value(b.DeckRows(ctx, b.other.ID, deck.ID, collection.Query{Number: 1, Size: 10,
		Filters: []collection.Filter{{Field: "prefix", Value: "200042"},
			{Field: "description", Op: collection.Contains, Value: "öRT"}}}))(t)
	if found.Total != 1 || found.Items[0].Prefix != "200042" {
		t.Errorf("found %+v", found)
	}
	if err := errOf(b.ImportDeck(ctx, b.other.ID, "bad", append(rows, rows[0]))); !errors.Is(err, rating.ErrDuplicate) {
		t.Errorf("a deck with a prefix twice: %v", err)
	}

	active := value(b.ActivateDeck(ctx, b.other.ID, deck.ID))(t)
	page := value(b.ListDecks(ctx, b.other.ID,
		collection.Query{Size: 10, Filters: []collection.Filter{{Field: "active", Value: true},
			{Field: "name", Op: collection.Contains, Value: "lARG"}}}))(t)
	if !active.Active || page.Total != 1 || page.Items[0].ID != deck.ID {
		t.Errorf("activated %+v, listed %+v", active, page)
	}
	b.reopen(t, open)
	if got := b.options.Live.Snapshot().Deck(deck.ID); got == nil || got.Rates.Len() != total {
		t.Error("the deck is not there after opening again")
	}
	if got := value(b.Deck(ctx, b.other.ID, deck.ID))(t); !cmp.Equal(got, active) {
		t.Errorf("after opening again:\n%s", cmp.Diff(active, got))
	}
}

// testFuturePrices has a price take effect while the store is open.
func testFuturePrices(t *testing.T, open Opener) {
	b := newBed(t, open)
	rows := standardRows()
	dearer := rows[1]
	dearer.Rate.PerMinute = 5 * money.Dollar
	dearer.EffectiveAt = noon.Add(time.Hour)
	deck := value(b.ImportDeck(ctx, b.account.ID, "dated", append(rows, dearer)))(t)
	must(t, b.changeProfile(func(p *profile.Profile) { p.RateDeckID = deck.ID }))
	price := func() money.Amount { return b.do(t, b.reserve()).Decision.Facts.Rate.PerMinute }
	if got := price(); got != money.Dollar {
		t.Errorf("before: %v", got)
	}
	b.clock.advance(time.Hour)
	b.tick()
	if got := price(); got != 5*money.Dollar {
		t.Errorf("after: %v", got)
	}
}

// tick lets the store do what is due. The second tick is taken when the work of
// the first is done.
func (b *bed) tick() {
	b.ticks <- b.clock.Now()
	b.ticks <- b.clock.Now()
}

// ending is how a call ends that lasted so long.
func ending(b *bed, elapsed time.Duration) admission.Ending {
	return admission.Ending{
		EndedMicros: b.clock.Now().UnixMicro(), Elapsed: elapsed, SIPStatus: 200, SIPPhrase: "OK",
		Cause: "normal_clearing",
	}
}
