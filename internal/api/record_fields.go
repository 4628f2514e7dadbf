package api

import (
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
)

// recordView is a call detail record as it is answered: the fields of record.Fields, and
// those that need more than the record.
type recordView struct {
	call       *record.Call
	connection string // its name
	recordings []uuid.UUID
}

// recordMember is a member of a detail record.
type recordMember struct {
	name   jsontext.Token
	schema *rest.Schema
	value  func(*recordView) any
}

// more are the fields that need more than the record.
var more = []struct {
	record.Field
	value func(*recordView) any
}{
	{record.Field{
		Name: "connection_name", Shown: record.Shown{Type: reflect.TypeFor[*string]()},
		Doc: "The name that the connection has now; null when it is deleted.",
	}, func(v *recordView) any { return textOrNull(v.connection) }},
	{record.Field{
		Name: "telnyx_error_code", Shown: record.Shown{Type: reflect.TypeFor[*string]()},
		Note: "the code of Tollgate's refusal (`D13`, `TM1`, `TG3`, …); null when Tollgate neither refused nor ended " +
			"the call, where Telnyx has `D00`",
		Doc: "The code of a refusal of Tollgate's own, as the SIP reason phrase ends with it: " +
			"D13, TM1, TG3 and so on, or of the limit that ended it; null for all other calls.",
	}, func(v *recordView) any { return textOrNull(errorCode(v.call)) }},
	{record.Field{
		Name: "recording_ids", Ours: true, Shown: record.Shown{Type: reflect.TypeFor[[]uuid.UUID]()},
		Note: "of its recordings in `/v2/recordings`, the oldest first; " +
			"empty until some seconds after the end, and without deleted ones. " +
			"The other way, `/v2/recordings` has `filter[call_leg_id]`",
		Doc: "The call's recordings, as /v2/recordings has them: " +
			"none until some seconds after its end, and none that are deleted.",
	}, func(v *recordView) any { return v.recordings }},
}

var recordMembers = func() (members []recordMember) {
	add := func(f *record.Field, value func(*recordView) any) {
		if f.Name != "" {
			members = append(members, recordMember{jsontext.String(f.Name), schemaOfField(f), value})
		}
	}
	for i := range record.Fields {
		f := &record.Fields[i]
		add(f, func(v *recordView) any { return f.Shown.Of(v.call) })
	}
	for i := range more {
		add(&more[i].Field, more[i].value)
	}
	return members
}()

func schemaOfField(f *record.Field) *rest.Schema {
	s := wireTypes.Of(f.Shown.Type)
	s.Description = f.Doc
	s.Remark = f.Note
	s.Enum = f.Enum
	if f.Ours {
		s.Mark = "ours"
	}
	return s
}

// recordSchema is the schema of a detail record.
func recordSchema() *rest.Schema {
	s := &rest.Schema{Kind: "object"}
	for i := range recordMembers {
		m := &recordMembers[i]
		s.Properties = append(s.Properties, rest.Property{Name: m.name.String(), Required: true, Schema: m.schema})
	}
	return s
}

// MarshalJSONTo implements json.MarshalerTo.
func (v *recordView) MarshalJSONTo(to *jsontext.Encoder) error {
	if err := to.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for i := range recordMembers {
		m := &recordMembers[i]
		if err := to.WriteToken(m.name); err != nil {
			return err
		}
		if err := writeValue(to, m.value(v)); err != nil {
			return err
		}
	}
	return to.WriteToken(jsontext.EndObject)
}

// writeValue is json.MarshalEncode, sooner for what most fields are.
func writeValue(to *jsontext.Encoder, value any) error {
	switch v := value.(type) {
	case string:
		return to.WriteToken(jsontext.String(v))
	case *string:
		if v == nil {
			return to.WriteToken(jsontext.Null)
		}
		return to.WriteToken(jsontext.String(*v))
	case int64:
		return to.WriteToken(jsontext.Int(v))
	case int:
		return to.WriteToken(jsontext.Int(int64(v)))
	case bool:
		return to.WriteToken(jsontext.Bool(v))
	}
	return json.MarshalEncode(to, value)
}

// recordFilters are the filters of some fields by their names, or of all by each name that
// they have.
func recordFilters(names ...string) (filters []rest.Parameter) {
	for i := range record.Fields {
		f := &record.Fields[i]
		for _, name := range append([]string{f.Name}, f.Also...) {
			if f.Filter != record.NoFilter && (len(names) == 0 || slices.Contains(names, name)) {
				filters = append(filters, filtersOf(f, name)...)
			}
		}
	}
	return filters
}

func filtersOf(f *record.Field, name string) []rest.Parameter {
	stored := f.Column.Name
	switch f.Filter {
	case record.Parts:
		s := &rest.Schema{Kind: "string", MinLength: 1, MaxLength: 128}
		if f.Column.Kind == column.Number {
			s = &rest.Schema{
				Kind: "string", Format: "e164", Code: field.NotE164, Wants: wantsNumber, Parse: rest.ParseWith(e164.Parse),
			}
		}
		return append([]rest.Parameter{rest.EqualFilter("filter["+name+"]", stored, s)}, partFilters(name, stored)...)
	case record.Sizes:
		return sizeFilters(name, valueSchema(f), sizeOf(stored))
	case record.Seconds:
		return sizeFilters(name, valueSchema(f), wholeSecs(stored))
	case record.Times:
		return rest.TimeFilters(name, stored)
	case record.Country:
		return []rest.Parameter{countryFilter(name, stored)}
	}
	if f.Column.Kind == column.Bool {
		return []rest.Parameter{boolFilter("filter["+name+"]", stored, valueSchema(f))}
	}
	return []rest.Parameter{rest.EqualFilter("filter["+name+"]", stored, valueSchema(f))}
}

// valueSchema is the schema of the value of a filter.
func valueSchema(f *record.Field) *rest.Schema {
	switch f.Column.Kind {
	case column.ID:
		return rest.IDSchema()
	case column.UUID:
		return rest.UUIDSchema()
	case column.Bool:
		return &rest.Schema{Kind: "boolean"}
	case column.Int:
		return &rest.Schema{Kind: "integer", Minimum: new(int64(0))}
	case column.Amount:
		return amountSchema()
	}
	if f.Enum != nil {
		return &rest.Schema{Kind: "string", Enum: f.Enum}
	}
	return &rest.Schema{Kind: "string", MaxLength: 255}
}

func sortableRecordFields() (names []string) {
	for i := range record.Fields {
		if record.Fields[i].Sortable {
			names = append(names, record.Fields[i].Name)
		}
	}
	return names
}

// recordColumn is the name by which the store knows a field of detail records.
func recordColumn(name string) string {
	for i := range record.Fields {
		if record.Fields[i].Name == name {
			return record.Fields[i].Column.Name
		}
	}
	return name
}
