package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/tollgate/tollgate/internal/rest"
)

// Whatever takes an id, takes it from its own account only. The fields are found in the
// schemas of the table of operations, so an operation or a field that is new is tried
// too, or fails the test until it is said what it names.

// named describes what the id in a field of a body or in a filter is of, by the field's name:
// the path under which such objects are, or "" when it names nothing of this server.
func named(op *rest.Operation, field string) (path string, known bool) {
	field = strings.TrimSuffix(field, "/0")
	switch field[strings.LastIndexAny(field, "/.[")+1:] {
	case "number_list_ids":
		return "/tollgate/v1/number_lists", true
	case "route_id]":
		return "/tollgate/v1/routes", true
	case "outbound_voice_profile_ids", "outbound_voice_profile_id", "outbound_voice_profile_id]", "outbound_profile_id]":
		return "/v2/outbound_voice_profiles", true
	case "billing_group_id", "billing_group_id]":
		return "/v2/billing_groups", true
	case "rate_deck_id", "default_rate_deck_id", "with", "compare_with":
		return "/tollgate/v1/rate_decks", true
	case "gateway_id", "gateway_id]":
		return "/tollgate/v1/gateways", true
	case "connection_id", "connection_id]":
		switch {
		case strings.Contains(op.Path, "/v2/fqdns"):
			return "/v2/fqdn_connections", true
		}
		return "/v2/ip_connections", true
	case "endpoint_id]":
		return "/tollgate/v1/webhook_endpoints", true
	case "event_id]", "application_session_id]":
		return deliveriesPath, true // of another kind, which is found nowhere either
	case "id]", "leg_id]", "call_leg_id]", "call_session_id]", "telnyx_session_id]", "decision_id]":
		return "/v2/detail_records", true
	case "id": // of a new billing group, chosen by who makes it
		return "/v2/billing_groups", op.ID == "create_billing_group"
	case "android_push_credential_id", "ios_push_credential_id":
		return "", true
	}
	return "", false
}

// isID reports whether a schema is that of an id.
func isID(s *rest.Schema) bool {
	id := rest.IDSchema()
	return s.Kind == "string" && (s.Format == "uuid" || s.Pattern != nil && s.Pattern.String() == id.Pattern.String())
}

// idFields are the pointers of the ids below a schema.
func idFields(s *rest.Schema, at string) (fields []string) {
	if s == nil {
		return nil
	}
	if isID(s) {
		return []string{at}
	}
	for _, p := range s.Properties {
		fields = append(fields, idFields(p.Schema, at+"/"+p.Name)...)
	}
	return append(fields, idFields(s.Items, at+"/0")...)
}

// bodies are requests that would be valid, by the operations' ids; those of
// resources are in resourceKinds.
func bodyOf(op *rest.Operation, own map[string]string) string {
	for _, k := range resourceKinds() {
		if k.path == op.Path {
			return k.body(77)
		}
	}
	switch op.ID {
	case "create_fqdn":
		return fmt.Sprintf(`{"connection_id":%q,"fqdn":"own.example.com","dns_record_type":"a"}`, own["/v2/fqdn_connections"])
	case "explain_decision":
		return `{"from":"+13125550100","to":"+13125550199"}`
	case "create_admission":
		return `{"call_id":"stranger@pbx","from":"+13125550100","to":"+13125550199"}`
	case "batch_admission":
		return `{"events":[{"event":"admit","admission":{"call_id":"stranger@pbx","to":"+13125550199"}}]}`
	}
	return "{}"
}

// withAt puts a value into an object at a pointer.
func withAt(object any, pointer string, value any) any {
	name, rest, more := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	if more {
		rest = "/" + rest
	}
	if pointer == "" {
		return value
	}
	if name == "0" {
		list, _ := object.([]any)
		if len(list) == 0 {
			list = []any{nil}
		}
		list[0] = withAt(list[0], rest, value)
		return list
	}
	fields, _ := object.(map[string]any)
	if fields == nil {
		fields = map[string]any{}
		if name == "connection_id" && strings.HasPrefix(pointer, "/") {
			fields["call_id"], fields["to"] = "stranger@pbx", "+13125550199"
		}
	}
	fields[name] = withAt(fields[name], rest, value)
	return fields
}

// everything is all that an account has, as it is told.
func (h *harness) everything(key string) string {
	h.t.Helper()
	var all strings.Builder
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Method != http.MethodGet || !op.Shape.Paged() || op.Scope != ScopeRead ||
			strings.Contains(op.Path, "{") || strings.Contains(op.Path, "audit_events") {
			continue
		}
		target := op.Path
		switch op.Path {
		case "/v2/detail_records":
			target += "?filter[record_type]=sip-trunking"
		case "/v2/usage_reports":
			target += "?" + someUsage
		case "/tollgate/v1/api_keys", deliveriesPath:
			continue // they change by being used
		}
		all.WriteString(op.Path + " " + h.doWith(key, "GET", target, "").text + "\n")
	}
	return all.String()
}

func TestForeignIDsInBodiesAndQueries(t *testing.T) {
	h := newHarness(t)
	ids := h.oneOfEverything()
	other, _ := h.secondAccount()
	stranger := h.newKey(other.ID, ScopeRead, ScopeWrite, ScopeAdmit, ScopeCarrier, ScopeSecrets)
	own := map[string]string{}
	for _, path := range []string{
		"/v2/ip_connections", "/v2/fqdn_connections", "/v2/outbound_voice_profiles", "/v2/credential_connections",
	} {
		for _, k := range resourceKinds() {
			if k.path == path {
				own[path] = fmt.Sprint(h.doWith(stranger, "POST", path, k.body(99)).want(k.created)["id"])
			}
		}
	}
	before := h.everything(h.key)
	bodies, filters := 0, 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Scope == "" || op.Scope == ScopeAdmin {
			continue
		}
		target := op.Path
		if prefix, rest, found := strings.Cut(op.Path, "/{id}"); found {
			mine := own[prefix]
			if mine == "" {
				mine = ids[prefix]
			}
			target = prefix + "/" + mine + rest
		}
		target = strings.ReplaceAll(target, "{name}", "kamailio-1")
		for _, pointer := range idFields(op.Body, "") {
			path, known := named(op, pointer)
			if !known {
				t.Errorf("%s: say in named what the id at %s is of", op.ID, pointer)
				continue
			}
			if path == "" {
				continue
			}
			var body any
			if err := json.Unmarshal([]byte(bodyOf(op, own)), &body); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(withAt(body, pointer, ids[path]))
			if err != nil {
				t.Fatal(err)
			}
			bodies++
			h.refusedTo(stranger, op, target, string(text), pointer, ids)
		}
		filters += h.emptyFilters(stranger, op, target, ids)
	}
	if bodies < 25 || filters < 20 {
		t.Errorf("only %d bodies and %d filters were tried", bodies, filters)
	}
	if after := h.everything(h.key); after != before {
		t.Errorf("the other account's objects have changed:\n%s\n%s", before, after)
	}
}

// emptyFilters asks with every filter of an operation for what names another account's
// objects, and returns how many there are.
func (h *harness) emptyFilters(key string, op *rest.Operation, target string, ids map[string]string) (filters int) {
	h.t.Helper()
	if op.Method != http.MethodGet {
		return 0
	}
	for _, p := range op.Params {
		if p.Schema == nil || !isID(p.Schema) {
			continue
		}
		path, known := named(op, p.Name)
		if !known {
			h.t.Errorf("%s: say in named what the id in %s is of", op.ID, p.Name)
			continue
		}
		filters++
		query := "?" + p.Name + "=" + ids[path]
		switch op.Path {
		case "/v2/detail_records":
			query += "&filter[record_type]=sip-trunking"
		case "/v2/usage_reports":
			query += "&" + someUsage
		}
		r := h.doWith(key, "GET", target+query, "")
		if items, _ := r.body["data"].([]any); r.status == http.StatusOK && len(items) > 0 ||
			r.status >= http.StatusInternalServerError {
			h.t.Errorf("%s%s: %d %s", op.Path, query, r.status, r.text)
		}
	}
	return filters
}

// refusedTo sends a request that names another account's object.
func (h *harness) refusedTo(key string, op *rest.Operation, target, body, pointer string, ids map[string]string) {
	h.t.Helper()
	r := h.doWith(key, op.Method, target, body)
	// A gateway that a switch names is only kept, as what it said.
	kept := strings.HasSuffix(pointer, "/gateway_id") && op.Noun != "route"
	results, _ := r.body["data"].([]any)
	inBatch := op.ID == "batch_admission" && len(results) == 1 && results[0].(map[string]any)["status"] != 200.0
	switch r.status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity:
	default:
		if !kept && !inBatch {
			h.t.Errorf("%s %s with a foreign %s: %d %s", op.Method, op.Path, pointer, r.status, r.text)
		}
	}
	for path, foreign := range ids {
		if !strings.Contains(body, foreign) && !strings.Contains(target, foreign) && strings.Contains(r.text, foreign) {
			h.t.Errorf("%s %s tells the id of one of %s: %s", op.Method, op.Path, path, r.text)
		}
	}
}

// What is named otherwise than by an id is one's own too: users, addresses, the calls and
// the names of switches, idempotency keys, entity tags and lists of ids.
func TestForeignNames(t *testing.T) {
	h := newHarness(t)
	ids := h.oneOfEverything()
	other, _ := h.secondAccount()
	stranger, mine := h.newKey(other.ID, ScopeRead, ScopeWrite, ScopeAdmit), h.newKey(h.first.ID, Scopes()...)
	connection := fmt.Sprint(h.doWith(stranger, "POST", "/v2/ip_connections",
		`{"connection_name":"own"}`).want(http.StatusCreated)["id"])
	h.do("PATCH", "/v2/ips/"+ids["/v2/ips"], fmt.Sprintf(`{"connection_id":%q}`, ids["/v2/ip_connections"])).
		want(http.StatusOK)

	for _, who := range []string{`"user_name":"user1"`, `"source_ip":"192.0.2.1"`} {
		body := fmt.Sprintf(`{%s,"call_id":"by name","from":"+13125550100","to":"+13125550199"}`, who)
		r := h.doWith(stranger, "POST", "/tollgate/v1/admissions", body)
		if !strings.Contains(r.text, "connection_unknown") || strings.Contains(r.text, ids["/v2/ip_connections"]) {
			t.Errorf("%s of another account: %s", who, r.text)
		}
	}
	// The same id of a call and the same name of a switch are others in another account.
	const call = `{"connection_id":%q,"call_id":"same@pbx","request_id":"1","from":"+13125550100","to":"911","switch":"kamailio-1"}`
	live := h.doWith(mine, "POST", "/tollgate/v1/admissions", fmt.Sprintf(call, ids["/v2/ip_connections"])).
		want(http.StatusOK)
	for _, name := range []string{"same@pbx", fmt.Sprint(live["id"])} {
		h.doWith(stranger, "GET", "/tollgate/v1/admissions/"+strings.ReplaceAll(name, "@", "%40"), "").
			wantError(http.StatusNotFound, "10005 /")
		h.doWith(stranger, "POST", "/tollgate/v1/admissions/"+strings.ReplaceAll(name, "@", "%40")+"/end", `{}`).
			wantError(http.StatusNotFound, "10005 /")
	}
	theirs := h.doWith(stranger, "POST", "/tollgate/v1/admissions", fmt.Sprintf(call, connection)).want(http.StatusOK)
	if theirs["id"] == live["id"] {
		t.Error("two accounts share an admission by its call_id")
	}
	h.doWith(stranger, "POST", "/tollgate/v1/switches/kamailio-1/restarted", `{}`).want(http.StatusOK)
	status := h.doWith(mine, "GET", fmt.Sprint("/tollgate/v1/admissions/", live["id"]), "")
	if status.status != http.StatusOK || strings.Contains(status.text, `"state":"ended"`) {
		t.Errorf("the restart of another account's switch: %s", status.text)
	}

	one := "/v2/outbound_voice_profiles/" + ids["/v2/outbound_voice_profiles"]
	tag := h.do("GET", one, "").header.Get("Etag")
	h.with(stranger, "PATCH", one, `{"name":"taken"}`, "If-Match", tag).wantError(http.StatusNotFound, "10005 /")
	h.with(stranger, "GET", one, "", "If-None-Match", tag).wantError(http.StatusNotFound, "10005 /")
	made := h.with(h.key, "POST", "/v2/ip_connections", `{"connection_name":"same"}`, "Idempotency-Key", "k").
		want(http.StatusCreated)
	again := h.with(stranger, "POST", "/v2/ip_connections", `{"connection_name":"same"}`, "Idempotency-Key", "k").
		want(http.StatusCreated)
	if again["id"] == made["id"] {
		t.Error("an idempotency key of another account gives its answer")
	}
	r := h.doWith(stranger, "POST", "/v2/recordings/actions/delete", fmt.Sprintf(`{"ids":[%q]}`, ids["/v2/recordings"]))
	if r.status >= http.StatusInternalServerError {
		t.Errorf("delete foreign recordings: %d %s", r.status, r.text)
	}
	h.do("GET", "/v2/recordings/"+ids["/v2/recordings"], "").want(http.StatusOK)
	h.doWith(stranger, "POST", "/tollgate/v1/spend_holds/release", "").want(http.StatusOK)
	if held := h.do("GET", "/tollgate/v1/spend_holds", "").list(); len(held) == 0 {
		t.Error("another account has released what was held")
	}
}
