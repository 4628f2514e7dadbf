package sipgw

import (
	"bytes"
	"hash/maphash"
	"time"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/timer"
)

// refresh is the session timer of one leg (RFC 4028): the side that is the refresher
// sends a request in time, and the other one takes the peer for lost when none
// comes. A peer that knows no session timers is asked by the server whether the
// dialog is still there.
type refresh struct {
	timer    timer.Timer
	interval time.Duration
	mine     bool // the server refreshes
	probe    bool // no session timer was agreed on
	answered bool // a probe was answered before, so that silence means something
}

// longestSession bounds an interval that a peer may ask for.
const longestSession = 24 * time.Hour

// lostEarly is how long before the end of the interval a silent peer is taken for
// lost (RFC 4028 section 10).
const lostEarly = 32 * time.Second

// shortPhrase refuses a session interval that is too short (RFC 4028 section 9).
const shortPhrase = "Session Interval Too Small"

// shortSession is the shortest session interval that is accepted, when that of a request is
// shorter, else 0.
func (srv *Server) shortSession(m *message) time.Duration {
	least := srv.config.Timers.MinSE
	value := m.Get("session-expires")
	if value == "" || sip.ReadSeconds(value) >= least || !m.Lists("supported", "timer") {
		return 0
	}
	return least
}

// refuseShortSession answers 422 to a session interval that is too short and says
// whether it did.
func (sh *shard) refuseShortSession(m *message, tx *transaction.Server) bool {
	least := sh.srv.shortSession(m)
	if least > 0 {
		tx.Respond(422, shortPhrase, sip.Line("Min-SE", sip.Seconds(least)))
	}
	return least > 0
}

// arm sets the next time at which something must have happened.
func (r *refresh) arm(l *leg) {
	if l.ended || r.interval <= 0 {
		return
	}
	sh := l.s.sh
	if r.mine {
		sh.timers.Set(&r.timer, l, timerRefresh, sh.now.Add(r.interval/2))
		return
	}
	sh.timers.Set(&r.timer, l, timerLost, sh.now.Add(r.interval-min(lostEarly, r.interval/3)))
}

func (r *refresh) stop(l *leg) { l.s.sh.timers.Stop(&r.timer) }

// accept agrees on a session timer for the leg whose peer sent the INVITE, and
// returns the header lines for its 2xx.
func (r *refresh) accept(l *leg, m *message) string {
	timing := &l.s.sh.srv.config.Timers
	r.interval = timing.CallerSessionExpires
	if wanted := sip.ReadSeconds(m.Get("session-expires")); wanted > 0 {
		r.interval = max(min(wanted, r.interval), timing.MinSE, min(sip.ReadSeconds(m.Get("min-se")), longestSession))
	}
	// A peer that knows session timers refreshes, unless it asks us to.
	r.probe = !m.Lists("supported", "timer")
	r.mine = r.probe || sip.Refresher(m.Get("session-expires")) == "uas"
	r.arm(l)
	return r.serveLine()
}

// serveLine is Session-Expires in a 2xx of ours.
func (r *refresh) serveLine() string {
	if r.probe {
		return ""
	}
	if r.mine {
		return "Session-Expires: " + sip.Seconds(r.interval) + ";refresher=uas\r\n"
	}
	return "Session-Expires: " + sip.Seconds(r.interval) + ";refresher=uac\r\nRequire: timer\r\n"
}

// serve takes a session refresh request of the peer's and returns the header lines
// for its 2xx.
func (r *refresh) serve(l *leg, m *message) string {
	if m.Get("session-expires") == "" {
		r.arm(l)
		return ""
	}
	return r.accept(l, m)
}

// begin takes the 2xx of our own INVITE or refresh.
func (r *refresh) begin(l *leg, m *message) {
	value := m.Get("session-expires")
	if interval := sip.ReadSeconds(value); interval > 0 {
		r.interval, r.probe = min(interval, longestSession), false
		r.mine = sip.Refresher(value) != "uas"
	} else if r.interval == 0 {
		r.interval, r.mine, r.probe = l.s.sh.srv.config.Timers.SessionExpires, true, true
	}
	r.arm(l)
}

// requestLine is Session-Expires in a refresh request of ours.
func (r *refresh) requestLine() string {
	if r.probe || r.interval == 0 {
		return ""
	}
	who := "uas"
	if r.mine {
		who = "uac"
	}
	return "Session-Expires: " + sip.Seconds(r.interval) + ";refresher=" + who + "\r\n"
}

// Expire implements timed for the session timer.
func (l *leg) Expire(kind timer.Kind) {
	if l.ended || !l.s.machine.Running() {
		return
	}
	if kind == timerLost {
		l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
		return
	}
	l.sendRefresh()
}

// sendRefresh refreshes the session, by UPDATE where the peer takes it, since that
// needs no session description.
func (l *leg) sendRefresh() {
	r := &l.refresh
	extra := l.contactLine() + lineSupported + r.requestLine()
	switch {
	case l.allowsUpdate:
		l.send("UPDATE", extra, nil, "", l.refreshed("UPDATE"))
	case r.probe || l.lastOffer == nil:
		l.send("OPTIONS", "", nil, "", l.probed)
	case l.invite != nil || l.serving != nil:
		l.again()
	default:
		l.invite = l.send("INVITE", extra+sip.LineAllow, l.lastOffer.body, l.lastOffer.contentType, l.refreshed("INVITE"))
	}
}

// again tries a refresh soon, after a crossing request or a glare (RFC 3261
// section 14.1 lets the one that made the Call-ID wait 2.1 to 4 seconds).
func (l *leg) again() {
	sh := l.s.sh
	sh.timers.Set(&l.refresh.timer, l, timerRefresh, sh.now.Add(min(3*time.Second, l.refresh.interval/4)))
}

// refreshed takes the answer to a refresh.
func (l *leg) refreshed(method string) func(*message) {
	return func(m *message) {
		if method == "INVITE" {
			l.invite = nil
			if m != nil && m.Status < 300 {
				l.acknowledge(m.CSeq, "", nil, "")
			}
		}
		switch {
		case l.ended:
		case m == nil, m.Status == 408, m.Status == 481:
			l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
		case m.Status < 300:
			l.retarget(m)
			l.refresh.begin(l, m)
			if method == "INVITE" {
				l.moved(m)
			}
		case m.Status == 422:
			l.refresh.interval = max(l.refresh.interval, min(sip.ReadSeconds(m.Get("min-se")), longestSession))
			l.again()
		case m.Status == 491:
			l.again()
		default:
			// The peer is alive and does not want this request: another kind is next.
			l.allowsUpdate = l.allowsUpdate && method != "UPDATE"
			l.refresh.arm(l)
		}
	}
}

// moved tells the other side when the answer to a refresh describes other media than the
// peer had before, as another port: the other side would continue to send to the old one.
func (l *leg) moved(m *message) {
	o := l.other()
	if o == nil || o.ended || len(m.Body) == 0 || l.said == mediaSum(m.Body) {
		return
	}
	if l.said == 0 {
		l.said = mediaSum(m.Body) // the answer was that of a provisional response
		return
	}
	if o.invite != nil || o.serving != nil || l.relaying || o.relaying {
		l.again() // its answer will say the same
		return
	}
	l.relaying = true
	l.between(isOffer, m, func(body []byte, err error) {
		l.relaying = false
		if err != nil || l.ended || o.ended || o.invite != nil || o.serving != nil {
			return
		}
		extra := o.contactLine() + sip.LineAllow + lineSupported + o.refresh.requestLine()
		o.invite = o.send("INVITE", extra, body, m.ContentType(), func(answer *message) {
			o.invite = nil
			o.followed(answer, body, m.ContentType())
		})
	})
}

// followed takes the peer's answer to what the other side's media have become.
func (l *leg) followed(answer *message, offer []byte, contentType string) {
	switch {
	case l.ended:
		return
	case answer == nil, answer.Status == 408, answer.Status == 481:
		l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
		return
	case answer.Status >= 300:
		l.s.offerRefused()
		return
	}
	l.acknowledge(answer.CSeq, "", nil, "")
	l.retarget(answer)
	l.refresh.begin(l, answer)
	l.keepOffer(offer, contentType)
	l.between(isAnswer, answer, func([]byte, error) {})
}

// mediaSum tells two descriptions of media apart. The line of the origin may change
// without another one.
func mediaSum(sdp []byte) uint64 {
	var sum maphash.Hash
	sum.SetSeed(mediaSeed)
	for line := range bytes.Lines(sdp) {
		if line = bytes.TrimRight(line, "\r\n"); !bytes.HasPrefix(line, []byte("o=")) {
			sum.Write(line)
			sum.WriteByte('\n')
		}
	}
	return sum.Sum64()
}

var mediaSeed = maphash.MakeSeed()

// probed takes the answer to OPTIONS within the dialog. Any answer but 481 shows
// that the peer is there; silence tells only of a peer that answered before.
func (l *leg) probed(m *message) {
	switch {
	case l.ended:
		return
	case m == nil && l.refresh.answered, m != nil && m.Status == 481:
		l.s.handle(call.HungUp{Cause: call.CauseLostPeer})
		return
	case m != nil:
		l.refresh.answered = true
	}
	l.refresh.arm(l)
}
