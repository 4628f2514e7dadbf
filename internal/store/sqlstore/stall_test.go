package sqlstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
)

// stallingProxy stands between a node and the server, and can hold back all that
// is sent, as a network does that has fallen silent.
type stallingProxy struct {
	listener net.Listener
	server   string
	group    sync.WaitGroup

	mu    sync.Mutex    // guards the fields below
	open  chan struct{} // closed while bytes may pass
	conns []net.Conn
}

func newStallingProxy(tb testing.TB, server string) (*stallingProxy, string) {
	tb.Helper()
	dir := tb.TempDir()
	const socket = ".s.PGSQL.5432"
	listener, err := net.Listen("unix", filepath.Join(dir, socket))
	check(tb, err)
	p := &stallingProxy{listener: listener, server: filepath.Join(server, socket), open: make(chan struct{})}
	p.release()
	p.group.Go(func() {
		for {
			node, err := listener.Accept()
			if err != nil {
				return
			}
			p.group.Go(func() { p.serve(node) })
		}
	})
	tb.Cleanup(func() {
		p.release()
		check(tb, listener.Close())
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.group.Wait()
	})
	return p, dir
}

func (p *stallingProxy) serve(node net.Conn) {
	server, err := net.Dial("unix", p.server)
	if err != nil {
		node.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, node, server)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, node) })
	both.Go(func() { p.copy(node, server) })
	both.Wait()
}

func (p *stallingProxy) copy(to, from net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		<-open
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				from.Close()
			}
			to.Close()
			return
		}
	}
}

func (p *stallingProxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

func (p *stallingProxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// TestStalled cuts one node off. It refuses calls within a stated time, the other
// node goes on, and afterwards it works again: invariant I13, faults F8 and F9.
func TestStalled(t *testing.T) {
	const answerLimit = 14 * time.Second // five for the group before, five for its own, and what a busy machine adds
	url, database := newDatabase(t)
	proxy, dir := newStallingProxy(t, postgresServer(t).Dir())
	clock := newTestClock(noon)
	cut := newTestNode(t, strings.Replace(url, postgresServer(t).Dir(), dir, 1), "cut", clock.Now)
	other := newTestNode(t, url, "other", clock.Now)
	account, connectionID := configure(t, other.Store)
	do(t, cut, cut.reserve(connectionID))

	proxy.stall()
	began := time.Now()
	answered := make(chan error, 1)
	go func() {
		_, err := cut.Do(context.Background(), cut.reserve(connectionID))
		answered <- err
	}()
	do(t, other, other.reserve(connectionID))
	if err := <-answered; !errors.Is(err, collection.ErrUnavailable) || time.Since(began) > answerLimit {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	proxy.release()
	// A group that began before the cut was found out may still fail.
	for err := collection.ErrUnavailable; errors.Is(err, collection.ErrUnavailable); {
		_, err = cut.Do(context.Background(), cut.reserve(connectionID))
		if time.Since(began) > 30*time.Second {
			t.Fatalf("it does not work again: %v", err)
		}
	}
	audited(t, other.Store)
	calls, err := other.LiveCalls(context.Background(), account)
	if err != nil || len(calls) < 3 {
		t.Errorf("%d live calls of %s, %v", len(calls), database, err)
	}
}
