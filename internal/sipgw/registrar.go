package sipgw

import (
	"cmp"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/registration"
	"github.com/tollgate/tollgate/internal/sip"
)

// The limits of registrations (RFC 3261 section 10.3).
const (
	registrationLeast   = time.Minute
	registrationMost    = time.Hour
	registrationDefault = time.Hour
	// mostContactsAsked is how many contacts a request may name.
	mostContactsAsked = registration.MostContacts
	maxUserAgent      = 128
	maxContactBytes   = 512
)

// refusedEnrolment is why a REGISTER is refused; 0 when it is not.
type refusedEnrolment struct {
	status int
	phrase string
	extra  string
}

// readEnrolment reads the contacts of a REGISTER.
func readEnrolment(m *message, c *policy.Connection) (q registration.Request, no refusedEnrolment) {
	q.From = registration.Binding{
		Account: c.Account, Connection: c.ID, CallID: kept(m.CallID, maxCallID), Seq: m.CSeq,
		Source: m.Peer.Addr, Transport: m.Peer.Transport(), UserAgent: kept(m.Get("user-agent"), maxUserAgent),
	}
	asked := registrationDefault
	if value := m.Get("expires"); value != "" {
		asked = sip.ReadExpires(value)
	}
	contacts := m.All("contact")
	if len(contacts) > mostContactsAsked {
		return q, refusedEnrolment{status: 403, phrase: "Too Many Contacts"}
	}
	for _, value := range contacts {
		if value == "*" {
			if len(contacts) > 1 || asked != 0 || m.Get("expires") == "" {
				return q, refusedEnrolment{status: 400, phrase: "Contact * Needs Expires 0 And No Other Contact"}
			}
			q.All = true
			return q, no
		}
		address, ok := sip.ReadAddress(value)
		if _, isURI := sip.ParseURI(address.URI); !ok || !isURI || len(address.URI) > maxContactBytes ||
			!utf8.ValidString(address.URI) {
			return q, refusedEnrolment{status: 400, phrase: "Bad Contact"}
		}
		expires := asked
		if text, found := address.Parameter("expires"); found {
			expires = sip.ReadExpires(text)
		}
		if expires > 0 && expires < registrationLeast {
			return q, refusedEnrolment{423, "Interval Too Brief", sip.Line("Min-Expires", sip.Seconds(registrationLeast))}
		}
		q.Wishes = append(q.Wishes, registration.Wish{
			Contact: strings.Clone(address.URI), Expires: min(expires, registrationMost),
		})
	}
	return q, no
}

// kept is a text of a message as it is kept beyond the message: bounded, and UTF-8.
func kept(text string, most int) string {
	return strings.Clone(strings.ToValidUTF8(sip.Kept(text, most), "\uFFFD"))
}

// refusalOf is how a REGISTER is refused that was understood.
func refusalOf(err error) refusedEnrolment {
	if errors.Is(err, registration.ErrOutOfOrder) {
		return refusedEnrolment{status: 500, phrase: "Out Of Order"}
	}
	return refusedEnrolment{status: 503, phrase: "Too Many Registrations"}
}

// Registration implements connection.Registrations.
func (srv *Server) Registration(account, key id.ID) (connection.Registration, bool) {
	return srv.registrar.Of(account, key, srv.config.Clock())
}

// SweepRegistrations forgets what ended long ago, and what connections had that are gone.
// all has everything stored that could have waited.
func (srv *Server) SweepRegistrations(all bool) {
	snapshot := srv.config.Live.Snapshot()
	exists := func(key id.ID) bool {
		c := snapshot.Connection(key)
		return c != nil && c.UserName != ""
	}
	srv.registrar.Sweep(exists, srv.config.Clock(), all)
}

// Registrar keeps what is registered.
func (srv *Server) Registrar() *registration.Registrar { return srv.registrar }

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
	q, no := readEnrolment(m, c)
	var bindings []registration.Binding
	if no.status == 0 {
		var err error
		if bindings, err = srv.registrar.Register(&q, sh.now); err != nil {
			no = refusalOf(err)
		}
	}
	if no.status != 0 {
		tx.Respond(no.status, no.phrase, no.extra)
		return
	}
	srv.count.registrations.Add(1)
	tx.Respond(200, "OK", enrolled(bindings, &q, sh.now))
}

// enrolled are the header fields of a 200: each contact with what is left of its time.
func enrolled(bindings []registration.Binding, q *registration.Request, now time.Time) string {
	var b strings.Builder
	var granted time.Duration
	for i := range bindings {
		left := bindings[i].Until.Sub(now)
		b.WriteString(sip.Line("Contact", "<"+bindings[i].Contact+">;expires="+sip.Seconds(left)))
		if bindings[i].CallID == q.From.CallID && bindings[i].Seq == q.From.Seq {
			granted = max(granted, left)
		}
	}
	if len(q.Wishes) > 0 {
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
