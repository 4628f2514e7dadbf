package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/secret"
)

// kindOfResource is what the tests over all resources need to know of one.
type kindOfResource struct {
	path    string
	create  string // body of a create request, with %d for a number that makes it unique
	created int
	change  string // body of a change
	changed string // the field that it changes
	name    string // a field by which it can be sorted
}

func resourceKinds() []kindOfResource {
	return []kindOfResource{
		{"/v2/outbound_voice_profiles", `{"name":"profile %d"}`, 200, `{"name":"other"}`, "name", "name"},
		{"/v2/billing_groups", `{"name":"group %d"}`, 200, `{"name":"other"}`, "name", "name"},
		{"/v2/ip_connections", `{"connection_name":"ip %d"}`, 201,
			`{"connection_name":"other"}`, "connection_name", "connection_name"},
		{"/v2/credential_connections", `{"connection_name":"credential %d","user_name":"user%d","password":"12345678"}`, 201,
			`{"connection_name":"other"}`, "connection_name", "connection_name"},
		{"/v2/fqdn_connections", `{"connection_name":"fqdn %d"}`, 201,
			`{"connection_name":"other"}`, "connection_name", "connection_name"},
		{"/v2/ips", `{"ip_address":"192.0.2.%d"}`, 201, `{"port":5080}`, "port", "created_at"},
		{"/tollgate/v1/gateways",
			`{"name":"gateway %d","address":"carrier.example","user_name":"u","password":"secret-of-the-carrier"}`, 201,
			`{"name":"other"}`, "name", "name"},
		{"/tollgate/v1/number_lists", `{"name":"list %d","matches":"callee"}`, 201, `{"name":"other"}`, "name", "name"},
		{"/tollgate/v1/routes", `{"name":"route %d","action":"refuse","match":{"prefixes":["+44%d"]}}`, 201,
			`{"name":"other"}`, "name", "name"},
		{"/tollgate/v1/webhook_endpoints", `{"url":"https://hooks.example.com/%d"}`,
			201, `{"url":"https://other.example.com/"}`, "url", "created_at"},
	}
}

func (k kindOfResource) body(n int) string {
	return strings.ReplaceAll(k.create, "%d", fmt.Sprint(n))
}

func TestCreateReadChangeDelete(t *testing.T) {
	h := newHarness(t)
	for _, k := range resourceKinds() {
		t.Run(k.path, func(t *testing.T) {
			h.t = t
			made := h.do("POST", k.path, k.body(1)).want(k.created)
			one := fmt.Sprint(k.path, "/", made["id"])
			if made["password"] != nil { // shown once
				made["password"] = secret.Mask
			}
			if diff := cmp.Diff(made, h.do("GET", one, "").want(http.StatusOK)); diff != "" {
				t.Errorf("read differs from created (-created +read):\n%s", diff)
			}
			h.clock.Advance(1_000_000_000)
			changed := h.do("PATCH", one, k.change).want(http.StatusOK)
			if changed[k.changed] == made[k.changed] || changed["updated_at"] == made["updated_at"] ||
				changed["created_at"] != made["created_at"] {
				t.Errorf("changed to %v from %v", changed, made)
			}
			delete(changed, k.changed)
			delete(changed, "updated_at")
			for name, value := range changed {
				if diff := cmp.Diff(made[name], value); diff != "" {
					t.Errorf("%s changed too (-before +after):\n%s", name, diff)
				}
			}
			before := h.do("GET", one, "").want(http.StatusOK)
			deleted := h.do("DELETE", one, "").want(http.StatusOK)
			delete(before, "deleted_at") // a deleted group says when
			delete(deleted, "deleted_at")
			if diff := cmp.Diff(before, deleted); diff != "" {
				t.Errorf("deleted differs from read (-read +deleted):\n%s", diff)
			}
			h.do("GET", one, "").wantError(http.StatusNotFound, "10005 /")
			h.do("PATCH", one, k.change).wantError(http.StatusNotFound, "10005 /")
			h.do("DELETE", one, "").wantError(http.StatusNotFound, "10005 /")
		})
	}
}

// Clients send back what they were given: read-only fields are ignored.
func TestReadBackIsAccepted(t *testing.T) {
	h := newHarness(t)
	for _, k := range resourceKinds() {
		t.Run(k.path, func(t *testing.T) {
			h.t = t
			made := h.do("POST", k.path, k.body(1))
			one := fmt.Sprint(k.path, "/", made.want(k.created)["id"])
			text := strings.TrimSuffix(strings.TrimPrefix(made.text, `{"data":`), "}")
			again := h.do("PATCH", one, text)
			if ignored := again.header.Get("Tollgate-Ignored-Fields"); ignored != "" {
				t.Errorf("fields of an answer are called unknown: %s", ignored)
			}
			got, want := again.want(http.StatusOK), made.want(k.created)
			delete(got, "updated_at")
			delete(want, "updated_at")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sending back what was given changed it (-before +after):\n%s", diff)
			}
		})
	}
}

func TestUnknownFieldsAreIgnoredAndNamed(t *testing.T) {
	h := newHarness(t)
	r := h.do("POST", "/v2/ip_connections", `{"outbound_voice_profile_id":"7","outbound":{"profile":"7"},"a\nb":1,"ü":1}`)
	r.want(http.StatusCreated)
	const want = "a?b, outbound.profile, outbound_voice_profile_id, ?"
	if got := r.header.Get("Tollgate-Ignored-Fields"); got != want {
		t.Errorf("ignored fields %q, want %q", got, want)
	}
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, `"unknown_field_number_%d":1,`, i)
	}
	r = h.do("POST", "/v2/outbound_voice_profiles", "{"+many.String()+`"name":"abc"}`)
	r.want(http.StatusOK)
	if got := r.header.Get("Tollgate-Ignored-Fields"); len(got) > 1000+5 || !strings.HasSuffix(got, "...") {
		t.Errorf("header of %d bytes: %.60s", len(got), got)
	}
}

func TestPasswordOfGatewayIsNeverShown(t *testing.T) {
	h := newHarness(t)
	made := h.do("POST", "/tollgate/v1/gateways",
		`{"name":"g","address":"carrier.example","user_name":"u","password":"secret-of-the-carrier"}`)
	one := fmt.Sprint("/tollgate/v1/gateways/", made.want(http.StatusCreated)["id"])
	for _, r := range []reply{
		made, h.do("GET", one, ""), h.do("PATCH", one, `{"name":"h"}`), h.do("GET", "/tollgate/v1/gateways", ""),
		h.do("DELETE", one, ""),
	} {
		if strings.Contains(r.text, "secret-of") {
			t.Errorf("the password is shown: %s", r.text)
		}
		if !strings.Contains(r.text, `"password_set":true`) {
			t.Errorf("the password was lost: %s", r.text)
		}
	}
}

func TestReferences(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/v2/billing_groups", documentedGroup).want(http.StatusOK)
	h.do("POST", "/v2/billing_groups", documentedGroup).wantError(http.StatusUnprocessableEntity, "10012 /id")
	made := h.do("POST", "/v2/outbound_voice_profiles", documented).want(http.StatusOK)
	profile := fmt.Sprint("/v2/outbound_voice_profiles/", made["id"])
	h.do("DELETE", "/v2/billing_groups/6a09cdc3-8948-47f0-aa62-74ac943d6c58", "").
		wantError(http.StatusUnprocessableEntity, "10021 /")

	user := fmt.Sprintf(`{"connection_name":"c","user_name":"myuser","password":"12345678","outbound":{"outbound_voice_profile_id":%q}}`, made["id"])
	connection := h.do("POST", "/v2/credential_connections", user).want(http.StatusCreated)
	h.do("POST", "/v2/credential_connections", user).wantError(http.StatusUnprocessableEntity, "10012 /user_name")
	if got := h.do("GET", profile, "").want(http.StatusOK)["connections_count"]; got != 1.0 {
		t.Errorf("connections_count %v, want 1", got)
	}
	r := h.do("DELETE", profile, "")
	if r.status != http.StatusUnprocessableEntity || !strings.HasPrefix(r.errors()[0], "10021") {
		t.Errorf("deleting a profile in use: %d %s", r.status, r.text)
	}
	one := fmt.Sprint("/v2/credential_connections/", connection["id"])
	// "" is none for clients that do not use a reference.
	detached := h.do("PATCH", one, `{"outbound":{"outbound_voice_profile_id":""}}`).want(http.StatusOK)
	if detached["outbound"].(map[string]any)["outbound_voice_profile_id"] != nil {
		t.Errorf("still attached: %v", detached)
	}
	h.do("PATCH", profile, `{"billing_group_id":""}`).want(http.StatusOK)
	h.do("DELETE", profile, "").want(http.StatusOK)
	h.do("DELETE", "/v2/billing_groups/6a09cdc3-8948-47f0-aa62-74ac943d6c58", "").want(http.StatusOK)
}

func TestConnectionsOfEveryKind(t *testing.T) {
	h := newHarness(t)
	var names []string
	for i := range 7 {
		h.clock.Advance(1_000_000_000)
		name := fmt.Sprintf("conn %d", i)
		names = append([]string{name}, names...)
		if i%2 == 0 {
			h.do("POST", "/v2/ip_connections", fmt.Sprintf(`{"connection_name":%q}`, name)).want(http.StatusCreated)
			continue
		}
		if i%4 == 1 {
			h.do("POST", "/v2/fqdn_connections", fmt.Sprintf(`{"connection_name":%q}`, name)).want(http.StatusCreated)
			continue
		}
		h.do("POST", "/v2/credential_connections",
			fmt.Sprintf(`{"connection_name":%q,"user_name":"user%d","password":"12345678"}`, name, i)).want(http.StatusCreated)
	}
	var got []string
	for page := 1; ; page++ {
		r := h.do("GET", fmt.Sprintf("/v2/connections?page[size]=3&page[number]=%d", page), "")
		items := r.list()
		want := map[string]any{"page_number": float64(page), "page_size": 3.0, "total_pages": 3.0, "total_results": 7.0}
		if diff := cmp.Diff(want, r.body["meta"]); diff != "" {
			t.Errorf("meta of page %d (-want +got):\n%s", page, diff)
		}
		if len(items) == 0 {
			break
		}
		for _, item := range items {
			got = append(got, item["connection_name"].(string))
			one := h.do("GET", fmt.Sprint("/v2/connections/", item["id"]), "").want(http.StatusOK)
			if diff := cmp.Diff(item, one); diff != "" {
				t.Errorf("one differs from the list's (-list +one):\n%s", diff)
			}
		}
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
	sorted := h.do("GET", "/v2/connections?sort=connection_name&filter[connection_name][contains]=CONN", "").list()
	for i, item := range sorted {
		if item["connection_name"] != names[len(names)-1-i] {
			t.Errorf("sorted by name, place %d has %v", i, item["connection_name"])
		}
	}
}
