package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
)

// parameter is one query parameter of an operation.
type parameter struct {
	name        string
	description string
	schema      *schema
	required    bool
	lenient     bool // a value below the minimum counts as not given, as Telnyx's clients send 0
	order       bool // it sorts: a field that the list does not know is passed over where unknown parameters are
	// filter turns the value into conditions; nil for parameters that are no filter.
	filter func(value string) ([]collection.Filter, *problem)
}

// query is the checked query of a request.
type query struct {
	values  map[string]string
	lists   map[string][]string // of parameters that are arrays
	filters []collection.Filter
	// ignored are the names of parameters that the operation does not know, where it
	// passes over them.
	ignored []string
	// nothing says that there is a filter among them. What it would select is not
	// known, so no row is answered: never more than was asked for.
	nothing bool
}

// passesOver says whether an operation answers a request in spite of parameters that
// it does not know. A write does not: who misspells dry_run must not get the write.
func (op *operation) passesOver() bool {
	return op.method == http.MethodGet && strings.HasPrefix(op.path, "/v2/")
}

// parseQuery checks the query of a request against the parameters that its
// operation knows, and reports all that is wrong with it.
func parseQuery(params []parameter, raw string, passOver bool) (query, error) {
	q := query{}
	if raw == "" && !slices.ContainsFunc(params, func(p parameter) bool { return p.required }) {
		return q, nil
	}
	q.values, q.lists = map[string]string{}, map[string][]string{}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, fail(http.StatusBadRequest, codeURL,
			"The query is not well-formed. Encode %% as %%25, and separate parameters by &.")
	}
	if values.Has(nextPage) && passOver {
		values.Del("page[number]") // else such a client would get its first page for ever
	}
	var problems []problem
	found := map[*parameter]*givenValues{}
	var inOrder []*givenValues
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, rest, known := knownParameter(params, name)
		switch {
		case known && len(rest) > 0 && passOver && p.schema.kind != "array" && (p.order || namesFilter(p.name)):
			q.passOver(name) // no filter of this list is an array, and none is sorted by one
		case known:
			if found[p] == nil {
				found[p] = &givenValues{parameter: p}
				inOrder = append(inOrder, found[p])
			}
			found[p].add(name, rest, values[name])
		case passOver:
			q.passOver(name)
		default:
			problems = append(problems, unknownParameter(params, name))
		}
	}
	for _, g := range inOrder {
		if p := q.takeAll(g, passOver); p != nil {
			problems = append(problems, *p)
		}
	}
	slices.SortStableFunc(problems, func(a, b problem) int { return strings.Compare(a.parameter, b.parameter) })
	for i := range params {
		if p := &params[i]; p.required && found[p] == nil {
			problems = append(problems, problem{code: field.Missing, parameter: p.name,
				detail: p.name + " is required. Give " + p.schema.wanted() + "."})
		}
	}
	if len(problems) > 0 {
		return q, invalid(problems[:min(len(problems), maxProblems)])
	}
	return q, nil
}

func (q *query) passOver(name string) {
	if !slices.Contains(q.ignored, name) {
		q.ignored = append(q.ignored, name)
	}
	q.nothing = q.nothing || namesFilter(name)
}

func unknownParameter(params []parameter, name string) problem {
	filters := namesFilter(name)
	var known []string
	for _, p := range params {
		if namesFilter(p.name) == filters {
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

// takeAll checks what a request says for one parameter.
func (q *query) takeAll(g *givenValues, passOver bool) *problem {
	p := g.parameter
	if p.schema.kind == "array" {
		items, found := g.list()
		if found == nil {
			found = q.takeList(p, items, passOver)
		}
		return found
	}
	switch {
	case g.isArray():
		return &problem{code: field.Malformed, parameter: g.arrays[0],
			detail: p.name + " is no list. Give it once, as " + p.name + "=."}
	case len(g.plain) > 1:
		return &problem{code: field.Malformed, parameter: p.name, detail: p.name + " is given more than once. Give it once."}
	case passOver && p.order && !slices.Contains(p.schema.enum, g.plain[0]) && utf8.ValidString(g.plain[0]):
		q.passOver(p.name)
		return nil
	}
	return q.take(p, g.plain[0])
}

// takeList checks the entries of a list by the schema of the parameter and notes them.
func (q *query) takeList(p *parameter, items []string, passOver bool) *problem {
	values := make([]any, 0, len(items))
	kept := make([]string, 0, len(items))
	for _, item := range items {
		if !utf8.ValidString(item) {
			return &problem{code: codeEncoding, parameter: p.name, detail: p.name + " is not UTF-8 text."}
		}
		if passOver && p.order && !slices.Contains(p.schema.items.enum, item) {
			q.passOver(p.name)
			continue
		}
		values, kept = append(values, item), append(kept, item)
	}
	if found := checkParameter(p, values); found != nil {
		return found
	}
	if len(kept) > 0 {
		q.lists[p.name], q.values[p.name] = kept, strings.Join(kept, ",")
	}
	return nil
}

// checkParameter checks a value by the schema of its parameter.
func checkParameter(p *parameter, value any) *problem {
	c := checker{}
	c.check(p.schema, value, "/"+p.name)
	if len(c.problems) == 0 {
		return nil
	}
	found := c.problems[0]
	found.pointer, found.parameter = "", p.name
	return &found
}

// take checks one value by its schema and notes it.
func (q *query) take(p *parameter, text string) *problem {
	if !utf8.ValidString(text) {
		return &problem{code: codeEncoding, parameter: p.name, detail: p.name + " is not UTF-8 text."}
	}
	var value any = text
	switch p.schema.kind {
	case "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || text[0] == '+' {
			return &problem{code: field.WrongType, parameter: p.name,
				detail: fmt.Sprintf("%s is %s. Give %s.", p.name, excerpt(text), p.schema.wanted())}
		}
		if p.lenient && n < *p.schema.minimum {
			return nil
		}
		value = literal(text)
	case "boolean":
		// The first Telnyx SDKs for Python wrote truth values as that language does.
		if text == "True" || text == "False" {
			text = strings.ToLower(text)
		}
		if text != "true" && text != "false" {
			return &problem{code: field.WrongType, parameter: p.name,
				detail: fmt.Sprintf("%s is %s. Give true or false.", p.name, excerpt(text))}
		}
		value = text == "true"
	}
	if found := checkParameter(p, value); found != nil {
		return found
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
	return parameter{name: "sort", order: true, description: "The field to sort by; a minus before it sorts descending.",
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
		filter: func(value string) ([]collection.Filter, *problem) {
			if s.fold != nil {
				value = s.fold(value)
			}
			return []collection.Filter{{Field: storeField, Op: collection.Equal, Value: value}}, nil
		}}
}

// nameFilters select by a name: filter[name] by all of it, filter[name][contains] by a part.
func nameFilters(name string, shortest int) []parameter {
	all := &schema{kind: "string", maxLength: 255}
	return []parameter{
		containsFilter("filter["+name+"][contains]", name, shortest),
		equalFilter("filter["+name+"]", name, all),
	}
}

func containsFilter(name, storeField string, shortest int) parameter {
	return parameter{name: name, schema: &schema{kind: "string", minLength: shortest, maxLength: 255},
		description: "Only objects whose " + storeField + " contains this text, without regard to case.",
		filter: func(value string) ([]collection.Filter, *problem) {
			if value == "" {
				return nil, nil // contained in every text
			}
			return []collection.Filter{{Field: storeField, Op: collection.Contains, Value: value}}, nil
		}}
}

// storeQuery is the part of the query that the store works on.
func (q *query) storeQuery(standard string, size int) collection.Query {
	order := q.text("sort", standard)
	out := collection.Query{Filters: q.filters, Number: q.int("page[number]", 1), Size: q.int("page[size]", size)}
	if order == "" {
		return out
	}
	for part := range strings.SplitSeq(order, ",") {
		name, descending := strings.CutPrefix(part, "-")
		out.Sort = append(out.Sort, collection.Order{Field: name, Descending: descending})
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

// words are the entries of a parameter that is a list.
func (q *query) words(name string) []string { return q.lists[name] }

func metaOf(q collection.Query, total int) *pageMeta {
	return &pageMeta{PageNumber: q.Number, PageSize: q.Size, TotalPages: (total + q.Size - 1) / q.Size, TotalResults: total}
}

// listError turns the store's refusal of a field into the answer to it. There is none
// while the parameters above name only fields that the store knows.
func listError(err error) error {
	if errors.Is(err, collection.ErrUnknownField) {
		return fmt.Errorf("a documented filter or sort is unknown to the store: %w", err)
	}
	return err
}
