package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tollgate/tollgate/internal/media"
)

// ports gives out pairs of ports, an even one for RTP and the next for RTCP (RFC
// 3550 section 11). They are used in a random order, so that no one can guess the
// next, and again as late as possible, so that what still arrives for one call
// finds no other.
type ports struct {
	mu   sync.Mutex // guards free
	free []uint16   // even ports; taken from the front, given back at the end

	taken [1 << 16 / portsPerWord]atomic.Uint64 // a bit for each port that is given out
}

// portsPerWord is how many ports have their bit in one word.
const portsPerWord = 64

// mark notes whether a pair of ports is given out.
func (p *ports) mark(port uint16, taken bool) {
	word, bit := &p.taken[port/portsPerWord], uint64(1)<<(port%portsPerWord)
	if taken {
		word.Or(bit)
	} else {
		word.And(^bit)
	}
}

func newPorts(low, high uint16) *ports {
	p := &ports{}
	for port := (uint32(low) + 1) &^ 1; port+1 <= uint32(high); port += 2 {
		p.free = append(p.free, uint16(port))
	}
	rand.Shuffle(len(p.free), func(i, j int) { p.free[i], p.free[j] = p.free[j], p.free[i] })
	return p
}

func (p *ports) take() (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return 0, false
	}
	port := p.free[0]
	p.free = p.free[1:]
	p.mark(port, true)
	return port, true
}

func (p *ports) give(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, port)
	p.mark(port, false)
}

// holds reports whether a port is one of a pair that was taken.
func (p *ports) holds(port uint16) bool {
	port &^= 1
	return p.taken[port/portsPerWord].Load()&(1<<(port%portsPerWord)) != 0
}

// maxBusyPorts bounds how many pairs that other programs use are passed over for
// one stream.
const maxBusyPorts = 64

// openPair binds a pair of ports of an address.
func (p *ports) openPair(address netip.Addr) (rtp, rtcp socket, port uint16, err error) {
	for range maxBusyPorts {
		port, ok := p.take()
		if !ok {
			return rtp, rtcp, 0, fmt.Errorf("%w: every port of the range is in use", media.ErrExhausted)
		}
		rtp, err = bind(address, port)
		if err == nil {
			if rtcp, err = bind(address, port+1); err == nil {
				return rtp, rtcp, port, nil
			}
			rtp.close()
		}
		p.give(port)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return rtp, rtcp, 0, fmt.Errorf("%w: %w", media.ErrExhausted, err)
		}
	}
	return rtp, rtcp, 0, fmt.Errorf("%w: other programs use the ports of the range: %w", media.ErrExhausted, err)
}
