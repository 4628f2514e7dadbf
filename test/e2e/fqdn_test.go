package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// strangersPlatform is where a hosted platform calls from: no connection names it.
const strangersPlatform = "127.0.0.67"

// The setup that hosted voice platforms publish: an FQDN connection with credentials, a
// domain name for calls to them, and a profile. Their calls show a number in From, name
// their user in a header of its own, and answer the challenge.
func TestAPlatformCallsByAnFQDNConnection(t *testing.T) {
	s := serve(t, t.TempDir())
	profile := s.setUp(nil, startCarrier(t))
	connection := s.Must(http.MethodPost, "/v2/fqdn_connections", object{
		"active": true, "anchorsite_override": "Latency", "connection_name": "platform",
		"user_name": "livekit1", "password": "correct-horse",
		"inbound": object{"ani_number_format": "+E.164", "dnis_number_format": "+e164", "codecs": []string{"PCMU", "PCMA"}},
	})["id"].(string)
	s.Must(http.MethodPost, "/v2/fqdns", object{
		"connection_id": connection, "fqdn": "vjnxecm0tjk.sip.example.com", "port": 5060, "dns_record_type": "A",
	})
	s.Must(http.MethodPatch, "/v2/fqdn_connections/"+connection,
		object{"outbound": object{"outbound_voice_profile_id": profile}})

	const calls = 5
	port := fmt.Sprint(process.FreePort(t, strangersPlatform))
	startSIPp(t, s.SIP, "-sf", "pbx-digest.xml", "-i", strangersPlatform, "-p", port, "-s", "+12125550123",
		"-auth_uri", "+12125550123@"+s.SIP, "-m", fmt.Sprint(calls), "-l", "5", "-r", "10", "-d", "200",
		"-timeout", "60s", "-timeout_error").wait(t)
	process.Eventually(t, "a record of each call", 10*time.Second, func() bool { return len(s.records()) == calls })
	for _, r := range s.records() {
		if r["outcome"] != "answered" || r["connection_id"] != connection {
			t.Errorf("a call is %v, of connection %v", r["outcome"], r["connection_id"])
		}
	}
	s.wantSpend(profile)
	admitted := s.Must(http.MethodPost, "/tollgate/v1/admissions", object{"user_name": "livekit1",
		"call_id": "by-a-switch", "from": "+13125550100", "to": "+12125550123"})
	if admitted["decision"] != "allow" {
		t.Errorf("a switch asks about the user: %v", admitted)
	}
}
