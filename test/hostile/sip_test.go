package hostile

import (
	"bufio"
	"crypto/md5"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
)

// answerLimit is how long an answer may take on a busy machine. Tests that expect an
// answer wait that long at most; those that expect none say how long they listen.
const answerLimit = 5 * time.Second

// peer is a client that writes SIP by hand.
type peer struct {
	t      *testing.T
	conn   net.Conn
	reader *bufio.Reader // of a stream
	server string
}

// talk opens a socket to a server: network is udp or tcp, from the address of the
// peer, with or without a port.
func talk(t *testing.T, network, from, server string) *peer {
	t.Helper()
	if _, _, err := net.SplitHostPort(from); err != nil {
		from = net.JoinHostPort(from, "0")
	}
	var dialer net.Dialer
	var err error
	if network == "tcp" {
		dialer.LocalAddr, err = net.ResolveTCPAddr(network, from)
	} else {
		dialer.LocalAddr, err = net.ResolveUDPAddr(network, from)
	}
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.DialContext(t.Context(), network, server)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, conn: conn, server: server}
	if network == "tcp" {
		p.reader = bufio.NewReader(conn)
	}
	t.Cleanup(func() { conn.Close() })
	return p
}

// addr is where the peer sends from, host:port.
func (p *peer) addr() string { return p.conn.LocalAddr().String() }

// send writes text as it stands.
func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next message, or "" when none comes within the limit, or the
// other side has closed the connection.
func (p *peer) read(limit time.Duration) string {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		p.t.Fatal(err)
	}
	if p.reader == nil {
		packet := make([]byte, 1<<16)
		n, err := p.conn.Read(packet)
		if err != nil {
			return ""
		}
		return string(packet[:n])
	}
	var head strings.Builder
	for {
		line, err := p.reader.ReadString('\n')
		if err != nil {
			return ""
		}
		if line == "\r\n" && head.Len() == 0 {
			continue // a ping
		}
		head.WriteString(line)
		if line == "\r\n" {
			break
		}
	}
	length, _ := strconv.Atoi(headerOf(head.String(), "Content-Length"))
	body := make([]byte, length)
	if _, err := io.ReadFull(p.reader, body); err != nil {
		return ""
	}
	return head.String() + string(body)
}

// final returns the next final answer; "" when none comes in time.
func (p *peer) final() string {
	p.t.Helper()
	for {
		message := p.read(answerLimit)
		if message == "" || statusOf(message) >= 200 {
			return message
		}
	}
}

// request is a SIP request that is written by hand. What is empty is filled in by
// text with what a phone would write.
type request struct {
	method        string // INVITE
	uri           string // sip:+12125550123@server
	from, to      string // with their tags
	callID        string
	branch        string
	sequence      int
	header        []string // whole lines, in the place of none
	body          string   // with contentType application/sdp unless header says more
	withoutLength bool
}

var serial atomic.Int64

// unique is a text that no other test has.
func unique(what string) string { return fmt.Sprintf("%s%d-%d", what, os.Getpid(), serial.Add(1)) }

// text is the request as this peer writes it.
func (p *peer) text(r request) string {
	host := p.addr()
	transport := strings.ToUpper(p.conn.LocalAddr().Network())
	for field, usual := range map[*string]string{
		&r.method: "INVITE", &r.uri: "sip:+12125550123@" + p.server, &r.callID: unique("call"),
		&r.branch: "z9hG4bK" + unique("b"),
		&r.from:   fmt.Sprintf("<sip:+13125550100@%s>;tag=%s", host, unique("f")),
	} {
		if *field == "" {
			*field = usual
		}
	}
	if r.to == "" {
		r.to = "<" + r.uri + ">"
	}
	if r.sequence == 0 {
		r.sequence = 1
	}
	lines := []string{
		r.method + " " + r.uri + " SIP/2.0", fmt.Sprintf("Via: SIP/2.0/%s %s;branch=%s;rport", transport, host, r.branch),
		"Max-Forwards: 70", "From: " + r.from, "To: " + r.to, "Call-ID: " + r.callID,
		fmt.Sprintf("CSeq: %d %s", r.sequence, r.method),
		fmt.Sprintf("Contact: <sip:peer@%s;transport=%s>", host, strings.ToLower(transport)),
	}
	lines = append(lines, r.header...)
	if r.body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	if !r.withoutLength {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(r.body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + r.body
}

// sdp is an offer of one audio stream at an address.
func sdp(address string, port int) string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 0\r\n"+
		"a=rtpmap:0 PCMU/8000\r\n", address, port)
}

// ackOf is the ACK of a final answer that is none of success, which belongs to the
// INVITE's transaction.
func (p *peer) ackOf(r request, answer string) string {
	r.method = "ACK"
	r.to = headerOf(answer, "To")
	r.body = ""
	r.header = nil
	r.callID = headerOf(answer, "Call-ID")
	r.from = headerOf(answer, "From")
	if via := regexp.MustCompile(`branch=([^;\s]+)`).FindStringSubmatch(headerOf(answer, "Via")); via != nil {
		r.branch = via[1]
	}
	return p.text(r)
}

// statusOf is the status of an answer; 0 of a request.
func statusOf(message string) int {
	rest, answer := strings.CutPrefix(message, "SIP/2.0 ")
	if !answer || len(rest) < 3 {
		return 0
	}
	status, _ := strconv.Atoi(rest[:3])
	return status
}

// headerOf is the first field of a name, by its long name.
func headerOf(message, name string) string {
	head, _, _ := strings.Cut(message, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if field, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(field), name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// authorization answers the challenge of a 401 or a 407 by MD5 with qop=auth, as a
// whole header line.
func authorization(answer, user, password, method, uri string) string {
	name, challenge := "Authorization", headerOf(answer, "WWW-Authenticate")
	if challenge == "" {
		name, challenge = "Proxy-Authorization", headerOf(answer, "Proxy-Authenticate")
	}
	value := func(key string) string {
		if found := regexp.MustCompile(`\b` + key + `="([^"]*)"`).FindStringSubmatch(challenge); found != nil {
			return found[1]
		}
		return ""
	}
	const count, own = "00000001", "0a4f113b"
	response := md5Hex(strings.Join([]string{
		md5Hex(user + ":" + value("realm") + ":" + password), value("nonce"), count, own, "auth", md5Hex(method + ":" + uri),
	}, ":"))
	return fmt.Sprintf(`%s: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5, qop=auth, nc=%s, cnonce="%s", opaque="%s"`,
		name, user, value("realm"), value("nonce"), uri, response, count, own, value("opaque"))
}

func md5Hex(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }

// The harness itself: a call over UDP by hand reaches the carrier, and a wrong
// password does not; the same over TCP.
func TestTheHarness(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := s.setUp(nil)
	s.credentialConnection(w.profile, "desk12345", "correct-horse", nil)
	for _, network := range []string{"udp", "tcp"} {
		p := talk(t, network, pbxIP, s.SIP)
		invite := request{callID: unique("call"), branch: "z9hG4bK" + unique("b"), body: sdp(pbxIP, 40000)}
		p.send(p.text(invite))
		answer := p.final()
		if statusOf(answer) != 200 {
			t.Fatalf("%s: the PBX got %q", network, answer)
		}
		p.send(p.text(request{method: "BYE", callID: invite.callID, from: headerOf(answer, "From"),
			to: headerOf(answer, "To"), sequence: 2}))
		if answer := p.final(); statusOf(answer) != 200 {
			t.Fatalf("%s: BYE got %q", network, answer)
		}

		stranger := talk(t, network, strangerIP, s.SIP)
		invite = request{uri: "sip:+12125550123@" + s.SIP, callID: unique("call"),
			from: "<sip:+13125550100@example.com>;tag=1", body: sdp(strangerIP, 40002)}
		for _, try := range []struct {
			password string
			status   int
		}{{"wrong-horse", 403}, {"correct-horse", 200}} {
			invite.callID = unique("call")
			invite.branch = ""
			invite.header = nil
			invite.sequence = 1
			stranger.send(stranger.text(invite))
			challenge := stranger.final()
			stranger.send(stranger.ackOf(invite, challenge))
			invite.sequence, invite.header = 2,
				[]string{authorization(challenge, "desk12345", try.password, "INVITE", invite.uri)}
			stranger.send(stranger.text(invite))
			if answer := stranger.final(); statusOf(answer) != try.status {
				t.Errorf("%s: with %q after %q: %q", network, try.password, challenge, answer)
			}
		}
	}
	if got := len(w.carrier.Calls()); got != 4 {
		t.Errorf("the carrier saw %d calls, want 4", got)
	}
	if outcome := s.place(pbxIP, phone.Options{}); outcome.Status != 200 {
		t.Errorf("the phone's call: %d", outcome.Status)
	}
	s.Kill()
	s = s.again()
	if status, answer := s.CallAs("a-key-that-is-none-at-all", "GET", "/v2/outbound_voice_profiles", nil); status != 401 ||
		len(problems(answer)) != 1 {
		t.Errorf("a wrong key: %d %v", status, answer)
	}
}
