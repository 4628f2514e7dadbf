package admission

import "github.com/tollgate/tollgate/internal/policy"

// A credential connection may name the networks from which its credentials are taken.
// The SIP gateway refuses others before there is an attempt, as it refuses a wrong
// password. A switch that has authenticated the caller itself says where the call comes
// from, and this rule decides.

func gatherSource(f *Facts, c *policy.Connection, call *Call) {
	if c.AllowedSources == nil {
		return
	}
	f.SourceLimited = true
	if f.SourceFits = c.AllowsSource(call.Source); !f.SourceFits && call.Source.IsValid() {
		f.Source = call.Source.String()
	}
}

func judgeSource(f *Facts) Reason {
	return refuseIf(f.SourceLimited && !f.SourceFits, ReasonSourceRefused)
}

func sourceText(f *Facts) (seen, allowed string) {
	switch {
	case !f.SourceLimited:
		return "any address", "any address"
	case f.SourceFits:
		seen = "an address within allowed_sources"
	case f.Source == "":
		seen = "no source_ip"
	default:
		seen = f.Source
	}
	return seen, "an address within the connection's allowed_sources"
}

func (w *writer) appendSource(f *Facts) { w.flags(f.SourceLimited, f.SourceFits) }

func (r *reader) readSource(f *Facts) { r.flags(&f.SourceLimited, &f.SourceFits) }
