package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/field"
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
	// Import is in the answer to an import only.
	Import *deckImport `json:"import" readOnly:"true" doc:"How the file was read; null but in the answer to an import."`
}

// deckImport says how the file of a deck was read.
type deckImport struct {
	HeaderLine  int          `json:"header_line" doc:"The line of the file that names the columns."`
	Columns     []deckColumn `json:"columns" doc:"Every column of the file."`
	SkippedRows int          `json:"skipped_rows" doc:"How many lines below or above the header line are no price."`
	Skips       []deckSkip   `json:"skips" doc:"The first 100 of them."`
	Sample      []rowView    `json:"sample" doc:"The first rows as they were read."`
}

type deckColumn struct {
	Name    string `json:"name" doc:"As the file writes it."`
	Meaning string `json:"meaning" doc:"What it was read as; ignore is nothing."`
}

type deckSkip struct {
	Line   int    `json:"line"`
	Text   string `json:"text" doc:"The prefix, or what the line says."`
	Reason string `json:"reason"`
}

// sampleRows is how many rows the answer to an import shows.
const sampleRows = 10

func viewImport(report *rating.Report, rows []rating.Row) *deckImport {
	view := &deckImport{HeaderLine: report.HeaderLine, SkippedRows: report.Skipped, Columns: []deckColumn{},
		Skips: []deckSkip{}, Sample: []rowView{}}
	for _, c := range report.Columns {
		view.Columns = append(view.Columns, deckColumn{c.Name, c.Meaning})
	}
	for _, skip := range report.Skips {
		view.Skips = append(view.Skips, deckSkip{skip.Line, skip.Text, skip.Why})
	}
	for i := range rows[:min(len(rows), sampleRows)] {
		view.Sample = append(view.Sample, viewRow(&rows[i]))
	}
	return view
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
	columns := rest.Parameter{Name: "columns",
		Description: "What columns of the file mean whose names are not known, as a " +
			`JSON object, such as {"Pulse":"increments","Remark":"ignore"}. The meanings are ` +
			strings.Join(rating.Meanings(), ", ") + ".", Schema: &rest.Schema{Kind: "string", MaxLength: 10_000}}
	dates := rest.Parameter{Name: "dates",
		Description: "Whether the day or the month comes first in dates such as 03/04/2026.",
		Schema:      &rest.Schema{Kind: "string", Enum: []string{string(rating.DayFirst), string(rating.MonthFirst)}}}
	return []rest.Operation{
		{Method: http.MethodPost, Path: decks, ID: "create_rate_deck", Tag: "Rate decks", Scope: ScopeCarrier,
			Effect: rest.Configures, Upload: "text/csv", Uploads: sheetTypes, Status: http.StatusCreated, Answer: deck,
			Summary: "Import a rate deck from a sheet (CSV, xlsx; gzip, zip): all rows or none.",
			Params:  []rest.Parameter{name, columns, dates},
			Handle:  s.importDeck},
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
	}
}

func (s *server) importDeck(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	name := in.Query.Text("name", "")
	var mapping map[string]string
	if text := in.Query.Text("columns", ""); text != "" {
		if err := json.Unmarshal([]byte(text), &mapping); err != nil {
			return nil, rest.Invalid([]rest.Problem{{Code: field.Malformed, Parameter: "columns",
				Detail: `columns is not a JSON object of names and meanings, such as {"Pulse":"increments"}.`}})
		}
	}
	text, err := sheet.Open(in.Upload, rest.MaxUpload)
	if err != nil {
		return nil, deckFailure(nil, err)
	}
	rows, report, errs, err := rating.ReadCSV(text, rating.Options{Mapping: mapping,
		Limits: rating.Limits{MaxBytes: rest.MaxUpload}, Dates: rating.DateOrder(in.Query.Text("dates", ""))})
	if err != nil || len(errs) > 0 {
		return nil, deckFailure(errs, err)
	}
	answer := func(_ context.Context, d store.RateDeck) (*rest.Response, error) {
		view := viewDeck(d)
		view.Import = viewImport(&report, rows)
		return &rest.Response{Data: view, Version: d.Version}, nil
	}
	return rest.Committed(ctx, in, answer, func(ctx context.Context) (store.RateDeck, error) {
		return s.Decks.ImportDeck(ctx, in.Account, name, rows)
	})
}

// sheetTypes are the media types of files that sheet.Open reads, which looks at
// the file and not at its type.
var sheetTypes = []string{"text/plain", "text/tab-separated-values", "application/csv", "application/vnd.ms-excel",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/gzip", "application/x-gzip",
	"application/zip", "application/x-zip-compressed", "application/octet-stream", "multipart/form-data"}

func answerDeck(_ context.Context, d store.RateDeck) (*rest.Response, error) {
	return &rest.Response{Data: viewDeck(d), Version: d.Version}, nil
}

// deckFailure reports every bad cell with its line and column.
func deckFailure(errs []rating.RowError, err error) error {
	var problems []rest.Problem
	for _, e := range errs[:min(len(errs), rest.MaxProblems)] {
		pointer := "/" + strconv.Itoa(e.Line)
		if e.Column != "" {
			pointer = rest.PointerOf(pointer, e.Column)
		}
		problems = append(problems, rest.Problem{Code: field.Malformed, Pointer: pointer, Detail: e.Error()})
	}
	tooLarge, omitted := (*http.MaxBytesError)(nil), (*rating.OmittedError)(nil)
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, rating.ErrTooLarge), errors.Is(err, sheet.ErrTooLarge):
		return rest.Fail(http.StatusRequestEntityTooLarge, rest.CodeTooLarge,
			"The file is larger than %d bytes.", rest.MaxUpload)
	case errors.Is(err, rating.ErrEncoding):
		return rest.Fail(http.StatusBadRequest, rest.CodeEncoding, "The file is not UTF-8 text.")
	case errors.As(err, &omitted):
		problems[len(problems)-1].Detail += fmt.Sprintf(" (%d errors in all, %d are listed)", omitted.Total, len(problems))
	case errors.Is(err, rating.ErrHeader), errors.Is(err, rating.ErrNoRows), errors.Is(err, rating.ErrTooManyRows),
		errors.Is(err, sheet.ErrFormat):
		problems = append(problems, rest.Problem{Code: field.Malformed, Detail: err.Error()})
	case err != nil:
		return rest.Fail(http.StatusBadRequest, field.Malformed, "The body ended early.")
	}
	return rest.Invalid(problems)
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
		views[i] = viewRow(&row)
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

func viewRow(row *rating.Row) rowView {
	view := rowView{RecordType: "rate_deck_row", Prefix: row.Prefix, PerMinute: row.Rate.PerMinute,
		ConnectFee: row.Rate.ConnectFee, FirstIncrement: max(1, row.Rate.FirstIncrement),
		Increment: max(1, row.Rate.Increment), Description: row.Description}
	if !row.EffectiveAt.IsZero() {
		view.EffectiveAt = new(row.EffectiveAt)
	}
	return view
}
