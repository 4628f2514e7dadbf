// Package g711 is the two laws of G.711, by which telephones have coded audio since 1972.
package g711

// ULaw holds the 16-bit sample of each code of the µ-law (ITU-T G.711).
var ULaw = samples(expandULaw)

// ALaw holds the 16-bit sample of each code of the A-law (ITU-T G.711).
var ALaw = samples(expandALaw)

func samples(expand func(code byte) int16) (table [256]int16) {
	for code := range table {
		table[code] = expand(byte(code))
	}
	return table
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

// Nearest is the code of a law that means the nearest sample. It is for what is coded once,
// not for calls.
func Nearest(law *[256]int16, sample int16) (code byte) {
	best := 1 << 16
	for candidate, value := range law {
		if off := max(int(sample)-int(value), int(value)-int(sample)); off < best {
			best, code = off, byte(candidate)
		}
	}
	return code
}
