package deliver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/deliver"
)

func newServer(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// localClient may call this machine.
func localClient(t testing.TB) *deliver.Client {
	t.Helper()
	client := deliver.NewClient(deliver.ClientSettings{AllowPrivate: true, AllowPlainHTTP: true})
	t.Cleanup(client.Close)
	return client
}

// rawServer answers every connection with a function.
func rawServer(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return "http://" + listener.Addr().String()
}

// readRequest takes the request off the line, so that closing does not reset it.
func readRequest(conn net.Conn) {
	buffer := make([]byte, 4096)
	conn.Read(buffer)
}

// pump writes the same text until the other side closes.
func pump(conn net.Conn, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// drip writes a byte now and then until the other side closes or gone is closed.
func drip(conn net.Conn, gone <-chan struct{}) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-gone:
			return
		case <-ticker.C:
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
		}
	}
}

func TestHostileServers(t *testing.T) {
	gone := make(chan struct{})
	defer close(gone)
	const limit = 300 * time.Millisecond
	for _, test := range []struct {
		name   string
		answer func(net.Conn)
		status int    // 0: an error
		want   string // the start of the body or of the explanation
	}{
		{"closes at once", func(net.Conn) {}, 0, "The server closed the connection"},
		{"closes after the request", readRequest, 0, "The server closed the connection"},
		{"says nothing", func(c net.Conn) { readRequest(c); io.Copy(io.Discard, c) }, 0, "No answer in time"},
		{"drips its header", func(c net.Conn) { readRequest(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nA: "); drip(c, gone) }, 0, "No answer in time"},
		{"endless header", func(c net.Conn) { readRequest(c); io.WriteString(c, "HTTP/1.1 200 OK\r\n"); pump(c, "A: b\r\n") }, 0, "The server did not answer with valid HTTP"},
		{"endless status line", func(c net.Conn) { readRequest(c); pump(c, "HTTP/1.1 200 ") }, 0, "The server did not answer with valid HTTP"},
		{"endless provisional answers", func(c net.Conn) { readRequest(c); pump(c, "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n") }, 0, "The server did not answer with valid HTTP"},
		{"not HTTP", func(c net.Conn) { readRequest(c); io.WriteString(c, "220 mail.example ESMTP\r\n") }, 0, "The server did not answer with valid HTTP"},
		{"drips its body", func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")
			drip(c, gone)
		}, 200, "abcx"},
		{"endless body", func(c net.Conn) { readRequest(c); io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); pump(c, "0123456789") }, 200, "0123456789"},
		{"less body than promised", func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 500 Oops\r\nContent-Length: 100000\r\n\r\nabc")
		}, 500, "abc"},
		{"bytes that are no text", func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na\x00\xffb"+strings.Repeat("☎", 1000))
		}, 200, "ab☎"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := localClient(t)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			answer, err := client.Post(ctx, rawServer(t, test.answer), http.Header{}, []byte("{}"))
			if took := time.Since(began); took > limit+2*time.Second {
				t.Errorf("it took %v", took)
			}
			got := answer.Body
			if err != nil {
				got = deliver.Explain(err, limit)
			}
			if answer.Status != test.status || !strings.HasPrefix(got, test.want) {
				t.Errorf("status %d, %q, %v; want %d, %q", answer.Status, got, err, test.status, test.want)
			}
			if len(answer.Body) > webhook.MaxResponseBytes || !utf8.ValidString(answer.Body) || strings.Contains(answer.Body, "\x00") {
				t.Errorf("the body that is kept has %d bytes: %q", len(answer.Body), answer.Body)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	inside := newServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{inside.URL, "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "%zz"} {
			server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			})
			answer, err := localClient(t).Post(t.Context(), server.URL, http.Header{}, []byte("{}"))
			if err != nil || answer.Status != status {
				t.Errorf("%d to %s: %+v, %v", status, to, answer, err)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	for _, test := range []struct {
		name    string
		version uint16
		trusted bool
		want    string
	}{
		{"TLS 1.3", tls.VersionTLS13, true, ""},
		{"TLS 1.2", tls.VersionTLS12, true, ""},
		{"TLS 1.1", tls.VersionTLS11, true, "The TLS handshake failed."},
		{"unknown authority", tls.VersionTLS13, false, "The server's certificate is not accepted: x509: certificate signed by unknown authority"},
	} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: test.version}
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // its clients fail on purpose
		server.StartTLS()
		pool := x509.NewCertPool()
		if test.trusted {
			pool.AddCert(server.Certificate())
		}
		client := deliver.NewClient(deliver.ClientSettings{AllowPrivate: true, RootCAs: pool})
		_, err := client.Post(t.Context(), server.URL, http.Header{}, []byte("{}"))
		client.Close()
		server.Close()
		if (err == nil) != (test.want == "") || (err != nil && !strings.HasPrefix(deliver.Explain(err, time.Second), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	plain := newServer(t, func(http.ResponseWriter, *http.Request) {})
	_, err := localClient(t).Post(t.Context(), strings.Replace(plain.URL, "http:", "https:", 1), http.Header{}, nil)
	if err == nil || !strings.HasPrefix(deliver.Explain(err, time.Second), "The TLS handshake failed.") && !strings.Contains(deliver.Explain(err, time.Second), "valid HTTP") {
		t.Errorf("TLS to a plain server: %v", err)
	}
}

// TestExplainNamesNoAddress gives errors as they come from the network.
func TestExplainNamesNoAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	_, refused := localClient(t).Post(t.Context(), "http://"+closed, http.Header{}, nil)
	for _, test := range []struct {
		err  error
		want string
	}{
		{refused, "The server refused the connection."},
		{fmt.Errorf("resolve: %w", &net.DNSError{Err: "no such host", Name: "db.internal", Server: "10.0.0.2:53"}), "The host name could not be resolved."},
		{&net.DNSError{Err: "i/o timeout", Name: "db.internal", IsTimeout: true}, "No answer in time; the endpoint's limit is 7s."},
		{errors.New("dial tcp 10.0.0.1:80: something else"), "The server did not answer with valid HTTP."},
	} {
		if got := deliver.Explain(test.err, 7*time.Second); got != test.want {
			t.Errorf("%v is explained as %q, want %q", test.err, got, test.want)
		}
	}
}

func TestPostSendsWhatItIsGiven(t *testing.T) {
	var got *http.Request
	var body []byte
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "thanks")
	})
	answer, err := localClient(t).Post(t.Context(), server.URL+"/a%20b?c=d", http.Header{webhook.HeaderID: {"x"}}, []byte(`{"a":1}`))
	if err != nil || answer != (deliver.Answer{Status: 202, Body: "thanks"}) {
		t.Fatalf("Post returned %+v, %v", answer, err)
	}
	if got.Method != http.MethodPost || got.RequestURI != "/a%20b?c=d" || got.Header.Get("webhook-id") != "x" ||
		got.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(got.UserAgent(), "Tollgate") || string(body) != `{"a":1}` {
		t.Errorf("the server got %s %s %v %s", got.Method, got.RequestURI, got.Header, body)
	}
}

// TestClosedIdleConnectionIsReplaced closes the kept connection on the second request.
func TestClosedIdleConnectionIsReplaced(t *testing.T) {
	var connections atomic.Int32
	address := rawServer(t, func(c net.Conn) {
		connections.Add(1)
		readRequest(c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		readRequest(c)
	})
	client := localClient(t)
	for range 2 {
		if answer, err := client.Post(t.Context(), address, http.Header{}, []byte("{}")); err != nil || answer.Status != http.StatusOK {
			t.Fatalf("Post returned %+v, %v", answer, err)
		}
	}
	client.Close()
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}
