package siptrace

import (
	"strings"
	"testing"
)

// BenchmarkMessage is what a message costs that nobody asks for.
func BenchmarkMessage(b *testing.B) {
	m := received(pbx, invite("one", "t", "X-Filler: "+strings.Repeat("x", 300)+"\r\n"))
	tracer := NewTracer(NewBuffer(DefaultBytes), nil)
	callID := []byte("one")
	b.ReportAllocs()
	for b.Loop() {
		tracer.Message(callID, m)
	}
}
