package hostile

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// recognised is a connection and the ways in that it should have.
type recognised struct {
	name, path string
	more       object // of the connection
	outbound   object
	address    bool // it has one at /v2/ips
	digest     bool // the right digest is taken
	byAddress  bool // its address is enough, with the marks below
	token      string
	prefix     string
	charged    string
}

const (
	ipPath         = "/v2/ip_connections"
	credentialPath = "/v2/credential_connections"
	fqdnPath       = "/v2/fqdn_connections"
)

// everyRecognition is every kind of connection with every way to recognise its calls.
func everyRecognition() []recognised {
	number := object{"caller_ids": object{"numbers": []string{"+13125550188"}}}
	fqdn := func(method any, more object) object {
		outbound := object{"fqdn_authentication_method": method}
		for name, value := range more {
			outbound[name] = value
		}
		return outbound
	}
	const viaIP, viaUser = "ip-authentication", "credential-authentication"
	return []recognised{
		{name: "address", path: ipPath, address: true, byAddress: true},
		{name: "address and token", path: ipPath, address: true, byAddress: true, token: "a-token-of-it",
			outbound: object{"ip_authentication_method": "token", "ip_authentication_token": "a-token-of-it"}},
		{name: "address and prefix", path: ipPath, address: true, byAddress: true, prefix: "4321",
			outbound: object{"tech_prefix": "4321"}},
		{name: "address and number", path: ipPath, more: number, address: true, byAddress: true, charged: "+13125550188",
			outbound: object{"tech_prefix": "4322"}},
		{name: "user", path: credentialPath, digest: true},
		{name: "name alone", path: fqdnPath},
		{name: "name and user", path: fqdnPath, digest: true},
		{name: "name, user and address", path: fqdnPath, address: true, digest: true},
		{name: "user asked for", path: fqdnPath, outbound: fqdn(viaUser, nil), address: true, digest: true},
		{name: "asked for under the other name", path: fqdnPath, digest: true, address: true,
			outbound: object{"ip_authentication_method": viaUser}},
		{name: "asked for and there is none", path: fqdnPath, outbound: fqdn(viaUser, nil), address: true},
		{name: "address asked for", path: fqdnPath, outbound: fqdn(viaIP, nil), address: true, byAddress: true},
		{name: "address asked for, and there is none", path: fqdnPath, outbound: fqdn(viaIP, nil)},
		{name: "address or user", path: fqdnPath, outbound: fqdn(viaIP, nil), address: true, byAddress: true, digest: true},
		{name: "name with a token", path: fqdnPath, address: true, byAddress: true, token: "the-token-of-a-name",
			outbound: fqdn(viaIP, object{"ip_authentication_method": "token",
				"ip_authentication_token": "the-token-of-a-name"})},
		{name: "token wanted, and there is none", path: fqdnPath, address: true,
			outbound: fqdn(viaIP, object{"ip_authentication_method": "token"})},
		{name: "name with a prefix", path: fqdnPath, address: true, byAddress: true, prefix: "4323",
			outbound: fqdn(viaIP, object{"tech_prefix": "4323"})},
		{name: "name with a number", path: fqdnPath, more: number, address: true, byAddress: true, charged: "+13125550188",
			outbound: fqdn(viaIP, object{"tech_prefix": "4324", "ip_authentication_method": "p-charge-info"})},
	}
}

// What a call is answered with, what a switch is told that asks about the same call, and
// what a forecast says of the connection, are the same for every connection.
func TestRecognitionIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(nil)
	s.credentialConnection(w.profile, "anybody1", "battery-staple", nil) // so that strangers get an answer
	for i, c := range everyRecognition() {
		t.Run(c.name, func(t *testing.T) {
			outbound := object{"outbound_voice_profile_id": w.profile}
			for name, value := range c.outbound {
				outbound[name] = value
			}
			body := object{"connection_name": c.name, "outbound": outbound}
			for name, value := range c.more {
				body[name] = value
			}
			user := fmt.Sprintf("user%d", i)
			if c.digest {
				body["user_name"], body["password"] = user, "correct-horse"
			}
			connection := fmt.Sprint(s.Must(http.MethodPost, c.path, body)["id"])
			own, elsewhere := fmt.Sprintf("127.0.7.%d", i+1), fmt.Sprintf("127.0.8.%d", i+1)
			if c.path == fqdnPath {
				s.Must(http.MethodPost, "/v2/fqdns", object{"connection_id": connection, "dns_record_type": "A",
					"fqdn": fmt.Sprintf("pbx%d.example.com", i)})
			}
			if c.address {
				s.Must(http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": own})
			}
			s.sameByDigest(t, connection, user, own, elsewhere, c.digest)
			s.sameByAddress(t, connection, own, elsewhere, &c)

			got := s.Must(http.MethodPost, "/tollgate/v1/decisions/explain",
				object{"connection_id": connection, "from": "+13125550100", "to": "+12125550123"})
			var ways []string
			if c.digest {
				ways = append(ways, "digest")
			}
			if c.byAddress {
				ways = append(ways, "ip_address")
			}
			if said := fmt.Sprint(got["ways_in"]); said != fmt.Sprint(ways) {
				t.Errorf("explained as reached by %s, want %s", said, ways)
			}
			if got["allowed"] != (len(ways) > 0) || len(ways) == 0 && got["code"] != "D25" {
				t.Errorf("a call gets in by %v, and is explained as allowed: %v, %v", ways, got["allowed"], got["code"])
			}
		})
	}
}

// sameByDigest calls as a user from two addresses, rightly, wrongly and not at all.
func (s *server) sameByDigest(t *testing.T, connection, user, own, elsewhere string, taken bool) {
	t.Helper()
	named := phone.Header{Name: "X-Telnyx-Username", Value: user}
	for _, from := range []string{own, elsewhere} {
		for password, right := range map[string]bool{"correct-horse": taken, "wrong-horse": false} {
			outcome := s.place(from, phone.Options{User: user, Password: password, Headers: []phone.Header{named}})
			if (outcome.Status == http.StatusOK) != right {
				t.Errorf("%s with %s from %s: %d %s", user, password, from, outcome.Status, outcome.Phrase)
			}
		}
	}
	if got := s.asked(object{"user_name": user}); (got["decision"] == "allow") != taken {
		t.Errorf("a switch asks about %s: %v", user, got)
	}
	if got := s.asked(object{"connection_id": connection}); got["decision"] != "allow" {
		t.Errorf("a switch names the connection itself: %v", got)
	}
}

// sameByAddress calls from two addresses without a user, with every mark and without.
func (s *server) sameByAddress(t *testing.T, connection, own, elsewhere string, c *recognised) {
	t.Helper()
	for _, marked := range []bool{false, true} {
		to, headers := "+12125550123", []phone.Header{}
		asked := object{}
		if marked && c.token != "" {
			headers, asked["token"] = append(headers, phone.Header{Name: "X-Telnyx-Token", Value: c.token}), c.token
		}
		if marked && c.charged != "" {
			value := "<sip:" + c.charged + "@example.com>"
			headers, asked["p_charge_info"] = append(headers, phone.Header{Name: "P-Charge-Info", Value: value}), c.charged
		}
		if marked && c.prefix != "" {
			to = c.prefix + "12125550123"
		}
		wantsMark := c.token+c.charged+c.prefix != ""
		for _, from := range []string{own, elsewhere} {
			right := c.byAddress && from == own && (marked || !wantsMark)
			asked["source_ip"], asked["to"] = from, to
			outcome := s.place(from, phone.Options{To: to, Headers: headers})
			got := s.asked(asked)
			if (outcome.Status == http.StatusOK) != right || (got["decision"] == "allow") != right {
				t.Errorf("%s from %s, marked %t: called %d %s, asked %v, want %t", connection, from, marked, outcome.Status,
					outcome.Phrase, got["decision"], right)
			}
		}
	}
}

// asked is what a switch is told about a call.
func (s *server) asked(who object) object {
	s.T.Helper()
	question := object{"call_id": rand.Text(), "from": "+13125550100", "to": "+12125550123"}
	for name, value := range who {
		question[name] = value
	}
	return s.Must(http.MethodPost, "/tollgate/v1/admissions", question)
}

// The address of one account's IP connection makes no call of another account's user, and
// a user's password does not make another user's call.
func TestANamedUserMustBeProved(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(nil)
	mine := s.made(fqdnPath, object{"connection_name": "mine", "user_name": "mine1", "password": "correct-horse",
		"digest_algorithms": []string{"SHA-256"}, "outbound": object{"outbound_voice_profile_id": w.profile}}, nil)
	s.credentialConnection(w.profile, "other1", "battery-staple", nil)
	call := func(named, user, password string, more ...phone.Header) phone.Outcome {
		return s.place(pbxIP, phone.Options{User: user, Password: password,
			Headers: append(more, phone.Header{Name: "X-Telnyx-Username", Value: named})})
	}
	for _, c := range []struct {
		named, user, password string
		status                int
	}{
		{"mine1", "", "", 407}, {"nobody1", "", "", 407}, // the same whether there is such a user
		{"mine1", "mine1", "correct-horse", 200}, {"mine1", "mine1", "wrong-horse", 403},
		{"mine1", "other1", "battery-staple", 403}, {"other1", "mine1", "correct-horse", 403},
		{"nobody1", "other1", "battery-staple", 403}, {"other1", "other1", "battery-staple", 200},
	} {
		if got := call(c.named, c.user, c.password); got.Status != c.status {
			t.Errorf("named %s, proved as %q by %q: %d %s, want %d", c.named, c.user, c.password, got.Status,
				got.Phrase, c.status)
		}
	}
	// A call for help from a known address waits for no password.
	help := phone.Options{To: "911", Headers: []phone.Header{{Name: "X-Telnyx-Username", Value: "mine1"}}}
	if got := s.place(pbxIP, help); got.Status != 200 {
		t.Errorf("911 by a named user: %d %s", got.Status, got.Phrase)
	}
	// The records are written when the calls have ended.
	process.Eventually(t, fmt.Sprintf("records of %s and, for help, of %s", mine, w.connection), 30*time.Second,
		func() bool {
			var of []any
			for _, r := range s.records() {
				of = append(of, r["connection_id"])
			}
			return slices.Contains(of, any(mine)) && slices.Contains(of, any(w.connection))
		})
}
