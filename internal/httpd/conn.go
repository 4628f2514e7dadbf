package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// conn is one connection.
type conn struct {
	net.Conn
	server *Server
	source netip.Addr // of the peer

	// known means that a key was shown on it, or that a trusted proxy opened it.
	known   atomic.Bool
	holder  atomic.Int64 // the account of the key
	shown   atomic.Int64 // when a key was last noted, Unix seconds
	serving atomic.Int32 // requests that are being served

	group          *group // of those that it is bounded with; nil once closed; guarded by server.mu
	older, younger *conn  // in the group
	number         uint64 // counts connections, so that ages compare
}

// group is a list of connections, by age.
type group struct {
	key            any // of the map that it is in
	oldest, newest *conn
	size           int
}

func (g *group) add(c *conn) {
	c.group = g
	c.older = g.newest
	c.younger = nil
	if g.newest != nil {
		g.newest.younger = c
	} else {
		g.oldest = c
	}
	g.newest = c
	g.size++
}

func (g *group) remove(c *conn) {
	if c.older != nil {
		c.older.younger = c.younger
	} else {
		g.oldest = c.younger
	}
	if c.younger != nil {
		c.younger.older = c.older
	} else {
		g.newest = c.older
	}
	c.group, c.older, c.younger = nil, nil, nil
	g.size--
}

// victim is the connection that may go first: the oldest on which no request is being
// served, or else, if working says so, the oldest of all.
func (g *group) victim(working bool) *conn {
	for c := g.oldest; c != nil; c = c.younger {
		if c.serving.Load() == 0 {
			return c
		}
	}
	if working {
		return g.oldest
	}
	return nil
}

// connections are those that are open: strangers' by source, others' by account.
type connections struct {
	most, mostStrangers, mostSource, mostHolder int

	total, strangers int
	taken            uint64 // connections so far
	bySource         map[netip.Prefix]*group
	byHolder         map[id.ID]*group
}

func (cs *connections) init(most int) {
	cs.most = most
	cs.mostStrangers = most / strangersShare
	cs.mostHolder = most - most/holderShare
	cs.mostSource = max(cs.mostStrangers/sourceShare, leastSourceConnections)
	cs.bySource = make(map[netip.Prefix]*group)
	cs.byHolder = make(map[id.ID]*group)
}

// place puts a connection into the group of a key.
func place[K comparable](groups map[K]*group, key K, c *conn) *group {
	g := groups[key]
	if g == nil {
		g = &group{key: key}
		groups[key] = g
	}
	g.add(c)
	return g
}

// largest is the group with the most connections; of those with as many, the one that
// has held one for longest.
func largest[K comparable](groups map[K]*group) *group {
	var found *group
	for _, g := range groups {
		if found == nil || g.size > found.size || g.size == found.size && g.oldest.number < found.oldest.number {
			found = g
		}
	}
	return found
}

// remove forgets a connection. It may be called again.
func (cs *connections) remove(c *conn) {
	g := c.group
	if g == nil {
		return
	}
	g.remove(c)
	cs.total--
	switch key := g.key.(type) {
	case netip.Prefix:
		cs.strangers--
		if g.size == 0 {
			delete(cs.bySource, key)
		}
	case id.ID:
		if g.size == 0 {
			delete(cs.byHolder, key)
		}
	}
}

// guardedListener lets connections in within the budgets.
type guardedListener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				l.server.mu.Lock()
				l.server.full(fullDescriptors, 0, netip.Addr{})
				l.server.mu.Unlock()
			}
			return nil, err // net/http tries again when that may help
		}
		if c := l.server.take(raw); c != nil {
			return c, nil
		}
	}
}

// take lets a connection in. The newest is let in and an older one of a stranger is
// closed: an honest client uses its connection at once, one that holds many does not.
func (s *Server) take(raw net.Conn) *conn {
	c := &conn{Conn: raw, server: s}
	if address, err := netip.ParseAddrPort(raw.RemoteAddr().String()); err == nil {
		c.source = address.Addr().Unmap().WithZone("")
	}
	var closing []*conn
	evict := func(g *group, working bool) bool {
		victim := g.victim(working)
		if victim == nil {
			return false
		}
		s.conns.remove(victim)
		closing = append(closing, victim)
		return true
	}
	s.mu.Lock()
	s.conns.taken++
	c.number = s.conns.taken
	proxy := s.trusted(c.source)
	taken := s.TLS == nil || proxy || s.handshake(c.source)
	if taken && s.conns.total >= s.conns.most {
		s.full(fullConnections, s.conns.most, c.source)
		if s.conns.strangers > 0 {
			evict(largest(s.conns.bySource), true)
		} else {
			taken = evict(largest(s.conns.byHolder), false)
		}
	}
	switch {
	case !taken:
	case proxy:
		c.known.Store(true)
		place(s.conns.byHolder, id.ID(0), c) // id 0: a proxy has no account
		s.conns.total++
	default:
		s.conns.total++
		s.conns.strangers++
		most, g := s.conns.mostSource, place(s.conns.bySource, sourceOf(c.source), c)
		if s.rates.hasKey(g.key.(netip.Prefix), s.Clock()) {
			most = s.conns.mostStrangers
		}
		if g.size > most {
			s.full(fullSource, most, c.source)
			evict(g, true)
		} else if s.conns.strangers > s.conns.mostStrangers {
			s.full(fullStrangers, s.conns.mostStrangers, c.source)
			evict(largest(s.conns.bySource), true)
		}
	}
	s.mu.Unlock()
	for _, victim := range closing {
		_ = victim.Conn.Close()
	}
	if !taken {
		_ = raw.Close()
		return nil
	}
	return c
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.server.mu.Lock()
	c.server.conns.remove(c)
	c.server.mu.Unlock()
	return c.Conn.Close()
}

// SetReadDeadline implements net.Conn. A stranger's is never far off.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.Conn.SetReadDeadline(c.sooner(t, strangerRead))
}

// SetWriteDeadline implements net.Conn. A stranger's is never far off.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.Conn.SetWriteDeadline(c.sooner(t, strangerWrite))
}

// SetDeadline implements net.Conn. A stranger's is never far off.
func (c *conn) SetDeadline(t time.Time) error { return c.Conn.SetDeadline(c.sooner(t, strangerRead)) }

func (c *conn) sooner(t time.Time, most time.Duration) time.Time {
	if c.known.Load() {
		return t
	}
	if limit := time.Now().Add(most); t.IsZero() || t.After(limit) {
		return limit
	}
	return t
}

// Known means that the request showed a valid key of an account: its connection is no
// stranger's any more.
func (s *Server) Known(r *http.Request, account id.ID) {
	c, now := connOf(r), s.Clock()
	if c == nil || c.known.Load() && c.holder.Load() == int64(account) && now.Unix()-c.shown.Load() < keyNoted {
		return
	}
	s.mu.Lock()
	closing := s.conns.promote(s, c, account)
	if source := addressOf(r); source.IsValid() {
		s.rates.sawKey(sourceOf(source), now)
	}
	s.mu.Unlock()
	if closing != nil {
		_ = closing.Conn.Close()
	}
	if !c.known.Swap(true) {
		begun := time.Now()
		_ = c.Conn.SetReadDeadline(begun.Add(readTimeout))
		_ = c.Conn.SetWriteDeadline(begun.Add(writeTimeout))
	}
	c.holder.Store(int64(account))
	c.shown.Store(now.Unix())
}

// promote moves a connection to those of an account, and returns the one that must be
// closed for it.
func (cs *connections) promote(s *Server, c *conn, account id.ID) *conn {
	if c.group == nil || c.group.key == any(account) || s.trusted(c.source) {
		return nil // it was closed meanwhile, is there already, or is a proxy's, which many share
	}
	cs.remove(c)
	g := place(cs.byHolder, account, c)
	cs.total++
	if g.size <= cs.mostHolder {
		return nil
	}
	s.full(fullHolder, cs.mostHolder, c.source)
	victim := g.victim(false)
	if victim != nil {
		cs.remove(victim)
	}
	return victim
}

type connKey struct{}

func withConn(ctx context.Context, raw net.Conn) context.Context {
	if secured, ok := raw.(*tls.Conn); ok {
		raw = secured.NetConn()
	}
	return context.WithValue(ctx, connKey{}, raw)
}

// connOf is the connection of a request; nil for one without a connection of this server.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}
