package phone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// maxDatagramBytes is the largest UDP payload there is.
const maxDatagramBytes = 65535

// received is one message from the network.
type received struct {
	message sip.Message
	from    netip.AddrPort
}

// socket is a datagram socket with the goroutine that reads and parses.
type socket struct {
	conn     net.PacketConn
	local    netip.AddrPort
	messages chan received
	closed   chan struct{}
	once     sync.Once
	err      error
	reader   sync.WaitGroup
}

func listen(open ListenFunc, address string) (net.PacketConn, netip.AddrPort, error) {
	if open == nil {
		open = func(address string) (net.PacketConn, error) {
			return new(net.ListenConfig).ListenPacket(context.Background(), "udp", address)
		}
	}
	conn, err := open(address)
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("open UDP port %s: %w", address, err)
	}
	udp, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, netip.AddrPort{}, errors.Join(fmt.Errorf("open UDP port %s: %T is not a UDP address", address,
			conn.LocalAddr()), conn.Close())
	}
	local := udp.AddrPort()
	return conn, netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), nil
}

func openSocket(open ListenFunc, address string) (*socket, error) {
	conn, local, err := listen(open, address)
	if err != nil {
		return nil, err
	}
	if local.Addr().IsUnspecified() {
		return nil, errors.Join(fmt.Errorf("open UDP port %s: want a definite address, which SIP tells the other side",
			address), conn.Close())
	}
	s := &socket{conn: conn, local: local, messages: make(chan received), closed: make(chan struct{})}
	s.reader.Go(s.read)
	return s, nil
}

// read parses what arrives until the socket is closed. What is not SIP is dropped:
// there is no one to tell.
func (s *socket) read() {
	parser := sip.NewParser()
	buffer := make([]byte, maxDatagramBytes)
	for {
		n, addr, err := s.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		udp, ok := addr.(*net.UDPAddr)
		if err != nil || !ok {
			select {
			case <-s.closed:
				return
			default:
				continue // such as an ICMP error that the kernel reports here
			}
		}
		from := udp.AddrPort()
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		message := parse(parser, append([]byte(nil), buffer[:n]...), from)
		if message == nil {
			continue
		}
		select {
		case s.messages <- received{message, from}:
		case <-s.closed:
			return
		}
	}
}

// parse reads a datagram. It returns nil for what is no SIP message, and for a
// request that cannot be answered, since the parser lets through what does not
// parse again once it is written back.
func parse(parser *sip.Parser, datagram []byte, from netip.AddrPort) sip.Message {
	message, err := parser.ParseSIP(datagram)
	if err != nil || !complete(message) {
		return nil
	}
	message.SetSource(from.String())
	req, ok := message.(*sip.Request)
	if !ok {
		return message
	}
	answer, err := parser.ParseSIP(respond(req, 200, "OK", "tag", nil, ""))
	if err != nil || !complete(answer) || branchOf(answer) != branchOf(req) ||
		answer.CallID().Value() != req.CallID().Value() || tagOf(answer.To().Params) == "" {
		return nil
	}
	return message
}

// complete says whether a message has what RFC 3261 section 8.1.1 demands, in a form
// that can be written back: the parser lets more through.
func complete(m sip.Message) bool {
	if m == nil || m.Via() == nil || m.From() == nil || m.To() == nil || m.CallID() == nil || m.CSeq() == nil {
		return false
	}
	for _, params := range []sip.HeaderParams{m.From().Params, m.To().Params} {
		if tag, ok := params.Get("tag"); ok && !isToken(tag) {
			return false
		}
	}
	callID := m.CallID().Value()
	return isToken(branchOf(m)) && isToken(string(m.CSeq().MethodName)) && callID != "" &&
		!strings.ContainsFunc(callID, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// isToken says whether a text is a token of RFC 3261 section 25.1.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-.!%*_+`'~", r)
	})
}

// send writes a datagram. An error is what a lost packet is: retransmission is the cure.
func (s *socket) send(raw []byte, to netip.AddrPort) {
	_, _ = s.conn.WriteTo(raw, net.UDPAddrFromAddrPort(to))
}

// close closes the port and waits for the reader.
func (s *socket) close() error {
	s.once.Do(func() {
		close(s.closed)
		s.err = s.conn.Close()
	})
	s.reader.Wait()
	return s.err
}
