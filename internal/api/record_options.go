package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// recordOptionsView says by what a type of detail records can be filtered and
// sorted. Telnyx names /v2/detail_records/options and publishes no schema of it.
type recordOptionsView struct {
	RecordType string            `json:"record_type" enum:"sip-trunking"`
	Fields     []recordFieldView `json:"fields" doc:"The fields of a record, and what else it can be filtered by."`
}

type recordFieldView struct {
	Name      string   `json:"name"`
	Type      string   `json:"type" doc:"string, integer, boolean or array."`
	Format    *string  `json:"format"`
	Nullable  bool     `json:"nullable"`
	InRecords bool     `json:"in_records" doc:"False for what is only a filter."`
	Filters   []string `json:"filters" doc:"How it can be filtered by: eq is filter[name], any other one is filter[name][other]."`
	Values    []string `json:"values" doc:"The values that it can have, where they are listed."`
	Sortable  bool     `json:"sortable"`
}

func (s *server) recordOptions() operation {
	return operation{method: http.MethodGet, path: "/v2/detail_records/options", id: "list_detail_record_options", tag: "Detail records",
		scope: ScopeRead, summary: "List the fields of detail records, and what they can be filtered and sorted by.",
		status: http.StatusOK, answer: listSchema(schemaOf[recordOptionsView]()),
		params: []parameter{{name: "filter[record_type]", description: "Only options of this kind of record.",
			schema: &schema{kind: "string", enum: []string{product}}}},
		handle: func(context.Context, *request) (*response, error) {
			return &response{data: []recordOptionsView{{RecordType: product, Fields: recordFieldViews(s.recordParams())}}}, nil
		}}
}

// recordFieldViews are made of what the list itself takes, so that they say the same.
func recordFieldViews(params []parameter) []recordFieldView {
	var fields []recordFieldView
	for _, member := range recordSchema().properties {
		fields = append(fields, recordFieldView{Name: member.name, Type: member.schema.kind, Format: textOrNull(member.schema.format),
			Nullable: member.schema.nullable, InRecords: true, Filters: []string{}, Values: append([]string{}, member.schema.enum...)})
	}
	field := func(name string, s *schema) *recordFieldView {
		i := slices.IndexFunc(fields, func(f recordFieldView) bool { return f.Name == name })
		if i < 0 {
			i = len(fields)
			fields = append(fields, recordFieldView{Name: name, Type: s.kind, Format: textOrNull(s.format),
				Filters: []string{}, Values: append([]string{}, s.enum...)})
		}
		return &fields[i]
	}
	for _, p := range params {
		name, operator, isFilter := filterName(p.name)
		switch {
		case isFilter:
			f := field(name, p.schema)
			f.Filters = append(f.Filters, operator)
		case p.name == "sort":
			for _, name := range p.schema.items.enum {
				field(strings.TrimPrefix(name, "-"), p.schema.items).Sortable = true
			}
		}
	}
	return fields
}

// filterName takes the name of a filter apart: filter[cld][contains] is cld and
// contains, and filter[cld] is cld and eq.
func filterName(parameter string) (name, operator string, ok bool) {
	inner, ok := strings.CutPrefix(parameter, "filter[")
	if !ok {
		return "", "", false
	}
	name, operator, _ = strings.Cut(strings.TrimSuffix(inner, "]"), "][")
	if operator == "" {
		operator = "eq"
	}
	return name, operator, true
}
