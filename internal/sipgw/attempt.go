package sipgw

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// attempt is one gateway being tried for one call.
type attempt struct {
	s       *session
	n       int
	gateway *routing.Gateway
	trunk   *trunk
	targets []transport.Target // that are left of the gateway
	leg     *leg
	tx      *transaction.Client
	wait    timer.Timer // for the first response, then for more than 100 Trying

	body      []byte  // the caller's offer as the gateway gets it
	signed    *string // the header lines by which the call is signed, once they are made
	minSE     time.Duration
	intervals int8 // that were asked for by 422
	large     large
	cancelled bool
	trying    bool   // 100 Trying has come, and no more
	heard     bool   // more than that has come
	chosen    string // the remote tag of the dialog that was accepted
	forks     *forks // nil while there is no more than the one dialog
}

// forks are the dialogs of an attempt other than that of the call, by their remote tags.
type forks struct {
	ended []string          // that were hung up
	seqs  map[string]uint32 // the last CSeqs of early ones, once the call is over
}

// maxIntervals bounds the session intervals that are offered anew.
const maxIntervals = 2

// lastPatience is how many times as long as another gateway the last of a call may say
// no more than 100 Trying: nothing is gained by leaving it.
const lastPatience = 4

// try begins with a gateway, if it has a place for the call, once its address is known.
func (s *session) try(t call.Try) {
	s.leaveTrunk()
	s.attempt = nil
	trunk := s.sh.srv.trunks.of(t.Gateway)
	if why := trunk.take(s.sh.now, s.to, t.Force); why != admission.ReasonNone {
		s.handle(call.Skipped{Gateway: t.N, Why: why})
		return
	}
	s.trunk, s.parting = trunk, nil
	a := &attempt{s: s, n: t.N, gateway: t.Gateway, trunk: trunk, minSE: s.sh.srv.config.Timers.SessionExpires}
	s.attempt = a
	s.sh.srv.resolver.Resolve(t.Gateway, func(targets []transport.Target) {
		s.sh.post(func() {
			switch {
			case a.cancelled:
			case len(targets) == 0:
				a.unreachable()
			default:
				a.targets = targets[1:]
				a.start(targets[0])
			}
		})
	})
}

// elsewhere tries the next server of the same gateway, if it has one (RFC 3263
// section 4.3). What the server before answers from now on is too late.
func (a *attempt) elsewhere() bool {
	s := a.s
	if len(a.targets) == 0 || s.attempt != a {
		return false
	}
	next := &attempt{s: s, n: a.n, gateway: a.gateway, trunk: a.trunk, minSE: a.minSE, targets: a.targets[1:]}
	s.attempt = next
	next.start(a.targets[0])
	return true
}

// leaveTrunk gives the call's place at a gateway back.
func (s *session) leaveTrunk() {
	if s.trunk != nil {
		s.trunk.release()
		s.trunk = nil
	}
}

// unreachable continues without a gateway that did not answer.
func (a *attempt) unreachable() {
	if a.s.attempt != a || a.cancelled {
		return
	}
	a.cancel(a.leftReason())
	if a.byDatagram() || a.elsewhere() {
		return
	}
	a.trunk.missed(a.s.sh.now)
	a.s.handle(call.Unreachable{Gateway: a.n, Trying: a.trying})
}

// peerOf is a gateway at one of its addresses.
func (srv *Server) peerOf(gateway *routing.Gateway, at transport.Target) transport.Peer {
	to := transport.Peer{TCP: at.Transport != "udp", TLS: at.Transport == "tls", Addr: at.Addr}
	if to.TLS {
		to.Name, to.Unverified = gateway.ServerName(), gateway.TLSSkipVerify
	}
	return to
}

// start builds the carrier's leg and sends the INVITE.
func (a *attempt) start(at transport.Target) {
	srv := a.s.sh.srv
	to := srv.peerOf(a.gateway, at)
	a.leg = &leg{s: a.s, side: record.SideCallee, callID: srv.newCallID(a.s.sh), peer: to, acked: true}
	a.leg.setLocal(a.fromHeader(), srv.newTag())
	if a.gateway.UserName != nil && a.gateway.Password != nil {
		a.leg.login = &login{gateway: a.gateway}
	}
	// A # of a prefix is not a character that a URI has (RFC 3261 section 25.1).
	target := a.gateway.URIOf(strings.ReplaceAll(a.user(), "#", "%23"), a.gateway.Address)
	a.leg.remote = "<" + target + ">"
	a.leg.target = target
	if to.TCP && strings.HasPrefix(target, "sip:") {
		a.leg.target += ";transport=" + strings.ToLower(to.Transport())
	}
	a.leg.traceBegin(to.Addr.Addr())
	srv.filter.Learn(to.Addr.Addr())
	a.s.sh.timers.Set(&a.wait, a, timerGiveUp, a.s.sh.now.Add(srv.config.Timers.GatewayWait))
	a.offer()
}

// Expire gives the gateway up when not even a provisional response has come, or none but
// 100 Trying. One that comes later is answered with a CANCEL.
func (a *attempt) Expire(timer.Kind) {
	if a.s.attempt != a || a.cancelled || a.tx != nil && (!a.tx.Awaited() || a.tx.Provisional() && !a.trying) {
		return
	}
	if a.tx != nil && !a.trying {
		a.tx.Silent()
	}
	a.unreachable()
}

// hears takes a provisional response: 100 Trying does not show that the call progresses.
func (a *attempt) hears(m *message) {
	if m.Status != 100 {
		a.trying, a.heard = false, true
		a.trunk.reached()
		a.s.sh.timers.Stop(&a.wait)
		return
	}
	if a.trying || a.heard || a.cancelled || a.s.attempt != a {
		return
	}
	a.trying = true
	patience := time.Duration(a.gateway.NoRingingSecs) * time.Second
	if a.s.machine.Last() && len(a.targets) == 0 {
		patience *= lastPatience
	}
	a.s.sh.timers.Set(&a.wait, a, timerGiveUp, a.s.sh.now.Add(patience))
}

// callee is the number that is called, as the branch of the INVITE has it.
func (a *attempt) callee() string {
	if number, emergency := a.s.machine.Emergency(); emergency {
		return number
	}
	return a.s.to.String()
}

// user is the user part of the Request-URI: the dialled number in the gateway's
// form; what an emergency caller dialled goes as it is.
func (a *attempt) user() string {
	if number, emergency := a.s.machine.Emergency(); emergency {
		return number
	}
	return a.gateway.UserPart(a.s.to)
}

// invite sends the INVITE, the first time or again with credentials or another
// session interval.
func (a *attempt) invite() {
	l := a.leg
	a.trying, a.heard = false, false
	l.localSeq++
	l.inviteSeq = l.localSeq
	branch := a.s.sh.srv.callBranch(a.callee())
	lines := passage{s: a.s, m: a.s.invite, attempt: a}.cross(inInvite, toCarrier) + l.authorize("INVITE", a.body)
	data := a.inviteBytes(branch, lines)
	if len(data) > mostDatagram && a.large.toStream(a) {
		data = a.inviteBytes(branch, lines)
	}
	a.tx = a.s.sh.transactions.Request("INVITE", branch, l.peer, data, a.response)
	a.tx.Rings = func() { a.s.handle(call.RingTimeout{Gateway: a.n}) }
	a.tx.Forgotten = func() { l.lastAck, l.won = nil, nil }
}

// inviteBytes is the INVITE as it goes to the leg's peer.
func (a *attempt) inviteBytes(branch, lines string) []byte {
	l, srv, m := a.leg, a.s.sh.srv, a.s.invite
	own := srv.transport.Own(l.peer)
	w := sip.NewWriter()
	w.RequestLine("INVITE", l.requestURI())
	w.Via(l.peer.Transport(), own.HostPort, branch)
	w.Field("Max-Forwards", strconv.Itoa(m.Hops()-1))
	w.Field("From", l.local)
	w.Field("To", l.remote)
	w.Field("Call-ID", l.callID)
	w.CSeq(l.localSeq, "INVITE")
	w.Lines(own.Contact)
	w.Lines(sip.LineAllow)
	w.Lines(a.s.rely.supportedLine())
	w.Field("Session-Expires", sip.Seconds(a.minSE))
	w.Field("Min-SE", sip.Seconds(min(srv.config.Timers.MinSE, a.minSE)))
	w.Lines(lines)
	return w.Finish(m.ContentType(), a.body)
}

// cancel stops the attempt. A gateway that answers anyway is hung up on.
// reason is the line that tells why, if the caller has not.
func (a *attempt) cancel(reason string) {
	if a.cancelled {
		return
	}
	a.cancelled = true
	if a.tx == nil || !a.tx.Awaited() {
		return
	}
	a.tx.Stop(a.leg.cancelBytes(a.tx.Branch(), a.leg.inviteSeq, reason))
}

// response takes what the gateway answers to the INVITE.
func (a *attempt) response(m *message) {
	switch {
	case m == nil:
		a.unreachable()
	case m.Status < 200:
		a.hears(m)
		a.progress(m)
	case m.Status < 300:
		a.trunk.reached()
		a.answered(m)
	default:
		a.trunk.reached()
		if !a.cancelled && a.s.attempt == a {
			a.refused(m)
		}
	}
}

// progress passes on a provisional response that means more than 100 Trying.
func (a *attempt) progress(m *message) {
	s := a.s
	switch {
	case m.Status == 100, a.cancelled, s.attempt != a:
	case m.Status == 199 && m.RSeq() == 0 && (s.invite == nil || !takesEarlyEnds(s.invite)):
	case s.rely.takes(a, m):
		s.noteRang(a.gateway.ID)
		s.handle(call.Rang{Gateway: a.n, Early: m.Status != 180})
		s.passProvisional(a, m)
	}
}

// refused acts on a final response by the table of package call.
func (a *attempt) refused(m *message) {
	s := a.s
	a.trying = false
	s.sh.timers.Stop(&a.wait)
	rest := sip.ReadSeconds(m.Get("retry-after"))
	answer := call.Answer{Status: m.Status, Server: len(a.targets) > 0, RetryAfter: rest > 0}
	wanted := a.wantedInterval(m)
	answer.Again = a.leg.challenged(m) || wanted > 0
	switch s.machine.Means(answer) {
	case call.Again:
		if wanted > 0 {
			a.intervals++
			a.minSE = wanted
		}
		a.invite()
		return
	case call.NextServer:
		a.elsewhere()
		return
	case call.NextAndRest:
		a.trunk.rest(s.sh.now, s.to, rest)
	case call.Final, call.NextGateway:
	}
	s.part(m, inRefusal, toCaller)
	s.handle(call.Refused{Gateway: a.n, Status: m.Status, Phrase: m.ShortPhrase()})
}

// wantedInterval is the session interval that a 422 asks for (RFC 4028 section 7.3), 0
// when it cannot be given.
func (a *attempt) wantedInterval(m *message) time.Duration {
	if m.Status != 422 || a.intervals >= maxIntervals {
		return 0
	}
	wanted := sip.ReadSeconds(m.Get("min-se"))
	if wanted <= a.minSE || wanted > longestSession {
		return 0
	}
	return wanted
}

// answered takes a 2xx. The first makes the call; it is acknowledged again when it
// is repeated; that of another branch of a fork is acknowledged and ended, and so
// is one that comes after the caller gave up.
func (a *attempt) answered(m *message) {
	if a.chosen != "" && m.ToTag == a.chosen {
		l := a.leg
		if l.lastAck != nil && l.lastAckSeq == m.CSeq {
			a.s.sh.srv.transport.Send(l.peer, l.lastAck, nil)
		}
		return
	}
	if a.chosen != "" || a.cancelled || a.s.attempt != a {
		a.endFork(m)
		return
	}
	l := a.leg
	l.challenged(m)
	l.setRemote(m.To, m.ToTag)
	l.establish(m)
	a.s.rely.answered(a, l)
	a.s.caller.setLocal(a.s.inviteTx.Request.To, a.s.earlyTag(a, m.ToTag))
	a.s.carrier, a.s.answer, a.s.gateway = l, m, a.gateway.ID
	a.s.handle(call.Answered{Gateway: a.n, Teardown: a.s.teardown()})
	if !a.s.machine.Running() && a.s.answer != nil {
		a.s.carrier, a.s.answer = nil, nil
		a.endFork(m)
		return
	}
	a.s.noteRang(a.gateway.ID)
	a.s.sh.timers.Stop(&a.wait)
	a.chosen = l.remoteTag
	l.won = a
	l.register(legKey{l.callID, ""})
}

// outlive releases a call that has ended: until the carrier's 2xx can come no more, from
// this fork or another, the carrier's leg is all that is needed. So the calls of the
// last half minute cost little.
func (a *attempt) outlive() {
	if seqs := a.s.rely.seqsOf(a); seqs != nil {
		a.otherForks().seqs = seqs
	}
	a.s, a.leg.s = a.s.sh.gone, a.s.sh.gone
	a.tx.Rings = nil
}

func (a *attempt) otherForks() *forks {
	if a.forks == nil {
		a.forks = new(forks)
	}
	return a.forks
}

// earlySeq is the CSeq of the last PRACK or UPDATE in an early dialog, 0 without one.
func (a *attempt) earlySeq(remoteTag string) uint32 {
	if e := a.s.rely.find(a, remoteTag); e != nil {
		return e.leg.localSeq
	}
	if a.forks == nil {
		return 0
	}
	return a.forks.seqs[remoteTag]
}

// endFork acknowledges and hangs up on a dialog that is not wanted.
func (a *attempt) endFork(m *message) {
	fork := *a.leg
	fork.setRemote(m.To, m.ToTag)
	fork.establish(m)
	fork.acknowledge(m.CSeq, "", nil, "")
	others := a.otherForks()
	if slices.Contains(others.ended, m.ToTag) {
		return
	}
	others.ended = append(others.ended, fork.remoteTag)
	fork.localSeq = max(m.CSeq, a.earlySeq(fork.remoteTag))
	a.s.sh.srv.count.forks.Add(1)
	a.s.pending++
	s := a.s
	fork.send("BYE", "", nil, "", func(*message) {
		s.pending--
		s.forgetIfDone()
	})
}
