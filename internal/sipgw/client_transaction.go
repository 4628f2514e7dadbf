package sipgw

import (
	"time"

	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// clientTx is a client transaction (RFC 3261 section 17.1, with the Accepted state
// of RFC 6026). It repeats its request until a response comes.
type clientTx struct {
	sh     *shard
	key    clientKey
	branch string
	invite bool
	peer   transport.Peer
	data   []byte // the request, while it may have to be sent again
	ack    []byte // of a final response other than 2xx, once there is one

	interval   time.Duration
	retransmit timer
	giveUp     timer
	ring       timer // Timer C, INVITE only

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
	response func(*message)
	// rings is called when Timer C fires. It is nil within a dialog, where the transaction
	// fails then.
	rings func()
	// forgotten is called when a 2xx need not be acknowledged again any more.
	forgotten func()
}

// clientKey names a client transaction (RFC 3261 section 17.1.3).
type clientKey struct{ branch, method string }

// request starts a client transaction.
func (sh *shard) request(method, branch string, to transport.Peer, data []byte, response func(*message)) *clientTx {
	tx := &clientTx{
		sh: sh, key: clientKey{branch, method}, branch: branch, invite: method == "INVITE",
		peer: to, data: data, response: response,
	}
	sh.clients[tx.key] = tx
	tx.transmit()
	timing := &sh.srv.config.Timers
	switch {
	case !to.TCP:
		tx.interval = timing.T1
		sh.timers.set(&tx.retransmit, tx, timerRetransmit, sh.now.Add(tx.interval))
	case tx.reused:
		sh.timers.set(&tx.retransmit, tx, timerRetransmit, sh.now.Add(deadAfter*timing.T1))
	}
	sh.timers.set(&tx.giveUp, tx, timerGiveUp, sh.now.Add(64*timing.T1))
	return tx
}

// atMost has the request, which was sent once, sent so many times at most. What is sent
// once is not waited for so long either.
func (tx *clientTx) atMost(times int8) {
	tx.most = times
	if times > 1 {
		return
	}
	tx.sh.timers.stop(&tx.retransmit)
	tx.sh.timers.set(&tx.giveUp, tx, timerGiveUp, tx.sh.now.Add(8*tx.sh.srv.config.Timers.T1))
}

func (tx *clientTx) transmit() { tx.transmitOr(func() { tx.sh.post(tx.fail) }) }

// transmitOr sends the request; lost is called when no connection can be made for it.
func (tx *clientTx) transmitOr(lost func()) {
	tx.forgetStream()
	tx.by, tx.reused = tx.sh.srv.transport.SendBy(tx.peer, tx.data, lost)
	if tx.by != nil {
		tx.sent = tx.sh.now
		tx.by.Await(tx)
	}
}

// deadAfter is how many T1 a request may go without an answer by a connection that was
// there before, on which nothing at all comes: it is then sent again by a new one.
const deadAfter = 6

// Gone notes that the connection of the request has ended.
func (tx *clientTx) Gone() { tx.sh.post(tx.broken) }

// broken goes on after the connection of the request has ended. By one that was there before, the
// request may not have arrived: it goes out again, once, by a new one, and is the same
// transaction to the peer if it did. On one that was made for it the peer has refused it.
func (tx *clientTx) broken() {
	if tx.done || tx.sh.clients[tx.key] != tx || tx.by == nil || !tx.by.Ended() {
		return
	}
	switch {
	case tx.provisional && tx.rings != nil && !tx.cancelled:
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
func (tx *clientTx) renew() {
	if tx.by == nil || tx.provisional || tx.cancelled || tx.by.HeardSince(tx.sent) {
		return
	}
	tx.sh.srv.transport.Retire(tx.by)
	tx.peer.Conn = nil
	tx.transmitOr(nil) // where none can be made, the old one may yet bring an answer
}

// silent notes that the peer was waited for in vain.
func (tx *clientTx) silent() {
	if tx.by != nil && !tx.provisional && !tx.by.HeardSince(tx.sent) {
		tx.sh.srv.transport.Retire(tx.by)
	}
}

func (tx *clientTx) forgetStream() {
	if tx.by != nil {
		tx.by.Forget(tx)
		tx.by = nil
	}
}

// fail ends the transaction without a response.
func (tx *clientTx) fail() {
	if tx.done || tx.sh.clients[tx.key] != tx {
		return
	}
	tx.drop()
	tx.response(nil)
}

// receive takes a response that matches the transaction.
func (tx *clientTx) receive(m *message) {
	if m.Status < 200 {
		tx.receiveProvisional(m)
		return
	}
	if !tx.invite {
		if !tx.done {
			tx.drop()
			tx.response(m)
		}
		return
	}
	tx.sh.timers.stop(&tx.retransmit)
	tx.sh.timers.stop(&tx.ring)
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
			tx.sh.timers.set(&tx.giveUp, tx, timerForget, tx.sh.now.Add(64*tx.sh.srv.config.Timers.T1))
		}
		tx.response(m)
		return
	}
	if tx.ack != nil {
		tx.sh.srv.transport.Send(tx.peer, tx.ack, nil)
	}
	if first {
		// Timer D: the final response is acknowledged again while it is repeated.
		tx.sh.timers.set(&tx.giveUp, tx, timerForget, tx.sh.now.Add(64*tx.sh.srv.config.Timers.T1))
		tx.response(m)
	}
}

func (tx *clientTx) receiveProvisional(m *message) {
	if tx.done {
		return
	}
	timing := &tx.sh.srv.config.Timers
	if !tx.invite {
		// Timer E goes on at T2 (RFC 3261 section 17.1.2.2).
		tx.interval = timing.T2
		tx.provisional = true
		tx.response(m)
		return
	}
	tx.sh.timers.stop(&tx.retransmit)
	if tx.rings == nil && m.Status == 100 {
		// Within a dialog 100 Trying is no sign that the peer is there: Timer B goes on.
		tx.provisional = true
	} else if !tx.provisional || tx.rings == nil {
		tx.provisional = true
		tx.sh.timers.stop(&tx.giveUp)
		if !tx.cancelled {
			tx.sh.timers.set(&tx.ring, tx, timerRing, tx.sh.now.Add(timing.TimerC))
		}
	} else if m.Status != 100 && !tx.cancelled {
		tx.sh.timers.set(&tx.ring, tx, timerRing, tx.sh.now.Add(timing.TimerC))
	}
	if tx.cancel != nil {
		tx.sendCancel()
	}
	tx.response(m)
}

// stop sends a CANCEL, now or after the first response (RFC 3261 section 9.1).
// What the gateway answers after that still goes to response.
func (tx *clientTx) stop(cancel []byte) {
	if tx.done || tx.cancelled {
		return
	}
	tx.cancelled, tx.cancel = true, cancel
	tx.sh.timers.stop(&tx.ring)
	tx.sh.timers.stop(&tx.retransmit)
	if tx.provisional {
		tx.sendCancel()
	}
}

func (tx *clientTx) sendCancel() {
	data := tx.cancel
	tx.cancel = nil
	tx.sh.timers.stop(&tx.ring)
	tx.sh.request("CANCEL", tx.branch, tx.peer, data, func(*message) {})
	// An element that answers neither is not waited for.
	tx.sh.timers.set(&tx.giveUp, tx, timerGiveUp, tx.sh.now.Add(64*tx.sh.srv.config.Timers.T1))
}

func (tx *clientTx) expire(kind timerKind) {
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
			tx.interval = min(tx.interval, tx.sh.srv.config.Timers.T2)
		}
		tx.sh.timers.set(&tx.retransmit, tx, timerRetransmit, tx.sh.now.Add(tx.interval))
	case timerGiveUp:
		tx.silent()
		tx.fail()
	case timerRing:
		if tx.rings == nil {
			tx.fail()
			return
		}
		tx.rings()
	case timerForget:
		tx.drop()
		if tx.forgotten != nil {
			tx.forgotten()
		}
	}
}

func (tx *clientTx) drop() {
	tx.done = true
	tx.sh.timers.stop(&tx.retransmit)
	tx.sh.timers.stop(&tx.giveUp)
	tx.sh.timers.stop(&tx.ring)
	if tx.sh.clients[tx.key] == tx {
		delete(tx.sh.clients, tx.key)
	}
	tx.data, tx.ack, tx.cancel = nil, nil, nil
	tx.forgetStream()
}
