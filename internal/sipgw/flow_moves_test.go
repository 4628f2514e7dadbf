package sipgw

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/sip"
)

// move is something that an actor may do now.
type move struct {
	what   string
	weight int // how often, beside the others; a duty has no other reason to wait than chance
	duty   bool
	do     func()
}

// begin calls.
func (a *actor) begin() {
	f := a.f
	d := &talk{a: a, callID: a.word(), localTag: a.word(), remote: "<sip:+12125550123@127.0.0.4:5060>",
		target: "sip:+12125550123@127.0.0.4:5060"}
	d.local = "<sip:+13125550100@" + a.at.String() + ">;tag=" + d.localTag
	extra := "Allow: INVITE, ACK, BYE, CANCEL, PRACK, INFO" + f.oneOf(", UPDATE", "") + "\r\n"
	if f.chance(50) {
		extra += f.oneOf("Session-Expires: 120\r\n", "Session-Expires: 90;refresher=uas\r\n", "")
	}
	extra += f.oneOf("Supported: timer\r\n", "Supported: timer, 100rel\r\n", "Supported: 100rel\r\n")
	var body []byte
	if f.chance(80) {
		body = a.offer(d)
		extra += f.oneOf("", "", "", "Require: 100rel\r\n")
	}
	extra += f.oneOf("", "", "", "", "Expires: 20\r\n")
	r := a.ask(d, "INVITE", extra, body)
	r.offer = d.offered
	f.invite = r
}

// moves are all that the actor may do. At the end of a flow it does only what it must, and
// hangs up.
func (a *actor) moves(last bool) (list []move) {
	for _, r := range a.asked {
		if r.method == "INVITE" && r.final == nil && r.provisional && !r.cancelled && r.d.remoteTag == "" {
			weight := 1
			if last {
				weight = 50
			}
			list = append(list, move{"CANCEL", weight, last, func() {
				r.cancelled = true
				to := *r.d
				to.remote = r.to
				a.askAs(&to, "CANCEL", r.seq, r.branch, "", nil)
			}})
		}
	}
	for _, s := range a.served {
		if s.status == 0 && !s.forgotten(a) {
			if s.d == nil {
				list = append(list, a.answers(s, last)...)
			} else {
				list = append(list, a.responses(s)...)
			}
		}
	}
	for _, d := range a.dialogs {
		list = append(list, a.within(d, last)...)
	}
	return list
}

// forgotten says of an INVITE that the gateway no longer waits for the first word about it.
func (s *served) forgotten(a *actor) bool {
	silent := s.last == nil || bytes.HasPrefix(s.last, []byte("SIP/2.0 100"))
	return s.d == nil && silent && !s.cancelled && a.f.d.now.Sub(s.began) > 50*flowT1
}

// within are the moves in a dialog.
func (a *actor) within(d *talk, last bool) (list []move) {
	if m := d.due; m != nil {
		return []move{{"ACK", 30, true, func() {
			d.due = nil
			var body []byte
			if d.asking != 0 {
				body, _ = a.sdp(d.asking)
				d.asking, d.agreed = 0, true
			}
			d.ack, d.ackSeq = a.text(d, "ACK", m.CSeq, sip.MagicCookie+a.word(), "", body), m.CSeq
			a.transmit(d.ack)
		}}}
	}
	if d.over {
		return nil
	}
	if m := d.prack; m != nil {
		list = append(list, move{"PRACK", 20, true, func() { a.acknowledge(d, m) }})
	}
	free := d.offered == 0 && d.asking == 0
	if !d.confirmed {
		if a == a.f.caller && d.prack == nil && a.f.invite.final == nil {
			list = append(list, move{"early BYE", 1, false, func() { a.bye(d) }})
			if free && d.agreed && d.proven && !last {
				list = append(list, move{"early UPDATE", 8, false, func() { a.change(d, "UPDATE") }})
			}
		}
		return list
	}
	if d.final == nil {
		weight := 2
		if last {
			weight = 20
		}
		list = append(list, move{"BYE", weight, last, func() { a.bye(d) }})
	}
	if last || d.final != nil {
		return list
	}
	list = append(list, move{"INFO", 2, false, func() { a.ask(d, "INFO", "", nil) }},
		move{"OPTIONS", 1, false, func() { a.ask(d, "OPTIONS", "", nil) }},
		move{"UPDATE to refresh", 2, false, func() { a.ask(d, "UPDATE", "Supported: timer\r\n", nil) }})
	if free && !a.inviting(d, nil) {
		list = append(list, move{"UPDATE", 3, false, func() { a.change(d, "UPDATE") }},
			move{"re-INVITE", 5, false, func() { a.change(d, "INVITE") }},
			move{"re-INVITE without offer", 3, false, func() { a.ask(d, "INVITE", "Supported: timer\r\n", nil) }})
	}
	return list
}

func (a *actor) bye(d *talk) {
	a.ask(d, "BYE", "", nil)
	d.over, d.final, d.reliable, d.prack = true, nil, nil, nil
}

// change offers other media.
func (a *actor) change(d *talk, method string) {
	body := a.offer(d)
	number := d.offered
	a.ask(d, method, "Supported: timer\r\n", body).offer = number
}

// acknowledge sends the PRACK of a reliable response, with the answer that it wants.
func (a *actor) acknowledge(d *talk, m *message) {
	d.prack, d.proven = nil, true
	var body []byte
	offer := 0
	switch {
	case d.asking != 0:
		body, _ = a.sdp(d.asking)
		d.asking, d.agreed = 0, true
	case d.agreed && d.offered == 0 && a.f.chance(15):
		body = a.offer(d)
		offer = d.offered
	}
	a.ask(d, "PRACK", fmt.Sprintf("RAck: %d %d INVITE\r\n", m.RSeq(), m.CSeq), body).offer = offer
}

// responses are the answers to a request within a dialog.
func (a *actor) responses(s *served) (list []move) {
	d, method := s.d, s.req.Method
	refuse := func(status int) {
		if method != "INFO" && method != "OPTIONS" {
			d.asking = 0
		}
		a.reply(s, status, "", "", nil)
	}
	if method == "INVITE" && (d.over || s.cancelled) {
		list = append(list, move{"487", 20, true, func() { refuse(487) }})
	}
	if d.over {
		if method != "INVITE" {
			list = append(list, move{"481", 20, true, func() { refuse(481) }})
		}
		return list
	}
	status := []int{488, 500}
	if method == "INFO" || method == "OPTIONS" {
		status = []int{415, 500}
	}
	list = append(list, move{"a refusal", 2, false, func() { refuse(status[a.f.rnd.IntN(2)]) }},
		move{"200 to " + method, 20, true, func() { a.agree(s) }})
	if method == "INVITE" && s.last == nil {
		list = append(list, move{"100", 5, false, func() { a.reply(s, 100, "", "", nil) }})
	}
	return list
}

// agree answers 200 within a dialog.
func (a *actor) agree(s *served) {
	d := s.d
	var body []byte
	switch {
	case s.req.Method != "INVITE" && s.req.Method != "UPDATE":
	case d.asking != 0:
		body, _ = a.sdp(d.asking)
		d.asking = 0
	case s.req.Method == "INVITE":
		body = a.offer(d)
	}
	extra := ""
	if strings.Contains(s.req.Get("supported"), "timer") && s.req.Get("session-expires") != "" {
		extra = "Session-Expires: " + strings.Split(s.req.Get("session-expires"), ";")[0] +
			a.f.oneOf(";refresher=uac\r\nRequire: timer\r\n", ";refresher=uas\r\n")
	}
	data := a.reply(s, 200, "", extra, body)
	if s.req.Method == "INVITE" {
		d.final = a.f.sent(data, s.req.CSeq)
	}
}

// answers are those of a carrier to the INVITE of a call.
func (a *actor) answers(s *served, last bool) (list []move) {
	f := a.f
	refuse := func(status int, extra string) func() {
		return func() {
			for _, d := range s.forks {
				d.over, d.reliable = true, nil
			}
			a.reply(s, status, a.word(), extra, nil)
		}
	}
	if s.cancelled {
		list = append(list, move{"487", 40, true, refuse(487, "")})
	} else if last {
		list = append(list, move{"480", 10, false, refuse(480, "")})
	}
	if s.last == nil {
		list = append(list, move{"100", 4, false, func() { a.reply(s, 100, "", "", nil) }})
	}
	if !last {
		list = append(list, move{"180", 6, false, func() { a.progress(s, 180) }},
			move{"183", 6, false, func() { a.progress(s, 183) }},
			move{"a refusal", 1, false, refuse([]int{302, 404, 408, 480, 486, 488, 500, 503, 603}[f.rnd.IntN(9)],
				f.oneOf("", "Retry-After: 10\r\n"))})
		if s.req.Get("authorization") == "" && s.req.Get("proxy-authorization") == "" {
			list = append(list, move{"a challenge", 2, false, refuse(f.pick(401, 407), "WWW-Authenticate: "+
				`Digest realm="r", nonce="n1", algorithm=MD5`+"\r\nProxy-Authenticate: "+
				`Digest realm="p", nonce="n2", algorithm=MD5`+"\r\n")})
		}
		list = append(list, move{"422", 1, false, refuse(422, "Min-SE: 300\r\n")})
	}
	return append(list, move{"200", 6, false, func() { a.answer(s) }})
}

// branch chooses one of the dialogs of a forked INVITE, or makes one.
func (a *actor) branch(s *served) *talk {
	if n := len(s.forks); n > 0 && (n >= 3 || a.f.chance(70)) {
		return s.forks[a.f.rnd.IntN(n)]
	}
	d := &talk{a: a, callID: s.req.CallID, localTag: a.word(), remote: s.req.From, remoteTag: s.req.FromTag,
		target: s.req.Contact(), cseq: 100}
	d.local = s.req.To + ";tag=" + d.localTag
	d.asking, _ = originOf(s.req.Body)
	s.forks = append(s.forks, d)
	a.dialogs = append(a.dialogs, d)
	return d
}

// progress sends a provisional response, by chance reliably and with media.
func (a *actor) progress(s *served, status int) {
	d := a.branch(s)
	if d.reliable != nil || d.over {
		return
	}
	reliably := strings.Contains(s.req.Get("supported"), "100rel") && a.f.chance(60)
	var body []byte
	switch {
	case d.settled:
	case d.answer != nil:
		body = d.answer
	case d.asking != 0 && a.f.chance(60):
		body, _ = a.sdp(d.asking)
		d.answer = body
	case d.asking == 0 && reliably && d.offered == 0:
		body = a.offer(d) // the first reliable response to an INVITE without an offer has one
		d.settled = true
	}
	extra := ""
	if reliably {
		if d.answer != nil && !d.settled {
			d.settled, d.asking, d.agreed = true, 0, true
		}
		if d.mine++; d.mine == 1 {
			d.mine = uint32(1 + a.f.rnd.IntN(1000))
		}
		extra = fmt.Sprintf("Require: 100rel\r\nRSeq: %d\r\n", d.mine)
	}
	data := a.reply(s, status, d.localTag, extra, body)
	if reliably {
		d.reliable = a.f.sent(data, s.req.CSeq)
	}
}

// answer takes the call.
func (a *actor) answer(s *served) {
	d := a.branch(s)
	if d.reliable != nil || d.over {
		return
	}
	var body []byte
	switch {
	case d.settled:
	case d.answer != nil:
		body, d.asking = d.answer, 0
	case d.asking != 0:
		body, _ = a.sdp(d.asking)
		d.asking = 0
	default:
		body = a.offer(d)
	}
	extra := a.f.oneOf("", "Session-Expires: 120;refresher=uas\r\n", "Session-Expires: 180;refresher=uac\r\n")
	d.confirmed = true
	for _, other := range s.forks {
		other.reliable = nil
		other.over = other != d
	}
	d.final = a.f.sent(a.reply(s, 200, d.localTag, extra, body), s.req.CSeq)
	if a.f.chance(10) { // a proxy on the way has let another branch answer too
		other := *d
		other.localTag = a.word()
		other.local = s.req.To + ";tag=" + other.localTag
		a.dialogs = append(a.dialogs, &other)
		if body == nil {
			number, _ := originOf(s.req.Body)
			if body, _ = a.sdp(number); number == 0 {
				other.offered, _ = originOf(body)
			}
		}
		other.final = a.f.sent(a.reply(s, 200, other.localTag, "", body), s.req.CSeq)
	}
}
