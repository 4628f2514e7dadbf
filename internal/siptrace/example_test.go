package siptrace_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/siptrace"
)

// Messages are kept as they pass, and found by call once their legs are known.
func ExampleBuffer() {
	buffer := siptrace.NewBuffer(1 << 20)
	pbx, us := netip.MustParseAddrPort("192.0.2.10:5060"), netip.MustParseAddrPort("198.51.100.1:5060")
	call := uuid.MustParse("00000000-0000-4000-8000-000000000001")
	buffer.Link(call, siptrace.Leg{CallID: "a@pbx", Peer: pbx.Addr(), Tag: "1928"})
	for _, callID := range []string{"a@pbx", "b@pbx"} {
		text := "BYE sip:tollgate@198.51.100.1 SIP/2.0\r\nFrom: <sip:alice@pbx>;tag=1928\r\n" +
			"To: <sip:bob@pbx>;tag=77\r\nCall-ID: " + callID + "\r\nCSeq: 2 BYE\r\n\r\n"
		buffer.Add(&siptrace.Message{At: time.Unix(0, 0), Transport: "udp", Source: pbx, Destination: us, Text: []byte(text)})
	}
	for _, message := range buffer.Call(call) {
		line, _, _ := strings.Cut(string(message.Text), "\r\n")
		fmt.Println(message.Source, line)
	}
	// Output: 192.0.2.10:5060 BYE sip:tollgate@198.51.100.1 SIP/2.0
}

func ExampleRedact() {
	text := "X-Telnyx-Token: 8e03978e40d5\r\nCall-ID: a@pbx\r\n\r\n"
	fmt.Print(strings.ReplaceAll(string(siptrace.Redact([]byte(text))), "\r", ""))
	// Output:
	// X-Telnyx-Token: removed
	// Call-ID: a@pbx
}
