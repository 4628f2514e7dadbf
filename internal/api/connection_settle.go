package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
)

// settled is what the rules of this file look at in a connection of any kind.
type settled struct {
	base       *connection.Base
	outbound   *connection.Outbound
	techPrefix string
}

// settleConnection is resource.settle for a kind of connection.
func settleConnection[T any](s *server, of func(*T) settled) func(in *rest.Request, current, next *T,
	errs []field.Error) ([]field.Error, error) {
	return func(in *rest.Request, current, next *T, errs []field.Error) ([]field.Error, error) {
		after, before := of(next), of(new(T))
		if current != nil {
			before = of(current)
		}
		errs = s.settleEmergencyNumbers(in, current != nil, &before, &after, errs)
		ids, _ := in.Body["caller_ids"].(map[string]any)
		_, numbers := ids["numbers"]
		_, prefixes := ids["prefixes"]
		admin := beyond(in, []string{ScopeAdmin}) == ""
		after.base.CallerIDs.Confirm(&before.base.CallerIDs, admin && numbers, admin && prefixes)
		if admin {
			return errs, nil
		}
		return errs, forbiddenOfConnection(&before, &after)
	}
}

// settleEmergencyNumbers drops what is wrong with numbers that a change leaves as they
// are: they are not in force, and prevent nothing. It adds the numbers of
// the account that would become dialable.
func (s *server) settleEmergencyNumbers(in *rest.Request, exists bool, before, after *settled,
	errs []field.Error) []field.Error {
	where := ""
	switch home := after.outbound.Home(); {
	case !exists, before.outbound.Home() != home:
		where = "/outbound/localization"
	case before.techPrefix != after.techPrefix:
		where = "/outbound/tech_prefix"
	}
	if where == "" {
		return slices.DeleteFunc(errs, func(e field.Error) bool {
			place, found := strings.CutPrefix(e.Pointer, "/emergency_numbers/")
			i, err := strconv.Atoi(place)
			return found && err == nil && slices.Contains(before.base.EmergencyNumbers, after.base.EmergencyNumbers[i])
		})
	}
	a := s.Live.Snapshot().Account(in.Account)
	if a == nil {
		return errs
	}
	for _, number := range a.EmergencyNumbers {
		if e164.OwnEmergency(number, before.outbound.Home(), before.techPrefix) != nil && exists {
			continue // it was not in force before
		}
		if detail := connection.EmergencyProblem(number, after.outbound.Home(), after.techPrefix); detail != "" {
			errs = append(errs, field.Error{Pointer: where, Code: field.Malformed,
				Detail: "Of emergency_numbers of the account: " + detail})
		}
	}
	return errs
}

// forbiddenOfConnection is what only a key with the scope admin may change of a
// connection: whatever lets more calls escape its limits, silences their alert, or has the
// operator vouch for more.
func forbiddenOfConnection(before, after *settled) error {
	f := &rest.RefusalError{Status: http.StatusForbidden}
	f.Problems = addedEmergencyNumbers(before.base.EmergencyNumbers, after.base.EmergencyNumbers, "")
	refuse := func(pointer, format string, args ...any) {
		f.Problems = append(f.Problems,
			rest.Problem{Code: rest.CodeForbidden, Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
	if was, now := before.base.EmergencyCallLimit, after.base.EmergencyCallLimit; limitText(was) != limitText(now) {
		refuse("/emergency_call_limit",
			"emergency_call_limit is %s, and making it %s needs a key with the scope %q. Ask the operator of the server.",
			limitText(was), limitText(now), ScopeAdmin)
	}
	was, now := alertCalls(before.base), alertCalls(after.base)
	if now != was && (now == 0 || was != 0 && now > was) {
		refuse("/emergency_alert_calls", "emergency_alert_calls is %d, and making it %d needs a key with the scope %q. "+
			"Give a smaller number that is not 0, or leave it.",
			was, now, ScopeAdmin)
	}
	full := record.AttestFull.String()
	if was, now := cmp.Or(before.base.MaxAttestation, full), after.base.MaxAttestation; now < was {
		refuse("/max_attestation", "max_attestation is %s, and making it %s needs a key with the scope %q. Ask the operator "+
			"of the server.", was, now, ScopeAdmin)
	}
	if len(f.Problems) == 0 {
		return nil
	}
	return f
}

func limitText(limit *int32) string {
	if limit == nil {
		return "null"
	}
	return strconv.Itoa(int(*limit))
}

func alertCalls(b *connection.Base) int32 {
	if b.EmergencyAlertCalls == nil {
		return connection.DefaultEmergencyAlertCalls
	}
	return *b.EmergencyAlertCalls
}

// addedEmergencyNumbers refuses entries that were not on a list before. at is where such
// a key adds them, with a space before it.
func addedEmergencyNumbers(before, after []string, at string) []rest.Problem {
	var problems []rest.Problem
	for i, number := range after {
		if slices.Contains(before, number) {
			continue
		}
		problems = append(problems, rest.Problem{Code: rest.CodeForbidden, Pointer: "/emergency_numbers/" + strconv.Itoa(i),
			Detail: fmt.Sprintf("No limit stops a call to an emergency number, so adding %.20q needs a key with the scope "+
				"%q%s. Ask the operator of the server, or leave it out.", number, ScopeAdmin, at)})
	}
	return problems
}

// accountEmergencyProblems reports what is wrong with the emergency numbers of an account
// on any of its connections. Those that stay as they are prevent nothing.
func accountEmergencyProblems(snapshot *policy.Snapshot, account id.ID, before, after []string) []field.Error {
	var errs []field.Error
	for i, number := range after {
		if slices.Contains(before, number) {
			continue
		}
		detail := connection.EmergencyProblem(number, 0, "")
		snapshot.EveryConnection(func(c *policy.Connection) bool {
			if detail == "" && c.Account == account {
				if detail = connection.EmergencyProblem(number, c.Home, c.TechPrefix); detail != "" {
					detail = fmt.Sprintf("On connection %s: %s", c.ID, detail)
				}
			}
			return detail == ""
		})
		if detail != "" {
			errs = append(errs, field.Error{Pointer: "/emergency_numbers/" + strconv.Itoa(i), Code: field.Malformed,
				Detail: detail})
		}
	}
	return errs
}
