package rating

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
)

// Deck is a rate deck compiled for a moment in time. It never changes, so any
// number of goroutines may read it.
//
// It is a digit trie laid out for few cache misses. The first digits index a
// table directly; below each of its entries is a tree of nodes of 16 bytes,
// breadth first, of which the children and the values each lie side by side and
// are found by counting bits. Digits on which all prefixes below a node agree are skipped in one step,
// so there are never more nodes than prefixes, however long those are.
type Deck struct {
	tableDigits int // the number of leading digits that index table
	table       []entry
	nodes       []node
	values      []uint32 // indexes of rates
	rates       []Rate   // each distinct rate once
	length      int
	nextChange  time.Time
}

// entry is the entry for the first tableDigits digits of a number.
type entry struct {
	next uint32 // the node for the following digits, plus one; 0 if none
	best uint32 // the longest prefix so far: index of its rate << 4 | its length; 0 if none
}

const bestLenBits = 4

// maxDeckRows is how many rates entry.best can tell apart.
const maxDeckRows = 1 << (32 - bestLenBits)

// node decides on one digit after some that it skips. From the lowest bit, word
// holds a set of the digits that have a child, a set of the digits that have a
// value, the number of digits skipped, and the skipped digits as an integer.
type node struct {
	word     uint64
	firstKid uint32 // index in nodes of the child for the lowest digit that has one
	// index in values of the value for the lowest digit that has one, or of the rate itself: see soleValue
	firstRate uint32
}

// soleValue reports whether exactly one digit has a value. The node then holds the
// index of its rate, which saves a cache miss.
func (n *node) soleValue() bool {
	values := n.word >> valuesShift & (1<<digitSetBits - 1)
	return values != 0 && values&(values-1) == 0
}

const (
	digitSetBits = 10
	valuesShift  = digitSetBits
	skipLenShift = 2 * digitSetBits
	skipLenMask  = 15
	skipShift    = skipLenShift + 4
	// maxSkip is the most digits whose value fits the 40 bits above skipShift.
	maxSkip = 12
)

// minNumberDigits is the shortest number that e164.Parse returns. The table
// takes fewer digits than this, so that every number reaches past it.
const minNumberDigits = 7

// Match is what Deck.Match found: the price and the prefix it is the price of.
type Match struct {
	Rate   Rate
	Prefix Prefix
}

// NewDeck compiles rows into a deck of the prices that hold at a moment: for
// each prefix the row with the latest EffectiveAt that is not after at. Rows
// whose time has not come are not in the deck; NextChange says when the first of
// them does. The order of rows does not matter. Rows are not kept.
//
// An error names the line of a row whose prefix or rate is not valid, or of two
// rows that price the same prefix from the same moment (ErrDuplicate).
func NewDeck(rows []Row, at time.Time) (*Deck, error) {
	if len(rows) > maxDeckRows {
		return nil, fmt.Errorf("compile %d rows: more than %d", len(rows), maxDeckRows)
	}
	for i := range rows {
		err := rows[i].Rate.Validate()
		if err != nil {
			return nil, fmt.Errorf("compile line %d, prefix %.24q: %w", rows[i].Line, rows[i].Prefix, err)
		}
	}
	order, err := sortRows(rows)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(order); i++ {
		a, b := order[i-1], order[i]
		if samePrice(rows, a, b) {
			return nil, fmt.Errorf("compile lines %d and %d, prefix %s: %w",
				rows[a.row].Line, rows[b.row].Line, rows[a.row].Prefix, ErrDuplicate)
		}
	}

	d := &Deck{}
	leaves := d.takeInForce(rows, order, at)
	d.length = len(leaves)
	// A table of about as many entries as there are prefixes costs no more than
	// the prefixes do, and leaves the fewest steps to walk.
	d.tableDigits = 1
	for d.tableDigits < minNumberDigits-1 && powersOfTen[d.tableDigits+1] <= 2*uint64(len(leaves)) {
		d.tableDigits++
	}
	d.build(leaves)
	return d, nil
}

// keyedRow is a row in dictionary order.
type keyedRow struct {
	key sortKey
	row uint32
}

// sortRows orders rows by prefix, then time, then line.
func sortRows(rows []Row) ([]keyedRow, error) {
	order := make([]keyedRow, len(rows))
	for i := range rows {
		prefix, err := ParsePrefix(rows[i].Prefix)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", rows[i].Line, err)
		}
		order[i] = keyedRow{prefix.key(), uint32(i)}
	}
	slices.SortFunc(order, func(a, b keyedRow) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		x, y := &rows[a.row], &rows[b.row]
		return cmp.Or(x.EffectiveAt.Compare(y.EffectiveAt), cmp.Compare(x.Line, y.Line), cmp.Compare(a.row, b.row))
	})
	return order, nil
}

// samePrice reports whether two rows price the same prefix from the same moment.
func samePrice(rows []Row, a, b keyedRow) bool {
	return a.key == b.key && rows[a.row].EffectiveAt.Equal(rows[b.row].EffectiveAt)
}

// leaf is a prefix of the deck and the index of its rate.
type leaf struct {
	key  sortKey
	rate uint32
}

// takeInForce picks the rows that hold at a moment, sets nextChange, and fills rates.
func (d *Deck) takeInForce(rows []Row, order []keyedRow, at time.Time) []leaf {
	leaves := make([]leaf, 0, len(order))
	indexes := make(map[Rate]uint32)
	for i, this := range order {
		row := &rows[this.row]
		if row.EffectiveAt.After(at) {
			if d.nextChange.IsZero() || row.EffectiveAt.Before(d.nextChange) {
				d.nextChange = row.EffectiveAt
			}
			continue
		}
		replaced := i+1 < len(order) && order[i+1].key == this.key &&
			!rows[order[i+1].row].EffectiveAt.After(at)
		if replaced {
			continue
		}
		index, known := indexes[row.Rate]
		if !known {
			index = uint32(len(d.rates))
			indexes[row.Rate] = index
			d.rates = append(d.rates, row.Rate)
		}
		leaves = append(leaves, leaf{this.key, index})
	}
	d.rates = slices.Clone(d.rates) // without the room that append left
	return leaves
}

// span is the leaves below a node: they agree in their first depth digits, and
// each is longer than that.
type span struct {
	low, high uint32
	depth     int32
}

// build fills the table, the nodes and the values from leaves in dictionary order.
func (d *Deck) build(leaves []leaf) {
	d.table = make([]entry, powersOfTen[d.tableDigits])
	var spans []span
	for low := 0; low < len(leaves); {
		key := leaves[low].key
		top := key.digits(0, d.tableDigits)
		if key.len() <= d.tableDigits {
			// A longer prefix comes later and overwrites its part.
			best := leaves[low].rate<<bestLenBits | uint32(key.len())
			for i := range powersOfTen[d.tableDigits-key.len()] {
				d.table[top+i].best = best
			}
			low++
			continue
		}
		high := low + 1
		for high < len(leaves) && leaves[high].key.digits(0, d.tableDigits) == top {
			high++
		}
		d.table[top].next = uint32(len(d.nodes)) + 1
		spans = d.buildTree(leaves, append(spans[:0], span{uint32(low), uint32(high), int32(d.tableDigits)}))
		low = high
	}
	// Append has left room that would be kept for the life of the deck.
	d.nodes = slices.Clone(d.nodes)
	d.values = slices.Clone(d.values)
}

// buildTree appends the nodes of one tree, breadth first from the only span in
// spans. A tree's nodes are side by side, so that a lookup stays on one page.
// It returns spans for its room.
func (d *Deck) buildTree(leaves []leaf, spans []span) []span {
	root := len(d.nodes)
	for i := 0; i < len(spans); i++ {
		made := node{firstKid: uint32(root + len(spans)), firstRate: uint32(len(d.values))}
		made.word, spans = d.buildNode(leaves, spans[i], spans)
		if made.soleValue() {
			last := len(d.values) - 1
			made.firstRate = d.values[last]
			d.values = d.values[:last]
		}
		d.nodes = append(d.nodes, made)
	}
	return spans
}

// buildNode makes the word of the node for a span, appends the node's values to
// d.values, and the spans of its children to kids.
func (d *Deck) buildNode(leaves []leaf, s span, kids []span) (uint64, []span) {
	below := leaves[s.low:s.high]
	first, last := below[0].key, below[len(below)-1].key
	depth := int(s.depth)
	// The first is the shortest if one of them is a prefix of the others.
	branch := min(commonDigits(first, last, depth), first.len()-1, depth+maxSkip)
	skip := branch - depth
	word := uint64(skip)<<skipLenShift | first.digits(depth, skip)<<skipShift
	for low := s.low; low < s.high; {
		digit := leaves[low].key.digits(branch, 1)
		high := low + 1
		for high < s.high && leaves[high].key.digits(branch, 1) == digit {
			high++
		}
		if leaves[low].key.len() == branch+1 {
			word |= 1 << (valuesShift + digit)
			d.values = append(d.values, leaves[low].rate)
			low++
		}
		if low < high {
			word |= 1 << digit
			kids = append(kids, span{low, high, int32(branch + 1)})
		}
		low = high
	}
	return word, kids
}

// Lookup finds the rate of the longest prefix of n and that prefix's length in
// digits. It allocates nothing. A number that e164.Parse would not return, of
// fewer than 7 or more than 15 digits, matches nothing.
func (d *Deck) Lookup(n e164.Number) (rate Rate, prefixLen int, ok bool) {
	digits := digitCount(uint64(n))
	if digits < minNumberDigits || digits > e164.MaxDigits {
		return Rate{}, 0, false
	}
	left := digits - d.tableDigits // digits of n that are still to be looked at
	top := uint64(n) / powersOfTen[left]
	rest := uint64(n) - top*powersOfTen[left]
	start := d.table[top]

	// The longest prefix so far. Its value is read last, not at every step.
	var found *node
	value := 0 // index in values, unless found has a sole value
	for next := start.next; next != 0; {
		at := &d.nodes[next-1]
		skip := int(at.word >> skipLenShift & skipLenMask)
		if skip >= left {
			break
		}
		left -= skip + 1
		digit := rest / powersOfTen[left]
		rest -= digit * powersOfTen[left]
		if skip > 0 {
			if digit/10 != at.word>>skipShift {
				break
			}
			digit %= 10
		}
		bit := uint64(1) << digit
		if values := at.word >> valuesShift; values&bit != 0 {
			found, value = at, int(at.firstRate)+bits.OnesCount64(values&(bit-1))
			prefixLen = digits - left
		}
		if at.word&bit == 0 {
			break
		}
		next = at.firstKid + uint32(bits.OnesCount64(at.word&(bit-1))) + 1
	}
	switch {
	case found != nil && found.soleValue():
		return d.rates[found.firstRate], prefixLen, true
	case found != nil:
		return d.rates[d.values[value]], prefixLen, true
	case start.best != 0:
		return d.rates[start.best>>bestLenBits], int(start.best & (1<<bestLenBits - 1)), true
	}
	return Rate{}, 0, false
}

// DearestFrom is the dearest price of all prefixes that begin with n and are longer,
// put together as Rate.Dearer does, and the length of the prefix that is dearest a
// minute. It allocates nothing.
func (d *Deck) DearestFrom(n e164.Number) (rate Rate, prefixLen int, ok bool) {
	digits := digitCount(uint64(n))
	if digits < minNumberDigits || digits > e164.MaxDigits {
		return Rate{}, 0, false
	}
	left := digits - d.tableDigits
	top := uint64(n) / powersOfTen[left]
	rest := uint64(n) - top*powersOfTen[left]
	best := dearest{deck: d}
	if next := d.table[top].next; next != 0 {
		best.below(&d.nodes[next-1], left, rest, d.tableDigits)
	}
	return best.rate, best.prefixLen, best.ok
}

// dearest collects the dearest of several rates.
type dearest struct {
	deck      *Deck
	rate      Rate
	prefixLen int
	ok        bool
}

// below adds the values below a node at depth, along the digits that are left of a
// number and everywhere behind them.
func (b *dearest) below(at *node, left int, rest uint64, depth int) {
	skip := int(at.word >> skipLenShift & skipLenMask)
	skipped := at.word >> skipShift
	common := min(skip, left)
	if rest/powersOfTen[left-common] != skipped/powersOfTen[skip-common] {
		return
	}
	left -= common
	rest %= powersOfTen[left]
	depth += skip + 1
	low, high := uint64(0), uint64(9)
	if left > 0 {
		left--
		low = rest / powersOfTen[left]
		rest -= low * powersOfTen[left]
		high = low
	}
	values := at.word >> valuesShift & (1<<digitSetBits - 1)
	for digit := low; digit <= high; digit++ {
		bit := uint64(1) << digit
		// A value at the last digit of the number is a prefix of it, and not longer.
		if values&bit != 0 && left == 0 && low != high {
			b.add(at, bits.OnesCount64(values&(bit-1)), depth)
		}
		if at.word&bit != 0 {
			b.below(&b.deck.nodes[at.firstKid+uint32(bits.OnesCount64(at.word&(bit-1)))], left, rest, depth)
		}
	}
}

func (b *dearest) add(at *node, value, prefixLen int) {
	index := at.firstRate
	if !at.soleValue() {
		index = b.deck.values[int(at.firstRate)+value]
	}
	rate := b.deck.rates[index]
	if !b.ok || rate.PerMinute > b.rate.PerMinute {
		b.prefixLen = prefixLen
	}
	if b.rate = b.rate.Dearer(rate); !b.ok {
		b.rate, b.ok = rate, true
	}
}

// Match is Lookup that returns the prefix itself.
func (d *Deck) Match(n e164.Number) (Match, bool) {
	rate, length, ok := d.Lookup(n)
	if !ok {
		return Match{}, false
	}
	return Match{rate, PrefixOf(n, length)}, true
}

// Len is the number of prefixes that have a price.
func (d *Deck) Len() int { return d.length }

// NextChange is when the first row that was not yet in force takes effect, and
// whether there is one. From then on the deck is out of date: compile the rows again.
func (d *Deck) NextChange() (time.Time, bool) {
	return d.nextChange, !d.nextChange.IsZero()
}
