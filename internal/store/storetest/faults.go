package storetest

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

func testRecords(t *testing.T, open Opener) {
	b := newBed(t, open)
	to := func(number string) admission.Reserve {
		r := b.reserve()
		r.Call.To = number
		return r
	}
	answered, cancelled, abroad := to("+12125550101"), to("+12125550102"), to("+442079460000")
	b.do(t, answered)
	b.do(t, admission.Answer{ID: answered.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
	b.clock.advance(time.Minute)
	e := ending(b, time.Minute)
	e.Quality = &record.Quality{
		Caller: record.Reception{Packets: 2991, Lost: 9, JitterPackets: 2990, Jitter: 1500,
			MaxJitter: 2740 * time.Microsecond},
		Callee: record.Reception{Packets: math.MaxUint32, Lost: 1 << 40, JitterPackets: 1, Jitter: 1, MaxJitter: time.Hour},
	}
	heard := *e.Quality
	e.Attempts = []record.Attempt{
		{Gateway: 5, Reason: "no_ringing", Millis: 5000}, {Gateway: 6, Status: 200, Reason: "OK", Millis: 1},
	}
	attempts := slices.Clone(e.Attempts)
	b.do(t, admission.Settle{ID: answered.Call.ID, Ending: e})
	b.do(t, cancelled)
	e = ending(b, 0)
	e.Cancelled, e.SIPStatus = true, 487
	b.do(t, admission.Release{ID: cancelled.Call.ID, Ending: e})
	b.clock.advance(time.Minute)
	b.do(t, abroad)

	filter := func(field string, op collection.Operator, v any) []collection.Filter {
		return []collection.Filter{{Field: field, Op: op, Value: v}}
	}
	for _, c := range []struct {
		name    string
		filters []collection.Filter
		want    []uuid.UUID
	}{
		{"all", nil, []uuid.UUID{abroad.Call.ID, cancelled.Call.ID, answered.Call.ID}},
		{"outcome", filter("outcome", collection.Equal, "refused"), []uuid.UUID{abroad.Call.ID}},
		{"reason", filter("reason", collection.Equal, "destination_not_whitelisted"), []uuid.UUID{abroad.Call.ID}},
		{"country", filter("country", collection.Equal, "US"), []uuid.UUID{cancelled.Call.ID, answered.Call.ID}},
		{"callee", filter("callee", collection.Equal, "+12125550101"), []uuid.UUID{answered.Call.ID}},
		{"part of callee", filter("callee", collection.Contains, "555010"), []uuid.UUID{cancelled.Call.ID, answered.Call.ID}},
		{"start of callee", filter("callee", collection.StartsWith, "+1212"),
			[]uuid.UUID{cancelled.Call.ID, answered.Call.ID}},
		{"not the start of callee", filter("callee", collection.StartsWith, "212"), nil},
		{"end of callee", filter("callee", collection.EndsWith, "0102"), []uuid.UUID{cancelled.Call.ID}},
		{"all of callee", filter("callee", collection.EndsWith, "+12125550102"), []uuid.UUID{cancelled.Call.ID}},
		{"a plus sign within callee", filter("callee", collection.Contains, "+555"), nil},
		{"wildcards in callee", filter("callee", collection.Contains, "1%2"), nil},
		{"start of dialled", filter("to_number", collection.StartsWith, "+44"), []uuid.UUID{abroad.Call.ID}},
		{"end of dialled", filter("to_number", collection.EndsWith, "+44"), nil},
		{"answered", filter("answered_at", collection.Above, int64(0)), []uuid.UUID{answered.Call.ID}},
		{"not refused", filter("outcome", collection.Not, "refused"), []uuid.UUID{cancelled.Call.ID, answered.Call.ID}},
		{"dialled", filter("to_number", collection.Contains, "+4420"), []uuid.UUID{abroad.Call.ID}},
		{"cost", filter("cost", collection.AtLeast, "0.01"), []uuid.UUID{answered.Call.ID}},
		{"status", filter("sip_status", collection.Equal, int64(487)), []uuid.UUID{cancelled.Call.ID}},
		{"since", filter("started_at", collection.AtLeast, noon.Add(time.Minute).Format(time.RFC3339)),
			[]uuid.UUID{abroad.Call.ID, cancelled.Call.ID}},
		{"before", filter("started_at", collection.Below, noon.Add(time.Minute).UnixMicro()), []uuid.UUID{answered.Call.ID}},
		{"profile", filter("profile_id", collection.Equal, b.profile.ID.String()),
			[]uuid.UUID{abroad.Call.ID, cancelled.Call.ID, answered.Call.ID}},
		{"connection", filter("connection_id", collection.Equal, int64(b.pbx.ID)), nil},
		{"one of two connections", filter("connection_id", collection.OneOf, []id.ID{b.pbx.ID, abroad.Call.Connection}),
			[]uuid.UUID{abroad.Call.ID, cancelled.Call.ID, answered.Call.ID}},
		{"another connection", filter("connection_id", collection.OneOf, []id.ID{b.pbx.ID}), nil},
		{"none of the connections", filter("connection_id", collection.OneOf, []id.ID{}), nil},
		{"id", filter("id", collection.Equal, abroad.Call.ID.String()), []uuid.UUID{abroad.Call.ID}},
		{"emergency", filter("emergency", collection.Equal, true), nil},
	} {
		page := value(b.ListRecords(ctx, b.account.ID,
			collection.Query{Size: 10, Filters: c.filters,
				Sort: []collection.Order{{Field: "started_at", Descending: true}}}))(t)
		var got []uuid.UUID
		for _, r := range page.Items {
			got = append(got, r.ID)
			if diff := cmp.Diff(value(b.Record(ctx, b.account.ID, r.ID))(t), r); diff != "" {
				t.Errorf("%s: listed record differs:\n%s", c.name, diff)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || page.Total != len(c.want) {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	for field, bad := range map[string]any{"outcome": "elsewhere", "cost": "many", "started_at": "today",
		"callee": "home", "connection_id": []id.ID{}} {
		err := errOf(b.ListRecords(ctx, b.account.ID, collection.Query{Size: 10,
			Filters: filter(field, collection.Equal, bad)}))
		if !errors.Is(err, collection.ErrBadValue) {
			t.Errorf("%s %v: %v", field, bad, err)
		}
	}
	err := errOf(b.ListRecords(ctx, b.account.ID, collection.Query{Size: 10,
		Filters: filter("cost", collection.OneOf, []id.ID{})}))
	if !errors.Is(err, collection.ErrBadValue) {
		t.Errorf("ids of a cost: %v", err)
	}
	b.reopen(t, open)
	for call, want := range map[uuid.UUID]*record.Quality{answered.Call.ID: &heard, cancelled.Call.ID: nil,
		abroad.Call.ID: nil} {
		if diff := cmp.Diff(want, value(b.Record(ctx, b.account.ID, call))(t).Quality); diff != "" {
			t.Errorf("quality after a restart (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(attempts, value(b.Record(ctx, b.account.ID, answered.Call.ID))(t).Attempts); diff != "" {
		t.Errorf("attempts after a restart (-want +got):\n%s", diff)
	}
}

// testFaults fails commits before and after they have persisted.
func testFaults(t *testing.T, open Opener) {
	b := newBed(t, open)
	unavailable := func(err error) {
		t.Helper()
		if !errors.Is(err, collection.ErrUnavailable) {
			t.Fatalf("%v, want %v", err, collection.ErrUnavailable)
		}
	}
	lives := func(want int) {
		t.Helper()
		if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != want {
			t.Fatalf("%d live calls, want %d", n, want)
		}
	}
	lost := b.reserve()
	b.faults.inject(commitFails)
	unavailable(errOf(b.Do(ctx, lost)))
	lives(0)
	if spend := b.spendToday(t); spend != (admission.Spend{}) {
		t.Errorf("spend after a failed commit: %+v", spend)
	}
	kept := b.reserve()
	b.faults.inject(commitFailsPersisted)
	unavailable(errOf(b.Do(ctx, kept)))
	lives(1)
	for _, again := range []admission.Reserve{lost, kept} {
		if r := b.do(t, again); !r.Decision.Allow {
			t.Errorf("the command again: %v", r.Decision.Reason)
		}
	}
	lives(2)
	settle := admission.Settle{ID: kept.Call.ID, Ending: ending(b, time.Second)}
	b.faults.inject(commitFails, commitFailsPersisted)
	unavailable(errOf(b.Do(ctx, settle)))
	lives(2)
	unavailable(errOf(b.Do(ctx, settle)))
	lives(1)
	if r := b.do(t, settle); r.Record == nil || r.Record.Cost != money.Dollar {
		t.Errorf("settle for the third time: %+v", r)
	}
	b.do(t, admission.Release{ID: lost.Call.ID, Ending: ending(b, 0)})
	if spend := b.spendToday(t); spend != (admission.Spend{Posted: money.Dollar}) {
		t.Errorf("spend at the end: %+v", spend)
	}

	// Configuration: what is in force is what is stored, whichever that is.
	disable := func(p *profile.Profile) { p.Enabled = false }
	b.faults.inject(commitFails)
	unavailable(b.changeProfile(disable))
	if r := b.do(t, b.reserve()); !r.Decision.Allow {
		t.Errorf("a change that did not persist is in force: %v", r.Decision.Reason)
	}
	b.faults.inject(commitFailsPersisted)
	unavailable(b.changeProfile(disable))
	if r := b.do(t, b.reserve()); r.Decision.Reason != admission.ReasonProfileDisabled {
		t.Errorf("a change that persisted is not in force: %v", r.Decision.Reason)
	}
	b.faults.inject(commitFails)
	unavailable(b.Ping(ctx))
	must(t, b.Ping(ctx))
}

// testQueue fills the queue, and looks at order and at what shares a transaction.
func testQueue(t *testing.T, open Opener) {
	const length = 16
	b := newBed(t, open, func(o *Options) { o.QueueLength = length })
	reached, release := b.faults.hold()
	defer release()
	var mu sync.Mutex
	var order []int
	var group sync.WaitGroup
	submit := func(n int, want error) {
		group.Add(1)
		b.Submit(b.reserve(), func(r admission.Result, err error) {
			defer group.Done()
			if !errors.Is(err, want) || err == nil && !r.Decision.Allow {
				t.Errorf("command %d: %v, want %v", n, err, want)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				order = append(order, n)
			}
		})
	}
	submit(0, nil)
	<-reached // the writer is in its commit, and the queue is empty
	for n := range length {
		submit(1+n, nil)
	}
	submit(length+1, collection.ErrBusy)
	if err := b.changeProfile(func(p *profile.Profile) { p.Enabled = false }); !errors.Is(err, collection.ErrBusy) {
		t.Errorf("a write when the queue is full: %v", err)
	}
	release()
	group.Wait()
	for i, n := range order {
		if i != n {
			t.Fatalf("answered in the order %v", order)
		}
	}
	if len(order) != length+1 {
		t.Errorf("%d answered, want %d", len(order), length+1)
	}
	if !b.do(t, b.reserve()).Decision.Allow {
		t.Error("a write that was refused is in force")
	}

	// After Close everything is refused, and nothing hangs.
	closed := newBed(t, open)
	must(t, closed.Close())
	if err := errOf(closed.Do(ctx, closed.reserve())); !errors.Is(err, collection.ErrUnavailable) {
		t.Errorf("command after Close: %v", err)
	}
	if err := errOf(closed.Profiles().Get(ctx, closed.account.ID, closed.profile.ID)); !errors.Is(err,
		collection.ErrUnavailable) {
		t.Errorf("read after Close: %v", err)
	}
	if err := closed.changeProfile(func(*profile.Profile) {}); !errors.Is(err, collection.ErrUnavailable) {
		t.Errorf("write after Close: %v", err)
	}
	must(t, closed.Close())
}

// testReopen opens the store again as the same process and as another one.
func testReopen(t *testing.T, open Opener) {
	b := newBed(t, open)
	limit := 3 * money.Dollar
	must(t, b.changeProfile(func(p *profile.Profile) { p.DailySpendLimit, p.DailySpendLimitEnabled = &limit, true }))
	ringing, answered := b.reserve(), b.reserve()
	b.do(t, ringing)
	b.do(t, answered)
	b.do(t, admission.Answer{ID: answered.Call.ID, AtMicros: b.clock.Now().UnixMicro(), Teardown: []byte("note")})
	before := value(b.LiveCalls(ctx, b.account.ID))(t)

	b.reopen(t, open)
	if diff := cmp.Diff(before, value(b.LiveCalls(ctx, b.account.ID))(t)); diff != "" || len(before) != 2 {
		t.Errorf("live calls (-before +after):\n%s", diff)
	}
	if spend := b.spendToday(t); spend != (admission.Spend{Held: 2 * money.Dollar}) {
		t.Errorf("spend %+v", spend)
	}
	last := b.do(t, b.reserve())
	if r := b.do(t, b.reserve()); !last.Decision.Allow || r.Decision.Reason != admission.ReasonDailySpendLimit {
		t.Errorf("the limit after opening again: %v, then %v", last.Decision.Reason, r.Decision.Reason)
	}
	b.do(t, admission.Release{ID: last.Decision.ID, Ending: ending(b, 0)})

	b.clock.advance(20 * time.Second)
	b.reopen(t, open, func(o *Options) { o.Owner = uuid.New() })
	if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != 0 {
		t.Errorf("%d live calls of a dead process", n)
	}
	r := value(b.Record(ctx, b.account.ID, answered.Call.ID))(t)
	if r.Outcome != record.OutcomeLost || r.Cost != money.Dollar || r.HangupCause != "owner_lost" {
		t.Errorf("answered call: %v, %v, %s", r.Outcome, r.Cost, r.HangupCause)
	}
	if spend := b.spendToday(t); spend != (admission.Spend{Posted: money.Dollar}) {
		t.Errorf("spend %+v", spend)
	}
	if r := b.do(t, admission.Settle{ID: ringing.Call.ID,
		Ending: ending(b, time.Second)}); r.Record.Outcome != record.OutcomeLost {
		t.Errorf("settle of a lost call: %v", r.Record.Outcome)
	}
}
