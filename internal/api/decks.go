package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
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

func (s *server) deckOperations() []operation {
	const decks, one = "/tollgate/v1/rate_decks", "/tollgate/v1/rate_decks/{id}"
	deck, row := schemaOf[deckView](), schemaOf[rowView]()
	name := parameter{name: "name", required: true, description: "The name of the deck.",
		schema: &schema{kind: "string", minLength: 1, maxLength: 255}}
	return []operation{
		{method: http.MethodPost, path: decks, id: "create_rate_deck", tag: "Rate decks", scope: ScopeCarrier, effect: configures, upload: "text/csv",
			status: http.StatusCreated, answer: deck,
			summary: "Import a rate deck from a CSV file: all rows or none.", params: []parameter{name}, handle: s.importDeck},
		{method: http.MethodGet, path: decks, id: "list_rate_deck", tag: "Rate decks", scope: ScopeRead, status: http.StatusOK, answer: deck, shape: list,
			summary: "List the rate decks.", handle: s.listDecks,
			params: slices.Concat(pageParams(20, maxPageSize), nameFilters("name", 0), []parameter{sortParam("-created_at", "created_at", "name")})},
		{method: http.MethodGet, path: one, id: "get_rate_deck", tag: "Rate decks", scope: ScopeRead, status: http.StatusOK, answer: deck,
			summary: "Get one, without its rows.", handle: deckHandler(s.Decks.Deck)},
		{method: http.MethodDelete, path: one, id: "delete_rate_deck", tag: "Rate decks", scope: ScopeCarrier, effect: configures,
			status: http.StatusOK, answer: deck,
			summary: "Delete one that is neither the default nor named by a profile.", handle: deckWriter(s.Decks.DeleteDeck)},
		{method: http.MethodPost, path: one + "/activate", id: "activate_rate_deck", tag: "Rate decks", scope: ScopeCarrier, effect: configures,
			status: http.StatusOK, answer: deck,
			summary: "Make it the account's default deck.", handle: deckWriter(s.Decks.ActivateDeck)},
		{method: http.MethodGet, path: one + "/rows", id: "list_rate_deck_rows", noun: "rate_deck_row", tag: "Rate decks", scope: ScopeRead, status: http.StatusOK, answer: row, shape: list,
			summary: "The prices of a deck in the order of their prefixes.", params: pageParams(maxPageSize, maxPageSize), handle: s.listDeckRows},
	}
}

func (s *server) importDeck(ctx context.Context, in *request) (*response, error) {
	name := in.query.text("name", "")
	rows, errs, err := rating.ReadCSV(in.upload, rating.Limits{MaxBytes: maxDeckBody})
	if err != nil || len(errs) > 0 {
		return nil, deckFailure(errs, err)
	}
	return committed(ctx, in, answerDeck, func(ctx context.Context) (store.RateDeck, error) {
		return s.Decks.ImportDeck(ctx, in.account, name, rows)
	})
}

func answerDeck(_ context.Context, d store.RateDeck) (*response, error) {
	return &response{data: viewDeck(d), version: d.Version}, nil
}

// deckFailure reports every bad cell with its line and column.
func deckFailure(errs []rating.RowError, err error) error {
	var problems []problem
	for _, e := range errs[:min(len(errs), maxProblems)] {
		pointer := "/" + strconv.Itoa(e.Line)
		if e.Column != "" {
			pointer = pointerOf(pointer, e.Column)
		}
		problems = append(problems, problem{code: field.Malformed, pointer: pointer, detail: e.Error()})
	}
	tooLarge, omitted := (*http.MaxBytesError)(nil), (*rating.OmittedError)(nil)
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, rating.ErrTooLarge):
		return fail(http.StatusRequestEntityTooLarge, codeTooLarge, "The file is larger than %d bytes.", maxDeckBody)
	case errors.Is(err, rating.ErrEncoding):
		return fail(http.StatusBadRequest, codeEncoding, "The file is not UTF-8 text.")
	case errors.As(err, &omitted):
		problems[len(problems)-1].detail += fmt.Sprintf(" (%d errors in all, %d are listed)", omitted.Total, len(problems))
	case errors.Is(err, rating.ErrHeader), errors.Is(err, rating.ErrNoRows), errors.Is(err, rating.ErrTooManyRows):
		problems = append(problems, problem{code: field.Malformed, detail: err.Error()})
	case err != nil:
		return fail(http.StatusBadRequest, field.Malformed, "The body ended early.")
	}
	return invalid(problems)
}

func (s *server) listDecks(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("-created_at", 20)
	page, err := s.Decks.ListDecks(ctx, in.account, q)
	if err != nil {
		return nil, listError(err)
	}
	views := make([]deckView, len(page.Items))
	for i, d := range page.Items {
		views[i] = viewDeck(d)
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}

// deckHandler is the handler of what reads one deck.
func deckHandler(act func(context.Context, id.ID, id.ID) (store.RateDeck, error)) handler {
	return func(ctx context.Context, in *request) (*response, error) {
		key, err := id.Parse(in.id)
		if err != nil {
			return nil, invalidPathID()
		}
		deck, err := act(ctx, in.account, key)
		if err != nil {
			return nil, err
		}
		return answerDeck(ctx, deck)
	}
}

// deckWriter is the handler of what changes one deck.
func deckWriter(act func(context.Context, id.ID, id.ID) (store.RateDeck, error)) handler {
	return func(ctx context.Context, in *request) (*response, error) {
		key, err := id.Parse(in.id)
		if err != nil {
			return nil, invalidPathID()
		}
		return committed(ctx, in, answerDeck, func(ctx context.Context) (store.RateDeck, error) {
			return act(ctx, in.account, key)
		})
	}
}

func (s *server) listDeckRows(ctx context.Context, in *request) (*response, error) {
	key, err := id.Parse(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	q := in.query.storeQuery("", maxPageSize)
	page, err := s.Decks.DeckRows(ctx, in.account, key, q)
	if err != nil {
		return nil, listError(err)
	}
	views := make([]rowView, len(page.Items))
	for i, row := range page.Items {
		views[i] = rowView{RecordType: "rate_deck_row", Prefix: row.Prefix, PerMinute: row.Rate.PerMinute, ConnectFee: row.Rate.ConnectFee,
			FirstIncrement: max(1, row.Rate.FirstIncrement), Increment: max(1, row.Rate.Increment), Description: row.Description}
		if !row.EffectiveAt.IsZero() {
			views[i].EffectiveAt = new(row.EffectiveAt)
		}
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}
