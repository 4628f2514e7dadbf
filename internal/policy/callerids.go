package policy

import (
	"slices"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
)

// Mismatch is what happens to a call whose caller id its connection does not list.
type Mismatch uint8

// The values of Mismatch. Decisions store them by number: append only.
const (
	MismatchPass Mismatch = iota
	MismatchRefuse
	MismatchReplace
)

// String returns the value that the API uses.
func (m Mismatch) String() string {
	return [...]string{connection.MismatchPass, connection.MismatchRefuse,
		connection.MismatchReplace}[min(m, MismatchReplace)]
}

// NumberSet is a set of numbers, given by numbers and by prefixes.
type NumberSet struct {
	numbers  []e164.Number // sorted
	prefixes []e164.Number
}

// Has reports whether a number is in the set. It does not allocate.
func (s *NumberSet) Has(n e164.Number) bool {
	if n == 0 {
		return false
	}
	if _, found := slices.BinarySearch(s.numbers, n); found {
		return true
	}
	for _, prefix := range s.prefixes {
		rest := n
		for rest > prefix {
			rest /= 10
		}
		if rest == prefix {
			return true
		}
	}
	return false
}

// Empty reports whether the set is empty.
func (s *NumberSet) Empty() bool { return len(s.numbers)+len(s.prefixes) == 0 }

func numberSet(numbers []e164.Number, prefixes []string) NumberSet {
	var s NumberSet
	s.numbers = slices.Clone(numbers)
	slices.Sort(s.numbers)
	for _, prefix := range prefixes {
		n := e164.Number(0)
		for _, digit := range prefix[min(1, len(prefix)):] {
			n = n*10 + e164.Number(digit-'0')
		}
		if n != 0 {
			s.prefixes = append(s.prefixes, n)
		}
	}
	return s
}

// CallerIDs defines which caller ids the callers of a connection may show.
type CallerIDs struct {
	OnMismatch Mismatch
	Listed     NumberSet
	confirmed  NumberSet
	// first is the first of the confirmed numbers, and replacement what is shown
	// instead of other numbers; 0 for none.
	first, replacement e164.Number
}

// Confirms reports whether the connection has proved that it may show a number, so that
// the number is asserted to carriers: an admin has listed it, or the account has verified
// it and the connection's list allows it. Other kinds of proof belong here.
func (s *Snapshot) Confirms(c *Connection, n e164.Number) bool {
	ids := c.CallerIDs
	if ids.confirmed.Has(n) {
		return true
	}
	if n == 0 || !s.Verified(c.Account, n) {
		return false
	}
	return ids.Listed.Empty() || ids.OnMismatch == MismatchPass || n == c.ANIOverride || ids.Listed.Has(n)
}

// Replacement returns the number to show instead of one that is not listed, or 0.
func (ids *CallerIDs) Replacement() e164.Number { return ids.replacement }

// ForEmergency returns the confirmed number to show on an emergency call whose caller
// shows none: the connection's override if it is confirmed, else the first confirmed
// number, else the first listed number that the account has verified, else 0.
func (s *Snapshot) ForEmergency(c *Connection) e164.Number {
	ids := c.CallerIDs
	switch {
	case s.Confirms(c, c.ANIOverride):
		return c.ANIOverride
	case ids.first != 0:
		return ids.first
	}
	for _, n := range ids.Listed.numbers {
		if s.Confirms(c, n) {
			return n
		}
	}
	return 0
}

// anyCallerID are those of a connection without caller ids. Most have none, and a decision
// that reads theirs finds it in the cache.
var anyCallerID = &CallerIDs{}

func compileCallerIDs(ids *connection.CallerIDs, override e164.Number) *CallerIDs {
	compiled := &CallerIDs{
		Listed:    numberSet(ids.Numbers, ids.Prefixes),
		confirmed: numberSet(ids.ConfirmedNumbers, ids.ConfirmedPrefixes),
	}
	switch ids.OnMismatch {
	case connection.MismatchRefuse:
		compiled.OnMismatch = MismatchRefuse
	case connection.MismatchReplace:
		compiled.OnMismatch = MismatchReplace
	}
	if len(ids.ConfirmedNumbers) > 0 {
		compiled.first = ids.ConfirmedNumbers[0]
	}
	if compiled.replacement = override; override == 0 && len(ids.Numbers) > 0 {
		compiled.replacement = ids.Numbers[0]
	}
	if compiled.Listed.Empty() && compiled.confirmed.Empty() && compiled.OnMismatch == MismatchPass && override == 0 {
		return anyCallerID
	}
	return compiled
}
