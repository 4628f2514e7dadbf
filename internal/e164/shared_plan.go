package e164

// Some countries dial others as if these were a part of them. Behind the calling
// code of the one the number is then no number of its plan, or looks like one, and
// the call goes to the other: to another price, and to another entry of a whitelist.

// sharesPlan is the countries whose numbers rehome may give to another.
var sharesPlan = func() (countries CountrySet) {
	for _, alpha2 := range [...]string{"FR", "GP", "BL", "MF", "GF", "MQ", "RE", "YT", "PM", "IT", "IE"} {
		country, _ := CountryByAlpha2(alpha2)
		countries.Add(country)
	}
	return countries
}()

// rehome gives a number the calling code of the country in which it rings.
func rehome(n Number) Number {
	digits := n.Digits()
	code, length := callingCode(&digits)
	national := digits.Len - length
	switch {
	case (code == 33 || code == 262 || code == 508 || code == 590 || code == 594 || code == 596) && national == 9:
		return rehomeFrench(n, &digits, code, length)
	case code == 39 && national == 10 && digits.value(length, 4) == 549 && digits.Digit[length] == 0:
		return 378*1e10 + n%1e10 // San Marino, of which 0549 is the area code in Italy's plan
	case code == 353 && national == 10 && digits.value(length, 2) == 48:
		return 4428*1e8 + n%1e8 // Northern Ireland, which Ireland dials as 048
	}
	return n
}

// value reads count digits from one position on.
func (d *Digits) value(from, count int) int {
	value := 0
	for i := from; i < min(from+count, d.Len); i++ {
		value = value*10 + int(d.Digit[i])
	}
	return value
}

// rehomeFrench reads a number of the French plan. It is one plan for six calling
// codes: 0690 dialled anywhere in it reaches Guadeloupe, which is +590 690 from
// outside.
func rehomeFrench(n Number, digits *Digits, code, length int) Number {
	national := n % 1e9
	owner := frenchOwner(digits, length)
	switch {
	case owner == 0 && code != 33:
		// Numbers of the mainland behind an overseas code. Freephone and premium
		// numbers are in all of the plans, and stay where they were dialled.
		if metropolitan := 33*1e9 + national; !allocated(n) && allocated(metropolitan) {
			return metropolitan
		}
		return n
	case owner == 0 || owner == code:
		return n
	case owner == 508 && digits.Digit[length] == 5:
		return 508*1e6 + national%1e6 // Saint Pierre and Miquelon has six digits after it
	}
	return Number(owner)*1e9 + national
}

// frenchOwner is the calling code of the overseas department that has a number of
// the French plan, or 0 where it is the mainland's or belongs to no one plan. It
// goes by blocks, not by allocated numbers: the network routes the block.
func frenchOwner(digits *Digits, from int) int {
	switch digits.value(from, 3) {
	case 262, 263, 268, 269, 639, 692, 693:
		return 262
	case 508:
		return 508
	case 590, 690, 691:
		return 590
	case 594, 694:
		return 594
	case 596, 696, 697:
		return 596
	}
	switch digits.value(from, 4) {
	case 5987, 7090, 9395, 9475, 9760, 9761, 9768:
		return 590
	case 5988, 9396, 9476, 9764, 9765:
		return 594
	case 5989, 7091, 9397, 9477, 9766, 9767:
		return 596
	case 7092, 9398, 9399, 9478, 9479, 9762, 9763, 9769:
		return 262
	case 7084, 7085:
		return 508
	case 7093: // shared: French Guiana below, Mayotte above
		if digits.value(from, 5) < 70935 {
			return 594
		}
		return 262
	}
	return 0
}
