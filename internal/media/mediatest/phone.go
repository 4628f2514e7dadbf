package mediatest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// patience is how long a packet that must come is waited for, and absence how long
// one that must not come is.
const (
	patience = 10 * time.Second
	absence  = 150 * time.Millisecond
)

// suiteName is the crypto suite that the phones of the suite speak.
const suiteName = "AES_CM_128_HMAC_SHA1_80"

// Phone is one side of a call: an RTP port and an RTCP port, with SRTP if wanted.
type Phone struct {
	t         testing.TB
	rtp, rtcp *net.UDPConn
	ip        netip.Addr
	seq       uint16
	key       string // master key and salt; "" for plain RTP
	seal      *srtp.Context
	open      *srtp.Context
	version   int
	tag       string // of the a=crypto line that the phone answers to

	// ToRTP and ToRTCP are where the other side's description wants media.
	ToRTP, ToRTCP netip.AddrPort
}

// NewPhone opens two ports, an even one and the next.
func NewPhone(t testing.TB, host string) *Phone {
	t.Helper()
	ip := netip.MustParseAddr(host)
	for range 200 {
		first, err := listen(netip.AddrPortFrom(ip, 0))
		if err != nil {
			t.Fatal(err)
		}
		port := first.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		second, err := listen(netip.AddrPortFrom(ip, port+1))
		if err != nil || port%2 == 1 {
			first.Close()
			if err == nil {
				second.Close()
			}
			continue
		}
		t.Cleanup(func() { first.Close(); second.Close() })
		return &Phone{t: t, rtp: first, rtcp: second, ip: ip}
	}
	t.Fatal("no pair of ports is free")
	return nil
}

func listen(a netip.AddrPort) (*net.UDPConn, error) {
	return net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
}

// Encrypt makes the phone speak SRTP with a key.
func (p *Phone) Encrypt(key string) *Phone {
	p.t.Helper()
	p.key = (key + strings.Repeat(".", 30))[:30]
	p.seal = p.context(p.key)
	return p
}

func (p *Phone) context(key string) *srtp.Context {
	p.t.Helper()
	c, err := srtp.CreateContext([]byte(key[:16]), []byte(key[16:]), srtp.ProtectionProfileAes128CmHmacSha1_80)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *Phone) port() uint16 { return p.rtp.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// Describe is the phone's session description, with lines added to its stream.
func (p *Phone) Describe(lines ...string) []byte {
	p.version++
	family, proto := "IP4", "RTP/AVP"
	if p.ip.Is6() {
		family = "IP6"
	}
	if p.key != "" {
		proto = "RTP/SAVP"
		lines = append(lines,
			"a=crypto:"+p.cryptoTag()+" "+suiteName+" inline:"+base64.StdEncoding.EncodeToString([]byte(p.key)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=phone 7 %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", p.version, family, p.ip, family,
		p.ip)
	fmt.Fprintf(&b,
		"m=audio %d %s 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
		p.port(), proto)
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	return []byte(b.String())
}

func (p *Phone) cryptoTag() string {
	if p.tag == "" {
		return "1"
	}
	return p.tag
}

// Learn reads where the other side wants media and with which key they come.
func (p *Phone) Learn(sdp []byte) {
	p.t.Helper()
	var ip netip.Addr
	port, rtcpPort := 0, 0
	mux, encrypted := false, false
	for line := range strings.Lines(string(sdp)) {
		line = strings.TrimRight(line, "\r\n")
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "c="):
			ip = netip.MustParseAddr(fields[2])
		case strings.HasPrefix(line, "m=audio "):
			port, _ = strconv.Atoi(fields[1])
			rtcpPort = port + 1
			encrypted = strings.Contains(fields[2], "SAVP")
		case strings.HasPrefix(line, "a=rtcp:"):
			rtcpPort, _ = strconv.Atoi(strings.TrimPrefix(fields[0], "a=rtcp:"))
		case line == "a=rtcp-mux":
			mux = true
		case strings.HasPrefix(line, "a=crypto:") && p.key != "" && strings.Contains(line, suiteName) && encrypted:
			text, _, _ := strings.Cut(strings.TrimPrefix(fields[2], "inline:"), "|")
			key, err := base64.StdEncoding.DecodeString(text)
			if err != nil || len(key) != 30 {
				p.t.Fatalf("the key of %q", line)
			}
			p.open = p.context(string(key))
			p.tag = strings.TrimPrefix(fields[0], "a=crypto:")
		}
	}
	if !ip.IsValid() || port == 0 {
		p.t.Fatalf("no audio in\n%s", sdp)
	}
	if encrypted != (p.key != "") {
		p.t.Fatalf("the phone speaks SRTP: %v, and is told\n%s", p.key != "", sdp)
	}
	if mux {
		rtcpPort = port
	}
	p.ToRTP = netip.AddrPortFrom(ip, uint16(port))
	p.ToRTCP = netip.AddrPortFrom(ip, uint16(rtcpPort))
}

// packet makes an RTP packet with a text in it.
func (p *Phone) packet(text string) []byte {
	p.seq++
	raw, err := (&rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: p.seq, Timestamp: uint32(p.seq) * 160, SSRC: 0xfeed},
		Payload: []byte(text),
	}).Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	if p.seal != nil {
		if raw, err = p.seal.EncryptRTP(nil, raw, nil); err != nil {
			p.t.Fatal(err)
		}
	}
	return raw
}

// Say sends an RTP packet with a text in it.
func (p *Phone) Say(text string) {
	p.t.Helper()
	p.write(p.rtp, p.packet(text), p.ToRTP)
}

func (p *Phone) write(from *net.UDPConn, packet []byte, to netip.AddrPort) {
	p.t.Helper()
	if _, err := from.WriteToUDPAddrPort(packet, to); err != nil {
		p.t.Fatal(err)
	}
}

// Report sends an RTCP sender report with a packet count in it.
func (p *Phone) Report(count uint32) {
	p.t.Helper()
	raw, err := (&rtcp.SenderReport{SSRC: 0xfeed, PacketCount: count}).Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	if p.seal != nil {
		if raw, err = p.seal.EncryptRTCP(nil, raw, nil); err != nil {
			p.t.Fatal(err)
		}
	}
	from := p.rtcp
	if p.ToRTCP == p.ToRTP {
		from = p.rtp
	}
	p.write(from, raw, p.ToRTCP)
}

// Hear waits for the next packet and returns its text.
func (p *Phone) Hear() string {
	p.t.Helper()
	raw := p.read(p.rtp)
	if p.open != nil {
		var err error
		if raw, err = p.open.DecryptRTP(nil, raw, nil); err != nil {
			p.t.Fatalf("decrypt: %v", err)
		}
	}
	var packet rtp.Packet
	if err := packet.Unmarshal(raw); err != nil {
		p.t.Fatal(err)
	}
	return string(packet.Payload)
}

// HearReport waits for the next sender report and returns its packet count.
func (p *Phone) HearReport() uint32 {
	p.t.Helper()
	from := p.rtcp
	if p.ToRTCP == p.ToRTP {
		from = p.rtp
	}
	raw := p.read(from)
	if p.open != nil {
		var err error
		if raw, err = p.open.DecryptRTCP(nil, raw, nil); err != nil {
			p.t.Fatalf("decrypt: %v", err)
		}
	}
	if len(raw) < 28 || raw[1] != 200 {
		p.t.Fatalf("not a sender report: %x", raw)
	}
	return binary.BigEndian.Uint32(raw[20:])
}

func (p *Phone) read(from *net.UDPConn) []byte {
	p.t.Helper()
	_ = from.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 2048)
	n, _, err := from.ReadFromUDPAddrPort(buffer)
	if err != nil {
		p.t.Fatalf("%s heard nothing: %v", p.rtp.LocalAddr(), err)
	}
	return buffer[:n]
}

// Quiet holds that no packet comes.
func (p *Phone) Quiet() {
	p.t.Helper()
	_ = p.rtp.SetReadDeadline(time.Now().Add(absence))
	buffer := make([]byte, 2048)
	if n, from, err := p.rtp.ReadFromUDPAddrPort(buffer); err == nil {
		p.t.Errorf("heard %d bytes from %s: %q", n, from, buffer[:n])
	}
}

// Converse holds that both phones hear each other.
func Converse(t testing.TB, a, b *Phone) {
	t.Helper()
	for i := range 3 {
		text := "to b " + strconv.Itoa(i)
		a.Say(text)
		if got := b.Hear(); got != text {
			t.Errorf("heard %q, want %q", got, text)
		}
		text = "to a " + strconv.Itoa(i)
		b.Say(text)
		if got := a.Hear(); got != text {
			t.Errorf("heard %q, want %q", got, text)
		}
	}
}
