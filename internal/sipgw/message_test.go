package sipgw

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sipgw/torture"
)

var source = peer{addr: netip.MustParseAddrPort("192.0.2.9:6000")}

func read(t *testing.T, lines ...string) *message {
	t.Helper()
	m := readMessage([]byte(strings.Join(lines, "\r\n")+"\r\n\r\n"), source)
	if m == nil {
		t.Fatalf("cannot read %q", lines)
	}
	return m
}

// with is an INVITE with these header lines.
func with(t *testing.T, lines ...string) *message {
	t.Helper()
	return read(t, append([]string{
		"INVITE sip:+12125550123@gate.test SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1",
		"To: <sip:a@b>", "Call-ID: c1", "CSeq: 7 INVITE",
	}, lines...)...)
}

func TestReceivedAndRport(t *testing.T) {
	for given, want := range map[string]struct{ via, reply string }{
		"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1": {"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1",
			"192.0.2.9:5070"},
		"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1": {"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "192.0.2.9:5060"},
		"SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1": {"SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1;received=192.0.2.9",
			"192.0.2.9:6000"},
		"SIP/2.0/UDP pbx.test;branch=z9hG4bK1": {"SIP/2.0/UDP pbx.test;branch=z9hG4bK1;received=192.0.2.9",
			"192.0.2.9:6000"},
		"SIP/2.0/UDP 10.1.1.1:5070;rport;branch=z9hG4bK1": {"SIP/2.0/UDP " +
			"10.1.1.1:5070;rport=6000;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.9:6000"},
		"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport": {"SIP/2.0/UDP " +
			"192.0.2.9:5070;branch=z9hG4bK1;rport=6000;received=192.0.2.9", "192.0.2.9:6000"},
		"SIP / 2.0 / UDP  h.test : 9 ; branch = z9hG4bK1": {"SIP / 2.0 / UDP  h.test : " +
			"9;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.9:6000"},
		"SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1": {"SIP/2.0/UDP " +
			"[2001:db8::1]:5070;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.9:6000"},
		"SIP/2.0/UDP 192.0.2.9;received=6.6.6.6;branch=z9hG": {"SIP/2.0/UDP 192.0.2.9;received=6.6.6.6;branch=z9hG",
			"192.0.2.9:5060"},
	} {
		m := read(t, "OPTIONS sip:x@y SIP/2.0", "v: "+given+" , SIP/2.0/UDP next.test;branch=z9hG4bK0", "Call-ID: 1",
			"CSeq: 1 OPTIONS")
		m.received()
		if diff := cmp.Diff([]string{want.via, "SIP/2.0/UDP next.test;branch=z9hG4bK0"}, m.all("via")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", given, diff)
		}
		if got := m.replyTo().addr.String(); got != want.reply {
			t.Errorf("%s: answered at %s, want %s", given, got, want.reply)
		}
	}
}

func TestCallerText(t *testing.T) {
	from := `From: "Bob, of \"sales\"" <sip:+12125550100@pbx.test;user=phone>;tag=1`
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{from}, "+12125550100"},
		{[]string{from, "P-Asserted-Identity: <sip:+12125550101@pbx.test>"}, "+12125550101"},
		{[]string{from, "P-Asserted-Identity: Bob <sip:+12125550101@pbx.test>, <tel:+12125550102>"}, "+12125550101"},
		{[]string{from, "P-Asserted-Identity: <tel:+1-212-555-0102;phone-context=x>"}, "+1-212-555-0102"},
		{[]string{from, "Remote-Party-ID: <sip:+12125550103@pbx.test>;party=calling"}, "+12125550103"},
		{[]string{from, "Remote-Party-ID: <sip:3@x>", "P-Asserted-Identity: <sip:2@x>", "P-Preferred-Identity: <sip:1@x>"},
			"1"},
		{[]string{from, "P-Asserted-Identity: nonsense"}, "+12125550100"},
		{[]string{`From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=1`}, ""},
		{[]string{`From: <sip:Anonymous@pbx.test>;tag=1`}, ""},
		{[]string{`From: <sip:%2B1212555%30100@pbx.test>;tag=1`}, "+12125550100"},
		{[]string{`From: <sip:pbx.test>;tag=1`}, ""},
		{[]string{`From: <sip:` + strings.Repeat("1", 500) + `@pbx.test>;tag=1`}, strings.Repeat("1", maxUser)},
		{[]string{`From: <sip:%0D%0AX@pbx.test>;tag=1`}, "  X"},
	} {
		if got := callerText(with(t, c.lines...)); got != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestPrivacyWanted(t *testing.T) {
	for lines, want := range map[string]bool{
		"From: <sip:1@x>;tag=1":                            false,
		"From: <sip:1@x>;tag=1\r\nPrivacy: none":           false,
		"From: <sip:1@x>;tag=1\r\nPrivacy: critical; id":   true,
		"From: <sip:anonymous@anonymous.invalid>;tag=1":    true,
		"From: <sip:1@x>;tag=1\r\nPrivacy: header;session": true,
	} {
		if got := privacyWanted(with(t, lines)); got != want {
			t.Errorf("%q: %v", lines, got)
		}
	}
}

func TestDialledText(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:+12125550123@gate.test":                    "+12125550123",
		"sip:%2B12125550123@gate.test:5070;user=phone":  "+12125550123",
		"sip:0441234;phone-context=+49@gate.test":       "0441234",
		"sip:+12125550123:secret@gate.test":             "+12125550123",
		"sip:gate.test":                                 "",
		"sips:911@gate.test":                            "911",
		"sip:%zz@gate.test":                             "",
		"sip:" + strings.Repeat("9", 99) + "@gate.test": strings.Repeat("9", maxUser),
		"sip:1%0d%0aVia%3a@gate.test":                   "1  Via:",
		"sip:anything%ff@gate.test":                     "anything?",
		"sip:+1(212)555-0123@gate.test;transport=udp":   "+1(212)555-0123",
	} {
		if got := dialledText(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

// TestAim says where requests go by what the peer gave as its address.
func TestAim(t *testing.T) {
	guard := reach.New(reach.Rules{Loopback: true})
	guard.Know(reach.Host{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5060")}})
	for _, c := range []struct{ source, contact, route, want string }{
		{"198.51.100.7:6000", "sip:pbx@198.51.100.7:5080", "", "198.51.100.7:5080"},
		{"198.51.100.7:6000", "sip:pbx@198.51.100.7", "", "198.51.100.7:5060"},
		{"198.51.100.7:6000", "sip:pbx@10.0.0.5:5080", "", "198.51.100.7:6000"},     // behind a translator
		{"198.51.100.7:6000", "sip:pbx@100.64.0.5:5080", "", "198.51.100.7:6000"},   // behind the carrier's
		{"198.51.100.7:6000", "sip:pbx@pbx.test:5080", "", "198.51.100.7:6000"},     // only the name servers know
		{"198.51.100.7:6000", "sip:pbx@0.0.0.0:5080", "", "198.51.100.7:6000"},      // nowhere
		{"198.51.100.7:6000", "sip:pbx@198.51.100.9:5080", "", "198.51.100.9:5080"}, // another machine
		{"10.0.0.4:6000", "sip:pbx@10.0.0.5:5080", "", "10.0.0.5:5080"},             // both at home
		{"198.51.100.7:6000", "sip:pbx@10.0.0.5", "sip:198.51.100.7:5090;lr", "198.51.100.7:5090"},
		{"198.51.100.7:6000", "sip:pbx@[2001:db8::5]:5080", "", "[2001:db8::5]:5080"},
		{"198.51.100.7:6000", "nonsense", "", "198.51.100.7:6000"},
		// What is closer to the server than the peer, or is the server.
		{"198.51.100.7:6000", "sip:pbx@127.0.0.1:5080", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@[::1]:5080", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@[::ffff:127.0.0.1]:5080", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@169.254.169.254:80;transport=tcp", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@224.0.1.75", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@255.255.255.255", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@[fe80::1%25eth0]", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@203.0.113.5:22;transport=tcp", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@203.0.113.5", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@198.51.100.7", "sip:127.0.0.1:5080;lr", "198.51.100.7:6000"},
		{"10.0.0.4:6000", "sip:pbx@127.0.0.1:5080", "", "10.0.0.4:6000"},
		{"10.0.0.4:6000", "sip:pbx@169.254.169.254", "", "10.0.0.4:6000"},
		{"127.0.0.4:6000", "sip:pbx@127.0.0.1:5060", "", "127.0.0.4:6000"},
		{"127.0.0.4:6000", "sip:pbx@127.0.0.1:22;transport=tcp", "", "127.0.0.4:6000"},
		{"127.0.0.4:6000", "sip:pbx@127.0.0.1:5080;transport=tcp", "", "127.0.0.1:5080"},
	} {
		l := &leg{target: c.contact}
		if c.route != "" {
			l.routes = []string{c.route}
		}
		l.aim(peer{addr: netip.MustParseAddrPort(c.source)}, guard)
		if got := l.peer.addr.String(); got != c.want {
			t.Errorf("%s from %s by %q: %s, want %s", c.contact, c.source, c.route, got, c.want)
		}
	}
}

func TestTarget(t *testing.T) {
	for address, want := range map[string]struct {
		host string
		port uint16
	}{
		"carrier.test": {"carrier.test", 0}, "carrier.test:5080": {"carrier.test", 5080},
		"192.0.2.1": {"192.0.2.1", 5060}, "192.0.2.1:5080": {"192.0.2.1", 5080},
		"2001:db8::1": {"2001:db8::1", 5060}, "[2001:db8::1]": {"2001:db8::1", 5060},
		"[2001:db8::1]:5080": {"2001:db8::1", 5080},
		"carrier.test:0":     {"carrier.test:0", 0}, "carrier.test:sip": {"carrier.test:sip", 0},
	} {
		if host, port := (&routing.Gateway{Address: address, Transport: "udp"}).Target(); host != want.host ||
			port != want.port {
			t.Errorf("%s: %s %d, want %s %d", address, host, port, want.host, want.port)
		}
	}
}

// TestTimers holds the heap of timers against a plain list.
func TestTimers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h timers
		var all [20]timer
		owner := &serverTx{}
		start := time.Unix(0, 0)
		want := map[*timer]time.Time{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			one := &all[rapid.IntRange(0, len(all)-1).Draw(t, "timer")]
			at := start.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "at")))
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				h.set(one, owner, timerGiveUp, at)
				want[one] = at
			case 2:
				h.stop(one)
				delete(want, one)
			case 3:
				for due := h.due(at); due != nil; due = h.due(at) {
					for _, other := range want {
						if other.Before(want[due]) {
							t.Fatalf("%v is due before %v", want[due], other)
						}
					}
					delete(want, due)
				}
				for _, other := range want {
					if !other.After(at) {
						t.Fatalf("not due at %v: %v", at, other)
					}
				}
			}
			if len(h.heap) != len(want) {
				t.Fatalf("%d timers set, want %d", len(h.heap), len(want))
			}
		}
	})
}

// FuzzMessage gives what validation accepts to the reader. What is answered to it
// is one message, with what must be copied copied, and sipgo's parser reads the answer
// where it has read the request: it refuses some that equipment in use sends.
func FuzzMessage(f *testing.F) {
	for _, m := range torture.Messages() {
		f.Add(m.Bytes)
	}
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nl: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame(data)
		callIDOf(data)
		isNewCall(data)
		requestURIOf(data)
		m := readMessage(data, source)
		if decide(data).kind != verdictAccept || m == nil || !m.request {
			return
		}
		m.received()
		callerText(m)
		dialledText(m.uri)
		transactionKey(nil, m, m.method)
		routesOf(m)
		out := m.response(486, "Busy Here", "tag", lineAllow, nil, "")
		if bytes.Count(out, []byte("\r\n\r\n")) != 1 {
			t.Fatalf("answered %q", out)
		}
		if _, err := sip.ParseMessage(data); err == nil {
			parsed, err := sip.ParseMessage(out)
			if err != nil {
				t.Fatalf("the parser does not read %q: %v", out, err)
			}
			if response, ok := parsed.(*sip.Response); !ok || response.StatusCode != 486 {
				t.Fatalf("answered %q", out)
			}
		}
		if got := readMessage(out, source); got == nil || got.callID != m.callID || got.cseq != m.cseq ||
			got.fromTag != m.fromTag {
			t.Fatalf("answered %q to %q", out, data)
		}
	})
}

// BenchmarkRead is one message, validated and read.
func BenchmarkRead(b *testing.B) {
	raw := edited()
	w := new(wireMessage)
	b.ReportAllocs()
	for b.Loop() {
		w.read(raw)
		if judge(w).kind != verdictAccept || w.message(source) == nil {
			b.Fatal("a good message is refused")
		}
	}
}

// BenchmarkBuild is one response.
func BenchmarkBuild(b *testing.B) {
	m := readMessage(edited(), source)
	b.ReportAllocs()
	for b.Loop() {
		if len(m.response(200, "OK", "tag", lineAllow+lineSupported, m.body, sdpType)) == 0 {
			b.Fatal("nothing was written")
		}
	}
}

// BenchmarkMessages is what one request costs from the datagram to its answer on
// the socket.
func BenchmarkMessages(b *testing.B) {
	srv := New(Config{Addr: "127.0.0.1:0", Live: policy.NewLive(), Shards: 1})
	if err := srv.transport.listen(b.Context(), srv.config.Addr); err != nil {
		b.Fatal(err)
	}
	defer srv.transport.stop()
	request := []byte("INFO sip:+12125550123@gate.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1;rport\r\n" +
		"Max-Forwards: 70\r\nFrom: <sip:+12125550100@127.0.0.1:9>;tag=1\r\nTo: <sip:+12125550123@gate.test>\r\n" +
		"Call-ID: c1\r\nCSeq: 1 INFO\r\nContact: <sip:pbx@127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n")
	from := peer{addr: netip.MustParseAddrPort("127.0.0.1:9")}
	b.ReportAllocs()
	b.SetBytes(int64(len(request)))
	for b.Loop() {
		srv.shards[0].receive(request, from)
	}
	if n := srv.Stats().Sent; n < uint64(b.N) {
		b.Fatalf("%d answers to %d requests", n, b.N)
	}
}
