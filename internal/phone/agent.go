package phone

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"
)

// phase is where in its life the phone's call is.
type phase uint8

const (
	calling   phase = iota // the INVITE is sent, nothing has come back
	pending                // a provisional answer has come
	talking                // answered
	hangingUp              // our BYE is sent
	finished
)

// Names of what is being repeated.
const (
	repeatInvite = "invite"
	repeatCancel = "cancel"
	repeatBye    = "bye"
	repeatFinal  = "final " // and the CSeq of the re-INVITE
	repeatStray  = "stray " // and the branch of a BYE for a forked answer
)

// agent is the phone's user agent. Its run goroutine owns all of it.
type agent struct {
	call  *Call
	o     Options
	sock  *socket
	sound *audio
	dialog
	phase   phase
	repeats resends

	branch     string // of the INVITE under way
	auth       string // Authorization line, "" before a challenge
	challenged int    // how many challenges were answered
	wantsEnd   bool   // hang up as soon as that is possible
	cancelled  bool   // CANCEL is sent
	giveUpAt   time.Time
	hangUpAt   time.Time
	lingerTo   time.Time

	// acks are the ACKs sent, by what the answer to be acknowledged is known by: the
	// branch of an INVITE that failed, or the To tag of one that was answered.
	acks    map[string]sentAck
	answers map[string][]byte // our answers to requests, by branch and method
	sdpVer  int
}

type sentAck struct {
	raw []byte
	to  netip.AddrPort
}

// maxAnswers bounds the answers kept for retransmitted requests of one call.
const maxAnswers = 64

func newAgent(c *Call, o Options, server netip.AddrPort, sock *socket, sound *audio) *agent {
	a := &agent{
		call: c, o: o, sock: sock, sound: sound, repeats: resends{},
		acks: map[string]sentAck{}, answers: map[string][]byte{}, sdpVer: 1,
	}
	own := "sip:" + sock.local.String()
	local := "sip:anonymous@anonymous.invalid"
	if o.From != "" {
		own = fmt.Sprintf("sip:%s@%s", escapeUser(o.From), sock.local)
		local = own
	}
	remote := fmt.Sprintf("sip:%s@%s", escapeUser(o.To), server)
	a.dialog = dialog{
		callID: rand.Text(), local: local, remote: remote, localTag: rand.Text(),
		target: remote, contact: own, via: sock.local, peer: server,
	}
	c.outcome.CallID = a.callID
	return a
}

// run is the call, from the INVITE until the phone is no longer needed.
func (a *agent) run(ctx context.Context) {
	defer func() { _ = a.sock.close() }() // nothing is left to be told
	a.invite(time.Now())
	ending, hangUp := ctx.Done(), a.call.hangUp
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		a.tick(now)
		if a.phase == finished && (ctx.Err() != nil || !now.Before(a.lingerTo)) {
			return
		}
		timer.Reset(a.due().Sub(now))
		select {
		case m := <-a.sock.messages:
			a.receive(m, time.Now())
		case <-timer.C:
		case <-hangUp:
			hangUp = nil
			a.end(time.Now())
		case <-ending:
			ending = nil
			a.giveUpAt = earlier(a.giveUpAt, time.Now().Add(teardownLimit))
			a.end(time.Now())
		}
	}
}

// farOff is later than anything that happens to a call.
const farOff = 24 * time.Hour

// due is when tick has something to do.
func (a *agent) due() time.Time {
	at := earlier(a.repeats.next(), earlier(a.hangUpAt, a.giveUpAt))
	if a.phase == finished {
		at = earlier(a.repeats.next(), a.lingerTo)
	}
	return earlier(at, time.Now().Add(farOff))
}

// tick repeats what is due and acts on the times that have come.
func (a *agent) tick(now time.Time) {
	again, expired := a.repeats.due(now)
	for _, e := range again {
		a.write(e.raw, e.to, true, now)
	}
	for _, name := range expired {
		switch name {
		case repeatInvite:
			a.noResponse("nothing came back", now)
		case repeatBye:
			a.finish(now)
		}
	}
	if !a.hangUpAt.IsZero() && !now.Before(a.hangUpAt) {
		a.hangUpAt = time.Time{}
		a.end(now)
	}
	if !a.giveUpAt.IsZero() && !now.Before(a.giveUpAt) && a.phase != finished {
		if a.phase == calling || a.phase == pending {
			a.noResponse("no final answer", now)
			return
		}
		a.finish(now)
	}
}

// invite sends the first INVITE, or the next one with credentials.
func (a *agent) invite(now time.Time) {
	a.cseq++
	a.branch = newBranch()
	a.phase = calling
	lines := []string{"User-Agent: tollgate-phone"}
	for _, h := range a.o.Headers {
		lines = append(lines, h.Name+": "+h.Value)
	}
	lines = append(lines, a.credentials()...)
	raw := a.request("INVITE", a.cseq, a.branch, lines, a.description())
	a.write(raw, a.hop(), false, now)
	a.repeats.put(repeatInvite, raw, a.hop(), false, a.o.T1, now)
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if a.call.outcome.Started.IsZero() {
		a.call.outcome.Started = now
		if a.o.CancelAfter > 0 {
			a.hangUpAt = now.Add(a.o.CancelAfter)
		}
	}
}

// credentials is the line that goes into the INVITE, its CANCEL and its ACK alike
// (RFC 3261 section 22.1).
func (a *agent) credentials() []string {
	if a.auth == "" {
		return nil
	}
	return []string{a.auth}
}

func (a *agent) description() string { return a.sound.description(a.sock.local.Addr(), a.sdpVer) }

// end hangs up: with CANCEL once a provisional answer has come (RFC 3261 section
// 9.1), with BYE once it is answered.
func (a *agent) end(now time.Time) {
	a.wantsEnd = true
	switch {
	case a.phase == pending && !a.cancelled:
		a.cancelled = true
		raw := a.request("CANCEL", a.cseq, a.branch, a.credentials(), "")
		a.write(raw, a.hop(), false, now)
		a.repeats.put(repeatCancel, raw, a.hop(), true, a.o.T1, now)
		a.giveUpAt = earlier(a.giveUpAt, now.Add(timeoutPerT1*a.o.T1))
	case a.phase == talking:
		a.phase = hangingUp
		a.ended(SideCaller, "", now)
		a.bye("", now)
	}
}

func (a *agent) bye(auth string, now time.Time) {
	a.cseq++
	var lines []string
	if auth != "" {
		lines = append(lines, auth)
	}
	raw := a.request("BYE", a.cseq, newBranch(), lines, "")
	a.write(raw, a.hop(), false, now)
	a.repeats.put(repeatBye, raw, a.hop(), true, a.o.T1, now)
}

func (a *agent) receive(m received, now time.Time) {
	a.note(m.message, false, false, now)
	switch message := m.message.(type) {
	case *sip.Response:
		a.response(message, now)
	case *sip.Request:
		a.serve(message, m.from, now)
	}
}

func (a *agent) response(res *sip.Response, now time.Time) {
	if res.CallID().Value() != a.callID {
		return
	}
	switch res.CSeq().MethodName {
	case sip.INVITE:
		a.inviteResponse(res, now)
	case sip.CANCEL:
		if res.StatusCode >= 200 {
			a.repeats.stop(repeatCancel)
		}
	case sip.BYE:
		a.byeResponse(res, now)
	}
}

func (a *agent) inviteResponse(res *sip.Response, now time.Time) {
	status, tag := res.StatusCode, tagOf(res.To().Params)
	ack, acked := a.acks[branchOf(res)]
	switch {
	case status >= 200 && status < 300:
		a.success(res, tag, now)
	case acked: // a repetition of a refusal
		a.write(ack.raw, ack.to, true, now)
	case branchOf(res) != a.branch || (a.phase != calling && a.phase != pending):
	case status < 200:
		a.repeats.stop(repeatInvite)
		a.phase = pending
		a.ringing(status, now)
		if a.wantsEnd {
			a.end(now)
		}
	default:
		a.repeats.stop(repeatInvite)
		a.repeats.stop(repeatCancel)
		a.ackRefusal(res, tag, now)
		if !a.answerChallenge(res, now) {
			a.refused(res, now)
		}
	}
}

func (a *agent) ringing(status int, now time.Time) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if status >= 180 && a.call.outcome.Ringing.IsZero() {
		a.call.outcome.Ringing = now
	}
}

// ackRefusal acknowledges within the transaction of the INVITE: same branch, same
// Request-URI and Route, the To of the answer (RFC 3261 section 17.1.1.3).
func (a *agent) ackRefusal(res *sip.Response, tag string, now time.Time) {
	d := a.dialog
	d.remoteTag = tag
	raw := d.request("ACK", a.cseq, a.branch, nil, "")
	a.acks[a.branch] = sentAck{raw, d.hop()}
	a.write(raw, d.hop(), false, now)
}

// maxChallenges is one, and one more whose nonce was only stale.
const maxChallenges = 2

// answerChallenge sends the INVITE again with credentials when there are any.
func (a *agent) answerChallenge(res *sip.Response, now time.Time) bool {
	if (res.StatusCode != 401 && res.StatusCode != 407) || a.o.User == "" || a.wantsEnd || a.challenged >= maxChallenges {
		return false
	}
	line, stale, err := authorize(res, "INVITE", a.target, a.o.User, a.o.Password)
	if err != nil || (a.challenged > 0 && !stale) {
		return false
	}
	a.challenged++
	a.auth = line
	a.invite(now)
	return true
}

// success takes a 2xx. Each is acknowledged whenever it comes (RFC 3261 section
// 13.2.2.4); one from another fork is acknowledged and hung up.
func (a *agent) success(res *sip.Response, tag string, now time.Time) {
	if ack, known := a.acks[tag]; known {
		a.write(ack.raw, ack.to, true, now)
		return
	}
	if branchOf(res) != a.branch || tag == "" || len(a.acks) >= maxAnswers {
		return
	}
	d := a.dialog
	d.learn(res, tag, true)
	raw := d.request("ACK", a.cseq, newBranch(), a.credentials(), "")
	a.acks[tag] = sentAck{raw, d.hop()}
	a.write(raw, d.hop(), false, now)
	if a.phase != calling && a.phase != pending {
		branch := newBranch()
		bye := d.request("BYE", a.cseq+1, branch, nil, "")
		a.write(bye, d.hop(), false, now)
		a.repeats.put(repeatStray+branch, bye, d.hop(), true, a.o.T1, now)
		return
	}
	a.dialog = d
	a.repeats.stop(repeatInvite)
	a.repeats.stop(repeatCancel)
	a.phase, a.hangUpAt = talking, time.Time{}
	a.answered(res, now)
	a.sound.start(res.Body())
	switch {
	case a.wantsEnd: // the CANCEL came too late
		a.end(now)
	case a.o.HangUpAfter > 0:
		a.hangUpAt = now.Add(a.o.HangUpAfter)
	}
}

func (a *agent) answered(res *sip.Response, now time.Time) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	o := &a.call.outcome
	o.Status, o.Phrase, o.Answered = res.StatusCode, kept(res.Reason), now
	close(a.call.answered)
}

func (a *agent) byeResponse(res *sip.Response, now time.Time) {
	if res.StatusCode < 200 || a.repeats.stop(repeatStray+branchOf(res)) || a.phase != hangingUp ||
		res.CSeq().SeqNo != a.cseq {
		return
	}
	a.repeats.stop(repeatBye)
	if (res.StatusCode == 401 || res.StatusCode == 407) && a.o.User != "" && a.challenged < maxChallenges {
		line, _, err := authorize(res, "BYE", a.target, a.o.User, a.o.Password)
		if err == nil {
			a.challenged = maxChallenges
			a.bye(line, now)
			return
		}
	}
	a.finish(now)
}

// refused handles the final answer of a call that was not answered.
func (a *agent) refused(res *sip.Response, now time.Time) {
	a.call.mu.Lock()
	o := &a.call.outcome
	o.Status, o.Phrase, o.Ended = res.StatusCode, kept(res.Reason), now
	o.Reason = kept(headerValue(res, "Reason"))
	o.RefusalReason = kept(headerValue(res, "X-Tollgate-Reason"))
	a.call.mu.Unlock()
	a.finish(now)
}

func (a *agent) noResponse(phrase string, now time.Time) {
	a.call.mu.Lock()
	o := &a.call.outcome
	o.Status, o.Phrase, o.NoResponse, o.Ended = sip.StatusRequestTimeout, "Request Timeout ("+phrase+")", true, now
	a.call.mu.Unlock()
	a.finish(now)
}

// ended notes who hung up an answered call.
func (a *agent) ended(by Side, reason string, now time.Time) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	a.call.outcome.Ended, a.call.outcome.HungUpBy, a.call.outcome.Reason = now, by, kept(reason)
}

// finish makes the outcome final. The phone stays for retransmissions.
func (a *agent) finish(now time.Time) {
	if a.phase == finished {
		return
	}
	a.phase = finished
	a.repeats.stop(repeatInvite)
	a.repeats.stop(repeatCancel)
	a.repeats.stop(repeatBye)
	a.lingerTo = now.Add(timeoutPerT1 * a.o.T1)
	a.sound.stop()
	a.call.mu.Lock()
	a.call.outcome.AudioSent, a.call.outcome.AudioReceived = a.sound.counts()
	notAnswered := a.call.outcome.Answered.IsZero()
	a.call.mu.Unlock()
	if notAnswered {
		close(a.call.answered)
	}
	close(a.call.done)
}

// write sends a message and notes it.
func (a *agent) write(raw []byte, to netip.AddrPort, repeated bool, now time.Time) {
	a.sock.send(raw, to)
	if m, err := sip.ParseMessage(raw); err == nil && complete(m) {
		a.note(m, true, repeated, now)
	}
}

// note adds a message to the transcript.
func (a *agent) note(m sip.Message, sent, repeated bool, now time.Time) {
	e := entryOf(m)
	e.At, e.Sent, e.Repeated = now, sent, repeated
	a.call.mu.Lock()
	o := &a.call.outcome
	if o.Decision == "" && !sent {
		o.Decision = kept(headerValue(m, "X-Tollgate-Decision"))
	}
	if len(o.Transcript) < maxTranscript {
		o.Transcript = append(o.Transcript, e)
	}
	a.call.mu.Unlock()
	if a.o.Progress != nil {
		a.o.Progress(e)
	}
}
