package sipgw

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
)

// The limits of registrations (RFC 3261 section 10.3).
const (
	registrationLeast   = time.Minute
	registrationMost    = time.Hour
	registrationDefault = time.Hour
	// mostBindings is how many contacts a user has at once; a further one takes the place of
	// the one that ends first.
	mostBindings = 10
	// mostContactsAsked is how many a request may name.
	mostContactsAsked = mostBindings
	// mostRegistered is how many users have contacts, or had some.
	mostRegistered  = 200_000
	maxUserAgent    = 128
	maxContactBytes = 512
)

// binding is a contact of a user.
type binding struct {
	contact, callID string
	seq             uint32
	until           time.Time
}

// registered is what is known of a user's telephones.
type registered struct {
	bindings []binding
	latest   connection.Registration
	ended    time.Time // when the last binding ends by itself
}

// registrar keeps the contacts of digest users. No call is routed to them: telephones and
// PBXs make no calls while they are not registered.
type registrar struct {
	mu    sync.Mutex // guards users
	users map[id.ID]*registered
}

func newRegistrar() *registrar { return &registrar{users: make(map[id.ID]*registered)} }

// wantedContact is what a REGISTER asks for one contact.
type wantedContact struct {
	contact string
	expires time.Duration
}

// enrolment is a REGISTER as it is read.
type enrolment struct {
	callID string
	seq    uint32
	all    bool // Contact: *
	wishes []wantedContact
	latest connection.Registration
}

// refusedEnrolment is why a REGISTER is refused; 0 when it is not.
type refusedEnrolment struct {
	status int
	phrase string
	extra  string
}

// readEnrolment reads the contacts of a REGISTER.
func readEnrolment(m *message, now time.Time) (e enrolment, no refusedEnrolment) {
	e.callID, e.seq = strings.Clone(sip.Kept(m.CallID, maxCallID)), m.CSeq
	e.latest = connection.Registration{State: connection.Registered, Contact: m.Peer.Addr, Transport: m.Peer.Transport(),
		UserAgent: strings.Clone(sip.Kept(m.Get("user-agent"), maxUserAgent)), At: now}
	asked := registrationDefault
	if value := m.Get("expires"); value != "" {
		asked = sip.ReadSeconds(value)
	}
	contacts := m.All("contact")
	if len(contacts) > mostContactsAsked {
		return e, refusedEnrolment{status: 403, phrase: "Too Many Contacts"}
	}
	for _, value := range contacts {
		if value == "*" {
			if len(contacts) > 1 || asked != 0 || m.Get("expires") == "" {
				return e, refusedEnrolment{status: 400, phrase: "Contact * Needs Expires 0 And No Other Contact"}
			}
			e.all = true
			return e, no
		}
		address, ok := sip.ReadAddress(value)
		if _, isURI := sip.ParseURI(address.URI); !ok || !isURI || len(address.URI) > maxContactBytes {
			return e, refusedEnrolment{status: 400, phrase: "Bad Contact"}
		}
		expires := asked
		if text, found := address.Parameter("expires"); found {
			expires = sip.ReadSeconds(text)
		}
		if expires > 0 && expires < registrationLeast {
			return e, refusedEnrolment{423, "Interval Too Brief", sip.Line("Min-Expires", sip.Seconds(registrationLeast))}
		}
		e.wishes = append(e.wishes, wantedContact{strings.Clone(address.URI), min(expires, registrationMost)})
	}
	return e, no
}

// enrol carries out a REGISTER as a whole or not at all, and returns the contacts that are
// there afterwards.
func (r *registrar) enrol(key id.ID, e enrolment, now time.Time) (bindings []binding, no refusedEnrolment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	user := r.users[key]
	if user == nil {
		if user = new(registered); len(e.wishes) == 0 {
			return nil, no
		}
		if len(r.users) >= mostRegistered {
			return nil, refusedEnrolment{status: 503, phrase: "Too Many Registrations"}
		}
	}
	kept := slices.DeleteFunc(slices.Clone(user.bindings), func(b binding) bool { return !now.Before(b.until) })
	for _, b := range kept {
		named := e.all || slices.ContainsFunc(e.wishes, func(w wantedContact) bool { return w.contact == b.contact })
		if named && b.callID == e.callID && e.seq <= b.seq {
			return nil, refusedEnrolment{status: 500, phrase: "Out Of Order"}
		}
	}
	if e.all {
		kept = nil
	}
	for _, w := range e.wishes {
		kept = slices.DeleteFunc(kept, func(b binding) bool { return b.contact == w.contact })
		if w.expires == 0 {
			continue
		}
		if len(kept) >= mostBindings {
			first := slices.MinFunc(kept, func(a, b binding) int { return a.until.Compare(b.until) })
			kept = slices.DeleteFunc(kept, func(b binding) bool { return b.contact == first.contact })
		}
		kept = append(kept, binding{w.contact, e.callID, e.seq, now.Add(w.expires)})
	}
	r.users[key] = user
	user.change(kept, &e)
	return slices.Clone(kept), no
}

// change takes the bindings of a REGISTER in force.
func (u *registered) change(kept []binding, e *enrolment) {
	u.bindings = kept
	switch {
	case len(kept) == 0 && (e.all || len(e.wishes) > 0):
		u.latest.State = connection.Unregistered
	case len(e.wishes) > 0:
		u.latest = e.latest
	}
	u.ended = time.Time{}
	for i := range kept {
		if kept[i].until.After(u.ended) {
			u.ended = kept[i].until
		}
	}
}

// of is what is known of the registrations with a connection.
func (r *registrar) of(key id.ID, now time.Time) (connection.Registration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	user := r.users[key]
	if user == nil {
		return connection.Registration{}, false
	}
	known := user.latest
	if known.State == connection.Registered && !now.Before(user.ended) {
		known.State = connection.Expired
	}
	return known, true
}

// live counts the bindings in force, and forgets the users of connections that are gone.
func (r *registrar) live(snapshot *policy.Snapshot, now time.Time) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, user := range r.users {
		if c := snapshot.Connection(key); c == nil || c.UserName == "" {
			delete(r.users, key)
			continue
		}
		for i := range user.bindings {
			if now.Before(user.bindings[i].until) {
				n++
			}
		}
	}
	return n
}

// Registration implements connection.Registrations.
func (srv *Server) Registration(key id.ID) (connection.Registration, bool) {
	return srv.registrar.of(key, srv.config.Clock())
}

// registered counts the contacts that are registered.
func (srv *Server) registered() int {
	return srv.registrar.live(srv.config.Live.Snapshot(), srv.config.Clock())
}

// receiveRegister takes a REGISTER (RFC 3261 section 10.3). Whose it is, the digest says
// alone: its From and To are the caller's choice.
func (sh *shard) receiveRegister(m *message) {
	srv := sh.srv
	snapshot := srv.config.Live.Snapshot()
	if !snapshot.HasUsers() {
		sh.answerStateless(m, 405, "Method Not Allowed", sip.LineAllow, "")
		return
	}
	c, ok := sh.authenticate(snapshot, m, "")
	if !ok {
		return
	}
	m.Proved = true
	srv.filter.Authenticated(m.Peer.Addr.Addr(), c.ID)
	srv.transport.Known(m.Peer.Conn)
	tx := sh.transactions.Begin(m)
	if !transportAllowed(c, m.Peer, true) {
		tx.Respond(403, "Register By TLS", "")
		return
	}
	e, no := readEnrolment(m, sh.now)
	var bindings []binding
	if no.status == 0 {
		bindings, no = srv.registrar.enrol(c.ID, e, sh.now)
	}
	if no.status != 0 {
		tx.Respond(no.status, no.phrase, no.extra)
		return
	}
	srv.count.registrations.Add(1)
	tx.Respond(200, "OK", enrolled(bindings, &e, sh.now))
}

// enrolled are the header fields of a 200: each contact with what is left of its time.
func enrolled(bindings []binding, e *enrolment, now time.Time) string {
	var b strings.Builder
	var granted time.Duration
	for i := range bindings {
		left := bindings[i].until.Sub(now)
		b.WriteString(sip.Line("Contact", "<"+bindings[i].contact+">;expires="+sip.Seconds(left)))
		if bindings[i].callID == e.callID && bindings[i].seq == e.seq {
			granted = max(granted, left)
		}
	}
	if len(e.wishes) > 0 {
		b.WriteString(sip.Line("Expires", sip.Seconds(granted)))
	}
	return b.String()
}

// askedUser is the user whose challenge a request without credentials gets.
func askedUser(m *message, named string) string {
	if m.Method == "REGISTER" {
		return cmp.Or(named, sip.AddressUser(m.To))
	}
	return cmp.Or(named, sip.AddressUser(m.From))
}

var _ connection.Registrations = (*Server)(nil)
