package routing

import (
	"math"
	"math/rand/v2"
)

// uniform is a number in (0, 1] that depends only on its two arguments.
func uniform(seed, stream uint64) float64 {
	var source rand.PCG
	source.Seed(seed, stream)
	const mantissa = 1 << 53
	return 1 - float64(source.Uint64()%mantissa)/mantissa
}

func weightedLot(u float64, weight int32) float64 {
	return math.Pow(u, 1/float64(weight))
}
