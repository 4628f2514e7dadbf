package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/verification"
)

const verifiedPath = "/v2/verified_numbers"

// callable lets the account of a key call the United States, unless it can already.
func (h *harness) callable(key string) (connection string) {
	h.t.Helper()
	for _, c := range h.doWith(key, "GET", "/v2/connections?page[size]=250", "").list() {
		if c["connection_name"] == "verifying" {
			return c["id"].(string)
		}
	}
	profile := h.doWith(key, "POST", "/v2/outbound_voice_profiles",
		`{"name":"verifying","whitelisted_destinations":["US"]}`).
		want(http.StatusOK)["id"].(string)
	connection = h.doWith(key, "POST", "/v2/ip_connections", fmt.Sprintf(
		`{"connection_name":"verifying","outbound":{"outbound_voice_profile_id":%q}}`, profile)).
		want(http.StatusCreated)["id"].(string)
	deck := h.with(key, "POST", "/tollgate/v1/rate_decks?name=verifying", "prefix,rate\n1,0.01\n").
		want(http.StatusCreated)["id"].(string)
	h.doWith(key, "PATCH", "/v2/outbound_voice_profiles/"+profile, fmt.Sprintf(`{"rate_deck_id":%q}`, deck)).
		want(http.StatusOK)
	h.doWith(key, "POST", "/tollgate/v1/gateways", `{"name":"verifying","address":"192.0.2.77"}`).want(http.StatusCreated)
	return connection
}

// waitingNumber is a number that waits for the code that h.said has.
func (h *harness) waitingNumber(key string, n int) string {
	h.t.Helper()
	number := fmt.Sprintf("+1212556%04d", n)
	h.begin(key, h.callable(key), number).wantFlat(http.StatusOK)
	return number
}

// verifiedNumber is a number that the account of a key has verified.
func (h *harness) verifiedNumber(key string, n int) string {
	h.t.Helper()
	number := h.waitingNumber(key, n)
	call, _ := h.said.last()
	h.give(key, number, call.Code).want(http.StatusOK)
	return number
}

func (h *harness) begin(key, connection, number string) reply {
	h.t.Helper()
	return h.doWith(key, "POST", verifiedPath, fmt.Sprintf(
		`{"phone_number":%q,"verification_method":"call","connection_id":%q}`, number, connection))
}

func (h *harness) give(key, number, code string) reply {
	h.t.Helper()
	return h.doWith(key, "POST", verifiedPath+"/"+number+"/actions/verify", fmt.Sprintf(`{"verification_code":%q}`, code))
}

// wantFlat is want for answers that are not wrapped in data.
func (r reply) wantFlat(status int) map[string]any {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	return r.body
}

func otherCode(code string) string { return string('0'+(code[0]-'0'+1)%10) + code[1:] }

const ownNumber = "+12125550123"

func TestVerifyANumber(t *testing.T) {
	h := newHarness(t)
	connection := h.callable(h.key)
	begun := h.doWith(h.key, "POST", verifiedPath,
		`{"phone_number":"+12125550123","verification_method":"call","extension":"ww12#"}`).
		wantFlat(http.StatusOK)
	call, calls := h.said.last()
	if calls != 1 || call.To.String() != ownNumber || call.From != call.To || call.Extension != "ww12#" ||
		call.ID.String() != begun["call_id"] || call.Connection.String() != connection || !verification.IsCode(call.Code) {
		t.Errorf("%d calls, the last %+v, begun %v", calls, call, begun)
	}
	if begun["phone_number"] != ownNumber || begun["verification_method"] != "call" || begun["data"] != nil {
		t.Errorf("the answer is flat in Telnyx's API: %v", begun)
	}
	waiting := h.do("GET", verifiedPath+"/%2B12125550123", "").want(http.StatusOK)
	if waiting["verified_at"] != nil || waiting["status"] != "pending" || waiting["call_status"] != "starting" ||
		waiting["tries_left"] != 5.0 {
		t.Errorf("while it waits: %v", waiting)
	}
	if list := h.do("GET", verifiedPath, "").list(); len(list) != 0 {
		t.Errorf("a number that is not verified is listed: %v", list)
	}
	for _, c := range []struct{ code, detail string }{
		{otherCode(call.Code), "Tries left: 4"}, {"12345", "six digits"}, {"abcdef", "six digits"},
	} {
		if r := h.give(h.key, ownNumber, c.code); r.status != 422 || !strings.Contains(r.text, c.detail) {
			t.Errorf("%s: %d %s", c.code, r.status, r.text)
		}
	}
	verified := h.give(h.key, ownNumber, call.Code).want(http.StatusOK)
	if verified["verified_at"] == nil || verified["record_type"] != "verified_number" || verified["status"] != "verified" {
		t.Errorf("verified: %v", verified)
	}
	// The answer was lost, and the SDK repeats the request.
	h.give(h.key, ownNumber, call.Code).want(http.StatusOK)
	h.give(h.key, ownNumber, otherCode(call.Code)).wantError(http.StatusUnprocessableEntity, "10012 /phone_number")
	h.begin(h.key, connection, ownNumber).wantError(http.StatusUnprocessableEntity, "10012 /phone_number")
	if list := h.do("GET", verifiedPath, "").list(); len(list) != 1 || list[0]["phone_number"] != ownNumber {
		t.Errorf("the list is %v", list)
	}
	if key := h.connectionID(connection); !h.live.Snapshot().Verified(h.first.ID, 12125550123) ||
		!h.live.Snapshot().Confirms(h.live.Snapshot().Connection(key), 12125550123) {
		t.Error("it is not confirmed for the connection")
	}
	h.do("DELETE", verifiedPath+"/"+ownNumber, "").want(http.StatusOK)
	if h.live.Snapshot().Verified(h.first.ID, 12125550123) {
		t.Error("it is confirmed though it was deleted")
	}
	h.do("GET", verifiedPath+"/"+ownNumber, "").wantError(http.StatusNotFound, "10005 /")
	h.give(h.key, ownNumber, call.Code).wantError(http.StatusNotFound, "10005 /")
	for _, where := range []string{h.log.String(), h.do("GET", "/v2/audit_events?page[size]=250", "").text} {
		if strings.Contains(where, call.Code) {
			t.Errorf("the code can be read: %s", where)
		}
	}
}

func (h *harness) connectionID(text string) id.ID {
	h.t.Helper()
	key, err := id.Parse(text)
	if err != nil {
		h.t.Fatal(err)
	}
	return key
}

// A code can be tried five times within ten minutes, on whatever terms it is tried.
func TestTriesOfACode(t *testing.T) {
	h := newHarness(t)
	number := h.waitingNumber(h.key, 1)
	call, _ := h.said.last()
	path, wrong := verifiedPath+"/"+number+"/actions/verify", fmt.Sprintf(`{"verification_code":%q}`, otherCode(call.Code))
	for n, headers := range [][]string{nil, {"Idempotency-Key", "one"}, {"Idempotency-Key", "one"}, nil, nil} {
		query := ""
		if n == 3 {
			query = "?dry_run=true"
		}
		want := fmt.Sprintf("Tries left: %d", 4-n)
		if n == 4 {
			want = "no tries left"
		}
		if r := h.with(h.key, "POST", path+query, wrong, headers...); r.status != 422 || !strings.Contains(r.text, want) {
			t.Errorf("try %d: %d %s, want %s", n+1, r.status, r.text, want)
		}
	}
	h.give(h.key, number, call.Code).wantError(http.StatusUnprocessableEntity, "10015 /verification_code")

	number = h.waitingNumber(h.key, 2)
	call, _ = h.said.last()
	first := call.Code
	h.waitingNumber(h.key, 2)
	call, _ = h.said.last()
	if first != call.Code {
		h.give(h.key, number, first).wantError(http.StatusUnprocessableEntity, "10015 /verification_code")
	}
	h.clock.Advance(verification.CodeLife)
	h.give(h.key, number, call.Code).wantError(http.StatusUnprocessableEntity, "10015 /verification_code")
	if h.do("GET", verifiedPath+"/"+number, "").want(http.StatusOK)["verified_at"] != nil {
		t.Error("an old code has verified")
	}
}

// No number is called without end: not by one account, not by several together.
func TestVerificationCallsAreFew(t *testing.T) {
	h := newHarness(t)
	other, _ := h.secondAccount()
	stranger := h.newKey(other.ID, ScopeRead, ScopeWrite, ScopeCarrier)
	mine, theirs := h.callable(h.key), h.callable(stranger)
	placed := func() int { _, calls := h.said.last(); return calls }
	begin := func(key, connection string, want int) {
		t.Helper()
		r := h.begin(key, connection, ownNumber)
		if r.status != want {
			t.Fatalf("%d %s, want %d", r.status, r.text, want)
		}
		if want == http.StatusTooManyRequests && (r.header.Get("Retry-After") == "" || strings.Contains(r.text, "account")) {
			t.Errorf("too many: %s, Retry-After %s", r.text, r.header.Get("Retry-After"))
		}
	}
	for range verification.OfNumber.Hour {
		begin(h.key, mine, http.StatusOK)
	}
	begin(h.key, mine, http.StatusTooManyRequests)
	h.do("DELETE", verifiedPath+"/"+ownNumber, "").want(http.StatusOK)
	begin(h.key, mine, http.StatusTooManyRequests) // forgetting the number does not forget the calls
	for range verification.OfNumberInAll.Hour - verification.OfNumber.Hour {
		begin(stranger, theirs, http.StatusOK)
	}
	begin(stranger, theirs, http.StatusTooManyRequests)
	if placed() != verification.OfNumberInAll.Hour {
		t.Errorf("%d calls were placed", placed())
	}
	h.clock.Advance(time.Hour + time.Minute)
	begin(h.key, mine, http.StatusOK)
	h.clock.Advance(24 * time.Hour)
	for range verification.OfNumber.Hour {
		begin(h.key, mine, http.StatusOK)
	}
}

// What is refused is said by name, all at once, and nothing is called or kept.
func TestVerificationsThatAreRefused(t *testing.T) {
	h := newHarness(t)
	h.do("POST", verifiedPath, `{"phone_number":"+12125550123","verification_method":"call"}`).
		wantError(http.StatusUnprocessableEntity, "10017 /connection_id")
	connection := h.callable(h.key)
	for _, c := range []struct {
		body   string
		errors []string
	}{
		{`{}`, []string{"10004 /phone_number", "10004 /verification_method"}},
		{`{"phone_number":"+12125550123","verification_method":"sms"}`, []string{"10032 /verification_method"}},
		{`{"phone_number":"+12125550123","verification_method":"flashcall"}`, []string{"10032 /verification_method"}},
		{`{"phone_number":"2125550123","verification_method":"call"}`, []string{"10013 /phone_number"}},
		{`{"phone_number":"+1911","verification_method":"call"}`, []string{"10013 /phone_number"}},
		{`{"phone_number":"+19005550123","verification_method":"sms","extension":"12,3"}`,
			[]string{"10032 /verification_method", "10033 /phone_number", "10015 /extension"}},
		{`{"phone_number":"+447011111111","verification_method":"call"}`, []string{"10033 /phone_number"}},
		{`{"phone_number":"+4930901820","verification_method":"call"}`, []string{"10027 /phone_number"}}, // not whitelisted
		{`{"phone_number":"+12125550123","verification_method":"call","connection_id":"1293384261075731499"}`,
			[]string{"10017 /connection_id"}},
	} {
		r := h.do("POST", verifiedPath, c.body)
		got := strings.Join(r.errors(), " ")
		if r.status != 422 || len(r.errors()) != len(c.errors) {
			t.Errorf("%s: %d %s, want %v", c.body, r.status, got, c.errors)
			continue
		}
		for i, want := range c.errors {
			if place := want[strings.IndexByte(want, ' '):]; !strings.Contains(got, place) {
				t.Errorf("%s: %s, want %s", c.body, got, c.errors[i])
			}
		}
	}
	r := h.do("POST", verifiedPath, `{"phone_number":"+12125550123","verification_method":"sms"}`)
	if !strings.Contains(r.text, `Give \"call\"`) {
		t.Errorf("the way out of sms: %s", r.text)
	}
	for _, g := range h.do("GET", "/tollgate/v1/gateways", "").list() {
		h.do("PATCH", fmt.Sprint("/tollgate/v1/gateways/", g["id"]), `{"enabled":false}`).want(http.StatusOK)
	}
	if r := h.begin(h.key, connection, ownNumber); r.status != 422 || !strings.Contains(r.text, "no gateway") {
		t.Errorf("without a gateway: %d %s", r.status, r.text)
	}
	if _, calls := h.said.last(); calls != 0 {
		t.Errorf("%d calls were placed", calls)
	}
	for _, g := range h.do("GET", "/tollgate/v1/gateways", "").list() {
		h.do("PATCH", fmt.Sprint("/tollgate/v1/gateways/", g["id"]), `{"enabled":true}`).want(http.StatusOK)
	}
	h.with(h.key, "POST", verifiedPath+"?dry_run=true", `{"phone_number":"+12125550123","verification_method":"call"}`).
		wantFlat(http.StatusOK)
	if _, calls := h.said.last(); calls != 0 {
		t.Error("a dry run has placed a call")
	}
	h.said.err = errors.New("stopping")
	h.begin(h.key, connection, ownNumber).wantError(http.StatusServiceUnavailable, "10037 /")
	h.api.SayCode = nil
	if r := h.begin(h.key, connection, ownNumber); r.status != 422 || !strings.Contains(r.text, "media relay") {
		t.Errorf("without a relay: %d %s", r.status, r.text)
	}
}

// A tenant verifies nothing once an admin has locked it, and may still forget a number.
func TestVerificationIsLocked(t *testing.T) {
	h := newHarness(t).tenant()
	both := h.doWith(h.admin, "POST", h.path+"/api_keys", `{"name":"both","scopes":["read","write","carrier"]}`).
		want(http.StatusCreated)["secret"].(string)
	number := h.verifiedNumber(both, 1)
	h.doWith(h.admin, "PATCH", h.path, `{"locked_fields":["verified_numbers"]}`).want(http.StatusOK)
	h.begin(both, h.callable(both), ownNumber).wantError(http.StatusForbidden, "10010 /phone_number")
	h.doWith(both, "DELETE", verifiedPath+"/"+number, "").want(http.StatusOK)
}
