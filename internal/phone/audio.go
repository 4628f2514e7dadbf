package phone

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// One RTP packet (RFC 3551 section 4.5): in each codec that a phone speaks, 20 ms are
// 160 bytes and 160 steps of the clock.
const (
	packetTime    = 20 * time.Millisecond
	packetSamples = 160
	rtpHeader     = 12
)

// Codec is what a phone speaks.
type Codec string

// The codecs. G722 has the clock of the others, by an old mistake that stays (RFC 3551
// section 4.5.2).
const (
	PCMU Codec = "PCMU" // also the zero value
	PCMA Codec = "PCMA"
	G722 Codec = "G722"
)

// form is the static payload type of a codec (RFC 3551 section 6) and the byte that
// is silence.
func (c Codec) form() (name Codec, payloadType, silence byte, err error) {
	switch c {
	case PCMU, "":
		return PCMU, 0, 0xff, nil
	case PCMA:
		return PCMA, 8, 0xd5, nil
	case G722:
		return G722, 9, 0xfa, nil
	}
	return "", 0, 0, fmt.Errorf("audio: unknown codec %.20q: want PCMU, PCMA or G722", string(c))
}

// audio is an RTP port. It counts what arrives, and from start on plays a sound.
type audio struct {
	codec          Codec
	kind           byte   // payload type
	sound          []byte // in the codec, played again and again
	hear           func(packet []byte)
	conn           net.PacketConn
	local          netip.AddrPort
	remote         atomic.Pointer[net.UDPAddr]
	sent, received atomic.Int64
	stopped        chan struct{}
	workers        sync.WaitGroup

	mu      sync.Mutex
	started bool
	over    bool
}

// openAudio opens a port; no sound is silence.
func openAudio(open ListenFunc, ip netip.Addr, codec Codec, sound []byte, hear func([]byte)) (*audio, error) {
	name, kind, silence, err := codec.form()
	if err != nil {
		return nil, err
	}
	conn, local, err := listen(open, netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	}
	if len(sound) == 0 {
		sound = []byte{silence}
	}
	a := &audio{codec: name, kind: kind, sound: sound, hear: hear, conn: conn, local: local, stopped: make(chan struct{})}
	a.workers.Go(a.count)
	return a, nil
}

func (a *audio) count() {
	buffer := make([]byte, maxDatagramBytes)
	for {
		n, _, err := a.conn.ReadFrom(buffer)
		select {
		case <-a.stopped:
			return
		default:
		}
		if err == nil && n >= rtpHeader {
			a.received.Add(1)
			if a.hear != nil {
				a.hear(buffer[:n])
			}
		}
	}
}

// start plays to where an SDP description says, or turns it there.
func (a *audio) start(description []byte) {
	if a == nil {
		return
	}
	remote, ok := audioAddress(description)
	if !ok {
		return
	}
	a.remote.Store(net.UDPAddrFromAddrPort(remote))
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.started && !a.over {
		a.started = true
		a.workers.Go(a.play)
	}
}

// play sends a packet every 20 ms. When the process was kept from it, it sends what
// is due at once, as with a real phone, whose clock does not wait.
func (a *audio) play() {
	packet := make([]byte, rtpHeader+packetSamples)
	_, _ = rand.Read(packet[2:rtpHeader]) // random sequence, timestamp and SSRC (RFC 3550 section 5.1); never fails
	packet[0], packet[1] = 2<<6, a.kind   // version 2
	sequence, clock := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[4:])
	ticker := time.NewTicker(packetTime)
	defer ticker.Stop()
	began, played := time.Now(), 0
	for packets := time.Duration(0); ; {
		for ; packets <= time.Since(began)/packetTime; packets++ {
			for i := rtpHeader; i < len(packet); i++ {
				packet[i] = a.sound[played%len(a.sound)]
				played++
			}
			if _, err := a.conn.WriteTo(packet, a.remote.Load()); err == nil {
				a.sent.Add(1)
			}
			sequence, clock = sequence+1, clock+packetSamples
			binary.BigEndian.PutUint16(packet[2:], sequence)
			binary.BigEndian.PutUint32(packet[4:], clock)
		}
		select {
		case <-ticker.C:
		case <-a.stopped:
			return
		}
	}
}

// stop closes the port and waits for the goroutines.
func (a *audio) stop() {
	if a == nil {
		return
	}
	a.mu.Lock()
	if !a.over {
		a.over = true
		close(a.stopped)
		_ = a.conn.Close()
	}
	a.mu.Unlock()
	a.workers.Wait()
}

func (a *audio) counts() (sent, received int64) {
	if a == nil {
		return 0, 0
	}
	return a.sent.Load(), a.received.Load()
}

// description is the SDP of this port: one codec only (RFC 8866). Without a port it
// is the discard port and inactive, and PCMU.
func (a *audio) description(ip netip.Addr, version int) string {
	port, direction, codec, kind := 9, "inactive", PCMU, byte(0)
	if a != nil {
		port, direction, codec, kind = int(a.local.Port()), "sendrecv", a.codec, a.kind
	}
	family := "IP4"
	if ip.Is6() {
		family = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP %d\r\na=rtpmap:%d %s/8000\r\na=ptime:20\r\na=%s\r\n",
		version, family, ip, family, ip, port, kind, kind, codec, direction)
}

// audioAddress finds the address of the audio of a description's first stream.
func audioAddress(description []byte) (netip.AddrPort, bool) {
	var address string
	var port uint64
	for line := range strings.Lines(string(description)) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "m=") && port != 0:
			return joinAddress(address, port) // the next stream
		case strings.HasPrefix(line, "m=audio ") && len(fields) > 1:
			number, err := strconv.ParseUint(fields[1], 10, 16)
			if err != nil {
				return netip.AddrPort{}, false
			}
			port = number
		case strings.HasPrefix(line, "c=IN ") && len(fields) == 3:
			address = fields[2] // of the session, or of the stream, which comes later
		}
	}
	return joinAddress(address, port)
}

func joinAddress(address string, port uint64) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(address)
	if err != nil || port == 0 || ip.IsUnspecified() || ip.IsMulticast() {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), true
}
