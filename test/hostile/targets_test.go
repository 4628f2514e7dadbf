package hostile

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inside are addresses of gateways that lead inside, and whether the operator may
// allow them.
var inside = map[string]bool{
	"10.0.0.6": true, "172.16.0.1:5060": true, "192.168.1.1": true, "100.64.1.1": true, "[fd12::1]:5060": true,
	"[::ffff:10.0.0.1]:5060": true,
	"127.0.0.1:22":           false, "[::1]:22": false, "localhost:22": false, "[::ffff:127.0.0.1]:22": false,
	"169.254.169.254": false, "169.254.169.254:80": false, "[::ffff:169.254.169.254]:80": false,
	"metadata.google.internal":     false,
	"metadata.google.internal.:80": false, "100.100.100.200": false, "168.63.129.16": false, "[fd00:ec2::254]": false,
	"[fe80::1]":  false,
	"224.0.1.75": false, "[ff02::1]": false, "255.255.255.255": false, "0.0.0.0": false, "[::]:5060": false,
	"240.0.0.1":  false,
	"2130706433": false, "0x7f.1": false, "0177.0.0.1": false, "127.1": false, "[64:ff9b::a9fe:a9fe]": false,
	"[2002:7f00:1::]": false,
}

// TestGatewaysAreNoPortScanner: a gateway that leads inside is refused when it is made
// and when it is changed, with what the operator may do, and nothing is kept of it.
func TestGatewaysAreNoPortScanner(t *testing.T) {
	t.Parallel()
	strict, allowing := serve(t), serve(t, "--gateway-allow-private")
	kept := strict.gateway("192.0.2.50", nil)
	itself := map[string]bool{strict.SIP: false, strings.TrimPrefix(strict.API, "http://"): false}
	for _, addresses := range []map[string]bool{inside, itself} {
		for address, allowable := range addresses {
			for method, path := range map[string]string{http.MethodPost: "/tollgate/v1/gateways",
				http.MethodPatch: "/tollgate/v1/gateways/" + kept} {
				status, answer := strict.Call(method, path, object{"name": "inside", "address": address})
				found := strings.Join(problems(answer), "|")
				if status != http.StatusUnprocessableEntity || !strings.Contains(found, "10015 /address: "+address+" is ") ||
					strings.Contains(found, "--gateway-allow-private") != allowable {
					t.Errorf("%s %s: status %d: %s", method, address, status, found)
				}
			}
		}
	}
	if _, answer := strict.Call(http.MethodGet, "/tollgate/v1/gateways", nil); len(answer["data"].([]any)) != 1 {
		t.Errorf("kept: %v", answer["data"])
	}
	for address, allowable := range inside {
		status, answer := allowing.Call(http.MethodPost, "/tollgate/v1/gateways",
			object{"name": "inside", "address": address})
		if (status == http.StatusCreated) != allowable {
			t.Errorf("allowed, %s: status %d: %v", address, status, problems(answer))
		}
	}
}

// TestOnlyTheQuickStartHasLoopbackGateways: a server that others reach has no gateways
// on its own machine, and those of an earlier configuration are not used.
func TestOnlyTheQuickStartHasLoopbackGateways(t *testing.T) {
	t.Parallel()
	quick := serve(t)
	carrier := talk(t, "udp", carrierIP, quick.SIP)
	id := quick.gateway(carrier.addr(), object{"options_interval_secs": 1})
	if carrier.read(answerLimit) == "" {
		t.Fatal("the gateway of the quick start is not asked")
	}
	quick.Terminate()
	_, port, _ := net.SplitHostPort(quick.SIP)
	open := quick.again("--sip-addr", "0.0.0.0:"+port, "--media", "none")
	for _, address := range []string{"127.0.0.1:5070", "127.9.9.9", "[::1]:5070", "localhost", "localhost:5099"} {
		status, answer := open.Call(http.MethodPost, "/tollgate/v1/gateways", object{"name": "inside", "address": address})
		if found := strings.Join(problems(answer), "|"); status != http.StatusUnprocessableEntity ||
			!strings.Contains(found, "--gateway-allow-private") {
			t.Errorf("%s: status %d: %s", address, status, found)
		}
	}
	health, _ := open.Must(http.MethodGet, "/tollgate/v1/gateways/"+id, nil)["health"].(object)
	if detail, _ := health["detail"].(string); health["state"] != "forbidden" ||
		!strings.Contains(detail, carrier.addr()+" is loopback") {
		t.Errorf("health: %v", health)
	}
	if n := strings.Count(open.Text(), "gateway address is forbidden"); n != 1 {
		t.Errorf("told %d times", n)
	}
	// Another switch is not sent there either.
	open.ipConnection(open.profile(nil), pbxIP, nil)
	open.deck("1,0.60,1,1")
	admitted := open.Must(http.MethodPost, "/tollgate/v1/admissions", object{
		"source_ip": pbxIP, "call_id": unique("call"), "from": "+13125550100", "to": "+12125550123",
	})
	if routes, _ := admitted["routes"].([]any); admitted["decision"] != "allow" || len(routes) != 0 {
		t.Errorf("admitted: %v", admitted)
	}
	// It can still be renamed and switched off.
	if status, answer := open.Call(http.MethodPatch, "/tollgate/v1/gateways/"+id,
		object{"name": "old carrier", "enabled": false}); status != http.StatusOK {
		t.Errorf("status %d: %v", status, problems(answer))
	}
}

// streams are descriptions of one stream at an address.
var streams = map[string]string{
	"fax":   "m=image %d udptl t38\r\n",
	"DTLS":  "m=audio %d UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 AA\r\n",
	"audio": "m=audio %d RTP/AVP 0\r\n",
}

func describe(stream, address string) string {
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\n"+stream, host, number)
}

// answer is a response to a request that the server has sent.
func (p *peer) answer(request, status, body string) string {
	lines := []string{"SIP/2.0 " + status}
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "via", "from", "call-id", "cseq", "record-route":
			lines = append(lines, line)
		case "to":
			if !strings.Contains(line, "tag=") {
				line += ";tag=far"
			}
			lines = append(lines, line)
		}
	}
	lines = append(lines, "Contact: <sip:far@"+p.addr()+">", "Content-Type: application/sdp",
		fmt.Sprintf("Content-Length: %d", len(body)))
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// wait reads until a message begins with a text; "" when none comes.
func (p *peer) wait(begin string) string {
	for {
		if message := p.read(answerLimit); message == "" || strings.HasPrefix(message, begin) {
			return message
		}
	}
}

var portLine = regexp.MustCompile(`m=\w+ (\d+) `)

// TestMediaAreNoWayIn: a description that aims the media relay at the server itself is
// refused, whichever side writes it and whatever stream it is.
func TestMediaAreNoWayIn(t *testing.T) {
	t.Parallel()
	s := serve(t)
	profile := s.profile(nil)
	s.ipConnection(profile, pbxIP, object{"anchor_media": true})
	s.deck("1,0.60,1,1")
	carrier, pbx := talk(t, "udp", carrierIP, s.SIP), talk(t, "udp", pbxIP, s.SIP)
	s.gateway(carrier.addr(), nil)
	for name, stream := range streams {
		own := describe(stream, s.SIP)
		pbx.send(pbx.text(request{body: own}))
		if final := pbx.final(); !strings.HasPrefix(final, "SIP/2.0 488 Media Address Not Allowed") {
			t.Errorf("%s by the caller: %.60q", name, final)
		}
		pbx.send(pbx.text(request{body: describe(stream, pbx.addr())}))
		invite := carrier.wait("INVITE")
		carrier.send(carrier.answer(invite, "200 OK", own))
		if final := pbx.final(); !strings.HasPrefix(final, "SIP/2.0 488 Media Address Not Allowed") {
			t.Errorf("%s by the carrier: %.60q", name, final)
		}
		carrier.send(carrier.answer(carrier.wait("BYE"), "200 OK", ""))
	}
	// A call that is up is not turned inward either, and goes on.
	r := request{callID: unique("call"), from: "<sip:+13125550100@pbx.test>;tag=near", body: sdp(pbxIP, 4000)}
	pbx.send(pbx.text(r))
	carrier.send(carrier.answer(carrier.wait("INVITE"), "200 OK", sdp(carrierIP, 4000)))
	ok := pbx.final()
	r.to = headerOf(ok, "To")
	ack := r
	ack.method, ack.body = "ACK", ""
	pbx.send(pbx.text(ack))
	for i, method := range []string{"INVITE", "UPDATE"} {
		again := r
		again.method = method
		again.sequence = 2 + i
		again.body = describe(streams["fax"], s.SIP)
		pbx.send(pbx.text(again))
		final := pbx.final()
		if !strings.HasPrefix(final, "SIP/2.0 488 Media Address Not Allowed") {
			t.Errorf("by %s: %.60q", method, final)
		}
		if method == "INVITE" {
			pbx.send(pbx.ackOf(again, final))
		}
	}
	bye := r
	bye.method = "BYE"
	bye.sequence = 9
	bye.body = ""
	pbx.send(pbx.text(bye))
	if final := pbx.final(); statusOf(final) != 200 {
		t.Errorf("the call was over: %.60q", final)
	}
}

// TestNoRequestPassesAsMedia: a SIP request is not carried to the other side, whose
// switch would take it for the server's, not even where a fax was agreed.
func TestNoRequestPassesAsMedia(t *testing.T) {
	t.Parallel()
	s := serve(t)
	profile := s.profile(nil)
	s.ipConnection(profile, pbxIP, object{"anchor_media": true})
	s.deck("1,0.60,1,1")
	carrier, pbx := talk(t, "udp", carrierIP, s.SIP), talk(t, "udp", pbxIP, s.SIP)
	s.gateway(carrier.addr(), nil)
	fax := describe(streams["fax"], pbxIP+":4000")
	victim, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(carrierIP)})
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	attacker, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(pbxIP)})
	if err != nil {
		t.Fatal(err)
	}
	defer attacker.Close()
	pbx.send(pbx.text(request{body: fax}))
	invite := carrier.wait("INVITE")
	carrier.send(carrier.answer(invite, "200 OK", describe(streams["fax"], victim.LocalAddr().String())))
	ok := pbx.final()
	port := portLine.FindStringSubmatch(ok)
	if port == nil {
		t.Fatalf("no call: %.80q", ok)
	}
	relay, err := net.ResolveUDPAddr("udp", "127.0.0.1:"+port[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, packet := range []string{pbx.text(request{body: sdp(pbxIP, 4000)}), "SIP/2.0 200 OK\r\n\r\n",
		"\x00\x01\x02fax"} {
		if _, err := attacker.WriteToUDP([]byte(packet), relay); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, 4096)
	_ = victim.SetReadDeadline(time.Now().Add(answerLimit))
	if n, _, err := victim.ReadFromUDP(buffer); err != nil || string(buffer[:n]) != "\x00\x01\x02fax" {
		t.Errorf("the first packet that arrives is %q, %v; want the fax", buffer[:n], err)
	}
}

// TestEncryptionIsNotTakenAway: where media must be encrypted, a later offer without
// is refused and the call goes on.
func TestEncryptionIsNotTakenAway(t *testing.T) {
	t.Parallel()
	s := serve(t)
	profile := s.profile(nil)
	s.ipConnection(profile, pbxIP, object{"encrypted_media": "SRTP"})
	s.deck("1,0.60,1,1")
	carrier, pbx := talk(t, "udp", carrierIP, s.SIP), talk(t, "udp", pbxIP, s.SIP)
	s.gateway(carrier.addr(), object{"encrypted_media": "SRTP"})
	sealed := strings.Replace(sdp(pbxIP, 4000), "RTP/AVP", "RTP/SAVP", 1) +
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
	r := request{callID: unique("call"), from: "<sip:+13125550100@pbx.test>;tag=near", body: sealed}
	pbx.send(pbx.text(r))
	invite := carrier.wait("INVITE")
	carrier.send(carrier.answer(invite, "200 OK", sealed))
	ok := pbx.final()
	if statusOf(ok) != 200 {
		t.Fatalf("no call: %.80q", ok)
	}
	carrier.wait("ACK")
	r.to, r.sequence = headerOf(ok, "To"), 1
	ack := r
	ack.method, ack.body = "ACK", ""
	pbx.send(pbx.text(ack))
	for i, body := range []string{sdp(pbxIP, 4000), sealed + "m=video 4002 RTP/AVP 31\r\n",
		describe(streams["fax"], pbxIP+":4000")} {
		again := r
		again.sequence = 2 + i
		again.body = body
		again.branch = "z9hG4bK" + unique("re")
		pbx.send(pbx.text(again))
		final := pbx.final()
		if !strings.HasPrefix(final, "SIP/2.0 488 Encrypted Media Required") {
			t.Errorf("offer %d: %.60q", i, final)
		}
		pbx.send(pbx.ackOf(again, final))
	}
	bye := r
	bye.method = "BYE"
	bye.sequence = 9
	bye.body = ""
	pbx.send(pbx.text(bye))
	if final := pbx.final(); statusOf(final) != 200 {
		t.Errorf("the call was over: %.60q", final)
	}
	if message := carrier.wait(""); !strings.HasPrefix(message, "BYE") {
		t.Errorf("the carrier got %.60q", message)
	}
}
