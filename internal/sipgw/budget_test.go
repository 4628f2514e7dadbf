package sipgw

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport"
)

// dialFrom opens a connection to the gateway from an address.
func dialFrom(t *testing.T, w *world, host string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	conn, err := dialer.Dial("tcp", w.srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ended waits until the gateway has closed a connection.
func ended(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// TestStrangersDoNotKeepOthersOut: with as many idle connections of strangers as can be
// opened, a carrier is called over TCP, a PBX calls over TCP, and a telephone that has
// yet to log in gets in too.
func TestStrangersDoNotKeepOthersOut(t *testing.T) {
	var log logged
	w := newWorld(t, wish{tcp: true, user: true, config: func(c *Config) {
		c.Limits.StrangerConnections, c.Limits.StrangerPerHost = 8, 3
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}})
	var idle []net.Conn
	for i := range 16 {
		for range 4 {
			idle = append(idle, dialFrom(t, w, "127.0.1."+string(rune('1'+i%9))))
		}
	}
	w.pbx.connect()
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", "")
	carrier.conn = <-carrier.opened
	invite := carrier.want("INVITE")
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.hangUp(pbx)
	w.record()

	phone := w.party(strangerAddress, true)
	phone.connect()
	d := newDialog(phone, "+12125550123")
	challenge := challenged(phone, d)
	phone.request(d, "INVITE", credentialsFor(t, challenge, "MD5", "alice", "correct-horse", d.target, 1), offer)
	w.carriers[0].reply(carrier.await("INVITE"), 486, "far", "", "")
	phone.await("486 INVITE")
	w.record()
	s, l := w.srv.Stats(), w.srv.Load()
	if s.RefusedConnections[transport.ClassStranger] == 0 || s.EvictedConnections == 0 {
		t.Errorf("refused %v, %d evicted", s.RefusedConnections, s.EvictedConnections)
	}
	if l.ByClass[transport.ClassStranger] > 8 || l.ByClass[transport.ClassKnown] != 2 ||
		l.ByClass[transport.ClassOutbound] != 1 {
		t.Errorf("connections %v", l.ByClass)
	}
	if !ended(idle[0]) {
		t.Error("the connection that was idle the longest goes on")
	}
	if n := strings.Count(log.String(), "WARN"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}

// TestAStrangerHasLittleTime: neither bytes that trickle nor messages that are dropped or
// answered without proof let a stranger's connection live on; a message of a known peer
// must come to its end as well.
func TestAStrangerHasLittleTime(t *testing.T) {
	w := newWorld(t, wish{user: true, config: func(c *Config) {
		c.Limits.StrangerLife, c.Limits.MessageWait = 400*time.Millisecond, 300*time.Millisecond
	}})
	filtered := "OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n"
	for name, sent := range map[string]string{"nothing": "", "bytes": "I", "filtered": filtered, "empty lines": "\r\n\r\n",
		"invites": small} {
		t.Run(name, func(t *testing.T) {
			conn := dialFrom(t, w, strangerAddress)
			begun := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for sent != "" {
					if _, err := io.WriteString(conn, sent); err != nil {
						return
					}
					w.pause()
				}
			}()
			if !ended(conn) {
				t.Error("the connection goes on")
			}
			conn.Close()
			<-done
			if took := time.Since(begun); took > patience/2 {
				t.Errorf("it ended after %v", took)
			}
		})
	}
	// A known peer keeps its connection, but may not draw a message out.
	quiet, slow := dialFrom(t, w, pbxAddress), dialFrom(t, w, pbxAddress)
	for range 8 {
		if _, err := io.WriteString(slow, "I"); err != nil {
			break
		}
	}
	if !ended(slow) {
		t.Error("a message that has no end is waited for")
	}
	for n := w.srv.Load().ByClass[transport.ClassKnown]; n != 1; n = w.srv.Load().ByClass[transport.ClassKnown] {
		w.pause()
	}
	if _, err := io.WriteString(quiet, "\r\n\r\n"); err != nil {
		t.Errorf("a known peer's silent connection has ended: %v", err)
	}
}

// TestAHandshakeHasLittleTime: a TLS connection that says nothing ends.
func TestAHandshakeHasLittleTime(t *testing.T) {
	w := newWorld(t, wish{user: true, tcp: true, tls: newAuthority(t),
		config: func(c *Config) { c.Limits.StrangerLife = 300 * time.Millisecond }})
	for _, host := range []string{strangerAddress, pbxAddress} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
		conn, err := dialer.Dial("tcp", w.srv.SecureAddr())
		if err != nil {
			t.Fatal(err)
		}
		if !ended(conn) {
			t.Errorf("a connection from %s that does not shake hands goes on", host)
		}
		conn.Close()
	}
	for w.srv.Stats().Handshakes < 2 {
		w.pause()
	}
}

// TestProofLetsAConnectionLive: a telephone that has logged in keeps its connection.
func TestProofLetsAConnectionLive(t *testing.T) {
	w := newWorld(t, wish{user: true, config: func(c *Config) { c.Limits.StrangerLife = 500 * time.Millisecond }})
	phone := w.party(strangerAddress, true)
	phone.connect()
	begun := time.Now()
	d := newDialog(phone, "+12125550123")
	challenge := challenged(phone, d)
	phone.request(d, "INVITE", credentialsFor(t, challenge, "MD5", "alice", "correct-horse", d.target, 1), offer)
	w.carriers[0].reply(w.carriers[0].await("INVITE"), 486, "far", "", "")
	phone.await("486 INVITE")
	w.record()
	for time.Since(begun) < 700*time.Millisecond {
		w.pause()
	}
	phone.quiet()
}

// TestAnswersOpenNoConnection: the answer to a stranger who has hung up goes nowhere.
func TestAnswersOpenNoConnection(t *testing.T) {
	w := newWorld(t, wish{user: true})
	from := transport.Peer{TCP: true, Addr: netip.MustParseAddrPort("127.0.0.66:9"), Stranger: true}
	w.srv.dispatch([]byte(small), from)
	for w.srv.Stats().SendErrors == 0 {
		w.pause()
	}
	if n := w.srv.Load().ByClass[transport.ClassOutbound]; n != 0 {
		t.Errorf("%d connections are opened", n)
	}
}
