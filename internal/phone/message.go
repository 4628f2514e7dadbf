package phone

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// methods is what both the phone and the carrier take within a dialog.
const methods = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE"

// dialog is one side's view of a dialog (RFC 3261 section 12).
type dialog struct {
	callID              string
	local, remote       string // URIs of the two ends
	localTag, remoteTag string
	target              string   // where requests go: the other side's Contact
	routes              []string // Route values, in order
	cseq                uint32   // of the last request sent
	contact             string   // this side's own URI
	via                 netip.AddrPort
	peer                netip.AddrPort // where the other side was last heard
}

// request writes a request within the dialog, or the one that begins it. lines
// are further header lines without their line ends.
func (d *dialog) request(method string, cseq uint32, branch string, lines []string, body string) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("%s %s SIP/2.0", method, d.target)
	line("Via: SIP/2.0/UDP %s;branch=%s;rport", d.via, branch)
	line("Max-Forwards: 70")
	for _, route := range d.routes {
		line("Route: %s", route)
	}
	line("From: <%s>;tag=%s", d.local, d.localTag)
	if d.remoteTag == "" {
		line("To: <%s>", d.remote)
	} else {
		line("To: <%s>;tag=%s", d.remote, d.remoteTag)
	}
	line("Call-ID: %s", d.callID)
	line("CSeq: %d %s", cseq, method)
	if method == "INVITE" {
		line("Contact: <%s>", d.contact)
		line("Allow: %s", methods)
	}
	for _, extra := range lines {
		line("%s", extra)
	}
	if body != "" {
		line("Content-Type: application/sdp")
	}
	line("Content-Length: %d", len(body))
	line("")
	b.WriteString(body)
	return []byte(b.String())
}

// hop is where requests of the dialog are sent: to its first route or its target
// where that is an address, else to where the other side was last heard.
func (d *dialog) hop() netip.AddrPort {
	next := d.target
	if len(d.routes) > 0 {
		next = d.routes[0]
	}
	if i := strings.IndexByte(next, '<'); i >= 0 {
		next = next[i+1:]
	}
	if i := strings.IndexByte(next, '>'); i >= 0 {
		next = next[:i]
	}
	var uri sip.Uri
	if err := sip.ParseUri(next, &uri); err != nil {
		return d.peer
	}
	ip, err := netip.ParseAddr(strings.Trim(uri.Host, "[]"))
	if err != nil {
		return d.peer
	}
	port := uri.Port
	if port <= 0 || port > 65535 {
		port = 5060
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port))
}

// learn takes the other side's tag, Contact and, in reverse for the side that
// called, its Record-Route (RFC 3261 section 12.1).
func (d *dialog) learn(m sip.Message, remoteTag string, reverse bool) {
	d.remoteTag = remoteTag
	d.retarget(m)
	d.routes = nil
	for _, h := range m.GetHeaders("Record-Route") {
		for value := range splitList(h.Value()) {
			d.routes = append(d.routes, value)
		}
	}
	if reverse {
		for i, j := 0, len(d.routes)-1; i < j; i, j = i+1, j-1 {
			d.routes[i], d.routes[j] = d.routes[j], d.routes[i]
		}
	}
}

// retarget takes the other side's Contact, if the message has one.
func (d *dialog) retarget(m sip.Message) {
	if contacts := m.GetHeaders("Contact"); len(contacts) > 0 {
		if c, ok := contacts[0].(*sip.ContactHeader); ok && !c.Address.Wildcard {
			d.target = c.Address.String()
		}
	}
}

// splitList yields the values of a comma-separated header, whose commas within
// angle brackets and quotes do not count.
func splitList(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, depth, quoted := 0, 0, false
		for i := range len(s) {
			switch c := s[i]; {
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '<':
				depth++
			case c == '>':
				depth--
			case c == ',' && depth == 0:
				if !yield(strings.TrimSpace(s[start:i])) {
					return
				}
				start = i + 1
			}
		}
		if last := strings.TrimSpace(s[start:]); last != "" {
			yield(last)
		}
	}
}

// respond writes the answer to a request. tag is the local tag, which is put into
// To where the request has none.
func respond(req *sip.Request, status int, phrase, tag string, lines []string, body string) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("SIP/2.0 %d %s", status, phrase)
	for i, h := range req.GetHeaders("Via") {
		value := h.Value()
		if via, ok := h.(*sip.ViaHeader); ok && i == 0 {
			value = reachedVia(via, req.Source())
		}
		line("Via: %s", value)
	}
	if status > 100 && status < 300 {
		for _, h := range req.GetHeaders("Record-Route") {
			line("Record-Route: %s", h.Value())
		}
	}
	line("From: %s", req.From().Value())
	to := req.To().Value()
	if _, has := req.To().Params.Get("tag"); !has && status > 100 {
		to += ";tag=" + tag
	}
	line("To: %s", to)
	line("Call-ID: %s", req.CallID().Value())
	line("CSeq: %s", req.CSeq().Value())
	for _, extra := range lines {
		line("%s", extra)
	}
	if body != "" {
		line("Content-Type: application/sdp")
	}
	line("Content-Length: %d", len(body))
	line("")
	b.WriteString(body)
	return []byte(b.String())
}

// reachedVia fills in received and rport (RFC 3581 section 4).
func reachedVia(via *sip.ViaHeader, source string) string {
	host, port, err := net.SplitHostPort(source)
	rport, asked := via.Params.Get("rport")
	if err != nil || !asked || rport != "" {
		return via.Value()
	}
	filled := *via
	filled.Params = via.Params.Clone()
	filled.Params.Add("rport", port)
	filled.Params.Add("received", host)
	return filled.Value()
}

// headerValue is the value of the first header of that name, "" if there is none.
func headerValue(m sip.Message, name string) string {
	if hs := m.GetHeaders(name); len(hs) > 0 {
		return strings.TrimSpace(hs[0].Value())
	}
	return ""
}

// lists says whether a header of tokens, such as Require, holds one.
func lists(m sip.Message, name, token string) bool {
	for _, h := range m.GetHeaders(name) {
		for value := range splitList(h.Value()) {
			if strings.EqualFold(value, token) {
				return true
			}
		}
	}
	return false
}

// unsupported lists the extensions that a request requires and that are not
// understood here; the answer to it is 420.
func unsupported(req *sip.Request) []string {
	var unknown []string
	for _, h := range req.GetHeaders("Require") {
		for value := range splitList(h.Value()) {
			if !strings.EqualFold(value, "timer") {
				unknown = append(unknown, value)
			}
		}
	}
	return unknown
}

// sessionLines are the lines of an answer that accepts the session timer of a
// request, with its sender as the one who refreshes. There are none when the
// sender has no timer or wants this side to refresh, which it may do without
// (RFC 4028 section 9).
func sessionLines(req *sip.Request) []string {
	value := headerValue(req, "Session-Expires")
	secsText, params, _ := strings.Cut(value, ";")
	secs, err := strconv.ParseUint(strings.TrimSpace(secsText), 10, 32)
	if err != nil || strings.Contains(strings.ToLower(params), "refresher=uas") ||
		!(lists(req, "Supported", "timer") || lists(req, "Require", "timer")) {
		return nil
	}
	return []string{"Require: timer", fmt.Sprintf("Session-Expires: %d;refresher=uac", secs)}
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

// newBranch begins with the cookie of RFC 3261 section 8.1.1.7.
func newBranch() string { return "z9hG4bK" + rand.Text() }

// escapeUser writes the user part of a SIP URI, in which only '#' of what
// validUser lets through needs escaping (RFC 3261 section 25.1).
func escapeUser(user string) string { return strings.ReplaceAll(user, "#", "%23") }

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
