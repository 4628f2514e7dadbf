// Package hostile attacks the real program from outside: what a stranger, a tenant, a
// thief of a password or a carrier gone bad can send to it. One file holds one topic;
// docs/THREAT-MODEL.md names the tests. Loads are small and go to loopback addresses.
package hostile

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// The parties have addresses of their own on the loopback network.
const (
	pbxIP      = "127.0.0.2"  // of a connection that setUp makes
	carrierIP  = "127.0.0.3"  // of the gateway that setUp makes
	strangerIP = "127.0.0.66" // that no connection names
)

func TestMain(m *testing.M) {
	os.Exit(process.Main(m))
}

// object is a JSON object of the API.
type object = process.Object

// server is a running program, with requests that only these tests make. Its methods
// Call, CallAs and Must speak to the API; Scrape reads the metrics, which are on;
// Text is the log; Kill, Terminate, Signal and Again end it and start it again.
type server struct{ *process.Server }

// serve starts the program on a temporary data folder and free loopback ports.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return &server{process.Serve(t, t.TempDir(), append([]string{"--metrics-addr", "127.0.0.1:0"}, flags...)...)}
}

// again starts an ended server again, on what it had.
func (s *server) again(more ...string) *server {
	s.T.Helper()
	return &server{s.Again(more...)}
}

// profile makes an outbound voice profile that may call the US, and returns its id.
func (s *server) profile(settings object) string {
	s.T.Helper()
	return s.made("/v2/outbound_voice_profiles", object{"name": "office", "whitelisted_destinations": []string{"US"}},
		settings)
}

// ipConnection makes a connection that is known by an address, and returns its id.
func (s *server) ipConnection(profile, address string, settings object) string {
	s.T.Helper()
	id := s.made("/v2/ip_connections", object{
		"connection_name": "pbx", "outbound": object{"outbound_voice_profile_id": profile},
	}, settings)
	s.Must(http.MethodPost, "/v2/ips", object{"connection_id": id, "ip_address": address})
	return id
}

// credentialConnection makes a connection that is known by a user's name and password,
// and returns its id.
func (s *server) credentialConnection(profile, user, password string, settings object) string {
	s.T.Helper()
	return s.made("/v2/credential_connections", object{
		"connection_name": user, "user_name": user, "password": password,
		"outbound": object{"outbound_voice_profile_id": profile},
	}, settings)
}

// gateway makes a gateway and returns its id.
func (s *server) gateway(address string, settings object) string {
	s.T.Helper()
	return s.made("/tollgate/v1/gateways", object{"name": "carrier", "address": address}, settings)
}

// deck makes a rate deck of the lines given, "1,0.60,1,1" as an example, puts it in
// force and returns its id.
func (s *server) deck(lines ...string) string {
	s.T.Helper()
	text := "prefix,rate,first_increment,increment\n"
	for _, line := range lines {
		text += line + "\n"
	}
	id := s.Must(http.MethodPost, "/tollgate/v1/rate_decks?name=default", text)["id"].(string)
	s.Must(http.MethodPost, fmt.Sprintf("/tollgate/v1/rate_decks/%s/activate", id), nil)
	return id
}

// made posts an object with settings of the test's and returns the id of the answer.
func (s *server) made(path string, usual, settings object) string {
	s.T.Helper()
	for name, value := range settings {
		usual[name] = value
	}
	return s.Must(http.MethodPost, path, usual)["id"].(string)
}

// world is what most tests attack: a profile, a PBX that may use it, a carrier and a
// deck of one cent a second for +1.
type world struct {
	profile, connection, gatewayID, deck string
	carrier                              *phone.Carrier
}

// setUp makes a world with settings of its profile.
func (s *server) setUp(profile object) world {
	s.T.Helper()
	w := world{carrier: startCarrier(s.T, phone.Answer)}
	w.profile = s.profile(profile)
	w.connection = s.ipConnection(w.profile, pbxIP, nil)
	w.gatewayID = s.gateway(w.carrier.Addr(), nil)
	w.deck = s.deck("1,0.60,1,1")
	return w
}

// startCarrier starts a carrier that does the same with every call.
func startCarrier(t *testing.T, does phone.Behaviour) *phone.Carrier {
	t.Helper()
	carrier := phone.NewCarrier(phone.CarrierOptions{Addr: carrierIP + ":0", Default: does, NoAudio: true})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	return carrier
}

// place makes a whole call from an address and returns its outcome. It hangs up
// soon after the answer, if options say nothing else.
func (s *server) place(from string, options phone.Options) phone.Outcome {
	s.T.Helper()
	options.Server = s.SIP
	options.LocalAddr = from + ":0"
	options.NoAudio = true
	if options.From == "" {
		options.From = "+13125550100"
	}
	if options.To == "" {
		options.To = "+12125550123"
	}
	if options.HangUpAfter == 0 {
		options.HangUpAfter = 10 * time.Millisecond
	}
	outcome, err := phone.Place(s.T.Context(), options)
	if err != nil {
		s.T.Fatal(err)
	}
	return outcome
}

// records returns the newest call records, 50 at the most.
func (s *server) records() []object {
	s.T.Helper()
	status, answer := s.Call(http.MethodGet, "/v2/detail_records?filter[record_type]=sip-trunking&page[size]=50", nil)
	if status != http.StatusOK {
		s.T.Fatalf("detail records: status %d: %v", status, answer)
	}
	var all []object
	for _, one := range answer["data"].([]any) {
		all = append(all, one.(object))
	}
	return all
}

// problems returns the errors of an answer, each as "code pointer: detail".
func problems(answer object) []string {
	var all []string
	list, _ := answer["errors"].([]any)
	for _, one := range list {
		e := one.(object)
		source, _ := e["source"].(object)
		where := source["pointer"]
		if where == nil {
			where = source["parameter"]
		}
		all = append(all, fmt.Sprintf("%v %v: %v", e["code"], where, e["detail"]))
	}
	return all
}
