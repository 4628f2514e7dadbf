package siptrace

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// The chunk types of HEP version 3 (Homer Encapsulation Protocol, HEP3 network
// protocol specification revision 36, section "Generic chunk types").
const (
	chunkFamily      = 1
	chunkProtocol    = 2
	chunkSource4     = 3
	chunkTarget4     = 4
	chunkSource6     = 5
	chunkTarget6     = 6
	chunkSourcePort  = 7
	chunkTargetPort  = 8
	chunkSeconds     = 9
	chunkMicros      = 10
	chunkPayloadType = 11
	chunkAgent       = 12
	chunkKey         = 14
	chunkPayload     = 15
	chunkCorrelation = 17
)

const (
	familyIPv4 = 2  // AF_INET
	familyIPv6 = 10 // AF_INET6, as capture servers on Linux read it
	protoTCP   = 6
	protoUDP   = 17
	payloadSIP = 1
)

// hepQueue bounds the messages that wait to be sent to a capture server.
const hepQueue = 4096

// maxHEP is what fits a datagram. A longer message is left out and counted.
const maxHEP = 65_000

// HEP sends copies of messages to a capture server, such as Homer, over UDP. A
// server that is slow or away costs messages and nothing else.
type HEP struct {
	conn    net.Conn
	agent   uint32
	key     string
	queue   chan []byte
	lost    atomic.Uint64
	sent    atomic.Uint64
	stop    context.CancelFunc
	working sync.WaitGroup
}

// DialHEP begins to send to a capture server, host:port. agent tells capture agents
// apart, and key is what the server wants to see, if it wants one. Close ends it.
func DialHEP(ctx context.Context, address string, agent uint32, key string) (*HEP, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, fmt.Errorf("send SIP traces to %s: %w", address, err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &HEP{conn: conn, agent: agent, key: key, queue: make(chan []byte, hepQueue), stop: stop}
	h.working.Go(func() { h.run(running) })
	return h, nil
}

// Close ends the sending. What waits is lost.
func (h *HEP) Close() error {
	h.stop()
	h.working.Wait()
	return h.conn.Close()
}

// Lost counts the messages that were not sent, and Sent those that were.
func (h *HEP) Lost() uint64 { return h.lost.Load() }

// Sent counts the messages that were sent.
func (h *HEP) Sent() uint64 { return h.sent.Load() }

// Send queues a message; it never blocks. correlation, which may be empty, is what
// the legs of one call have in common.
func (h *HEP) Send(m *Message, correlation string) {
	packet := appendHEP(nil, m, h.agent, h.key, correlation)
	if len(packet) > maxHEP {
		h.lost.Add(1)
		return
	}
	select {
	case h.queue <- packet:
	default:
		h.lost.Add(1)
	}
}

func (h *HEP) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case packet := <-h.queue:
			if _, err := h.conn.Write(packet); err != nil {
				h.lost.Add(1)
				continue
			}
			h.sent.Add(1)
		}
	}
}

// appendHEP appends a message, without secrets, as a HEP packet.
func appendHEP(b []byte, m *Message, agent uint32, key, correlation string) []byte {
	start := len(b)
	b = append(b, "HEP3\x00\x00"...)
	source, target := m.Source.Addr().Unmap(), m.Destination.Addr().Unmap()
	family, sourceChunk, targetChunk := byte(familyIPv4), uint16(chunkSource4), uint16(chunkTarget4)
	if source.Is6() || target.Is6() {
		family, sourceChunk, targetChunk = familyIPv6, chunkSource6, chunkTarget6
		source, target = as16(source), as16(target)
	}
	protocol := byte(protoTCP)
	if m.Transport == "UDP" {
		protocol = protoUDP
	}
	b = chunk(b, chunkFamily, []byte{family})
	b = chunk(b, chunkProtocol, []byte{protocol})
	b = chunk(b, sourceChunk, source.AsSlice())
	b = chunk(b, targetChunk, target.AsSlice())
	b = chunk(b, chunkSourcePort, binary.BigEndian.AppendUint16(nil, m.Source.Port()))
	b = chunk(b, chunkTargetPort, binary.BigEndian.AppendUint16(nil, m.Destination.Port()))
	b = chunk(b, chunkSeconds, binary.BigEndian.AppendUint32(nil, uint32(m.At.Unix())))
	b = chunk(b, chunkMicros, binary.BigEndian.AppendUint32(nil, uint32(m.At.Nanosecond()/1000)))
	b = chunk(b, chunkPayloadType, []byte{payloadSIP})
	b = chunk(b, chunkAgent, binary.BigEndian.AppendUint32(nil, agent))
	if key != "" {
		b = chunk(b, chunkKey, []byte(key))
	}
	if correlation != "" {
		b = chunk(b, chunkCorrelation, []byte(correlation))
	}
	b = chunk(b, chunkPayload, Redact(m.Text))
	binary.BigEndian.PutUint16(b[start+4:], uint16(min(len(b)-start, 0xffff)))
	return b
}

// chunk appends one chunk: the vendor, which is 0, its type, its length and its value.
func chunk(b []byte, kind uint16, value []byte) []byte {
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(min(6+len(value), 0xffff)))
	return append(b, value...)
}

// as16 is an address in the form of IPv6.
func as16(a netip.Addr) netip.Addr { return netip.AddrFrom16(a.As16()) }
