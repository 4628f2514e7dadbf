package sipgw

import (
	"strings"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/record"
)

// receive takes one message through the validation to its transaction.
func (sh *shard) receive(data []byte, from peer) {
	sh.g.transport.traceMessage(false, from, data)
	w := &sh.wire
	w.read(data)
	v := judge(w)
	if w.flaw.status != 0 || w.start.kind == startNone {
		sh.g.count.parseErrors.Add(1)
	}
	if v.kind == verdictDrop {
		sh.g.count.invalid.Add(1)
		return
	}
	m := w.message(from)
	if v.kind == verdictAnswer || m == nil {
		sh.g.count.invalid.Add(1)
		sh.answerInvalid(data, from, m, v)
		return
	}
	if !m.request {
		sh.receiveResponse(m)
		return
	}
	m.received()
	sh.receiveRequest(m)
}

// answerInvalid answers a request that validation refuses, without keeping
// anything of it.
func (sh *shard) answerInvalid(data []byte, from peer, m *message, v verdict) {
	if v.kind != verdictAnswer {
		return
	}
	if m == nil || !m.request {
		sh.g.transport.send(from, refusalBytes(data, v, newToken()), nil)
		return
	}
	m.received()
	extra := ""
	for _, header := range v.headers {
		extra += oneLine(header) + "\r\n"
	}
	sh.answerStateless(m, v.status, v.reason, extra)
}

// answerStateless answers a request that is repeated until it is answered and for
// which the same answer can be given again.
func (sh *shard) answerStateless(m *message, status int, phrase, extra string) {
	sh.g.transport.send(m.replyTo(), m.response(status, phrase, newToken(), extra, nil, ""), nil)
}

func (sh *shard) receiveResponse(m *message) {
	if tx := sh.clients[clientKey{m.via.branch, m.method}]; tx != nil {
		tx.receive(m)
	}
}

func (sh *shard) receiveRequest(m *message) {
	if tx := sh.server(m, m.method); tx != nil {
		if m.method == "ACK" {
			sh.receiveAck(m, tx)
			return
		}
		tx.again()
		return
	}
	switch {
	case m.method == "ACK":
		sh.receiveAck(m, nil)
	case m.method == "CANCEL":
		sh.receiveCancel(m)
	case m.toTag != "":
		sh.receiveInDialog(m)
	case m.method == "INVITE":
		sh.receiveInvite(m)
	case m.method == "OPTIONS":
		sh.answerStateless(m, 200, "OK", lineAllow+lineReliable+"Accept: application/sdp\r\n")
	default:
		sh.answerStateless(m, 481, "Call/Transaction Does Not Exist", "")
	}
}

// receiveAck takes an ACK: that of a refusal belongs to the INVITE's transaction,
// that of a 2xx to the dialog.
func (sh *shard) receiveAck(m *message, tx *serverTx) {
	if tx != nil && tx.state == serverRefused {
		tx.confirm()
		return
	}
	if l := sh.dialog(m); l != nil {
		l.receiveAck(m)
	}
}

// receiveCancel cancels an INVITE that has no final response yet (RFC 3261 section 9.2).
func (sh *shard) receiveCancel(m *message) {
	tx := sh.begin(m)
	invite := sh.server(m, "INVITE")
	if invite == nil {
		tx.respond(481, "Call/Transaction Does Not Exist", "")
		return
	}
	tx.toTag = invite.toTag
	tx.respond(200, "OK", "")
	if invite.state == serverTrying && invite.cancelled != nil {
		invite.cancelled()
	}
}

// dialog finds the leg that an in-dialog request belongs to, by all three parts of
// the dialog's id.
func (sh *shard) dialog(m *message) *leg {
	if l := sh.legs[legKey{m.callID, m.fromTag}]; l != nil {
		if l.hasLocalTag(m.toTag) {
			return l
		}
		return nil
	}
	if l := sh.legs[legKey{m.callID, ""}]; l != nil && m.toTag == l.localTag && m.fromTag == l.remoteTag {
		return l
	}
	if e := sh.early[legKey{m.callID, m.fromTag}]; e != nil && m.toTag == e.leg.localTag {
		return e.leg
	}
	return nil
}

// receiveInvite takes the attempt of a new call.
func (sh *shard) receiveInvite(m *message) {
	g := sh.g
	tx := sh.begin(m)
	short := len(dialledText(m.uri)) <= maxShort
	switch {
	case sh.legs[legKey{m.callID, m.fromTag}] != nil:
		// The same request by another way (RFC 3261 section 8.2.2.2).
		tx.respond(482, "Loop Detected", "")
		return
	case g.looped(m):
		tx.respond(482, "Loop Detected", "")
		return
	case len(sh.calls) >= g.config.Limits.CallsPerShard && !short:
		g.count.shed.Add(1)
		tx.refuse(admission.ReasonOverloaded, nil)
		return
	}
	if refused := sh.refuseShortSession(m, tx); refused {
		return
	}
	attempt, ok := sh.identify(m, tx)
	if !ok {
		return
	}
	if !g.crowds.enter(m.peer.addr.Addr(), short) {
		g.count.crowded.Add(1)
		g.limited(m.peer.addr.Addr(), "sip_source_calls")
		tx.refuse(admission.ReasonOverloaded, nil)
		return
	}
	tx.respond(100, "Trying", "")
	g.count.attempts.Add(1)
	s := newSession(sh, m, tx, attempt)
	s.handle(call.Begin{Stopping: g.stopping.Load()})
}

// looped says whether the request has passed through this process before.
func (g *Gateway) looped(m *message) bool {
	for i := range m.fields {
		if f := &m.fields[i]; f.name == "via" && strings.Contains(f.value, magicCookie+g.mark) {
			return true
		}
	}
	return false
}

// refuse answers with a refusal of Tollgate's own.
func (tx *serverTx) refuse(why admission.Reason, d *admission.Decision) {
	if d == nil {
		d = &admission.Decision{Reason: why, Facts: admission.Facts{Source: tx.peer.addr.Addr().String()}}
	}
	tx.respond(why.Status(), d.Phrase(), tx.sh.g.refusalLines(why, d))
}

// refusalLines are the headers of a refusal of Tollgate's own.
func (g *Gateway) refusalLines(why admission.Reason, d *admission.Decision) string {
	lines := lineRejected + line("X-Tollgate-Reason", why.String())
	if d.ID != noID {
		lines += line("X-Tollgate-Decision", d.ID.String())
	}
	if why.Status() == 503 {
		lines += line("Retry-After", g.retryAfter)
	}
	return lines
}

// receiveInDialog takes a request within a dialog.
func (sh *shard) receiveInDialog(m *message) {
	tx := sh.begin(m)
	l := sh.dialog(m)
	if l == nil || (l.ended && m.method != "BYE") {
		tx.respond(481, "Call/Transaction Does Not Exist", "")
		return
	}
	if m.cseq < l.remoteSeq {
		// Out of order (RFC 3261 section 12.2.2).
		tx.respond(500, "Server Internal Error", "")
		return
	}
	l.remoteSeq = m.cseq
	if l.latched() {
		l.peer = m.peer // a translator may have forgotten the port and taken another
	} else if m.peer.tcp && l.peer.tcp {
		l.peer.conn = m.peer.conn // the peer may have connected anew
	}
	switch m.method {
	case "BYE":
		tx.respond(200, "OK", "")
		l.receiveBye()
	case "INVITE":
		l.receiveReinvite(m, tx)
	case "UPDATE":
		l.receiveUpdate(m, tx)
	case "PRACK":
		l.receivePrack(m, tx)
	case "INFO":
		l.passOn(m, tx)
	case "OPTIONS":
		tx.respond(200, "OK", lineAllow+lineSupported)
	default:
		tx.respond(481, "Call/Transaction Does Not Exist", "")
	}
}

// receiveBye ends the call from this side; a call that still rings is cancelled by it.
func (l *leg) receiveBye() {
	if l.ended {
		return
	}
	if l.side == record.SideCaller && !l.s.machine.Running() {
		l.s.handle(call.Cancelled{})
		return
	}
	l.s.handle(call.HungUp{By: l.side, Cause: call.CauseNormal})
}
