package api

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
)

// run puts a command through the store.
func (h *harness) run(c admission.Command) {
	h.t.Helper()
	if result, err := h.store.Do(h.t.Context(), c); err != nil || result.Err != nil {
		h.t.Fatal(err, result.Err)
	}
}

func (h *harness) answer(call uuid.UUID) {
	h.t.Helper()
	h.run(admission.Answer{ID: call, AtMicros: h.clock.Now().UnixMicro()})
}

// settle ends a call that has been up for a time, up to now.
func (h *harness) settle(call uuid.UUID, up time.Duration) {
	h.t.Helper()
	h.run(admission.Settle{ID: call, Ending: admission.Ending{EndedMicros: h.clock.Now().UnixMicro(), Elapsed: up,
		SIPStatus: 200, SIPPhrase: "OK", Cause: "normal_clearing", Source: record.SideCaller}})
}

// traffic makes calls of every outcome over some days, of two profiles.
func (h *harness) traffic() {
	h.t.Helper()
	_, first := h.pbx(`{"name":"office","tags":["main","Annex"],"whitelisted_destinations":["US","GB"]}`)
	group := fmt.Sprint(h.do("POST", "/v2/billing_groups", `{"name":"group"}`).want(http.StatusOK)["id"])
	profile := h.do("POST", "/v2/outbound_voice_profiles", fmt.Sprintf(`{"name":"shop","billing_group_id":%q}`, group)).
		want(http.StatusOK)["id"]
	second := fmt.Sprint(h.do("POST", "/v2/ip_connections",
		fmt.Sprintf(`{"outbound":{"outbound_voice_profile_id":%q}}`, profile)).want(http.StatusCreated)["id"])
	numbers := []string{"+13125550199", "+442079460123", "+447400123456", "+13125550111", "+33123456789"}
	for i := range 40 {
		connection := []string{first, second}[i%2]
		h.clock.Advance(time.Duration(i%7) * time.Hour)
		from := []string{"+13125550100", "+447400123400", "anonymous", "+881612345678"}[i%4]
		d := h.reserveFrom(connection, from, numbers[i%len(numbers)]).Decision
		if !d.Allow {
			continue
		}
		if i%6 == 5 {
			h.run(admission.Release{ID: d.ID, Ending: admission.Ending{Cancelled: true, EndedMicros: h.clock.Now().UnixMicro()}})
			continue
		}
		h.answer(d.ID)
		up := time.Duration(i)*1700*time.Millisecond + time.Microsecond
		h.clock.Advance(up)
		h.settle(d.ID, up)
	}
}

// A report is what adding up the detail records gives, for any dimensions,
// metrics, order and page size.
func TestUsageReportAddsUpTheRecords(t *testing.T) {
	h := newHarness(t)
	h.traffic()
	var records []map[string]any
	for page := 1; page == 1 || len(records) == (page-1)*50; page++ {
		records = append(records, h.do("GET",
			fmt.Sprintf("/v2/detail_records?filter[record_type]=sip-trunking&page[size]=50&page[number]=%d", page), "").
			list()...)
	}
	if len(records) != 40 {
		t.Fatalf("%d records", len(records))
	}
	dimensions := []string{"billing_group_id", "bundle_id", "connection_id", "country_code", "currency", "date",
		"date_time", "direction", "gateway_id", "is_local_calling", "outbound_profile_id", "outcome", "short_duration_call",
		"source_country_code", "source_tn_type", "tags", "tn_type"}
	for _, r := range records { // what a record does not say
		r["is_local_calling"] = r["country_code"] != nil && r["country_code"] == r["source_country_code"]
		if r["billing_group_id"] == nil { // the first profile's
			r["tags"] = "main,Annex"
		}
	}
	metrics := []string{"attempted", "billed_sec", "call_sec", "completed", "connected", "cost"}
	end := h.clock.Now().Add(time.Second)
	rapid.Check(t, func(rt *rapid.T) {
		by := rapid.Permutation(dimensions).Draw(rt, "dimensions")[:rapid.IntRange(1, 4).Draw(rt, "dimensions taken")]
		sums := rapid.Permutation(metrics).Draw(rt, "metrics")[:rapid.IntRange(1, len(metrics)).Draw(rt, "metrics taken")]
		from := start.Add(time.Duration(rapid.IntRange(-10, 200).Draw(rt, "hours")) * time.Hour)
		size := rapid.IntRange(1, 30).Draw(rt, "size")
		want := addUp(records, by, sums, from, end)
		query := url.Values{"product": {"sip-trunking"}, "dimensions": {strings.Join(by, ",")},
			"metrics": {strings.Join(sums, ",")}, "start_date": {from.Format(time.RFC3339Nano)},
			"end_date": {end.Format(time.RFC3339Nano)}, "page[size]": {fmt.Sprint(size)}}
		if from.After(end) {
			return
		}
		var got []map[string]any
		pages := (len(want) + size - 1) / size
		for page := 1; page <= pages+1; page++ {
			query.Set("page[number]", fmt.Sprint(page))
			r := h.do("GET", "/v2/usage_reports?"+query.Encode(), "")
			got = append(got, r.list()...)
			meta := map[string]any{
				"page_number": float64(page), "page_size": float64(size), "total_pages": float64(pages),
				"total_results": float64(len(want)),
			}
			if diff := gocmp.Diff(meta, r.body["meta"]); diff != "" {
				rt.Fatalf("meta (-want +got):\n%s", diff)
			}
		}
		key := func(row map[string]any) string { return fmt.Sprint(values(row, by)) }
		seen := map[string]bool{}
		for _, row := range got {
			if seen[key(row)] {
				rt.Fatalf("row %v is there twice", row)
			}
			seen[key(row)] = true
		}
		slices.SortFunc(got, func(a, b map[string]any) int { return cmp.Compare(key(a), key(b)) })
		slices.SortFunc(want, func(a, b map[string]any) int { return cmp.Compare(key(a), key(b)) })
		if diff := gocmp.Diff(want, got); diff != "" {
			rt.Fatalf("report (-added up +answered):\n%s", diff)
		}
	})
}

func values(row map[string]any, names []string) (out []any) {
	for _, name := range names {
		out = append(out, row[name])
	}
	return out
}

// addUp is the report by plain arithmetic over the records.
func addUp(records []map[string]any, by, sums []string, from, to time.Time) []map[string]any {
	groups := map[string]map[string]any{}
	costs := map[string]money.Amount{}
	for _, r := range records {
		at, _ := time.Parse(time.RFC3339, r["started_at"].(string))
		if at.Before(from.Truncate(time.Millisecond)) || !at.Before(to) {
			continue
		}
		all := map[string]any{"date": at.Format(time.DateOnly), "date_time": at.Truncate(time.Hour).Format(time.RFC3339)}
		for _, name := range by {
			if _, made := all[name]; !made {
				all[name] = r[name]
			}
		}
		key := fmt.Sprint(values(all, by))
		if groups[key] == nil {
			groups[key] = map[string]any{}
			for _, name := range by {
				groups[key][name] = all[name]
			}
		}
		costs[key] += money.MustParse(r["cost"].(string))
		for _, name := range sums {
			sum, _ := groups[key][name].(float64)
			switch {
			case name == "cost":
				groups[key][name] = costs[key].String()
				continue
			case name == "attempted", name == "connected" && r["answered_at"] != nil, name == "completed" &&
				r["outcome"] == "answered":
				sum++
			case strings.HasSuffix(name, "_sec"):
				sum += r[name].(float64)
			}
			groups[key][name] = sum
		}
	}
	out := []map[string]any{}
	for _, g := range groups {
		out = append(out, g)
	}
	return out
}

func TestUsageReportOrderAndCSV(t *testing.T) {
	h := newHarness(t)
	h.traffic()
	target := "/v2/usage_reports?product=sip-trunking&date_range=this_month" +
		"&dimensions=tn_type,country_code&metrics=attempted,cost"
	rows := h.do("GET", target+"&sort=-cost,tn_type", "").list()
	if len(rows) < 3 {
		t.Fatalf("rows %v", rows)
	}
	for i := 1; i < len(rows); i++ {
		a, b := money.MustParse(rows[i-1]["cost"].(string)), money.MustParse(rows[i]["cost"].(string))
		if a < b || a == b && fmt.Sprint(rows[i-1]["tn_type"]) > fmt.Sprint(rows[i]["tn_type"]) {
			t.Errorf("%v comes before %v", rows[i-1], rows[i])
		}
	}
	r := h.do("GET", target+"&format=csv", "")
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Fatalf("%d %v", r.status, r.header)
	}
	lines, err := csv.NewReader(strings.NewReader(r.text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"tn_type", "country_code", "attempted", "cost"}}
	for _, row := range h.do("GET", target, "").list() {
		country, _ := row["country_code"].(string)
		want = append(want, []string{fmt.Sprint(row["tn_type"]), country,
			fmt.Sprint(row["attempted"]), fmt.Sprint(row["cost"])})
	}
	if diff := gocmp.Diff(want, lines); diff != "" {
		t.Errorf("CSV (-JSON +CSV):\n%s", diff)
	}
	for filter, some := range map[string]bool{
		"filter[country_code]=GB": true, "filter[country_code]=DE": false, "filter[tn_type]=mobile": true,
		"filter[connection_id]=7": false,
	} {
		if got := h.do("GET", target+"&"+filter, "").list(); (len(got) > 0) != some {
			t.Errorf("%s: %v", filter, got)
		}
	}
	options := h.do("GET", "/v2/usage_reports/options", "").list()
	if len(options) != 1 || options[0]["product"] != "sip-trunking" ||
		len(options[0]["product_dimensions"].([]any)) != 17 || len(options[0]["product_metrics"].([]any)) != 6 {
		t.Errorf("options %v", options)
	}
}

func TestActiveCalls(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	other := fmt.Sprint(h.do("POST", "/v2/ip_connections", `{}`).want(http.StatusCreated)["id"])
	var calls []string
	for i := range 7 {
		if i%3 == 1 { // some are within one instant
			h.clock.Advance(time.Second)
		}
		d := h.reserve(connection, "+13125550199").Decision
		calls = append(calls, d.ID.String())
		if i == 0 {
			h.answer(d.ID)
		}
	}
	h.clock.Advance(9 * time.Second)
	base := "/v2/connections/" + connection + "/active_calls"
	all := h.do("GET", base, "").list()
	if len(all) != 7 || all[6]["call_duration"] != 11.0 || all[0]["call_duration"] != 0.0 ||
		all[6]["call_leg_id"] != calls[0] || all[6]["client_state"] != "" {
		t.Fatalf("active calls %v", all)
	}
	var got []map[string]any
	pages := 0
	for target := base + "?page[limit]=3"; target != ""; pages++ {
		r := h.do("GET", target, "")
		got = append(got, r.list()...)
		meta := r.body["meta"].(map[string]any)
		if meta["total_items"] != 7.0 || meta["page_number"] != float64(pages+1) ||
			(meta["previous"] == nil) != (pages == 0) {
			t.Errorf("meta of page %d: %v", pages, meta)
		}
		if previous, ok := meta["previous"].(string); ok {
			before := h.do("GET", previous, "").list()
			if diff := gocmp.Diff(all[3*(pages-1):3*pages], before); diff != "" {
				t.Errorf("page before page %d (-want +got):\n%s", pages, diff)
			}
		}
		target, _ = meta["next"].(string)
	}
	if diff := gocmp.Diff(all, got); diff != "" || pages != 3 {
		t.Errorf("%d pages by cursors (-all +pages):\n%s", pages, diff)
	}
	if diff := gocmp.Diff(all[4:6], h.do("GET", base+"?page[number]=3&page[size]=2", "").list()); diff != "" {
		t.Errorf("by number (-want +got):\n%s", diff)
	}
	// A cursor stays good when its call ends.
	cursor := h.do("GET", base+"?page[limit]=3", "").
		body["meta"].(map[string]any)["cursors"].(map[string]any)["after"].(string)
	ended, err := uuid.Parse(fmt.Sprint(all[2]["call_leg_id"]))
	if err != nil {
		t.Fatal(err)
	}
	h.run(admission.Release{ID: ended, Ending: admission.Ending{Cancelled: true, EndedMicros: h.clock.Now().UnixMicro()}})
	if diff := gocmp.Diff(all[3:], h.do("GET", base+"?page[after]="+cursor, "").list()); diff != "" {
		t.Errorf("after a call that has ended (-want +got):\n%s", diff)
	}
	bad := h.do("GET", base+"?page[after]=nothing", "")
	bad.wantError(http.StatusUnprocessableEntity, "10015 page[after]")
	if !strings.Contains(bad.text, "Give a cursor that an answer gave in meta.cursors.") {
		t.Errorf("what is not a cursor: %s", bad.text)
	}
	if none := h.do("GET", "/v2/connections/"+other+"/active_calls", "").list(); len(none) != 0 {
		t.Errorf("calls of another connection: %v", none)
	}
}

// Events of live and ended calls are one list in the order of their times, of
// which pages of any size are the parts.
func TestCallEvents(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	var live []uuid.UUID
	for i := range 12 {
		h.clock.Advance(time.Minute)
		d := h.reserve(connection, "+13125550199").Decision
		switch i % 4 {
		case 0: // rings
			live = append(live, d.ID)
		case 1: // is up
			live = append(live, d.ID)
			h.answer(d.ID)
		case 2:
			h.answer(d.ID)
			h.clock.Advance(10 * time.Second)
			h.settle(d.ID, 10*time.Second)
		case 3:
			h.run(admission.Release{
				ID: d.ID,
				Ending: admission.Ending{
					Cancelled: true, EndedMicros: h.clock.Now().UnixMicro(), SIPStatus: 487, Cause: "originator_cancel",
					Source: record.SideCaller,
				},
			})
		}
	}
	all := h.do("GET", "/v2/call_events?page[size]=250", "").list()
	// Each round: 1 of the ringing, 2 of the one that is up, 4 of the answered, 2 of the cancelled.
	if len(all) != 3*(1+2+4+2) {
		t.Fatalf("%d events: %v", len(all), all)
	}
	for i := 1; i < len(all); i++ {
		if all[i-1]["event_timestamp"].(string) > all[i]["event_timestamp"].(string) {
			t.Errorf("event %d is before %d", i, i-1)
		}
	}
	for size := 1; size <= len(all)+1; size++ {
		var got []map[string]any
		for page := 1; page <= (len(all)+size-1)/size+1; page++ {
			r := h.do("GET", fmt.Sprintf("/v2/call_events?page[size]=%d&page[number]=%d", size, page), "")
			got = append(got, r.list()...)
			if total := r.body["meta"].(map[string]any)["total_results"]; total != float64(len(all)) {
				t.Errorf("total of page %d of %d: %v", page, size, total)
			}
		}
		if diff := gocmp.Diff(all, got); diff != "" {
			t.Fatalf("pages of %d (-all +pages):\n%s", size, diff)
		}
	}
	answered := fmt.Sprint(all[3]["call_leg_id"])
	events := h.do("GET", "/v2/call_events?filter[leg_id]="+strings.ToUpper(answered), "").list()
	if len(events) != 4 {
		t.Fatalf("events of a call: %v", events)
	}
	cost, hangup := events[3]["metadata"].(map[string]any), events[2]["metadata"].(map[string]any)
	if events[3]["name"] != "call.cost" || cost["total_cost"] != "0.10" || cost["billed_duration_secs"] != 10.0 ||
		hangup["hangup_cause"] != "normal_clearing" || hangup["hangup_source"] != "caller" ||
		hangup["sip_hangup_cause"] != "200" || events[2]["type"] != "webhook" {
		t.Errorf("events of a call: %v", events)
	}
	for filter, want := range map[string]int{
		"filter[leg_id]=" + live[0].String(): 1, "filter[application_session_id]=" + strings.ToUpper(live[1].String()): 2,
		"filter[name]=call.cost": 3, "filter[name]=call.initiated": 12, "filter[type]=command": 0, "filter[type]=webhook": 27,
		"filter[status]=init": 3, "filter[status]=in_progress": 6, "filter[status]=completed": 18,
		"filter[connection_id]=" + connection: 27, "filter[connection_id]=7": 0,
		"filter[outbound.outbound_voice_profile_id]=7": 0, "filter[to]=%2B13125550199": 27, "filter[from]=x": 0,
		"filter[occurred_at][gt]=" + fmt.Sprint(all[0]["event_timestamp"]):  26,
		"filter[occurred_at][gte]=" + fmt.Sprint(all[0]["event_timestamp"]): 27,
		"filter[occurred_at][lt]=" + fmt.Sprint(all[26]["event_timestamp"]): 25,
		"filter[occurred_at][eq]=" + fmt.Sprint(all[26]["event_timestamp"]): 2,
	} {
		if got := h.do("GET", "/v2/call_events?page[size]=250&"+filter, "").list(); len(got) != want {
			t.Errorf("%s finds %d, want %d", filter, len(got), want)
		}
	}
	h.clock.Advance(25 * time.Hour)
	if got := h.do("GET", "/v2/call_events", "").list(); len(got) != 0 {
		t.Errorf("after a day: %v", got)
	}
	if got := h.do("GET", "/v2/call_events?filter[leg_id]="+answered, "").list(); len(got) != 4 {
		t.Errorf("events of a call after a day: %v", got)
	}
}

// TestCallEventsHaveTelnyxsCauses shows the words of call.hangup, whatever the call's own
// cause says.
func TestCallEventsHaveTelnyxsCauses(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	for _, test := range []struct {
		cause  string
		status int32
		want   string
	}{
		{"user_busy", 486, "user_busy"},
		{"unallocated_number", 404, "not_found"},
		{"progress_timeout", 408, "timeout"},
		{"subscriber_absent", 480, "no_answer"},
		{"", 603, "call_rejected"},
		{"a_word_of_the_switch", 500, "unspecified"},
	} {
		call := h.reserve(connection, "+13125550199").Decision.ID
		h.run(admission.Release{ID: call, Ending: admission.Ending{EndedMicros: h.clock.Now().UnixMicro(),
			SIPStatus: test.status, Cause: test.cause, Source: record.SideTollgate}})
		events := h.do("GET", "/v2/call_events?filter[name]=call.hangup&filter[leg_id]="+call.String(), "").list()
		if len(events) != 1 {
			t.Fatalf("%q: events are %v", test.cause, events)
		}
		hangup := events[0]["metadata"].(map[string]any)
		if hangup["hangup_cause"] != test.want || hangup["hangup_source"] != "unknown" {
			t.Errorf("%q is shown as %v by %v, want %q", test.cause, hangup["hangup_cause"], hangup["hangup_source"], test.want)
		}
	}
}

func TestUserTags(t *testing.T) {
	h := newHarness(t)
	tags := func(query string) any {
		t.Helper()
		return h.do("GET", "/v2/user_tags"+query, "").want(http.StatusOK)["outbound_profile_tags"]
	}
	first := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"one","tags":["Office","NYC","100%_x"]}`).
		want(http.StatusOK)
	second := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"two","tags":["OFFICE","ödland"]}`).want(http.StatusOK)
	if diff := gocmp.Diff([]any{"100%_x", "NYC", "Office", "ödland"}, tags("")); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	for start, want := range map[string][]any{
		"OFF": {"Office"}, "%25": {}, "100%25_": {"100%_x"}, "%C3%96": {"ödland"}, "fice": {},
	} {
		if diff := gocmp.Diff(want, tags("?filter[starts_with]="+start)); diff != "" {
			t.Errorf("tags that start with %s (-want +got):\n%s", start, diff)
		}
	}
	// A tag is written as the account wrote it first, even when that use is over.
	h.do("DELETE", fmt.Sprint("/v2/outbound_voice_profiles/", first["id"]), "").want(http.StatusOK)
	if diff := gocmp.Diff([]any{"Office", "ödland"}, tags("")); diff != "" {
		t.Errorf("after the first profile is gone (-want +got):\n%s", diff)
	}
	h.do("PATCH", fmt.Sprint("/v2/outbound_voice_profiles/", second["id"]), `{"tags":["nyc"]}`).want(http.StatusOK)
	if diff := gocmp.Diff([]any{"NYC"}, tags("")); diff != "" {
		t.Errorf("after a change (-want +got):\n%s", diff)
	}
	_, stranger := h.secondAccount()
	got := h.doWith(stranger, "GET", "/v2/user_tags", "").want(http.StatusOK)
	if len(got["outbound_profile_tags"].([]any)) != 0 {
		t.Errorf("another account's tags: %v", got)
	}
}

func TestBalance(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office","daily_spend_limit":"10.00","daily_spend_limit_enabled":true,"spend_limit_action":"end_calls"}`)
	balance := func(key string) map[string]any {
		t.Helper()
		return h.doWith(key, "GET", "/v2/balance", "").want(http.StatusOK)
	}
	want := map[string]any{
		"record_type": "balance", "balance": "0.00", "credit_limit": "0.00", "available_credit": "0.00", "pending": "0.00",
		"currency": "USD",
	}
	if diff := gocmp.Diff(want, balance(h.key)); diff != "" {
		t.Errorf("before any call (-want +got):\n%s", diff)
	}
	d := h.reserve(connection, "+13125550199").Decision
	h.answer(d.ID)
	if got := balance(h.key); got["pending"] == "0.00" || got["balance"] != "0.00" {
		t.Errorf("during a call: %v", got)
	}
	h.clock.Advance(5 * time.Second)
	h.settle(d.ID, 5*time.Second)
	want["balance"], want["available_credit"] = "-0.05", "-0.05"
	if diff := gocmp.Diff(want, balance(h.key)); diff != "" {
		t.Errorf("after a call (-want +got):\n%s", diff)
	}
	_, stranger := h.secondAccount()
	if got := balance(stranger); got["balance"] != "0.00" {
		t.Errorf("another account's: %v", got)
	}
	h.clock.Advance(21 * 24 * time.Hour)
	if got := balance(h.key); got["balance"] != "0.00" {
		t.Errorf("next month: %v", got)
	}
}

func TestRecordingsAreNone(t *testing.T) {
	h := newHarness(t)
	filters := "filter[from]=%2B13125550100&filter[created_at][gte]=2026-03-01T00:00:00Z" +
		"&filter[end_time][lte]=2026-03-02T00:00:00Z&filter[connection_id]=7&page[size]=250"
	r := h.do("GET", "/v2/recordings?"+filters, "")
	want := map[string]any{"page_number": 1.0, "page_size": 250.0, "total_pages": 0.0, "total_results": 0.0}
	if diff := gocmp.Diff(want, r.body["meta"]); diff != "" || len(r.list()) != 0 {
		t.Errorf("recordings %s (-want +got):\n%s", r.text, diff)
	}
	r = h.do("POST", "/v2/recordings/actions/delete",
		`{"ids":["428c31b6-7af4-4bcb-b7f5-5013ef9657c1","428c31b6-7af4-4bcb-b7f5-5013ef9657c2"]}`)
	r.want(http.StatusOK)
	if r.body["status"] != "ok" {
		t.Errorf("deleted: %s", r.text)
	}
}
