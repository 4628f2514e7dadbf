package rtpengine

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/media"
)

// Times of the ng protocol, which runs over UDP: a request is repeated until its
// answer comes. rtpengine remembers cookies, so a repetition does nothing twice.
const (
	repeatAfter = 250 * time.Millisecond
	giveUpAfter = time.Second
	tickEvery   = 50 * time.Millisecond
	askEvery    = 2 * time.Second // for the load
)

// maxReplyBytes is the largest datagram.
const maxReplyBytes = 65536

// instance is one rtpengine.
type instance struct {
	address netip.AddrPort
	conn    *net.UDPConn

	mu      sync.Mutex // guards all below
	pending map[string]*request
	healthy bool
	load    int64 // the sessions that it reported
	opened  int64 // sessions of this process since that report
	asked   time.Time
}

// request is one that awaits its answer.
type request struct {
	data   []byte
	sent   time.Time
	since  time.Time
	answer func(dict, error)
}

func newInstance(address netip.AddrPort) (*instance, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, fmt.Errorf("rtpengine %s: %w", address, err)
	}
	return &instance{address: address, conn: conn, pending: make(map[string]*request), healthy: true}, nil
}

// send sends a request. answer is called once, by another goroutine.
func (i *instance) send(d dict, now time.Time, answer func(dict, error)) {
	cookie := rand.Text()
	data := appendBencode([]byte(cookie+" "), d)
	i.mu.Lock()
	i.pending[cookie] = &request{data: data, sent: now, since: now, answer: answer}
	i.mu.Unlock()
	// One that cannot be sent is repeated like one that is lost.
	_, _ = i.conn.Write(data)
}

// read gives each answer to its request, until the socket is closed.
func (i *instance) read(closed <-chan struct{}) {
	buffer := make([]byte, maxReplyBytes)
	for {
		n, err := i.conn.Read(buffer)
		if err != nil {
			select {
			case <-closed:
				return
			default:
				continue // no one listens there: an ICMP error caused by an earlier request
			}
		}
		cookie, text, _ := strings.Cut(string(buffer[:n]), " ")
		i.mu.Lock()
		r := i.pending[cookie]
		delete(i.pending, cookie)
		if r != nil {
			i.healthy = true
		}
		i.mu.Unlock()
		if r != nil {
			r.answer(readBencode(text))
		}
	}
}

// tick repeats requests, and gives those up that have waited too long.
func (i *instance) tick(now time.Time) {
	var lost []*request
	i.mu.Lock()
	for cookie, r := range i.pending {
		switch {
		case now.Sub(r.since) >= giveUpAfter:
			lost = append(lost, r)
			delete(i.pending, cookie)
			i.healthy = false
		case now.Sub(r.sent) >= repeatAfter:
			r.sent = now
			_, _ = i.conn.Write(r.data)
		}
	}
	ask := now.Sub(i.asked) >= askEvery
	if ask {
		i.asked = now
	}
	i.mu.Unlock()
	for _, r := range lost {
		r.answer(nil, fmt.Errorf("%w: rtpengine %s does not answer", media.ErrExhausted, i.address))
	}
	if ask {
		i.send(dict{"command": "statistics"}, now, i.statistics)
	}
}

// statistics takes how many sessions the instance has.
func (i *instance) statistics(d dict, err error) {
	if err != nil {
		return
	}
	all, _ := d["statistics"].(dict)
	current, _ := all["currentstatistics"].(dict)
	sessions, known := current["sessionstotal"].(int64)
	if !known {
		return
	}
	i.mu.Lock()
	i.load, i.opened = sessions, 0
	i.mu.Unlock()
}

// abandon ends every request that is left.
func (i *instance) abandon() {
	i.mu.Lock()
	left := i.pending
	i.pending = make(map[string]*request)
	i.mu.Unlock()
	for _, r := range left {
		r.answer(nil, media.ErrClosed)
	}
}

// burden is how much the instance has to do; one that does not answer comes last.
func (i *instance) burden() int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.healthy {
		return 1 << 40
	}
	return i.load + i.opened
}

func (i *instance) took(sessions int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.opened += sessions
}
