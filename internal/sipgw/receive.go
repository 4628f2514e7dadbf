package sipgw

import (
	"strings"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// receive takes one message through the validation to its transaction.
func (sh *shard) receive(data []byte, from transport.Peer) {
	sh.srv.transport.Trace(false, from, data)
	w := &sh.wire
	w.Read(data)
	v := sip.Judge(w)
	if w.Broken() {
		sh.srv.count.parseErrors.Add(1)
	}
	if v.Kind == sip.VerdictDrop {
		sh.srv.count.invalid.Add(1)
		return
	}
	m := transaction.Interpret(w, from, len(data))
	if from.Stranger && sh.srv.isAstray(data, m, v) {
		// The filter let it pass for a tag or branch of ours, which it has where no reader
		// looks, or as the CANCEL that it is not. A stranger who has seen a tag is heard in
		// that dialog, and in nothing else.
		sh.srv.count.invalid.Add(1)
		return
	}
	if v.Kind == sip.VerdictAnswer || m == nil {
		sh.srv.count.invalid.Add(1)
		sh.answerInvalid(data, from, m, v)
		return
	}
	if !m.Request {
		sh.transactions.Receive(m)
		return
	}
	m.Received(m.Peer.Addr)
	sh.receiveRequest(m)
}

// isAstray reports whether what the filter let a stranger send is not what the filter took it
// for. m is nil where it could not be read.
func (srv *Server) isAstray(data []byte, m *message, v sip.Verdict) bool {
	switch {
	case v.Kind == sip.VerdictAnswer || m == nil:
		return srv.isOurs(data) || !srv.config.Live.Snapshot().HasUsers()
	case m.Method == "CANCEL" || !m.Request || m.ToTag != "":
		return false
	}
	return srv.isOurs(data)
}

// answerInvalid answers a request that validation refuses, without keeping
// anything of it.
func (sh *shard) answerInvalid(data []byte, from transport.Peer, m *message, v sip.Verdict) {
	if v.Kind != sip.VerdictAnswer {
		return
	}
	if m == nil || !m.Request {
		sh.srv.transport.Answer(from, sip.RefusalBytes(data, v, sh.srv.tagForBytes(data)), len(data))
		return
	}
	m.Received(m.Peer.Addr)
	sh.answerStateless(m, v.Status, v.Phrase, v.Lines(), "")
}

func (sh *shard) receiveRequest(m *message) {
	if tx := sh.transactions.Server(m, m.Method); tx != nil {
		if m.Method == "ACK" {
			sh.receiveAck(m, tx)
			return
		}
		tx.Again()
		return
	}
	switch {
	case m.Method == "ACK":
		sh.receiveAck(m, nil)
	case m.Method == "CANCEL":
		sh.receiveCancel(m)
	case m.ToTag != "":
		sh.receiveInDialog(m)
	case m.Method == "INVITE":
		sh.receiveInvite(m)
	case m.Method == "REGISTER":
		sh.receiveRegister(m)
	case m.Method == "OPTIONS":
		sh.answerStateless(m, 200, "OK", sip.LineAllow+lineReliable+"Accept: application/sdp\r\n", "")
	default:
		sh.answerStateless(m, 481, "Call/Transaction Does Not Exist", "", "")
	}
}

// receiveAck takes an ACK: that of a refusal belongs to the INVITE's transaction,
// that of a 2xx to the dialog.
func (sh *shard) receiveAck(m *message, tx *transaction.Server) {
	if tx != nil && tx.Refused() {
		tx.Confirm()
		return
	}
	if l := sh.dialog(m); l != nil {
		l.hear(m.Peer)
		l.receiveAck(m)
	}
}

// receiveCancel cancels an INVITE that has no final response yet (RFC 3261 section 9.2).
// One that is repeated gets the same answer, so nothing is kept of it.
func (sh *shard) receiveCancel(m *message) {
	invite := sh.transactions.Server(m, "INVITE")
	if invite == nil || !invite.CancelledBy(m) {
		if m.Peer.Stranger && !sh.srv.config.Live.Snapshot().HasUsers() {
			return
		}
		sh.answerStateless(m, 481, "Call/Transaction Does Not Exist", "", "")
		return
	}
	sh.srv.transport.Answer(m.ReplyTo(), m.Response(200, "OK", invite.ToTag, "", nil, ""), m.Size)
	invite.Cancel(m)
}

// dialog finds the leg that an in-dialog request belongs to, by all three parts of
// the dialog's id.
func (sh *shard) dialog(m *message) *leg {
	if l := sh.legs[legKey{m.CallID, m.FromTag}]; l != nil {
		if l.hasLocalTag(m.ToTag) {
			return l
		}
		return nil
	}
	if l := sh.legs[legKey{m.CallID, ""}]; l != nil && m.ToTag == l.localTag && m.FromTag == l.remoteTag {
		return l
	}
	if e := sh.early[legKey{m.CallID, m.FromTag}]; e != nil && m.ToTag == e.leg.localTag {
		return e.leg
	}
	return nil
}

// receiveInvite takes the attempt of a new call. Until it is known whose it is, and that
// there is room for it, it costs no transaction: a repetition gets the same answer.
func (sh *shard) receiveInvite(m *message) {
	srv := sh.srv
	if sh.legs[legKey{m.CallID, m.FromTag}] != nil {
		// The same request by another way (RFC 3261 section 8.2.2.2).
		sh.answerStateless(m, 482, "Loop Detected", "", "")
		return
	}
	attempt, connection, ok := sh.identify(m)
	if !ok {
		return
	}
	if connection == nil {
		sh.refuseUnidentified(m, attempt)
		return
	}
	if srv.looped(m, connection, &attempt) {
		sh.answerStateless(m, 482, "Loop Detected", "", "")
		return
	}
	emergency := emergencyFor(srv.config.Live.Snapshot(), connection, attempt.To)
	if len(sh.calls) >= srv.config.Limits.CallsPerShard && !emergency {
		srv.count.shed.Add(1)
		sh.refuseStateless(m, admission.ReasonOverloaded)
		return
	}
	if least := sh.srv.shortSession(m); least > 0 {
		sh.answerStateless(m, 422, shortPhrase, sip.Line("Min-SE", sip.Seconds(least)), "")
		return
	}
	if ownOf(&m.Peer) == nil && !srv.crowds.enter(m.Peer.Addr.Addr(), emergency) {
		srv.count.crowded.Add(1)
		srv.limited(m.Peer.Addr.Addr(), "sip_source_calls")
		sh.refuseStateless(m, admission.ReasonOverloaded)
		return
	}
	tx := sh.transactions.Begin(m)
	tx.Respond(100, "Trying", "")
	sh.put(m, tx, attempt)
}

// put puts a call to the ledger.
func (sh *shard) put(m *message, tx *transaction.Server, attempt admission.Call) {
	sh.srv.count.attempts.Add(1)
	s := newSession(sh, m, tx, attempt)
	s.handle(call.Begin{Stopping: sh.srv.stopping.Load()})
}

// The refusals of calls from a known source that do not say whose they are, as by a wrong
// tech prefix or token: how many a second are put on record for one source, and how many
// of their transactions a shard keeps at most.
const (
	unidentifiedPerSecond, unidentifiedBurst = 20, 100
	mostUnidentified                         = 1024
)

// refuseUnidentified has the ledger refuse a call of a known source that does not say
// whose it is. The address may be forged, so the refusal is sent once for each time that
// the request comes, and no timer repeats it.
func (sh *shard) refuseUnidentified(m *message, attempt admission.Call) {
	srv := sh.srv
	if !srv.unidentified.Take(transport.SourceKey(m.Peer.Addr.Addr()), sh.now,
		unidentifiedPerSecond, unidentifiedBurst, 0) ||
		!srv.crowds.enter(m.Peer.Addr.Addr(), false) {
		srv.transport.Count.Unanswered.Add(1)
		return
	}
	tx := sh.transactions.Begin(m)
	tx.Once = true
	if len(sh.once) < mostUnidentified {
		sh.once = append(sh.once, tx)
	} else {
		sh.once[sh.oldest].Drop()
		sh.once[sh.oldest] = tx
		sh.oldest = (sh.oldest + 1) % mostUnidentified
	}
	sh.put(m, tx, attempt)
}

// looped reports whether the request has passed through this process before, for the same
// number. One for another number is a spiral: the callee forwards its calls.
func (srv *Server) looped(m *message, connection *policy.Connection, attempt *admission.Call) bool {
	ours, callee := sip.MagicCookie+srv.mark, ""
	for i := range m.Fields {
		f := &m.Fields[i]
		if f.Name != "via" {
			continue
		}
		_, rest, found := strings.Cut(f.Value, ours)
		for ; found; _, rest, found = strings.Cut(rest, ours) {
			if callee == "" {
				callee = srv.calleeMark(srv.calleeOf(connection, attempt))
			}
			if len(rest) < len(callee) || rest[len(callee)-1:len(callee)] != calleeEnd || rest[:len(callee)] == callee {
				return true
			}
		}
	}
	return false
}

// calleeOf is the number that a call would be sent to.
func (srv *Server) calleeOf(connection *policy.Connection, attempt *admission.Call) string {
	snapshot := srv.config.Live.Snapshot()
	if number, emergency := connection.Emergency(snapshot.Account(connection.Account), attempt.To); emergency {
		return number
	}
	local := admission.Decide(snapshot, attempt, admission.NothingUsed{}, srv.config.Clock())
	return local.Facts.Callee.String()
}

// refuseStateless answers with a refusal of Tollgate's own, of which nothing is kept.
func (sh *shard) refuseStateless(m *message, why admission.Reason) {
	d := admission.Decision{Reason: why, Facts: admission.Facts{Source: m.Peer.Addr.Addr().String()}}
	sh.answerStateless(m, why.Status(), d.Phrase(), sh.srv.refusalLines(why, &d), "")
}

// refusalLines are the headers of a refusal of Tollgate's own.
func (srv *Server) refusalLines(why admission.Reason, d *admission.Decision) string {
	lines := lineRejected + sip.Line("X-Tollgate-Reason", why.String())
	if d.ID != noID {
		lines += sip.Line("X-Tollgate-Decision", d.ID.String())
	}
	if why.Status() == 503 {
		lines += sip.Line("Retry-After", srv.retryAfter)
	}
	return lines
}

// receiveInDialog takes a request within a dialog.
func (sh *shard) receiveInDialog(m *message) {
	l := sh.dialog(m)
	if l == nil && m.Peer.Stranger && !sh.srv.config.Live.Snapshot().HasUsers() {
		return // such as one that repeats a tag of a call that has ended
	}
	if l == nil || (l.ended && m.Method != "BYE") {
		sh.answerStateless(m, 481, "Call/Transaction Does Not Exist", "", "")
		return
	}
	tx := sh.transactions.Begin(m)
	if m.CSeq < l.remoteSeq {
		// Out of order (RFC 3261 section 12.2.2).
		tx.Respond(500, "Server Internal Error", "")
		return
	}
	l.remoteSeq = m.CSeq
	l.hear(m.Peer)
	if l.latched() {
		l.peer = m.Peer // a translator may have forgotten the port and taken another
	} else if m.Peer.TCP && l.peer.TCP && m.Peer.TLS == l.peer.TLS && m.Peer.Addr.Addr() == l.peer.Addr.Addr() {
		l.peer.Conn = m.Peer.Conn // the peer may have connected anew
	}
	switch m.Method {
	case "BYE":
		tx.Respond(200, "OK", "")
		l.receiveBye(m)
	case "INVITE":
		l.receiveReinvite(m, tx)
	case "UPDATE":
		l.receiveUpdate(m, tx)
	case "PRACK":
		l.receivePrack(m, tx)
	case "INFO":
		l.passOn(m, tx)
	case "OPTIONS":
		tx.Respond(200, "OK", sip.LineAllow+lineSupported)
	default:
		tx.Respond(481, "Call/Transaction Does Not Exist", "")
	}
}

// receiveBye ends the call from this side; a call that still rings is cancelled by it.
func (l *leg) receiveBye(m *message) {
	if l.ended {
		return
	}
	if l.byeOnAck {
		l.left() // the other side has hung up before
		l.s.forgetIfDone()
		return
	}
	l.s.part(m, inBye, l.away())
	if l.side == record.SideCaller && !l.s.machine.Running() {
		l.s.handle(call.Cancelled{})
		return
	}
	l.s.handle(call.HungUp{By: l.side, Cause: call.CauseNormal})
}
