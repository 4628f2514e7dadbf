package sim

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// What package sqlstore is set to; see postgres.go and cluster.go there.
const (
	connectLimit     = 5 * time.Second
	idleLimit        = 5 * time.Second // then the server ends a transaction that does nothing
	lockLimit        = 3 * time.Second
	maxClockOffset   = 2 * time.Second
	deadAfter        = 10 * time.Second
	heartbeatEvery   = 900 * time.Millisecond
	keptSpendDays    = 2
	commitLeast      = 500 * time.Microsecond
	commitMost       = 20 * time.Millisecond
	commitSlowAtMost = 4 * time.Second
	stepLeast        = time.Second
)

// group is one transaction.
type group struct {
	node    *node
	run     []*work
	policy  *policy.Snapshot
	now     int64
	astray  int64 // how far a wrong clock is ahead of it
	oldest  record.Day
	refuse  bool // the node may not admit: it was given up, or its clock is wrong
	fenced  bool
	expires []uuid.UUID // leases that an Expire or a takeover ends
	locks   []id.ID     // by id
	changes admission.Changes
	step    time.Duration // of the clock, which this group makes durable
	aborted bool          // by the server, or because the node is gone
	since   int64
}

func (g *group) commands() []admission.Command {
	commands := make([]admission.Command, len(g.run))
	for i, one := range g.run {
		commands[i] = one.command
	}
	return commands
}

// applyWhole is the store of a single node: the ledger is in memory.
func (n *node) applyWhole(g *group) {
	if n.cutOff() {
		n.after(10*time.Millisecond, func() { n.answer(g, errStore) })
		return
	}
	if n.state == nil {
		n.state = n.restored()
	}
	for _, one := range g.run {
		if call, ok := admission.CallOf(one.command); ok && !n.state.Knows(call) && n.disk.records[call] != nil {
			n.remember(n.state, n.disk.records[call])
		}
	}
	g.now, g.step = n.clock(), n.step
	if g.step != 0 {
		n.state.Stepped(g.step)
	}
	for _, one := range g.run {
		n.apply(g, n.state, one, n.disk.policy, g.now)
	}
	n.state.Forget()
	g.changes = n.state.TakeChanges()
	n.after(n.commitTime(), func() { n.commit(g) })
}

func (n *node) restored() *admission.State {
	s := admission.NewState()
	leases := make([]*admission.Lease, 0, len(n.disk.leases))
	for _, l := range n.disk.leases {
		leases = append(leases, copied(l))
	}
	s.Restore(n.disk.spends, leases, n.disk.callees, time.UnixMicro(n.clock()))
	return s
}

// remember is left out by a store with a defect.
func (n *node) remember(s *admission.State, r *record.Call) {
	if n.defect != ForgetsEnded {
		s.Remember(r)
	}
}

// apply carries out one command.
func (n *node) apply(g *group, s *admission.State, one *work, p *policy.Snapshot, now int64) {
	command := one.command
	switch c := command.(type) {
	case admission.Reserve:
		if g.refuse {
			one.err = errStore
			return
		}
		if c.Owner == n.owner && n.shared {
			c.Owner = n.owned
			command = c
		}
	case admission.Report:
		if g.refuse && c.Attempt != nil && !s.Knows(c.ID) {
			one.err = errStore
			return
		}
	case admission.ExpireOwners:
		command = admission.ExpireOwners{Keep: n.owned}
	case admission.Answer:
		c.AtMicros -= g.astray
		command = c
	}
	one.result = s.Apply(n.warped(p), command, time.UnixMicro(now+n.hurry(command)))
	if one.result.Record != nil {
		n.remember(s, one.result.Record)
	}
	for _, r := range one.result.Expired {
		n.remember(s, r)
	}
}

// find begins a transaction of a node that shares its store, and finds what has to
// be locked.
func (n *node) find(g *group) {
	if n.cutOff() {
		n.after(connectLimit, func() { n.answer(g, errStore) })
		return
	}
	d := n.disk
	g.policy = n.policyNow()
	g.since = n.w.now
	g.now = n.clock()
	if n.offset.Abs() > maxClockOffset {
		g.now = n.w.now
		g.refuse = true
		g.astray = n.offset.Microseconds()
	}
	if row := d.nodes[n.owned]; row == nil || row.expired {
		g.fenced, g.refuse = true, true
	}
	g.oldest = record.DayOf(g.now) - keptSpendDays
	scopes := make(map[id.ID]struct{})
	touch := func(call uuid.UUID) {
		if l := d.leases[call]; l != nil {
			scopes[l.Profile] = struct{}{}
			lockShared(g.policy, scopes)
			g.oldest = min(g.oldest, record.DayOf(l.ReservedMicros))
		}
	}
	for _, one := range g.run {
		switch c := one.command.(type) {
		case admission.Expire:
			for _, call := range d.leaseIDs() {
				if d.leases[call].ExpiresMicros <= g.now+n.hurry(c) {
					g.expires = append(g.expires, call)
				}
			}
		case admission.ExpireOwners:
			for _, call := range d.leaseIDs() {
				if row := d.nodes[d.leases[call].Owner]; row != nil && row.name == n.name && d.leases[call].Owner != n.owned {
					g.expires = append(g.expires, call)
				}
			}
		case admission.ExpireSwitch:
			for _, call := range d.leaseIDs() {
				if l := d.leases[call]; l.Owner == c.Owner && l.ReservedMicros < c.BeforeMicros {
					g.expires = append(g.expires, call)
				}
			}
		}
		if attempt := admission.AttemptOf(one.command); attempt != nil {
			connection := g.policy.Connection(attempt.Call.Connection)
			for _, scope := range []id.ID{connection.Account, connection.Profile, connection.ID} {
				scopes[scope] = struct{}{}
			}
			lockShared(g.policy, scopes)
		}
		if call, ok := admission.CallOf(one.command); ok {
			touch(call)
		}
	}
	for _, call := range g.expires {
		touch(call)
	}
	for scope := range scopes {
		g.locks = append(g.locks, scope)
	}
	slices.Sort(g.locks)
	n.after(n.w.between(100*time.Microsecond, 3*time.Millisecond), func() { n.lock(g) })
}

// lockShared adds what the money of every call moves beside that of its profile.
func lockShared(p *policy.Snapshot, scopes map[id.ID]struct{}) {
	if p.Account(accountID).Spending.On {
		scopes[accountID] = struct{}{}
	}
	if p.Group(groupID).Spending.On {
		scopes[groupLock] = struct{}{}
	}
}

// lock waits for the rows of the group's scopes.
func (n *node) lock(g *group) {
	if n.w.now-g.since > lockLimit.Microseconds() || g.aborted {
		n.answer(g, errStore)
		return
	}
	for _, scope := range g.locks {
		if n.locked[scope] != nil && n.defect != TakesNoLocks {
			n.after(time.Millisecond, func() { n.lock(g) })
			return
		}
	}
	for _, scope := range g.locks {
		n.locked[scope] = g
	}
	n.w.after(idleLimit, func() {
		if _, open := n.inflight[g]; open {
			n.abort(g)
		}
	})
	n.applyPart(g)
}

// applyPart loads what the group needs and carries it out.
func (n *node) applyPart(g *group) {
	d := n.disk
	part := admission.Part{Live: map[id.ID]int32{}, Spends: map[admission.SpendKey]admission.Spend{}, Callees: d.callees}
	named := make(map[uuid.UUID]struct{})
	for _, one := range g.run {
		if call, ok := admission.CallOf(one.command); ok {
			named[call] = struct{}{}
		}
	}
	for _, call := range g.expires {
		named[call] = struct{}{}
	}
	s := admission.NewState()
	for _, call := range sortedIDs(named) {
		if l := d.leases[call]; l != nil {
			if !slices.Contains(g.locks, l.Profile) || record.DayOf(l.ReservedMicros) < g.oldest {
				// It became live after find has looked.
				n.release(g)
				g.locks, g.expires = nil, nil
				n.inflight[g] = struct{}{}
				n.find(g)
				return
			}
			part.Leases = append(part.Leases, copied(l))
			g.now = max(g.now, l.ReservedMicros, l.AnsweredMicros)
		}
		if r := d.records[call]; r != nil {
			n.remember(s, r)
		}
	}
	for _, scope := range g.locks {
		part.Live[scope] = d.live(scope)
		if n.defect != IgnoresOpenedDay {
			g.now = max(g.now, d.opened[scope])
		}
	}
	for key, spend := range d.spends {
		lock := key.ID.Number()
		if key.Kind == admission.ScopeGroup {
			lock = groupLock
		}
		if key.Day >= g.oldest && slices.Contains(g.locks, lock) {
			part.Spends[key] = spend
		}
	}
	s.RestorePart(part, time.UnixMicro(g.now))
	for _, one := range g.run {
		n.apply(g, s, one, g.policy, g.now)
	}
	s.Forget()
	g.changes = s.TakeChanges()
	n.after(n.commitTime(), func() { n.commit(g) })
}

func (n *node) commitTime() time.Duration {
	if n.faulty && n.w.odds(200) {
		return n.w.between(commitMost, commitSlowAtMost)
	}
	return n.w.between(commitLeast, commitMost)
}

// commit makes the group durable, or fails before or after that.
func (n *node) commit(g *group) {
	kind := fine
	if n.faulty && n.w.odds(60) {
		kind = fate(1 + n.w.chance.IntN(int(lastFate)))
	}
	if g.aborted || n.defect == AcknowledgesFirst && kind == failsBefore {
		n.refused(g, kind)
		return
	}
	if n.cutOff() { // since the transaction began
		kind = failsBefore + fate(n.w.chance.IntN(2))
	}
	if n.mirror != nil {
		n.mirror.carryOut(n, g, kind)
	}
	if kind == failsAfter || kind == crashesAfter || kind == fine {
		n.persist(g)
	}
	switch kind {
	case fine:
		n.answer(g, nil)
	case crashesBefore, crashesAfter:
		n.crash()
	default:
		n.refused(g, kind)
	}
}

// fate is how a commit ends.
type fate int

const (
	fine fate = iota
	failsBefore
	failsAfter
	crashesBefore
	crashesAfter
	lastFate = crashesAfter
)

// refused ends a group of whose commit the node hears nothing good.
func (n *node) refused(g *group, kind fate) {
	if kind == failsAfter {
		n.w.Counts.FailedAfter++
	} else {
		n.w.Counts.FailedBefore++
	}
	if n.defect == AcknowledgesFirst {
		n.answer(g, nil)
		return
	}
	if n.defect != KeepsMemory {
		n.state = nil
	}
	n.abort(g)
	n.after(n.w.between(time.Millisecond, 2*time.Second), func() { n.answer(g, errStore) })
}

// persist is the commit itself, which happens in the store.
func (n *node) persist(g *group) {
	d := n.disk
	d.commit(&g.changes, g.commands())
	if !n.shared {
		n.step -= g.step
		return
	}
	for _, scope := range g.locks {
		if slices.Contains(profiles, scope) && record.DayOf(g.now) > record.DayOf(d.opened[scope]) {
			d.opened[scope] = g.now
		}
	}
	if g.fenced {
		n.owned, n.beat = n.w.id(), g.now
		d.nodes[n.owned] = &nodeRow{name: n.name, heartbeat: g.now}
	} else if g.now-n.beat >= heartbeatEvery.Microseconds() {
		n.beat = g.now
		d.nodes[n.owned].heartbeat = g.now
	}
	for owner, row := range d.nodes {
		if owner != n.owned && row.heartbeat < g.now-deadAfter.Microseconds() {
			row.expired = true
		}
	}
}
