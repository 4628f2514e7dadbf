package e164

// Country is an ISO 3166-1 country, or user-assigned XK, AC and TA, as an index
// into this package's table. The zero value is "no country".
type Country uint16

// NumberType is what a number is used for. The names are those of
// libphonenumber's PhoneNumberType, in lower case.
type NumberType uint8

// The number types. Their order is stored in records; append only.
const (
	TypeUnknown NumberType = iota // no range of the plan matches: unallocated or wrong length
	TypeFixedLine
	TypeMobile
	TypeFixedLineOrMobile
	TypeTollFree
	TypePremiumRate
	TypeSharedCost
	TypeVoIP
	TypePersonal
	TypePager
	TypeUAN
	TypeVoicemail
	TypeSatellite     // +870, +881, +882 16 and other satellite ranges
	TypeInternational // other ranges without a country: +800, +808, +878, +882, +883, +888, +979
	numNumberTypes
)

// Class is where a number belongs. Exactly one of Country and Range is set for a
// number whose prefix is in the world numbering plan; neither for one that is not.
type Class struct {
	Country Country    // 0 for ranges that belong to no country
	Range   string     // "+881" and the like for ranges that belong to no country
	Type    NumberType // TypePremiumRate for 1-900 in the US
}

var numberTypeNames = [numNumberTypes]string{
	TypeUnknown:           "unknown",
	TypeFixedLine:         "fixed_line",
	TypeMobile:            "mobile",
	TypeFixedLineOrMobile: "fixed_line_or_mobile",
	TypeTollFree:          "toll_free",
	TypePremiumRate:       "premium_rate",
	TypeSharedCost:        "shared_cost",
	TypeVoIP:              "voip",
	TypePersonal:          "personal",
	TypePager:             "pager",
	TypeUAN:               "uan",
	TypeVoicemail:         "voicemail",
	TypeSatellite:         "satellite",
	TypeInternational:     "international",
}

// String returns the name in lower snake case, as the API writes it.
func (t NumberType) String() string {
	if t >= numNumberTypes {
		return "invalid"
	}
	return numberTypeNames[t]
}

// ParseNumberType reads a name that String writes.
func ParseNumberType(s string) (NumberType, bool) {
	for t, name := range numberTypeNames {
		if name == s {
			return NumberType(t), true
		}
	}
	return 0, false
}
