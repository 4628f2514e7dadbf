package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// admit asks for admission of a call of a connection.
func (h *harness) admit(connection, callID, to string) reply {
	h.t.Helper()
	return h.do("POST", "/tollgate/v1/admissions", attemptOf(connection, callID, to))
}

func attemptOf(connection, callID, to string) string {
	return fmt.Sprintf(`{"connection_id":%q,"call_id":%q,"from":"+13125550100","to":%q}`, connection, callID, to)
}

func (h *harness) event(callID, event, body string) reply {
	h.t.Helper()
	return h.do("POST", "/tollgate/v1/admissions/"+callID+"/"+event, body)
}

func TestAdmissionFromQuestionToRecord(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	profile, pbx := h.pbx(`{"name":"pbx","call_recording":{"call_recording_type":"all","call_recording_channels":"dual","call_recording_format":"wav","call_recording_caller_phone_numbers":[]}}`)
	h.do("POST", "/tollgate/v1/gateways", `{"name":"carrier","address":"192.0.2.7:5070","prefix":"99","number_format":"e164"}`).want(http.StatusCreated)

	first := h.admit(pbx, "a@pbx", "+13125550199")
	got := first.want(http.StatusOK)
	gateway := got["routes"].([]any)[0].(map[string]any)["gateway_id"]
	want := map[string]any{"id": got["id"], "record_type": "admission", "call_id": "a@pbx", "decision": "allow", "decision_id": got["id"], "status": "ringing", "emergency": false,
		"grant_secs": 30.0, "expires_at": wireTime(start.Add(5 * time.Minute)), "rate": "0.60", "connect_fee": "0.00", "first_increment": 1.0, "increment": 1.0,
		"routes":    []any{map[string]any{"gateway_id": gateway, "address": "192.0.2.7:5070", "transport": "udp", "number": "9913125550199", "caller_id": "+13125550100"}},
		"recording": map[string]any{"record": true, "channels": "dual", "format": "wav"}, "reason": nil, "sip_code": nil, "sip_reason": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := h.admit(pbx, "a@pbx", "+13125550199"); again.text != first.text {
		t.Errorf("repeated: %s", again.text)
	}

	h.clock.Advance(5 * time.Second)
	answered := h.event("a@pbx", "answer", fmt.Sprintf(`{"gateway_id":%q}`, gateway)).want(http.StatusOK)
	if answered["status"] != "answered" || answered["expires_at"] != wireTime(start.Add(35*time.Second)) {
		t.Errorf("answered: %v", answered)
	}
	h.clock.Advance(20 * time.Second)
	renewed := h.event("a@pbx", "renew", `{"duration_secs":20}`)
	if got := renewed.want(http.StatusOK); got["grant_secs"] != 60.0 {
		t.Errorf("renewed: %v", got)
	}
	if again := h.event("a@pbx", "renew", `{"duration_secs":20}`); again.text != renewed.text {
		t.Errorf("renewed again: %s", again.text)
	}
	h.clock.Advance(21 * time.Second)
	ended := h.event(fmt.Sprint(got["id"]), "end", `{"duration_secs":40.5,"hangup_source":"callee"}`)
	data := ended.want(http.StatusOK)
	if data["status"] != "ended" || data["outcome"] != "answered" || data["billed_secs"] != 41.0 || data["cost"] != "0.41" || data["duration_secs"] != 40.5 {
		t.Errorf("ended: %v", data)
	}
	if again := h.event("a@pbx", "end", `{"duration_secs":40.5,"hangup_source":"callee"}`); again.text != ended.text {
		t.Errorf("ended again: %s", again.text)
	}
	records := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking", "").list()
	if len(records) != 1 || records[0]["cost"] != "0.41" || records[0]["sip_call_id"] != "a@pbx" || records[0]["gateway_id"] != gateway || records[0]["hangup_source"] != "callee" {
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
	for name, want := range map[string]any{"decision": "deny", "status": "denied", "reason": "destination_not_whitelisted", "sip_code": 403.0, "grant_secs": nil,
		"sip_reason": "Dialed number +442079460000 (associated countries: GBR) is not included in whitelisted countries CAN,USA D13"} {
		if denied[name] != want {
			t.Errorf("%s is %v, want %v", name, denied[name], want)
		}
	}
	d := h.do("GET", "/tollgate/v1/decisions/"+fmt.Sprint(denied["decision_id"]), "").want(http.StatusOK)
	if d["reason"] != denied["reason"] {
		t.Errorf("decision: %v", d)
	}
	// Who is not known is denied too, and can look up why.
	unknown := h.do("POST", "/tollgate/v1/admissions", `{"source_ip":"203.0.113.5","call_id":"c","to":"+13125550199"}`).want(http.StatusOK)
	if unknown["reason"] != "connection_unknown" {
		t.Errorf("unknown: %v", unknown)
	}
	h.do("GET", "/tollgate/v1/decisions/"+fmt.Sprint(unknown["decision_id"]), "").want(http.StatusOK)
	if end := h.event("b@pbx", "end", `{}`).want(http.StatusOK); end["status"] != "denied" || end["outcome"] != "refused" {
		t.Errorf("end of a denied call: %v", end)
	}
}
