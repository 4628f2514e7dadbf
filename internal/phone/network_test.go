package phone

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// network is a lossy datagram network in memory, whose sockets block in a way that
// lets the clock of a synctest bubble run.
type network struct {
	mu    sync.Mutex
	ports map[string]*port
	next  int
	// lose decides which datagrams are lost. It sees each once, in order.
	lose func(datagram string) bool
	sent []string // every datagram, lost ones too
}

type port struct {
	net    *network
	addr   *net.UDPAddr
	in     chan datagram
	closed chan struct{}
	once   sync.Once
}

type datagram struct {
	data []byte
	from net.Addr
}

func newNetwork(lose func(string) bool) *network {
	return &network{ports: map[string]*port{}, next: 20000, lose: lose}
}

func (n *network) listen(address string) (net.PacketConn, error) {
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr.Port == 0 {
		n.next++
		addr.Port = n.next
	}
	if n.ports[addr.String()] != nil {
		return nil, errors.New("port is in use")
	}
	p := &port{net: n, addr: addr, in: make(chan datagram, 1000), closed: make(chan struct{})}
	n.ports[addr.String()] = p
	return p, nil
}

// count is how often a datagram with that start was sent.
func (n *network) count(start string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, text := range n.sent {
		if strings.HasPrefix(text, start) {
			count++
		}
	}
	return count
}

func (p *port) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-p.in:
		return copy(b, d.data), d.from, nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

func (p *port) WriteTo(b []byte, to net.Addr) (int, error) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.net.sent = append(p.net.sent, string(b))
	target := p.net.ports[to.String()]
	if target == nil || (p.net.lose != nil && p.net.lose(string(b))) {
		return len(b), nil
	}
	select {
	case target.in <- datagram{append([]byte(nil), b...), p.addr}:
	default: // a full buffer loses datagrams too
	}
	return len(b), nil
}

func (p *port) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.net.mu.Lock()
		defer p.net.mu.Unlock()
		delete(p.net.ports, p.addr.String())
	})
	return nil
}

func (p *port) LocalAddr() net.Addr              { return p.addr }
func (p *port) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *port) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *port) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// loseFirst loses the first n datagrams of each start given.
func loseFirst(n int, starts ...string) func(string) bool {
	lost := map[string]int{}
	return func(text string) bool {
		for _, start := range starts {
			if strings.HasPrefix(text, start) && lost[start] < n {
				lost[start]++
				return true
			}
		}
		return false
	}
}
