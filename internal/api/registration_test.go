package api

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
)

// registrar knows one telephone.
type registrar struct {
	connection id.ID
	known      connection.Registration
}

func (r registrar) Registration(_, connection id.ID) (connection.Registration, bool) {
	return r.known, connection == r.connection
}

func TestCheckRegistrationStatus(t *testing.T) {
	h := newHarness(t)
	const path, action = "/v2/credential_connections/", "/actions/check_registration_status"
	made := h.do("POST", "/v2/credential_connections",
		`{"connection_name":"desk","user_name":"desk1","password":"long enough 1"}`).want(http.StatusCreated)
	one := made["id"].(string)
	want := map[string]any{"record_type": "registration_status", "sip_username": "desk1", "status": "Not Registered",
		"ip_address": nil, "port": nil, "transport": nil, "user_agent": nil, "last_registration": nil}
	// SDKs send no body, an empty object, or an empty text with a type.
	for _, body := range []string{"", "{}"} {
		got := h.do("POST", path+one+action, body).want(http.StatusOK)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with the body %q: (-want +got)\n%s", body, diff)
		}
	}
	_, stranger := h.secondAccount()
	h.doWith(stranger, "POST", path+one+action, "").wantError(http.StatusNotFound, "10005 /")
	other := h.do("POST", "/v2/ip_connections", `{"connection_name":"pbx"}`).want(http.StatusCreated)["id"].(string)
	for _, unknown := range []string{other, "1", "none"} {
		h.do("POST", path+unknown+action, "").wantError(http.StatusNotFound, "10005 /")
	}
	h.do("GET", path+one+action, "").wantError(http.StatusMethodNotAllowed, "10030 /")

	key, err := id.Parse(one)
	if err != nil {
		t.Fatal(err)
	}
	h.api.Registrations = registrar{key, connection.Registration{State: connection.Registered, Transport: "UDP",
		Contact: netip.MustParseAddrPort("192.0.2.7:5062"), UserAgent: "phone/1", At: start.Add(-time.Minute)}}
	want = map[string]any{"record_type": "registration_status", "sip_username": "desk1", "status": "Registered",
		"ip_address": "192.0.2.7", "port": 5062.0, "transport": "UDP", "user_agent": "phone/1",
		"last_registration": "2026-03-11T15:03:05.678Z"}
	if diff := cmp.Diff(want, h.do("POST", path+one+action, "").want(http.StatusOK)); diff != "" {
		t.Errorf("registered: (-want +got)\n%s", diff)
	}
}
