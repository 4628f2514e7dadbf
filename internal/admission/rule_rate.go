package admission

import (
	"fmt"
	"math/bits"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
)

// RuleRate holds that the called number has a price, and it is within the profile's maxima.
const RuleRate Rule = 7

// The reasons of RuleRate.
const (
	ReasonNoRate           Reason = 12
	ReasonRateAboveMaximum Reason = 13
	ReasonConnectFee       Reason = 32
)

var rateRule = rule{
	name:    "rate",
	needs:   needProfile | needCallee,
	gather:  gatherRate,
	judge:   judgeRate,
	explain: explainRate,
	code: func(c *coder, f *Facts) {
		c.Bools(&f.HasRate)
		ints(c, &f.Deck)
		ints(c, &f.Rate.PerMinute, &f.Rate.ConnectFee, &f.MaxRatePerMinute, &f.MaxConnectFee)
		ints(c, &f.Rate.FirstIncrement, &f.Rate.Increment)
		ints(c, &f.RatePrefixDigits)
	},
	reasons: []answer{
		{ReasonNoRate, "no_rate", "TM1", 403, "No Rates Found",
			"Add a rate for the destination to the rate deck, or activate a deck."},
		{ReasonRateAboveMaximum, "rate_above_maximum", "D24", 403, "Maximum destination rate limit exceeded",
			"Raise the profile's max_destination_rate."},
		{ReasonConnectFee, "connect_fee_above_maximum", "TG10", 403, "Maximum connect fee exceeded",
			"Raise the profile's max_connect_fee."},
	},
}

// RateFacts are the price of the called number, and what it may be at most. A deck's
// connect fee may be as high as it likes below max_destination_rate, which is of the
// minute alone, so it has a maximum of its own.
type RateFacts struct {
	Deck             id.ID
	HasRate          bool
	Rate             rating.Rate
	RatePrefixDigits int
	MaxRatePerMinute money.Amount // policy.NoLimit for none
	MaxConnectFee    money.Amount // policy.NoLimit for none
}

func gatherRate(f *Facts, in *inquiry) {
	f.MaxRatePerMinute, f.MaxConnectFee = policy.NoLimit, policy.NoLimit
	p := in.profile
	if p == nil {
		return
	}
	f.MaxRatePerMinute = p.MaxRatePerMinute
	f.MaxConnectFee = p.MaxConnectFee
	deck := in.policy.DeckOf(p, in.account)
	if deck == nil || deck.Account != p.Account || f.Callee == 0 && !f.Emergency {
		return
	}
	f.Deck = deck.ID
	if f.Emergency {
		f.Rate, f.HasRate = f.Urgent.rateOf(deck.Rates)
		return
	}
	f.Rate, f.RatePrefixDigits, f.HasRate = dearestRate(deck.Rates, f.Callee, &in.callee)
}

func judgeRate(f *Facts) Reason {
	switch {
	case !f.HasRate:
		return ReasonNoRate
	case f.MaxRatePerMinute != policy.NoLimit && f.Rate.PerMinute > f.MaxRatePerMinute:
		// Refused only when strictly greater (Telnyx support article 4320411).
		return ReasonRateAboveMaximum
	case f.MaxConnectFee != policy.NoLimit && f.Rate.ConnectFee > f.MaxConnectFee:
		return ReasonConnectFee
	}
	return ReasonNone
}

func explainRate(f *Facts) (seen, allowed string) {
	allowed = "a rate in the deck"
	if f.MaxRatePerMinute != policy.NoLimit {
		allowed += ", at most " + f.MaxRatePerMinute.String() + " per minute"
	}
	if f.MaxConnectFee != policy.NoLimit {
		allowed += ", a connect fee of at most " + f.MaxConnectFee.String()
	}
	if !f.HasRate {
		return "no rate", allowed
	}
	return fmt.Sprintf("%s per minute (prefix %s), connect fee %s, %d/%d s", f.Rate.PerMinute, f.ratePrefix(),
		f.Rate.ConnectFee, f.Rate.FirstIncrement, f.Rate.Increment), allowed
}

// dearestRate is the price of a number. Where the plan does not know the number it
// is the dearest price among all that a network could complete the call to: the
// number as it is, its beginnings that are numbers, the same without zeros behind
// the calling code, and what longer numbers cost.
func dearestRate(deck *rating.Deck, n e164.Number, judged *e164.Judgement) (rate rating.Rate, digits int, ok bool) {
	rate, digits, ok = deck.Lookup(n)
	if judged.Exact() {
		return rate, digits, ok
	}
	consider := func(other rating.Rate, length int, found bool) {
		switch {
		case !found:
		case !ok:
			rate, digits, ok = other, length, true
		default:
			if other.PerMinute > rate.PerMinute {
				digits = length
			}
			rate = rate.Dearer(other)
		}
	}
	considerShorter := func(number e164.Number, ends uint16) {
		for ; ends != 0; ends &= ends - 1 {
			consider(deck.Lookup(number.First(bits.TrailingZeros16(ends))))
		}
	}
	considerShorter(n, judged.Shorter)
	if judged.Without != 0 {
		consider(deck.Lookup(judged.Without))
		considerShorter(judged.Without, judged.WithoutShorter)
	}
	consider(deck.DearestFrom(n))
	return rate, min(digits, n.Digits().Len), ok
}
