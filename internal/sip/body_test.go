package sip

import (
	"strings"
	"testing"
)

func TestBodiesOfSeveralParts(t *testing.T) {
	const isup = "--b\r\nContent-Type: application/isup;version=nxv3\r\n\r\n\x01\x00\r\n\xff"
	for name, c := range map[string]struct{ contentType, body, sdp, changed string }{
		"one":      {"application/sdp", "v=0", "v=0", "X"},
		"shouting": {"Application/SDP; charset=utf-8", "v=0", "v=0", "X"},
		"ISUP behind": {`multipart/mixed; boundary="b"`,
			"--b\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n\r\n" + isup + "\r\n--b--\r\n", "v=0\r\n",
			"--b\r\nContent-Type: application/sdp\r\n\r\nX\r\n" + isup + "\r\n--b--\r\n"},
		"ISUP first": {"multipart/mixed;boundary=b",
			"preamble\r\n" + isup + "\r\n--b\r\nc: application/sdp\r\n\r\nv=0\r\n--b--", "v=0",
			"preamble\r\n" + isup + "\r\n--b\r\nc: application/sdp\r\n\r\nX\r\n--b--"},
		"a part in a part": {"multipart/mixed;boundary=b", "--b\r\nContent-Length: 9\r\n" +
			"Content-Type: multipart/alternative;\r\n boundary=bb\r\n\r\n--bb\r\nContent-Type: application/sdp\r\n\r\n" +
			"v=0\r\n--bb--\r\n" + isup + "\r\n--b--", "v=0", "--b\r\n" +
			"Content-Type: multipart/alternative;\r\n boundary=bb\r\n\r\n--bb\r\nContent-Type: application/sdp\r\n\r\n" +
			"X\r\n--bb--\r\n" + isup + "\r\n--b--"},
		"a boundary that begins like it": {"multipart/mixed;boundary=b",
			"--bx\r\nContent-Type: text/plain\r\n\r\nsay --b\r\n--b \r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--",
			"v=0",
			"--bx\r\nContent-Type: text/plain\r\n\r\nsay --b\r\n--b \r\nContent-Type: application/sdp\r\n\r\nX\r\n--b--"},
		"too deep": {"multipart/mixed;boundary=a", "--a\r\nc: multipart/x;boundary=b\r\n\r\n" +
			"--b\r\nc: multipart/x;boundary=c\r\n\r\n--c\r\nc: multipart/x;boundary=d\r\n\r\n" +
			"--d\r\nc: application/sdp\r\n\r\nv=0\r\n--d--\r\n--c--\r\n--b--\r\n--a--", "", ""},
		"no description": {"multipart/mixed;boundary=b", isup + "\r\n--b--", "", ""},
		"no end":         {"multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0", "", ""},
		"no head":        {"multipart/mixed;boundary=b", "--b\r\nv=0\r\n--b--", "", ""},
		"no boundary":    {"multipart/mixed", "--b\r\n", "", ""},
		"another kind":   {"text/plain", "v=0", "", ""},
		"nonsense":       {";;;", "v=0", "", ""},
		"too many parts": {"multipart/mixed;boundary=b",
			strings.Repeat("--b\r\nx: y\r\n\r\n\r\n", maxParts) + "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--", "",
			""},
		"only delimiters": {"multipart/mixed;boundary=b", strings.Repeat("--b\r\n", 1000), "", ""},
	} {
		d, ok := DescriptionIn(c.contentType, []byte(c.body))
		if ok != (c.sdp != "") || string(d.SDP) != c.sdp {
			t.Errorf("%s: %q, %v", name, d.SDP, ok)
		}
		if ok && string(d.With([]byte("X"))) != c.changed {
			t.Errorf("%s: became %q", name, d.With([]byte("X")))
		}
	}
}

// FuzzDescriptionIn: a body is what stands around its description and the description.
func FuzzDescriptionIn(f *testing.F) {
	f.Add("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--")
	f.Add("multipart/mixed;boundary=b",
		"--b\r\nc: multipart/x;boundary=c\r\n\r\n--c\r\nc: application/sdp\r\n\r\n\r\n--c--\r\n--b--")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		d, ok := DescriptionIn(contentType, []byte(body))
		if !ok {
			return
		}
		whole := d.With(d.SDP)
		again, ok := DescriptionIn(contentType, whole)
		if !ok || string(again.SDP) != string(d.SDP) || string(again.With(again.SDP)) != string(whole) {
			t.Fatalf("%q has the description %q, and %q has %q", body, d.SDP, whole, again.SDP)
		}
	})
}
