package rating

import (
	"cmp"
	"iter"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/money"
)

// Traffic is what was called in numbers that begin with a prefix.
type Traffic struct {
	Prefix string
	Calls  int64 // answered ones
	Secs   int64 // from answer to end
}

// Change says how a price differs between two decks.
type Change string

// The changes. A prefix that one deck does not have is compared with the shorter one that prices its numbers there.
const (
	Added    Change = "added"    // the first deck has no price for it
	Gone     Change = "gone"     // the second deck has none
	Dearer   Change = "dearer"   // a part of the price is greater, and none is less
	Cheaper  Change = "cheaper"  // a part of it is less, and none is greater
	Mixed    Change = "mixed"    // some parts are greater and some less
	Same     Change = "same"     // the same price, if by another prefix
	Unpriced Change = "unpriced" // numbers for which neither deck has a price
)

// Compared is a prefix of either deck, and what was called by it: in numbers that have no longer prefix in either deck.
type Compared struct {
	Prefix        string // "" with Unpriced
	Description   string // of the second deck, or of the first if that does not have the prefix
	Change        Change
	Before, After *Priced // nil for no price
	Traffic       Traffic

	done bool // no traffic can come any more
}

// Priced is what a number of a prefix costs in a deck.
type Priced struct {
	Prefix string // that has the price: as long, or shorter
	Rate   Rate
}

// Cost is what traffic costs at a price, without rounding to increments; nothing at no price.
func (p *Priced) Cost(t *Traffic) money.Amount {
	if p == nil {
		return 0
	}
	const secsOfMinute = 60 // so that a fee a call is a price a minute
	return money.Add(money.PerMinuteTimes(p.Rate.ConnectFee, t.Calls*secsOfMinute),
		money.PerMinuteTimes(p.Rate.PerMinute, t.Secs))
}

// Compare reports every prefix that either deck has at a moment, in dictionary order. Both decks come as their rows in
// that order, and by time within a prefix; traffic comes in dictionary order too. It keeps no more than the prefixes
// below one of one digit.
func Compare(before, after iter.Seq2[[]Row, error], traffic []Traffic, at time.Time,
	report func(*Compared) error) error {
	c := &comparison{report: report}
	first, stopFirst := pullInForce(before, at)
	defer stopFirst()
	second, stopSecond := pullInForce(after, at)
	defer stopSecond()
	for {
		a, errA := first.peek()
		b, errB := second.peek()
		if err := cmp.Or(errA, errB); err != nil {
			return err
		}
		prefix := least(a, b)
		for len(traffic) > 0 && (prefix == "" || traffic[0].Prefix < prefix) {
			c.call(&traffic[0])
			traffic = traffic[1:]
		}
		if prefix == "" {
			return c.finish()
		}
		c.open(prefix)
		if err := c.flush(); err != nil {
			return err
		}
		one := &Compared{Prefix: prefix}
		if parent := c.top(); parent != nil {
			one.Before, one.After = parent.Before, parent.After
		}
		if a != nil && a.Prefix == prefix {
			one.Before, one.Description = &Priced{prefix, a.Rate}, a.Description
			first.take()
		}
		if b != nil && b.Prefix == prefix {
			one.After, one.Description = &Priced{prefix, b.Rate}, b.Description
			second.take()
		}
		one.Change = changeOf(one.Before, one.After)
		c.stack, c.queue = append(c.stack, one), append(c.queue, one)
	}
}

// comparison holds the prefixes that one digit string begins with, and those that are not reported yet.
type comparison struct {
	stack, queue []*Compared
	unpriced     Compared
	report       func(*Compared) error
}

func (c *comparison) top() *Compared {
	if len(c.stack) == 0 {
		return nil
	}
	return c.stack[len(c.stack)-1]
}

// open closes what a prefix, or a number, does not begin with.
func (c *comparison) open(prefix string) {
	for top := c.top(); top != nil && !strings.HasPrefix(prefix, top.Prefix); top = c.top() {
		top.done = true
		c.stack = c.stack[:len(c.stack)-1]
	}
}

func (c *comparison) call(t *Traffic) {
	c.open(t.Prefix)
	one := c.top()
	if one == nil {
		one = &c.unpriced
	}
	one.Traffic.Calls += t.Calls
	one.Traffic.Secs += t.Secs
}

// flush reports what is done, in order.
func (c *comparison) flush() error {
	for len(c.queue) > 0 && c.queue[0].done {
		one := c.queue[0]
		one.Traffic.Prefix = one.Prefix
		c.queue = c.queue[1:]
		if err := c.report(one); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) finish() error {
	c.open("")
	if err := c.flush(); err != nil || c.unpriced.Traffic.Calls == 0 {
		return err
	}
	c.unpriced.Change = Unpriced
	return c.report(&c.unpriced)
}

func least(a, b *Row) string {
	switch {
	case a == nil && b == nil:
		return ""
	case b == nil || a != nil && a.Prefix < b.Prefix:
		return a.Prefix
	}
	return b.Prefix
}

func changeOf(before, after *Priced) Change {
	switch {
	case before == nil:
		return Added
	case after == nil:
		return Gone
	}
	a, b := before.Rate, after.Rate
	dearer := b.PerMinute > a.PerMinute || b.ConnectFee > a.ConnectFee || b.FirstIncrement > a.FirstIncrement ||
		b.Increment > a.Increment
	cheaper := b.PerMinute < a.PerMinute || b.ConnectFee < a.ConnectFee || b.FirstIncrement < a.FirstIncrement ||
		b.Increment < a.Increment
	switch {
	case dearer && cheaper:
		return Mixed
	case dearer:
		return Dearer
	case cheaper:
		return Cheaper
	}
	return Same
}

// inForce are the rows of a deck that hold at a moment: of each prefix the latest one.
type inForce struct {
	at    time.Time
	next  func() ([]Row, error, bool)
	rows  []Row
	head  *Row // nil if it is not known, or at the end
	err   error
	ended bool
}

func pullInForce(parts iter.Seq2[[]Row, error], at time.Time) (*inForce, func()) {
	next, stop := iter.Pull2(parts)
	return &inForce{at: at, next: next}, stop
}

// row is the next row, in force or not; nil at the end.
func (f *inForce) row() *Row {
	for len(f.rows) == 0 && !f.ended {
		var more bool
		f.rows, f.err, more = f.next()
		f.ended = !more || f.err != nil
	}
	if len(f.rows) == 0 {
		return nil
	}
	return &f.rows[0]
}

// peek is the price of the next prefix; nil at the end.
func (f *inForce) peek() (*Row, error) {
	if f.head != nil {
		return f.head, nil
	}
	for row := f.row(); row != nil; row = f.row() {
		switch {
		case f.head != nil && row.Prefix != f.head.Prefix:
			return f.head, nil
		case !row.EffectiveAt.After(f.at):
			f.head = row
		}
		f.rows = f.rows[1:]
	}
	return f.head, f.err
}

func (f *inForce) take() { f.head = nil }
