package sip

import (
	"strings"
	"testing"
)

// carriedForms are all ways in which a header field that goes on is read.
var carriedForms = map[string]func(string) bool{
	"Reason": IsToken, "Warning": IsWarning, "Retry-After": IsDelay, "Geolocation": IsReference,
	"Identity": IsPassport, "User-to-User": nil,
}

// FuzzCarried: what goes on is whole lines of that field alone, within its limits, and goes
// on unchanged from the next element; so does a display name.
func FuzzCarried(f *testing.F) {
	for _, seed := range []string{
		`Q.850;cause=16;text="Terminated"`, `SIP;cause=603;text="v=a;url=https://r.example;tel=+1212"`,
		`Q.850;cause=16, SIP;cause=200`, `399 agent "text, with \"quotes\""`, `120 (in a meeting);duration=60`,
		`<cid:loc1@pbx.example>;x=<https://a>, <https://lis.example/1>`, `a.b.c-_;info=<https://a/b.pem>;alg=ES256`,
		"a\nX-Evil: 1", "a\r\n X-Evil: 1", "\"\\\x00\\\r\"", `"open`, `<open`, ";;;", "", "\xff;x=\xfe",
		`"Alice \"A\" \\" <sip:a@b>;tag=1`, `Doe, John (x) <sip:a@b>`, "\"a\u202eb\" <sip:a@b>",
	} {
		f.Add(seed)
	}
	const most, size = 4, 512
	f.Fuzz(func(t *testing.T, value string) {
		for name, reads := range carriedForms {
			field := NewCarried(name, most, size, reads)
			message := func(lines string) *Message {
				return &Message{Fields: ReadWire([]byte("SIP/2.0 200 OK\r\n" + lines + "\r\n")).fields}
			}
			lines := field.Lines(message(name + ": " + value + "\r\n" + name + ": " + value + "\r\n"))
			rest := lines
			for rest != "" {
				line, after, ended := strings.Cut(rest, "\r\n")
				if !ended || !strings.HasPrefix(line, name+": ") || hasControl(line) {
					t.Fatalf("%q makes %q", value, lines)
				}
				rest = after
			}
			if len(lines) > most*(size+len(name)+4) {
				t.Fatalf("%d bytes of %s", len(lines), name)
			}
			if again := field.Lines(message(lines)); again != lines {
				t.Fatalf("%q goes on as %q", lines, again)
			}
		}
		name := DisplayName(value)
		if hasControl(name) || len(name) > maxName {
			t.Fatalf("the name %q", name)
		}
		if again := DisplayName(Named(name, "sip:a@b")); again != name {
			t.Fatalf("the name %q goes on as %q", name, again)
		}
	})
}

func TestMayPass(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Campaign": true, "User-to-User": true, "P-Charge-Info": true, "Diversion": true, "Session-ID": true,
		"Subject": true, "Call-Info": true, "x-telnyx-token": false, "X-Tollgate-Reason": false, "VIA": false,
		"v": false, "Authorization": false, "Content-Type": false, "Privacy": false, "": false, "X Y": false,
		"X-Y: 1\r\nX": false, strings.Repeat("x", 65): false,
	} {
		if MayPass(name) != want {
			t.Errorf("MayPass(%q) is %v", name, !want)
		}
	}
}
