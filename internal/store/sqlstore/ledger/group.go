package ledger

import (
	"runtime"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
)

// patience is how long commands wait for company if no one waits for them: the answer,
// the renewal and the end of a call of the gateway, which goes on meanwhile. Under
// load they are committed with the next reservation, so that a call costs one
// transaction and not three. A process that is killed loses what waited, as it loses
// what was being committed, and finds the calls by their leases.
const patience = 5 * time.Millisecond

// isPatient reports whether no one waits for the answer of a command that was submitted.
func isPatient(command admission.Command) bool {
	switch command.(type) {
	case admission.Answer, admission.Renew, admission.Settle, admission.Release:
		return true
	}
	return false
}

// gatherer makes the groups of a queue.
type gatherer struct {
	queue <-chan *Work
	group []*Work // the present one, until next is called
	timer *time.Timer
	idle  func() // is called before it waits

	expected int // how many the next group will be, if those who were answered ask again
	alone    int // groups yet that wait for no company
}

func newGatherer(queue <-chan *Work, groupSize int, idle func()) *gatherer {
	return &gatherer{queue: queue, group: make([]*Work, 0, groupSize), timer: time.NewTimer(0), idle: idle}
}

// Groups takes groups from the queue until it is closed and empty, and commits them one
// after the other. idle is called before it waits. commit returns how many commands are
// expected soon, because those who were answered ask again; 0 for unknown.
func (q *Queue) Groups(groupSize int, idle func(), commit func([]*Work) (expected int)) {
	g := newGatherer(q.waiting, groupSize, idle)
	defer g.timer.Stop()
	for g.next() {
		g.expected = commit(g.group)
	}
}

// next makes the next group, and returns false when there is none any more.
func (g *gatherer) next() bool {
	clear(g.group)
	var first *Work
	var open bool
	select {
	case first, open = <-g.queue:
	default:
		g.idle()
		first, open = <-g.queue
	}
	if open {
		g.gather(first)
	}
	return open
}

// gather takes what is there: what waits, what those who were just answered or who
// run already are about to ask and, when all of it has time, what comes soon.
func (g *gatherer) gather(first *Work) {
	g.group = append(g.group[:0], first)
	urgent := g.take() || !first.Patient
	if g.awaitCompany() {
		urgent = true
	}
	// The goroutines that are ready to run come first, for they may be about to ask;
	// when there are none this costs next to nothing.
	for yielded := false; ; yielded = true {
		before := len(g.group)
		urgent = g.take() || urgent
		if yielded && len(g.group) == before || len(g.group) == cap(g.group) {
			break
		}
		runtime.Gosched()
	}
	if !urgent {
		g.idle()
		g.wait()
	}
}

// take takes what waits, and reports whether any of it is urgent.
func (g *gatherer) take() (urgent bool) {
	for len(g.group) < cap(g.group) {
		select {
		case next, open := <-g.queue:
			if !open {
				return true
			}
			g.group = append(g.group, next)
			urgent = urgent || !next.Patient
		default:
			return urgent
		}
	}
	return urgent
}

const (
	// companyWait is how long a group waits for those whom the one before has answered.
	companyWait = time.Millisecond
	// companyEnough is of how many a group waits for no more: what each costs is then
	// far more than what the transaction does.
	companyEnough = 24
	// groupsAlone is how many groups do not wait when few of those who were expected
	// came: no one asks in a loop then.
	groupsAlone = 30
)

// awaitCompany waits for as many as are expected, and reports whether any that came is
// urgent. Callers that ask again when they are answered soon fall into two halves, of
// which one waits for the other's transaction: two small transactions, where one of
// all of them costs hardly more.
func (g *gatherer) awaitCompany() (urgent bool) {
	expected := min(g.expected, companyEnough, cap(g.group))
	if len(g.group) >= expected {
		return false
	}
	if g.alone > 0 {
		g.alone--
		return false
	}
	g.idle()
	g.timer.Reset(companyWait)
	for len(g.group) < expected {
		select {
		case next, open := <-g.queue:
			if !open {
				return true
			}
			g.group = append(g.group, next)
			urgent = urgent || !next.Patient
		case <-g.timer.C:
			if 2*len(g.group) < expected {
				g.alone = groupsAlone
			}
			return urgent
		}
	}
	return urgent
}

// wait takes what comes until patience is over or something urgent has come.
func (g *gatherer) wait() {
	g.timer.Reset(patience)
	for len(g.group) < cap(g.group) {
		select {
		case next, open := <-g.queue:
			if !open {
				return
			}
			g.group = append(g.group, next)
			if !next.Patient {
				g.take()
				return
			}
		case <-g.timer.C:
			return
		}
	}
}
