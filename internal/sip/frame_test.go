package sip

import (
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	const one = "OPTIONS sip:x SIP/2.0\r\nContent-Length: 3\r\n\r\nabc"
	cases := []struct {
		in         string
		size, skip int
		broken     bool
	}{
		{"", 0, 0, false},
		{"\r\n\r\n", 0, 4, false},
		{"\r\n\r\n" + one + "more", len(one), 4, false},
		{one[:len(one)-1], 0, 0, false},
		{one[:20], 0, 0, false},
		{"OPTIONS sip:x SIP/2.0\r\nl : 0\r\n\r\n", 32, 0, false},
		{"OPTIONS sip:x SIP/2.0\r\nX: l: 5\r\n\r\n", 0, 0, true},
		{"OPTIONS sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n", 0, 0, true},
		{"OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999\r\n\r\n", 0, 0, true},
		{strings.Repeat("x", MaxMessageBytes+1), 0, 0, true},
	}
	for _, c := range cases {
		if size, skip, broken := Frame([]byte(c.in)); size != c.size || skip != c.skip || broken != c.broken {
			t.Errorf("%.40q: %d %d %v, want %d %d %v", c.in, size, skip, broken, c.size, c.skip, c.broken)
		}
	}
}
