package sipgw

import (
	"slices"
	"strings"
	"testing"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/connection"
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
		if r, _ := w.srv.Registration(worldAccount, worldUser); r.State != want {
			t.Errorf("%q, want %q", r.State, want)
		}
	}
	state("")
	m := registers(phone, d, "Expires: 300\r\n", "200")
	contains(t, m, "contact", "<sip:"+phone.address()+">;expires=300")
	contains(t, m, "expires", "300")
	state(connection.Registered)
	r, _ := w.srv.Registration(worldAccount, worldUser)
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

// TestRegistrationsInTheField: what telephones and scanners send, and what other
// registrars were reported to get wrong.
func TestRegistrationsInTheField(t *testing.T) {
	type step struct {
		callID  string // "" for that of the telephone
		lines   string
		status  string
		want    []string // contacts
		expires string
	}
	const a, b = "<sip:alice@10.0.0.7:5060>", "<sip:alice@10.0.0.7:61000;transport=tcp>"
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"the time is a parameter of the contact alone", []step{
			{"", "Contact: " + a + ";expires=120\r\n", "200", []string{a}, "120"},
		}},
		{"the time of the contact goes before that of the request", []step{
			{"", "Contact: " + a + ";expires=120\r\nExpires: 600\r\n", "200", []string{a}, "120"},
		}},
		{"a new address and the old one in one request", []step{
			{"", "Contact: " + a + "\r\nExpires: 300\r\n", "200", []string{a}, "300"},
			{"", "Contact: " + b + ";expires=300, " + a + ";expires=0\r\n", "200", []string{b}, "300"},
		}},
		{"another Call-ID with a low CSeq refreshes the contact", []step{
			{"", "Contact: " + a + "\r\nExpires: 300\r\n", "200", []string{a}, "300"},
			{"rebooted", "Contact: " + a + "\r\nExpires: 600\r\n", "200", []string{a}, "600"},
		}},
		{"one telephone goes, the other stays", []step{
			{"", "Contact: " + a + "\r\nExpires: 300\r\n", "200", []string{a}, "300"},
			{"second", "Contact: " + b + "\r\nExpires: 600\r\n", "200",
				[]string{a, b}, "600"},
			{"second", "Contact: " + b + "\r\nExpires: 0\r\n", "200", []string{a}, "0"},
		}},
		{"gone twice", []step{
			{"", "Contact: " + a + "\r\nExpires: 0\r\n", "200", nil, "0"},
			{"", "Contact: *\r\nExpires: 0\r\n", "200", nil, ""},
		}},
		{"all go only by themselves and at once", []step{
			{"", "Contact: " + a + "\r\nExpires: 300\r\n", "200", []string{a}, "300"},
			{"", "Contact: *\r\nExpires: 60\r\n", "400", nil, ""},
			{"", "Contact: *\r\n", "400", nil, ""},
			{"", "Contact: *\r\nContact: " + a + "\r\nExpires: 0\r\n", "400", nil, ""},
			{"", "", "200", []string{a}, ""},
		}},
		{"a month is shortened, and the telephone is told", []step{
			{"", "Contact: " + a + "\r\nExpires: 2678400\r\n", "200", []string{a}, "3600"},
		}},
		{"a restart says so", []step{
			{"", "Contact: " + a + "\r\nExpires: 0\r\nReason: Last=reset-restart\r\n", "200", nil, "0"},
		}},
		{"more than a number holds is not nothing", []step{
			{"", "Contact: " + a + "\r\nExpires: 4294967295\r\n", "200", []string{a}, "3600"},
			{"", "Contact: " + a + ";expires=99999999999999999999\r\n", "200", []string{a}, "3600"},
			{"", "Contact: " + a + ";expires=\"soon\"\r\n", "200", []string{a}, "3600"},
		}},
		{"scanners", []step{
			{"", "Contact: <sip:a@b>\r\nExpires: -5\r\nExpires: soon\r\n", "200", []string{"<sip:a@b>"}, "3600"},
			{"", "", "200", []string{"<sip:a@b>"}, ""},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, wish{user: true})
			phone := w.party(strangerAddress, false)
			dialogs := map[string]*dialog{}
			for i, s := range test.steps {
				d := dialogs[s.callID]
				if d == nil {
					d = newDialog(phone, "alice")
					d.target = "sip:" + w.srv.Addr()
					d.noContact = true
					dialogs[s.callID] = d
				}
				m := registers(phone, d, s.lines, s.status)
				var got []string
				for _, contact := range m.All("contact") {
					uri, _, _ := strings.Cut(contact, ";expires=")
					got = append(got, uri)
				}
				slices.Sort(got)
				if s.status == "200" && (!slices.Equal(got, s.want) || m.Get("expires") != s.expires) {
					t.Errorf("step %d: %q and %q", i, got, m.Get("expires"))
				}
			}
			w.settled()
		})
	}
}
