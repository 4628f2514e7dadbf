// Package numbering holds the operator's overrides of the built-in numbering plan: which
// numbers exist, where they ring and of which type they are.
package numbering

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// Override defines whether the numbers that begin with a prefix exist, and what they
// are. It belongs to the server. The longest matching prefix decides.
type Override struct {
	collection.Head[id.ID]

	Prefix     string  `json:"prefix" minLength:"1" maxLength:"15" doc:"The first digits of the numbers in E.164, calling code first and without a plus, such as 1436."`
	Valid      bool    `json:"valid" doc:"Whether such numbers exist. false refuses them with D14."`
	Country    *string `json:"country" doc:"ISO 3166-1 alpha-2 of where they ring, for whitelists; null for what the built-in plan says."`
	NumberType *string `json:"number_type" enum:"unknown,fixed_line,mobile,fixed_line_or_mobile,toll_free,premium_rate,shared_cost,voip,personal,pager,uan,voicemail,satellite,international" doc:"What they are, for blocked_number_types; null for what the built-in plan says."`
	MinDigits  *int32  `json:"min_digits" minimum:"7" maximum:"15" doc:"The least digits of a number, calling code included; null for what its country has."`
	MaxDigits  *int32  `json:"max_digits" minimum:"7" maximum:"15" doc:"The most digits of a number, calling code included; null for what its country has."`
	Comment    string  `json:"comment" maxLength:"1000" doc:"Why, for those who read it later."`
	ValidFrom  *Moment `json:"valid_from" doc:"From when the override holds: a date (00:00 UTC) or a time; null for always."`
	ValidUntil *Moment `json:"valid_until" doc:"Until when it holds, itself not included; null for ever."`

	collection.Times
}

// New returns an override with the defaults of the API.
func New() Override { return Override{} }

// Moment is a time that may be written as a date, which is its midnight in UTC.
type Moment struct{ at time.Time }

// ErrMoment means that a text is neither a date nor a time.
var ErrMoment = errors.New("neither a date such as 2026-12-31 nor a time such as 2026-12-31T00:00:00Z")

// ParseMoment parses a date or an RFC 3339 time.
func ParseMoment(s string) (Moment, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		return Moment{}, fmt.Errorf("parse %.40q: %w", s, ErrMoment)
	}
	return Moment{time.UnixMicro(t.UnixMicro()).UTC()}, nil
}

// MarshalText writes a time.
func (m Moment) MarshalText() ([]byte, error) {
	return m.at.AppendFormat(nil, time.RFC3339Nano), nil
}

// UnmarshalText reads what ParseMoment reads.
func (m *Moment) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMoment(string(text))
	return err
}

// Micros is the time in Unix microseconds, 0 for nil.
func (m *Moment) Micros() int64 {
	if m == nil {
		return 0
	}
	return m.at.UnixMicro()
}

// Overlaps reports whether two overrides have the same prefix and may be in force at the
// same time.
func (o *Override) Overlaps(other *Override) bool {
	return o.Prefix == other.Prefix &&
		begins(other.ValidFrom, o.ValidUntil) && begins(o.ValidFrom, other.ValidUntil)
}

// begins reports whether an override that is valid from one moment begins before another
// moment.
func begins(from, until *Moment) bool {
	return from == nil || until == nil || from.at.Before(until.at)
}

// Validate returns all problems of the override that the tags of its fields do not
// express.
func (o *Override) Validate() []field.Error {
	var errs []field.Error
	prefix, err := o.prefix()
	switch {
	case err != nil:
		errs = append(errs, field.Error{Pointer: "/prefix", Code: field.Malformed,
			Detail: fmt.Sprintf("%.20q is not a prefix of phone numbers. Give 1 to 15 digits of which the first is not 0, "+
				"calling "+
				"code first, without a plus or spaces, such as \"1436\".", o.Prefix)})
	case e164.CoversEmergency(prefix):
		errs = append(errs, field.Error{Pointer: "/prefix", Code: field.Malformed,
			Detail: fmt.Sprintf("%q is an emergency number, which no override may touch. Give a longer prefix of the numbers "+
				"that are meant.", o.Prefix)})
	}
	if o.Country != nil {
		if _, ok := e164.CountryByAlpha2(*o.Country); !ok {
			wanted := "Give an ISO 3166-1 alpha-2 code such as \"US\", or null for what the built-in plan says."
			if meant, ok := e164.SuggestCountry(*o.Country); ok {
				wanted = fmt.Sprintf("Use %q.", meant)
			}
			errs = append(errs, field.Error{Pointer: "/country", Code: field.NotListed,
				Detail: fmt.Sprintf("%.20q is not a country. %s", *o.Country, wanted)})
		}
	}
	if o.NumberType != nil {
		if _, ok := e164.ParseNumberType(*o.NumberType); !ok {
			errs = append(errs, field.Error{Pointer: "/number_type", Code: field.NotListed,
				Detail: fmt.Sprintf("%.40q is not a number type. Give one such as \"fixed_line\", or null for what the "+
					"built-in plan says.", *o.NumberType)})
		}
	}
	if o.MaxDigits != nil && (o.MinDigits != nil && *o.MinDigits > *o.MaxDigits || int(*o.MaxDigits) < len(o.Prefix)) {
		errs = append(errs, field.Error{Pointer: "/max_digits", Code: field.OutOfRange,
			Detail: "No number could be so short: give at least min_digits and the length of prefix, at most 15, or null."})
	}
	if !begins(o.ValidFrom, o.ValidUntil) {
		errs = append(errs, field.Error{Pointer: "/valid_until", Code: field.Malformed,
			Detail: "valid_until is not after valid_from, so the override would never be in force. Give a later time, or " +
				"null for ever."})
	}
	return errs
}

func (o *Override) prefix() (e164.Number, error) {
	if len(o.Prefix) > e164.MaxDigits || o.Prefix == "" || o.Prefix[0] == '0' || o.Prefix[0] == '+' {
		return 0, e164.ErrSyntax
	}
	n, err := strconv.ParseUint(o.Prefix, 10, 64)
	return e164.Number(n), err
}

// Compile resolves the names in an override.
func (o *Override) Compile() (e164.Override, error) {
	compiled := e164.Override{ID: int64(o.ID), Valid: o.Valid, FromMicros: o.ValidFrom.Micros(),
		UntilMicros: o.ValidUntil.Micros()}
	var err error
	if compiled.Prefix, err = o.prefix(); err != nil {
		return compiled, fmt.Errorf("compile numbering plan override %s: prefix %.20q: %w", o.ID, o.Prefix, err)
	}
	if o.Country != nil {
		country, ok := e164.CountryByAlpha2(*o.Country)
		if !ok {
			return compiled, fmt.Errorf("compile numbering plan override %s: unknown country %q", o.ID, *o.Country)
		}
		compiled.Country = country
	}
	if o.NumberType != nil {
		kind, ok := e164.ParseNumberType(*o.NumberType)
		if !ok {
			return compiled, fmt.Errorf("compile numbering plan override %s: unknown number type %q", o.ID, *o.NumberType)
		}
		compiled.Type, compiled.HasType = kind, true
	}
	if o.MinDigits != nil {
		compiled.MinDigits = int(*o.MinDigits)
	}
	if o.MaxDigits != nil {
		compiled.MaxDigits = int(*o.MaxDigits)
	}
	return compiled, nil
}
