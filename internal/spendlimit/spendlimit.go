// Package spendlimit defines limits of what calls may cost: of a profile, a connection, a
// caller, what is called in a country or by a prefix, a billing group or the account, in
// an hour, a day, a month or the last 24 hours.
//
// The daily limit of a profile, a billing group or an account is a field of that
// resource, as Telnyx has it. A Limit stands beside it, and a call has to fit into all.
package spendlimit

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
)

// Scopes: whose calls a limit counts.
const (
	ScopeAccount      = "account"
	ScopeProfile      = "outbound_voice_profile"
	ScopeConnection   = "connection"
	ScopeBillingGroup = "billing_group"
	ScopeCaller       = "caller"
	ScopeCountry      = "country"
	ScopePrefix       = "prefix"
)

// Actions: what happens when the amount is reached.
const (
	Alert         = "alert"           // an event is sent, and calls continue
	BlockNewCalls = "block_new_calls" // new calls are refused, running ones continue and are counted
	EndCalls      = "end_calls"       // running calls end at their grant's end: charges never pass the amount
)

// Limits of how many there are.
const (
	// MaxInScope is how many limits one scope may have, for instance one connection.
	MaxInScope = 10
	// MaxInAccount is how many an account may have. Every call looks at all of them.
	MaxInAccount = 100
)

// Limit is a limit of what the calls of a scope may cost in a period.
type Limit struct {
	collection.Head[id.ID]

	Name       string       `json:"name" minLength:"1" maxLength:"255" doc:"A name for people; refusals and events show it."`
	Enabled    bool         `json:"enabled" doc:"Whether the limit is in force. The money of its calls is counted either way."`
	ScopeType  string       `json:"scope_type" title:"SpendLimitScope" enum:"account,outbound_voice_profile,connection,billing_group,caller,country,prefix" doc:"Whose calls are counted together."`
	ScopeValue *string      `json:"scope_value" maxLength:"64" doc:"Which one: the id of a profile, a connection or a billing group, the caller in E.164 as it is shown, the called country (ISO 3166-1 alpha-2), or the first digits of the called number without a plus. null with scope_type account."`
	Period     string       `json:"period" title:"SpendLimitPeriod" enum:"hour,day,month,rolling_24h" doc:"The time over which money is counted. rolling_24h is the hour that runs and the 24 hours before it."`
	TimeZone   string       `json:"time_zone" maxLength:"64" doc:"An IANA time zone such as America/New_York, in which days and months begin."`
	Amount     money.Amount `json:"amount" doc:"The most that the calls may cost in the period, in USD, as a decimal string."`
	Action     string       `json:"action" title:"SpendLimitMeasure" enum:"alert,block_new_calls,end_calls" doc:"What happens when the amount is reached: an event alone, new calls are refused too, or running calls also end before they cost more."`

	collection.Times
}

// New returns a limit with the defaults of the API.
func New() Limit {
	return Limit{Enabled: true, Period: "day", TimeZone: "UTC", Action: BlockNewCalls}
}

// ScopeKey names the scope, so that two limits of the same scope have the same key.
func (l *Limit) ScopeKey() string {
	if l.ScopeValue == nil {
		return l.ScopeType
	}
	return l.ScopeType + " " + *l.ScopeValue
}

// Shape is what decides which money is counted where. When it changes, what was counted
// has to be added up again.
func (l *Limit) Shape() string { return l.ScopeKey() + " " + l.Period + " " + l.TimeZone }

// Subject is whose calls are counted, read from scope_type and scope_value. The field
// of the scope's type is set, and no other.
type Subject struct {
	Profile, Connection id.ID
	Group               uuid.UUID
	Caller              e164.Number
	Country             e164.Country
	Prefix              e164.Number
	PrefixDigits        int
}

// Subject reads the scope. The error says what scope_value has to be.
func (l *Limit) Subject() (s Subject, err error) {
	if l.ScopeType == ScopeAccount {
		if l.ScopeValue != nil {
			return s, fmt.Errorf("the whole account is counted. Leave scope_value out, or give another scope_type")
		}
		return s, nil
	}
	if l.ScopeValue == nil && l.ScopeType != "" {
		return s, fmt.Errorf("scope_type %s needs the one that is meant", l.ScopeType)
	}
	if l.ScopeType == "" {
		return s, nil // the field itself is reported
	}
	value := *l.ScopeValue
	var wanted string
	switch l.ScopeType {
	case ScopeProfile:
		s.Profile, err = id.Parse(value)
		wanted = "the id of an outbound voice profile"
	case ScopeConnection:
		s.Connection, err = id.Parse(value)
		wanted = "the id of a connection"
	case ScopeBillingGroup:
		s.Group, err = uuid.Parse(value)
		wanted = "the id of a billing group"
	case ScopeCaller:
		s.Caller, err = e164.Parse(value)
		wanted = "a number in E.164 such as \"+19705555098\""
	case ScopeCountry:
		country, known := e164.CountryByAlpha2(value)
		if !known {
			err = e164.ErrSyntax
		}
		s.Country = country
		wanted = "an ISO 3166-1 alpha-2 code such as \"US\""
	case ScopePrefix:
		s.Prefix, s.PrefixDigits, err = parsePrefix(value)
		wanted = "1 to 15 digits of which the first is not 0, calling code first and without a plus, such as \"4420\""
	}
	if err != nil {
		return s, fmt.Errorf("%.40q is not what scope_type %s needs. Give %s", value, l.ScopeType, wanted)
	}
	return s, nil
}

func parsePrefix(text string) (e164.Number, int, error) {
	if text == "" || len(text) > e164.MaxDigits || text[0] < '1' || text[0] > '9' {
		return 0, 0, e164.ErrSyntax
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return e164.Number(n), len(text), err
}

// Zone is the time zone of the limit.
func (l *Limit) Zone() (*time.Location, error) {
	if l.TimeZone == "" || l.TimeZone == "Local" {
		return nil, fmt.Errorf("%q is not a time zone", l.TimeZone)
	}
	return time.LoadLocation(l.TimeZone)
}

// Validate returns the problems that the tags of the fields do not express.
func (l *Limit) Validate() []field.Error {
	var errs []field.Error
	if _, err := l.Subject(); err != nil {
		code := field.Malformed
		if l.ScopeValue == nil {
			code = field.Missing
		}
		errs = append(errs, field.Error{Pointer: "/scope_value", Code: code, Detail: err.Error() + "."})
	}
	if _, err := l.Zone(); err != nil {
		errs = append(errs, field.Error{Pointer: "/time_zone", Code: field.NotListed,
			Detail: fmt.Sprintf("%.64q is not a time zone. Give an IANA name such as \"Europe/Berlin\", or \"UTC\".",
				l.TimeZone)})
	}
	if l.Amount < 0 {
		errs = append(errs, field.Error{Pointer: "/amount", Code: field.OutOfRange,
			Detail: "No call costs less than nothing. Give an amount such as \"100.00\"; " +
				"\"0\" refuses every call that costs money."})
	}
	return errs
}
