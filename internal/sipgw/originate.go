package sipgw

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// Origination is a call that the server makes itself, without a caller: it says
// something to the callee, and hangs up. It is decided, paid for, routed and put
// on record as every call of its connection is. It is never recorded.
type Origination struct {
	ID         uuid.UUID // of the call, its decision and its record
	Connection id.ID
	// From is the caller id that the connection is asked to show. Where that is To itself
	// the callee is shown none.
	From, To e164.Number
	// SIPCallID is that of the caller's leg, under which the record can be found.
	SIPCallID string
	// Says is what is said in an encoding, PCMU or PCMA: payloads of 20 ms. It is asked
	// once, when the call is answered.
	Says func(encoding string) [][]byte
	// Length is how long that takes, and Rings how long the call may ring.
	Length, Rings time.Duration
}

// Errors of Originate.
var (
	// ErrNoMedia: nothing anchors media here, so nothing can be said.
	ErrNoMedia = errors.New("no media relay is configured")
	// ErrStopped: the server does not run, or takes no more calls.
	ErrStopped = errors.New("the SIP server is not accepting calls")
)

// answerTail is how long a call may last after its announcement.
const answerTail = 15 * time.Second

// Originate begins a call of the server's own. What happens to it is in its record.
func (srv *Server) Originate(o Origination) error {
	switch {
	case srv.config.Media == nil:
		return ErrNoMedia
	case !srv.started.Load() || srv.stopping.Load():
		return ErrStopped
	}
	sh := srv.shardOf(o.SIPCallID)
	own := &ownCaller{Origination: o, sh: sh, tag: newToken(), branch: sip.MagicCookie + newToken()}
	own.speech = &speech{says: o.Says, said: func() { sh.post(own.hangUp) }}
	own.peer = transport.LocalPeer(nowhere, own)
	sh.post(own.begin)
	return nil
}

// nowhere is where the media of a caller that is not there would go: the relay sends
// nothing to such a port, and nothing is heard from it.
var nowhere = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9)

// ownCaller is the caller's end of an Origination: a user agent that speaks with the
// gateway in memory. It belongs to its shard.
type ownCaller struct {
	Origination
	sh     *shard
	peer   transport.Peer
	speech *speech

	tag, branch string
	remote      string // To with the gateway's tag, once there is one
	cseq        uint32
	answered    bool
	over        bool
	limit       timer.Timer
}

const (
	ownHost    = "own.invalid" // which never resolves (RFC 6761 section 6.4)
	ownContact = "Contact: <sip:tollgate@" + ownHost + ">\r\n"
)

// ownOf is the server's own caller, where the peer is one, else nil.
func ownOf(p *transport.Peer) *ownCaller {
	own, _ := p.Local().(*ownCaller)
	return own
}

// begin sends the INVITE.
func (c *ownCaller) begin() {
	c.cseq = 1
	c.remote = "<sip:" + c.To.String() + "@" + ownHost + ">"
	c.sh.timers.Set(&c.limit, c, timerGiveUp, c.sh.now.Add(c.Rings))
	c.request("INVITE", c.branch, ownContact, c.offer())
}

// offer is a description of audio that is never sent. The relay takes its place.
func (c *ownCaller) offer() []byte {
	const lines = "v=0|o=tollgate 1 1 IN IP4 127.0.0.1|s=-|c=IN IP4 127.0.0.1|t=0 0|m=audio 9 RTP/AVP 0 8|" +
		"a=rtpmap:0 PCMU/8000|a=rtpmap:8 PCMA/8000|a=ptime:20|a=sendrecv|"
	return []byte(strings.ReplaceAll(lines, "|", "\r\n"))
}

// request sends a request to the gateway.
func (c *ownCaller) request(method, branch, extra string, body []byte) {
	w := sip.NewWriter()
	w.RequestLine(method, "sip:"+c.To.String()+"@"+ownHost)
	w.Field("Via", "SIP/2.0/TCP "+ownHost+";branch="+branch)
	w.Field("Max-Forwards", "70")
	w.Field("From", "<sip:"+c.From.String()+"@"+ownHost+">;tag="+c.tag)
	w.Field("To", c.remote)
	w.Field("Call-ID", c.SIPCallID)
	w.CSeq(c.cseq, method)
	w.Lines(extra)
	c.deliver(w.Finish("application/sdp", body))
}

// deliver has the shard take a message as if it had come from outside.
func (c *ownCaller) deliver(data []byte) {
	m := transaction.Read(data, c.peer)
	if m == nil {
		return
	}
	if m.Request {
		c.sh.receiveRequest(m)
	} else {
		c.sh.transactions.Receive(m)
	}
}

// take gets what the gateway sends. The gateway is in the middle of something then, so
// it is looked at afterwards.
func (c *ownCaller) Take(data []byte) {
	data = slices.Clone(data)
	c.sh.post(func() {
		m := transaction.Read(data, c.peer)
		switch {
		case m == nil:
		case m.Request:
			c.receiveRequest(m)
		case m.Method == "INVITE" && m.Status >= 200:
			c.receiveFinal(m)
		}
	})
}

// receiveFinal takes the final response to the INVITE.
func (c *ownCaller) receiveFinal(m *message) {
	c.remote = m.To
	if m.Status >= 300 {
		c.request("ACK", c.branch, "", nil)
		c.end()
		return
	}
	c.request("ACK", sip.MagicCookie+newToken(), "", nil)
	if c.answered {
		return // the 2xx was repeated
	}
	c.answered = true
	c.sh.timers.Set(&c.limit, c, timerGiveUp, c.sh.now.Add(c.Length+answerTail))
}

// receiveRequest answers what the callee's side asks within the call.
func (c *ownCaller) receiveRequest(m *message) {
	if m.Method == "ACK" {
		return
	}
	extra, body := ownContact+sip.LineAllow, []byte(nil)
	if m.Method == "INVITE" {
		body = c.offer()
	}
	c.deliver(m.Response(200, "OK", "", extra, body, "application/sdp"))
	if m.Method == "BYE" {
		c.end()
	}
}

// Expire gives up a call that rings or lasts too long.
func (c *ownCaller) Expire(timer.Kind) {
	if c.answered {
		c.hangUp()
		return
	}
	c.request("CANCEL", c.branch, "", nil)
}

// hangUp ends an answered call.
func (c *ownCaller) hangUp() {
	if c.over || !c.answered {
		return
	}
	c.end()
	c.cseq++
	c.request("BYE", sip.MagicCookie+newToken(), "", nil)
}

func (c *ownCaller) end() {
	c.over = true
	c.sh.timers.Stop(&c.limit)
}

// attempt is the call as it is given to the ledger. ok is false where the connection is gone,
// or the number has become an emergency number: no such call is the server's own.
func (c *ownCaller) attempt(snapshot *policy.Snapshot) (a admission.Call, connection *policy.Connection, ok bool) {
	connection = snapshot.Connection(c.Connection)
	if connection == nil || emergencyFor(snapshot, connection, c.To.String()) {
		c.end()
		return a, nil, false
	}
	longest := c.Length + answerTail
	if limit := c.sh.srv.MaxCall(); limit > 0 {
		longest = min(longest, limit)
	}
	return admission.Call{
		ID: c.ID, Connection: c.Connection, Identity: policy.IdentityKnown, Source: connection.AnySource(),
		From: c.From.String(), To: c.To.String(), SIPCallID: c.SIPCallID, MaxSecs: admission.WholeSecs(longest),
	}, connection, true
}

// speech is what an Origination says. It implements media.Announcer: the relay plays it,
// and what would be recorded after it is nothing.
type speech struct {
	says func(encoding string) [][]byte
	said func()

	mu      sync.Mutex // guards offered
	offered []media.Format
}

var _ media.Announcer = (*speech)(nil)

// Formats implements media.Tap. What the caller may send is what the callee takes.
func (s *speech) Formats(side record.Side, formats []media.Format) {
	if side != record.SideCaller {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered = slices.Clone(formats)
}

// Announcement implements media.Announcer.
func (s *speech) Announcement(to record.Side) media.Announcement {
	if to != record.SideCallee {
		return media.Announcement{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.offered {
		if name := strings.ToUpper(f.Name); f.ClockRate == telephony && (name == "PCMU" || name == "PCMA") {
			return media.Announcement{PayloadType: f.PayloadType, Step: telephony / 50, Payloads: s.says(name)}
		}
	}
	return media.Announcement{}
}

// telephony is the clock rate of G.711, Hz.
const telephony = 8000

// Answered implements media.Tap: everything has been said.
func (s *speech) Answered(time.Time) { s.said() }

// Packet implements media.Tap. Nothing is kept of what the callee says.
func (s *speech) Packet(record.Side, time.Time, []byte) {}

// Close implements media.Tap.
func (s *speech) Close() {}
