package e2e

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
)

// banDelay is how late a ban may be in force on another node, as docs/OPERATIONS.md
// says, and banSlack what this test and a busy machine may add.
const (
	banDelay = 5 * time.Second
	banSlack = 2 * time.Second
)

// hears reports whether a server answers an INVITE from an address.
func (s *server) hears(ip string) bool {
	s.T.Helper()
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(ip)}}
	conn, err := dialer.Dial("udp", s.SIP)
	if err != nil {
		s.T.Fatal(err)
	}
	defer conn.Close()
	now := time.Now().UnixNano()
	_, err = fmt.Fprintf(conn,
		"INVITE sip:+12125550123@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bK%[3]d\r\n"+
			"From: <sip:alice@%[2]s>;tag=1\r\nTo: <sip:+12125550123@%[1]s>\r\n"+
			"Call-ID: %[3]d\r\nCSeq: 1 INVITE\r\nContact: <sip:%[2]s>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", s.SIP,
		conn.LocalAddr(), now)
	if err != nil {
		s.T.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	n, err := conn.Read(make([]byte, 4096))
	return err == nil && n > 0
}

// becomes waits until a server hears an address, or no longer, and says how long it
// took. It asks less often than a stranger may: who is heard no longer is not heard
// although it may speak.
func (s *server) becomes(ip string, heard bool, limit time.Duration) time.Duration {
	s.T.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for s.hears(ip) != heard {
		if time.Since(begun) > limit {
			s.T.Fatalf("%s is heard: %v after %v", ip, !heard, limit)
		}
		<-tick.C
	}
	took := time.Since(begun)
	if <-tick.C; s.hears(ip) != heard {
		s.T.Fatalf("%s was heard: %v, and then not", ip, heard)
	}
	return took
}

// TestBansOnTwoNodes: what is banned on one node is banned on the other soon after,
// by hand and by itself, and so is what is lifted.
func TestBansOnTwoNodes(t *testing.T) {
	_, first, second := twoNodes(t)
	profile := first.setUp(nil, startCarrier(t))
	first.Must(http.MethodPost, "/v2/credential_connections", object{
		"connection_name": "alice", "user_name": "alice1", "password": "correct-horse",
		"outbound": object{"outbound_voice_profile_id": profile},
	})
	const byHand, byItself = "127.0.0.66", "127.0.0.67"
	for _, s := range []*server{first, second} {
		s.becomes(byHand, true, 10*time.Second)
		s.becomes(byItself, true, 10*time.Second)
	}
	ban := first.Must(http.MethodPost, "/tollgate/v1/bans", object{"source": byHand, "reason": "a test"})
	first.becomes(byHand, false, banSlack)
	t.Logf("banned by hand: on the other node after %v", second.becomes(byHand, false, banDelay+banSlack))
	if !second.hears(byItself) {
		t.Error("the ban is in force for another source too")
	}
	first.Must(http.MethodDelete, fmt.Sprintf("/tollgate/v1/bans/%v", ban["id"]), nil)
	t.Logf("lifted: on the other node after %v", second.becomes(byHand, true, banDelay+banSlack))

	guesses := 0
	pace := time.NewTicker(time.Second) // four messages each, of the five a second that a stranger may send
	defer pace.Stop()
	for ; guesses < 20; guesses++ {
		<-pace.C
		o, err := phone.Place(t.Context(), phone.Options{Server: first.SIP, From: "+13125550100", To: "+12125550123",
			User: "alice1", Password: "wrong-horse",
			LocalAddr: byItself + ":0", CancelAfter: 3 * time.Second, NoAudio: true, T1: 100 * time.Millisecond})
		if err == nil && o.Status == http.StatusForbidden {
			continue
		}
		break // nothing is answered any more
	}
	if guesses < 9 || guesses == 20 {
		t.Errorf("%d wrong passwords were answered", guesses)
	}
	first.becomes(byItself, false, banSlack)
	t.Logf("banned by itself after %d wrong passwords: on the other node after %v", guesses,
		second.becomes(byItself, false, banDelay+banSlack))
	_, answer := second.Call(http.MethodGet, "/tollgate/v1/bans", nil)
	if bans, _ := answer["data"].([]any); len(bans) != 1 || bans[0].(object)["automatic"] != true {
		t.Errorf("bans %v", answer["data"])
	}
}
