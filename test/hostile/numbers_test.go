package hostile

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/phone"
)

// disguises are ways to write a number that may not be called, so that a network
// still completes it.
var disguises = []string{
	"+499001234567", "+4909001234567", "+49(0)9001234567", "+49.0.900.1234567", "+4900900123456", "004909001234567",
	"09001234567",
	"+4990012345678", "+499001234567899", "+4990012345", "+499002123456", "+4911833", "+491183312345", "4909001234567",
	"00490900123456789",
	"++499001234567", "+49900123%34567", "+49900FLOWERS", "*31#+499001234567", "+499001234567p22", "+499001234567%2C22",
	"+12129761234", "+112129761234", "+12125401234", "+33690123456", "+3780549886377", "+390549886377",
}

// TestNoNumberInDisguise: a carrier gets none of them, over SIP or from a switch.
func TestNoNumberInDisguise(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(object{"whitelisted_destinations": []string{"US", "DE", "FR", "IT"}})
	s.deck("1,0.01,1,1", "49,0.01,1,1", "33,0.01,1,1", "39,0.01,1,1", "590,0.01,1,1", "378,0.01,1,1")
	for home, own := range map[string][]string{"DE": {"0 900 1234567"}, "FR": {"0690123456", "0692123456", "0590201234"}} {
		s.Must(http.MethodPatch, "/v2/ip_connections/"+w.connection,
			object{"outbound": object{"localization": home, "outbound_voice_profile_id": w.profile}})
		for _, to := range slices.Concat(disguises, own) {
			if strings.ContainsAny(to, "% ") {
				// The test phone dials no such text.
			} else if outcome := s.place(pbxIP, phone.Options{To: to}); outcome.Status < 400 {
				t.Errorf("%s from %s: status %d over SIP", to, home, outcome.Status)
			}
			_, answer := s.Call(http.MethodPost, "/tollgate/v1/admissions",
				object{"connection_id": w.connection, "call_id": home + to, "from": "+13125550100", "to": to})
			if data, ok := answer["data"].(object); ok && data["decision"] != "deny" {
				t.Errorf("%s from %s: a switch is answered %v", to, home, data["decision"])
			}
		}
	}
	if calls := w.carrier.Calls(); len(calls) != 0 {
		t.Errorf("the carrier got %d calls, the first of %+v", len(calls), calls[0])
	}
	// What is ordinary goes out as it rings.
	if outcome := s.place(pbxIP, phone.Options{To: "+49(0)1512345678"}); outcome.Status != http.StatusOK {
		t.Errorf("an ordinary number: status %d", outcome.Status)
	}
	if calls := w.carrier.Calls(); len(calls) != 1 || !strings.HasSuffix(calls[0].To, "491512345678") {
		t.Errorf("the carrier got %+v, want one call to +491512345678", calls)
	}
}

// TestOnlyAnAdminOpensThePlan: a key that may do everything else opens no number, and an
// override of the operator's does so at once.
func TestOnlyAnAdminOpensThePlan(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(nil)
	const number, path = "+14362345678", "/tollgate/v1/numbering_plan_overrides"
	if outcome := s.place(pbxIP, phone.Options{To: number}); outcome.Status != http.StatusNotFound {
		t.Errorf("before: status %d", outcome.Status)
	}
	for _, bad := range []object{{"prefix": "911", "valid": true}, {"prefix": "112", "valid": false},
		{"prefix": "+1436", "valid": true}} {
		if status, _ := s.Call(http.MethodPost, path, bad); status != http.StatusUnprocessableEntity {
			t.Errorf("%v: status %d", bad, status)
		}
	}
	s.Must(http.MethodPost, path, object{"prefix": "1436", "valid": true, "country": "US", "comment": "in service"})
	if outcome := s.place(pbxIP, phone.Options{To: number}); outcome.Status != http.StatusOK {
		t.Errorf("after: status %d %s", outcome.Status, outcome.Phrase)
	}
	if calls := w.carrier.Calls(); len(calls) != 1 {
		t.Errorf("the carrier got %d calls, want 1", len(calls))
	}
	if outcome := s.place(pbxIP, phone.Options{To: "911"}); outcome.Status != http.StatusOK {
		t.Errorf("an emergency call: status %d", outcome.Status)
	}
}
