package sipgw

import (
	"strings"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
)

// serve makes the server transaction of an INVITE the one whose 2xx awaits an ACK.
func (l *leg) serve(tx *transaction.Server, seq uint32) {
	l.serving, l.servingSeq = tx, seq
	tx.Unacked = func() {
		l.serving, l.onAck, l.acked = nil, nil, true
		if l.byeOnAck {
			l.bye(l.byeReason)
			return
		}
		l.s.handle(call.HungUp{Cause: call.CauseNoAck})
	}
}

// receiveAck takes the ACK of a 2xx of ours.
func (l *leg) receiveAck(m *message) {
	if l.serving == nil || m.CSeq != l.servingSeq || !l.serving.Confirm() {
		return
	}
	l.serving, l.acked = nil, true
	if onAck := l.onAck; onAck != nil {
		l.onAck = nil
		onAck(m)
	}
	if l.byeOnAck {
		l.bye(l.byeReason)
	}
}

// keepOffer keeps the session description that the peer has from us, when a
// refresh by re-INVITE may need it.
func (l *leg) keepOffer(body []byte, contentType string) {
	if len(body) == 0 || l.allowsUpdate {
		return
	}
	l.lastOffer = &offered{body, sip.TypeSDP}
	if contentType != sip.TypeSDP {
		l.lastOffer.contentType = strings.Clone(contentType)
	}
}

// offered is a session description that was sent. Its bytes belong to it: those of a
// message are of no other use.
type offered struct {
	body        []byte
	contentType string
}

// receiveReinvite passes a change of the session on to the other side.
func (l *leg) receiveReinvite(m *message, tx *transaction.Server) {
	o := l.other()
	switch {
	case !l.s.machine.Running() || l.serving != nil:
		// The INVITE before has not been finished (RFC 3261 section 14.2).
		tx.Respond(500, "Server Internal Error", "Retry-After: 1\r\n")
	case l.invite != nil || o.invite != nil || o.serving != nil || l.relaying || o.relaying:
		tx.Respond(491, "Request Pending", "")
	case l.s.sh.refuseShortSession(m, tx):
	default:
		tx.Respond(100, "Trying", "")
		l.retarget(m)
		l.relayOffer(o, m, tx, "INVITE")
	}
}

// receiveUpdate answers a mere refresh and passes an offer on (RFC 3311).
func (l *leg) receiveUpdate(m *message, tx *transaction.Server) {
	if l.s.sh.refuseShortSession(m, tx) {
		return
	}
	if len(m.Body) == 0 {
		l.retarget(m)
		extra := l.contactLine() + sip.LineAllow + lineSupported
		if l.s.machine.Running() {
			extra += l.refresh.serve(l, m)
		}
		tx.Respond(200, "OK", extra)
		return
	}
	o := l.other()
	switch {
	case !l.s.machine.Running():
		l.updateEarly(m, tx)
	case l.invite != nil || l.serving != nil || o.invite != nil || o.serving != nil || l.relaying || o.relaying:
		tx.Respond(491, "Request Pending", "")
	default:
		l.retarget(m)
		method := "UPDATE"
		if !o.allowsUpdate {
			method = "INVITE"
		}
		l.relayOffer(o, m, tx, method)
	}
}

// relayOffer sends the body of m to the other side by the method given, and its
// answer back.
func (l *leg) relayOffer(o *leg, m *message, tx *transaction.Server, method string) {
	l.relaying = true
	l.between(isOffer, m, func(body []byte, err error) {
		switch {
		case err != nil && !l.ended:
			l.relaying = false
			tx.Respond(488, phraseOfMedia(err), "")
		case l.ended || o.ended:
			l.relaying = false
			tx.Respond(481, "Call/Transaction Does Not Exist", "")
		default:
			l.sendOffer(o, m, body, tx, method)
		}
	})
}

func (l *leg) sendOffer(o *leg, m *message, body []byte, tx *transaction.Server, method string) {
	extra := o.contactLine() + sip.LineAllow + lineSupported + o.refresh.requestLine() +
		passage{s: l.s, m: m}.cross(inOffer, l.away())
	client := o.send(method, extra, body, m.ContentType(), func(answer *message) {
		l.relaying = false
		if method == "INVITE" {
			o.invite = nil
		}
		l.relayAnswer(o, m, body, tx, method, answer)
	})
	if method != "INVITE" {
		return
	}
	o.invite = client
	tx.Cancelled = func(*message) {
		if pending := o.invite; pending != nil {
			pending.Stop(o.cancelBytes(pending.Branch(), o.localSeq, ""))
		}
	}
}

// relayAnswer sends the other side's answer back. sent is the description that the
// other side got.
func (l *leg) relayAnswer(o *leg, m *message, sent []byte, tx *transaction.Server, method string, answer *message) {
	if answer == nil || answer.Status == 408 || answer.Status == 481 {
		// The dialog there is gone (RFC 5057 section 5.1).
		tx.Respond(408, "Request Timeout", "")
		l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
		return
	}
	if answer.Status >= 300 {
		l.s.offerRefused()
		l.passRefusal(o, answer, tx)
		return
	}
	lateOffer := method == "INVITE" && m.Method == "INVITE" && len(m.Body) == 0 && len(answer.Body) > 0
	if method == "INVITE" && !lateOffer {
		o.acknowledge(answer.CSeq, "", nil, "")
	}
	if l.ended || tx.Request == nil {
		if lateOffer {
			o.acknowledge(answer.CSeq, "", nil, "")
		}
		tx.Respond(481, "Call/Transaction Does Not Exist", "")
		return
	}
	o.retarget(answer)
	o.refresh.begin(o, answer)
	o.keepOffer(sent, m.ContentType())
	what := isAnswer
	if lateOffer {
		what = isOffer
	}
	o.between(what, answer, func(body []byte, err error) {
		if err != nil || l.ended {
			if lateOffer {
				o.acknowledge(answer.CSeq, "", nil, "")
			}
			tx.Respond(488, phraseOfMedia(err), "")
			return
		}
		l.respondAnswer(o, m, body, tx, answer, lateOffer)
	})
}

// passRefusal tells the peer that the other side has refused its offer. What only
// concerns us and the other side becomes 488.
func (l *leg) passRefusal(o *leg, answer *message, tx *transaction.Server) {
	status, phrase := answer.Status, answer.ShortPhrase()
	if status < 400 || status == 401 || status == 407 {
		status, phrase = 488, "Not Acceptable Here"
	}
	tx.Respond(status, phrase, passage{s: l.s, m: answer}.cross(inOfferRefusal, o.away()))
}

// respondAnswer sends a 2xx with the other side's description to a re-INVITE or UPDATE.
func (l *leg) respondAnswer(o *leg, m *message, body []byte, tx *transaction.Server, answer *message, lateOffer bool) {
	contentType := answer.ContentType()
	l.keepOffer(body, contentType)
	extra := l.contactLine() + sip.LineAllow + lineSupported + l.refresh.serve(l, m) +
		passage{s: l.s, m: answer}.cross(inOfferAnswer, o.away())
	data := m.Response(200, "OK", "", extra, body, contentType)
	if m.Method == "INVITE" {
		l.serve(tx, m.CSeq)
	}
	if lateOffer {
		seq := answer.CSeq
		l.onAck = func(ack *message) {
			l.between(isAnswer, ack, func(body []byte, err error) {
				o.acknowledge(seq, passage{s: l.s, m: ack}.cross(inAck, l.away()), body, ack.ContentType())
				o.keepOffer(body, ack.ContentType())
				if err != nil {
					l.s.handle(call.HungUp{Cause: call.CauseIncompatible})
				}
			})
		}
	}
	tx.Send(200, data)
}

// passOn passes a request that changes nothing in the session, such as the INFO
// of a pressed key (RFC 6086), and its response.
func (l *leg) passOn(m *message, tx *transaction.Server) {
	o := l.other()
	if !l.s.machine.Running() || o == nil {
		tx.Respond(480, "Temporarily Unavailable", "")
		return
	}
	if o.serving != nil && o.serving.Trying() {
		// The other side has no dialog yet: its 2xx waits for a PRACK.
		tx.Respond(500, "Server Internal Error", "Retry-After: 1\r\n")
		return
	}
	extra := passage{s: l.s, m: m}.cross(inInfo, l.away())
	o.send(m.Method, extra, m.Body, m.ContentType(), func(answer *message) {
		switch {
		case answer == nil:
			tx.Respond(408, "Request Timeout", "")
		case answer.Status == 481:
			tx.Respond(481, "Call/Transaction Does Not Exist", "")
			if o.acked { // else the request may have overtaken the 2xx
				l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
			}
		case answer.Status == 401 || answer.Status == 407:
			tx.Respond(403, "Forbidden", "")
		default:
			tx.Respond(answer.Status, answer.ShortPhrase(), passage{s: l.s, m: answer}.cross(inInfoResponse, o.away()))
		}
	})
}

// cancelBytes writes the CANCEL of an INVITE of ours (RFC 3261 section 9.1).
// Its Reason is that of the caller's CANCEL, where there is one, else ours.
func (l *leg) cancelBytes(branch string, seq uint32, reason string) []byte {
	w := sip.NewWriter()
	w.RequestLine("CANCEL", l.requestURI())
	w.Via(l.peer.Transport(), l.s.sh.srv.transport.Own(l.peer).HostPort, branch)
	w.Field("Max-Forwards", "70")
	l.writeRoutes(w)
	w.Field("From", l.local)
	w.Field("To", l.remote)
	w.Field("Call-ID", l.callID)
	w.CSeq(seq, "CANCEL")
	crossing := l.s.parting.towards(toCarrier)
	if !hasLine(crossing, fieldReason) {
		w.Lines(reason)
	}
	w.Lines(crossing)
	return w.Finish("", nil)
}
