package sip

import (
	"encoding/hex"
	"strings"
)

// MaxUser is what is kept of a user part, in bytes. Longer ones are no numbers.
const MaxUser = 64

// DialledText is what was dialled: the user part of the Request-URI without its
// parameters, the number of a tel URI (RFC 3966), or a service URN as it is.
func DialledText(uri string) string {
	parts, ok := ParseURI(uri)
	if !ok {
		scheme, rest, _ := strings.Cut(uri, ":")
		switch {
		case strings.EqualFold(scheme, "tel"):
			return userText(rest)
		case strings.EqualFold(scheme, "urn"):
			return Kept(uri, MaxUser)
		}
		return ""
	}
	return userText(parts.User)
}

// userText decodes a user part, and cuts parameters such as phone-context off
// (RFC 3261 section 19.1.6).
func userText(user string) string {
	user, _, _ = strings.Cut(user, ";")
	if strings.Contains(user, "%") {
		decoded, ok := unescape(user)
		if !ok {
			return ""
		}
		user = decoded
	}
	return Kept(user, MaxUser)
}

// CallerText is the caller id as presented: the first that is there of
// P-Preferred-Identity, P-Asserted-Identity, Remote-Party-ID and From, the order
// that Telnyx documents. An anonymous caller has none.
func (m *Message) CallerText() string {
	for _, name := range [...]string{"p-preferred-identity", "p-asserted-identity", "remote-party-id", "from"} {
		for value := range values(m.Get(name)) {
			if caller := AddressUser(value); caller != "" {
				return caller
			}
		}
	}
	return ""
}

// AddressUser is the user part of an address, "" for none and for anonymous.
func AddressUser(value string) string {
	address, ok := ReadAddress(value)
	if !ok {
		return ""
	}
	if number, found := strings.CutPrefix(strings.ToLower(address.URI), "tel:"); found {
		return userText(number)
	}
	parts, ok := ParseURI(address.URI)
	if !ok || strings.EqualFold(parts.User, "anonymous") || strings.EqualFold(parts.Host, "anonymous.invalid") {
		return ""
	}
	return userText(parts.User)
}

// PrivacyWanted says whether the caller asked to be anonymous towards the callee.
func (m *Message) PrivacyWanted() bool {
	for value := range strings.SplitSeq(m.Get("privacy"), ";") {
		switch strings.ToLower(trimSpace(value)) {
		case "id", "user", "header":
			return true
		}
	}
	address, ok := ReadAddress(m.From)
	return ok && strings.Contains(strings.ToLower(address.URI), "anonymous@")
}

// unescape replaces the escapes of a part of a URI (RFC 3261 section 25.1).
func unescape(text string) (plain string, ok bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			if i+2 >= len(text) {
				return "", false
			}
			var octet [1]byte
			if _, err := hex.Decode(octet[:], []byte(text[i+1:i+3])); err != nil {
				return "", false
			}
			c = octet[0]
			i += 2
		}
		out = append(out, c)
	}
	return string(out), true
}

// Kept is a copy of a text for records: valid UTF-8 without control characters, of
// at most so many bytes.
func Kept(text string, most int) string {
	return oneLine(strings.ToValidUTF8(strings.Clone(text[:min(len(text), most)]), "?"))
}
