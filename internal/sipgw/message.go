package sipgw

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// field is one header field. The name is the long one in lower case; the value is
// unfolded and holds no control characters.
type field struct{ name, value string }

// message is a valid message as the gateway works with it: text by text as it
// came, so that what must be copied is copied and not written anew.
type message struct {
	request bool
	method  string // of a response: that of its CSeq
	uri     string // of a request
	status  int    // of a response
	phrase  string // of a response

	fields  []field
	body    []byte
	via     via // the topmost
	from    string
	to      string
	fromTag string
	toTag   string
	callID  string
	cseq    uint32
	peer    peer // where it came from
}

// via is the topmost Via of a message.
type via struct {
	sentBy   string // host and port as they came
	branch   string
	port     uint16 // of sent-by, or 5060
	host     string
	hasRport bool
}

// longNames maps compact header names to long ones (RFC 3261 section 7.3.3 and
// the registry of header fields).
var longNames = map[string]string{
	"v": "via", "f": "from", "t": "to", "i": "call-id", "l": "content-length", "c": "content-type",
	"e": "content-encoding", "m": "contact", "k": "supported", "x": "session-expires", "s": "subject",
	"o": "event", "u": "allow-events", "r": "refer-to", "b": "referred-by",
}

// readMessage reads a message that validation has accepted. It returns nil when
// something it needs cannot be read after all.
func readMessage(raw []byte, from peer) *message {
	text := string(raw)
	head, body, found := strings.Cut(text, "\r\n\r\n")
	if !found {
		return nil
	}
	start, rest := cutLine(head)
	m := &message{peer: from, fields: make([]field, 0, 24)}
	if !m.readStart(start) {
		return nil
	}
	for rest != "" {
		var line string
		line, rest = cutLine(rest)
		name, value, found := strings.Cut(line, ":")
		if !found || len(m.fields) >= MaxHeaders {
			return nil
		}
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		if long := longNames[name]; long != "" {
			name = long
		}
		value, _ = unfold(value)
		m.fields = append(m.fields, field{name, value})
	}
	if !m.readCore() {
		return nil
	}
	if length, err := strconv.Atoi(m.get("content-length")); err == nil && length >= 0 && length < len(body) {
		body = body[:length]
	}
	if body != "" {
		m.body = []byte(body)
	}
	return m
}

func (m *message) readStart(line string) bool {
	first, rest, found := strings.Cut(line, " ")
	if !found {
		return false
	}
	if strings.EqualFold(first, "SIP/2.0") {
		code, phrase, _ := strings.Cut(rest, " ")
		status, err := strconv.Atoi(code)
		m.status, m.phrase = status, phrase
		return err == nil
	}
	m.request, m.method = true, first
	m.uri, _, found = strings.Cut(rest, " ")
	return found
}

// readCore reads the fields that every message has.
func (m *message) readCore() bool {
	m.from, m.to, m.callID = m.get("from"), m.get("to"), m.get("call-id")
	m.fromTag, m.toTag = tagOf(m.from), tagOf(m.to)
	number, method, _ := strings.Cut(m.get("cseq"), " ")
	cseq, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return false
	}
	m.cseq = uint32(cseq)
	if !m.request {
		m.method = trimSpace(method)
	}
	m.splitVias()
	return m.readTopVia() && m.callID != ""
}

// splitVias gives each Via value a field of its own, so that a response has them
// one by one.
func (m *message) splitVias() {
	several := false
	for i := range m.fields {
		if m.fields[i].name == "via" && strings.Contains(m.fields[i].value, ",") {
			several = true
		}
	}
	if !several {
		return
	}
	split := make([]field, 0, len(m.fields)+8)
	for _, f := range m.fields {
		if f.name != "via" {
			split = append(split, f)
			continue
		}
		for value := range values(f.value) {
			split = append(split, field{"via", value})
		}
	}
	m.fields = split
}

func (m *message) readTopVia() bool {
	value := m.get("via")
	sent, parameters := value, ""
	if i := strings.IndexByte(value, ';'); i >= 0 {
		sent, parameters = value[:i], value[i:]
	}
	slash := strings.LastIndexByte(sent, '/')
	if slash < 0 {
		return false
	}
	_, sentBy, found := strings.Cut(trimSpace(sent[slash+1:]), " ")
	if !found {
		return false
	}
	host, port, hasPort := cutPort(trimSpace(sentBy))
	m.via.host, m.via.port = trimSpace(host), 5060
	if hasPort {
		n, err := strconv.ParseUint(trimSpace(port), 10, 16)
		if err != nil {
			return false
		}
		m.via.port = uint16(n)
	}
	m.via.sentBy = trimSpace(sentBy)
	m.via.branch, _, _ = parameter(parameters, "branch")
	_, m.via.hasRport, _ = parameter(parameters, "rport")
	return true
}

// get is the value of the first field of that name, or "".
func (m *message) get(name string) string {
	for i := range m.fields {
		if m.fields[i].name == name {
			return m.fields[i].value
		}
	}
	return ""
}

// all lists every value of a field that may have several, in order.
func (m *message) all(name string) []string {
	var found []string
	for i := range m.fields {
		if m.fields[i].name != name {
			continue
		}
		for value := range values(m.fields[i].value) {
			found = append(found, value)
		}
	}
	return found
}

// lists says whether a field of option tags or methods names one of them.
func (m *message) lists(name, token string) bool {
	for i := range m.fields {
		if m.fields[i].name != name {
			continue
		}
		for value := range strings.SplitSeq(m.fields[i].value, ",") {
			if strings.EqualFold(trimSpace(value), token) {
				return true
			}
		}
	}
	return false
}

// values splits a field at its commas.
func values(list string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for more := true; more; {
			var value string
			var ok bool
			value, list, more, ok = cutValue(list, ',')
			if !ok || (value != "" && !yield(value)) {
				return
			}
		}
	}
}

// tagOf is the tag of a From or To value.
func tagOf(value string) string {
	address, ok := readAddress(value)
	if !ok {
		return ""
	}
	tag, _, _ := parameter(address.parameters, "tag")
	return tag
}

// contact is the URI of the first Contact, or "".
func (m *message) contact() string {
	for value := range values(m.get("contact")) {
		if address, ok := readAddress(value); ok {
			return address.uri
		}
		return ""
	}
	return ""
}

// received writes into the topmost Via where the request came from (RFC 3261
// section 18.2.1, RFC 3581 section 4).
func (m *message) received() {
	for i := range m.fields {
		f := &m.fields[i]
		if f.name != "via" {
			continue
		}
		source := m.peer.addr.Addr()
		if m.via.hasRport {
			f.value = setParameter(f.value, "rport", strconv.Itoa(int(m.peer.addr.Port())))
		}
		if host, err := netip.ParseAddr(strings.Trim(m.via.host, "[]")); m.via.hasRport || err != nil || host.Unmap() != source {
			f.value = setParameter(f.value, "received", source.String())
		}
		return
	}
}

// setParameter replaces or adds a parameter of a Via value.
func setParameter(value, name, to string) string {
	head, parameters, found := strings.Cut(value, ";")
	if !found {
		return value + ";" + name + "=" + to
	}
	var b strings.Builder
	b.WriteString(strings.TrimRight(head, " \t"))
	done := false
	for parameters = ";" + parameters; parameters != ""; {
		n, v, rest, ok := cutParameter(parameters)
		if !ok {
			break
		}
		parameters = rest
		if strings.EqualFold(n, name) {
			v, done = to, true
		}
		b.WriteString(";" + n)
		if v != "" {
			b.WriteString("=" + v)
		}
	}
	if !done {
		b.WriteString(";" + name + "=" + to)
	}
	return b.String()
}

// replyTo is where the response to a request goes: back on the connection it came
// by, or by UDP to the source address (RFC 3581); without rport to the port that
// the sender names, if it is not behind a translator (RFC 3261 section 18.2.2).
func (m *message) replyTo() peer {
	if m.peer.tcp || m.via.hasRport {
		return m.peer
	}
	host, err := netip.ParseAddr(strings.Trim(m.via.host, "[]"))
	if err != nil || host.Unmap() != m.peer.addr.Addr() || m.via.port == 0 {
		return m.peer
	}
	return peer{addr: netip.AddrPortFrom(m.peer.addr.Addr(), m.via.port)}
}

// uriParts reads a URI for its user, host and port.
func uriParts(uri string) (parts sip.Uri, ok bool) {
	return parts, sip.ParseUri(uri, &parts) == nil && parts.Host != ""
}
