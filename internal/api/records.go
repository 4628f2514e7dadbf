package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
)

// errorCode is the code of a refusal of Tollgate's own, or "". A call that was let
// through at first and then refused has it in the phrase that its caller was given.
func errorCode(r *record.Call) string {
	if reason, ok := admission.ParseReason(r.Reason); ok {
		return reason.Code()
	}
	if r.Outcome != record.OutcomeFailed || r.HangupSource != record.SideTollgate {
		return ""
	}
	code := r.SIPPhrase[strings.LastIndexByte(r.SIPPhrase, ' ')+1:]
	if !admission.IsCode(code) {
		return ""
	}
	return code
}

func timeOrNull(micros int64) *time.Time {
	if micros == 0 {
		return nil
	}
	return new(time.UnixMicro(micros))
}

func numberOrNull(n e164.Number) *e164.Number {
	if n == 0 {
		return nil
	}
	return &n
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Sizes of pages of records: Telnyx's.
const (
	recordPageSize    = 20
	maxRecordPageSize = 50
)

func (s *server) recordOperations() []rest.Operation {
	view := recordSchema()
	return []rest.Operation{
		{Method: http.MethodGet, Path: "/v2/detail_records", ID: "list_detail_record", Tag: "Detail records",
			Scope: ScopeRead, Summary: "List call detail records: one for each attempt.", Params: s.recordParams(),
			Status: http.StatusOK, Answer: view, Shape: rest.List, Handle: s.listRecords},
		s.recordOptions(),
		{Method: http.MethodGet, Path: "/v2/detail_records/{id}", ID: "get_detail_record", Tag: "Detail records",
			Scope: ScopeRead, Summary: "Get one call detail record. Tollgate's own.", Status: http.StatusOK, Answer: view,
			Handle: s.getRecord},
	}
}

func (s *server) recordParams() []rest.Parameter {
	return slices.Concat(rest.PageParams(recordPageSize, maxRecordPageSize), []rest.Parameter{
		{Name: "filter[record_type]", Required: true, Description: "The kind of record.",
			Schema: &rest.Schema{Kind: "string", Enum: []string{product}}},
		{Name: "filter[date_range]", Description: dateRangeText, Schema: rest.DateRangeSchema(), Filter: s.dateRangeFilter},
		{Name: "filter[direction]", Description: "Only calls of this direction. All are outbound.",
			Schema: &rest.Schema{Kind: "string", Enum: []string{"outbound", "inbound"}}, Filter: directionFilter},
		countFilter("attempted", []collection.Filter{}, noRecord()),
		countFilter("connected", []collection.Filter{{Field: "answered_at", Op: collection.Above, Value: int64(0)}},
			[]collection.Filter{{Field: "answered_at", Op: collection.Equal, Value: int64(0)}}),
		countFilter("completed", []collection.Filter{{Field: "outcome",
			Op: collection.Equal, Value: record.OutcomeAnswered.String()}},
			[]collection.Filter{{Field: "outcome", Op: collection.Not, Value: record.OutcomeAnswered.String()}}),
	}, recordFilters(), connectionNameFilters("connection_name", "records of calls"),
		[]rest.Parameter{rest.SortListParam("-started_at", sortableRecordFields()...)})
}

// noRecord is a condition that no record meets.
func noRecord() []collection.Filter {
	return []collection.Filter{{Field: "started_at", Op: collection.Below, Value: int64(0)}}
}

func directionFilter(direction string) ([]collection.Filter, *rest.Problem) {
	if direction == "inbound" {
		return noRecord(), nil
	}
	return nil, nil
}

// countFilter selects by a field that is 1 or 0.
func countFilter(name string, one, none []collection.Filter) rest.Parameter {
	return rest.Parameter{Name: "filter[" + name + "]",
		Description: "Only calls of which " + name + " is 1, or those of which it is 0.",
		Schema:      &rest.Schema{Kind: "string", Enum: []string{"0", "1"}},
		Filter: func(value string) ([]collection.Filter, *rest.Problem) {
			if value == "1" {
				return one, nil
			}
			return none, nil
		}}
}

// partFilters select by a part of a number.
func partFilters(name, storeField string) []rest.Parameter {
	filter := func(operator, what string, op collection.Operator) rest.Parameter {
		return rest.Parameter{Name: "filter[" + name + "][" + operator + "]",
			Description: "Only calls whose " + name + " " + what + " this text.",
			Schema:      &rest.Schema{Kind: "string", MinLength: 1, MaxLength: 128},
			Filter: func(value string) ([]collection.Filter, *rest.Problem) {
				// Clients that do not encode the plus sign of a number send a blank.
				if strings.HasPrefix(value, " ") {
					value = "+" + value[1:]
				}
				return []collection.Filter{{Field: storeField, Op: op, Value: value}}, nil
			}}
	}
	return []rest.Parameter{
		filter("contains", "contains", collection.Contains),
		filter("starts_with", "begins with", collection.StartsWith),
		filter("ends_with", "ends with", collection.EndsWith),
	}
}

// sizeFilters select by how large a field is.
func sizeFilters(name string, s *rest.Schema,
	filter func(op collection.Operator, value string) []collection.Filter) []rest.Parameter {
	var filters []rest.Parameter
	for _, operator := range []struct {
		suffix, what string
		op           collection.Operator
	}{
		{"", "is", collection.Equal}, {"[gt]", "is above", collection.Above}, {"[gte]", "is at least", collection.AtLeast},
		{"[lt]", "is below", collection.Below}, {"[lte]", "is at most", collection.AtMost},
	} {
		filters = append(filters, rest.Parameter{Name: "filter[" + name + "]" + operator.suffix, Schema: s,
			Description: "Only calls whose " + name + " " + operator.what + " this.",
			Filter:      func(value string) ([]collection.Filter, *rest.Problem) { return filter(operator.op, value), nil }})
	}
	return filters
}

func sizeOf(storeField string) func(collection.Operator, string) []collection.Filter {
	return func(op collection.Operator, value string) []collection.Filter {
		return []collection.Filter{{Field: storeField, Op: op, Value: value}}
	}
}

// maxCallSec bounds what is asked of call_sec, far above what a call can last.
const maxCallSec = 1 << 40

// wholeSecs selects by a length in microseconds, of which a part of a second counts whole.
func wholeSecs(storeField string) func(collection.Operator, string) []collection.Filter {
	return func(op collection.Operator, value string) []collection.Filter {
		secs, err := strconv.ParseInt(value, 10, 64)
		if err != nil || secs > maxCallSec {
			secs = maxCallSec
		}
		micros := func(op collection.Operator, secs int64) collection.Filter {
			return collection.Filter{Field: storeField, Op: op, Value: secs * 1_000_000}
		}
		switch op {
		case collection.Above, collection.AtMost:
			return []collection.Filter{micros(op, secs)}
		case collection.AtLeast:
			return []collection.Filter{micros(collection.Above, secs-1)}
		case collection.Below:
			return []collection.Filter{micros(collection.AtMost, secs-1)}
		}
		return []collection.Filter{micros(collection.Above, secs-1), micros(collection.AtMost, secs)}
	}
}

func boolFilter(name, storeField string, s *rest.Schema) rest.Parameter {
	return rest.Parameter{Name: name, Schema: s, Description: "Only objects with this " + storeField + ".",
		Filter: func(value string) ([]collection.Filter, *rest.Problem) {
			return []collection.Filter{{Field: storeField, Op: collection.Equal, Value: value == "true"}}, nil
		}}
}

// countryFilter selects by the code of a country.
func countryFilter(name, storeField string) rest.Parameter {
	return rest.Parameter{Name: "filter[" + name + "]", Schema: &rest.Schema{Kind: "string"},
		Description: "Only calls whose " + name + " is this country, ISO 3166-1 alpha-2.",
		Filter: func(value string) ([]collection.Filter, *rest.Problem) {
			if _, ok := e164.CountryByAlpha2(value); ok {
				return []collection.Filter{{Field: storeField, Op: collection.Equal, Value: value}}, nil
			}
			detail := rest.Excerpt(value) + " is not a country. Give an ISO 3166-1 alpha-2 code such as \"US\"."
			if meant, ok := e164.SuggestCountry(value); ok {
				detail = rest.Excerpt(value) + " is not a country code. Use \"" + meant + "\"."
			}
			return nil, &rest.Problem{Code: field.NotListed, Detail: detail}
		}}
}

func (s *server) dateRangeFilter(word string) ([]collection.Filter, *rest.Problem) {
	from, to, err := rest.DateRange(word, s.Clock())
	if err != nil {
		return nil, &rest.Problem{Code: field.Malformed, Detail: rest.Excerpt(word) + " is no range of days."}
	}
	return []collection.Filter{
		{Field: "started_at", Op: collection.AtLeast, Value: from.UnixMicro()},
		{Field: "started_at", Op: collection.Below, Value: to.UnixMicro()},
	}, nil
}

func (s *server) listRecords(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-started_at", recordPageSize)
	for i := range q.Sort {
		q.Sort[i].Field = recordColumn(q.Sort[i].Field)
	}
	named, err := s.connectionsNamed(ctx, in.Account, &in.Query, "connection_name")
	if err != nil {
		return nil, err
	}
	if named != nil {
		q.Filters = append(q.Filters, collection.Filter{Field: "connection_id", Op: collection.OneOf, Value: named})
	}
	page, err := s.Calls.ListRecords(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views, err := s.viewRecords(ctx, in.Account, page.Items)
	if err != nil {
		return nil, err
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

// viewRecords shows records with their recordings, which are looked up together:
// only calls that were answered can have any.
func (s *server) viewRecords(ctx context.Context, account id.ID, records []*record.Call) ([]recordView, error) {
	var answered []uuid.UUID
	for _, r := range records {
		if r.AnsweredMicros != 0 {
			answered = append(answered, r.ID)
		}
	}
	recordings, err := s.Recordings.RecordingsOf(ctx, account, answered)
	if err != nil {
		return nil, err
	}
	views := make([]recordView, len(records))
	snapshot := s.Live.Snapshot()
	for i, r := range records {
		views[i] = recordView{call: r, recordings: recordings[r.ID]}
		if c := snapshot.Connection(r.ConnectionID); c != nil && c.Account == account {
			views[i].connection = c.Name
		}
	}
	return views, nil
}

func (s *server) getRecord(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	call, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	r, err := s.Calls.Record(ctx, in.Account, call)
	if err != nil {
		return nil, err
	}
	views, err := s.viewRecords(ctx, in.Account, []*record.Call{r})
	if err != nil {
		return nil, err
	}
	return &rest.Response{Data: views[0]}, nil
}

// dateRangeText describes the parameter.
const dateRangeText = "Only calls that started in this span of UTC days. Weeks begin on Monday; last_N_days, " +
	"last_N_weeks and last_N_months end with today."
