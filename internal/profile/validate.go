package profile

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
)

// Validate returns all problems of the profile that the tags of its fields do not
// express: names of countries, ranges and number
// types, the time zone, and values that only make sense together.
func (p *Profile) Validate() []field.Error {
	var errs []field.Error
	for i, name := range p.WhitelistedDestinations {
		if detail := destinationProblem(name); detail != "" {
			errs = append(errs, field.Error{Pointer: "/whitelisted_destinations/" + strconv.Itoa(i), Code: field.NotListed,
				Detail: detail})
		}
	}
	for i, name := range p.BlockedNumberTypes {
		if _, ok := e164.ParseNumberType(name); !ok {
			errs = append(errs, field.Error{Pointer: "/blocked_number_types/" + strconv.Itoa(i), Code: field.NotListed,
				Detail: fmt.Sprintf("%.40q is not a number type. Known types are %s.", name, numberTypeList())})
		}
	}
	if p.DailySpendLimitEnabled && p.DailySpendLimit == nil {
		errs = append(errs, missingLimit())
	}
	if p.CallRecording.Type == RecordByCaller && len(p.CallRecording.CallerPhoneNumbers) == 0 {
		errs = append(errs, field.Error{Pointer: "/call_recording/call_recording_caller_phone_numbers", Code: field.Missing,
			Detail: "call_recording_type is by_caller_phone_number, which records nothing without caller numbers. Give at " +
				"least one number such as \"+19705555098\"."})
	}
	return append(errs, p.CallingWindow.validate()...)
}

// destinationProblem returns "" for a destination that may be whitelisted.
func destinationProblem(name string) string {
	if _, ok := e164.CountryByAlpha2(name); ok {
		return ""
	}
	if _, ok := e164.ParseRange(name); ok {
		return ""
	}
	wanted := "Give ISO 3166-1 alpha-2 codes such as \"US\", or one of " + strings.Join(e164.Ranges(), ", ") +
		" for ranges that belong to no country."
	if meant, ok := e164.SuggestCountry(name); ok {
		wanted = fmt.Sprintf("Use %q.", meant)
	}
	return fmt.Sprintf("%.40q is not a destination. %s", name, wanted)
}

func numberTypeList() string {
	var names []string
	for t := e164.NumberType(0); t.String() != "invalid"; t++ {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

func (w *CallingWindow) validate() []field.Error {
	if w == nil {
		return nil
	}
	var errs []field.Error
	if w.StartTime != nil && w.EndTime != nil && *w.StartTime == *w.EndTime {
		errs = append(errs, field.Error{Pointer: "/calling_window/end_time", Code: field.Malformed,
			Detail: "end_time equals start_time, which could mean always or never. Leave both out for the whole day, or " +
				"disable the profile to refuse every call."})
	}
	if w.TimeZone != nil && !knownTimeZone(*w.TimeZone) {
		errs = append(errs, field.Error{Pointer: "/calling_window/time_zone", Code: field.NotListed,
			Detail: fmt.Sprintf("%.60q is not a known time zone. Give an IANA name such as \"America/New_York\", or null for "+
				"UTC.", *w.TimeZone)})
	}
	return errs
}

// knownTimeZone refuses "Local" and "", whose meaning depends on the machine.
func knownTimeZone(name string) bool {
	if name == "" || name == "Local" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}
