package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
)

// recordsOfFour makes an answered call of five seconds to each of two numbers, a
// cancelled call to a third one, and a refused one to London.
func (h *harness) recordsOfFour() (connection string, answered uuid.UUID) {
	h.t.Helper()
	_, connection = h.pbx(`{"name":"office"}`)
	for i, to := range []string{"+13125550199", "+12025550112", "+13125550155"} {
		call := h.reserve(connection, to).Decision.ID
		end := admission.Ending{Cause: "normal_clearing", SIPStatus: 200, SIPPhrase: "OK", Source: record.SideCaller}
		if i < 2 {
			h.command(admission.Answer{ID: call, AtMicros: h.clock.Now().UnixMicro()})
			h.clock.Advance(5 * time.Second)
			end.EndedMicros = h.clock.Now().UnixMicro()
			end.Elapsed = 5 * time.Second
			h.command(admission.Settle{ID: call, Ending: end})
			answered = call
			continue
		}
		h.command(admission.Release{ID: call,
			Ending: admission.Ending{Cancelled: true, Cause: "originator_cancel", SIPStatus: 487,
				EndedMicros: h.clock.Now().UnixMicro(), Source: record.SideCaller}})
	}
	h.reserve(connection, "+442079460000")
	return connection, answered
}

func (h *harness) command(c admission.Command) {
	h.t.Helper()
	result, err := h.store.Do(h.t.Context(), c)
	if err != nil || result.Err != nil {
		h.t.Fatal(err, result.Err)
	}
}

func TestRecordFilters(t *testing.T) {
	h := newHarness(t)
	_, answered := h.recordsOfFour()
	for filter, want := range map[string]int{
		"filter[direction]=outbound": 4, "filter[direction]=inbound": 0, "filter[connected]=1": 2, "filter[connected]=0": 2,
		"filter[completed]=1": 2, "filter[completed]=0": 2, "filter[attempted]=1": 4, "filter[attempted]=0": 0,
		"filter[telnyx_session_id]=" + answered.String(): 1, "filter[call_leg_id]=" + answered.String(): 1,
		"filter[call_session_id]=" + answered.String(): 1, "filter[telnyx_session_id]=" + uuid.NewString(): 0,
		"filter[country_iso]=GB": 1, "filter[country_iso]=US": 3, "filter[cld][contains]=5550": 3,
		"filter[cld][contains]=+1312": 2, "filter[cld][contains]= 1312": 2, "filter[cld][contains]=1312": 2,
		"filter[cld][starts_with]=+1312": 2, "filter[cld][starts_with]=1": 3, "filter[cld][starts_with]=312": 0,
		"filter[cld][ends_with]=0199": 1, "filter[cld][ends_with]=+0199": 0, "filter[cld][ends_with]=+13125550199": 1,
		"filter[cld][contains]=%": 0, "filter[cld][contains]=_": 0, `filter[cld][contains]=\`: 0,
		"filter[cld][contains]=' OR 1=1 --": 0, "filter[cld][contains]=5550+1": 0, "filter[cli][contains]=0100": 4,
		"filter[cli][starts_with]=+44": 0, "filter[from][ends_with]=0100": 4, "filter[to][starts_with]=+44": 1,
		"filter[call_sec]=5": 2, "filter[call_sec]=0": 2, "filter[call_sec]=4": 0, "filter[call_sec][gt]=0": 2,
		"filter[call_sec][gte]=5": 2, "filter[call_sec][gt]=5": 0, "filter[call_sec][lt]=5": 2, "filter[call_sec][lte]=5": 4,
		"filter[call_sec][lte]=0": 2, "filter[call_sec]=9223372036854775807": 0, "filter[billed_sec][gt]=0": 2,
		"filter[cost][gt]=0": 2, "filter[cost][lte]=0.00": 2, "filter[started_at][gt]=2026-03-11T15:04:05.678Z": 3,
	} {
		name, value, _ := strings.Cut(filter, "=")
		query := url.Values{"filter[record_type]": {"sip-trunking"}, name: {value}}
		reply := h.do("GET", "/v2/detail_records?"+query.Encode(), "")
		if reply.status != http.StatusOK || reply.header.Get("Tollgate-Ignored-Parameters") != "" {
			t.Errorf("%s: %d %s", query, reply.status, reply.text)
			continue
		}
		if rows := reply.list(); len(rows) != want {
			t.Errorf("%s finds %d records, want %d", query, len(rows), want)
		}
	}
}

// Records are found by the name that their connection has now.
func TestRecordsByConnectionName(t *testing.T) {
	h := newHarness(t)
	connection, _ := h.recordsOfFour()
	path := "/v2/ip_connections/" + connection
	finds := func(want int, filter, value string) {
		t.Helper()
		query := url.Values{"filter[record_type]": {"sip-trunking"}, "filter[connection_name]" + filter: {value}}
		rows := h.do("GET", "/v2/detail_records?"+query.Encode(), "").list()
		for _, row := range rows {
			if !strings.Contains(strings.ToLower(row["connection_name"].(string)), strings.ToLower(value)) {
				t.Errorf("%s finds a record of %v", query, row["connection_name"])
			}
		}
		if len(rows) != want {
			t.Errorf("%s finds %d records, want %d", query, len(rows), want)
		}
	}
	finds(4, "", "pbx")
	finds(0, "", "PBX")
	finds(4, "[eq]", "pbx")
	finds(4, "[contains]", "PBX")
	finds(0, "", "pb")
	finds(0, "", "%")
	profile := h.do("GET", path, "").want(http.StatusOK)["outbound"].(map[string]any)["outbound_voice_profile_id"]
	body := fmt.Sprintf(`{"connection_name":"pbx","outbound":{"outbound_voice_profile_id":%q}}`, profile)
	second := fmt.Sprint(h.do("POST", "/v2/ip_connections", body).want(http.StatusCreated)["id"])
	h.reserve(second, "+442079460000")
	finds(5, "", "pbx")
	h.do("PATCH", path, `{"connection_name":"100% office"}`).want(http.StatusOK)
	finds(1, "", "pbx")
	finds(4, "", "100% office")
	finds(4, "[contains]", "% o")
	if r := h.do("DELETE", "/v2/ip_connections/"+second, ""); r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	finds(0, "", "pbx")
}

func TestRecordOptions(t *testing.T) {
	h := newHarness(t)
	_, answered := h.recordsOfFour()
	options := h.do("GET", "/v2/detail_records/options", "").list()
	if len(options) != 1 || options[0]["record_type"] != "sip-trunking" {
		t.Fatalf("options %v", options)
	}
	one := h.do("GET", "/v2/detail_records/"+answered.String(), "").want(http.StatusOK)
	fields := map[string]map[string]any{}
	named := map[string]bool{}
	for _, f := range options[0]["fields"].([]any) {
		field := f.(map[string]any)
		name := field["name"].(string)
		fields[name] = field
		if _, shown := one[name]; shown != field["in_records"] {
			t.Errorf("%s is in a record: %v, and the options say %v", name, shown, field["in_records"])
		}
		for _, operator := range field["filters"].([]any) {
			parameter := "filter[" + name + "]"
			if operator != "eq" {
				parameter += "[" + operator.(string) + "]"
			}
			named[parameter] = true
		}
	}
	for name := range one {
		if fields[name] == nil {
			t.Errorf("%s is not among the options", name)
		}
	}
	for _, p := range h.api.recordParams() {
		if strings.HasPrefix(p.Name, "filter") && !named[p.Name] {
			t.Errorf("%s is not among the options", p.Name)
		}
		delete(named, p.Name)
	}
	for parameter := range named {
		t.Errorf("%s is among the options and no parameter", parameter)
	}
	if filters := fields["cld"]["filters"].([]any); !slices.Contains(filters, any("contains")) ||
		!slices.Contains(filters, any("eq")) {
		t.Errorf("filters of cld: %v", filters)
	}
	if fields["started_at"]["sortable"] != true || fields["cld"]["sortable"] != false {
		t.Errorf("sortable: %v, %v", fields["started_at"], fields["cld"])
	}
}

// The options stand where the id of a record stands, and neither hides the other.
func TestRecordOptionsBesideRecords(t *testing.T) {
	h := newHarness(t)
	_, answered := h.recordsOfFour()
	for target, want := range map[string]int{
		"/v2/detail_records/options": 200, "/v2/detail_records/" + answered.String(): 200,
		"/v2/detail_records/options?filter[record_type]=sip-trunking": 200,
		"/v2/detail_records/options?filter[record_type]=messaging":    422,
		"/v2/detail_records/option":                                   404, "/v2/detail_records/" + uuid.NewString(): 404,
	} {
		if got := h.do("GET", target, ""); got.status != want {
			t.Errorf("GET %s: %d %s, want %d", target, got.status, got.text, want)
		}
		if want != http.StatusOK {
			continue
		}
		if head, body := h.raw("HEAD", target); head.StatusCode != want || len(body) > 0 {
			t.Errorf("HEAD %s: %d %s", target, head.StatusCode, body)
		}
	}
	if got := h.do("DELETE", "/v2/detail_records/options", ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d %s", got.status, got.text)
	}
}

func TestNameOfConnectionInRecords(t *testing.T) {
	h := newHarness(t)
	connection, answered := h.recordsOfFour()
	name := func() any {
		return h.do("GET", "/v2/detail_records/"+answered.String(), "").want(http.StatusOK)["connection_name"]
	}
	h.do("PATCH", "/v2/ip_connections/"+connection, `{"connection_name":"renamed"}`).want(http.StatusOK)
	if got := name(); got != "renamed" {
		t.Errorf("after it was renamed: %v", got)
	}
	h.do("DELETE", "/v2/ip_connections/"+connection, "").want(http.StatusOK)
	if got := name(); got != nil {
		t.Errorf("after it was deleted: %v", got)
	}
}
