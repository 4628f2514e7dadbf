package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/test/process"
)

// deskPhone registers with the user name desk1.
type deskPhone struct {
	t      *testing.T
	socket net.PacketConn
	callID string
	seq    int
}

func newDeskPhone(t *testing.T, callID string) *deskPhone {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &deskPhone{t: t, socket: socket, callID: callID}
}

// send sends a REGISTER with lines, and returns the answer.
func (p *deskPhone) send(server *server, lines string) string {
	p.t.Helper()
	p.seq++
	to, err := net.ResolveUDPAddr("udp", server.SIP)
	if err != nil {
		p.t.Fatal(err)
	}
	request := fmt.Sprintf("REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d;rport\r\nMax-Forwards: 70\r\n"+
		"From: <sip:desk1@%[1]s>;tag=1\r\nTo: <sip:desk1@%[1]s>\r\nCall-ID: %[3]s\r\nCSeq: %[4]d REGISTER\r\n"+
		"User-Agent: desk 1.0\r\n%sContent-Length: 0\r\n\r\n",
		server.SIP, p.socket.LocalAddr(), p.callID, p.seq, lines)
	if _, err := p.socket.WriteTo([]byte(request), to); err != nil {
		p.t.Fatal(err)
	}
	if err := p.socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, _, err := p.socket.ReadFrom(answer)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(answer[:n])
}

// register answers the challenge, and wants a status and contacts.
func (p *deskPhone) register(server *server, lines string, status int, contacts ...string) {
	p.t.Helper()
	_, rest, found := strings.Cut(p.send(server, lines), "WWW-Authenticate: ")
	if !found {
		p.t.Fatal("no challenge")
	}
	line, _, _ := strings.Cut(rest, "\r\n")
	challenge, err := digest.ParseChallenge(line)
	if err != nil {
		p.t.Fatal(err)
	}
	credentials, err := digest.Digest(challenge, digest.Options{
		Method: "REGISTER", URI: "sip:" + server.SIP, Username: "desk1", Password: "correct-horse", Count: 1,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	answer := p.send(server, "Authorization: "+credentials.String()+"\r\n"+lines)
	if !strings.HasPrefix(answer, fmt.Sprintf("SIP/2.0 %d ", status)) ||
		strings.Count(answer, "\r\nContact: ") != len(contacts) {
		p.t.Errorf("want %d with the contacts %q, got:\n%s", status, contacts, answer)
	}
	for _, contact := range contacts {
		if !strings.Contains(answer, "\r\nContact: <"+contact+">;expires=") {
			p.t.Errorf("no contact %s in:\n%s", contact, answer)
		}
	}
}

// desk makes the connection of the user, and returns how a node tells of its registration.
func desk(s *server) (status func(on *server) object) {
	s.T.Helper()
	id := s.Must(http.MethodPost, "/v2/credential_connections", object{
		"connection_name": "desk", "user_name": "desk1", "password": "correct-horse",
	})["id"]
	return func(on *server) object {
		s.T.Helper()
		return on.Must(http.MethodPost, fmt.Sprintf("/v2/credential_connections/%v/actions/check_registration_status", id), nil)
	}
}

// TestRegistrationsOnTwoNodes: what a telephone has registered with one node the other
// tells of, lists, and holds to its order.
func TestRegistrationsOnTwoNodes(t *testing.T) {
	_, first, second := twoNodes(t)
	status := desk(first)
	becomes := func(on *server, want string) {
		t.Helper()
		process.Eventually(t, want+" on the other node", 10*time.Second, func() bool { return status(on)["status"] == want })
	}
	p := newDeskPhone(t, "call-of-desk")
	const a, b = "sip:desk1@192.0.2.7:5060", "sip:desk1@192.0.2.8:5060;transport=tcp"
	p.register(first, "Contact: <"+a+">\r\nExpires: 600\r\n", http.StatusOK, a)
	becomes(second, "Registered")
	if want, got := status(first), status(second); fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("the nodes tell:\n%v\n%v", want, got)
	}
	p.register(second, "", http.StatusOK, a) // asks what there is
	p.register(second, "Contact: <"+b+">\r\n", http.StatusOK, a, b)
	late := newDeskPhone(t, "call-of-desk") // whose CSeq is lower
	late.register(second, "Contact: <"+a+">;expires=0\r\n", http.StatusInternalServerError)
	p.register(second, "Contact: *\r\nExpires: 0\r\n", http.StatusOK)
	becomes(first, "Unregistered")
	p.register(first, "", http.StatusOK)
}

// TestRegistrationsSurvive: a node that is killed has the registrations of up to a second
// before, one that is stopped has all of them.
func TestRegistrationsSurvive(t *testing.T) {
	s := serve(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0")
	status := desk(s)
	p := newDeskPhone(t, "call-of-desk")
	const a, b = "sip:desk1@192.0.2.7:5060", "sip:desk1@192.0.2.8:5060;transport=tcp"
	p.register(s, "Contact: <"+a+">\r\nExpires: 600\r\n", http.StatusOK, a)
	process.Eventually(t, "written", 10*time.Second, func() bool {
		return s.Scrape()["tollgate_sip_registrations_unsaved"] == 0
	})
	want := status(s)
	s.Kill()
	s = &server{s.Again()}
	if got := status(s); fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("after the kill %v, before %v", got, want)
	}
	if n := s.Scrape()["tollgate_sip_registered_contacts"]; n != 1 {
		t.Errorf("%v contacts", n)
	}
	p.register(s, "Contact: <"+b+">\r\n", http.StatusOK, a, b)
	if code := s.Terminate(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	s = &server{s.Again()}
	p.register(s, "", http.StatusOK, a, b)
}
