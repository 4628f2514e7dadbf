package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/tollgate/tollgate/internal/rest"
)

// Every form of an array that a published client sends is the same query.
func TestArraysInQueries(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	h.refusedCallTo(connection, "+442079460123")
	target := "/v2/usage_reports?product=sip-trunking&date_range=today&metrics=attempted,cost&"
	want := h.do("GET", target+"dimensions=country_code,tn_type", "").list()
	if len(want) != 1 || want[0]["country_code"] != "GB" || want[0]["tn_type"] == nil {
		t.Fatalf("rows %v", want)
	}
	for _, form := range []string{
		"dimensions=country_code%2Ctn_type", "dimensions=country_code&dimensions=tn_type",
		"dimensions[]=country_code&dimensions[]=tn_type", "dimensions%5B%5D=country_code&dimensions%5B%5D=tn_type",
		"dimensions[0]=country_code&dimensions[1]=tn_type", "dimensions%5b0%5d=country_code&dimensions%5B1%5D=tn_type",
		"dimensions[1]=tn_type&dimensions[0]=country_code",  // an entry goes by its index
		"dimensions[3]=country_code&dimensions[10]=tn_type", // PHP leaves gaps, and 10 comes after 3
		"dimensions.0=country_code&dimensions.1=tn_type",
	} {
		r := h.do("GET", target+form, "")
		if diff := gocmp.Diff(want, r.list()); diff != "" || r.header.Get("Tollgate-Ignored-Parameters") != "" {
			t.Errorf("%s is another query (-want +got):\n%s", form, diff)
		}
		csv := h.do("GET", target+form+"&format=csv", "")
		if !strings.HasPrefix(csv.text, "country_code,tn_type,attempted,cost\nGB,") {
			t.Errorf("%s as CSV: %q", form, csv.text)
		}
	}
	for _, one := range []string{"dimensions=date", "dimensions[]=date", "dimensions[0]=date", "dimensions[7]=date"} {
		if rows := h.do("GET", target+one+"&sort[]=-cost&sort[]=date", "").list(); len(rows) != 1 ||
			rows[0]["date"] != "2026-03-11" {
			t.Errorf("%s: %v", one, rows)
		}
	}
}

// Objects in queries: brackets, brackets around a dotted name, and dots are one name.
func TestNamesOfFilters(t *testing.T) {
	h := newHarness(t)
	mine := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"mine"}`).want(http.StatusOK)["id"].(string)
	h.do("POST", "/v2/credential_connections", `{"connection_name":"one","user_name":"userone1","password":"12345678",
		"outbound":{"outbound_voice_profile_id":"`+mine+`"}}`).want(http.StatusCreated)
	h.do("POST", "/v2/ip_connections", `{"connection_name":"One and two"}`).want(http.StatusCreated)
	for query, want := range map[string]int{
		"filter[outbound.outbound_voice_profile_id]=" + mine: 1, "filter[outbound][outbound_voice_profile_id]=" + mine: 1,
		"filter.outbound.outbound_voice_profile_id=" + mine: 1, "filter[outbound_voice_profile_id]=" + mine: 1,
		"filter[connection_name][contains]=ONE": 2, "filter[connection_name.contains]=ONE": 2,
		"filter.connection_name.contains=ONE":           2,
		"filter[outbound_voice_profile_id][eq]=" + mine: 1, "filter[connection_name]=one": 1,
		"filter[connection_name][eq]=one": 1, "filter[connection_name]=ONE": 0,
		"filter%5Bconnection_name%5D%5Bcontains%5D=one": 2, "page_size=1": 1, "page[size]=1": 1,
		"page_number=2&page_size=1": 1, "page[number]=1&page[size]=1&number=2": 1, "page[size]=1&number=3": 0,
	} {
		r := h.do("GET", "/v2/connections?"+query, "")
		if got := len(r.list()); got != want || r.header.Get("Tollgate-Ignored-Parameters") != "" {
			t.Errorf("%s finds %d, want %d; ignored: %s", query, got, want, r.header.Get("Tollgate-Ignored-Parameters"))
		}
	}
	h.do("POST", "/v2/outbound_voice_profiles", `{"name":"mine too"}`).want(http.StatusOK)
	for query, want := range map[string]int{
		"filter[name]=mine": 1, "filter[name][eq]=mine": 1, "filter[name][contains]=mine": 2, "filter[name]=Mine": 0,
		"filter[name]=": 0,
	} {
		if got := h.do("GET", "/v2/outbound_voice_profiles?"+query, "").list(); len(got) != want {
			t.Errorf("%s finds %d, want %d", query, len(got), want)
		}
	}
}

// strangeFilters are queries that no list knows, with the names that the answer says were passed over.
var strangeFilters = map[string]string{
	"filter[color]=red": "filter[color]", "filter[name][foo]=x": "filter[name][foo]",
	"filter[connection_id][]=7": "filter[connection_id][]", "filter=x": "filter",
	"filter[]=x": "filter[]", "filter[=x": "filter[", "filter]name=x": "filter]name", "filter[name=x": "filter[name",
	"filter[[name]]=x": "filter[[name]]", "filters[name]=x": "filters[name]", "Filter[name]=x": "Filter[name]",
	"%20filter[name]=x": "?filter[name]", "filter%00[name]=x": "filter?[name]", "filter[%ff]=x": "filter[?]",
	"filter..name=x": "filter..name", "filter[connection_id][0]=7": "filter[connection_id][0]",
	"filter[color]=red&filter[shade]=dark": "filter[color], filter[shade]", "$filter=name": "$filter",
	"filter[name]x=1": "filter[name]x",
}

// A filter that a list does not know selects nothing, and is named; an order and other
// parameters are passed over, and named too. This holds for every operation of Telnyx's.
func TestUnknownParameters(t *testing.T) {
	h := newHarness(t)
	ids := h.oneOfEverything()
	lists := 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if !op.PassesOver() {
			continue
		}
		target := strings.ReplaceAll(op.Path, "{id}", ids[strings.TrimSuffix(op.Path, "/{id}")])
		if strings.HasSuffix(op.Path, "/fqdn_authentication") {
			target = strings.ReplaceAll(op.Path, "{id}", ids["/v2/fqdn_connections"])
		}
		if op.Path == "/v2/connections/{id}" || op.Path == "/v2/connections/{id}/active_calls" {
			target = strings.ReplaceAll(op.Path, "{id}", ids["/v2/ip_connections"])
		}
		target += "?" + requiredOf(op)
		plain := h.do("GET", target, "")
		if plain.status != http.StatusOK {
			t.Errorf("%s: %d %s", target, plain.status, plain.text)
			continue
		}
		rows, isList := plain.body["data"].([]any)
		if isList && len(rows) > 0 {
			lists++
		}
		for query, names := range strangeFilters {
			r := h.do("GET", target+"&"+query, "")
			if r.status != http.StatusOK || r.header.Get("Tollgate-Ignored-Parameters") != names {
				t.Errorf("%s?%s: %d, ignored %q, want %q", op.Path, query, r.status,
					r.header.Get("Tollgate-Ignored-Parameters"), names)
			}
			checkNoRows(t, op.Path+"?"+query, plain, r)
		}
		for query, names := range map[string]string{
			"x=1": "x", "sort=nothing": "sort", "sort[]=name": "sort[]", "sort[a]=name": "sort[a]",
			"expand[]=a&expand[]=b": "expand[]", "_=17": "_", "page=2": "page", "dry_run=true": "dry_run",
			"limit=1&offset=2": "limit, offset", "utm_source=a": "utm_source",
		} {
			if strings.HasPrefix(query, "sort[]") && hasListSort(op) {
				continue // a form of it
			}
			if strings.HasPrefix(query, "sort[a]") && hasListSort(op) {
				h.do("GET", target+"&"+query, "").wantError(http.StatusUnprocessableEntity, "10015 sort[a]")
				continue
			}
			r := h.do("GET", target+"&"+query, "")
			if diff := gocmp.Diff(plain.body, r.body); diff != "" || r.status != http.StatusOK ||
				r.header.Get("Tollgate-Ignored-Parameters") != names {
				t.Errorf("%s?%s: %d, ignored %q, want %q; (-without +with):\n%s", op.Path, query, r.status,
					r.header.Get("Tollgate-Ignored-Parameters"), names, diff)
			}
		}
	}
	if lists < 12 {
		t.Errorf("only %d lists had rows", lists)
	}
}

func hasListSort(op *rest.Operation) bool {
	for _, p := range op.Params {
		if p.Order && p.Schema.Kind == "array" {
			return true
		}
	}
	return false
}

// requiredOf is a query with what an operation requires.
func requiredOf(op *rest.Operation) string {
	switch op.Path {
	case "/v2/detail_records":
		return "filter[record_type]=sip-trunking"
	case "/v2/usage_reports":
		return someUsage
	}
	return ""
}

func checkNoRows(t *testing.T, name string, plain, r reply) {
	t.Helper()
	rows, isList := r.body["data"].([]any)
	if !isList {
		return
	}
	if len(rows) > 0 {
		t.Errorf("%s: %d rows", name, len(rows))
	}
	meta, _ := r.body["meta"].(map[string]any)
	before, _ := plain.body["meta"].(map[string]any)
	if len(before) != len(meta) || meta != nil && (meta["total_results"] != 0.0 || meta["total_pages"] != 0.0 ||
		meta["page_size"] != before["page_size"] || meta["page_number"] != before["page_number"]) {
		t.Errorf("%s: meta %v, without the filter %v", name, meta, before)
	}
}

// What is answered from memory names what was passed over as often as it is asked.
func TestIgnoredParametersOfKeptAnswers(t *testing.T) {
	h := newHarness(t)
	p := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"kept"}`).want(http.StatusOK)["id"].(string)
	one := "/v2/outbound_voice_profiles/" + p
	tag := h.do("GET", one, "").header.Get("Etag")
	for range 3 {
		for query, names := range map[string]string{"": "", "?x=1": "x", "?filter[a]=1": "filter[a]"} {
			r := h.do("GET", one+query, "")
			if r.header.Get("Tollgate-Ignored-Parameters") != names || r.header.Get("Etag") != tag {
				t.Errorf("%q: ignored %q, tag %s, want %q and %s", query,
					r.header.Get("Tollgate-Ignored-Parameters"), r.header.Get("Etag"), names, tag)
			}
			r = h.with(h.key, "GET", one+query, "", "If-None-Match", tag)
			if r.status != http.StatusNotModified || r.header.Get("Tollgate-Ignored-Parameters") != names {
				t.Errorf("%q with its tag: %d, ignored %q", query, r.status, r.header.Get("Tollgate-Ignored-Parameters"))
			}
			list := h.do("GET", "/v2/outbound_voice_profiles"+query, "")
			if want := 1; list.header.Get("Tollgate-Ignored-Parameters") != names ||
				(len(list.list()) == want) == strings.Contains(query, "filter") {
				t.Errorf("list %q: ignored %q, %s", query, list.header.Get("Tollgate-Ignored-Parameters"), list.text)
			}
		}
	}
	kept := len(h.api.engine.Answers.Kept)
	for i := range 50 {
		h.do("GET", fmt.Sprintf("%s?_=%d", one, i), "").want(http.StatusOK)
	}
	if now := len(h.api.engine.Answers.Kept); now != kept {
		t.Errorf("%d answers are kept, %d before: strange queries have no end", now, kept)
	}
}

// A report without rows is a report: its CSV has its line of names, and what is wrong
// with the request is said anyway.
func TestUnknownFiltersOfReports(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	h.refusedCallTo(connection, "+442079460123")
	if r := h.do("GET", "/v2/usage_reports?"+someUsage+"&format=csv", ""); strings.Count(r.text, "\n") != 2 {
		t.Fatalf("report %q", r.text)
	}
	r := h.do("GET", "/v2/usage_reports?"+someUsage+"&format=csv&filter[colour]=red", "")
	if r.text != "connection_id,attempted\n" || r.header.Get("Tollgate-Ignored-Parameters") != "filter[colour]" {
		t.Errorf("report %q, ignored %q", r.text, r.header.Get("Tollgate-Ignored-Parameters"))
	}
	wrong := h.do("GET", "/v2/usage_reports?product=sip-trunking&dimensions=date&metrics=cost&filter[colour]=red", "")
	wrong.wantError(http.StatusUnprocessableEntity, "10004 start_date")
	if wrong.header.Get("Tollgate-Ignored-Parameters") != "filter[colour]" {
		t.Errorf("ignored %q", wrong.header.Get("Tollgate-Ignored-Parameters"))
	}
	for _, managed := range []string{"true", "false", "True"} {
		if rows := h.do("GET", "/v2/usage_reports?"+someUsage+"&managed_accounts="+managed, "").list(); len(rows) != 1 {
			t.Errorf("managed_accounts=%s: %v", managed, rows)
		}
	}
	sorted := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&sort=created_at,-cost", "")
	if len(sorted.list()) != 1 || sorted.header.Get("Tollgate-Ignored-Parameters") != "sort" {
		t.Errorf("sorted by what records have not: %s, ignored %q", sorted.text,
			sorted.header.Get("Tollgate-Ignored-Parameters"))
	}
}

// Very many parameters are answered, and the answer is no larger than it must be.
func TestManyParameters(t *testing.T) {
	h := newHarness(t)
	many := strings.Repeat("a&", 990)
	r := h.do("GET", "/v2/balance?"+many, "")
	if r.want(http.StatusOK); r.header.Get("Tollgate-Ignored-Parameters") != "a" {
		t.Errorf("ignored %q", r.header.Get("Tollgate-Ignored-Parameters"))
	}
	var different strings.Builder
	for i := range 480 {
		fmt.Fprintf(&different, "%x&", i)
	}
	if r := h.do("GET", "/v2/ips?"+different.String(), ""); r.status != http.StatusOK ||
		len(r.header.Get("Tollgate-Ignored-Parameters")) > 1000+10 {
		t.Errorf("%d, a header of %d bytes", r.status, len(r.header.Get("Tollgate-Ignored-Parameters")))
	}
	refused := h.do("GET", "/tollgate/v1/gateways?"+different.String(), "")
	if problems := refused.body["errors"].([]any); refused.status != http.StatusUnprocessableEntity ||
		len(problems) != rest.MaxProblems {
		t.Errorf("%d with %d problems", refused.status, len(problems))
	}
	h.do("GET", "/v2/ips?"+strings.Repeat("filter[a]=b&", 10_000), "").wantError(http.StatusRequestURITooLong, "10003 /")
	long := strings.Repeat("x", 1500)
	if r := h.do("GET", "/v2/ips?"+long+"=1", ""); r.status != http.StatusOK ||
		r.header.Get("Tollgate-Ignored-Parameters") != long[:1000] {
		t.Errorf("a long name: %d, ignored %q", r.status, r.header.Get("Tollgate-Ignored-Parameters"))
	}
}

// A bound by a day is all of that day, on every list that has bounds.
func TestDayBounds(t *testing.T) {
	h := newHarness(t) // the clock shows 2026-03-11T15:04:05.678Z
	_, connection := h.pbx(`{"name":"office"}`)
	h.refusedCallTo(connection, "+442079460123")
	records := "/v2/detail_records?filter[record_type]=sip-trunking&"
	for query, want := range map[string]int{
		"filter[started_at][gte]=2026-03-11": 1, "filter[started_at][lte]=2026-03-11": 1,
		"filter[started_at][eq]=2026-03-11": 1, "filter[started_at]=2026-03-11": 1,
		"filter[started_at][gt]=2026-03-11": 0, "filter[started_at][lt]=2026-03-11": 0,
		"filter[started_at][gt]=2026-03-10": 1, "filter[started_at][lt]=2026-03-12": 1,
		"filter[started_at][gte]=2026-03-12": 0, "filter[started_at][lte]=2026-03-10": 0,
		"filter[started_at][gte]=2026-03-11&filter[started_at][lte]=2026-03-11": 1,
		"filter[started_at][lte]=2026-03-11T15:04:05.678Z":                      1,
		"filter[started_at][gt]=2026-03-11T15:04:05.678Z":                       0,
		"filter[started_at]=2026-03-11T15:04:05.678Z":                           1,
		"filter[started_at][lte]=2026-03-11T15:04:05.677Z":                      0,
		"filter[started_at][lt]=2026-03-11T15:04:05.678000Z":                    0,
		"filter[started_at][lt]=2026-03-11T15:04:05.678001Z":                    1,
		"filter[started_at][gte]=2026-03-11T16:04:05.678+01:00":                 1,
		"filter[started_at][gte]=2026-03-11T15:04:05+00:00":                     1,
		// It was not answered.
		"filter[answered_at][lt]=2027-01-01":  0,
		"filter[answered_at][lte]=2027-01-01": 0,
		"filter[answered_at][gte]=1970-01-01": 0,
		"filter[date_range]=last_1_days":      1, "filter[date_range]=last_1_weeks": 1, "filter[date_range]=last_1_months": 1,
		"filter[date_range]=last_3_months": 1,
	} {
		if got := h.do("GET", records+query, "").list(); len(got) != want {
			t.Errorf("%s finds %d, want %d", query, len(got), want)
		}
	}
	changes := len(h.do("GET", "/v2/audit_events", "").list())
	for query, want := range map[string]int{
		"filter[created_after]=2026-03-10": changes, "filter[created_after]=2026-03-11": 0,
		"filter[created_before]=2026-03-11": 0, "filter[created_before]=2026-03-12": changes,
	} {
		if got := h.do("GET", "/v2/audit_events?"+query, "").list(); len(got) != want {
			t.Errorf("%s finds %d, want %d", query, len(got), want)
		}
	}
	events := len(h.do("GET", "/v2/call_events", "").list())
	for query, want := range map[string]int{
		"[gte]=2026-03-11": events, "[lte]=2026-03-11": events, "=2026-03-11": events, "[gt]=2026-03-11": 0,
		"[lt]=2026-03-11": 0, "[eq]=2026-03-10": 0,
	} {
		if got := h.do("GET", "/v2/call_events?filter[occurred_at]"+query, "").list(); len(got) != want || events == 0 {
			t.Errorf("%s finds %d, want %d", query, len(got), want)
		}
	}
	usage := "/v2/usage_reports?product=sip-trunking&dimensions=date&metrics=attempted&"
	for query, want := range map[string]int{
		"start_date=2026-03-11&end_date=2026-03-11": 1, "start_date=2026-03-10&end_date=2026-03-10": 0,
		"start_date=2026-03-11T00:00:00Z&end_date=2026-03-12T00:00:00Z":           1,
		"start_date=2026-03-11&end_date=2026-03-11T15:00:00":                      0,
		"start_date=2026-03-11T15:04:05+00:00&end_date=2026-03-11T15:04:06+00:00": 1,
		"date_range=last_1_days": 1, "date_range=last_1_weeks": 1, "date_range=last_1_months": 1,
		"date_range=last_3_months": 1,
	} {
		if got := h.do("GET", usage+query, "").list(); len(got) != want {
			t.Errorf("%s finds %d, want %d", query, len(got), want)
		}
	}
}

// The filters and the cursors of call events, in the shapes of Telnyx's SDKs.
func TestCallEventFiltersAndCursors(t *testing.T) {
	h := newHarness(t)
	_, office := h.pbx(`{"name":"office"}`)
	for i := range 6 {
		h.clock.Advance(time.Duration(i%2) * time.Minute)
		d := h.reserve(office, "+13125550199").Decision
		if i%2 == 0 {
			h.answer(d.ID)
			h.clock.Advance(10 * time.Second)
			h.settle(d.ID, 10*time.Second)
		}
	}
	all := h.do("GET", "/v2/call_events?page[size]=250", "").list()
	name := h.do("GET", "/v2/connections/"+office, "").want(http.StatusOK)["connection_name"].(string)
	h.do("POST", "/v2/ip_connections", `{"connection_name":"elsewhere"}`).want(http.StatusCreated)
	for query, want := range map[string]int{
		"filter[failed]=false": len(all), "filter[failed]=true": 0, "filter[failed]=False": len(all),
		"filter[product]=call_control": 0, "filter[product]=fax": 0, "filter[product]=texml": 0,
		"filter[application_name][contains]=" + url.QueryEscape(strings.ToUpper(name[:3])): len(all),
		"filter[application_name]=" + url.QueryEscape(name):                                len(all),
		"filter[application_name][contains]=elsewhere":                                     0,
		"filter[application_name]=nothing":                                                 0,
		"filter[application_name][eq]=elsewhere":                                           0,
		"filter[application_name][starts_with]=x":                                          0,
		"filter[type]=webhook&filter[status]=completed":                                    12,
		"filter[status]=init":                                                              3,
	} {
		if got := h.do("GET", "/v2/call_events?page[size]=250&"+query, "").list(); len(got) != want {
			t.Errorf("%s finds %d, want %d", query, len(got), want)
		}
	}
	for _, filter := range []string{
		"", "&filter[status]=completed", "&filter[type]=webhook&filter[application_name]=" + url.QueryEscape(name),
	} {
		whole := h.do("GET", "/v2/call_events?page[size]=250"+filter, "").list()
		for size := 1; size <= len(whole)+1; size++ {
			checkCursors(t, h, fmt.Sprintf("/v2/call_events?page[limit]=%d%s", size, filter), size, whole)
		}
	}
	nothing := h.do("GET", "/v2/call_events?page[limit]=3&filter[color]=red", "")
	if meta := nothing.body["meta"].(map[string]any); len(nothing.list()) != 0 || meta["next"] != nil ||
		meta["total_items"] != 0.0 || meta["total_results"] != 0.0 {
		t.Errorf("an unknown filter with cursors: %s", nothing.text)
	}
}

// checkCursors walks through a list by its links, to the end and back.
func checkCursors(t *testing.T, h *harness, target string, size int, whole []map[string]any) {
	t.Helper()
	var got []map[string]any
	var last string
	for at := target; at != ""; {
		r := h.do("GET", at, "")
		got, last = append(got, r.list()...), at
		meta := r.body["meta"].(map[string]any)
		if meta["total_items"] != float64(len(whole)) || len(r.list()) > size || len(got) > len(whole) {
			t.Fatalf("%s: %d events, meta %v", at, len(r.list()), meta)
		}
		at, _ = meta["next"].(string)
	}
	if diff := gocmp.Diff(whole, got); diff != "" {
		t.Fatalf("%s (-whole +pages):\n%s", target, diff)
	}
	var back []map[string]any
	for at := last; at != ""; {
		r := h.do("GET", at, "")
		back = append(r.list(), back...)
		at, _ = r.body["meta"].(map[string]any)["previous"].(string)
		if len(back) > len(whole) {
			break
		}
	}
	if diff := gocmp.Diff(whole, back); diff != "" {
		t.Fatalf("%s backwards (-whole +pages):\n%s", target, diff)
	}
}
