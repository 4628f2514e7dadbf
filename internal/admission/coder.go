package admission

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/record"
)

// EncodingVersion is the first byte of an encoded decision. Behind it are the id, the
// reason and the number of rules, then sections: one of the attempt, and one of each
// rule. A new rule, or a new field at the end of a section, needs no new version.
const EncodingVersion = 4

// ErrDecision says that stored bytes are not a decision.
var ErrDecision = errors.New("not an encoded decision")

// Append appends the stored form of the decision: its facts, its reason and its
// id. The verdicts are not stored, since judging the facts again gives them.
// Countries and ranges are stored by name, because their numbering is free to
// change between releases.
func (d *Decision) Append(dst []byte) []byte {
	w := desks.Get().(*desk)
	w.decision = *d
	w.coder = coder{bytes: append(dst, EncodingVersion)}
	w.code()
	written := w.coder.bytes
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
	w.decision, w.coder = Decision{}, coder{bytes: encoded[1:], reading: true}
	w.code()
	d := &w.decision
	if w.coder.failed || len(w.coder.bytes) > 0 || !d.Reason.known() {
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
	c.raw(d.ID[:])
	ints(c, &d.Reason)
	ints(c, &d.Facts.Rules)
	if d.Facts.Rules > NumRules {
		c.failed = true
		return
	}
	c.section(&d.Facts, codeAttempt)
	for i := range d.Facts.Rules {
		c.section(&d.Facts, rules[i].code)
	}
}

// coder writes values to bytes or reads them from there, so that one function names
// each field once for both. After a failure it reads zero values.
type coder struct {
	bytes   []byte // written so far, or left to be read
	reading bool
	failed  bool
}

// maxZeros is how many zero bytes at the end of a section are left out at most.
const maxZeros = 64

// section writes or reads facts behind their length. Zeros at the end are not
// written: most rules have nothing to say of most calls.
func (c *coder) section(f *Facts, code func(*coder, *Facts)) {
	if c.reading {
		c.readSection(f, code)
		return
	}
	c.bytes = append(c.bytes, 0) // for a length of one byte, as it nearly always is
	start := len(c.bytes)
	code(c, f)
	end := len(c.bytes)
	for least := max(start, end-maxZeros); end > least && c.bytes[end-1] == 0; {
		end--
	}
	c.bytes = c.bytes[:end]
	size := uint64(end - start)
	if c.bytes[start-1] = byte(size); size >= 1<<7 {
		c.bytes = slices.Replace(c.bytes, start-1, start, binary.AppendUvarint(nil, size)...)
	}
}

func (c *coder) readSection(f *Facts, code func(*coder, *Facts)) {
	size, length := binary.Uvarint(c.bytes)
	if c.failed || length <= 0 || size > uint64(len(c.bytes)-length) {
		c.failed = true
		return
	}
	end := length + int(size)
	behind := c.bytes[end:]
	c.bytes = c.bytes[length:end]
	code(c, f)
	c.failed = c.failed || len(c.bytes) > 0
	c.bytes = behind
}

// raw writes or reads bytes whose number is known. Behind the end of a section all
// is zero.
func (c *coder) raw(b []byte) {
	if !c.reading {
		c.bytes = append(c.bytes, b...)
		return
	}
	n := copy(b, c.bytes)
	c.bytes = c.bytes[n:]
	clear(b[n:])
}

func (c *coder) readUvarint() uint64 {
	if len(c.bytes) == 0 || c.failed {
		return 0
	}
	n, length := binary.Uvarint(c.bytes)
	if length <= 0 {
		c.failed = true
		return 0
	}
	c.bytes = c.bytes[length:]
	return n
}

// ints writes or reads integers of one type.
func ints[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int | ~int32 | ~int64](c *coder, fields ...*T) {
	signed := ^T(0) < 0
	if !c.reading {
		to := c.bytes
		for _, field := range fields {
			n := uint64(*field)
			if signed {
				n = uint64(int64(*field)<<1) ^ uint64(int64(*field)>>63)
			}
			to = binary.AppendUvarint(to, n)
		}
		c.bytes = to
		return
	}
	for _, field := range fields {
		n := c.readUvarint()
		if signed {
			n = n>>1 ^ -(n & 1)
		}
		*field = T(n)
	}
}

// bools writes or reads at most 64 flags.
func (c *coder) bools(fields ...*bool) {
	if c.reading {
		bits := c.readUvarint()
		for i, field := range fields {
			*field = bits&(1<<i) != 0
		}
		return
	}
	var bits uint64
	for i, field := range fields {
		if *field {
			bits |= 1 << i
		}
	}
	c.bytes = binary.AppendUvarint(c.bytes, bits)
}

func (c *coder) text(s *string) {
	size := uint64(len(*s))
	ints(c, &size)
	switch {
	case !c.reading:
		c.bytes = append(c.bytes, *s...)
	case size > uint64(len(c.bytes)+maxZeros):
		c.failed = true
	default:
		read := make([]byte, size)
		c.raw(read)
		*s = string(read)
	}
}

// uuid writes or reads an id that most calls do not have.
func (c *coder) uuid(u *uuid.UUID) {
	there := *u != uuid.Nil
	c.bools(&there)
	if there {
		c.raw(u[:])
	}
}

func (c *coder) country(country *e164.Country) {
	name := country.Alpha2()
	c.text(&name)
	if c.reading {
		*country, _ = e164.CountryByAlpha2(name)
	}
}

// countries writes or reads a set of countries, two letters each.
func (c *coder) countries(set *e164.CountrySet) {
	size := uint64(set.Len())
	ints(c, &size)
	if !c.reading {
		for country := range set.All() {
			c.bytes = append(c.bytes, country.Alpha2()...)
		}
		return
	}
	for range min(size, 1<<10) {
		var name [2]byte
		c.raw(name[:])
		country, _ := e164.CountryByAlpha2(string(name[:]))
		set.Add(country)
	}
}

func (c *coder) ranges(set *e164.RangeSet) {
	size := uint64(set.Len())
	ints(c, &size)
	if !c.reading {
		for named := range set.All() {
			name := named.String()
			c.text(&name)
		}
		return
	}
	for range min(size, 1<<6) {
		var name string
		c.text(&name)
		named, _ := e164.ParseRange(name)
		set.Add(named)
	}
}

// rangeName writes or reads the name of a range, which is one that there is.
func (c *coder) rangeName(name *string) {
	c.text(name)
	if c.reading {
		named, _ := e164.ParseRange(*name)
		*name = named.String()
	}
}
