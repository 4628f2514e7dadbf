package hostile

import (
	"bufio"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// web is a client that writes HTTP by hand.
type web struct {
	net.Conn
	t      *testing.T
	reader *bufio.Reader
}

// open connects to a listener of the server, from an address of the loopback network.
func open(t *testing.T, from, url string) *web {
	t.Helper()
	_, address, _ := strings.Cut(url, "://")
	address, _, _ = strings.Cut(address, "/")
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: answerLimit}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &web{conn, t, bufio.NewReader(conn)}
}

// ask sends text and reads one answer; nil when the server closes the connection.
func (w *web) ask(text string) (*http.Response, string) {
	w.t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		return nil, ""
	}
	return w.answer()
}

func (w *web) answer() (*http.Response, string) {
	w.t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(answerLimit))
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return nil, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Logf("the answer breaks off: %v", err)
	}
	return response, string(body)
}

// gone reports whether the server closes the connection.
func (w *web) gone() bool {
	_ = w.SetReadDeadline(time.Now().Add(answerLimit))
	_, err := io.Copy(io.Discard, w.reader)
	return err == nil || !os.IsTimeout(err)
}

func get(path string, header ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(header, ""), "\r\n") + "\r\n"
}

const withKey = "Authorization: Bearer " + process.Key

// descriptors counts the open files and sockets of the server.
func (s *server) descriptors() int {
	s.T.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Command.Process.Pid))
	if err != nil {
		s.T.Fatal(err)
	}
	return len(entries)
}

// Strangers open more connections than there may be, from one address and from many,
// and say nothing, half a header, or whole requests whose answers they do not read.
// A client with a key is served, over a connection that it had and over new ones, and the
// server holds no more descriptors than its budget.
func TestStrangersCannotHoldTheAPI(t *testing.T) {
	t.Parallel()
	const most = 64
	s := serve(t, "--http-connections", fmt.Sprint(most))
	before := s.descriptors()
	holder := open(t, "127.0.0.9", s.API)
	profiles := get("/v2/outbound_voice_profiles", withKey)
	if response, _ := holder.ask(profiles); response == nil || response.StatusCode != 200 {
		t.Fatal("the holder of a key is not served at rest")
	}
	for i := range 400 {
		from := strangerIP
		if i >= 100 {
			from = fmt.Sprintf("127.0.1.%d", i%200+1)
		}
		w := open(t, from, s.API)
		_, _ = io.WriteString(w, []string{"", "GET / HTTP/1.1\r\nX-A: ", get("/openapi.json"),
			get("/docs") + get("/nowhere")}[i%4])
		if i%50 != 49 {
			continue
		}
		if response, _ := holder.ask(profiles); response == nil || response.StatusCode != 200 {
			t.Fatalf("with %d connections of strangers the holder of a key is not served", i)
		}
		if response, _ := open(t, "127.0.0.10", s.API).ask(profiles); response == nil || response.StatusCode != 200 {
			t.Fatalf("with %d connections of strangers a new connection with a key is not served", i)
		}
		if n := s.descriptors(); n > before+most+20 {
			t.Fatalf("%d descriptors are open, %d at rest", n, before)
		}
	}
	series := s.Scrape()
	if n := series[`tollgate_http_connections{listener="api",who="strangers"}`]; n > most/2 {
		t.Errorf("%v connections of strangers", n)
	}
	for _, budget := range []string{"source_connections", "stranger_connections"} {
		if series[fmt.Sprintf(`tollgate_http_refused_total{budget="%s",listener="api"}`, budget)] == 0 {
			t.Errorf("%s was never full", budget)
		}
		if n := strings.Count(s.Text(), "budget="+budget); n != 1 {
			t.Errorf("%d warnings of %s", n, budget)
		}
	}
}

// The same for the metrics.
func TestStrangersCannotHoldTheMetrics(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i := range 200 {
		w := open(t, fmt.Sprintf("127.0.1.%d", i+1), s.Metrics)
		_, _ = io.WriteString(w, "GET /metrics HTTP/1.1\r\nX-A: ")
	}
	if n := s.Scrape()[`tollgate_http_connections{listener="metrics",who="strangers"}`]; n == 0 || n > 32 {
		t.Errorf("%v connections to the metrics", n)
	}
	if !strings.Contains(s.Text(), "listener=metrics") {
		t.Error("no warning")
	}
}

// A stranger asks for what anyone may see, for what is not there and with wrong keys,
// as fast as it can. It is told to wait; others are not.
func TestRequestsWithoutAKeyAreLimited(t *testing.T) {
	t.Parallel()
	s := serve(t)
	asks := map[string]string{
		"/healthz": "", "/readyz": "", "/openapi.json": "Accept-Encoding: gzip", "/docs/swagger-ui.css": "", "/nowhere": "",
		"/v2/outbound_voice_profiles": "Authorization: Bearer not-a-key-that-there-is", "/docs/errors/10009": "",
	}
	if status, _ := s.Call("GET", "/v2/outbound_voice_profiles", nil); status != 200 { // now the key is known
		t.Fatal(status)
	}
	// One address for each kind of request, so that each is seen to be counted.
	n := 0
	for path, header := range asks {
		n++
		from := fmt.Sprintf("127.0.2.%d", n)
		const burst = 1000
		lines := []string{}
		if header != "" {
			lines = append(lines, header)
		}
		limited := false
		for sent := 0; sent < 4*burst && !limited; {
			w := open(t, from, s.API)
			_, _ = io.WriteString(w, strings.Repeat(get(path, lines...), 50)) // pipelined
			for range 50 {
				response, _ := w.answer()
				if response == nil {
					break
				}
				sent++
				if limited = response.StatusCode == http.StatusTooManyRequests; limited {
					if response.Header.Get("Retry-After") == "" || !response.Close {
						t.Errorf("%s: a 429 without Retry-After or on a connection that stays", path)
					}
					break
				}
			}
			w.Close()
		}
		if !limited {
			t.Errorf("%s: no limit after %d requests", path, 4*burst)
		}
		if response, _ := open(t, from, s.API).ask(get("/v2/outbound_voice_profiles", withKey)); response == nil ||
			response.StatusCode != 200 {
			t.Errorf("%s: a key from the same address is not served", path)
		}
	}
	if response, _ := open(t, strangerIP, s.API).ask(get("/healthz")); response == nil || response.StatusCode != 200 {
		t.Error("another stranger is not served")
	}
	if n := strings.Count(s.Text(), "api: request"); n > 1000 {
		t.Errorf("%d lines of log", n)
	}
	if s.Scrape()[`tollgate_http_refused_total{budget="source_requests",listener="api"}`] == 0 {
		t.Error("nothing is counted")
	}
}

// The body of a request without a valid key is not asked for, not waited for and not
// read, whatever it is announced to be.
func TestTheBodyOfAStrangerIsNotRead(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, path := range []string{"/v2/outbound_voice_profiles", "/tollgate/v1/rate_decks?name=x",
		"/tollgate/v1/admissions", "/healthz", "/nowhere", "/openapi.json"} {
		for _, header := range []string{
			"Content-Length: 50000000", "Content-Length: 10", "Transfer-Encoding: chunked",
			"Content-Length: 50000000\r\nExpect: 100-continue",
			"Content-Length: 10\r\nAuthorization: Bearer not-a-key-that-there-is",
			"Content-Length: 2000000\r\nContent-Encoding: gzip",
		} {
			t.Run(path+" "+header, func(t *testing.T) {
				t.Parallel() // a connection that is closed lingers for a moment
				w := open(t, strangerIP, s.API)
				response, _ := w.ask("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + header +
					"\r\n\r\n")
				if response == nil || response.StatusCode < 400 || response.StatusCode >= 500 {
					t.Fatalf("%+v", response)
				}
				if !response.Close || !w.gone() {
					t.Errorf("the connection stays open after %d", response.StatusCode)
				}
			})
		}
	}
}

// What one server takes for the body of a request, and another for the next request,
// is never served here.
func TestRequestsAreNotSmuggled(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	post := "POST /v2/outbound_voice_profiles HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + withKey + "\r\n"
	for name, text := range map[string]string{
		"both lengths":         post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":          post + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + hidden,
		"a signed length":      post + "Content-Length: +2\r\n\r\n{}" + hidden,
		"a hexadecimal length": post + "Content-Length: 0x2\r\n\r\n{}" + hidden,
		"another coding":       post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"two codings": post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" +
			hidden,
		"a space before a colon": post + "Content-Length : 2\r\n\r\n{}" + hidden,
		"a bare line feed":       post + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n" + hidden,
		"a length that is small": "GET /v2/outbound_voice_profiles HTTP/1.1\r\nHost: x\r\n" + "Content-Length: 9\r\n\r\n" +
			hidden,
		"two hosts":              "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"no host":                "GET /healthz HTTP/1.1\r\n\r\n",
		"HTTP/2 of no agreement": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a folded field":         post + "X-A: a\r\n Content-Length: 2\r\n\r\n" + hidden,
	} {
		w := open(t, strangerIP, s.API)
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		first, _ := w.answer()
		if second, body := w.answer(); second != nil && name != "a folded field" {
			t.Errorf("%s: a second answer, of %d: %s", name, second.StatusCode, body)
		}
		if first != nil && first.StatusCode < 400 {
			t.Errorf("%s: status %d", name, first.StatusCode)
		}
	}
	if _, answer := s.Call("GET", "/v2/outbound_voice_profiles", nil); len(answer["data"].([]any)) != 0 {
		t.Errorf("a profile was made: %v", answer)
	}
	if strings.Contains(s.Text(), "hidden") {
		t.Error("a hidden request was served")
	}
	if response, _ := open(t, strangerIP,
		s.API).ask(get("/healthz", "X-A: "+strings.Repeat("a", 64<<10))); response == nil ||
		response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 64 KiB: %+v", response)
	}
}

// What everyone may read has an entity tag, and is the same compressed and not.
func TestPublicDocumentsAreKept(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, path := range []string{"/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui.css",
		"/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png"} {
		w := open(t, strangerIP, s.API)
		plain, text := w.ask(get(path))
		packed, zipped := w.ask(get(path, "Accept-Encoding: gzip"))
		if plain == nil || packed == nil || plain.StatusCode != 200 || packed.StatusCode != 200 ||
			plain.Header.Get("ETag") == "" {
			t.Fatalf("%s: %+v %+v", path, plain, packed)
		}
		if packed.Header.Get("Content-Encoding") == "gzip" {
			reader, err := gzip.NewReader(strings.NewReader(zipped))
			if err != nil {
				t.Fatal(err)
			}
			if unpacked, err := io.ReadAll(reader); err != nil || string(unpacked) != text {
				t.Errorf("%s: %d bytes unpack to %d, plain it has %d: %v", path, len(zipped), len(unpacked), len(text), err)
			}
			if packed.Header.Get("ETag") == plain.Header.Get("ETag") ||
				!strings.Contains(strings.Join(plain.Header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("%s: the same tag for other bytes, or no Vary", path)
			}
		} else if len(text) > 1024 && !strings.HasSuffix(path, ".png") {
			t.Errorf("%s: %d bytes are not compressed", path, len(text))
		}
		for _, tag := range []string{plain.Header.Get("ETag"), packed.Header.Get("ETag"), "W/" + plain.Header.Get("ETag"),
			`"x", ` + plain.Header.Get("ETag"), "*"} {
			response, body := w.ask(get(path, "If-None-Match: "+tag, "Accept-Encoding: gzip"))
			if response.StatusCode != http.StatusNotModified || body != "" {
				t.Errorf("%s with the tag %s: %d and %d bytes", path, tag, response.StatusCode, len(body))
			}
		}
		if response, _ := w.ask(get(path, `If-None-Match: "other"`)); response.StatusCode != 200 {
			t.Errorf("%s with another tag: %d", path, response.StatusCode)
		}
		_, _ = io.WriteString(w, strings.Replace(get(path, "Accept-Encoding: gzip"), "GET", "HEAD", 1))
		response, err := http.ReadResponse(w.reader, &http.Request{Method: http.MethodHead})
		if err != nil || response.StatusCode != 200 || response.ContentLength != int64(len(zipped)) {
			t.Errorf("HEAD %s: %+v", path, response)
		}
	}
}

// The program does not start where it would show keys or metrics to the network, and
// says what can be done.
func TestPlainHTTPStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	a := process.NewAuthority(t)
	certificate, key := a.Issue("127.0.0.1")
	for _, c := range []struct {
		flags []string
		wrong string // in what the program says; "" when it starts
	}{
		{[]string{"--http-addr", "127.0.0.1:0"}, ""},
		{[]string{"--http-addr", "[::1]:0"}, ""},
		{[]string{"--http-addr", "localhost:0"}, ""},
		{[]string{"--http-addr", "[::ffff:127.0.0.1]:0"}, ""},
		{[]string{"--http-addr", ":0"}, "http_addr"},
		{[]string{"--http-addr", "0.0.0.0:0"}, "http_addr"},
		{[]string{"--http-addr", "[::]:0"}, "http_addr"},
		{[]string{"--http-addr", "[::ffff:0.0.0.0]:0"}, "http_addr"},
		{[]string{"--http-addr", "192.0.2.1:8080"}, "http_addr"},
		{[]string{"--http-addr", "10.1.2.3:8080"}, "http_addr"},
		{[]string{"--http-addr", "[fe80::1%eth0]:8080"}, "http_addr"},
		{[]string{"--http-addr", "host.invalid:8080"}, "http_addr"},
		{[]string{"--metrics-addr", ":0"}, "metrics_addr"},
		{[]string{"--metrics-addr", "[::]:0", "--http-addr", "0.0.0.0:0"}, "metrics_addr"},
		{[]string{"--http-addr", ":0", "--metrics-addr", ":0", "--http-plain"}, ""},
		{[]string{"--http-addr", ":0", "--metrics-addr", ":0", "--http-tls-cert", certificate, "--http-tls-key", key}, ""},
		{[]string{"--http-tls-cert", certificate}, "http_tls_key"},
		{[]string{"--http-tls-cert", certificate, "--http-tls-key", filepath.Join(t.TempDir(), "none")}, "http_tls"},
		{[]string{"--http-tls-cert", certificate, "--http-tls-key", key, "--http-plain"}, "http_plain"},
		{[]string{"--http-trusted-proxies", "0.0.0.0/0"}, "http_trusted_proxies"},
		{[]string{"--http-trusted-proxies", "proxy.example.com"}, "http_trusted_proxies"},
		{[]string{"--http-connections=-1"}, "http_connections"},
	} {
		out, err := process.Command(append([]string{"check-config", "--data-dir", t.TempDir()},
			c.flags...)...).CombinedOutput()
		if (err == nil) != (c.wrong == "") || !strings.Contains(string(out), c.wrong) {
			t.Errorf("check-config %v: %v\n%s", c.flags, err, out)
		}
		if strings.HasSuffix(c.wrong, "_addr") && !strings.Contains(string(out), "invalid:8080") &&
			!strings.Contains(string(out), "--http-plain") {
			t.Errorf("check-config %v does not tell the way out:\n%s", c.flags, out)
		}
	}
	out, err := process.Command("serve", "--data-dir", t.TempDir(), "--http-addr", ":0", "--sip-addr",
		"127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--http-plain") {
		t.Errorf("serve on every address: %v\n%s", err, out)
	}
	plain := serve(t, "--http-addr", "0.0.0.0:0", "--http-plain")
	if _, port, _ := strings.Cut(plain.API, "]:"); port == "" {
		_, port, _ = net.SplitHostPort(strings.TrimPrefix(plain.API, "http://"))
		if response, _ := open(t, strangerIP, "http://127.0.0.1:"+port).ask(get("/healthz")); response == nil ||
			response.StatusCode != 200 {
			t.Error("with --http-plain the API is not served")
		}
	}
}

// TLS of the API: which versions, who may read the key, new files, and metrics.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	a := process.NewAuthority(t)
	certificate, key := a.Issue("127.0.0.1")
	s := serve(t, "--http-tls-cert", certificate, "--http-tls-key", key)
	if !strings.HasPrefix(s.API, "https://") || !strings.HasPrefix(s.Metrics, "http://") {
		t.Fatalf("API on %s, metrics on %s", s.API, s.Metrics)
	}
	text, err := os.ReadFile(a.Roots())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	connect := func(least, most uint16) (*tls.Conn, error) {
		return tls.Dial("tcp", strings.TrimPrefix(s.API, "https://"),
			&tls.Config{RootCAs: roots, MinVersion: least, MaxVersion: most, NextProtos: []string{"h2", "http/1.1"}})
	}
	for version, allowed := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true,
		tls.VersionTLS13: true} {
		conn, err := connect(version, version)
		if (err == nil) != allowed {
			t.Errorf("TLS %x: %v", version, err)
		}
		if err == nil {
			if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("the protocol is %q", got)
			}
			conn.Close()
		}
	}
	serial := func() string {
		t.Helper()
		conn, err := connect(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	conn, err := connect(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := &web{conn, t, bufio.NewReader(conn)}
	if response, _ := w.ask(get("/docs")); response == nil ||
		!strings.HasPrefix(response.Header.Get("Strict-Transport-Security"), "max-age=") {
		t.Errorf("/docs over TLS: %+v", response)
	}
	if response, _ := w.ask(get("/v2/outbound_voice_profiles", withKey)); response == nil || response.StatusCode != 200 {
		t.Errorf("the API over TLS: %+v", response)
	}
	if response, _ := open(t, strangerIP, s.API).ask(get("/v2/outbound_voice_profiles", withKey)); response != nil &&
		response.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP to the port of TLS: %d", response.StatusCode)
	}

	// New files: by themselves, and at once on SIGHUP. Old connections go on.
	first := serial()
	a.Issue("127.0.0.1")
	process.Eventually(t, "the new certificate", 10*time.Second, func() bool { return serial() != first })
	second := serial()
	if err := os.WriteFile(certificate, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Signal(syscall.SIGHUP)
	process.Eventually(t, "the broken file is logged", 10*time.Second,
		func() bool { return strings.Contains(s.Text(), "reload on SIGHUP") })
	if serial() != second {
		t.Error("a broken file changed the certificate in use")
	}
	a.Issue("127.0.0.1")
	s.Signal(syscall.SIGHUP)
	process.Eventually(t, "the certificate of SIGHUP", 10*time.Second, func() bool { return serial() != second })
	if response, _ := w.ask(get("/v2/outbound_voice_profiles", withKey)); response == nil || response.StatusCode != 200 {
		t.Errorf("the old connection: %+v", response)
	}
	wide := serve(t, "--http-tls-cert", certificate, "--http-tls-key", key, "--metrics-addr", "0.0.0.0:0")
	if !strings.HasPrefix(wide.Metrics, "https://") {
		t.Errorf("metrics on %s", wide.Metrics)
	}
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(wide.Metrics, "https://"), "/metrics"))
	wide.Metrics = "https://127.0.0.1:" + port + "/metrics"
	if len(wide.Scrape()) == 0 {
		t.Error("no metrics over TLS")
	}
	// A key that others can read is refused.
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := process.Command("check-config", "--data-dir", t.TempDir(), "--http-tls-cert", certificate,
		"--http-tls-key", key).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "http_tls_key") || !strings.Contains(string(out), "chmod") {
		t.Errorf("a key that others can read: %v\n%s", err, out)
	}
}

// Whose address counts: X-Forwarded-For is what a trusted proxy says, and nothing else.
func TestForwardedAddresses(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{false, true} {
		flags := []string{}
		if trusted {
			flags = []string{"--http-trusted-proxies", "127.0.0.20,127.0.3.0/24"}
		}
		s := serve(t, flags...)
		make := func(from, name, forwarded string) {
			t.Helper()
			body := `{"name":"` + name + `"}`
			response, text := open(t, from,
				s.API).ask("POST /v2/outbound_voice_profiles HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + withKey +
				"\r\n" +
				"X-Forwarded-For: " + forwarded + "\r\nX-Real-IP: 198.51.100.77\r\nForwarded: for=198.51.100.77\r\n" +
				fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
			if response == nil || response.StatusCode >= 300 {
				t.Fatalf("%v: %s", response, text)
			}
		}
		make("127.0.0.20", "one", "198.51.100.1, 203.0.113.9")
		make("127.0.3.7", "two", "203.0.113.10, 127.0.0.20")
		make(strangerIP, "three", "203.0.113.11")
		_, answer := s.Call("GET", "/v2/audit_events?page[size]=50", nil)
		events := fmt.Sprint(answer)
		for address, want := range map[string]bool{
			"203.0.113.9": trusted, "203.0.113.10": trusted, "127.0.0.20": !trusted, "127.0.3.7": !trusted, strangerIP: true,
			"203.0.113.11": false, "198.51.100.": false,
		} {
			if strings.Contains(events, address) != want {
				t.Errorf("trusted %v: %s in the audit: %v\n%s", trusted, address, !want, events)
			}
		}
	}
}
