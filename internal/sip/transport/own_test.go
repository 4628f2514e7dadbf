package transport

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// ownOf are the addresses of a transport that is bound to an address and advertises texts.
func ownOf(t *testing.T, bound string, texts ...string) *Transport {
	t.Helper()
	tr := &Transport{now: time.Now}
	for _, text := range texts {
		a, err := ParseAdvertised(text)
		if err != nil {
			t.Fatal(err)
		}
		tr.config.Advertise = append(tr.config.Advertise, a)
	}
	at := netip.MustParseAddrPort(bound)
	for name, port := range map[string]uint16{"udp": at.Port(), "tcp": at.Port(), "tls": 5061} {
		tr.add(&listener{name: name}, netip.AddrPortFrom(at.Addr(), port))
	}
	return tr
}

// TestOwnAddressIsThePeersView: a peer is told what it can reach, by family, network and
// listener.
func TestOwnAddressIsThePeersView(t *testing.T) {
	udp, tcp, tls := Peer{}, Peer{TCP: true}, Peer{TCP: true, TLS: true}
	for name, c := range map[string]struct {
		bound      string
		advertised string
		like       Peer
		peer, want string
	}{
		"bound":              {"10.0.0.5:5060", "", udp, "192.0.2.7", "10.0.0.5:5060"},
		"bound with a zone":  {"[fe80::1%lo]:5060", "", udp, "fe80::2%lo", "[fe80::1]:5060"},
		"translated":         {"10.0.0.5:5060", "203.0.113.5", tcp, "192.0.2.7", "203.0.113.5:5060"},
		"mapped port":        {"10.0.0.5:5060", "203.0.113.5:15060", udp, "192.0.2.7", "203.0.113.5:15060"},
		"port is not TLS's":  {"10.0.0.5:5060", "203.0.113.5:15060", tls, "192.0.2.7", "203.0.113.5:5061"},
		"TLS by name":        {"10.0.0.5:5060", "203.0.113.5 tls=sip.test:443", tls, "192.0.2.7", "sip.test:443"},
		"TLS alone":          {"10.0.0.5:5060", "tls=sip.test:443", tls, "192.0.2.7", "sip.test:443"},
		"TLS alone, UDP":     {"10.0.0.5:5060", "tls=sip.test:443", udp, "192.0.2.7", "10.0.0.5:5060"},
		"name":               {"[::]:5060", "sip.test", udp, "2001:db8::7", "sip.test:5060"},
		"name for the other": {"[::]:5060", "sip.test 203.0.113.5", udp, "2001:db8::7", "sip.test:5060"},
		"address first":      {"[::]:5060", "sip.test 203.0.113.5", udp, "192.0.2.7", "203.0.113.5:5060"},
		"family":             {"[::]:5060", "203.0.113.5 2001:db8::5", udp, "2001:db8::7", "[2001:db8::5]:5060"},
		"family with port":   {"[::]:5060", "[2001:db8::5]:5080", udp, "2001:db8::7", "[2001:db8::5]:5080"},
		"inside":             {"10.0.0.5:5060", "203.0.113.5 10.0.0.5@10.0.0.0/8", udp, "10.1.2.3", "10.0.0.5:5060"},
		"outside":            {"10.0.0.5:5060", "203.0.113.5 10.0.0.5@10.0.0.0/8", udp, "192.0.2.7", "203.0.113.5:5060"},
		"every address, 4":   {"[::]:5060", "", udp, "127.0.0.1", "127.0.0.1:5060"},
		"every address, 6":   {"[::]:5060", "", udp, "::1", "[::1]:5060"},
		"every address, TCP": {"0.0.0.0:5060", "", tcp, "127.0.0.1", "127.0.0.1:5060"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := ownOf(t, c.bound, strings.Fields(c.advertised)...)
			c.like.Addr = netip.AddrPortFrom(netip.MustParseAddr(c.peer), 5060)
			for range 2 {
				if got := tr.Own(c.like).HostPort; got != c.want {
					t.Errorf("%s is told %s, want %s", c.peer, got, c.want)
				}
			}
		})
	}
}

func TestAdvertisedThatIsNone(t *testing.T) {
	for _, text := range []string{"", "0.0.0.0", "[::]", "[fe80::1%eth0]:5060", "fe80::1%eth0", "sctp=203.0.113.5",
		"203.0.113.5:0", "203.0.113.5:99999", "sip.test:port", "203.0.113.5@10.0.0.0", "sip_1.test", "a b.test",
		"sip.test\r\nEvil: 1", "203.0.113", "-a.test", "<sip.test>", "239.1.1.1", "udp="} {
		if a, err := ParseAdvertised(text); err == nil {
			t.Errorf("%q is taken as %+v", text, a)
		}
	}
}

// FuzzParseAdvertised: what is taken can stand in a URI.
func FuzzParseAdvertised(f *testing.F) {
	for _, text := range []string{"203.0.113.5", "[2001:db8::5]:5080", "tls=sip.test:443", "10.0.0.5@10.0.0.0/8", "::1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAdvertised(text)
		if err != nil {
			return
		}
		own := newOwnAddress(a.Host, 5060, "")
		for i := range len(own.HostPort) {
			c := own.HostPort[i]
			letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
			if !letter && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' {
				t.Errorf("%q gives %q", text, own.HostPort)
			}
		}
	})
}

// TestSeveralListeners: a peer is spoken to from where it has spoken to; else from the
// listener that the system's routes choose, or of its family. What is advertised of one
// listener is told by no other.
func TestSeveralListeners(t *testing.T) {
	tr := &Transport{now: time.Now}
	for _, text := range []string{"127.0.0.9:5060=203.0.113.9", "tls=[::1]:5061", "192.0.2.1:5060=203.0.113.1:15060"} {
		if a, err := ParseAdvertised(text); err == nil {
			tr.config.Advertise = append(tr.config.Advertise, a)
		} else {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"udp 127.0.0.9:5060", "tcp 127.0.0.9:5060", "udp 127.0.0.1:5070", "udp [::1]:5060",
		"udp 192.0.2.1:5060", "tls [::1]:5061"} {
		name, at, _ := strings.Cut(text, " ")
		tr.add(&listener{name: name}, netip.MustParseAddrPort(at))
	}
	for name, c := range map[string]struct {
		to   Peer
		peer string
		want string
	}{
		"where it spoke to":         {Peer{Listener: 1}, "127.0.0.1", "203.0.113.9:5060"},
		"another one":               {Peer{Listener: 5}, "198.51.100.7", "203.0.113.1:15060"},
		"by the route":              {Peer{}, "127.0.0.1", "127.0.0.1:5070"},
		"by the route, IPv6":        {Peer{}, "::1", "[::1]:5060"},
		"of the family":             {Peer{Listener: 1}, "::1", "[::1]:5060"},
		"of the transport":          {Peer{TCP: true, Listener: 4}, "127.0.0.1", "203.0.113.9:5060"},
		"TLS":                       {Peer{TCP: true, TLS: true}, "::1", "[::1]:5061"},
		"a place that there is not": {Peer{Listener: 99}, "127.0.0.1", "127.0.0.1:5070"},
	} {
		c.to.Addr = netip.AddrPortFrom(netip.MustParseAddr(c.peer), 5060)
		for range 2 {
			if got := tr.Own(c.to).HostPort; got != c.want {
				t.Errorf("%s: %s is told %s, want %s", name, c.peer, got, c.want)
			}
		}
	}
}

func TestParseListen(t *testing.T) {
	for text, want := range map[string]Listen{
		"192.0.2.1:5060":       {"", "192.0.2.1:5060"},
		"[2001:db8::1]:5060":   {"", "[2001:db8::1]:5060"},
		"udp=:5060":            {"udp", ":5060"},
		"tls=localhost:5061":   {"tls", "localhost:5061"},
		"tcp=192.0.2.1:15060":  {"tcp", "192.0.2.1:15060"},
		"sctp=192.0.2.1:15060": {}, "192.0.2.1": {}, "": {}, "udp=": {}, "=192.0.2.1:5060": {},
	} {
		got, err := ParseListen(text)
		if err == nil && got != want || (err == nil) != (want.Addr != "") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
