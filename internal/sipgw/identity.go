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
	anonymous := a.s.private || a.s.from == 0
	switch {
	case anonymous && a.accountInFrom():
		return sip.Named("Anonymous", a.accountURI())
	case anonymous:
		return `"Anonymous" <sip:anonymous@anonymous.invalid>`
	case a.accountInFrom():
		return sip.Named(a.s.callerName(), a.accountURI())
	}
	return sip.Named(a.s.callerName(), a.callerURI())
}

// accountInFrom means that From names our account at the carrier. The caller's number then
// stands elsewhere.
func (a *attempt) accountInFrom() bool { return textOf(a.gateway.FromUser) != "" }

func (a *attempt) accountURI() string { return "sip:" + *a.gateway.FromUser + "@" + a.fromHost() }

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

// fromHost is the host part of what names our side at the carrier.
func (a *attempt) fromHost() string {
	if host := textOf(a.gateway.FromDomain); host != "" {
		return host
	}
	return a.s.sh.srv.transport.Own(a.leg.peer).Host
}

// callerURI is the caller's number as the gateway wants it.
func (a *attempt) callerURI() string {
	return a.gateway.URIOf(a.gateway.CallerPart(a.s.from), a.fromHost())
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

// identified reports whether the number is to stand in a header of RFC 3325. It is where From
// names our account and nothing else would tell the number.
func (a *attempt) identified() bool {
	asserted, party := a.s.shownIn()
	if asserted || !a.accountInFrom() {
		return asserted
	}
	_, emergency := a.s.machine.Emergency()
	return !party && (emergency || a.s.connected.CallerIDHeaders != "none")
}

// asserts reports whether P-Asserted-Identity has the number: only where it is confirmed for
// the connection, since no other number has been screened.
func (a *attempt) asserts() bool { return a.s.from != 0 && a.s.confirmed && a.identified() }

// assertedIdentity names the caller (RFC 3325 section 9.1). A number that is not confirmed
// is a wish, and told only where From does not have it (section 9.2).
func assertedIdentity(p passage) string {
	a := p.attempt
	switch {
	case a.asserts():
		return sip.Line("P-Asserted-Identity", "<"+a.callerURI()+">")
	case a.s.from != 0 && a.accountInFrom() && a.identified():
		return sip.Line("P-Preferred-Identity", "<"+a.callerURI()+">")
	}
	return ""
}

// remoteParty names the caller, and reports whether the number is confirmed.
func remoteParty(p passage) string {
	if _, party := p.s.shownIn(); !party || p.s.from == 0 {
		return ""
	}
	privacy := "off"
	if p.s.private {
		privacy = "full"
	}
	return sip.Line("Remote-Party-ID", "<"+p.attempt.callerURI()+">;party=calling;screen="+
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

// privacy reports whether the caller is to be anonymous towards the callee.
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

// diversion is an entry as the carrier gets it: without a name, which could say
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
