package sipgw

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/tollgate/tollgate/internal/routing"
)

// zone is a DNS server of a test with the records of a zone file.
type zone struct {
	address string

	mu      sync.Mutex // guards all below
	records map[dns.Question][]dns.RR
	asked   int
	silent  bool
	cut     bool // answers over UDP are truncated
}

// listenBoth takes a port of loopback that is free for UDP and TCP.
func listenBoth(t *testing.T) (packets net.PacketConn, listener net.Listener) {
	t.Helper()
	for range 16 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if listener, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, listener
		}
		packets.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func newZone(t *testing.T, text string) *zone {
	t.Helper()
	z := &zone{records: map[dns.Question][]dns.RR{}}
	z.put(t, text)
	packets, listener := listenBoth(t)
	z.address = packets.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: listener, Handler: z}} {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = server.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-ended
		})
	}
	return z
}

func (z *zone) put(t *testing.T, text string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	clear(z.records)
	parser := dns.NewZoneParser(strings.NewReader(text), "test.", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		q := dns.Question{Name: rr.Header().Name, Qtype: rr.Header().Rrtype, Qclass: dns.ClassINET}
		z.records[q] = append(z.records[q], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
}

// ServeDNS implements dns.Handler.
func (z *zone) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	if z.silent {
		return
	}
	answer := new(dns.Msg)
	answer.SetReply(question)
	q := question.Question[0]
	q.Name = strings.ToLower(q.Name)
	answer.Answer = z.records[q]
	if z.cut && w.LocalAddr().Network() == "udp" {
		answer.Answer, answer.Truncated = nil, true
	}
	_ = w.WriteMsg(answer)
}

func (z *zone) questions() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked
}

// resolverOf is a resolver that asks a zone.
func resolverOf(t *testing.T, z *zone, now func() time.Time) *resolver {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &resolver{
		ctx: ctx, now: now, random: rand.New(rand.NewPCG(1, 2)).Float64, dns: newNameServers([]string{z.address}),
		tls: true, names: map[string]resolved{},
	}
	t.Cleanup(func() {
		cancel()
		r.work.Wait()
	})
	return r
}

// find resolves and waits.
func (r *resolver) find(address, transport string) (list []string) {
	answer := make(chan []target, 1)
	r.resolve(&routing.Gateway{Address: address, Transport: transport}, func(targets []target) { answer <- targets })
	for _, t := range <-answer {
		list = append(list, t.transport+" "+t.addr.String())
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
	z := newZone(t, carrierZone)
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
			z.mu.Lock()
			z.cut = cut
			z.mu.Unlock()
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
	z := newZone(t, strings.ReplaceAll(carrierZone, " 60 IN", " 10 IN"))
	now := time.Now()
	r := resolverOf(t, z, func() time.Time { return now })
	first := r.find("carrier.test", "udp")
	asked := z.questions()
	now = now.Add(9 * time.Second)
	if again := r.find("carrier.test", "udp"); !cmp.Equal(first, again) || z.questions() != asked {
		t.Errorf("%v, then %v with %d questions", first, again, z.questions()-asked)
	}
	z.put(t, "_sip._udp.carrier 60 IN SRV 1 0 5060 b.carrier\nb.carrier 60 IN A 192.0.2.7\n")
	now = now.Add(2 * time.Second)
	moved := []string{"udp 192.0.2.7:5060"}
	if got := r.find("carrier.test", "udp"); !cmp.Equal(got, moved) {
		t.Errorf("after the move: %v", got)
	}
	z.mu.Lock()
	z.silent = true
	z.mu.Unlock()
	now = now.Add(time.Hour)
	if got := r.find("carrier.test", "udp"); !cmp.Equal(got, moved) {
		t.Errorf("when no server answers: %v", got)
	}
}

// TestServiceWeights: servers of one priority get calls by their weight (RFC 2782).
func TestServiceWeights(t *testing.T) {
	r := &resolver{random: rand.New(rand.NewPCG(3, 4)).Float64}
	at := func(port uint16) []netip.AddrPort {
		return []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)}
	}
	services := []service{{1, 30, "udp", at(30)}, {1, 10, "udp", at(10)}, {2, 99, "udp", at(99)}}
	count := map[uint16]int{}
	const rounds = 10_000
	for range rounds {
		targets := r.order(services)
		if len(targets) != 3 || targets[2].addr.Port() != 99 {
			t.Fatalf("order %v", targets)
		}
		count[targets[0].addr.Port()]++
	}
	if share := float64(count[30]) / rounds; share < 0.71 || share > 0.79 {
		t.Errorf("weight 30 of 40 comes first in %v", share)
	}
}

// TestServersOfOneGateway: a call goes on to the next server of a name when one is
// silent or overloaded, and the gateway counts as reached.
func TestServersOfOneGateway(t *testing.T) {
	for name, refuse := range map[string]bool{"silent": false, "overloaded": true} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t, "")
			w := newWorld(t, wish{carriers: 2,
				config: func(c *Config) { c.NameServers, c.Timers.GatewayWait = []string{z.address}, 300*time.Millisecond },
				gateway: func(g *routing.Gateway) {
					g.Address, g.Enabled, g.BreakerFailures = "carrier.test", g.Priority == 0, 1
				},
			})
			first, second := w.carriers[0], w.carriers[1]
			z.put(t, fmt.Sprintf("_sip._udp.carrier 60 IN SRV 1 0 %d a\n_sip._udp.carrier 60 IN SRV 2 0 %d a\na 60 IN A %s\n",
				first.local.Port(), second.local.Port(), carrierAddress))
			w.pbx.invite("+12125550123", "")
			invite := first.want("INVITE")
			if !strings.HasPrefix(invite.URI, "sip:+12125550123@carrier.test") {
				t.Errorf("Request-URI %s", invite.URI)
			}
			if refuse {
				first.reply(invite, 503, "far", "Retry-After: 5\r\n", "")
			}
			w.busyAt(second)
			w.healthy(0, routing.StateUp)
			w.settled()
		})
	}
}
