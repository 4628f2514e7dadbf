package sipgw

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

// stream is one connection, TCP or TLS, inbound or outbound.
type stream struct {
	t   *transport
	to  peer
	out chan outgoing

	class   streamClass   // guarded by t.mu, as place is
	place   *list.Element // in the budget of its class; nil when it is in none
	touched atomic.Int64  // when something came last, Unix nanoseconds
	trusted atomic.Bool   // its peer is known
	until   time.Time     // when it ends unless that is known by then

	mu   sync.Mutex // guards the two below
	conn net.Conn
	done bool
	end  chan struct{} // closed with done

	own *ownCaller // of a stream that is only in memory: all else is then not used
}

func newStream(t *transport, to peer, conn net.Conn) *stream {
	to.conn = nil
	return &stream{
		t: t, to: to, conn: conn, out: make(chan outgoing, streamQueue), end: make(chan struct{}),
		until: time.Now().Add(t.limits.StrangerLife),
	}
}

// push queues a message; false means that the connection is gone or its peer too slow.
func (s *stream) push(o outgoing) bool {
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
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	s.done = true
	close(s.end)
	closeNow(s.conn)
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
func (s *stream) dial() {
	ctx, cancel := context.WithTimeout(s.t.running, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.to.addr.String())
	if err == nil && s.to.tls {
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
			"address", s.to.addr.String(), "transport", s.to.transportName(), "err", err)
	}
	s.close()
	s.t.remove(s)
	s.drain()
}

// opened takes the connection in use, unless the stream was closed meanwhile.
func (s *stream) opened(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		closeNow(conn)
		return false
	}
	s.conn = conn
	return true
}

func (s *stream) write() {
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
func (s *stream) drain() {
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
func (s *stream) shakenHands() bool {
	secured, ok := s.conn.(*tls.Conn)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(s.t.running, min(handshakeTimeout, s.t.limits.StrangerLife))
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		s.t.count.handshakeErrors.Add(1)
		return false
	}
	return true
}

// trust lets the connection live on, now that its peer is known.
func (s *stream) trust() {
	s.trusted.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		_ = s.conn.SetReadDeadline(time.Now().Add(idleTimeout))
	}
}

// await sets how long the next bytes may take. begun is when the message that is
// incomplete began, zero for none: the time is for the whole of it, so that it cannot be
// drawn out byte by byte. A stranger's connection ends when its time is over, whatever
// has come by then.
func (s *stream) await(begun time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	until := s.until
	if s.trusted.Load() {
		until = time.Now().Add(idleTimeout)
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
func (s *stream) read() {
	defer s.close()
	if !s.shakenHands() {
		return
	}
	idle := make([]byte, 0, 4096)
	buffer := idle
	var begun time.Time
	filtered := 0
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		s.await(begun)
		n, err := s.conn.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		for {
			size, skip, broken := sip.Frame(buffer)
			buffer = buffer[skip:]
			if !broken && size == 0 {
				break
			}
			begun = time.Time{}
			data := buffer
			if !broken {
				data, buffer = buffer[:size], buffer[size:]
			}
			if !s.take(data) {
				filtered++
			}
			if broken || s.t.filter.bans.has(s.to.addr.Addr(), s.t.now()) || filtered > strangerFiltered && !s.trusted.Load() {
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
func (s *stream) take(data []byte) bool {
	t := s.t
	t.count.received.Add(1)
	stranger, ok := t.filter.admits(s.to.addr.Addr(), data)
	if !ok {
		t.count.filtered.Add(1)
		return false
	}
	t.touch(s)
	if !stranger {
		t.known(s)
	}
	from := s.to
	from.conn, from.stranger = s, stranger
	t.handle(data, from)
	return true
}
