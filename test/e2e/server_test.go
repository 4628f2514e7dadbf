// Package e2e drives the real program from outside: the binary as a process, SIPp
// as the PBX and as the carrier, and HTTP requests as an operator makes them.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

const apiKey = "an-api-key-for-the-end-to-end-tests"

// The parties have addresses of their own on the loopback network.
const (
	pbxIP     = "127.0.0.2"
	carrierIP = "127.0.0.3"
)

// startLimit is how long the program may take to say that it listens.
const startLimit = 30 * time.Second

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "tollgate-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "tollgate")
	build := exec.Command("go", "build", "-o", binary, "github.com/tollgate/tollgate/cmd/tollgate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// server is a running program.
type server struct {
	t       *testing.T
	command *exec.Cmd
	api     string // http://host:port
	sip     string // host:port
	metrics string // http://host:port/metrics, "" when it has none
	log     *lockedBuffer
	done    chan struct{} // closed when the process has ended
}

var measured = regexp.MustCompile(`Metrics on (http://\S+)`)

var listening = regexp.MustCompile(`API on (http://\S+), SIP on (\S+) `)

// serve starts the program on a data folder and free ports.
func serve(t *testing.T, dataDir string, flags ...string) *server {
	t.Helper()
	s := &server{t: t, log: &lockedBuffer{}, done: make(chan struct{})}
	args := append([]string{"serve", "--data-dir", dataDir, "--http-addr", "127.0.0.1:0", "--sip-addr", "127.0.0.1:0"}, flags...)
	s.command = exec.Command(binary, args...)
	s.command.Env = append(os.Environ(), "TOLLGATE_API_KEY="+apiKey)
	s.command.Stderr = s.log
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan []string, 1)
	go func() {
		defer close(s.done)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if match := measured.FindStringSubmatch(lines.Text()); match != nil {
				s.metrics = match[1] // which the server prints before the line below
			}
			if match := listening.FindStringSubmatch(lines.Text()); match != nil {
				found <- match
			}
		}
		_ = s.command.Wait()
	}()
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		<-s.done
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log)
		}
	})
	select {
	case match := <-found:
		s.api, s.sip = match[1], match[2]
	case <-s.done:
		t.Fatalf("the server ended before it listened:\n%s", s.log)
	case <-time.After(startLimit):
		t.Fatalf("the server does not listen after %v", startLimit)
	}
	return s
}

// text is what the server has logged so far.
func (s *server) text() string { return s.log.String() }

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// kill ends the process without any chance to clean up.
func (s *server) kill() {
	s.t.Helper()
	if err := s.command.Process.Signal(syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
}

// terminate asks the process to stop and returns its exit status.
func (s *server) terminate() int {
	s.t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
	return s.command.ProcessState.ExitCode()
}

// object is a JSON object of the API.
type object = map[string]any

// call makes an API request and returns the status and the decoded answer.
func (s *server) call(method, path string, body any) (int, object) {
	s.t.Helper()
	var reader io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case string:
		reader, contentType = strings.NewReader(body), "text/csv"
	default:
		text, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.api+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer := object{}
	if err := json.UnmarshalRead(response.Body, &answer); err != nil {
		s.t.Fatalf("%s %s: status %d, body: %v", method, path, response.StatusCode, err)
	}
	return response.StatusCode, answer
}

// must is call for requests that have to succeed; it returns data.
func (s *server) must(method, path string, body any) object {
	s.t.Helper()
	status, answer := s.call(method, path, body)
	if status >= 300 {
		s.t.Fatalf("%s %s: status %d: %v", method, path, status, answer)
	}
	data, _ := answer["data"].(object)
	return data
}

// records returns all call records.
func (s *server) records() []object {
	s.t.Helper()
	var all []object
	for page := 1; ; page++ {
		query := url.Values{"filter[record_type]": {"sip-trunking"}, "page[number]": {fmt.Sprint(page)}, "page[size]": {"50"}}
		status, answer := s.call(http.MethodGet, "/v2/detail_records?"+query.Encode(), nil)
		if status != http.StatusOK {
			s.t.Fatalf("detail records: status %d: %v", status, answer)
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
	s.t.Helper()
	profile := object{"name": "office", "whitelisted_destinations": []string{"US"}}
	for key, value := range settings {
		profile[key] = value
	}
	profileID := s.must(http.MethodPost, "/v2/outbound_voice_profiles", profile)["id"].(string)
	connection := s.must(http.MethodPost, "/v2/ip_connections", object{
		"connection_name": "pbx", "outbound": object{"outbound_voice_profile_id": profileID},
	})["id"]
	s.must(http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": pbxIP})
	s.must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "carrier", "address": carrier})
	deck := s.must(http.MethodPost, "/tollgate/v1/rate_decks?name=default", "prefix,rate,first_increment,increment\n1,0.60,1,1\n")["id"]
	s.must(http.MethodPost, fmt.Sprintf("/tollgate/v1/rate_decks/%v/activate", deck), nil)
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
	p.command = exec.CommandContext(ctx, path, append(args, "-nostdin", "-trace_err", "-error_file", filepath.Join(t.TempDir(), "errors"))...)
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

// freePort returns a UDP port that is free on an address.
func freePort(t *testing.T, ip string) int {
	t.Helper()
	socket, err := net.ListenPacket("udp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.LocalAddr().(*net.UDPAddr).Port
}

// startCarrier starts SIPp as the carrier and returns its address.
func startCarrier(t *testing.T) string {
	t.Helper()
	port := freePort(t, carrierIP)
	startSIPp(t, "-sf", "carrier.xml", "-i", carrierIP, "-p", fmt.Sprint(port))
	return fmt.Sprintf("%s:%d", carrierIP, port)
}

// pbx starts SIPp as the PBX.
func (s *server) pbx(scenario, number string, calls, perSecond int, hold time.Duration, more ...string) *sipp {
	s.t.Helper()
	return startSIPp(s.t, append([]string{
		s.sip, "-sf", scenario, "-i", pbxIP, "-p", fmt.Sprint(freePort(s.t, pbxIP)), "-s", number,
		"-m", fmt.Sprint(calls), "-l", fmt.Sprint(calls), "-r", fmt.Sprint(perSecond), "-d", fmt.Sprint(hold.Milliseconds()), "-timeout", "90s", "-timeout_error",
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

// eventually polls a condition that another process brings about.
func eventually(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, limit)
		}
		<-tick.C
	}
}
