package process

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// Key is the API key of the first account of every server that Serve starts. It has
// every scope.
const Key = "an-api-key-for-tests-of-the-whole-program"

// startLimit is how long the program may take to say that it listens, on a busy machine.
const startLimit = 30 * time.Second

// Object is a JSON object of the API.
type Object = map[string]any

// Server is a running program.
type Server struct {
	T       *testing.T
	API     string // http://host:port
	SIP     string // host:port
	Secure  string // host:port of SIP over TLS, "" when it has none
	Metrics string // http://host:port/metrics, "" when it has none
	Log     *Log
	Command *exec.Cmd
	Done    chan struct{} // closed when the process has ended

	dataDir string
	flags   []string
}

var (
	measured  = regexp.MustCompile(`Metrics on (https?://\S+)`)
	secured   = regexp.MustCompile(`, (\S+) \(TLS\)`)
	listening = regexp.MustCompile(`API on (https?://\S+), SIP on (\S+) `)
)

// client is that of every request. It takes any certificate: what is tested is the
// server, and a test that looks at its certificate has a client of its own.
var client = &http.Client{Transport: &http.Transport{
	MaxIdleConnsPerHost: 16, ForceAttemptHTTP2: true,
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // G402: see above
}}

// Command makes a command of the program, as yet to be started, with Key in its
// environment and none of the settings of the user who runs the tests.
func Command(args ...string) *exec.Cmd {
	command := exec.Command(Program(), args...) //nolint:noctx,gosec // ended by Serve or by itself; the program is ours
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TOLLGATE_") || strings.HasPrefix(variable, "TOLLGATE_DATABASE_URL=") {
			command.Env = append(command.Env, variable)
		}
	}
	command.Env = append(command.Env, "TOLLGATE_API_KEY="+Key)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// Serve starts the program on a data folder and free ports, and returns when it
// listens. It ends with the test. A flag that is given again goes before the usual.
func Serve(t *testing.T, dataDir string, flags ...string) *Server {
	t.Helper()
	s := &Server{T: t, Log: &Log{}, Done: make(chan struct{}), dataDir: dataDir, flags: flags}
	args := []string{"serve", "--data-dir", dataDir, "--http-addr", "127.0.0.1:0", "--sip-addr", "127.0.0.1:0"}
	s.Command = Command(append(args, flags...)...)
	s.Command.Stderr = s.Log
	stdout, err := s.Command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Command.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan struct{})
	go func() {
		defer close(s.Done)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if match := measured.FindStringSubmatch(lines.Text()); match != nil {
				s.Metrics = match[1] // which the server prints before the line below
			}
			if match := listening.FindStringSubmatch(lines.Text()); match != nil && s.API == "" {
				s.API, s.SIP = match[1], match[2]
				if over := secured.FindStringSubmatch(lines.Text()); over != nil {
					s.Secure = over[1]
				}
				close(found)
			}
		}
		_ = s.Command.Wait()
	}()
	t.Cleanup(func() {
		_ = s.Command.Process.Kill()
		<-s.Done
		client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.Log)
		}
	})
	select {
	case <-found:
	case <-s.Done:
		t.Fatalf("the server ended before it listened:\n%s", s.Log)
	case <-time.After(startLimit):
		t.Fatalf("the server does not listen after %v", startLimit)
	}
	return s
}

// Again starts the program on the data folder and the ports that this one had, with
// the same flags and more. This one must have ended.
func (s *Server) Again(more ...string) *Server {
	s.T.Helper()
	_, api, _ := strings.Cut(s.API, "://")
	flags := append(append([]string{}, s.flags...), "--http-addr", api, "--sip-addr", s.SIP)
	return Serve(s.T, s.dataDir, append(flags, more...)...)
}

// Text is what the server has logged so far.
func (s *Server) Text() string { return s.Log.String() }

// Signal sends the process a signal.
func (s *Server) Signal(signal os.Signal) {
	s.T.Helper()
	if err := s.Command.Process.Signal(signal); err != nil {
		s.T.Fatal(err)
	}
}

// Kill ends the process without any chance to clean up.
func (s *Server) Kill() {
	s.T.Helper()
	s.Signal(syscall.SIGKILL)
	<-s.Done
}

// Terminate asks the process to stop and returns its exit status.
func (s *Server) Terminate() int {
	s.T.Helper()
	s.Signal(syscall.SIGTERM)
	<-s.Done
	return s.Command.ProcessState.ExitCode()
}

// Call makes an API request and returns the status and the decoded answer. A body
// that is a string is a CSV file.
func (s *Server) Call(method, path string, body any) (int, Object) {
	s.T.Helper()
	return s.CallAs(Key, method, path, body)
}

// CallAs is Call with another API key; "" sends none.
func (s *Server) CallAs(key, method, path string, body any) (int, Object) {
	s.T.Helper()
	status, text := s.Send(key, method, path, body)
	answer := Object{}
	if len(text) == 0 {
		return status, answer
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		s.T.Fatalf("%s %s: status %d, body: %v", method, path, status, err)
	}
	return status, answer
}

// Send is CallAs for answers that are not a JSON object.
func (s *Server) Send(key, method, path string, body any) (int, []byte) {
	s.T.Helper()
	var reader io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case string:
		reader, contentType = strings.NewReader(body), "text/csv"
	default:
		text, err := json.Marshal(body)
		if err != nil {
			s.T.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(s.T.Context(), method, s.API+path, reader)
	if err != nil {
		s.T.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := client.Do(request)
	if err != nil {
		s.T.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.T.Fatalf("%s %s: status %d: %v", method, path, response.StatusCode, err)
	}
	return response.StatusCode, text
}

// Must is Call for requests that have to succeed; it returns data.
func (s *Server) Must(method, path string, body any) Object {
	s.T.Helper()
	status, answer := s.Call(method, path, body)
	if status >= 300 {
		s.T.Fatalf("%s %s: status %d: %v", method, path, status, answer)
	}
	data, _ := answer["data"].(Object)
	return data
}

// Scrape reads the metrics as Prometheus does: by name and labels.
func (s *Server) Scrape() map[string]float64 {
	s.T.Helper()
	response, err := client.Get(s.Metrics) //nolint:noctx // the test has a limit
	if err != nil {
		s.T.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.T.Fatalf("GET %s: status %d", s.Metrics, response.StatusCode)
	}
	series := map[string]float64{}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			s.T.Fatalf("%q: %v", line, err)
		}
		series[line[:at]] = value
	}
	return series
}

// FreePort returns a UDP port that is free on an address.
func FreePort(t testing.TB, ip string) int {
	t.Helper()
	socket, err := net.ListenPacket("udp", ip+":0") //nolint:noctx // it returns at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	return socket.LocalAddr().(*net.UDPAddr).Port
}

// Eventually polls a condition that another process brings about.
func Eventually(t testing.TB, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, limit)
		}
		<-tick.C
	}
}
