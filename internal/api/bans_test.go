package api

import (
	"net/http"
	"testing"
)

func TestBans(t *testing.T) {
	h := newHarness(t)
	admin := h.adminKey()
	changed := 0
	h.api.BansChanged = func() { changed++ }
	const path = "/tollgate/v1/bans"
	made := h.with(admin, "POST", path,
		`{"source":"203.0.113.77/24","reason":"scans","expires_at":"2026-03-11T16:00:00Z"}`).want(http.StatusCreated)
	if made["id"] != "203.0.113.0_24" || made["source"] != "203.0.113.0/24" ||
		made["automatic"] != false || made["expires_at"] != "2026-03-11T16:00:00.000Z" {
		t.Errorf("made %v", made)
	}
	one := h.with(admin, "POST", path, `{"source":"2001:db8::7"}`).want(http.StatusCreated)
	if one["id"] != "2001:db8::7_128" || one["source"] != "2001:db8::7" || one["expires_at"] != nil {
		t.Errorf("made %v", one)
	}
	h.with(admin, "POST", path, `{"source":"2001:db8::7","reason":"again"}`).want(http.StatusCreated)
	if list := h.with(admin, "GET", path, "").list(); len(list) != 2 {
		t.Errorf("bans %v", list)
	}
	for _, wrong := range []string{
		`{"source":"no-address"}`, `{"source":"0.0.0.0/0"}`, `{"source":"10.0.0.0/7"}`, `{"source":"::/0"}`,
		`{"source":"fe80::1%eth0"}`, `{"source":"10.0.0.0/33"}`, `{"source":"::ffff:10.0.0.0/104"}`,
	} {
		if r := h.with(admin, "POST", path, wrong); r.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", wrong, r.status)
		}
	}
	h.with(admin, "POST", path, `{}`).wantError(http.StatusUnprocessableEntity, "10004 /source")
	r := h.with(admin, "POST", path, `{"source":"10.0.0.1","expires_at":"2020-01-01T00:00:00Z"}`)
	if r.status != http.StatusUnprocessableEntity {
		t.Errorf("a ban that has expired: status %d", r.status)
	}
	if gone := h.with(admin, "DELETE", path+"/203.0.113.0_24", "").want(http.StatusOK); gone["reason"] != "scans" {
		t.Errorf("lifted %v", gone)
	}
	for _, absent := range []string{"203.0.113.0_24", "x", "10.0.0.1_32", "10.0.0.1"} {
		h.with(admin, "DELETE", path+"/"+absent, "").wantError(http.StatusNotFound, "10005 /")
	}
	if changed != 4 {
		t.Errorf("the gateway was told of %d changes, want 4", changed)
	}
	// No customer bans what another one's calls come from.
	h.do("POST", path, `{"source":"10.0.0.1"}`).wantError(http.StatusForbidden, "10010 /")
	h.do("GET", path, "").wantError(http.StatusForbidden, "10010 /")
}
