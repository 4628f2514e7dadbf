package e164

import "strings"

// The index of alpha-2 codes is a direct table, since whitelists are compiled
// from many of them; alpha-3 codes and names are only read from people.
var (
	countryOfAlpha2 = indexAlpha2()
	countryOfAlpha3 = indexAlpha3()
	countryOfName   = indexNames()
)

func indexAlpha2() (index [26 * 26]uint8) {
	for i, row := range countryTable[1:] {
		index[int(row.alpha2[0]-'A')*26+int(row.alpha2[1]-'A')] = uint8(i + 1)
	}
	return index
}

func indexAlpha3() map[string]Country {
	index := make(map[string]Country, len(countryTable))
	for i, row := range countryTable[1:] {
		index[row.alpha3] = Country(i + 1)
	}
	return index
}

// commonNames are spellings that people write for a country and that are neither
// its ISO code nor the name in countryTable.
var commonNames = map[string]string{
	"uk": "GB", "great britain": "GB", "britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
	"northern ireland": "GB", "el": "GR", "usa": "US", "u.s.": "US", "u.s.a.": "US", "america": "US",
	"united states of america": "US", "uae": "AE", "emirates": "AE", "holland": "NL", "the netherlands": "NL",
	"turkey": "TR", "turkiye": "TR", "czech republic": "CZ", "russian federation": "RU", "korea": "KR",
	"republic of korea": "KR", "democratic people's republic of korea": "KP", "vietnam": "VN", "ivory coast": "CI",
	"cote d'ivoire": "CI", "cape verde": "CV", "swaziland": "SZ", "burma": "MM", "macedonia": "MK", "macau": "MO",
	"east timor": "TL", "vatican": "VA", "vatican city": "VA", "vatican city state": "VA", "brunei": "BN",
	"congo-brazzaville": "CG", "republic of the congo": "CG", "congo-kinshasa": "CD", "drc": "CD", "dr congo": "CD",
	"congo, democratic republic of the": "CD", "the bahamas": "BS", "the gambia": "GM", "curacao": "CW",
	"reunion": "RE", "aland": "AX", "aland islands": "AX", "åland": "AX", "saint barthelemy": "BL", "st barts": "BL",
	"saint martin": "MF", "sint maarten": "SX", "st. kitts and nevis": "KN", "st kitts and nevis": "KN",
	"st. lucia": "LC", "st lucia": "LC", "st. vincent and the grenadines": "VC", "palestinian territories": "PS",
	"state of palestine": "PS", "moldova, republic of": "MD", "republic of moldova": "MD", "syrian arab republic": "SY",
	"iran, islamic republic of": "IR", "islamic republic of iran": "IR", "lao people's democratic republic": "LA",
	"tanzania, united republic of": "TZ", "united republic of tanzania": "TZ", "bolivia, plurinational state of": "BO",
	"venezuela, bolivarian republic of": "VE", "viet nam": "VN", "us virgin islands": "VI", "u.s. virgin islands": "VI",
	"virgin islands": "VI", "bosnia": "BA", "trinidad": "TT", "antigua": "AG", "falklands": "FK", "pitcairn islands": "PN",
	"svalbard": "SJ", "bonaire": "BQ", "deutschland": "DE", "espana": "ES", "españa": "ES", "schweiz": "CH",
	"suisse":     "CH",
	"österreich": "AT", "brasil": "BR", "méxico": "MX",
}

func indexNames() map[string]Country {
	index := make(map[string]Country, len(countryTable)+len(commonNames))
	for i, row := range countryTable[1:] {
		index[strings.ToLower(row.name)] = Country(i + 1)
	}
	for name, alpha2 := range commonNames {
		index[name], _ = CountryByAlpha2(alpha2)
	}
	return index
}

// CountryByAlpha2 finds a country by its two letters, which must be upper case.
func CountryByAlpha2(code string) (Country, bool) {
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		return 0, false
	}
	c := Country(countryOfAlpha2[int(code[0]-'A')*26+int(code[1]-'A')])
	return c, c != 0
}

// CountryByAlpha3 finds a country by its three letters, which must be upper case.
func CountryByAlpha3(code string) (Country, bool) {
	c, ok := countryOfAlpha3[code]
	return c, ok
}

// maxCountryText is longer than every name in the tables, in bytes. A longer text
// is not looked at, so that a hostile one costs nothing.
const maxCountryText = 64

// SuggestCountry guesses which country was meant by a text that is not an
// upper-case alpha-2 code: lower case, three letters, or a common English name.
// It is for error messages only; nothing is accepted because of it.
func SuggestCountry(code string) (alpha2 string, ok bool) {
	if len(code) > maxCountryText {
		return "", false
	}
	code = strings.TrimSpace(code)
	upper := strings.ToUpper(code)
	if c, ok := CountryByAlpha2(upper); ok {
		return c.Alpha2(), true
	}
	if c, ok := CountryByAlpha3(upper); ok {
		return c.Alpha2(), true
	}
	if c, ok := countryOfName[strings.ToLower(code)]; ok {
		return c.Alpha2(), true
	}
	return "", false
}

// Countries lists all countries in alpha-2 order.
func Countries() []Country {
	all := make([]Country, len(countryTable)-1)
	for i := range all {
		all[i] = Country(i + 1)
	}
	return all
}

// row is the country's line in the table, or the empty line for a value that is
// no country.
func (c Country) row() countryRow {
	if int(c) >= len(countryTable) {
		return countryRow{}
	}
	return countryTable[c]
}

// Alpha2 returns the two-letter code such as "US"; "" for no country.
func (c Country) Alpha2() string { return c.row().alpha2 }

// Alpha3 returns the three-letter code such as "USA"; "" for no country.
func (c Country) Alpha3() string { return c.row().alpha3 }

// Name returns the English short name; "" for no country.
func (c Country) Name() string { return c.row().name }

// String returns the alpha-2 code, for logs and test output.
func (c Country) String() string { return c.Alpha2() }
