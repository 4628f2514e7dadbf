package webhooktest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Subject is an empty outbox under test and what the tests need around it.
type Subject struct {
	webhook.Outbox
	webhook.Log
	// Accounts exist and are different; Connections belong to the first.
	Accounts    [2]id.ID
	Connections [2]id.ID
	// PutEndpoint creates an endpoint, or replaces the one with its id.
	PutEndpoint func(webhook.Endpoint)
	// DeleteEndpoint deletes an endpoint of an account.
	DeleteEndpoint func(account, endpoint id.ID)
	// Reopen closes the outbox and opens it again on the same storage. Nil when the
	// storage does not outlive the outbox.
	Reopen func() Subject
}

// Run runs the tests of webhook.Outbox and webhook.Log. open makes a new empty
// outbox, which it closes by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"PublishReachesWhoWantsIt", publishReachesWhoWantsIt},
		{"PublishIsIdempotent", publishIsIdempotent},
		{"PublishRefusesBadEvents", publishRefusesBadEvents},
		{"ClaimReturnsWhatWasPublished", claimReturnsWhatWasPublished},
		{"LeaseEndsAtItsEnd", leaseEndsAtItsEnd},
		{"OldClaimChangesNothing", oldClaimChangesNothing},
		{"LateReportOfUnclaimedCounts", lateReportOfUnclaimedCounts},
		{"ReportPlansNextAttempt", reportPlansNextAttempt},
		{"FinishedIsNotClaimed", finishedIsNotClaimed},
		{"ReleaseUndoesClaim", releaseUndoesClaim},
		{"ClaimLimits", claimLimits},
		{"LongestDueFirst", longestDueFirst},
		{"NextIsEarliestFutureInstant", nextIsEarliestFutureInstant},
		{"DisabledEndpointWaits", disabledEndpointWaits},
		{"ChangedEndpointIsUsed", changedEndpointIsUsed},
		{"DeletedEndpointTakesItsDeliveries", deletedEndpointTakesItsDeliveries},
		{"ReplayIsANewDelivery", replayIsANewDelivery},
		{"LogIsPerAccount", logIsPerAccount},
		{"SurvivesReopening", survivesReopening},
		{"ConcurrentClaimsAreDisjoint", concurrentClaimsAreDisjoint},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(&bench{T: t, Subject: open(t)}) })
	}
}

// start is the first instant of every test.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

var usual = webhook.ClaimLimits{Lease: time.Minute, Total: 100, PerEndpoint: 100}

// bench is a test with an outbox and the words that the tests are written in.
type bench struct {
	*testing.T
	Subject
	made byte // events so far
}

func (b *bench) endpoint(key id.ID, change func(*webhook.Endpoint)) webhook.Endpoint {
	e := webhook.NewEndpoint()
	e.ID = key
	e.AccountID = b.Accounts[0]
	e.Version = 1
	e.URL = fmt.Sprintf("https://hooks.example.com/%d", key)
	e.CreatedAt, e.UpdatedAt = start, start
	if change != nil {
		change(&e)
	}
	b.PutEndpoint(e)
	return e
}

func (b *bench) event(change func(*webhook.Event)) webhook.Event {
	b.made++
	e := webhook.Event{
		ID:        uuid.UUID{6: 0x70, 8: 0x80, 15: b.made},
		AccountID: b.Accounts[0], ConnectionID: b.Connections[0], Type: webhook.CallEnded,
		OccurredAt: start.Add(-time.Second), Payload: jsontext.Value(`{"total_cost":"0.0125","note":"caf\u00e9 ☎"}`),
	}
	if change != nil {
		change(&e)
	}
	return e
}

func (b *bench) publish(now time.Time, event webhook.Event) []uuid.UUID {
	b.Helper()
	ids, err := b.Publish(b.Context(), now, event)
	if err != nil {
		b.Fatal(err)
	}
	return ids
}

// publishOne publishes an event that one endpoint wants.
func (b *bench) publishOne(now time.Time) uuid.UUID {
	b.Helper()
	ids := b.publish(now, b.event(nil))
	if len(ids) != 1 {
		b.Fatalf("Publish made %d deliveries, want 1", len(ids))
	}
	return ids[0]
}

func (b *bench) claim(now time.Time, limits webhook.ClaimLimits) []webhook.Delivery {
	b.Helper()
	claimed, _, err := b.Claim(b.Context(), now, limits)
	if err != nil {
		b.Fatal(err)
	}
	return claimed
}

// claimOne claims all and wants it to be one delivery.
func (b *bench) claimOne(now time.Time, want uuid.UUID) webhook.Delivery {
	b.Helper()
	claimed := b.claim(now, usual)
	if len(claimed) != 1 || claimed[0].ID != want {
		b.Fatalf("Claim at %v returned %d deliveries, want the one %s", now, len(claimed), want)
	}
	return claimed[0]
}

func (b *bench) claimNone(now time.Time) {
	b.Helper()
	if claimed := b.claim(now, usual); len(claimed) != 0 {
		b.Fatalf("Claim at %v returned %d deliveries, want none", now, len(claimed))
	}
}

func (b *bench) next(now time.Time, want time.Time) {
	b.Helper()
	_, next, err := b.Claim(b.Context(), now, webhook.ClaimLimits{Lease: time.Minute, Total: 0, PerEndpoint: 100})
	if err != nil || !next.Equal(want) {
		b.Fatalf("Claim at %v says next is %v, %v; want %v", now, next, err, want)
	}
}

// failed is an attempt that failed and is to be repeated at an instant.
func failed(d webhook.Delivery, next time.Time) webhook.Attempt {
	return webhook.Attempt{
		DeliveryID: d.ID, Claim: d.Claim, Number: d.Attempts + 1, URL: d.Endpoint.URL, StartedAt: start, DurationMs: 321,
		StatusCode: 503, Error: "The server answered 503.", Response: "back soon ☎\n", State: webhook.Pending, NextAt: next,
	}
}

func finished(d webhook.Delivery, state webhook.State) webhook.Attempt {
	a := failed(d, time.Time{})
	a.State = state
	return a
}

func (b *bench) report(a webhook.Attempt) {
	b.Helper()
	if err := b.Report(b.Context(), a); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) wantEntry(key uuid.UUID, want webhook.Entry) {
	b.Helper()
	got, err := b.Entry(b.Context(), b.Accounts[0], key)
	if err != nil {
		b.Fatal(err)
	}
	want.ID = key
	shown := cmpopts.IgnoreFields(webhook.Attempt{}, "DeliveryID", "Claim", "State", "NextAt")
	if diff := cmp.Diff(want, got, shown, b.canonical(), cmpopts.EquateApproxTime(0), cmpopts.EquateEmpty()); diff != "" {
		b.Fatalf("entry (-want +got):\n%s", diff)
	}
}

// canonical compares JSON by what it says.
func (b *bench) canonical() cmp.Option {
	return cmp.Transformer("canonical", func(v jsontext.Value) string {
		v = v.Clone()
		if err := v.Canonicalize(); err != nil {
			b.Fatal(err)
		}
		return string(v)
	})
}

func (b *bench) wantError(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error is %v, want one that wraps %q", err, want)
	}
}

func publishReachesWhoWantsIt(b *bench) {
	b.endpoint(1, nil)
	b.endpoint(2, func(e *webhook.Endpoint) { e.Enabled = false })
	b.endpoint(3, func(e *webhook.Endpoint) { e.AccountID = b.Accounts[1] })
	b.endpoint(4, func(e *webhook.Endpoint) { e.ConnectionID = b.Connections[0] })
	b.endpoint(5, func(e *webhook.Endpoint) { e.ConnectionID = b.Connections[1] })
	b.endpoint(6, func(e *webhook.Endpoint) { e.Events = []string{webhook.CallRefused, webhook.CallEnded} })
	b.endpoint(7, func(e *webhook.Endpoint) { e.Events = []string{webhook.CallRefused} })
	ids := b.publish(start, b.event(nil))
	got := map[id.ID]bool{}
	for _, d := range b.claim(start, usual) {
		got[d.Endpoint.ID] = true
	}
	if diff := cmp.Diff(map[id.ID]bool{1: true, 4: true, 6: true}, got); diff != "" || len(ids) != 3 {
		b.Fatalf("%d ids; endpoints (-want +got):\n%s", len(ids), diff)
	}
	b.publish(start, b.event(func(e *webhook.Event) { e.ConnectionID = 0; e.Type = webhook.ConfigurationChanged }))
	if claimed := b.claim(start, usual); len(claimed) != 1 || claimed[0].Endpoint.ID != 1 {
		b.Fatalf("an event of no connection reached %d endpoints, want only the account's", len(claimed))
	}
}

func publishIsIdempotent(b *bench) {
	b.endpoint(1, nil)
	event := b.event(nil)
	first, again := b.publish(start, event), b.publish(start.Add(time.Second), event)
	if len(first) != 1 || len(again) != 0 {
		b.Fatalf("publishing twice made %d and %d deliveries, want 1 and 0", len(first), len(again))
	}
	d := b.claimOne(start.Add(time.Second), first[0])
	b.report(finished(d, webhook.Delivered))
	if late := b.publish(start.Add(time.Minute), event); len(late) != 0 {
		b.Fatalf("publishing a delivered event again made %d deliveries", len(late))
	}
}

func publishRefusesBadEvents(b *bench) {
	b.endpoint(1, nil)
	_, err := b.Publish(b.Context(), start, b.event(func(e *webhook.Event) { e.Payload = jsontext.Value(`[]`) }))
	b.wantError(err, webhook.ErrBadEvent)
	b.claimNone(start)
}

func claimReturnsWhatWasPublished(b *bench) {
	endpoint := b.endpoint(1, func(e *webhook.Endpoint) {
		e.FailoverURL, e.TimeoutSecs, e.Events, e.ConnectionID = "https://spare.example.com/", 7, []string{webhook.CallEnded}, b.Connections[0]
	})
	event := b.event(nil)
	key := b.publish(start, event)[0]
	got := b.claimOne(start, key)
	want := webhook.Delivery{ID: key, Endpoint: endpoint, Event: event, CreatedAt: start, Claim: got.Claim}
	stamps := cmpopts.IgnoreFields(webhook.Endpoint{}, "Version", "CreatedAt", "UpdatedAt") // the store's own
	if diff := cmp.Diff(want, got, stamps, b.canonical(), cmpopts.EquateApproxTime(0)); diff != "" {
		b.Fatalf("claimed delivery (-want +got):\n%s", diff)
	}
	b.wantEntry(key, webhook.Entry{
		EndpointID: 1, EventID: event.ID, EventType: event.Type, State: webhook.Pending, CreatedAt: start, NextAt: start, Payload: event.Payload,
		OccurredAt: event.OccurredAt,
	})
}

func leaseEndsAtItsEnd(b *bench) {
	b.endpoint(1, nil)
	key := b.publishOne(start)
	first := b.claimOne(start, key)
	b.claimNone(start.Add(usual.Lease - time.Microsecond))
	second := b.claimOne(start.Add(usual.Lease), key)
	if second.Claim <= first.Claim || second.Attempts != 0 {
		b.Fatalf("second claim is %d after %d with %d attempts, want a greater one with none", second.Claim, first.Claim, second.Attempts)
	}
}

func oldClaimChangesNothing(b *bench) {
	b.endpoint(1, nil)
	key := b.publishOne(start)
	old := b.claimOne(start, key)
	now := start.Add(usual.Lease)
	current := b.claimOne(now, key)
	b.wantError(b.Report(b.Context(), finished(old, webhook.Delivered)), webhook.ErrLeaseLost)
	b.wantError(b.Release(b.Context(), key, old.Claim), webhook.ErrLeaseLost)
	b.claimNone(now)
	b.report(finished(current, webhook.Dead))
	b.wantError(b.Report(b.Context(), finished(current, webhook.Delivered)), webhook.ErrLeaseLost)
	entry, err := b.Entry(b.Context(), b.Accounts[0], key)
	if err != nil || entry.State != webhook.Dead || len(entry.Attempts) != 1 {
		b.Fatalf("entry is %+v, %v; want dead after one attempt", entry, err)
	}
	b.wantError(b.Report(b.Context(), webhook.Attempt{DeliveryID: uuid.UUID{1}, Claim: 1, Number: 1, State: webhook.Dead}), webhook.ErrLeaseLost)
}

func lateReportOfUnclaimedCounts(b *bench) {
	b.endpoint(1, nil)
	key := b.publishOne(start)
	d := b.claimOne(start, key)
	b.report(finished(d, webhook.Delivered)) // whenever it comes; it was not claimed since
	b.claimNone(start.Add(2 * usual.Lease))
}

func reportPlansNextAttempt(b *bench) {
	endpoint := b.endpoint(1, nil)
	key := b.publishOne(start)
	first := b.claimOne(start, key)
	due := start.Add(5 * time.Second)
	b.report(failed(first, due))
	b.claimNone(due.Add(-time.Microsecond))
	second := b.claimOne(due, key)
	if second.Attempts != 1 {
		b.Fatalf("second claim has %d attempts, want 1", second.Attempts)
	}
	done := webhook.Attempt{
		DeliveryID: key, Claim: second.Claim, Number: 2, URL: endpoint.URL, StartedAt: due, DurationMs: 9, StatusCode: 204, State: webhook.Delivered,
	}
	b.report(done)
	b.wantEntry(key, webhook.Entry{
		EndpointID: 1, EventID: first.Event.ID, EventType: webhook.CallEnded, State: webhook.Delivered, CreatedAt: start,
		OccurredAt:   first.Event.OccurredAt,
		AttemptCount: 2, Payload: first.Event.Payload, Attempts: []webhook.Attempt{failed(first, due), done},
	})
}

func finishedIsNotClaimed(b *bench) {
	b.endpoint(1, nil)
	for _, state := range []webhook.State{webhook.Delivered, webhook.Dead} {
		key := b.publishOne(start)
		b.report(finished(b.claimOne(start, key), state))
		b.claimNone(start.Add(48 * time.Hour))
		b.next(start, time.Time{})
	}
}

func releaseUndoesClaim(b *bench) {
	b.endpoint(1, nil)
	key := b.publishOne(start)
	d := b.claimOne(start, key)
	if err := b.Release(b.Context(), key, d.Claim); err != nil {
		b.Fatal(err)
	}
	b.wantError(b.Report(b.Context(), finished(d, webhook.Delivered)), webhook.ErrLeaseLost)
	again := b.claimOne(start, key)
	if again.Attempts != 0 || again.Claim <= d.Claim {
		b.Fatalf("claim after release is %d after %d with %d attempts", again.Claim, d.Claim, again.Attempts)
	}
}

func claimLimits(b *bench) {
	for key := id.ID(1); key <= 3; key++ {
		b.endpoint(key, nil)
	}
	for range 5 { // 15 deliveries
		b.publish(start, b.event(nil))
	}
	limits := webhook.ClaimLimits{Lease: time.Minute, Total: 4, PerEndpoint: 2}
	perEndpoint := map[id.ID]int{}
	var all []webhook.Delivery
	for _, want := range []int{4, 2, 0} { // 3 endpoints with 2 leases each
		claimed := b.claim(start, limits)
		if len(claimed) != want {
			b.Fatalf("claim returned %d, want %d", len(claimed), want)
		}
		for _, d := range claimed {
			perEndpoint[d.Endpoint.ID]++
		}
		all = append(all, claimed...)
	}
	if diff := cmp.Diff(map[id.ID]int{1: 2, 2: 2, 3: 2}, perEndpoint); diff != "" {
		b.Fatalf("leases (-want +got):\n%s", diff)
	}
	b.report(finished(all[0], webhook.Delivered))
	claimed := b.claim(start, limits)
	if len(claimed) != 1 || claimed[0].Endpoint.ID != all[0].Endpoint.ID {
		b.Fatalf("after one report %d were claimed, want 1 of the same endpoint", len(claimed))
	}
	if claimed := b.claim(start.Add(time.Minute), limits); len(claimed) != 4 {
		b.Fatalf("after the leases' end %d were claimed, want 4", len(claimed))
	}
}

func longestDueFirst(b *bench) {
	b.endpoint(1, nil)
	young := b.publishOne(start.Add(2 * time.Second))
	old := b.publishOne(start.Add(time.Second))
	one := webhook.ClaimLimits{Lease: time.Minute, Total: 1, PerEndpoint: 10}
	for _, want := range []uuid.UUID{old, young} {
		if claimed := b.claim(start.Add(time.Hour), one); len(claimed) != 1 || claimed[0].ID != want {
			b.Fatal("the delivery that was due longest was not claimed first")
		}
	}
}

func nextIsEarliestFutureInstant(b *bench) {
	b.next(start, time.Time{})
	b.endpoint(1, nil)
	b.publishOne(start.Add(10 * time.Second))
	b.next(start, start.Add(10*time.Second))
	b.next(start.Add(10*time.Second), time.Time{}) // due, but left out
	key := b.publishOne(start)
	d := b.claimOne(start, key)
	b.next(start, start.Add(10*time.Second))
	b.next(start.Add(20*time.Second), start.Add(usual.Lease)) // the end of the lease
	b.report(failed(d, start.Add(5*time.Second)))
	b.next(start, start.Add(5*time.Second))
	b.endpoint(1, func(e *webhook.Endpoint) { e.Enabled = false })
	b.next(start, time.Time{})
}

func disabledEndpointWaits(b *bench) {
	b.endpoint(1, nil)
	key := b.publishOne(start)
	b.endpoint(1, func(e *webhook.Endpoint) { e.Enabled = false })
	b.claimNone(start.Add(time.Hour))
	b.endpoint(1, nil)
	b.claimOne(start.Add(2*time.Hour), key)
}

func changedEndpointIsUsed(b *bench) {
	b.endpoint(1, nil)
	key := b.publishOne(start)
	b.report(failed(b.claimOne(start, key), start))
	b.endpoint(1, func(e *webhook.Endpoint) { e.URL, e.TimeoutSecs = "https://moved.example.com/", 3 })
	if d := b.claimOne(start, key); d.Endpoint.URL != "https://moved.example.com/" || d.Endpoint.TimeoutSecs != 3 {
		b.Fatalf("claimed with the endpoint %+v, want the changed one", d.Endpoint)
	}
}

func deletedEndpointTakesItsDeliveries(b *bench) {
	b.endpoint(1, nil)
	under, waiting := b.publishOne(start), b.publishOne(start.Add(time.Second))
	d := b.claimOne(start, under)
	b.DeleteEndpoint(b.Accounts[0], 1)
	b.wantError(b.Report(b.Context(), finished(d, webhook.Delivered)), webhook.ErrLeaseLost)
	b.claimNone(start.Add(time.Hour))
	_, err := b.Replay(b.Context(), start, b.Accounts[0], waiting)
	b.wantError(err, webhook.ErrNotFound)
}

func replayIsANewDelivery(b *bench) {
	b.endpoint(1, nil)
	b.endpoint(2, func(e *webhook.Endpoint) { e.Events = []string{webhook.CallRefused} })
	old := b.publishOne(start)
	original := b.claimOne(start, old)
	b.report(finished(original, webhook.Dead))
	later := start.Add(72 * time.Hour)
	made, err := b.Replay(b.Context(), later, b.Accounts[0], old)
	key := made.ID
	if err != nil || key == old {
		b.Fatalf("Replay returned %s, %v; want a new id", key, err)
	}
	b.wantEntry(key, made)
	b.claimNone(later.Add(-time.Microsecond))
	again := b.claimOne(later, key)
	if again.Event.ID != original.Event.ID || again.Attempts != 0 || !again.CreatedAt.Equal(later) || again.Endpoint.ID != 1 {
		b.Fatalf("replayed delivery is %+v", again)
	}
	b.report(finished(again, webhook.Delivered))
	if entry, err := b.Entry(b.Context(), b.Accounts[0], old); err != nil || entry.State != webhook.Dead || len(entry.Attempts) != 1 {
		b.Fatalf("the old entry is %+v, %v; want it as it was", entry, err)
	}
}

func logIsPerAccount(b *bench) {
	b.endpoint(1, nil)
	key := b.publishOne(start)
	_, err := b.Entry(b.Context(), b.Accounts[1], key)
	b.wantError(err, webhook.ErrNotFound)
	_, err = b.Replay(b.Context(), start, b.Accounts[1], key)
	b.wantError(err, webhook.ErrNotFound)
	_, err = b.Entry(b.Context(), b.Accounts[0], uuid.UUID{1})
	b.wantError(err, webhook.ErrNotFound)
	b.claimOne(start, key)
	b.claimNone(start)
}

func survivesReopening(b *bench) {
	if b.Reopen == nil {
		b.Skip("the storage does not outlive the outbox")
	}
	b.endpoint(1, nil)
	event := b.event(nil)
	key := b.publish(start, event)[0]
	b.report(failed(b.claimOne(start, key), start.Add(time.Second)))
	d := b.claimOne(start.Add(time.Second), key)
	b.Subject = b.Reopen()
	if again := b.publish(start, event); len(again) != 0 {
		b.Fatal("the event was published again after reopening")
	}
	b.claimNone(start.Add(2 * time.Second))
	after := b.claimOne(start.Add(time.Second+usual.Lease), key)
	if after.Attempts != 1 || after.Claim <= d.Claim || string(after.Event.ID[:]) != string(event.ID[:]) {
		b.Fatalf("after reopening the delivery is %+v", after)
	}
	b.report(finished(after, webhook.Delivered))
}

func concurrentClaimsAreDisjoint(b *bench) {
	const endpoints, events, claimers = 4, 25, 8
	for key := range id.ID(endpoints) {
		b.endpoint(key+1, nil)
	}
	for range events {
		b.publish(start, b.event(nil))
	}
	var mu sync.Mutex
	claims := map[uuid.UUID]int{}
	var working sync.WaitGroup
	for range claimers {
		working.Go(func() {
			if err := claimAll(b.Context(), b.Outbox, &mu, claims); err != nil {
				b.Error(err)
			}
		})
	}
	working.Wait()
	for key, n := range claims {
		if n != 1 {
			b.Errorf("delivery %s was claimed %d times", key, n)
		}
	}
	if len(claims) != endpoints*events {
		b.Errorf("%d deliveries were claimed, want %d", len(claims), endpoints*events)
	}
}

// claimAll claims and reports until nothing is due, counting per delivery.
func claimAll(ctx context.Context, outbox webhook.Outbox, mu *sync.Mutex, claims map[uuid.UUID]int) error {
	for {
		claimed, _, err := outbox.Claim(ctx, start, webhook.ClaimLimits{Lease: time.Minute, Total: 7, PerEndpoint: 100})
		if err != nil || len(claimed) == 0 {
			return err
		}
		for _, d := range claimed {
			mu.Lock()
			claims[d.ID]++
			mu.Unlock()
			if err := outbox.Report(ctx, finished(d, webhook.Delivered)); err != nil {
				return err
			}
		}
	}
}
