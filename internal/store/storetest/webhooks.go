package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

// told subscribes the connections of a bed to events of their calls, of the kinds that there are.
func (b *bed) told(t testing.TB, cost bool) (phone, pbx, names id.ID) {
	t.Helper()
	ask := func(c *connection.Base) {
		c.WebhookEventURL, c.CallCostInWebhooks, c.Tags = new("https://hooks.example.com/"+c.ConnectionName), cost,
			[]string{"gold"}
	}
	p := value(b.CredentialConnections().Update(ctx, b.account.ID, b.phone.ID,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			ask(&c.Base)
			return c, nil
		}))(t)
	i := value(b.IPConnections().Update(ctx, b.account.ID, b.pbx.ID,
		func(c connection.IPConnection) (connection.IPConnection, error) {
			ask(&c.Base)
			return c, nil
		}))(t)
	f := connection.NewFQDNConnection()
	f.ConnectionName = "names"
	f.Outbound.OutboundVoiceProfileID = b.profile.ID
	ask(&f.Base)
	f = value(b.FQDNConnections().Create(ctx, b.account.ID, f))(t)
	return p.ID, i.ID, f.ID
}

// sent is what was told of a call: the types in the order in which they were written.
func (b *bed) sent(t testing.TB, call uuid.UUID) (types []string, payloads []map[string]any) {
	t.Helper()
	page := value(b.Webhooks().Deliveries(ctx, b.account.ID,
		collection.Query{Size: 1000, Sort: []collection.Order{{Field: "created_at"}, {Field: "event_id"}}}))(t)
	var occurred time.Time
	for _, d := range page.Items {
		e := value(b.Webhooks().Entry(ctx, b.account.ID, d.ID))(t)
		var payload map[string]any
		must(t, json.Unmarshal(e.Payload, &payload))
		if payload["call_session_id"] != call.String() {
			continue
		}
		types, payloads = append(types, e.EventType), append(payloads, payload)
		if e.OccurredAt.Before(occurred) {
			t.Errorf("%s of %s occurred at %v, before an earlier event", e.EventType, call, e.OccurredAt)
		}
		occurred = e.OccurredAt
		if payload["call_leg_id"] != call.String() || payload["connection_id"] != fmt.Sprint(payload["connection_id"]) {
			t.Errorf("%s: %v", e.EventType, payload)
		}
	}
	return types, payloads
}

func (b *bed) wantSent(t testing.TB, what string, call uuid.UUID, want ...string) []map[string]any {
	t.Helper()
	types, payloads := b.sent(t, call)
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	return payloads
}

// testCallWebhooks leads calls of every end, over SIP and of other switches, by every
// kind of connection, and looks at what is told of them.
func testCallWebhooks(t *testing.T, open Opener) {
	b := newBed(t, open)
	phone, pbx, names := b.told(t, true)
	var answered, cancelled, refused, emergency, lost, silent admission.Reserve
	for i, r := range []*admission.Reserve{&answered, &cancelled, &refused, &emergency, &lost, &silent} {
		*r = b.reserve()
		r.Call.Connection = []id.ID{phone, pbx, phone, pbx, phone, phone}[i]
	}
	refused.Call.To, emergency.Call.To = "+33142685300", "911"
	for _, r := range []admission.Reserve{answered, cancelled, refused, emergency, lost, silent, answered} {
		b.do(t, r)
	}
	b.clock.advance(10 * time.Second)
	for range 2 {
		b.do(t, admission.Answer{ID: answered.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
	}
	b.do(t, admission.Answer{ID: lost.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
	b.clock.advance(30 * time.Second)
	ending := admission.Ending{EndedMicros: b.clock.Now().UnixMicro(), Elapsed: 30 * time.Second, SIPStatus: 200,
		Cause: "normal_clearing"}
	b.do(t, admission.Settle{ID: answered.Call.ID, Ending: ending})
	b.do(t, admission.Settle{ID: silent.Call.ID, Ending: ending}) // its answer never came
	b.do(t, admission.Release{ID: cancelled.Call.ID,
		Ending: admission.Ending{EndedMicros: ending.EndedMicros, Cancelled: true, SIPStatus: 487,
			Cause: "originator_cancel"}})
	b.do(t, admission.Release{ID: emergency.Call.ID,
		Ending: admission.Ending{EndedMicros: ending.EndedMicros, SIPStatus: 486, Cause: "user_busy"}})
	over := b.switchCall("of a name")
	over.Call.Connection = names
	end := b.report(over.Call.ID, admission.StageEnded, 20*time.Second)
	end.Attempt = &over
	for range 2 {
		b.do(t, end)
	}
	b.reopen(t, open, func(o *Options) { o.Owner = uuid.New() }) // its process died
	b.do(t, admission.ExpireOwners{Keep: b.options.Owner})

	const initiated, answer, hangup, ended, cost = webhook.CallInitiated, webhook.CallAnswered, webhook.CallHangup,
		webhook.CallEnded, webhook.CallCost
	whole := []string{initiated, answer, hangup, ended, cost}
	got := b.wantSent(t, "answered", answered.Call.ID, whole...)
	if got[0]["direction"] != "outgoing" || !cmp.Equal(got[1]["tags"], []any{"gold"}) ||
		got[2]["hangup_cause"] != "normal_clearing" ||
		got[4]["total_cost"] != "1.00" || got[4]["billed_duration_secs"] != 60.0 ||
		got[4]["call_control_id"] != answered.Call.ID.String() {
		t.Errorf("answered: %v", got)
	}
	b.wantSent(t, "the answer never came", silent.Call.ID, whole...)
	got = b.wantSent(t, "of another switch", over.Call.ID, whole...)
	if got[0]["connection_id"] != names.String() || got[0]["call_control_id"] != over.Call.ID.String() {
		t.Errorf("of another switch: %v", got)
	}
	got = b.wantSent(t, "cancelled", cancelled.Call.ID, initiated, hangup, ended, cost)
	if got[1]["hangup_cause"] != "originator_cancel" || got[1]["sip_hangup_cause"] != "487" ||
		got[3]["total_cost"] != "0.00" {
		t.Errorf("cancelled: %v", got)
	}
	got = b.wantSent(t, "emergency", emergency.Call.ID, initiated, webhook.CallEmergency, hangup, ended, cost)
	if got[0]["to"] != "911" || got[2]["hangup_cause"] != "user_busy" {
		t.Errorf("emergency: %v", got)
	}
	b.wantSent(t, "refused", refused.Call.ID, webhook.CallRefused)
	got = b.wantSent(t, "lost", lost.Call.ID, whole...)
	if got[2]["hangup_cause"] != "unspecified" || got[2]["hangup_source"] != "unknown" ||
		got[2]["sip_hangup_cause"] != "unspecified" || got[2]["call_quality_stats"] != nil {
		t.Errorf("lost: %v", got[2])
	}

	// Without call_cost_in_webhooks the cost is not told.
	quiet := b.switchCall("quiet")
	value(b.CredentialConnections().Update(ctx, b.account.ID, phone,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			c.CallCostInWebhooks = false
			return c, nil
		}))(t)
	b.do(t, quiet)
	b.do(t, b.report(quiet.Call.ID, admission.StageEnded, -1))
	b.wantSent(t, "without costs", quiet.Call.ID, initiated, hangup, ended)
}

// testAttemptedWebhooks asks the log by the filters of Telnyx.
func testAttemptedWebhooks(t *testing.T, open Opener) {
	b := newBed(t, open)
	b.told(t, false)
	call := b.reserve()
	b.do(t, call)
	b.clock.advance(time.Second)
	for i, status := range []int{500, 204} {
		claimed, _, err := b.Webhooks().Claim(ctx, b.clock.Now(),
			webhook.ClaimLimits{Lease: time.Minute, Total: 10, PerEndpoint: 10})
		must(t, err)
		if len(claimed) != 1 {
			t.Fatalf("%d deliveries are claimed", len(claimed))
		}
		a := webhook.Attempt{DeliveryID: claimed[0].ID, Claim: claimed[0].Claim, Number: i + 1,
			URL:       fmt.Sprintf("https://hooks.example.com/%d", i),
			StartedAt: b.clock.Now(), DurationMs: 1500, StatusCode: status, Response: "said", State: webhook.Delivered}
		if status == 500 {
			a.State = webhook.Pending
			a.NextAt = b.clock.Now()
			a.Error = "It failed 100%."
		}
		must(t, b.Webhooks().Report(ctx, a))
		want := map[string]int{"failed": 1 - i, "delivered": i}
		for word, n := range want {
			if got := b.attempted(t, collection.Filter{Field: "status", Value: word}); len(got) != n {
				t.Errorf("after %d: %d are %s, want %d", status, len(got), word, n)
			}
		}
		b.clock.advance(10 * time.Second)
	}
	b.do(t, admission.Release{ID: call.Call.ID}) // its events wait
	all := b.attempted(t)
	if len(all) != 1 || len(all[0].Attempts) != 2 || all[0].Attempts[0].StatusCode != 500 || all[0].OccurredAt.IsZero() ||
		len(all[0].Payload) == 0 {
		t.Fatalf("attempted: %+v", all)
	}
	whole := value(b.Webhooks().Entry(ctx, b.account.ID, all[0].ID))(t)
	if diff := cmp.Diff(whole, all[0], cmp.Comparer(func(a,
		b []byte) bool {
		return string(a) == string(b)
	})); diff != "" {
		t.Errorf("listed (-read +listed):\n%s", diff)
	}
	first, last := noon.Add(time.Second), noon.Add(11*time.Second+1500*time.Millisecond)
	for _, c := range []struct {
		field string
		op    collection.Operator
		value any
		want  int
	}{
		{"event_type", collection.Equal, "call.hangup,call.initiated", 1}, {"event_type", collection.Equal, "call.hangup", 0},
		{"event_type", collection.Equal, "", 0},
		{"event_id", collection.Equal, all[0].EventID.String(), 1}, {"event_id", collection.Equal, uuid.NewString(), 0},
		{"webhook", collection.Contains, "CALL.init", 1}, {"webhook", collection.Contains, call.Call.ID.String(), 1},
		{"webhook", collection.Contains, "call_init", 0},
		{"attempts", collection.Contains, "example.com/0", 1}, {"attempts", collection.Contains, "204", 1},
		{"attempts", collection.Contains, "100%.", 1},
		{"attempts", collection.Contains, "1%0", 0}, {"attempts", collection.Contains, "example.com/2", 0},
		{"attempts", collection.Contains, `\`, 0},
		{"started_at", collection.AtLeast, first.UnixMicro(), 1}, {"started_at", collection.AtMost, first.UnixMicro(), 1},
		{"started_at", collection.AtLeast, first.UnixMicro() + 1, 0},
		{"finished_at", collection.AtLeast, last.UnixMicro(), 1}, {"finished_at", collection.AtMost, last.UnixMicro(), 1},
		{"finished_at", collection.AtMost, last.UnixMicro() - 1, 0},
	} {
		if got := b.attempted(t, collection.Filter{Field: c.field, Op: c.op, Value: c.value}); len(got) != c.want {
			t.Errorf("%s by %v: %d, want %d", c.field, c.value, len(got), c.want)
		}
	}
	page := value(b.Webhooks().Attempted(ctx, b.other.ID, collection.Query{Size: 10}))(t)
	if len(page.Items) != 0 || page.Total != 0 {
		t.Errorf("another account is shown %+v", page)
	}
}

func (b *bed) attempted(t testing.TB, filters ...collection.Filter) []webhook.Entry {
	t.Helper()
	page := value(b.Webhooks().Attempted(ctx, b.account.ID,
		collection.Query{Size: 10, Filters: filters, Sort: []collection.Order{{Field: "created_at", Descending: true}}}))(t)
	if page.Total != len(page.Items) {
		t.Errorf("%d in all, %d listed", page.Total, len(page.Items))
	}
	return slices.Clone(page.Items)
}
