package sipgw

import (
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// fromHeader is the From of the carrier's leg, without its tag. A caller that asks
// for privacy is anonymous there (RFC 3323).
func (a *attempt) fromHeader() string {
	if a.s.private || a.s.from == 0 {
		return `"Anonymous" <sip:anonymous@anonymous.invalid>`
	}
	return "<sip:" + a.callerUser() + ">"
}

func (a *attempt) callerUser() string {
	host := a.s.sh.srv.transport.Own(transport.Peer{}).Host
	if a.gateway.FromDomain != nil && *a.gateway.FromDomain != "" {
		host = *a.gateway.FromDomain
	}
	return a.gateway.CallerPart(a.s.from) + "@" + host
}

// identityLines tell the carrier, and only it, who the caller is, in the headers
// that the connection says. Nothing of what the caller sent in these headers goes
// on: what stands here is the number that was decided upon. It is asserted only when
// it is confirmed for the connection; no other number has been screened.
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
		_, emergency := s.machine.Emergency()
		asserted = s.private || emergency
	}
	lines, address := "", "<sip:"+a.callerUser()+">"
	if asserted && s.confirmed {
		lines += sip.Line("P-Asserted-Identity", address) // RFC 3325 section 9.1
	}
	if party {
		privacy := "off"
		if s.private {
			privacy = "full"
		}
		lines += sip.Line("Remote-Party-ID", address+";party=calling;screen="+yesOrNo(s.confirmed)+";privacy="+privacy)
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
	return m.Privacy().Number
}

// The most of what a call says of its earlier destinations that goes on to the
// carrier. A longer history is a loop or an attack, and its oldest part is of no use.
const (
	maxDiversions    = 5  // RFC 5806
	maxHistory       = 10 // RFC 7044
	maxDiversionSize = 256
)

// diversionLines copies Diversion and History-Info, newest first, within limits. What
// they name must be the connection's to show, where it says which numbers are.
func (s *session) diversionLines(m *message) string {
	var b strings.Builder
	kept := 0
	for _, value := range m.All("diversion") {
		if kept >= maxDiversions {
			break
		}
		if said, ok := s.diversion(value, true); ok {
			b.WriteString(sip.Line("Diversion", said))
			kept++
		}
	}
	history := m.All("history-info")
	if m.Privacy().History {
		history = nil // RFC 7044 section 10.1.1
	}
	// The newest entry of History-Info is the last one.
	for _, value := range history[max(0, len(history)-maxHistory):] {
		if said, ok := s.diversion(value, false); ok {
			b.WriteString(sip.Line("History-Info", said))
		}
	}
	return b.String()
}

// diversion is an entry as it goes on to the carrier: without a name, which could say
// anything, and screened only when its number is confirmed.
func (s *session) diversion(value string, screened bool) (said string, ok bool) {
	address, ok := sip.ReadAddress(value)
	if !ok || len(value) > maxDiversionSize {
		return "", false
	}
	c := s.connected
	number, err := e164.Normalise(sip.AddressUser(value), c.Home)
	if err != nil {
		number = 0
	}
	ids := &c.CallerIDs
	foreign := !ids.Listed.Empty() && ids.OnMismatch != policy.MismatchPass && !ids.Listed.Has(number)
	if foreign && (number == 0 || number != s.to) {
		return "", false
	}
	said = "<" + sip.PlainURI(address.URI, !screened) + ">"
	parameters := address.Parameters
	if strings.Contains(parameters, `"`) {
		parameters = "" // it could hide anything
	}
	for param := range strings.SplitSeq(parameters, ";") {
		name, _, _ := strings.Cut(param, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if name != "" && (name != "screen" || !screened) {
			said += ";" + strings.Trim(param, " \t")
		}
	}
	if screened {
		said += ";screen=" + yesOrNo(s.sh.srv.config.Live.Snapshot().Confirms(c, number))
	}
	return said, true
}

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
