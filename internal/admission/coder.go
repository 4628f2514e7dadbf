package admission

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/packed"
	"github.com/tollgate/tollgate/internal/record"
)

// EncodingVersion is the first byte of an encoded decision. Behind it are the id, the
// reason and the number of rules, then sections: one of the attempt, and one of each
// rule. A new rule, or a new field at the end of a section, needs no new version.
const EncodingVersion = 5

// ErrDecision means that stored bytes are not a decision.
var ErrDecision = errors.New("not an encoded decision")

// Append appends the stored form of the decision: its facts, its reason and its
// id. The verdicts are not stored, since judging the facts again gives them.
// Countries and ranges are stored by name, because their numbering is free to
// change between releases.
func (d *Decision) Append(dst []byte) []byte {
	w := desks.Get().(*desk)
	w.decision = *d
	w.coder = coder{packed.Writer(append(dst, EncodingVersion))}
	w.code()
	written := w.coder.Written()
	w.coder = coder{}
	desks.Put(w)
	return written
}

// DecodeDecision reads what Append wrote, and judges the facts again for the
// verdicts.
func DecodeDecision(encoded []byte) (Decision, error) {
	if len(encoded) == 0 || encoded[0] != EncodingVersion {
		return Decision{}, fmt.Errorf("decode %d bytes: %w of version %d", len(encoded), ErrDecision, EncodingVersion)
	}
	w := desks.Get().(*desk)
	defer desks.Put(w)
	w.decision, w.coder = Decision{}, coder{packed.Reader(encoded[1:])}
	w.code()
	d := &w.decision
	if !w.coder.Whole() || !d.Reason.known() {
		return Decision{}, fmt.Errorf("decode %d bytes: %w", len(encoded), ErrDecision)
	}
	d.Facts.Day = record.DayOf(d.Facts.AtMicros)
	_, d.Verdicts = judge(&d.Facts)
	d.Allow = d.Reason == ReasonNone
	return *d, nil
}

// code writes or reads the decision.
func (w *desk) code() {
	c, d := &w.coder, &w.decision
	c.UUID(&d.ID)
	ints(c, &d.Reason)
	ints(c, &d.Facts.Rules)
	if d.Facts.Rules > NumRules {
		c.Fail()
		return
	}
	c.section(&d.Facts, codeAttempt)
	for i := range d.Facts.Rules {
		c.section(&d.Facts, rules[i].code)
	}
}

// coder is a packed.Coder that knows countries.
type coder struct{ packed.Coder }

// section writes or reads facts behind their length. Most rules have no facts for
// most calls, which is one byte.
func (c *coder) section(f *Facts, code func(*coder, *Facts)) {
	s := c.Begin()
	code(c, f)
	c.End(s)
}

func ints[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int | ~int32 | ~int64](c *coder, fields ...*T) {
	packed.Ints(&c.Coder, fields...)
}

// optional writes or reads an id that most calls do not have.
func (c *coder) optional(u *uuid.UUID) {
	there := *u != uuid.Nil
	c.Bools(&there)
	if there {
		c.Raw(u[:])
	}
}

func (c *coder) country(country *e164.Country) {
	name := country.Alpha2()
	c.Text(&name)
	if c.Reading() {
		*country, _ = e164.CountryByAlpha2(name)
	}
}

// countries writes or reads a set of countries, two letters each.
func (c *coder) countries(set *e164.CountrySet) {
	size := uint64(set.Len())
	ints(c, &size)
	if !c.Reading() {
		for country := range set.All() {
			c.Raw([]byte(country.Alpha2()))
		}
		return
	}
	for range min(size, 1<<10) {
		var name [2]byte
		c.Raw(name[:])
		country, _ := e164.CountryByAlpha2(string(name[:]))
		set.Add(country)
	}
}

func (c *coder) ranges(set *e164.RangeSet) {
	size := uint64(set.Len())
	ints(c, &size)
	if !c.Reading() {
		for named := range set.All() {
			name := named.String()
			c.Text(&name)
		}
		return
	}
	for range min(size, 1<<6) {
		var name string
		c.Text(&name)
		named, _ := e164.ParseRange(name)
		set.Add(named)
	}
}

// rangeName writes or reads the name of a range, which is one that there is.
func (c *coder) rangeName(name *string) {
	c.Text(name)
	if c.Reading() {
		named, _ := e164.ParseRange(*name)
		*name = named.String()
	}
}
