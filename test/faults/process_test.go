package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/secret"
)

const apiKey = "an-api-key-for-the-fault-tests"

// The parties have addresses of their own on the loopback network.
const (
	pbxIP     = "127.0.0.2"
	carrierIP = "127.0.0.3"
)

// startLimit is how long a node may take to say that it listens, on a busy machine.
const startLimit = 60 * time.Second

// node is a Tollgate process, and then the next one of the same settings.
type node struct {
	b     *bench
	flags []string
	env   []string
	wrap  []string // the command that runs the program

	api, sip string // the same for every process of the node
	command  *exec.Cmd
	done     chan struct{} // closed when the process has ended
	log      lockedBuffer

	// changes counts starts, stops and everything that keeps the process from
	// answering: what was asked of it meanwhile is not held against it.
	changes atomic.Int64
	paused  atomic.Bool
	up      atomic.Bool
}

// lockedBuffer collects what processes print.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() > 1<<20 {
		l.text.Reset()
	}
	return l.text.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var listening = regexp.MustCompile(`API on (http://\S+), SIP on (\S+) `)

// sqliteNode is a node with a data folder of its own.
func (b *bench) sqliteNode(dataDir string) *node {
	return &node{b: b, flags: []string{"--data-dir", dataDir}}
}

// clusterNode is a node on a PostgreSQL database.
func (b *bench) clusterNode(name, url string) *node {
	return &node{b: b, flags: []string{"--node-name", name, "--data-dir", b.TempDir(), "--secrets-key-file",
		b.secretsKey()},
		env: []string{"TOLLGATE_DATABASE_URL=" + url}}
}

// secretsKey is the key file that all nodes of a test share.
func (b *bench) secretsKey() string {
	b.Helper()
	if b.keyFile == "" {
		b.keyFile = filepath.Join(b.TempDir(), "secrets.key")
		b.check(secret.Make(b.keyFile))
	}
	return b.keyFile
}

// newDatabase is an empty PostgreSQL database.
func (b *bench) newDatabase() (url, name string) {
	b.Helper()
	server, err := database()
	b.check(err)
	return server.NewDatabase(b)
}

// start runs the program and waits until it listens.
func (n *node) start() *node {
	n.b.Helper()
	if err := n.tryStart(); err != nil {
		n.b.Fatal(err)
	}
	return n
}

func (n *node) tryStart() error {
	if n.api == "" {
		host := ownAddress()
		// Not the usual ports, on which another program may listen at every address.
		n.api = fmt.Sprintf("%s:%d", host, 20000+rand.IntN(5000))
		n.sip = fmt.Sprintf("%s:%d", host, 25000+rand.IntN(5000))
		n.b.Cleanup(n.end)
	}
	args := append([]string{"serve", "--http-addr", n.api, "--sip-addr", n.sip}, n.flags...)
	args = append(append(append([]string{}, n.wrap...), program), args...)
	n.command = exec.Command(args[0], args[1:]...)
	n.command.Env = append(append(os.Environ(), "TOLLGATE_API_KEY="+apiKey, "TOLLGATE_RATE_LIMIT=-1"), n.env...)
	n.command.Stderr = &n.log
	n.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := n.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.command.Start(); err != nil {
		return err
	}
	command, done, ready := n.command, make(chan struct{}), make(chan struct{}, 1)
	n.done = done
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if listening.MatchString(lines.Text()) {
				ready <- struct{}{}
			}
		}
		_ = command.Wait()
		n.up.Store(false)
		n.changes.Add(1)
	}()
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case <-ready:
		n.changes.Add(1)
		n.up.Store(true)
		return nil
	case <-done:
		return fmt.Errorf("the node ended before it listened:\n%s", tail(n.log.String(), 2000))
	case <-timer.C:
		return fmt.Errorf("the node does not listen after %v", startLimit)
	}
}

// startAndKill runs the program for a moment only.
func (n *node) startAndKill(after time.Duration) {
	args := append([]string{"serve", "--http-addr", ownAddress() + ":20080", "--sip-addr", ownAddress() + ":25060"},
		n.flags...)
	command := exec.Command(program, args...)
	command.Env = append(append(os.Environ(), "TOLLGATE_API_KEY="+apiKey), n.env...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	n.b.check(command.Start())
	pauseFor(after)
	_ = command.Process.Kill()
	_ = command.Wait()
}

// end is for the end of a test.
func (n *node) end() {
	if n.command != nil && n.command.Process != nil {
		_ = n.command.Process.Kill()
		<-n.done
	}
	if n.b.Failed() {
		n.b.Logf("log of the node:\n%s", tail(n.log.String(), 4000))
	}
}

// kill ends the process without any chance to clean up.
func (n *node) kill() {
	n.changes.Add(1)
	n.up.Store(false)
	_ = n.command.Process.Signal(syscall.SIGKILL)
	<-n.done
}

// stall stops the process where it stands, and wake lets it go on.
func (n *node) stall() {
	n.paused.Store(true)
	n.changes.Add(1)
	n.b.check(n.command.Process.Signal(syscall.SIGSTOP))
}

func (n *node) wake() {
	n.b.check(n.command.Process.Signal(syscall.SIGCONT))
	n.changes.Add(1)
	n.paused.Store(false)
}

// ownAddress is an address of the loopback network that no other process has, so that the
// ports of a node are free each time it is started.
func ownAddress() string {
	return fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254))
}

// object is a JSON object of the API.
type object = map[string]any

// client gives up on a node that does not answer.
var client = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// call makes an API request. An error says that there was no whole answer.
func (n *node) call(method, path string, body any) (status int, answer object, err error) {
	var reader io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case string:
		reader, contentType = strings.NewReader(body), "text/csv"
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, "http://"+n.api+path, reader)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", contentType)
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer = object{}
	err = json.UnmarshalRead(response.Body, &answer)
	return response.StatusCode, answer, err
}

// must is call for requests that have to succeed; it returns data.
func (n *node) must(method, path string, body any) object {
	n.b.Helper()
	status, answer, err := n.call(method, path, body)
	if err != nil || status >= 300 {
		n.b.Fatalf("%s %s: status %d: %v, %v", method, path, status, answer, err)
	}
	data, _ := answer["data"].(object)
	return data
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// eventually polls a condition that other processes bring about.
func (b *bench) eventually(what string, limit time.Duration, holds func() bool) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			b.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// wait lets a time pass in which the fault lasts: there is nothing to wait for.
func (b *bench) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
