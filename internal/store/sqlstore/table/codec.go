package table

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// What is stored only to be read back whole is kept as one binary value: a form
// number and then the fields in order, integers as varints and texts with their
// length before them. It takes a fifth of the time and room of JSON, which counts
// where hundreds of leases are written in one transaction.

// Form numbers. A form never changes; new fields need a new form.
const (
	leaseForm   = 3 // the first had no limit of length, the second no hang-up
	recordForm  = 3 // the first had no hang-up, the second no quality
	ChunkForm   = 1
	JournalForm = 1
)

// errCorrupt says that a stored value is not what an encoder here writes.
var ErrCorrupt = errors.New("stored value is corrupt")

// encoder appends fields.
type Encoder struct{ Out []byte }

func (e *Encoder) Int(n int64)           { e.Out = binary.AppendVarint(e.Out, n) }
func (e *Encoder) amount(a money.Amount) { e.Int(int64(a)) }
func (e *Encoder) id(i id.ID)            { e.Int(int64(i)) }
func (e *Encoder) uuid(u uuid.UUID)      { e.Out = append(e.Out, u[:]...) }

func (e *Encoder) Bool(b bool) {
	if b {
		e.Out = append(e.Out, 1)
		return
	}
	e.Out = append(e.Out, 0)
}

func (e *Encoder) Text(s string) {
	e.Out = binary.AppendUvarint(e.Out, uint64(len(s)))
	e.Out = append(e.Out, s...)
}

func (e *Encoder) bytes(b []byte) {
	e.Out = binary.AppendUvarint(e.Out, uint64(len(b)))
	e.Out = append(e.Out, b...)
}

func (e *Encoder) Rate(r rating.Rate) {
	e.amount(r.PerMinute)
	e.amount(r.ConnectFee)
	e.Int(int64(r.FirstIncrement))
	e.Int(int64(r.Increment))
}

func (e *Encoder) slices(slices []record.Slice) {
	e.Int(int64(len(slices)))
	for _, s := range slices {
		e.Int(int64(s.Day))
		e.Int(s.Secs)
		e.amount(s.Cost)
	}
}

// decoder reads fields back. After the first field that is not there every field
// is zero, and finish says so.
type decoder struct {
	in  []byte
	Bad bool
}

// newDecoder starts reading a value that must be of the form given.
func NewDecoder(in []byte, form int64) *decoder {
	d := &decoder{in: in}
	if d.Int() != form {
		d.Bad = true
	}
	return d
}

// newDecoderUpTo starts reading a value that may be of any form up to the one given.
func newDecoderUpTo(in []byte, most int64) (d *decoder, form int64) {
	d = &decoder{in: in}
	if form = d.Int(); form < 1 || form > most {
		d.Bad = true
	}
	return d, form
}

// finish says whether all of the value was read, and no more than that.
func (d *decoder) Finish(what string) error {
	if d.Bad || len(d.in) != 0 {
		return fmt.Errorf("decode %s: %w", what, ErrCorrupt)
	}
	return nil
}

func (d *decoder) Int() int64 {
	n, size := binary.Varint(d.in)
	if size <= 0 || d.Bad {
		d.Bad = true
		return 0
	}
	d.in = d.in[size:]
	return n
}

// count reads the number of elements that follow, each of at least one byte.
func (d *decoder) Count() int {
	n := d.Int()
	if n < 0 || n > int64(len(d.in)) {
		d.Bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) take(size uint64) []byte {
	if d.Bad || size > uint64(len(d.in)) {
		d.Bad = true
		return nil
	}
	taken := d.in[:size]
	d.in = d.in[size:]
	return taken
}

func (d *decoder) amount() money.Amount { return money.Amount(d.Int()) }
func (d *decoder) id() id.ID            { return id.ID(d.Int()) }

func (d *decoder) uuid() (u uuid.UUID) {
	copy(u[:], d.take(uint64(len(u))))
	return u
}

func (d *decoder) Bool() bool {
	b := d.take(1)
	return len(b) == 1 && b[0] != 0
}

func (d *decoder) sized() []byte {
	n, size := binary.Uvarint(d.in)
	if size <= 0 || d.Bad {
		d.Bad = true
		return nil
	}
	d.in = d.in[size:]
	return d.take(n)
}

func (d *decoder) Text() string { return string(d.sized()) }

// bytes returns a copy, or nil for none.
func (d *decoder) bytes() []byte { return append([]byte(nil), d.sized()...) }

func (d *decoder) Rate() rating.Rate {
	return rating.Rate{
		PerMinute: d.amount(), ConnectFee: d.amount(),
		FirstIncrement: int32(d.Int()), Increment: int32(d.Int()),
	}
}

func (d *decoder) slices() (slices []record.Slice) {
	for range d.Count() {
		slices = append(slices, record.Slice{Day: record.Day(d.Int()), Secs: d.Int(), Cost: d.amount()})
	}
	return slices
}

// Kinds of values in an entry.
const (
	valueNull = iota
	valueInt
	valueText
	valueBytes
	valueFalse
	valueTrue
)

func (e *Encoder) Value(value any) {
	switch v := value.(type) {
	case nil:
		e.Int(valueNull)
	case int64:
		e.Int(valueInt)
		e.Int(v)
	case string:
		e.Int(valueText)
		e.Text(v)
	case []byte:
		e.Int(valueBytes)
		e.bytes(v)
	case bool:
		if v {
			e.Int(valueTrue)
		} else {
			e.Int(valueFalse)
		}
	default:
		panic(fmt.Sprintf("sqlstore: a %T in a row of the ledger", value)) // rowsOf makes none
	}
}

func (d *decoder) Value() any {
	switch d.Int() {
	case valueNull:
		return nil
	case valueInt:
		return d.Int()
	case valueText:
		return d.Text()
	case valueBytes:
		return append([]byte{}, d.sized()...) // nil would be NULL
	case valueFalse:
		return false
	case valueTrue:
		return true
	}
	d.Bad = true
	return nil
}
