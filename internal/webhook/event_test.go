package webhook_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account, otherAccount = 1001, 1002

// start is the time of every event.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// newEvent is an event with a number.
func newEvent(n byte) webhook.Event {
	return webhook.Event{
		ID: uuid.UUID{0: 1, 6: 0x70, 8: 0x80, 15: n}, AccountID: account, Type: webhook.CallEnded,
		OccurredAt: start, Payload: jsontext.Value(`{"total_cost":"0.0125","to":"+1970*****98"}`),
	}
}

func newSigner(t testing.TB) *webhook.Signer {
	t.Helper()
	signer, err := webhook.NewSigner([]byte("an example seed of 32 bytes, yes"))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestBody(t *testing.T) {
	event := newEvent(7)
	event.OccurredAt = start.In(time.FixedZone("east", 3600))
	body, err := event.Body(2, "https://hooks.example.com/?a=1&b=<2>")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"data":{"event_type":"call.ended","id":"01000000-0000-7000-8000-000000000007","occurred_at":"2026-03-01T12:00:00.123456Z",` +
		`"payload":{"total_cost":"0.0125","to":"+1970*****98"},"record_type":"event"},` +
		`"meta":{"attempt":2,"delivered_to":"https://hooks.example.com/?a=1&b=<2>"}}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestEventValidate(t *testing.T) {
	good := newEvent(1)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*webhook.Event){
		"version 4 id":    func(e *webhook.Event) { e.ID = uuid.MustParse("8b2f6ad0-3a0e-4c7e-9d3c-0d6f3c1f2a11") },
		"no id":           func(e *webhook.Event) { e.ID = uuid.Nil },
		"no account":      func(e *webhook.Event) { e.AccountID = 0 },
		"unknown type":    func(e *webhook.Event) { e.Type = "call.started" },
		"no time":         func(e *webhook.Event) { e.OccurredAt = time.Time{} },
		"no payload":      func(e *webhook.Event) { e.Payload = nil },
		"null payload":    func(e *webhook.Event) { e.Payload = jsontext.Value("null") },
		"list payload":    func(e *webhook.Event) { e.Payload = jsontext.Value("[]") },
		"broken payload":  func(e *webhook.Event) { e.Payload = jsontext.Value(`{"a":`) },
		"payload, more":   func(e *webhook.Event) { e.Payload = jsontext.Value(`{} {}`) },
		"large payload":   func(e *webhook.Event) { e.Payload = jsontext.Value(`{"a":"` + strings.Repeat("a", 64<<10) + `"}`) },
		"invalid unicode": func(e *webhook.Event) { e.Payload = jsontext.Value("{\"a\":\"\xff\"}") },
	} {
		event := newEvent(1)
		change(&event)
		if err := event.Validate(); !errors.Is(err, webhook.ErrBadEvent) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestEventTypesAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, eventType := range webhook.EventTypes() {
		event := newEvent(1)
		event.Type = eventType.Name
		if err := event.Validate(); err != nil || seen[eventType.Name] || !strings.HasSuffix(eventType.Doc, ".") {
			t.Errorf("%q: %v, repeated: %v, doc: %q", eventType.Name, err, seen[eventType.Name], eventType.Doc)
		}
		seen[eventType.Name] = true
	}
	events, _ := reflect.TypeFor[webhook.Endpoint]().FieldByName("Events")
	listed := strings.Split(events.Tag.Get("enum"), ",")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(seen)), slices.Sorted(slices.Values(listed))); diff != "" {
		t.Errorf("the API lists other types (-want +got):\n%s", diff)
	}
}

// telnyxVerify follows the published steps of Telnyx's SDKs, apart from this
// package: base64 key and signature, the text "timestamp|body", and five minutes.
func telnyxVerify(publicKey string, header http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(publicKey)
	if err != nil || len(key) != 32 {
		return fmt.Errorf("public key %q", publicKey)
	}
	signature, err := base64.StdEncoding.DecodeString(header.Get("telnyx-signature-ed25519"))
	if err != nil || len(signature) != 64 {
		return fmt.Errorf("signature %q", header.Get("telnyx-signature-ed25519"))
	}
	stamp, err := strconv.ParseInt(header.Get("telnyx-timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(stamp, 0)).Abs() > 300*time.Second {
		return fmt.Errorf("timestamp %q", header.Get("telnyx-timestamp"))
	}
	if !ed25519.Verify(key, fmt.Appendf(nil, "%s|%s", header.Get("telnyx-timestamp"), body), signature) {
		return errors.New("signature does not match")
	}
	return nil
}

func TestSign(t *testing.T) {
	signer, header, body := newSigner(t), http.Header{}, []byte(`{"data":{}}`)
	signer.Sign(header, body, start)
	if err := telnyxVerify(signer.PublicKey(), header, body, start.Add(time.Minute)); err != nil {
		t.Errorf("Telnyx's steps: %v", err)
	}
	otherSigner, err := webhook.NewSigner(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	with := func(name, value string) http.Header {
		changed := header.Clone()
		changed.Set(name, value)
		return changed
	}
	for _, test := range []struct {
		name   string
		ok     bool
		key    string
		header http.Header
		body   string
		now    time.Time
	}{
		{"as sent", true, signer.PublicKey(), header, string(body), start},
		{"at the tolerance", true, signer.PublicKey(), header, string(body), start.Add(5 * time.Minute)},
		{"too late", false, signer.PublicKey(), header, string(body), start.Add(5*time.Minute + time.Second)},
		{"too early", false, signer.PublicKey(), header, string(body), start.Add(-5*time.Minute - time.Second)},
		{"another body", false, signer.PublicKey(), header, `{"data":{} }`, start},
		{"another key", false, otherSigner.PublicKey(), header, string(body), start},
		{"a short key", false, "AAAA", header, string(body), start},
		{"no key", false, "", header, string(body), start},
		{"another time", false, signer.PublicKey(), with(webhook.HeaderTimestamp, strconv.FormatInt(start.Unix()+1, 10)), string(body), start},
		{"a time with a sign", false, signer.PublicKey(), with(webhook.HeaderTimestamp, "+"+header.Get(webhook.HeaderTimestamp)), string(body), start},
		{"a far time", false, signer.PublicKey(), with(webhook.HeaderTimestamp, "-9223372036854775808"), string(body), start},
		{"no time", false, signer.PublicKey(), with(webhook.HeaderTimestamp, ""), string(body), start},
		{"no signature", false, signer.PublicKey(), with(webhook.HeaderSignature, ""), string(body), start},
		{"a broken signature", false, signer.PublicKey(), with(webhook.HeaderSignature, "%%"), string(body), start},
		{"nothing", false, signer.PublicKey(), http.Header{}, string(body), start},
	} {
		err := webhook.Verify(test.key, test.header, []byte(test.body), test.now)
		if (err == nil) != test.ok || (err != nil && !errors.Is(err, webhook.ErrSignature)) {
			t.Errorf("%s: error is %v, want verified: %v", test.name, err, test.ok)
		}
	}
}

func TestSignerKeepsItsSeed(t *testing.T) {
	seed := []byte("an example seed of 32 bytes, yes")
	if _, err := webhook.NewSigner(seed[:31]); err == nil {
		t.Error("a seed of 31 bytes is accepted")
	}
	signer := newSigner(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, signer); text != "signer "+signer.PublicKey() {
			t.Errorf("%s prints %s", format, text)
		}
	}
}

func TestEndpointValidate(t *testing.T) {
	client := webhook.NewClient(webhook.ClientSettings{})
	for _, test := range []struct {
		name          string
		change        func(*webhook.Endpoint)
		own, settings string // pointers and codes
	}{
		{"good", func(*webhook.Endpoint) {}, "", ""},
		{"all set", func(e *webhook.Endpoint) {
			e.FailoverURL, e.Events = "https://spare.example.com:8443/x", []string{webhook.CallRefused, webhook.ConfigurationChanged}
		}, "", ""},
		{"no url", func(e *webhook.Endpoint) { e.URL = "" }, "/url 10004", ""},
		{"not a url", func(e *webhook.Endpoint) { e.URL = "hooks.example.com" }, "/url 10015", ""},
		{"bad failover", func(e *webhook.Endpoint) { e.FailoverURL = "https://u:p@example.com" }, "/failover_url 10015", ""},
		{"unknown event", func(e *webhook.Endpoint) { e.Events = []string{"call.ended", "call.*"} }, "/events/1 10032", ""},
		{"plain http", func(e *webhook.Endpoint) { e.URL = "http://example.com/" }, "", "/url 10015"},
		{"private", func(e *webhook.Endpoint) { e.URL, e.FailoverURL = "https://10.0.0.1/", "https://[::1]/" }, "", "/url 10015, /failover_url 10015"},
	} {
		endpoint := webhook.NewEndpoint()
		endpoint.URL = "https://hooks.example.com/a"
		test.change(&endpoint)
		if got := pointers(endpoint.Validate()); got != test.own {
			t.Errorf("%s: Endpoint.Validate says %q, want %q", test.name, got, test.own)
		}
		if got := pointers(client.Validate(&endpoint)); got != test.settings {
			t.Errorf("%s: Client.Validate says %q, want %q", test.name, got, test.settings)
		}
	}
}

func pointers(errs []field.Error) string {
	var out []string
	for _, e := range errs {
		out = append(out, e.Pointer+" "+string(e.Code))
	}
	return strings.Join(out, ", ")
}
