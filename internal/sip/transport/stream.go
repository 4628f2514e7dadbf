package transport

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
)

// The times of a TCP connection.
const (
	dialTimeout = 4 * time.Second
	// writeTimeout ends a connection whose peer does not read.
	writeTimeout = 10 * time.Second
	// idleTimeout ends a connection that is silent for longer than any session
	// timer in use lets a dialog be.
	idleTimeout = time.Hour
	// streamQueue bounds the messages that wait for a slow peer.
	streamQueue = 256
)

// outgoing is one message on its way and whom to tell when it is lost.
type outgoing struct {
	data []byte
	lost func()
}

// Stream is one connection, TCP or TLS, inbound or outbound.
type Stream struct {
	t   *Transport
	to  Peer
	out chan outgoing

	class   Class         // guarded by t.mu, as place is
	place   *list.Element // in the budget of its class; nil when it is in none
	touched atomic.Int64  // when something came last, Unix nanoseconds
	trusted atomic.Bool   // its peer is known
	until   time.Time     // when it ends unless that is known by then
	heard   atomic.Int64  // when the peer sent its last bytes, Unix nanoseconds
	retired atomic.Bool   // no new request goes by it unless it has come by it

	mu      sync.Mutex // guards the three below
	conn    net.Conn
	done    bool
	waiting map[Waiting]struct{}
	end     chan struct{} // closed with done

	local Local // of a stream that is only in memory: all else is then not used
}

func newStream(t *Transport, to Peer, conn net.Conn) *Stream {
	to.Conn = nil
	return &Stream{
		t: t, to: to, conn: conn, out: make(chan outgoing, streamQueue), end: make(chan struct{}),
		until: time.Now().Add(t.limits.StrangerLife),
	}
}

// Waiting is a request that went out by a connection and is not answered yet.
type Waiting interface {
	// Gone is called once when the connection has ended. It must not block.
	Gone()
}

// Await has a request told when the connection ends, which may be at once.
func (s *Stream) Await(w Waiting) {
	s.mu.Lock()
	done := s.done
	if !done {
		if s.waiting == nil {
			s.waiting = make(map[Waiting]struct{})
		}
		s.waiting[w] = struct{}{}
	}
	s.mu.Unlock()
	if done {
		w.Gone()
	}
}

// Forget takes a request back, which is answered or given up.
func (s *Stream) Forget(w Waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, w)
}

// HeardSince reports whether the peer has sent anything since a time.
func (s *Stream) HeardSince(at time.Time) bool { return s.heard.Load() >= at.UnixNano() }

// Ended reports whether the connection has ended.
func (s *Stream) Ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// established reports whether there is, or was, a connection already.
func (s *Stream) established() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// push queues a message; false means that the connection is gone or its peer too slow.
func (s *Stream) push(o outgoing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return false
	}
	select {
	case s.out <- o:
		return true
	default:
		return false
	}
}

// close ends the connection. It may be called more than once.
func (s *Stream) close() {
	s.mu.Lock()
	if s.done {
		s.mu.Unlock()
		return
	}
	s.done = true
	close(s.end)
	closeNow(s.conn)
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for w := range waiting {
		w.Gone()
	}
}

// closeNow closes a connection without a last word to its peer, for which TLS
// would wait. The length of every message is told, so that nothing can be cut off
// unseen.
func closeNow(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if conn != nil {
		conn.Close()
	}
}

// dial makes the connection and then writes.
func (s *Stream) dial() {
	ctx, cancel := context.WithTimeout(s.t.running, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.to.Addr.String())
	if err == nil && s.to.TLS {
		raw := conn
		if conn, err = s.secureClient(ctx, raw); err != nil {
			raw.Close()
		}
	}
	if err == nil && s.opened(conn) {
		s.t.work.Go(s.read)
		s.write()
		return
	}
	if err != nil && s.t.running.Err() == nil {
		s.t.log.Warn("connecting to a SIP peer failed",
			"address", s.to.Addr.String(), "transport", s.to.Transport(), "err", err)
	}
	s.close()
	s.t.remove(s)
	s.drain()
}

// opened takes the connection in use, unless the stream was closed meanwhile.
func (s *Stream) opened(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		closeNow(conn)
		return false
	}
	s.conn = conn
	return true
}

func (s *Stream) write() {
	for {
		select {
		case <-s.end:
			s.t.remove(s)
			s.drain()
			return
		case o := <-s.out:
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := s.conn.Write(o.data); err != nil {
				s.close()
				if o.lost != nil {
					o.lost()
				}
			}
		}
	}
}

// drain reports the messages that will not be sent any more.
func (s *Stream) drain() {
	for {
		select {
		case o := <-s.out:
			if o.lost != nil {
				o.lost()
			}
		default:
			return
		}
	}
}

// shakenHands completes the TLS handshake of a connection that came in.
func (s *Stream) shakenHands() bool {
	secured, ok := s.conn.(*tls.Conn)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(s.t.running, min(handshakeTimeout, s.t.limits.StrangerLife))
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		s.t.Count.HandshakeErrors.Add(1)
		return false
	}
	return true
}

// trust lets the connection live on, now that its peer is known.
func (s *Stream) trust() {
	s.trusted.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		_ = s.conn.SetReadDeadline(time.Now().Add(idleTimeout))
	}
}

// retiredTimeout is what is left to a connection that seems dead, for answers that are
// late.
const retiredTimeout = time.Minute

func (s *Stream) idleLimit() time.Duration {
	if s.retired.Load() {
		return retiredTimeout
	}
	return idleTimeout
}

// await sets how long the next bytes may take. begun is when the message that is
// incomplete began, zero for none: the time is for the whole of it, so that it cannot be
// drawn out byte by byte. A stranger's connection ends when its time is over, whatever
// has come by then.
func (s *Stream) await(begun time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	until := s.until
	if s.trusted.Load() {
		until = time.Now().Add(s.idleLimit())
	}
	if whole := begun.Add(s.t.limits.MessageWait); !begun.IsZero() && whole.Before(until) {
		until = whole
	}
	_ = s.conn.SetReadDeadline(until)
}

// The most of a stranger on one connection: the bytes of a message, and messages that
// the filter drops.
const (
	strangerBytes    = 16 << 10
	strangerFiltered = 64
)

// read cuts the stream into messages (RFC 3261 section 18.3).
func (s *Stream) read() {
	defer s.close()
	if !s.shakenHands() {
		return
	}
	idle := make([]byte, 0, 4096)
	buffer := idle
	var begun time.Time
	var empty emptyLines
	filtered := 0
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		s.await(begun)
		n, err := s.conn.Read(buffer[len(buffer):cap(buffer)])
		if n > 0 {
			s.heard.Store(s.t.now().UnixNano())
		}
		buffer = buffer[:len(buffer)+n]
		for {
			size, skip, broken := sip.Frame(buffer)
			buffer = buffer[skip:]
			if empty.pinged(skip) {
				s.push(outgoing{pong, nil})
			}
			if !broken && size == 0 {
				break
			}
			empty = emptyLines{}
			begun = time.Time{}
			data := buffer
			if !broken {
				data, buffer = buffer[:size], buffer[size:]
			}
			if !s.take(data) {
				filtered++
			}
			if broken || s.t.filter.Banned(s.to.Addr.Addr()) || filtered > s.t.filter.tolerated() && !s.trusted.Load() {
				return
			}
		}
		if err != nil || len(buffer) > strangerBytes && !s.trusted.Load() {
			return
		}
		switch {
		case len(buffer) == 0:
			buffer = idle[:0]
		case begun.IsZero():
			begun = time.Now()
		}
	}
}

// take hands a message on, if the filter lets it pass.
func (s *Stream) take(data []byte) bool {
	t := s.t
	t.Count.Received.Add(1)
	stranger, ok := t.filter.Admits(s.to.Addr.Addr(), data)
	if !ok {
		t.Count.Filtered.Add(1)
		return false
	}
	t.touch(s)
	if !stranger {
		t.Known(s)
	}
	from := s.to
	from.Conn, from.Stranger = s, stranger
	t.config.Handle(data, from)
	return true
}
