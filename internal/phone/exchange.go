package phone

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// exchange is the inside of a carrier.
type exchange struct {
	ctx     context.Context // of the carrier
	carrier *Carrier
	end     *endpoint
	dialogs *sipgo.DialogUA
	gate    *gatekeeper // nil if callers are not challenged

	mu   sync.Mutex
	legs map[string]*leg
}

// leg is one call of the carrier: run is the call, step by step, while serve takes
// what comes meanwhile.
type leg struct {
	*exchange
	key    string
	index  int // in Carrier.calls
	branch string
	plan   Behaviour
	dialog *sipgo.DialogServerSession
	tx     *sip.ServerTx   // of the INVITE
	left   context.Context // ends when the caller hangs up
	leave  context.CancelFunc

	// deciding lets a CANCEL and an answer not cross within sipgo's transaction, which
	// would repeat the answer that came too late.
	deciding sync.Mutex

	// Guarded by the exchange.
	target sip.Uri
	sound  *audio
	up     bool // answered and not over
	over   bool
}

func newExchange(ctx context.Context, c *Carrier) *exchange {
	e := &exchange{
		ctx: ctx, carrier: c, end: c.end, dialogs: c.end.dialogs(uri("carrier", c.end.local)), legs: map[string]*leg{},
	}
	if c.o.User != "" {
		e.gate = newGatekeeper(c.o.User, c.o.Password, c.o.Algorithm)
	}
	return e
}

// legKey names a call by what the calling side chose.
func legKey(m sip.Message) string { return m.CallID().Value() + " " + tagOf(m.From().Params) }

// count counts the final answers to an INVITE as they are sent.
func (e *exchange) count(m sip.Message, sent bool) {
	res, ok := m.(*sip.Response)
	if !sent || !ok || res.IsProvisional() || res.CSeq().MethodName != sip.INVITE {
		return
	}
	e.mu.Lock()
	l := e.legs[legKey(res)]
	e.mu.Unlock()
	if l != nil && branchOf(res) == l.branch {
		l.update(func(c *CarrierCall) { c.Answers++ })
	}
}

func (e *exchange) serve(req *sip.Request, tx *sip.ServerTx) {
	begins := tagOf(req.To().Params) == ""
	e.mu.Lock()
	l := e.legs[legKey(req)]
	inCall := l != nil && l.up && tagOf(req.To().Params) == tagOf(l.dialog.InviteRequest.To().Params)
	merged := l != nil && (!l.over || req.CSeq().SeqNo == l.dialog.InviteRequest.CSeq().SeqNo)
	e.mu.Unlock()
	switch {
	case l != nil && l.plan.Silent && branchOf(req) == l.branch:
		tx.Terminate()
	case req.IsCancel() && l != nil && branchOf(req) == l.branch:
		l.cancel(req, tx)
	case req.IsInvite() && begins && merged:
		reply(req, tx, sip.StatusLoopDetected, "Loop Detected")
	case begins && (req.IsInvite() || req.Method == sip.OPTIONS):
		if !refuse(req, tx) {
			e.begin(req, tx)
		}
	case !inCall || req.IsCancel():
		reply(req, tx, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	case !refuse(req, tx):
		l.serve(req, tx)
	}
}

// begin takes the INVITE of a new call.
func (e *exchange) begin(req *sip.Request, tx *sip.ServerTx) {
	e.mu.Lock()
	full := len(e.legs) >= maxCarrierCalls
	e.mu.Unlock()
	switch {
	case e.gate != nil && !e.gate.lets(req):
		reply(req, tx, sip.StatusProxyAuthRequired, "Proxy Authentication Required", e.gate.header())
		return
	case full:
		reply(req, tx, sip.StatusServiceUnavailable, "Service Unavailable", sip.NewHeader("Retry-After", "1"))
		return
	}
	text := req.String()
	dialog, err := e.dialogs.ReadInvite(req, tx)
	if err != nil {
		reply(req, tx, sip.StatusBadRequest, "Bad Request")
		return
	}
	// sipgo makes the answer to a CANCEL from the request of the transaction.
	req.To().Params.Add("tag", tagOf(dialog.InviteRequest.To().Params))
	plan, ok := e.carrier.o.Numbers[req.Recipient.User]
	if !ok {
		plan = e.carrier.o.Default
	}
	l := &leg{
		exchange: e, key: legKey(req), branch: branchOf(req), plan: plan, dialog: dialog, tx: tx,
		target: target(req, req.From().Address),
	}
	l.left, l.leave = context.WithCancel(e.ctx)
	l.index = e.carrier.add(CarrierCall{
		CallID: req.CallID().Value(), From: req.From().Address.User, To: req.Recipient.User, Invite: text,
		Started: time.Now(),
	})
	e.mu.Lock()
	e.legs[l.key] = l
	e.mu.Unlock()
	if plan.Silent {
		tx.Terminate()
	}
	e.end.run(l.run)
}

// run is the call, from the INVITE until it need not be known any more.
func (l *leg) run() {
	defer l.leave()
	if !l.plan.Silent {
		l.ring()
		l.finish()
	}
	select { // the transactions still answer
	case <-l.ctx.Done():
	case <-time.After(timeoutPerT1 * l.carrier.o.T1):
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.legs[l.key] == l {
		delete(l.legs, l.key)
	}
}

// ring is the call until its final answer, and after it.
func (l *leg) ring() {
	l.respond(sip.NewResponseFromRequest(l.dialog.InviteRequest, sip.StatusTrying, "Trying", nil))
	if !l.plan.NoRing {
		l.update(func(c *CarrierCall) { c.Ringing = time.Now() })
		res := sip.NewResponseFromRequest(l.dialog.InviteRequest, sip.StatusRinging, "Ringing", nil)
		res.AppendHeader(&sip.ContactHeader{Address: l.dialogs.ContactHDR.Address})
		l.respond(res)
	}
	var final <-chan time.Time
	if l.plan.Status != 0 {
		final = time.After(l.plan.RingFor)
	}
	select {
	case <-l.dialog.Context().Done(): // cancelled, or the carrier stops
	case <-final:
	}
	if l.plan.Status < 300 && !l.carrier.o.NoAudio && l.dialog.Context().Err() == nil {
		o := &l.carrier.o
		sound, err := openAudio(o.Listen, l.end.local.Addr(), o.Codec, o.Sound, o.Hear)
		if err != nil {
			l.refuse(sip.StatusServiceUnavailable, "Service Unavailable")
			return
		}
		l.mu.Lock()
		l.sound = sound
		l.mu.Unlock()
	}
	if l.plan.Status < 300 {
		l.talk()
	} else {
		l.refuse(l.plan.Status, l.plan.phrase())
	}
}

// respond answers the INVITE, unless it is cancelled: then sipgo has answered it. It
// says which status was sent, 0 if the carrier has stopped.
func (l *leg) respond(res *sip.Response) (status int) {
	l.deciding.Lock()
	defer l.deciding.Unlock()
	switch {
	case errors.Is(context.Cause(l.dialog.Context()), sip.ErrTransactionCanceled):
		return sip.StatusRequestTerminated
	case l.dialog.Context().Err() != nil:
		return 0
	}
	_ = l.tx.Respond(res) // an error is what a lost packet is
	return res.StatusCode
}

// refuse gives the final answer of a call that is not answered.
func (l *leg) refuse(status int, phrase string) {
	status = l.respond(sip.NewResponseFromRequest(l.dialog.InviteRequest, status, phrase, nil))
	if status == 0 {
		return
	}
	l.update(func(c *CarrierCall) { c.Status, c.Ended = status, time.Now() })
	select {
	case <-l.tx.Acks():
		l.update(func(c *CarrierCall) { c.Acknowledged = true })
	case <-l.tx.Done():
	}
}

// talk answers the call and hangs it up.
func (l *leg) talk() {
	invite := l.dialog.InviteRequest
	l.mu.Lock()
	sound := l.sound
	l.up = true // the caller may hang up as soon as it has the answer
	l.mu.Unlock()
	sound.start(invite.Body())
	res := accepted(invite, l.plan.Status, l.plan.phrase(), l.dialogs.ContactHDR.Address, l.description())
	l.dialog.InviteResponse = res
	acks, forget := l.end.expect(res)
	defer forget()
	if status := l.respond(res); status != res.StatusCode {
		l.refuse(status, "")
		return
	}
	l.update(func(c *CarrierCall) { c.Status, c.Answered = res.StatusCode, time.Now() })
	var hangUp <-chan time.Time
	if l.plan.HangUpAfter > 0 {
		hangUp = time.After(l.plan.HangUpAfter)
	}
	ack := l.end.await(l.left, l.tx, res, acks)
	if ack != nil {
		sound.start(ack.Body()) // where the offer was ours
		l.update(func(c *CarrierCall) { c.Acknowledged = true })
		select {
		case <-hangUp:
		case <-l.left.Done():
		}
	} // else hang up at once (RFC 3261 section 13.3.1.4)
	if l.left.Err() == nil {
		l.hangUp()
	}
}

// hangUp sends BYE and waits for its answer, or for the caller's own BYE.
func (l *leg) hangUp() {
	l.update(func(c *CarrierCall) {
		if c.HungUpBy == SideNone {
			c.HungUpBy, c.Ended = SideCallee, time.Now()
		}
	})
	l.mu.Lock()
	bye := sip.NewRequest(sip.BYE, l.target)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(l.left, timeoutPerT1*l.carrier.o.T1)
	defer cancel()
	_, _ = l.dialog.Do(ctx, bye) // whatever the answer is, the call has ended
}

// finish makes the outcome of the call final.
func (l *leg) finish() {
	l.mu.Lock()
	l.up, l.over = false, true
	sound := l.sound
	l.mu.Unlock()
	sound.stop()
	sent, got := sound.counts()
	l.update(func(c *CarrierCall) {
		c.AudioSent, c.AudioReceived = sent, got
		if c.Ended.IsZero() {
			c.Ended = time.Now()
		}
	})
}

// cancel takes the CANCEL of the call, which comes too late once it is answered.
func (l *leg) cancel(req *sip.Request, tx *sip.ServerTx) {
	reply(req, tx, sip.StatusOK, "OK")
	l.deciding.Lock()
	defer l.deciding.Unlock()
	if l.dialog.Context().Err() != nil {
		return
	}
	_ = l.tx.Receive(req) // fails for other methods only
	if l.dialog.Context().Err() != nil {
		l.update(func(c *CarrierCall) { c.Cancelled, c.Reason = true, kept(headerValue(req, "Reason")) })
	}
}

// serve takes a request within the dialog.
func (l *leg) serve(req *sip.Request, tx *sip.ServerTx) {
	if req.Method == sip.BYE {
		reply(req, tx, sip.StatusOK, "OK")
		l.update(func(c *CarrierCall) {
			if c.HungUpBy == SideNone {
				c.HungUpBy = SideCaller
				c.Reason = kept(headerValue(req, "Reason"))
				c.Ended = time.Now()
			}
		})
		l.leave()
		return
	}
	l.mu.Lock()
	l.target = target(req, l.target)
	sound := l.sound
	l.mu.Unlock()
	sound.start(req.Body())
	l.end.accept(req, tx, l.dialogs.ContactHDR.Address, l.description())
	l.update(func(c *CarrierCall) { c.Refreshes++ })
}

func (l *leg) description() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sound.description(l.end.local.Addr(), 1)
}

func (l *leg) update(change func(*CarrierCall)) { l.carrier.update(l.index, change) }
