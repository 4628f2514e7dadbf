package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/tollgate/tollgate/internal/certificate"
)

// TLS is what SIP over TLS needs. Its zero value leaves TLS out: nothing listens
// for it, and gateways of transport tls cannot be reached.
type TLS struct {
	Addr     string // host:port, default port of the field 5061
	CertFile string // PEM: the server's certificate and those between it and its root
	KeyFile  string // PEM: its key
	// CAFile is PEM with the roots of gateways' certificates; empty
	// for those of the system.
	CAFile string
	// Now says when the files are looked at again; nil for the clock of the transport.
	Now func() time.Time
}

// Wanted reports whether TLS is listened for.
func (t *TLS) Wanted() bool { return t.Addr != "" }

// handshakeTimeout ends a connection whose TLS handshake does not come to an end.
const handshakeTimeout = 10 * time.Second

// files are those of the certificate.
func (t *TLS) files() certificate.Config {
	return certificate.Config{What: "SIP over TLS", Cert: t.CertFile, Key: t.KeyFile, CA: t.CAFile}
}

// clientTLS is the configuration for a connection to a peer. name is what its
// certificate must name (RFC 5922 section 7.3) and what it is asked for by SNI. A
// peer that wants a certificate of ours gets the server's.
func clientTLS(files *certificate.Files, name string, unverified bool) *tls.Config {
	pair, roots := files.InForce()
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name, RootCAs: roots,
		InsecureSkipVerify: unverified, //nolint:gosec // G402: only for a gateway with tls_skip_verify
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return pair, nil
		},
	}
}

// secureClient makes the TLS connection over a TCP connection that was opened to a peer.
func (s *Stream) secureClient(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if s.t.certificates == nil {
		return nil, errNoTLS
	}
	name := s.to.Name
	if name == "" {
		name = s.to.Addr.Addr().String()
	}
	secured := tls.Client(conn, clientTLS(s.t.certificates, name, s.to.Unverified))
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}

var errNoTLS = errors.New("SIP over TLS is not configured")

// Check reports what is wrong with the settings of TLS, without listening.
func (t TLS) Check() error {
	if !t.Wanted() {
		if t.CertFile != "" || t.KeyFile != "" || t.CAFile != "" {
			return errors.New("sip_tls_listen: certificate files are named but no address to listen on; give host:port, such " +
				"as \"127.0.0.1:5061\"")
		}
		return nil
	}
	return t.files().Check("sip_tls")
}

// Reload reads the files of TLS again. When they cannot be used, what was in force stays
// so, and the error says why.
func (t *Transport) Reload() error {
	if t.certificates == nil {
		return nil
	}
	return t.certificates.Load()
}
