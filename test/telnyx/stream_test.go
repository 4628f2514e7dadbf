package telnyx

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/phone"
)

// overStream has the phone, which speaks UDP, speak over TCP, or over TLS when there is
// a configuration for it.
func overStream(server string, secure *tls.Config) phone.ListenFunc {
	return func(address string) (net.PacketConn, error) {
		local, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			return nil, err
		}
		dialer := net.Dialer{LocalAddr: local}
		conn, err := dialer.Dial("tcp", server)
		if err != nil {
			return nil, err
		}
		stream := &stream{Conn: conn, transport: "TCP"}
		if secure != nil {
			stream.Conn, stream.transport = tls.Client(conn, secure), "TLS"
		}
		stream.reader = bufio.NewReader(stream.Conn)
		return stream, nil
	}
}

// stream is a connection that looks like a socket for datagrams: each is one message.
type stream struct {
	net.Conn
	reader    *bufio.Reader
	transport string
}

// WriteTo implements net.PacketConn.
func (s *stream) WriteTo(message []byte, _ net.Addr) (int, error) {
	text := bytes.ReplaceAll(message, []byte("SIP/2.0/UDP"), []byte("SIP/2.0/"+s.transport))
	_, err := s.Write(text)
	return len(message), err
}

// ReadFrom implements net.PacketConn.
func (s *stream) ReadFrom(b []byte) (int, net.Addr, error) {
	from := net.UDPAddrFromAddrPort(s.RemoteAddr().(*net.TCPAddr).AddrPort())
	header, length := "", 0
	for {
		line, err := s.reader.ReadString('\n')
		if err != nil {
			return 0, from, net.ErrClosed
		}
		if header == "" && strings.TrimSpace(line) == "" {
			continue // a keepalive
		}
		header += line
		name, value, _ := strings.Cut(line, ":")
		if textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)) == "Content-Length" {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return 0, from, fmt.Errorf("length of a message: %w", err)
			}
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(s.reader, body); err != nil {
		return 0, from, net.ErrClosed
	}
	text := strings.ReplaceAll(header, "SIP/2.0/"+s.transport, "SIP/2.0/UDP")
	return copy(b, text+string(body)), from, nil
}

// LocalAddr is that of a socket for datagrams.
func (s *stream) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(s.Conn.LocalAddr().(*net.TCPAddr).AddrPort())
}
