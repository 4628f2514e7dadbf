package api

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/rating/sheet"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// deckView is a rate deck as it is answered.
type deckView struct {
	store.RateDeck
	RecordType string `json:"record_type" readOnly:"true" enum:"rate_deck"`
}

func viewDeck(d store.RateDeck) deckView { return deckView{RateDeck: d, RecordType: "rate_deck"} }

// rowView is one price of a deck.
type rowView struct {
	RecordType     string       `json:"record_type" enum:"rate_deck_row"`
	Prefix         string       `json:"prefix"`
	PerMinute      money.Amount `json:"rate" doc:"Price per minute in USD."`
	ConnectFee     money.Amount `json:"connect_fee" doc:"Price of the answer in USD."`
	FirstIncrement int32        `json:"first_increment" doc:"The least number of seconds that is billed."`
	Increment      int32        `json:"increment" doc:"Billed in steps of this many seconds after the first increment."`
	Description    string       `json:"description"`
	EffectiveAt    *time.Time   `json:"effective_at" doc:"From when the price holds; null for always."`
}

func (s *server) deckOperations() []rest.Operation {
	const decks, one = "/tollgate/v1/rate_decks", "/tollgate/v1/rate_decks/{id}"
	deck, row := schemaOf[deckView](), schemaOf[rowView]()
	name := rest.Parameter{Name: "name", Required: true, Description: "The name of the deck.",
		Schema: &rest.Schema{Kind: "string", MinLength: 1, MaxLength: 255}}
	return []rest.Operation{
		{Method: http.MethodPost, Path: decks, ID: "create_rate_deck", Noun: "imported_rate_deck", Tag: "Rate decks",
			Scope:  ScopeCarrier,
			Effect: rest.Configures, Uploads: deckFiles, Status: http.StatusCreated, Answer: schemaOf[importedDeck](),
			Summary: "Import a rate deck from a carrier's price sheet (CSV or xlsx): all rows or none.",
			Params:  append([]rest.Parameter{name}, sheetParams()...), Handle: s.importDeck},
		{Method: http.MethodGet, Path: decks, ID: "list_rate_deck", Tag: "Rate decks", Scope: ScopeRead,
			Status: http.StatusOK, Answer: deck, Shape: rest.List, Summary: "List the rate decks.", Handle: s.listDecks,
			Params: slices.Concat(rest.PageParams(20, rest.MaxPageSize), rest.NameFilters("name", 0),
				[]rest.Parameter{rest.SortParam("-created_at", "created_at", "name")})},
		{Method: http.MethodGet, Path: one, ID: "get_rate_deck", Tag: "Rate decks", Scope: ScopeRead, Status: http.StatusOK,
			Answer: deck, Summary: "Get one, without its rows.", Handle: deckHandler(s.Decks.Deck)},
		{Method: http.MethodDelete, Path: one, ID: "delete_rate_deck", Tag: "Rate decks", Scope: ScopeCarrier,
			Effect: rest.Configures, Status: http.StatusOK, Answer: deck,
			Summary: "Delete one that is neither the default nor named by a profile.", Handle: deckWriter(s.Decks.DeleteDeck)},
		{Method: http.MethodPost, Path: one + "/activate", ID: "activate_rate_deck", Tag: "Rate decks", Scope: ScopeCarrier,
			Effect: rest.Configures, Status: http.StatusOK, Answer: deck, Summary: "Make it the account's default deck.",
			Handle: deckWriter(s.Decks.ActivateDeck)},
		{Method: http.MethodGet, Path: one + "/rows", ID: "list_rate_deck_rows", Noun: "rate_deck_row", Tag: "Rate decks",
			Scope: ScopeRead, Status: http.StatusOK, Answer: row, Shape: rest.List,
			Summary: "The prices of a deck in the order of their prefixes.",
			Params:  rest.PageParams(rest.MaxPageSize, rest.MaxPageSize), Handle: s.listDeckRows},
		{Method: http.MethodGet, Path: one + "/export", ID: "export_rate_deck", Tag: "Rate decks", Scope: ScopeRead,
			Status: http.StatusOK, Shape: rest.CSV, Summary: "The prices as a CSV file that is imported as the same prices.",
			Handle: s.exportDeck},
	}
}

func answerDeck(_ context.Context, d store.RateDeck) (*rest.Response, error) {
	return &rest.Response{Data: viewDeck(d), Version: d.Version}, nil
}

func (s *server) listDecks(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", 20)
	page, err := s.Decks.ListDecks(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := make([]deckView, len(page.Items))
	for i, d := range page.Items {
		views[i] = viewDeck(d)
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

// deckHandler is the handler of what reads one deck.
func deckHandler(act func(context.Context, id.ID, id.ID) (store.RateDeck, error)) rest.Handler {
	return func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
		key, err := rest.PathKey[id.ID](in.ID)
		if err != nil {
			return nil, err
		}
		deck, err := act(ctx, in.Account, key)
		if err != nil {
			return nil, err
		}
		return answerDeck(ctx, deck)
	}
}

// deckWriter is the handler of what changes one deck.
func deckWriter(act func(context.Context, id.ID, id.ID) (store.RateDeck, error)) rest.Handler {
	return func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
		key, err := rest.PathKey[id.ID](in.ID)
		if err != nil {
			return nil, err
		}
		return rest.Committed(ctx, in, answerDeck, func(ctx context.Context) (store.RateDeck, error) {
			return act(ctx, in.Account, key)
		})
	}
}

// exportDeck writes the rows of a deck part by part. It is read in as many transactions: rows never change, and a
// client that reads slowly must not hold one.
func (s *server) exportDeck(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	deck, err := s.Decks.Deck(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	write := func(w io.Writer) error {
		file := sheet.NewWriter(w)
		for rows, err := range s.deckParts(ctx, in.Account, &deck) {
			if err != nil {
				return err
			}
			if err := file.Write(rows); err != nil {
				return err
			}
		}
		return file.Close()
	}
	return &rest.Response{Stream: write, Kind: "text/csv; charset=utf-8"}, nil
}

// deckParts are all rows of a deck in prefix order, part by part. A deck that is deleted meanwhile ends in an error.
func (s *server) deckParts(ctx context.Context, account id.ID,
	deck *store.RateDeck) iter.Seq2[[]rating.Row, error] {
	return func(yield func([]rating.Row, error) bool) {
		for done := 0; done < deck.Rows; {
			rows, err := s.Decks.DeckPart(ctx, account, deck.ID, done)
			if err == nil && len(rows) == 0 {
				err = fmt.Errorf("rate deck %s was deleted after %d rows of %d: %w", deck.ID, done, deck.Rows,
					collection.ErrNotFound)
			}
			if !yield(rows, err) || err != nil {
				return
			}
			done += len(rows)
		}
	}
}

func (s *server) listDeckRows(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	q := in.Query.StoreQuery("", rest.MaxPageSize)
	page, err := s.Decks.DeckRows(ctx, in.Account, key, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := make([]rowView, len(page.Items))
	for i, row := range page.Items {
		views[i] = viewRow(row)
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}
