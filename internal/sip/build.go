package sip

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// Writer builds a message, in a buffer that the next one uses again. What comes from
// outside goes through field, which keeps it on its own line. A writer ends with
// finish, bytes or text and must not be used after that.
type Writer struct{ b []byte }

// writers are those not in use.
var writers = sync.Pool{New: func() any { return &Writer{b: make([]byte, 0, 2048)} }}

// maxIdleWriter bounds the buffer of a writer that is kept for the next message.
const maxIdleWriter = 16 << 10

// NewWriter returns an empty writer.
func NewWriter() *Writer { return writers.Get().(*Writer) }

// bytes returns a copy of what was written, of its exact size.
func (w *Writer) bytes() []byte {
	out := bytes.Clone(w.b)
	w.release()
	return out
}

// Text is bytes as a string.
func (w *Writer) Text() string {
	out := string(w.b)
	w.release()
	return out
}

func (w *Writer) release() {
	if cap(w.b) <= maxIdleWriter {
		w.b = w.b[:0]
		writers.Put(w)
	}
}

// RequestLine begins a request.
func (w *Writer) RequestLine(method, uri string) {
	w.b = append(w.b, method...)
	w.b = append(w.b, ' ')
	w.b = append(w.b, oneLine(uri)...)
	w.b = append(w.b, " SIP/2.0\r\n"...)
}

func (w *Writer) statusLine(status int, phrase string) {
	w.b = append(w.b, "SIP/2.0 "...)
	w.b = strconv.AppendInt(w.b, int64(status), 10)
	w.b = append(w.b, ' ')
	w.b = append(w.b, oneLine(phrase)...)
	w.b = append(w.b, "\r\n"...)
}

// Field writes one header field; an empty value writes nothing.
func (w *Writer) Field(name, value string) {
	if value == "" {
		return
	}
	w.b = append(w.b, name...)
	w.b = append(w.b, ": "...)
	w.b = append(w.b, oneLine(value)...)
	w.b = append(w.b, "\r\n"...)
}

// Lines writes fields that are whole lines already.
func (w *Writer) Lines(lines string) { w.b = append(w.b, lines...) }

// CSeq writes a CSeq.
func (w *Writer) CSeq(number uint32, method string) {
	w.b = append(w.b, "CSeq: "...)
	w.b = strconv.AppendUint(w.b, uint64(number), 10)
	w.b = append(w.b, ' ')
	w.b = append(w.b, method...)
	w.b = append(w.b, "\r\n"...)
}

// Via writes the Via of a request of ours to a peer.
func (w *Writer) Via(transport, sentBy, branch string) {
	w.b = append(w.b, "Via: SIP/2.0/"...)
	w.b = append(w.b, transport...)
	w.b = append(w.b, ' ')
	w.b = append(w.b, sentBy...)
	w.b = append(w.b, ";branch="...)
	w.b = append(w.b, branch...)
	w.b = append(w.b, ";rport\r\n"...)
}

// Finish writes the body and returns the message.
func (w *Writer) Finish(contentType string, body []byte) []byte {
	if len(body) > 0 {
		w.Field("Content-Type", contentType)
	}
	w.b = append(w.b, "Content-Length: "...)
	w.b = strconv.AppendInt(w.b, int64(len(body)), 10)
	w.b = append(w.b, "\r\n\r\n"...)
	w.b = append(w.b, body...)
	return w.bytes()
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

// head writes the part of every response to a request that is copied from it: Via,
// From, Call-ID and CSeq. To is written apart, since its tag is added.
func (w *Writer) head(m *Message) {
	for i := range m.Fields {
		if m.Fields[i].id == headerVia {
			w.Field("Via", m.Fields[i].Value)
		}
	}
	w.Field("From", m.From)
	w.Field("Call-ID", m.CallID)
	w.CSeq(m.CSeq, m.Method)
}

// Response writes a response to m. extra holds whole lines.
func (m *Message) Response(status int, phrase, toTag, extra string, body []byte, contentType string) []byte {
	w := NewWriter()
	w.statusLine(status, phrase)
	w.head(m)
	w.Field("To", withTag(m.To, m.ToTag, toTag))
	w.Lines(extra)
	return w.Finish(contentType, body)
}

func withTag(to, present, tag string) string {
	if present != "" || tag == "" {
		return to
	}
	return to + ";tag=" + tag
}

// Line is one header line.
func Line(name, value string) string {
	if value == "" {
		return ""
	}
	return name + ": " + oneLine(value) + "\r\n"
}

// LineAllow is the methods that the server accepts.
const LineAllow = "Allow: " + allowedMethods + "\r\n"
