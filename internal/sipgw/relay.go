package sipgw

import (
	"strings"

	"github.com/tollgate/tollgate/internal/call"
)

// serve makes the server transaction of an INVITE the one whose 2xx awaits an ACK.
func (l *leg) serve(tx *serverTx, seq uint32) {
	l.serving, l.servingSeq = tx, seq
	tx.unacked = func() {
		l.serving, l.onAck, l.acked = nil, nil, true
		if l.byeOnAck {
			l.bye(l.byeCause)
			return
		}
		l.s.handle(call.HungUp{Cause: call.CauseNoAck})
	}
}

// receiveAck takes the ACK of a 2xx of ours.
func (l *leg) receiveAck(m *message) {
	if l.serving == nil || m.cseq != l.servingSeq || !l.serving.confirm() {
		return
	}
	l.serving, l.acked = nil, true
	if onAck := l.onAck; onAck != nil {
		l.onAck = nil
		onAck(m)
	}
	if l.byeOnAck {
		l.bye(l.byeCause)
	}
}

// keepOffer keeps the session description that the peer has from us, when a
// refresh by re-INVITE may need it.
func (l *leg) keepOffer(body []byte, contentType string) {
	if len(body) == 0 || l.allowsUpdate {
		return
	}
	l.lastOffer = &offered{body, sdpType}
	if contentType != sdpType {
		l.lastOffer.contentType = strings.Clone(contentType)
	}
}

// offered is a session description that was sent. Its bytes belong to it: those of a
// message are of no other use.
type offered struct {
	body        []byte
	contentType string
}

// sdpType is the usual type of a session description.
const sdpType = "application/sdp"

// receiveReinvite passes a change of the session on to the other side.
func (l *leg) receiveReinvite(m *message, tx *serverTx) {
	o := l.other()
	switch {
	case !l.s.machine.Running() || l.serving != nil:
		// The INVITE before has not been finished (RFC 3261 section 14.2).
		tx.respond(500, "Server Internal Error", "Retry-After: 1\r\n")
	case l.invite != nil || o.invite != nil || o.serving != nil || l.relaying || o.relaying:
		tx.respond(491, "Request Pending", "")
	case l.s.sh.refuseShortSession(m, tx):
	default:
		tx.respond(100, "Trying", "")
		l.retarget(m)
		l.relayOffer(o, m, tx, "INVITE")
	}
}

// receiveUpdate answers a mere refresh and passes an offer on (RFC 3311).
func (l *leg) receiveUpdate(m *message, tx *serverTx) {
	if l.s.sh.refuseShortSession(m, tx) {
		return
	}
	if len(m.body) == 0 {
		l.retarget(m)
		extra := l.contactLine() + lineAllow + lineSupported
		if l.s.machine.Running() {
			extra += l.refresh.serve(l, m)
		}
		tx.respond(200, "OK", extra)
		return
	}
	o := l.other()
	switch {
	case !l.s.machine.Running():
		l.updateEarly(m, tx)
	case l.invite != nil || l.serving != nil || o.invite != nil || o.serving != nil || l.relaying || o.relaying:
		tx.respond(491, "Request Pending", "")
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
func (l *leg) relayOffer(o *leg, m *message, tx *serverTx, method string) {
	l.relaying = true
	l.between(isOffer, m, func(body []byte, err error) {
		switch {
		case err != nil && !l.ended:
			l.relaying = false
			tx.respond(488, phraseOfMedia(err), "")
		case l.ended || o.ended:
			l.relaying = false
			tx.respond(481, "Call/Transaction Does Not Exist", "")
		default:
			l.sendOffer(o, m, body, tx, method)
		}
	})
}

func (l *leg) sendOffer(o *leg, m *message, body []byte, tx *serverTx, method string) {
	extra := o.contactLine() + lineAllow + lineSupported + o.refresh.requestLine()
	client := o.send(method, extra, body, m.get("content-type"), func(answer *message) {
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
	tx.cancelled = func() {
		if pending := o.invite; pending != nil {
			pending.stop(o.cancelBytes(pending.branch, o.localSeq))
		}
	}
}

// relayAnswer sends the other side's answer back. sent is the description that the
// other side got.
func (l *leg) relayAnswer(o *leg, m *message, sent []byte, tx *serverTx, method string, answer *message) {
	if answer == nil || answer.status == 408 || answer.status == 481 {
		// The dialog there is gone (RFC 5057 section 5.1).
		tx.respond(408, "Request Timeout", "")
		l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
		return
	}
	if answer.status >= 300 {
		l.s.offerRefused()
		status, phrase := answer.status, phraseOf(answer)
		if status < 400 || status == 401 || status == 407 {
			status, phrase = 488, "Not Acceptable Here"
		}
		tx.respond(status, phrase, "")
		return
	}
	lateOffer := method == "INVITE" && m.method == "INVITE" && len(m.body) == 0 && len(answer.body) > 0
	if method == "INVITE" && !lateOffer {
		o.acknowledge(answer.cseq, nil, "")
	}
	if l.ended || tx.request == nil {
		if lateOffer {
			o.acknowledge(answer.cseq, nil, "")
		}
		tx.respond(481, "Call/Transaction Does Not Exist", "")
		return
	}
	o.retarget(answer)
	o.refresh.begin(o, answer)
	o.keepOffer(sent, m.get("content-type"))
	what := isAnswer
	if lateOffer {
		what = isOffer
	}
	o.between(what, answer, func(body []byte, err error) {
		if err != nil || l.ended {
			if lateOffer {
				o.acknowledge(answer.cseq, nil, "")
			}
			tx.respond(488, phraseOfMedia(err), "")
			return
		}
		l.respondAnswer(o, m, body, tx, answer, lateOffer)
	})
}

// respondAnswer sends a 2xx with the other side's description to a re-INVITE or UPDATE.
func (l *leg) respondAnswer(o *leg, m *message, body []byte, tx *serverTx, answer *message, lateOffer bool) {
	contentType := answer.get("content-type")
	l.keepOffer(body, contentType)
	extra := l.contactLine() + lineAllow + lineSupported + l.refresh.serve(l, m)
	data := m.response(200, "OK", "", extra, body, contentType)
	if m.method == "INVITE" {
		l.serve(tx, m.cseq)
	}
	if lateOffer {
		seq := answer.cseq
		l.onAck = func(ack *message) {
			l.between(isAnswer, ack, func(body []byte, err error) {
				o.acknowledge(seq, body, ack.get("content-type"))
				o.keepOffer(body, ack.get("content-type"))
				if err != nil {
					l.s.handle(call.HungUp{Cause: call.CauseIncompatible})
				}
			})
		}
	}
	tx.send(200, data)
}

// passOn passes a request that changes nothing in the session, such as the INFO
// of a pressed key (RFC 6086), and its response.
func (l *leg) passOn(m *message, tx *serverTx) {
	o := l.other()
	if !l.s.machine.Running() || o == nil {
		tx.respond(480, "Temporarily Unavailable", "")
		return
	}
	extra := line("Info-Package", m.get("info-package")) + line("Content-Disposition", m.get("content-disposition"))
	o.send(m.method, extra, m.body, m.get("content-type"), func(answer *message) {
		switch {
		case answer == nil:
			tx.respond(408, "Request Timeout", "")
		case answer.status == 481:
			tx.respond(481, "Call/Transaction Does Not Exist", "")
			l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
		case answer.status == 401 || answer.status == 407:
			tx.respond(403, "Forbidden", "")
		default:
			tx.respond(answer.status, phraseOf(answer), "")
		}
	})
}

// cancelBytes writes the CANCEL of an INVITE of ours (RFC 3261 section 9.1).
func (l *leg) cancelBytes(branch string, seq uint32) []byte {
	w := newWriter()
	w.requestLine("CANCEL", l.requestURI())
	w.via(l.s.sh.srv, l.peer, branch)
	w.field("Max-Forwards", "70")
	l.writeRoutes(w)
	w.field("From", l.local)
	w.field("To", l.remote)
	w.field("Call-ID", l.callID)
	w.cseq(seq, "CANCEL")
	return w.finish("", nil)
}
