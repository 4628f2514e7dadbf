package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

const (
	// trafficSpan is how far back calls are looked at to weigh what changes.
	trafficSpan = 30 * 24 * time.Hour
	// mostTraffic is how many beginnings of called numbers are told apart.
	mostTraffic = 200_000
	// trafficTime is how long their reading may take.
	trafficTime = 20 * time.Second
)

// comparisonView says what changes when one deck takes the place of another.
type comparisonView struct {
	RecordType string                  `json:"record_type" enum:"rate_deck_comparison"`
	At         time.Time               `json:"at" doc:"The moment whose prices are compared."`
	Total      comparisonSum           `json:"total"`
	Countries  []comparisonCountryView `json:"countries" doc:"By the country that a prefix is of."`
}

type comparisonCountryView struct {
	CountryCode *string `json:"country_code" doc:"ISO 3166-1 alpha-2; null for none, and for prefixes of several, such as 1."`
	comparisonSum
}

// comparisonSum counts prefixes by what has changed, and what was called by them.
type comparisonSum struct {
	Added      int32        `json:"added" doc:"Prefixes of numbers that had no price."`
	Gone       int32        `json:"gone" doc:"Prefixes of numbers that have no price any more."`
	Dearer     int32        `json:"dearer" doc:"A part of the price is greater, and none is less."`
	Cheaper    int32        `json:"cheaper" doc:"A part of the price is less, and none is greater."`
	Mixed      int32        `json:"mixed" doc:"Some parts of the price are greater and some less."`
	Same       int32        `json:"same"`
	Calls      int64        `json:"calls" doc:"Answered calls of the last 30 days."`
	CallSecs   int64        `json:"call_sec" doc:"Their seconds."`
	Unpriced   int64        `json:"calls_unpriced" doc:"Those of them for which neither deck has a price."`
	CostBefore money.Amount `json:"cost_before" doc:"What they cost by the other deck in USD, without rounding to increments."`
	CostAfter  money.Amount `json:"cost_after" doc:"What they cost by this deck in USD, without rounding to increments."`
}

func (s *comparisonSum) add(c *rating.Compared) {
	if count := map[rating.Change]*int32{rating.Added: &s.Added, rating.Gone: &s.Gone, rating.Dearer: &s.Dearer,
		rating.Cheaper: &s.Cheaper, rating.Mixed: &s.Mixed, rating.Same: &s.Same}[c.Change]; count != nil {
		*count++
	} else {
		s.Unpriced += c.Traffic.Calls
	}
	s.Calls += c.Traffic.Calls
	s.CallSecs += c.Traffic.Secs
	s.CostBefore = money.Add(s.CostBefore, c.Before.Cost(&c.Traffic))
	s.CostAfter = money.Add(s.CostAfter, c.After.Cost(&c.Traffic))
}

// comparedPrefixView is a prefix whose price differs.
type comparedPrefixView struct {
	RecordType  string        `json:"record_type" enum:"rate_deck_difference"`
	Prefix      string        `json:"prefix"`
	Description string        `json:"description"`
	CountryCode *string       `json:"country_code" doc:"ISO 3166-1 alpha-2; null for none, and for prefixes of several, such as 1."`
	Change      string        `json:"change" enum:"added,gone,dearer,cheaper,mixed,same"`
	Before      *comparedRate `json:"before" doc:"The price in the other deck; null for none."`
	After       *comparedRate `json:"after" doc:"The price in this deck; null for none."`
	Calls       int64         `json:"calls" doc:"Answered calls of the last 30 days to numbers that have no longer prefix."`
	CallSecs    int64         `json:"call_sec" doc:"Their seconds."`
	CostBefore  money.Amount  `json:"cost_before" doc:"What they cost by the other deck in USD, without rounding to increments."`
	CostAfter   money.Amount  `json:"cost_after" doc:"What they cost by this deck in USD, without rounding to increments."`
}

type comparedRate struct {
	Prefix         string       `json:"prefix" doc:"The prefix that has the price: the same, or a shorter one."`
	PerMinute      money.Amount `json:"rate" doc:"Price per minute in USD."`
	ConnectFee     money.Amount `json:"connect_fee" doc:"Price of the answer in USD."`
	FirstIncrement int32        `json:"first_increment"`
	Increment      int32        `json:"increment"`
}

func (s *server) deckComparisonOperations() []rest.Operation {
	const path = "/tollgate/v1/rate_decks/{id}/compare"
	changes := []string{"added", "gone", "dearer", "cheaper", "mixed", "same"}
	params := []rest.Parameter{
		{Name: "with", Schema: rest.IDSchema(),
			Description: "The deck that this one would take the place of; the account's default one if not given."},
		{Name: "at", Schema: rest.MomentSchema(), Description: "The moment whose prices are compared; now if not given."},
		{Name: "traffic", Schema: &rest.Schema{Kind: "boolean"},
			Description: "false for a comparison without the calls of the last 30 days, which is faster."},
	}
	return []rest.Operation{
		{Method: http.MethodGet, Path: path, ID: "compare_rate_deck", Noun: "rate_deck_comparison", Tag: "Rate decks",
			Scope: ScopeRead, Status: http.StatusOK, Answer: schemaOf[comparisonView](), Params: params,
			Summary: "What changes when the deck takes the place of another one, by country and weighed by the calls of the " +
				"last 30 days. A prefix that one deck does not have is compared with the shorter one that prices its numbers.",
			Handle: s.compareDecks},
		{Method: http.MethodGet, Path: path + "/prefixes", ID: "list_rate_deck_changes", Noun: "rate_deck_difference",
			Tag: "Rate decks", Scope: ScopeRead, Status: http.StatusOK, Answer: schemaOf[comparedPrefixView](),
			Shape:   rest.Table,
			Summary: "The prefixes whose price differs, in the order of their digits.",
			Params: slices.Concat(rest.PageParams(rest.MaxPageSize, rest.MaxPageSize), params, []rest.Parameter{
				{Name: "changes", Schema: &rest.Schema{Kind: "array", MaxItems: len(changes),
					Items: &rest.Schema{Kind: "string", Enum: changes}},
					Description: "Only these, separated by commas; all but same if not given."},
				{Name: "format", Description: "csv for text/csv of all of them, with a line of names first.",
					Schema: &rest.Schema{Kind: "string", Enum: []string{"json", "csv"}, DefaultTo: "json"}}}),
			Handle: s.listDeckChanges},
	}
}

// comparedDeck is the deck that a parameter names; nil if it names none.
func (s *server) comparedDeck(ctx context.Context, in *rest.Request, parameter string) (*store.RateDeck, error) {
	text := in.Query.Text(parameter, "")
	if text == "" {
		return nil, nil
	}
	key, err := id.Parse(text)
	if err == nil {
		var deck store.RateDeck
		if deck, err = s.Decks.Deck(ctx, in.Account, key); err == nil {
			return &deck, nil
		}
	}
	if errors.Is(err, collection.ErrNotFound) {
		return nil, rest.Invalid([]rest.Problem{{Code: field.NoAssociation, Parameter: parameter,
			Detail: parameter + " names a deck that does not exist in this account. Give the id of an existing one."}})
	}
	return nil, err
}

func (s *server) defaultDeck(ctx context.Context, account id.ID) (*store.RateDeck, error) {
	page, err := s.Decks.ListDecks(ctx, account, collection.Query{Number: 1, Size: 1,
		Filters: []collection.Filter{{Field: "active", Op: collection.Equal, Value: true}}})
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		return nil, rest.Invalid([]rest.Problem{{Code: field.Missing, Parameter: "with",
			Detail: "The account has no default deck. Give the id of the deck to compare with."}})
	}
	return &page.Items[0], nil
}

// deckComparison is what two decks are compared by.
type deckComparison struct {
	at            time.Time
	before, after iter.Seq2[[]rating.Row, error]
	traffic       []rating.Traffic
}

func (s *server) comparisonOf(ctx context.Context, in *rest.Request) (*deckComparison, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	after, err := s.Decks.Deck(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	before, err := s.comparedDeck(ctx, in, "with")
	if err == nil && before == nil {
		before, err = s.defaultDeck(ctx, in.Account)
	}
	if err != nil {
		return nil, err
	}
	now := s.Clock()
	c := &deckComparison{at: now, before: s.deckParts(ctx, in.Account, before),
		after: s.deckParts(ctx, in.Account, &after)}
	if text := in.Query.Text("at", ""); text != "" {
		moment, _ := rest.ParseMoment(text) // checked by the schema
		c.at = time.UnixMicro(moment.First)
	}
	c.at = c.at.UTC()
	if in.Query.Text("traffic", "true") != "false" {
		bounded, stop := context.WithTimeout(ctx, trafficTime)
		defer stop()
		from := now.Add(-trafficSpan).UnixMicro()
		c.traffic, err = s.Reports.Traffic(bounded, in.Account, from, now.UnixMicro(), mostTraffic)
		if err != nil && bounded.Err() != nil && ctx.Err() == nil {
			return nil, rest.Fail(http.StatusServiceUnavailable, rest.CodeUnavailable, "The calls of the last 30 days were not "+
				"read within %d seconds. Ask with traffic=false for a comparison without them.", int(trafficTime.Seconds()))
		}
	}
	return c, err
}

// sum adds up all prefixes.
func (c *deckComparison) sum() (*comparisonView, error) {
	view := &comparisonView{RecordType: "rate_deck_comparison", At: c.at, Countries: []comparisonCountryView{}}
	countries := map[string]*comparisonSum{}
	err := rating.Compare(c.before, c.after, c.traffic, c.at, func(one *rating.Compared) error {
		view.Total.add(one)
		country := prefixCountry(one.Prefix)
		if countries[country] == nil {
			countries[country] = &comparisonSum{}
		}
		countries[country].add(one)
		return nil
	})
	for _, country := range slices.Sorted(maps.Keys(countries)) {
		view.Countries = append(view.Countries, comparisonCountryView{textOrNull(country), *countries[country]})
	}
	return view, err
}

// prefixCountry is the country that the numbers of a prefix are of, in two letters; "" for none.
func prefixCountry(prefix string) string {
	digits, err := rating.ParsePrefix(prefix)
	if err != nil {
		return ""
	}
	return e164.Classify(e164.Number(digits)).Country.Alpha2()
}

func (s *server) compareDecks(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	c, err := s.comparisonOf(ctx, in)
	if err != nil {
		return nil, err
	}
	view, err := c.sum()
	return &rest.Response{Data: view}, err
}

// compareImport compares a deck with the rows of a file, which need no order.
func (s *server) compareImport(ctx context.Context, account id.ID, before *store.RateDeck,
	rows []rating.Row) (*comparisonView, error) {
	ordered := slices.Clone(rows)
	slices.SortFunc(ordered, func(a, b rating.Row) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), a.EffectiveAt.Compare(b.EffectiveAt))
	})
	c := &deckComparison{at: s.Clock().UTC(), before: s.deckParts(ctx, account, before),
		after: func(yield func([]rating.Row, error) bool) { yield(ordered, nil) }}
	return c.sum()
}

func (s *server) listDeckChanges(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	c, err := s.comparisonOf(ctx, in)
	if err != nil {
		return nil, err
	}
	wanted := in.Query.Words("changes")
	each := func(use func(*rating.Compared) error) error {
		return rating.Compare(c.before, c.after, c.traffic, c.at, func(one *rating.Compared) error {
			if len(wanted) == 0 && (one.Change == rating.Same || one.Change == rating.Unpriced) ||
				len(wanted) > 0 && !slices.Contains(wanted, string(one.Change)) {
				return nil
			}
			return use(one)
		})
	}
	if in.Query.Text("format", "json") == "csv" {
		write := func(w io.Writer) error { return writeChanges(w, each) }
		return &rest.Response{Stream: write, Kind: "text/csv; charset=utf-8"}, nil
	}
	q := in.Query.StoreQuery("", rest.MaxPageSize)
	first, total := (max(1, q.Number)-1)*q.Size, 0
	views := []comparedPrefixView{}
	err = each(func(one *rating.Compared) error {
		if total >= first && total < first+q.Size {
			views = append(views, viewCompared(one))
		}
		total++
		return nil
	})
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, total)}, err
}

func viewCompared(c *rating.Compared) comparedPrefixView {
	price := func(p *rating.Priced) *comparedRate {
		if p == nil {
			return nil
		}
		return &comparedRate{p.Prefix, p.Rate.PerMinute, p.Rate.ConnectFee, p.Rate.FirstIncrement, p.Rate.Increment}
	}
	return comparedPrefixView{RecordType: "rate_deck_difference", Prefix: c.Prefix, Description: c.Description,
		CountryCode: textOrNull(prefixCountry(c.Prefix)), Change: string(c.Change), Before: price(c.Before),
		After: price(c.After), Calls: c.Traffic.Calls, CallSecs: c.Traffic.Secs, CostBefore: c.Before.Cost(&c.Traffic),
		CostAfter: c.After.Cost(&c.Traffic)}
}

// writeChanges writes prefixes as CSV.
func writeChanges(w io.Writer, each func(func(*rating.Compared) error) error) error {
	var text strings.Builder
	text.WriteString("prefix,description,country_code,change,prefix_before,rate_before,connect_fee_before," +
		"first_increment_before,increment_before,prefix_after,rate_after,connect_fee_after,first_increment_after," +
		"increment_after,calls,call_sec,cost_before,cost_after\n")
	const piece = 64 << 10
	flush := func() error {
		_, err := io.WriteString(w, text.String())
		text.Reset()
		return err
	}
	price := func(r *comparedRate) []any {
		if r == nil {
			return make([]any, 5)
		}
		return []any{r.Prefix, r.PerMinute, r.ConnectFee, r.FirstIncrement, r.Increment}
	}
	err := each(func(one *rating.Compared) error {
		v := viewCompared(one)
		rest.CsvLine(&text, slices.Concat([]any{v.Prefix, v.Description, prefixCountry(v.Prefix), v.Change}, price(v.Before),
			price(v.After), []any{v.Calls, v.CallSecs, v.CostBefore, v.CostAfter}))
		if text.Len() < piece {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}
