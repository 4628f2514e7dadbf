package sipgw

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// message is a valid message as the server works with it: text by text as it
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
	size    int  // in bytes, as it came
	proved  bool // by a digest who sent it
}

// via is the topmost Via of a message.
type via struct {
	sentBy   string // host and port as they came
	branch   string
	port     uint16 // of sent-by, or 5060
	host     string
	hasRport bool
}

// readMessage reads a message that validation need not see. It returns nil when
// something it needs cannot be read.
func readMessage(raw []byte, from peer) *message {
	return readWire(raw).message(from)
}

// message interprets what validation has seen. It returns nil when something that it
// needs cannot be read after all. The message keeps nothing of the sender's bytes.
func (m *wireMessage) message(from peer) *message {
	out := &message{peer: from, fields: m.fields, request: m.start.kind == startRequest, method: m.start.method,
		uri: m.start.uri, phrase: m.start.phrase}
	if m.start.kind == startResponse {
		status, err := strconv.Atoi(m.start.status)
		if err != nil {
			return nil
		}
		out.status = status
	}
	if m.start.kind == startNone || !out.readCore() {
		return nil
	}
	body := m.body
	if length, err := strconv.Atoi(out.get("content-length")); err == nil && length >= 0 && length < len(body) {
		body = body[:length]
	}
	if len(body) > 0 {
		out.body = bytes.Clone(body)
	}
	return out
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
			split = append(split, field{headerVia, "via", value})
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

// has says whether there is a field of that name.
func (m *message) has(name string) bool {
	for i := range m.fields {
		if m.fields[i].name == name {
			return true
		}
	}
	return false
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
		if host, err := netip.ParseAddr(strings.Trim(m.via.host, "[]")); m.via.hasRport || err != nil ||
			host.Unmap() != source {
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
	if err != nil || host.Unmap() != m.peer.addr.Addr() || m.via.port == 0 ||
		host.Unmap().IsLoopback() && m.via.port < 1024 {
		return m.peer
	}
	return peer{addr: netip.AddrPortFrom(m.peer.addr.Addr(), m.via.port), stranger: m.peer.stranger}
}
