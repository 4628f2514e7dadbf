package admission

import (
	"fmt"
	"strconv"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
)

// RuleEmergency holds that a call to an emergency number is admitted, whatever the other rules
// say. It is refused only above the number of emergency calls at once that the operator
// has set for the connection.
const RuleEmergency Rule = 0

// ReasonEmergencyLimit is the reason of RuleEmergency.
const ReasonEmergencyLimit Reason = 35

var emergencyRule = rule{
	name:   "emergency",
	needs:  needEmergency,
	gather: gatherEmergency,
	judge: func(f *Facts) Reason {
		return refuseIf(f.Urgent.Max != policy.NoLimit && f.Urgent.Live >= f.Urgent.Max, ReasonEmergencyLimit)
	},
	explain: explainEmergency,
	code: func(c *coder, f *Facts) {
		c.Bools(&f.Emergency)
		c.Text(&f.Urgent.Number)
		c.Text(&f.Urgent.Prefix)
		ints(c, &f.Urgent.Live, &f.Urgent.Max)
	},
	reasons: []answer{
		// 503, so that the caller tries another way out at once.
		{ReasonEmergencyLimit, "emergency_call_limit", "TG13", 503, "Emergency call limit of the Connection reached",
			"Raise emergency_call_limit of the connection, or take it away: it refuses emergency calls."},
	},
}

// EmergencyFacts report whether it is an emergency call, and what is known of one.
type EmergencyFacts struct {
	Emergency bool
	Urgent    Urgent
}

// Urgent holds further facts about an emergency call.
type Urgent struct {
	Number string // to dial
	Prefix string // calling code and number, by which a deck prices it; "" for none
	// Live and Max are the emergency calls of the connection, and how many the operator
	// of the server allows at once, or policy.NoLimit.
	Live, Max int32
}

func gatherEmergency(f *Facts, in *inquiry) {
	var number string
	if number, f.Emergency = in.caller.Emergency(in.account, in.call.To); !f.Emergency {
		return
	}
	f.Urgent.Number = number
	f.Urgent.Max = in.caller.EmergencyLimit
	f.Urgent.Live = in.use.LiveEmergencies(f.Connection)
	if code := in.caller.Home.CallingCode(); code != 0 {
		f.Urgent.Prefix = strconv.Itoa(code) + number
	}
}

// rateOf is the price that a deck has for the emergency number itself: by the
// calling code of the country and the number, such as 1911. The price of the country
// around it is no price of an emergency call.
func (u *Urgent) rateOf(deck *rating.Deck) (rating.Rate, bool) {
	if u.Prefix == "" {
		return rating.Rate{}, false
	}
	// The deck looks up whole numbers. One that begins with the prefix, and goes on as
	// no longer prefix of the deck does, finds the prefix if the deck has it.
	for more := byte('0'); more <= '9'; more++ {
		padded := make([]byte, 0, e164.MaxDigits)
		padded = append(padded, '+')
		padded = append(padded, u.Prefix...)
		for len(padded) < 1+e164.MaxDigits {
			padded = append(padded, more)
		}
		n, err := e164.Parse(string(padded))
		if err != nil {
			return rating.Rate{}, false
		}
		if rate, digits, ok := deck.Lookup(n); ok && digits == len(u.Prefix) {
			return rate, true
		}
	}
	return rating.Rate{}, false
}

func explainEmergency(f *Facts) (seen, allowed string) {
	if !f.Emergency {
		return "not an emergency number", "emergency numbers are always allowed"
	}
	seen = fmt.Sprintf("emergency number %s, dialled as %q, %d emergency calls of the connection live",
		f.Urgent.Number, f.To, f.Urgent.Live)
	if f.Urgent.Max == policy.NoLimit {
		return seen, "emergency numbers are always allowed"
	}
	return seen, fmt.Sprintf("below %d emergency calls at once, as emergency_call_limit of the connection says",
		f.Urgent.Max)
}
