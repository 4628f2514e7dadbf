package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/nyaruka/phonenumbers"

	"github.com/tollgate/tollgate/internal/e164"
)

// region is one country's part of the plan: its patterns in the order in which
// libphonenumber decides a number's type.
type region struct {
	country e164.Country
	general *pattern
	typed   []typedPattern
	fixed   *pattern
	mobile  *pattern
	same    bool // the fixed and mobile patterns are one
	leading *pattern
}

type typedPattern struct {
	kind e164.NumberType
	*pattern
}

// newRegion compiles the patterns of one metadata entry.
func newRegion(meta *phonenumbers.PhoneMetadata) (*region, error) {
	country, ok := e164.CountryByAlpha2(meta.GetId())
	if !ok {
		return nil, fmt.Errorf("region %q is not in the country table", meta.GetId())
	}
	var err error
	read := func(desc *phonenumbers.PhoneNumberDesc) *pattern {
		p, e := compile(desc.GetNationalNumberPattern(), desc.GetPossibleLength())
		if e != nil && err == nil {
			err = fmt.Errorf("region %s: %w", meta.GetId(), e)
		}
		return p
	}
	r := &region{
		country: country,
		general: read(meta.GetGeneralDesc()),
		typed: []typedPattern{
			{e164.TypePremiumRate, read(meta.GetPremiumRate())},
			{e164.TypeTollFree, read(meta.GetTollFree())},
			{e164.TypeSharedCost, read(meta.GetSharedCost())},
			{e164.TypeVoIP, read(meta.GetVoip())},
			{e164.TypePersonal, read(meta.GetPersonalNumber())},
			{e164.TypePager, read(meta.GetPager())},
			{e164.TypeUAN, read(meta.GetUan())},
			{e164.TypeVoicemail, read(meta.GetVoicemail())},
		},
		fixed:  read(meta.GetFixedLine()),
		mobile: read(meta.GetMobile()),
		same:   meta.GetSameMobileAndFixedLinePattern(),
	}
	if lead := meta.GetLeadingDigits(); lead != "" {
		r.leading, err = compile("(?:"+lead+")[0-9]*", nil)
	}
	return r, err
}

// patterns lists all patterns of the region in one fixed order: general, typed,
// fixed, mobile, leading.
func (r *region) patterns() []*pattern {
	all := []*pattern{r.general}
	for _, t := range r.typed {
		all = append(all, t.pattern)
	}
	return append(all, r.fixed, r.mobile, r.leading)
}

// kind is the type of a number of that length whose patterns are at these threads.
func (r *region) kind(at []threads, length int) e164.NumberType {
	if !r.general.matches(at[0], length) {
		return e164.TypeUnknown
	}
	for i, t := range r.typed {
		if t.matches(at[1+i], length) {
			return t.kind
		}
	}
	fixed := r.fixed.matches(at[1+len(r.typed)], length)
	mobile := r.same || r.mobile.matches(at[2+len(r.typed)], length)
	switch {
	case fixed && mobile:
		return e164.TypeFixedLineOrMobile
	case fixed:
		return e164.TypeFixedLine
	case mobile && !r.same:
		return e164.TypeMobile
	}
	return e164.TypeUnknown
}

// alive reports whether more digits may still give the number a type.
func (r *region) alive(at []threads) bool {
	if len(at[0]) == 0 {
		return false
	}
	return slices.ContainsFunc(at[1:len(at)-1], func(t threads) bool { return len(t) > 0 })
}

// node is a state of one calling code's deterministic automaton. It has one node
// for each set of threads and each number of digits read, so it has no cycles.
type node struct {
	next    [10]*node // nil where no number of the plan continues
	lead    [10]e164.Country
	country e164.Country // of a number that ends here, by libphonenumber's rule; 0 for none
	kind    e164.NumberType
	reach   []e164.Country // countries of the numbers that begin like this, in the metadata's order
}

// builder makes the automaton of one calling code.
type builder struct {
	code    string
	regions []*region
	nodes   map[string]*node
}

// build returns the node for these threads. national is the number of digits read
// after the calling code.
func (b *builder) build(at [][]threads, national int) *node {
	key := fmt.Sprint(national, at)
	if n, ok := b.nodes[key]; ok {
		return n
	}
	n := &node{}
	b.nodes[key] = n
	n.country, n.kind = b.classify(at, national)
	reach := map[e164.Country]bool{n.country: true}
	for digit := range 10 {
		if len(b.code)+national >= e164.MaxDigits {
			break
		}
		next, alive := b.step(at, rune('0'+digit))
		if !alive {
			// No range continues here, but leading digits may still name the country.
			n.lead[digit], _ = b.classify(next, -1)
			continue
		}
		n.next[digit] = b.build(next, national+1)
		for _, c := range n.next[digit].reach {
			reach[c] = true
		}
	}
	for _, r := range b.regions {
		if reach[r.country] {
			n.reach = append(n.reach, r.country)
		}
	}
	return n
}

// step reads one digit in every pattern of every region.
func (b *builder) step(at [][]threads, digit rune) (next [][]threads, alive bool) {
	next = make([][]threads, len(at))
	for i, r := range b.regions {
		next[i] = make([]threads, len(at[i]))
		for j, p := range r.patterns() {
			if p != nil {
				next[i][j] = p.step(at[i][j], digit)
			}
		}
		if r.alive(next[i]) {
			alive = true
			continue
		}
		clear(next[i][:len(next[i])-1]) // keep only the leading digits
	}
	return next, alive
}

// classify is libphonenumber's choice among regions that share a calling code:
// the first whose leading digits fit or, without these, in which the number has a
// type. A length of -1 fits no pattern.
func (b *builder) classify(at [][]threads, length int) (e164.Country, e164.NumberType) {
	for i, r := range b.regions {
		kind := r.kind(at[i], length)
		if r.leading == nil {
			if kind != e164.TypeUnknown {
				return r.country, kind
			}
			continue
		}
		if r.leading.accepts(at[i][len(at[i])-1]) {
			return r.country, kind
		}
	}
	return 0, e164.TypeUnknown
}

// state is a row of the table that is written out.
type state struct {
	next    [10]uint16
	country uint8              // that a number has from here on; 0 leaves it as it is
	kind    uint8              // of a number that ends here
	reach   e164.NumberTypeSet // of numbers that end here or later
}

// table collects states. Equal states are one, which merges what calling codes
// have in common, such as "six more digits, then it is a mobile number".
type table struct {
	states []state
	index  map[state]uint16
}

// deadState is where no number of the plan continues; rootState is before the first digit.
const (
	deadState = 0
	rootState = 1
)

func newTable() *table {
	t := &table{states: make([]state, 2), index: map[state]uint16{}}
	t.index[state{}] = deadState
	return t
}

func (t *table) add(s state) (uint16, error) {
	if id, ok := t.index[s]; ok {
		return id, nil
	}
	if len(t.states) > 1<<16-1 {
		return 0, fmt.Errorf("the plan needs more than %d states", 1<<16)
	}
	id := uint16(len(t.states))
	t.states = append(t.states, s)
	t.index[s] = id
	return id, nil
}

// emitter turns nodes into states. What a state says about the country depends on
// the states before it, so states are remembered by both.
type emitter struct {
	table *table
	code  string
	done  map[emitKey]uint16
}

type emitKey struct {
	node  *node
	known e164.Country
}

// emit adds the node and all that follow it. known is the country that the digits
// before it give; national is the number of digits after the calling code.
func (e *emitter) emit(n *node, known e164.Country, national int) (uint16, error) {
	if id, ok := e.done[emitKey{n, known}]; ok {
		return id, nil
	}
	here := e.countryAt(n, national)
	s := state{kind: uint8(n.kind)}
	if n.kind != e164.TypeUnknown {
		s.reach.Add(n.kind)
	}
	if here != known {
		s.country = uint8(here)
	}
	for digit, next := range n.next {
		var err error
		switch lead := n.lead[digit]; {
		case next != nil:
			s.next[digit], err = e.emit(next, here, national+1)
			s.reach |= e.table.states[s.next[digit]].reach
		case lead != 0 && lead != here:
			s.next[digit], err = e.table.add(state{country: uint8(lead)})
		}
		if err != nil {
			return 0, err
		}
	}
	id, err := e.table.add(s)
	e.done[emitKey{n, known}] = id
	return id, err
}

// countryAt is the country of a number that begins like the node and of which no
// more is known: the one it has if it ends here, else the first of those it can
// still belong to. An area code of the North American plan is three digits; before
// these a number has no country.
func (e *emitter) countryAt(n *node, national int) e164.Country {
	switch {
	case n.country != 0:
		return n.country
	case e.code == "1" && national < 3, len(n.reach) == 0:
		return 0
	}
	return n.reach[0]
}

// addCallingCode puts one calling code's automaton under the root.
func (t *table) addCallingCode(code int, regions []*region) error {
	text := strconv.Itoa(code)
	b := &builder{code: text, regions: regions, nodes: map[string]*node{}}
	at := make([][]threads, len(regions))
	for i, r := range regions {
		for _, p := range r.patterns() {
			at[i] = append(at[i], p.start())
		}
	}
	top := b.build(at, 0)
	e := &emitter{table: t, code: text, done: map[emitKey]uint16{}}
	id, err := e.emit(top, 0, 0)
	if err != nil {
		return fmt.Errorf("calling code %d: %w", code, err)
	}
	return t.link(text, id)
}

// link makes the digits of a calling code lead from the root to a state. The rows
// on the way are not shared, since they are still being filled.
func (t *table) link(code string, id uint16) error {
	at := uint16(rootState)
	for i := range len(code) {
		slot := &t.states[at].next[code[i]-'0']
		if i == len(code)-1 {
			if *slot != 0 {
				return fmt.Errorf("calling code %s begins like another", code)
			}
			*slot = id
			return nil
		}
		if *slot == 0 {
			*slot = uint16(len(t.states))
			t.states = append(t.states, state{}) // moves the rows: slot is stale from here on
		}
		at = t.states[at].next[code[i]-'0']
	}
	return nil
}

// stateBytes is the size of a state in the file: ten transitions of two bytes,
// low byte first, the country, the type, and the set of types in two bytes.
const stateBytes = 24

// encode writes the states in order.
func (t *table) encode() []byte {
	out := make([]byte, 0, len(t.states)*stateBytes)
	for _, s := range t.states {
		for _, next := range s.next {
			out = binary.LittleEndian.AppendUint16(out, next)
		}
		out = append(out, s.country, s.kind)
		out = binary.LittleEndian.AppendUint16(out, uint16(s.reach))
	}
	return out
}
