package routing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
)

// What a route does with the calls that it matches.
const (
	Send   = "send"
	Refuse = "refuse"
)

// The orders in which a route's gateways are tried.
const (
	ByPriority = "priority"
	ByWeight   = "weight"
)

// MaxRoutes bounds the routes of an account, and MaxHunt the gateways that one call may try by
// routes.
const (
	MaxRoutes = 5000
	MaxHunt   = 16
)

// Route says to which gateways some calls go, or that they go nowhere. It is Tollgate's own
// resource.
type Route struct {
	collection.Head[id.ID]

	Name     string         `json:"name" minLength:"1" maxLength:"255"`
	Enabled  bool           `json:"enabled"`
	Priority int32          `json:"priority" minimum:"0" maximum:"1000" doc:"Routes with a lower value are looked at first; among equals that with the longest matching prefix, then that with more conditions in match."`
	Match    RouteMatch     `json:"match" doc:"Which calls it is for: those that meet every condition. Without conditions it is for all calls."`
	Action   string         `json:"action" enum:"send,refuse" doc:"send tries the gateways; refuse refuses the call."`
	Gateways []RouteGateway `json:"gateways" maxItems:"16" doc:"Where the calls go, with action send. A gateway that is disabled is passed over. One call tries at most 16 gateways by routes."`
	Order    string         `json:"order" enum:"priority,weight" doc:"priority tries the gateways as they are listed, weight in an order drawn for each call by their weights."`
	Stop     bool           `json:"stop" doc:"Whether no other gateway is tried. If false, the gateways of the next route that matches follow, and those of the account after the last one."`

	collection.Times
}

// RouteMatch are the conditions of a route. An empty list is no condition.
type RouteMatch struct {
	Countries      []string   `json:"countries" title:"RouteCountries" maxItems:"300" doc:"Countries of the called number, ISO 3166-1 alpha-2, and ranges that belong to no country, such as +881."`
	Prefixes       []string   `json:"prefixes" title:"RoutePrefixes" maxItems:"1000" doc:"First digits of the called number, calling code first, such as +4420. The longest that matches counts."`
	NumberTypes    []string   `json:"number_types" title:"RouteNumberTypes" maxItems:"32" doc:"Types of the called number, such as mobile."`
	NumberLists    []id.ID    `json:"number_list_ids" title:"RouteNumberLists" maxItems:"20" doc:"Number lists, one of which allows the call's number."`
	Profiles       []id.ID    `json:"outbound_voice_profile_ids" title:"RouteProfiles" maxItems:"1000" doc:"Profiles whose calls it is for."`
	CallerPrefixes []string   `json:"caller_prefixes" title:"RouteCallerPrefixes" maxItems:"1000" doc:"First digits of the caller's number, as it is shown after ani_override."`
	Time           *RouteTime `json:"time" doc:"When it is in force; null for always."`
}

// RouteTime is a time of day on some days of the week.
type RouteTime struct {
	StartTime *profile.TimeOfDay `json:"start_time" doc:"From this time of day on: HH:MM or HH:MM:SS; null for midnight."`
	EndTime   *profile.TimeOfDay `json:"end_time" doc:"Until this time of day, itself not included; null for midnight. Before start_time, it is on the next day."`
	Days      []string           `json:"days" maxItems:"7" doc:"The days on which that begins: mon, tue, wed, thu, fri, sat and sun; empty for every day."`
	TimeZone  *string            `json:"time_zone" maxLength:"64" doc:"An IANA time zone such as America/New_York; null means UTC."`
}

// RouteGateway is a gateway of a route.
type RouteGateway struct {
	Gateway id.ID `json:"gateway_id"`
	Weight  int32 `json:"weight,omitzero" minimum:"1" maximum:"1000" doc:"Its share of the calls with order weight; 1 if it is left out."`
}

// NewRoute returns a route with the defaults of the API.
func NewRoute() Route {
	return Route{Enabled: true, Action: Send, Order: ByPriority, Stop: true, Gateways: []RouteGateway{}, Match: RouteMatch{
		Countries: []string{}, Prefixes: []string{}, NumberTypes: []string{}, NumberLists: []id.ID{}, Profiles: []id.ID{},
		CallerPrefixes: []string{},
	}}
}

// weekdays are in the order of time.Weekday.
var weekdays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Validate returns all problems of the route that the tags of its fields do not express.
func (r *Route) Validate() (errs []field.Error) {
	switch {
	case r.Action == Send && len(r.Gateways) == 0:
		errs = append(errs, field.Error{Pointer: "/gateways", Code: field.Length,
			Detail: "A route that sends needs at least one gateway. Name one, or set action to \"refuse\"."})
	case r.Action == Refuse && len(r.Gateways) > 0:
		errs = append(errs, field.Error{Pointer: "/gateways", Code: field.Length,
			Detail: "A route that refuses has no gateways. Take them out, or set action to \"send\"."})
	}
	for i, g := range r.Gateways {
		pointer := fmt.Sprintf("/gateways/%d/gateway_id", i)
		switch {
		case g.Gateway == 0:
			errs = append(errs, field.Error{Pointer: pointer, Code: field.Missing,
				Detail: "gateway_id is missing. Give the id of a gateway of the account."})
		case slices.IndexFunc(r.Gateways, func(o RouteGateway) bool { return o.Gateway == g.Gateway }) < i:
			errs = append(errs, field.Error{Pointer: pointer, Code: field.Duplicate,
				Detail: fmt.Sprintf("Gateway %s is listed twice. Leave one out.", g.Gateway)})
		}
	}
	return append(errs, r.Match.validate()...)
}

func (m *RouteMatch) validate() (errs []field.Error) {
	each := func(name string, values []string, accepted func(string) bool, wanted string) {
		for i, value := range values {
			if !accepted(value) {
				errs = append(errs, field.Error{Pointer: "/match/" + name + "/" + strconv.Itoa(i), Code: field.NotListed,
					Detail: fmt.Sprintf("%.40q is not %s.", value, wanted)})
			}
		}
	}
	isPrefix := func(text string) bool { _, ok := parsePrefix(text); return ok }
	const prefix = "the beginning of phone numbers. Give 1 to 15 digits, calling code first, such as \"+4420\""
	each("countries", m.Countries, func(text string) bool {
		_, country := e164.CountryByAlpha2(text)
		_, named := e164.ParseRange(text)
		return country || named
	}, "a country (ISO 3166-1 alpha-2, such as GB) or a range such as +881")
	each("prefixes", m.Prefixes, isPrefix, prefix)
	each("caller_prefixes", m.CallerPrefixes, isPrefix, prefix)
	each("number_types", m.NumberTypes, func(text string) bool { _, ok := e164.ParseNumberType(text); return ok },
		"a number type, such as mobile")
	if m.Time == nil {
		return errs
	}
	each("time/days", m.Time.Days, func(day string) bool { return slices.Contains(weekdays[:], day) },
		"a day: mon, tue, wed, thu, fri, sat or sun")
	if zone := m.Time.TimeZone; zone != nil && !knownZone(*zone) {
		errs = append(errs, field.Error{Pointer: "/match/time/time_zone", Code: field.NotListed,
			Detail: fmt.Sprintf("%.60q is not a known time zone. Give an IANA name such as \"America/New_York\", or null for "+
				"UTC.", *zone)})
	}
	if m.Time.StartTime != nil && m.Time.EndTime != nil && *m.Time.StartTime == *m.Time.EndTime {
		errs = append(errs, field.Error{Pointer: "/match/time/end_time", Code: field.Malformed,
			Detail: "end_time equals start_time, which could mean always or never. Leave both out for the whole day."})
	}
	return errs
}

// knownZone refuses names whose meaning depends on the machine.
func knownZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && name != "" && name != "Local"
}

// parsePrefix reads the first digits of numbers.
func parsePrefix(text string) (e164.Number, bool) {
	digits := strings.TrimPrefix(text, "+")
	if digits == "" || len(digits) > e164.MaxDigits || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return e164.Number(n), err == nil
}

// Ambiguous reports whether nothing says which of two routes of one account a call takes: both
// have the same priority and the same conditions, each with a value in common.
func (r *Route) Ambiguous(other *Route) bool {
	a, b := &r.Match, &other.Match
	return r.Enabled && other.Enabled && r.Priority == other.Priority &&
		alike(digitsOf(a.Prefixes), digitsOf(b.Prefixes)) && alike(a.Countries, b.Countries) &&
		alike(a.NumberTypes, b.NumberTypes) && alike(a.NumberLists, b.NumberLists) && alike(a.Profiles, b.Profiles) &&
		alike(digitsOf(a.CallerPrefixes), digitsOf(b.CallerPrefixes)) && a.Time.alike(b.Time)
}

// alike reports whether two lists are both no condition, or have a value in common.
func alike[T comparable](a, b []T) bool {
	return len(a) == 0 && len(b) == 0 || slices.ContainsFunc(a, func(value T) bool { return slices.Contains(b, value) })
}

func digitsOf(prefixes []string) (digits []e164.Number) {
	for _, text := range prefixes {
		n, _ := parsePrefix(text)
		digits = append(digits, n)
	}
	return digits
}

// alike reports whether both are null, or the two begin on a day in common at the same time.
// Of times that overlap, but are not the same, the route that is older is taken.
func (t *RouteTime) alike(other *RouteTime) bool {
	if t == nil || other == nil {
		return t == other
	}
	a, errA := t.compile()
	b, errB := other.compile()
	return errA == nil && errB == nil && a.days&b.days != 0 && a.Start == b.Start && a.End == b.End &&
		a.Location.String() == b.Location.String()
}
