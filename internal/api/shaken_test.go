package api

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/shaken/shakentest"
)

// signingHarness is an API that signs the calls of switches.
func signingHarness(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	files := shakentest.New(t, shakentest.Wish{From: start.Add(-time.Hour), To: start.Add(time.Hour)})
	signer := shaken.New(shaken.Config{Files: files, X5U: shakentest.X5U, Rand: rand.Reader,
		Log: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(New(Config{Stores: storesOf(h.store), Live: h.live, Clock: h.clock.Now, Shaken: signer}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// TestASwitchGetsTheSignature: the attestation of the decision, and for each route what its
// gateway wants.
func TestASwitchGetsTheSignature(t *testing.T) {
	h := signingHarness(t)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	for _, gateway := range []string{
		`{"name":"a","address":"192.0.2.1","priority":1,"identity":"sign","prefix":"99","number_format":"e164"}`,
		`{"name":"b","address":"192.0.2.2","priority":2}`,
		`{"name":"c","address":"192.0.2.3","priority":3,"identity_destinations":[{"prefix":"+1","identity":"strip"},{"prefix":"+1312","identity":"sign"}]}`,
		`{"name":"d","address":"192.0.2.4","priority":4,"identity":"sign","identity_destinations":[{"prefix":"+1","identity":"strip"}]}`,
	} {
		h.do("POST", "/tollgate/v1/gateways", gateway).want(http.StatusCreated)
	}
	ask := func(call, to string) map[string]any {
		alone := h.admit(pbx, call, to).want(http.StatusOK)
		batch := fmt.Sprintf(`{"events":[{"event":"admit","admission":%s}]}`, attemptOf(pbx, call+"-b", to))
		answers := h.do("POST", "/tollgate/v1/admissions/batch", batch)
		if answers.status != http.StatusOK || !strings.Contains(answers.text, `"date_header":`) {
			t.Errorf("in a batch: %s", answers.text)
		}
		return alone
	}
	check := func(got map[string]any, attest, to string, modes ...string) {
		t.Helper()
		if got["attestation"] != attest {
			t.Errorf("attestation %v, want %s", got["attestation"], attest)
		}
		headers := map[string]bool{}
		for i, route := range got["routes"].([]any) {
			r := route.(map[string]any)
			header, _ := r["identity_header"].(string)
			signed := modes[i] == "sign"
			if r["identity"] != modes[i] || (header != "") != signed || (r["date_header"] != nil) != signed {
				t.Errorf("route %d: %v, want %s", i, r, modes[i])
			}
			if header == "" {
				continue
			}
			headers[header] = true
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(header, ".")[1])
			want := fmt.Sprintf(`{"attest":"%s","dest":{"tn":["%s"]},"iat":%d,"orig":{"tn":"13125550100"},"origid":"%s"}`,
				attest, to, h.clock.Now().Unix(), admission.Origin(number(t, pbx)))
			if string(payload) != want || err != nil {
				t.Errorf("signed %s, want %s", payload, want)
			}
		}
		if len(headers) > 1 {
			t.Error("one question has several signatures")
		}
	}
	check(ask("one", "+13125550199"), "B", "13125550199", "sign", "pass", "sign", "strip")
	check(ask("two", "+12125550199"), "B", "12125550199", "sign", "pass", "strip", "strip")
	check(ask("urgent", "911"), "B", "911", "sign", "pass", "pass", "sign")
	h.do("PATCH", "/v2/ip_connections/"+pbx, `{"caller_ids":{"numbers":["+13125550100"]}}`).want(http.StatusOK)
	got := ask("three", "+13125550199")
	check(got, "A", "13125550199", "sign", "pass", "sign", "strip")

	explained := h.do("GET", fmt.Sprint("/tollgate/v1/decisions/", got["id"]), "").want(http.StatusOK)
	if explained["attestation"] != "A" {
		t.Errorf("the decision has attestation %v", explained["attestation"])
	}
	h.event("three", "end", `{"answered":false,"sip_status":486}`).want(http.StatusOK)
	records := h.do("GET", "/v2/detail_records?filter[record_type]=sip-trunking&filter[attestation]=A", "").list()
	if len(records) != 1 || records[0]["attestation"] != "A" || records[0]["sip_call_id"] != "three" {
		t.Errorf("records: %v", records)
	}

	h.do("PATCH", "/v2/ip_connections/"+pbx, `{"max_attestation":"C"}`).want(http.StatusOK)
	check(ask("four", "+13125550199"), "C", "13125550199", "sign", "pass", "sign", "strip")
	raise := h.doWith(h.newKey(h.first.ID, ScopeRead, ScopeWrite), "PATCH", "/v2/ip_connections/"+pbx,
		`{"max_attestation":"B"}`)
	if raise.status != http.StatusForbidden || !strings.Contains(raise.text, `"/max_attestation"`) {
		t.Errorf("a customer raises its attestation: %d %s", raise.status, raise.text)
	}

	h.clock.Advance(2 * time.Hour) // the certificate has ended
	got = h.admit(pbx, "late", "+13125550199").want(http.StatusOK)
	route := got["routes"].([]any)[0].(map[string]any)
	if got["decision"] != "allow" || route["identity"] != "sign" || route["identity_header"] != nil {
		t.Errorf("with a certificate that has ended: %v", got)
	}
}

func number(t *testing.T, text string) (n id.ID) {
	t.Helper()
	if err := json.Unmarshal([]byte(`"`+text+`"`), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGatewaysSayWhatTheyWantOfIdentity: what cannot be is refused by name.
func TestGatewaysSayWhatTheyWantOfIdentity(t *testing.T) {
	h := newHarness(t)
	for body, pointer := range map[string]string{
		`"identity":"passt"`: "/identity",
		`"identity_destinations":[{"prefix":"1","identity":"sign"}]`:                                    "/identity_destinations/0/prefix",
		`"identity_destinations":[{"prefix":"+0","identity":"sign"}]`:                                   "/identity_destinations/0/prefix",
		`"identity_destinations":[{"prefix":"+1","identity":"maybe"}]`:                                  "/identity_destinations/0/identity",
		`"identity_destinations":[{"prefix":"+1","identity":"sign"},{"prefix":"+1","identity":"pass"}]`: "/identity_destinations/1/prefix",
		`"identity_destinations":[{"prefix":"+1"}]`:                                                     "/identity_destinations/0/identity",
		`"identity_destinations":[{"identity":"sign"}]`:                                                 "/identity_destinations/0/prefix",
		`"identity_destinations":"+1"`:                                                                  "/identity_destinations",
	} {
		got := h.do("POST", "/tollgate/v1/gateways", `{"name":"a","address":"192.0.2.1",`+body+`}`)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.text, `"`+pointer+`"`) {
			t.Errorf("%s: %d %s", body, got.status, got.text)
		}
	}
	made := h.do("POST", "/tollgate/v1/gateways", `{"name":"a","address":"192.0.2.1"}`).want(http.StatusCreated)
	if made["identity"] != "pass" || len(made["identity_destinations"].([]any)) != 0 {
		t.Errorf("by default %v %v", made["identity"], made["identity_destinations"])
	}
}
