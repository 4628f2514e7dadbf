package recording

import "github.com/tollgate/tollgate/internal/media/g711"

// companded decodes either law of G.711. It has no memory of what came before.
type companded struct{ law *[256]int16 }

func (d companded) decode(dst []int16, payload []byte) ([]int16, error) {
	for _, code := range payload {
		dst = append(dst, d.law[code])
	}
	return dst, nil
}

// The two laws of ITU-T G.711.
var ulawTable, alawTable = g711.ULaw, g711.ALaw
