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

// userText decodes a user part, and cuts its parameters off (RFC 3261 section 19.1.6). A
// local number whose phone-context is the beginning of a global one is made global by it
// (RFC 3966 section 5.1.5); a context that is a domain name says nothing that the
// connection does not say.
func userText(user string) string {
	user, parameters, _ := strings.Cut(user, ";")
	if strings.Contains(user, "%") {
		decoded, ok := unescape(user)
		if !ok {
			return ""
		}
		user, parameters, _ = strings.Cut(decoded+";"+parameters, ";")
	}
	if parameters != "" && !strings.HasPrefix(user, "+") {
		if context := phoneContext(parameters); context != "" && !isShort(user, context) {
			user = context + user
		}
	}
	return Kept(user, MaxUser)
}

// phoneContext is the phone-context of a number, "" when it has none that is the
// beginning of a global number.
func phoneContext(parameters string) string {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(trimSpace(name), "phone-context") {
			continue
		}
		if decoded, ok := unescape(trimSpace(value)); ok && strings.HasPrefix(decoded, "+") {
			return decoded
		}
		return ""
	}
	return ""
}

// countryDigits is how many digits a country code has at most.
const countryDigits = 3

// isShort reports whether a number is a short one of a country, as 112 and 911 are: it is
// dialled as it is, and is none behind the code of its country.
func isShort(number, context string) bool {
	return digitsIn(number) <= mostShort && digitsIn(context) <= countryDigits
}

func digitsIn(text string) int {
	digits := 0
	for i := range len(text) {
		if isDigit(text[i]) {
			digits++
		}
	}
	return digits
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

// Privacy is what a caller wants hidden from the callee (RFC 3323 section 4.2, RFC 3325
// section 9.3, RFC 7044 section 10.1.1).
type Privacy struct {
	Number   bool // who calls: name, number, and addresses that tell it
	Name     bool // the display name
	History  bool // who the call was meant for before
	Session  bool // addresses in the session description
	Critical bool // rather no call than one without
}

// privacyValues are the values of Privacy. A value that is not in it asks for a kind that
// is not known, and hides the number to be safe.
var privacyValues = map[string]Privacy{
	"none": {}, "critical": {Critical: true}, "id": {Number: true}, "user": {Number: true},
	"header": {Number: true, History: true}, "session": {Session: true}, "history": {History: true},
}

// rpidPrivacy are the values of the privacy parameter of Remote-Party-ID, by which
// equipment asks that knows no Privacy (draft-ietf-sip-privacy-04 section 5).
var rpidPrivacy = map[string]Privacy{
	"off": {}, "no": {}, "none": {}, "name": {Name: true}, "uri": {Number: true}, "full": {Number: true, Name: true},
}

// Privacy is the privacy that the caller asks for. An explicit "none" has no other effect
// than to name no kind: a From that is anonymous stays so.
func (m *Message) Privacy() Privacy {
	var p Privacy
	for i := range m.Fields {
		switch f := &m.Fields[i]; f.Name {
		case "privacy":
			for value := range strings.FieldsFuncSeq(f.Value, func(r rune) bool { return strings.ContainsRune(";, \t", r) }) {
				p.add(privacyValues, value, Privacy{Number: true})
			}
		case "remote-party-id":
			p.addRemoteParty(f.Value)
		}
	}
	if address, ok := ReadAddress(m.From); ok && strings.Contains(strings.ToLower(address.URI), "anonymous@") {
		p.Number = true
	}
	p.Name = p.Name || p.Number
	return p
}

// addRemoteParty reads the values of a Remote-Party-ID that are about the caller.
func (p *Privacy) addRemoteParty(list string) {
	for value := range values(list) {
		address, ok := ReadAddress(value)
		if party, _ := address.Parameter("party"); !ok || strings.EqualFold(party, "called") {
			continue
		}
		wanted, _ := address.Parameter("privacy")
		// "full-network" and the like say in addition who asked for it.
		wanted, _, _ = strings.Cut(strings.Trim(wanted, `"`), "-")
		p.add(rpidPrivacy, wanted, Privacy{Number: true})
	}
}

func (p *Privacy) add(known map[string]Privacy, value string, otherwise Privacy) {
	if value == "" {
		return
	}
	v, found := known[strings.ToLower(value)]
	if !found {
		v = otherwise
	}
	p.Number, p.Name = p.Number || v.Number, p.Name || v.Name
	p.History, p.Session = p.History || v.History, p.Session || v.Session
	p.Critical = p.Critical || v.Critical
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
