package registration

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const (
	account = id.ID(1)
	user    = id.ID(7)
)

// bench is a registrar and a database for it that holds what is stored.
type bench struct {
	*testing.T
	*Registrar
	now time.Time
}

func newBench(t *testing.T) *bench { return &bench{T: t, Registrar: NewRegistrar(), now: noon} }

func from(callID string, seq uint32) Binding {
	return Binding{Account: account, Connection: user, CallID: callID, Seq: seq,
		Source: netip.MustParseAddrPort("192.0.2.7:5060"), Transport: "UDP", UserAgent: "phone"}
}

func namesOf(list []Binding) string {
	var names []string
	for i := range list {
		names = append(names, list[i].Contact)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// ask sends a REGISTER, and wants contacts or an error.
func (b *bench) ask(q Request, want any) {
	b.Helper()
	list, err := b.Register(&q, b.now)
	switch want := want.(type) {
	case error:
		if !errors.Is(err, want) {
			b.Errorf("%v, want %v", err, want)
		}
	case string:
		if got := namesOf(list); err != nil || got != want {
			b.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

func (b *bench) state(want string) {
	b.Helper()
	if got, _ := b.Of(account, user, b.now); got.State != want {
		b.Errorf("%q, want %q", got.State, want)
	}
}

func wants(callID string, seq uint32, wishes ...Wish) Request {
	return Request{From: from(callID, seq), Wishes: wishes}
}

// TestBindings: RFC 3261 section 10.3 step by step.
func TestBindings(t *testing.T) {
	b := newBench(t)
	b.ask(wants("c1", 1), "") // asks what there is
	b.state("")
	b.ask(wants("c1", 2, Wish{"a", 0}), "") // removes what is not there
	b.state("")
	b.ask(wants("c1", 3, Wish{"a", time.Minute}), "a")
	b.ask(wants("c1", 4, Wish{"b", time.Hour}), "a b")
	b.ask(wants("c2", 1), "a b")
	b.ask(wants("c1", 4, Wish{"b", time.Minute}), ErrOutOfOrder)
	b.ask(wants("c1", 3, Wish{"c", time.Minute}, Wish{"b", time.Minute}), ErrOutOfOrder) // as a whole
	b.ask(wants("c1", 5), "a b")
	b.now = b.now.Add(LongestDelay)
	b.ask(wants("c1", 1, Wish{"b", time.Hour}), "a b") // it was switched off and on
	b.now = b.now.Add(time.Minute)
	b.ask(wants("c1", 6), "b")
	b.ask(wants("c1", 7, Wish{"b", 0}), "")
	b.state(connection.Unregistered)
	b.ask(wants("c1", 8, Wish{"a", time.Minute}, Wish{"b", time.Minute}), "a b")
	b.state(connection.Registered)
	b.now = b.now.Add(time.Minute)
	b.state(connection.Expired)
	b.ask(wants("c1", 1, Wish{"a", time.Minute}), "a") // nothing that is in force is older
	b.ask(Request{All: true, From: from("c3", 1)}, "")
	b.state(connection.Unregistered)
	if _, known := b.Of(account+1, user, b.now); known {
		t.Error("another account is told")
	}
}

// TestRoom: there is room for so many contacts; the one that ends first goes, and what
// has ended does not pile up.
func TestRoom(t *testing.T) {
	b := newBench(t)
	for n := range 10 * MostContacts {
		q := wants("c", uint32(n+1), Wish{fmt.Sprint(n), time.Hour + time.Duration(n)})
		list, err := b.Register(&q, b.now)
		if err != nil || len(list) != min(n+1, MostContacts) || list[len(list)-1].Contact != fmt.Sprint(n) {
			t.Fatalf("%q, %v", namesOf(list), err)
		}
		if n := len(b.of[user].entries); n > MostContacts+mostEnded+1 {
			t.Fatalf("%d contacts are kept", n)
		}
	}
}

// TestTwoPhones: one of two telephones goes; the state is that of the other.
func TestTwoPhones(t *testing.T) {
	b := newBench(t)
	b.ask(wants("desk", 1, Wish{"a", time.Hour}), "a")
	second := wants("mobile", 1, Wish{"b", time.Hour})
	second.From.Source, second.From.UserAgent = netip.MustParseAddrPort("192.0.2.8:5060"), "other"
	b.ask(second, "a b")
	second.From.Seq, second.Wishes = 2, []Wish{{"b", 0}}
	b.ask(second, "a")
	if r, _ := b.Of(account, user, b.now); r.State != connection.Registered || r.UserAgent != "phone" {
		t.Errorf("%+v", r)
	}
}

// TestWhatIsStored: a change waits once, a refresh only when it matters.
func TestWhatIsStored(t *testing.T) {
	b := newBench(t)
	seq := uint32(0)
	refresh := func(source string, want int) {
		t.Helper()
		seq++
		q := wants("c", seq, Wish{"a", time.Hour})
		q.From.Source = netip.MustParseAddrPort(source)
		b.ask(q, "a")
		if _, waiting := b.Count(b.now); waiting != want {
			t.Errorf("%d contacts wait, want %d", waiting, want)
		}
	}
	taken := func(want uint32) {
		t.Helper()
		list := b.Take(10, b.now)
		b.Stored()
		if len(list) != 1 || list[0].Seq != want {
			t.Errorf("taken %+v, want CSeq %d", list, want)
		}
	}
	exists := func(id.ID) bool { return true }
	const one, other = "192.0.2.7:5060", "192.0.2.7:61000"
	refresh(one, 1)
	refresh(one, 1) // together with the first
	taken(2)
	b.now = b.now.Add(time.Minute)
	refresh(one, 0)
	refresh(other, 1) // moved
	taken(4)
	b.now = b.now.Add(14 * time.Minute)
	refresh(other, 0)
	b.Sweep(exists, b.now, false)
	if got := b.Take(10, b.now); len(got) > 0 {
		t.Errorf("%v is stored early", got)
	}
	b.now = b.now.Add(20 * time.Minute)
	b.Sweep(exists, b.now, false) // else it would look ended to others before it is
	taken(5)
	refresh(other, 0)
	b.Sweep(exists, b.now, true) // at a stop
	list := b.Take(10, b.now)
	b.PutBack(list)
	taken(6)
	b.now = b.now.Add(time.Hour)
	refresh(other, 1)
}

// TestSweep: what has ended is remembered for a while, the latest for longer, and what
// belongs to a connection that is gone not at all.
func TestSweep(t *testing.T) {
	b := newBench(t)
	b.ask(wants("c", 1, Wish{"a", time.Minute}, Wish{"b", 2 * time.Minute}), "a b")
	b.Take(10, b.now)
	sweep := func(exists bool, want int) {
		t.Helper()
		b.Sweep(func(id.ID) bool { return exists }, b.now, false)
		got := 0
		if there := b.of[user]; there != nil {
			got = len(there.entries)
		}
		if got != want {
			t.Errorf("%d contacts, want %d", got, want)
		}
	}
	sweep(false, 2) // the policy may not know of the connection yet
	b.now = b.now.Add(EndedKept + 10*time.Minute)
	sweep(true, 1)
	b.now = b.now.Add(LatestKept)
	sweep(true, 0)
	b.ask(wants("c", 2, Wish{"a", time.Minute}), "a")
	b.Take(10, b.now)
	b.now = b.now.Add(graceForgotten)
	sweep(false, 0)
}

// TestNodesAgree: whatever the order in which nodes hear of what each of them has
// answered, all of them end with the same.
func TestNodesAgree(t *testing.T) {
	history := []struct {
		at   time.Duration
		want Request
	}{
		{0, wants("c1", 1, Wish{"a", time.Minute})},
		{10 * time.Second, wants("c1", 3, Wish{"a", time.Minute})},
		{11 * time.Second, wants("c1", 2, Wish{"a", time.Minute})}, // came late, to a node that did not know
		{20 * time.Second, wants("c2", 1, Wish{"a", time.Hour})},
		{30 * time.Second, Request{All: true, From: from("c2", 2)}},
	}
	var stored [][]Binding
	known := NewRegistrar() // what one node knew that heard each in time
	for i, step := range history {
		node := NewRegistrar()
		if i > 0 && i != 2 {
			node.Learn(stored[i-1], noon.Add(step.at))
		}
		q := step.want
		if _, err := node.Register(&q, noon.Add(step.at)); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, node.Take(10, noon.Add(step.at)))
		known.Learn(stored[i], noon.Add(step.at))
	}
	end := noon.Add(31 * time.Second)
	want, _ := known.Of(account, user, end)
	if want.State != connection.Unregistered {
		t.Errorf("%+v", want)
	}
	for _, order := range [][]int{{4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}, {3, 4, 0, 2, 1}} {
		node := NewRegistrar()
		for _, i := range order {
			node.Learn(stored[i], end)
		}
		if got, _ := node.Of(account, user, end); got != want {
			t.Errorf("in the order %v: %+v, want %+v", order, got, want)
		}
	}
}

// TestRestart: what was stored is there, with the time that is left, and in its order.
func TestRestart(t *testing.T) {
	b := newBench(t)
	b.ask(wants("c", 9, Wish{"a", time.Hour}, Wish{"b", time.Minute}), "a b")
	list := b.Take(10, b.now)
	after := newBench(t)
	after.now = noon.Add(LongestDelay - 1)
	after.Learn(list, after.now)
	after.state(connection.Registered)
	after.ask(wants("c", 8, Wish{"a", time.Hour}), ErrOutOfOrder)
	after.ask(wants("other", 1), "a b")
	after.now = noon.Add(30 * time.Minute)
	if got, _ := after.Register(&Request{From: from("c", 10)}, after.now); got[0].Until != noon.Add(time.Hour) {
		t.Errorf("%+v", got)
	}
	after.now = noon.Add(48 * time.Hour)
	late := newBench(t)
	late.Learn(list, after.now)
	late.now = after.now
	late.state("")
}
