package transaction

import (
	"time"

	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// Client is a client transaction (RFC 3261 section 17.1, with the Accepted state
// of RFC 6026). It repeats its request until a response comes.
type Client struct {
	l      *Layer
	key    clientKey
	invite bool
	peer   transport.Peer
	data   []byte // the request, while it may have to be sent again
	ack    []byte // of a final response other than 2xx, once there is one

	interval   time.Duration
	retransmit timer.Timer
	giveUp     timer.Timer
	ring       timer.Timer // Timer C, INVITE only

	// by is the connection that the request went out by, last at sent, if it went by one.
	by     *transport.Stream
	sent   time.Time
	reused bool // which was there before, and may have died unseen

	most        int8   // times that it may yet be sent again; 0: as the timers say
	provisional bool   // a response has come
	done        bool   // a final response has come, or none is awaited
	cancel      []byte // a CANCEL that waits for the first response
	cancelled   bool

	// response gets every response but those absorbed here; nil stands for none in
	// time, or a transport that failed.
	response func(*Message)
	// Rings is called when Timer C fires. It is nil within a dialog, where the transaction
	// fails then.
	Rings func()
	// Forgotten is called when a 2xx need not be acknowledged again any more.
	Forgotten func()
}

// clientKey names a client transaction (RFC 3261 section 17.1.3).
type clientKey struct{ branch, method string }

// Request starts a client transaction.
func (l *Layer) Request(method, branch string, to transport.Peer, data []byte, response func(*Message)) *Client {
	tx := &Client{
		l: l, key: clientKey{branch, method}, invite: method == "INVITE",
		peer: to, data: data, response: response,
	}
	l.clients[tx.key] = tx
	tx.transmit()
	timing := &l.config.Times
	switch {
	case !to.TCP:
		tx.interval = timing.T1
		l.after(&tx.retransmit, tx, timerRetransmit, tx.interval)
	case tx.reused:
		l.after(&tx.retransmit, tx, timerRetransmit, deadAfter*timing.T1)
	}
	l.after(&tx.giveUp, tx, timerGiveUp, 64*timing.T1)
	return tx
}

// AtMost limits how often the request, which was sent once, is sent. What is sent
// once is not waited for so long either.
func (tx *Client) AtMost(times int8) {
	tx.most = times
	if times > 1 {
		return
	}
	tx.l.stop(&tx.retransmit)
	tx.l.after(&tx.giveUp, tx, timerGiveUp, 8*tx.l.config.Times.T1)
}

func (tx *Client) transmit() { tx.transmitOr(func() { tx.l.config.Post(tx.fail) }) }

// transmitOr sends the request; lost is called when no connection can be made for it.
func (tx *Client) transmitOr(lost func()) {
	tx.forgetStream()
	tx.by, tx.reused = tx.l.config.Transport.SendBy(tx.peer, tx.data, lost)
	if tx.by != nil {
		tx.sent = tx.l.config.Now()
		tx.by.Await(tx)
	}
}

// deadAfter is how many T1 a request may go without an answer by a connection that was
// there before, on which nothing at all comes: it is then sent again by a new one.
const deadAfter = 6

// Gone notes that the connection of the request has ended.
func (tx *Client) Gone() { tx.l.config.Post(tx.broken) }

// broken continues after the connection of the request has ended. By one that was there before, the
// request may not have arrived: it goes out again, once, by a new one, and is the same
// transaction to the peer if it did. On one that was made for it the peer has refused it.
func (tx *Client) broken() {
	if tx.done || tx.l.clients[tx.key] != tx || tx.by == nil || !tx.by.Ended() {
		return
	}
	switch {
	case tx.provisional && tx.Rings != nil && !tx.cancelled:
		// The callee may hear it ring: what cancels the INVITE goes by a new connection.
		tx.forgetStream()
		tx.peer.Conn = nil
		tx.response(nil)
	case tx.reused && !tx.cancelled && tx.data != nil:
		tx.peer.Conn = nil
		tx.transmit()
	default:
		tx.fail()
	}
}

// renew sends the request again by a new connection when the old one seems dead.
func (tx *Client) renew() {
	if tx.by == nil || tx.provisional || tx.cancelled || tx.by.HeardSince(tx.sent) {
		return
	}
	tx.l.config.Transport.Retire(tx.by)
	tx.peer.Conn = nil
	tx.transmitOr(nil) // where none can be made, the old one may yet bring an answer
}

// Silent notes that the peer did not respond.
func (tx *Client) Silent() {
	if tx.by != nil && !tx.provisional && !tx.by.HeardSince(tx.sent) {
		tx.l.config.Transport.Retire(tx.by)
	}
}

func (tx *Client) forgetStream() {
	if tx.by != nil {
		tx.by.Forget(tx)
		tx.by = nil
	}
}

// fail ends the transaction without a response.
func (tx *Client) fail() {
	if tx.done || tx.l.clients[tx.key] != tx {
		return
	}
	tx.Drop()
	tx.response(nil)
}

// receive takes a response that matches the transaction.
func (tx *Client) receive(m *Message) {
	if m.Status < 200 {
		tx.receiveProvisional(m)
		return
	}
	if !tx.invite {
		if !tx.done {
			tx.Drop()
			tx.response(m)
		}
		return
	}
	tx.l.stop(&tx.retransmit)
	tx.l.stop(&tx.ring)
	first := !tx.done
	tx.done = true
	if first && m.Status >= 300 {
		tx.ack = sip.AckFor(tx.data, m.To)
	}
	tx.data, tx.cancel = nil, nil
	tx.forgetStream()
	if m.Status < 300 {
		// Every 2xx goes up: repeated ones are acknowledged there, and those of
		// another branch of a fork are ended there.
		if first {
			tx.l.after(&tx.giveUp, tx, timerForget, 64*tx.l.config.Times.T1)
		}
		tx.response(m)
		return
	}
	if tx.ack != nil {
		tx.l.config.Transport.Send(tx.peer, tx.ack, nil)
	}
	if first {
		// Timer D: the final response is acknowledged again while it is repeated.
		tx.l.after(&tx.giveUp, tx, timerForget, 64*tx.l.config.Times.T1)
		tx.response(m)
	}
}

func (tx *Client) receiveProvisional(m *Message) {
	if tx.done {
		return
	}
	timing := &tx.l.config.Times
	if !tx.invite {
		// Timer E continues at T2 (RFC 3261 section 17.1.2.2).
		tx.interval = timing.T2
		tx.provisional = true
		tx.response(m)
		return
	}
	tx.l.stop(&tx.retransmit)
	if tx.Rings == nil && m.Status == 100 {
		// Within a dialog 100 Trying does not show that the peer is alive: Timer B continues.
		tx.provisional = true
	} else if !tx.provisional || tx.Rings == nil {
		tx.provisional = true
		tx.l.stop(&tx.giveUp)
		if !tx.cancelled {
			tx.l.after(&tx.ring, tx, timerRing, timing.TimerC)
		}
	} else if m.Status != 100 && !tx.cancelled {
		tx.l.after(&tx.ring, tx, timerRing, timing.TimerC)
	}
	if tx.cancel != nil {
		tx.sendCancel()
	}
	tx.response(m)
}

// Stop sends a CANCEL, now or after the first response (RFC 3261 section 9.1).
// What the gateway answers after that still goes to response.
func (tx *Client) Stop(cancel []byte) {
	if tx.done || tx.cancelled {
		return
	}
	tx.cancelled, tx.cancel = true, cancel
	tx.l.stop(&tx.ring)
	tx.l.stop(&tx.retransmit)
	if tx.provisional {
		tx.sendCancel()
	}
}

func (tx *Client) sendCancel() {
	data := tx.cancel
	tx.cancel = nil
	tx.l.stop(&tx.ring)
	tx.l.Request("CANCEL", tx.key.branch, tx.peer, data, func(*Message) {})
	// An element that answers neither is not waited for.
	tx.l.after(&tx.giveUp, tx, timerGiveUp, 64*tx.l.config.Times.T1)
}

// Expire implements timer.Owner.
func (tx *Client) Expire(kind timer.Kind) {
	switch kind {
	case timerRetransmit:
		if tx.peer.TCP {
			tx.renew()
			return
		}
		tx.transmit()
		if tx.most > 0 {
			if tx.most--; tx.most == 1 {
				return
			}
		}
		tx.interval *= 2
		if !tx.invite {
			tx.interval = min(tx.interval, tx.l.config.Times.T2)
		}
		tx.l.after(&tx.retransmit, tx, timerRetransmit, tx.interval)
	case timerGiveUp:
		tx.Silent()
		tx.fail()
	case timerRing:
		if tx.Rings == nil {
			tx.fail()
			return
		}
		tx.Rings()
	case timerForget:
		tx.Drop()
		if tx.Forgotten != nil {
			tx.Forgotten()
		}
	}
}

// Drop forgets the transaction. Nothing is called or sent any more.
func (tx *Client) Drop() {
	tx.done = true
	tx.l.stop(&tx.retransmit)
	tx.l.stop(&tx.giveUp)
	tx.l.stop(&tx.ring)
	if tx.l.clients[tx.key] == tx {
		delete(tx.l.clients, tx.key)
	}
	tx.data, tx.ack, tx.cancel = nil, nil, nil
	tx.forgetStream()
}

// Awaited reports whether the request has no final response yet, and may still get one.
func (tx *Client) Awaited() bool { return !tx.done }

// Provisional reports whether a provisional response has come.
func (tx *Client) Provisional() bool { return tx.provisional }

// Branch is that of the request.
func (tx *Client) Branch() string { return tx.key.branch }
