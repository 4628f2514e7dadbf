package storetest

import (
	"bytes"
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/record"
)

// testRecordPages reads all pages of lists while records are added in between, and
// holds them against a plain model: what a count was made of before must not show.
func testRecordPages(t *testing.T, open Opener) {
	b := newBed(t, open)
	var all []*record.Call
	for round, added := range []int{0, 1, 5, 95, 3, 40, 0, 30} { // around maxFew of each list
		for i := range added {
			r := b.reserve()
			r.Call.To = []string{"+33142685300", "+4930901820", "+33142685301"}[i%3]
			if i%4 == 0 {
				r.Call.Connection = b.pbx.ID
			}
			if i%5 == 0 {
				b.clock.advance(time.Second)
			}
			all = append(all, b.do(t, r).Record)
		}
		if round == 5 {
			b.reopen(t, open)
		}
		for _, c := range recordLists(b) {
			c.check(t, b, all)
		}
	}
}

// recordList is a list, and what is in it.
type recordList struct {
	name    string
	filters []collection.Filter
	has     func(*record.Call) bool
}

func recordLists(b *bed) []recordList {
	equal := func(field string, value any) collection.Filter {
		return collection.Filter{Field: field, Op: collection.Equal, Value: value}
	}
	since := noon.Add(10 * time.Second).UnixMicro()
	return []recordList{
		{"all", nil, func(*record.Call) bool { return true }},
		{"refused", []collection.Filter{equal("outcome", "refused")}, func(*record.Call) bool { return true }},
		{"answered", []collection.Filter{equal("outcome", "answered")}, func(*record.Call) bool { return false }},
		{"profile", []collection.Filter{equal("profile_id", int64(b.profile.ID))}, func(*record.Call) bool { return true }},
		{"connection", []collection.Filter{equal("connection_id", int64(b.pbx.ID))},
			func(r *record.Call) bool { return r.ConnectionID == b.pbx.ID }},
		{"country", []collection.Filter{equal("country", "DE")},
			func(r *record.Call) bool { return r.Country.Alpha2() == "DE" }},
		{"since", []collection.Filter{{Field: "started_at", Op: collection.AtLeast, Value: since}, equal("country", "FR")},
			func(r *record.Call) bool { return r.StartedMicros >= since && r.Country.Alpha2() == "FR" }},
		{"callee", []collection.Filter{equal("callee", "+33142685301")},
			func(r *record.Call) bool { return r.Callee == 33142685301 }},
	}
}

// check reads the list in both directions, by pages of a size that leaves a rest.
func (l *recordList) check(t *testing.T, b *bed, all []*record.Call) {
	t.Helper()
	var want []uuid.UUID
	sorted := slices.SortedFunc(slices.Values(all), func(x, y *record.Call) int {
		return cmp.Or(cmp.Compare(x.StartedMicros, y.StartedMicros), bytes.Compare(x.ID[:], y.ID[:]))
	})
	for _, r := range sorted {
		if l.has(r) {
			want = append(want, r.ID)
		}
	}
	for _, descending := range []bool{false, true} {
		var got []uuid.UUID
		q := collection.Query{Size: 7, Filters: l.filters,
			Sort: []collection.Order{{Field: "started_at", Descending: descending}}}
		for q.Number = 1; q.Number <= len(want)/q.Size+2; q.Number++ {
			page := value(b.ListRecords(ctx, b.account.ID, q))(t)
			if page.Total != len(want) {
				t.Fatalf("%s: page %d has a total of %d, want %d", l.name, q.Number, page.Total, len(want))
			}
			for _, r := range page.Items {
				got = append(got, r.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s, descending %v: the pages have %d records, want these %d in this order", l.name, descending, len(got),
				len(want))
		}
		slices.Reverse(want)
	}
	if page := value(b.ListRecords(ctx, b.other.ID, collection.Query{Size: 7, Filters: l.filters}))(t); page.Total != 0 {
		t.Errorf("%s: another account sees %d records", l.name, page.Total)
	}
}
