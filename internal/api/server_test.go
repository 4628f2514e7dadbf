package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

func TestRequestID(t *testing.T) {
	h := newHarness(t)
	for given, kept := range map[string]bool{
		"my-request_1.2": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
		"": false, "with space": false, "quote\"": false, "ü": false,
	} {
		header := http.Header{"Authorization": {"Bearer " + h.key}, "X-Request-Id": {given}}
		r := h.send("GET", "/v2/ips/7", header, nil)
		got := r.header.Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("request id %q came back as %q", given, got)
		}
	}
}

func TestHeadersAndLog(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	h.refusedCallTo(connection, "+442079460123")
	paths := []string{
		"/v2/detail_records?filter[record_type]=sip-trunking&filter[cld]=%2B442079460123", "/v2/detail_records/+442079460123",
		"/+442079460123", "/v2/outbound_voice_profiles?filter[name][contains]=442079460123",
	}
	for _, path := range paths {
		r := h.do("GET", path, "")
		if r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", path, r.header)
		}
	}
	h.do("POST", "/v2/credential_connections", `{"connection_name":"c","user_name":"myuser","password":"the-password"}`).
		want(http.StatusCreated)
	log := h.log.String()
	// A part of the number as short as four digits may be in a request id by chance.
	for _, secret := range []string{h.key, "the-password", "442079460123", "2079460", "79460123"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
	last := log[strings.LastIndex(strings.TrimSpace(log), "\n")+1:]
	var line map[string]any
	if err := json.Unmarshal([]byte(last), &line); err != nil {
		t.Fatal(err)
	}
	if line["route"] != "/v2/credential_connections" || line["method"] != "POST" || line["status"] != 201.0 ||
		line["account"] != h.first.ID.String() || line["request_id"] == "" {
		t.Errorf("log line %v", line)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	h := newHarness(t)
	log := h.log
	stores := h.stores(func(s *Stores) {
		s.Writes = brokenStore{h.store, func() error { panic("a fault with a secret") }}
	})
	handler := New(Config{Stores: stores, Live: h.live, Clock: h.clock.Now, Logger: h.api.Logger})
	r := h.through(handler, "GET", "/readyz")
	r.wantError(http.StatusInternalServerError, "10007 /")
	if strings.Contains(r.text, "secret") {
		t.Errorf("the client sees what went wrong: %s", r.text)
	}
	if !strings.Contains(log.String(), "a fault with a secret") ||
		!strings.Contains(log.String(), r.header.Get("X-Request-Id")) {
		t.Errorf("the log does not tell: %s", log)
	}
}

// brokenStore is a real store whose Ping fails as told.
type brokenStore struct {
	store.Writes
	ping func() error
}

func TestUnavailableStore(t *testing.T) {
	h := newHarness(t)
	stores := h.stores(func(s *Stores) {
		s.Writes = brokenStore{h.store, func() error { return errors.New("disk on fire") }}
	})
	handler := New(Config{Stores: stores, Live: h.live, Clock: h.clock.Now, Logger: h.api.Logger})
	r := h.through(handler, "GET", "/readyz")
	r.wantError(http.StatusServiceUnavailable, "10037 /")
	if r.header.Get("Retry-After") != rest.RetryAfterSecs || strings.Contains(r.text, "fire") {
		t.Errorf("answer %v %s", r.header, r.text)
	}
	h.through(handler, "GET", "/healthz").want(http.StatusOK)

	// A store that is closed refuses everything, and never with a 404 or a 401.
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v2/outbound_voice_profiles", "/v2/connections", "/tollgate/v1/calls", "/readyz"} {
		r := h.do("GET", path, "")
		r.wantError(http.StatusServiceUnavailable, "10037 /")
		if r.header.Get("Retry-After") != rest.RetryAfterSecs {
			t.Errorf("%s: no Retry-After", path)
		}
	}
}

// A client that goes away is no error of the server; a store that fails is one.
func TestClientThatHasGone(t *testing.T) {
	h := newHarness(t)
	for _, gone := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		stores := h.stores(func(s *Stores) {
			s.Writes = brokenStore{h.store, func() error {
				if gone {
					cancel()
				}
				return fmt.Errorf("ping: %w", context.Canceled)
			}}
		})
		handler := New(Config{Stores: stores, Live: h.live, Clock: h.clock.Now, Logger: h.api.Logger})
		before := len(h.log.String())
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
		cancel()
		line := h.log.String()[before:]
		if !strings.Contains(line, "context canceled") || strings.Contains(line, `"level":"ERROR"`) == gone {
			t.Errorf("the client has gone: %t; the log says %s", gone, line)
		}
	}
}

// Every error of the store has an answer of its own.
func TestStoreErrors(t *testing.T) {
	h := newHarness(t)
	at := func(err error) error {
		return fmt.Errorf("create: %w", &collection.ReferenceError{Err: err, Field: "/x", Other: "y"})
	}
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("get: %w", collection.ErrNotFound), 404, "10005"}, {at(collection.ErrInUse), 422, "10021"},
		{collection.ErrInUse, 422, "10021"}, {at(collection.ErrDuplicate), 422, "10012"},
		{at(collection.ErrNoReference), 422, "10017"}, {collection.ErrBusy, 503, "10037"},
		{collection.ErrUnavailable, 503, "10037"}, {collection.ErrBadValue, 422, "10031"},
		{at(store.ErrTooMany), 422, string(rest.CodeUnprocessable)}, {store.ErrTooMany, 422, string(rest.CodeUnprocessable)},
		{collection.ErrUnknownField, 500, "10007"}, {errors.New("other"), 500, "10007"},
	} {
		f := h.api.engine.FailureOf(c.err)
		if f.Status != c.status || string(f.Problems[0].Code) != c.code {
			t.Errorf("%v: %d %s, want %d %s", c.err, f.Status, f.Problems[0].Code, c.status, c.code)
		}
		if f.Problems[0].Detail == "" || h.api.engine.TitleOf(f.Problems[0].Code) == "" {
			t.Errorf("%v: no text", c.err)
		}
	}
}

// The OpenAPI document is whole: every reference resolves, and every operation
// that the router serves is in it.
func TestOpenAPIDocument(t *testing.T) {
	h := newHarness(t)
	r := h.doWith("", "GET", "/openapi.json", "")
	r.want(http.StatusOK)
	if r.body["openapi"] != "3.1.0" {
		t.Errorf("version %v", r.body["openapi"])
	}
	paths := r.body["paths"].(map[string]any)
	ids := map[string]bool{}
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		path, _ := paths[op.Path].(map[string]any)
		described, _ := path[strings.ToLower(op.Method)].(map[string]any)
		if described["operationId"] != op.ID || ids[op.ID] {
			t.Errorf("%s %s is described as %v", op.Method, op.Path, described["operationId"])
		}
		ids[op.ID] = true
		if security, ok := described["security"].([]any); !ok || (len(security) > 0) != (op.Scope != "") {
			t.Errorf("%s %s: security %v", op.Method, op.Path, described["security"])
		}
	}
	components := r.body["components"].(map[string]any)
	schemas := components["schemas"].(map[string]any)
	used := map[string]bool{}
	walk(r.body, func(name string, value any) {
		target, ok := value.(string)
		if name == "$ref" && ok {
			used[strings.TrimPrefix(target, "#/components/")] = true
		}
	})
	defined := map[string]bool{}
	for _, section := range []string{"schemas", "parameters", "headers"} {
		for name := range components[section].(map[string]any) {
			defined[section+"/"+name] = true
		}
	}
	if diff := cmp.Diff(defined, used); diff != "" {
		t.Errorf("components (-defined +used):\n%s", diff)
	}
	create := schemas["CreateOutboundVoiceProfileRequest"].(map[string]any)
	if fmt.Sprint(create["required"]) != "[name]" {
		t.Errorf("required of a create request: %v", create["required"])
	}
	members := create["properties"].(map[string]any)
	if members["enabled"].(map[string]any)["default"] != true || members["id"] != nil ||
		members["service_plan"].(map[string]any)["default"] != "global" {
		t.Errorf("members of a create request: %v", members)
	}
	if update := schemas["UpdateOutboundVoiceProfileRequest"].(map[string]any); update["required"] != nil {
		t.Errorf("required of an update request: %v", update["required"])
	}
}

func walk(value any, visit func(name string, value any)) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			walk(item, visit)
		}
	case map[string]any:
		for name, item := range v {
			visit(name, item)
			walk(item, visit)
		}
	}
}

func (b brokenStore) Ping(context.Context) error { return b.ping() }

func (h *harness) through(handler http.Handler, method, target string) reply {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, target, nil))
	r := reply{t: h.t, status: recorder.Code, header: recorder.Header(), text: recorder.Body.String()}
	if err := json.Unmarshal(recorder.Body.Bytes(), &r.body); err != nil {
		h.t.Fatal(err)
	}
	return r
}
