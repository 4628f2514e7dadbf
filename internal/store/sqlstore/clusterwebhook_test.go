package sqlstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/webhook"
)

// listen makes an endpoint for some types of events.
func listen(tb testing.TB, s *sqlstore.Store, account id.ID, events ...string) webhook.Endpoint {
	tb.Helper()
	e := webhook.NewEndpoint()
	e.URL, e.Events = "https://hooks.example.com/", events
	e, err := s.WebhookEndpoints().Create(context.Background(), account, e)
	check(tb, err)
	return e
}

// delivered counts an account's deliveries by the type of their events.
func delivered(tb testing.TB, s *sqlstore.Store, account id.ID) map[string]int {
	tb.Helper()
	page, err := s.Webhooks().Deliveries(context.Background(), account, collection.Query{Size: 1000})
	check(tb, err)
	counts := map[string]int{}
	for _, d := range page.Items {
		counts[d.EventType]++
	}
	return counts
}

// TestClusterEvents runs calls of every end on two nodes in turn. Each is told of
// once, and a threshold once whichever node has passed it.
func TestClusterEvents(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	var told atomic.Int64
	hear := func(c *sqlstore.Config) { c.Published = func() { told.Add(1) } }
	a, b := newTestNode(t, url, "a", clock.Now, hear), newTestNode(t, url, "b", clock.Now, hear)
	account, phone := configure(t, a.Store)
	listen(t, a.Store, account, webhook.CallEnded, webhook.CallRefused, webhook.CallEmergency,
		webhook.ProfileSpendThreshold, webhook.ProfileSpendLimitReached)
	deck, err := a.ImportDeck(t.Context(), account, "dollar",
		[]rating.Row{{Prefix: "1", Rate: rating.Rate{PerMinute: money.Dollar, FirstIncrement: 60, Increment: 60}}})
	check(t, err)
	changeProfile(t, a.Store, account, func(p *profile.Profile) {
		p.RateDeckID = deck.ID
		p.DailySpendLimit = new(10 * money.Dollar)
		p.DailySpendLimitEnabled = true
		p.SpendLimitAction = profile.EndCalls
	})
	told.Store(0)
	nodes := []*testNode{a, b}
	allowed := 0
	for i := range 12 {
		r := do(t, nodes[i%2], nodes[i%2].reserve(phone))
		if !r.Decision.Allow {
			continue
		}
		allowed++
		do(t, nodes[(i+1)%2], admission.Settle{ID: r.Decision.ID, Ending: admission.Ending{
			Elapsed: time.Minute, EndedMicros: clock.Now().UnixMicro(), SIPStatus: 200, Cause: "normal_clearing",
		}})
	}
	help := b.reserve(phone)
	help.Call.To = "112"
	do(t, b, help)
	want := map[string]int{
		webhook.CallEnded: allowed, webhook.CallRefused: 12 - allowed, webhook.CallEmergency: 1,
		webhook.ProfileSpendThreshold: 3, webhook.ProfileSpendLimitReached: 1,
	}
	if diff := cmp.Diff(want, delivered(t, b.Store, account)); diff != "" || allowed == 0 || allowed == 12 {
		t.Errorf("%d calls were allowed; deliveries (-want +got):\n%s", allowed, diff)
	}
	if told.Load() == 0 {
		t.Error("no node was told to deliver")
	}
	queue, err := a.Webhooks().Queue(t.Context(), account)
	if err != nil || queue.Pending != 12+1+3+1 || queue.Refused != 0 {
		t.Errorf("queue %+v, %v", queue, err)
	}
	audited(t, b.Store)
}

// TestClusterClaims has two nodes claim, report and release at once: no delivery is
// claimed twice, and no endpoint has more under way than it may.
func TestClusterClaims(t *testing.T) {
	const events, perEndpoint = 60, 3
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	nodes := []*testNode{newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)}
	account, _ := configure(t, nodes[0].Store)
	listen(t, nodes[0].Store, account, webhook.CallEnded)
	ctx := context.Background()
	for range events {
		e := webhook.Event{ID: uuid.Must(uuid.NewV7()), AccountID: account, Type: webhook.CallEnded, OccurredAt: noon,
			Payload: []byte(`{}`)}
		for _, n := range nodes { // the second one must be without effect
			_, err := n.Webhooks().Publish(ctx, noon, e)
			check(t, err)
		}
	}
	var mu sync.Mutex
	claims := map[string]int{}
	under, most, done := 0, 0, 0
	var running sync.WaitGroup
	for i, n := range nodes {
		running.Go(func() {
			for step := 0; ; step++ {
				mu.Lock()
				over := done == events
				mu.Unlock()
				if over {
					return
				}
				got, _, err := n.Webhooks().Claim(ctx, noon,
					webhook.ClaimLimits{Lease: time.Minute, Total: 10, PerEndpoint: perEndpoint})
				if err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				mu.Lock()
				under += len(got)
				most = max(most, under)
				mu.Unlock()
				for j, d := range got {
					mu.Lock()
					claims[fmt.Sprint(d.ID, d.Claim)]++
					under-- // before the others can know
					mu.Unlock()
					if (i+j+step)%5 == 0 {
						err = n.Webhooks().Release(ctx, d.ID, d.Claim)
					} else {
						err = n.Webhooks().Report(ctx, webhook.Attempt{DeliveryID: d.ID, Claim: d.Claim, Number: d.Attempts + 1,
							StartedAt: noon, State: webhook.Delivered})
						mu.Lock()
						done++
						mu.Unlock()
					}
					if err != nil {
						t.Errorf("report or release: %v", err)
						return
					}
				}
			}
		})
	}
	running.Wait()
	for claim, n := range claims {
		if n != 1 {
			t.Errorf("%s was claimed %d times", claim, n)
		}
	}
	if most > perEndpoint {
		t.Errorf("%d deliveries were under way at once, want at most %d", most, perEndpoint)
	}
	if queue, err := nodes[1].Webhooks().Queue(ctx, account); err != nil || queue.Pending != 0 {
		t.Errorf("queue %+v, %v; want nothing pending", queue, err)
	}
}

// TestClusterEndpoints changes endpoints on one node and asks the other.
func TestClusterEndpoints(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	a, b := newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)
	account, phone := configure(t, a.Store)
	refuse := func() {
		t.Helper()
		r := b.reserve(phone)
		r.Call.To = "+1"
		if do(t, b, r).Decision.Allow {
			t.Fatal("the call was allowed")
		}
	}
	e := listen(t, a.Store, account, webhook.CallRefused)
	refuse()
	_, err := a.WebhookEndpoints().Update(t.Context(), account, e.ID, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Enabled = false
		return e, nil
	})
	check(t, err)
	refuse()
	if got := delivered(t, b.Store, account); got[webhook.CallRefused] != 1 {
		t.Errorf("deliveries %v, want one: the endpoint was disabled then", got)
	}
	// A node that has not heard of the change yet does not deliver either.
	claimed, _, err := b.Webhooks().Claim(t.Context(), noon,
		webhook.ClaimLimits{Lease: time.Minute, Total: 10, PerEndpoint: 10})
	if err != nil || len(claimed) != 0 {
		t.Errorf("%d claimed, %v", len(claimed), err)
	}
	_, err = a.WebhookEndpoints().Delete(t.Context(), account, e.ID)
	check(t, err)
	refuse()
	if b.config.Live.Snapshot().Webhook(e.ID) != nil {
		t.Error("a deleted endpoint is in the policy of the other node")
	}
	sqlstore.SweepWebhooks(t, b.Store)
	if got := delivered(t, b.Store, account); len(got) != 0 {
		t.Errorf("deliveries of no endpoint: %v", got)
	}
	if queue, err := b.Webhooks().Queue(t.Context(), account); err != nil || queue.Pending != 0 {
		t.Errorf("queue %+v, %v", queue, err)
	}
}

// TestEveryTableIsGuarded wants row-level security, also for the owner, on each
// table that has an account.
func TestEveryTableIsGuarded(t *testing.T) {
	url, _ := newDatabase(t)
	openNode(t, url, "a")
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	check(t, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`)
	check(t, err)
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	check(t, err)
	slices.Sort(open)
	// Of config_changes only numbers could be read. Bans are of the whole server, and so
	// are the ids of its secrets keys, what its own variable has named, and the form of the tables.
	want := []string{"audit_head", "bans", "config_changes", "config_state", "copied", "goose_db_version", "ledger_scopes",
		"nodes", "pings", "secret_keys", "stored_form", "variable_keys"}
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("tables without row-level security (-want +got):\n%s", diff)
	}
}
