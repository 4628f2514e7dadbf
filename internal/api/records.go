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
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
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

func (s *server) recordOperations() []operation {
	view := recordSchema()
	return []operation{
		{method: http.MethodGet, path: "/v2/detail_records", id: "list_detail_record", tag: "Detail records", scope: ScopeRead,
			summary: "List call detail records: one of every attempt.", params: s.recordParams(), status: http.StatusOK, answer: view, shape: list, handle: s.listRecords},
		s.recordOptions(),
		{method: http.MethodGet, path: "/v2/detail_records/{id}", id: "get_detail_record", tag: "Detail records", scope: ScopeRead,
			summary: "Get one call detail record. Tollgate's own.", status: http.StatusOK, answer: view, handle: s.getRecord},
	}
}

func (s *server) recordParams() []parameter {
	return slices.Concat(pageParams(recordPageSize, maxRecordPageSize), []parameter{
		{name: "filter[record_type]", required: true, description: "The kind of record.",
			schema: &schema{kind: "string", enum: []string{product}}},
		{name: "filter[date_range]", description: dateRangeText, schema: dateRangeSchema(), filter: s.dateRangeFilter},
		{name: "filter[direction]", description: "Only calls of this direction. All are outbound.",
			schema: &schema{kind: "string", enum: []string{"outbound", "inbound"}}, filter: directionFilter},
		countFilter("attempted", []store.Filter{}, noRecord()),
		countFilter("connected", []store.Filter{{Field: "answered_at", Op: store.Above, Value: int64(0)}},
			[]store.Filter{{Field: "answered_at", Op: store.Equal, Value: int64(0)}}),
		countFilter("completed", []store.Filter{{Field: "outcome", Op: store.Equal, Value: record.OutcomeAnswered.String()}},
			[]store.Filter{{Field: "outcome", Op: store.Not, Value: record.OutcomeAnswered.String()}}),
	}, recordFilters(), connectionNameFilters("connection_name", "records of calls"),
		[]parameter{sortListParam("-started_at", sortableRecordFields()...)})
}

// noRecord is a condition that no record meets.
func noRecord() []store.Filter {
	return []store.Filter{{Field: "started_at", Op: store.Below, Value: int64(0)}}
}

func directionFilter(direction string) ([]store.Filter, *problem) {
	if direction == "inbound" {
		return noRecord(), nil
	}
	return nil, nil
}

// countFilter selects by a field that is 1 or 0.
func countFilter(name string, one, none []store.Filter) parameter {
	return parameter{name: "filter[" + name + "]", description: "Only calls of which " + name + " is 1, or those of which it is 0.",
		schema: &schema{kind: "string", enum: []string{"0", "1"}},
		filter: func(value string) ([]store.Filter, *problem) {
			if value == "1" {
				return one, nil
			}
			return none, nil
		}}
}

// partFilters select by a part of a number.
func partFilters(name, storeField string) []parameter {
	filter := func(operator, what string, op store.Operator) parameter {
		return parameter{name: "filter[" + name + "][" + operator + "]", description: "Only calls whose " + name + " " + what + " this text.",
			schema: &schema{kind: "string", minLength: 1, maxLength: 128},
			filter: func(value string) ([]store.Filter, *problem) {
				// Clients that do not encode the plus sign of a number send a blank.
				if strings.HasPrefix(value, " ") {
					value = "+" + value[1:]
				}
				return []store.Filter{{Field: storeField, Op: op, Value: value}}, nil
			}}
	}
	return []parameter{
		filter("contains", "contains", store.Contains),
		filter("starts_with", "begins with", store.StartsWith),
		filter("ends_with", "ends with", store.EndsWith),
	}
}

// sizeFilters select by how large a field is.
func sizeFilters(name string, s *schema, filter func(op store.Operator, value string) []store.Filter) []parameter {
	var filters []parameter
	for _, operator := range []struct {
		suffix, what string
		op           store.Operator
	}{
		{"", "is", store.Equal}, {"[gt]", "is above", store.Above}, {"[gte]", "is at least", store.AtLeast},
		{"[lt]", "is below", store.Below}, {"[lte]", "is at most", store.AtMost},
	} {
		filters = append(filters, parameter{name: "filter[" + name + "]" + operator.suffix, schema: s,
			description: "Only calls whose " + name + " " + operator.what + " this.",
			filter:      func(value string) ([]store.Filter, *problem) { return filter(operator.op, value), nil }})
	}
	return filters
}

func sizeOf(storeField string) func(store.Operator, string) []store.Filter {
	return func(op store.Operator, value string) []store.Filter {
		return []store.Filter{{Field: storeField, Op: op, Value: value}}
	}
}

// maxCallSec bounds what is asked of call_sec, far above what a call can last.
const maxCallSec = 1 << 40

// wholeSecs selects by a length in microseconds, of which a part of a second counts whole.
func wholeSecs(storeField string) func(store.Operator, string) []store.Filter {
	return func(op store.Operator, value string) []store.Filter {
		secs, err := strconv.ParseInt(value, 10, 64)
		if err != nil || secs > maxCallSec {
			secs = maxCallSec
		}
		micros := func(op store.Operator, secs int64) store.Filter {
			return store.Filter{Field: storeField, Op: op, Value: secs * 1_000_000}
		}
		switch op {
		case store.Above, store.AtMost:
			return []store.Filter{micros(op, secs)}
		case store.AtLeast:
			return []store.Filter{micros(store.Above, secs-1)}
		case store.Below:
			return []store.Filter{micros(store.AtMost, secs-1)}
		}
		return []store.Filter{micros(store.Above, secs-1), micros(store.AtMost, secs)}
	}
}

func boolFilter(name, storeField string, s *schema) parameter {
	return parameter{name: name, schema: s, description: "Only objects with this " + storeField + ".",
		filter: func(value string) ([]store.Filter, *problem) {
			return []store.Filter{{Field: storeField, Op: store.Equal, Value: value == "true"}}, nil
		}}
}

// countryFilter selects by the code of a country.
func countryFilter(name, storeField string) parameter {
	return parameter{name: "filter[" + name + "]", schema: &schema{kind: "string"},
		description: "Only calls whose " + name + " is this country, ISO 3166-1 alpha-2.",
		filter: func(value string) ([]store.Filter, *problem) {
			if _, ok := e164.CountryByAlpha2(value); ok {
				return []store.Filter{{Field: storeField, Op: store.Equal, Value: value}}, nil
			}
			detail := excerpt(value) + " is not a country. Give an ISO 3166-1 alpha-2 code such as \"US\"."
			if meant, ok := e164.SuggestCountry(value); ok {
				detail = excerpt(value) + " is not a country code. Use \"" + meant + "\"."
			}
			return nil, &problem{code: field.NotListed, detail: detail}
		}}
}

func (s *server) dateRangeFilter(word string) ([]store.Filter, *problem) {
	from, to, err := dateRange(word, s.Clock())
	if err != nil {
		return nil, &problem{code: field.Malformed, detail: excerpt(word) + " is no range of days."}
	}
	return []store.Filter{
		{Field: "started_at", Op: store.AtLeast, Value: from.UnixMicro()},
		{Field: "started_at", Op: store.Below, Value: to.UnixMicro()},
	}, nil
}

func (s *server) listRecords(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("-started_at", recordPageSize)
	for i := range q.Sort {
		q.Sort[i].Field = recordColumn(q.Sort[i].Field)
	}
	named, err := s.connectionsNamed(ctx, in.account, &in.query, "connection_name")
	if err != nil {
		return nil, err
	}
	if named != nil {
		q.Filters = append(q.Filters, store.Filter{Field: "connection_id", Op: store.OneOf, Value: named})
	}
	page, err := s.Calls.ListRecords(ctx, in.account, q)
	if err != nil {
		return nil, listError(err)
	}
	views, err := s.viewRecords(ctx, in.account, page.Items)
	if err != nil {
		return nil, err
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
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

func (s *server) getRecord(ctx context.Context, in *request) (*response, error) {
	call, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	r, err := s.Calls.Record(ctx, in.account, call)
	if err != nil {
		return nil, err
	}
	views, err := s.viewRecords(ctx, in.account, []*record.Call{r})
	if err != nil {
		return nil, err
	}
	return &response{data: views[0]}, nil
}

// dateRangeText describes the parameter.
const dateRangeText = "Only calls that started in this span of UTC days. Weeks begin on Monday; last_N_days, " +
	"last_N_weeks and last_N_months end with today."
