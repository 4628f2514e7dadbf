package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/webhook"
)

var (
	eventKey = uuid.MustParse("0198c0de-0000-7000-8000-000000000001")
	callKey  = uuid.MustParse("0198c0de-0000-7000-8000-000000000002")
	began    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func answeredCall() *record.Call {
	us, _ := e164.CountryByAlpha2("US")
	return &record.Call{
		ID: callKey, AccountID: 11, ProfileID: 12, ConnectionID: 13, GatewayID: 14, SIPCallID: "a@pbx", From: "13125550100", To: "+12125550199",
		Caller: 13125550100, Callee: 12125550199, Country: us, StartedMicros: began.UnixMicro(), AnsweredMicros: began.Add(4 * time.Second).UnixMicro(),
		EndedMicros: began.Add(65500 * time.Millisecond).UnixMicro(), Outcome: record.OutcomeAnswered, SIPStatus: 200, SIPPhrase: "OK",
		HangupCause: "normal_clearing", HangupSource: record.SideCaller, DurationMicros: 61_500_000, BilledSecs: 66, GrantedSecs: 90,
		Rate: rating.Rate{PerMinute: money.Cent, FirstIncrement: 6, Increment: 6}, Cost: money.MustParse("0.011"),
	}
}

// TestPayloads compares every kind of event with the text it must have.
func TestPayloads(t *testing.T) {
	refused := answeredCall()
	refused.Outcome = record.OutcomeRefused
	refused.Reason = "daily_spend_limit"
	refused.SIPStatus = 403
	refused.SIPPhrase = "Daily spend limit of the Outbound Profile reached TG3"
	refused.HangupCause = "call_rejected"
	refused.HangupSource = record.SideTollgate
	refused.EndedMicros = refused.StartedMicros
	refused.Callee = 0
	noon := began.UnixMicro()
	for _, c := range []struct {
		name string
		make func() (webhook.Event, error)
		kind string
		want string
	}{
		{"ended", func() (webhook.Event, error) { return webhook.CallEvent(eventKey, answeredCall()) }, webhook.CallEnded,
			`{"call_session_id":"0198c0de-0000-7000-8000-000000000002","call_leg_id":"0198c0de-0000-7000-8000-000000000002","connection_id":"13","from":"13125550100","to":"+12125550199",
			"start_time":"2026-03-01T12:00:00.000000Z","cli":"+13125550100","cld":"+12125550199","country_code":"US","outbound_profile_id":"12","decision_id":"0198c0de-0000-7000-8000-000000000002",
			"sip_call_id":"a@pbx","emergency":false,"state":"hangup","outcome":"answered","reason":null,"answer_time":"2026-03-01T12:00:04.000000Z","end_time":"2026-03-01T12:01:05.500000Z",
			"hangup_cause":"normal_clearing","hangup_source":"caller","sip_hangup_cause":"200","sip_hangup_phrase":"OK","gateway_id":"14","call_duration_secs":62,"billed_duration_secs":66,
			"total_cost":"0.011","cost_parts":[{"call_part":"sip-trunking","rate":"0.01","cost":"0.011","billed_duration_secs":66,"currency":"USD"}],"billing_group_id":null,"status":"success",
			"overrun_secs":0,"overrun_cost":"0.00"}`},
		{"refused", func() (webhook.Event, error) { return webhook.CallEvent(eventKey, refused) }, webhook.CallRefused,
			`{"call_session_id":"0198c0de-0000-7000-8000-000000000002","call_leg_id":"0198c0de-0000-7000-8000-000000000002","connection_id":"13","from":"13125550100","to":"+12125550199",
			"start_time":"2026-03-01T12:00:00.000000Z","cli":"+13125550100","cld":null,"country_code":"US","outbound_profile_id":"12","decision_id":"0198c0de-0000-7000-8000-000000000002",
			"sip_call_id":"a@pbx","emergency":false,"state":"hangup","reason":"daily_spend_limit","hangup_cause":"call_rejected","hangup_source":"tollgate","sip_hangup_cause":"403",
			"sip_hangup_phrase":"Daily spend limit of the Outbound Profile reached TG3"}`},
		{"emergency", func() (webhook.Event, error) {
			return (&webhook.Emergency{Call: callKey, Account: 11, Connection: 13, SIPCallID: "a@pbx", From: "anonymous", To: "112", StartedMicros: noon}).Event(eventKey)
		}, webhook.CallEmergency,
			`{"call_session_id":"0198c0de-0000-7000-8000-000000000002","call_leg_id":"0198c0de-0000-7000-8000-000000000002","connection_id":"13","from":"anonymous","to":"112",
			"start_time":"2026-03-01T12:00:00.000000Z","cli":null,"cld":null,"country_code":null,"outbound_profile_id":null,"decision_id":"0198c0de-0000-7000-8000-000000000002","sip_call_id":"a@pbx","emergency":true}`},
		{"threshold", func() (webhook.Event, error) {
			return (&webhook.Spend{Account: 11, Profile: 12, Day: record.DayOf(noon), Percent: 80, Limit: money.Dollar, Posted: 70 * money.Cent, Held: 11 * money.Cent, AtMicros: noon,
				ForecastMicros: began.Add(2*time.Hour + 32*time.Minute).UnixMicro()}).Event(eventKey)
		}, webhook.ProfileSpendThreshold,
			`{"outbound_profile_id":"12","day":"2026-03-01","threshold_percent":80,"daily_spend_limit":"1.00","spent":"0.81","posted":"0.70","held":"0.11","currency":"USD",
			"forecast_at":"2026-03-01T14:32:00.000000Z","forecast":"At this pace reached at 14:32 UTC.","release_needed":false}`},
		{"threshold late in the day", func() (webhook.Event, error) {
			return (&webhook.Spend{Account: 11, Profile: 12, Day: record.DayOf(noon), Percent: 50, Limit: money.Dollar, Posted: 50 * money.Cent, AtMicros: noon}).Event(eventKey)
		}, webhook.ProfileSpendThreshold,
			`{"outbound_profile_id":"12","day":"2026-03-01","threshold_percent":50,"daily_spend_limit":"1.00","spent":"0.50","posted":"0.50","held":"0.00","currency":"USD",
			"forecast_at":null,"forecast":"At this pace it is not reached today.","release_needed":false}`},
		{"limit", func() (webhook.Event, error) {
			return (&webhook.Spend{Account: 11, Profile: 12, Day: record.DayOf(noon), Percent: 100, Limit: money.Dollar, Posted: money.Dollar, AtMicros: noon}).Event(eventKey)
		}, webhook.ProfileSpendLimitReached,
			`{"outbound_profile_id":"12","day":"2026-03-01","threshold_percent":100,"daily_spend_limit":"1.00","spent":"1.00","posted":"1.00","held":"0.00","currency":"USD","forecast_at":null,"forecast":"","release_needed":false}`},
		{"limit of the billing group", func() (webhook.Event, error) {
			return (&webhook.Spend{Account: 11, Group: callKey, Day: record.DayOf(noon), Percent: 100, Limit: money.Dollar, Posted: money.Dollar, AtMicros: noon, HoldAfter: true}).Event(eventKey)
		}, webhook.GroupSpendLimitReached,
			`{"billing_group_id":"0198c0de-0000-7000-8000-000000000002","day":"2026-03-01","threshold_percent":100,"daily_spend_limit":"1.00","spent":"1.00","posted":"1.00","held":"0.00",
			"currency":"USD","forecast_at":null,"forecast":"","release_needed":true}`},
		{"threshold of the account", func() (webhook.Event, error) {
			return (&webhook.Spend{Account: 11, Day: record.DayOf(noon), Percent: 80, Limit: money.Dollar, Posted: 80 * money.Cent, AtMicros: noon}).Event(eventKey)
		}, webhook.AccountSpendThreshold,
			`{"day":"2026-03-01","threshold_percent":80,"daily_spend_limit":"1.00","spent":"0.80","posted":"0.80","held":"0.00","currency":"USD","forecast_at":null,
			"forecast":"At this pace it is not reached today.","release_needed":false}`},
		{"configuration", func() (webhook.Event, error) {
			return (&webhook.Change{Account: 11, ResourceType: "outbound_voice_profile", ResourceID: "12", Action: webhook.Updated, Version: 3, At: began}).Event(eventKey)
		}, webhook.ConfigurationChanged, `{"resource_type":"outbound_voice_profile","resource_id":"12","action":"updated","version":3}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := c.make()
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Validate(); err != nil || e.Type != c.kind || e.AccountID != 11 || e.ID != eventKey {
				t.Errorf("event %+v: %v", e, err)
			}
			if diff := cmp.Diff(canonical(t, c.want), canonical(t, string(e.Payload))); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}

func canonical(t *testing.T, text string) string {
	t.Helper()
	v := jsontext.Value(text)
	if err := v.Canonicalize(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return strings.ReplaceAll(string(v), ",", ",\n")
}

// TestPayloadOfAnyBytes has names in it as SIP may bring them.
func TestPayloadOfAnyBytes(t *testing.T) {
	call := answeredCall()
	call.From, call.SIPCallID = "\xff\x00\"<sip>", strings.Repeat("\u2028", 200)
	e, err := webhook.CallEvent(eventKey, call)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := e.Body(1, "https://hooks.example.com/"); err != nil {
		t.Error(err)
	}
	call.AccountID = 0
	if e, err := webhook.CallEvent(eventKey, call); err != nil || e.Validate() == nil {
		t.Errorf("the event of a call of no account can be published: %v", err)
	}
}
