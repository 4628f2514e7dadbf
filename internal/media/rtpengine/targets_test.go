package rtpengine

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/reach"
)

// TestTargets holds which addresses reach rtpengine: it sends to whatever it reads.
func TestTargets(t *testing.T) {
	guard := reach.New(reach.Rules{Documentation: true})
	guard.Know(reach.Host{
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5060"), netip.MustParseAddrPort("127.0.0.1:2223")},
	})
	const far, near, here = "198.51.100.7", "10.0.0.7", "127.0.0.1"
	for _, c := range []struct{ source, sdp, want string }{
		{far, "c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0", "c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0"},
		{far, "c=IN IP4 10.1.2.3|m=audio 4000 RTP/AVP 0", "c=IN IP4 198.51.100.7|m=audio 4000 RTP/AVP 0"},
		{far, "m=audio 4000 RTP/AVP 0|c=IN IP4 127.0.0.1", "m=audio 4000 RTP/AVP 0|c=IN IP4 198.51.100.7"},
		{far, "c=IN IP4 169.254.169.254|m=audio 4000 RTP/AVP 0", "c=IN IP4 198.51.100.7|m=audio 4000 RTP/AVP 0"},
		{far, "c=IN IP6 ::ffff:127.0.0.1|m=audio 4000 RTP/AVP 0", "c=IN IP4 198.51.100.7|m=audio 4000 RTP/AVP 0"},
		{far, "c=IN IP4 metadata.google.internal|m=audio 4000 RTP/AVP 0", "c=IN IP4 198.51.100.7|m=audio 4000 RTP/AVP 0"},
		{far, "c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0"},
		{far, "c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0|a=rtcp:4001 IN IP4 10.0.0.1",
			"c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0|a=rtcp:4001"},
		{far, "c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0|a=candidate:1 1 udp 1 127.0.0.1 22 typ " +
			"host|a=ice-ufrag:x|a=sendrecv",
			"c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0|a=sendrecv"},
		{near, "c=IN IP4 192.168.1.1|m=audio 4000 RTP/AVP 0", "c=IN IP4 192.168.1.1|m=audio 4000 RTP/AVP 0"},
		{near, "c=IN IP4 127.0.0.1|m=audio 4000 RTP/AVP 0", "c=IN IP4 10.0.0.7|m=audio 4000 RTP/AVP 0"},
		{here, "c=IN IP4 127.0.0.2|m=audio 4000 RTP/AVP 0", "c=IN IP4 127.0.0.2|m=audio 4000 RTP/AVP 0"},
		{here, "c=IN IP4 127.0.0.2|m=audio 5060 RTP/AVP 0", ""},
		{here, "c=IN IP4 127.0.0.2|m=audio 5059 RTP/AVP 0", ""}, // RTCP would go to the next port
		{here, "c=IN IP4 127.0.0.1|m=audio 4000 RTP/AVP 0|a=rtcp:2223", ""},
		{here, "c=IN IP4 127.0.0.2|m=audio 53 RTP/AVP 0", ""},
		{far, "c=IN IP4 203.0.113.5|m=audio 5060 RTP/AVP 0", ""},
		{far, "c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0|a=rtcp:5060 IN IP4 203.0.113.5", ""},
		{far, "c=IN IP4 198.51.100.9|m=audio 4000 RTP/AVP 0|m=video 5060 RTP/AVP 31|c=IN IP4 203.0.113.5", ""},
		{far, "c=IN IP4 239.1.1.1/127|m=audio 4000 RTP/AVP 0", ""},
		{"", "c=IN IP4 10.0.0.1|m=audio 4000 RTP/AVP 0", ""},
	} {
		lines := func(text string) string { return "v=0\r\n" + strings.ReplaceAll(text, "|", "\r\n") + "\r\n" }
		d := media.Description{SDP: []byte(lines(c.sdp))}
		if c.source != "" {
			d.Source = netip.MustParseAddr(c.source)
		}
		got, err := judge(guard, d)
		switch {
		case c.want == "" && !errors.Is(err, media.ErrDescription):
			t.Errorf("%s from %s: %q, %v; want it refused", c.sdp, c.source, got, err)
		case c.want != "" && (err != nil || string(got) != lines(c.want)):
			t.Errorf("%s from %s: %q, %v; want %s", c.sdp, c.source, got, err, c.want)
		}
	}
}
