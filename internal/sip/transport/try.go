package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// TryConnect makes a connection to a peer as one for a request is made, closes it, and tells
// how that went: with the certificate of the peer over TLS, or why not. It does not block.
func (t *Transport) TryConnect(to Peer, done func(certificate *x509.Certificate, err error)) {
	t.work.Go(func() {
		ctx, cancel := context.WithTimeout(t.running, dialTimeout)
		defer cancel()
		done(t.tryConnect(ctx, to))
	})
}

var errForbidden = errors.New("this server does not connect to that address")

func (t *Transport) tryConnect(ctx context.Context, to Peer) (*x509.Certificate, error) {
	if t.Forbids(to.Addr) {
		return nil, errForbidden
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", to.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if !to.TLS {
		return nil, nil //nolint:nilnil // there is no certificate over TCP
	}
	secured, err := (&Stream{t: t, to: to}).secureClient(ctx, conn)
	if err != nil {
		return nil, err
	}
	state, _ := secured.(*tls.Conn)
	return state.ConnectionState().PeerCertificates[0], nil
}
