package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/rating/sheet"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// deckFiles are the media types of price sheets. What a file is decides the file itself: browsers say
// application/vnd.ms-excel of a CSV.
var deckFiles = []string{"text/csv", "text/plain", "text/tab-separated-values", "application/csv",
	"application/vnd.ms-excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/zip",
	"application/x-zip-compressed", "application/gzip", "application/x-gzip", "application/octet-stream"}

// sampleRows is how many rows of a sheet an answer shows as they were read.
const sampleRows = 20

// importedDeck is a new deck with how its file was read.
type importedDeck struct {
	deckView
	Comparison *comparisonView `json:"comparison" doc:"With compare_with: what the file changes of that deck, without traffic."`
	Import     sheetView       `json:"import" doc:"How the file was read. With dry_run nothing is kept, and this is shown all the same."`
}

// sheetView is how a file was read.
type sheetView struct {
	Format     string            `json:"format" doc:"text or xlsx, after gzip or zip."`
	Encoding   string            `json:"encoding" doc:"Of a text: UTF-8, UTF-16LE, UTF-16BE or Windows-1252."`
	Separator  *string           `json:"separator" doc:"Of a text."`
	Sheet      *string           `json:"sheet" doc:"Of a workbook."`
	HeaderLine int32             `json:"header_line" doc:"The line that names the columns."`
	Columns    []sheetColumnView `json:"columns" doc:"Every column and what it was taken for."`
	Rows       int32             `json:"rows" doc:"Prices that were read; a row with a list of prefixes has several."`
	Skipped    int32             `json:"rows_skipped" doc:"Rows that are no prices: withdrawn, blocked or ended."`
	SkippedAre []sheetSkipView   `json:"skipped" doc:"The first hundred of them."`
	Repeated   int32             `json:"rows_repeated" doc:"Rows that say again what another one says."`
	Notes      []sheetNoteView   `json:"notes" doc:"Lines above and below the table, the first hundred."`
	Sample     []sheetPriceView  `json:"sample" doc:"The first twenty prices as they were read."`
}

type sheetColumnView struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
}

type sheetSkipView struct {
	Line   int32  `json:"line"`
	Prefix string `json:"prefix"`
	Reason string `json:"reason"`
}

type sheetNoteView struct {
	Line int32  `json:"line"`
	Text string `json:"text"`
}

// sheetPriceView is one price of a deck, and the line of the file that it is from.
type sheetPriceView struct {
	rowView
	Line int32 `json:"line"`
}

// sheetParams are the answers to what a file leaves open.
func sheetParams() []rest.Parameter {
	text := func(most int) *rest.Schema { return &rest.Schema{Kind: "string", MaxLength: most} }
	oneOf := func(words ...string) *rest.Schema { return &rest.Schema{Kind: "string", Enum: words} }
	return []rest.Parameter{
		{Name: "columns", Schema: text(4096), Description: "What columns mean, as a JSON object of their names and one of " +
			strings.Join(sheet.Meanings(), ", ") + `. Example: {"Pulse":"increments","Status":"status"}`},
		{Name: "dates", Schema: oneOf("dmy", "mdy"),
			Description: "The order of day and month, where the dates do not show it."},
		{Name: "decimal", Schema: oneOf("point", "comma"),
			Description: "What a comma in a price is, where the prices do not show it."},
		{Name: "bare_codes", Schema: oneOf("international", "nanp"), Description: "What prefixes without a plus sign are " +
			"where others have one: international too, or North American."},
		{Name: "sheet", Schema: text(255), Description: "The sheet of a workbook, if several have prices."},
		{Name: "compare_with", Schema: rest.IDSchema(), Description: "A deck of the account. The answer says what the file " +
			"changes of it, in a dry run too."},
		{Name: "notes", Schema: oneOf("ignore"),
			Description: "Take the file although lines outside its table speak of what may change the prices."},
	}
}

func (s *server) importDeck(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	name := in.Query.Text("name", "")
	other, err := s.comparedDeck(ctx, in, "compare_with")
	if err != nil {
		return nil, err
	}
	options := sheet.Options{Limits: sheet.Limits{MaxBytes: rest.MaxUpload}, Now: s.Clock(),
		Sheet: in.Query.Text("sheet", ""), Dates: in.Query.Text("dates", ""), Decimal: in.Query.Text("decimal", ""),
		BareCodes: in.Query.Text("bare_codes", ""), IgnoreNotes: in.Query.Text("notes", "") == "ignore"}
	if mapping := in.Query.Text("columns", ""); mapping != "" {
		var err error
		if options.Columns, err = sheet.ReadMapping(mapping); err != nil {
			return nil, rest.Invalid([]rest.Problem{{Code: field.Malformed, Parameter: "columns", Detail: err.Error()}})
		}
	}
	read, errs, err := sheet.Read(in.Upload, options)
	if err != nil || len(errs) > 0 {
		return nil, deckFailure(errs, err)
	}
	var compared *comparisonView
	if other != nil {
		if compared, err = s.compareImport(ctx, in.Account, other, read.Rows); err != nil {
			return nil, err
		}
	}
	answer := func(_ context.Context, d store.RateDeck) (*rest.Response, error) {
		view := importedDeck{deckView: viewDeck(d), Import: viewSheet(read), Comparison: compared}
		return &rest.Response{Data: view, Version: d.Version}, nil
	}
	return rest.Committed(ctx, in, answer, func(ctx context.Context) (store.RateDeck, error) {
		return s.Decks.ImportDeck(ctx, in.Account, name, read.Rows)
	})
}

func viewSheet(read *sheet.Sheet) sheetView {
	view := sheetView{Format: read.Format, Encoding: read.Encoding, HeaderLine: int32(read.Header),
		Columns: make([]sheetColumnView, len(read.Columns)), Rows: int32(len(read.Rows)), Skipped: int32(read.AllSkipped),
		SkippedAre: make([]sheetSkipView, len(read.Skipped)), Repeated: int32(read.Repeated),
		Notes: make([]sheetNoteView, len(read.Notes)), Sample: make([]sheetPriceView, min(len(read.Rows), sampleRows))}
	if read.Separator != "" {
		view.Separator = &read.Separator
	}
	if read.SheetName != "" {
		view.Sheet = &read.SheetName
	}
	for i, c := range read.Columns {
		view.Columns[i] = sheetColumnView(c)
	}
	for i, r := range read.Skipped {
		view.SkippedAre[i] = sheetSkipView{int32(r.Line), r.Prefix, r.Reason}
	}
	for i, n := range read.Notes {
		view.Notes[i] = sheetNoteView{int32(n.Line), n.Text}
	}
	for i := range view.Sample {
		view.Sample[i] = sheetPriceView{viewRow(read.Rows[i]), int32(read.Rows[i].Line)}
	}
	return view
}

// viewRow is one price as it is answered.
func viewRow(row rating.Row) rowView {
	view := rowView{RecordType: "rate_deck_row", Prefix: row.Prefix, PerMinute: row.Rate.PerMinute,
		ConnectFee: row.Rate.ConnectFee, FirstIncrement: max(1, row.Rate.FirstIncrement),
		Increment: max(1, row.Rate.Increment), Description: row.Description}
	if !row.EffectiveAt.IsZero() {
		view.EffectiveAt = new(row.EffectiveAt)
	}
	return view
}

// deckFailure reports every bad cell with its line and column.
func deckFailure(errs []sheet.RowError, err error) error {
	var problems []rest.Problem
	for _, e := range errs[:min(len(errs), rest.MaxProblems)] {
		pointer := "/" + strconv.Itoa(e.Line)
		if e.Column != "" {
			pointer = rest.PointerOf(pointer, e.Column)
		}
		problems = append(problems, rest.Problem{Code: field.Malformed, Pointer: pointer, Detail: e.Error()})
	}
	tooLarge, omitted := (*http.MaxBytesError)(nil), (*sheet.OmittedError)(nil)
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, sheet.ErrTooLarge):
		return rest.Fail(http.StatusRequestEntityTooLarge, rest.CodeTooLarge,
			"The file is larger than %d bytes.", rest.MaxUpload)
	case errors.Is(err, sheet.ErrEncoding):
		return rest.Fail(http.StatusBadRequest, rest.CodeEncoding, "The file is neither text nor a workbook: %v.", err)
	case errors.As(err, &omitted):
		problems[len(problems)-1].Detail += fmt.Sprintf(" (%d errors in all, %d are listed)", omitted.Total, len(problems))
	case errors.Is(err, sheet.ErrHeader), errors.Is(err, sheet.ErrNoRows), errors.Is(err, sheet.ErrTooManyRows),
		errors.Is(err, sheet.ErrFormat), errors.Is(err, sheet.ErrQuestion):
		problems = append(problems, rest.Problem{Code: field.Malformed, Detail: err.Error()})
	case err != nil:
		return rest.Fail(http.StatusBadRequest, field.Malformed, "The body ended early.")
	}
	return rest.Invalid(problems)
}
