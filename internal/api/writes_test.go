package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
)

// with sends a request with more headers, given as names and values in turn.
func (h *harness) with(key, method, target, body string, headers ...string) reply {
	h.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + key}}
	switch {
	case strings.HasPrefix(body, "{"):
		header.Set("Content-Type", "application/json")
	case body != "":
		header.Set("Content-Type", "text/csv")
	}
	for i := 0; i < len(headers); i += 2 {
		header.Add(headers[i], headers[i+1])
	}
	return h.send(method, target, header, strings.NewReader(body))
}

func (h *harness) adminKey() string { return h.newKey(h.first.ID, Scopes()...) }

// writeRequests is a valid request for every operation that writes, with what it
// needs made beforehand. An operation that is not in here fails the tests below.
func (h *harness) writeRequests() map[string]func() (target, body string) {
	h.t.Helper()
	n := 100
	requests := map[string]func() (string, string){}
	for _, k := range resourceKinds() {
		requests["POST "+k.path] = func() (string, string) { n++; return k.path, k.body(n) }
		one := func() string {
			n++
			return k.path + "/" + h.do("POST", k.path, k.body(n)).want(k.created)["id"].(string)
		}
		requests["PATCH "+k.path+"/{id}"] = func() (string, string) { return one(), k.change }
		requests["DELETE "+k.path+"/{id}"] = func() (string, string) { return one(), "" }
	}
	admin := h.adminKey()
	made := func(path, body string) string {
		n++
		return path + "/" + h.with(admin, "POST", path, fmt.Sprintf(body, n)).want(http.StatusCreated)["id"].(string)
	}
	fqdn := func() (string, string) {
		n++
		of := h.do("POST", "/v2/fqdn_connections", fmt.Sprintf(`{"connection_name":"pbx %d"}`, n)).
			want(http.StatusCreated)["id"]
		return "/v2/fqdns", fmt.Sprintf(`{"fqdn":"pbx%d.example.com","dns_record_type":"a","connection_id":%q}`, n, of)
	}
	oneFQDN := func() string {
		path, body := fqdn()
		return path + "/" + h.do("POST", path, body).want(http.StatusCreated)["id"].(string)
	}
	requests["PATCH /v2/fqdn_connections/{id}/fqdn_authentication"] = func() (string, string) {
		n++
		made := h.do("POST", "/v2/fqdn_connections", fmt.Sprintf(`{"connection_name":"pbx %d"}`, n)).want(http.StatusCreated)
		return fmt.Sprintf("/v2/fqdn_connections/%v/fqdn_authentication", made["id"]), `{"ip_authentication_method":"token"}`
	}
	requests["POST /v2/fqdns"] = fqdn
	requests["PATCH /v2/fqdns/{id}"] = func() (string, string) { return oneFQDN(), `{"port":5070}` }
	requests["DELETE /v2/fqdns/{id}"] = func() (string, string) { return oneFQDN(), "" }
	requests["DELETE /v2/recordings/{id}"] = func() (string, string) {
		return "/v2/recordings/" + h.recording().ID.String(), ""
	}
	requests["POST /v2/recordings/actions/delete"] = func() (string, string) {
		return "/v2/recordings/actions/delete", fmt.Sprintf(`{"ids":[%q]}`, h.recording().ID)
	}
	const keys, accounts, decks = "/tollgate/v1/api_keys", "/tollgate/v1/accounts", "/tollgate/v1/rate_decks"
	deck := func() string {
		return decks + "/" + h.with(h.key, "POST", decks+"?name=deck", "prefix,rate\n1,0.01\n").
			want(http.StatusCreated)["id"].(string)
	}
	requests["POST "+keys] = func() (string, string) { n++; return keys, fmt.Sprintf(`{"name":"key %d"}`, n) }
	requests["PATCH "+keys+"/{id}"] = func() (string, string) {
		return made(keys, `{"name":"key %d"}`), `{"name":"other"}`
	}
	requests["DELETE "+keys+"/{id}"] = func() (string, string) { return made(keys, `{"name":"key %d"}`), "" }
	requests["POST "+keys+"/{id}/rotate"] = func() (string, string) {
		return made(keys, `{"name":"key %d"}`) + "/rotate", `{}`
	}
	requests["POST "+accounts] = func() (string, string) { n++; return accounts, fmt.Sprintf(`{"name":"account %d"}`, n) }
	requests["POST "+accounts+"/{id}/api_keys"] = func() (string, string) {
		n++
		return made(accounts, `{"name":"account %d"}`) + "/api_keys", fmt.Sprintf(`{"name":"key %d"}`, n)
	}
	requests["PATCH "+accounts+"/{id}"] = func() (string, string) {
		return made(accounts, `{"name":"account %d"}`), `{"name":"other"}`
	}
	requests["DELETE "+accounts+"/{id}"] = func() (string, string) { return made(accounts, `{"name":"account %d"}`), "" }
	requests["PATCH /tollgate/v1/account"] = func() (string, string) {
		n++
		return "/tollgate/v1/account", fmt.Sprintf(`{"name":"name %d"}`, n)
	}
	requests["POST "+decks] = func() (string, string) {
		n++
		return fmt.Sprint(decks, "?name=deck", n),
			"prefix,rate\n1,0.02\n"
	}
	requests["DELETE "+decks+"/{id}"] = func() (string, string) { return deck(), "" }
	requests["POST "+deliveriesPath+"/{id}/replay"] = func() (string, string) {
		n++
		h.do("POST", "/tollgate/v1/webhook_endpoints", fmt.Sprintf(`{"url":"https://hooks.example.com/%d"}`, n)).
			want(http.StatusCreated)
		h.do("POST", "/v2/billing_groups", `{"name":"group"}`).want(http.StatusOK)
		return fmt.Sprint(deliveriesPath, "/", h.do("GET", deliveriesPath, "").list()[0]["id"], "/replay"), ""
	}
	const profiles, groups = "/v2/outbound_voice_profiles", "/v2/billing_groups"
	requests["POST /tollgate/v1/spend_holds/release"] = func() (string, string) {
		return "/tollgate/v1/spend_holds/release", ""
	}
	for _, path := range []string{profiles, groups} {
		ours := strings.Replace(path, "/v2/", "/tollgate/v1/", 1)
		requests["POST "+ours+"/{id}/release"] = func() (string, string) {
			n++
			return ours + "/" + h.do("POST", path, fmt.Sprintf(`{"name":"held %d"}`, n)).
				want(http.StatusOK)["id"].(string) + "/release", ""
		}
	}
	requests["POST "+accounts+"/{id}/release"] = func() (string, string) {
		return made(accounts, `{"name":"account %d"}`) + "/release", ""
	}
	const bans = "/tollgate/v1/bans"
	requests["POST "+bans] = func() (string, string) { n++; return bans, fmt.Sprintf(`{"source":"10.0.0.%d"}`, n) }
	requests["DELETE "+bans+"/{id}"] = func() (string, string) { return made(bans, `{"source":"10.0.1.%d"}`), "" }
	const overrides = "/tollgate/v1/numbering_plan_overrides"
	const override = `{"prefix":"1436%d","valid":true}`
	requests["POST "+overrides] = func() (string, string) { n++; return overrides, fmt.Sprintf(override, n) }
	requests["PATCH "+overrides+"/{id}"] = func() (string, string) {
		return made(overrides, override), `{"comment":"in service"}`
	}
	requests["DELETE "+overrides+"/{id}"] = func() (string, string) { return made(overrides, override), "" }
	const numberLists = "/tollgate/v1/number_lists"
	requests["POST "+numberLists+"/{id}/import"] = func() (string, string) {
		return made(numberLists, `{"name":"list %d","matches":"callee"}`) + "/import", "prefix,action\n4420,refuse\n"
	}
	const limits = "/tollgate/v1/spend_limits"
	const limit = `{"name":"limit","scope_type":"prefix","scope_value":"1436%d","amount":"5.00"}`
	requests["POST "+limits] = func() (string, string) { n++; return limits, fmt.Sprintf(limit, n) }
	requests["PATCH "+limits+"/{id}"] = func() (string, string) { return made(limits, limit), `{"amount":"6.00"}` }
	requests["DELETE "+limits+"/{id}"] = func() (string, string) { return made(limits, limit), "" }
	requests["POST "+ledgerReportsPath] = func() (string, string) { return ledgerReportsPath, `{"year":2025,"month":12}` }
	pbx := ""
	live := func() string {
		if pbx == "" {
			_, pbx = h.pbx(`{"name":"live calls"}`)
		}
		return h.reserve(pbx, "+13125550199").Decision.ID.String()
	}
	requests["POST /v2/calls/{id}/actions/hangup"] = func() (string, string) {
		return "/v2/calls/" + live() + "/actions/hangup", `{"command_id":"891510ac-f3e4-11e8-af5b-de00688a4901"}`
	}
	requests["POST /tollgate/v1/calls/{id}/hangup"] = func() (string, string) {
		return "/tollgate/v1/calls/" + live() + "/hangup", ""
	}
	requests["POST /tollgate/v1/calls/hangup"] = func() (string, string) {
		live()
		return "/tollgate/v1/calls/hangup", `{"connection_id":"` + pbx + `"}`
	}
	requests["POST "+verifiedPath] = func() (string, string) {
		h.callable(h.key)
		n++
		return verifiedPath, fmt.Sprintf(`{"phone_number":"+1212555%04d","verification_method":"call"}`, n)
	}
	requests["POST "+verifiedPath+"/{id}/actions/verify"] = func() (string, string) {
		n++
		number := h.waitingNumber(h.key, n)
		call, _ := h.said.last()
		return verifiedPath + "/" + number + "/actions/verify", fmt.Sprintf(`{"verification_code":%q}`, call.Code)
	}
	requests["DELETE "+verifiedPath+"/{id}"] = func() (string, string) {
		n++
		return verifiedPath + "/" + h.verifiedNumber(h.key, n), ""
	}
	requests["POST "+decks+"/{id}/activate"] = func() (string, string) { return deck() + "/activate", "" }
	return requests
}

// state is everything that a write could have changed: the lists of every
// collection, and the audit.
func (h *harness) state(admin string) string {
	h.t.Helper()
	var text strings.Builder
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Method != http.MethodGet || op.Scope == "" || strings.Contains(op.Path, "{id}") ||
			slices.ContainsFunc(op.Params, func(p rest.Parameter) bool { return p.Required }) {
			continue
		}
		target := op.Path
		if op.Shape.Paged() {
			target += "?page[size]=250"
		}
		r := h.with(admin, "GET", target, "")
		r.want(http.StatusOK)
		if op.Path != "/tollgate/v1/api_keys" { // which tells when the key was last used
			text.WriteString(r.text + "\n")
		}
	}
	return text.String()
}

// writesOf calls f for every operation that writes, with a request for it.
func writesOf(t *testing.T, h *harness, f func(op *rest.Operation, target, body string)) {
	t.Helper()
	requests, tried := h.writeRequests(), 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if !op.Writes() {
			continue
		}
		request := requests[op.Method+" "+op.Path]
		if request == nil {
			t.Errorf("%s %s has no request here", op.Method, op.Path)
			continue
		}
		tried++
		target, body := request()
		f(op, target, body)
	}
	if tried < 25 {
		t.Errorf("only %d operations were tried", tried)
	}
}

// Every write happens once for a key, and is answered alike however often it is sent.
func TestEveryWriteIsIdempotent(t *testing.T) {
	h := newHarness(t)
	admin := h.adminKey()
	writesOf(t, h, func(op *rest.Operation, target, body string) {
		key := op.ID + "-1"
		first := h.with(admin, op.Method, target, body, "Idempotency-Key", key)
		first.want(op.Status)
		before := h.state(admin)
		if first.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: the first answer says that it is a repeated one", op.ID)
		}
		for range 2 {
			h.clock.Advance(time.Minute)
			again := h.with(admin, op.Method, target, body, "Idempotency-Key", key)
			if again.status != first.status || again.text != first.text ||
				again.header.Get("ETag") != first.header.Get("ETag") || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: repeated: %d %s %v, at first %d %s", op.ID, again.status,
					again.text, again.header, first.status, first.text)
			}
		}
		if after := h.state(admin); after != before {
			t.Errorf("%s: repeating has changed something:\n%s", op.ID, cmp.Diff(before, after))
		}
		other := "?dry_run=false"
		if strings.Contains(target, "?") {
			other = "&dry_run=false"
		}
		h.with(admin, op.Method, target+other, body, "Idempotency-Key", key).
			wantError(http.StatusUnprocessableEntity, "10027 /")
	})
	// A key is the account's own, and another body is another request.
	_, stranger := h.secondAccount()
	h.with(stranger, "POST", "/v2/billing_groups", `{"name":"abc"}`, "Idempotency-Key", "create_billing_group-1").
		want(http.StatusOK)
	h.with(h.key, "POST", "/v2/billing_groups", `{"name":"abd"}`, "Idempotency-Key", "create_billing_group-1").
		wantError(http.StatusUnprocessableEntity, "10027 /")
	// What was refused has not used the key up.
	h.with(h.key, "POST", "/v2/billing_groups", `{"name":7}`, "Idempotency-Key", "new").
		wantError(http.StatusUnprocessableEntity, "10026 /name")
	h.with(h.key, "POST", "/v2/billing_groups", `{"name":"abc"}`, "Idempotency-Key", "new").want(http.StatusOK)
	h.clock.Advance(store.IdempotencyAge)
	r := h.with(h.key, "POST", "/v2/billing_groups", `{"name":"abc"}`, "Idempotency-Key", "new")
	if r.status != 200 || r.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("after a day: %d %v", r.status, r.header)
	}
}

// An answer that shows a secret is kept so that only the key that asked has it again.
func TestKeptSecretIsSealed(t *testing.T) {
	h := newHarness(t)
	first := h.with(h.key, "POST", "/tollgate/v1/api_keys", `{"name":"new"}`, "Idempotency-Key", "k").
		want(http.StatusCreated)
	kept, err := h.store.Answered(t.Context(), &collection.Idempotency{Account: h.first.ID, Key: "k",
		Request: requestHash(t, "POST", "/tollgate/v1/api_keys", `{"name":"new"}`)})
	if err != nil || len(kept.Body) == 0 || strings.Contains(string(kept.Body), "tg_live_") ||
		strings.Contains(string(kept.Body), "name") {
		t.Errorf("kept %q, %v", kept.Body, err)
	}
	again := h.with(h.key, "POST", "/tollgate/v1/api_keys", `{"name":"new"}`, "Idempotency-Key", "k").
		want(http.StatusCreated)
	if again["secret"] != first["secret"] || first["secret"] == nil {
		t.Errorf("secret %v, then %v", first["secret"], again["secret"])
	}
	h.with(h.newKey(h.first.ID), "POST", "/tollgate/v1/api_keys", `{"name":"new"}`, "Idempotency-Key", "k").
		wantError(http.StatusUnprocessableEntity, "10027 /")
}

func requestHash(t *testing.T, method, target, body string) [32]byte {
	t.Helper()
	in := &rest.Request{
		Raw: []byte(body), Engine: &rest.Server{Config: rest.Config{RequestKey: []byte(secret.Open().Mark("requests"))}},
	}
	return in.Hash(httptest.NewRequestWithContext(t.Context(), method, target, nil))
}

func TestHeadersOfWrites(t *testing.T) {
	h := newHarness(t)
	for _, c := range []struct{ name, value string }{
		{"Idempotency-Key", ""}, {"Idempotency-Key", strings.Repeat("k", 256)}, {"Idempotency-Key", "a b"},
		{"Idempotency-Key", "schlüssel"}, {"X-Tollgate-Reason", strings.Repeat("r", 501)}, {"X-Tollgate-Reason", "a\tb"},
		{"X-Tollgate-Reason", "\xff"}, {"If-Match", "7"}, {"If-Match", `"7`}, {"If-Match", ""}, {"If-Match", `"7" "8"`},
		{"If-Match", strings.Repeat(`"7",`, 51)},
	} {
		h.with(h.key, "DELETE", "/v2/ips/7", "", c.name, c.value).wantError(http.StatusBadRequest, "10015 /")
	}
	h.with(h.key, "DELETE", "/v2/ips/7", "", "Idempotency-Key", "a", "Idempotency-Key", "b").
		wantError(http.StatusBadRequest, "10015 /")
	h.with(h.key, "DELETE", "/v2/ips/7", "", "Idempotency-Key", strings.Repeat("~", 255),
		"X-Tollgate-Reason", "Grund: größer").wantError(http.StatusNotFound, "10005 /")
}

// Many clients repeat the same requests at once. Each key has one effect; a client that
// is told to wait gets the answer later.
func TestIdempotencyUnderConcurrency(t *testing.T) {
	h := newHarness(t)
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		tries := rapid.SliceOfN(rapid.IntRange(0, 3), 2, 12).Draw(t, "keys")
		replies := make([]reply, len(tries))
		var all sync.WaitGroup
		for i, key := range tries {
			all.Go(func() {
				name := fmt.Sprintf("%d-%d", round, key)
				for {
					replies[i] = h.with(h.key, "POST", "/v2/billing_groups",
						fmt.Sprintf(`{"name":"group %s"}`, name), "Idempotency-Key", name)
					if replies[i].status != http.StatusConflict {
						return
					}
					if replies[i].header.Get("Retry-After") == "" {
						t.Errorf("a 409 without Retry-After")
					}
				}
			})
		}
		all.Wait()
		texts, effects := map[int]string{}, map[int]int{}
		for i, key := range tries {
			if replies[i].status != http.StatusOK {
				t.Fatalf("status %d: %s", replies[i].status, replies[i].text)
			}
			if replies[i].header.Get("Idempotent-Replayed") == "" {
				effects[key]++
			}
			if texts[key] != "" && texts[key] != replies[i].text {
				t.Fatalf("key %d is answered %s and %s", key, texts[key], replies[i].text)
			}
			texts[key] = replies[i].text
		}
		for key, n := range effects {
			if n != 1 {
				t.Fatalf("key %d took effect %d times", key, n)
			}
		}
		h.clock.Advance(time.Hour) // for the rate limit
		made := h.do("GET", fmt.Sprintf("/v2/billing_groups?filter[name][contains]=group+%d-", round), "").list()
		if len(made) != len(texts) {
			t.Fatalf("%d groups, want %d", len(made), len(texts))
		}
	})
}

// slowStore holds a write up until it is let go.
type slowStore struct {
	store.Decks
	entered, release chan struct{}
}

func (s *slowStore) DeleteDeck(ctx context.Context, account, deck id.ID) (store.RateDeck, error) {
	close(s.entered)
	<-s.release
	return s.Decks.DeleteDeck(ctx, account, deck)
}

func TestRepeatedWhileInFlight(t *testing.T) {
	h := newHarness(t)
	deck := h.with(h.key, "POST", "/tollgate/v1/rate_decks?name=deck", "prefix,rate\n1,0.01\n").
		want(http.StatusCreated)["id"].(string)
	slow := &slowStore{h.store, make(chan struct{}), make(chan struct{})}
	handler := New(Config{Stores: h.stores(func(s *Stores) { s.Decks = slow }), Live: h.live, Clock: h.clock.Now})
	send := func() *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "DELETE", "/tollgate/v1/rate_decks/"+deck, nil)
		r.Header.Set("Authorization", "Bearer "+h.key)
		r.Header.Set("Idempotency-Key", "k")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- send() }()
	<-slow.entered
	w := send()
	if w.Code != http.StatusConflict || w.Header().Get("Retry-After") != "1" ||
		!strings.Contains(w.Body.String(), `"10036"`) {
		t.Errorf("while the first is in flight: %d %v %s", w.Code, w.Header(), w.Body)
	}
	close(slow.release)
	done := <-first
	if done.Code != http.StatusOK {
		t.Fatalf("the first: %d %s", done.Code, done.Body)
	}
	if w := send(); w.Code != http.StatusOK || w.Header().Get("Idempotent-Replayed") != "true" ||
		w.Body.String() != done.Body.String() {
		t.Errorf("after it: %d %s", w.Code, w.Body)
	}
}

// A dry run of every write is answered as the write itself would be, and changes nothing.
func TestEveryWriteHasADryRun(t *testing.T) {
	h := newHarness(t)
	admin := h.adminKey()
	writesOf(t, h, func(op *rest.Operation, target, body string) {
		h.clock.Advance(time.Minute) // or the key would have too many requests
		before := h.state(admin)
		dry := target + "?dry_run=true"
		if strings.Contains(target, "?") {
			dry = target + "&dry_run=true"
		}
		r := h.with(admin, op.Method, dry, body, "Idempotency-Key", "dry-"+op.ID)
		r.want(op.Status)
		if r.header.Get("Tollgate-Dry-Run") != "true" || r.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: headers %v", op.ID, r.header)
		}
		if strings.Contains(r.text, "tg_live_") && strings.Contains(r.text, `"secret":"`) {
			t.Errorf("%s: a dry run shows a secret", op.ID)
		}
		if after := h.state(admin); after != before {
			t.Errorf("%s: a dry run has changed something:\n%s", op.ID, cmp.Diff(before, after))
		}
		real := h.with(admin, op.Method, target, body, "Idempotency-Key", "dry-"+op.ID)
		real.want(op.Status)
		if real.header.Get("Tollgate-Dry-Run") != "" || real.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: headers after a dry run %v", op.ID, real.header)
		}
		got, want := r.want(op.Status), real.want(op.Status)
		// These are made anew each time.
		for _, name := range []string{
			"id", "secret", "hint", "api_key", "organization_id", "previous_secret_expires_at", "report_url",
		} {
			delete(got, name)
			delete(want, name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: a dry run is answered otherwise (-real +dry):\n%s", op.ID, diff)
		}
	})
	// Everything is checked: values, references, uniqueness, use.
	user := `{"connection_name":"c","user_name":"taken","password":"12345678"}`
	h.do("POST", "/v2/credential_connections?dry_run=true", user).want(http.StatusCreated)
	h.do("POST", "/v2/credential_connections", user).want(http.StatusCreated)
	h.do("POST", "/v2/credential_connections?dry_run=true", user).
		wantError(http.StatusUnprocessableEntity, "10012 /user_name")
	h.do("POST", "/v2/ips?dry_run=true", `{"ip_address":"192.0.2.1","connection_id":"7"}`).
		wantError(http.StatusUnprocessableEntity, "10017 /connection_id")
	h.do("POST", "/v2/ips?dry_run=yes", `{"ip_address":"192.0.2.1"}`).
		wantError(http.StatusUnprocessableEntity, "10026 dry_run")
	h.do("GET", "/tollgate/v1/gateways?dry_run=true", "").wantError(http.StatusUnprocessableEntity, "10015 dry_run")
}

// A dry run on a profile says what would become of its calls.
func TestDryRunOfAProfileWithCalls(t *testing.T) {
	h := newHarness(t)
	profile, connection := h.pbx(`{"name":"calls","whitelisted_destinations":["US","GB"]}`)
	for _, to := range []string{"+13125550101", "+13125550102", "+442079460001"} {
		if r := h.reserve(connection, to); !r.Decision.Allow {
			t.Fatalf("call to %s: %+v", to, r.Decision)
		}
	}
	one := "/v2/outbound_voice_profiles/" + profile
	effects := func(method, body string) map[string]any {
		t.Helper()
		r := h.do(method, one+"?dry_run=true", body)
		r.want(http.StatusOK)
		return r.body["meta"].(map[string]any)["dry_run"].(map[string]any)
	}
	reason := func(word string, n float64) []any { return []any{map[string]any{"reason": word, "calls": n}} }
	for _, c := range []struct {
		body            string
		beyond, refused float64
		reasons         []any
	}{
		{`{"name":"other"}`, 0, 0, []any{}},
		{`{"concurrent_call_limit":1}`, 2, 0, []any{}},
		{`{"concurrent_call_limit":3}`, 0, 0, []any{}},
		{`{"whitelisted_destinations":["US"]}`, 0, 1, reason("destination_not_whitelisted", 1)},
		{`{"enabled":false,"concurrent_call_limit":0}`, 3, 3, reason("profile_disabled", 3)},
		{`{"max_destination_rate":0.9}`, 0, 1, reason("rate_above_maximum", 1)},
	} {
		want := map[string]any{
			"live_calls": 3.0, "live_calls_beyond_limit": c.beyond, "live_calls_no_longer_admitted": c.refused,
			"reasons": c.reasons,
		}
		if diff := cmp.Diff(want, effects("PATCH", c.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
	}
	if r := h.do("PATCH", one, `{"name":"other"}`); r.body["meta"] != nil {
		t.Errorf("a real change has meta: %s", r.text)
	}
}

func TestEntityTags(t *testing.T) {
	h := newHarness(t)
	for _, k := range resourceKinds() {
		made := h.do("POST", k.path, k.body(1))
		one := fmt.Sprint(k.path, "/", made.want(k.created)["id"])
		tag := h.do("GET", one, "").header.Get("ETag")
		first := made.header.Get("ETag")
		if made.want(k.created)["password"] != nil { // shown once: the version is the same, and the bytes are others
			first, _, _ = strings.Cut(first, "-")
			first += tag[strings.IndexByte(tag, '-'):]
		}
		if tag == "" || strings.TrimSuffix(first, `-gzip"`) != strings.TrimSuffix(tag, `-gzip"`) {
			t.Errorf("%s: tags %s and %s", k.path, made.header.Get("ETag"), tag)
		}
		for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			for _, method := range []string{"GET", "HEAD"} {
				r := h.with(h.key, method, one, "", "If-None-Match", header)
				if r.status != http.StatusNotModified || r.text != "" || r.header.Get("ETag") == "" {
					t.Errorf("%s %s with %s: %d %q", method, one, header, r.status, r.text)
				}
			}
		}
		changed := h.with(h.key, "PATCH", one, k.change, "If-Match", `"999-x", `+tag)
		changed.want(http.StatusOK)
		h.with(h.key, "GET", one, "", "If-None-Match", tag).want(http.StatusOK)
		for _, stale := range []string{tag, "W/" + changed.header.Get("ETag"), `"x"`, `""`} {
			for _, method := range []string{"PATCH", "DELETE"} {
				body := ""
				if method == "PATCH" {
					body = k.change
				}
				r := h.with(h.key, method, one, body, "If-Match", stale)
				r.wantError(http.StatusPreconditionFailed, "10027 /")
				if r.header.Get("ETag") != strings.ReplaceAll(changed.header.Get("ETag"), "-gzip", "") {
					t.Errorf("%s: the 412 has the tag %s, not %s", one, r.header.Get("ETag"), changed.header.Get("ETag"))
				}
			}
		}
		h.with(h.key, "PATCH", one, k.change, "If-Match", "*").want(http.StatusOK)
		now := h.do("GET", one, "").header.Get("ETag")
		h.with(h.key, "DELETE", one, "", "If-Match", now).want(http.StatusOK)
		h.with(h.key, "PATCH", one, k.change, "If-Match", "*").wantError(http.StatusNotFound, "10005 /")
	}
	// What others refer to is in the tag, and is no change of the object.
	profile := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc"}`)
	one := "/v2/outbound_voice_profiles/" + profile.want(200)["id"].(string)
	h.do("POST", "/v2/ip_connections",
		fmt.Sprintf(`{"connection_name":"c","outbound":{"outbound_voice_profile_id":%q}}`, profile.want(200)["id"])).want(201)
	h.with(h.key, "GET", one, "", "If-None-Match", profile.header.Get("ETag")).want(http.StatusOK)
	h.with(h.key, "PATCH", one, `{"name":"abd"}`, "If-Match", profile.header.Get("ETag")).want(http.StatusOK)
	if logged := h.log.String(); strings.Contains(logged, `"level":"ERROR"`) || !strings.Contains(logged, `"status":412`) {
		t.Errorf("a condition that does not hold is no error of the server:\n%s", logged)
	}
}

// Everybody adds one to a limit, as far as If-Match lets them. No addition is lost.
func TestNoLostUpdate(t *testing.T) {
	h := newHarness(t)
	one := "/v2/outbound_voice_profiles/" + h.do("POST", "/v2/outbound_voice_profiles",
		`{"name":"abc","concurrent_call_limit":0}`).want(200)["id"].(string)
	const workers, additions = 6, 8
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for done := 0; done < additions; {
				current := h.do("GET", one, "")
				limit := current.want(http.StatusOK)["concurrent_call_limit"].(float64)
				r := h.with(h.key, "PATCH", one, fmt.Sprintf(`{"concurrent_call_limit":%d}`, int(limit)+1),
					"If-Match", current.header.Get("ETag"))
				switch r.status {
				case http.StatusOK:
					done++
				case http.StatusPreconditionFailed:
				default:
					t.Errorf("status %d: %s", r.status, r.text)
					return
				}
			}
		})
	}
	all.Wait()
	if got := h.do("GET", one, "").want(http.StatusOK)["concurrent_call_limit"]; got != float64(workers*additions) {
		t.Errorf("the limit is %v, want %d", got, workers*additions)
	}
}

// The types of Telnyx's clients know a text, a number, a bool, an object, a list of
// objects and null as values of a change (telnyx-python, audit_event_list_response).
func TestAuditValuesFitTheTypesOfClients(t *testing.T) {
	h := newHarness(t)
	admin := h.adminKey()
	requests := h.writeRequests()
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if make := requests[op.Method+" "+op.Path]; make != nil {
			target, body := make()
			h.with(admin, op.Method, target, body)
		}
	}
	profile := "/v2/outbound_voice_profiles/" + h.do("POST", "/v2/outbound_voice_profiles",
		`{"name":"lists","whitelisted_destinations":["US"],"tags":["a,b"],"calling_window":{"start_time":"08:00:00","end_time":"20:00:00"}}`).want(200)["id"].(string)
	h.do("PATCH", profile, `{"whitelisted_destinations":["US","GB"],"tags":[],"calling_window":null}`).want(200)
	lists := map[string]bool{}
	for page := 1; ; page++ {
		events := h.with(admin, "GET", fmt.Sprint("/v2/audit_events?page[size]=250&page[number]=", page), "").list()
		if len(events) == 0 {
			break
		}
		for _, event := range events {
			for _, change := range event["changes"].([]any) {
				of := change.(map[string]any)
				name := fmt.Sprint(event["record_type"], " ", of["field"])
				for _, value := range []any{of["from"], of["to"]} {
					items, isList := value.([]any)
					for _, item := range items {
						if _, ok := item.(map[string]any); !ok {
							t.Errorf("%s: %v in a list", name, item)
						}
					}
					lists[name] = lists[name] || isList && len(items) > 0
				}
			}
		}
	}
	if !lists["outbound_voice_profile whitelisted_destinations"] || !lists["outbound_voice_profile tags"] {
		t.Errorf("no lists were looked at: %v", lists)
	}
	newest := h.do("GET", "/v2/audit_events?page[size]=1", "").list()[0]["changes"].([]any)
	want := map[string]any{"field": "whitelisted_destinations", "from": []any{map[string]any{"value": "US"}},
		"to": []any{map[string]any{"value": "US"}, map[string]any{"value": "GB"}}}
	if diff := cmp.Diff(want, newest[len(newest)-1]); diff != "" {
		t.Errorf("a changed list (-want +got):\n%s", diff)
	}
}

func TestAuditEventsList(t *testing.T) {
	h := newHarness(t)
	h.clock.Advance(time.Second)
	since := rest.WireTime(h.clock.Now())
	h.clock.Advance(time.Second)
	made := h.with(h.key, "POST", "/v2/credential_connections",
		`{"connection_name":"phone","user_name":"user","password":"the-secret"}`,
		"X-Tollgate-Reason", "ticket 7", "X-Request-Id", "request-7").want(201)
	h.do("PATCH", "/v2/credential_connections/"+made["id"].(string),
		`{"password":"new-secret","outbound":{"channel_limit":3}}`).want(200)
	h.do("POST", "/tollgate/v1/api_keys", `{"name":"new"}`).want(201)
	r := h.do("GET", "/v2/audit_events?sort=asc&filter[created_after]="+since, "")
	events := r.list()
	if len(events) != 3 || strings.Contains(r.text, "secret\"") && strings.Contains(r.text, "the-secret") ||
		strings.Contains(r.text, "new-secret") || strings.Contains(r.text, "tg_live_"+strings.Repeat("x", 9)) {
		t.Fatalf("events: %s", r.text)
	}
	first := events[0]
	for name, want := range map[string]any{
		"record_type": "credential_connection", "resource_id": made["id"], "alternate_resource_id": "phone",
		"change_type": "create", "change_made_by": "account_owner", "reason": "ticket 7", "request_id": "request-7",
		"address": "127.0.0.1", "organization_id": h.first.OrganizationID.String(), "user_id": nil, "key_name": "test",
	} {
		if first[name] != want {
			t.Errorf("%s is %v, want %v", name, first[name], want)
		}
	}
	want := []any{map[string]any{"field": "outbound.channel_limit", "from": nil, "to": 3.0},
		map[string]any{"field": "password", "from": "[changed]", "to": "[changed]"}}
	if diff := cmp.Diff(want, events[1]["changes"]); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if hash := fmt.Sprint(events[2]["changes"]); !strings.Contains(hash, "map[field:hash from:<nil> to:[changed]]") {
		t.Errorf("the hash of a key in the audit: %s", hash)
	}
	newest := h.do("GET", "/v2/audit_events?page[size]=3", "").list()
	slices.Reverse(newest)
	if diff := cmp.Diff(events, newest); diff != "" {
		t.Errorf("newest first (-asc +desc):\n%s", diff)
	}
	at := first["created_at"].(string)
	if n := len(h.do("GET", "/v2/audit_events?filter[created_after]="+at, "").list()); n != 0 {
		t.Errorf("%d events after the time of all of them", n)
	}
	before := "/v2/audit_events?filter[created_before]=" + at + "&filter[created_after]=" + since
	if n := len(h.do("GET", before, "").list()); n != 0 {
		t.Errorf("%d events before the first", n)
	}
}

func TestEffectsFitMethodsAndScopes(t *testing.T) {
	h := newHarness(t)
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Method == http.MethodGet && op.Effect != rest.Reads && op.Effect != rest.ReadsConfig {
			t.Errorf("%s is a GET that changes something", op.ID)
		}
		changes := op.Scope == ScopeWrite || op.Scope == ScopeCarrier || op.Scope == ScopeAdmin && op.Method != http.MethodGet
		if changes != (op.Writes() || op.Effect == rest.Acts) {
			t.Errorf("%s has the scope %q, and writes is %t", op.ID, op.Scope, op.Writes())
		}
	}
}
