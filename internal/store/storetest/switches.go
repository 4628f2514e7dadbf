package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// switchCall is the attempt of another switch, by the switch's own call id.
func (b *bed) switchCall(callID string) admission.Reserve {
	r := b.reserve()
	r.Call.ID = admission.SwitchCallID(b.account.ID, callID)
	r.Call.Account = b.account.ID
	r.Call.SIPCallID = callID
	r.Call.Request = admission.RequestID("of " + callID)
	r.Spare = admission.SpareID(uuid.New())
	r.Owner = admission.SwitchOwner(b.account.ID, "pbx")
	return r
}

func (b *bed) report(call uuid.UUID, stage admission.Stage, elapsed time.Duration) admission.Report {
	return admission.Report{ID: call, Account: b.account.ID, Stage: stage, Elapsed: elapsed}
}

// testSwitches leads calls of another switch: the processes of Tollgate come and go
// meanwhile, and only the switch's own restart ends them.
func testSwitches(t *testing.T, open Opener) {
	b := newBed(t, open)
	first, second := b.switchCall("first"), b.switchCall("second")
	b.do(t, first)
	b.do(t, second)
	b.do(t, b.report(first.Call.ID, admission.StageAnswered, -1))
	b.clock.advance(20 * time.Second)
	b.reopen(t, open, func(o *Options) { o.Owner = uuid.New() })
	if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != 2 {
		t.Fatalf("%d live calls after a restart of Tollgate, want 2", n)
	}
	// One of them is found by itself, by its own account only.
	live := value(b.LiveCall(ctx, b.account.ID, first.Call.ID))(t)
	if all := value(b.LiveCalls(ctx, b.account.ID))(t); !slices.ContainsFunc(all,
		func(c store.LiveCall) bool { return cmp.Equal(c, live) }) || live.ElapsedMs != 20_000 {
		t.Errorf("live call %+v, among %+v", live, all)
	}
	for what, err := range map[string]error{
		"another account's": errOf(b.LiveCall(ctx, b.other.ID, first.Call.ID)),
		"none":              errOf(b.LiveCall(ctx, b.account.ID, uuid.New())),
	} {
		if !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("%s live call: %v", what, err)
		}
	}
	b.clock.advance(20 * time.Second)
	renew := b.report(first.Call.ID, admission.StageRunning, 40*time.Second)
	for range 3 {
		if r := b.do(t, renew); r.GrantedSecs != 120 {
			t.Errorf("granted %d s, want 120", r.GrantedSecs)
		}
	}
	end := b.report(first.Call.ID, admission.StageEnded, 61*time.Second)
	b.clock.advance(21 * time.Second)
	one := b.do(t, end)
	if err := errOf(b.LiveCall(ctx, b.account.ID, first.Call.ID)); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("a call that is over is live: %v", err)
	}
	for _, repeated := range []admission.Report{end, renew, b.report(first.Call.ID, admission.StageAnswered, -1)} {
		if diff := cmp.Diff(one.Record, b.do(t, repeated).Record); diff != "" || one.Record.Cost != 2*money.Dollar {
			t.Errorf("stage %d after the end:\n%s", repeated.Stage, diff)
		}
	}
	b.wantRefused(t, admission.ErrOtherContent, b.report(first.Call.ID, admission.StageEnded, 62*time.Second))
	b.wantRefused(t, admission.ErrUnknownCall,
		admission.Report{ID: first.Call.ID, Account: b.other.ID, Stage: admission.StageEnded, Elapsed: -1})
	b.wantRefused(t, admission.ErrUnknownCall,
		admission.Report{ID: second.Call.ID, Account: b.other.ID, Stage: admission.StageEnded, Elapsed: -1})
	b.wantRefused(t, admission.ErrUnknownCall, b.report(uuid.New(), admission.StageAnswered, -1))

	// An end that comes first brings the attempt with it.
	early := b.switchCall("early")
	end = b.report(early.Call.ID, admission.StageEnded, 30*time.Second)
	end.Attempt = &early
	if r := b.do(t, end); r.Record == nil || r.Record.Cost != money.Dollar {
		t.Errorf("early end: %+v", r)
	}
	if r := b.do(t, early); r.Decision.Reason != admission.ReasonCallEnded || r.Decision.Allow || r.Record == nil {
		t.Errorf("attempt after its end: %+v", r)
	}
	other := early
	other.Call.To = "+12125550100"
	b.wantRefused(t, admission.ErrOtherContent, other)

	expire := admission.ExpireSwitch{Owner: second.Owner, BeforeMicros: b.clock.Now().UnixMicro()}
	b.clock.advance(time.Second)
	after := b.switchCall("after the restart")
	b.do(t, after)
	if r := b.do(t, expire); len(r.Expired) != 1 || r.Expired[0].ID != second.Call.ID {
		t.Errorf("restart ended %d calls, want 1", len(r.Expired))
	}
	if r := value(b.Record(ctx, b.account.ID, second.Call.ID))(t); r.Outcome != record.OutcomeLost || r.Cost != 0 {
		t.Errorf("ringing call of a restarted switch: %v, %v", r.Outcome, r.Cost)
	}
	if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != 1 {
		t.Errorf("%d live calls, want 1", n)
	}
	spend := b.spendToday(t)
	if want := (admission.Spend{Posted: 3 * money.Dollar, Held: money.Dollar}); spend != want {
		t.Errorf("spend %+v, want %+v", spend, want)
	}
}

// testUsedIDs repeats attempts whose ids were used before, by the same request and by
// others, before and after the store was opened again.
func testUsedIDs(t *testing.T, open Opener) {
	b := newBed(t, open)
	live, over, refused := b.switchCall("live"), b.switchCall("over"), b.switchCall("refused")
	refused.Call.To = "+33142685300"
	b.do(t, live)
	b.do(t, over)
	if r := b.do(t, refused); r.Decision.Allow {
		t.Fatal("a call to a country that is not whitelisted is allowed")
	}
	b.do(t, admission.Report{ID: over.Call.ID, Account: b.account.ID, Stage: admission.StageEnded,
		Elapsed: 61 * time.Second, Answered: new(true)})
	for range 2 {
		for _, c := range []struct {
			attempt admission.Reserve
			same    admission.Reason
		}{{live, admission.ReasonNone}, {over, admission.ReasonCallEnded}, {refused, admission.ReasonNotWhitelisted}} {
			if r := b.do(t, c.attempt); r.Decision.Reason != c.same || r.Decision.Allow != (c.same == admission.ReasonNone) ||
				r.Decision.ID != c.attempt.Call.ID {
				t.Errorf("%s, the same request: %v, allowed %v", c.attempt.Call.SIPCallID, r.Decision.Reason, r.Decision.Allow)
			}
			for _, proof := range []string{"", "another"} {
				other := c.attempt
				other.Call.To = live.Call.To
				other.Call.Request = admission.RequestID(proof)
				other.Spare =
					admission.SpareID(uuid.New())
				r := b.do(t, other)
				if r.Decision.Allow || r.Decision.Reason != admission.ReasonCallIDUsed || r.Decision.ID != other.Spare {
					t.Errorf("%s, request %q: %v as %v", c.attempt.Call.SIPCallID, proof, r.Decision.Reason, r.Decision.ID)
				}
				if r := value(b.Record(ctx, b.account.ID, other.Spare))(t); r.Reason != "call_id_used" {
					t.Errorf("record of %s: %+v", c.attempt.Call.SIPCallID, r)
				}
			}
		}
		b.reopen(t, open)
	}
	if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != 1 {
		t.Errorf("%d live calls, want 1", n)
	}
	spend := b.spendToday(t)
	if want := (admission.Spend{Posted: 2 * money.Dollar, Held: money.Dollar}); spend != want {
		t.Errorf("spend %+v, want %+v", spend, want)
	}
}

// testRulesOfTheServer: the limit of a call's length is kept with its lease, and a server
// counts the calls of a connection in the past second, however its ledger is kept.
func testRulesOfTheServer(t *testing.T, open Opener) {
	b := newBed(t, open)
	value(b.CredentialConnections().Update(ctx, b.account.ID, b.phone.ID,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			c.CallsPerSecond, c.MaxCallSecs = new(int32(2)), new(int32(90))
			return c, nil
		}))(t)
	var reasons []admission.Reason
	first := b.reserve()
	for _, r := range []admission.Reserve{first, first, b.reserve(), b.reserve(), b.reserve()} {
		reasons = append(reasons, b.do(t, r).Decision.Reason)
	}
	want := []admission.Reason{0, 0, 0, admission.ReasonCallRate, admission.ReasonCallRate}
	if !slices.Equal(reasons, want) {
		t.Errorf("answers %v, want %v", reasons, want)
	}
	urgent := b.reserve()
	urgent.Call.To = "911"
	if d := b.do(t, urgent).Decision; !d.Allow || !d.Facts.Emergency {
		t.Errorf("an emergency call: %v", d.Reason)
	}
	b.clock.advance(time.Second)
	if d := b.do(t, b.reserve()).Decision; !d.Allow {
		t.Errorf("a second later: %v", d.Reason)
	}

	b.do(t, admission.Answer{ID: first.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
	b.reopen(t, open)
	for elapsed := 50 * time.Second; elapsed <= 150*time.Second; elapsed += 50 * time.Second {
		b.clock.advance(50 * time.Second)
		r := b.do(t, admission.Renew{ID: first.Call.ID, Elapsed: elapsed, GrantedSecs: 60})
		if r.GrantedSecs > 90 || r.MaxSecs != 90 {
			t.Errorf("after %v: %d s of at most %d s granted", elapsed, r.GrantedSecs, r.MaxSecs)
		}
	}
	r := b.do(t, admission.Settle{ID: first.Call.ID,
		Ending: admission.Ending{EndedMicros: b.clock.Now().UnixMicro(), Elapsed: 89 * time.Second}}).Record
	if r.BilledSecs != 120 || r.Cost != 2*money.Dollar || r.OverrunSecs != 0 {
		t.Errorf("billed %d s for %v, overrun %d s", r.BilledSecs, r.Cost, r.OverrunSecs)
	}
}

// wantRefused runs a command that must be refused and change nothing.
func (b *bed) wantRefused(t testing.TB, want error, c admission.Command) {
	t.Helper()
	before := b.picture(t)
	r, err := b.Do(ctx, c)
	if err != nil || !errors.Is(r.Err, want) {
		t.Errorf("%T: %v, %v, want %v", c, err, r.Err, want)
	}
	if diff := cmp.Diff(before, b.picture(t)); diff != "" {
		t.Errorf("%T was refused and changed something:\n%s", c, diff)
	}
}

// picture is all that the ledger shows of the first account.
func (b *bed) picture(t testing.TB) string {
	t.Helper()
	return fmt.Sprint(value(b.LiveCalls(ctx, b.account.ID))(t), b.spendToday(t))
}

// testSwitchOrders tells of a call in every order of its events, some of them at
// once with those of other calls, and twice.
func testSwitchOrders(t *testing.T, open Opener) {
	b := newBed(t, open)
	b.clock.advance(time.Minute)
	var calls []admission.Reserve
	var group sync.WaitGroup
	orders(4, func(order []int) {
		attempt := b.switchCall(fmt.Sprint("call ", order))
		calls = append(calls, attempt)
		end := b.report(attempt.Call.ID, admission.StageEnded, 61*time.Second)
		end.Answered, end.Ending.Cause = new(true), "normal_clearing"
		events := []admission.Report{b.report(attempt.Call.ID, admission.StageAnswered, -1),
			b.report(attempt.Call.ID, admission.StageRunning, 40*time.Second), end}
		for i := range events {
			events[i].Attempt = &attempt
		}
		order = slices.Clone(order)
		group.Go(func() {
			for range 2 {
				for _, i := range order {
					var c admission.Command = attempt
					if i > 0 {
						c = events[i-1]
					}
					if r, err := b.Do(ctx, c); err != nil || r.Err != nil {
						t.Errorf("order %v, event %d: %v, %v", order, i, err, r.Err)
					}
				}
			}
		})
	})
	group.Wait()
	for _, attempt := range calls {
		r := value(b.Record(ctx, b.account.ID, attempt.Call.ID))(t)
		if r.Outcome != record.OutcomeAnswered || r.BilledSecs != 120 || r.Cost != 2*money.Dollar ||
			r.DurationMicros != 61_000_000 || len(r.Slices) != 1 || r.SIPCallID != attempt.Call.SIPCallID {
			t.Errorf("%s: %+v", attempt.Call.SIPCallID, r)
		}
	}
	if page := value(b.ListRecords(ctx, b.account.ID, collection.Query{Size: 1, Number: 1}))(t); page.Total != len(calls) {
		t.Errorf("%d records of %d calls", page.Total, len(calls))
	}
	want := admission.Spend{Posted: money.Amount(len(calls)) * 2 * money.Dollar}
	if spend := b.spendToday(t); spend != want {
		t.Errorf("spend %+v, want %+v", spend, want)
	}
	if n := len(value(b.LiveCalls(ctx, b.account.ID))(t)); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

// orders calls yield with every order of n things.
func orders(n int, yield func([]int)) {
	var place func([]int)
	place = func(order []int) {
		if len(order) == n {
			yield(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				place(append(slices.Clip(order), i))
			}
		}
	}
	place(nil)
}
