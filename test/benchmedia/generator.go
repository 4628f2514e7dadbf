package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each call sends a packet of 20 ms each way; the calls are spread over the slots
// of that time.
const (
	slots      = 20
	slotLength = time.Millisecond
	headBytes  = 12
	packetSize = headBytes + 160
	batch      = 64
	bufferSize = 16 << 20
)

// generator plays both sides of all calls from two sockets.
type generator struct {
	sockets  [2]int // of the callers, of the callees
	names    [2]netip.AddrPort
	calls    int
	targets  []target
	sequence uint16
	delays   *delays

	sent, received atomic.Int64
	measuring      atomic.Pointer[delays]
	readers        sync.WaitGroup
	done           atomic.Bool
}

// delays are what packets took, in microseconds.
type delays struct {
	mu   sync.Mutex // guards list
	list []uint32
}

type message struct {
	header unix.Msghdr
	size   uint32
}

func newGenerator(calls int) (*generator, error) {
	g := &generator{calls: calls, delays: &delays{}}
	for i := range g.sockets {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("socket: %w", err)
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize)
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
		address := [4]byte{127, 0, 0, byte(1 + i)}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: address}); err != nil {
			return nil, fmt.Errorf("bind: %w", err)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			return nil, fmt.Errorf("getsockname: %w", err)
		}
		g.sockets[i] = fd
		g.names[i] = netip.AddrPortFrom(netip.AddrFrom4(address), uint16(name.(*unix.SockaddrInet4).Port))
		g.readers.Go(func() { g.read(fd) })
	}
	return g, nil
}

func (g *generator) addresses() [2]netip.AddrPort { return g.names }

func (g *generator) close() {
	g.done.Store(true)
	g.readers.Wait()
	for _, fd := range g.sockets {
		_ = unix.Close(fd)
	}
}

// read counts what arrives at a socket.
func (g *generator) read(fd int) {
	var messages [batch]message
	var parts [batch]unix.Iovec
	var buffers [batch][2048]byte
	for i := range messages {
		parts[i].Base = &buffers[i][0]
		parts[i].SetLen(len(buffers[i]))
		messages[i].header.Iov = &parts[i]
		messages[i].header.SetIovlen(1)
	}
	for !g.done.Load() {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), batch,
			unix.MSG_WAITFORONE, 0, 0)
		if errno != 0 {
			continue
		}
		g.received.Add(int64(n))
		d := g.measuring.Load()
		if d == nil {
			continue
		}
		now := time.Now().UnixNano()
		d.mu.Lock()
		for i := range int(n) {
			if messages[i].size == packetSize {
				d.list = append(d.list, uint32((now-int64(binary.BigEndian.Uint64(buffers[i][headBytes:])))/1000))
			}
		}
		d.mu.Unlock()
	}
}

// run sends for so long, and gives d what packets take.
func (g *generator) run(ctx context.Context, length time.Duration, d *delays) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g.measuring.Store(d)
	defer g.measuring.Store(nil)
	w := newWriter()
	ticker := time.NewTicker(slotLength)
	defer ticker.Stop()
	begun := time.Now()
	for slot := int64(0); ; slot++ {
		due := begun.Add(time.Duration(slot) * slotLength)
		if due.Sub(begun) >= length || ctx.Err() != nil {
			return
		}
		for time.Now().Before(due) {
			<-ticker.C
		}
		if slot%slots == 0 {
			g.sequence++
		}
		for i := int(slot % slots); i < g.calls; i += slots {
			g.sent.Add(w.add(g.sockets[0], i, g.sequence, g.targets[i].caller))
		}
		g.sent.Add(w.flush(g.sockets[0]))
		for i := int(slot % slots); i < g.calls; i += slots {
			g.sent.Add(w.add(g.sockets[1], i, g.sequence, g.targets[i].callee))
		}
		g.sent.Add(w.flush(g.sockets[1]))
	}
}

// drain waits until nothing more arrives.
func (g *generator) drain() {
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for before := int64(-1); before != g.received.Load(); <-ticker.C {
		before = g.received.Load()
	}
}

// quantile is a quantile of the delays.
func (g *generator) quantile(q float64) time.Duration {
	g.delays.mu.Lock()
	defer g.delays.mu.Unlock()
	slices.Sort(g.delays.list)
	if len(g.delays.list) == 0 {
		return 0
	}
	return time.Duration(g.delays.list[int(float64(len(g.delays.list)-1)*q)]) * time.Microsecond
}

// writer sends packets in batches.
type writer struct {
	messages [batch]message
	parts    [batch]unix.Iovec
	names    [batch]unix.RawSockaddrInet4
	buffers  [batch][packetSize]byte
	used     int
}

func newWriter() *writer {
	w := &writer{}
	for i := range batch {
		w.parts[i].Base = &w.buffers[i][0]
		w.parts[i].SetLen(packetSize)
		h := &w.messages[i].header
		h.Iov = &w.parts[i]
		h.Name = (*byte)(unsafe.Pointer(&w.names[i]))
		h.Namelen = unix.SizeofSockaddrInet4
		h.SetIovlen(1)
	}
	return w
}

func (w *writer) add(fd, call int, sequence uint16, to netip.AddrPort) (sent int64) {
	if w.used == batch {
		sent = w.flush(fd)
	}
	b := w.buffers[w.used][:]
	b[0], b[1] = 2<<6, 0
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], uint32(sequence)*160)
	binary.BigEndian.PutUint32(b[8:], uint32(call))
	binary.BigEndian.PutUint64(b[headBytes:], uint64(time.Now().UnixNano()))
	name := &w.names[w.used]
	name.Family, name.Addr = unix.AF_INET, to.Addr().As4()
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
	w.used++
	return sent
}

func (w *writer) flush(fd int) (sent int64) {
	for first := 0; first < w.used; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&w.messages[first])),
			uintptr(w.used-first), 0, 0, 0)
		if errno != 0 {
			break
		}
		first += int(n)
		sent += int64(n)
	}
	w.used = 0
	return sent
}
