package transport

import (
	"bytes"
	"encoding/binary"
)

// What peers send to keep the translators on the way awake, and what is answered to it
// (RFC 5626 sections 3.5 and 4.4): a STUN binding request over UDP by the address that it
// came from, and two empty lines over TCP by one. Other peers send a few bytes over UDP and
// expect nothing.

// keepAliveBytes is the most of a datagram that is no message but keeps a way open: a line
// end, a zero, or a word such as jaK.
const keepAliveBytes = 4

// pong answers two empty lines.
var pong = []byte("\r\n")

// emptyLines counts the empty lines that a peer sends between messages.
type emptyLines struct{ count int }

// pinged notes bytes of empty lines, and reports whether there are two by now.
func (e *emptyLines) pinged(size int) bool {
	e.count += size / len(pong)
	if e.count < 2 {
		return false
	}
	e.count = 0
	return true
}

// The parts of STUN messages (RFC 8489 sections 5 and 14).
const (
	stunHeader        = 20
	stunRequest       = 0x0001
	stunSuccess       = 0x0101
	stunCookie        = 0x2112A442
	stunMapped        = 0x0001
	stunXORMapped     = 0x0020
	stunOptional      = 0x8000 // attributes from here on need not be known
	stunMostAttribute = 32
)

// stunBinding is what a binding request begins with.
var stunBinding = []byte{stunRequest >> 8, stunRequest & 0xFF}

// isSTUN reports whether a datagram may be a binding request. No SIP message begins so.
func isSTUN(data []byte) bool { return bytes.HasPrefix(data, stunBinding) }

// answerSTUN tells a peer at which address its datagrams arrive.
func (t *Transport) answerSTUN(to Peer, request []byte) {
	answer := stunAnswer(to, request)
	if answer == nil || to.Stranger && !t.strangers.take(len(answer), t.now(), &t.limits) {
		t.Count.Filtered.Add(1)
		return
	}
	t.Count.Sent.Add(1)
	t.sendPacket(to, answer)
}

// stunAnswer is the answer to a binding request; nil where that is none, or has an
// attribute that must be known.
func stunAnswer(to Peer, request []byte) []byte {
	if len(request) < stunHeader || !isSTUN(request) {
		return nil
	}
	attributes := request[stunHeader:]
	if int(binary.BigEndian.Uint16(request[2:])) != len(attributes) || len(attributes)%4 != 0 {
		return nil
	}
	for n := 0; len(attributes) > 0; n++ {
		kind, size := binary.BigEndian.Uint16(attributes), int(binary.BigEndian.Uint16(attributes[2:]))
		padded := 4 + (size+3)/4*4
		if kind < stunOptional || padded > len(attributes) || n == stunMostAttribute {
			return nil
		}
		attributes = attributes[padded:]
	}
	kind, mask := uint16(stunXORMapped), request[4:stunHeader]
	if binary.BigEndian.Uint32(request[4:]) != stunCookie {
		kind, mask = stunMapped, make([]byte, stunHeader-4) // as in RFC 3489
	}
	address := to.Addr.Addr().AsSlice()
	out := make([]byte, stunHeader, stunHeader+8+len(address))
	copy(out[4:], request[4:stunHeader])
	binary.BigEndian.PutUint16(out, stunSuccess)
	binary.BigEndian.PutUint16(out[2:], uint16(8+len(address)))
	out = binary.BigEndian.AppendUint16(out, kind)
	out = binary.BigEndian.AppendUint16(out, uint16(4+len(address)))
	family := byte(1)
	if len(address) > 4 {
		family = 2
	}
	out = append(out, 0, family)
	out = binary.BigEndian.AppendUint16(out, to.Addr.Port()^binary.BigEndian.Uint16(mask))
	for i := range address {
		out = append(out, address[i]^mask[i])
	}
	return out
}
