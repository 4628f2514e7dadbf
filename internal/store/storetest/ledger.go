package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

func testLedger(t *testing.T, open Opener) {
	for _, part := range []struct {
		name string
		test func(*testing.T, *bed)
	}{
		{"LastChannel", testLastChannel},
		{"LastCent", testLastCent},
		{"Life", testCallLife},
		{"Repeats", testRepeats},
		{"RepeatsAtOnce", testRepeatsAtOnce},
		{"InForce", testInForce},
		{"Expiry", testExpiry},
		{"CalleeLimit", testCalleeLimit},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, newBed(t, open)) })
	}
}

// callers is how many goroutines race for what is scarce.
const callers = 200

// race has all callers reserve at once, and returns the decisions.
func (b *bed) race(t *testing.T) (decisions []admission.Decision) {
	var mu sync.Mutex
	var group sync.WaitGroup
	start := make(chan struct{})
	for range callers {
		group.Go(func() {
			<-start
			r, err := b.Do(ctx, b.reserve())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			decisions = append(decisions, r.Decision)
		})
	}
	close(start)
	group.Wait()
	return decisions
}

func countReasons(decisions []admission.Decision) map[admission.Reason]int {
	counts := make(map[admission.Reason]int)
	for i := range decisions {
		counts[decisions[i].Reason]++
	}
	return counts
}

func testLastChannel(t *testing.T, b *bed) {
	const limit = 10
	must(t, b.changeProfile(func(p *profile.Profile) { p.ConcurrentCallLimit = new(int32(limit)) }))
	decisions := b.race(t)
	want := map[admission.Reason]int{admission.ReasonNone: limit, admission.ReasonProfileChannels: callers - limit}
	if diff := cmp.Diff(want, countReasons(decisions)); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != limit {
		t.Errorf("%d live calls, want %d", n, limit)
	}
	for i := range decisions {
		if decisions[i].Allow {
			b.do(t, admission.Release{ID: decisions[i].ID, Ending: ending(b, 0)})
		}
	}
	if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != 0 {
		t.Errorf("%d live calls after all have ended", n)
	}
	if !b.do(t, b.reserve()).Decision.Allow {
		t.Error("freed channels cannot be taken again")
	}
}

func testLastCent(t *testing.T, b *bed) {
	// Each call holds one minute at a dollar; the limit is one cent short of eleven.
	limit := 11*money.Dollar - money.Cent
	must(t, b.changeProfile(func(p *profile.Profile) { p.DailySpendLimit, p.DailySpendLimitEnabled = &limit, true }))
	decisions := b.race(t)
	want := map[admission.Reason]int{admission.ReasonNone: 10, admission.ReasonDailySpendLimit: callers - 10}
	if diff := cmp.Diff(want, countReasons(decisions)); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	spend := b.spendToday(t)
	if spend != (admission.Spend{Held: 10 * money.Dollar}) {
		t.Errorf("spend %+v", spend)
	}
	for i := range decisions {
		if decisions[i].Allow {
			b.do(t, admission.Answer{ID: decisions[i].ID, AtMicros: b.clock.Now().UnixMicro()})
			b.do(t, admission.Settle{ID: decisions[i].ID, Ending: ending(b, 30*time.Second)})
		}
	}
	spend = b.spendToday(t)
	if spend != (admission.Spend{Posted: 10 * money.Dollar}) {
		t.Errorf("spend after all have ended: %+v", spend)
	}
}

// testCallLife follows one call to its record.
func testCallLife(t *testing.T, b *bed) {
	reserve := b.reserve()
	r := b.do(t, reserve)
	if !r.Decision.Allow || r.GrantedSecs != 60 {
		t.Fatalf("reserve: %v, %d s", r.Decision.Reason, r.GrantedSecs)
	}
	call := reserve.Call.ID
	b.clock.advance(10 * time.Second)
	b.do(t, admission.Answer{ID: call, AtMicros: b.clock.Now().UnixMicro(), Teardown: []byte("note")})
	b.clock.advance(50 * time.Second)
	renewed := b.do(t, admission.Renew{ID: call, Elapsed: 50 * time.Second, GrantedSecs: 60})
	if !renewed.Extended || renewed.GrantedSecs != 120 {
		t.Errorf("renew: %+v", renewed)
	}
	live := value(b.LiveCalls(ctx, b.account.ID))(t)
	if len(live) != 1 || live[0].Lease.ID != call || live[0].ElapsedMs != 50_000 || live[0].Lease.GrantedSecs != 120 {
		t.Errorf("live calls: %+v", live)
	}
	before := value(b.Decision(ctx, b.account.ID, call))(t)
	b.clock.advance(15 * time.Second)
	settled := b.do(t, admission.Settle{ID: call, Ending: ending(b, 65*time.Second)})
	stored := value(b.Record(ctx, b.account.ID, call))(t)
	if diff := cmp.Diff(settled.Record, stored); diff != "" {
		t.Errorf("record (-settled +stored):\n%s", diff)
	}
	want := []record.Slice{{Day: record.DayOf(noon.UnixMicro()), Secs: 120, Cost: 2 * money.Dollar}}
	if diff := cmp.Diff(want, stored.Slices); diff != "" || stored.Cost != 2*money.Dollar ||
		stored.Outcome != record.OutcomeAnswered {
		t.Errorf("cost %v, %v; slices (-want +got):\n%s", stored.Cost, stored.Outcome, diff)
	}
	after := value(b.Decision(ctx, b.account.ID, call))(t)
	if before != r.Decision || after != r.Decision {
		t.Errorf("decision\n%+v\nlive\n%+v\nended\n%+v", r.Decision, before, after)
	}
	if reason, _ := admission.Rejudge(&after.Facts); reason != admission.ReasonNone {
		t.Errorf("judged again: %v", reason)
	}
}

func testRepeats(t *testing.T, b *bed) {
	reserve := b.reserve()
	call := reserve.Call.ID
	first := b.do(t, reserve)
	if again := b.do(t, reserve); again.Decision != first.Decision || again.GrantedSecs != first.GrantedSecs {
		t.Errorf("reserve again: %+v", again)
	}
	b.do(t, admission.Answer{ID: call, AtMicros: b.clock.Now().UnixMicro()})
	b.do(t, admission.Answer{ID: call, AtMicros: b.clock.Now().UnixMicro()})
	b.clock.advance(50 * time.Second)
	renew := admission.Renew{ID: call, Elapsed: 50 * time.Second, GrantedSecs: 60}
	if one, two := b.do(t, renew), b.do(t, renew); one.GrantedSecs != two.GrantedSecs {
		t.Errorf("renew again: %d s, then %d s", one.GrantedSecs, two.GrantedSecs)
	}
	settle := admission.Settle{ID: call, Ending: ending(b, 50*time.Second)}
	one := b.do(t, settle)
	b.clock.advance(time.Hour)
	settle.Ending.Elapsed = time.Hour // even when the repeat says something else
	if diff := cmp.Diff(one.Record, b.do(t, settle).Record); diff != "" {
		t.Errorf("settle again:\n%s", diff)
	}
	if diff := cmp.Diff(one.Record, b.do(t, admission.Release{ID: call}).Record); diff != "" {
		t.Errorf("release after settle:\n%s", diff)
	}
	late := b.do(t, reserve)
	if late.Decision != first.Decision || cmp.Diff(one.Record, late.Record) != "" {
		t.Errorf("reserve after the end: %+v", late)
	}
	for _, c := range []admission.Command{renew, admission.Answer{ID: call}} {
		if r, err := b.Do(ctx, c); err != nil || !errors.Is(r.Err, admission.ErrEnded) {
			t.Errorf("%T after the end: %v, %v", c, err, r.Err)
		}
	}
	if r, err := b.Do(ctx, admission.Settle{ID: uuid.New()}); err != nil || !errors.Is(r.Err, admission.ErrUnknownCall) {
		t.Errorf("settle of no call: %v, %v", err, r.Err)
	}
	refused := b.reserve()
	refused.Call.To = "+33123456789"
	no := b.do(t, refused)
	if again := b.do(t, refused); no.Decision.Allow || again.Decision != no.Decision ||
		cmp.Diff(no.Record, again.Record) != "" {
		t.Errorf("refused: %+v, again: %+v", no, again)
	}
	spend := b.spendToday(t)
	if spend != (admission.Spend{Posted: one.Record.Cost}) {
		t.Errorf("spend %+v, want %v posted", spend, one.Record.Cost)
	}
	if page := value(b.ListRecords(ctx, b.account.ID, collection.Query{Size: 10}))(t); page.Total != 2 {
		t.Errorf("%d records, want 2", page.Total)
	}
}

// testRepeatsAtOnce sends the whole life of one call many times over in any order.
func testRepeatsAtOnce(t *testing.T, b *bed) {
	reserve := b.reserve()
	var mu sync.Mutex
	var records []*record.Call
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for _, c := range []admission.Command{reserve,
				admission.Settle{ID: reserve.Call.ID, Ending: ending(b, time.Second)}} {
				r, err := b.Do(ctx, c)
				if err != nil || r.Err != nil {
					t.Errorf("%T: %v, %v", c, err, r.Err)
				}
				if _, last := c.(admission.Settle); last {
					mu.Lock()
					records = append(records, r.Record)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	for _, r := range records {
		if diff := cmp.Diff(records[0], r); diff != "" {
			t.Fatalf("two records of one call:\n%s", diff)
		}
	}
	if page := value(b.ListRecords(ctx, b.account.ID, collection.Query{Size: 10}))(t); page.Total != 1 {
		t.Errorf("%d records, want 1", page.Total)
	}
	if spend := b.spendToday(t); spend != (admission.Spend{Posted: money.Dollar}) {
		t.Errorf("spend %+v", spend)
	}
}

// testInForce changes the configuration and at once looks at what it does.
func testInForce(t *testing.T, b *bed) {
	expect := func(want admission.Reason) {
		t.Helper()
		r := b.do(t, b.reserve())
		if r.Decision.Reason != want {
			t.Fatalf("%v, want %v", r.Decision.Reason, want)
		}
		if r.Decision.Allow {
			b.do(t, admission.Release{ID: r.Decision.ID, Ending: ending(b, 0)})
		}
	}
	changeAccount := func(change func(*store.Account)) {
		value(b.Accounts().Update(ctx, b.account.ID, b.account.ID, func(a store.Account) (store.Account, error) {
			change(&a)
			return a, nil
		}))(t)
	}
	changePhone := func(change func(*connection.CredentialConnection)) {
		value(b.CredentialConnections().Update(ctx, b.account.ID, b.phone.ID,
			func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
				change(&c)
				return c, nil
			}))(t)
	}
	for range 20 {
		must(t, b.changeProfile(func(p *profile.Profile) { p.Enabled = false }))
		expect(admission.ReasonProfileDisabled)
		must(t, b.changeProfile(func(p *profile.Profile) { p.Enabled = true }))
		expect(admission.ReasonNone)
	}
	must(t, b.changeProfile(func(p *profile.Profile) { p.WhitelistedDestinations = []string{"GB"} }))
	expect(admission.ReasonNotWhitelisted)
	if err := b.changeProfile(func(p *profile.Profile) { p.WhitelistedDestinations = []string{"Atlantis"} }); err == nil {
		t.Error("a profile that does not compile was taken")
	}
	expect(admission.ReasonNotWhitelisted)
	must(t, b.changeProfile(func(p *profile.Profile) { p.WhitelistedDestinations = []string{"US"} }))
	changeAccount(func(a *store.Account) { a.Active = false })
	expect(admission.ReasonAccountDisabled)
	changeAccount(func(a *store.Account) { a.Active, a.ConcurrentCallLimit = true, new(int32(0)) })
	expect(admission.ReasonAccountChannels)
	changeAccount(func(a *store.Account) { a.ConcurrentCallLimit = nil })
	changePhone(func(c *connection.CredentialConnection) { c.Active = false })
	expect(admission.ReasonConnectionDisabled)
	changePhone(func(c *connection.CredentialConnection) { c.Active = true })
	expect(admission.ReasonNone)
	value(b.CredentialConnections().Delete(ctx, b.account.ID, b.phone.ID))(t)
	expect(admission.ReasonConnectionUnknown)
}

// testExpiry lets a ringing and an answered call fall silent.
func testExpiry(t *testing.T, b *bed) {
	ringing, answered := b.reserve(), b.reserve()
	b.do(t, ringing)
	b.do(t, answered)
	b.do(t, admission.Answer{ID: answered.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
	b.clock.advance(admission.ExpiryGrace + 60*time.Second)
	b.tick()
	r := value(b.Record(ctx, b.account.ID, answered.Call.ID))(t)
	if r.Outcome != record.OutcomeLost || r.Cost != money.Dollar {
		t.Errorf("answered call: %v, %v", r.Outcome, r.Cost)
	}
	if err := errOf(b.Record(ctx, b.account.ID, ringing.Call.ID)); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("ringing call has ended too early: %v", err)
	}
	b.clock.advance(admission.SetupTTL)
	b.tick()
	r = value(b.Record(ctx, b.account.ID, ringing.Call.ID))(t)
	if r.Outcome != record.OutcomeLost || r.Cost != 0 {
		t.Errorf("ringing call: %v, %v", r.Outcome, r.Cost)
	}
	if spend := b.spendToday(t); spend != (admission.Spend{Posted: money.Dollar}) {
		t.Errorf("spend %+v", spend)
	}
}

func testCalleeLimit(t *testing.T, b *bed) {
	must(t, b.changeProfile(func(p *profile.Profile) {
		p.CallingWindow = &profile.CallingWindow{CallsPerCLD: new(int32(2))}
	}))
	want := map[admission.Reason]int{admission.ReasonNone: 2, admission.ReasonCalleeLimit: callers - 2}
	if diff := cmp.Diff(want, countReasons(b.race(t))); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
}

// spendToday is what the profile has posted and holds today.
func (b *bed) spendToday(t testing.TB) admission.Spend {
	t.Helper()
	return value(b.Spend(t.Context(), b.account.ID, admission.ProfileScope(b.profile.ID)))(t).Spend
}
