package hostile

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// writer is a key that may do all that a tenant may, and not what the operator may.
func (s *server) writer() string {
	s.T.Helper()
	return s.Must(http.MethodPost, "/tollgate/v1/api_keys",
		object{"name": "writer", "scopes": []string{"read", "write"}})["secret"].(string)
}

// kinds are the connections of each kind, and a body that makes one.
var kinds = map[string]object{
	"/v2/ip_connections":         {"connection_name": "pbx"},
	"/v2/credential_connections": {"connection_name": "pbx", "user_name": "stolen1", "password": "12345678"},
	"/v2/fqdn_connections":       {"connection_name": "pbx"},
}

func pointers(answer object) string {
	var all []string
	problems, _ := answer["errors"].([]any)
	for _, p := range problems {
		entry := p.(object)
		source, _ := entry["source"].(object)
		all = append(all, fmt.Sprint(entry["code"], " ", source["pointer"]))
	}
	return strings.Join(all, ", ")
}

// TestEmergencyNumbersOpenNothing: no key makes a number that can be dialled an
// emergency number, and a tenant's key makes none at all.
func TestEmergencyNumbersOpenNothing(t *testing.T) {
	s := serve(t)
	tenant := s.writer()
	for path, body := range kinds {
		t.Run(path, func(t *testing.T) {
			one := path + "/" + s.made(path, body, object{"outbound": object{"localization": "DE"}})
			ask := func(key, list string) (int, string) {
				status, answer := s.CallAs(key, http.MethodPatch, one, jsontext.Value(`{"emergency_numbers":`+list+`}`))
				return status, pointers(answer)
			}
			for _, c := range []struct {
				key, list string
				status    int
				pointers  string
			}{
				{"", `["447011123456"]`, 422, "10015 /emergency_numbers/0"},
				{"", `["112","301234","11833","1","5555"]`, 422,
					"10015 /emergency_numbers/1, 10015 /emergency_numbers/2, 10015 /emergency_numbers/3"},
				{tenant, `["5555"]`, 403, "10010 /emergency_numbers/0"},
				{"", `["5555","6666"]`, 200, ""},
				{tenant, `["6666","5555"]`, 200, ""},                           // unchanged
				{tenant, `["6666"]`, 200, ""},                                  // less
				{tenant, `["6666","5555"]`, 403, "10010 /emergency_numbers/1"}, // and back
				{tenant, `null`, 200, ""},
				{"", `["321000"]`, 200, ""},
			} {
				key := c.key
				if key == "" {
					key = process.Key
				}
				if status, got := ask(key, c.list); status != c.status || got != c.pointers {
					t.Errorf("%s: %d %s, want %d %s", c.list, status, got, c.status, c.pointers)
				}
			}
			// 321000 is a subscriber in Greenland.
			status, answer := s.CallAs(tenant, http.MethodPatch, one, jsontext.Value(`{"outbound":{"localization":"GL"}}`))
			if got := pointers(answer); status != 422 || got != "10015 /emergency_numbers/0" {
				t.Errorf("moved to Greenland: %d %s", status, got)
			}
			for field, value := range map[string]string{"emergency_call_limit": "5", "emergency_alert_calls": "0"} {
				status, answer := s.CallAs(tenant, http.MethodPatch, one, jsontext.Value(fmt.Sprintf(`{%q:%s}`, field, value)))
				if got := pointers(answer); status != 403 || got != "10010 /"+field {
					t.Errorf("%s: %d %s", field, status, got)
				}
			}
		})
	}
	// The account's numbers are held against all connections, and those against them.
	for list, want := range map[string]string{`["447011123456"]`: "10015 /emergency_numbers/0",
		`["301234"]`: "10015 /emergency_numbers/0"} {
		status, answer := s.Call(http.MethodPatch, "/tollgate/v1/account", jsontext.Value(`{"emergency_numbers":`+list+`}`))
		if got := pointers(answer); status != 422 || got != want {
			t.Errorf("account with %s: %d %s", list, status, got)
		}
	}
	s.Must(http.MethodPatch, "/tollgate/v1/account", object{"emergency_numbers": []string{"321000"}})
	status, answer := s.CallAs(tenant, http.MethodPost, "/v2/ip_connections",
		jsontext.Value(`{"connection_name":"b","outbound":{"localization":"GL"}}`))
	if got := pointers(answer); status != 422 || got != "10015 /outbound/localization" {
		t.Errorf("a connection where the account's number is a subscriber: %d %s", status, got)
	}
}

// TestStolenPasswordCallsForHelp: sixty emergency calls under sixty numbers show one, are
// counted, reported and charged outside the limits; and an operator may cap them.
func TestStolenPasswordCallsForHelp(t *testing.T) {
	s := serve(t)
	carrier := startCarrier(t, phone.Answer)
	s.gateway(carrier.Addr(), nil)
	deck := s.Must(http.MethodPost, "/tollgate/v1/rate_decks?name=help",
		"prefix,rate,first_increment,increment,connect_fee\n1,0.60,1,1,0\n1911,0,60,60,75\n")["id"]
	s.Must(http.MethodPost, fmt.Sprintf("/tollgate/v1/rate_decks/%v/activate", deck), nil)
	profile := s.profile(object{"daily_spend_limit": "1.00", "daily_spend_limit_enabled": true})
	connection := s.credentialConnection(profile, "stolen1", "password1", object{
		"caller_id_headers": "both", "caller_ids": object{"numbers": []string{"+13125550100"}}})
	const calls = 60
	for i := range calls {
		o := s.place(pbxIP, phone.Options{User: "stolen1", Password: "password1", To: "911",
			From: fmt.Sprintf("+1202555%04d", i)})
		if o.Status != 200 {
			t.Fatalf("call %d: %d %s", i, o.Status, o.Phrase)
		}
	}
	for _, c := range carrier.Calls() {
		if c.From != "+13125550100" || !strings.Contains(c.Invite, "P-Asserted-Identity: <sip:+13125550100@") ||
			strings.Contains(c.Invite, "+1202555") {
			t.Fatalf("the carrier is shown %s", c.Invite)
		}
	}
	// What the limit counts is untouched, and it still stops ordinary calls only.
	usage := s.Must(http.MethodGet, "/tollgate/v1/outbound_voice_profiles/"+profile+"/usage", nil)
	if usage["posted"] != "0.00" || usage["held"] != "0.00" {
		t.Errorf("the profile has posted %v and holds %v", usage["posted"], usage["held"])
	}
	var day object
	process.Eventually(t, "the last call has ended", answerLimit, func() bool {
		_, days := s.Call(http.MethodGet, "/tollgate/v1/emergency_days?filter[connection_id]="+connection, nil)
		day = days["data"].([]any)[0].(object)
		return day["live_calls"] == 0.0
	})
	if day["calls"] != float64(calls) || day["live_calls"] != 0.0 || day["cost"] != "4500.00" ||
		day["billed_sec"] != float64(60*calls) {
		t.Errorf("counted as %v", day)
	}
	if metrics := s.Scrape(); metrics["tollgate_emergency_calls_total"] != calls ||
		metrics["tollgate_emergency_calls_live"] != 0 {
		t.Errorf("measured as %v, %v live", metrics["tollgate_emergency_calls_total"],
			metrics["tollgate_emergency_calls_live"])
	}
	if told := strings.Count(s.Text(), "unusually many emergency calls"); told != 3 { // at 10, 20 and 40
		t.Errorf("told %d times", told)
	}
	s.Must(http.MethodPatch, "/v2/credential_connections/"+connection, object{"emergency_call_limit": 1})
	hold := s.Must(http.MethodPost, "/tollgate/v1/admissions",
		object{"connection_id": connection, "call_id": "held", "from": "+12025550100", "to": "911;phone-context=+1"})
	if hold["decision"] != "allow" || hold["caller_id"] != "+13125550100" || hold["caller_id_confirmed"] != true {
		t.Errorf("admitted as %v", hold)
	}
	if route := hold["routes"].([]any)[0].(object); route["number"] != "911" || route["caller_id"] != "+13125550100" {
		t.Errorf("the route is %v", route)
	}
	o := s.place(pbxIP, phone.Options{User: "stolen1", Password: "password1", To: "911"})
	if o.Status != 503 || !strings.HasSuffix(o.Phrase, " TG13") {
		t.Errorf("beside one: %d %s", o.Status, o.Phrase)
	}
	s.Must(http.MethodPost, "/tollgate/v1/admissions/held/end", object{"sip_status": 487})
	if o = s.place(pbxIP, phone.Options{User: "stolen1", Password: "password1", To: "9911"}); o.Status != 200 {
		t.Errorf("once it is over: %d %s", o.Status, o.Phrase)
	}
}

// TestImpostor: a stolen password shows what it wants, and nothing of it is asserted; an
// account cannot confirm a number for itself.
func TestImpostor(t *testing.T) {
	s := serve(t)
	carrier := startCarrier(t, phone.Answer)
	s.gateway(carrier.Addr(), nil)
	s.deck("1,0.60,1,1")
	profile := s.profile(nil)
	connection := s.ipConnection(profile, pbxIP, object{"caller_id_headers": "both", "diversions": "pass"})
	one := "/v2/ip_connections/" + connection
	said := []phone.Header{
		{Name: "P-Asserted-Identity", Value: `"Revenue" <sip:+12028290922@irs.test>`},
		{Name: "Remote-Party-ID", Value: "<sip:+12028290922@irs.test>;screen=yes"},
		{Name: "Diversion", Value: `"Revenue" <sip:+12028290922@irs.test>;screen=yes`}, {Name: "Identity", Value: "abc"},
		{Name: "P-Charge-Info", Value: "<tel:+12028290922>"},
	}
	ask := func(status int, listed string) string {
		t.Helper()
		before := len(carrier.Calls())
		if o := s.place(pbxIP, phone.Options{Headers: said}); o.Status != status {
			t.Fatalf("%s: %d %s", listed, o.Status, o.Phrase)
		}
		if status != 200 {
			return ""
		}
		return carrier.Calls()[before].Invite
	}
	asserted := func(invite string) bool {
		return strings.Contains(invite, "P-Asserted-Identity") || strings.Contains(invite, "screen=yes")
	}
	tenant := s.writer()
	status, answer := s.CallAs(tenant, http.MethodPatch, one,
		jsontext.Value(`{"caller_ids":{"numbers":["+12028290922"],"prefixes":["+1"],"confirmed_numbers":["+12028290922"],"confirmed_prefixes":["+1"]},
			"outbound":{"ani_override":"+12028290922"}}`))
	ids := answer["data"].(object)["caller_ids"].(object)
	if status != 200 || len(ids["confirmed_numbers"].([]any))+len(ids["confirmed_prefixes"].([]any)) != 0 {
		t.Fatalf("listed by the account: %d %v", status, ids)
	}
	invite := ask(200, "listed by the account")
	if asserted(invite) || !strings.Contains(invite, "From: <sip:+12028290922@") {
		t.Errorf("listed by the account: %s", invite)
	}
	for _, leaked := range []string{"Revenue", "Identity: abc", "P-Charge-Info"} {
		if strings.Contains(invite, leaked) {
			t.Errorf("%s has passed: %s", leaked, invite)
		}
	}
	s.Must(http.MethodPatch, one, object{"caller_ids": object{"numbers": []string{"+13125550100"}, "prefixes": nil,
		"on_mismatch": "refuse"}, "outbound": object{"ani_override": nil}})
	ask(403, "refused")
	s.Must(http.MethodPatch, one, object{"caller_ids": object{"on_mismatch": "replace"}})
	if invite = ask(200, "replaced"); strings.Contains(invite, "2028290922") ||
		!strings.Contains(invite, "P-Asserted-Identity: <sip:+13125550100@") {
		t.Errorf("replaced: %s", invite)
	}
	// What the account takes off the list and puts back is not confirmed any more.
	s.CallAs(tenant, http.MethodPatch, one, jsontext.Value(`{"caller_ids":{"numbers":["+13125550101"]}}`))
	s.CallAs(tenant, http.MethodPatch, one, jsontext.Value(`{"caller_ids":{"numbers":["+13125550100"]}}`))
	if invite = ask(200, "put back"); asserted(invite) {
		t.Errorf("put back: %s", invite)
	}
}
