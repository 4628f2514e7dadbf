package sip

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/sip/torture"
)

var source = netip.MustParseAddrPort("192.0.2.9:6000")

func read(t *testing.T, lines ...string) *Message {
	t.Helper()
	m := Read([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n"))
	if m == nil {
		t.Fatalf("cannot read %q", lines)
	}
	return m
}

// with is an INVITE with these header lines.
func with(t *testing.T, lines ...string) *Message {
	t.Helper()
	return read(t, append([]string{
		"INVITE sip:+12125550123@gate.test SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1",
		"To: <sip:a@b>", "Call-ID: c1", "CSeq: 7 INVITE",
	}, lines...)...)
}

func TestReceivedAndRport(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1"},
		{"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"},
		{"SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1", "SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1;received=192.0.2.9"},
		{"SIP/2.0/UDP pbx.test;branch=z9hG4bK1", "SIP/2.0/UDP pbx.test;branch=z9hG4bK1;received=192.0.2.9"},
		{"SIP/2.0/UDP 10.1.1.1:5070;rport;branch=z9hG4bK1",
			"SIP/2.0/UDP 10.1.1.1:5070;rport=6000;branch=z9hG4bK1;received=192.0.2.9"},
		{"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport",
			"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport=6000;received=192.0.2.9"},
		{"SIP / 2.0 / UDP  h.test : 9 ; branch = z9hG4bK1",
			"SIP / 2.0 / UDP  h.test : 9;branch=z9hG4bK1;received=192.0.2.9"},
		{"SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1",
			"SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1;received=192.0.2.9"},
		{"SIP/2.0/UDP 192.0.2.9;received=6.6.6.6;branch=z9hG", "SIP/2.0/UDP 192.0.2.9;received=6.6.6.6;branch=z9hG"},
	} {
		m := read(t, "OPTIONS sip:x@y SIP/2.0", "v: "+c.given+" , SIP/2.0/UDP next.test;branch=z9hG4bK0", "Call-ID: 1",
			"CSeq: 1 OPTIONS")
		m.Received(source)
		if diff := cmp.Diff([]string{c.want, "SIP/2.0/UDP next.test;branch=z9hG4bK0"}, m.All("via")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.given, diff)
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
		{[]string{`From: <sip:` + strings.Repeat("1", 500) + `@pbx.test>;tag=1`}, strings.Repeat("1", MaxUser)},
		{[]string{`From: <sip:%0D%0AX@pbx.test>;tag=1`}, "  X"},
	} {
		if got := with(t, c.lines...).CallerText(); got != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestPrivacy(t *testing.T) {
	caller := "From: <sip:1@x>;tag=1\r\n"
	number, name := Privacy{Number: true, Name: true}, Privacy{Name: true}
	for _, c := range []struct {
		lines string
		want  Privacy
	}{
		{caller, Privacy{}},
		{caller + "Privacy: none", Privacy{}},
		{caller + "Privacy: id", number},
		{caller + "Privacy: USER", number},
		{caller + "Privacy: critical; id", Privacy{Number: true, Name: true, Critical: true}},
		{caller + "Privacy: id, critical", Privacy{Number: true, Name: true, Critical: true}},
		{caller + "Privacy: session;critical", Privacy{Session: true, Critical: true}},
		{caller + "Privacy: header;session", Privacy{Number: true, Name: true, History: true, Session: true}},
		{caller + "Privacy: history", Privacy{History: true}},
		{caller + "Privacy: none\r\nPrivacy: id", number},
		{caller + "Privacy: full", number}, // of no RFC, and written in earnest
		{caller + "Privacy: id\x01", number},
		{"From: <sip:anonymous@anonymous.invalid>;tag=1", number},
		{caller + "Remote-Party-ID: <sip:1@x>;privacy=full", number},
		{caller + "Remote-Party-ID: <sip:1@x>;party=calling;screen=yes;privacy=uri", number},
		{caller + "Remote-Party-ID: <sip:1@x>;privacy=full-network", number},
		{caller + "Remote-Party-ID: <sip:1@x>;privacy=\"full\"", number},
		{caller + "Remote-Party-ID: <sip:1@x>;privacy=name", name},
		{caller + "Remote-Party-ID: <sip:1@x>;privacy=off", Privacy{}},
		{caller + "Remote-Party-ID: <sip:1@x>;party=called;privacy=full", Privacy{}},
		{caller + "Remote-Party-ID: nonsense;privacy=full", Privacy{}},
	} {
		if got := with(t, c.lines).Privacy(); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.lines, got, c.want)
		}
	}
}

func TestDialledText(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:+12125550123@gate.test":                       "+12125550123",
		"sip:%2B12125550123@gate.test:5070;user=phone":     "+12125550123",
		"sip:+12125550123;phone-context=+44@gate.test":     "+12125550123",
		"sip:2079460000;phone-context=+44@gate.test":       "+442079460000",
		"sip:5550123;phone-context=%2B1212@gate.test":      "+12125550123",
		"sip:5550123%3Bphone-context=+1212@gate.test":      "+12125550123",
		"sip:2079460000;ext=1;Phone-Context=+44@gate.test": "+442079460000",
		"sip:2079460000;phone-context=pbx.test@gate.test":  "2079460000",
		"sip:2079460000;phone-context=@gate.test":          "2079460000",
		"sip:911;phone-context=+1@gate.test":               "911",
		"sip:9460;phone-context=+4420794@gate.test":        "+44207949460",
		"tel:+1-212-555-0123":                              "+1-212-555-0123",
		"tel:2079460000;phone-context=+44":                 "+442079460000",
		"tel:112;phone-context=+49":                        "112",
		"sip:+12125550123:secret@gate.test":                "+12125550123",
		"sip:gate.test":                                    "",
		"sips:911@gate.test":                               "911",
		"sip:%zz@gate.test":                                "",
		"sip:" + strings.Repeat("9", 99) + "@gate.test":    strings.Repeat("9", MaxUser),
		"sip:1%0d%0aVia%3a@gate.test":                      "1  Via:",
		"sip:anything%ff@gate.test":                        "anything?",
		"sip:+1(212)555-0123@gate.test;transport=udp":      "+1(212)555-0123",
	} {
		if got := DialledText(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

// FuzzMessage gives what validation accepts to the reader. What is answered to it
// is one message, with what must be copied copied, and sipgo's parser reads the answer
// where it has read the request: it refuses some that equipment in use sends.
func FuzzMessage(f *testing.F) {
	for _, m := range slices.Concat(torture.Messages(), torture.IPv6()) {
		f.Add(m.Bytes)
	}
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nl: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		Frame(data)
		CallIDOf(data)
		IsNewCall(data)
		RequestURIOf(data)
		m := Read(data)
		if decide(data).Kind != verdictAccept || m == nil || !m.Request {
			return
		}
		m.Received(source)
		m.CallerText()
		DialledText(m.URI)
		m.TransactionKey(nil, m.Method)
		m.Routes()
		out := m.Response(486, "Busy Here", "tag", LineAllow, nil, "")
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
		if got := Read(out); got == nil || got.CallID != m.CallID || got.CSeq != m.CSeq ||
			got.FromTag != m.FromTag {
			t.Fatalf("answered %q to %q", out, data)
		}
	})
}

// BenchmarkRead is one message, validated and read.
func BenchmarkRead(b *testing.B) {
	raw := edited()
	w, m := new(Wire), Message{}
	b.ReportAllocs()
	for b.Loop() {
		w.Read(raw)
		if Judge(w).Kind != verdictAccept || !w.Into(&m) {
			b.Fatal("a good message is refused")
		}
	}
}

// BenchmarkBuild is one response.
func BenchmarkBuild(b *testing.B) {
	m := Read(edited())
	b.ReportAllocs()
	for b.Loop() {
		if len(m.Response(200, "OK", "tag", LineAllow, m.Body, "application/sdp")) == 0 {
			b.Fatal("nothing was written")
		}
	}
}
