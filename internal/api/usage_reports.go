package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/field"
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

// usageOptionsView says what reports can be made of. Source: Telnyx v2,
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

func (s *server) usageReportOperations() []operation {
	products := &schema{kind: "string", enum: []string{product}}
	return []operation{
		{method: http.MethodGet, path: "/v2/usage_reports", id: "list_usage_report", tag: "Usage reports", scope: ScopeRead,
			summary: "Add up call detail records by dimensions.", params: usageParams(products), status: http.StatusOK,
			answer: usageRowSchema(), shape: table, handle: s.usageReport},
		{method: http.MethodGet, path: "/v2/usage_reports/options", id: "list_usage_report_options", tag: "Usage reports", scope: ScopeRead,
			summary: "List the dimensions and metrics that reports can be made of.", status: http.StatusOK, answer: listSchema(schemaOf[usageOptionsView]()),
			params: []parameter{{name: "product", description: "Only options of this product.", schema: products}},
			handle: func(context.Context, *request) (*response, error) {
				dimensions, metrics := store.DimensionNames(), store.MetricNames()
				return &response{data: []usageOptionsView{{Product: product, ProductDimensions: dimensions, ProductMetrics: metrics,
					RecordTypes: []usageRecordOption{{RecordType: product, ProductDimensions: dimensions, ProductMetrics: metrics}}}}}, nil
			}},
	}
}

func listSchema(items *schema) *schema { return &schema{kind: "array", items: items} }

// usageRowSchema is the schema of a row, which has those members that were asked for.
func usageRowSchema() *schema {
	s := &schema{kind: "object"}
	add := func(name string, member schema) {
		s.properties = append(s.properties, property{name: name, schema: &member})
	}
	texts := map[string]string{
		"country_code": "ISO 3166-1 alpha-2; null for ranges that belong to no country.",
		"currency":     "USD.", "direction": "outbound.", "outcome": "As in detail records.",
		"source_country_code": "As in detail records.", "source_tn_type": "As in detail records.",
	}
	for _, name := range store.DimensionNames() {
		switch name {
		case "short_duration_call":
			add(name, schema{kind: "boolean", description: "As in detail records."})
		case "is_local_calling":
			add(name, schema{kind: "boolean", description: "The caller's and the called number are of one country; false when that of either is not known."})
		case "bundle_id":
			add(name, schema{kind: "string", nullable: true, description: "Always null: there are no bundles."})
		case "tags":
			add(name, schema{kind: "string", nullable: true,
				description: "The tags that the call's profile has now, joined with commas in their order, as a line of CSV: one " +
					"with a comma, a quote or a line break is in quotes, and so is an empty one; null when it has none " +
					"or is deleted."})
		case "date":
			add(name, schema{kind: "string", format: "date", description: "UTC day of the calls' starts."})
		case "date_time":
			add(name, schema{kind: "string", format: "date-time", description: "UTC hour of the calls' starts."})
		case "gateway_id", "outcome":
			add(name, schema{kind: "string", nullable: true, description: texts[name], mark: "ours"})
		default:
			add(name, schema{kind: "string", nullable: true, description: texts[name]})
		}
	}
	metrics := map[string]string{
		"attempted": "Calls, whether let through or not.", "connected": "Calls that were answered.",
		"completed":  "Calls that were answered and whose end is known.",
		"call_sec":   "Seconds from answer to end, of each call a part counting whole.",
		"billed_sec": "Seconds that were charged.",
	}
	for _, name := range store.MetricNames() {
		if name == "cost" {
			amount := *amountSchema()
			amount.description = "USD; exact: the sum of the records' cost."
			add(name, amount)
			continue
		}
		add(name, schema{kind: "integer", format: "int64", description: metrics[name]})
	}
	return s
}

func usageParams(products *schema) []parameter {
	dimensions, metrics := store.DimensionNames(), store.MetricNames()
	names := func(of []string, most int) *schema {
		return &schema{kind: "array", maxItems: most, items: &schema{kind: "string", enum: of}}
	}
	var sorts []string
	for _, name := range slices.Concat(dimensions, metrics) {
		sorts = append(sorts, name, "-"+name)
	}
	return slices.Concat(pageParams(usagePageSize, maxUsagePageSize), []parameter{
		{name: "product", required: true, description: "Of what the usage is.", schema: products},
		{name: "dimensions", required: true, description: "What to group by, separated by commas.", schema: names(dimensions, len(dimensions))},
		{name: "metrics", required: true, description: "What to add up, separated by commas.", schema: names(metrics, len(metrics))},
		{name: "start_date", description: "Only calls that started from this time on, RFC 3339 or a day. With end_date, and instead of date_range.", schema: momentSchema()},
		{name: "end_date", description: "Only calls that started before this time; a day is meant whole. At most 31 days after start_date.", schema: momentSchema()},
		{name: "date_range", description: dateRangeText + " At most three months.", schema: dateRangeSchema()},
		{name: "managed_accounts", description: "Taken, and changes nothing: there are no managed accounts.", schema: &schema{kind: "boolean"}},
		{name: "format", description: "csv for text/csv with a line of names first. There a text that a spreadsheet could " +
			"take for a formula has an apostrophe before it.",
			schema: &schema{kind: "string", enum: []string{"json", "csv"}, defaultTo: "json"}},
		{name: "sort", order: true, description: "Dimensions and metrics of this report to sort by, separated by commas; a minus before one sorts descending. By the dimensions if not given.",
			schema: names(sorts, len(dimensions)+len(metrics))},
	}, recordFilters("outbound_profile_id", "connection_id", "billing_group_id", "gateway_id", "country_code", "tn_type",
		"source_country_code", "source_tn_type"))
}

func (s *server) usageReport(ctx context.Context, in *request) (*response, error) {
	q := store.ReportQuery{Dimensions: in.query.words("dimensions"), Metrics: in.query.words("metrics"), Filters: in.query.filters,
		Number: in.query.int("page[number]", 1), Size: in.query.int("page[size]", usagePageSize)}
	var problems []problem
	for _, p := range []struct {
		name  string
		words []string
	}{{"dimensions", q.Dimensions}, {"metrics", q.Metrics}} {
		if len(slices.Compact(slices.Sorted(slices.Values(p.words)))) < len(p.words) {
			problems = append(problems, problem{code: field.Malformed, parameter: p.name, detail: p.name + " names one twice. Name each once."})
		}
	}
	for _, word := range in.query.words("sort") {
		name, descending := strings.CutPrefix(word, "-")
		if !slices.Contains(q.Dimensions, name) && !slices.Contains(q.Metrics, name) {
			problems = append(problems, problem{code: field.NotListed, parameter: "sort", detail: name + " is not in this report. Sort by one of its dimensions and metrics."})
		}
		q.Sort = append(q.Sort, store.Order{Field: name, Descending: descending})
	}
	from, to, wrong := s.usageSpan(&in.query)
	if problems = append(problems, wrong...); len(problems) > 0 {
		return nil, invalid(problems)
	}
	q.FromMicros, q.ToMicros = from.UnixMicro(), to.UnixMicro()
	page, err := s.Reports.UsageReport(ctx, in.account, q)
	if err != nil {
		return nil, listError(err)
	}
	if in.query.text("format", "json") == "csv" {
		return &response{text: usageCSV(&q, page.Items), kind: "text/csv; charset=utf-8"}, nil
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
	return &response{data: rows, meta: metaOf(store.Query{Number: q.Number, Size: q.Size}, page.Total)}, nil
}

// usageSpan is the span of time that a report is of.
func (s *server) usageSpan(q *query) (from, to time.Time, problems []problem) {
	word, start, end := q.text("date_range", ""), q.text("start_date", ""), q.text("end_date", "")
	switch {
	case word != "" && (start != "" || end != ""):
		return from, to, []problem{{code: field.Malformed, parameter: "date_range", detail: "date_range is given with start_date or end_date. Give either."}}
	case word != "":
		from, to, _ = dateRange(word, s.Clock()) // checked by the schema
	case start == "" || end == "":
		missing := "start_date"
		if start != "" {
			missing = "end_date"
		}
		return from, to, []problem{{code: field.Missing, parameter: missing, detail: "Give start_date and end_date, or date_range."}}
	default:
		first, _ := parseMoment(start) // checked by the schema
		last, _ := parseMoment(end)
		from, to = time.UnixMicro(first.first), time.UnixMicro(last.first)
		if len(end) == len(time.DateOnly) && strings.Contains(end, "-") {
			to = time.UnixMicro(last.after)
		}
	}
	switch {
	case to.Before(from):
		problems = append(problems, problem{code: field.OutOfRange, parameter: "end_date", detail: "end_date is before start_date. Give a later one."})
	case word == "" && to.Sub(from) > maxUsageRange:
		problems = append(problems, problem{code: field.OutOfRange, parameter: "end_date",
			detail: "The span is longer than 31 days. Ask for parts of it."})
	case to.Sub(from) > maxUsageDateRange:
		problems = append(problems, problem{code: field.OutOfRange, parameter: "date_range",
			detail: "The span is longer than three months, or 92 days. Ask for parts of it by start_date and end_date."})
	}
	return from, to, problems
}

func usageCSV(q *store.ReportQuery, rows []store.ReportRow) []byte {
	var text strings.Builder
	text.WriteString(strings.Join(slices.Concat(q.Dimensions, q.Metrics), ",") + "\n")
	for _, row := range rows {
		csvLine(&text, slices.Concat(row.Dimensions, row.Metrics))
	}
	return []byte(text.String())
}
