package sim

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// errStore is what a command is answered that the store did not confirm. Whether it
// has taken effect is unknown.
var errStore = errors.New("the store did not confirm")

// work is a command that waits for the store.
type work struct {
	command admission.Command
	done    func(admission.Result, error)
	result  admission.Result
	err     error
}

// node is a process of Tollgate: calls, and a writer that takes groups of commands
// to the store, one at a time.
type node struct {
	*cluster
	name        string
	owner       uuid.UUID // this process
	incarnation int       // what was planned by an earlier process never happens
	up          bool
	pausedUntil int64         // stopped by a signal, or by a machine that stands still
	cutUntil    int64         // no way to the store
	offset      time.Duration // of its clock from true time
	step        time.Duration // by which that was set forward, until it is durable

	calls map[uuid.UUID]*phoneCall
	queue []*work
	busy  *group // the group under way
	state *admission.State
	own   *policy.Snapshot // only a defective node decides by a policy of its own
	owned uuid.UUID        // the incarnation that the store knows; with a shared store
	beat  int64            // the last heartbeat
}

// after plans something that this process does, unless it has died by then; a
// paused one does it when it wakes.
func (n *node) after(d time.Duration, do func()) {
	incarnation := n.incarnation
	var due func()
	due = func() {
		switch {
		case n.incarnation != incarnation:
		case n.w.now < n.pausedUntil:
			n.w.after(time.Duration(n.pausedUntil-n.w.now)*time.Microsecond, due)
		default:
			do()
		}
	}
	n.w.after(d, due)
}

func (n *node) paused() bool { return n.w.now < n.pausedUntil }

// clock is the time of day as the node has it.
func (n *node) clock() int64 { return n.w.now + n.offset.Microseconds() }

// cutOff reports whether the node cannot reach the store.
func (n *node) cutOff() bool { return n.w.now < n.cutUntil || n.w.now < n.downUntil }

// start is a new process of this name. It ends the calls of the one before, and
// then serves.
func (n *node) start() {
	n.incarnation++
	n.owner = n.w.id()
	n.owned, n.beat = n.owner, n.w.now
	n.calls = map[uuid.UUID]*phoneCall{}
	n.queue = nil
	n.busy = nil
	n.state = nil
	n.disk.nodes[n.owner] = &nodeRow{name: n.name, heartbeat: n.w.now}
	n.w.logf("%s starts as %s", n.name, short(n.owner))
	n.takeOver()
}

func (n *node) takeOver() {
	n.submit(admission.ExpireOwners{Keep: n.owner}, func(_ admission.Result, err error) {
		if err != nil {
			n.after(time.Second, n.takeOver)
			return
		}
		n.up = true
		n.tick()
	})
}

// crash ends the process at once, and with it what it has not answered.
func (n *node) crash() {
	n.w.logf("%s crashes", n.name)
	n.w.Counts.Crashes++
	n.up, n.incarnation = false, n.incarnation+1
	n.calls = nil
	n.offset -= n.step // no one finds a step that the next process has not seen
	n.step = 0
	if n.busy != nil {
		n.abort(n.busy)
	}
	n.busy, n.queue, n.state = nil, nil, nil
	n.w.after(n.w.between(time.Second, 20*time.Second), n.start)
}

// tick is what a store does every second.
func (n *node) tick() {
	n.submit(admission.Expire{}, func(admission.Result, error) {})
	pause := time.Second
	if !n.faulty {
		pause = 20 * time.Second // nothing is watched any more but the end
	}
	n.after(pause, n.tick)
}

func (n *node) submit(c admission.Command, done func(admission.Result, error)) {
	n.queue = append(n.queue, &work{command: c, done: done})
	n.kick()
}

func (n *node) kick() {
	if n.busy != nil || len(n.queue) == 0 {
		return
	}
	n.busy = &group{node: n}
	n.after(n.w.between(100*time.Microsecond, 2*time.Millisecond), n.run)
}

// run takes a group from the queue and has the store carry it out.
func (n *node) run() {
	g := n.busy
	if n.configuring > 0 {
		n.after(time.Millisecond, n.run)
		return
	}
	size := 1
	for size < min(len(n.queue), n.groupSize) && kindOf(n.queue[size].command) == kindOf(n.queue[0].command) {
		size++
	}
	g.run, n.queue = n.queue[:size:size], n.queue[size:]
	n.inflight[g] = struct{}{}
	if n.shared {
		n.find(g)
	} else {
		n.applyWhole(g)
	}
}

func kindOf(c admission.Command) bool {
	_, takeover := c.(admission.ExpireOwners)
	return takeover
}

// answer gives out the results of a group that has ended.
func (n *node) answer(g *group, err error) {
	n.release(g)
	n.busy = nil
	n.kick()
	for _, one := range g.run {
		if err == nil && one.err == nil {
			n.acknowledged(one)
			one.done(one.result, nil)
			continue
		}
		one.done(admission.Result{}, errors.Join(err, one.err))
	}
}

// acknowledged holds an answer against what is durable: I5 and I7.
func (n *node) acknowledged(one *work) {
	w, d, r := n.w, n.disk, &one.result
	known := func(call uuid.UUID) (*admission.Lease, *record.Call) { return d.leases[call], d.records[call] }
	switch c := one.command.(type) {
	case admission.Reserve:
		l, rec := known(c.Call.ID)
		if r.Err != nil || l == nil && rec == nil {
			w.failf("I5", "attempt %s was answered %v, %v and is not stored", short(c.Call.ID), r.Decision.Reason, r.Err)
		}
		if r.Decision.Reason == admission.ReasonCallEnded {
			if l != nil || r.Decision.Allow {
				w.failf("I7", "call %s has ended, and its lease is there or it is allowed", short(c.Call.ID))
			}
			return // a late question: what was decided first is not said again
		}
		if first, ok := n.decided[c.Call.ID]; ok && first != r.Decision {
			w.failf("I7", "attempt %s was decided %+v and then %+v", short(c.Call.ID), first, r.Decision)
		}
		n.decided[c.Call.ID] = r.Decision
	case admission.Answer:
		if l, rec := known(c.ID); r.Err == nil && (l == nil || l.AnsweredMicros == 0) &&
			(rec == nil || rec.AnsweredMicros == 0) {
			w.failf("I5", "the answer of call %s is not stored", short(c.ID))
		}
	case admission.Renew:
		if l, rec := known(c.ID); r.Err == nil && (l == nil || l.GrantedSecs < r.GrantedSecs) &&
			(rec == nil || rec.GrantedSecs < r.GrantedSecs) {
			w.failf("I5", "the renewal of call %s to %d s is not stored", short(c.ID), r.GrantedSecs)
		}
		w.Counts.Renewals++
	case admission.Report:
		if r.Record != nil {
			n.acknowledgedEnd(c.ID, r)
		} else if l, rec := known(c.ID); r.Err == nil && (l == nil && rec == nil || c.Stage == admission.StageEnded) {
			w.failf("I5", "a report of call %s is not stored", short(c.ID))
		}
	case admission.Settle:
		n.acknowledgedEnd(c.ID, r)
	case admission.Release:
		n.acknowledgedEnd(c.ID, r)
	}
}

func (n *node) acknowledgedEnd(id uuid.UUID, r *admission.Result) {
	if r.Err != nil {
		return
	}
	stored := n.disk.records[id]
	if stored == nil {
		n.w.failf("I5", "the end of call %s is not stored", short(id))
	}
	if r.Record.EndedMicros != stored.EndedMicros || r.Record.Cost != stored.Cost || r.Record.Outcome != stored.Outcome {
		n.w.failf("I7", "the end of call %s was answered %+v and is stored %+v", short(id), *r.Record, *stored)
	}
}

// restate gives the times of a command by the clock of the node, as its own code does.
func (n *node) restate(c admission.Command) admission.Command {
	off := n.offset.Microseconds()
	switch c := c.(type) {
	case admission.Answer:
		c.AtMicros += off
		return c
	case admission.Settle:
		c.Ending.EndedMicros += off
		return c
	case admission.Release:
		c.Ending.EndedMicros += off
		return c
	}
	return c
}

// deliver gives a call the answer of the ledger.
func (n *node) deliver(p *phoneCall, result admission.Result, err error) {
	p.handle(&call.LedgerDone{Result: result, Err: err})
}
