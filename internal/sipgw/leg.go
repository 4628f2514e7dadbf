package sipgw

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// leg is one dialog of a call (RFC 3261 section 12). Its texts are copies, so that
// no message is kept alive by them.
type leg struct {
	s    *session
	side record.Side
	key  legKey

	callID    string
	local     string // From of our requests, with our tag
	remote    string // To of our requests, with the peer's tag
	localTag  string
	remoteTag string
	target    string         // the peer's Contact
	routes    []string       // URIs of the route set, nearest first
	peer      transport.Peer // where requests go
	localSeq  uint32
	remoteSeq uint32

	login *login // for a carrier that challenges; nil: there is none

	encoded bool // our Contact is encoded, and the peer is where its messages come from
	proven  bool // the caller has sent what only a receiver of our messages can know
	heard   bool // something has come from the host that requests go to
	ended   bool

	allowsUpdate bool
	invite       *transaction.Client // a re-INVITE of ours that awaits its final response
	serving      *transaction.Server // a re-INVITE of the peer's that awaits our final response or its ACK
	servingSeq   uint32              // its CSeq
	inviteSeq    uint32              // the CSeq of our first INVITE
	onAck        func(*message)
	said         uint64   // what the peer's last description says of media, as a sum
	relaying     bool     // an offer of the peer's is on its way to the other side
	silent       bool     // the caller has left a request unanswered
	acked        bool     // the peer has acknowledged the 2xx that made the dialog
	byeOnAck     bool     // hang up as soon as it has
	byeReason    string   // and the Reason of that BYE
	lastOffer    *offered // the session description that the peer has from us, for refreshes by INVITE
	lastAck      []byte   // our ACK of the peer's last 2xx, while it may be repeated
	lastAckSeq   uint32
	won          *attempt // whose answer made the leg, while that may be repeated
	refresh      refresh
}

// login is who we are for a carrier, and what it and the proxies before it have asked in
// the dialog.
type login struct {
	gateway    *routing.Gateway
	challenges sip.Challenges
	invite     string // the credentials of the latest INVITE, which its ACK repeats
}

// setLocal makes our From, or To, of the leg; the tag is a part of it.
func (l *leg) setLocal(address, tag string) {
	l.local = address + ";tag=" + tag
	l.localTag = l.local[len(l.local)-len(tag):]
}

// setRemote keeps a copy of the peer's, of which its tag is a part.
func (l *leg) setRemote(address, tag string) {
	l.remote = strings.Clone(address)
	from := max(0, strings.LastIndex(l.remote, tag))
	l.remoteTag = l.remote[from : from+len(tag)]
}

// register puts the leg where its in-dialog requests find it.
func (l *leg) register(key legKey) {
	l.key = key
	l.s.sh.legs[key] = l
}

func (l *leg) unregister() {
	if l.s.sh.legs[l.key] == l {
		delete(l.s.sh.legs, l.key)
	}
}

// other is the leg on the other side of the call, or nil.
func (l *leg) other() *leg {
	if l == l.s.caller {
		return l.s.carrier
	}
	return l.s.caller
}

// establish sets the remote target and the route set from the message that made
// the dialog: Record-Route in order for the one called, in reverse for the caller.
func (l *leg) establish(m *message) {
	l.routes = m.Routes()
	l.allowsUpdate = m.Lists("allow", "UPDATE")
	l.retarget(m)
}

// retarget takes the Contact of a target refresh request or its 2xx.
func (l *leg) retarget(m *message) {
	if uri := m.Contact(); uri != "" && len(uri) <= sip.MaxRequestURIBytes {
		l.target = strings.Clone(uri)
	}
	before := l.peer.Addr.Addr()
	l.aim(m.Peer, l.s.sh.srv.config.Reach)
	if now := l.peer.Addr.Addr(); now != before && now.IsValid() {
		l.traceBegin(now)
	}
	if l.side == record.SideCallee {
		// What the carrier's other machines send within the call must pass the filter.
		l.s.sh.srv.filter.Expect(l.peer.Addr.Addr())
	}
}

// aim chooses where requests go: to the first route, else to the Contact. Where
// that names no address, or a private one while the peer is not private, the peer
// is behind a translator or hides its name, and the address that its messages come
// from is used instead; so it is where guard forbids the peer to name that address.
func (l *leg) aim(source transport.Peer, guard *reach.Guard) {
	defer func() { l.heard = l.peer.Addr.Addr() == source.Addr.Addr() }()
	l.peer = source
	if l.latched() || l.unproven() {
		return
	}
	next := l.target
	if len(l.routes) > 0 {
		next = l.routes[0]
	}
	parts, ok := sip.ParseURI(next)
	if !ok {
		return
	}
	host, err := netip.ParseAddr(parts.Host)
	if err != nil {
		return
	}
	host = host.Unmap()
	if here := source.Addr.Addr(); here.Zone() != "" && host == here.WithZone("") {
		host = here // a URI has no zones
	}
	if host != source.Addr.Addr() && (!routable(host) && routable(source.Addr.Addr()) || host.IsUnspecified()) {
		return
	}
	port := routing.DefaultPort("udp")
	if parts.Port > 0 {
		port = uint16(parts.Port)
	}
	by, _ := parts.Parameter("transport")
	secured := strings.EqualFold(by, "tls") || len(next) > 5 && strings.EqualFold(next[:5], "sips:") ||
		(by == "" && source.TLS)
	if secured && parts.Port == 0 {
		port = 5061
	}
	if !guard.Follows(netip.AddrPortFrom(host, port), source.Addr.Addr()) {
		return
	}
	tcp := secured || strings.EqualFold(by, "tcp") || (by == "" && source.TCP)
	if tcp && l.side == record.SideCaller && host != source.Addr.Addr() {
		return // no connection is opened to where a caller points, only to where it is
	}
	l.peer = transport.Peer{TCP: tcp, TLS: secured, Addr: netip.AddrPortFrom(host, port), Listener: source.Listener}
	if secured {
		l.peer.Name, l.peer.Unverified = source.Name, source.Unverified
	}
	if tcp && source.TCP && secured == source.TLS && host == source.Addr.Addr() {
		l.peer.Conn = source.Conn // the connection in use is reused while it lasts (RFC 5923)
	}
}

// unproven says of a caller that it may not be where its messages seem to come from. What
// is sent to it goes nowhere else, and once.
func (l *leg) unproven() bool { return l.side == record.SideCaller && !l.proven }

// hear notes a message of the peer's within the dialog: it has our tag, which only a
// receiver of our messages knows. From now on requests go where the peer wants them.
func (l *leg) hear(from transport.Peer) {
	l.heard = l.heard || l.peer.Addr.Addr() == from.Addr.Addr()
	if !l.unproven() {
		return
	}
	l.proven = true
	before := l.peer.Addr.Addr()
	l.aim(from, l.s.sh.srv.config.Reach)
	if now := l.peer.Addr.Addr(); now != before && now.IsValid() {
		l.traceBegin(now)
	}
}

// mostUnheard is how often a request is sent at most to where a caller points, as long
// as nothing has come from there.
const mostUnheard = 4

// tries is how often a request of ours is sent at most; 0 is as often as its timers say.
func (l *leg) tries() int8 {
	switch {
	case l.unproven(), l.side == record.SideCaller && l.silent:
		return 1
	case l.side == record.SideCaller && !l.heard:
		return mostUnheard
	}
	return 0
}

// latched means that the peer is behind a translator, as its connection says, with no
// proxy before it: it is reached where its messages come from, and nowhere else.
func (l *leg) latched() bool { return l.encoded && len(l.routes) == 0 }

// routable reports whether an address is one of the public internet's.
func routable(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedSpace.Contains(a)
}

// sharedSpace is the address space between carriers' translators (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// build writes an in-dialog request. extra holds whole lines.
func (l *leg) build(method, branch string, cseq uint32, extra string, body []byte, contentType string) []byte {
	return l.request(l.s.sh.srv, method, branch, cseq, extra, body, contentType)
}

// request writes an in-dialog request (RFC 3261 section 12.2.1.1) of the server, which
// need not be the one that made the dialog.
func (l *leg) request(srv *Server, method, branch string, cseq uint32, extra string, body []byte,
	contentType string) []byte {
	w := sip.NewWriter()
	w.RequestLine(method, l.requestURI())
	w.Via(l.peer.Transport(), srv.transport.Own(l.peer).HostPort, branch)
	w.Field("Max-Forwards", "70")
	l.writeRoutes(w)
	w.Field("From", l.local)
	w.Field("To", l.remote)
	w.Field("Call-ID", l.callID)
	w.CSeq(cseq, method)
	w.Lines(extra)
	return w.Finish(contentType, body)
}

// strict reports whether the next hop is a strict router of RFC 2543.
func (l *leg) strict() bool {
	if len(l.routes) == 0 {
		return false
	}
	parts, ok := sip.ParseURI(l.routes[0])
	_, loose := parts.Parameter("lr")
	return ok && !loose
}

func (l *leg) requestURI() string {
	if l.strict() {
		return l.routes[0]
	}
	return l.target
}

func (l *leg) writeRoutes(w *sip.Writer) {
	routes := l.routes
	if l.strict() {
		routes = append(slices.Clone(routes[1:]), l.target)
	}
	for _, uri := range routes {
		w.Field("Route", "<"+uri+">")
	}
}

// send starts an in-dialog request other than ACK, with the answers to the challenges of
// the dialog so far, and answers further ones. done gets the final response, or nil when
// none came.
func (l *leg) send(method, extra string, body []byte, contentType string, done func(*message)) *transaction.Client {
	l.localSeq++
	seq, branch := l.localSeq, l.s.sh.srv.newBranch()
	data := l.build(method, branch, seq, extra+l.authorize(method, body), body, contentType)
	answered := false
	tx := l.s.sh.transactions.Request(method, branch, l.peer, data, func(m *message) {
		if m != nil && m.Status < 200 {
			return
		}
		l.heard = l.heard || m != nil && m.Peer.Addr.Addr() == l.peer.Addr.Addr()
		l.silent = m == nil && !l.heard
		if answered {
			// A 2xx to our INVITE is repeated until its ACK arrives.
			if m != nil && l.lastAck != nil && l.lastAckSeq == m.CSeq {
				l.s.sh.srv.transport.Send(l.peer, l.lastAck, nil)
			}
			return
		}
		answered = true
		if l.challenged(m) {
			again := l.send(method, extra, body, contentType, done)
			if method == "INVITE" {
				l.invite = again
			}
			return
		}
		done(m)
	})
	if most := l.tries(); most > 0 {
		tx.AtMost(most)
	}
	if method == "INVITE" {
		tx.Forgotten = func() {
			if l.lastAckSeq == seq {
				l.lastAck = nil
			}
		}
	}
	return tx
}

// challenged takes a final response to a request of ours, nil for none, and reports whether
// it is a challenge that can be met, so that the request is worth another try (RFC 3261
// section 22).
func (l *leg) challenged(m *message) bool {
	if m == nil || l.login == nil {
		return false
	}
	if m.Status != 401 && m.Status != 407 {
		l.login.challenges.Accepted()
		return false
	}
	return l.login.challenges.Take(&m.Message)
}

// authorize answers the challenges so far in a new request.
func (l *leg) authorize(method string, body []byte) string {
	if l.login == nil {
		return ""
	}
	lines := l.login.challenges.Lines(userOf(l.login.gateway), method, l.requestURI(), body)
	if method == "INVITE" {
		l.login.invite = lines
	}
	return lines
}

// userOf is who we are for a gateway.
func userOf(gateway *routing.Gateway) sip.User {
	return sip.User{Name: textOf(gateway.UserName), Password: textOf(gateway.Password)}
}

// acknowledge sends the ACK of a 2xx to our INVITE, with the credentials of that (RFC 3261
// section 22.1), and keeps it for the repetitions of that 2xx (section 13.2.2.4).
// extra holds whole lines.
func (l *leg) acknowledge(seq uint32, extra string, body []byte, contentType string) {
	if l.login != nil {
		extra += l.login.invite
	}
	l.lastAck = l.build("ACK", l.s.sh.srv.newBranch(), seq, extra, body, contentType)
	l.lastAckSeq = seq
	l.s.sh.srv.transport.Send(l.peer, l.lastAck, nil)
}

// bye hangs up on the leg. The peer must not get a BYE before it has acknowledged
// the 2xx that made the dialog (RFC 3261 section 15).
func (l *leg) bye(reason string) {
	if l.ended {
		return
	}
	if l.side == record.SideCaller && !l.acked {
		l.byeOnAck, l.byeReason = true, reason
		return
	}
	l.ended, l.byeOnAck = true, false
	l.refresh.stop(l)
	l.s.pending++
	l.send("BYE", l.partingLines(reason), nil, "", func(*message) {
		l.s.pending--
		l.s.forgetIfDone()
	})
}

// left notes that the peer has hung up. An INVITE of its whose 2xx still waits for a PRACK is
// answered all the same (RFC 3261 section 15.1.2); a 2xx that was sent and may be lost is
// repeated as before.
func (l *leg) left() {
	l.ended, l.byeOnAck = true, false
	l.refresh.stop(l)
	if tx := l.serving; tx != nil && tx.Trying() {
		l.serving, tx.Unacked = nil, nil
		l.s.rely.stop()
		tx.Respond(487, "Request Terminated", "")
	}
}

// close forgets the leg without another word.
func (l *leg) close() {
	l.ended = true
	l.refresh.stop(l)
	l.unregister()
}
