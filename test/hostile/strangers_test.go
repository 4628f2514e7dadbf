package hostile

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
)

// once is how long is listened for an answer that must not come: longer than the first
// timer of a transaction.
const once = 700 * time.Millisecond

// A stranger's request gets one answer, not many times as large, and no other; an ACK,
// or what is no call, gets none.
func TestAStrangerIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(nil)
	s.credentialConnection(w.profile, "desk12345", "correct-horse", nil)
	small := "INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n" +
		"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>\r\n\r\n"
	type sent struct {
		name, text string
		peer       *peer
	}
	var all []sent
	for i, c := range []struct {
		name, text string
		answers    int
	}{
		{"small", small, 1},
		{"cancel", strings.ReplaceAll(small, "INVITE", "CANCEL"), 1},
		{"bye", strings.ReplaceAll(small, "INVITE", "BYE"), 1},
		{"no Contact", strings.Replace(small, "Contact", "X-Contact", 1), 1},
		{"a scheme", strings.Replace(small, "sip:1@h", "foo:1", 1), 1},
		{"ack", strings.ReplaceAll(small, "INVITE", "ACK"), 0},
		{"options", strings.ReplaceAll(small, "INVITE", "OPTIONS"), 1},
	} {
		p := talk(t, "udp", fmt.Sprintf("127.0.0.%d", 100+i), s.SIP)
		p.send(c.text)
		if c.answers > 0 {
			if answer := p.read(answerLimit); answer == "" || len(answer) > 3*len(c.text) {
				t.Errorf("%s: %d bytes are answered with %d: %q", c.name, len(c.text), len(answer), answer)
			}
		}
		all = append(all, sent{c.name, c.text, p})
	}
	for _, one := range all {
		if more := one.peer.read(once); more != "" {
			t.Errorf("%s: one answer too many: %q", one.name, more)
		}
	}
	// A known address that does not say whose call it is, since a datagram proves nothing.
	s.Must(http.MethodPatch, "/v2/ip_connections/"+w.connection, object{"outbound": object{"tech_prefix": "0123"}})
	pbx := talk(t, "udp", pbxIP, s.SIP)
	pbx.send(pbx.text(request{body: sdp(pbxIP, 40000)}))
	if answer := pbx.read(answerLimit); statusOf(answer) != 403 {
		t.Errorf("a wrong tech prefix gets %q", answer)
	}
	if more := pbx.read(once); more != "" {
		t.Errorf("a wrong tech prefix gets one answer too many: %q", more)
	}
}

// login makes a stranger's call with a user's name and a password, and returns the final
// answer, "" when there is none.
func (p *peer) login(user, password string, limit time.Duration) string {
	p.t.Helper()
	invite := request{uri: "sip:+12125550123@" + p.server, callID: unique("call"),
		from: "<sip:+13125550100@example.com>;tag=1", body: sdp(strangerIP, 40002)}
	p.send(p.text(invite))
	challenge := p.final()
	if challenge == "" {
		return ""
	}
	invite.sequence = 2
	invite.header = []string{authorization(challenge, user, password, "INVITE", invite.uri)}
	p.send(p.text(invite))
	for {
		answer := p.read(limit)
		if answer == "" || statusOf(answer) >= 200 {
			return answer
		}
	}
}

// One good login buys no guesses at others; a user that has succeeded before is accepted
// all along.
func TestOneLoginBuysNoGuesses(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(nil)
	for _, user := range []string{"thief12345", "victim1234"} {
		s.credentialConnection(w.profile, user, "correct-horse", nil)
	}
	p := talk(t, "tcp", strangerIP, s.SIP)
	if answer := p.login("thief12345", "correct-horse", answerLimit); statusOf(answer) != 200 {
		t.Fatalf("the thief's own call: %q", answer)
	}
	answered := 0
	for i := range 12 {
		if statusOf(p.login("victim1234", fmt.Sprint("guess", i), 100*time.Millisecond)) == 403 {
			answered++
		}
	}
	if answered == 0 || answered > 5 {
		t.Errorf("%d of 12 guesses are answered, want 5", answered)
	}
	if held := s.Scrape()[`tollgate_sip_auth_total{result="held"}`]; held < 7 {
		t.Errorf("%v guesses are held", held)
	}
	if answer := p.login("thief12345", "correct-horse", answerLimit); statusOf(answer) != 200 {
		t.Errorf("a user that has succeeded before is refused: %q", answer)
	}
	home := talk(t, "tcp", "127.0.0.67", s.SIP)
	if answer := home.login("victim1234", "correct-horse", answerLimit); statusOf(answer) != 200 {
		t.Errorf("the victim is locked out elsewhere: %q", answer)
	}
}

// Idle connections of strangers keep neither PBXs nor carriers out, nor other strangers.
func TestIdleConnectionsKeepOutNone(t *testing.T) {
	t.Parallel()
	s := serve(t, "--sip-stranger-connections", "20")
	w := s.setUp(nil)
	s.credentialConnection(w.profile, "desk12345", "correct-horse", nil)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", carrierIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s.Must(http.MethodPatch, "/tollgate/v1/gateways/"+w.gatewayID,
		object{"address": listener.Addr().String(), "transport": "tcp"})
	for i := range 200 {
		from := &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.0.1.%d", i%16+1))}
		conn, err := (&net.Dialer{LocalAddr: from}).DialContext(t.Context(), "tcp", s.SIP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	phoneOf := talk(t, "tcp", strangerIP, s.SIP)
	phoneOf.send(phoneOf.text(request{body: sdp(strangerIP, 40000)}))
	if answer := phoneOf.final(); statusOf(answer) != 407 {
		t.Errorf("a telephone that has yet to log in gets %q", answer)
	}
	pbx := talk(t, "tcp", pbxIP, s.SIP)
	pbx.send(pbx.text(request{body: sdp(pbxIP, 40000)}))
	if answer := pbx.read(answerLimit); statusOf(answer) != 100 {
		t.Errorf("the PBX gets %q", answer)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := make([]byte, 6)
	if _, err := conn.Read(head); err != nil || string(head) != "INVITE" {
		t.Errorf("the carrier gets %q, %v", head, err)
	}
	metrics := s.Scrape()
	if open := metrics[`tollgate_sip_connections{class="strangers"}`]; open > 20 {
		t.Errorf("%v connections of strangers", open)
	}
	if !strings.Contains(s.Text(), "level=WARN") {
		t.Error("the log does not say so")
	}
}

// A short number passes no limit of its source; an emergency number does.
func TestShortIsNoEmergency(t *testing.T) {
	t.Parallel()
	s := serve(t, "--sip-source-rate", "2", "--sip-source-calls", "3")
	s.setUp(nil)
	pbx := talk(t, "udp", pbxIP, s.SIP)
	dial := func(number string) int {
		call := unique("call")
		pbx.send(pbx.text(request{uri: "sip:" + number + "@" + s.SIP, callID: call, body: sdp(pbxIP, 40000)}))
		for {
			answer := pbx.read(answerLimit)
			if answer == "" || headerOf(answer, "Call-ID") == call {
				return statusOf(answer)
			}
		}
	}
	turned := 0
	for range 12 {
		if dial("1234567") == 503 {
			turned++
		}
	}
	if turned < 6 {
		t.Errorf("%d of 12 calls to a short number are turned away", turned)
	}
	for range 8 {
		if status := dial("911"); status != 100 {
			t.Errorf("a call to 911 gets %d", status)
		}
	}
}

// The Contact of a call that was never acknowledged gets nothing, even when the process
// dies and the next one hangs up: its BYE goes to where the INVITE came from.
func TestAForgedContactIsNotCalled(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.setUp(nil)
	victim := talk(t, "udp", "127.0.0.99", s.SIP)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", victim.addr())
	if err != nil {
		t.Skip(err)
	}
	defer listener.Close()
	pbx := talk(t, "udp", pbxIP, s.SIP)
	text := pbx.text(request{body: sdp(pbxIP, 40000)})
	own := "Contact: <sip:peer@" + pbx.addr() + ";transport=udp>"
	// The last call only shows that the answers before it are in the ledger.
	for _, contact := range []string{"Contact: <sip:x@" + victim.addr() + ">",
		"Contact: <sip:x@" + victim.addr() + ";transport=tcp>", own} {
		call := unique("call")
		again := strings.ReplaceAll(text, headerOf(text, "Call-ID"), call)
		again = strings.ReplaceAll(again, "z9hG4bK", "z9hG4bK"+unique("b"))
		pbx.send(strings.Replace(again, own, contact, 1))
		answer := pbx.final()
		for answer != "" && headerOf(answer, "Call-ID") != call {
			answer = pbx.final() // the one before is repeated, since it is not acknowledged
		}
		if statusOf(answer) != 200 {
			t.Fatalf("the call gets %q", answer)
		}
	}
	s.Kill()
	s = s.again("--sip-addr", s.SIP)
	byes := make(map[string]bool)
	for len(byes) < 2 {
		message := pbx.read(answerLimit)
		if message == "" {
			t.Fatalf("the PBX gets %d BYEs", len(byes))
		}
		if strings.HasPrefix(message, "BYE ") {
			byes[headerOf(message, "Call-ID")] = true
		}
	}
	if message := victim.read(once); message != "" {
		t.Errorf("the victim gets %q", message)
	}
	_ = listener.(*net.TCPListener).SetDeadline(time.Now())
	if conn, err := listener.Accept(); err == nil {
		conn.Close()
		t.Error("a connection is opened to the victim")
	}
	if outcome := s.place(pbxIP, phone.Options{}); outcome.Status != 200 {
		t.Errorf("the next call: %d", outcome.Status)
	}
}
