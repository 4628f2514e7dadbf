package api

import (
	"context"
	"github.com/tollgate/tollgate/internal/rest"
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

func (s *server) recordOptions() rest.Operation {
	return rest.Operation{Method: http.MethodGet, Path: "/v2/detail_records/options", ID: "list_detail_record_options",
		Tag: "Detail records", Scope: ScopeRead,
		Summary: "List the fields of detail records, and what they can be filtered and sorted by.", Status: http.StatusOK,
		Answer: listSchema(schemaOf[recordOptionsView]()),
		Params: []rest.Parameter{{Name: "filter[record_type]", Description: "Only options of this kind of record.",
			Schema: &rest.Schema{Kind: "string", Enum: []string{product}}}},
		Handle: func(context.Context, *rest.Request) (*rest.Response, error) {
			return &rest.Response{Data: []recordOptionsView{{RecordType: product, Fields: recordFieldViews(s.recordParams())}}},
				nil
		}}
}

// recordFieldViews are made of what the list itself takes, so that they say the same.
func recordFieldViews(params []rest.Parameter) []recordFieldView {
	var fields []recordFieldView
	for _, member := range recordSchema().Properties {
		fields = append(fields, recordFieldView{Name: member.Name, Type: member.Schema.Kind,
			Format: textOrNull(member.Schema.Format), Nullable: member.Schema.Nullable, InRecords: true, Filters: []string{},
			Values: append([]string{}, member.Schema.Enum...)})
	}
	field := func(name string, s *rest.Schema) *recordFieldView {
		i := slices.IndexFunc(fields, func(f recordFieldView) bool { return f.Name == name })
		if i < 0 {
			i = len(fields)
			fields = append(fields, recordFieldView{Name: name, Type: s.Kind, Format: textOrNull(s.Format),
				Filters: []string{}, Values: append([]string{}, s.Enum...)})
		}
		return &fields[i]
	}
	for _, p := range params {
		name, operator, isFilter := filterName(p.Name)
		switch {
		case isFilter:
			f := field(name, p.Schema)
			f.Filters = append(f.Filters, operator)
		case p.Name == "sort":
			for _, name := range p.Schema.Items.Enum {
				field(strings.TrimPrefix(name, "-"), p.Schema.Items).Sortable = true
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
