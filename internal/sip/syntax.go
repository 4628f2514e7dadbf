package sip

import (
	"strconv"
	"strings"
)

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// hasControl reports whether a text has a control character. Bytes are enough: in UTF-8
// none of them is part of a longer character.
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == 0x7f {
			return true
		}
	}
	return false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// tokenBytes is the character set of token in RFC 3261 25.1.
var tokenBytes = func() (set [256]bool) {
	for c := range set {
		set[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-.!%*_+`'~", byte(c)) >= 0
	}
	return set
}()

func isTokenByte(c byte) bool { return tokenBytes[c] }

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

func trimSpace(s string) string { return trimRight(trimLeft(s)) }

func trimLeft(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

func trimRight(s string) string {
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

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

// cutParameter takes one ";name" or ";name=value" off the front of s; name is "" where
// only semicolons are left. Values are read more freely than the grammar does, because
// tags and branches of common equipment hold characters no token has, and some of it
// writes a semicolon behind the last parameter.
func cutParameter(s string) (name, value, rest string, ok bool) {
	s = trimLeft(s)
	if s == "" || s[0] != ';' {
		return "", "", "", false
	}
	for s != "" && s[0] == ';' {
		s = trimLeft(s[1:])
	}
	if s == "" {
		return "", "", "", true
	}
	end := 0
	for end < len(s) && isTokenByte(s[end]) {
		end++
	}
	if end == 0 {
		return "", "", "", false
	}
	name, s = s[:end], trimLeft(s[end:])
	if s == "" || s[0] != '=' {
		return name, "", s, true
	}
	s = trimLeft(s[1:])
	if s != "" && s[0] == '"' {
		end = quotedEnd(s)
	} else {
		for end = 0; end < len(s) && !endsValue[s[end]]; end++ {
			continue
		}
	}
	if end <= 0 {
		return "", "", "", false
	}
	return name, s[:end], trimLeft(s[end:]), true
}

// endsValue are the characters that no value of a parameter has.
var endsValue = [256]bool{' ': true, '\t': true, ';': true, ',': true, '"': true, '<': true, '>': true}

// parameter looks for a parameter by name, in any case. ok is false when the
// parameters are malformed anywhere; one that stands before the fault is found.
func parameter(s, name string) (value string, found, ok bool) {
	for s != "" {
		n, v, rest, ok := cutParameter(s)
		if !ok {
			return value, found, false
		}
		if !found && strings.EqualFold(n, name) {
			value, found = v, true
		}
		s = rest
	}
	return value, found, true
}

// Address is a name-addr or addr-spec with its header parameters.
type Address struct {
	URI        string
	Parameters string
	bracketed  bool
}

// Parameter is the value of a header parameter; found is false when there is none
// before the end or the first fault.
func (a Address) Parameter(name string) (value string, found bool) {
	value, found, _ = parameter(a.Parameters, name)
	return value, found
}

// ReadAddress reads one value of From, To, Contact, Route or Record-Route
// (RFC 3261 20.10 and 25.1).
func ReadAddress(s string) (Address, bool) {
	s = trimSpace(s)
	if strings.HasPrefix(s, `"`) {
		end := quotedEnd(s)
		if end < 0 {
			return Address{}, false
		}
		return readNamed(trimLeft(s[end:]))
	}
	if address, ok := readNamed(s); ok {
		return address, true
	}
	uri, parameters := s, ""
	if i := strings.IndexByte(s, ';'); i >= 0 {
		uri, parameters = trimRight(s[:i]), s[i:]
	}
	// RFC 3261 20: with a comma or a question mark the URI must be in brackets.
	if !isURI(uri) || strings.ContainsAny(uri, ",?") {
		return Address{}, false
	}
	return Address{URI: uri, Parameters: parameters}, true
}

// readNamed reads an address behind a display name without quotes. The grammar has
// tokens only there, and equipment writes "Doe, John" and "ACME (Sales)": the brackets
// tell where the address is (RFC 4475 section 3.1.2.15 allows to infer the quotes).
func readNamed(s string) (Address, bool) {
	for from := 0; ; {
		open := strings.IndexByte(s[from:], '<')
		// Behind a bare URI a bracket belongs to one of its parameters.
		if open < 0 || from+open > 0 && beginsURI(s[:from+open]) {
			return Address{}, false
		}
		if address, ok := readBracketed(s[from+open:]); ok {
			return address, true
		}
		from += open + 1
	}
}

// beginsURI reports whether a text begins with a scheme of those that addresses have, and
// not with a name that holds a colon.
func beginsURI(s string) bool {
	scheme, rest, found := strings.Cut(trimLeft(s), ":")
	if !found || rest == "" || isSpace(rest[0]) {
		return false
	}
	switch strings.ToLower(scheme) {
	case "sip", "sips", "tel", "urn", "mailto", "http", "https", "im", "pres":
		return true
	}
	return false
}

func readBracketed(s string) (Address, bool) {
	if s == "" || s[0] != '<' {
		return Address{}, false
	}
	end := strings.IndexByte(s, '>')
	if end < 0 || !isURI(s[1:end]) {
		return Address{}, false
	}
	parameters := trimLeft(s[end+1:])
	return Address{URI: s[1:end], Parameters: parameters, bracketed: true}, true
}

// isURI reports whether s is a scheme, a colon and something without spaces,
// quotes, brackets or control characters.
func isURI(s string) bool {
	scheme, rest, found := strings.Cut(s, ":")
	if !found || rest == "" || !isScheme(scheme) {
		return false
	}
	for i := range len(rest) {
		switch c := rest[i]; {
		case c <= ' ', c == '"', c == '<', c == '>', c == 0x7f:
			return false
		}
	}
	return true
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
	s = trimLeft(s)
	end := 0
	for end < len(s) && isTokenByte(s[end]) {
		end++
	}
	if end == 0 || end == len(s) || !isSpace(s[end]) {
		return wireVia{}, false
	}
	sentBy, parameters := trimSpace(s[end:]), ""
	if i := strings.IndexByte(sentBy, ';'); i >= 0 {
		sentBy, parameters = trimRight(sentBy[:i]), sentBy[i:]
	}
	// LWS may stand around the colon of the port.
	if host, port, found := cutPort(sentBy); found {
		if !isDigits(trimSpace(port)) {
			return wireVia{}, false
		}
		sentBy = trimRight(host)
	}
	if sentBy == "" || strings.ContainsAny(sentBy, " \t\",<>@") {
		return wireVia{}, false
	}
	// A fault behind the branch is no one's concern: the sender reads its own Via.
	branch, hasBranch, ok := parameter(parameters, "branch")
	return wireVia{branch: branch, hasBranch: hasBranch}, ok || hasBranch
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
	phrase  string // of a response
	flaw    refusal
}

// readStartLine finds the parts even of a malformed start line, so that a
// request can be answered.
func readStartLine(line string) startLine {
	malformed := badRequest("Malformed start line")
	if len(line) >= 4 && strings.EqualFold(line[:4], "SIP/") {
		version, rest, _ := strings.Cut(line, " ")
		status, phrase, _ := strings.Cut(rest, " ")
		return startLine{kind: startResponse, version: version, status: status, phrase: phrase}
	}
	trimmed := trimRight(line)
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
