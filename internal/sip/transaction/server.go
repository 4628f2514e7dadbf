package transaction

import (
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// serverState is where a server transaction is.
type serverState uint8

const (
	serverTrying    serverState = iota // no final response yet
	serverRefused                      // INVITE: a final response other than 2xx awaits its ACK
	serverAccepted                     // INVITE: a 2xx awaits its ACK
	serverConfirmed                    // INVITE: the ACK has arrived; retransmissions are absorbed
	serverAnswered                     // any other method: a final response was sent
)

// Server is a server transaction (RFC 3261 section 17.2, with the Accepted
// state of RFC 6026). It keeps the bytes of its last response and repeats them.
type Server struct {
	l       *Layer
	key     string
	Request *Message // until the final response
	Peer    transport.Peer
	last    []byte
	state   serverState
	// Once means that the final response goes out once for each time that the request
	// comes, and that no timer repeats it.
	Once bool
	// ToTag is the tag of the gateway's own responses that create no dialog.
	ToTag string

	interval   time.Duration
	retransmit timer.Timer
	end        timer.Timer

	// Unacked is called when the ACK of a 2xx does not come; the one who sent the
	// 2xx must end the dialog.
	Unacked func()
	// Cancelled is called when the INVITE is cancelled before its final response.
	Cancelled func(cancel *Message)
}

// Server finds the server transaction of a request by a method; nil when there is none.
func (l *Layer) Server(m *Message, method string) *Server {
	l.key = m.TransactionKey(l.key[:0], method)
	return l.servers[string(l.key)]
}

// Begin makes the server transaction of a request.
func (l *Layer) Begin(m *Message) *Server {
	l.key = m.TransactionKey(l.key[:0], m.Method)
	tx := &Server{l: l, key: string(l.key), Request: m, Peer: m.ReplyTo(), ToTag: l.config.NewTag()}
	l.servers[tx.key] = tx
	return tx
}

// Again handles a retransmission: the last response is sent again. While a 2xx
// awaits its ACK it is repeated by its own timer too.
func (tx *Server) Again() {
	if tx.last != nil {
		tx.l.config.Transport.Send(tx.Peer, tx.last, nil)
	}
}

// Respond sends a response with an own tag in To. extra holds whole lines.
func (tx *Server) Respond(status int, phrase, extra string) {
	if tx.Request == nil {
		return
	}
	tag := tx.ToTag
	if status == 100 {
		tag = ""
	}
	tx.Send(status, tx.Request.Response(status, phrase, tag, extra, nil, ""))
}

// Send sends a response and moves the transaction on.
func (tx *Server) Send(status int, data []byte) {
	if tx.state != serverTrying {
		return
	}
	tx.last = data
	tx.l.config.Transport.Send(tx.Peer, data, nil)
	if status < 200 {
		return
	}
	timing, invite := &tx.l.config.Times, tx.Request.Method == "INVITE"
	tx.Request = nil
	switch {
	case !invite:
		tx.state = serverAnswered
		if tx.Peer.TCP {
			tx.Drop()
			return
		}
		tx.l.after(&tx.end, tx, timerForget, 64*timing.T1)
		return
	case status < 300:
		tx.state = serverAccepted
		// A 2xx is repeated whatever the transport, since its ACK is end to end (RFC
		// 3261 section 13.3.1.4).
		tx.repeat()
	default:
		tx.state = serverRefused
		if !tx.Peer.TCP && !tx.Once {
			tx.repeat()
		}
	}
	tx.l.after(&tx.end, tx, timerGiveUp, 64*timing.T1)
}

func (tx *Server) repeat() {
	timing := &tx.l.config.Times
	if tx.interval == 0 {
		tx.interval = timing.T1
	} else {
		tx.interval = min(2*tx.interval, timing.T2)
	}
	tx.l.after(&tx.retransmit, tx, timerRetransmit, tx.interval)
}

// Confirm takes the ACK of the final response and reports whether it is the first.
func (tx *Server) Confirm() bool {
	if tx.state != serverRefused && tx.state != serverAccepted {
		return false
	}
	timing := &tx.l.config.Times
	wait := timing.T4 // Timer I
	if tx.state == serverAccepted {
		wait = 64 * timing.T1 // Timer L: INVITEs that come late are absorbed
	}
	tx.state = serverConfirmed
	tx.last = nil
	tx.Unacked = nil
	tx.Cancelled = nil
	tx.l.stop(&tx.retransmit)
	tx.l.after(&tx.end, tx, timerForget, wait)
	return true
}

// Expire implements timer.Owner.
func (tx *Server) Expire(kind timer.Kind) {
	switch kind {
	case timerRetransmit:
		tx.Again()
		tx.repeat()
	case timerGiveUp:
		unacked := tx.Unacked
		tx.Drop()
		if unacked != nil {
			unacked()
		}
	case timerForget:
		tx.Drop()
	}
}

// Drop forgets the transaction. Nothing is called or sent any more.
func (tx *Server) Drop() {
	tx.l.stop(&tx.retransmit)
	tx.l.stop(&tx.end)
	if tx.l.servers[tx.key] == tx {
		delete(tx.l.servers, tx.key)
	}
	tx.last, tx.Unacked, tx.Cancelled = nil, nil, nil
}

// Trying reports whether the request has no final response yet.
func (tx *Server) Trying() bool { return tx.state == serverTrying }

// Refused reports whether a final response other than 2xx awaits its ACK.
func (tx *Server) Refused() bool { return tx.state == serverRefused }

// CancelledBy reports whether a CANCEL is one of the request. From where the request came its
// branch is enough; from elsewhere, as from another machine of the caller's, it has to
// name all that the caller has made up for the request. After the final response, which a
// CANCEL no longer changes, only the branch is left to compare.
func (tx *Server) CancelledBy(m *Message) bool {
	r := tx.Request
	if m.Peer.Addr.Addr() == tx.Peer.Addr.Addr() {
		return true
	}
	return r != nil && r.CallID == m.CallID && r.FromTag == m.FromTag && r.CSeq == m.CSeq && r.URI == m.URI
}

// Cancel tells the transaction of an INVITE of its CANCEL. After the final response it
// has no effect (RFC 3261 section 9.2).
func (tx *Server) Cancel(m *Message) {
	if tx.state == serverTrying && tx.Cancelled != nil {
		tx.Cancelled(m)
	}
}
