package sipgw

import (
	"time"

	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// mostDatagram is the size of a request above which it must not go by UDP where TCP can be
// had (RFC 3261 section 18.1.1): its fragments are often lost.
const mostDatagram = 1300

// large describes how an attempt sends an INVITE that is too large for a datagram.
type large uint8

const (
	asFound  large = iota // as the gateway's records say
	byStream              // by TCP, since it is large
	byUDP                 // by UDP, since TCP brought nothing
)

// toStream moves an attempt to TCP, at the same address, and reports whether it has. Only a
// gateway of transport auto leaves that to us, and none to which TCP was tried without success.
func (how *large) toStream(a *attempt) bool {
	l, now := a.leg, a.s.sh.now
	if *how == byUDP || l.peer.TCP || a.gateway.Transport != routing.TransportAuto || !a.trunk.takesStreams(now) {
		return false
	}
	*how = byStream
	l.peer.TCP = true
	l.target += ";transport=tcp"
	// A firewall that drops TCP is not waited for as long as a gateway.
	a.s.sh.timers.Set(&a.wait, a, timerGiveUp, now.Add(a.s.sh.srv.config.Timers.GatewayWait/2))
	return true
}

// byDatagram tries the same server again by UDP after TCP, which the size of the INVITE
// had wanted, brought nothing (RFC 3261 section 18.1.1).
func (a *attempt) byDatagram() bool {
	s := a.s
	if a.large != byStream || a.trying || a.heard || s.attempt != a {
		return false
	}
	a.trunk.refusesStreams(s.sh.now)
	next := &attempt{s: s, n: a.n, gateway: a.gateway, trunk: a.trunk, minSE: a.minSE, targets: a.targets,
		signed: a.signed, large: byUDP}
	s.attempt = next
	next.start(transport.Target{Addr: a.leg.peer.Addr, Transport: "udp"})
	return true
}

// streamless is how long no TCP is tried with a gateway of transport auto that did not
// take it.
const streamless = 10 * time.Minute

func (t *trunk) takesStreams(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !now.Before(t.streamsFrom)
}

func (t *trunk) refusesStreams(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streamsFrom = now.Add(streamless)
}
