package sip

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
)

// digester hashes the parts of a digest (RFC 7616 section 3.4.1).
type digester struct{ hash.Hash }

// digesterOf finds an algorithm, in any case; "" is MD5.
func digesterOf(algorithm string) (d digester, ok bool) {
	switch strings.ToUpper(algorithm) {
	case "", "MD5":
		return digester{md5.New()}, true
	case "SHA-256":
		return digester{sha256.New()}, true
	case "SHA-512":
		return digester{sha512.New()}, true
	case "SHA-512-256":
		return digester{sha512.New512_256()}, true
	}
	return digester{}, false
}

// sum is the hash of parts with colons between them, in hexadecimal.
func (d digester) sum(parts ...string) string {
	d.Reset()
	d.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(d.Sum(nil))
}

// sumBody is the hash of a body.
func (d digester) sumBody(body []byte) string {
	d.Reset()
	d.Write(body)
	return hex.EncodeToString(d.Sum(nil))
}

// IsDigest says whether a challenge or an answer to one is of the scheme Digest.
func IsDigest(value string) bool {
	const scheme = "Digest "
	return len(value) >= len(scheme) && strings.EqualFold(value[:len(scheme)], scheme)
}

// digestParameters gives each parameter of a challenge or an answer, and says whether all
// are well formed.
func digestParameters(value string, each func(name, value string)) bool {
	if !IsDigest(value) {
		return false
	}
	_, rest, _ := strings.Cut(value, " ")
	for rest = trimSpace(rest); rest != ""; {
		name := rest[:identEnd(rest)]
		rest = trimLeft(rest[len(name):])
		if rest == "" || rest[0] != '=' {
			return false
		}
		rest = trimLeft(rest[1:])
		end := identEnd(rest)
		text := rest[:end]
		if strings.HasPrefix(rest, `"`) {
			if end = quotedEnd(rest); end < 0 {
				return false
			}
			text = unquote(rest[:end])
		}
		each(name, text)
		if rest = trimLeft(rest[end:]); rest == "" {
			return true
		}
		if rest[0] != ',' {
			return false
		}
		if rest = trimLeft(rest[1:]); rest == "" {
			return false
		}
	}
	return true
}

// identEnd is the length of the name or plain value that a text begins with.
func identEnd(s string) int {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' {
			return i
		}
	}
	return len(s)
}

// unquote is what a quoted string says.
func unquote(s string) string {
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}

// quote writes a quoted string.
func quote(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) + `"`
}
