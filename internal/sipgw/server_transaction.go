package sipgw

import (
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport"
)

// serverState is where a server transaction is.
type serverState uint8

const (
	serverTrying    serverState = iota // no final response yet
	serverRefused                      // INVITE: a final response other than 2xx awaits its ACK
	serverAccepted                     // INVITE: a 2xx awaits its ACK
	serverConfirmed                    // INVITE: the ACK is there; retransmissions are absorbed
	serverAnswered                     // any other method: a final response was sent
)

// serverTx is a server transaction (RFC 3261 section 17.2, with the Accepted
// state of RFC 6026). It keeps the bytes of its last response and repeats them.
type serverTx struct {
	sh      *shard
	key     string
	request *message // until the final response
	peer    transport.Peer
	last    []byte
	state   serverState
	// once says that the final response goes out once for each time that the request
	// comes, and that no timer repeats it.
	once bool
	// toTag is the tag of the gateway's own responses that create no dialog.
	toTag string

	interval   time.Duration
	retransmit timer
	end        timer

	// unacked is called when the ACK of a 2xx does not come; the one who sent the
	// 2xx must end the dialog.
	unacked func()
	// cancelled is called when the INVITE is cancelled before its final response.
	cancelled func(cancel *message)
}

// server finds the server transaction of a request by a method; nil when there is none.
func (sh *shard) server(m *message, method string) *serverTx {
	sh.key = m.TransactionKey(sh.key[:0], method)
	return sh.servers[string(sh.key)]
}

// begin makes the server transaction of a request.
func (sh *shard) begin(m *message) *serverTx {
	sh.key = m.TransactionKey(sh.key[:0], m.Method)
	tx := &serverTx{sh: sh, key: string(sh.key), request: m, peer: m.replyTo(), toTag: sh.srv.newTag()}
	sh.servers[tx.key] = tx
	return tx
}

// again handles a retransmission: the last response is sent again. While a 2xx
// awaits its ACK it is repeated by its own timer too.
func (tx *serverTx) again() {
	if tx.last != nil {
		tx.sh.srv.transport.Send(tx.peer, tx.last, nil)
	}
}

// respond sends a response with an own tag in To. extra holds whole lines.
func (tx *serverTx) respond(status int, phrase, extra string) {
	if tx.request == nil {
		return
	}
	tag := tx.toTag
	if status == 100 {
		tag = ""
	}
	tx.send(status, tx.request.Response(status, phrase, tag, extra, nil, ""))
}

// send sends a response and moves the transaction on.
func (tx *serverTx) send(status int, data []byte) {
	if tx.state != serverTrying {
		return
	}
	tx.last = data
	tx.sh.srv.transport.Send(tx.peer, data, nil)
	if status < 200 {
		return
	}
	timing, invite := &tx.sh.srv.config.Timers, tx.request.Method == "INVITE"
	tx.request = nil
	switch {
	case !invite:
		tx.state = serverAnswered
		if tx.peer.TCP {
			tx.drop()
			return
		}
		tx.sh.timers.set(&tx.end, tx, timerForget, tx.sh.now.Add(64*timing.T1))
		return
	case status < 300:
		tx.state = serverAccepted
		// A 2xx is repeated whatever the transport, since its ACK is end to end (RFC
		// 3261 section 13.3.1.4).
		tx.repeat()
	default:
		tx.state = serverRefused
		if !tx.peer.TCP && !tx.once {
			tx.repeat()
		}
	}
	tx.sh.timers.set(&tx.end, tx, timerGiveUp, tx.sh.now.Add(64*timing.T1))
}

func (tx *serverTx) repeat() {
	timing := &tx.sh.srv.config.Timers
	if tx.interval == 0 {
		tx.interval = timing.T1
	} else {
		tx.interval = min(2*tx.interval, timing.T2)
	}
	tx.sh.timers.set(&tx.retransmit, tx, timerRetransmit, tx.sh.now.Add(tx.interval))
}

// confirm takes the ACK of the final response and says whether it is the first.
func (tx *serverTx) confirm() bool {
	if tx.state != serverRefused && tx.state != serverAccepted {
		return false
	}
	timing := &tx.sh.srv.config.Timers
	wait := timing.T4 // Timer I
	if tx.state == serverAccepted {
		wait = 64 * timing.T1 // Timer L: INVITEs that come late are absorbed
	}
	tx.state, tx.last, tx.unacked, tx.cancelled = serverConfirmed, nil, nil, nil
	tx.sh.timers.stop(&tx.retransmit)
	tx.sh.timers.set(&tx.end, tx, timerForget, tx.sh.now.Add(wait))
	return true
}

func (tx *serverTx) expire(kind timerKind) {
	switch kind {
	case timerRetransmit:
		tx.again()
		tx.repeat()
	case timerGiveUp:
		unacked := tx.unacked
		tx.drop()
		if unacked != nil {
			unacked()
		}
	case timerForget:
		tx.drop()
	}
}

func (tx *serverTx) drop() {
	tx.sh.timers.stop(&tx.retransmit)
	tx.sh.timers.stop(&tx.end)
	if tx.sh.servers[tx.key] == tx {
		delete(tx.sh.servers, tx.key)
	}
	tx.last, tx.unacked, tx.cancelled = nil, nil, nil
}
