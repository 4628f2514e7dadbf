package sip

import (
	"bytes"
	"strconv"
	"strings"
)

// Frame finds the first message in a stream: how many bytes to skip before it, and
// its size, 0 while it is incomplete. broken means that its end cannot be found,
// so that the connection is of no more use (RFC 3261 section 18.3).
func Frame(buffer []byte) (size, skip int, broken bool) {
	// Empty lines between messages keep connections alive (RFC 3261 section 7.5).
	for len(buffer)-skip >= 2 && buffer[skip] == '\r' && buffer[skip+1] == '\n' {
		skip += 2
	}
	rest := buffer[skip:]
	end := bytes.Index(rest, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, skip, len(rest) > MaxMessageBytes
	}
	length, ok := contentLength(rest[:end+2])
	size = end + 4 + length
	if !ok || size > MaxMessageBytes {
		return 0, skip, true
	}
	if size > len(rest) {
		return 0, skip, false
	}
	return size, skip, false
}

// contentLength finds the Content-Length in the header section of a message.
func contentLength(head []byte) (length int, ok bool) {
	text := string(head)
	for text != "" {
		var line string
		line, text = cutLine(text)
		name, value, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		name = strings.TrimRight(name, " \t")
		if !strings.EqualFold(name, "content-length") && !strings.EqualFold(name, "l") {
			continue
		}
		value, _ = unfold(value)
		n, err := strconv.ParseUint(value, 10, 31)
		return int(n), err == nil
	}
	return 0, false
}
