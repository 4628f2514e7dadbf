package connection

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
)

// DefaultEmergencyAlertCalls is the number of emergency calls of a connection on one day
// that is unusual by default.
const DefaultEmergencyAlertCalls = 10

// Home returns the country whose dialling rules the connection's callers follow, or 0.
func (o *Outbound) Home() e164.Country {
	if o.Localization == nil {
		return 0
	}
	home, _ := e164.CountryByAlpha2(*o.Localization)
	return home
}

func (b *Base) emergencyProblems(o *Outbound, techPrefix string) []field.Error {
	var errs []field.Error
	for i, number := range b.EmergencyNumbers {
		if detail := EmergencyProblem(number, o.Home(), techPrefix); detail != "" {
			errs = append(errs, field.Error{Pointer: "/emergency_numbers/" + strconv.Itoa(i), Code: field.Malformed,
				Detail: detail})
		}
	}
	return errs
}

// EmergencyProblem explains why a number cannot be an emergency number where a
// connection is. It returns "" if it can be one. See e164.OwnEmergency.
func EmergencyProblem(number string, home e164.Country, techPrefix string) string {
	const accepted = `Give 2 to 6 digits as they are dialled, such as "112", that reach no one else.`
	err := e164.OwnEmergency(number, home, techPrefix)
	where := "without a localization"
	if home != 0 {
		where = "with the localization " + home.Alpha2()
	}
	if techPrefix != "" {
		where += " and the tech prefix " + techPrefix
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, e164.ErrOwnEmergencyDialled):
		return fmt.Sprintf("%.20q can be dialled as a telephone number %s, and no limit stops an emergency call. %s "+
			"Take the number off the list, or change the localization or the tech prefix.", number, where, accepted)
	case errors.Is(err, e164.ErrOwnEmergencyCostly):
		return fmt.Sprintf("%.20q is a short number that costs money %s, and no limit stops an emergency call. %s",
			number, where, accepted)
	}
	return fmt.Sprintf("%.20q is not an emergency number. %s", number, accepted)
}
