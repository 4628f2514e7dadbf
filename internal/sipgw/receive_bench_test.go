package sipgw

import (
	"net/netip"
	"testing"

	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// BenchmarkMessages is what one request costs from the datagram to its answer on
// the socket.
func BenchmarkMessages(b *testing.B) {
	srv := New(Config{Addr: "127.0.0.1:0", Live: policy.NewLive(), Shards: 1})
	if err := srv.transport.Listen(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer srv.transport.Stop()
	request := []byte("INFO sip:+12125550123@gate.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1;rport\r\n" +
		"Max-Forwards: 70\r\nFrom: <sip:+12125550100@127.0.0.1:9>;tag=1\r\nTo: <sip:+12125550123@gate.test>\r\n" +
		"Call-ID: c1\r\nCSeq: 1 INFO\r\nContact: <sip:pbx@127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n")
	from := transport.Peer{Addr: netip.MustParseAddrPort("127.0.0.1:9")}
	b.ReportAllocs()
	b.SetBytes(int64(len(request)))
	for b.Loop() {
		srv.shards[0].receive(request, from)
	}
	if n := srv.Stats().Sent; n < uint64(b.N) {
		b.Fatalf("%d answers to %d requests", n, b.N)
	}
}
