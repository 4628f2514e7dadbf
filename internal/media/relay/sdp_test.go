package relay

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"

	"github.com/tollgate/tollgate/internal/media"
)

// rewritten writes a description as the relay at 192.0.2.1 port 30000 would, the
// second stream at 30002 and so on.
func rewritten(t *testing.T, text string, address netip.Addr) string {
	t.Helper()
	d, err := readDescription([]byte(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return string(d.write(placesFor(d, address), address))
}

func placesFor(d *description, address netip.Addr) []*placement {
	places := make([]*placement, len(d.streams))
	for i, lines := range d.streams {
		if lines.relayed() {
			places[i] = &placement{address: netip.AddrPortFrom(address, uint16(30000+2*i)), proto: lines.proto, mux: lines.mux}
		}
	}
	return places
}

func TestRewriting(t *testing.T) {
	relayed := netip.MustParseAddr("192.0.2.1")
	for name, c := range map[string]struct{ before, after string }{
		"address of the session": {
			"v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=ptime:20\r\n",
			"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\na=ptime:20\r\n",
		},
		"address of the stream, and bare line ends": {
			"v=0\no=- 1 2 IN IP6 2001:db8::5\ns=-\nt=0 0\nm=audio 4000/2 RTP/AVP 8\ni=voice\nc=IN IP6 2001:db8::5\nb=AS:64\n",
			"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\ni=voice\r\nc=IN IP4 192.0.2.1\r\n" +
				"b=AS:64\r\n",
		},
		"hold by the unspecified address": {
			"v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
			"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n",
		},
		"what leads past the relay": {
			"v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-lite\r\n" +
				"m=audio 4000 RTP/AVP 8\r\na=rtcp:4001\r\na=ice-ufrag:x\r\na=candidate:1 1 UDP 1 10.0.0.5 4000 typ host\r\n" +
				"a=mid:0\r\na=rtcp-mux\r\n",
			"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\na=mid:0\r\n" +
				"a=rtcp-mux\r\n",
		},
		"streams that are not relayed": {
			"v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n" +
				"m=video 0 RTP/AVP 97\r\nm=message 9000 TCP/MSRP *\r\nm=image 4002 udptl t38\r\n",
			"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n" +
				"m=video 0 RTP/AVP 97\r\nm=message 9000 TCP/MSRP *\r\nc=IN IP4 10.0.0.5\r\nm=image 30006 udptl t38\r\n",
		},
		"unknown lines": {
			"v=0\r\no=me 1 2 IN IP4 10.0.0.5\r\ns= \r\nx=unheard of\r\nc=IN IP4 pbx.example.com\r\nt=0 0\r\n" +
				"m=audio 4000 RTP/AVP 8 99\r\na=rtpmap:99 strange/8000\r\na=x-odd\r\n",
			"v=0\r\no=me 1 2 IN IP4 192.0.2.1\r\ns= \r\nx=unheard of\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" +
				"m=audio 30000 RTP/AVP 8 99\r\na=rtpmap:99 strange/8000\r\na=x-odd\r\n",
		},
	} {
		if got := rewritten(t, c.before, relayed); got != c.after {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.after)
		}
	}
	six := rewritten(t, "v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
		netip.MustParseAddr("2001:db8::1"))
	if !strings.Contains(six, "o=- 1 2 IN IP6 2001:db8::1\r\n") || !strings.Contains(six, "c=IN IP6 ::\r\n") {
		t.Errorf("to IPv6:\n%s", six)
	}
}

func TestDescriptionsThatCannotBeRelayed(t *testing.T) {
	head := "v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nt=0 0\r\n"
	for name, text := range map[string]string{
		"nothing":              "",
		"no stream":            head,
		"not a description":    "hello",
		"a line of one letter": head + "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 8\r\nx\r\n",
		"no address":           head + "m=audio 4000 RTP/AVP 8\r\n",
		"multicast":            head + "c=IN IP4 224.1.2.3/127\r\nm=audio 4000 RTP/AVP 8\r\n",
		"multicast 6":          head + "c=IN IP6 ff15::101\r\nm=audio 4000 RTP/AVP 8\r\n",
		"broadcast":            head + "c=IN IP4 255.255.255.255\r\nm=audio 4000 RTP/AVP 8\r\n",
		"half an address":      head + "c=IN IP4 10.0.0\r\nm=audio 4000 RTP/AVP 8\r\n",
		"another network":      head + "c=ATM NSAP 47.0091\r\nm=audio 4000 RTP/AVP 8\r\n",
		"no port":              head + "c=IN IP4 10.0.0.5\r\nm=audio - RTP/AVP 8\r\n",
		"a port too high":      head + "c=IN IP4 10.0.0.5\r\nm=audio 70000 RTP/AVP 8\r\n",
		"no format":            head + "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP\r\n",
		"no port for RTCP":     head + "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 8\r\na=rtcp:0\r\n",
		"RTCP to everyone":     head + "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 8\r\na=rtcp:5 IN IP4 224.0.0.1\r\n",
		"too many streams":     head + "c=IN IP4 10.0.0.5\r\n" + strings.Repeat("m=audio 4000 RTP/AVP 8\r\n", maxStreams+1),
		"too many lines": head + "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 8\r\n" +
			strings.Repeat("a=x\r\n", maxDescriptionLines),
		"too long": head + "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 8\r\na=" +
			strings.Repeat("x", maxDescriptionBytes) + "\r\n",
	} {
		if _, err := readDescription([]byte(text)); !errors.Is(err, media.ErrDescription) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFormats(t *testing.T) {
	d, err := readDescription([]byte("v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n" +
		"m=audio 4000 RTP/AVP 0 9 96 101 98 97 200 x\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n" +
		"a=rtpmap:98 bad\r\na=rtpmap:97 worse/0\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []media.Format{
		{PayloadType: 0, Name: "PCMU", ClockRate: 8000, Channels: 1},
		{PayloadType: 9, Name: "G722", ClockRate: 8000, Channels: 1},
		{PayloadType: 96, Name: "opus", ClockRate: 48000, Channels: 2},
		{PayloadType: 101, Name: "telephone-event", ClockRate: 8000, Channels: 1},
	}
	got := d.streams[0].formats()
	if len(got) != len(want) {
		t.Fatalf("formats %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("format %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestKeysOfADescription(t *testing.T) {
	const key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" // of RFC 4568 section 4.1
	for line, want := range map[string]string{
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key:                                 "AES_CM_128_HMAC_SHA1_80",
		"a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:" + key + "|2^20 WSH=64":                "AES_CM_128_HMAC_SHA1_32",
		"a=crypto:1 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==":      "AEAD_AES_128_GCM",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|1:4":                   "",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:4;inline:" + key + "|2:4": "",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " UNENCRYPTED_SRTP":           "",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " KDR=1":                      "",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key[:20]:                            "",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:!!!!":                                   "",
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 uri:https://example.com":                       "",
		"a=crypto:1 F8_128_HMAC_SHA1_80 inline:" + key:                                     "",
		"a=crypto:-1 AES_CM_128_HMAC_SHA1_80 inline:" + key:                                "",
		"a=crypto:1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + key:                        "",
		"a=crypto:1":                             "",
		"a=crypto:":                              "",
		"a=crypto:x AES_CM_128_HMAC_SHA1_80 y z": "",
	} {
		k, ok := readKeying(line)
		if ok != (want != "") || ok && (k.suite.name != want || !strings.HasPrefix(line, strings.Split(k.line(), "=")[0])) {
			t.Errorf("%s: %v, %+v", line, ok, k.suite.name)
		}
	}
}

// FuzzDescription holds of whatever can be read: it is written so that it can be
// read again, with as many streams, with the relay's address in the place of every
// relayed one, with every line that does not concern the relay, and so that a
// strict parser which takes the original takes it too.
func FuzzDescription(f *testing.F) {
	f.Add([]byte("v=0\r\no=- 1 2 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8 101\r\n" +
		"a=rtcp:4005 IN IP4 10.0.0.6\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 " +
		"inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"))
	f.Add([]byte("v=0\no=- 1 2 IN IP6 ::1\ns=-\nt=0 0\nm=audio 4000/2 RTP/AVP 8\ni=voice\nc=IN IP6 ::\na=sendonly\n" +
		"m=video 0 RTP/AVP 97\nm=image 9 udptl t38\nc=IN IP4 host.example\n"))
	relayed := netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := readDescription(text)
		if err != nil {
			return
		}
		places := placesFor(d, relayed)
		out := d.write(places, relayed)
		again, err := readDescription(out)
		if err != nil {
			t.Fatalf("%v:\n%q\nbecame\n%q", err, text, out)
		}
		if len(again.streams) != len(d.streams) {
			t.Fatalf("%d streams became %d:\n%q\n%q", len(d.streams), len(again.streams), text, out)
		}
		for i, p := range places {
			was, is := d.streams[i], again.streams[i]
			if is.relayed() != was.relayed() || is.direction != was.direction || is.rest != was.rest {
				t.Errorf("stream %d: %+v became %+v", i, was, is)
			}
			if p != nil && (is.port != p.address.Port() || is.rtcp.Port() != p.address.Port()+1 ||
				is.address != relayed && !is.onHold) {
				t.Errorf("stream %d is at %s:%d, RTCP at %s", i, is.address, is.port, is.rtcp)
			}
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\r\n")
			if strings.HasPrefix(line, "a=") && !ofTransport(line) && !strings.Contains(string(out), line+"\r\n") {
				t.Errorf("%q is gone", line)
			}
		}
		if new(sdp.SessionDescription).Unmarshal(text) == nil {
			if err := new(sdp.SessionDescription).Unmarshal(out); err != nil {
				t.Errorf("a strict parser takes\n%q\nand not\n%q: %v", text, out, err)
			}
		}
	})
}
