// Package numberlist holds lists of numbers and prefixes that calls are admitted or refused for.
package numberlist

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numbering"
)

// Which number of a call a list is about.
const (
	Caller = "caller"
	Callee = "callee"
)

// What an entry does.
const (
	Allow  = "allow"
	Refuse = "refuse"
)

// MaxEntries bounds the entries of one list, and MaxLists the lists of an account.
const (
	MaxEntries = 10_000
	MaxLists   = 100
)

// List is a list of numbers. The longest entry that a number begins with decides, among all
// lists of a call; of two entries alike in different lists, the one that refuses.
type List struct {
	collection.Head[id.ID]

	Name    string  `json:"name" minLength:"1" maxLength:"255"`
	Matches string  `json:"matches" enum:"caller,callee" doc:"Which number of a call is looked up: who calls, as it is shown after ani_override, or who is called."`
	Profile id.ID   `json:"outbound_voice_profile_id" doc:"The profile whose calls it is for; null for all calls of the account."`
	Entries []Entry `json:"entries" maxItems:"10000" doc:"The numbers and prefixes. The longest that a number begins with decides. An update replaces all of them."`

	collection.Times
}

// Entry is what happens to calls of the numbers that begin with some digits.
type Entry struct {
	Prefix    string            `json:"prefix" minLength:"1" maxLength:"16" doc:"A number in E.164, or the first digits of numbers, calling code first, such as +4420."`
	Action    string            `json:"action" enum:"allow,refuse" doc:"allow lets a called number through that is outside of the profile's whitelisted_destinations; refuse refuses the call."`
	Comment   string            `json:"comment,omitzero" maxLength:"255" doc:"Why, for those who read it later."`
	ExpiresAt *numbering.Moment `json:"expires_at,omitzero" doc:"Until when it holds, itself not included: a date (00:00 UTC) or a time; null for ever."`
}

// New returns a list with the defaults of the API.
func New() List { return List{Entries: []Entry{}} }

var errPrefix = errors.New("not the first digits of phone numbers")

// prefix reads the digits of an entry.
func (e *Entry) prefix() (e164.Number, error) {
	digits := strings.TrimPrefix(e.Prefix, "+")
	if digits == "" || len(digits) > e164.MaxDigits || digits[0] < '1' || digits[0] > '9' {
		return 0, errPrefix
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return e164.Number(n), err
}

// Validate returns all problems of the list that the tags of its fields do not express.
func (l *List) Validate() []field.Error {
	return check(l.Entries, func(i int) (pointer, name string) {
		return fmt.Sprintf("/entries/%d", i), fmt.Sprintf("Entry %d", i)
	})
}

// check finds what is wrong with entries. at says where one is, and how messages name it.
func check(entries []Entry, at func(int) (pointer, name string)) (errs []field.Error) {
	first := make(map[e164.Number]int, len(entries))
	wrong := func(i int, detail string) {
		pointer, _ := at(i)
		errs = append(errs, field.Error{Pointer: pointer + "/prefix", Code: field.Malformed, Detail: detail})
	}
	for i := range entries {
		e := &entries[i]
		prefix, err := e.prefix()
		if err != nil {
			wrong(i, fmt.Sprintf("%.20q is not the beginning of phone numbers. Give 1 to 15 digits, calling code first, such "+
				"as \"+4420\".", e.Prefix))
			continue
		}
		if e164.CoversEmergency(prefix) {
			wrong(i, fmt.Sprintf("%q covers an emergency number, which no list may touch. Give a longer prefix of the "+
				"numbers that are meant.", e.Prefix))
		}
		before, twice := first[prefix]
		if !twice {
			first[prefix] = i
			continue
		}
		_, name := at(before)
		if other := entries[before].Action; other != e.Action {
			wrong(i, fmt.Sprintf("%s has the same prefix and says %s, this one says %s. Leave one out.", name, other, e.Action))
		} else {
			wrong(i, name+" has the same prefix. Leave one out.")
		}
	}
	return errs
}
