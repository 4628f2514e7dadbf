package faults

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// proxy is the way from a node to PostgreSQL, which can be cut and slowed down.
type proxy struct {
	listener net.Listener
	target   string
	cut      atomic.Bool  // nothing passes, silently
	delay    atomic.Int64 // nanoseconds that each piece takes

	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
	work  sync.WaitGroup
}

// socketName is the name of PostgreSQL's socket in its folder.
const socketName = ".s.PGSQL.5432"

// proxied is the database of a URL by way of a proxy.
func (b *bench) proxied(url string) (string, *proxy) {
	b.Helper()
	server, err := database()
	b.check(err)
	dir, err := os.MkdirTemp("", "tollgate-proxy") // the path of a socket must be short
	b.check(err)
	p := &proxy{target: filepath.Join(server.Dir(), socketName), conns: map[net.Conn]struct{}{}}
	p.listener, err = net.Listen("unix", filepath.Join(dir, socketName))
	b.check(err)
	p.work.Go(p.accept)
	b.Cleanup(func() {
		p.listener.Close()
		p.reset()
		p.work.Wait()
		os.RemoveAll(dir)
	})
	return strings.Replace(url, "host="+server.Dir(), "host="+dir, 1), p
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("unix", p.target)
		if err != nil {
			near.Close()
			continue
		}
		p.mu.Lock()
		p.conns[near], p.conns[far] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.work.Go(func() { p.copy(near, far) })
		p.work.Go(func() { p.copy(far, near) })
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		pauseFor(time.Duration(p.delay.Load()))
		for p.cut.Load() {
			pauseFor(5 * time.Millisecond)
		}
		if _, err := to.Write(piece[:n]); err != nil && !errors.Is(err, io.ErrShortWrite) {
			return
		}
	}
}

// reset breaks all connections.
func (p *proxy) reset() {
	p.cut.Store(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}
