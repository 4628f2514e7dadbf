package sipgw

import (
	"bytes"
	"strconv"
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

// headerNames maps a lower-case field name, long or compact, to its identifier.
var headerNames = map[string]headerID{
	"via": headerVia, "v": headerVia,
	"from": headerFrom, "f": headerFrom,
	"to": headerTo, "t": headerTo,
	"call-id": headerCallID, "i": headerCallID,
	"cseq":           headerCSeq,
	"max-forwards":   headerMaxForwards,
	"content-length": headerContentLength, "l": headerContentLength,
	"content-type": headerContentType, "c": headerContentType,
	"content-encoding": headerContentEncoding, "e": headerContentEncoding,
	"content-disposition": headerContentDisposition,
	"contact":             headerContact, "m": headerContact,
	"route":           headerRoute,
	"record-route":    headerRecordRoute,
	"require":         headerRequire,
	"accept":          headerAccept,
	"date":            headerDate,
	"expires":         headerExpires,
	"session-expires": headerSessionExpires, "x": headerSessionExpires,
	"min-se":   headerMinSE,
	"rack":     headerRAck,
	"rseq":     headerRSeq,
	"refer-to": headerReferTo, "r": headerReferTo,
}

// longestKnownName bounds the buffer a name is lowered in.
const longestKnownName = len("content-disposition")

// wireField is one header field. Its value is unfolded, trimmed and free of CR
// and LF, whatever the sender wrote.
type wireField struct {
	id    headerID
	value string
}

// wireMessage is a message as it came, split but not interpreted. The parser
// drops or repairs some of what the rules must see, so they read this instead.
type wireMessage struct {
	start  startLine
	fields []wireField
	count  [headerIDs]int
	body   []byte
	// flaw is the first fault met while splitting.
	flaw refusal
}

// first returns the value of the first field with the identifier, or "".
func (m *wireMessage) first(id headerID) string {
	for i := range m.fields {
		if m.fields[i].id == id {
			return m.fields[i].value
		}
	}
	return ""
}

// note keeps the first fault.
func (m *wireMessage) note(flaw refusal) {
	if m.flaw.status == 0 {
		m.flaw = flaw
	}
}

// readWire splits a message into start line, header fields and body. It accepts
// any bytes: what is wrong is noted as a flaw and left out.
func readWire(raw []byte) wireMessage {
	var m wireMessage
	if len(raw) > MaxMessageBytes {
		m.note(refusal{status: 513, reason: "Message Too Large"})
		raw = raw[:MaxMessageBytes]
	}
	head, body, terminated := bytes.Cut(raw, []byte("\r\n\r\n"))
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
	m.fields = make([]wireField, 0, 24)
	for rest != "" {
		var line string
		line, rest = cutLine(rest)
		if len(m.fields) == MaxHeaders {
			m.note(refusal{status: 513, reason: "Too many header fields"})
			break
		}
		m.readField(line)
	}
	return m
}

// readField adds one logical line, which may still be folded.
func (m *wireMessage) readField(line string) {
	if len(line) > MaxHeaderBytes {
		m.note(refusal{status: 513, reason: "Header field too long"})
		return
	}
	name, value, found := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !found || !isToken(name) {
		m.note(badRequest("Malformed header field"))
		return
	}
	value, clean := unfold(value)
	if !clean {
		m.note(badRequest("Control character in a header field"))
	}
	id := identify(name)
	m.count[id]++
	m.fields = append(m.fields, wireField{id: id, value: value})
}

// identify returns the identifier of a header name in any case.
func identify(name string) headerID {
	if len(name) > longestKnownName {
		return headerOther
	}
	var lower [longestKnownName]byte
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return headerNames[string(lower[:len(name)])]
}

// cutLine returns the first logical line of s, with its folds still in it, and
// what follows its CRLF.
func cutLine(s string) (line, rest string) {
	for from := 0; ; {
		i := strings.Index(s[from:], "\r\n")
		if i < 0 {
			return s, ""
		}
		end := from + i
		next := end + 2
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
	if !strings.ContainsFunc(value, isControl) {
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

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }
func isSpace(c byte) bool   { return c == ' ' || c == '\t' }
func isDigit(c byte) bool   { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isTokenByte is the character set of token in RFC 3261 25.1.
func isTokenByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("-.!%*_+`'~", c) >= 0
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func trimSpace(s string) string { return strings.Trim(s, " \t") }

// quotedEnd returns the index behind the closing quote of the quoted string s
// begins with, or -1 when it is never closed.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// cutValue splits s at the first separator outside quotes and angle brackets.
// ok is false when a quote or bracket is never closed.
func cutValue(s string, separator byte) (value, rest string, more, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case separator:
			return trimSpace(s[:i]), trimSpace(s[i+1:]), true, true
		case '"':
			end := quotedEnd(s[i:])
			if end < 0 {
				return "", "", false, false
			}
			i += end - 1
		case '<':
			end := strings.IndexByte(s[i:], '>')
			if end < 0 {
				return "", "", false, false
			}
			i += end
		}
	}
	return trimSpace(s), "", false, true
}

// cutParameter takes one ";name" or ";name=value" off the front of s. Values are
// read more freely than the grammar does, because tags and branches of common
// equipment hold characters no token has.
func cutParameter(s string) (name, value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if s == "" || s[0] != ';' {
		return "", "", "", false
	}
	s = strings.TrimLeft(s[1:], " \t")
	end := 0
	for end < len(s) && isTokenByte(s[end]) {
		end++
	}
	if end == 0 {
		return "", "", "", false
	}
	name, s = s[:end], strings.TrimLeft(s[end:], " \t")
	if s == "" || s[0] != '=' {
		return name, "", s, true
	}
	s = strings.TrimLeft(s[1:], " \t")
	if s != "" && s[0] == '"' {
		end = quotedEnd(s)
	} else {
		end = strings.IndexAny(s, " \t;,\"<>")
		if end < 0 {
			end = len(s)
		}
	}
	if end <= 0 {
		return "", "", "", false
	}
	return name, s[:end], strings.TrimLeft(s[end:], " \t"), true
}

// parameter looks for a parameter by name, in any case. ok is false when the
// parameters are malformed anywhere.
func parameter(s, name string) (value string, found, ok bool) {
	for s != "" {
		n, v, rest, ok := cutParameter(s)
		if !ok {
			return "", false, false
		}
		if !found && strings.EqualFold(n, name) {
			value, found = v, true
		}
		s = rest
	}
	return value, found, true
}

// wireAddress is a name-addr or addr-spec with its header parameters.
type wireAddress struct {
	uri        string
	parameters string
	bracketed  bool
}

// readAddress reads one value of From, To, Contact, Route or Record-Route
// (RFC 3261 20.10 and 25.1).
func readAddress(s string) (wireAddress, bool) {
	s = trimSpace(s)
	if strings.HasPrefix(s, `"`) {
		end := quotedEnd(s)
		if end < 0 {
			return wireAddress{}, false
		}
		s = strings.TrimLeft(s[end:], " \t")
		return readBracketed(s)
	}
	open := strings.IndexByte(s, '<')
	// A display name holds no colon: with one the bracket belongs to something
	// behind a bare URI.
	if open >= 0 && !strings.Contains(s[:open], ":") {
		for i := range open {
			if c := s[i]; !isTokenByte(c) && !isSpace(c) && c < 0x80 {
				return wireAddress{}, false
			}
		}
		return readBracketed(s[open:])
	}
	uri, parameters := s, ""
	if i := strings.IndexByte(s, ';'); i >= 0 {
		uri, parameters = strings.TrimRight(s[:i], " \t"), s[i:]
	}
	// RFC 3261 20: with a comma or a question mark the URI must be in brackets.
	if !isURI(uri) || strings.ContainsAny(uri, ",?") {
		return wireAddress{}, false
	}
	return wireAddress{uri: uri, parameters: parameters}, true
}

func readBracketed(s string) (wireAddress, bool) {
	if s == "" || s[0] != '<' {
		return wireAddress{}, false
	}
	end := strings.IndexByte(s, '>')
	if end < 0 || !isURI(s[1:end]) {
		return wireAddress{}, false
	}
	parameters := strings.TrimLeft(s[end+1:], " \t")
	return wireAddress{uri: s[1:end], parameters: parameters, bracketed: true}, true
}

// isURI says whether s is a scheme, a colon and something without spaces,
// quotes, brackets or control characters.
func isURI(s string) bool {
	scheme, rest, found := strings.Cut(s, ":")
	return found && rest != "" && isScheme(scheme) && !strings.ContainsAny(rest, " \t\"<>") &&
		!strings.ContainsFunc(rest, isControl)
}

func isScheme(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return s != "" && !isDigit(s[0])
}

// wireVia is one Via value.
type wireVia struct {
	branch    string
	hasBranch bool
}

// readVia reads one Via value (RFC 3261 20.42), with LWS wherever it may stand.
func readVia(s string) (wireVia, bool) {
	protocol, s, found := strings.Cut(s, "/")
	if !found || !strings.EqualFold(trimSpace(protocol), "SIP") {
		return wireVia{}, false
	}
	version, s, found := strings.Cut(s, "/")
	if !found || trimSpace(version) != "2.0" {
		return wireVia{}, false
	}
	s = strings.TrimLeft(s, " \t")
	end := strings.IndexAny(s, " \t")
	if end < 0 || !isToken(s[:end]) {
		return wireVia{}, false
	}
	sentBy, parameters := trimSpace(s[end:]), ""
	if i := strings.IndexByte(sentBy, ';'); i >= 0 {
		sentBy, parameters = strings.TrimRight(sentBy[:i], " \t"), sentBy[i:]
	}
	// LWS may stand around the colon of the port.
	if host, port, found := cutPort(sentBy); found {
		if !isDigits(trimSpace(port)) {
			return wireVia{}, false
		}
		sentBy = strings.TrimRight(host, " \t")
	}
	if sentBy == "" || strings.ContainsAny(sentBy, " \t\",<>@") {
		return wireVia{}, false
	}
	branch, hasBranch, ok := parameter(parameters, "branch")
	return wireVia{branch: branch, hasBranch: hasBranch}, ok
}

// cutPort splits "host:port", also behind an IPv6 reference in brackets.
func cutPort(s string) (host, port string, found bool) {
	from := strings.IndexByte(s, ']') + 1
	i := strings.IndexByte(s[from:], ':')
	if i < 0 {
		return s, "", false
	}
	return s[:from+i], s[from+i+1:], true
}

func isHostPort(s string) bool {
	host, port, found := cutPort(s)
	if found {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = strings.ReplaceAll(host[1:len(host)-1], ":", "")
	}
	for i := range len(host) {
		if c := host[i]; !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return host != ""
}

// startKind is what a start line begins.
type startKind uint8

const (
	startNone startKind = iota
	startRequest
	startResponse
)

// startLine is a request line or status line. flaw is set when it is one but
// not well formed.
type startLine struct {
	kind    startKind
	version string
	method  string // of a request
	uri     string // of a request, as it came
	status  string // of a response, as it came
	flaw    refusal
}

// readStartLine finds the parts even of a malformed start line, so that a
// request can be answered.
func readStartLine(line string) startLine {
	malformed := badRequest("Malformed start line")
	if len(line) >= 4 && strings.EqualFold(line[:4], "SIP/") {
		version, rest, _ := strings.Cut(line, " ")
		status, _, _ := strings.Cut(rest, " ")
		return startLine{kind: startResponse, version: version, status: status}
	}
	trimmed := strings.TrimRight(line, " \t")
	first, last := strings.IndexByte(trimmed, ' '), strings.LastIndexByte(trimmed, ' ')
	if first <= 0 || first == last {
		return startLine{}
	}
	s := startLine{kind: startRequest, method: trimmed[:first], uri: trimmed[first+1 : last], version: trimmed[last+1:]}
	if len(s.version) < 4 || !strings.EqualFold(s.version[:4], "SIP/") {
		return startLine{}
	}
	if trimmed != line || !isToken(s.method) {
		s.flaw = malformed
	}
	return s
}
