package rest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tollgate/tollgate/internal/field"
)

// The names of parameters, in every form that a published client sends. What clients
// send is in docs/decisions/0022.

// splitName takes a name apart: filter[a.b][c], filter[a][b][c] and filter.a.b.c have the
// same parts. An empty pair of brackets is an empty part. ok is false for what is no name.
func splitName(name string) (parts []string, ok bool) {
	end := strings.IndexAny(name, "[.")
	if end < 0 {
		return []string{name}, name != "" && !strings.Contains(name, "]")
	}
	parts, rest := []string{name[:end]}, name[end:]
	for rest != "" {
		var part string
		switch rest[0] {
		case '[':
			if end = strings.IndexByte(rest, ']'); end < 0 {
				return nil, false
			}
			part, rest = rest[1:end], rest[end+1:]
		case '.':
			if end = strings.IndexAny(rest[1:], "[."); end < 0 {
				end = len(rest) - 1
			}
			part, rest = rest[1:end+1], rest[end+1:]
			if part == "" {
				return nil, false
			}
		default:
			return nil, false
		}
		if strings.ContainsAny(part, "[]") {
			return nil, false
		}
		parts = append(parts, strings.Split(part, ".")...)
	}
	return parts, parts[0] != ""
}

// nextPage is what Telnyx's SDKs of late 2025 for Python name the next page by, beside the
// page[number] of the one before.
const nextPage = "number"

// flatNames are those that some lists of Telnyx have in place of page[number] and page[size].
var flatNames = map[string]string{"page_number": "page[number]", "page_size": "page[size]", nextPage: "page[number]"}

// knownParameter finds the parameter that a name means. rest are the parts of the name
// that make it an entry of an array: none, an empty one, or an index.
func knownParameter(params []Parameter, name string) (p *Parameter, rest []string, known bool) {
	if flat, ok := flatNames[name]; ok {
		name = flat
	}
	byName := func(name string) int {
		return slices.IndexFunc(params, func(p Parameter) bool { return p.Name == name })
	}
	if i := byName(name); i >= 0 {
		return &params[i], nil, true
	}
	parts, ok := splitName(name)
	if !ok {
		return nil, nil, false
	}
	for n := len(parts); n > 0; n-- {
		i := slices.IndexFunc(params, func(p Parameter) bool {
			own, _ := splitName(p.Name)
			return slices.Equal(own, parts[:n])
		})
		if i < 0 {
			continue
		}
		p, rest = &params[i], parts[n:]
		if len(rest) == 1 && rest[0] == "eq" && namesFilter(p.Name) {
			return p, nil, true // as without it
		}
		// What is below a parameter that is no array is another name, unless it has the
		// form of an entry.
		return p, rest, len(rest) == 0 || p.Schema.Kind == "array" || len(rest) == 1 && isEntry(rest[0])
	}
	return nil, nil, false
}

func isEntry(part string) bool {
	return strings.Trim(part, "0123456789") == ""
}

// namesFilter reports whether a name is meant for a filter, well-formed or not.
func namesFilter(name string) bool {
	name = strings.TrimLeftFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	return len(name) >= len("filter") && strings.EqualFold(name[:len("filter")], "filter")
}

// givenValues is what a request says for one parameter, in whatever forms.
type givenValues struct {
	parameter *Parameter
	plain     []string // x=a
	brackets  []string // x[]=a
	indexed   []indexedValue
	arrays    []string // the names of entries, as they came
	wrong     []string // those of a form that no client sends
}

type indexedValue struct {
	index int
	value string
}

// maxIndexDigits bounds the index of an entry. Gaps are no fault, so an index may be
// larger than the array has entries.
const maxIndexDigits = 6

func (g *givenValues) add(name string, rest, values []string) {
	if len(rest) > 0 {
		g.arrays = append(g.arrays, name)
	}
	switch {
	case len(rest) == 0:
		g.plain = append(g.plain, values...)
	case len(rest) == 1 && rest[0] == "":
		g.brackets = append(g.brackets, values...)
	case len(rest) == 1 && isEntry(rest[0]) && len(rest[0]) <= maxIndexDigits && (rest[0] == "0" || rest[0][0] != '0'):
		index, _ := strconv.Atoi(rest[0]) // some digits
		for _, value := range values {
			g.indexed = append(g.indexed, indexedValue{index, value})
		}
	default:
		g.wrong = append(g.wrong, name)
	}
}

func (g *givenValues) isArray() bool { return len(g.arrays) > 0 }

// list is an array in any one of the published forms. An entry that is given by an
// index goes by it, and not by its place in the query; gaps are left when entries were
// taken out of an array in PHP.
func (g *givenValues) list() ([]string, *Problem) {
	name := g.parameter.Name
	forms := 0
	for _, n := range []int{len(g.plain), len(g.brackets), len(g.indexed)} {
		if n > 0 {
			forms++
		}
	}
	const usual = "Give %[1]s=a,b; or %[1]s=a&%[1]s=b; or %[1]s[]=a&%[1]s[]=b; or %[1]s[0]=a&%[1]s[1]=b."
	refuse := func(at, detail string) ([]string, *Problem) {
		return nil, &Problem{Code: field.Malformed, Parameter: at, Detail: detail + " " + fmt.Sprintf(usual, name)}
	}
	switch {
	case len(g.wrong) > 0:
		return refuse(g.wrong[0], Excerpt(g.wrong[0])+" is no entry of a list.")
	case forms > 1:
		return refuse(name, name+" is given as a list in more than one form.")
	case len(g.plain) == 1:
		return strings.Split(g.plain[0], ","), nil
	case len(g.plain) > 1:
		return g.plain, nil
	case len(g.brackets) > 0:
		return g.brackets, nil
	}
	slices.SortFunc(g.indexed, func(a, b indexedValue) int { return a.index - b.index })
	items := make([]string, len(g.indexed))
	for i, entry := range g.indexed {
		if i > 0 && entry.index == g.indexed[i-1].index {
			twice := fmt.Sprintf("%s[%d]", name, entry.index)
			return refuse(twice, twice+" is given more than once.")
		}
		items[i] = entry.value
	}
	return items, nil
}

// withoutRows takes the rows out of an answer. All that is no row stays, such as the
// line of names of a CSV.
func (r *Response) withoutRows() {
	if strings.HasPrefix(r.Kind, "text/csv") {
		names, _, _ := strings.Cut(string(r.Text), "\n")
		r.Text = []byte(names + "\n")
		return
	}
	if !isList(r.Data) {
		return
	}
	r.Data = []any{}
	if r.Meta != nil {
		r.Meta.TotalPages = 0
		r.Meta.TotalResults = 0
	}
	if r.Cursors != nil {
		page := r.Cursors.PageMeta
		page.TotalPages = 0
		page.TotalResults = 0
		r.Cursors = &CursorMeta{PageMeta: page}
	}
}

func isList(data any) bool { return data != nil && reflect.TypeOf(data).Kind() == reflect.Slice }
