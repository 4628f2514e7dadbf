package siptrace

import (
	"bytes"
	"regexp"
)

// removed stands where a secret was.
const removed = "removed"

var (
	// secretParameter is what a password could be guessed from: without the response
	// and the client's own nonce, nothing can be tried against the rest.
	secretParameter = regexp.MustCompile(`(?i)\b(response|cnonce)(\s*=\s*)("[^"]*"?|[^",\s]+)`)
	digestScheme    = regexp.MustCompile(`(?i)^\s*digest\s`)
	// mediaKey is a key of SRTP in SDP (RFC 4568).
	mediaKey = regexp.MustCompile(`(?im)^(a=crypto:\d+\s+\S+\s+inline:)[^\r\n]*`)
	// legacyKey is a key of SDP itself (RFC 8866 section 5.12).
	legacyKey = regexp.MustCompile(`(?im)^k=[^\r\n]*`)
)

// secretHeaders are those whose value, or a part of it, proves an identity.
var secretHeaders = [][]byte{[]byte("authorization"), []byte("proxy-authorization")}

// tokenHeaders are those whose whole value is a secret.
var tokenHeaders = [][]byte{[]byte("x-telnyx-token"), []byte("x-tollgate-token"), []byte("authentication-info"),
	[]byte("identity")}

// Redact returns a copy of a message without digest responses, tokens and keys of
// media. It does not need the message to be well-formed.
func Redact(text []byte) []byte {
	head, body, found := bytes.Cut(text, []byte("\r\n\r\n"))
	out := make([]byte, 0, len(text))
	var within func([]byte) []byte // what is done to the header field of the line before
	for i, line := range bytes.SplitAfter(head, []byte("\n")) {
		folded := i > 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		if !folded {
			within = treatment(line)
		}
		if within != nil {
			line = within(line)
		}
		out = append(out, line...)
	}
	if !found {
		return out
	}
	out = append(out, "\r\n\r\n"...)
	body = mediaKey.ReplaceAll(body, []byte("${1}"+removed))
	return append(out, legacyKey.ReplaceAll(body, []byte("k="+removed))...)
}

// treatment is what is done to the lines of a header field; nil is nothing.
func treatment(line []byte) func([]byte) []byte {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found {
		return nil
	}
	name = bytes.TrimSpace(name)
	for _, secret := range secretHeaders {
		if bytes.EqualFold(name, secret) {
			if digestScheme.Match(value) {
				return func(line []byte) []byte { return secretParameter.ReplaceAll(line, []byte(`${1}${2}"`+removed+`"`)) }
			}
			return blank
		}
	}
	for _, secret := range tokenHeaders {
		if bytes.EqualFold(name, secret) {
			return blank
		}
	}
	return nil
}

// blank keeps the name and the end of a line.
func blank(line []byte) []byte {
	end := line[len(bytes.TrimRight(line, "\r\n")):]
	name, _, found := bytes.Cut(line, []byte(":"))
	if !found || line[0] == ' ' || line[0] == '\t' {
		return append([]byte(" "+removed), end...)
	}
	return append([]byte(string(name)+": "+removed), end...)
}
