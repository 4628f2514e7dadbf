// Package packed is the binary form of what is only stored to be read back whole. It
// takes a fifth of the time and the room of JSON, which counts where hundreds of leases
// are written in one transaction.
//
// One function names the fields of a thing once, for writing and for reading:
//
//	func code(c *packed.Coder, h *Hold) {
//		packed.Ints(c, &h.FromSecs, &h.ToSecs)
//		c.Text(&h.Cause)
//	}
//
// Integers are varints, and texts have their length before them. Zeros at the end of a
// section are not written, and behind its end all is zero: a new field at the end of a
// function needs no new form.
package packed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// ErrCorrupt means that the bytes cannot be decoded.
var ErrCorrupt = errors.New("stored value is corrupt")

// maxZeros is how many zero bytes at the end of a section are left out at most.
const maxZeros = 64

// Coder writes values to bytes or reads them from there. After a failure it reads zero
// values.
type Coder struct {
	bytes   []byte // written so far, or left to be read
	reading bool
	failed  bool
}

// Writer appends to bytes.
func Writer(dst []byte) Coder { return Coder{bytes: dst} }

// Reader reads bytes.
func Reader(src []byte) Coder { return Coder{bytes: src, reading: true} }

// Reading reports whether fields are read.
func (c *Coder) Reading() bool { return c.reading }

// Fail notes that a value makes no sense.
func (c *Coder) Fail() { c.failed = true }

// Written returns the bytes written so far.
func (c *Coder) Written() []byte { return c.bytes }

// Whole reports whether exactly all bytes were read.
func (c *Coder) Whole() bool { return !c.failed && len(c.bytes) == 0 }

// coders are those of Append and Read. The functions are called by pointer, so the
// compiler has what they are given on the heap.
var coders = sync.Pool{New: func() any { return new(Coder) }}

// Append appends the stored form of a value, with the number of the form first.
func Append[T any](dst []byte, form byte, of *T, code func(*Coder, *T)) []byte {
	c := coders.Get().(*Coder)
	*c = Writer(append(dst, form))
	s := c.Begin()
	code(c, of)
	c.End(s)
	written := c.bytes
	*c = Coder{}
	coders.Put(c)
	return written
}

// Read reads what Append wrote. What it is goes into the error.
func Read[T any](src []byte, form byte, what string, of *T, code func(*Coder, *T)) error {
	if len(src) == 0 || src[0] != form {
		return fmt.Errorf("decode %s: %w", what, ErrCorrupt)
	}
	c := coders.Get().(*Coder)
	*c = Reader(src[1:])
	s := c.Begin()
	code(c, of)
	c.End(s)
	whole := c.Whole()
	*c = Coder{}
	coders.Put(c)
	if !whole {
		return fmt.Errorf("decode %s: %w", what, ErrCorrupt)
	}
	return nil
}

// Section is the place of fields behind their length.
type Section struct {
	start  int    // where they were begun to be written
	behind []byte // what follows those that are read
}

// Begin begins a section.
func (c *Coder) Begin() Section {
	if !c.reading {
		c.bytes = append(c.bytes, 0) // for a length of one byte, as it mostly is
		return Section{start: len(c.bytes)}
	}
	size, length := binary.Uvarint(c.bytes)
	if c.failed || length <= 0 || size > uint64(len(c.bytes)-length) {
		c.failed, c.bytes = true, nil
		return Section{}
	}
	end := length + int(size)
	s := Section{behind: c.bytes[end:]}
	c.bytes = c.bytes[length:end]
	return s
}

// End ends the section that was begun last.
func (c *Coder) End(s Section) {
	if c.reading {
		c.failed = c.failed || len(c.bytes) > 0
		c.bytes = s.behind
		return
	}
	end := len(c.bytes)
	for least := max(s.start, end-maxZeros); end > least && c.bytes[end-1] == 0; {
		end--
	}
	c.bytes = c.bytes[:end]
	size := uint64(end - s.start)
	if c.bytes[s.start-1] = byte(size); size >= 1<<7 {
		c.bytes = slices.Replace(c.bytes, s.start-1, s.start, binary.AppendUvarint(nil, size)...)
	}
}

// Raw writes or reads bytes whose number is known.
func (c *Coder) Raw(b []byte) {
	if !c.reading {
		c.bytes = append(c.bytes, b...)
		return
	}
	n := copy(b, c.bytes)
	c.bytes = c.bytes[n:]
	clear(b[n:])
}

func (c *Coder) readUvarint() uint64 {
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

// Ints writes or reads integers of one type.
func Ints[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int | ~int32 | ~int64](c *Coder, fields ...*T) {
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

// Bools writes or reads at most 64 flags.
func (c *Coder) Bools(fields ...*bool) {
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

// size writes or reads how many bytes or elements follow. An element has at least one
// byte, but for zeros at the end.
func (c *Coder) size(n int) int {
	size := uint64(n)
	Ints(c, &size)
	if c.reading && size > uint64(len(c.bytes)+maxZeros) {
		c.failed = true
		return 0
	}
	return int(size)
}

// Text writes or reads a text.
func (c *Coder) Text(s *string) {
	size := c.size(len(*s))
	if !c.reading {
		c.bytes = append(c.bytes, *s...)
		return
	}
	if size <= len(c.bytes) {
		*s = string(c.bytes[:size])
		c.bytes = c.bytes[size:]
		return
	}
	read := make([]byte, size)
	c.Raw(read)
	*s = string(read)
}

// Bytes writes or reads bytes, which are nil when there are none. They are copied.
func (c *Coder) Bytes(b *[]byte) {
	size := c.size(len(*b))
	if !c.reading {
		c.bytes = append(c.bytes, *b...)
		return
	}
	*b = nil
	if size > 0 {
		*b = make([]byte, size)
		c.Raw(*b)
	}
}

// UUID writes or reads an id.
func (c *Coder) UUID(u *uuid.UUID) { c.Raw(u[:]) }

// Optional writes or reads what may be nil.
func Optional[T any](c *Coder, of **T, code func(*Coder, *T)) {
	there := *of != nil
	c.Bools(&there)
	if !there {
		*of = nil
		return
	}
	if c.reading {
		*of = new(T)
	}
	code(c, *of)
}

// List writes or reads elements, which are nil when there are none.
func List[T any](c *Coder, list *[]T, code func(*Coder, *T)) {
	size := c.size(len(*list))
	if c.reading {
		*list = nil
		if size > 0 {
			*list = make([]T, size)
		}
	}
	for i := range *list {
		code(c, &(*list)[i])
	}
}
