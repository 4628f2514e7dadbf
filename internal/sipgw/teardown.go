package sipgw

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
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
const teardownVersion = 2

// teardown writes the note with which another process can hang up on both sides of
// the call that is being answered. It is kept with the lease as long as the call is
// up, so it holds what a BYE is made of and no more.
func (s *session) teardown() []byte {
	var room [512]byte
	note := append(room[:0], teardownVersion)
	for _, l := range [...]*leg{s.caller, s.carrier} {
		if ownOf(&l.peer) == nil {
			note = l.appendNote(note)
		}
	}
	return bytes.Clone(note)
}

// The transports of a note.
const (
	noteUDP byte = iota
	noteTCP
	noteTLS
	noteUnverified // TLS, whatever the certificate is
)

// appendNote appends what another process must know to send requests in the dialog.
func (l *leg) appendNote(b []byte) []byte {
	by := noteUDP
	switch {
	case l.peer.TLS && l.peer.Unverified:
		by = noteUnverified
	case l.peer.TLS:
		by = noteTLS
	case l.peer.TCP:
		by = noteTCP
	}
	b = append(b, by)
	b = appendText(b, l.peer.Addr.String())
	for _, text := range [...]string{l.peer.Name, l.callID, l.local, l.remote, l.target} {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(l.localSeq))
	b = binary.AppendUvarint(b, uint64(len(l.routes)))
	for _, route := range l.routes {
		b = appendText(b, route)
	}
	return b
}

// appendText appends a text behind its length.
func appendText(b []byte, text string) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// noteReader reads a note. Once something is missing, everything behind it is empty.
type noteReader struct {
	rest   []byte
	broken bool
}

func (r *noteReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest, r.broken = nil, true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *noteReader) text() string {
	size := r.number()
	if size > uint64(len(r.rest)) {
		r.rest, r.broken = nil, true
		return ""
	}
	text := string(r.rest[:size])
	r.rest = r.rest[size:]
	return text
}

// leg reads one leg; nil when there is none, or not the whole of it.
func (r *noteReader) leg() *leg {
	if len(r.rest) == 0 {
		return nil
	}
	by := r.rest[0]
	r.rest = r.rest[1:]
	address, err := netip.ParseAddrPort(r.text())
	l := &leg{peer: transport.Peer{Addr: address, TCP: by != noteUDP, TLS: by >= noteTLS,
		Unverified: by == noteUnverified}}
	for _, text := range [...]*string{&l.peer.Name, &l.callID, &l.local, &l.remote, &l.target} {
		*text = r.text()
	}
	l.localSeq = uint32(r.number())
	for range min(r.number(), sip.MaxRoutes) {
		l.routes = append(l.routes, r.text())
	}
	if r.broken || err != nil || by > noteUnverified {
		return nil
	}
	return l
}

// readTeardown reads a note. What cannot be read is left out.
func readTeardown(note []byte) []*leg {
	if len(note) == 0 || note[0] != teardownVersion {
		return nil
	}
	var list []*leg
	for r := (noteReader{rest: note[1:]}); ; {
		l := r.leg()
		if l == nil {
			return list
		}
		list = append(list, l)
	}
}

// TearDown hangs up on the calls of a process that died, from the notes that it
// left in the ledger. It returns at once. The BYEs go out at teardownBatch every
// teardownPause, and each is repeated until it is answered or Timer F fires. It may
// be called once the gateway is started.
func (srv *Server) TearDown(notes [][]byte) {
	var list []*leg
	for _, note := range notes {
		list = append(list, readTeardown(note)...)
	}
	if len(list) == 0 {
		return
	}
	srv.work.Go(func() {
		pause := time.NewTicker(teardownPause)
		defer pause.Stop()
		for i, l := range list {
			if i > 0 && i%teardownBatch == 0 {
				select {
				case <-srv.done:
					return
				case <-pause.C:
				}
			}
			srv.sendPrepared(l)
		}
	})
}

// sendPrepared hangs up on a leg of another process.
func (srv *Server) sendPrepared(l *leg) {
	if srv.transport.Forbids(l.peer.Addr) {
		return
	}
	srv.filter.Expect(l.peer.Addr.Addr()) // whose answer must pass the filter
	branch := srv.newBranch()
	reason := reasonLine(call.CauseLease, admission.ReasonNone)
	bye := l.request(srv, "BYE", branch, l.localSeq+teardownSeq, reason, nil, "")
	sh := srv.shardOf(l.callID)
	sh.post(func() { sh.transactions.Request("BYE", branch, l.peer, bye, func(*message) {}) })
}
