package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
)

// numericFields are the pointers of all fields below a schema that want says yes to.
func numericFields(s *rest.Schema, at string, want func(*rest.Schema) bool) (fields []string) {
	if s == nil {
		return nil
	}
	if want(s) {
		return []string{at}
	}
	for _, p := range s.Properties {
		fields = append(fields, numericFields(p.Schema, at+"/"+p.Name, want)...)
	}
	return append(fields, numericFields(s.Items, at+"/0", want)...)
}

func schemaAt(s *rest.Schema, pointer string) *rest.Schema {
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if name == "0" {
			s = s.Items
			continue
		}
		s = s.Property(name).Schema
	}
	return s
}

// checkedAt is what a schema makes of a value at a pointer, and what is said of it.
func checkedAt(s *rest.Schema, pointer, number string) (value any, problems []rest.Problem) {
	tree := withAt(map[string]any{}, pointer, rest.Literal(number))
	checked, found := (&rest.Request{Body: tree.(map[string]any)}).Checked(s, nil, map[string]any{})
	value = checked
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if name == "0" {
			value = value.([]any)[0]
			continue
		}
		value = value.(map[string]any)[name]
	}
	for _, p := range found {
		if p.Pointer == pointer {
			problems = append(problems, p)
		}
	}
	return value, problems
}

// Every field of every body that holds an id takes it as a number too, exactly.
func TestEveryIDMayBeANumber(t *testing.T) {
	h, tried := newHarness(t), 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		for _, pointer := range numericFields(op.Body, "", func(s *rest.Schema) bool { return s.NumericID }) {
			tried++
			for number, want := range map[string]string{
				"1293384261075731499": "1293384261075731499", "1.293384261075731499e18": "1293384261075731499", "1e3": "1000",
				"9007199254740993": "9007199254740993", "9223372036854775807": "9223372036854775807", "12.0": "12",
			} {
				if got, problems := checkedAt(op.Body, pointer, number); got != want || len(problems) > 0 {
					t.Errorf("%s%s: %s is read as %v: %v", op.ID, pointer, number, got, problems)
				}
			}
			for _, number := range []string{
				"0", "-0", "-7", "1.5", "1e-1", "9223372036854775808", "1e19", "1e400", "1e-400", "1e999999999",
			} {
				_, problems := checkedAt(op.Body, pointer, number)
				if len(problems) != 1 || problems[0].Code != "10015" || !strings.Contains(problems[0].Detail, number) {
					t.Errorf("%s%s: %s: %v", op.ID, pointer, number, problems)
				}
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d fields were tried", tried)
	}
}

// Every number of every body is taken in each of its forms, and every number that is not
// taken is named together with what would be.
func TestEveryNumberInEveryForm(t *testing.T) {
	h, tried := newHarness(t), 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		for _, pointer := range numericFields(op.Body, "",
			func(s *rest.Schema) bool { return s.Kind == "integer" || s.Kind == "number" }) {
			tried++
			s := schemaAt(op.Body, pointer)
			good := int64(100)
			if s.Maximum != nil {
				good = min(good, *s.Maximum/10*10)
			}
			if s.Minimum != nil {
				good = max(good, *s.Minimum)
			}
			text := strconv.FormatInt(good, 10)
			for _, number := range []string{
				text, text + ".0", text + "e0", text + "0e-1", text + "00E-02", fmt.Sprint("0.", text, "e", len(text)),
			} {
				if got, problems := checkedAt(op.Body, pointer, number); got != rest.Literal(text) || len(problems) > 0 {
					t.Errorf("%s%s: %s is read as %v: %v", op.ID, pointer, number, got, problems)
				}
			}
			for _, number := range []string{"1e400", "-1e400", "1e-400", "1e999999999999999999", strings.Repeat("9", 5000)} {
				_, problems := checkedAt(op.Body, pointer, number)
				if len(problems) != 1 || !strings.Contains(problems[0].Detail, "Give ") || len(problems[0].Detail) > 300 {
					t.Errorf("%s%s: %.20s: %v", op.ID, pointer, number, problems)
				}
			}
			if got, problems := checkedAt(op.Body, pointer, "-0"); s.Minimum != nil &&
				*s.Minimum == 0 && (got != rest.Literal("0") || len(problems) > 0) {
				t.Errorf("%s%s: -0 is read as %v: %v", op.ID, pointer, got, problems)
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d fields were tried", tried)
	}
}

// What was sent as a number is answered as it is documented: ids in texts, prices as
// numbers that read back alike.
func TestNumbersOverHTTP(t *testing.T) {
	h := newHarness(t)
	profile := h.do("POST", "/v2/outbound_voice_profiles",
		`{"name":"abc","max_destination_rate":1e-05,"concurrent_call_limit":1.0E+2}`)
	if got := profile.want(http.StatusOK); !strings.Contains(profile.text, `"max_destination_rate":0.00001,`) ||
		got["concurrent_call_limit"] != 100.0 {
		t.Errorf("answered %s", profile.text)
	}
	key := profile.want(http.StatusOK)["id"].(string)
	connection := h.do("POST", "/v2/ip_connections",
		fmt.Sprintf(`{"connection_name":"c","outbound":{"outbound_voice_profile_id":%s}}`, key))
	if got := connection.want(http.StatusCreated)["outbound"].(map[string]any)["outbound_voice_profile_id"]; got != key {
		t.Errorf("the profile is %v, want %s", got, key)
	}
	fqdns := h.do("POST", "/v2/fqdn_connections", `{"connection_name":"f"}`).want(http.StatusCreated)["id"].(string)
	made := h.do("POST", "/v2/fqdns",
		fmt.Sprintf(`{"fqdn":"pbx.example.com","dns_record_type":"a","connection_id":%s}`, fqdns))
	if got := made.want(http.StatusCreated)["connection_id"]; got != fqdns {
		t.Errorf("the connection is %v, want %s", got, fqdns)
	}
	scientific := fmt.Sprintf("%s.%se18", fqdns[:1], fqdns[1:])
	again := h.do("PATCH", "/v2/fqdns/"+made.want(http.StatusCreated)["id"].(string), `{"connection_id":`+scientific+`}`)
	if got := again.want(http.StatusOK)["connection_id"]; got != fqdns {
		t.Errorf("%s is %v, want %s", scientific, got, fqdns)
	}
	// The next id is another one: a float would not tell them apart.
	parsed, err := id.Parse(fqdns)
	if err != nil {
		t.Fatal(err)
	}
	h.do("POST", "/v2/fqdns", fmt.Sprintf(`{"fqdn":"b.example.com","dns_record_type":"a","connection_id":%d}`, parsed+1)).
		wantError(http.StatusUnprocessableEntity, "10017 /connection_id")
}
