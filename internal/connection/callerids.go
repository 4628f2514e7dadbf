package connection

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
)

// The values of on_mismatch: what happens to a call whose caller id the connection does
// not list.
const (
	MismatchPass    = "pass"    // the caller id is shown but not asserted
	MismatchRefuse  = "refuse"  // the call is refused
	MismatchReplace = "replace" // ani_override or the first of the numbers is shown instead
)

// CallerIDs lists the numbers that the callers of a connection may show. Telnyx has no
// such list.
//
// Anyone who may change the connection may list any number, so a list alone proves
// nothing: it only restricts. Numbers that a key with the scope admin has listed are
// confirmed, and only confirmed numbers are asserted to carriers.
type CallerIDs struct {
	// in +E.164. What a caller presents is compared after the localization's national forms are read
	Numbers []e164.Number `json:"numbers" maxItems:"1000" doc:"Numbers that callers may show."`
	// beginnings of numbers, with their plus
	Prefixes []string `json:"prefixes" maxItems:"100" pattern:"^\\+[1-9][0-9]{0,13}$" doc:"Beginnings of numbers that callers may show, such as \"+4930\"."`
	// `pass` (shown, not asserted), `refuse` (D51, or D35 when it is no number) or `replace` (by `ani_override`,
	// else by the first number)
	OnMismatch string `json:"on_mismatch" enum:"pass,refuse,replace" doc:"What happens to a call whose caller id is none of these: it is shown but not asserted, the call is refused, or outbound.ani_override is shown instead, and without that the first of numbers."`
	// those that a key with the scope `admin` has listed: only these, and [verified numbers](#verified_number),
	// are asserted to carriers
	ConfirmedNumbers []e164.Number `json:"confirmed_numbers" readOnly:"true" doc:"Those of numbers that a key with the scope admin has listed. Only what is confirmed is asserted to carriers."`
	// the same of prefixes
	ConfirmedPrefixes []string `json:"confirmed_prefixes" readOnly:"true" doc:"Those of prefixes that a key with the scope admin has listed."`
}

func newCallerIDs() CallerIDs {
	return CallerIDs{Numbers: []e164.Number{}, Prefixes: []string{}, OnMismatch: MismatchPass,
		ConfirmedNumbers: []e164.Number{}, ConfirmedPrefixes: []string{}}
}

// Lists reports whether any number or prefix is listed.
func (ids *CallerIDs) Lists() bool { return len(ids.Numbers)+len(ids.Prefixes) > 0 }

// Confirm marks entries as confirmed: those that were confirmed before, and if the
// request may confirm numbers, all that are listed now.
func (ids *CallerIDs) Confirm(before *CallerIDs, numbersGiven, prefixesGiven bool) {
	ids.ConfirmedNumbers = kept(ids.Numbers, before.ConfirmedNumbers, numbersGiven)
	ids.ConfirmedPrefixes = kept(ids.Prefixes, before.ConfirmedPrefixes, prefixesGiven)
}

func kept[T comparable](now, before []T, all bool) []T {
	confirmed := []T{}
	for _, entry := range now {
		if (all || slices.Contains(before, entry)) && !slices.Contains(confirmed, entry) {
			confirmed = append(confirmed, entry)
		}
	}
	return confirmed
}

func (ids *CallerIDs) problems(o *Outbound) []field.Error {
	var errs []field.Error
	for i, number := range ids.Numbers {
		if !e164.Valid(number) {
			errs = append(errs, field.Error{Pointer: "/caller_ids/numbers/" + strconv.Itoa(i), Code: field.NotE164,
				Detail: fmt.Sprintf("%s is not a number of the numbering plan. Give +E.164 such as \"+13125550100\".", number)})
		}
	}
	switch {
	case ids.OnMismatch == MismatchRefuse && !ids.Lists():
		errs = append(errs, field.Error{Pointer: "/caller_ids/on_mismatch", Code: field.Malformed,
			Detail: "on_mismatch is refuse and no caller id is listed, which would refuse every call. Give numbers or " +
				"prefixes, or on_mismatch pass."})
	case ids.OnMismatch == MismatchReplace && len(ids.Numbers) == 0 && o.ANIOverride == "":
		errs = append(errs, field.Error{Pointer: "/caller_ids/on_mismatch", Code: field.Malformed,
			Detail: "on_mismatch is replace and there is nothing to replace a caller id with. Give caller_ids.numbers, whose " +
				"first is taken, or outbound.ani_override."})
	}
	return errs
}
