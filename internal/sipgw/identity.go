package sipgw

import (
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
)

// fromHeader is the From of the carrier's leg, without its tag. A caller that asks
// for privacy is anonymous there (RFC 3323).
func (a *attempt) fromHeader() string {
	if a.s.private || a.s.from == 0 {
		return `"Anonymous" <sip:anonymous@anonymous.invalid>`
	}
	return sip.Named(a.s.callerName(), "sip:"+a.callerUser())
}

// callerName is the display name that the callee is shown: that of From. Those of
// P-Asserted-Identity and Remote-Party-ID claim to be screened, and are not. A name does
// not stay with a number that took the place of the caller's own, but in an emergency call.
func (s *session) callerName() string {
	name := ""
	if s.invite != nil {
		name = sip.DisplayName(s.invite.From)
	}
	if name == "" {
		return ""
	}
	if _, emergency := s.machine.Emergency(); !emergency {
		own, err := e164.Normalise(s.invite.CallerText(), s.connected.Home)
		if err != nil || own != s.from || s.connected.CallerPrivacy != "never" && s.invite.Privacy().Name {
			return ""
		}
	}
	return name
}

// visual are the separators of a number (RFC 3966 section 5.1.1), and what stands before one
// that is global.
var visual = strings.NewReplacer("+", "", "-", "", ".", "", "(", "", ")", "", " ", "")

func sameNumber(a, b string) bool { return visual.Replace(a) == visual.Replace(b) }

func (a *attempt) callerUser() string {
	host := a.s.sh.srv.transport.Own(a.leg.peer).Host
	if a.gateway.FromDomain != nil && *a.gateway.FromDomain != "" {
		host = *a.gateway.FromDomain
	}
	return a.gateway.CallerPart(a.s.from) + "@" + host
}

// shownIn says in which headers the carrier, and only it, is told who the caller is, as
// the connection wants it. Nothing of what the caller sent in these headers goes on:
// what stands there is the number that was decided upon.
func (s *session) shownIn() (asserted, party bool) {
	switch s.connected.CallerIDHeaders {
	case "p-asserted-identity":
		return true, false
	case "remote-party-id":
		return false, true
	case "both":
		return true, true
	case "none":
		return false, false
	}
	_, emergency := s.machine.Emergency()
	return s.private || emergency, false
}

// assertedIdentity names the caller (RFC 3325 section 9.1), only when the number is
// confirmed for the connection: no other number has been screened.
func assertedIdentity(p passage) string {
	if asserted, _ := p.s.shownIn(); !asserted || !p.s.confirmed || p.s.from == 0 {
		return ""
	}
	return sip.Line("P-Asserted-Identity", "<sip:"+p.attempt.callerUser()+">")
}

// remoteParty names the caller, and says whether the number is confirmed.
func remoteParty(p passage) string {
	if _, party := p.s.shownIn(); !party || p.s.from == 0 {
		return ""
	}
	privacy := "off"
	if p.s.private {
		privacy = "full"
	}
	return sip.Line("Remote-Party-ID", "<sip:"+p.attempt.callerUser()+">;party=calling;screen="+
		yesOrNo(p.s.confirmed)+";privacy="+privacy)
}

// privacyID keeps the headers that name the caller from the callee (RFC 3323 section 4.2,
// RFC 3325 section 9.3).
func privacyID(p passage) string {
	if !p.s.private || p.s.from == 0 {
		return ""
	}
	return "Privacy: id\r\n"
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

// diversions copies Diversion, newest first, within limits. What it names must be the
// connection's to show, where it says which numbers are.
func diversions(p passage) string {
	if !p.s.connected.PassDiversions && !p.lists("Diversion") {
		return ""
	}
	var b strings.Builder
	kept := 0
	for _, value := range p.m.All("diversion") {
		if kept >= maxDiversions {
			break
		}
		if said, ok := p.s.diversion(value, true); ok {
			b.WriteString(sip.Line("Diversion", said))
			kept++
		}
	}
	return b.String()
}

// history copies History-Info in the same way. Its newest entry is the last one.
func history(p passage) string {
	wanted := p.s.connected.PassDiversions || p.lists("History-Info")
	if !wanted || p.m.Privacy().History { // RFC 7044 section 10.1.1
		return ""
	}
	var b strings.Builder
	all := p.m.All("history-info")
	for _, value := range all[max(0, len(all)-maxHistory):] {
		if said, ok := p.s.diversion(value, false); ok {
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
	ids := c.CallerIDs
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
