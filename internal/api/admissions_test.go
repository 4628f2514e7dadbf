package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// admit asks for admission of a call of a connection.
func (h *harness) admit(connection, callID, to string) reply {
	h.t.Helper()
	return h.do("POST", "/tollgate/v1/admissions", attemptOf(connection, callID, to))
}

func attemptOf(connection, callID, to string) string {
	return fmt.Sprintf(`{"connection_id":%q,"call_id":%q,"request_id":%q,"from":"+13125550100","to":%q}`,
		connection, callID, "of "+callID, to)
}

func (h *harness) event(callID, event, body string) reply {
	h.t.Helper()
	return h.do("POST", "/tollgate/v1/admissions/"+callID+"/"+event, body)
}

// status gets where a call is.
func (h *harness) status(callID string) map[string]any {
	h.t.Helper()
	return h.do("GET", "/tollgate/v1/admissions/"+callID, "").want(http.StatusOK)
}

func TestAdmissionFromQuestionToRecord(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	profile, pbx := h.pbx(`{"name":"pbx","call_recording":{"call_recording_type":"all","call_recording_channels":"dual","call_recording_format":"wav","call_recording_caller_phone_numbers":[]}}`)
	h.do("POST", "/tollgate/v1/gateways",
		`{"name":"carrier","address":"192.0.2.7:5070","prefix":"99","number_format":"e164"}`).want(http.StatusCreated)

	first := h.admit(pbx, "a@pbx", "+13125550199")
	got := first.want(http.StatusOK)
	gateway := got["routes"].([]any)[0].(map[string]any)["gateway_id"]
	want := map[string]any{"id": got["id"], "record_type": "admission", "call_id": "a@pbx", "decision": "allow",
		"decision_id": got["id"], "status": "ringing", "emergency": false, "grant_secs": 30.0,
		"expires_at": rest.WireTime(start.Add(5 * time.Minute)), "caller_id": "+13125550100", "caller_id_confirmed": false,
		"attestation": "B", "rate": "0.60", "connect_fee": "0.00", "first_increment": 1.0, "increment": 1.0,
		"routes": []any{map[string]any{"gateway_id": gateway, "address": "192.0.2.7:5070",
			"transport": "udp", "number": "9913125550199", "caller_id": "+13125550100",
			"identity": "pass", "identity_header": nil, "date_header": nil}},
		"recording": map[string]any{"record": true, "channels": "dual", "format": "wav"}, "reason": nil, "sip_code": nil,
		"sip_reason": nil, "max_call_secs": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := h.admit(pbx, "a@pbx", "+13125550199"); again.text != first.text {
		t.Errorf("repeated: %s", again.text)
	}

	for _, name := range []string{"a@pbx", fmt.Sprint(got["id"])} {
		if diff := cmp.Diff(map[string]any{"id": got["id"], "record_type": "admission_status", "call_id": "a@pbx",
			"status": "ringing", "decision_id": got["id"], "emergency": false, "from": "+13125550100", "to": "+13125550199",
			"connection_id": pbx, "outbound_voice_profile_id": profile, "gateway_id": nil, "rate": "0.60",
			"started_at": rest.WireTime(start), "answered_at": nil, "ended_at": nil, "elapsed_secs": nil, "grant_secs": 30.0,
			"max_call_secs": nil, "expires_at": got["expires_at"], "posted": "0.00", "held": "0.30", "detail_record_id": nil,
			"outcome": nil, "duration_secs": nil, "billed_secs": nil, "cost": nil, "overrun_secs": nil, "hangup_cause": nil,
			"reason": nil, "sip_code": nil, "sip_reason": nil}, h.status(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	h.clock.Advance(5 * time.Second)
	answered := h.event("a@pbx", "answer", fmt.Sprintf(`{"gateway_id":%q}`, gateway)).want(http.StatusOK)
	if answered["status"] != "answered" || answered["expires_at"] != rest.WireTime(start.Add(35*time.Second)) {
		t.Errorf("answered: %v", answered)
	}
	h.clock.Advance(20 * time.Second)
	renewed := h.event("a@pbx", "renew", `{"duration_secs":20}`)
	if got := renewed.want(http.StatusOK); got["grant_secs"] != 60.0 {
		t.Errorf("renewed: %v", got)
	}
	if got := h.status("a@pbx"); got["status"] != "answered" ||
		got["answered_at"] != rest.WireTime(start.Add(5*time.Second)) ||
		got["elapsed_secs"] != 20.0 || got["grant_secs"] != 60.0 ||
		got["expires_at"] != rest.WireTime(start.Add(65*time.Second)) || got["posted"] != "0.00" ||
		got["held"] != "0.60" || got["gateway_id"] != gateway || got["detail_record_id"] != nil {
		t.Errorf("answered and renewed: %v", got)
	}
	if again := h.event("a@pbx", "renew", `{"duration_secs":20}`); again.text != renewed.text {
		t.Errorf("renewed again: %s", again.text)
	}
	h.clock.Advance(21 * time.Second)
	ended := h.event(fmt.Sprint(got["id"]), "end", `{"duration_secs":40.5,"hangup_source":"callee"}`)
	data := ended.want(http.StatusOK)
	if data["status"] != "ended" || data["outcome"] != "answered" || data["billed_secs"] != 41.0 ||
		data["cost"] != "0.41" || data["duration_secs"] != 40.5 {
		t.Errorf("ended: %v", data)
	}
	if again := h.event("a@pbx", "end", `{"duration_secs":40.5,"hangup_source":"callee"}`); again.text != ended.text {
		t.Errorf("ended again: %s", again.text)
	}
	over := h.status("a@pbx")
	for name, want := range map[string]any{
		"status": "ended", "detail_record_id": got["id"], "cost": "0.41", "billed_secs": 41.0, "duration_secs": 40.5,
		"outcome": "answered", "grant_secs": nil, "expires_at": nil, "elapsed_secs": nil, "posted": nil, "held": nil,
		"gateway_id": gateway, "from": "+13125550100", "call_id": "a@pbx",
	} {
		if over[name] != want {
			t.Errorf("over: %s is %v, want %v", name, over[name], want)
		}
	}
	h.do("GET", fmt.Sprint("/v2/detail_records/", over["detail_record_id"]), "").want(http.StatusOK)
	records := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking", "").list()
	if len(records) != 1 || records[0]["cost"] != "0.41" || records[0]["sip_call_id"] != "a@pbx" ||
		records[0]["gateway_id"] != gateway || records[0]["hangup_source"] != "callee" {
		t.Errorf("records: %v", records)
	}
	usage := h.do("GET", "/tollgate/v1/outbound_voice_profiles/"+profile+"/usage", "").want(http.StatusOK)
	if usage["posted"] != "0.41" || usage["held"] != "0.00" {
		t.Errorf("usage: %v", usage)
	}
	if calls := h.do("GET", "/tollgate/v1/calls", "").list(); len(calls) != 0 {
		t.Errorf("calls left: %v", calls)
	}
}

func TestDeniedAdmission(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	denied := h.admit(pbx, "b@pbx", "+442079460000").want(http.StatusOK)
	for name, want := range map[string]any{
		"decision": "deny", "status": "denied", "reason": "destination_not_whitelisted", "sip_code": 403.0, "grant_secs": nil,
		"sip_reason": "Dialed number +442079460000 (associated countries: " +
			"GBR) is not included in whitelisted countries CAN,USA D13",
	} {
		if denied[name] != want {
			t.Errorf("%s is %v, want %v", name, denied[name], want)
		}
	}
	d := h.do("GET", "/tollgate/v1/decisions/"+fmt.Sprint(denied["decision_id"]), "").want(http.StatusOK)
	if d["reason"] != denied["reason"] {
		t.Errorf("decision: %v", d)
	}
	if got := h.status("b@pbx"); got["status"] != "denied" || got["outcome"] != "refused" ||
		got["reason"] != denied["reason"] || got["detail_record_id"] != denied["id"] || got["sip_code"] != 403.0 {
		t.Errorf("status of a denied call: %v", got)
	}
	// No other account sees it, by whichever name.
	other, _ := h.secondAccount()
	stranger := h.newKey(other.ID, Scopes()...)
	for _, name := range []string{"b@pbx", fmt.Sprint(denied["id"]), "nothing", "%01"} {
		h.doWith(stranger, "GET", "/tollgate/v1/admissions/"+name, "").wantError(http.StatusNotFound, "10005 /")
	}
	h.doWith(h.newKey(other.ID, ScopeRead), "GET", "/tollgate/v1/admissions/b@pbx", "").
		wantError(http.StatusForbidden, "10010 /")
	bad := h.do("POST", "/tollgate/v1/admissions", `{"source_ip":"203.0.113.5","call_id":"\u0001","to":"+13125550199"}`)
	bad.wantError(http.StatusUnprocessableEntity, "10015 /call_id")
	if !strings.Contains(bad.text, "Give a text of 1 to 255 characters, none of them a control character.") {
		t.Errorf("people are shown a pattern: %s", bad.text)
	}
	// Who is not known is denied too, and can look up why.
	unknown := h.do("POST", "/tollgate/v1/admissions", `{"source_ip":"203.0.113.5","call_id":"c","to":"+13125550199"}`).
		want(http.StatusOK)
	if unknown["reason"] != "connection_unknown" {
		t.Errorf("unknown: %v", unknown)
	}
	h.do("GET", "/tollgate/v1/decisions/"+fmt.Sprint(unknown["decision_id"]), "").want(http.StatusOK)
	if end := h.event("b@pbx", "end", `{}`).want(http.StatusOK); end["status"] != "denied" || end["outcome"] != "refused" {
		t.Errorf("end of a denied call: %v", end)
	}
}

// switchHarness is a harness whose key may ask for admission, and which counts what
// is not taken.
func switchHarness(t testing.TB) (h *harness, rejected map[string]int) {
	t.Helper()
	h = newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	rejected = map[string]int{}
	h.api.Rejected = func(why string) { rejected[why]++ }
	return h, rejected
}

func TestBatchOfEvents(t *testing.T) {
	h, rejected := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	batch := func(events ...string) []map[string]any {
		t.Helper()
		r := h.do("POST", "/tollgate/v1/admissions/batch", `{"events":[`+strings.Join(events, ",")+`]}`)
		return r.list()
	}
	admit := func(call, to string) string { return `{"event":"admit","admission":` + attemptOf(pbx, call, to) + `}` }
	// The whole life of calls in one request, what is refused among it.
	got := batch(
		admit("a", "+13125550199"), `{"event":"answer","id":"a"}`, `{"event":"renew","id":"a"}`,
		admit("b", "+442079460000"), `{"event":"end","id":"no-such-call"}`, admit("a", "+13125550100"),
		`{"event":"end","id":"c","answered":true,"duration_secs":2,"admission":`+attemptOf(pbx, "c", "+13125550199")+`}`,
		`{"event":"admit"}`, admit("c", "+13125550199"))
	var seen []string
	for _, r := range got {
		seen = append(seen, fmt.Sprint(r["status"])+" "+summary(r))
	}
	want := []string{
		"200 ringing", "200 answered", "200 answered", "200 denied", "404 10005", "422 10027", "200 ended 0.02", "422 10004",
		"200 ended",
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"unknown_call": 1, "other_values": 1, "malformed": 1}, rejected); diff != "" {
		t.Errorf("counted:\n%s", diff)
	}
	// As many as a batch may have, at once.
	many := make([]string, maxBatch)
	for i := range many {
		many[i] = admit(fmt.Sprint("many-", i), "+13125550199")
	}
	for i, r := range batch(many...) {
		if r["status"] != 200.0 || r["admission"].(map[string]any)["call_id"] != fmt.Sprint("many-", i) {
			t.Fatalf("call %d: %v", i, r)
		}
	}
	h.do("POST", "/tollgate/v1/admissions/batch", `{"events":[`+strings.Join(many, ",")+`,`+many[0]+`]}`).
		wantError(http.StatusUnprocessableEntity, "10025 /events")
	calls := h.do("GET", "/tollgate/v1/calls?page[size]=1", "").body["meta"].(map[string]any)["total_results"]
	if calls != float64(maxBatch+1) {
		t.Errorf("%v calls are live", calls)
	}
	restarted := h.do("POST", "/tollgate/v1/switches/unknown/restarted", `{}`).want(http.StatusOK)
	if restarted["ended"] != 0.0 {
		t.Errorf("restart of a switch without calls: %v", restarted)
	}
}

// summary is the status of a call, or the code of an error, in a result of a batch.
func summary(r map[string]any) string {
	for _, name := range []string{"admission", "state"} {
		if one, ok := r[name].(map[string]any); ok {
			if one["cost"] != nil {
				return fmt.Sprint(one["status"], " ", one["cost"])
			}
			return fmt.Sprint(one["status"])
		}
	}
	return fmt.Sprint(r["error"].(map[string]any)["code"])
}

func TestRestartedSwitchEndsItsCalls(t *testing.T) {
	h, _ := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	admit := func(call, name string) {
		t.Helper()
		h.do("POST", "/tollgate/v1/admissions",
			fmt.Sprintf(`{"connection_id":%q,"call_id":%q,"from":"+13125550100","to":"+13125550199","switch":%q}`,
				pbx, call, name)).want(http.StatusOK)
	}
	admit("a", "edge 1")
	admit("b", "edge 1")
	admit("c", "edge 2")
	h.event("a", "answer", `{}`).want(http.StatusOK)
	h.clock.Advance(10 * time.Second)
	at := h.clock.Now()
	h.clock.Advance(time.Second)
	admit("d", "edge 1")
	for _, want := range []float64{2, 0} {
		r := h.do("POST", "/tollgate/v1/switches/edge%201/restarted", fmt.Sprintf(`{"restarted_at":%q}`, rest.WireTime(at))).
			want(http.StatusOK)
		if r["ended"] != want || r["switch"] != "edge 1" {
			t.Errorf("restarted: %v, want %v ended", r, want)
		}
	}
	for call, want := range map[string]string{"a": "ended 0.10", "b": "ended 0.00", "c": "ringing", "d": "ringing"} {
		state := h.event(call, "renew", `{}`).want(http.StatusOK)
		if got := summary(map[string]any{"state": state}); got != want {
			t.Errorf("call %s is %s, want %s", call, got, want)
		}
	}
}

// What cannot be is refused, counted, and changes nothing.
func TestImplausibleEvents(t *testing.T) {
	h, rejected := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	h.admit(pbx, "a", "+13125550199").want(http.StatusOK)
	hour := rest.WireTime(start.Add(time.Hour))
	before := h.do("GET", "/tollgate/v1/calls", "").text
	for _, c := range []struct{ event, body, want string }{
		{"answer", `{"answered_at":"` + hour + `"}`, "10033 /answered_at"},
		{"answer", `{"answered_at":"` + rest.WireTime(start.Add(-time.Hour)) + `"}`, "10033 /answered_at"},
		{"renew", `{"duration_secs":7200}`, "10033 /duration_secs"},
		{"end", `{"ended_at":"` + hour + `"}`, "10033 /ended_at"},
		{"end", `{"duration_secs":7200,"answered":true}`, "10033 /duration_secs"},
		{"end", `{"admission":` + attemptOf(pbx, "a", "+13125550100") + `}`, "10027 /"},
	} {
		h.event("a", c.event, c.body).wantError(http.StatusUnprocessableEntity, c.want)
	}
	h.admit(pbx, "a", "+13125550100").wantError(http.StatusUnprocessableEntity, "10027 /")
	if after := h.do("GET", "/tollgate/v1/calls", "").text; after != before {
		t.Errorf("changed: %s, before: %s", after, before)
	}
	if diff := cmp.Diff(map[string]int{"out_of_range": 5, "other_values": 2}, rejected); diff != "" {
		t.Errorf("counted:\n%s", diff)
	}
}

// mutedKeys says nothing, as when its database is cut off.
type mutedKeys struct {
	store.KeyFinder
	keys *atomic.Bool // it still knows keys
}

func (s mutedKeys) KeyByHash(ctx context.Context, hash [32]byte) (store.Key, error) {
	if s.keys.Load() {
		return s.KeyFinder.KeyByHash(ctx, hash)
	}
	<-ctx.Done()
	return store.Key{}, ctx.Err()
}

// mutedLedger says nothing either.
type mutedLedger struct{ store.Ledger }

func (mutedLedger) Do(ctx context.Context, _ admission.Command) (admission.Result, error) {
	<-ctx.Done()
	return admission.Result{}, ctx.Err()
}

func TestEmergencyAdmissionDoesNotWaitForTheStore(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	var keys atomic.Bool
	keys.Store(true)
	stores := h.stores(func(s *Stores) {
		s.Keys, s.Ledger = mutedKeys{h.store, &keys}, mutedLedger{h.store}
	})
	handler := New(Config{Stores: stores, Live: h.live, Clock: h.clock.Now})
	ask := func(to string) *httptest.ResponseRecorder {
		ctx, cancel := context.WithTimeout(t.Context(), 3*admission.EmergencyPatience)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "POST", "/tollgate/v1/admissions",
			strings.NewReader(attemptOf(pbx, "muted-"+to, to)))
		r.Header.Set("Authorization", "Bearer "+h.key)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	if w := ask("911"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"decision":"allow"`) {
		t.Errorf("an emergency call: %d %s", w.Code, w.Body)
	}
	if w := ask("+13125550199"); w.Code == http.StatusOK {
		t.Errorf("any other call: %d %s", w.Code, w.Body)
	}
	keys.Store(false)
	h.clock.Advance(time.Hour) // what is in memory of the key is old
	if w := ask("911"); w.Code != http.StatusOK {
		t.Errorf("an emergency call with a key that cannot be looked up: %d %s", w.Code, w.Body)
	}
	h.clock.Advance(knownKeyAge)
	if w := ask("911"); w.Code == http.StatusOK {
		t.Errorf("a key that was last found a day ago is taken: %s", w.Body)
	}
}

// While the ledger does not answer, an emergency call goes ahead and no other does.
func TestEmergencyWithoutAStore(t *testing.T) {
	h, _ := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	c := `{"outbound":{"localization":"US","outbound_voice_profile_id":null}}`
	h.do("PATCH", "/v2/ip_connections/"+pbx, c).want(http.StatusOK)
	h.admit(pbx, "before", "911").want(http.StatusOK)
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Hour)
	got := h.admit(pbx, "emergency", "911").want(http.StatusOK)
	if got["decision"] != "allow" || got["emergency"] != true || got["grant_secs"] != nil || got["expires_at"] != nil {
		t.Errorf("emergency call: %v", got)
	}
	h.admit(pbx, "other", "+13125550199").wantError(http.StatusServiceUnavailable, "10037 /")
	batch := h.do("POST", "/tollgate/v1/admissions/batch", `{"events":[{"event":"admit","admission":`+
		attemptOf(pbx, "b", "911")+`},{"event":"end","id":"b"}]}`).list()
	if batch[0]["status"] != 200.0 || batch[1]["status"] != 503.0 {
		t.Errorf("batch: %v", batch)
	}
}
