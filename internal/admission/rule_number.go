package admission

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
)

// The called number: what it is, what it could be, and what it costs at most.

// gatherCallee reads the dialled text. The result is what the price depends on
// beside the number itself.
func gatherCallee(f *Facts, plan e164.Plan, c *policy.Connection, dialled string) (judged e164.Judgement) {
	f.Callee, judged = readCallee(plan, c, dialled)
	f.Class, f.Could, f.Override = judged.Class, judged.Possible, id.ID(judged.Override)
	return judged
}

// Callee is the number that a connection dials with this text by the numbering plan
// of the moment, or 0 when it is none. It is for calls that are no emergency.
func Callee(plan e164.Plan, c *policy.Connection, dialled string) e164.Number {
	callee, _ := readCallee(plan, c, dialled)
	return callee
}

func readCallee(plan e164.Plan, c *policy.Connection, dialled string) (callee e164.Number, judged e164.Judgement) {
	callee, err := plan.Normalise(dialled, c.Home)
	if err != nil {
		judged.Override = refusedBy(plan, c, dialled)
		return 0, judged
	}
	judged, ok := plan.Judge(callee)
	if !ok {
		return 0, judged
	}
	return callee, judged
}

// refusedBy is the override because of which a text is no number, or 0.
func refusedBy(plan e164.Plan, c *policy.Connection, dialled string) int64 {
	if plan.Overlay == nil {
		return 0
	}
	callee, err := e164.Normalise(dialled, c.Home)
	if err != nil {
		return 0
	}
	o := plan.Override(callee)
	if o == nil {
		return 0
	}
	return o.ID
}

// numberText tells what the dialled text was read as, and which override decided.
func numberText(f *Facts) string {
	seen := fmt.Sprintf("%q, read as %s", f.To, orNone(f.Callee.String()))
	if f.Override != 0 {
		seen += fmt.Sprintf(" by override %s of the numbering plan", f.Override)
	}
	return seen
}

// overrideFix is the way out where an override refuses.
func overrideFix(f *Facts) string {
	return fmt.Sprintf("Change override %s under /tollgate/v1/numbering_plan_overrides, or its "+
		"min_digits and max_digits.", f.Override)
}

// judgeNumberType refuses a number that could be of a blocked type.
func judgeNumberType(f *Facts) Reason {
	return refuseIf(f.BlockedTypes.Has(f.Class.Type) || f.BlockedTypes&f.Could != 0, ReasonNumberTypeBlocked)
}

// numberTypeText tells the number's type, and of one that the plan does not know
// what it could be.
func numberTypeText(f *Facts) (seen, allowed string) {
	seen = f.Class.Type.String()
	if f.Class.Type == e164.TypeUnknown && f.Could.Dearest() != e164.TypeUnknown {
		seen += fmt.Sprintf(", judged as %s: no number of the numbering plan as it is written; a network could take "+
			"it for %s",
			f.Could.Dearest(), typeNames(f.Could))
	}
	return seen, "any but " + orNone(typeNames(f.BlockedTypes))
}

func typeNames(types e164.NumberTypeSet) string {
	var names []string
	for numberType := range types.All() {
		names = append(names, numberType.String())
	}
	return strings.Join(names, ", ")
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

// appendNumber stores what the number could be, and which override decided.
func (w *writer) appendNumber(f *Facts) {
	w.uint(uint64(f.Could))
	w.uint(uint64(f.Override))
}

func (r *reader) readNumber(f *Facts) {
	f.Could, f.Override = e164.NumberTypeSet(r.uint()), id.ID(r.uint())
}
