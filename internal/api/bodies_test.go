package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/secret"
)

// objectsOf are the pointers of all objects below a schema, of itself first.
func objectsOf(s *rest.Schema, at string) (pointers []string) {
	if s == nil {
		return nil
	}
	if s.Kind == "object" {
		pointers = append(pointers, at)
	}
	for _, p := range s.Properties {
		pointers = append(pointers, objectsOf(p.Schema, at+"/"+p.Name)...)
	}
	return append(pointers, objectsOf(s.Items, at+"/0")...)
}

// withUnknown puts a field that no resource has into the object at a pointer of a body.
func withUnknown(t *testing.T, body, pointer, value string) string {
	t.Helper()
	var tree any
	if err := json.Unmarshal([]byte(body), &tree); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(withAt(tree, pointer+"/sip_subdomain_of_nothing", "%here%"), json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), `"%here%"`, value, 1)
}

// Under /v2 a field that a resource does not have is ignored and named, in whichever
// object it stands and whatever its type; under /tollgate/v1 it is refused by name.
func TestUnknownFieldsAtEveryLevel(t *testing.T) {
	h := newHarness(t)
	admin, ignored, refused := h.adminKey(), 0, 0
	kinds := []string{`"text"`, `""`, `7`, `1e400`, `true`, `null`, `{}`, `{"a":{"b":[1,null]}}`, `[]`, `[{"a":1}]`}
	writesOf(t, h, func(op *rest.Operation, target, body string) {
		if op.Body == nil || !strings.HasPrefix(op.Path, "/v2/") && body == "" {
			return
		}
		for _, pointer := range objectsOf(op.Body, "") {
			for _, kind := range kinds {
				text := withUnknown(t, body, pointer, kind)
				dry := target + "?dry_run=true"
				r := h.with(admin, op.Method, dry, text)
				if !strings.HasPrefix(op.Path, "/v2/") {
					refused++
					if r.status != http.StatusUnprocessableEntity ||
						!slices.Contains(r.errors(), "10015 "+pointer+"/sip_subdomain_of_nothing") {
						t.Errorf("%s %s of %s: %d %s", op.Method, op.Path, text, r.status, r.text)
					}
					continue
				}
				ignored++
				name := strings.ReplaceAll(strings.TrimPrefix(pointer+"/sip_subdomain_of_nothing", "/"), "/", ".")
				// An object in a list that has only this may lack what it needs.
				lacks := r.status == http.StatusUnprocessableEntity &&
					strings.HasSuffix(pointer, "/0") && !slices.ContainsFunc(r.errors(),
					func(e string) bool { return !strings.HasPrefix(e, "10004 "+pointer+"/") })
				if got := r.header.Get("Tollgate-Ignored-Fields"); r.status != op.Status && !lacks || got != name {
					t.Errorf("%s %s of %s: %d, ignored %q: %s", op.Method, op.Path, text, r.status, got, r.text)
				}
			}
		}
	})
	if ignored < 300 || refused < 100 {
		t.Errorf("only %d fields were ignored and %d refused", ignored, refused)
	}
}

// Every object that can be changed is taken back as it was read, with one field changed:
// the fields that only the server sets do not matter.
func TestWholeObjectsAreTakenBack(t *testing.T) {
	h := newHarness(t)
	admin, tried := h.adminKey(), 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Method != http.MethodPatch {
			continue
		}
		target, change := h.writeRequests()[op.Method+" "+op.Path]()
		var changed map[string]any
		if err := json.Unmarshal([]byte(change), &changed); err != nil {
			t.Fatal(err)
		}
		read := h.with(admin, http.MethodGet, target, "")
		object := read.want(http.StatusOK)
		for name, value := range changed {
			object[name] = value
		}
		body, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		tried++
		h.clock.Advance(1_000_000)
		answer := h.with(admin, http.MethodPatch, target, string(body))
		got := answer.want(http.StatusOK)
		if ignored := answer.header.Get("Tollgate-Ignored-Fields"); ignored != "" {
			t.Errorf("%s: fields of an answer are called unknown: %s", op.ID, ignored)
		}
		for _, each := range []map[string]any{object, got} {
			delete(each, "updated_at")
			delete(each, "version")
		}
		if diff := cmp.Diff(object, got, cmp.FilterPath(func(p cmp.Path) bool {
			return strings.Contains(p.String(), "password")
		},
			cmp.Ignore())); diff != "" && got["password"] != secret.Mask {
			t.Errorf("%s (-sent +answered):\n%s", op.ID, diff)
		}
	}
	if tried < 10 {
		t.Errorf("only %d resources were tried", tried)
	}
}

// What a community Terraform provider sends for a connection of which little is set: every
// text that its user leaves out is empty, fields of another kind are among them, and ids
// are integers.
func TestEmptyTextsAreNotSet(t *testing.T) {
	h := newHarness(t)
	profile := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"terraform","billing_group_id":"","daily_spend_limit":"","usage_payment_method":"",
		"service_plan":"","traffic_type":"","tags":null,"whitelisted_destinations":null,"calling_window":null,
		"call_recording":{"call_recording_type":"","call_recording_channels":"","call_recording_format":"","call_recording_caller_phone_numbers":null}}`).want(http.StatusOK)
	const shared = `"id":"","created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z","active":true,"anchorsite_override":"","connection_name":"tf",
		"dtmf_type":"","encrypted_media":"","ios_push_credential_id":"","android_push_credential_id":"","webhook_event_url":"","webhook_event_failover_url":"",
		"webhook_api_version":"","webhook_timeout_secs":0,"noise_suppression":"","rtcp_settings":{"port":"","capture_enabled":false},"jitter_buffer":null,
		"noise_suppression_details":{"engine":""},"tags":null,
		"inbound":{"ani_number_format":"","dnis_number_format":"","codecs":null,"default_routing_method":"","privacy_zone_enabled":true,"sip_region":"",
			"sip_subdomain":"","sip_subdomain_receive_settings":"","simultaneous_ringing":""},
		"outbound":{"ani_override":"","ani_override_type":"","ip_authentication_method":"","localization":"","outbound_voice_profile_id":%s,
			"t38_reinvite_source":"","tech_prefix":""}`
	for path, more := range map[string]string{
		"/v2/credential_connections": `"record_type":"","microsoft_teams_sbc":false,"user_name":"terraform%d","password":"12345678","sip_uri_calling_preference":""`,
		"/v2/fqdn_connections":       `"transport_protocol":"","microsoft_teams_sbc":false,"user_name":"","password":""`,
		"/v2/ip_connections":         `"transport_protocol":""`,
	} {
		plain := `{"connection_name":"plain","user_name":"plain1","password":"12345678"}`
		if path != "/v2/credential_connections" {
			plain = `{"connection_name":"plain"}`
		}
		want := h.do("POST", path, plain).want(http.StatusCreated)
		more = strings.ReplaceAll(more, "%d", "1")
		for _, id := range []string{profile["id"].(string), `"` + profile["id"].(string) + `"`} {
			made := h.do("POST", path, fmt.Sprintf("{"+shared+","+more+"}", id)).want(http.StatusCreated)
			one := fmt.Sprint(path, "/", made["id"])
			again := h.do("PATCH", one, fmt.Sprintf("{"+shared+","+more+"}", id)).want(http.StatusOK)
			for _, got := range []map[string]any{made, again} {
				if of := got["outbound"].(map[string]any); of["outbound_voice_profile_id"] != profile["id"] {
					t.Errorf("%s: the profile is %v", path, of["outbound_voice_profile_id"])
				}
				for _, name := range []string{
					"anchorsite_override", "dtmf_type", "encrypted_media", "ios_push_credential_id", "webhook_api_version",
					"noise_suppression", "rtcp_settings", "jitter_buffer", "noise_suppression_details", "tags", "transport_protocol",
					"sip_uri_calling_preference",
				} {
					if diff := cmp.Diff(want[name], got[name]); diff != "" {
						t.Errorf("%s: %s is not the default (-default +got):\n%s", path, name, diff)
					}
				}
			}
			h.do("DELETE", one, "").want(http.StatusOK)
		}
	}
	// Empty optional ids are none; what is needed is not.
	connection := h.do("POST", "/v2/fqdn_connections", `{"connection_name":"f"}`).want(http.StatusCreated)["id"]
	fqdn := h.do("POST", "/v2/fqdns",
		fmt.Sprintf(`{"id":"","connection_id":%s,"fqdn":"sip.example.com","port":null,"dns_record_type":"srv"}`, connection)).
		want(http.StatusCreated)
	if fqdn["port"] != nil || fqdn["connection_id"] != connection {
		t.Errorf("a domain name without a port: %v", fqdn)
	}
	h.do("POST", "/v2/fqdns", fmt.Sprintf(`{"connection_id":%s,"fqdn":"a.example.com","port":-1,"dns_record_type":"a"}`,
		connection)).wantError(422, "10033 /port")
	h.do("POST", "/v2/fqdns", `{"connection_id":"","fqdn":"","dns_record_type":""}`).
		wantError(422, "10015 /connection_id", "10025 /fqdn", "10032 /dns_record_type")
	h.do("POST", "/v2/ips", `{"ip_address":"192.0.2.9","connection_id":""}`).want(http.StatusCreated)
	h.do("POST", "/v2/ips", `{"ip_address":""}`).wantError(422, "10015 /ip_address")
	h.do("POST", "/v2/outbound_voice_profiles", `{"name":""}`).wantError(422, "10025 /name")
	// What is Tollgate's own is not set by accident.
	h.do("PATCH", "/v2/outbound_voice_profiles/"+profile["id"].(string), `{"spend_limit_action":""}`).
		wantError(422, "10032 /spend_limit_action")
	h.do("PATCH", fmt.Sprint("/v2/fqdn_connections/", connection), `{"caller_ids":{"on_mismatch":""}}`).
		wantError(422, "10032 /caller_ids/on_mismatch")
}

// What clients and what is between them and the server do to requests.
func TestRequestsAsClientsSendThem(t *testing.T) {
	h := newHarness(t)
	const path, body = "/v2/outbound_voice_profiles", `{"name":"abc"}`
	send := func(method, target, body string, headers ...string) reply {
		t.Helper()
		header := http.Header{"Authorization": {"Bearer " + h.key}}
		for i := 0; i < len(headers); i += 2 {
			header.Set(headers[i], headers[i+1])
		}
		return h.send(method, target, header, strings.NewReader(body))
	}
	const kind, json = "Content-Type", "application/json"
	made := send("POST", path, "\ufeff"+body, kind, json).want(http.StatusOK)
	one := fmt.Sprint(path, "/", made["id"])
	for _, headers := range [][]string{
		{kind, "application/json; charset=UTF-8"}, {kind, "Application/JSON;charset=utf-8"},
		{kind, json, "Accept", "application/xml"}, {kind, json, "Authorization", "bearer " + h.key},
		{kind, json, "X-HTTP-Method-Override", "patch"}, {kind, json, "Content-Encoding", "identity"},
	} {
		send("PATCH", one, body+"\r\n \n", headers...).want(http.StatusOK)
	}
	for _, c := range []struct {
		body, want string
		status     int
		headers    []string
	}{
		{"name=abc", "10029 /", 415, []string{kind, "application/x-www-form-urlencoded"}},
		{body, "10029 /", 415, nil},
		{body, "10029 /", 415, []string{kind, "multipart/form-data; boundary=x"}},
		{body, "10029 /", 415, []string{kind, "application/json; charset=utf-16"}},
		{body, "10014 /", 415, []string{kind, json, "Content-Encoding", "gzip"}},
		{"", "10023 /", 400, []string{kind, json}},
		{"\ufeff", "10023 /", 400, []string{kind, json}},
		{"\ufeff\ufeff" + body, "10023 /", 400, []string{kind, json}},
		{body + "\ufeff", "10023 /", 400, []string{kind, json}},
		{body, "10015 /", 400, []string{kind, json, "X-HTTP-Method-Override", "DELETE"}},
		{body, "10015 /", 400, []string{kind, json, "X-HTTP-Method", "PUT"}},
		{body, "10015 /", 400, []string{kind, json, "X-Method-Override", "DELETE"}},
	} {
		send("PATCH", one, c.body, c.headers...).wantError(c.status, c.want)
	}
	// Neither a body nor its type: nothing is changed, and what is required is named.
	if got := send("PATCH", one, "").want(http.StatusOK); got["name"] != "abc" {
		t.Errorf("a change of nothing: %v", got)
	}
	send("POST", path, "").wantError(http.StatusUnprocessableEntity, "10004 /name")
	send("GET", one, `{"name":"other"}`, kind, json).want(http.StatusOK)
	send("GET", one, "", "X-HTTP-Method-Override", "DELETE").wantError(http.StatusBadRequest, "10015 /")
	if got := send("DELETE", one, `{"name":"other"}`, kind, json).want(http.StatusOK); got["name"] != "abc" {
		t.Errorf("deleted %v", got)
	}
}

// Nothing that was refused has changed anything: the lists of every collection and the
// audit are the same after a refused write as before it.
func TestRefusedWritesChangeNothing(t *testing.T) {
	h := newHarness(t)
	h.api.engine.Limiter = rest.NewLimiter(rest.RateLimit{PerSecond: -1}, h.clock.Now)
	admin, refused := h.adminKey(), 0
	writesOf(t, h, func(op *rest.Operation, target, body string) {
		h.clock.Advance(time.Minute) // or the key would have too many requests
		before := h.state(admin)
		for _, text := range wrongBodies(t, op, body) {
			refused++
			r := h.with(admin, op.Method, target, text, "Content-Type", "application/json")
			if r.status < http.StatusBadRequest {
				t.Errorf("%s %s took %s: %d %s", op.Method, op.Path, text, r.status, r.text)
			}
		}
		query := "?"
		if strings.Contains(target, "?") {
			query = "&"
		}
		if r := h.with(admin, op.Method, target+query+"nothing=1", body); r.status < http.StatusBadRequest {
			t.Errorf("%s %s took an unknown parameter: %s", op.Method, op.Path, r.text)
		}
		if after := h.state(admin); after != before {
			t.Errorf("%s: refused requests have changed something:\n%s", op.ID, cmp.Diff(before, after))
		}
	})
	if refused < 300 {
		t.Errorf("only %d requests were refused", refused)
	}
}

// wrongBodies are a valid body with each of its fields given what it cannot be, and texts
// that are no body at all.
func wrongBodies(t *testing.T, op *rest.Operation, body string) (bad []string) {
	t.Helper()
	if op.Body == nil {
		return nil
	}
	bad = []string{"{", body + "x", `{"a":1,"a":2}`, `{"text":"` + "\xff" + `"}`}
	for _, p := range op.Body.Properties {
		wrong := []string{`[[1e400]]`}
		switch {
		case p.Schema.Kind == "array":
			wrong = []string{`{"0":1e-400}`}
		case p.Schema.NumericID:
			wrong = append(wrong, "-1", "1.5", "1293384261075731499")
		}
		for _, raw := range wrong {
			bad = append(bad, withField(t, body, p.Name, raw))
		}
	}
	return bad
}

// withField is a body with one field given a raw value.
func withField(t *testing.T, body, name, raw string) string {
	t.Helper()
	tree := map[string]any{}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &tree); err != nil {
			t.Fatal(err)
		}
	}
	tree[name] = "%here%"
	text, err := json.Marshal(tree, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), `"%here%"`, raw, 1)
}
