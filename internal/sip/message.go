package sip

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Message is a valid message as the server works with it: text by text as it
// came, so that what must be copied is copied and not written anew.
type Message struct {
	Request bool
	Method  string // of a response: that of its CSeq
	URI     string // of a request
	Status  int    // of a response
	Phrase  string // of a response

	Fields  []Field
	Body    []byte
	Via     Via // the topmost
	From    string
	To      string
	FromTag string
	ToTag   string
	CallID  string
	CSeq    uint32
}

// Via is the topmost Via of a message.
type Via struct {
	SentBy string // host and port as they came
	Branch string
	Port   uint16 // of sent-by, or 5060
	Host   string
	Rport  bool
}

// Read reads a message that validation need not see. It returns nil when something it
// needs cannot be read.
func Read(raw []byte) *Message {
	m := new(Message)
	if !ReadWire(raw).Into(m) {
		return nil
	}
	return m
}

// Into interprets what validation has seen. It says no when something that it needs
// cannot be read after all. out keeps nothing of the sender's bytes.
func (m *Wire) Into(out *Message) bool {
	*out = Message{Fields: m.fields, Request: m.start.kind == startRequest, Method: m.start.method,
		URI: m.start.uri, Phrase: m.start.phrase}
	if m.start.kind == startResponse {
		status, err := strconv.Atoi(m.start.status)
		if err != nil {
			return false
		}
		out.Status = status
	}
	if m.start.kind == startNone || !out.readCore() {
		return false
	}
	body := m.body
	if length, err := strconv.Atoi(out.Get("content-length")); err == nil && length >= 0 && length < len(body) {
		body = body[:length]
	}
	if len(body) > 0 {
		out.Body = bytes.Clone(body)
	}
	return true
}

// readCore reads the fields that every message has.
func (m *Message) readCore() bool {
	m.From = m.Get("from")
	m.To = m.Get("to")
	m.CallID = m.Get("call-id")
	m.FromTag, m.ToTag = TagOf(m.From), TagOf(m.To)
	number, method, _ := strings.Cut(m.Get("cseq"), " ")
	cseq, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return false
	}
	m.CSeq = uint32(cseq)
	if !m.Request {
		m.Method = trimSpace(method)
	}
	m.splitVias()
	return m.readTopVia() && m.CallID != ""
}

// splitVias gives each Via value a field of its own, so that a response has them
// one by one.
func (m *Message) splitVias() {
	several := false
	for i := range m.Fields {
		if m.Fields[i].Name == "via" && strings.Contains(m.Fields[i].Value, ",") {
			several = true
		}
	}
	if !several {
		return
	}
	split := make([]Field, 0, len(m.Fields)+8)
	for _, f := range m.Fields {
		if f.Name != "via" {
			split = append(split, f)
			continue
		}
		for value := range values(f.Value) {
			split = append(split, Field{headerVia, "via", value})
		}
	}
	m.Fields = split
}

func (m *Message) readTopVia() bool {
	value := m.Get("via")
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
	m.Via.Host, m.Via.Port = trimSpace(host), 5060
	if hasPort {
		n, err := strconv.ParseUint(trimSpace(port), 10, 16)
		if err != nil {
			return false
		}
		m.Via.Port = uint16(n)
	}
	m.Via.SentBy = trimSpace(sentBy)
	m.Via.Branch, _, _ = parameter(parameters, "branch")
	_, m.Via.Rport, _ = parameter(parameters, "rport")
	return true
}

// Get is the value of the first field of that name, or "".
func (m *Message) Get(name string) string {
	for i := range m.Fields {
		if m.Fields[i].Name == name {
			return m.Fields[i].Value
		}
	}
	return ""
}

// Has reports whether there is a field of that name.
func (m *Message) Has(name string) bool {
	for i := range m.Fields {
		if m.Fields[i].Name == name {
			return true
		}
	}
	return false
}

// All lists every value of a field that may have several, in order.
func (m *Message) All(name string) []string {
	var found []string
	for i := range m.Fields {
		if m.Fields[i].Name != name {
			continue
		}
		for value := range values(m.Fields[i].Value) {
			found = append(found, value)
		}
	}
	return found
}

// Lists reports whether a field of option tags or methods names one of them.
func (m *Message) Lists(name, token string) bool {
	for i := range m.Fields {
		if m.Fields[i].Name != name {
			continue
		}
		for value := range strings.SplitSeq(m.Fields[i].Value, ",") {
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

// TagOf is the tag of a From or To value.
func TagOf(value string) string {
	address, ok := ReadAddress(value)
	if !ok {
		return ""
	}
	tag, _, _ := parameter(address.Parameters, "tag")
	return tag
}

// Contact is the URI of the first Contact that can be read, or "".
func (m *Message) Contact() string {
	for i := range m.Fields {
		if m.Fields[i].Name != "contact" {
			continue
		}
		for value := range values(m.Fields[i].Value) {
			if address, ok := ReadAddress(value); ok {
				return address.URI
			}
		}
	}
	return ""
}

// Received writes into the topmost Via where the request came from (RFC 3261
// section 18.2.1, RFC 3581 section 4).
func (m *Message) Received(from netip.AddrPort) {
	for i := range m.Fields {
		f := &m.Fields[i]
		if f.Name != "via" {
			continue
		}
		source := from.Addr().WithZone("")
		if m.Via.Rport {
			f.Value = setParameter(f.Value, "rport", strconv.Itoa(int(from.Port())))
		}
		if host, err := netip.ParseAddr(strings.Trim(m.Via.Host, "[]")); m.Via.Rport || err != nil ||
			host.Unmap() != source {
			f.Value = setParameter(f.Value, "received", source.String())
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
		if !ok || n == "" {
			b.WriteString(parameters) // for its sender to read
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

// Routes is the route set that a message makes: Record-Route in order for the one
// called, in reverse for the caller.
func (m *Message) Routes() []string {
	var routes []string
	for _, value := range m.All("record-route") {
		address, ok := ReadAddress(value)
		if !ok || len(routes) == MaxRoutes {
			continue
		}
		uri := strings.Clone(address.URI)
		if !address.bracketed {
			uri += address.Parameters // a proxy's own "lr" is meant for the URI
		}
		routes = append(routes, uri)
	}
	if !m.Request {
		slices.Reverse(routes)
	}
	return routes
}

// MaxRoutes bounds a route set. Calls cross a handful of proxies.
const MaxRoutes = 16

// RSeq is the RSeq of a response that was sent reliably; 0 of any other.
func (m *Message) RSeq() uint32 {
	if !m.Lists("require", "100rel") {
		return 0
	}
	n, err := strconv.ParseUint(trimSpace(m.Get("rseq")), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// usualHops is what a request has that does not say, or not legibly, how many hops it may
// still take (RFC 3261 section 16.6).
const usualHops = 70

// Hops is the hops that a request may still take.
func (m *Message) Hops() int {
	if n, err := strconv.ParseUint(m.Get("max-forwards"), 10, 8); err == nil {
		return int(n)
	}
	return usualHops
}

// maxPhrase bounds a reason phrase that is passed on.
const maxPhrase = 128

// ShortPhrase is the reason phrase as it is passed on.
func (m *Message) ShortPhrase() string {
	if len(m.Phrase) > maxPhrase {
		return strings.ToValidUTF8(m.Phrase[:maxPhrase], "")
	}
	return strings.Clone(m.Phrase)
}

// TransactionKey appends the name of the transaction of a request (RFC 3261 section 17.2.3). An
// ACK has the key of its INVITE. An element that predates RFC 3261 has no branch
// to go by; its INVITE, ACK and CANCEL share Call-ID, From tag and CSeq number.
func (m *Message) TransactionKey(b []byte, method string) []byte {
	if method == "ACK" {
		method = "INVITE"
	}
	if len(m.Via.Branch) > len(MagicCookie) && m.Via.Branch[:len(MagicCookie)] == MagicCookie {
		b = append(append(b, m.Via.Branch...), ' ')
		b = append(append(b, m.Via.SentBy...), ' ')
		return append(b, method...)
	}
	b = append(append(b, m.CallID...), ' ')
	b = append(append(b, m.FromTag...), ' ')
	b = strconv.AppendUint(b, uint64(m.CSeq), 10)
	return append(append(b, ' '), method...)
}
