package app

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/routing"
)

// buildReach makes the guard of everything that SIP and media are sent to. This
// machine itself is allowed where SIP is served to no other, as in the quick start.
func (a *App) buildReach() {
	c := a.config
	quick := !slices.ContainsFunc(c.sipAddresses(), func(address string) bool { return !onLoopback(address) })
	a.reach = reach.New(reach.Rules{
		Private: c.GatewayAllowPrivate, Loopback: c.GatewayAllowPrivate || quick, Documentation: true, HighPorts: true,
	})
	a.lookAround()
}

// lookAround tells the guards what this machine's addresses are now, and what listens.
func (a *App) lookAround() {
	h := reach.Host{Listeners: a.listeners()}
	if networks, err := net.InterfaceAddrs(); err == nil {
		for _, n := range networks {
			if prefix, err := netip.ParsePrefix(n.String()); err == nil {
				h.Addresses = append(h.Addresses, prefix.Addr())
			}
		}
	}
	if anchor, err := a.config.relayConfig(); err == nil {
		for _, address := range anchor.Addresses {
			if !address.Public.IsValid() {
				continue
			}
			h.Addresses = append(h.Addresses, address.Public)
			for _, l := range h.Listeners {
				if l.Addr() == address.Local || l.Addr().IsUnspecified() {
					h.Listeners = append(h.Listeners, netip.AddrPortFrom(address.Public, l.Port()))
				}
			}
		}
	}
	a.addAdvertised(&h)
	a.reach.Know(h)
	// A web server of the same machine may well want events.
	a.webhooks.Know(reach.Host{Listeners: h.Listeners})
}

// addAdvertised adds the addresses by which peers reach this machine's SIP.
func (a *App) addAdvertised(h *reach.Host) {
	advertised, err := a.config.advertised()
	if err != nil {
		return // Check says so
	}
	for i := range advertised {
		at := advertised[i].Address()
		if !at.IsValid() {
			continue
		}
		h.Addresses = append(h.Addresses, at)
		for _, text := range a.config.sipAddresses() {
			if _, port, err := net.SplitHostPort(text); err == nil {
				h.Listeners = appendListener(h.Listeners, at, port)
			}
		}
		if port := advertised[i].Port; port != 0 {
			h.Listeners = append(h.Listeners, netip.AddrPortFrom(at, port))
		}
	}
}

func appendListener(list []netip.AddrPort, at netip.Addr, port string) []netip.AddrPort {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return list
	}
	return append(list, netip.AddrPortFrom(at, uint16(number)))
}

// listeners are the sockets on which this server listens, or will, as far as their
// ports are known.
func (a *App) listeners() []netip.AddrPort {
	texts := append(a.config.sipAddresses(), a.config.HTTPAddr, a.config.MetricsAddr)
	var list []netip.AddrPort
	if a.listener != nil {
		texts = append(texts, a.HTTPAddr(), a.MetricsAddr())
		list = a.sip.Listeners()
	}
	for _, text := range texts {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			continue
		}
		switch host {
		case "":
			host = "::"
		case "localhost":
			host = "127.0.0.1"
		}
		if at, err := netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil && at.Port() != 0 {
			list = append(list, at)
		}
	}
	if engines, err := a.config.rtpengines(); err == nil {
		list = append(list, engines...)
	}
	return list
}

// onLoopback reports whether an address to listen on is reached from this machine only.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// checkGateway reports the addresses of a gateway to which this server does not send.
func (a *App) checkGateway(g *routing.Gateway) []field.Error { return g.Reachable(a.reach) }
