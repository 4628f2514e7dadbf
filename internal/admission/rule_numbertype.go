package admission

import (
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
)

// RuleNumberType holds that the called number cannot be of a type that the profile blocks.
const RuleNumberType Rule = 6

// ReasonNumberTypeBlocked is the reason of RuleNumberType.
const ReasonNumberTypeBlocked Reason = 11

var numberTypeRule = rule{
	name:  "number_type",
	needs: needProfile | needCallee,
	gather: func(f *Facts, in *inquiry) {
		if in.profile != nil {
			f.BlockedTypes = in.profile.BlockedTypes
		}
	},
	judge: func(f *Facts) Reason {
		return refuseIf(f.BlockedTypes.Has(f.Class.Type) || f.BlockedTypes&f.Could != 0, ReasonNumberTypeBlocked)
	},
	explain: explainNumberType,
	code:    func(c *coder, f *Facts) { ints(c, &f.BlockedTypes) },
	reasons: []answer{
		{ReasonNumberTypeBlocked, "number_type_blocked", "D58", 403, "Restricted destination number",
			"Take the number's type out of the profile's blocked_number_types."},
	},
}

// NumberTypeFacts are the types of numbers that the profile does not call.
type NumberTypeFacts struct{ BlockedTypes e164.NumberTypeSet }

// explainNumberType tells the number's type, and of one that the plan does not know
// what it could be.
func explainNumberType(f *Facts) (seen, allowed string) {
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
