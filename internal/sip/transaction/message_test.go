package transaction

import (
	"net/netip"
	"testing"

	"github.com/tollgate/tollgate/internal/sip/transport"
)

// TestReplies says where a response goes by what the request's Via says.
func TestReplies(t *testing.T) {
	source := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.9:6000")}
	for given, want := range map[string]string{
		"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1":         "192.0.2.9:5070",
		"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1":              "192.0.2.9:5060",
		"SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1":          "192.0.2.9:6000",
		"SIP/2.0/UDP pbx.test;branch=z9hG4bK1":               "192.0.2.9:6000",
		"SIP/2.0/UDP 10.1.1.1:5070;rport;branch=z9hG4bK1":    "192.0.2.9:6000",
		"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport":   "192.0.2.9:6000",
		"SIP / 2.0 / UDP  h.test : 9 ; branch = z9hG4bK1":    "192.0.2.9:6000",
		"SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1":     "192.0.2.9:6000",
		"SIP/2.0/UDP 192.0.2.9;received=6.6.6.6;branch=z9hG": "192.0.2.9:5060",
	} {
		m := Read([]byte("OPTIONS sip:x@y SIP/2.0\r\nVia: "+given+"\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"), source)
		if got := m.ReplyTo().Addr.String(); got != want {
			t.Errorf("%s: answered at %s, want %s", given, got, want)
		}
	}
}
