package sipgw

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// writer builds a message, in a buffer that the next one uses again. What comes from
// outside goes through field, which keeps it on its own line. A writer ends with
// finish, bytes or text and must not be used after that.
type writer struct{ b []byte }

// writers are those not in use.
var writers = sync.Pool{New: func() any { return &writer{b: make([]byte, 0, 2048)} }}

// maxIdleWriter bounds the buffer of a writer that is kept for the next message.
const maxIdleWriter = 16 << 10

func newWriter() *writer { return writers.Get().(*writer) }

// bytes returns a copy of what was written, of its exact size.
func (w *writer) bytes() []byte {
	out := bytes.Clone(w.b)
	w.release()
	return out
}

// text is bytes as a string.
func (w *writer) text() string {
	out := string(w.b)
	w.release()
	return out
}

func (w *writer) release() {
	if cap(w.b) <= maxIdleWriter {
		w.b = w.b[:0]
		writers.Put(w)
	}
}

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

// cseq writes a CSeq.
func (w *writer) cseq(number uint32, method string) {
	w.b = append(w.b, "CSeq: "...)
	w.b = strconv.AppendUint(w.b, uint64(number), 10)
	w.b = append(w.b, ' ')
	w.b = append(w.b, method...)
	w.b = append(w.b, "\r\n"...)
}

// via writes the Via of a request of ours to a peer.
func (w *writer) via(srv *Server, to peer, branch string) {
	w.b = append(w.b, "Via: SIP/2.0/"...)
	w.b = append(w.b, to.transportName()...)
	w.b = append(w.b, ' ')
	w.b = append(w.b, srv.ownAddress(to)...)
	w.b = append(w.b, ";branch="...)
	w.b = append(w.b, branch...)
	w.b = append(w.b, ";rport\r\n"...)
}

// finish writes the body and returns the message.
func (w *writer) finish(contentType string, body []byte) []byte {
	if len(body) > 0 {
		w.field("Content-Type", contentType)
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
func (w *writer) head(m *message) {
	for i := range m.fields {
		if m.fields[i].id == headerVia {
			w.field("Via", m.fields[i].value)
		}
	}
	w.field("From", m.from)
	w.field("Call-ID", m.callID)
	w.cseq(m.cseq, m.method)
}

// response writes a response to m. extra holds whole lines.
func (m *message) response(status int, phrase, toTag, extra string, body []byte, contentType string) []byte {
	w := newWriter()
	w.statusLine(status, phrase)
	w.head(m)
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
