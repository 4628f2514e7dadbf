package reach

import (
	"net/netip"
	"slices"
	"sync/atomic"
)

// Rules are the operator's choices.
type Rules struct {
	// Private allows private networks, and Loopback this machine.
	Private, Loopback bool
	// Documentation allows the addresses of examples, which no host has.
	Documentation bool
	// HighPorts refuses the ports below 1024 of this machine, behind which other
	// protocols are served.
	HighPorts bool
}

// Host is what the server knows of the machine that it runs on.
type Host struct {
	// Addresses are those of the machine, and those that others know it by. They are
	// judged as loopback.
	Addresses []netip.Addr
	// Listeners are the sockets of the server, which is never to talk to itself. An
	// unspecified address stands for all of the machine's.
	Listeners []netip.AddrPort
}

// Guard decides where the server may send. It is safe for concurrent use.
type Guard struct {
	rules  Rules
	host   atomic.Pointer[Host]
	others atomic.Pointer[[]func(netip.AddrPort) bool]
}

// New makes a guard that knows nothing of the machine yet.
func New(rules Rules) *Guard {
	g := &Guard{rules: rules}
	g.host.Store(&Host{})
	g.others.Store(&[]func(netip.AddrPort) bool{})
	return g
}

// Know tells the guard of the machine. It replaces what was known before.
func (g *Guard) Know(h Host) {
	known := Host{}
	for _, a := range h.Addresses {
		known.Addresses = append(known.Addresses, a.Unmap().WithZone(""))
	}
	for _, l := range h.Listeners {
		known.Listeners = append(known.Listeners, plain(l))
	}
	g.host.Store(&known)
}

// Also adds sockets of the server that come and go, as those of a media relay.
func (g *Guard) Also(own func(netip.AddrPort) bool) {
	list := append(slices.Clone(*g.others.Load()), own)
	g.others.Store(&list)
}

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// Judge is the package's Judge, with this machine's own addresses as loopback.
func (g *Guard) Judge(a netip.Addr) (Class, string) {
	class, what := Judge(a)
	if class < Loopback && slices.Contains(g.host.Load().Addresses, a.Unmap()) {
		return Loopback, "an address of this machine"
	}
	return class, what
}

// Own reports whether a socket is one of the server's.
func (g *Guard) Own(at netip.AddrPort) bool {
	at = plain(at)
	host := g.host.Load()
	for _, l := range host.Listeners {
		if l.Port() != at.Port() {
			continue
		}
		if l.Addr() == at.Addr() || l.Addr().IsUnspecified() &&
			(at.Addr().IsLoopback() || at.Addr().IsUnspecified() || slices.Contains(host.Addresses, at.Addr())) {
			return true
		}
	}
	for _, own := range *g.others.Load() {
		if own(at) {
			return true
		}
	}
	return false
}

// Refusal is why a target is refused.
type Refusal struct {
	What string // completes "it is ..."
	// Allowable means that a setting of the operator's allows it.
	Allowable bool
}

const (
	ownListener = "a socket of this server"
	lowPort     = "a port below 1024 of this machine"
)

// Refuses explains why a target that a customer named is refused; ok is true for one
// that may be sent to. A port of 0 stands for one that is not known yet.
func (g *Guard) Refuses(at netip.AddrPort) (why Refusal, ok bool) {
	class, what := g.Judge(at.Addr())
	switch {
	case class == Never:
		return Refusal{What: what}, false
	case at.Port() != 0 && g.Own(at):
		return Refusal{What: ownListener}, false
	case class == Loopback && g.rules.HighPorts && at.Port() != 0 && at.Port() < 1024:
		return Refusal{What: lowPort}, false
	case class == Documentation && !g.rules.Documentation:
		return Refusal{What: what}, false
	case class == Private && !g.rules.Private, class == Loopback && !g.rules.Loopback:
		return Refusal{What: what, Allowable: true}, false
	}
	return Refusal{}, true
}

// RefusesName is Refuses for a name, as far as that is known without asking for it.
func (g *Guard) RefusesName(name string) (why Refusal, ok bool) {
	class, what := JudgeName(name)
	if class == Never || class == Loopback && !g.rules.Loopback {
		return Refusal{What: what, Allowable: class == Loopback}, false
	}
	return Refusal{}, true
}

// Follows reports whether a peer may name a target of its own, as in its Contact or its
// session description. by is the address that the peer itself speaks from: it may
// always name that one. Otherwise a peer names nothing that is closer to the server
// than it is itself: a peer on the internet names no private network, and only a peer on
// this machine names this machine.
func (g *Guard) Follows(at netip.AddrPort, by netip.Addr) bool {
	class, _ := g.Judge(at.Addr())
	if class == Never || g.Own(at) || class == Loopback && at.Port() < 1024 {
		return false
	}
	if class <= Documentation || at.Addr().Unmap() == by.Unmap() || class == Private && g.rules.Private {
		return true
	}
	near, _ := g.Judge(by)
	return near == class
}
