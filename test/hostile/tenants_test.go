package hostile

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// tenant makes an account and returns its path for an admin and its first key.
func (s *server) tenant(name string) (path, key string) {
	s.T.Helper()
	made := s.Must(http.MethodPost, "/tollgate/v1/accounts", object{"name": name})
	return fmt.Sprint("/tollgate/v1/accounts/", made["id"]), made["api_key"].(object)["secret"].(string)
}

// as makes an object with a key, which has to work, and returns its id.
func (s *server) as(key, path string, body any) string {
	s.T.Helper()
	status, answer := s.CallAs(key, http.MethodPost, path, body)
	if status >= 300 {
		s.T.Fatalf("POST %s: status %d: %v", path, status, answer)
	}
	return answer["data"].(object)["id"].(string)
}

// refusal sends what must be refused, and returns all that is said of it.
func (s *server) refusal(key, method, path string, body any, status int, problem string) string {
	s.T.Helper()
	got, answer := s.CallAs(key, method, path, body)
	said := problems(answer)
	if got != status || !slices.ContainsFunc(said, func(p string) bool { return strings.HasPrefix(p, problem) }) {
		s.T.Errorf("%s %s: status %d, %q; want %d, %s", method, path, got, said, status, problem)
	}
	return strings.Join(said, "\n")
}

// A tenant's own key sets neither what its calls cost nor where they go, and what the
// operator has locked not even a key with the scope for it.
func TestATenantSetsNoPrice(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path, key := s.tenant("tenant")
	operator := s.Must(http.MethodPost, path+"/api_keys",
		object{"name": "operator", "scopes": []string{"read", "write", "carrier"}})["secret"].(string)
	deck := s.as(operator, "/tollgate/v1/rate_decks?name=dear", "prefix,rate\n1,0.60\n")
	free := s.as(operator, "/tollgate/v1/rate_decks?name=free", "prefix,rate\n1,0\n")
	s.Must(http.MethodPatch, path, object{"default_rate_deck_id": deck, "daily_spend_limit": "1.00",
		"daily_spend_limit_enabled": true})
	profile := s.as(key, "/v2/outbound_voice_profiles", object{"name": "own"})
	for _, c := range []struct {
		method, path string
		body         any
		problem      string
	}{
		{http.MethodPost, "/tollgate/v1/rate_decks?name=mine", "prefix,rate\n1,0\n", "10010 /"},
		{http.MethodPost, "/tollgate/v1/rate_decks/" + free + "/activate", nil, "10010 /"},
		{http.MethodDelete, "/tollgate/v1/rate_decks/" + free, nil, "10010 /"},
		{http.MethodPost, "/tollgate/v1/gateways", object{"name": "mine", "address": "192.0.2.1"}, "10010 /"},
		{http.MethodPatch, "/v2/outbound_voice_profiles/" + profile, object{"rate_deck_id": free}, "10010 /rate_deck_id"},
		{http.MethodPost, "/v2/outbound_voice_profiles", object{"name": "mine", "rate_deck_id": free}, "10010 /rate_deck_id"},
		{http.MethodPatch, "/tollgate/v1/account", object{"daily_spend_limit": "100.00"}, "10010 /daily_spend_limit"},
		{http.MethodPost, "/tollgate/v1/api_keys", object{"name": "mine", "scopes": []string{"carrier"}}, "10010 /scopes"},
	} {
		s.refusal(key, c.method, c.path, c.body, http.StatusForbidden, c.problem)
	}
	s.Must(http.MethodPatch, path, object{"locked_fields": []string{"daily_spend_limit", "default_rate_deck_id",
		"rate_deck_id", "gateways"}})
	s.refusal(operator, http.MethodPost, "/tollgate/v1/rate_decks/"+free+"/activate", nil, http.StatusForbidden, "10010 /")
	s.refusal(operator, http.MethodPatch, "/v2/outbound_voice_profiles/"+profile, object{"rate_deck_id": free},
		http.StatusForbidden, "10010 /rate_deck_id")
	s.refusal(operator, http.MethodPost, "/tollgate/v1/gateways", object{"name": "mine", "address": "192.0.2.1"},
		http.StatusForbidden, "10010 /")
	s.refusal(key, http.MethodPatch, "/tollgate/v1/account", object{"daily_spend_limit": "0.50"}, http.StatusForbidden,
		"10010 /daily_spend_limit")
}

// No tenant gets the calls of another one's PBX by naming its address, those for help
// included.
func TestAnAddressIsNotTakenOver(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(nil)
	_, key := s.tenant("thief")
	for name, outbound := range map[string]object{"by a prefix": {"tech_prefix": "1212"},
		"by another": {"tech_prefix": "9111"}, "plainly": {}} {
		connection := s.as(key, "/v2/ip_connections", object{"connection_name": name, "outbound": outbound})
		for _, source := range []string{pbxIP, "::ffff:" + pbxIP, pbxIP + "/32", "127.0.0.0/24"} {
			said := s.refusal(key, http.MethodPost, "/v2/ips", object{"ip_address": source, "connection_id": connection},
				http.StatusUnprocessableEntity, "10012 /ip_address")
			if strings.Contains(said, w.connection) {
				t.Errorf("it is told whose %s is: %s", source, said)
			}
		}
		mine := s.as(key, "/v2/ips", object{"ip_address": "127.0.0.9", "connection_id": connection})
		s.refusal(key, http.MethodPatch, "/v2/ips/"+mine, object{"ip_address": pbxIP}, http.StatusUnprocessableEntity,
			"10012 /ip_address")
		if status, answer := s.CallAs(key, http.MethodDelete, "/v2/ips/"+mine, nil); status != http.StatusOK {
			t.Fatalf("status %d: %v", status, answer)
		}
	}
	for _, dialled := range []string{"+12125550123", "911"} {
		if outcome := s.place(pbxIP, phone.Options{To: dialled}); outcome.Status != http.StatusOK {
			t.Errorf("%s: %d %s", dialled, outcome.Status, outcome.Phrase)
		}
	}
	for _, r := range s.records() {
		if r["connection_id"] != w.connection {
			t.Errorf("the call to %v is of connection %v, want %s", r["cld"], r["connection_id"], w.connection)
		}
	}
}

// A stolen password from elsewhere gets what a wrong one gets, and is reported.
func TestAPasswordIsGoodFromHomeOnly(t *testing.T) {
	t.Parallel()
	const home, elsewhere = "127.0.0.4", strangerIP
	s := serve(t)
	w := s.setUp(nil)
	s.credentialConnection(w.profile, "alice", "correct-horse", object{"allowed_sources": []string{"192.0.2.0/24", home}})
	calls := map[string]phone.Outcome{}
	for _, password := range []string{"wrong-horses", "correct-horse"} {
		calls[password] = s.place(elsewhere, phone.Options{User: "alice", Password: password})
	}
	wrong, right := calls["wrong-horses"], calls["correct-horse"]
	if right.Status == http.StatusOK || right.Status != wrong.Status || right.Phrase != wrong.Phrase ||
		right.Reason != wrong.Reason {
		t.Errorf("a right password gets %d %s, a wrong one %d %s", right.Status, right.Phrase, wrong.Status, wrong.Phrase)
	}
	if n := s.Scrape()[`tollgate_sip_auth_total{result="strayed"}`]; n != 1 {
		t.Errorf("%v counted", n)
	}
	if outcome := s.place(home, phone.Options{User: "alice", Password: "correct-horse"}); outcome.Status != http.StatusOK {
		t.Errorf("from home: %d %s", outcome.Status, outcome.Phrase)
	}
	s.Terminate() // by then it has been logged
	if log := s.Text(); !strings.Contains(log, "allowed_sources") || strings.Contains(log, "correct-horse") {
		t.Errorf("the log says %s", log)
	}
}

// What a source of calls may be written as, and may not.
func TestSourcesThatAreNone(t *testing.T) {
	t.Parallel()
	s := serve(t)
	connection := s.made("/v2/credential_connections",
		object{"connection_name": "phone", "user_name": "alice", "password": "correct-horse"}, nil)
	for _, source := range []string{
		"0.0.0.0/0", "::/0", "0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "240.0.0.1", "fe80::1", "fe80::1%lo",
		"169.254.169.254", "10.0.0.0/7",
		"192.0.2.1/24", "192.0.2.1:5060", "192.0.2.0/33", "010.0.0.1", "::ffff:0:0/90", "::ffff:255.255.255.255", "localhost",
	} {
		said := s.refusal(process.Key, http.MethodPost, "/v2/ips", object{"ip_address": source},
			http.StatusUnprocessableEntity, "10015 /ip_address")
		if !strings.Contains(said, "Give") && !strings.Contains(said, "Leave") && !strings.Contains(said, "Write") {
			t.Errorf("%s: no way out in %s", source, said)
		}
		s.refusal(process.Key, http.MethodPatch, "/v2/credential_connections/"+connection,
			object{"allowed_sources": []string{source}},
			http.StatusUnprocessableEntity, "10015 /allowed_sources/0")
	}
	s.refusal(process.Key, http.MethodPatch, "/v2/credential_connections/"+connection,
		object{"allowed_sources": []string{}},
		http.StatusUnprocessableEntity, "10025 /allowed_sources")
	for _, source := range []string{"127.0.0.1", "::1", "192.0.2.0/24", "203.0.113.7", "2001:db8::/48", "10.0.0.0/8",
		"::ffff:198.51.100.1"} {
		s.Must(http.MethodPost, "/v2/ips", object{"ip_address": source})
	}
}
