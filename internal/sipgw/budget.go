package sipgw

import (
	"container/list"
	"net/netip"
	"time"
)

// streamClass is whose budget a connection takes from.
type streamClass uint8

const (
	classStranger streamClass = iota // its source is not known yet
	classKnown                       // of a source that a connection names, a gateway's, or with a right digest
	classOutbound                    // that the server opened itself
	streamClasses
)

// streamNames are what logs and metrics call the classes.
var streamNames = [streamClasses]string{"strangers", "known", "outbound"}

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

func newBudgets(l *Limits) (budgets [streamClasses]streamBudget) {
	budgets[classStranger] = streamBudget{most: l.StrangerConnections, perHost: l.StrangerPerHost}
	budgets[classKnown] = streamBudget{most: l.Connections, perHost: l.ConnectionsPerHost}
	budgets[classOutbound] = streamBudget{most: l.OutboundConnections}
	for i := range budgets {
		budgets[i].hosts = make(map[netip.Addr]int)
	}
	return budgets
}

// room makes room for one more connection of a host in a class, if need be in the place
// of the one that was silent the longest, and says whether there is any. t.mu is held.
func (t *transport) room(class streamClass, host netip.Addr) bool {
	b := &t.budgets[class]
	if b.perHost > 0 && b.hosts[host] >= b.perHost {
		t.full(class, "a source has as many connections as it may", "source", host.String(), "limit", b.perHost)
		return false
	}
	if b.idle.Len() < b.most {
		return true
	}
	oldest, _ := b.idle.Front().Value.(*stream)
	wait := idleEnough
	if class == classStranger {
		wait = 0
	}
	if t.now().Sub(time.Unix(0, oldest.touched.Load())) < wait {
		t.full(class, "there are as many connections as there may be", "limit", b.most)
		return false
	}
	t.count.evicted.Add(1)
	t.warned.connections.warn(t.log, t.now(), "connections that were silent the longest make room for new ones",
		"class", streamNames[class], "limit", b.most)
	t.unlist(oldest)
	oldest.close()
	return true
}

// full counts and logs that a connection was not taken.
func (t *transport) full(class streamClass, why string, attributes ...any) {
	t.count.refusedConnections[class].Add(1)
	t.warned.connections.warn(t.log, t.now(), "a SIP connection is refused; further ones are only counted for a minute",
		append([]any{"why", why, "class", streamNames[class]}, attributes...)...)
}

// enlist counts a connection. t.mu is held.
func (t *transport) enlist(s *stream, class streamClass) {
	s.class = class
	s.touched.Store(t.now().UnixNano())
	b := &t.budgets[class]
	b.hosts[sourceKey(s.to.addr.Addr())]++
	s.place = b.idle.PushBack(s)
}

// unlist takes a connection off its budget, if it is in one. t.mu is held.
func (t *transport) unlist(s *stream) {
	if s.place == nil {
		return
	}
	b := &t.budgets[s.class]
	b.idle.Remove(s.place)
	s.place = nil
	host := sourceKey(s.to.addr.Addr())
	if b.hosts[host]--; b.hosts[host] <= 0 {
		delete(b.hosts, host)
	}
}

// touch notes that something has come over a connection.
func (t *transport) touch(s *stream) {
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

// known notes that the peer of a connection has proved who it is; nil is no connection.
func (t *transport) known(s *stream) {
	if s == nil || s.trusted.Load() {
		return
	}
	t.mu.Lock()
	if s.place == nil || s.class != classStranger || !t.room(classKnown, sourceKey(s.to.addr.Addr())) {
		t.mu.Unlock()
		return
	}
	t.unlist(s)
	t.enlist(s, classKnown)
	t.mu.Unlock()
	s.trust()
}
