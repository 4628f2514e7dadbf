package sip

import "bytes"

// CallIDOf finds the Call-ID of a message without parsing it; nil when there is none.
func CallIDOf(data []byte) []byte {
	return HeaderOf(data, "call-id", 'i')
}

// IsNewCall reports whether a message is an INVITE outside any dialog.
func IsNewCall(data []byte) bool {
	return bytes.HasPrefix(data, []byte("INVITE ")) && !bytes.Contains(HeaderOf(data, "to", 't'), []byte("tag="))
}

// HeaderOf finds the value of a header field by its long or its compact name,
// unless it is folded right after the colon.
func HeaderOf(data []byte, long string, short byte) []byte {
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 || end+1 >= len(data) {
			return nil
		}
		data = data[end+1:]
		if data[0] == '\r' || data[0] == '\n' {
			return nil // the end of the header section
		}
		colon := bytes.IndexByte(data[:min(len(data), len(long)+8)], ':')
		if colon < 0 {
			continue
		}
		name := bytes.TrimRight(data[:colon], " \t")
		if (len(name) != 1 || name[0]|0x20 != short) && !bytes.EqualFold(name, []byte(long)) {
			continue
		}
		value := data[colon+1:]
		if end := bytes.IndexByte(value, '\n'); end >= 0 {
			value = value[:end]
		}
		return bytes.TrimSpace(value)
	}
}

// RequestURIOf finds the Request-URI without parsing the request.
func RequestURIOf(request []byte) []byte {
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	_, rest, _ := bytes.Cut(line, []byte(" "))
	uri, _, _ := bytes.Cut(rest, []byte(" "))
	return uri
}
