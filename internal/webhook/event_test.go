package webhook_test

import (
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

	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/webhooktest"
)

const account = 1001

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

func TestSign(t *testing.T) {
	signer, body := newSigner(t), []byte(`{"data":{}}`)
	sent := signer.Sign(body, start)
	header := http.Header{}
	header.Set("Telnyx-Timestamp", sent.Timestamp)
	header.Set("Telnyx-Signature-Ed25519", sent.Value)
	if err := webhooktest.VerifyLikeTelnyx(signer.PublicKey(), header, body, start.Add(time.Minute)); err != nil {
		t.Errorf("Telnyx's steps: %v", err)
	}
	otherSigner, err := webhook.NewSigner(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	at := func(timestamp string) webhook.Signature {
		return webhook.Signature{Timestamp: timestamp, Value: sent.Value}
	}
	with := func(value string) webhook.Signature {
		return webhook.Signature{Timestamp: sent.Timestamp, Value: value}
	}
	const late = 5*time.Minute + time.Second
	for _, test := range []struct {
		name      string
		ok        bool
		key       string
		signature webhook.Signature
		body      string
		now       time.Time
	}{
		{"as sent", true, signer.PublicKey(), sent, string(body), start},
		{"at the tolerance", true, signer.PublicKey(), sent, string(body), start.Add(5 * time.Minute)},
		{"too late", false, signer.PublicKey(), sent, string(body), start.Add(late)},
		{"too early", false, signer.PublicKey(), sent, string(body), start.Add(-late)},
		{"another body", false, signer.PublicKey(), sent, `{"data":{} }`, start},
		{"another key", false, otherSigner.PublicKey(), sent, string(body), start},
		{"a short key", false, "AAAA", sent, string(body), start},
		{"no key", false, "", sent, string(body), start},
		{"another time", false, signer.PublicKey(), at(strconv.FormatInt(start.Unix()+1, 10)), string(body), start},
		{"a time with a sign", false, signer.PublicKey(), at("+" + sent.Timestamp), string(body), start},
		{"a far time", false, signer.PublicKey(), at("-9223372036854775808"), string(body), start},
		{"no time", false, signer.PublicKey(), at(""), string(body), start},
		{"no signature", false, signer.PublicKey(), with(""), string(body), start},
		{"a broken signature", false, signer.PublicKey(), with("%%"), string(body), start},
		{"nothing", false, signer.PublicKey(), webhook.Signature{}, string(body), start},
	} {
		err := test.signature.Verify(test.key, []byte(test.body), test.now)
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
