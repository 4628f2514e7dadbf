package sip

import (
	"bytes"
	"mime"
	"strings"
)

// maxParts bounds the parts of a body: a description, ISUP and a location are three.
const maxParts = 16

// Description is the session description of a body, and what stands around it when
// the body has several parts (RFC 5621), as that of a switch that adds its ISUP.
type Description struct{ head, SDP, tail []byte }

// ContentType is the type of the body. A session description without one, as old gateways
// send it, is told by its first line: the side that gets the body needs its type.
func (m *Message) ContentType() string {
	kind := m.Get("content-type")
	if kind == "" && looksLikeSDP(m.Body) {
		return TypeSDP
	}
	return kind
}

// maxNesting bounds the bodies of several parts that are parts of another.
const maxNesting = 3

// DescriptionIn finds the description of a body.
func DescriptionIn(contentType string, body []byte) (d Description, ok bool) {
	return descriptionIn(contentType, body, maxNesting)
}

func descriptionIn(contentType string, body []byte, nesting int) (d Description, ok bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case kind == TypeSDP:
		return Description{SDP: body}, true
	case err != nil || nesting == 0:
		return d, false
	case !strings.HasPrefix(kind, "multipart/") || parameters["boundary"] == "":
		return d, false
	}
	delimiter := []byte("--" + parameters["boundary"])
	_, begin, more := nextDelimiter(body, delimiter, 0)
	for n := 0; more && n < maxParts; n++ {
		end, next, another := nextDelimiter(body, delimiter, begin)
		if end < 0 {
			return d, false
		}
		if d, ok := descriptionOfPart(body[begin:end], nesting); ok {
			d.head = append(bytes.Clone(body[:begin]), d.head...)
			d.tail = append(bytes.Clone(d.tail), body[end:]...)
			return d, true
		}
		begin, more = next, another
	}
	return d, false
}

// nextDelimiter finds the next line that is the delimiter of parts (RFC 2046 section 5.1.1):
// where the part before it ends, where the next one begins, and whether there is one. end is
// below 0 where there is no such line.
func nextDelimiter(body, delimiter []byte, from int) (end, next int, more bool) {
	for at := from; ; at++ {
		i := bytes.Index(body[at:], delimiter)
		if i < 0 {
			return -1, 0, false
		}
		if at += i; at > 0 && (at < 2 || string(body[at-2:at]) != "\r\n") {
			continue
		}
		line, _, ended := bytes.Cut(body[at+len(delimiter):], []byte("\r\n"))
		rest, last := bytes.CutPrefix(line, []byte("--"))
		if len(bytes.Trim(rest, " \t")) > 0 || !ended && !last {
			continue
		}
		// The line break before the delimiter belongs to it.
		return max(from, at-2), min(len(body), at+len(delimiter)+len(line)+2), !last
	}
}

// descriptionOfPart finds the description of one part.
func descriptionOfPart(part []byte, nesting int) (d Description, ok bool) {
	head, content, found := bytes.Cut(part, []byte("\r\n\r\n"))
	if !found {
		return d, false
	}
	lines, kind := readPartHead(head)
	if d, ok = descriptionIn(kind, content, nesting-1); ok {
		d.head = append(lines, d.head...)
	}
	return d, ok
}

// readPartHead returns the type of a part, and its head without the length, which changes.
func readPartHead(head []byte) (lines []byte, kind string) {
	for rest := string(head); rest != ""; {
		var line string
		line, rest = cutLine(rest)
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(trimSpace(name)) {
		case "content-length", "l":
			continue
		case "content-type", "c":
			kind, _ = unfold(value)
		}
		lines = append(append(lines, line...), "\r\n"...)
	}
	return append(lines, "\r\n"...), kind
}

// looksLikeSDP reports whether a body of no type begins as a session description does.
func looksLikeSDP(body []byte) bool { return bytes.HasPrefix(body, []byte("v=0")) }

// With is the body with another description.
func (d Description) With(sdp []byte) []byte {
	if d.head == nil {
		return sdp
	}
	return bytes.Join([][]byte{d.head, sdp, d.tail}, nil)
}

// TypeSDP is the usual type of a session description.
const TypeSDP = "application/sdp"
