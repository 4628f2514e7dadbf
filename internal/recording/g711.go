package recording

// ulawTable and alawTable hold the 16-bit sample of each code (ITU-T G.711).
var ulawTable, alawTable = companding()

func companding() (ulaw, alaw [256]int16) {
	for code := range 256 {
		ulaw[code] = expandULaw(byte(code))
		alaw[code] = expandALaw(byte(code))
	}
	return ulaw, alaw
}

// expandULaw is the decoding law of G.711 table 2: all bits are sent inverted.
func expandULaw(code byte) int16 {
	code = ^code
	magnitude := (int16(code&0x0f)<<3 + 0x84) << (code >> 4 & 7)
	if code&0x80 != 0 {
		return 0x84 - magnitude
	}
	return magnitude - 0x84
}

// expandALaw is the decoding law of G.711 table 1: even bits are sent inverted.
func expandALaw(code byte) int16 {
	code ^= 0x55
	segment := code >> 4 & 7
	magnitude := int16(code&0x0f)<<4 + 8
	if segment > 0 {
		magnitude = (magnitude + 0x100) << (segment - 1)
	}
	if code&0x80 != 0 {
		return magnitude
	}
	return -magnitude
}

// g711 decodes either law. It has no memory of what came before.
type g711 struct{ table *[256]int16 }

func (d g711) decode(dst []int16, payload []byte) ([]int16, error) {
	for _, code := range payload {
		dst = append(dst, d.table[code])
	}
	return dst, nil
}
