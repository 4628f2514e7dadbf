package sip

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Carried is a header field that is passed from one dialog to another: what of it can be
// read, within its limits. What cannot be read is left out.
type Carried struct {
	name, key  string                    // as it is written, and in lower case
	mostValues int                       // in all fields of the name
	mostBytes  int                       // of one value
	reads      func(value string) bool   // nil for a field that is one text
	writes     func(value string) string // nil if values are passed unchanged
}

// NewCarried describes a header field.
func NewCarried(name string, mostValues, mostBytes int, reads func(value string) bool) Carried {
	return Carried{name: name, key: strings.ToLower(name), mostValues: mostValues, mostBytes: mostBytes, reads: reads}
}

// Lines writes what a message has of the field, a line for each of its own.
func (c Carried) Lines(m *Message) string {
	lines, kept := "", 0
	for i := range m.Fields {
		if m.Fields[i].Name == c.key && kept < c.mostValues {
			line, n := c.line(m.Fields[i].Value, c.mostValues-kept)
			lines += Line(c.name, line)
			kept += n
		}
	}
	return lines
}

// line holds the readable values of one field, up to a maximum.
func (c Carried) line(text string, most int) (line string, kept int) {
	if c.reads == nil {
		if len(text) > c.mostBytes || !utf8.ValidString(text) {
			return "", 0
		}
		return text, 1
	}
	for value := range values(text) {
		if kept == most || len(value) > c.mostBytes || !utf8.ValidString(value) || !c.reads(value) {
			continue
		}
		if kept++; kept > 1 {
			line += ", "
		}
		if c.writes != nil {
			value = c.writes(value)
		}
		line += value
	}
	return line, kept
}

// Writing passes each readable value on in the form that writes gives it.
func (c Carried) Writing(writes func(value string) string) Carried {
	c.writes = writes
	return c
}

// IsToken reports whether a value is a token with parameters: the protocol of a Reason with its
// cause and text (RFC 3326), a Content-Disposition, a version.
func IsToken(value string) bool {
	token, parameters, _, ok := cutValue(value, ';')
	return ok && isToken(token) && areParameters(parameters)
}

// IsMediaRange reports whether a value is a type of bodies with parameters, as those of Accept
// are.
func IsMediaRange(value string) bool {
	kind, parameters, _, ok := cutValue(value, ';')
	main, sub, found := strings.Cut(kind, "/")
	return ok && found && isToken(main) && isToken(sub) && areParameters(parameters)
}

// IsWarning reports whether a value is a code, an agent and a quoted text (RFC 3261 section
// 20.43).
func IsWarning(value string) bool {
	code, rest, _ := strings.Cut(value, " ")
	agent, text, _ := strings.Cut(trimLeft(rest), " ")
	text = trimLeft(text)
	return len(code) == 3 && isDigits(code) && agent != "" && !strings.ContainsAny(agent, `"<>;`) &&
		strings.HasPrefix(text, `"`) && quotedEnd(text) == len(text)
}

// UnnamedWarning is a value that IsWarning takes, with a pseudonym in the place of the host
// that has warned.
func UnnamedWarning(value string) string {
	return value[:3] + " tollgate " + value[strings.IndexByte(value, '"'):]
}

// IsDelay reports whether a value is that of a Retry-After: seconds, a comment, parameters.
func IsDelay(value string) bool {
	end := 0
	for end < len(value) && isDigit(value[end]) {
		end++
	}
	rest := trimLeft(value[end:])
	if strings.HasPrefix(rest, "(") {
		comment := strings.LastIndexByte(rest, ')')
		rest = trimLeft(rest[comment+1:])
	}
	parameters, found := strings.CutPrefix(rest, ";")
	return end > 0 && end <= maxDelayDigits && (rest == "" || found && areParameters(parameters))
}

// maxDelayDigits is as many digits as 2^32 - 1 has.
const maxDelayDigits = 10

// IsReference reports whether a value is a URI in brackets with parameters, as those of
// Geolocation (RFC 6442) and Call-Info are.
func IsReference(value string) bool {
	address, ok := readBracketed(value)
	parameters, found := strings.CutPrefix(address.Parameters, ";")
	return ok && (address.Parameters == "" || found && areParameters(parameters))
}

// IsPassport reports whether a value of Identity is a signed token, whole or without its first
// two parts, that names its certificate (RFC 8224 section 4). What RFC 4474 signed is none:
// it does not outlive a change of the Call-ID.
func IsPassport(value string) bool {
	token, parameters, _, ok := cutValue(value, ';')
	if !ok || strings.Count(token, ".") != 2 || strings.HasSuffix(token, ".") {
		return false
	}
	for i := range len(token) {
		if c := token[i]; !isAlphanumeric(c) && strings.IndexByte(".-_=", c) < 0 {
			return false
		}
	}
	return areParameters(parameters) && strings.Contains(strings.ToLower(parameters), "info=<")
}

// areParameters reports whether a text is parameters, the first without its semicolon.
func areParameters(text string) bool {
	for more := text != ""; more; {
		var p string
		var ok bool
		p, text, more, ok = cutValue(text, ';')
		name, value, found := strings.Cut(p, "=")
		value = trimLeft(value)
		switch {
		case p == "" && ok: // a semicolon too many
		case !ok || !isToken(trimRight(name)) || found && !isParameterValue(value):
			return false
		}
	}
	return true
}

// isParameterValue takes a token, a host, a quoted string and a URI in brackets.
func isParameterValue(value string) bool {
	switch {
	case value == "":
		return false
	case value[0] == '"':
		return quotedEnd(value) == len(value)
	case value[0] == '<':
		return value[len(value)-1] == '>' && isURI(value[1:len(value)-1])
	}
	for i := range len(value) {
		if endsValue[value[i]] {
			return false
		}
	}
	return true
}

// maxName bounds a display name that is passed on, in bytes.
const maxName = 128

// DisplayName is the display name of an address as text: without quotes, on one line, of
// characters that can be seen.
func DisplayName(value string) string {
	value = trimSpace(value)
	address, ok := ReadAddress(value)
	if !ok || !address.bracketed {
		return ""
	}
	name := trimSpace(value[:max(0, strings.LastIndex(value, "<"+address.URI+">"))])
	if strings.HasPrefix(name, `"`) {
		end := quotedEnd(name)
		if end < 0 {
			return ""
		}
		name = unquote(name[:end])
	}
	name = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	return strings.TrimSpace(name)
}

// Named is an address in brackets behind a display name, if there is one.
func Named(name, uri string) string {
	if name == "" {
		return "<" + uri + ">"
	}
	return quote(name) + " <" + uri + ">"
}

// keptHeaders are the header fields that are never passed to another dialog because a list names them:
// those that belong to a dialog or transaction, that tell who calls or prove it, that ask for
// extensions, and those that the server passes on by its own rules.
var keptHeaders = namesOf(`via from to call-id cseq contact route record-route path service-route max-forwards
	content-length content-type content-encoding content-disposition content-language content-id mime-version
	require proxy-require supported unsupported allow accept accept-encoding accept-language info-package recv-info
	rack rseq session-expires min-se expires min-expires event subscription-state replaces join target-dialog refer-to
	refer-sub referred-by timestamp date
	authorization proxy-authorization www-authenticate proxy-authenticate authentication-info
	proxy-authentication-info p-asserted-identity p-preferred-identity remote-party-id privacy identity identity-info
	reason warning retry-after geolocation geolocation-routing geolocation-error x-telnyx-token`)

func namesOf(list string) map[string]bool {
	names := make(map[string]bool)
	for name := range strings.FieldsSeq(list) {
		names[name] = true
	}
	return names
}

// maxListed bounds the name of a header field in a list.
const maxListed = 64

// MayPass reports whether a list may name a header field to be passed to another dialog.
func MayPass(name string) bool {
	key := nameOf(name).long
	return isToken(name) && len(name) > 1 && len(name) <= maxListed && !keptHeaders[key] &&
		!strings.HasPrefix(key, "x-tollgate-")
}

// NotPassed explains why a list may not name a header field.
func NotPassed(name string) string {
	return fmt.Sprintf("%.64q is no header field that can be passed by name: Tollgate writes it itself, or it is no "+
		"name. Give one such as User-to-User, P-Charge-Info or X-Campaign.", name)
}
