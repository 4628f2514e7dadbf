package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/internal/sip/torture"
)

// lossy is a socket that loses what it sends and receives.
type lossy struct {
	net.PacketConn
	share float64
	lost  *atomic.Int64
}

// ReadFrom implements net.PacketConn.
func (l *lossy) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := l.PacketConn.ReadFrom(p)
		if err != nil || rand.Float64() >= l.share {
			return n, from, err
		}
		l.lost.Add(1)
	}
}

// WriteTo implements net.PacketConn.
func (l *lossy) WriteTo(p []byte, to net.Addr) (int, error) {
	if rand.Float64() < l.share {
		l.lost.Add(1)
		return len(p), nil
	}
	return l.PacketConn.WriteTo(p, to)
}

// lostDatagrams has phones whose network loses three of ten datagrams, in both
// directions, and some phones that vanish in the middle of a call.
func lostDatagrams(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(object{"concurrent_call_limit": nil, "daily_spend_limit": "2.00"}, n)
	begin, end := b.emergencies(n)
	begin()
	var lost atomic.Int64
	listen := func(address string) (net.PacketConn, error) {
		socket, err := net.ListenPacket("udp", address)
		return &lossy{socket, 0.3, &lost}, err
	}
	calls := b.times(1000, 50)
	work := make(chan int, calls)
	for i := range calls {
		work <- i
	}
	close(work)
	done := make(chan struct{})
	var answered, vanished atomic.Int64
	const phones = 40
	for range phones {
		go func() {
			for i := range work {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				c, err := phone.Dial(ctx, phone.Options{
					Server: n.sip, From: "+13125550100", To: "+12125550123", LocalAddr: pbxIP + ":0", NoAudio: true,
					HangUpAfter: 100 * time.Millisecond, T1: 100 * time.Millisecond, Listen: listen,
				})
				if err == nil {
					select {
					case <-c.Done():
					case <-ctx.Done():
					}
					if o := c.Outcome(); !o.Answered.IsZero() {
						answered.Add(1)
					}
					if i%50 != 0 {
						c.Close()
					}
				}
				cancel()
			}
			done <- struct{}{}
		}()
	}
	for range phones {
		<-done
	}
	// Phones that vanish: their sockets lose everything from the answer on.
	gone := s.vanish(n, b.times(20, 5))
	vanished.Store(int64(gone))
	end()
	s.settled(5 * time.Minute)
	s.conclude(nil, nil)
	b.did(fmt.Sprintf("%d datagrams lost of both directions; %d phones vanish in the middle of a call", lost.Load(), gone),
		fmt.Sprintf("%d calls over SIP, %d answered", calls, answered.Load()))
}

// vanish has phones answer nothing any more once their calls are up.
func (s *site) vanish(n *node, calls int) int {
	for range calls {
		var away atomic.Bool
		c, err := phone.Dial(context.Background(), phone.Options{
			Server: n.sip, From: "+13125550100", To: "+12125550123", LocalAddr: pbxIP + ":0", NoAudio: true,
			Listen: func(address string) (net.PacketConn, error) {
				socket, err := net.ListenPacket("udp", address)
				return &vanishing{socket, &away}, err
			},
		})
		s.b.check(err)
		s.b.Cleanup(c.Close)
		<-c.Answered()
		away.Store(true)
	}
	return calls
}

// vanishing is a socket that loses everything once it is away.
type vanishing struct {
	net.PacketConn
	away *atomic.Bool
}

// ReadFrom implements net.PacketConn.
func (v *vanishing) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := v.PacketConn.ReadFrom(p)
		if err != nil || !v.away.Load() {
			return n, from, err
		}
	}
}

// WriteTo implements net.PacketConn.
func (v *vanishing) WriteTo(p []byte, to net.Addr) (int, error) {
	if v.away.Load() {
		return len(p), nil
	}
	return v.PacketConn.WriteTo(p, to)
}

// deadGateway kills the gateway in the middle of many calls. The next process ends
// them at both sides.
func deadGateway(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(open, n) // a thousand calls cost ten dollars a second
	begin, end := b.emergencies(n)
	calls := b.times(1000, 50)
	h := s.hold(n, calls)
	b.eventually("each answer is durable", time.Minute, func() bool { return n.talking() >= calls })
	begin()
	n.kill()
	n.start()
	b.eventually("both sides of each call hear its end", 3*time.Minute, func() bool { return h.alive() == 0 })
	b.eventually("an emergency call", time.Minute, func() bool { return s.carried("911") > 0 })
	end()
	s.conclude(nil, nil)
	lost := 0
	for _, r := range n.records() {
		if r["outcome"] == "lost" && r["emergency"] != true {
			lost++
		}
	}
	if lost != calls {
		b.Errorf("I4: %d of %d calls have a record as lost", lost, calls)
	}
	b.did(fmt.Sprintf("1 × SIGKILL with %d calls up; each side of each gets its BYE from the next process", calls),
		fmt.Sprintf("%d calls over SIP", calls))
}

// talking counts the live calls that are answered, as far as the ledger has heard.
func (n *node) talking() (talking int) {
	n.b.Helper()
	for _, c := range n.live() {
		if c["answered_at"] != nil {
			talking++
		}
	}
	return talking
}

// carried counts the calls to a number that the carrier has answered.
func (s *site) carried(number string) (n int) {
	for _, c := range s.carrier.Calls() {
		if c.To == number && !c.Answered.IsZero() {
			n++
		}
	}
	return n
}

// garbage floods the gateway with what is no SIP, and with the torture test messages
// of RFC 4475, from a known and from an unknown address.
func garbage(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(nil, n)
	phones := s.startCalls(5, 100*time.Millisecond)
	phones.await(20)
	before := n.memory()
	begin, end := b.emergencies(n)
	begin()
	messages := torture.Messages()
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(b.times(60, 4))*time.Second)
	defer stop()
	var sent atomic.Int64
	done := make(chan error)
	for _, from := range []string{pbxIP, "127.0.0.9"} {
		go func() { done <- flood(ctx, from, n.sip, messages, &sent) }()
	}
	for range 2 {
		b.check(<-done)
	}
	phones.await(20)
	end()
	grown := n.memory() - before
	if grown > 200<<20 {
		b.Errorf("memory grew by %d MB", grown>>20)
	}
	s.conclude(phones, nil)
	b.did(fmt.Sprintf("%d datagrams, at 10,000 a second at most; memory grew by %d MB", sent.Load(), max(0, grown)>>20),
		phones.String())
}

// flood sends garbage, five datagrams a millisecond at most.
func flood(ctx context.Context, from, to string, messages []torture.Message, sent *atomic.Int64) error {
	socket, err := net.ListenPacket("udp", from+":0")
	if err != nil {
		return err
	}
	defer socket.Close()
	server, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	noise := make([]byte, 1400)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for range 5 {
			text := messages[rand.IntN(len(messages))].Bytes
			switch rand.IntN(3) {
			case 0:
				text = noise[:rand.IntN(len(noise))]
				for i := range text {
					text[i] = byte(rand.Uint32())
				}
			case 1:
				if text = slices.Clone(text); len(text) > 0 { // others send it too
					text[rand.IntN(len(text))] = byte(rand.Uint32())
				}
			}
			if _, err := socket.WriteTo(text, server); err == nil {
				sent.Add(1)
			}
		}
	}
}

// memory is the resident memory of the process, in bytes.
func (n *node) memory() int64 {
	n.b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.command.Process.Pid))
	n.b.check(err)
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kb int64
	_, err = fmt.Sscan(rest, &kb)
	n.b.check(err)
	return kb << 10
}

// emergencyAtLimits sets one limit after the other so that nothing goes but
// emergency calls.
func emergencyAtLimits(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(nil, n)
	begin, end := b.emergencies(n)
	for _, limit := range []object{
		{"enabled": false}, {"concurrent_call_limit": 0}, {"daily_spend_limit": "0.00"},
		{"whitelisted_destinations": []string{"GB"}},
		{"max_destination_rate": 0.001}, {"calling_window": object{"start_time": "00:00", "end_time": "00:01",
			"calls_per_cld": 0}},
	} {
		s.set(limit)
		begin()
		before := s.carried("911")
		b.eventually(fmt.Sprintf("two emergency calls at %v", limit), 30*time.Second,
			func() bool { return s.carried("911") >= before+2 })
		end()
		if o, err := dial(context.Background(), n, "+12125550123", time.Millisecond); err != nil || o.Status != 403 {
			b.Errorf("with %v any other call is answered %d %s, %v", limit, o.Status, o.Phrase, err)
		}
		b.wantEmergency(s, n, fmt.Sprint("limit-", limit))
		s.set(object{"enabled": true, "concurrent_call_limit": 40, "daily_spend_limit": siteLimit,
			"whitelisted_destinations": []string{"US"},
			"max_destination_rate":     nil, "calling_window": nil})
	}
	s.conclude(nil, nil)
	b.did("profile off, no channel, no money, no country, no rate, no window",
		"one call over SIP and one over HTTP at each")
}

// httpWait is how long a switch may wait for the admission of an emergency call.
const httpWait = 4 * time.Second

// wantEmergency asks for an emergency call over HTTP.
func (b *bench) wantEmergency(s *site, n *node, call string) {
	b.Helper()
	asked := time.Now()
	status, answer, err := n.call(http.MethodPost, "/tollgate/v1/admissions",
		s.attempt(fmt.Sprintf("%s-%d", call, rand.Uint64()), "911"))
	data, _ := answer["data"].(object)
	b.emergency.placed++
	if err != nil || status != http.StatusOK || data["decision"] != "allow" || time.Since(asked) > httpWait {
		b.Errorf("I12: an emergency call over HTTP is answered %d %v, %v after %v", status, answer, err, time.Since(asked))
		return
	}
	b.emergency.admitted++
}

// emergencyWithoutStore stops PostgreSQL for good.
func emergencyWithoutStore(b *bench) {
	server := b.ownServer()
	url, _, err := server.CreateDatabase()
	b.check(err)
	n := b.clusterNode("first", url).start()
	s := b.configure(nil, n)
	begin, end := b.emergencies(n)
	b.check(server.Stop(2))
	begin()
	for i := range b.times(20, 3) {
		s.mustNotAdmit(n, 1)
		b.wantEmergency(s, n, fmt.Sprint("away-", i))
		before := s.carried("911")
		b.eventually("an emergency call", 30*time.Second, func() bool { return s.carried("911") > before })
		if o, err := dial(context.Background(), n, "+12125550123", time.Millisecond); err != nil || o.Status != 503 {
			b.Errorf("I13: without a store a call is answered %d %s, %v", o.Status, o.Phrase, err)
		}
	}
	end()
	b.check(server.Restart())
	s.conclude(nil, nil)
	b.did("PostgreSQL is stopped", "calls over SIP and HTTP")
}
