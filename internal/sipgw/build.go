package sipgw

import (
	"strconv"
	"strings"
)

// writer builds a message. What comes from outside goes through field, which
// keeps it on its own line.
type writer struct{ b []byte }

func newWriter() *writer { return &writer{b: make([]byte, 0, 1024)} }

func (w *writer) requestLine(method, uri string) {
	w.b = append(w.b, method...)
	w.b = append(w.b, ' ')
	w.b = append(w.b, oneLine(uri)...)
	w.b = append(w.b, " SIP/2.0\r\n"...)
}

func (w *writer) statusLine(status int, phrase string) {
	w.b = append(w.b, "SIP/2.0 "...)
	w.b = strconv.AppendInt(w.b, int64(status), 10)
	w.b = append(w.b, ' ')
	w.b = append(w.b, oneLine(phrase)...)
	w.b = append(w.b, "\r\n"...)
}

// field writes one header field; an empty value writes nothing.
func (w *writer) field(name, value string) {
	if value == "" {
		return
	}
	w.b = append(w.b, name...)
	w.b = append(w.b, ": "...)
	w.b = append(w.b, oneLine(value)...)
	w.b = append(w.b, "\r\n"...)
}

// lines writes fields that are whole lines already.
func (w *writer) lines(lines string) { w.b = append(w.b, lines...) }

// finish writes the body and returns the message.
func (w *writer) finish(contentType string, body []byte) []byte {
	if len(body) > 0 {
		w.field("Content-Type", contentType)
	}
	w.b = append(w.b, "Content-Length: "...)
	w.b = strconv.AppendInt(w.b, int64(len(body)), 10)
	w.b = append(w.b, "\r\n\r\n"...)
	return append(w.b, body...)
}

// oneLine takes control characters out of a text that is copied into a message,
// so that it can neither end its line nor begin another.
func oneLine(text string) string {
	if !hasControl(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, text)
}

// head is the part of every response to a request that is copied from it: Via,
// From, Call-ID and CSeq. To is written apart, since its tag is added.
func (m *message) head() string {
	w := newWriter()
	for i := range m.fields {
		if m.fields[i].name == "via" {
			w.field("Via", m.fields[i].value)
		}
	}
	w.field("From", m.from)
	w.field("Call-ID", m.callID)
	w.field("CSeq", strconv.FormatUint(uint64(m.cseq), 10)+" "+m.method)
	return string(w.b)
}

// response writes a response to m. extra holds whole lines.
func (m *message) response(status int, phrase, toTag, extra string, body []byte, contentType string) []byte {
	w := newWriter()
	w.statusLine(status, phrase)
	w.lines(m.head())
	w.field("To", withTag(m.to, m.toTag, toTag))
	w.lines(extra)
	return w.finish(contentType, body)
}

func withTag(to, present, tag string) string {
	if present != "" || tag == "" {
		return to
	}
	return to + ";tag=" + tag
}

// line is one header line.
func line(name, value string) string {
	if value == "" {
		return ""
	}
	return name + ": " + oneLine(value) + "\r\n"
}
