package numberlist

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
)

// Compiled is a list as decisions read it. It never changes.
type Compiled struct {
	ID, Account, Profile id.ID // Profile is 0 for all profiles
	Callers              bool  // it is about who calls
	rows                 []row // by prefix
	lengths              uint16
}

// row is an entry in 16 bytes.
type row struct {
	prefix e164.Number
	// until is when it ends in Unix microseconds, shifted left by one, 0 for never; bit 0 says
	// that it allows calls.
	until int64
}

func (r row) compare(prefix e164.Number) int { return cmp.Compare(r.prefix, prefix) }

// Compile reads the entries.
func (l *List) Compile() (*Compiled, error) {
	c := &Compiled{ID: l.ID, Account: l.AccountID, Profile: l.Profile, Callers: l.Matches == Caller,
		rows: make([]row, 0, len(l.Entries))}
	for i := range l.Entries {
		e := &l.Entries[i]
		prefix, err := e.prefix()
		if err != nil {
			return nil, fmt.Errorf("compile number list %s: entry %d: %.20q: %w", l.ID, i, e.Prefix, err)
		}
		entry := row{prefix, e.ExpiresAt.Micros() << 1}
		if e.Action == Allow {
			entry.until |= 1
		}
		c.rows = append(c.rows, entry)
		digits := prefix.Digits()
		c.lengths |= 1 << digits.Len
	}
	slices.SortFunc(c.rows, func(a, b row) int { return cmp.Compare(a.prefix, b.prefix) })
	return c, nil
}

// Find returns the longest entry in force that a number begins with, or 0. It does not allocate.
func (c *Compiled) Find(n e164.Number, atMicros int64) (prefix e164.Number, allow bool) {
	digits := n.Digits()
	for lengths := c.lengths; lengths != 0; {
		length := bits.Len16(lengths) - 1
		lengths &^= 1 << length
		if length > digits.Len {
			continue
		}
		wanted := n.First(length)
		at, found := slices.BinarySearchFunc(c.rows, wanted, row.compare)
		if !found {
			continue
		}
		if until := c.rows[at].until >> 1; until == 0 || atMicros < until {
			return wanted, c.rows[at].until&1 != 0
		}
	}
	return 0, false
}
