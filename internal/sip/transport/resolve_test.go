package transport

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport/zonetest"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/routing"
)

// resolverOf is a resolver that asks a zone.
func resolverOf(t *testing.T, z *zonetest.Zone, now func() time.Time) *Resolver {
	t.Helper()
	r := NewResolver(ResolverConfig{NameServers: []string{z.Address}, Clock: now, TLS: true})
	r.random = rand.New(rand.NewPCG(1, 2)).Float64
	t.Cleanup(r.Stop)
	return r
}

// find resolves and waits.
func (r *Resolver) find(address, transport string) (list []string) {
	answer := make(chan []Target, 1)
	r.Resolve(&routing.Gateway{Address: address, Transport: transport}, func(targets []Target) { answer <- targets })
	for _, t := range <-answer {
		list = append(list, t.Transport+" "+t.Addr.String())
	}
	return list
}

const carrierZone = `
carrier 60 IN NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.carrier
carrier 60 IN NAPTR 10 10 "s" "SIPS+D2T" "" _sips._tcp.carrier
carrier 60 IN NAPTR 5  10 "u" "E2U+sip" "!^.*$!sip:x@y!" .
_sip._udp.carrier 60 IN SRV 2 0 5070 b.carrier
_sip._udp.carrier 60 IN SRV 1 0 5060 a.carrier
_sips._tcp.carrier 60 IN SRV 1 0 5071 a.carrier
a.carrier 60 IN A 192.0.2.1
b.carrier 60 IN A 192.0.2.2
b.carrier 60 IN AAAA 2001:db8::2
plain 60 IN A 192.0.2.3
only 60 IN A 192.0.2.4
_sip._tcp.only 60 IN SRV 0 0 5080 a.carrier
gone 60 IN A 192.0.2.5
_sip._udp.gone 60 IN SRV 0 0 0 .
`

func TestResolve(t *testing.T) {
	z := zonetest.New(t, carrierZone)
	for _, c := range []struct {
		address, transport string
		want               []string
	}{
		{"192.0.2.9", "udp", []string{"udp 192.0.2.9:5060"}},
		{"192.0.2.9", "tls", []string{"tls 192.0.2.9:5061"}},
		{"[2001:db8::9]:5080", "auto", []string{"udp [2001:db8::9]:5080"}},
		{"carrier.test", "udp", []string{"udp 192.0.2.1:5060", "udp 192.0.2.2:5070", "udp [2001:db8::2]:5070"}},
		{"carrier.test", "tls", []string{"tls 192.0.2.1:5071"}},
		{"carrier.test", "auto", []string{"tls 192.0.2.1:5071", "udp 192.0.2.1:5060", "udp 192.0.2.2:5070",
			"udp [2001:db8::2]:5070"}},
		{"a.carrier.test:5090", "tcp", []string{"tcp 192.0.2.1:5090"}},
		{"plain.test", "udp", []string{"udp 192.0.2.3:5060"}},
		{"plain.test", "tls", []string{"tls 192.0.2.3:5061"}},
		{"plain.test", "auto", []string{"udp 192.0.2.3:5060"}},
		{"only.test", "auto", []string{"tcp 192.0.2.1:5080"}},
		{"gone.test", "udp", []string{"udp 192.0.2.5:5060"}},
		{"unknown.test", "udp", nil},
	} {
		for _, cut := range []bool{false, true} {
			z.Truncate(cut)
			r := resolverOf(t, z, time.Now)
			if diff := cmp.Diff(c.want, r.find(c.address, c.transport)); diff != "" {
				t.Errorf("%s by %s, truncated %v (-want +got):\n%s", c.address, c.transport, cut, diff)
			}
		}
	}
}

// TestResolveKeepsAnswers: an answer is used for as long as its records say, and on
// when the servers are silent.
func TestResolveKeepsAnswers(t *testing.T) {
	z := zonetest.New(t, strings.ReplaceAll(carrierZone, " 60 IN", " 10 IN"))
	now := time.Now()
	r := resolverOf(t, z, func() time.Time { return now })
	first := r.find("carrier.test", "udp")
	asked := z.Questions()
	now = now.Add(9 * time.Second)
	if again := r.find("carrier.test", "udp"); !cmp.Equal(first, again) || z.Questions() != asked {
		t.Errorf("%v, then %v with %d questions", first, again, z.Questions()-asked)
	}
	z.Put(t, "_sip._udp.carrier 60 IN SRV 1 0 5060 b.carrier\nb.carrier 60 IN A 192.0.2.7\n")
	now = now.Add(2 * time.Second)
	moved := []string{"udp 192.0.2.7:5060"}
	if got := r.find("carrier.test", "udp"); !cmp.Equal(got, moved) {
		t.Errorf("after the move: %v", got)
	}
	z.Silence()
	now = now.Add(time.Hour)
	if got := r.find("carrier.test", "udp"); !cmp.Equal(got, moved) {
		t.Errorf("when no server answers: %v", got)
	}
}

// TestServiceWeights: servers of one priority get calls by their weight (RFC 2782).
func TestServiceWeights(t *testing.T) {
	r := &Resolver{random: rand.New(rand.NewPCG(3, 4)).Float64}
	at := func(port uint16) []netip.AddrPort {
		return []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)}
	}
	services := []service{{1, 30, "udp", at(30)}, {1, 10, "udp", at(10)}, {2, 99, "udp", at(99)}}
	count := map[uint16]int{}
	const rounds = 10_000
	for range rounds {
		targets := r.order(services)
		if len(targets) != 3 || targets[2].Addr.Port() != 99 {
			t.Fatalf("order %v", targets)
		}
		count[targets[0].Addr.Port()]++
	}
	if share := float64(count[30]) / rounds; share < 0.71 || share > 0.79 {
		t.Errorf("weight 30 of 40 comes first in %v", share)
	}
}

// TestResolveLeavesOutWhatIsInside: whatever a name leads to, nothing is sent inside.
func TestResolveLeavesOutWhatIsInside(t *testing.T) {
	z := zonetest.New(t, `
mixed 60 IN A 10.0.0.9
mixed 60 IN A 192.0.2.9
mixed 60 IN A 169.254.169.254
mixed 60 IN AAAA ::1
mixed 60 IN AAAA 2001:db8::9
inside 60 IN A 127.0.0.1
alias 60 IN CNAME inside.test.
alias 60 IN A 10.0.0.1
mapped 60 IN AAAA ::ffff:169.254.169.254
_sip._udp.service 60 IN SRV 1 0 22 inside
_sip._udp.service 60 IN SRV 2 0 5070 mixed
_sip._udp.itself 60 IN SRV 1 0 5060 here
here 60 IN A 203.0.113.5
pointer 60 IN NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.metadata
_sip._tcp.metadata 60 IN SRV 1 0 80 meta
meta 60 IN A 169.254.169.254
many 60 IN A 224.0.1.75
many 60 IN A 255.255.255.255
many 60 IN A 0.0.0.0
many 60 IN A 240.0.0.1
many 60 IN A 100.100.100.200
`)
	guard := reach.New(reach.Rules{Documentation: true, HighPorts: true})
	guard.Know(reach.Host{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5060")}})
	for _, c := range []struct {
		address, transport string
		want               []string
		all                bool // left out
	}{
		{"mixed.test", "udp", []string{"udp 192.0.2.9:5060", "udp [2001:db8::9]:5060"}, false},
		{"mixed.test:5080", "tcp", []string{"tcp 192.0.2.9:5080", "tcp [2001:db8::9]:5080"}, false},
		{"inside.test", "udp", nil, true},
		{"alias.test", "udp", nil, true},
		{"mapped.test:80", "tcp", nil, true},
		{"service.test", "udp", []string{"udp 192.0.2.9:5070", "udp [2001:db8::9]:5070"}, false},
		{"itself.test", "udp", nil, true},
		{"pointer.test", "auto", nil, true},
		{"many.test", "udp", nil, true},
		{"127.0.0.1:22", "tcp", nil, true},
		{"[::ffff:10.0.0.1]:5060", "udp", nil, true},
	} {
		r := resolverOf(t, z, time.Now)
		told := ""
		r.Reach, r.Refused = guard, func(_ *routing.Gateway, why string, all bool) {
			if told = why; all != c.all {
				t.Errorf("%s: nothing is left %v", c.address, all)
			}
		}
		if diff := cmp.Diff(c.want, r.find(c.address, c.transport)); diff != "" || told == "" {
			t.Errorf("%s by %s, told %q (-want +got):\n%s", c.address, c.transport, told, diff)
		}
		if c.address == "mixed.test" { // the answer that is kept is judged again
			if diff := cmp.Diff(c.want, r.find(c.address, c.transport)); diff != "" {
				t.Errorf("%s again (-want +got):\n%s", c.address, diff)
			}
		}
	}
}
