package sipgw

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
)

// registers sends a REGISTER of alice, with an answer to its challenge, and returns what
// comes of it.
func registers(p *party, d *dialog, lines, want string) *message {
	p.t.Helper()
	p.request(d, "REGISTER", lines, "")
	m := p.want("401 REGISTER")
	if n := len(m.All("www-authenticate")); n < 1 || m.Has("proxy-authenticate") {
		p.t.Errorf("challenged by %v", m.Fields)
	}
	challenge, err := digest.ParseChallenge(m.Get("www-authenticate"))
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := digest.Digest(challenge,
		digest.Options{Method: "REGISTER", URI: d.target, Username: "alice", Password: "correct-horse", Count: 1})
	if err != nil {
		p.t.Fatal(err)
	}
	p.request(d, "REGISTER", "Authorization: "+c.String()+"\r\n"+lines, "")
	return p.want(want + " REGISTER")
}

// TestRegister: a telephone registers from a source that nothing is known of, and tells
// its way with every answer.
func TestRegister(t *testing.T) {
	w := newWorld(t, wish{user: true})
	phone := w.party(strangerAddress, false)
	d := newDialog(phone, "alice")
	d.target = "sip:" + w.srv.Addr()
	state := func(want string) {
		t.Helper()
		if r, _ := w.srv.Registration(worldUser); r.State != want {
			t.Errorf("%q, want %q", r.State, want)
		}
	}
	state("")
	m := registers(phone, d, "Expires: 300\r\n", "200")
	contains(t, m, "contact", "<sip:"+phone.address()+">;expires=300")
	contains(t, m, "expires", "300")
	state(connection.Registered)
	r, _ := w.srv.Registration(worldUser)
	if r.Contact.String() != phone.address() || r.Transport != "UDP" {
		t.Errorf("%+v", r)
	}
	if n := w.srv.Stats().Registered; n != 1 {
		t.Errorf("%d contacts", n)
	}
	m = registers(phone, d, "Contact: <sip:second@h>;expires=999999\r\n", "200")
	if got := m.All("contact"); len(got) != 2 || !slices.Contains(got, "<sip:second@h>;expires=3600") {
		t.Errorf("contacts %q", got)
	}
	contains(t, registers(phone, d, "Contact: <sip:third@h>;expires=20\r\n", "423"), "min-expires", "60")
	w.settled()
}

func contactsOf(list []binding) (out []string) {
	for _, b := range list {
		out = append(out, b.contact)
	}
	slices.Sort(out)
	return out
}

// TestBindings: RFC 3261 section 10.3 step by step.
func TestBindings(t *testing.T) {
	r, now, user := newRegistrar(), time.Now(), id.ID(7)
	seq := uint32(0)
	ask := func(callID string, all bool, status int, want string, list ...wantedContact) {
		t.Helper()
		seq++
		e := enrolment{callID: callID, seq: seq, all: all, wishes: list,
			latest: connection.Registration{State: connection.Registered, At: now}}
		kept, no := r.enrol(user, e, now)
		if got := strings.Join(contactsOf(kept), " "); no.status != status || got != want {
			t.Errorf("%d %q, want %d %q", no.status, got, status, want)
		}
	}
	state := func(want string) {
		t.Helper()
		if got, _ := r.of(user, now); got.State != want {
			t.Errorf("%q, want %q", got.State, want)
		}
	}
	ask("c1", false, 0, "") // asks what there is
	state("")
	ask("c1", false, 0, "a", wantedContact{"a", time.Minute})
	ask("c1", false, 0, "a b", wantedContact{"b", time.Hour})
	ask("c2", false, 0, "a b")
	seq -= 2
	ask("c1", false, 500, "", wantedContact{"b", time.Minute}) // older than what is there
	seq += 2
	now = now.Add(2 * time.Minute)
	ask("c1", false, 0, "b")
	ask("c1", false, 0, "", wantedContact{"b", 0})
	state(connection.Unregistered)
	ask("c1", false, 0, "a b", wantedContact{"a", time.Minute}, wantedContact{"b", time.Minute})
	state(connection.Registered)
	now = now.Add(time.Minute)
	state(connection.Expired)
	ask("c1", false, 0, "a", wantedContact{"a", time.Minute})
	ask("c3", true, 0, "")
	state(connection.Unregistered)
	for n := range 3 * mostBindings {
		e := enrolment{callID: "c4", seq: uint32(n), wishes: []wantedContact{{fmt.Sprint(n), time.Hour + time.Duration(n)}}}
		if kept, _ := r.enrol(user, e, now); len(kept) > mostBindings || !slices.Contains(contactsOf(kept), fmt.Sprint(n)) {
			t.Fatalf("contacts %q", contactsOf(kept))
		}
	}
}
