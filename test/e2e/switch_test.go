package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// Numbers of the carrier behind a switch that do not answer.
const (
	switchBusy    = "+12125550124"
	switchRinging = "+12125550125"
)

// startSwitchCarrier starts the carrier behind a switch.
func startSwitchCarrier(t *testing.T) *phone.Carrier {
	t.Helper()
	carrier := phone.NewCarrier(phone.CarrierOptions{Addr: carrierIP + ":0", Default: phone.Answer,
		Numbers: map[string]phone.Behaviour{switchBusy: phone.Busy, switchRinging: phone.RingOnly}})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	return carrier
}

// dialSwitch places a call through a switch that asks Tollgate, and returns how it went.
func (s *server) dialSwitch(sip, to string, options phone.Options) phone.Outcome {
	s.T.Helper()
	options.Server = sip
	options.From = "+13125550100"
	options.To = to
	options.LocalAddr = pbxIP + ":0"
	outcome, err := phone.Place(s.T.Context(), options)
	if err != nil {
		s.T.Fatal(err)
	}
	return outcome
}

// switchCalls are the calls that every example of a switch has to get right: answered, refused by Tollgate with its
// status, busy and given up. Each leaves one record.
func (s *server) switchCalls(sip string) {
	s.T.Helper()
	for _, c := range []struct {
		to      string
		options phone.Options
		status  int
		cause   string
	}{
		{to: "+12125550123", options: phone.Options{HangUpAfter: 1500 * time.Millisecond}, status: 200, cause: "NORMAL_CLEARING"},
		{to: "+33123456789", status: 403, cause: "CALL_REJECTED"},
		{to: "+1212", status: 404, cause: "CALL_REJECTED"},
		{to: switchBusy, status: 486, cause: "USER_BUSY"},
		{to: switchRinging, options: phone.Options{CancelAfter: 500 * time.Millisecond}, status: 487, cause: "ORIGINATOR_CANCEL"},
	} {
		before := len(s.records())
		if o := s.dialSwitch(sip, c.to, c.options); o.Status != c.status {
			s.T.Errorf("%s: %d %s, want %d", c.to, o.Status, o.Phrase, c.status)
		}
		process.Eventually(s.T, "the record of the call to "+c.to, 20*time.Second, func() bool {
			return len(s.records()) == before+1
		})
		record := s.records()[0]
		if record["hangup_cause"] != c.cause {
			s.T.Errorf("%s: record %v, want %s", c.to, record, c.cause)
		}
		if billed := record["billed_sec"].(float64); c.status == 200 && (billed < 1 || billed > 3) || c.status != 200 && billed != 0 {
			s.T.Errorf("%s: billed for %v s", c.to, billed)
		}
	}
}

// switchEnds has one call end when the money is spent, and another one outlive its first grant, until it is hung up
// over the API.
func (s *server) switchEnds(sip, profile string) {
	s.T.Helper()
	before := len(s.records())
	// A cent a second; up to a cent is spent.
	s.Must(http.MethodPatch, "/v2/outbound_voice_profiles/"+profile, object{"daily_spend_limit": "0.08",
		"daily_spend_limit_enabled": true, "spend_limit_action": "end_calls"})
	if o := s.dialSwitch(sip, "+12125550123", phone.Options{}); o.Status != http.StatusOK || o.HungUpBy != phone.SideCallee {
		s.T.Errorf("the call that the money ends: %+v", o)
	}
	process.Eventually(s.T, "its record", 30*time.Second, func() bool { return len(s.records()) == before+1 })
	record := s.records()[0]
	if billed := record["billed_sec"].(float64); billed < 4 || billed > 8 {
		s.T.Errorf("a call with money for 8 s was billed for %v s", billed)
	}
	s.settled()
	s.wantSpend(profile)

	s.Must(http.MethodPatch, "/v2/outbound_voice_profiles/"+profile, object{"daily_spend_limit_enabled": false})
	call, err := phone.Dial(s.T.Context(), phone.Options{Server: sip, From: "+13125550100", To: "+12125550123",
		LocalAddr: pbxIP + ":0"})
	if err != nil {
		s.T.Fatal(err)
	}
	defer call.Close()
	const firstGrant = 30
	var id string
	process.Eventually(s.T, "the call is renewed", 60*time.Second, func() bool {
		_, answer := s.Call(http.MethodGet, "/tollgate/v1/calls", nil)
		for _, c := range answer["data"].([]any) {
			id = c.(object)["id"].(string)
			granted, _ := c.(object)["granted_sec"].(float64)
			return granted > firstGrant
		}
		return false
	})
	s.Must(http.MethodPost, "/v2/calls/"+id+"/actions/hangup", object{})
	if o := call.Wait(); o.Status != http.StatusOK || o.HungUpBy != phone.SideCallee {
		s.T.Errorf("the call that is hung up: %+v", o)
	}
	s.settled()
	s.wantSpend(profile)
}
