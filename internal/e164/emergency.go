package e164

import (
	"slices"
	"strings"
)

// maxEmergencyDigits is the longest emergency number there is, and also the limit
// for one with a prefix before it. No international number is that short. What is
// sent on is always an entry of the table and never the dialled text, so nothing
// that passes as an emergency call can become a toll call.
const maxEmergencyDigits = 6

// Emergency reports whether what the caller dialled connects to an emergency
// service, and the number to send on. It must be asked before Normalise and before
// any rule, because no rule may stop such a call, and it never looks at what
// follows an emergency number: "911" with more digits is not one.
//
// These forms count, with visual separators anywhere:
//
//   - an emergency number of the home country (libphonenumber's short numbers);
//   - 112 and 911 everywhere. Handsets treat both as emergency numbers in every
//     country (3GPP TS 22.101 section 10.1), ITU-T E.161.1 names them as the
//     alternatives to a country's own, and no subscriber has them;
//   - the same after a plus, or after plus and the home's calling code ("+1911"),
//     as some PBXs write whatever they dial in international form;
//   - the same after the home's trunk prefix ("1911" in the US, "0112" in Germany);
//   - 9911 where the home dials +1: 911 behind a PBX that has 9 for an outside line;
//   - an entry of extra, exactly as dialled. The entries are the operator's, and
//     are sent on as they are: the caller must limit the list to short numbers.
//
// home 0 knows 112 and 911 only, with the prefixes of the North American plan.
//
// A service URN for emergencies (RFC 5031: urn:service:sos and what is below it) is
// the country's own 911, or 112; and what stands behind a semicolon, such as a
// phone-context (RFC 3966), or tel: before it, changes nothing.
func Emergency(dialled string, home Country, extra []string) (number string, ok bool) {
	if sosURN(dialled) {
		return home.generalEmergency(), true
	}
	if len(dialled) > len(telScheme) && strings.EqualFold(dialled[:len(telScheme)], telScheme) {
		dialled = dialled[len(telScheme):]
	}
	dialled, _, _ = strings.Cut(dialled, ";")
	if dialled == "" || len(dialled) > MaxDialled {
		return "", false
	}
	for _, entry := range extra {
		if entry == dialled {
			return entry, true
		}
	}
	digits, plus, ok := stripSeparators(dialled)
	if !ok {
		return "", false
	}
	if len(digits) > maxEmergencyDigits {
		return "", false
	}
	row := home.dial()
	if found, ok := row.emergencyNumber(digits); ok {
		return found, true
	}
	if rest, ok := row.cutPrefix(digits, plus); ok {
		return row.emergencyNumber(rest)
	}
	return "", false
}

const (
	telScheme  = "tel:"
	sosService = "urn:service:sos"
)

// sosURN reports whether a text is urn:service:sos or a service below it, such as
// urn:service:sos.police. The parts of such a URN have no case (RFC 5031 section 4).
func sosURN(text string) bool {
	if len(text) < len(sosService) || !strings.EqualFold(text[:len(sosService)], sosService) {
		return false
	}
	rest := text[len(sosService):]
	return rest == "" || rest[0] == '.' && len(rest) > 1
}

// generalEmergency is the number that connects to every emergency service of the
// country: 911 where that is its own number, else 112.
func (c Country) generalEmergency() string {
	if row := c.dial(); row.code == 1 || slices.Contains(strings.Fields(row.emergency), "911") {
		return "911"
	}
	return "112"
}

// cutPrefix removes what may stand before an emergency number: the calling code
// after a plus, else the trunk prefix or the 9 of a North American PBX. A caller of
// no known home may be behind a North American PBX too, whose forms of 911 are too
// short to be anything else.
func (r *dialRow) cutPrefix(digits string, plus bool) (rest string, ok bool) {
	code, trunk := r.code, r.trunk
	if code == 0 {
		code, trunk = 1, "1"
	}
	if plus {
		return cutCallingCode(digits, code)
	}
	if code == 1 && digits == "9911" {
		return "911", true
	}
	if trunk == "" {
		return "", false
	}
	return strings.CutPrefix(digits, trunk)
}

// emergencyNumber finds digits among the country's emergency numbers. The result
// is a part of the table, never of the argument.
func (r *dialRow) emergencyNumber(digits string) (string, bool) {
	switch digits {
	case "112":
		return "112", true
	case "911":
		return "911", true
	}
	for list := r.emergency; list != ""; {
		var number string
		number, list, _ = strings.Cut(list, " ")
		if number == digits {
			return number, true
		}
	}
	return "", false
}

// EmergencyNumbers lists the emergency numbers of a country that the metadata
// knows, besides 112 and 911, which Emergency accepts in every country.
func EmergencyNumbers(home Country) []string {
	return strings.Fields(home.dial().emergency)
}
