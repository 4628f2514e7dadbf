package siptrace

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	here = netip.MustParseAddrPort("192.0.2.1:5060")
	pbx  = netip.MustParseAddrPort("192.0.2.7:5070")
	at   = time.Date(2026, 3, 11, 15, 4, 5, 678_000, time.UTC)
)

// invite is a request of a caller.
func invite(callID, tag, more string) []byte {
	return []byte("INVITE sip:+12125550123@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7\r\n" +
		"f: <sip:+13125550100@192.0.2.7>;tag=" + tag +
		"\r\nTo: <sip:+12125550123@192.0.2.1>\r\nCall-ID: " + callID + "\r\nCSeq: 1 INVITE\r\n" + more + "\r\n")
}

func received(from netip.AddrPort, text []byte) *Message {
	return &Message{At: at, Transport: "UDP", Source: from, Destination: here, Text: text}
}

func TestACallHasItsOwnMessagesOnly(t *testing.T) {
	b := NewBuffer(DefaultBytes)
	mine, other := uuid.New(), uuid.New()
	stranger := netip.MustParseAddrPort("192.0.2.9:5060")
	b.Add(received(pbx, invite("one", "a1", "X-N: 1\r\n"))) // before anybody knows whose it is
	b.Link(mine, Leg{"one", pbx.Addr(), "a1"})
	b.Add(&Message{At: at, Sent: true, Source: here, Destination: pbx, Text: []byte(
		"BYE sip:x SIP/2.0\r\nFrom: <sip:y>;tag=ours\r\nTo: <sip:x>;tag=a1\r\nCall-ID: one\r\n\r\n")})
	// Another customer has chosen the same Call-ID, or someone else sends it.
	b.Add(received(stranger, invite("one", "a1", "X-N: 2\r\n")))
	b.Add(received(pbx, invite("one", "a12", "X-N: 3\r\n")))
	b.Add(received(pbx, invite("one", "A1", "X-N: 4\r\n")))
	b.Link(other, Leg{"one", stranger.Addr(), "a1"})
	b.Link(other, Leg{"two", pbx.Addr(), ""})
	b.Add(received(pbx, invite("two", "", "")))

	got := b.Call(mine)
	if len(got) != 2 || !bytes.Contains(got[0].Text, []byte("X-N: 1")) || !got[1].Sent {
		t.Errorf("%d messages of the call: %v", len(got), got)
	}
	if got := b.Call(other); len(got) != 1 || !bytes.Contains(got[0].Text, []byte("X-N: 2")) {
		t.Errorf("%d messages of the other call: %v", len(got), got)
	}
	if got := b.Call(uuid.New()); got != nil {
		t.Errorf("messages of no call: %v", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const most = 4 << 20
	b := NewBuffer(most)
	var calls []uuid.UUID
	for i := range 20_000 {
		call, callID := uuid.New(), fmt.Sprint("call", i)
		calls = append(calls, call)
		b.Link(call, Leg{callID, pbx.Addr(), "t"})
		b.Add(received(pbx, invite(callID, "t", "X-Filler: "+strings.Repeat("x", 700)+"\r\n")))
	}
	size := 0
	for _, s := range b.segments {
		size += cap(s)
	}
	if size > most {
		t.Errorf("%d bytes for a limit of %d bytes", size, most)
	}
	if got := b.Call(calls[0]); len(got) != 0 {
		t.Error("the oldest call is still there")
	}
	if got := b.Call(calls[len(calls)-1]); len(got) != 1 {
		t.Errorf("%d messages of the latest call", len(got))
	}
	b.Add(received(pbx, make([]byte, segmentBytes+1)))
	if got := b.segments[len(b.segments)-1]; len(got) > segmentBytes {
		t.Error("a message larger than a segment was kept")
	}
}

func TestTheEndOfALongCallIsFound(t *testing.T) {
	b := NewBuffer(0) // two segments
	tracer := NewTracer(b, nil)
	call, leg := uuid.New(), Leg{"long", pbx.Addr(), "t"}
	tracer.Begin(call, leg)
	tracer.Message(received(pbx, invite("long", "t", "")))
	for i := range 4000 {
		tracer.Message(received(pbx, invite("noise", fmt.Sprint(i), strings.Repeat("x", 900)+"\r\n")))
	}
	if got := tracer.Call(call); len(got) != 0 {
		t.Fatalf("%d messages that should have been forgotten", len(got))
	}
	tracer.Message(received(pbx, invite("long", "t", "X-Last: 1\r\n")))
	tracer.End(call, leg)
	if got := tracer.Call(call); len(got) != 1 {
		t.Errorf("%d messages, want the last one", len(got))
	}
}

func TestNoTracerTakesNothing(t *testing.T) {
	var none *Tracer
	none.Message(received(pbx, nil))
	none.Begin(uuid.New(), Leg{})
	none.End(uuid.New(), Leg{})
	if none.Call(uuid.New()) != nil {
		t.Error("messages out of nothing")
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Via: x\r\nAuthorization: Digest username=\"u\", response=\"deadbeef\", cnonce=abc, nc=00000001\r\n\r\n",
			"Via: x\r\nAuthorization: Digest username=\"u\", response=\"removed\", cnonce=\"removed\", nc=00000001\r\n\r\n"},
		{"proxy-authorization :\tdigest\r\n username=\"u\",\r\n\tresponse = \"deadbeef\"\r\nVia: response=\"stays\"\r\n\r\n",
			"proxy-authorization :\tdigest\r\n username=\"u\",\r\n\tresponse = \"removed\"\r\nVia: response=\"stays\"\r\n\r\n"},
		{"Proxy-Authorization: Digest username=\"u\",\r\n\tresponse = \"deadbeef\r\n\r\n",
			"Proxy-Authorization: Digest username=\"u\",\r\n\tresponse = \"removed\"\r\n\r\n"},
		{"Authorization: Basic Zm9vOmJhcg==\r\nX-Telnyx-Token: s3cret\r\nx-tollgate-token: s3cret\r\n\r\n",
			"Authorization: removed\r\nX-Telnyx-Token: removed\r\nx-tollgate-token: removed\r\n\r\n"},
		{"Via: x\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\nk=clear:s3cret\r\nm=audio\r\n",
			"Via: x\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:removed\r\nk=removed\r\nm=audio\r\n"},
		{"Authorization: Digest response=deadbeef", "Authorization: Digest response=\"removed\""},
		{"", ""},
	} {
		if got := string(Redact([]byte(c.in))); got != c.want {
			t.Errorf("Redact(%q):\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

// FuzzRedact puts a secret into headers of any form and looks for it afterwards.
func FuzzRedact(f *testing.F) {
	f.Add("Digest ", "\", realm=x", "\r\n more")
	f.Add("Basic ", "", "")
	f.Fuzz(func(t *testing.T, before, after, rest string) {
		if strings.ContainsAny(before, "\r\n") {
			t.Skip("the secret would be in another header")
		}
		const secret = "5ecre7f00d"
		for _, header := range []string{"Authorization: " + before + "response=\"" + secret,
			"X-Telnyx-Token: " + before + secret} {
			text := header + after + "\r\n" + rest
			if got := Redact([]byte(text)); bytes.Contains(got, []byte(secret)) && !strings.Contains(after+rest, secret) {
				// What stands in a quoted parameter of another name cannot be told apart.
				if strings.Count(before, `"`)%2 == 0 && !wordEnd(before) {
					t.Errorf("%q is still in %q", text, got)
				}
			}
		}
	})
}

// wordEnd reports whether "response" would be the end of a longer word.
func wordEnd(before string) bool {
	if before == "" {
		return false
	}
	last := before[len(before)-1]
	return last == '_' || last >= '0' && last <= '9' || last >= 'a' && last <= 'z' || last >= 'A' && last <= 'Z'
}

// readHEP reads a packet by the rules of the format, not by those of the code under test.
func readHEP(t *testing.T, packet []byte) map[uint16][]byte {
	t.Helper()
	if len(packet) < 6 || string(packet[:4]) != "HEP3" || int(binary.BigEndian.Uint16(packet[4:])) != len(packet) {
		t.Fatalf("not a HEP packet: %q", packet)
	}
	chunks := map[uint16][]byte{}
	for rest := packet[6:]; len(rest) > 0; {
		if len(rest) < 6 || binary.BigEndian.Uint16(rest) != 0 {
			t.Fatalf("not a generic chunk: %q", rest)
		}
		size := binary.BigEndian.Uint16(rest[4:])
		chunks[binary.BigEndian.Uint16(rest[2:])] = rest[6:size]
		rest = rest[size:]
	}
	return chunks
}

func TestHEPPackets(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	h, err := DialHEP(context.Background(), socket.LocalAddr().String(), 77, "key")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	tracer := NewTracer(nil, h)
	call := uuid.New()
	tracer.Begin(call, Leg{"one", pbx.Addr(), "a"})
	text := invite("one", "a", "Authorization: Digest response=\"deadbeef\"\r\n")
	six := &Message{At: at, Transport: "TCP", Source: netip.MustParseAddrPort("[2001:db8::1]:5060"), Destination: pbx,
		Text: text}
	for i, m := range []*Message{received(pbx, text), six} {
		tracer.Message(m)
		packet := make([]byte, 1<<16)
		_ = socket.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := socket.ReadFrom(packet)
		if err != nil {
			t.Fatal(err)
		}
		chunks := readHEP(t, packet[:n])
		want := map[uint16]string{
			1: "\x02", 2: "\x11", 3: "\xc0\x00\x02\x07", 4: "\xc0\x00\x02\x01", 7: "\x13\xce", 8: "\x13\xc4",
			9:  string(binary.BigEndian.AppendUint32(nil, uint32(at.Unix()))),
			10: string(binary.BigEndian.AppendUint32(nil, 678)),
			11: "\x01", 12: "\x00\x00\x00\x4d", 14: "key", 15: strings.Replace(string(text), "deadbeef", "removed", 1),
			17: call.String(),
		}
		if i == 1 {
			delete(want, 3)
			delete(want, 4)
			want[1], want[2] = "\x0a", "\x06"
			want[5] = string(six.Source.Addr().AsSlice())
			want[6] = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x07"
			want[7], want[8] = "\x13\xc4", "\x13\xce"
		}
		for kind, value := range want {
			if got := string(chunks[kind]); got != value {
				t.Errorf("packet %d, chunk %d: %q, want %q", i, kind, got, value)
			}
		}
		if len(chunks) != len(want) {
			t.Errorf("packet %d has %d chunks, want %d", i, len(chunks), len(want))
		}
	}
	h.Send(&Message{Source: pbx, Destination: here, Text: make([]byte, maxHEP+1)}, "")
	if h.Lost() != 1 {
		t.Errorf("%d lost, want the one that fits no datagram", h.Lost())
	}
}

// TestReadingWhileMessagesCome: who asks sees whole messages, whatever is added and
// forgotten meanwhile.
func TestReadingWhileMessagesCome(t *testing.T) {
	b := NewBuffer(0) // two segments, so that much is forgotten
	call := uuid.New()
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() {
		defer close(done)
		for range 5000 {
			b.Link(call, Leg{"one", pbx.Addr(), "t"})
			b.Add(received(pbx, invite("one", "t", "X-Filler: "+strings.Repeat("x", 900)+"\r\n")))
		}
	})
	defer work.Wait()
	for {
		for _, m := range b.Call(call) {
			if !bytes.HasPrefix(m.Text, []byte("INVITE ")) || !bytes.HasSuffix(m.Text, []byte("xxx\r\n\r\n")) {
				t.Fatalf("a message is %q", m.Text)
			}
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
