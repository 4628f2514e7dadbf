package admission

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// The times of the call that the tests tell of, since noon.
const (
	toldAnswer   = 5 * time.Second
	toldDuration = 70 * time.Second
	toldEnd      = toldAnswer + toldDuration
)

func switchAttempt(number string) Reserve {
	call := callTo(number)
	call.ID = SwitchCallID(testAccount, "a@pbx")
	call.Account = testAccount
	call.SIPCallID = "a@pbx"
	call.Request = RequestID("the first request")
	return Reserve{Call: call, Owner: SwitchOwner(testAccount, "pbx")}
}

// callLife is what a switch tells of one answered call. Every event brings the
// attempt along, so that any of them may come first.
func callLife(attempt Reserve, duration time.Duration) []Command {
	at := func(since time.Duration) int64 { return noon.Add(since).UnixMicro() }
	report := func(stage Stage, atMicros int64, elapsed time.Duration) Report {
		return Report{ID: attempt.Call.ID, Account: testAccount, Stage: stage, Attempt: &attempt, AtMicros: atMicros, Elapsed: elapsed, Gateway: 7}
	}
	events := []Command{attempt, report(StageAnswered, at(toldAnswer), -1)}
	for elapsed := 20 * time.Second; elapsed < duration; elapsed += 25 * time.Second {
		events = append(events, report(StageRunning, 0, elapsed))
	}
	end := report(StageEnded, at(toldAnswer+duration), duration)
	end.Answered = new(true)
	end.Ending = Ending{Cause: "normal_clearing", Source: record.SideCallee}
	return append(events, end)
}

// ledgerEnd is what a call leads to, without the times at which it was told.
type ledgerEnd struct {
	Outcome              record.Outcome
	Billed, Overrun      int64
	Cost, OverrunCost    money.Amount
	Duration             int64
	Gateway              int64
	Cause                string
	Status               int32
	Posted, Held         money.Amount
	Live, Records, Calls int
}

func (b *bench) end(records []*record.Call) ledgerEnd {
	b.t.Helper()
	if len(records) != 1 {
		b.t.Fatalf("%d records, want 1", len(records))
	}
	r := records[0]
	posted, held := b.state.Spend(testProfile, today)
	live, _, _ := b.state.LiveCalls(testAccount, testProfile, testConnection)
	return ledgerEnd{
		Outcome: r.Outcome, Billed: r.BilledSecs, Overrun: r.OverrunSecs, Cost: r.Cost, OverrunCost: r.OverrunCost,
		Duration: r.DurationMicros, Gateway: int64(r.GatewayID), Cause: r.HangupCause, Status: r.SIPStatus, Posted: posted, Held: held,
		Live: int(live), Records: len(records), Calls: len(b.state.leases),
	}
}

// tell applies events as a store does: what has ended is remembered.
func (b *bench) tell(events []Command) (records []*record.Call) {
	for _, e := range events {
		if r := b.apply(e); r.Err != nil {
			b.t.Fatalf("%+v: %v", e, r.Err)
		} else if r.Record != nil {
			b.state.Remember(r.Record)
		}
		records = append(records, b.state.TakeChanges().Records...)
	}
	return records
}

// expected is the plain model: one call of so many seconds, of which the day's
// limit pays for as many as it can.
func expected(p profile.Profile, duration time.Duration, first, next int32, price, fee money.Amount) ledgerEnd {
	rate := rating.Rate{PerMinute: price, ConnectFee: fee, FirstIncrement: first, Increment: next}
	o := ledgerEnd{Outcome: record.OutcomeAnswered, Duration: duration.Microseconds(), Gateway: 7, Cause: "normal_clearing", Status: 200, Records: 1}
	used := rate.BillableSecs(duration)
	for secs := rate.RoundUp(1); secs <= used; secs = rate.RoundUp(secs + 1) {
		if !p.DailySpendLimitEnabled || p.SpendLimitAction != profile.EndCalls || rate.Cost(secs) <= *p.DailySpendLimit {
			o.Billed = secs
		}
	}
	o.Cost, o.Overrun = rate.Cost(o.Billed), used-o.Billed
	if o.Overrun > 0 {
		o.OverrunCost = rate.SliceCost(o.Billed, used)
	}
	o.Posted = o.Cost
	return o
}

// permutations calls yield with every order of n things.
func permutations(n int, yield func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var place func(int)
	place = func(at int) {
		if at == n {
			yield(order)
			return
		}
		for i := at; i < n; i++ {
			order[at], order[i] = order[i], order[at]
			place(at + 1)
			order[at], order[i] = order[i], order[at]
		}
	}
	place(0)
}

// Every order of the events of a call, with duplicates, leads to the same end.
func TestReportsInEveryOrder(t *testing.T) {
	blocking := limited("0.30")
	blocking.SpendLimitAction = profile.BlockNewCalls
	for _, c := range []struct {
		name        string
		profile     profile.Profile
		first, next int32
		fee         string
	}{
		{"unlimited", profile.New(), 30, 6, "0"},
		{"limit reached", limited("0.40"), 1, 1, "0"},
		{"new calls blocked", blocking, 6, 6, "0.02"},
	} {
		t.Run(c.name, func(t *testing.T) {
			deck := deckOf(t, c.first, c.next, c.fee, map[string]string{"1": "0.60"})
			events := callLife(switchAttempt("+13125550199"), toldDuration)
			events = append(events, events[0], events[len(events)-1])
			want := expected(c.profile, toldDuration, c.first, c.next, money.MustParse("0.60"), money.MustParse(c.fee))
			tried := 0
			permutations(len(events), func(order []int) {
				if tried++; t.Failed() {
					return
				}
				b := newBench(t, c.profile, deck)
				b.now = noon.Add(toldEnd + time.Second)
				told := make([]Command, len(order))
				for i, at := range order {
					told[i] = events[at]
				}
				if diff := cmp.Diff(want, b.end(b.tell(told))); diff != "" {
					t.Errorf("order %v (-want +got):\n%s", order, diff)
				}
			})
			if tried != 5040 {
				t.Errorf("%d orders were tried", tried)
			}
		})
	}
}

// Events that come in time, and those that come as late as a switch may send them,
// in any order and any number, lead to the same end.
func TestReportsAtAnyTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.SampledFrom([][2]int32{{1, 1}, {6, 6}, {30, 6}, {60, 60}}).Draw(rt, "increments")
		duration := time.Duration(rapid.Int64Range(0, 90_000).Draw(rt, "duration in ms")) * time.Millisecond
		p := profile.New()
		if rapid.Bool().Draw(rt, "limited") {
			p = limited(rapid.SampledFrom([]string{"0.61", "0.75", "1", "100"}).Draw(rt, "limit"))
		}
		attempt := switchAttempt("+13125550199")
		events := callLife(attempt, duration)
		// First what is in time, each event at its own time; then all again, late.
		sent := rapid.SliceOfN(rapid.Bool(), len(events), len(events)).Draw(rt, "in time")
		b := newBench(t, p, deckOf(t, rate[0], rate[1], "0", map[string]string{"1": "0.60"}))
		var records []*record.Call
		for i, e := range events {
			switch r, ok := e.(Report); {
			case !ok:
			case r.Stage == StageRunning:
				b.now = noon.Add(toldAnswer + r.Elapsed)
			default:
				b.now = time.UnixMicro(r.AtMicros)
			}
			if sent[i] {
				records = append(records, b.tell([]Command{e})...)
			}
		}
		late := rapid.Permutation(slices.Concat(events, events)).Draw(rt, "late")
		for i, e := range late {
			b.now = b.now.Add(time.Duration(i) * 100 * time.Millisecond)
			records = append(records, b.tell([]Command{e})...)
		}
		want := expected(p, duration, rate[0], rate[1], money.MustParse("0.60"), 0)
		if want.Duration == 0 {
			want.Billed = int64(rate[0]) // answered and hung up at once
			want.Cost = rating.Rate{PerMinute: money.MustParse("0.60")}.Cost(want.Billed)
			want.Posted = want.Cost
			want.Overrun, want.OverrunCost = 0, 0
		}
		if diff := cmp.Diff(want, b.end(records)); diff != "" {
			rt.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// A call that was never answered costs nothing, in whatever order that is told.
func TestUnansweredInEveryOrder(t *testing.T) {
	attempt := switchAttempt("+13125550199")
	report := func(stage Stage) Report {
		return Report{ID: attempt.Call.ID, Account: testAccount, Stage: stage, Attempt: &attempt, Elapsed: -1}
	}
	end := report(StageEnded)
	end.Answered = new(false)
	end.Ending = Ending{SIPStatus: 486, Cause: "user_busy", Source: record.SideCallee}
	events := []Command{attempt, report(StageRunning), end, attempt, report(StageRunning), end}
	want := ledgerEnd{Outcome: record.OutcomeFailed, Cause: "user_busy", Status: 486, Records: 1}
	permutations(len(events), func(order []int) {
		b := newBench(t, profile.New(), standardDeck(t))
		told := make([]Command, len(order))
		for i, at := range order {
			told[i] = events[at]
		}
		if diff := cmp.Diff(want, b.end(b.tell(told))); diff != "" {
			t.Fatalf("order %v (-want +got):\n%s", order, diff)
		}
	})
}

// What is refused changes nothing.
func TestReportsRefused(t *testing.T) {
	const second = int64(time.Second / time.Microsecond)
	attempt := switchAttempt("+13125550199")
	other := switchAttempt("+13125550123")
	call := attempt.Call.ID
	now := noon.Add(30 * time.Second).UnixMicro()
	hour := int64(3600) * second
	for _, c := range []struct {
		name  string
		state string // of the call before: none, ringing, answered, ended, lost
		told  Command
		want  error
	}{
		{"event of no call", "none", Report{ID: call, Account: testAccount, Stage: StageEnded, Elapsed: -1}, ErrUnknownCall},
		{"another account", "answered", Report{ID: call, Account: 99, Stage: StageEnded, Elapsed: -1}, ErrUnknownCall},
		{"another account, later", "ended", Report{ID: call, Account: 99, Stage: StageEnded, Elapsed: -1}, ErrUnknownCall},
		{"another number", "ringing", Reserve{Call: other.Call, Owner: other.Owner}, ErrOtherContent},
		{"another number, later", "ended", Reserve{Call: other.Call, Owner: other.Owner}, ErrOtherContent},
		{"another number in an event", "answered", Report{ID: call, Account: testAccount, Stage: StageAnswered, Attempt: &other, Elapsed: -1}, ErrOtherContent},
		{"another number in a late event", "ended", Report{ID: call, Account: testAccount, Stage: StageAnswered, Attempt: &other, Elapsed: -1}, ErrOtherContent},
		{"answered before it was asked", "ringing", Report{ID: call, Account: testAccount, Stage: StageAnswered, AtMicros: now - hour, Elapsed: -1}, ErrClock},
		{"answered in an hour", "ringing", Report{ID: call, Account: testAccount, Stage: StageAnswered, AtMicros: now + hour, Elapsed: -1}, ErrClock},
		{"answered at another time", "answered early", Report{ID: call, Account: testAccount, Stage: StageAnswered, AtMicros: now + 40*second, Elapsed: -1}, ErrOtherContent},
		{"runs for hours", "answered", Report{ID: call, Account: testAccount, Stage: StageRunning, Elapsed: 5 * time.Hour}, ErrClock},
		{"rang for hours", "ringing", Report{ID: call, Account: testAccount, Stage: StageRunning, Elapsed: 5 * time.Hour}, ErrClock},
		{"ended in an hour", "answered", Report{ID: call, Account: testAccount, Stage: StageEnded, AtMicros: now + hour, Elapsed: -1}, ErrClock},
		{"ended before it was answered", "answered", Report{ID: call, Account: testAccount, Stage: StageEnded, AtMicros: now - hour, Elapsed: -1}, ErrClock},
		{"lasted for hours", "answered", Report{ID: call, Account: testAccount, Stage: StageEnded, Elapsed: 5 * time.Hour}, ErrClock},
		{"lasted for days, unknown", "none", Report{ID: call, Account: testAccount, Stage: StageEnded, Attempt: &attempt, Elapsed: 25 * time.Hour}, ErrClock},
		{"ended last week, unknown", "none", Report{ID: call, Account: testAccount, Stage: StageEnded, Attempt: &attempt, AtMicros: now - 7*24*hour, Elapsed: -1}, ErrClock},
		{"never answered after all", "answered", Report{ID: call, Account: testAccount, Stage: StageEnded, Answered: new(false), Elapsed: -1}, ErrOtherContent},
		{"another duration", "ended", Report{ID: call, Account: testAccount, Stage: StageEnded, Elapsed: 11 * time.Second}, ErrOtherContent},
		{"another status", "ended", Report{ID: call, Account: testAccount, Stage: StageEnded, Elapsed: -1, Ending: Ending{SIPStatus: 486}}, ErrOtherContent},
		{"another cause", "ended", Report{ID: call, Account: testAccount, Stage: StageEnded, Elapsed: -1, Ending: Ending{Cause: "user_busy"}}, ErrOtherContent},
		{"not answered, later", "ended", Report{ID: call, Account: testAccount, Stage: StageEnded, Answered: new(false), Elapsed: -1}, ErrOtherContent},
		{"the same end", "ended", Report{ID: call, Account: testAccount, Stage: StageEnded, Elapsed: 10 * time.Second}, nil},
		{"the end of a lost call", "lost", Report{ID: call, Account: testAccount, Stage: StageEnded, Elapsed: 10 * time.Second}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, limited("100"), standardDeck(t))
			b.reach(c.state, attempt)
			b.now = noon.Add(30 * time.Second)
			if c.state == "lost" {
				b.now = noon.Add(time.Hour)
			}
			before := b.picture()
			result := b.apply(c.told)
			if !errors.Is(result.Err, c.want) || c.want == nil && result.Err != nil {
				t.Errorf("error %v, want %v", result.Err, c.want)
			}
			changes := b.state.TakeChanges()
			if diff := cmp.Diff(before, b.picture()); diff != "" || len(changes.Leases)+len(changes.Gone)+len(changes.Records)+len(changes.Events) > 0 {
				t.Errorf("changed:\n%s%+v", diff, changes)
			}
		})
	}
}

// reach leads the call of an attempt to a state.
func (b *bench) reach(state string, attempt Reserve) {
	report := Report{ID: attempt.Call.ID, Account: testAccount, Elapsed: -1}
	steps := map[string][]Stage{"ringing": {}, "answered": {StageAnswered}, "answered early": {StageAnswered}, "lost": {StageAnswered}, "ended": {StageAnswered, StageEnded}}
	stages, known := steps[state]
	if !known {
		return
	}
	b.tell([]Command{attempt})
	for _, stage := range stages {
		report.Stage = stage
		if stage == StageEnded {
			report.Elapsed = 10 * time.Second
			report.Ending = Ending{Cause: "normal_clearing"}
			b.now = b.now.Add(10 * time.Second)
		}
		b.tell([]Command{report})
	}
	if state == "lost" {
		b.now = noon.Add(time.Hour)
		for _, r := range b.apply(Expire{}).Expired {
			b.state.Remember(r)
		}
	}
	b.state.TakeChanges()
}

func (b *bench) picture() string {
	posted, held := b.state.Spend(testProfile, today)
	text := fmt.Sprint(posted, held, len(b.state.ended))
	for _, l := range b.state.leases {
		text += fmt.Sprintf(" %+v", *l)
	}
	return text
}

// A call that is not renewed is over at the end of its grant, and charged for it.
func TestSwitchCallIsOverAtItsGrant(t *testing.T) {
	b := newBench(t, profile.New(), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	b.reach("answered", switchAttempt("+13125550199"))
	b.now = noon.Add(30*time.Second + ExpiryGrace - time.Microsecond)
	if r := b.apply(ExpireOwners{Keep: owner}); len(r.Expired) != 0 {
		t.Error("the restart of a process ended the call of a switch")
	}
	if r := b.apply(Expire{}); len(r.Expired) != 0 {
		t.Error("the call was ended within the grace")
	}
	b.now = b.now.Add(time.Microsecond)
	r := b.apply(Expire{})
	if len(r.Expired) != 1 || r.Expired[0].Outcome != record.OutcomeLost || r.Expired[0].BilledSecs != 30 || r.Expired[0].Cost != money.MustParse("0.30") {
		t.Errorf("expired: %+v", r.Expired)
	}
	b.wantSpend(today, "0.30", "0")
}

// A switch that was restarted has no calls of before, and keeps those of after.
func TestRestartedSwitch(t *testing.T) {
	b := newBench(t, profile.New(), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	b.reach("answered", switchAttempt("+13125550199"))
	b.now = noon.Add(10 * time.Second)
	restart := ExpireSwitch{Owner: SwitchOwner(testAccount, "pbx"), BeforeMicros: b.now.UnixMicro()}
	b.now = noon.Add(15 * time.Second)
	after := switchAttempt("+13125550199")
	after.Call.ID = SwitchCallID(testAccount, "b@pbx")
	elsewhere := after
	elsewhere.Call.ID = SwitchCallID(testAccount, "c@other")
	elsewhere.Owner = SwitchOwner(testAccount, "other")
	b.tell([]Command{after, elsewhere})
	for range 2 {
		r := b.apply(restart)
		for _, one := range r.Expired {
			if one.BilledSecs != 10 || one.HangupCause != "switch_restarted" || one.EndedMicros != restart.BeforeMicros {
				t.Errorf("ended: %+v", one)
			}
		}
	}
	if n := len(b.state.leases); n != 2 {
		t.Errorf("%d calls are left, want 2", n)
	}
	b.wantSpend(today, "0.10", "0.60")
}

func TestSwitchIDs(t *testing.T) {
	a, b := SwitchCallID(1, "a"), SwitchCallID(2, "a")
	if a == b || a == SwitchOwner(1, "a") || a != SwitchCallID(1, "a") {
		t.Error("ids are not told apart")
	}
	for _, id := range []uuid.UUID{a, b, SwitchOwner(1, "")} {
		if !IsSwitchID(id) {
			t.Errorf("%v is not known as a switch's", id)
		}
	}
	for _, id := range []uuid.UUID{uuid.New(), uuid.Must(uuid.NewV7()), {}} {
		if IsSwitchID(id) {
			t.Errorf("%v is taken for a switch's", id)
		}
	}
}
