package sipgw

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// offer and answerSDP are session descriptions; what they say is of no matter to
// the gateway.
const (
	offer     = "v=0\r\no=pbx 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
	answerSDP = "v=0\r\no=car 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n"
)

// party is a SIP element of a test: it sends what it is told and keeps what it
// gets, in order. It does nothing by itself.
type party struct {
	w      *world
	t      testing.TB
	udp    *net.UDPConn
	tcp    net.Listener
	conn   net.Conn // of a TCP party: towards the gateway, or the last accepted
	local  netip.AddrPort
	got    chan *message
	opened chan net.Conn
	ended  chan struct{}   // closed when the connection that the party opened has ended
	dials  *tls.Config     // set where a TCP party connects by TLS
	wanted map[string]bool // messages that want has returned
}

func (w *world) party(host string, tcp bool) *party {
	w.t.Helper()
	p := &party{w: w, t: w.t, got: make(chan *message, 4096), wanted: make(map[string]bool),
		opened: make(chan net.Conn, 16)}
	var err error
	for range 16 { // a port may be free for UDP only
		if p.udp, err = net.ListenUDP("udp",
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0))); err != nil || !tcp {
			break
		}
		if p.tcp, err = net.ListenTCP("tcp",
			net.TCPAddrFromAddrPort(p.udp.LocalAddr().(*net.UDPAddr).AddrPort())); err == nil {
			break
		}
		p.udp.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	p.local = p.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	_ = p.udp.SetReadBuffer(4 << 20)
	done := make(chan struct{})
	if tcp {
		if w.secured != nil {
			p.tcp = tls.NewListener(p.tcp, w.secured.server(host))
			p.dials = w.secured.client()
		}
		go p.accept(done)
	} else {
		close(done)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buffer := make([]byte, sip.MaxMessageBytes)
		for {
			n, from, err := p.udp.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			p.take(buffer[:n], transport.Peer{Addr: from})
		}
	}()
	w.t.Cleanup(func() {
		p.udp.Close()
		if p.tcp != nil {
			p.tcp.Close()
		}
		<-read
		<-done
	})
	return p
}

// accept reads from every connection that is opened to a TCP party.
func (p *party) accept(done chan struct{}) {
	defer close(done)
	for {
		conn, err := p.tcp.Accept()
		if err != nil {
			return
		}
		p.opened <- conn
		p.t.(*testing.T).Cleanup(func() { conn.Close() })
		go p.readStream(conn)
	}
}

// connect opens a connection to the gateway over which the party then sends.
func (p *party) connect() {
	p.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: p.local.Addr().AsSlice()}}
	conn, err := dialer.Dial("tcp", p.gateway())
	if err != nil {
		p.t.Fatal(err)
	}
	if p.dials != nil {
		conn = tls.Client(conn, p.dials)
	}
	p.conn = conn
	read := make(chan struct{})
	p.ended = read
	go func() { defer close(read); p.readStream(conn) }()
	p.t.(*testing.T).Cleanup(func() { conn.Close(); <-read })
}

func (p *party) readStream(conn net.Conn) {
	var buffer []byte
	part := make([]byte, 65536)
	for {
		n, err := conn.Read(part)
		buffer = append(buffer, part[:n]...)
		for {
			size, skip, _ := sip.Frame(buffer)
			buffer = buffer[skip:]
			if size == 0 {
				break
			}
			p.take(buffer[:size], transport.Peer{TCP: true})
			buffer = buffer[size:]
		}
		if err != nil {
			return
		}
	}
}

func (p *party) take(data []byte, from transport.Peer) {
	if m := transaction.Read(data, from); m != nil {
		p.got <- m
	}
}

func (p *party) address() string { return p.local.String() }

// gateway is where the party connects to.
func (p *party) gateway() string {
	if p.dials != nil {
		return p.w.srv.SecureAddr()
	}
	return p.w.srv.Addr()
}

// stream names the transport of the party's connection.
func (p *party) stream() string {
	if p.dials != nil {
		return "TLS"
	}
	return "TCP"
}

// send sends text over the party's transport; line ends are written as on the wire.
func (p *party) send(text string) {
	p.t.Helper()
	var err error
	if p.conn != nil {
		_, err = io.WriteString(p.conn, text)
	} else {
		to := netip.MustParseAddrPort(p.w.srv.Addr())
		_, err = p.udp.WriteToUDPAddrPort([]byte(text), to)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// label names a message as the tests do: "INVITE", "180 INVITE".
func label(m *message) string {
	if m.Request {
		return m.Method
	}
	return strconv.Itoa(m.Status) + " " + m.Method
}

// await waits for a message, and passes over others.
func (p *party) await(want string) *message {
	p.t.Helper()
	deadline := time.After(patience)
	var seen []string
	for {
		select {
		case m := <-p.got:
			if label(m) == want {
				return m
			}
			seen = append(seen, label(m))
		case <-deadline:
			p.t.Fatalf("waited for %s, saw %q", want, seen)
		}
	}
}

// next is the next message other than 100 Trying.
func (p *party) next() *message {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-p.got:
			if m.Status != 100 {
				return m
			}
		case <-deadline:
			p.t.Fatal("no message")
		}
	}
}

// want checks what the next message is. A repetition of what was wanted before is
// passed over: on a busy machine the gateway may be faster than the test.
func (p *party) want(name string) *message {
	p.t.Helper()
	for {
		m := p.next()
		key := strings.Join([]string{label(m), m.CallID, m.Via.Branch, m.FromTag, m.ToTag, m.Get("cseq"), m.Get("rseq")}, " ")
		if got := label(m); got == name {
			p.wanted[key] = true
			return m
		} else if !p.wanted[key] {
			p.t.Fatalf("got %s, want %s:\n%v", got, name, m.Fields)
		}
	}
}

// quiet holds that nothing has come but what await passes over: an OPTIONS makes
// the round to the gateway, and its answer is the first thing to arrive.
func (p *party) quiet() {
	p.t.Helper()
	p.send(p.text("OPTIONS", "sip:"+p.w.srv.Addr(), newDialog(p, "probe"), "", ""))
	p.want("200 OPTIONS")
}

// dialog is what a party knows of a dialog.
type dialog struct {
	callID, local, remote, target string
	routes                        []string
	cseq                          int
	branch                        string
	noContact                     bool // requests have only the Contact of their extra lines
}

func newDialog(p *party, callee string) *dialog {
	return &dialog{
		callID: rand.Text(), local: "<sip:+12125550100@" + p.address() + ">;tag=" + rand.Text()[:8],
		remote: "<sip:" + callee + "@tollgate.test>", target: "sip:" + callee + "@" + p.w.srv.Addr(),
	}
}

// text writes a request. ACK and CANCEL have the CSeq of the request before, and
// CANCEL its branch.
func (p *party) text(method, uri string, d *dialog, extra, body string) string {
	if method != "ACK" && method != "CANCEL" {
		d.cseq++
	}
	if method != "CANCEL" {
		d.branch = sip.MagicCookie + rand.Text()
	}
	transport := "UDP"
	contact := "<sip:" + p.address() + ">"
	if p.conn != nil {
		transport, contact = p.stream(), "<sip:"+p.address()+";transport="+strings.ToLower(p.stream())+">"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;rport;branch=%s\r\n", method, uri, transport, p.address(),
		d.branch)
	fmt.Fprintf(&b, "Max-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n", d.local, d.remote,
		d.callID, d.cseq, method)
	for _, route := range d.routes {
		fmt.Fprintf(&b, "Route: <%s>\r\n", route)
	}
	if !d.noContact {
		fmt.Fprintf(&b, "Contact: %s\r\n", contact)
	}
	b.WriteString(extra)
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// request sends a request within a dialog.
func (p *party) request(d *dialog, method, extra, body string) {
	p.t.Helper()
	p.send(p.text(method, d.target, d, extra, body))
}

// invite begins a call with an offer.
func (p *party) invite(callee, extra string) *dialog {
	p.t.Helper()
	d := newDialog(p, callee)
	p.request(d, "INVITE", extra, offer)
	return d
}

// join takes what a 2xx tells of the dialog.
func (d *dialog) join(m *message) {
	d.remote, d.target = m.To, m.Contact()
	d.routes = nil
	for _, value := range m.All("record-route") {
		address, _ := sip.ReadAddress(value)
		d.routes = append([]string{address.URI}, d.routes...)
	}
}

// reply answers a request. tag is put into To when it has none.
func (p *party) reply(m *message, status int, tag, extra, body string) {
	p.t.Helper()
	head := ""
	for _, value := range m.All("record-route") {
		head += sip.Line("Record-Route", value)
	}
	contact := "<sip:" + p.address() + ">"
	if m.Peer.TCP {
		contact = "<sip:" + p.address() + ";transport=" + strings.ToLower(p.stream()) + ">"
	}
	head += sip.Line("Contact", contact) + extra
	data := m.Response(status, "Because", tag, head, []byte(body), "application/sdp")
	if p.conn != nil {
		p.send(string(data))
		return
	}
	to := m.Peer.Addr
	if _, err := p.udp.WriteToUDPAddrPort(data, to); err != nil {
		p.t.Fatal(err)
	}
}

// replyContact answers a REGISTER with the Contact that is bound.
func (p *party) replyContact(m *message, status int, contact string) {
	p.t.Helper()
	data := m.Response(status, "Because", "r", sip.Line("Contact", contact), nil, "")
	if _, err := p.udp.WriteToUDPAddrPort(data, m.Peer.Addr); err != nil {
		p.t.Fatal(err)
	}
}

// serverDialog is the dialog of an INVITE that the party answers with a tag.
func (p *party) serverDialog(invite *message, tag string) *dialog {
	return &dialog{
		callID: invite.CallID, local: invite.To + ";tag=" + tag, remote: invite.From, target: invite.Contact(), cseq: 500,
	}
}

// talk sets a call up between the PBX and the first carrier.
func (w *world) talk(extra string) (pbx, carrier *dialog) {
	w.t.Helper()
	pbx = w.pbx.invite("+12125550123", extra)
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.pbx.await("180 INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].await("ACK")
	pbx.join(w.pbx.await("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	return pbx, w.carriers[0].serverDialog(invite, "far")
}

// hangUp ends a call from the PBX's side.
func (w *world) hangUp(pbx *dialog) {
	w.t.Helper()
	w.pbx.request(pbx, "BYE", "", "")
	bye := w.carriers[0].await("BYE")
	w.carriers[0].reply(bye, 200, "", "", "")
	w.pbx.await("200 BYE")
}

func contains(t testing.TB, m *message, name, want string) {
	t.Helper()
	if got := strings.Join(m.All(name), ", "); !strings.Contains(got, want) {
		t.Errorf("%s: %s is %q, want %q in it", label(m), name, got, want)
	}
}
