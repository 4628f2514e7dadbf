package hostile

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// question is what a switch asks about a call of the PBX.
func question(call, request string) object {
	return object{"source_ip": pbxIP, "from": "+13125550100", "to": "+12125550123",
		"call_id": call, "request_id": request, "switch": "edge"}
}

func (s *server) ask(call, request string) object {
	s.T.Helper()
	return s.Must(http.MethodPost, "/tollgate/v1/admissions", question(call, request))
}

// TestCallerReusesCallIDs: a caller whose switch names calls by their Call-IDs gives call
// after call the id of one that has failed, that is up or that was refused. None gets
// through, before and after the server was killed, and each leaves a record.
func TestCallerReusesCallIDs(t *testing.T) {
	s := serve(t)
	w := s.setUp(object{"daily_spend_limit": "1.00", "daily_spend_limit_enabled": true, "spend_limit_action": "end_calls"})
	if got := s.ask("failed", "r1"); got["decision"] != "allow" {
		t.Fatalf("a fresh call: %v", got)
	}
	s.Must(http.MethodPost, "/tollgate/v1/admissions/failed/end", object{"sip_status": 503})
	live := s.ask("live", "r1")
	s.Must(http.MethodPost, "/tollgate/v1/admissions/live/answer", object{})
	attempts := 0
	for _, when := range []string{"before", "after a kill"} {
		for i, request := range []string{"", "", "r2", "r2", "of-somebody-else"} {
			for _, call := range []string{"failed", "live"} {
				attempts++
				got := s.ask(call, request)
				if got["decision"] != "deny" || got["reason"] != "call_id_used" || got["grant_secs"] != nil ||
					got["id"] == live["id"] {
					t.Errorf("%s, %s, attempt %d: %v %v", when, call, i, got["decision"], got["reason"])
				}
			}
		}
		if got := s.ask("failed", "r1"); got["decision"] != "deny" || got["reason"] != "call_ended" {
			t.Errorf("%s: the same request for a call that is over: %v %v", when, got["decision"], got["reason"])
		}
		if got := s.ask("live", "r1"); got["decision"] != "allow" || got["id"] != live["id"] || got["status"] != "answered" {
			t.Errorf("%s: the same request for a call that is up: %v", when, got)
		}
		for _, event := range []string{"answer", "renew"} {
			_, answer := s.Call(http.MethodPost, "/tollgate/v1/admissions/failed/"+event,
				object{"admission": question("failed", "r2")})
			if data, _ := answer["data"].(object); data != nil && (data["status"] != "ended" || data["grant_secs"] != nil) {
				t.Errorf("%s: %s of a call that is over: %v", when, event, answer)
			}
		}
		if when == "before" {
			s.Kill()
			s = s.again()
		}
	}
	refused := 0
	for _, r := range s.records() {
		if r["reason"] == "call_id_used" {
			refused++
		}
	}
	usage := s.Must(http.MethodGet, "/tollgate/v1/outbound_voice_profiles/"+w.profile+"/usage", nil)
	if refused != attempts || usage["live_calls"] != 1.0 || usage["posted"] != "0.00" {
		t.Errorf("%d of %d attempts are recorded; usage %v", refused, attempts, usage)
	}
}

// TestEqualQuestionsAtOnce: a switch that repeats a question while the first one is
// under way holds one channel; callers who take one id at once hold one between them.
func TestEqualQuestionsAtOnce(t *testing.T) {
	s := serve(t)
	s.setUp(object{"concurrent_call_limit": 1})
	both := func(call string, requests ...string) (allowed int) {
		var mu sync.Mutex
		var group sync.WaitGroup
		for _, request := range requests {
			group.Go(func() {
				status, answer := s.Call(http.MethodPost, "/tollgate/v1/admissions", question(call, request))
				data, _ := answer["data"].(object)
				mu.Lock()
				defer mu.Unlock()
				if status != http.StatusOK {
					t.Errorf("%d %v", status, answer)
				} else if data["decision"] == "allow" {
					allowed++
				}
			})
		}
		group.Wait()
		return allowed
	}
	if n := both("one", "r", "r", "r", "r"); n != 4 {
		t.Errorf("%d of 4 equal questions are allowed", n)
	}
	s.Must(http.MethodPost, "/tollgate/v1/admissions/one/end", object{})
	if n := both("two", "", "a", "b", "c"); n != 1 {
		t.Errorf("%d callers got through with one id, want 1", n)
	}
}

// TestEmergencyWithAnyID: no id, used or not, keeps an emergency call back.
func TestEmergencyWithAnyID(t *testing.T) {
	s := serve(t)
	w := s.setUp(nil)
	s.Must(http.MethodPatch, "/v2/ip_connections/"+w.connection, object{"outbound": object{"localization": "US"}})
	s.ask("live", "r1")
	ids := map[any]bool{}
	for _, request := range []string{"r1", "", "r2", ""} {
		urgent := question("live", request)
		urgent["to"] = "911"
		got := s.Must(http.MethodPost, "/tollgate/v1/admissions", urgent)
		if got["decision"] != "allow" || got["emergency"] != true {
			t.Errorf("request %q: %v", request, got)
		}
		ids[got["id"]] = true
		s.Must(http.MethodPost, fmt.Sprint("/tollgate/v1/admissions/", got["id"], "/end"),
			object{"duration_secs": 3, "answered": true, "admission": urgent})
	}
	recorded := 0
	for _, r := range s.records() {
		if ids[r["id"]] && r["outcome"] == "answered" {
			recorded++
		}
	}
	if len(ids) != 4 || recorded != 4 {
		t.Errorf("%d calls, of which %d are recorded; want 4", len(ids), recorded)
	}
}
