package sipgw

import "strings"

// fromHeader is the From of the carrier's leg, without its tag. A caller that asks
// for privacy is anonymous there (RFC 3323).
func (a *attempt) fromHeader() string {
	if a.s.private || a.s.from == 0 {
		return `"Anonymous" <sip:anonymous@anonymous.invalid>`
	}
	return "<sip:" + a.callerUser() + ">"
}

func (a *attempt) callerUser() string {
	host := a.s.sh.g.host
	if a.gateway.FromDomain != nil && *a.gateway.FromDomain != "" {
		host = *a.gateway.FromDomain
	}
	return a.gateway.CallerPart(a.s.from) + "@" + host
}

// identityLines tell the carrier, and only it, who the caller is, in the headers
// that the connection says. Nothing of what the caller sent in these headers goes
// on: what stands here is the number that was decided upon.
func (a *attempt) identityLines() string {
	s := a.s
	if s.from == 0 {
		return ""
	}
	asserted, party := false, false
	switch s.connected.CallerIDHeaders {
	case "p-asserted-identity":
		asserted = true
	case "remote-party-id":
		party = true
	case "both":
		asserted, party = true, true
	case "none":
	default:
		asserted = s.private
	}
	lines, address := "", "<sip:"+a.callerUser()+">"
	if asserted {
		lines += line("P-Asserted-Identity", address) // RFC 3325 section 9.1
	}
	if party {
		privacy := "off"
		if s.private {
			privacy = "full"
		}
		lines += line("Remote-Party-ID", address+";party=calling;screen=yes;privacy="+privacy)
	}
	if s.private {
		lines += "Privacy: id\r\n" // RFC 3323 section 4.2, RFC 3325 section 9.3
	}
	return lines
}

// privacy says whether the caller is to be anonymous towards the callee.
func (s *session) privacy(m *message) bool {
	switch s.connected.CallerPrivacy {
	case "always":
		return true
	case "never":
		return false
	}
	return privacyWanted(m)
}

// The most of what a call says of its earlier destinations that goes on to the
// carrier. A longer history is a loop or an attack, and its oldest part is of no use.
const (
	maxDiversions    = 5  // RFC 5806
	maxHistory       = 10 // RFC 7044
	maxDiversionSize = 256
)

// diversionLines copies Diversion and History-Info, newest first, within limits.
func diversionLines(m *message) string {
	var b strings.Builder
	copyValues(&b, "Diversion", m.all("diversion"), maxDiversions)
	history := m.all("history-info")
	// The newest entry of History-Info is the last one.
	copyValues(&b, "History-Info", history[max(0, len(history)-maxHistory):], maxHistory)
	return b.String()
}

func copyValues(b *strings.Builder, name string, values []string, most int) {
	for _, value := range values[:min(len(values), most)] {
		if _, ok := readAddress(value); ok && len(value) <= maxDiversionSize {
			b.WriteString(line(name, value))
		}
	}
}
