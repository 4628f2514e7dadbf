package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// types gathers the declarations of the client's types while operations are written.
type types struct {
	document *document
	renamed  *strings.Replacer   // of nouns that the client calls otherwise
	declared map[string]string   // bodies of structs by name
	names    map[string]string   // names of structs by body
	docs     map[string]string   // of structs, by name
	enums    map[string][]string // values by the name of their type
	shared   map[string]string   // names of enums by field and values
	values   map[string]int      // how many lists of values fields of one name have
}

func newTypes(d *document) *types {
	t := &types{document: d, renamed: renamed(d), declared: map[string]string{}, names: map[string]string{},
		docs: map[string]string{}, enums: map[string][]string{}, shared: map[string]string{}, values: map[string]int{}}
	seen := map[string]bool{}
	for _, s := range d.Components.Schemas {
		walk(s, "", func(field string, words []string) {
			key := field + " " + strings.Join(words, ",")
			if !seen[key] {
				seen[key] = true
				t.values[field]++
			}
		})
	}
	t.declareAll()
	return t
}

// declareAll declares what operations name, those called like resources first and then the
// short ones: objects that are the same have one type, which has the first of their names.
func (t *types) declareAll() {
	roles, resources := map[string]role{}, map[string]int{}
	for _, op := range t.document.operations() {
		resources[camel(singular(op.Resource))] = -1
		if body := op.body(); body != nil {
			roles[body.component()] = asked
		}
		if answer, _ := op.answer(); answer != nil && answer.component() != "" {
			roles[answer.component()] = answered
		}
	}
	goName := func(name string) string {
		if roles[name] == asked {
			return t.request(name)
		}
		return t.renamed.Replace(camel(name))
	}
	names := slices.SortedFunc(maps.Keys(roles), func(a, b string) int {
		x, y := goName(a), goName(b)
		return cmp.Or(resources[x]-resources[y], len(x)-len(y), strings.Compare(a, b))
	})
	for _, name := range names {
		t.component(name, roles[name], "")
	}
}

// renamed are the nouns of resources that are not called as their paths are.
func renamed(d *document) *strings.Replacer {
	var pairs []string
	for _, op := range d.operations() {
		noun, own := strings.CutPrefix(op.ID, "get_")
		if own && op.Verb == "get" && !strings.Contains(op.path, "/"+op.Resource) {
			pairs = append(pairs, camel(noun), camel(singular(op.Resource)))
		}
	}
	return strings.NewReplacer(pairs...)
}

// walk visits every list of words below a schema.
func walk(s *schema, field string, visit func(field string, words []string)) {
	if words := s.words(); words != nil {
		visit(field, words)
	}
	for name, below := range s.Properties {
		walk(below, name, visit)
	}
	if s.Items != nil {
		walk(s.Items, field, visit)
	}
}

// role describes what a type is for.
type role int

const (
	answered role = iota
	asked
)

// component is the type of a schema that has a name in the document.
func (t *types) component(name string, r role, doc string) string {
	s := t.document.Components.Schemas[name]
	if s.Items != nil {
		return t.of(s, name, "", r)
	}
	if r == answered {
		return t.object(t.renamed.Replace(camel(name)), s, r, doc)
	}
	return t.object(t.request(name), t.merged(name, s), r, doc)
}

// request is the name of what a request says. One type serves to create and to change.
func (t *types) request(name string) string {
	name = strings.TrimSuffix(name, "Request")
	for _, verb := range []string{"Create", "Update"} {
		name = strings.TrimPrefix(name, verb)
	}
	return t.renamed.Replace(camel(name)) + "Params"
}

// merged has the fields that can be set when an object is made or changed.
func (t *types) merged(name string, s *schema) *schema {
	other := ""
	switch {
	case strings.HasPrefix(name, "Create"):
		other = "Update" + strings.TrimPrefix(name, "Create")
	case strings.HasPrefix(name, "Update"):
		other = "Create" + strings.TrimPrefix(name, "Update")
	}
	second, ok := t.document.Components.Schemas[other]
	if !ok {
		return s
	}
	both := *s
	both.Properties = maps.Clone(second.Properties)
	maps.Copy(both.Properties, s.Properties)
	return &both
}

// comments are the lines of a struct by which its shape does not differ.
var comments = regexp.MustCompile(`(?m)^\t//.*\n`)

// object declares a struct, or finds the one that is the same.
func (t *types) object(name string, s *schema, r role, doc string) string {
	body := t.body(name, s, r)
	shape := comments.ReplaceAllString(body, "")
	known, ok := t.names[shape]
	switch {
	case ok:
		name = known
	case t.declared[name] != "":
		name += "Details" // a part that is called like a resource
	}
	if old, ok := t.declared[name]; ok && comments.ReplaceAllString(old, "") != shape {
		panic("clientgen: two different objects are called " + name)
	} else if !ok {
		t.declared[name], t.names[shape] = body, name
	}
	if t.docs[name] == "" && strings.HasPrefix(doc, name+" ") {
		t.docs[name] = doc
	}
	return name
}

func (t *types) body(owner string, s *schema, r role) string {
	var out strings.Builder
	for _, name := range s.names() {
		field := s.Properties[name]
		if field.WriteOnly && r == answered {
			continue
		}
		out.WriteString(comment("\t", field.Description))
		goType, option := t.of(field, owner, name, r), ""
		switch {
		case r == asked:
			goType, option = "Field["+strings.TrimPrefix(goType, "*")+"]", ",omitzero"
		case !slices.Contains(s.Required, name):
			option = ",omitzero"
			if goType != "string" && !strings.HasPrefix(goType, "*") && !strings.HasPrefix(goType, "[]") {
				goType = "*" + goType // to tell zero from a missing value
			}
		}
		fmt.Fprintf(&out, "\t%s %s `json:%s`\n", camel(name), goType, strconv.Quote(name+option))
	}
	return out.String()
}

// of is the type of Go that holds a value.
func (t *types) of(s *schema, owner, field string, r role) string {
	if s.Ref != "" {
		return t.component(s.component(), r, "")
	}
	kind, nullable := s.kind()
	var goType string
	switch kind {
	case "":
		return "jsontext.Value"
	case "object":
		goType = t.part(s, owner, field, r)
	case "array":
		goType = "[]" + t.entry(s.Items, owner, field, r)
	case "string":
		goType = t.text(s, owner, field)
	default:
		goType = map[string]string{"integer": "int64", "boolean": "bool", "number": "Number"}[kind]
	}
	if nullable {
		return "*" + goType
	}
	return goType
}

// entry is the type of an entry of a list.
func (t *types) entry(s *schema, owner, field string, r role) string {
	if s.words() != nil {
		return t.enum(s, owner, field, true)
	}
	return t.of(s, owner, field, r)
}

// part is the type of an object within another one.
func (t *types) part(s *schema, owner, field string, r role) string {
	name := s.Title
	if s.Title == "" {
		name = strings.TrimSuffix(owner, "Params") + camel(field)
	}
	if r == asked {
		name += "Params"
	}
	doc := name + " is one of " + owner + "."
	if field != "" {
		doc = name + " is " + field + " of " + owner + "."
	}
	return t.object(name, s, r, doc)
}

func (t *types) text(s *schema, owner, field string) string {
	switch {
	case s.Format == "date-time":
		return "time.Time"
	case s.Format == "decimal":
		return "Decimal"
	case s.words() != nil && field != "record_type":
		return t.enum(s, owner, field, false)
	}
	return "string"
}

// enum declares a type of text with a constant for each value. It is called by its title or,
// if it has none, by its field. Fields of one title, or of one name with the same values,
// share it.
func (t *types) enum(s *schema, owner, field string, entry bool) string {
	values := s.words()
	if s.Title != "" {
		if known, ok := t.enums[s.Title]; ok && !slices.Equal(known, values) {
			panic("clientgen: two lists of values are called " + s.Title)
		}
		t.enums[s.Title] = values
		return s.Title
	}
	key := field + " " + strings.Join(values, ",")
	if name, ok := t.shared[key]; ok {
		return name
	}
	short := camel(field)
	if entry {
		short = camel(singular(field)) // of a list
	}
	owner = strings.TrimSuffix(owner, "Params")
	tries := []string{short, owner + short}
	if t.values[field] > 1 || !strings.Contains(field, "_") {
		tries = tries[1:] // one word alone says too little
	}
	for _, name := range tries {
		if _, ok := t.enums[name]; ok || t.taken(name) {
			continue
		}
		t.enums[name], t.shared[key] = values, name
		return name
	}
	panic("clientgen: no name for the values of " + owner + "." + field + ": give it one by the tag title")
}

// taken reports whether an object has a name.
func (t *types) taken(name string) bool {
	for component := range t.document.Components.Schemas {
		if t.renamed.Replace(camel(component)) == name {
			return true
		}
	}
	_, ok := t.declared[name]
	return ok
}

// source is the file of the types.
func (t *types) source() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.declared)) {
		out.WriteString("\n" + comment("", t.docs[name]))
		out.WriteString("type " + name + " struct {\n" + t.declared[name] + "}\n")
	}
	for _, name := range slices.Sorted(maps.Keys(t.enums)) {
		out.WriteString("\n// " + name + " is one of a list of values. A newer server may have more of them.\n")
		out.WriteString("type " + name + " string\n\n// The values of " + name + ".\nconst (\n")
		for _, value := range t.enums[name] {
			fmt.Fprintf(&out, "\t%s%s %s = %q\n", name, unsaid(name, value), name, value)
		}
		out.WriteString(")\n")
	}
	return source(out.String(), "time", "github.com/go-json-experiment/json/jsontext")
}
