//go:build !linux

package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Elsewhere than on Linux a goroutine reads each socket, and the DSCP of packets is
// not known.

type socket struct {
	conn    *net.UDPConn
	removed bool
}

func bind(address netip.Addr, port uint16) (socket, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, port)))
	return socket{conn: conn}, err
}

func (s *socket) close() { _ = s.conn.Close() }

func (s *socket) send(packet []byte, to netip.AddrPort, _ uint8) bool {
	_, err := s.conn.WriteToUDPAddrPort(packet, to)
	return err == nil
}

// loop passes the packets of many ports on, one at a time.
type loop struct {
	clock   func() time.Time
	readers sync.WaitGroup
	done    chan struct{}
	relayed atomic.Uint64 // packets
	mu      sync.Mutex    // held while a packet passes
}

func newLoop(clock func() time.Time) (*loop, error) {
	return &loop{clock: clock, done: make(chan struct{})}, nil
}

func (l *loop) add(ports ...*port) {
	for _, p := range ports {
		l.readers.Go(func() { l.read(p) })
	}
}

func (l *loop) read(p *port) {
	buffer := make([]byte, maxPacketBytes+sealBytes)
	for {
		n, from, err := p.socket.conn.ReadFromUDPAddrPort(buffer[:maxPacketBytes])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		l.mu.Lock()
		if err == nil && !p.socket.removed {
			p.receive(buffer[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), 0, l.clock())
		}
		l.mu.Unlock()
	}
}

func (l *loop) remove(ports []*port, then func()) {
	l.mu.Lock()
	for _, p := range ports {
		p.socket.removed = true
		p.socket.close()
	}
	l.mu.Unlock()
	then()
}

// through does something with a port that may have been closed meanwhile: then it
// is left out.
func (l *loop) through(p *port, command func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.socket.removed {
		command()
	}
}

func (l *loop) stop() { close(l.done) }

func (l *loop) run() {
	<-l.done
	l.readers.Wait()
}
