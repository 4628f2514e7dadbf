package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// sameCaller is a phone behind the PBX that gives all of its calls one Call-ID and one
// From tag.
type sameCaller struct {
	t    *testing.T
	conn net.Conn
	to   string // host:port
	call string
	sent int
}

func (k *kamailio) sameCaller(call string) *sameCaller {
	k.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(pbxIP)}}
	conn, err := dialer.DialContext(k.t.Context(), "udp", k.sip)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { conn.Close() })
	return &sameCaller{t: k.t, conn: conn, to: k.sip, call: call}
}

// dialog is what later requests of a call need.
type dialog struct{ to, contact, route string }

func (c *sameCaller) send(method, uri, to, route string, cseq int) {
	c.t.Helper()
	c.sent++
	local := c.conn.LocalAddr()
	lines := []string{
		method + " " + uri + " SIP/2.0", fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKsame%d", local, c.sent),
		fmt.Sprintf("From: <sip:+13125550100@%s>;tag=same", local),
		"To: " + to, "Call-ID: " + c.call, fmt.Sprintf("CSeq: %d %s", cseq, method),
		fmt.Sprintf("Contact: <sip:a@%s>", local), "Max-Forwards: 70", "Content-Length: 0",
	}
	if route != "" {
		lines = append(lines, "Route: "+route)
	}
	if _, err := c.conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

// final reads up to the final response of the latest request.
func (c *sameCaller) final() (status string, d dialog) {
	c.t.Helper()
	answer := make([]byte, 8192)
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		size, err := c.conn.Read(answer)
		if err != nil {
			c.t.Fatal(err)
		}
		first, rest, _ := strings.Cut(string(answer[:size]), "\r\n")
		if !strings.HasPrefix(first, "SIP/2.0 ") || strings.HasPrefix(first, "SIP/2.0 1") {
			continue
		}
		fields, err := textproto.NewReader(bufio.NewReader(strings.NewReader(rest))).ReadMIMEHeader()
		if err != nil {
			c.t.Fatal(err)
		}
		if !strings.Contains(fields.Get("Via"), fmt.Sprintf("branch=z9hG4bKsame%d", c.sent)) {
			continue // of an earlier one
		}
		contact := strings.Trim(fields.Get("Contact"), "<>")
		return strings.TrimPrefix(first, "SIP/2.0 "), dialog{fields.Get("To"), contact, fields.Get("Record-Route")}
	}
}

// invite begins a call and returns the final response. One that is answered is up.
func (c *sameCaller) invite(number string) (status string, d dialog) {
	c.t.Helper()
	uri := fmt.Sprintf("sip:%s@%s", number, c.to)
	cseq := c.sent + 1 // a callee takes one with the same for a fork
	c.send("INVITE", uri, "<"+uri+">", "", cseq)
	status, d = c.final()
	if strings.HasPrefix(status, "200") {
		c.send("ACK", d.contact, d.to, d.route, cseq)
	}
	return status, d
}

func (c *sameCaller) bye(d dialog) {
	c.t.Helper()
	c.send("BYE", d.contact, d.to, d.route, c.sent+1)
	if status, _ := c.final(); !strings.HasPrefix(status, "200") {
		c.t.Errorf("BYE: %s", status)
	}
}

// startBlindCarrier starts a carrier that never looks whether it has a call already: it
// answers each INVITE with a tag of its own, but fails those to one number.
func startBlindCarrier(t *testing.T, failing string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", carrierIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		message := make([]byte, 16384)
		for n := 0; ; n++ {
			size, from, err := conn.ReadFrom(message)
			if err != nil {
				return
			}
			first, rest, _ := strings.Cut(string(message[:size]), "\r\n")
			status := "200 OK"
			switch {
			case strings.HasPrefix(first, "ACK ") || strings.HasPrefix(first, "SIP/2.0 "):
				continue
			case strings.HasPrefix(first, "INVITE ") && strings.Contains(first, failing):
				status = "503 Service Unavailable"
			}
			answer := "SIP/2.0 " + status + "\r\n"
			for line := range strings.SplitSeq(rest, "\r\n") {
				switch name, _, _ := strings.Cut(line, ":"); strings.ToLower(name) {
				case "via", "from", "call-id", "cseq", "record-route":
					answer += line + "\r\n"
				case "to":
					if !strings.Contains(line, "tag=") {
						line += fmt.Sprintf(";tag=%d", n)
					}
					answer += line + "\r\n"
				}
			}
			answer += fmt.Sprintf("Contact: <sip:%s>\r\nContent-Length: 0\r\n\r\n", conn.LocalAddr())
			_, _ = conn.WriteTo([]byte(answer), from)
		}
	}()
	return conn.LocalAddr().String()
}

// A caller that gives call after call the Call-ID of one that has failed makes calls:
// each is decided, metered and recorded for itself.
func TestKamailioWithTheCallIDOfAFailedCall(t *testing.T) {
	s := serve(t, t.TempDir())
	const failing, number, again = "+12125550199", "+12125550123", 5
	profile := s.setUp(nil, startBlindCarrier(t, failing))
	k := startKamailio(t, s, "edge")
	caller := k.sameCaller("reused")
	if status, _ := caller.invite(failing); !strings.HasPrefix(status, "500") { // Kamailio's own word for a 503
		t.Fatalf("the failing call: %s", status)
	}
	var up []dialog
	for range again {
		status, d := caller.invite(number)
		if !strings.HasPrefix(status, "200") {
			t.Fatalf("a call of its own: %s", status)
		}
		up = append(up, d)
	}
	process.Eventually(t, "each call has a lease", 20*time.Second,
		func() bool { return s.liveCalls("answered_at") == again })
	for _, d := range up {
		caller.bye(d)
	}
	s.settled()
	records := s.callRecords()
	if got := count(records, "outcome"); len(records) != again+1 || got["answered"] != again || got["failed"] != 1 {
		t.Errorf("%d records: %v", len(records), got)
	}
	for _, r := range records {
		if r["outcome"] == "answered" && (r["cost"] == "0.00" ||
			!strings.HasPrefix(fmt.Sprint(r["sip_call_id"]), "reused;")) {
			t.Errorf("a call of %v cost %v", r["sip_call_id"], r["cost"])
		}
	}
	s.wantSpend(profile)
}

// The Call-ID and the From tag of a call that is up give no other call its channel.
func TestKamailioWithTheCallIDOfALiveCall(t *testing.T) {
	s := serve(t, t.TempDir())
	const number, again = "+12125550123", 5
	profile := s.setUp(object{"concurrent_call_limit": 1}, startBlindCarrier(t, "no-one"))
	k := startKamailio(t, s, "edge")
	caller := k.sameCaller("reused")
	status, first := caller.invite(number)
	if !strings.HasPrefix(status, "200") {
		t.Fatalf("the first call: %s", status)
	}
	process.Eventually(t, "the call is up", 20*time.Second, func() bool { return s.liveCalls("answered_at") == 1 })
	for range again {
		if status, _ := caller.invite(number); !strings.HasPrefix(status, "403") || !strings.HasSuffix(status, " D2") {
			t.Errorf("a call with the Call-ID of one that is up: %s", status)
		}
	}
	if n := s.liveCalls("answered_at"); n != 1 {
		t.Errorf("%d calls are up", n)
	}
	caller.bye(first)
	s.settled()
	records := s.callRecords()
	if got := count(records, "outcome"); len(records) != again+1 || got["answered"] != 1 || got["refused"] != again {
		t.Errorf("%d records: %v", len(records), got)
	}
	s.wantSpend(profile)
}

// Calls that look alike are each ended at their own grants.
func TestKamailioEndsCallsThatLookAlike(t *testing.T) {
	s := serve(t, t.TempDir())
	profile := s.setUp(object{"max_call_secs": 2}, startBlindCarrier(t, "no-one"))
	k := startKamailio(t, s, "edge")
	caller := k.sameCaller("reused")
	for range 2 {
		if status, _ := caller.invite("+12125550123"); !strings.HasPrefix(status, "200") {
			t.Fatalf("a call: %s", status)
		}
	}
	s.settled()
	records := s.callRecords()
	if got := count(records, "hangup_cause"); len(records) != 2 || got["ALLOTTED_TIMEOUT"] != 2 {
		t.Errorf("%d records: %v", len(records), got)
	}
	s.wantSpend(profile)
}
