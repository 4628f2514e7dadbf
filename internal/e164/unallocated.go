package e164

// Unallocated reports whether a valid number lies in a block that the numbering plan gives to
// no subscriber, so that no caller can have it. It judges numbers of the North American plan
// alone: their format says which area codes and exchanges there are. Elsewhere a block that the
// plan does not know may be a new one. An override of the operator that makes a block valid
// decides first.
func (p Plan) Unallocated(n Number) bool {
	digits := n.Digits()
	if digits.Len != 11 || digits.Digit[0] != 1 {
		return false
	}
	if o := p.Override(n); o != nil {
		class := classify(&digits)
		return !o.allows(&digits, &class)
	}
	switch class := classify(&digits); class.Type {
	case TypeUnknown:
		return true
	case TypeTollFree:
		return false // 1-800-411 and the like are numbers
	}
	// 211 to 911 are services, and no exchange of an area has their digits.
	return digits.Digit[5] == 1 && digits.Digit[6] == 1
}
