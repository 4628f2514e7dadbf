package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// product is the one product that there is usage of.
const product = "sip-trunking"

// Limits of usage reports. Source: Telnyx v2, /usage_reports.
const (
	usagePageSize    = 20
	maxUsagePageSize = 5000
	maxUsageRange    = 31 * 24 * time.Hour
	// maxUsageDateRange is what last_3_months can be, which Telnyx's command-line client asks for.
	maxUsageDateRange = 92 * 24 * time.Hour
)

// usageOptionsView describes what reports can be made of. Source: Telnyx v2,
// /usage_reports/options.
type usageOptionsView struct {
	Product           string              `json:"product"`
	ProductDimensions []string            `json:"product_dimensions"`
	ProductMetrics    []string            `json:"product_metrics"`
	RecordTypes       []usageRecordOption `json:"record_types"`
}

type usageRecordOption struct {
	RecordType        string   `json:"record_type"`
	ProductDimensions []string `json:"product_dimensions"`
	ProductMetrics    []string `json:"product_metrics"`
}

func (s *server) usageReportOperations() []rest.Operation {
	products := &rest.Schema{Kind: "string", Enum: []string{product}}
	return []rest.Operation{
		{Method: http.MethodGet, Path: "/v2/usage_reports", ID: "list_usage_report", Tag: "Usage reports", Scope: ScopeRead,
			Summary: "Add up call detail records by dimensions.", Params: usageParams(products), Status: http.StatusOK,
			Answer: usageRowSchema(), Shape: rest.Table, Handle: s.usageReport},
		{Method: http.MethodGet, Path: "/v2/usage_reports/options", ID: "list_usage_report_options", Tag: "Usage reports",
			Scope: ScopeRead, Summary: "List the dimensions and metrics that reports can be made of.", Status: http.StatusOK,
			Answer: listSchema(schemaOf[usageOptionsView]()),
			Params: []rest.Parameter{{Name: "product", Description: "Only options of this product.", Schema: products}},
			Handle: func(context.Context, *rest.Request) (*rest.Response, error) {
				dimensions, metrics := store.DimensionNames(), store.MetricNames()
				return &rest.Response{Data: []usageOptionsView{{Product: product, ProductDimensions: dimensions,
					ProductMetrics: metrics,
					RecordTypes: []usageRecordOption{{RecordType: product,
						ProductDimensions: dimensions, ProductMetrics: metrics}}}}}, nil
			}},
	}
}

func listSchema(items *rest.Schema) *rest.Schema { return &rest.Schema{Kind: "array", Items: items} }

// usageRowSchema is the schema of a row, which has those members that were asked for.
func usageRowSchema() *rest.Schema {
	s := &rest.Schema{Kind: "object"}
	add := func(name string, member rest.Schema) {
		s.Properties = append(s.Properties, rest.Property{Name: name, Schema: &member})
	}
	texts := map[string]string{
		"country_code": "ISO 3166-1 alpha-2; null for ranges that belong to no country.",
		"currency":     "USD.", "direction": "outbound.", "outcome": "As in detail records.",
		"source_country_code": "As in detail records.", "source_tn_type": "As in detail records.",
	}
	for _, name := range store.DimensionNames() {
		switch name {
		case "short_duration_call":
			add(name, rest.Schema{Kind: "boolean", Description: "As in detail records."})
		case "is_local_calling":
			add(name, rest.Schema{Kind: "boolean", Description: "The caller's and the called number " +
				"are of one country; false when that of either is not known."})
		case "bundle_id":
			add(name, rest.Schema{Kind: "string", Nullable: true, Description: "Always null: there are no bundles."})
		case "tags":
			add(name, rest.Schema{Kind: "string", Nullable: true,
				Description: "The tags that the call's profile has now, joined with commas in their order, as a line of CSV: one " +
					"with a comma, a quote or a line break is in quotes, and so is an empty one; null when it has none " +
					"or is deleted."})
		case "date":
			add(name, rest.Schema{Kind: "string", Format: "date", Description: "UTC day of the calls' starts."})
		case "date_time":
			add(name, rest.Schema{Kind: "string", Format: "date-time", Description: "UTC hour of the calls' starts."})
		case "gateway_id", "outcome":
			add(name, rest.Schema{Kind: "string", Nullable: true, Description: texts[name], Mark: "ours"})
		default:
			add(name, rest.Schema{Kind: "string", Nullable: true, Description: texts[name]})
		}
	}
	metrics := map[string]string{
		"attempted": "Calls, whether admitted or not.", "connected": "Calls that were answered.",
		"completed":  "Calls that were answered and whose end is known.",
		"call_sec":   "Seconds from answer to end, of each call a part counting whole.",
		"billed_sec": "Seconds that were charged.",
	}
	for _, name := range store.MetricNames() {
		if name == "cost" {
			amount := *amountSchema()
			amount.Description = "USD; exact: the sum of the records' cost."
			add(name, amount)
			continue
		}
		add(name, rest.Schema{Kind: "integer", Format: "int64", Description: metrics[name]})
	}
	return s
}

func usageParams(products *rest.Schema) []rest.Parameter {
	dimensions, metrics := store.DimensionNames(), store.MetricNames()
	names := func(of []string, most int) *rest.Schema {
		return &rest.Schema{Kind: "array", MaxItems: most, Items: &rest.Schema{Kind: "string", Enum: of}}
	}
	var sorts []string
	for _, name := range slices.Concat(dimensions, metrics) {
		sorts = append(sorts, name, "-"+name)
	}
	return slices.Concat(rest.PageParams(usagePageSize, maxUsagePageSize), []rest.Parameter{
		{Name: "product", Required: true, Description: "Of what the usage is.", Schema: products},
		{Name: "dimensions", Required: true, Description: "What to group by, separated by commas.",
			Schema: names(dimensions, len(dimensions))},
		{Name: "metrics", Required: true, Description: "What to add up, separated by commas.",
			Schema: names(metrics, len(metrics))},
		{Name: "start_date", Description: "Only calls that started from this time on, RFC 3339 " +
			"or a day. With end_date, and instead of date_range.", Schema: rest.MomentSchema()},
		{Name: "end_date", Description: "Only calls that started before this time; a day " +
			"is meant whole. At most 31 days after start_date.", Schema: rest.MomentSchema()},
		{Name: "date_range", Description: dateRangeText + " At most three months.", Schema: rest.DateRangeSchema()},
		{Name: "managed_accounts", Description: "Taken, and changes nothing: there are no managed accounts.",
			Schema: &rest.Schema{Kind: "boolean"}},
		{Name: "format", Description: "csv for text/csv with a line of names first. There a text that a spreadsheet could " +
			"take for a formula has an apostrophe before it.",
			Schema: &rest.Schema{Kind: "string", Enum: []string{"json", "csv"}, DefaultTo: "json"}},
		{Name: "sort", Order: true,
			Description: "Dimensions and metrics of this report to sort by, separated by " +
				"commas; a minus before one sorts descending. By the dimensions if not given.",
			Schema: names(sorts, len(dimensions)+len(metrics))},
	}, recordFilters("outbound_profile_id", "connection_id", "billing_group_id", "gateway_id", "country_code", "tn_type",
		"source_country_code", "source_tn_type"))
}

func (s *server) usageReport(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := store.ReportQuery{Dimensions: in.Query.Words("dimensions"), Metrics: in.Query.Words("metrics"),
		Filters: in.Query.Filters, Number: in.Query.Int("page[number]", 1),
		Size: in.Query.Int("page[size]", usagePageSize)}
	var problems []rest.Problem
	for _, p := range []struct {
		name  string
		words []string
	}{{"dimensions", q.Dimensions}, {"metrics", q.Metrics}} {
		if len(slices.Compact(slices.Sorted(slices.Values(p.words)))) < len(p.words) {
			problems = append(problems, rest.Problem{Code: field.Malformed, Parameter: p.name,
				Detail: p.name + " names one twice. Name each once."})
		}
	}
	for _, word := range in.Query.Words("sort") {
		name, descending := strings.CutPrefix(word, "-")
		if !slices.Contains(q.Dimensions, name) && !slices.Contains(q.Metrics, name) {
			problems = append(problems, rest.Problem{Code: field.NotListed, Parameter: "sort",
				Detail: name + " is not in this report. Sort by one of its dimensions and metrics."})
		}
		q.Sort = append(q.Sort, collection.Order{Field: name, Descending: descending})
	}
	from, to, wrong := s.usageSpan(&in.Query)
	if problems = append(problems, wrong...); len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	q.FromMicros = from.UnixMicro()
	q.ToMicros = to.UnixMicro()
	page, err := s.Reports.UsageReport(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	if in.Query.Text("format", "json") == "csv" {
		return &rest.Response{Text: usageCSV(&q, page.Items), Kind: "text/csv; charset=utf-8"}, nil
	}
	rows := []map[string]any{}
	for _, item := range page.Items {
		row := map[string]any{}
		for i, name := range q.Dimensions {
			row[name] = item.Dimensions[i]
		}
		for i, name := range q.Metrics {
			row[name] = item.Metrics[i]
		}
		rows = append(rows, row)
	}
	return &rest.Response{Data: rows, Meta: rest.MetaOf(collection.Query{Number: q.Number, Size: q.Size}, page.Total)}, nil
}

// usageSpan is the span of time that a report is of.
func (s *server) usageSpan(q *rest.Query) (from, to time.Time, problems []rest.Problem) {
	word, start, end := q.Text("date_range", ""), q.Text("start_date", ""), q.Text("end_date", "")
	switch {
	case word != "" && (start != "" || end != ""):
		return from, to, []rest.Problem{{Code: field.Malformed, Parameter: "date_range",
			Detail: "date_range is given with start_date or end_date. Give either."}}
	case word != "":
		from, to, _ = rest.DateRange(word, s.Clock()) // checked by the schema
	case start == "" || end == "":
		missing := "start_date"
		if start != "" {
			missing = "end_date"
		}
		return from, to, []rest.Problem{{Code: field.Missing, Parameter: missing,
			Detail: "Give start_date and end_date, or date_range."}}
	default:
		first, _ := rest.ParseMoment(start) // checked by the schema
		last, _ := rest.ParseMoment(end)
		from, to = time.UnixMicro(first.First), time.UnixMicro(last.First)
		if len(end) == len(time.DateOnly) && strings.Contains(end, "-") {
			to = time.UnixMicro(last.After)
		}
	}
	switch {
	case to.Before(from):
		problems = append(problems, rest.Problem{Code: field.OutOfRange, Parameter: "end_date",
			Detail: "end_date is before start_date. Give a later one."})
	case word == "" && to.Sub(from) > maxUsageRange:
		problems = append(problems, rest.Problem{Code: field.OutOfRange, Parameter: "end_date",
			Detail: "The span is longer than 31 days. Ask for parts of it."})
	case to.Sub(from) > maxUsageDateRange:
		problems = append(problems, rest.Problem{Code: field.OutOfRange, Parameter: "date_range",
			Detail: "The span is longer than three months, or 92 days. Ask for parts of it by start_date and end_date."})
	}
	return from, to, problems
}

func usageCSV(q *store.ReportQuery, rows []store.ReportRow) []byte {
	var text strings.Builder
	text.WriteString(strings.Join(slices.Concat(q.Dimensions, q.Metrics), ",") + "\n")
	for _, row := range rows {
		rest.CsvLine(&text, slices.Concat(row.Dimensions, row.Metrics))
	}
	return []byte(text.String())
}
