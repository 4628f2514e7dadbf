package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
)

const hangUpPath = "/tollgate/v1/calls/hangup"

// audited are the audit events of hang-ups, the newest first.
func (h *harness) hangUpsAudited() (events []map[string]any) {
	h.t.Helper()
	for _, e := range h.do("GET", "/v2/audit_events?page[size]=250", "").list() {
		if e["record_type"] == "call" {
			events = append(events, e)
		}
	}
	return events
}

// changed is what an audit event says that a field became.
func changedTo(e map[string]any, field string) any {
	for _, c := range e["changes"].([]any) {
		if c := c.(map[string]any); c["field"] == field {
			return c["to"]
		}
	}
	return nil
}

// firstDetail is what the first error says.
func (r reply) firstDetail() string {
	return r.body["errors"].([]any)[0].(map[string]any)["detail"].(string)
}

func TestHangUp(t *testing.T) {
	h := newHarness(t)
	other, stranger := h.secondAccount()
	_, pbx := h.pbx(`{"name":"office"}`)
	call := h.reserve(pbx, "+13125550199").Decision.ID
	one := "/tollgate/v1/calls/" + call.String() + "/hangup"
	command := "/v2/calls/" + call.String() + "/actions/hangup"

	// What is not there, and what is another's, are the same.
	unknown := h.do("POST", "/tollgate/v1/calls/"+uuid.NewString()+"/hangup", "")
	for _, r := range []reply{
		unknown, h.doWith(stranger, "POST", one, "{}"), h.doWith(stranger, "POST", command, "{}"),
		h.doWith(stranger, "POST", command, ""),
		h.do("POST", "/v2/calls/v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ/actions/hangup", "{}"),
		h.do("POST", "/tollgate/v1/calls/"+strings.ToUpper(uuid.NewString())+"/hangup", `{"force":true}`),
		h.do("POST", "/tollgate/v1/calls/1/hangup", ""), h.do("POST", "/v2/calls/%20/actions/hangup", `{}`),
	} {
		r.wantError(http.StatusNotFound, "10005 /")
		if got, want := r.firstDetail(), unknown.firstDetail(); got != want {
			t.Errorf("unknown: %s, want %s", got, want)
		}
	}
	h.doWith(h.newKey(h.first.ID, ScopeRead), "POST", one, "").wantError(http.StatusForbidden, "10010 /")

	r := h.with(h.key, "POST", one, "", "X-Tollgate-Reason", "a leaked password")
	carrier := "server"
	if onServer {
		carrier = "lost_server" // the test reserves for a node that does not exist
	}
	if got := r.want(http.StatusOK); got["status"] != "ending" ||
		got["carried_by"] != carrier || (got["ends_by"] != nil) != onServer {
		t.Errorf("hung up %v", got)
	}
	for range 2 {
		got := h.do("POST", command, `{"client_state":"aGF2ZSBhIG5pY2UgZGF5ID1d","command_id":"891510ac","custom_headers":[{"name":"X-Reason","value":"fraud"}]}`)
		if got.text != `{"data":{"result":"ok"}}`+"\n" && got.text != `{"data":{"result":"ok"}}` {
			t.Errorf("command: %d %s", got.status, got.text)
		}
	}
	live := h.do("GET", "/tollgate/v1/calls", "").list()
	if len(live) != 1 || live[0]["hangup_requested_at"] == nil {
		t.Errorf("live calls %v", live)
	}
	events := h.hangUpsAudited()
	if len(events) != 1 || events[0]["resource_id"] != call.String() ||
		events[0]["change_type"] != "update" || events[0]["key_name"] != "test" ||
		events[0]["reason"] != "a leaked password" || changedTo(events[0], "hang_up") != true {
		t.Errorf("audit %v", events)
	}

	// Its owner ends it.
	h.clock.Advance(time.Second)
	result, err := h.store.Do(t.Context(), admission.Release{ID: call, Ending: admission.Ending{
		EndedMicros: h.clock.Now().UnixMicro(), HungUp: true, SIPStatus: 603, Cause: "normal_clearing",
	}})
	if err != nil || result.Err != nil {
		t.Fatal(err, result.Err)
	}
	got := h.do("POST", one, "{}").want(http.StatusOK)
	if got["status"] != "ended" || got["outcome"] != "failed" ||
		got["hangup_source"] != "tollgate" || got["carried_by"] != "none" ||
		!strings.Contains(fmt.Sprint(got["hangup_details"]), "test") ||
		!strings.Contains(fmt.Sprint(got["hangup_details"]), "a leaked password") {
		t.Errorf("ended %v", got)
	}
	if got := h.do("POST", command, "{}").want(http.StatusOK); got["result"] != "ok" ||
		got["outcome"] != "failed" || got["detail_record_id"] != call.String() {
		t.Errorf("ended %v", got)
	}
	for _, foreign := range []string{one, command} {
		h.doWith(stranger, "POST", foreign, "{}").wantError(http.StatusNotFound, "10005 /")
	}
	if n := len(h.hangUpsAudited()); n != 1 {
		t.Errorf("%d events in the audit", n)
	}
	_ = other
}

func TestHangUpCommandIsRefusedWhole(t *testing.T) {
	h := newHarness(t)
	_, pbx := h.pbx(`{"name":"office"}`)
	one := "/v2/calls/" + h.reserve(pbx, "+13125550199").Decision.ID.String() + "/actions/hangup"
	h.do("POST", one, `{"client_state":"not base64!","custom_headers":[{"name":"X-A: b","value":"c"},{"name":"X-A","value":"c\r\nVia: x"}],"command_id":"1"}`).
		wantError(http.StatusUnprocessableEntity, "10015 /client_state",
			"10015 /custom_headers/0/name", "10015 /custom_headers/1/value")
	h.do("POST", one, `{"force":"yes"}`).wantError(http.StatusUnprocessableEntity, "10026 /force")
	h.do("POST", strings.Replace(one, "/v2/", "/tollgate/v1/", 1), `{}`).wantError(http.StatusNotFound, "10005 /")
	if live := h.do("GET", "/tollgate/v1/calls", "").list(); len(live) != 1 || live[0]["hangup_requested_at"] != nil {
		t.Errorf("live calls %v", live)
	}
}

func TestHangUpByFilter(t *testing.T) {
	h := newHarness(t)
	_, stranger := h.secondAccount()
	profile, pbx := h.pbx(`{"name":"office","whitelisted_destinations":["US","GB"]}`)
	second := fmt.Sprint(h.do("POST", "/v2/ip_connections",
		fmt.Sprintf(`{"connection_name":"second","outbound":{"outbound_voice_profile_id":%q}}`, profile)).
		want(http.StatusCreated)["id"])
	made := func(connection, to string) string {
		d := h.reserve(connection, to).Decision
		if !d.Allow {
			t.Fatalf("call to %s: %v", to, d.Reason)
		}
		return d.ID.String()
	}
	us, gb, other, urgent := made(pbx, "+13125550199"), made(pbx,
		"+442079460123"), made(second, "+13125550198"), made(pbx, "911")

	for body, want := range map[string]string{
		`{}`:            "10004 /all",
		`{"all":false}`: "10004 /all", `{"all":null}`: "10004 /all",
		`{"all":true,"connection_id":"` + pbx + `"}`: "10027 /all",
		`{"connection_id":"7"}`:                      "10017 /connection_id",
		`{"outbound_voice_profile_id":"7"}`:          "10017 /outbound_voice_profile_id",
		`{"country_code":"XX"}`:                      "10015 /country_code",
		`{"all":true,"dry_run":true}`:                "10015 /dry_run",
	} {
		h.do("POST", hangUpPath, body).wantError(http.StatusUnprocessableEntity, want)
	}
	h.doWith(stranger, "POST", hangUpPath, `{"connection_id":"`+pbx+`"}`).
		wantError(http.StatusUnprocessableEntity, "10017 /connection_id")
	if got := h.doWith(stranger, "POST", hangUpPath, `{"all":true}`).want(http.StatusOK); got["hung_up"] != 0.0 {
		t.Errorf("a stranger's: %v", got)
	}

	dry := h.do("POST", hangUpPath+"?dry_run=true", `{"country_code":"us"}`)
	if got := dry.want(http.StatusOK); got["hung_up"] != 2.0 || got["emergency_calls_skipped"] != 0.0 ||
		dry.header.Get("Tollgate-Dry-Run") != "true" {
		t.Errorf("would hang up %v", got)
	}
	marked := func() (ids []string) {
		for _, c := range h.do("GET", "/tollgate/v1/calls", "").list() {
			if c["hangup_requested_at"] != nil {
				ids = append(ids, c["id"].(string))
			}
		}
		return ids
	}
	if n := len(marked()) + len(h.hangUpsAudited()); n != 0 {
		t.Errorf("a dry run has marked or audited %d", n)
	}
	if list := h.do("GET", "/tollgate/v1/calls?filter[country_code]=gb", "").list(); len(list) != 1 ||
		list[0]["id"] != gb {
		t.Errorf("calls to GB: %v", list)
	}
	got := h.do("POST", hangUpPath+"?dry_run=true", `{"connection_id":"`+pbx+`"}`).want(http.StatusOK)
	if got["hung_up"] != 2.0 || got["emergency_calls_skipped"] != 1.0 {
		t.Errorf("would hang up %v", got)
	}
	got = h.with(h.key, "POST", hangUpPath, `{"connection_id":"`+pbx+`","country_code":"US"}`,
		"Idempotency-Key", "once").want(http.StatusOK)
	if got["hung_up"] != 1.0 || got["call_ids"].([]any)[0] != us {
		t.Errorf("hung up %v", got)
	}
	if ids := marked(); !slices.Equal(ids, []string{us}) {
		t.Errorf("marked %v, want %s", ids, us)
	}
	// A repeated request ends no call that has begun since.
	later := made(pbx, "+13125550197")
	again := h.with(h.key, "POST", hangUpPath, `{"connection_id":"`+pbx+`","country_code":"US"}`,
		"Idempotency-Key", "once")
	if again.want(http.StatusOK)["hung_up"] != 1.0 || slices.Contains(marked(), later) {
		t.Errorf("repeated: %s, marked %v", again.text, marked())
	}
	// A connection that is deleted may have calls.
	h.do("DELETE", "/v2/ip_connections/"+second, "").want(http.StatusOK)
	if got := h.do("POST", hangUpPath, `{"connection_id":"`+second+`"}`).want(http.StatusOK); got["hung_up"] != 1.0 ||
		got["call_ids"].([]any)[0] != other {
		t.Errorf("hung up %v", got)
	}
	if got := h.do("POST", hangUpPath, `{"all":true,"force":true}`).want(http.StatusOK); got["hung_up"] != 3.0 ||
		got["already_ending"] != 2.0 ||
		!slices.Contains(got["call_ids"].([]any), any(urgent)) {
		t.Errorf("hung up %v", got)
	}
	events := h.hangUpsAudited()
	if len(events) != 3 || changedTo(events[2], "count") != 1.0 || changedTo(events[2], "filter.connection_id") != pbx ||
		changedTo(events[2], "filter.country_code") != "US" || changedTo(events[0], "filter.all") != true ||
		len(changedTo(events[0], "calls").([]any)) != 3 {
		t.Errorf("audit %v", events)
	}
}

func TestEmergencyCallIsHungUpByForceOnly(t *testing.T) {
	h := newHarness(t)
	_, pbx := h.pbx(`{"name":"office"}`)
	call := h.reserve(pbx, "911").Decision.ID.String()
	one, command := "/tollgate/v1/calls/"+call+"/hangup", "/v2/calls/"+call+"/actions/hangup"
	for _, target := range []string{one, command, one + "?dry_run=true"} {
		r := h.do("POST", target, `{"force":false}`)
		r.wantError(http.StatusUnprocessableEntity, "10027 /force")
		if !strings.Contains(r.text, "emergency") || !strings.Contains(r.text, "force: true") {
			t.Errorf("refused by %s", r.text)
		}
	}
	if n := len(h.hangUpsAudited()); n != 0 {
		t.Errorf("%d events in the audit", n)
	}
	if got := h.do("POST", command, `{"force":true}`).want(http.StatusOK); got["result"] != "ok" {
		t.Errorf("forced: %v", got)
	}
	if events := h.hangUpsAudited(); len(events) != 1 || changedTo(events[0], "force") != true {
		t.Errorf("audit %v", events)
	}
}

// A call of another switch: the event, the refused renewal, and the end.
func TestHangUpOfASwitchsCall(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	_, pbx := h.pbx(`{"name":"office"}`)
	h.do("POST", "/tollgate/v1/webhook_endpoints", `{"url":"https://hooks.example.com/1"}`).want(http.StatusCreated)
	ringing := h.admit(pbx, "ringing", "+13125550199").want(http.StatusOK)["id"].(string)
	up := h.admit(pbx, "up", "+13125550198").want(http.StatusOK)["id"].(string)
	h.event("up", "answer", "{}").want(http.StatusOK)
	h.clock.Advance(10 * time.Second)
	for _, call := range []string{ringing, up} {
		got := h.do("POST", "/tollgate/v1/calls/"+call+"/hangup", "").want(http.StatusOK)
		if got["status"] != "ending" || got["carried_by"] != "switch" || got["ends_by"] == nil {
			t.Errorf("hung up %v", got)
		}
	}
	var told []string
	for _, d := range h.do("GET", deliveriesPath+"?page[size]=250", "").list() {
		if d["event_type"] == "call.hangup_requested" {
			told = append(told, fmt.Sprint(d["event_id"]))
		}
	}
	if len(told) != 2 {
		t.Errorf("%d events were told", len(told))
	}
	h.clock.Advance(5 * time.Second)
	state := h.event("up", "renew", `{"duration_secs":15}`).want(http.StatusOK)
	if state["reason"] != "hung_up" || state["sip_code"] != 603.0 ||
		!strings.HasSuffix(fmt.Sprint(state["sip_reason"]), "TG17") ||
		state["status"] != "answered" || state["grant_secs"] != 10.0 {
		t.Errorf("renewed %v", state)
	}
	state = h.event("ringing", "answer", "{}").want(http.StatusOK)
	if state["reason"] != "hung_up" || state["grant_secs"] != 0.0 {
		t.Errorf("answered %v", state)
	}
	batch := h.do("POST", "/tollgate/v1/admissions/batch", `{"events":[{"event":"renew","id":"up"}]}`).list()
	if batch[0]["state"].(map[string]any)["reason"] != "hung_up" {
		t.Errorf("batch %v", batch)
	}
	if status := h.status("up"); status["reason"] != "hung_up" || status["status"] != "answered" {
		t.Errorf("status %v", status)
	}
	// The question repeated is refused, since nothing may start any more.
	if got := h.admit(pbx, "up", "+13125550198").want(http.StatusOK); got["decision"] != "deny" ||
		got["reason"] != "hung_up" {
		t.Errorf("asked again: %v", got)
	}
	state = h.event("up", "end", `{"duration_secs":16}`).want(http.StatusOK)
	if state["status"] != "ended" || state["billed_secs"] != 16.0 {
		t.Errorf("ended %v", state)
	}
	got := h.do("POST", "/tollgate/v1/calls/"+up+"/hangup", "").want(http.StatusOK)
	if got["hangup_source"] != "tollgate" || got["hangup_details"] == nil || got["hangup_cause"] != "normal_clearing" {
		t.Errorf("record %v", got)
	}
	// One whose caller was faster was ended by the caller.
	h.event("ringing", "end", `{"duration_secs":1,"hangup_source":"caller"}`).want(http.StatusOK)
	got = h.do("POST", "/tollgate/v1/calls/"+ringing+"/hangup", "").want(http.StatusOK)
	if got["hangup_source"] != "caller" || got["hangup_details"] != nil {
		t.Errorf("record %v", got)
	}
}
