package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// parameter is one query parameter of an operation.
type parameter struct {
	name        string
	description string
	schema      *schema
	required    bool
	lenient     bool // a value below the minimum counts as not given, as Telnyx's clients send 0
	// filter turns the value into conditions; nil for parameters that are no filter.
	filter func(value string) ([]store.Filter, *problem)
}

// query is the checked query of a request.
type query struct {
	values  map[string]string
	filters []store.Filter
}

// parseQuery checks the query of a request against the parameters that its
// operation knows, and reports all that is wrong with it.
func parseQuery(params []parameter, raw string) (query, error) {
	q := query{}
	if raw == "" && !slices.ContainsFunc(params, func(p parameter) bool { return p.required }) {
		return q, nil
	}
	q.values = map[string]string{}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, fail(http.StatusBadRequest, codeURL, "The query is not well-formed. Encode %% as %%25, and separate parameters by &.")
	}
	var problems []problem
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(params, func(p parameter) bool { return p.name == name })
		if i < 0 {
			problems = append(problems, unknownParameter(params, name))
			continue
		}
		if len(values[name]) > 1 {
			problems = append(problems, problem{code: field.Malformed, parameter: name, detail: excerpt(name) + " is given more than once. Give it once."})
			continue
		}
		if p := q.take(&params[i], values[name][0]); p != nil {
			problems = append(problems, *p)
		}
	}
	for _, p := range params {
		if _, given := values[p.name]; p.required && !given {
			problems = append(problems, problem{code: field.Missing, parameter: p.name, detail: p.name + " is required. Give " + p.schema.wanted() + "."})
		}
	}
	if len(problems) > 0 {
		return q, invalid(problems)
	}
	return q, nil
}

func unknownParameter(params []parameter, name string) problem {
	filters := strings.HasPrefix(name, "filter")
	var known []string
	for _, p := range params {
		if strings.HasPrefix(p.name, "filter") == filters {
			known = append(known, p.name)
		}
	}
	p := problem{code: field.Malformed, parameter: name, detail: excerpt(name) + " is not a parameter of this request. "}
	if filters {
		p.code, p.detail = codeFilter, excerpt(name)+" is not a filter of this list. "
	}
	if len(known) == 0 {
		p.detail += "It has none."
	} else {
		p.detail += "Known are " + strings.Join(known, ", ") + "."
	}
	return p
}

// take checks one value by its schema and notes it.
func (q *query) take(p *parameter, text string) *problem {
	if !utf8.ValidString(text) {
		return &problem{code: codeEncoding, parameter: p.name, detail: p.name + " is not UTF-8 text."}
	}
	var value any = text
	if p.schema.kind == "integer" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return &problem{code: field.WrongType, parameter: p.name, detail: fmt.Sprintf("%s is %s. Give %s.", p.name, excerpt(text), p.schema.wanted())}
		}
		if p.lenient && n < *p.schema.minimum {
			return nil
		}
		value = literal(text)
	}
	if p.schema.kind == "boolean" {
		if text != "true" && text != "false" {
			return &problem{code: field.WrongType, parameter: p.name, detail: fmt.Sprintf("%s is %s. Give true or false.", p.name, excerpt(text))}
		}
		value = text == "true"
	}
	if p.schema.kind == "array" {
		items := []any{}
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, item)
		}
		value = items
	}
	c := checker{}
	c.check(p.schema, value, "/"+p.name)
	if len(c.problems) > 0 {
		found := c.problems[0]
		found.pointer, found.parameter = "", p.name
		return &found
	}
	if p.filter != nil {
		filters, found := p.filter(text)
		if found != nil {
			found.parameter = p.name
			return found
		}
		q.filters = append(q.filters, filters...)
	}
	q.values[p.name] = text
	return nil
}

// Paging.
const (
	// maxPageNumber keeps the product of page number and size far from overflow.
	maxPageNumber = 1_000_000
	maxPageSize   = 250
)

func pageParams(size, largest int64) []parameter {
	return []parameter{
		{name: "page[number]", description: "The page, from 1. A page past the last one is empty.", lenient: true,
			schema: &schema{kind: "integer", minimum: new(int64(1)), maximum: new(int64(maxPageNumber)), defaultTo: 1}},
		{name: "page[size]", description: "How many objects a page has.", lenient: true,
			schema: &schema{kind: "integer", minimum: new(int64(1)), maximum: new(largest), defaultTo: size}},
	}
}

// sortParam accepts each field ascending, and descending with a minus before it.
func sortParam(standard string, fields ...string) parameter {
	enum := make([]string, 0, 2*len(fields))
	for _, name := range fields {
		enum = append(enum, name, "-"+name)
	}
	return parameter{name: "sort", description: "The field to sort by; a minus before it sorts descending.",
		schema: &schema{kind: "string", enum: enum, defaultTo: standard}}
}

// maxSorts is how many fields a list may be sorted by at once.
const maxSorts = 3

// sortListParam is sortParam for several fields, separated by commas.
func sortListParam(standard string, fields ...string) parameter {
	p := sortParam("", fields...)
	p.schema.defaultTo = nil
	p.description = "The fields to sort by, separated by commas; a minus before one sorts descending. " + standard + " if not given."
	p.schema = &schema{kind: "array", items: p.schema, maxItems: maxSorts}
	return p
}

// equalFilter selects by one field, which the store knows by this name.
func equalFilter(name, storeField string, s *schema) parameter {
	return parameter{name: name, schema: s, description: "Only objects with this " + storeField + ".",
		filter: func(value string) ([]store.Filter, *problem) {
			return []store.Filter{{Field: storeField, Op: store.Equal, Value: value}}, nil
		}}
}

func containsFilter(name, storeField string, shortest int) parameter {
	return parameter{name: name, schema: &schema{kind: "string", minLength: shortest, maxLength: 255},
		description: "Only objects whose " + storeField + " contains this text, without regard to case.",
		filter: func(value string) ([]store.Filter, *problem) {
			if value == "" {
				return nil, nil // contained in every text
			}
			return []store.Filter{{Field: storeField, Op: store.Contains, Value: value}}, nil
		}}
}

func timeFilter(name, storeField string, op store.Operator) parameter {
	return parameter{name: name, schema: &schema{kind: "string", format: "date-time", parse: parseTime},
		description: "Only objects by their " + storeField + ".",
		filter: func(value string) ([]store.Filter, *problem) {
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return nil, &problem{code: field.Malformed, detail: excerpt(value) + " is not a time in RFC 3339 form."}
			}
			return []store.Filter{{Field: storeField, Op: op, Value: t.UnixMicro()}}, nil
		}}
}

// storeQuery is the part of the query that the store works on.
func (q *query) storeQuery(standard string, size int) store.Query {
	order := q.text("sort", standard)
	out := store.Query{Filters: q.filters, Number: q.int("page[number]", 1), Size: q.int("page[size]", size)}
	if order == "" {
		return out
	}
	for part := range strings.SplitSeq(order, ",") {
		name, descending := strings.CutPrefix(part, "-")
		out.Sort = append(out.Sort, store.Order{Field: name, Descending: descending})
	}
	return out
}

func (q *query) text(name, standard string) string {
	if value, given := q.values[name]; given {
		return value
	}
	return standard
}

func (q *query) int(name string, standard int) int {
	n, err := strconv.Atoi(q.values[name])
	if err != nil {
		return standard
	}
	return n
}

// words are the values of a parameter that has several, separated by commas.
func (q *query) words(name string) []string {
	text := q.text(name, "")
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func metaOf(q store.Query, total int) *pageMeta {
	return &pageMeta{PageNumber: q.Number, PageSize: q.Size, TotalPages: (total + q.Size - 1) / q.Size, TotalResults: total}
}

// listError turns the store's refusal of a field into the answer to it. It cannot
// come to pass while the parameters above name only fields that the store knows.
func listError(err error) error {
	if errors.Is(err, store.ErrUnknownField) {
		return fmt.Errorf("a documented filter or sort is unknown to the store: %w", err)
	}
	return err
}

// dateRangePattern has the words of Telnyx's filter[date_range], and the form last_N_days.
const dateRangePattern = `^(yesterday|today|tomorrow|(last|this|next)_(week|month)|last_[1-9][0-9]{0,2}_days)$`

func dateRangeSchema() *schema {
	return &schema{kind: "string", pattern: regexp.MustCompile(dateRangePattern), example: "last_7_days"}
}

// dateRange is the span of days that a word of Telnyx's filter[date_range] means.
// Weeks begin on Monday; all days are UTC days; last_7_days is today and the six
// days before it.
func dateRange(word string, now time.Time) (from, to time.Time) {
	now = now.UTC()
	today := record.DayOf(now.UnixMicro())
	start := time.UnixMicro(today.StartMicros()).UTC()
	monday := start.AddDate(0, 0, -(int(start.Weekday())+6)%7)
	first := start.AddDate(0, 0, 1-start.Day())
	span := func(from time.Time, months, days int) (time.Time, time.Time) {
		return from, from.AddDate(0, months, days)
	}
	switch word {
	case "today":
		return span(start, 0, 1)
	case "yesterday":
		return span(start.AddDate(0, 0, -1), 0, 1)
	case "tomorrow":
		return span(start.AddDate(0, 0, 1), 0, 1)
	case "this_week":
		return span(monday, 0, 7)
	case "last_week":
		return span(monday.AddDate(0, 0, -7), 0, 7)
	case "next_week":
		return span(monday.AddDate(0, 0, 7), 0, 7)
	case "this_month":
		return span(first, 1, 0)
	case "last_month":
		return span(first.AddDate(0, -1, 0), 1, 0)
	case "next_month":
		return span(first.AddDate(0, 1, 0), 1, 0)
	}
	days, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(word, "last_"), "_days"))
	if err != nil || days < 1 {
		return start, start // the pattern lets no such word through
	}
	return start.AddDate(0, 0, 1-days), start.AddDate(0, 0, 1)
}
