// Package e2e drives the real program from outside: the binary as a process, SIPp
// as the PBX and as the carrier, and HTTP requests as an operator makes them.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/postgres"
	"github.com/tollgate/tollgate/test/process"
)

// The parties have addresses of their own on the loopback network.
const (
	pbxIP     = "127.0.0.2"
	carrierIP = "127.0.0.3"
)

func TestMain(m *testing.M) {
	os.Exit(process.Main(m))
}

// server is a running program.
type server struct{ *process.Server }

// serve starts the program on a data folder and free ports.
func serve(t *testing.T, dataDir string, flags ...string) *server {
	t.Helper()
	return &server{process.Serve(t, dataDir, flags...)}
}

// twoNodes starts two nodes that share a database.
func twoNodes(t *testing.T) (database *postgres.Server, first, second *server) {
	t.Helper()
	database, err := postgres.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := database.Remove(); err != nil {
			t.Error(err)
		}
	})
	url, _, err := database.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TOLLGATE_DATABASE_URL", url)
	key := filepath.Join(t.TempDir(), "secrets.key")
	first = serve(t, t.TempDir(), "--node-name", "first", "--secrets-key-file", key)
	second = serve(t, t.TempDir(), "--node-name", "second", "--secrets-key-file", key)
	return database, first, second
}

// object is a JSON object of the API.
type object = process.Object

// records returns all call records.
func (s *server) records() []object {
	s.T.Helper()
	var all []object
	for page := 1; ; page++ {
		query := url.Values{"filter[record_type]": {"sip-trunking"}, "page[number]": {fmt.Sprint(page)}, "page[size]": {"50"}}
		status, answer := s.Call(http.MethodGet, "/v2/detail_records?"+query.Encode(), nil)
		if status != http.StatusOK {
			s.T.Fatalf("detail records: status %d: %v", status, answer)
		}
		data := answer["data"].([]any)
		if len(data) == 0 {
			return all
		}
		for _, r := range data {
			all = append(all, r.(object))
		}
	}
}

// setUp makes a profile with the settings given, the PBX's connection, the
// carrier's gateway and a deck of one cent a second for the US. It returns the
// profile's id.
func (s *server) setUp(settings object, carrier string) string {
	s.T.Helper()
	profile := object{"name": "office", "whitelisted_destinations": []string{"US"}}
	for key, value := range settings {
		profile[key] = value
	}
	profileID := s.Must(http.MethodPost, "/v2/outbound_voice_profiles", profile)["id"].(string)
	connection := s.Must(http.MethodPost, "/v2/ip_connections", object{
		"connection_name": "pbx", "outbound": object{"outbound_voice_profile_id": profileID},
	})["id"]
	s.Must(http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": pbxIP})
	s.Must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "carrier", "address": carrier})
	deck := s.Must(http.MethodPost, "/tollgate/v1/rate_decks?name=default",
		"prefix,rate,first_increment,increment\n1,0.60,1,1\n")["id"]
	s.Must(http.MethodPost, fmt.Sprintf("/tollgate/v1/rate_decks/%v/activate", deck), nil)
	return profileID
}

// sipp runs SIPp until it ends or the test does.
type sipp struct {
	command *exec.Cmd
	out     *bytes.Buffer
	done    chan error
}

func startSIPp(t *testing.T, args ...string) *sipp {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		t.Fatalf("SIPp is needed (Debian package sip-tester; \"make test\" installs it): %v", err)
	}
	p := &sipp{out: &bytes.Buffer{}, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	p.command = exec.CommandContext(ctx, path,
		append(args, "-nostdin", "-trace_err", "-error_file", filepath.Join(t.TempDir(), "errors"))...)
	p.command.Dir = "testdata"
	p.command.Stdout, p.command.Stderr = p.out, p.out
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.done <- p.command.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return p
}

// startCarrier starts SIPp as the carrier and returns its address.
func startCarrier(t *testing.T) string {
	t.Helper()
	port := process.FreePort(t, carrierIP)
	startSIPp(t, "-sf", "carrier.xml", "-i", carrierIP, "-p", fmt.Sprint(port))
	return fmt.Sprintf("%s:%d", carrierIP, port)
}

// pbx starts SIPp as the PBX.
func (s *server) pbx(scenario, number string, calls, perSecond int, hold time.Duration, more ...string) *sipp {
	s.T.Helper()
	return startSIPp(s.T, append([]string{
		s.SIP, "-sf", scenario, "-i", pbxIP, "-p", fmt.Sprint(process.FreePort(s.T, pbxIP)), "-s", number,
		"-m", fmt.Sprint(calls), "-l", fmt.Sprint(calls), "-r", fmt.Sprint(perSecond), "-d", fmt.Sprint(hold.Milliseconds()),
		"-timeout", "90s", "-timeout_error",
	}, more...)...)
}

// wait returns when SIPp has ended; a call that failed fails the test.
func (p *sipp) wait(t *testing.T) {
	t.Helper()
	if err := <-p.done; err != nil {
		t.Fatalf("SIPp: %v\n%s", err, tail(p.out.String(), 3000))
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
