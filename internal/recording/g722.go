package recording

// g722 decodes ITU-T G.722 at 64 kbit/s: two sub-bands of adaptive differential
// PCM, put together by a quadrature mirror filter to 16,000 samples a second.
// Names of blocks are those of the Recommendation, section 6.
type g722 struct {
	low, high subBand
	// The mirror filter sees the last 24 values. They move along a longer array, so
	// that they are seldom copied.
	history [g722Span + 22]int32
	at      int // where the next two go
}

const g722Span = 512

// subBand is the adaptive predictor and the scale factor of one band.
type subBand struct {
	estimate     int32    // s: what the next sample is expected to be
	zeroEstimate int32    // sz: the part of it that the zeros make
	scale        int32    // det
	logScale     int32    // nb
	rebuilt      [3]int32 // r: reconstructed signal, newest first
	poles        [3]int32 // a: only 1 and 2 are used, as in the Recommendation
	partial      [3]int32 // p
	zeros        [7]int32 // b
	difference   [7]int32 // d
}

// Tables of the Recommendation: inverse quantisers, logarithmic scale multipliers,
// the scale table and the coefficients of the mirror filter.
var (
	g722LogLow  = [8]int32{-60, -30, 58, 172, 334, 538, 1198, 3042}
	g722LowRank = [16]uint8{0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0}
	g722LogHigh = [4]int32{798, -214, 798, -214}
	g722Scale   = [32]int32{
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}
	g722High = [4]int32{-7408, -1616, 7408, 1616}
	g722Low4 = [16]int32{
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	g722Low6 = [64]int32{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	g722Mirror = [12]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}
)

func newG722() *g722 {
	return &g722{low: subBand{scale: 32}, high: subBand{scale: 8}, at: 22}
}

func (d *g722) decode(dst []int16, payload []byte) ([]int16, error) {
	for _, code := range payload {
		low, high := d.decodeLow(code&0x3f), d.decodeHigh(code>>6)
		if d.at == len(d.history) {
			copy(d.history[:22], d.history[len(d.history)-22:])
			d.at = 22
		}
		d.history[d.at], d.history[d.at+1] = low+high, low-high
		seen := (*[24]int32)(d.history[d.at-22 : d.at+2])
		d.at += 2
		var even, odd int32
		for i, c := range g722Mirror {
			odd += seen[2*i] * c
			even += seen[2*i+1] * g722Mirror[11-i]
		}
		dst = append(dst, saturate(even>>11), saturate(odd>>11))
	}
	return dst, nil
}

func (d *g722) decodeLow(code byte) int32 {
	band := &d.low
	out := min(max(band.estimate+(band.scale*g722Low6[code])>>15, -16384), 16383)
	rank := code >> 2 // the predictor uses the four bits that every rate has
	difference := (band.scale * g722Low4[rank]) >> 15
	band.adaptScale(g722LogLow[g722LowRank[rank]], 18432, 8)
	band.predict(difference)
	return out
}

func (d *g722) decodeHigh(code byte) int32 {
	band := &d.high
	difference := (band.scale * g722High[code]) >> 15
	out := min(max(difference+band.estimate, -16384), 16383)
	band.adaptScale(g722LogHigh[code], 22528, 10)
	band.predict(difference)
	return out
}

// adaptScale is blocks LOGSCL and SCALEL, or LOGSCH and SCALEH.
func (b *subBand) adaptScale(step, limit, shift int32) {
	b.logScale = min(max((b.logScale*127)>>7+step, 0), limit)
	scale := g722Scale[b.logScale>>6&31]
	if by := shift - b.logScale>>11; by < 0 {
		scale <<= -by
	} else {
		scale >>= by
	}
	b.scale = scale << 2
}

// predict is block 4: it adapts the predictor to a difference, and makes the next estimate.
func (b *subBand) predict(difference int32) {
	b.difference[0] = difference
	b.rebuilt[0] = saturate32(b.estimate + difference)
	b.partial[0] = saturate32(b.zeroEstimate + difference)
	first, second := b.adaptPoles()
	b.adaptZeros()
	copy(b.difference[1:], b.difference[:6])
	copy(b.rebuilt[1:], b.rebuilt[:2])
	copy(b.partial[1:], b.partial[:2])
	b.poles[1], b.poles[2] = first, second

	poleEstimate := saturate32((b.poles[1]*saturate32(2*b.rebuilt[1]))>>15 + (b.poles[2]*saturate32(2*b.rebuilt[2]))>>15)
	b.zeroEstimate = 0
	for i := 6; i > 0; i-- {
		b.zeroEstimate += (b.zeros[i] * saturate32(2*b.difference[i])) >> 15
	}
	b.zeroEstimate = saturate32(b.zeroEstimate)
	b.estimate = saturate32(poleEstimate + b.zeroEstimate)
}

// adaptPoles is blocks UPPOL1 and UPPOL2.
func (b *subBand) adaptPoles() (first, second int32) {
	sign := func(i int) int32 { return b.partial[i] >> 15 }
	wd := saturate32(b.poles[1] << 2)
	if sign(0) == sign(1) {
		wd = min(-wd, 32767)
	}
	second, first = -128, -192
	if sign(0) == sign(2) {
		second = 128
	}
	if sign(0) == sign(1) {
		first = 192
	}
	second = min(max(second+wd>>7+(b.poles[2]*32512)>>15, -12288), 12288)
	first = saturate32(first + (b.poles[1]*32640)>>15)
	limit := saturate32(15360 - second)
	return min(max(first, -limit), limit), second
}

// adaptZeros is block UPZERO.
func (b *subBand) adaptZeros() {
	step := int32(128)
	if b.difference[0] == 0 {
		step = 0
	}
	for i := 1; i < len(b.zeros); i++ {
		by := -step
		if b.difference[i]>>15 == b.difference[0]>>15 {
			by = step
		}
		b.zeros[i] = saturate32(by + (b.zeros[i]*32640)>>15)
	}
}

func saturate32(v int32) int32 { return min(max(v, -32768), 32767) }

func saturate(v int32) int16 { return int16(saturate32(v)) }
