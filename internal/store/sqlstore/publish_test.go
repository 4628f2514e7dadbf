package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/webhook"
)

// listen makes an endpoint of the fixture's account.
func (f *fixture) listen(t *testing.T, change func(*webhook.Endpoint)) webhook.Endpoint {
	t.Helper()
	e := webhook.NewEndpoint()
	e.AccountID, e.URL = f.account, "https://hooks.example.com/"
	if change != nil {
		change(&e)
	}
	one := f.write(func(tx *database.Tx) error {
		e.ID, e.Version = f.config.IDs.Next(), 1
		return webhookEndpointNoun().write(t.Context(), tx, &e, true)
	})
	f.commit(one)
	check(t, one.Err)
	return e
}

func (f *fixture) settle(call uuid.UUID, elapsed time.Duration, out *outcome) *ledger.Work {
	return f.command(admission.Settle{ID: call, Ending: admission.Ending{
		Elapsed: elapsed, EndedMicros: noon.UnixMicro(), SIPStatus: 200, Cause: "normal_clearing",
	}}, out)
}

// change is a write of the profile by its collection's rules.
func (f *fixture) change(t *testing.T, change func(*profile.Profile)) {
	t.Helper()
	one := f.write(func(tx *database.Tx) error {
		p := f.profile
		change(&p)
		p.Version++
		f.profile = p
		return profileNoun().save(t.Context(), tx, &p, false)
	})
	f.commit(one)
	check(t, one.Err)
}

// event is an event as it is stored.
type event struct {
	Type       string
	Connection id.ID
	Payload    map[string]any
}

// events reads all events in the order in which they were written.
func (f *fixture) events(t *testing.T) []event {
	t.Helper()
	all := []event{}
	rows, err := f.file.Query("SELECT type, connection_id, payload FROM webhook_events ORDER BY rowid")
	check(t, err)
	defer rows.Close()
	for rows.Next() {
		var e event
		var text []byte
		check(t, rows.Scan(&e.Type, &e.Connection, &text))
		check(t, json.Unmarshal(text, &e.Payload))
		all = append(all, e)
	}
	check(t, rows.Err())
	return all
}

func (f *fixture) eventTypes(t *testing.T) []string {
	t.Helper()
	types := []string{}
	for _, e := range f.events(t) {
		types = append(types, e.Type)
	}
	return types
}

// TestCallsAreToldOf runs calls of every end and reads what is told of them.
func TestCallsAreToldOf(t *testing.T) {
	f := newFixture(t)
	f.listen(t, nil)
	f.listen(t, func(e *webhook.Endpoint) { e.ConnectionID, e.Events = f.phone, []string{webhook.CallEnded} })
	before := f.told.Load()
	var reserved, settled, refused, emergency outcome
	first, abroad, help := f.reserve(&reserved), f.reserve(&refused), f.reserve(&emergency)
	toFrance, to112 := abroad.Command.(admission.Reserve), help.Command.(admission.Reserve)
	toFrance.Call.To, to112.Call.To = "+33142685300", "112"
	abroad.Command, help.Command = toFrance, to112
	call := first.Command.(admission.Reserve).Call.ID
	f.commit(first, abroad, help)
	f.commit(f.settle(call, 58*time.Second, &settled))
	if refused.result.Decision.Allow || !emergency.result.Decision.Allow || settled.err != nil {
		t.Fatalf("the calls: %+v %+v %+v", refused, emergency, settled)
	}
	if told := f.told.Load() - before; told != 2 {
		t.Errorf("told to deliver %d times, want once for each group", told)
	}
	got := f.events(t)
	if diff := cmp.Diff([]string{webhook.CallInitiated, webhook.CallInitiated, webhook.CallEmergency, webhook.CallRefused,
		webhook.CallAnswered, webhook.CallHangup, webhook.CallEnded}, f.eventTypes(t)); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
	for i, want := range []map[string]any{
		{"to": "+12125550199", "direction": "outgoing", "state": "bridging", "call_control_id": call.String()},
		{"to": "112", "call_control_id": to112.Call.ID.String()},
		{"to": "112", "emergency": true, "call_session_id": to112.Call.ID.String()},
		{"to": "+33142685300", "reason": "destination_not_whitelisted", "sip_hangup_cause": "403"},
		{"state": "answered", "call_leg_id": call.String(), "start_time": got[0].Payload["start_time"]},
		{"state": "hangup", "hangup_cause": "normal_clearing", "hangup_source": "unknown", "sip_hangup_cause": "200",
			"call_quality_stats": nil},
		{"total_cost": "1.00", "billed_duration_secs": 60.0, "call_duration_secs": 58.0, "hangup_cause": "normal_clearing",
			"outcome": "answered", "call_leg_id": call.String()},
	} {
		for name, value := range want {
			if got[i].Payload[name] != value {
				t.Errorf("%s: %s is %v, want %v", got[i].Type, name, got[i].Payload[name], value)
			}
		}
		if got[i].Connection != f.phone {
			t.Errorf("%s: connection %s, want %s", got[i].Type, got[i].Connection, f.phone)
		}
	}
	page, err := f.Webhooks().Deliveries(t.Context(), f.account, collection.Query{Size: 10})
	if err != nil || page.Total != 8 { // the second endpoint wants call.ended alone
		t.Errorf("%d deliveries, %v; want 8", page.Total, err)
	}
}

func TestNobodyListensNothingIsWritten(t *testing.T) {
	f := newFixture(t)
	f.listen(t, func(e *webhook.Endpoint) { e.Enabled = false })
	f.listen(t, func(e *webhook.Endpoint) { e.Events = []string{webhook.ConfigurationChanged} })
	f.listen(t, func(e *webhook.Endpoint) {
		// Of another account, which may not hear of this one.
		one := f.write(func(tx *database.Tx) error {
			other, err := accountNoun().create(t.Context(), tx, f.Store, 0, store.Account{Name: "other", Active: true})
			e.AccountID = other.ID
			return err
		})
		f.commit(one)
		check(t, one.Err)
	})
	var reserved, settled outcome
	first := f.reserve(&reserved)
	f.commit(first, f.settle(first.Command.(admission.Reserve).Call.ID, time.Minute, &settled))
	if types := f.eventTypes(t); len(types) != 0 {
		t.Errorf("events %v, want none", types)
	}
}

// TestSpendIsToldOnce spends a limit of ten dollars, a dollar a call, and starts
// again from the database in between.
func TestSpendIsToldOnce(t *testing.T) {
	f := newFixture(t)
	f.listen(t, func(e *webhook.Endpoint) {
		e.Events = []string{webhook.ProfileSpendThreshold, webhook.ProfileSpendLimitReached}
	})
	f.change(t, func(p *profile.Profile) {
		p.DailySpendLimit = new(10 * money.Dollar)
		p.DailySpendLimitEnabled = true
		p.SpendLimitAction = profile.EndCalls
	})
	for range 12 {
		var reserved, settled outcome
		one := f.reserve(&reserved)
		f.commit(one)
		if reserved.result.Decision.Allow {
			f.commit(f.settle(one.Command.(admission.Reserve).Call.ID, time.Minute, &settled))
		}
		f.readBack(t) // what is known now must come from the database
	}
	var got []string
	for _, e := range f.events(t) {
		got = append(got, fmt.Sprint(e.Type, " ", e.Payload["threshold_percent"], " ", e.Payload["spent"], " ",
			e.Payload["forecast"]))
	}
	// It is noon, so half of it is all of it by midnight, which is the next day.
	want := []string{
		"profile.spend_threshold 50 5.00 At this pace it is not reached today.",
		"profile.spend_threshold 80 8.00 At this pace reached at 15:00 UTC.",
		"profile.spend_threshold 95 10.00 At this pace reached at 12:00 UTC.",
		"profile.spend_limit_reached 100 10.00 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestSharedSpendIsToldOf spends the limit of the account.
func TestSharedSpendIsToldOf(t *testing.T) {
	f := newFixture(t)
	f.listen(t, func(e *webhook.Endpoint) {
		e.Events = []string{webhook.AccountSpendThreshold, webhook.AccountSpendLimitReached, webhook.ProfileSpendThreshold,
			webhook.ProfileSpendLimitReached}
	})
	limit := f.write(func(tx *database.Tx) error {
		a, err := readAccount(context.Background(), tx, f.account)
		if err != nil {
			return err
		}
		a.Version++
		a.DailySpendLimit = new(2 * money.Dollar)
		a.DailySpendLimitEnabled = true
		return accountNoun().write(context.Background(), tx, &a, false)
	})
	f.commit(limit)
	check(t, limit.Err)
	for range 3 {
		var reserved outcome
		f.commit(f.reserve(&reserved))
	}
	var got []string
	for _, e := range f.events(t) {
		got = append(got, fmt.Sprint(e.Type, " ", e.Payload["threshold_percent"], " ", e.Payload["outbound_profile_id"]))
	}
	want := []string{
		"account.spend_threshold 50 <nil>", "account.spend_threshold 80 <nil>", "account.spend_threshold 95 <nil>",
		"account.spend_limit_reached 100 <nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestConfigurationIsToldOf changes one of everything.
func TestConfigurationIsToldOf(t *testing.T) {
	f := newFixture(t)
	f.listen(t, func(e *webhook.Endpoint) { e.Events = []string{webhook.ConfigurationChanged} })
	refusal := errors.New("changed my mind")
	f.change(t, func(p *profile.Profile) { p.Name = "other" })
	failing := f.write(func(tx *database.Tx) error {
		p := f.profile
		if err := profileNoun().save(t.Context(), tx, &p, false); err != nil {
			return err
		}
		return refusal
	})
	f.commit(failing)
	if err := failing.Err; !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	all := f.events(t)
	if len(all) != 1 {
		t.Fatalf("%d events, want the one of the change that was made: %v", len(all), all)
	}
	want := map[string]any{"resource_type": "outbound_voice_profile", "resource_id": f.profile.ID.String(),
		"action": "updated", "version": float64(f.profile.Version)}
	if diff := cmp.Diff(want, all[0].Payload); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

// TestConnectionsOwnWebhook has an address in a connection and no endpoint beside it.
func TestConnectionsOwnWebhook(t *testing.T) {
	f := newFixture(t)
	setURL := func(url *string) {
		one := f.write(func(tx *database.Tx) error {
			c, err := credentialConnectionNoun(&f.config).get(t.Context(), tx, f.account, f.phone)
			if err != nil {
				return err
			}
			c.WebhookEventURL, c.WebhookTimeoutSecs = url, new(int32(3))
			c.Version++
			return credentialConnectionNoun(&f.config).save(t.Context(), tx, &c, false)
		})
		f.commit(one)
		check(t, one.Err)
	}
	var reserved, settled, again outcome
	setURL(new("https://pbx.example.com/hook"))
	one := f.reserve(&reserved)
	f.commit(one, f.settle(one.Command.(admission.Reserve).Call.ID, time.Minute, &settled))
	f.readBack(t) // it must be found by reading the database too
	e := f.live.Snapshot().Webhook(f.phone)
	if e == nil || e.URL != "https://pbx.example.com/hook" || e.TimeoutSecs != 3 || e.AccountID != f.account {
		t.Fatalf("the endpoint of the connection is %+v", e)
	}
	all := []string{webhook.CallInitiated, webhook.CallAnswered, webhook.CallHangup, webhook.CallEnded}
	if diff := cmp.Diff(all, f.eventTypes(t)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	page, err := f.Webhooks().Deliveries(t.Context(), f.account,
		collection.Query{Size: 10, Filters: []collection.Filter{{Field: "endpoint_id", Value: f.phone.String()}}})
	if err != nil || page.Total != len(all) {
		t.Errorf("%d deliveries to the connection, %v", page.Total, err)
	}
	setURL(nil)
	f.commit(f.reserve(&again))
	if n := len(f.events(t)); n != len(all) || f.live.Snapshot().Webhook(f.phone) != nil {
		t.Errorf("%d events after the address was taken away, want %d", n, len(all))
	}
}

func TestFullQueueRefusesAndCounts(t *testing.T) {
	f := newFixture(t)
	ctx := context.Background()
	for range 2 {
		e := webhook.NewEndpoint()
		e.URL, e.Events = "https://hooks.example.com/", []string{webhook.CallEnded}
		_, err := f.WebhookEndpoints().Create(ctx, f.account, e)
		check(t, err)
	}
	check(t, f.db.Write(ctx, f.account, func(tx *database.Tx) error {
		return tx.Exec(ctx, "INSERT INTO webhook_queues (account_id, pending, refused) VALUES ($1, $2, 0)", int64(f.account),
			store.MaxWebhookQueue-1)
	}))
	publish := func() []uuid.UUID {
		e := webhook.Event{
			ID: uuid.Must(uuid.NewV7()), AccountID: f.account, Type: webhook.CallEnded, OccurredAt: noon,
			Payload: []byte(`{}`),
		}
		made, err := f.Webhooks().Publish(ctx, noon, e)
		check(t, err)
		return made
	}
	first, second := publish(), publish()
	if len(first) != 1 || len(second) != 0 {
		t.Errorf("with room for one, two events to two endpoints made %d and %d deliveries", len(first), len(second))
	}
	want := store.WebhookQueue{Pending: store.MaxWebhookQueue, Refused: 3}
	if got, err := f.Webhooks().Queue(ctx, f.account); err != nil || got != want {
		t.Errorf("queue %+v, %v; want %+v", got, err, want)
	}
	if _, err := f.Webhooks().Replay(ctx, noon, f.account, first[0]); !errors.Is(err, collection.ErrBusy) {
		t.Errorf("replay into a full queue: %v", err)
	}
	claimed, _, err := f.Webhooks().Claim(ctx, noon, webhook.ClaimLimits{Lease: time.Minute, Total: 1, PerEndpoint: 1})
	check(t, err)
	check(t, f.Webhooks().Report(ctx, webhook.Attempt{DeliveryID: first[0], Claim: claimed[0].Claim, Number: 1,
		StartedAt: noon, State: webhook.Delivered}))
	if _, err := f.Webhooks().Replay(ctx, noon, f.account, first[0]); err != nil {
		t.Errorf("replay with room: %v", err)
	}
	if got, err := f.Webhooks().Queue(ctx, f.account); err != nil || got != want {
		t.Errorf("queue %+v, %v; want %+v", got, err, want)
	}
}

// TestSweep has deliveries of a deleted endpoint, old ones and young ones.
func TestSweep(t *testing.T) {
	f := newFixture(t)
	ctx := context.Background()
	make := func() webhook.Endpoint {
		e := webhook.NewEndpoint()
		e.URL, e.Events = "https://hooks.example.com/", []string{webhook.CallEnded}
		e, err := f.WebhookEndpoints().Create(ctx, f.account, e)
		check(t, err)
		return e
	}
	publish := func(at time.Time) {
		e := webhook.Event{
			ID: uuid.Must(uuid.NewV7()), AccountID: f.account, Type: webhook.CallEnded, OccurredAt: at,
			Payload: []byte(`{}`),
		}
		_, err := f.Webhooks().Publish(ctx, at, e)
		check(t, err)
	}
	kept, gone := make(), make()
	old, young := noon.Add(-7*24*time.Hour-time.Second), noon.Add(-7*24*time.Hour+time.Second)
	const each = 250 // more than one transaction deletes
	for range each {
		publish(old)
	}
	for range 10 {
		publish(young)
	}
	claimed, _, err := f.Webhooks().Claim(ctx, noon, webhook.ClaimLimits{Lease: time.Minute, Total: 40, PerEndpoint: 20})
	check(t, err)
	for _, d := range claimed {
		check(t, f.Webhooks().Report(ctx, webhook.Attempt{DeliveryID: d.ID, Claim: d.Claim, Number: 1, StartedAt: noon,
			State: webhook.Dead}))
	}
	_, err = f.WebhookEndpoints().Delete(ctx, f.account, gone.ID)
	check(t, err)
	if !f.unswept.Load() {
		t.Error("no node knows that there is something to sweep")
	}
	check(t, f.outbox.Sweep(ctx))
	counts := map[string]int{}
	for _, table := range []string{"webhook_deliveries", "webhook_attempts", "webhook_events"} {
		var n int
		check(t, f.file.QueryRow("SELECT COUNT(*) FROM "+table).Scan(&n))
		counts[table] = n
	}
	if diff := cmp.Diff(map[string]int{"webhook_deliveries": 10, "webhook_attempts": 0, "webhook_events": 10},
		counts); diff != "" {
		t.Errorf("rows left (-want +got):\n%s", diff)
	}
	if q, err := f.Webhooks().Queue(ctx, f.account); err != nil || q.Pending != 10 {
		t.Errorf("queue %+v, %v; want the 10 young ones", q, err)
	}
	page, err := f.Webhooks().Deliveries(ctx, f.account,
		collection.Query{Size: 100, Sort: []collection.Order{{Field: "created_at"}}})
	check(t, err)
	for _, d := range page.Items {
		if d.EndpointID != kept.ID || !d.CreatedAt.Equal(young) {
			t.Errorf("left is %+v", d)
		}
	}
}

// The statements of claiming must jump through the index, however long queues are.
func TestClaimPlans(t *testing.T) {
	f := newFixture(t)
	for _, text := range []string{
		"SELECT MIN(endpoint_id) FROM webhook_deliveries WHERE state = 'pending' AND endpoint_id > 5",
		"SELECT MIN(ready_at) FROM webhook_deliveries WHERE state = 'pending' AND endpoint_id = 5 AND ready_at > 7",
		"SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'pending' AND leased = 1 AND endpoint_id = 5 AND ready_at > 7",
		"SELECT id, claim, ready_at FROM webhook_deliveries WHERE state = 'pending' AND endpoint_id = 5 AND ready_at <= 7 " +
			"ORDER BY ready_at LIMIT 4",
		"SELECT id FROM webhook_deliveries WHERE endpoint_id = 5 AND created_at < 7 ORDER BY created_at, id LIMIT 200",
		"SELECT id FROM webhook_deliveries WHERE account_id = 5 ORDER BY created_at DESC, id DESC LIMIT 20",
	} {
		var plan []string
		rows, err := f.file.Query("EXPLAIN QUERY PLAN " + text)
		check(t, err)
		for rows.Next() {
			var a, b, c int
			var detail string
			check(t, rows.Scan(&a, &b, &c, &detail))
			plan = append(plan, detail)
		}
		check(t, rows.Err())
		if joined := strings.Join(plan, "; "); !strings.Contains(joined, "SEARCH") ||
			strings.Contains(joined, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s\nis not answered by an index alone: %v", text, plan)
		}
	}
}

// Every kind of write is told of under the record type that the API gives it.
func TestRecordTypesOfChanges(t *testing.T) {
	f := newFixture(t)
	ctx := context.Background()
	e := webhook.NewEndpoint()
	e.URL = "https://hooks.example.com/"
	_, err := f.WebhookEndpoints().Create(ctx, f.account, e)
	check(t, err)
	_, err = f.BillingGroups().Create(ctx, f.account, store.BillingGroup{Name: "group"})
	check(t, err)
	pbx := connection.NewIPConnection()
	pbx, err = f.IPConnections().Create(ctx, f.account, pbx)
	check(t, err)
	_, err = f.IPConnections().Delete(ctx, f.account, pbx.ID)
	check(t, err)
	deck, err := f.ImportDeck(ctx, f.account, "deck", nil)
	check(t, err)
	_, err = f.ActivateDeck(ctx, f.account, deck.ID)
	check(t, err)
	_, err = f.Accounts().Update(ctx, f.account, f.account,
		func(a store.Account) (store.Account, error) { a.DefaultRateDeckID = 0; return a, nil })
	check(t, err)
	_, err = f.DeleteDeck(ctx, f.account, deck.ID)
	check(t, err)
	got := map[string][]string{}
	for _, e := range f.events(t) {
		kind := e.Payload["resource_type"].(string)
		got[kind] = append(got[kind], e.Payload["action"].(string))
	}
	want := map[string][]string{
		"webhook_endpoint": {"created"}, "billing_group": {"created"}, "ip_connection": {"created", "deleted"},
		"rate_deck": {"created", "activated", "deleted"}, "account": {"updated"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
