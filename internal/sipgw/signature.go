package sipgw

import (
	"slices"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/sip"
)

// passports are the Identity fields of a call (RFC 8224), as the gateway wants them: those
// of the caller as they came and, where the call is not signed by them, one of our own.
func passports(p passage) string {
	switch p.attempt.gateway.IdentityOf(p.s.to) {
	case routing.IdentityStrip:
		return ""
	case routing.IdentitySign:
		return p.signed()
	}
	return p.callersPassports()
}

// signed are the caller's passports that are passed on where calls are signed, and ours.
func (p passage) signed() (lines string) {
	if p.m.Has("identity") && p.numbersStay() {
		values := slices.DeleteFunc(p.m.All("identity"), func(value string) bool {
			return len(value) > mostPassportBytes || !sip.IsPassport(value)
		})
		values = values[:min(len(values), mostPassports)]
		kept, whole := shaken.Keep(values, p.s.from.String(), p.attempt.callee(), p.s.sh.srv.config.Clock())
		if whole {
			return p.callersPassports()
		}
		for _, value := range kept {
			lines += sip.Line("Identity", value)
		}
	}
	return lines + p.attempt.signature()
}

// callersPassports are those of the caller. What they sign is who calls whom: where one of
// the numbers goes on in another form than it came they would be wrong, and where the caller
// is private they would tell the number. The Date goes with them: a passport in its compact
// form has its time there.
func (p passage) callersPassports() string {
	if !p.m.Has("identity") || !p.numbersStay() {
		return ""
	}
	lines := identities(p)
	if lines != "" {
		lines += date(p)
	}
	return lines
}

// numbersStay reports whether the numbers of From and To are passed on unchanged and visibly.
func (p passage) numbersStay() bool {
	if p.attempt.accountInFrom() && !p.attempt.asserts() {
		return false
	}
	from, to := p.attempt.gateway.CallerPart(p.s.from), p.attempt.user()
	return !p.s.private && p.s.from != 0 && sameNumber(p.m.CallerText(), from) &&
		sameNumber(sip.DialledText(p.m.URI), to) && sameNumber(sip.AddressUser(p.m.To), to)
}

const mostPassports, mostPassportBytes = 4, 4096

var (
	identities = carries("Identity", mostPassports, mostPassportBytes, sip.IsPassport)
	date       = carries("Date", 1, 64, nil)
)

// signature is the header lines by which we sign the call: Identity and the Date that it
// has. It is made once for each attempt, however often the INVITE goes out.
func (a *attempt) signature() string {
	if a.signed == nil {
		a.signed = new(a.sign())
	}
	return *a.signed
}

// sign signs the call, if a number is shown: in From, or to the carrier alone in
// P-Asserted-Identity. A call that cannot be signed goes out unsigned.
func (a *attempt) sign() string {
	s := a.s
	claims := shaken.Claims{Attestation: s.attested.String(), Callee: a.callee(), At: s.sh.srv.config.Clock(),
		Origin: admission.Origin(s.connection)}
	if !s.private && !a.accountInFrom() || a.asserts() {
		claims.Caller = s.from.String()
	}
	signed, err := s.sh.srv.config.Shaken.Sign(claims)
	if err != nil {
		return "" // which the signer has counted
	}
	return sip.Line("Date", signed.Date) + sip.Line("Identity", signed.Identity)
}
