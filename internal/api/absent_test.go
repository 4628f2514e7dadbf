package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// Every path that the npm package telnyx 7.24.0 asks for is either one of ours, or is
// answered with what it is that is not here.
func TestEveryPathOfTheSDK(t *testing.T) {
	h := newHarness(t)
	text, err := os.ReadFile("testdata/telnyx-7.24.0-paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	served, refused := 0, 0
	for line := range strings.Lines(string(text)) {
		method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		target := strings.ReplaceAll(path, "{id}", "1293384261075731499")
		recorder := httptest.NewRecorder()
		request := h.request(method, target)
		h.api.engine.ServeHTTP(recorder, request)
		_, pattern := h.api.engine.Mux.Handler(request)
		switch said := recorder.Body.String(); {
		case pattern != "/":
			served++
			if recorder.Code == http.StatusMethodNotAllowed {
				t.Errorf("%s %s: the path is here without the method", method, path)
			}
		case recorder.Code != http.StatusNotFound, !strings.Contains(said, `"code":"10005"`),
			!strings.Contains(said, "will not have"),
			!strings.Contains(said, "docs/COMPATIBILITY.md"):
			t.Errorf("%s %s: %d %s", method, path, recorder.Code, said)
		default:
			refused++
		}
	}
	if served < 48 || refused < 1000 {
		t.Errorf("%d operations are here, %d are not", served, refused)
	}
}

func TestWhatIsNotHereIsSaidToBe(t *testing.T) {
	h := newHarness(t)
	for target, says := range map[string]string{
		"/v2/phone_numbers":                 "caller_ids",
		"/v2/phone_numbers/7/voice":         "caller_ids",
		"/v2/phone_numbers/":                "caller_ids",
		"/v2//phone_numbers":                "caller_ids",
		"/v2/number_orders":                 "phone numbers",
		"/v2/call_control_applications":     "SIP",
		"/v2/texml_applications":            "SIP",
		"/v2/calls":                         "active_calls",
		"/v2/calls/v3:abc/actions/transfer": "active_calls",
		"/v2/messages":                      "calls alone",
		"/v2/faxes":                         "SIP",
		"/v2/managed_accounts":              "/tollgate/v1/accounts",
		"/v2/notification_channels":         "webhook_endpoints",
		"/v2/telephony_credentials":         "credential_connections",
		"/v2/v2/mobile_phone_numbers":       "calls alone",
		"/v2/v2/outbound_voice_profiles":    "without /v2",
		"/v2/v2/ips/7":                      "without /v2",
		"/outbound_voice_profiles":          "with /v2",
	} {
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE", "PUT"} {
			for _, key := range []string{h.key, ""} {
				r := h.doWith(key, method, target, "")
				r.wantError(http.StatusNotFound, "10005 /")
				if !strings.Contains(r.text, says) {
					t.Errorf("%s %s does not say %q: %s", method, target, says, r.text)
				}
			}
		}
	}
	for _, target := range []string{
		"/", "/v2", "/v2/", "/v2/v2", "/v1/phone_numbers", "/phone_numbers", "/v2/nothing", "/v2/phone_numbers_of_mine",
		"/v2/PHONE_NUMBERS", "/v2/v2/nothing", "/v2/v2/v2/ips", "/v2/outbound_voice_profiles/7/nothing", "/nothing",
		"/tollgate/v1/nothing", "/v2/../v2/ips", "/v2/./calls",
	} {
		r := h.do("GET", target, "")
		r.wantError(http.StatusNotFound, "10005 /")
		if !strings.Contains(r.text, "The requested resource or URL could not be found.") {
			t.Errorf("%s: %s", target, r.text)
		}
	}
}

// The page has the same table, and no resource stands twice or is one of ours.
func TestPageOfWhatIsNotHere(t *testing.T) {
	page, err := os.ReadFile("../../docs/COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	h, seen, rows := newHarness(t), map[string]bool{}, 0
	for _, a := range absences() {
		names := strings.Fields(a.names)
		for _, name := range names {
			if seen[name] {
				t.Errorf("%s stands twice", name)
			}
			seen[name] = true
			for _, op := range h.api.engine.Operations {
				if op.Path == "/v2/"+name || strings.HasPrefix(op.Path, "/v2/"+name+"/") && name != "calls" {
					t.Errorf("%s is said not to be here, and %s is", name, op.Path)
				}
			}
		}
		row := fmt.Sprintf("| %s | `%s` | %s |\n", a.what, strings.Join(names, "`, `"), a.instead)
		if rows++; !strings.Contains(string(page), row) {
			t.Errorf("docs/COMPATIBILITY.md has no row\n%s", row)
		}
	}
	_, section, _ := strings.Cut(string(page), "\n## What is not here\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if got := strings.Count(section, "\n| ") - 1; got != rows {
		t.Errorf("the table has %d rows, and the code %d", got, rows)
	}
}

// Paths in the forms in which clients put them together lead to the same operation.
func TestPathsAreTidied(t *testing.T) {
	h := newHarness(t)
	made := h.do("POST", "/v2//outbound_voice_profiles/", `{"name":"abc"}`).want(http.StatusOK)
	for _, target := range []string{
		"/v2/outbound_voice_profiles/%s/", "//v2/outbound_voice_profiles/%s", "/v2//outbound_voice_profiles//%s///",
	} {
		if got := h.do("GET", fmt.Sprintf(target, made["id"]), "").want(http.StatusOK); got["id"] != made["id"] {
			t.Errorf("%s: %v", target, got)
		}
	}
	h.do("GET", "/v2/outbound_voice_profiles/?page[size]=1", "").want(http.StatusOK)
	// An escaped slash is a part of an id, also where there are two.
	h.doWith(h.newKey(h.first.ID, ScopeAdmit), "POST", "/tollgate/v1/admissions/a%2F%2Fb%2F..%2Fc@pbx/end", `{}`).
		wantError(http.StatusNotFound, "10005 /")
	if log := h.log.String(); !strings.Contains(log, `/tollgate/v1/admissions/{id}/end`) {
		t.Errorf("the call id was taken for a path: %s", log)
	}
	h.do("GET", "/v2/outbound_voice_profiles/../ips", "").wantError(http.StatusNotFound, "10005 /")
}

func TestWhoAmI(t *testing.T) {
	h := newHarness(t)
	other, stranger := h.secondAccount()
	for key, account := range map[string]string{h.key: h.first.ID.String(), stranger: other.ID.String()} {
		r := h.doWith(key, "GET", "/v2/whoami", "")
		got := r.want(http.StatusOK)
		if got["account_id"] != account || got["user_id"] != nil ||
			got["organization_id"] == "" || strings.Contains(r.text, key) {
			t.Errorf("%s", r.text)
		}
	}
	h.doWith("", "GET", "/v2/whoami", "").wantError(http.StatusUnauthorized, "10009")
}

func TestConnectionCounts(t *testing.T) {
	h := newHarness(t)
	_, stranger := h.secondAccount()
	for i, k := range resourceKinds()[2:5] {
		for n := range i + 1 {
			h.do("POST", k.path, k.body(n)).want(http.StatusCreated)
		}
	}
	count := func(key string) (counts, limits map[string]any) {
		t.Helper()
		got := h.doWith(key, "GET", "/v2/connections/count", "").want(http.StatusOK)
		return got["counts"].(map[string]any), got["limits"].(map[string]any)
	}
	counts, limits := count(h.key)
	total := 0.0
	for _, n := range counts {
		total += n.(float64)
	}
	if counts["ip_connections"] != 1.0 || counts["credential_connections"] != 2.0 ||
		counts["fqdn_connections"] != 3.0 || total != 6 || len(counts) != 13 ||
		limits["global_limit"].(float64) < total {
		t.Errorf("counts %v, limits %v", counts, limits)
	}
	if counts, _ := count(stranger); counts["ip_connections"] != 0.0 {
		t.Errorf("counts of another account %v", counts)
	}
	if engines := h.do("GET", "/v2/noise_suppression_engines", "").list(); len(engines) != 0 {
		t.Errorf("engines %v", engines)
	}
}
