package admission

import (
	"time"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// The lengths of grants. A long grant is renewed seldom; a short one leaves less
// of the day's budget idle in holds, which matters only when little is left.
const (
	// GrantSecs is the usual length of a grant.
	GrantSecs = 30
	// ShortGrantSecs is the length once the limit is near.
	ShortGrantSecs = 6
	// nearLimitSecs says what near means: less is left than all live calls of the
	// profile would cost, at this call's rate, in this many seconds.
	nearLimitSecs = 60
)

// Times of calls and their leases.
const (
	// SetupTTL is how long a call may ring before its lease expires: Timer C of
	// RFC 3261 section 16.6 is at least 3 minutes, plus what failing over takes.
	SetupTTL = 5 * time.Minute
	// ExpiryGrace is how long after the end of its grant a lease is still held.
	// A BYE is retransmitted for 32 s (64*T1, RFC 3261 section 17.1.2.2), so the
	// call cannot be known to be over before.
	ExpiryGrace = 32 * time.Second
	// EmergencyPatience is how long an emergency call waits for the ledger before it
	// goes out without it: a database that is cut off says nothing for many seconds.
	EmergencyPatience = time.Second
	// renewAheadSecs bounds how early a grant may be extended, so that no owner
	// hoards the budget.
	renewAheadSecs = 45
)

// wantedSecs is how long the next grant should be.
func wantedSecs(rate rating.Rate, live int32, limited bool, budget money.Amount) int64 {
	if !limited {
		return GrantSecs
	}
	perCall := rate.SliceCost(0, nearLimitSecs) - rate.ConnectFee
	if perCall > 0 && budget/perCall < money.Amount(max(1, live)) {
		return ShortGrantSecs
	}
	return GrantSecs
}

// firstGrant is the first grant of a call and its cost, which includes the
// connect fee. When not even one increment fits into the budget it is that one
// increment, which the spend rule then refuses.
func firstGrant(f *Facts) (secs int64, cost money.Amount) {
	budget, wanted := callCostLeft(f.MaxCallCost, 0), int64(GrantSecs)
	if most := f.MaxSecs(); most > 0 {
		wanted = min(wanted, most)
	}
	for i, spend := range f.spends() {
		live := f.AccountLive
		if i == 0 {
			live = f.ProfileLive
		}
		left := spend.left()
		budget = min(budget, left)
		wanted = min(wanted, wantedSecs(f.Rate, live+1, spend.Limited, left))
	}
	secs = f.Rate.GrantWithin(0, wanted, budget)
	if secs == 0 {
		secs = f.Rate.RoundUp(1)
	}
	return secs, f.Rate.Cost(secs)
}
