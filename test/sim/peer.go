package sim

import (
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/policy"
)

// Times of a switch that asks over HTTP.
const (
	peerWait    = 4 * time.Second // for an admission; then it refuses by itself
	peerRetry   = time.Second
	peerGuard   = 500 * time.Millisecond
	peerAhead   = 8 * time.Second
	networkMost = 400 * time.Millisecond
)

// peer is a switch with calls of its own, which asks any node over a network that
// loses, repeats and reorders what it is given. It ends its calls when their
// grants do, whatever it hears.
type peer struct {
	*cluster
	name        string
	incarnation int
	calls       int
	readyAt     int64 // before that it is starting
}

func (s *peer) owner() uuid.UUID { return admission.SwitchOwner(accountID, s.name) }

// peerCall is a call of a switch.
type peerCall struct {
	s           *peer
	incarnation int
	id          uuid.UUID
	attempt     admission.Reserve
	state       peerState
	answeredAt  int64
	granted     int64 // seconds
	asking      int   // what an earlier question planned is not done
	last        admission.Command
}

type peerState int

const (
	peerAsking peerState = iota
	peerRinging
	peerTalking
	peerOver
)

func (c *peerCall) alive() bool { return c.incarnation == c.s.incarnation }

func (c *peerCall) talking() bool { return c.alive() && c.state == peerTalking }

// after plans something that the switch does, unless it has restarted by then.
func (c *peerCall) after(d time.Duration, do func()) {
	c.s.w.after(d, func() {
		if c.alive() {
			do()
		}
	})
}

// restart loses all calls of the switch. Once in two times it says so, and takes no
// calls before that was heard and clocks that differ are past the moment.
func (s *peer) restart() {
	s.w.logf("%s restarts", s.name)
	s.w.Counts.SwitchRestarts++
	s.incarnation++
	s.readyAt = s.w.now + (2 * maxClockOffset).Microseconds()
	if s.w.odds(2) {
		return
	}
	s.readyAt = math.MaxInt64
	c, at := &peerCall{s: s, incarnation: s.incarnation}, s.w.now
	c.send(admission.ExpireSwitch{Owner: s.owner(), BeforeMicros: at}, time.Hour, func(admission.Result) {
		s.readyAt = max(s.w.now, at+(2*maxClockOffset).Microseconds())
	})
}

// carry takes a message over the network: any number of times, at any time.
func (s *peer) carry(deliver func()) {
	w := s.w
	if s.faulty && w.odds(12) {
		w.Counts.Dropped++
		return
	}
	delay := w.between(time.Millisecond, 20*time.Millisecond)
	if s.faulty && w.odds(6) {
		w.Counts.Reordered++
		delay = w.between(20*time.Millisecond, networkMost)
		if w.odds(8) {
			delay *= 30
		}
	}
	w.after(delay, deliver)
	if s.faulty && w.odds(10) {
		w.Counts.Repeated++
		s.w.after(w.between(time.Millisecond, 10*networkMost), deliver)
	}
}

// send sends a command to some node, until it is answered or given up.
func (c *peerCall) send(command admission.Command, until time.Duration, done func(admission.Result)) {
	c.asking++
	asking, start := c.asking, c.s.w.now
	var try func()
	try = func() {
		if asking != c.asking || !c.alive() {
			return
		}
		if time.Duration(c.s.w.now-start)*time.Microsecond > until {
			c.asking++
			done(admission.Result{Err: errStore})
			return
		}
		c.post(command, func(r admission.Result) {
			if asking == c.asking && c.alive() {
				c.asking++
				done(r)
			}
		})
		c.after(peerRetry, try)
	}
	try()
}

// post sends a command once. An answer that says that the store failed is none.
func (c *peerCall) post(command admission.Command, done func(admission.Result)) {
	n := c.s.nodes[c.s.w.chance.IntN(len(c.s.nodes))]
	c.last = command
	c.s.carry(func() {
		if !n.up {
			return
		}
		n.after(0, func() {
			n.submit(command, func(r admission.Result, err error) {
				if err == nil {
					c.s.carry(func() { done(r) })
				}
			})
		})
	})
}

// dial begins a call.
func (s *peer) dial() {
	w := s.w
	if w.now < s.readyAt {
		return
	}
	s.calls++
	name := fmt.Sprintf("%s-%d-%d", s.name, s.incarnation, s.calls)
	c := &peerCall{s: s, incarnation: s.incarnation, id: admission.SwitchCallID(accountID, name)}
	w.Counts.Calls++
	w.logf("%s: call %s", s.name, short(c.id))
	s.talking[c.id] = c
	c.attempt = admission.Reserve{Owner: s.owner(), Call: admission.Call{
		ID: c.id, Account: accountID, Connection: connections[w.chance.IntN(len(connections))],
		Identity: policy.IdentityKnown,
		From:     "+13125550100", To: numbers[w.chance.IntN(len(numbers))], SIPCallID: name,
		Request: admission.RequestID(name),
	}}
	c.send(c.attempt, peerWait, func(r admission.Result) {
		switch {
		case r.Err != nil:
			// It may have been admitted anyway.
			c.release()
		case r.Decision.Allow:
			c.state, c.granted = peerRinging, r.GrantedSecs
			c.after(w.between(500*time.Millisecond, 20*time.Second), c.ring)
		default:
			c.state = peerOver
		}
	})
}

// report is what the switch tells of the call. Half of the reports bring the attempt
// along, so that they may come before it.
func (c *peerCall) report(r admission.Report) admission.Report {
	r.ID, r.Account = c.id, accountID
	if c.s.w.odds(2) {
		r.Attempt = &c.attempt
	}
	return r
}

// ring answers the call, or gives it up.
func (c *peerCall) ring() {
	w := c.s.w
	if w.odds(5) {
		c.release()
		return
	}
	c.state, c.answeredAt = peerTalking, w.now
	c.send(c.report(admission.Report{Stage: admission.StageAnswered, Elapsed: -1}), time.Hour, func(r admission.Result) {
		if r.Err != nil || r.Record != nil {
			c.hangUp()
			return
		}
		c.granted = r.GrantedSecs
		c.cut() // it may have become less
		c.meter()
	})
	c.cut()
	c.after(w.between(0, 2*time.Minute), c.hangUp)
}

// cut ends the call when its grant does.
func (c *peerCall) cut() {
	end := c.answeredAt + (time.Duration(c.granted)*time.Second - peerGuard).Microseconds()
	c.after(time.Duration(end-c.s.w.now)*time.Microsecond, func() {
		switch {
		case c.state != peerTalking:
		case c.s.w.now >= c.answeredAt+(time.Duration(c.granted)*time.Second-peerGuard).Microseconds():
			c.hangUp()
		default:
			c.cut()
		}
	})
}

// meter asks for more ahead of need.
func (c *peerCall) meter() {
	due := c.answeredAt + (time.Duration(c.granted)*time.Second - peerAhead).Microseconds()
	wait := max(time.Duration(due-c.s.w.now)*time.Microsecond, peerRetry)
	c.after(wait, func() {
		if c.state != peerTalking {
			return
		}
		renew := c.report(admission.Report{Stage: admission.StageRunning, Elapsed: c.elapsed()})
		c.send(renew, time.Hour, func(r admission.Result) {
			if r.Err != nil || r.Record != nil {
				c.hangUp()
				return
			}
			c.granted = max(c.granted, r.GrantedSecs)
			c.meter()
		})
	})
}

func (c *peerCall) elapsed() time.Duration {
	return time.Duration(c.s.w.now-c.answeredAt) * time.Microsecond
}

// hangUp ends an answered call, and repeats this until a node has confirmed it.
func (c *peerCall) hangUp() {
	if c.state != peerTalking {
		return
	}
	c.state = peerOver
	late := c.last
	end := c.report(admission.Report{Stage: admission.StageEnded, Elapsed: c.elapsed(), Answered: new(true)})
	c.send(end, time.Hour, func(admission.Result) {})
	if c.s.faulty && c.s.w.odds(3) {
		// Something that was under way arrives after the end.
		c.after(c.s.w.between(0, 30*time.Second), func() { c.post(late, func(admission.Result) {}) })
	}
}

// release gives up an attempt that was not answered.
func (c *peerCall) release() {
	c.state = peerOver
	end := c.report(admission.Report{Stage: admission.StageEnded, Elapsed: -1, Answered: new(false)})
	c.send(end, time.Hour, func(admission.Result) {})
}
