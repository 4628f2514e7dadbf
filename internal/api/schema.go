package api

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
)

// schema says what a JSON value may be. It is made from the Go type that holds
// the value and the tags of its fields. Requests are checked against it (check.go)
// and the OpenAPI document prints it (openapi.go), so that the two cannot differ.
type schema struct {
	kind        string // object, array, string, number, integer, boolean; "" for anything
	title       string // of an object: the name of its Go type
	nullable    bool
	format      string
	description string
	enum        []string // of strings only
	minimum     *int64
	maximum     *int64
	multipleOf  int64
	minLength   int // in characters
	maxLength   int // in characters, 0 for none
	pattern     *regexp.Regexp
	maxItems    int
	items       *schema
	properties  []property
	readOnly    bool
	writeOnly   bool
	closed      bool // unknown properties are refused
	numericID   bool // a text of digits that may also come as a number
	own         bool // Telnyx does not have it
	decimals    int  // how many digits a number may have after the point, 0 for as many as are sent
	defaultTo   any  // for the document only; nil for none
	example     any
	updateOnly  bool // a request to create does not know it
	optional    bool // a body that may be left out
	secret      bool // an answer that has it is sealed where it is kept

	// What docs/COMPATIBILITY.md says of it.
	mark   string // of the field's tag, as in "enforced"; "" where it follows from the rest
	remark string // where it says more than the description
	place  string // of the field in the source, as in "example.com/module/profile.Profile.Name"

	// fold gives a text the form in which it is checked and kept; nil leaves it as it is.
	fold func(string) string

	// code is that of a text of another form; "" is the usual one. wants says for people
	// what would be accepted; "" says it by the rest.
	code  field.Code
	wants string

	// parse refuses texts that the Go type cannot hold; nil when every text fits.
	parse func(string) error
}

type property struct {
	name     string
	required bool
	schema   *schema
}

func (s *schema) property(name string) *property {
	for i := range s.properties {
		if s.properties[i].name == name {
			return &s.properties[i]
		}
	}
	return nil
}

func parseWith[T any](parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		_, err := parse(text)
		return err
	}
}

// types are the Go types with a form of their own on the wire, and the forms that tags name.
type types struct {
	scalars map[reflect.Type]schema
	// folds give a text the form in which it is checked and kept, by the name in a tag.
	folds map[string]func(string) string
}

// of makes the schema of a Go type as the JSON package writes it.
func (t types) of(of reflect.Type) *schema {
	b := builder{scalars: scalars(), folds: t.folds}
	maps.Copy(b.scalars, t.scalars)
	return b.of(of)
}

// scalars are the types with a form of their own that every service has.
func scalars() map[reflect.Type]schema {
	return map[reflect.Type]schema{
		reflect.TypeFor[id.ID](): {kind: "string", nullable: true, pattern: regexp.MustCompile(`^[1-9][0-9]{0,18}$`),
			parse: parseWith(id.Parse), numericID: true, example: "1293384261075731499"},
		reflect.TypeFor[money.Amount](): {kind: "string", format: "decimal", pattern: regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`),
			parse: parseWith(money.Parse), example: "100.00"},
		reflect.TypeFor[money.Rate](): {kind: "number", minimum: new(int64(0)), parse: parseWith(money.Parse), decimals: 9, example: 10},
		reflect.TypeFor[uuid.UUID](): {kind: "string", format: "uuid", parse: parseUUID,
			example: "6a09cdc3-8948-47f0-aa62-74ac943d6c58"},
		reflect.TypeFor[time.Time](): {kind: "string", format: "date-time", parse: parseTime,
			example: "2018-02-02T22:25:27.521Z"},
		reflect.TypeFor[netip.Addr](): {kind: "string", format: "ip", parse: parseWith(netip.ParseAddr),
			example: "192.0.2.10"},
		reflect.TypeFor[jsontext.Value](): {nullable: true},
	}
}

// parseUUID takes only the usual form; the library also reads braces and URNs.
func parseUUID(text string) error {
	if len(text) != 36 {
		return fmt.Errorf("%.40q is not a UUID", text)
	}
	_, err := uuid.Parse(text)
	return err
}

func parseTime(text string) error {
	_, err := time.Parse(time.RFC3339, text)
	return err
}

// plainSchema is the schema of a type of this package.
func plainSchema[T any]() *schema { return types{}.of(reflect.TypeFor[T]()) }

type builder struct {
	scalars map[reflect.Type]schema
	folds   map[string]func(string) string
}

func (b *builder) of(t reflect.Type) *schema {
	if t.Kind() == reflect.Pointer {
		s := b.of(t.Elem())
		s.nullable = true
		return s
	}
	if scalar, ok := b.scalars[t]; ok {
		return &scalar
	}
	switch t.Kind() {
	case reflect.Bool:
		return &schema{kind: "boolean"}
	case reflect.String:
		return &schema{kind: "string"}
	case reflect.Int32:
		return &schema{kind: "integer", format: "int32", minimum: new(int64(math.MinInt32)), maximum: new(int64(math.MaxInt32))}
	case reflect.Int, reflect.Int64:
		return &schema{kind: "integer", format: "int64"}
	case reflect.Slice:
		return &schema{kind: "array", items: b.of(t.Elem())}
	case reflect.Struct:
		s := &schema{kind: "object", title: titleOf(t)}
		b.addFields(s, t)
		return s
	}
	panic("api: no schema for " + t.String())
}

// titleOf is what programs that are made from the document call an object: profileView
// is Profile there. It is empty for types without a name.
func titleOf(t reflect.Type) string {
	name := strings.TrimSuffix(t.Name(), "View")
	if name == "" || strings.Contains(name, "[") {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// addFields adds the fields of a struct, those of embedded structs in their
// place. A field hides one of the same name that comes from an embedded struct.
func (b *builder) addFields(s *schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			b.addFields(s, f.Type)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		member := property{name: name, required: !strings.Contains(options, "omitzero"), schema: b.field(t, f)}
		if old := s.property(name); old != nil {
			*old = member
			continue
		}
		s.properties = append(s.properties, member)
	}
}

func (b *builder) field(t reflect.Type, f reflect.StructField) *schema {
	s := b.of(f.Type)
	s.mark, s.place = f.Tag.Get("mark"), t.PkgPath()+"."+t.Name()+"."+f.Name
	s.description = f.Tag.Get("doc")
	s.readOnly = f.Tag.Get("readOnly") == "true"
	s.writeOnly = f.Tag.Get("writeOnly") == "true"
	s.secret = f.Tag.Get("secret") == "true"
	s.format = cmp.Or(f.Tag.Get("format"), s.format)
	s.numericID = s.numericID || f.Tag.Get("numeric") == "id"
	s.updateOnly = f.Tag.Get("updateOnly") == "true"
	if strings.HasPrefix(s.description, "Tollgate's own") {
		s.setOwn()
	}
	if f.Type == reflect.TypeFor[id.ID]() && s.readOnly && f.Name == "ID" {
		s.nullable = false // a stored object always has its id
	}
	target := s
	if s.kind == "array" {
		s.maxItems = int(intTag(f, "maxItems", 0))
		target = s.items
	}
	if name := f.Tag.Get("fold"); name != "" {
		target.fold = b.folds[name]
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		target.enum = strings.Split(enum, ",")
	}
	if text := f.Tag.Get("pattern"); text != "" {
		target.pattern = regexp.MustCompile(text)
	}
	if text := f.Tag.Get("format"); text != "" {
		target.format = text
	}
	target.minLength = int(intTag(f, "minLength", int64(target.minLength)))
	target.maxLength = int(intTag(f, "maxLength", int64(target.maxLength)))
	target.multipleOf = intTag(f, "multipleOf", 0)
	if _, ok := f.Tag.Lookup("minimum"); ok {
		target.minimum = new(intTag(f, "minimum", 0))
	}
	if _, ok := f.Tag.Lookup("maximum"); ok {
		target.maximum = new(intTag(f, "maximum", 0))
	}
	return s
}

// holdsSecret says whether there is a secret in a value of the schema.
func (s *schema) holdsSecret() bool {
	return s != nil && (s.secret || s.items.holdsSecret() ||
		slices.ContainsFunc(s.properties, func(p property) bool { return p.schema.holdsSecret() }))
}

// setOwn notes that a field is Tollgate's own, with all that is below it.
func (s *schema) setOwn() {
	s.own = true
	for i := range s.properties {
		s.properties[i].schema.setOwn()
	}
	if s.items != nil {
		s.items.setOwn()
	}
}

func intTag(f reflect.StructField, tag string, otherwise int64) int64 {
	text, ok := f.Tag.Lookup(tag)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("api: bad tag " + tag + " of field " + f.Name)
	}
	return n
}

// request is the schema of a request for a resource with this schema: without
// the fields that only the server sets, and with null allowed wherever it resets
// a field to its default, which is everywhere but in required fields.
func (s *schema) request(closed bool, required []string, insist bool) *schema {
	r := s.asked(closed)
	r.nullable = false
	for i := range r.properties {
		p := &r.properties[i]
		if slices.Contains(required, p.name) {
			p.required = insist
			p.schema.nullable = false
		}
	}
	return r
}

func (s *schema) asked(closed bool) *schema {
	r := *s
	r.nullable = true
	if s.kind != "object" {
		return &r
	}
	r.closed = closed
	r.properties = nil
	for _, p := range s.properties {
		if p.schema.readOnly {
			continue
		}
		r.properties = append(r.properties, property{name: p.name, schema: p.schema.asked(closed)})
	}
	return &r
}

// withDefaults notes in the document's schema what a field is when a request
// does not name it.
func (s *schema) withDefaults(defaults any) *schema {
	r := *s
	object, ok := defaults.(map[string]any)
	if s.kind != "object" || !ok {
		return &r
	}
	r.properties = slices.Clone(s.properties)
	for i := range r.properties {
		p := &r.properties[i]
		value, ok := object[p.name]
		if !ok || p.required {
			continue
		}
		p.schema = p.schema.withDefaults(value)
		if _, nested := value.(map[string]any); !nested {
			p.schema.defaultTo = value
		}
	}
	return &r
}

// document is the schema in the words of JSON Schema 2020-12, as OpenAPI 3.1 has it.
func (s *schema) document() map[string]any {
	d := map[string]any{}
	if s.kind != "" {
		d["type"] = s.kind
		if s.nullable {
			d["type"] = []string{s.kind, "null"}
		}
	}
	put := func(name string, value any, given bool) {
		if given {
			d[name] = value
		}
	}
	put("title", s.title, s.title != "")
	put("format", s.format, s.format != "")
	put("description", s.description, s.description != "")
	put("enum", s.enumDocument(), s.enum != nil)
	put("minimum", s.minimum, s.minimum != nil)
	put("maximum", s.maximum, s.maximum != nil)
	put("multipleOf", s.multipleOf, s.multipleOf > 1)
	put("minLength", s.minLength, s.minLength > 0)
	put("maxLength", s.maxLength, s.maxLength > 0)
	put("maxItems", s.maxItems, s.maxItems > 0)
	put("readOnly", true, s.readOnly)
	put("writeOnly", true, s.writeOnly)
	put("default", s.defaultTo, s.defaultTo != nil)
	put("examples", []any{s.example}, s.example != nil)
	if s.pattern != nil {
		d["pattern"] = s.pattern.String()
	}
	if s.items != nil {
		d["items"] = s.items.document()
	}
	if s.kind != "object" {
		return d
	}
	members, required := map[string]any{}, []string{}
	for _, p := range s.properties {
		members[p.name] = p.schema.document()
		if p.required {
			required = append(required, p.name)
		}
	}
	d["properties"] = members
	put("required", required, len(required) > 0)
	put("additionalProperties", false, s.closed)
	return d
}

func (s *schema) enumDocument() []any {
	values := make([]any, 0, len(s.enum)+1)
	for _, value := range s.enum {
		values = append(values, value)
	}
	if s.nullable {
		values = append(values, nil)
	}
	return values
}

// forCreate is the schema of a request to create: without what only an update may set.
func (s *schema) forCreate() *schema {
	r := *s
	r.properties = slices.DeleteFunc(slices.Clone(s.properties), func(p property) bool { return p.schema.updateOnly })
	return &r
}

// without is the schema of an object without one property.
func (s *schema) without(name string) *schema {
	r := *s
	r.properties = slices.DeleteFunc(slices.Clone(s.properties), func(p property) bool { return p.name == name })
	return &r
}

// idSchema is the schema of an id that has to be there.
func idSchema() *schema {
	s := scalars()[reflect.TypeFor[id.ID]()]
	s.nullable = false
	return &s
}

func uuidSchema() *schema {
	s := scalars()[reflect.TypeFor[uuid.UUID]()]
	return &s
}
