package media

import (
	"bytes"
	"strings"
)

// Protection is how the media that a description asks for are protected.
type Protection uint8

// The kinds of protection.
const (
	Nothing Protection = iota // no stream is in use
	Clear                     // no stream is encrypted
	Mixed                     // some are
	Sealed                    // all are
)

// ProtectionOf reads what a body asks for: a description, or several parts with one
// among them. A stream is encrypted when it is SRTP and its keys are given, in the
// description (RFC 4568) or by DTLS (RFC 5763). One of port 0 is not in use, unless
// it shares the port of another (RFC 9143). A plain stream stays one with keys beside
// it, and so does one that only might be changed (RFC 5939).
func ProtectionOf(body []byte) Protection {
	var found Protection
	session, stream := section{}, section{}
	end := func() {
		if !stream.used && !stream.bundled {
			return
		}
		kind := Clear
		if stream.encrypted(&session) {
			kind = Sealed
		}
		if found == Nothing {
			found = kind
		} else if found != kind {
			found = Mixed
		}
	}
	inStream := false
	for line := range bytes.FieldsFuncSeq(body, func(r rune) bool { return r == '\r' || r == '\n' }) {
		text := string(line)
		switch {
		case strings.HasPrefix(text, "m="):
			if inStream {
				end()
			}
			inStream, stream = true, newSection(text)
		case strings.HasPrefix(text, "v=0"):
			if inStream {
				end()
			}
			inStream, session, stream = false, section{}, section{}
		case inStream:
			stream.read(text)
		default:
			session.read(text)
		}
	}
	if inStream {
		end()
	}
	return found
}

// SealedByKeys reports whether every stream of a body is encrypted by keys in it (RFC 4568),
// which a relay can take off.
func SealedByKeys(body []byte) bool {
	return ProtectionOf(body) == Sealed && !bytes.Contains(bytes.ToUpper(body), []byte("/TLS/"))
}

// section is a stream of a description, or what stands before the first.
type section struct {
	used, bundled      bool
	protocol           string
	keyed, fingerprint bool
}

func newSection(line string) section {
	fields := strings.Fields(line[2:])
	if len(fields) < 3 {
		return section{}
	}
	port, _, _ := strings.Cut(fields[1], "/")
	return section{used: strings.Trim(port, "0") != "", protocol: strings.ToUpper(fields[2])}
}

func (s *section) read(line string) {
	switch {
	case strings.HasPrefix(line, "a=crypto:"):
		s.keyed = s.keyed || isKey(line)
	case strings.HasPrefix(line, "a=fingerprint:"):
		s.fingerprint = true
	case line == "a=bundle-only":
		s.bundled = true
	}
}

func (s *section) encrypted(session *section) bool {
	switch {
	case s.protocol == "RTP/SAVP" || s.protocol == "RTP/SAVPF":
		return s.keyed || session.keyed
	case strings.Contains(s.protocol, "/TLS/") || strings.Contains(s.protocol, "/DTLS/"):
		return s.fingerprint || session.fingerprint
	}
	return false
}

// isKey reports whether an a=crypto line encrypts: one may also agree on no encryption
// (RFC 4568 section 6.3).
func isKey(line string) bool {
	fields := strings.Fields(strings.TrimPrefix(line, "a=crypto:"))
	if len(fields) < 3 || strings.HasPrefix(strings.ToUpper(fields[1]), "NULL") ||
		!strings.HasPrefix(fields[2], "inline:") {
		return false
	}
	for _, parameter := range fields[3:] {
		if strings.HasPrefix(parameter, "UNENCRYPTED") || strings.HasPrefix(parameter, "UNAUTHENTICATED") {
			return false
		}
	}
	return true
}
