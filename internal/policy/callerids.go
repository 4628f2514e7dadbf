package policy

import (
	"slices"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
)

// Mismatch is what happens to a call whose caller id is none of its connection's.
type Mismatch uint8

// What may happen. Their order is stored in decisions; append only.
const (
	MismatchPass Mismatch = iota
	MismatchRefuse
	MismatchReplace
)

// String is the word of the API.
func (m Mismatch) String() string {
	return [...]string{connection.MismatchPass, connection.MismatchRefuse,
		connection.MismatchReplace}[min(m, MismatchReplace)]
}

// NumberSet is a set of numbers: some, and all that begin with one of some prefixes.
type NumberSet struct {
	numbers  []e164.Number // sorted
	prefixes []e164.Number
}

// Has says whether a number is in the set. It does not allocate.
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

// Empty says that nothing is in the set.
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

// CallerIDs is which caller ids the callers of a connection may show.
type CallerIDs struct {
	OnMismatch Mismatch
	Listed     NumberSet
	confirmed  NumberSet
	// first is the first of the confirmed numbers, and replacement what is shown in the
	// place of another number; 0 for none.
	first, replacement e164.Number
}

// Confirms says whether it is known that a number is the connection's to show, so that
// it may be asserted to carriers: an admin has listed it, or the account has verified it
// and the connection's list lets it through. Any later proof of a number belongs here.
func (s *Snapshot) Confirms(c *Connection, n e164.Number) bool {
	ids := &c.CallerIDs
	if ids.confirmed.Has(n) {
		return true
	}
	if n == 0 || !s.Verified(c.Account, n) {
		return false
	}
	return ids.Listed.Empty() || ids.OnMismatch == MismatchPass || n == c.ANIOverride || ids.Listed.Has(n)
}

// Replacement is what is shown in the place of a number that is not listed, 0 for none.
func (ids *CallerIDs) Replacement() e164.Number { return ids.replacement }

// ForEmergency is the confirmed number to show on an emergency call of a caller that
// shows none: the connection's override if that is confirmed, else the first of the
// confirmed numbers, else the first of the list that the account has verified, else 0.
func (s *Snapshot) ForEmergency(c *Connection) e164.Number {
	ids := &c.CallerIDs
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

func compileCallerIDs(ids *connection.CallerIDs, override e164.Number) CallerIDs {
	compiled := CallerIDs{
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
	return compiled
}
