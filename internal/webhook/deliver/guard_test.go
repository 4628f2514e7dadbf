package deliver_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/deliver"
)

// rows reads a data file of two columns.
func rows(t testing.TB, path string) [][2]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out [][2]string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		out = append(out, [2]string{strings.TrimSpace(line[:at]), line[at+1:]})
	}
	if len(out) < 50 {
		t.Fatalf("%s has only %d rows", path, len(out))
	}
	return out
}

// TestAddresses judges every address as text, at the dialler and at the socket.
func TestAddresses(t *testing.T) {
	for _, private := range []bool{false, true} {
		var dialled []string
		client := deliver.NewClient(deliver.ClientSettings{AllowPrivate: private, Resolver: addresses(func() []netip.Addr { return nil })})
		for _, row := range rows(t, "testdata/addresses.txt") {
			address := netip.MustParseAddr(row[0])
			allowed := row[1] == "public" || (private && row[1] == "private")
			if what := client.Refuses(address); (what == "") != allowed {
				t.Errorf("allow private %v: %s refused as %q, want allowed: %v", private, row[0], what, allowed)
			}
			if err := client.ControlSocket(netip.AddrPortFrom(address, 443).String()); (err == nil) != allowed {
				t.Errorf("allow private %v: socket to %s: %v, want allowed: %v", private, row[0], err, allowed)
			}
			byName := deliver.NewClient(deliver.ClientSettings{AllowPrivate: private, Resolver: addresses(func() []netip.Addr { return []netip.Addr{address} })})
			dialled = nil
			byName.SetDial(func(_ context.Context, _, to string) (net.Conn, error) {
				dialled = append(dialled, to)
				return nil, errors.New("no listener there")
			})
			_, err := byName.Post(t.Context(), "https://name.example/", http.Header{}, nil)
			if err == nil || (len(dialled) == 1) != allowed {
				t.Errorf("allow private %v: a name that leads to %s: dialled %v, %v; want allowed: %v", private, row[0], dialled, err, allowed)
			}
			if !allowed && strings.Contains(deliver.Explain(err, time.Second), row[0]) {
				t.Errorf("the customer is told where the name leads: %q", deliver.Explain(err, time.Second))
			}
		}
	}
}

func TestURLs(t *testing.T) {
	strict := deliver.NewClient(deliver.ClientSettings{})
	plain := deliver.NewClient(deliver.ClientSettings{AllowPlainHTTP: true})
	for _, row := range rows(t, "testdata/urls.txt") {
		errStrict, errPlain := strict.Check(row[0]), plain.Check(row[0])
		if (errStrict == nil) != (row[1] == "ok") || (errPlain == nil) != (row[1] != "no") {
			t.Errorf("%s: https only: %v; plain HTTP allowed: %v; want %s", row[0], errStrict, errPlain, row[1])
		}
		var detail *webhook.URLError
		if errStrict != nil && !errors.As(errStrict, &detail) {
			t.Errorf("%s: the error %v is not for customers", row[0], errStrict)
		}
	}
	if strict.Check("https://example.com/"+strings.Repeat("a", 2000)) == nil {
		t.Error("a URL of more than 2,000 bytes is accepted")
	}
	if strict.Check("https://"+strings.Repeat("a.", 127)+"example/") == nil || strict.Check("https://"+strings.Repeat("a", 64)+".example/") == nil {
		t.Error("a host that is too long is accepted")
	}
}

// addresses is a resolver that answers with whatever the function says.
type addresses func() []netip.Addr

func (a addresses) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return a(), nil
}

// TestNameThatFlips changes a name's address between lookups. However often it
// does, the address that is called is one that was judged.
func TestNameThatFlips(t *testing.T) {
	lookups := 0
	client := deliver.NewClient(deliver.ClientSettings{AllowPlainHTTP: true, Resolver: addresses(func() []netip.Addr {
		if lookups++; lookups%2 == 1 {
			return []netip.Addr{netip.MustParseAddr("93.184.216.34")}
		}
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}
	})})
	var dialled []string
	client.SetDial(func(_ context.Context, _, to string) (net.Conn, error) {
		dialled = append(dialled, to)
		return nil, errors.New("no listener there")
	})
	for range 6 {
		if _, err := client.Post(t.Context(), "http://flip.example:8080/", http.Header{}, nil); err == nil {
			t.Fatal("a request without a connection succeeded")
		}
	}
	if lookups != 6 || strings.Join(dialled, " ") != strings.TrimSpace(strings.Repeat("93.184.216.34:8080 ", 3)) {
		t.Errorf("%d lookups, dialled %v; want one lookup a request and only the public address", lookups, dialled)
	}
}

// TestMixedAnswer skips the addresses that may not be called and tries the others in order.
func TestMixedAnswer(t *testing.T) {
	var answer []netip.Addr
	for _, text := range []string{"127.0.0.1", "93.184.216.34", "::1", "::ffff:93.184.216.35", "10.0.0.1"} {
		answer = append(answer, netip.MustParseAddr(text))
	}
	for range 20 {
		answer = append(answer, netip.MustParseAddr("93.184.216.36"))
	}
	client := deliver.NewClient(deliver.ClientSettings{Resolver: addresses(func() []netip.Addr { return answer })})
	var dialled []string
	client.SetDial(func(_ context.Context, _, to string) (net.Conn, error) {
		dialled = append(dialled, to)
		return nil, errors.New("no listener there")
	})
	if _, err := client.Post(t.Context(), "https://mixed.example/", http.Header{}, nil); err == nil {
		t.Fatal("a request without a connection succeeded")
	}
	if len(dialled) != 8 || dialled[0] != "93.184.216.34:443" || dialled[1] != "93.184.216.35:443" {
		t.Errorf("dialled %v, want eight addresses, the public ones in order", dialled)
	}
}

// TestRealDialerRefusesLoopback goes through the whole client to a server that runs.
func TestRealDialerRefusesLoopback(t *testing.T) {
	server := newServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was reached") })
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	client := deliver.NewClient(deliver.ClientSettings{AllowPlainHTTP: true})
	defer client.Close()
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"} {
		if _, err := client.Post(t.Context(), "http://"+host+port, http.Header{}, nil); err == nil {
			t.Errorf("%s was called", host)
		}
	}
}

// TestNoProxy sets a proxy that would see every request.
func TestNoProxy(t *testing.T) {
	proxy := newServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") })
	server := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	client := localClient(t)
	if answer, err := client.Post(t.Context(), server.URL, http.Header{}, nil); err != nil || answer.Status != http.StatusNoContent {
		t.Errorf("Post returned %+v, %v", answer, err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, row := range rows(f, "testdata/urls.txt") {
		f.Add(row[0])
	}
	client := deliver.NewClient(deliver.ClientSettings{})
	f.Fuzz(func(t *testing.T, raw string) {
		if client.Check(raw) != nil {
			return
		}
		request, err := http.NewRequest(http.MethodPost, raw, nil)
		if err != nil {
			t.Fatalf("%q was accepted but cannot be requested: %v", raw, err)
		}
		host := request.URL.Hostname()
		if request.URL.Scheme != "https" || host == "" || request.URL.User != nil {
			t.Fatalf("%q was accepted", raw)
		}
		if address, err := netip.ParseAddr(host); err == nil && client.Refuses(address) != "" {
			t.Fatalf("%q was accepted, whose address is %s", raw, client.Refuses(address))
		}
		if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' || r == '\\' || r == '/' }) {
			t.Fatalf("%q was accepted with the host %q", raw, host)
		}
	})
}
