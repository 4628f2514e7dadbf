package transport

import (
	"container/list"
	"net/netip"
	"time"
)

// Class is whose budget a connection takes from.
type Class uint8

// The classes.
const (
	ClassStranger Class = iota // its source is not known yet
	ClassKnown                 // of a source that a connection names, a gateway's, or with a right digest
	ClassOutbound              // that the server opened itself
	Classes                    // how many there are
)

var classNames = [Classes]string{"strangers", "known", "outbound"}

// ClassNames are what logs and metrics call the classes.
func ClassNames() []string { return classNames[:] }

// idleEnough is how long a connection of a known source must have been silent to make
// room for another one. That of a stranger makes room at once.
const idleEnough = time.Minute

// streamBudget is the connections of one class, the one that was silent the longest
// first. The transport's mutex guards it.
type streamBudget struct {
	most, perHost int // perHost 0: no limit
	idle          list.List
	hosts         map[netip.Addr]int // by sourceKey
}

func newBudgets(l *Limits) (budgets [Classes]streamBudget) {
	budgets[ClassStranger] = streamBudget{most: l.StrangerConnections, perHost: l.StrangerPerHost}
	budgets[ClassKnown] = streamBudget{most: l.Connections, perHost: l.ConnectionsPerHost}
	budgets[ClassOutbound] = streamBudget{most: l.OutboundConnections}
	for i := range budgets {
		budgets[i].hosts = make(map[netip.Addr]int)
	}
	return budgets
}

// room makes room for one more connection of a host in a class, if need be in the place
// of the one that was silent the longest, and reports whether there is any. t.mu is held.
func (t *Transport) room(class Class, host netip.Addr) bool {
	b := &t.budgets[class]
	if b.perHost > 0 && b.hosts[host] >= b.perHost {
		t.full(class, "a source has as many connections as it may", "source", host.String(), "limit", b.perHost)
		return false
	}
	if b.idle.Len() < b.most {
		return true
	}
	oldest, _ := b.idle.Front().Value.(*Stream)
	wait := idleEnough
	if class == ClassStranger {
		wait = 0
	}
	if t.now().Sub(time.Unix(0, oldest.touched.Load())) < wait {
		t.full(class, "there are as many connections as there may be", "limit", b.most)
		return false
	}
	t.Count.Evicted.Add(1)
	t.warned.connections.Warn(t.log, t.now(), "connections that were silent the longest make room for new ones",
		"class", classNames[class], "limit", b.most)
	t.unlist(oldest)
	oldest.close()
	return true
}

// full counts and logs that a connection was not taken.
func (t *Transport) full(class Class, why string, attributes ...any) {
	t.Count.RefusedConnections[class].Add(1)
	t.warned.connections.Warn(t.log, t.now(), "a SIP connection is refused; further ones are only counted for a minute",
		append([]any{"why", why, "class", classNames[class]}, attributes...)...)
}

// enlist counts a connection. t.mu is held.
func (t *Transport) enlist(s *Stream, class Class) {
	s.class = class
	s.touched.Store(t.now().UnixNano())
	b := &t.budgets[class]
	b.hosts[SourceKey(s.to.Addr.Addr())]++
	s.place = b.idle.PushBack(s)
}

// unlist takes a connection off its budget, if it is in one. t.mu is held.
func (t *Transport) unlist(s *Stream) {
	if s.place == nil {
		return
	}
	b := &t.budgets[s.class]
	b.idle.Remove(s.place)
	s.place = nil
	host := SourceKey(s.to.Addr.Addr())
	if b.hosts[host]--; b.hosts[host] <= 0 {
		delete(b.hosts, host)
	}
}

// touch notes that something has come over a connection.
func (t *Transport) touch(s *Stream) {
	now := t.now()
	if now.Sub(time.Unix(0, s.touched.Load())) < time.Second {
		return
	}
	s.touched.Store(now.UnixNano())
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.place != nil {
		t.budgets[s.class].idle.MoveToBack(s.place)
	}
}

// Known notes that the peer of a connection has proved who it is; nil is no connection.
func (t *Transport) Known(s *Stream) {
	if s == nil || s.trusted.Load() {
		return
	}
	t.mu.Lock()
	if s.place == nil || s.class != ClassStranger || !t.room(ClassKnown, SourceKey(s.to.Addr.Addr())) {
		t.mu.Unlock()
		return
	}
	t.unlist(s)
	t.enlist(s, ClassKnown)
	t.mu.Unlock()
	s.trust()
}

// Connections counts those of each class.
func (t *Transport) Connections() (of [Classes]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for class := range t.budgets {
		of[class] = t.budgets[class].idle.Len()
	}
	return of
}
