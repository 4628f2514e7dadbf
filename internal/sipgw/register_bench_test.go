package sipgw

import (
	"crypto/md5"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// BenchmarkRegister is what a refresh costs of 50,000 telephones that each come once a
// minute, from the datagram to the answer on the socket: with digest, by the nonce of the
// last challenge for as long as that is taken. What the telephone does is not in server-ns.
func BenchmarkRegister(b *testing.B) {
	const phones, every = 50_000, time.Minute
	f := newFleet(b, phones)
	for i := range phones {
		f.register(i)
		f.now = f.now.Add(every / phones)
	}
	f.spent, f.challenges = 0, 0
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		f.register(i % phones)
		f.now = f.now.Add(every / phones)
		if i++; i%1000 == 0 { // as the server does once a second
			for len(f.srv.registrar.Take(250, f.now)) > 0 {
			}
		}
	}
	if got := f.srv.Stats().Registrations; got != uint64(phones+i) {
		b.Fatalf("%d refreshes were carried out of %d", got, phones+i)
	}
	b.ReportMetric(float64(f.spent.Nanoseconds())/float64(i), "server-ns/op")
	b.ReportMetric(float64(f.challenges)/float64(i), "challenges/op")
}

// fleet is many telephones behind one socket, which register with a server.
type fleet struct {
	b          *testing.B
	srv        *Server
	socket     *net.UDPConn
	from       transport.Peer
	now        time.Time
	phones     []fleetPhone
	answer     [4096]byte
	spent      time.Duration // by the server
	challenges int
}

// fleetPhone is one of them.
type fleetPhone struct {
	nonce      string
	count, seq int
}

func deskUser(i int) string { return fmt.Sprintf("desk%05d", i) }

func newFleet(b *testing.B, phones int) *fleet {
	b.Helper()
	f := &fleet{b: b, now: time.Now(), phones: make([]fleetPhone, phones)}
	changes := []policy.Change{policy.PutAccount(&policy.Account{ID: worldAccount, Active: true})}
	for i := range phones {
		c := connection.NewCredentialConnection()
		c.ID, c.AccountID, c.UserName = worldUser+id.ID(i), worldAccount, deskUser(i)
		c.Password = "correct-horse"
		changes = append(changes, policy.PutCredential(&c))
	}
	live := policy.NewLive()
	snapshot, err := live.Snapshot().With(changes...)
	if err != nil {
		b.Fatal(err)
	}
	live.Publish(snapshot)
	var limits Limits
	limits.StrangerAnswers, limits.StrangerBytes = 1e6, 1e9
	f.srv = New(Config{Addr: "127.0.0.1:0", Live: live, Shards: 1, Limits: limits,
		Clock: func() time.Time { return f.now }})
	if err := f.srv.transport.Listen(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(f.srv.transport.Stop)
	anyPort := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
	if f.socket, err = net.ListenUDP("udp", anyPort); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.socket.Close() })
	f.from = transport.Peer{Addr: f.socket.LocalAddr().(*net.UDPAddr).AddrPort(), Stranger: true}
	return f
}

// register refreshes a telephone's registration.
func (f *fleet) register(i int) {
	for range 2 {
		answer := f.send(i)
		if strings.HasPrefix(answer, "SIP/2.0 200 ") {
			return
		}
		_, rest, found := strings.Cut(answer, `nonce="`)
		if !found {
			f.b.Fatalf("answer:\n%s", answer)
		}
		nonce, _, _ := strings.Cut(rest, `"`)
		f.phones[i].nonce, f.phones[i].count = strings.Clone(nonce), 0
		f.challenges++
	}
	f.b.Fatal("challenged again")
}

// send sends one request, and returns the answer.
func (f *fleet) send(i int) string {
	p, user, address := &f.phones[i], deskUser(i), f.from.Addr.String()
	p.seq++
	authorization := ""
	if p.nonce != "" {
		p.count++
		sum := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
		response := sum(fmt.Sprintf("%s:%s:%08x:c0ffee:auth:%s", sum(user+":"+connection.Realm+":correct-horse"), p.nonce,
			p.count, sum("REGISTER:sip:gate.test")))
		authorization = fmt.Sprintf("Authorization: Digest username=%q, realm=%q, nonce=%q, uri=\"sip:gate.test\", "+
			"response=%q, algorithm=MD5, cnonce=\"c0ffee\", qop=auth, nc=%08x\r\n", user, connection.Realm, p.nonce, response,
			p.count)
	}
	request := fmt.Sprintf("REGISTER sip:gate.test SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d.%d;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:%s@gate.test>;tag=1\r\nTo: <sip:%[4]s@gate.test>\r\nCall-ID: call-of-%[4]s\r\n"+
		"CSeq: %[3]d REGISTER\r\nContact: <sip:%[4]s@10.1.2.3:5060;transport=udp>\r\nExpires: 120\r\n"+
		"User-Agent: Desk Phone 4.2.1\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE\r\n%[5]s"+
		"Content-Length: 0\r\n\r\n", address, i, p.seq, user, authorization)
	sh := f.srv.shards[0]
	begun := time.Now()
	sh.now = f.now
	for t := sh.timers.Due(f.now); t != nil; t = sh.timers.Due(f.now) {
		t.Expire()
	}
	sh.receive([]byte(request), f.from)
	f.spent += time.Since(begun)
	n, err := f.socket.Read(f.answer[:])
	if err != nil {
		f.b.Fatal(err)
	}
	return string(f.answer[:n])
}
