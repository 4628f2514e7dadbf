package e164

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// MaxDialled is the longest text that is read as something dialled, separators
// included. The longest number has 15 digits; an international prefix and a
// separator after every other digit fit too.
const MaxDialled = 32

// The reasons why a dialled text is no number. All of them are ErrDialled.
var (
	// ErrDialled means that a dialled text is not a telephone number.
	ErrDialled = errors.New("not a dialled telephone number")
	// ErrDialledText means that the text is empty, too long, or has a character
	// that is neither a digit, a leading plus nor a visual separator.
	ErrDialledText = fmt.Errorf("%w: want at most %d digits and separators (- . space and brackets), with or without a "+
		"leading +", ErrDialled, MaxDialled)
	// ErrDialledInternational means that what follows a plus is not 7 to 15 digits
	// that begin with 1 to 9, or what follows an international prefix is not Valid.
	ErrDialledInternational = fmt.Errorf("%w: want an existing calling code and 7 to 15 digits in all after the plus or "+
		"the international prefix", ErrDialled)
	// ErrDialledBare means that digits without a plus are no allocated number and
	// that no country is set by whose rules they could be read.
	ErrDialledBare = fmt.Errorf("%w: digits without a plus that are not an allocated number in international form",
		ErrDialled)
	// ErrDialledNational means that the digits are no national number of the home country.
	ErrDialledNational = fmt.Errorf("%w: not a national number of the home country", ErrDialled)
)

// stripSeparators reads a dialled text: an optional plus, then digits, with
// visual separators (RFC 3966 section 5.1.1, and the space) anywhere. It returns
// the digits alone, and allocates only where a separator is among them.
func stripSeparators(dialled string) (digits string, plus, ok bool) {
	if len(dialled) > MaxDialled {
		return "", false, false
	}
	var kept [MaxDialled]byte
	n := 0
	for i := range len(dialled) {
		switch c := dialled[i]; {
		case c >= '0' && c <= '9':
			kept[n] = c
			n++
		case c == '+' && !plus && n == 0:
			plus = true
		case c == '-', c == '.', c == ' ', c == '(', c == ')':
		default:
			return "", false, false
		}
	}
	if tail := dialled[len(dialled)-n:]; tail == string(kept[:n]) {
		return tail, plus, n > 0
	}
	return string(kept[:n]), plus, n > 0
}

// Normalise reads what a caller dialled as a number in international form. home is
// the country whose dialling rules apply; with 0 none do.
//
// Always accepted: a plus and 7 to 15 digits. Without home: the same digits
// without the plus, as many PBXs send them, if they are an allocated number. With
// home, in this order: its international prefix ("011..." in the US, "00..." in
// Germany), its trunk prefix and a national number ("0..." in Germany, "1..." in
// the US), a national number alone, and an international number without the plus
// that begins with the home's own calling code. The last two must be allocated
// numbers: a toll-fraud scanner's guesses at a PBX's outside line, such as
// "9011..." or "900...", would otherwise become numbers in a country that the caller never
// meant. After a prefix a number must be Valid, but need not be allocated. After a
// plus only the form counts, since the meaning is plain: Valid judges it.
//
// The number is then read as the network of its country will: see complete. So
// "+49 (0) 900 1234567" is +499001234567, and 0690 dialled in France is Guadeloupe.
//
// The text may hold visual separators (- . ( ) and space) and at most MaxDialled
// characters. Errors are ErrDialled.
func Normalise(dialled string, home Country) (Number, error) {
	return Plan{}.Normalise(dialled, home)
}

// Normalise is the package's Normalise by this plan.
func (p Plan) Normalise(dialled string, home Country) (Number, error) {
	n, err := p.written(dialled, home)
	if err != nil {
		return 0, err
	}
	if n = p.complete(n); n == 0 {
		return 0, fmt.Errorf("read dialled text of %d characters: %w", len(dialled), ErrDialledInternational)
	}
	return n, nil
}

// written reads a dialled text as it stands.
func (p Plan) written(dialled string, home Country) (Number, error) {
	digits, plus, ok := stripSeparators(dialled)
	if !ok {
		return 0, fmt.Errorf("read dialled text of %d characters: %w", len(dialled), ErrDialledText)
	}
	row := home.dial()
	if plus {
		return international(digits)
	}
	if row.code == 0 {
		return p.bare(digits)
	}
	if length := home.matchIDD(digits); length > 0 {
		n, err := international(digits[length:])
		if err == nil && !p.Valid(p.complete(n)) {
			return 0, fmt.Errorf("read %d dialled digits in %s: %w", len(digits), home, ErrDialledInternational)
		}
		return n, err
	}
	return p.national(home, digits)
}

// international reads the digits after a plus or an international prefix.
func international(digits string) (Number, error) {
	n, ok := number(0, digits)
	if !ok {
		return 0, fmt.Errorf("read %d dialled digits: %w", len(digits), ErrDialledInternational)
	}
	return n, nil
}

// bare reads an international number without its plus.
func (p Plan) bare(digits string) (Number, error) {
	n, ok := number(0, digits)
	if !ok || !p.allocated(n) {
		return 0, fmt.Errorf("read %d dialled digits: %w", len(digits), ErrDialledBare)
	}
	return n, nil
}

// number joins a calling code, or 0 for none, and digits. It is false where the
// result is not 7 to 15 digits that begin with 1 to 9.
func number(code uint16, digits string) (Number, bool) {
	n := Number(code)
	if len(digits) > MaxDigits || code == 0 && (len(digits) == 0 || digits[0] == '0') {
		return 0, false
	}
	for i := range len(digits) {
		n = n*10 + Number(digits[i]-'0')
	}
	return n, n >= minNumber && n <= maxNumber
}

// The least and the greatest number that Parse reads: 7 and 15 digits.
const (
	minNumber Number = 1_000_000
	maxNumber Number = 999_999_999_999_999
)

// allocated reports whether the number is in an allocated range of the plan.
func allocated(n Number) bool {
	return Classify(n).Type != TypeUnknown && Valid(n)
}

// national reads digits by the country's own dialling rules.
func (p Plan) national(c Country, digits string) (Number, error) {
	row := c.dial()
	whole, wholeOK := number(row.code, digits)
	wholeOK = wholeOK && p.allocated(whole)
	if rest, completed := c.stripTrunk(digits); len(rest) > 0 {
		n, ok := number(row.code, rest)
		if ok && p.allocated(n) {
			return n, nil
		}
		// What the metadata takes off may include a carrier's code that only looks
		// like one: "03300014756" in Colombia is 0 and 3300014756, not 03 and the rest.
		if plain, found := strings.CutPrefix(digits, row.trunk); found && row.trunk != "" && len(plain) != len(rest) {
			if n, ok := number(row.code, plain); ok && p.allocated(n) {
				return n, nil
			}
		}
		// The digit that looks like a trunk prefix belongs to the number where only
		// so it is an allocated one, such as 800... in Russia, whose trunk prefix is 8.
		if ok && !wholeOK && !completed && rest[0] != '0' && p.Valid(n) {
			return n, nil
		}
	}
	if wholeOK {
		return whole, nil
	}
	if _, ok := cutCallingCode(digits, row.code); ok {
		if n, err := p.bare(digits); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("read %d dialled digits in %s: %w", len(digits), c, ErrDialledNational)
}

// cutCallingCode takes a country's calling code off the beginning of digits.
func cutCallingCode(digits string, code uint16) (rest string, ok bool) {
	for div := uint16(100); div > 0; div /= 10 {
		if code < div {
			continue
		}
		if digits == "" || digits[0] != byte('0'+code/div%10) {
			return "", false
		}
		digits = digits[1:]
	}
	return digits, true
}

// dial is the country's line in the dialling table, or the empty line.
func (c Country) dial() *dialRow {
	if int(c) >= len(dialTable) {
		return &dialTable[0]
	}
	return &dialTable[c]
}

// matchIDD is the length of the international prefix at the beginning of digits;
// 0 if there is none. No calling code begins with 0, so a prefix before a 0 is none.
func (c Country) matchIDD(digits string) int {
	pattern := c.dial().idd
	length := 0
	if isDigits(pattern) {
		if strings.HasPrefix(digits, pattern) {
			length = len(pattern)
		}
	} else if found := compiledRules[c]().idd.FindStringIndex(digits); found != nil {
		length = found[1]
	}
	if length < len(digits) && digits[length] == '0' {
		return 0
	}
	return length
}

// stripTrunk takes the trunk prefix off the beginning of digits; rest is empty
// where there is none. completed says that it did not just take something off, but
// added what the country's callers may leave to their exchange: in Antigua
// "4621234" is "2684621234".
func (c Country) stripTrunk(digits string) (rest string, completed bool) {
	row := c.dial()
	if row.trunkParse == "" {
		return "", false
	}
	if isDigits(row.trunkParse) {
		if !strings.HasPrefix(digits, row.trunkParse) {
			return "", false
		}
		return digits[len(row.trunkParse):], false
	}
	pattern := compiledRules[c]().trunk
	groups := pattern.FindStringSubmatchIndex(digits)
	if groups == nil || groups[1] == 0 {
		return "", false // some patterns match nothing at all
	}
	if row.trunkFormat == "" || groups[len(groups)-2] < 0 {
		return digits[groups[1]:], false
	}
	return pattern.ReplaceAllString(digits, ruleTemplate.Replace(row.trunkFormat)), true
}

// ruleTemplate writes the metadata's group references so that digits after one
// are not read as a part of it.
var ruleTemplate = strings.NewReplacer("$1", "${1}", "$2", "${2}", "$3", "${3}", "$4", "${4}", "$5", "${5}", "$6",
	"${6}")

func isDigits(pattern string) bool {
	for i := range len(pattern) {
		if pattern[i] < '0' || pattern[i] > '9' {
			return false
		}
	}
	return pattern != ""
}

// rules are a country's patterns that are more than a fixed prefix.
type rules struct {
	idd, trunk *regexp.Regexp
}

// compiledRules compiles a country's patterns when they are first needed. Few
// countries are anybody's home, and most of these need none.
var compiledRules = func() (all [len(countryTable)]func() rules) {
	for c := range all {
		row := &dialTable[c]
		all[c] = sync.OnceValue(func() rules {
			return rules{
				idd:   regexp.MustCompile("^(?:" + row.idd + ")"),
				trunk: regexp.MustCompile("^(?:" + row.trunkParse + ")"),
			}
		})
	}
	return all
}()
