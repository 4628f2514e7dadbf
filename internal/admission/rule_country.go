package admission

import "github.com/tollgate/tollgate/internal/e164"

// RuleCountry holds that the called number is in a country or range that the profile allows, or
// a number list allows the number.
const RuleCountry Rule = 5

// ReasonNotWhitelisted is the reason of RuleCountry.
const ReasonNotWhitelisted Reason = 10

var countryRule = rule{
	name:   "country",
	needs:  needProfile | needCallee,
	gather: gatherCountry,
	judge: func(f *Facts) Reason {
		return refuseIf(!f.Class.In(f.Countries, f.Ranges) && !f.ListedCallee.Allow, ReasonNotWhitelisted)
	},
	explain: func(f *Facts) (seen, allowed string) { return f.place(), whitelistText(f.Countries, f.Ranges) },
	code: func(c *coder, f *Facts) {
		c.countries(&f.Countries)
		c.ranges(&f.Ranges)
	},
	reasons: []answer{
		{ReasonNotWhitelisted, "destination_not_whitelisted", "D13", 403,
			"Dialed number {number} (associated countries: {country}) is not included in whitelisted countries " +
				"{whitelist}",
			"Add the country to the profile's whitelisted_destinations."},
	},
}

// CountryFacts are the places that the profile allows calls to.
type CountryFacts struct {
	Countries e164.CountrySet
	Ranges    e164.RangeSet
}

func gatherCountry(f *Facts, in *inquiry) {
	if in.profile != nil {
		f.Countries, f.Ranges = in.profile.Countries, in.profile.Ranges
	}
}
