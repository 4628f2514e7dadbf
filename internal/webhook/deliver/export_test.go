package deliver

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// SetDial replaces what connects to an address that was judged.
func (c *Client) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.dial = dial
}

// ControlSocket is the judgement at the socket.
func (c *Client) ControlSocket(address string) error { return c.controlSocket("tcp", address, nil) }

// Refuses is the judgement of an address.
func (c *Client) Refuses(address netip.Addr) string {
	why, _ := c.guard.Refuses(netip.AddrPortFrom(address, 0))
	return why.What
}

// Explain is the explanation that customers get.
func Explain(err error, timeout time.Duration) string { return explain(err, timeout) }

// Times that the tests measure.
const (
	Lease        = lease
	LongestSleep = longestSleep
	StopGrace    = stopGrace
)
