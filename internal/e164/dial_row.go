package e164

// dialRow is what a country dials, from libphonenumber's metadata.
type dialRow struct {
	code        uint16  // calling code; 0 where the metadata has none
	national    lengths // of the national significant number
	possible    uint32  // bit n: numbers of n digits are possible
	general     string  // pattern of all national numbers, where mainCountry needs it
	idd         string  // pattern of the international prefix, such as "00" or "011"
	trunk       string  // national prefix as people dial it, such as "0"; "" where there is none
	trunkParse  string  // pattern that is removed from a national number
	trunkFormat string  // what replaces that pattern where it captures something, such as "268$1"
	emergency   string  // emergency numbers, separated by spaces
}

// codeDigits is the length of the calling code.
func (r *dialRow) codeDigits() int {
	switch {
	case r.code < 10:
		return 1
	case r.code < 100:
		return 2
	}
	return 3
}
