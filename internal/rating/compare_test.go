package rating

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/money"
)

// parts yields rows in order, some at a time.
func parts(rows []Row, size int) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		for part := range slices.Chunk(rows, size) {
			if !yield(part, nil) {
				return
			}
		}
	}
}

func anyRows(r *rand.Rand, at time.Time) (rows []Row) {
	seen := map[string]bool{}
	for range r.IntN(40) {
		row := Row{Prefix: fmt.Sprint(1 + r.IntN([]int{3, 40, 400}[r.IntN(3)])), Description: fmt.Sprint(r.IntN(9))}
		row.Rate = Rate{money.Amount(1 + r.IntN(3)), money.Amount(r.IntN(2)), 1 + r.Int32N(2), 1 + r.Int32N(2)}
		if r.IntN(2) == 0 {
			row.EffectiveAt = at.Add(time.Duration(r.IntN(5)-2) * time.Hour)
		}
		if key := row.Prefix + row.EffectiveAt.String(); !seen[key] {
			seen[key] = true
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), a.EffectiveAt.Compare(b.EffectiveAt))
	})
	return rows
}

// longest is the plain model of a deck: the longest prefix in force, of the latest row.
func longest(rows []Row, digits string, at time.Time) (found *Row) {
	for i := range rows {
		row := &rows[i]
		if strings.HasPrefix(digits, row.Prefix) && !row.EffectiveAt.After(at) &&
			(found == nil || len(row.Prefix) >= len(found.Prefix)) {
			found = row
		}
	}
	return found
}

// TestCompareIsLookup: each prefix of either deck is reported once, with what a look-up in each deck finds, and each
// call is counted at the longest prefix of both.
func TestCompareIsLookup(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		before, after := anyRows(r, at), anyRows(r, at)
		var traffic []Traffic
		for i := range 60 {
			traffic = append(traffic, Traffic{fmt.Sprint(1 + r.IntN(4999)), 1, int64(i)})
		}
		slices.SortFunc(traffic, func(a, b Traffic) int { return cmp.Compare(a.Prefix, b.Prefix) })
		want := map[string]*Compared{}
		for _, rows := range [][]Row{before, after} {
			for _, row := range rows {
				a, b := longest(before, row.Prefix, at), longest(after, row.Prefix, at)
				one := &Compared{Prefix: row.Prefix, Traffic: Traffic{Prefix: row.Prefix}, done: true}
				has := false
				for deck, found := range []*Row{a, b} {
					if found == nil {
						continue
					}
					price := &Priced{found.Prefix, found.Rate}
					if deck == 0 {
						one.Before = price
					} else {
						one.After = price
					}
					if found.Prefix == row.Prefix {
						has, one.Description = true, found.Description
					}
				}
				if one.Change = changeOf(one.Before, one.After); has {
					want[row.Prefix] = one
				}
			}
		}
		for _, call := range traffic {
			best := ""
			for prefix := range want {
				if strings.HasPrefix(call.Prefix, prefix) && len(prefix) > len(best) {
					best = prefix
				}
			}
			if want[best] == nil {
				want[""] = &Compared{Change: Unpriced}
			}
			want[best].Traffic.Calls++
			want[best].Traffic.Secs += call.Secs
		}
		got, last := map[string]*Compared{}, ""
		err := Compare(parts(before, 1+r.IntN(9)), parts(after, 1+r.IntN(9)), traffic, at, func(c *Compared) error {
			if c.Prefix <= last && c.Change != Unpriced {
				t.Errorf("seed %d: %s after %s", seed, c.Prefix, last)
			}
			got[c.Prefix], last = c, c.Prefix
			return nil
		})
		if err != nil || !reflect.DeepEqual(got, want) {
			for prefix := range want {
				if !reflect.DeepEqual(got[prefix], want[prefix]) {
					t.Fatalf("seed %d, %s: %+v, want %+v (%v)", seed, prefix, got[prefix], want[prefix], err)
				}
			}
			t.Fatalf("seed %d: %d prefixes, want %d: %v", seed, len(got), len(want), err)
		}
	}
}

// TestCompareFails with an error of either deck, and of who is told.
func TestCompareFails(t *testing.T) {
	wrong := errors.New("wrong")
	failing := func(yield func([]Row, error) bool) { yield(nil, wrong) }
	good := parts([]Row{{Prefix: "1"}}, 1)
	ignore := func(*Compared) error { return nil }
	refuse := func(*Compared) error { return wrong }
	for i, err := range []error{Compare(failing, good, nil, time.Time{}, ignore),
		Compare(good, failing, nil, time.Time{}, ignore), Compare(good, good, nil, time.Time{}, refuse)} {
		if !errors.Is(err, wrong) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestCostOfTraffic is exact: the fee of each call and the price of all seconds.
func TestCostOfTraffic(t *testing.T) {
	p := &Priced{Rate: Rate{PerMinute: money.MustParse("0.0125"), ConnectFee: money.MustParse("0.000000001")}}
	if got := p.Cost(&Traffic{Calls: 3, Secs: 90}); got != money.MustParse("0.018750003") {
		t.Errorf("cost %v", got)
	}
	if got := (*Priced)(nil).Cost(&Traffic{Calls: 3, Secs: 90}); got != 0 {
		t.Errorf("cost %v at no price", got)
	}
}
