package sipgw

import (
	"cmp"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/timer"
)

var noID uuid.UUID

// session is one call in SIP: the state machine that leads it, the caller's leg
// and the carrier's.
type session struct {
	sh      *shard
	machine *call.Call
	events  []call.Event // that arose while one is being handled

	inviteTx *transaction.Server // the caller's INVITE, until it has a final response
	invite   *message            // the same, until the call is answered
	caller   *leg
	carrier  *leg // once answered
	attempt  *attempt
	trunk    *trunk       // in which the call has a place
	tags     []earlyTag   // of the caller's leg, one for each early dialog of a gateway
	rely     *reliability // nil for a caller that does not take 100rel
	pending  int          // BYEs that await their response

	connection id.ID
	from, to   e164.Number
	startedAt  time.Time
	gateway    id.ID
	answer     *message // the 2xx being accepted
	meter      timer.Timer
	expires    *timer.Timer // of the INVITE's Expires; nil without it
	busy       bool         // an event is being handled
	over       bool         // the machine is done
	doomed     bool         // it is among the shard's doomed calls
	unacked    bool         // the carrier's 2xx awaits the caller's ACK, which has the answer
	private    bool         // the caller wants to be anonymous towards the callee
	confirmed  bool         // from is known to be the connection's to show
	attested   record.Attestation
	rang       bool // a gateway has shown progress
	parting    *parting

	source    netip.Addr // of the caller's INVITE
	journey   *Journey   // nil if no one listens
	media     anchor
	connected *policy.Connection // as it was when the call began
}

// earlyTag maps an early dialog of a gateway to the tag that the caller sees for it.
type earlyTag struct {
	attempt       *attempt
	remote, local string
}

// maxEarlyDialogs bounds the early dialogs that one caller is shown. Further forks
// share the last one's tag.
const maxEarlyDialogs = 16

// unconnected stands for the connection of a call that has none.
var unconnected policy.Connection

func newSession(sh *shard, m *message, tx *transaction.Server, attempt admission.Call) *session {
	srv := sh.srv
	snapshot := srv.config.Live.Snapshot()
	s := &session{
		sh: sh, inviteTx: tx, invite: m, connection: attempt.Connection, connected: &unconnected,
		machine: call.New(snapshot, attempt, srv.config.Owner), startedAt: sh.now,
	}
	if c := snapshot.Connection(attempt.Connection); c != nil {
		s.connected = c
	}
	if _, emergency := s.machine.Emergency(); !emergency {
		// The operator who answers an emergency call must be able to call back.
		s.private = s.privacy(m)
	}
	s.rely = newReliability(s, m, tx)
	if srv.config.Journey != nil {
		s.journey = &Journey{Call: attempt.ID, Account: s.connected.Account, Connection: s.connection,
			SIPCallID: attempt.SIPCallID, Started: sh.now}
	}
	s.caller = &leg{s: s, side: record.SideCaller, callID: attempt.SIPCallID, remoteSeq: m.CSeq}
	if s.caller.callID != m.CallID {
		s.caller.callID = strings.Clone(m.CallID) // longer than what a record keeps
	}
	s.caller.setLocal(m.To, tx.ToTag)
	s.caller.setRemote(m.From, m.FromTag)
	s.caller.encoded = s.connected.EncodeContact
	s.caller.proven = m.Proved || m.Peer.TCP
	s.caller.establish(m)
	s.caller.register(legKey{s.caller.callID, s.caller.remoteTag})
	s.source = m.Peer.Addr.Addr()
	s.caller.traceBegin(s.source)
	tx.Cancelled = func(cancel *message) {
		s.part(cancel, inCancel, toCarrier)
		s.handle(call.Cancelled{})
	}
	if patience := sip.ReadSeconds(m.Get("expires")); patience > 0 {
		s.expires = new(timer.Timer)
		sh.timers.Set(s.expires, s, timerExpires, sh.now.Add(patience))
	}
	sh.calls[s] = struct{}{}
	return s
}

// handle gives an event to the machine and carries out its actions. Events that
// arise from actions are handled after them.
func (s *session) handle(e call.Event) {
	if s.busy {
		s.events = append(s.events, e)
		return
	}
	s.busy = true
	defer func() {
		s.busy, s.events = false, nil
		s.forgetIfDone()
	}()
	for {
		now := s.sh.srv.config.Clock()
		s.journey.noteEvent(e, now)
		for _, a := range s.machine.Handle(e, now) {
			s.journey.noteAction(a, now)
			s.act(a)
		}
		if len(s.events) == 0 {
			return
		}
		e, s.events = s.events[0], s.events[1:]
	}
}

func (s *session) act(a call.Action) {
	switch a := a.(type) {
	case call.Command:
		s.submit(a.Command)
	case call.Try:
		if s.from == 0 && s.to == 0 {
			s.readNumbers() // an emergency call that did not wait for its decision
		}
		s.try(a)
	case call.CancelGateway:
		if s.attempt != nil {
			s.attempt.cancel(cancelReason(a.Cause))
		}
	case call.Accept:
		s.accept()
	case call.Refuse:
		s.closeMedia()
		s.refuse(a)
	case call.EndBoth:
		s.closeMedia()
		s.endBoth(a)
	case call.SetTimer:
		if a.At.IsZero() {
			s.sh.timers.Stop(&s.meter)
		} else {
			s.sh.timers.Set(&s.meter, s, timerMeter, a.At)
		}
	case call.Over:
		s.closeMedia()
		s.over = true
		s.sh.timers.Stop(&s.meter)
		if s.journey != nil {
			s.sh.srv.config.Journey(s.journey)
			s.journey = nil
		}
	}
}

// own is the server's own caller, nil in all other calls.
func (s *session) own() *ownCaller { return ownOf(&s.caller.peer) }

func (s *session) Expire(kind timer.Kind) {
	if kind == timerExpires {
		s.handle(call.Cancelled{}) // as the caller wants (RFC 3261 section 13.3.1)
		return
	}
	s.handle(call.Due{})
}

// concluded ends the wait for the answer of the call.
func (s *session) concluded() {
	if s.expires != nil {
		s.sh.timers.Stop(s.expires)
		s.expires = nil
	}
}

// submit sends a command to the ledger; its result comes back as an event.
func (s *session) submit(command admission.Command) {
	if end, ends := command.(admission.Settle); ends {
		if quality := s.media.quality(); quality != nil {
			end.Ending.Quality = quality
			command = end // a copy on the heap, so calls without media make none
		}
	}
	_, first := command.(admission.Reserve)
	s.sh.srv.config.Ledger.Submit(command, func(result admission.Result, err error) {
		s.ledgerDone(result, err, first)
	})
}

// ledgerEvents are those not in use: a result is large, and is done with as soon as it
// is handled.
var ledgerEvents = sync.Pool{New: func() any { return new(call.LedgerDone) }}

// ledgerDone gives the answer to a command to the shard.
func (s *session) ledgerDone(result admission.Result, err error, first bool) {
	done := ledgerEvents.Get().(*call.LedgerDone)
	*done = call.LedgerDone{Result: result, Err: err, Nothing: isBusy(err)}
	s.sh.post(func() {
		if first {
			s.decided(&done.Result, done.Err)
		}
		s.handle(done)
		*done = call.LedgerDone{}
		ledgerEvents.Put(done)
	})
}

// decided notes the numbers that the decision read out of the attempt.
func (s *session) decided(result *admission.Result, err error) {
	srv := s.sh.srv
	facts := &result.Decision.Facts
	if err != nil {
		srv.count.ledgerErrors.Add(1)
		s.readNumbers()
		return
	}
	if !result.Decision.Allow {
		srv.count.refused.Add(1)
		return
	}
	s.showNumbers(facts)
}

// showNumbers notes the numbers of the call. A number that the server itself calls is not
// shown its own: some voice mail opens to that.
func (s *session) showNumbers(f *admission.Facts) {
	s.from, s.to, s.confirmed, s.attested = f.Caller, f.Callee, f.CallerID.Confirmed, f.Attestation
	if s.own() != nil && s.from == s.to {
		s.from, s.confirmed = 0, false
	}
}

// readNumbers reads the numbers out of the attempt as a decision would.
func (s *session) readNumbers() {
	attempt := s.machine.Attempt()
	local := admission.Decide(s.sh.srv.config.Live.Snapshot(), &attempt, admission.NothingUsed{}, s.sh.srv.config.Clock())
	s.showNumbers(&local.Facts)
}

// refuse ends the caller's INVITE.
func (s *session) refuse(a call.Refuse) {
	s.concluded()
	var extra string
	if a.Decision != nil {
		extra = s.sh.srv.refusalLines(a.Reason, a.Decision)
	} else {
		extra = s.parting.towards(toCaller)
		if a.Status == 503 && !hasLine(extra, fieldRetryAfter) {
			extra += sip.Line("Retry-After", s.sh.srv.retryAfter)
		}
	}
	if s.inviteTx != nil {
		s.inviteTx.Respond(a.Status, a.Phrase, extra)
	}
	s.inviteTx, s.invite = nil, nil
	s.rely.close()
	s.caller.close()
}

// passProvisional tells the caller of the progress at a gateway, one response for
// one response and in the same order.
func (s *session) passProvisional(a *attempt, m *message) {
	if s.inviteTx == nil || s.invite == nil {
		return
	}
	if len(s.media.waiting) >= maxWaitingSteps {
		return
	}
	extra := s.dialogLines() + passage{s: s, m: m}.cross(inProgress, toCaller)
	tag, tx, invite := s.earlyTag(a, m.ToTag), s.inviteTx, s.invite
	d := media.Description{From: record.SideCallee, Source: m.Peer.Addr.Addr(), Target: s.caller.peer.Addr.Addr()}
	s.describe(s.fromGateway(), d, m, func(body []byte, err error) {
		if err != nil {
			body = nil // the progress is told, without its media
		}
		if len(m.Body) > 0 {
			s.media.spoilt = err
		}
		build := func(more string) []byte {
			return invite.Response(m.Status, m.Phrase, tag, extra+more, body, m.ContentType())
		}
		if tx.Trying() && !s.rely.send(a, m, len(body) > 0, build) {
			tx.Send(m.Status, build(""))
		}
	})
}

// dialogLines are the headers of a response to the caller's INVITE that makes a dialog.
func (s *session) dialogLines() string {
	w := sip.NewWriter()
	w.Lines(s.caller.routeLine(s.invite.Peer))
	for i := range s.invite.Fields {
		if s.invite.Fields[i].Name == "record-route" {
			w.Field("Record-Route", s.invite.Fields[i].Value)
		}
	}
	w.Lines(s.caller.contactTo(s.invite.Peer))
	w.Lines(sip.LineAllow)
	w.Lines(s.rely.supportedLine())
	return w.Text()
}

// earlyTag is the tag that the caller sees for an early dialog of a gateway.
func (s *session) earlyTag(a *attempt, remote string) string {
	for i := range s.tags {
		if s.tags[i].attempt == a && s.tags[i].remote == remote {
			return s.tags[i].local
		}
	}
	if len(s.tags) >= maxEarlyDialogs {
		return s.tags[len(s.tags)-1].local
	}
	local := s.caller.localTag
	if len(s.tags) > 0 {
		local = s.sh.srv.newTag()
	}
	s.tags = append(s.tags, earlyTag{a, strings.Clone(remote), local})
	return local
}

// hasLocalTag reports whether a tag is one that the peer has seen from this leg.
func (l *leg) hasLocalTag(tag string) bool {
	if tag == l.localTag {
		return true
	}
	for i := range l.s.tags {
		if l.side == record.SideCaller && l.s.tags[i].local == tag {
			return true
		}
	}
	return false
}

// noteRang measures the post-dial delay: from the caller's INVITE to the first sign
// that the callee's phone rings.
func (s *session) noteRang(gateway id.ID) {
	if s.rang {
		return
	}
	s.rang = true
	s.sh.srv.config.Rang(gateway, s.sh.now.Sub(s.startedAt))
}

// accept connects the two legs: the gateway's 2xx is acknowledged and the caller
// gets one of its own.
func (s *session) accept() {
	s.concluded()
	m := s.answer
	s.sh.srv.count.answered.Add(1)
	lateOffer := len(s.invite.Body) == 0 && len(m.Body) > 0
	if lateOffer {
		s.unacked = true // the caller's ACK brings the answer
	} else {
		s.carrier.acknowledge(m.CSeq, "", nil, "")
	}
	answeredAt := s.sh.srv.config.Clock()
	extra := s.dialogLines() + s.caller.refresh.accept(s.caller, s.invite) +
		passage{s: s, m: m}.cross(inAnswer, toCaller)
	s.carrier.keepOffer(s.attempt.body, s.invite.ContentType())
	s.caller.serve(s.inviteTx, s.invite.CSeq)
	s.caller.onAck = s.callerAcked
	s.carrier.refresh.begin(s.carrier, m)
	what, invite, tx := s.fromGateway(), s.invite, s.inviteTx
	s.invite, s.inviteTx, s.answer, s.attempt, s.tags = nil, nil, nil, nil, nil
	s.carrier.between(what, m, func(body []byte, err error) {
		if len(m.Body) == 0 {
			err = cmp.Or(err, s.media.spoilt) // the answer was that of a provisional response
		}
		if err != nil && s.machine.Running() {
			// A 2xx without media is of no use to either side.
			s.caller.ended = true
			s.caller.refresh.stop(s.caller)
			tx.Send(488, invite.Response(488, phraseOfMedia(err), s.caller.localTag, "", nil, ""))
			s.handle(call.HungUp{Cause: call.CauseIncompatible})
			return
		}
		if s.media.session != nil && !s.media.closed {
			s.media.session.Answered(answeredAt)
		}
		contentType := m.ContentType()
		s.caller.keepOffer(body, contentType)
		s.rely.whenAcknowledged(func() {
			tx.Send(200, invite.Response(200, "OK", s.caller.localTag, extra, body, contentType))
		})
	})
}

// callerAcked takes the caller's ACK, which has the answer when the carrier made
// the offer.
func (s *session) callerAcked(m *message) {
	if !s.unacked {
		return
	}
	s.caller.between(isAnswer, m, func(body []byte, err error) {
		if !s.unacked {
			return // the call has ended, and its end has acknowledged the 2xx
		}
		s.unacked = false
		contentType := m.ContentType()
		crossing := passage{s: s, m: m}.cross(inAck, toCarrier)
		s.carrier.acknowledge(s.carrier.inviteSeq, crossing, body, contentType)
		s.carrier.keepOffer(body, contentType)
		if err != nil {
			s.handle(call.HungUp{Cause: call.CauseIncompatible})
		}
	})
}

// endBoth hangs up on both sides but the one that hung up itself.
func (s *session) endBoth(a call.EndBoth) {
	if s.unacked {
		s.unacked = false
		s.carrier.acknowledge(s.carrier.inviteSeq, "", nil, "")
	}
	reason := reasonLine(a.Cause, a.Limit)
	for _, l := range [...]*leg{s.caller, s.carrier} {
		if l.side == a.Except {
			l.left()
			continue
		}
		l.bye(reason)
	}
}

// forgetIfDone drops the call when the ledger has settled it and no BYE is under way.
func (s *session) forgetIfDone() {
	if !s.over || s.pending > 0 || s.busy {
		return
	}
	if s.carrier != nil && s.caller.byeOnAck {
		return
	}
	if _, live := s.sh.calls[s]; !live {
		return
	}
	delete(s.sh.calls, s)
	if s.own() == nil {
		s.sh.srv.crowds.leave(s.source)
	}
	s.leaveTrunk()
	s.rely.close()
	s.traceEnd()
	s.caller.close()
	if s.carrier != nil {
		s.carrier.close()
		if s.carrier.won != nil {
			s.carrier.won.outlive()
		}
	}
	s.sh.srv.finished()
}
