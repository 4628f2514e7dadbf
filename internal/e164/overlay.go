package e164

import "strings"

// Override is what an operator knows better than the built-in numbering plan about
// all numbers that begin with a prefix.
type Override struct {
	Prefix Number // digits, calling code first
	ID     int64  // for explanations
	// Valid is false for numbers that do not exist, whatever the built-in plan says.
	Valid   bool
	Country Country // 0 leaves the built-in one
	// Type is the type of the numbers where HasType is set; else the built-in one.
	Type    NumberType
	HasType bool
	// MinDigits and MaxDigits bound the whole number; 0 leaves what the country has.
	MinDigits, MaxDigits int
	// FromMicros and UntilMicros are when it holds, Unix microseconds; 0 for always.
	FromMicros, UntilMicros int64
}

// holds reports whether the override is in force at a time.
func (o *Override) holds(atMicros int64) bool {
	return (o.FromMicros == 0 || o.FromMicros <= atMicros) && (o.UntilMicros == 0 || atMicros < o.UntilMicros)
}

// Overlay is overrides, compiled for reading. It never changes; nil has none.
type Overlay struct {
	byPrefix map[Number][]Override
	lengths  uint16 // bit n: some prefix has n digits
}

// NewOverlay compiles overrides. Of two of the same prefix that hold at one time the
// first counts.
func NewOverlay(overrides []Override) *Overlay {
	if len(overrides) == 0 {
		return nil
	}
	o := &Overlay{byPrefix: make(map[Number][]Override, len(overrides))}
	for _, override := range overrides {
		o.byPrefix[override.Prefix] = append(o.byPrefix[override.Prefix], override)
		o.lengths |= 1 << override.Prefix.length()
	}
	return o
}

// find is the override with the longest prefix of n that is in force, or nil.
func (o *Overlay) find(n Number, atMicros int64) *Override {
	if o == nil {
		return nil
	}
	for length := n.length(); length > 0; length-- {
		if length <= MaxDigits && o.lengths&(1<<length) != 0 {
			list := o.byPrefix[n]
			for i := range list {
				if list[i].holds(atMicros) {
					return &list[i]
				}
			}
		}
		n /= 10
	}
	return nil
}

// Plan is the numbering plan at a moment: the operator's overrides, which decide
// first, and the built-in data. The zero value is the built-in data alone.
type Plan struct {
	Overlay  *Overlay
	AtMicros int64
}

// Override returns the override that decides about a number, or nil.
func (p Plan) Override(n Number) *Override { return p.Overlay.find(n, p.AtMicros) }

// Valid is the package's Valid by this plan.
func (p Plan) Valid(n Number) bool {
	if o := p.Override(n); o != nil {
		digits := n.Digits()
		class := classify(&digits)
		return o.allows(&digits, &class)
	}
	return Valid(n)
}

// allows reports whether the override lets a number be one. class is the built-in one.
func (o *Override) allows(digits *Digits, class *Class) bool {
	switch {
	case !o.Valid || digits.Len < 7 || digits.Len > MaxDigits:
		return false
	case o.MinDigits != 0 || o.MaxDigits != 0:
		return digits.Len >= o.MinDigits && (o.MaxDigits == 0 || digits.Len <= o.MaxDigits)
	case class.Country != 0 || class.Range != "":
		return valid(digits, class)
	case o.Country != 0:
		row := o.Country.dial()
		if code, _ := callingCode(digits); code == int(row.code) {
			return row.national.allow(digits.Len - row.codeDigits())
		}
	}
	return true
}

// Judge is the package's Judge by this plan.
//
// An override without a type leaves the doubts of the built-in plan, and has none
// where that knows nothing of the prefix.
func (p Plan) Judge(n Number) (j Judgement, ok bool) {
	o := p.Override(n)
	if o == nil {
		return Judge(n)
	}
	digits := n.Digits()
	j.Class, j.Override = classify(&digits), o.ID
	if !o.allows(&digits, &j.Class) {
		return Judgement{Override: o.ID}, false
	}
	known := j.Country != 0 || j.Range != ""
	if o.Country != 0 {
		j.Country, j.Range = o.Country, ""
	}
	if o.HasType {
		j.Type = o.Type
	}
	if j.Exact() || o.HasType || !known {
		j.Possible.Add(j.Type)
		return j, true
	}
	j.doubt(&digits)
	return j, true
}

// allocated reports whether the number is in an allocated range of the plan.
func (p Plan) allocated(n Number) bool {
	o := p.Override(n)
	if o == nil {
		return allocated(n)
	}
	digits := n.Digits()
	class := classify(&digits)
	known := class.Country != 0 || class.Range != ""
	return o.allows(&digits, &class) && (o.HasType || !known || class.Type != TypeUnknown)
}

// keeps reports whether an override says that digits behind the calling code, which
// would otherwise be removed, belong to the number: its prefix has them.
func (p Plan) keeps(n Number, length int) bool {
	o := p.Override(n)
	return o != nil && o.Valid && o.Prefix.length() >= length
}

// CoversEmergency reports whether a prefix is an emergency number of some country or
// the beginning of one, by itself or behind the country's calling code. A calling
// code, or a prefix with which numbers of the plan begin behind one, covers none.
func CoversEmergency(prefix Number) bool {
	digits := prefix.Digits()
	text := digits.text(0)
	code, length := callingCode(&digits)
	if code != 0 && length == digits.Len {
		return false
	}
	alive := code != 0 && begins(&digits, digits.Len)
	for c := range dialTable {
		row := &dialTable[c]
		if _, ok := row.emergencyNumber(text); ok {
			return true
		}
		if alive {
			continue
		}
		for number := range strings.FieldsSeq("112 911 " + row.emergency) {
			if strings.HasPrefix(number, text) {
				return true
			}
		}
		if _, ok := row.emergencyNumber(text[length:]); ok && code != 0 && int(row.code) == code {
			return true
		}
	}
	return false
}
