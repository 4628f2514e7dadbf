package phone

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// exchange is the inside of a carrier. Its run goroutine owns all of it.
type exchange struct {
	carrier *Carrier
	gate    *gatekeeper // nil if callers are not challenged
	tags    string      // makes the tags of this carrier's answers its own
	legs    map[string]*leg
	answers map[string][]byte // to requests other than INVITE, by branch and method
}

// leg is one call of the carrier.
type leg struct {
	dialog
	key     string
	index   int // in Carrier.calls
	invite  *sip.Request
	branch  string
	from    netip.AddrPort // where the INVITE came from
	last    []byte         // the last answer to the INVITE
	plan    Behaviour
	phase   phase
	final   time.Time // when the final answer is due; zero for never or sent
	hangUp  time.Time
	forget  time.Time // when an ended call need not be known any more
	repeats resends
	sound   *audio
	byeCSeq uint32
}

func newExchange(c *Carrier) *exchange {
	e := &exchange{carrier: c, tags: rand.Text(), legs: map[string]*leg{}, answers: map[string][]byte{}}
	if c.o.User != "" {
		e.gate = newGatekeeper(c.o.User, c.o.Password, c.o.Algorithm)
	}
	return e
}

func (e *exchange) run(ctx context.Context) {
	defer func() {
		_ = e.carrier.sock.close() // nothing is left to be told
		for _, l := range e.legs {
			l.sound.stop()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		due := now.Add(farOff)
		for _, l := range e.legs {
			e.tick(l, now)
			due = earlier(due, l.due())
		}
		timer.Reset(due.Sub(now))
		select {
		case m := <-e.carrier.sock.messages:
			e.receive(m, time.Now())
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *leg) due() time.Time {
	return earlier(l.repeats.next(), earlier(l.forget, earlier(l.final, l.hangUp)))
}

func (e *exchange) tick(l *leg, now time.Time) {
	again, expired := l.repeats.due(now)
	for _, r := range again {
		e.carrier.sock.send(r.raw, r.to)
		if l.phase != hangingUp {
			e.carrier.update(l.index, func(c *CarrierCall) { c.Answers++ })
		}
	}
	for range expired {
		switch l.phase {
		case talking: // no ACK came: hang up (RFC 3261 section 13.3.1.4)
			e.hangUp(l, now)
		default:
			e.over(l, now)
		}
	}
	if !l.final.IsZero() && !now.Before(l.final) {
		l.final = time.Time{}
		e.finalAnswer(l, now)
	}
	if !l.hangUp.IsZero() && !now.Before(l.hangUp) {
		l.hangUp = time.Time{}
		e.hangUp(l, now)
	}
	if !l.forget.IsZero() && !now.Before(l.forget) {
		delete(e.legs, l.key)
	}
}

func (e *exchange) receive(m received, now time.Time) {
	switch message := m.message.(type) {
	case *sip.Response:
		e.response(message, now)
	case *sip.Request:
		e.request(message, m.from, now)
	}
}

// response takes the answer to the carrier's BYE, the only request it sends.
func (e *exchange) response(res *sip.Response, now time.Time) {
	l := e.legs[legKey(res.CallID().Value(), tagOf(res.To().Params))]
	if l == nil || res.CSeq().MethodName != sip.BYE || res.CSeq().SeqNo != l.byeCSeq || res.StatusCode < 200 {
		return
	}
	if l.repeats.stop(repeatBye) {
		e.over(l, now)
	}
}

// legKey names a call by what the calling side chose.
func legKey(callID, callerTag string) string { return callID + " " + callerTag }

func (e *exchange) request(req *sip.Request, from netip.AddrPort, now time.Time) {
	l := e.legs[legKey(req.CallID().Value(), tagOf(req.From().Params))]
	begins := tagOf(req.To().Params) == ""
	key := branchOf(req) + " " + string(req.Method)
	raw, repeated := e.answers[key]
	switch {
	case req.IsAck():
		if l != nil {
			e.acknowledged(l, req)
		}
	case repeated:
		e.carrier.sock.send(raw, from)
	case req.IsInvite() && begins && l != nil && branchOf(req) == l.branch:
		if l.last != nil {
			e.carrier.sock.send(l.last, from)
		}
	case req.IsInvite() && begins && l != nil && (l.phase != finished || req.CSeq().SeqNo == l.invite.CSeq().SeqNo):
		e.reply(key, req, from, 482, "Loop Detected", nil, "")
	case req.IsInvite() && begins:
		e.begin(key, req, from, now)
	case req.IsCancel():
		e.cancel(key, l, req, from, now)
	case req.Method == sip.OPTIONS && begins:
		e.reply(key, req, from, 200, "OK", []string{"Allow: " + methods}, "")
	case l == nil || (l.phase != talking && l.phase != hangingUp) || tagOf(req.To().Params) != l.localTag:
		e.reply(key, req, from, 481, "Call/Transaction Does Not Exist", nil, "")
	default:
		e.inCall(key, l, req, from, now)
	}
}

// maxCarrierAnswers bounds the answers kept for retransmitted requests.
const maxCarrierAnswers = 4096

// reply answers a request and keeps the answer for its repetitions.
func (e *exchange) reply(key string, req *sip.Request, to netip.AddrPort, status int, phrase string, lines []string,
	body string) []byte {
	raw := respond(req, status, phrase, e.tags, lines, body)
	if len(e.answers) >= maxCarrierAnswers {
		clear(e.answers)
	}
	e.answers[key] = raw
	e.carrier.sock.send(raw, to)
	return raw
}

// begin takes the INVITE of a new call.
func (e *exchange) begin(key string, req *sip.Request, from netip.AddrPort, now time.Time) {
	switch {
	case len(unsupported(req)) > 0:
		lines := []string{"Unsupported: " + strings.Join(unsupported(req), ", ")}
		e.reply(key, req, from, 420, "Bad Extension", lines, "")
		return
	case e.gate != nil && !e.gate.lets(req):
		e.reply(key, req, from, 407, "Proxy Authentication Required", e.gate.lines(), "")
		return
	case len(e.legs) >= maxCarrierCalls:
		e.reply(key, req, from, 503, "Service Unavailable", []string{"Retry-After: 1"}, "")
		return
	}
	callID, tag, user := req.CallID().Value(), tagOf(req.From().Params), req.Recipient.User
	plan, ok := e.carrier.o.Numbers[user]
	if !ok {
		plan = e.carrier.o.Default
	}
	l := &leg{
		key: legKey(callID, tag), invite: req, branch: branchOf(req), from: from, plan: plan,
		phase: pending, repeats: resends{},
	}
	own := fmt.Sprintf("sip:carrier@%s", e.carrier.sock.local)
	l.dialog = dialog{
		callID: callID, local: req.To().Address.String(), remote: req.From().Address.String(),
		localTag: e.tags, target: req.From().Address.String(), contact: own, via: e.carrier.sock.local, peer: from,
	}
	l.learn(req, tag, false)
	l.index = e.carrier.add(CarrierCall{
		CallID: callID, From: req.From().Address.User, To: user, Invite: req.String(), Started: now,
	})
	e.legs[l.key] = l
	if plan.Silent {
		l.forget = now.Add(timeoutPerT1 * e.carrier.o.T1)
		return
	}
	e.progress(l, 100, "Trying")
	if !plan.NoRing {
		e.progress(l, 180, "Ringing")
		e.carrier.update(l.index, func(c *CarrierCall) { c.Ringing = now })
	}
	if plan.Status != 0 {
		l.final = now.Add(plan.RingFor)
	}
}

func (e *exchange) progress(l *leg, status int, phrase string) {
	var lines []string
	if status > 100 {
		lines = append(lines, fmt.Sprintf("Contact: <%s>", l.contact))
	}
	l.last = respond(l.invite, status, phrase, l.localTag, lines, "")
	e.carrier.sock.send(l.last, l.from)
}

// finalAnswer gives the answer that the plan has for the call.
func (e *exchange) finalAnswer(l *leg, now time.Time) {
	if l.plan.Status >= 300 {
		e.refuse(l, l.plan.Status, l.plan.phrase(), now)
		return
	}
	if !e.carrier.o.NoAudio {
		sound, err := openAudio(e.carrier.o.Listen, e.carrier.sock.local.Addr(), e.carrier.o.Codec, e.carrier.o.Sound,
			e.carrier.o.Hear)
		if err != nil {
			e.refuse(l, 503, "Service Unavailable", now)
			return
		}
		l.sound = sound
		l.sound.start(l.invite.Body())
	}
	lines := append(sessionLines(l.invite), fmt.Sprintf("Contact: <%s>", l.contact), "Allow: "+methods)
	l.last = respond(l.invite, l.plan.Status, l.plan.phrase(), l.localTag, lines, e.description(l))
	e.carrier.sock.send(l.last, l.from)
	l.repeats.put(finalName(l.invite), l.last, l.from, true, e.carrier.o.T1, now)
	l.phase = talking
	if l.plan.HangUpAfter > 0 {
		l.hangUp = now.Add(l.plan.HangUpAfter)
	}
	e.carrier.update(l.index, func(c *CarrierCall) { c.Status, c.Answered, c.Answers = l.plan.Status, now, 1 })
}

func (e *exchange) description(l *leg) string {
	return l.sound.description(e.carrier.sock.local.Addr(), 1)
}

func (e *exchange) refuse(l *leg, status int, phrase string, now time.Time) {
	l.last = respond(l.invite, status, phrase, l.localTag, nil, "")
	e.carrier.sock.send(l.last, l.from)
	l.repeats.put(finalName(l.invite), l.last, l.from, true, e.carrier.o.T1, now)
	l.phase, l.final = finished, time.Time{}
	l.forget = now.Add(timeoutPerT1 * e.carrier.o.T1)
	e.carrier.update(l.index, func(c *CarrierCall) { c.Status, c.Answers, c.Ended = status, 1, now })
}

// acknowledged takes the ACK of a final answer, which stops its repetition.
func (e *exchange) acknowledged(l *leg, req *sip.Request) {
	if !l.repeats.stop(finalName(req)) {
		return
	}
	l.sound.start(req.Body()) // where the offer was ours
	e.carrier.update(l.index, func(c *CarrierCall) { c.Acknowledged = true })
}

func (e *exchange) cancel(key string, l *leg, req *sip.Request, from netip.AddrPort, now time.Time) {
	if l == nil || branchOf(req) != l.branch {
		e.reply(key, req, from, 481, "Call/Transaction Does Not Exist", nil, "")
		return
	}
	if l.plan.Silent {
		return
	}
	e.reply(key, req, from, 200, "OK", nil, "")
	if l.phase != pending {
		return // too late: the final answer stands
	}
	e.carrier.update(l.index, func(c *CarrierCall) { c.Cancelled, c.Reason = true, kept(headerValue(req, "Reason")) })
	e.refuse(l, 487, "Request Terminated", now)
}

func (e *exchange) inCall(key string, l *leg, req *sip.Request, from netip.AddrPort, now time.Time) {
	switch req.Method {
	case sip.BYE:
		e.reply(key, req, from, 200, "OK", nil, "")
		if l.phase == talking {
			e.carrier.update(l.index, func(c *CarrierCall) {
				c.HungUpBy, c.Reason, c.Ended = SideCaller, kept(headerValue(req, "Reason")), now
			})
		}
		e.over(l, now)
	case sip.INVITE, sip.UPDATE:
		e.refresh(key, l, req, from, now)
	case sip.OPTIONS:
		e.reply(key, req, from, 200, "OK", []string{"Allow: " + methods}, "")
	default:
		e.reply(key, req, from, 501, "Not Implemented", []string{"Allow: " + methods}, "")
	}
}

func (e *exchange) refresh(key string, l *leg, req *sip.Request, from netip.AddrPort, now time.Time) {
	l.retarget(req)
	l.sound.start(req.Body())
	lines, body := append(sessionLines(req), fmt.Sprintf("Contact: <%s>", l.contact)), ""
	if req.IsInvite() || len(req.Body()) > 0 {
		body = e.description(l)
	}
	raw := e.reply(key, req, from, 200, "OK", lines, body)
	if req.IsInvite() {
		l.repeats.put(finalName(req), raw, from, true, e.carrier.o.T1, now)
	}
	e.carrier.update(l.index, func(c *CarrierCall) { c.Refreshes++ })
}

// hangUp sends BYE.
func (e *exchange) hangUp(l *leg, now time.Time) {
	if l.phase != talking {
		return
	}
	clear(l.repeats)
	l.phase = hangingUp
	l.cseq++
	l.byeCSeq = l.cseq
	raw := l.dialog.request("BYE", l.cseq, newBranch(), nil, "")
	e.carrier.sock.send(raw, l.hop())
	l.repeats.put(repeatBye, raw, l.hop(), true, e.carrier.o.T1, now)
	e.carrier.update(l.index, func(c *CarrierCall) { c.HungUpBy, c.Ended = SideCallee, now })
}

// over ends a call, which is remembered for what is still under way.
func (e *exchange) over(l *leg, now time.Time) {
	clear(l.repeats)
	l.phase, l.final, l.hangUp = finished, time.Time{}, time.Time{}
	l.forget = now.Add(timeoutPerT1 * e.carrier.o.T1)
	l.sound.stop()
	sent, got := l.sound.counts()
	e.carrier.update(l.index, func(c *CarrierCall) {
		c.AudioSent, c.AudioReceived = sent, got
		if c.Ended.IsZero() {
			c.Ended = now
		}
	})
}
