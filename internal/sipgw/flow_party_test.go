package sipgw

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// actor is a caller or a carrier of a flow, which does at any time one of the things that
// RFC 3261, 3262, 3264 and 3311 allow. It repeats what it sends until it is answered.
type actor struct {
	f       *flow
	name    string // is in every word that the actor makes up
	at      netip.AddrPort
	asked   []*asked
	served  []*served
	dialogs []*talk
}

// talk is a dialog of an actor.
type talk struct {
	a                             *actor
	callID, local, remote, target string
	localTag, remoteTag           string
	cseq                          uint32
	confirmed, over               bool
	proven                        bool   // a PRACK has made it known to the peer
	offered                       int    // our offer that awaits its answer
	asking                        int    // the peer's that awaits ours
	agreed                        bool   // an offer was answered
	final                         *sent  // our 2xx that awaits its ACK
	ack                           []byte // of the 2xx to ackSeq
	ackSeq                        uint32
	due                           *message // a 2xx that we have to acknowledge
	prack                         *message // a reliable response that we have to acknowledge
	rseq, mine                    uint32   // the last from the peer, and the last of ours
	reliable                      *sent    // ours, which awaits its PRACK
	answer                        []byte   // of the INVITE that made the dialog
	settled                       bool     // the answer has gone reliably
}

// sent is what is repeated.
type sent struct {
	data     []byte
	seq      uint32
	next     time.Time
	interval time.Duration
}

// asked is a request of an actor's.
type asked struct {
	sent
	d           *talk
	method      string
	branch      string
	to          string // To as it went
	offer       int
	began       time.Time
	provisional bool
	cancelled   bool
	final       *message
	ack         []byte
}

// served is a request to an actor.
type served struct {
	req       *message
	d         *talk // nil for the INVITE of a call
	forks     []*talk
	last      []byte
	began     time.Time
	status    int // of the final response, 0 before it
	cancelled bool
	repeat    *sent // of a refusal of an INVITE
}

const flowT1 = 500 * time.Millisecond

func (f *flow) sent(data []byte, seq uint32) *sent {
	return &sent{data: data, seq: seq, next: f.d.now.Add(flowT1), interval: flowT1}
}

// again sends what is due and says when it is next.
func (a *actor) again(s *sent) {
	if s != nil && !a.f.d.now.Before(s.next) {
		a.transmit(s.data)
		s.interval = min(2*s.interval, 8*flowT1)
		s.next = a.f.d.now.Add(s.interval)
	}
}

// waiting are all that the actor repeats.
func (a *actor) waiting() (list []*sent) {
	for _, r := range a.asked {
		if r.final == nil && !(r.method == "INVITE" && r.provisional) {
			list = append(list, &r.sent)
		}
	}
	for _, s := range a.served {
		if s.repeat != nil {
			list = append(list, s.repeat)
		}
	}
	for _, d := range a.dialogs {
		for _, s := range []*sent{d.final, d.reliable} {
			if s != nil {
				list = append(list, s)
			}
		}
	}
	return list
}

func (a *actor) transmit(data []byte) { a.f.post(a.at, netip.AddrPort{}, data) }

// word makes something up.
func (a *actor) word() string {
	a.f.words++
	return fmt.Sprintf("%s-%d", a.name, a.f.words)
}

// sdp is a session description: its origin says which it is, and which offer it answers.
func (a *actor) sdp(answers int) (body []byte, number int) {
	a.f.words++
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP 8\r\n",
		a.f.words, answers, 4000+2*a.f.rnd.IntN(3)), a.f.words
}

func originOf(body []byte) (number, answers int) {
	if _, rest, ok := strings.Cut(string(body), "o=- "); ok {
		_, _ = fmt.Sscan(rest, &number, &answers)
	}
	return number, answers
}

// ask sends a request; body may be nil.
func (a *actor) ask(d *talk, method, extra string, body []byte) *asked {
	d.cseq++
	return a.askAs(d, method, d.cseq, sip.MagicCookie+a.word(), extra, body)
}

func (a *actor) askAs(d *talk, method string, seq uint32, branch, extra string, body []byte) *asked {
	r := &asked{sent: *a.f.sent(a.text(d, method, seq, branch, extra, body), seq), d: d, method: method, branch: branch,
		began: a.f.d.now, to: d.remote}
	a.asked = append(a.asked, r)
	a.transmit(r.data)
	return r
}

// text writes a request.
func (a *actor) text(d *talk, method string, seq uint32, branch, extra string, body []byte) []byte {
	b := fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\n",
		method, d.target, a.at, branch, d.local, d.remote)
	b = fmt.Appendf(b, "Call-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:%s@%s>\r\nX-Unknown: %s\r\n%s", d.callID, seq, method,
		a.name, a.at, a.name, extra)
	if body != nil {
		b = append(b, "Content-Type: application/sdp\r\n"...)
	}
	return append(fmt.Appendf(b, "Content-Length: %d\r\n\r\n", len(body)), body...)
}

// offer is the body of a request with an offer.
func (a *actor) offer(d *talk) []byte {
	body, number := a.sdp(0)
	d.offered = number
	return body
}

// reply answers a request of the gateway's.
func (a *actor) reply(s *served, status int, tag, extra string, body []byte) []byte {
	lines := fmt.Sprintf("Contact: <sip:%s@%s>\r\nX-Unknown: %s\r\n"+
		"Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO\r\n%s",
		a.name, a.at, a.name, extra)
	s.last = s.req.Response(status, "Because", tag, lines, body, "application/sdp")
	a.transmit(s.last)
	if status >= 200 {
		s.status = status
		if status >= 300 && s.req.Method == "INVITE" {
			s.repeat = a.f.sent(s.last, s.req.CSeq)
		}
	}
	return s.last
}

// take handles what arrives.
func (a *actor) take(data []byte) {
	m := transaction.Read(data, transport.Peer{Addr: drivenGateway})
	switch {
	case m == nil:
		a.f.fail("%s got what cannot be read: %q", a.name, data)
	case m.Request:
		a.takeRequest(m)
	default:
		a.takeResponse(m)
	}
}

func (a *actor) dialog(m *message, local, remote string) *talk {
	for _, d := range a.dialogs {
		if d.callID == m.CallID && d.localTag == local && d.remoteTag == remote {
			return d
		}
	}
	return nil
}

func (a *actor) takeRequest(m *message) {
	m.Received(m.Peer.Addr)
	for _, s := range a.served {
		if s.req.Via.Branch != m.Via.Branch {
			continue
		}
		switch {
		case m.Method == "ACK" && s.status >= 300:
			s.repeat = nil
			return
		case m.Method == "CANCEL" && s.req.Method == "INVITE":
			cancel := &served{req: m}
			a.reply(cancel, 200, a.name+"-c", "", nil)
			s.cancelled = s.cancelled || s.status == 0
			return
		case m.Method == s.req.Method:
			if s.last != nil && s.req.Method != "INVITE" {
				a.transmit(s.last)
			}
			return
		}
	}
	d := a.dialog(m, m.ToTag, m.FromTag)
	switch {
	case m.Method == "ACK":
		if d != nil && d.final != nil && d.final.seq == m.CSeq {
			d.final = nil
			a.takeBody(d, m.Body, d.offered != 0)
		}
	case m.Method == "CANCEL":
		a.reply(&served{req: m}, 481, a.name+"-c", "", nil)
	case m.ToTag == "" && m.Method == "INVITE":
		a.served = append(a.served, &served{req: m, began: a.f.d.now})
	case d == nil:
		if a.f.invite.d.callID == m.CallID && a.f.invite.final == nil {
			a.reply(&served{req: m}, 481, "", "", nil) // it has overtaken the 2xx
		} else {
			a.f.fail("%s knows no dialog of %s %s %s", a.name, m.Method, m.FromTag, m.ToTag)
		}
	default:
		a.takeInDialog(d, m)
	}
}

func (a *actor) takeInDialog(d *talk, m *message) {
	s := &served{req: m, d: d, began: a.f.d.now}
	a.served = append(a.served, s)
	if d.over && m.Method != "BYE" {
		a.reply(s, 481, "", "", nil)
		return
	}
	switch m.Method {
	case "BYE":
		d.over, d.final, d.reliable = true, nil, nil
		a.reply(s, 200, "", "", nil)
	case "PRACK":
		words := strings.Fields(m.Get("rack"))
		if d.reliable == nil || len(words) != 3 || words[0] != fmt.Sprint(d.mine) || words[1] != fmt.Sprint(d.reliable.seq) {
			if !d.confirmed && !a.closed(d) {
				a.f.fail("%s got PRACK with RAck %q, awaits %d %+v", a.name, words, d.mine, d.reliable)
			}
			a.reply(s, 481, "", "", nil)
			return
		}
		d.reliable, d.proven = nil, true
		if len(m.Body) > 0 && d.offered == 0 {
			number, _ := originOf(m.Body)
			body, _ := a.sdp(number)
			a.reply(s, 200, "", "", body)
			return
		}
		a.takeBody(d, m.Body, d.offered != 0)
		a.reply(s, 200, "", "", nil)
	case "INVITE", "UPDATE":
		offers := len(m.Body) > 0 || m.Method == "INVITE" // a re-INVITE without one asks for ours
		if offers && (d.offered != 0 || d.asking != 0) || m.Method == "INVITE" && a.inviting(d, s) {
			a.reply(s, 491, "", "", nil)
			return
		}
		d.asking, _ = originOf(m.Body)
	}
}

// closed says whether the INVITE of an early dialog has its final response.
func (a *actor) closed(d *talk) bool {
	for _, s := range a.served {
		for _, fork := range s.forks {
			if fork == d {
				return s.status != 0
			}
		}
	}
	return true
}

// inviting says whether an INVITE is under way in a dialog, other than the one that came.
func (a *actor) inviting(d *talk, but *served) bool {
	for _, r := range a.asked {
		if r.d == d && r.method == "INVITE" && (r.final == nil || r.final.Status < 300 && d.due != nil) {
			return true
		}
	}
	for _, s := range a.served {
		if s.d == d && s != but && s.req.Method == "INVITE" && s.status == 0 {
			return true
		}
	}
	return d.final != nil
}

// takeBody takes a session description. As an answer it must be that to our offer.
func (a *actor) takeBody(d *talk, body []byte, isAnswer bool) {
	if len(body) == 0 {
		return
	}
	number, answers := originOf(body)
	if !isAnswer {
		d.asking = number
		return
	}
	if answers != d.offered {
		a.f.fail("%s offered %d and got the answer to %d", a.name, d.offered, answers)
	}
	d.offered, d.agreed = 0, true
}
