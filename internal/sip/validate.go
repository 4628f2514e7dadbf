package sip

import (
	"bytes"
	"mime"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
)

// Limits on one SIP message. A message beyond them is refused with 513 or 414.
const (
	// MaxMessageBytes is the largest message taken: what one UDP datagram can hold.
	MaxMessageBytes = 65535
	// MaxHeaders bounds the header fields of a message. Calls that crossed many
	// proxies carry some tens of Via and Record-Route fields.
	MaxHeaders = 256
	// maxOthers is how many of them may be fields that no rule looks at. Those behind
	// are left out.
	maxOthers = 128
	// MaxHeaderBytes bounds one header field with its folds. Identity fields, the
	// longest in common use, need a small part of it.
	MaxHeaderBytes = 8192
	// MaxRequestURIBytes bounds the Request-URI.
	MaxRequestURIBytes = 2048
)

// allowedMethods is the value of Allow in 405 and 501 responses.
const allowedMethods = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO"

// MagicCookie begins the branch of an RFC 3261 element (RFC 3261 8.1.1.7).
const MagicCookie = "z9hG4bK"

// verdictKind describes what is done with a message.
type verdictKind uint8

// The kinds of verdicts.
const (
	verdictAccept verdictKind = iota
	VerdictAnswer
	VerdictDrop
)

// Verdict is the outcome of validation. Exactly one of the three kinds holds.
type Verdict struct {
	Kind verdictKind
	// status, reason and headers are the response of verdictAnswer. The headers
	// are whole lines without CRLF.
	Status  int
	Phrase  string
	Headers []string
	// rule names the rule that decided, for logs and metrics. It is empty when
	// the message is accepted.
	rule string
}

// Lines are the headers as whole lines.
func (v *Verdict) Lines() string {
	lines := ""
	for _, header := range v.Headers {
		lines += oneLine(header) + "\r\n"
	}
	return lines
}

// refusal is what a rule finds wrong. The zero value finds nothing wrong.
type refusal struct {
	status int
	reason string
	header string
}

func badRequest(reason string) refusal { return refusal{status: 400, reason: reason} }

// rule is one check of a message.
type rule struct {
	name  string
	check func(*Wire) refusal
}

// framingRules hold for requests and responses.
var framingRules = []rule{
	{"version", checkVersion},
	{"framing", func(m *Wire) refusal { return m.flaw }},
	{"start-line", checkStartLine},
	{"mandatory", checkMandatory},
	{"cseq", checkCSeq},
	{"via", checkVia},
}

// requestRules hold for requests, in the order RFC 3261 8.2 inspects them. An
// unknown method goes before a CSeq mismatch (RFC 4475 3.1.2.18). What the server does
// not need in order to serve the request is not judged (RFC 3261 8.2.2).
var requestRules = []rule{
	{"repeated", checkRepeated},
	{"content-length", checkContentLength},
	{"address", checkAddresses},
	{"method", checkMethod},
	{"cseq-method", checkCSeqMethod},
	{"rfc3261", checkElement3261},
	{"require", checkRequire},
	{"hops", checkHops},
	{"content", checkContent},
	{"accept", checkAccept},
}

// responseRules hold for responses.
var responseRules = []rule{
	{"one-via", checkOneVia},
}

// Judge checks a message (RFC 3261 8.1.1, 8.2 and 20, RFC 4475): it applies the rules
// in order, and the first that finds a fault decides. A request that cannot be
// answered is dropped, and so is every faulty ACK and response.
func Judge(m *Wire) Verdict {
	if m.start.kind == startNone {
		return Verdict{Kind: VerdictDrop, rule: "not-sip"}
	}
	rules := requestRules
	if m.start.kind == startResponse {
		rules = responseRules
	}
	for _, set := range [...][]rule{framingRules, rules} {
		for i := range set {
			if found := set[i].check(m); found.status != 0 {
				return m.refuse(set[i].name, found)
			}
		}
	}
	return Verdict{Kind: verdictAccept}
}

// refuse turns a fault into a verdict: an answer where one can be sent.
func (m *Wire) refuse(rule string, found refusal) Verdict {
	// An ACK has no response, and without Via and CSeq a response could not be matched.
	answerable := m.start.kind == startRequest && m.start.method != "ACK" &&
		m.first(headerVia) != "" && m.first(headerCSeq) != ""
	if !answerable {
		return Verdict{Kind: VerdictDrop, rule: rule}
	}
	v := Verdict{Kind: VerdictAnswer, Status: found.status, Phrase: found.reason, rule: rule}
	if found.header != "" {
		v.Headers = []string{found.header}
	}
	return v
}

// RefusalBytes writes the response of a verdictAnswer to the request in raw,
// copying Via, From, To, Call-ID and CSeq as they came, unfolded (RFC 3261
// 8.2.6.2). toTag is added to a To without one. It returns nil for any other
// verdict.
func RefusalBytes(raw []byte, v Verdict, toTag string) []byte {
	if v.Kind != VerdictAnswer {
		return nil
	}
	m := ReadWire(raw)
	var b bytes.Buffer
	b.WriteString("SIP/2.0 " + strconv.Itoa(v.Status) + " " + v.Phrase + "\r\n")
	for _, f := range m.fields {
		if f.id == headerVia {
			b.WriteString("Via: " + f.Value + "\r\n")
		}
	}
	copied := []struct {
		id   headerID
		name string
	}{{headerFrom, "From: "}, {headerTo, "To: "}, {headerCallID, "Call-ID: "}, {headerCSeq, "CSeq: "}}
	for _, c := range copied {
		value := m.first(c.id)
		if value == "" {
			continue
		}
		if c.id == headerTo && toTag != "" && !hasTag(value) {
			value += ";tag=" + toTag
		}
		b.WriteString(c.name + value + "\r\n")
	}
	for _, line := range v.Headers {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return b.Bytes()
}

// hasTag reports whether a From or To value carries a tag. In a value too broken to
// read, anything that looks like one counts, so that none is added twice.
func hasTag(value string) bool {
	address, ok := ReadAddress(value)
	if ok {
		var tag string
		if tag, _, ok = parameter(address.Parameters, "tag"); ok {
			return tag != ""
		}
	}
	return strings.Contains(strings.ToLower(value), "tag=")
}

func checkVersion(m *Wire) refusal {
	if strings.EqualFold(m.start.version, "SIP/2.0") {
		return refusal{}
	}
	major, minor, found := strings.Cut(m.start.version[len("SIP/"):], ".")
	if found && isDigits(major) && isDigits(minor) {
		return refusal{status: 505, reason: "Version Not Supported"}
	}
	return badRequest("Malformed SIP version")
}

func checkStartLine(m *Wire) refusal {
	if m.start.flaw.status != 0 {
		return m.start.flaw
	}
	if m.start.kind == startResponse {
		// RFC 3261 7.2: three digits, 1xx to 6xx.
		if s := m.start.status; len(s) != 3 || !isDigits(s) || s[0] < '1' || s[0] > '6' {
			return badRequest("Malformed status code")
		}
		return refusal{}
	}
	return checkRequestURI(m.start.uri)
}

func checkRequestURI(uri string) refusal {
	if len(uri) > MaxRequestURIBytes {
		return refusal{status: 414, reason: "Request-URI Too Long"}
	}
	if !isURI(uri) {
		return badRequest("Malformed Request-URI")
	}
	scheme, rest, _ := strings.Cut(uri, ":")
	switch {
	case strings.EqualFold(scheme, "tel"):
		return checkTelURI(rest)
	case strings.EqualFold(scheme, "urn") && isEmergencyURN(uri):
		return refusal{} // it names no host
	}
	if !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		return refusal{status: 416, reason: "Unsupported URI Scheme"}
	}
	// The user part may hold "?" and ";", so look behind it only.
	if i := strings.IndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if strings.IndexByte(rest, '?') >= 0 {
		return badRequest("Header fields in the Request-URI")
	}
	hostPort, _, _ := strings.Cut(rest, ";")
	if !isHostPort(hostPort) {
		return badRequest("Malformed host in the Request-URI")
	}
	return refusal{}
}

// checkTelURI checks the number of a tel URI (RFC 3966 section 3). Whether it is one that
// can be called is for the rules about numbers.
func checkTelURI(rest string) refusal {
	number, _, _ := strings.Cut(rest, ";")
	for i := range len(number) {
		if c := number[i]; !isAlphanumeric(c) && !strings.ContainsRune("+*#-.()%", rune(c)) {
			return badRequest("Malformed number in the Request-URI")
		}
	}
	if number == "" {
		return badRequest("Malformed number in the Request-URI")
	}
	return refusal{}
}

// mostShort is how many digits an emergency number has at most.
const mostShort = 6

// isEmergencyURN reports whether a URN is that of an emergency service (RFC 5031).
func isEmergencyURN(uri string) bool {
	_, emergency := e164.Emergency(uri, 0, nil)
	return emergency
}

func checkMandatory(m *Wire) refusal {
	// RFC 3261 8.1.1. Max-Forwards is mandatory too, but RFC 2543 has none.
	for _, h := range [...]struct {
		id     headerID
		reason string
	}{
		{headerVia, "Missing Via header field"},
		{headerFrom, "Missing From header field"},
		{headerTo, "Missing To header field"},
		{headerCallID, "Missing Call-ID header field"},
		{headerCSeq, "Missing CSeq header field"},
	} {
		if m.first(h.id) == "" {
			return badRequest(h.reason)
		}
	}
	return refusal{}
}

// singleHeaders are those of which the server must know the one value (RFC 3261 7.3.1):
// two elements that each take another one of them would see two different requests. Of
// other fields that may stand once, the first counts.
var singleHeaders = [...]headerID{
	headerFrom, headerTo, headerCallID, headerCSeq, headerContentLength, headerContentType, headerRAck,
}

func checkRepeated(m *Wire) refusal {
	for _, id := range singleHeaders {
		if m.count[id] > 1 && !m.repeatsItself(id) {
			return badRequest("Repeated header field")
		}
	}
	return refusal{}
}

// repeatsItself reports whether all fields of a name say the same. That does no harm where
// no list can be meant.
func (m *Wire) repeatsItself(id headerID) bool {
	if id != headerContentLength && id != headerContentType {
		return false
	}
	value := m.first(id)
	for i := range m.fields {
		if m.fields[i].id == id && m.fields[i].Value != value {
			return false
		}
	}
	return true
}

// cseq splits a CSeq value into number and method.
func cseq(value string) (number, method string) {
	number, method, _ = strings.Cut(strings.ReplaceAll(value, "\t", " "), " ")
	return number, strings.TrimLeft(method, " ")
}

func checkCSeq(m *Wire) refusal {
	number, method := cseq(m.first(headerCSeq))
	// RFC 3261 8.1.1.5: the number is less than 2**31.
	if _, err := strconv.ParseUint(number, 10, 31); err != nil || !isToken(method) {
		return badRequest("Malformed CSeq header field")
	}
	return refusal{}
}

func checkContentLength(m *Wire) refusal {
	if m.count[headerContentLength] == 0 {
		return refusal{}
	}
	length, err := strconv.ParseUint(m.first(headerContentLength), 10, 32)
	if err != nil {
		return badRequest("Malformed Content-Length header field")
	}
	if length > uint64(len(m.body)) {
		return badRequest("Content-Length larger than the body")
	}
	return refusal{}
}

func checkVia(m *Wire) refusal {
	malformed := badRequest("Malformed Via header field")
	read := 0
	for i := range m.fields {
		if m.fields[i].id != headerVia {
			continue
		}
		for rest, more := m.fields[i].Value, true; more; {
			var value string
			var ok bool
			if value, rest, more, ok = cutValue(rest, ','); !ok {
				return malformed
			}
			if value == "" {
				continue
			}
			read++
			via, ok := readVia(value)
			if !ok {
				return malformed
			}
			// The cookie alone promises a unique branch and gives none.
			if via.hasBranch && strings.EqualFold(via.branch, MagicCookie) {
				return badRequest("Empty branch in Via header field")
			}
		}
	}
	if read == 0 {
		return malformed
	}
	return refusal{}
}

// checkOneVia drops what RFC 3261 8.1.3.3 says was not for this element.
func checkOneVia(m *Wire) refusal {
	_, rest, _, ok := cutValue(m.first(headerVia), ',')
	if m.count[headerVia] != 1 || rest != "" || !ok {
		return badRequest("More than one Via value in a response")
	}
	return refusal{}
}

// checkAddresses looks at the addresses without which a request cannot be served: who
// calls whom, how the caller is reached within the dialog, and what is registered.
func checkAddresses(m *Wire) refusal {
	switch {
	case !isOneAddress(m.first(headerFrom)):
		return badRequest("Malformed From header field")
	case !isOneAddress(m.first(headerTo)):
		return badRequest("Malformed To header field")
	}
	switch m.start.method {
	case "REGISTER":
		if all, _ := m.anyAddress(headerContact); !all && m.first(headerContact) != "*" {
			return badRequest("Malformed Contact header field")
		}
	case "INVITE":
		if _, one := m.anyAddress(headerContact); m.count[headerContact] > 0 && !one {
			return badRequest("Malformed Contact header field")
		}
		if all, _ := m.anyAddress(headerRecordRoute); !all {
			return badRequest("Malformed Record-Route header field")
		}
	}
	return refusal{}
}

// isOneAddress reports whether a From or To value can be read, and names one address.
func isOneAddress(value string) bool {
	address, ok := ReadAddress(value)
	if !ok {
		return false
	}
	_, found, ok := parameter(address.Parameters, "tag")
	return ok || found && !strings.Contains(address.Parameters, "<")
}

// anyAddress reports whether all values of a field are addresses, and whether one is.
func (m *Wire) anyAddress(id headerID) (all, one bool) {
	all = true
	for i := range m.fields {
		if m.fields[i].id != id {
			continue
		}
		for rest, more := m.fields[i].Value, true; more; {
			var value string
			var ok bool
			if value, rest, more, ok = cutValue(rest, ','); !ok {
				return false, one
			}
			if value == "" {
				continue
			}
			if _, ok = ReadAddress(value); ok {
				one = true
			} else {
				all = false
			}
		}
	}
	return all, one
}

func checkMethod(m *Wire) refusal {
	switch m.start.method {
	case "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "PRACK", "INFO", "REGISTER":
		return refusal{}
	case "REFER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH":
		return refusal{405, "Method Not Allowed", "Allow: " + allowedMethods}
	}
	return refusal{501, "Not Implemented", "Allow: " + allowedMethods}
}

func checkCSeqMethod(m *Wire) refusal {
	if _, method := cseq(m.first(headerCSeq)); method != m.start.method {
		return badRequest("CSeq method does not match the request")
	}
	return refusal{}
}

// checkElement3261 asks for what RFC 3261 made mandatory, of those elements whose
// branch says they follow it. RFC 2543 elements are served without.
func checkElement3261(m *Wire) refusal {
	top, _, _, _ := cutValue(m.first(headerVia), ',')
	via, _ := readVia(top)
	if len(via.branch) < len(MagicCookie) || !strings.EqualFold(via.branch[:len(MagicCookie)], MagicCookie) {
		return refusal{}
	}
	if !hasTag(m.first(headerFrom)) {
		return badRequest("Missing tag in From header field")
	}
	if m.start.method == "INVITE" && m.first(headerContact) == "" {
		return badRequest("Missing Contact header field")
	}
	return refusal{}
}

// checkRequire answers 420 for extensions the gateway does not know. Those of
// ACK and CANCEL are not looked at (RFC 3261 8.2.2.3).
func checkRequire(m *Wire) refusal {
	if m.start.method == "ACK" || m.start.method == "CANCEL" {
		return refusal{}
	}
	var unsupported []string
	for i := range m.fields {
		if m.fields[i].id != headerRequire {
			continue
		}
		for tag := range strings.SplitSeq(m.fields[i].Value, ",") {
			tag = trimSpace(tag)
			switch {
			case tag == "":
			case !isToken(tag):
				return badRequest("Malformed Require header field")
			case !strings.EqualFold(tag, "timer") && !strings.EqualFold(tag, "100rel"):
				unsupported = append(unsupported, tag)
			}
		}
	}
	if len(unsupported) > 0 {
		return refusal{420, "Bad Extension", "Unsupported: " + strings.Join(unsupported, ", ")}
	}
	return refusal{}
}

// checkHops refuses a call that may go no further. All other requests end at the
// gateway, where Max-Forwards says nothing (RFC 4475 3.3.11).
func checkHops(m *Wire) refusal {
	if hops := m.first(headerMaxForwards); m.start.method == "INVITE" && hops != "" && strings.Trim(hops, "0") == "" {
		return refusal{status: 483, reason: "Too Many Hops"}
	}
	return refusal{}
}

// checkContent refuses a body the gateway cannot read in the methods that carry
// session descriptions (RFC 3261 8.2.3).
func checkContent(m *Wire) refusal {
	switch m.start.method {
	case "INVITE", "UPDATE", "PRACK":
	default:
		return refusal{}
	}
	body := m.body
	if m.count[headerContentLength] > 0 {
		length, err := strconv.ParseUint(m.first(headerContentLength), 10, 32)
		if err != nil || length > uint64(len(body)) {
			return badRequest("Malformed Content-Length header field")
		}
		body = body[:length]
	}
	if len(body) == 0 || isOptional(m.first(headerContentDisposition)) {
		return refusal{}
	}
	if encoding := m.first(headerContentEncoding); m.count[headerContentEncoding] > 1 ||
		(encoding != "" && !strings.EqualFold(encoding, "identity")) {
		return refusal{415, "Unsupported Media Type", "Accept-Encoding: identity"}
	}
	kind := m.first(headerContentType)
	if kind == "" && !looksLikeSDP(body) {
		return badRequest("Missing Content-Type header field")
	}
	if kind != "" && !holdsSDP(kind, body) {
		return refusal{415, "Unsupported Media Type", "Accept: application/sdp"}
	}
	return refusal{}
}

// isOptional reports whether a Content-Disposition lets the receiver ignore the
// body.
func isOptional(disposition string) bool {
	_, parameters, found := strings.Cut(disposition, ";")
	if !found {
		return false
	}
	handling, _, _ := parameter(";"+parameters, "handling")
	return strings.EqualFold(handling, "optional")
}

// holdsSDP reports whether a body is a session description or a multipart with one.
func holdsSDP(contentType string, body []byte) bool {
	if strings.EqualFold(contentType, "application/sdp") {
		return true
	}
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if mediaType == "application/sdp" {
		return true
	}
	if err != nil || !strings.HasPrefix(mediaType, "multipart/") || parameters["boundary"] == "" {
		return false
	}
	delimiter := []byte("--" + parameters["boundary"])
	_, rest, more := bytes.Cut(body, delimiter)
	for more {
		var part []byte
		part, rest, more = bytes.Cut(rest, delimiter)
		head, _, _ := bytes.Cut(part, []byte("\r\n\r\n"))
		for line := range strings.SplitSeq(string(head), "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			value, _, _ = strings.Cut(value, ";")
			if nameOf(trimSpace(name)).id == headerContentType && strings.EqualFold(trimSpace(value), "application/sdp") {
				return true
			}
		}
	}
	return false
}

// checkAccept refuses an INVITE whose answer could carry no session description
// (RFC 4475 3.3.15).
func checkAccept(m *Wire) refusal {
	if m.start.method != "INVITE" || m.count[headerAccept] == 0 {
		return refusal{}
	}
	for i := range m.fields {
		if m.fields[i].id != headerAccept {
			continue
		}
		for media := range strings.SplitSeq(m.fields[i].Value, ",") {
			media, _, _ = strings.Cut(media, ";")
			switch strings.ToLower(strings.ReplaceAll(trimSpace(media), " ", "")) {
			case "application/sdp", "application/*", "*/*":
				return refusal{}
			}
		}
	}
	return refusal{status: 406, reason: "Not Acceptable"}
}
