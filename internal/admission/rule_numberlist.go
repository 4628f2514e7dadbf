package admission

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numberlist"
)

// RuleNumberList holds that no number list of the account or the profile refuses the call. One
// that lets a called number through is heard by RuleCountry.
const RuleNumberList Rule = 17

// The reasons of RuleNumberList.
const (
	ReasonCallerListed Reason = 39
	ReasonCalleeListed Reason = 40
)

var numberListRule = rule{
	name:   "number_lists",
	needs:  needConnection,
	gather: gatherNumberList,
	judge: func(f *Facts) Reason {
		switch {
		case f.ListedCaller.refuses():
			return ReasonCallerListed
		case f.ListedCallee.refuses():
			return ReasonCalleeListed
		}
		return ReasonNone
	},
	explain: explainNumberList,
	fix: func(f *Facts) string {
		for _, l := range [...]*Listed{&f.ListedCaller, &f.ListedCallee} {
			if l.refuses() {
				return fmt.Sprintf("Change the entry %s of number list %s under /tollgate/v1/number_lists, or add a longer "+
					"one that allows the number.", l.Prefix, l.List)
			}
		}
		return ""
	},
	code: func(c *coder, f *Facts) {
		ints(c, &f.ListedCaller.List, &f.ListedCallee.List)
		ints(c, &f.ListedCaller.Prefix, &f.ListedCallee.Prefix)
		c.Bools(&f.ListedCaller.Allow, &f.ListedCallee.Allow)
	},
	reasons: []answer{
		{ReasonCallerListed, "caller_id_listed", "TG23", 403, "Caller ID is refused by a number list",
			"Show another number, or change the list under /tollgate/v1/number_lists."},
		{ReasonCalleeListed, "number_listed", "TG24", 403, "Dialed number is refused by a number list",
			"Change the list under /tollgate/v1/number_lists."},
	},
}

// NumberListFacts are the entries of number lists that decide about the call.
type NumberListFacts struct{ ListedCaller, ListedCallee Listed }

// Listed is the longest entry that a number begins with; List is 0 for none.
type Listed struct {
	List   id.ID
	Prefix e164.Number
	Allow  bool
}

func (l *Listed) refuses() bool { return l.List != 0 && !l.Allow }

// gatherNumberList is behind the rules that read the two numbers. A called number that a network
// could complete otherwise is looked up as both, and refused if either is.
func gatherNumberList(f *Facts, in *inquiry) {
	if f.Emergency {
		return
	}
	for _, list := range in.policy.NumberLists(f.Account) {
		switch {
		case list.Profile != 0 && list.Profile != f.Profile:
		case list.Callers:
			f.ListedCaller.look(list, f.Caller, f.AtMicros)
		default:
			f.ListedCallee.look(list, f.Callee, f.AtMicros)
		}
	}
	if in.callee.Without == 0 || f.ListedCallee.refuses() {
		return
	}
	var other Listed
	for _, list := range in.policy.NumberLists(f.Account) {
		if !list.Callers && (list.Profile == 0 || list.Profile == f.Profile) {
			other.look(list, in.callee.Without, f.AtMicros)
		}
	}
	if other.refuses() {
		f.ListedCallee = other
	}
}

// look takes the entry of a list, if it is longer than that of the lists before, or as long and
// refuses.
func (l *Listed) look(list *numberlist.Compiled, n e164.Number, atMicros int64) {
	if n == 0 {
		return
	}
	prefix, allow := list.Find(n, atMicros)
	// Both are beginnings of one number, so the longer one is the greater.
	if prefix > l.Prefix || prefix != 0 && prefix == l.Prefix && !allow {
		*l = Listed{list.ID, prefix, allow}
	}
}

func explainNumberList(f *Facts) (seen, allowed string) {
	tell := func(what string, l *Listed) string {
		if l.List == 0 {
			return what + " in no list"
		}
		return fmt.Sprintf("%s %s by entry %s of list %s", what, yesNo(l.Allow, "allowed", "refused"), l.Prefix, l.List)
	}
	return tell("caller", &f.ListedCaller) + ", " + tell("called number", &f.ListedCallee), "numbers that no list refuses"
}
