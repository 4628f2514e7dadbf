package admission

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/profile"
)

// A used id is no call: only the request that led to it can be repeated, and never
// into a call that has ended.
func TestUsedIDs(t *testing.T) {
	other := RequestID("another request")
	for _, c := range []struct {
		name, state string // of the call before: see reach
		change      func(*Reserve)
		want        Reason
		own         bool // it gets an id of its own
	}{
		{"the same request", "ringing", func(*Reserve) {}, ReasonNone, false},
		{"the same request, answered", "answered", func(*Reserve) {}, ReasonNone, false},
		{"the same request, ended", "ended", func(*Reserve) {}, ReasonCallEnded, false},
		{"the same request, lost", "lost", func(*Reserve) {}, ReasonCallEnded, false},
		{"no proof", "ringing", func(r *Reserve) { r.Call.Request = uuid.Nil }, ReasonCallIDUsed, true},
		{"no proof, ended", "ended", func(r *Reserve) { r.Call.Request = uuid.Nil }, ReasonCallIDUsed, true},
		{"another proof", "answered", func(r *Reserve) { r.Call.Request = other }, ReasonCallIDUsed, true},
		{"another proof, lost", "lost", func(r *Reserve) { r.Call.Request = other }, ReasonCallIDUsed, true},
		{"another switch", "ringing", func(r *Reserve) { r.Owner = SwitchOwner(testAccount, "b") }, ReasonCallIDUsed, true},
		{"another number without proof", "ringing", func(r *Reserve) { r.Call.To, r.Call.Request = "+13125550123", other }, ReasonCallIDUsed, true},
		{"an emergency", "ringing", func(r *Reserve) { r.Call.To = "911" }, ReasonNone, true},
		{"an emergency without proof", "ended", func(r *Reserve) { r.Call.To, r.Call.Request = "911", uuid.Nil }, ReasonNone, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, profile.New(), standardDeck(t))
			attempt := switchAttempt("+13125550199")
			b.reach(c.state, attempt)
			live := len(b.state.leases)
			again := attempt
			again.Spare = SpareID(uuid.New())
			c.change(&again)
			r := b.apply(again)
			if r.Err != nil || r.Decision.Reason != c.want || r.Decision.Allow != (c.want == ReasonNone) {
				t.Fatalf("%v, %v, allowed %v; want %v", r.Err, r.Decision.Reason, r.Decision.Allow, c.want)
			}
			if own := r.Decision.ID == again.Spare; own != c.own {
				t.Errorf("an id of its own: %v, want %v", own, c.own)
			}
			more := 0
			if c.own && c.want == ReasonNone {
				more = 1
			}
			if n := len(b.state.leases) - live; n != more {
				t.Errorf("%d more leases, want %d", n, more)
			}
			if records := b.state.TakeChanges().Records; (len(records) == 1) != (c.own && c.want != ReasonNone) {
				t.Errorf("records %+v", records)
			}
			if c.want != ReasonCallIDUsed {
				return
			}
			stored, err := DecodeDecision(r.Record.Decision)
			if err != nil || stored.Reason != ReasonCallIDUsed || stored.Verdicts[RuleCallID] != Refuse {
				t.Errorf("stored as %v, %v", stored.Reason, err)
			}
		})
	}
}

// An emergency call that is repeated once it is over is a call of its own.
func TestEndedEmergencyRepeated(t *testing.T) {
	b := newBench(t, profile.New(), standardDeck(t))
	attempt := switchAttempt("911")
	attempt.Spare = SpareID(uuid.New())
	b.tell([]Command{attempt, Report{ID: attempt.Call.ID, Account: testAccount, Stage: StageEnded, Elapsed: 10 * time.Second}})
	if r := b.apply(attempt); !r.Decision.Allow || r.Decision.ID != attempt.Spare {
		t.Errorf("%+v", r.Decision)
	}
}
