package api

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
)

// Every filter of every list, alone and together, selects what a plain model selects
// from the whole list; together with one that the list does not know it selects nothing.
func TestFiltersAgainstAModel(t *testing.T) {
	h := newHarness(t)
	ids := h.oneOfEverything()
	h.traffic()
	for i := range 6 {
		h.recording(func(r *record.Recording) {
			r.CallID = uuid.New()
			r.From = fmt.Sprintf("+1312555010%d", i)
			r.CreatedMicros = r.CreatedMicros + int64(i)*1000
		})
		for _, k := range resourceKinds() {
			h.do("POST", k.path, k.body(40+i)).want(k.created)
		}
	}
	h.reserve(ids["/v2/ip_connections"], "+13125550199")
	for range 40 { // each has a limit of requests
		h.keys = append(h.keys, h.newKey(h.first.ID, ScopeRead))
	}
	lists := 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Method != http.MethodGet || !op.Shape.Paged() || op.ID == "list_usage_report" ||
			strings.Contains(op.Path, "{") || op.Scope == ScopeAdmin {
			continue
		}
		m := h.modelOf(op)
		if len(m.filters) == 0 {
			continue
		}
		lists++
		t.Run(op.ID, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { m.check(rt, h) })
		})
	}
	if lists < 12 {
		t.Errorf("only %d lists have filters", lists)
	}
}

// listModel is a list as it is without filters.
type listModel struct {
	op      *rest.Operation
	filters []*rest.Parameter
	rows    []map[string]any
	special map[string]func(row map[string]any, bound, value string) bool
}

func (h *harness) modelOf(op *rest.Operation) *listModel {
	h.t.Helper()
	m := &listModel{op: op, special: h.specialFilters()}
	m.rows = m.all(h, nil)
	for i := range op.Params {
		p := &op.Params[i]
		if !strings.HasPrefix(p.Name, "filter") || p.Name == "filter[record_type]" || len(m.rows) == 0 {
			continue
		}
		if name, _ := fieldOf(op, p.Name); m.special[op.ID+" "+name] == nil {
			if _, left := m.special[op.ID+" "+name]; left {
				continue
			}
			if _, known := at(m.rows[0], name); !known {
				h.t.Errorf("%s: say in fieldOf or in specialFilters what %s goes by", op.ID, p.Name)
				continue
			}
		}
		m.filters = append(m.filters, p)
	}
	return m
}

// all are the rows that a query selects, of all pages; nil when it is refused.
func (m *listModel) all(h *harness, query url.Values) []map[string]any {
	h.t.Helper()
	rows := []map[string]any{}
	for page := 1; ; page++ {
		values := maps.Clone(query)
		if values == nil {
			values = url.Values{}
		}
		values.Set("page[size]", "50")
		values.Set("page[number]", strconv.Itoa(page))
		if m.op.Path == "/v2/detail_records" {
			values.Set("filter[record_type]", "sip-trunking")
		}
		h.asked++
		r := h.doWith(h.keys[h.asked/1000], "GET", m.op.Path+"?"+values.Encode(), "")
		if r.status == http.StatusUnprocessableEntity {
			return nil
		}
		items := r.list()
		rows = append(rows, items...)
		if len(items) < 50 {
			if total := r.body["meta"].(map[string]any)["total_results"]; total != float64(len(rows)) {
				h.t.Errorf("%s?%s: %v in all, %d rows", m.op.Path, values.Encode(), total, len(rows))
			}
			return rows
		}
	}
}

func (m *listModel) check(t *rapid.T, h *harness) {
	query := url.Values{}
	want := m.rows
	for range rapid.IntRange(1, 3).Draw(t, "filters") {
		p := rapid.SampledFrom(m.filters).Draw(t, "filter")
		if query.Has(p.Name) {
			continue
		}
		value := m.draw(t, p)
		query.Set(p.Name, value)
		want = slices.Clone(want)
		want = slices.DeleteFunc(want, func(row map[string]any) bool { return !m.selects(row, p.Name, value) })
	}
	got := m.all(h, query)
	if got == nil {
		return // a value that no such field has
	}
	if a, b := idsOf(want), idsOf(got); a != b {
		t.Fatalf("%s?%s\nwant %s\ngot  %s", m.op.Path, query.Encode(), a, b)
	}
	if !m.op.PassesOver() {
		return
	}
	query.Set(rapid.SampledFrom([]string{"filter[nothing]", "filter[id][foo]", "filter",
		"filter[connection_id][]", "filters[id]"}).Draw(t, "unknown"), "1")
	if rows := m.all(h, query); len(rows) > 0 {
		t.Fatalf("%s?%s: %d rows by a filter that is unknown", m.op.Path, query.Encode(), len(rows))
	}
}

func idsOf(rows []map[string]any) string {
	var ids []string
	for _, row := range rows {
		ids = append(ids, fmt.Sprint(row["id"], row["call_leg_id"], row["name"], row["date"], row["connection_id"]))
	}
	return strings.Join(ids, "\n     ")
}

// draw takes a value from one of the rows, or another one of the right form.
func (m *listModel) draw(t *rapid.T, p *rest.Parameter) string {
	name, bound := fieldOf(m.op, p.Name)
	values := []string{"x", "7", "+13125550199", "2026-03-11", "2026-03-12T00:00:00Z", "0", "1.5"}
	values = append(values, p.Schema.Enum...)
	if p.Schema.Kind == "boolean" {
		values = []string{"true", "false"}
	}
	if name == "application_name" {
		values = append(values, "ip 40", "ip 1", "credential 42", "office")
	}
	for _, row := range m.rows {
		if value, ok := at(row, name); ok && value != nil {
			values = append(values, fmt.Sprint(value))
		}
	}
	value := rapid.SampledFrom(values).Draw(t, "value")
	switch bound {
	case "contains", "starts_with", "ends_with":
		if value == "" {
			break
		}
		from := rapid.IntRange(0, len(value)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(value)).Draw(t, "to")
		switch value = value[from:to]; rapid.IntRange(0, 2).Draw(t, "case") {
		case 0:
			value = strings.ToUpper(value)
		case 1:
			value = strings.ToLower(value)
		}
	}
	moment, err := rest.ParseMoment(value)
	if err == nil && p.Schema.Format == "time-or-day" && rapid.Bool().Draw(t, "day") {
		value = time.UnixMicro(moment.First).UTC().Format(time.DateOnly)
	}
	return value
}

// fieldOf is the field of a row by which a filter selects, and how.
func fieldOf(op *rest.Operation, filter string) (name, bound string) {
	parts := strings.FieldsFunc(filter, func(r rune) bool { return r == '[' || r == ']' })
	last := parts[len(parts)-1]
	if slices.Contains([]string{"contains", "starts_with", "ends_with", "gt", "gte", "lt", "lte", "eq"}, last) {
		bound, parts = last, parts[:len(parts)-1]
	}
	name = strings.Join(parts[1:], ".")
	byOperation := map[string]map[string]string{
		"list_detail_record": {"status": "outcome", "country_iso": "country_code",
			"telnyx_session_id": "id", "call_session_id": "id", "call_leg_id": "id"},
		"list_call_event": {"leg_id": "call_leg_id", "application_session_id": "call_leg_id",
			"connection_id":                      "metadata.connection_id",
			"outbound.outbound_voice_profile_id": "metadata.outbound_voice_profile_id", "from": "metadata.from",
			"to": "metadata.to", "occurred_at": "event_timestamp"},
		"list_recording": {"start_time": "recording_started_at",
			"end_time": "recording_ended_at", "conference_region": "conference_id"},
		"list_audit_event": {"created_after": "created_at", "created_before": "created_at"},
		"list_connection":  {"outbound.outbound_voice_profile_id": "outbound_voice_profile_id"},
	}
	switch {
	case name == "created_after":
		bound = "gt"
	case name == "created_before":
		bound = "lt"
	case name == "outbound_voice_profile_id" && strings.HasSuffix(op.ID, "_connection") && op.ID != "list_connection":
		return "outbound.outbound_voice_profile_id", bound
	}
	return cmp.Or(byOperation[op.ID][name], name), bound
}

// at is the field of a row at a path.
func at(row map[string]any, path string) (any, bool) {
	var value any = row
	for part := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		found, ok := object[part]
		if !ok {
			return nil, false
		}
		value = found
	}
	return value, true
}

// selects says by the plainest means whether a filter selects a row.
func (m *listModel) selects(row map[string]any, filter, value string) bool {
	name, bound := fieldOf(m.op, filter)
	if special, ok := m.special[m.op.ID+" "+name]; ok {
		return special(row, bound, value)
	}
	have, _ := at(row, name)
	if have == nil {
		return false
	}
	text := fmt.Sprint(have)
	if number, ok := have.(float64); ok {
		text = strconv.FormatFloat(number, 'f', -1, 64)
	}
	switch bound {
	case "contains":
		return strings.Contains(fold(text), fold(value))
	case "starts_with":
		if name == "cli" || name == "cld" {
			text, value = strings.TrimPrefix(text, "+"), strings.TrimPrefix(value, "+")
		}
		return strings.HasPrefix(fold(text), fold(value))
	case "ends_with":
		return strings.HasSuffix(fold(text), fold(value))
	}
	if asked, err := rest.ParseMoment(value); err == nil {
		if is, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return inBounds(bound, is.UnixMicro(), asked.First, asked.After)
		}
	}
	if order, ok := compareNumbers(text, value); ok && bound != "" {
		return map[string]bool{"gt": order > 0, "gte": order >= 0,
			"lt": order < 0, "lte": order <= 0, "eq": order == 0}[bound]
	}
	if order, ok := compareNumbers(text, value); ok && order == 0 && name != "connection_name" && name != "name" {
		return true
	}
	return text == value || strings.EqualFold(text, value) && (name == "fqdn" || uuid.Validate(value) == nil)
}

func fold(text string) string { return strings.ToLower(text) }

func inBounds(bound string, is, first, after int64) bool {
	switch bound {
	case "gt":
		return is >= after
	case "gte":
		return is >= first
	case "lt":
		return is < first
	case "lte":
		return is < after
	}
	return is >= first && is < after
}

func compareNumbers(a, b string) (order int, ok bool) {
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	if !okX || !okY || strings.ContainsAny(a+b, "+/eE") {
		return 0, false
	}
	return x.Cmp(y), true
}

// specialFilters go by more than one field, or by none.
func (h *harness) specialFilters() map[string]func(row map[string]any, bound, value string) bool {
	now, byName := h.clock.Now(), h.do("GET", "/v2/fqdns", "").list()
	fqdn := func(row map[string]any, _, value string) bool {
		return slices.ContainsFunc(byName, func(f map[string]any) bool {
			return f["connection_id"] == row["id"] && strings.EqualFold(fmt.Sprint(f["fqdn"]), value)
		})
	}
	never := func(map[string]any, string, string) bool { return false }
	names, states := map[any]string{}, map[any]string{}
	for _, c := range h.do("GET", "/v2/connections", "").list() {
		names[c["id"]] = fmt.Sprint(c["connection_name"])
	}
	for _, c := range h.do("GET", "/tollgate/v1/calls", "").list() {
		states[c["id"]] = "init"
		if c["answered_at"] != nil {
			states[c["id"]] = "in_progress"
		}
	}
	return map[string]func(row map[string]any, bound, value string) bool{
		"list_detail_record date_range": func(row map[string]any, _, value string) bool {
			from, to, _ := rest.DateRange(value, now)
			is, _ := time.Parse(time.RFC3339Nano, fmt.Sprint(row["started_at"]))
			return !is.Before(from) && is.Before(to)
		},
		"list_connection fqdn": fqdn, "list_fqdn_connection fqdn": fqdn, "list_ip_connection fqdn": never,
		"list_credential_connection fqdn": never,
		"list_call_event type":            func(_ map[string]any, _, value string) bool { return value == "webhook" },
		"list_call_event failed":          func(_ map[string]any, _, value string) bool { return value == "false" },
		"list_call_event product":         never,
		"list_call_event application_name": func(row map[string]any, bound, value string) bool {
			connection, _ := at(row, "metadata.connection_id")
			if bound == "contains" {
				return strings.Contains(fold(names[connection]), fold(value))
			}
			return names[connection] == value
		},
		"list_call_event status": func(row map[string]any, _, value string) bool {
			state, live := states[row["call_leg_id"]]
			return value == state || !live && value == "completed"
		},
		"list_recording conference_id": never,
		// What is searched there is not shown as it is searched; they have tests of their own.
		"list_attempted_webhook attempts": nil, "list_attempted_webhook webhook": nil,
		"list_attempted_webhook event_type": nil,
		"list_detail_record hangup_code": func(row map[string]any, _, value string) bool { // 0 is none
			return row["hangup_code"] == value || row["hangup_code"] == nil && value == "0"
		},
	}
}
