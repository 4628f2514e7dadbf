package sipgw

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/timer"
)

// reliability makes the provisional responses of one call reliable from end to end
// (RFC 3262), for a caller that takes 100rel. What a gateway sends reliably goes to
// the caller reliably, and the caller's PRACK to the gateway; what a gateway sends
// otherwise is made reliable here when the caller insists. Within the early dialogs
// that this makes, UPDATE passes too (RFC 3311).
type reliability struct {
	s        *session
	required bool              // the caller insists
	late     bool              // the INVITE had no offer
	cseq     uint32            // of the INVITE
	rseqs    map[string]uint32 // of the last responses that were made reliable, by the caller's early dialog
	tx       *transaction.Server
	queue    []*reliable // the first awaits its PRACK, the others wait for it
	early    []*early
	final    func() // sends the 2xx, once every response before it is acknowledged
	updating bool   // an UPDATE is on its way through

	interval   time.Duration
	retransmit timer.Timer
	giveUp     timer.Timer
}

// reliable is one provisional response to the caller.
type reliable struct {
	rseq   uint32
	tag    string // of the early dialog, as the caller sees it
	status int
	data   []byte
	sdp    bool
	from   *early // whose PRACK it wants; nil when the gateway sent it unreliably
	theirs uint32 // the gateway's RSeq
}

// early is an early dialog with a gateway.
type early struct {
	attempt *attempt
	leg     *leg
	local   string // the tag that the caller sees for it
	rseq    uint32 // of the last response taken in order
}

// newReliability is nil for a caller that does not take 100rel.
func newReliability(s *session, m *message, tx *transaction.Server) *reliability {
	required := m.Lists("require", "100rel")
	if !required && !m.Lists("supported", "100rel") {
		return nil
	}
	return &reliability{
		s: s, required: required, late: len(m.Body) == 0, cseq: m.CSeq, tx: tx, rseqs: make(map[string]uint32),
	}
}

// supportedLine is the extensions of the call.
func (r *reliability) supportedLine() string {
	if r == nil {
		return lineSupported
	}
	return lineReliable
}

// takes reports whether a provisional response of a gateway is to be handled: one that
// is repeated, or comes before another that is missing, is not (RFC 3262 section 4).
func (r *reliability) takes(a *attempt, m *message) bool {
	if r == nil || m.ToTag == "" {
		return true
	}
	theirs := m.RSeq()
	if theirs == 0 {
		return true
	}
	e := r.dialog(a, m)
	if e == nil || (e.rseq != 0 && theirs != e.rseq+1) {
		return false
	}
	e.rseq = theirs
	return true
}

// dialog finds the early dialog of a response, or makes it; nil when there are too many.
func (r *reliability) dialog(a *attempt, m *message) *early {
	if e := r.find(a, m.ToTag); e != nil {
		return e
	}
	if len(r.early) >= maxEarlyDialogs {
		return nil
	}
	l := *a.leg
	l.setRemote(m.To, m.ToTag)
	l.establish(m)
	e := &early{attempt: a, leg: &l, local: r.s.earlyTag(a, m.ToTag)}
	r.early = append(r.early, e)
	r.s.sh.early[legKey{l.callID, l.remoteTag}] = e
	return e
}

func (r *reliability) find(a *attempt, remoteTag string) *early {
	if r == nil {
		return nil
	}
	for _, e := range r.early {
		if e.attempt == a && e.leg.remoteTag == remoteTag && e.leg.inviteSeq == a.leg.inviteSeq {
			return e
		}
	}
	return nil
}

// seqsOf are the last CSeqs in the early dialogs of a gateway, by its tags; nil without any.
func (r *reliability) seqsOf(a *attempt) map[string]uint32 {
	if r == nil || len(r.early) == 0 {
		return nil
	}
	seqs := make(map[string]uint32, len(r.early))
	for _, e := range r.early {
		if e.attempt == a {
			seqs[e.leg.remoteTag] = e.leg.localSeq
		}
	}
	return seqs
}

// answered makes the early dialog of a 2xx the dialog of the call.
func (r *reliability) answered(a *attempt, l *leg) {
	if r == nil {
		return
	}
	for _, e := range r.early {
		// What another branch says from now on is of no call.
		delete(r.s.sh.early, legKey{e.leg.callID, e.leg.remoteTag})
	}
	if e := r.find(a, l.remoteTag); e != nil {
		l.localSeq, l.remoteSeq = max(l.localSeq, e.leg.localSeq), e.leg.remoteSeq
		e.leg = l
	}
	r.keep(r.s.earlyTag(a, l.remoteTag))
}

// keep forgets the responses of other early dialogs than the one that was answered: the
// caller acknowledges none of a dialog that is over, and its 2xx would wait for that.
func (r *reliability) keep(tag string) {
	if len(r.queue) == 0 {
		return
	}
	first, sent := r.queue[0], r.retransmit.IsSet()
	r.queue = slices.DeleteFunc(r.queue, func(p *reliable) bool { return p.tag != tag })
	if sent && (len(r.queue) == 0 || r.queue[0] != first) {
		r.s.sh.timers.Stop(&r.retransmit)
		r.s.sh.timers.Stop(&r.giveUp)
		r.proceed()
	}
}

// send gives the caller a provisional response, reliably when it must be. build
// writes it with the header lines given.
func (r *reliability) send(a *attempt, m *message, sdp bool, build func(extra string) []byte) (taken bool) {
	if r == nil {
		return false
	}
	theirs := m.RSeq()
	if theirs == 0 && !r.required {
		return false
	}
	tag := r.s.earlyTag(a, m.ToTag)
	p := &reliable{rseq: r.next(tag), tag: tag, status: m.Status, sdp: sdp, theirs: theirs}
	if theirs != 0 {
		p.from = r.find(a, m.ToTag)
	}
	p.data = build("Require: 100rel\r\nRSeq: " + strconv.FormatUint(uint64(p.rseq), 10) + "\r\n")
	r.queue = append(r.queue, p)
	if len(r.queue) == 1 {
		r.transmit()
	}
	return true
}

// next numbers a response. Each early dialog has numbers of its own, since to the caller
// each is another callee (RFC 3262 section 4).
func (r *reliability) next(tag string) uint32 {
	last, begun := r.rseqs[tag]
	if !begun {
		last = uint32(rand.Int32N(1 << 30))
	}
	r.rseqs[tag] = last + 1
	return last + 1
}

// transmit sends the first response of the queue.
func (r *reliability) transmit() {
	sh := r.s.sh
	timing := &sh.srv.config.Timers
	r.tx.Send(r.queue[0].status, r.queue[0].data)
	r.interval = timing.T1
	sh.timers.Set(&r.retransmit, r, timerRetransmit, sh.now.Add(r.interval))
	sh.timers.Set(&r.giveUp, r, timerGiveUp, sh.now.Add(64*timing.T1))
}

// Expire implements timed.
func (r *reliability) Expire(kind timer.Kind) {
	if len(r.queue) == 0 {
		return
	}
	sh := r.s.sh
	if kind == timerRetransmit {
		sh.srv.transport.Send(r.tx.Peer, r.queue[0].data, nil)
		r.interval *= 2
		sh.timers.Set(&r.retransmit, r, timerRetransmit, sh.now.Add(r.interval))
		return
	}
	// A caller that acknowledges nothing is gone; one that is answered may yet come back.
	waiting := r.final
	r.stop()
	if waiting != nil {
		waiting()
		return
	}
	r.s.handle(call.Cancelled{})
}

// whenAcknowledged runs what sends the 2xx, now or after the last PRACK.
func (r *reliability) whenAcknowledged(final func()) {
	if r == nil || len(r.queue) == 0 {
		final()
		return
	}
	r.final = final
}

// proceed continues after a PRACK.
func (r *reliability) proceed() {
	if len(r.queue) > 0 && !r.retransmit.IsSet() {
		r.transmit()
		return
	}
	if final := r.final; final != nil && len(r.queue) == 0 {
		r.final = nil
		final()
	}
}

// stop forgets what waits: the INVITE has its final response.
func (r *reliability) stop() {
	if r == nil {
		return
	}
	r.queue, r.final = nil, nil
	r.s.sh.timers.Stop(&r.retransmit)
	r.s.sh.timers.Stop(&r.giveUp)
}

// close ends the early dialogs. What was sent in them is kept for a 2xx that comes too late.
func (r *reliability) close() {
	if r == nil {
		return
	}
	r.stop()
	for _, e := range r.early {
		delete(r.s.sh.early, legKey{e.leg.callID, e.leg.remoteTag})
	}
}

// alive reports whether the gateway still tries the call in this dialog, or has taken it. One
// whose INVITE was refused, as by a challenge, is over although the attempt goes on.
func (e *early) alive() bool {
	return e.leg.inviteSeq == e.attempt.leg.inviteSeq &&
		(e.attempt == e.attempt.s.attempt || e.attempt.chosen == e.leg.remoteTag)
}

// receivePrack takes the caller's PRACK: what it acknowledges is not repeated any
// more, and a gateway that waits for one gets it.
func (l *leg) receivePrack(m *message, tx *transaction.Server) {
	r := l.s.rely
	if r == nil || l != l.s.caller || len(r.queue) == 0 || !r.acknowledges(m) {
		tx.Respond(481, "Call/Transaction Does Not Exist", "")
		return
	}
	sh, p := l.s.sh, r.queue[0]
	sh.timers.Stop(&r.retransmit)
	sh.timers.Stop(&r.giveUp)
	r.queue = r.queue[1:]
	if p.from == nil || !p.from.alive() {
		if len(m.Body) > 0 {
			tx.Respond(488, "Not Acceptable Here", "")
		} else {
			tx.Respond(200, "OK", "")
		}
		r.proceed()
		return
	}
	what := isOffer
	if r.late && p.sdp {
		what = isAnswer
	}
	rack := "RAck: " + strconv.FormatUint(uint64(p.theirs), 10) + " " +
		strconv.FormatUint(uint64(p.from.attempt.leg.inviteSeq), 10) + " INVITE\r\n"
	l.passEarly(p.from.leg, "PRACK", rack, what, m, tx, r.proceed)
}

// acknowledges reports whether a PRACK is for the response that awaits one.
func (r *reliability) acknowledges(m *message) bool {
	words := strings.Fields(m.Get("rack"))
	return m.ToTag == r.queue[0].tag && len(words) == 3 && words[0] == strconv.FormatUint(uint64(r.queue[0].rseq), 10) &&
		words[1] == strconv.FormatUint(uint64(r.cseq), 10) && words[2] == "INVITE"
}

// passEarly sends a request of l's peer on in an early dialog of the other side,
// and the answer back. done is called after that.
func (l *leg) passEarly(to *leg, method, extra string, what kind, m *message, tx *transaction.Server, done func()) {
	s := l.s
	there := media.Description{From: l.side, Source: l.peer.Addr.Addr(), Target: to.peer.Addr.Addr()}
	s.describe(what, there, m, func(body []byte, err error) {
		if err != nil {
			tx.Respond(488, phraseOfMedia(err), "")
			done()
			return
		}
		in, back := inPrack, inPrack
		if method == "UPDATE" {
			in, back = inOffer, inOfferAnswer
		}
		extra += passage{s: s, m: m}.cross(in, l.away())
		to.send(method, extra, body, m.ContentType(), func(answer *message) {
			switch {
			case answer == nil:
				tx.Respond(504, "Server Time-out", "")
				done()
				return
			case answer.Status >= 300:
				if what == isOffer && len(m.Body) > 0 {
					s.offerRefused()
				}
				l.passRefusal(to, answer, tx)
				done()
				return
			}
			there := media.Description{From: to.side, Source: to.peer.Addr.Addr(), Target: l.peer.Addr.Addr()}
			s.describe(isAnswer, there, answer, func(body []byte, err error) {
				if err != nil {
					body = nil
				}
				if tx.Request != nil {
					lines := l.contactLine() + sip.LineAllow + passage{s: s, m: answer}.cross(back, to.away())
					tx.Send(200, m.Response(200, "OK", "", lines, body, answer.ContentType()))
				}
				done()
			})
		})
	})
}

// updateEarly passes an offer on before the call is answered.
func (l *leg) updateEarly(m *message, tx *transaction.Server) {
	s, r := l.s, l.s.rely
	var e *early
	if r != nil {
		for _, candidate := range r.early {
			if l == s.caller && candidate.local == m.ToTag || candidate.leg == l {
				e = candidate
			}
		}
	}
	switch {
	case e == nil || s.invite == nil || !e.alive():
		// Without a reliable response there is no dialog in which it could pass.
		tx.Respond(500, "Server Internal Error", "Retry-After: 1\r\n")
		return
	case r.updating || len(r.queue) > 0:
		tx.Respond(491, "Request Pending", "")
		return
	}
	to := e.leg
	if l != s.caller {
		caller := *s.caller
		caller.setLocal(s.invite.To, e.local)
		s.caller.localSeq++ // the copy counts from here
		to = &caller
	}
	if !to.allowsUpdate {
		tx.Respond(488, "Not Acceptable Here", "")
		return
	}
	r.updating = true
	l.passEarly(to, "UPDATE", to.contactLine()+sip.LineAllow+lineReliable, isOffer, m, tx, func() { r.updating = false })
}
