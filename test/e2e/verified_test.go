package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/hearing"
	"github.com/tollgate/tollgate/test/process"
)

// another is a code that is not the given one.
func another(code string) string {
	return string('0'+(code[0]-'0'+1)%10) + code[1:]
}

// refusedWith wants a request to be refused, and a text in the reason.
func (s *server) refusedWith(method, path string, body object, status int, text string) {
	s.T.Helper()
	got, answer := s.Send(process.Key, method, path, body)
	if got != status || !strings.Contains(string(answer), text) {
		s.T.Errorf("%s %s: %d %s, want %d and %q", method, path, got, answer, status, text)
	}
}

const (
	verifiedPath = "/v2/verified_numbers"
	ownNumber    = "+12125550123"
	verifyPath   = verifiedPath + "/" + ownNumber + "/actions/verify"
)

// A number is verified by a real call that says a code, and is asserted from then on until
// it is deleted.
func TestANumberIsVerifiedByACall(t *testing.T) {
	t.Parallel()
	heard := hearing.New(t)
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer, Hear: heard.Hear, User: "tollgate", Password: "of the trunk"})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	dead := phone.NewCarrier(phone.CarrierOptions{Default: phone.Behaviour{Status: 503, NoRing: true}})
	if err := dead.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dead.Stop)
	s := serve(t, t.TempDir())
	profile := s.setUp(nil, dead.Addr())
	s.Must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "second", "address": carrier.Addr(), "priority": 5,
		"user_name": "tollgate", "password": "of the trunk"})
	begin := object{"phone_number": ownNumber, "verification_method": "call"}
	_, begun := s.Call(http.MethodPost, verifiedPath, begin)
	if begun["phone_number"] != ownNumber || begun["verification_method"] != "call" {
		t.Fatalf("begun: %v", begun)
	}
	code := heard.AwaitCode(t)
	pending := s.Must(http.MethodGet, verifiedPath+"/"+ownNumber, nil)
	if pending["status"] != "pending" || pending["verified_at"] != nil || pending["call_status"] != "answered" {
		t.Errorf("while the code is said: %v", pending)
	}
	if _, list := s.Call(http.MethodGet, verifiedPath, nil); len(list["data"].([]any)) != 0 {
		t.Errorf("a number that is not verified is listed: %v", list)
	}
	s.refusedWith(http.MethodPost, verifyPath, object{"verification_code": another(code)}, 422, "Tries left: 4")
	verified := s.Must(http.MethodPost, verifyPath, object{"verification_code": code})
	if verified["status"] != "verified" || verified["verified_at"] == nil || verified["record_type"] != "verified_number" {
		t.Errorf("verified: %v", verified)
	}
	s.refusedWith(http.MethodPost, verifiedPath, begin, 422, "verified already")
	process.Eventually(t, "the code said three times", 60*time.Second, func() bool { return len(heard.Digits()) >= 18 })
	s.settled()
	if said := heard.Digits(); said != code+code+code {
		t.Errorf("%s was said, want %s three times", said, code)
	}
	records := s.records()
	if len(records) != 1 || records[0]["outcome"] != "answered" || records[0]["id"] != begun["call_id"] ||
		records[0]["outbound_profile_id"] != profile || records[0]["cost"] == "0.00" {
		t.Errorf("the record of the call: %v", records)
	}
	if strings.Contains(s.Text(), code) {
		t.Error("the code is in the log")
	}
	connection := s.theConnection()
	s.Must(http.MethodPatch, "/v2/ip_connections/"+connection, object{"caller_id_headers": "p-asserted-identity"})
	if asserted := s.shown(t, carrier, 1); !strings.Contains(asserted, "P-Asserted-Identity: <sip:"+ownNumber+"@") {
		t.Errorf("a verified number is not asserted: %s", asserted)
	}
	s.Must(http.MethodDelete, verifiedPath+"/"+ownNumber, nil)
	if asserted := s.shown(t, carrier, 2); strings.Contains(asserted, "P-Asserted-Identity") {
		t.Errorf("a number is asserted that was deleted: %s", asserted)
	}
}

// theConnection is the id of the only one.
func (s *server) theConnection() string {
	s.T.Helper()
	_, list := s.Call(http.MethodGet, "/v2/ip_connections", nil)
	return list["data"].([]any)[0].(object)["id"].(string)
}

// shown places a call with the number as its caller id and returns the carrier's INVITE,
// which is the one after so many.
func (s *server) shown(t *testing.T, carrier *phone.Carrier, before int) string {
	t.Helper()
	outcome, err := phone.Place(t.Context(), phone.Options{Server: s.SIP, LocalAddr: pbxIP + ":0", From: ownNumber, To: "+12125550177",
		NoAudio: true, HangUpAfter: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	calls := carrier.Calls()
	if len(calls) <= before {
		t.Fatalf("%d calls at the carrier, the last ended %+v", len(calls), outcome)
	}
	return calls[len(calls)-1].Invite
}

// A server that dies while it says a code hangs up when it is back, and takes the code.
func TestAServerDiesWhileItSaysACode(t *testing.T) {
	t.Parallel()
	heard := hearing.New(t)
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer, Hear: heard.Hear})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	s := serve(t, t.TempDir())
	s.setUp(nil, carrier.Addr())
	s.Call(http.MethodPost, verifiedPath, object{"phone_number": ownNumber, "verification_method": "call"})
	code := heard.AwaitCode(t)
	s.Kill()
	s = &server{s.Again()}
	err := carrier.Await(t.Context(), func(calls []phone.CarrierCall) bool { return len(calls) == 1 && !calls[0].Ended.IsZero() })
	if err != nil {
		t.Fatal(err)
	}
	s.settled()
	if records := s.records(); len(records) != 1 || records[0]["outcome"] != "lost" {
		t.Errorf("records: %v", records)
	}
	if waiting := s.Must(http.MethodGet, verifiedPath+"/"+ownNumber, nil); waiting["call_status"] != "failed" {
		t.Errorf("after the crash: %v", waiting)
	}
	if verified := s.Must(http.MethodPost, verifyPath, object{"verification_code": code}); verified["status"] != "verified" {
		t.Errorf("verified: %v", verified)
	}
}
