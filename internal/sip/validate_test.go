package sip

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/sip/torture"
)

// decide does what the gateway does with a datagram.
func decide(raw []byte) Verdict {
	m := ReadWire(raw)
	return Judge(m)
}

func TestTortureMessages(t *testing.T) {
	kinds := map[torture.Outcome]verdictKind{
		torture.Accept: verdictAccept, torture.Answer: VerdictAnswer, torture.Drop: VerdictDrop,
	}
	for _, m := range slices.Concat(torture.Messages(), torture.IPv6()) {
		t.Run(m.Name, func(t *testing.T) {
			got := decide(m.Bytes)
			if got.Kind != kinds[m.Want.Outcome] || got.Status != m.Want.Status {
				t.Fatalf("got %+v, want %v %d: %s", got, m.Want.Outcome, m.Want.Status, m.Want.Why)
			}
			if m.Want.Header != "" && !slices.Contains(got.Headers, m.Want.Header) {
				t.Errorf("headers %q lack %q", got.Headers, m.Want.Header)
			}
			if got.Kind == VerdictAnswer {
				checkResponse(t, m.Bytes, got)
			}
		})
	}
}

// checkResponse checks that the written response is one a sender can match.
func checkResponse(t *testing.T, raw []byte, v Verdict) {
	t.Helper()
	response := RefusalBytes(raw, v, "totag")
	if !bytes.HasPrefix(response, fmt.Appendf(nil, "SIP/2.0 %d %s\r\n", v.Status, v.Phrase)) {
		t.Errorf("status line: %q", response)
	}
	if !bytes.HasSuffix(response, []byte("Content-Length: 0\r\n\r\n")) {
		t.Errorf("end of response: %q", response)
	}
	request, answer := ReadWire(raw), ReadWire(response)
	for _, id := range []headerID{headerVia, headerCSeq, headerCallID, headerFrom} {
		var want, got []string
		for _, f := range request.fields {
			if f.id == id && f.Value != "" && (id == headerVia || len(want) == 0) {
				want = append(want, f.Value)
			}
		}
		for _, f := range answer.fields {
			if f.id == id {
				got = append(got, f.Value)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("header %d is not copied (-want +got):\n%s", id, diff)
		}
	}
	if to := request.first(headerTo); to != "" {
		want := to + ";tag=totag"
		if hasTag(to) {
			want = to
		}
		if got := answer.first(headerTo); got != want {
			t.Errorf("To: got %q, want %q", got, want)
		}
	}
	if answer.start.kind != startResponse {
		t.Errorf("the response is no response: %q", response)
	}
}

// sampleInvite is a good INVITE; the cases below change one line of it.
const sampleInvite = `INVITE sip:+15551230000@gw.example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKsample
Max-Forwards: 70
From: "Caller" <sip:+15551231111@example.com>;tag=a1
To: <sip:+15551230000@gw.example.com>
Call-ID: sample@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:+15551231111@192.0.2.7>
Content-Type: application/sdp
Content-Length: 5

v=0
`

func edited(replacements ...string) []byte {
	text := strings.NewReplacer(replacements...).Replace(sampleInvite)
	return []byte(strings.ReplaceAll(text, "\n", "\r\n"))
}

func method(name string, replacements ...string) []byte {
	return edited(append([]string{"INVITE sip", name + " sip", "1 INVITE", "1 " + name}, replacements...)...)
}

const multipart = `--b1
Content-Type: application/isup

x
--b1
Content-Type: application/sdp; charset=utf-8

v=0
--b1--
`

func TestRules(t *testing.T) {
	body := func(contentType, text string) []byte {
		n := len(strings.ReplaceAll(text, "\n", "\r\n"))
		return edited("application/sdp", contentType, "Content-Length: 5", fmt.Sprintf("Content-Length: %d", n),
			"\n\nv=0\n", "\n\n"+text)
	}
	baddn, _ := torture.Named("baddn")
	tests := []struct {
		name   string
		raw    []byte
		kind   verdictKind
		status int
		rule   string
	}{
		{"good", edited(), verdictAccept, 0, ""},
		{"no Max-Forwards", edited("Max-Forwards: 70\n", ""), verdictAccept, 0, ""},
		{"no Content-Length", edited("Content-Length: 5\n", ""), verdictAccept, 0, ""},
		{"no hops left", edited("Forwards: 70", "Forwards: 00"), VerdictAnswer, 483, "hops"},
		{"BYE without hops", method("BYE", "Forwards: 70", "Forwards: 0"), verdictAccept, 0, ""},
		{"Max-Forwards 256", edited("Forwards: 70", "Forwards: 256"), verdictAccept, 0, ""},
		{"Max-Forwards text", edited("Forwards: 70", "Forwards: x"), verdictAccept, 0, ""},
		{"Max-Forwards empty", edited("Forwards: 70", "Forwards:"), verdictAccept, 0, ""},
		{"Max-Forwards -1", edited("Forwards: 70", "Forwards: -1"), verdictAccept, 0, ""},
		{"CSeq 2**31-1", edited("CSeq: 1", "CSeq: 2147483647"), verdictAccept, 0, ""},
		{"CSeq 2**31", edited("CSeq: 1", "CSeq: 2147483648"), VerdictAnswer, 400, "cseq"},
		{"CSeq of another method", edited("1 INVITE", "1 BYE"), VerdictAnswer, 400, "cseq-method"},
		{"no From tag", edited(";tag=a1", ""), VerdictAnswer, 400, "rfc3261"},
		{"no From tag, RFC 2543", edited(";tag=a1", "", ";branch=z9hG4bKsample", ""), verdictAccept, 0, ""},
		{"no Contact", edited("Contact: <sip:+15551231111@192.0.2.7>\n", ""), VerdictAnswer, 400, "rfc3261"},
		{"no Call-ID", edited("Call-ID: sample@192.0.2.7\n", ""), VerdictAnswer, 400, "mandatory"},
		{"empty Call-ID", edited("sample@192.0.2.7", ""), VerdictAnswer, 400, "mandatory"},
		{"no Via", edited("Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKsample\n", ""), VerdictDrop, 0, "mandatory"},
		{"no CSeq", edited("CSeq: 1 INVITE\n", ""), VerdictDrop, 0, "mandatory"},
		{"two From", edited("Max-Forwards: 70", "f: <sip:a@example.com>;tag=2"), VerdictAnswer, 400, "repeated"},
		{"two Content-Type", edited("Max-Forwards: 70", "c: application/sdp"), verdictAccept, 0, ""},
		{"two types", edited("Max-Forwards: 70", "c: application/isup"), VerdictAnswer, 400, "repeated"},
		{"two lengths", edited("Max-Forwards: 70", "l: 4"), VerdictAnswer, 400, "repeated"},
		{"one length twice", edited("Max-Forwards: 70", "l: 5"), verdictAccept, 0, ""},
		{"two Expires", edited("Max-Forwards: 70", "Expires: 1\nExpires: 2"), verdictAccept, 0, ""},
		{"two Session-Expires", edited("Max-Forwards: 70", "x: 1800\nSession-Expires: 90"), verdictAccept, 0, ""},
		{"version 3.0", edited("SIP/2.0\n", "SIP/3.0\n"), VerdictAnswer, 505, "version"},
		{"version x", edited("SIP/2.0\n", "SIP/x\n"), VerdictAnswer, 400, "version"},
		{"lower-case version", edited("SIP/2.0\n", "sip/2.0\n"), verdictAccept, 0, ""},
		{"tel URI", edited("sip:+15551230000@gw.example.com SIP", "tel:+15551230000 SIP"), verdictAccept, 0, ""},
		{"tel URI with a context", edited("sip:+15551230000@gw.example.com SIP", "tel:1230000;phone-context=+1555 SIP"),
			verdictAccept, 0, ""},
		{"tel URI of words", edited("sip:+15551230000@gw.example.com SIP", "tel:who@home SIP"), VerdictAnswer, 400,
			"start-line"},
		{"tel URI without a number", edited("sip:+15551230000@gw.example.com SIP", "tel:;x SIP"), VerdictAnswer, 400,
			"start-line"},
		{"URN of another kind", edited("sip:+15551230000@gw.example.com SIP", "urn:service:counseling SIP"), VerdictAnswer,
			416, "start-line"},
		{"sips URI", edited("INVITE sip:", "INVITE sips:"), verdictAccept, 0, ""},
		{"IPv6 host", edited("@gw.example.com SIP", "@[2001:db8::1]:5060;transport=udp SIP"), verdictAccept, 0, ""},
		{"no host", edited("@gw.example.com SIP", "@ SIP"), VerdictAnswer, 400, "start-line"},
		{"port 65536", edited("@gw.example.com SIP", "@gw.example.com:65536 SIP"), VerdictAnswer, 400, "start-line"},
		{"long URI", edited("INVITE sip:", "INVITE sip:"+strings.Repeat("1", MaxRequestURIBytes)), VerdictAnswer, 414,
			"start-line"},
		{"lower-case method", method("invite"), VerdictAnswer, 501, "method"},
		{"REFER", method("REFER"), VerdictAnswer, 405, "method"},
		{"INFO", method("INFO", "application/sdp", "application/dtmf-relay"), verdictAccept, 0, ""},
		{"Require known", edited("Max-Forwards: 70", "Require: timer, 100rel"), verdictAccept, 0, ""},
		{"Require unknown", edited("Max-Forwards: 70", "Require: timer, path"), VerdictAnswer, 420, "require"},
		{"Require malformed", edited("Max-Forwards: 70", "Require: a b"), VerdictAnswer, 400, "require"},
		{"Require in CANCEL", method("CANCEL", "Max-Forwards: 70", "Require: path"), verdictAccept, 0, ""},
		{"gzip", edited("Max-Forwards: 70", "Content-Encoding: gzip"), VerdictAnswer, 415, "content"},
		{"no Content-Type", edited("Content-Type: application/sdp\n", ""), verdictAccept, 0, ""},
		{"no type, no description", edited("Content-Type: application/sdp\n", "", "v=0", "x=0"), VerdictAnswer, 400,
			"content"},
		{"type with an empty parameter", edited("application/sdp", "application/sdp;"), verdictAccept, 0, ""},
		{"type with half a parameter", edited("application/sdp", "application/sdp;charset"), verdictAccept, 0, ""},
		{"no body, odd type", edited("application/sdp", "text/plain", "Length: 5", "Length: 0"), verdictAccept, 0, ""},
		{"optional body", edited("application/sdp", "text/plain", "Max-Forwards: 70",
			"Content-Disposition: render;handling=optional"), verdictAccept, 0, ""},
		{"sdp with parameter", edited("application/sdp", "Application/SDP;charset=utf-8"), verdictAccept, 0, ""},
		{"multipart with SDP", body("multipart/mixed;boundary=b1", multipart), verdictAccept, 0, ""},
		{"multipart without SDP", body("multipart/mixed;boundary=b1",
			strings.ReplaceAll(multipart, "application/sdp", "text/plain")), VerdictAnswer, 415, "content"},
		{"multipart without boundary", body("multipart/mixed", multipart), VerdictAnswer, 415, "content"},
		{"Accept anything", edited("Max-Forwards: 70", "Accept: text/plain, */*;q=0.1"), verdictAccept, 0, ""},
		{"Accept text", edited("Max-Forwards: 70", "Accept: text/plain"), VerdictAnswer, 406, "accept"},
		{"Date in UTC", edited("Max-Forwards: 70", "Date: Fri, 01 Jan 2010 16:00:00 UTC"), verdictAccept, 0, ""},
		{"Date in words", edited("Max-Forwards: 70", "Date: tomorrow"), verdictAccept, 0, ""},
		{"Date in GMT", edited("Max-Forwards: 70", "Date: Fri, 01 Jan 2010 16:00:00 GMT"), verdictAccept, 0, ""},
		{"body too short", edited("Length: 5", "Length: 6"), VerdictAnswer, 400, "content-length"},
		{"open quote", edited(`"Caller"`, `"Caller`), VerdictAnswer, 400, "address"},
		{"open bracket", edited("111@example.com>", "111@example.com"), VerdictAnswer, 400, "address"},
		{"two To values", edited("0@gw.example.com>\n", "0@gw.example.com>, <sip:b@c>\n"), VerdictAnswer, 400, "address"},
		{"Contact list", edited("@192.0.2.7>\n", "@192.0.2.7>;q=1, \"a,b\" <sip:c@d>\n"), verdictAccept, 0, ""},
		{"Route without brackets", edited("Max-Forwards: 70", "Route: sip:a@b;lr"), verdictAccept, 0, ""},
		{"Route that is none", edited("Max-Forwards: 70", "Route: the usual"), verdictAccept, 0, ""},
		{"Record-Route without brackets", edited("Max-Forwards: 70", "Record-Route: sip:a@b;lr"), verdictAccept, 0, ""},
		{"Record-Route empty", edited("Max-Forwards: 70", "Record-Route:"), verdictAccept, 0, ""},
		{"Record-Route with a comma", edited("Max-Forwards: 70", "Record-Route: <sip:a@b;lr>,"), verdictAccept, 0, ""},
		{"Record-Route that is none", edited("Max-Forwards: 70", "Record-Route: the usual"), VerdictAnswer, 400, "address"},
		{"Record-Route that is none, in a BYE", method("BYE", "Max-Forwards: 70", "Record-Route: the usual"),
			verdictAccept, 0, ""},
		{"one Contact of two", edited("@192.0.2.7>\n", "@192.0.2.7>, nonsense\n"), verdictAccept, 0, ""},
		{"Contact that is none", edited("Contact: <sip:+15551231111@192.0.2.7>", "Contact: me"), VerdictAnswer, 400,
			"address"},
		{"Contact that is none, in a BYE", method("BYE", "Contact: <sip:+15551231111@192.0.2.7>", "Contact: me"),
			verdictAccept, 0, ""},
		{"Via with a last semicolon", edited("z9hG4bKsample", "z9hG4bKsample;"), verdictAccept, 0, ""},
		{"Via with a fault behind the branch", edited("z9hG4bKsample", "z9hG4bKsample;@=@"), verdictAccept, 0, ""},
		{"Via with a last comma", edited("z9hG4bKsample", "z9hG4bKsample,"), verdictAccept, 0, ""},
		{"From with a last semicolon", edited("tag=a1", "tag=a1;"), verdictAccept, 0, ""},
		{"From with two semicolons", edited(";tag=a1", ";;tag=a1"), verdictAccept, 0, ""},
		{"From with two addresses", edited("tag=a1", "tag=a1, <sip:b@c>"), VerdictAnswer, 400, "address"},
		{"UTF-8 display name", edited(`"Caller"`, "J\u00f6rg"), verdictAccept, 0, ""},
		{"tag with slash", edited("tag=a1", "tag=a/1=="), verdictAccept, 0, ""},
		{"display names without quotes, complete", append(slices.Clone(baddn.Bytes), "\r\n"...), verdictAccept, 0, ""},
		{"NUL in a header", edited("sample@", "sam\x00ple@"), VerdictAnswer, 400, "framing"},
		{"NUL quoted", edited(`"Caller"`, "\"Ca\\\x00ller\""), verdictAccept, 0, ""},
		{"NUL in the body", edited("v=0\n", "\x00=0\n"), verdictAccept, 0, ""},
		{"NUL in the URI", edited("gw.example.com SIP", "gw\x00example.com SIP"), VerdictAnswer, 400, "framing"},
		{"bare CR", edited("sample@", "sam\rple@"), VerdictAnswer, 400, "framing"},
		{"header without colon", edited("Max-Forwards: 70", "Max-Forwards 70"), verdictAccept, 0, ""},
		{"header name no token", edited("Max-Forwards: 70", "Max (Forwards: 70"), verdictAccept, 0, ""},
		{"header without a name", edited("Max-Forwards: 70", ": 70"), verdictAccept, 0, ""},
		{"Call-ID without colon", edited("Call-ID: sample", "Call-ID sample"), VerdictAnswer, 400, "mandatory"},
		{"long header", edited("Max-Forwards: 70", "X: "+strings.Repeat("x", MaxHeaderBytes)), verdictAccept, 0, ""},
		{"long Contact", edited("Max-Forwards: 70", "m: <sip:"+strings.Repeat("x", MaxHeaderBytes)+"@a>"), VerdictAnswer, 513,
			"framing"},
		{"BEL in a header that is not known", edited("Max-Forwards: 70", "X-Note: \a"), verdictAccept, 0, ""},
		{"BEL in a Contact", edited("sip:+15551231111@192", "sip:+1\a5551231111@192"), VerdictAnswer, 400, "framing"},
		{"130 headers", edited("Via:", strings.Repeat("X: y\n", 130)+"Via:"), verdictAccept, 0, ""},
		{"Require empty", edited("Max-Forwards: 70", "Require:"), verdictAccept, 0, ""},
		{"Require with a comma", edited("Max-Forwards: 70", "Require: timer,"), verdictAccept, 0, ""},
		{"empty lines in front", append([]byte("\r\n\r\n"), edited()...), verdictAccept, 0, ""},
		{"bare LF", bytes.ReplaceAll(edited(), []byte("\r"), nil), VerdictAnswer, 400, "content-length"},
		{"bare LF, its own length", bytes.ReplaceAll(edited("Length: 5", "Length: 4"), []byte("\r"), nil), verdictAccept,
			0, ""},
		{"one bare LF", bytes.Replace(edited(), []byte("\r\nCall-ID"), []byte("\nCall-ID"), 1), VerdictAnswer, 400,
			"framing"},
		{"many headers behind", edited("Length: 5\n", "Length: 5\n"+strings.Repeat("X: y\n", MaxHeaders)), VerdictAnswer, 513,
			"framing"},
		{"many headers before", edited("Via:", strings.Repeat("X: y\n", MaxHeaders)+"Via:"), VerdictDrop, 0, "framing"},
		{"too large", append(edited(), make([]byte, MaxMessageBytes)...), VerdictAnswer, 513, "framing"},
		{"faulty ACK", method("ACK", "Call-ID: sample@192.0.2.7\n", ""), VerdictDrop, 0, "mandatory"},
		{"good ACK", method("ACK"), verdictAccept, 0, ""},
		{"keep-alive", []byte("\r\n\r\n"), VerdictDrop, 0, "not-sip"},
		{"empty", nil, VerdictDrop, 0, "not-sip"},
		{"web request", []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), VerdictDrop, 0, "not-sip"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := decide(test.raw)
			if got.Kind != test.kind || got.Status != test.status {
				t.Fatalf("got %+v, want kind %d status %d", got, test.kind, test.status)
			}
			if got.rule != test.rule {
				t.Errorf("decided by %q, want %q", got.rule, test.rule)
			}
			if got.Kind == VerdictAnswer {
				checkResponse(t, test.raw, got)
			}
		})
	}
}

func TestResponses(t *testing.T) {
	const response = `SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKsample
From: Bell, Alexander <sip:a@example.com>;tag=1
To: <sip:b@example.com>;tag=2
Call-ID: sample
CSeq: 1 INVITE
Content-Length: 0

`
	tests := []struct {
		name     string
		old, new string
		kind     verdictKind
	}{
		// A response is not dropped for a display name the rules would refuse in a
		// request: losing a 200 costs more than reading it.
		{"good", "", "", verdictAccept},
		{"status 099", "200", "099", VerdictDrop},
		{"status 700", "200", "700", VerdictDrop},
		{"status 20", "200", "20", VerdictDrop},
		{"two Via in one field", "sample\nFrom", "sample, SIP/2.0/UDP 192.0.2.8\nFrom", VerdictDrop},
		{"no Call-ID", "Call-ID: sample\n", "", VerdictDrop},
		{"no Via", "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKsample\n", "", VerdictDrop},
		{"version 3.0", "SIP/2.0 200", "SIP/3.0 200", VerdictDrop},
		{"body too short", "Length: 0", "Length: 1", verdictAccept},
		{"length that is none", "Length: 0", "Length: none", verdictAccept},
		{"two types", "Content-Length", "Content-Type: application/sdp\nContent-Type: text/plain\nContent-Length",
			verdictAccept},
		{"a line without a colon", "CSeq:", "nonsense\nCSeq:", verdictAccept},
		{"a control character in Server", "CSeq:", "Server: a\x02b\nCSeq:", verdictAccept},
		{"a control character in Contact", "CSeq:", "Contact: <sip:\x02@b>\nCSeq:", verdictAccept},
		{"a long header", "CSeq:", "X-Long: " + strings.Repeat("y", MaxHeaderBytes) + "\nCSeq:", verdictAccept},
		{"a last semicolon in Via", "z9hG4bKsample", "z9hG4bKsample;", verdictAccept},
		{"a last comma in Via", "z9hG4bKsample", "z9hG4bKsample,", verdictAccept},
		{"a last semicolon in To", "tag=2", "tag=2;", verdictAccept},
		{"no phrase", "200 OK", "200", verdictAccept},
		{"a Via that is none", "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKsample", "here", VerdictDrop},
		{"a control character in CSeq", "CSeq: 1", "CSeq: \x021", VerdictDrop},
		{"an empty line in front", "SIP/2.0 200", "\nSIP/2.0 200", verdictAccept},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := strings.Replace(response, test.old, test.new, 1)
			if got := decide([]byte(strings.ReplaceAll(raw, "\n", "\r\n"))); got.Kind != test.kind {
				t.Errorf("got %+v, want kind %d", got, test.kind)
			}
			if got := decide([]byte(raw)); got.Kind != test.kind {
				t.Errorf("with bare line feeds: got %+v, want kind %d", got, test.kind)
			}
		})
	}
}

func TestUnfold(t *testing.T) {
	tests := []struct {
		in, want string
		clean    bool
	}{
		{" a ", "a", true},
		{"a \r\n\t b", "a b", true},
		{"\r\n a", "a", true},
		{"a\r\n ", "a", true},
		{"a\r\n \r\n b", "a b", true},
		{"a\nb", "a b", false},
		{"a\rb\r", "a b", false},
		{"\"a\\\x07b\"", "\"a\\\x07b\"", true},
		{"a\\\x07b", "a\\ b", false},
		{"\"a\\\r\n b\"", "\"a\\ b\"", true},
		{"a\tb", "a\tb", true},
	}
	for _, test := range tests {
		if got, clean := unfold(test.in); got != test.want || clean != test.clean {
			t.Errorf("unfold(%q) = %q, %v; want %q, %v", test.in, got, clean, test.want, test.clean)
		}
	}
}

// FuzzValidate feeds any bytes through reader, rules and response writer. A
// verdict is exactly one of its kinds, only requests other than ACK are answered,
// and no line of a response comes from the inside of a header.
func FuzzValidate(f *testing.F) {
	for _, m := range slices.Concat(torture.Messages(), torture.IPv6()) {
		f.Add(m.Bytes)
	}
	f.Add(edited())
	f.Add(edited("sample@", "x\nVia: evil\r"))
	names := map[string]bool{"via": true, "from": true, "to": true, "call-id": true, "cseq": true, "allow": true,
		"unsupported": true, "accept": true, "accept-encoding": true, "content-length": true}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v := decide(raw)
		response := RefusalBytes(raw, v, "totag")
		if (v.Kind == VerdictAnswer) != (v.Status != 0 && v.Phrase != "" && response != nil) || v.Kind > VerdictDrop {
			t.Fatalf("verdict %+v with response %q", v, response)
		}
		if (v.Kind == verdictAccept) != (v.rule == "") {
			t.Fatalf("verdict %+v: a rule decides everything but acceptance", v)
		}
		if v.Kind != VerdictAnswer {
			return
		}
		if bytes.HasPrefix(raw, []byte("ACK ")) {
			t.Fatalf("an ACK is answered: %+v", v)
		}
		head, rest, _ := strings.Cut(string(response), "\r\n\r\n")
		if rest != "" {
			t.Fatalf("the response has a body: %q", response)
		}
		lines := strings.Split(head, "\r\n")
		for _, line := range lines[1:] {
			name, _, _ := strings.Cut(line, ":")
			if !names[strings.ToLower(name)] || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("line %q in response %q", line, response)
			}
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	raw := edited()
	b.ReportAllocs()
	for b.Loop() {
		if v := decide(raw); v.Kind != verdictAccept {
			b.Fatalf("%+v", v)
		}
	}
}
