// Package id makes and reads the identifiers of resources: 63-bit integers of
// the shape Telnyx uses for profiles and connections ("1293384261075731499"),
// written as decimal strings because they do not fit a JSON number.
package id

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// ID identifies a resource: 41 bits of milliseconds, 10 bits of node, 12 bits of
// sequence, so that ids sort by creation. The zero value means "none".
type ID int64

// ErrSyntax means that a text is not a resource id.
var ErrSyntax = errors.New("not a resource id, which is 1 to 19 digits")

// Parse reads a decimal id.
func Parse(s string) (ID, error) {
	if len(s) == 0 || len(s) > 19 || s[0] < '1' || s[0] > '9' {
		return 0, fmt.Errorf("parse %.24q: %w", s, ErrSyntax)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse %.24q: %w", s, ErrSyntax)
	}
	return ID(n), nil
}

// String writes the decimal form, "" for none.
func (i ID) String() string {
	if i == 0 {
		return ""
	}
	return strconv.FormatInt(int64(i), 10)
}

// MarshalJSON writes the id as a JSON string, or null for none.
func (i ID) MarshalJSON() ([]byte, error) {
	if i == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, i.String()), nil
}

// UnmarshalJSON reads a JSON string of digits; null and "" mean none.
func (i *ID) UnmarshalJSON(text []byte) error {
	if s := string(text); s == "null" || s == `""` {
		*i = 0
		return nil
	}
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return fmt.Errorf("parse %.24s: %w", text, ErrSyntax)
	}
	parsed, err := Parse(string(text[1 : len(text)-1]))
	if err != nil {
		return err
	}
	*i = parsed
	return nil
}

// epoch is the zero of the time bits, in Unix milliseconds. It is the one of the
// original snowflake layout, so that ids have the 19 digits that Telnyx ids have
// from 2018 to 2080.
const epoch = 1288834974657

const (
	nodeBits     = 10
	sequenceBits = 12
	maxNode      = Nodes - 1
	maxSequence  = 1<<sequenceBits - 1
)

// Source makes ids that are unique per node and never go back, even when the
// clock does. It is safe for concurrent use.
type Source struct {
	now  func() time.Time
	node int64

	mu       sync.Mutex // guards the fields below
	last     int64      // milliseconds since epoch of the last id
	sequence int64
}

// Nodes is how many nodes can make ids that never collide.
const Nodes = 1 << nodeBits

// NewSource returns a source for a node numbered 0 to 1023.
func NewSource(node int, now func() time.Time) *Source {
	if node < 0 || node > maxNode {
		panic("id: node number out of range")
	}
	return &Source{now: now, node: int64(node)}
}

// Next returns a new id. When 4,096 ids have been made in one millisecond it
// borrows from the next one instead of waiting.
func (s *Source) Next() ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ms := s.now().UnixMilli() - epoch
	switch {
	case ms > s.last:
		s.last, s.sequence = ms, 0
	case s.sequence < maxSequence:
		s.sequence++
	default:
		s.last, s.sequence = s.last+1, 0
	}
	return ID(s.last<<(nodeBits+sequenceBits) | s.node<<sequenceBits | s.sequence)
}
