package recording

// interleave appends frames of both sides, the caller left and the callee right.
func interleave(dst []byte, caller, callee []int16) []byte {
	for i := range caller {
		dst = append(dst, byte(caller[i]), byte(caller[i]>>8), byte(callee[i]), byte(callee[i]>>8))
	}
	return dst
}

// mix appends the sum of both sides. Both at full volume are cut off, not wrapped.
func mix(dst []byte, caller, callee []int16) []byte {
	for i := range caller {
		sum := saturate(int32(caller[i]) + int32(callee[i]))
		dst = append(dst, byte(sum), byte(sum>>8))
	}
	return dst
}
