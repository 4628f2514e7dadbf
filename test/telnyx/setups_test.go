package telnyx

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// setup is a published way to set up outbound calls: its requests, and the calls that
// the platform then makes.
type setup struct {
	Title    string      `json:"title"`
	Requests []request   `json:"requests"`
	Calls    []setupCall `json:"calls"`
}

// request is one request of a published client. ${name.id} in it is the id of what an
// earlier request kept as name.
type request struct {
	Get    string `json:"get"`
	Post   string `json:"post"`
	Patch  string `json:"patch"`
	Delete string `json:"delete"`
	Body   any    `json:"body"`
	As     string `json:"as"`     // keeps the answer's data under a name
	Status int    `json:"status"` // that it must have
	Want   object `json:"want"`   // members that the answer's data must have
	Count  *int   `json:"count"`  // of the items of a list
}

// setupCall is a call as the platform makes it.
type setupCall struct {
	Address   string            `json:"address"`
	Transport string            `json:"transport"` // "udp" by default, "tcp" or "tls"
	User      string            `json:"user"`
	Password  string            `json:"password"`
	Headers   map[string]string `json:"headers"`
	To        string            `json:"to"`
	Refused   int               `json:"refused"` // the SIP status of a call that must not go through
}

// TestPublishedSetups plays the requests that people publish for their platforms, and
// then calls as each platform does.
func TestPublishedSetups(t *testing.T) {
	files, err := filepath.Glob("setups/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no set-ups: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var s setup
			if err := json.Unmarshal(text, &s, json.RejectUnknownMembers(true)); err != nil {
				t.Fatal(err)
			}
			certificate, key := process.NewAuthority(t).Issue("127.0.0.1")
			onBothStores(t, func(t *testing.T, server *process.Server) {
				market(t, server)
				play(t, server, s.Requests)
				for i, call := range s.Calls {
					call.make(t, server, i)
				}
			}, "--sip-tls-listen", "127.0.0.1:0", "--sip-tls-cert", certificate, "--sip-tls-key", key)
		})
	}
}

// play sends the requests in order and holds their answers to what they must be. It
// returns what was kept.
func play(t *testing.T, s *process.Server, requests []request) map[string]object {
	t.Helper()
	kept := map[string]object{}
	for _, r := range requests {
		data := r.send(t, s, kept)
		if r.As != "" {
			kept[r.As] = data
		}
	}
	return kept
}

var reference = regexp.MustCompile(`\$\{([a-z]+)\.id\}`)

// filled is a request's text with the ids of what was kept.
func filled(t *testing.T, text string, kept map[string]object) string {
	t.Helper()
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		name := reference.FindStringSubmatch(found)[1]
		id, ok := kept[name]["id"].(string)
		if !ok {
			t.Fatalf("%s was not kept", name)
		}
		return id
	})
}

func (r request) send(t *testing.T, s *process.Server, kept map[string]object) object {
	t.Helper()
	method, path := http.MethodGet, r.Get
	switch {
	case r.Post != "":
		method, path = http.MethodPost, r.Post
	case r.Patch != "":
		method, path = http.MethodPatch, r.Patch
	case r.Delete != "":
		method, path = http.MethodDelete, r.Delete
	}
	path = filled(t, path, kept)
	var body any
	if r.Body != nil {
		text, err := json.Marshal(r.Body)
		if err == nil {
			err = json.Unmarshal([]byte(filled(t, string(text), kept)), &body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	status, answer := s.Call(method, path, body)
	if status != r.Status {
		t.Fatalf("%s %s: status %d, want %d: %v", method, path, status, r.Status, answer)
	}
	if items, ok := answer["data"].([]any); r.Count != nil && (!ok || len(items) != *r.Count) {
		t.Errorf("%s %s: %d items, want %d", method, path, len(items), *r.Count)
	}
	data, _ := answer["data"].(object)
	for name, want := range r.Want {
		wantMember(t, fmt.Sprintf("%s %s: %s", method, path, name), data[name], want, kept)
	}
	return data
}

// wantMember wants a value, or of an object the members that are named.
func wantMember(t *testing.T, what string, got, want any, kept map[string]object) {
	t.Helper()
	switch want := want.(type) {
	case object:
		members, _ := got.(object)
		for name, value := range want {
			wantMember(t, what+"."+name, members[name], value, kept)
		}
	case string:
		if got != filled(t, want, kept) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	default:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
}

func (c setupCall) make(t *testing.T, s *process.Server, number int) {
	t.Helper()
	options := phone.Options{Server: s.SIP, From: "+13125550100", To: c.To, User: c.User, Password: c.Password,
		LocalAddr:   c.Address + ":0",
		HangUpAfter: time.Millisecond, T1: 200 * time.Millisecond, NoAudio: true}
	if options.To == "" {
		options.To = "+13125550123"
	}
	for name, value := range c.Headers {
		options.Headers = append(options.Headers, phone.Header{Name: name, Value: value})
	}
	switch c.Transport {
	case "tcp":
		options.Listen = overStream(s.SIP, nil)
	case "tls":
		options.Listen = overStream(s.Secure, &tls.Config{InsecureSkipVerify: true})
	}
	outcome, err := phone.Place(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	want := http.StatusOK
	if c.Refused != 0 {
		want = c.Refused
	}
	if outcome.Status != want {
		t.Errorf("call %d: %d %s (%s), want %d", number+1, outcome.Status, outcome.Phrase, outcome.RefusalReason, want)
	}
}
