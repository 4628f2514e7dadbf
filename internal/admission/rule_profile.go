package admission

import "fmt"

// RuleProfile holds that the connection has an enabled outbound voice profile.
const RuleProfile Rule = 2

// The reasons of RuleProfile.
const (
	ReasonProfileMissing  Reason = 6
	ReasonProfileDisabled Reason = 7
)

var profileRule = rule{
	name:    "profile",
	needs:   needConnection,
	gather:  gatherProfile,
	judge:   judgeProfile,
	explain: explainProfile,
	code:    func(c *coder, f *Facts) { c.Bools(&f.HasProfile, &f.ProfileEnabled) },
	reasons: []answer{
		{ReasonProfileMissing, "profile_missing", "D38", 403, "Connection has no Outbound Profile assigned",
			"Set outbound.outbound_voice_profile_id on the connection."},
		{ReasonProfileDisabled, "profile_disabled", "D15", 403, "Outbound Profile is disabled",
			"Set enabled on the outbound voice profile."},
	},
}

// ProfileFacts report whether the connection has a profile that takes calls.
type ProfileFacts struct{ HasProfile, ProfileEnabled bool }

func gatherProfile(f *Facts, in *inquiry) {
	f.HasProfile = in.profile != nil
	f.ProfileEnabled = f.HasProfile && in.profile.Enabled
}

func judgeProfile(f *Facts) Reason {
	switch {
	case !f.HasProfile:
		return ReasonProfileMissing
	case !f.ProfileEnabled:
		return ReasonProfileDisabled
	}
	return ReasonNone
}

func explainProfile(f *Facts) (seen, allowed string) {
	seen = "no profile attached"
	if f.HasProfile {
		seen = fmt.Sprintf("profile %s %s", f.Profile, yesNo(f.ProfileEnabled, "enabled", "disabled"))
	}
	return seen, "an enabled outbound voice profile"
}
