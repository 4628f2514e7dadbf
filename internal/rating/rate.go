// Package rating prices calls: it compiles a rate deck (prefix to price), finds
// the longest prefix of a number, computes the price of a call or of a part of
// it, and reads the CSV files in which carriers send their decks.
//
// A deck is read with ReadCSV, kept as rows, and compiled with NewDeck for a
// moment in time. The compiled Deck never changes; when NextChange passes, its
// owner compiles the same rows again and swaps the pointer.
package rating

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tollgate/tollgate/internal/money"
)

// Limits of a Rate.
const (
	// MaxIncrement is the longest billing increment in seconds. No carrier bills by
	// more than the hour; a larger value is a column read as the wrong one.
	MaxIncrement = 3600
	// MaxPrice bounds PerMinute and ConnectFee. It is far above any real price,
	// and low enough that the cost of a call of a year does not saturate.
	MaxPrice = 10_000 * money.Dollar
)

// Rate is the price of calls to one prefix. The zero Rate is free and billed by
// the second.
type Rate struct {
	PerMinute      money.Amount
	ConnectFee     money.Amount // once, at answer
	FirstIncrement int32        // seconds, at least 1: the least that is billed
	Increment      int32        // seconds, at least 1: billed in steps of this after the first
}

// Validate reports what is wrong with the rate, if anything.
func (r Rate) Validate() error {
	switch {
	case r.PerMinute < 0 || r.PerMinute > MaxPrice:
		return fmt.Errorf("price per minute %v is not between 0 and %v", r.PerMinute, MaxPrice)
	case r.ConnectFee < 0 || r.ConnectFee > MaxPrice:
		return fmt.Errorf("connect fee %v is not between 0 and %v", r.ConnectFee, MaxPrice)
	case r.FirstIncrement < 1 || r.FirstIncrement > MaxIncrement:
		return fmt.Errorf("first increment %d is not between 1 and %d seconds", r.FirstIncrement, MaxIncrement)
	case r.Increment < 1 || r.Increment > MaxIncrement:
		return fmt.Errorf("increment %d is not between 1 and %d seconds", r.Increment, MaxIncrement)
	}
	return nil
}

// Dearer is a rate at which no call costs less than at either: the greater of each part.
func (r Rate) Dearer(other Rate) Rate {
	return Rate{
		PerMinute: max(r.PerMinute, other.PerMinute), ConnectFee: max(r.ConnectFee, other.ConnectFee),
		FirstIncrement: max(r.FirstIncrement, other.FirstIncrement), Increment: max(r.Increment, other.Increment),
	}
}

// increments are the two increments, never less than a second, so that the zero
// Rate divides by no zero.
func (r Rate) increments() (first, next int64) {
	return max(1, int64(r.FirstIncrement)), max(1, int64(r.Increment))
}

// BillableSecs is the number of seconds that are billed for a call of elapsed
// between answer and end: any part of a second and of an increment counts whole,
// so an answered call bills at least FirstIncrement. It is 0 for elapsed <= 0,
// which is a call that was not answered; the least for an answered call whose
// clock shows no time at all is RoundUp(1).
func (r Rate) BillableSecs(elapsed time.Duration) int64 {
	if elapsed <= 0 {
		return 0
	}
	secs := int64(elapsed / time.Second)
	if elapsed%time.Second > 0 {
		secs++
	}
	return r.RoundUp(secs)
}

// RoundUp is the first billing boundary at or after secs. The boundaries are 0
// and FirstIncrement + n*Increment for n >= 0. It saturates at math.MaxInt64.
func (r Rate) RoundUp(secs int64) int64 {
	first, next := r.increments()
	if secs <= 0 {
		return 0
	}
	if secs <= first {
		return first
	}
	past := secs - first
	steps := past / next
	if past%next > 0 {
		steps++
	}
	if steps > (math.MaxInt64-first)/next {
		return math.MaxInt64
	}
	return first + steps*next
}

// Cost is the price of the first billedSecs seconds of a call: the connect fee
// and the price of the seconds, rounded up to the nano-dollar. It is 0 for no
// seconds and saturates at money.Max. It bills the seconds it is given; rounding
// to increments is BillableSecs' work.
func (r Rate) Cost(billedSecs int64) money.Amount {
	if billedSecs <= 0 {
		return 0
	}
	return money.Add(r.ConnectFee, money.PerMinuteTimes(r.PerMinute, billedSecs))
}

// SliceCost is the price of the part of a call between two billed seconds:
// Cost(toSecs) - Cost(fromSecs). The slices of a call therefore sum exactly to
// the cost of the call, and the connect fee falls in the slice that starts at 0.
func (r Rate) SliceCost(fromSecs, toSecs int64) money.Amount {
	return r.Cost(toSecs) - r.Cost(fromSecs)
}

// longestCall is the longest time.Duration in seconds. It keeps the arithmetic
// of grants clear of overflow.
const longestCall = int64(math.MaxInt64 / time.Second)

// GrantWithin is how far a call that is billed up to fromSecs may last when
// wantSecs more are wished and budget is free: the furthest billing boundary
// that is at most fromSecs+wantSecs and whose SliceCost from fromSecs is at most
// budget. A wish shorter than one increment counts as one, so toSecs is the next
// boundary at least. It is fromSecs if not even that boundary fits the budget.
// A cost that has saturated fits no budget.
func (r Rate) GrantWithin(fromSecs, wantSecs int64, budget money.Amount) (toSecs int64) {
	if fromSecs < 0 || fromSecs > longestCall {
		return fromSecs
	}
	first, next := r.increments()
	boundary := func(n int64) int64 { return first + n*next }
	spent := r.Cost(fromSecs)
	fits := func(n int64) bool {
		cost := r.Cost(boundary(n))
		return cost < money.Max && cost-spent <= budget
	}

	low := int64(0) // the first boundary after fromSecs
	if fromSecs >= first {
		low = (fromSecs-first)/next + 1
	}
	high := low
	if wanted := fromSecs + min(max(0, wantSecs), longestCall); wanted >= first {
		high = max(low, (wanted-first)/next)
	}
	if fits(high) {
		return boundary(high)
	}
	if !fits(low) {
		return fromSecs
	}
	// The cost never falls with n: low fits and high does not, all the way.
	for high-low > 1 {
		middle := low + (high-low)/2
		if fits(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return boundary(low)
}

// Row is one price of a deck: what one line of a carrier's file says.
type Row struct {
	Prefix      string // 1 to 15 digits of which the first is not 0
	Rate        Rate
	Description string
	EffectiveAt time.Time // from when the price holds; zero: always
	Line        int       // the line of the file it came from, for messages; 0 if none
}

// ErrDuplicate means that two rows price the same prefix from the same moment.
var ErrDuplicate = errors.New("prefix is priced twice from the same moment")
