package sip

import (
	"bytes"
	"strings"
)

// headerID names the header fields the rules look at.
type headerID uint8

const (
	headerOther headerID = iota
	headerVia
	headerFrom
	headerTo
	headerCallID
	headerCSeq
	headerMaxForwards
	headerContentLength
	headerContentType
	headerContentEncoding
	headerContentDisposition
	headerContact
	headerRoute
	headerRecordRoute
	headerRequire
	headerAccept
	headerDate
	headerExpires
	headerSessionExpires
	headerMinSE
	headerRAck
	headerRSeq
	headerReferTo
	headerIDs // the number of identifiers
)

// headerName is what a header field is called: its long name in lower case, and its
// identifier if a rule looks at it.
type headerName struct {
	id     headerID
	long   string
	known  bool // the server reads it
	needed bool // and a request that has it cannot do without it
}

// ruled are the header fields that the rules look at.
var ruled = [headerIDs]string{
	headerVia: "via", headerFrom: "from", headerTo: "to", headerCallID: "call-id", headerCSeq: "cseq",
	headerMaxForwards: "max-forwards", headerContentLength: "content-length", headerContentType: "content-type",
	headerContentEncoding: "content-encoding", headerContentDisposition: "content-disposition", headerContact: "contact",
	headerRoute: "route", headerRecordRoute: "record-route", headerRequire: "require", headerAccept: "accept",
	headerDate: "date", headerExpires: "expires", headerSessionExpires: "session-expires", headerMinSE: "min-se",
	headerRAck: "rack", headerRSeq: "rseq", headerReferTo: "refer-to",
}

// compact maps compact header names to long ones (RFC 3261 section 7.3.3 and the
// registry of header fields).
var compact = map[string]string{
	"v": "via", "f": "from", "t": "to", "i": "call-id", "l": "content-length", "c": "content-type",
	"e": "content-encoding", "m": "contact", "k": "supported", "x": "session-expires", "s": "subject",
	"a": "accept-contact", "j": "reject-contact", "d": "request-disposition",
	"o": "event", "u": "allow-events", "r": "refer-to", "b": "referred-by", "y": "identity",
}

// usual are further fields of common messages, so that their names cost no copy.
var usual = []string{
	"allow", "supported", "user-agent", "server", "privacy", "p-asserted-identity", "p-preferred-identity",
	"remote-party-id",
	"diversion", "history-info", "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate",
	"retry-after", "reason", "x-telnyx-token", "x-tollgate-token", "identity", "timestamp", "info-package",
}

// headerNames maps a field name in lower case, long or compact.
var headerNames = nameHeaders()

func nameHeaders() map[string]headerName {
	names := make(map[string]headerName)
	for _, long := range usual {
		names[long] = headerName{id: headerOther, long: long, known: true}
	}
	for id, long := range ruled {
		if long != "" {
			names[long] = headerName{id: headerID(id), long: long, known: true}
		}
	}
	for _, id := range neededHeaders {
		name := names[ruled[id]]
		name.needed = true
		names[ruled[id]] = name
	}
	for short, long := range compact {
		known := names[long]
		known.long = long
		names[short] = known
	}
	return names
}

// neededHeaders are those that decide where a message belongs and how it is read. A fault
// in one of them is never passed over.
var neededHeaders = [...]headerID{
	headerVia, headerFrom, headerTo, headerCallID, headerCSeq, headerContentLength, headerContentType,
	headerContentEncoding, headerContact, headerRoute, headerRecordRoute, headerRequire, headerRAck,
}

// longestKnownName bounds the buffer a name is lowered in.
const longestKnownName = len("p-preferred-identity")

// Field is one header field. The name is the long one in lower case; the value is
// unfolded, trimmed and free of CR and LF, whatever the sender wrote.
type Field struct {
	id    headerID
	Name  string
	Value string
}

// Wire is a message as it came, split but not interpreted. Its texts are parts
// of one copy of the header section; its body is the sender's bytes themselves.
type Wire struct {
	start  startLine
	fields []Field
	count  [headerIDs]uint16
	body   []byte
	// flaw is the first fault met while splitting.
	flaw refusal
	// others is how many fields there are that no rule looks at.
	others int
}

// first returns the value of the first field with the identifier, or "".
func (m *Wire) first(id headerID) string {
	for i := range m.fields {
		if m.fields[i].id == id {
			return m.fields[i].Value
		}
	}
	return ""
}

// note keeps the first fault.
func (m *Wire) note(flaw refusal) {
	if m.flaw.status == 0 {
		m.flaw = flaw
	}
}

// Broken reports whether the message could not be split as it should.
func (m *Wire) Broken() bool { return m.flaw.status != 0 || m.start.kind == startNone }

// ReadWire is read into a message of its own.
func ReadWire(raw []byte) *Wire {
	m := new(Wire)
	m.Read(raw)
	return m
}

// Read splits a message into start line, header fields and body. It accepts any bytes:
// what is wrong is left out, and noted as a flaw where the message cannot do without it
// (RFC 3261 section 8.2.2). What the message was before is forgotten.
func (m *Wire) Read(raw []byte) {
	*m = Wire{}
	raw = SkipEmptyLines(raw)
	if len(raw) > MaxMessageBytes {
		m.note(refusal{status: 513, reason: "Message Too Large"})
		raw = raw[:MaxMessageBytes]
	}
	head, body, terminated := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !terminated && bytes.IndexByte(raw, '\r') < 0 {
		head, body, terminated = cutBareLines(raw)
	}
	m.body = body
	text := string(head)
	if !terminated {
		m.note(badRequest("Missing empty line after the header fields"))
		text = strings.TrimSuffix(text, "\r\n")
	}

	first, rest := cutLine(text)
	if strings.ContainsAny(first, "\r\n\x00") {
		m.note(badRequest("Control character in the start line"))
	}
	m.start = readStartLine(first)
	m.fields = make([]Field, 0, min(MaxHeaders, strings.Count(rest, "\r\n")+1))
	for rest != "" {
		var line string
		line, rest = cutLine(rest)
		if len(m.fields) == MaxHeaders {
			m.note(refusal{status: 513, reason: "Too many header fields"})
			break
		}
		m.readField(line)
	}
}

// SkipEmptyLines leaves out the empty lines in front of a message (RFC 3261 section 7.5).
func SkipEmptyLines(raw []byte) []byte {
	for len(raw) > 1 && (raw[0] == '\r' || raw[0] == '\n') {
		raw = raw[1:]
	}
	return raw
}

// cutBareLines splits a message whose lines all end in a bare LF. One that has both kinds
// of ends is not read so: what stands behind a bare LF could then be a header field to us
// and a part of another one to an element in front of us.
func cutBareLines(raw []byte) (head, body []byte, terminated bool) {
	head, body, terminated = bytes.Cut(raw, []byte("\n\n"))
	if !terminated {
		return raw, nil, false
	}
	return bytes.ReplaceAll(head, []byte("\n"), []byte("\r\n")), body, true
}

// readField adds one logical line, which may still be folded. A line that is no header
// field, and a field that the server does not know and that is too long or has a control
// character, are left out.
func (m *Wire) readField(line string) {
	name, value, found := strings.Cut(line, ":")
	name = trimRight(name)
	if !found || !isToken(name) {
		return
	}
	known := nameOf(name)
	if len(line) > MaxHeaderBytes {
		if m.needs(known) {
			m.note(refusal{status: 513, reason: "Header field too long"})
		}
		return
	}
	value, clean := unfold(value)
	switch {
	case clean:
	case m.needs(known):
		m.note(badRequest("Control character in a header field"))
	case !known.known:
		return
	}
	if known.id == headerOther {
		if m.others++; m.others > maxOthers {
			return
		}
	}
	m.count[known.id]++
	m.fields = append(m.fields, Field{known.id, known.long, value})
}

// needs reports whether the message is of no use without the field. A response is needed
// for what it says, so only the fields that say whose it is can spoil it.
func (m *Wire) needs(name headerName) bool {
	if m.start.kind != startResponse {
		return name.needed
	}
	switch name.id {
	case headerVia, headerFrom, headerTo, headerCallID, headerCSeq:
		return true
	}
	return false
}

// nameOf knows a header name in any case.
func nameOf(name string) headerName {
	if len(name) > longestKnownName {
		return headerName{long: strings.ToLower(name)}
	}
	var lower [longestKnownName]byte
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if known, ok := headerNames[string(lower[:len(name)])]; ok {
		return known
	}
	return headerName{long: strings.ToLower(name)}
}

// cutLine returns the first logical line of s, with its folds still in it, and
// what follows its CRLF.
func cutLine(s string) (line, rest string) {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '\n')
		if i < 0 {
			return s, ""
		}
		end, next := from+i-1, from+i+1
		if end < 0 || s[end] != '\r' {
			from = next
			continue
		}
		if next == len(s) || (s[next] != ' ' && s[next] != '\t') {
			return s[:end], s[next:]
		}
		from = next
	}
}

// unfold joins the lines of a folded value with one space each and trims it. A
// control character is only legal behind a backslash in a quoted string; any
// other becomes a space and clean is false. CR and LF never remain.
func unfold(value string) (unfolded string, clean bool) {
	if !hasControl(value) {
		return trimSpace(value), true
	}
	clean = true
	out := make([]byte, 0, len(value))
	quoted := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '"':
			quoted = !quoted
			out = append(out, c)
		case quoted && c == '\\' && i+1 < len(value) && value[i+1] != '\r' && value[i+1] != '\n':
			out = append(out, c, value[i+1])
			i++
		case c == '\r' && i+2 < len(value) && value[i+1] == '\n' && isSpace(value[i+2]):
			i++
			for i+1 < len(value) && isSpace(value[i+1]) {
				i++
			}
			out = append(bytes.TrimRight(out, " \t"), ' ')
		case c != '\t' && isControl(rune(c)):
			clean = false
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
	}
	return trimSpace(string(out)), clean
}
