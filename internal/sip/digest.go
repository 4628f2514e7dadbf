package sip

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"iter"
	"slices"
	"strings"
)

// digester hashes the parts of a digest (RFC 7616 section 3.4.1).
type digester struct{ hash.Hash }

// algorithms are those that are known, the strongest last. Each may have the ending of a
// session (RFC 7616 section 3.4.2).
var algorithms = [...]string{"MD5", "SHA-256", "SHA-512-256", "SHA-512"}

const sessionEnding = "-SESS"

// isSession reports whether the hash of the user holds for a nonce alone.
func isSession(algorithm string) bool {
	return strings.HasSuffix(strings.ToUpper(algorithm), sessionEnding)
}

// strengthOf orders algorithms; that of an unknown one is 0.
func strengthOf(algorithm string) int {
	if algorithm == "" {
		return 1
	}
	return 1 + slices.Index(algorithms[:], strings.TrimSuffix(strings.ToUpper(algorithm), sessionEnding))
}

// digesterOf finds an algorithm, in any case; "" is MD5.
func digesterOf(algorithm string) (d digester, ok bool) {
	switch strings.TrimSuffix(strings.ToUpper(algorithm), sessionEnding) {
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

// IsDigest reports whether a challenge or an answer to one is of the scheme Digest.
func IsDigest(value string) bool {
	const scheme = "Digest "
	return len(value) >= len(scheme) && strings.EqualFold(value[:len(scheme)], scheme)
}

// digestParameters gives each parameter of a challenge or an answer, and reports whether all
// are well formed.
func digestParameters(value string, each func(name, value string)) bool {
	if !IsDigest(value) {
		return false
	}
	_, rest, _ := strings.Cut(value, " ")
	for rest = skipCommas(rest); rest != ""; {
		name := rest[:identEnd(rest)]
		rest = trimLeft(rest[len(name):])
		if rest == "" || rest[0] != '=' {
			return false
		}
		rest = trimLeft(rest[1:])
		end := plainEnd(rest)
		text := trimSpace(rest[:end])
		if strings.HasPrefix(rest, `"`) {
			if end = quotedEnd(rest); end < 0 {
				return false
			}
			text = unquote(rest[:end])
		}
		each(strings.ToLower(name), text)
		if rest = trimLeft(rest[end:]); rest != "" && rest[0] != ',' {
			return false
		}
		rest = skipCommas(rest)
	}
	return true
}

// skipCommas leaves out commas and space; there may be more of them than needed.
func skipCommas(s string) string { return strings.TrimLeft(s, ", \t\r\n") }

// plainEnd is the length of a value without quotes.
func plainEnd(s string) int {
	if end := strings.IndexByte(s, ','); end >= 0 {
		return end
	}
	return len(s)
}

// eachChallenge gives each challenge of a header field that has several (RFC 9110 section
// 11.6.1): a new one begins with a scheme and a space.
func eachChallenge(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := skipCommas(value); rest != ""; {
			end := challengeEnd(rest)
			if !yield(strings.TrimRight(rest[:end], ", \t\r\n")) {
				return
			}
			rest = skipCommas(rest[end:])
		}
	}
}

// challengeEnd is the length of the first challenge of several.
func challengeEnd(s string) int {
	for at := 0; at < len(s); {
		switch s[at] {
		case '"':
			end := quotedEnd(s[at:])
			if end < 0 {
				return len(s)
			}
			at += end
		case ',':
			next := skipCommas(s[at:])
			at = len(s) - len(next)
			scheme := identEnd(next)
			if after := trimLeft(next[scheme:]); scheme > 0 && len(after) < len(next)-scheme && after != "" &&
				after[0] != '=' && after[0] != ',' {
				return at
			}
		default:
			at++
		}
	}
	return len(s)
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
