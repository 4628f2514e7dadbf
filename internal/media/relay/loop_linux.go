package relay

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// On Linux the sockets are not known to Go's own poller, which would wake a
// goroutine for each packet and read each socket twice. A loop has many sockets,
// one goroutine and one epoll, and shares nothing that a packet needs with another,
// so that a packet costs two system calls and little more.

// Sizes of a loop.
const (
	maxEvents    = 256
	maxBatch     = 4  // packets that are read from a socket at once; most often there is one
	controlBytes = 64 // room for the traffic class
)

// socket is a UDP socket of the relay.
type socket struct {
	fd   int
	is6  bool
	dscp uint8 // that is set on what is sent
}

// bind opens a socket that does not block and tells the traffic class of packets.
func bind(address netip.Addr, port uint16) (socket, error) {
	address = address.Unmap()
	s := socket{is6: address.Is6()}
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVTOS
	var where unix.Sockaddr
	if s.is6 {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS
		where = &unix.SockaddrInet6{Port: int(port), Addr: address.As16()}
	} else {
		where = &unix.SockaddrInet4{Port: int(port), Addr: address.As4()}
	}
	var err error
	if s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return s, os.NewSyscallError("socket", err)
	}
	if s.is6 {
		err = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.SetsockoptInt(s.fd, level, option, 1)
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(s.fd, where))
	}
	if err != nil {
		s.close()
	}
	return s, err
}

func (s *socket) close() { _ = unix.Close(s.fd) }

// send sends a packet with a DSCP. One that cannot be sent is lost, as others are
// on their way.
func (s *socket) send(packet []byte, to netip.AddrPort, dscp uint8) bool {
	if to.Addr().Is6() != s.is6 {
		return false
	}
	if dscp != s.dscp {
		s.mark(dscp)
	}
	var name unsafe.Pointer
	var size uintptr
	if s.is6 {
		raw := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.Addr().As16()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:], to.Port())
		name, size = unsafe.Pointer(&raw), unix.SizeofSockaddrInet6
	} else {
		raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:], to.Port())
		name, size = unsafe.Pointer(&raw), unix.SizeofSockaddrInet4
	}
	// The socket does not block, so that the runtime need not be told.
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(packet))),
		uintptr(len(packet)),
		unix.MSG_NOSIGNAL, uintptr(name), size)
	return errno == 0
}

// mark sets the DSCP of what is sent from now on.
func (s *socket) mark(dscp uint8) {
	s.dscp = dscp
	if s.is6 {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(dscp)<<dscpShift)
	} else {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_TOS, int(dscp)<<dscpShift)
	}
}

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	header unix.Msghdr
	size   uint32
}

// loop passes the packets of many ports on.
type loop struct {
	epoll, wake int
	clock       func() time.Time
	ports       map[int32]*port
	relayed     atomic.Uint64 // packets
	events      [maxEvents]unix.EpollEvent
	messages    [maxBatch]message
	parts       [maxBatch]unix.Iovec
	names       [maxBatch]unix.RawSockaddrInet6
	control     [maxBatch][controlBytes]byte
	buffers     [maxBatch][maxPacketBytes + sealBytes]byte

	mu       sync.Mutex // guards all below
	commands []func()
	stopped  bool
}

func newLoop(clock func() time.Time) (*loop, error) {
	l := &loop{clock: clock, ports: make(map[int32]*port)}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(l.epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := l.watch(l.wake); err != nil {
		l.close()
		return nil, err
	}
	for i := range maxBatch {
		l.parts[i].Base = &l.buffers[i][0]
		l.parts[i].SetLen(maxPacketBytes)
		h := &l.messages[i].header
		h.Name, h.Iov = (*byte)(unsafe.Pointer(&l.names[i])), &l.parts[i]
		h.SetIovlen(1)
		h.Control = &l.control[i][0]
	}
	return l, nil
}

func (l *loop) watch(fd int) error {
	return os.NewSyscallError("epoll_ctl",
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
}

func (l *loop) close() {
	_ = unix.Close(l.wake)
	_ = unix.Close(l.epoll)
}

// do has the loop's goroutine do something between two packets. It reports whether
// it will; a loop that was stopped does not.
func (l *loop) do(command func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.commands = append(l.commands, command)
	l.rouse()
	return true
}

func (l *loop) rouse() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(l.wake, one[:]) // full only when the loop is to wake anyway
}

// add begins to pass the packets of ports on.
func (l *loop) add(ports ...*port) {
	l.do(func() {
		for _, p := range ports {
			l.ports[int32(p.socket.fd)] = p
			if l.watch(p.socket.fd) != nil {
				delete(l.ports, int32(p.socket.fd)) // nothing passes; the call will be found silent
			}
		}
	})
}

// remove closes ports, and calls then when no packet of theirs is under way.
func (l *loop) remove(ports []*port, then func()) {
	end := func() {
		for _, p := range ports {
			delete(l.ports, int32(p.socket.fd))
			p.socket.close() // and epoll forgets it
		}
		then()
	}
	if !l.do(end) {
		end()
	}
}

// through does something with a port that may have been closed meanwhile: then it
// is left out.
func (l *loop) through(p *port, command func()) {
	l.do(func() {
		if l.ports[int32(p.socket.fd)] == p {
			command()
		}
	})
}

// stop ends the loop's goroutine after the work that it was given before.
func (l *loop) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.rouse()
}

// run passes packets on until stop.
func (l *loop) run() {
	defer l.close()
	for {
		n, err := unix.EpollWait(l.epoll, l.events[:], -1)
		if err != nil && err != unix.EINTR {
			return // cannot be: the arguments do not change
		}
		now := l.clock()
		woken := false
		for i := range max(n, 0) {
			fd := l.events[i].Fd
			if int(fd) == l.wake {
				woken = true
			} else if p := l.ports[fd]; p != nil {
				l.read(p, now)
			}
		}
		if woken && !l.obey() {
			return
		}
	}
}

// obey does the work that the loop was given, and reports whether it continues.
func (l *loop) obey() bool {
	var count [8]byte
	_, _ = unix.Read(l.wake, count[:])
	l.mu.Lock()
	commands, stopped := l.commands, l.stopped
	l.commands = nil
	l.mu.Unlock()
	for _, command := range commands {
		command()
	}
	return !stopped
}

// read passes on what waits at a port. What comes while it does is found the next
// time, since epoll tells it again.
func (l *loop) read(p *port, now time.Time) {
	for i := range maxBatch {
		h := &l.messages[i].header
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlBytes)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(p.socket.fd), uintptr(unsafe.Pointer(&l.messages[0])),
		maxBatch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return
	}
	for i := range int(n) {
		m := &l.messages[i]
		if m.header.Flags&unix.MSG_TRUNC != 0 {
			continue
		}
		from, ok := source(&l.names[i])
		if ok {
			p.receive(l.buffers[i][:m.size], from, dscpOf(l.control[i][:m.header.Controllen]), now)
		}
	}
}

// source reads an address of the kernel's.
func source(raw *unix.RawSockaddrInet6) (netip.AddrPort, bool) {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:])
	switch raw.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(raw)).Addr), port), true
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), port), true
	}
	return netip.AddrPort{}, false
}

// dscpOf finds the DSCP in the control messages of a packet.
func dscpOf(control []byte) uint8 {
	if len(control) < unix.SizeofCmsghdr+1 {
		return 0
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	at := unix.CmsgLen(0)
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS:
		return control[at] >> dscpShift
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(control) >= at+4:
		return uint8(binary.NativeEndian.Uint32(control[at:])) >> dscpShift
	}
	return 0
}
