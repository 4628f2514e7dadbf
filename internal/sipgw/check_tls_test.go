package sipgw

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/routing"
)

// checked checks the gateway of a world as soon as the server knows it.
func (w *world) checked() routing.Check {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; w.pause() {
		got, err := w.srv.Check(w.t.Context(), worldGateway, 0, 0)
		if err == nil {
			return got
		}
		if !errors.Is(err, routing.ErrNotCarried) || time.Now().After(deadline) {
			w.t.Fatal(err)
		}
	}
}

// TestCheckConnection: why no connection is made is told in words.
func TestCheckConnection(t *testing.T) {
	own := newAuthority(t)
	for _, c := range []struct {
		name, says, advice string
		certificate        *tls.Config // nil: nothing listens
	}{
		{"foreign authority", "unknown authority", "not trusted here", newAuthority(t).server("127.0.0.2")},
		{"another name", "127.0.0.2", "for another name", own.server("other.example")},
		{"nothing listens", "refused", "firewall", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.2:0")
			if err != nil {
				t.Fatal(err)
			}
			address, ended := listener.Addr().String(), make(chan struct{})
			if c.certificate == nil {
				listener.Close()
			}
			go func() {
				defer close(ended)
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					_ = tls.Server(conn, c.certificate).HandshakeContext(t.Context())
					conn.Close()
				}
			}()
			w := newWorld(t, wish{tcp: true, tls: own, gateway: func(g *routing.Gateway) { g.Address = address }})
			w.pbx.connect()
			got := w.checked()
			last := got.Steps[len(got.Steps)-1]
			if got.Works || last.Step != "connect" || !strings.Contains(last.Says, c.says) || last.Advice == nil ||
				!strings.Contains(*last.Advice, c.advice) {
				t.Errorf("%+v", got)
			}
			listener.Close()
			<-ended
		})
	}
}

// TestCheckSilence: a carrier that says nothing is told in bounded time.
func TestCheckSilence(t *testing.T) {
	w := newWorld(t, wish{})
	got := w.checked()
	last := got.Steps[len(got.Steps)-1]
	if got.Works || last.Says != "Nothing came back to OPTIONS." || last.Advice == nil {
		t.Errorf("%+v", got)
	}
}
