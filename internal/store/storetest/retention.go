package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// testRecordRetention has records of several days, and keeps those of two days.
func testRecordRetention(t *testing.T, open Opener) {
	b := newBed(t, open)
	var old, kept []uuid.UUID
	refuse := func(n int) (calls []uuid.UUID) {
		for range n {
			r := b.reserve()
			r.Call.To = "+33142685300"
			calls = append(calls, b.do(t, r).Record.ID)
		}
		return calls
	}
	answer := func(elapsed time.Duration) uuid.UUID {
		r := b.reserve()
		b.do(t, r)
		b.do(t, admission.Answer{ID: r.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
		b.clock.advance(elapsed)
		b.do(t, admission.Settle{ID: r.Call.ID, Ending: ending(b, elapsed)})
		return r.Call.ID
	}
	old = append(refuse(450), answer(time.Minute)) // more than two batches
	const day = 24 * time.Hour
	b.clock.advance(day - 12*time.Hour - 2*time.Minute) // a minute before midnight
	kept = append(kept, answer(2*time.Minute))          // it begins two days before, and ends on the day that is kept
	b.clock.advance(day)
	kept = append(kept, refuse(3)...)
	b.clock.advance(day)
	kept = append(kept, refuse(2)...)
	b.tick()
	count := func() int {
		return value(b.ListRecords(ctx, b.account.ID, collection.Query{Size: 10}))(t).Total
	}
	if n := count(); n != len(old)+len(kept) {
		t.Fatalf("%d records without a retention, want all %d", n, len(old)+len(kept))
	}
	value(b.Accounts().Update(ctx, b.account.ID, b.account.ID, func(a store.Account) (store.Account, error) {
		a.RecordRetentionDays = new(int32(2))
		return a, nil
	}))(t)
	b.clock.advance(time.Minute)
	b.tick()
	if n := count(); n != len(kept) {
		t.Errorf("%d records are left, want %d", n, len(kept))
	}
	if day := value(b.RecordsWholeSince(ctx, b.account.ID))(t); day != record.DayOf(b.clock.Now().UnixMicro())-2 {
		t.Errorf("records are whole from day %d on", day)
	}
	for _, call := range old[len(old)-2:] {
		if _, err := b.Record(ctx, b.account.ID, call); !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("a record that is past its time: %v", err)
		}
	}
	for _, call := range kept {
		if _, err := b.Record(ctx, b.account.ID, call); err != nil {
			t.Errorf("a record that is to be kept: %v", err)
		}
	}
	told := 0
	for _, e := range value(b.ListAudit(ctx, b.account.ID, collection.Query{Size: 100}))(t).Items {
		if e.RecordType == "detail_record" && e.ChangeType == "delete" && e.KeyID == 0 &&
			strings.Contains(string(e.Changes[0].From), "2026-11-25") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the audit tells %d times that records before 2026-11-25 are deleted, want once", told)
	}
	// Those of today stay whatever is asked for.
	value(b.Accounts().Update(ctx, b.account.ID, b.account.ID, func(a store.Account) (store.Account, error) {
		a.RecordRetentionDays = new(int32(0)) // which the API does not admitted
		return a, nil
	}))(t)
	b.clock.advance(time.Minute)
	b.tick()
	if n := count(); n != 5 {
		t.Errorf("%d records are left of yesterday and today, want 5", n)
	}
}

// testLedgerReports keeps reports for their time, and for their account.
func testLedgerReports(t *testing.T, open Opener) {
	b := newBed(t, open)
	made := value(b.LedgerReports().Create(ctx, b.account.ID, store.LedgerReport{Year: 2026, Month: 2}))(t)
	foreign(t, b, b.LedgerReports(), made.ID)
	if got := value(b.LedgerReports().Get(ctx, b.account.ID, made.ID))(t); got != made || made.ID == uuid.Nil ||
		made.Month != 2 {
		t.Errorf("kept %+v, made %+v", got, made)
	}
	if day := value(b.RecordsWholeSince(ctx, b.account.ID))(t); day != 0 {
		t.Errorf("records are whole from day %d on, and none were deleted", day)
	}
	b.clock.advance(store.LedgerReportKept - time.Hour)
	b.tick()
	value(b.LedgerReports().Get(ctx, b.account.ID, made.ID))(t)
	b.clock.advance(24 * time.Hour)
	b.tick()
	if _, err := b.LedgerReports().Get(ctx, b.account.ID, made.ID); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("a report that is past its time: %v", err)
	}
}
