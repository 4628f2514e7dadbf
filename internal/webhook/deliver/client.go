package deliver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Limits of requests and answers.
const (
	// maxAddresses bounds how many addresses of one name are tried.
	maxAddresses = 8
	// connectTimeout leaves time for another address within the shortest usual attempt.
	connectTimeout = 5 * time.Second
	// maxHeaderBytes is far above what servers answer with, informational answers included.
	maxHeaderBytes = 32 << 10
	// idleConnTimeout keeps a connection for the events of one burst.
	idleConnTimeout = 30 * time.Second
	// idleConnsPerHost is the usual number of attempts that one endpoint has at once.
	idleConnsPerHost = DefaultPerEndpoint
	maxIdleConns     = 4 * DefaultConcurrency
	// maxErrorBytes is how much of an explanation is kept.
	maxErrorBytes = 300
)

// Resolver finds the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ClientSettings are the choices of who runs the server.
type ClientSettings struct {
	// AllowPrivate lets requests go to private, shared, loopback and unique local
	// addresses. Link-local and metadata addresses are refused even so. It is for
	// self-hosted servers whose customers are trusted with the server's network.
	AllowPrivate bool
	// AllowPlainHTTP lets URLs be http://.
	AllowPlainHTTP bool
	// Resolver is net.DefaultResolver when nil.
	Resolver Resolver
	// RootCAs are the authorities that servers' certificates are checked with; nil
	// means the system's.
	RootCAs *x509.CertPool
}

// Client sends requests to addresses that customers chose. It resolves a host
// itself, judges every address, and connects to the very address it judged, so
// that a name which changes its address between the two gains nothing. It follows
// no redirect, uses no proxy and speaks HTTP/1.1 over TLS 1.2 or later. It is safe
// for concurrent use.
type Client struct {
	settings ClientSettings
	guard    *reach.Guard
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	requests *http.Transport // used without http.Client, which follows redirects and reads their targets
}

// NewClient makes a client. Close it after its last request.
func NewClient(settings ClientSettings) *Client {
	if settings.Resolver == nil {
		settings.Resolver = net.DefaultResolver
	}
	c := &Client{settings: settings,
		guard: reach.New(reach.Rules{Private: settings.AllowPrivate, Loopback: settings.AllowPrivate})}
	// The judgement is repeated at the socket, so that no way to it goes around.
	dialer := &net.Dialer{Timeout: connectTimeout, Control: c.controlSocket}
	c.dial = dialer.DialContext
	c.requests = &http.Transport{
		Proxy:                  nil, // a proxy would resolve the name again, unjudged
		DialContext:            c.dialHost,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: settings.RootCAs},
		TLSHandshakeTimeout:    connectTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    idleConnsPerHost,
		IdleConnTimeout:        idleConnTimeout,
		DisableCompression:     true,
	}
	return c
}

// Know tells the client of the machine that it runs on, so that no event goes to the
// server itself.
func (c *Client) Know(h reach.Host) { c.guard.Know(h) }

// portOf is the port of a URL, or that of its scheme.
func portOf(port, scheme string) uint16 {
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		return uint16(n)
	}
	if scheme == "http" {
		return 80
	}
	return 443
}

// Close closes the connections that are kept for later requests.
func (c *Client) Close() { c.requests.CloseIdleConnections() }

// Check reports whether requests may go to an address as far as its text shows. Where
// a name leads is judged at each request. Errors are *webhook.URLError.
func (c *Client) Check(raw string) error {
	_, err := c.parse(raw)
	return err
}

func (c *Client) parse(raw string) (*url.URL, error) {
	u, err := webhook.ParseURL(raw)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && !c.settings.AllowPlainHTTP {
		return nil, &webhook.URLError{
			Detail: "This server sends events over https only. Give an address that starts with https://.",
		}
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil {
		if why, ok := c.guard.Refuses(netip.AddrPortFrom(address, portOf(u.Port(), u.Scheme))); !ok {
			return nil, &webhook.URLError{
				Detail: "Events are not sent to this address: " + why.What + ". Give one that is reached over the internet.",
			}
		}
	}
	return u, nil
}

// Validate describes what this server's settings forbid in an endpoint that is valid
// in itself.
func (c *Client) Validate(e *webhook.Endpoint) []field.Error {
	var errs []field.Error
	for _, f := range []struct{ pointer, value string }{{"/url", e.URL}, {"/failover_url", e.FailoverURL}} {
		if _, err := webhook.ParseURL(f.value); err != nil {
			continue // Endpoint.Validate says so
		}
		if err := c.Check(f.value); err != nil {
			errs = append(errs, field.Error{Pointer: f.pointer, Code: field.Malformed, Detail: err.Error()})
		}
	}
	return errs
}

// errForbidden means that an address must not be called. It is wrapped with which,
// for the operator's log; customers are not told where a name leads inside.
var errForbidden = errors.New("address must not be called")

// dialHost connects to a host of a URL.
func (c *Client) dialHost(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, fmt.Errorf("dial %.300q: %w", hostPort, err)
	}
	addresses := []netip.Addr{}
	if literal, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, literal)
	} else if addresses, err = c.settings.Resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, fmt.Errorf("resolve %.300q: %w", host, err)
	}
	return c.dialFirst(ctx, network, host, port, addresses)
}

// dialFirst connects to the first address that may be called and answers.
func (c *Client) dialFirst(ctx context.Context, network, host, port string, addresses []netip.Addr) (net.Conn, error) {
	last := fmt.Errorf("resolve %.300q: no address: %w", host, errForbidden)
	tried := 0
	for _, address := range addresses {
		address = address.Unmap()
		if why, ok := c.guard.Refuses(netip.AddrPortFrom(address, portOf(port, ""))); !ok {
			if tried == 0 {
				last = fmt.Errorf("resolve %.300q: %s is %s: %w", host, address, why.What, errForbidden)
			}
			continue
		}
		if tried++; tried > maxAddresses {
			break
		}
		conn, err := c.dial(ctx, network, net.JoinHostPort(address.String(), port))
		if err == nil {
			return conn, nil
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// controlSocket judges the address to which a socket is about to connect.
func (c *Client) controlSocket(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("judge socket address %.100q: %w", address, errForbidden)
	}
	if why, ok := c.guard.Refuses(target); !ok {
		return fmt.Errorf("%s is %s: %w", target.Addr(), why.What, errForbidden)
	}
	return nil
}

// Answer is what an endpoint answered.
type Answer struct {
	Status int
	Body   string // its start: valid UTF-8 of at most webhook.MaxResponseBytes, without NUL
}

// Post sends a body of JSON and waits for the answer until ctx ends. An answer of
// any status is an Answer; when its body does not arrive in time, Body is what did.
func (c *Client) Post(ctx context.Context, raw string, header http.Header, body []byte) (Answer, error) {
	u, err := c.parse(raw)
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return Answer{}, &webhook.URLError{Detail: "Not a web address."}
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", webhook.ContentType)
	request.Header.Set("User-Agent", webhook.UserAgent)
	// A kept connection that the server closes just then is replaced, as repeats do
	// no harm. Empty, this header tells so the transport and is not sent.
	request.Header["Idempotency-Key"] = []string{}
	response, err := c.requests.RoundTrip(request)
	if err != nil {
		return Answer{}, fmt.Errorf("send request: %w", err)
	}
	// The rest of a longer body is not read; closing it closes the connection.
	start, _ := io.ReadAll(io.LimitReader(response.Body, webhook.MaxResponseBytes)) // what did arrive is enough
	_ = response.Body.Close()
	return Answer{Status: response.StatusCode, Body: cleanText(start, webhook.MaxResponseBytes)}, nil
}

// cleanText makes text of bytes from outside that a database and a page can hold.
func cleanText(raw []byte, maxBytes int) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(string(raw), ""), "\x00", "")
	if len(text) <= maxBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxBytes], "")
}

// explain says in words for the customer why an attempt got no answer. It names no
// address: a customer must not learn from it what is in the server's network.
func explain(err error, timeout time.Duration) string {
	var inURL *webhook.URLError
	var inDNS *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &inURL):
		return inURL.Detail
	case errors.Is(err, errForbidden):
		return "The host resolves to an address that events are not sent to, such as one of a private network."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return fmt.Sprintf("No answer in time; the endpoint's limit is %v.", timeout)
	case errors.As(err, &inDNS):
		return "The host name could not be resolved."
	case errors.As(err, &certificate):
		return cleanText([]byte("The server's certificate is not accepted: "+certificate.Err.Error()+"."), maxErrorBytes)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The server refused the connection."
	case isClosed(err):
		return "The server closed the connection before it answered."
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "The server could not be reached."
	case isTLS(err):
		return "The TLS handshake failed. The server must speak TLS 1.2 or later."
	}
	return "The server did not answer with valid HTTP."
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func isClosed(err error) bool {
	for _, closed := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, closed) {
			return true
		}
	}
	// The transport's error for a connection closed before the request has no exported name.
	return strings.Contains(err.Error(), "server closed idle connection")
}

func isTLS(err error) bool {
	var header tls.RecordHeaderError
	// The errors of alerts have no exported type.
	return errors.As(err, &header) || strings.Contains(err.Error(), "tls: ")
}
