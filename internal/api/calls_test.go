package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// importDeck imports a deck and makes it the default one.
func (h *harness) importDeck(csv string) string {
	h.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + h.key}, "Content-Type": {"text/csv"}}
	made := h.send("POST", "/tollgate/v1/rate_decks?name=deck", header, strings.NewReader(csv)).want(http.StatusCreated)
	one := fmt.Sprint(made["id"])
	if got := h.do("POST", "/tollgate/v1/rate_decks/"+one+"/activate", "").want(http.StatusOK)["active"]; got != true {
		h.t.Errorf("active is %v after activation", got)
	}
	return one
}

// reserve puts an attempt through the store, as the SIP gateway does.
func (h *harness) reserve(connection, to string) admission.Result {
	h.t.Helper()
	return h.reserveFrom(connection, "+13125550100", to)
}

func (h *harness) reserveFrom(connection, from, to string) admission.Result {
	h.t.Helper()
	key, err := id.Parse(connection)
	if err != nil {
		h.t.Fatal(err)
	}
	result, err := h.store.Do(h.t.Context(), admission.Reserve{Owner: uuid.New(), Call: admission.Call{
		ID: uuid.New(), Connection: key, Identity: policy.IdentityKnown, From: from, To: to, SIPCallID: "abc@pbx"}})
	if err != nil || result.Err != nil {
		h.t.Fatal(err, result.Err)
	}
	return result
}

// refusedCall makes an attempt that is refused, and returns its id.
func (h *harness) refusedCall(connection string) string {
	h.t.Helper()
	return h.refusedCallTo(connection, "+13125550199")
}

func (h *harness) refusedCallTo(connection, to string) string {
	h.t.Helper()
	d := h.reserve(connection, to).Decision
	if d.Allow {
		h.t.Fatal("the call was let through")
	}
	return d.ID.String()
}

// pbx makes a profile with a limit and a connection with it, over a deck.
func (h *harness) pbx(profile string) (profileID, connection string) {
	h.t.Helper()
	h.importDeck("prefix,rate,first increment,increment\n1,0.60,1,1\n1900,5,60,60\n44,1.20,60,60\n")
	made := h.do("POST", "/v2/outbound_voice_profiles", profile).want(http.StatusOK)
	profileID = fmt.Sprint(made["id"])
	c := h.do("POST", "/v2/ip_connections",
		fmt.Sprintf(`{"connection_name":"pbx","outbound":{"outbound_voice_profile_id":%q}}`, profileID)).
		want(http.StatusCreated)
	return profileID, fmt.Sprint(c["id"])
}

func TestCallFromReservationToRecord(t *testing.T) {
	h := newHarness(t)
	profile, connection := h.pbx(`{"name":"office","daily_spend_limit":"10.00","daily_spend_limit_enabled":true,"spend_limit_action":"end_calls"}`)
	reserved := h.reserve(connection, "+13125550199")
	call := reserved.Decision.ID
	if !reserved.Decision.Allow {
		t.Fatalf("refused: %v", reserved.Decision.Reason)
	}
	h.clock.Advance(2 * time.Second)
	do := func(c admission.Command) {
		t.Helper()
		if result, err := h.store.Do(t.Context(), c); err != nil || result.Err != nil {
			t.Fatal(err, result.Err)
		}
	}
	do(admission.Answer{ID: call, AtMicros: h.clock.Now().UnixMicro()})
	h.clock.Advance(5 * time.Second)

	live := h.do("GET", "/tollgate/v1/calls", "").list()
	if len(live) != 1 || live[0]["id"] != call.String() || live[0]["to"] != "+13125550199" || live[0]["rate"] != "0.60" ||
		live[0]["answered_at"] == nil || live[0]["country_code"] != "US" ||
		live[0]["granted_sec"] != float64(reserved.GrantedSecs) {
		t.Errorf("live calls %v", live)
	}
	if none := h.do("GET", "/tollgate/v1/calls?filter[connection_id]=7", "").list(); len(none) != 0 {
		t.Errorf("calls of another connection: %v", none)
	}
	usage := h.do("GET", "/tollgate/v1/outbound_voice_profiles/"+profile+"/usage", "").want(http.StatusOK)
	if usage["live_calls"] != 1.0 || usage["held"] != live[0]["held"] || usage["held"] == "0.00" ||
		usage["daily_spend_limit"] != "10.00" || usage["day"] != "2026-03-11" {
		t.Errorf("usage %v of %v", usage, live)
	}

	do(admission.Settle{ID: call, Ending: admission.Ending{RingingMicros: start.Add(time.Second).UnixMicro(),
		EndedMicros: h.clock.Now().UnixMicro(), Elapsed: 5 * time.Second, SIPStatus: 200, SIPPhrase: "OK",
		Cause: "normal_clearing", Source: record.SideCaller,
		Quality: &record.Quality{Caller: record.Reception{
			Packets: 240, Lost: 10, JitterPackets: 239, Jitter: 2 * time.Millisecond,
		}}}})
	listed := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&filter[outbound_profile_id]="+profile, "").
		list()
	one := h.do("GET", "/v2/detail_records/"+call.String(), "").want(http.StatusOK)
	if diff := cmp.Diff([]map[string]any{one}, listed); diff != "" {
		t.Errorf("one record differs from the list (-one +list):\n%s", diff)
	}
	want := map[string]any{
		"record_type": "sip-trunking", "direction": "outbound", "from": "+13125550100", "to": "+13125550199",
		"cli": "+13125550100", "cld": "+13125550199", "started_at": "2026-03-11T15:04:05.678Z",
		"ringing_at": "2026-03-11T15:04:06.678Z", "answered_at": "2026-03-11T15:04:07.678Z",
		"finished_at": "2026-03-11T15:04:12.678Z", "pdd_ms": 1000.0, "call_sec": 5.0, "billed_sec": 5.0, "rate": "0.60",
		"rate_prefix": "1", "cost": "0.05", "currency": "USD",
		"slices":              []any{map[string]any{"day": "2026-03-11", "billed_sec": 5.0, "cost": "0.05"}},
		"outbound_profile_id": profile, "connection_id": connection, "country_code": "US", "outcome": "answered",
		"decision": "allowed", "decision_id": call.String(), "reason": nil, "hangup_cause": "NORMAL_CLEARING",
		"hangup_code": "200", "hangup_source": "caller", "attempted": 1.0, "connected": 1.0, "completed": 1.0,
		"telnyx_session_id": call.String(), "country_iso": "US", "telnyx_error_code": nil, "hangup_details": "recv_bye",
		"sip_invite_failure_status": nil, "shaken_stir": nil, "mos": "4.01",
		"connection_name":     h.do("GET", "/v2/ip_connections/"+connection, "").want(http.StatusOK)["connection_name"],
		"short_duration_call": true, "overrun_sec": 0.0, "sip_call_id": "abc@pbx", "emergency": false,
		"granted_sec": one["granted_sec"],
	}
	for name, value := range want {
		if diff := cmp.Diff(value, one[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]any{}, one["recording_ids"]); diff != "" {
		t.Errorf("recordings of a call that was not recorded (-want +got):\n%s", diff)
	}
	kept := h.recording(func(r *record.Recording) { r.CallID = call })
	h.recording() // of another call
	ids := func(deleted bool) {
		t.Helper()
		want := []any{kept.ID.String()}
		if deleted {
			want = []any{}
		}
		listed := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&filter[id]="+call.String(), "").list()
		for _, r := range append(listed, h.do("GET", "/v2/detail_records/"+call.String(), "").want(http.StatusOK)) {
			if diff := cmp.Diff(want, r["recording_ids"]); diff != "" {
				t.Errorf("recording_ids (-want +got):\n%s", diff)
			}
		}
	}
	ids(false)
	h.do("DELETE", "/v2/recordings/"+kept.ID.String(), "").want(http.StatusOK)
	ids(true)
	usage = h.do("GET", "/tollgate/v1/outbound_voice_profiles/"+profile+"/usage", "").want(http.StatusOK)
	if usage["posted"] != "0.05" || usage["held"] != "0.00" || usage["remaining"] != "9.95" || usage["live_calls"] != 0.0 {
		t.Errorf("usage after the call %v", usage)
	}
}

func TestDecisionExplainsItself(t *testing.T) {
	h := newHarness(t)
	profile, connection := h.pbx(`{"name":"office"}`)
	d := h.reserve(connection, "+442079460000").Decision
	got := h.do("GET", "/tollgate/v1/decisions/"+d.ID.String(), "").want(http.StatusOK)
	want := map[string]any{
		"id": d.ID.String(), "allowed": false, "reason": "destination_not_whitelisted", "code": "D13", "sip_status": 403.0,
		"sip_phrase": "Dialed number +442079460000 (associated countries: " +
			"GBR) is not included in whitelisted countries CAN,USA D13",
		"cld": "+442079460000", "country_code": "GB", "outbound_voice_profile_id": profile,
		"connection_id": connection, "rate": "1.20", "connection_version": 1.0, "outbound_voice_profile_version": 1.0,
	}
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	var names []string
	for _, rule := range got["rules"].([]any) {
		step := rule.(map[string]any)
		names = append(names, step["rule"].(string))
		if step["rule"] == "country" && (step["verdict"] != "refuse" || step["seen"] != "GBR" || step["fix"] == "") {
			t.Errorf("the rule that refused: %v", step)
		}
	}
	all := "emergency connection profile caller_id number country " +
		"number_type rate calling_window channels daily_spend_limit"
	if !strings.HasPrefix(strings.Join(names, " "), all+" ") { // and then those that have come since
		t.Errorf("rules %v", names)
	}
	refused := "/v2/detail_records?filter[record_type]=sip-trunking&filter[status]=refused" +
		"&filter[country_code]=GB&filter[date_range]=today"
	records := h.do("GET", refused, "").list()
	if len(records) != 1 || records[0]["decision_id"] != d.ID.String() || records[0]["decision"] != "refused" ||
		records[0]["reason"] != "destination_not_whitelisted" {
		t.Errorf("records of the refusal %v", records)
	}
	for name, value := range map[string]any{
		"attempted": 1.0, "connected": 0.0, "completed": 0.0, "telnyx_error_code": "D13", "hangup_cause": "CALL_REJECTED",
		"hangup_details": "send_refuse", "sip_invite_failure_status": "403",
	} {
		if records[0][name] != value {
			t.Errorf("%s of the refusal: %v, want %v", name, records[0][name], value)
		}
	}
	for _, none := range []string{"filter[date_range]=yesterday", "filter[cld]=%2B13125550199", "filter[status]=answered",
		"filter[started_at][gte]=2026-03-12T00:00:00Z", "filter[started_at][lt]=2026-03-11T15:04:05.678Z",
		"filter[emergency]=true"} {
		if found := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&"+none, "").list(); len(found) != 0 {
			t.Errorf("%s finds %v", none, found)
		}
	}
	for _, some := range []string{
		"filter[date_range]=this_month", "filter[date_range]=this_week", "filter[cld]=%2B442079460000",
		"filter[started_at][gte]=2026-03-11T15:04:05.678Z", "filter[from]=%2B13125550100",
		"filter[reason]=destination_not_whitelisted",
	} {
		if found := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&"+some, "").list(); len(found) != 1 {
			t.Errorf("%s finds %v", some, found)
		}
	}
}

func TestRecordsInOrder(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	var calls []string
	for range 5 {
		calls = append(calls, h.refusedCallTo(connection, "+442079460000"))
		h.clock.Advance(time.Second)
	}
	for sort, newestFirst := range map[string]bool{
		"": true, "&sort=started_at": false, "&sort=-finished_at": true, "&sort=cost,-started_at": true,
		"&sort=billed_sec,answered_at,started_at": false,
	} {
		for i, r := range h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&page[size]=5"+sort, "").list() {
			want := calls[i]
			if newestFirst {
				want = calls[len(calls)-1-i]
			}
			if r["id"] != want {
				t.Errorf("sort %q: place %d has %v, want %s", sort, i, r["id"], want)
			}
		}
	}
	second := start.Add(time.Second).Format("2006-01-02T15:04:05.000Z")
	for filter, want := range map[string]int{"[started_at][gte]=": 4, "[started_at][lte]=": 2, "[finished_at][lt]=": 1} {
		got := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&filter"+filter+second, "").list()
		if len(got) != want {
			t.Errorf("filter%s%s finds %d, want %d", filter, second, len(got), want)
		}
	}
}

// A forecast says what a call would get, and leaves no trace.
func TestForecast(t *testing.T) {
	h := newHarness(t)
	profile, connection := h.pbx(`{"name":"office","concurrent_call_limit":1,"daily_spend_limit":"3.00","daily_spend_limit_enabled":true,
		"calling_window":{"start_time":"08:00","end_time":"20:00","calls_per_cld":2}}`)
	explain := func(body string) map[string]any {
		t.Helper()
		return h.do("POST", "/tollgate/v1/decisions/explain", body).want(http.StatusOK)
	}
	byConnection := fmt.Sprintf(`{"connection_id":%q,"from":"+13125550100","to":"+13125550199"}`, connection)
	byProfile := fmt.Sprintf(`{"outbound_voice_profile_id":%q,"from":"+13125550100","to":"+13125550199"}`, profile)
	for _, body := range []string{byConnection, byProfile} {
		got := explain(body)
		// 3.00 at 0.60 a minute is 300 seconds.
		if got["allowed"] != true || got["reason"] != "allowed" || got["rate"] != "0.60" ||
			got["budget_sec"] != 300.0 || got["id"] != nil {
			t.Errorf("%s: %v", body, got)
		}
	}
	if got := explain(byProfile); got["connection_id"] != nil || got["outbound_voice_profile_id"] != profile {
		t.Errorf("by profile: connection %v, profile %v", got["connection_id"], got["outbound_voice_profile_id"])
	}
	night := strings.TrimSuffix(byConnection, "}") + `,"at":"2026-03-11T23:00:00Z"}`
	if got := explain(night); got["reason"] != "outside_calling_window" {
		t.Errorf("at night: %v", got["reason"])
	}
	emergency := strings.ReplaceAll(byConnection, "+13125550199", "911")
	if got := explain(emergency); got["allowed"] != true || got["emergency"] != true || got["budget_sec"] != nil {
		t.Errorf("emergency: %v", got)
	}
	if calls := h.do("GET", "/tollgate/v1/calls", "").list(); len(calls) != 0 {
		t.Errorf("a forecast holds %v", calls)
	}
	if records := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking", "").list(); len(records) != 0 {
		t.Errorf("a forecast left %v", records)
	}

	// With one call up its channel is taken; a forecast must agree with an attempt.
	first := h.reserve(connection, "+13125550199").Decision
	if got := explain(byConnection); got["reason"] != "profile_channel_limit" {
		t.Errorf("with one call up: %v", got["reason"])
	}
	release := func(call uuid.UUID) {
		t.Helper()
		result, err := h.store.Do(t.Context(),
			admission.Release{ID: call, Ending: admission.Ending{Cancelled: true, EndedMicros: h.clock.Now().UnixMicro()}})
		if err != nil || result.Err != nil {
			t.Fatal(err, result.Err)
		}
	}
	release(first.ID)
	if got := explain(byConnection); got["allowed"] != true {
		t.Errorf("after one call: %v", got["reason"])
	}
	release(h.reserve(connection, "+13125550199").Decision.ID)
	if got := explain(byConnection); got["reason"] != "callee_limit" {
		t.Errorf("after two calls to one number: %v", got["reason"])
	}
	if d := h.reserve(connection, "+13125550199").Decision; d.Reason.String() != "callee_limit" {
		t.Errorf("the attempt differs from the forecast: %v", d.Reason)
	}
	tomorrow := strings.TrimSuffix(byConnection, "}") + `,"at":"2026-03-12T12:00:00Z"}`
	if got := explain(tomorrow); got["allowed"] != true {
		t.Errorf("tomorrow: %v", got["reason"])
	}
}

func TestRateDecks(t *testing.T) {
	h := newHarness(t)
	first := h.importDeck("prefix,rate,connect fee,first " +
		"increment,increment,description\n44,0.0125,0.01,30,6,UK\n1,0.005,0,60,60,\n")
	got := h.do("GET", "/tollgate/v1/rate_decks/"+first, "").want(http.StatusOK)
	if got["rows"] != 2.0 || got["active"] != true || got["name"] != "deck" {
		t.Errorf("deck %v", got)
	}
	rows := h.do("GET", "/tollgate/v1/rate_decks/"+first+"/rows?page[size]=1&page[number]=2", "")
	want := map[string]any{
		"record_type": "rate_deck_row", "prefix": "44", "rate": "0.0125", "connect_fee": "0.01", "first_increment": 30.0,
		"increment": 6.0, "description": "UK", "effective_at": nil,
	}
	if diff := cmp.Diff([]map[string]any{want}, rows.list()); diff != "" {
		t.Errorf("second row (-want +got):\n%s", diff)
	}
	h.do("DELETE", "/tollgate/v1/rate_decks/"+first, "").wantError(http.StatusUnprocessableEntity, "10021 /")
	h.importDeck("prefix,rate\n1,0.01\n")
	h.do("DELETE", "/tollgate/v1/rate_decks/"+first, "").want(http.StatusOK)
	if decks := h.do("GET", "/tollgate/v1/rate_decks", "").list(); len(decks) != 1 {
		t.Errorf("decks %v", decks)
	}
	header := http.Header{"Authorization": {"Bearer " + h.key}, "Content-Type": {"text/csv; charset=utf-8"}}
	for _, c := range []struct {
		name, csv string
		status    int
		want      []string
	}{
		{"bad cells", "prefix,rate\nabc,0.01\n44,free\n", 422, []string{"10015 /2/prefix", "10015 /3/rate"}},
		{"no rows", "prefix,rate\n", 422, []string{"10015 /"}},
		{"no header", "", 422, []string{"10015 /"}},
		{"a question", "prefix,rate,days\n44,0.01,Sat-Sun\n", 422, []string{"10015 /"}},
		{"not text", "prefix,rate\n44,\x00\n", 400, []string{"10028 /"}},
		{"duplicate", "prefix,rate\n44,0.01\n44,0.02\n", 422, []string{"10015 /3/prefix"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			h.send("POST", "/tollgate/v1/rate_decks?name=bad", header, strings.NewReader(c.csv)).wantError(c.status, c.want...)
		})
	}
	h.t = t
	h.send("POST", "/tollgate/v1/rate_decks", header, strings.NewReader("prefix,rate\n1,1\n")).
		wantError(http.StatusUnprocessableEntity, "10004 name")
}
