package admission

import (
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
)

// What one call may cost: its connect fee, and all of it. A deck's connect fee may
// be as high as it likes below max_destination_rate, which is of the minute alone.

// judgeConnectFee refuses a rate whose connect fee is above the profile's maximum.
func judgeConnectFee(f *Facts) Reason {
	return refuseIf(f.HasRate && f.MaxConnectFee != policy.NoLimit && f.Rate.ConnectFee > f.MaxConnectFee,
		ReasonConnectFee)
}

// judgeCallCost refuses a call whose first increment already costs more than a whole
// call may.
func judgeCallCost(f *Facts) Reason {
	return refuseIf(f.MaxCallCost != policy.NoLimit && f.FirstGrantCost > f.MaxCallCost, ReasonCallCost)
}

// callCostLeft is what a call that is granted up to some cost may still be granted.
func callCostLeft(most, granted money.Amount) money.Amount {
	if most == policy.NoLimit {
		return money.Max
	}
	return max(0, most-granted)
}

// costLeft is what the profile allows a running call beyond its present grant.
func (l *Lease) costLeft(p *policy.Snapshot) money.Amount {
	profile := p.Profile(l.Profile)
	if profile == nil {
		return money.Max
	}
	return callCostLeft(profile.MaxCallCost, l.Rate.Cost(l.GrantedSecs))
}

// callCostText tells what one call may cost, as an addition to another text.
func callCostText(f *Facts) string {
	if f.MaxCallCost == policy.NoLimit {
		return ""
	}
	return "; this call at most " + f.MaxCallCost.String()
}

func connectFeeText(f *Facts) string {
	if f.MaxConnectFee == policy.NoLimit {
		return ""
	}
	return ", a connect fee of at most " + f.MaxConnectFee.String()
}

// appendCallCost stores the two maxima.
func (w *writer) appendCallCost(f *Facts) {
	w.int(int64(f.MaxConnectFee))
	w.int(int64(f.MaxCallCost))
}

func (r *reader) readCallCost(f *Facts) {
	f.MaxConnectFee, f.MaxCallCost = money.Amount(r.int()), money.Amount(r.int())
}
