package siptrace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// BenchmarkMessage is the cost of a message that is never queried.
func BenchmarkMessage(b *testing.B) {
	m := received(pbx, invite("one", "t", "X-Filler: "+strings.Repeat("x", 300)+"\r\n"))
	tracer := NewTracer(NewBuffer(DefaultBytes), nil)
	b.ReportAllocs()
	for b.Loop() {
		tracer.Message(m)
	}
}

// BenchmarkCall is what it costs to ask for a call when the buffer is full.
func BenchmarkCall(b *testing.B) {
	buffer := NewBuffer(DefaultBytes)
	call := uuid.New()
	for i := range 60_000 {
		buffer.Add(received(pbx, invite(fmt.Sprint("call", i), "t", "X-Filler: "+strings.Repeat("x", 300)+"\r\n")))
	}
	buffer.Link(call, Leg{"call59000", pbx.Addr(), "t"})
	for b.Loop() {
		if len(buffer.Call(call)) != 1 {
			b.Fatal("the message is not there")
		}
	}
}
