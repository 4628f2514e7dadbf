package transport

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

// TestSTUN holds answers against those of RFC 5769 sections 2.2 and 2.3, which have the
// addresses of this test, and of RFC 3489.
func TestSTUN(t *testing.T) {
	const head, transaction = "00010000", "2112a442b7e7a701bc34d686fa87dfae"
	four, six := netip.MustParseAddrPort("192.0.2.1:32853"), netip.MustParseAddrPort(
		"[2001:db8:1234:5678:11:2233:4455:6677]:32853")
	for _, c := range []struct {
		name, request string
		from          netip.AddrPort
		want          string
	}{
		{"IPv4", head + transaction, four, "0101000c" + transaction + "002000080001a147e112a643"},
		{"IPv6", head + transaction, six, "01010018" + transaction + "002000140002a147" + "0113a9faa5d3f179bc25f4b5bed2b9d9"},
		{"an attribute that need not be known", "00010008" + transaction + "8022000161000000", four,
			"0101000c" + transaction + "002000080001a147e112a643"},
		{"RFC 3489", head + "00000000000000000000000000000001", four,
			"0101000c" + "00000000000000000000000000000001" + "0001000800018055c0000201"},
		{"an attribute that must be known", "00010008" + transaction + "0003000400000006", four, ""},
		{"too long", "00010008" + transaction, four, ""},
		{"too short", "000100002112a442", four, ""},
		{"a response", "01010000" + transaction, four, ""},
	} {
		request, err := hex.DecodeString(c.request)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(stunAnswer(Peer{Addr: c.from}, request)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// FuzzSTUN: an answer is to the same transaction, and no more than three times the request.
func FuzzSTUN(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"))
	f.Fuzz(func(t *testing.T, request []byte) {
		answer := stunAnswer(Peer{Addr: netip.MustParseAddrPort("[2001:db8::1]:5060")}, request)
		if answer == nil {
			return
		}
		if len(answer) > MostAmplified*len(request) || !bytes.Equal(answer[4:stunHeader], request[4:stunHeader]) {
			t.Errorf("%x is answered by %x", request, answer)
		}
	})
}
