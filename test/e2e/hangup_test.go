package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// The numbers of the carrier of these tests.
const (
	answeredNumber = "+12125550123"
	ringingNumber  = "+12125550124"
)

// hangUpCarrier answers one number and lets another one ring.
func hangUpCarrier(t *testing.T) *phone.Carrier {
	t.Helper()
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer, NoAudio: true,
		Numbers: map[string]phone.Behaviour{ringingNumber: phone.RingOnly}})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	return carrier
}

// dial places a call of the PBX, which is not hung up by it.
func (s *server) dial(to string) *phone.Call {
	s.T.Helper()
	call, err := phone.Dial(s.T.Context(),
		phone.Options{Server: s.SIP, LocalAddr: pbxIP + ":0", From: "+13125550100", To: to, NoAudio: true})
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(call.Close)
	return call
}

// liveCall waits for the one live call to a number in a state, and returns its id.
func (s *server) liveCall(to, since string) (call string) {
	s.T.Helper()
	process.Eventually(s.T, "a call to "+to, 10*time.Second, func() bool {
		_, answer := s.Call(http.MethodGet, "/tollgate/v1/calls", nil)
		calls, _ := answer["data"].([]any)
		for _, c := range calls {
			if c := c.(object); c["to"] == to && c[since] != nil {
				call = c["id"].(string)
			}
		}
		return call != ""
	})
	return call
}

// record waits for the record of a call.
func (s *server) record(call string) (r object) {
	s.T.Helper()
	process.Eventually(s.T, "the record of "+call, 20*time.Second, func() bool {
		status, answer := s.Call(http.MethodGet, "/v2/detail_records/"+call, nil)
		r, _ = answer["data"].(object)
		return status == http.StatusOK
	})
	return r
}

// hungUp waits for the end of a call that the API hung up, and looks at both sides.
func (s *server) hungUp(call *phone.Call, id string, carrier *phone.Carrier) {
	s.T.Helper()
	asked := time.Now()
	outcome := call.Wait()
	s.T.Logf("%v after the answer of the hang-up the caller knows it", outcome.Ended.Sub(asked).Round(time.Microsecond))
	err := carrier.Await(s.T.Context(), func(calls []phone.CarrierCall) bool {
		last := calls[len(calls)-1]
		return last.Cancelled || last.HungUpBy == phone.SideCaller
	})
	if err != nil {
		s.T.Fatal(err)
	}
	calls := carrier.Calls()
	last, r := calls[len(calls)-1], s.record(id)
	if answered := !outcome.Answered.IsZero(); answered {
		if outcome.HungUpBy != phone.SideCallee || !strings.Contains(outcome.Reason, "cause=16") ||
			!strings.Contains(last.Reason, "cause=16") {
			s.T.Errorf("the caller's side ended by %q, %q; the carrier's %q", outcome.HungUpBy, outcome.Reason, last.Reason)
		}
		if r["outcome"] != "answered" {
			s.T.Errorf("record %v", r)
		}
	} else if outcome.Status != 603 || !strings.HasSuffix(outcome.Phrase, "TG17") || outcome.RefusalReason != "hung_up" ||
		!last.Cancelled || r["outcome"] != "failed" {
		s.T.Errorf("the caller got %d %s, %s; cancelled %v; record %v", outcome.Status, outcome.Phrase, outcome.RefusalReason,
			last.Cancelled, r)
	}
	details, _ := r["hangup_details"].(string)
	if r["hangup_source"] != "tollgate" || r["hangup_cause"] != "NORMAL_CLEARING" ||
		!strings.HasPrefix(details, "hung up by the API key") {
		s.T.Errorf("record %v", r)
	}
}

// TestHangUp ends calls from outside, at both edges.
func TestHangUp(t *testing.T) {
	s, carrier := serve(t, t.TempDir()), hangUpCarrier(t)
	profile := s.setUp(object{"daily_spend_limit": "10.00", "daily_spend_limit_enabled": true}, carrier.Addr())
	dead := phone.NewCarrier(phone.CarrierOptions{Default: phone.Dead, NoAudio: true})
	if err := dead.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dead.Stop)

	up := s.dial(answeredNumber)
	<-up.Answered()
	id := s.liveCall(answeredNumber, "answered_at")
	if got := s.Must(http.MethodPost, "/v2/calls/"+id+"/actions/hangup",
		object{"command_id": "one"}); got["result"] != "ok" {
		t.Errorf("hung up: %v", got)
	}
	s.hungUp(up, id, carrier)
	if got := s.Must(http.MethodPost, "/tollgate/v1/calls/"+id+"/hangup", nil); got["status"] != "ended" ||
		got["hangup_source"] != "tollgate" {
		t.Errorf("hung up again: %v", got)
	}

	ringing := s.dial(ringingNumber)
	id = s.liveCall(ringingNumber, "id")
	if err := carrier.Await(t.Context(),
		func(calls []phone.CarrierCall) bool { return len(calls) == 2 && !calls[1].Ringing.IsZero() }); err != nil {
		t.Fatal(err)
	}
	if got := s.Must(http.MethodPost, "/tollgate/v1/calls/hangup",
		object{"outbound_voice_profile_id": profile}); got["hung_up"] != 1.0 {
		t.Errorf("hung up: %v", got)
	}
	s.hungUp(ringing, id, carrier)

	// While a gateway that says nothing is tried, the hunt ends, and no other gateway gets the call.
	_, gateways := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	s.Must(http.MethodPatch, "/tollgate/v1/gateways/"+gateways["data"].([]any)[0].(object)["id"].(string),
		object{"priority": 1})
	s.Must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "dead", "address": dead.Addr()})
	hunting := s.dial("+12125550125")
	if err := dead.Await(t.Context(), func(calls []phone.CarrierCall) bool { return len(calls) > 0 }); err != nil {
		t.Fatal(err)
	}
	id = s.liveCall("+12125550125", "id")
	s.Must(http.MethodPost, "/tollgate/v1/calls/"+id+"/hangup", nil)
	if o := hunting.Wait(); o.Status != 603 || len(carrier.Calls()) != 2 {
		t.Errorf("hunting: %d %s, the second gateway has %d calls", o.Status, o.Phrase, len(carrier.Calls()))
	}

	// A call of another switch is told of, and its renewal has the reason.
	admitted := s.Must(http.MethodPost, "/tollgate/v1/admissions",
		object{"source_ip": pbxIP, "call_id": "one", "request_id": "one", "from": "+13125550100", "to": answeredNumber})
	s.Must(http.MethodPost, "/tollgate/v1/admissions/one/answer", object{})
	if got := s.Must(http.MethodPost, "/tollgate/v1/calls/"+admitted["id"].(string)+"/hangup",
		nil); got["carried_by"] != "switch" {
		t.Errorf("hung up: %v", got)
	}
	if got := s.Must(http.MethodPost, "/tollgate/v1/admissions/one/renew", object{}); got["reason"] != "hung_up" ||
		got["sip_code"] != 603.0 {
		t.Errorf("renewed: %v", got)
	}
	s.Must(http.MethodPost, "/tollgate/v1/admissions/one/end", object{"duration_secs": 2})
	s.wantSpend(profile)
}

// A hang-up that was answered holds though the process dies with it.
func TestKilledAfterAHangUp(t *testing.T) {
	s, carrier := serve(t, t.TempDir()), hangUpCarrier(t)
	profile := s.setUp(object{"daily_spend_limit": "10.00", "daily_spend_limit_enabled": true}, carrier.Addr())
	up := s.dial(answeredNumber)
	<-up.Answered()
	id := s.liveCall(answeredNumber, "answered_at")
	s.Must(http.MethodPost, "/tollgate/v1/calls/"+id+"/hangup", nil)
	s.Kill()
	s = &server{s.Again("--sip-addr", s.SIP)}
	if o := up.Wait(); o.HungUpBy != phone.SideCallee {
		t.Errorf("ended by %q", o.HungUpBy)
	}
	if r := s.record(id); !strings.HasPrefix(r["hangup_details"].(string), "hung up by the API key") ||
		r["hangup_source"] != "tollgate" {
		t.Errorf("record %v", r)
	}
	s.wantSpend(profile)
}

// A call is hung up by another node than the one that carries it, and one whose node is
// dead says so.
func TestHangUpOnTwoNodes(t *testing.T) {
	database, first, second := twoNodes(t)
	carrier := hangUpCarrier(t)
	profile := first.setUp(object{"daily_spend_limit": "10.00", "daily_spend_limit_enabled": true}, carrier.Addr())

	up := first.dial(answeredNumber)
	<-up.Answered()
	id := second.liveCall(answeredNumber, "answered_at")
	if got := second.Must(http.MethodPost, "/tollgate/v1/calls/"+id+"/hangup", nil); got["status"] != "ending" ||
		got["carried_by"] != "server" {
		t.Errorf("hung up: %v", got)
	}
	second.hungUp(up, id, carrier)
	ringing := first.dial(ringingNumber)
	id = second.liveCall(ringingNumber, "id")
	second.Must(http.MethodPost, "/v2/calls/"+id+"/actions/hangup", object{})
	second.hungUp(ringing, id, carrier)

	// Without its connection that listens, a node finds the mark by itself.
	lost := first.dial(answeredNumber)
	<-lost.Answered()
	id = second.liveCall(answeredNumber, "answered_at")
	if err := database.Exec("postgres",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"); err != nil {
		t.Fatal(err)
	}
	second.Must(http.MethodPost, "/tollgate/v1/calls/"+id+"/hangup", nil)
	second.hungUp(lost, id, carrier)
	second.wantSpend(profile)

	orphan := first.dial(answeredNumber)
	<-orphan.Answered()
	id = second.liveCall(answeredNumber, "answered_at")
	first.Kill()
	process.Eventually(t, "the node is given up", 30*time.Second, func() bool {
		got := second.Must(http.MethodPost, "/tollgate/v1/calls/"+id+"/hangup", nil)
		return got["carried_by"] == "lost_server" && got["ends_by"] != nil || got["status"] == "ended"
	})
	// When it comes back it hangs up on both sides.
	first = &server{first.Again("--sip-addr", first.SIP)}
	if o := orphan.Wait(); o.HungUpBy != phone.SideCallee {
		t.Errorf("ended by %q", o.HungUpBy)
	}
	if r := first.record(id); r["outcome"] != "lost" ||
		!strings.HasPrefix(r["hangup_details"].(string), "hung up by the API key") {
		t.Errorf("record %v", r)
	}
}
