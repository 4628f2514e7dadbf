package sipgw

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// TLS is what SIP over TLS needs. Its zero value leaves TLS out: nothing listens
// for it, and gateways of transport tls cannot be reached.
type TLS struct {
	Addr     string // host:port, default port of the field 5061
	CertFile string // PEM: the server's certificate and those between it and its root
	KeyFile  string // PEM: its key
	// CAFile is PEM with the roots that gateways' certificates must lead to; empty
	// for those of the system.
	CAFile string
}

func (t *TLS) wanted() bool { return t.Addr != "" }

// certificateCheck is how often at most the files are looked at for a change.
const certificateCheck = time.Second

// handshakeTimeout ends a connection whose TLS handshake does not come to an end.
const handshakeTimeout = 10 * time.Second

// certificates holds what was read from the files, and reads them again when they
// change. Connections that exist go on with what they began with.
type certificates struct {
	files TLS
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex // guards all below
	pair    *tls.Certificate
	roots   *x509.CertPool // nil for the system's
	marks   [3]fileMark
	checked time.Time
}

// fileMark tells versions of a file apart without reading it.
type fileMark struct {
	modified time.Time
	size     int64
}

// load reads the files. What was in force stays so when they cannot be used.
func (c *certificates) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *certificates) read() error {
	c.checked, c.marks = c.now(), c.look()
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("read the certificate of SIP over TLS: %w", err)
	}
	var roots *x509.CertPool
	if c.files.CAFile != "" {
		text, err := os.ReadFile(c.files.CAFile)
		if err != nil {
			return fmt.Errorf("read the roots of SIP over TLS: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("read the roots of SIP over TLS: %s holds no certificate in PEM", c.files.CAFile)
		}
	}
	c.pair, c.roots = &pair, roots
	return nil
}

func (c *certificates) look() (marks [3]fileMark) {
	for i, name := range [...]string{c.files.CertFile, c.files.KeyFile, c.files.CAFile} {
		if info, err := os.Stat(name); err == nil {
			marks[i] = fileMark{info.ModTime(), info.Size()}
		}
	}
	return marks
}

// inForce returns the certificate and the roots for a new connection, after a look
// at whether the files have changed.
func (c *certificates) inForce() (*tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		if c.look() != c.marks {
			if err := c.read(); err != nil {
				// A certificate and its key are seldom written in one instant.
				c.log.Error("the files of SIP over TLS changed and cannot be used; what was read before stays in force", "err", err)
			} else {
				c.log.Info("the files of SIP over TLS were read again")
			}
		}
	}
	return c.pair, c.roots
}

// server is the configuration for connections that come in.
func (c *certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, _ := c.inForce()
			return pair, nil
		},
	}
}

// client is the configuration for a connection to a peer. name is what its
// certificate must name (RFC 5922 section 7.3) and what it is asked for by SNI. A
// peer that wants a certificate of ours gets the server's.
func (c *certificates) client(name string, unverified bool) *tls.Config {
	pair, roots := c.inForce()
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name, RootCAs: roots,
		InsecureSkipVerify: unverified, //nolint:gosec // G402: only for a gateway with tls_skip_verify
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return pair, nil
		},
	}
}

// listenTLS binds the TLS listener, once the certificate has been read.
func (t *transport) listenTLS(ctx context.Context) error {
	if t.certificates == nil {
		return nil
	}
	if err := t.certificates.load(); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", t.certificates.files.Addr)
	if err != nil {
		return fmt.Errorf("listen for SIP over TLS on %s: %w", t.certificates.files.Addr, err)
	}
	t.secure = listener.(*net.TCPListener)
	return nil
}

// secureClient makes the TLS connection over a TCP connection that was opened to a peer.
func (s *stream) secureClient(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if s.t.certificates == nil {
		return nil, errNoTLS
	}
	name := s.to.name
	if name == "" {
		name = s.to.addr.Addr().String()
	}
	secured := tls.Client(conn, s.t.certificates.client(name, s.to.unverified))
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}

var errNoTLS = errors.New("SIP over TLS is not configured")

// Reload reads the files of TLS again. When they cannot be used, what was in force
// stays so, and the error says why. Calls are not touched.
func (g *Gateway) Reload() error {
	if g.transport.certificates == nil {
		return nil
	}
	return g.transport.certificates.load()
}

// LimitCalls says how long calls that begin from now on may last; 0 is no limit.
func (g *Gateway) LimitCalls(most time.Duration) { g.maxCall.Store(int64(most)) }

// Check says what is wrong with the settings of TLS, without listening.
func (t TLS) Check() error {
	if !t.wanted() {
		if t.CertFile != "" || t.KeyFile != "" || t.CAFile != "" {
			return errors.New("sip_tls_listen: certificate files are named but no address to listen on; give host:port, such as \"127.0.0.1:5061\"")
		}
		return nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return errors.New("sip_tls_cert, sip_tls_key: SIP over TLS needs both a certificate and its key as PEM files")
	}
	for _, name := range []string{t.CertFile, t.KeyFile, t.CAFile} {
		if _, err := os.Stat(name); name != "" && errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sip_tls: no file %s", name)
		}
	}
	return nil
}
