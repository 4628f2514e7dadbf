package phone

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// serve answers a request of the other side within the call.
func (a *agent) serve(req *sip.Request, from netip.AddrPort, now time.Time) {
	if req.IsAck() {
		a.repeats.stop(finalName(req))
		return
	}
	key := branchOf(req) + " " + string(req.Method)
	if raw, repeated := a.answers[key]; repeated {
		a.write(raw, from, true, now)
		return
	}
	inCall := req.CallID().Value() == a.callID && tagOf(req.To().Params) == a.localTag &&
		tagOf(req.From().Params) == a.remoteTag && a.remoteTag != ""
	switch {
	case !inCall && req.Method == sip.OPTIONS && tagOf(req.To().Params) == "":
		a.answer(key, req, from, 200, "OK", []string{"Allow: " + methods}, "", now)
	case !inCall || a.phase == finished || req.IsCancel():
		a.answer(key, req, from, 481, "Call/Transaction Does Not Exist", nil, "", now)
	case len(unsupported(req)) > 0:
		lines := []string{"Unsupported: " + strings.Join(unsupported(req), ", ")}
		a.answer(key, req, from, 420, "Bad Extension", lines, "", now)
	default:
		a.serveInCall(key, req, from, now)
	}
}

func (a *agent) serveInCall(key string, req *sip.Request, from netip.AddrPort, now time.Time) {
	switch req.Method {
	case sip.BYE:
		a.answer(key, req, from, 200, "OK", nil, "", now)
		if a.phase == talking {
			a.ended(SideCallee, headerValue(req, "Reason"), now)
		}
		a.finish(now)
	case sip.INVITE, sip.UPDATE:
		a.refresh(key, req, from, now)
	case sip.OPTIONS:
		a.answer(key, req, from, 200, "OK", []string{"Allow: " + methods}, "", now)
	default:
		a.answer(key, req, from, 501, "Not Implemented", []string{"Allow: " + methods}, "", now)
	}
}

// refresh takes a re-INVITE or an UPDATE: a new description, a new target, or the
// session timer only.
func (a *agent) refresh(key string, req *sip.Request, from netip.AddrPort, now time.Time) {
	a.retarget(req)
	a.sound.start(req.Body())
	lines, body := sessionLines(req), ""
	lines = append(lines, fmt.Sprintf("Contact: <%s>", a.contact))
	if req.IsInvite() || len(req.Body()) > 0 {
		body = a.description()
	}
	raw := a.answer(key, req, from, 200, "OK", lines, body, now)
	if req.IsInvite() {
		a.repeats.put(finalName(req), raw, from, true, a.o.T1, now)
	}
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	a.call.outcome.Refreshes++
}

// finalName is how the answer to an INVITE, which waits for its ACK, is known.
func finalName(req *sip.Request) string { return fmt.Sprint(repeatFinal, req.CSeq().SeqNo) }

func (a *agent) answer(key string, req *sip.Request, to netip.AddrPort, status int, phrase string, lines []string,
	body string, now time.Time) []byte {
	raw := respond(req, status, phrase, a.localTag, lines, body)
	if len(a.answers) >= maxAnswers {
		clear(a.answers) // a peer this busy repeats nothing that old
	}
	a.answers[key] = raw
	a.write(raw, to, false, now)
	return raw
}
