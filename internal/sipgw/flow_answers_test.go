package sipgw

import (
	"bytes"
	"strings"
)

// takeResponse takes a response to a request of the actor's.
func (a *actor) takeResponse(m *message) {
	for _, r := range a.asked {
		if r.branch != m.Via.Branch || r.method != m.Method {
			continue
		}
		if m.CSeq != r.seq || m.CallID != r.d.callID || m.FromTag != r.d.localTag {
			a.f.fail("%s: %d to %s has CSeq %d, Call-ID %s, tag %s", a.name, m.Status, r.method, m.CSeq, m.CallID, m.FromTag)
		}
		switch {
		case m.Status < 200:
			a.takeProvisional(r, m)
		case r.final != nil:
			a.takeRepeated(r, m)
		default:
			r.final = m
			a.takeFinal(r, m)
		}
		return
	}
	a.f.fail("%s got %d to a %s that it did not send", a.name, m.Status, m.Method)
}

func (a *actor) takeRepeated(r *asked, m *message) {
	if r.final.Status != m.Status || r.final.ToTag != m.ToTag || !bytes.Equal(r.final.Body, m.Body) {
		a.f.fail("%s got %d and %d to one %s", a.name, r.final.Status, m.Status, r.method)
	}
	if r.ack != nil {
		a.transmit(r.ack)
	} else if d := a.dialog(m, m.FromTag, m.ToTag); d != nil && d.ack != nil && d.ackSeq == m.CSeq {
		a.transmit(d.ack)
	}
}

// fork finds the dialog of a response to the INVITE of a call, or makes it.
func (a *actor) fork(r *asked, m *message) *talk {
	if r.d.remoteTag != "" {
		return r.d
	}
	if d := a.dialog(m, m.FromTag, m.ToTag); d != nil {
		d.target = m.Contact()
		return d
	}
	d := &talk{a: a, callID: r.d.callID, local: r.d.local, remote: m.To, target: m.Contact(), localTag: r.d.localTag,
		remoteTag: m.ToTag, cseq: r.seq, offered: r.offer}
	a.dialogs = append(a.dialogs, d)
	return d
}

func (a *actor) takeProvisional(r *asked, m *message) {
	r.provisional = true
	if r.final != nil || m.Status == 100 || r.method != "INVITE" || m.ToTag == "" {
		return
	}
	d := a.fork(r, m)
	rseq := m.RSeq()
	if rseq == 0 {
		if len(m.Body) > 0 && r.offer != 0 && !d.agreed {
			if _, answers := originOf(m.Body); answers != r.offer {
				a.f.fail("%s offered %d and got %d with the answer to %d", a.name, r.offer, m.Status, answers)
			}
		}
		return
	}
	if d.rseq != 0 && rseq != d.rseq+1 || d.prack != nil {
		return // repeated, or out of order
	}
	d.rseq, d.prack = rseq, m
	if _, answers := originOf(m.Body); d.agreed && r.offer != 0 && answers == r.offer {
		return // the answer again
	}
	a.takeBody(d, m.Body, r.offer != 0 && d.offered != 0)
}

func (a *actor) takeFinal(r *asked, m *message) {
	d := r.d
	if r.method == "INVITE" && m.Status >= 300 {
		d.offered = 0
		branch, _, _ := strings.Cut(r.branch, ";")
		to := *d
		to.remote = m.To
		r.ack = a.text(&to, "ACK", r.seq, branch, "", nil)
		a.transmit(r.ack)
		for _, fork := range a.dialogs {
			if fork.callID == d.callID && d.remoteTag == "" {
				fork.over = true
			}
		}
		return
	}
	switch {
	case r.method == "INVITE":
		a.takeAnswer(r, m)
	case r.offer != 0 && m.Status < 300:
		a.takeBody(d, m.Body, true)
		if d.offered != 0 && len(m.Body) == 0 {
			a.f.fail("%s got no answer to its offer in 2xx to %s", a.name, r.method)
		}
	case r.offer != 0:
		d.offered = 0
	}
	if m.Status == 481 && r.method != "CANCEL" && r.method != "PRACK" && !d.over {
		a.f.notes = append(a.f.notes, a.name+" has lost its dialog")
		d.over, d.final, d.reliable = true, nil, nil
	}
}

// takeAnswer takes a 2xx to an INVITE.
func (a *actor) takeAnswer(r *asked, m *message) {
	d := a.fork(r, m)
	for _, other := range a.dialogs {
		if other.callID == d.callID && other != d {
			other.over, other.prack = true, nil
		}
	}
	d.confirmed, d.due, d.prack = true, m, nil
	if r.d.remoteTag == "" && r.offer != 0 && d.agreed {
		if _, answers := originOf(m.Body); len(m.Body) > 0 && answers != r.offer {
			a.f.fail("%s offered %d and got %d with the answer to %d", a.name, r.offer, m.Status, answers)
		}
	} else if r.offer != 0 {
		if len(m.Body) == 0 {
			a.f.fail("%s got no answer to its offer %d in %d", a.name, r.offer, m.Status)
		}
		a.takeBody(d, m.Body, true)
	} else if r.offer == 0 && len(m.Body) > 0 {
		a.takeBody(d, m.Body, false)
	}
}
