package sim

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// emergencyWait is how long an emergency call may wait for a store that does not
// answer before it goes out without it.
const emergencyWait = 1100 * time.Millisecond

// phoneCall is a call that a node carries, with its phone and its carrier.
type phoneCall struct {
	n         *node
	c         *call.Call
	id        uuid.UUID
	emergency bool
	timer     int  // what an earlier timer planned is not done
	allowed   bool // the ledger has said so
	tried     bool
	over      bool // for the caller
}

// dial begins a call at a node that is up.
func (n *node) dial() {
	w := n.w
	connection := connections[w.chance.IntN(len(connections))]
	p := &phoneCall{n: n, id: w.id()}
	number := numbers[w.chance.IntN(len(numbers))]
	if w.odds(8) {
		number, p.emergency = "911", true
	}
	attempt := admission.Call{ID: p.id, Connection: connection, Identity: policy.IdentityKnown, From: "+13125550100",
		To: number, SIPCallID: short(p.id)}
	p.c = call.New(n.disk.policy, attempt, n.owner)
	n.calls[p.id] = p
	w.Counts.Calls++
	w.logf("%s: call %s to %s", n.name, short(p.id), number)
	if p.emergency {
		w.Counts.Emergencies++
		n.after(emergencyWait, func() {
			if !p.tried && !p.over {
				w.failf("I12", "emergency call %s waits for the store", short(p.id))
			}
		})
	}
	p.handle(call.Begin{})
	if w.odds(6) {
		n.after(w.between(0, 30*time.Second), func() { p.handle(call.Cancelled{}) })
	}
}

func (p *phoneCall) handle(e call.Event) {
	for _, a := range p.c.Handle(e, p.n.w.time()) {
		p.do(a)
	}
}

func (p *phoneCall) do(a call.Action) {
	n, w := p.n, p.n.w
	switch a := a.(type) {
	case call.Command:
		n.submit(n.restate(a.Command), func(r admission.Result, err error) { p.answered(a.Command, r, err) })
	case call.Try:
		p.try(a.N)
	case call.Refuse:
		p.over = true
		if p.emergency && !p.tried && a.Decision != nil {
			w.failf("I12", "emergency call %s is refused: %v", short(p.id), a.Reason)
		}
	case call.EndBoth:
		p.over = true
	case call.SetTimer:
		p.timer++
		if timer := p.timer; !a.At.IsZero() {
			n.after(a.At.Sub(w.time()), func() {
				if timer == p.timer {
					p.handle(call.Due{})
				}
			})
		}
	case call.Over:
		delete(n.calls, p.id)
	}
}

// answered takes the ledger's answer to a command.
func (p *phoneCall) answered(c admission.Command, r admission.Result, err error) {
	if _, attempt := c.(admission.Reserve); attempt {
		p.allowed = p.allowed || err == nil && r.Decision.Allow
		if err != nil && p.n.defect == FailsOpen && !p.emergency {
			r, err = admission.Result{Decision: admission.Decision{ID: p.id, Allow: true}, GrantedSecs: 60}, nil
		}
		if err != nil && p.n.defect == RefusesEmergency && p.emergency {
			r, err = admission.Result{Decision: admission.Decision{ID: p.id, Reason: admission.ReasonStoreUnavailable}}, nil
		}
	}
	p.n.deliver(p, r, err)
}

// try has the carrier do something with the call.
func (p *phoneCall) try(gateway int) {
	n, w := p.n, p.n.w
	p.tried = true
	if !p.emergency && (!p.allowed || n.disk.leases[p.id] == nil && n.disk.records[p.id] == nil) {
		w.failf("I13", "call %s goes to a carrier without an admission", short(p.id))
	}
	switch w.chance.IntN(12) {
	case 0:
		n.after(w.between(500*time.Millisecond, 4*time.Second), func() { p.handle(call.Unreachable{Gateway: gateway}) })
		return
	case 1:
		n.after(w.between(50*time.Millisecond, 2*time.Second), func() {
			p.handle(call.Refused{Gateway: gateway, Status: 486, Phrase: "Busy Here"})
		})
		return
	}
	n.after(180*time.Second, func() { p.handle(call.RingTimeout{Gateway: gateway}) }) // Timer C
	n.after(w.between(50*time.Millisecond, time.Second), func() { p.handle(call.Rang{Gateway: gateway}) })
	if w.odds(20) {
		return // it rings until one side gives up
	}
	n.after(w.between(time.Second, 25*time.Second), func() {
		p.handle(call.Answered{Gateway: gateway, Teardown: []byte("note")})
		if p.c.Running() {
			p.talk()
		}
	})
}

// talk plans the end of an answered call. When a BYE is lost, the session timer
// finds out (RFC 4028).
func (p *phoneCall) talk() {
	w := p.n.w
	length := w.between(0, 20*time.Second)
	if w.odds(2) {
		length = w.between(20*time.Second, 4*time.Minute)
	}
	hangUp := call.HungUp{By: record.SideCaller, Cause: call.CauseNormal}
	if w.odds(2) {
		hangUp.By = record.SideCallee
	}
	if w.odds(12) {
		length += w.between(90*time.Second, 180*time.Second)
	}
	p.n.after(length, func() { p.handle(hangUp) })
}

// checkAlive fails when a lease is ended for want of its owner while the owner has the call: I3b.
func (c *cluster) checkAlive(id uuid.UUID) {
	for _, n := range c.nodes {
		if p := n.calls[id]; p != nil && n.up && !n.paused() && p.c.Running() && !p.emergency {
			c.w.failf("I3b", "call %s is running on %s and its lease is ended as lost", short(id), n.name)
		}
	}
	if s := c.talking[id]; s != nil && s.talking() {
		c.w.failf("I3b", "call %s is running on a switch and its lease is ended as lost", short(id))
	}
}
