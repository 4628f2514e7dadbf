package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// told is what a store has told of calls that were hung up.
type told struct {
	mu    sync.Mutex // guards calls
	calls map[uuid.UUID]int
}

func (h *told) hungUp(calls []uuid.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == nil {
		h.calls = make(map[uuid.UUID]int)
	}
	for _, call := range calls {
		h.calls[call]++
	}
}

// times is how often a call was reported.
func (h *told) times(call uuid.UUID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[call]
}

var byTest = store.HangUp{By: "hung up by the test"}

// audits counts the audit events of hang-ups.
func (b *bed) audits(t testing.TB) (n int) {
	t.Helper()
	page := value(b.ListAudit(ctx, b.account.ID, collection.Query{Number: 1, Size: 250}))(t)
	for i := range page.Items {
		if page.Items[i].RecordType == "call" {
			n++
		}
	}
	return n
}

func testHangUps(t *testing.T, open Opener) {
	heard := &told{}
	b := newBed(t, open, func(o *Options) { o.HungUp = heard.hungUp })
	up, urgent := b.reserve(), b.emergency()
	b.do(t, up)
	b.do(t, urgent)
	b.do(t, admission.Answer{ID: up.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
	b.clock.advance(20 * time.Second)
	for what, err := range map[string]error{
		"unknown": errOf(b.HangUpCall(ctx, b.account.ID, uuid.New(), byTest)),
		"foreign": errOf(b.HangUpCall(ctx, b.other.ID, up.Call.ID, store.HangUp{Force: true})),
	} {
		if !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := errOf(b.HangUpCall(ctx, b.account.ID, urgent.Call.ID, byTest)); !errors.Is(err, admission.ErrEmergencyCall) {
		t.Errorf("an emergency call: %v", err)
	}
	dry := collection.WithOrigin(ctx, &collection.Origin{DryRun: true})
	if h := value(b.HangUpCall(dry, b.account.ID, up.Call.ID, byTest))(t); h.Record != nil ||
		heard.times(up.Call.ID) != 0 ||
		b.audits(t) != 0 {
		t.Errorf("a dry run: %+v", h)
	}
	for i := range 3 {
		if h := value(b.HangUpCall(ctx, b.account.ID, up.Call.ID, byTest))(t); h.Record != nil || h.Switch || h.OwnerLost {
			t.Errorf("hung up: %+v", h)
		}
		if n := heard.times(up.Call.ID); n <= i {
			t.Errorf("told %d times after %d", n, i+1)
		}
	}
	if n := b.audits(t); n != 1 {
		t.Errorf("%d events in the audit", n)
	}
	// The mark outlives the process; a node that was not told sees it with the renewal.
	b.reopen(t, open)
	if live := value(b.LiveCall(ctx, b.account.ID, up.Call.ID))(t); live.Lease.HungUpMicros != b.clock.Now().UnixMicro() ||
		live.Lease.HungUpBy.String() != byTest.By {
		t.Errorf("after a restart: %+v", live.Lease)
	}
	if r := b.do(t, admission.Renew{ID: up.Call.ID, Elapsed: 20 * time.Second, GrantedSecs: 60}); !r.HungUp || r.Extended {
		t.Errorf("renewed: %+v", r)
	}
	if r := b.do(t, admission.Renew{ID: urgent.Call.ID}); r.HungUp {
		t.Errorf("the emergency call: %+v", r)
	}
	e := ending(b, 20*time.Second)
	e.HungUp = true
	e.Source = record.SideTollgate
	e.Cause = "normal_clearing"
	b.do(t, admission.Settle{ID: up.Call.ID, Ending: e})
	h := value(b.HangUpCall(ctx, b.account.ID, up.Call.ID, byTest))(t)
	if r := h.Record; r == nil || r.HungUpBy != byTest.By || r.HangupSource != record.SideTollgate ||
		r.Cost != money.Dollar {
		t.Errorf("the record: %+v", r)
	}
	if err := errOf(b.HangUpCall(ctx, b.other.ID, up.Call.ID, byTest)); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("another account's that is over: %v", err)
	}
	forced := byTest
	forced.Force = true
	value(b.HangUpCall(ctx, b.account.ID, urgent.Call.ID, forced))(t)
	if r := b.do(t, admission.Renew{ID: urgent.Call.ID}); !r.HungUp {
		t.Errorf("the emergency call by force: %+v", r)
	}
	if n := b.audits(t); n != 2 {
		t.Errorf("%d events in the audit", n)
	}
}

// testManyHangUps marks more calls than one transaction does.
func testManyHangUps(t *testing.T, open Opener) {
	heard := &told{}
	b := newBed(t, open, func(o *Options) { o.HungUp = heard.hungUp })
	const calls = 1203
	var waiting sync.WaitGroup
	for range calls {
		waiting.Add(1)
		b.Submit(b.reserve(), func(r admission.Result, err error) {
			defer waiting.Done()
			if err != nil || !r.Decision.Allow {
				t.Errorf("reserve: %v, %v", r.Decision.Reason, err)
			}
		})
	}
	waiting.Wait()
	urgent := b.emergency()
	b.do(t, urgent)
	elsewhere := store.CallFilter{Connection: b.pbx.ID}
	if h := value(b.HangUpCalls(ctx, b.account.ID, elsewhere, byTest))(t); len(h.Calls)+h.Already+h.Emergencies != 0 {
		t.Errorf("another connection: %+v", h)
	}
	if h := value(b.HangUpCalls(ctx, b.other.ID, store.CallFilter{}, byTest))(t); len(h.Calls) != 0 {
		t.Errorf("another account: %+v", h)
	}
	var kept []store.HungUpCalls
	once := &collection.Origin{Idempotency: &collection.Idempotency{Account: b.account.ID, Key: "once",
		Render: func(object any) (collection.Answer, error) {
			kept = append(kept, object.(store.HungUpCalls))
			return collection.Answer{Status: 200, Body: []byte("{}")}, nil
		}}}
	h := value(b.HangUpCalls(collection.WithOrigin(ctx, once), b.account.ID, store.CallFilter{Profile: b.profile.ID},
		byTest))(t)
	if len(h.Calls) != calls || h.Already != 0 || h.Emergencies != 1 || slices.Contains(h.Calls, urgent.Call.ID) {
		t.Errorf("hung up %d, %d already, %d left out", len(h.Calls), h.Already, h.Emergencies)
	}
	if len(kept) != 1 || len(kept[0].Calls) != calls {
		t.Errorf("%d answers are kept", len(kept))
	}
	for _, call := range h.Calls {
		if heard.times(call) == 0 {
			t.Fatalf("%s was not told of", call)
		}
	}
	// The same key again does nothing: the answer is there.
	again := errOf(b.HangUpCalls(collection.WithOrigin(ctx, once), b.account.ID, store.CallFilter{Profile: b.profile.ID},
		byTest))
	if !errors.As(again, new(*collection.ReplayError)) {
		t.Errorf("repeated: %v", again)
	}
	if h := value(b.HangUpCalls(ctx, b.account.ID, store.CallFilter{}, byTest))(t); len(h.Calls) != 0 ||
		h.Already != calls {
		t.Errorf("hung up again: %d, %d already", len(h.Calls), h.Already)
	}
	if n := b.audits(t); n != 3 {
		t.Errorf("%d events in the audit, want one for each transaction that marked calls", n)
	}
}

// testHangUpFaults loses the commit of a mark, and the answer to it.
func testHangUpFaults(t *testing.T, open Opener) {
	heard := &told{}
	b := newBed(t, open, func(o *Options) { o.HungUp = heard.hungUp })
	first, second := b.reserve(), b.reserve()
	b.do(t, first)
	b.do(t, second)
	hangUp := func(call uuid.UUID) error { return errOf(b.HangUpCall(ctx, b.account.ID, call, byTest)) }
	b.faults.inject(commitFails)
	if err := hangUp(first.Call.ID); !errors.Is(err, collection.ErrUnavailable) {
		t.Errorf("the commit failed: %v", err)
	}
	if live := value(b.LiveCall(ctx, b.account.ID, first.Call.ID))(t); live.Lease.HungUpMicros != 0 ||
		heard.times(first.Call.ID) != 0 || b.audits(t) != 0 {
		t.Errorf("nothing was durable: %+v", live.Lease)
	}
	b.faults.inject(commitFailsPersisted)
	if err := hangUp(second.Call.ID); !errors.Is(err, collection.ErrUnavailable) {
		t.Errorf("the answer was lost: %v", err)
	}
	if live := value(b.LiveCall(ctx, b.account.ID, second.Call.ID))(t); live.Lease.HungUpMicros == 0 || b.audits(t) != 1 {
		t.Errorf("it was durable: %+v", live.Lease)
	}
	must(t, hangUp(second.Call.ID))
	must(t, hangUp(first.Call.ID))
	if heard.times(first.Call.ID) == 0 || heard.times(second.Call.ID) == 0 || b.audits(t) != 2 {
		t.Errorf("told %v, %d events", heard.calls, b.audits(t))
	}
}
