package relay

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/mediatest"
	"github.com/tollgate/tollgate/internal/record"
)

func TestPacketsThatAreNone(t *testing.T) {
	r := newRelay(t, loopback())
	caller, callee := pair(t)
	s, err := r.call(t, caller, callee)
	if err != nil {
		t.Fatal(err)
	}
	e := s.streams[0].ends[0]
	from := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 9)
	done := make(chan struct{})
	feed := func() { // by the loop, which alone touches its ports
		for _, packet := range []string{"", "x", strings.Repeat("\x80", 11), strings.Repeat("\x00", 172),
			strings.Repeat("\xff", 172)} {
			e.rtp.receive([]byte(packet), from, 0, time.Now())
		}
		for _, packet := range []string{"", strings.Repeat("\x80", 7), strings.Repeat("\x00", 20)} {
			e.rtcp.receive([]byte(packet), from, 0, time.Now())
		}
		close(done)
	}
	s.loop.do(feed)
	<-done
	callee.Quiet()
	if stats := r.Stats(); stats.Malformed != 6 || stats.Foreign != 2 {
		t.Errorf("%+v", stats)
	}
	// None of them has taken the side's place.
	mediatest.Converse(t, caller, callee)
}

// TestTheDSCPIsKept holds that what a side marks is marked for the other too.
func TestTheDSCPIsKept(t *testing.T) {
	r := newRelay(t, loopback())
	for _, host := range []string{"127.0.0.1", "::1"} {
		ip := netip.MustParseAddr(host)
		near, far := marked(t, ip), marked(t, ip)
		s := r.Open(media.Opening{})
		defer s.Close()
		describe := func(c *net.UDPConn) []byte {
			a := c.LocalAddr().(*net.UDPAddr).AddrPort()
			return []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n" + connectionLine(a.Addr(), "") + "\r\nt=0 0\r\nm=audio " +
				netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port()).String()[len("0.0.0.0:"):] + " RTP/AVP 0\r\n")
		}
		var to netip.AddrPort
		s.Offer(media.Description{From: record.SideCaller, SDP: describe(near), Source: ip, Target: ip},
			func([]byte, error) {})
		s.Answer(media.Description{From: record.SideCallee, SDP: describe(far), Source: ip, Target: ip},
			func(sdp []byte, _ error) {
				d, err := readDescription(sdp)
				if err != nil {
					t.Fatal(err)
				}
				to = netip.AddrPortFrom(d.streams[0].address, d.streams[0].port)
			})
		for _, class := range []int{46 << 2, 46 << 2, 0, 34<<2 | 1} {
			setClass(t, near, ip, class)
			if _, err := near.WriteToUDPAddrPort(append([]byte{0x80}, make([]byte, 171)...), to); err != nil {
				t.Fatal(err)
			}
			_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
			buffer, control := make([]byte, 2048), make([]byte, controlBytes)
			_, n, _, _, err := far.ReadMsgUDPAddrPort(buffer, control)
			if err != nil {
				t.Fatal(err)
			}
			if got := dscpOf(control[:n]); int(got) != class>>2 {
				t.Errorf("%s: DSCP %d became %d", host, class>>2, got)
			}
		}
	}
}

// marked is a socket that is told the traffic class of what it receives.
func marked(t *testing.T, ip netip.Addr) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	option(t, c, ip, unix.IP_RECVTOS, unix.IPV6_RECVTCLASS, 1)
	return c
}

func setClass(t *testing.T, c *net.UDPConn, ip netip.Addr, class int) {
	t.Helper()
	option(t, c, ip, unix.IP_TOS, unix.IPV6_TCLASS, class)
}

func option(t *testing.T, c *net.UDPConn, ip netip.Addr, of4, of6, value int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if ip.Is6() {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, of6, value)
		} else {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, of4, value)
		}
	})
	if err != nil || set != nil {
		t.Fatal(err, set)
	}
}
