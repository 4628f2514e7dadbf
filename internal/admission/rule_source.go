package admission

// A credential connection may name the networks from which its credentials are accepted.
// The SIP gateway refuses others before there is an attempt, as it refuses a wrong
// password. A switch that has authenticated the caller itself says where the call comes
// from, and this rule decides.

// RuleSource holds that the call comes from a network of the credential connection.
const RuleSource Rule = 14

// ReasonSourceRefused is the reason of RuleSource.
const ReasonSourceRefused Reason = 36

var sourceRule = rule{
	name:   "source",
	needs:  needConnection,
	gather: gatherSource,
	judge: func(f *Facts) Reason {
		return refuseIf(f.SourceLimited && !f.SourceFits, ReasonSourceRefused)
	},
	explain: explainSource,
	code:    func(c *coder, f *Facts) { c.Bools(&f.SourceLimited, &f.SourceFits) },
	reasons: []answer{
		{ReasonSourceRefused, "source_not_allowed", "TG16", 403, "Calls of this user are not taken from this address",
			"Call from a network of the connection's allowed_sources, or add this one; a switch says where the call " +
				"comes from by source_ip."},
	},
}

// SourceFacts report whether the connection names the networks of its callers, and whether
// the call is from one.
type SourceFacts struct{ SourceLimited, SourceFits bool }

func gatherSource(f *Facts, in *inquiry) {
	if in.caller.AllowedSources == nil {
		return
	}
	f.SourceLimited = true
	if f.SourceFits = in.caller.AllowsSource(in.call.Source); !f.SourceFits && in.call.Source.IsValid() {
		f.Source = in.call.Source.String()
	}
}

func explainSource(f *Facts) (seen, allowed string) {
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
