package phone

import (
	"context"
	"crypto/rand"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

const (
	maxForks      = 64 // 2xx of one INVITE that are acknowledged
	maxChallenges = 2  // one, and one more whose nonce was only stale
)

// agent is the phone's user agent: run is the call, step by step, while serve and
// acknowledge take what comes meanwhile.
type agent struct {
	call    *Call
	o       Options
	end     *endpoint
	sound   *audio
	dialogs *sipgo.DialogUA
	server  netip.AddrPort
	callID  string
	tag     string
	left    context.Context // ends when the other side hangs up
	leave   context.CancelFunc
	late    <-chan *sip.Response // to the last INVITE

	mu      sync.Mutex
	invite  *sip.Request
	acks    map[string]*sip.Request    // by the To tag of the 2xx
	dialog  *sipgo.DialogClientSession // of the first 2xx; nil before that
	target  sip.Uri
	ended   bool // the dialog takes no requests any more
	written map[string]bool
}

func newAgent(c *Call, o Options, server netip.AddrPort, end *endpoint, sound *audio) *agent {
	a := &agent{
		call: c, o: o, end: end, sound: sound, dialogs: end.dialogs(uri(o.From, end.local)), server: server,
		callID: rand.Text(), tag: rand.Text(), acks: map[string]*sip.Request{}, written: map[string]bool{},
	}
	end.peer.Store(&server)
	c.outcome.CallID = a.callID
	return a
}

// run is the call, from the INVITE until the phone is no longer needed. It is hung up
// when stop ends; when ctx ends too there is no time left.
func (a *agent) run(ctx, stop context.Context) {
	defer a.end.close()
	a.left, a.leave = context.WithCancel(context.WithoutCancel(ctx))
	defer a.leave()
	a.end.start(a.serve, a.note)
	a.update(func(o *Outcome) { o.Started = time.Now() })
	if res := a.place(ctx, stop); res != nil && res.IsSuccess() {
		a.talk(ctx, stop, res)
	} else {
		a.refused(res)
	}
	a.finish()
	a.linger(ctx)
}

// linger lets the transactions answer a little longer. A 2xx that comes after the phone has
// given up is acknowledged and hung up.
func (a *agent) linger(ctx context.Context) {
	over := time.After(timeoutPerT1 * a.o.T1)
	for {
		select {
		case res := <-a.late:
			if res.IsSuccess() {
				a.acknowledge(res)
			}
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// place sends the INVITE, again with credentials if it is challenged, and returns the
// final answer, nil if there was none.
func (a *agent) place(ctx, stop context.Context) *sip.Response {
	if a.o.CancelAfter > 0 {
		defer time.AfterFunc(a.o.CancelAfter, a.call.HangUp).Stop()
	}
	var credentials sip.Header
	for challenged := 0; ; challenged++ {
		req := a.newInvite(uint32(challenged+1), credentials)
		a.mu.Lock()
		a.invite = req
		a.mu.Unlock()
		res := a.try(ctx, stop, req)
		if res == nil || stop.Err() != nil || challenged == maxChallenges {
			return res
		}
		var stale bool
		if credentials, stale = a.answerChallenge(res, req); credentials == nil || (challenged > 0 && !stale) {
			return res
		}
	}
}

func (a *agent) newInvite(cseq uint32, credentials sip.Header) *sip.Request {
	local := sip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}
	if a.o.From != "" {
		local = uri(a.o.From, a.end.local)
	}
	req := sip.NewRequest(sip.INVITE, uri(a.o.To, a.server))
	req.AppendHeader(&sip.FromHeader{Address: local, Params: sip.HeaderParams{{K: "tag", V: a.tag}}})
	req.AppendHeader(&sip.ToHeader{Address: req.Recipient})
	callID := sip.CallIDHeader(a.callID)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: sip.INVITE})
	req.AppendHeader(sip.HeaderClone(&a.dialogs.ContactHDR))
	req.AppendHeader(allow())
	req.AppendHeader(sip.NewHeader("User-Agent", "tollgate-phone"))
	for _, h := range a.o.Headers {
		req.AppendHeader(sip.NewHeader(h.Name, h.Value))
	}
	if credentials != nil {
		req.AppendHeader(credentials)
	}
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody([]byte(a.description()))
	return req
}

func (a *agent) description() string { return a.sound.description(a.end.local.Addr(), 1) }

// answerChallenge is nil where there is no challenge, or nothing to answer it with.
func (a *agent) answerChallenge(res *sip.Response, req *sip.Request) (credentials sip.Header, stale bool) {
	if (res.StatusCode != sip.StatusUnauthorized && res.StatusCode != sip.StatusProxyAuthRequired) || a.o.User == "" {
		return nil, false
	}
	return authorize(res, req, a.o.User, a.o.Password)
}

// try sends an INVITE and returns its final answer. It is cancelled when stop ends,
// once a provisional answer has come (RFC 3261 section 9.1).
func (a *agent) try(ctx, stop context.Context, req *sip.Request) *sip.Response {
	tx, err := a.dialogs.Client.TransactionRequest(ctx, req)
	if err != nil {
		return nil
	}
	tx.OnRetransmission(a.acknowledge)
	a.late = tx.Responses()
	patience := time.NewTimer(a.patience(ctx))
	defer patience.Stop()
	stopped, ended, proceeding, cancelled := stop.Done(), ctx.Done(), false, false
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res
			}
			if res.StatusCode >= 180 {
				a.ringing()
			}
			if !proceeding && ctx.Err() == nil {
				patience.Stop()
			}
			proceeding = true
		case <-stopped:
			stopped = nil
		case <-ended:
			ended = nil
			patience.Reset(a.patience(ctx))
		case <-patience.C:
			return nil
		case <-tx.Done():
			return nil
		}
		if stopped == nil && proceeding && !cancelled {
			cancelled = true
			patience.Reset(a.patience(ctx))
			a.end.run(func() { _, _ = a.dialogs.Client.Do(context.Background(), cancelOf(req)) }) // until close at most
		}
	}
}

// patience is how long to wait for an answer.
func (a *agent) patience(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return min(teardownLimit, timeoutPerT1*a.o.T1)
	}
	return timeoutPerT1 * a.o.T1
}

// cancelOf is the CANCEL of an INVITE, with its credentials (RFC 3261 section 22.1).
func cancelOf(invite *sip.Request) *sip.Request {
	req := sip.NewRequest(sip.CANCEL, invite.Recipient)
	for _, name := range []string{"Via", "From", "To", "Call-ID", "Authorization", "Proxy-Authorization"} {
		sip.CopyHeaders(name, invite, req)
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	return req
}

// acknowledge takes a 2xx, each whenever it comes (RFC 3261 section 13.2.2.4). The
// first begins the dialog; another one, or one that comes too late, is hung up.
func (a *agent) acknowledge(res *sip.Response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	tag := tagOf(res.To().Params)
	if ack := a.acks[tag]; ack != nil {
		_ = a.end.WriteMsg(ack) // does not fail
		return
	}
	if len(a.acks) == maxForks {
		return
	}
	dialog := &sipgo.DialogClientSession{
		Dialog: sipgo.Dialog{InviteRequest: a.invite, InviteResponse: res}, UA: a.dialogs,
	}
	dialog.Init()
	to := target(res, a.invite.Recipient)
	ack := sip.NewRequest(sip.ACK, to)
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		sip.CopyHeaders(name, a.invite, ack)
	}
	_ = dialog.WriteRequest(ack) // does not fail
	a.acks[tag] = ack
	if a.dialog == nil && !a.ended {
		a.dialog, a.target = dialog, to
		return
	}
	a.end.run(func() { _, _ = dialog.Do(context.Background(), sip.NewRequest(sip.BYE, to)) }) // until close at most
}

// talk is the call once it is answered, until it is hung up.
func (a *agent) talk(ctx, stop context.Context, res *sip.Response) {
	a.update(func(o *Outcome) { o.Status, o.Phrase, o.Answered = res.StatusCode, kept(res.Reason), time.Now() })
	a.acknowledge(res)
	close(a.call.answered)
	a.sound.start(res.Body())
	if a.o.HangUpAfter > 0 {
		limited, cancel := context.WithTimeout(stop, a.o.HangUpAfter)
		defer cancel()
		stop = limited
	}
	select {
	case <-stop.Done():
	case <-a.left.Done():
	}
	if a.hungUp(SideCaller, "") {
		a.bye(ctx)
	}
}

// hungUp notes who hung up an answered call, and reports whether that side was the first.
func (a *agent) hungUp(by Side, reason string) (first bool) {
	a.update(func(o *Outcome) {
		if first = o.HungUpBy == SideNone; first {
			o.Ended = time.Now()
			o.HungUpBy = by
			o.Reason = kept(reason)
		}
	})
	return first
}

// bye hangs up, again with credentials if it is challenged.
func (a *agent) bye(ctx context.Context) {
	patience := time.NewTimer(a.patience(ctx))
	defer patience.Stop()
	ended := ctx.Done()
	var credentials sip.Header
	for range maxChallenges {
		a.mu.Lock()
		req := sip.NewRequest(sip.BYE, a.target)
		a.mu.Unlock()
		if credentials != nil {
			req.AppendHeader(credentials)
		}
		answers := make(chan *sip.Response, 1)
		if !a.end.run(func() {
			res, _ := a.dialog.Do(context.Background(), req) // nil where there was no answer
			answers <- res
		}) {
			return
		}
		var res *sip.Response
		for res == nil {
			select {
			case res = <-answers:
				if res == nil {
					return
				}
			case <-ended:
				ended = nil
				patience.Reset(a.patience(ctx))
			case <-patience.C:
				return
			case <-a.left.Done():
				return
			}
		}
		if credentials, _ = a.answerChallenge(res, req); credentials == nil {
			return
		}
	}
}

// refused notes the final answer of a call that was not answered, nil for none.
func (a *agent) refused(res *sip.Response) {
	a.update(func(o *Outcome) {
		o.Ended = time.Now()
		if res == nil {
			o.Status = sip.StatusRequestTimeout
			o.Phrase = "Request Timeout (no final answer)"
			o.NoResponse = true
			return
		}
		o.Status, o.Phrase = res.StatusCode, kept(res.Reason)
		o.Reason = kept(headerValue(res, "Reason"))
		o.RefusalReason = kept(headerValue(res, "X-Tollgate-Reason"))
	})
	close(a.call.answered)
}

func (a *agent) ringing() {
	a.update(func(o *Outcome) {
		if o.Ringing.IsZero() {
			o.Ringing = time.Now()
		}
	})
}

// finish makes the outcome final.
func (a *agent) finish() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.sound.stop()
	a.update(func(o *Outcome) { o.AudioSent, o.AudioReceived = a.sound.counts() })
	close(a.call.done)
}

// serve answers a request of the other side.
func (a *agent) serve(req *sip.Request, tx *sip.ServerTx) {
	tag := tagOf(req.From().Params)
	a.mu.Lock()
	inCall := !a.ended && a.dialog != nil && tag == tagOf(a.dialog.InviteResponse.To().Params) &&
		req.CallID().Value() == a.callID && tagOf(req.To().Params) == a.tag && !req.IsCancel()
	if inCall && (req.IsInvite() || req.Method == sip.UPDATE) {
		a.target = target(req, a.target)
	}
	a.mu.Unlock()
	switch {
	case !inCall && (req.Method != sip.OPTIONS || tagOf(req.To().Params) != ""):
		reply(req, tx, 481, "Call/Transaction Does Not Exist")
	case refuse(req, tx):
	case req.Method == sip.BYE:
		reply(req, tx, 200, "OK")
		a.hungUp(SideCallee, headerValue(req, "Reason"))
		a.leave()
	default:
		a.sound.start(req.Body())
		a.end.accept(req, tx, a.dialogs.ContactHDR.Address, a.description())
		a.update(func(o *Outcome) { o.Refreshes++ })
	}
}

func (a *agent) update(change func(*Outcome)) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	change(&a.call.outcome)
}

// note adds a message to the transcript.
func (a *agent) note(m sip.Message, sent bool) {
	e := entryOf(m)
	e.At, e.Sent = time.Now(), sent
	a.call.noting.Lock()
	defer a.call.noting.Unlock()
	a.update(func(o *Outcome) {
		if o.Decision == "" && !sent {
			o.Decision = kept(headerValue(m, "X-Tollgate-Decision"))
		}
		if len(o.Transcript) < maxTranscript {
			if text := m.String(); sent {
				e.Repeated, a.written[text] = a.written[text], true
			}
			o.Transcript = append(o.Transcript, e)
		}
	})
	if a.o.Progress != nil {
		a.o.Progress(e)
	}
}
