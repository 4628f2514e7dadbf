package sipgw

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/torture"
	"github.com/tollgate/tollgate/internal/store"
)

// TestStrangersGetNothing: with no digest user in the server, nothing that an
// unknown source sends is answered.
func TestStrangersGetNothing(t *testing.T) {
	w := newWorld(t, wish{})
	stranger := w.party(strangerAddress, false)
	for _, method := range []string{"INVITE", "OPTIONS", "REGISTER", "BYE", "FROBNICATE"} {
		stranger.request(newDialog(stranger, "+12125550123"), method, "", "")
	}
	stranger.send("\x00\x01garbage")
	for _, m := range torture.Messages() {
		stranger.send(string(m.Bytes))
	}
	before := uint64(6 + len(torture.Messages()))
	w.pbx.quiet() // has come after all of them
	if s := w.srv.Stats(); s.Filtered != before || s.ParseErrors != 0 || s.Attempts != 0 {
		t.Errorf("stats %+v, want %d filtered", s, before)
	}
	if n := len(stranger.got); n != 0 {
		t.Errorf("the stranger got %d messages", n)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(strangerAddress)}}
	conn, err := dialer.Dial("tcp", w.srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v, from a connection that a stranger opened", n, err)
	}
}

// TestStrangersAreChallenged: where digest users exist, a call is challenged, and nothing
// that a phone does not need before its first call is answered.
func TestStrangersAreChallenged(t *testing.T) {
	w := newWorld(t, wish{user: true, config: func(c *Config) {
		c.Limits.UnknownBurst, c.Limits.UnknownPerSecond = 6,
			0.001
	}})
	stranger := w.party(strangerAddress, false)
	for _, method := range []string{"SUBSCRIBE", "PUBLISH", "UPDATE", "INFO"} {
		stranger.request(newDialog(stranger, "+12125550123"), method, "", "")
	}
	for range 3 { // an INVITE and an ACK each
		challenged(stranger, newDialog(stranger, "+12125550123"))
	}
	for range 10 {
		stranger.request(newDialog(stranger, "+12125550123"), "INVITE", "", offer)
	}
	w.pbx.quiet()
	if n := len(stranger.got); n != 0 {
		t.Errorf("the stranger got %d more messages", n)
	}
	if s := w.srv.Stats(); s.Challenges != 3 || s.Filtered != 14 {
		t.Errorf("stats %+v", s)
	}
}

// TestWhoGuessesIsBanned: wrong passwords, again and again, and then silence. A source
// that is known is not silenced for it.
func TestWhoGuessesIsBanned(t *testing.T) {
	banned := make(chan store.Ban, 10)
	w := newWorld(t, wish{user: true, config: func(c *Config) {
		c.Limits.BanAfter, c.Limits.UnknownBurst = 3, 1000
		c.Banned = func(b store.Ban) { banned <- b }
	}})
	guess := func(p *party) {
		d := newDialog(p, "+12125550123")
		challenge := challenged(p, d)
		p.request(d, "INVITE", credentialsFor(t, challenge, "MD5", "alice", "wrong-horse", d.target, 1), offer)
		p.want("403 INVITE")
		p.request(d, "ACK", "", "")
	}
	thief := w.party(strangerAddress, false)
	for range 3 {
		guess(thief)
	}
	select {
	case b := <-banned:
		if b.Prefix.String() != strangerAddress+"/32" || !b.Automatic || b.ExpiresAt.Sub(b.CreatedAt) != time.Hour {
			t.Errorf("banned %+v", b)
		}
	case <-time.After(patience):
		t.Fatal("no source is banned")
	}
	before := w.srv.Stats().Filtered
	thief.request(newDialog(thief, "+12125550123"), "INVITE", "", offer)
	w.pbx.quiet()
	if got := w.srv.Stats(); got.Filtered == before || got.Bans != 1 {
		t.Errorf("stats %+v", got)
	}
	if n := len(thief.got); n != 0 {
		t.Errorf("the banned source got %d messages", n)
	}
	w.srv.SetBans(nil) // lifted
	guess(thief)

	// A telephone of an office with an old password does not silence the office.
	w.srv.filter.Learn(netip.MustParseAddr("127.0.0.67"))
	office := w.party("127.0.0.67", false)
	for range 5 {
		guess(office)
	}
	if got := w.srv.Stats().Bans; got != 1 {
		t.Errorf("%d bans", got)
	}
}

// TestTorture sends the messages of RFC 4475 and RFC 5118 to a live gateway, over UDP and TCP.
// It answers as it must, and takes a good call afterwards.
func TestTorture(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		t.Run(transport, func(t *testing.T) {
			w := newWorld(t, wish{})
			for _, m := range slices.Concat(torture.Messages(), torture.IPv6()) {
				status := tortured(t, w, transport == "TCP", m.Bytes)
				switch {
				case m.Want.Outcome == torture.Drop && status != 0:
					t.Errorf("%s: answered %d, want nothing: %s", m.Name, status, m.Want.Why)
				case m.Want.Outcome == torture.Answer && status != m.Want.Status &&
					!(transport == "TCP" && status == 0 && unframed(m.Bytes)):
					t.Errorf("%s: answered %d, want %d: %s", m.Name, status, m.Want.Status, m.Want.Why)
				}
			}
			pbx, _ := w.talk("")
			w.hangUp(pbx)
		})
	}
}

// unframed says of a message that its end cannot be found in a stream.
func unframed(data []byte) bool {
	size, skip, broken := sip.Frame(data)
	return broken || size == 0 || skip+size != len(data)
}

// tortured sends one message and returns the status of its answer, 0 for none. An
// OPTIONS that follows shows that nothing more will come.
func tortured(t *testing.T, w *world, tcp bool, data []byte) (status int) {
	t.Helper()
	network := "udp"
	if tcp {
		network = "tcp"
	}
	conn, err := net.Dial(network, w.srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	probe := "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/" + strings.ToUpper(network) +
		" 127.0.0.1;rport;branch=z9hG4bKprobe\r\n" +
		"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: " + string(sip.CallIDOf(data)) +
		"\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
	if !tcp {
		// The answer goes to where the request says it comes from: read it by asking
		// that it come back here.
		data = bytes.Replace(data, []byte(";branch="), []byte(";rport;branch="), 1)
	}
	_, _ = conn.Write(data)
	_, _ = io.WriteString(conn, probe)
	wait := patience
	if tcp && unframed(data) {
		wait = 200 * time.Millisecond // it waits for the rest, or has hung up
	}
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	var buffer []byte
	part := make([]byte, 65536)
	for {
		n, err := conn.Read(part)
		buffer = append(buffer, part[:n]...)
		if bytes.Contains(buffer, []byte("z9hG4bKprobe")) || err != nil {
			break
		}
	}
	if bytes.HasPrefix(buffer, []byte("SIP/2.0 100")) {
		buffer = buffer[bytes.Index(buffer, []byte("\r\n\r\n"))+4:]
	}
	first, _, _ := bytes.Cut(buffer, []byte("\r\n\r\n"))
	if bytes.Contains(first, []byte("z9hG4bKprobe")) {
		return 0
	}
	_, _ = fmt.Sscanf(string(first), "SIP/2.0 %d", &status)
	return status
}

func TestGarbage(t *testing.T) {
	w := newWorld(t, wish{})
	for i := range 2000 {
		noise := bytes.Repeat([]byte{byte(i), byte(i >> 3), '\r', '\n', ':', byte(i * 7)}, i%97)
		w.pbx.send("INVITE sip:" + string(noise))
		w.pbx.send(string(noise) + "\r\n\r\n")
	}
	pbx, _ := w.talk("")
	w.hangUp(pbx)
	w.record()
	w.settled()
}

// TestOptionsBeforeTheFirstCall: PBXs make no call by a trunk that does not answer OPTIONS.
// It is answered out of the strangers' budget, and not where no one could ever call.
func TestOptionsBeforeTheFirstCall(t *testing.T) {
	w := newWorld(t, wish{user: true, config: func(c *Config) {
		c.Limits.UnknownBurst, c.Limits.UnknownPerSecond = 4, 0.001
	}})
	stranger := w.party(strangerAddress, false)
	for range 4 {
		stranger.request(newDialog(stranger, "trunk"), "OPTIONS", "", "")
		stranger.want("200 OPTIONS")
	}
	stranger.request(newDialog(stranger, "trunk"), "OPTIONS", "", "")
	w.pbx.quiet()
	if n := len(stranger.got); n != 0 {
		t.Errorf("the stranger got %d more messages", n)
	}
}
