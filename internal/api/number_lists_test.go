package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Number lists: entries go in as JSON and as CSV, all or none, and come out alike.
func TestNumberLists(t *testing.T) {
	const path = "/tollgate/v1/number_lists"
	h := newHarness(t)
	_, stranger := h.secondAccount()
	list := h.do("POST", path, `{"name":"fraud","matches":"callee","entries":[{"prefix":"+4420","action":"refuse"}]}`).
		want(http.StatusCreated)
	one := path + "/" + fmt.Sprint(list["id"])
	for body, wanted := range map[string]string{
		`{"entries":[{"prefix":"911","action":"refuse"}]}`:                                  "10015 /entries/0/prefix",
		`{"entries":[{"prefix":"44","action":"refuse"},{"prefix":"+44","action":"allow"}]}`: "10015 /entries/1/prefix",
		`{"entries":[{"prefix":"44","action":"block"}]}`:                                    "10032 /entries/0/action",
		`{"entries":[{"prefix":"44","action":"allow","expires_at":"soon"}]}`:                "10015 /entries/0/expires_at",
		`{"matches":"both"}`: "10032 /matches",
	} {
		h.do("PATCH", one, body).wantError(http.StatusUnprocessableEntity, wanted)
	}
	csv := http.Header{"Authorization": {"Bearer " + h.key}, "Content-Type": {"text/csv"}}
	h.send("POST", one+"/import", csv, strings.NewReader("prefix,action\n4420,refuse\n33,refuse\n+4420,allow\n")).
		wantError(http.StatusUnprocessableEntity, "10015 /4/prefix")
	const file = "prefix,action,comment,expires_at\n4420,refuse,abused,\n33142685300,allow,,2027-01-01T00:00:00Z\n"
	changed := h.send("POST", one+"/import", csv, strings.NewReader(file)).want(http.StatusOK)
	if entries := changed["entries"].([]any); len(entries) != 2 {
		t.Errorf("imported %v", entries)
	}
	if got := h.do("GET", one+"/export", ""); got.text != file {
		t.Errorf("exported %s", got.text)
	}
	h.doWith(stranger, "GET", one+"/export", "").wantError(http.StatusNotFound, "10005 /")
	profile := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"office"}`).want(http.StatusOK)["id"]
	h.do("PATCH", one, fmt.Sprintf(`{"outbound_voice_profile_id":%q}`, profile)).want(http.StatusOK)
	office := "/v2/outbound_voice_profiles/" + fmt.Sprint(profile)
	h.do("DELETE", office, "").wantError(http.StatusUnprocessableEntity, "10021 /")
	h.do("DELETE", one, "").want(http.StatusOK)
	h.do("DELETE", office, "").want(http.StatusOK)
}
