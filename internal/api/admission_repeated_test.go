package api

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// asked is a question for admission with a request_id or, if that is "", without.
func asked(connection, callID, request, to string) string {
	return fmt.Sprintf(`{"connection_id":%q,"call_id":%q,"request_id":%q,"from":"+13125550100","to":%q}`,
		connection, callID, request, to)
}

func (h *harness) ask(body string) map[string]any {
	h.t.Helper()
	return h.do("POST", "/tollgate/v1/admissions", body).want(http.StatusOK)
}

// wantDecision checks the decision, the status and the reason of an admission.
func wantDecision(t *testing.T, what string, got map[string]any, want string) {
	t.Helper()
	if seen := fmt.Sprint(got["decision"], " ", got["status"], " ", got["reason"]); seen != want {
		t.Errorf("%s: %s, want %s", what, seen, want)
	}
}

// An id that was used before lets nothing through: however its call ended and
// by whatever key it is shown, unless it is the same request again.
func TestUsedCallIDs(t *testing.T) {
	const used, number = "deny denied call_id_used", "+13125550199"
	for name, lead := range map[string]func(h *harness, pbx string){
		"ringing":  func(*harness, string) {},
		"answered": func(h *harness, _ string) { h.event("x", "answer", `{}`).want(http.StatusOK) },
		"ended": func(h *harness, _ string) {
			h.event("x", "end", `{"answered":true,"duration_secs":3}`).want(http.StatusOK)
		},
		"failed": func(h *harness, _ string) { h.event("x", "end", `{"sip_status":503}`).want(http.StatusOK) },
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := switchHarness(t)
			profile, pbx := h.pbx(`{"name":"pbx","concurrent_call_limit":1}`)
			first := h.ask(asked(pbx, "x", "r1", number))
			wantDecision(t, "first", first, "allow ringing <nil>")
			lead(h, pbx)
			for _, request := range []string{"", "r2", "R1"} {
				for _, to := range []string{number, "+13125550123"} {
					again := h.ask(asked(pbx, "x", request, to))
					live := name == "ringing" || name == "answered"
					if live {
						// It would be one too many as well.
						wantDecision(t, "request "+request, again, "deny denied profile_channel_limit")
					} else {
						wantDecision(t, "request "+request, again, used)
						if again["sip_code"] != 403.0 || again["sip_reason"] != "The id of the call was used before TG12" ||
							again["grant_secs"] != nil {
							t.Errorf("refused by %v", again)
						}
					}
					if again["id"] == first["id"] {
						t.Error("the refusal has the id of the first call")
					}
					d := h.do("GET", "/tollgate/v1/decisions/"+fmt.Sprint(again["decision_id"]), "").want(http.StatusOK)
					if d["reason"] != again["reason"] {
						t.Errorf("decision: %v", d)
					}
				}
			}
			repeated := h.ask(asked(pbx, "x", "r1", number))
			switch name {
			case "ringing", "answered":
				wantDecision(t, "the same request", repeated, "allow "+name+" <nil>")
			default:
				wantDecision(t, "the same request", repeated, "deny ended call_ended")
			}
			if repeated["id"] != first["id"] {
				t.Errorf("the same request has the id %v, the first one %v", repeated["id"], first["id"])
			}
			h.do("PATCH", "/v2/outbound_voice_profiles/"+profile, `{"enabled":false}`).want(http.StatusOK)
			wantDecision(t, "with the profile disabled", h.ask(asked(pbx, "x", "r2", number)), "deny denied profile_disabled")
		})
	}
}

// A refused request that is repeated stays refused; with the profile changed, it takes
// another request and another id to get through.
func TestRefusedRequestsRepeated(t *testing.T) {
	h, _ := switchHarness(t)
	profile, pbx := h.pbx(`{"name":"pbx","enabled":false}`)
	first := h.ask(asked(pbx, "x", "r1", "+13125550199"))
	h.do("PATCH", "/v2/outbound_voice_profiles/"+profile, `{"enabled":true}`).want(http.StatusOK)
	again := h.ask(asked(pbx, "x", "r1", "+13125550199"))
	wantDecision(t, "repeated", again, "deny denied profile_disabled")
	if again["id"] != first["id"] {
		t.Errorf("repeated as %v, first %v", again["id"], first["id"])
	}
	wantDecision(t, "another request", h.ask(asked(pbx, "x", "r2", "+13125550199")), "deny denied call_id_used")
	wantDecision(t, "another id", h.ask(asked(pbx, "y", "r2", "+13125550199")), "allow ringing <nil>")
	if n := len(h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking", "").list()); n != 2 {
		t.Errorf("%d records, want 2: the refusal and what was asked with its id", n)
	}
}

// The header Idempotency-Key is as good as request_id.
func TestIdempotencyKeyOfAdmission(t *testing.T) {
	h, _ := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	ask := func(key, body string) map[string]any {
		t.Helper()
		return h.with(h.key, "POST", "/tollgate/v1/admissions", body, "Idempotency-Key", key).want(http.StatusOK)
	}
	body := asked(pbx, "x", "", "+13125550199")
	wantDecision(t, "first", ask("k1", body), "allow ringing <nil>")
	wantDecision(t, "again", ask("k1", body), "allow ringing <nil>")
	wantDecision(t, "named in the body", h.ask(asked(pbx, "x", "k1", "+13125550199")), "allow ringing <nil>")
	wantDecision(t, "another key", ask("k2", body), "deny denied call_id_used")
}

// Two equal requests at once are one call; two others with one id are one call and a refusal.
func TestAdmissionsAtOnce(t *testing.T) {
	h, _ := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	at := func(bodies ...string) (allowed int, ids map[any]bool) {
		var mu sync.Mutex
		var group sync.WaitGroup
		ids = map[any]bool{}
		for _, body := range bodies {
			group.Go(func() {
				got := h.ask(body)
				mu.Lock()
				defer mu.Unlock()
				if got["decision"] == "allow" {
					allowed++
					ids[got["id"]] = true
				}
			})
		}
		group.Wait()
		return allowed, ids
	}
	same := asked(pbx, "a", "r", "+13125550199")
	if allowed, ids := at(same, same, same, same); allowed != 4 || len(ids) != 1 {
		t.Errorf("equal requests: %d allowed, as %d calls", allowed, len(ids))
	}
	allowed, _ := at(asked(pbx, "b", "r1", "+13125550199"), asked(pbx, "b", "r2", "+13125550199"),
		asked(pbx, "b", "", "+13125550199"))
	if allowed != 1 {
		t.Errorf("requests with one id: %d allowed, want 1", allowed)
	}
}

// Two switches of one account are two, even if they make up the same texts.
func TestOneCallIDAtTwoSwitches(t *testing.T) {
	h, _ := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	of := func(name string) string {
		return fmt.Sprintf(`{"connection_id":%q,"call_id":"x","request_id":"1","from":"+13125550100","to":"+13125550199","switch":%q}`, pbx, name)
	}
	wantDecision(t, "edge 1", h.ask(of("edge 1")), "allow ringing <nil>")
	wantDecision(t, "edge 2", h.ask(of("edge 2")), "deny denied call_id_used")
}

// No id keeps an emergency call back: it gets a call of its own.
func TestEmergencyWithAUsedID(t *testing.T) {
	h, _ := switchHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	h.do("PATCH", "/v2/ip_connections/"+pbx, `{"outbound":{"localization":"US"}}`).want(http.StatusOK)
	h.ask(asked(pbx, "x", "r1", "+13125550199"))
	seen := map[any]bool{}
	for i, body := range []string{
		asked(pbx, "x", "", "911"), asked(pbx, "x", "r1", "911"), asked(pbx, "x", "r2", "911"), asked(pbx, "x", "", "911"),
	} {
		got := h.ask(body)
		wantDecision(t, fmt.Sprint("call ", i), got, "allow ringing <nil>")
		seen[got["id"]] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d calls, want 4", len(seen))
	}
	for call := range seen {
		// Events name it by the id of its admission; with the question along, too.
		name := fmt.Sprint(call)
		h.event(name, "answer", `{"admission":`+asked(pbx, "x", "", "911")+`}`).want(http.StatusOK)
		ended := h.event(name, "end", `{"duration_secs":0,"answered":true}`).want(http.StatusOK)
		if ended["outcome"] != "answered" || ended["id"] != call {
			t.Errorf("ended: %v", ended)
		}
	}
	// A repetition of an emergency call that has ended is a call too.
	h.ask(asked(pbx, "y", "r", "911"))
	h.event("y", "end", `{}`).want(http.StatusOK)
	wantDecision(t, "again", h.ask(asked(pbx, "y", "r", "911")), "allow ringing <nil>")
	h.event("00000000-0000-8000-8000-000000000001", "answer", `{"admission":`+asked(pbx, "z", "", "911")+`}`).
		wantError(http.StatusNotFound, "10005 /")
}

// Events do not make a call of one that is over, nor an allowance.
func TestEventsOfUsedIDs(t *testing.T) {
	h, _ := switchHarness(t)
	profile, pbx := h.pbx(`{"name":"pbx"}`)
	h.ask(asked(pbx, "x", "r1", "+13125550199"))
	h.event("x", "end", `{"sip_status":503}`).want(http.StatusOK)
	along := `{"admission":` + asked(pbx, "x", "r2", "+13125550199") + `}`
	h.event("x", "answer", along).wantError(http.StatusUnprocessableEntity, "10027 /")
	if got := h.event("x", "renew", along).want(http.StatusOK); got["status"] != "ended" || got["grant_secs"] != nil {
		t.Errorf("renewed: %v", got)
	}
	batch := h.do("POST", "/tollgate/v1/admissions/batch", `{"events":[{"event":"admit","admission":`+asked(pbx, "x", "", "+13125550199")+`},
		{"event":"admit","admission":`+asked(pbx, "x", "r1", "+13125550199")+`},{"event":"renew","id":"x"}]}`).list()
	for i, want := range []string{"denied", "ended", "ended 0.00"} {
		if got := summary(batch[i]); got != want {
			t.Errorf("event %d: %s, want %s", i, got, want)
		}
	}
	usage := h.do("GET", "/tollgate/v1/outbound_voice_profiles/"+profile+"/usage", "").want(http.StatusOK)
	if usage["posted"] != "0.00" || usage["held"] != "0.00" {
		t.Errorf("usage: %v", usage)
	}
}
