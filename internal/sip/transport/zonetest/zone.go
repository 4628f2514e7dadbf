// Package zonetest is a DNS server for tests.
package zonetest

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Zone is a DNS server of a test with the records of a zone file.
type Zone struct {
	Address string // host:port

	mu      sync.Mutex // guards all below
	records map[dns.Question][]dns.RR
	asked   int
	silent  bool
	cut     bool // answers over UDP are truncated
}

// New starts a server with the records of a zone file, whose names are in the domain test.
func New(t *testing.T, text string) *Zone {
	t.Helper()
	z := &Zone{records: map[dns.Question][]dns.RR{}}
	z.Put(t, text)
	packets, listener := listenBoth(t)
	z.Address = packets.LocalAddr().String()
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

// Put puts other records in the place of those before.
func (z *Zone) Put(t *testing.T, text string) {
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
func (z *Zone) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
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

// Silence has the server answer nothing from now on.
func (z *Zone) Silence() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.silent = true
}

// Truncate reports whether answers over UDP are cut.
func (z *Zone) Truncate(cut bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.cut = cut
}

// Questions is how many were asked.
func (z *Zone) Questions() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked
}

// listenBoth takes a port of loopback that is free for UDP and TCP.
func listenBoth(t *testing.T) (packets net.PacketConn, listener net.Listener) {
	t.Helper()
	for range 16 {
		packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", packets.LocalAddr().String()); err == nil {
			return packets, listener
		}
		if err := packets.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}
