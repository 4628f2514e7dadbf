package packed_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/packed"
)

type call struct {
	ID       uuid.UUID
	Secs     int64
	Place    uint32
	Lost, Up bool
	Caller   string
	Body     []byte
	Group    *uuid.UUID
	Parts    []part
	Later    int64
}

type part struct{ Day, Cost int64 }

func code(c *packed.Coder, v *call) {
	c.UUID(&v.ID)
	packed.Ints(c, &v.Secs)
	packed.Ints(c, &v.Place)
	c.Bools(&v.Lost, &v.Up)
	c.Text(&v.Caller)
	c.Bytes(&v.Body)
	packed.Optional(c, &v.Group, (*packed.Coder).UUID)
	packed.List(c, &v.Parts, func(c *packed.Coder, p *part) { packed.Ints(c, &p.Day, &p.Cost) })
}

func codeMore(c *packed.Coder, v *call) {
	code(c, v)
	packed.Ints(c, &v.Later)
}

var calls = []call{
	{},
	{ID: uuid.UUID{1}, Secs: -5, Place: 1 << 31, Up: true, Caller: "+12125550100", Body: []byte{0}},
	{ID: uuid.UUID{2}, Group: &uuid.UUID{}, Parts: []part{{1, 2}, {-3, 0}, {}}},
	{Caller: string(make([]byte, 100)), Body: make([]byte, 300)},
	{Parts: make([]part, 40)},
}

func TestReadWhatWasAppended(t *testing.T) {
	for i, want := range calls {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			written := packed.Append([]byte("before"), 7, &want, code)
			var got call
			if err := packed.Read(written[len("before"):], 7, "call", &got, code); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A field that is new is zero in what was written before it.
func TestNewFieldIsZero(t *testing.T) {
	for _, want := range calls {
		got := call{Later: 1}
		if err := packed.Read(packed.Append(nil, 7, &want, code), 7, "call", &got, codeMore); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestCorrupt(t *testing.T) {
	want := calls[1]
	want.Later = 9
	whole := packed.Append(nil, 7, &want, codeMore)
	other := bytes.Clone(whole)
	other[0] = 6
	number := append(append([]byte{7, 17}, make([]byte, 16)...), 0xff)
	broken := [][]byte{other, append(bytes.Clone(whole), 0), {7, 0xff}, number}
	for n := range whole {
		broken = append(broken, whole[:n])
	}
	for _, body := range broken {
		if err := packed.Read(body, 7, "call", new(call), codeMore); !errors.Is(err, packed.ErrCorrupt) {
			t.Errorf("%x: %v", body, err)
		}
	}
	if err := packed.Read(whole, 7, "call", new(call), code); !errors.Is(err, packed.ErrCorrupt) {
		t.Errorf("with a field that is not known: %v", err)
	}
}

// FuzzRead reads whatever there may be: it is read and written back alike, or refused.
func FuzzRead(f *testing.F) {
	for i := range calls {
		f.Add(packed.Append(nil, 7, &calls[i], code))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, again call
		if packed.Read(body, 7, "call", &got, code) != nil {
			return
		}
		err := packed.Read(packed.Append(nil, 7, &got, code), 7, "call", &again, code)
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("%v; %s", err, cmp.Diff(got, again))
		}
	})
}
