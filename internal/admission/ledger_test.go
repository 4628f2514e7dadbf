package admission

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// bench is a ledger with a clock that a test moves by hand.
type bench struct {
	t      testing.TB
	state  *State
	policy *policy.Snapshot
	now    time.Time
}

func newBench(t testing.TB, p profile.Profile, deck *rating.Deck) *bench {
	return &bench{t: t, state: NewState(), policy: snapshotOf(t, testAccountPolicy(), p, attachedConnection(), deck), now: noon}
}

func (b *bench) apply(c Command) Result { return b.state.Apply(b.policy, c, b.now) }

// admit reserves and answers a call, and returns its id.
func (b *bench) admit(number string) uuid.UUID {
	b.t.Helper()
	call := callTo(number)
	if r := b.apply(Reserve{Call: call, Owner: owner}); !r.Decision.Allow {
		b.t.Fatalf("call to %s refused: %v", number, r.Decision.Reason)
	}
	if r := b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()}); r.Err != nil {
		b.t.Fatal(r.Err)
	}
	return call.ID
}

func (b *bench) settle(call uuid.UUID, elapsed time.Duration) *record.Call {
	b.t.Helper()
	r := b.apply(Settle{ID: call, Ending: Ending{EndedMicros: b.now.UnixMicro(), Elapsed: elapsed, SIPStatus: 200}})
	if r.Err != nil {
		b.t.Fatal(r.Err)
	}
	return r.Record
}

func (b *bench) wantSpend(day record.Day, posted, held string) {
	b.t.Helper()
	p, h := b.state.Spend(testProfile, day)
	if p != money.MustParse(posted) || h != money.MustParse(held) {
		b.t.Errorf("day %d: posted %v held %v, want %s and %s", day, p, h, posted, held)
	}
}

var today = record.DayOf(noon.UnixMicro())

func TestChargeIsExactForEveryIncrement(t *testing.T) {
	for _, c := range []struct {
		first, next int32
		fee         string
		elapsed     time.Duration
		billed      int64
		cost        string
	}{
		{60, 60, "0", 61 * time.Second, 120, "0.50"},
		{30, 6, "0", 31 * time.Second, 36, "0.15"},
		{6, 6, "0", 6 * time.Second, 6, "0.025"},
		{1, 1, "0", 1500 * time.Millisecond, 2, "0.008333334"},
		{1, 1, "0.05", time.Millisecond, 1, "0.054166667"},
		{60, 1, "0.01", 59 * time.Second, 60, "0.26"},
	} {
		b := newBench(t, limited("100"), deckOf(t, c.first, c.next, c.fee, map[string]string{"1": "0.25"}))
		call := b.admit("+12125550123")
		for range 10 { // keep the grant ahead of the call
			l := b.state.Lease(call)
			b.apply(Renew{ID: call, Elapsed: c.elapsed, GrantedSecs: l.GrantedSecs})
		}
		b.now = b.now.Add(c.elapsed)
		r := b.settle(call, c.elapsed)
		if r.BilledSecs != c.billed || r.Cost != money.MustParse(c.cost) || r.OverrunSecs != 0 {
			t.Errorf("%d/%d for %v: billed %d s, cost %v, overrun %d s; want %d s and %s", c.first, c.next,
				c.elapsed, r.BilledSecs, r.Cost, r.OverrunSecs, c.billed, c.cost)
		}
		b.wantSpend(today, c.cost, "0")
	}
}

func TestGrantsEndAtTheLimit(t *testing.T) {
	// 0.60 a minute is a cent a second: a limit of 0.45 is 45 seconds.
	b := newBench(t, limited("0.45"), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	call := b.admit("+12125550123")
	granted := b.state.Lease(call).GrantedSecs
	for elapsed := time.Duration(0); elapsed <= 45*time.Second; elapsed += time.Second {
		r := b.apply(Renew{ID: call, Elapsed: elapsed, GrantedSecs: granted})
		granted = r.GrantedSecs
		posted, held := b.state.Spend(testProfile, today)
		if posted+held > money.MustParse("0.45") {
			t.Fatalf("after %v: posted %v + held %v passes the limit", elapsed, posted, held)
		}
	}
	if granted != 45 {
		t.Errorf("granted %d s, want 45", granted)
	}
	if r := b.settle(call, 47*time.Second); r.BilledSecs != 45 || r.OverrunSecs != 2 || r.OverrunCost != money.MustParse("0.02") {
		t.Errorf("billed %d s, overrun %d s (%v), want 45, 2 and 0.02", r.BilledSecs, r.OverrunSecs, r.OverrunCost)
	}
	b.wantSpend(today, "0.45", "0")
	refused := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner})
	if refused.Decision.Reason != ReasonDailySpendLimit {
		t.Errorf("the next call: %v, want %v", refused.Decision.Reason, ReasonDailySpendLimit)
	}
}

func TestBlockNewCallsLetsRunningCallsGoOn(t *testing.T) {
	p := limited("0.30")
	p.SpendLimitAction = profile.BlockNewCalls
	b := newBench(t, p, deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	call := b.admit("+12125550123")
	granted := b.state.Lease(call).GrantedSecs
	for elapsed := time.Duration(0); elapsed < 5*time.Minute; elapsed += 10 * time.Second {
		granted = b.apply(Renew{ID: call, Elapsed: elapsed, GrantedSecs: granted}).GrantedSecs
	}
	if r := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner}); r.Decision.Reason != ReasonDailySpendLimit {
		t.Errorf("a new call above the limit: %v, want %v", r.Decision.Reason, ReasonDailySpendLimit)
	}
	if r := b.settle(call, 5*time.Minute); r.Cost != money.MustParse("3.00") {
		t.Errorf("cost %v, want 3.00: a running call is counted beyond the limit", r.Cost)
	}
}

func TestMidnightBooksSlicesToTheDayInWhichTheyStart(t *testing.T) {
	b := newBench(t, limited("10"), deckOf(t, 60, 60, "0", map[string]string{"1": "0.60"}))
	b.now = time.Date(2026, 11, 24, 23, 59, 30, 0, time.UTC)
	call := b.admit("+12125550123") // holds 60 s from 23:59:30
	granted := b.state.Lease(call).GrantedSecs
	for elapsed := 20 * time.Second; elapsed <= 150*time.Second; elapsed += 10 * time.Second {
		granted = b.apply(Renew{ID: call, Elapsed: elapsed, GrantedSecs: granted}).GrantedSecs
	}
	b.now = b.now.Add(150 * time.Second)
	r := b.settle(call, 150*time.Second)
	b.wantSpend(today, "0.60", "0")
	b.wantSpend(today+1, "1.20", "0")
	if len(r.Slices) != 2 || r.Slices[0].Secs != 60 || r.Slices[1].Secs != 120 || r.Cost != money.MustParse("1.80") {
		t.Errorf("slices %+v cost %v", r.Slices, r.Cost)
	}
}

func TestAnswerAfterMidnightMovesTheHold(t *testing.T) {
	b := newBench(t, limited("1"), deckOf(t, 60, 60, "0", map[string]string{"1": "0.60"}))
	b.now = time.Date(2026, 11, 24, 23, 59, 50, 0, time.UTC)
	call := callTo("+12125550123")
	b.apply(Reserve{Call: call, Owner: owner})
	b.wantSpend(today, "0", "0.60")
	b.now = b.now.Add(20 * time.Second)
	if r := b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()}); r.GrantedSecs != 60 {
		t.Errorf("granted %d s, want 60", r.GrantedSecs)
	}
	b.wantSpend(today, "0", "0")
	b.wantSpend(today+1, "0", "0.60")
}

// TestAShorterGrantKeepsTheLease: an owner that has not heard yet that the new day
// has no money for its call may let it live as long as it was first granted.
func TestAShorterGrantKeepsTheLease(t *testing.T) {
	b := newBench(t, limited("1"), deckOf(t, 60, 60, "0", map[string]string{"1": "0.60"}))
	b.now = time.Date(2026, 11, 24, 23, 59, 50, 0, time.UTC)
	call := callTo("+12125550123")
	b.apply(Reserve{Call: call, Owner: owner})
	b.now = b.now.Add(20 * time.Second)
	b.admit("+12125550123") // takes what the new day has
	if r := b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()}); r.GrantedSecs != 0 {
		t.Fatalf("granted %d s, want none", r.GrantedSecs)
	}
	b.now = b.now.Add(time.Minute + ExpiryGrace - time.Microsecond)
	if b.apply(Expire{}); b.state.Lease(call.ID) == nil {
		t.Fatal("the lease ended before its call can be known to have")
	}
	b.now = b.now.Add(time.Microsecond)
	if b.apply(Expire{}); b.state.Lease(call.ID) != nil {
		t.Error("the lease does not end")
	}
}

// TestAWrongTimeOfTheAnswerKeepsTheLease: an owner whose clock is late says that a
// call was answered before it was.
func TestAWrongTimeOfTheAnswerKeepsTheLease(t *testing.T) {
	b := newBench(t, limited("10"), deckOf(t, 60, 60, "0", map[string]string{"1": "0.60"}))
	attempt := callTo("+12125550123")
	call := attempt.ID
	b.apply(Reserve{Call: attempt, Owner: owner})
	b.now = b.now.Add(2 * time.Minute) // it rings
	b.apply(Answer{ID: call, AtMicros: b.now.Add(-time.Hour).UnixMicro()})
	alive := func(d time.Duration) {
		b.now = b.now.Add(d)
		if b.apply(Expire{}); b.state.Lease(call) == nil {
			t.Fatal("the lease of a call that runs has ended")
		}
	}
	alive(50 * time.Second)
	b.apply(Renew{ID: call, Elapsed: 50 * time.Second, GrantedSecs: 60})
	alive(70*time.Second + ExpiryGrace - time.Microsecond)
}

func TestTheClockNeverOpensADayAgain(t *testing.T) {
	b := newBench(t, limited("0.60"), deckOf(t, 60, 60, "0", map[string]string{"1": "0.60"}))
	b.settle(b.admit("+12125550123"), time.Minute)
	b.now = b.now.Add(-25 * time.Hour) // yesterday has its whole limit left
	if r := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner}); r.Decision.Reason != ReasonDailySpendLimit {
		t.Errorf("with the clock a day back: %v, want %v", r.Decision.Reason, ReasonDailySpendLimit)
	}
}

func TestRepeatedCommandsHaveOneEffect(t *testing.T) {
	b := newBench(t, limited("10"), standardDeck(t))
	call := callTo("+12125550123")
	first := b.apply(Reserve{Call: call, Owner: owner})
	again := b.apply(Reserve{Call: call, Owner: owner})
	if !again.Decision.Allow || again.GrantedSecs != first.GrantedSecs || again.Decision.ID != call.ID {
		t.Errorf("repeated Reserve: %+v", again)
	}
	if _, p, _ := b.state.LiveCalls(testAccount, testProfile, testConnection); p != 1 {
		t.Errorf("%d live calls, want 1", p)
	}
	b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
	b.now = b.now.Add(time.Second)
	b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
	if l := b.state.Lease(call.ID); l.AnsweredMicros != noon.UnixMicro() {
		t.Error("a repeated Answer moved the start of the meter")
	}
	one := b.apply(Renew{ID: call.ID, Elapsed: 30 * time.Second, GrantedSecs: first.GrantedSecs})
	two := b.apply(Renew{ID: call.ID, Elapsed: 30 * time.Second, GrantedSecs: first.GrantedSecs})
	if one.GrantedSecs != two.GrantedSecs || one.GrantedSecs != first.GrantedSecs+60 {
		t.Errorf("repeated Renew: %d then %d s", one.GrantedSecs, two.GrantedSecs)
	}
	r := b.settle(call.ID, 20*time.Second)
	b.state.Remember(r)
	if second := b.settle(call.ID, 90*time.Second); second != r {
		t.Error("a repeated Settle made another record")
	}
	if again := b.apply(Reserve{Call: call, Owner: owner}); again.Record != r || !again.Decision.Allow {
		t.Errorf("Reserve of an ended call: %+v", again)
	}
	if r := b.apply(Renew{ID: call.ID, GrantedSecs: 60}); !errors.Is(r.Err, ErrEnded) {
		t.Errorf("Renew of an ended call: %v, want ErrEnded", r.Err)
	}
	if records := b.state.TakeChanges().Records; len(records) != 1 {
		t.Errorf("%d records, want 1", len(records))
	}
}

func TestUnknownCallsAreRefused(t *testing.T) {
	b := newBench(t, profile.New(), standardDeck(t))
	for _, c := range []Command{Answer{ID: uuid.New()}, Renew{ID: uuid.New()}, Settle{ID: uuid.New()}, Release{ID: uuid.New()}} {
		if r := b.apply(c); !errors.Is(r.Err, ErrUnknownCall) {
			t.Errorf("%T of an unknown call: %v, want ErrUnknownCall", c, r.Err)
		}
	}
}

func TestAPointerIsNoCommand(t *testing.T) {
	b := newBench(t, profile.New(), standardDeck(t))
	if r := b.apply(&Expire{}); !errors.Is(r.Err, ErrCommand) {
		t.Errorf("applied a pointer: %v, want ErrCommand", r.Err)
	}
}

func TestEmergencyCallsHoldNothing(t *testing.T) {
	p := limited("0.01")
	p.ConcurrentCallLimit = new(int32(0))
	b := newBench(t, p, standardDeck(t))
	call := callTo("112")
	if r := b.apply(Reserve{Call: call, Owner: owner}); !r.Decision.Allow {
		t.Fatalf("emergency call refused: %v", r.Decision.Reason)
	}
	b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
	b.wantSpend(today, "0", "0")
	if a, p, c := b.state.LiveCalls(testAccount, testProfile, testConnection); a+p+c != 0 {
		t.Errorf("an emergency call takes channels: %d %d %d", a, p, c)
	}
	b.now = b.now.Add(3 * time.Hour)
	if r := b.settle(call.ID, 3*time.Hour); !r.Emergency || r.Cost != 0 || r.OverrunSecs != 0 || r.DurationMicros != (3*time.Hour).Microseconds() {
		t.Errorf("record of the emergency call: %+v", r)
	}
}

func TestALostOwnersLeasesEnd(t *testing.T) {
	b := newBench(t, limited("10"), deckOf(t, 60, 60, "0", map[string]string{"1": "0.60"}))
	ringing := callTo("+12125550123")
	b.apply(Reserve{Call: ringing, Owner: owner})
	answered := b.admit("+12125550124")
	granted := time.Duration(b.state.Lease(answered).GrantedSecs) * time.Second

	b.now = noon.Add(granted + ExpiryGrace - time.Millisecond)
	if r := b.apply(Expire{}); len(r.Expired) != 0 {
		t.Fatalf("%d leases expired while the call could still be alive", len(r.Expired))
	}
	b.now = noon.Add(granted + ExpiryGrace)
	r := b.apply(Expire{})
	if len(r.Expired) != 1 || r.Expired[0].ID != answered || r.Expired[0].Outcome != record.OutcomeLost {
		t.Fatalf("expired %+v", r.Expired)
	}
	if r.Expired[0].BilledSecs != int64(granted/time.Second) {
		t.Errorf("billed %d s, want what was granted", r.Expired[0].BilledSecs)
	}
	b.now = noon.Add(SetupTTL)
	if r := b.apply(Expire{}); len(r.Expired) != 1 || r.Expired[0].Cost != 0 {
		t.Errorf("the ringing call: %+v", r.Expired)
	}
	b.wantSpend(today, "0.60", "0")
	if _, p, _ := b.state.LiveCalls(testAccount, testProfile, testConnection); p != 0 {
		t.Errorf("%d channels leaked", p)
	}
}

func TestALoweredLimitStopsNewGrantsOnly(t *testing.T) {
	deck := deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"})
	b := newBench(t, limited("10"), deck)
	call := b.admit("+12125550123")
	granted := b.state.Lease(call).GrantedSecs
	b.policy = snapshotOf(t, testAccountPolicy(), limited("0.01"), attachedConnection(), deck)
	r := b.apply(Renew{ID: call, Elapsed: 25 * time.Second, GrantedSecs: granted})
	if r.Extended || r.GrantedSecs != granted {
		t.Errorf("renewed above a lowered limit: %+v", r)
	}
	b.policy = snapshotOf(t, testAccountPolicy(), limited("20"), attachedConnection(), deck)
	if r := b.apply(Renew{ID: call, Elapsed: 26 * time.Second, GrantedSecs: granted}); !r.Extended {
		t.Errorf("not renewed after the limit was raised: %+v", r)
	}
}

func TestGrantsCannotBeHoarded(t *testing.T) {
	b := newBench(t, limited("1000"), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	call := b.admit("+12125550123")
	granted := b.state.Lease(call).GrantedSecs
	for range 100 {
		granted = b.apply(Renew{ID: call, GrantedSecs: granted}).GrantedSecs
	}
	if granted > 2*GrantSecs+renewAheadSecs {
		t.Errorf("a call that has not lasted a second was granted %d s", granted)
	}
}

func TestReleaseOfAnAnsweredCallIsCharged(t *testing.T) {
	b := newBench(t, limited("10"), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	call := b.admit("+12125550123")
	b.now = b.now.Add(7 * time.Second)
	r := b.apply(Release{ID: call, Ending: Ending{EndedMicros: b.now.UnixMicro()}})
	if r.Err != nil || r.Record.Outcome != record.OutcomeAnswered || r.Record.Cost != money.MustParse("0.07") {
		t.Errorf("released after 7 s: %+v, %v", r.Record, r.Err)
	}
	b.wantSpend(today, "0.07", "0")
}

func TestAnOwnersWrongClockBooksNothingElsewhere(t *testing.T) {
	for _, ended := range []time.Time{{}, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0)} {
		b := newBench(t, limited("0.10"), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
		call := b.admit("+12125550123")
		b.now = b.now.Add(15 * time.Second)
		r := b.apply(Settle{ID: call, Ending: Ending{EndedMicros: ended.UnixMicro(), Elapsed: 15 * time.Second}}).Record
		if r.EndedMicros < r.AnsweredMicros || r.EndedMicros > b.now.UnixMicro() {
			t.Errorf("ended %v: the record ends at %v", ended, time.UnixMicro(r.EndedMicros))
		}
		for key := range b.state.TakeChanges().Spends {
			if key.Day != today {
				t.Errorf("ended %v: something is booked to day %d", ended, key.Day)
			}
		}
	}
}
