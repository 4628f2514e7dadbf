package rtpengine

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/reach"
)

// targets is a description on its way to rtpengine, which sends to whatever address
// it finds there.
type targets struct {
	guard  *reach.Guard
	source netip.Addr // of the signalling of the side that wrote it
	sender netip.Addr // of this message

	session, stream netip.Addr // of c=; that of the stream where it has one
	port            uint16     // of the m= line; 0 before the first
}

// highPort stands for the port where an address is looked at alone.
const highPort = 65535

// judge gives the description in which every address is one that the side may name:
// in the place of another stands that of its signalling, where rtpengine then learns
// the port. ICE is left out: it is not spoken by way of rtpengine. A description that
// names a socket of this server is refused.
func judge(guard *reach.Guard, d media.Description) ([]byte, error) {
	t := targets{guard: guard, source: d.Source, sender: d.Sender}
	var b strings.Builder
	for line := range strings.Lines(string(d.SDP)) {
		text := strings.TrimRight(line, "\r\n")
		end := line[len(text):]
		kept, err := t.line(text)
		if err != nil {
			return nil, err
		}
		if kept != "" || text == "" {
			b.WriteString(kept + end)
		}
	}
	if err := t.endStream(); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// line is what stands in the place of a line; "" for nothing.
func (t *targets) line(text string) (string, error) {
	name, value, _ := strings.Cut(text, ":")
	switch {
	case strings.HasPrefix(text, "m="):
		if err := t.endStream(); err != nil {
			return "", err
		}
		fields := strings.Fields(text)
		if len(fields) < 4 {
			return "", fmt.Errorf("%w: %.60q has no format", media.ErrDescription, text)
		}
		port, _, _ := strings.Cut(fields[1], "/")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return "", fmt.Errorf("%w: %.60q has no port", media.ErrDescription, text)
		}
		t.port, t.stream = uint16(n), t.session
		return text, nil
	case strings.HasPrefix(text, "c="):
		return t.connection(text)
	case name == "a=rtcp":
		return t.rtcp(text, strings.Fields(value))
	case name == "a=candidate", name == "a=remote-candidates", name == "a=end-of-candidates",
		strings.HasPrefix(name, "a=ice-"):
		return "", nil
	}
	return text, nil
}

// connection is a c= line. A name is never resolved.
func (t *targets) connection(text string) (string, error) {
	fields := strings.Fields(text[2:])
	if len(fields) != 3 {
		return "", fmt.Errorf("%w: %.60q has no address", media.ErrDescription, text)
	}
	address, err := netip.ParseAddr(fields[2])
	if err == nil {
		address = address.Unmap()
	} else if strings.ContainsAny(fields[2], "/:") {
		return "", fmt.Errorf("%w: %.60q is not the address of one host", media.ErrDescription, fields[2])
	}
	if t.port == 0 {
		t.session = address
	}
	t.stream = address
	if address.IsValid() && address.IsUnspecified() || t.follows(address, highPort) {
		return text, nil // the unspecified address is a hold
	}
	if !t.source.IsValid() {
		return "", fmt.Errorf("%w: %s does not belong to this side", media.ErrForbidden, address)
	}
	family := "IP4"
	if t.source.Unmap().Is6() {
		family = "IP6"
	}
	return "c=IN " + family + " " + t.source.Unmap().WithZone("").String(), nil
}

// rtcp is an a=rtcp line: port, and perhaps an address (RFC 3605).
func (t *targets) rtcp(text string, fields []string) (string, error) {
	if len(fields) == 0 {
		return text, nil
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return "", nil //nolint:nilerr // what cannot be read is left out
	}
	if len(fields) != 4 {
		return "a=rtcp:" + fields[0], t.refuseOwn(t.stream, uint16(port))
	}
	address, err := netip.ParseAddr(fields[3])
	if err != nil || !t.follows(address, highPort) {
		return "a=rtcp:" + fields[0], t.refuseOwn(address, uint16(port))
	}
	return text, t.refuseOwn(address, uint16(port))
}

func (t *targets) follows(address netip.Addr, port uint16) bool {
	at := netip.AddrPortFrom(address, port)
	return t.guard.Follows(at, t.source) || t.sender.IsValid() && t.guard.Follows(at, t.sender)
}

// endStream judges the stream that ends here by its port.
func (t *targets) endStream() error {
	if t.port == 0 {
		return nil
	}
	if err := t.refuseOwn(t.stream, t.port); err != nil {
		return err
	}
	return t.refuseOwn(t.stream, t.port+1)
}

func (t *targets) refuseOwn(address netip.Addr, port uint16) error {
	at := netip.AddrPortFrom(address, port)
	if !address.IsValid() || port == 0 {
		return nil
	}
	if t.guard.Own(at) || t.follows(address, highPort) && !t.follows(address, port) {
		return fmt.Errorf("%w: %s", media.ErrForbidden, at)
	}
	return nil
}
