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

// DescriptionIn finds the description of a body.
func DescriptionIn(contentType string, body []byte) (d Description, ok bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case kind == TypeSDP:
		return Description{SDP: body}, true
	case err != nil:
		return d, false
	case !strings.HasPrefix(kind, "multipart/") || parameters["boundary"] == "":
		return d, false
	}
	delimiter := []byte("--" + parameters["boundary"])
	for at, n := bytes.Index(body, delimiter), 0; at >= 0 && n < maxParts; n++ {
		line := bytes.Index(body[at:], []byte("\r\n"))
		if line < 0 {
			return d, false
		}
		begin := at + line + 2
		size := bytes.Index(body[begin:], append([]byte("\r\n"), delimiter...))
		if size < 0 {
			return d, false // the last delimiter was the end
		}
		if head, content, found := bytes.Cut(body[begin:begin+size], []byte("\r\n\r\n")); found {
			if lines, sdp := readPartHead(head); sdp {
				return Description{append(bytes.Clone(body[:begin]), lines...), content, body[begin+size:]}, true
			}
		}
		at = begin + size + 2
	}
	return d, false
}

// readPartHead says whether a part is a session description, and returns its head
// without the length, which changes.
func readPartHead(head []byte) (lines []byte, sdp bool) {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := strings.Cut(string(line), ":")
		switch name = strings.ToLower(trimSpace(name)); name {
		case "content-length", "l":
			continue
		case "content-type", "c":
			kind, _, _ := mime.ParseMediaType(value) // none when the type itself is malformed
			sdp = kind == TypeSDP
		}
		lines = append(append(lines, line...), "\r\n"...)
	}
	return append(lines, "\r\n"...), sdp
}

// looksLikeSDP says whether a body of no type begins as a session description does.
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
