package rest

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

// Schema describes what a JSON value may be. It is made from the Go type that holds
// the value and the tags of its fields. Requests are checked against it (check.go)
// and the OpenAPI document prints it (openapi.go), so that the two cannot differ.
type Schema struct {
	Kind        string // object, array, string, number, integer, boolean; "" for anything
	title       string // what clients call the type: of an object the name of its Go type, of texts that of the tag
	Nullable    bool
	Format      string
	Description string
	Enum        []string // of strings only
	Minimum     *int64
	Maximum     *int64
	multipleOf  int64
	MinLength   int // in characters
	MaxLength   int // in characters, 0 for none
	Pattern     *regexp.Regexp
	MaxItems    int
	Items       *Schema
	Properties  []Property
	ReadOnly    bool
	writeOnly   bool
	closed      bool // unknown properties are refused
	NumericID   bool // a text of digits that may also come as a number
	own         bool // Telnyx does not have it
	decimals    int  // how many digits a number may have after the point, 0 for as many as are sent
	DefaultTo   any  // for the document only; nil for none
	Example     any
	updateOnly  bool // a request to create does not know it
	Optional    bool // a body that may be left out
	Secret      bool // an answer that has it is sealed where it is kept

	// What docs/COMPATIBILITY.md says of it.
	Mark   string // of the field's tag, as in "enforced"; "" where it follows from the rest
	Remark string // where it says more than the description
	Place  string // of the field in the source, as in "example.com/module/book.Book.Title"

	// Fold gives a text the form in which it is checked and kept; nil leaves it as it is.
	Fold func(string) string

	// Code is that of a text of another form; "" is the usual one. wants says for people
	// what would be accepted; "" says it by the rest.
	Code  field.Code
	Wants string

	// Parse refuses texts that the Go type cannot hold; nil when every text fits.
	Parse func(string) error
}

// Property is a member of an object.
type Property struct {
	Name     string
	Required bool
	Schema   *Schema
	depth    int // in how many embedded structs the field is
}

// Property finds a member by its name; nil if there is none.
func (s *Schema) Property(name string) *Property {
	for i := range s.Properties {
		if s.Properties[i].Name == name {
			return &s.Properties[i]
		}
	}
	return nil
}

// ParseWith makes the check of a schema from what parses a Go type.
func ParseWith[T any](parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		_, err := parse(text)
		return err
	}
}

// Types are the Go types with a form of their own on the wire, and the forms that tags name.
type Types struct {
	Scalars map[reflect.Type]Schema
	// Folds give a text the form in which it is checked and kept, by the name in a tag.
	Folds map[string]func(string) string
}

// Of makes the schema of a Go type as the JSON package writes it.
func (t Types) Of(of reflect.Type) *Schema {
	b := builder{scalars: scalars(), folds: t.Folds}
	maps.Copy(b.scalars, t.Scalars)
	return b.of(of)
}

// scalars are the types with a form of their own that every service has.
func scalars() map[reflect.Type]Schema {
	return map[reflect.Type]Schema{
		reflect.TypeFor[id.ID](): {Kind: "string", Nullable: true, Pattern: regexp.MustCompile(`^[1-9][0-9]{0,18}$`),
			Parse: ParseWith(id.Parse), NumericID: true, Example: "1293384261075731499"},
		reflect.TypeFor[money.Amount](): {Kind: "string", Format: "decimal",
			Pattern: regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`), Parse: ParseWith(money.Parse), Example: "100.00"},
		reflect.TypeFor[money.Rate](): {
			Kind: "number", Minimum: new(int64(0)), Parse: ParseWith(money.Parse), decimals: 9, Example: 10,
		},
		reflect.TypeFor[uuid.UUID](): {Kind: "string", Format: "uuid", Parse: ParseUUID,
			Example: "6a09cdc3-8948-47f0-aa62-74ac943d6c58"},
		reflect.TypeFor[time.Time](): {Kind: "string", Format: "date-time", Parse: parseTime,
			Example: "2018-02-02T22:25:27.521Z"},
		reflect.TypeFor[netip.Addr](): {Kind: "string", Format: "ip", Parse: ParseWith(netip.ParseAddr),
			Example: "192.0.2.10"},
		reflect.TypeFor[jsontext.Value](): {Nullable: true},
	}
}

// ParseUUID takes only the usual form; the library also reads braces and URNs.
func ParseUUID(text string) error {
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
func plainSchema[T any]() *Schema { return Types{}.Of(reflect.TypeFor[T]()) }

type builder struct {
	scalars map[reflect.Type]Schema
	folds   map[string]func(string) string
}

func (b *builder) of(t reflect.Type) *Schema {
	if t.Kind() == reflect.Pointer {
		s := b.of(t.Elem())
		s.Nullable = true
		return s
	}
	if scalar, ok := b.scalars[t]; ok {
		return &scalar
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Kind: "boolean"}
	case reflect.String:
		return &Schema{Kind: "string"}
	case reflect.Int32:
		return &Schema{
			Kind: "integer", Format: "int32", Minimum: new(int64(math.MinInt32)), Maximum: new(int64(math.MaxInt32)),
		}
	case reflect.Int, reflect.Int64:
		return &Schema{Kind: "integer", Format: "int64"}
	case reflect.Slice:
		return &Schema{Kind: "array", Items: b.of(t.Elem())}
	case reflect.Struct:
		s := &Schema{Kind: "object", title: titleOf(t)}
		b.addFields(s, t, 0)
		return s
	}
	panic("rest: no schema for " + t.String())
}

// titleOf is what programs that are made from the document call an object: bookView
// is Book there. It is empty for types without a name.
func titleOf(t reflect.Type) string {
	name := strings.TrimSuffix(t.Name(), "View")
	if name == "" || strings.Contains(name, "[") {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// addFields adds the fields of a struct, those of embedded structs in their
// place. A field hides one of the same name that comes from an embedded struct.
func (b *builder) addFields(s *Schema, t reflect.Type, depth int) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			b.addFields(s, f.Type, depth+1)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		member := Property{Name: name, Required: !strings.Contains(options, "omitzero"), Schema: b.field(t, f), depth: depth}
		if old := s.Property(name); old != nil {
			if old.depth >= depth {
				*old = member
			}
			continue
		}
		s.Properties = append(s.Properties, member)
	}
}

func (b *builder) field(t reflect.Type, f reflect.StructField) *Schema {
	s := b.of(f.Type)
	owner, _, _ := strings.Cut(t.Name(), "[") // without the arguments of its type
	s.Mark = f.Tag.Get("mark")
	s.Place = t.PkgPath() + "." + owner + "." + f.Name
	s.Description = f.Tag.Get("doc")
	s.ReadOnly = f.Tag.Get("readOnly") == "true"
	s.writeOnly = f.Tag.Get("writeOnly") == "true"
	s.Secret = f.Tag.Get("secret") == "true"
	s.Format = cmp.Or(f.Tag.Get("format"), s.Format)
	s.NumericID = s.NumericID || f.Tag.Get("numeric") == "id"
	s.updateOnly = f.Tag.Get("updateOnly") == "true"
	if strings.HasPrefix(s.Description, "Tollgate's own") {
		s.setOwn()
	}
	if f.Type == reflect.TypeFor[id.ID]() && s.ReadOnly && f.Name == "ID" {
		s.Nullable = false // a stored object always has its id
	}
	target := s
	if s.Kind == "array" {
		s.MaxItems = int(intTag(f, "maxItems", 0))
		target = s.Items
	}
	if name := f.Tag.Get("fold"); name != "" {
		target.Fold = b.folds[name]
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		target.Enum = strings.Split(enum, ",")
		target.title = f.Tag.Get("title")
	}
	if text := f.Tag.Get("pattern"); text != "" {
		target.Pattern = regexp.MustCompile(text)
	}
	if text := f.Tag.Get("format"); text != "" {
		target.Format = text
	}
	target.MinLength = int(intTag(f, "minLength", int64(target.MinLength)))
	target.MaxLength = int(intTag(f, "maxLength", int64(target.MaxLength)))
	target.multipleOf = intTag(f, "multipleOf", 0)
	if _, ok := f.Tag.Lookup("minimum"); ok {
		target.Minimum = new(intTag(f, "minimum", 0))
	}
	if _, ok := f.Tag.Lookup("maximum"); ok {
		target.Maximum = new(intTag(f, "maximum", 0))
	}
	return s
}

// holdsSecret reports whether there is a secret in a value of the schema.
func (s *Schema) holdsSecret() bool {
	return s != nil && (s.Secret || s.Items.holdsSecret() ||
		slices.ContainsFunc(s.Properties, func(p Property) bool { return p.Schema.holdsSecret() }))
}

// setOwn notes that a field is Tollgate's own, with all that is below it.
func (s *Schema) setOwn() {
	s.own = true
	for i := range s.Properties {
		s.Properties[i].Schema.setOwn()
	}
	if s.Items != nil {
		s.Items.setOwn()
	}
}

func intTag(f reflect.StructField, tag string, otherwise int64) int64 {
	text, ok := f.Tag.Lookup(tag)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("rest: bad tag " + tag + " of field " + f.Name)
	}
	return n
}

// Request is the schema of a request for a resource with this schema: without
// the fields that only the server sets, and with null allowed wherever it resets
// a field to its default, which is everywhere but in required fields.
func (s *Schema) Request(closed bool, required []string, insist bool) *Schema {
	r := s.asked(closed)
	r.Nullable = false
	for i := range r.Properties {
		p := &r.Properties[i]
		if slices.Contains(required, p.Name) {
			p.Required = insist
			p.Schema.Nullable = false
		}
	}
	return r
}

func (s *Schema) asked(closed bool) *Schema {
	r := *s
	r.Nullable = true
	if s.Kind != "object" {
		return &r
	}
	r.closed = closed
	r.Properties = nil
	for _, p := range s.Properties {
		if p.Schema.ReadOnly {
			continue
		}
		r.Properties = append(r.Properties, Property{Name: p.Name, Schema: p.Schema.asked(closed)})
	}
	return &r
}

// WithDefaults notes in the document's schema what a field is when a request
// does not name it.
func (s *Schema) WithDefaults(defaults any) *Schema {
	r := *s
	object, ok := defaults.(map[string]any)
	if s.Kind != "object" || !ok {
		return &r
	}
	r.Properties = slices.Clone(s.Properties)
	for i := range r.Properties {
		p := &r.Properties[i]
		value, ok := object[p.Name]
		if !ok || p.Required {
			continue
		}
		p.Schema = p.Schema.WithDefaults(value)
		if _, nested := value.(map[string]any); !nested {
			p.Schema.DefaultTo = value
		}
	}
	return &r
}

// document is the schema in the words of JSON Schema 2020-12, as OpenAPI 3.1 has it.
func (s *Schema) document() map[string]any {
	d := map[string]any{}
	if s.Kind != "" {
		d["type"] = s.Kind
		if s.Nullable {
			d["type"] = []string{s.Kind, "null"}
		}
	}
	put := func(name string, value any, given bool) {
		if given {
			d[name] = value
		}
	}
	put("title", s.title, s.title != "")
	put("format", s.Format, s.Format != "")
	put("description", s.Description, s.Description != "")
	put("enum", s.enumDocument(), s.Enum != nil)
	put("minimum", s.Minimum, s.Minimum != nil)
	put("maximum", s.Maximum, s.Maximum != nil)
	put("multipleOf", s.multipleOf, s.multipleOf > 1)
	put("minLength", s.MinLength, s.MinLength > 0)
	put("maxLength", s.MaxLength, s.MaxLength > 0)
	put("maxItems", s.MaxItems, s.MaxItems > 0)
	put("readOnly", true, s.ReadOnly)
	put("writeOnly", true, s.writeOnly)
	put("default", s.DefaultTo, s.DefaultTo != nil)
	put("examples", []any{s.Example}, s.Example != nil)
	if s.Pattern != nil {
		d["pattern"] = s.Pattern.String()
	}
	if s.Items != nil {
		d["items"] = s.Items.document()
	}
	if s.Kind != "object" {
		return d
	}
	members, required := map[string]any{}, []string{}
	for _, p := range s.Properties {
		members[p.Name] = p.Schema.document()
		if p.Required {
			required = append(required, p.Name)
		}
	}
	d["properties"] = members
	put("required", required, len(required) > 0)
	put("additionalProperties", false, s.closed)
	return d
}

func (s *Schema) enumDocument() []any {
	values := make([]any, 0, len(s.Enum)+1)
	for _, value := range s.Enum {
		values = append(values, value)
	}
	if s.Nullable {
		values = append(values, nil)
	}
	return values
}

// forCreate is the schema of a request to create: without what only an update may set.
func (s *Schema) forCreate() *Schema {
	r := *s
	r.Properties = slices.DeleteFunc(slices.Clone(s.Properties), func(p Property) bool { return p.Schema.updateOnly })
	return &r
}

// Without is the schema of an object without one property.
func (s *Schema) Without(name string) *Schema {
	r := *s
	r.Properties = slices.DeleteFunc(slices.Clone(s.Properties), func(p Property) bool { return p.Name == name })
	return &r
}

// IDSchema is the schema of an id that has to be there.
func IDSchema() *Schema {
	s := scalars()[reflect.TypeFor[id.ID]()]
	s.Nullable = false
	return &s
}

// UUIDSchema is the schema of a UUID that has to be there.
func UUIDSchema() *Schema {
	s := scalars()[reflect.TypeFor[uuid.UUID]()]
	return &s
}
