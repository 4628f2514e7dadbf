package admission

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

func (b *bench) limitLength(profileSecs, connectionSecs int32) {
	b.t.Helper()
	p, c := profile.New(), attachedConnection()
	p.ID = testProfile
	p.AccountID = testAccount
	p.MaxCallSecs = &profileSecs
	c.ID = testConnection
	c.AccountID = testAccount
	c.MaxCallSecs = &connectionSecs
	s, err := b.policy.With(policy.PutProfile(&p), policy.PutIPConn(&c))
	if err != nil {
		b.t.Fatal(err)
	}
	b.policy = s
}

// The grants of a call end at the limit of its length, and increments are paid whole.
func TestGrantsEndAtTheLimitOfLength(t *testing.T) {
	for _, c := range []struct {
		first, next    int32
		server         int64
		profile, conn  int32
		want, wantPaid int64
	}{
		{1, 1, 0, 90, 3600, 90, 90},
		{1, 1, 70, 90, 80, 70, 70},
		{60, 60, 0, 3600, 90, 90, 120},
		{6, 6, 0, 100, 3600, 100, 102},
		{60, 60, 0, 10, 3600, 10, 60},
		{30, 6, 1, 90, 90, 1, 30},
	} {
		b := newBench(t, profile.New(), deckOf(t, c.first, c.next, "0", map[string]string{"1": "0.60"}))
		b.limitLength(c.profile, c.conn)
		call := callTo("+12125550123")
		call.MaxSecs = c.server
		r := b.apply(Reserve{Call: call, Owner: owner})
		if r.MaxSecs != c.want || r.GrantedSecs > c.want || r.GrantedSecs < min(c.want, 24) {
			t.Errorf("%+v: first grant %d s of %d s", c, r.GrantedSecs, r.MaxSecs)
		}
		b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
		for elapsed := time.Duration(0); elapsed <= 4*time.Minute; elapsed += 5 * time.Second {
			b.now = noon.Add(elapsed)
			if r = b.apply(Renew{ID: call.ID, Elapsed: elapsed, GrantedSecs: r.GrantedSecs}); r.GrantedSecs > c.want || r.Err != nil {
				t.Fatalf("%+v: granted %d s: %v", c, r.GrantedSecs, r.Err)
			}
			if r.Extended && elapsed > time.Duration(c.want)*time.Second {
				t.Errorf("%+v: extended after %v", c, elapsed)
			}
		}
		if r.GrantedSecs != c.want {
			t.Errorf("%+v: granted %d s in the end", c, r.GrantedSecs)
		}
		end := b.apply(Settle{ID: call.ID, Ending: Ending{EndedMicros: b.now.UnixMicro(), Elapsed: time.Duration(c.want)*time.Second - 500*time.Millisecond}}).Record
		if end.BilledSecs != c.wantPaid || end.OverrunSecs != 0 || end.Cost != money.MustParse("0.01")*money.Amount(c.wantPaid) {
			t.Errorf("%+v: billed %d s for %v, overrun %d s", c, end.BilledSecs, end.Cost, end.OverrunSecs)
		}
		if d, err := DecodeDecision(end.Decision); err != nil || d.Facts.MaxSecs() != c.want || d.Verdicts[RuleLength] != Pass {
			t.Errorf("%+v: stored limit %d s, %v", c, d.Facts.MaxSecs(), err)
		}
	}
}

// What a switch lets go on beyond the limit is not charged, and one that hears nothing
// more is taken to have ended at it. An emergency call has no limit.
func TestSwitchCallsBeyondTheLimitOfLength(t *testing.T) {
	newCall := func(number string) (*bench, Reserve) {
		b := newBench(t, limited("100"), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
		b.limitLength(40, 3600)
		attempt := switchAttempt(number)
		b.tell([]Command{attempt, Report{ID: attempt.Call.ID, Account: testAccount, Stage: StageAnswered, Elapsed: -1}})
		return b, attempt
	}
	b, attempt := newCall("+13125550199")
	b.now = noon.Add(35 * time.Second)
	r := b.apply(Report{ID: attempt.Call.ID, Account: testAccount, Stage: StageRunning, Elapsed: 35 * time.Second})
	if r.GrantedSecs != 40 || r.MaxSecs != 40 || r.DueMicros != noon.Add(40*time.Second).UnixMicro() {
		t.Errorf("renewed: %d s, due %v", r.GrantedSecs, time.UnixMicro(r.DueMicros))
	}
	b.now = noon.Add(50 * time.Second)
	end := b.apply(Report{ID: attempt.Call.ID, Account: testAccount, Stage: StageEnded, Elapsed: 50 * time.Second}).Record
	if end.BilledSecs != 40 || end.OverrunSecs != 10 || end.HangupCause != "time_limit" {
		t.Errorf("ended: billed %d s, overrun %d s, %s", end.BilledSecs, end.OverrunSecs, end.HangupCause)
	}

	if end.Reason != ReasonCallLength.String() {
		t.Errorf("ended by %q", end.Reason)
	}
	for _, other := range []Report{
		{Elapsed: 20 * time.Second}, {Elapsed: 40 * time.Second, Ending: Ending{Cause: "user_busy"}},
	} {
		b, attempt = newCall("+13125550199")
		b.now = noon.Add(50 * time.Second)
		other.ID = attempt.Call.ID
		other.Account = testAccount
		other.Stage = StageEnded
		if end := b.apply(other).Record; end.Reason != "" {
			t.Errorf("%+v: ended by %q", other, end.Reason)
		}
	}

	b, _ = newCall("+13125550199")
	b.now = noon.Add(40*time.Second + ExpiryGrace)
	if lost := b.apply(Expire{}).Expired; len(lost) != 1 || lost[0].BilledSecs > 40 || lost[0].Outcome != record.OutcomeLost {
		t.Errorf("lost: %+v", lost)
	}

	// It counts from the answer: a call that rang for long may last as long.
	b = newBench(t, limited("100"), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	b.limitLength(40, 3600)
	late := switchAttempt("+13125550199")
	b.tell([]Command{late})
	b.now = noon.Add(time.Minute)
	b.tell([]Command{Report{ID: late.Call.ID, Account: testAccount, Stage: StageAnswered, Elapsed: -1}})
	b.now = noon.Add(time.Minute + 35*time.Second)
	if r = b.apply(Report{ID: late.Call.ID, Account: testAccount, Stage: StageRunning, Elapsed: -1}); r.GrantedSecs != 40 || r.DueMicros != noon.Add(100*time.Second).UnixMicro() {
		t.Errorf("after a minute of ringing: %d s, due %v", r.GrantedSecs, time.UnixMicro(r.DueMicros))
	}

	b, attempt = newCall("911")
	if l := b.state.Lease(attempt.Call.ID); l.MaxSecs != 0 || l.DueMicros() != 0 {
		t.Errorf("an emergency call ends after %d s", l.MaxSecs)
	}
}

func pacedBench(t *testing.T, perSecond int32) *bench {
	b := newBench(t, profile.New(), standardDeck(t))
	c := attachedConnection()
	c.ID = testConnection
	c.AccountID = testAccount
	c.CallsPerSecond = &perSecond
	c.Outbound.Localization = new("US")
	s, err := b.policy.With(policy.PutIPConn(&c))
	if err != nil {
		t.Fatal(err)
	}
	b.policy = s
	return b
}

// A connection begins as many calls a second as it may, whatever else is tried.
func TestCallsPerSecond(t *testing.T) {
	b := pacedBench(t, 3)
	try := func(number string) Reason {
		return b.apply(Reserve{Call: callTo(number), Owner: owner}).Decision.Reason
	}
	want := func(reasons ...Reason) {
		t.Helper()
		for i, reason := range reasons {
			if got := try("+12125550123"); got != reason {
				t.Errorf("call %d: %v, want %v", i, got, reason)
			}
		}
	}
	want(ReasonNone, ReasonNone)
	if got := try("+33142685300"); got != ReasonNotWhitelisted { // it counts as well
		t.Errorf("refused by %v", got)
	}
	want(ReasonCallRate, ReasonCallRate)
	if got := try("911"); got != ReasonNone {
		t.Errorf("an emergency call: %v", got)
	}
	b.now = b.now.Add(334 * time.Millisecond)
	want(ReasonNone, ReasonCallRate)
	b.now = b.now.Add(time.Hour)
	want(ReasonNone, ReasonNone, ReasonNone, ReasonCallRate)
	// The State is built anew, as by a store that failed: what was counted stays.
	again := NewState()
	again.CountPaces(b.state.paces)
	again.Restore(nil, nil, nil, b.now)
	b.state = again
	want(ReasonCallRate)
	b.state.paces.Undo(b.state.TakeChanges().Begun)
	want(ReasonCallRate)
	b.now = b.now.Add(time.Second)
	want(ReasonNone)
	b.state.paces.Undo(b.state.TakeChanges().Begun)
	want(ReasonNone, ReasonNone, ReasonNone, ReasonCallRate)
	// A repeated question is no new call.
	b.now = b.now.Add(time.Second)
	attempt := switchAttempt("+12125550123")
	attempt.Spare = SpareID(uuid.New())
	for range 5 {
		if d := b.apply(attempt).Decision; !d.Allow {
			t.Errorf("repeated: %v", d.Reason)
		}
	}
	want(ReasonNone, ReasonNone, ReasonCallRate)
}

// However many connections there are, what is counted stays bounded.
func TestPacesAreBounded(t *testing.T) {
	p := &Paces{}
	for c := range 3*maxPaces + 1 {
		p.begin(testConnection+1+id.ID(c), 1, noon.UnixMicro())
	}
	if n := len(p.young) + len(p.old); n > 2*maxPaces {
		t.Errorf("%d are counted", n)
	}
	if p.Begun(testConnection+1+id.ID(3*maxPaces), 1, noon.UnixMicro()) != 1 || p.Begun(testConnection, 5, noon.UnixMicro()) != 0 {
		t.Error("the latest is forgotten, or one that never called is counted")
	}
	if p.Begun(testConnection+1+id.ID(3*maxPaces), 1, noon.Add(-time.Hour).UnixMicro()) != 1 {
		t.Error("a clock that goes back frees calls")
	}
}
