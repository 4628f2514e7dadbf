package profile

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
)

func TestValidateProfile(t *testing.T) {
	at := func(text string) *TimeOfDay {
		parsed, err := ParseTimeOfDay(text)
		if err != nil {
			t.Fatal(err)
		}
		return &parsed
	}
	for name, c := range map[string]struct {
		change func(*Profile)
		want   string
	}{
		"defaults":      {func(*Profile) {}, ""},
		"every country": {func(p *Profile) { p.WhitelistedDestinations = everywhere() }, ""},
		"no country":    {func(p *Profile) { p.WhitelistedDestinations = nil }, ""},
		"lower case": {func(p *Profile) { p.WhitelistedDestinations = []string{"US", "ca"} },
			"/whitelisted_destinations/1"},
		"a calling code": {func(p *Profile) { p.WhitelistedDestinations = []string{"+1"} },
			"/whitelisted_destinations/0"},
		"limit enabled": {func(p *Profile) { p.DailySpendLimitEnabled, p.DailySpendLimit = true, new(money.Amount(0)) },
			""},
		"limit enabled, none": {func(p *Profile) { p.DailySpendLimitEnabled = true }, "/daily_spend_limit"},
		"recording of callers": {func(p *Profile) {
			p.CallRecording.Type = RecordByCaller
			p.CallRecording.CallerPhoneNumbers = []e164.Number{1}
		}, ""},
		"recording of no caller": {func(p *Profile) { p.CallRecording.Type = RecordByCaller },
			"/call_recording/call_recording_caller_phone_numbers"},
		"number type": {func(p *Profile) { p.BlockedNumberTypes = []string{"mobile", "Mobile"} },
			"/blocked_number_types/1"},
		"empty window": {func(p *Profile) { p.CallingWindow = &CallingWindow{} }, ""},
		"window over midnight": {func(p *Profile) {
			p.CallingWindow = &CallingWindow{StartTime: at("22:00"), EndTime: at("06:00")}
		}, ""},
		"window of no length": {func(p *Profile) {
			p.CallingWindow = &CallingWindow{StartTime: at("06:00"), EndTime: at("06:00:00.0Z")}
		}, "/calling_window/end_time"},
		"time zone": {func(p *Profile) { p.CallingWindow = &CallingWindow{TimeZone: new("Europe/London")} }, ""},
		"unknown time zone": {func(p *Profile) { p.CallingWindow = &CallingWindow{TimeZone: new("Europe/Atlantis")} },
			"/calling_window/time_zone"},
		"time zone of the host": {func(p *Profile) { p.CallingWindow = &CallingWindow{TimeZone: new("Local")} },
			"/calling_window/time_zone"},
		"time zone up the tree": {func(p *Profile) { p.CallingWindow = &CallingWindow{TimeZone: new("../../etc/passwd")} },
			"/calling_window/time_zone"},
		"time zone of no length": {func(p *Profile) { p.CallingWindow = &CallingWindow{TimeZone: new("")} },
			"/calling_window/time_zone"},
	} {
		p := New()
		c.change(&p)
		var got []string
		for _, e := range p.Validate() {
			got = append(got, e.Pointer)
			if e.Detail == "" || e.Code == "" {
				t.Errorf("%s: incomplete %+v", name, e)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: wrong at %q, want %q", name, got, c.want)
		}
	}
}

func everywhere() []string {
	all := e164.Ranges()
	for _, c := range e164.Countries() {
		all = append(all, c.Alpha2())
	}
	return all
}
