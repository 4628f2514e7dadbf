package webhook_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/webhook"
)

// shape is as much of a JSON Schema as testdata/telnyx.schema.json uses.
type shape struct {
	Type       any               `json:"type"` // a name or several
	Enum       []string          `json:"enum"`
	Pattern    string            `json:"pattern"`
	Properties map[string]*shape `json:"properties"`
	Required   []string          `json:"required"`
	Items      *shape            `json:"items"`
	Closed     *bool             `json:"additionalProperties"`
}

// check returns what in a value is not as the shape says.
func (s *shape) check(at string, v any) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, at+": "+fmt.Sprintf(format, args...)) }
	kind := map[bool]string{true: "null"}[v == nil]
	switch v := v.(type) {
	case string:
		kind = "string"
		if s.Enum != nil && !slices.Contains(s.Enum, v) {
			complain("%q is none of %q", v, s.Enum)
		}
		if !regexp.MustCompile(s.Pattern).MatchString(v) {
			complain("%q does not match %s", v, s.Pattern)
		}
	case float64:
		if kind = "number"; v == math.Trunc(v) {
			kind = "integer"
		}
	case []any:
		kind = "array"
		for i, item := range v {
			wrong = append(wrong, s.Items.check(fmt.Sprintf("%s/%d", at, i), item)...)
		}
	case map[string]any:
		kind = "object"
		for name, member := range v {
			if known := s.Properties[name]; known != nil {
				wrong = append(wrong, known.check(at+"/"+name, member)...)
			} else if s.Closed != nil && !*s.Closed {
				complain("unknown member %q", name)
			}
		}
		for _, name := range s.Required {
			if _, there := v[name]; !there {
				complain("no member %q", name)
			}
		}
	}
	if s.Type != nil && !slices.Contains(strings.Fields(strings.Trim(fmt.Sprint(s.Type), "[]")), kind) {
		complain("%s, want %v", kind, s.Type)
	}
	return wrong
}

// holdToShape compares the body of an event with what Telnyx documents.
func holdToShape(t *testing.T, e *webhook.Event) {
	t.Helper()
	text, err := os.ReadFile("testdata/telnyx.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string]*shape{}
	if err := json.Unmarshal(text, &shapes); err != nil {
		t.Fatal(err)
	}
	body, err := e.Body(1, "https://hooks.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	if shapes[e.Type] == nil {
		t.Fatalf("no shape of %s", e.Type)
	}
	for _, wrong := range shapes[e.Type].check("", v) {
		t.Errorf("%s %s\n%s", e.Type, wrong, body)
	}
}

func liveCall() *webhook.LiveCall {
	return &webhook.LiveCall{ID: callKey, Account: 11, Connection: 13, From: "13125550100", To: "+12125550199", Caller: 13125550100, Callee: 12125550199,
		StartedMicros: began.UnixMicro(), AtMicros: began.Add(4 * time.Second).UnixMicro(), Tags: []string{"gold", "west"}}
}

// TestTelnyxPayloads compares each event in Telnyx's shape with the text it must have.
func TestTelnyxPayloads(t *testing.T) {
	heard := answeredCall()
	heard.Quality = &record.Quality{
		Caller: record.Reception{Packets: 2991, Lost: 9, JitterPackets: 2990, Jitter: time.Millisecond, MaxJitter: 2740 * time.Microsecond},
		Callee: record.Reception{Packets: 3000, Lost: 2},
	}
	grouped := answeredCall()
	grouped.BillingGroup = new(uuid.MustParse("f5586561-8ff0-4291-a0ac-84fe544797bd"))
	const ids = `"call_control_id":"0198c0de-0000-7000-8000-000000000002","call_leg_id":"0198c0de-0000-7000-8000-000000000002",
		"call_session_id":"0198c0de-0000-7000-8000-000000000002","client_state":null,"connection_id":"13"`
	const parties = `"from":"+13125550100","to":"+12125550199","start_time":"2026-03-01T12:00:00.000000Z"`
	for _, c := range []struct {
		kind, at string
		make     func() (webhook.Event, error)
		want     string
	}{
		{webhook.CallInitiated, "12:00:04", func() (webhook.Event, error) { return liveCall().Initiated(eventKey) },
			`{` + ids + `,` + parties + `,"tags":["gold","west"],"caller_id_name":"13125550100","direction":"outgoing","state":"bridging"}`},
		{webhook.CallAnswered, "12:00:04", func() (webhook.Event, error) { return liveCall().Answered(eventKey) },
			`{` + ids + `,` + parties + `,"tags":["gold","west"],"state":"answered"}`},
		{webhook.CallHangup, "12:01:05", func() (webhook.Event, error) { return webhook.HangupEvent(eventKey, answeredCall(), nil) },
			`{` + ids + `,` + parties + `,"tags":[],"end_time":"2026-03-01T12:01:05.500000Z","state":"hangup","hangup_cause":"normal_clearing",
			"hangup_source":"caller","sip_hangup_cause":"200","call_quality_stats":null}`},
		{webhook.CallHangup, "12:01:05", func() (webhook.Event, error) { return webhook.HangupEvent(eventKey, heard, []string{"gold"}) },
			`{` + ids + `,` + parties + `,"tags":["gold"],"end_time":"2026-03-01T12:01:05.500000Z","state":"hangup","hangup_cause":"normal_clearing",
			"hangup_source":"caller","sip_hangup_cause":"200","call_quality_stats":{
			"inbound":{"jitter_max_variance":"2.74","jitter_packet_count":"2990","mos":"4.38","packet_count":"2991","skip_packet_count":"9"},
			"outbound":{"packet_count":"3000","skip_packet_count":"2"}}}`},
		{webhook.CallCost, "12:01:05", func() (webhook.Event, error) { return webhook.CostEvent(eventKey, grouped) },
			`{` + ids + `,"occurred_at":"2026-03-01T12:01:05.500000Z","billed_duration_secs":66,"billing_group_id":"f5586561-8ff0-4291-a0ac-84fe544797bd",
			"total_cost":"0.011","cost_parts":[{"call_part":"sip-trunking","rate":"0.01","cost":"0.011","billed_duration_secs":66,"currency":"USD"}],"status":"success"}`},
	} {
		e, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil || e.Type != c.kind || e.AccountID != 11 || e.ConnectionID != 13 || e.OccurredAt.Format(time.TimeOnly) != c.at {
			t.Errorf("event %+v: %v", e, err)
		}
		if diff := cmp.Diff(canonical(t, c.want), canonical(t, string(e.Payload))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.kind, diff)
		}
		holdToShape(t, &e)
	}
}

// TestEveryEndHasTelnyxsWords runs through every way in which a call can end, and
// words that a switch may bring.
func TestEveryEndHasTelnyxsWords(t *testing.T) {
	causes := map[string]string{
		"normal_clearing": "normal_clearing", "originator_cancel": "originator_cancel", "time_limit": "time_limit", "user_busy": "user_busy",
		"no_answer": "no_answer", "call_rejected": "call_rejected", "unallocated_number": "not_found", "media_timeout": "timeout",
		"lost_peer": "timeout", "no_ack": "timeout", "owner_lost": "unspecified", "server_stopping": "unspecified", "gateway_down": "unspecified",
		"network_out_of_order": "unspecified", "incompatible_destination": "unspecified", "NORMAL_CLEARING": "unspecified", "x": "unspecified",
		"recovery_on_timer_expire": "timeout", "no_user_response": "no_answer", "allotted_timeout": "time_limit",
	}
	for cause, want := range causes {
		for outcome := record.OutcomeFailed; outcome <= record.OutcomeLost; outcome++ {
			for side := record.SideUnknown; side <= record.SideTollgate; side++ {
				r := answeredCall()
				r.HangupCause = cause
				r.Outcome = outcome
				r.HangupSource = side
				r.SIPStatus = 0
				r.Caller, r.Callee, r.From = 0, 0, ""
				e, err := webhook.HangupEvent(eventKey, r, nil)
				if err != nil {
					t.Fatal(err)
				}
				holdToShape(t, &e)
				if got := webhook.HangupCause(r); got != want {
					t.Errorf("%s is %s, want %s", cause, got, want)
				}
			}
		}
	}
	for _, c := range []struct {
		outcome record.Outcome
		status  int32
		want    string
	}{
		{record.OutcomeAnswered, 200, "normal_clearing"}, {record.OutcomeCancelled, 487, "originator_cancel"}, {record.OutcomeFailed, 486, "user_busy"},
		{record.OutcomeFailed, 404, "not_found"}, {record.OutcomeFailed, 480, "no_answer"}, {record.OutcomeFailed, 603, "call_rejected"},
		{record.OutcomeFailed, 503, "unspecified"}, {record.OutcomeLost, 0, "unspecified"},
	} {
		r := answeredCall()
		r.HangupCause = ""
		r.Outcome = c.outcome
		r.SIPStatus = c.status
		if got := webhook.HangupCause(r); got != c.want {
			t.Errorf("%v with %d is %s, want %s", c.outcome, c.status, got, c.want)
		}
	}
}

// FuzzTelnyxEvents holds events of calls with any values to Telnyx's shape.
func FuzzTelnyxEvents(f *testing.F) {
	f.Add("+13125550100", "911", "no_answer", []byte{1, 2, 3}, int32(480), int64(5), uint64(0), int64(0))
	f.Add("\xff\x00", "sip:a@b", "", []byte(nil), int32(0), int64(0), uint64(math.MaxUint32), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, from, to, cause string, seed []byte, status int32, secs int64, packets uint64, jitter int64) {
		if len(from) > 128 || len(to) > 128 || secs < 0 || jitter < 0 || status != 0 && (status < 100 || status > 699) {
			t.Skip()
		}
		var numbers [32]byte
		copy(numbers[:], seed)
		r := answeredCall()
		r.From = from
		r.To = to
		r.HangupCause = cause
		r.SIPStatus = status
		r.BilledSecs = secs
		r.Callee = 0
		r.Cost = money.Amount(binary.BigEndian.Uint64(numbers[:]) >> 1)
		r.Quality = &record.Quality{Caller: record.Reception{Packets: packets, Lost: uint64(numbers[9]), JitterPackets: packets,
			Jitter: time.Duration(jitter), MaxJitter: time.Duration(jitter)}}
		live := liveCall()
		live.From = from
		live.To = to
		live.Caller = 0
		live.Callee = 0
		live.Tags = nil
		for _, make := range []func() (webhook.Event, error){
			func() (webhook.Event, error) { return webhook.HangupEvent(eventKey, r, []string{from}) },
			func() (webhook.Event, error) { return webhook.CostEvent(eventKey, r) },
			func() (webhook.Event, error) { return live.Initiated(eventKey) },
			func() (webhook.Event, error) { return live.Answered(eventKey) },
		} {
			e, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			holdToShape(t, &e)
		}
	})
}
