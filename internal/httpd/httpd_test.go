package httpd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// pipes is a listener whose connections are in memory, so that their deadlines follow
// the clock of a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return pipeAddr("127.0.0.1:1") }

type pipeAddr string

func (pipeAddr) Network() string  { return "tcp" }
func (a pipeAddr) String() string { return string(a) }

// from is a pipe with an address.
type from struct {
	net.Conn
	address pipeAddr
}

func (f from) RemoteAddr() net.Addr { return f.address }

// house is a server under attack. A request to /key shows a key of the account that
// it names, and one to /big gets more than any buffer holds.
type house struct {
	t   *testing.T
	s   *Server
	log bytes.Buffer
	in  *pipes
}

func newHouse(t *testing.T, connections int, proxies ...string) *house {
	h := &house{t: t, in: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}}
	var networks []netip.Prefix
	for _, text := range proxies {
		networks = append(networks, netip.MustParsePrefix(text))
	}
	h.s = New(Config{
		Name: "test", Connections: connections, KeyHolders: true, TrustedProxies: networks,
		Clock: time.Now, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
	h.s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if account, err := id.Parse(strings.TrimPrefix(r.URL.Path, "/key/")); err == nil {
			h.s.Known(r, account)
		} else if wait := h.s.Enter(r, false); wait > 0 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		switch {
		case r.Method == http.MethodPost:
			n, err := io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, http.StatusText(200)+" "+time.Duration(n).String())
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		case r.URL.Path == "/scheme":
			_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
		case r.URL.Path == "/big":
			_, _ = w.Write(make([]byte, 1<<20))
		default:
			_, _ = io.WriteString(w, r.RemoteAddr)
		}
	})
	ended := make(chan error)
	go func() { ended <- h.s.Serve(h.in) }()
	t.Cleanup(func() {
		_ = h.s.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

// client is the other end of a connection.
type client struct {
	net.Conn
	reader *bufio.Reader
}

func (h *house) dial(address string) *client {
	near, far := net.Pipe()
	h.in.conns <- from{far, pipeAddr(address)}
	h.t.Cleanup(func() { near.Close() })
	synctest.Wait()
	return &client{near, bufio.NewReader(near)}
}

// get asks for a path and returns the status and the body; 0 when there is no answer.
func (c *client) get(path string, header ...string) (int, string) {
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n"+strings.Join(header, "")+"\r\n"); err != nil {
		return 0, ""
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

// closed reports whether the server has closed the connection.
func (c *client) closed() bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestAStrangerHasLittleTime(t *testing.T) {
	for name, act := range map[string]func(*client){
		"says nothing":     func(*client) {},
		"a byte at a time": func(c *client) { trickle(c, "GET / HTTP/1.1\r\nHost: x\r\nX-A: "+strings.Repeat("a", 100)) },
		"keeps it open":    func(c *client) { c.get("/") },
		"reads nothing":    func(c *client) { _, _ = io.WriteString(c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n") },
		"a body that trails": func(c *client) {
			trickle(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"+strings.Repeat("a", 100))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, 16)
				c := h.dial("192.0.2.1:1")
				begun := time.Now()
				act(c)
				limit := time.NewTimer(strangerWrite + time.Second - time.Since(begun))
				<-limit.C
				if !c.closed() {
					t.Errorf("the connection is open after %v", time.Since(begun))
				}
				if stats := h.s.Stats(); stats.Strangers != 0 || stats.Known != 0 {
					t.Errorf("it is still counted: %+v", stats)
				}
			})
		})
	}
}

// trickle sends a byte a second, until that fails.
func trickle(c *client, text string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range len(text) {
		if _, err := c.Write([]byte(text[i : i+1])); err != nil {
			return
		}
		<-tick.C
	}
}

func TestWhoHasAKeyHasTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 16)
		c := h.dial("192.0.2.1:1")
		if status, _ := c.get("/key/1"); status != 200 {
			t.Fatalf("status %d", status)
		}
		pause := time.NewTimer(strangerRead + time.Minute)
		<-pause.C // between two requests
		if status, _ := c.get("/key/1"); status != 200 {
			t.Error("the connection was closed between two requests")
		}
		upload := h.dial("192.0.2.1:2")
		trickle(upload, "POST /key/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n"[:9])
		if upload.closed() {
			t.Error("closed within ten seconds")
		}
		upload = h.dial("192.0.2.1:3")
		_, _ = io.WriteString(upload, "POST /key/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n")
		trickle(upload, strings.Repeat("a", 40))
		response, err := http.ReadResponse(upload.reader, nil)
		if err != nil || response.StatusCode != 200 {
			t.Errorf("an upload of 40 seconds: %v", err)
		}
	})
}

func TestConnectionsOfStrangersMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 160) // 80 of strangers, 40 of one source
		holder := h.dial("192.0.2.200:1")
		if status, _ := holder.get("/key/7"); status != 200 {
			t.Fatal("no answer to the holder of a key")
		}
		// One source: the oldest goes.
		var own []*client
		for range 45 {
			own = append(own, h.dial("192.0.2.1:1"))
		}
		for i, c := range own {
			if got := c.closed(); got != (i < 5) {
				t.Errorf("connection %d of one source is closed: %v", i, got)
			}
		}
		// IPv6: a /64 is one source.
		for i := range 45 {
			h.dial(netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}), 1).String())
		}
		if stats := h.s.Stats(); stats.Strangers != 80 || stats.Refused[fullSource] != 10 {
			t.Errorf("%+v", stats)
		}
		// Many sources: those with most go first, and the holder of the key stays.
		var many []*client
		for i := range 300 {
			many = append(many, h.dial(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1).String()))
		}
		if stats := h.s.Stats(); stats.Strangers != 80 || stats.Known != 1 || stats.Refused[fullStrangers] != 300 {
			t.Errorf("%+v", stats)
		}
		if status, _ := holder.get("/key/7"); status != 200 {
			t.Error("the holder of a key lost its connection")
		}
		if status, _ := many[len(many)-1].get("/"); status != 200 {
			t.Error("the newest stranger was not served")
		}
		if late := h.dial("192.0.2.201:1"); true {
			if status, _ := late.get("/key/7"); status != 200 {
				t.Error("a client with a key that comes late is not served")
			}
		}
		if got := strings.Count(h.log.String(), "budget=stranger_connections"); got != 1 {
			t.Errorf("%d warnings:\n%s", got, &h.log)
		}
	})
}

// One account cannot have all of the connections, nor many of them together with
// strangers: an idle one goes.
func TestOneAccountLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 40)
		for i := range 60 {
			c := h.dial(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 1).String())
			if status, _ := c.get("/key/1"); status != 200 {
				t.Fatalf("request %d", i)
			}
		}
		if stats := h.s.Stats(); stats.Known != 20 || stats.Refused[fullHolder] != 40 {
			t.Errorf("%+v", stats)
		}
		for i := range 20 {
			c := h.dial(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1).String())
			if status, _ := c.get("/key/2"); status != 200 {
				t.Fatalf("request %d of another account", i)
			}
		}
		if status, _ := h.dial("203.0.113.1:1").get("/key/3"); status != 200 {
			t.Error("a third account finds no room")
		}
		if stats := h.s.Stats(); stats.Known > 40 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestRequestsOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 16)
		count := func(address, path string, n int) (served int) {
			c := h.dial(address)
			for range n {
				if status, _ := c.get(path); status == 200 {
					served++
				}
			}
			return served
		}
		if got := count("192.0.2.1:1", "/", 1500); got != sourceBurst {
			t.Errorf("%d requests of one stranger were served", got)
		}
		if got := count("192.0.2.1:2", "/key/1", 1500); got != 1500 {
			t.Errorf("%d requests with a key, from the same address, were served", got)
		}
		if got := count("192.0.2.2:1", "/", 10); got != 10 {
			t.Errorf("%d requests of another stranger were served", got)
		}
		total := 0
		for i := range 10 {
			total += count(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1).String(), "/", 1000)
		}
		if total >= allBurst {
			t.Errorf("%d requests of ten strangers were served", total)
		}
		if got := count("192.0.2.1:3", "/key/1", 10); got != 10 {
			t.Errorf("%d requests with a key were served", got)
		}
		// A probe from where a key was used is not counted with all strangers.
		if count("192.0.2.3:1", "/key/1", 1) != 1 || count("192.0.2.3:1", "/", 10) != 10 {
			t.Error("a probe beside the holder of a key is not served")
		}
		pause := time.NewTimer(time.Second)
		<-pause.C
		if got := count("192.0.2.1:1", "/", 300); got != sourcePerSecond {
			t.Errorf("%d requests a second later", got)
		}
		if stats := h.s.Stats(); stats.Refused[fullSourceRequests] == 0 || stats.Refused[fullRequests] == 0 {
			t.Errorf("%+v", stats)
		}
	})
}

// Handshakes cost, so a stranger has so many a second; where a key was used they are free.
func TestHandshakesOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Name: "test", Connections: 4096, TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Clock: time.Now,
			Log: slog.New(slog.DiscardHandler)})
		open := func(address string, n int) (taken int) {
			for range n {
				near, far := net.Pipe()
				if c := s.take(from{far, pipeAddr(address)}); c != nil {
					taken++
					c.Close()
				}
				near.Close()
			}
			return taken
		}
		if got := open("192.0.2.1:1", 500); got != sourceHandshakesBurst {
			t.Errorf("%d handshakes of one stranger", got)
		}
		if got := open("192.0.2.2:1", 10); got != 10 {
			t.Errorf("%d handshakes of another", got)
		}
		total := 0
		for i := range 10 {
			total += open(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1).String(), 200)
		}
		if total > allHandshakesBurst {
			t.Errorf("%d handshakes of ten strangers", total)
		}
		s.rates.sawKey(sourceOf(netip.MustParseAddr("192.0.2.9")), time.Now())
		if got := open("192.0.2.9:1", 500); got != 500 {
			t.Errorf("%d handshakes from where a key was used", got)
		}
		if stats := s.Stats(); stats.Refused[fullSourceHandshakes] == 0 || stats.Refused[fullHandshakes] == 0 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestForwardedAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 16, "10.0.0.0/24", "2001:db8:1::/48")
		for _, c := range []struct{ peer, field, want string }{
			{"192.0.2.1:1", "X-Forwarded-For: 203.0.113.9\r\n", "192.0.2.1:1"}, // no proxy of ours
			{"10.0.0.1:1", "", "10.0.0.1:1"},
			{"10.0.0.1:1", "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9:0"},
			// the first is what the client says
			{"10.0.0.1:1", "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n", "203.0.113.9:0"},
			{"10.0.0.1:1", "X-Forwarded-For: 203.0.113.9, 10.0.0.2\r\n", "203.0.113.9:0"}, // two proxies of ours
			{"10.0.0.1:1", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9:443\r\n", "203.0.113.9:0"},
			{"10.0.0.1:1", "X-Forwarded-For: 198.51.100.1, nonsense\r\n", "10.0.0.1:1"},
			{"[2001:db8:1::1]:1", "X-Forwarded-For: [2001:db8:9::9]:7\r\n", "[2001:db8:9::9]:0"},
			{"[::ffff:10.0.0.1]:1", "X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9:0"},
		} {
			if _, got := h.dial(c.peer).get("/", c.field); got != c.want {
				t.Errorf("%s with %q is %s, want %s", c.peer, c.field, got, c.want)
			}
		}
		for peer, want := range map[string]string{"10.0.0.1:1": "https", "192.0.2.1:1": "", "[2001:db8:2::1]:1": ""} {
			if _, got := h.dial(peer).get("/scheme", "X-Forwarded-Proto: https\r\n"); got != want {
				t.Errorf("the scheme that %s names is %q, want %q", peer, got, want)
			}
		}
		// A proxy has as many connections as there are, and its clients have their own limits.
		for range 15 {
			h.dial("10.0.0.1:1")
		}
		if stats := h.s.Stats(); stats.Strangers > 1 {
			t.Errorf("%+v", stats)
		}
	})
}
