package call

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
)

// watcher holds what must be true of a call whatever happens in which order.
type watcher struct {
	t         *rapid.T
	emergency bool

	reserved, allowed bool
	told, accepted    bool // the caller has a final answer
	hungUp            bool
	over              bool
	underway          admission.Command
	ends              int // Settle and Release that were not failed by the store
	answeredAt        time.Time
	granted           int64
	timer             time.Time
}

// watch checks the actions of one event.
func (w *watcher) watch(actions []Action, now time.Time) {
	for _, a := range actions {
		if w.over {
			w.t.Fatalf("%T after the end", a)
		}
		switch a := a.(type) {
		case Command:
			w.command(a.Command)
		case Accept:
			w.answeredAt = now
			w.final()
			w.accepted = true
		case Refuse:
			w.final()
		case Try:
			if w.told {
				w.t.Fatal("a gateway is tried for a caller that has its answer")
			}
		case EndBoth:
			if !w.accepted || w.hungUp {
				w.t.Fatal("hung up twice, or on a call that was not answered")
			}
			w.hungUp = true
		case SetTimer:
			w.timer = a.At
		case Over:
			w.over = true
		}
	}
	if end := w.end(); w.accepted && !w.hungUp && !end.IsZero() && !now.Before(end) {
		w.t.Fatalf("still up at %v, granted until %v", now.Sub(w.answeredAt), end.Sub(w.answeredAt))
	}
}

func (w *watcher) final() {
	if w.told {
		w.t.Fatal("the caller gets two final answers")
	}
	w.told = true
}

// end is when the grant ends.
func (w *watcher) end() time.Time {
	if w.emergency || w.answeredAt.IsZero() {
		return time.Time{}
	}
	return w.answeredAt.Add(time.Duration(w.granted) * time.Second)
}

func (w *watcher) command(c admission.Command) {
	if w.underway != nil {
		w.t.Fatal("two commands under way")
	}
	w.underway = c
	switch c.(type) {
	case admission.Settle:
		if !w.accepted {
			w.t.Fatal("a call that was not answered is settled")
		}
	case admission.Release:
		if w.accepted {
			w.t.Fatal("an answered call is released")
		}
	}
}

// answer makes up what the ledger says to the command under way.
func (w *watcher) answer() *LedgerDone {
	c := w.underway
	w.underway = nil
	switch rapid.SampledFrom([]string{"done", "done", "done", "failed", "busy"}).Draw(w.t, "store") {
	case "failed":
		if _, ok := c.(admission.Reserve); ok && rapid.Bool().Draw(w.t, "durable all the same") {
			w.reserved = true
		}
		return &LedgerDone{Err: errStore}
	case "busy":
		return &LedgerDone{Err: errStore, Nothing: true}
	}
	switch c.(type) {
	case admission.Reserve:
		w.reserved = true
		if !w.emergency && rapid.IntRange(0, 4).Draw(w.t, "deny") == 0 {
			return &LedgerDone{Result: admission.Result{Decision: admission.Decision{Reason: admission.ReasonNoRate}}}
		}
		w.allowed = true
		if !w.emergency {
			w.granted = rapid.Int64Range(1, 60).Draw(w.t, "grant")
		}
	case admission.Answer:
		if !w.emergency && rapid.IntRange(0, 9).Draw(w.t, "midnight") == 0 {
			w.granted = 0
		}
	case admission.Renew:
		if rapid.Bool().Draw(w.t, "extend") && !w.emergency && !w.answeredAt.IsZero() {
			w.granted += rapid.Int64Range(1, 60).Draw(w.t, "extension")
		}
		if rapid.IntRange(0, 9).Draw(w.t, "marked") == 0 {
			return &LedgerDone{Result: admission.Result{GrantedSecs: w.granted, HungUp: true}}
		}
	default:
		w.ends++
		return &LedgerDone{Result: admission.Result{Record: &record.Call{}}}
	}
	return &LedgerDone{Result: admission.Result{Decision: admission.Decision{Allow: true}, GrantedSecs: w.granted}}
}

// TestRandomOrders gives calls events in any order. Whatever comes: one final
// answer for the caller, exactly one end for the ledger, nothing after the end,
// and never longer than the grant.
func TestRandomOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		emergency := rapid.IntRange(0, 4).Draw(t, "emergency") == 0
		c, now := attemptOf(t, emergency), start
		w := &watcher{t: t, emergency: emergency}
		w.watch(c.Handle(Begin{}, now), now)
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			now = w.advance(c, now, rapid.Int64Range(0, 4000).Draw(t, "milliseconds"))
			gateway := rapid.IntRange(0, 2).Draw(t, "gateway")
			var e Event
			switch rapid.IntRange(0, 15).Draw(t, "event") {
			case 0, 1, 2, 3:
				if w.underway == nil {
					continue
				}
				e = w.answer()
			case 4:
				e = Rang{Gateway: gateway, Early: rapid.Bool().Draw(t, "early")}
			case 5, 6:
				e = Answered{Gateway: gateway}
			case 7:
				e = Refused{Gateway: gateway, Status: rapid.SampledFrom(
					[]int{302, 401, 404, 408, 421, 486, 488, 500, 503, 603}).Draw(t, "status")}
			case 8:
				e = Unreachable{Gateway: gateway}
			case 9:
				e = RingTimeout{gateway}
			case 10:
				e = Cancelled{}
			case 11:
				e = HungUp{By: rapid.SampledFrom([]record.Side{0, 1, 2}).Draw(t, "side"), Cause: CauseNormal}
			case 12:
				e = Stopping{}
			case 15:
				e = HangUp{}
			case 14:
				e = Skipped{Gateway: gateway, Why: admission.ReasonGatewaysDown}
			case 13:
				e = NoMedia{Gateway: gateway, Status: 488, Cause: CauseIncompatible}
			}
			w.watch(c.Handle(e, now), now)
		}
		w.finish(c, now)
	})
}

// advance lets time pass, with every timer at its time.
func (w *watcher) advance(c *Call, now time.Time, milliseconds int64) time.Time {
	until := now.Add(time.Duration(milliseconds) * time.Millisecond)
	for !w.timer.IsZero() && !w.timer.After(until) {
		if w.timer.After(now) {
			now = w.timer
		}
		w.timer = time.Time{}
		w.watch(c.Handle(Due{}, now), now)
	}
	return until
}

// finish ends the call, brings the store back, and counts.
func (w *watcher) finish(c *Call, now time.Time) {
	w.watch(c.Handle(Stopping{}, now), now)
	for range 20 {
		if w.underway != nil {
			e := &LedgerDone{Result: admission.Result{Record: &record.Call{}, Decision: admission.Decision{Allow: true}}}
			switch w.underway.(type) {
			case admission.Reserve:
				w.reserved, w.allowed = true, true
			case admission.Settle, admission.Release:
				w.ends++
			}
			w.underway = nil
			w.watch(c.Handle(e, now), now)
		}
		now = w.advance(c, now, 10_000)
	}
	if !w.over || !w.told || w.accepted != w.hungUp {
		w.t.Fatalf("not over: over %v, caller answered %v, accepted %v, hung up %v", w.over, w.told, w.accepted, w.hungUp)
	}
	if w.ends > 1 || (w.allowed && w.ends != 1) {
		w.t.Fatalf("%d ends of an attempt that was allowed: %v", w.ends, w.allowed)
	}
}
