package sipgw

import (
	"bytes"
	"net/netip"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// flowModel is what the messages to and from the gateway mean for the call, by the RFCs and
// by nothing that the gateway knows.
type flowModel struct {
	f        *flow
	requests map[string]*flowRequest // of the gateway, by method and branch
	finals   map[string]int          // of the gateway, by the branch and method of the request
	seqs     map[string]uint32       // the last of the gateway, by dialog
	ended    map[string]bool         // dialogs in which a BYE went either way
	calls    []string                // Call-IDs of the gateway, in the order of its attempts
	given    map[string]bool         // up: it was cancelled or refused
	refused  int                     // the final status that the caller got
	winner   string                  // the carrier's dialog that made the call
	answered time.Time
	hungUp   time.Time
}

type flowRequest struct {
	m           *message
	to          netip.AddrPort
	provisional bool
	final       int
}

func (w *flowModel) init(f *flow) {
	*w = flowModel{f: f, requests: map[string]*flowRequest{}, finals: map[string]int{}, seqs: map[string]uint32{},
		ended: map[string]bool{}, given: map[string]bool{}}
}

// sent judges what the gateway sends.
func (w *flowModel) sent(to netip.AddrPort, data []byte) {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	for _, a := range w.f.actors() {
		if a.at != to && bytes.Contains(head, []byte(a.name)) {
			w.f.fail("%s sees of %s: %q", w.f.nameOf(to), a.name, head)
		}
	}
	m := transaction.Read(data, transport.Peer{Addr: to})
	if m == nil {
		w.f.fail("the gateway sends %q", data)
		return
	}
	if m.Request {
		w.sentRequest(to, m)
		return
	}
	if rseq := m.RSeq(); rseq != 0 {
		dialog := "rseq " + m.CallID + " " + m.ToTag
		if last := w.seqs[dialog]; last != 0 && rseq != last && rseq != last+1 {
			w.f.fail("RSeq %d after %d", rseq, last)
		}
		w.seqs[dialog] = rseq
	}
	key := m.Method + m.Via.Branch
	if before := w.finals[key]; before != 0 && before != m.Status {
		w.f.fail("%d after %d to %s", m.Status, before, m.Method)
	}
	if m.Status >= 200 {
		w.finals[key] = m.Status
		if r := w.f.invite; r != nil && m.Method == "INVITE" && m.Via.Branch == r.branch && m.Status >= 300 {
			w.refused = m.Status
		}
	}
}

func (w *flowModel) sentRequest(to netip.AddrPort, m *message) {
	key := m.Method + m.Via.Branch
	if w.requests[key] != nil {
		return // repeated
	}
	w.requests[key] = &flowRequest{m: m, to: to}
	dialog := m.CallID + " " + m.ToTag
	switch m.Method {
	case "CANCEL":
		invite := w.requests["INVITE"+m.Via.Branch]
		if invite == nil || !invite.provisional || invite.final != 0 {
			w.f.fail("CANCEL of %+v", invite)
		}
		w.given[m.CallID] = m.ToTag == ""
		return
	case "ACK":
		return
	}
	if w.ended[dialog] && m.ToTag != "" {
		w.f.fail("%s in the ended dialog %s", m.Method, dialog)
	}
	if last := max(w.seqs[dialog], w.seqs[m.CallID+" "]); m.CSeq <= last {
		w.f.fail("%s with CSeq %d after %d", m.Method, m.CSeq, last)
	}
	w.seqs[dialog] = m.CSeq
	switch {
	case m.Method == "BYE":
		w.ended[dialog] = true
		w.endsAt(dialog)
	case m.Method == "INVITE" && m.ToTag == "":
		if n := len(w.calls); n == 0 || w.calls[n-1] != m.CallID {
			w.calls = append(w.calls, m.CallID)
		}
	case m.Method == "INVITE":
		for _, r := range w.requests {
			if r.m != m && r.m.Method == "INVITE" && r.m.CallID == m.CallID && r.m.ToTag == m.ToTag && r.final == 0 {
				w.f.fail("INVITE %d while %d has no answer", m.CSeq, r.m.CSeq)
			}
		}
	}
}

// endsAt notes that the call has ended now.
func (w *flowModel) endsAt(dialog string) {
	ours := strings.HasPrefix(dialog, w.f.invite.d.callID+" ") || dialog == w.winner
	if ours && !w.answered.IsZero() && w.hungUp.IsZero() {
		w.hungUp = w.f.d.now
	}
}

// arrives notes what the gateway is about to see.
func (w *flowModel) arrives(from netip.AddrPort, data []byte) {
	m := transaction.Read(data, transport.Peer{Addr: from})
	if m == nil || m.Request {
		return
	}
	r := w.requests[m.Method+m.Via.Branch]
	if r == nil {
		return
	}
	if m.Status < 200 {
		r.provisional = true
		return
	}
	if m.Method == "INVITE" && r.m.ToTag == "" && m.Status < 300 && w.answered.IsZero() && w.refused == 0 &&
		r.final == 0 && w.calls[len(w.calls)-1] == m.CallID && !w.given[m.CallID] {
		w.winner, w.answered = m.CallID+" "+m.ToTag, w.f.d.now
	}
	if r.final == 0 {
		r.final = m.Status
	}
}

// arrived notes what the gateway has made of it.
func (w *flowModel) arrived(from netip.AddrPort, data []byte) {
	m := transaction.Read(data, transport.Peer{Addr: from})
	if m != nil && m.Request && m.Method == "BYE" && w.finals["BYE"+m.Via.Branch] == 200 {
		dialog := m.CallID + " " + m.FromTag
		w.ended[dialog] = true
		w.endsAt(dialog)
	}
}

// over judges what is left when nothing more happens.
func (w *flowModel) over() {
	f := w.f
	for _, a := range f.actors() {
		for _, r := range a.asked {
			if r.final == nil {
				f.fail("%s got no final response to %s %d", a.name, r.method, r.seq)
			}
		}
		for _, d := range a.dialogs {
			if d.confirmed && !d.over {
				f.fail("%s is still in the dialog %s %s", a.name, d.callID, d.remoteTag)
			}
			if d.final != nil {
				f.fail("%s got no ACK", a.name)
			}
		}
	}
	sh := f.d.srv.shards[0]
	if len(sh.calls)+len(sh.legs)+len(sh.early)+sh.transactions.Servers()+sh.timers.Len() != 0 {
		f.fail("left: %d calls, %d legs, %d early dialogs, %d transactions, %d timers", len(sh.calls), len(sh.legs),
			len(sh.early), sh.transactions.Servers(), sh.timers.Len())
	}
	f.d.state.Leases(func(l *admission.Lease) bool { f.fail("a lease is held: %+v", l); return true })
	if n := f.d.srv.Stats().Panics; n != 0 {
		f.fail("%d panics: %s", n, strings.ReplaceAll(f.log.String(), `\n`, "\n"))
	}
	if len(f.d.records) != 1 {
		f.fail("%d records", len(f.d.records))
		return
	}
	w.judge(f.d.records[0])
}

// judge holds the record against what the model saw.
func (w *flowModel) judge(r *record.Call) {
	f := w.f
	if w.answered.IsZero() {
		if r.Outcome == record.OutcomeAnswered || int(r.SIPStatus) != w.refused || r.BilledSecs != 0 {
			f.fail("the caller was refused with %d, the record says %v, %d, %d s", w.refused, r.Outcome, r.SIPStatus,
				r.BilledSecs)
		}
		return
	}
	lasted := w.hungUp.Sub(w.answered)
	seconds := int64((lasted + time.Second - 1) / time.Second)
	if r.Outcome != record.OutcomeAnswered || r.AnsweredMicros != w.answered.UnixMicro() ||
		r.EndedMicros != w.hungUp.UnixMicro() || r.BilledSecs != max(1, seconds) {
		f.fail("answered at %v for %v; the record says %v, %v for %d µs, %d s", w.answered, lasted, r.Outcome,
			time.UnixMicro(r.AnsweredMicros), r.DurationMicros, r.BilledSecs)
	}
}
