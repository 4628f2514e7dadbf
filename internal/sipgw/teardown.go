package sipgw

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/call"
)

// teardownSeq is how far the CSeq of a BYE that is prepared for after a crash is
// above that of the call's last request: more requests than a call ever sends.
const teardownSeq = 1 << 20

// The pace of prepared BYEs, 2,000 a second: as much as the parties, who get them all
// from one address, and the buffers on the way surely take.
const (
	teardownBatch = 20
	teardownPause = 10 * time.Millisecond
)

// teardownVersion is the first byte of a note.
const teardownVersion = 1

// teardown writes the note with which another process can hang up on both sides of
// the call that is being answered: for each leg the transport, the address and the
// whole BYE.
func (s *session) teardown() []byte {
	note := []byte{teardownVersion}
	for _, l := range [...]*leg{s.caller, s.carrier} {
		bye := l.build("BYE", s.sh.g.newBranch(), l.localSeq+teardownSeq, reasonLine(call.CauseLease), nil, "")
		address := l.peer.addr.String()
		transport := byte('u')
		switch {
		case l.peer.tls:
			// What the peer's certificate must name goes behind the address.
			transport, address = 's', address+" "+l.peer.name
			if l.peer.unverified {
				transport = 'i'
			}
		case l.peer.tcp:
			transport = 't'
		}
		address = address[:min(len(address), 255)]
		note = append(note, transport, byte(len(address)))
		note = append(note, address...)
		note = binary.BigEndian.AppendUint32(note, uint32(len(bye)))
		note = append(note, bye...)
	}
	return note
}

// prepared is one BYE of a note.
type prepared struct {
	to   peer
	data []byte
}

// readTeardown reads a note. What cannot be read is left out.
func readTeardown(note []byte) []prepared {
	if len(note) == 0 || note[0] != teardownVersion {
		return nil
	}
	note = note[1:]
	var list []prepared
	for len(note) >= 2 {
		transport, size := note[0], int(note[1])
		if note = note[2:]; len(note) < size+4 {
			return list
		}
		text, name, _ := strings.Cut(string(note[:size]), " ")
		address, err := netip.ParseAddrPort(text)
		length := binary.BigEndian.Uint32(note[size:])
		if note = note[size+4:]; uint64(length) > uint64(len(note)) {
			return list
		}
		if err == nil {
			list = append(list, prepared{peer{
				tcp: transport != 'u', tls: transport == 's' || transport == 'i', addr: address,
				name: name, unverified: transport == 'i',
			}, note[:length]})
		}
		note = note[length:]
	}
	return list
}

// TearDown hangs up on the calls of a process that died, from the notes that it
// left in the ledger. It returns at once. The BYEs go out at teardownBatch every
// teardownPause, and each is repeated until it is answered or Timer F fires. It may
// be called once the gateway is started.
func (g *Gateway) TearDown(notes [][]byte) {
	var list []prepared
	for _, note := range notes {
		list = append(list, readTeardown(note)...)
	}
	if len(list) == 0 {
		return
	}
	g.work.Go(func() {
		pause := time.NewTicker(teardownPause)
		defer pause.Stop()
		for i, p := range list {
			if i > 0 && i%teardownBatch == 0 {
				select {
				case <-g.done:
					return
				case <-pause.C:
				}
			}
			g.sendPrepared(p)
		}
	})
}

// sendPrepared sends a BYE of another process as a transaction of this one.
func (g *Gateway) sendPrepared(p prepared) {
	m := readMessage(p.data, p.to)
	if m == nil || m.method != "BYE" {
		return
	}
	g.filter.learn(p.to.addr.Addr()) // whose answer must pass the filter
	sh := g.shardOf(m.callID)
	sh.post(func() { sh.request("BYE", m.via.branch, p.to, p.data, func(*message) {}) })
}
