package api

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tollgate/tollgate/internal/store"
)

// errorCase is one entry of testdata/errors.
type errorCase struct {
	Name   string         `json:"name"`
	Method string         `json:"method"`
	Path   string         `json:"path"`
	Header [][2]string    `json:"header"`
	Body   jsontext.Value `json:"body"`
	Raw    string         `json:"raw"` // a body whose exact text matters
	Status int            `json:"status"`
	Errors []string       `json:"errors"` // code and place of each
	Detail string         `json:"detail"` // what one of the details says
}

func TestErrorTable(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %d files of cases: %v", len(files), err)
	}
	h := newHarness(t)
	ofSwitch := h.newKey(h.first.ID, ScopeAdmit)
	limit := func(a store.Account) (store.Account, error) { a.ConcurrentCallLimit = new(int32(50)); return a, nil }
	if _, err := h.store.Accounts().Update(t.Context(), h.first.ID, h.first.ID, limit); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []errorCase
		if err := json.Unmarshal(text, &cases, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			t.Run(filepath.Base(file)+"/"+c.Name, func(t *testing.T) {
				h.t = t
				body := c.Raw
				if c.Body != nil {
					body = string(c.Body)
				}
				var headers []string
				for _, header := range c.Header {
					headers = append(headers, header[:]...)
				}
				key := h.key
				if filepath.Base(file) == "admissions.json" {
					key = ofSwitch
				}
				r := h.with(key, c.Method, c.Path, body, headers...)
				r.wantError(c.Status, c.Errors...)
				if !strings.Contains(strings.ReplaceAll(r.text, `\"`, `"`), c.Detail) {
					t.Errorf("no detail says %q: %s", c.Detail, r.text)
				}
			})
		}
	}
	h.t = t
	for _, list := range []string{
		"/v2/outbound_voice_profiles", "/v2/connections", "/v2/ips", "/v2/billing_groups", "/tollgate/v1/gateways",
	} {
		if made := h.do("GET", list, "").list(); len(made) != 0 {
			t.Errorf("%s: refused requests have made %v", list, made)
		}
	}
}

func TestMalformedBodies(t *testing.T) {
	h := newHarness(t)
	deep := strings.Repeat(`{"tags":[`, 5000) + strings.Repeat(`]}`, 5000)
	cases := []struct {
		name, body string
		status     int
		want       string
	}{
		{"empty", " ", 400, "10023 /"},
		{"cut off", `{"name":"abc"`, 400, "10023 /"},
		{"trailing garbage", `{"name":"abc"} x`, 400, "10023 /"},
		{"two values", `{"name":"abc"}{"name":"abc"}`, 400, "10023 /"},
		{"duplicate name", `{"name":"abc","name":"abd"}`, 400, "10023 /"},
		{"duplicate nested name", `{"name":"abc","x":{"a":1,"a":2}}`, 400, "10023 /"},
		{"invalid UTF-8", "{\"name\":\"ab\xff\"}", 400, "10028 /"},
		{"lone surrogate", `{"name":"ab\ud800"}`, 400, "10023 /"},
		{"not JSON", `name=abc`, 400, "10023 /"},
		{"NaN", `{"name":"abc","max_destination_rate":NaN}`, 400, "10023 /"},
		{"leading zero", `{"name":"abc","concurrent_call_limit":010}`, 400, "10023 /"},
		{"deeply nested", deep, 400, "10023 /"},
		{"list", `[]`, 422, "10026 /"},
		{"null", `null`, 422, "10026 /"},
		{"text", `"abc"`, 422, "10026 /"},
		{"10 MB", `{"name":"` + strings.Repeat("a", 10<<20) + `"}`, 413, "10015 /"},
		{"huge number", `{"name":"abc","concurrent_call_limit":` + strings.Repeat("9", 100_000) + `}`,
			422, "10033 /concurrent_call_limit"},
		{"NUL in a text", `{"name":"ab\u0000c"}`, 422, "10015 /name"},
		{"name in other case", `{"NAME":"abc"}`, 422, "10004 /name"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			h.do("POST", "/v2/outbound_voice_profiles", c.body).wantError(c.status, c.want)
		})
	}
}

func TestContentTypes(t *testing.T) {
	h := newHarness(t)
	for _, c := range []struct {
		contentType, encoding, method string
		status                        int
		want                          string
	}{
		{"", "", "POST", 415, "10029 /"},
		{"text/plain", "", "POST", 415, "10029 /"},
		{"application/json; charset=latin1", "", "POST", 415, "10029 /"},
		{"application/merge-patch+json", "", "POST", 415, "10029 /"},
		{"application/json", "gzip", "POST", 415, "10014 /"},
		{"application/json; charset=UTF-8", "identity", "POST", 422, "10004 /name"},
		{"application/merge-patch+json", "", "PATCH", 404, "10005 /"},
	} {
		header := http.Header{"Authorization": {"Bearer " + h.key}}
		if c.contentType != "" {
			header.Set("Content-Type", c.contentType)
		}
		if c.encoding != "" {
			header.Set("Content-Encoding", c.encoding)
		}
		path := "/v2/outbound_voice_profiles"
		if c.method == "PATCH" {
			path += "/7"
		}
		h.send(c.method, path, header, strings.NewReader(`{}`)).wantError(c.status, c.want)
	}
}

func TestLongURL(t *testing.T) {
	h := newHarness(t)
	h.do("GET", "/v2/outbound_voice_profiles?filter[name][contains]="+strings.Repeat("a", 2000), "").
		wantError(414, "10003 /")
}

func TestErrorPages(t *testing.T) {
	h := newHarness(t)
	for _, page := range errorPages() {
		r := h.doWith("", "GET", "/docs/errors/"+string(page.Code), "")
		if r.status != http.StatusOK || r.body["code"] != string(page.Code) || r.body["cause"] == "" ||
			r.body["fix"] == "" || r.body["title"] != page.Title {
			t.Errorf("page of %s: %d %s", page.Code, r.status, r.text)
		}
	}
	h.doWith("", "GET", "/docs/errors/12345", "").wantError(http.StatusNotFound, "10005 /")
}
