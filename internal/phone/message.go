package phone

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// methods is what both the phone and the carrier take within a dialog.
const methods = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE"

// uri is the URI of a user at an address. '#' is the only byte of what validUser lets
// through that needs escaping (RFC 3261 section 25.1).
func uri(user string, at netip.AddrPort) sip.Uri {
	return sip.Uri{
		Scheme: "sip", User: strings.ReplaceAll(user, "#", "%23"), Host: at.Addr().String(), Port: int(at.Port()),
	}
}

// target is where the requests of a dialog go: to the other side's Contact.
func target(m sip.Message, otherwise sip.Uri) sip.Uri {
	if contacts := m.GetHeaders("Contact"); len(contacts) > 0 {
		if c, ok := contacts[0].(*sip.ContactHeader); ok && !c.Address.Wildcard {
			return *c.Address.Clone()
		}
	}
	return otherwise
}

// allow is the Allow header of both the phone and the carrier.
func allow() sip.Header { return sip.NewHeader("Allow", methods) }

// accepted is the 2xx to an INVITE, or to an UPDATE, which has a body only if that has.
func accepted(req *sip.Request, status int, phrase string, contact sip.Uri, description string) *sip.Response {
	res := sip.NewResponseFromRequest(req, status, phrase, nil)
	if secs, ok := sessionTimer(req); ok {
		res.AppendHeader(sip.NewHeader("Require", "timer"))
		res.AppendHeader(sip.NewHeader("Session-Expires", fmt.Sprintf("%d;refresher=uac", secs)))
	}
	res.AppendHeader(&sip.ContactHeader{Address: contact})
	res.AppendHeader(allow())
	if req.IsInvite() || len(req.Body()) > 0 {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody([]byte(description))
	}
	return res
}

// refuse answers a request that neither the phone nor the carrier takes within a
// dialog, or anywhere, and reports whether it did.
func refuse(req *sip.Request, tx *sip.ServerTx) bool {
	switch unknown := unsupported(req); {
	case len(unknown) > 0:
		reply(req, tx, 420, "Bad Extension", sip.NewHeader("Unsupported", strings.Join(unknown, ", ")))
	case req.Method == sip.OPTIONS:
		reply(req, tx, 200, "OK", allow())
	case req.Method != sip.INVITE && req.Method != sip.UPDATE && req.Method != sip.BYE:
		reply(req, tx, 501, "Not Implemented", allow())
	default:
		return false
	}
	return true
}

// headerValue is the value of the first header of that name, "" if there is none.
func headerValue(m sip.Message, name string) string {
	if hs := m.GetHeaders(name); len(hs) > 0 {
		return strings.TrimSpace(hs[0].Value())
	}
	return ""
}

// tokens are the values of all headers of a name that lists tokens, such as Require.
func tokens(m sip.Message, name string) []string {
	var all []string
	for _, h := range m.GetHeaders(name) {
		for value := range strings.SplitSeq(h.Value(), ",") {
			if value = strings.TrimSpace(value); value != "" {
				all = append(all, value)
			}
		}
	}
	return all
}

func isTimer(token string) bool { return strings.EqualFold(token, "timer") }

// unsupported lists the extensions that a request requires and that are not
// understood here; the answer to it is 420.
func unsupported(req *sip.Request) []string {
	return slices.DeleteFunc(tokens(req, "Require"), isTimer)
}

// sessionTimer is that of a request, with its sender as the one who refreshes. There
// is none when the sender wants this side to refresh, which it may do without
// (RFC 4028 section 9).
func sessionTimer(req *sip.Request) (secs uint64, ok bool) {
	value, params, _ := strings.Cut(headerValue(req, "Session-Expires"), ";")
	secs, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
	return secs, err == nil && !strings.Contains(strings.ToLower(params), "refresher=uas") &&
		slices.ContainsFunc(append(tokens(req, "Supported"), tokens(req, "Require")...), isTimer)
}

// tagOf is the tag of a From or To header.
func tagOf(params sip.HeaderParams) string {
	tag, _ := params.Get("tag")
	return tag
}

func branchOf(m sip.Message) string {
	branch, _ := m.Via().Params.Get("branch")
	return branch
}

// explaining are the headers that a transcript keeps.
var explaining = [...]string{
	"Reason", "X-Tollgate-Decision", "X-Tollgate-Reason", "Retry-After", "Session-Expires", "Unsupported", "Warning",
}

// entryOf is a message as a transcript shows it.
func entryOf(m sip.Message) Entry {
	var e Entry
	switch m := m.(type) {
	case *sip.Request:
		e.Line = kept(m.StartLine())
	case *sip.Response:
		e.Line = kept(m.StartLine() + " (" + string(m.CSeq().MethodName) + ")")
	}
	for _, name := range explaining {
		for _, h := range m.GetHeaders(name) {
			e.Headers = append(e.Headers, kept(h.Name()+": "+h.Value()))
		}
	}
	return e
}

// kept makes text from the network fit to be shown on a terminal.
func kept(s string) string {
	if len(s) > maxKeptLineBytes {
		s = s[:maxKeptLineBytes] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}
