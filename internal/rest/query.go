package rest

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

// Parameter is one query parameter of an operation.
type Parameter struct {
	Name        string
	Description string
	Schema      *Schema
	Required    bool
	lenient     bool // a value below the minimum counts as not given, as Telnyx's clients send 0
	Order       bool // it sorts: a field that the list does not know is passed over where unknown parameters are
	// Filter turns the value into conditions; nil for parameters that are no filter.
	Filter func(value string) ([]collection.Filter, *Problem)
}

// Query is the checked query of a request.
type Query struct {
	Values  map[string]string
	lists   map[string][]string // of parameters that are arrays
	Filters []collection.Filter
	// ignored are the names of parameters that the operation does not know, where it
	// passes over them.
	ignored []string
	// Nothing means that there is a filter among them. What it would select is not
	// known, so no row is answered: never more than was asked for.
	Nothing bool
}

// PassesOver reports whether an operation answers a request in spite of parameters that
// it does not know. A write does not: who misspells dry_run must not get the write.
func (op *Operation) PassesOver() bool {
	return op.Method == http.MethodGet && strings.HasPrefix(op.Path, "/v2/")
}

// parseQuery checks the query of a request against the parameters that its
// operation knows, and reports all that is wrong with it.
func parseQuery(params []Parameter, raw string, passOver bool) (Query, error) {
	q := Query{}
	if raw == "" && !slices.ContainsFunc(params, func(p Parameter) bool { return p.Required }) {
		return q, nil
	}
	q.Values = map[string]string{}
	q.lists = map[string][]string{}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, Fail(http.StatusBadRequest, CodeURL,
			"The query is not well-formed. Encode %% as %%25, and separate parameters by &.")
	}
	if values.Has(nextPage) && passOver {
		values.Del("page[number]") // else such a client would get its first page for ever
	}
	var problems []Problem
	found := map[*Parameter]*givenValues{}
	var inOrder []*givenValues
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, rest, known := knownParameter(params, name)
		switch {
		case known && len(rest) > 0 && passOver && p.Schema.Kind != "array" && (p.Order || namesFilter(p.Name)):
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
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Parameter, b.Parameter) })
	for i := range params {
		if p := &params[i]; p.Required && found[p] == nil {
			problems = append(problems, Problem{Code: field.Missing, Parameter: p.Name,
				Detail: p.Name + " is required. Give " + p.Schema.wanted() + "."})
		}
	}
	if len(problems) > 0 {
		return q, Invalid(problems[:min(len(problems), MaxProblems)])
	}
	return q, nil
}

func (q *Query) passOver(name string) {
	if !slices.Contains(q.ignored, name) {
		q.ignored = append(q.ignored, name)
	}
	q.Nothing = q.Nothing || namesFilter(name)
}

func unknownParameter(params []Parameter, name string) Problem {
	filters := namesFilter(name)
	var known []string
	for _, p := range params {
		if namesFilter(p.Name) == filters {
			known = append(known, p.Name)
		}
	}
	p := Problem{Code: field.Malformed, Parameter: name, Detail: Excerpt(name) + " is not a parameter of this request. "}
	if filters {
		p.Code = CodeFilter
		p.Detail = Excerpt(name) + " is not a filter of this list. "
	}
	if len(known) == 0 {
		p.Detail += "It has none."
	} else {
		p.Detail += "Known are " + strings.Join(known, ", ") + "."
	}
	return p
}

// takeAll checks what a request says for one parameter.
func (q *Query) takeAll(g *givenValues, passOver bool) *Problem {
	p := g.parameter
	if p.Schema.Kind == "array" {
		items, found := g.list()
		if found == nil {
			found = q.takeList(p, items, passOver)
		}
		return found
	}
	switch {
	case g.isArray():
		return &Problem{Code: field.Malformed, Parameter: g.arrays[0],
			Detail: p.Name + " is no list. Give it once, as " + p.Name + "=."}
	case len(g.plain) > 1:
		return &Problem{Code: field.Malformed, Parameter: p.Name, Detail: p.Name + " is given more than once. Give it once."}
	case passOver && p.Order && !slices.Contains(p.Schema.Enum, g.plain[0]) && utf8.ValidString(g.plain[0]):
		q.passOver(p.Name)
		return nil
	}
	return q.take(p, g.plain[0])
}

// takeList checks the entries of a list by the schema of the parameter and notes them.
func (q *Query) takeList(p *Parameter, items []string, passOver bool) *Problem {
	values := make([]any, 0, len(items))
	kept := make([]string, 0, len(items))
	for _, item := range items {
		if !utf8.ValidString(item) {
			return &Problem{Code: CodeEncoding, Parameter: p.Name, Detail: p.Name + " is not UTF-8 text."}
		}
		if passOver && p.Order && !slices.Contains(p.Schema.Items.Enum, item) {
			q.passOver(p.Name)
			continue
		}
		values, kept = append(values, item), append(kept, item)
	}
	if found := checkParameter(p, values); found != nil {
		return found
	}
	if len(kept) > 0 {
		q.lists[p.Name], q.Values[p.Name] = kept, strings.Join(kept, ",")
	}
	return nil
}

// checkParameter checks a value by the schema of its parameter.
func checkParameter(p *Parameter, value any) *Problem {
	c := checker{}
	c.Check(p.Schema, value, "/"+p.Name)
	if len(c.Problems) == 0 {
		return nil
	}
	found := c.Problems[0]
	found.Pointer = ""
	found.Parameter = p.Name
	return &found
}

// take checks one value by its schema and notes it.
func (q *Query) take(p *Parameter, text string) *Problem {
	if !utf8.ValidString(text) {
		return &Problem{Code: CodeEncoding, Parameter: p.Name, Detail: p.Name + " is not UTF-8 text."}
	}
	var value any = text
	switch p.Schema.Kind {
	case "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || text[0] == '+' {
			return &Problem{Code: field.WrongType, Parameter: p.Name,
				Detail: fmt.Sprintf("%s is %s. Give %s.", p.Name, Excerpt(text), p.Schema.wanted())}
		}
		if p.lenient && n < *p.Schema.Minimum {
			return nil
		}
		value = Literal(text)
	case "boolean":
		// The first Telnyx SDKs for Python wrote truth values as that language does.
		if text == "True" || text == "False" {
			text = strings.ToLower(text)
		}
		if text != "true" && text != "false" {
			return &Problem{Code: field.WrongType, Parameter: p.Name,
				Detail: fmt.Sprintf("%s is %s. Give true or false.", p.Name, Excerpt(text))}
		}
		value = text == "true"
	}
	if found := checkParameter(p, value); found != nil {
		return found
	}
	if p.Filter != nil {
		filters, found := p.Filter(text)
		if found != nil {
			found.Parameter = p.Name
			return found
		}
		q.Filters = append(q.Filters, filters...)
	}
	q.Values[p.Name] = text
	return nil
}

// Paging.
const (
	// maxPageNumber keeps the product of page number and size far from overflow.
	maxPageNumber = 1_000_000
	MaxPageSize   = 250
)

// PageParams are the parameters of a list with pages.
func PageParams(size, largest int64) []Parameter {
	return []Parameter{
		{Name: "page[number]", Description: "The page, from 1. A page past the last one is empty.", lenient: true,
			Schema: &Schema{Kind: "integer", Minimum: new(int64(1)), Maximum: new(int64(maxPageNumber)), DefaultTo: 1}},
		{Name: "page[size]", Description: "How many objects a page has.", lenient: true,
			Schema: &Schema{Kind: "integer", Minimum: new(int64(1)), Maximum: new(largest), DefaultTo: size}},
	}
}

// SortParam accepts each field ascending, and descending with a minus before it.
func SortParam(standard string, fields ...string) Parameter {
	enum := make([]string, 0, 2*len(fields))
	for _, name := range fields {
		enum = append(enum, name, "-"+name)
	}
	return Parameter{Name: "sort", Order: true, Description: "The field to sort by; a minus before it sorts descending.",
		Schema: &Schema{Kind: "string", Enum: enum, DefaultTo: standard}}
}

// maxSorts is how many fields a list may be sorted by at once.
const maxSorts = 3

// SortListParam is sortParam for several fields, separated by commas.
func SortListParam(standard string, fields ...string) Parameter {
	p := SortParam("", fields...)
	p.Schema.DefaultTo = nil
	p.Description = "The fields to sort by, separated by commas; a minus before one sorts descending. " +
		standard + " if not given."
	p.Schema = &Schema{Kind: "array", Items: p.Schema, MaxItems: maxSorts}
	return p
}

// EqualFilter selects by one field, which the store knows by this name.
func EqualFilter(name, storeField string, s *Schema) Parameter {
	return Parameter{Name: name, Schema: s, Description: "Only objects with this " + storeField + ".",
		Filter: func(value string) ([]collection.Filter, *Problem) {
			if s.Fold != nil {
				value = s.Fold(value)
			}
			return []collection.Filter{{Field: storeField, Op: collection.Equal, Value: value}}, nil
		}}
}

// NameFilters select by a name: filter[name] by all of it, filter[name][contains] by a part.
func NameFilters(name string, shortest int) []Parameter {
	all := &Schema{Kind: "string", MaxLength: 255}
	return []Parameter{
		ContainsFilter("filter["+name+"][contains]", name, shortest),
		EqualFilter("filter["+name+"]", name, all),
	}
}

// ContainsFilter selects by a part of a field.
func ContainsFilter(name, storeField string, shortest int) Parameter {
	return Parameter{Name: name, Schema: &Schema{Kind: "string", MinLength: shortest, MaxLength: 255},
		Description: "Only objects whose " + storeField + " contains this text, without regard to case.",
		Filter: func(value string) ([]collection.Filter, *Problem) {
			if value == "" {
				return nil, nil // contained in every text
			}
			return []collection.Filter{{Field: storeField, Op: collection.Contains, Value: value}}, nil
		}}
}

// StoreQuery is the part of the query that the store works on.
func (q *Query) StoreQuery(standard string, size int) collection.Query {
	order := q.Text("sort", standard)
	out := collection.Query{Filters: q.Filters, Number: q.Int("page[number]", 1), Size: q.Int("page[size]", size)}
	if order == "" {
		return out
	}
	for part := range strings.SplitSeq(order, ",") {
		name, descending := strings.CutPrefix(part, "-")
		out.Sort = append(out.Sort, collection.Order{Field: name, Descending: descending})
	}
	return out
}

// Text is the value of a parameter, or the standard one.
func (q *Query) Text(name, standard string) string {
	if value, given := q.Values[name]; given {
		return value
	}
	return standard
}

// Int is the value of a parameter that is a number, or the standard one.
func (q *Query) Int(name string, standard int) int {
	n, err := strconv.Atoi(q.Values[name])
	if err != nil {
		return standard
	}
	return n
}

// Words are the entries of a parameter that is a list.
func (q *Query) Words(name string) []string { return q.lists[name] }

// MetaOf is the meta of a page of a list.
func MetaOf(q collection.Query, total int) *PageMeta {
	return &PageMeta{
		PageNumber: q.Number, PageSize: q.Size, TotalPages: (total + q.Size - 1) / q.Size, TotalResults: total,
	}
}

// ListError turns the store's refusal of a field into the answer to it. There is none
// while the parameters above name only fields that the store knows.
func ListError(err error) error {
	if errors.Is(err, collection.ErrUnknownField) {
		return fmt.Errorf("a documented filter or sort is unknown to the store: %w", err)
	}
	return err
}
